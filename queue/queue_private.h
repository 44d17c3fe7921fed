#ifndef MTAQ_QUEUE_PRIVATE_H
#define MTAQ_QUEUE_PRIVATE_H

/*
 * The agreement between the two halves of the queue.
 *
 *	log half	segments, records, commit, recovery of the tail,
 *			messages and cursors (log role, readers)
 *	store half	index, delta, checkpoint, refill (store role)
 *
 * The log half calls the queue_store_* hooks below; the store half calls the
 * rest and the public queue.h.  Neither touches the other's struct.
 *
 * Opening, all in the caller's thread:
 *
 *	queue_open
 *	  lock, read the segments' headers
 *	  queue_store_open()	open the index: where to replay from
 *	  recover the log	find the tail and damage: durable is known
 *	  queue_store_replay()	take in the records from there to durable
 *
 * Closing: queue_store_close(), then the log.
 */
#include "mtaq/queue.h"

#include "queue/file.h"

struct queue_log;
struct queue_store;

struct queue {
	struct queue_settings set; /* defaults filled in; dir is our copy */
	const struct queue_file_ops *file;
	struct queue_log *log;     /* the log half's */
	struct queue_store *store; /* the store half's, NULL before its open */
	bool rebuilding;           /* queue_store_open(): a new index beside */
};

/* --- what the store half gives ------------------------------------------- */

/*
 * Open or create the index in q->set.dir and set q->store.  Gives the LSN up
 * to which it covers the log (0: nothing) and the lowest event cursor that it
 * remembers (UINT64_MAX: none): segments from there on are kept until the
 * first queue_cursor_open() of this life.  May add to report->words (see
 * queue_report_say()).  Errors as queue_open(): -EUCLEAN, -EPROTO, ...
 * On failure it leaves nothing open and q->store NULL.
 */
int queue_store_open(struct queue *q, uint32_t now_s,
		     struct queue_report *report, uint64_t *checkpoint_lsn_r,
		     uint64_t *cursor_lsn_r);
/*
 * The log is recovered: queue_durable_lsn() and queue_log_next() are good.
 * Replay everything from checkpoint_lsn on; count report->records and
 * report->messages.  A message whose parts are incomplete here is dead.
 */
int queue_store_replay(struct queue *q, uint32_t now_s,
		       struct queue_report *report);
/* Also after a failed replay.  Does nothing when q->store is NULL. */
void queue_store_close(struct queue *q);

/* --- what the log half gives --------------------------------------------- */

/* All records below are durable.  From any thread (acquire). */
uint64_t queue_durable_lsn(const struct queue *q);

/*
 * Walk over the durable records from a place on: for recovery and for live
 * following, the same code.  A walk pins the segment that it stands in (so it
 * must not rest in one that shall be freed: queue_walk_seek() or a call that
 * reaches the end lets go) and registers nothing: other than a cursor it does
 * not keep segments ahead of it from being freed; only the role that frees
 * may use one while mail comes in.
 */
struct queue_walk;
int queue_walk_open(struct queue *q, uint64_t from_lsn,
		    struct queue_walk **walk_r);
void queue_walk_close(struct queue_walk **walk); /* NULL allowed */
/* Go on with the first record at or behind lsn; lets go of the segment. */
void queue_walk_seek(struct queue_walk *w, uint64_t lsn);
/*
 * 1: a record, borrowed until the next call with this walk; rec_r->end is
 * where to go on.  0: none yet.  -EIO: a page cannot be read (the walk stays
 * where it is).  Damage is stepped over: its octets are counted in
 * queue_walk_skipped(), and its segment is marked damaged.
 */
int queue_log_next(struct queue_walk *w, struct queue_record *rec_r);
uint64_t queue_walk_lsn(const struct queue_walk *w); /* where it stands */
uint64_t queue_walk_skipped(const struct queue_walk *w);

/* The sequence number of the segment that an LSN lies in. */
static inline uint64_t queue_segment_of(const struct queue *q, uint64_t lsn)
{
	return lsn / q->set.segment_bytes;
}

struct queue_segment {
	uint64_t sequence;
	uint64_t first; /* LSN of the first record */
	uint64_t end;   /* all its durable records lie below */
	bool active;    /* being written to, or the last one */
	bool damaged;   /* never freed */
};

/* The segment of the lowest sequence >= sequence.  1: there is one; 0: not.
 * From the store's thread. */
int queue_segment_next(const struct queue *q, uint64_t sequence,
		       struct queue_segment *seg_r);
/*
 * Nothing in this segment lives any more: let it be written over.  From the
 * store's thread.  Its header stays until then: after a restart the segment
 * may be back in the list and is to be freed again.
 * -EBUSY: active, pinned, or a cursor is not past it: ask again later
 * -EUCLEAN: damaged segments are kept for people to look at
 * -ENOENT: no such segment
 */
int queue_segment_free(struct queue *q, uint64_t sequence);
/* Was a segment of the log ever begun, as far as the headers say that were
 * there at opening?  One whose header is damaged may have been. */
bool queue_log_is_used(const struct queue *q);
/* Octets in it are not what they were: it is never freed. */
void queue_segment_damage(struct queue *q, uint64_t sequence);
/* Is there less on the disk than twice free_bytes_min? */
bool queue_log_is_low(const struct queue *q);
/* Can what a move is of be read where it says that it lies? */
bool queue_place_ok(struct queue *q, const struct queue_move *at);
/* Segments in all, and those ready to be written over. */
void queue_segment_counts(const struct queue *q, uint64_t *segments_r,
			  uint64_t *free_r);

/*
 * Write a piece (4 MiB) of a segment ahead (full, synced) when fewer than
 * segments_ahead are ready and the disk has room, and look how full the disk
 * is.  From the store's thread in idle time; queue_store_work() calls it.
 * 1: it is not whole yet, or more are wanted; 0: nothing to do now; or a
 * negative errno value (-ENOSPC: no room above free_bytes_min).
 */
int queue_log_prepare(struct queue *q);

/* The lowest LSN that some event cursor still needs; UINT64_MAX: none.  The
 * store remembers it with each checkpoint. */
uint64_t queue_cursor_lowest(const struct queue *q);

/* Pieces of opening, for rebuild.c.  Fill in the defaults. */
int queue_settings_take(struct queue *q, const struct queue_settings *set);
/* -EBUSY: the words name the holder. */
int queue_lock_take(struct queue *q, struct queue_report *report, int *fd_r);
/* -EROFS: the spool bears the mark of an export (mtaq/export.h). */
int queue_refuse_exported(struct queue *q, struct queue_report *report);
struct segments;
/* Make durable what recovery has believed: where the last whole group begins,
 * and where the log ends. */
int queue_log_settle(struct segments *set, uint64_t group, uint64_t end);

/* Append a sentence to report->words, as far as it fits. */
void queue_report_say(struct queue_report *report, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
