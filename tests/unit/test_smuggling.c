/*
 * tests/unit/test_smuggling.c - what a server can read out of a message
 *
 * Rules 22 and 23 from end to end: every string of up to LETTERS_MAX of CR,
 * LF, dot and "a" as the end of a body goes through the canonical form and a
 * session, its pieces cut in several ways and the border of a batch on each of
 * its octets.  What goes out is read as the laxest server might: no CR and no
 * LF stands alone, no line is a lone dot but the last, and with the doubled
 * dots taken away it is the canonical form, octet for octet.
 */
#include "base/buf.h"
#include "mail/canon.h"
#include "mtaq/smtp.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define LETTERS_MAX  7
#define BORDER_MAX   4 /* letters, where batches are cut too */
#define BATCH_OCTETS (SMTP_OUT_MIN - 8192 - 3) /* of content in the least one */

static const char head[] = "From: a@b\r\nDate: x\r\nMessage-ID: <y>\r\n\r\n";
static const struct smtp_settings set = { .hostname = { "test", 4 },
					  .pipelining = true };

struct rig {
	struct canon *canon;
	struct smtp_pool *pool;
	struct smtp_session *s;
	struct buf in, form, wire;
};

/* --- the session ----------------------------------------------------------- */

static unsigned accepted(struct smtp_session *s)
{
	struct smtp_event ev;
	unsigned n = 0;

	while (smtp_session_event(s, &ev)) {
		ck_assert_int_ne(ev.type, SMTP_EV_CLOSE);
		n += ev.type == SMTP_EV_RCPT &&
		     ev.verdict.result == SMTP_ACCEPTED;
	}
	return n;
}

static unsigned say(struct rig *r, const char *text)
{
	size_t len = strlen(text), at = 0;
	unsigned n = 0;

	while (at < len) {
		at += smtp_session_input(r->s, text + at, len - at, 0);
		n += accepted(r->s);
	}
	return n;
}

/* What the session writes until it waits. */
static void listen_to(struct rig *r)
{
	struct iovec v[SMTP_IOV_MAX];
	int i, n;

	buf_clear(&r->wire);
	while ((n = smtp_session_output(r->s, v, SMTP_OUT_MIN, false, 0)) > 0) {
		for (i = 0; i < n; i++)
			buf_add(&r->wire, v[i].iov_base, v[i].iov_len);
		smtp_session_sent(r->s, 0);
		(void)accepted(r->s);
	}
}

static void begin(struct rig *r)
{
	r->canon = canon_new();
	r->pool = smtp_pool_new(1);
	r->s = smtp_session_new(&set, r->pool, 0);
	buf_init(&r->in, 1 << 20);
	buf_init(&r->form, 1 << 20);
	buf_init(&r->wire, 1 << 20);
	(void)accepted(r->s);
	say(r, "220 mx\r\n");
	listen_to(r);
	say(r, "250-mx\r\n250 PIPELINING\r\n");
}

static void end(struct rig *r)
{
	smtp_session_free(&r->s);
	smtp_pool_free(&r->pool);
	canon_free(&r->canon);
	buf_free(&r->in);
	buf_free(&r->form);
	buf_free(&r->wire);
}

/* --- the judge ------------------------------------------------------------- */

/* The wire without doubled dots and the last line is form. */
static bool is_form(struct span wire, struct span form)
{
	size_t at = 0, k = 0;
	bool bol = true;

	if (wire.len < 5 || memcmp(wire.p + wire.len - 5, "\r\n.\r\n", 5) != 0)
		return false;
	wire.len -= 3;
	while (at < wire.len) {
		if (bol && wire.p[at] == '.' &&
		    (++at == wire.len || wire.p[at] == '\r'))
			return false; /* a lone dot in the middle */
		if (k == form.len || wire.p[at] != form.p[k])
			return false;
		bol = wire.p[at] == '\n';
		at++;
		k++;
	}
	return k == form.len;
}

static bool is_strict(struct span s)
{
	size_t i;
	bool ok = s.p[0] != '\n' && s.p[s.len - 1] == '\n';

	for (i = 1; i < s.len; i++)
		ok = ok && (s.p[i - 1] == '\r') == (s.p[i] == '\n');
	return ok;
}

/* For people: the end of the message that was given. */
static struct span shown(const struct rig *r)
{
	size_t n = r->in.len < 16 ? r->in.len : 16;

	return span_of(r->in.p + r->in.len - n, n);
}

/* pieces of the content as the session lends them */
static void deliver(struct rig *r, const struct iovec *v, int count,
		    uint32_t flags)
{
	static const struct smtp_rcpt rcpt = { { "r@x", 3 }, { NULL, 0 } };
	struct smtp_mail mail = { .tag = 1,
				  .sender = SPAN("s@y"),
				  .rcpts = &rcpt,
				  .rcpt_count = 1,
				  .flags = flags & CANON_DOTS ? SMTP_MAIL_DOTS
							      : 0,
				  .content = v,
				  .content_count = (uint32_t)count,
				  .content_bytes = r->form.len };

	ck_assert_int_eq(smtp_session_mail(r->s, &mail, 0), 0);
	listen_to(r);
	say(r, "250 ok\r\n250 ok\r\n354 go\r\n");
	listen_to(r);
	ck_assert_msg(is_strict(buf_span(&r->wire)), "\"%.*s\"",
		      (int)shown(r).len, shown(r).p);
	ck_assert_msg(is_form(buf_span(&r->wire), buf_span(&r->form)),
		      "\"%.*s\"", (int)shown(r).len, shown(r).p);
	ck_assert_uint_eq(say(r, "250 ok\r\n"), 1);
}

/* The message in r->in: its canonical form as it is, and cut at each octet of
 * the last `tail` ones. */
static void run(struct rig *r, size_t tail)
{
	struct canon_settings canon = { .sender = SPAN("s@y") };
	struct canon_result res;
	struct iovec two[2];
	size_t at;
	int i;

	ck_assert_int_eq(canon_make(r->canon, &canon, buf_span(&r->in), &res),
			 CANON_OK);
	buf_clear(&r->form);
	for (i = 0; i < res.count; i++)
		buf_add(&r->form, res.pieces[i].iov_base,
			res.pieces[i].iov_len);
	deliver(r, res.pieces, res.count, res.flags);
	at = r->form.len > tail ? r->form.len - tail : 0;
	for (; at < r->form.len; at++) {
		two[0] = (struct iovec){ r->form.p, at };
		two[1] = (struct iovec){ r->form.p + at, r->form.len - at };
		deliver(r, two, 2, res.flags);
	}
}

/* The n-th string of so many letters. */
static void add_string(struct buf *b, unsigned n, int letters)
{
	for (; letters > 0; letters--, n /= 4)
		buf_add_char(b, "\r\n.a"[n % 4]);
}

START_TEST(rule_22_no_string_ends_a_message)
{
	struct rig r;
	unsigned n;

	begin(&r);
	for (n = 0; n < 1u << (2 * _i); n++) {
		buf_clear(&r.in);
		buf_add(&r.in, head, sizeof(head) - 1);
		add_string(&r.in, n, _i);
		run(&r, (size_t)_i + 3);
	}
	end(&r);
}
END_TEST

/* Lines until a batch of the smallest size ends `before` octets further on. */
static void fill(struct buf *b, size_t before)
{
	while (b->len + before + 64 < BATCH_OCTETS)
		buf_add(b, "0123456789012345678901234567890\r\n", 33);
	while (b->len + before < BATCH_OCTETS - 2)
		buf_add_char(b, 'x');
	buf_add(b, "\r\n", 2);
}

START_TEST(rule_23_no_border_of_a_batch_hides_a_dot)
{
	struct rig r;
	size_t before;
	unsigned n;

	begin(&r);
	for (before = 0; before <= (size_t)_i + 3; before++) {
		for (n = 0; n < 1u << (2 * _i); n++) {
			buf_clear(&r.in);
			buf_add(&r.in, head, sizeof(head) - 1);
			fill(&r.in, before);
			add_string(&r.in, n, _i);
			run(&r, 0);
		}
	}
	end(&r);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("smuggling");
	TCase *tc = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tc, 240);
	tcase_add_loop_test(tc, rule_22_no_string_ends_a_message, 0,
			    LETTERS_MAX + 1);
	tcase_add_loop_test(tc, rule_23_no_border_of_a_batch_hides_a_dot, 0,
			    BORDER_MAX + 1);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
