/*
 * mail/addrs.c - addresses out of From, To, Cc, Bcc (RFC 5322 section 3.4)
 *
 *	list    = [ item ] *( "," [ item ] )
 *	item    = mailbox / group
 *	group   = phrase ":" list ";"
 *	mailbox = [ phrase ] "<" [ route ":" ] addr-spec ">" / addr-spec
 *
 * An item is cut out first (up to the comma or semicolon that stands outside
 * of quotes, comments, brackets and angles), then the address is taken from
 * it: what is in the angles if there are any, else all of it, with comments
 * and blanks outside quotes removed.
 */
#include "mail/header.h"

#include "base/bug.h"

#define LITERAL_MAX 260 /* a "[" is looked at no further than this */

void header_addrs_init(struct header_addrs *a, struct span value)
{
	memset(a, 0, sizeof(*a));
	a->at = value.len == 0 ? "" : value.p;
	a->end = a->at + value.len;
}

/* Behind the quoted string that begins at p. */
static const char *skip_quoted(const char *p, const char *end)
{
	for (p++; p < end; p++) {
		if (*p == '"')
			return p + 1;
		if (*p == '\\' && p + 1 < end)
			p++;
	}
	return end;
}

/* Behind the comment that begins at p; they nest. */
static const char *skip_comment(const char *p, const char *end)
{
	size_t depth = 0;

	for (; p < end; p++) {
		if (*p == '\\' && p + 1 < end)
			p++;
		else if (*p == '(')
			depth++;
		else if (*p == ')' && --depth == 0)
			return p + 1;
	}
	return end;
}

/* Behind the "[...]" that begins at p, or behind "[" when it never closes
 * before the next comma. */
static const char *skip_literal(const char *p, const char *end)
{
	const char *q;

	if (end - p > LITERAL_MAX)
		end = p + LITERAL_MAX;
	for (q = p + 1; q < end && *q != ',' && *q != ';' && *q != '>'; q++)
		if (*q == ']')
			return q + 1;
	return p + 1;
}

/* Behind one quoted string, comment, literal or octet. */
static const char *skip_one(const char *p, const char *end)
{
	switch (*p) {
	case '"':
		return skip_quoted(p, end);
	case '(':
		return skip_comment(p, end);
	case '[':
		return skip_literal(p, end);
	default:
		return p + 1;
	}
}

/* The angle that closes the one at p, or NULL; routes hold commas. */
static const char *angle_end(const char *p, const char *end)
{
	for (p++; p < end; p = skip_one(p, end)) {
		if (*p == '>')
			return p;
		if (*p == '<')
			return NULL;
	}
	return NULL;
}

/* Where the item that begins at p ends: its ",", ";", group's ":" or end. */
static const char *item_end(const struct header_addrs *a, const char *p)
{
	const char *close;
	bool seen_at = false;

	while (p < a->end) {
		if (*p == ',' || *p == ';')
			return p;
		if (*p == ':' && a->depth == 0 && !seen_at)
			return p;
		if (*p == '@')
			seen_at = true;
		close = *p == '<' ? angle_end(p, a->end) : NULL;
		p = close != NULL ? close + 1 : skip_one(p, a->end);
	}
	return p;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* What stands in the last angles of the item; false when there are none. */
static bool find_angles(struct span item, struct span *inside_r)
{
	const char *p = item.p, *end = p + item.len, *close;

	while (p < end) {
		close = *p == '<' ? angle_end(p, end) : NULL;
		if (close != NULL) {
			p++;
			*inside_r = span_of(p, (size_t)(close - p));
			return true;
		}
		p = skip_one(p, end);
	}
	return false;
}

/* Drop an obsolete route "@a,@b:" (RFC 5322 section 4.4). */
static struct span drop_route(struct span s)
{
	const char *p = s.p, *end = p + s.len;

	while (p < end && is_space(*p))
		p++;
	if (p == end || *p != '@')
		return s;
	for (; p < end; p = skip_one(p, end))
		if (*p == ':')
			return span_of(p + 1, (size_t)(end - p - 1));
	return s;
}

static bool put(struct header_addrs *a, const char *p, size_t len)
{
	if (len > HEADER_ADDR_MAX - a->len)
		return false;
	memcpy(a->text + a->len, p, len);
	a->len += len;
	return true;
}

/* A quoted string without folds: they are no part of it. */
static bool put_quoted(struct header_addrs *a, const char *p, const char *end)
{
	for (; p < end; p++)
		if (*p != '\r' && *p != '\n' && !put(a, p, 1))
			return false;
	return true;
}

/* Copy without comments and blanks.  A blank between two words means that
 * there is a phrase where an address should be. */
static bool squeeze(struct header_addrs *a, struct span s)
{
	const char *p = s.p, *end = p + s.len, *next;
	bool gap = false, at = false;

	for (; p < end; p = next) {
		next = skip_one(p, end);
		if (*p == '(' || is_space(*p)) {
			gap = a->len > 0;
			continue;
		}
		if (gap && *p != '@' && *p != '.' &&
		    a->text[a->len - 1] != '@' && a->text[a->len - 1] != '.')
			return false;
		gap = false;
		at = at || *p == '@';
		if (!(*p == '"' ? put_quoted(a, p, next)
				: put(a, p, (size_t)(next - p))))
			return false;
	}
	return at;
}

static bool all_blank(struct span s)
{
	const char *p = s.p, *end = p + s.len;

	while (p < end && (is_space(*p) || *p == '('))
		p = skip_one(p, end);
	return p == end;
}

/* Make an address of the item. */
static bool take(struct header_addrs *a, struct span item)
{
	struct span inside = item;

	a->len = 0;
	if (find_angles(item, &inside))
		inside = drop_route(inside);
	return squeeze(a, inside);
}

int header_addrs_next(struct header_addrs *a)
{
	while (a->at < a->end) {
		const char *stop = item_end(a, a->at);
		struct span item = span_of(a->at, (size_t)(stop - a->at));
		char c = stop < a->end ? *stop : ',';

		BUG_ON(stop == a->at && stop == a->end);
		a->at = stop < a->end ? stop + 1 : stop;
		if (c == ':') {
			a->depth = 1; /* the item was the group's name */
			continue;
		}
		if (c == ';')
			a->depth = 0;
		if (all_blank(item))
			continue;
		a->raw = span_trim(item);
		if (take(a, item))
			return 1;
		a->len = 0;
		return -1;
	}
	return 0;
}
