/*
 * ingress/arena.c - memory freed as a whole
 *
 * Blocks double from 1 KiB to 64 KiB; a larger piece gets a block of its own
 * size.
 */
#include "ingress/arena.h"

#include <stdint.h>
#include <stdlib.h>

#define BLOCK_MIN 1024u
#define BLOCK_MAX 65536u
#define ALIGN     16u

struct arena_block {
	struct arena_block *next;
	_Alignas(ALIGN) char p[];
};

void *arena_get(struct arena *a, size_t size)
{
	struct arena_block *b;
	size_t want = a->size == 0 ? BLOCK_MIN : 2 * a->size;
	void *p;

	if (size > SIZE_MAX / 2)
		return NULL;
	size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	if (size > a->size - a->used) {
		if (want > BLOCK_MAX)
			want = BLOCK_MAX;
		if (want < size)
			want = size;
		b = malloc(sizeof(*b) + want);
		if (b == NULL)
			return NULL;
		b->next = a->blocks;
		a->blocks = b;
		a->size = want;
		a->used = 0;
	}
	p = a->blocks->p + a->used;
	a->used += size;
	return p;
}

void arena_free(struct arena *a)
{
	struct arena_block *b;

	while ((b = a->blocks) != NULL) {
		a->blocks = b->next;
		free(b);
	}
	a->used = a->size = 0;
}
