/*
 * tests/unit/test_compact.c - what lives is moved, and its segment is freed
 *
 * The model of qmodel.h with segments so small, and outcomes so mixed, that
 * segments are emptied all the time; then the rules one by one.
 */
#include "compact_rig.h"

#include <stdlib.h>

static uint64_t moved_in_all;

/* --- random ------------------------------------------------------------------- */

static void step(struct qmodel *m, bool decisions)
{
	uint32_t dice = qmodel_random(m, 100);

	if (dice < 14)
		qmodel_message(m);
	else if (dice < 16)
		qmodel_part(m);
	else if (dice < 36)
		qmodel_next(m);
	else if (dice < 56 && m->loaded_count > 0)
		qmodel_answer(m, qmodel_random(m, m->loaded_count),
			      qmodel_random(m, 3) > 0);
	else if (dice < 58 && m->loaded_count > 0)
		qmodel_return(m, qmodel_random(m, m->loaded_count));
	else if (dice < 76)
		qmodel_work(m, 1 + (int)qmodel_random(m, 6));
	else if (dice < 84)
		qmodel_moves(m, 1 + qmodel_random(m, 6));
	else if (dice < 88)
		m->now_s += qmodel_random(m, 4);
	else if (dice < 89 && qmodel_random(m, 4) == 0)
		qmodel_check(m);
	else if (dice < 90 && qmodel_random(m, 3) == 0) {
		moved_in_all += counts_of(m).moved;
		qmodel_crash(m);
	} else if (dice < 91 && decisions)
		qmodel_decide(m, QUEUE_VERB_HOLD + qmodel_random(m, 6),
			      qmodel_domain(qmodel_random(m, 6)), 0);
	else if (dice < 92 && decisions && m->message_count > 0)
		qmodel_decide(
			m, QUEUE_VERB_HOLD + qmodel_random(m, 4), "",
			m->messages[qmodel_random(m, m->message_count)].id);
	else if (dice < 97)
		commit_apply(m);
	else if (decisions)
		qmodel_decided(m);
}

/* Everything can be delivered, and then all the space is back. */
static void deliver_all(struct qmodel *m)
{
	uint64_t id, place = 0;

	qmodel_deliver(m, 1000);
	qmodel_check(m);
	settle(m);
	qmodel_check_index(m);
	moved_in_all += counts_of(m).moved;
	ck_assert_uint_le(used(m), 2);
	/* Of what moved into a segment that is free nothing is remembered. */
	for (; index_place_next(m->q->store->index, &place, &id) == 0; place++)
		ck_assert(is_there(m, place / m->set.segment_bytes));
}

static void play(uint64_t seed, int steps, bool decisions)
{
	struct qmodel m = { .run_rows = (uint32_t)(1 + seed % 9),
			    .step_rows = (uint32_t)(1 + seed % 4),
			    .lines_max = seed % 2 == 0 ? 3 : 0,
			    .live_percent = 30 + (uint32_t)(seed % 3) * 30 };
	int i;

	qmodel_open(&m, &small, seed);
	for (i = 0; i < steps; i++)
		step(&m, decisions);
	qmodel_check(&m);
	settle(&m);
	qmodel_check_index(&m);
	moved_in_all += counts_of(&m).moved;
	qmodel_crash(&m);
	qmodel_check(&m);
	deliver_all(&m);
	qmodel_close(&m);
}

static int times(int normal)
{
	const char *more = getenv("MTAQ_TEST_TIMES");

	return more == NULL ? normal : normal * (int)strtol(more, NULL, 10);
}

START_TEST(random_mail_moves_and_crashes_agree_with_the_model)
{
	int i;

	for (i = 0; i < times(2); i++)
		play(300 + (uint64_t)i, 5000, false);
	for (i = 0; i < times(2); i++)
		play(700 + (uint64_t)i, 5000, true);
	printf("moved %llu\n", (unsigned long long)moved_in_all);
	ck_assert_uint_gt(moved_in_all, 100);
}
END_TEST

/* --- the rules, one by one ------------------------------------------------------ */

START_TEST(a_segment_under_10_percent_is_emptied_and_no_other)
{
	uint32_t keep[64] = { 0 };
	struct qmodel m;
	uint64_t first;

	begin(&m);
	first = fill_segments(&m, 3);
	keep[first] = 5;      /* of some 110 */
	keep[first + 1] = 30; /* over 10 %, under 50 % */
	keep[first + 2] = 80;
	deliver_but(&m, keep, 64);
	settle(&m);
	ck_assert(!is_there(&m, first));
	ck_assert(is_there(&m, first + 1) && is_there(&m, first + 2));
	ck_assert_uint_eq(counts_of(&m).moved, 5);
	ck_assert_uint_eq(counts_of(&m).compacted, 1);
	ck_assert_uint_eq(counts_of(&m).waiting, 115);
	/* With less than twice free_bytes_min on the disk. */
	m.q->set.free_bytes_min = UINT64_MAX / 2;
	settle(&m);
	ck_assert(!is_there(&m, first + 1) && is_there(&m, first + 2));
	ck_assert_uint_eq(counts_of(&m).moved, 35);
	ck_assert_uint_eq(counts_of(&m).waiting, 115);
	qmodel_check_index(&m);
	qmodel_close(&m);
}
END_TEST

START_TEST(the_last_segment_and_what_an_event_cursor_needs_stay)
{
	uint32_t keep[64] = { 0 };
	struct queue_cursor *cursor;
	struct qmodel m;
	uint64_t first;

	begin(&m);
	first = fill_segments(&m, 2);
	keep[first] = keep[first + 1] = keep[first + 2] = 1;
	ck_assert_int_eq(queue_cursor_open(m.q, 0, &cursor), 0);
	deliver_but(&m, keep, 64);
	settle(&m);
	ck_assert_uint_eq(counts_of(&m).moved, 0);
	queue_cursor_done(cursor, (first + 1) * m.set.segment_bytes);
	settle(&m);
	ck_assert_uint_eq(counts_of(&m).moved, 1);
	ck_assert(!is_there(&m, first) && is_there(&m, first + 1));
	queue_cursor_close(&cursor);
	settle(&m);
	ck_assert(!is_there(&m, first + 1) && is_there(&m, first + 2));
	qmodel_close(&m);
}
END_TEST

START_TEST(a_decision_in_force_is_moved_like_a_message)
{
	struct queue_decision dec;
	uint32_t keep[64] = { 0 };
	struct qmodel m;
	uint64_t first, lsn, place, is;
	int life;

	begin(&m);
	lsn = qmodel_decide(&m, QUEUE_VERB_PAUSE, "z.example", 0);
	first = fill_segments(&m, 1);
	ck_assert_uint_eq(sequence_of(&m, lsn), first);
	deliver_but(&m, keep, 64);
	settle(&m);
	ck_assert(!is_there(&m, first));
	place = queue_store_place(m.q, lsn);
	ck_assert_uint_gt(place, lsn);
	for (life = 0; life < 2; life++) {
		ck_assert_int_eq(queue_store_decision(m.q, 0, &is, &dec), 0);
		ck_assert_uint_eq(is, lsn); /* it covers what it covered */
		ck_assert(span_eq(dec.domain, SPAN("z.example")));
		ck_assert_uint_eq(queue_store_place(m.q, lsn), place);
		qmodel_check_index(&m);
		qmodel_reopen(&m);
	}
	qmodel_decide(&m, QUEUE_VERB_RESUME, "z.example", 0);
	settle(&m);
	ck_assert_int_eq(queue_store_decision(m.q, 0, &is, &dec), -ENOENT);
	ck_assert(!is_there(&m, sequence_of(&m, place)));
	qmodel_close(&m);
}
END_TEST

/* Nothing but time: who cancels need do nothing more. */
START_TEST(the_space_of_a_cancelled_campaign_comes_back)
{
	uint64_t before, i;
	struct qmodel m;

	begin(&m);
	for (i = 0; i < 2000; i++)
		put_one(&m, i % 20 == 0 ? "stays" : "goes", BYTES);
	commit_apply(&m);
	before = used(&m);
	ck_assert_uint_gt(before, 15);
	ck_assert_int_eq(queue_put_decision(m.q,
					    &(struct queue_decision){
						    .verb = QUEUE_VERB_CANCEL,
						    .made_s = m.now_s,
						    .campaign = SPAN("goes") },
					    &i),
			 0);
	for (i = 0; i < 120; i++) { /* seconds */
		struct queue_out out;
		enum queue_verb verb;

		commit_apply(&m);
		m.now_s++;
		qmodel_work(&m, 100000);
		while (queue_store_decided(m.q, m.now_s, &verb, &out) > 0)
			if (queue_put_out(m.q, &out) == -EAGAIN) {
				qmodel_commit(&m);
				ck_assert_int_eq(queue_put_out(m.q, &out), 0);
			}
		qmodel_moves(&m, 1000);
	}
	ck_assert_uint_eq(counts_of(&m).waiting, 100);
	ck_assert_uint_eq(counts_of(&m).moved, 100);
	/* 100 messages of 1,000 octets, their moves and 1,900 outcomes. */
	ck_assert_uint_le(used(&m), 5);
	qmodel_check_index(&m);
	qmodel_close(&m);
}
END_TEST

START_TEST(moves_leave_room_for_mail)
{
	uint32_t keep[64] = { 0 };
	struct queue_move move;
	struct qmodel m;
	uint64_t bytes;
	uint32_t i, n;

	begin(&m);
	m.q->store->compact->percent = 60;
	for (i = 0; i < 24; i++)
		keep[i] = 50;
	fill_segments(&m, 20);
	deliver_but(&m, keep, 64);
	ck_assert_int_eq(queue_store_checkpoint(m.q, m.now_s), 0);
	qmodel_work(&m, 100000);
	m.q->store->compact->credit = 100u << 10;
	/* So many on their way at once, and no more before they are seen. */
	for (n = 0; queue_store_move(m.q, m.now_s, &move) > 0; n++)
		while (queue_put_move(m.q, &move) == -EAGAIN)
			qmodel_commit(&m);
	ck_assert_uint_eq(n, COMPACT_GIVEN_MAX);
	commit_apply(&m);
	/* Then only what credit allows: this second there is little left. */
	qmodel_moves(&m, 1000);
	commit_apply(&m);
	bytes = counts_of(&m).moved_bytes;
	ck_assert_uint_lt(bytes, 125u << 10);
	qmodel_moves(&m, 1000);
	commit_apply(&m);
	ck_assert_uint_eq(counts_of(&m).moved_bytes, bytes);
	m.now_s++;
	qmodel_moves(&m, 1000);
	commit_apply(&m);
	ck_assert_uint_gt(counts_of(&m).moved_bytes, bytes);
	qmodel_close(&m);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("compact");
	TCase *tc = tcase_create("rules");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 250);
	tcase_add_test(tc, random_mail_moves_and_crashes_agree_with_the_model);
	tcase_add_test(tc, a_segment_under_10_percent_is_emptied_and_no_other);
	tcase_add_test(tc,
		       the_last_segment_and_what_an_event_cursor_needs_stay);
	tcase_add_test(tc, a_decision_in_force_is_moved_like_a_message);
	tcase_add_test(tc, the_space_of_a_cancelled_campaign_comes_back);
	tcase_add_test(tc, moves_leave_room_for_mail);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
