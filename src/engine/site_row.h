#ifndef MTAQ_ENGINE_SITE_ROW_H
#define MTAQ_ENGINE_SITE_ROW_H

/*
 * The row "site" of an answer: one function writes it, for a site that a
 * worker has and for one of which only an operator's pause is known.
 */
#include "base/buf.h"

#include <stdint.h>

struct site_row { /* pointers borrowed, NULL is "" */
	const char *name, *state, *preset, *limit, *limit_words, *why, *last;
	uint64_t tasks, running, sessions, busy, connecting, window;
	uint64_t delivered, deferred, bounced, per_second, messages;
	uint64_t hosts, hosts_bad, again_in_s, limit_in_s, last_s_ago;
	unsigned worker;
};

void site_row_add(const struct site_row *row, struct buf *out);

#endif
