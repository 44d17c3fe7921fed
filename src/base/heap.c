/*
 * base/heap.c - a binary min-heap of intrusive nodes
 */
#include "base/heap.h"

#include "base/bug.h"

#include <errno.h>
#include <stdlib.h>

void heap_init(struct heap *h)
{
	*h = (struct heap){ .nodes = NULL };
}

void heap_free(struct heap *h)
{
	free(h->nodes);
	heap_init(h);
}

static void place(struct heap *h, struct heap_node *n, size_t at)
{
	h->nodes[at] = n;
	n->at = at;
}

static void sift_up(struct heap *h, struct heap_node *n, size_t at)
{
	while (at > 0 && h->nodes[(at - 1) / 2]->key > n->key) {
		place(h, h->nodes[(at - 1) / 2], at);
		at = (at - 1) / 2;
	}
	place(h, n, at);
}

static void sift_down(struct heap *h, struct heap_node *n, size_t at)
{
	size_t child;

	while ((child = 2 * at + 1) < h->count) {
		if (child + 1 < h->count &&
		    h->nodes[child + 1]->key < h->nodes[child]->key)
			child++;
		if (h->nodes[child]->key >= n->key)
			break;
		place(h, h->nodes[child], at);
		at = child;
	}
	place(h, n, at);
}

static int grow(struct heap *h)
{
	size_t size = h->size == 0 ? 64 : h->size * 2;
	struct heap_node **nodes;

	if (h->count < h->size)
		return 0;
	nodes = realloc(h->nodes, size * sizeof(struct heap_node *));
	if (nodes == NULL)
		return -ENOMEM;
	h->nodes = nodes;
	h->size = size;
	return 0;
}

int heap_put(struct heap *h, struct heap_node *n, uint64_t key)
{
	int err;

	if (!heap_has(n)) {
		err = grow(h);
		if (err < 0)
			return err;
		n->key = key;
		sift_up(h, n, h->count++);
		return 0;
	}
	BUG_ON(n->at >= h->count || h->nodes[n->at] != n);
	if (key < n->key) {
		n->key = key;
		sift_up(h, n, n->at);
	} else {
		n->key = key;
		sift_down(h, n, n->at);
	}
	return 0;
}

void heap_del(struct heap *h, struct heap_node *n)
{
	struct heap_node *last;
	size_t at = n->at;

	if (!heap_has(n))
		return;
	BUG_ON(at >= h->count || h->nodes[at] != n);
	last = h->nodes[--h->count];
	n->at = HEAP_OUT;
	if (last == n)
		return;
	if (at > 0 && h->nodes[(at - 1) / 2]->key > last->key)
		sift_up(h, last, at);
	else
		sift_down(h, last, at);
}

struct heap_node *heap_min(const struct heap *h)
{
	return h->count == 0 ? NULL : h->nodes[0];
}
