/*
 * smtp/reply.c - one reply, octet by octet
 *
 * A line is read in three parts: the three digits, the octet behind them,
 * the text up to LF.  Text beyond SMTP_REPLY_LINE_KEPT is dropped, counted
 * towards the cap of the reply.  A line's text is cleaned when its LF comes,
 * CR off, enhanced code off: in buf where it came in parts, and on its way
 * there when all of it is at hand, as it nearly always is.
 */
#include "smtp/reply.h"

#include "base/bug.h"

#include <string.h>

#define HEAD 4u /* "250-" or "250 " */

void smtp_reply_init(struct smtp_reply *r, char *buf)
{
	*r = (struct smtp_reply){ .buf = buf };
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* One to three digits, at least one; returns how many, 0 when none. */
static size_t number(struct span t, uint16_t *value_r)
{
	size_t n = 0;
	unsigned v = 0;

	while (n < t.len && n < 4 && is_digit(t.p[n]))
		v = v * 10 + (unsigned)(t.p[n++] - '0');
	if (n == 0 || n > 3)
		return 0;
	*value_r = (uint16_t)v;
	return n;
}

/* "d.d.d ", as most of them are. */
static bool is_short_code(struct span t)
{
	return t.len >= 6 && is_digit(t.p[2]) && t.p[3] == '.' &&
	       is_digit(t.p[4]) && t.p[5] == ' ';
}

size_t smtp_enhanced_parse(struct span t, uint16_t code,
			   struct smtp_enhanced *code_r)
{
	struct smtp_enhanced e;
	size_t at = 2, n;

	if (t.len < 5 || t.p[1] != '.' || !is_digit(t.p[0]))
		return 0;
	e.cls = (uint8_t)(t.p[0] - '0');
	/* RFC 2034 section 4: the classes agree, and 3yz has none. */
	if (e.cls != code / 100 || e.cls == 3)
		return 0;
	if (is_short_code(t)) {
		e.subject = (uint16_t)(t.p[2] - '0');
		e.detail = (uint16_t)(t.p[4] - '0');
		*code_r = e;
		return 6;
	}
	n = number(span_of(t.p + at, t.len - at), &e.subject);
	at += n;
	if (n == 0 || at >= t.len || t.p[at++] != '.')
		return 0;
	n = number(span_of(t.p + at, t.len - at), &e.detail);
	at += n;
	if (n == 0 || (at < t.len && t.p[at] != ' '))
		return 0;
	*code_r = e;
	return at < t.len ? at + 1 : at;
}

/* "250 " or "250-", all of it there. */
static bool is_whole_head(const char *p)
{
	return p[0] >= '2' && p[0] <= '5' && is_digit(p[1]) && is_digit(p[2]) &&
	       (p[3] == ' ' || p[3] == '-');
}

static void take_whole_head(struct smtp_reply *r, const char *p)
{
	r->code_before = r->code;
	r->code = (uint16_t)((p[0] - '0') * 100 + (p[1] - '0') * 10 +
			     (p[2] - '0'));
	r->more = p[3] == '-';
	r->bare = false;
	r->line_len = HEAD;
}

/* The first HEAD octets of a line, one at a time. */
static int take_head(struct smtp_reply *r, char c)
{
	uint32_t at = r->line_len;

	if (at == 3) {
		r->more = c == '-';
		r->bare = c == '\r';
		return c == '-' || c == ' ' || c == '\r' ? 0 : -1;
	}
	if (!is_digit(c) || (at == 0 && (c < '2' || c > '5')))
		return -1;
	if (at == 0) {
		r->code_before = r->code;
		r->code = 0;
	}
	r->code = (uint16_t)(r->code * 10 + (c - '0'));
	return 0;
}

static void keep(struct smtp_reply *r, const char *p, size_t len)
{
	size_t kept = r->text_len - r->line_text;
	size_t room = SMTP_REPLY_LINE_KEPT - HEAD - kept;

	if (len > room)
		len = room;
	/* Cannot overflow: the text is shorter than the octets read. */
	BUG_ON(r->text_len + len > SMTP_REPLY_BUF);
	memcpy(r->buf + r->text_len, p, len);
	r->text_len += (uint32_t)len;
}

/* LF came: text is the line's, in buf or on its way there.  Returns 1 when it
 * was the last line. */
static int end_line(struct smtp_reply *r, struct span text)
{
	size_t cut;

	if (text.len > 0 && text.p[text.len - 1] == '\r')
		text.len--;
	cut = smtp_enhanced_parse(text, r->code, &r->enhanced);
	text.len -= cut;
	BUG_ON(r->line_text + text.len > SMTP_REPLY_BUF);
	memmove(r->buf + r->line_text, text.p + cut, text.len);
	r->text_len = r->line_text + (uint32_t)text.len;
	if (r->lines > 0 && r->code != r->code_before)
		r->codes_differ = true;
	r->lines++;
	if (!r->more) {
		if (r->enhanced.cls != r->code / 100)
			r->enhanced = (struct smtp_enhanced){ 0 };
		return 1;
	}
	if (r->lines == SMTP_REPLY_LINES_MAX)
		return -1;
	r->buf[r->text_len++] = '\n';
	r->line_text = r->text_len;
	r->line_len = 0;
	return 0;
}

/* The text of a line in data: all of it, or up to and with its LF. */
static int take_text(struct smtp_reply *r, const char *p, size_t len,
		     size_t *used_r)
{
	const char *lf = memchr(p, '\n', len);
	size_t n = lf == NULL ? len : (size_t)(lf - p);
	struct span text = span_of(p, n);

	*used_r = n + (lf != NULL);
	if (r->bare && n > 0)
		return -1;
	if (lf == NULL || r->line_len != HEAD ||
	    n > SMTP_REPLY_LINE_KEPT - HEAD) {
		keep(r, p, n);
		text = span_of(r->buf + r->line_text,
			       r->text_len - r->line_text);
	}
	r->line_len += (uint32_t)n;
	return lf == NULL ? 0 : end_line(r, text);
}

/* A line, or what there is of it, from its head on. */
static int take_line(struct smtp_reply *r, const char *p, size_t len,
		     size_t *used_r)
{
	int done;

	take_whole_head(r, p);
	done = take_text(r, p + HEAD, len - HEAD, used_r);
	*used_r += HEAD;
	return done;
}

static int take_octets(struct smtp_reply *r, const char *p, size_t len,
		       size_t *used_r)
{
	if (r->line_len == 0 && len >= HEAD && is_whole_head(p))
		return take_line(r, p, len, used_r);
	*used_r = 1;
	if (r->line_len == 3 && *p == '\n') {
		r->more = false; /* "ddd" LF */
		return take_text(r, p, 1, used_r);
	}
	if (r->line_len >= HEAD)
		return take_text(r, p, len, used_r);
	if (take_head(r, *p) < 0)
		return -1;
	r->line_len++;
	return 0;
}

int smtp_reply_input(struct smtp_reply *r, const void *data, size_t len,
		     size_t *used_r)
{
	const char *p = data;
	size_t at = 0, used;
	int done = 0;

	while (at < len && done == 0) {
		size_t n = len - at, room = SMTP_REPLY_BYTES_MAX - r->bytes;

		if (room == 0)
			return -1;
		done = take_octets(r, p + at, n < room ? n : room, &used);
		at += used;
		r->bytes += (uint32_t)used;
	}
	*used_r = at;
	return done;
}

struct span smtp_reply_text(const struct smtp_reply *r)
{
	return span_of(r->buf, r->text_len);
}

size_t smtp_reply_copy(const struct smtp_reply *r, char *to, size_t room)
{
	size_t len = r->text_len < room ? r->text_len : room;

	if (len > 0)
		memcpy(to, r->buf, len);
	return len;
}
