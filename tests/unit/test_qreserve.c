/*
 * tests/unit/test_qreserve.c - what a start reads, and what it leaves for later
 */
#include "qrecover_rig.h"

#include <fcntl.h>
#include <unistd.h>

START_TEST(recovery_reads_in_large_pieces)
{
	uint64_t calls, i;

	for (i = 0; i < 40; i++)
		add(i, 1000);
	queue_close(&q);
	calls = qfile_calls(disk, QFILE_POPULATE);
	open_queue();
	/* (Behind the end the search for more goes page by page.) */
	ck_assert_uint_lt(qfile_calls(disk, QFILE_POPULATE), calls + 40);
	ck_assert_uint_eq(report.damaged, 0);
}
END_TEST

/* A file that a crash has left half written, behind all others. */
static int leave_half(uint64_t number)
{
	char path[4096];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/log/seg-%08x", dir,
		       (unsigned)number);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(ftruncate(fd, SEG / 2), 0);
	return fd;
}

/* Mail until that many segments are ready. */
static void use_up(uint64_t wanted)
{
	uint64_t all, ready, id;

	for (;;) {
		queue_segment_counts(q, &all, &ready);
		if (ready <= wanted)
			break;
		ck_assert_int_eq(qhelp_add(q, 1, 30000, &id), 0);
	}
}

/* Nobody waits for it at the start; who needs a segment next finishes it. */
START_TEST(a_file_never_finished_is_made_again)
{
	uint64_t all, ready, then, writes;
	int fd, rc;

	queue_segment_counts(q, &then, &ready);
	queue_close(&q);
	fd = leave_half(then);
	writes = qfile_calls(disk, QFILE_PWRITEV);
	open_queue();
	ck_assert_uint_le(qfile_calls(disk, QFILE_PWRITEV), writes + 3);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), SEG / 2);
	ck_assert_uint_eq(report.damaged, 0);
	use_up(ready - 1);
	while ((rc = queue_log_prepare(q)) == 1)
		;
	ck_assert_int_eq(rc, 0);
	queue_segment_counts(q, &all, &ready);
	ck_assert_uint_eq(all, then + 1);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), SEG);
	close(fd);
}
END_TEST

START_TEST(of_files_never_finished_all_are_made)
{
	uint64_t all, ready, then, i;
	int fd[3];

	queue_segment_counts(q, &then, &ready);
	queue_close(&q);
	for (i = 0; i < 3; i++)
		fd[i] = leave_half(then + i);
	open_queue();
	queue_segment_counts(q, &all, &ready);
	ck_assert_uint_eq(all, then + 3);
	ck_assert_uint_eq(ready, then + 2);
	use_up(3);
	while (queue_log_prepare(q) == 1)
		;
	for (i = 0; i < 3; i++) {
		ck_assert_int_eq(lseek(fd[i], 0, SEEK_END), SEG);
		close(fd[i]);
	}
	queue_segment_counts(q, &then, &ready);
	ck_assert_uint_eq(all, then);
}
END_TEST

/* With one ready mail can leave: the rest of the reserve is made behind the
 * start, however little room free_bytes_min leaves. */
START_TEST(the_reserve_is_made_behind_the_start)
{
	struct queue_out_rcpt r = { .state = QUEUE_DELIVERED };
	struct queue_out out = { .id = 1, .rcpts = &r, .rcpt_count = 1 };
	struct queue_committed done;
	uint64_t all, ready;

	r.note = span_of(calloc(1, 60000), 60000);
	qfile_set_space(disk, 1000);
	queue_log_prepare(q);
	for (ready = 4; ready > 1;) {
		ck_assert_int_eq(queue_put_out(q, &out), 0);
		ck_assert_int_eq(queue_commit(q, &done), 0);
		queue_segment_counts(q, &all, &ready);
	}
	ck_assert_int_eq(queue_log_prepare(q), -ENOSPC);
	reopen(QFILE_LOSE_ALL, 1);
	queue_segment_counts(q, &all, &ready);
	ck_assert_uint_eq(ready, 1);
	ck_assert(queue_out_room(q));
	while (queue_log_prepare(q) == 1)
		;
	queue_segment_counts(q, &all, &ready);
	ck_assert_uint_eq(ready, 4); /* SEGMENT_RESERVE and one */
	free((void *)(uintptr_t)r.note.p);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("qreserve");
	TCase *t = tcase_create("reserve");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 240);
	tcase_add_test(t, recovery_reads_in_large_pieces);
	tcase_add_test(t, a_file_never_finished_is_made_again);
	tcase_add_test(t, of_files_never_finished_all_are_made);
	tcase_add_test(t, the_reserve_is_made_behind_the_start);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
