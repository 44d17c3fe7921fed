/*
 * Has a thread time left?  The rule, and a thread that works or sleeps.  And
 * how long ago something was, by clocks that are seconds apart.
 */
#include "engine/busy.h"
#include "engine/clock.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

START_TEST(the_rule)
{
	static const struct {
		struct busy_share share;
		bool saturated;
	} cases[] = {
		{ { 0, 0 }, false },
		{ { 840, 0 }, false }, /* there is a core for what is left */
		{ { 860, 0 }, true },
		{ { 450, 450 }, true },
		{ { 310, 105 }, true }, /* occupied, and others want it too */
		{ { 400, 50 }, false }, /* hardly waits */
		{ { 20, 300 }, false }, /* waits much, but works little */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_int_eq(busy_is_saturated(cases[i].share),
				 cases[i].saturated);
}
END_TEST

static uint64_t cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

START_TEST(work_and_sleep)
{
	struct timespec nap = { .tv_nsec = 150000000 };
	bool saturated = false;
	struct busy b;

	busy_open(&b);
	if (b.fd == 0) /* this kernel does not tell */
		return;
	for (int i = 0; i < 8; i++) { /* with others beside it, or alone */
		uint64_t until = cpu_ms() + 20;

		while (cpu_ms() < until)
			;
		saturated = busy_saturated(&b);
	}
	ck_assert(saturated);
	for (int i = 0; i < 6; i++) {
		nanosleep(&nap, NULL);
		saturated = busy_saturated(&b);
	}
	ck_assert(!saturated);
	busy_close(&b);
	ck_assert(!busy_saturated(&b));
}
END_TEST

START_TEST(what_is_yet_to_come_is_new)
{
	ck_assert_uint_eq(clock_since_s(1000, 990), 10);
	ck_assert_uint_eq(clock_since_s(1000, 1000), 0);
	ck_assert_uint_eq(clock_since_s(1000, 1003), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("busy");
	TCase *tc = tcase_create("busy");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, the_rule);
	tcase_add_test(tc, work_and_sleep);
	tcase_add_test(tc, what_is_yet_to_come_is_new);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
