/*
 * tests/unit/test_classify.c - replies as servers word them, and their class
 */
#include "site/classify.h"

#include <check.h>
#include <stdlib.h>

struct row {
	const char *provider;
	enum smtp_stage stage;
	uint16_t code, cls, subject, detail;
	const char *text;
	enum reply_kind kind;
	enum reply_scope scope;
	uint32_t retry_s, pause_s;
	bool halve, alert;
};

#define GREET SMTP_STAGE_GREETING
#define MAIL  SMTP_STAGE_MAIL
#define RCPT  SMTP_STAGE_RCPT
#define EOD   SMTP_STAGE_EOD
#define SITE  SCOPE_SITE
#define RECIP SCOPE_RECIPIENT
#define MSG   SCOPE_MESSAGE

// clang-format off
static const struct row rows[] = {
{ "google", EOD, 421, 4,7,28, "unusual rate of unsolicited mail originating from your IP", REPLY_RATE, SITE, 0, 0, true, false },
{ "google", GREET, 421, 4,7,28, "unusual rate", REPLY_RATE, SITE, 0, 0, true, false },
{ NULL, EOD, 451, 4,7,23, "no PTR record", REPLY_AUTHENTICATION, SCOPE_TENANT, 0, 3600, false, true },
{ "google", EOD, 421, 4,7,40, "DMARC", REPLY_AUTHENTICATION, SCOPE_TENANT, 0, 3600, false, true },
{ "google", EOD, 550, 5,7,26, "not authenticated", REPLY_AUTHENTICATION, MSG, 0, 0, false, true },
{ "google", RCPT, 450, 4,2,1, "receiving mail at a rate", REPLY_RATE, RECIP, 600, 0, false, false },
{ NULL, RCPT, 450, 4,2,1, "mailbox disabled for now", REPLY_INACTIVE, RECIP, 0, 0, false, false },
{ NULL, RCPT, 452, 4,2,2, "over quota", REPLY_MAILBOX_FULL, RECIP, 0, 0, false, false },
{ NULL, RCPT, 552, 5,2,2, "over quota", REPLY_MAILBOX_FULL, RECIP, 0, 0, false, false },
{ NULL, RCPT, 452, 4,5,3, "too many recipients", REPLY_PROTOCOL, RECIP, 0, 0, false, false },
{ NULL, MAIL, 452, 4,5,3, "Too many recipients: Too many messages sent", REPLY_OTHER, SCOPE_SESSION, 0, 0, false, false },
{ "google", EOD, 451, 4,3,0, "Multiple destination domains per transaction is unsupported", REPLY_PROTOCOL, MSG, 0, 0, false, true },
{ "google", GREET, 421, 4,7,0, "Try again later", REPLY_CONNECTIONS, SITE, 0, 60, false, false },
{ "google", MAIL, 421, 4,4,5, "Server busy", REPLY_CONNECTIONS, SITE, 0, 60, false, false },
{ "yahoo", MAIL, 421, 4,7,0, "[TSS04] Messages from 192.0.2.1 temporarily deferred", REPLY_RATE, SITE, 0, 900, true, false },
{ "yahoo", MAIL, 553, 5,7,2, "[TSS09] All messages from 192.0.2.1 will be permanently deferred", REPLY_REPUTATION, SITE, 0, 3600, false, true },
{ "yahoo", MAIL, 421, 0,0,0, "Max messages per connection reached", REPLY_RATE, SCOPE_SESSION, 0, 0, false, false },
{ "outlook", MAIL, 451, 4,7,650, "The mail server has been temporarily rate limited", REPLY_RATE, SITE, 0, 900, true, false },
{ "outlook", GREET, 421, 0,0,0, "RP-001 Unfortunately, some messages", REPLY_RATE, SITE, 0, 900, true, false },
{ "outlook", MAIL, 550, 5,7,1, "part of their network is on our block list (S3140)", REPLY_REPUTATION, SITE, 0, 3600, false, true },
{ "office365", RCPT, 452, 4,5,3, "ATTR38", REPLY_PROTOCOL, RECIP, 0, 0, false, false },
{ "office365", RCPT, 451, 4,7,500, "Server busy", REPLY_RATE, SITE, 0, 120, false, false },
{ "outlook", EOD, 550, 5,7,515, "Access denied", REPLY_AUTHENTICATION, MSG, 0, 0, false, true },
{ "comcast", GREET, 421, 0,0,0, "resimta RL000001", REPLY_RATE, SITE, 0, 0, true, false },
{ NULL, RCPT, 450, 4,7,1, "come back", REPLY_GREYLIST, RECIP, 0, 0, false, false },
{ NULL, RCPT, 451, 4,7,1, "come back", REPLY_GREYLIST, RECIP, 0, 0, false, false },
{ NULL, RCPT, 451, 0,0,0, "Greylisted, see http://...", REPLY_GREYLIST, RECIP, 0, 0, false, false },
{ NULL, EOD, 451, 4,7,1, "come back", REPLY_GREYLIST, RECIP, 0, 0, false, false },
{ "orange", GREET, 421, 0,0,0, "opmta1 OFR004_104 Too many connections", REPLY_CONNECTIONS, SITE, 0, 60, false, false },
{ NULL, MAIL, 421, 4,3,2, "Idle too long", REPLY_OTHER, SCOPE_SESSION, 0, 0, false, false },
{ NULL, GREET, 421, 0,0,0, "Too many connections from your host", REPLY_CONNECTIONS, SCOPE_HOST, 0, 0, false, false },
{ NULL, GREET, 554, 0,0,0, "no SMTP service here", REPLY_OTHER, SCOPE_HOST, 0, 0, false, false },
{ NULL, GREET, 554, 5,7,1, "your address is blocked", REPLY_REPUTATION, SCOPE_HOST, 0, 0, false, true },
{ NULL, MAIL, 421, 0,0,0, "Service closing", REPLY_OTHER, SCOPE_SESSION, 0, 0, false, false },
{ NULL, RCPT, 550, 5,1,1, "no such user", REPLY_UNKNOWN_USER, RECIP, 0, 0, false, false },
{ NULL, RCPT, 550, 0,0,0, "no such user", REPLY_UNKNOWN_USER, RECIP, 0, 0, false, false },
{ NULL, RCPT, 550, 5,2,1, "disabled", REPLY_INACTIVE, RECIP, 0, 0, false, false },
{ NULL, EOD, 552, 5,3,4, "too big", REPLY_SIZE, MSG, 0, 0, false, false },
{ NULL, MAIL, 552, 0,0,0, "too big", REPLY_SIZE, MSG, 0, 0, false, false },
{ NULL, EOD, 554, 0,0,0, "looks like spam", REPLY_CONTENT, MSG, 0, 0, false, false },
{ NULL, EOD, 550, 5,7,1, "message refused", REPLY_CONTENT, MSG, 0, 0, false, false },
{ NULL, MAIL, 503, 5,5,1, "bad sequence", REPLY_PROTOCOL, MSG, 0, 0, false, false },
{ NULL, RCPT, 450, 0,0,0, "mailbox busy", REPLY_OTHER, RECIP, 0, 0, false, false },
{ NULL, EOD, 451, 0,0,0, "local error", REPLY_OTHER, MSG, 0, 0, false, false },
{ NULL, SMTP_STAGE_CONNECT, 0, 0,0,0, "connection refused", REPLY_ROUTING, SCOPE_HOST, 0, 0, false, false },
{ NULL, EOD, 0, 0,0,0, "connection lost", REPLY_OTHER, SCOPE_SESSION, 0, 0, false, false },
};
// clang-format on

static struct smtp_verdict verdict_of(const struct row *r)
{
	struct smtp_verdict v = {
		.result = r->code >= 500   ? SMTP_REJECTED
			  : r->code >= 400 ? SMTP_DEFERRED
					   : SMTP_LOST,
		.stage = r->stage,
		.code = r->code,
		.enhanced = { (uint8_t)r->cls, r->subject, r->detail },
		.text = span_str(r->text),
	};
	return v;
}

START_TEST(reply_table)
{
	const struct row *r = &rows[_i];
	struct smtp_verdict v = verdict_of(r);
	struct reply_class c;

	reply_classify(&v, r->provider, &c);
	ck_assert_msg(c.kind == r->kind && c.scope == r->scope,
		      "%u %s: %s of %s, want %s of %s", r->code, r->text,
		      reply_kind_name(c.kind), reply_scope_name(c.scope),
		      reply_kind_name(r->kind), reply_scope_name(r->scope));
	ck_assert_uint_eq(c.retry_s, r->retry_s);
	ck_assert_uint_eq(c.pause_s, r->pause_s);
	ck_assert_uint_ge(c.pause_max_s, c.pause_s);
	ck_assert(c.halve == r->halve);
	ck_assert(c.alert == r->alert);
}
END_TEST

/* Whatever the answer: what stands for a recipient or a message has no pause
 * and halves nothing, and no address is blamed for our reputation. */
START_TEST(recipient_replies_never_slow_a_site)
{
	static const char *const texts[] = { "",
					     "[TSS04]",
					     "RP-001",
					     "S3140",
					     "too many connections",
					     "rate limit",
					     "blocked" };
	struct reply_class c;
	unsigned code, subject, detail, stage, t;

	for (code = 400; code < 600; code++)
		for (subject = 0; subject < 8; subject++)
			for (detail = 0; detail < 60; detail++) {
				struct smtp_verdict v = {
					.result = code >= 500 ? SMTP_REJECTED
							      : SMTP_DEFERRED,
					.code = (uint16_t)code,
					.enhanced = { (uint8_t)(code / 100),
						      (uint16_t)subject,
						      (uint16_t)detail },
				};
				stage = SMTP_STAGE_CONNECT +
					(code + detail) % 8;
				t = (code + subject + detail) % 7;
				v.stage = (enum smtp_stage)stage;
				v.text = span_str(texts[t]);
				reply_classify(&v, NULL, &c);
				if (c.scope == SCOPE_RECIPIENT ||
				    c.scope == SCOPE_MESSAGE) {
					ck_assert_uint_eq(c.pause_s, 0);
					ck_assert(!c.halve);
				}
				if (stage < SMTP_STAGE_MAIL)
					ck_assert(c.scope >= SCOPE_SESSION);
				if (c.kind == REPLY_REPUTATION ||
				    c.kind == REPLY_AUTHENTICATION)
					ck_assert(c.scope != SCOPE_RECIPIENT);
			}
}
END_TEST

/* Rule 6: without a trusted enhanced code the basic one decides. */
START_TEST(rule_06_untrusted_enhanced_code)
{
	struct smtp_verdict v = { .result = SMTP_REJECTED,
				  .stage = SMTP_STAGE_RCPT,
				  .code = 550,
				  .enhanced = { 0, 2, 2 } };
	struct reply_class c;

	reply_classify(&v, NULL, &c);
	ck_assert_int_eq(c.kind, REPLY_UNKNOWN_USER);
}
END_TEST

START_TEST(text_is_no_c_string)
{
	static const char octets[] = { 'x', '\0', 'g', 'R', 'e', 'Y',
				       'l', 'i',  's', 't', 'e', 'd' };
	struct smtp_verdict v = { .result = SMTP_DEFERRED,
				  .stage = SMTP_STAGE_RCPT,
				  .code = 450,
				  .text = span_of(octets, sizeof(octets)) };
	struct reply_class c;

	reply_classify(&v, NULL, &c);
	ck_assert_int_eq(c.kind, REPLY_GREYLIST);
	v.text.len = 9; /* "greylis" */
	reply_classify(&v, NULL, &c);
	ck_assert_int_eq(c.kind, REPLY_OTHER);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("classify");
	TCase *t = tcase_create("replies");
	SRunner *r;
	int failed;

	tcase_add_loop_test(t, reply_table, 0,
			    (int)(sizeof(rows) / sizeof(rows[0])));
	tcase_add_test(t, recipient_replies_never_slow_a_site);
	tcase_add_test(t, rule_06_untrusted_enhanced_code);
	tcase_add_test(t, text_is_no_c_string);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
