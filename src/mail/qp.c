/*
 * mail/qp.c - quoted-printable, and long lines of encoded parts made shorter
 */
#include "mail/qp.h"

#define QP_LINE_MAX     75u /* and "=" makes 76, RFC 2045 section 6.7 (5) */
#define BASE64_LINE_MAX 76u

static const char hex[] = "0123456789ABCDEF";

/* Put a token that must not be broken. */
static void put_token(struct buf *b, size_t *column, const char *p, size_t len)
{
	if (*column + len > QP_LINE_MAX) {
		(void)buf_add(b, "=\r\n", 3);
		*column = 0;
	}
	if (*column == 0 && *p == '-') {
		p = "=2D";
		len = 3;
	}
	(void)buf_add(b, p, len);
	*column += len;
}

void qp_put_line(struct buf *b, struct span line)
{
	size_t column = 0, i, text = span_trim(line).len;

	/* span_trim() cuts at both ends; only the end of the line counts. */
	if (text > 0)
		text += (size_t)(span_trim(line).p - line.p);
	for (i = 0; i < line.len; i++) {
		unsigned char c = (unsigned char)line.p[i];
		char code[3] = { '=', hex[c >> 4], hex[c & 15] };
		bool blank = c == ' ' || c == '\t';

		if ((blank && i < text) || (c > ' ' && c < 0x7f && c != '='))
			put_token(b, &column, line.p + i, 1);
		else
			put_token(b, &column, code, 3);
	}
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') ||
	       ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

void qp_put_soft(struct buf *b, struct span line)
{
	size_t column = 0, i, len;

	for (i = 0; i < line.len; i += len) {
		len = line.p[i] == '=' && line.len - i >= 3 &&
				      is_hex(line.p[i + 1]) &&
				      is_hex(line.p[i + 2])
			      ? 3
			      : 1;
		put_token(b, &column, line.p + i, len);
	}
}

void qp_put_base64(struct buf *b, struct span line)
{
	while (line.len > BASE64_LINE_MAX) {
		(void)buf_add(b, line.p, BASE64_LINE_MAX);
		(void)buf_add(b, "\r\n", 2);
		line.p += BASE64_LINE_MAX;
		line.len -= BASE64_LINE_MAX;
	}
	(void)buf_add_span(b, line);
}
