/*
 * base/mring.c - messages of varying length from one thread to another
 *
 *	| len | message ... | len | message | PAD ........... |
 *	      ^ head (reader)                ^ tail (writer)
 *
 * head and tail count octets and never wrap; the place is the count modulo
 * the size.  A message that would not fit before the end of the memory is
 * preceded by a pad (len = PAD) that fills the end.
 */
#include "base/mring.h"

#include "base/bug.h"

#include <stdlib.h>

#define HEAD_LEN 8u
#define PAD      UINT64_MAX

struct mring {
	_Alignas(64) _Atomic uint64_t head;
	uint64_t tail_seen; /* reader's copy */
	_Alignas(64) _Atomic uint64_t tail;
	uint64_t head_seen; /* writer's copy */
	uint64_t staged;    /* tail once all that is whole is shown */
	uint64_t reserved;  /* where staged goes next; 0: nothing */
	_Alignas(64) size_t size;
	unsigned char *mem;
};

struct mring *mring_new(size_t size)
{
	struct mring *r;

	BUG_ON(size < 64 || (size & (size - 1)) != 0);
	r = aligned_alloc(64, sizeof(*r));
	if (r == NULL)
		return NULL;
	*r = (struct mring){ .size = size };
	r->mem = aligned_alloc(64, size);
	if (r->mem == NULL) {
		free(r);
		return NULL;
	}
	return r;
}

void mring_free(struct mring **r)
{
	if (*r == NULL)
		return;
	free((*r)->mem);
	free(*r);
	*r = NULL;
}

size_t mring_message_max(const struct mring *r)
{
	return r->size / 4 - HEAD_LEN;
}

static uint64_t *word_at(struct mring *r, uint64_t count)
{
	return (uint64_t *)(void *)(r->mem + (count & (r->size - 1)));
}

static bool has_room(struct mring *r, uint64_t until)
{
	if (until - r->head_seen <= r->size)
		return true;
	r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
	return until - r->head_seen <= r->size;
}

void *mring_reserve(struct mring *r, size_t len)
{
	uint64_t tail = r->staged;
	uint64_t need = HEAD_LEN + ((len + 7) & ~(size_t)7);
	uint64_t left = r->size - (tail & (r->size - 1));

	BUG_ON(len > mring_message_max(r));
	if (left < need) {
		if (!has_room(r, tail + left + need))
			return NULL;
		*word_at(r, tail) = PAD;
		tail += left;
	} else if (!has_room(r, tail + need)) {
		return NULL;
	}
	*word_at(r, tail) = len;
	r->reserved = tail + need;
	return word_at(r, tail) + 1;
}

void mring_stage(struct mring *r)
{
	BUG_ON(r->reserved == 0);
	r->staged = r->reserved;
	r->reserved = 0;
}

bool mring_show(struct mring *r)
{
	if (r->staged == atomic_load_explicit(&r->tail, memory_order_relaxed))
		return false;
	atomic_store_explicit(&r->tail, r->staged, memory_order_seq_cst);
	return true;
}

void mring_publish(struct mring *r)
{
	mring_stage(r);
	(void)mring_show(r);
}

const void *mring_peek(struct mring *r, size_t *len_r)
{
	uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	if (head == r->tail_seen)
		r->tail_seen =
			atomic_load_explicit(&r->tail, memory_order_acquire);
	if (head == r->tail_seen)
		return NULL;
	if (*word_at(r, head) == PAD) {
		head += r->size - (head & (r->size - 1));
		atomic_store_explicit(&r->head, head, memory_order_release);
		BUG_ON(head == r->tail_seen);
	}
	*len_r = (size_t)*word_at(r, head);
	return word_at(r, head) + 1;
}

void mring_consume(struct mring *r)
{
	uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	uint64_t len = *word_at(r, head);

	BUG_ON(head == r->tail_seen || len == PAD);
	head += HEAD_LEN + ((len + 7) & ~(uint64_t)7);
	atomic_store_explicit(&r->head, head, memory_order_release);
}

size_t mring_fill(const struct mring *r)
{
	uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	return tail > head ? (size_t)(tail - head) : 0;
}
