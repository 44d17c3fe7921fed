/*
 * tests/unit/test_logger.c - nothing is answered before it is on disk
 *
 * A real queue on a disk whose fdatasync stops and waits for the test.  While
 * the log thread stands in it, what it has told is looked at: nobody may have
 * been answered, no outcome and no decision may count as durable.  Then the
 * disk goes on, or fails for good.
 */
#include "engine/logger.h"

#include "engine/clock.h"
#include "engine/wire.h"
#include "queue/file.h"
#include "tests/unit/tmpdir.h"

#include <check.h>
#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define WAIT_S 60 /* generous: a hang is a failure, nothing else waits */

static struct disk {
	struct queue_file_ops ops;
	sem_t entered, go;
	atomic_bool stops;
	atomic_int says;
	atomic_uint writes;
} disk;

static struct {
	char dir[TMPDIR_BYTES];
	struct queue *q;
	struct logger log;
	struct bell ingress, control, worker;
	struct put_gate gate;
} rig;

size_t __real_queue_staged(const struct queue *q);
size_t __wrap_queue_staged(const struct queue *q);

/* Set by a test: called once, by the log thread, when it has seen its lanes
 * empty for the second time and is about to wait. */
static _Atomic(void (*)(void)) before_it_waits;

size_t __wrap_queue_staged(const struct queue *q)
{
	void (*hook)(void) = NULL;

	if (atomic_load(&rig.log.bell.dozing))
		hook = atomic_exchange(&before_it_waits, NULL);
	if (hook != NULL)
		hook();
	return __real_queue_staged(q);
}

static int stopping_sync(void *arg, int fd)
{
	int err;

	if (atomic_load(&disk.stops)) {
		sem_post(&disk.entered);
		sem_wait(&disk.go);
	}
	err = atomic_load(&disk.says);
	return err != 0 ? err : queue_file_system.sync_data(arg, fd);
}

static int64_t counting_write(void *arg, int fd, const struct iovec *iov,
			      int count, uint64_t offset)
{
	atomic_fetch_add(&disk.writes, 1);
	return queue_file_system.pwritev(arg, fd, iov, count, offset);
}

static void wait_for(sem_t *sem)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_S;
	ck_assert_int_eq(sem_timedwait(sem, &until), 0);
}

/* What is given to the log lives as long as the test. */
static const struct iovec content = { (void *)(uintptr_t) "hi\r\n", 4 };
static const struct queue_rcpt rcpt = { .address = { "r@x.example", 11 },
					.domain = { "x.example", 9 } };
static const struct queue_message message = { .number = 1,
					      .rcpts = &rcpt,
					      .rcpt_count = 1,
					      .arrived_s = 1,
					      .due_s = 1,
					      .expires_s = 1000,
					      .content = &content,
					      .content_count = 1,
					      .size = 4 };

static void send_message(void)
{
	struct put_request *req =
		lane_reserve(&rig.log.from_ingress, sizeof(*req));

	ck_assert_ptr_nonnull(req);
	*req = (struct put_request){ &message, &rig, &rig.gate };
	lane_publish(&rig.log.from_ingress);
}

static void send_out(void)
{
	struct queue_out_rcpt r = { .state = QUEUE_DELIVERED, .attempts = 1 };
	struct queue_out out = { .id = 8,
				 .domain = SPAN("x.example"),
				 .rcpts = &r,
				 .rcpt_count = 1 };
	struct lane *lane = &rig.log.sources[0].lane;
	void *p = lane_reserve(lane, out_wire_size(&out));

	ck_assert_ptr_nonnull(p);
	out_wire_put(&out, p);
	lane_publish(lane);
}

static void send_decision(void)
{
	static const struct queue_decision dec = { .verb = QUEUE_VERB_HOLD,
						   .made_s = 1 };
	const struct queue_decision **p =
		lane_reserve(&rig.log.from_control, sizeof(*p));

	ck_assert_ptr_nonnull(p);
	*p = &dec;
	lane_publish(&rig.log.from_control);
}

static const void *heard(struct lane *lane)
{
	size_t len;

	return lane_peek(lane, &len);
}

static void wait_heard(struct lane *lane, struct bell *bell)
{
	while (heard(lane) == NULL) {
		bell_doze(bell);
		if (heard(lane) != NULL)
			bell_awake(bell);
		else
			bell_wait(bell, WAIT_S * 1000);
	}
}

static void setup_idle(void)
{
	struct queue_settings set = { .dir = rig.dir,
				      .file = &disk.ops,
				      .index_bytes_max = 64u << 20,
				      .free_bytes_min = 4096,
				      .segment_bytes = 256u << 10,
				      .segments_ahead = 2 };
	struct queue_report report;

	disk.ops = queue_file_system;
	disk.ops.sync_data = stopping_sync;
	disk.ops.pwritev = counting_write;
	sem_init(&disk.entered, 0, 0);
	sem_init(&disk.go, 0, 0);
	tmpdir_make(rig.dir, "logger", TMPDIR_DISK);
	ck_assert_int_eq(queue_open(&set, 1, &rig.q, &report), 0);
	ck_assert_int_eq(bell_init(&rig.ingress), 0);
	ck_assert_int_eq(bell_init(&rig.control), 0);
	ck_assert_int_eq(bell_init(&rig.worker), 0);
	ck_assert_int_eq(logger_init(&rig.log, rig.q, &rig.ingress, 1), 0);
	ck_assert_int_eq(logger_connect_control(&rig.log, &rig.control), 0);
	rig.log.sources[0].owner = &rig.worker;
	rig.log.followers[0] = rig.log.followers[1] = &rig.control;
	rig.log.control = &rig.control;
}

static void setup(void)
{
	setup_idle();
	ck_assert_int_eq(logger_start(&rig.log), 0);
	/* From here on a segment is open: a commit is one fdatasync. */
	send_message();
	wait_heard(&rig.log.to_ingress, &rig.ingress);
	lane_consume(&rig.log.to_ingress);
	atomic_store(&disk.stops, true);
}

static void teardown_idle(void)
{
	logger_free(&rig.log);
	queue_close(&rig.q);
	bell_free(&rig.ingress);
	bell_free(&rig.control);
	bell_free(&rig.worker);
	tmpdir_remove(rig.dir);
}

static void teardown(void)
{
	atomic_store(&disk.stops, false);
	sem_post(&disk.go);
	logger_stop(&rig.log);
	teardown_idle();
}

START_TEST(a_group_waits_for_the_rest_of_its_frame)
{
	unsigned i;

	atomic_store(&rig.log.coming, true);
	send_message();
	send_out();
	ck_assert_int_gt(logger_turn(&rig.log), 0);
	ck_assert_ptr_null(heard(&rig.log.to_ingress));
	ck_assert_uint_eq(atomic_load(&rig.log.sources[0].durable), 0);
	send_message();
	atomic_store(&rig.log.coming, false);
	ck_assert_int_eq(logger_turn(&rig.log), 0);
	ck_assert_uint_eq(atomic_load(&rig.log.sources[0].durable), 1);
	for (i = 0; i < 2; i++) {
		ck_assert_ptr_nonnull(heard(&rig.log.to_ingress));
		lane_consume(&rig.log.to_ingress);
	}
}
END_TEST

/* For frames that were said to follow at once, but not for ever. */
START_TEST(a_group_waits_for_what_was_promised)
{
	uint64_t begun = clock_now_ms(), end;

	atomic_store(&rig.log.promised_until_ms, begun + 20000);
	send_message();
	ck_assert_int_le(logger_turn(&rig.log), 1);
	ck_assert(heard(&rig.log.to_ingress) == NULL ||
		  clock_now_ms() - begun >= LOGGER_PROMISE_MS);
	while (heard(&rig.log.to_ingress) == NULL)
		if (logger_turn(&rig.log) > 0)
			bell_wait(&rig.log.bell, 1);
	end = clock_now_ms();
	ck_assert_uint_ge(end - begun, LOGGER_PROMISE_MS);
	ck_assert_uint_lt(end - begun, 20000);
	lane_consume(&rig.log.to_ingress);
	/* The next group has its own time. */
	begun = clock_now_ms();
	send_message();
	(void)logger_turn(&rig.log);
	ck_assert(heard(&rig.log.to_ingress) == NULL ||
		  clock_now_ms() - begun >= LOGGER_PROMISE_MS);
	/* All has come. */
	atomic_store(&rig.log.promised_until_ms, 0);
	(void)logger_turn(&rig.log);
	ck_assert_ptr_nonnull(heard(&rig.log.to_ingress));
	lane_consume(&rig.log.to_ingress);
	/* A promise of the past. */
	atomic_store(&rig.log.promised_until_ms, clock_now_ms());
	send_message();
	ck_assert_int_eq(logger_turn(&rig.log), 0);
	ck_assert_ptr_nonnull(heard(&rig.log.to_ingress));
	lane_consume(&rig.log.to_ingress);
}
END_TEST

/* 64 KiB of it are worth a write; nothing is answered by that. */
START_TEST(a_group_that_waits_is_written)
{
	unsigned i, writes;

	send_message();
	ck_assert_int_eq(logger_turn(&rig.log), 0);
	ck_assert_ptr_nonnull(heard(&rig.log.to_ingress));
	lane_consume(&rig.log.to_ingress);
	writes = atomic_load(&disk.writes);
	atomic_store(&rig.log.coming, true);
	for (i = 0; i < 1000; i++)
		send_message();
	ck_assert_int_gt(logger_turn(&rig.log), 0);
	ck_assert_uint_eq(atomic_load(&disk.writes), writes + 1);
	ck_assert_ptr_null(heard(&rig.log.to_ingress));
	atomic_store(&rig.log.coming, false);
	ck_assert_int_eq(logger_turn(&rig.log), 0);
	ck_assert_uint_eq(atomic_load(&disk.writes), writes + 2);
	for (i = 0; i < 1000; i++) {
		ck_assert_ptr_nonnull(heard(&rig.log.to_ingress));
		lane_consume(&rig.log.to_ingress);
	}
}
END_TEST

/* The segment is full long before a group may not wait any more. */
START_TEST(a_full_group_waits_for_nothing)
{
	unsigned i;

	atomic_store(&rig.log.coming, true);
	for (i = 0; i < 4000; i++)
		send_message();
	ck_assert_int_eq(logger_turn(&rig.log), 0);
	ck_assert_ptr_nonnull(heard(&rig.log.to_ingress));
}
END_TEST

START_TEST(message_is_answered_when_durable)
{
	const struct put_answer *a;
	struct queue_view view;

	send_message();
	wait_for(&disk.entered);
	ck_assert_ptr_null(heard(&rig.log.to_ingress));
	sem_post(&disk.go);
	wait_heard(&rig.log.to_ingress, &rig.ingress);
	a = heard(&rig.log.to_ingress);
	ck_assert_int_eq(a->err, 0);
	ck_assert_ptr_eq(a->cookie, &rig);
	ck_assert_int_eq(queue_message_open(rig.q, a->id, &view), 0);
	ck_assert_uint_eq(view.size, 4);
	queue_message_close(rig.q, &view);
	lane_consume(&rig.log.to_ingress);
}
END_TEST

START_TEST(outcome_counts_when_durable)
{
	struct logger_source *s = &rig.log.sources[0];

	atomic_store(&s->waits, true);
	bell_doze(&rig.worker);
	send_out();
	wait_for(&disk.entered);
	ck_assert_uint_eq(atomic_load(&s->durable), 0);
	sem_post(&disk.go);
	bell_wait(&rig.worker, WAIT_S * 1000);
	ck_assert_uint_eq(atomic_load(&s->durable), 1);
	ck_assert(!atomic_load(&s->waits));
}
END_TEST

START_TEST(decision_is_answered_when_durable)
{
	const struct decided_answer *a;

	send_decision();
	wait_for(&disk.entered);
	ck_assert_ptr_null(heard(&rig.log.to_control));
	sem_post(&disk.go);
	wait_heard(&rig.log.to_control, &rig.control);
	a = heard(&rig.log.to_control);
	ck_assert_int_eq(a->err, 0);
	ck_assert_uint_gt(a->lsn, 0);
	lane_consume(&rig.log.to_control);
}
END_TEST

/* The old place and the new one fail: everybody hears that it did not work. */
START_TEST(a_dead_disk_takes_nothing)
{
	const struct put_answer *a;

	atomic_store(&disk.says, -EIO);
	send_message();
	wait_for(&disk.entered);
	send_out();
	send_message(); /* comes when the queue has failed */
	ck_assert_ptr_null(heard(&rig.log.to_ingress));
	atomic_store(&disk.stops, false);
	sem_post(&disk.go);
	wait_heard(&rig.log.to_ingress, &rig.ingress);
	a = heard(&rig.log.to_ingress);
	ck_assert_int_lt(a->err, 0);
	ck_assert_uint_eq(a->id, 0);
	lane_consume(&rig.log.to_ingress);
	wait_heard(&rig.log.to_ingress, &rig.ingress);
	a = heard(&rig.log.to_ingress);
	ck_assert_int_lt(a->err, 0);
	lane_consume(&rig.log.to_ingress);
	ck_assert_uint_eq(atomic_load(&rig.log.sources[0].durable), 0);
	ck_assert_int_lt(atomic_load(&rig.log.failed), 0);
}
END_TEST

/* What a worker does at its end, at the worst moment for it. */
static void last_outcome_and_stop(void)
{
	send_out();
	atomic_store(&rig.log.stop, true);
}

START_TEST(what_came_before_the_stop_is_committed)
{
	struct logger_source *s = &rig.log.sources[0];

	atomic_store(&disk.stops, false);
	atomic_store(&before_it_waits, last_outcome_and_stop);
	send_message(); /* wakes it: it looks, and is about to wait again */
	ck_assert_int_eq(pthread_join(rig.log.thread, NULL), 0);
	ck_assert_uint_eq(atomic_load(&s->durable), 1);
	ck_assert_ptr_null(heard(&s->lane));
	ck_assert_ptr_nonnull(heard(&rig.log.to_ingress));
	lane_consume(&rig.log.to_ingress);
	/* (For the teardown, which stops it once more.) */
	atomic_store(&rig.log.stop, false);
	ck_assert_int_eq(logger_start(&rig.log), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("logger");
	TCase *tc = tcase_create("durable first"),
	      *idle = tcase_create("turns");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tc, 2 * WAIT_S);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, message_is_answered_when_durable);
	tcase_add_test(tc, outcome_counts_when_durable);
	tcase_add_test(tc, decision_is_answered_when_durable);
	tcase_add_test(tc, a_dead_disk_takes_nothing);
	tcase_add_test(tc, what_came_before_the_stop_is_committed);
	suite_add_tcase(suite, tc);
	tcase_add_checked_fixture(idle, setup_idle, teardown_idle);
	tcase_add_test(idle, a_group_waits_for_the_rest_of_its_frame);
	tcase_add_test(idle, a_group_waits_for_what_was_promised);
	tcase_add_test(idle, a_group_that_waits_is_written);
	tcase_add_test(idle, a_full_group_waits_for_nothing);
	suite_add_tcase(suite, idle);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
