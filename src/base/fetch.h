#ifndef MTAQ_BASE_FETCH_H
#define MTAQ_BASE_FETCH_H

/*
 * A word to the processor that these octets are read soon.  Nothing waits for
 * them, and nothing is wrong when they are never read, or are not there.
 */
#include <stddef.h>

static inline void fetch_ahead(const void *p, size_t len)
{
	const char *at = p;
	size_t i;

	for (i = 0; i < len; i += 64)
		__builtin_prefetch(at + i);
	/* To the compiler a function that does only this does nothing, and
	 * whoever sees through the call leaves it out. */
	__asm__ volatile("" : : "r"(at));
}

#endif
