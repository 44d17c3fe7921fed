#ifndef MTAQ_INGRESS_REASON_H
#define MTAQ_INGRESS_REASON_H

/* Why messages are refused, for those who count. */
struct frame_answer;

enum ingress_reason {    /* names are in metrics */
	INGRESS_ADDRESS, /* a sender or recipient is no address */
	INGRESS_CONTENT, /* content or words that may not be sent */
	INGRESS_SIZE,    /* too large */
	INGRESS_SPOOL,   /* full or not writable now; the client tries again */
	INGRESS_REASON_COUNT
};
const char *ingress_reason_name(enum ingress_reason reason);

/* By the enhanced code of the answer (RFC 3463). */
enum ingress_reason ingress_reason_of(const struct frame_answer *refusal);

#endif
