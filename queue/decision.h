#ifndef MTAQ_QUEUE_DECISION_H
#define MTAQ_QUEUE_DECISION_H

/*
 * What a row of the table `decision` holds:
 *
 *	u8 version 1, u8 verb, u16 ids, u32 made_s,
 *	u8 length and octets of tenant, campaign, domain (or site),
 *	ids times u64					all little-endian
 */
#include "base/buf.h"
#include "mtaq/queue.h"

/* Is it about a site?  Then that stands in the place of the domain, here and
 * in the log. */
static inline bool queue_decision_of_site(const struct queue_decision *dec)
{
	return dec->verb == QUEUE_VERB_SITE_PAUSE ||
	       dec->verb == QUEUE_VERB_SITE_RESUME;
}

static inline struct span queue_decision_place(const struct queue_decision *dec)
{
	return queue_decision_of_site(dec) ? dec->site : dec->domain;
}

/* verb, tenant, campaign and id_count are there: take the last word.  False:
 * they do not go together. */
bool queue_decision_set_place(struct queue_decision *dec, struct span place);
/* Does all of it go together? */
bool queue_decision_fits(const struct queue_decision *dec);
/* Append; 0 or the buffer's error. */
int queue_decision_pack(const struct queue_decision *dec, struct buf *to);
/* Words borrow from raw; ids go to the caller's QUEUE_DECISION_IDS_MAX
 * places.  0, or -EUCLEAN: not what pack made. */
int queue_decision_parse(struct span raw, uint64_t *ids,
			 struct queue_decision *dec_r);

#endif
