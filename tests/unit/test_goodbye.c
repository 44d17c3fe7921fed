/*
 * tests/unit/test_goodbye.c - whose failure is it that a session broke?
 */
#include "site_rig.h"

static const struct rig_host one[] = { { "mx.example", 10, 1 } };

/* A session on which this was said to a first mail, and which broke at the
 * next one's MAIL: how many addresses are bad then? */
static uint32_t bad_after(uint16_t code)
{
	struct smtp_verdict said = rig_verdict(SMTP_STAGE_EOD, code, "");
	struct smtp_verdict broke = rig_verdict(SMTP_STAGE_MAIL, 0, "");
	struct site_load load = { .waiting = 1 };
	struct site_target target;
	struct reply_class class;
	struct site_info info;
	struct mxset *set = rig_set(one, 1);
	struct rig rig;
	uint64_t when;

	if (code == 250)
		said.result = SMTP_ACCEPTED;
	rig_start(&rig, NULL, set);
	mxset_unref(&set);
	ck_assert_int_eq(site_want(rig.site, &load, rig.now, &target, &when),
			 SITE_OPEN);
	site_conn_connected(target.conn, rig.now);
	site_conn_ready(target.conn, rig.now);
	if (code != 0) {
		site_conn_begin(target.conn, rig.now);
		site_conn_verdict(target.conn, &said, rig.now, &class);
		site_conn_end(target.conn, false, rig.now);
	}
	site_conn_begin(target.conn, rig.now);
	site_conn_verdict(target.conn, &broke, rig.now, &class);
	site_conn_end(target.conn, false, rig.now);
	site_conn_close(&target.conn, &broke, rig.now, NULL);
	site_describe(rig.site, rig.now, &info);
	rig_stop(&rig);
	return info.addresses_bad;
}

START_TEST(rule_05_who_refuses_and_hangs_up_is_not_ill)
{
	ck_assert_uint_eq(bad_after(552), 0);
	ck_assert_uint_eq(bad_after(451), 0);
	ck_assert_uint_eq(bad_after(250), 0); /* no more does who accepts */
	ck_assert_uint_eq(bad_after(0), 1);   /* a fresh session */
}
END_TEST

int main(void)
{
	Suite *s = suite_create("goodbye");
	TCase *t = tcase_create("goodbye");
	SRunner *r;
	int failed;

	tcase_add_test(t, rule_05_who_refuses_and_hangs_up_is_not_ill);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
