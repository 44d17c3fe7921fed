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
 * What is on disk and what a crash does to it: queue/README.md.
 *
 * Functions return 0 or a negative errno value unless said otherwise.  Times
 * called *_s are mail time: seconds that survive a reboot.
 */
#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct iovec;
struct queue;
struct queue_file_ops; /* queue/file.h; tests bring their own */

#define QUEUE_RCPTS_MAX   1000u /* recipients of one message */
#define QUEUE_CONTENT_MAX (50u << 20)
#define QUEUE_PART_MAX    (1u << 20) /* content octets in one record */
#define QUEUE_WORD_MAX    255u       /* tenant, campaign, domain */

/* --- opening ----------------------------------------------------------- */

struct queue_settings { /* 0 takes the default in brackets */
	const char *dir;
	const struct queue_file_ops *file; /* NULL: the system's */
	uint64_t index_bytes_max;          /* LMDB's map size [64 GiB] */
	uint64_t free_bytes_min;           /* min_free [512 MiB] */
	uint32_t segment_bytes;            /* [64 MiB]; tests take less */
	uint32_t segments_ahead;           /* prewritten [8] */
	uint32_t tasks_max;                /* loaded at once [1,000,000] */
	uint32_t queue_tasks_max;          /* of one queue [10,000] */
	uint32_t checkpoint_s;             /* [30] */
	uint32_t checkpoint_age_s;         /* younger records wait [5] */
	uint64_t checkpoint_log_bytes;     /* [1 GiB] */
	uint32_t checkpoint_deltas;        /* [200,000] */
};

/* What opening found, for the operator's eyes. */
struct queue_report {
	uint64_t records, messages; /* replayed */
	uint64_t torn_bytes;        /* cut off at the tail of the log */
	uint64_t damaged;           /* records lost to damage elsewhere */
	char words[512];            /* what happened, to what, why; "" */
};

/*
 * Open or create the spool, take spool/lock, recover.
 * -EBUSY: another process owns the spool (words name it)
 * -EUCLEAN: the index cannot be read (words name `mtaq verify --rebuild`)
 * -EPROTO: a format version that this program does not know
 * or what a system call said.
 */
int queue_open(const struct queue_settings *set, uint32_t now_s,
	       struct queue **queue_r, struct queue_report *report_r);
/* No message may be open.  Does not need to be called: SIGKILL is as safe. */
void queue_close(struct queue **queue);

/* --- log role: records in ---------------------------------------------- */

struct queue_rcpt {
	struct span address; /* as it will be sent, without <> */
	struct span domain;  /* its queue: lower case, A-labels */
	struct span params;  /* opaque to the queue (NOTIFY, ORCPT) */
};

#define QUEUE_MSG_8BIT          0x01u /* content has octets over 127 */
#define QUEUE_MSG_DOTS          0x02u /* some line begins with a dot */
#define QUEUE_MSG_UTF8          0x04u /* an address needs SMTPUTF8 */
#define QUEUE_MSG_TRANSACTIONAL 0x08u

/* All borrowed for the call. */
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
};

/*
 * Stage a message.  Its id is the LSN of its first record.  When size is
 * more than the content given, the rest follows with queue_put_part(), and
 * the message exists once its last part is durable; parts of several
 * messages may be interleaved.
 * -EAGAIN: the group is full: queue_commit(), then again
 * -ENOSPC: below free_bytes_min (nothing was staged)
 * -EMSGSIZE, -EINVAL: more than the limits above allow
 */
int queue_put_message(struct queue *q, const struct queue_message *msg,
		      uint64_t *id_r);
int queue_put_part(struct queue *q, uint64_t id, const struct iovec *content,
		   int content_count);

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

/* Stage an outcome.  -EAGAIN as above; never -ENOSPC: room is reserved. */
int queue_put_out(struct queue *q, const struct queue_out *out);

/* Octets staged and not yet committed. */
size_t queue_staged(const struct queue *q);

/*
 * Write the staged group and make it durable: one pwritev, one fdatasync.
 * On success all records below *durable_r are durable.  On failure nothing
 * that was staged may be acknowledged; a failed write or sync seals the
 * segment, and the group is written again to a new one; the second failure
 * is returned, and from then on the queue only returns that error.
 */
int queue_commit(struct queue *q, uint64_t *durable_r);

/* --- reader role: messages and records out ------------------------------ */

struct queue_view { /* borrowed until queue_message_close() */
	uint64_t id;
	struct span tenant, campaign, sender, params;
	uint32_t rcpt_count, arrived_s, expires_s, flags;
	uint64_t size;
	const struct iovec *content; /* straight from the segments' pages */
	int content_count;
	const void *rcpt_table; /* for queue_view_rcpt() */
	void *pin;
};

/*
 * Open a message by its id and pin its segments.  Identity and CRC are
 * checked first.  -ENOENT: no such message.  -EUCLEAN: its octets are
 * damaged; it must not be sent.  -EIO: they cannot be read.
 */
int queue_message_open(struct queue *q, uint64_t id, struct queue_view *view_r);
void queue_message_close(struct queue *q, struct queue_view *view);
/* Recipient i < rcpt_count, in O(1). */
void queue_view_rcpt(const struct queue_view *view, uint32_t i,
		     struct queue_rcpt *rcpt_r);

enum queue_record_type { /* on disk */
	QUEUE_REC_MSG = 1,
	QUEUE_REC_PART,
	QUEUE_REC_OUT,
	QUEUE_REC_DEC,
	QUEUE_REC_MOVE,
	QUEUE_REC_BODY,
	QUEUE_REC_CKPT
};

struct queue_record {      /* borrowed until the next call with the cursor */
	uint64_t lsn, end; /* the next record is at end or behind it */
	enum queue_record_type type;
	struct queue_view msg; /* MSG: as above, unpinned, first part only */
	uint64_t submission_number;
	uint8_t submission[16];
	struct queue_out out; /* OUT; also the OUTs of decisions */
	struct span raw;      /* DEC and what is not decoded here */
};

/*
 * A cursor over durable records, for events.  Segments from the oldest
 * cursor on are not recycled.
 */
struct queue_cursor;
int queue_cursor_open(struct queue *q, uint64_t from_lsn,
		      struct queue_cursor **cursor_r);
void queue_cursor_close(struct queue_cursor **cursor);
/* 1: a record; 0: none yet; or a negative errno value. */
int queue_cursor_next(struct queue_cursor *cursor, struct queue_record *rec_r);
/* Everything below lsn is done with: remember it (with the next checkpoint),
 * and let go of its segments. */
void queue_cursor_done(struct queue_cursor *cursor, uint64_t lsn);

/* --- store role: tasks out, index kept ----------------------------------- */

/*
 * A task: the open recipients of one message in one queue at one slot.  They
 * are a subset of rcpts first..first+span-1 of the message; bit i of open[]
 * stands for recipient first + i, and bit 0 is set.
 */
#define QUEUE_OPEN_WORDS ((QUEUE_RCPTS_MAX + 63) / 64)
struct queue_task {
	uint64_t id;
	uint32_t queue; /* handle, for queue_handle_name() */
	uint32_t slot, expires_s;
	uint32_t flags; /* of the message */
	uint16_t first, span;
	uint8_t attempts, unsure;
	uint64_t open[QUEUE_OPEN_WORDS];
};

/* Take in what has become durable since the last call. */
int queue_store_apply(struct queue *q, uint32_t now_s);

/*
 * The next task that is due and not loaded, or new: it is loaded from then
 * on, that is, it is not given again until an OUT for it is applied or it is
 * handed back.  1: a task; 0: none now; or a negative errno value.
 */
int queue_store_next(struct queue *q, uint32_t now_s,
		     struct queue_task *task_r);
/* Hand back a task unattempted; it may be given again from due_s on. */
void queue_store_return(struct queue *q, uint64_t id, uint16_t first,
			uint32_t due_s);

/* Do a bounded piece of checkpoint, refill and freeing.  1: there is more to
 * do now; 0: not before queue_store_wake_s(). */
int queue_store_work(struct queue *q, uint32_t now_s);
uint32_t queue_store_wake_s(const struct queue *q);
/* A whole checkpoint now, whatever the age of the records (clean stop). */
int queue_store_checkpoint(struct queue *q, uint32_t now_s);

/* The words of a handle; borrowed for the queue's life. */
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
};
/* From the store's thread. */
void queue_store_counts(const struct queue *q, struct queue_counts *counts_r);

#endif
