#ifndef MTAQ_QUEUE_RECOVER_H
#define MTAQ_QUEUE_RECOVER_H

/*
 * Reading the log record by record: where it ends, and what is damaged.
 */
#include "base/buf.h"
#include "mtaq/queue.h"
#include "queue/segment.h"

/* What was found, added up. */
struct log_check {
	uint64_t last_group; /* LSN where the last whole record's began */
	uint64_t types[QUEUE_REC_CKPT + 1]; /* records by type */
	uint64_t bytes;                     /* of whole records */
	uint64_t torn_bytes;
	uint64_t damaged, content_damaged; /* places; records */
	struct buf words;                  /* a line for each */
	/* The first read that failed: 0 or a negative errno value, and its
	 * segment.  It may succeed an hour later. */
	int failed;
	const struct segment *unread;
	bool stop; /* the caller's: go no further after it */
};

void log_check_init(struct log_check *c, size_t words_max);
void log_check_free(struct log_check *c);

/*
 * Check all live segments from the one that from_lsn lies in, beginning
 * there.  Where no successor's header says a segment's end, the end is set to
 * where its records end.  all: none since from_lsn may be missing.  Gives
 * the end of the last one, 0 when there is none.
 */
uint64_t log_check_run(struct segments *set, uint64_t from_lsn, bool all,
		       struct log_check *c);

#endif
