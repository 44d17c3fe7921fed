#ifndef MTAQ_QUEUE_STORE_H
#define MTAQ_QUEUE_STORE_H

/*
 * The store half's own struct, and what its files ask of each other:
 *
 *	store.c       opening, replay, following the log, tasks out
 *	refill.c      rows of the index become tasks; expiry
 *	checkpoint.c  what the index is told; freeing of segments
 *	idem.c        submissions
 *	decide.c      operator's decisions
 *	compact.c     segments emptied by moving what lives in them
 *	moved.c       what was moved
 *	list.c        looking
 */
#include "queue/delta.h"
#include "queue/queue_private.h"

#define STORE_MARKS     64
#define STORE_RUN_ROWS  16384 /* of the index in one transaction */
#define STORE_STEP_ROWS 512   /* a call */

/* Where the log stood when: what is younger than a mark is left out. */
struct store_mark {
	uint64_t lsn;
	uint32_t at_s;
};

/* What a submission is to remember of a message. */
struct idem_name {
	uint8_t submission[16];
	uint64_t number;
	uint32_t used_s;
};

struct partial { /* a message whose parts are coming */
	struct list link;
	uint64_t id, size, got;
	uint64_t segment; /* of its last part so far */
	struct idem_name name;
	struct list tasks;
	/* Of one that is being moved: its id, its record's head (left free)
	 * and envelope, the octets of its records so far. */
	uint64_t moved, bytes;
	char *record; /* NULL: it is a new message */
	uint32_t envelope_bytes;
};

enum checkpoint_stage {
	CHECKPOINT_NONE,
	CHECKPOINT_TAKE,   /* gather what is dirty and old enough */
	CHECKPOINT_MOVED,  /* where messages lie, for who has no row */
	CHECKPOINT_PUT,    /* rows in where none is */
	CHECKPOINT_SHRINK, /* rows over rows that held more recipients */
	CHECKPOINT_DELETE, /* tombs out: after every row is in */
	CHECKPOINT_SUBMISSIONS,
	CHECKPOINT_DECISIONS,
	CHECKPOINT_WHOLE /* checkpoint_lsn moves */
};

struct checkpoint {
	enum checkpoint_stage stage;
	uint64_t lsn;            /* will cover what is below */
	bool all;                /* whatever the age */
	size_t limit, heirs;     /* SHRINK: what came behind limit goes first */
	size_t at, from, sorted; /* next; first of the transaction; run's end */
	size_t tasks, tombs;     /* taken by TAKE, in order */
	/* PUT: the next tomb, the first of the transaction; the queue that
	 * was put to last. */
	size_t tomb_at, tomb_from;
	uint32_t queue;
	uint32_t began_s, not_before_s;
	size_t run_rows, step_rows; /* a transaction, a call */
	uint64_t done_cursor;       /* event cursor as remembered last */
	uint64_t whole;             /* checkpoints made */
};

struct idem;     /* idem.c */
struct deciding; /* decide.c */
struct moved;    /* moved.c */
struct compact;  /* compact.c */
struct rcpt_lines;

struct queue_store {
	struct delta delta;
	struct index *index;
	struct queue_walk *walk;
	struct list partials;
	struct store_mark marks[STORE_MARKS];
	uint32_t mark_first, mark_count;
	struct checkpoint checkpoint;
	struct idem *idem;
	struct deciding *deciding;
	struct moved *moved;
	struct compact *compact;
	/* The sweep for queues that memory does not know: the next number to
	 * look at, 0: at rest; and the earliest slot that was left outside. */
	uint32_t sweep, sweep_s, sweep_seen, outside_slot, lines_max;
	bool keep_lines; /* some more for a moment: queue_list() names them */
	/* Expired rows: where the search stands, when it begins again. */
	bool expiring;
	uint32_t expire_hour, expire_s;
	struct index_key expire_at;
	/* Segments to free: where the search stands. */
	bool freeing, freeing_busy;
	uint64_t free_at;
	uint32_t free_s, prepare_s;
	uint32_t applied_s; /* when a record was last taken in */
	int failed;         /* memory is not to be relied on any more */
	/* The index is made anew (rebuild.c): every task stands in slot HELD,
	 * and outcomes find it there whatever slot they name. */
	bool rebuilding;
	bool opening; /* the log is being replayed */
	struct index_row rows[128];
};

/* store.c */
/* Take in one record. */
int store_apply(struct queue *q, const struct queue_record *rec);
/* The messages whose parts did not all come never will be; so many. */
uint64_t store_drop_partials(struct queue_store *s);
/* Queues without tasks leave memory until there is room for one more. */
void store_lines_drop(struct queue_store *s);
int store_line(struct queue_store *s, struct span words, struct line **line_r);
/* As store_line(), by a number that a row has. */
int store_line_numbered(struct queue_store *s, uint32_t number,
			struct line **line_r);
/* The task that holds a recipient, from the index if need be; -ENOENT. */
int store_find(struct queue_store *s, struct line *line,
	       const struct index_key *key, uint16_t rcpt,
	       struct task **task_r);
/* A row becomes an IDLE task unless the delta knows better.  1: it did; 0. */
int store_take_row(struct queue_store *s, struct line *line,
		   const struct index_row *row, struct task **task_r);
/* A task that is not loaded any more: idle, or to be decided. */
int store_unload(struct queue_store *s, struct task *t);
/* A task came to a new key.  Behind a partial checkpoint: is there a row? */
int store_entered(struct queue_store *s, struct task *t);
/* Tasks that were made of a new message (see store_make_task()): they are
 * there from now on. */
int store_arrive(struct queue_store *s, struct list *tasks, uint16_t segments);
/* A new task of the recipients of row, all of one queue, in the list. */
int store_make_task(struct rcpt_lines *w, const struct index_row *row,
		    struct list *tasks);
/* A decision of the log, while the index is made anew: unless it is of those
 * that are not done again. */
int store_decision(struct queue_store *s, uint64_t lsn,
		   const struct queue_decision *dec);
/* The rows of a message in one queue become tasks. */
int store_bring_rows(struct queue_store *s, struct line *line, uint64_t id);
/* All open tasks of a message that the index has come into memory. */
int store_message(struct queue *q, const struct queue_view *msg);
/* The line of a recipient; NULL in *line_r: no such queue. */
int store_rcpt_line(struct queue *q, const struct queue_view *msg, uint32_t i,
		    struct line **line_r);
/* queue_message_open() wherever it lies. */
int store_message_open(struct queue *q, uint64_t id, struct queue_view *view_r);
void store_fill(const struct task *t, struct queue_task *task_r);

/* refill.c */
int refill_line(struct queue_store *s, struct line *line, uint32_t now_s);
int refill_work(struct queue_store *s, uint32_t now_s, uint64_t tasks_max);
uint32_t refill_wake_s(const struct queue_store *s);

/* checkpoint.c */
int checkpoint_work(struct queue *q, uint32_t now_s);
uint32_t checkpoint_wake_s(const struct queue *q);
void checkpoint_free(struct queue_store *s);
int freeing_work(struct queue *q, uint32_t now_s);

/* moved.c */
int moved_open(struct queue_store *s);
void moved_close(struct queue_store *s);
/* A MOVE was read; the last part of one was. */
int moved_apply(struct queue *q, const struct queue_record *rec);
int moved_whole(struct queue *q, const struct partial *p);
/* Write a piece of what changed.  1: more; 0: done. */
int moved_checkpoint(struct queue_store *s);
void moved_settle(struct queue_store *s, bool committed);
/* Nothing lives in these LSNs: forget who moved there, a piece of it.  1:
 * there is more; 0. */
int moved_forget(struct queue_store *s, uint64_t first, uint64_t end);

/* compact.c */
int compact_open(struct queue_store *s);
void compact_close(struct queue_store *s);
/* A checkpoint is whole: there may be something to gain. */
void compact_look(struct queue_store *s);
int compact_work(struct queue *q, uint32_t now_s);
uint32_t compact_wake_s(const struct queue_store *s);
/* A segment was freed. */
void compact_freed(struct queue_store *s, uint64_t sequence);

#endif
