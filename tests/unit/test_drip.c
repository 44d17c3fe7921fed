/*
 * How long the octets of who drips are left to gather.
 */
#include "engine/drip.h"

#include <check.h>

static const char octets[64] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

/* What is waited for after n pieces of len octets, apart_ms between them. */
static uint64_t wait_of(struct drip *d, unsigned n, size_t len,
			uint64_t apart_ms)
{
	uint64_t now_ms = 1000, wait = 0;
	unsigned i;

	for (i = 0; i < n; i++, now_ms += apart_ms)
		wait = drip_wait_ms(d, octets, len, now_ms);
	return wait;
}

START_TEST(small_pieces_gather)
{
	static const struct {
		unsigned pieces;
		size_t len;
		uint64_t apart_ms, wait_ms;
	} cases[] = {
		{ 1, 1, 15, 0 },       { 3, 1, 15, 0 }, /* too few */
		{ 4, 1, 15, 120 },     { 200, 1, 15, 120 },
		{ 4, 16, 15, 120 },    { 4, 17, 15, 0 }, /* no drip */
		{ 200, 17, 15, 0 },    { 4, 1, 0, 0 },
		{ 4, 1, 499, 3992 },   { 4, 1, 501, 4000 }, /* never longer */
		{ 4, 1, 60000, 4000 },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct drip d = { 0 };

		ck_assert_msg(wait_of(&d, cases[i].pieces, cases[i].len,
				      cases[i].apart_ms) == cases[i].wait_ms,
			      "case %zu", i);
	}
}
END_TEST

/* What follows a whole line, or a large piece, is looked at afresh. */
START_TEST(a_line_or_a_large_piece_begins_anew)
{
	struct drip d = { 0 };

	ck_assert_uint_eq(wait_of(&d, 9, 1, 15), 120);
	ck_assert_uint_eq(drip_wait_ms(&d, "ok\r\n", 4, 5000), 0);
	ck_assert_uint_eq(wait_of(&d, 4, 1, 15), 120);
	ck_assert_uint_eq(drip_wait_ms(&d, octets, 17, 5000), 0);
	ck_assert_uint_eq(wait_of(&d, 4, 1, 15), 120);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("drip");
	TCase *t = tcase_create("drip");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(t, small_pieces_gather);
	tcase_add_test(t, a_line_or_a_large_piece_begins_anew);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
