/*
 * tests/unit/test_qmove.c - copies in the log, on a disk that is full
 */
#include "qfile.h"
#include "qhelp.h"
#include "queue/queue_private.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#define SEG (256u << 10)

static char *dir;
static struct qfile *disk;
static struct queue *q;

static void setup(void)
{
	struct queue_report report;

	qhelp_begin(&dir, &disk);
	ck_assert_int_eq(qhelp_open(dir, qfile_ops(disk), SEG, &q, &report), 0);
}

static void teardown(void)
{
	queue_close(&q);
	qhelp_end(&dir, &disk);
}

/* Of what is ready 3 are for more than mail, and the last is for outcomes. */
START_TEST(moves_leave_the_last_ready_segment)
{
	struct queue_out_rcpt r = { .state = QUEUE_DELIVERED };
	struct queue_out out = { .id = 1, .rcpts = &r, .rcpt_count = 1 };
	struct queue_move move = { .type = QUEUE_REC_MSG };
	struct queue_committed done;
	struct queue_record rec;
	struct queue_walk *w;
	uint64_t id, all, ready, from;
	uint16_t why = 0;
	int err = 0, i;

	ck_assert_int_eq(qhelp_add(q, 1, 50000, &id), 0);
	move.id = move.from = id;
	qfile_set_space(disk, (1 << 20) + SEG - 1);
	while (err == 0)
		err = qhelp_add(q, 1, 50000, &from);
	ck_assert_int_eq(err, -ENOSPC);
	from = queue_durable_lsn(q);
	for (i = 0; why == 0; i++) {
		ck_assert_int_lt(i, 30);
		while ((err = queue_put_move(q, &move)) == -EAGAIN)
			ck_assert_int_eq(queue_commit(q, &done), 0);
		ck_assert_int_eq(err, 0);
		ck_assert_int_eq(queue_commit(q, &done), 0);
		ck_assert_int_eq(queue_walk_open(q, from, &w), 0);
		ck_assert_int_eq(queue_log_next(w, &rec), 1);
		ck_assert_int_eq(rec.type, QUEUE_REC_MOVE);
		why = rec.move.why;
		from = rec.end;
		ck_assert(why != 0 || qhelp_check_at(q, id, rec.lsn, 1) == 0);
		queue_walk_close(&w);
	}
	ck_assert_uint_eq(why, ENOSPC); /* it is said in the log */
	ck_assert_int_gt(i, 8);         /* two segments took them */
	queue_segment_counts(q, &all, &ready);
	ck_assert_uint_eq(ready, 1);
	ck_assert(queue_out_room(q));
	r.note = span_of(calloc(1, 60000), 60000);
	for (i = 0; i < 4; i++) {
		ck_assert_int_eq(queue_put_out(q, &out), 0);
		ck_assert_int_eq(queue_commit(q, &done), 0);
	}
	free((void *)(uintptr_t)r.note.p);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("qmove");
	TCase *tc = tcase_create("disk");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 100);
	tcase_add_test(tc, moves_leave_the_last_ready_segment);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
