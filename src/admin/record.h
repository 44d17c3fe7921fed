#ifndef MTAQ_ADMIN_RECORD_H
#define MTAQ_ADMIN_RECORD_H

/*
 * One line of the control socket, either way.
 *
 *	line   = verb *( TAB field ) LF
 *	verb   = 1*32( a-z / "_" / "." )
 *	field  = key ( "=" text / ":" number )
 *	key    = 1*32( a-z / 0-9 / "_" )
 *	text   = octets; below 32, "%", and 127 are written as %XX
 *	number = 1*20 DIGIT, at most 2^64-1
 *
 * A text may be anything, so that what a server or a message said travels
 * unharmed; a line never holds a stray TAB or LF.
 */
#include "base/buf.h"

#define ADMIN_FIELDS_MAX 64u
#define ADMIN_WORD_MAX   32u
/* A thousand ids, and then some. */
#define ADMIN_LINE_MAX (64u << 10)

struct admin_field {
	struct span key, text; /* text: also of a number, as it stood */
	bool is_number;
	uint64_t number;
};

struct admin_record { /* borrows from the line */
	struct span verb;
	uint32_t count;
	struct admin_field fields[ADMIN_FIELDS_MAX];
};

/* Parse a line without its LF; its texts are decoded in place.  0, or -EINVAL:
 * it is none (the line may be half decoded then, rec_r half filled). */
int admin_parse(char *line, size_t len, struct admin_record *rec_r);

/* The field of this name; NULL.  The first one when there are several. */
const struct admin_field *admin_find(const struct admin_record *rec,
				     const char *key);
/* Its text; empty when there is none. */
struct span admin_text_of(const struct admin_record *rec, const char *key);
/* Its number; 0 when there is none, or it is a text. */
uint64_t admin_number_of(const struct admin_record *rec, const char *key);

/* Writing: errors are the buffer's (`failed`).  Verbs and keys are ours. */
void admin_begin(struct buf *out, const char *verb);
void admin_text(struct buf *out, const char *key, struct span text);
void admin_number(struct buf *out, const char *key, uint64_t number);
void admin_end(struct buf *out);

#endif
