/*
 * tests/unit/test_crc32c.c - every way to a CRC32C that this CPU has
 */
#include "base/crc32c.h"
#include "base/crc32c_ways.h"
#include "base/hash.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CRC_LEN 10000u

static const struct crc32c_way *way_here(int i)
{
	const struct crc32c_way *way = &crc32c_ways[i];

	if (way->here())
		return way;
	(void)printf("crc32c: %s skipped, this CPU lacks it\n", way->name);
	return NULL;
}

START_TEST(crc32c_known_answers)
{
	const struct crc32c_way *way = way_here(_i);
	unsigned char zeros[32] = { 0 };

	/* RFC 3720 B.4, and the check value of the catalogue of CRCs. */
	if (way == NULL)
		return;
	ck_assert_uint_eq(way->crc(0, zeros, 32), 0x8a9136aau);
	ck_assert_uint_eq(way->crc(0, "123456789", 9), 0xe3069283u);
}
END_TEST

/* However the CPU goes about it: every length, anywhere in a line of the
 * cache, begun with any CRC. */
START_TEST(crc32c_is_as_portable)
{
	static unsigned char text[CRC_LEN], room[CRC_LEN + 64];
	const struct crc32c_way *way = way_here(_i);
	size_t align, len;

	for (len = 0; len < sizeof(text); len++)
		text[len] = (unsigned char)hash_u64(len);
	for (align = 0; way != NULL && align < 64; align++) {
		uint32_t seed = (uint32_t)hash_u64(align), c = seed;
		unsigned char *p = room + align;

		memcpy(p, text, sizeof(text));
		for (len = 0; len <= sizeof(text); len++) {
			if (way->crc(seed, p, len) != c)
				ck_abort_msg("%s: %zu at %zu", way->name, len,
					     align);
			if (len < sizeof(text))
				c = crc32c_portable(c, text + len, 1);
		}
	}
}
END_TEST

/* Any pieces, and nothing is read before or behind them. */
START_TEST(crc32c_of_pieces)
{
	const struct crc32c_way *way = way_here(_i);
	uint64_t r = 1;
	size_t len, at, piece, i;

	for (len = 1; way != NULL && len <= CRC_LEN; len += r % 16) {
		unsigned char *text = malloc(len);
		uint32_t c = 0;

		ck_assert_ptr_nonnull(text);
		for (i = 0; i < len; i++)
			text[i] = (unsigned char)hash_u64(len + i);
		for (at = 0; at < len; at += piece) {
			r = hash_u64(r);
			piece = (r >> 32) % (r % 2 ? len : 700) + 1;
			if (piece > len - at)
				piece = len - at;
			c = way->crc(c, text + at, piece);
		}
		ck_assert_uint_eq(c, crc32c_portable(0, text, len));
		ck_assert_uint_eq(c, crc32c(0, text, len));
		ck_assert_uint_eq(c, way->crc(0, text, len));
		free(text);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("crc32c");
	TCase *tc = tcase_create("crc32c");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, crc32c_known_answers, 0, (int)crc32c_way_count);
	/* The last way is the portable one, which says what is right. */
	tcase_add_loop_test(tc, crc32c_is_as_portable, 0,
			    (int)crc32c_way_count - 1);
	tcase_add_loop_test(tc, crc32c_of_pieces, 0, (int)crc32c_way_count);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
