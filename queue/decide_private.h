#ifndef MTAQ_QUEUE_DECIDE_PRIVATE_H
#define MTAQ_QUEUE_DECIDE_PRIVATE_H

/* Shared by decide.c (what is in force) and scan.c (whom it covers). */
#include "queue/decide.h"

struct decision {
	struct list link;
	uint64_t lsn;
	struct queue_decision is; /* borrows from packed and ids */
	char *packed;
	size_t packed_len;
	uint64_t *ids;
	bool indexed, written; /* in the index; in the open transaction */
	/* Where it lies; as the index has it; as the transaction has. */
	uint64_t place, place_in, place_put;
	uint64_t marked; /* tasks that wait with it */
	/* How far it has looked. */
	enum {
		SCAN_MEMORY,
		SCAN_INDEX,
		SCAN_DONE
	} scan;
	uint32_t at; /* id, when it has ids; else SCAN_MEMORY: handle */
	struct index_key key;
};

struct deciding {
	struct list rules, acts; /* pauses of queues; the others, by LSN */
	struct list sites;       /* pauses of sites, by LSN; none twice */
	struct list gone;        /* to be deleted from the index */
	struct list todo;        /* DECIDING tasks not handed out */
	uint64_t given;          /* handed out and not yet applied */
	uint64_t early_lsn;      /* up to here in force before it was met */
	struct queue_out out;    /* the one handed out last */
	struct queue_out_rcpt rcpts[QUEUE_RCPTS_MAX];
};

#define DECIDING_MAX 1000 /* handed out at once */

bool decision_covers(const struct decision *dec, const struct line *line);
void decision_filter(const struct decision *dec, struct queue_filter *filter_r);
/* What it makes of a task, loaded or not. */
int decision_take(struct queue_store *s, struct decision *dec, struct task *t);
/* Would it change a task in this slot? */
bool decision_applies(const struct decision *dec, uint32_t slot);
/* Look at a bounded piece.  1: there is more; 0: all was looked at. */
int decision_scan(struct queue *q, struct decision *dec);

#endif
