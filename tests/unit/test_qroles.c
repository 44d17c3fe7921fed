/*
 * tests/unit/test_qroles.c - log, store and readers in threads of their own
 */
#include "qhelp.h"
#include "queue/queue_private.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define SEG (256u << 10)

static struct queue *q;

#define SHARED 3000
static _Atomic uint64_t shared_ids[SHARED];
static _Atomic unsigned shared_count, readers_done;

static void *log_role(void *arg)
{
	unsigned i;
	uint64_t id;

	(void)arg;
	for (i = 0; i < SHARED; i++) {
		if (qhelp_add(q, i, 1500, &id) < 0)
			return NULL;
		atomic_store(&shared_ids[i], id);
		atomic_store(&shared_count, i + 1);
	}
	return NULL;
}

/* Opens what is there; what was freed meanwhile is -ENOENT, never wrong. */
static void *reader_role(void *arg)
{
	unsigned seen = 0, good = 0;
	uintptr_t step = (uintptr_t)arg;

	while (seen < SHARED) {
		unsigned i = seen;
		int err;

		if (i >= atomic_load(&shared_count))
			continue;
		err = qhelp_check(q, atomic_load(&shared_ids[i]), i);
		if (err != 0 && err != -ENOENT)
			break;
		good += err == 0;
		seen += (unsigned)step;
	}
	atomic_fetch_add(&readers_done, 1);
	return good > 0 && seen >= SHARED ? arg : NULL;
}

/* The store role, here: follows, prepares, frees what lies behind. */
static unsigned store_role(void)
{
	struct queue_segment seg;
	struct queue_record rec;
	struct queue_walk *w;
	unsigned seen = 0, freed = 0;

	ck_assert_int_eq(queue_walk_open(q, 0, &w), 0);
	while (seen < SHARED || atomic_load(&readers_done) < 2) {
		int got = queue_log_next(w, &rec);

		ck_assert_int_ge(got, 0);
		if (got > 0) {
			ck_assert_uint_eq(rec.submission_number, seen);
			seen++;
			continue;
		}
		ck_assert_int_ge(queue_log_prepare(q), 0);
		if (queue_segment_next(q, 0, &seg) && !seg.active &&
		    seg.end + SEG <= queue_walk_lsn(w))
			freed += queue_segment_free(q, seg.sequence) == 0;
	}
	queue_walk_close(&w);
	return freed;
}

START_TEST(roles_meet_without_a_lock)
{
	char *dir = qhelp_folder();
	struct queue_settings set = {
		.dir = dir,
		.segment_bytes = SEG,
		.segments_ahead = 2,
		.free_bytes_min = 1 << 20,
	};
	struct queue_report report;
	pthread_t log, readers[2];
	void *good;
	uintptr_t i;

	ck_assert_int_eq(queue_open(&set, 1, &q, &report), 0);
	ck_assert_int_eq(pthread_create(&log, NULL, log_role, NULL), 0);
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&readers[i], NULL, reader_role,
						(void *)(i + 1)),
				 0);
	ck_assert_uint_gt(store_role(), 5);
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(pthread_join(readers[i], &good), 0);
		ck_assert_ptr_nonnull(good);
	}
	ck_assert_int_eq(pthread_join(log, NULL), 0);
	queue_close(&q);
	qhelp_remove(dir);
	free(dir);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("qroles");
	TCase *t = tcase_create("roles");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 240);
	tcase_add_test(t, roles_meet_without_a_lock);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
