/*
 * base/crc32c_fold.c - CRC32C by multiplications without carry, many at a time
 *
 * Octets that stand D bits before others count x^D times as much.  Instead of
 * dividing at once they are multiplied by x^D mod P and added (xor) to those
 * others, in each 128 bits of a register on its own:
 *
 *	| hi . lo |  ── D bits ──►  | next |    next + lo x^(D+64) + hi x^D
 *
 * lo is what is first in memory, so it is 64 bits further away.  Octets are
 * reflected: bit 0 is the highest power.  A product of two reflected numbers is
 * one bit short of a place, and a constant of 32 bits lies in the lower half of
 * its 64: together x^33 too many, which the constants lack:
 *
 *	x^(D+64-33) mod P,  x^(D-33) mod P
 *
 * Four registers go forward by all their octets a step.  At the end three are
 * folded into the fourth, then its parts of 128 bits into the last of them, and
 * two crc32 instructions divide that.  The CRC so far is part of the first four
 * octets.
 */
#include "base/crc32c_ways.h"

#if defined(__x86_64__)
#include <immintrin.h>

/* lo, hi: the pair above. */
#define BY_128  0xf20c0dfe, 0x493c7d27
#define BY_256  0x3da6d0cb, 0xba4fc28e
#define BY_384  0x1c291d04, 0xddc0152b
#define BY_512  0x740eef02, 0x9e4addf8
#define BY_1024 0x6992cea2, 0x0d3b6092
#define BY_2048 0xdcb17aa4, 0xb9e02b86

struct pair {
	uint64_t lo, hi;
};

static const struct pair by_256 = { BY_256 }, by_512 = { BY_512 },
			 by_1024 = { BY_1024 }, by_2048 = { BY_2048 };
/* The parts of a register into its last one, which stays. */
static const struct pair ends_avx512[4] = { { BY_384 },
					    { BY_256 },
					    { BY_128 } };
static const struct pair ends_avx2[2] = { { BY_128 } };

/* Below, the ends cost more than folding saves. */
#define FOLD_MIN 128u

/* What has been folded to 128 bits, and the octets that were too few. */
__attribute__((target("sse4.2"))) static inline uint32_t
divide(__m128i folded, const unsigned char *at, size_t len)
{
	uint64_t lo = (uint64_t)_mm_cvtsi128_si64(folded);
	uint64_t hi = (uint64_t)_mm_extract_epi64(folded, 1);
	uint64_t c = _mm_crc32_u64(_mm_crc32_u64(0, lo), hi);

	return crc32c_sse42(~(uint32_t)c, at, len);
}

/* --- AVX-512: 4 x 64 octets ---------------------------------------------- */

#define WITH_AVX512                                                            \
	__attribute__((target("avx512f,avx512vl,vpclmulqdq,sse4.2")))

WITH_AVX512 static inline __m512i every_512(const struct pair *by)
{
	return _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)by));
}

WITH_AVX512 static inline __m512i fold_512(__m512i a, __m512i by, __m512i next)
{
	__m512i lo = _mm512_clmulepi64_epi128(a, by, 0x00);
	__m512i hi = _mm512_clmulepi64_epi128(a, by, 0x11);

	return _mm512_ternarylogic_epi64(lo, hi, next, 0x96); /* xor */
}

WITH_AVX512 static inline __m128i ends_512(__m512i a)
{
	__m512i last = _mm512_maskz_mov_epi64(0xc0, a);
	__m256i b;

	a = fold_512(a, _mm512_loadu_si512(ends_avx512), last);
	b = _mm256_xor_si256(_mm512_castsi512_si256(a),
			     _mm512_extracti64x4_epi64(a, 1));
	return _mm_xor_si128(_mm256_castsi256_si128(b),
			     _mm256_extracti128_si256(b, 1));
}

WITH_AVX512 uint32_t crc32c_fold_avx512(uint32_t crc, const void *p, size_t len)
{
	const unsigned char *at = p;
	__m512i step, a, b, c, d;
	__m128i rest;

	if (len < FOLD_MIN)
		return crc32c_sse42(crc, p, len);
	/* Not above: the few octets would leave with dirty upper halves. */
	step = every_512(&by_512);
	a = _mm512_zextsi128_si512(_mm_cvtsi32_si128((int)~crc));
	a = _mm512_xor_si512(a, _mm512_loadu_si512(at));
	if (len >= 256) {
		__m512i far = every_512(&by_2048);

		b = _mm512_loadu_si512(at + 64);
		c = _mm512_loadu_si512(at + 128);
		d = _mm512_loadu_si512(at + 192);
		for (at += 256, len -= 256; len >= 256; at += 256, len -= 256) {
			a = fold_512(a, far, _mm512_loadu_si512(at));
			b = fold_512(b, far, _mm512_loadu_si512(at + 64));
			c = fold_512(c, far, _mm512_loadu_si512(at + 128));
			d = fold_512(d, far, _mm512_loadu_si512(at + 192));
		}
		b = fold_512(a, step, b);
		d = fold_512(c, step, d);
		a = fold_512(b, every_512(&by_1024), d);
	} else {
		at += 64;
		len -= 64;
	}
	for (; len >= 64; at += 64, len -= 64)
		a = fold_512(a, step, _mm512_loadu_si512(at));
	rest = ends_512(a);
	_mm256_zeroupper(); /* link-time optimisation forgets it */
	return divide(rest, at, len);
}

/* --- AVX2: 4 x 32 octets ------------------------------------------------- */

#define WITH_AVX2 __attribute__((target("avx2,vpclmulqdq,sse4.2")))

WITH_AVX2 static inline __m256i every_256(const struct pair *by)
{
	return _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)by));
}

WITH_AVX2 static inline __m256i load_256(const unsigned char *at)
{
	return _mm256_loadu_si256((const void *)at);
}

WITH_AVX2 static inline __m256i fold_256(__m256i a, __m256i by, __m256i next)
{
	__m256i lo = _mm256_clmulepi64_epi128(a, by, 0x00);
	__m256i hi = _mm256_clmulepi64_epi128(a, by, 0x11);

	return _mm256_xor_si256(_mm256_xor_si256(lo, hi), next);
}

WITH_AVX2 static inline __m128i ends_256(__m256i a)
{
	__m256i by = _mm256_loadu_si256((const void *)ends_avx2);
	__m256i last = _mm256_blend_epi32(_mm256_setzero_si256(), a, 0xf0);

	a = fold_256(a, by, last);
	return _mm_xor_si128(_mm256_castsi256_si128(a),
			     _mm256_extracti128_si256(a, 1));
}

WITH_AVX2 uint32_t crc32c_fold_avx2(uint32_t crc, const void *p, size_t len)
{
	const unsigned char *at = p;
	__m256i step, a, b, c, d;
	__m128i rest;

	if (len < FOLD_MIN)
		return crc32c_sse42(crc, p, len);
	step = every_256(&by_256);
	a = _mm256_zextsi128_si256(_mm_cvtsi32_si128((int)~crc));
	a = _mm256_xor_si256(a, load_256(at));
	b = load_256(at + 32);
	c = load_256(at + 64);
	d = load_256(at + 96);
	for (at += 128, len -= 128; len >= 128; at += 128, len -= 128) {
		__m256i far = every_256(&by_1024);

		a = fold_256(a, far, load_256(at));
		b = fold_256(b, far, load_256(at + 32));
		c = fold_256(c, far, load_256(at + 64));
		d = fold_256(d, far, load_256(at + 96));
	}
	b = fold_256(a, step, b);
	d = fold_256(c, step, d);
	a = fold_256(b, every_256(&by_512), d);
	for (; len >= 32; at += 32, len -= 32)
		a = fold_256(a, step, load_256(at));
	rest = ends_256(a);
	_mm256_zeroupper();
	return divide(rest, at, len);
}
#endif
