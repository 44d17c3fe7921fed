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
#include "flight_rig.h"

#include <stdio.h>
#include <stdlib.h>

struct truth {
	int n; /* recipients of k+1 */
	bool dot, mail, odd_354;
	unsigned taken; /* bit for each recipient */
};

struct run {
	struct flight f;
	struct truth t;
	bool in_content, next_has;
};

static struct {
	unsigned runs, wrong, accepted, refused, unsure;
} tally;

/* --- the server ------------------------------------------------------- */

static bool has_354(const struct truth *t)
{
	return (t->mail && t->taken != 0) || t->odd_354;
}

static void true_replies(struct run *r)
{
	const struct truth *t = &r->t;
	struct flight *f = &r->f;
	int i;

	f->reply[0] = t->dot ? "250 2.0.0 queued" : "451 4.3.0 later";
	f->reply[1] = t->mail ? "250 2.1.0 ok" : "550 5.7.1 no";
	for (i = 0; i < t->n; i++)
		f->reply[2 + i] = !t->mail               ? "503 5.5.1 MAIL"
				  : t->taken & (1u << i) ? "250 2.1.5 ok"
							 : "550 5.1.1 who";
	f->reply[2 + t->n] = has_354(t) ? "354 go" : "503 5.5.1 nobody";
	f->replies = t->n + 3;
}

/* What comes behind the flight: a body, or commands. */
static void server_line(struct run *r, const char *line, size_t len)
{
	if (r->in_content && len == 3 && memcmp(line, ".\r\n", 3) == 0) {
		r->in_content = false;
		r->next_has = r->t.mail && r->t.taken != 0;
		flight_say(&r->f, "250 2.0.0 queued");
	} else if (!r->in_content) {
		flight_say(&r->f, memcmp(line, "RSET", 4) == 0
					  ? "250 2.0.0 ok"
					  : "500 5.5.1 what");
	}
}

static void server_read(struct run *r)
{
	char line[4096];
	size_t len;

	while (flight_line(&r->f, line, &len))
		server_line(r, line, len);
}

/* --- the caller ------------------------------------------------------- */

static const char flight_end[] = "DATA\r\n";

/* A session that has carried a message, with the flight under way. */
static void take_off(struct run *r, const struct smtp_settings *set)
{
	struct flight *f = &r->f;

	f->pool = smtp_pool_new(FLIGHT_RCPTS);
	f->s = smtp_session_new(set, f->pool, 0);
	flight_hear(f, "220 mx\r\n");
	flight_hear(f, "250-mx\r\n250 PIPELINING\r\n");
	flight_give(f, 0, 1);
	flight_write(f);
	flight_hear(f, "250 ok\r\n250 ok\r\n354 go\r\n");
	flight_hear(f, "250 ok\r\n");
	flight_give(f, 1, 1);
	flight_give(f, 2, (uint32_t)r->t.n);
	flight_write(f);
	f->said_len = 0;
	flight_hear(f, "250 ok\r\n250 ok\r\n354 go\r\n");
	ck_assert_mem_eq(f->said, "hi\r\n.\r\nMAIL", 11);
	ck_assert_mem_eq(f->said + f->said_len - 6, flight_end, 6);
	f->said_len = 0;
}

static void land(struct run *r)
{
	struct flight *f = &r->f;
	bool moved = true;
	int i, steps;

	for (i = 0; i < f->replies && i != f->close_after; i++)
		flight_say(f, f->reply[i]);
	f->gone = f->close_after >= 0;
	r->in_content = !f->gone && has_354(&r->t);
	for (steps = 0; moved && !f->closed; steps++) {
		ck_assert_int_lt(steps, 2000);
		moved = flight_step(f, true);
		if (!f->closed)
			flight_write(f);
		server_read(r);
		moved = moved || f->todo_len > 0;
	}
	flight_drain(f);
}

/* --- what must be true ------------------------------------------------ */

static bool is_code(const char *reply, const char *code)
{
	return memcmp(reply, code, 3) == 0;
}

/* The one thing that nobody can know, see above. */
static bool cannot_be_known(const struct run *r, bool distorted)
{
	int seen = flight_seen(&r->f);

	return distorted &&
	       (seen == 1 || (seen == 2 && is_code(r->f.reply[1], "421")));
}

static void check(const struct run *r, bool distorted)
{
	enum smtp_result k = r->f.result[0][0];
	int i;

	tally.runs++;
	ck_assert_int_eq(r->f.settled[0][0], 1);
	ck_assert_int_eq(r->f.done[0], 1);
	ck_assert_int_eq(r->f.done[1], 1);
	for (i = 0; i < r->t.n; i++) {
		bool has = r->next_has && (r->t.taken & (1u << i)) != 0;

		ck_assert_int_eq(r->f.settled[1][i], 1);
		if (r->f.result[1][i] != SMTP_UNSURE)
			ck_assert_int_eq(r->f.result[1][i] == SMTP_ACCEPTED,
					 has);
	}
	ck_assert_int_ne(k, SMTP_LOST);
	tally.accepted += k == SMTP_ACCEPTED;
	tally.refused += k == SMTP_DEFERRED || k == SMTP_REJECTED;
	tally.unsure += k == SMTP_UNSURE;
	if (k == SMTP_UNSURE) {
		ck_assert(r->f.distrust);
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
	ck_assert_int_ne(r->f.result[0][0], SMTP_UNSURE);
	ck_assert(!r->f.distrust);
	ck_assert_uint_eq(smtp_session_info(r->f.s).groups, 1);
}

static void play(struct run *r, bool distorted)
{
	static const struct smtp_settings set = { .hostname = { "test", 4 },
						  .pipelining = true,
						  .grouping = true };

	take_off(r, &set);
	land(r);
	check(r, distorted);
	if (!distorted && r->f.close_after < 0 && (r->t.mail || !r->t.odd_354))
		check_good(r);
	flight_free(&r->f);
}

/* Every close and every way of cutting. */
static void play_all(const struct run *first, bool distorted)
{
	int close_after, how;

	for (how = 0; how < FLIGHT_HOW_COUNT; how++) {
		for (close_after = -1; close_after <= first->f.replies;
		     close_after++) {
			struct run r = *first;

			r.f.how = (enum flight_how)how;
			r.f.close_after = close_after;
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
	for (at = 0; at < good.f.replies; at++) {
		struct run r = good;

		flight_leave_out(&r.f, at);
		play_all(&r, true);
	}
	for (e = 0; e < sizeof(extra) / sizeof(extra[0]); e++) {
		for (at = 0; at <= good.f.replies; at++) {
			struct run r = good;

			flight_insert(&r.f, at, extra[e]);
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
	tcase_add_loop_test(tc, rule_19_every_group, 1, FLIGHT_RCPTS + 1);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
