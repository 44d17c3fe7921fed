#ifndef MTAQ_MAIL_CANON_PRIVATE_H
#define MTAQ_MAIL_CANON_PRIVATE_H

/*
 * How the canonical form is made: plan.c looks at the header section and, when
 * some line is too long, at the parts, and notes edits; canon.c scans, sorts
 * the edits and walks over the input once, from edit to edit.
 *
 *	input   |....drop....|......|insert......|qp.........|.....|
 *	output  borrowed, or copied where a piece is short
 */
#include "base/buf.h"
#include "mail/canon.h"
#include "mail/date.h"
#include "mail/scan.h"

#include <stddef.h>

enum edit_kind {     /* at one place the first of this order is done first */
	EDIT_INSERT, /* text; from == to */
	EDIT_DROP,   /* whole lines */
	EDIT_FOLD,   /* one header line, its end not included */
	EDIT_QP,     /* lines of a leaf to be encoded */
	EDIT_SOFT,   /* one line of a quoted-printable leaf */
	EDIT_BASE64  /* one line of a base64 leaf */
};

struct edit {
	size_t from, to; /* offsets in the message */
	enum edit_kind kind;
	uint32_t number;  /* as noted: keeps the order of equals */
	struct span text; /* static words, for EDIT_INSERT */
};

struct canon_piece {
	const char *p; /* NULL: owned, at off in own */
	size_t off, len;
};

struct canon {
	const struct canon_settings *set;
	struct span whole, message; /* as given; without the mbox line */
	struct scan_seen seen;

	/* What the plan found. */
	enum canon_error error;
	const char *error_at;
	bool has_section, has_date, has_id, has_dkim, has_mime_version;
	bool header_high;
	bool rewritten; /* what was seen may not hold of what comes out */
	unsigned from_count, received_count;
	struct edit *edits;
	size_t edit_count, edit_size;

	int64_t date_s; /* of the words in date, once there are any */
	char date[DATE_OCTETS];

	/* What comes out. */
	struct buf own;
	struct canon_piece pieces[CANON_PIECES_MAX];
	int count;
	size_t short_max; /* shorter ranges are copied */
	uint64_t size;
	bool ends_line;
	struct iovec out[CANON_PIECES_MAX];
};

/* Plan.  Both return false and set error when the message is refused. */
bool canon_plan_header(struct canon *c);
bool canon_plan_long(struct canon *c);       /* call when seen.wide */
bool canon_plan_empty_line(struct canon *c); /* last: end a made section */
bool canon_refuse(struct canon *c, enum canon_error error, const char *at);

/* The last blank of a long header line before which it may be folded; 0 when
 * there is none. */
size_t canon_fold_at(struct span text);

#endif
