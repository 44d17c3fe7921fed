/*
 * unit/test_near.c - "did you mean": slips between words
 */
#include "base/near.h"

#include "base/bug.h"

#include <check.h>
#include <stdlib.h>

START_TEST(near_counts_slips)
{
	static const struct {
		const char *a, *b;
		unsigned slips;
	} cases[] = {
		{ "status", "status", 0 }, { "staus", "status", 1 },
		{ "statsu", "status", 1 }, { "stattus", "status", 1 },
		{ "stotus", "status", 1 }, { "", "ab", 2 },
		{ "ba", "ab", 1 },         { "bca", "abc", 2 },
		{ "cab", "abc", 2 },       { "form", "from", 1 },
		{ "ca", "abc", 3 },
	};
	char text[64];
	size_t i;

	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct span a = span_str(cases[i].a), b = span_str(cases[i].b);

		ck_assert_uint_eq(near_slips(a, b), cases[i].slips);
		ck_assert_uint_eq(near_slips(b, a), cases[i].slips);
	}
	memset(text, 'x', sizeof(text));
	ck_assert_uint_eq(near_slips(span_of(text, 63), SPAN("x")), NEAR_FAR);
	ck_assert_uint_eq(near_slips(SPAN("x"), span_of(text, 63)), NEAR_FAR);
	ck_assert_uint_eq(near_slips(span_of(text, 62), span_of(text, 62)), 0);
	ck_assert(near_enough(SPAN("abc"), 2));
	ck_assert(!near_enough(SPAN("ab"), 2));
	ck_assert(!near_enough(SPAN("abcdefgh"), 3));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("near");
	TCase *tc = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tc, near_counts_slips);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
