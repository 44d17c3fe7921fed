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
#include "flight_rig.h"

#include <stdio.h>
#include <stdlib.h>

struct run {
	struct flight f;
	bool mail, rcpt, chunk; /* taken; the truth */
	int extra_at;           /* -1: none */
	bool distorted, content_like;
};

static struct {
	unsigned runs, accepted, refused, unsure, unknowable;
} tally;

static const char whole[] = "MAIL FROM:<s@y>\r\nRCPT TO:<a@x>\r\n"
			    "BDAT 4 LAST\r\nhi\r\n";

/* A session that has carried a chunk and proved itself. */
static void take_off(struct flight *f, const struct smtp_settings *set)
{
	f->pool = smtp_pool_new(1);
	f->s = smtp_session_new(set, f->pool, 0);
	flight_hear(f, "220 mx\r\n");
	flight_hear(f, "250-mx\r\n250-PIPELINING\r\n250-CHUNKING\r\n"
		       "250 ENHANCEDSTATUSCODES\r\n");
	flight_give(f, 0, 1);
	flight_write(f);
	flight_hear(f, "250 2.1.0 ok\r\n250 2.1.5 ok\r\n");
	flight_hear(f, "250 2.0.0 queued\r\n");
	flight_give(f, 1, 1);
	flight_write(f);
	f->said_len = 0;
	flight_hear(f, "503 5.5.1 no mail\r\n250 2.0.0 ok\r\n");
	ck_assert_uint_eq(f->said_len, sizeof(whole) - 1);
	ck_assert_mem_eq(f->said, whole, sizeof(whole) - 1);
	f->said_len = 0;
}

static void land(struct flight *f)
{
	bool moved = true;
	int i, steps;

	for (i = 0; i < f->replies && i != f->close_after; i++)
		flight_say(f, f->reply[i]);
	f->gone = f->close_after >= 0;
	for (steps = 0; moved && !f->closed; steps++) {
		ck_assert_int_lt(steps, 1000);
		moved = flight_step(f, f->settled[0][0] == 0);
		if (!f->closed)
			flight_write(f);
		flight_read_reset(f);
		moved = moved || f->todo_len > 0;
	}
	flight_drain(f);
}

/* See above. */
static bool cannot_be_known(const struct run *r)
{
	if (!r->distorted)
		return false;
	if (r->f.result[0][0] == SMTP_ACCEPTED)
		return r->extra_at == 2 && r->content_like;
	return r->extra_at == 2 ||
	       (r->extra_at >= 0 && flight_seen(&r->f) <= 2);
}

static void check(const struct run *r)
{
	bool has = r->mail && r->rcpt && r->chunk;
	const struct flight *f = &r->f;
	enum smtp_result result = f->result[0][0];

	tally.runs++;
	ck_assert_int_eq(f->settled[0][0], 1);
	ck_assert_int_eq(f->done[0], 1);
	tally.accepted += result == SMTP_ACCEPTED;
	tally.refused += result == SMTP_DEFERRED || result == SMTP_REJECTED;
	tally.unsure += result == SMTP_UNSURE;
	if (result == SMTP_UNSURE) {
		ck_assert(f->distrust);
		ck_assert(r->distorted || f->close_after >= 0);
		return;
	}
	if ((result == SMTP_ACCEPTED) == has)
		return;
	/* 421 is the end, whoever said it. */
	if (result == SMTP_DEFERRED && r->distorted && f->closed)
		return;
	ck_assert_msg(cannot_be_known(r), "%s / %s / %s / %s close %d",
		      f->reply[0], f->reply[1], f->reply[2],
		      f->replies > 3 ? f->reply[3] : "-", f->close_after);
	tally.unknowable++;
}

static void play_all(const struct run *first)
{
	static const struct smtp_settings set = { .hostname = { "test", 4 },
						  .pipelining = true,
						  .chunking = true };
	int close_after, how;

	for (how = 0; how < FLIGHT_HOW_COUNT; how++) {
		for (close_after = -1; close_after <= first->f.replies;
		     close_after++) {
			struct run r = *first;

			r.f.how = (enum flight_how)how;
			r.f.close_after = close_after;
			take_off(&r.f, &set);
			land(&r.f);
			check(&r);
			flight_free(&r.f);
		}
	}
}

static void distort_all(const struct run *good)
{
	static const char *const extra[] = {
		"250 2.0.0 stray", "250 2.1.0 stray", "250 2.1.5 stray",
		"250 stray",       "354 stray",       "421 4.3.2 stray",
		"451 4.3.0 stray", "550 5.1.1 stray",
	};
	struct run r;
	size_t e;
	int at;

	play_all(good);
	for (at = 0; at < good->f.replies; at++) {
		r = *good;
		r.distorted = true;
		flight_leave_out(&r.f, at);
		play_all(&r);
	}
	for (e = 0; e < sizeof(extra) / sizeof(extra[0]); e++) {
		for (at = 0; at <= good->f.replies; at++) {
			r = *good;
			r.distorted = true;
			r.extra_at = at;
			r.content_like = strncmp(extra[e], "250 2.0.0", 9) == 0;
			flight_insert(&r.f, at, extra[e]);
			play_all(&r);
		}
	}
}

START_TEST(rule_20_every_flight)
{
	unsigned bits;

	for (bits = 0; bits < 8; bits++) {
		struct run r = { .mail = bits & 1,
				 .rcpt = bits & 2,
				 .chunk = bits & 4,
				 .f.replies = 3,
				 .extra_at = -1 };

		if (!r.mail && r.rcpt)
			continue; /* no server does that */
		if (!r.rcpt && r.chunk)
			continue;
		r.f.reply[0] = r.mail ? "250 2.1.0 ok" : "451 4.3.0 later";
		r.f.reply[1] = r.rcpt    ? "250 2.1.5 ok"
			       : !r.mail ? "503 5.5.1 MAIL"
					 : "550 5.1.1 who";
		r.f.reply[2] = r.chunk   ? "250 2.0.0 queued"
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
