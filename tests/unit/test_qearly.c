/*
 * tests/unit/test_qearly.c - a group that is written before its commit
 */
#include "qfile.h"
#include "qhelp.h"
#include "queue/queue_private.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

static char *dir;
static struct qfile *disk;
static struct queue *q;
static struct queue_report report;

static void open_queue(void)
{
	ck_assert_int_eq(
		qhelp_open(dir, qfile_ops(disk), 256u << 10, &q, &report), 0);
}

static void setup(void)
{
	qhelp_begin(&dir, &disk);
	open_queue();
}

static void teardown(void)
{
	queue_close(&q);
	qhelp_end(&dir, &disk);
}

/* 50 messages of 3000 octets, staged. */
static void stage_some(struct qhelp_message *m[50], uint64_t ids[50])
{
	size_t i;

	for (i = 0; i < 50; i++) {
		m[i] = qhelp_message(i, i % 3 == 0 ? 3000 : 2990 - i);
		ck_assert_int_eq(queue_put_message(q, &m[i]->msg, &ids[i]), 0);
	}
}

static void free_some(struct qhelp_message *m[50])
{
	size_t i;

	for (i = 0; i < 50; i++)
		free(m[i]);
}

static void check_some(struct qhelp_message *m[50], const uint64_t ids[50])
{
	size_t i;

	for (i = 0; i < 50; i++)
		ck_assert_int_eq(qhelp_check(q, ids[i], i), 0);
	free_some(m);
}

START_TEST(a_group_may_be_written_before_it_is_whole)
{
	struct qhelp_message *m[50], *last = qhelp_message(50, 2000);
	uint64_t ids[50], before, id, writes, syncs, durable;
	struct queue_committed done;

	ck_assert_int_eq(qhelp_add(q, 51, 10, &before), 0);
	writes = qfile_calls(disk, QFILE_PWRITEV);
	syncs = qfile_calls(disk, QFILE_SYNC);
	durable = queue_durable_lsn(q);
	queue_write_early(q); /* there is nothing */
	stage_some(m, ids);
	queue_write_early(q);
	ck_assert_int_eq(queue_put_message(q, &last->msg, &id), 0);
	queue_write_early(q); /* too little since then */
	ck_assert_uint_eq(qfile_calls(disk, QFILE_PWRITEV) - writes, 1);
	ck_assert_uint_eq(qfile_calls(disk, QFILE_SYNC), syncs);
	ck_assert_uint_eq(queue_durable_lsn(q), durable);
	ck_assert_int_eq(qhelp_check(q, ids[0], 0), -ENOENT);
	if (_i == 1) { /* the power goes before the commit */
		queue_close(&q);
		qfile_crash(disk, QFILE_LOSE_RANDOM, 7);
		open_queue();
		ck_assert_uint_eq(report.damaged, 0);
		ck_assert_int_eq(qhelp_check(q, before, 51), 0);
		ck_assert_int_eq(qhelp_check(q, id, 50), -ENOENT);
		free_some(m);
		stage_some(m, ids);
	}
	ck_assert_int_eq(queue_commit(q, &done), 0);
	queue_close(&q);
	qfile_crash(disk, QFILE_LOSE_ALL, 1);
	open_queue();
	ck_assert_uint_eq(report.damaged, 0);
	ck_assert_int_eq(qhelp_check(q, before, 51), 0);
	if (_i == 0)
		ck_assert_int_eq(qhelp_check(q, id, 50), 0);
	check_some(m, ids);
	free(last);
}
END_TEST

START_TEST(a_failed_early_write_moves_the_group)
{
	struct qhelp_message *m[50];
	struct queue_committed done;
	uint64_t ids[50], before;
	size_t i;

	ck_assert_int_eq(qhelp_add(q, 51, 10, &before), 0);
	stage_some(m, ids);
	qfile_fail(disk, QFILE_PWRITEV, 1, 0, -EIO);
	queue_write_early(q);
	queue_write_early(q); /* not asked again */
	ck_assert_int_eq(queue_commit(q, &done), 0);
	ck_assert_int_eq(done.moved_why, -EIO);
	ck_assert_uint_gt(done.moved_by, 0);
	for (i = 0; i < 50; i++)
		ids[i] = queue_lsn_final(&done, ids[i]);
	queue_close(&q);
	qfile_crash(disk, _i == 0 ? QFILE_LOSE_NONE : QFILE_LOSE_ALL, 1);
	open_queue();
	ck_assert_uint_eq(report.damaged, 0);
	ck_assert_uint_eq(report.messages, 51);
	ck_assert_int_eq(qhelp_check(q, before, 51), 0);
	check_some(m, ids);
}
END_TEST

/* Written in part, then the sync fails: all of it goes to the new segment. */
START_TEST(what_was_written_early_moves_too)
{
	struct qhelp_message *m[50];
	struct queue_committed done;
	uint64_t ids[50];
	size_t i;

	ck_assert_int_eq(qhelp_add(q, 51, 10, &ids[0]), 0);
	stage_some(m, ids);
	queue_write_early(q);
	qfile_fail(disk, QFILE_SYNC, 1, 0, -EIO);
	ck_assert_int_eq(queue_commit(q, &done), 0);
	ck_assert_uint_gt(done.moved_by, 0);
	for (i = 0; i < 50; i++)
		ids[i] = queue_lsn_final(&done, ids[i]);
	queue_close(&q);
	qfile_crash(disk, QFILE_LOSE_ALL, 1);
	open_queue();
	ck_assert_uint_eq(report.damaged, 0);
	check_some(m, ids);
}
END_TEST

static struct {
	unsigned calls;
	uint64_t from, to; /* all of it, in its segment */
} begun;

static void note_begin(void *arg, int fd, uint64_t offset, uint64_t len)
{
	(void)arg;
	ck_assert_int_ge(fd, 0);
	ck_assert_uint_gt(len, 0);
	if (begun.calls++ == 0)
		begun.from = offset;
	else
		ck_assert_uint_eq(offset, begun.to);
	begun.to = offset + len;
}

/* More of 3000 octets, into the group; *n_r of them are the caller's. */
static void stage_more(struct qhelp_message *m[70], size_t *n_r, size_t count)
{
	uint64_t id;

	for (; count > 0; count--) {
		m[*n_r] = qhelp_message(*n_r, 3000);
		ck_assert_int_eq(queue_put_message(q, &m[*n_r]->msg, &id), 0);
		(*n_r)++;
	}
}

/* What was written early is on its way to the disk, all of it once: the
 * commit waits for less.  The next group begins anew. */
START_TEST(the_disk_begins_before_the_commit)
{
	struct queue_file_ops ops = *qfile_ops(disk);
	struct qhelp_message *m[70];
	struct queue_committed done;
	size_t n = 0;
	uint64_t end;

	queue_close(&q);
	ops.begin_sync = note_begin;
	ck_assert_int_eq(qhelp_open(dir, &ops, 256u << 10, &q, &report), 0);
	queue_write_early(q); /* there is nothing */
	ck_assert_uint_eq(begun.calls, 0);
	stage_more(m, &n, 23);
	queue_write_early(q);
	ck_assert_uint_eq(begun.calls, 1);
	stage_more(m, &n, 10);
	queue_write_early(q); /* too little since then */
	ck_assert_uint_eq(begun.calls, 1);
	stage_more(m, &n, 13);
	queue_write_early(q);
	ck_assert_uint_eq(begun.calls, 2);
	ck_assert_uint_gt(begun.to - begun.from, 45 * 3000);
	ck_assert_uint_eq(begun.to % 4096, 0);
	ck_assert_int_eq(queue_commit(q, &done), 0);
	end = begun.to;
	begun.calls = 0;
	stage_more(m, &n, 23);
	queue_write_early(q);
	ck_assert_uint_eq(begun.calls, 1);
	ck_assert_uint_ge(begun.from, end);
	ck_assert_int_eq(queue_commit(q, &done), 0);
	ck_assert_uint_eq(done.moved_by, 0);
	/* The table ends with this function. */
	queue_close(&q);
	open_queue();
	ck_assert_uint_eq(report.messages, n);
	while (n > 0)
		free(m[--n]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("qearly");
	TCase *t = tcase_create("early");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, a_group_may_be_written_before_it_is_whole, 0, 2);
	tcase_add_loop_test(t, a_failed_early_write_moves_the_group, 0, 2);
	tcase_add_test(t, what_was_written_early_moves_too);
	tcase_add_test(t, the_disk_begins_before_the_commit);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
