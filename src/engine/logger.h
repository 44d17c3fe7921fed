#ifndef MTAQ_ENGINE_LOGGER_H
#define MTAQ_ENGINE_LOGGER_H

/*
 * The log thread: the only writer of segments.  It takes messages from
 * ingress and outcomes from workers and store, commits them in groups, and
 * says what has become durable.  While one group is being synced the next
 * gathers in the lanes: the sync is the batching window.
 */
#include "engine/lane.h"
#include "engine/meter.h"
#include "mtaq/queue.h"

#include <pthread.h>

#define LOGGER_SOURCES_MAX 66 /* workers, and the store */

/* One thread that writes outcomes. */
struct logger_source {
	struct lane lane;   /* struct queue_out, flattened */
	struct bell *owner; /* rung when its outcomes became durable ... */
	atomic_bool waits;  /* ... if it says that it waits for that */
	_Atomic uint64_t durable; /* outcomes of this source on disk */
	uint64_t staged;          /* log thread's own */
};

struct logger {
	struct queue *queue;
	struct bell bell;
	struct lane from_ingress, to_ingress;
	struct lane from_control, to_control; /* one decision at a time */
	struct lane moves; /* struct move_wire, from the store */
	struct logger_source sources[LOGGER_SOURCES_MAX];
	unsigned source_count;
	struct bell *followers[2]; /* store and report */
	struct bell *control;      /* rung when failed is set */
	_Atomic int failed;        /* the queue's final error */
	/* ingress has lent a part of a frame: what comes in a moment belongs
	 * to the group.  It rings when that is over. */
	atomic_bool coming;
	/* A client has said that more frames follow at once: until then
	 * (clock_now_ms()) a group waits for them as well; 0: for none. */
	_Atomic uint64_t promised_until_ms;
	atomic_bool stop;
	pthread_t thread;
	struct logger_group *group;
	/* Of each group that was committed: its fdatasync, and its size. */
	struct histo sync_us, group_records, group_bytes;
	_Atomic uint64_t sync_since_us; /* the fdatasync under way; or 0 */
};

#define LOGGER_PROMISE_MS   2           /* about a sync or two */
#define LOGGER_OUT_MAX      (64u << 10) /* octets of one flattened outcome */
#define LOGGER_REQUESTS_MAX 65536u      /* unanswered put_requests at most */

int logger_init(struct logger *l, struct queue *queue, struct bell *ingress,
		unsigned sources);
/* Lanes from and to the thread that takes operators' decisions. */
int logger_connect_control(struct logger *l, struct bell *control);
int logger_start(struct logger *l);
/* One turn of the thread, which is all that it does until it is stopped or has
 * failed.  Returns the milliseconds to wait on the bell, or 0: turn again. */
int logger_turn(struct logger *l);
/* Commit what is in the lanes, end the thread.  The senders have ended. */
void logger_stop(struct logger *l);
void logger_free(struct logger *l);

#endif
