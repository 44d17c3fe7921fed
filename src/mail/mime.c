/*
 * mail/mime.c - where the parts of a message lie
 *
 *	walk = part *( delimiter part )
 *	part = section gap body
 *
 * Each octet belongs to exactly one of these spans, or is the line end before
 * a delimiter.  The walk holds a stack of open multiparts and looks at each
 * line once.
 */
#include "mail/mime.h"

#include "base/bug.h"
#include "mail/header.h"

struct content_type {
	bool multipart, is_signed, digest, message, said;
	char boundary[MIME_BOUNDARY_MAX];
	size_t boundary_len; /* 0: none that can be used */
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct span cut(struct span s, size_t n)
{
	return span_of(s.p + n, s.len - n);
}

/* Without blanks, line ends and comments at its front. */
static struct span skip_cfws(struct span s)
{
	size_t i, depth = 0;

	for (i = 0; i < s.len; i++) {
		if (depth > 0 && s.p[i] == '\\' && i + 1 < s.len)
			i++;
		else if (s.p[i] == '(')
			depth++;
		else if (depth > 0 && s.p[i] == ')')
			depth--;
		else if (depth == 0 && !is_space(s.p[i]))
			break;
	}
	return cut(s, i < s.len ? i : s.len);
}

/* A word off the front: up to a blank or one of the stops. */
static struct span take_word(struct span *s, const char *stops)
{
	size_t n = 0;

	while (n < s->len && !is_space(s->p[n]) &&
	       (s->p[n] == '\0' || strchr(stops, s->p[n]) == NULL))
		n++;
	*s = cut(*s, n);
	return span_of(s->p - n, n);
}

/* A parameter's value, quoted or not, into the boundary; too long is none. */
static void take_boundary(struct content_type *type, struct span s)
{
	bool quoted = s.len > 0 && s.p[0] == '"';
	size_t i, n = 0;

	for (i = quoted; i < s.len; i++) {
		char c = s.p[i];

		if (quoted ? c == '"' : is_space(c) || c == ';')
			break;
		if (quoted && c == '\\' && i + 1 < s.len)
			c = s.p[++i];
		if (c == '\r' || c == '\n')
			continue;
		if (n == MIME_BOUNDARY_MAX)
			return;
		type->boundary[n++] = c;
	}
	while (n > 0 && is_space(type->boundary[n - 1]))
		n--;
	type->boundary_len = n;
}

/* Behind the next ";" that stands outside of quotes and comments. */
static bool next_param(struct span *s)
{
	bool quoted = false;
	size_t i, depth = 0;

	for (i = 0; i < s->len; i++) {
		char c = s->p[i];

		if (c == '\\' && (quoted || depth > 0))
			i++;
		else if (c == '"' && depth == 0)
			quoted = !quoted;
		else if (quoted)
			continue;
		else if (c == '(')
			depth++;
		else if (c == ')' && depth > 0)
			depth--;
		else if (c == ';' && depth == 0) {
			*s = cut(*s, i + 1);
			return true;
		}
	}
	return false;
}

static void parse_type(struct span value, struct content_type *type)
{
	struct span s = skip_cfws(value), word, sub;

	type->said = true;
	word = take_word(&s, "/;(");
	type->multipart = span_eq_nocase(word, SPAN("multipart"));
	type->message = span_eq_nocase(word, SPAN("message"));
	s = skip_cfws(s);
	if (s.len > 0 && s.p[0] == '/') {
		s = skip_cfws(cut(s, 1));
		sub = take_word(&s, ";(");
		type->is_signed = span_eq_nocase(sub, SPAN("signed"));
		type->digest = span_eq_nocase(sub, SPAN("digest"));
	}
	while (type->boundary_len == 0 && next_param(&s)) {
		struct span at = skip_cfws(s);

		word = take_word(&at, "=;(\"");
		at = skip_cfws(at);
		if (at.len > 0 && at.p[0] == '=' &&
		    span_eq_nocase(word, SPAN("boundary")))
			take_boundary(type, skip_cfws(cut(at, 1)));
	}
}

static enum mime_encoding parse_encoding(struct span section)
{
	struct header_field field;
	struct span s, word;

	if (!header_find(section, SPAN("Content-Transfer-Encoding"), &field))
		return MIME_IDENTITY;
	s = skip_cfws(field.value);
	word = take_word(&s, ";(");
	if (word.len == 0 || span_eq_nocase(word, SPAN("7bit")) ||
	    span_eq_nocase(word, SPAN("8bit")) ||
	    span_eq_nocase(word, SPAN("binary")))
		return MIME_IDENTITY;
	if (span_eq_nocase(word, SPAN("base64")))
		return MIME_BASE64;
	if (span_eq_nocase(word, SPAN("quoted-printable")))
		return MIME_QP;
	return MIME_UNKNOWN;
}

/* Is the line a delimiter of open multipart i? */
static bool delimits(const struct mime_open *open, struct span text,
		     bool *closed_r)
{
	struct span tail;

	if (text.len < 2 + open->len ||
	    memcmp(text.p + 2, open->boundary, open->len) != 0)
		return false;
	tail = cut(text, 2 + open->len);
	*closed_r = tail.len >= 2 && tail.p[0] == '-' && tail.p[1] == '-';
	return span_trim(*closed_r ? cut(tail, 2) : tail).len == 0;
}

/* The level (from 1) whose delimiter the line is, or 0. */
static int delimiter_level(const struct mime_walk *w, struct span text,
			   bool *closed_r)
{
	int i;

	if (text.len < 2 || text.p[0] != '-' || text.p[1] != '-')
		return 0;
	for (i = w->depth; i > 0; i--)
		if (delimits(&w->open[i - 1], text, closed_r))
			return i;
	return 0;
}

/* The section at the front of the rest, and the empty line behind it. */
static void take_section(struct mime_walk *w, struct mime_part *part)
{
	const char *start = w->rest.p;
	struct span next = w->rest, line, text;
	bool closed;

	part->section = part->gap = span_of(start, 0);
	while (header_line_next(&next, &line, &text)) {
		bool field = header_line_name(text).len > 0;

		if (delimiter_level(w, text, &closed) > 0)
			return;
		if (text.len == 0) {
			part->gap = line;
			w->rest = next;
			return;
		}
		if (!field && part->section.len == 0)
			return; /* no header section: all is body */
		part->section.len += line.len;
		w->rest = next;
	}
}

/* The body up to the next delimiter, which closes what it closes. */
static void take_body(struct mime_walk *w, struct mime_part *part)
{
	const char *start = w->rest.p, *end = start;
	struct span next = w->rest, line, text;
	bool closed = false;
	int level;

	w->delimiter = span_of(NULL, 0);
	while (header_line_next(&next, &line, &text)) {
		level = delimiter_level(w, text, &closed);
		if (level > 0) {
			w->delimiter = line;
			w->depth = closed ? level - 1 : level;
			w->closed = closed;
			part->body = span_of(start, (size_t)(end - start));
			w->rest = next;
			return;
		}
		end = text.p + text.len;
	}
	part->body = w->rest;
	w->rest = span_of(w->rest.p + w->rest.len, 0);
}

/* Open the multipart; false when that cannot be. */
static bool push(struct mime_walk *w, const struct content_type *type,
		 bool sealed)
{
	struct mime_open *open;

	if (type->boundary_len == 0 || w->depth == MIME_DEPTH_MAX)
		return false;
	open = &w->open[w->depth++];
	memcpy(open->boundary, type->boundary, type->boundary_len);
	open->len = type->boundary_len;
	open->sealed = sealed;
	open->digest = type->digest;
	return true;
}

static void classify(struct mime_walk *w, struct mime_part *part)
{
	const struct mime_open *in =
		w->depth > 0 ? &w->open[w->depth - 1] : NULL;
	struct content_type type = { .said = false };
	struct header_field field;

	if (header_find(part->section, SPAN("Content-Type"), &field))
		parse_type(field.value, &type);
	part->encoding = parse_encoding(part->section);
	part->sealed = (in != NULL && in->sealed) || type.message ||
		       (type.multipart && type.is_signed) ||
		       (!type.said && in != NULL && in->digest);
	part->kind = type.multipart ? MIME_OTHER : MIME_LEAF;
	if (type.multipart)
		(void)push(w, &type, part->sealed);
}

void mime_walk_init(struct mime_walk *w, struct span message)
{
	w->rest = message.len == 0 ? SPAN("") : message;
	w->delimiter = span_of(NULL, 0);
	w->first = true;
	w->closed = false;
	w->depth = 0;
}

bool mime_walk_next(struct mime_walk *w, struct mime_part *part_r)
{
	struct mime_part part = { .kind = MIME_OTHER, .first = w->first };

	BUG_ON(w->depth < 0 || w->depth > MIME_DEPTH_MAX);
	if (!w->first && w->delimiter.len == 0)
		return false;
	part.delimiter = w->delimiter;
	part.section = part.gap = span_of(w->rest.p, 0);
	if (w->first || !w->closed) {
		take_section(w, &part);
		classify(w, &part);
	} else if (w->depth > 0) {
		part.sealed = w->open[w->depth - 1].sealed;
	}
	w->first = false;
	take_body(w, &part);
	*part_r = part;
	return true;
}
