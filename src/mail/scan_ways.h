#ifndef MTAQ_MAIL_SCAN_WAYS_H
#define MTAQ_MAIL_SCAN_WAYS_H

/*
 * The ways to scan_message(), the fastest first; the last one is every CPU's.
 * All say the same.  For scan*.c and tests.
 */
#include "mail/scan.h"

#include <stddef.h>

struct scan_way {
	const char *name;
	bool (*here)(void); /* does this CPU have it? */
	void (*scan)(struct span message, struct scan_seen *seen_r);
};

extern const struct scan_way scan_ways[];
extern const size_t scan_way_count;

/* Line by line. */
void scan_lines(struct span message, struct scan_seen *seen_r);

#if defined(__x86_64__)
void scan_avx2(struct span message, struct scan_seen *seen_r);
void scan_avx512(struct span message, struct scan_seen *seen_r);
#endif

#endif
