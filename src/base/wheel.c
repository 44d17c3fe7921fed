/*
 * base/wheel.c - a hierarchical timer wheel
 *
 *	level 0: 64 slots of 1 tick      (640 ms)
 *	level 1: 64 slots of 64 ticks    (41 s)
 *	level 2: 64 slots of 64^2 ticks  (44 min)
 *	level 3: 64 slots of 64^3 ticks  (46 h)
 *
 * A node lies on the level where its distance from w->tick fits.  When the
 * tick comes to the first tick of a slot above level 0, the slot's nodes are
 * sorted in anew, further down.  The next tick at which anything happens is
 * found from the bitmaps alone, so idle time costs nothing.
 *
 * Invariant: no slot that is used begins in (the tick before, w->tick]; what
 * was due there lies in w->due or further down.
 */
#include "base/wheel.h"

#define SLOT_MASK (WHEEL_SLOTS - 1)
#define LEVEL_DUE 0xff

static unsigned shift_of(unsigned level)
{
	return WHEEL_BITS * level;
}

void wheel_init(struct wheel *w, uint64_t now_ms)
{
	unsigned level, slot;

	w->tick = now_ms / WHEEL_TICK_MS;
	w->count = 0;
	list_init(&w->due);
	for (level = 0; level < WHEEL_LEVELS; level++) {
		w->used[level] = 0;
		for (slot = 0; slot < WHEEL_SLOTS; slot++)
			list_init(&w->slots[level][slot]);
	}
}

static void place(struct wheel *w, struct wheel_node *n)
{
	uint64_t away, at = n->due_tick;
	unsigned level = 0;

	if (at <= w->tick) {
		n->level = LEVEL_DUE;
		list_add_tail(&w->due, &n->link);
		return;
	}
	away = at - w->tick;
	if (away >> shift_of(WHEEL_LEVELS)) {
		level = WHEEL_LEVELS - 1;
		at = w->tick + ((uint64_t)1 << shift_of(WHEEL_LEVELS)) - 1;
	} else {
		while (away >> shift_of(level + 1))
			level++;
	}
	n->level = (uint8_t)level;
	n->slot = (uint8_t)((at >> shift_of(level)) & SLOT_MASK);
	list_add_tail(&w->slots[level][n->slot], &n->link);
	w->used[level] |= (uint64_t)1 << n->slot;
}

void wheel_add(struct wheel *w, struct wheel_node *n, uint64_t at_ms)
{
	wheel_del(w, n);
	/* Rounded up: never before its time. */
	n->due_tick = at_ms / WHEEL_TICK_MS + (at_ms % WHEEL_TICK_MS != 0);
	place(w, n);
	w->count++;
}

void wheel_del(struct wheel *w, struct wheel_node *n)
{
	if (!wheel_has(n))
		return;
	BUG_ON(w->count == 0);
	list_del(&n->link);
	w->count--;
	if (n->level != LEVEL_DUE && list_empty(&w->slots[n->level][n->slot]))
		w->used[n->level] &= ~((uint64_t)1 << n->slot);
}

/* The next tick at which a slot begins that has nodes; UINT64_MAX: none. */
static uint64_t next_tick(const struct wheel *w)
{
	uint64_t best = UINT64_MAX;
	unsigned level;

	for (level = 0; level < WHEEL_LEVELS; level++) {
		uint64_t used = w->used[level], at, here;
		unsigned turn;

		if (used == 0)
			continue;
		here = w->tick >> shift_of(level);
		/* Bit 0 shall be the slot after this one. */
		turn = (unsigned)(here + 1) & SLOT_MASK;
		if (turn > 0)
			used = used >> turn | used << (WHEEL_SLOTS - turn);
		at = (here + 1 + (unsigned)__builtin_ctzll(used))
		     << shift_of(level);
		if (at < best)
			best = at;
	}
	return best;
}

/* w->tick has come to the first tick of this slot, if to any of its level. */
static void sort_down(struct wheel *w, unsigned level)
{
	unsigned slot = (unsigned)(w->tick >> shift_of(level)) & SLOT_MASK;
	struct list *head = &w->slots[level][slot], all, *link;

	if (w->tick & (((uint64_t)1 << shift_of(level)) - 1) ||
	    list_empty(head))
		return;
	/* Taken off whole: a node far away may come back to this very slot. */
	list_init(&all);
	while ((link = list_pop(head)) != NULL)
		list_add_tail(&all, link);
	w->used[level] &= ~((uint64_t)1 << slot);
	while ((link = list_pop(&all)) != NULL)
		place(w, CONTAINER_OF(link, struct wheel_node, link));
}

struct wheel_node *wheel_take(struct wheel *w, uint64_t now_ms)
{
	uint64_t target = now_ms / WHEEL_TICK_MS;
	struct list *link;

	while (list_empty(&w->due) && w->tick < target) {
		uint64_t next = next_tick(w);
		unsigned level;

		if (next > target) {
			w->tick = target;
			break;
		}
		w->tick = next;
		for (level = WHEEL_LEVELS; level-- > 0;)
			sort_down(w, level);
	}
	link = list_pop(&w->due);
	if (link == NULL)
		return NULL;
	BUG_ON(w->count == 0);
	w->count--;
	return CONTAINER_OF(link, struct wheel_node, link);
}

uint64_t wheel_next_ms(const struct wheel *w)
{
	uint64_t next;

	if (!list_empty(&w->due))
		return w->tick * WHEEL_TICK_MS;
	next = next_tick(w);
	return next == UINT64_MAX ? next : next * WHEEL_TICK_MS;
}
