/*
 * tests/unit/test_window.c - the three regulators in virtual time
 */
#include "site/window.h"

#include <check.h>
#include <stdlib.h>

START_TEST(window_shrinks_at_once_grows_slowly)
{
	struct window w;
	int n = 0;

	window_init(&w, 4, 8);
	window_bad(&w); /* the start of a bad cycle */
	ck_assert_uint_eq(w.size, 3);
	window_bad(&w);
	ck_assert_uint_eq(w.size, 3);
	while (w.size == 3 && n < 100) {
		window_good(&w, true);
		n++;
	}
	ck_assert_int_eq(n, 4); /* 4 steps of 341/1024 */
	ck_assert_uint_eq(w.size, 4);
}
END_TEST

START_TEST(window_grows_only_in_use_and_to_its_max)
{
	struct window w;
	int i;

	window_init(&w, 2, 4);
	for (i = 0; i < 100; i++)
		window_good(&w, false);
	ck_assert_uint_eq(w.size, 2);
	for (i = 0; i < 100; i++)
		window_good(&w, true);
	ck_assert_uint_eq(w.size, 4);
	for (i = 0; i < 100; i++) {
		window_bad(&w);
		window_less(&w);
	}
	ck_assert_uint_eq(w.size, 1); /* the floor */
}
END_TEST

START_TEST(bucket_holds_its_rate)
{
	struct bucket b;
	uint64_t now = 5000, n = 0;

	bucket_init(&b, 10, 4, now);
	while (now < 15000) {
		uint64_t when = bucket_when(&b, now);

		if (when > now) {
			now = when;
			continue;
		}
		bucket_take(&b, now);
		n++;
		if (n == 4)
			ck_assert_uint_eq(now, 5000); /* the burst */
	}
	ck_assert_uint_ge(n, 103);
	ck_assert_uint_le(n, 104);
	/* A long rest saves no more than the burst. */
	now += 1000000;
	for (n = 0; bucket_when(&b, now) <= now; n++)
		bucket_take(&b, now);
	ck_assert_uint_eq(n, 4);
}
END_TEST

static uint64_t run_pace(struct pace *p, uint64_t *now, uint64_t ms)
{
	uint64_t end = *now + ms, n = 0;

	while (*now < end) {
		uint64_t when = pace_when(p, *now);

		if (when > *now) {
			*now = when < end ? when : end;
			continue;
		}
		pace_take(p, *now);
		n++;
		*now += 10; /* the server takes 100 a second */
	}
	return n;
}

START_TEST(pace_halves_holds_and_rises)
{
	struct pace p;
	uint64_t now = 1000, n;

	pace_init(&p, 0, now);
	ck_assert_uint_eq(run_pace(&p, &now, 20000), 2000);
	pace_halve(&p, now);
	pace_halve(&p, now + 1); /* an answer that was on its way */
	n = run_pace(&p, &now, 100000);
	ck_assert_uint_ge(n, 4900);
	ck_assert_uint_le(n, 5100);
	pace_halve(&p, now);
	n = run_pace(&p, &now, 100000);
	ck_assert_uint_ge(n, 2400);
	ck_assert_uint_le(n, 2600);
	/* Held for a quarter of an hour, then an eighth more a minute. */
	n = run_pace(&p, &now, 700000);
	ck_assert_uint_le(n, 18000);
	(void)run_pace(&p, &now, 1800000);
	ck_assert_uint_eq(p.limit_m, 0);
	ck_assert_uint_eq(run_pace(&p, &now, 10000), 1000);
}
END_TEST

START_TEST(pace_cap_is_never_passed)
{
	struct pace p;
	uint64_t now = 0;

	pace_init(&p, 10, now);
	ck_assert_uint_le(run_pace(&p, &now, 10000), 110);
	pace_halve(&p, now);
	ck_assert_uint_le(run_pace(&p, &now, 10000), 56);
	(void)run_pace(&p, &now, 7200000);
	ck_assert_uint_eq(p.limit_m, 10000);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("window");
	TCase *t = tcase_create("regulators");
	SRunner *r;
	int failed;

	tcase_add_test(t, window_shrinks_at_once_grows_slowly);
	tcase_add_test(t, window_grows_only_in_use_and_to_its_max);
	tcase_add_test(t, bucket_holds_its_rate);
	tcase_add_test(t, pace_halves_holds_and_rises);
	tcase_add_test(t, pace_cap_is_never_passed);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
