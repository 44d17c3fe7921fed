/*
 * mail/canon.c - the canonical form of a message
 *
 *	scan -> plan the header -> (plan long lines) -> sort edits -> put
 *
 * The rules stand in canon.h, how the steps meet in canon_private.h.
 * What is put is a list of pieces: ranges of the input, or of the own buffer.
 * Ranges shorter than a 256th of the message (at least 128 octets) are copied
 * into the own buffer, hence at most 256 borrowed pieces, and as many own
 * ones between them.
 */
#include "mail/canon_private.h"

#include "base/bug.h"
#include "mail/header.h"
#include "mail/qp.h"

#include <stdlib.h>

#define OWN_MAX         ((size_t)1 << 31) /* 50 MiB, encoded, is far less */
#define OWN_KEPT_MAX    ((size_t)1 << 20) /* memory kept between messages */
#define SHORT_MAX       128u
#define BORROWED_MAX    256u
#define RECEIVED_OCTETS 800u
#define ID_OCTETS       250u

struct canon *canon_new(void)
{
	struct canon *c = calloc(1, sizeof(*c));

	if (c != NULL)
		buf_init(&c->own, OWN_MAX);
	return c;
}

void canon_free(struct canon **c)
{
	if (*c == NULL)
		return;
	buf_free(&(*c)->own);
	free((*c)->edits);
	free(*c);
	*c = NULL;
}

/* --- pieces ------------------------------------------------------------ */

static struct canon_piece *last_piece(struct canon *c)
{
	return c->count > 0 ? &c->pieces[c->count - 1] : NULL;
}

static void add_piece(struct canon *c, const char *p, size_t off, size_t len)
{
	BUG_ON(c->count == CANON_PIECES_MAX);
	c->pieces[c->count++] = (struct canon_piece){ p, off, len };
}

/* Note that the own buffer has grown from `before` on. */
static void own_grown(struct canon *c, size_t before)
{
	struct canon_piece *last = last_piece(c);
	size_t len = c->own.len - before;

	if (len == 0)
		return;
	if (last != NULL && last->p == NULL)
		last->len += len;
	else
		add_piece(c, NULL, before, len);
	c->ends_line = c->own.p[c->own.len - 1] == '\n';
}

static void put_text(struct canon *c, struct span s)
{
	size_t before = c->own.len;

	(void)buf_add_span(&c->own, s);
	own_grown(c, before);
}

/* A range of the input as it is. */
static void put_range(struct canon *c, const char *p, size_t len)
{
	struct canon_piece *last = last_piece(c);

	if (len == 0)
		return;
	if (last != NULL && last->p != NULL && last->p + last->len == p) {
		last->len += len;
	} else if (len < c->short_max) {
		put_text(c, span_of(p, len));
		return;
	} else {
		add_piece(c, p, 0, len);
	}
	c->ends_line = p[len - 1] == '\n';
}

/* A range of the input with its line ends made CRLF.  The next CR and the
 * next LF are each looked for once. */
static void put_lines(struct canon *c, const char *p, const char *end)
{
	const char *run = p, *lf = p, *cr = p, *stop;

	if (c->seen.bare == NULL || end <= c->seen.bare) {
		put_range(c, p, (size_t)(end - p));
		return;
	}
	for (; p < end; p = stop + 1) {
		if (lf != NULL && lf <= p)
			lf = memchr(p, '\n', (size_t)(end - p));
		if (cr != NULL && cr <= p)
			cr = memchr(p, '\r', (size_t)(end - p));
		stop = cr == NULL || (lf != NULL && lf < cr) ? lf : cr;
		if (stop == NULL)
			break;
		if (stop == cr && lf == cr + 1) {
			stop = lf;
			continue;
		}
		put_range(c, run, (size_t)(stop - run));
		put_text(c, SPAN("\r\n"));
		run = stop + 1;
	}
	put_range(c, run, (size_t)(end - run));
}

/* --- edits ------------------------------------------------------------- */

static void put_fold(struct canon *c, struct span text)
{
	size_t at;

	while (text.len > CANON_LINE_MAX) {
		at = canon_fold_at(text);
		BUG_ON(at == 0);
		put_range(c, text.p, at);
		put_text(c, SPAN("\r\n"));
		text = span_of(text.p + at, text.len - at);
	}
	put_range(c, text.p, text.len);
}

static void put_encoded(struct canon *c, struct span lines)
{
	struct span line, text;

	while (header_line_next(&lines, &line, &text)) {
		qp_put_line(&c->own, text);
		if (line.len > text.len)
			(void)buf_add(&c->own, "\r\n", 2);
	}
}

static void put_edit(struct canon *c, const struct edit *e)
{
	struct span what = span_of(c->message.p + e->from, e->to - e->from);
	size_t before = c->own.len;

	switch (e->kind) {
	case EDIT_INSERT:
		(void)buf_add_span(&c->own, e->text);
		break;
	case EDIT_DROP:
		return;
	case EDIT_FOLD:
		put_fold(c, what);
		return;
	case EDIT_QP:
		put_encoded(c, what);
		break;
	case EDIT_SOFT:
		qp_put_soft(&c->own, what);
		break;
	case EDIT_BASE64:
		qp_put_base64(&c->own, what);
		break;
	}
	own_grown(c, before);
}

static int compare_edits(const void *a, const void *b)
{
	const struct edit *x = a, *y = b;

	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

static void put_message(struct canon *c)
{
	const char *start = c->message.p;
	size_t at = 0, i;

	if (c->edit_count > 1)
		qsort(c->edits, c->edit_count, sizeof(*c->edits),
		      compare_edits);
	for (i = 0; i < c->edit_count; i++) {
		const struct edit *e = &c->edits[i];

		if (e->from < at)
			continue; /* inside of what was dropped */
		put_lines(c, start + at, start + e->from);
		put_edit(c, e);
		at = e->to;
	}
	put_lines(c, start + at, start + c->message.len);
	if (!c->ends_line)
		put_text(c, SPAN("\r\n"));
}

/* --- the fields on top ------------------------------------------------- */

/* Words of the caller, one line of ASCII whatever they hold. */
static void add_clean(struct buf *b, struct span s, size_t max,
		      const char *never, char instead)
{
	size_t i, len = s.len < max ? s.len : max;

	for (i = 0; i < len; i++) {
		char c = s.p[i];
		bool odd = c < ' ' || c > '~' || strchr(never, c) != NULL;

		(void)buf_add_char(b, odd ? instead : c);
	}
}

static void put_top(struct canon *c)
{
	const struct canon_settings *set = c->set;
	size_t before = c->own.len;
	struct span date;

	if (c->date_s != set->now_s || c->date[0] == '\0')
		date_print(set->now_s, c->date);
	c->date_s = set->now_s;
	date = span_of(c->date, DATE_OCTETS - 1);
	if (set->received.len > 0) {
		(void)buf_add_span(&c->own, SPAN("Received: "));
		add_clean(&c->own, set->received, RECEIVED_OCTETS, "", '?');
		(void)buf_add_span(&c->own, SPAN(";\r\n\t"));
		(void)buf_add_span(&c->own, date);
		(void)buf_add_span(&c->own, SPAN("\r\n"));
	}
	if (c->from_count == 0) {
		(void)buf_add_span(&c->own, SPAN("From: "));
		(void)buf_add_span(&c->own, set->sender);
		(void)buf_add_span(&c->own, SPAN("\r\n"));
	}
	if (!c->has_date) {
		(void)buf_add_span(&c->own, SPAN("Date: "));
		(void)buf_add_span(&c->own, date);
		(void)buf_add_span(&c->own, SPAN("\r\n"));
	}
	if (!c->has_id) {
		(void)buf_add_span(&c->own, SPAN("Message-ID: <"));
		add_clean(&c->own, set->unique, ID_OCTETS, " <>@()[]\\,;:\"",
			  '-');
		(void)buf_add_char(&c->own, '@');
		add_clean(&c->own, set->id_domain, ID_OCTETS, " <>@()\\,;\"",
			  '-');
		(void)buf_add_span(&c->own, SPAN(">\r\n"));
	}
	own_grown(c, before);
}

void canon_trim(struct canon *c)
{
	if (c->own.size > OWN_KEPT_MAX)
		buf_free(&c->own);
}

/* --- the whole --------------------------------------------------------- */

static void reset(struct canon *c, const struct canon_settings *set,
		  struct span message)
{
	canon_trim(c);
	buf_clear(&c->own);
	c->set = set;
	c->whole = c->message = message;
	c->error = CANON_OK;
	c->error_at = NULL;
	c->has_section = c->has_date = c->has_id = false;
	c->has_dkim = c->has_mime_version = false;
	c->header_high = c->rewritten = c->ends_line = false;
	c->from_count = c->received_count = 0;
	c->edit_count = 0;
	c->count = 0;
	c->size = 0;
	c->short_max = SHORT_MAX;
	if (message.len / BORROWED_MAX > c->short_max)
		c->short_max = message.len / BORROWED_MAX;
}

static void drop_mbox_line(struct canon *c)
{
	struct span rest = c->message, line, text;

	if (span_starts_nocase(rest, SPAN("From ")) &&
	    memcmp(rest.p, "From ", 5) == 0 &&
	    header_line_next(&rest, &line, &text) &&
	    header_line_name(text).len == 0)
		c->message = rest;
}

static bool plan(struct canon *c)
{
	drop_mbox_line(c);
	if (c->message.len == 0)
		return canon_refuse(c, CANON_EMPTY, NULL);
	scan_message(c->message, &c->seen);
	if (c->seen.nul != NULL)
		return canon_refuse(c, CANON_NUL, c->seen.nul);
	if (c->seen.bare != NULL && c->set->newlines == CANON_NEWLINES_REFUSE)
		return canon_refuse(c, CANON_BARE_NEWLINE, c->seen.bare);
	return canon_plan_header(c) && (!c->seen.wide || canon_plan_long(c)) &&
	       canon_plan_empty_line(c);
}

/* The pieces as iovecs: only now the own buffer stays where it is. */
static void finish(struct canon *c, struct canon_result *result_r)
{
	int i;

	for (i = 0; i < c->count; i++) {
		const struct canon_piece *piece = &c->pieces[i];
		const char *p =
			piece->p != NULL ? piece->p : c->own.p + piece->off;

		c->out[i].iov_base = (void *)(uintptr_t)p;
		c->out[i].iov_len = piece->len;
		c->size += piece->len;
	}
	*result_r = (struct canon_result){ .pieces = c->out,
					   .count = c->count,
					   .size = c->size };
}

/* A piece that begins with a dot begins a line: ranges begin where lines do,
 * or with a line end. */
static uint32_t flags_of(const struct canon *c)
{
	bool from_high = c->from_count == 0 && scan_high(c->set->sender);
	struct scan_seen seen = c->seen;
	int i;

	if (c->rewritten) {
		bool high = false, dots = false;

		for (i = 0; i < c->count; i++) {
			scan_message(
				span_of(c->out[i].iov_base, c->out[i].iov_len),
				&seen);
			high = high || seen.high;
			dots = dots || seen.dots;
		}
		seen.high = high;
		seen.dots = dots;
	}
	return (seen.high || from_high ? CANON_8BIT : 0) |
	       (seen.dots ? CANON_DOTS : 0) |
	       (c->header_high || from_high ? CANON_HEADER8 : 0);
}

enum canon_error canon_make(struct canon *c, const struct canon_settings *set,
			    struct span message, struct canon_result *result_r)
{
	/* A sender with a line end in it would write header fields. */
	BUG_ON(span_find(set->sender, '\r') >= 0 ||
	       span_find(set->sender, '\n') >= 0);
	reset(c, set, message);
	if (plan(c)) {
		put_top(c);
		put_message(c);
		if (c->own.failed != 0)
			(void)canon_refuse(c, CANON_NO_MEMORY, NULL);
	}
	if (c->error != CANON_OK) {
		*result_r = (struct canon_result){ .error = c->error };
		if (c->error_at != NULL)
			result_r->line = scan_line_number(message, c->error_at);
		return c->error;
	}
	finish(c, result_r);
	result_r->flags = flags_of(c);
	return CANON_OK;
}

static const struct {
	const char *words, *enhanced;
} errors[CANON_ERROR_COUNT] = {
	[CANON_OK] = { "the message is canonical", "2.6.0" },
	[CANON_EMPTY] = { "the message is empty", "5.6.0" },
	[CANON_NUL] = { "the message has a NUL octet", "5.6.0" },
	[CANON_BARE_NEWLINE] = { "a line ends with CR or LF alone", "5.6.0" },
	[CANON_LOOP] = { "mail loop: the message has more than 50 Received "
			 "fields",
			 "5.4.6" },
	[CANON_FROM_MISSING] = { "the message has no From field", "5.6.0" },
	[CANON_FROM_TWICE] = { "the message has more than one From field",
			       "5.6.0" },
	[CANON_LONG_SIGNED] = { "a line is longer than 998 octets and must "
				"not be changed: it is in a signed or "
				"enclosed message",
				"5.6.0" },
	[CANON_LONG_HEADER] = { "a header line is longer than 998 octets and "
				"has no place to fold it",
				"5.6.0" },
	[CANON_LONG_ENCODED] = { "a line is longer than 998 octets in a part "
				 "whose encoding cannot be changed",
				 "5.6.0" },
	[CANON_LONG_OUTSIDE] = { "a line is longer than 998 octets before, "
				 "between or after the parts",
				 "5.6.0" },
	[CANON_NO_MEMORY] = { "there is not enough memory for the message",
			      "4.3.0" },
};

const char *canon_error_words(enum canon_error error)
{
	BUG_ON((unsigned)error >= CANON_ERROR_COUNT);
	return errors[error].words;
}

const char *canon_error_enhanced(enum canon_error error)
{
	BUG_ON((unsigned)error >= CANON_ERROR_COUNT);
	return errors[error].enhanced;
}
