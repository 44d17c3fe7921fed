/*
 * bench/sink_dns.c - answers for made-up names, without sockets
 *
 *	dI.ZONE          MX 10 mx0.dI.ZONE, MX 20 mx1.dI.ZONE, ...
 *	mxJ.dI.ZONE      A, AAAA: one of the --listen addresses
 *	with --sites S:  dI has the MX of mxJ.s(I mod S).ZONE
 *
 * Host J of set I is listening address (I * mx + J) mod their number, IPv4
 * and IPv6 counted apart.  What is wrong with a domain is drawn from (seed,
 * I); all other names do not exist.  A query is taken apart with every length
 * checked: it comes from outside.
 */
#include "bench/sink_private.h"

#include <stdio.h>
#include <stdlib.h>

#define HEADER_LEN   12u
#define NAME_MAX_LEN 255u
#define EDNS_ROOM    4096u

enum {
	TYPE_A = 1,
	TYPE_NS = 2,
	TYPE_SOA = 6,
	TYPE_MX = 15,
	TYPE_AAAA = 28,
	TYPE_OPT = 41,
	TYPE_ANY = 255
};
enum {
	NOERROR = 0,
	FORMERR = 1,
	SERVFAIL = 2,
	NXDOMAIN = 3,
	NOTIMP = 4
};

/* What is wrong with a domain. */
enum fate {
	FATE_GOOD,
	FATE_NXDOMAIN,
	FATE_NULL_MX,
	FATE_SERVFAIL,
	FATE_TIMEOUT,
	FATE_NO_MX
};

struct question {
	char name[NAME_MAX_LEN + 1]; /* lower case, dots between labels */
	size_t end;                  /* offset behind it in the query */
	uint16_t type;
	bool edns;
	size_t room; /* what an answer by UDP may take */
};

/* An answer in the making. */
struct answer {
	uint8_t *p;
	size_t len, room;
	uint16_t records, authorities;
	uint8_t rcode;
	bool full;
};

/* What a name stands for. */
struct place {
	enum {
		PLACE_NONE,
		PLACE_APEX,
		PLACE_DOMAIN,
		PLACE_HOST
	} kind;
	uint32_t set; /* number of the domain or the MX set */
	uint32_t host;
};

/* --- writing ------------------------------------------------------------ */

static void put_octets(struct answer *a, const void *p, size_t n)
{
	if (a->full || n > a->room - a->len) {
		a->full = true;
		return;
	}
	memcpy(a->p + a->len, p, n);
	a->len += n;
}

static void put16(struct answer *a, uint32_t v)
{
	uint8_t o[2] = { (uint8_t)(v >> 8), (uint8_t)v };

	put_octets(a, o, 2);
}

static void put32(struct answer *a, uint32_t v)
{
	put16(a, v >> 16);
	put16(a, v & 0xffff);
}

/* A name in labels, uncompressed. */
static void put_name(struct answer *a, const char *name)
{
	while (*name != '\0') {
		size_t len = strcspn(name, ".");
		uint8_t n = (uint8_t)len;

		put_octets(a, &n, 1);
		put_octets(a, name, len);
		name += len + (name[len] == '.');
	}
	put_octets(a, "", 1);
}

/* The fixed part of a record of the name in question; gives where its length
 * stands. */
static size_t record_begin(struct answer *a, uint16_t type, uint32_t ttl)
{
	put16(a, 0xc000 | HEADER_LEN);
	put16(a, type);
	put16(a, 1);
	put32(a, ttl);
	put16(a, 0);
	return a->len - 2;
}

static void record_end(struct answer *a, size_t at)
{
	size_t len = a->len - at - 2;

	if (a->full)
		return;
	a->p[at] = (uint8_t)(len >> 8);
	a->p[at + 1] = (uint8_t)len;
}

static void put_soa(struct answer *a, const struct sink_config *c)
{
	char words[128];
	size_t at;

	put_name(a, c->zone);
	put16(a, TYPE_SOA);
	put16(a, 1);
	put32(a, c->ttl);
	put16(a, 0);
	at = a->len - 2;
	snprintf(words, sizeof(words), "ns.%s", c->zone);
	put_name(a, words);
	snprintf(words, sizeof(words), "postmaster.%s", c->zone);
	put_name(a, words);
	put32(a, 1);
	put32(a, 3600);
	put32(a, 600);
	put32(a, 86400);
	put32(a, c->ttl);
	record_end(a, at);
}

/* --- what there is ------------------------------------------------------ */

static bool numbered(const char **at, const char *prefix, uint32_t limit,
		     uint32_t *n_r)
{
	size_t len = strlen(prefix);
	const char *p = *at + len;
	uint32_t n = 0, digits = 0;

	if (strncmp(*at, prefix, len) != 0)
		return false;
	for (; *p >= '0' && *p <= '9' && digits < 9; p++, digits++)
		n = n * 10 + (uint32_t)(*p - '0');
	if (digits == 0 || n >= limit || (digits > 1 && (*at)[len] == '0') ||
	    *p != '.')
		return false;
	*at = p + 1;
	*n_r = n;
	return true;
}

static struct place find_place(const struct sink_config *c, const char *name)
{
	struct place place = { PLACE_NONE, 0, 0 };
	const char *at = name;

	if (strcmp(name, c->zone) == 0) {
		place.kind = PLACE_APEX;
	} else if (numbered(&at, "mx", c->mx, &place.host)) {
		if (c->sites > 0 ? numbered(&at, "s", c->sites, &place.set)
				 : numbered(&at, "d", c->domains, &place.set))
			place.kind = PLACE_HOST;
	} else if (numbered(&at, "d", c->domains, &place.set)) {
		place.kind = PLACE_DOMAIN;
	}
	if (place.kind > PLACE_APEX && strcmp(at, c->zone) != 0)
		place.kind = PLACE_NONE;
	return place;
}

static enum fate domain_fate(const struct sink_config *c, uint32_t domain)
{
	double u = sink_draw(c->seed, 400, domain);

	if ((u -= c->nxdomain) < 0)
		return FATE_NXDOMAIN;
	if ((u -= c->null_mx) < 0)
		return FATE_NULL_MX;
	if ((u -= c->servfail) < 0)
		return FATE_SERVFAIL;
	if ((u -= c->timeout) < 0)
		return FATE_TIMEOUT;
	return u - c->no_mx < 0 ? FATE_NO_MX : FATE_GOOD;
}

static void put_address(struct answer *a, const struct sink_config *c,
			const struct sink_address *from)
{
	const struct sockaddr_in *v4 = (const void *)&from->sa;
	const struct sockaddr_in6 *v6 = (const void *)&from->sa;
	bool four = from->sa.ss_family == AF_INET;
	size_t at = record_begin(a, four ? TYPE_A : TYPE_AAAA, c->ttl);

	if (four)
		put_octets(a, &v4->sin_addr, 4);
	else
		put_octets(a, &v6->sin6_addr, 16);
	record_end(a, at);
	a->records++;
}

static void add_addresses(struct answer *a, const struct sink_config *c,
			  struct place place, uint16_t type)
{
	int family = type == TYPE_A ? AF_INET : AF_INET6;
	size_t i, count = 0, pick;
	struct sink_address dead;

	if (place.host == 0 && c->dead_first > 0 &&
	    sink_draw(c->seed, 401, place.set) < c->dead_first) {
		if (sink_address_parse(&dead, c->dead_address, 0) &&
		    dead.sa.ss_family == family)
			put_address(a, c, &dead);
		return;
	}
	for (i = 0; i < c->address_count; i++)
		count += c->addresses[i].sa.ss_family == family;
	if (count == 0)
		return;
	pick = ((size_t)place.set * c->mx + place.host) % count;
	for (i = 0;; i++)
		if (c->addresses[i].sa.ss_family == family && pick-- == 0)
			break;
	put_address(a, c, &c->addresses[i]);
}

static void add_mx(struct answer *a, const struct sink_config *c,
		   uint32_t domain)
{
	uint32_t i, set = c->sites > 0 ? domain % c->sites : domain;
	char name[128];
	size_t at;

	for (i = 0; i < c->mx; i++) {
		at = record_begin(a, TYPE_MX, c->ttl);
		put16(a, c->mx_equal ? 10 : (i + 1) * 10);
		snprintf(name, sizeof(name), "mx%u.%c%u.%s", i,
			 c->sites > 0 ? 's' : 'd', set, c->zone);
		put_name(a, name);
		record_end(a, at);
		a->records++;
	}
}

static void add_null_mx(struct answer *a, const struct sink_config *c)
{
	size_t at = record_begin(a, TYPE_MX, c->ttl);

	put16(a, 0);
	put_octets(a, "", 1);
	record_end(a, at);
	a->records++;
}

/* False: no answer at all. */
static bool add_domain(struct answer *a, const struct sink_config *c,
		       struct place place, uint16_t type)
{
	bool mx = type == TYPE_MX || type == TYPE_ANY;

	switch (domain_fate(c, place.set)) {
	case FATE_TIMEOUT:
		return false;
	case FATE_NXDOMAIN:
		a->rcode = NXDOMAIN;
		return true;
	case FATE_SERVFAIL:
		a->rcode = SERVFAIL;
		return true;
	case FATE_NULL_MX:
		if (mx)
			add_null_mx(a, c);
		return true;
	case FATE_NO_MX:
		place.host = 1; /* never the dead one */
		if (type == TYPE_A || type == TYPE_AAAA)
			add_addresses(a, c, place, type);
		return true;
	case FATE_GOOD:
		if (mx)
			add_mx(a, c, place.set);
		return true;
	}
	return true;
}

/* The hosts of a domain share its silence. */
static bool host_silent(const struct sink_config *c, struct place place)
{
	return c->sites == 0 && domain_fate(c, place.set) == FATE_NXDOMAIN;
}

static bool add_records(struct answer *a, const struct sink_config *c,
			const struct question *q)
{
	struct place place = find_place(c, q->name);

	switch (place.kind) {
	case PLACE_NONE:
		a->rcode = NXDOMAIN;
		return true;
	case PLACE_APEX:
		return true;
	case PLACE_DOMAIN:
		return add_domain(a, c, place, q->type);
	case PLACE_HOST:
		if (host_silent(c, place))
			a->rcode = NXDOMAIN;
		else if (q->type == TYPE_A || q->type == TYPE_AAAA)
			add_addresses(a, c, place, q->type);
		return true;
	}
	return true;
}

/* --- reading ------------------------------------------------------------ */

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* Labels without compression; gives the offset behind them, or 0. */
static size_t read_name(const uint8_t *p, size_t len, size_t at, char *name)
{
	size_t out = 0, i;

	while (at < len && p[at] != 0) {
		size_t n = p[at++];

		if (n > 63 || n > len - at || out + n + 1 > NAME_MAX_LEN)
			return 0;
		if (out > 0)
			name[out++] = '.';
		for (i = 0; i < n; i++, at++) {
			uint8_t ch = p[at];

			if (ch >= 'A' && ch <= 'Z')
				ch |= 0x20;
			/* A dot or NUL within a label is no name of ours. */
			name[out++] = ch == '.' || ch == 0 ? '?' : (char)ch;
		}
	}
	name[out] = '\0';
	return at < len ? at + 1 : 0;
}

/* EDNS (RFC 6891): an OPT record right behind the question. */
static void read_edns(struct question *q, const uint8_t *p, size_t len)
{
	size_t at = q->end;

	q->room = 512;
	if (get16(p + 10) == 0 || len - at < 11 || p[at] != 0 ||
	    get16(p + at + 1) != TYPE_OPT)
		return;
	q->edns = true;
	q->room = get16(p + at + 3);
	if (q->room < 512)
		q->room = 512;
	if (q->room > EDNS_ROOM)
		q->room = EDNS_ROOM;
}

static bool read_question(struct question *q, const uint8_t *p, size_t len)
{
	size_t at;

	memset(q, 0, sizeof(*q));
	q->room = 512;
	if (get16(p + 4) != 1 || get16(p + 6) != 0 || get16(p + 8) != 0)
		return false;
	at = read_name(p, len, HEADER_LEN, q->name);
	if (at == 0 || len - at < 4)
		return false;
	q->type = get16(p + at);
	q->end = at + 4;
	read_edns(q, p, len);
	return get16(p + at + 2) == 1;
}

/* --- together ----------------------------------------------------------- */

static void put_edns(struct answer *a)
{
	put_octets(a, "", 1);
	put16(a, TYPE_OPT);
	put16(a, EDNS_ROOM);
	put32(a, 0);
	put16(a, 0);
}

static size_t answer_finish(struct answer *a, const uint8_t *query,
			    const struct question *q, bool truncated)
{
	if (truncated) {
		a->len = q->end;
		a->records = a->authorities = 0;
		a->full = false;
	}
	if (q->edns)
		put_edns(a);
	memcpy(a->p, query, 2);
	a->p[2] = (uint8_t)(0x84 | (query[2] & 0x79) | (truncated ? 2 : 0));
	a->p[3] = (uint8_t)(0x80 | a->rcode);
	a->p[4] = 0;
	a->p[5] = q->end > HEADER_LEN;
	a->p[6] = (uint8_t)(a->records >> 8);
	a->p[7] = (uint8_t)a->records;
	a->p[8] = 0;
	a->p[9] = (uint8_t)a->authorities;
	a->p[10] = 0;
	a->p[11] = q->edns;
	return a->len;
}

size_t sink_dns_answer(const struct sink_config *c, const uint8_t *query,
		       size_t len, bool tcp, uint8_t *answer)
{
	struct answer a = { .p = answer, .len = HEADER_LEN };
	struct question q;
	bool good;

	if (len < HEADER_LEN || (query[2] & 0x80) != 0)
		return 0;
	good = read_question(&q, query, len);
	a.room = tcp ? SINK_DNS_ROOM : q.room;
	a.rcode = NOERROR;
	if ((query[2] & 0x78) != 0)
		a.rcode = NOTIMP;
	else if (!good)
		a.rcode = FORMERR;
	if (a.rcode != NOERROR) {
		q.end = HEADER_LEN;
		q.edns = false;
		return answer_finish(&a, query, &q, false);
	}
	put_octets(&a, query + HEADER_LEN, q.end - HEADER_LEN);
	if (q.edns)
		a.room -= 11; /* kept for OPT */
	if (!tcp && c->dns_truncate)
		a.full = true;
	else if (!add_records(&a, c, &q))
		return 0;
	if (a.records == 0 && a.rcode != SERVFAIL && !a.full) {
		put_soa(&a, c);
		a.authorities = 1;
	}
	if (q.edns)
		a.room += 11;
	return answer_finish(&a, query, &q, a.full);
}
