/*
 * tests/unit/test_qpins.c - a pin that a thread's messages share: a segment is
 * free to go when the last of them is closed, not sooner and not later
 */
#include "qfile.h"
#include "qhelp.h"
#include "queue/queue_private.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#define SEG   (256u << 10)
#define MANY  (QUEUE_PINS + 4)
#define PARTS 300000u

static char *dir;
static struct qfile *disk;
static struct queue *q;
static struct queue_pins pins;

static void setup(void)
{
	struct queue_report report;

	qhelp_begin(&dir, &disk);
	pins = (struct queue_pins){ 0 };
	ck_assert_int_eq(qhelp_open(dir, qfile_ops(disk), SEG, &q, &report), 0);
}

static void teardown(void)
{
	queue_close(&q);
	qhelp_end(&dir, &disk);
}

static void open_it(uint64_t id, uint64_t n, struct queue_view *view)
{
	ck_assert_int_eq(queue_message_open_shared(q, &pins, id, id, view), 0);
	ck_assert(qhelp_is(view, n));
}

static void none_held(void)
{
	size_t i;

	for (i = 0; i < QUEUE_PINS; i++)
		ck_assert_uint_eq(pins.held[i].count, 0);
}

/* Two messages in each of many segments; more than there are places. */
static void put_many(uint64_t ids[MANY][2])
{
	uint64_t id, i, last;

	for (i = 0; i < MANY; i++) {
		ck_assert_int_eq(qhelp_add(q, i, 1000, &ids[i][0]), 0);
		ck_assert_int_eq(qhelp_add(q, i, 2000, &ids[i][1]), 0);
		ck_assert_uint_eq(ids[i][0] / SEG, ids[i][1] / SEG);
		last = ids[i][0] / SEG;
		while (queue_durable_lsn(q) / SEG == last)
			ck_assert_int_eq(qhelp_add(q, 99, 90000, &id), 0);
	}
}

START_TEST(a_segment_goes_with_its_last_message)
{
	struct queue_view a[MANY], b[MANY];
	uint64_t ids[MANY][2], i;

	put_many(ids);
	for (i = 0; i < MANY; i++)
		open_it(ids[i][0], i, &a[i]);
	for (i = 0; i < MANY; i++)
		open_it(ids[i][1], i, &b[i]);
	for (i = 0; i < MANY; i++) {
		uint64_t seg = ids[i][0] / SEG;

		queue_message_close(q, i % 2 ? &a[i] : &b[i]);
		ck_assert_int_eq(queue_segment_free(q, seg), -EBUSY);
		/* What came late has the place that another had. */
		open_it(ids[i][1], i, i % 2 ? &a[i] : &b[i]);
		queue_message_close(q, i % 2 ? &b[i] : &a[i]);
		ck_assert_int_eq(queue_segment_free(q, seg), -EBUSY);
		queue_message_close(q, i % 2 ? &a[i] : &b[i]);
		ck_assert_int_eq(queue_segment_free(q, seg), 0);
		ck_assert_int_eq(queue_message_open_shared(q, &pins, ids[i][0],
							   ids[i][0], &a[i]),
				 -ENOENT);
	}
	none_held();
}
END_TEST

START_TEST(parts_and_what_fails_leave_no_pin)
{
	struct qhelp_message *m = qhelp_message(5, PARTS);
	struct queue_committed done;
	struct queue_view view;
	struct iovec iov = { m->content, 200000 };
	uint64_t id, other;

	m->msg.content = &iov;
	m->msg.content_count = 1;
	ck_assert_int_eq(queue_put_message(q, &m->msg, &id), 0);
	ck_assert_int_eq(queue_commit(q, &done), 0);
	iov = (struct iovec){ m->content + 200000, PARTS - 200000 };
	ck_assert_int_eq(queue_put_part(q, id, 200000, &iov, 1), 0);
	ck_assert_int_eq(queue_commit(q, &done), 0);
	while (queue_durable_lsn(q) / SEG <= id / SEG)
		ck_assert_int_eq(qhelp_add(q, 99, 90000, &other), 0);

	open_it(id, 5, &view);
	ck_assert_int_eq(queue_segment_free(q, id / SEG), -EBUSY);
	none_held();
	queue_message_close(q, &view);
	ck_assert_int_eq(
		queue_message_open_shared(q, &pins, id + 8, id + 8, &view),
		-EUCLEAN);
	ck_assert_int_eq(queue_segment_free(q, id / SEG), 0);
	free(m);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("qpins");
	TCase *t = tcase_create("pins");
	SRunner *run;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_segment_goes_with_its_last_message);
	tcase_add_test(t, parts_and_what_fails_leave_no_pin);
	suite_add_tcase(s, t);
	run = srunner_create(s);
	srunner_run_all(run, CK_NORMAL);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
