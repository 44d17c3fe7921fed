/*
 * tests/unit/test_plan.c - what becomes of a recipient, rule by rule
 */
#include "site/plan.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define NOW     1000000u
#define EXPIRES 1432000u

struct row {
	const char *name;
	enum smtp_result result;
	enum smtp_stage stage;
	uint16_t code, cls, subject, detail;
	uint8_t attempts, unsure, moves, again;
	bool carried, any_accepted;
	enum plan_act act;
	uint8_t attempts_after, unsure_after, moves_after;
	enum backoff_kind backoff; /* of a retry */
	uint32_t from_s;           /* of a retry: not before */
};

#define CON   SMTP_STAGE_CONNECT
#define GRT   SMTP_STAGE_GREETING
#define EHL   SMTP_STAGE_EHLO
#define TLS   SMTP_STAGE_STARTTLS
#define MAI   SMTP_STAGE_MAIL
#define RCP   SMTP_STAGE_RCPT
#define DAT   SMTP_STAGE_DATA
#define EOD   SMTP_STAGE_EOD
#define RETRY PLAN_RETRY
#define BACK  PLAN_PUT_BACK

// clang-format off
static const struct row rows[] = {
{ "rule_17_dot_2yz_is_theirs", SMTP_ACCEPTED, EOD, 250,2,0,0, 0,0,0,0, false,true, PLAN_DELIVERED, 1,0,0, 0, 0 },
{ "rule_17_lost_at_dot_is_unsure", SMTP_UNSURE, EOD, 0,0,0,0, 0,0,0,0, false,true, RETRY, 1,1,0, BACKOFF_UNSURE, 900 },
{ "rule_17_unsure_doubles", SMTP_UNSURE, EOD, 0,0,0,0, 3,3,0,0, false,true, RETRY, 4,4,0, BACKOFF_UNSURE, 7200 },
{ "rule_17_not_sent_a_sixth_time", SMTP_UNSURE, EOD, 0,0,0,0, 4,4,0,0, false,true, PLAN_HOLD, 5,5,0, 0, 0 },
{ "rule_17_dot_4yz_deferred", SMTP_DEFERRED, EOD, 451,4,3,0, 0,0,0,0, true,true, RETRY, 1,0,0, BACKOFF_RETRY, 288 },
{ "rule_17_dot_5yz_bounces", SMTP_REJECTED, EOD, 554,5,6,0, 0,0,0,0, true,true, PLAN_BOUNCE, 1,0,0, 0, 0 },
{ "rule_09_connect_next_host", SMTP_LOST, CON, 0,0,0,0, 2,1,1,0, false,false, BACK, 2,1,1, 0, 0 },
{ "rule_09_greeting_4yz_next_host", SMTP_DEFERRED, GRT, 421,0,0,0, 0,0,0,0, false,false, BACK, 0,0,0, 0, 0 },
{ "rule_09_greeting_5yz_is_temporary", SMTP_REJECTED, GRT, 554,5,7,1, 0,0,0,0, false,false, BACK, 0,0,0, 0, 0 },
{ "rule_09_ehlo_5yz_next_host", SMTP_REJECTED, EHL, 550,0,0,0, 0,0,0,0, false,false, BACK, 0,0,0, 0, 0 },
{ "rule_09_starttls_next_host", SMTP_REJECTED, TLS, 454,0,0,0, 0,0,0,0, false,false, BACK, 0,0,0, 0, 0 },
{ "rule_09_mail_421_fresh_next_host", SMTP_DEFERRED, MAI, 421,0,0,0, 0,0,0,0, false,false, BACK, 0,0,1, 0, 0 },
{ "rule_09_mail_close_fresh_next_host", SMTP_LOST, MAI, 0,0,0,0, 0,0,2,0, false,false, BACK, 0,0,3, 0, 0 },
{ "rule_09_a_poison_mail_is_charged", SMTP_LOST, MAI, 0,0,0,0, 0,0,3,0, false,false, RETRY, 1,0,3, BACKOFF_RETRY, 288 },
{ "rule_05_mail_close_carried_no_charge", SMTP_LOST, MAI, 0,0,0,0, 0,0,3,0, true,false, BACK, 0,0,3, 0, 0 },
{ "rule_09_mail_421_carried_as_rule_05", SMTP_DEFERRED, MAI, 421,0,0,0, 1,0,0,0, true,false, BACK, 1,0,0, 0, 0 },
{ "rule_05_mail_452_carried_no_charge", SMTP_DEFERRED, MAI, 452,4,5,3, 1,0,0,0, true,false, BACK, 1,0,0, 0, 0 },
{ "rule_09_mail_452_fresh_waits", SMTP_DEFERRED, MAI, 452,4,5,3, 0,0,0,0, false,false, RETRY, 1,0,0, BACKOFF_RETRY, 288 },
{ "rule_09_mail_452_of_another_kind_waits", SMTP_DEFERRED, MAI, 452,4,3,1, 0,0,0,0, true,false, RETRY, 1,0,0, BACKOFF_RETRY, 288 },
{ "rule_09_mail_4yz_waits", SMTP_DEFERRED, MAI, 451,0,0,0, 0,0,0,0, false,false, RETRY, 1,0,0, BACKOFF_RETRY, 288 },
{ "rule_09_mail_5yz_final", SMTP_REJECTED, MAI, 550,0,0,0, 0,0,0,0, false,false, PLAN_BOUNCE, 1,0,0, 0, 0 },
{ "rule_09_rcpt_4yz_waits", SMTP_DEFERRED, RCP, 450,0,0,0, 0,0,0,0, false,false, RETRY, 1,0,0, BACKOFF_RETRY, 288 },
{ "rule_09_rcpt_421_waits", SMTP_DEFERRED, RCP, 421,0,0,0, 0,0,0,0, false,false, RETRY, 1,0,0, BACKOFF_RETRY, 288 },
{ "rule_09_rcpt_5yz_final", SMTP_REJECTED, RCP, 550,5,1,1, 0,0,0,0, false,true, PLAN_BOUNCE, 1,0,0, 0, 0 },
{ "rule_09_data_4yz_waits", SMTP_DEFERRED, DAT, 451,0,0,0, 0,0,0,0, false,false, RETRY, 1,0,0, BACKOFF_RETRY, 288 },
{ "rule_09_data_5yz_final", SMTP_REJECTED, DAT, 554,0,0,0, 0,0,0,0, false,false, PLAN_BOUNCE, 1,0,0, 0, 0 },
{ "rule_09_lost_at_rcpt_waits", SMTP_LOST, RCP, 0,0,0,0, 0,0,0,0, false,false, RETRY, 1,0,0, BACKOFF_RETRY, 288 },
{ "rule_14_too_many_goes_again", SMTP_AGAIN, RCP, 452,4,5,3, 0,0,0,1, true,false, PLAN_AGAIN, 0,0,0, 0, 0 },
{ "rule_14_twice_without_any", SMTP_AGAIN, RCP, 452,4,5,3, 0,0,0,2, true,false, RETRY, 1,0,0, BACKOFF_RETRY, 288 },
{ "rule_14_progress_may_go_on", SMTP_AGAIN, RCP, 452,4,5,3, 0,0,0,9, true,true, PLAN_AGAIN, 0,0,0, 0, 0 },
{ "rule_31_greylist_first_5_min", SMTP_DEFERRED, RCP, 450,4,7,1, 0,0,0,0, false,false, RETRY, 1,0,0, BACKOFF_GREYLIST, 300 },
{ "rule_31_mailbox_full_an_hour", SMTP_DEFERRED, RCP, 452,4,2,2, 0,0,0,0, false,false, RETRY, 1,0,0, BACKOFF_MAILBOX_FULL, 3600 },
{ "counts_stop_at_255", SMTP_DEFERRED, RCP, 450,0,0,0, 255,0,0,0, false,false, RETRY, 255,0,0, BACKOFF_RETRY, 11520 },
};
// clang-format on

static void ask_of(const struct row *r, struct smtp_verdict *v,
		   struct reply_class *c, struct plan_ask *ask)
{
	*v = (struct smtp_verdict){ .result = r->result,
				    .stage = r->stage,
				    .code = r->code,
				    .enhanced = { (uint8_t)r->cls, r->subject,
						  r->detail } };
	reply_classify(v, NULL, c);
	*ask = (struct plan_ask){ .verdict = v,
				  .class = c,
				  .attempts = r->attempts,
				  .unsure = r->unsure,
				  .moves = r->moves,
				  .again = r->again,
				  .any_accepted = r->any_accepted,
				  .session_carried = r->carried,
				  .slot = NOW - 5,
				  .expires_s = EXPIRES,
				  .now_s = NOW };
}

START_TEST(plan_table)
{
	const struct row *r = &rows[_i];
	struct backoff_settings set;
	struct smtp_verdict v;
	struct reply_class c;
	struct plan_ask ask;
	struct plan p;
	uint64_t q;

	backoff_settings_default(&set);
	ask_of(r, &v, &c, &ask);
	for (q = 0; q < 50; q++) {
		ask.queue_hash = q;
		plan_recipient(&set, &ask, &p);
		ck_assert_msg(p.act == r->act, "%s: %s", r->name,
			      plan_act_name(p.act));
		ck_assert_msg(p.attempts == r->attempts_after, "%s", r->name);
		ck_assert_msg(p.unsure == r->unsure_after, "%s", r->name);
		ck_assert_msg(p.moves == r->moves_after, "%s", r->name);
		if (r->act != PLAN_RETRY)
			continue;
		ck_assert_msg(p.backoff == r->backoff, "%s", r->name);
		ck_assert_msg(p.slot >= NOW + r->from_s, "%s: %u", r->name,
			      p.slot);
	}
}
END_TEST

/* The age limit ends what would be retried, and nothing else. */
START_TEST(rule_31_age_limit)
{
	const struct row *r = &rows[_i];
	struct backoff_settings set;
	struct smtp_verdict v;
	struct reply_class c;
	struct plan_ask ask;
	struct plan p;

	backoff_settings_default(&set);
	ask_of(r, &v, &c, &ask);
	ask.now_s = EXPIRES - 1;
	plan_recipient(&set, &ask, &p);
	ck_assert_int_eq(p.act, r->act);
	ask.now_s = EXPIRES;
	plan_recipient(&set, &ask, &p);
	ck_assert_int_eq(p.act, r->act == PLAN_RETRY ? PLAN_EXPIRE : r->act);
}
END_TEST

START_TEST(local_rules)
{
	static const struct {
		enum local_rule rule;
		enum plan_act act;
		uint8_t cls;
		uint16_t subject, detail;
	} local[] = {
		{ LOCAL_NXDOMAIN, PLAN_BOUNCE, 5, 1, 2 },
		{ LOCAL_NULL_MX, PLAN_BOUNCE, 5, 1, 10 },
		{ LOCAL_NO_ADDRESS, PLAN_BOUNCE, 5, 4, 4 },
		{ LOCAL_LOOP, PLAN_BOUNCE, 5, 4, 6 },
		{ LOCAL_SIZE, PLAN_BOUNCE, 5, 3, 4 },
		{ LOCAL_UTF8, PLAN_BOUNCE, 5, 6, 7 },
		{ LOCAL_EIGHTBIT, PLAN_BOUNCE, 5, 6, 3 },
		{ LOCAL_EXPIRED, PLAN_EXPIRE, 4, 4, 7 },
		{ LOCAL_UNTRIED, PLAN_RETRY, 4, 4, 1 },
		{ LOCAL_DNS, PLAN_RETRY, 4, 4, 3 },
	};
	struct plan_ask ask = { .expires_s = EXPIRES, .now_s = NOW };
	struct backoff_settings set;
	struct plan p;
	size_t i;

	backoff_settings_default(&set);
	for (i = 0; i < sizeof(local) / sizeof(local[0]); i++) {
		struct smtp_enhanced e = plan_local_enhanced(local[i].rule);

		plan_local(&set, &ask, local[i].rule, &p);
		ck_assert_int_eq(p.act, local[i].act);
		ck_assert_uint_eq(e.cls, local[i].cls);
		ck_assert_uint_eq(e.subject, local[i].subject);
		ck_assert_uint_eq(e.detail, local[i].detail);
		ck_assert_uint_gt(strlen(plan_local_words(local[i].rule)), 5);
	}
	/* The last of the table, LOCAL_DNS, is the one that retries. */
	ck_assert_uint_ge(p.slot, NOW + 288);
	ck_assert_uint_eq(p.attempts, 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("plan");
	TCase *t = tcase_create("rules");
	SRunner *r;
	int failed, count = (int)(sizeof(rows) / sizeof(rows[0]));

	tcase_add_loop_test(t, plan_table, 0, count);
	tcase_add_loop_test(t, rule_31_age_limit, 0, count);
	tcase_add_test(t, local_rules);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
