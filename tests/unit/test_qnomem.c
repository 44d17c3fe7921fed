/*
 * tests/unit/test_qnomem.c - the queue when memory runs out
 *
 * A day in the life of a spool (qday.h) runs once for each allocation that it
 * makes, with that one failing, and once more with all behind it failing too.
 */
#include "nomem.h"
#include "qday.h"

#include <check.h>
#include <errno.h>

static bool no_memory(int error)
{
	return error == -ENOMEM && nomem_hit();
}

START_TEST(no_mail_is_lost_without_memory)
{
	struct nomem n;
	bool ok;

	qday_excuse = no_memory;
	for (nomem_begin(&n); nomem_again(&n);) {
		ok = qday_run();
		ck_assert(ok || nomem_hit());
		nomem_stop();
		qday_morning();
		qday_clean();
	}
	ck_assert_uint_gt(n.total, 50);
}
END_TEST

/* A spool that cannot be opened for want of memory is as it was. */
START_TEST(a_spool_opens_when_there_is_memory_again)
{
	struct queue_report report;
	struct nomem n;
	struct queue *q;
	int rc;

	qday_excuse = no_memory;
	ck_assert(qday_run());
	ck_assert_uint_gt(qday_moved, 0);
	for (nomem_begin(&n); nomem_again(&n);) {
		q = NULL;
		rc = queue_open(&qday_settings, 1100, &q, &report);
		ck_assert((rc == 0) == (q != NULL));
		if (rc == 0)
			queue_close(&q);
		ck_assert(rc == 0 || no_memory(rc));
		nomem_stop();
		qday_morning();
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("qnomem");
	TCase *tc = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, qday_begin, qday_end);
	tcase_set_timeout(tc, 240);
	tcase_add_test(tc, no_mail_is_lost_without_memory);
	tcase_add_test(tc, a_spool_opens_when_there_is_memory_again);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
