/*
 * sched/backoff.c - the slot of the next attempt
 *
 *	delay   from the schedule, the kind's own delay, or the reply's
 *	jitter  both ways; only upwards where the delay is a minimum
 *	slot    now + delay, rounded up, always behind the old slot
 */
#include "sched/backoff.h"

#include "base/bug.h"
#include "base/hash.h"

#define UNSURE_DELAY_MAX_S 86400u

void backoff_settings_default(struct backoff_settings *set)
{
	*set = (struct backoff_settings){
		.retry_s = { 360, 900, 1800, 3600, 7200, 14400 },
		.retry_count = 6,
		.jitter_percent = 20,
		.greylist_s = 300,
		.mailbox_full_s = 3600,
		.unsure_first_s = 900,
		.unsure_max = 5,
		.fine_s = 5,
		.coarse_s = 60,
		.coarse_from_s = 600,
	};
}

static uint64_t delay_scheduled(const struct backoff_settings *set,
				uint32_t attempt)
{
	uint32_t at = attempt == 0 ? 0 : attempt - 1;

	BUG_ON(set->retry_count == 0 || set->retry_count > BACKOFF_STEPS_MAX);
	return set->retry_s[at < set->retry_count ? at : set->retry_count - 1];
}

static uint64_t delay_unsure(const struct backoff_settings *set,
			     uint32_t unsure)
{
	uint64_t delay = set->unsure_first_s;

	while (unsure-- > 1 && delay < UNSURE_DELAY_MAX_S)
		delay *= 2;
	return delay;
}

/* The delay before jitter, and what it must not fall below. */
static uint64_t delay_base(const struct backoff_settings *set,
			   const struct backoff_ask *ask, uint64_t *least_r)
{
	uint64_t delay = delay_scheduled(set, ask->attempt);
	uint64_t least = 0;

	switch (ask->kind) {
	case BACKOFF_GREYLIST:
		least = set->greylist_s;
		if (ask->attempt <= 1)
			delay = least;
		break;
	case BACKOFF_MAILBOX_FULL:
		least = set->mailbox_full_s;
		break;
	case BACKOFF_UNSURE:
		delay = least = delay_unsure(set, ask->unsure);
		break;
	case BACKOFF_RETRY:
	case BACKOFF_KIND_COUNT:
		break;
	}
	*least_r = least > ask->least_s ? least : ask->least_s;
	return delay;
}

/* The same for all of a queue that failed in this attempt and epoch. */
static uint64_t jitter(const struct backoff_settings *set,
		       const struct backoff_ask *ask, uint64_t delay,
		       uint64_t least)
{
	uint64_t half = set->jitter_percent * 10ull; /* in thousandths */
	uint64_t hash = hash_pair(ask->queue_hash, ask->attempt);

	hash = hash_pair(hash, ask->epoch);
	if (delay <= least)
		return least + least * (hash % (half + 1)) / 1000;
	delay = delay * (1000 - half + hash % (2 * half + 1)) / 1000;
	return delay > least ? delay : least;
}

static uint64_t round_up(uint64_t value, uint64_t step)
{
	return step <= 1 ? value : (value + step - 1) / step * step;
}

uint32_t backoff_slot(const struct backoff_settings *set,
		      const struct backoff_ask *ask)
{
	uint64_t least, delay, step, slot;

	BUG_ON(set->jitter_percent > 100);
	delay = delay_base(set, ask, &least);
	delay = jitter(set, ask, delay, least);
	step = delay < set->coarse_from_s ? set->fine_s : set->coarse_s;
	/* now_s has begun already: a minimum counts from its end. */
	slot = round_up(ask->now_s + delay + (least > 0), step);
	if (slot <= ask->old_slot)
		slot = round_up(ask->old_slot + 1ull, step);
	return slot < UINT32_MAX ? (uint32_t)slot : UINT32_MAX;
}

bool backoff_unsure_spent(const struct backoff_settings *set, uint32_t unsure)
{
	return unsure >= set->unsure_max;
}
