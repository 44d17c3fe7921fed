#ifndef MTAQ_QUEUE_IDEM_H
#define MTAQ_QUEUE_IDEM_H

/*
 * Submissions: the highest number accepted of each and its last 16 ids, so
 * that a client may repeat what was not answered.  Memory holds those that
 * changed since a checkpoint; a row of the index is, little-endian,
 *
 *	u64 highest, u32 used_s, u32 count, count times (u64 number, u64 id)
 */
#include "queue/store.h"

#define IDEM_KEEP_S (3u * 86400u)
/* Used never so long ago that it is forgotten: a spool that is adopted once
 * more, whenever that is, must add nothing. */
#define IDEM_FOR_GOOD_S (UINT32_MAX - IDEM_KEEP_S)

int idem_open(struct queue_store *s);
void idem_close(struct queue_store *s);
/* Of an MSG, or of a MOVE of one. */
struct idem_name idem_name_of(const struct queue_record *rec);
/* A message is whole; numbers of a submission come rising. */
int idem_note(struct queue_store *s, const struct idem_name *name, uint64_t id);
/* Write a piece of what changed, and drop a piece of what is 3 days old, in
 * the open transaction, or a new one.  1: more; 0: done. */
int idem_checkpoint(struct queue_store *s, uint32_t now_s);
void idem_settle(struct queue_store *s, bool committed);

#endif
