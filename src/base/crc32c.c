/*
 * base/crc32c.c - CRC32C with the CPU's instructions where it has them
 *
 * One crc32 instruction waits three cycles for the one before it, and another
 * could begin in each.  So a block is cut into three lanes that are read side
 * by side; three reads from memory are under way as well, and content that is
 * about to go out has often not been touched for long.
 *
 *	| lane a | lane b | lane c |	crc = a x^16n + b x^8n + c  mod P
 *
 * for lanes of n octets.  A multiplication mod P is one without carry, and one
 * more crc32 that divides: that adds x^33, which the constants lack.
 */
#include "base/crc32c.h"

#include "base/fetch.h"

#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define POLY 0x82f63b78u /* reflected */

uint32_t crc32c_portable(uint32_t crc, const void *p, size_t len)
{
	/* One nibble at a time: 16 entries, computed at first use each. */
	const unsigned char *at = p;
	uint32_t table[16];
	unsigned i, bit;

	for (i = 0; i < 16; i++) {
		uint32_t v = i;

		for (bit = 0; bit < 4; bit++)
			v = (v >> 1) ^ (v & 1 ? POLY : 0);
		table[i] = v;
	}
	crc = ~crc;
	while (len-- > 0) {
		crc ^= *at++;
		crc = (crc >> 4) ^ table[crc & 15];
		crc = (crc >> 4) ^ table[crc & 15];
	}
	return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t
crc32c_sse42(uint32_t crc, const void *p, size_t len)
{
	const unsigned char *at = p;
	uint64_t c = ~crc, word;

	for (; len >= 8; at += 8, len -= 8) {
		memcpy(&word, at, 8);
		c = __builtin_ia32_crc32di(c, word);
	}
	for (; len > 0; at++, len--)
		c = __builtin_ia32_crc32qi((uint32_t)c, *at);
	return ~(uint32_t)c;
}

/* Lanes of n octets, and x^(8n-33), x^(16n-33) mod P, reflected. */
static const struct lane {
	size_t n;
	uint32_t one, two;
} lanes[] = {
	{ 1024, 0x170076fau, 0xa51b6135u },
	{ 256, 0xb9e02b86u, 0xdd7e3b0cu },
	{ 64, 0x9e4addf8u, 0x0d3b6092u },
};

#define FETCH      4096u
#define WITH_LANES __attribute__((target("sse4.2,pclmul")))

WITH_LANES static uint64_t times(uint64_t crc, uint32_t power)
{
	__m128i a = _mm_cvtsi64_si128((long long)crc);
	__m128i b = _mm_cvtsi64_si128((long long)power);

	return (uint64_t)_mm_cvtsi128_si64(_mm_clmulepi64_si128(a, b, 0));
}

WITH_LANES static uint64_t take_lanes(uint64_t a, const unsigned char *at,
				      const struct lane *lane)
{
	uint64_t b = 0, c = 0, word[3];
	size_t i;

	for (i = 0; i < lane->n; i += 8) {
		memcpy(&word[0], at + i, 8);
		memcpy(&word[1], at + lane->n + i, 8);
		memcpy(&word[2], at + 2 * lane->n + i, 8);
		a = __builtin_ia32_crc32di(a, word[0]);
		b = __builtin_ia32_crc32di(b, word[1]);
		c = __builtin_ia32_crc32di(c, word[2]);
	}
	a = times(a, lane->two) ^ times(b, lane->one);
	return __builtin_ia32_crc32di(0, a) ^ c;
}

WITH_LANES static uint32_t crc32c_lanes(uint32_t crc, const void *p, size_t len)
{
	const unsigned char *at = p;
	uint64_t c = ~crc;
	size_t i;

	/* Nothing has touched it, as a rule: ask for all of it at once.  What
	 * the CPU fetches by itself begins anew in each page, and late. */
	fetch_ahead(at, len < FETCH ? len : FETCH);
	for (i = 0; i < sizeof(lanes) / sizeof(lanes[0]); i++) {
		size_t block = 3 * lanes[i].n;

		for (; len >= block; at += block, len -= block)
			c = take_lanes(c, at, &lanes[i]);
	}
	return crc32c_sse42(~(uint32_t)c, at, len);
}

uint32_t crc32c(uint32_t crc, const void *p, size_t len)
{
	if (__builtin_cpu_supports("pclmul") &&
	    __builtin_cpu_supports("sse4.2"))
		return crc32c_lanes(crc, p, len);
	if (__builtin_cpu_supports("sse4.2"))
		return crc32c_sse42(crc, p, len);
	return crc32c_portable(crc, p, len);
}
#else
uint32_t crc32c(uint32_t crc, const void *p, size_t len)
{
	return crc32c_portable(crc, p, len);
}
#endif
