#ifndef MTAQ_TESTS_QFILE_H
#define MTAQ_TESTS_QFILE_H

/*
 * A disk that loses power and fails on request, over a real directory.
 *
 * Writes go to the files at once (so that mappings show them) and what was
 * there before is remembered until it is synced.  A crash takes un-synced
 * sectors of 512 octets back, each by itself: that drops, tears and reorders.
 * Files whose directory was not synced may vanish.  A page of a mapping that
 * was not asked for cannot be read.  One thread at a time.
 */
#include "queue/file.h"

#include <stdbool.h>

enum qfile_op { /* what can be made to fail */
	QFILE_PWRITEV,
	QFILE_SYNC,
	QFILE_POPULATE,
	QFILE_OPEN,
	QFILE_OPS
};

enum qfile_loss {
	QFILE_LOSE_ALL,   /* all that was not synced */
	QFILE_LOSE_NONE,  /* as after a kill */
	QFILE_LOSE_RANDOM /* each sector by itself */
};

struct qfile;
struct qfile *qfile_new(void);
void qfile_free(struct qfile **f);
const struct queue_file_ops *qfile_ops(struct qfile *f);

/* The nth call from now (1: the next) of op fails, and so do the `more`
 * calls behind it.  A failing write leaves half of it on the disk. */
void qfile_fail(struct qfile *f, enum qfile_op op, int nth, int more, int err);
/* All of them from the nth on, with EIO, until the crash. */
void qfile_stop(struct qfile *f, enum qfile_op op, int nth);
/* This page of this file cannot be read; NULL: all can. */
void qfile_spoil(struct qfile *f, const char *path, uint64_t offset);
/* What space() says; UINT64_MAX: the truth. */
void qfile_set_space(struct qfile *f, uint64_t bytes);
uint64_t qfile_calls(const struct qfile *f, enum qfile_op op);
/* The power goes.  Nothing may be open; nothing fails any more after it. */
void qfile_crash(struct qfile *f, enum qfile_loss loss, uint64_t seed);

#endif
