#ifndef MTAQ_QUEUE_INDEX_H
#define MTAQ_QUEUE_INDEX_H

/*
 * The index: what outlives a checkpoint, in LMDB.  For the store's thread.
 *
 *	meta      "meta" -> struct index_meta
 *	task      BE(queue u32, slot u32, id u64, group u16) -> open recipients
 *	queue     u32 -> words		qname     words -> u32, never reused
 *	segstat   BE(segment u64) -> open recipients, their share of octets
 *	expire    BE(hour u32, queue u32) -> open recipients
 *	idem      submission id -> what was accepted of it
 *	decision  BE(lsn u64) -> a decision in force
 *	moved     BE(id u64) -> BE(place u64)	what compaction has moved
 *	place     BE(place u64) -> BE(id u64)	the same, by place
 *
 * The counts of segstat, expire and meta change only by what a transaction
 * really found and changed in `task`, in that same transaction: a row may be
 * put or deleted twice.
 *
 * Functions return 0 or a negative errno value; -EUCLEAN: the index cannot be
 * read; -ENOSPC: the map or the disk is full.
 */
#include "mtaq/queue.h"

struct index_key {
	uint64_t id;
	uint32_t queue, slot; /* queue 0 is none */
	uint16_t group;       /* the first open recipient */
};

struct index_row {
	struct index_key key;
	uint64_t place; /* of its message; 0: its id says it */
	uint32_t expires_s;
	uint32_t share;    /* octets of the message for each recipient */
	uint16_t segments; /* its message reaches over so many more */
	uint8_t attempts, unsure, flags;
	uint64_t open[QUEUE_OPEN_WORDS]; /* bit i: recipient group + i */
};

struct index_totals { /* open recipients */
	uint64_t waiting, held;
};

struct index_meta {
	uint64_t checkpoint_lsn;    /* the index covers what is below */
	uint64_t cursor_lsn;        /* UINT64_MAX: no event cursor */
	uint32_t saved_s;           /* mail time at the last checkpoint */
	uint32_t queue_next;        /* the next number of a queue */
	struct index_totals totals; /* of all rows */
	uint64_t reached_lsn;       /* rows may be of messages below this */
	bool names_whole;           /* every queue's words are a key of qname */
};

struct index;

struct index_segments {
	uint64_t sequences[64]; /* rising */
	uint32_t count;
};

#define INDEX_NAME "index"
#define INDEX_NEW  "index.new" /* while it is made anew */
/* make: where there is none, or one without a single commit, make it; else
 * that is -ENODATA and nothing is changed.  -EUCLEAN: it cannot be read;
 * -EPROTO: another version; or what LMDB and the system say. */
int index_open(const char *dir, const char *name, uint64_t bytes_max,
	       uint32_t segment_bytes, bool make, struct index **index_r);
void index_close(struct index **index);
/* As committed last. */
const struct index_meta *index_meta(const struct index *x);

int index_key_cmp(const struct index_key *a, const struct index_key *b);

/* --- reading; short, sees what was committed last ------------------------ */

/* Rows from a key on, in order. */
int index_scan(struct index *x, const struct index_key *from,
	       struct index_row *rows_r, uint32_t room, uint32_t *count_r);
/* The row of (queue, slot, id) whose open recipients hold rcpt, the lowest
 * group first.  -ENOENT. */
int index_find(struct index *x, const struct index_key *prefix, uint16_t rcpt,
	       struct index_row *row_r);
/* Open recipients of the row of a key; 0: there is none. */
int index_row_open(struct index *x, const struct index_key *key,
		   uint32_t *open_r);
/* -ENOENT: the queue has no number. */
int index_queue_find(struct index *x, struct span words, uint32_t *number_r);
/* Words go to room octets at words; *len_r is their length. */
int index_queue_words(struct index *x, uint32_t number, char *words,
		      size_t room, size_t *len_r);
/*
 * The first queue at or behind *number_r whose words a filter wants, which
 * *number_r becomes.  1: it is one; 0: so many were looked at, go on from
 * there; -ENOENT: there is no further one.  (A queue may be without rows.)
 * One domain among millions is found by its words instead.
 */
int index_queue_next(struct index *x, const struct queue_filter *filter,
		     uint32_t looks_max, uint32_t *number_r);
int index_segment_open(struct index *x, uint64_t segment, uint64_t *open_r);
/* The same, and their shares of octets. */
int index_segment_stat(struct index *x, uint64_t segment, uint64_t *open_r,
		       uint64_t *octets_r);
/* Where a message has moved to; -ENOENT: it has not. */
int index_moved(struct index *x, uint64_t id, uint64_t *place_r);
/* The first place at or behind *place, which it becomes; -ENOENT. */
int index_place_next(struct index *x, uint64_t *place, uint64_t *id_r);
/*
 * Look at up to `rows` rows from *at on, which becomes where to go on, for
 * messages that lie in one of the segments, which rise.  1: there is more;
 * 0: the end.  *count_r keys are in found_r, which has room for all.
 */
struct index_living {
	uint64_t place;
	struct index_key key;
};
int index_scan_places(struct index *x, struct index_key *at, uint32_t rows,
		      const struct index_segments *in,
		      struct index_living *found_r, uint32_t *count_r);
/* The first count at or behind (hour, queue); -ENOENT: none. */
int index_expire_next(struct index *x, uint32_t *hour, uint32_t *queue);
/* Value of an exact key; -ENOENT; -EUCLEAN when longer than room. */
int index_idem_get(struct index *x, const uint8_t submission[16], void *p,
		   size_t room, size_t *len_r);
/* The first submission at or behind `at`, which it becomes; -ENOENT. */
int index_idem_next(struct index *x, uint8_t at[16], void *p, size_t room,
		    size_t *len_r);
/* The first decision at or behind *lsn, which it becomes; -ENOENT. */
int index_decision_next(struct index *x, uint64_t *lsn, void *p, size_t room,
			size_t *len_r, uint64_t *place_r);

/* --- writing: one transaction at a time ----------------------------------- */

/* Rows of messages below lsn will be put.  While checkpoint_lsn is lower, a
 * crash leaves rows that replay will come upon. */
int index_begin(struct index *x, uint64_t lsn);
bool index_writing(const struct index *x);
int index_put(struct index *x, const struct index_row *row);
int index_del(struct index *x, const struct index_key *key);
/* The number of a queue; gives it one when it has none. */
int index_queue_put(struct index *x, struct span words, uint32_t *number_r);
int index_idem_put(struct index *x, const uint8_t submission[16], const void *p,
		   size_t len);
int index_idem_del(struct index *x, const uint8_t submission[16]);
int index_decision_put(struct index *x, uint64_t lsn, uint64_t place,
		       struct span packed);
int index_moved_put(struct index *x, uint64_t id, uint64_t place);
/* The message that had moved to a place is over, or has moved on. */
int index_moved_del(struct index *x, uint64_t id, uint64_t place);
int index_decision_del(struct index *x, uint64_t lsn);
/* The checkpoint is whole: move checkpoint_lsn with this transaction. */
void index_whole(struct index *x, uint64_t checkpoint_lsn, uint64_t cursor_lsn,
		 uint32_t now_s);
/*
 * On failure nothing of the transaction may be relied on; *unsure_r says that
 * it may nevertheless be there (the index was closed and opened again).
 */
int index_commit(struct index *x, bool *unsure_r);
void index_abort(struct index *x);

#endif
