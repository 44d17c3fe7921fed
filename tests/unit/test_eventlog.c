/*
 * tests/unit/test_eventlog.c - no event is lost or doubled by a crash
 *
 * A real queue and a real file.  The file is cut at every octet, as a crash
 * may leave it, and has to come out whole again; and the cursor, which keeps
 * the log's segments, moves only when the file was synced.
 */
#include "report/eventlog.h"

#include "queue/queue_private.h"

#include "nomem.h"
#include "tests/unit/tmpdir.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MESSAGES 4
#define RCPTS    3
#define FILE_MAX 8192

static struct {
	char dir[TMPDIR_BYTES], path[128];
	struct queue *q;
	struct eventlog *log;
	bool sync_fails;
} rig;

/* The linker sends fdatasync() here. */
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

int __wrap_fdatasync(int fd)
{
	if (rig.sync_fails) {
		errno = EIO;
		return -1;
	}
	return __real_fdatasync(fd);
}

static void add_message(uint64_t number)
{
	static const struct iovec content = { (void *)(uintptr_t) "hi\r\n", 4 };
	struct queue_rcpt rcpts[RCPTS];
	struct queue_message m = { .number = number,
				   .tenant = SPAN("t"),
				   .rcpts = rcpts,
				   .rcpt_count = RCPTS,
				   .arrived_s = 1,
				   .due_s = 1,
				   .expires_s = 1000,
				   .content = &content,
				   .content_count = 1,
				   .size = 4 };
	struct queue_committed done;
	uint64_t id;
	int i;

	for (i = 0; i < RCPTS; i++)
		rcpts[i] = (struct queue_rcpt){ .address = SPAN("r@x.example"),
						.domain = SPAN("x.example") };
	ck_assert_int_eq(queue_put_message(rig.q, &m, &id), 0);
	ck_assert_int_eq(queue_commit(rig.q, &done), 0);
}

static void setup(void)
{
	struct queue_settings set = { .dir = rig.dir,
				      .index_bytes_max = 64u << 20,
				      .free_bytes_min = 4096,
				      .segment_bytes = 256u << 10,
				      .segments_ahead = 2 };
	struct queue_report report;

	tmpdir_make(rig.dir, "eventlog", TMPDIR_DISK);
	snprintf(rig.path, sizeof(rig.path), "%s/events", rig.dir);
	ck_assert_int_eq(queue_open(&set, 1, &rig.q, &report), 0);
	ck_assert_int_eq(eventlog_open(rig.q, rig.path, &rig.log), 0);
}

static void teardown(void)
{
	eventlog_close(&rig.log);
	queue_close(&rig.q);
	tmpdir_remove(rig.dir);
}

static void write_on(void)
{
	int rc;

	while ((rc = eventlog_write(rig.log)) == 1)
		;
	ck_assert_int_eq(rc, 0);
}

static size_t read_file(char *text)
{
	int fd = open(rig.path, O_RDONLY);
	ssize_t n = read(fd, text, FILE_MAX);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_ge(n, 0);
	ck_assert_int_lt(n, FILE_MAX);
	close(fd);
	return (size_t)n;
}

START_TEST(cut_anywhere_it_comes_out_whole)
{
	static char whole[FILE_MAX], again[FILE_MAX];
	size_t size, lines = 0, at;
	int i;

	for (i = 1; i <= MESSAGES; i++)
		add_message((uint64_t)i);
	write_on();
	size = read_file(whole);
	for (at = 0; at < size; at++)
		lines += whole[at] == '\n';
	ck_assert_uint_eq(lines, MESSAGES * RCPTS);
	for (at = 0; at <= size; at++) {
		eventlog_close(&rig.log);
		ck_assert_int_eq(truncate(rig.path, (off_t)at), 0);
		ck_assert_int_eq(eventlog_open(rig.q, rig.path, &rig.log), 0);
		write_on();
		ck_assert_uint_eq(read_file(again), size);
		ck_assert_mem_eq(again, whole, size);
	}
}
END_TEST

/* Memory runs out once, anywhere while the lines are made; with the next try
 * each line is there, once and whole. */
START_TEST(short_memory_costs_no_line)
{
	static char whole[FILE_MAX], again[FILE_MAX];
	size_t size;
	struct nomem n;
	int i;

	for (i = 1; i <= MESSAGES; i++)
		add_message((uint64_t)i);
	write_on();
	size = read_file(whole);
	for (nomem_begin(&n); nomem_again(&n);) {
		nomem_fail(0, false);
		eventlog_close(&rig.log);
		ck_assert_int_eq(truncate(rig.path, 0), 0);
		ck_assert_int_eq(eventlog_open(rig.q, rig.path, &rig.log), 0);
		nomem_fail(n.turn, false);
		i = eventlog_write(rig.log);
		ck_assert(i >= 0 || i == -ENOMEM);
		nomem_stop();
		write_on();
		ck_assert_uint_eq(read_file(again), size);
		ck_assert_mem_eq(again, whole, size);
	}
}
END_TEST

START_TEST(cursor_moves_behind_the_sync)
{
	uint64_t before = queue_cursor_lowest(rig.q), end;

	add_message(1);
	write_on();
	ck_assert_uint_eq(queue_cursor_lowest(rig.q), before);
	rig.sync_fails = true;
	ck_assert_int_eq(eventlog_sync(rig.log), -EIO);
	ck_assert_uint_eq(queue_cursor_lowest(rig.q), before);
	rig.sync_fails = false;
	ck_assert_int_eq(eventlog_sync(rig.log), 0);
	end = queue_cursor_lowest(rig.q);
	ck_assert_uint_gt(end, before);
	add_message(2);
	ck_assert_int_eq(eventlog_sync(rig.log), 0);
	ck_assert_uint_eq(queue_cursor_lowest(rig.q), end);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("eventlog");
	TCase *tc = tcase_create("file");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, cut_anywhere_it_comes_out_whole);
	tcase_add_test(tc, short_memory_costs_no_line);
	tcase_add_test(tc, cursor_moves_behind_the_sync);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
