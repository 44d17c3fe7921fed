/*
 * tests/unit/test_qrecover.c - what a crash and a bad disk leave of the log
 */
#include "base/hash.h"
#include "qrecover_rig.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool verify_is(int want)
{
	struct queue_verify_report r;

	return queue_verify(dir, &r) == want;
}

/* --- the files, from behind ----------------------------------------------- */

/* The file whose header has this sequence number. */
static int segment_fd(uint64_t sequence)
{
	char path[4096];
	unsigned i;

	for (i = 0; i < 100; i++) {
		uint64_t found = 0;
		int fd;

		(void)snprintf(path, sizeof(path), "%s/log/seg-%08x", dir, i);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		ck_assert_int_eq(pread(fd, &found, 8, 16), 8);
		if (found == sequence)
			return fd;
		close(fd);
	}
	ck_abort_msg("no segment %llu", (unsigned long long)sequence);
	return -1;
}

static void flip(uint64_t lsn, unsigned bit)
{
	int fd = segment_fd(lsn / SEG);
	unsigned char c;

	ck_assert_int_eq(pread(fd, &c, 1, (off_t)(lsn % SEG)), 1);
	c = (unsigned char)(c ^ 1u << bit);
	ck_assert_int_eq(pwrite(fd, &c, 1, (off_t)(lsn % SEG)), 1);
	close(fd);
}

/* --- tails ----------------------------------------------------------------- */

#define MESSAGES 6

/* Everything from cut on is lost, for every cut of the last group. */
START_TEST(a_torn_tail_ends_the_log)
{
	struct qhelp_message *m[MESSAGES];
	struct queue_committed done;
	uint64_t ids[MESSAGES + 1], cut, seq;
	char *whole = malloc(SEG), *torn = malloc(SEG);
	int i, fd;

	for (i = 0; i < 3; i++)
		ids[i] = add((uint64_t)i, 200);
	for (i = 3; i < MESSAGES; i++) {
		m[i] = qhelp_message((uint64_t)i, 90u * (unsigned)i);
		ck_assert_int_eq(queue_put_message(q, &m[i]->msg, &ids[i]), 0);
	}
	ck_assert_int_eq(queue_commit(q, &done), 0);
	ids[MESSAGES] = done.durable;
	seq = ids[0] / SEG;
	fd = segment_fd(seq);
	ck_assert_int_eq(pread(fd, whole, SEG, 0), SEG);
	for (cut = ids[3]; cut <= done.durable; cut++) {
		queue_close(&q);
		memcpy(torn, whole, SEG);
		/* what was there before: zeros, or something else */
		memset(torn + cut % SEG, cut % 2 ? 0 : 0xd1, SEG - cut % SEG);
		ck_assert_int_eq(pwrite(fd, torn, SEG, 0), SEG);
		open_queue();
		ck_assert_uint_eq(report.damaged, 0);
		for (i = 0; i < MESSAGES; i++) {
			/* up to seven octets of padding may go */
			bool there = cut + 7 >= ids[i + 1] &&
				     report.messages > (unsigned)i;

			if (cut >= ids[i + 1])
				ck_assert(there);
			ck_assert_int_eq(qhelp_check(q, ids[i], (uint64_t)i),
					 there ? 0 : -ENOENT);
		}
		if (cut % 64 == 0)
			ck_assert(verify_is(0));
	}
	close(fd);
	for (i = 3; i < MESSAGES; i++)
		free(m[i]);
	free(whole);
	free(torn);
}
END_TEST

START_TEST(new_mail_over_a_torn_tail_brings_nothing_back)
{
	struct qhelp_message *m = qhelp_message(1, 1000);
	struct queue_committed done;
	uint64_t kept = add(0, 1000), lost[3], id, i;

	for (i = 0; i < 3; i++)
		ck_assert_int_eq(queue_put_message(q, &m->msg, &lost[i]), 0);
	/* written, but neither sync comes: not acknowledged */
	qfile_fail(disk, QFILE_SYNC, 1, 0, -EIO);
	qfile_fail(disk, QFILE_OPEN, 1, 1, -EIO);
	ck_assert_int_eq(queue_commit(q, &done), -EIO);
	queue_close(&q);
	flip(lost[0] + 40, 3); /* the first of the three tears */
	open_queue();
	ck_assert_uint_gt(report.torn_bytes, 0);
	ck_assert_uint_eq(report.damaged, 0);
	ck_assert_uint_eq(report.messages, 1);
	id = add(1, 1000); /* as large as the one that tore */
	for (i = 0; i < 2; i++) {
		reopen(QFILE_LOSE_NONE, 0);
		ck_assert_uint_eq(report.messages, 2);
		ck_assert_uint_eq(report.damaged, 0);
		ck_assert_int_eq(qhelp_check(q, kept, 0), 0);
		ck_assert_int_eq(qhelp_check(q, id, 1), 0);
		ck_assert_int_eq(qhelp_check(q, lost[1], 1), -ENOENT);
	}
	free(m);
}
END_TEST

START_TEST(old_records_behind_the_tail_stay_dead)
{
	struct queue_segment seg;
	uint64_t n, all, ready;

	for (n = 0; n < 400; n++) { /* several times round the files */
		add(n, 1000);
		ck_assert_int_eq(queue_segment_next(q, 0, &seg), 1);
		if (!seg.active)
			ck_assert_int_eq(queue_segment_free(q, seg.sequence),
					 0);
		if (n % 50 != 49)
			continue;
		ck_assert_int_eq(
			queue_segment_next(q, queue_durable_lsn(q) / SEG, &seg),
			1);
		qdouble_checkpoint_lsn = seg.first;
		reopen(QFILE_LOSE_RANDOM, n);
		ck_assert_uint_eq(report.torn_bytes, 0);
		ck_assert_uint_eq(report.damaged, 0);
		ck_assert_uint_le(report.messages, n + 1);
		/* at most what fits into one segment since its first */
		ck_assert_uint_le(report.messages, SEG / 1000);
	}
	queue_segment_counts(q, &all, &ready);
	ck_assert_uint_lt(all, 14);
	ck_assert(verify_is(0));
}
END_TEST

/* --- damage ---------------------------------------------------------------- */

/*
 * What cannot be read now is neither a torn tail nor damage: it may be readable
 * later, and a checkpoint would forget it.  Each call fails once, in a log that
 * is whole and in one whose second record is damaged.
 */
START_TEST(what_cannot_be_read_now_stops_the_opening)
{
	static const int errors[] = { -EIO, -EMFILE, -ENFILE, -ENOMEM };
	enum qfile_op op = _i / 4 % 2 == 0 ? QFILE_POPULATE : QFILE_OPEN;
	struct queue_settings set = { .dir = dir,
				      .file = qfile_ops(disk),
				      .segment_bytes = SEG };
	bool damage = _i / 8 == 1;
	uint64_t ids[3], i, before;
	int nth, rc, stopped = 0;

	for (i = 0; i < 3; i++)
		ids[i] = add(i, 3000);
	queue_close(&q);
	if (damage)
		flip(ids[1] + 40, 1);
	for (nth = 1;; nth++) {
		before = qfile_calls(disk, op);
		qfile_fail(disk, op, nth, 0, errors[_i % 4]);
		rc = queue_open(&set, 1, &q, &report);
		before = qfile_calls(disk, op) - before;
		qfile_fail(disk, op, 0, 0, 0);
		if (rc == 0) {
			ck_assert_uint_eq(report.messages, damage ? 2 : 3);
			ck_assert_uint_eq(report.damaged, damage);
			queue_close(&q);
		}
		if (before < (uint64_t)nth)
			break;
		ck_assert(rc == 0 || rc == errors[_i % 4]);
		stopped += rc < 0;
		if (rc < 0 && op == QFILE_POPULATE)
			ck_assert_ptr_nonnull(strstr(report.words, "log/seg-"));
	}
	ck_assert_int_ge(stopped, op == QFILE_POPULATE ? 6 : 2);
	open_queue();
	for (i = 0; i < 3; i++)
		if (!damage || i != 1)
			ck_assert_int_eq(qhelp_check(q, ids[i], i), 0);
}
END_TEST

START_TEST(damage_met_while_following_is_stepped_over)
{
	struct queue_record rec;
	struct queue_walk *w;
	uint64_t ids[4], i;

	for (i = 0; i < 4; i++)
		ids[i] = add(i, 1000);
	flip(ids[1] + 40, 1);
	flip(ids[3] + 40, 1); /* the last there is */
	ck_assert_int_eq(queue_walk_open(q, 0, &w), 0);
	ck_assert_int_eq(queue_log_next(w, &rec), 1);
	ck_assert_uint_eq(rec.lsn, ids[0]);
	ck_assert_int_eq(queue_log_next(w, &rec), 1);
	ck_assert_uint_eq(rec.lsn, ids[2]);
	ck_assert_uint_eq(queue_walk_skipped(w), ids[2] - ids[1]);
	ck_assert_int_eq(queue_log_next(w, &rec), 0);
	ck_assert_uint_eq(queue_walk_skipped(w),
			  ids[2] - ids[1] + queue_durable_lsn(q) - ids[3]);
	ids[0] = add(9, 100);
	ck_assert_int_eq(queue_log_next(w, &rec), 1);
	ck_assert_uint_eq(rec.lsn, ids[0]);
	queue_walk_close(&w);
}
END_TEST

static const struct {
	const char *what;
	uint64_t at; /* from the record's LSN */
	bool content;
} flips[] = {
	{ "magic", 0, false },        { "type", 2, false },
	{ "group", 5, false },        { "lsn", 9, false },
	{ "length", 16, false },      { "envelope length", 20, false },
	{ "content crc", 24, false }, { "crc", 28, false },
	{ "submission", 33, false },  { "recipient", 32 + 60, false },
	{ "content", 1000, true },
};

START_TEST(damage_is_named_and_costs_one_message)
{
	uint64_t ids[5];
	struct queue_segment seg;
	unsigned i;

	for (i = 0; i < 5; i++)
		ids[i] = add(i, 3000);
	queue_close(&q);
	flip(ids[2] + flips[_i].at, 1);
	open_queue();
	ck_assert_msg(report.damaged == 1, "%s: %s", flips[_i].what,
		      report.words);
	ck_assert_ptr_nonnull(strstr(report.words, "log/seg-"));
	ck_assert_uint_eq(report.torn_bytes, 0);
	/* wrong content is still a message: it will be held, not lost */
	ck_assert_uint_eq(report.messages, flips[_i].content ? 5 : 4);
	for (i = 0; i < 5; i++)
		ck_assert_int_eq(qhelp_check(q, ids[i], i),
				 i == 2 ? -EUCLEAN : 0);
	ck_assert(verify_is(-EUCLEAN));
	while (queue_durable_lsn(q) / SEG == ids[0] / SEG)
		add(9, 30000);
	ck_assert_int_eq(queue_segment_next(q, 0, &seg), 1);
	ck_assert(seg.damaged);
	ck_assert_int_eq(queue_segment_free(q, seg.sequence), -EUCLEAN);
}
END_TEST

START_TEST(one_copy_of_a_header_is_enough)
{
	uint64_t id = add(1, 100), sequence = id / SEG;

	queue_close(&q);
	flip(sequence * SEG + (_i == 0 ? 40 : 2048 + 40), 2);
	open_queue();
	ck_assert_uint_eq(report.damaged, 0);
	ck_assert_int_eq(qhelp_check(q, id, 1), 0);
}
END_TEST

START_TEST(a_segment_without_its_header_is_kept)
{
	uint64_t id = add(1, 60000), later, n;
	int fd = segment_fd(id / SEG);
	char before[1000], after[1000];

	for (n = 0; n < 3; n++)
		later = add(n, 60000);
	queue_close(&q);
	flip(id / SEG * SEG + 2048 + 40, 2);
	flip(id / SEG * SEG + 40, 2);
	ck_assert_int_eq(pread(fd, before, 1000, FIRST), 1000);
	open_queue();
	ck_assert_uint_ge(report.damaged, 1);
	ck_assert_ptr_nonnull(strstr(report.words, "header"));
	ck_assert_int_eq(qhelp_check(q, later, 2), 0);
	for (n = 0; n < 20; n++)
		add(n, 60000);
	ck_assert_int_eq(pread(fd, after, 1000, FIRST), 1000);
	ck_assert_mem_eq(before, after, 1000);
	close(fd);
}
END_TEST

static void unlink_segment(uint64_t gone)
{
	char path[4096];
	unsigned n;

	for (n = 0; n < 100; n++) {
		uint64_t sequence = 0;
		int fd;

		(void)snprintf(path, sizeof(path), "%s/log/seg-%08x", dir, n);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		ck_assert_int_eq(pread(fd, &sequence, 8, 16), 8);
		close(fd);
		if (sequence == gone)
			unlink(path);
	}
}

START_TEST(a_missing_segment_is_named)
{
	uint64_t ids[8], n;

	for (n = 0; n < 8; n++)
		ids[n] = add(n, 60000);
	queue_close(&q);
	unlink_segment(ids[2] / SEG);
	open_queue();
	ck_assert_uint_eq(report.damaged, 1);
	ck_assert_ptr_nonnull(strstr(report.words, "missing"));
	ck_assert_int_eq(qhelp_check(q, ids[0], 0), 0);
	ck_assert_int_eq(qhelp_check(q, ids[2], 2), -ENOENT);
	ck_assert_int_eq(qhelp_check(q, ids[7], 7), 0);
}
END_TEST

/* A checkpoint to the very end of a segment covers it whole: freed, it may be
 * written over before the next checkpoint names a later one. */
START_TEST(a_segment_whose_end_is_the_checkpoint_may_be_gone)
{
	uint64_t ids[8], ends[8], n;

	for (n = 0; n < 8; n++) {
		ids[n] = add(n, 60000);
		ends[n] = queue_durable_lsn(q);
	}
	ck_assert_uint_eq(ids[3] / SEG + 1, ids[4] / SEG);
	queue_close(&q);
	unlink_segment(ids[3] / SEG);
	qdouble_checkpoint_lsn = ends[3];
	open_queue();
	ck_assert_msg(report.damaged == 0, "%s", report.words);
	ck_assert_int_eq(qhelp_check(q, ids[4], 4), 0);
	queue_close(&q);
	qdouble_checkpoint_lsn = ends[3] - 8; /* of the last record */
	open_queue();
	ck_assert_uint_eq(report.damaged, 1);
}
END_TEST

START_TEST(a_log_behind_its_checkpoint_is_named)
{
	uint64_t id = add(1, 100), later;

	qdouble_checkpoint_lsn = queue_durable_lsn(q) + 5 * SEG;
	reopen(QFILE_LOSE_NONE, 0);
	ck_assert_uint_eq(report.damaged, 1);
	later = add(2, 100);
	ck_assert_uint_gt(later, qdouble_checkpoint_lsn);
	ck_assert_int_eq(qhelp_check(q, id, 1), 0);
}
END_TEST

/* Power is lost when a segment has its header and no record: who walks there
 * stands at the end of the log, not behind it (a checkpoint would name it). */
START_TEST(an_empty_last_segment_is_not_full)
{
	struct qhelp_message *m = qhelp_message(2, 100);
	struct queue_committed done;
	struct queue_record rec;
	struct queue_walk *w;
	uint64_t id = add(1, 100), lost;

	reopen(QFILE_LOSE_NONE, 0); /* the next group begins a segment */
	ck_assert_int_eq(queue_put_message(q, &m->msg, &lost), 0);
	qfile_stop(disk, QFILE_PWRITEV, 1);
	ck_assert_int_lt(queue_commit(q, &done), 0);
	qdouble_checkpoint_lsn = lost / SEG * SEG;
	reopen(QFILE_LOSE_ALL, 0);
	ck_assert_uint_eq(report.damaged, 0);
	ck_assert_uint_eq(queue_durable_lsn(q) / SEG, lost / SEG);
	ck_assert_int_eq(queue_walk_open(q, qdouble_checkpoint_lsn, &w), 0);
	ck_assert_int_eq(queue_log_next(w, &rec), 0);
	ck_assert_uint_le(queue_walk_lsn(w), queue_durable_lsn(q));
	queue_walk_close(&w);
	ck_assert_int_eq(qhelp_check(q, id, 1), 0);
	free(m);
}
END_TEST

START_TEST(segments_wait_for_the_remembered_cursor)
{
	struct queue_segment seg;
	struct queue_cursor *c;

	while (queue_durable_lsn(q) / SEG < 3)
		add(1, 30000);
	ck_assert_int_eq(queue_segment_next(q, 0, &seg), 1);
	qdouble_cursor_lsn = seg.first;
	reopen(QFILE_LOSE_ALL, 0);
	ck_assert_uint_eq(queue_cursor_lowest(q), seg.first);
	ck_assert_int_eq(queue_segment_free(q, seg.sequence), -EBUSY);
	ck_assert_int_eq(queue_cursor_open(q, seg.end, &c), 0);
	ck_assert_int_eq(queue_segment_free(q, seg.sequence), 0);
	queue_cursor_close(&c);
}
END_TEST

/* --- a model: many lives with crashes of all kinds ------------------------- */

struct known {
	uint64_t id, n;
	bool acked; /* or found by a recovery: it must stay */
};

struct model {
	struct known list[20000];
	unsigned count;
	uint64_t seed, n;
};

static uint64_t roll(struct model *m, uint64_t below)
{
	m->seed = hash_u64(m->seed + 0x9e3779b97f4a7c15ull);
	return m->seed % below;
}

/* One group; sometimes the disk fails once, sometimes for good. */
static bool group(struct model *m)
{
	static const size_t sizes[] = { 100, 100, 600, 1500, 9000 };
	struct qhelp_message *msg[5];
	struct queue_committed done;
	unsigned count = 1 + (unsigned)roll(m, 5), i, from = m->count;
	int err = 0;

	for (i = 0; i < count; i++) {
		uint64_t id;

		msg[i] = qhelp_message(m->n, sizes[roll(m, 5)]);
		err = queue_put_message(q, &msg[i]->msg, &id);
		if (err < 0) {
			free(msg[i]);
			break;
		}
		m->list[m->count++] = (struct known){ id, m->n++, false };
	}
	count = i;
	ck_assert(err == 0 || (err == -EAGAIN && count > 0));
	if (roll(m, 8) == 0)
		qfile_fail(disk, roll(m, 2) ? QFILE_SYNC : QFILE_PWRITEV, 1,
			   roll(m, 2) ? 99 : 0, -EIO);
	if (roll(m, 8) == 0) /* and there is no other segment to turn to */
		qfile_fail(disk, QFILE_OPEN, 1, 99, -EIO);
	err = queue_commit(q, &done);
	qfile_fail(disk, QFILE_OPEN, 0, 0, 0);
	qfile_fail(disk, QFILE_SYNC, 0, 0, 0);
	qfile_fail(disk, QFILE_PWRITEV, 0, 0, 0);
	for (i = 0; i < count; i++)
		free(msg[i]);
	for (i = from; i < m->count && err == 0; i++) {
		m->list[i].id = queue_lsn_final(&done, m->list[i].id);
		m->list[i].acked = true;
	}
	return err == 0;
}

/* Free the oldest segments, as a store would, and forget what they held. */
static void free_old(struct model *m)
{
	struct queue_segment seg;
	unsigned i, k;

	while (queue_segment_next(q, 0, &seg) && !seg.active &&
	       seg.sequence + 4 < queue_durable_lsn(q) / SEG) {
		ck_assert_int_eq(queue_segment_free(q, seg.sequence), 0);
		qdouble_checkpoint_lsn = (seg.sequence + 1) * SEG;
		for (i = k = 0; i < m->count; i++) {
			if (m->list[i].id >= qdouble_checkpoint_lsn)
				m->list[k++] = m->list[i];
		}
		m->count = k;
	}
}

/*
 * All that was acknowledged is there, in order; what is there beyond that was
 * in the last group, and from now on it must stay.
 */
static void compare(struct model *m)
{
	struct queue_record rec;
	struct queue_walk *w;
	unsigned i = 0, k = 0;

	ck_assert_int_eq(queue_walk_open(q, qdouble_checkpoint_lsn, &w), 0);
	while (queue_log_next(w, &rec) == 1) {
		while (i < m->count && m->list[i].n != rec.submission_number) {
			ck_assert_msg(!m->list[i].acked, "%llu was lost",
				      (unsigned long long)m->list[i].n);
			i++;
		}
		ck_assert_msg(i < m->count, "%llu came back from the dead",
			      (unsigned long long)rec.submission_number);
		if (m->list[i].acked)
			ck_assert_uint_eq(m->list[i].id, rec.lsn);
		ck_assert_int_eq(qhelp_check(q, rec.lsn, m->list[i].n), 0);
		m->list[k++] = (struct known){ rec.lsn, m->list[i++].n, true };
	}
	for (; i < m->count; i++)
		ck_assert(!m->list[i].acked);
	m->count = k;
	queue_walk_close(&w);
}

START_TEST(many_lives)
{
	static struct model m;
	int life, turn;

	memset(&m, 0, sizeof(m));
	m.seed = (uint64_t)_i * 7919;
	for (life = 0; life < 25; life++) {
		int turns = (int)roll(&m, 40);

		for (turn = 0; turn < turns && group(&m); turn++) {
			free_old(&m);
			if (roll(&m, 3) == 0)
				ck_assert_int_ge(queue_log_prepare(q), 0);
		}
		reopen((enum qfile_loss)roll(&m, 3), m.seed);
		ck_assert_msg(report.damaged == 0, "%s", report.words);
		compare(&m);
	}
	ck_assert_uint_gt(m.n, 300);
	ck_assert_uint_gt(m.count, 0);
	ck_assert(verify_is(0));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("qrecover");
	TCase *t = tcase_create("recover");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 240);
	tcase_add_test(t, a_torn_tail_ends_the_log);
	tcase_add_test(t, new_mail_over_a_torn_tail_brings_nothing_back);
	tcase_add_test(t, old_records_behind_the_tail_stay_dead);
	tcase_add_loop_test(t, damage_is_named_and_costs_one_message, 0,
			    sizeof(flips) / sizeof(flips[0]));
	tcase_add_loop_test(t, one_copy_of_a_header_is_enough, 0, 2);
	tcase_add_test(t, a_segment_without_its_header_is_kept);
	tcase_add_loop_test(t, what_cannot_be_read_now_stops_the_opening, 0,
			    16);
	tcase_add_test(t, damage_met_while_following_is_stepped_over);
	tcase_add_test(t, a_missing_segment_is_named);
	tcase_add_test(t, a_segment_whose_end_is_the_checkpoint_may_be_gone);
	tcase_add_test(t, a_log_behind_its_checkpoint_is_named);
	tcase_add_test(t, an_empty_last_segment_is_not_full);
	tcase_add_test(t, segments_wait_for_the_remembered_cursor);
	tcase_add_loop_test(t, many_lives, 0, 20);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
