#ifndef MTAQ_BENCH_SINK_FAULT_H
#define MTAQ_BENCH_SINK_FAULT_H

/*
 * Who is refused, and in which words.  A decision is a hash of (seed, stage,
 * key), so that a run can be repeated and a recipient that is refused for
 * good stays refused.
 */
#include "bench/sink_config.h"

/* A reply in its three parts; enhanced may be "". */
struct sink_words {
	const char *code, *enhanced, *text;
};

struct sink_memory; /* what was tried before; shared by all threads */

struct sink_memory *sink_memory_new(void); /* NULL: no memory */
void sink_memory_free(struct sink_memory **m);

/*
 * 0, 4 or 5.  5 depends on the key alone.  4 depends on the key and on how
 * often it came here; what was refused with 4 is not so refused the next
 * time, unless --stubborn: then it depends on the key alone, too.
 */
int sink_verdict(const struct sink_config *c, struct sink_memory *m,
		 enum sink_stage stage, uint64_t key);
/* Is the pair of sender and recipient still to wait? */
bool sink_greylisted(const struct sink_config *c, struct sink_memory *m,
		     uint64_t key, uint64_t now_us);
/* The words for a refusal of that class (4 or 5) at that stage. */
struct sink_words sink_refusal(const struct sink_config *c,
			       enum sink_stage stage, int class, uint64_t key);

#endif
