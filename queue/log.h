#ifndef MTAQ_QUEUE_LOG_H
#define MTAQ_QUEUE_LOG_H

/*
 * The log half's state: the group being staged, the active segment, durable,
 * and the cursors.  Fields marked (log) are touched by the log role alone.
 */
#include "queue/queue_private.h"
#include "queue/segment.h"

#define LOG_STAGE_BYTES (4u << 20)  /* heads, envelopes, small contents */
#define LOG_GROUP_BYTES (16u << 20) /* more than that gains nothing */
#define LOG_PIECES      1024u       /* of one pwritev: IOV_MAX */
#define LOG_HEADS       8192u       /* records of one group */
#define LOG_COPY_BYTES  1024u       /* content below is copied */
#define LOG_PAGE        4096u
#define LOG_LOOK_BYTES  (16u << 20) /* look at the disk's room this often */
#define LOG_EARLY_BYTES (64u << 10) /* worth a write before the commit */

/* Of a message or decision that is to be moved, beside its view. */
struct log_source {
	struct span raw;      /* its envelope */
	const uint32_t *crcs; /* of each piece of its content */
	uint32_t crc;         /* the only one */
};

/* A move that is being put, record by record. */
struct log_mover {
	bool busy, open;
	uint64_t id, place;     /* the LSN of its MOVE, once that is staged */
	struct queue_view view; /* of a decision: without a word */
	struct log_source from;
	int next; /* piece of the content */
	int why;  /* it failed: what is left is to say so */
};

struct queue_log {
	struct segments *set;
	int lock_fd;
	_Atomic uint64_t durable;
	_Atomic uint64_t cursors[QUEUE_CURSORS_MAX]; /* done below; MAX: none */
	_Atomic uint64_t cursor_floor; /* until the first one is opened */

	struct segment *active; /* (log) NULL: the next put begins one */
	int fd;                 /* (log) of the active one */
	struct segment *spare;  /* (log) taken, its header not yet written */
	uint64_t last_sequence; /* (log) the highest ever given */
	uint64_t prev_sequence, prev_end; /* (log) of the one before */

	uint64_t group, at; /* (log) LSNs: where it begins, the next record */
	char *stage;        /* (log) LOG_STAGE_BYTES */
	size_t stage_bytes;
	struct iovec pieces[LOG_PIECES], spent[LOG_PIECES + 1];
	int piece_count;
	uint32_t heads[LOG_HEADS]; /* where in stage each record's head is */
	uint32_t head_count;
	uint64_t written;  /* (log) LSN: of the group, what is before is in the
			     file, in whole pages; not durable */
	int early;         /* (log) what such a write said */
	uint64_t unlooked; /* (log) octets since segments_look() */
	int failed;        /* (log) 0, or what every call returns from now on */
	struct log_mover mover; /* (log) */
};

/* at: its id, its place, its type.  Errors as queue_message_open(); given
 * back with queue_message_close().  Not to be copied. */
int log_source_open(struct queue *q, const struct queue_move *at,
		    struct queue_view *view_r, struct log_source *source_r);

/* The set is open; the tail is not known yet. */
int log_new(struct segments *set, struct queue_log **log_r);
void log_free(struct queue_log **log);
/* Recovery has found where the log ends; the next put begins a segment. */
void log_set_end(struct queue_log *log, uint64_t last_sequence,
		 uint64_t prev_sequence, uint64_t end);

/* --- staging (log role), for log.c and move.c ------------------------------ */

enum log_room {    /* what a record may use up */
	ROOM_MAIL, /* new mail: neither the reserve nor the last of the disk */
	ROOM_MOVE, /* of the reserve all but one, and not the last of the disk */
	ROOM_OUT   /* what is owed to mail taken before */
};

struct log_draft { /* one record while it is put */
	char *rec; /* its head, in the stage */
	uint32_t envelope, content_bytes, crc;
};

/* Begin a record: the caller writes its envelope behind the head at d_r->rec,
 * then content as it is (lent) or copied, then ends it and gets its LSN.
 * Errors as queue_put_message(). */
int log_draft_begin(struct queue *q, enum log_room room, size_t envelope,
		    size_t content, struct log_draft *d_r);
void log_draft_content(struct queue_log *log, struct log_draft *d,
		       const struct iovec *iov, int count);
void log_draft_copy(struct queue_log *log, struct log_draft *d, const void *p,
		    size_t len);
uint64_t log_draft_end(struct queue_log *log, const struct log_draft *d,
		       enum queue_record_type type, uint8_t flags);
/* It never was; nothing of its content was lent. */
void log_draft_drop(struct queue_log *log, const struct log_draft *d);

/* move.c: give back what a move that is not at its end holds open. */
void log_mover_drop(struct queue_log *log);

#endif
