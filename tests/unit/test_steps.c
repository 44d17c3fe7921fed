/*
 * Sessions in steps: bulk mail gets twice as many at each step, and no more
 * while the worker has no time left (site_table_step()).
 */
#include "site_rig.h"

static const struct rig_host one[] = { { "mx.one.test", 10, 1 } };
static struct rig rig;
static struct site_conn *conns[64];
static uint32_t open_count;

static void start(void)
{
	struct mxset *mx = rig_set(one, 1);

	rig_start(&rig, NULL, mx);
	mxset_unref(&mx);
	open_count = 0;
}

static void stop(void)
{
	while (open_count > 0)
		site_conn_close(&conns[--open_count], NULL, rig.now, NULL);
	site_put(&rig.site);
	site_table_free(&rig.table);
}

/* As many sessions as it wants now, each ready at once. */
static uint32_t fill(struct site_load load)
{
	struct site_target t;
	uint64_t when;

	while (site_want(rig.site, &load, rig.now, &t, &when) == SITE_OPEN) {
		ck_assert_uint_lt(open_count, 64);
		conns[open_count++] = t.conn;
		site_conn_connected(t.conn, rig.now);
		site_conn_ready(t.conn, rig.now);
	}
	return open_count;
}

static void step(bool saturated)
{
	rig.now += SITE_STEP_MS;
	site_table_step(rig.table, saturated);
}

static const struct site_load bulk = { .waiting = 1000 };

START_TEST(who_takes_no_steps_opens_all)
{
	start();
	ck_assert_uint_eq(fill(bulk), 10);
	stop();
}
END_TEST

START_TEST(twice_as_many_each_step)
{
	static const uint32_t want[] = { 1, 2, 2, 4, 4, 8, 8, 10, 10 };

	start();
	step(false);
	ck_assert_uint_eq(fill(bulk), 1);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		step(false); /* in the middle of which it may have opened */
		ck_assert_uint_eq(fill(bulk), want[i]);
	}
	stop();
}
END_TEST

START_TEST(none_more_while_saturated)
{
	uint64_t until;

	start();
	step(false);
	ck_assert_uint_eq(fill(bulk), 1);
	for (int i = 0; i < 100; i++) {
		step(true);
		site_conn_begin(conns[0], rig.now);
		site_conn_end(conns[0], false, rig.now);
		ck_assert_uint_eq(fill(bulk), 1);
	}
	ck_assert_int_eq(site_limit(rig.site, &bulk, rig.now, &until),
			 SITE_LIMIT_WORKER);
	ck_assert_uint_gt(until, rig.now);
	ck_assert_uint_le(until, rig.now + 1000);
	step(false);
	ck_assert_int_eq(site_limit(rig.site, &bulk, rig.now, &until),
			 SITE_LIMIT_STEP);
	step(false);
	ck_assert_uint_eq(fill(bulk), 2);
	stop();
}
END_TEST

/* A host that holds its only session would hold the site's mail. */
START_TEST(one_more_where_nothing_is_heard)
{
	uint64_t begun;

	start();
	step(true);
	ck_assert_uint_eq(fill(bulk), 1);
	for (uint32_t n = 2; n < 5; n++) {
		site_conn_begin(conns[open_count - 1], rig.now);
		begun = rig.now;
		while (rig.now + SITE_STEP_MS < begun + SITE_STALL_MS) {
			step(true);
			ck_assert_uint_eq(fill(bulk), n - 1);
		}
		step(true);
		ck_assert_uint_eq(fill(bulk), n);
	}
	while (open_count > 0) {
		if (open_count < 4)
			site_conn_end(conns[open_count - 1], false, rig.now);
		site_conn_close(&conns[--open_count], NULL, rig.now, NULL);
	}
	stop();
}
END_TEST

START_TEST(a_first_session_always)
{
	start();
	for (int i = 0; i < 10; i++)
		step(true);
	ck_assert_uint_eq(fill(bulk), 1);
	stop();
}
END_TEST

START_TEST(transactional_mail_does_not_wait)
{
	struct site_load urgent = { .waiting = 1005, .urgent = 5 };

	start();
	step(true);
	ck_assert_uint_eq(fill(bulk), 1);
	ck_assert_uint_eq(fill(urgent), 5);
	stop();
}
END_TEST

START_TEST(one_that_ends_is_replaced)
{
	start();
	for (int i = 0; i < 8; i++) {
		step(false);
		(void)fill(bulk);
	}
	ck_assert_uint_eq(open_count, 8);
	step(true);
	for (int i = 0; i < 3; i++)
		site_conn_close(&conns[--open_count], NULL, rig.now, NULL);
	ck_assert_uint_eq(fill(bulk), 8);
	stop();
}
END_TEST

START_TEST(an_idle_site_begins_with_one)
{
	start();
	for (int i = 0; i < 8; i++) {
		step(false);
		(void)fill(bulk);
	}
	while (open_count > 0)
		site_conn_close(&conns[--open_count], NULL, rig.now, NULL);
	ck_assert_uint_eq(fill(bulk), 1);
	stop();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("steps");
	TCase *tc = tcase_create("steps");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, who_takes_no_steps_opens_all);
	tcase_add_test(tc, twice_as_many_each_step);
	tcase_add_test(tc, none_more_while_saturated);
	tcase_add_test(tc, one_more_where_nothing_is_heard);
	tcase_add_test(tc, a_first_session_always);
	tcase_add_test(tc, transactional_mail_does_not_wait);
	tcase_add_test(tc, one_that_ends_is_replaced);
	tcase_add_test(tc, an_idle_site_begins_with_one);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
