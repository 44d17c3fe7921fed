#ifndef MTAQ_SCHED_SCHED_H
#define MTAQ_SCHED_SCHED_H

/*
 * Order: which task is next at a site.
 *
 *	run queue (one a site)
 *	  class      transactional first; of 8 tasks at least 1 is bulk
 *	    flow     tenant x campaign: deficit round robin by recipients
 *	      queue  (tenant, campaign, domain): round robin, a task each
 *	        task first in, first out
 *
 * Every call is O(1), or O(log n) in the number of flows at the site.  One
 * thread (a worker) owns a pool, its run queues, queues and tasks.  A task is
 * in exactly one place:
 *
 *	sched_task_new -> idle -sched_add-> WAITING -sched_next-> RUNNING
 *	                   ^                   |  ^                 |  |
 *	                   +--sched_drain------+  +--sched_put_back-+  |
 *	                   +------------------------sched_done---------+
 *	idle -sched_task_free-> gone
 */
#include "base/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sched_class {
	SCHED_TRANSACTIONAL,
	SCHED_BULK,
	SCHED_CLASS_COUNT
};

enum sched_state {
	SCHED_TASK_IDLE,    /* in no run queue; the caller's alone */
	SCHED_TASK_WAITING, /* in its queue */
	SCHED_TASK_RUNNING  /* given out by sched_next() */
};

struct sched_settings {
	uint32_t bulk_every; /* one bulk task in so many at least [8] */
	uint32_t quantum;    /* recipients a flow may send in its turn [16] */
};
/* Fill in the defaults in brackets. */
void sched_settings_default(struct sched_settings *set);

struct sched_queue;
struct sched_flow; /* private */
struct sched_rq;
struct sched_pool;

/*
 * The open recipients of one message in one queue (queue_task of
 * mtaq/queue.h).  The fields above the line are the worker's to fill in and
 * to read; those below are this module's.
 */
struct sched_task {
	uint64_t id;
	uint64_t place; /* where its message lies */
	uint32_t slot, expires_s;
	uint32_t flags;         /* of the message (QUEUE_MSG_*) */
	uint16_t first, span;   /* span is set by sched_task_new() */
	uint8_t attempts;       /* failed attempts so far */
	uint8_t unsure;         /* unsure results so far */
	uint8_t moves;          /* put back unattempted; see site/plan.h */
	uint8_t mark;           /* the worker's, 0 at first */
	uint32_t loaded_s;      /* the worker's: when it came */
	enum sched_class class; /* set before sched_add() */
	bool recalled;          /* the worker's: it must not begin again here */
	void *user;             /* the worker's, NULL at first */
	/* ---- */
	enum sched_state state;
	uint32_t cost;
	struct list link;
	struct sched_queue *queue;
	union {
		uint64_t word;   /* span <= 64 */
		uint64_t *words; /* span > 64, owned */
	} open;
};

/* The open bitmap: (span + 63) / 64 words, bit i for recipient first + i. */
static inline uint64_t *sched_task_open(struct sched_task *task)
{
	return task->span <= 64 ? &task->open.word : task->open.words;
}

/*
 * A queue (tenant, campaign, domain) in this worker.  The worker embeds it in
 * its own record of the queue.  Fields are this module's; reading counts and
 * rq is allowed.
 */
struct sched_queue {
	uint32_t handle; /* queue_task.queue */
	uint64_t hash;   /* of its three words; for backoff_slot() */
	uint64_t flow_hash;
	struct sched_rq *rq; /* NULL: attached nowhere */
	struct sched_flow *flow;
	uint32_t waiting; /* tasks */
	uint32_t running; /* tasks between sched_next() and sched_done() */
	struct list link[SCHED_CLASS_COUNT];
	struct list tasks[SCHED_CLASS_COUNT];
};

/* --- memory -------------------------------------------------------------- */

/* A pool that holds up to tasks_max tasks; memory comes in slabs as needed
 * and stays.  NULL when out of memory. */
struct sched_pool *sched_pool_new(const struct sched_settings *set,
				  uint32_t tasks_max);
/* All run queues and tasks must be gone.  Clears the pointer; NULL allowed. */
void sched_pool_free(struct sched_pool **pool);
uint32_t sched_pool_used(const struct sched_pool *pool); /* tasks */

/* An idle task, all fields 0 but span, bitmap all 0.  1 <= span <= 1000.
 * NULL: tasks_max are in use, or out of memory. */
struct sched_task *sched_task_new(struct sched_pool *pool, uint16_t span);
/* The task is idle.  Clears the pointer. */
void sched_task_free(struct sched_pool *pool, struct sched_task **task);

/* --- run queues and queues ----------------------------------------------- */

struct sched_rq *sched_rq_new(struct sched_pool *pool);
/* No queue may be attached.  Clears the pointer; NULL allowed. */
void sched_rq_free(struct sched_rq **rq);

/* hash: of (tenant, campaign, domain); flow_hash: of (tenant, campaign). */
void sched_queue_init(struct sched_queue *queue, uint32_t handle, uint64_t hash,
		      uint64_t flow_hash);
/* Put an unattached queue, empty or with the waiting tasks that it had before
 * sched_queue_detach(), under rq.  0 or -ENOMEM. */
int sched_queue_attach(struct sched_rq *rq, struct sched_queue *queue);
/* Take the queue, with its waiting tasks, from its run queue (its MX set has
 * changed).  Nothing may be running (queue->running == 0). */
void sched_queue_detach(struct sched_queue *queue);

/* --- tasks --------------------------------------------------------------- */

/* Add an idle task at the end of its queue, which must be attached.  Its open
 * bitmap must be set (its bits are its cost). */
void sched_add(struct sched_queue *queue, struct sched_task *task);

/*
 * The next task of the site, RUNNING from then on; the caller hands it to a
 * session.  NULL: none; then *when_r is when a parked flow wakes, or
 * UINT64_MAX when only sched_add() or sched_put_back() changes that.
 */
struct sched_task *sched_next(struct sched_rq *rq, uint64_t now_ms,
			      uint64_t *when_r);
/* A running task goes back to the front of its queue, which is first in its
 * flow then; what its flow paid is given back. */
void sched_put_back(struct sched_task *task);
/* A running task is settled (or takes another way): idle again. */
void sched_done(struct sched_task *task);

/* The one that sched_next() gives, if nothing happens before: a guess, to have
 * its memory ready by then.  NULL: none. */
const struct sched_task *sched_guess(const struct sched_rq *rq);
/* It is asked soon, for a guess as well: have the processor fetch it. */
void sched_expect(const struct sched_rq *rq);

/* Any one that waits in this queue, and goes on waiting; NULL: none. */
const struct sched_task *sched_first(const struct sched_queue *queue);

/* Move all waiting tasks of the queue, idle then, to the end of out (links
 * are task->link: CONTAINER_OF(l, struct sched_task, link)).  For pause,
 * cancel and handing back.  Running ones are not touched.  Returns how many. */
uint32_t sched_drain(struct sched_queue *queue, struct list *out);

/* Give no task of this queue's flow (tenant x campaign at this site) before
 * until_ms: a reply of tenant scope.  A later call replaces an earlier one. */
int sched_flow_park(struct sched_queue *queue, uint64_t until_ms);
/* Wake the parked flows whose time has come; now_ms of UINT64_MAX: all of
 * them.  When the next one wakes, or UINT64_MAX: none is parked.  Who counts
 * parked tasks out asks this first: nobody asks sched_next() then. */
uint64_t sched_rq_wake(struct sched_rq *rq, uint64_t now_ms);

struct sched_counts {
	uint32_t waiting[SCHED_CLASS_COUNT]; /* tasks, parked ones as well */
	uint32_t parked;                     /* of them, in parked flows */
	uint32_t running;
	uint32_t queues; /* attached, empty ones as well */
};
/* O(1). */
void sched_rq_counts(const struct sched_rq *rq, struct sched_counts *counts_r);
/* Anything that sched_next() might give now?  Cheap. */
bool sched_rq_ready(const struct sched_rq *rq, uint64_t now_ms);

#endif
