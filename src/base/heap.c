/*
 * base/heap.c - a min-heap of intrusive nodes
 *
 * Four children a node, whose keys lie side by side: a level is a cache line
 * and not a line for each node, and there are half as many levels as with two.
 */
#include "base/heap.h"

#include "base/bug.h"

#include <errno.h>
#include <stdlib.h>

#define CHILDREN   4
#define SLOTS_FROM 4 /* there may be a heap for each of 200,000 queues */

void heap_init(struct heap *h)
{
	*h = (struct heap){ .slots = NULL };
}

void heap_free(struct heap *h)
{
	free(h->slots);
	heap_init(h);
}

static void place(struct heap *h, struct heap_slot s, size_t at)
{
	h->slots[at] = s;
	s.node->at = at;
}

static size_t parent(size_t at)
{
	return (at - 1) / CHILDREN;
}

static void sift_up(struct heap *h, struct heap_slot s, size_t at)
{
	while (at > 0 && h->slots[parent(at)].key > s.key) {
		place(h, h->slots[parent(at)], at);
		at = parent(at);
	}
	place(h, s, at);
}

static size_t least_child(const struct heap *h, size_t at)
{
	size_t child = CHILDREN * at + 1, least = child;
	size_t end = child + CHILDREN < h->count ? child + CHILDREN : h->count;

	while (++child < end)
		if (h->slots[child].key < h->slots[least].key)
			least = child;
	return least;
}

static void sift_down(struct heap *h, struct heap_slot s, size_t at)
{
	size_t child;

	while ((child = least_child(h, at)) < h->count) {
		if (h->slots[child].key >= s.key)
			break;
		place(h, h->slots[child], at);
		at = child;
	}
	place(h, s, at);
}

static int grow(struct heap *h)
{
	size_t size = h->size == 0 ? SLOTS_FROM : h->size * 2;
	struct heap_slot *slots;

	if (h->count < h->size)
		return 0;
	slots = realloc(h->slots, size * sizeof(struct heap_slot));
	if (slots == NULL)
		return -ENOMEM;
	h->slots = slots;
	h->size = size;
	return 0;
}

int heap_put(struct heap *h, struct heap_node *n, uint64_t key)
{
	struct heap_slot s = { key, n };
	uint64_t was;
	int err;

	if (!heap_has(n)) {
		err = grow(h);
		if (err < 0)
			return err;
		n->key = key;
		sift_up(h, s, h->count++);
		return 0;
	}
	BUG_ON(n->at >= h->count || h->slots[n->at].node != n);
	was = n->key;
	n->key = key;
	if (key < was)
		sift_up(h, s, n->at);
	else if (key > was)
		sift_down(h, s, n->at);
	return 0;
}

void heap_del(struct heap *h, struct heap_node *n)
{
	struct heap_slot last;
	size_t at = n->at;

	if (!heap_has(n))
		return;
	BUG_ON(at >= h->count || h->slots[at].node != n);
	last = h->slots[--h->count];
	n->at = HEAP_OUT;
	if (last.node == n)
		return;
	if (at > 0 && h->slots[parent(at)].key > last.key)
		sift_up(h, last, at);
	else
		sift_down(h, last, at);
}

struct heap_node *heap_min(const struct heap *h)
{
	return h->count == 0 ? NULL : h->slots[0].node;
}
