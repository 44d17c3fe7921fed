#ifndef MTAQ_MAIL_MBOX_H
#define MTAQ_MAIL_MBOX_H

/*
 * An mbox file, cut into messages as its octets come.
 *
 *	file    = 1*( from-line message )
 *	message = *line empty-line        ; the empty line is not the message's
 *
 * A from-line is the first line of the file when it begins with "From ", and
 * later a line behind an empty one that begins with "From " and has a time
 * (dd:dd) and a year (four digits) in it.  Lines that are one without the
 * other (a missing empty line, or no date) stay text and are counted as
 * doubtful: more than none of them means that the file was written badly.
 * CRLF and LF end lines.
 *
 *	mbox_init(&m, true);
 *	while ((what = mbox_next(&m, &input, last, &span)) != MBOX_MORE) ...
 *
 * input is moved behind what was used.  At MBOX_MORE the rest of it (under
 * MBOX_LOOK octets) must be given again with new octets behind it, or last
 * set.  The spans borrow from the input.
 */
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

#define MBOX_LOOK 2048u /* the input must be able to hold this much */

enum mbox_event {
	MBOX_MORE, /* give more octets; with last set: the file is at its end */
	MBOX_BEGIN, /* a message begins; the span is its from-line */
	MBOX_TEXT,  /* octets of the message */
	MBOX_END,   /* the message is whole */
	MBOX_BROKEN /* the file does not begin with a from-line; final */
};

enum mbox_state {
	MBOX_START,  /* nothing seen */
	MBOX_LINE,   /* at the start of a line of a message */
	MBOX_INSIDE, /* inside a line */
	MBOX_DONE,
	MBOX_BAD
};

struct mbox {
	enum mbox_state state;
	bool unescape;     /* mboxrd: one ">" off ">From ", ">>From ", ... */
	uint64_t messages; /* begun */
	uint64_t doubtful; /* lines that may have been meant as from-lines */
};

void mbox_init(struct mbox *m, bool unescape);
enum mbox_event mbox_next(struct mbox *m, struct span *input, bool last,
			  struct span *span_r);

#endif
