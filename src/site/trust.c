/*
 * site/trust.c - addresses that have spoken out of turn (rules 3 and 19)
 *
 * Grouped transactions are safe only with a server that answers what it was
 * asked.  One that did not is remembered for a day, by its address: longer
 * than a site lives without mail, and for all sites that lead there.  The
 * memory is bounded: when it is full the oldest is forgotten, and until its
 * day is over nobody is trusted, since that costs round trips and not mail.
 */
#include "site/site_private.h"

#include <stdlib.h>

#define DISTRUST_MS  86400000u
#define DISTRUST_MAX 10000u

struct distrust {
	struct list link; /* in table->distrust */
	struct mx_addr addr;
	uint64_t hash, until_ms;
};

static bool same(const void *item, const void *key)
{
	const struct distrust *d = item;

	return site_addr_same(&d->addr, key);
}

void site_trust_init(struct site_table *table)
{
	map_init(&table->distrusted);
	list_init(&table->distrust);
}

static void forget(struct site_table *table, struct distrust *d)
{
	BUG_ON(!map_del(&table->distrusted, d->hash, d));
	list_del(&d->link);
	free(d);
}

static struct distrust *oldest(struct site_table *table)
{
	return CONTAINER_OF(table->distrust.next, struct distrust, link);
}

void site_trust_free(struct site_table *table)
{
	while (!list_empty(&table->distrust))
		forget(table, oldest(table));
	map_free(&table->distrusted);
}

/* Those whose day is over go; a full memory loses its oldest. */
static void make_room(struct site_table *table, uint64_t now_ms)
{
	while (!list_empty(&table->distrust) &&
	       oldest(table)->until_ms <= now_ms)
		forget(table, oldest(table));
	if (table->distrusted.count < DISTRUST_MAX)
		return;
	table->distrust_all_ms = oldest(table)->until_ms;
	forget(table, oldest(table));
}

static struct distrust *remember(const struct site_health *h)
{
	struct distrust *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->addr = h->addr;
	d->hash = h->hash;
	list_init(&d->link);
	if (map_put(&h->table->distrusted, d->hash, d) == 0)
		return d;
	free(d);
	return NULL;
}

void site_conn_distrust(struct site_conn *conn, uint64_t now_ms)
{
	struct site_health *h = conn->addr->health;
	struct site_table *table = h->table;
	struct distrust *d =
		map_find(&table->distrusted, h->hash, same, &h->addr);

	/* To be earned again, in a day. */
	h->group.good = 0;
	site_earn_anew(h);
	if (d == NULL) {
		make_room(table, now_ms);
		d = remember(h);
	}
	if (d == NULL) { /* without memory: nobody */
		table->distrust_all_ms = now_ms + DISTRUST_MS;
		return;
	}
	d->until_ms = now_ms + DISTRUST_MS;
	list_del(&d->link);
	list_add_tail(&table->distrust, &d->link);
}

uint64_t site_distrusted_until(const struct site_health *h, uint64_t now_ms)
{
	const struct site_table *table = h->table;
	const struct distrust *d =
		map_find(&table->distrusted, h->hash, same, &h->addr);
	uint64_t until = table->distrust_all_ms;

	if (d != NULL && d->until_ms > until)
		until = d->until_ms;
	return until > now_ms ? until : 0;
}

bool site_conn_trusted(const struct site_conn *conn, uint64_t now_ms)
{
	return site_distrusted_until(conn->addr->health, now_ms) == 0;
}
