/*
 * cmd/top_once.c - one look, as text or JSON
 */
#include "base/json.h"
#include "cmd/table.h"
#include "cmd/top.h"

#include <stdio.h>

static const struct table_column site_columns[] = {
	{ "site", "SITE", -24 },   { "state", "STATE", -6 },
	{ "limit", "LIMIT", -8 },  { "window", "WIN", 4 },
	{ "open", "OPEN", 4 },     { "idle", "IDLE", 4 },
	{ "queued", "QUEUED", 7 }, { "last", "LAST REFUSAL OR FAILURE", -1 },
	{ NULL, NULL, 0 },
};

static void number_cell(struct table *t, uint64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	table_cell(t, span_str(text));
}

static void print_sites(const struct top *t, const struct screen *screen)
{
	struct table table;
	size_t i;

	table_begin(&table, screen, site_columns);
	for (i = 0; i < t->shown_count[TOP_SITES]; i++) {
		const struct top_row *r =
			&t->all[TOP_SITES].rows[t->shown[TOP_SITES][i]];

		table_cell(&table, span_str(r->text[TOP_NAME]));
		table_cell(&table, span_str(r->text[TOP_STATE]));
		table_cell(&table, span_str(r->text[TOP_LIMIT]));
		number_cell(&table, r->n[TOP_WINDOW]);
		number_cell(&table, r->n[TOP_OPEN]);
		number_cell(&table, r->n[TOP_IDLE]);
		number_cell(&table, r->n[TOP_QUEUED]);
		table_cell(&table, span_str(r->text[TOP_LAST]));
		table_row(&table);
	}
	table_end(&table);
}

static const char *per_second(uint64_t tenths)
{
	static struct human h;

	h = human_rate(tenths, 10000);
	return h.text;
}

int top_print(struct top *t)
{
	struct screen screen;

	screen_init(&screen, true);
	printf("in %s/s  ", per_second(t->rates.in));
	printf("out %s/s  ", per_second(t->rates.out));
	printf("deferred %s/s  ", per_second(t->rates.deferred));
	printf("bounced %s/s\n", per_second(t->rates.bounced));
	printf("queue %s, %s held  ",
	       human_count(top_number(t, "waiting")).text,
	       human_count(top_number(t, "held")).text);
	printf("connections %s, %s idle  ",
	       human_count(top_number(t, "sessions_open")).text,
	       human_count(top_number(t, "sessions_idle")).text);
	printf("sync p99 %s  memory %s\n\n",
	       human_us(top_number(t, "sync_p99_us")).text,
	       human_bytes(top_number(t, "memory")).text);
	if (t->message[0] != '\0')
		printf("%s\n\n", t->message);
	print_sites(t, &screen);
	return 0;
}

/* --- JSON ------------------------------------------------------------------ */

static void add_fields(struct buf *b, const struct admin_record *rec)
{
	char key[ADMIN_WORD_MAX + 1];
	uint32_t i;

	for (i = 0; rec != NULL && i < rec->count; i++) {
		const struct admin_field *f = &rec->fields[i];

		memcpy(key, f->key.p, f->key.len);
		key[f->key.len] = '\0';
		if (f->is_number)
			json_member_u64(b, key, f->number);
		else
			json_member(b, key, f->text);
	}
}

static void add_site(struct buf *b, const struct top_row *r)
{
	buf_add_char(b, '{');
	json_member(b, "site", span_str(r->text[TOP_NAME]));
	json_member(b, "state", span_str(r->text[TOP_STATE]));
	json_member(b, "limit", span_str(r->text[TOP_LIMIT]));
	json_member_u64(b, "window", r->n[TOP_WINDOW]);
	json_member_u64(b, "open", r->n[TOP_OPEN]);
	json_member_u64(b, "idle", r->n[TOP_IDLE]);
	json_member_u64(b, "queued", r->n[TOP_QUEUED]);
	json_member_u64(b, "delivered", r->n[TOP_DELIVERED_SUM]);
	json_member_u64(b, "deferred", r->n[TOP_DEFERRED_SUM]);
	json_member_u64(b, "again_in_s", r->n[TOP_AGAIN_S]);
	json_member(b, "last", span_str(r->text[TOP_LAST]));
	buf_add_char(b, '}');
}

static void add_campaign(struct buf *b, const struct top_row *r)
{
	buf_add_char(b, '{');
	json_member(b, "campaign", span_str(r->text[TOP_NAME]));
	json_member(b, "tenant", span_str(r->text[TOP_TENANT]));
	json_member(b, "state", span_str(r->text[TOP_STATE]));
	json_member_u64(b, "waiting", r->n[TOP_QUEUED]);
	json_member_u64(b, "deferred", r->n[TOP_DEFERRED]);
	json_member_u64(b, "held", r->n[TOP_HELD]);
	buf_add_char(b, '}');
}

static void add_rows(struct buf *b, const struct top_rows *rows,
		     const char *key,
		     void (*add)(struct buf *b, const struct top_row *r))
{
	size_t i;

	json_key(b, key);
	buf_add_char(b, '[');
	for (i = 0; i < rows->count; i++) {
		if (i > 0)
			buf_add_char(b, ',');
		add(b, &rows->rows[i]);
	}
	buf_add_char(b, ']');
}

int top_print_json(struct top *t)
{
	struct buf b;
	int err;

	buf_init(&b, 64u << 20);
	buf_add_char(&b, '{');
	add_fields(&b, kept_find(&t->pulse, "pulse"));
	add_rows(&b, &t->all[TOP_SITES], "sites_listed", add_site);
	add_rows(&b, &t->all[TOP_CAMPAIGNS], "campaigns", add_campaign);
	buf_add_span(&b, SPAN("}\n"));
	err = b.failed;
	if (err == 0)
		printf("%.*s", (int)b.len, b.p);
	buf_free(&b);
	return err;
}
