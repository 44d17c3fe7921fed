/*
 * tests/unit/test_compact.c - what lives is moved, and its segment is freed
 *
 * The model of qmodel.h with segments so small, and outcomes so mixed, that
 * segments are emptied all the time; then the rules one by one.
 */
#include "qmodel.h"

#include "queue/compact.h"
#include "queue/log.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

static const struct queue_settings small = {
	.segment_bytes = QUEUE_SEGMENT_MIN,
	.segments_ahead = 2,
	.free_bytes_min = 1 << 20,
	.index_bytes_max = 256u << 20,
	.tasks_max = 200,
	.queue_tasks_max = 60,
	.checkpoint_s = 3,
	.checkpoint_age_s = 1,
};

static uint64_t moved_in_all;

static struct queue_counts counts_of(struct qmodel *m)
{
	struct queue_counts counts;

	queue_store_counts(m->q, &counts);
	return counts;
}

static void commit_apply(struct qmodel *m)
{
	qmodel_commit(m);
	qmodel_apply(m);
}

/* Checkpoints, moves and freeing until nothing is left to gain. */
static void settle(struct qmodel *m)
{
	int i;

	for (i = 0; i < 6; i++) {
		commit_apply(m);
		ck_assert_int_eq(queue_store_checkpoint(m->q, m->now_s), 0);
		m->now_s += 3;
		do {
			qmodel_work(m, 100000);
			qmodel_moves(m, 1000);
			commit_apply(m);
			m->now_s++;
		} while (m->q->store->compact->stage != COMPACT_REST);
	}
}

static uint64_t used(struct qmodel *m)
{
	struct queue_counts counts = counts_of(m);

	return counts.segments - counts.segments_free;
}

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

static void decide_all(struct qmodel *m)
{
	uint32_t made;

	commit_apply(m);
	do {
		while (m->loaded_count > 0)
			qmodel_return(m, 0);
		qmodel_work(m, 100000);
		qmodel_moves(m, 1000);
		for (made = 0; qmodel_decided(m); made++)
			;
		commit_apply(m);
	} while (made > 0);
}

/* Everything can be delivered, and then all the space is back. */
static void deliver_all(struct qmodel *m)
{
	uint64_t id, place = 0;
	uint32_t rounds, i;

	for (i = 0; i < m->message_count; i++)
		while (m->messages[i].coming)
			qmodel_part(m);
	qmodel_decide(m, QUEUE_VERB_RESUME, "", 0);
	qmodel_decide(m, QUEUE_VERB_RELEASE, "", 0);
	decide_all(m);
	for (rounds = 0; qmodel_open_rcpts(m) > 0; rounds++) {
		ck_assert_uint_lt(rounds, 10000);
		m->now_s += 20;
		qmodel_work(m, 100000);
		qmodel_moves(m, 1000);
		while (qmodel_next(m))
			;
		while (m->loaded_count > 0)
			qmodel_answer(m, 0, true);
		commit_apply(m);
	}
	qmodel_check(m);
	settle(m);
	qmodel_check_index(m);
	moved_in_all += counts_of(m).moved;
	ck_assert_uint_le(used(m), 2);
	/* Of what moved into a segment that is free nothing is remembered,
	 * and the last segments are few. */
	for (i = 0; index_place_next(m->q->store->index, &place, &id) == 0;
	     place++)
		i++;
	ck_assert_uint_le(i, m->message_count + 600);
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

int main(void)
{
	Suite *s = suite_create("compact");
	TCase *tc = tcase_create("rules");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 250);
	tcase_add_test(tc, random_mail_moves_and_crashes_agree_with_the_model);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
