/*
 * dns/plan.c - which hosts, in which order (SMTP.md 7)
 *
 *	MX records ─► no names, literals and ours out ─► shuffle, sort, cut
 *	addresses  ─► ours out, with every equal or higher preference
 *	           ─► IPv6 and IPv4 interleaved
 */
#include "dns/plan.h"

#include "base/bug.h"
#include "base/hash.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static void lower(uint32_t *ttl, uint32_t to)
{
	if (to < *ttl)
		*ttl = to;
}

static uint64_t draw(const struct plan_self *self)
{
	return hash_u64(*self->seed += 0x9e3779b97f4a7c15ull);
}

/* RFC 5321 section 5.1 wants a name; an address there is ignored. */
static bool is_literal(const char *name)
{
	unsigned char ip[4];

	return inet_pton(AF_INET, name, ip) == 1;
}

static bool usable(const struct dns_mx *mx)
{
	return mx->name[0] != '\0' && mx->name[0] != '?' &&
	       !is_literal(mx->name);
}

static int by_order(const void *a, const void *b)
{
	const struct target *x = a, *y = b;

	if (x->preference != y->preference)
		return x->preference < y->preference ? -1 : 1;
	return x->key < y->key ? -1 : x->key > y->key;
}

/* Everything from this preference number on is dropped. */
static void drop_from(struct plan *p, uint32_t preference)
{
	uint16_t i, kept = 0;

	for (i = 0; i < p->count; i++) {
		if (p->targets[i].preference >= preference)
			p->loop = true;
		else if (kept++ != i)
			p->targets[kept - 1] = p->targets[i];
	}
	p->count = kept;
}

static void add_target(struct plan *p, const struct dns_mx *mx, uint64_t key)
{
	struct target t = { .preference = mx->preference, .key = key };
	uint16_t i, last = 0;

	memcpy(t.name, mx->name, sizeof(t.name));
	for (i = 0; i < p->count; i++) {
		struct target *old = &p->targets[i];

		if (strcasecmp(old->name, t.name) == 0) { /* named twice */
			if (by_order(&t, old) < 0)
				*old = t;
			return;
		}
		if (by_order(old, &p->targets[last]) > 0)
			last = i;
	}
	if (p->count < MX_HOSTS_MAX)
		p->targets[p->count++] = t;
	else if (by_order(&t, &p->targets[last]) < 0)
		p->targets[last] = t;
}

static enum plan_next take_list(struct plan *p, const struct plan_self *self,
				const struct dns_mx *mx, size_t count,
				enum mx_status *status_r)
{
	uint32_t ours = UINT32_MAX;
	size_t i;

	if (count == 1 && mx[0].name[0] == '\0') {
		*status_r = MX_NULL;
		return PLAN_DONE;
	}
	for (i = 0; i < count; i++) {
		if (!usable(&mx[i]))
			continue;
		if (strcasecmp(mx[i].name, self->hostname) == 0)
			lower(&ours, mx[i].preference);
		add_target(p, &mx[i], draw(self));
	}
	drop_from(p, ours);
	if (p->count > 0)
		return PLAN_ADDRESSES;
	*status_r = p->loop ? MX_LOOP : MX_NO_ADDRESS;
	return PLAN_DONE;
}

static enum plan_next
take_implicit(struct plan *p, const struct plan_self *self, const char *domain,
	      const struct dns_head *head, enum mx_status *status_r)
{
	p->implicit = true;
	p->ttl_s = UINT32_MAX;
	p->negative_ttl_s = head->ttl_s;
	if (strcasecmp(domain, self->hostname) == 0) {
		p->loop = true;
		*status_r = MX_LOOP;
		return PLAN_DONE;
	}
	p->count = 1;
	snprintf(p->targets[0].name, sizeof(p->targets[0].name), "%s", domain);
	return PLAN_ADDRESSES;
}

enum plan_next plan_mx(struct plan *p, const struct plan_self *self,
		       const char *domain, const struct dns_head *head,
		       const struct dns_mx *mx, size_t count,
		       enum mx_status *status_r)
{
	p->ad = head->ad;
	p->ttl_s = head->ttl_s;
	p->negative_ttl_s = UINT32_MAX;
	p->why = head->why;
	switch (head->outcome) {
	case DNS_DATA:
		return take_list(p, self, mx, count, status_r);
	case DNS_NODATA:
		return take_implicit(p, self, domain, head, status_r);
	case DNS_NXDOMAIN:
		p->negative_ttl_s = head->ttl_s;
		*status_r = MX_NXDOMAIN;
		return PLAN_DONE;
	case DNS_TEMP:
		break;
	}
	*status_r = MX_TEMPFAIL;
	return PLAN_DONE;
}

void plan_addrs(struct plan *p, uint16_t i, enum dns_type type,
		const struct dns_head *head, const struct mx_addr *addrs,
		size_t count)
{
	struct target *t = &p->targets[i];

	BUG_ON(i >= p->count || count > MX_ADDRS_MAX);
	p->ad = p->ad && head->ad;
	if (head->outcome == DNS_TEMP) {
		t->temp = true;
		p->why = head->why;
		return;
	}
	if (head->outcome != DNS_DATA) {
		lower(&p->negative_ttl_s, head->ttl_s);
		return;
	}
	lower(&p->ttl_s, head->ttl_s);
	if (type == DNS_A) {
		memcpy(t->v4, addrs, count * sizeof(*addrs));
		t->n4 = (uint8_t)count;
	} else {
		memcpy(t->v6, addrs, count * sizeof(*addrs));
		t->n6 = (uint8_t)count;
	}
}

static bool is_own(const struct plan_self *self, const struct mx_addr *addr)
{
	size_t i;

	for (i = 0; i < self->own_count; i++) {
		const struct mx_addr *own = &self->own[i];

		if (own->family == addr->family &&
		    (own->port == 0 || own->port == self->smtp_port) &&
		    memcmp(own->ip, addr->ip, own->family == 4 ? 4 : 16) == 0)
			return true;
	}
	return false;
}

static bool target_is_own(const struct plan_self *self, const struct target *t)
{
	unsigned i;

	for (i = 0; i < t->n4; i++)
		if (is_own(self, &t->v4[i]))
			return true;
	for (i = 0; i < t->n6; i++)
		if (is_own(self, &t->v6[i]))
			return true;
	return false;
}

static void drop_without_address(struct plan *p, bool *temp_r)
{
	uint16_t i, kept = 0;

	for (i = 0; i < p->count; i++) {
		struct target *t = &p->targets[i];

		*temp_r = *temp_r || t->temp;
		if (t->n4 + t->n6 > 0 && kept++ != i)
			p->targets[kept - 1] = *t;
	}
	p->count = kept;
}

enum mx_status plan_end(struct plan *p, const struct plan_self *self)
{
	uint32_t ours = UINT32_MAX;
	bool temp = false;
	uint16_t i;

	for (i = 0; i < p->count; i++)
		if (target_is_own(self, &p->targets[i]))
			lower(&ours, p->targets[i].preference);
	drop_from(p, ours);
	if (p->count == 0)
		return MX_LOOP;
	drop_without_address(p, &temp);
	if (p->count == 0)
		return temp ? MX_TEMPFAIL : MX_NO_ADDRESS;
	if (temp) /* the missing ones are asked for again soon */
		p->ttl_s = 0;
	qsort(p->targets, p->count, sizeof(p->targets[0]), by_order);
	return MX_OK;
}

static void shuffle(struct mx_addr *a, unsigned n, const struct plan_self *self)
{
	while (n > 1) {
		unsigned i = (unsigned)(draw(self) % n--);
		struct mx_addr tmp = a[i];

		a[i] = a[n];
		a[n] = tmp;
	}
}

/* IPv6 first, then by turns. */
static void interleave(struct mx_host *host, struct target *t,
		       const struct plan_self *self)
{
	unsigned i4 = 0, i6 = 0;
	uint16_t n = 0;

	shuffle(t->v4, t->n4, self);
	shuffle(t->v6, t->n6, self);
	while (n < MX_ADDRS_MAX && (i4 < t->n4 || i6 < t->n6)) {
		if (i6 < t->n6 && (i6 <= i4 || i4 == t->n4))
			host->addrs[n] = t->v6[i6++];
		else
			host->addrs[n] = t->v4[i4++];
		host->addrs[n++].port = self->smtp_port;
	}
	host->addr_count = n;
}

static void put_why(const struct plan *p, enum mx_status status,
		    struct mxset *set)
{
	static const char *const words[] = {
		[MX_NXDOMAIN] = "the domain does not exist",
		[MX_NULL] = "the domain takes no mail (null MX)",
		[MX_NO_ADDRESS] = "no mail exchanger has an address",
		[MX_LOOP] = "mail for the domain would come back to this host",
	};

	if (status == MX_TEMPFAIL)
		snprintf(set->why, sizeof(set->why), "%s", p->why);
	else if (status != MX_OK)
		snprintf(set->why, sizeof(set->why), "%s", words[status]);
}

struct mxset *plan_set(const struct plan *p, const struct plan_self *self,
		       enum mx_status status)
{
	uint16_t i, n = status == MX_OK ? p->count : 0;
	struct mxset *set = mxset_new(n);

	for (i = 0; set != NULL && i < n; i++) {
		struct target t = p->targets[i];

		set->hosts[i].preference = t.preference;
		interleave(&set->hosts[i], &t, self);
		if (mxset_name(set, i, span_str(t.name)) < 0)
			mxset_unref(&set);
	}
	if (set == NULL)
		return NULL;
	set->status = status;
	set->implicit = p->implicit;
	set->authenticated = p->ad && status != MX_TEMPFAIL;
	put_why(p, status, set);
	return set;
}
