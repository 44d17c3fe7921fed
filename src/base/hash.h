#ifndef MTAQ_BASE_HASH_H
#define MTAQ_BASE_HASH_H

/*
 * Hashes for tables in memory and for spreading (jitter, worker of a site).
 * hash_bytes() is stable over versions and machines: slots on disk are
 * derived from it.  It is no defence against chosen keys; tables that hold
 * keys from outside are bounded instead.
 */
#include <stddef.h>
#include <stdint.h>

/* The finalizer of SplitMix64: a bijection that mixes well. */
static inline uint64_t hash_u64(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ull;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebull;
	x ^= x >> 31;
	return x;
}

static inline uint64_t hash_pair(uint64_t a, uint64_t b)
{
	return hash_u64(a + 0x9e3779b97f4a7c15ull * (b + 1));
}

uint64_t hash_bytes(const void *p, size_t len, uint64_t seed);

#endif
