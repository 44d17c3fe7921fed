/*
 * mail/mbox.c - an mbox file, cut into messages as its octets come
 *
 *	START --from-line--> LINE <--> INSIDE      BEGIN, then TEXT ...
 *	LINE  --empty line, from-line--> LINE      END, BEGIN
 *	LINE, INSIDE --end of file--> DONE         END
 *	START --anything else--> BAD               BROKEN
 *
 * An empty line is held back until what follows it is known: it is the
 * message's, or the separator's.  So at most an empty line and one line of up
 * to MBOX_FROM_MAX octets wait for more input.
 */
#include "mail/mbox.h"

#include "base/bug.h"

#define MBOX_FROM_MAX 1000u /* a longer line is no from-line */

void mbox_init(struct mbox *m, bool unescape)
{
	*m = (struct mbox){ .state = MBOX_START, .unescape = unescape };
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool starts_from(struct span s)
{
	return s.len >= 5 && memcmp(s.p, "From ", 5) == 0;
}

/* May more octets still make a "From " of it? */
static bool may_start_from(struct span s)
{
	return s.len < 5 && memcmp(s.p, "From ", s.len) == 0;
}

/* A time "d:dd" and a year of four digits are in every from-line. */
static bool has_date(struct span s)
{
	bool time = false, year = false;
	size_t i, digits = 0;

	for (i = 0; i < s.len; i++) {
		digits = is_digit(s.p[i]) ? digits + 1 : 0;
		if (digits == 4 && (i + 1 == s.len || !is_digit(s.p[i + 1])))
			year = true;
		if (s.p[i] == ':' && i > 0 && is_digit(s.p[i - 1]) &&
		    i + 2 < s.len && is_digit(s.p[i + 1]) &&
		    is_digit(s.p[i + 2]))
			time = true;
	}
	return time && year;
}

static void advance(struct span *s, size_t n)
{
	s->p += n;
	s->len -= n;
}

/* The octets of the first line, its end included; 0 when it is not known yet
 * (never with last set, and never when it is too long to be a from-line). */
static size_t line_len(struct span s, bool last)
{
	size_t look = s.len < MBOX_FROM_MAX ? s.len : MBOX_FROM_MAX;
	const char *lf = look == 0 ? NULL : memchr(s.p, '\n', look);

	if (lf != NULL)
		return (size_t)(lf - s.p) + 1;
	return last || s.len >= MBOX_FROM_MAX ? look : 0;
}

static struct span take(struct span *input, size_t n)
{
	struct span s = span_of(input->p, n);

	advance(input, n);
	return s;
}

static enum mbox_event begin(struct mbox *m, struct span *input, size_t len,
			     struct span *span_r)
{
	*span_r = take(input, len);
	m->messages++;
	m->state = MBOX_LINE;
	return MBOX_BEGIN;
}

static enum mbox_event at_start(struct mbox *m, struct span *input, bool last,
				struct span *span_r)
{
	size_t len;

	if (!last && may_start_from(*input))
		return MBOX_MORE;
	len = starts_from(*input) ? line_len(*input, last) : 0;
	if (starts_from(*input) && len == 0)
		return MBOX_MORE;
	if (starts_from(*input) && len < MBOX_FROM_MAX)
		return begin(m, input, len, span_r);
	m->state = MBOX_BAD;
	return MBOX_BROKEN;
}

/* Octets up to the end of the line, or what there is of it. */
static enum mbox_event text(struct mbox *m, struct span *input,
			    struct span *span_r)
{
	const char *lf = memchr(input->p, '\n', input->len);
	size_t n = lf == NULL ? input->len : (size_t)(lf - input->p) + 1;

	m->state = lf == NULL ? MBOX_INSIDE : MBOX_LINE;
	*span_r = take(input, n);
	return MBOX_TEXT;
}

/* The octets of an empty line at the front: 0 none, SIZE_MAX not known. */
static size_t empty_len(struct span s, bool last)
{
	if (s.len >= 1 && s.p[0] == '\n')
		return 1;
	if (s.len >= 2 && s.p[0] == '\r' && s.p[1] == '\n')
		return 2;
	if (s.len == 1 && s.p[0] == '\r' && !last)
		return SIZE_MAX;
	return 0;
}

/* A ">>From " line has one ">" too many; false: more octets are needed. */
static bool unescape(struct span *input, bool last)
{
	size_t n = 0;
	struct span tail;

	while (n < input->len && n < MBOX_FROM_MAX && input->p[n] == '>')
		n++;
	if (n == 0 || n == MBOX_FROM_MAX)
		return true;
	tail = span_of(input->p + n, input->len - n);
	if (starts_from(tail))
		advance(input, 1);
	return starts_from(tail) || last || !may_start_from(tail);
}

/* Behind an empty line of `empty` octets: a new message, or text. */
static enum mbox_event after_empty(struct mbox *m, struct span *input,
				   size_t empty, bool last, struct span *span_r)
{
	struct span next = span_of(input->p + empty, input->len - empty);
	size_t len;

	if (next.len == 0 && last) {
		advance(input, empty); /* the last message's own end */
		m->state = MBOX_DONE;
		return MBOX_END;
	}
	if (!last && may_start_from(next))
		return MBOX_MORE;
	if (starts_from(next)) {
		len = line_len(next, last);
		if (len == 0)
			return MBOX_MORE;
		if (len < MBOX_FROM_MAX && has_date(span_of(next.p, len))) {
			advance(input, empty);
			m->state = MBOX_START; /* the from-line comes now */
			return MBOX_END;
		}
		m->doubtful++;
		*span_r = take(input, empty + len);
		m->state = span_r->p[span_r->len - 1] == '\n' ? MBOX_LINE
							      : MBOX_INSIDE;
		return MBOX_TEXT;
	}
	*span_r = take(input, empty);
	return MBOX_TEXT;
}

static enum mbox_event at_line(struct mbox *m, struct span *input, bool last,
			       struct span *span_r)
{
	size_t empty = empty_len(*input, last), len;

	if (empty == SIZE_MAX)
		return MBOX_MORE;
	if (empty > 0)
		return after_empty(m, input, empty, last, span_r);
	if (!last && may_start_from(*input))
		return MBOX_MORE;
	if (starts_from(*input)) {
		len = line_len(*input, last);
		if (len == 0)
			return MBOX_MORE;
		m->doubtful += has_date(span_of(input->p, len));
	}
	if (m->unescape && !unescape(input, last))
		return MBOX_MORE;
	return text(m, input, span_r);
}

enum mbox_event mbox_next(struct mbox *m, struct span *input, bool last,
			  struct span *span_r)
{
	if (m->state == MBOX_BAD)
		return MBOX_BROKEN;
	if (m->state == MBOX_DONE)
		return MBOX_MORE;
	if (input->len == 0 && !(last && m->state != MBOX_START))
		return MBOX_MORE;
	if (input->len == 0) {
		m->state = MBOX_DONE;
		return MBOX_END;
	}
	switch (m->state) {
	case MBOX_START:
		return at_start(m, input, last, span_r);
	case MBOX_LINE:
		return at_line(m, input, last, span_r);
	default:
		BUG_ON(m->state != MBOX_INSIDE);
		return text(m, input, span_r);
	}
}
