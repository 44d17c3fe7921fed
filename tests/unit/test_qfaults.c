/*
 * tests/unit/test_qfaults.c - the queue on a disk and an index that fail
 *
 * A day in the life of a spool (qday.h) runs once for each call that it makes
 * to the disk, and once for each to LMDB (by the linker's --wrap), with that
 * call failing, and again with every call behind it failing too.
 */
#include "qday.h"
#include "queue/file.h"

#include <check.h>
#include <errno.h>
#include <lmdb.h>
#include <stdlib.h>

/* --- the call that fails ----------------------------------------------------- */

static unsigned calls, fail_at; /* fail_at 0: none */
static bool fail_rest, hit, shorten;
static int fail_with;

static bool fails(void)
{
	bool yes = ++calls == fail_at || (fail_rest && calls > fail_at);

	yes = yes && fail_at != 0;
	hit = hit || yes;
	return yes;
}

static void break_call(unsigned nth, bool rest, int with)
{
	calls = 0;
	hit = false;
	fail_at = nth;
	fail_rest = rest;
	fail_with = with;
}

static bool anything(int error)
{
	(void)error;
	return hit;
}

/* --- the disk ---------------------------------------------------------------- */

#define SYS (&queue_file_system)

static int f_open(void *arg, const char *path, int flags)
{
	return fails() ? fail_with : SYS->open(arg, path, flags);
}

static void f_close(void *arg, int fd)
{
	SYS->close(arg, fd);
}

static int f_mkdir(void *arg, const char *path)
{
	return fails() ? fail_with : SYS->mkdir(arg, path);
}

static int f_sync_dir(void *arg, const char *path)
{
	return fails() ? fail_with : SYS->sync_dir(arg, path);
}

static int f_list(void *arg, const char *path,
		  void (*each)(void *to, const char *name), void *to)
{
	return fails() ? fail_with : SYS->list(arg, path, each, to);
}

static int64_t f_pwritev(void *arg, int fd, const struct iovec *iov, int count,
			 uint64_t offset)
{
	struct iovec one = iov[0];

	if (!fails())
		return SYS->pwritev(arg, fd, iov, count, offset);
	if (!shorten)
		return fail_with;
	one.iov_len = one.iov_len / 2 + 1;
	return SYS->pwritev(arg, fd, &one, 1, offset);
}

static int64_t f_pread(void *arg, int fd, void *p, size_t len, uint64_t offset)
{
	if (!fails())
		return SYS->pread(arg, fd, p, len, offset);
	return shorten ? SYS->pread(arg, fd, p, len / 2 + 1, offset)
		       : fail_with;
}

static int f_sync(void *arg, int fd)
{
	return fails() ? fail_with : SYS->sync_data(arg, fd);
}

static int f_size(void *arg, int fd, uint64_t *bytes_r)
{
	return fails() ? fail_with : SYS->size(arg, fd, bytes_r);
}

static int f_space(void *arg, const char *path, uint64_t *bytes_r)
{
	return fails() ? fail_with : SYS->space(arg, path, bytes_r);
}

static int f_lock(void *arg, int fd)
{
	return fails() ? fail_with : SYS->lock(arg, fd);
}

static int f_map(void *arg, int fd, size_t len, const void **p_r)
{
	return fails() ? fail_with : SYS->map(arg, fd, len, p_r);
}

static void f_unmap(void *arg, const void *p, size_t len)
{
	SYS->unmap(arg, p, len);
}

static int f_populate(void *arg, const void *p, size_t len)
{
	return fails() ? fail_with : SYS->populate(arg, p, len);
}

static const struct queue_file_ops bad_disk = { .open = f_open,
						.close = f_close,
						.mkdir = f_mkdir,
						.sync_dir = f_sync_dir,
						.list = f_list,
						.pwritev = f_pwritev,
						.pread = f_pread,
						.sync_data = f_sync,
						.sync_file = f_sync,
						.size = f_size,
						.space = f_space,
						.lock = f_lock,
						.map = f_map,
						.unmap = f_unmap,
						.populate = f_populate };

/* --- the index --------------------------------------------------------------- */

static bool index_fails, commit_works; /* the answer alone is lost */

#define WRAP(name, params, args)                                               \
	int __real_##name params;                                              \
	int __wrap_##name params;                                              \
	int __wrap_##name params                                               \
	{                                                                      \
		return index_fails && fails() ? fail_with                      \
					      : __real_##name args;            \
	}

WRAP(mdb_env_create, (MDB_env * *env), (env))
WRAP(mdb_env_open, (MDB_env * env, const char *path, unsigned f, mdb_mode_t m),
     (env, path, f, m))
WRAP(mdb_txn_begin, (MDB_env * env, MDB_txn *up, unsigned f, MDB_txn **txn),
     (env, up, f, txn))
WRAP(mdb_txn_renew, (MDB_txn * txn), (txn))
WRAP(mdb_dbi_open, (MDB_txn * txn, const char *n, unsigned f, MDB_dbi *dbi),
     (txn, n, f, dbi))
WRAP(mdb_get, (MDB_txn * txn, MDB_dbi dbi, MDB_val *k, MDB_val *v),
     (txn, dbi, k, v))
WRAP(mdb_put, (MDB_txn * txn, MDB_dbi dbi, MDB_val *k, MDB_val *v, unsigned f),
     (txn, dbi, k, v, f))
WRAP(mdb_del, (MDB_txn * txn, MDB_dbi dbi, MDB_val *k, MDB_val *v),
     (txn, dbi, k, v))
WRAP(mdb_cursor_open, (MDB_txn * txn, MDB_dbi dbi, MDB_cursor **c),
     (txn, dbi, c))
WRAP(mdb_cursor_get, (MDB_cursor * c, MDB_val *k, MDB_val *v, MDB_cursor_op op),
     (c, k, v, op))
WRAP(mdb_cursor_put, (MDB_cursor * c, MDB_val *k, MDB_val *v, unsigned f),
     (c, k, v, f))
WRAP(mdb_cursor_del, (MDB_cursor * c, unsigned f), (c, f))

int __real_mdb_txn_commit(MDB_txn *txn);
int __wrap_mdb_txn_commit(MDB_txn *txn);
int __wrap_mdb_txn_commit(MDB_txn *txn)
{
	if (!index_fails || !fails())
		return __real_mdb_txn_commit(txn);
	if (commit_works)
		(void)__real_mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	return fail_with;
}

/* --- the tests --------------------------------------------------------------- */

static void every_call(const int *errors, unsigned count)
{
	unsigned total, nth;
	int rest;

	break_call(0, false, 0);
	ck_assert(qday_run());
	total = calls;
	ck_assert_uint_gt(total, 20);
	ck_assert_uint_gt(qday_moved, 0);
	qday_clean();
	for (nth = 1; nth <= total; nth++)
		for (rest = 0; rest < 2; rest++) {
			break_call(nth, rest == 1, errors[nth % count]);
			(void)qday_run();
			ck_assert_msg(hit, "call %u of %u", nth, total);
			break_call(0, false, 0);
			qday_morning();
			qday_clean();
		}
}

START_TEST(no_mail_is_lost_by_a_failing_disk)
{
	static const int errors[] = { -EIO, -ENOSPC, -EPERM };

	qday_excuse = anything;
	qday_file = &bad_disk;
	shorten = false;
	every_call(&errors[_i], 1);
}
END_TEST

/* A short write or read is gone on with, and nobody notices. */
START_TEST(no_mail_is_lost_by_short_writes)
{
	unsigned total, nth;

	qday_excuse = anything;
	qday_file = &bad_disk;
	shorten = true;
	break_call(0, false, 0);
	ck_assert(qday_run());
	total = calls;
	qday_clean();
	for (nth = 1; nth <= total; nth++) {
		break_call(nth, false, -EIO);
		(void)qday_run();
		break_call(0, false, 0);
		qday_morning();
		qday_clean();
	}
}
END_TEST

/*
 * All of the log is to be read again, and a call fails: what is opened all the
 * same makes a checkpoint, which would forget whatever was stepped over.
 */
START_TEST(a_spool_is_opened_whole_or_not_at_all)
{
	static const int errors[] = { -EIO, -EMFILE, -ENFILE, -ENOMEM };
	struct queue_report report;
	struct queue *q;
	bool was_hit = true;
	unsigned nth;
	int rc;

	qday_excuse = anything;
	shorten = false;
	qday_ends_early = true;
	for (nth = 1; was_hit; nth++) {
		qday_file = NULL;
		break_call(0, false, 0);
		ck_assert(qday_run());
		qday_settings.file = &bad_disk;
		break_call(nth, false, errors[_i]);
		rc = queue_open(&qday_settings, 1100, &q, &report);
		was_hit = hit;
		ck_assert(rc == 0 || rc == errors[_i]);
		break_call(0, false, 0);
		if (rc == 0) {
			ck_assert_uint_eq(report.damaged, 0);
			ck_assert_int_eq(queue_store_checkpoint(q, 1200), 0);
			queue_close(&q);
		}
		qday_morning();
		qday_clean();
	}
	ck_assert_uint_gt(nth, 20);
	qday_ends_early = false;
}
END_TEST

START_TEST(no_mail_is_lost_by_a_failing_index)
{
	static const int errors[] = { EIO, ENOSPC, MDB_MAP_FULL, MDB_PANIC };

	qday_excuse = anything;
	qday_file = NULL;
	index_fails = true;
	commit_works = _i == 1;
	every_call(errors, 4);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("qfaults");
	TCase *tc = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, qday_begin, qday_end);
	tcase_set_timeout(tc, 280);
	tcase_add_loop_test(tc, no_mail_is_lost_by_a_failing_disk, 0, 3);
	tcase_add_test(tc, no_mail_is_lost_by_short_writes);
	tcase_add_loop_test(tc, a_spool_is_opened_whole_or_not_at_all, 0, 4);
	tcase_add_loop_test(tc, no_mail_is_lost_by_a_failing_index, 0, 2);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
