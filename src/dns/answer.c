/*
 * dns/answer.c - build a query, take an answer apart
 *
 *	answer = header, question, records: CNAME* (MX | A | AAAA)*
 *	                 authority: SOA when the answer is "no"
 *
 * Whatever does not parse as a whole is DNS_TEMP: another server, or the
 * same one later, may do better, and nothing permanent may come of garbage.
 */
#include "dns/answer.h"

#include <arpa/nameser.h>
#include <resolv.h>
#include <stdio.h>
#include <strings.h>

#define OPT_DO      0x8000
#define FLAGS_RD_AD 0x0120

static bool label_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool dns_name_ok(struct span name)
{
	size_t at, label = 0;

	if (name.len > 0 && name.p[name.len - 1] == '.')
		name.len--;
	if (name.len == 0 || name.len > DNS_DOMAIN_MAX)
		return false;
	for (at = 0; at < name.len; at++) {
		if (name.p[at] == '.') {
			if (label == 0)
				return false;
			label = 0;
		} else if (!label_char(name.p[at]) || ++label > 63) {
			return false;
		}
	}
	return label > 0;
}

static unsigned char *put16(unsigned char *p, unsigned v)
{
	p[0] = (unsigned char)(v >> 8);
	p[1] = (unsigned char)v;
	return p + 2;
}

size_t dns_query(const char *name, enum dns_type type, uint16_t id,
		 unsigned char out[DNS_QUERY_MAX])
{
	unsigned char *p = out;

	p = put16(p, id);
	p = put16(p, FLAGS_RD_AD);
	p = put16(p, 1);
	p = put16(p, 0);
	p = put16(p, 0);
	p = put16(p, 1); /* the OPT */
	while (*name != '\0') {
		size_t n = strcspn(name, ".");

		*p++ = (unsigned char)n;
		memcpy(p, name, n);
		p += n;
		name += n + (name[n] == '.');
	}
	*p++ = 0;
	p = put16(p, type);
	p = put16(p, ns_c_in);
	*p++ = 0; /* OPT: the root, type, octets of UDP, flags, no options */
	p = put16(p, ns_t_opt);
	p = put16(p, DNS_UDP_OCTETS);
	p = put16(p, 0);
	p = put16(p, OPT_DO);
	p = put16(p, 0);
	return (size_t)(p - out);
}

static const char nonsense[] = "the name server's answer makes no sense";

struct walk {
	ns_msg msg;
	char name[NS_MAXDNAME]; /* the end of the CNAME chain so far */
	uint32_t ttl_s;
	size_t count; /* records of the type wanted */
	int links;    /* of the chain */
};

/* RFC 2181 section 8: a TTL with the highest bit is zero. */
static uint32_t ttl_of(const ns_rr *rr)
{
	uint32_t ttl = ns_rr_ttl(*rr);

	return ttl & 0x80000000u ? 0 : ttl;
}

static void lower_ttl(struct walk *w, uint32_t ttl_s)
{
	if (ttl_s < w->ttl_s)
		w->ttl_s = ttl_s;
}

/* dn_expand() writes the root as "". */
static bool same_name(const char *a, const char *b)
{
	return strcasecmp(strcmp(a, ".") == 0 ? "" : a,
			  strcmp(b, ".") == 0 ? "" : b) == 0;
}

/* The record at index i of a section, if it is of this type and class. */
static bool record(struct walk *w, ns_sect sect, int i, int type, ns_rr *rr)
{
	return ns_parserr(&w->msg, sect, i, rr) == 0 &&
	       ns_rr_class(*rr) == ns_c_in && (int)ns_rr_type(*rr) == type;
}

/* A name within rdata that must fill it from `from` to its end. */
static bool rdata_name(const struct walk *w, const ns_rr *rr, size_t from,
		       char name[NS_MAXDNAME])
{
	size_t len = ns_rr_rdlen(*rr);
	int used;

	if (len <= from)
		return false;
	used = ns_name_uncompress(ns_msg_base(w->msg), ns_msg_end(w->msg),
				  ns_rr_rdata(*rr) + from, name, NS_MAXDNAME);
	return used > 0 && (size_t)used + from == len;
}

/* One link of the chain; false: there is none. */
static bool follow_one(struct walk *w)
{
	char next[NS_MAXDNAME];
	int i, n = ns_msg_count(w->msg, ns_s_an);
	ns_rr rr;

	for (i = 0; i < n; i++) {
		if (!record(w, ns_s_an, i, ns_t_cname, &rr) ||
		    !same_name(ns_rr_name(rr), w->name) ||
		    !rdata_name(w, &rr, 0, next))
			continue;
		lower_ttl(w, ttl_of(&rr));
		memcpy(w->name, next, sizeof(next));
		return true;
	}
	return false;
}

static bool follow(struct walk *w)
{
	while (follow_one(w))
		if (++w->links > DNS_CHAIN_MAX)
			return false;
	return true;
}

/* RFC 2308 section 5: the smaller of the SOA's TTL and its MINIMUM. */
static uint32_t negative_ttl(struct walk *w)
{
	int i, n = ns_msg_count(w->msg, ns_s_ns);
	ns_rr rr;

	for (i = 0; i < n; i++) {
		uint32_t ttl, least;

		if (!record(w, ns_s_ns, i, ns_t_soa, &rr) ||
		    ns_rr_rdlen(rr) < 22)
			continue;
		ttl = ttl_of(&rr);
		least = (uint32_t)ns_get32(ns_rr_rdata(rr) + ns_rr_rdlen(rr) -
					   4);
		return ttl < least ? ttl : least;
	}
	return 0;
}

static const char *rcode_words(int rcode)
{
	switch (rcode) {
	case ns_r_servfail:
		return "the name server says SERVFAIL";
	case ns_r_refused:
		return "the name server says REFUSED";
	case ns_r_notimpl:
		return "the name server says NOTIMP";
	case ns_r_formerr:
		return "the name server says FORMERR";
	default:
		return "the name server gives an unknown error";
	}
}

static void temp(struct dns_head *head, const char *why)
{
	*head = (struct dns_head){ .outcome = DNS_TEMP, .why = why };
}

/* Does the question repeat ours?  c-ares checks it too. */
static bool question_fits(struct walk *w, const char *name, int type)
{
	ns_rr rr;

	return ns_msg_count(w->msg, ns_s_qd) == 1 &&
	       ns_parserr(&w->msg, ns_s_qd, 0, &rr) == 0 &&
	       (int)ns_rr_type(rr) == type && same_name(ns_rr_name(rr), name);
}

/* True: records may be taken now.  Otherwise head is the whole answer. */
static bool walk_begin(struct walk *w, const unsigned char *p, size_t len,
		       const char *name, int type, struct dns_head *head)
{
	int rcode;

	temp(head, nonsense);
	if (len > NS_MAXMSG || ns_initparse(p, (int)len, &w->msg) < 0 ||
	    !ns_msg_getflag(w->msg, ns_f_qr) || !question_fits(w, name, type))
		return false;
	w->ttl_s = UINT32_MAX;
	w->count = 0;
	w->links = 0;
	snprintf(w->name, sizeof(w->name), "%s", name);
	rcode = ns_msg_getflag(w->msg, ns_f_rcode);
	if (rcode != ns_r_noerror && rcode != ns_r_nxdomain) {
		temp(head, rcode_words(rcode));
		return false;
	}
	if (ns_msg_getflag(w->msg, ns_f_tc) || !follow(w))
		return false;
	if (rcode == ns_r_noerror)
		return true;
	*head = (struct dns_head){ .outcome = DNS_NXDOMAIN,
				   .ad = ns_msg_getflag(w->msg, ns_f_ad),
				   .ttl_s = negative_ttl(w),
				   .why = "the domain does not exist" };
	return false;
}

static void walk_end(struct walk *w, struct dns_head *head)
{
	*head = (struct dns_head){ .outcome = DNS_DATA,
				   .ad = ns_msg_getflag(w->msg, ns_f_ad),
				   .ttl_s = w->ttl_s,
				   .why = "" };
	if (w->count > 0)
		return;
	/* A referral is no "no": who neither owns nor recurses knows
	 * nothing. */
	if (!ns_msg_getflag(w->msg, ns_f_aa) &&
	    !ns_msg_getflag(w->msg, ns_f_ra)) {
		temp(head, "the name server does not recurse");
		return;
	}
	/* Records, and none of them is ours. */
	if (ns_msg_count(w->msg, ns_s_an) > 0 && w->links == 0) {
		temp(head, nonsense);
		return;
	}
	head->outcome = DNS_NODATA;
	head->ttl_s = negative_ttl(w);
}

/* The next record of the type that belongs to the name; false at the end. */
static bool walk_next(struct walk *w, int type, int *at, ns_rr *rr)
{
	int n = ns_msg_count(w->msg, ns_s_an);

	while (*at < n) {
		int i = (*at)++;

		if (!record(w, ns_s_an, i, type, rr) ||
		    !same_name(ns_rr_name(*rr), w->name))
			continue;
		w->count++;
		lower_ttl(w, ttl_of(rr));
		return true;
	}
	return false;
}

/* False: the record is malformed.  A name that is none for a host is a
 * mistake in the zone, not in the message. */
static bool take_mx(const struct walk *w, const ns_rr *rr, struct dns_mx *mx)
{
	char name[NS_MAXDNAME];
	struct span s;

	if (!rdata_name(w, rr, 2, name))
		return false;
	mx->preference = (uint16_t)ns_get16(ns_rr_rdata(*rr));
	s = span_str(name);
	snprintf(mx->name, sizeof(mx->name), "?");
	if (span_eq(s, SPAN(".")))
		mx->name[0] = '\0';
	else if (dns_name_ok(s))
		snprintf(mx->name, sizeof(mx->name), "%.*s", DNS_DOMAIN_MAX,
			 name);
	return true;
}

size_t dns_take_mx(const unsigned char *p, size_t len, const char *name,
		   struct dns_head *head_r, struct dns_mx mx[DNS_MX_MAX])
{
	struct walk w;
	size_t n = 0;
	int at = 0;
	ns_rr rr;

	if (!walk_begin(&w, p, len, name, ns_t_mx, head_r))
		return 0;
	while (n < DNS_MX_MAX && walk_next(&w, ns_t_mx, &at, &rr)) {
		if (!take_mx(&w, &rr, &mx[n++])) {
			temp(head_r, nonsense);
			return 0;
		}
	}
	walk_end(&w, head_r);
	return n;
}

size_t dns_take_addrs(const unsigned char *p, size_t len, const char *name,
		      enum dns_type type, struct dns_head *head_r,
		      struct mx_addr addrs[MX_ADDRS_MAX])
{
	size_t octets = type == DNS_A ? 4 : 16;
	struct walk w;
	size_t n = 0;
	int at = 0;
	ns_rr rr;

	if (!walk_begin(&w, p, len, name, (int)type, head_r))
		return 0;
	while (n < MX_ADDRS_MAX && walk_next(&w, (int)type, &at, &rr)) {
		if (ns_rr_rdlen(rr) != octets) {
			temp(head_r, nonsense);
			return 0;
		}
		memset(&addrs[n], 0, sizeof(addrs[n]));
		addrs[n].family = type == DNS_A ? 4 : 6;
		memcpy(addrs[n++].ip, ns_rr_rdata(rr), octets);
	}
	walk_end(&w, head_r);
	return n;
}
