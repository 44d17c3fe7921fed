#ifndef MTAQ_QUEUE_COMPACT_H
#define MTAQ_QUEUE_COMPACT_H

/*
 * Compaction, for the store half: compact.c chooses segments, finds what lives
 * in them and asks for it to be moved; moved.c takes in what was moved.
 */
#include "queue/store.h"

#define COMPACT_GIVEN_MAX   64u        /* moves on their way at once, and */
#define COMPACT_GIVEN_BYTES (1u << 20) /* ... their octets, or one move */
#define COMPACT_BYTES_S     (4u << 20) /* a second, and */
#define COMPACT_SHARE       4u         /* ... 1/4 of the log's other octets */
#define COMPACT_PAST_MAX    256u

enum compact_stage {
	COMPACT_REST,   /* until after a checkpoint */
	COMPACT_CHOOSE, /* segments, by their counts */
	COMPACT_SCAN,   /* the index's rows, for what lives in them */
	COMPACT_MOVE
};

struct compact_given {
	uint64_t id, from, bytes;
};

struct compact {
	enum compact_stage stage;
	bool look;             /* something may be worth it */
	uint32_t not_before_s; /* ... but not yet */
	uint32_t look_s;       /* look again in any case */
	uint32_t percent;      /* alive at most; tests take more */
	uint64_t choose_at, rcpts;
	struct index_segments victims;
	bool given_up[64]; /* victims: nothing more is moved out of it */
	struct index_key scan_at;
	uint64_t scanned; /* rows */
	struct index_living *found;
	size_t count, size, next;
	struct compact_given given[COMPACT_GIVEN_MAX];
	uint32_t given_count;
	uint64_t given_bytes;
	uint64_t credit, credit_lsn, own_bytes;
	uint32_t credit_s;
	uint64_t past[COMPACT_PAST_MAX]; /* victims whose round is over */
	uint32_t past_at;
	uint64_t moved, moved_bytes, compacted; /* for people */
	char tasks[QUEUE_MOVE_TASKS_MAX];
};

/* moved.c: a walk over recipients, by the queues they are in. */
struct rcpt_lines {
	struct queue *q;
	const struct queue_view *msg;
	struct span domain;
	struct line *line; /* NULL: the queue has none */
	bool begun, brought;
};
int rcpt_line(struct rcpt_lines *w, uint32_t i);
/* The row of exactly this key becomes a task, unless the delta knows better. */
int moved_bring(struct queue_store *s, struct line *line,
		const struct index_key *key);
/* All open tasks of these recipients come into memory. */
int moved_gather(struct queue *q, const struct queue_view *msg,
		 const uint64_t *wanted);

/* What became of a move.  why: 0 or a negative errno value. */
void compact_answered(struct queue *q, uint64_t id, uint64_t bytes, int why);

#endif
