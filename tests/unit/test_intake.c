/*
 * tests/unit/test_intake.c - what a submitted message becomes in the envelope
 *
 * Rules 24 (A-labels, SMTPUTF8), 25 (DSN) and 26 (addresses), at the one
 * place that every entrance leads to.
 */
#include "ingress/intake.h"
#include "smtp/dsn.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#define UE      "\xc3\xbc"                 /* u with two dots */
#define UE_BIG  "\xc3\x9c"                 /* the same, capital */
#define UE_TWO  "u\xcc\x88"                /* the same, of two parts */
#define SZ      "\xc3\x9f"                 /* sharp s */
#define JA      "\xe4\xbe\x8b\xe3\x81\x88" /* "example" in Japanese */
#define JA_DOT  "\xe3\x80\x82"             /* the dot of those who write it */
#define WIDE_AT "\xef\xbc\xa0"             /* a wide @ */
#define HEART   "\xe2\x9d\xa4"             /* no letter */
#define TEN(x)  x x x x x x x x x x

static struct settings set;
static struct intake *in;
static struct arena arena;
static struct buf frame;

static void start(void)
{
	static const char text[] = "hostname: mail.example.net\n";
	char words[500];

	ck_assert_int_eq(settings_parse("t", text, sizeof(text) - 1, &set,
					words, sizeof(words)),
			 0);
	in = intake_new(&set, 1000);
	ck_assert_ptr_nonnull(in);
	arena = (struct arena){ NULL, 0, 0 };
	buf_init(&frame, 1 << 20);
}

static void finish(void)
{
	arena_free(&arena);
	buf_free(&frame);
	intake_free(&in);
	settings_free(&set);
}

static int make(const struct submit_message *m, struct intake_message *made_r)
{
	static const uint8_t id[SUBMIT_ID_SIZE];
	struct intake_place at = { id, 1, 0, 0, 1700000000 };
	struct frame_message f;
	struct span payload;

	buf_clear(&frame);
	ck_assert_int_eq(frame_message_put(&frame, m, m->content.len), 0);
	payload = buf_span(&frame);
	ck_assert_int_eq(frame_message_get(&payload, true, &f), 1);
	return intake_make(in, &arena, &f, &at, made_r);
}

static struct submit_message message(const struct span *rcpt)
{
	return (struct submit_message){ .sender = SPAN("s@a.example"),
					.rcpts = rcpt,
					.rcpt_count = 1,
					.content = SPAN("From: s@a.example\n"
							"\nhello\n") };
}

/* --- rule 24 --------------------------------------------------------------- */

struct idn_case {
	const char *given, *address, *domain;
	bool utf8;
};

static const struct idn_case good[] = {
	{ "a@b" UE "cher.example", "a@xn--bcher-kva.example",
	  "xn--bcher-kva.example", false },
	{ "a@B" UE_BIG "CHER.Example", "a@xn--bcher-kva.example",
	  "xn--bcher-kva.example", false },
	{ "a@b" UE_TWO "cher.example", "a@xn--bcher-kva.example",
	  "xn--bcher-kva.example", false },
	/* Not "strasse": that is another domain. */
	{ "a@stra" SZ "e.example", "a@xn--strae-oqa.example",
	  "xn--strae-oqa.example", false },
	{ "a@" JA JA_DOT "jp", "a@xn--r8jz45g.jp", "xn--r8jz45g.jp", false },
	/* Over 63 octets as they stand, and not as A-labels. */
	{ "a@" TEN(JA) TEN(JA) ".jp", NULL, NULL, false },
	{ "\"a@b\"@b" UE "cher.example", "\"a@b\"@xn--bcher-kva.example",
	  "xn--bcher-kva.example", false },
	{ "j" UE "rgen@example.com", "j" UE "rgen@example.com", "example.com",
	  true },
	{ "j" UE "rgen@b" UE "cher.example",
	  "j" UE "rgen@xn--bcher-kva.example", "xn--bcher-kva.example", true },
	{ "a@XN--Bcher-KVA.example", "a@XN--Bcher-KVA.example",
	  "xn--bcher-kva.example", false },
	{ "a@Example.COM", "a@Example.COM", "example.com", false },
};

START_TEST(rule_24_a_domain_beyond_ascii_becomes_a_labels)
{
	const struct idn_case *c = &good[_i];
	struct span text = span_str(c->given);
	struct submit_message m = message(&text);
	struct intake_message made;
	const struct queue_rcpt *r;
	size_t i;

	m.sender = text;
	ck_assert_int_eq(make(&m, &made), 0);
	r = &made.msg.rcpts[0];
	if (c->address != NULL) {
		ck_assert(span_eq(r->address, span_str(c->address)));
		ck_assert(span_eq(made.msg.sender, span_str(c->address)));
		ck_assert(span_eq(r->domain, span_str(c->domain)));
	}
	for (i = 0; i < r->domain.len; i++)
		ck_assert_int_ge(r->domain.p[i], 0);
	ck_assert_int_eq((made.msg.flags & QUEUE_MSG_UTF8) != 0, c->utf8);
}
END_TEST

static const char *const bad[] = {
	"a@" HEART ".example",        /* no letter */
	"a@x" WIDE_AT "y.example",    /* becomes "x@y.example" */
	"a@" JA_DOT "jp",             /* becomes ".jp" */
	"a@" UE ".exa mple",          /* a blank */
	"a@" UE "_\r\n.example",      /* a line end */
	"a@\xff.example",             /* no UTF-8 */
	"a@-" UE ".example",          /* a hyphen in front */
	"a@" TEN(TEN(UE)) ".example", /* a label too long as A-label */
	"@b" UE "cher.example",       /* nobody */
	"b" UE "cher.example",        /* no @ */
};

START_TEST(rule_24_no_domain_is_no_domain_in_any_letters)
{
	struct span text = span_str(bad[_i]);
	struct submit_message m = message(&text);
	struct intake_message made;

	ck_assert_int_eq(make(&m, &made), -EBADMSG);
	ck_assert_int_eq(made.refusal.code, EX_DATAERR);
	ck_assert_int_eq(made.refusal.enhanced_class, 5);
	ck_assert_int_eq(made.refusal.enhanced_subject, 1);
	ck_assert_int_eq(made.refusal.enhanced_detail, 3);
}
END_TEST

/* Two ways to write one recipient: one copy. */
START_TEST(rule_24_one_recipient_in_two_forms)
{
	struct span two[] = { SPAN("a@b" UE "cher.example"),
			      SPAN("a@xn--bcher-kva.example") };
	struct submit_message m = message(two);
	struct intake_message made;

	m.rcpt_count = 2;
	ck_assert_int_eq(make(&m, &made), 0);
	ck_assert_uint_eq(made.msg.rcpt_count, 1);
}
END_TEST

/* --- rule 25 --------------------------------------------------------------- */

START_TEST(rule_25_parameters_come_through)
{
	struct span three[] = { SPAN("c@x.example"), SPAN("a@x.example"),
				SPAN("b@x.example") };
	struct span params[] = { SPAN("NOTIFY=NEVER"), SPAN(""),
				 SPAN("NOTIFY=SUCCESS,delay "
				      "ORCPT=rfc822;b+2Bx@y") };
	struct submit_message m = message(three);
	const struct queue_rcpt *r;
	struct intake_message made;

	m.rcpt_count = 3;
	m.rcpt_params = params;
	m.params = SPAN("RET=HDRS ENVID=QQ+2B1");
	ck_assert_int_eq(make(&m, &made), 0);
	r = made.msg.rcpts; /* sorted, each with its own */
	ck_assert(span_eq(r[0].address, three[1]));
	ck_assert_uint_eq(r[0].params.len, 0);
	ck_assert(span_eq(r[1].params, SPAN(" NOTIFY=SUCCESS,delay "
					    "ORCPT=rfc822;b+2Bx@y")));
	ck_assert(span_eq(r[2].params, SPAN(" NOTIFY=NEVER")));
	ck_assert(span_eq(made.msg.params, SPAN(" RET=HDRS ENVID=QQ+2B1")));
}
END_TEST

struct dsn_case {
	const char *params;
	bool mail, rcpt; /* is it right there? */
};

static const struct dsn_case dsn[] = {
	{ "", true, true },
	{ "RET=FULL", true, false },
	{ "ret=hdrs", true, false },
	{ "RET=HDRS ENVID=x", true, false },
	{ "ENVID=x RET=HDRS", true, false },
	{ "ENVID=a+3Db+2B", true, false },
	{ "ENVID=" TEN(TEN("x")), true, false },
	{ "NOTIFY=NEVER", false, true },
	{ "notify=success", false, true },
	{ "NOTIFY=SUCCESS,FAILURE,DELAY", false, true },
	{ "ORCPT=rfc822;a@b", false, true },
	{ "ORCPT=x-400;a+20b NOTIFY=DELAY", false, true },
	{ "RET=ALL", false, false },
	{ "RET=", false, false },
	{ "RET=FULL RET=HDRS", false, false },
	{ "RET=FULL  ENVID=x", false, false },
	{ " RET=FULL", false, false },
	{ "RET=FULL ", false, false },
	{ "ENVID=", false, false },
	{ "ENVID=" TEN(TEN("x")) "y", false, false },
	{ "ENVID=a=b", false, false },
	{ "ENVID=a+b", false, false },
	{ "ENVID=a+2b", false, false }, /* capitals only */
	{ "ENVID=a+2", false, false },
	{ "ENVID=\xc3\xbc", false, false },
	{ "ENVID=a\r\nRSET", false, false },
	{ "NOTIFY=", false, false },
	{ "NOTIFY=NEVER,FAILURE", false, false },
	{ "NOTIFY=FAILURE,NEVER", false, false },
	{ "NOTIFY=FAILURE,FAILURE", false, false },
	{ "NOTIFY=FAILURE,", false, false },
	{ "NOTIFY=,FAILURE", false, false },
	{ "NOTIFY=NEVER NOTIFY=NEVER", false, false },
	{ "ORCPT=a@b", false, false },
	{ "ORCPT=;a@b", false, false },
	{ "ORCPT=rfc822;", false, false },
	{ "ORCPT=rfc 822;a", false, false },
	{ "ORCPT=rfc822;a b", false, false },
	{ "ORCPT=rfc822;" TEN(TEN("xxxxx")), false, false },
	{ "SIZE=1", false, false },
	{ "BODY=8BITMIME", false, false },
};

START_TEST(rule_25_only_what_rfc_3461_knows)
{
	const struct dsn_case *c = &dsn[_i];
	struct span text = SPAN("a@x.example"), params = span_str(c->params);
	struct submit_message m = message(&text);
	struct intake_message made;

	ck_assert_int_eq(dsn_is_mail(params), c->mail);
	ck_assert_int_eq(dsn_is_rcpt(params), c->rcpt);
	m.params = params;
	ck_assert_int_eq(make(&m, &made), c->mail ? 0 : -EBADMSG);
	m.params = SPAN("");
	m.rcpt_params = &params;
	ck_assert_int_eq(make(&m, &made), c->rcpt ? 0 : -EBADMSG);
}
END_TEST

START_TEST(rule_25_xtext)
{
	static const char all[] = "aZ~!+= \xc3\xbc\r\n";
	char out[3 * sizeof(all)];
	size_t n = dsn_xtext(span_of(all, sizeof(all)), out); /* and the NUL */

	ck_assert(
		span_eq(span_of(out, n), SPAN("aZ~!+2B+3D+20+C3+BC+0D+0A+00")));
}
END_TEST

START_TEST(rule_25_never_and_a_bounce_make_no_bounce)
{
	static const struct {
		const char *sender, *params;
		unsigned notify;
		bool told;
	} cases[] = {
		{ "s@x", "", 0, true },
		{ "s@x", " ORCPT=rfc822;NOTIFY=NEVER", 0, true },
		{ "s@x", " NOTIFY=NEVER", DSN_NEVER, false },
		{ "s@x", " ORCPT=rfc822;a notify=never", DSN_NEVER, false },
		{ "s@x", "NOTIFY=SUCCESS", DSN_SUCCESS, false },
		{ "s@x", "NOTIFY=DELAY,SUCCESS", DSN_DELAY | DSN_SUCCESS,
		  false },
		{ "s@x", "NOTIFY=Failure,Delay", DSN_FAILURE | DSN_DELAY,
		  true },
		{ "", "", 0, false },
		{ "", " NOTIFY=FAILURE", DSN_FAILURE, false },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned notify = dsn_notify(span_str(cases[i].params));

		ck_assert_uint_eq(notify, cases[i].notify);
		ck_assert_int_eq(
			dsn_wants_failure(span_str(cases[i].sender), notify),
			cases[i].told);
	}
}
END_TEST

/* --- rule 26 --------------------------------------------------------------- */

static const char *const never[] = {
	"",
	"a",
	"a@",
	"@b",
	"a b@c",
	"a@b\r\n",
	"a@b\nc",
	"a\r@b",
	"a@b\x7f",
	"\"a\x01\"@b",
	"<a@b>",
	"a@b, c@d",
	"a@[127.0.0]",
	"a@b..c",
	"a@-b",
	TEN("xxxxxxx") "@b",
	"a@" TEN("xxxxxxx") ".y",
};

START_TEST(rule_26_one_check_for_sender_and_recipient)
{
	struct span text = span_str(never[_i]), right = SPAN("a@x.example");
	struct submit_message m = message(&text);
	struct intake_message made;

	ck_assert_int_eq(make(&m, &made), -EBADMSG);
	ck_assert_int_eq(made.refusal.enhanced_detail, 3);
	m = message(&right);
	m.sender = text;
	/* The null reverse-path is the one difference. */
	ck_assert_int_eq(make(&m, &made), text.len == 0 ? 0 : -EBADMSG);
	if (text.len > 0)
		ck_assert_int_eq(made.refusal.enhanced_detail, 7);
}
END_TEST

START_TEST(rule_26_no_nul_in_an_address)
{
	struct span text = SPAN("a\0b@x.example"), right = SPAN("a@x.example");
	struct submit_message m = message(&text);
	struct intake_message made;

	ck_assert_int_eq(make(&m, &made), -EBADMSG);
	m = message(&right);
	m.sender = SPAN("a@" UE "\0.example");
	ck_assert_int_eq(make(&m, &made), -EBADMSG);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("intake");
	TCase *t = tcase_create("intake");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, start, finish);
	tcase_add_loop_test(t, rule_24_a_domain_beyond_ascii_becomes_a_labels,
			    0, (int)(sizeof(good) / sizeof(good[0])));
	tcase_add_loop_test(t, rule_24_no_domain_is_no_domain_in_any_letters, 0,
			    (int)(sizeof(bad) / sizeof(bad[0])));
	tcase_add_test(t, rule_24_one_recipient_in_two_forms);
	tcase_add_test(t, rule_25_parameters_come_through);
	tcase_add_loop_test(t, rule_25_only_what_rfc_3461_knows, 0,
			    (int)(sizeof(dsn) / sizeof(dsn[0])));
	tcase_add_test(t, rule_25_xtext);
	tcase_add_test(t, rule_25_never_and_a_bounce_make_no_bounce);
	tcase_add_loop_test(t, rule_26_one_check_for_sender_and_recipient, 0,
			    (int)(sizeof(never) / sizeof(never[0])));
	tcase_add_test(t, rule_26_no_nul_in_an_address);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
