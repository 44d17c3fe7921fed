#ifndef MTAQ_ENGINE_WORKER_H
#define MTAQ_ENGINE_WORKER_H

/*
 * A worker thread: a shard of the sites with their tasks, sessions and
 * connections, over one io.  Tasks and sites come from the store, outcomes
 * go to the log.
 */
#include "engine/board.h"
#include "engine/clock.h"
#include "engine/lane.h"
#include "engine/meter.h"
#include "engine/ours.h"
#include "mtaq/settings.h"
#include "site/classify.h"
#include "site/site.h"

#include <pthread.h>
#include <semaphore.h>

struct logger_source;
struct queue;

struct worker_settings {
	const struct settings *set; /* borrowed for life, as all here */
	const struct clock *clock;
	struct queue *queue;
	struct logger_source *log;
	struct lane *from_store, *to_store;
	struct lane *from_control, *to_control; /* struct site_ask * */
	struct lane *to_trace; /* struct trace_line, to control */
	const struct site_preset *presets;
	size_t preset_count;
	struct ours *ours;       /* of all workers */
	_Atomic uint32_t *epoch; /* checkpoints begun; for jitter */
	unsigned number, count;
	unsigned board_cells; /* sites with figures of their own */
	uint32_t connections; /* of all workers together */
};

/* Figures of one worker, from any thread, a moment old. */
struct worker_counts {
	_Atomic uint64_t sessions, connects_failed, transactions, octets;
	struct outcome_counts outcomes;
	_Atomic uint64_t reasons[REPLY_KIND_COUNT]; /* of deferrals */
	struct histo queued_s, transaction_ms, connect_ms, window;
	struct board board;
	/* Now; counted once a second by census.c. */
	_Atomic uint64_t sessions_busy, sessions_idle, connecting;
	_Atomic uint64_t waiting[SCHED_CLASS_COUNT], running;
	_Atomic uint64_t sites, sites_active, sites_parked, sites_paused;
};

struct worker {
	struct worker_settings set;
	struct bell bell;
	struct worker_counts counts;
	struct worker_state *state; /* the thread's own */
	_Atomic int failed;
	_Atomic uint64_t recalls; /* call backs obeyed, by their numbers */
	char why[160];            /* the io back end's words; "" */
	const char *backend;
	atomic_bool stop;
	sem_t started, ended, release;
	pthread_t thread;
};

/* Make the thread and wait until its io is there.  Negative errno: why says
 * what failed. */
int worker_start(struct worker *w, const struct worker_settings *set);

/*
 * What its thread does, for who turns it by hand instead of worker_start():
 * worker_init(), worker_open() in the thread that will turn it, then again and
 * again worker_begin_turn(), which says how many milliseconds its io may wait,
 * or -1: it was asked to stop and has; and worker_end_turn() with that.  In
 * the same thread worker_close(), unless it has failed.
 */
int worker_init(struct worker *w, const struct worker_settings *set);
int worker_open(struct worker *w);
int worker_begin_turn(struct worker *w);
void worker_end_turn(struct worker *w, int timeout_ms);
void worker_close(struct worker *w);

/* Begin no mail, wait at most stop_grace for what is under way, end. */
void worker_ask_stop(struct worker *w);
/* Wait until it has ended; its bell may still be rung. */
void worker_wait(struct worker *w);
/* Nobody rings any more: let it free its io (which only its own thread may
 * do), and join it. */
void worker_join(struct worker *w);

#endif
