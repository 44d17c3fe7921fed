#ifndef MTAQ_MAIL_SCAN_H
#define MTAQ_MAIL_SCAN_H

/*
 * One look at all octets of a message.
 */
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

struct scan_seen {
	const char *nul, *bare; /* the first NUL, the first bare CR or LF */
	bool high, dots, wide;  /* over 127; "." first in a line; over 998 */
};

void scan_message(struct span message, struct scan_seen *seen_r);
bool scan_high(struct span s); /* has octets over 127 */
/* The number, from 1, of the line in which p stands. */
uint64_t scan_line_number(struct span message, const char *p);

#endif
