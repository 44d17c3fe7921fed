#ifndef MTAQ_SCHED_SCHED_PRIVATE_H
#define MTAQ_SCHED_SCHED_PRIVATE_H

/* The fields behind sched.h. */
#include "base/heap.h"
#include "base/map.h"
#include "sched/sched.h"

struct sched_pool {
	struct sched_settings set;
	uint32_t tasks_max, used, slab_count;
	uint32_t rqs;
	struct list free;
	struct sched_task **slabs;
};

/* One class of a flow.  In the ring of its run queue exactly while it has
 * queues and the flow is not parked. */
struct flow_class {
	struct list link;
	struct list queues; /* those with tasks of this class */
	int64_t deficit;    /* recipients it may still send in this turn */
};

struct sched_flow {
	uint64_t hash;
	uint32_t queues;  /* attached */
	uint32_t waiting; /* tasks */
	bool parked;
	struct heap_node wake; /* in the heap while parked */
	struct flow_class class[SCHED_CLASS_COUNT];
};

struct sched_rq {
	struct sched_task *guess; /* the first of its ring; NULL: none */
	struct sched_pool *pool;
	struct map flows;
	struct list ring[SCHED_CLASS_COUNT];
	struct heap parked;
	uint32_t streak; /* transactional tasks since the last bulk one */
	struct sched_counts counts;
};

#endif
