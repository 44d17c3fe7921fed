#ifndef MTAQ_IO_GATHER_H
#define MTAQ_IO_GATHER_H

/*
 * How many completions to wait for.  A wake-up and a turn cost as much as a
 * few completions, and who works without a pause meets two or three at a time:
 * on two cores that all of mtaq shares with its receivers, a sixth of the
 * daemon's time.  So where completions come in numbers, as many are awaited as
 * came of late, for GATHER_NS at most; of the connections one in eight, so that
 * a few fast ones never wait for one another.
 */
#include <stdbool.h>
#include <stdint.h>

#define GATHER_MAX    32u
#define GATHER_ONE_OF 8u
#define GATHER_NS     500000 /* half a millisecond */

struct gather {
	unsigned goal; /* 1: do not gather */
};

/* n came, of conns connections; waited: they were awaited, for GATHER_NS at
 * most.  Then too few lower the goal; many raise it by one. */
static inline void gather_learn(struct gather *g, unsigned n, uint64_t conns,
				bool waited)
{
	uint64_t max = conns / GATHER_ONE_OF;

	if (max > GATHER_MAX)
		max = GATHER_MAX;
	if (n > g->goal)
		g->goal++;
	else if (n < g->goal && waited)
		g->goal = n;
	if (g->goal > max)
		g->goal = (unsigned)max;
	if (g->goal < 1)
		g->goal = 1;
}

#endif
