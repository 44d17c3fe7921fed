#ifndef MTAQ_ENGINE_STORER_PRIVATE_H
#define MTAQ_ENGINE_STORER_PRIVATE_H

/* The store thread's own: storer.c (the loop), dispatch.c (where a task
 * goes), local.c (tasks that end without a session). */
#include "base/list.h"
#include "base/map.h"
#include "base/mxset.h"
#include "engine/storer.h"
#include "engine/wire.h"
#include "mtaq/queue.h"
#include "sched/backoff.h"

struct target { /* a site, as the store sees it */
	uint32_t number;
	unsigned worker;
	uint64_t hash;
	struct mxset *told; /* the set that the worker knows, NULL: none */
	uint32_t users;     /* domains that point here */
	uint64_t unused_ms; /* since when there are none */
	struct list unused; /* in storer_state.unused then, or alone */
	char name[256];     /* the site's, for people */
};

struct parked { /* a task that waits for its domain's hosts */
	struct list link;
	struct queue_task task;
};

struct dest { /* a domain */
	uint32_t number;
	uint64_t hash;
	const struct settings_endpoint *route; /* NULL: by its own MX */
	struct mxset *set;                     /* NULL: never answered */
	struct target *target;                 /* set->status is MX_OK */
	bool asking, fixed;   /* fixed: a route, never asked for */
	struct list answered; /* in storer_state.answered, or alone */
	struct list parked;
	uint32_t parked_count;
	uint64_t used_ms;
	uint16_t name_len;
	char name[];
};

struct local;
struct recall;

struct storer_state {
	struct storer *st;
	uint64_t now_ms;
	uint64_t seen_lsn; /* durable at the last look */
	bool log_came;     /* it has become more since the last rest */
	uint32_t now_s;
	struct map dest_map, target_map;
	struct list answered; /* domains whose tasks may leave */
	struct list unused;   /* sites that no domain points to, oldest first */
	struct dest **dests;  /* by number; NULL: forgotten, to be used again */
	uint32_t dest_count, dest_size;
	uint32_t *spare; /* numbers of forgotten domains */
	uint32_t spare_count, spare_size, sweep_at;
	uint32_t dests_max;    /* more domains, or sites, are forgotten soon */
	uint32_t targets_made; /* their numbers are never used again */
	bool log_waits;        /* for memory or a descriptor to read it */
	bool have_task;        /* task could not be placed: its lane is full */
	struct queue_task task;
	struct backoff_settings backoff;
	uint64_t counts_ms;
	uint64_t work_us, checkpoints; /* since the last one; finished */
	struct local *local;           /* local.c's own */
	/* Outcomes of each worker that have been taken in. */
	uint64_t taken[STORER_WORKERS_MAX];
	struct recall *recall; /* callback.c's own */
};

/* dispatch.c: each returns false when a lane is full: the same again later. */
bool dispatch_task(struct storer_state *s, const struct queue_task *t);
bool dispatch_answer(struct storer_state *s, uint32_t number,
		     struct mxset *set);
/* Go on with domains that were answered. */
void dispatch_answered(struct storer_state *s);
/* A worker asks about a task that has waited at its site for a while. */
bool dispatch_refresh(struct storer_state *s, unsigned worker,
		      const struct to_store *m);
/* Forget a bounded number of domains and sites without mail. */
void dispatch_sweep(struct storer_state *s);
void dispatch_free(struct storer_state *s);
/* What is known of a domain; NULL: nothing. */
const struct dest *dispatch_find(const struct storer_state *s,
				 struct span domain);
/* Hand back the parked tasks that a recall covers. */
void dispatch_recall(struct storer_state *s, const struct to_worker_recall *m);

/* callback.c: tasks called back from where they wait */
int callback_init(struct storer_state *s);
void callback_free(struct storer_state *s);
void callback_words(struct span tenant, struct span campaign,
		    struct span domain, struct word_hashes *words_r);
/* Is the task in one of these queues, and one of these ids? */
bool callback_covers(struct storer_state *s, const struct to_worker_recall *m,
		     const struct queue_task *t);
/* Tell the workers that have not been told yet. */
void callback_turn(struct storer_state *s);

/* local.c */
int local_init(struct storer_state *s);
void local_free(struct storer_state *s);
/* End (or defer) all open recipients of a task by a rule (enum local_rule);
 * why is for people.  Also false: no room. */
bool local_settle(struct storer_state *s, const struct queue_task *t, int rule,
		  const char *why);
bool local_damaged(struct storer_state *s, const struct to_store *m);
/* An outcome made by a decision; the lane has room for the largest. */
void local_decided(struct storer_state *s, enum queue_verb verb,
		   const struct queue_out *out);
/* It keeps messages open for the next decisions, and segments with them: let
 * go of them, a few times a second. */
void local_let_go(struct storer_state *s);

#endif
