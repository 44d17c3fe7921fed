/*
 * tests/unit/test_nomem.c - the pure layers when memory runs out
 *
 * Each scenario runs once for every allocation that it makes, with that one
 * failing.  The error must be the promised one, what was there must be as it
 * was, and the work must go on when there is memory again.
 */
#include "base/buf.h"
#include "base/heap.h"
#include "base/map.h"
#include "base/mring.h"
#include "mail/canon.h"
#include "mtaq/smtp.h"
#include "nomem.h"
#include "sched/sched.h"
#include "site_rig.h"

#include <errno.h>

/* --- base ------------------------------------------------------------------ */

START_TEST(a_buffer_keeps_what_it_has)
{
	struct buf b;
	int i, rc, puts = 0;

	buf_init(&b, 1 << 20);
	nomem_fail(2, true);
	for (i = 0; i < 4096; i++) {
		rc = puts % 2 == 0 ? buf_add(&b, "01234567", 8)
				   : buf_printf(&b, "%s", "01234567");
		if (rc < 0)
			break;
		puts++;
	}
	ck_assert_int_eq(rc, -ENOMEM);
	ck_assert_int_eq(b.failed, -ENOMEM);
	ck_assert_int_eq(buf_printf(&b, "%0500d", 7), -ENOMEM);
	ck_assert_uint_eq(b.len, 8u * (unsigned)puts);
	for (i = 0; i < puts; i++)
		ck_assert_int_eq(memcmp(b.p + 8 * i, "01234567", 8), 0);
	nomem_stop();
	buf_clear(&b);
	ck_assert_int_eq(buf_add_char(&b, 'x'), 0);
	buf_free(&b);
}
END_TEST

START_TEST(a_map_stays_as_it_was)
{
	static int items[200];
	struct nomem n;
	struct map m;
	uint64_t i, have;

	for (nomem_begin(&n); nomem_again(&n);) {
		map_init(&m);
		for (have = 0; have < 200; have++)
			if (map_put(&m, have, &items[have]) < 0)
				break;
		ck_assert(have == 200 || nomem_hit());
		nomem_stop();
		for (i = 0; i < 200; i++) {
			void *item = map_find(&m, i, NULL, NULL);

			ck_assert_ptr_eq(item, i < have ? &items[i] : NULL);
		}
		ck_assert(!map_del(&m, 1000, items));
		ck_assert(have == 200 || map_put(&m, have, &items[have]) == 0);
		map_free(&m);
	}
}
END_TEST

START_TEST(a_heap_stays_as_it_was)
{
	struct heap_node nodes[200];
	struct nomem n;
	struct heap h;
	size_t have, i;

	for (nomem_begin(&n); nomem_again(&n);) {
		heap_init(&h);
		for (i = 0; i < 200; i++)
			heap_node_init(&nodes[i]);
		for (have = 0; have < 200; have++)
			if (heap_put(&h, &nodes[have], 1000 - have) < 0)
				break;
		if (have < 200) {
			ck_assert(nomem_hit() && !heap_has(&nodes[have]));
			nomem_stop();
			/* Moving a node needs no memory. */
			if (have > 0)
				ck_assert_int_eq(heap_put(&h, &nodes[0], 1), 0);
			ck_assert_int_eq(heap_put(&h, &nodes[have], 0), 0);
			ck_assert_ptr_eq(heap_min(&h), &nodes[have]);
			have++;
		}
		ck_assert_uint_eq(h.count, have);
		heap_free(&h);
	}
}
END_TEST

START_TEST(a_ring_or_none)
{
	struct nomem n;
	struct mring *r;

	for (nomem_begin(&n); nomem_again(&n);) {
		r = mring_new(4096);
		ck_assert((r == NULL) == nomem_hit());
		mring_free(&r);
	}
}
END_TEST

START_TEST(an_mx_set_or_none)
{
	struct nomem n;
	struct mxset *set;
	int rc;

	for (nomem_begin(&n); nomem_again(&n);) {
		set = mxset_new(1);
		if (set == NULL) {
			ck_assert(nomem_hit());
			continue;
		}
		rc = mxset_name(set, 0, SPAN("MX.Example."));
		ck_assert_int_eq(rc, nomem_hit() ? -ENOMEM : 0);
		if (rc == 0)
			ck_assert_str_eq(set->hosts[0].name, "mx.example");
		mxset_unref(&set);
	}
}
END_TEST

/* --- sched ----------------------------------------------------------------- */

static void sched_work(struct sched_pool *pool, struct sched_rq *rq)
{
	struct sched_queue q;
	struct sched_task *small, *large;
	struct list out;

	sched_queue_init(&q, 1, 1, 1);
	if (sched_queue_attach(rq, &q) < 0) {
		ck_assert(nomem_hit());
		ck_assert_ptr_null(q.rq);
		return;
	}
	small = sched_task_new(pool, 1);
	large = sched_task_new(pool, 1000);
	ck_assert((small != NULL && large != NULL) || nomem_hit());
	ck_assert_uint_eq(sched_pool_used(pool),
			  (small != NULL ? 1u : 0u) +
				  (large != NULL ? 1u : 0u));
	if (small != NULL) {
		*sched_task_open(small) = 1;
		sched_add(&q, small);
	}
	if (sched_flow_park(&q, 1000) < 0) {
		ck_assert(nomem_hit());
		/* Not parked: the task can be had at once. */
		ck_assert(sched_rq_ready(rq, 0) == (small != NULL));
	} else {
		ck_assert(!sched_rq_ready(rq, 0));
	}
	sched_queue_detach(&q);
	/* A queue that is attached nowhere can be drained too. */
	list_init(&out);
	ck_assert_uint_eq(sched_drain(&q, &out), small != NULL ? 1u : 0u);
	(void)list_pop(&out);
	if (small != NULL)
		sched_task_free(pool, &small);
	if (large != NULL)
		sched_task_free(pool, &large);
}

START_TEST(a_run_queue_says_no_and_goes_on)
{
	struct sched_settings set;
	struct sched_pool *pool;
	struct sched_rq *rq;
	struct nomem n;

	sched_settings_default(&set);
	for (nomem_begin(&n); nomem_again(&n);) {
		pool = sched_pool_new(&set, 1000);
		if (pool == NULL) {
			ck_assert(nomem_hit());
			sched_pool_free(&pool);
			continue;
		}
		rq = sched_rq_new(pool);
		ck_assert(rq != NULL || nomem_hit());
		if (rq != NULL)
			sched_work(pool, rq);
		sched_rq_free(&rq);
		ck_assert_uint_eq(sched_pool_used(pool), 0);
		sched_pool_free(&pool);
	}
}
END_TEST

START_TEST(a_pool_has_a_limit)
{
	struct sched_settings set;
	struct sched_pool *pool;
	struct sched_task *t[3];
	int i;

	sched_settings_default(&set);
	pool = sched_pool_new(&set, 3);
	for (i = 0; i < 3; i++)
		t[i] = sched_task_new(pool, 70);
	ck_assert_ptr_nonnull(t[2]);
	ck_assert_ptr_null(sched_task_new(pool, 1));
	for (i = 0; i < 3; i++)
		sched_task_free(pool, &t[i]);
	sched_pool_free(&pool);
}
END_TEST

/* --- site ------------------------------------------------------------------ */

static const struct rig_host two[] = { { "mx1.example", 10, 1 },
				       { "mx2.example", 10, 2 } };
static const struct rig_host three[] = { { "new.example", 10, 1 },
					 { "mx3.example", 20, 3 },
					 { "mx4.example", 30, 4 } };

/* The site's first hosts, and only those, are as they were. */
static void still_two(struct site *site)
{
	struct site_load load = { .waiting = 100 };
	struct site_target t[2];
	uint64_t when;
	int i;

	nomem_stop();
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(site_want(site, &load, 1, &t[i], &when),
				 SITE_OPEN);
		ck_assert(t[i].addr.ip[3] == 1 || t[i].addr.ip[3] == 2);
	}
	ck_assert(t[0].addr.ip[3] != t[1].addr.ip[3]);
	for (i = 0; i < 2; i++)
		site_conn_close(&t[i].conn, NULL, 1, NULL);
}

static void refresh(struct site *site, const struct mxset *other)
{
	struct site_load load = { .waiting = 1 };
	struct site_target t;
	struct site_info info;
	enum site_answer answer;
	uint64_t when;
	int rc = site_refresh(site, other, 1);

	site_describe(site, 1, &info);
	if (rc < 0) {
		ck_assert_int_eq(rc, -ENOMEM);
		ck_assert(nomem_hit());
		ck_assert_uint_eq(info.addresses, 2);
		still_two(site);
		return;
	}
	ck_assert_uint_eq(info.addresses, 3);
	answer = site_want(site, &load, 1, &t, &when);
	ck_assert(answer == SITE_OPEN || nomem_hit());
	if (answer != SITE_OPEN) { /* no memory for a connection */
		ck_assert_int_eq(answer, SITE_FULL);
		return;
	}
	ck_assert_ptr_eq(site_conn_site(t.conn), site);
	ck_assert_str_eq(t.host, "new.example");
	site_conn_close(&t.conn, NULL, 1, NULL);
}

static void site_work(struct site_table *table, const struct site_key *key,
		      const struct mxset *mx, const struct mxset *other)
{
	struct site *site = site_get(table, key, mx, 1);
	size_t at = 0;

	if (site == NULL) {
		ck_assert(nomem_hit());
		ck_assert_ptr_null(site_table_walk(table, &at));
		return;
	}
	refresh(site, other);
	site_put(&site);
	ck_assert_ptr_nonnull(site_table_walk(table, &at));
}

START_TEST(a_site_keeps_its_hosts)
{
	struct site_settings set;
	struct site_table *table;
	struct mxset *mx = rig_set(two, 2), *other = rig_set(three, 3);
	struct site_key key = rig_key(two, 2);
	struct nomem n;

	site_settings_default(&set);
	for (nomem_begin(&n); nomem_again(&n);) {
		table = site_table_new(&set, 100);
		ck_assert((table == NULL) == (nomem_hit() && n.turn == 1));
		if (table != NULL)
			site_work(table, &key, mx, other);
		site_table_free(&table);
	}
	mxset_unref(&mx);
	mxset_unref(&other);
}
END_TEST

/* An expired set and no memory for the new one: the old hosts stay in use. */
START_TEST(a_site_that_cannot_refresh_is_still_got)
{
	struct site_settings set;
	struct site_table *table;
	struct mxset *mx = rig_set(two, 2), *other = rig_set(three, 3);
	struct site_key key = rig_key(two, 2);
	struct site *site, *same;

	site_settings_default(&set);
	table = site_table_new(&set, 100);
	mx->expires_ms = 100;
	site = site_get(table, &key, mx, 1);
	ck_assert_uint_eq(site_hash(site), key.hash);
	ck_assert_uint_eq(site_refresh_ms(site), 100);
	nomem_fail(1, true);
	same = site_get(table, &key, other, 200);
	ck_assert(nomem_hit());
	ck_assert_ptr_eq(same, site);
	still_two(site);
	site_put(&same);
	site_put(&site);
	site_put(&site);
	site_table_free(&table);
	site_table_free(&table);
	mxset_unref(&mx);
	mxset_unref(&other);
}
END_TEST

/* --- mail ------------------------------------------------------------------ */

/* Every kind of edit, and more of them than the first 64. */
static void odd_mail(struct buf *b)
{
	int i;

	buf_init(b, 1 << 20);
	for (i = 0; i < 100; i++)
		(void)buf_printf(b, "Bcc: a%d@x\r\n", i);
	(void)buf_printf(b, "X: %0600d %0600d\r\n", 1, 2);
	(void)buf_printf(b, "Subject: x\r\n\r\n%01500d\nbare\r.\r\n", 3);
	ck_assert_int_eq(b->failed, 0);
}

START_TEST(a_canonical_form_or_try_later)
{
	const struct canon_settings set = { .unique = SPAN("u"),
					    .id_domain = SPAN("x"),
					    .sender = SPAN("s@y"),
					    .from_add = true,
					    .received = SPAN("by x") };
	struct canon_result res;
	struct canon *c;
	struct nomem n;
	struct buf mail;
	uint64_t size = 0;

	odd_mail(&mail);
	for (nomem_begin(&n); nomem_again(&n);) {
		c = canon_new();
		if (c == NULL) {
			ck_assert(nomem_hit());
			canon_free(&c);
			continue;
		}
		if (canon_make(c, &set, buf_span(&mail), &res) != CANON_OK) {
			ck_assert(nomem_hit());
			ck_assert_int_eq(res.error, CANON_NO_MEMORY);
			nomem_stop();
			ck_assert_int_eq(
				canon_make(c, &set, buf_span(&mail), &res),
				CANON_OK);
		}
		ck_assert(size == 0 || res.size == size);
		size = res.size;
		canon_free(&c);
	}
	buf_free(&mail);
}
END_TEST

/* --- smtp ------------------------------------------------------------------ */

#define MAILS 3

struct talk {
	struct smtp_session *s;
	int taken, told[MAILS], done[MAILS], closed, accepted, dots;
};

static void pull(struct talk *t)
{
	struct smtp_event ev;

	while (smtp_session_event(t->s, &ev)) {
		ck_assert_int_eq(t->closed, 0);
		if (ev.type == SMTP_EV_RCPT)
			t->told[ev.tag]++;
		if (ev.type == SMTP_EV_RCPT &&
		    ev.verdict.result == SMTP_ACCEPTED)
			ck_assert_int_le(++t->accepted, t->dots);
		if (ev.type == SMTP_EV_MAIL_DONE)
			t->done[ev.tag]++;
		if (ev.type == SMTP_EV_CLOSE)
			t->closed++;
	}
}

static void give(struct talk *t)
{
	static const struct smtp_rcpt rcpt = { { "r@x", 3 }, { NULL, 0 } };
	static const struct iovec content = { (void *)(uintptr_t) "hi\r\n", 4 };

	while (!t->closed && t->taken < MAILS && smtp_session_room(t->s) > 0) {
		struct smtp_mail m = { .tag = (uint64_t)t->taken,
				       .sender = SPAN("s@y"),
				       .rcpts = &rcpt,
				       .rcpt_count = 1,
				       .content = &content,
				       .content_count = 1,
				       .content_bytes = 4 };
		int rc = smtp_session_mail(t->s, &m, 0);

		if (rc == -ENOMEM) {
			ck_assert(nomem_hit());
			return;
		}
		ck_assert_int_eq(rc, 0);
		t->taken++;
	}
	if (!t->closed && t->taken == MAILS)
		(void)smtp_session_quit(t->s, 0);
}

/* Let out what wants out, and give the next mail behind the dot. */
static void out(struct talk *t)
{
	struct iovec iov[SMTP_IOV_MAX];
	struct smtp_event ev;
	int i, n;

	do {
		pull(t);
		give(t);
		n = smtp_session_output(t->s, iov, SMTP_OUT_MIN, false, 0);
		for (i = 0; i < n; i++)
			t->dots += iov[i].iov_len >= 3 &&
				   memcmp(iov[i].iov_base, ".\r\n", 3) == 0;
		if (n > 0)
			smtp_session_sent(t->s, 0);
	} while (n > 0);
	/* Who asked for output does not look for events behind that. */
	ck_assert(!smtp_session_event(t->s, &ev));
}

static void talk(struct talk *t)
{
	static const char *const says[] = {
		"220 mx\r\n",
		"250-mx\r\n250 PIPELINING\r\n",
		"250 ok\r\n250 ok\r\n354 go\r\n",
		"250 ok\r\n", /* the first mail's dot: now grouping may be */
		"250 ok\r\n250 ok\r\n354 go\r\n",
		"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n",
		"250 ok\r\n",
		"221 bye\r\n",
	};
	size_t i, at, len;

	for (i = 0; i < sizeof(says) / sizeof(says[0]) && !t->closed; i++) {
		out(t);
		len = strlen(says[i]);
		for (at = 0; at < len && !t->closed; pull(t))
			at += smtp_session_input(t->s, says[i] + at, len - at,
						 0);
		out(t);
	}
	if (!t->closed)
		smtp_session_eof(t->s);
	pull(t);
}

START_TEST(a_session_ends_and_tells_of_every_mail)
{
	const struct smtp_settings set = { .hostname = SPAN("t"),
					   .pipelining = true,
					   .grouping = true };
	struct smtp_pool *pool;
	struct nomem n;
	int m;

	for (nomem_begin(&n); nomem_again(&n);) {
		struct talk t = { .s = NULL };

		pool = smtp_pool_new(10);
		ck_assert(pool != NULL || nomem_hit());
		if (pool != NULL)
			t.s = smtp_session_new(&set, pool, 0);
		ck_assert(t.s != NULL || nomem_hit());
		if (t.s != NULL) {
			talk(&t);
			ck_assert_int_eq(t.closed, 1);
			ck_assert(nomem_hit() || t.accepted == MAILS);
		}
		for (m = 0; m < t.taken; m++) {
			ck_assert_int_eq(t.told[m], 1);
			ck_assert_int_eq(t.done[m], 1);
		}
		smtp_session_free(&t.s);
		smtp_pool_free(&pool);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nomem");
	TCase *tc = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, a_buffer_keeps_what_it_has);
	tcase_add_test(tc, a_map_stays_as_it_was);
	tcase_add_test(tc, a_heap_stays_as_it_was);
	tcase_add_test(tc, a_ring_or_none);
	tcase_add_test(tc, an_mx_set_or_none);
	tcase_add_test(tc, a_run_queue_says_no_and_goes_on);
	tcase_add_test(tc, a_pool_has_a_limit);
	tcase_add_test(tc, a_site_keeps_its_hosts);
	tcase_add_test(tc, a_site_that_cannot_refresh_is_still_got);
	tcase_add_test(tc, a_canonical_form_or_try_later);
	tcase_add_test(tc, a_session_ends_and_tells_of_every_mail);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
