#ifndef MTAQ_TESTS_QMODEL_H
#define MTAQ_TESTS_QMODEL_H

/*
 * A queue beside a plain table of what must be in it.  Every step goes to
 * both; qmodel_check() compares them recipient by recipient.
 */
#include "mtaq/queue.h"
#include "tests/unit/tmpdir.h"

#define QMODEL_MESSAGES 4000
#define QMODEL_RCPTS    12
#define QMODEL_DOMAINS  6
#define QMODEL_LOADED   4000

struct qmodel_rcpt {
	bool open, loaded;
	uint8_t domain, attempts, unsure;
	uint32_t slot;
};

struct qmodel_message {
	uint64_t id, sent; /* sent: content octets put so far */
	bool exists;       /* whole, not abandoned */
	bool coming;
	uint8_t campaign;
	uint32_t rcpt_count, size, expires_s;
	struct qmodel_rcpt rcpts[QMODEL_RCPTS];
};

struct qmodel_loaded {
	uint32_t message; /* index */
	uint16_t first;
	uint32_t slot;
	uint16_t bits; /* not yet answered */
};

struct qmodel {
	struct queue *q;
	struct queue_settings set;
	char dir[TMPDIR_BYTES];
	uint64_t seed;
	struct queue_committed done;
	uint32_t now_s;
	struct qmodel_message *messages;
	uint32_t message_count;
	struct qmodel_loaded *loaded;
	uint32_t loaded_count;
	uint64_t decided_lsn[QUEUE_VERB_RESUME + 1]; /* the last of each verb */
	bool decides_early; /* in force before the log is followed to it */
	uint64_t moves;     /* asked for and put */
	/* Shrink the store's pieces, so that small queues meet every seam. */
	uint32_t run_rows, step_rows, lines_max, live_percent;
};

void qmodel_open(struct qmodel *m, const struct queue_settings *set,
		 uint64_t seed);
void qmodel_close(struct qmodel *m);
uint32_t qmodel_random(struct qmodel *m, uint32_t below);

void qmodel_message(struct qmodel *m);
void qmodel_part(struct qmodel *m); /* of some message that is coming */
void qmodel_commit(struct qmodel *m);
void qmodel_apply(struct qmodel *m);
/* Take a task; false: none. */
bool qmodel_next(struct qmodel *m);
/* Answer some or all of loaded task i; all recipients final when `final`. */
void qmodel_answer(struct qmodel *m, uint32_t i, bool final);
void qmodel_return(struct qmodel *m, uint32_t i);
void qmodel_work(struct qmodel *m, int calls);
/* Close without a word and open again; for a test that keeps no table. */
void qmodel_reopen(struct qmodel *m);
void qmodel_start(struct qmodel *m); /* ... what was closed */
/* The same, and the table is told. */
void qmodel_crash(struct qmodel *m);
/* Pull and put what decisions make. */
bool qmodel_decided(struct qmodel *m);
/* Ask for moves and put them, up to `max`; what was asked for is put whole. */
void qmodel_moves(struct qmodel *m, uint32_t max);
/* What is coming comes, nothing is held or paused any more, and all of it is
 * delivered; with up to so many moves a round. */
void qmodel_deliver(struct qmodel *m, uint32_t moves);
/* After a whole checkpoint: do the index's counts say what its rows say? */
void qmodel_check_index(struct qmodel *m);
uint64_t qmodel_decide(struct qmodel *m, enum queue_verb verb,
		       const char *domain, uint64_t id);
void qmodel_check(struct qmodel *m);
uint64_t qmodel_open_rcpts(const struct qmodel *m);
const char *qmodel_domain(uint32_t i);

#endif
