/*
 * queue/order.c - what a checkpoint takes, in the order of the index
 *
 * The keys are copied out to be sorted: comparing tasks where they lie is a
 * cache miss each time.
 */
#include "queue/order.h"

#include <errno.h>
#include <stdlib.h>

struct entry {
	union {
		uint64_t queue;
		const struct line *line; /* at first */
	};
	uint64_t id;
	uint32_t slot, group;
	void *item;
};

static int cmp_u64(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int cmp_entries(const void *pa, const void *pb)
{
	const struct entry *a = pa, *b = pb;
	int by = cmp_u64(a->queue, b->queue);

	if (by == 0)
		by = cmp_u64(a->slot, b->slot);
	if (by == 0)
		by = cmp_u64(a->id, b->id);
	return by != 0 ? by : cmp_u64(a->group, b->group);
}

int order_take_tasks(struct delta *d, uint64_t lsn)
{
	struct entry *entries = malloc((d->dirty_count + 1) * sizeof(*entries));
	const struct task *t;
	size_t i, count = 0;
	int err = 0;

	if (entries == NULL)
		return -ENOMEM;
	LIST_FOR_EACH (link, &d->dirty) {
		t = CONTAINER_OF(link, struct task, in_dirty);
		if (t->id >= lsn)
			continue;
		__builtin_prefetch(t->line);
		entries[count++] = (struct entry){
			.id = t->id,
			.slot = t->slot,
			.group = t->base,
			.line = t->line,
			.item = CONTAINER_OF(link, struct task, in_dirty),
		};
	}
	/* Each is a cache miss: they were all asked for first. */
	for (i = 0; i < count; i++)
		entries[i].queue = order_line(entries[i].line);
	BUG_ON(count > d->dirty_count);
	qsort(entries, count, sizeof(*entries), cmp_entries);
	for (i = 0; err == 0 && i < count; i++)
		err = delta_take(d, entries[i].item);
	free(entries);
	return err;
}

int order_take_tombs(struct delta *d)
{
	struct entry *entries = malloc((d->tomb_count + 1) * sizeof(*entries));
	const struct tomb *tomb;
	size_t i, count = 0;
	int err = 0;

	if (entries == NULL)
		return -ENOMEM;
	LIST_FOR_EACH (link, &d->tomb_list) {
		tomb = CONTAINER_OF(link, struct tomb, link);
		entries[count++] = (struct entry){
			.queue = tomb->key.queue,
			.id = tomb->key.id,
			.slot = tomb->key.slot,
			.group = tomb->key.group,
			.item = CONTAINER_OF(link, struct tomb, link),
		};
	}
	BUG_ON(count > d->tomb_count);
	qsort(entries, count, sizeof(*entries), cmp_entries);
	for (i = 0; err == 0 && i < count; i++)
		err = delta_take_tomb(d, entries[i].item);
	free(entries);
	return err;
}
