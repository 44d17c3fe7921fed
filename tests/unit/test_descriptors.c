/*
 * unit/test_descriptors.c - descriptors are shared out, never overbooked
 */
#include "engine/descriptors.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

START_TEST(shares_fit_and_keep_to_the_limits)
{
	struct settings set = { .limits = { .connections = 20000,
					    .submitters = 200 } };
	struct descriptors d;
	unsigned workers;
	uint64_t most, own;

	for (workers = 1; workers <= 64; workers *= 4) {
		own = DESCRIPTORS_OWN + DESCRIPTORS_WORKER * workers;
		for (most = 0; most < 30000; most++) {
			if (most < own + DESCRIPTORS_LEFT_MIN) {
				ck_assert_int_eq(descriptors_share(&set,
								   workers,
								   most, &d),
						 -EMFILE);
				continue;
			}
			ck_assert_int_eq(
				descriptors_share(&set, workers, most, &d), 0);
			ck_assert_uint_le(d.connections + d.submitters + own,
					  most);
			ck_assert_uint_ge(d.connections, 12);
			ck_assert_uint_ge(d.submitters, 4);
			ck_assert_uint_le(d.connections, 20000);
			ck_assert_uint_le(d.submitters, 200);
		}
		ck_assert_uint_eq(d.connections, 20000);
		ck_assert_uint_eq(d.submitters, 200);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("descriptors");
	TCase *tc = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tc, shares_fit_and_keep_to_the_limits);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
