#ifndef MTAQ_QUEUE_RECORD_H
#define MTAQ_QUEUE_RECORD_H

/*
 * One record of the log: head, envelope, content, zeros up to a multiple of
 * eight.  Layouts are in record.c and README.md.  All is little-endian and is
 * read where it lies.
 *
 * Two checks: crc covers head and envelope, content_crc (itself in the head)
 * the content.  Who follows the log reads envelopes alone and does not touch
 * the pages of the content; who hands a message out checks both.
 */
#include "mtaq/queue.h"

#define RECORD_HEAD           32u
#define RECORD_MAGIC          0xd15eu
#define RECORD_FLAG_ABANDONED 0x01u /* PART: the message never comes */
#define RECORD_MOVE_SIZE      24u   /* before its tasks */
/* Of adopted mail: where each recipient stands, on top of the limit. */
#define RECORD_ADOPTED_MAX (8u + 8u * QUEUE_RCPTS_MAX)
/* A MOVE holds the envelope of what it moves. */
#define RECORD_ENVELOPE_MAX                                                    \
	(QUEUE_ENVELOPE_MAX + RECORD_ADOPTED_MAX + RECORD_MOVE_SIZE +          \
	 QUEUE_MOVE_TASKS_MAX)

struct record_head {
	uint16_t magic;
	uint8_t type;
	uint8_t flags;
	uint32_t group; /* offset in the segment of its group's first record:
			 * all before that was durable when this was written */
	uint64_t lsn;
	uint32_t length;      /* head + envelope + content */
	uint32_t envelope;    /* octets */
	uint32_t content_crc; /* CRC32C */
	uint32_t crc;         /* of the 28 octets above and the envelope */
};

/* What a record of this length takes on disk. */
static inline uint64_t record_room(uint64_t length)
{
	return (length + 7) & ~(uint64_t)7;
}

static inline uint64_t record_end(const struct record_head *h)
{
	return h->lsn + record_room(h->length);
}

static inline uint32_t record_content_bytes(const struct record_head *h)
{
	return h->length - h->envelope - RECORD_HEAD;
}

/* --- writing: octets of the envelope, then the envelope ------------------ */

/* 0, -EINVAL or -EMSGSIZE.  content_r: octets of the content given. */
int record_message_size(const struct queue_message *msg, size_t *envelope_r,
			size_t *content_r);
void record_message_write(const struct queue_message *msg, char *p);
int record_out_size(const struct queue_out *out, size_t *envelope_r);
void record_out_write(const struct queue_out *out, char *p);
int record_decision_size(const struct queue_decision *dec, size_t *envelope_r);
void record_decision_write(const struct queue_decision *dec, char *p);
#define RECORD_PART_SIZE 16u
void record_part_write(uint64_t id, uint64_t offset, char *p);
#define RECORD_CKPT_SIZE 16u
void record_ckpt_write(const struct queue_ckpt *ckpt, char *p);
/* What comes before the envelope of what is moved. */
void record_move_write(const struct queue_move *move, char *p);

/* The tasks of a MOVE: who was open when it was asked for, or more.  Packed
 * one behind the other; open[] as in struct queue_task. */
struct record_task {
	uint32_t slot;
	uint16_t first;
	uint8_t attempts, unsure;
	uint64_t open[QUEUE_OPEN_WORDS];
};
#define RECORD_TASK_MAX (12u + QUEUE_OPEN_WORDS * 8u)
/* Gives the octets written, RECORD_TASK_MAX at most. */
size_t record_task_write(const struct record_task *task, char *p);
/* Take the next one off; false: there is none, or it makes no sense. */
bool record_task_next(struct span *tasks, struct record_task *task_r);

/* Octets of an iovec array, or -EINVAL (count < 0), -EMSGSIZE (> max). */
int record_content_size(const struct iovec *iov, int count, size_t max,
			size_t *bytes_r);

/* Write the head before the envelope at rec + RECORD_HEAD, with its crc. */
void record_seal(char *rec, struct record_head h);
/* The group moves: all LSNs >= from are larger by `by`. */
void record_move(char *rec, uint64_t from, uint64_t by, uint32_t group);

/* --- reading: p is aligned to 8 ------------------------------------------ */

/* Is there the head of a record with this LSN that fits into room octets?
 * Touches the head alone. */
bool record_head_read(const void *p, uint64_t room, uint64_t lsn,
		      struct record_head *h_r);
bool record_envelope_ok(const void *p, const struct record_head *h);
bool record_content_ok(const void *p, const struct record_head *h);
/*
 * Decode the envelope; spans point into it.  rcpts: room for QUEUE_RCPTS_MAX
 * entries that rec_r->out.rcpts may point to.  false: it makes no sense.
 */
bool record_decode(const void *p, const struct record_head *h,
		   struct queue_out_rcpt *rcpts, struct queue_record *rec_r);

#endif
