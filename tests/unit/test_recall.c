/*
 * tests/unit/test_recall.c - whom a call back covers
 */
#include "engine/wire.h"

#include <check.h>
#include <stdlib.h>

static const struct words_case {
	struct word_hashes asked, queue;
	bool covers;
} words_cases[] = {
	{ { 0, 0, 0 }, { 1, 2, 3 }, true },  { { 1, 0, 0 }, { 1, 2, 3 }, true },
	{ { 2, 0, 0 }, { 1, 2, 3 }, false }, { { 0, 2, 0 }, { 1, 2, 3 }, true },
	{ { 0, 1, 0 }, { 1, 2, 3 }, false }, { { 0, 0, 3 }, { 1, 2, 3 }, true },
	{ { 0, 0, 4 }, { 1, 2, 3 }, false }, { { 1, 2, 3 }, { 1, 2, 3 }, true },
	{ { 1, 2, 4 }, { 1, 2, 3 }, false },
};

START_TEST(words)
{
	const struct words_case *c = &words_cases[_i];
	struct to_worker_recall m = { .words = c->asked };

	ck_assert_msg(recall_covers(&m, &c->queue) == c->covers, "case %d", _i);
}
END_TEST

/* Every list of the first n odd numbers, asked for every number around. */
START_TEST(ids)
{
	struct to_worker_recall *m = calloc(1, sizeof(*m) + 20 * 8);
	uint64_t id;
	uint32_t i;

	ck_assert_ptr_nonnull(m);
	ck_assert(recall_names(m, 7)); /* no ids: any */
	for (i = 0; i < 20; i++) {
		m->ids[i] = 2 * i + 1;
		m->id_count = i + 1;
		for (id = 0; id < 45; id++)
			ck_assert_msg(recall_names(m, id) ==
					      (id % 2 == 1 && id <= 2 * i + 1),
				      "%u ids, id %u", i + 1, (unsigned)id);
	}
	free(m);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("recall");
	TCase *t = tcase_create("recall");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_loop_test(t, words, 0,
			    sizeof(words_cases) / sizeof(words_cases[0]));
	tcase_add_test(t, ids);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
