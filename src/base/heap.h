#ifndef MTAQ_BASE_HEAP_H
#define MTAQ_BASE_HEAP_H

/*
 * A min-heap of intrusive nodes ordered by a u64 key; a node knows its place,
 * so that it can be moved or taken out in O(log n).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAP_OUT SIZE_MAX /* the place of a node that is in no heap */

struct heap_node {
	uint64_t key;
	size_t at;
};

struct heap_slot {
	uint64_t key; /* of the node: to compare is not to go there */
	struct heap_node *node;
};

struct heap {
	struct heap_slot *slots;
	size_t count, size;
};

static inline void heap_node_init(struct heap_node *n)
{
	n->at = HEAP_OUT;
}

static inline bool heap_has(const struct heap_node *n)
{
	return n->at != HEAP_OUT;
}

void heap_init(struct heap *h);
void heap_free(struct heap *h); /* the nodes are the caller's */
/* Put a node in, or move it to its new key.  0 or -ENOMEM. */
int heap_put(struct heap *h, struct heap_node *n, uint64_t key);
void heap_del(struct heap *h, struct heap_node *n); /* allowed when out */
/* The node with the smallest key, left in; NULL when empty. */
struct heap_node *heap_min(const struct heap *h);

#endif
