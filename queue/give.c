/*
 * queue/give.c - tasks out to the engine, and back
 *
 * Lines stand in a heap by the time of the earliest task that they could
 * give, from memory or from the index.  A line that is paused or has enough
 * loaded is not in it.  Expired tasks come first, whatever their time.
 */
#include "queue/compact.h"
#include "queue/decide.h"
#include "queue/segment.h"

#include <errno.h>

#define PREPARE_SOON 2u /* segments ready beside the reserve */

static uint32_t node_s(const struct heap_node *n)
{
	return (uint32_t)(n->key >> 32);
}

/* Load it; 0 when another task with its first is loaded: then later, or when
 * a decision takes it. */
static int give(struct queue_store *s, struct task *t, uint32_t now_s,
		struct queue_task *task_r)
{
	int err;

	if (delta_task_loaded(&s->delta, t->id, task_first(t)) != NULL) {
		t->not_before_s = now_s + 1;
		return delta_task_idle(&s->delta, t);
	}
	err = decide_give(s, t);
	if (err != 0)
		return err < 0 ? err : 0;
	store_fill(t, task_r);
	err = delta_task_load(&s->delta, t);
	return err < 0 ? err : 1;
}

static int give_early(struct queue_store *s, uint32_t now_s,
		      struct queue_task *task_r)
{
	int rc = 0;

	while (rc == 0 && !list_empty(&s->delta.early))
		rc = give(s,
			  CONTAINER_OF(s->delta.early.next, struct task,
				       in_early),
			  now_s, task_r);
	return rc;
}

/* From the line that is first; 0: nothing, but look again. */
static int give_from(struct queue_store *s, struct line *line, uint32_t now_s,
		     struct queue_task *task_r)
{
	struct heap_node *first = heap_min(&line->due);

	if (first != NULL && node_s(first) <= now_s &&
	    (node_s(first) <= line->next_slot ||
	     !line_has_window(&s->delta, line)))
		return give(s, CONTAINER_OF(first, struct task, due), now_s,
			    task_r);
	return refill_line(s, line, now_s);
}

int queue_store_next(struct queue *q, uint32_t now_s, struct queue_task *task_r)
{
	struct queue_store *s = q->store;
	struct heap_node *node;
	int rc;

	if (s->failed < 0)
		return s->failed;
	if (s->delta.loaded_count >= q->set.tasks_max)
		return 0;
	rc = give_early(s, now_s, task_r);
	while (rc == 0) {
		node = heap_min(&s->delta.ready);
		if (node == NULL || node_s(node) > now_s)
			return 0;
		rc = give_from(s, CONTAINER_OF(node, struct line, ready), now_s,
			       task_r);
	}
	return rc;
}

int queue_store_loaded(const struct queue *q, uint64_t id, uint16_t first,
		       struct queue_task *task_r)
{
	struct task *t = delta_task_loaded(&q->store->delta, id, first);

	if (t == NULL)
		return 0;
	store_fill(t, task_r);
	return 1;
}

void queue_store_return(struct queue *q, uint64_t id, uint16_t first,
			uint32_t due_s)
{
	struct queue_store *s = q->store;
	struct task *t = delta_task_loaded(&s->delta, id, first);
	int err;

	if (t == NULL)
		return; /* an OUT for all of it was quicker */
	t->not_before_s = due_s;
	err = store_unload(s, t);
	if (err < 0)
		s->failed = err;
}

/* --- doing, waiting, looking ------------------------------------------------------ */

/* Segments are written ahead in idle time, a piece at a time, unless new mail
 * would soon have to wait for one. */
static bool may_prepare(const struct queue *q, uint32_t now_s)
{
	uint64_t segments, ready;

	if (now_s > q->store->applied_s)
		return true;
	queue_segment_counts(q, &segments, &ready);
	return ready < SEGMENT_RESERVE + PREPARE_SOON;
}

int queue_store_work(struct queue *q, uint32_t now_s)
{
	struct queue_store *s = q->store;
	int rc;

	if (s->failed < 0)
		return s->failed;
	rc = checkpoint_work(q, now_s);
	if (rc != 0)
		return rc;
	rc = refill_work(s, now_s, q->set.tasks_max);
	if (rc == 0)
		rc = decide_work(q);
	if (rc == 0)
		rc = freeing_work(q, now_s);
	if (rc == 0)
		rc = compact_work(q, now_s);
	if (rc != 0 || now_s < s->prepare_s || !may_prepare(q, now_s))
		return rc;
	rc = queue_log_prepare(q);
	if (rc < 0) { /* a full disk is the log's to tell: look again soon */
		s->prepare_s = now_s + 1;
		rc = 0;
	}
	return rc;
}

uint32_t queue_store_wake_s(const struct queue *q)
{
	const struct queue_store *s = q->store;
	const struct heap_node *node = heap_min(&s->delta.ready);
	uint32_t wake_s = checkpoint_wake_s(q), other_s = refill_wake_s(s);

	if (other_s < wake_s)
		wake_s = other_s;
	other_s = compact_wake_s(s);
	if (other_s < wake_s)
		wake_s = other_s;
	if (node != NULL && s->delta.loaded_count < q->set.tasks_max &&
	    node_s(node) < wake_s)
		wake_s = node_s(node);
	return wake_s;
}

void queue_handle_name(const struct queue *q, uint32_t handle,
		       struct span *tenant_r, struct span *campaign_r,
		       struct span *domain_r)
{
	const struct delta *d = &q->store->delta;

	BUG_ON(handle >= d->handles || d->by_handle[handle] == NULL);
	line_unpack(d->by_handle[handle], tenant_r, campaign_r, domain_r);
}

bool queue_paused(const struct queue *q, uint32_t handle)
{
	const struct delta *d = &q->store->delta;

	BUG_ON(handle >= d->handles || d->by_handle[handle] == NULL);
	return d->by_handle[handle]->paused;
}

bool queue_site_paused(const struct queue *q, struct span site)
{
	return decide_site_paused(q->store, site);
}

void queue_store_counts(const struct queue *q, struct queue_counts *counts_r)
{
	const struct queue_store *s = q->store;
	const struct delta *d = &s->delta;
	uint64_t lsn = index_meta(s->index)->checkpoint_lsn;
	uint64_t at = s->walk == NULL ? lsn : queue_walk_lsn(s->walk);

	*counts_r = (struct queue_counts){
		.waiting = d->totals.waiting,
		.held = d->totals.held,
		.loaded = d->loaded_count,
		.deltas = d->dirty_count + d->tomb_count,
		.queues = d->line_count,
		.log_bytes = at > lsn ? at - lsn : 0,
		.checkpoint_lsn = lsn,
		.durable_lsn = queue_durable_lsn(q),
		.checkpoints = s->checkpoint.whole,
		.coming = !list_empty(&s->partials),
		.moved = s->compact->moved,
		.moved_bytes = s->compact->moved_bytes,
		.compacted = s->compact->compacted,
	};
	queue_segment_counts(q, &counts_r->segments, &counts_r->segments_free);
}

uint32_t queue_store_expires_s(struct queue *q)
{
	uint32_t hour = 0, queue = 0;

	if (index_expire_next(q->store->index, &hour, &queue) < 0)
		return 0;
	return hour * 3600;
}
