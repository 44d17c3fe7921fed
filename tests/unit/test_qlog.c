/*
 * tests/unit/test_qlog.c - records in and out: groups, segments, failures
 */
#include "qfile.h"
#include "qhelp.h"
#include "queue/queue_private.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEG (256u << 10)

static char *dir;
static struct qfile *disk;
static struct queue *q;
static struct queue_report report;

static uint32_t segment_bytes = SEG;

static void open_with(const struct queue_file_ops *file)
{
	ck_assert_int_eq(qhelp_open(dir, file, segment_bytes, &q, &report), 0);
}

static void open_queue(void)
{
	open_with(qfile_ops(disk));
}

static void setup(void)
{
	qhelp_begin(&dir, &disk);
	open_queue();
}

static void setup_large(void)
{
	segment_bytes = 8u << 20;
	setup();
}

static void teardown(void)
{
	if (q != NULL)
		queue_close(&q);
	qhelp_end(&dir, &disk);
}

START_TEST(a_message_comes_back_as_it_was_put)
{
	static const size_t sizes[] = { 0,    1,    7,    8,      9,
					1023, 1024, 4096, 100000, 200000 };
	uint64_t ids[10];
	size_t i;

	for (i = 0; i < 10; i++)
		ck_assert_int_eq(qhelp_add(q, i, sizes[i], &ids[i]), 0);
	for (i = 0; i < 10; i++)
		ck_assert_int_eq(qhelp_check(q, ids[i], i), 0);
	ck_assert_int_eq(qhelp_check(q, ids[0] + 8, 0), -EUCLEAN);
	ck_assert_int_eq(qhelp_check(q, ids[0] + 1, 0), -ENOENT);
	ck_assert_int_eq(qhelp_check(q, queue_durable_lsn(q), 0), -ENOENT);
	ck_assert_int_eq(qhelp_check(q, 1ull << 40, 0), -ENOENT);
}
END_TEST

START_TEST(a_group_is_one_write_and_one_sync)
{
	struct qhelp_message *m[100];
	struct queue_committed done;
	uint64_t ids[100], writes, syncs, durable;
	size_t i;

	ck_assert_int_eq(qhelp_add(q, 0, 10, &ids[0]), 0);
	writes = qfile_calls(disk, QFILE_PWRITEV);
	syncs = qfile_calls(disk, QFILE_SYNC);
	durable = queue_durable_lsn(q);
	for (i = 0; i < 100; i++) {
		m[i] = qhelp_message(i, i % 2 == 0 ? 2000 : 100);
		ck_assert_int_eq(queue_put_message(q, &m[i]->msg, &ids[i]), 0);
		ck_assert_uint_eq(queue_durable_lsn(q), durable);
		ck_assert_int_eq(qhelp_check(q, ids[i], i), -ENOENT);
	}
	ck_assert_int_eq(queue_commit(q, &done), 0);
	ck_assert_uint_eq(queue_staged(q), 0);
	ck_assert_uint_eq(qfile_calls(disk, QFILE_PWRITEV) - writes, 1);
	ck_assert_uint_eq(qfile_calls(disk, QFILE_SYNC) - syncs, 1);
	ck_assert_uint_eq(done.durable, queue_durable_lsn(q));
	for (i = 0; i < 100; i++) {
		ck_assert_int_eq(qhelp_check(q, ids[i], i), 0);
		ck_assert_uint_eq(queue_lsn_final(&done, ids[i]), ids[i]);
		free(m[i]);
	}
	ck_assert_int_eq(queue_commit(q, &done), 0);
	ck_assert_uint_eq(qfile_calls(disk, QFILE_SYNC) - syncs, 1);
}
END_TEST

START_TEST(a_group_never_spans_segments)
{
	struct qhelp_message *m = qhelp_message(1, 30000);
	struct queue_committed done;
	uint64_t id, first = 0;
	int i, full = 0, err;

	for (i = 0; i < 60; i++) {
		err = queue_put_message(q, &m->msg, &id);
		if (err == -EAGAIN) {
			full++;
			ck_assert_int_eq(queue_commit(q, &done), 0);
			ck_assert_uint_eq(first / SEG,
					  (done.durable - 1) / SEG);
			first = 0;
			err = queue_put_message(q, &m->msg, &id);
		}
		ck_assert_int_eq(err, 0);
		if (first == 0)
			first = id;
		ck_assert_uint_eq(first / SEG, id / SEG);
	}
	ck_assert_int_ge(full, 6);
	ck_assert_int_eq(queue_commit(q, &done), 0);
	free(m);
}
END_TEST

START_TEST(limits_are_refused)
{
	struct qhelp_message *m = qhelp_message(1, 100);
	struct queue_rcpt *many = calloc(1001, sizeof(*many));
	uint64_t id;
	uint32_t i;

	for (i = 0; i < 1001; i++)
		many[i] = m->rcpts[0];
	m->msg.rcpts = many;
	m->msg.rcpt_count = 1001;
	ck_assert_int_eq(queue_put_message(q, &m->msg, &id), -EMSGSIZE);
	m->msg.rcpt_count = 1000;
	ck_assert_int_eq(queue_put_message(q, &m->msg, &id), 0);
	m->msg.rcpt_count = 0;
	ck_assert_int_eq(queue_put_message(q, &m->msg, &id), -EINVAL);
	m->msg.rcpt_count = 1;
	m->msg.size = 99;
	ck_assert_int_eq(queue_put_message(q, &m->msg, &id), -EINVAL);
	m->msg.size = QUEUE_CONTENT_MAX + 1;
	ck_assert_int_eq(queue_put_message(q, &m->msg, &id), -EMSGSIZE);
	m->msg.size = 100;
	m->msg.tenant.len = QUEUE_WORD_MAX + 1;
	ck_assert_int_eq(queue_put_message(q, &m->msg, &id), -EMSGSIZE);
	free(m);
	m = qhelp_message(1, SEG);
	ck_assert_int_eq(queue_put_message(q, &m->msg, &id), -EMSGSIZE);
	free(m);
	free(many);
}
END_TEST

#define PIECE  1100u
#define PIECES 900u

/* More pieces than one write takes: the rest is copied, then it is full. */
START_TEST(a_group_has_bounded_pieces)
{
	struct qhelp_message *m[3];
	static struct iovec iov[3][PIECES];
	struct queue_committed done;
	uint64_t ids[3], writes;
	unsigned i, k;

	for (i = 0; i < 3; i++) {
		m[i] = qhelp_message(i, (size_t)PIECES * PIECE);
		for (k = 0; k < PIECES; k++)
			iov[i][k] = (struct iovec){
				m[i]->content + (size_t)k * PIECE, PIECE
			};
		m[i]->msg.content = iov[i];
		m[i]->msg.content_count = PIECES;
		/* adjacent pieces become one: let them not be adjacent */
		for (k = 0; k < PIECES; k += 2)
			iov[i][k].iov_base = memcpy(malloc(PIECE),
						    iov[i][k].iov_base, PIECE);
	}
	ck_assert_int_eq(queue_put_message(q, &m[0]->msg, &ids[0]), 0);
	ck_assert_int_eq(queue_put_message(q, &m[1]->msg, &ids[1]), 0);
	ck_assert_int_eq(queue_put_message(q, &m[2]->msg, &ids[2]), -EAGAIN);
	writes = qfile_calls(disk, QFILE_PWRITEV);
	ck_assert_int_eq(queue_commit(q, &done), 0);
	ck_assert_uint_eq(qfile_calls(disk, QFILE_PWRITEV) - writes, 1);
	ck_assert_int_eq(queue_put_message(q, &m[2]->msg, &ids[2]), 0);
	ck_assert_int_eq(queue_commit(q, &done), 0);
	for (i = 0; i < 3; i++) {
		ck_assert_int_eq(qhelp_check(q, ids[i], i), 0);
		for (k = 0; k < PIECES; k += 2)
			free(iov[i][k].iov_base);
		free(m[i]);
	}
}
END_TEST

START_TEST(a_group_has_bounded_records)
{
	struct queue_out_rcpt r = { .state = QUEUE_DELIVERED };
	struct queue_out out = { .id = 1, .rcpts = &r, .rcpt_count = 1 };
	struct queue_committed done;
	struct queue_record rec;
	struct queue_cursor *c;
	unsigned count = 0;
	int err;

	while ((err = queue_put_out(q, &out)) == 0 && count < 100000)
		count++;
	ck_assert_int_eq(err, -EAGAIN);
	ck_assert_uint_eq(count, 8192);
	ck_assert_int_eq(queue_commit(q, &done), 0);
	ck_assert_int_eq(queue_put_out(q, &out), 0);
	ck_assert_int_eq(queue_cursor_open(q, 0, &c), 0);
	while (queue_cursor_next(c, &rec) == 1)
		count--;
	ck_assert_uint_eq(count, 0);
	queue_cursor_close(&c);
}
END_TEST

START_TEST(cursors_are_bounded)
{
	struct queue_cursor *c[QUEUE_CURSORS_MAX + 1];
	unsigned i;

	for (i = 0; i < QUEUE_CURSORS_MAX; i++)
		ck_assert_int_eq(queue_cursor_open(q, 100 + i, &c[i]), 0);
	ck_assert_int_eq(queue_cursor_open(q, 1, &c[i]), -EMFILE);
	ck_assert_uint_eq(queue_cursor_lowest(q), 100);
	queue_cursor_close(&c[0]);
	ck_assert_uint_eq(queue_cursor_lowest(q), 101);
	ck_assert_int_eq(queue_cursor_open(q, 50, &c[0]), 0);
	ck_assert_uint_eq(queue_cursor_lowest(q), 50);
	for (i = 0; i < QUEUE_CURSORS_MAX; i++)
		queue_cursor_close(&c[i]);
}
END_TEST

START_TEST(no_spool_is_nothing_to_verify)
{
	struct queue_verify_report r;

	ck_assert_int_eq(queue_verify("/nonexistent", &r), -ENOENT);
	ck_assert_int_eq(queue_verify(dir, &r), 0);
	ck_assert_uint_eq(r.records, 0);
	ck_assert_uint_eq(r.segments, r.segments_free);
}
END_TEST

START_TEST(parts_make_a_message)
{
	struct qhelp_message *m = qhelp_message(5, 300000);
	struct queue_committed done;
	struct queue_view view;
	struct iovec iov;
	uint64_t id, other;
	size_t at, step = 40000;

	iov = (struct iovec){ m->content, step };
	m->msg.content = &iov;
	m->msg.content_count = 1;
	ck_assert_int_eq(queue_put_message(q, &m->msg, &id), 0);
	ck_assert_int_eq(queue_commit(q, &done), 0);
	for (at = step; at < 300000; at += step) {
		ck_assert_int_eq(qhelp_check(q, id, 5), -ENOENT);
		ck_assert_int_eq(qhelp_add(q, 9, 5000, &other), 0);
		iov.iov_base = m->content + at;
		iov.iov_len = 300000 - at < step ? 300000 - at : step;
		ck_assert_int_eq(queue_put_part(q, id, at, &iov, 1), 0);
		ck_assert_int_eq(queue_commit(q, &done), 0);
	}
	ck_assert_uint_ne(id / SEG, done.durable / SEG);
	ck_assert_int_eq(qhelp_check(q, id, 5), 0);
	ck_assert_int_eq(qhelp_check(q, other, 9), 0);
	/* every segment of it is pinned while it is open */
	ck_assert_int_eq(queue_message_open(q, id, &view), 0);
	ck_assert_int_eq(queue_segment_free(q, id / SEG), -EBUSY);
	queue_message_close(q, &view);
	ck_assert_int_eq(queue_segment_free(q, id / SEG), 0);
	ck_assert_int_eq(qhelp_check(q, id, 5), -ENOENT);
	free(m);
}
END_TEST

START_TEST(an_abandoned_message_does_not_exist)
{
	struct qhelp_message *m = qhelp_message(5, 2000);
	struct queue_committed done;
	struct iovec iov = { m->content, 1500 };
	uint64_t id;

	m->msg.content = &iov;
	m->msg.content_count = 1;
	ck_assert_int_eq(queue_put_message(q, &m->msg, &id), 0);
	ck_assert_int_eq(queue_put_abandon(q, id), 0);
	iov = (struct iovec){ m->content + 1500, 500 };
	ck_assert_int_eq(queue_put_part(q, id, 1500, &iov, 1), 0);
	ck_assert_int_eq(queue_commit(q, &done), 0);
	ck_assert_int_eq(qhelp_check(q, id, 5), -ENOENT);
	free(m);
}
END_TEST

static void check_out(const struct queue_out *out, const struct queue_out *want)
{
	uint32_t i;

	ck_assert_uint_eq(out->id, want->id);
	ck_assert_uint_eq(out->slot, want->slot);
	ck_assert(span_eq(out->tenant, want->tenant));
	ck_assert(span_eq(out->campaign, want->campaign));
	ck_assert(span_eq(out->domain, want->domain));
	ck_assert(span_eq(out->note, want->note));
	ck_assert_uint_eq(out->rcpt_count, want->rcpt_count);
	for (i = 0; i < out->rcpt_count; i++) {
		const struct queue_out_rcpt *a = &out->rcpts[i];
		const struct queue_out_rcpt *b = &want->rcpts[i];

		ck_assert_uint_eq(a->rcpt, b->rcpt);
		ck_assert_uint_eq(a->state, b->state);
		ck_assert_uint_eq(a->attempts, b->attempts);
		ck_assert_uint_eq(a->unsure, b->unsure);
		ck_assert_uint_eq(a->due_s, b->due_s);
		ck_assert(span_eq(a->note, b->note));
	}
}

START_TEST(a_cursor_sees_every_kind_of_record)
{
	struct queue_out_rcpt rcpts[] = {
		{ 3, QUEUE_WAITING, 2, 1, 777, SPAN("450 later") },
		{ 999, QUEUE_BOUNCED, 255, 0, 0, SPAN("") },
	};
	struct queue_out out = { 42,
				 5,
				 SPAN("t"),
				 SPAN("c"),
				 SPAN("d.example"),
				 SPAN("{shared}"),
				 rcpts,
				 2 };
	uint64_t ids[] = { 1, UINT64_MAX, 77 }, lsn, id;
	struct queue_decision dec = {
		QUEUE_VERB_PAUSE, 9,   SPAN("t"), SPAN(""),
		SPAN("d"),        ids, 3,         SPAN("why"),
		SPAN("")
	};
	struct queue_cursor *c;
	struct queue_record rec;
	struct queue_committed done;

	ck_assert_int_eq(queue_cursor_open(q, 0, &c), 0);
	ck_assert_int_eq(queue_cursor_next(c, &rec), 0);
	ck_assert_int_eq(qhelp_add(q, 8, 3000, &id), 0);
	ck_assert_int_eq(queue_put_out(q, &out), 0);
	ck_assert_int_eq(queue_put_decision(q, &dec, &lsn), 0);
	ck_assert_int_eq(queue_put_checkpoint(q, 1234, 5), 0);
	ck_assert_int_eq(queue_cursor_next(c, &rec), 1);
	ck_assert_int_eq(rec.type, QUEUE_REC_MSG);
	ck_assert_uint_eq(rec.lsn, id);
	ck_assert_uint_eq(rec.msg.size, 3000);
	ck_assert_uint_eq(rec.due_s, 10);
	ck_assert_uint_eq(rec.submission_number, 8);
	ck_assert_ptr_null(rec.msg.content);
	ck_assert_int_eq(queue_cursor_next(c, &rec), 0); /* not durable yet */
	ck_assert_int_eq(queue_commit(q, &done), 0);
	ck_assert_int_eq(queue_cursor_next(c, &rec), 1);
	ck_assert_int_eq(rec.type, QUEUE_REC_OUT);
	check_out(&rec.out, &out);
	ck_assert_int_eq(queue_cursor_next(c, &rec), 1);
	ck_assert_int_eq(rec.type, QUEUE_REC_DEC);
	ck_assert_uint_eq(rec.lsn, lsn);
	ck_assert_int_eq(rec.dec.verb, QUEUE_VERB_PAUSE);
	ck_assert_uint_eq(rec.dec.made_s, 9);
	ck_assert_uint_eq(rec.dec.id_count, 3);
	ck_assert_mem_eq(rec.dec.ids, ids, sizeof(ids));
	ck_assert(span_eq(rec.dec.domain, dec.domain));
	ck_assert(span_eq(rec.dec.note, dec.note));
	ck_assert_int_eq(queue_cursor_next(c, &rec), 1);
	ck_assert_int_eq(rec.type, QUEUE_REC_CKPT);
	ck_assert_uint_eq(rec.ckpt.lsn, 1234);
	ck_assert_int_eq(queue_cursor_next(c, &rec), 0);
	ck_assert_uint_eq(rec.end, done.durable);
	queue_cursor_close(&c);
}
END_TEST

static uint64_t fill_segments(unsigned count, uint64_t n)
{
	uint64_t id, start = queue_durable_lsn(q) / SEG;

	while (queue_durable_lsn(q) / SEG < start + count)
		ck_assert_int_eq(qhelp_add(q, n, 50000, &id), 0);
	return id;
}

START_TEST(segments_are_recycled_but_not_under_readers)
{
	struct queue_segment seg;
	struct queue_cursor *c;
	struct queue_view view;
	uint64_t id, all, ready, all_then, sequence;

	ck_assert_int_eq(qhelp_add(q, 1, 1000, &id), 0);
	fill_segments(3, 2);
	ck_assert_int_eq(queue_segment_next(q, 0, &seg), 1);
	sequence = seg.sequence;
	ck_assert_uint_eq(sequence, id / SEG);
	ck_assert_int_eq(queue_cursor_open(q, id, &c), 0);
	ck_assert_int_eq(queue_segment_free(q, sequence), -EBUSY);
	queue_cursor_done(c, seg.end - 8);
	ck_assert_int_eq(queue_segment_free(q, sequence), -EBUSY);
	queue_cursor_done(c, seg.end);
	ck_assert_int_eq(queue_message_open(q, id, &view), 0);
	ck_assert_int_eq(queue_segment_free(q, sequence), -EBUSY);
	queue_message_close(q, &view);
	ck_assert_int_eq(queue_segment_free(q, sequence), 0);
	ck_assert_int_eq(queue_segment_free(q, sequence), -ENOENT);
	ck_assert_int_eq(qhelp_check(q, id, 1), -ENOENT);
	ck_assert_uint_eq(queue_cursor_lowest(q), seg.end);
	queue_cursor_close(&c);
	ck_assert_uint_eq(queue_cursor_lowest(q), UINT64_MAX);
	while (queue_log_prepare(q) > 0)
		;
	queue_segment_counts(q, &all_then, &ready);
	for (all = 0; all < 50; all++) { /* far more than there are files */
		fill_segments(1, all);
		ck_assert_int_eq(queue_segment_next(q, 0, &seg), 1);
		ck_assert_int_eq(queue_segment_free(q, seg.sequence), 0);
	}
	queue_segment_counts(q, &all, &ready);
	ck_assert_uint_eq(all, all_then);
	ck_assert_int_eq(
		queue_segment_next(q, queue_durable_lsn(q) / SEG, &seg), 1);
	ck_assert(seg.active);
	ck_assert_int_eq(queue_segment_free(q, seg.sequence), -EBUSY);
}
END_TEST

START_TEST(a_full_disk_refuses_mail_but_takes_outcomes)
{
	struct queue_out_rcpt r = { .state = QUEUE_DELIVERED };
	struct queue_out out = { .id = 1, .rcpts = &r, .rcpt_count = 1 };
	struct queue_committed done;
	uint64_t id, kept, i;

	ck_assert_int_eq(qhelp_add(q, 1, 1000, &kept), 0);
	qfile_set_space(disk, 1000);
	queue_log_prepare(q);
	ck_assert_int_eq(qhelp_add(q, 2, 1000, &id), -ENOSPC);
	ck_assert(queue_out_room(q));
	r.note = span_of(calloc(1, 60000), 60000);
	for (i = 0; queue_out_room(q) && i < 100; i++) {
		ck_assert_int_eq(queue_put_out(q, &out), 0);
		ck_assert_int_eq(queue_commit(q, &done), 0);
	}
	ck_assert_uint_ge(i, 8); /* two segments at least */
	ck_assert_int_lt((int)i, 100);
	for (i = 0; i < 4; i++) { /* what was in flight still finds room */
		ck_assert_int_eq(queue_put_out(q, &out), 0);
		ck_assert_int_eq(queue_commit(q, &done), 0);
	}
	qfile_set_space(disk, 1ull << 30);
	ck_assert_int_eq(qhelp_add(q, 2, 1000, &id), 0);
	ck_assert_int_eq(qhelp_check(q, kept, 1), 0);
	ck_assert(queue_out_room(q));
	free((void *)(uintptr_t)r.note.p);
}
END_TEST

START_TEST(mail_leaves_the_reserve_alone)
{
	uint64_t id, all, ready, before;
	int err = 0, i;

	queue_segment_counts(q, &before, &ready);
	qfile_set_space(disk, (1 << 20) + SEG - 1); /* not one file more */
	for (i = 0; i < 100 && err == 0; i++)
		err = qhelp_add(q, 1, 50000, &id);
	ck_assert_int_eq(err, -ENOSPC);
	ck_assert_int_gt(i, 3);
	queue_segment_counts(q, &all, &ready);
	ck_assert_uint_eq(all, before);
	ck_assert_uint_eq(ready, 3);
	ck_assert_int_eq(queue_log_prepare(q), -ENOSPC);
	qfile_set_space(disk, (1 << 20) + SEG);
	ck_assert_int_eq(qhelp_add(q, 1, 50000, &id), 0);
}
END_TEST

static const struct {
	enum qfile_op op;
	int err;
} faults[] = { { QFILE_PWRITEV, -EIO },
	       { QFILE_PWRITEV, -ENOSPC },
	       { QFILE_SYNC, -EIO } };

START_TEST(a_failed_commit_moves_the_group)
{
	struct qhelp_message *m = qhelp_message(7, 5000), *big;
	struct queue_committed done;
	struct iovec iov;
	uint64_t before, id, large, after;

	big = qhelp_message(6, 9000);
	iov = (struct iovec){ big->content, 4000 };
	big->msg.content = &iov;
	big->msg.content_count = 1;
	ck_assert_int_eq(qhelp_add(q, 3, 2000, &before), 0);
	ck_assert_int_eq(queue_put_message(q, &m->msg, &id), 0);
	ck_assert_int_eq(queue_put_message(q, &big->msg, &large), 0);
	iov = (struct iovec){ big->content + 4000, 5000 };
	ck_assert_int_eq(queue_put_part(q, large, 4000, &iov, 1), 0);
	qfile_fail(disk, faults[_i].op, 1, 0, faults[_i].err);
	ck_assert_int_eq(queue_commit(q, &done), 0);
	ck_assert_int_eq(done.moved_why, faults[_i].err);
	ck_assert_uint_gt(done.moved_by, 0);
	ck_assert_int_eq(qhelp_check(q, id, 7), -ENOENT);
	id = queue_lsn_final(&done, id);
	large = queue_lsn_final(&done, large);
	ck_assert_uint_eq(queue_lsn_final(&done, before), before);
	ck_assert_int_eq(qhelp_add(q, 4, 2000, &after), 0);
	queue_close(&q);
	qfile_crash(disk, _i % 2 ? QFILE_LOSE_ALL : QFILE_LOSE_NONE, 1);
	open_queue();
	ck_assert_uint_eq(report.damaged, 0);
	ck_assert_uint_eq(report.messages, 4);
	ck_assert_int_eq(qhelp_check(q, before, 3), 0);
	ck_assert_int_eq(qhelp_check(q, id, 7), 0);
	ck_assert_int_eq(qhelp_check(q, large, 6), 0);
	ck_assert_int_eq(qhelp_check(q, after, 4), 0);
	free(m);
	free(big);
}
END_TEST

START_TEST(a_second_failure_is_final)
{
	struct queue_committed done;
	uint64_t id, kept;

	ck_assert_int_eq(qhelp_add(q, 3, 2000, &kept), 0);
	qfile_fail(disk, QFILE_SYNC, 1, 9, -EIO);
	ck_assert_int_eq(qhelp_add(q, 4, 2000, &id), -EIO);
	qfile_fail(disk, QFILE_SYNC, 0, 0, 0);
	ck_assert_int_eq(qhelp_add(q, 4, 2000, &id), -EIO);
	ck_assert_int_eq(queue_commit(q, &done), -EIO);
	ck_assert_int_eq(qhelp_check(q, kept, 3), 0);
	queue_close(&q);
	qfile_crash(disk, QFILE_LOSE_RANDOM, 5);
	open_queue();
	ck_assert_int_eq(qhelp_check(q, kept, 3), 0);
	ck_assert_int_eq(qhelp_add(q, 4, 2000, &id), 0);
}
END_TEST

START_TEST(no_descriptors_is_not_for_good)
{
	uint64_t id = 0, before, ready, all;
	int err, i;

	while (queue_log_prepare(q) > 0)
		;
	queue_segment_counts(q, &all, &before);
	qfile_fail(disk, QFILE_OPEN, 1, 2, -EMFILE);
	for (i = 0; i < 3; i++) {
		err = qhelp_add(q, 1, 100, &id);
		ck_assert_int_eq(err, -EMFILE);
	}
	ck_assert_int_eq(qhelp_add(q, 1, 100, &id), 0);
	queue_segment_counts(q, &all, &ready);
	ck_assert_uint_eq(ready, before - 1);
	ck_assert_int_eq(qhelp_check(q, id, 1), 0);
}
END_TEST

/* Not the walk, not a cursor, not a message, in the segment of now and in one
 * of before a restart: the daemon may have none left when they are wanted. */
START_TEST(reading_needs_no_descriptor)
{
	struct queue_cursor *cursor;
	struct queue_record rec;
	uint64_t ids[2], count;
	int i;

	ck_assert_int_eq(qhelp_add(q, 0, 2000, &ids[0]), 0);
	queue_close(&q);
	open_queue();
	ck_assert_int_eq(qhelp_add(q, 1, 2000, &ids[1]), 0);
	ck_assert_int_eq(queue_cursor_open(q, ids[0], &cursor), 0);
	count = qfile_calls(disk, QFILE_OPEN);
	qfile_fail(disk, QFILE_OPEN, 1, 1000, -ENFILE);
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(queue_cursor_next(cursor, &rec), 1);
		ck_assert_uint_eq(rec.lsn, ids[i]);
	}
	queue_cursor_again(cursor, ids[1]);
	ck_assert_int_eq(queue_cursor_next(cursor, &rec), 1);
	ck_assert_uint_eq(rec.lsn, ids[1]);
	ck_assert_int_eq(qhelp_check(q, ids[0], 0), 0);
	ck_assert_int_eq(qhelp_check(q, ids[1], 1), 0);
	ck_assert_uint_eq(qfile_calls(disk, QFILE_OPEN), count);
	qfile_fail(disk, QFILE_OPEN, 0, 0, 0);
	queue_cursor_close(&cursor);
}
END_TEST

/* It costs what lies on it, and nothing that ends before or begins behind. */
START_TEST(an_unreadable_page_is_an_errno)
{
	uint64_t ids[21], page, from, i;
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/log/seg-00000000", dir);
	for (i = 0; i < 20; i++)
		ck_assert_int_eq(
			qhelp_add(q, i, 400 + i * 1777 % 11000, &ids[i]), 0);
	ids[20] = queue_durable_lsn(q);
	ck_assert_uint_eq(ids[0] / SEG, ids[20] / SEG);
	for (page = 1; page <= ids[20] % SEG / 4096 + 1; page++) {
		from = page * 4096;
		qfile_spoil(disk, path, from);
		for (i = 0; i < 20; i++)
			ck_assert_int_eq(qhelp_check(q, ids[i], i),
					 ids[i] % SEG < from + 4096 &&
							 from < ids[i + 1] % SEG
						 ? -EIO
						 : 0);
	}
	qfile_spoil(disk, NULL, 0);
	for (i = 0; i < 20; i++)
		ck_assert_int_eq(qhelp_check(q, ids[i], i), 0);
}
END_TEST

START_TEST(a_spool_has_one_owner)
{
	struct queue_settings set = { .dir = dir, .segment_bytes = SEG };
	struct queue_report other;
	struct queue *second;
	char pid[32];

	ck_assert_int_eq(queue_open(&set, 1, &second, &other), -EBUSY);
	(void)snprintf(pid, sizeof(pid), "process %ld;", (long)getpid());
	ck_assert_ptr_nonnull(strstr(other.words, pid));
	queue_close(&q);
	set.segment_bytes = 2 * SEG;
	ck_assert_int_eq(queue_open(&set, 1, &second, &other), -EINVAL);
	set.segment_bytes = SEG + 1;
	ck_assert_int_eq(queue_open(&set, 1, &second, &other), -EINVAL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("qlog");
	TCase *t = tcase_create("log");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, a_message_comes_back_as_it_was_put);
	tcase_add_test(t, a_group_is_one_write_and_one_sync);
	tcase_add_test(t, a_group_never_spans_segments);
	tcase_add_test(t, limits_are_refused);
	tcase_add_test(t, cursors_are_bounded);
	tcase_add_test(t, no_spool_is_nothing_to_verify);
	tcase_add_test(t, parts_make_a_message);
	tcase_add_test(t, an_abandoned_message_does_not_exist);
	tcase_add_test(t, a_cursor_sees_every_kind_of_record);
	tcase_add_test(t, segments_are_recycled_but_not_under_readers);
	tcase_add_test(t, a_full_disk_refuses_mail_but_takes_outcomes);
	tcase_add_test(t, mail_leaves_the_reserve_alone);
	tcase_add_loop_test(t, a_failed_commit_moves_the_group, 0, 3);
	tcase_add_test(t, a_second_failure_is_final);
	tcase_add_test(t, no_descriptors_is_not_for_good);
	tcase_add_test(t, reading_needs_no_descriptor);
	tcase_add_test(t, an_unreadable_page_is_an_errno);
	tcase_add_test(t, a_spool_has_one_owner);
	suite_add_tcase(s, t);
	t = tcase_create("large segments");
	tcase_add_checked_fixture(t, setup_large, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, a_group_has_bounded_pieces);
	tcase_add_test(t, a_group_has_bounded_records);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
