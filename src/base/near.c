/*
 * base/near.c - "did you mean"
 *
 * The distance of Damerau and Levenshtein, in the form in which no letter is
 * touched twice: three rows of the table are enough.
 */
#include "base/near.h"

#define LETTERS_MAX 63

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned near_slips(struct span a, struct span b)
{
	unsigned rows[3][LETTERS_MAX + 1] = { { 0 } }, *row, *up, *upper;
	size_t i, k;

	if (a.len >= LETTERS_MAX || b.len >= LETTERS_MAX)
		return NEAR_FAR;
	for (k = 0; k <= b.len; k++)
		rows[0][k] = (unsigned)k;
	for (i = 1; i <= a.len; i++) {
		row = rows[i % 3];
		up = rows[(i + 2) % 3];
		upper = rows[(i + 1) % 3];
		row[0] = (unsigned)i;
		for (k = 1; k <= b.len; k++) {
			row[k] = up[k - 1] + (a.p[i - 1] != b.p[k - 1]);
			row[k] = least(row[k], least(up[k], row[k - 1]) + 1);
			if (i > 1 && k > 1 && a.p[i - 1] == b.p[k - 2] &&
			    a.p[i - 2] == b.p[k - 1])
				row[k] = least(row[k], upper[k - 2] + 1);
		}
	}
	return rows[a.len % 3][b.len];
}

bool near_enough(struct span word, unsigned slips)
{
	return slips <= 2 && slips < word.len;
}

const char *near_name(struct span word, const char *const *names, size_t n)
{
	unsigned slips, fewest = NEAR_FAR;
	const char *best = NULL;
	size_t i;

	for (i = 0; i < n; i++) {
		slips = near_slips(word, span_str(names[i]));
		if (word.len > 1 &&
		    span_starts_nocase(span_str(names[i]), word))
			slips = 1;
		if (slips < fewest) {
			fewest = slips;
			best = names[i];
		}
	}
	return near_enough(word, fewest) ? best : NULL;
}
