/*
 * queue/export.c - all open recipients of a spool, in the order of their ids
 *
 *	ids      one walk over the open tasks: the id of each, sorted
 *	chunk    the next ids with at most tasks_max tasks; one more walk takes
 *		 the tasks of these ids whole; sorted by id
 *
 * The index is in the order of queues and slots, so the order of ids has to be
 * made.  Ids alone are small enough to be held for all tasks.
 */
#include "mtaq/export.h"

#include "base/bug.h"
#include "queue/bits.h"

#include <errno.h>
#include <stdlib.h>

#define PAGE 128u

struct whole { /* a task; its bits are in the pool */
	uint64_t id, place;
	uint32_t slot, expires_s, bits;
	uint16_t first, words;
	uint8_t attempts, unsure;
};

struct array { /* grows; elements of one size */
	void *p;
	size_t count, room;
};

struct queue_export {
	struct queue *q;
	size_t tasks_max;
	struct array ids, tasks, bits;
	size_t next_id;   /* the first id of the next chunk */
	uint64_t end;     /* the ids of the chunk are below */
	size_t next_task; /* in this chunk */
	uint64_t messages;
	uint16_t rcpts[QUEUE_RCPTS_MAX];
	struct queue_stand stands[QUEUE_RCPTS_MAX];
	struct queue_task page[PAGE];
};

static int grow(struct array *a, size_t more, size_t size)
{
	size_t room = a->room == 0 ? 1024 : a->room;
	void *p;

	if (a->count + more <= a->room)
		return 0;
	while (room < a->count + more)
		room += room / 2;
	p = reallocarray(a->p, room, size);
	if (p == NULL)
		return -ENOMEM;
	a->p = p;
	a->room = room;
	return 0;
}

typedef int (*each_task)(struct queue_export *, const struct queue_task *);

static int walk(struct queue_export *x, each_task each)
{
	const struct queue_filter all = { .tenant = { 0 } };
	struct queue_list_cursor at = { 0 };
	uint32_t i, n;
	int rc, err = 0;

	do {
		n = 0;
		rc = queue_list(x->q, &all, &at, x->page, PAGE, &n);
		for (i = 0; rc >= 0 && err == 0 && i < n; i++)
			err = each(x, &x->page[i]);
	} while (rc == 1 && err == 0);
	return err < 0 ? err : rc;
}

static int by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int keep_id(struct queue_export *x, const struct queue_task *t)
{
	int err = grow(&x->ids, 1, sizeof(uint64_t));

	if (err == 0)
		((uint64_t *)x->ids.p)[x->ids.count++] = t->id;
	return err;
}

static void count_messages(struct queue_export *x)
{
	const uint64_t *ids = x->ids.p;
	size_t i;

	for (i = 0; i < x->ids.count; i++)
		x->messages += i == 0 || ids[i] != ids[i - 1];
}

int queue_export_begin(struct queue *q, size_t tasks_max,
		       struct queue_export **export_r)
{
	struct queue_export *x = calloc(1, sizeof(*x));
	int err;

	if (x == NULL)
		return -ENOMEM;
	BUG_ON(tasks_max < QUEUE_RCPTS_MAX);
	x->q = q;
	x->tasks_max = tasks_max;
	err = walk(x, keep_id);
	if (err < 0) {
		queue_export_end(&x);
		return err;
	}
	if (x->ids.count > 0)
		qsort(x->ids.p, x->ids.count, sizeof(uint64_t), by_number);
	count_messages(x);
	*export_r = x;
	return 0;
}

void queue_export_end(struct queue_export **export)
{
	struct queue_export *x = *export;

	*export = NULL;
	if (x == NULL)
		return;
	free(x->ids.p);
	free(x->tasks.p);
	free(x->bits.p);
	free(x);
}

uint64_t queue_export_count(const struct queue_export *export)
{
	return export->messages;
}

/* --- a chunk -------------------------------------------------------------- */

/* UINT64_MAX: all that are left. */
static uint64_t chunk_end(const struct queue_export *x)
{
	const uint64_t *ids = x->ids.p;
	size_t end = x->next_id + x->tasks_max;

	if (end >= x->ids.count)
		return UINT64_MAX;
	/* A message is not cut: it has fewer tasks than there is room for. */
	while (ids[end - 1] == ids[end])
		end--;
	BUG_ON(end <= x->next_id);
	return ids[end];
}

static int keep_task(struct queue_export *x, const struct queue_task *t)
{
	const uint64_t *ids = x->ids.p;
	uint32_t words = ((uint32_t)t->span + 63) / 64;
	struct whole *w;
	int err;

	if (t->id < ids[x->next_id] || t->id >= x->end)
		return 0;
	err = grow(&x->tasks, 1, sizeof(*w));
	if (err == 0)
		err = grow(&x->bits, words, sizeof(uint64_t));
	if (err < 0)
		return err;
	w = (struct whole *)x->tasks.p + x->tasks.count++;
	*w = (struct whole){ .id = t->id,
			     .place = t->place,
			     .slot = t->slot,
			     .expires_s = t->expires_s,
			     .bits = (uint32_t)x->bits.count,
			     .first = t->first,
			     .words = (uint16_t)words,
			     .attempts = t->attempts,
			     .unsure = t->unsure };
	memcpy((uint64_t *)x->bits.p + x->bits.count, t->open,
	       words * sizeof(uint64_t));
	x->bits.count += words;
	return 0;
}

static int by_id(const void *a, const void *b)
{
	const struct whole *x = a, *y = b;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return (x->first > y->first) - (x->first < y->first);
}

static int next_chunk(struct queue_export *x)
{
	int err;

	x->tasks.count = x->bits.count = x->next_task = 0;
	if (x->next_id >= x->ids.count)
		return 0;
	x->end = chunk_end(x);
	err = walk(x, keep_task);
	if (err < 0)
		return err;
	BUG_ON(x->tasks.count == 0);
	qsort(x->tasks.p, x->tasks.count, sizeof(struct whole), by_id);
	while (x->next_id < x->ids.count &&
	       ((const uint64_t *)x->ids.p)[x->next_id] < x->end)
		x->next_id++;
	return 1;
}

/* Recipient `rcpt` stands so; tasks of one message may interleave. */
static void add_rcpt(struct queue_export *x, uint32_t *count, uint16_t rcpt,
		     const struct whole *w)
{
	uint32_t i = *count;

	BUG_ON(i >= QUEUE_RCPTS_MAX);
	for (; i > 0 && x->rcpts[i - 1] > rcpt; i--) {
		x->rcpts[i] = x->rcpts[i - 1];
		x->stands[i] = x->stands[i - 1];
	}
	x->rcpts[i] = rcpt;
	x->stands[i] = (struct queue_stand){ w->slot, w->attempts, w->unsure };
	++*count;
}

int queue_export_next(struct queue_export *x, struct queue_exported *item_r)
{
	const struct whole *w;
	uint64_t id, place;
	uint32_t i, count = 0, expires_s;
	int rc = x->next_task < x->tasks.count ? 1 : next_chunk(x);

	if (rc <= 0)
		return rc;
	w = (const struct whole *)x->tasks.p + x->next_task;
	id = w->id;
	place = w->place;
	expires_s = w->expires_s;
	for (; x->next_task < x->tasks.count && w->id == id;
	     x->next_task++, w++)
		for (i = 0; i < w->words * 64u; i++)
			if (bits_has((const uint64_t *)x->bits.p + w->bits, i))
				add_rcpt(x, &count, (uint16_t)(w->first + i),
					 w);
	*item_r = (struct queue_exported){ .id = id,
					   .place = place,
					   .count = count,
					   .rcpts = x->rcpts,
					   .stands = x->stands,
					   .expires_s = expires_s };
	return 1;
}
