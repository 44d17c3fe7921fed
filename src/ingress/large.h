#ifndef MTAQ_INGRESS_LARGE_H
#define MTAQ_INGRESS_LARGE_H

/*
 * How many large messages are in memory at once, over all connections.
 *
 * A large message (frames L and P) is held whole: its canonical form can be
 * known only with its last octet, since a long line there changes the header
 * in front.  So their number and their octets are bounded, and the next one
 * waits in a line, oldest first: its connection is not read meanwhile, and
 * the wait costs a few octets.
 */
#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

#define INGRESS_LARGE_MAX 8u
/* Or one message, however large it is. */
#define INGRESS_LARGE_BYTES_MAX (128u << 20)
/* Who has a place, sends nothing and lets others wait loses it after so many
 * calls of ingress_conn_tick(). */
#define INGRESS_LARGE_TICKS 6u

struct ingress_large {    /* one for all connections; zeroes are not enough */
	struct list line; /* of struct large_place, oldest first */
	uint32_t count;
	uint64_t bytes;
	bool moved;
};

struct large_place {      /* of one message */
	struct list link; /* in the line, or alone */
	uint64_t bytes;
	bool taken;
};

void ingress_large_init(struct ingress_large *l);
/* A place came free or the line moved since the last call: connections that
 * ingress_waits() may go on. */
bool ingress_large_moved(struct ingress_large *l);

/* bytes: what the message will hold. */
void large_place_init(struct large_place *p, uint64_t bytes);
/* Take the place, or stand in line for it (false). */
bool large_place_take(struct ingress_large *l, struct large_place *p);
/* Out of the line, or the place given back; neither is fine too. */
void large_place_leave(struct ingress_large *l, struct large_place *p);

#endif
