#ifndef MTAQ_QUEUE_H
#define MTAQ_QUEUE_H

/*
 * The persistent queue: messages, and which recipients still wait for them.
 *
 * An append-only log of segment files is the truth; LMDB is its index for
 * what outlives a checkpoint.  The library knows no SMTP, starts no threads
 * and reads no clock.  It is used in three roles; each is one thread at a
 * time, different roles may be different threads:
 *
 *	log	puts records and commits them (one write, one fdatasync)
 *	store	follows the durable log: loads tasks, checkpoints, refills
 *	reader	any number: opens messages, follows records for events
 *
 * The roles share atomics and immutable octets, no lock: readers see the
 * durable log through its pages, a segment is recycled only when nothing
 * pins it.
 *
 * What is on disk and what a crash does to it: queue/README.md.
 *
 * Functions return 0 or a negative errno value unless said otherwise.  Times
 * called *_s are mail time: seconds that survive a reboot.
 */
#include "base/span.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct queue;
struct queue_file_ops; /* queue/file.h; tests bring their own */

#define QUEUE_RCPTS_MAX    1000u /* recipients of one message */
#define QUEUE_CONTENT_MAX  (50u << 20)
#define QUEUE_PART_MAX     (1u << 20) /* content octets in one record */
#define QUEUE_WORD_MAX     255u       /* tenant, campaign, domain */
#define QUEUE_ENVELOPE_MAX (1u << 20) /* all of a record but its content */
#define QUEUE_CURSORS_MAX  16u        /* open at once */
#define QUEUE_SEGMENT_MIN  (128u << 10)

/* --- opening ----------------------------------------------------------- */

struct queue_settings { /* 0 takes the default in brackets */
	const char *dir;
	const struct queue_file_ops *file; /* NULL: the system's */
	uint64_t index_bytes_max;          /* LMDB's map size [64 GiB] */
	uint64_t free_bytes_min;           /* min_free [512 MiB] */
	/* [64 MiB]; tests take less: a multiple of 4096, at least
	 * QUEUE_SEGMENT_MIN.  Fixed when the spool is made. */
	uint32_t segment_bytes;
	uint32_t segments_ahead;       /* prewritten [8] */
	uint32_t tasks_max;            /* loaded at once [1,000,000] */
	uint32_t queue_tasks_max;      /* of one queue [10,000] */
	uint32_t queues_max;           /* in memory at once [200,000] */
	uint32_t checkpoint_s;         /* [30] */
	uint32_t checkpoint_age_s;     /* younger records wait [5] */
	uint64_t checkpoint_log_bytes; /* [1 GiB] */
	uint32_t checkpoint_deltas;    /* [200,000] */
	/* Open it although it was exported (mtaq/export.h), whatever its
	 * segment_bytes: to look, to export it, to take off the mark. */
	bool exported_too;
};

/* What opening found, for the operator's eyes. */
struct queue_report {
	uint32_t saved_s;           /* mail time at the last checkpoint */
	uint64_t records, messages; /* replayed */
	uint64_t torn_bytes;        /* cut off at the tail of the log */
	uint64_t damaged;           /* places damaged elsewhere in the log */
	char words[512];            /* what happened, to what, why; "" */
};

/*
 * Open or create the spool, take spool/lock, recover.
 * -EBUSY: another process owns the spool (words name it)
 * -EROFS: it was exported: its mail is another node's (words say what to do)
 * -EUCLEAN: the index cannot be read, or is gone while the log is there
 *	(words name `mtaq verify --rebuild`)
 * -EIO, -EMFILE, -ENFILE, -ENOMEM: the log cannot be read now (words name the
 *	segment): nothing was changed.  What is read and is wrong is damage: it
 *	is named and stepped over
 * -EPROTO: a format version that this program does not know (one of version 1
 *	is raised to 2, and a program of version 1 refuses it from then on)
 * -EINVAL: segment_bytes is not the spool's, or not allowed
 * or what a system call said.  The report is filled on failure too.
 */
int queue_open(const struct queue_settings *set, uint32_t now_s,
	       struct queue **queue_r, struct queue_report *report_r);
/* No message and no cursor may be open; what is staged and not committed is
 * dropped.  Does not need to be called: SIGKILL is as safe. */
void queue_close(struct queue **queue);

/* --- log role: records in ---------------------------------------------- */

struct queue_rcpt {
	struct span address; /* as it will be sent, without <> */
	struct span domain;  /* its queue: lower case, A-labels */
	struct span params;  /* opaque to the queue (NOTIFY, ORCPT) */
};

/* Where a recipient stands when its message comes from another spool. */
struct queue_stand {
	uint32_t slot; /* or QUEUE_SLOT_HELD, QUEUE_SLOT_DAMAGED */
	uint8_t attempts, unsure;
};

#define QUEUE_MSG_8BIT          0x01u /* content has octets over 127 */
#define QUEUE_MSG_DOTS          0x02u /* some line begins with a dot */
#define QUEUE_MSG_UTF8          0x04u /* an address needs SMTPUTF8 */
#define QUEUE_MSG_TRANSACTIONAL 0x08u

/*
 * All borrowed for the call, except the octets that content points to: they
 * are lent until queue_commit() (written from where they are, and again from
 * there when a disk fails).  The iovec array itself is borrowed.
 */
struct queue_message {
	uint8_t submission[16]; /* chosen by the submitter */
	uint64_t number;        /* its frame and place, rising */
	struct span tenant, campaign;
	struct span sender; /* "" is the null reverse-path */
	struct span params; /* opaque (RET, ENVID) */
	/* Recipients of one domain are adjacent: a run of them is a task. */
	const struct queue_rcpt *rcpts;
	uint32_t rcpt_count;
	uint32_t arrived_s, due_s, expires_s;
	uint32_t flags;
	const struct iovec *content; /* canonical: CRLF, not dot-stuffed */
	int content_count;
	uint64_t size; /* of the whole content, parts that follow included */
	/*
	 * Adopted mail: rcpt_count of them, in the same record, so that no
	 * crash can part a recipient from its state; NULL: all wait for due_s.
	 * Its submission is the spool that it comes from, its number the id
	 * that it had there, and both are remembered for good.
	 */
	const struct queue_stand *stands;
	uint32_t adopted_s; /* mail time; with stands, and then not 0 */
};

/*
 * Stage a message.  Its id is the LSN of its first record; it is final after
 * queue_commit() (see struct queue_committed).  When size is more than the
 * content given, the rest follows with queue_put_part() in order, and the
 * message exists once its last part is durable; parts of several messages
 * may be interleaved.  Only parts of messages begun in this life of the
 * process count: what a crash left incomplete does not exist.
 * -EAGAIN: the group is full: queue_commit(), then again
 * -ENOSPC: below free_bytes_min (nothing was staged)
 * -EMSGSIZE, -EINVAL: more than the limits above allow, or more than fits
 * into one segment
 * -EMFILE, -ENFILE, -ENOMEM: no new segment could be opened; nothing was
 * staged, try again later
 * or what a disk said, and then for good (as queue_commit())
 */
int queue_put_message(struct queue *q, const struct queue_message *msg,
		      uint64_t *id_r);
/* offset: where in the whole content this piece begins.  Errors as above;
 * after -ENOSPC abandon the message. */
int queue_put_part(struct queue *q, uint64_t id, uint64_t offset,
		   const struct iovec *content, int content_count);
/* The rest will not come: the message never exists.  Never -ENOSPC. */
int queue_put_abandon(struct queue *q, uint64_t id);

enum queue_state {         /* of one recipient, after an OUT record; on disk */
	QUEUE_WAITING = 1, /* again at its new slot */
	QUEUE_HELD,        /* until an operator releases it */
	QUEUE_DAMAGED,     /* held: its octets fail their check */
	QUEUE_DELIVERED,   /* from here on final */
	QUEUE_BOUNCED,
	QUEUE_EXPIRED,
	QUEUE_CANCELLED
};

struct queue_out_rcpt {
	uint16_t rcpt; /* index in the message */
	uint8_t state; /* enum queue_state */
	uint8_t attempts, unsure;
	uint32_t due_s;   /* the slot, when waiting */
	struct span note; /* opaque: what its event says of it */
};

struct queue_out { /* what came of one attempt at (a part of) one task */
	uint64_t id;
	uint32_t slot; /* the task's slot before this */
	struct span tenant, campaign, domain;
	struct span note;                   /* opaque: what the events share */
	const struct queue_out_rcpt *rcpts; /* rising by .rcpt */
	uint32_t rcpt_count;
};

/*
 * Stage an outcome.  -EAGAIN as above; -ENOSPC only when the disk is full and
 * the reserve is spent: queue_out_room() said so before, and no transaction
 * was begun then.
 */
int queue_put_out(struct queue *q, const struct queue_out *out);
/* Is there room for the outcomes of transactions that begin now?  From any
 * thread, a moment old. */
bool queue_out_room(const struct queue *q);

enum queue_verb { /* of a decision; on disk */
	QUEUE_VERB_HOLD = 1,
	QUEUE_VERB_RELEASE,
	QUEUE_VERB_CANCEL,
	QUEUE_VERB_RETRY,  /* waiting mail is due at made_s */
	QUEUE_VERB_PAUSE,  /* a rule: holds for later mail too; no ids */
	QUEUE_VERB_RESUME, /* ends the pauses that its words cover */
	/* A rule for .site alone, whatever its mail: queue_site_paused().  An
	 * earlier program does not know these two: to it they are damage,
	 * never a pause of everything. */
	QUEUE_VERB_SITE_PAUSE,
	QUEUE_VERB_SITE_RESUME
};

#define QUEUE_DECISION_IDS_MAX 1000u
struct queue_decision { /* an operator's word */
	enum queue_verb verb;
	uint32_t made_s;
	/* Which queues: "" is any.  With ids: in them only these messages. */
	struct span tenant, campaign, domain;
	const uint64_t *ids;
	uint32_t id_count;
	struct span note; /* opaque: who, why */
	struct span site; /* SITE_PAUSE, SITE_RESUME: all else is "", no ids */
};
/* Stage a decision; it covers ids below its own LSN, which is given.  Final
 * after queue_commit() like an id.  Errors as queue_put_out(). */
int queue_put_decision(struct queue *q, const struct queue_decision *dec,
		       uint64_t *lsn_r);
/* Note in the log that a checkpoint covers all below lsn. */
int queue_put_checkpoint(struct queue *q, uint64_t lsn, uint32_t now_s);

/*
 * What lives in a segment that is nearly empty is copied to the end of the
 * log, so that the segment can be written over.  The id stays; its place, the
 * LSN of the record that it is read from, is another.
 */
struct queue_move {
	uint64_t id, from; /* its place so far */
	uint8_t type;      /* QUEUE_REC_MSG, or _DEC: a decision */
	uint8_t why;       /* in the log: why it was not; an errno */
	struct span tasks; /* opaque: who is open */
};
#define QUEUE_MOVE_TASKS_MAX (24u << 10)

/*
 * Stage what queue_store_move() has given; its octets are checked and copied
 * here.  -EAGAIN: the group is full: queue_commit(), then this move again
 * before any other (a large message takes several groups).  0: it is staged,
 * or a note that it was not moved (damaged, no room): the store reads which.
 * Never takes the last ready segment.  Other errors as queue_put_out().
 */
int queue_put_move(struct queue *q, const struct queue_move *move);

/* Octets staged and not yet committed. */
size_t queue_staged(const struct queue *q);
/* More of the group is coming: write what is there, when it is worth a call,
 * so that queue_commit() has less to do.  Nothing becomes durable by it, and
 * what fails is queue_commit()'s to tell and to mend. */
void queue_write_early(struct queue *q);

/*
 * What a commit did.  When the disk failed and the group was written again to
 * a new segment, the LSNs that the puts had given (those >= moved_from) are
 * all larger by moved_by; otherwise moved_by is 0.  Pass what a put gave
 * through queue_lsn_final() before it leaves the log role; ids of earlier
 * groups pass unchanged.
 */
struct queue_committed {
	uint64_t durable; /* all records below are durable */
	uint64_t moved_from, moved_by;
	int moved_why; /* 0, or the negative errno that moved the group */
};

static inline uint64_t queue_lsn_final(const struct queue_committed *done,
				       uint64_t lsn)
{
	return lsn >= done->moved_from ? lsn + done->moved_by : lsn;
}

/*
 * Write the staged group and make it durable: one pwritev, one fdatasync.
 * On failure nothing that was staged may be acknowledged; a failed write or
 * sync seals the segment, and the group is written again to a new one; the
 * second failure is returned, and from then on the queue only returns that
 * error.  With nothing staged it does nothing and succeeds.
 */
int queue_commit(struct queue *q, struct queue_committed *done_r);

/* --- reader role: messages and records out ------------------------------ */

/* Borrowed until queue_message_close().  Not to be copied: content may point
 * into the view itself. */
struct queue_view {
	uint64_t id;
	struct span tenant, campaign, sender, params;
	uint32_t rcpt_count, arrived_s, expires_s, flags;
	uint64_t size;
	const struct iovec *content; /* straight from the segments' pages */
	int content_count;
	const void *rcpt_table; /* for queue_view_rcpt() */
	/* Adopted mail: when, and from where; adopted_s is 0 of all other. */
	uint32_t adopted_s;
	uint8_t origin_spool[16];
	uint64_t origin_id;
	const void *stand_table; /* for queue_view_stand() */
	struct iovec one;        /* the usual content: one piece */
	void *pin;
	struct queue_pins *pins; /* NULL: the pin is the view's own */
};

/* One thread's, all 0 at first: messages that it has open in one segment share
 * a pin.  Threads that pin for each take that line from each other. */
#define QUEUE_PINS 16u
struct queue_pins {
	struct {
		void *segment;
		uint32_t count;
	} held[QUEUE_PINS];
};

/* Is this error of a want of memory or descriptors, which says nothing of the
 * mail or the disk?  The same again later. */
static inline bool queue_is_short(int err)
{
	return err == -ENOMEM || err == -EMFILE || err == -ENFILE;
}

/*
 * Open a message by its id and pin its segments.  Identity and CRC are
 * checked first, and its pages are brought in, so that a bad disk is an
 * errno here and not a signal later.  -ENOENT: no such message (its segment
 * is gone, the id is not durable, or another record is there, or its last
 * part is not durable).  -EUCLEAN: its octets are damaged; it must not be
 * sent.  -EIO: they cannot be read.  queue_is_short(): not now.
 */
int queue_message_open(struct queue *q, uint64_t id, struct queue_view *view_r);
/* The same of a message that has moved to another place: queue_task.place, or
 * queue_store_place().  -ENOENT also when it has moved on since: what was
 * loaded is handed back, and is given again with its new place. */
int queue_message_open_at(struct queue *q, uint64_t id, uint64_t place,
			  struct queue_view *view_r);
/* The same for a thread with many open at once; closed by that thread. */
int queue_message_open_shared(struct queue *q, struct queue_pins *pins,
			      uint64_t id, uint64_t place,
			      struct queue_view *view_r);
/* What is left of a message whose content is damaged: its envelope, without a
 * piece of content, for whoever tells of it.  -EUCLEAN: not even that. */
int queue_envelope_open_at(struct queue *q, uint64_t id, uint64_t place,
			   struct queue_view *view_r);
void queue_message_close(struct queue *q, struct queue_view *view);
/* It is opened soon: have the processor fetch where it begins.  Costs little,
 * waits for nothing, says nothing about whether it is there. */
void queue_message_expect(const struct queue *q, uint64_t place);
/* Recipient i < rcpt_count, in O(1). */
void queue_view_rcpt(const struct queue_view *view, uint32_t i,
		     struct queue_rcpt *rcpt_r);

/* Where it stood when its message was adopted; false: it was not. */
bool queue_view_stand(const struct queue_view *view, uint32_t i,
		      struct queue_stand *stand_r);

enum queue_record_type { /* on disk */
	QUEUE_REC_MSG = 1,
	QUEUE_REC_PART,
	QUEUE_REC_OUT,
	QUEUE_REC_DEC,
	QUEUE_REC_MOVE,
	QUEUE_REC_BODY,
	QUEUE_REC_CKPT
};

/* PART: content octets offset..offset+length-1 of message id.  The message is
 * whole when every octet of its size has come; abandoned: it never will be. */
struct queue_part {
	uint64_t id, offset;
	uint32_t length;
	bool abandoned;
};

struct queue_ckpt { /* CKPT */
	uint64_t lsn;
	uint32_t made_s;
};

/*
 * A record without its content: content is never touched while following
 * (msg.content is NULL); queue_message_open() hands it out.  What is not of
 * its type means nothing.
 */
struct queue_record {      /* borrowed until the next call with the cursor */
	uint64_t lsn, end; /* the next record is at end or behind it */
	enum queue_record_type type;
	uint32_t content_bytes; /* of the content in this record */
	struct queue_view msg;  /* MSG: id is lsn, nothing pinned */
	uint32_t due_s;         /* MSG */
	uint64_t submission_number;
	uint8_t submission[16];
	struct queue_part part;
	struct queue_out out; /* OUT; also the OUTs of decisions */
	struct queue_decision dec;
	struct queue_ckpt ckpt;
	/* MOVE: msg (its id is move.id) or dec of what was moved, unless
	 * move.why is set. */
	struct queue_move move;
	struct span raw; /* the envelope; of MOVE: that of what was moved */
	const char *envelope; /* where all of the envelope begins */
};

/*
 * A cursor over durable records, for events.  Segments from the oldest
 * cursor on are not recycled.
 */
struct queue_cursor;
/* Begin with the first record at or behind from_lsn.  -EMFILE: there are
 * QUEUE_CURSORS_MAX; -ENOMEM. */
int queue_cursor_open(struct queue *q, uint64_t from_lsn,
		      struct queue_cursor **cursor_r);
void queue_cursor_close(struct queue_cursor **cursor);
/* 1: a record; 0: none yet; or a negative errno value. */
int queue_cursor_next(struct queue_cursor *cursor, struct queue_record *rec_r);
/* The record at lsn, which the cursor has given last, once more. */
void queue_cursor_again(struct queue_cursor *cursor, uint64_t lsn);
/* Everything below lsn is done with: remember it (with the next checkpoint),
 * and let go of its segments. */
void queue_cursor_done(struct queue_cursor *cursor, uint64_t lsn);

/* --- store role: tasks out, index kept ----------------------------------- */

/*
 * A task: the open recipients of one message in one queue at one slot.  They
 * are a subset of rcpts first..first+span-1 of the message; bit i of open[]
 * stands for recipient first + i, and bit 0 is set.
 */
#define QUEUE_SLOT_DAMAGED 0xfffffffeu /* the slots of tasks that do not */
#define QUEUE_SLOT_HELD    0xffffffffu /* wait for a time */
#define QUEUE_OPEN_WORDS   ((QUEUE_RCPTS_MAX + 63) / 64)
struct queue_task {
	uint64_t id;
	uint64_t place; /* for queue_message_open_at() */
	uint32_t queue; /* handle, for queue_handle_name() */
	uint32_t slot, expires_s;
	uint32_t flags; /* of the message */
	uint16_t first, span;
	uint8_t attempts, unsure;
	uint64_t open[QUEUE_OPEN_WORDS];
};

/*
 * Take in what has become durable since the last call, a bounded piece of it.
 * 1: there is more; 0: that was all.  A negative errno value: of the log, which
 * may be read again later; or, when queue_store_failed() says it too, memory is
 * only half true: close the queue and open it again.
 */
int queue_store_apply(struct queue *q, uint32_t now_s);
int queue_store_failed(const struct queue *q);

/*
 * The next task that is due and not loaded, or new: it is loaded from then
 * on, that is, a recipient of it is not given again until an OUT for it is
 * applied or the task is handed back.  No second task with the same (id,
 * first) is given meanwhile.  Tasks of paused queues and held tasks are given
 * only when they have expired.  1: a task; 0: none now; or a negative errno
 * value.
 */
int queue_store_next(struct queue *q, uint32_t now_s,
		     struct queue_task *task_r);
/* Hand back a task unattempted, by the first it was given with; what is left
 * of it may be given again from due_s on. */
void queue_store_return(struct queue *q, uint64_t id, uint16_t first,
			uint32_t due_s);

/* What is left of a loaded task, by the first it was given with; its message
 * is not looked at.  1: it is in *task_r; 0: no such task is loaded. */
int queue_store_loaded(const struct queue *q, uint64_t id, uint16_t first,
		       struct queue_task *task_r);

/* Do a bounded piece of checkpoint, refill and freeing.  1: there is more to
 * do now; 0: not before queue_store_wake_s(). */
int queue_store_work(struct queue *q, uint32_t now_s);
uint32_t queue_store_wake_s(const struct queue *q);
/* A whole checkpoint now, whatever the age of the records (clean stop). */
int queue_store_checkpoint(struct queue *q, uint32_t now_s);
/* Before a thread ends whose work for the store another thread goes on with: a
 * transaction of the index belongs to its thread (LMDB's mdb_txn_begin()), so
 * what a checkpoint has not committed is done anew by the next one. */
void queue_store_leave(struct queue *q);

struct queue_filter { /* "": any */
	struct span tenant, campaign, domain;
};

/*
 * A decision that is durable at lsn is in force from now on, however much of
 * the log before it has not been followed: what is met there is covered as if
 * it had been met in time.  Decisions come in the order of the log, all or
 * none of them since the queue was opened.  Store role.  0 or a negative errno
 * value, after which the store has failed.
 */
int queue_store_decide(struct queue *q, uint64_t lsn,
		       const struct queue_decision *dec);
/*
 * What decisions make of tasks that are not loaded: an OUT to put, one task
 * each; borrowed until the next call.  A task that is loaded is decided when
 * it comes back.  1: an OUT; 0: none now (queue_store_work() looks for them, a
 * piece at a time, and not before those given are applied); or a negative
 * errno value.
 */
int queue_store_decided(struct queue *q, uint32_t now_s,
			enum queue_verb *verb_r, struct queue_out *out_r);
/*
 * What compaction wants moved next, for queue_put_move(); borrowed until the
 * next call.  Those given must be put in this order.  1: a move; 0: none now,
 * perhaps not before those given are applied; or a negative errno value.
 */
int queue_store_move(struct queue *q, uint32_t now_s,
		     struct queue_move *move_r);
/* Where a message or a decision lies, if it is there at all. */
uint64_t queue_store_place(struct queue *q, uint64_t id);
/*
 * The nth decision in force, from 0: pauses first, oldest first, then what has
 * not yet been applied to all that it covers.  Without its note, which only
 * the log keeps.  Borrowed until the store is called again.  -ENOENT: there are not so many.
 */
int queue_store_decision(const struct queue *q, uint32_t nth, uint64_t *lsn_r,
			 struct queue_decision *dec_r);
/* Does a pause hold this queue?  For tasks that are loaded already. */
bool queue_paused(const struct queue *q, uint32_t handle);
/* Is there a rule that pauses the site of this name, in any case of its
 * letters?  The queue only keeps these rules; the caller obeys them. */
bool queue_site_paused(const struct queue *q, struct span site);

/*
 * Was message `number` of a submission accepted before?  1: yes, *id_r is its
 * id, or 0 when more than 16 of the submission came after it; 0: no.  Numbers
 * of one submission must become durable in rising order (a large message's
 * last part before its successor).  Kept for 3 days after the last, and for
 * good of adopted mail.
 */
int queue_store_submitted(struct queue *q, const uint8_t submission[16],
			  uint64_t number, uint64_t *id_r);

/*
 * The open tasks, a page a call, for `queue list`: those of the index in the
 * order of queues, then those that only memory knows.  A task that moves
 * meanwhile may be seen twice or not at all.
 */
/*
 * All 0 at the start: the index, then memory, so that nothing is missed; what
 * is loaded meanwhile may come twice.  With stage QUEUE_LIST_LOADED it begins
 * with what memory has, for a look at what is under way; what is loaded
 * meanwhile may be missed.
 */
#define QUEUE_LIST_LOADED 2u
struct queue_list_cursor {
	uint32_t stage, queue, slot;
	uint64_t id;
	uint32_t next;
};
/* Up to room tasks.  1: there may be more (even when *count_r is 0); 0: that
 * was the end. */
int queue_list(struct queue *q, const struct queue_filter *filter,
	       struct queue_list_cursor *at, struct queue_task *tasks_r,
	       uint32_t room, uint32_t *count_r);
/* The open tasks of one message.  -ENOENT: no such message; a message without
 * open tasks gives *count_r 0. */
int queue_show(struct queue *q, uint64_t id, struct queue_task *tasks_r,
	       uint32_t room, uint32_t *count_r);

/* The words of a handle; borrowed until the store is called again, or for as
 * long as a task of the queue is loaded. */
void queue_handle_name(const struct queue *q, uint32_t handle,
		       struct span *tenant_r, struct span *campaign_r,
		       struct span *domain_r);

struct queue_counts {
	uint64_t waiting, held;  /* open recipients */
	uint64_t loaded, deltas; /* tasks in memory; not yet in the index */
	uint64_t queues;
	uint64_t segments, segments_free;
	uint64_t log_bytes; /* not yet covered by a checkpoint */
	uint64_t checkpoint_lsn, durable_lsn;
	uint64_t checkpoints; /* finished since the queue was opened */
	bool coming; /* parts of a message are missing: no checkpoint covers
		      * what is behind it */
	/* Since then too: messages and octets that compaction has moved, and
	 * the segments it freed. */
	uint64_t moved, moved_bytes, compacted;
};
/* When the first recipient in the index expires, to the hour below; 0: there
 * is none, or it cannot be known now.  What is younger than a checkpoint is
 * not in the index.  From the store's thread. */
uint32_t queue_store_expires_s(struct queue *q);
/* From the store's thread. */
void queue_store_counts(const struct queue *q, struct queue_counts *counts_r);

/* --- looking at a spool from outside -------------------------------------- */

struct queue_verify_report {
	uint64_t segments, segments_free;
	uint64_t records, messages, parts, outs, decisions, moves;
	uint64_t log_bytes;       /* of whole records */
	uint64_t torn_bytes;      /* behind the last whole record of the log */
	uint64_t damaged;         /* places, each a range of lost octets */
	uint64_t content_damaged; /* messages and parts of wrong content */
	char words[2048];         /* a line for each place, as far as fits */
};

/*
 * Read every segment of a spool and check every record; changes nothing and
 * takes no lock (beside a living daemon the tail may seem torn).
 * 0: the log is whole; -EUCLEAN: it is not, see the report; or what a system
 * call said (-ENOENT: there is no spool).
 */
int queue_verify(const char *dir, struct queue_verify_report *report_r);

/* --- making an unreadable index anew --------------------------------------- */

struct queue_rebuild_report {
	uint64_t log_bytes, log_done; /* to follow, and followed so far */
	uint64_t records, messages, outs, decisions, moves;
	uint64_t held; /* recipients without a final outcome: all are held */
	/* Of these so many at most were delivered already: the outcome may
	 * have stood in what is written over or damaged, or the server may
	 * have the mail.  What was being sent, or was and its outcome not yet
	 * durable, when the last owner died comes on top; nobody knows it. */
	uint64_t second_max;
	uint64_t incomplete;      /* messages left out: parts are missing */
	uint64_t pauses, cancels; /* decisions in force again */
	uint64_t gaps;            /* where segments were written over */
	uint64_t torn_bytes, damaged, content_damaged; /* as in verifying */
	char kept[64];    /* the old index's new name in the spool; "" */
	char words[2048]; /* damage, a line each; or why it failed */
};

/*
 * Make the index anew from the log alone: each recipient without a final
 * outcome is held, so nothing is sent before a release.  What a release or
 * retry in the log said is not done again; a cancel is, and pauses hold.
 * The new index is made beside the old one and takes its name when it is
 * whole and durable; the old one is kept under another.
 *
 *	queue_rebuild_begin()			takes spool/lock; checks the log
 *	while (queue_rebuild_step() == 1)	bounded pieces
 *		;
 *	queue_rebuild_finish()			the names change
 *
 * A crash before the end leaves the old index as it was.  now_s is the wall
 * clock.  set as for queue_open(); segment_bytes is taken from the log.
 * After a failure only queue_rebuild_drop() may follow, and must.
 *
 * begin: -EBUSY: another process owns the spool; -EROFS: it was exported;
 * -EEXIST: the index can be
 * opened and force is false (force also goes on without what of the log cannot
 * be opened, mapped or read); -ENOENT: there is no spool; -EPROTO: a version
 * that this program does not know; or what a system call said.  On failure
 * *rebuild_r is not set.
 */
struct queue_rebuild;
int queue_rebuild_begin(const struct queue_settings *set, uint32_t now_s,
			bool force, struct queue_rebuild **rebuild_r,
			struct queue_rebuild_report *report_r);
/* 1: there is more; 0: the report is whole; or a negative errno value. */
int queue_rebuild_step(struct queue_rebuild *rebuild,
		       struct queue_rebuild_report *report);
/* After step gave 0.  On success *rebuild is NULL. */
int queue_rebuild_finish(struct queue_rebuild **rebuild,
			 struct queue_rebuild_report *report);
/* Leave all as it was; so tells who only wants the report. */
void queue_rebuild_drop(struct queue_rebuild **rebuild);

#endif
