#ifndef MTAQ_QUEUE_DECIDE_H
#define MTAQ_QUEUE_DECIDE_H

/*
 * Operator's decisions.
 *
 * Pauses are rules: a line is paused while one covers its words.  Those of a
 * site concern no line: they are kept for who asks.
 *
 * hold, release, cancel and retry change no row themselves: each task that
 * they cover becomes an OUT, which the engine puts into the log, and only its
 * replay-proof application changes anything.  A decision stays in force (in
 * memory, and from the next checkpoint in the index) until it has looked at
 * everything below its LSN and all its OUTs have been applied; after a crash
 * it begins again, and finds done what was done.
 */
#include "queue/store.h"

int decide_open(struct queue_store *s);
void decide_close(struct queue_store *s);
int decide_note(struct queue_store *s, uint64_t lsn,
		const struct queue_decision *dec);
/* Is it in force since before the log was followed to it, or over? */
bool decide_is_known(const struct queue_store *s, uint64_t lsn);
bool decide_site_paused(const struct queue_store *s, struct span site);
bool decide_paused(const struct queue_store *s, const struct line *line);
/* A message is whole now: older decisions in force may cover it. */
int decide_arrived(struct queue_store *s, struct task *t);
/* An IDLE task is about to be given: a decision that has not looked at all
 * yet may cover it.  1: it is decided and not IDLE any more; 0; negative. */
int decide_give(struct queue_store *s, struct task *t);
/* A task with a decision is IDLE again. */
int decide_back(struct queue_store *s, struct task *t);
/* delta_move(), and what it means for decisions. */
int decide_move(struct queue_store *s, struct task *t, const struct move *move,
		bool final);
/* Compaction has moved it.  False: it is not in force. */
bool decide_moved(struct queue_store *s, uint64_t lsn, uint64_t place);
uint64_t decide_place(const struct queue_store *s, uint64_t lsn);
/* The nth in force and where it lies; false: there are not so many. */
bool decide_nth(const struct queue_store *s, uint32_t nth, uint64_t *lsn_r,
		uint64_t *place_r);
/* Look at a piece of what decisions cover.  1: there is more; 0: not now. */
int decide_work(struct queue *q);
/* Write what changed of decisions below lsn.  0 or negative. */
int decide_checkpoint(struct queue_store *s, uint64_t lsn);
void decide_settle(struct queue_store *s, bool committed);

#endif
