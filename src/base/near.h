#ifndef MTAQ_BASE_NEAR_H
#define MTAQ_BASE_NEAR_H

/* Which of the known words was meant by one that is not among them. */
#include "base/span.h"

#define NEAR_FAR 99u

/*
 * How many slips make one of the other: a letter too many, missing or wrong, or
 * two neighbours swapped.  NEAR_FAR when either has 63 octets or more.
 */
unsigned near_slips(struct span a, struct span b);

/* May `slips` be a slip of the pen in `word`, rather than another word? */
bool near_enough(struct span word, unsigned slips);

/* The name among n that was meant by a word: it begins one, or the nearest by
 * near_enough().  NULL: none. */
const char *near_name(struct span word, const char *const *names, size_t n);

#endif
