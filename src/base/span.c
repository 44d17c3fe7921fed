/*
 * base/span.c - octets with their length
 */
#include "base/span.h"

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool span_eq_nocase(struct span a, struct span b)
{
	return a.len == b.len && span_starts_nocase(a, b);
}

bool span_starts_nocase(struct span a, struct span b)
{
	size_t i;

	if (a.len < b.len)
		return false;
	for (i = 0; i < b.len; i++)
		if (lower(a.p[i]) != lower(b.p[i]))
			return false;
	return true;
}

bool span_ends_nocase(struct span a, struct span b)
{
	if (a.len < b.len)
		return false;
	return span_starts_nocase(span_of(a.p + (a.len - b.len), b.len), b);
}

ptrdiff_t span_find(struct span a, char c)
{
	const char *at = a.len == 0 ? NULL : memchr(a.p, c, a.len);

	return at == NULL ? -1 : at - a.p;
}

struct span span_trim(struct span a)
{
	while (a.len > 0 && (a.p[0] == ' ' || a.p[0] == '\t')) {
		a.p++;
		a.len--;
	}
	while (a.len > 0 && (a.p[a.len - 1] == ' ' || a.p[a.len - 1] == '\t'))
		a.len--;
	return a;
}

bool span_u64(struct span a, uint64_t max, uint64_t *value_r)
{
	uint64_t v = 0;
	size_t i;

	for (i = 0; i < a.len; i++) {
		unsigned digit = (unsigned char)a.p[i] - (unsigned)'0';

		if (digit > 9 || v > (UINT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	if (a.len == 0 || v > max)
		return false;
	*value_r = v;
	return true;
}
