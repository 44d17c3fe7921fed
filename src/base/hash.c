/*
 * base/hash.c - a stable hash of octets
 *
 * Eight octets at a time, each folded in by the SplitMix64 finalizer; the
 * length goes in first, so that no string is a prefix of another's state.
 */
#include "base/hash.h"

uint64_t hash_bytes(const void *p, size_t len, uint64_t seed)
{
	const unsigned char *at = p;
	uint64_t h = hash_pair(seed, len), word;
	size_t i, n;

	while (len > 0) {
		n = len < 8 ? len : 8;
		word = 0;
		for (i = 0; i < n; i++)
			word |= (uint64_t)at[i] << (8 * i);
		h = hash_pair(h, word);
		at += n;
		len -= n;
	}
	return h;
}
