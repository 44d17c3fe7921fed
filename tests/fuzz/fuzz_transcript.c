/*
 * tests/fuzz/fuzz_transcript.c - any conversation as lines
 *
 * The first octet says whether it begins midway; then pieces: a side, a
 * length, octets.  Whole and octet by octet must give the same lines, none
 * longer than the cap, and no octet of content: whatever stands between a
 * 354 to DATA and its dot.
 */
#include "smtp/transcript.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

static uint64_t mix(uint64_t sum, struct span line)
{
	size_t i;

	must(line.len <= TRANSCRIPT_LINE_MAX + 4);
	for (i = 0; i < line.len; i++)
		sum = (sum ^ (unsigned char)line.p[i]) * 1099511628211u;
	return sum * 31 + 1;
}

static uint64_t play(const uint8_t *data, size_t size, size_t step)
{
	static struct transcript t;
	uint64_t sum = 0;
	size_t at = 1, len, n;

	transcript_begin(&t, data[0] % 2 == 0);
	while (at + 2 < size) {
		enum transcript_side side =
			data[at] % 2 == 0 ? TRANSCRIPT_OURS : TRANSCRIPT_THEIRS;

		len = data[at + 1];
		at += 2;
		if (len > size - at)
			len = size - at;
		for (; len > 0; len -= n, at += n) {
			struct span s, line;

			n = len < step ? len : step;
			s = span_of(data + at, n);
			while (transcript_take(&t, side, &s, &line)) {
				must(side != TRANSCRIPT_OURS || !t.midway ||
				     t.ours == TRANSCRIPT_CONTENT);
				sum = mix(sum, line);
			}
			must(s.len == 0);
		}
	}
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0)
		must(play(data, size, 1) == play(data, size, 300));
	return 0;
}
