#ifndef MTAQ_CMD_ADOPT_H
#define MTAQ_CMD_ADOPT_H

/*
 * mtaq adopt in pieces: frames come from a file (adopt_read.c) or from a
 * marked spool (export_stream.c), are checked, and become messages of the
 * spool here (adopt_take.c); adopt_tell.c says so.
 */
#include "cmd/export.h"

struct adopt_totals {
	uint64_t messages, recipients, octets; /* taken now */
	uint64_t known; /* messages that were taken before */
	uint64_t left;  /* that stayed at the other node */
	uint64_t pauses, pauses_known;
	int64_t shift_s;       /* times are moved by */
	struct buf words;      /* what the operator should know, in lines */
	struct buf site_words; /* names of paused sites, a line each */
};

/*
 * Takes frames.  Without a queue it checks them alone: order, counts, limits.
 * put: 0; -EBADMSG: no export looks so (words say what); -ENOSPC: below
 * min_free; or what the queue said.  What was put before an error is taken,
 * and is skipped when it comes again.
 */
struct adopt_take;
int adopt_take_new(struct queue *q, const struct clock *clock,
		   uint32_t segment_bytes, struct adopt_take **take_r);
int adopt_take_put(void *take, const struct transfer_frame *frame);
/* Make durable what was put; call it whatever put said. */
int adopt_take_end(struct adopt_take *take);
bool adopt_take_whole(const struct adopt_take *take); /* END was there */
const struct transfer_begin *adopt_take_begin(const struct adopt_take *take);
struct adopt_totals *adopt_take_totals(struct adopt_take *take);
const char *adopt_take_words(const struct adopt_take *take);
void adopt_take_free(struct adopt_take **take);

/* Say on standard output what was taken, or would be (dry). */
void adopt_tell(const char *from, struct adopt_take *take, bool json, bool dry);

/* Read a file's frames from its begin into the sink; fd is borrowed.  0;
 * -EBADMSG: cut off or damaged; or
 * what the file or the sink said; and words. */
int adopt_read(int fd, const struct export_sink *sink,
	       const struct export_progress *progress,
	       char words[EXPORT_WORDS]);

#endif
