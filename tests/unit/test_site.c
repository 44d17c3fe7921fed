/*
 * tests/unit/test_site.c - sites against servers in virtual time
 */
#include "site_rig.h"

static const struct rig_host one[] = { { "mx.example", 10, 1 } };
static const struct rig_host two[] = { { "a.example", 10, 1 },
				       { "b.example", 20, 2 } };
static const struct rig_host equal[] = { { "a.example", 10, 1 },
					 { "b.example", 10, 2 } };
static struct rig rig;

static void start(const struct rig_host *hosts, uint16_t n)
{
	struct mxset *set = rig_set(hosts, n);

	rig_start(&rig, NULL, set);
	mxset_unref(&set);
}

START_TEST(sites_of_a_provider_share_its_limits)
{
	const struct rig_host o1[] = { { "a-com.mail.protection.outlook.com", 0,
					 1 } };
	const struct rig_host o2[] = { { "b-com.mail.protection.outlook.com", 0,
					 2 } };
	struct site_load load = { .waiting = 1000 };
	struct mxset *set = rig_set(o2, 1);
	struct site_key key = rig_key(o2, 1);
	struct site_target target;
	struct site *other;
	uint64_t when;

	start(o1, 1);
	other = site_get(rig.table, &key, set, rig.now);
	rig.waiting = 1000;
	rig_turn(&rig); /* opens all five */
	ck_assert_uint_eq(rig.servers[1].opened, 5);
	ck_assert_int_eq(site_want(other, &load, rig.now, &target, &when),
			 SITE_FULL);
	ck_assert_str_eq(site_provider(other), "office365");
	site_put(&other);
	mxset_unref(&set);
	rig_stop(&rig);
}
END_TEST

/* --- opening -------------------------------------------------------------- */

START_TEST(load_decides_how_many_up_to_the_limit)
{
	static const uint32_t table[][2] = { { 0, 0 },    { 1, 1 },  { 3, 1 },
					     { 4, 2 },    { 20, 6 }, { 36, 10 },
					     { 9999, 10 } };
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		start(one, 1);
		rig.waiting = table[i][0];
		rig_turn(&rig);
		ck_assert_uint_eq(rig.servers[1].opened, table[i][1]);
		rig_stop(&rig);
	}
}
END_TEST

START_TEST(urgent_mail_waits_for_no_one)
{
	struct site_load load = { .waiting = 2, .urgent = 2 };
	struct site_target target;
	uint64_t when;
	int i;

	start(one, 1);
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(
			site_want(rig.site, &load, rig.now, &target, &when),
			SITE_OPEN);
		rig_open(&rig, &target);
	}
	ck_assert_int_eq(site_want(rig.site, &load, rig.now, &target, &when),
			 SITE_ENOUGH);
	rig_stop(&rig);
}
END_TEST

START_TEST(equals_are_spread)
{
	start(equal, 2);
	rig.waiting = 400;
	rig_run(&rig, 1000);
	ck_assert_uint_eq(rig.servers[1].opened, 5);
	ck_assert_uint_eq(rig.servers[2].opened, 5);
	rig_stop(&rig);
}
END_TEST

START_TEST(a_full_first_mx_is_no_reason_for_the_second)
{
	start(two, 2);
	rig.servers[1].cap = 2;
	rig.waiting = 5000;
	rig_run(&rig, 60000);
	ck_assert_uint_gt(rig.servers[1].refused, 0);
	ck_assert_uint_eq(rig.servers[2].opened, 0);
	rig_stop(&rig);
}
END_TEST

START_TEST(connects_per_second)
{
	struct site_settings set;
	struct mxset *mx = rig_set(one, 1);

	site_settings_default(&set);
	set.messages = 1; /* a new connection for each */
	rig_start(&rig, &set, mx);
	mxset_unref(&mx);
	rig.waiting = 100000;
	rig_run(&rig, 10000);
	ck_assert_uint_ge(rig.servers[1].opened, 100);
	ck_assert_uint_le(rig.servers[1].opened, 111);
	rig_stop(&rig);
}
END_TEST

/* --- rules 8, 9, 32 -------------------------------------------------------- */

START_TEST(rule_09_second_host_in_the_same_attempt)
{
	start(two, 2);
	rig.servers[1].closed = true;
	rig.waiting = 1;
	rig_run(&rig, 200);
	ck_assert_uint_eq(rig.servers[1].opened, 1);
	ck_assert_uint_eq(rig.delivered, 1);
	ck_assert_uint_eq(rig.servers[2].carried, 1);
	/* It is remembered: no connection more for the first minute. */
	rig.waiting = 500;
	rig_run(&rig, 50000);
	ck_assert_uint_eq(rig.delivered, 501);
	ck_assert_uint_eq(rig.servers[1].opened, 1);
	/* Then one probe, and back to the first once it is well. */
	rig.servers[1].closed = false;
	rig.waiting = 3000;
	rig_run(&rig, 80000);
	ck_assert_uint_ge(rig.servers[1].carried, 100);
	rig_stop(&rig);
}
END_TEST

START_TEST(rule_08_staggered_connect_after_two_seconds)
{
	start(two, 2);
	rig.servers[1].dark = true;
	rig.waiting = 1;
	rig_run(&rig, 2000);
	ck_assert_uint_eq(rig.servers[2].opened, 0);
	ck_assert_uint_eq(rig.servers[1].opened, 1);
	rig_run(&rig, 200);
	ck_assert_uint_eq(rig.servers[2].opened, 1);
	ck_assert_uint_eq(rig.delivered, 1);
	rig_stop(&rig);
}
END_TEST

START_TEST(rule_08_a_dark_first_mx_takes_no_window)
{
	start(two, 2);
	rig.servers[1].dark = true;
	rig.waiting = 2000;
	rig_run(&rig, 25000);
	/* Ten to the dark one, and ten that work. */
	ck_assert_uint_eq(rig.servers[1].opened, 10);
	ck_assert_uint_eq(rig.servers[2].most, 10);
	ck_assert_uint_eq(rig.delivered, 2000);
	rig_stop(&rig);
}
END_TEST

static void all_dead(void)
{
	uint64_t parked;
	uint32_t opened;

	rig.waiting = 1000;
	rig_run(&rig, 3000);
	ck_assert_int_eq(rig.answer, SITE_DEAD);
	opened = rig.servers[1].opened + rig.servers[2].opened;
	ck_assert_uint_le(opened, 20);
	parked = rig.when;
	ck_assert_uint_ge(parked, rig.now + 55000);
	/* Six hours: at most 7 doublings and then one an hour a host. */
	rig_run(&rig, 6 * 3600 * 1000);
	opened = rig.servers[1].opened + rig.servers[2].opened - opened;
	ck_assert_uint_ge(opened, 10);
	ck_assert_uint_le(opened, 26);
	ck_assert_uint_eq(rig.waiting, 1000); /* tasks stay untouched */
	ck_assert_uint_eq(rig.delivered, 0);
}

START_TEST(rule_32_dead_site_is_parked_one_probe)
{
	start(two, 2);
	rig.servers[1].closed = rig.servers[2].closed = true;
	all_dead();
	rig.servers[2].closed = false;
	rig_run(&rig, 3600 * 1000 + 120000);
	ck_assert_uint_eq(rig.delivered, 1000);
	rig_stop(&rig);
}
END_TEST

START_TEST(rule_09_greeting_5yz_everywhere_is_temporary)
{
	start(equal, 2);
	rig.servers[1].greeting = rig.servers[2].greeting = 554;
	all_dead();
	rig_stop(&rig);
}
END_TEST

START_TEST(rule_08_one_probe_at_a_time)
{
	struct site_load load = { .waiting = 1000 };
	struct site_target target;
	struct rig_conn *c;
	uint64_t when;

	start(equal, 2);
	rig.servers[1].closed = rig.servers[2].closed = true;
	rig.waiting = 1000;
	rig_run(&rig, 1000);
	rig.now += 3600 * 1000; /* both are due */
	ck_assert_int_eq(site_want(rig.site, &load, rig.now, &target, &when),
			 SITE_OPEN);
	ck_assert(target.probe);
	c = rig_open(&rig, &target);
	ck_assert_int_eq(site_want(rig.site, &load, rig.now, &target, &when),
			 SITE_PROBING);
	/* Ready alone proves little: MAIL has to work. */
	site_conn_connected(c->conn, rig.now);
	site_conn_ready(c->conn, rig.now);
	ck_assert_int_eq(site_want(rig.site, &load, rig.now, &target, &when),
			 SITE_PROBING);
	ck_assert_int_eq(site_conn_next(c->conn, &load, rig.now, &when),
			 SITE_TAKE);
	site_conn_begin(c->conn, rig.now);
	ck_assert_int_eq(site_conn_next(c->conn, &load, rig.now, &when),
			 SITE_KEEP);
	site_conn_end(c->conn, true, rig.now);
	ck_assert_int_eq(site_want(rig.site, &load, rig.now, &target, &when),
			 SITE_OPEN);
	rig_open(&rig, &target);
	rig_stop(&rig);
}
END_TEST

START_TEST(a_host_that_greets_and_hangs_up_backs_off)
{
	start(one, 1);
	rig.servers[1].hangs_up = true;
	rig.waiting = 1000;
	rig_run(&rig, 2 * 3600 * 1000);
	/* 10 at first, then probes at 1, 2, 4 ... minutes */
	ck_assert_uint_le(rig.servers[1].opened, 18);
	ck_assert_uint_ge(rig.servers[1].opened, 12);
	ck_assert_uint_eq(rig.waiting, 1000);
	rig_stop(&rig);
}
END_TEST

START_TEST(a_host_that_works_again_is_forgiven)
{
	struct site_info info;

	start(one, 1);
	rig.servers[1].closed = true;
	rig.waiting = 5000;
	rig_run(&rig, 4 * 60000); /* bad for 1, 2, 4 minutes */
	rig.servers[1].closed = false;
	rig_run(&rig, 4 * 60000);
	ck_assert_uint_gt(rig.delivered, 100);
	rig.servers[1].closed = true;
	while (site_table_conns(rig.table) > 0)
		rig_run(&rig, 10);
	rig.waiting = 1;
	rig_run(&rig, 100);
	site_describe(rig.site, rig.now, &info);
	ck_assert(info.dead);
	ck_assert_uint_le(info.until_ms, rig.now + 60000);
	rig_stop(&rig);
}
END_TEST

/* --- rule 5 ---------------------------------------------------------------- */

START_TEST(rule_05_learns_messages_per_session)
{
	struct site_info info;

	start(one, 1);
	rig.servers[1].messages = 7;
	rig.waiting = 10000;
	rig_run(&rig, 20000);
	site_describe(rig.site, rig.now, &info);
	ck_assert_uint_eq(info.messages, 7);
	ck_assert_uint_eq(info.addresses_bad, 0); /* no penalty */
	/* Only the ten sessions that were open at first were cut, and one for
	 * each try whether the limit still stands. */
	ck_assert_uint_le(rig.put_back, 14);
	ck_assert_uint_gt(rig.delivered, 1000);
	/* And the limit is tried again, slowly. */
	rig.servers[1].messages = 0;
	rig_run(&rig, 200000);
	site_describe(rig.site, rig.now, &info);
	ck_assert_uint_gt(info.messages, 7);
	rig_stop(&rig);
}
END_TEST

/* Said in words by a server that waits for QUIT. */
START_TEST(rule_05_learns_from_452_to_mail)
{
	struct site_info info;

	start(one, 1);
	rig.servers[1].messages = 7;
	rig.servers[1].says_so = true;
	rig.waiting = 10000;
	rig_run(&rig, 20000);
	site_describe(rig.site, rig.now, &info);
	ck_assert_uint_eq(info.messages, 7);
	ck_assert_uint_eq(info.addresses_bad, 0);
	ck_assert_uint_le(rig.put_back, 14);
	ck_assert_uint_gt(rig.delivered, 1000);
	rig_stop(&rig);
}
END_TEST

START_TEST(rule_05_idle_close_is_nobodys_failure)
{
	struct site_info info;

	start(one, 1);
	rig.waiting = 1;
	rig_run(&rig, 500);
	ck_assert_uint_eq(rig.delivered, 1);
	rig_close(&rig, &rig.conns[0], SMTP_STAGE_NONE, 0, "");
	site_describe(rig.site, rig.now, &info);
	ck_assert_uint_eq(info.addresses_bad, 0);
	ck_assert_uint_eq(info.messages, 100);
	rig_stop(&rig);
}
END_TEST

/* --- windows ---------------------------------------------------------------- */

START_TEST(window_converges_on_the_servers_cap)
{
	uint32_t refused, opened;

	start(one, 1);
	rig.servers[1].cap = 5;
	rig.waiting = 1000000;
	rig_run(&rig, 900);
	ck_assert_uint_eq(rig.servers[1].refused, 5);
	rig_run(&rig, 9100);
	refused = rig.servers[1].refused;
	opened = rig.servers[1].opened;
	ck_assert_uint_le(refused, 6);
	rig_run(&rig, 600000);
	/* A tenth of the connects, and no mail at all, is refused. */
	refused = rig.servers[1].refused - refused;
	opened = rig.servers[1].opened - opened;
	ck_assert_uint_ge(refused, 2); /* it does try for more */
	ck_assert_uint_le(refused * 6, opened);
	ck_assert_uint_eq(rig.put_back, 0);
	/* Five sessions of 20 messages a second, nearly all the time. */
	ck_assert_uint_ge(rig.delivered, 50000);
	/* When the server takes more, we use it. */
	rig.servers[1].cap = 100;
	rig.servers[1].most = 0;
	rig_run(&rig, 600000);
	ck_assert_uint_eq(rig.servers[1].most, 10);
	rig_stop(&rig);
}
END_TEST

static void tell(struct site_conn *conn, enum smtp_stage stage, uint16_t code,
		 struct smtp_enhanced enhanced, const char *text)
{
	struct smtp_verdict v = rig_verdict(stage, code, text);
	struct reply_class c;

	v.enhanced = enhanced;
	site_conn_verdict(conn, &v, rig.now, &c);
}

START_TEST(a_refusal_is_not_tried_again_at_once)
{
	struct site_load load = { .waiting = 1000 };
	struct site_target target;
	uint64_t when, wait;

	start(one, 1);
	rig.waiting = 10; /* three sessions */
	rig_run(&rig, 100);
	ck_assert_uint_eq(rig.servers[1].live, 3);
	rig.servers[1].cap = 3;
	for (wait = 1000; wait <= 4000; wait *= 2, rig.now = when) {
		struct rig_conn *c;

		ck_assert_int_eq(
			site_want(rig.site, &load, rig.now, &target, &when),
			SITE_OPEN);
		c = rig_open(&rig, &target);
		rig_close(&rig, c, SMTP_STAGE_GREETING, 421,
			  "too many connections");
		ck_assert_int_eq(
			site_want(rig.site, &load, rig.now, &target, &when),
			SITE_FULL);
		ck_assert_uint_eq(when, rig.now + wait);
	}
	rig_stop(&rig);
}
END_TEST

START_TEST(a_recipients_reply_slows_nothing)
{
	static const uint16_t codes[] = { 450, 451, 452, 550, 552, 554 };
	struct site_info before, after;
	size_t i;

	start(one, 1);
	rig.waiting = 1000;
	rig_run(&rig, 2000);
	site_describe(rig.site, rig.now, &before);
	for (i = 0; i < 6000; i++)
		tell(rig.conns[0].conn,
		     i & 1 ? SMTP_STAGE_RCPT : SMTP_STAGE_EOD, codes[i % 6],
		     (struct smtp_enhanced){ (uint8_t)(codes[i % 6] / 100), 2,
					     2 },
		     "[TSS04] too many connections, rate limit");
	site_describe(rig.site, rig.now, &after);
	ck_assert_mem_eq(&before, &after, sizeof(before));
	rig_stop(&rig);
}
END_TEST

START_TEST(a_rate_reply_pauses_and_doubles)
{
	const struct smtp_enhanced e = { 4, 7, 0 };
	struct site_info info;
	uint32_t delivered;
	uint64_t until;

	start(one, 1);
	rig.waiting = 100000;
	rig_run(&rig, 10000);
	tell(rig.conns[0].conn, SMTP_STAGE_EOD, 421, e, "[TSS04] deferred");
	tell(rig.conns[1].conn, SMTP_STAGE_EOD, 421, e, "[TSS04] deferred");
	site_describe(rig.site, rig.now, &info);
	ck_assert_uint_eq(info.until_ms, rig.now + 900000);
	ck_assert_str_eq(info.why, "421 4.7.0 [TSS04] deferred");
	until = info.until_ms;
	delivered = rig.delivered;
	rig_run(&rig, 600000);
	ck_assert_int_eq(rig.answer, SITE_SLOWLY);
	ck_assert_uint_eq(rig.when, until);
	ck_assert_uint_le(rig.delivered, delivered + 10); /* in flight */
	rig_run(&rig, 310000);
	ck_assert_uint_gt(rig.delivered, delivered + 10);
	ck_assert_uint_gt(info.per_second, 0); /* and at half the rate */
	/* Right after the pause the same again: twice as long. */
	tell(rig.conns[0].conn, SMTP_STAGE_EOD, 421, e, "[TSS04] deferred");
	site_describe(rig.site, rig.now, &info);
	ck_assert_uint_eq(info.until_ms, rig.now + 1800000);
	rig_stop(&rig);
}
END_TEST

START_TEST(a_connections_reply_takes_one_less)
{
	const struct rig_host g[] = { { "aspmx.l.google.com", 1, 1 } };
	const struct smtp_enhanced e = { 4, 7, 0 };
	struct smtp_verdict v;
	struct reply_class c;
	struct site_info info;
	uint32_t delivered;

	start(g, 1);
	rig.waiting = 100000;
	rig_run(&rig, 1000);
	site_describe(rig.site, rig.now, &info);
	ck_assert_uint_eq(info.window, 5);
	delivered = rig.delivered;
	v = rig_verdict(SMTP_STAGE_MAIL, 421, "Try again later");
	v.enhanced = e;
	site_conn_verdict(rig.conns[0].conn, &v, rig.now, &c);
	site_conn_verdict(rig.conns[0].conn, &v, rig.now, &c);
	ck_assert_int_eq(c.scope, SCOPE_SITE);
	/* The same reply for two recipients and the end counts once. */
	rig.servers[1].live--;
	site_conn_close(&rig.conns[0].conn, &v, rig.now, &c);
	rig.conns[0] = (struct rig_conn){ 0 };
	site_describe(rig.site, rig.now, &info);
	ck_assert_uint_eq(info.window, 4);
	/* The others go on for the minute, and what ends is replaced. */
	rig_run(&rig, 30000);
	ck_assert_uint_gt(rig.delivered, delivered + 1900);
	ck_assert_uint_eq(rig.servers[1].live, 4);
	/* Told twice more on sessions that live: two of them end. */
	v.code = 450;
	v.enhanced = (struct smtp_enhanced){ 0 };
	v.text = span_str("too many connections");
	site_conn_verdict(rig.conns[1].conn, &v, rig.now, &c);
	site_conn_verdict(rig.conns[1].conn, &v, rig.now, &c);
	site_conn_verdict(rig.conns[1].conn, &v, rig.now, &c);
	rig_run(&rig, 500);
	ck_assert_uint_eq(rig.servers[1].live, 2);
	rig_stop(&rig);
}
END_TEST

/* --- sessions ---------------------------------------------------------------- */

START_TEST(a_session_ends_when_idle_full_or_old)
{
	struct site_load none = { 0 }, some = { .waiting = 9 };
	struct site_conn *conn;
	uint64_t when, ready;
	int i;

	start(one, 1);
	rig.waiting = 1;
	rig_run(&rig, 200);
	conn = rig.conns[0].conn;
	ck_assert_ptr_nonnull(conn);
	ready = rig.now;
	ck_assert_int_eq(site_conn_next(conn, &none, rig.now, &when),
			 SITE_KEEP);
	ck_assert_uint_gt(when, rig.now + 4800);
	ck_assert_uint_le(when, rig.now + 5000);
	ck_assert_int_eq(site_conn_next(conn, &none, when, &when), SITE_CLOSE);
	ck_assert_int_eq(site_conn_next(conn, &some, ready + 601000, &when),
			 SITE_CLOSE);
	ck_assert_uint_eq(site_conn_left(conn), 99);
	for (i = 0; i < 99; i++) {
		ck_assert_int_eq(site_conn_next(conn, &some, rig.now, &when),
				 SITE_TAKE);
		site_conn_begin(conn, rig.now);
		if (i % 2) { /* two in flight */
			site_conn_end(conn, true, rig.now);
			site_conn_end(conn, true, rig.now);
		}
	}
	ck_assert_int_eq(site_conn_next(conn, &some, rig.now, &when),
			 SITE_CLOSE);
	ck_assert_uint_eq(site_conn_left(conn), 0);
	ck_assert(site_conn_carried(conn));
	rig_stop(&rig);
}
END_TEST

START_TEST(an_operators_pause)
{
	start(one, 1);
	rig.waiting = 1000;
	rig_run(&rig, 1000);
	site_pause(rig.site, true);
	rig_run(&rig, 1000);
	ck_assert_int_eq(rig.answer, SITE_PAUSED);
	ck_assert_uint_eq(site_table_conns(rig.table), 0);
	site_pause(rig.site, false);
	rig_run(&rig, 100000);
	ck_assert_uint_eq(rig.delivered, 1000);
	rig_stop(&rig);
}
END_TEST

/* A dead site is probed at once, whatever time it was to be left alone. */
START_TEST(an_operators_retry)
{
	struct site_info info;

	start(two, 2);
	rig.servers[1].closed = rig.servers[2].closed = true;
	all_dead();
	site_describe(rig.site, rig.now, &info);
	ck_assert(info.dead);
	ck_assert_uint_gt(info.until_ms, rig.now + 5000);
	rig.servers[2].closed = false;
	site_retry(rig.site, rig.now);
	rig_run(&rig, 5000);
	ck_assert_uint_gt(rig.delivered, 0);
	rig_stop(&rig);
}
END_TEST

START_TEST(new_addresses_keep_the_health_of_old_ones)
{
	const struct rig_host moved[] = { { "new.example", 10, 1 },
					  { "c.example", 20, 3 } };
	struct mxset *set = rig_set(moved, 2), *away = rig_set(&moved[1], 1);

	start(two, 2);
	rig.servers[1].closed = true;
	rig.waiting = 1;
	rig_run(&rig, 500);
	ck_assert_uint_eq(rig.servers[2].live, 1);
	ck_assert_int_eq(site_refresh(rig.site, away, rig.now), 0);
	ck_assert_int_eq(site_refresh(rig.site, set, rig.now), 0);
	rig.waiting = 100;
	rig_run(&rig, 20000);
	/* 1 stays bad although it was away for a moment, 2 is left, 3 used. */
	ck_assert_uint_eq(rig.servers[1].opened, 1);
	ck_assert_uint_eq(rig.servers[2].carried, 1);
	ck_assert_uint_eq(rig.servers[2].live, 0);
	ck_assert_uint_eq(rig.servers[3].carried, 100);
	mxset_unref(&set);
	mxset_unref(&away);
	rig_stop(&rig);
}
END_TEST

START_TEST(a_site_is_remembered_for_an_hour)
{
	struct mxset *set = rig_set(one, 1);
	struct site_key key = rig_key(one, 1);
	struct site *again;
	struct site_info info;
	size_t at = 0;

	start(one, 1);
	rig.servers[1].closed = true;
	rig.waiting = 1;
	rig_run(&rig, 100);
	site_put(&rig.site);
	site_table_reap(rig.table, rig.now + 3500000);
	again = site_get(rig.table, &key, set, rig.now);
	site_describe(again, rig.now, &info);
	ck_assert(info.dead);
	site_put(&again);
	ck_assert_ptr_nonnull(site_table_walk(rig.table, &at));
	site_table_reap(rig.table, rig.now + 3700000);
	at = 0;
	ck_assert_ptr_null(site_table_walk(rig.table, &at));
	mxset_unref(&set);
	rig_stop(&rig);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("site");
	TCase *t = tcase_create("site");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_test(t, sites_of_a_provider_share_its_limits);
	tcase_add_test(t, load_decides_how_many_up_to_the_limit);
	tcase_add_test(t, urgent_mail_waits_for_no_one);
	tcase_add_test(t, equals_are_spread);
	tcase_add_test(t, a_full_first_mx_is_no_reason_for_the_second);
	tcase_add_test(t, connects_per_second);
	tcase_add_test(t, rule_09_second_host_in_the_same_attempt);
	tcase_add_test(t, rule_08_staggered_connect_after_two_seconds);
	tcase_add_test(t, rule_08_a_dark_first_mx_takes_no_window);
	tcase_add_test(t, rule_32_dead_site_is_parked_one_probe);
	tcase_add_test(t, rule_09_greeting_5yz_everywhere_is_temporary);
	tcase_add_test(t, rule_08_one_probe_at_a_time);
	tcase_add_test(t, a_host_that_greets_and_hangs_up_backs_off);
	tcase_add_test(t, a_host_that_works_again_is_forgiven);
	tcase_add_test(t, rule_05_learns_messages_per_session);
	tcase_add_test(t, rule_05_learns_from_452_to_mail);
	tcase_add_test(t, rule_05_idle_close_is_nobodys_failure);
	tcase_add_test(t, window_converges_on_the_servers_cap);
	tcase_add_test(t, a_refusal_is_not_tried_again_at_once);
	tcase_add_test(t, a_recipients_reply_slows_nothing);
	tcase_add_test(t, a_rate_reply_pauses_and_doubles);
	tcase_add_test(t, a_connections_reply_takes_one_less);
	tcase_add_test(t, a_session_ends_when_idle_full_or_old);
	tcase_add_test(t, an_operators_pause);
	tcase_add_test(t, an_operators_retry);
	tcase_add_test(t, new_addresses_keep_the_health_of_old_ones);
	tcase_add_test(t, a_site_is_remembered_for_an_hour);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
