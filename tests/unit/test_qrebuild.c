/*
 * tests/unit/test_qrebuild.c - an index that is lost is made anew
 *
 * A random life of a spool beside the model, then zeros over the index.  What
 * the model says is open must be held, whatever was written over; what is held
 * beyond that must stay within the bound that was told; released, all of it can
 * be delivered.  And the making dies or fails at each call for a file.
 */
#include "qmodel.h"

#include "queue/file.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct queue_settings small = {
	.segment_bytes = QUEUE_SEGMENT_MIN,
	.segments_ahead = 1,
	.free_bytes_min = 1 << 20,
	.index_bytes_max = 256u << 20,
	.tasks_max = 60,
	.queue_tasks_max = 9,
	.checkpoint_s = 3,
	.checkpoint_age_s = 1,
	.checkpoint_deltas = 50, /* many checkpoints while it is made */
};
static struct queue_rebuild_report report;

/* The first messages stay open for ever. */
static void answer(struct qmodel *m, uint32_t i, bool final)
{
	if (m->loaded[i].message < 20)
		qmodel_return(m, i);
	else
		qmodel_answer(m, i, final);
}

static void step(struct qmodel *m)
{
	uint32_t dice = qmodel_random(m, 100);

	qmodel_commit(m); /* a group must fit what is left of a segment */
	qmodel_apply(m);
	if (dice < 14)
		qmodel_message(m);
	else if (dice < 17)
		qmodel_part(m);
	else if (dice < 35)
		qmodel_next(m);
	else if (dice < 62 && m->loaded_count > 0)
		answer(m, qmodel_random(m, m->loaded_count), dice % 2 == 0);
	else if (dice < 76)
		qmodel_work(m, 4);
	else if (dice < 80)
		qmodel_moves(m, 3);
	else if (dice < 84)
		m->now_s += qmodel_random(m, 4);
	else if (dice == 84 && qmodel_random(m, 100) == 0)
		qmodel_crash(m);
	else if (dice == 85 && m->message_count > 0)
		qmodel_decide(
			m, QUEUE_VERB_HOLD + qmodel_random(m, 4), "",
			m->messages[qmodel_random(m, m->message_count)].id);
	else
		qmodel_decided(m);
}

/* All but the first few messages come to their end, and their segments are
 * written over: a gap, with older mail before it. */
static void sweep(struct qmodel *m)
{
	uint32_t i, rounds;

	for (i = 0; i < m->message_count; i++)
		while (m->messages[i].coming) {
			qmodel_part(m);
			qmodel_commit(m);
		}
	qmodel_decide(m, QUEUE_VERB_RELEASE, "", 0);
	for (rounds = 0; rounds < 60; rounds++) {
		qmodel_commit(m);
		qmodel_apply(m);
		qmodel_work(m, 100000);
		while (qmodel_decided(m))
			;
		qmodel_commit(m);
		qmodel_apply(m);
		m->now_s += 20;
		while (qmodel_next(m))
			;
		while (m->loaded_count > 0) {
			answer(m, 0, true);
			qmodel_commit(m);
		}
	}
	qmodel_apply(m);
	ck_assert_int_eq(queue_store_checkpoint(m->q, m->now_s), 0);
	m->now_s += 5;
	qmodel_work(m, 100000);
	for (rounds = 0; rounds < 20; rounds++) { /* what lives is moved */
		qmodel_moves(m, 100);
		qmodel_commit(m);
		qmodel_apply(m);
	}
	ck_assert_int_eq(queue_store_checkpoint(m->q, m->now_s), 0);
	m->now_s += 5;
	qmodel_work(m, 100000);
}

static void live(struct qmodel *m, uint64_t seed, int steps)
{
	int i;

	m->live_percent = (uint32_t)(seed % 3) * 35; /* 0: the usual */
	qmodel_open(m, &small, seed);
	for (i = 0; i < steps; i++) {
		step(m);
		if (i % 2000 == 1999)
			sweep(m);
	}
	qmodel_crash(m);
}

static void write_zeros(const struct qmodel *m)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/index", m->dir);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(truncate(path, 0), 0);
	ck_assert_int_eq(truncate(path, st.st_size), 0);
}

enum loss {
	ZEROS,
	EMPTIED,
	DELETED
};

static void lose_index(const struct qmodel *m, enum loss loss)
{
	char path[128];

	if (loss == ZEROS) {
		write_zeros(m);
		return;
	}
	snprintf(path, sizeof(path), "%s/index", m->dir);
	if (loss == EMPTIED)
		ck_assert_int_eq(truncate(path, 0), 0);
	else
		ck_assert_int_eq(unlink(path), 0);
}

static int open_spool(struct qmodel *m)
{
	struct queue_report opened;

	return queue_open(&m->set, m->now_s, &m->q, &opened);
}

static int make(const struct qmodel *m, const struct queue_settings *set,
		bool dry)
{
	struct queue_rebuild *rebuild = NULL;
	int rc = queue_rebuild_begin(set, m->now_s, false, &rebuild, &report);

	if (rc < 0) {
		ck_assert_ptr_null(rebuild);
		return rc;
	}
	do
		rc = queue_rebuild_step(rebuild, &report);
	while (rc > 0);
	if (rc == 0 && !dry)
		rc = queue_rebuild_finish(&rebuild, &report);
	if (rebuild != NULL)
		queue_rebuild_drop(&rebuild);
	return rc;
}

/* Everything listed is held; the model learns it.  Gives what was not open. */
static uint64_t take_task(struct qmodel *m, const struct queue_task *t)
{
	uint64_t extra = 0;
	uint32_t i, at = 0;

	ck_assert_uint_eq(t->slot, QUEUE_SLOT_HELD);
	while (at < m->message_count && m->messages[at].id != t->id)
		at++;
	ck_assert_uint_lt(at, m->message_count);
	for (i = 0; i < t->span; i++) {
		struct qmodel_rcpt *r = &m->messages[at].rcpts[t->first + i];

		if (!((t->open[0] >> i) & 1))
			continue;
		ck_assert_uint_lt(t->first + i, m->messages[at].rcpt_count);
		ck_assert_msg(!r->loaded, "a recipient stands there twice");
		r->loaded = true; /* seen */
		extra += !r->open;
		if (r->open && report.gaps == 0) {
			ck_assert_uint_eq(r->attempts, t->attempts);
			ck_assert_uint_eq(r->unsure, t->unsure);
		}
		r->slot = t->slot;
		r->attempts = t->attempts;
		r->unsure = t->unsure;
	}
	return extra;
}

static uint64_t take_list(struct qmodel *m)
{
	static struct queue_task tasks[50];
	struct queue_list_cursor at = { .stage = 0 };
	struct queue_filter any = { .domain = SPAN("") };
	uint64_t extra = 0;
	uint32_t i, j, count;
	int rc = 1;

	while (rc > 0) {
		rc = queue_list(m->q, &any, &at, tasks, 50, &count);
		ck_assert_int_ge(rc, 0);
		for (i = 0; i < count; i++)
			extra += take_task(m, &tasks[i]);
	}
	for (i = 0; i < m->message_count; i++)
		for (j = 0; j < m->messages[i].rcpt_count; j++) {
			struct qmodel_rcpt *r = &m->messages[i].rcpts[j];

			ck_assert_msg(!r->open || r->loaded, "lost");
			r->open = r->loaded;
			r->loaded = false;
		}
	return extra;
}

/* Released, all of it goes its way. */
static void deliver_all(struct qmodel *m)
{
	uint32_t rounds;

	qmodel_decide(m, QUEUE_VERB_RELEASE, "", 0);
	for (rounds = 0; qmodel_open_rcpts(m) > 0; rounds++) {
		ck_assert_uint_lt(rounds, 10000);
		qmodel_commit(m);
		qmodel_apply(m);
		qmodel_work(m, 100000);
		while (qmodel_decided(m))
			;
		qmodel_commit(m);
		qmodel_apply(m);
		m->now_s += 20;
		while (qmodel_next(m))
			;
		while (m->loaded_count > 0)
			qmodel_answer(m, 0, true);
	}
	qmodel_check(m);
}

static uint64_t lose_and_make(uint64_t seed, uint64_t *gaps, uint64_t *moves)
{
	struct qmodel m = { .run_rows = 0 };
	uint64_t open, extra;

	live(&m, seed, seed % 3 == 0 ? 11000 : 3000);
	open = qmodel_open_rcpts(&m);
	queue_close(&m.q);
	write_zeros(&m);
	ck_assert_int_eq(open_spool(&m), -EUCLEAN);
	ck_assert_int_eq(make(&m, &m.set, true), 0);
	ck_assert_int_eq(open_spool(&m), -EUCLEAN);
	ck_assert_int_eq(make(&m, &m.set, false), 0);
	ck_assert_str_eq(report.kept, "index.unreadable-1");
	ck_assert_uint_ge(report.held, open);
	ck_assert_int_eq(open_spool(&m), 0);
	extra = take_list(&m);
	ck_assert_uint_eq(report.held, open + extra);
	ck_assert_uint_le(extra, report.second_max);
	*gaps += report.gaps;
	*moves += report.moves;
	qmodel_check(&m);
	qmodel_crash(&m); /* and it lasts */
	qmodel_check(&m);
	deliver_all(&m);
	qmodel_close(&m);
	return extra;
}

START_TEST(nothing_open_is_lost_and_second_copies_stay_within_the_bound)
{
	uint64_t gaps = 0, extra = 0, moves = 0, seed;

	for (seed = 1; seed <= 7; seed++)
		extra += lose_and_make(seed, &gaps, &moves);
	/* Segments were written over, or this shows little. */
	ck_assert_uint_gt(gaps, 0);
	ck_assert_uint_gt(extra, 0);
	ck_assert_uint_gt(moves, 50);
	printf("gaps %llu, moves %llu, extra %llu\n", (unsigned long long)gaps,
	       (unsigned long long)moves, (unsigned long long)extra);
}
END_TEST

START_TEST(nothing_held_is_given_before_a_release)
{
	struct qmodel m = { .run_rows = 0 };
	struct queue_task task;

	live(&m, 77, 1500);
	queue_close(&m.q);
	lose_index(&m, (enum loss)_i);
	/* A new one would send everything again; and none is left behind. */
	ck_assert_int_eq(open_spool(&m), -EUCLEAN);
	ck_assert_int_eq(open_spool(&m), -EUCLEAN);
	ck_assert_int_eq(make(&m, &m.set, false), 0);
	ck_assert_uint_gt(report.held, 0);
	ck_assert_int_eq(open_spool(&m), 0);
	while (queue_store_work(m.q, m.now_s) > 0)
		;
	while (queue_store_next(m.q, m.now_s, &task) > 0)
		ck_assert_uint_le(task.expires_s, m.now_s);
	qmodel_close(&m);
}
END_TEST

START_TEST(an_index_that_can_be_opened_is_left_alone)
{
	struct qmodel m = { .run_rows = 0 };
	struct queue_rebuild *rebuild;

	live(&m, 5, 300);
	ck_assert_int_eq(make(&m, &m.set, false), -EBUSY);
	ck_assert_ptr_nonnull(strstr(report.words, "in use by process"));
	queue_close(&m.q);
	ck_assert_int_eq(make(&m, &m.set, false), -EEXIST);
	ck_assert_int_eq(
		queue_rebuild_begin(&m.set, m.now_s, true, &rebuild, &report),
		0);
	queue_rebuild_drop(&rebuild);
	ck_assert_int_eq(open_spool(&m), 0);
	qmodel_close(&m);
}
END_TEST

/* --- dying and failing ------------------------------------------------------- */

static struct queue_file_ops ops;
static int calls_left, failure; /* 0: the process dies */

static int now(void)
{
	if (--calls_left != 0)
		return 0;
	if (failure == 0)
		_exit(9);
	return failure;
}

static int an_open(void *arg, const char *path, int flags)
{
	int err = now();

	return err < 0 ? err : queue_file_system.open(arg, path, flags);
}

static int a_sync_dir(void *arg, const char *path)
{
	int err = now();

	return err < 0 ? err : queue_file_system.sync_dir(arg, path);
}

static int a_sync_data(void *arg, int fd)
{
	int err = now();

	return err < 0 ? err : queue_file_system.sync_data(arg, fd);
}

static int a_sync_file(void *arg, int fd)
{
	int err = now();

	return err < 0 ? err : queue_file_system.sync_file(arg, fd);
}

static int64_t a_pwritev(void *arg, int fd, const struct iovec *iov, int count,
			 uint64_t offset)
{
	int err = now();

	return err < 0 ? err
		       : queue_file_system.pwritev(arg, fd, iov, count, offset);
}

static void make_ops(void)
{
	ops = queue_file_system;
	ops.open = an_open;
	ops.sync_dir = a_sync_dir;
	ops.sync_data = a_sync_data;
	ops.sync_file = a_sync_file;
	ops.pwritev = a_pwritev;
}

/* In a process of its own, that meets its end at call n.  Its exit code. */
static int make_until(const struct qmodel *m, int n, int how)
{
	struct queue_settings set = m->set;
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		set.file = &ops;
		calls_left = n;
		failure = how;
		status = make(m, &set, false);
		_exit(status == 0 ? 0 : status == how ? 1 : 2);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Either the old state or the new one, whole. */
static bool is_new(struct qmodel *m, uint64_t held)
{
	struct queue_counts counts;
	int rc = open_spool(m);

	if (rc == -EUCLEAN)
		return false;
	ck_assert_int_eq(rc, 0);
	queue_store_counts(m->q, &counts);
	ck_assert_uint_eq(counts.held, held);
	ck_assert_uint_eq(counts.waiting, 0);
	queue_close(&m->q);
	return true;
}

START_TEST(a_crash_or_failure_leaves_the_old_index_or_the_new)
{
	int how = _i == 0 ? 0 : -EIO, n, code = 9, old = 0, new = 0;
	struct qmodel m = { .run_rows = 0 };
	uint64_t held;

	make_ops();
	live(&m, 31, 1000);
	queue_close(&m.q);
	write_zeros(&m);
	ck_assert_int_eq(make(&m, &m.set, true), 0);
	held = report.held;
	ck_assert_uint_gt(held, 0);
	for (n = 1; code != 0; n++) {
		ck_assert_int_lt(n, 1000);
		code = make_until(&m, n, how);
		ck_assert_int_ne(code, 2);
		if (!is_new(&m, held)) {
			ck_assert_int_ne(code, 0);
			old++;
			continue;
		}
		new ++;
		write_zeros(&m);
	}
	ck_assert_int_gt(old, 5);
	ck_assert_int_gt(new, 1); /* at the last sync, and without an end */
	ck_assert_int_eq(make(&m, &m.set, false), 0);
	ck_assert_int_eq(open_spool(&m), 0);
	qmodel_close(&m);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("qrebuild");
	TCase *tc = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 300);
	tcase_add_test(
		tc,
		nothing_open_is_lost_and_second_copies_stay_within_the_bound);
	tcase_add_loop_test(tc, nothing_held_is_given_before_a_release, ZEROS,
			    DELETED + 1);
	tcase_add_test(tc, an_index_that_can_be_opened_is_left_alone);
	tcase_add_loop_test(
		tc, a_crash_or_failure_leaves_the_old_index_or_the_new, 0, 2);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
