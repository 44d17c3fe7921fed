/*
 * dns/question.c - one domain being asked
 *
 *	MX ─┬─► final (NXDOMAIN, null MX, our own, SERVFAIL ...)
 *	    └─► A + AAAA of every target at once ─► all in ─► plan_end
 *
 * A query may be answered while its siblings are still being sent (c-ares
 * calls back at once when it cannot send): `pending` counts the sender too.
 */
#include "dns/dns_private.h"

#include <errno.h>
#include <stdlib.h>

#define TTL_MIN_S      30
#define TTL_MAX_S      86400
#define NEGATIVE_MAX_S 900
#define TEMP_MIN_MS    5000
#define TEMP_MAX_MS    30000

struct question {
	struct entry *entry;
	unsigned pending;
	bool final; /* status is, without any address */
	enum mx_status status;
	struct plan plan;
};

static uint64_t clamp_ms(uint32_t s, uint32_t max_s)
{
	if (s < TTL_MIN_S)
		s = TTL_MIN_S;
	return (uint64_t)(s > max_s ? max_s : s) * 1000;
}

static uint64_t good_for_ms(const struct question *q)
{
	uint32_t ttl = q->plan.ttl_s, negative = q->plan.negative_ttl_s;
	uint64_t ms = TEMP_MIN_MS;
	unsigned i;

	switch (q->status) {
	case MX_OK:
	case MX_NULL:
	case MX_LOOP:
		return clamp_ms(ttl, TTL_MAX_S);
	case MX_NXDOMAIN:
		return clamp_ms(negative, NEGATIVE_MAX_S);
	case MX_NO_ADDRESS:
		return clamp_ms(ttl < negative ? ttl : negative,
				NEGATIVE_MAX_S);
	case MX_TEMPFAIL:
		break;
	}
	for (i = 0; i < q->entry->fails && ms < TEMP_MAX_MS; i++)
		ms *= 2;
	return ms < TEMP_MAX_MS ? ms : TEMP_MAX_MS;
}

static void finish(struct dns *dns, struct question *q)
{
	struct entry *entry = q->entry;
	struct mxset *set;

	if (!q->final)
		q->status = plan_end(&q->plan, &dns->self);
	set = plan_set(&q->plan, &dns->self, q->status);
	if (set != NULL) {
		set->expires_ms = dns->now_ms + good_for_ms(q);
		set->authenticated = set->authenticated && dns->trusted;
	}
	entry->question = NULL;
	free(q);
	entry_finish(dns, entry, set);
}

static void release(struct dns *dns, struct question *q)
{
	BUG_ON(q->pending == 0);
	if (--q->pending == 0)
		finish(dns, q);
}

const char *question_name(const struct query *query)
{
	const struct question *q = query->question;

	if (query->type == DNS_MX)
		return q->entry->name;
	return q->plan.targets[query->target].name;
}

static int ask(struct dns *dns, struct question *q, enum dns_type type,
	       uint16_t target)
{
	struct query *query = calloc(1, sizeof(*query));

	if (query == NULL)
		return -ENOMEM;
	list_init(&query->link);
	query->dns = dns;
	query->question = q;
	query->type = type;
	query->target = target;
	q->pending++;
	channel_send(dns, query);
	return 0;
}

static void ask_addresses(struct dns *dns, struct question *q)
{
	static const struct dns_head no_memory = { .outcome = DNS_TEMP,
						   .why = "out of memory" };
	uint16_t i;

	for (i = 0; i < q->plan.count; i++) {
		if (ask(dns, q, DNS_A, i) < 0)
			plan_addrs(&q->plan, i, DNS_A, &no_memory, NULL, 0);
		if (!dns->no_ipv6 && ask(dns, q, DNS_AAAA, i) < 0)
			plan_addrs(&q->plan, i, DNS_AAAA, &no_memory, NULL, 0);
	}
}

static void take_mx(struct dns *dns, struct question *q, const unsigned char *p,
		    size_t len, struct dns_head *head)
{
	struct dns_mx mx[DNS_MX_MAX];
	size_t n = 0;

	if (p != NULL)
		n = dns_take_mx(p, len, q->entry->name, head, mx);
	if (plan_mx(&q->plan, &dns->self, q->entry->name, head, mx, n,
		    &q->status) == PLAN_DONE)
		q->final = true;
	else
		ask_addresses(dns, q);
}

static void take_addrs(struct question *q, const struct query *query,
		       const unsigned char *p, size_t len,
		       struct dns_head *head)
{
	struct mx_addr addrs[MX_ADDRS_MAX];
	size_t n = 0;

	if (p != NULL)
		n = dns_take_addrs(p, len, q->plan.targets[query->target].name,
				   query->type, head, addrs);
	plan_addrs(&q->plan, query->target, query->type, head, addrs, n);
}

void question_answer(struct query *query, const unsigned char *p, size_t len,
		     const char *why)
{
	struct dns_head head = { .outcome = DNS_TEMP, .why = why };
	struct question *q = query->question;
	struct dns *dns = query->dns;

	if (query->type == DNS_MX)
		take_mx(dns, q, p, len, &head);
	else
		take_addrs(q, query, p, len, &head);
	if (p != NULL && head.outcome == DNS_TEMP)
		dns->counters.failures++;
	free(query);
	release(dns, q);
}

int question_begin(struct dns *dns, struct entry *entry)
{
	struct question *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return -ENOMEM;
	q->entry = entry;
	q->pending = 1;
	entry->question = q;
	if (ask(dns, q, DNS_MX, 0) < 0) {
		entry->question = NULL;
		free(q);
		return -ENOMEM;
	}
	release(dns, q);
	return 0;
}
