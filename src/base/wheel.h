#ifndef MTAQ_BASE_WHEEL_H
#define MTAQ_BASE_WHEEL_H

/*
 * Timers: a hierarchical wheel of intrusive nodes.
 *
 * Time comes in ticks of WHEEL_TICK_MS.  A node never fires before its
 * deadline and at most one tick after it (when the wheel is turned in time).
 * Adding and deleting are O(1); a node moves down at most WHEEL_LEVELS - 1
 * times.  Deadlines further away than the wheel reaches (WHEEL_REACH_MS) wait
 * in its last slot and are sorted in anew from there: they still fire on time.
 */
#include "base/list.h"

#include <stdint.h>

#define WHEEL_TICK_MS 10
#define WHEEL_BITS    6
#define WHEEL_SLOTS   (1u << WHEEL_BITS)
#define WHEEL_LEVELS  4
/* 64^4 ticks: 46 hours */
#define WHEEL_REACH_MS ((uint64_t)WHEEL_TICK_MS << (WHEEL_BITS * WHEEL_LEVELS))

struct wheel_node {
	struct list link;
	uint64_t due_tick;
	uint8_t level, slot;
};

struct wheel {
	uint64_t tick;               /* everything before it has fired */
	uint64_t used[WHEEL_LEVELS]; /* a bit for each slot that is not empty */
	struct list slots[WHEEL_LEVELS][WHEEL_SLOTS];
	struct list due; /* fired, not yet taken */
	size_t count;
};

void wheel_init(struct wheel *w, uint64_t now_ms);

static inline void wheel_node_init(struct wheel_node *n)
{
	list_init(&n->link);
}

static inline bool wheel_has(const struct wheel_node *n)
{
	return !list_empty(&n->link);
}

/* Put a node in, or move it to another deadline.  A deadline in the past
 * fires with the next wheel_take(). */
void wheel_add(struct wheel *w, struct wheel_node *n, uint64_t at_ms);
/* Allowed on a node that is in no wheel. */
void wheel_del(struct wheel *w, struct wheel_node *n);
/* The next node due at now_ms, taken out; NULL when there is none.  Nodes
 * come in the order of their ticks. */
struct wheel_node *wheel_take(struct wheel *w, uint64_t now_ms);
/* When to call wheel_take() next: never later than the first deadline is
 * due, perhaps earlier; UINT64_MAX when the wheel is empty. */
uint64_t wheel_next_ms(const struct wheel *w);

#endif
