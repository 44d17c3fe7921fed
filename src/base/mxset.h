#ifndef MTAQ_BASE_MXSET_H
#define MTAQ_BASE_MXSET_H

/*
 * Where a domain's mail goes, as the resolver found it: plain data, immutable
 * once made, shared between threads by a count of references.
 */
#include "base/span.h"

#include <stdatomic.h>

#define MX_HOSTS_MAX 32 /* SMTP.md 7; later ones are not tried */
#define MX_ADDRS_MAX 16 /* a host */

enum mx_status {
	MX_OK,         /* hosts[] leads to at least one address */
	MX_NXDOMAIN,   /* permanent */
	MX_NULL,       /* permanent, RFC 7505 */
	MX_NO_ADDRESS, /* no host has an address, said with authority */
	MX_LOOP,       /* nothing is left after our own entries (5.4.6) */
	MX_TEMPFAIL    /* SERVFAIL, timeout, no server */
};

struct mx_addr {
	uint8_t family; /* 4 or 6 */
	uint16_t port;  /* host order */
	uint8_t ip[16]; /* 4 or 16 octets, network order */
};

struct mx_host {
	char *name; /* lower case, without the last dot; owned by the set */
	uint16_t preference;
	uint16_t addr_count;
	struct mx_addr addrs[MX_ADDRS_MAX]; /* IPv6 and IPv4 interleaved */
};

struct mxset {
	_Atomic uint32_t refs;
	enum mx_status status;
	bool authenticated;  /* AD on MX and every address */
	bool implicit;       /* no MX record: the domain's own address */
	uint64_t expires_ms; /* monotonic; ask again from then on */
	char why[160];       /* for people, when status is not MX_OK */
	uint16_t host_count;
	/* By preference; equals in the order the resolver shuffled them. */
	struct mx_host hosts[];
};

/* A set of host_count empty hosts and one reference, or NULL. */
struct mxset *mxset_new(uint16_t host_count);
struct mxset *mxset_ref(struct mxset *set);
/* Drops one reference and clears the pointer; NULL is allowed. */
void mxset_unref(struct mxset **set);
/* Copy a name into host i: lower case, last dot cut.  0 or -ENOMEM. */
int mxset_name(struct mxset *set, uint16_t i, struct span name);

#endif
