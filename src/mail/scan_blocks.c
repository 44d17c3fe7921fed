/*
 * mail/scan_blocks.c - 64 octets of a message at a time
 *
 * A block becomes words with a bit for each octet that is a LF, a CR, and so
 * on.  Where each LF stands behind a CR, and each CR before a LF, one shifted
 * by a bit is the other, with the last bit of the block before carried in:
 *
 *	octets	. h i CR LF b y CR | LF
 *	CR	0 0 0  1  0 0 0  1 |  0
 *	LF	0 0 0  0  1 0 0  0 |  1		= CR shifted
 *
 * Nothing asks for a line but its length, so there is no loop over lines, whose
 * lengths no CPU can guess.  A message with a bare CR or LF or a NUL is looked
 * at once more, line by line.
 */
#include "mail/canon.h"
#include "mail/scan_ways.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#define BLOCK  64
#define INLINE __attribute__((always_inline)) static inline

/* Bit i is octet i. */
struct bits {
	uint64_t lf, cr, dot, nul, high;
};

struct blocks {
	uint64_t odd, dots, high;
	uint64_t after_cr, after_lf; /* the block begins behind one: 1 */
	const char *line;            /* where the line begins */
	bool wide;
};

INLINE void see(struct blocks *b, const char *at, struct bits is)
{
	b->odd |= (is.lf ^ (is.cr << 1 | b->after_cr)) | is.nul;
	b->dots |= is.dot & (is.lf << 1 | b->after_lf);
	b->high |= is.high;
	b->after_cr = is.cr >> 63;
	b->after_lf = is.lf >> 63;
	if (is.lf == 0)
		return;
	/* Lines between two LF of one block are short. */
	if (at + __builtin_ctzll(is.lf) - b->line > CANON_LINE_MAX + 1)
		b->wide = true;
	b->line = at + BLOCK - __builtin_clzll(is.lf);
}

/* False: there is something odd. */
INLINE bool scan_plain(struct span message,
		       struct bits (*bits_of)(const char *),
		       struct scan_seen *seen_r)
{
	const char *p = message.p, *end = p + message.len;
	struct blocks b = { .after_lf = 1, .line = p };
	char last[BLOCK];

	for (; end - p >= BLOCK; p += BLOCK)
		see(&b, p, bits_of(p));
	memset(last, ' ', sizeof(last));
	if (p < end)
		memcpy(last, p, (size_t)(end - p));
	see(&b, p, bits_of(last));
	if (end - b.line > CANON_LINE_MAX)
		b.wide = true;
	*seen_r = (struct scan_seen){ .high = b.high != 0,
				      .dots = b.dots != 0,
				      .wide = b.wide };
	return b.odd == 0;
}

#define AVX2 __attribute__((target("avx2")))

AVX2 INLINE uint64_t both(__m256i a, __m256i b)
{
	return (uint32_t)_mm256_movemask_epi8(a) |
	       (uint64_t)(uint32_t)_mm256_movemask_epi8(b) << 32;
}

AVX2 INLINE uint64_t equal(__m256i a, __m256i b, char c)
{
	__m256i all = _mm256_set1_epi8(c);

	return both(_mm256_cmpeq_epi8(a, all), _mm256_cmpeq_epi8(b, all));
}

AVX2 INLINE struct bits bits_avx2(const char *p)
{
	__m256i a = _mm256_loadu_si256((const __m256i_u *)p);
	__m256i b = _mm256_loadu_si256((const __m256i_u *)(p + BLOCK / 2));

	return (struct bits){ .lf = equal(a, b, '\n'),
			      .cr = equal(a, b, '\r'),
			      .dot = equal(a, b, '.'),
			      .nul = equal(a, b, '\0'),
			      .high = both(a, b) };
}

AVX2 void scan_avx2(struct span message, struct scan_seen *seen_r)
{
	if (!scan_plain(message, bits_avx2, seen_r))
		scan_lines(message, seen_r);
}

#define AVX512 __attribute__((target("avx512f,avx512bw")))

AVX512 INLINE struct bits bits_avx512(const char *p)
{
	__m512i v = _mm512_loadu_si512(p);

	return (struct bits){
		.lf = _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('\n')),
		.cr = _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('\r')),
		.dot = _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('.')),
		.nul = _mm512_testn_epi8_mask(v, v),
		.high = _mm512_movepi8_mask(v),
	};
}

AVX512 void scan_avx512(struct span message, struct scan_seen *seen_r)
{
	if (!scan_plain(message, bits_avx512, seen_r))
		scan_lines(message, seen_r);
}
#endif
