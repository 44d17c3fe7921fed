/*
 * mail/scan.c - one look at all octets of a message
 *
 * The fastest way, where the CPU has wide registers, is in scan_blocks.c.  Here
 * what is canonical already is told by two memchr() a line and two passes over
 * blocks that are in the cache then.  All else may be slower, but every octet
 * is looked at a bounded number of times.
 */
#include "mail/canon.h"
#include "mail/header.h"
#include "mail/scan_ways.h"

#include <stdatomic.h>

#define BLOCK ((size_t)1 << 15)

bool scan_high(struct span s)
{
	const uint64_t mask = 0x8080808080808080u;
	uint64_t any = 0, word;
	size_t i = 0;

	for (; s.len - i >= sizeof(word); i += sizeof(word)) {
		memcpy(&word, s.p + i, sizeof(word));
		any |= word;
	}
	for (; i < s.len; i++)
		any |= (uint64_t)(unsigned char)s.p[i];
	return (any & mask) != 0;
}

static void see_line(const char *p, size_t len, struct scan_seen *seen)
{
	seen->wide = seen->wide || len > CANON_LINE_MAX;
	seen->dots = seen->dots || (len > 0 && *p == '.');
}

/* The octets before a LF (or the end), with a CR where none should be. */
static void see_broken(const char *p, const char *stop, const char *lf,
		       struct scan_seen *seen)
{
	while (p < stop) {
		const char *cr = memchr(p, '\r', (size_t)(stop - p));

		if (cr == NULL) {
			see_line(p, (size_t)(stop - p), seen);
			break;
		}
		see_line(p, (size_t)(cr - p), seen);
		if (seen->bare == NULL && cr + 1 != lf)
			seen->bare = cr;
		p = cr + 1;
		if (p == lf)
			return;
	}
	if (lf != NULL && seen->bare == NULL)
		seen->bare = lf;
}

/* NUL and octets over 127 in the block at p; where the next block begins. */
static const char *see_block(const char *p, const char *end,
			     struct scan_seen *seen)
{
	size_t len = (size_t)(end - p);

	if (len > BLOCK)
		len = BLOCK;
	if (seen->nul == NULL)
		seen->nul = memchr(p, '\0', len);
	seen->high = seen->high || scan_high(span_of(p, len));
	return p + len;
}

void scan_lines(struct span message, struct scan_seen *seen_r)
{
	const char *p = message.p, *end = p + message.len, *block = p;
	struct scan_seen seen = { .nul = NULL };

	while (p < end) {
		while (block <= p)
			block = see_block(block, end, &seen);
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		const char *stop = lf != NULL ? lf : end;
		const char *cr = memchr(p, '\r', (size_t)(stop - p));

		if (lf != NULL && cr != NULL && cr + 1 == lf)
			see_line(p, (size_t)(cr - p), &seen);
		else
			see_broken(p, stop, lf, &seen);
		p = stop + (lf != NULL);
	}
	while (block < end)
		block = see_block(block, end, &seen);
	*seen_r = seen;
}

/* --- which way --------------------------------------------------------------- */

static bool here_always(void)
{
	return true;
}

#if defined(__x86_64__)
static bool here_avx2(void)
{
	return __builtin_cpu_supports("avx2");
}

static bool here_avx512(void)
{
	return here_avx2() && __builtin_cpu_supports("avx512f") &&
	       __builtin_cpu_supports("avx512bw");
}
#endif

const struct scan_way scan_ways[] = {
#if defined(__x86_64__)
	{ "avx512", here_avx512, scan_avx512 },
	{ "avx2", here_avx2, scan_avx2 },
#endif
	{ "lines", here_always, scan_lines },
};
const size_t scan_way_count = sizeof(scan_ways) / sizeof(scan_ways[0]);

typedef void scan_fn(struct span message, struct scan_seen *seen_r);

static scan_fn first_use;

/* Whoever comes first chooses; two at once choose the same. */
static scan_fn *_Atomic chosen = first_use;

static void first_use(struct span message, struct scan_seen *seen_r)
{
	const struct scan_way *way = scan_ways;

	while (!way->here())
		way++;
	atomic_store_explicit(&chosen, way->scan, memory_order_relaxed);
	way->scan(message, seen_r);
}

void scan_message(struct span message, struct scan_seen *seen_r)
{
	atomic_load_explicit(&chosen, memory_order_relaxed)(message, seen_r);
}

uint64_t scan_line_number(struct span message, const char *p)
{
	struct span rest = message, line, text;
	uint64_t number = 0;

	while (header_line_next(&rest, &line, &text)) {
		number++;
		if (p < line.p + line.len)
			break;
	}
	return number;
}
