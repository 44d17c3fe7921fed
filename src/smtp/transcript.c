/*
 * smtp/transcript.c - a conversation as lines for people
 *
 * The mark CRLF . CRLF cannot stand within content: dots at the front of a
 * line are doubled on the wire (RFC 5321 4.5.2).  An empty message is the
 * lone dot: the CRLF of DATA counts as the mark's first one.
 */
#include "smtp/transcript.h"

#include "base/bug.h"

#include <stdio.h>

static const char mark[5] = { '\r', '\n', '.', '\r', '\n' };

void transcript_begin(struct transcript *t, bool ready)
{
	t->ours = ready ? TRANSCRIPT_COMMAND : TRANSCRIPT_CONTENT;
	t->midway = !ready;
	t->data_sent = t->auth = t->secret = false;
	t->bytes = t->chunk = 0;
	t->tail = 0;
	t->lines[0].len = t->lines[1].len = 0;
	t->lines[0].cut = t->lines[1].cut = false;
}

static void shift(struct span *s, size_t n)
{
	*s = span_of(s->p + n, s->len - n);
}

/* Gather until LF.  True: the line is whole, without its CRLF. */
static bool gather(struct transcript_line *l, struct span *octets)
{
	ptrdiff_t lf = span_find(*octets, '\n');
	size_t len = lf < 0 ? octets->len : (size_t)lf;
	size_t room = TRANSCRIPT_LINE_MAX - l->len, n = len < room ? len : room;

	if (n > 0)
		memcpy(l->text + l->len, octets->p, n);
	l->len += (uint32_t)n;
	l->cut = l->cut || n < len;
	shift(octets, len + (lf >= 0));
	if (lf < 0)
		return false;
	if (l->cut) {
		memcpy(l->text + l->len, " ...", 4);
		l->len += 4;
	} else if (l->len > 0 && l->text[l->len - 1] == '\r') {
		l->len--;
	}
	return true;
}

static struct span give(struct transcript_line *l)
{
	struct span line = span_of(l->text, l->len);

	l->len = 0;
	l->cut = false;
	return line;
}

/* --- ours ------------------------------------------------------------------ */

static struct span say(struct transcript *t, uint64_t n, const char *what)
{
	struct transcript_line *l = &t->lines[TRANSCRIPT_OURS];

	l->len = (uint32_t)snprintf(l->text, sizeof(l->text), "<%llu %s>",
				    (unsigned long long)n, what);
	return give(l);
}

/* A keyword and what is behind its blank. */
static bool is_command(struct span line, const char *word, struct span *rest_r)
{
	struct span w = span_str(word);

	if (!span_starts_nocase(line, w) ||
	    (line.len > w.len && line.p[w.len] != ' '))
		return false;
	*rest_r = line.len > w.len
			  ? span_of(line.p + w.len + 1, line.len - w.len - 1)
			  : SPAN("");
	return true;
}

static uint64_t leading_number(struct span s)
{
	uint64_t n = 0;
	size_t len = 0;

	while (len < s.len && s.p[len] >= '0' && s.p[len] <= '9')
		len++;
	return span_u64(span_of(s.p, len), UINT64_MAX, &n) ? n : 0;
}

/* "AUTH PLAIN xyz" becomes "AUTH PLAIN ***". */
static void mask_auth(struct transcript_line *l, struct span rest)
{
	ptrdiff_t blank = span_find(rest, ' ');

	if (blank < 0)
		return;
	l->len = (uint32_t)(rest.p + blank + 1 - l->text);
	BUG_ON(l->len + 3 > sizeof(l->text));
	memcpy(l->text + l->len, "***", 3);
	l->len += 3;
}

static struct span command(struct transcript *t)
{
	struct transcript_line *l = &t->lines[TRANSCRIPT_OURS];
	struct span line = span_of(l->text, l->len), rest;

	if (t->secret) {
		memcpy(l->text, "***", 3);
		l->len = 3;
		t->secret = false;
	} else if (is_command(line, "DATA", &rest)) {
		t->data_sent = true;
	} else if (is_command(line, "MAIL", &rest) ||
		   is_command(line, "RSET", &rest)) {
		t->data_sent = false;
	} else if (is_command(line, "AUTH", &rest)) {
		t->auth = true;
		mask_auth(l, rest);
	} else if (is_command(line, "BDAT", &rest)) {
		t->chunk = t->bytes = leading_number(rest);
		t->ours = t->chunk > 0 ? TRANSCRIPT_CHUNK : TRANSCRIPT_COMMAND;
	}
	return give(l);
}

/* Count content up to its mark.  True: it has ended. */
static bool content(struct transcript *t, struct span *octets)
{
	size_t i;

	for (i = 0; i < octets->len && t->tail < 5; i++) {
		char c = octets->p[i];

		if (c == mark[t->tail])
			t->tail++;
		else
			t->tail = c == '\r' ? 1 : 0;
		t->bytes++;
	}
	shift(octets, i);
	if (t->tail < 5)
		return false;
	t->tail = 0;
	t->ours = TRANSCRIPT_COMMAND;
	return true;
}

static bool take_ours(struct transcript *t, struct span *octets,
		      struct span *line_r)
{
	size_t n;

	switch (t->ours) {
	case TRANSCRIPT_CONTENT:
		if (!content(t, octets))
			return false;
		/* Without the dot and its CRLF. */
		*line_r = say(t, t->bytes - 3,
			      t->midway ? "octets, not shown: the session was "
					  "under way"
					: "octets of content, and the dot");
		t->midway = false;
		return true;
	case TRANSCRIPT_CHUNK:
		n = octets->len < t->bytes ? octets->len : (size_t)t->bytes;
		t->bytes -= n;
		shift(octets, n);
		if (t->bytes > 0)
			return false;
		t->ours = TRANSCRIPT_COMMAND;
		*line_r = say(t, t->chunk, "octets of content");
		return true;
	case TRANSCRIPT_COMMAND:
		if (!gather(&t->lines[TRANSCRIPT_OURS], octets))
			return false;
		*line_r = command(t);
		return true;
	}
	BUG_ON(true);
}

/* --- theirs ---------------------------------------------------------------- */

static void reply(struct transcript *t, struct span line)
{
	bool last = line.len < 4 || line.p[3] != '-';
	bool more = line.len >= 3 && line.p[0] == '3';

	if (!last)
		return;
	if (t->auth) {
		t->secret = more;
		t->auth = more;
	} else if (t->data_sent && more) {
		t->data_sent = false;
		t->ours = TRANSCRIPT_CONTENT;
		t->bytes = 0;
		t->tail = 2; /* DATA's CRLF */
	}
}

bool transcript_take(struct transcript *t, enum transcript_side side,
		     struct span *octets, struct span *line_r)
{
	struct transcript_line *l = &t->lines[TRANSCRIPT_THEIRS];

	while (octets->len > 0) {
		if (side == TRANSCRIPT_OURS) {
			if (take_ours(t, octets, line_r))
				return true;
			continue;
		}
		if (!gather(l, octets))
			return false;
		reply(t, span_of(l->text, l->len));
		*line_r = give(l);
		return true;
	}
	return false;
}
