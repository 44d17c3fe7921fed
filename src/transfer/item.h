#ifndef MTAQ_TRANSFER_ITEM_H
#define MTAQ_TRANSFER_ITEM_H

/*
 * What the frames of an export hold.  The functions _put() append a payload to
 * a buffer (which keeps its failure); _get() read one: 0, or -EINVAL for what
 * no _put() wrote or passes the limits of the queue.  Spans borrow.
 */
#include "base/buf.h"
#include "mtaq/queue.h"

struct transfer_begin {
	uint8_t uuid[16];  /* of the spool's mark: mtaq/export.h */
	uint64_t wall_s;   /* when it was written, UTC ... */
	uint32_t mail_s;   /* ... and mail time then: slots count in it */
	uint64_t messages; /* that will follow or be left behind */
	struct span hostname, spool, version; /* for people */
};
void transfer_begin_put(const struct transfer_begin *b, struct buf *to);
int transfer_begin_get(struct span from, struct transfer_begin *b_r);

/* Of a decision in force only pauses: .verb, .made_s and the words. */
void transfer_decision_put(const struct queue_decision *d, struct buf *to);
int transfer_decision_get(struct span from, struct queue_decision *d_r);

struct transfer_rcpt {
	struct queue_rcpt rcpt;
	struct queue_stand stand;
};

/* A message with its open recipients; its content follows in CONTENT frames
 * until there is all of `size`. */
struct transfer_message {
	uint64_t id, size;
	uint32_t arrived_s, expires_s, flags, rcpt_count;
	struct span tenant, campaign, sender, params;
	struct span rcpts; /* for transfer_rcpt_get() */
};
/* Then transfer_rcpt_put() rcpt_count times, to the same buffer. */
void transfer_message_put(const struct transfer_message *m, struct buf *to);
void transfer_rcpt_put(const struct transfer_rcpt *r, struct buf *to);
/* All recipients are checked too. */
int transfer_message_get(struct span from, struct transfer_message *m_r);
/* Take the next recipient off m->rcpts of a message that was read. */
void transfer_rcpt_get(struct span *rcpts, struct transfer_rcpt *r_r);

struct transfer_left { /* a message that could not be read */
	uint64_t id;
	uint32_t rcpt_count;
	struct span why;
};
void transfer_left_put(const struct transfer_left *l, struct buf *to);
int transfer_left_get(struct span from, struct transfer_left *l_r);

struct transfer_end { /* the counts say that nothing is missing */
	uint64_t messages, recipients, octets, left;
};
void transfer_end_put(const struct transfer_end *e, struct buf *to);
int transfer_end_get(struct span from, struct transfer_end *e_r);

/* Could the content of a message end and begin so?  It is sent as it lies
 * there: CRLF at its end, no CR or LF alone, no NUL.  *last is the octet
 * before (0 at first), and is moved on. */
bool transfer_content_ok(struct span content, char *last);

#endif
