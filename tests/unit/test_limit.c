/*
 * Which limit binds a site right now, and what each of its hosts has said
 * last: what `mtaq explain` and `mtaq site show` print.
 */
#include "site_rig.h"

static const struct rig_host one[] = { { "mx.one.test", 10, 1 } };
static const struct rig_host two[] = { { "mx1.two.test", 10, 1 },
				       { "mx2.two.test", 20, 2 } };
static struct rig rig;

static void start(const struct rig_host *hosts, uint16_t n,
		  const struct site_settings *set)
{
	struct mxset *mx = rig_set(hosts, n);

	rig_start(&rig, set, mx);
	mxset_unref(&mx);
}

static const char *limit(uint64_t *until_r)
{
	struct site_load load = { .waiting = rig.waiting };

	return site_limit_name(site_limit(rig.site, &load, rig.now, until_r));
}

static void limit_is(const char *name, uint64_t from, uint64_t to)
{
	uint64_t until;

	ck_assert_str_eq(limit(&until), name);
	if (to == 0) {
		ck_assert_uint_eq(until, SITE_NEVER);
		return;
	}
	ck_assert_uint_ge(until, from);
	ck_assert_uint_le(until, to);
}

START_TEST(asking_changes_nothing)
{
	start(one, 1, NULL);
	rig.waiting = 1;
	for (int i = 0; i < 100; i++)
		limit_is("none", 0, 0);
	ck_assert_uint_eq(site_table_conns(rig.table), 0);
	rig_turn(&rig);
	ck_assert_uint_eq(site_table_conns(rig.table), 1);
	limit_is("load", rig.now, rig.now + 2000);
	rig_stop(&rig);
}
END_TEST

START_TEST(load_and_operator)
{
	start(one, 1, NULL);
	limit_is("load", 0, 0);
	site_pause(rig.site, true);
	rig.waiting = 10;
	limit_is("operator", 0, 0);
	rig_stop(&rig);
}
END_TEST

START_TEST(the_window)
{
	start(one, 1, NULL);
	rig.waiting = 100000;
	rig_run(&rig, 3000);
	limit_is("window", 0, 0);
	rig_stop(&rig);
}
END_TEST

START_TEST(connections_of_all_sites)
{
	struct mxset *mx = rig_set(one, 1);
	struct site_key key = rig_key(one, 1);
	struct site_load load = { .waiting = 100 };
	struct site_settings set;
	struct site_table *table;
	struct site_target target;
	struct site *site;
	uint64_t until;

	site_settings_default(&set);
	table = site_table_new(&set, 1);
	site = site_get(table, &key, mx, 1000);
	ck_assert_int_eq(site_want(site, &load, 1000, &target, &until),
			 SITE_OPEN);
	ck_assert_int_eq(site_limit(site, &load, 1000, &until),
			 SITE_LIMIT_TABLE);
	site_conn_close(&target.conn, NULL, 1000, NULL);
	site_put(&site);
	site_table_free(&table);
	mxset_unref(&mx);
}
END_TEST

START_TEST(connects_per_second)
{
	struct site_settings set;

	site_settings_default(&set);
	set.connects_burst = 2;
	set.connects_per_second = 1;
	start(one, 1, &set);
	rig.waiting = 1000;
	rig_turn(&rig);
	limit_is("connects", rig.now + 1, rig.now + 1000);
	rig_stop(&rig);
}
END_TEST

START_TEST(rule_32_dead_until_its_probe)
{
	struct site_host_info host;
	uint64_t until;

	start(two, 2, NULL);
	rig.servers[1].closed = rig.servers[2].closed = true;
	rig.waiting = 5;
	rig_run(&rig, 1000);
	ck_assert_str_eq(limit(&until), "dead");
	ck_assert(until > rig.now && until <= rig.now + 60000);
	for (uint32_t n = 0; n < 2; n++) {
		ck_assert(site_host(rig.site, n, rig.now, &host));
		ck_assert_str_eq(host.host, two[n].name);
		ck_assert_uint_eq(host.preference, two[n].preference);
		ck_assert_str_eq(host.health, "bad");
		ck_assert_uint_ge(host.until_ms, until);
		ck_assert_str_eq(host.why, "connection refused");
		ck_assert(host.why_ms > 0 && host.why_ms <= rig.now);
	}
	ck_assert(!site_host(rig.site, 2, rig.now, &host));
	rig.now = until;
	rig_turn(&rig);
	limit_is("probe", 0, 0);
	rig_stop(&rig);
}
END_TEST

START_TEST(what_a_reply_asked_for)
{
	struct smtp_verdict v =
		rig_verdict(SMTP_STAGE_EOD, 421, "[TSS04] de\x1b[2Jferred");
	struct site_host_info host;
	struct reply_class class;
	uint64_t until;

	start(one, 1, NULL);
	rig.waiting = 100000;
	rig_run(&rig, 3000);
	ck_assert(site_host(rig.site, 0, rig.now, &host));
	ck_assert_str_eq(host.health, "well");
	ck_assert_str_eq(host.why, "");
	v.enhanced = (struct smtp_enhanced){ 4, 7, 0 };
	site_conn_verdict(rig.conns[0].conn, &v, rig.now, &class);
	ck_assert_str_eq(limit(&until), "reply");
	ck_assert_uint_eq(until, rig.now + 900000);
	ck_assert(site_host(rig.site, 0, rig.now, &host));
	ck_assert_str_eq(host.why, "421 4.7.0 [TSS04] de [2Jferred");
	rig_stop(&rig);
}
END_TEST

START_TEST(a_rate)
{
	const struct rig_host slow[] = { { "mx.yahoo.co.jp", 10, 1 } };
	uint64_t until;
	bool seen = false;

	start(slow, 1, NULL);
	rig.waiting = 100000;
	for (int i = 0; i < 200 && !seen; i++) {
		rig_run(&rig, 10);
		seen = strcmp(limit(&until), "rate") == 0 && until > rig.now &&
		       until <= rig.now + 1000;
	}
	ck_assert_msg(seen, "a rate of 10 a second never bound");
	rig_stop(&rig);
}
END_TEST

START_TEST(sites_that_share_a_host_share_its_words)
{
	const struct rig_host other[] = { { "mx1.two.test", 10, 1 },
					  { "mx9.other.test", 20, 9 } };
	struct mxset *mx = rig_set(other, 2);
	struct site_key key = rig_key(other, 2);
	struct site_host_info host;
	struct site *site;

	start(two, 2, NULL);
	site = site_get(rig.table, &key, mx, rig.now);
	ck_assert(site != NULL && site != rig.site);
	rig.servers[1].closed = true;
	rig.waiting = 5;
	rig_run(&rig, 1000);
	ck_assert(site_host(site, 0, rig.now, &host));
	ck_assert_str_eq(host.health, "bad");
	ck_assert_str_eq(host.why, "connection refused");
	ck_assert(site_host(site, 1, rig.now, &host));
	ck_assert_str_eq(host.why, "");
	site_put(&site);
	mxset_unref(&mx);
	rig_stop(&rig);
}
END_TEST

START_TEST(every_limit_has_its_words)
{
	for (int i = 0; i < SITE_LIMIT_COUNT; i++) {
		enum site_limit limit = (enum site_limit)i;

		ck_assert_uint_gt(strlen(site_limit_name(limit)), 0);
		ck_assert_uint_gt(strlen(site_limit_words(limit)), 10);
	}
}
END_TEST

static uint64_t unmade(const char *host)
{
	struct site_load load = { .waiting = 1 };
	struct site_target t;
	uint64_t when;

	ck_assert_int_eq(site_want(rig.site, &load, rig.now, &t, &when),
			 SITE_OPEN);
	ck_assert_str_eq(t.host, host);
	ck_assert(!t.probe);
	return site_conn_unmade(&t.conn, rig.now);
}

/* The health of the first host is what it was; the next one is used; when we
 * reach neither, it is us, not a dead site; each wait is twice the last. */
START_TEST(what_is_ours_blames_no_host)
{
	struct site_host_info host;
	struct site_info info;
	uint64_t again;
	int i;

	start(two, 2, NULL);
	rig.waiting = 1;
	ck_assert_uint_eq(unmade("mx1.two.test"), rig.now + 1000);
	ck_assert(site_host(rig.site, 0, rig.now, &host));
	ck_assert_str_eq(host.health, "unknown");
	ck_assert_uint_eq(unmade("mx2.two.test"), rig.now + 1000);
	limit_is("ours", rig.now + 1000, rig.now + 1000);
	site_describe(rig.site, rig.now, &info);
	ck_assert(!info.dead);
	ck_assert_uint_eq(info.addresses_bad, 0);
	for (i = 0, again = 2000; i < 10; i++) {
		rig.now += 100000;
		ck_assert_uint_eq(unmade("mx1.two.test"), rig.now + again);
		again = 2 * again < 60000 ? 2 * again : 60000;
	}
	unmade("mx2.two.test");
	site_retry(rig.site, rig.now);
	limit_is("none", 0, 0);
	rig.now += 100000;
	rig_run(&rig, 1000);
	ck_assert_uint_eq(rig.delivered, 1);
	rig_stop(&rig);
}
END_TEST

/* The first host is bad, the second is out of our reach: the sooner of both
 * times is when there is hope. */
START_TEST(dead_and_ours_together)
{
	struct smtp_verdict v =
		rig_verdict(SMTP_STAGE_CONNECT, 0, "Connection refused");
	struct site_load load = { .waiting = 1 };
	struct site_target t;
	uint64_t when;

	start(two, 2, NULL);
	rig.waiting = 1;
	ck_assert_int_eq(site_want(rig.site, &load, rig.now, &t, &when),
			 SITE_OPEN);
	site_conn_close(&t.conn, &v, rig.now, NULL);
	unmade("mx2.two.test");
	limit_is("dead", rig.now + 1000, rig.now + 1000);
	rig_stop(&rig);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("limit");
	TCase *t = tcase_create("limit");
	SRunner *r;
	int failed;

	tcase_add_test(t, asking_changes_nothing);
	tcase_add_test(t, load_and_operator);
	tcase_add_test(t, the_window);
	tcase_add_test(t, connections_of_all_sites);
	tcase_add_test(t, connects_per_second);
	tcase_add_test(t, rule_32_dead_until_its_probe);
	tcase_add_test(t, what_a_reply_asked_for);
	tcase_add_test(t, a_rate);
	tcase_add_test(t, sites_that_share_a_host_share_its_words);
	tcase_add_test(t, every_limit_has_its_words);
	tcase_add_test(t, what_is_ours_blames_no_host);
	tcase_add_test(t, dead_and_ours_together);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
