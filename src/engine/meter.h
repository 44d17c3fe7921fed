#ifndef MTAQ_ENGINE_METER_H
#define MTAQ_ENGINE_METER_H

/*
 * What the threads count for status, top and metrics: each its own, with
 * base/tally.h; figures.h puts them together.
 */
#include "base/tally.h"
#include "report/event.h"
#include "sched/sched.h"

/* Recipients by what became of them, of one thread. */
struct outcome_counts {
	_Atomic uint64_t n[SCHED_CLASS_COUNT][EVENT_TYPE_COUNT];
};

static inline enum sched_class meter_class(uint32_t message_flags)
{
	return message_flags & QUEUE_MSG_TRANSACTIONAL ? SCHED_TRANSACTIONAL
						       : SCHED_BULK;
}

static inline void meter_outcome(struct outcome_counts *o,
				 enum sched_class class, enum event_type type)
{
	tally_add(&o->n[class][type], 1);
}

/* Bounds of the histograms, by what is observed. */
extern const struct histo_bounds meter_queued_s;  /* accepted to delivered */
extern const struct histo_bounds meter_answer_ms; /* one round with a peer */
extern const struct histo_bounds meter_sync_us;
extern const struct histo_bounds meter_work_us; /* long pieces of work */
extern const struct histo_bounds meter_count;
extern const struct histo_bounds meter_bytes;

/* Monotonic. */
uint64_t meter_now_us(void);

#endif
