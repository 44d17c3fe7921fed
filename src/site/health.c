/*
 * site/health.c - does an address take mail (rule 8)
 *
 *	UNKNOWN --ready--> WELL --fail--> BAD until T --T--> one probe
 *	   |                 ^             ^ |                 |    |
 *	   +-----fail--------|-------------+ +<----- fail -----+    |
 *	                     +------------- a whole step well ------+
 *
 * T doubles with each failure in a row.  The row ends when a message has gone
 * through, not when a session gets ready: a host that greets and then closes
 * stays suspect.
 *
 * It is the address's, not the site's: a thousand domains with MX names of
 * their own may lead to one server, and when that is dead it gets one probe
 * for all of them.
 */
#include "site/site_private.h"

#include "base/hash.h"

#include <stdlib.h>

static size_t octets(const struct mx_addr *a)
{
	return a->family == 4 ? 4 : 16;
}

static uint64_t hash_of(const struct mx_addr *a)
{
	return hash_pair(hash_bytes(a->ip, octets(a), 0),
			 (uint64_t)a->family << 16 | a->port);
}

bool site_addr_same(const struct mx_addr *a, const struct mx_addr *b)
{
	return a->family == b->family && a->port == b->port &&
	       memcmp(a->ip, b->ip, octets(a)) == 0;
}

static bool is_of(const void *item, const void *key)
{
	const struct site_health *h = item;

	return site_addr_same(&h->addr, key);
}

struct site_health *site_health_get(struct site_table *table,
				    const struct mx_addr *addr)
{
	uint64_t hash = hash_of(addr);
	struct site_health *h = map_find(&table->health, hash, is_of, addr);

	if (h != NULL) {
		h->refs++;
		return h;
	}
	h = calloc(1, sizeof(*h));
	if (h == NULL || map_put(&table->health, hash, h) < 0) {
		free(h);
		return NULL;
	}
	h->table = table;
	h->addr = *addr;
	h->hash = hash;
	h->refs = 1;
	return h;
}

void site_health_put(struct site_health **health)
{
	struct site_health *h = *health;

	*health = NULL;
	if (h == NULL)
		return;
	BUG_ON(h->refs == 0);
	if (--h->refs > 0)
		return;
	BUG_ON(h->probing || h->sessions != 0);
	BUG_ON(!map_del(&h->table->health, h->hash, h));
	free(h->why);
	free(h);
}

void site_health_fail(struct site_health *h, uint64_t opened_ms,
		      uint64_t now_ms)
{
	const struct site_settings *set = &h->table->set;
	uint64_t pause = h->bad_ms == 0 ? set->bad_first_ms : 2ull * h->bad_ms;

	/* Connections that were already out count as one failure. */
	if (h->state == HEALTH_BAD && opened_ms <= h->bad_since_ms)
		return;
	if (pause > set->bad_max_ms)
		pause = set->bad_max_ms;
	h->state = HEALTH_BAD;
	h->bad_ms = (uint32_t)pause;
	h->bad_since_ms = now_ms;
	h->until_ms = now_ms + pause;
}
