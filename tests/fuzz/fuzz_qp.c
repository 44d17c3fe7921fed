/*
 * tests/fuzz/fuzz_qp.c - quoted-printable against a decoder of its own
 *
 * A line that was encoded decodes to itself (RFC 2045 section 6.7); soft line
 * breaks and cut base64 change no octet of what is meant; no line is longer
 * than 76 octets, begins with "-" (a delimiter might) or ends with a blank.
 */
#include "base/bug.h"
#include "base/buf.h"
#include "mail/qp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* As lenient as readers are: what is no code stands for itself. */
static void decode(struct span s, struct buf *out)
{
	size_t i;

	for (i = 0; i < s.len; i++) {
		bool code = s.p[i] == '=' && s.len - i >= 3;

		if (code && s.p[i + 1] == '\r' && s.p[i + 2] == '\n') {
			i += 2;
		} else if (code && hex(s.p[i + 1]) >= 0 &&
			   hex(s.p[i + 2]) >= 0) {
			(void)buf_add_char(out, (char)(hex(s.p[i + 1]) * 16 +
						       hex(s.p[i + 2])));
			i += 2;
		} else {
			(void)buf_add_char(out, s.p[i]);
		}
	}
	BUG_ON(out->failed < 0);
}

static void check_lines(struct span s, bool dashes)
{
	size_t i, column = 0;

	for (i = 0; i < s.len; i++) {
		if (s.p[i] == '\n') {
			BUG_ON(i == 0 || s.p[i - 1] != '\r');
			column = 0;
			continue;
		}
		BUG_ON(dashes && column == 0 && s.p[i] == '-');
		if (s.p[i] != '\r')
			BUG_ON(++column > 76);
	}
}

static void lines(struct span line, struct buf *b, struct buf *back)
{
	size_t i;

	buf_clear(b);
	buf_clear(back);
	qp_put_line(b, line);
	check_lines(buf_span(b), true);
	for (i = 0; i < b->len; i++)
		BUG_ON(b->p[i] == '\0' || (unsigned char)b->p[i] > 126);
	BUG_ON(b->len > 0 &&
	       (b->p[b->len - 1] == ' ' || b->p[b->len - 1] == '\t'));
	decode(buf_span(b), back);
	BUG_ON(!span_eq(buf_span(back), line));
}

static void soft(struct span line, struct buf *b, struct buf *back)
{
	struct buf want;

	buf_init(&want, 1 << 28);
	buf_clear(b);
	buf_clear(back);
	qp_put_soft(b, line);
	check_lines(buf_span(b), true);
	decode(buf_span(b), back);
	decode(line, &want);
	BUG_ON(!span_eq(buf_span(back), buf_span(&want)));
	buf_free(&want);
}

static void base64(struct span line, struct buf *b)
{
	size_t i, at = 0;

	buf_clear(b);
	qp_put_base64(b, line);
	check_lines(buf_span(b), false);
	for (i = 0; i < b->len; i++)
		if (b->p[i] != '\r' && b->p[i] != '\n')
			BUG_ON(at == line.len || b->p[i] != line.p[at++]);
	BUG_ON(at != line.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span line = span_of(data, size);
	struct buf b, back;

	/* A line has no line end in it. */
	if (span_find(line, '\n') >= 0 || span_find(line, '\r') >= 0)
		return 0;
	buf_init(&b, 1 << 28);
	buf_init(&back, 1 << 28);
	lines(line, &b, &back);
	soft(line, &b, &back);
	base64(line, &b);
	buf_free(&b);
	buf_free(&back);
	return 0;
}
