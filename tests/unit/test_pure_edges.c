/*
 * tests/unit/test_pure_edges.c - base and smtp at the ends of their ranges
 *
 * Rare spellings, ends of input in the wrong place, and what a bug says.
 */
#include "base/bug.h"
#include "base/msgid.h"
#include "base/utf8.h"
#include "base/wheel.h"
#include "mtaq/smtp.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* --- base ------------------------------------------------------------------ */

static sigjmp_buf back;

static void on_abort(int sig)
{
	siglongjmp(back, sig);
}

/* Where and what, and then the end: never on with a broken promise. */
START_TEST(a_bug_says_where_and_aborts)
{
	static int zero;
	char text[200] = "";
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	signal(SIGABRT, on_abort);
	ck_assert_int_eq(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
	if (sigsetjmp(back, 1) == 0) {
		BUG_ON(zero == 0);
		ck_abort_msg("it went on");
	}
	ck_assert_int_gt(read(fds[0], text, sizeof(text) - 1), 0);
	ck_assert_ptr_nonnull(strstr(text, "BUG at"));
	ck_assert_ptr_nonnull(strstr(text, "test_pure_edges.c"));
	ck_assert_ptr_nonnull(strstr(text, "zero == 0"));
}
END_TEST

/* Read aloud and typed by people: o is 0, i and l are 1, capitals too. */
START_TEST(an_id_forgives_letters_that_look_alike)
{
	static const uint64_t id = UINT64_C(0x0020000801); /* 0s and 1s */
	char text[MSGID_LEN + 1], odd[MSGID_LEN + 1];
	uint64_t got;
	unsigned i, way, zeros = 0, ones = 0;
	static const char zero[] = "0oO", one[] = "1ilIL";

	msgid_print(id, text);
	for (way = 0; way < 5; way++) {
		for (i = 0; i < MSGID_LEN; i++) {
			odd[i] = text[i] == '0'   ? zero[way % 3]
				 : text[i] == '1' ? one[way]
						  : text[i];
			zeros += text[i] == '0';
			ones += text[i] == '1';
		}
		got = 0;
		ck_assert_int_eq(msgid_parse(span_of(odd, MSGID_LEN), &got), 0);
		ck_assert_uint_eq(got, id);
	}
	ck_assert(zeros > 0 && ones > 0);
	memcpy(odd, text, sizeof(odd));
	odd[3] = '\0';
	ck_assert_int_eq(msgid_parse(span_of(odd, MSGID_LEN), &got), -EINVAL);
	odd[3] = 'u';
	ck_assert_int_eq(msgid_parse(span_of(odd, MSGID_LEN), &got), -EINVAL);
}
END_TEST

START_TEST(utf8_ends_within_a_letter)
{
	static const struct {
		const char *p;
		size_t len, want;
	} cases[] = {
		{ "a", 1, 1 },
		{ "\xc3\xbc", 2, 2 },
		{ "\xc3\xbc", 1, 0 },
		{ "\xe2\x82\xac", 3, 3 },
		{ "\xe2\x82\xac", 2, 0 },
		{ "\xe2\x82(", 3, 0 },
		{ "\xe2(\xac", 3, 0 },
		{ "\xe0\x9f\xbf", 3, 0 }, /* overlong */
		{ "\xed\xa0\x80", 3, 0 }, /* a surrogate */
		{ "\xf0\x9f\x93\xa7", 4, 4 },
		{ "\xf0\x9f\x93\xa7", 3, 0 },
		{ "\xf0\x8f\xbf\xbf", 4, 0 }, /* overlong */
		{ "\xf4\x8f\xbf\xbf", 4, 4 }, /* the last one */
		{ "\xf4\x90\x80\x80", 4, 0 },
		{ "\xf5\x80\x80\x80", 4, 0 },
		{ "\xc1\x80", 2, 0 },
		{ "\x80", 1, 0 },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(cases); i++)
		ck_assert_msg(utf8_len((const unsigned char *)cases[i].p,
				       cases[i].len) == cases[i].want,
			      "case %zu", i);
}
END_TEST

/* What has fired and was not taken yet is due now. */
START_TEST(a_wheel_with_fired_nodes_is_due_at_once)
{
	struct wheel_node a, b;
	struct wheel w;

	wheel_init(&w, 1000);
	wheel_node_init(&a);
	wheel_node_init(&b);
	wheel_add(&w, &a, 2000);
	wheel_add(&w, &b, 2000);
	ck_assert_uint_le(wheel_next_ms(&w), 2010);
	ck_assert_ptr_nonnull(wheel_take(&w, 3000));
	ck_assert_uint_le(wheel_next_ms(&w), 3000);
	ck_assert_ptr_nonnull(wheel_take(&w, 3000));
	ck_assert_ptr_null(wheel_take(&w, 3000));
	ck_assert_uint_eq(wheel_next_ms(&w), UINT64_MAX);
}
END_TEST

/* --- smtp ------------------------------------------------------------------ */

static const struct smtp_settings settings = { .hostname = { "t", 1 },
					       .pipelining = true };
static const struct smtp_rcpt rcpt = { { "r@x", 3 }, { NULL, 0 } };
static const struct iovec content = { (void *)(uintptr_t) "hi\r\n", 4 };
static const struct smtp_mail mail = { .sender = { "s@y", 3 },
				       .rcpts = &rcpt,
				       .rcpt_count = 1,
				       .content = &content,
				       .content_count = 1,
				       .content_bytes = 4 };

static void hear(struct smtp_session *s, const char *text)
{
	struct iovec iov[SMTP_IOV_MAX];
	struct smtp_event ev;
	size_t len = strlen(text);

	ck_assert_uint_eq(smtp_session_input(s, text, len, 0), len);
	while (smtp_session_event(s, &ev))
		ck_assert_int_ne(ev.type, SMTP_EV_CLOSE);
	while (smtp_session_output(s, iov, SMTP_OUT_MIN, false, 0) > 0)
		smtp_session_sent(s, 0);
}

START_TEST(a_session_has_names_for_its_states)
{
	struct smtp_pool *pool = smtp_pool_new(1);
	struct smtp_session *s = smtp_session_new(&settings, pool, 0);

	ck_assert_str_eq(smtp_session_state_name(s), "greeting");
	hear(s, "220 mx\r\n");
	ck_assert_str_eq(smtp_session_state_name(s), "hello");
	hear(s, "250 mx\r\n");
	ck_assert_str_eq(smtp_session_state_name(s), "ready");
	ck_assert_int_eq(smtp_session_mail(s, &mail, 0), 0);
	ck_assert_str_eq(smtp_session_state_name(s), "mail");
	smtp_session_eof(s);
	ck_assert_str_eq(smtp_session_state_name(s), "closed");
	smtp_session_free(&s);
	smtp_session_free(&s);
	smtp_pool_free(&pool);
	smtp_pool_free(&pool);
}
END_TEST

/* Freed with mails that nobody was told of: nothing leaks (ASan sees). */
START_TEST(a_session_is_freed_with_untold_mails)
{
	struct smtp_pool *pool = smtp_pool_new(1);
	struct smtp_session *s = smtp_session_new(&settings, pool, 0);

	hear(s, "220 mx\r\n");
	hear(s, "250 mx\r\n");
	ck_assert_int_eq(smtp_session_mail(s, &mail, 0), 0);
	smtp_session_eof(s);
	smtp_session_free(&s);
	ck_assert_ptr_null(s);
	smtp_pool_free(&pool);
}
END_TEST

START_TEST(a_mail_without_addresses_is_refused)
{
	struct smtp_pool *pool = smtp_pool_new(1);
	struct smtp_session *s = smtp_session_new(&settings, pool, 0);
	struct smtp_rcpt nobody = { { "", 0 }, { NULL, 0 } };
	struct smtp_mail m = mail;

	hear(s, "220 mx\r\n");
	hear(s, "250 mx\r\n");
	m.rcpt_count = 0;
	ck_assert_int_eq(smtp_session_mail(s, &m, 0), -EINVAL);
	m.rcpt_count = 1;
	m.rcpts = &nobody;
	ck_assert_int_eq(smtp_session_mail(s, &m, 0), -EINVAL);
	m.rcpts = &rcpt;
	m.content_bytes = 5;
	ck_assert_int_eq(smtp_session_mail(s, &m, 0), -EINVAL);
	ck_assert_int_eq(smtp_session_mail(s, &mail, 0), 0);
	smtp_session_free(&s);
	smtp_pool_free(&pool);
}
END_TEST

/* Rule 26: at each place of addresses and parameters of many lengths. */
static int give_octet(struct smtp_session *s, size_t len, size_t at, int c)
{
	char *text = malloc(len); /* its own: ASan sees who reads beyond */
	struct smtp_rcpt to = { { text, len }, { NULL, 0 } };
	struct smtp_mail m = mail;
	int rc;

	ck_assert_ptr_nonnull(text);
	memset(text, 'a', len);
	text[at] = (char)c;
	m.rcpts = &to;
	rc = smtp_session_mail(s, &m, 0);
	if (rc < 0) {
		m.rcpts = &rcpt;
		m.sender = to.address;
		ck_assert_int_eq(smtp_session_mail(s, &m, 0), rc);
		text[0] = ' '; /* as parameters begin */
		m.sender = mail.sender;
		m.params = span_of(text, len);
		if (at > 0)
			ck_assert_int_eq(smtp_session_mail(s, &m, 0), rc);
	}
	free(text);
	return rc;
}

START_TEST(no_control_octet_gets_into_a_command)
{
	struct smtp_pool *pool = smtp_pool_new(1);
	struct smtp_session *s = NULL;
	size_t len = (size_t)_i, at;
	int c;

	for (at = 0; at < len; at++)
		for (c = 0; c <= 0xff; c++) {
			bool control = c < 0x20 || c == 0x7f;

			if (s == NULL) {
				s = smtp_session_new(&settings, pool, 0);
				hear(s, "220 mx\r\n");
				hear(s, "250 mx\r\n");
			}
			ck_assert_msg(give_octet(s, len, at, c) ==
					      (control ? -EINVAL : 0),
				      "octet %d at %zu of %zu", c, at, len);
			if (!control)
				smtp_session_free(&s);
		}
	smtp_session_free(&s);
	smtp_pool_free(&pool);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pure_edges");
	TCase *tc = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, a_bug_says_where_and_aborts);
	tcase_add_test(tc, an_id_forgives_letters_that_look_alike);
	tcase_add_test(tc, utf8_ends_within_a_letter);
	tcase_add_test(tc, a_wheel_with_fired_nodes_is_due_at_once);
	tcase_add_test(tc, a_session_has_names_for_its_states);
	tcase_add_test(tc, a_session_is_freed_with_untold_mails);
	tcase_add_test(tc, a_mail_without_addresses_is_refused);
	tcase_add_loop_test(tc, no_control_octet_gets_into_a_command, 1, 27);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
