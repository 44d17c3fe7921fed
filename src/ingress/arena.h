#ifndef MTAQ_INGRESS_ARENA_H
#define MTAQ_INGRESS_ARENA_H

/*
 * Memory that is given out in pieces and freed as a whole.
 */
#include <stddef.h>

struct arena_block;

struct arena {
	struct arena_block *blocks;
	size_t used, size; /* of the newest block */
};

/* Aligned to 16; NULL: no memory. */
void *arena_get(struct arena *a, size_t size);
void arena_free(struct arena *a);

#endif
