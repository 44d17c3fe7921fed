#ifndef MTAQ_INGRESS_INTAKE_H
#define MTAQ_INGRESS_INTAKE_H

/*
 * One submitted message made ready for the queue, or refused: addresses
 * checked, recipients sorted by domain and each kept once, the canonical form
 * made (docs/SMTP.md 22, 26).
 */
#include "ingress/arena.h"
#include "ingress/frame.h"
#include "mtaq/queue.h"
#include "mtaq/settings.h"

struct intake; /* what stays the same from message to message */

struct intake *intake_new(const struct settings *set, uint32_t uid);
void intake_free(struct intake **in);

struct intake_place { /* where and when the message came */
	const uint8_t *submission;
	uint32_t frame;
	uint16_t place;
	uint32_t now_s; /* mail time */
	uint64_t utc_s;
};

struct intake_message {
	/* Of all recipients; to be put in shares of QUEUE_RCPTS_MAX. */
	struct queue_message msg;
	struct frame_answer refusal; /* when refused; words in the arena */
};

/* 0; -EBADMSG: refused, see refusal; -ENOMEM.  The result lies in the arena
 * and in m's octets. */
int intake_make(struct intake *in, struct arena *arena,
		const struct frame_message *m, const struct intake_place *at,
		struct intake_message *out_r);

#endif
