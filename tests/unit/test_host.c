/*
 * tests/unit/test_host.c - what is remembered of a host, and for how long
 */
#include "tests/unit/site_rig.h"

#define MINUTE 60000u
#define DAY    (24 * 60 * MINUTE)

static const struct rig_host two[] = { { "a.example", 10, 1 },
				       { "b.example", 20, 2 } };
static const struct rig_host twins[] = { { "a.example", 10, 1 },
					 { "a.example", 10, 2 } };
static struct rig rig;

static void start(const struct rig_host *hosts, uint16_t n)
{
	struct mxset *set = rig_set(hosts, n);

	rig_start(&rig, NULL, set);
	mxset_unref(&set);
}

static struct rig_conn *open_for(const struct site_need *need)
{
	struct site_load load = { .waiting = 1 };
	struct site_target target;
	struct rig_conn *c;
	uint64_t when;

	ck_assert_int_eq(need == NULL ? site_want(rig.site, &load, rig.now,
						  &target, &when)
				      : site_want_for(rig.site, need, rig.now,
						      &target, &when),
			 SITE_OPEN);
	c = rig_open(&rig, &target);
	site_conn_connected(c->conn, rig.now);
	return c;
}

static struct rig_conn *ready_for(const struct site_need *need)
{
	struct rig_conn *c = open_for(need);

	site_conn_ready(c->conn, rig.now);
	return c;
}

static enum site_answer want_for(const struct site_need *need)
{
	struct site_target target;
	uint64_t when;

	return site_want_for(rig.site, need, rig.now, &target, &when);
}

/* --- rule 24 --------------------------------------------------------------- */

static const struct site_need large = { .bytes = 6000 },
			      larger = { .bytes = 9000 },
			      little = { .bytes = 10 },
			      utf8 = { .bytes = 10, .bits = SITE_NEED_UTF8 };

START_TEST(rule_24_next_host_then_nobody)
{
	struct rig_conn *a, *b;
	struct site_info info;

	start(two, 2);
	a = ready_for(NULL);
	ck_assert_int_eq(a->server - rig.servers, 1);
	ck_assert(site_conn_fits(a->conn, &large, rig.now));
	site_conn_refuses(a->conn, &large, rig.now);
	ck_assert(!site_conn_fits(a->conn, &large, rig.now));
	ck_assert(!site_conn_fits(a->conn, &larger, rig.now));
	ck_assert(site_conn_fits(a->conn, &little, rig.now));
	ck_assert_int_eq(site_fit(rig.site, &large, rig.now), SITE_FIT_PERHAPS);
	b = open_for(&large);
	ck_assert_int_eq(b->server - rig.servers, 2);
	/* One is on its way: not a second one. */
	ck_assert_int_eq(want_for(&large), SITE_ENOUGH);
	site_conn_ready(b->conn, rig.now);
	site_conn_refuses(b->conn, &larger, rig.now);
	ck_assert_int_eq(site_fit(rig.site, &large, rig.now), SITE_FIT_PERHAPS);
	ck_assert_int_eq(site_fit(rig.site, &larger, rig.now), SITE_FIT_NEVER);
	ck_assert_int_eq(want_for(&larger), SITE_DEAD);
	/* Nothing is wrong with either. */
	site_describe(rig.site, rig.now, &info);
	ck_assert_uint_eq(info.addresses_bad, 0);
	ck_assert(!info.dead);
	/* Hosts change: asked again after ten minutes. */
	rig.now += 10 * MINUTE;
	ck_assert_int_eq(site_fit(rig.site, &larger, rig.now),
			 SITE_FIT_PERHAPS);
	rig_stop(&rig);
}
END_TEST

START_TEST(rule_24_a_host_that_is_away_may_take_it_later)
{
	struct rig_conn *b;

	start(two, 2);
	site_conn_refuses(ready_for(NULL)->conn, &large, rig.now);
	b = open_for(&large);
	rig_close(&rig, b, SMTP_STAGE_GREETING, 0, "closed");
	ck_assert_int_eq(site_fit(rig.site, &large, rig.now), SITE_FIT_LATER);
	ck_assert_int_eq(want_for(&large), SITE_DEAD);
	ck_assert_int_eq(site_fit(rig.site, &little, rig.now),
			 SITE_FIT_PERHAPS);
	/* When its pause is over it gets one probe, no second one. */
	rig.now += MINUTE;
	ck_assert_int_eq(site_fit(rig.site, &large, rig.now), SITE_FIT_PERHAPS);
	b = open_for(&large);
	ck_assert_int_eq(b->server - rig.servers, 2);
	ck_assert_int_eq(want_for(&large), SITE_PROBING);
	rig_stop(&rig);
}
END_TEST

START_TEST(rule_24_what_is_refused_is_told_apart)
{
	struct rig_conn *a;
	struct site_need no_utf8 = { .bits = SITE_NEED_UTF8 };

	start(two, 2);
	a = ready_for(NULL);
	site_conn_refuses(a->conn, &no_utf8, rig.now);
	ck_assert(!site_conn_fits(a->conn, &utf8, rig.now));
	ck_assert(site_conn_fits(a->conn, &larger, rig.now));
	site_conn_refuses(a->conn, &larger, rig.now);
	ck_assert(site_conn_fits(a->conn, &large, rig.now));
	ck_assert(!site_conn_fits(a->conn, &larger, rig.now));
	ck_assert(!site_conn_fits(a->conn, &utf8, rig.now));
	rig_stop(&rig);
}
END_TEST

/* What one address of a host says holds for the others. */
START_TEST(rule_24_addresses_of_one_host)
{
	start(twins, 2);
	site_conn_refuses(ready_for(NULL)->conn, &large, rig.now);
	ck_assert_int_eq(site_fit(rig.site, &large, rig.now), SITE_FIT_NEVER);
	rig_stop(&rig);
}
END_TEST

/* --- rule 8 ---------------------------------------------------------------- */

/* Two sites whose MX have names of their own and one address. */
START_TEST(rule_08_health_is_of_the_address)
{
	static const struct rig_host mine[] = { { "mx.mine.example", 10, 1 } };
	static const struct rig_host yours[] = { { "mx.yours.example", 5, 1 } };
	struct mxset *set = rig_set(yours, 1);
	struct site_key key = rig_key(yours, 1);
	struct site_load load = { .waiting = 1 };
	struct site_target target;
	struct rig_conn *probe;
	struct site *a, *b;
	uint64_t when;

	start(mine, 1);
	a = rig.site;
	b = site_get(rig.table, &key, set, rig.now);
	ck_assert_ptr_ne(a, b);
	rig_close(&rig, open_for(NULL), SMTP_STAGE_GREETING, 554, "no");
	/* The other knows without a connection of its own. */
	ck_assert_int_eq(site_want(b, &load, rig.now, &target, &when),
			 SITE_DEAD);
	ck_assert_uint_eq(when, rig.now + MINUTE);
	/* One probe for both; the other looks again within a second. */
	rig.now += MINUTE;
	probe = open_for(NULL);
	ck_assert_int_eq(site_want(b, &load, rig.now, &target, &when),
			 SITE_DEAD);
	ck_assert_uint_gt(when, rig.now);
	ck_assert_uint_le(when, rig.now + 1000);
	/* It fails: both wait for two minutes; it works: both may go on. */
	rig_close(&rig, probe, SMTP_STAGE_GREETING, 554, "no");
	ck_assert_int_eq(site_want(b, &load, rig.now, &target, &when),
			 SITE_DEAD);
	ck_assert_uint_eq(when, rig.now + 2 * MINUTE);
	rig.now += 2 * MINUTE;
	rig.site = b;
	probe = ready_for(NULL);
	site_conn_begin(probe->conn, rig.now);
	site_conn_end(probe->conn, true, rig.now);
	rig.site = a;
	probe = open_for(NULL);
	rig.site = b;
	site_put(&a);
	mxset_unref(&set);
	rig_stop(&rig);
}
END_TEST

/* A server that takes two connections, and two sites: the one that has none
 * is refused, and that is no illness. */
START_TEST(rule_08_a_full_host_is_not_a_dead_one)
{
	static const struct rig_host mine[] = { { "mx.mine.example", 10, 1 } };
	static const struct rig_host yours[] = { { "mx.yours.example", 5, 1 } };
	struct mxset *set = rig_set(yours, 1);
	struct site_key key = rig_key(yours, 1);
	struct site_info info;
	struct site *a;

	start(mine, 1);
	a = rig.site;
	(void)ready_for(NULL);
	rig.site = site_get(rig.table, &key, set, rig.now);
	rig_close(&rig, open_for(NULL), SMTP_STAGE_GREETING, 421,
		  "too many connections");
	site_describe(a, rig.now, &info);
	ck_assert(!info.dead);
	site_describe(rig.site, rig.now, &info);
	ck_assert(!info.dead);
	site_put(&a);
	mxset_unref(&set);
	rig_stop(&rig);
}
END_TEST

/* --- rules 3 and 19 -------------------------------------------------------- */

START_TEST(rule_03_no_groups_for_a_day)
{
	static const struct rig_host other[] = { { "else.example", 5, 1 },
						 { "b.example", 20, 2 } };
	struct mxset *set = rig_set(other, 2);
	struct site_key key = rig_key(other, 2);
	struct rig_conn *a, *b;
	struct site *site;

	start(two, 2);
	a = ready_for(NULL);
	site_conn_refuses(a->conn, &large, rig.now);
	b = ready_for(&large);
	ck_assert(site_conn_trusted(a->conn, rig.now));
	site_conn_distrust(a->conn, rig.now);
	ck_assert(!site_conn_trusted(a->conn, rig.now));
	ck_assert(site_conn_trusted(b->conn, rig.now));
	rig_close(&rig, a, SMTP_STAGE_NONE, 0, "");
	rig_close(&rig, b, SMTP_STAGE_NONE, 0, "");
	/* The site is gone for long; another one leads to the address. */
	site_put(&rig.site);
	rig.now += DAY / 2;
	site_table_reap(rig.table, rig.now);
	site = site_get(rig.table, &key, set, rig.now);
	rig.site = site;
	a = ready_for(NULL);
	ck_assert_int_eq(a->server - rig.servers, 1);
	ck_assert(!site_conn_trusted(a->conn, rig.now + DAY / 2 - 1));
	ck_assert(site_conn_trusted(a->conn, rig.now + DAY / 2));
	/* Again: a day from then on. */
	site_conn_distrust(a->conn, rig.now);
	ck_assert(!site_conn_trusted(a->conn, rig.now + DAY - 1));
	ck_assert(site_conn_trusted(a->conn, rig.now + DAY));
	mxset_unref(&set);
	rig_stop(&rig);
}
END_TEST

/* 10,000 are remembered; one more, and nobody is trusted until the first has
 * served its day. */
START_TEST(rule_03_a_full_memory_trusts_nobody)
{
	struct mxset *set = rig_set(two, 2);
	struct site_load load = { .waiting = 1 };
	struct site_target target;
	struct site_key key = rig_key(two, 2);
	uint64_t when;
	struct site_conn *c;
	int i;

	start(two, 2);
	for (i = 0; i <= 10000; i++) {
		set->hosts[0].addrs[0].port = (uint16_t)(1000 + i);
		rig.now += 1000; /* connects a second */
		ck_assert_int_eq(site_refresh(rig.site, set, rig.now), 0);
		ck_assert_int_eq(
			site_want(rig.site, &load, rig.now, &target, &when),
			SITE_OPEN);
		c = target.conn;
		ck_assert(site_conn_trusted(c, rig.now));
		site_conn_distrust(c, rig.now);
		site_conn_close(&c, NULL, rig.now, NULL);
	}
	ck_assert_uint_eq(key.hash, site_hash(rig.site));
	set->hosts[0].addrs[0].port = 99;
	ck_assert_int_eq(site_refresh(rig.site, set, rig.now), 0);
	rig.now += 1000;
	ck_assert_int_eq(site_want(rig.site, &load, rig.now, &target, &when),
			 SITE_OPEN);
	c = target.conn;
	ck_assert(!site_conn_trusted(c, rig.now));
	ck_assert(site_conn_trusted(c, rig.now + DAY));
	site_conn_close(&c, NULL, rig.now, NULL);
	mxset_unref(&set);
	rig_stop(&rig);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("host");
	TCase *t = tcase_create("host");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, rule_24_next_host_then_nobody);
	tcase_add_test(t, rule_24_a_host_that_is_away_may_take_it_later);
	tcase_add_test(t, rule_24_what_is_refused_is_told_apart);
	tcase_add_test(t, rule_24_addresses_of_one_host);
	tcase_add_test(t, rule_08_health_is_of_the_address);
	tcase_add_test(t, rule_08_a_full_host_is_not_a_dead_one);
	tcase_add_test(t, rule_03_no_groups_for_a_day);
	tcase_add_test(t, rule_03_a_full_memory_trusts_nobody);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
