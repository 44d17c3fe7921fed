#ifndef MTAQ_QUEUE_INDEX_PRIVATE_H
#define MTAQ_QUEUE_INDEX_PRIVATE_H

/* Shared by index.c (opening, transactions, rows) and table.c (the rest). */
#include "base/bug.h"
#include "base/map.h"
#include "queue/index.h"

#include <lmdb.h>
#include <pthread.h>

enum index_table {
	TABLE_META,
	TABLE_TASK,
	TABLE_QUEUE,
	TABLE_QNAME,
	TABLE_SEGSTAT,
	TABLE_EXPIRE,
	TABLE_IDEM,
	TABLE_DECISION,
	TABLE_MOVED,
	TABLE_PLACE,
	TABLES
};

/* A count that a transaction changes; written when it commits. */
struct index_change {
	enum index_table table;
	uint64_t key;
	int64_t open, octets;
};

struct index {
	MDB_env *env;
	MDB_dbi table[TABLES];
	MDB_txn *read; /* of the last commit; reset unless reading */
	bool reading;
	MDB_txn *write;   /* NULL: none */
	pthread_t writer; /* it began write, and alone may end it */
	/* Of `write`, on the task rows; a row beside the last one is found
	 * without a walk from the root.  NULL: not opened yet. */
	MDB_cursor *at;
	char *path;
	uint64_t bytes_max;
	uint32_t segment_bytes;
	bool make;                    /* a new one, where there is none */
	struct index_meta meta, next; /* committed; of the transaction */
	struct map changes;
};

#define INDEX_KEY_BYTES   18
#define INDEX_VALUE_BYTES (24 + QUEUE_OPEN_WORDS * 8)

int index_error(int rc); /* what LMDB says, as a negative errno value */
/* A read transaction of what is committed; it ends with the next commit, and
 * what it shows is to be copied. */
int index_read(struct index *x, MDB_txn **txn_r);
/* Note that a count is to change. */
int index_change(struct index *x, struct index_change by);
int index_flush(struct index *x); /* write the changed counts */

#endif
