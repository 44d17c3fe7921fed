/*
 * smtp/dsn.c - the parameters of a delivery status notification
 */
#include "smtp/dsn.h"

#include "base/bug.h"

static bool is_plain(char c)
{
	return c > ' ' && c <= '~' && c != '+' && c != '=';
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F');
}

static bool is_xtext(struct span s)
{
	size_t i;

	for (i = 0; i < s.len; i++) {
		if (is_plain(s.p[i]))
			continue;
		if (s.p[i] != '+' || i + 2 >= s.len || !is_hex(s.p[i + 1]) ||
		    !is_hex(s.p[i + 2]))
			return false;
		i += 2;
	}
	return true;
}

/* What stands before the first c; *rest_r is what stands behind it, with
 * p NULL when there is no c. */
static struct span head_of(struct span s, char c, struct span *rest_r)
{
	ptrdiff_t at = span_find(s, c);
	size_t n = at < 0 ? s.len : (size_t)at;

	*rest_r =
		at < 0 ? span_of(NULL, 0) : span_of(s.p + n + 1, s.len - n - 1);
	return span_of(s.p, n);
}

static bool is_ret(struct span s)
{
	return span_eq_nocase(s, SPAN("FULL")) ||
	       span_eq_nocase(s, SPAN("HDRS"));
}

static bool is_envid(struct span s)
{
	return s.len > 0 && s.len <= DSN_ENVID_MAX && is_xtext(s);
}

/* The bits of a list of words; 0: it is none. */
static unsigned notify_bits(struct span s)
{
	static const struct {
		struct span word;
		unsigned bit;
	} words[] = { { { "NEVER", 5 }, DSN_NEVER },
		      { { "SUCCESS", 7 }, DSN_SUCCESS },
		      { { "FAILURE", 7 }, DSN_FAILURE },
		      { { "DELAY", 5 }, DSN_DELAY } };
	unsigned seen = 0, bit;
	struct span rest = s, word;
	size_t i;

	while (rest.p != NULL) {
		word = head_of(rest, ',', &rest);
		for (i = 0, bit = 0; i < ARRAY_LEN(words); i++)
			if (span_eq_nocase(word, words[i].word))
				bit = words[i].bit;
		if (bit == 0 || (seen & bit) != 0)
			return 0;
		seen |= bit;
	}
	return (seen & DSN_NEVER) != 0 && seen != DSN_NEVER ? 0 : seen;
}

static bool is_notify(struct span s)
{
	return notify_bits(s) != 0;
}

unsigned dsn_notify(struct span params)
{
	struct span rest = span_trim(params), word, name = SPAN("NOTIFY=");

	while (rest.p != NULL && rest.len > 0) {
		word = head_of(rest, ' ', &rest);
		if (span_starts_nocase(word, name))
			return notify_bits(span_of(word.p + name.len,
						   word.len - name.len));
	}
	return 0;
}

bool dsn_wants_failure(struct span sender, unsigned notify)
{
	return sender.len > 0 && (notify == 0 || (notify & DSN_FAILURE) != 0);
}

static bool is_orcpt(struct span s)
{
	struct span address, type = head_of(s, ';', &address);
	size_t i;

	for (i = 0; i < type.len; i++) {
		char c = type.p[i];

		if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') &&
		    !(c >= 'A' && c <= 'Z') && c != '-')
			return false;
	}
	return type.len > 0 && address.len > 0 && s.len <= DSN_ORCPT_MAX &&
	       is_xtext(address);
}

struct parameter {
	struct span name; /* with its "=" */
	bool (*is_value)(struct span value);
};

/* Each of the two at most once, single blanks between. */
static bool are(struct span params, const struct parameter table[2])
{
	unsigned seen = 0, i;
	struct span rest = params, word;

	if (params.len == 0)
		return true;
	while (rest.p != NULL) {
		word = head_of(rest, ' ', &rest);
		for (i = 0; i < 2; i++)
			if (span_starts_nocase(word, table[i].name))
				break;
		if (i == 2 || (seen & 1u << i) != 0)
			return false;
		seen |= 1u << i;
		word.p += table[i].name.len;
		word.len -= table[i].name.len;
		if (!table[i].is_value(word))
			return false;
	}
	return true;
}

bool dsn_is_mail(struct span params)
{
	static const struct parameter table[2] = {
		{ { "RET=", 4 }, is_ret },
		{ { "ENVID=", 6 }, is_envid },
	};

	return are(params, table);
}

bool dsn_is_rcpt(struct span params)
{
	static const struct parameter table[2] = {
		{ { "NOTIFY=", 7 }, is_notify },
		{ { "ORCPT=", 6 }, is_orcpt },
	};

	return are(params, table);
}

size_t dsn_xtext(struct span text, char *out_r)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t n = 0, i;

	for (i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.p[i];

		if (is_plain(text.p[i])) {
			out_r[n++] = text.p[i];
			continue;
		}
		out_r[n++] = '+';
		out_r[n++] = hex[c >> 4];
		out_r[n++] = hex[c & 15];
	}
	return n;
}
