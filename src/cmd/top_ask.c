/*
 * cmd/top_ask.c - looks at the daemon
 *
 *	pulse ─► figures and, from the look before, rates
 *	site list (busy ones) ─► a row each
 *	sum by campaign ─► a row each; it walks the whole queue, so it is asked
 *	for only while it is shown, and never more than a tenth of the time
 */
#include "cmd/top.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>

#define ANSWER_MS  10000
#define TIMES_TOOK 10u

uint64_t top_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint64_t top_number(const struct top *t, const char *key)
{
	return t->pulse.count == 0 ? 0
				   : admin_number_of(&t->pulse.rows[0], key);
}

struct span top_text(const struct top *t, const char *key)
{
	return t->pulse.count == 0 ? SPAN("")
				   : admin_text_of(&t->pulse.rows[0], key);
}

/* --- the way to the daemon ------------------------------------------------- */

static void lose(struct top *t, int err)
{
	if (t->connected)
		admin_client_close(&t->client);
	t->connected = false;
	snprintf(t->trouble, sizeof(t->trouble), "%s",
		 err == -ENOENT || err == -ECONNREFUSED
			 ? "it does not run"
			 : strerrordesc_np(-err));
}

static int join(struct top *t)
{
	int err;

	if (t->connected)
		return 0;
	err = admin_client_open(&t->client, t->socket);
	if (err < 0) {
		lose(t, err);
		return err;
	}
	t->client.wait_ms = ANSWER_MS;
	t->connected = true;
	return 0;
}

void top_close(struct top *t)
{
	enum top_view v;

	if (t->connected)
		admin_client_close(&t->client);
	t->connected = false;
	kept_clear(&t->pulse);
	for (v = 0; v < TOP_VIEWS; v++) {
		free(t->all[v].rows);
		free(t->shown[v]);
	}
}

/* 1: a row; 0: that was all; negative: over, told. */
static int next_row(struct top *t)
{
	int rc = admin_client_next(&t->client);
	struct span words;

	if (rc == -ECANCELED) {
		words = admin_text_of(&t->client.rec, "words");
		snprintf(t->message, sizeof(t->message), "%.*s", (int)words.len,
			 words.p);
		t->message_ms = top_now_ms();
	} else if (rc < 0) {
		lose(t, rc);
	}
	return rc;
}

static int send_request(struct top *t)
{
	int err;

	admin_end(&t->client.out);
	err = admin_client_ask(&t->client);
	if (err < 0)
		lose(t, err);
	return err;
}

int top_change(struct top *t, struct buf *request)
{
	int rc;

	(void)request; /* stands in t->client.out */
	rc = send_request(t);
	if (rc < 0)
		return EX_UNAVAILABLE;
	while ((rc = next_row(t)) == 1)
		continue;
	return rc == 0 ? EX_OK : EX_UNAVAILABLE;
}

/* --- rows ------------------------------------------------------------------ */

static void put_text(struct top_row *row, enum top_text which,
		     const struct admin_record *rec, const char *key)
{
	struct span s = admin_text_of(rec, key);

	snprintf(row->text[which], TOP_TEXT_MAX, "%.*s", (int)s.len,
		 s.p == NULL ? "" : s.p);
}

static void site_row(struct top_row *row, const struct admin_record *rec)
{
	put_text(row, TOP_NAME, rec, "site");
	put_text(row, TOP_STATE, rec, "state");
	put_text(row, TOP_LIMIT, rec, "limit");
	put_text(row, TOP_LAST, rec,
		 admin_text_of(rec, "why").len > 0 ? "why" : "last");
	row->n[TOP_WINDOW] = admin_number_of(rec, "window");
	row->n[TOP_OPEN] = admin_number_of(rec, "sessions") +
			   admin_number_of(rec, "connecting");
	row->n[TOP_IDLE] =
		admin_number_of(rec, "sessions") - admin_number_of(rec, "busy");
	row->n[TOP_QUEUED] =
		admin_number_of(rec, "tasks") + admin_number_of(rec, "running");
	row->n[TOP_AGAIN_S] = admin_number_of(rec, "again_in_s");
	row->n[TOP_LAST_AGO_S] = admin_number_of(rec, "last_s_ago");
	row->n[TOP_DELIVERED_SUM] = admin_number_of(rec, "delivered");
	row->n[TOP_DEFERRED_SUM] = admin_number_of(rec, "deferred");
}

static void campaign_row(struct top_row *row, const struct admin_record *rec)
{
	put_text(row, TOP_NAME, rec, "campaign");
	put_text(row, TOP_TENANT, rec, "tenant");
	snprintf(row->text[TOP_STATE], TOP_TEXT_MAX, "%s",
		 admin_number_of(rec, "paused") != 0 ? "paused" : "open");
	row->n[TOP_QUEUED] = admin_number_of(rec, "waiting");
	row->n[TOP_DEFERRED] = admin_number_of(rec, "deferred");
	row->n[TOP_HELD] = admin_number_of(rec, "held");
}

static struct top_row *row_new(struct top_rows *r)
{
	size_t more = r->size == 0 ? 64 : r->size * 2;
	void *p = r->rows;

	if (r->count == r->size) {
		p = realloc(r->rows, more * sizeof(*r->rows));
		if (p == NULL)
			return NULL;
		r->rows = p;
		r->size = more;
	}
	r->rows[r->count] = (struct top_row){ .n = { 0 } };
	return &r->rows[r->count++];
}

static int by_name(const void *a, const void *b)
{
	const struct top_row *x = a, *y = b;
	int by = strcmp(x->text[TOP_NAME], y->text[TOP_NAME]);

	return by != 0 ? by : strcmp(x->text[TOP_TENANT], y->text[TOP_TENANT]);
}

/* Sites of one provider may bear one name: they are one row. */
static void join_rows(struct top_rows *r)
{
	size_t i, to = 0;
	unsigned n;

	if (r->count > 1)
		qsort(r->rows, r->count, sizeof(r->rows[0]), by_name);
	for (i = 0; i < r->count; i++) {
		if (to == 0 || by_name(&r->rows[to - 1], &r->rows[i]) != 0) {
			r->rows[to++] = r->rows[i];
			continue;
		}
		for (n = 0; n < TOP_NUMBERS; n++)
			r->rows[to - 1].n[n] += r->rows[i].n[n];
	}
	r->count = to;
}

static uint64_t per_second(uint64_t before, uint64_t now, uint64_t ms)
{
	return now > before && ms > 0 ? (now - before) * 10000 / ms : 0;
}

static void rate_rows(struct top_rows *now, const struct top_rows *before,
		      uint64_t ms)
{
	const struct top_row *old;
	size_t i;

	for (i = 0; i < now->count && before->count > 0; i++) {
		uint64_t *n = now->rows[i].n;

		old = bsearch(&now->rows[i], before->rows, before->count,
			      sizeof(*old), by_name);
		if (old == NULL)
			continue;
		n[TOP_OUT] = per_second(old->n[TOP_DELIVERED_SUM],
					n[TOP_DELIVERED_SUM], ms);
		n[TOP_PUT_OFF] = per_second(old->n[TOP_DEFERRED_SUM],
					    n[TOP_DEFERRED_SUM], ms);
	}
}

/* Read the answer's rows; the old ones stay when it breaks off. */
static int take_rows(struct top *t, enum top_view view, uint64_t ms)
{
	struct top_rows rows = { .count = 0 }, *old = &t->all[view];
	struct top_row *row;
	int rc;

	while ((rc = next_row(t)) == 1) {
		row = row_new(&rows);
		if (row == NULL)
			continue;
		if (view == TOP_SITES)
			site_row(row, &t->client.rec);
		else
			campaign_row(row, &t->client.rec);
	}
	if (rc < 0) {
		free(rows.rows);
		return rc;
	}
	join_rows(&rows);
	rate_rows(&rows, old, ms);
	free(old->rows);
	*old = rows;
	return 0;
}

/* --- looks ----------------------------------------------------------------- */

static void remember(struct top *t, uint64_t out)
{
	if (t->history_count == TOP_HISTORY)
		memmove(t->history, t->history + 1,
			--t->history_count * sizeof(t->history[0]));
	t->history[t->history_count++] = out;
}

/* From the look before, or from the daemon's last minute at the first. */
static void find_rates(struct top *t, const struct kept *before)
{
	const struct admin_record *now = &t->pulse.rows[0];
	const struct admin_record *old =
		before->count > 0 ? before->rows : NULL;
	static const char *const keys[] = { "accepted", "delivered", "deferred",
					    "bounced" };
	uint64_t *rates[] = { &t->rates.in, &t->rates.out, &t->rates.deferred,
			      &t->rates.bounced };
	char minute[40];
	size_t i;

	/* Another life of the daemon: its counters began anew. */
	if (old != NULL &&
	    admin_number_of(old, "pid") != admin_number_of(now, "pid"))
		old = NULL;
	for (i = 0; i < 4; i++) {
		snprintf(minute, sizeof(minute), "minute_%s", keys[i]);
		if (old == NULL)
			*rates[i] =
				per_second(0, admin_number_of(now, minute),
					   admin_number_of(now, "minute_ms"));
		else
			*rates[i] = per_second(
				admin_number_of(old, keys[i]),
				admin_number_of(now, keys[i]),
				admin_number_of(now, "at_ms") -
					admin_number_of(old, "at_ms"));
	}
	remember(t, t->rates.out);
}

static int look_pulse(struct top *t)
{
	struct kept fresh = { .count = 0 }, before = t->pulse;
	int rc;

	admin_begin(&t->client.out, "pulse");
	if (send_request(t) < 0)
		return -1;
	while ((rc = next_row(t)) == 1)
		if (span_eq(t->client.rec.verb, SPAN("pulse")))
			kept_add(&fresh, &t->client.rec);
	if (rc < 0 || fresh.count == 0) {
		kept_clear(&fresh);
		return -1;
	}
	t->pulse = fresh;
	find_rates(t, &before);
	kept_clear(&before);
	return 0;
}

static int look_sites(struct top *t, uint64_t ms)
{
	admin_begin(&t->client.out, "site");
	admin_text(&t->client.out, "verb", SPAN("list"));
	admin_text(&t->client.out, "which", SPAN("busy"));
	if (send_request(t) < 0)
		return -1;
	return take_rows(t, TOP_SITES, ms);
}

static int look_campaigns(struct top *t)
{
	uint64_t begin_ms = top_now_ms();
	int rc;

	if (t->campaigns_ms != 0 &&
	    begin_ms < t->campaigns_ms + TIMES_TOOK * t->campaigns_took_ms)
		return 0;
	admin_begin(&t->client.out, "sum");
	admin_text(&t->client.out, "by", SPAN("campaign"));
	if (send_request(t) < 0)
		return -1;
	rc = take_rows(t, TOP_CAMPAIGNS, 0);
	t->campaigns_ms = top_now_ms();
	t->campaigns_took_ms = t->campaigns_ms - begin_ms;
	return rc;
}

/* The rest would not come, and not say why. */
static bool look_stands(struct top *t)
{
	uint64_t ms = kept_stands_ms(&t->pulse);

	if (ms == 0)
		return false;
	snprintf(t->message, sizeof(t->message),
		 "the daemon waits, for %s by now: sites and campaigns are as "
		 "they were; mtaq status says for what",
		 human_time(ms / 1000).text);
	t->message_ms = top_now_ms();
	return true;
}

void top_look(struct top *t)
{
	uint64_t now_ms = top_now_ms(), ms = now_ms - t->looked_ms;
	int rc = join(t);

	if (rc == 0)
		rc = look_pulse(t);
	if (rc == 0 && look_stands(t)) {
		t->seen = true;
		return;
	}
	if (rc == 0 && (t->view == TOP_SITES || t->json || t->once))
		rc = look_sites(t, t->looked_ms == 0 ? 0 : ms);
	if (rc == 0 && (t->view == TOP_CAMPAIGNS || t->json))
		rc = look_campaigns(t);
	t->looked_ms = now_ms;
	if (rc == 0) {
		t->seen = true;
		top_arrange(t);
	}
}
