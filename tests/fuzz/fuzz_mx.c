/*
 * tests/fuzz/fuzz_mx.c - a resolver that says anything, to the whole plan
 *
 *	octets = *answer
 *	answer = length(1, of what follows) flags(2) answers(1) authorities(1)
 *	         records
 *
 * Each question that the plan asks gets the next answer (from the first again
 * behind the last) with its own question in front, so that answers get as far
 * as records go.  A set that comes out must be one that a worker can use.
 */
#include "base/bug.h"
#include "dns/plan.h"

#define PACKET_MAX (DNS_QUERY_MAX + 512)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct mx_addr own[] = {
	{ .family = 4, .ip = { 192, 0, 2, 1 } },
	{ .family = 6, .port = 25, .ip = { 0x20, 1, 0xd, 0xb8, [15] = 1 } },
	{ .family = 4, .port = 2525, .ip = { 192, 0, 2, 9 } }, /* not ours */
};

struct resolver {
	const uint8_t *data;
	size_t size, at;
	uint8_t packet[PACKET_MAX];
};

/* The next answer, with a question for name in front; its octets. */
static size_t ask(struct resolver *r, const char *name, enum dns_type type)
{
	uint8_t *p = r->packet;
	size_t len, end, used;

	end = dns_query(name, type, 1, r->packet);
	end -= 11; /* the OPT record */
	if (r->at >= r->size)
		r->at = 0;
	len = r->data[r->at++];
	if (len > r->size - r->at)
		len = r->size - r->at;
	used = len < 4 ? len : 4;
	memset(p + 2, 0, 10);
	memcpy(p + 2, r->data + r->at, used < 2 ? used : 2);
	p[5] = 1;
	p[7] = used > 2 ? r->data[r->at + 2] : 0;
	p[9] = used > 3 ? r->data[r->at + 3] : 0;
	memcpy(p + end, r->data + r->at + used, len - used);
	r->at += len;
	return end + len - used;
}

static void ask_addresses(struct resolver *r, struct plan *plan, uint16_t i)
{
	static const enum dns_type types[] = { DNS_A, DNS_AAAA };
	struct mx_addr addrs[MX_ADDRS_MAX];
	struct dns_head head;
	size_t k, n, len;

	for (k = 0; k < ARRAY_LEN(types); k++) {
		len = ask(r, plan->targets[i].name, types[k]);
		n = dns_take_addrs(r->packet, len, plan->targets[i].name,
				   types[k], &head, addrs);
		BUG_ON((head.outcome == DNS_DATA) != (n > 0));
		plan_addrs(plan, i, types[k], &head, addrs, n);
	}
}

static void check_host(const struct mx_host *h)
{
	uint16_t i;
	size_t k;

	BUG_ON(h->addr_count == 0 || h->addr_count > MX_ADDRS_MAX);
	BUG_ON(h->name == NULL || !dns_name_ok(span_str(h->name)));
	for (i = 0; i < h->addr_count; i++) {
		const struct mx_addr *a = &h->addrs[i];

		BUG_ON(a->port != 25 || (a->family != 4 && a->family != 6));
		for (k = 0; k < 2; k++) /* never to ourselves (SMTP.md 7) */
			BUG_ON(a->family == own[k].family &&
			       memcmp(a->ip, own[k].ip,
				      a->family == 4 ? 4 : 16) == 0);
	}
}

static void check_set(const struct mxset *set)
{
	uint16_t i;

	BUG_ON(set->host_count > MX_HOSTS_MAX);
	BUG_ON((set->host_count > 0) != (set->status == MX_OK));
	BUG_ON(set->status != MX_OK && set->why[0] == '\0');
	for (i = 0; i < set->host_count; i++) {
		check_host(&set->hosts[i]);
		BUG_ON(i > 0 &&
		       set->hosts[i].preference < set->hosts[i - 1].preference);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t seed = 1;
	struct plan_self self = { "our.test", own, ARRAY_LEN(own), 25, &seed };
	static struct dns_mx mx[DNS_MX_MAX];
	static struct plan plan;
	static struct resolver r;
	enum mx_status status = MX_OK;
	struct dns_head head;
	struct mxset *set;
	size_t n;
	uint16_t i;

	if (size == 0)
		return 0;
	r.data = data;
	r.size = size;
	r.at = 0;
	memset(&plan, 0, sizeof(plan));
	n = ask(&r, "some.test", DNS_MX);
	n = dns_take_mx(r.packet, n, "some.test", &head, mx);
	if (plan_mx(&plan, &self, "some.test", &head, mx, n, &status) ==
	    PLAN_ADDRESSES) {
		for (i = 0; i < plan.count; i++)
			ask_addresses(&r, &plan, i);
		status = plan_end(&plan, &self);
	}
	set = plan_set(&plan, &self, status);
	BUG_ON(set == NULL);
	check_set(set);
	mxset_unref(&set);
	return 0;
}
