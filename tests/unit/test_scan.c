/*
 * tests/unit/test_scan.c - every way to look at a message that this CPU has
 */
#include "mail/scan.h"

#include "base/hash.h"
#include "mail/scan_ways.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct scan_way *way_here(int i)
{
	const struct scan_way *way = &scan_ways[i];

	if (way->here())
		return way;
	(void)printf("scan: %s skipped, this CPU lacks it\n", way->name);
	return NULL;
}

static struct scan_seen see(const struct scan_way *way, const char *p,
			    size_t len)
{
	struct scan_seen seen;

	memset(&seen, 0xff, sizeof(seen)); /* all of it is set */
	way->scan(span_of(p, len), &seen);
	return seen;
}

static void same(const struct scan_way *way, const char *p, size_t len)
{
	struct scan_seen want, got = see(way, p, len);

	scan_lines(span_of(p, len), &want);
	if (got.nul != want.nul || got.bare != want.bare ||
	    got.high != want.high || got.dots != want.dots ||
	    got.wide != want.wide)
		ck_abort_msg("%s: %zu octets: nul %td bare %td high %d dots %d "
			     "wide %d",
			     way->name, len, got.nul == NULL ? -1 : got.nul - p,
			     got.bare == NULL ? -1 : got.bare - p, got.high,
			     got.dots, got.wide);
}

/* What is known without another way. */
START_TEST(scan_known_answers)
{
	static const char text[] = "a: b\r\n\r\n.x\r\ny\r\n";
	const struct scan_way *way = way_here(_i);
	struct scan_seen seen;

	if (way == NULL)
		return;
	seen = see(way, text, sizeof(text) - 1);
	ck_assert(seen.dots && !seen.high && !seen.wide);
	ck_assert_ptr_null(seen.nul);
	ck_assert_ptr_null(seen.bare);
	seen = see(way, text, 8); /* up to the dot */
	ck_assert(!seen.dots);
	seen = see(way, text, 7); /* ends with a CR */
	ck_assert_ptr_eq(seen.bare, text + 6);
	seen = see(way, text, sizeof(text)); /* its NUL, too */
	ck_assert_ptr_eq(seen.nul, text + sizeof(text) - 1);
	seen = see(way, "\n", 1);
	ck_assert_ptr_nonnull(seen.bare);
	seen = see(way, "\xc3", 1);
	ck_assert(seen.high);
	seen = see(way, ".", 1);
	ck_assert(seen.dots);
	seen = see(way, "", 0);
	ck_assert(!seen.dots && !seen.high && !seen.wide);
	ck_assert(seen.nul == NULL && seen.bare == NULL);
}
END_TEST

/* Lines about as long as they may be, behind another, from any octet of a
 * block, with each kind of end. */
START_TEST(scan_lengths_of_lines)
{
	static const char *const ends[] = { "", "\r\n", "\r\nz\r\n", "\n",
					    "\r" };
	static char room[1400];
	const struct scan_way *way = way_here(_i);
	size_t before, len, e, n;

	for (before = 0; way != NULL && before <= 130; before++)
		for (len = 990; len <= 1010; len++)
			for (e = 0; e < sizeof(ends) / sizeof(ends[0]); e++) {
				memset(room, 'x', sizeof(room));
				if (before >= 2)
					memcpy(room + before - 2, "\r\n", 2);
				n = before + len;
				memcpy(room + n, ends[e], strlen(ends[e]));
				same(way, room, n + strlen(ends[e]));
				if (before >= 2 && e == 1)
					ck_assert_int_eq(
						see(way, room, n + 2).wide,
						len > 998);
			}
}
END_TEST

/* Text where everything that counts is frequent; a piece of it, anywhere, of
 * which nothing is read before or behind. */
START_TEST(scan_is_as_lines)
{
	static const char *const words[] = { "\r\n",  "\r\n",     "\r\n.",
					     "\r\n",  ".",        "text",
					     "words", "\xc3\xa4", "\r",
					     "\n",    "\0" };
	const struct scan_way *way = way_here(_i);
	uint64_t r = 1;
	unsigned round;

	for (round = 0; way != NULL && round < 40000; round++) {
		/* The last ones are odd: not every text has some of them. */
		unsigned kinds = 6 + round % 6;
		size_t len = 0, want, n;
		char text[700], *p;

		r = hash_u64(r);
		for (want = r % 600; len < want; len += n) {
			const char *word;

			r = hash_u64(r);
			word = words[(r >> 8) % kinds];
			n = word[0] == '\0' ? 1 : strlen(word);
			memcpy(text + len, word, n);
		}
		p = malloc(len + 1);
		ck_assert_ptr_nonnull(p);
		memcpy(p + 1, text, len);
		same(way, p + 1, len);
		free(p);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("scan");
	TCase *tc = tcase_create("scan");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, scan_known_answers, 0, (int)scan_way_count);
	/* The last way is the one that the others are compared with. */
	tcase_add_loop_test(tc, scan_lengths_of_lines, 0,
			    (int)scan_way_count - 1);
	tcase_add_loop_test(tc, scan_is_as_lines, 0, (int)scan_way_count - 1);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
