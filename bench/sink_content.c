/*
 * bench/sink_content.c - un-stuff, hash, find the token
 *
 *	        CR          LF          .           CR          LF
 *	MID ---------> CR -----> LINE -----> DOT -------> DOTCR -----> end
 *	 ^              |         |           |             |
 *	 +--------------+---------+-----------+-------------+  anything else
 *
 * Only CRLF . CRLF ends the data (RFC 5321 section 4.1.1.4): a bare LF or CR
 * around the dot is content, or this sink would hide what smuggles mail.  The
 * dot in front of a line's other octets is taken out.
 */
#include "bench/sink_content.h"

#include "base/crc32c.h"
#include "base/span.h"

#include <string.h>

#define TOKEN_FIELD "X-Mtaq-Token:"

void sink_content_begin(struct sink_content *c)
{
	c->len = 0;
	c->crc = 0;
	c->bare_lf = 0;
	c->dot = SINK_DOT_LINE;
	c->in_header = true;
	c->token_len = c->carry_len = 0;
}

static void header_line(struct sink_content *c, struct span line)
{
	struct span value;
	size_t i;

	if (line.len > 0 && line.p[line.len - 1] == '\r')
		line.len--;
	if (line.len == 0) {
		c->in_header = false;
		return;
	}
	if (!span_starts_nocase(line, SPAN(TOKEN_FIELD)))
		return;
	value = span_trim(span_of(line.p + strlen(TOKEN_FIELD),
				  line.len - strlen(TOKEN_FIELD)));
	if (value.len > SINK_TOKEN_MAX)
		value.len = SINK_TOKEN_MAX;
	for (i = 0; i < value.len; i++)
		c->token[i] =
			value.p[i] > ' ' && value.p[i] < 127 ? value.p[i] : '?';
	c->token_len = (uint8_t)value.len;
}

static void header_carry(struct sink_content *c, const char *p, size_t n)
{
	if (n > SINK_CARRY_MAX - c->carry_len)
		n = SINK_CARRY_MAX - c->carry_len;
	memcpy(c->carry + c->carry_len, p, n);
	c->carry_len = (uint8_t)(c->carry_len + n);
}

static void header_feed(struct sink_content *c, const char *p, size_t n)
{
	while (n > 0 && c->in_header) {
		const char *nl = memchr(p, '\n', n);
		size_t len = nl == NULL ? n : (size_t)(nl - p);

		if (nl == NULL) {
			header_carry(c, p, len);
			return;
		}
		if (c->carry_len == 0) {
			header_line(c, span_of(p, len));
		} else {
			header_carry(c, p, len);
			header_line(c, span_of(c->carry, c->carry_len));
			c->carry_len = 0;
		}
		p += len + 1;
		n -= len + 1;
	}
}

void sink_content_raw(struct sink_content *c, const char *p, size_t n)
{
	if (n == 0)
		return;
	c->crc = crc32c(c->crc, p, n);
	c->len += n;
	if (c->in_header)
		header_feed(c, p, n);
}

/* Within a line: go behind the next line feed, or to the end. */
static size_t skip_line(struct sink_content *c, const char *p, size_t i,
			size_t n)
{
	const char *nl = memchr(p + i, '\n', n - i);
	size_t at;

	if (nl == NULL) {
		c->dot = p[n - 1] == '\r' ? SINK_DOT_CR : SINK_DOT_MID;
		return n;
	}
	at = (size_t)(nl - p);
	if (at > i && p[at - 1] == '\r') {
		c->dot = SINK_DOT_LINE;
	} else {
		c->dot = SINK_DOT_MID;
		c->bare_lf++;
	}
	return at + 1;
}

size_t sink_content_data(struct sink_content *c, const char *p, size_t n,
			 bool *done_r)
{
	size_t i = 0, start = 0; /* [start, i) is content not yet hashed */

	*done_r = false;
	while (i < n) {
		switch (c->dot) {
		case SINK_DOT_MID:
			i = skip_line(c, p, i, n);
			break;
		case SINK_DOT_CR:
			c->dot = SINK_DOT_MID;
			if (p[i] == '\n') {
				c->dot = SINK_DOT_LINE;
				i++;
			}
			break;
		case SINK_DOT_LINE:
			c->dot = SINK_DOT_MID;
			if (p[i] == '.') {
				sink_content_raw(c, p + start, i - start);
				c->dot = SINK_DOT_DOT;
				start = ++i;
			}
			break;
		case SINK_DOT_DOT:
			c->dot = SINK_DOT_MID;
			if (p[i] == '\r') {
				c->dot = SINK_DOT_DOTCR;
				start = ++i;
			}
			break;
		case SINK_DOT_DOTCR:
			if (p[i] == '\n') {
				*done_r = true;
				return i + 1;
			}
			sink_content_raw(c, "\r", 1);
			c->dot = SINK_DOT_CR;
			break;
		}
	}
	sink_content_raw(c, p + start, i - start);
	return n;
}
