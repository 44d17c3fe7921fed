#ifndef MTAQ_BASE_MAP_H
#define MTAQ_BASE_MAP_H

/*
 * An open-addressing table from a 64-bit hash to a pointer.  The caller makes
 * the hash, and a plain predicate says whether an item of equal hash is the
 * one that a key names.  Deletion moves later items up: no tombstones.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_slot {
	uint64_t hash;
	void *item; /* NULL: free */
};

struct map {
	struct map_slot *slots;
	size_t size, count; /* size is 0 or a power of two */
};

/* Is item the one that key names? */
typedef bool map_eq_fn(const void *item, const void *key);

void map_init(struct map *m);
void map_free(struct map *m); /* the items are the caller's */
/* eq may be NULL: then equal hashes mean equal items. */
void *map_find(const struct map *m, uint64_t hash, map_eq_fn *eq,
	       const void *key);
/* It will be asked for soon: its slot is on its way from memory. */
static inline void map_prefetch(const struct map *m, uint64_t hash)
{
	if (m->size > 0)
		__builtin_prefetch(&m->slots[hash & (m->size - 1)]);
}
/* The item must not be there yet.  0 or -ENOMEM. */
int map_put(struct map *m, uint64_t hash, void *item);
/* Take exactly this item out; false when it is not there. */
bool map_del(struct map *m, uint64_t hash, const void *item);
/* Walk: *at starts at 0; NULL at the end.  No changes meanwhile. */
void *map_walk(const struct map *m, size_t *at);

#endif
