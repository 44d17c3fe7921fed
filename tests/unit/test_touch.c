/*
 * tests/unit/test_touch.c - pages that the disk does not give
 *
 * A mapping that is longer than its file is what a dead disk is too: a touch
 * behind the end raises SIGBUS.
 */
#include "queue/touch.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096u

static char *map; /* two pages that are there, two that are not */

static void setup(void)
{
	FILE *f = tmpfile();

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(ftruncate(fileno(f), 2 * PAGE), 0);
	map = mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED, fileno(f), 0);
	ck_assert_ptr_ne(map, MAP_FAILED);
	fclose(f);
}

static void teardown(void)
{
	munmap(map, 4 * PAGE);
}

static void *touch_all(void *arg)
{
	int i;

	(void)arg;
	for (i = 0; i < 3; i++) { /* the signal is not blocked behind it */
		ck_assert_int_eq(touch_pages(map, 2 * PAGE), 0);
		ck_assert_int_eq(touch_pages(map + PAGE, PAGE + 1), -EIO);
		ck_assert_int_eq(touch_pages(map + 2 * PAGE - 1, 1), 0);
		ck_assert_int_eq(touch_pages(map + 1, 3 * PAGE), -EIO);
		ck_assert_int_eq(touch_pages(map + 2 * PAGE, 0), 0);
	}
	return NULL;
}

START_TEST(what_the_disk_does_not_give_is_an_error)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, touch_all, NULL), 0);
	touch_all(NULL);
	pthread_join(thread, NULL);
}
END_TEST

START_TEST(another_read_ends_the_process)
{
	ck_assert_int_eq(touch_pages(map, 4 * PAGE), -EIO);
	(void)*(volatile char *)(map + 2 * PAGE);
}
END_TEST

START_TEST(a_signal_from_outside_ends_the_process)
{
	ck_assert_int_eq(touch_pages(map, 4 * PAGE), -EIO);
	raise(SIGBUS);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("touch");
	TCase *t = tcase_create("touch");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, what_the_disk_does_not_give_is_an_error);
	tcase_add_test_raise_signal(t, another_read_ends_the_process, SIGBUS);
	tcase_add_test_raise_signal(t, a_signal_from_outside_ends_the_process,
				    SIGBUS);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
