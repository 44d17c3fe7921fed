#ifndef MTAQ_MAIL_MIME_H
#define MTAQ_MAIL_MIME_H

/*
 * Where the parts of a message lie (RFC 2045, 2046), in the order of the
 * octets.  The message itself is the first part.  Broken input as it comes:
 *
 *  - A part's header section is as in header.h, and ends at a delimiter too.
 *  - A multipart without a boundary (or one over 200 octets), and one more
 *    than 32 deep, is one part of kind MIME_OTHER.
 *  - A delimiter is a line "--boundary" or "--boundary--" with nothing but
 *    blanks behind; of the open multiparts the innermost is asked first, and
 *    an outer one's delimiter closes the inner ones.
 *  - The line end before a delimiter belongs to the delimiter.
 *  - What is before the first delimiter of a multipart is the body of its own
 *    part; what is behind its last one is a part of kind MIME_OTHER with no
 *    header section.
 *  - Of several Content-Type fields the first counts.  A boundary without
 *    quotes ends at a blank or ";".
 */
#include "base/span.h"

#include <stdbool.h>

#define MIME_DEPTH_MAX    32
#define MIME_BOUNDARY_MAX 200

enum mime_kind {
	MIME_LEAF, /* its body is the content of something */
	MIME_OTHER /* its body is what readers skip */
};

enum mime_encoding {
	MIME_IDENTITY, /* 7bit, 8bit, binary, or not said */
	MIME_BASE64,
	MIME_QP,
	MIME_UNKNOWN
};

struct mime_part {
	enum mime_kind kind;
	enum mime_encoding encoding;
	/* A signature may cover it: it is of type message, or it lies within
	 * (or is) a multipart/signed. */
	bool sealed;
	bool first;            /* the message itself */
	struct span delimiter; /* the line before the part; empty at first */
	struct span section;   /* its fields */
	struct span gap;       /* the empty line, or empty when there is none */
	struct span body;      /* without the line end before a delimiter */
};

struct mime_open {
	char boundary[MIME_BOUNDARY_MAX];
	size_t len;
	bool sealed, digest;
};

struct mime_walk {
	struct span rest;
	struct span delimiter; /* the last one met */
	bool first, closed;    /* closed: it was "--boundary--" */
	int depth;
	struct mime_open open[MIME_DEPTH_MAX];
};

void mime_walk_init(struct mime_walk *w, struct span message);
/* The next part; false at the end.  All spans borrow from the message. */
bool mime_walk_next(struct mime_walk *w, struct mime_part *part_r);

#endif
