#ifndef MTAQ_EXPORT_H
#define MTAQ_EXPORT_H

/*
 * Moving a spool's mail to another node.
 *
 * A spool that is exported bears a mark, the file DIR/exported, durable before
 * the first octet leaves it.  While it is there nobody delivers from the spool
 * or takes mail into it: queue_open() refuses it unless asked not to,
 * queue_rebuild_begin() always.  So no mail is ever live at two nodes.
 *
 * The mark's uuid is the submission id under which its mail is adopted
 * (struct queue_message .stands).  It lives as long as the mark: taken off and
 * set again, it is another one, since the spool's mail may be other mail then.
 *
 * As queue.h: 0 or a negative errno value, *_s are mail time.
 */
#include "mtaq/queue.h"

#define QUEUE_MARK_NAME "exported"

struct queue_mark {
	uint8_t uuid[16];
	uint64_t made_s;     /* wall clock */
	uint64_t whole_s;    /* a whole export was written first; 0: none was */
	uint64_t adopting_s; /* adoption from the folder began; 0: never */
};

/* Is there a mark?  From anywhere, whoever owns the spool.  1, 0, or a
 * negative errno value (then it must be taken for one). */
int queue_marked(const char *dir);
/* -ENOENT: there is none; -EUCLEAN: it cannot be made out. */
int queue_mark_read(const char *dir, struct queue_mark *mark_r);
/* Durable when it returns; whole or as it was before, whatever crashes.  Only
 * for who has the spool open; so is taking it off. */
int queue_mark_write(const char *dir, const struct queue_mark *mark);
int queue_mark_remove(const char *dir);

/*
 * All that is open in a spool, message by message, ids rising.  Nothing may be
 * put, given or applied meanwhile.  Holds 8 octets a task in memory, and those
 * of QUEUE_EXPORT_TASKS tasks whole.
 */
struct queue_export;
struct queue_exported {        /* borrowed until the next call */
	uint64_t id, place;    /* for queue_message_open_at() */
	uint32_t count;        /* open recipients */
	const uint16_t *rcpts; /* which, rising */
	const struct queue_stand *stands;
	uint32_t expires_s;
};
#define QUEUE_EXPORT_TASKS 500000u

/* tasks_max: of QUEUE_EXPORT_TASKS; tests take less, at least
 * QUEUE_RCPTS_MAX.  -ENOMEM, or what reading the index said. */
int queue_export_begin(struct queue *q, size_t tasks_max,
		       struct queue_export **export_r);
/* Messages in all. */
uint64_t queue_export_count(const struct queue_export *export);
/* 1: a message; 0: there are no more; or a negative errno value. */
int queue_export_next(struct queue_export *export,
		      struct queue_exported *item_r);
void queue_export_end(struct queue_export **export);

#endif
