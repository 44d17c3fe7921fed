/*
 * smtp/address.c - one check for the addresses of envelopes
 */
#include "smtp/address.h"

#include "base/bug.h"

static const char *const words[ADDRESS_ERROR_COUNT] = {
	[ADDRESS_OK] = "the address is well formed",
	[ADDRESS_EMPTY] = "the address is empty",
	[ADDRESS_TOO_LONG] = "the address is longer than 254 octets",
	[ADDRESS_CONTROL] = "the address has a control character in it",
	[ADDRESS_NO_AT] = "the address has no @ and domain",
	[ADDRESS_LOCAL_EMPTY] = "there is nothing before the @",
	[ADDRESS_LOCAL_LONG] = "the part before the @ is longer than 64 octets",
	[ADDRESS_LOCAL_SYNTAX] =
		"the part before the @ has a character or a dot that must be quoted",
	[ADDRESS_DOMAIN_EMPTY] = "there is no domain after the @",
	[ADDRESS_DOMAIN_LONG] =
		"the domain is longer than 255 octets, or a part of it than 63",
	[ADDRESS_DOMAIN_SYNTAX] = "the domain is not made of letters, digits, "
				  "hyphens and single dots",
	[ADDRESS_LITERAL_SYNTAX] =
		"what stands in the brackets is no IPv4 or IPv6: address",
	[ADDRESS_BAD_UTF8] = "the address has octets that are not UTF-8",
	[ADDRESS_NEEDS_UTF8] = "the part before the @ is not ASCII; "
			       "this needs SMTPUTF8, which was not asked for",
	[ADDRESS_NEEDS_IDNA] = "the domain is not ASCII; give its xn-- form",
	[ADDRESS_IDNA_SYNTAX] = "the domain is not ASCII and no "
				"internationalized name (IDNA 2008)",
};

const char *address_error_words(enum address_error error)
{
	BUG_ON((unsigned)error >= ADDRESS_ERROR_COUNT);
	return words[error];
}

/* The length of the UTF-8 sequence at s.p[i] (RFC 3629), C1 controls left
 * out; 0 when it is none. */
static size_t utf8_len(struct span s, size_t i)
{
	const unsigned char *p = (const unsigned char *)s.p + i;
	size_t left = s.len - i, len, k;
	unsigned min1 = 0x80, max1 = 0xbf;

	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (p[0] == 0xc2 || p[0] == 0xe0)
		min1 = 0xa0; /* C1 controls; overlong */
	if (p[0] == 0xf0)
		min1 = 0x90; /* overlong */
	if (p[0] == 0xed)
		max1 = 0x9f; /* surrogates */
	if (p[0] == 0xf4)
		max1 = 0x8f; /* over U+10FFFF */
	if (left < len || p[1] < min1 || p[1] > max1)
		return 0;
	for (k = 2; k < len; k++)
		if (p[k] < 0x80 || p[k] > 0xbf)
			return 0;
	return len;
}

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z');
}

static bool is_atext(char c)
{
	return is_alnum(c) || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool is_high(char c)
{
	return (unsigned char)c > 127;
}

/* Controls and broken UTF-8 are wrong wherever they stand. */
static enum address_error check_octets(struct span text)
{
	size_t i = 0, len;

	while (i < text.len) {
		if ((unsigned char)text.p[i] < ' ' || text.p[i] == 0x7f)
			return ADDRESS_CONTROL;
		len = is_high(text.p[i]) ? utf8_len(text, i) : 1;
		if (len == 0)
			return ADDRESS_BAD_UTF8;
		i += len;
	}
	return ADDRESS_OK;
}

/* The octets of a quoted string at the front of the text, with its quotes; 0
 * when it never closes. */
static size_t quoted_len(struct span text)
{
	size_t i;

	for (i = 1; i < text.len; i++) {
		if (text.p[i] == '"')
			return i + 1;
		/* "\" takes printable ASCII only (RFC 5321 quoted-pairSMTP). */
		if (text.p[i] == '\\' &&
		    (++i == text.len || is_high(text.p[i])))
			return 0;
	}
	return 0;
}

/* The octets of a dot-string at the front; SIZE_MAX when dots are wrong. */
static size_t dot_string_len(struct span text)
{
	size_t i;
	char before = '.';

	for (i = 0; i < text.len; i++) {
		char c = text.p[i];

		if (c == '.' ? before == '.' : !is_atext(c) && !is_high(c))
			break;
		before = c;
	}
	return i > 0 && before == '.' ? SIZE_MAX : i;
}

static enum address_error split_local(struct span text, struct span *local_r)
{
	bool quoted = text.p[0] == '"';
	size_t len = quoted ? quoted_len(text) : dot_string_len(text);

	if (text.p[0] == '@')
		return ADDRESS_LOCAL_EMPTY;
	if (span_find(text, '@') < 0)
		return ADDRESS_NO_AT;
	if (len == SIZE_MAX || (quoted && len == 0))
		return ADDRESS_LOCAL_SYNTAX;
	if (len == text.len)
		return ADDRESS_NO_AT;
	if (text.p[len] != '@')
		return ADDRESS_LOCAL_SYNTAX;
	if (len > ADDRESS_LOCAL_MAX)
		return ADDRESS_LOCAL_LONG;
	*local_r = span_of(text.p, len);
	return ADDRESS_OK;
}

/* One label off the front of *rest, its dot eaten. */
static enum address_error take_label(struct span *rest)
{
	ptrdiff_t dot = span_find(*rest, '.');
	size_t len = dot < 0 ? rest->len : (size_t)dot, i;
	const char *p = rest->p;

	if (len > ADDRESS_LABEL_MAX)
		return ADDRESS_DOMAIN_LONG;
	if (len == 0 || p[0] == '-' || p[len - 1] == '-' ||
	    (dot >= 0 && len + 1 == rest->len))
		return ADDRESS_DOMAIN_SYNTAX;
	for (i = 0; i < len; i++)
		if (!is_alnum(p[i]) && p[i] != '-' && p[i] != '_' &&
		    !is_high(p[i]))
			return ADDRESS_DOMAIN_SYNTAX;
	if (dot >= 0)
		len++;
	*rest = span_of(p + len, rest->len - len);
	return ADDRESS_OK;
}

/* "1.2.3.4": four decimal numbers up to 255, no leading zeros. */
static bool is_ipv4(struct span s)
{
	unsigned parts = 0;
	uint64_t value;

	while (parts < 4) {
		ptrdiff_t dot = span_find(s, '.');
		size_t len = dot < 0 ? s.len : (size_t)dot;

		if (len > 3 || (len > 1 && s.p[0] == '0') ||
		    !span_u64(span_of(s.p, len), 255, &value))
			return false;
		if (++parts == 4)
			return dot < 0;
		if (dot < 0)
			return false;
		s = span_of(s.p + len + 1, s.len - len - 1);
	}
	return false;
}

static size_t hex_len(struct span s)
{
	size_t n = 0;

	while (n < s.len && n < 5 &&
	       ((s.p[n] >= '0' && s.p[n] <= '9') ||
		((s.p[n] | 0x20) >= 'a' && (s.p[n] | 0x20) <= 'f')))
		n++;
	return n;
}

/* RFC 4291 section 2.2, as RFC 5321 4.1.3 takes it: groups of up to four hex
 * digits, one "::", and an IPv4 address may be the last two groups. */
static bool is_ipv6(struct span s)
{
	unsigned groups = 0;
	bool gap = false;

	if (s.len >= 2 && s.p[0] == ':' && s.p[1] != ':')
		return false;
	while (s.len > 0 && groups <= 8) {
		size_t len = hex_len(s);

		if (len < s.len && s.p[len] == '.')
			return is_ipv4(s) &&
			       (gap ? groups + 2 <= 7 : groups + 2 == 8);
		/* Nothing between colons only in the "::" at the front. */
		if (len > 4 || (len == 0 && (groups > 0 || gap)))
			return false;
		groups += len > 0;
		s = span_of(s.p + len, s.len - len);
		if (s.len == 0)
			break;
		if (s.p[0] != ':')
			return false;
		len = 1;
		if (s.len > 1 && s.p[1] == ':') {
			if (gap)
				return false;
			gap = true;
			len = 2;
		} else if (s.len == 1) {
			return false; /* a lone colon at the end */
		}
		s = span_of(s.p + len, s.len - len);
	}
	return s.len == 0 && (gap ? groups <= 7 : groups == 8);
}

static bool is_literal(struct span domain)
{
	struct span v6 = SPAN("IPv6:"), inside;

	if (domain.len < 2 || domain.p[domain.len - 1] != ']')
		return false;
	inside = span_of(domain.p + 1, domain.len - 2);
	if (span_starts_nocase(inside, v6))
		return is_ipv6(span_of(inside.p + v6.len, inside.len - v6.len));
	return is_ipv4(inside);
}

static enum address_error check_domain(struct span domain)
{
	enum address_error err = ADDRESS_OK;

	if (domain.len == 0)
		return ADDRESS_DOMAIN_EMPTY;
	if (domain.len > ADDRESS_DOMAIN_MAX)
		return ADDRESS_DOMAIN_LONG;
	if (domain.p[0] == '[')
		return is_literal(domain) ? ADDRESS_OK : ADDRESS_LITERAL_SYNTAX;
	while (domain.len > 0 && err == ADDRESS_OK)
		err = take_label(&domain);
	return err;
}

static bool has_high(struct span s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		if (is_high(s.p[i]))
			return true;
	return false;
}

static void lower_domain(struct address *a)
{
	size_t i;

	for (i = 0; i < a->domain.len; i++) {
		char c = a->domain.p[i];

		a->domain_lower[i] =
			c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
	}
	a->domain_lower[i] = '\0';
}

static enum address_error parse(struct span text, struct address *a)
{
	enum address_error err;

	/* The parts first: their words say more than "too long". */
	err = check_octets(text);
	if (err == ADDRESS_OK)
		err = split_local(text, &a->local);
	if (err != ADDRESS_OK)
		return err;
	a->domain =
		span_of(text.p + a->local.len + 1, text.len - a->local.len - 1);
	err = check_domain(a->domain);
	if (err != ADDRESS_OK)
		return err;
	if (text.len > ADDRESS_OCTETS_MAX)
		return ADDRESS_TOO_LONG;
	a->literal = a->domain.p[0] == '[';
	a->utf8 = has_high(a->local);
	a->idna = has_high(a->domain);
	lower_domain(a);
	return ADDRESS_OK;
}

enum address_error address_parse(struct span text, unsigned flags,
				 struct address *address_r)
{
	struct address a;
	enum address_error err;

	memset(&a, 0, sizeof(a));
	if (text.len == 0) {
		if ((flags & ADDRESS_NULL_OK) == 0)
			return ADDRESS_EMPTY;
		a.null = true;
		*address_r = a;
		return ADDRESS_OK;
	}
	err = parse(text, &a);
	if (err != ADDRESS_OK)
		return err;
	if (a.utf8 && (flags & ADDRESS_UTF8_OK) == 0)
		return ADDRESS_NEEDS_UTF8;
	if (a.idna && (flags & ADDRESS_UTF8_OK) == 0)
		return ADDRESS_NEEDS_IDNA;
	*address_r = a;
	return ADDRESS_OK;
}
