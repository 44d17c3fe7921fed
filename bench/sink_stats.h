#ifndef MTAQ_BENCH_SINK_STATS_H
#define MTAQ_BENCH_SINK_STATS_H

/*
 * What was seen.  Each thread counts for itself and others may look at any
 * moment: plain loads and stores, so that a count costs no bus lock.
 */
#include "bench/sink_config.h"

#include <stdio.h>

#define SINK_HISTOGRAM 1025u /* messages a session: 0 .. 1023, and more */

enum sink_counter {
	SINK_N_SESSIONS,     /* connections accepted */
	SINK_N_TRANSACTIONS, /* messages with a verdict to their end of data */
	SINK_N_MESSAGES,     /* of these, taken */
	SINK_N_RECIPIENTS,   /* of messages taken */
	SINK_N_WITHHELD,     /* messages taken whose 2yz was not sent */
	SINK_N_OCTETS,       /* of content taken */
	SINK_N_COMMANDS,
	SINK_N_READS,
	SINK_N_WRITES,
	SINK_N_CAPPED,     /* connections refused by --connections-max */
	SINK_N_GREYLISTED, /* RCPTs */
	SINK_N_RCPTS_OVER, /* RCPTs above --rcpts-max */
	SINK_N_QUOTA,      /* sessions ended by --messages-max */
	SINK_N_BARE_LF,    /* in content */
	SINK_N_TOO_EARLY,  /* octets behind a command, PIPELINING not offered */
	SINK_N_BAD_COMMANDS, /* answered 500, 501, 503 or 555 */
	SINK_N_ABORTED,      /* connections that ended within content */
	SINK_N_DNS_QUERIES,
	SINK_N_DNS_TCP,
	SINK_COUNTERS,
};

struct sink_stats {
	_Atomic uint64_t n[SINK_COUNTERS];
	_Atomic uint64_t refused[SINK_STAGES][2];
	_Atomic uint64_t tricks[SINK_TRICKS][SINK_STAGES];
	_Atomic uint64_t per_session[SINK_HISTOGRAM]; /* finished sessions */
	_Atomic uint64_t per_session_max;
};

static inline void sink_count_by(_Atomic uint64_t *n, uint64_t by)
{
	atomic_store_explicit(
		n, atomic_load_explicit(n, memory_order_relaxed) + by,
		memory_order_relaxed);
}

static inline void sink_count(_Atomic uint64_t *n)
{
	sink_count_by(n, 1);
}

/* A session has ended that carried so many messages. */
void sink_stats_session(struct sink_stats *s, uint64_t messages);
/* Add b to a; of maxima, take the larger. */
void sink_stats_add(struct sink_stats *a, struct sink_stats *b);
/* One JSON object on one line. */
void sink_stats_print(struct sink_stats *s, uint64_t peak, double seconds,
		      FILE *to);

#endif
