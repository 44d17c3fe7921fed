/*
 * What the configuration says reaches the parts that it is for.
 */
#include "engine/tune.h"

#include <check.h>

START_TEST(limits_reach_the_queue)
{
	struct settings set = {
		.limits = { .tasks = 1001, .queue_tasks = 1002, .queues = 1003 }
	};
	struct queue_settings q;

	tune_queue(&set, &q);
	ck_assert_uint_eq(q.tasks_max, 1001);
	ck_assert_uint_eq(q.queue_tasks_max, 1002);
	ck_assert_uint_eq(q.queues_max, 1003);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tune");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_test(tc, limits_reach_the_queue);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
