#ifndef MTAQ_TESTS_QRECOVER_RIG_H
#define MTAQ_TESTS_QRECOVER_RIG_H

/* A log in a folder of its own, on a disk that loses things when told to. */
#include "qfile.h"
#include "qhelp.h"
#include "queue/queue_private.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define SEG   (128u << 10)
#define FIRST 4096u /* offset of the first record */

static char *dir;
static struct qfile *disk;
static struct queue *q;
static struct queue_report report;

static inline void open_queue(void)
{
	struct queue_settings set = {
		.dir = dir,
		.file = qfile_ops(disk),
		.segment_bytes = SEG,
		.segments_ahead = 1,
		.free_bytes_min = 1 << 20,
	};

	ck_assert_int_eq(queue_open(&set, 1, &q, &report), 0);
}

static inline void reopen(enum qfile_loss loss, uint64_t seed)
{
	queue_close(&q);
	qfile_crash(disk, loss, seed);
	open_queue();
}

static inline void setup(void)
{
	qdouble_checkpoint_lsn = 0;
	qdouble_cursor_lsn = UINT64_MAX;
	dir = qhelp_folder();
	disk = qfile_new();
	open_queue();
}

static inline void teardown(void)
{
	if (q != NULL)
		queue_close(&q);
	qfile_free(&disk);
	qhelp_remove(dir);
	free(dir);
}

static inline uint64_t add(uint64_t n, size_t bytes)
{
	uint64_t id;

	ck_assert_int_eq(qhelp_add(q, n, bytes, &id), 0);
	return id;
}

#endif
