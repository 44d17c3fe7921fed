/*
 * mail/plan.c - what the canonical form changes in a message
 *
 * First the fields of the header section are counted and those that go are
 * noted.  Only when some line is over 998 octets are the parts looked for:
 *
 *	long line in        becomes            refused when
 *	a header section    folded             sealed, garbage, no blank
 *	a leaf's body       leaf encoded       sealed, encoding unknown
 *	anything else       -                  always
 */
#include "mail/canon_private.h"

#include "base/bug.h"
#include "mail/header.h"
#include "mail/mime.h"

#include <stdlib.h>

bool canon_refuse(struct canon *c, enum canon_error error, const char *at)
{
	BUG_ON(error == CANON_OK);
	c->error = error;
	c->error_at = at;
	return false;
}

static bool note(struct canon *c, enum edit_kind kind, struct span what,
		 struct span text)
{
	struct edit *e;

	if (c->edit_count == c->edit_size) {
		size_t size = c->edit_size == 0 ? 64 : c->edit_size * 2;

		e = realloc(c->edits, size * sizeof(*e));
		if (e == NULL)
			return canon_refuse(c, CANON_NO_MEMORY, NULL);
		c->edits = e;
		c->edit_size = size;
	}
	e = &c->edits[c->edit_count];
	e->from = (size_t)(what.p - c->message.p);
	e->to = e->from + what.len;
	e->kind = kind;
	e->number = (uint32_t)c->edit_count++;
	e->text = text;
	return true;
}

static bool is_private(struct span name)
{
	return span_eq_nocase(name, SPAN("Bcc")) ||
	       span_eq_nocase(name, SPAN("Resent-Bcc")) ||
	       span_eq_nocase(name, SPAN("Return-Path"));
}

static bool see_field(struct canon *c, const struct header_field *f)
{
	if (is_private(f->name)) {
		c->rewritten = true;
		return note(c, EDIT_DROP, f->whole, span_of(NULL, 0));
	}
	if (c->seen.high && !c->header_high)
		c->header_high = scan_high(f->whole);
	if (span_eq_nocase(f->name, SPAN("Received")) &&
	    ++c->received_count > CANON_RECEIVED_MAX)
		return canon_refuse(c, CANON_LOOP, f->whole.p);
	if (span_eq_nocase(f->name, SPAN("From")) && ++c->from_count > 1)
		return canon_refuse(c, CANON_FROM_TWICE, f->whole.p);
	if (span_eq_nocase(f->name, SPAN("Date")))
		c->has_date = true;
	else if (span_eq_nocase(f->name, SPAN("Message-ID")))
		c->has_id = true;
	else if (span_eq_nocase(f->name, SPAN("DKIM-Signature")))
		c->has_dkim = true;
	else if (span_eq_nocase(f->name, SPAN("MIME-Version")))
		c->has_mime_version = true;
	return true;
}

bool canon_plan_header(struct canon *c)
{
	struct header_scan scan;
	struct header_field field;

	header_scan_init(&scan, c->message);
	while (header_scan_next(&scan, &field))
		if (!see_field(c, &field))
			return false;
	/* A section is what has a field, or an empty line for its end. */
	c->has_section = header_scan_section(&scan).len > 0 ||
			 header_scan_body(&scan).p != c->message.p;
	if (c->from_count == 0 &&
	    (!c->set->from_add || c->set->sender.len == 0))
		return canon_refuse(c, CANON_FROM_MISSING, NULL);
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

size_t canon_fold_at(struct span text)
{
	size_t first = 0, last = text.len, i;

	while (first < text.len && is_blank(text.p[first]))
		first++;
	while (last > first && is_blank(text.p[last - 1]))
		last--;
	i = last < CANON_LINE_MAX ? last : CANON_LINE_MAX;
	for (; i > first; i--)
		if (i < last && is_blank(text.p[i]))
			return i;
	return 0;
}

static bool may_fold(struct span text, bool garbage)
{
	size_t at;

	while (!garbage && text.len > CANON_LINE_MAX) {
		at = canon_fold_at(text);
		if (at == 0)
			return false;
		text = span_of(text.p + at, text.len - at);
	}
	return !garbage;
}

/* Long lines of one field. */
static bool fold_field(struct canon *c, const struct header_field *f,
		       bool sealed)
{
	struct span rest = f->whole, line, text;

	while (header_line_next(&rest, &line, &text)) {
		bool garbage = line.p != f->whole.p && !is_blank(line.p[0]);

		if (text.len <= CANON_LINE_MAX)
			continue;
		if (sealed)
			return canon_refuse(c, CANON_LONG_SIGNED, text.p);
		if (!may_fold(text, garbage))
			return canon_refuse(c, CANON_LONG_HEADER, text.p);
		if (!note(c, EDIT_FOLD, text, span_of(NULL, 0)))
			return false;
	}
	return true;
}

static bool plan_section(struct canon *c, const struct mime_part *part)
{
	struct header_scan scan;
	struct header_field field;

	header_scan_init(&scan, part->section);
	while (header_scan_next(&scan, &field)) {
		if (part->first && is_private(field.name))
			continue;
		if (!fold_field(c, &field, part->sealed))
			return false;
	}
	return true;
}

/* The leaf's Content-Transfer-Encoding becomes quoted-printable. */
static bool plan_encoding(struct canon *c, const struct mime_part *part)
{
	static const char cte[] =
		"Content-Transfer-Encoding: quoted-printable\r\n";
	struct span say = SPAN(cte), behind = span_of(part->gap.p, 0);
	struct header_scan scan;
	struct header_field field;
	bool done = false, high = false;

	header_scan_init(&scan, part->section);
	while (header_scan_next(&scan, &field)) {
		if (!span_eq_nocase(field.name,
				    SPAN("Content-Transfer-Encoding"))) {
			high = high || (!is_private(field.name) &&
					scan_high(field.whole));
			continue;
		}
		if (!done &&
		    !note(c, EDIT_INSERT, span_of(field.name.p, 0), say))
			return false;
		if (!note(c, EDIT_DROP, field.whole, span_of(NULL, 0)))
			return false;
		done = true;
	}
	if (part->first)
		c->header_high = high; /* without the fields that went */
	if (done)
		return true;
	if (part->section.len > 0)
		behind.p = part->section.p + part->section.len;
	if (part->first && !c->has_mime_version &&
	    !note(c, EDIT_INSERT, behind, SPAN("MIME-Version: 1.0\r\n")))
		return false;
	if (!note(c, EDIT_INSERT, behind, say))
		return false;
	/* The message's own section gets its empty line from canon.c. */
	if (part->gap.len == 0 && !part->first)
		return note(c, EDIT_INSERT, behind, SPAN("\r\n"));
	return true;
}

/* One long line of a leaf; *done_r when nothing more is to look for in it. */
static bool plan_line(struct canon *c, const struct mime_part *part,
		      struct span text, bool *done_r)
{
	struct span none = span_of(NULL, 0);

	c->rewritten = true;
	if (part->sealed)
		return canon_refuse(c, CANON_LONG_SIGNED, text.p);
	if (part->kind == MIME_OTHER)
		return canon_refuse(c, CANON_LONG_OUTSIDE, text.p);
	switch (part->encoding) {
	case MIME_IDENTITY:
		*done_r = true;
		return plan_encoding(c, part) &&
		       note(c, EDIT_QP, part->body, none);
	case MIME_QP:
		return note(c, EDIT_SOFT, text, none);
	case MIME_BASE64:
		if (span_find(text, '-') < 0)
			return note(c, EDIT_BASE64, text, none);
		break;
	case MIME_UNKNOWN:
		break;
	}
	return canon_refuse(c, CANON_LONG_ENCODED, text.p);
}

static bool plan_body(struct canon *c, const struct mime_part *part)
{
	struct span rest = part->body, line, text;
	bool done = false;

	while (!done && header_line_next(&rest, &line, &text))
		if (text.len > CANON_LINE_MAX &&
		    !plan_line(c, part, text, &done))
			return false;
	return true;
}

static bool plan_delimiter(struct canon *c, const struct mime_part *part)
{
	struct span rest = part->delimiter, line, text;

	if (!header_line_next(&rest, &line, &text) ||
	    text.len <= CANON_LINE_MAX)
		return true;
	return canon_refuse(c,
			    part->sealed || c->has_dkim ? CANON_LONG_SIGNED
							: CANON_LONG_OUTSIDE,
			    text.p);
}

bool canon_plan_long(struct canon *c)
{
	struct mime_walk walk;
	struct mime_part part;

	mime_walk_init(&walk, c->message);
	while (mime_walk_next(&walk, &part)) {
		part.sealed = part.sealed || c->has_dkim;
		if (!plan_delimiter(c, &part) || !plan_section(c, &part) ||
		    !plan_body(c, &part))
			return false;
	}
	return true;
}

bool canon_plan_empty_line(struct canon *c)
{
	if (c->has_section)
		return true;
	return note(c, EDIT_INSERT, span_of(c->message.p, 0), SPAN("\r\n"));
}
