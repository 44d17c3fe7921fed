/*
 * cmd/explain_json.c - mtaq explain, for programs
 *
 *	{ "domain" | "id", "reason", "answer", "daemon",
 *	  "queue": {}, "route": {}, "mx": [], "lookup": {}, "site": {},
 *	  "hosts": [], "pauses": [] }                         a domain
 *	{ ..., "message": {}, "recipients": [], "flights": [],
 *	  "history": [], "domains": [] }                      a message
 */
#include "cmd/explain.h"

#include "base/json.h"

#include <stdio.h>

static void add_flag(struct buf *b, const char *key, bool yes)
{
	json_key(b, key);
	buf_printf(b, "%s", yes ? "true" : "false");
}

/* All rows of a verb as a list. */
static void add_rows(struct buf *b, const char *key, const struct kept *rows,
		     const char *verb)
{
	size_t at;
	bool first = true;

	json_key(b, key);
	buf_add_char(b, '[');
	for (at = 0; at < rows->count; at++) {
		if (!span_eq(rows->rows[at].verb, span_str(verb)))
			continue;
		if (!first)
			buf_add_char(b, ',');
		first = false;
		operator_json(b, &rows->rows[at]);
	}
	buf_add_char(b, ']');
}

static void add_row(struct buf *b, const char *key, const struct kept *rows,
		    const char *verb)
{
	const struct admin_record *rec = kept_find(rows, verb);

	json_key(b, key);
	if (rec == NULL)
		buf_printf(b, "null");
	else
		operator_json(b, rec);
}

static void add_lookup(struct buf *b, const struct probe_found *f)
{
	const struct mxset *set = f->set;
	uint16_t i;

	json_key(b, "lookup");
	if (set == NULL) {
		buf_printf(b, "null");
		return;
	}
	buf_add_char(b, '{');
	json_member(b, "how", span_str(f->how));
	add_flag(b, "ok", set->status == MX_OK);
	json_member(b, "why", span_str(set->why));
	json_key(b, "hosts");
	buf_add_char(b, '[');
	for (i = 0; i < set->host_count; i++) {
		buf_printf(b, "%s{", i > 0 ? "," : "");
		json_member(b, "host", span_str(set->hosts[i].name));
		json_member_u64(b, "preference", set->hosts[i].preference);
		json_member_u64(b, "addresses", set->hosts[i].addr_count);
		buf_add_char(b, '}');
	}
	buf_printf(b, "]}");
}

static void add_domain(struct buf *b, const struct explain_domain *d,
		       bool daemon)
{
	json_member(b, "domain", span_str(d->name));
	json_member(b, "reason", span_str(d->reason));
	json_member(b, "answer", span_str(d->answer));
	add_flag(b, "daemon", daemon);
	json_key(b, "queue");
	buf_add_char(b, '{');
	json_member_u64(b, "waiting", d->waiting);
	json_member_u64(b, "deferred", d->deferred);
	json_member_u64(b, "held", d->held);
	if (d->due)
		json_member_u64(b, "due_in_s", d->due_in_s);
	buf_add_char(b, '}');
	add_row(b, "route", &d->rows, "route");
	add_rows(b, "mx", &d->rows, "mx");
	add_lookup(b, &d->found);
	add_row(b, "site", &d->rows, "site");
	add_rows(b, "hosts", &d->rows, "host");
}

static void add_history(struct buf *b, const struct history *h)
{
	const struct history_rcpt *r;
	uint32_t i;

	json_key(b, "history");
	buf_add_char(b, '[');
	for (i = 0; i < h->count; i++) {
		r = &h->rcpts[i];
		buf_printf(b, "%s{", i > 0 ? "," : "");
		json_member_u64(b, "rcpt", r->rcpt);
		json_member(b, "to", span_str(r->to));
		json_member(b, "type", span_str(r->type));
		add_flag(b, "final", r->final);
		json_member(b, "time", span_str(r->time));
		json_member(b, "host", span_str(r->host));
		json_member(b, "stage", span_str(r->stage));
		json_member(b, "class", span_str(r->class));
		json_member_u64(b, "code", r->code);
		json_member(b, "enhanced", span_str(r->enhanced));
		json_member(b, "reply", span_str(r->reply));
		json_member_u64(b, "attempt", r->attempt);
		json_member_u64(b, "events", r->events);
		buf_add_char(b, '}');
	}
	buf_add_char(b, ']');
	add_flag(b, "history_whole", h->whole && h->err == 0);
}

static void add_recipients(struct buf *b, const struct explain *x)
{
	size_t at;
	char rule[200];
	bool first = true;

	json_key(b, "recipients");
	buf_add_char(b, '[');
	for (at = 0; at < x->rows.count; at++) {
		if (!span_eq(x->rows.rows[at].verb, SPAN("row")))
			continue;
		if (!first)
			buf_add_char(b, ',');
		first = false;
		operator_json(b, &x->rows.rows[at]);
		b->len--; /* its brace: the rule goes in */
		explain_rule(x, &x->rows.rows[at],
			     history_find(&x->history,
					  (uint32_t)admin_number_of(
						  &x->rows.rows[at], "rcpt")),
			     rule, sizeof(rule));
		json_member(b, "rule", span_str(rule));
		buf_add_char(b, '}');
	}
	buf_add_char(b, ']');
}

static void add_message(struct buf *b, const struct explain *x)
{
	uint32_t i;

	json_member(b, "id", span_str(x->id));
	json_member(b, "reason", span_str(x->reason));
	json_member(b, "answer", span_str(x->answer));
	add_flag(b, "daemon", x->daemon);
	add_row(b, "message", &x->rows, "message");
	add_recipients(b, x);
	add_rows(b, "flights", &x->rows, "flight");
	add_history(b, &x->history);
	json_key(b, "domains");
	buf_add_char(b, '[');
	for (i = 0; i < x->domain_count; i++) {
		buf_printf(b, "%s{", i > 0 ? "," : "");
		add_domain(b, &x->domains[i], x->daemon);
		buf_add_char(b, '}');
	}
	buf_add_char(b, ']');
}

void explain_json(struct explain *x)
{
	struct buf b;

	buf_init(&b, 16u << 20);
	buf_add_char(&b, '{');
	if (x->id[0] != '\0')
		add_message(&b, x);
	else
		add_domain(&b, &x->domains[0], x->daemon);
	add_rows(&b, "pauses", &x->rows, "pause");
	if (b.failed == 0)
		printf("%.*s}\n", (int)b.len, b.p);
	else
		fprintf(stderr, "%s: the answer is too large\n", x->o->name);
	buf_free(&b);
}
