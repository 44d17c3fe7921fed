/*
 * engine/recall.c - a worker hands back what a decision covers
 *
 * Tasks that wait go back to the store unattempted, also those that wait for
 * another host (picky.c).  Those that are being sent end as they would have
 * (their own outcome wins) and are marked: what is then left of one, to be
 * begun again, goes back instead.  The same holds for a domain that has moved
 * away.
 */
#include "engine/worker_private.h"

bool recall_wants(const struct to_worker_recall *m,
		  const struct sched_task *task)
{
	return recall_covers(m, &wqueue_of(task)->words) &&
	       recall_names(m, task->id);
}

static void recall_queue(struct worker_state *s, struct wqueue *q,
			 const struct to_worker_recall *m)
{
	struct list tasks, *l;
	struct sched_task *t;

	if (q->q.waiting == 0 || !recall_covers(m, &q->words))
		return;
	list_init(&tasks);
	sched_drain(&q->q, &tasks);
	while ((l = list_pop(&tasks)) != NULL) {
		t = CONTAINER_OF(l, struct sched_task, link);
		if (recall_names(m, t->id))
			list_add_tail(&s->recalled, l);
		else
			sched_add(&q->q, t);
	}
}

/* attempts: in flight, or with outcomes that found no room. */
static void mark(const struct list *attempts, const struct to_worker_recall *m)
{
	LIST_FOR_EACH (at, attempts) {
		struct sched_task *t =
			CONTAINER_OF(at, struct attempt, link)->task;

		if (recall_wants(m, t))
			t->recalled = true;
	}
}

void recall_take(struct worker_state *s, const struct to_worker_recall *m)
{
	struct wqueue *q;
	struct wsite *ws;
	size_t at = 0;
	uint32_t i;

	while ((q = map_walk(&s->queue_map, &at)) != NULL)
		recall_queue(s, q, m);
	at = 0;
	while ((ws = map_walk(&s->site_map, &at)) != NULL)
		picky_recall(s, ws, m);
	for (i = 0; i < s->conns_max; i++)
		mark(&s->conns[i].attempts, m);
	mark(&s->stuck, m);
	/* From here on none of it begins. */
	atomic_store(&s->w->recalls, m->number);
	bell_ring(s->w->set.to_control->to);
}

void recall_task(struct worker_state *s, struct sched_task *task)
{
	BUG_ON(task->state != SCHED_TASK_IDLE);
	list_add_tail(&s->recalled, &task->link);
}

void recall_moved(struct worker_state *s, const struct to_worker_moved *m)
{
	struct wqueue *q = worker_queue(s, m->site, m->queue_hash);

	if (q == NULL)
		return;
	q->moved = true;
	sched_drain(&q->q, &s->recalled);
}

void recall_turn(struct worker_state *s)
{
	struct list *l;

	while (!list_empty(&s->recalled)) {
		struct sched_task *t =
			CONTAINER_OF(s->recalled.next, struct sched_task, link);

		if (!worker_tell_store(s, TO_STORE_RETURN, t, 0, s->now_s))
			return;
		l = list_pop(&s->recalled);
		worker_task_end(s, CONTAINER_OF(l, struct sched_task, link));
	}
}

void recall_free(struct worker_state *s)
{
	struct list *l;

	while ((l = list_pop(&s->recalled)) != NULL) {
		struct sched_task *t = CONTAINER_OF(l, struct sched_task, link);

		sched_task_free(s->pool, &t);
	}
}
