#ifndef MTAQ_INGRESS_SERVER_PRIVATE_H
#define MTAQ_INGRESS_SERVER_PRIVATE_H

/* A connection's own: server.c (octets in, messages out), result.c (results
 * in, answers; what may be asked of it). */
#include "base/list.h"
#include "ingress/intake.h"
#include "ingress/large.h"
#include "ingress/server.h"

enum input {
	IN_HELLO,
	IN_HEAD,
	IN_SIZE, /* a large message's first octets: how large? */
	IN_LINE, /* it waits for its place; nothing is read */
	IN_PAYLOAD,
	IN_OVER
};

struct slot {             /* the result of one message */
	uint32_t waiting; /* shares that are out or not made yet */
	struct frame_answer answer;
	char *ids; /* 8 octets a share */
};

struct job { /* one frame */
	struct list link;
	struct ingress_conn *conn;
	struct frame_head head;
	char *payload;
	char *large; /* the content of a large message, or NULL */
	uint64_t large_size, large_have; /* 0 when it is no large message */
	struct span rest;                /* of the payload, not looked at yet */
	struct frame_message m;
	uint16_t parsed; /* messages looked at */
	struct slot *slots;
	uint32_t out; /* items */
	size_t bytes;
	struct arena arena;
	struct large_place place; /* of a large message */
	/* The message whose shares are being given out. */
	struct intake_message at;
	uint32_t shares, next;
};

struct item {
	struct ingress_item pub;
	struct job *job;
	uint16_t place;
	uint32_t share;
	uint32_t now_s;
};

struct ingress_conn {
	const struct settings *set;
	struct ingress_seen *seen;
	struct ingress_large *large;
	struct large_place place; /* wanted, in IN_LINE */
	uint64_t fed, fed_at_tick;
	unsigned idle_ticks;
	struct intake *intake;
	enum input input;
	char small[FRAME_HELLO_SIZE]; /* hello or head */
	char *to;                     /* where octets go */
	size_t have, want;
	uint32_t crc; /* of the payload that has come */
	struct frame_hello hello;
	struct frame_head head;
	bool greeted, held, may_repeat, ended;
	struct list jobs;
	struct job *at;      /* looked at last, or NULL */
	struct job *filling; /* its payload or its parts are coming */
	char *part;          /* of a message that is too large: dropped */
	uint32_t last_number;
	uint32_t more; /* the last whole frame, when it said so; else 0 */
	/* Frames below are refused for now: see ingress_refused(). */
	uint64_t closed_until;
	struct frame_answer closed_why; /* words are literals */
	uint32_t jobs_count, out;
	size_t bytes;
	struct buf answers;
	int error; /* sysexits code of a breach, 0: none */
	bool error_said;
	uint64_t refusals;
	_Atomic uint64_t *tally; /* by reason; NULL: nobody counts */
	char words[FRAME_WORDS_MAX + 1];
};

/* The conversation is over; said when all jobs before have been answered. */
void ingress_breach(struct ingress_conn *c, int code, const char *words);
/* Answer the jobs in front that are done; when the conversation broke, let go
 * of those that never will be. */
void ingress_settle(struct ingress_conn *c);
void ingress_slot_refuse(struct ingress_conn *c, struct slot *s,
			 const struct frame_answer *why);
void ingress_slot_accept(struct slot *s, uint32_t share, uint64_t id);

#endif
