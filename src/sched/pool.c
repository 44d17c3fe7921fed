/*
 * sched/pool.c - memory for tasks: slabs that come as needed and stay
 */
#include "sched/sched_private.h"

#include "base/bug.h"

#include <stdlib.h>
#include <string.h>

#define SLAB_TASKS 256u
#define SPAN_MAX   1000u
#define LINE       64u /* of the cache */
_Static_assert(SLAB_TASKS % LINE == 0, "aligned_alloc()");

void sched_settings_default(struct sched_settings *set)
{
	*set = (struct sched_settings){ .bulk_every = 8, .quantum = 16 };
}

struct sched_pool *sched_pool_new(const struct sched_settings *set,
				  uint32_t tasks_max)
{
	struct sched_pool *pool = calloc(1, sizeof(*pool));

	BUG_ON(set->bulk_every < 2 || set->quantum == 0);
	if (pool == NULL)
		return NULL;
	pool->set = *set;
	pool->tasks_max = tasks_max;
	list_init(&pool->free);
	pool->slabs = calloc(tasks_max / SLAB_TASKS + 1, sizeof(*pool->slabs));
	if (pool->slabs == NULL) {
		free(pool);
		return NULL;
	}
	return pool;
}

void sched_pool_free(struct sched_pool **pool)
{
	struct sched_pool *p = *pool;
	uint32_t i;

	*pool = NULL;
	if (p == NULL)
		return;
	BUG_ON(p->used != 0 || p->rqs != 0);
	for (i = 0; i < p->slab_count; i++)
		free(p->slabs[i]);
	free(p->slabs);
	free(p);
}

uint32_t sched_pool_used(const struct sched_pool *pool)
{
	return pool->used;
}

static bool pool_grow(struct sched_pool *pool)
{
	/* A task is a line and a half: none lies on three. */
	struct sched_task *slab =
		aligned_alloc(LINE, SLAB_TASKS * sizeof(*slab));
	uint32_t i;

	if (slab == NULL)
		return false;
	pool->slabs[pool->slab_count++] = slab;
	for (i = 0; i < SLAB_TASKS; i++) {
		list_init(&slab[i].link);
		list_add_tail(&pool->free, &slab[i].link);
	}
	return true;
}

struct sched_task *sched_task_new(struct sched_pool *pool, uint16_t span)
{
	size_t words = (span + 63u) / 64u;
	struct sched_task *task;
	uint64_t *open = NULL;

	BUG_ON(span == 0 || span > SPAN_MAX);
	if (pool->used >= pool->tasks_max)
		return NULL;
	if (list_empty(&pool->free) && !pool_grow(pool))
		return NULL;
	if (span > 64) {
		open = calloc(words, sizeof(*open));
		if (open == NULL)
			return NULL;
	}
	task = CONTAINER_OF(list_pop(&pool->free), struct sched_task, link);
	memset(task, 0, sizeof(*task));
	list_init(&task->link);
	task->span = span;
	if (span > 64)
		task->open.words = open;
	pool->used++;
	return task;
}

void sched_task_free(struct sched_pool *pool, struct sched_task **task)
{
	struct sched_task *t = *task;

	*task = NULL;
	BUG_ON(t->state != SCHED_TASK_IDLE || !list_empty(&t->link));
	BUG_ON(pool->used == 0);
	if (t->span > 64)
		free(t->open.words);
	/* At the front: the memory is still in the cache. */
	list_add_head(&pool->free, &t->link);
	pool->used--;
}
