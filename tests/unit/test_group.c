/*
 * tests/unit/test_group.c - rule 19, exhaustively
 *
 * One flight carries mail k's content and dot and mail k+1's MAIL RCPT DATA.
 * For 1 to 3 recipients, every truth (dot, MAIL, each RCPT taken or refused,
 * 354 or not where nobody was taken), one reply too many (of six kinds, at
 * every place) or one missing (at every place), a close behind every reply
 * or none, the replies in one packet, line by line or octet by octet: what is
 * reported of both mails must be true of the server, or "unsure".
 *
 * One thing no client can know: when nothing but one reply came before the
 * end (or that and a 421), and it is not the dot's, it looks like a server
 * that answered the dot and went.  Only there may the report be wrong; such
 * runs are counted.
 */
#include "mtaq/smtp.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define N_MAX   3
#define REPLIES (N_MAX + 4)

struct truth {
	int n; /* recipients of k+1 */
	bool dot, mail, odd_354;
	unsigned taken; /* bit for each recipient */
};

enum how {
	PACKET,
	LINES,
	OCTETS,
	HOW_COUNT
};

struct run {
	struct truth t;
	const char *reply[REPLIES];
	int replies, close_after; /* -1: it does not close */
	enum how how;
	struct smtp_pool *pool;
	struct smtp_session *s;
	uint64_t now_ms;
	bool in_content, gone, closed, distrust, next_has;
	char todo[4096]; /* the server's octets that were not yet read */
	size_t todo_len;
	char said[4096]; /* ours behind the flight */
	size_t said_len;
	int settled[2][N_MAX], done[2];
	enum smtp_result result[2][N_MAX];
};

static struct {
	unsigned runs, wrong, accepted, refused, unsure;
} tally;

static const struct smtp_rcpt rcpts[N_MAX] = {
	{ { "a@x", 3 }, { NULL, 0 } },
	{ { "b@x", 3 }, { NULL, 0 } },
	{ { "c@x", 3 }, { NULL, 0 } },
};
static const struct iovec content = { (void *)(uintptr_t) "hi\r\n", 4 };

/* --- the server ------------------------------------------------------- */

static bool has_354(const struct truth *t)
{
	return (t->mail && t->taken != 0) || t->odd_354;
}

static void true_replies(struct run *r)
{
	const struct truth *t = &r->t;
	int i;

	r->reply[0] = t->dot ? "250 2.0.0 queued" : "451 4.3.0 later";
	r->reply[1] = t->mail ? "250 2.1.0 ok" : "550 5.7.1 no";
	for (i = 0; i < t->n; i++)
		r->reply[2 + i] = !t->mail               ? "503 5.5.1 MAIL"
				  : t->taken & (1u << i) ? "250 2.1.5 ok"
							 : "550 5.1.1 who";
	r->reply[2 + t->n] = has_354(t) ? "354 go" : "503 5.5.1 nobody";
	r->replies = t->n + 3;
}

static void insert(struct run *r, int at, const char *reply)
{
	memmove(&r->reply[at + 1], &r->reply[at],
		(size_t)(r->replies - at) * sizeof(r->reply[0]));
	r->reply[at] = reply;
	r->replies++;
}

static void leave_out(struct run *r, int at)
{
	r->replies--;
	memmove(&r->reply[at], &r->reply[at + 1],
		(size_t)(r->replies - at) * sizeof(r->reply[0]));
}

static void say(struct run *r, const char *text)
{
	size_t n = strlen(text);

	ck_assert_uint_le(r->todo_len + n, sizeof(r->todo));
	memcpy(r->todo + r->todo_len, text, n);
	r->todo_len += n;
}

/* What comes behind the flight: a body, or commands. */
static void server_line(struct run *r, const char *line, size_t len)
{
	if (r->in_content && len == 3 && memcmp(line, ".\r\n", 3) == 0) {
		r->in_content = false;
		r->next_has = r->t.mail && r->t.taken != 0;
		say(r, "250 2.0.0 queued\r\n");
	} else if (!r->in_content) {
		say(r, memcmp(line, "RSET", 4) == 0 ? "250 2.0.0 ok\r\n"
						    : "500 5.5.1 what\r\n");
	}
}

static void server_read(struct run *r)
{
	char *nl;

	while (!r->gone && (nl = memchr(r->said, '\n', r->said_len)) != NULL) {
		size_t n = (size_t)(nl - r->said) + 1;

		server_line(r, r->said, n);
		r->said_len -= n;
		memmove(r->said, r->said + n, r->said_len);
	}
}

/* --- the caller ------------------------------------------------------- */

static void drain_events(struct run *r)
{
	struct smtp_event ev;

	while (smtp_session_event(r->s, &ev)) {
		unsigned m = (unsigned)ev.tag - 1;

		if (ev.type == SMTP_EV_RCPT && ev.tag > 0) {
			ck_assert_int_eq(r->done[m], 0);
			r->settled[m][ev.rcpt]++;
			r->result[m][ev.rcpt] = ev.verdict.result;
		} else if (ev.type == SMTP_EV_MAIL_DONE && ev.tag > 0) {
			r->done[m]++;
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

static void give(struct run *r, uint64_t tag, int n)
{
	struct smtp_mail m = { .tag = tag,
			       .sender = SPAN("s@y"),
			       .rcpts = rcpts,
			       .rcpt_count = (uint32_t)n,
			       .content = &content,
			       .content_count = 1,
			       .content_bytes = 4 };

	ck_assert_int_eq(smtp_session_mail(r->s, &m, r->now_ms), 0);
}

static const char flight_end[] = "DATA\r\n";

/* A session that has carried a message, with the flight under way. */
static void take_off(struct run *r, const struct smtp_settings *set)
{
	r->pool = smtp_pool_new(N_MAX);
	r->s = smtp_session_new(set, r->pool, 0);
	input_text(r, "220 mx\r\n");
	input_text(r, "250-mx\r\n250 PIPELINING\r\n");
	give(r, 0, 1);
	write_all(r);
	input_text(r, "250 ok\r\n250 ok\r\n354 go\r\n");
	input_text(r, "250 ok\r\n");
	give(r, 1, 1);
	give(r, 2, r->t.n);
	write_all(r);
	r->said_len = 0;
	input_text(r, "250 ok\r\n250 ok\r\n354 go\r\n");
	ck_assert_mem_eq(r->said, "hi\r\n.\r\nMAIL", 11);
	ck_assert_mem_eq(r->said + r->said_len - 6, flight_end, 6);
	r->said_len = 0;
}

/* One packet, line or octet of what the server has said. */
static void read_some(struct run *r)
{
	char chunk[4096];
	size_t n = r->todo_len;

	if (r->how == LINES)
		n = (size_t)((char *)memchr(r->todo, '\n', n) - r->todo) + 1;
	else if (r->how == OCTETS)
		n = 1;
	memcpy(chunk, r->todo, n);
	r->todo_len -= n;
	memmove(r->todo, r->todo + n, r->todo_len);
	input(r, chunk, n);
}

static void land(struct run *r)
{
	int i, steps;

	for (i = 0; i < r->replies && i != r->close_after; i++) {
		say(r, r->reply[i]);
		say(r, "\r\n");
	}
	r->gone = r->close_after >= 0;
	r->in_content = !r->gone && has_354(&r->t);
	for (steps = 0; steps < 2000 && !r->closed; steps++) {
		if (r->todo_len > 0) {
			read_some(r);
		} else if (r->gone) {
			smtp_session_eof(r->s);
		} else if (smtp_session_deadline(r->s) != SMTP_NEVER) {
			r->now_ms = smtp_session_deadline(r->s);
			smtp_session_tick(r->s, r->now_ms);
		} else if (steps > 1000) {
			break; /* idle: both mails are done */
		}
		if (!r->closed)
			write_all(r);
		server_read(r);
	}
	drain_events(r);
}

/* --- what must be true ------------------------------------------------ */

static bool is_code(const char *reply, const char *code)
{
	return memcmp(reply, code, 3) == 0;
}

/* The one thing that nobody can know, see above. */
static bool cannot_be_known(const struct run *r, bool distorted)
{
	int seen = r->close_after >= 0 && r->close_after < r->replies
			   ? r->close_after
			   : r->replies;

	return distorted &&
	       (seen == 1 || (seen == 2 && is_code(r->reply[1], "421")));
}

static void check(const struct run *r, bool distorted)
{
	enum smtp_result k = r->result[0][0];
	int i;

	tally.runs++;
	ck_assert_int_eq(r->settled[0][0], 1);
	ck_assert_int_eq(r->done[0], 1);
	ck_assert_int_eq(r->done[1], 1);
	for (i = 0; i < r->t.n; i++) {
		bool has = r->next_has && (r->t.taken & (1u << i)) != 0;

		ck_assert_int_eq(r->settled[1][i], 1);
		if (r->result[1][i] != SMTP_UNSURE)
			ck_assert_int_eq(r->result[1][i] == SMTP_ACCEPTED, has);
	}
	ck_assert_int_ne(k, SMTP_LOST);
	tally.accepted += k == SMTP_ACCEPTED;
	tally.refused += k == SMTP_DEFERRED || k == SMTP_REJECTED;
	tally.unsure += k == SMTP_UNSURE;
	if (k == SMTP_UNSURE) {
		ck_assert(r->distrust);
		return;
	}
	if ((k == SMTP_ACCEPTED) == r->t.dot)
		return;
	ck_assert(cannot_be_known(r, distorted));
	tally.wrong++;
}

/* Nothing went wrong: then nothing may be unsure. */
static void check_good(const struct run *r)
{
	ck_assert_int_ne(r->result[0][0], SMTP_UNSURE);
	ck_assert(!r->distrust);
	ck_assert_uint_eq(smtp_session_info(r->s).groups, 1);
}

static void play(struct run *r, bool distorted)
{
	static const struct smtp_settings set = { .hostname = { "test", 4 },
						  .pipelining = true,
						  .grouping = true };

	take_off(r, &set);
	land(r);
	check(r, distorted);
	if (!distorted && r->close_after < 0 && (r->t.mail || !r->t.odd_354))
		check_good(r);
	smtp_session_free(&r->s);
	smtp_pool_free(&r->pool);
}

/* Every close and every way of cutting. */
static void play_all(const struct run *first, bool distorted)
{
	int close_after, how;

	for (how = 0; how < HOW_COUNT; how++) {
		for (close_after = -1; close_after <= first->replies;
		     close_after++) {
			struct run r = *first;

			r.how = (enum how)how;
			r.close_after = close_after;
			play(&r, distorted);
		}
	}
}

static void distort_all(const struct truth *t)
{
	static const char *const extra[] = {
		"250 2.0.0 stray", "250 stray", "354 stray",
		"421 4.3.2 stray", "451 stray", "550 5.1.1 stray",
	};
	struct run good = { .t = *t };
	size_t e;
	int at;

	true_replies(&good);
	play_all(&good, false);
	for (at = 0; at < good.replies; at++) {
		struct run r = good;

		leave_out(&r, at);
		play_all(&r, true);
	}
	for (e = 0; e < sizeof(extra) / sizeof(extra[0]); e++) {
		for (at = 0; at <= good.replies; at++) {
			struct run r = good;

			insert(&r, at, extra[e]);
			play_all(&r, true);
		}
	}
}

START_TEST(rule_19_every_group)
{
	struct truth t = { .n = _i };
	unsigned bits;

	for (bits = 0; bits < 8; bits++) {
		for (t.taken = 0; t.taken < 1u << t.n; t.taken++) {
			t.dot = bits & 1;
			t.mail = bits & 2;
			t.odd_354 = bits & 4;
			if (!t.mail && t.taken != 0)
				continue; /* no server does that */
			distort_all(&t);
		}
	}
	printf("%d rcpts: %u runs, %u accepted, %u refused, %u unsure, "
	       "%u cannot be known\n",
	       t.n, tally.runs, tally.accepted, tally.refused, tally.unsure,
	       tally.wrong);
	ck_assert_uint_gt(tally.accepted, tally.runs / 20);
	ck_assert_uint_gt(tally.refused, tally.runs / 20);
	ck_assert_uint_gt(tally.unsure, tally.runs / 20);
	ck_assert_uint_lt(tally.wrong, tally.runs / 10);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("group");
	TCase *tc = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tc, 240);
	tcase_add_loop_test(tc, rule_19_every_group, 1, N_MAX + 1);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
