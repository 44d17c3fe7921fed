/*
 * base/map.c - an open-addressing table with linear probing
 *
 * At most three quarters full.  An item stands at the first free slot at or
 * behind its home; deletion closes the gap by moving back each later item of
 * the run whose home does not lie behind the gap.
 */
#include "base/map.h"

#include "base/bug.h"

#include <errno.h>
#include <stdlib.h>

void map_init(struct map *m)
{
	*m = (struct map){ .slots = NULL };
}

void map_free(struct map *m)
{
	free(m->slots);
	map_init(m);
}

void *map_find(const struct map *m, uint64_t hash, map_eq_fn *eq,
	       const void *key)
{
	size_t mask = m->size - 1, at;

	if (m->size == 0)
		return NULL;
	for (at = hash & mask; m->slots[at].item != NULL; at = (at + 1) & mask)
		if (m->slots[at].hash == hash &&
		    (eq == NULL || eq(m->slots[at].item, key)))
			return m->slots[at].item;
	return NULL;
}

static void insert(struct map *m, uint64_t hash, void *item)
{
	size_t mask = m->size - 1, at = hash & mask;

	while (m->slots[at].item != NULL)
		at = (at + 1) & mask;
	m->slots[at] = (struct map_slot){ hash, item };
}

static int grow(struct map *m)
{
	struct map old = *m;
	size_t i, size = old.size == 0 ? 64 : old.size * 2;

	m->slots = calloc(size, sizeof(struct map_slot));
	if (m->slots == NULL) {
		*m = old;
		return -ENOMEM;
	}
	m->size = size;
	for (i = 0; i < old.size; i++)
		if (old.slots[i].item != NULL)
			insert(m, old.slots[i].hash, old.slots[i].item);
	free(old.slots);
	return 0;
}

int map_put(struct map *m, uint64_t hash, void *item)
{
	BUG_ON(item == NULL);
	if ((m->count + 1) * 4 > m->size * 3 && grow(m) < 0)
		return -ENOMEM;
	insert(m, hash, item);
	m->count++;
	return 0;
}

static void close_gap(struct map *m, size_t gap)
{
	size_t mask = m->size - 1, at = gap, home;

	for (;;) {
		at = (at + 1) & mask;
		if (m->slots[at].item == NULL)
			break;
		home = m->slots[at].hash & mask;
		if (((at - home) & mask) < ((at - gap) & mask))
			continue; /* its home lies behind the gap */
		m->slots[gap] = m->slots[at];
		gap = at;
	}
	m->slots[gap].item = NULL;
}

bool map_del(struct map *m, uint64_t hash, const void *item)
{
	size_t mask = m->size - 1, at;

	if (m->size == 0)
		return false;
	for (at = hash & mask; m->slots[at].item != NULL;
	     at = (at + 1) & mask) {
		if (m->slots[at].item != item)
			continue;
		close_gap(m, at);
		m->count--;
		return true;
	}
	return false;
}

void *map_walk(const struct map *m, size_t *at)
{
	while (*at < m->size)
		if (m->slots[(*at)++].item != NULL)
			return m->slots[*at - 1].item;
	return NULL;
}
