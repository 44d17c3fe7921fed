/*
 * tests/unit/test_earn.c - which hosts are sent groups (rule 19)
 */
#include "site_rig.h"

#define DAY 86400000u

static const struct rig_host hosts[] = { { "mx1.earn.test", 10, 1 },
					 { "mx2.earn.test", 10, 2 } };

static struct rig rig;
/* Connections that a test did not ask for: the site's choice of host. */
static struct site_conn *others[16];
static int other_count;

static void start(enum site_grouping how)
{
	struct mxset *mx = rig_set(hosts, 2);
	struct site_settings set;

	site_settings_default(&set);
	ck_assert_int_eq(set.grouping, SITE_GROUPING_AUTO);
	set.grouping = how;
	set.connects_burst = set.connects_per_second = 1000;
	rig_start(&rig, &set, mx);
	mxset_unref(&mx);
}

/* A session with that host, ready; with PIPELINING and a message carried. */
static struct site_conn *session(uint8_t ip)
{
	struct site_load load = { .waiting = 100 };
	struct site_target target;
	uint64_t when;

	while (site_want(rig.site, &load, rig.now, &target, &when) ==
	       SITE_OPEN) {
		site_conn_connected(target.conn, rig.now);
		if (target.addr.ip[3] != ip) {
			others[other_count++] = target.conn;
			continue;
		}
		site_conn_ready(target.conn, rig.now);
		site_conn_offers(target.conn, true, true);
		site_conn_begin(target.conn, rig.now);
		site_conn_end(target.conn, true, rig.now);
		return target.conn;
	}
	ck_abort_msg("no connection to that host");
}

static const char *state(uint8_t ip)
{
	struct site_host_info h;
	uint32_t n;

	for (n = 0; site_host(rig.site, n, rig.now, &h); n++)
		if (h.addr.ip[3] == ip)
			return h.grouping;
	return "";
}

static void stop(void)
{
	while (other_count > 0)
		site_conn_close(&others[--other_count], NULL, rig.now, NULL);
	rig_stop(&rig);
}

static bool may(struct site_conn *c)
{
	return site_conn_may_group(c, rig.now);
}

static void peace(struct site_conn *c)
{
	site_conn_close(&c, NULL, rig.now, NULL);
}

START_TEST(rule_19_one_session_tries_first)
{
	struct site_conn *a, *b, *other;

	start(SITE_GROUPING_AUTO);
	a = session(1);
	b = session(1);
	other = session(2);
	ck_assert_str_eq(state(1), "unknown");
	ck_assert(may(a));
	ck_assert(!may(b));
	ck_assert(may(other)); /* each address for itself */
	ck_assert(may(a));
	ck_assert_str_eq(state(1), "trying");
	site_conn_grouped(a, 1);
	site_conn_grouped(a, 2);
	site_conn_grouped(a, 2); /* no news */
	ck_assert(!may(b));
	site_conn_grouped(a, 3);
	ck_assert(may(b));
	ck_assert(may(a));
	ck_assert_str_eq(state(1), "grouped");
	ck_assert_str_eq(state(2), "trying");
	peace(a);
	peace(b);
	peace(other);
	a = session(1); /* it is remembered, and of one session */
	ck_assert(may(a));
	peace(a);
	stop();
}
END_TEST

START_TEST(rule_19_the_next_tries_when_the_first_has_gone)
{
	struct site_conn *a, *b;

	start(SITE_GROUPING_AUTO);
	a = session(1);
	b = session(1);
	ck_assert(may(a));
	site_conn_grouped(a, 2);
	ck_assert(!may(b));
	peace(a);
	ck_assert_str_eq(state(1), "unknown");
	ck_assert(may(b));
	a = session(1);
	ck_assert(!may(a));
	site_conn_grouped(b, 1); /* what the first has shown counts */
	ck_assert(may(a));
	peace(a);
	peace(b);
	stop();
}
END_TEST

START_TEST(rule_19_not_before_a_message_nor_without_pipelining)
{
	struct site_load load = { .waiting = 100 };
	struct site_target t;
	uint64_t when;

	start(SITE_GROUPING_ON);
	ck_assert_int_eq(site_want(rig.site, &load, rig.now, &t, &when),
			 SITE_OPEN);
	site_conn_connected(t.conn, rig.now);
	site_conn_ready(t.conn, rig.now);
	site_conn_begin(t.conn, rig.now);
	site_conn_offers(t.conn, true, false);
	ck_assert(!may(t.conn)); /* nothing carried */
	site_conn_end(t.conn, false, rig.now);
	site_conn_begin(t.conn, rig.now);
	site_conn_end(t.conn, true, rig.now);
	ck_assert(may(t.conn));
	site_conn_offers(t.conn, false, false);
	ck_assert(!may(t.conn));
	ck_assert_str_eq(state(t.addr.ip[3]), "not-offered");
	peace(t.conn);
	stop();
}
END_TEST

START_TEST(rule_19_on_waits_for_nobody_and_off_never_does)
{
	struct site_conn *a, *b;

	start(SITE_GROUPING_ON);
	a = session(1);
	b = session(1);
	ck_assert(may(a) && may(b));
	ck_assert_str_eq(state(1), "grouped");
	site_conn_distrust(a, rig.now);
	ck_assert(!may(a) && !may(b)); /* not even then */
	peace(a);
	peace(b);
	stop();
	start(SITE_GROUPING_OFF);
	a = session(1);
	ck_assert(!may(a));
	ck_assert_str_eq(state(1), "off");
	peace(a);
	stop();
}
END_TEST

START_TEST(rule_19_distrusted_for_a_day_then_earned_again)
{
	struct site_conn *a, *b;

	start(SITE_GROUPING_AUTO);
	a = session(1);
	b = session(1);
	ck_assert(may(a));
	site_conn_grouped(a, 3);
	ck_assert(may(b));
	site_conn_distrust(a, rig.now);
	ck_assert(!may(a) && !may(b));
	ck_assert_str_eq(state(1), "distrusted");
	rig.now += DAY - 1;
	ck_assert(!may(b));
	rig.now += 1;
	ck_assert_str_eq(state(1), "unknown");
	ck_assert(may(b));
	ck_assert(!may(a));
	peace(a);
	peace(b);
	stop();
}
END_TEST

static uint32_t learned(uint8_t ip)
{
	struct site_host_info h;
	uint32_t n;

	for (n = 0; site_host(rig.site, n, rig.now, &h); n++)
		if (h.addr.ip[3] == ip)
			return h.messages;
	return 0;
}

/* The connection ends where MAIL's answer was due, after one message. */
static void hang_up(struct site_conn *c)
{
	struct smtp_verdict v =
		rig_verdict(SMTP_STAGE_MAIL, 0, "the connection broke");

	site_conn_begin(c, rig.now);
	site_conn_group_broke(c, rig.now);
	site_conn_close(&c, &v, rig.now, NULL);
}

START_TEST(rule_19_who_hangs_up_on_a_group_is_left_alone)
{
	struct site_conn *a;

	start(SITE_GROUPING_AUTO);
	a = session(1);
	ck_assert(may(a));
	hang_up(a);
	ck_assert_str_eq(state(1), "distrusted");
	ck_assert_uint_eq(learned(1), 0); /* rule 5 says nothing here */
	stop();
}
END_TEST

START_TEST(rule_05_a_limit_is_learned_where_groups_are_known)
{
	struct site_conn *a;

	start(SITE_GROUPING_AUTO);
	a = session(1);
	ck_assert(may(a));
	site_conn_grouped(a, 1);
	hang_up(a);
	ck_assert_str_eq(state(1), "unknown");
	ck_assert_uint_eq(learned(1), 1);
	stop();
}
END_TEST

START_TEST(rule_20_chunks_are_earned_likewise)
{
	struct mxset *mx = rig_set(hosts, 2);
	struct site_settings set;
	struct site_host_info h;
	struct site_conn *a, *b;

	site_settings_default(&set);
	ck_assert_int_eq(set.chunking, SITE_CHUNKING_OFF);
	set.connects_burst = set.connects_per_second = 1000;
	set.chunking = SITE_CHUNKING_AUTO;
	rig_start(&rig, &set, mx);
	mxset_unref(&mx);
	a = session(1);
	b = session(1);
	ck_assert(site_conn_may_chunk(a, rig.now));
	ck_assert(!site_conn_may_chunk(b, rig.now));
	ck_assert(may(b)); /* groups are another matter */
	site_conn_chunked(a, 3);
	ck_assert(site_conn_may_chunk(b, rig.now));
	site_conn_no_chunks(a, rig.now);
	ck_assert(!site_conn_may_chunk(b, rig.now));
	ck_assert(site_host(rig.site, 0, rig.now, &h));
	ck_assert_str_eq(h.chunking, "distrusted");
	ck_assert_uint_eq(h.chunking_ms, rig.now + DAY);
	ck_assert_str_eq(h.grouping, "trying");
	rig.now += DAY;
	ck_assert(site_conn_may_chunk(b, rig.now));
	ck_assert(!site_conn_may_chunk(a, rig.now));
	site_conn_distrust(b, rig.now);
	ck_assert(!site_conn_may_chunk(b, rig.now));
	peace(a);
	peace(b);
	stop();
}
END_TEST

START_TEST(rule_20_one_more_ahead_for_each_window)
{
	struct mxset *mx = rig_set(hosts, 2);
	struct site_settings set;
	struct site_conn *a, *b, *other;

	site_settings_default(&set);
	set.connects_burst = set.connects_per_second = 1000;
	set.chunking = SITE_CHUNKING_ON;
	set.chunks_ahead = SITE_AHEAD_MAX;
	rig_start(&rig, &set, mx);
	mxset_unref(&mx);
	a = session(1);
	b = session(1);
	other = session(2);
	ck_assert_uint_eq(site_conn_ahead(a, rig.now), 1);
	site_conn_flew(a, 1);
	ck_assert_uint_eq(site_conn_ahead(b, rig.now), 2);
	site_conn_flew(b, 1); /* all sessions of the host together */
	ck_assert_uint_eq(site_conn_ahead(a, rig.now), 2);
	site_conn_flew(b, 2);
	ck_assert_uint_eq(site_conn_ahead(a, rig.now), 3);
	ck_assert_uint_eq(site_conn_ahead(other, rig.now), 1);
	site_conn_flew(a, 1000);
	ck_assert_uint_eq(site_conn_ahead(a, rig.now), SITE_AHEAD_MAX);
	site_conn_no_chunks(a, rig.now);
	ck_assert_uint_eq(site_conn_ahead(a, rig.now), 1);
	rig.now += DAY;
	ck_assert_uint_eq(site_conn_ahead(a, rig.now), 1); /* anew */
	site_conn_flew(a, 1001);
	ck_assert_uint_eq(site_conn_ahead(a, rig.now), 2);
	site_conn_distrust(b, rig.now);
	rig.now += DAY;
	ck_assert_uint_eq(site_conn_ahead(a, rig.now), 1);
	peace(a);
	peace(b);
	peace(other);
	stop();
}
END_TEST

START_TEST(rule_20_never_more_ahead_than_allowed)
{
	struct mxset *mx = rig_set(hosts, 1);
	struct site_settings set;
	struct site_conn *a;

	site_settings_default(&set);
	ck_assert_uint_eq(set.chunks_ahead, 1);
	set.chunking = SITE_CHUNKING_ON;
	set.chunks_ahead = (uint32_t)_i;
	rig_start(&rig, &set, mx);
	mxset_unref(&mx);
	a = session(1);
	site_conn_flew(a, 1000);
	ck_assert_uint_eq(site_conn_ahead(a, rig.now), (uint32_t)_i);
	site_conn_flew(a, 2000);
	ck_assert_uint_eq(site_conn_ahead(a, rig.now), (uint32_t)_i);
	peace(a);
	stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("earn");
	TCase *t = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(t, rule_19_one_session_tries_first);
	tcase_add_test(t, rule_19_the_next_tries_when_the_first_has_gone);
	tcase_add_test(t, rule_19_not_before_a_message_nor_without_pipelining);
	tcase_add_test(t, rule_19_on_waits_for_nobody_and_off_never_does);
	tcase_add_test(t, rule_19_distrusted_for_a_day_then_earned_again);
	tcase_add_test(t, rule_19_who_hangs_up_on_a_group_is_left_alone);
	tcase_add_test(t, rule_05_a_limit_is_learned_where_groups_are_known);
	tcase_add_test(t, rule_20_chunks_are_earned_likewise);
	tcase_add_test(t, rule_20_one_more_ahead_for_each_window);
	tcase_add_loop_test(t, rule_20_never_more_ahead_than_allowed, 1, 4);
	suite_add_tcase(suite, t);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
