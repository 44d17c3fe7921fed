/*
 * tests/unit/test_stream.c - rule 20: messages that follow each other
 *
 * Three mails fly, RSET between them, on a session that has proved itself.
 * For every truth (each mail refused at MAIL, at RCPT, at its content, or
 * taken), one reply too many (of eight kinds, at every place) or one missing,
 * a close behind every reply or none, the replies in one packet, line by line
 * or octet by octet: what is reported must be true of the server, or "unsure".
 *
 * What no client can know is less than for a lone flight (test_chunk.c): only
 * of the last mail, and of one behind which the end came before the next
 * one's MAIL was answered.  Of every other one the report is true.
 */
#include "flight_rig.h"

#include <stdio.h>
#include <stdlib.h>

#define MAILS FLIGHT_MAILS

enum truth {
	NO_MAIL,
	NO_RCPT,
	NO_CONTENT,
	TAKEN,
	TRUTHS
};

struct run {
	struct flight f;
	enum truth truth[MAILS];
	int extra_at; /* -1: none */
	bool distorted, content_like, bye;
};

static struct {
	unsigned runs, mails, accepted, refused, unsure, lost, unknowable;
} tally;

#define ONE "MAIL FROM:<s@y>\r\nRCPT TO:<a@x>\r\nBDAT 4 LAST\r\nhi\r\n"

static void take_off(struct flight *f, const struct smtp_settings *set)
{
	static const char all[] = ONE "RSET\r\n" ONE "RSET\r\n" ONE;
	uint64_t tag;

	f->pool = smtp_pool_new(1);
	f->s = smtp_session_new(set, f->pool, 0);
	smtp_session_set_ahead(f->s, MAILS);
	flight_hear(f, "220 mx\r\n");
	flight_hear(f, "250-mx\r\n250-PIPELINING\r\n250-CHUNKING\r\n"
		       "250 ENHANCEDSTATUSCODES\r\n");
	flight_give(f, 1, 1);
	flight_write(f);
	f->said_len = 0;
	flight_hear(f, "503 5.5.1 no mail\r\n250 2.0.0 ok\r\n");
	for (tag = 2; tag <= MAILS; tag++)
		flight_give(f, tag, 1);
	ck_assert_uint_eq(smtp_session_room(f->s), 0);
	flight_write(f);
	ck_assert_uint_eq(f->said_len, sizeof(all) - 1);
	ck_assert_mem_eq(f->said, all, sizeof(all) - 1);
	f->said_len = 0;
}

static bool all_settled(const struct flight *f)
{
	int m, n = 0;

	for (m = 0; m < MAILS; m++)
		n += f->settled[m][0];
	return n == MAILS;
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
		moved = flight_step(f, !all_settled(f));
		if (!f->closed)
			flight_write(f);
		flight_read_reset(f);
		moved = moved || f->todo_len > 0;
	}
	flight_drain(f);
}

/* --- what must be true ------------------------------------------------ */

/* Where the answer to mail m's MAIL stands in a true row. */
static int mail_at(int m)
{
	return m * 4;
}

/* See above. */
static bool cannot_be_known(const struct run *r, int m)
{
	int seen = flight_seen(&r->f);
	int content_at = mail_at(m) + 2;

	if (!r->distorted)
		return false;
	if (m + 1 < MAILS && seen > mail_at(m + 1))
		return false;
	if (r->f.result[m][0] == SMTP_ACCEPTED)
		return (r->extra_at == content_at && r->content_like) ||
		       r->extra_at < 0;
	return r->extra_at >= 0 &&
	       (r->extra_at == content_at || seen <= content_at);
}

static void check_mail(const struct run *r, int m)
{
	const struct flight *f = &r->f;
	enum smtp_result result = f->result[m][0];
	bool has = r->truth[m] == TAKEN;

	tally.mails++;
	tally.accepted += result == SMTP_ACCEPTED;
	tally.refused += result == SMTP_DEFERRED || result == SMTP_REJECTED;
	tally.unsure += result == SMTP_UNSURE;
	tally.lost += result == SMTP_LOST;
	ck_assert_int_eq(f->settled[m][0], 1);
	ck_assert_int_eq(f->done[m], 1);
	if (result == SMTP_UNSURE) {
		ck_assert(f->distrust);
		ck_assert(r->distorted || f->close_after >= 0);
		return;
	}
	if ((result == SMTP_ACCEPTED) == has)
		return;
	/* 421 is the end, whoever said it. */
	if (r->bye && result != SMTP_REJECTED && result != SMTP_ACCEPTED)
		return;
	ck_assert_msg(cannot_be_known(r, m),
		      "mail %d, truths %d %d %d, replies %d extra %d close %d "
		      "how %d: %s",
		      m, r->truth[0], r->truth[1], r->truth[2], f->replies,
		      r->extra_at, f->close_after, f->how,
		      smtp_result_name(result));
	tally.unknowable++;
}

static void play_all(const struct run *first)
{
	static const struct smtp_settings set = { .hostname = { "test", 4 },
						  .pipelining = true,
						  .chunking = true };
	int close_after, how, m;

	for (how = 0; how < FLIGHT_HOW_COUNT; how++) {
		for (close_after = -1; close_after <= first->f.replies;
		     close_after++) {
			struct run r = *first;

			r.f.how = (enum flight_how)how;
			r.f.close_after = close_after;
			take_off(&r.f, &set);
			land(&r.f);
			tally.runs++;
			for (m = 0; m < MAILS; m++)
				check_mail(&r, m);
			if (!r.distorted && close_after < 0)
				ck_assert_uint_eq(
					smtp_session_info(r.f.s).flights,
					MAILS);
			flight_free(&r.f);
		}
	}
}

static void with_extra(const struct run *good, int at, const char *text)
{
	struct run r = *good;

	flight_insert(&r.f, at, text);
	r.distorted = true;
	r.extra_at = at;
	r.content_like = strncmp(text, "250 2.0.0", 9) == 0;
	r.bye = strncmp(text, "421", 3) == 0;
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
	for (at = 0; at < good->f.replies; at++) {
		struct run r = *good;

		r.distorted = true;
		flight_leave_out(&r.f, at);
		play_all(&r);
	}
	for (e = 0; e < sizeof(extra) / sizeof(extra[0]); e++)
		for (at = 0; at <= good->f.replies; at++)
			with_extra(good, at, extra[e]);
}

static void true_replies(struct run *r)
{
	struct flight *f = &r->f;
	int m;

	f->replies = 0;
	r->extra_at = -1;
	for (m = 0; m < MAILS; m++) {
		enum truth t = r->truth[m];

		if (m > 0)
			f->reply[f->replies++] = "250 2.0.0 reset";
		f->reply[f->replies++] =
			t == NO_MAIL ? "451 4.3.0 later" : "250 2.1.0 ok";
		f->reply[f->replies++] = t == NO_MAIL   ? "503 5.5.1 MAIL"
					 : t == NO_RCPT ? "550 5.1.1 who"
							: "250 2.1.5 ok";
		f->reply[f->replies++] = t == TAKEN        ? "250 2.0.0 queued"
					 : t == NO_CONTENT ? "554 5.7.1 spam"
							   : "554 5.5.1 nobody";
	}
}

START_TEST(rule_20_every_stream)
{
	struct run r = { .truth = { (enum truth)_i } };
	int a, b;

	for (a = 0; a < TRUTHS; a++) {
		for (b = 0; b < TRUTHS; b++) {
			r.truth[1] = (enum truth)a;
			r.truth[2] = (enum truth)b;
			true_replies(&r);
			distort_all(&r);
		}
	}
	printf("%d: %u runs, %u mails: %u accepted, %u refused, %u unsure, "
	       "%u lost, %u cannot be known\n",
	       _i, tally.runs, tally.mails, tally.accepted, tally.refused,
	       tally.unsure, tally.lost, tally.unknowable);
	ck_assert_uint_gt(tally.accepted, tally.mails / 100);
	ck_assert_uint_gt(tally.refused, tally.mails / 20);
	ck_assert_uint_gt(tally.unsure, tally.mails / 20);
	ck_assert_uint_gt(tally.lost, tally.mails / 200);
	ck_assert_uint_lt(tally.unknowable, tally.mails / 50);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stream");
	TCase *tc = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tc, 240);
	tcase_add_loop_test(tc, rule_20_every_stream, 0, TRUTHS);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
