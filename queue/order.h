#ifndef MTAQ_QUEUE_ORDER_H
#define MTAQ_QUEUE_ORDER_H

/*
 * The order in which a checkpoint writes: that of the index's keys, over all
 * that it takes.  Changes come in the order of the log, in which neighbours
 * belong to as many queues as there are: written so, each row costs a page of
 * its own.
 */
#include "queue/store.h"

/* Queues by number; those that have none yet behind them, as they will get
 * theirs. */
static inline uint64_t order_line(const struct line *line)
{
	return line->number != 0 ? line->number
				 : UINT64_C(1) << 32 | line->handle;
}

/* Take what is dirty of messages below lsn; 0 or -ENOMEM. */
int order_take_tasks(struct delta *d, uint64_t lsn);
/* Take all tombs; 0 or -ENOMEM. */
int order_take_tombs(struct delta *d);

#endif
