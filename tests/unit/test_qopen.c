/*
 * tests/unit/test_qopen.c - spools that cannot be opened
 *
 * Each ends with the errno that queue.h promises and with words that name
 * what is wrong, and is whole again when that has gone.
 */
#include "mtaq/queue.h"

#include "base/crc32c.h"
#include "queue/segment_head.h"
#include "tests/unit/tmpdir.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char dir[TMPDIR_BYTES], path[128], kept[128], none[128];
static struct queue_settings set = {
	.dir = dir,
	.segment_bytes = 256u << 10,
	.segments_ahead = 1,
	.free_bytes_min = 1 << 20,
	.index_bytes_max = 64u << 20,
};
static struct queue_report report;

static int open_and_close(void)
{
	struct queue *q = NULL;
	int rc = queue_open(&set, 1000, &q, &report);

	if (rc == 0)
		queue_close(&q);
	else
		ck_assert_ptr_null(q);
	return rc;
}

static void setup(void)
{
	tmpdir_make(dir, "qopen", TMPDIR_DISK);
	ck_assert_int_eq(open_and_close(), 0);
	snprintf(path, sizeof(path), "%s/index", dir);
	snprintf(kept, sizeof(kept), "%s/kept", dir);
}

static void teardown(void)
{
	tmpdir_remove(dir);
}

/* The index is put aside, and a file of so many odd octets is in its place. */
static void break_index(size_t octets)
{
	char junk[16384];
	int fd;

	memset(junk, 0xa5, sizeof(junk));
	ck_assert_int_eq(rename(path, kept), 0);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, junk, octets), (ssize_t)octets);
	close(fd);
}

START_TEST(an_index_that_cannot_be_read)
{
	break_index(_i == 0 ? 16384 : 100);
	ck_assert_int_eq(open_and_close(), -EUCLEAN);
	ck_assert_ptr_nonnull(strstr(report.words, dir));
	ck_assert_ptr_nonnull(strstr(report.words, "Nothing was sent"));
	ck_assert_ptr_nonnull(strstr(report.words, "mtaq verify --rebuild"));
	ck_assert_int_eq(rename(kept, path), 0);
	ck_assert_int_eq(open_and_close(), 0);
}
END_TEST

/* Where nothing was ever written a lost index is no loss. */
START_TEST(a_spool_never_used_gets_a_new_index)
{
	ck_assert_int_eq(_i == 0 ? unlink(path) : truncate(path, 0), 0);
	ck_assert_int_eq(open_and_close(), 0);
}
END_TEST

START_TEST(a_segment_of_a_later_version)
{
	struct segment_head head;
	char name[128];
	int fd;

	snprintf(name, sizeof(name), "%s/log/seg-00000000", dir);
	fd = open(name, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(pread(fd, &head, sizeof(head), 0), sizeof(head));
	head.version++;
	head.crc = crc32c(0, &head, offsetof(struct segment_head, crc));
	ck_assert_int_eq(pwrite(fd, &head, sizeof(head), 0), sizeof(head));
	ck_assert_int_eq(pwrite(fd, &head, sizeof(head), SEGMENT_HEAD_COPY),
			 sizeof(head));
	ck_assert_int_eq(open_and_close(), -EPROTO);
	ck_assert_ptr_nonnull(strstr(report.words, dir));
	ck_assert_ptr_nonnull(strstr(report.words, "a later mtaq wrote it"));
	head.version--;
	head.crc = crc32c(0, &head, offsetof(struct segment_head, crc));
	ck_assert_int_eq(pwrite(fd, &head, sizeof(head), 0), sizeof(head));
	ck_assert_int_eq(pwrite(fd, &head, sizeof(head), SEGMENT_HEAD_COPY),
			 sizeof(head));
	close(fd);
	ck_assert_int_eq(open_and_close(), 0);
}
END_TEST

static void put_mail(void)
{
	static char text[] = "Subject: x\r\n\r\nhi\r\n";
	struct iovec iov = { text, sizeof(text) - 1 };
	struct queue_rcpt rcpt = { .address = SPAN("r@x"),
				   .domain = SPAN("x") };
	struct queue_message msg = { .submission = { 9 },
				     .number = 1,
				     .tenant = SPAN("t"),
				     .sender = SPAN("s@y"),
				     .rcpts = &rcpt,
				     .rcpt_count = 1,
				     .arrived_s = 1000,
				     .due_s = 1000,
				     .expires_s = 9000,
				     .content = &iov,
				     .content_count = 1,
				     .size = sizeof(text) - 1 };
	struct queue_committed done;
	struct queue *q;
	uint64_t id;

	ck_assert_int_eq(queue_open(&set, 1000, &q, &report), 0);
	ck_assert_int_eq(queue_put_message(q, &msg, &id), 0);
	ck_assert_int_eq(queue_commit(q, &done), 0);
	queue_close(&q);
}

/* Killed before its first checkpoint, a spool is no spool without index. */
START_TEST(an_index_that_is_gone)
{
	put_mail();
	ck_assert_int_eq(open_and_close(), 0);
	ck_assert_uint_eq(report.messages, 1);
	ck_assert_int_eq(rename(path, kept), 0);
	ck_assert_int_eq(open_and_close(), -EUCLEAN);
	ck_assert_ptr_nonnull(strstr(report.words, "missing or empty"));
	ck_assert_ptr_nonnull(strstr(report.words, "mtaq verify --rebuild"));
	ck_assert_int_eq(access(path, F_OK), -1); /* and none was made */
	ck_assert_int_eq(rename(kept, path), 0);
	ck_assert_int_eq(open_and_close(), 0);
	ck_assert_uint_eq(report.messages, 1);
}
END_TEST

START_TEST(a_spool_that_is_open_already)
{
	struct queue *q;

	ck_assert_int_eq(queue_open(&set, 1000, &q, &report), 0);
	ck_assert_int_eq(open_and_close(), -EBUSY);
	ck_assert_ptr_nonnull(strstr(report.words, dir));
	queue_close(&q);
	ck_assert_int_eq(open_and_close(), 0);
}
END_TEST

START_TEST(segments_of_another_size)
{
	set.segment_bytes = 512u << 10;
	ck_assert_int_eq(open_and_close(), -EINVAL);
	set.segment_bytes = 100;
	ck_assert_int_eq(open_and_close(), -EINVAL);
	set.segment_bytes = 256u << 10;
	ck_assert_int_eq(open_and_close(), 0);
}
END_TEST

START_TEST(a_folder_that_is_a_file)
{
	struct queue_verify_report verified;

	set.dir = path;
	ck_assert_int_eq(open_and_close(), -ENOTDIR);
	ck_assert_int_eq(queue_verify(path, &verified), -ENOTDIR);
	set.dir = dir;
	snprintf(none, sizeof(none), "%s/none", dir);
	ck_assert_int_eq(queue_verify(none, &verified), -ENOENT);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("qopen");
	TCase *tc = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, an_index_that_cannot_be_read, 0, 2);
	tcase_add_loop_test(tc, a_spool_never_used_gets_a_new_index, 0, 2);
	tcase_add_test(tc, a_segment_of_a_later_version);
	tcase_add_test(tc, an_index_that_is_gone);
	tcase_add_test(tc, a_spool_that_is_open_already);
	tcase_add_test(tc, segments_of_another_size);
	tcase_add_test(tc, a_folder_that_is_a_file);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
