#ifndef MTAQ_DNS_DNS_H
#define MTAQ_DNS_DNS_H

/*
 * dns/dns.h - where a domain's mail goes (SMTP.md 7)
 *
 *	dns_ask(domain, tag) ──► cache ──► MX ──► A + AAAA of each target
 *	dns_answer() ◄── {tag, struct mxset *} ◄──┘  (or of the domain itself)
 *
 * A resolver without a thread of its own: the caller waits on dns_fd() and
 * until dns_deadline(), then calls dns_process() and pulls answers.  Each
 * dns_ask() that returned 0 gives exactly one answer; answers from the cache
 * are there at once.  Questions for one domain that meet are asked once.
 *
 * What an answer's status means is said in base/mxset.h.  Its expires_ms:
 * positive answers by the smallest TTL in them, clamped to 30 s - 24 h;
 * negative ones by the SOA, at most 15 min; MX_TEMPFAIL 5 - 30 s, doubling.
 * When a refresh fails for now, an MX_OK that is expired for at most an hour
 * is given again, good for another 30 s.
 *
 * now_ms is monotonic.  One thread at a time.
 */
#include "base/mxset.h"
#include "base/tally.h"

#define DNS_SERVERS_MAX 8
#define DNS_DOMAIN_MAX  253 /* octets, without the last dot */

struct dns;

/* Copied by dns_new().  0 means the default in brackets. */
struct dns_settings {
	const char *const
		*servers;          /* "127.0.0.1:53", "[::1]:53", "192.0.2.1" */
	size_t server_count;       /* 1 to DNS_SERVERS_MAX */
	struct span hostname;      /* our own name: an MX that is a loop */
	const struct mx_addr *own; /* our own addresses; port 0: any port */
	size_t own_count;
	const char *const *own_ips; /* the same in words; any port */
	size_t own_ip_count;
	uint16_t smtp_port;       /* put into every address [25] */
	bool no_ipv6;             /* ask for no AAAA */
	unsigned timeout_ms;      /* the first try of a query [3000] */
	unsigned tries;           /* a server [3] */
	unsigned outstanding_max; /* questions being asked [1000] */
	unsigned cache_max;       /* domains remembered [100000] */
	uint64_t seed;            /* of the shuffle [0] */
};

struct dns_answer {
	uint64_t tag;
	struct mxset *set; /* one reference, now the caller's; never NULL */
};

struct dns_counters {
	uint64_t asked, hits, joined, stale; /* joined: single flight */
	uint64_t queries, timeouts;          /* sent; tries without an answer */
	uint64_t failures; /* messages that say SERVFAIL or make no sense */
	uint64_t outstanding, cached; /* now */
};

/* 0, -EINVAL (a server or own_ips[] that is no address, no server), -ENOMEM. */
int dns_new(const struct dns_settings *settings, struct dns **dns_r);
/* Questions without an answer are forgotten.  Clears *dns. */
void dns_free(struct dns **dns);

/* 0; -EAGAIN while outstanding_max questions are being asked: pull answers
 * and come again; -EINVAL: no domain name at all (empty, a label over 63
 * octets, over DNS_DOMAIN_MAX, octets that are no letter, digit, '-', '_');
 * -ENOMEM.  Case and a last dot do not matter. */
int dns_ask(struct dns *dns, struct span domain, uint64_t tag, uint64_t now_ms);

/* 1: an answer; 0: none now. */
int dns_answer(struct dns *dns, struct dns_answer *answer_r);

/* Readable when dns_process() has work; for poll(), epoll, io_poll().
 * Borrowed. */
int dns_fd(const struct dns *dns);
/* Read what came, act on what is late. */
void dns_process(struct dns *dns, uint64_t now_ms);
/* When to call dns_process() even when dns_fd() is quiet; UINT64_MAX when
 * nothing is being asked. */
uint64_t dns_deadline(const struct dns *dns);

/* Milliseconds from a query to its answer, or to giving it up.  From any
 * thread; borrowed for the life of dns. */
const struct histo *dns_query_ms(const struct dns *dns);

void dns_count(const struct dns *dns, struct dns_counters *counters_r);

#endif
