#ifndef MTAQ_DNS_PRIVATE_H
#define MTAQ_DNS_PRIVATE_H

/*
 * What the files of src/dns share.
 *
 *	dns.c       entries: the cache, who waits, what is answered
 *	question.c  one domain being asked
 *	channel.c   queries on their way, sockets, c-ares
 */
#include "dns/plan.h"

#include "base/list.h"
#include "base/map.h"

#include <ares.h>

/* A domain: known, or being asked, or both. */
struct entry {
	struct list lru;     /* in dns->lru while not being asked */
	struct list waiters; /* struct ask */
	struct question *question;
	struct mxset *set; /* the last answer, or NULL */
	uint64_t hash;
	uint64_t stale_until_ms; /* set may be given again until then */
	unsigned fails;          /* temporary failures in a row */
	char name[];             /* lower case, without the last dot */
};

/* One dns_ask(), waiting or answered. */
struct ask {
	struct list link;
	struct dns_answer answer;
};

/* One query of a question. */
struct query {
	struct list link; /* in dns->waiting until it is sent */
	struct dns *dns;
	struct question *question;
	enum dns_type type;
	uint16_t target;
	uint64_t sent_ms;
};

struct dns {
	struct plan_self self;
	struct mx_addr *own;
	uint64_t seed, map_seed;
	bool no_ipv6, trusted; /* trusted: every server is on this machine */
	bool dying;
	unsigned timeout_ms, tries, outstanding_max, cache_max;
	uint64_t now_ms, tick_ms;
	struct map cache;
	struct list lru, ready;  /* ready: struct ask */
	struct mxset *no_memory; /* what is answered when memory is short */
	/* channel.c */
	ares_channel channel;
	bool channel_up;
	bool sending; /* within send_waiting() */
	size_t servers;
	int ep;
	unsigned in_flight;
	struct list waiting;
	unsigned char random[256];
	size_t random_at;
	struct dns_counters counters;
	struct histo query_ms;
};

/* channel.c */
int channel_open(struct dns *dns, const struct dns_settings *settings);
void channel_close(struct dns *dns);
/* Send it now or later; it is channel's until question_answer(). */
void channel_send(struct dns *dns, struct query *query);

/* question.c: 0 or -ENOMEM.  Ends in entry_finish(), perhaps at once. */
int question_begin(struct dns *dns, struct entry *entry);
/* The name that a query asks for. */
const char *question_name(const struct query *query);
/* What came of a query: a message, or p NULL and why. */
void question_answer(struct query *query, const unsigned char *p, size_t len,
		     const char *why);

/* dns.c: the question is over; set is now the entry's, NULL: no memory. */
void entry_finish(struct dns *dns, struct entry *entry, struct mxset *set);

#endif
