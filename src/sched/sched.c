/*
 * sched/sched.c - the run queue of a site
 *
 * Surplus round robin: the flow at the head of its ring sends while its
 * deficit is positive, and may overdraw it by one task; then it gets a quantum
 * and goes to the tail.  A flow in debt is passed over, a quantum each time;
 * a task costs at most COST_TURNS quanta, so that is bounded.
 */
#include "sched/sched_private.h"

#include "base/fetch.h"

#include <errno.h>
#include <stdlib.h>

#define COST_TURNS 4u

static struct sched_task *task_of(struct list *link)
{
	return CONTAINER_OF(link, struct sched_task, link);
}

struct sched_rq *sched_rq_new(struct sched_pool *pool)
{
	struct sched_rq *rq = calloc(1, sizeof(*rq));
	int c;

	if (rq == NULL)
		return NULL;
	rq->pool = pool;
	map_init(&rq->flows);
	heap_init(&rq->parked);
	for (c = 0; c < SCHED_CLASS_COUNT; c++)
		list_init(&rq->ring[c]);
	pool->rqs++;
	return rq;
}

void sched_rq_free(struct sched_rq **rq)
{
	struct sched_rq *r = *rq;

	*rq = NULL;
	if (r == NULL)
		return;
	BUG_ON(r->counts.queues != 0 || r->counts.running != 0);
	map_free(&r->flows);
	heap_free(&r->parked);
	r->pool->rqs--;
	free(r);
}

/* --- flows --------------------------------------------------------------- */

static struct sched_flow *flow_find(struct sched_rq *rq, uint64_t hash)
{
	struct sched_flow *flow = map_find(&rq->flows, hash, NULL, NULL);
	int c;

	if (flow != NULL)
		return flow;
	flow = calloc(1, sizeof(*flow));
	if (flow == NULL)
		return NULL;
	flow->hash = hash;
	heap_node_init(&flow->wake);
	for (c = 0; c < SCHED_CLASS_COUNT; c++) {
		list_init(&flow->class[c].link);
		list_init(&flow->class[c].queues);
	}
	if (map_put(&rq->flows, hash, flow) < 0) {
		free(flow);
		return NULL;
	}
	return flow;
}

static void flow_release(struct sched_rq *rq, struct sched_flow *flow)
{
	BUG_ON(flow->queues == 0);
	if (--flow->queues > 0)
		return;
	BUG_ON(flow->waiting != 0);
	heap_del(&rq->parked, &flow->wake);
	map_del(&rq->flows, flow->hash, flow);
	free(flow);
}

/* Put the class into its ring, or take it out, as the invariant wants. */
static void flow_settle(struct sched_rq *rq, struct sched_flow *flow,
			enum sched_class class)
{
	struct flow_class *fc = &flow->class[class];
	bool in = !list_empty(&fc->link);
	bool should = !flow->parked && !list_empty(&fc->queues);

	if (should && !in) {
		/* Debts stay, savings do not. */
		if (fc->deficit >= 0)
			fc->deficit = rq->pool->set.quantum;
		list_add_tail(&rq->ring[class], &fc->link);
	} else if (!should && in) {
		list_del(&fc->link);
	}
}

static void flow_count(struct sched_rq *rq, struct sched_flow *flow,
		       enum sched_class class, int64_t tasks)
{
	flow->waiting = (uint32_t)(flow->waiting + tasks);
	rq->counts.waiting[class] =
		(uint32_t)(rq->counts.waiting[class] + tasks);
	if (flow->parked)
		rq->counts.parked = (uint32_t)(rq->counts.parked + tasks);
}

/*
 * Who is first now.  To ask when the answer is wanted takes four reads, each
 * of where the one before it points to, all of a site that was busy long ago;
 * whoever changes the order has just read them.
 */
static void guess_anew(struct sched_rq *rq)
{
	bool urgent = !list_empty(&rq->ring[SCHED_TRANSACTIONAL]);
	int class = urgent ? SCHED_TRANSACTIONAL : SCHED_BULK;
	const struct flow_class *fc;
	const struct sched_queue *queue;

	rq->guess = NULL;
	if (list_empty(&rq->ring[class]))
		return;
	fc = CONTAINER_OF(rq->ring[class].next, struct flow_class, link);
	queue = CONTAINER_OF(fc->queues.next - class, struct sched_queue,
			     link[0]);
	rq->guess = task_of(queue->tasks[class].next);
}

static void flow_wake(struct sched_rq *rq, struct sched_flow *flow)
{
	heap_del(&rq->parked, &flow->wake);
	flow->parked = false;
	rq->counts.parked -= flow->waiting;
	flow_settle(rq, flow, SCHED_TRANSACTIONAL);
	flow_settle(rq, flow, SCHED_BULK);
	guess_anew(rq);
}

int sched_flow_park(struct sched_queue *queue, uint64_t until_ms)
{
	struct sched_flow *flow = queue->flow;
	struct sched_rq *rq = queue->rq;

	BUG_ON(rq == NULL);
	if (heap_put(&rq->parked, &flow->wake, until_ms) < 0)
		return -ENOMEM;
	if (flow->parked)
		return 0;
	flow->parked = true;
	rq->counts.parked += flow->waiting;
	flow_settle(rq, flow, SCHED_TRANSACTIONAL);
	flow_settle(rq, flow, SCHED_BULK);
	guess_anew(rq);
	return 0;
}

/* --- queues -------------------------------------------------------------- */

void sched_queue_init(struct sched_queue *queue, uint32_t handle, uint64_t hash,
		      uint64_t flow_hash)
{
	int c;

	*queue = (struct sched_queue){ .handle = handle,
				       .hash = hash,
				       .flow_hash = flow_hash };
	for (c = 0; c < SCHED_CLASS_COUNT; c++) {
		list_init(&queue->link[c]);
		list_init(&queue->tasks[c]);
	}
}

/* How many tasks a queue holds of a class; only where a queue moves. */
static int64_t queue_length(const struct sched_queue *queue, int class)
{
	int64_t tasks = 0;

	LIST_FOR_EACH (at, &queue->tasks[class])
		tasks++;
	return tasks;
}

int sched_queue_attach(struct sched_rq *rq, struct sched_queue *queue)
{
	struct sched_flow *flow;
	int c;

	BUG_ON(queue->rq != NULL);
	flow = flow_find(rq, queue->flow_hash);
	if (flow == NULL)
		return -ENOMEM;
	flow->queues++;
	rq->counts.queues++;
	queue->rq = rq;
	queue->flow = flow;
	for (c = 0; c < SCHED_CLASS_COUNT; c++) {
		flow_count(rq, flow, (enum sched_class)c,
			   queue_length(queue, c));
		if (!list_empty(&queue->tasks[c]))
			list_add_tail(&flow->class[c].queues, &queue->link[c]);
		flow_settle(rq, flow, (enum sched_class)c);
	}
	guess_anew(rq);
	return 0;
}

void sched_queue_detach(struct sched_queue *queue)
{
	struct sched_rq *rq = queue->rq;
	struct sched_flow *flow = queue->flow;
	int c;

	BUG_ON(rq == NULL || queue->running != 0);
	for (c = 0; c < SCHED_CLASS_COUNT; c++) {
		flow_count(rq, flow, (enum sched_class)c,
			   -queue_length(queue, c));
		list_del(&queue->link[c]);
		flow_settle(rq, flow, (enum sched_class)c);
	}
	guess_anew(rq);
	rq->counts.queues--;
	queue->rq = NULL;
	queue->flow = NULL;
	flow_release(rq, flow);
}

const struct sched_task *sched_first(const struct sched_queue *queue)
{
	int c;

	for (c = 0; c < SCHED_CLASS_COUNT; c++)
		if (!list_empty(&queue->tasks[c]))
			return task_of(queue->tasks[c].next);
	return NULL;
}

uint32_t sched_drain(struct sched_queue *queue, struct list *out)
{
	uint32_t count = queue->waiting;
	int c;

	for (c = 0; c < SCHED_CLASS_COUNT; c++) {
		struct list *link;
		int64_t tasks = 0;

		while ((link = list_pop(&queue->tasks[c])) != NULL) {
			struct sched_task *task = task_of(link);

			task->state = SCHED_TASK_IDLE;
			task->queue = NULL;
			list_add_tail(out, link);
			tasks++;
		}
		list_del(&queue->link[c]);
		if (queue->rq == NULL)
			continue;
		flow_count(queue->rq, queue->flow, (enum sched_class)c, -tasks);
		flow_settle(queue->rq, queue->flow, (enum sched_class)c);
	}
	queue->waiting = 0;
	if (queue->rq != NULL)
		guess_anew(queue->rq);
	return count;
}

/* --- tasks --------------------------------------------------------------- */

static uint32_t task_cost(struct sched_task *task, uint32_t quantum)
{
	const uint64_t *open = sched_task_open(task);
	uint32_t cost = 0, max = COST_TURNS * quantum;
	size_t i, words = (task->span + 63u) / 64u;

	for (i = 0; i < words; i++)
		cost += (uint32_t)__builtin_popcountll(open[i]);
	BUG_ON(cost == 0); /* a task without open recipients */
	return cost < max ? cost : max;
}

void sched_add(struct sched_queue *queue, struct sched_task *task)
{
	enum sched_class class = task->class;
	struct sched_rq *rq = queue->rq;
	bool first;

	BUG_ON(rq == NULL || task->state != SCHED_TASK_IDLE);
	BUG_ON((unsigned)class >= SCHED_CLASS_COUNT);
	task->cost = task_cost(task, rq->pool->set.quantum);
	task->state = SCHED_TASK_WAITING;
	task->queue = queue;
	list_add_tail(&queue->tasks[class], &task->link);
	if (list_empty(&queue->link[class]))
		list_add_tail(&queue->flow->class[class].queues,
			      &queue->link[class]);
	queue->waiting++;
	flow_count(rq, queue->flow, class, 1);
	first = list_empty(&rq->ring[class]);
	flow_settle(rq, queue->flow, class);
	if (first)
		guess_anew(rq);
}

/* The flow whose turn it is. */
static struct sched_flow *ring_turn(struct sched_rq *rq, enum sched_class class)
{
	for (;;) {
		struct list *link = rq->ring[class].next;
		struct flow_class *fc =
			CONTAINER_OF(link, struct flow_class, link);

		if (fc->deficit > 0)
			return CONTAINER_OF(fc - class, struct sched_flow,
					    class[0]);
		fc->deficit += rq->pool->set.quantum;
		list_del(link);
		list_add_tail(&rq->ring[class], link);
	}
}

static enum sched_class class_turn(struct sched_rq *rq)
{
	if (list_empty(&rq->ring[SCHED_TRANSACTIONAL]))
		return SCHED_BULK;
	if (list_empty(&rq->ring[SCHED_BULK]))
		return SCHED_TRANSACTIONAL;
	if (++rq->streak < rq->pool->set.bulk_every)
		return SCHED_TRANSACTIONAL;
	rq->streak = 0;
	return SCHED_BULK;
}

/* Take the first task of the flow's first queue; the queue goes last. */
static struct sched_task *
flow_take(struct sched_rq *rq, struct sched_flow *flow, enum sched_class class)
{
	struct flow_class *fc = &flow->class[class];
	struct list *link = list_pop(&fc->queues);
	struct sched_queue *queue =
		CONTAINER_OF(link - class, struct sched_queue, link[0]);
	struct sched_task *task = task_of(list_pop(&queue->tasks[class]));

	if (!list_empty(&queue->tasks[class]))
		list_add_tail(&fc->queues, link);
	fc->deficit -= task->cost;
	queue->waiting--;
	queue->running++;
	rq->counts.running++;
	flow_count(rq, flow, class, -1);
	flow_settle(rq, flow, class);
	return task;
}

uint64_t sched_rq_wake(struct sched_rq *rq, uint64_t now_ms)
{
	struct heap_node *min;

	while ((min = heap_min(&rq->parked)) != NULL && min->key <= now_ms)
		flow_wake(rq, CONTAINER_OF(min, struct sched_flow, wake));
	return min == NULL ? UINT64_MAX : min->key;
}

struct sched_task *sched_next(struct sched_rq *rq, uint64_t now_ms,
			      uint64_t *when_r)
{
	uint64_t when = sched_rq_wake(rq, now_ms);
	enum sched_class class = class_turn(rq);
	struct sched_task *task;

	if (list_empty(&rq->ring[class])) {
		*when_r = when;
		return NULL;
	}
	task = flow_take(rq, ring_turn(rq, class), class);
	guess_anew(rq);
	if (rq->guess != NULL)
		fetch_ahead(rq->guess, sizeof(*rq->guess));
	BUG_ON(task->state != SCHED_TASK_WAITING);
	task->state = SCHED_TASK_RUNNING;
	return task;
}

static void task_stop(struct sched_task *task, enum sched_state state)
{
	struct sched_queue *queue = task->queue;

	BUG_ON(task->state != SCHED_TASK_RUNNING || queue->running == 0);
	task->state = state;
	queue->running--;
	queue->rq->counts.running--;
}

void sched_put_back(struct sched_task *task)
{
	struct sched_queue *queue = task->queue;
	enum sched_class class = task->class;
	struct flow_class *fc = &queue->flow->class[class];

	task_stop(task, SCHED_TASK_WAITING);
	list_add_head(&queue->tasks[class], &task->link);
	list_del(&queue->link[class]);
	list_add_head(&fc->queues, &queue->link[class]);
	fc->deficit += task->cost;
	queue->waiting++;
	flow_count(queue->rq, queue->flow, class, 1);
	flow_settle(queue->rq, queue->flow, class);
	guess_anew(queue->rq);
}

void sched_done(struct sched_task *task)
{
	task_stop(task, SCHED_TASK_IDLE);
	task->queue = NULL;
}

/* --- looking ------------------------------------------------------------- */

const struct sched_task *sched_guess(const struct sched_rq *rq)
{
	return rq->guess;
}

void sched_expect(const struct sched_rq *rq)
{
	fetch_ahead(rq, sizeof(*rq));
}

void sched_rq_counts(const struct sched_rq *rq, struct sched_counts *counts_r)
{
	*counts_r = rq->counts;
}

bool sched_rq_ready(const struct sched_rq *rq, uint64_t now_ms)
{
	const struct heap_node *min = heap_min(&rq->parked);

	return !list_empty(&rq->ring[SCHED_TRANSACTIONAL]) ||
	       !list_empty(&rq->ring[SCHED_BULK]) ||
	       (min != NULL && min->key <= now_ms);
}
