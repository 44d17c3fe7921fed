#ifndef MTAQ_DNS_ANSWER_H
#define MTAQ_DNS_ANSWER_H

/*
 * dns/answer.h - DNS messages (RFC 1035, 6891): the query we send and what we
 * take from an answer.  Pure.  Answers are hostile octets: only records whose
 * owner is the name asked for, or the end of its CNAME chain, are taken.
 */
#include "dns/dns.h"

#define DNS_QUERY_MAX  300
#define DNS_MX_MAX     128 /* records looked at; SMTP.md 7 keeps 32 */
#define DNS_CHAIN_MAX  8
#define DNS_UDP_OCTETS 1232 /* no fragments */

enum dns_type {
	DNS_A = 1,
	DNS_MX = 15,
	DNS_AAAA = 28
};

enum dns_outcome {
	DNS_DATA,     /* there are records of the type */
	DNS_NODATA,   /* the name exists, the type does not */
	DNS_NXDOMAIN, /* the name does not exist */
	DNS_TEMP      /* no usable answer; why says it in words */
};

struct dns_head {
	enum dns_outcome outcome;
	bool ad;         /* the server says that it validated everything */
	uint32_t ttl_s;  /* DATA: the smallest; NODATA, NXDOMAIN: by the SOA,
			   0 without one */
	const char *why; /* static */
};

struct dns_mx {
	uint16_t preference;
	/* Without the last dot: "" is the root.  Text that is no host name
	 * is kept as "?". */
	char name[DNS_DOMAIN_MAX + 1];
};

/* A domain in letters, digits, '-', '_' and dots: labels of 1 to 63, all of
 * it at most DNS_DOMAIN_MAX, a last dot allowed. */
bool dns_name_ok(struct span name);
/* Build a query: RD, AD, and OPT with DO.  Its length; name must be
 * dns_name_ok() and without its last dot. */
size_t dns_query(const char *name, enum dns_type type, uint16_t id,
		 unsigned char out[DNS_QUERY_MAX]);
/* At most DNS_MX_MAX records into mx; their count, 0 unless DNS_DATA. */
size_t dns_take_mx(const unsigned char *p, size_t len, const char *name,
		   struct dns_head *head_r, struct dns_mx mx[DNS_MX_MAX]);
/* At most MX_ADDRS_MAX addresses (family, ip; no port); their count. */
size_t dns_take_addrs(const unsigned char *p, size_t len, const char *name,
		      enum dns_type type, struct dns_head *head_r,
		      struct mx_addr addrs[MX_ADDRS_MAX]);

#endif
