#ifndef MTAQ_QUEUE_DECISION_H
#define MTAQ_QUEUE_DECISION_H

/*
 * What a row of the table `decision` holds:
 *
 *	u8 version 1, u8 verb, u16 ids, u32 made_s,
 *	u8 length and octets of tenant, campaign, domain,
 *	ids times u64					all little-endian
 */
#include "base/buf.h"
#include "mtaq/queue.h"

/* Append; 0 or the buffer's error. */
int queue_decision_pack(const struct queue_decision *dec, struct buf *to);
/* Words borrow from raw; ids go to the caller's QUEUE_DECISION_IDS_MAX
 * places.  0, or -EUCLEAN: not what pack made. */
int queue_decision_parse(struct span raw, uint64_t *ids,
			 struct queue_decision *dec_r);

#endif
