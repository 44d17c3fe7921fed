#ifndef MTAQ_CMD_QUEUE_PICK_H
#define MTAQ_CMD_QUEUE_PICK_H

/*
 * Which messages a decision is for, when the daemon cannot tell by words: they
 * are listed, and the decision names them by domain and id, QUEUE_DECISION_IDS
 * at a time.
 */
#include "cmd/operator.h"

struct pick_place { /* in the queue, as the last page's "ok" said */
	bool more;
	uint64_t stage, queue, slot, id, next;
};
/* Ask for the page of the filter that begins here. */
void pick_ask(struct operator* o, const struct pick_place *at);
/* After the last row: where the next page begins.  False: an error. */
bool pick_place_next(struct operator* o, struct pick_place *at);

struct picked {
	uint64_t id;
	uint32_t domain; /* where its name stands in pick.names */
	uint16_t domain_len;
};

struct pick {
	struct picked *items;
	size_t count, size;
	struct buf names;
	uint64_t rcpts;
	uint64_t left_out; /* messages with recipients that were not named */
};
void pick_init(struct pick *p);
void pick_free(struct pick *p);
/* What the filter covers.  EX_OK, or told. */
int pick_filter(struct operator* o, struct pick *p);
/* The ids among o->words.  EX_DATAERR: some are not queued (told). */
int pick_ids(struct operator* o, struct pick *p);
int pick_decide(struct operator* o, struct pick *p, const char *verb);

#endif
