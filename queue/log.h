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
	uint64_t unlooked; /* (log) octets since segments_look() */
	int failed;        /* (log) 0, or what every call returns from now on */
};

/* The set is open; the tail is not known yet. */
int log_new(struct segments *set, struct queue_log **log_r);
void log_free(struct queue_log **log);
/* Recovery has found where the log ends; the next put begins a segment. */
void log_set_end(struct queue_log *log, uint64_t last_sequence,
		 uint64_t prev_sequence, uint64_t end);

#endif
