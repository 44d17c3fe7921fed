#ifndef MTAQ_QUEUE_DECISION_H
#define MTAQ_QUEUE_DECISION_H

/*
 * What a DEC record holds, and a row of the table `decision`:
 *
 *	u8 version 1, u8 verb, u16 picks, u32 at_s,
 *	u8 length and octets of tenant, campaign, domain,
 *	picks times (u64 id, u16 rcpt)			all little-endian
 */
#include "base/buf.h"
#include "mtaq/queue.h"

/* 0, or -EINVAL: no such verb, too many picks, words too long, or picks with
 * a verb that makes a rule. */
int queue_decision_check(const struct queue_decision *dec);
/* Append; 0 or the buffer's error. */
int queue_decision_pack(const struct queue_decision *dec, struct buf *to);
/* Words borrow from raw; picks go to the caller's QUEUE_PICKS_MAX places.
 * 0, or -EPROTO: not what pack made. */
int queue_decision_parse(struct span raw, struct queue_pick *picks,
			 struct queue_decision *dec_r);

#endif
