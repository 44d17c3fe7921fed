/*
 * base/crc32c.c - CRC32C with the CPU's instructions where it has them
 *
 * The fastest way, where there is VPCLMULQDQ, is in crc32c_fold.c.  Which one
 * this CPU has is asked once.  What comes next:
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

#include "base/crc32c_ways.h"
#include "base/fetch.h"

#include <stdatomic.h>
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

static bool here_always(void)
{
	return true;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t
crc32c_sse42(uint32_t crc, const void *p, size_t len)
{
	const unsigned char *at = p;
	uint64_t c = ~crc, word;
	uint32_t half;
	uint16_t pair;

	for (; len >= 8; at += 8, len -= 8) {
		memcpy(&word, at, 8);
		c = _mm_crc32_u64(c, word);
	}
	if (len & 4) {
		memcpy(&half, at, 4);
		c = _mm_crc32_u32((uint32_t)c, half);
		at += 4;
	}
	if (len & 2) {
		memcpy(&pair, at, 2);
		c = _mm_crc32_u16((uint32_t)c, pair);
		at += 2;
	}
	if (len & 1)
		c = _mm_crc32_u8((uint32_t)c, *at);
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
		a = _mm_crc32_u64(a, word[0]);
		b = _mm_crc32_u64(b, word[1]);
		c = _mm_crc32_u64(c, word[2]);
	}
	a = times(a, lane->two) ^ times(b, lane->one);
	return _mm_crc32_u64(0, a) ^ c;
}

WITH_LANES uint32_t crc32c_lanes(uint32_t crc, const void *p, size_t len)
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

static bool here_sse42(void)
{
	return __builtin_cpu_supports("sse4.2");
}

static bool here_lanes(void)
{
	return here_sse42() && __builtin_cpu_supports("pclmul");
}

static bool here_fold_avx2(void)
{
	return here_sse42() && __builtin_cpu_supports("avx2") &&
	       __builtin_cpu_supports("vpclmulqdq");
}

static bool here_fold_avx512(void)
{
	return here_fold_avx2() && __builtin_cpu_supports("avx512f") &&
	       __builtin_cpu_supports("avx512vl");
}
#endif

const struct crc32c_way crc32c_ways[] = {
#if defined(__x86_64__)
	{ "fold_avx512", here_fold_avx512, crc32c_fold_avx512 },
	{ "fold_avx2", here_fold_avx2, crc32c_fold_avx2 },
	{ "lanes", here_lanes, crc32c_lanes },
	{ "sse42", here_sse42, crc32c_sse42 },
#endif
	{ "portable", here_always, crc32c_portable },
};
const size_t crc32c_way_count = sizeof(crc32c_ways) / sizeof(crc32c_ways[0]);

typedef uint32_t crc_fn(uint32_t crc, const void *p, size_t len);

static crc_fn first_use;

/* Whoever comes first chooses; two at once choose the same. */
static crc_fn *_Atomic chosen = first_use;

static uint32_t first_use(uint32_t crc, const void *p, size_t len)
{
	const struct crc32c_way *way = crc32c_ways;

	while (!way->here())
		way++;
	atomic_store_explicit(&chosen, way->crc, memory_order_relaxed);
	return way->crc(crc, p, len);
}

uint32_t crc32c(uint32_t crc, const void *p, size_t len)
{
	return atomic_load_explicit(&chosen, memory_order_relaxed)(crc, p, len);
}
