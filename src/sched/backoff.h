#ifndef MTAQ_SCHED_BACKOFF_H
#define MTAQ_SCHED_BACKOFF_H

/*
 * When a recipient is tried again (SMTP.md 17, 31; DESIGN 5, Slots).
 *
 * Slots are few on purpose: all recipients of a queue that failed in the same
 * attempt and epoch get the same jitter, and slots are rounded up, so that
 * rows stay clustered in the index.
 */
#include <stdbool.h>
#include <stdint.h>

#define BACKOFF_STEPS_MAX 16

struct backoff_settings {
	/* Delays after attempt 1, 2, ...; the last one repeats.
	 * [6m, 15m, 30m, 1h, 2h, 4h] */
	uint32_t retry_s[BACKOFF_STEPS_MAX];
	uint32_t retry_count;
	uint32_t jitter_percent; /* [20]: both ways; minima only upwards */
	uint32_t greylist_s;     /* [5m] never less after a greylisting */
	uint32_t mailbox_full_s; /* [1h] never less after a full mailbox */
	uint32_t unsure_first_s; /* [15m] doubling with each unsure result */
	uint32_t unsure_max;     /* [5] results; then the recipient is held */
	uint32_t fine_s;         /* [5] slots of delays below coarse_from_s */
	uint32_t coarse_s;       /* [60] and from there on */
	uint32_t coarse_from_s;  /* [10m] */
};
/* Fill in the defaults in brackets. */
void backoff_settings_default(struct backoff_settings *set);

enum backoff_kind {
	BACKOFF_RETRY,        /* the schedule */
	BACKOFF_GREYLIST,     /* the first time greylist_s + 0..20 % */
	BACKOFF_MAILBOX_FULL, /* the schedule, not before mailbox_full_s */
	BACKOFF_UNSURE,       /* the server may have the mail */
	BACKOFF_KIND_COUNT
};

struct backoff_ask {
	enum backoff_kind kind;
	uint32_t attempt;    /* failed attempts, this one included: 1, 2, ... */
	uint32_t unsure;     /* unsure results, this one included */
	uint32_t least_s;    /* not before now_s + this (reply table); or 0 */
	uint64_t queue_hash; /* sched_queue.hash */
	uint32_t epoch;      /* of the store's last batch */
	uint32_t old_slot;   /* the new one is always larger */
	uint32_t now_s;      /* mail time, a second that has begun */
};

/* The slot (mail time in seconds) of the next attempt. */
uint32_t backoff_slot(const struct backoff_settings *set,
		      const struct backoff_ask *ask);
/* Must a recipient with so many unsure results (this one included) be held
 * instead of tried again? */
bool backoff_unsure_spent(const struct backoff_settings *set, uint32_t unsure);

#endif
