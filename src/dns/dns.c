/*
 * dns/dns.c - the cache, and who waits for what
 *
 *	dns_ask ─► entry ─┬─ fresh ─────────────────► ready
 *	                  └─ waiters ◄─ question ─► entry_finish ─► ready
 *
 * An entry that is not being asked lies in the list of the least recently
 * used; the cache drops from there.  At most cache_max + outstanding_max
 * entries exist.
 */
#include "dns/dns_private.h"

#include "base/hash.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#define STALE_MS        3600000
#define STALE_AGAIN_MS  30000
#define TIMEOUT_MS      3000
#define TRIES           3
#define OUTSTANDING_MAX 1000
#define CACHE_MAX       100000
#define SMTP_PORT       25

static const struct histo_bounds query_bounds_ms = {
	{ 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 30000 },
	14
};

static unsigned or_default(unsigned value, unsigned otherwise)
{
	return value ? value : otherwise;
}

/* Our addresses, those in words behind the others. */
static int copy_own(struct dns *dns, const struct dns_settings *s)
{
	size_t i, n = s->own_count + s->own_ip_count;

	if (n == 0)
		return 0;
	dns->own = calloc(n, sizeof(*dns->own));
	if (dns->own == NULL)
		return -ENOMEM;
	if (s->own_count > 0)
		memcpy(dns->own, s->own, s->own_count * sizeof(*dns->own));
	for (i = 0; i < s->own_ip_count; i++) {
		struct mx_addr *own = &dns->own[s->own_count + i];

		if (inet_pton(AF_INET, s->own_ips[i], own->ip) == 1)
			own->family = 4;
		else if (inet_pton(AF_INET6, s->own_ips[i], own->ip) == 1)
			own->family = 6;
		else
			return -EINVAL;
	}
	dns->self.own = dns->own;
	dns->self.own_count = n;
	return 0;
}

static int copy_self(struct dns *dns, const struct dns_settings *s)
{
	struct span name = s->hostname;
	struct plan_self *self = &dns->self;

	if (name.len > 0 && name.p[name.len - 1] == '.')
		name.len--;
	if (name.len > DNS_DOMAIN_MAX)
		return -EINVAL;
	memcpy(self->hostname, name.p ? name.p : "", name.len);
	self->smtp_port = (uint16_t)or_default(s->smtp_port, SMTP_PORT);
	self->seed = &dns->seed;
	return copy_own(dns, s);
}

static int init(struct dns *dns, const struct dns_settings *s)
{
	int err = copy_self(dns, s);

	if (err < 0)
		return err;
	dns->seed = s->seed;
	dns->no_ipv6 = s->no_ipv6;
	dns->timeout_ms = or_default(s->timeout_ms, TIMEOUT_MS);
	dns->tries = or_default(s->tries, TRIES);
	dns->outstanding_max = or_default(s->outstanding_max, OUTSTANDING_MAX);
	dns->cache_max = or_default(s->cache_max, CACHE_MAX);
	/* Keys come from outside: the hash is not to be foreseen. */
	if (getrandom(&dns->map_seed, sizeof(dns->map_seed), 0) < 0)
		return -errno;
	dns->no_memory = mxset_new(0);
	if (dns->no_memory == NULL)
		return -ENOMEM;
	dns->no_memory->status = MX_TEMPFAIL;
	snprintf(dns->no_memory->why, sizeof(dns->no_memory->why),
		 "out of memory");
	return channel_open(dns, s);
}

int dns_new(const struct dns_settings *settings, struct dns **dns_r)
{
	struct dns *dns = calloc(1, sizeof(*dns));
	int err;

	if (dns == NULL)
		return -ENOMEM;
	map_init(&dns->cache);
	list_init(&dns->lru);
	list_init(&dns->ready);
	list_init(&dns->waiting);
	dns->ep = -1;
	histo_init(&dns->query_ms, &query_bounds_ms);
	err = init(dns, settings);
	if (err < 0)
		dns_free(&dns);
	else
		*dns_r = dns;
	return err;
}

static void free_asks(struct list *head)
{
	struct list *link;

	while ((link = list_pop(head)) != NULL) {
		struct ask *ask = CONTAINER_OF(link, struct ask, link);

		mxset_unref(&ask->answer.set);
		free(ask);
	}
}

static void free_entry(struct dns *dns, struct entry *entry)
{
	list_del(&entry->lru);
	if (!dns->dying)
		BUG_ON(!map_del(&dns->cache, entry->hash, entry));
	free_asks(&entry->waiters);
	mxset_unref(&entry->set);
	free(entry->question);
	free(entry);
}

void dns_free(struct dns **dns_p)
{
	struct dns *dns = *dns_p;
	struct entry *entry;
	size_t at = 0;

	*dns_p = NULL;
	if (dns == NULL)
		return;
	channel_close(dns);
	while ((entry = map_walk(&dns->cache, &at)) != NULL)
		free_entry(dns, entry);
	map_free(&dns->cache);
	free_asks(&dns->ready);
	mxset_unref(&dns->no_memory);
	free(dns->own);
	free(dns);
}

/* Entries */

static bool same_entry(const void *item, const void *key)
{
	const struct entry *entry = item;
	const struct span *name = key;

	return span_eq(span_str(entry->name), *name);
}

static void make_room(struct dns *dns)
{
	struct list *oldest;

	while (dns->cache.count >= dns->cache_max && !list_empty(&dns->lru)) {
		oldest = dns->lru.next;
		free_entry(dns, CONTAINER_OF(oldest, struct entry, lru));
	}
}

static struct entry *make_entry(struct dns *dns, struct span name,
				uint64_t hash)
{
	struct entry *entry;

	make_room(dns);
	entry = calloc(1, sizeof(*entry) + name.len + 1);
	if (entry == NULL)
		return NULL;
	list_init(&entry->lru);
	list_init(&entry->waiters);
	entry->hash = hash;
	memcpy(entry->name, name.p, name.len);
	if (map_put(&dns->cache, hash, entry) == 0)
		return entry;
	free(entry);
	return NULL;
}

static void answer(struct dns *dns, struct ask *ask, struct mxset *set)
{
	ask->answer.set = mxset_ref(set);
	list_add_tail(&dns->ready, &ask->link);
}

/* A copy that is good for a while: sets never change once they are out. */
static struct mxset *stale_copy(const struct mxset *old, uint64_t expires_ms)
{
	struct mxset *set = mxset_new(old->host_count);
	uint16_t i;

	for (i = 0; set != NULL && i < old->host_count; i++) {
		set->hosts[i] = old->hosts[i];
		set->hosts[i].name = NULL;
		if (mxset_name(set, i, span_str(old->hosts[i].name)) < 0)
			mxset_unref(&set);
	}
	if (set == NULL)
		return NULL;
	set->status = old->status;
	set->implicit = old->implicit;
	set->expires_ms = expires_ms;
	return set; /* not authenticated: nobody has said so again */
}

/* What the entry's set shall be, given the fresh one. */
static struct mxset *choose(struct dns *dns, struct entry *entry,
			    struct mxset *fresh)
{
	struct mxset *copy;

	if (fresh->status != MX_TEMPFAIL) {
		entry->fails = 0;
		entry->stale_until_ms = fresh->expires_ms + STALE_MS;
		return fresh;
	}
	entry->fails++;
	if (entry->set == NULL || entry->set->status != MX_OK ||
	    dns->now_ms >= entry->stale_until_ms)
		return fresh;
	copy = stale_copy(entry->set, dns->now_ms + STALE_AGAIN_MS);
	if (copy == NULL)
		return fresh;
	dns->counters.stale++;
	mxset_unref(&fresh);
	return copy;
}

void entry_finish(struct dns *dns, struct entry *entry, struct mxset *set)
{
	struct list *link;

	BUG_ON(dns->counters.outstanding == 0);
	dns->counters.outstanding--;
	if (set == NULL)
		set = mxset_ref(dns->no_memory);
	set = choose(dns, entry, set);
	mxset_unref(&entry->set);
	entry->set = set;
	while ((link = list_pop(&entry->waiters)) != NULL)
		answer(dns, CONTAINER_OF(link, struct ask, link), set);
	list_add_tail(&dns->lru, &entry->lru);
}

/* Questions */

static int find_or_make(struct dns *dns, struct span name,
			struct entry **entry_r)
{
	uint64_t hash = hash_bytes(name.p, name.len, dns->map_seed);
	struct entry *entry = map_find(&dns->cache, hash, same_entry, &name);
	bool asks = entry == NULL || (entry->question == NULL &&
				      dns->now_ms >= entry->set->expires_ms);

	if (asks && dns->counters.outstanding >= dns->outstanding_max)
		return -EAGAIN;
	if (entry == NULL)
		entry = make_entry(dns, name, hash);
	if (entry == NULL)
		return -ENOMEM;
	*entry_r = entry;
	return asks;
}

/* Ask for an entry; its waiter is in place, since the answer may come within
 * this very call. */
static int begin(struct dns *dns, struct entry *entry)
{
	int err;

	list_del(&entry->lru);
	dns->counters.outstanding++;
	err = question_begin(dns, entry);
	if (err == 0)
		return 0;
	dns->counters.outstanding--;
	free_entry(dns, entry); /* with its only waiter */
	return err;
}

static int wait_or_answer(struct dns *dns, struct entry *entry, bool asks,
			  struct ask *ask)
{
	if (asks) {
		list_add_tail(&entry->waiters, &ask->link);
		return begin(dns, entry);
	}
	if (entry->question != NULL) {
		dns->counters.joined++;
		list_add_tail(&entry->waiters, &ask->link);
		return 0;
	}
	dns->counters.hits++;
	list_del(&entry->lru);
	list_add_tail(&dns->lru, &entry->lru);
	answer(dns, ask, entry->set);
	return 0;
}

int dns_ask(struct dns *dns, struct span domain, uint64_t tag, uint64_t now_ms)
{
	char name[DNS_DOMAIN_MAX + 1];
	struct entry *entry;
	struct ask *ask;
	size_t i;
	int asks;

	if (!dns_name_ok(domain))
		return -EINVAL;
	if (domain.p[domain.len - 1] == '.')
		domain.len--;
	for (i = 0; i < domain.len; i++)
		name[i] = (char)tolower((unsigned char)domain.p[i]);
	dns->now_ms = now_ms;
	ask = calloc(1, sizeof(*ask));
	if (ask == NULL)
		return -ENOMEM;
	asks = find_or_make(dns, span_of(name, domain.len), &entry);
	if (asks < 0) {
		free(ask);
		return asks;
	}
	list_init(&ask->link);
	ask->answer.tag = tag;
	dns->counters.asked++;
	return wait_or_answer(dns, entry, asks, ask);
}

int dns_answer(struct dns *dns, struct dns_answer *answer_r)
{
	struct list *link = list_pop(&dns->ready);
	struct ask *ask;

	if (link == NULL)
		return 0;
	ask = CONTAINER_OF(link, struct ask, link);
	*answer_r = ask->answer;
	free(ask);
	return 1;
}

void dns_count(const struct dns *dns, struct dns_counters *counters_r)
{
	*counters_r = dns->counters;
	counters_r->cached = dns->cache.count;
}

const struct histo *dns_query_ms(const struct dns *dns)
{
	return &dns->query_ms;
}
