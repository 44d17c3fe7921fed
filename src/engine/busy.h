#ifndef MTAQ_ENGINE_BUSY_H
#define MTAQ_ENGINE_BUSY_H

/*
 * Has a thread time left?  It has none when it hardly ever sleeps; nor when it
 * is well occupied and queues for a core with others: on a machine with few
 * cores the rest of mtaq, the receivers' side of a test, or other programs
 * want them too.  That it waits for a core alone says nothing: a thread that
 * works little loses nothing by that.
 *
 * From /proc/thread-self/schedstat (Linux, Documentation/scheduler/
 * sched-stats.rst): nanoseconds on a core, nanoseconds on a run queue.
 */
#include <stdbool.h>
#include <stdint.h>

struct busy_share {
	uint32_t ran, waited; /* per mille of the time */
};

struct busy {
	int fd; /* 0: not opened, nothing is known */
	uint64_t ran_ns, waited_ns, at_ns;
	struct busy_share share; /* of late */
};

/* Of the calling thread, from now on; where the kernel does not tell, it has
 * always time left.  To be ended by busy_close(). */
void busy_open(struct busy *b);
void busy_close(struct busy *b);
/* Of the time since the last call, and half as much of each call before. */
bool busy_saturated(struct busy *b);

/* The rule alone. */
bool busy_is_saturated(struct busy_share share);

#endif
