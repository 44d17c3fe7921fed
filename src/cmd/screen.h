#ifndef MTAQ_CMD_SCREEN_H
#define MTAQ_CMD_SCREEN_H

/*
 * Standard output, as people see it: is it a terminal, how wide, may it have
 * colours (not with NO_COLOR, https://no-color.org, nor TERM=dumb); and words
 * of strangers made harmless for it.
 */
#include "base/buf.h"

enum colour {
	PLAIN,
	BOLD,
	DIM,
	GREEN,
	YELLOW,
	RED
};

struct screen {
	bool terminal, colour;
	unsigned columns; /* of the terminal; 0: not known, or none */
};

/* for_people false (--json): a pipe, whatever it is. */
void screen_init(struct screen *s, bool for_people);
/* The octets that begin this colour; "" where there are no colours. */
const char *screen_paint(const struct screen *s, enum colour colour);
/* Text with its controls as '?': one line stays one line. */
void screen_add(struct buf *out, struct span text);
/* Columns that UTF-8 text takes, each character as one. */
size_t screen_width(struct span text);

#endif
