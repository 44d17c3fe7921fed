/*
 * cmd/explain.c - mtaq explain: why does this mail wait?
 *
 *	domain ─► routes:, resolver ─────────────────┐
 *	   └────► daemon: route, site, hosts, queue ─┼─► one sentence, then all
 *	id ─────► daemon: recipients, sessions ──────┤
 *	   └────► event log: what was said last ─────┘
 *
 * Without a daemon the resolver and the event log are asked all the same.
 */
#include "cmd/explain.h"

#include "base/msgid.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#define DNS_WAIT_MS 10000u

static const struct args_option options[] = {
	OPTION_CONFIG,
	OPTION_JSON("one JSON object"),
	OPTION_END,
};

static const struct args_command command = {
	.name = "mtaq explain",
	.usage = "mtaq explain DOMAIN|ID [-c FILE] [--json]",
	.about =
		"Says why mail waits, and what would be done with it next. "
		"For a domain: where its mail goes (routes:, MX, as the daemon "
		"knows it and as the resolver says now), the site with its "
		"sessions and the limit that binds right now, the health and "
		"last words of each host, what is queued and when it is tried. "
		"For the id of a message: its recipients, what was said to "
		"them last and where, their next attempt and the rule that "
		"set it; then its domains in short. What has left the queue "
		"is looked up in the event log.",
	.options = options,
	.more = "Exit codes: 0 explained, 64 wrong usage, 65 no such message, "
		"69 no daemon answers (what the resolver and the event log "
		"know is printed), 77 no permission, 78 the configuration is "
		"wrong.",
};

/* --- asking ---------------------------------------------------------------- */

/* Send what stands in o->client.out and keep the rows.  EX_OK, or told. */
static int keep_rows(struct operator* o, struct kept *rows)
{
	int err = 0;

	operator_ask(o);
	while (operator_next(o))
		if (err == 0)
			err = kept_add(rows, &o->client.rec);
	if (err < 0) {
		fprintf(stderr, "%s: out of memory\n", o->name);
		return EX_OSERR;
	}
	return o->code;
}

static int ask_route(struct operator* o, struct explain_domain *d)
{
	admin_text(operator_request(o, "explain"), "domain", span_str(d->name));
	return keep_rows(o, &d->rows);
}

static void count_row(struct explain_domain *d, const struct admin_record *rec)
{
	struct span state = admin_text_of(rec, "state");
	uint64_t due = admin_number_of(rec, "due_in_s");

	if (span_eq(state, SPAN("held")) || span_eq(state, SPAN("damaged")))
		d->held++;
	else
		d->waiting++;
	if (!span_eq(state, SPAN("deferred")))
		return;
	d->deferred++;
	if (!d->due || due < d->due_in_s)
		d->due_in_s = due;
	d->due = true;
}

/* The first page of its queue; the sums are exact. */
static int ask_queue(struct operator* o, struct explain_domain *d)
{
	const struct admin_record *rec = &o->client.rec;
	struct buf *out = operator_request(o, "list");

	admin_text(out, "domain", span_str(d->name));
	operator_ask(o);
	while (operator_next(o))
		count_row(d, rec);
	if (o->code != EX_OK || admin_number_of(rec, "more") == 0)
		return o->code;
	out = operator_request(o, "sum");
	admin_text(out, "domain", span_str(d->name));
	admin_text(out, "by", SPAN("domain"));
	operator_ask(o);
	while (operator_next(o)) {
		d->waiting = admin_number_of(rec, "waiting");
		d->held = admin_number_of(rec, "held");
		d->deferred = admin_number_of(rec, "deferred");
	}
	return o->code;
}

/* What the resolver says now.  Its failure is an answer too. */
static void resolve(const struct explain *x, struct explain_domain *d)
{
	struct probe_args args = { .from = "", .timeout_ms = DNS_WAIT_MS };
	static struct probe p;
	char to[300];

	p = (struct probe){ .args = &args, .set = x->o->set };
	p.end_ms = probe_now_us() / 1000 + DNS_WAIT_MS;
	snprintf(to, sizeof(to), "x@%s", d->name);
	args.to = to;
	if (idn_address(span_str(to), 0, &p.to) == ADDRESS_OK)
		(void)probe_find(&p, &d->found);
	/* Its name borrows from what ends here. */
	d->found.name = SPAN("");
	p.args = NULL;
}

static int add_domain(struct explain *x, struct span name)
{
	struct explain_domain *d;
	uint32_t i;
	int code = EX_OK;

	for (i = 0; i < x->domain_count; i++)
		if (span_eq(span_str(x->domains[i].name), name))
			return EX_OK;
	if (x->domain_count == EXPLAIN_DOMAINS_MAX ||
	    name.len >= sizeof(d->name))
		return EX_OK;
	d = &x->domains[x->domain_count++];
	snprintf(d->name, sizeof(d->name), "%.*s", (int)name.len, name.p);
	if (x->daemon)
		code = ask_route(x->o, d);
	if (x->daemon && code == EX_OK)
		code = ask_queue(x->o, d);
	if (x->id[0] == '\0')
		resolve(x, d);
	return code;
}

static int ask_all(struct explain *x)
{
	struct operator* o = x->o;
	int code;

	operator_request(o, "status");
	code = keep_rows(o, &x->rows);
	if (code == EX_OK) {
		operator_request(o, "pauses");
		code = keep_rows(o, &x->rows);
	}
	return code;
}

/* --- a message ------------------------------------------------------------- */

/* Is it in the queue?  -ENOENT when the daemon does not know it: it is asked
 * beside operator_next(), which would tell that as an error. */
static int ask_message(struct explain *x)
{
	struct operator* o = x->o;
	int rc;

	admin_text(operator_request(o, "show"), "id", span_str(x->id));
	operator_ask(o);
	if (o->code != EX_OK)
		return o->code;
	while ((rc = admin_client_next(&o->client)) == 1)
		if (kept_add(&x->rows, &o->client.rec) < 0)
			return EX_OSERR;
	if (rc == -ECANCELED &&
	    admin_number_of(&o->client.rec, "code") == EX_DATAERR)
		return EX_OK; /* not queued: the event log may know it */
	if (rc != 0) {
		fprintf(stderr, "%s: the daemon's answer broke off\n", o->name);
		return EX_UNAVAILABLE;
	}
	admin_text(operator_request(o, "explain"), "id", span_str(x->id));
	return keep_rows(o, &x->rows);
}

static int explain_message(struct explain *x)
{
	size_t at;
	int code = x->daemon ? ask_message(x) : EX_OK;

	if (code != EX_OK)
		return code;
	for (at = 0; at < x->rows.count && code == EX_OK; at++)
		if (span_eq(x->rows.rows[at].verb, SPAN("row")))
			code = add_domain(
				x, admin_text_of(&x->rows.rows[at], "domain"));
	history_read(&x->history, x->o->set.log.events, x->id);
	return code;
}

/* --- the command ----------------------------------------------------------- */

/* An id or a domain.  EX_OK, or told. */
static int read_word(struct explain *x, const char *word, char domain[256])
{
	struct idn_address a;
	struct span name;
	char text[300];
	uint64_t id;

	if (msgid_parse(span_str(word), &id) == 0) {
		msgid_print(id, x->id);
		return EX_OK;
	}
	if ((size_t)snprintf(text, sizeof(text), "%s%s",
			     strchr(word, '@') == NULL ? "x@" : "",
			     word) < sizeof(text) &&
	    idn_address(span_str(text), 0, &a) == ADDRESS_OK) {
		name = address_domain_lower(&a.parts);
		if (name.len < 256) {
			snprintf(domain, 256, "%.*s", (int)name.len, name.p);
			return EX_OK;
		}
	}
	return command_wrong(&x->o->args, "'%s' is no domain and no id", word);
}

/* No daemon is no reason to say nothing: EX_OK then too, with x->daemon
 * false. */
static int open_daemon(struct explain *x)
{
	int code = operator_open(x->o);

	x->daemon = code == EX_OK;
	if (code != EX_UNAVAILABLE)
		return code;
	return command_settings(x->o->config, &x->o->set);
}

static int explain_all(struct explain *x, const char *domain)
{
	uint32_t i;
	int code = x->daemon ? ask_all(x) : EX_OK;

	if (code == EX_OK)
		code = x->id[0] != '\0' ? explain_message(x)
					: add_domain(x, span_str(domain));
	if (code != EX_OK)
		return code;
	for (i = 0; i < x->domain_count; i++)
		explain_why_domain(x, &x->domains[i]);
	if (x->id[0] != '\0')
		explain_why_message(x);
	if (x->o->json)
		explain_json(x);
	else
		explain_tell(x);
	if (!x->daemon)
		return EX_UNAVAILABLE;
	return x->id[0] != '\0' && strcmp(x->reason, "unknown") == 0
		       ? EX_DATAERR
		       : EX_OK;
}

static void explain_free(struct explain *x)
{
	uint32_t i;

	for (i = 0; i < x->domain_count; i++) {
		kept_clear(&x->domains[i].rows);
		mxset_unref(&x->domains[i].found.set);
	}
	kept_clear(&x->rows);
	history_free(&x->history);
}

int explain_main(int argc, char **argv)
{
	struct operator o = { .client = { .fd = -1 } };
	static struct explain x;
	char domain[256] = "";
	int code = operator_options(&o, &command, argc, argv);

	if (code != EX_OK)
		return code < 0 ? EX_OK : code;
	x = (struct explain){ .o = &o };
	if (o.word_count != 1)
		return command_wrong(&o.args,
				     "explain what? one domain, or one id");
	code = read_word(&x, o.words[0], domain);
	if (code != EX_OK)
		return code;
	code = open_daemon(&x);
	if (code == EX_OK) {
		code = explain_all(&x, domain);
		operator_close(&o);
	}
	explain_free(&x);
	x.o = NULL;
	return code;
}
