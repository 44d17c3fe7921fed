#ifndef MTAQ_ENGINE_STORER_H
#define MTAQ_ENGINE_STORER_H

/*
 * The store thread: follows the durable log, keeps the index, finds out where
 * each domain's mail goes, and hands tasks to the worker that owns the site.
 */
#include "engine/clock.h"
#include "engine/lane.h"
#include "engine/meter.h"
#include "mtaq/settings.h"
#include "site/site.h"

#include <pthread.h>

struct buf;
struct logger_source;
struct queue;
struct queue_filter;
struct resolver;
struct storer_state;

#define STORER_WORKERS_MAX 64

struct storer_settings { /* all borrowed for life */
	const struct settings *set;
	const struct clock *clock;
	struct queue *queue;
	struct resolver *resolver;
	struct logger_source *log;
	struct lane *moves; /* to the log: what compaction wants moved */
	struct logger_source *worker_logs; /* one a worker */
	const struct site_preset *presets;
	size_t preset_count;
	unsigned workers;
};

/* A piece of work that another thread wants done in this one: it is called
 * between two turns, with the queue in the store role. */
struct storer_job {
	void (*run)(struct queue *queue, void *arg);
	void *arg;
};

struct storer {
	struct storer_settings set;
	struct bell bell;
	struct lane to_worker[STORER_WORKERS_MAX];
	struct lane from_worker[STORER_WORKERS_MAX];
	struct lane asks;      /* struct seen_ask, from ingress */
	struct lane answers;   /* struct seen_answer, to ingress */
	struct lane jobs;      /* struct storer_job, from control */
	struct lane jobs_done; /* one octet a job, to control */
	_Atomic uint32_t epoch;
	_Atomic int failed;
	struct bell *control; /* rung when failed is set */
	struct bell *ingress; /* rung when behind is cleared */
	/* The index and what was taken in are so far behind the log that no
	 * new mail may come. */
	atomic_bool behind;
	atomic_bool stop;
	atomic_bool index_waits; /* for room on the disk to write it */
	struct storer_state *state;
	pthread_t thread;
	/* Figures, a moment old. */
	_Atomic uint64_t waiting, held, loaded, domains, asking;
	_Atomic uint64_t queues, changes, log_bytes, segments_used,
		segments_free;
	_Atomic uint64_t moved, moved_bytes, compacted;
	struct outcome_counts outcomes; /* by rules of our own, decisions */
	struct histo checkpoint_us;
	_Atomic uint64_t turn_since_us; /* its turn under way began; or 0 */
};

/*
 * For jobs: call back what waits outside of the queue and a decision covers.
 * ids rise; words "" are any.  False: the last call back is still under way.
 * Each worker has obeyed it when its worker.recalls is at *number_r.
 */
bool storer_recall(struct storer *st, const struct queue_filter *words,
		   const uint64_t *ids, uint32_t id_count, uint64_t *number_r);

/* For jobs: an operator's rule for the site has come or gone; tell its worker.
 * False: a lane is full, the same again later. */
bool storer_site_rule(struct storer *st, struct span site);

/* For jobs: what the site is called that mail for a domain goes to; "" when
 * none has gone there of late.  Borrowed until the job ends. */
const char *storer_site_name(struct storer *st, struct span domain);
/* For jobs: rows about where a domain's mail goes.  True: to this site of
 * this worker; false: it has no site (yet). */
bool storer_explain(struct storer *st, struct span domain, struct buf *out,
		    unsigned *worker_r, uint32_t *site_r);

int storer_init(struct storer *st, const struct storer_settings *set);
/* Lanes from and to the threads whose bells are known now. */
int storer_connect_ingress(struct storer *st, struct bell *ingress);
int storer_connect(struct storer *st, unsigned worker, struct bell *bell,
		   struct bell *control);
int storer_start(struct storer *st);
/* One turn of the thread, which is all that it does until it is stopped.
 * Returns the milliseconds to wait on the bell, 0: turn again, or a negative
 * errno value: the store cannot go on. */
int storer_turn(struct storer *st);
/* End the thread; a last whole checkpoint is the caller's. */
void storer_stop(struct storer *st);
void storer_free(struct storer *st);

#endif
