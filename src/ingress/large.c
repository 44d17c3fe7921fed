/*
 * ingress/large.c - places for large messages
 *
 * Invariants: only the first in line takes a place; with none taken anybody
 * may, so the line never stands for ever.
 */
#include "ingress/large.h"

#include "base/bug.h"

void ingress_large_init(struct ingress_large *l)
{
	*l = (struct ingress_large){ .count = 0 };
	list_init(&l->line);
}

bool ingress_large_moved(struct ingress_large *l)
{
	bool moved = l->moved && !list_empty(&l->line);

	l->moved = false;
	return moved;
}

void large_place_init(struct large_place *p, uint64_t bytes)
{
	*p = (struct large_place){ .bytes = bytes };
	list_init(&p->link);
}

static bool has_room(const struct ingress_large *l, uint64_t bytes)
{
	return l->count == 0 || (l->count < INGRESS_LARGE_MAX &&
				 l->bytes + bytes <= INGRESS_LARGE_BYTES_MAX);
}

bool large_place_take(struct ingress_large *l, struct large_place *p)
{
	BUG_ON(p->taken);
	if (list_empty(&p->link))
		list_add_tail(&l->line, &p->link);
	if (l->line.next != &p->link || !has_room(l, p->bytes))
		return false;
	list_del(&p->link);
	p->taken = true;
	l->count++;
	l->bytes += p->bytes;
	l->moved = true; /* the next may have room as well */
	return true;
}

void large_place_leave(struct ingress_large *l, struct large_place *p)
{
	if (p->taken) {
		BUG_ON(l->count == 0 || l->bytes < p->bytes);
		l->count--;
		l->bytes -= p->bytes;
		p->taken = false;
		l->moved = true;
	} else if (!list_empty(&p->link)) {
		list_del(&p->link);
		l->moved = true;
	}
}
