/*
 * engine/pulse.c - the last minute
 */
#include "engine/pulse.h"

#include <string.h>

static void sample(const struct figures *f, uint64_t now_ms,
		   struct pulse_sample *s_r)
{
	*s_r = (struct pulse_sample){
		.at_ms = now_ms,
		.accepted = figures_outcome(f, EVENT_ACCEPTED),
		.delivered = figures_outcome(f, EVENT_DELIVERED),
		.deferred = figures_outcome(f, EVENT_DEFERRED) +
			    figures_outcome(f, EVENT_UNSURE),
		.bounced = figures_outcome(f, EVENT_BOUNCED) +
			   figures_outcome(f, EVENT_EXPIRED),
		.refused = figures_refused(f),
		.sync_us = f->sync_us,
	};
	memcpy(s_r->reasons, f->reasons, sizeof(s_r->reasons));
}

void pulse_beat(struct pulse *p, struct engine *e, uint64_t now_ms)
{
	unsigned last = (p->next + PULSE_SAMPLES - 1) % PULSE_SAMPLES;
	struct figures f;

	if (p->count > 0 && now_ms < p->samples[last].at_ms + PULSE_EVERY)
		return;
	figures_read(e, &f);
	sample(&f, now_ms, &p->samples[p->next]);
	p->next = (p->next + 1) % PULSE_SAMPLES;
	if (p->count < PULSE_SAMPLES)
		p->count++;
}

void pulse_since(const struct pulse *p, const struct figures *f,
		 uint64_t now_ms, struct pulse_sample *since_r)
{
	const struct pulse_sample *old =
		&p->samples[(p->next + PULSE_SAMPLES - p->count) %
			    PULSE_SAMPLES];
	struct pulse_sample now;
	unsigned i;

	memset(since_r, 0, sizeof(*since_r));
	if (p->count == 0 || old->at_ms >= now_ms)
		return;
	sample(f, now_ms, &now);
	since_r->at_ms = now_ms - old->at_ms;
	since_r->accepted = now.accepted - old->accepted;
	since_r->delivered = now.delivered - old->delivered;
	since_r->deferred = now.deferred - old->deferred;
	since_r->bounced = now.bounced - old->bounced;
	since_r->refused = now.refused - old->refused;
	for (i = 0; i < REPLY_KIND_COUNT; i++)
		since_r->reasons[i] = now.reasons[i] - old->reasons[i];
	histo_since(&old->sync_us, &now.sync_us, &since_r->sync_us);
}
