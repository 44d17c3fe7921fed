/*
 * tests/unit/test_chunk.c - rule 20, exhaustively
 *
 * One flight carries MAIL RCPT BDAT and the content, on a session that has
 * proved itself.  For every truth (MAIL, RCPT, content taken or refused), one
 * reply too many (of seven kinds, at every place) or one missing, a close
 * behind every reply or none, the replies in one packet, line by line or octet
 * by octet: what is reported must be true of the server, or "unsure".
 *
 * One thing no client can know, and DATA's dot has it too: what stands just in
 * front of the content's answer and looks like one.  And a lone refusal before
 * the end may be a stray.  Only there may the report be wrong; accepted, and
 * it is not, only for a 2yz whose code is about content.
 */
#include "mtaq/smtp.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define REPLIES 5

enum how {
	PACKET,
	LINES,
	OCTETS,
	HOW_COUNT
};

struct run {
	bool mail, rcpt, chunk; /* taken; the truth */
	const char *reply[REPLIES];
	int replies, close_after; /* -1: it does not close */
	int extra_at;             /* -1: none */
	bool distorted, content_like;
	enum how how;
	struct smtp_pool *pool;
	struct smtp_session *s;
	uint64_t now_ms;
	bool gone, closed, distrust;
	char todo[4096]; /* the server's octets that were not yet read */
	size_t todo_len;
	char said[4096];
	size_t said_len;
	int settled, done;
	enum smtp_result result;
};

static struct {
	unsigned runs, accepted, refused, unsure, unknowable;
} tally;

static const struct smtp_rcpt rcpt = { { "a@x", 3 }, { NULL, 0 } };
static const struct iovec content = { (void *)(uintptr_t) "hi\r\n", 4 };

static void drain_events(struct run *r)
{
	struct smtp_event ev;

	while (smtp_session_event(r->s, &ev)) {
		if (ev.type == SMTP_EV_RCPT && ev.tag == 1) {
			r->settled++;
			r->result = ev.verdict.result;
		} else if (ev.type == SMTP_EV_MAIL_DONE && ev.tag == 1) {
			r->done++;
		} else if (ev.type == SMTP_EV_CLOSE) {
			r->closed = true;
			r->distrust = ev.distrust;
		}
	}
}

static void write_all(struct run *r)
{
	struct iovec v[SMTP_IOV_MAX];
	int i, n;

	drain_events(r);
	while ((n = smtp_session_output(r->s, v, SMTP_OUT_MIN, r->todo_len > 0,
					r->now_ms)) > 0) {
		for (i = 0; i < n; i++) {
			memcpy(r->said + r->said_len, v[i].iov_base,
			       v[i].iov_len);
			r->said_len += v[i].iov_len;
		}
		smtp_session_sent(r->s, r->now_ms);
		drain_events(r);
	}
}

static void input(struct run *r, const char *text, size_t len)
{
	size_t at = 0;

	while (at < len && !r->closed) {
		at += smtp_session_input(r->s, text + at, len - at, r->now_ms);
		drain_events(r);
	}
}

static void input_text(struct run *r, const char *text)
{
	input(r, text, strlen(text));
	write_all(r);
}

static void give(struct run *r, uint64_t tag)
{
	struct smtp_mail m = { .tag = tag,
			       .sender = SPAN("s@y"),
			       .rcpts = &rcpt,
			       .rcpt_count = 1,
			       .content = &content,
			       .content_count = 1,
			       .content_bytes = 4 };

	ck_assert_int_eq(smtp_session_mail(r->s, &m, r->now_ms), 0);
	write_all(r);
}

static const char flight[] = "MAIL FROM:<s@y>\r\nRCPT TO:<a@x>\r\n"
			     "BDAT 4 LAST\r\nhi\r\n";

/* A session that has carried a chunk and proved itself. */
static void take_off(struct run *r, const struct smtp_settings *set)
{
	r->pool = smtp_pool_new(1);
	r->s = smtp_session_new(set, r->pool, 0);
	input_text(r, "220 mx\r\n");
	input_text(r, "250-mx\r\n250-PIPELINING\r\n250-CHUNKING\r\n"
		      "250 ENHANCEDSTATUSCODES\r\n");
	give(r, 0);
	input_text(r, "250 2.1.0 ok\r\n250 2.1.5 ok\r\n");
	input_text(r, "250 2.0.0 queued\r\n");
	give(r, 1);
	r->said_len = 0;
	input_text(r, "503 5.5.1 no mail\r\n");
	ck_assert_uint_eq(r->said_len, sizeof(flight) - 1);
	ck_assert_mem_eq(r->said, flight, sizeof(flight) - 1);
	r->said_len = 0;
}

static void say(struct run *r, const char *text)
{
	size_t n = strlen(text);

	ck_assert_uint_le(r->todo_len + n + 2, sizeof(r->todo));
	memcpy(r->todo + r->todo_len, text, n);
	memcpy(r->todo + r->todo_len + n, "\r\n", 2);
	r->todo_len += n + 2;
}

/* What comes behind the flight is a command: RSET. */
static void server_read(struct run *r)
{
	char *nl;

	while (!r->gone && (nl = memchr(r->said, '\n', r->said_len)) != NULL) {
		size_t n = (size_t)(nl - r->said) + 1;

		ck_assert_mem_eq(r->said, "RSET\r\n", 6);
		say(r, "250 2.0.0 ok");
		r->said_len -= n;
		memmove(r->said, r->said + n, r->said_len);
	}
}

static void read_some(struct run *r)
{
	char some[4096];
	size_t n = r->todo_len;

	if (r->how == LINES)
		n = (size_t)((char *)memchr(r->todo, '\n', n) - r->todo) + 1;
	else if (r->how == OCTETS)
		n = 1;
	memcpy(some, r->todo, n);
	r->todo_len -= n;
	memmove(r->todo, r->todo + n, r->todo_len);
	input(r, some, n);
}

static void land(struct run *r)
{
	int i, steps;

	for (i = 0; i < r->replies && i != r->close_after; i++)
		say(r, r->reply[i]);
	r->gone = r->close_after >= 0;
	for (steps = 0; steps < 1000 && !r->closed; steps++) {
		if (r->todo_len > 0) {
			read_some(r);
		} else if (r->gone) {
			smtp_session_eof(r->s);
		} else if (smtp_session_deadline(r->s) != SMTP_NEVER &&
			   r->settled == 0) {
			r->now_ms = smtp_session_deadline(r->s);
			smtp_session_tick(r->s, r->now_ms);
		} else if (steps > 500) {
			break; /* idle */
		}
		if (!r->closed)
			write_all(r);
		server_read(r);
	}
	drain_events(r);
}

/* See above. */
static bool cannot_be_known(const struct run *r)
{
	int seen = r->close_after >= 0 && r->close_after < r->replies
			   ? r->close_after
			   : r->replies;

	if (!r->distorted)
		return false;
	if (r->result == SMTP_ACCEPTED)
		return r->extra_at == 2 && r->content_like;
	return r->extra_at == 2 || (r->extra_at >= 0 && seen <= 2);
}

static void check(const struct run *r)
{
	bool has = r->mail && r->rcpt && r->chunk;

	tally.runs++;
	ck_assert_int_eq(r->settled, 1);
	ck_assert_int_eq(r->done, 1);
	tally.accepted += r->result == SMTP_ACCEPTED;
	tally.refused +=
		r->result == SMTP_DEFERRED || r->result == SMTP_REJECTED;
	tally.unsure += r->result == SMTP_UNSURE;
	if (r->result == SMTP_UNSURE) {
		ck_assert(r->distrust);
		ck_assert(r->distorted || r->close_after >= 0);
		return;
	}
	if ((r->result == SMTP_ACCEPTED) == has)
		return;
	/* 421 is the end, whoever said it. */
	if (r->result == SMTP_DEFERRED && r->distorted && r->closed)
		return;
	ck_assert_msg(cannot_be_known(r), "%s / %s / %s / %s close %d",
		      r->reply[0], r->reply[1], r->reply[2],
		      r->replies > 3 ? r->reply[3] : "-", r->close_after);
	tally.unknowable++;
}

static void play_all(const struct run *first)
{
	static const struct smtp_settings set = { .hostname = { "test", 4 },
						  .pipelining = true,
						  .chunking = true };
	int close_after, how;

	for (how = 0; how < HOW_COUNT; how++) {
		for (close_after = -1; close_after <= first->replies;
		     close_after++) {
			struct run r = *first;

			r.how = (enum how)how;
			r.close_after = close_after;
			take_off(&r, &set);
			land(&r);
			check(&r);
			smtp_session_free(&r.s);
			smtp_pool_free(&r.pool);
		}
	}
}

static void with_extra(const struct run *good, int at, const char *text)
{
	struct run r = *good;

	memmove(&r.reply[at + 1], &r.reply[at],
		(size_t)(r.replies - at) * sizeof(r.reply[0]));
	r.reply[at] = text;
	r.replies++;
	r.distorted = true;
	r.extra_at = at;
	r.content_like = strncmp(text, "250 2.0.0", 9) == 0;
	play_all(&r);
}

static void distort_all(const struct run *good)
{
	static const char *const extra[] = {
		"250 2.0.0 stray", "250 2.1.0 stray", "250 2.1.5 stray",
		"250 stray",       "354 stray",       "421 4.3.2 stray",
		"451 4.3.0 stray", "550 5.1.1 stray",
	};
	size_t e;
	int at;

	play_all(good);
	for (at = 0; at < good->replies; at++) {
		struct run r = *good;

		r.distorted = true;
		r.replies--;
		memmove(&r.reply[at], &r.reply[at + 1],
			(size_t)(r.replies - at) * sizeof(r.reply[0]));
		play_all(&r);
	}
	for (e = 0; e < sizeof(extra) / sizeof(extra[0]); e++)
		for (at = 0; at <= good->replies; at++)
			with_extra(good, at, extra[e]);
}

START_TEST(rule_20_every_flight)
{
	unsigned bits;

	for (bits = 0; bits < 8; bits++) {
		struct run r = { .mail = bits & 1,
				 .rcpt = bits & 2,
				 .chunk = bits & 4,
				 .replies = 3,
				 .extra_at = -1 };

		if (!r.mail && r.rcpt)
			continue; /* no server does that */
		if (!r.rcpt && r.chunk)
			continue;
		r.reply[0] = r.mail ? "250 2.1.0 ok" : "451 4.3.0 later";
		r.reply[1] = r.rcpt    ? "250 2.1.5 ok"
			     : !r.mail ? "503 5.5.1 MAIL"
				       : "550 5.1.1 who";
		r.reply[2] = r.chunk   ? "250 2.0.0 queued"
			     : !r.rcpt ? "554 5.5.1 nobody"
				       : "554 5.7.1 spam";
		distort_all(&r);
	}
	printf("%u runs, %u accepted, %u refused, %u unsure, %u cannot be "
	       "known\n",
	       tally.runs, tally.accepted, tally.refused, tally.unsure,
	       tally.unknowable);
	ck_assert_uint_gt(tally.accepted, tally.runs / 50);
	ck_assert_uint_gt(tally.refused, tally.runs / 10);
	ck_assert_uint_gt(tally.unsure, tally.runs / 10);
	ck_assert_uint_lt(tally.unknowable, tally.runs / 10);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("chunk");
	TCase *tc = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tc, 240);
	tcase_add_test(tc, rule_20_every_flight);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
