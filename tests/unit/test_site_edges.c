/*
 * tests/unit/test_site_edges.c - sites at the ends of their ranges
 *
 * What the long runs of test_site.c do not come by: limits of the connection
 * table, sessions at their age, sites that are reaped late, words for people,
 * windows and paces at their smallest.
 */
#include "site/classify.h"
#include "site/window.h"
#include "site_rig.h"

static const struct rig_host one[] = { { "mx.example", 10, 1 } };

static struct rig r;

static void start(const struct site_settings *set)
{
	struct mxset *mx = rig_set(one, 1);

	rig_start(&r, set, mx);
	mxset_unref(&mx);
}

static struct site_conn *open_one(uint32_t waiting)
{
	struct site_load load = { .waiting = waiting };
	struct site_target t;
	uint64_t when;

	ck_assert_int_eq(site_want(r.site, &load, r.now, &t, &when), SITE_OPEN);
	return t.conn;
}

static struct site_conn *open_ready(uint32_t waiting)
{
	struct site_conn *c = open_one(waiting);

	site_conn_connected(c, r.now);
	site_conn_ready(c, r.now);
	return c;
}

static enum site_answer want(uint32_t waiting, uint64_t *when_r)
{
	struct site_load load = { .waiting = waiting };
	struct site_target t;

	return site_want(r.site, &load, r.now, &t, when_r);
}

/* --- words ----------------------------------------------------------------- */

START_TEST(every_answer_has_words_of_its_own)
{
	int a, b;

	for (a = 0; a < SITE_ANSWER_COUNT; a++) {
		const char *words = site_answer_words((enum site_answer)a);

		ck_assert_uint_gt(strlen(words), 5);
		for (b = 0; b < a; b++)
			ck_assert_str_ne(
				words, site_answer_words((enum site_answer)b));
	}
}
END_TEST

START_TEST(the_reason_is_without_controls)
{
	struct smtp_verdict v = rig_verdict(SMTP_STAGE_GREETING, 421,
					    "4.7.0 too many "
					    "connections\033[2J\n\377x");
	struct site_conn *c;
	struct site_info info;
	size_t i;

	start(NULL);
	c = open_one(1);
	site_conn_close(&c, &v, r.now, NULL);
	site_describe(r.site, r.now, &info);
	ck_assert_ptr_nonnull(strstr(info.why, "too many connections"));
	for (i = 0; info.why[i] != '\0'; i++)
		ck_assert(info.why[i] >= ' ' && info.why[i] < 0x7f);
	rig_stop(&r);
}
END_TEST

/* --- the table --------------------------------------------------------------- */

START_TEST(a_full_table_opens_nothing)
{
	struct site_settings set;
	struct mxset *mx = rig_set(one, 1);
	struct site_key key = rig_key(one, 1);
	struct site_conn *c[2];
	uint64_t when;

	site_settings_default(&set);
	r = (struct rig){ .now = 1000000 };
	r.table = site_table_new(&set, 2);
	r.site = site_get(r.table, &key, mx, r.now);
	c[0] = open_one(100);
	c[1] = open_one(100);
	ck_assert_uint_eq(site_table_conns(r.table), 2);
	ck_assert_int_eq(want(100, &when), SITE_FULL);
	ck_assert_uint_eq(when, SITE_NEVER);
	site_conn_close(&c[0], NULL, r.now, NULL);
	c[0] = open_one(100);
	site_conn_close(&c[0], NULL, r.now, NULL);
	site_conn_close(&c[1], NULL, r.now, NULL);
	rig_stop(&r);
	mxset_unref(&mx);
}
END_TEST

/* An hour after its last use, but never under a connection. */
START_TEST(a_site_in_use_is_reaped_later)
{
	struct site_conn *c;
	struct site *site;
	size_t at = 0;

	start(NULL);
	c = open_ready(1);
	site = r.site;
	site_put(&site);
	site_table_reap(r.table, r.now + 3599999);
	site_table_reap(r.table, r.now + 3600000);
	ck_assert_ptr_eq(site_table_walk(r.table, &at), r.site);
	ck_assert_ptr_eq(site_conn_site(c), r.site);
	site_conn_close(&c, NULL, r.now + 3600000, NULL);
	/* Its hour begins again. */
	site_table_reap(r.table, r.now + 7199999);
	at = 0;
	ck_assert_ptr_nonnull(site_table_walk(r.table, &at));
	site_table_reap(r.table, r.now + 7200000);
	at = 0;
	ck_assert_ptr_null(site_table_walk(r.table, &at));
	site_table_free(&r.table);
}
END_TEST

/* Rule 14: a day, not the hour; and only as long as it is unused. */
START_TEST(what_a_site_taught_outlives_its_last_use)
{
	struct site *site;
	uint64_t day = 24 * 3600000, hour;
	size_t at = 0;

	start(NULL);
	ck_assert_uint_eq(site_rcpts_max(r.site, r.now), 0);
	site_rcpts_learn(r.site, 20, r.now);
	site = r.site;
	site_put(&site);
	for (hour = 1; hour < 24; hour++) {
		site_table_reap(r.table, r.now + hour * 3600000);
		at = 0;
		ck_assert_ptr_eq(site_table_walk(r.table, &at), r.site);
	}
	ck_assert_uint_eq(site_rcpts_max(r.site, r.now + day - 1), 20);
	ck_assert_uint_eq(site_rcpts_max(r.site, r.now + day), 0);
	site_table_reap(r.table, r.now + day);
	at = 0;
	ck_assert_ptr_null(site_table_walk(r.table, &at));
	site_table_free(&r.table);
}
END_TEST

START_TEST(a_host_without_a_name_is_told_by_its_address)
{
	struct mxset *a = mxset_new(1), *b = mxset_new(1);
	struct site_key ka, kb;

	a->hosts[0].addr_count = b->hosts[0].addr_count = 1;
	a->hosts[0].addrs[0] = (struct mx_addr){ .family = 4,
						 .port = 25,
						 .ip = { 192, 0, 2, 1 } };
	b->hosts[0].addrs[0] = (struct mx_addr){ .family = 4,
						 .port = 25,
						 .ip = { 192, 0, 2, 2 } };
	ck_assert_int_eq(mxset_name(a, 0, SPAN("")), 0);
	ck_assert_int_eq(mxset_name(b, 0, SPAN("")), 0);
	site_key(a, NULL, 0, 0, 0, &ka);
	site_key(b, NULL, 0, 0, 0, &kb);
	ck_assert_uint_ne(ka.hash, kb.hash);
	b->hosts[0].addrs[0].ip[3] = 1;
	site_key(b, NULL, 0, 0, 0, &kb);
	ck_assert_uint_eq(ka.hash, kb.hash);
	mxset_unref(&a);
	mxset_unref(&b);
}
END_TEST

/* --- sessions ---------------------------------------------------------------- */

/* It is kept no longer than its age allows, however short the idle time. */
START_TEST(an_old_session_closes_when_its_age_comes)
{
	struct site_settings set;
	struct site_load none = { 0 };
	struct site_conn *c;
	uint64_t when;

	site_settings_default(&set);
	set.idle_ms = 60000;
	set.age_ms = 30000;
	start(&set);
	c = open_ready(1);
	ck_assert_int_eq(site_conn_next(c, &none, r.now, &when), SITE_KEEP);
	ck_assert_uint_eq(when, r.now + 30000);
	ck_assert_int_eq(site_conn_next(c, &none, r.now + 29999, &when),
			 SITE_KEEP);
	ck_assert_int_eq(site_conn_next(c, &none, r.now + 30000, &when),
			 SITE_CLOSE);
	site_conn_close(&c, NULL, r.now + 30000, NULL);
	rig_stop(&r);
}
END_TEST

/* A pause lets a transaction end and starts no other one behind it. */
START_TEST(in_a_pause_nothing_is_grouped)
{
	struct smtp_verdict v =
		rig_verdict(SMTP_STAGE_RCPT, 451, "4.7.650 try again later");
	struct site_load load = { .waiting = 10 };
	struct reply_class class;
	struct site_conn *c;
	uint64_t when;

	start(NULL);
	c = open_ready(10);
	ck_assert_int_eq(site_conn_next(c, &load, r.now, &when), SITE_TAKE);
	site_conn_begin(c, r.now);
	v.enhanced = (struct smtp_enhanced){ 4, 7, 650 };
	site_conn_verdict(c, &v, r.now, &class);
	ck_assert_int_eq(class.scope, SCOPE_SITE);
	ck_assert_uint_gt(class.pause_s, 0);
	ck_assert_int_eq(site_conn_next(c, &load, r.now, &when), SITE_KEEP);
	ck_assert_uint_ge(when, r.now + class.pause_s * 1000ull);
	ck_assert_int_eq(want(10, &when), SITE_SLOWLY);
	site_conn_end(c, false, r.now);
	site_conn_close(&c, NULL, r.now, NULL);
	rig_stop(&r);
}
END_TEST

/* --- replies ----------------------------------------------------------------- */

START_TEST(a_code_where_it_has_no_business_is_protocol)
{
	struct smtp_verdict v = { .result = SMTP_LOST,
				  .stage = SMTP_STAGE_RCPT,
				  .code = 354,
				  .text = SPAN("go") };
	struct reply_class class;

	reply_classify(&v, NULL, &class);
	ck_assert_int_eq(class.kind, REPLY_PROTOCOL);
	ck_assert_int_eq(class.scope, SCOPE_SESSION);
	v.stage = SMTP_STAGE_GREETING;
	reply_classify(&v, NULL, &class);
	ck_assert_int_eq(class.kind, REPLY_PROTOCOL);
	ck_assert_int_eq(class.scope, SCOPE_HOST);
}
END_TEST

/* --- regulators -------------------------------------------------------------- */

START_TEST(a_window_of_one_stays_one)
{
	struct window w;
	int i;

	window_init(&w, 1, 2);
	for (i = 0; i < 20; i++)
		window_less(&w);
	ck_assert_uint_eq(w.size, 1);
	for (i = 0; i < 20; i++)
		window_bad(&w);
	ck_assert_uint_eq(w.size, 1);
	for (i = 0; i < 100; i++)
		window_good(&w, false); /* not in use: it proves nothing */
	ck_assert_uint_eq(w.size, 1);
	for (i = 0; i < 100; i++)
		window_good(&w, true);
	ck_assert_uint_eq(w.size, 2);
}
END_TEST

START_TEST(a_bucket_without_a_rate_never_waits)
{
	struct bucket b;
	int i;

	bucket_init(&b, 0, 0, 1000);
	for (i = 0; i < 1000; i++) {
		ck_assert_uint_eq(bucket_when(&b, 1000), 1000);
		bucket_take(&b, 1000);
	}
}
END_TEST

/* The slowest pace is a message in ten seconds. */
START_TEST(a_pace_has_a_least)
{
	uint64_t now = 1000000;
	struct pace p;
	int i;

	pace_init(&p, 0, now);
	for (i = 0; i < 20; i++, now += 31000) {
		ck_assert_uint_eq(pace_when(&p, now), now);
		pace_take(&p, now);
		pace_halve(&p, now);
	}
	ck_assert_uint_eq(p.limit_m, 100);
	pace_take(&p, now);
	ck_assert_uint_gt(pace_when(&p, now), now);
	ck_assert_uint_le(pace_when(&p, now), now + 20000);
}
END_TEST

/* A slow cap holds one message at least, and what was halved comes back to
 * the cap, not above it. */
START_TEST(a_capped_pace_comes_back_to_its_cap)
{
	uint64_t now = 1000000, end;
	struct pace p;

	pace_init(&p, 2, now);
	pace_take(&p, now);
	pace_halve(&p, now + 20000);
	ck_assert_uint_lt(p.limit_m, 2000);
	pace_halve(&p, now + 20001); /* answers on their way count once */
	ck_assert_uint_ge(p.limit_m, 100);
	for (end = now + 7200000; now < end; now += 1000)
		if (pace_when(&p, now) <= now)
			pace_take(&p, now);
	ck_assert_uint_eq(p.limit_m, 2000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("site_edges");
	TCase *tc = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, every_answer_has_words_of_its_own);
	tcase_add_test(tc, the_reason_is_without_controls);
	tcase_add_test(tc, a_full_table_opens_nothing);
	tcase_add_test(tc, a_site_in_use_is_reaped_later);
	tcase_add_test(tc, what_a_site_taught_outlives_its_last_use);
	tcase_add_test(tc, a_host_without_a_name_is_told_by_its_address);
	tcase_add_test(tc, an_old_session_closes_when_its_age_comes);
	tcase_add_test(tc, in_a_pause_nothing_is_grouped);
	tcase_add_test(tc, a_code_where_it_has_no_business_is_protocol);
	tcase_add_test(tc, a_window_of_one_stays_one);
	tcase_add_test(tc, a_bucket_without_a_rate_never_waits);
	tcase_add_test(tc, a_pace_has_a_least);
	tcase_add_test(tc, a_capped_pace_comes_back_to_its_cap);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
