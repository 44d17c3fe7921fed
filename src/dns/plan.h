#ifndef MTAQ_DNS_PLAN_H
#define MTAQ_DNS_PLAN_H

/*
 * dns/plan.h - from MX records to a set of hosts, by the rules of SMTP.md 7.
 * Pure: what is asked and when is question.c's.
 */
#include "dns/answer.h"

struct target {
	uint16_t preference;
	bool temp; /* an address query failed for now */
	uint8_t n4, n6;
	uint64_t key; /* order among equals */
	char name[DNS_DOMAIN_MAX + 1];
	struct mx_addr v4[MX_ADDRS_MAX], v6[MX_ADDRS_MAX];
};

/* Who we are, and the shuffle. */
struct plan_self {
	char hostname[DNS_DOMAIN_MAX + 1];
	const struct mx_addr *own;
	size_t own_count;
	uint16_t smtp_port;
	uint64_t *seed; /* moves on with each use */
};

struct plan {
	bool implicit, ad;
	bool loop;      /* something was dropped as ours */
	uint32_t ttl_s; /* the smallest of what was used */
	uint32_t negative_ttl_s;
	const char *why; /* of a temporary failure, static */
	uint16_t count;
	struct target targets[MX_HOSTS_MAX];
};

/* What to do after the MX answer. */
enum plan_next {
	PLAN_ADDRESSES, /* ask for the addresses of targets[0..count) */
	PLAN_DONE       /* status is final */
};

enum plan_next plan_mx(struct plan *p, const struct plan_self *self,
		       const char *domain, const struct dns_head *head,
		       const struct dns_mx *mx, size_t count,
		       enum mx_status *status_r);
/* An answer to an address query of target i. */
void plan_addrs(struct plan *p, uint16_t i, enum dns_type type,
		const struct dns_head *head, const struct mx_addr *addrs,
		size_t count);
/* All address answers are in: order, drop what is ours. */
enum mx_status plan_end(struct plan *p, const struct plan_self *self);
/* The set; NULL: out of memory.  Only MX_OK carries hosts. */
struct mxset *plan_set(const struct plan *p, const struct plan_self *self,
		       enum mx_status status);

#endif
