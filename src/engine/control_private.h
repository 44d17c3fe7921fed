#ifndef MTAQ_ENGINE_CONTROL_PRIVATE_H
#define MTAQ_ENGINE_CONTROL_PRIVATE_H

/*
 * The control thread's own: control.c (the loop, and asking other threads),
 * control_decide.c, control_queue.c, control_site.c, control_status.c (the
 * requests).
 */
#include "admin/server.h"
#include "engine/control.h"
#include "engine/engine_private.h"
#include "engine/pulse.h"
#include "engine/wire.h"

/* Looked at in one job of the store: a short queue is seen at one moment. */
#define CONTROL_TASKS QUEUE_RCPTS_MAX

struct control_task { /* a task with the words of its queue */
	struct queue_task task;
	bool paused;
	char words[3][QUEUE_WORD_MAX + 1]; /* tenant, campaign, domain */
	char site[256];
};

struct control_trace { /* stream NULL: free */
	struct admin_stream *stream;
	uint64_t end_ms, alive_ms;
	uint64_t lines, lines_max;
	uint64_t lost;      /* in all */
	uint64_t lost_told; /* not yet said in a row */
};

/*
 * What other threads are handed pointers to.  It outlives them: when control
 * stops waiting for an answer, the daemon is ending.
 */
struct control {
	struct engine *e;
	struct admin_server *server;
	int signals;
	bool ending; /* a signal or a failure came while an answer was due */
	uint64_t started_ms;
	uint64_t asked_ms; /* another thread, that has not answered; or 0 */
	/* The decision that is out. */
	struct queue_decision decision;
	uint64_t ids[QUEUE_DECISION_IDS_MAX];
	char note[160];
	struct site_ask ask;
	struct site_pauses pauses;
	struct pulse pulse;
	struct control_trace traces[TRACE_SLOTS];
	/* The page of tasks that is being looked at. */
	struct queue_filter filter;
	struct queue_list_cursor cursor;
	uint64_t id, place;
	struct queue_task raw[QUEUE_RCPTS_MAX]; /* the most of a message */
	struct control_task tasks[QUEUE_RCPTS_MAX];
	uint32_t task_count;
	int result; /* of the job */
};

/* Each returns 0, or -ECANCELED: the daemon is ending, answer no more. */

/* Run fn in the store's thread; arg stays what it is until then. */
int control_job(struct control *c, void (*fn)(struct queue *q, void *arg),
		void *arg);
/* Wait until the workers have obeyed the call back of this number, some
 * seconds at most: one without memory obeys when it has some. */
int control_recalled(struct control *c, uint64_t number);
/* The next message of a lane, copied; it has exactly this size. */
int control_take(struct control *c, struct lane *lane, void *to, size_t size);

enum control_after { /* when the store has it */
	CONTROL_NOTHING,
	CONTROL_RECALL, /* call back what is loaded */
	CONTROL_SITES   /* tell who has the site */
};
enum control_made {
	CONTROL_MADE,
	CONTROL_NOT_MADE
};
/* c->decision becomes durable, then in force, and what is outside of the queue
 * learns of it: *lsn_r is its place in the log.  CONTROL_NOT_MADE: the words of
 * the error are in out.  Or -ECANCELED. */
int control_make(struct control *c, enum control_after after, struct buf *out,
		 uint64_t *lsn_r);

/* c->ask, to one worker; it has come back, with rows in its out. */
int control_ask(struct control *c, unsigned worker);
/* Lines of traces go out; those that are over end. */
int control_trace_turn(struct control *c);
/* How many trace. */
unsigned control_traces(const struct control *c);

/* Requests; each appends its whole answer to req->out; control_trace() may
 * give CONTROL_STREAMS: it has become a stream. */
#define CONTROL_STREAMS 1
int control_trace(struct control *c, const struct admin_request *req);
int control_decide(struct control *c, const struct admin_request *req);
int control_status(struct control *c, const struct admin_request *req);
int control_explain(struct control *c, const struct admin_request *req);
int control_list(struct control *c, const struct admin_request *req);
int control_show(struct control *c, const struct admin_request *req);
int control_site(struct control *c, const struct admin_request *req);
int control_sum(struct control *c, const struct admin_request *req);
int control_pulse(struct control *c, const struct admin_request *req);
int control_pauses(struct control *c, const struct admin_request *req);

#endif
