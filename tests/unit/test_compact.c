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
		m->now_s += 60; /* it looks again in any case */
	}
}

static uint64_t used(struct qmodel *m)
{
	struct queue_counts counts = counts_of(m);

	return counts.segments - counts.segments_free;
}

static bool is_there(struct qmodel *m, uint64_t sequence)
{
	struct queue_segment seg;

	return queue_segment_next(m->q, sequence, &seg) == 1 &&
	       seg.sequence == sequence;
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
	/* Of what moved into a segment that is free nothing is remembered. */
	for (; index_place_next(m->q->store->index, &place, &id) == 0; place++)
		ck_assert(is_there(m, place / m->set.segment_bytes));
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

/* --- the rules, one by one ------------------------------------------------------ */

#define BYTES 1000u /* of a message; some 110 of them fill a segment */

/* One message of one recipient, content as message n has it. */
static uint64_t put_one(struct qmodel *m, const char *campaign, uint32_t size)
{
	static char text[3 * BYTES];
	struct iovec iov = { text, size };
	struct queue_rcpt rcpt = { .address = SPAN("x@a.example"),
				   .domain = SPAN("a.example") };
	struct queue_message msg = { .submission = { 9 },
				     .number = ++m->message_count,
				     .tenant = SPAN("t"),
				     .campaign = span_str(campaign),
				     .rcpts = &rcpt,
				     .rcpt_count = 1,
				     .arrived_s = m->now_s,
				     .due_s = m->now_s,
				     .expires_s = m->now_s + 1000000,
				     .content = &iov,
				     .content_count = 1,
				     .size = size };
	uint64_t id;
	int err;

	memset(text, 'a' + (int)(m->message_count % 26), size);
	while ((err = queue_put_message(m->q, &msg, &id)) == -EAGAIN)
		qmodel_commit(m);
	ck_assert_int_eq(err, 0);
	qmodel_commit(m); /* (its content is lent) */
	return queue_lsn_final(&m->done, id);
}

static uint64_t sequence_of(const struct qmodel *m, uint64_t lsn)
{
	return lsn / m->set.segment_bytes;
}

static void put_outcome(struct qmodel *m, const struct queue_task *t,
			enum queue_state state, uint32_t due_s)
{
	struct queue_out_rcpt rcpt = { .rcpt = t->first,
				       .state = (uint8_t)state,
				       .due_s = due_s };
	struct queue_out out = {
		.id = t->id, .slot = t->slot, .rcpts = &rcpt, .rcpt_count = 1
	};
	int err;

	queue_handle_name(m->q, t->queue, &out.tenant, &out.campaign,
			  &out.domain);
	while ((err = queue_put_out(m->q, &out)) == -EAGAIN)
		qmodel_commit(m);
	ck_assert_int_eq(err, 0);
}

/* Everything due is delivered, but of every segment the first keep[sequence],
 * which are deferred for long. */
static void deliver_but(struct qmodel *m, const uint32_t *keep, uint32_t count)
{
	uint32_t kept[64] = { 0 };
	struct queue_task t;
	uint64_t s;
	uint32_t n;
	int rc;

	do {
		commit_apply(m);
		for (n = 0; (rc = queue_store_next(m->q, m->now_s, &t)) > 0;
		     n++) {
			s = sequence_of(m, t.place);
			ck_assert_uint_lt(s, 64);
			if (s < count && kept[s]++ < keep[s])
				put_outcome(m, &t, QUEUE_WAITING,
					    m->now_s + 50000);
			else
				put_outcome(m, &t, QUEUE_DELIVERED, 0);
		}
		ck_assert_int_eq(rc, 0);
	} while (n > 0);
}

/* Messages until some segments are full; gives the first one's sequence. */
static uint64_t fill_segments(struct qmodel *m, uint64_t segments)
{
	uint64_t first = sequence_of(m, put_one(m, "spring", BYTES)), id;

	do
		id = put_one(m, "spring", BYTES);
	while (sequence_of(m, id) < first + segments);
	return first;
}

static void begin(struct qmodel *m)
{
	struct queue_settings set = small;

	set.tasks_max = set.queue_tasks_max = 4000;
	*m = (struct qmodel){ .run_rows = 500, .step_rows = 100 };
	qmodel_open(m, &set, 1);
}

START_TEST(a_segment_under_10_percent_is_emptied_and_no_other)
{
	uint32_t keep[64] = { 0 };
	struct qmodel m;
	uint64_t first;

	begin(&m);
	first = fill_segments(&m, 3);
	keep[first] = 5;      /* of some 110 */
	keep[first + 1] = 30; /* over 10 %, under 50 % */
	keep[first + 2] = 80;
	deliver_but(&m, keep, 64);
	settle(&m);
	ck_assert(!is_there(&m, first));
	ck_assert(is_there(&m, first + 1) && is_there(&m, first + 2));
	ck_assert_uint_eq(counts_of(&m).moved, 5);
	ck_assert_uint_eq(counts_of(&m).compacted, 1);
	ck_assert_uint_eq(counts_of(&m).waiting, 115);
	/* With less than twice free_bytes_min on the disk. */
	m.q->set.free_bytes_min = UINT64_MAX / 2;
	settle(&m);
	ck_assert(!is_there(&m, first + 1) && is_there(&m, first + 2));
	ck_assert_uint_eq(counts_of(&m).moved, 35);
	ck_assert_uint_eq(counts_of(&m).waiting, 115);
	qmodel_check_index(&m);
	qmodel_close(&m);
}
END_TEST

START_TEST(the_last_segment_and_what_an_event_cursor_needs_stay)
{
	uint32_t keep[64] = { 0 };
	struct queue_cursor *cursor;
	struct qmodel m;
	uint64_t first;

	begin(&m);
	first = fill_segments(&m, 2);
	keep[first] = keep[first + 1] = keep[first + 2] = 1;
	ck_assert_int_eq(queue_cursor_open(m.q, 0, &cursor), 0);
	deliver_but(&m, keep, 64);
	settle(&m);
	ck_assert_uint_eq(counts_of(&m).moved, 0);
	queue_cursor_done(cursor, (first + 1) * m.set.segment_bytes);
	settle(&m);
	ck_assert_uint_eq(counts_of(&m).moved, 1);
	ck_assert(!is_there(&m, first) && is_there(&m, first + 1));
	queue_cursor_close(&cursor);
	settle(&m);
	ck_assert(!is_there(&m, first + 1) && is_there(&m, first + 2));
	qmodel_close(&m);
}
END_TEST

START_TEST(a_loaded_task_learns_its_place_and_sending_keeps_the_segment)
{
	uint32_t keep[64] = { 0 };
	struct queue_task t, now;
	struct queue_view view;
	struct qmodel m;
	uint64_t first;

	begin(&m);
	first = fill_segments(&m, 1);
	keep[first] = 1;
	deliver_but(&m, keep, 64);
	m.now_s += 60000;
	ck_assert_int_eq(queue_store_next(m.q, m.now_s, &t), 1);
	ck_assert_uint_eq(t.place, t.id);
	ck_assert_int_eq(queue_message_open_at(m.q, t.id, t.place, &view), 0);
	settle(&m);
	ck_assert_uint_eq(counts_of(&m).moved, 1);
	ck_assert(is_there(&m, first)); /* it is being sent */
	queue_message_close(m.q, &view);
	settle(&m);
	ck_assert(!is_there(&m, first));
	/* What the worker has is old, what the store has is not. */
	ck_assert_int_eq(queue_message_open_at(m.q, t.id, t.place, &view),
			 -ENOENT);
	ck_assert_int_eq(queue_store_loaded(m.q, t.id, t.first, &now), 1);
	ck_assert_uint_ne(now.place, t.place);
	ck_assert_uint_eq(now.place, queue_store_place(m.q, t.id));
	ck_assert_int_eq(queue_message_open_at(m.q, t.id, now.place, &view), 0);
	ck_assert_uint_eq(view.id, t.id);
	queue_message_close(m.q, &view);
	/* By another id the place is no place. */
	ck_assert_int_eq(queue_message_open_at(m.q, t.id + 8, now.place, &view),
			 -ENOENT);
	qmodel_reopen(&m);
	qmodel_work(&m, 1000);
	ck_assert_int_eq(queue_store_next(m.q, m.now_s, &t), 1);
	ck_assert_uint_eq(t.place, now.place);
	ck_assert_int_eq(queue_show(m.q, t.id, &now, 1, &(uint32_t){ 0 }), 0);
	ck_assert_uint_eq(now.place, t.place);
	qmodel_close(&m);
}
END_TEST

/* Another octet at an LSN: zero, or with a bit changed. */
static void spoil_octet(struct qmodel *m, uint64_t lsn, bool zero)
{
	struct segment *seg =
		segments_find(m->q->log->set, sequence_of(m, lsn));
	char path[256], c;
	int fd;

	snprintf(path, sizeof(path), "%s/log/seg-%08x", m->dir, seg->number);
	fd = open(path, O_RDWR);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pread(fd, &c, 1, (off_t)(lsn % m->set.segment_bytes)),
			 1);
	c = zero ? 0 : (char)(c ^ 1);
	ck_assert_int_eq(pwrite(fd, &c, 1, (off_t)(lsn % m->set.segment_bytes)),
			 1);
	close(fd);
}

static void flip(struct qmodel *m, uint64_t lsn)
{
	spoil_octet(m, lsn, false);
}

START_TEST(what_fails_its_check_stays_and_so_does_its_segment)
{
	uint32_t keep[64] = { 0 };
	struct queue_segment seg;
	struct queue_view view;
	struct qmodel m;
	uint64_t first, id, place;

	begin(&m);
	first = fill_segments(&m, 2);
	keep[first] = keep[first + 1] = 3;
	deliver_but(&m, keep, 64);
	id = segment_first(m.q->log->set, first);
	flip(&m, id + 600);
	settle(&m);
	ck_assert_int_eq(queue_segment_next(m.q, first, &seg), 1);
	ck_assert(seg.sequence == first && seg.damaged);
	ck_assert_uint_eq(queue_store_place(m.q, id), id);
	ck_assert_int_eq(queue_message_open(m.q, id, &view), -EUCLEAN);
	/* The other one is not held up by it. */
	ck_assert(!is_there(&m, first + 1));
	ck_assert_uint_eq(counts_of(&m).waiting, 6);
	/* A copy is checked like any other. */
	id = segment_first(m.q->log->set, first + 1);
	place = queue_store_place(m.q, id);
	ck_assert_uint_ne(place, id);
	ck_assert_int_eq(queue_message_open_at(m.q, id, place, &view), 0);
	queue_message_close(m.q, &view);
	flip(&m, place + 600);
	ck_assert_int_eq(queue_message_open_at(m.q, id, place, &view),
			 -EUCLEAN);
	qmodel_close(&m);
}
END_TEST

/* The log role alone: a move of what cannot be read is said to be none. */
START_TEST(a_move_that_fails_is_answered_in_the_log)
{
	struct queue_move move = { .type = QUEUE_REC_MSG };
	struct queue_record rec = { .lsn = 0 };
	struct queue_walk *w;
	struct qmodel m;
	unsigned notes = 0;

	begin(&m);
	move.id = move.from = put_one(&m, "spring", BYTES);
	flip(&m, move.id + 600);
	ck_assert_int_eq(queue_put_move(m.q, &move), 0);
	qmodel_commit(&m);
	ck_assert_int_eq(queue_walk_open(m.q, 0, &w), 0);
	while (queue_log_next(w, &rec) > 0) {
		if (rec.type != QUEUE_REC_MOVE)
			continue;
		notes++;
		ck_assert_uint_eq(rec.move.id, move.id);
		ck_assert_uint_eq(rec.move.why, EUCLEAN);
	}
	queue_walk_close(&w);
	ck_assert_uint_eq(notes, 1);
	qmodel_apply(&m); /* nobody asked for it in this life */
	ck_assert_uint_eq(counts_of(&m).moved, 0);
	qmodel_close(&m);
}
END_TEST

/* What a machine may leave of a copy that no checkpoint covers. */
static void spoil(struct qmodel *m, uint64_t lsn, uint32_t at, uint32_t length,
		  bool torn)
{
	uint32_t i;

	if (!torn) {
		flip(m, lsn + at);
		return;
	}
	for (i = at; i < length; i++)
		spoil_octet(m, lsn + i, true);
}

static void copy_dir(struct qmodel *m, bool back)
{
	char command[256];

	snprintf(command, sizeof(command),
		 back ? "rm -rf '%s' && cp -a '%s.copy' '%s'"
		      : "rm -rf '%s.copy' && cp -a '%s' '%s.copy'",
		 m->dir, m->dir, m->dir);
	ck_assert_int_eq(system(command), 0);
}

/* One copy, and behind it nothing, or a group that proves it was durable. */
START_TEST(a_spoiled_copy_leaves_the_message_where_it_lay)
{
	uint32_t keep[64] = { 0 }, length, at;
	struct queue_record rec;
	struct queue_view view;
	struct queue_walk *w;
	char command[128];
	struct qmodel m;
	uint64_t first, id, lsn;

	begin(&m);
	first = fill_segments(&m, 1);
	keep[first] = 1;
	deliver_but(&m, keep, 64);
	id = segment_first(m.q->log->set, first);
	ck_assert_int_eq(queue_store_checkpoint(m.q, m.now_s), 0);
	m.now_s += 61;
	qmodel_work(&m, 100000);
	lsn = queue_durable_lsn(m.q);
	qmodel_moves(&m, 1);
	qmodel_commit(&m);
	ck_assert_int_eq(queue_walk_open(m.q, lsn, &w), 0);
	ck_assert_int_eq(queue_log_next(w, &rec), 1);
	ck_assert(rec.type == QUEUE_REC_MOVE && rec.move.id == id);
	lsn = rec.lsn;
	length = (uint32_t)(rec.end - rec.lsn);
	queue_walk_close(&w);
	if (_i % 2 == 1)
		put_one(&m, "spring", BYTES);
	queue_close(&m.q);
	copy_dir(&m, false);
	for (at = 0; at < length; at += 97) {
		qmodel_start(&m); /* for the names of its files */
		spoil(&m, lsn, at, length, _i >= 2);
		queue_close(&m.q);
		/* (The first opening wrote nothing that matters here.) */
		qmodel_start(&m);
		ck_assert_int_eq(
			queue_message_open_at(
				m.q, id, queue_store_place(m.q, id), &view),
			0);
		ck_assert_uint_eq(view.id, id);
		queue_message_close(m.q, &view);
		ck_assert_uint_eq(counts_of(&m).waiting, _i % 2 == 1 ? 2 : 1);
		queue_close(&m.q);
		copy_dir(&m, true);
	}
	qmodel_start(&m);
	ck_assert_uint_eq(queue_store_place(m.q, id), lsn);
	snprintf(command, sizeof(command), "rm -rf '%s.copy'", m.dir);
	ck_assert_int_eq(system(command), 0);
	qmodel_close(&m);
}
END_TEST

#define LARGE (150u << 10) /* more than a segment: several records */

static uint64_t put_large(struct qmodel *m)
{
	static char text[LARGE];
	struct iovec iov = { text, LARGE / 3 };
	struct queue_rcpt rcpt = { .address = SPAN("x@a.example"),
				   .domain = SPAN("a.example") };
	struct queue_message msg = { .submission = { 8 },
				     .number = 1,
				     .tenant = SPAN("t"),
				     .campaign = SPAN("spring"),
				     .rcpts = &rcpt,
				     .rcpt_count = 1,
				     .arrived_s = m->now_s,
				     .due_s = m->now_s,
				     .expires_s = m->now_s + 1000000,
				     .content = &iov,
				     .content_count = 1,
				     .size = LARGE };
	uint64_t id;
	uint32_t i;

	for (i = 0; i < LARGE; i++)
		text[i] = (char)('a' + i / 7 % 26);
	ck_assert_int_eq(queue_put_message(m->q, &msg, &id), 0);
	qmodel_commit(m);
	id = queue_lsn_final(&m->done, id);
	for (i = 1; i < 3; i++) {
		iov.iov_base = text + i * (LARGE / 3);
		ck_assert_int_eq(
			queue_put_part(m->q, id, i * (LARGE / 3), &iov, 1), 0);
		qmodel_commit(m);
	}
	return id;
}

static void check_large(struct qmodel *m, uint64_t id)
{
	struct queue_view view;
	uint64_t at = 0, wrong = 0;
	size_t k;
	int i;

	ck_assert_int_eq(queue_message_open_at(
				 m->q, id, queue_store_place(m->q, id), &view),
			 0);
	for (i = 0; i < view.content_count; i++)
		for (k = 0; k < view.content[i].iov_len; k++, at++)
			wrong += ((const char *)view.content[i].iov_base)[k] !=
				 (char)('a' + at / 7 % 26);
	ck_assert_uint_eq(at, LARGE);
	ck_assert_uint_eq(wrong, 0);
	queue_message_close(m->q, &view);
}

/* Groups of a large move until it is staged whole, or `groups` were put. */
static bool move_large(struct qmodel *m, int groups)
{
	struct queue_move move;
	int err = -EAGAIN;

	ck_assert_int_eq(queue_store_move(m->q, m->now_s, &move), 1);
	while (groups-- > 0 && err == -EAGAIN) {
		err = queue_put_move(m->q, &move);
		commit_apply(m);
	}
	ck_assert(err == 0 || err == -EAGAIN);
	return err == 0;
}

START_TEST(a_large_message_has_moved_when_its_last_part_has)
{
	uint32_t keep[64] = { 0 };
	struct qmodel m;
	uint64_t first, id;
	int groups = 0;
	bool whole;

	begin(&m);
	m.live_percent = m.q->store->compact->percent = 90;
	id = put_large(&m);
	first = fill_segments(&m, 2);
	keep[sequence_of(&m, id)] = 1;
	deliver_but(&m, keep, 64);
	do { /* the process ends after one group, two, ... */
		ck_assert_int_eq(queue_store_checkpoint(m.q, m.now_s), 0);
		m.now_s += 5;
		qmodel_work(&m, 100000);
		whole = move_large(&m, ++groups);
		ck_assert(whole == (queue_store_place(m.q, id) != id));
		check_large(&m, id);
		qmodel_reopen(&m);
		ck_assert(whole == (queue_store_place(m.q, id) != id));
		check_large(&m, id);
	} while (!whole);
	ck_assert_int_eq(groups, 3); /* one a record */
	settle(&m);
	ck_assert(!is_there(&m, sequence_of(&m, id)) && !is_there(&m, first));
	check_large(&m, id);
	qmodel_check_index(&m);
	/* All segments that it reaches over stay. */
	m.q->store->compact->percent = 10;
	fill_segments(&m, 3);
	deliver_but(&m, keep, 0);
	settle(&m);
	check_large(&m, id);
	m.now_s += 60000;
	deliver_but(&m, keep, 0);
	settle(&m);
	ck_assert_uint_eq(counts_of(&m).waiting, 0);
	ck_assert_uint_le(used(&m), 1);
	qmodel_close(&m);
}
END_TEST

START_TEST(a_decision_in_force_is_moved_like_a_message)
{
	struct queue_decision dec;
	uint32_t keep[64] = { 0 };
	struct qmodel m;
	uint64_t first, lsn, place, is;
	int life;

	begin(&m);
	lsn = qmodel_decide(&m, QUEUE_VERB_PAUSE, "z.example", 0);
	first = fill_segments(&m, 1);
	ck_assert_uint_eq(sequence_of(&m, lsn), first);
	deliver_but(&m, keep, 64);
	settle(&m);
	ck_assert(!is_there(&m, first));
	place = queue_store_place(m.q, lsn);
	ck_assert_uint_gt(place, lsn);
	for (life = 0; life < 2; life++) {
		ck_assert_int_eq(queue_store_decision(m.q, 0, &is, &dec), 0);
		ck_assert_uint_eq(is, lsn); /* it covers what it covered */
		ck_assert(span_eq(dec.domain, SPAN("z.example")));
		ck_assert_uint_eq(queue_store_place(m.q, lsn), place);
		qmodel_check_index(&m);
		qmodel_reopen(&m);
	}
	qmodel_decide(&m, QUEUE_VERB_RESUME, "z.example", 0);
	settle(&m);
	ck_assert_int_eq(queue_store_decision(m.q, 0, &is, &dec), -ENOENT);
	ck_assert(!is_there(&m, sequence_of(&m, place)));
	qmodel_close(&m);
}
END_TEST

/* Nothing but time: who cancels need do nothing more. */
START_TEST(the_space_of_a_cancelled_campaign_comes_back)
{
	uint64_t before, i;
	struct qmodel m;

	begin(&m);
	for (i = 0; i < 2000; i++)
		put_one(&m, i % 20 == 0 ? "stays" : "goes", BYTES);
	commit_apply(&m);
	before = used(&m);
	ck_assert_uint_gt(before, 15);
	ck_assert_int_eq(queue_put_decision(m.q,
					    &(struct queue_decision){
						    .verb = QUEUE_VERB_CANCEL,
						    .made_s = m.now_s,
						    .campaign = SPAN("goes") },
					    &i),
			 0);
	for (i = 0; i < 120; i++) { /* seconds */
		struct queue_out out;
		enum queue_verb verb;

		commit_apply(&m);
		m.now_s++;
		qmodel_work(&m, 100000);
		while (queue_store_decided(m.q, m.now_s, &verb, &out) > 0)
			if (queue_put_out(m.q, &out) == -EAGAIN) {
				qmodel_commit(&m);
				ck_assert_int_eq(queue_put_out(m.q, &out), 0);
			}
		qmodel_moves(&m, 1000);
	}
	ck_assert_uint_eq(counts_of(&m).waiting, 100);
	ck_assert_uint_eq(counts_of(&m).moved, 100);
	/* 100 messages of 1,000 octets, their moves and 1,900 outcomes. */
	ck_assert_uint_le(used(&m), 5);
	qmodel_check_index(&m);
	qmodel_close(&m);
}
END_TEST

START_TEST(moves_leave_room_for_mail)
{
	uint32_t keep[64] = { 0 };
	struct queue_move move;
	struct qmodel m;
	uint64_t bytes;
	uint32_t i, n;

	begin(&m);
	m.q->store->compact->percent = 60;
	for (i = 0; i < 24; i++)
		keep[i] = 50;
	fill_segments(&m, 20);
	deliver_but(&m, keep, 64);
	ck_assert_int_eq(queue_store_checkpoint(m.q, m.now_s), 0);
	qmodel_work(&m, 100000);
	m.q->store->compact->credit = 100u << 10;
	/* So many on their way at once, and no more before they are seen. */
	for (n = 0; queue_store_move(m.q, m.now_s, &move) > 0; n++)
		while (queue_put_move(m.q, &move) == -EAGAIN)
			qmodel_commit(&m);
	ck_assert_uint_eq(n, COMPACT_GIVEN_MAX);
	commit_apply(&m);
	/* Then only what credit allows: this second there is little left. */
	qmodel_moves(&m, 1000);
	commit_apply(&m);
	bytes = counts_of(&m).moved_bytes;
	ck_assert_uint_lt(bytes, 125u << 10);
	qmodel_moves(&m, 1000);
	commit_apply(&m);
	ck_assert_uint_eq(counts_of(&m).moved_bytes, bytes);
	m.now_s++;
	qmodel_moves(&m, 1000);
	commit_apply(&m);
	ck_assert_uint_gt(counts_of(&m).moved_bytes, bytes);
	qmodel_close(&m);
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
	tcase_add_test(tc, a_segment_under_10_percent_is_emptied_and_no_other);
	tcase_add_test(tc,
		       the_last_segment_and_what_an_event_cursor_needs_stay);
	tcase_add_test(
		tc,
		a_loaded_task_learns_its_place_and_sending_keeps_the_segment);
	tcase_add_test(tc, what_fails_its_check_stays_and_so_does_its_segment);
	tcase_add_test(tc, a_move_that_fails_is_answered_in_the_log);
	tcase_add_test(tc, a_large_message_has_moved_when_its_last_part_has);
	tcase_add_test(tc, a_decision_in_force_is_moved_like_a_message);
	tcase_add_test(tc, the_space_of_a_cancelled_campaign_comes_back);
	tcase_add_test(tc, moves_leave_room_for_mail);
	tcase_add_loop_test(tc, a_spoiled_copy_leaves_the_message_where_it_lay,
			    0, 4);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
