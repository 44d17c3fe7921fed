/*
 * mail/header.c - the header section of a message, field by field
 *
 * See header.h for the grammar.  A line end is looked for in short windows,
 * so that a file with one kind of line end only is not searched for the other
 * kind to its very end at each line.
 */
#include "mail/header.h"

#include "base/bug.h"

#define WINDOW 512u

/* Where the line that begins at p ends: its CR or LF, or end. */
static const char *line_stop(const char *p, const char *end)
{
	while (p < end) {
		size_t len = (size_t)(end - p);
		const char *lf, *cr;

		if (len > WINDOW)
			len = WINDOW;
		lf = memchr(p, '\n', len);
		cr = memchr(p, '\r', lf == NULL ? len : (size_t)(lf - p));
		if (cr != NULL)
			return cr;
		if (lf != NULL)
			return lf;
		p += len;
	}
	return end;
}

bool header_line_next(struct span *rest, struct span *line_r,
		      struct span *text_r)
{
	const char *p = rest->p, *end, *stop, *next;

	if (rest->len == 0)
		return false; /* and p may be NULL */
	end = p + rest->len;
	stop = line_stop(p, end);
	next = stop;
	if (next < end && *next == '\r')
		next++;
	if (next < end && *next == '\n')
		next++;
	*text_r = span_of(p, (size_t)(stop - p));
	*line_r = span_of(p, (size_t)(next - p));
	*rest = span_of(next, (size_t)(end - next));
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct span header_line_name(struct span line)
{
	size_t n = 0, i;

	while (n < line.len && line.p[n] != ':' &&
	       (unsigned char)line.p[n] > ' ' && line.p[n] != 0x7f)
		n++;
	for (i = n; i < line.len && is_blank(line.p[i]); i++)
		;
	if (n == 0 || i == line.len || line.p[i] != ':')
		return span_of(line.p, 0);
	return span_of(line.p, n);
}

/* The line at s->at, looked at once. */
static void look(struct header_scan *s)
{
	struct span rest = span_of(s->at, (size_t)(s->end - s->at)), line;

	s->text = span_of(s->at, 0);
	s->name = s->text;
	s->behind = s->at;
	if (!header_line_next(&rest, &line, &s->text))
		return;
	s->behind = rest.p;
	s->name = header_line_name(s->text);
}

void header_scan_init(struct header_scan *s, struct span message)
{
	if (message.len == 0)
		message.p = ""; /* not NULL: there will be sums */
	*s = (struct header_scan){ .start = message.p,
				   .at = message.p,
				   .end = message.p + message.len,
				   .body = message };
	look(s);
	if (s->behind == s->at || s->name.len > 0)
		return;
	s->section_end = s->start;
	if (s->text.len == 0)
		s->body = span_of(s->behind, (size_t)(s->end - s->behind));
	s->end = s->start;
}

/* To the line behind those of the field whose first line is at s->at. */
static void pass_field(struct header_scan *s)
{
	do {
		s->at = s->behind;
		look(s);
	} while (s->text.len > 0 && s->name.len == 0);
}

static struct span without_line_end(struct span s)
{
	if (s.len > 0 && s.p[s.len - 1] == '\n')
		s.len--;
	if (s.len > 0 && s.p[s.len - 1] == '\r')
		s.len--;
	return s;
}

bool header_scan_next(struct header_scan *s, struct header_field *field_r)
{
	const char *p = s->at;
	ptrdiff_t colon;

	if (s->section_end != NULL)
		return false;
	if (s->text.len == 0) {
		s->section_end = p;
		s->body = span_of(s->behind, (size_t)(s->end - s->behind));
		return false;
	}
	BUG_ON(s->name.len == 0);
	field_r->name = s->name;
	pass_field(s);
	field_r->whole = span_of(p, (size_t)(s->at - p));
	colon = span_find(field_r->whole, ':');
	BUG_ON(colon < 0);
	field_r->value = without_line_end(
		span_of(p + colon + 1, (size_t)(s->at - p - colon - 1)));
	return true;
}

struct span header_scan_section(const struct header_scan *s)
{
	BUG_ON(s->section_end == NULL && s->start != NULL);
	return span_of(s->start, (size_t)(s->section_end - s->start));
}

struct span header_scan_body(const struct header_scan *s)
{
	return s->body;
}

bool header_find(struct span message, struct span name,
		 struct header_field *field_r)
{
	struct header_scan s;
	struct header_field f;

	header_scan_init(&s, message);
	while (header_scan_next(&s, &f)) {
		if (!span_eq_nocase(f.name, name))
			continue;
		*field_r = f;
		return true;
	}
	return false;
}
