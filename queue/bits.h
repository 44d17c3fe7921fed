#ifndef MTAQ_QUEUE_BITS_H
#define MTAQ_QUEUE_BITS_H

/* Sets of recipients as arrays of 64-bit words. */
#include <stdbool.h>
#include <stdint.h>

static inline bool bits_has(const uint64_t *w, uint32_t i)
{
	return (w[i / 64] >> (i % 64)) & 1;
}

static inline void bits_set(uint64_t *w, uint32_t i)
{
	w[i / 64] |= 1ull << (i % 64);
}

static inline void bits_clear(uint64_t *w, uint32_t i)
{
	w[i / 64] &= ~(1ull << (i % 64));
}

static inline uint32_t bits_count(const uint64_t *w, uint32_t words)
{
	uint32_t i, n = 0;

	for (i = 0; i < words; i++)
		if (w[i] != 0) /* most are, and this is a call */
			n += (uint32_t)__builtin_popcountll(w[i]);
	return n;
}

/* The lowest member, or words * 64. */
static inline uint32_t bits_first(const uint64_t *w, uint32_t words)
{
	uint32_t i;

	for (i = 0; i < words; i++)
		if (w[i] != 0)
			return i * 64 + (uint32_t)__builtin_ctzll(w[i]);
	return words * 64;
}

/* One behind the highest member; 0 when empty. */
static inline uint32_t bits_end(const uint64_t *w, uint32_t words)
{
	uint32_t i;

	for (i = words; i > 0; i--)
		if (w[i - 1] != 0)
			return i * 64 - (uint32_t)__builtin_clzll(w[i - 1]);
	return 0;
}

#endif
