/*
 * tests/fuzz/fuzz_event.c - any octets in an OUT record's notes
 *
 * Octets: state, length of the first note, then the attempt's note, then the
 * recipient's.  Servers choose much of what stands there (replies, host
 * names).  What is printed must be one line of flat JSON with keys that differ
 * and UTF-8 that is valid, and its key must be read back.
 */
#include "base/bug.h"
#include "base/utf8.h"
#include "report/event.h"

#include <ctype.h>

#define KEYS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Past the string that begins at p[i]; its text. */
static size_t past_string(struct span s, size_t i, struct span *text_r)
{
	size_t from = i + 1, n;

	BUG_ON(s.p[i] != '"');
	for (i = from; s.p[i] != '"'; i += n) {
		unsigned char c = (unsigned char)s.p[i];

		/* Behind it: its quote, "}" and LF at least. */
		BUG_ON(i + 3 >= s.len || c < 32 || c == 127);
		n = c < 128 ? 1 : utf8_len((const void *)(s.p + i), s.len - i);
		BUG_ON(n == 0 || i + n + 2 >= s.len);
		if (c == '\\' && s.p[i + 1] == 'u')
			for (n = 2; n < 6; n++)
				BUG_ON(!isxdigit((unsigned char)s.p[i + n]));
		else if (c == '\\')
			n = 2;
	}
	*text_r = span_of(s.p + from, i - from);
	return i + 1;
}

static size_t past_value(struct span s, size_t i)
{
	struct span text;
	size_t from = i;

	if (s.p[i] == '"')
		return past_string(s, i, &text);
	if (s.len - i > 5 && memcmp(s.p + i, "false", 5) == 0)
		return i + 5;
	if (s.len - i > 4 && memcmp(s.p + i, "true", 4) == 0)
		return i + 4;
	while (isdigit((unsigned char)s.p[i]))
		i++;
	BUG_ON(i == from || (s.p[from] == '0' && i > from + 1));
	return i;
}

static void check_line(struct span s)
{
	struct span keys[KEYS_MAX];
	size_t i = 0, k, n = 0;

	BUG_ON(s.len < 20 || s.p[0] != '{' ||
	       memcmp(s.p + s.len - 2, "}\n", 2) != 0);
	do {
		BUG_ON(n == KEYS_MAX);
		i = past_string(s, i + 1, &keys[n]);
		for (k = 0; k < n; k++)
			BUG_ON(span_eq(keys[k], keys[n]));
		n++;
		BUG_ON(s.p[i] != ':');
		i = past_value(s, i + 1);
	} while (s.p[i] == ',');
	BUG_ON(i != s.len - 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum queue_state states[] = {
		QUEUE_WAITING,   QUEUE_DELIVERED, QUEUE_BOUNCED, QUEUE_EXPIRED,
		QUEUE_CANCELLED, QUEUE_HELD,      QUEUE_DAMAGED
	};
	struct queue_out_rcpt rcpts[2] = { { .rcpt = 0 }, { .rcpt = 1 } };
	struct queue_record rec = { .type = QUEUE_REC_OUT, .lsn = 4096 };
	struct buf b;
	uint64_t lsn;
	size_t half;
	uint32_t n, i;

	if (size < 2)
		return 0;
	half = data[1] < size - 2 ? data[1] : size - 2;
	rec.out.note = span_of(data + 2, half);
	rec.out.domain = rec.out.note;
	for (i = 0; i < 2; i++)
		rcpts[i].state =
			(uint8_t)states[(data[0] + i) % ARRAY_LEN(states)];
	rcpts[0].note = span_of(data + 2 + half, size - 2 - half);
	rec.out.rcpts = rcpts;
	rec.out.rcpt_count = 2;
	buf_init(&b, 1 << 24);
	for (i = 0; i < 2; i++) {
		buf_clear(&b);
		BUG_ON(event_lines(&rec, 1 - i, &b) != 2);
		if (i == 0)
			check_line(buf_span(&b));
		BUG_ON(event_key(buf_span(&b), &lsn, &n) != 0);
		BUG_ON(lsn != 4096 || n != 1 - i);
	}
	check_line(span_of(b.p, (size_t)span_find(buf_span(&b), '\n') + 1));
	buf_free(&b);
	return 0;
}
