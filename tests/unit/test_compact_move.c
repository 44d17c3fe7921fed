/*
 * tests/unit/test_compact_move.c - what becomes of a message that is copied
 */
#include "compact_rig.h"

#include <stdlib.h>

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

/* Of a message whose content is damaged one can still tell whose it is. */
static void check_envelope(struct qmodel *m, uint64_t id, uint64_t place)
{
	struct queue_view view;
	struct queue_rcpt rcpt;

	ck_assert_int_eq(queue_envelope_open_at(m->q, id, place, &view), 0);
	ck_assert_uint_eq(view.id, id);
	ck_assert_int_eq(view.content_count, 0);
	queue_view_rcpt(&view, 0, &rcpt);
	ck_assert(span_eq(rcpt.address, SPAN("x@a.example")));
	queue_message_close(m->q, &view);
	ck_assert_int_eq(queue_envelope_open_at(m->q, id + 8, place, &view),
			 -ENOENT);
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
	check_envelope(&m, id, id);
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
	check_envelope(&m, id, place);
	flip(&m, place + 60);
	ck_assert_int_eq(queue_envelope_open_at(m.q, id, place, &view),
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
	struct queue_message msg = message_of(m, "spring", &iov, LARGE);
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

/* Records of the log from `lsn` on, until the nth of a type. */
static bool find_record(struct qmodel *m, uint64_t lsn, uint8_t type,
			unsigned nth, struct queue_record *rec_r)
{
	struct queue_walk *w;
	bool found = false;

	ck_assert_int_eq(queue_walk_open(m->q, lsn, &w), 0);
	while (!found && queue_log_next(w, rec_r) > 0)
		found = rec_r->type == type && nth-- == 1;
	queue_walk_close(&w);
	return found;
}

/* What was whole when it was opened is spoiled while its records are copied:
 * a bad octet does not get a good CRC by being written once more. */
START_TEST(what_is_spoiled_while_it_is_copied_stays_where_it_was)
{
	uint32_t keep[64] = { 0 };
	struct queue_record rec;
	struct queue_move move;
	struct qmodel m;
	uint64_t id, part, lsn;

	begin(&m);
	m.live_percent = m.q->store->compact->percent = 90;
	id = put_large(&m);
	ck_assert(find_record(&m, id, QUEUE_REC_PART, 1 + (unsigned)_i, &rec));
	part = rec.lsn;
	fill_segments(&m, 2);
	keep[sequence_of(&m, id)] = 1;
	deliver_but(&m, keep, 64);
	ck_assert_int_eq(queue_store_checkpoint(m.q, m.now_s), 0);
	m.now_s += 5;
	qmodel_work(&m, 100000);
	lsn = queue_durable_lsn(m.q);
	ck_assert_int_eq(queue_store_move(m.q, m.now_s, &move), 1);
	ck_assert_int_eq(queue_put_move(m.q, &move), -EAGAIN);
	commit_apply(&m);
	flip(&m, part + 1000);
	while (queue_put_move(m.q, &move) == -EAGAIN)
		commit_apply(&m);
	commit_apply(&m);
	flip(&m, part + 1000);
	/* The copy was begun, and given up. */
	ck_assert(find_record(&m, lsn, QUEUE_REC_MOVE, 1, &rec));
	ck_assert(rec.move.id == id && rec.move.why == 0);
	ck_assert_uint_eq(queue_store_place(m.q, id), id);
	check_large(&m, id);
	qmodel_close(&m);
}
END_TEST

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

int main(void)
{
	Suite *s = suite_create("compact_move");
	TCase *tc = tcase_create("copies");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 250);
	tcase_add_test(
		tc,
		a_loaded_task_learns_its_place_and_sending_keeps_the_segment);
	tcase_add_test(tc, what_fails_its_check_stays_and_so_does_its_segment);
	tcase_add_test(tc, a_move_that_fails_is_answered_in_the_log);
	tcase_add_loop_test(tc, a_spoiled_copy_leaves_the_message_where_it_lay,
			    0, 4);
	tcase_add_test(tc, a_large_message_has_moved_when_its_last_part_has);
	tcase_add_loop_test(
		tc, what_is_spoiled_while_it_is_copied_stays_where_it_was, 0,
		2);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
