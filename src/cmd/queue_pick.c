/*
 * cmd/queue_pick.c - which messages a decision is for
 *
 * A decision by id covers all recipients of the message in a domain.  Where
 * --rcpt names some of them only, the message is left out and counted: it is
 * the operator's to name it by its id.
 */
#include "cmd/queue_pick.h"

#include "base/msgid.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#define IDS_MAX 1000 /* of one decision (mtaq/queue.h) */

void pick_ask(struct operator* o, const struct pick_place *at)
{
	const struct operator_filter *f = &o->filter;
	struct buf *out = operator_request(o, "list");

	operator_words(o, out);
	if (f->site != NULL)
		admin_text(out, "site", span_str(f->site));
	if (f->rcpt != NULL)
		admin_text(out, "rcpt", span_str(f->rcpt));
	if (f->state != NULL)
		admin_text(out, "state", span_str(f->state));
	admin_number(out, "older_s", f->older_s);
	admin_number(out, "stage", at->stage);
	admin_number(out, "queue", at->queue);
	admin_number(out, "slot", at->slot);
	admin_number(out, "id", at->id);
	admin_number(out, "next", at->next);
	operator_ask(o);
}

bool pick_place_next(struct operator* o, struct pick_place *at)
{
	const struct admin_record *rec = &o->client.rec;

	if (o->code != EX_OK)
		return false;
	at->more = admin_number_of(rec, "more") != 0;
	at->stage = admin_number_of(rec, "stage");
	at->queue = admin_number_of(rec, "queue");
	at->slot = admin_number_of(rec, "slot");
	at->id = admin_number_of(rec, "id");
	at->next = admin_number_of(rec, "next");
	return true;
}

void pick_init(struct pick *p)
{
	*p = (struct pick){ .count = 0 };
	buf_init(&p->names, UINT32_MAX);
}

void pick_free(struct pick *p)
{
	free(p->items);
	buf_free(&p->names);
}

static int grow(struct pick *p)
{
	size_t size = p->size == 0 ? 1024 : p->size * 2;
	struct picked *items;

	if (p->count < p->size)
		return 0;
	items = realloc(p->items, size * sizeof(*items));
	if (items == NULL)
		return -ENOMEM;
	p->items = items;
	p->size = size;
	return 0;
}

static struct span domain_of(const struct pick *p, const struct picked *it)
{
	return span_of(p->names.p + it->domain, it->domain_len);
}

/* Take a row in; rows of one task follow each other. */
static int add(struct pick *p, const struct admin_record *rec)
{
	struct span domain = admin_text_of(rec, "domain");
	struct picked *last = p->count == 0 ? NULL : &p->items[p->count - 1];
	struct picked it;

	if (msgid_parse(admin_text_of(rec, "id"), &it.id) < 0)
		return -EPROTO;
	if (admin_number_of(rec, "others") > 0) {
		p->left_out++;
		return 0;
	}
	p->rcpts++;
	if (admin_number_of(rec, "recipients") == 1)
		domain = SPAN(""); /* its id says it all: fewer decisions */
	it.domain_len = (uint16_t)domain.len;
	it.domain = (uint32_t)p->names.len;
	if (last != NULL && span_eq(domain_of(p, last), domain)) {
		if (last->id == it.id)
			return 0;
		it.domain = last->domain;
	} else if (buf_add_span(&p->names, domain) < 0) {
		return -ENOMEM;
	}
	if (grow(p) < 0)
		return -ENOMEM;
	p->items[p->count++] = it;
	return 0;
}

static int add_rows(struct operator* o, struct pick *p)
{
	int err = 0;

	while (operator_next(o)) {
		if (err == 0 && span_eq(o->client.rec.verb, SPAN("row")))
			err = add(p, &o->client.rec);
	}
	if (err < 0) {
		fprintf(stderr, "%s: %s; nothing was changed\n", o->name,
			strerrordesc_np(-err));
		return EX_OSERR;
	}
	return o->code;
}

int pick_filter(struct operator* o, struct pick *p)
{
	struct pick_place at = { .more = true };
	int code;

	while (at.more) {
		pick_ask(o, &at);
		code = add_rows(o, p);
		if (code != EX_OK)
			return code;
		(void)pick_place_next(o, &at);
	}
	if (p->left_out > 0)
		fprintf(stderr,
			"%s: %llu rows are left out: their messages have other "
			"recipients in the domain, which a decision would "
			"cover too; name such a message by its id\n",
			o->name, (unsigned long long)p->left_out);
	return EX_OK;
}

int pick_ids(struct operator* o, struct pick *p)
{
	int i, code, result = EX_OK;
	struct buf *out;
	uint64_t before;

	for (i = 1; i < o->word_count; i++) {
		before = p->rcpts;
		out = operator_request(o, "show");
		admin_text(out, "id", span_str(o->words[i]));
		operator_ask(o);
		code = add_rows(o, p);
		if (code != EX_OK && code != EX_DATAERR)
			return code;
		if (p->rcpts > before)
			continue;
		fprintf(stderr, "%s: %s has nothing queued\n", o->name,
			o->words[i]);
		result = EX_DATAERR;
	}
	return result;
}

static int by_domain(const void *a, const void *b, void *arg)
{
	const struct picked *x = a, *y = b;
	const struct pick *p = arg;
	size_t len =
		x->domain_len < y->domain_len ? x->domain_len : y->domain_len;
	int diff = len == 0 ? 0
			    : memcmp(p->names.p + x->domain,
				     p->names.p + y->domain, len);

	if (diff != 0)
		return diff;
	if (x->domain_len != y->domain_len)
		return x->domain_len < y->domain_len ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

int pick_decide(struct operator* o, struct pick *p, const char *verb)
{
	char id[MSGID_LEN + 1];
	struct buf ids;
	size_t at, n;

	o->code = EX_OK;
	if (p->count == 0)
		return EX_OK;
	qsort_r(p->items, p->count, sizeof(*p->items), by_domain, p);
	buf_init(&ids, 64u << 10);
	for (at = 0; at < p->count && o->code == EX_OK; at += n) {
		struct span domain = domain_of(p, &p->items[at]);
		struct buf *out = operator_request(o, "decide");

		buf_clear(&ids);
		for (n = 0; at + n < p->count && n < IDS_MAX &&
			    span_eq(domain_of(p, &p->items[at + n]), domain);
		     n++) {
			msgid_print(p->items[at + n].id, id);
			buf_printf(&ids, "%s%s", n > 0 ? "," : "", id);
		}
		admin_text(out, "verb", span_str(verb));
		admin_text(out, "domain", domain);
		admin_text(out, "ids", buf_span(&ids));
		operator_decide(o);
	}
	buf_free(&ids);
	return o->code;
}
