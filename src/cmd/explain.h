#ifndef MTAQ_CMD_EXPLAIN_H
#define MTAQ_CMD_EXPLAIN_H

/*
 * What the files of `mtaq explain` share.
 *
 *	explain.c       options; the daemon, the resolver, the event log asked
 *	explain_why.c   the answer: why mail waits, in one sentence
 *	explain_tell.c  all of it for people; explain_json.c for programs
 */
#include "cmd/history.h"
#include "cmd/human.h"
#include "cmd/kept.h"
#include "cmd/operator.h"
#include "cmd/probe.h"

#define EXPLAIN_DOMAINS_MAX 5u /* of one message, that are looked at */

struct explain_domain {
	char name[256];
	struct kept rows; /* route, mx, site, host, sum: of the daemon */
	struct probe_found found; /* asked of the resolver; set NULL: not */
	/* Of what is queued for it: recipients, by state. */
	uint64_t waiting, held, deferred;
	bool due; /* some wait for their next attempt: the first in ... */
	uint64_t due_in_s;
	const char *reason; /* stable: "dead", "window", ... */
	char answer[700];
};

struct explain {
	struct operator* o;
	bool daemon;      /* it answered */
	struct kept rows; /* status, pause; of an id message, row, flight */
	struct explain_domain domains[EXPLAIN_DOMAINS_MAX];
	uint32_t domain_count;
	/* An id. */
	char id[16]; /* "": a domain was asked for */
	struct history history;
	const char *reason;
	char answer[1000];
};

/* Fill in reason and answer of a domain. */
void explain_why_domain(const struct explain *x, struct explain_domain *d);
/* ... and of the message, whose domains have theirs. */
void explain_why_message(struct explain *x);
/* What decides when a recipient is tried again; row: its state in the queue,
 * last: its last event or NULL.  "" when nothing is known. */
void explain_rule(const struct explain *x, const struct admin_record *row,
		  const struct history_rcpt *last, char *words, size_t size);
/* "14:02:10 (in 5m 00s)"; a day ahead with its date. */
void explain_when(uint64_t in_s, char *words, size_t size);

void explain_tell(struct explain *x);
void explain_json(struct explain *x);

#endif
