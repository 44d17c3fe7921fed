#ifndef MTAQ_ENGINE_PULSE_H
#define MTAQ_ENGINE_PULSE_H

/*
 * The last minute: what the control thread has seen of the figures, once a
 * second, so that rates need no second look.
 */
#include "engine/figures.h"

#define PULSE_SAMPLES 61u
#define PULSE_EVERY   1000u /* ms */

struct pulse_sample {
	uint64_t at_ms;
	uint64_t accepted, delivered, deferred, bounced; /* recipients */
	uint64_t refused;                                /* messages */
	uint64_t reasons[REPLY_KIND_COUNT];
	struct histo_view sync_us;
};

struct pulse {
	struct pulse_sample samples[PULSE_SAMPLES]; /* a ring */
	unsigned count, next;
};

/* Take a sample if it is time for one. */
void pulse_beat(struct pulse *p, struct engine *e, uint64_t now_ms);
/* What came since the oldest sample; .at_ms is how long that is, 0 when there
 * is none. */
void pulse_since(const struct pulse *p, const struct figures *f,
		 uint64_t now_ms, struct pulse_sample *since_r);

#endif
