/*
 * cmd/explain_tell.c - mtaq explain, for people
 *
 * The first line is the answer; the rest is what it rests on.
 */
#include "cmd/explain.h"

#include <stdio.h>

#define LEFT 10 /* of the words in front */

static void put(const struct explain *x, const char *what,
		const struct buf *line)
{
	struct buf safe;

	buf_init(&safe, 1u << 20);
	screen_add(&safe, buf_span(line));
	printf("%s%-*s%s%.*s\n", screen_paint(&x->o->screen, DIM), LEFT, what,
	       screen_paint(&x->o->screen, PLAIN), (int)safe.len, safe.p);
	buf_free(&safe);
}

static void add(struct buf *line, const char *words,
		const struct admin_record *rec, const char *key)
{
	struct span s = admin_text_of(rec, key);

	if (s.len > 0)
		buf_printf(line, "%s%.*s", words, (int)s.len, s.p);
}

static unsigned long long n(const struct admin_record *rec, const char *key)
{
	return admin_number_of(rec, key);
}

/* --- a domain -------------------------------------------------------------- */

static void tell_route(const struct explain *x, const struct explain_domain *d)
{
	const struct admin_record *route = kept_find(&d->rows, "route");
	size_t at;
	struct buf line;

	buf_init(&line, 64u << 10);
	if (route != NULL && admin_number_of(route, "known") == 0)
		buf_printf(&line, "the daemon has not had to look it up");
	else if (route != NULL)
		add(&line,
		    span_eq(admin_text_of(route, "how"), SPAN("route"))
			    ? "by routes: to "
			    : "by MX",
		    route,
		    span_eq(admin_text_of(route, "how"), SPAN("route"))
			    ? "route"
			    : "none");
	if (route != NULL && admin_number_of(route, "known") != 0) {
		if (line.len == 0)
			buf_printf(&line, "%s",
				   admin_number_of(route, "implicit")
					   ? "no MX: the domain's own address"
					   : "by MX");
		add(&line, ", ", route, "why");
		if (n(route, "expires_in_s") > 0)
			buf_printf(&line, ", known for %llu s more",
				   n(route, "expires_in_s"));
	}
	if (route != NULL)
		put(x, "route", &line);
	for (at = 0; at < d->rows.count; at++) {
		if (!span_eq(d->rows.rows[at].verb, SPAN("mx")))
			continue;
		buf_clear(&line);
		if (n(&d->rows.rows[at], "ranked") != 0)
			buf_printf(&line, "%5llu  ",
				   n(&d->rows.rows[at], "preference"));
		else
			buf_printf(&line, "    -  ");
		add(&line, "", &d->rows.rows[at], "host");
		add(&line, "  ", &d->rows.rows[at], "addresses");
		put(x, "", &line);
	}
	buf_free(&line);
}

static void add_found_host(struct buf *line, const struct mx_host *h,
			   bool ranked)
{
	char text[IO_ADDR_TEXT_MAX];
	struct io_addr addr;
	uint16_t i;

	if (ranked)
		buf_printf(line, "%5u  %s ", h->preference, h->name);
	else
		buf_printf(line, "    -  %s ", h->name);
	for (i = 0; i < h->addr_count; i++) {
		io_addr_from_mx(&h->addrs[i], &addr);
		io_addr_text(&addr, text);
		buf_printf(line, " %s", text);
	}
}

static void tell_found(const struct explain *x, const struct explain_domain *d)
{
	const struct mxset *set = d->found.set;
	struct buf line;
	uint16_t i;

	if (set == NULL)
		return;
	buf_init(&line, 64u << 10);
	buf_printf(&line, "%s, asked just now: %s",
		   strcmp(d->found.how, "route") == 0 ? "routes:" : "resolver",
		   set->status == MX_OK ? "" : set->why);
	if (set->status == MX_OK)
		buf_printf(&line, "%u host%s%s", set->host_count,
			   set->host_count == 1 ? "" : "s",
			   set->implicit ? " (no MX: its own address)" : "");
	put(x, "lookup", &line);
	for (i = 0; i < set->host_count; i++) {
		buf_clear(&line);
		add_found_host(&line, &set->hosts[i],
			       strcmp(d->found.how, "mx") == 0);
		put(x, "", &line);
	}
	buf_free(&line);
}

static void tell_site(const struct explain *x, const struct explain_domain *d)
{
	const struct admin_record *site = kept_find(&d->rows, "site");
	struct buf line;

	if (site == NULL)
		return;
	buf_init(&line, 64u << 10);
	add(&line, "", site, "site");
	add(&line, ", preset ", site, "preset");
	add(&line, ", ", site, "state");
	buf_printf(&line,
		   ": messages waiting: %llu; sessions: %llu (busy: %llu, "
		   "connecting: %llu) of %llu allowed",
		   n(site, "tasks"), n(site, "sessions"), n(site, "busy"),
		   n(site, "connecting"), n(site, "window"));
	if (n(site, "per_second") > 0)
		buf_printf(&line, ", %llu messages a second",
			   n(site, "per_second"));
	put(x, "site", &line);
	buf_clear(&line);
	add(&line, "", site, "limit_words");
	if (n(site, "limit_in_s") > 0)
		buf_printf(&line, " (%llu s)", n(site, "limit_in_s"));
	put(x, "limit", &line);
	buf_free(&line);
}

static void tell_hosts(const struct explain *x, const struct explain_domain *d)
{
	size_t at;
	bool any = false;

	for (at = 0; at < d->rows.count; at++) {
		if (!span_eq(d->rows.rows[at].verb, SPAN("host")))
			continue;
		if (!any) {
			putchar('\n');
			operator_table(x->o, operator_hosts);
		}
		any = true;
		operator_row(x->o, operator_hosts, &d->rows.rows[at]);
	}
	operator_table_end(x->o);
}

static void tell_queue(const struct explain *x, const struct explain_domain *d)
{
	struct buf line;
	char when[80];

	if (!x->daemon)
		return;
	buf_init(&line, 4096);
	buf_printf(&line,
		   "recipients waiting: %llu (after a failed attempt: %llu), "
		   "held: %llu",
		   (unsigned long long)d->waiting,
		   (unsigned long long)d->deferred,
		   (unsigned long long)d->held);
	if (d->due) {
		explain_when(d->due_in_s, when, sizeof(when));
		buf_printf(&line, "; the first retry at %s", when);
	}
	put(x, "queue", &line);
	buf_free(&line);
}

static void tell_pauses(const struct explain *x, const struct explain_domain *d)
{
	struct span site = admin_text_of(kept_find(&d->rows, "route"), "site");
	struct span name;
	struct buf line;
	size_t at;

	buf_init(&line, 4096);
	for (at = 0; at < x->rows.count; at++) {
		if (!span_eq(x->rows.rows[at].verb, SPAN("pause")))
			continue;
		/* Of other sites nothing: they may be many. */
		name = admin_text_of(&x->rows.rows[at], "site");
		if (name.len > 0 && site.len > 0 && !span_eq_nocase(name, site))
			continue;
		buf_clear(&line);
		add(&line, "site ", &x->rows.rows[at], "site");
		add(&line, "tenant ", &x->rows.rows[at], "tenant");
		add(&line, " campaign ", &x->rows.rows[at], "campaign");
		add(&line, " domain ", &x->rows.rows[at], "domain");
		buf_printf(&line, ", %llu s ago",
			   n(&x->rows.rows[at], "age_s"));
		put(x, "paused", &line);
	}
	buf_free(&line);
}

/* --- a message ------------------------------------------------------------- */

static void tell_envelope(const struct explain *x)
{
	const struct admin_record *m = kept_find(&x->rows, "message");
	const struct history *h = &x->history;
	struct buf line;

	buf_init(&line, 64u << 10);
	if (m != NULL) {
		add(&line, "from ", m, "from");
		buf_printf(&line, ", %llu octets, recipients: %llu",
			   n(m, "size"), n(m, "recipients"));
		add(&line, ", ", m, "class");
		add(&line, ", tenant ", m, "tenant");
		add(&line, ", campaign ", m, "campaign");
		buf_printf(&line, "; accepted %s ago",
			   human_time(n(m, "age_s")).text);
		buf_printf(&line, ", expires in %s",
			   human_time(n(m, "expires_in_s")).text);
	} else if (h->count > 0) {
		buf_printf(&line, "from %s, %llu octets", h->from,
			   (unsigned long long)h->size);
		if (h->accepted[0] != '\0')
			buf_printf(&line, ", accepted %s", h->accepted);
	}
	if (line.len > 0)
		put(x, "message", &line);
	buf_free(&line);
}

static void add_last(struct buf *line, const struct history_rcpt *r)
{
	buf_printf(line, "last: %s at %s", r->type, r->time);
	if (r->host[0] != '\0')
		buf_printf(line, " with %s", r->host);
	if (r->stage[0] != '\0')
		buf_printf(line, " at %s", r->stage);
	if (r->code != 0)
		buf_printf(line, ": %u %s%s%s", r->code, r->enhanced,
			   r->enhanced[0] == '\0' ? "" : " ", r->reply);
	else if (r->reply[0] != '\0')
		buf_printf(line, ": %s", r->reply);
}

static void tell_open(const struct explain *x, const struct admin_record *row)
{
	const struct history_rcpt *last = history_find(
		&x->history, (uint32_t)admin_number_of(row, "rcpt"));
	char when[80], rule[200];
	struct buf line;

	buf_init(&line, 64u << 10);
	add(&line, "", row, "to");
	add(&line, ": ", row, "state");
	buf_printf(&line, ", attempts: %llu", n(row, "attempts"));
	if (n(row, "unsure") > 0)
		buf_printf(&line, ", %llu unsure", n(row, "unsure"));
	if (n(row, "due_in_s") > 0) {
		explain_when(n(row, "due_in_s"), when, sizeof(when));
		buf_printf(&line, ", next at %s", when);
	}
	explain_rule(x, row, last, rule, sizeof(rule));
	if (rule[0] != '\0')
		buf_printf(&line, ": %s", rule);
	put(x, "recipient", &line);
	if (last != NULL && last->attempt > 0) {
		buf_clear(&line);
		add_last(&line, last);
		put(x, "", &line);
	}
	buf_free(&line);
}

static void tell_settled(const struct explain *x, const struct history_rcpt *r)
{
	struct buf line;

	buf_init(&line, 64u << 10);
	buf_printf(&line, "%s: ", r->to);
	add_last(&line, r);
	put(x, "recipient", &line);
	buf_free(&line);
}

static void tell_message(const struct explain *x)
{
	size_t at;
	struct buf line;
	uint32_t i;

	tell_envelope(x);
	for (at = 0; at < x->rows.count; at++)
		if (span_eq(x->rows.rows[at].verb, SPAN("row")))
			tell_open(x, &x->rows.rows[at]);
	for (i = 0; i < x->history.count; i++)
		if (x->history.rcpts[i].final ||
		    kept_find(&x->rows, "row") == NULL)
			tell_settled(x, &x->history.rcpts[i]);
	buf_init(&line, 4096);
	for (i = 0; i < x->domain_count; i++) {
		buf_clear(&line);
		buf_printf(&line, "%s: %s", x->domains[i].name,
			   x->domains[i].answer);
		put(x, "domain", &line);
	}
	buf_free(&line);
	if (!x->history.whole)
		puts("Only the newest part of the event log was searched.");
}

void explain_tell(struct explain *x)
{
	const struct screen *s = &x->o->screen;
	const struct explain_domain *d = &x->domains[0];
	struct buf first;

	buf_init(&first, 4096);
	screen_add(&first, span_str(x->id[0] != '\0' ? x->answer : d->answer));
	printf("%s%.*s.%s\n", screen_paint(s, BOLD), (int)first.len, first.p,
	       screen_paint(s, PLAIN));
	buf_free(&first);
	if (x->id[0] != '\0') {
		tell_message(x);
		return;
	}
	tell_queue(x, d);
	tell_pauses(x, d);
	tell_route(x, d);
	tell_found(x, d);
	tell_site(x, d);
	tell_hosts(x, d);
}
