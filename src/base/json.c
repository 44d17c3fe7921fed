/*
 * base/json.c - emit JSON
 */
#include "base/json.h"

#include "base/utf8.h"

static bool plain(unsigned char c)
{
	return c >= 32 && c < 127 && c != '"' && c != '\\';
}

static void escape(struct buf *out, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	char text[6] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };

	if (c == '"' || c == '\\') {
		text[1] = (char)c;
		buf_add(out, text, 2);
	} else {
		buf_add(out, text, 6);
	}
}

/* U+0080 to U+009F are commands to some terminals as well (U+009B: CSI). */
static bool is_c1(const unsigned char *p, size_t n)
{
	return n == 2 && p[0] == 0xc2 && p[1] < 0xa0;
}

#define EACH(octet) (UINT64_C(0x0101010101010101) * (octet))

/* Has one of eight octets its upper bit, or is it below n (at most 128)? */
static uint64_t odd(uint64_t w, unsigned n)
{
	return ((w - EACH(n)) | w) & EACH(0x80);
}

/* Eight at a time; one that only looks odd is looked at by itself. */
static size_t plain_length(const unsigned char *p, size_t len)
{
	uint64_t w;
	size_t n = 0;

	for (; n + 8 <= len; n += 8) {
		memcpy(&w, p + n, 8);
		/* (A zero octet of the xor was a quote, DEL ...) */
		if (odd(w, 32) != 0 || odd(w ^ EACH('"'), 1) != 0 ||
		    odd(w ^ EACH('\\'), 1) != 0 || odd(w ^ EACH(127), 1) != 0)
			break;
	}
	while (n < len && plain(p[n]))
		n++;
	return n;
}

void json_string(struct buf *out, struct span s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t at = 0, n;

	buf_add_char(out, '"');
	while (at < s.len) {
		n = plain_length(p + at, s.len - at);
		buf_add(out, p + at, n);
		at += n;
		if (at == s.len)
			break;
		n = p[at] < 128 ? 0 : utf8_len(p + at, s.len - at);
		if (is_c1(p + at, n))
			escape(out, p[at + 1]);
		else if (n > 0)
			buf_add(out, p + at, n);
		else if (p[at] < 128)
			escape(out, p[at]);
		else
			buf_add_span(out, SPAN("\\ufffd"));
		at += n > 0 ? n : 1;
	}
	buf_add_char(out, '"');
}

void json_u64(struct buf *out, uint64_t v)
{
	char text[20];
	size_t at = sizeof(text);

	do {
		text[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	buf_add(out, text + at, sizeof(text) - at);
}

void json_key(struct buf *out, const char *key)
{
	size_t len = strlen(key);
	char *p;

	if (buf_reserve(out, len + 4) < 0)
		return;
	p = out->p + out->len;
	if (out->len > 0 && p[-1] != '{')
		*p++ = ',';
	*p++ = '"';
	memcpy(p, key, len);
	p += len;
	*p++ = '"';
	*p++ = ':';
	out->len = (size_t)(p - out->p);
}

void json_member(struct buf *out, const char *key, struct span value)
{
	json_key(out, key);
	json_string(out, value);
}

void json_member_u64(struct buf *out, const char *key, uint64_t value)
{
	json_key(out, key);
	json_u64(out, value);
}
