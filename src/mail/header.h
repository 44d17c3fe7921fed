#ifndef MTAQ_MAIL_HEADER_H
#define MTAQ_MAIL_HEADER_H

/*
 * The header section of a message, and the address lists in it (RFC 5322).
 *
 *	message = [ section [ empty-line body ] ]
 *	section = 1*( field-line *( continuation / garbage ) )
 *	field-line = 1*( %d33-57 / %d59-126 / %d128-255 ) *( SP / TAB ) ":" ...
 *
 * There is a section only when the first line is a field; else all of the
 * message is body (after one empty line, if that is what comes first).
 * A later line that is neither a field nor begins with a blank is garbage: a
 * broken fold, most of the time.  It belongs to the field before it, so that
 * whoever removes Bcc removes its broken tail as well.  CRLF, bare LF and bare
 * CR all end a line.  Nothing here fails and nothing is copied.
 */
#include "base/span.h"

#include <stdbool.h>

struct header_field {
	struct span name; /* as written, without the blanks before ":" */
	struct span
		value; /* behind ":", folds inside, no line end at its end */
	struct span whole; /* all lines with their line ends */
};

struct header_scan {
	const char *start, *at, *end;
	const char *section_end; /* NULL while fields come */
	/* The line at `at`: without its end, its name; where the next begins. */
	struct span text, name;
	const char *behind;
	struct span body;
};

void header_scan_init(struct header_scan *s, struct span message);
/* The next field; false at the end of the section. */
bool header_scan_next(struct header_scan *s, struct header_field *field_r);
/* After header_scan_next() said false: the section's lines without the empty
 * line, and what follows the empty line. */
struct span header_scan_section(const struct header_scan *s);
struct span header_scan_body(const struct header_scan *s);

/* The first field of this name (ASCII case does not count). */
bool header_find(struct span message, struct span name,
		 struct header_field *field_r);
/* Does a line begin as a field?  Its name, or an empty span. */
struct span header_line_name(struct span line);
/* One line off the front of *rest, with its line end (CRLF, LF or CR);
 * false when nothing is left.  text_r is the line without its end. */
bool header_line_next(struct span *rest, struct span *line_r,
		      struct span *text_r);

/*
 * An address list: mailboxes and groups, comments, folds, quoted strings,
 * obsolete routes (dropped) and empty places between commas (RFC 5322 section
 * 3.4, 4.4).  Display names and encoded words are passed over untouched.
 */
#define HEADER_ADDR_MAX 512 /* longer ones are reported as broken */

struct header_addrs {
	const char *at, *end;
	unsigned depth;  /* 1 inside a group */
	struct span raw; /* the last item as it stands in the value */
	char text[HEADER_ADDR_MAX]; /* the last address: local@domain */
	size_t len;
};

void header_addrs_init(struct header_addrs *a, struct span value);
/* 1: text and raw are the next address (not validated: give it to
 * address_parse());  -1: raw is an item that has no address in it, go on;
 * 0: the end.  Lists of any length end: each call takes octets. */
int header_addrs_next(struct header_addrs *a);

#endif
