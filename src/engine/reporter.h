#ifndef MTAQ_ENGINE_REPORTER_H
#define MTAQ_ENGINE_REPORTER_H

/*
 * The report thread: follows the durable log and writes the event log.
 */
#include "engine/lane.h"

#include <pthread.h>

struct eventlog;
struct queue;

struct reporter {
	struct bell *bell;
	struct eventlog *log; /* NULL: no event log is wanted */
	atomic_bool stop, reopen;
	_Atomic int failing; /* the error of the file, 0 when it works */
	int write_error, sync_error, reopen_error; /* the thread's own */
	pthread_t thread;
};

int reporter_init(struct reporter *r, struct queue *q, const char *path,
		  struct bell *bell);
int reporter_start(struct reporter *r);
/* Go on in a new file: the old one was renamed.  From any thread. */
void reporter_reopen(struct reporter *r);
/* Write what is durable, sync, end the thread. */
void reporter_stop(struct reporter *r);
void reporter_free(struct reporter *r);

#endif
