/*
 * tests/unit/test_qadopt.c - mail that leaves a spool, and mail that comes
 *
 * What an adopted message says of its recipients must hold from its one record
 * on; what is open must come out whole and in order; a marked spool is shut.
 */
#include "mtaq/export.h"

#include "tests/unit/tmpdir.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NOW 2000000u
#define DAY 86400u

static char dir[TMPDIR_BYTES];
static struct queue_settings set = {
	.dir = dir,
	.segment_bytes = 1u << 20,
	.segments_ahead = 1,
	.free_bytes_min = 1 << 20,
	.index_bytes_max = 256u << 20,
};
static struct queue_report report;
static struct queue *q;
static char text[] = "Subject: x\r\n\r\nhi\r\n";

static int try_open(void)
{
	return queue_open(&set, NOW, &q, &report);
}

static void setup(void)
{
	tmpdir_make(dir, "qadopt", TMPDIR_DISK);
	set.exported_too = false;
	ck_assert_int_eq(try_open(), 0);
}

static void teardown(void)
{
	if (q != NULL)
		queue_close(&q);
	tmpdir_remove(dir);
}

static void commit(void)
{
	struct queue_committed done;
	int rc;

	ck_assert_int_eq(queue_commit(q, &done), 0);
	while ((rc = queue_store_apply(q, NOW)) == 1)
		;
	ck_assert_int_eq(rc, 0);
}

static void reopen(void)
{
	queue_close(&q);
	ck_assert_int_eq(try_open(), 0);
}

/* Three at x.example, one at y.example. */
static const struct queue_stand stands[] = {
	{ NOW + 500, 2, 1 },
	{ NOW + 500, 2, 1 },
	{ QUEUE_SLOT_HELD, 7, 0 },
	{ NOW - 100, 1, 3 },
};
#define TEXT(lit)                                                              \
	{                                                                      \
		(lit), sizeof(lit) - 1                                         \
	} /* of what is static */
static const struct queue_rcpt rcpts[] = {
	{ TEXT("a@x.example"), TEXT("x.example"), TEXT("NOTIFY=NEVER") },
	{ TEXT("b@x.example"), TEXT("x.example"), TEXT("") },
	{ TEXT("c@x.example"), TEXT("x.example"), TEXT("") },
	{ TEXT("d@y.example"), TEXT("y.example"), TEXT("") },
};

static uint64_t adopt(uint64_t number, bool late)
{
	struct iovec iov = { text, sizeof(text) - 1 };
	struct queue_message msg = {
		.submission = { 7, 7 },
		.number = number,
		.tenant = SPAN("t"),
		.sender = SPAN("s@z"),
		.rcpts = rcpts,
		.rcpt_count = 4,
		.arrived_s = NOW - 4 * DAY, /* longer than submissions live */
		.due_s = NOW,
		.expires_s = NOW + DAY,
		.content = &iov,
		.content_count = 1,
		.size = (late ? 2 : 1) * (sizeof(text) - 1),
		.stands = stands,
		.adopted_s = NOW,
	};
	uint64_t id;

	ck_assert_int_eq(queue_put_message(q, &msg, &id), 0);
	commit();
	return id;
}

static void look_at(uint64_t id)
{
	struct queue_task t[8];
	struct queue_view v;
	struct queue_stand s;
	uint32_t n = 0, i;

	ck_assert_int_eq(queue_show(q, id, t, 8, &n), 0);
	ck_assert_uint_eq(n, 3);
	for (i = 0; i < 3; i++) {
		uint32_t at = i == 0 ? 0 : i + 1;

		ck_assert_uint_eq(t[i].first, at);
		ck_assert_uint_eq(t[i].open[0], i == 0 ? 3 : 1);
		ck_assert_uint_eq(t[i].slot, stands[at].slot);
		ck_assert_uint_eq(t[i].attempts, stands[at].attempts);
		ck_assert_uint_eq(t[i].unsure, stands[at].unsure);
		ck_assert_uint_eq(t[i].expires_s, NOW + DAY);
	}
	ck_assert_int_eq(queue_message_open(q, id, &v), 0);
	ck_assert_uint_eq(v.adopted_s, NOW);
	ck_assert_uint_eq(v.origin_id, 40);
	ck_assert_uint_eq(v.origin_spool[1], 7);
	for (i = 0; i < 4; i++) {
		struct queue_rcpt r;

		queue_view_rcpt(&v, i, &r);
		ck_assert(span_eq(r.address, rcpts[i].address));
		ck_assert(span_eq(r.params, rcpts[i].params));
		ck_assert(queue_view_stand(&v, i, &s));
		ck_assert_uint_eq(s.slot, stands[i].slot);
	}
	queue_message_close(q, &v);
}

/* From its one record; after a crash; from the index. */
START_TEST(an_adopted_recipient_stands_where_it_stood)
{
	uint64_t id = adopt(40, _i == 1);
	struct iovec iov = { text, sizeof(text) - 1 };
	struct queue_counts counts;
	struct queue_task t;

	if (_i == 1) { /* in two parts: not there before the last */
		ck_assert_int_eq(queue_store_next(q, NOW, &t), 0);
		ck_assert_int_eq(
			queue_put_part(q, id, sizeof(text) - 1, &iov, 1), 0);
		commit();
	}
	look_at(id);
	reopen();
	look_at(id);
	ck_assert_int_eq(queue_store_checkpoint(q, NOW), 0);
	look_at(id);
	reopen();
	look_at(id);
	queue_store_counts(q, &counts);
	ck_assert_uint_eq(counts.held, 1);
	ck_assert_uint_eq(counts.waiting, 3);
	while (queue_store_work(q, NOW) == 1)
		;
	/* Only what is due is given: not the held one, not the later ones. */
	ck_assert_int_eq(queue_store_next(q, NOW, &t), 1);
	ck_assert_uint_eq(t.first, 3);
	ck_assert_int_eq(queue_store_next(q, NOW, &t), 0);
}
END_TEST

START_TEST(an_adoption_is_remembered_for_good)
{
	const uint8_t spool[16] = { 7, 7 };
	uint32_t later, i;
	uint64_t id;

	for (i = 0; i < 40; i++)
		adopt(10 + i, false);
	for (later = NOW; later < NOW + 800 * DAY; later += 100 * DAY) {
		struct queue_decision dec = { .verb = QUEUE_VERB_PAUSE,
					      .made_s = later,
					      .campaign = SPAN("c") };

		ck_assert_int_eq(queue_put_decision(q, &dec, &id), 0);
		commit();
		ck_assert_int_eq(queue_store_checkpoint(q, later), 0);
		ck_assert_int_eq(queue_store_submitted(q, spool, 49, &id), 1);
		ck_assert_int_eq(queue_store_submitted(q, spool, 10, &id), 1);
		ck_assert_int_eq(queue_store_submitted(q, spool, 50, &id), 0);
	}
}
END_TEST

/* A message that comes and is delivered at once, at this time. */
static void pass_by(uint32_t now_s)
{
	static char much[200000];
	struct iovec iov = { much, sizeof(much) };
	struct queue_message msg = { .rcpts = rcpts,
				     .rcpt_count = 1,
				     .arrived_s = now_s,
				     .due_s = now_s,
				     .expires_s = now_s + DAY,
				     .content = &iov,
				     .content_count = 1,
				     .size = sizeof(much) };
	struct queue_out_rcpt r = { .rcpt = 0, .state = QUEUE_DELIVERED };
	struct queue_out out = { .slot = now_s,
				 .domain = rcpts[0].domain,
				 .rcpts = &r,
				 .rcpt_count = 1 };
	struct queue_move move;

	ck_assert_int_eq(queue_put_message(q, &msg, &out.id), 0);
	commit();
	ck_assert_int_eq(queue_put_out(q, &out), 0);
	commit();
	ck_assert_int_eq(queue_store_checkpoint(q, now_s), 0);
	while (queue_store_work(q, now_s) == 1)
		;
	while (queue_store_move(q, now_s, &move) == 1) {
		ck_assert_int_eq(queue_put_move(q, &move), 0);
		commit();
	}
}

static void make_index_anew(void)
{
	struct queue_rebuild_report rr;
	struct queue_rebuild *rb;

	queue_close(&q);
	ck_assert_int_eq(queue_rebuild_begin(&set, NOW, true, &rb, &rr), 0);
	while (queue_rebuild_step(rb, &rr) == 1)
		;
	ck_assert_int_eq(queue_rebuild_finish(&rb, &rr), 0);
	ck_assert_int_eq(try_open(), 0);
}

/* All that is left of it in the log is the copy that compaction made. */
START_TEST(what_moved_is_remembered_when_the_index_is_made_anew)
{
	const uint8_t spool[16] = { 7, 7 };
	struct queue_task t[8];
	struct queue_view v;
	uint64_t id, x;
	uint32_t i, n;
	int rc = 0;

	pass_by(NOW); /* the first segment: not the first LSN */
	id = adopt(40, false);
	for (i = 1; i < 400 && rc != -ENOENT; i++) {
		pass_by(NOW + 20 * i);
		rc = queue_message_open(q, id, &v);
		if (rc == 0)
			queue_message_close(q, &v);
	}
	ck_assert_int_eq(rc, -ENOENT); /* its segment is free */
	for (n = 0; n < 60; n++)       /* and written over */
		pass_by(NOW + 20 * (i + n));
	make_index_anew();
	ck_assert_int_eq(queue_show(q, id, t, 8, &n), 0);
	ck_assert_uint_gt(n, 0);
	ck_assert_int_eq(queue_store_submitted(q, spool, 40, &x), 1);
	ck_assert_int_eq(queue_store_submitted(q, spool, 41, &x), 0);
}
END_TEST

START_TEST(an_adopted_message_without_its_states_is_refused)
{
	struct iovec iov = { text, sizeof(text) - 1 };
	struct queue_message msg = { .rcpts = rcpts,
				     .rcpt_count = 4,
				     .content = &iov,
				     .content_count = 1,
				     .size = sizeof(text) - 1 };
	uint64_t id;

	msg.adopted_s = NOW;
	ck_assert_int_eq(queue_put_message(q, &msg, &id), -EINVAL);
	msg.adopted_s = 0;
	msg.stands = stands;
	ck_assert_int_eq(queue_put_message(q, &msg, &id), -EINVAL);
}
END_TEST

/* --- all that is open --------------------------------------------------------- */

#define MAILS 1500u

/* Message n: to 1 + n % 5 domains, two recipients each; those of n % 3 == 0
 * have lost their first recipient. */
static uint64_t put(uint32_t n)
{
	static char names[10][32];
	struct iovec iov = { text, sizeof(text) - 1 };
	struct queue_rcpt r[10];
	uint32_t i, count = 2 * (1 + n % 5);
	struct queue_message msg = { .submission = { 1 },
				     .number = n + 1,
				     .rcpts = r,
				     .rcpt_count = count,
				     .arrived_s = NOW,
				     .due_s = NOW + n % 7 * 60,
				     .expires_s = NOW + DAY,
				     .content = &iov,
				     .content_count = 1,
				     .size = sizeof(text) - 1 };
	uint64_t id;

	for (i = 0; i < count; i++) {
		snprintf(names[i], sizeof(names[i]), "r%u@d%u.example", i,
			 i / 2);
		r[i] = (struct queue_rcpt){
			.address = span_str(names[i]),
			.domain = span_str(strchr(names[i], '@') + 1)
		};
	}
	ck_assert_int_eq(queue_put_message(q, &msg, &id), 0);
	if (n % 50 == 49)
		commit();
	return id;
}

static void deliver_first(uint64_t id, uint32_t n)
{
	struct queue_out_rcpt r = { .rcpt = 0, .state = QUEUE_DELIVERED };
	struct queue_out out = { .id = id,
				 .slot = NOW + n % 7 * 60,
				 .domain = SPAN("d0.example"),
				 .rcpts = &r,
				 .rcpt_count = 1 };

	ck_assert_int_eq(queue_put_out(q, &out), 0);
}

/* From memory, the index, or both; more tasks than are held at once. */
START_TEST(all_that_is_open_comes_in_the_order_of_ids)
{
	static uint64_t ids[MAILS];
	struct queue_exported item;
	struct queue_export *x;
	uint32_t n, i, left;

	for (n = 0; n < MAILS; n++) {
		ids[n] = put(n);
		if (n == MAILS / 2 && _i > 0)
			commit(), queue_store_checkpoint(q, NOW);
	}
	commit();
	for (n = 0; n < MAILS; n += 3) {
		deliver_first(ids[n], n);
		if (n % 60 == 0)
			commit();
	}
	commit();
	if (_i > 1)
		ck_assert_int_eq(queue_store_checkpoint(q, NOW), 0);
	reopen();
	ck_assert_int_eq(queue_export_begin(q, QUEUE_RCPTS_MAX, &x), 0);
	ck_assert_uint_eq(queue_export_count(x), MAILS);
	for (n = 0; n < MAILS; n++) {
		ck_assert_int_eq(queue_export_next(x, &item), 1);
		left = n % 3 == 0;
		ck_assert_uint_eq(item.id, ids[n]);
		ck_assert_uint_eq(item.count, 2 * (1 + n % 5) - left);
		ck_assert_uint_eq(item.expires_s, NOW + DAY);
		for (i = 0; i < item.count; i++) {
			ck_assert_uint_eq(item.rcpts[i], i + left);
			ck_assert_uint_eq(item.stands[i].slot,
					  NOW + n % 7 * 60);
		}
	}
	ck_assert_int_eq(queue_export_next(x, &item), 0);
	queue_export_end(&x);
}
END_TEST

/* --- the mark ------------------------------------------------------------------- */

START_TEST(a_marked_spool_is_shut)
{
	struct queue_mark mark = { .uuid = { 1, 0xff, 3 },
				   .made_s = 17,
				   .whole_s = 18 },
			  read;
	struct queue_rebuild_report rr;
	struct queue_rebuild *rb;
	char path[128];
	int fd;

	ck_assert_int_eq(queue_marked(dir), 0);
	ck_assert_int_eq(queue_mark_read(dir, &read), -ENOENT);
	ck_assert_int_eq(queue_mark_write(dir, &mark), 0);
	mark.adopting_s = 19;
	ck_assert_int_eq(queue_mark_write(dir, &mark), 0);
	ck_assert_int_eq(queue_mark_read(dir, &read), 0);
	ck_assert_mem_eq(&read, &mark, sizeof(mark));
	queue_close(&q);
	if (_i == 1) { /* one that nobody can make out shuts it as well */
		snprintf(path, sizeof(path), "%s/exported", dir);
		fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
		ck_assert_int_ge(fd, 0);
		close(fd);
		ck_assert_int_eq(queue_mark_read(dir, &read), -EUCLEAN);
	}
	ck_assert_int_eq(queue_marked(dir), 1);
	ck_assert_int_eq(try_open(), -EROFS);
	ck_assert_ptr_nonnull(strstr(report.words, "was exported"));
	ck_assert_ptr_nonnull(strstr(report.words, "mtaq export --undo"));
	ck_assert_int_eq(queue_rebuild_begin(&set, NOW, true, &rb, &rr),
			 -EROFS);
	set.exported_too = true;
	set.segment_bytes = 256u << 10; /* taken from the log */
	ck_assert_int_eq(try_open(), 0);
	ck_assert_int_eq(queue_mark_remove(dir), 0);
	queue_close(&q);
	set.exported_too = false;
	set.segment_bytes = 1u << 20;
	ck_assert_int_eq(try_open(), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("qadopt");
	TCase *tc = tcase_create("all");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, an_adopted_recipient_stands_where_it_stood, 0,
			    2);
	tcase_add_test(tc, an_adoption_is_remembered_for_good);
	tcase_add_test(tc,
		       what_moved_is_remembered_when_the_index_is_made_anew);
	tcase_add_test(tc, an_adopted_message_without_its_states_is_refused);
	tcase_add_loop_test(tc, all_that_is_open_comes_in_the_order_of_ids, 0,
			    3);
	tcase_add_loop_test(tc, a_marked_spool_is_shut, 0, 2);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
