/*
 * site/site.c - the table of sites, and the addresses of a site over time
 *
 * A site lives while somebody holds a reference, and an hour longer, so that
 * the health of its hosts is still known when its next mail comes.
 */
#include "site/site_private.h"

#include <errno.h>
#include <stdlib.h>

#define UNUSED_KEEP_MS 3600000u
#define KEPT_MAX       10000u /* sites that are kept longer; 1 KB each */
#define REAP_MAX       64
#define ADDRS_MAX      (2 * MX_HOSTS_MAX * MX_ADDRS_MAX)

/* --- table --------------------------------------------------------------- */

struct site_table *site_table_new(const struct site_settings *set,
				  uint32_t conns_max)
{
	struct site_table *table = calloc(1, sizeof(*table));

	BUG_ON(set->connections == 0 || set->messages == 0);
	BUG_ON(set->backlog == 0);
	BUG_ON(set->chunks_ahead == 0 || set->chunks_ahead > SITE_AHEAD_MAX);
	if (table == NULL)
		return NULL;
	table->set = *set;
	table->conns_max = conns_max;
	map_init(&table->sites);
	map_init(&table->limits);
	map_init(&table->health);
	list_init(&table->unused);
	list_init(&table->conns_free);
	site_trust_init(table);
	return table;
}

static void unkeep(struct site *site)
{
	BUG_ON(site->kept && site->table->kept == 0);
	site->table->kept -= site->kept;
	site->kept = false;
}

/* What it taught costs somebody a round trip to learn again. */
static bool keep(struct site *site, uint64_t now_ms)
{
	struct site_table *table = site->table;

	if (site_rcpts_max(site, now_ms) == 0 ||
	    (!site->kept && table->kept >= KEPT_MAX))
		return false;
	table->kept += !site->kept;
	site->kept = true;
	return true;
}

static void site_free(struct site *site)
{
	struct site_table *table = site->table;
	uint32_t i;

	BUG_ON(site->refs != 0);
	unkeep(site);
	map_del(&table->sites, site->hash, site);
	list_del(&site->unused);
	for (i = 0; i < site->addr_count; i++)
		site_addr_free(&site->addrs[i]);
	free(site->addrs);
	free(site->name);
	if (site->limits != NULL)
		site_limits_put(table, &site->limits);
	free(site);
}

void site_table_free(struct site_table **table)
{
	struct site_table *t = *table;
	struct list *link;

	*table = NULL;
	if (t == NULL)
		return;
	BUG_ON(t->conns != 0);
	while (!list_empty(&t->unused))
		site_free(CONTAINER_OF(t->unused.next, struct site, unused));
	BUG_ON(t->sites.count != 0);
	while ((link = list_pop(&t->conns_free)) != NULL)
		free(CONTAINER_OF(link, struct site_conn, link));
	map_free(&t->sites);
	map_free(&t->limits);
	BUG_ON(t->health.count != 0);
	map_free(&t->health);
	site_trust_free(t);
	free(t);
}

uint32_t site_table_conns(const struct site_table *table)
{
	return table->conns;
}

void site_table_step(struct site_table *table, bool saturated)
{
	table->saturated = saturated;
	if (!saturated || table->step == 0)
		table->step++;
}

struct site *site_table_walk(const struct site_table *table, size_t *at)
{
	return map_walk(&table->sites, at);
}

void site_table_reap(struct site_table *table, uint64_t now_ms)
{
	int n;

	table->now_ms = now_ms;
	for (n = 0; n < REAP_MAX && !list_empty(&table->unused); n++) {
		struct site *site =
			CONTAINER_OF(table->unused.next, struct site, unused);

		if (now_ms < site->unused_ms + UNUSED_KEEP_MS)
			return;
		if (site->connecting + site->sessions == 0 &&
		    !keep(site, now_ms)) {
			site_free(site);
			continue;
		}
		site->unused_ms = now_ms;
		list_del(&site->unused);
		list_add_tail(&table->unused, &site->unused);
	}
}

/* --- a site -------------------------------------------------------------- */

const char *site_key_name(const struct site_key *key, const struct mxset *set)
{
	const char *name = key->preset != NULL ? key->preset->name : NULL;

	/* With limits of its own or a set of its own, the host names it. */
	if (name == NULL || !key->preset->one_set)
		name = set->host_count > 0 ? set->hosts[0].name : "";
	return name == NULL ? "" : name;
}

static struct site *site_new(struct site_table *table,
			     const struct site_key *key,
			     const struct mxset *set, uint64_t now_ms)
{
	struct site *site = calloc(1, sizeof(*site));

	if (site == NULL)
		return NULL;
	site->table = table;
	site->hash = key->hash;
	list_init(&site->unused);
	site->name = strdup(site_key_name(key, set));
	site->limits = site_limits_get(table, key, now_ms);
	if (site->name == NULL || site->limits == NULL ||
	    site_refresh(site, set, now_ms) < 0 ||
	    map_put(&table->sites, key->hash, site) < 0) {
		site_free(site);
		return NULL;
	}
	return site;
}

struct site *site_get(struct site_table *table, const struct site_key *key,
		      const struct mxset *set, uint64_t now_ms)
{
	struct site *site = map_find(&table->sites, key->hash, NULL, NULL);

	table->now_ms = now_ms;
	if (site == NULL) {
		site = site_new(table, key, set, now_ms);
		if (site == NULL)
			return NULL;
	} else if (now_ms >= site->refresh_ms) {
		/* Out of memory: the hosts that it has are good enough. */
		(void)site_refresh(site, set, now_ms);
	}
	list_del(&site->unused);
	unkeep(site);
	site->refs++;
	return site;
}

void site_put(struct site **site)
{
	struct site *s = *site;

	*site = NULL;
	if (s == NULL)
		return;
	BUG_ON(s->refs == 0);
	if (--s->refs > 0)
		return;
	s->unused_ms = s->table->now_ms;
	list_add_tail(&s->table->unused, &s->unused);
}

const char *site_name(const struct site *site)
{
	return site->name;
}

const char *site_provider(const struct site *site)
{
	const struct site_preset *preset = site->limits->preset;

	return preset == NULL ? NULL : preset->name;
}

uint64_t site_hash(const struct site *site)
{
	return site->hash;
}

uint64_t site_refresh_ms(const struct site *site)
{
	return site->refresh_ms;
}

void site_pause(struct site *site, bool paused)
{
	site->paused = paused;
}

void site_retry(struct site *site, uint64_t now_ms)
{
	struct limits *l = site->limits;
	uint32_t i;

	for (i = 0; i < site->addr_count; i++) {
		struct site_addr *a = site->addrs[i];

		if (a->health->until_ms > now_ms)
			a->health->until_ms = now_ms;
		if (a->hold_ms > now_ms)
			a->hold_ms = now_ms;
		if (a->ours_ms > now_ms)
			a->ours_ms = now_ms;
	}
	if (l->pause_ms > now_ms)
		l->pause_ms = now_ms;
	if (l->hold_ms > now_ms)
		l->hold_ms = now_ms;
}

/* --- addresses over time ------------------------------------------------- */

static struct site_addr *addr_find(struct site_addr **addrs, uint32_t count,
				   const struct mx_addr *addr)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		if (addrs[i] != NULL && site_addr_same(&addrs[i]->addr, addr))
			return addrs[i];
	return NULL;
}

/* The known address under its (perhaps new) name, or a new one. */
static struct site_addr *addr_take(struct site *site,
				   const struct mx_host *host,
				   const struct mx_addr *addr)
{
	struct site_addr *a = addr_find(site->addrs, site->addr_count, addr);

	if (a == NULL)
		return site_addr_new(site, host, addr);
	a->preference = host->preference;
	/* A connection has borrowed the name: then the old one stays. */
	if (a->conns == 0 && host->name != NULL &&
	    strcmp(a->host, host->name) != 0) {
		char *name = strdup(host->name);

		if (name == NULL)
			return NULL;
		free(a->host);
		a->host = name;
	}
	return a;
}

/* Is it worth its memory although the set does not name it? */
static bool addr_stays(const struct site_addr *addr, uint64_t now_ms)
{
	return addr->conns > 0 || (addr->health->state == HEALTH_BAD &&
				   now_ms < addr->health->until_ms);
}

/* Those of the old array that the new one lacks: kept behind, or freed. */
static void refresh_rest(struct site *site, struct site_addr **fresh,
			 uint32_t *count, uint64_t now_ms)
{
	uint32_t i, listed = *count;

	for (i = 0; i < site->addr_count; i++) {
		struct site_addr *a = site->addrs[i];

		if (addr_find(fresh, listed, &a->addr) == a)
			continue;
		a->listed = false;
		if (a->conns == 0 &&
		    (!addr_stays(a, now_ms) || *count >= ADDRS_MAX))
			site_addr_free(&a);
		else
			fresh[(*count)++] = a;
	}
}

static void refresh_undo(struct site *site, struct site_addr **fresh,
			 uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		if (addr_find(site->addrs, site->addr_count, &fresh[i]->addr) ==
		    NULL)
			site_addr_free(&fresh[i]);
	free(fresh);
}

/* The addresses of the set, in its order, without doubles. */
static int refresh_listed(struct site *site, const struct mxset *set,
			  struct site_addr **fresh, uint32_t *count)
{
	uint16_t h, n;

	for (h = 0; h < set->host_count; h++)
		for (n = 0; n < set->hosts[h].addr_count; n++) {
			const struct mx_addr *addr = &set->hosts[h].addrs[n];

			if (addr_find(fresh, *count, addr) != NULL)
				continue;
			fresh[*count] = addr_take(site, &set->hosts[h], addr);
			if (fresh[*count] == NULL)
				return -ENOMEM;
			(*count)++;
		}
	return 0;
}

int site_refresh(struct site *site, const struct mxset *set, uint64_t now_ms)
{
	struct site_addr **fresh;
	uint32_t i, count = 0, listed;
	size_t room = (size_t)MX_HOSTS_MAX * MX_ADDRS_MAX + site->addr_count;

	BUG_ON(set->host_count > MX_HOSTS_MAX);
	fresh = calloc(room, sizeof(struct site_addr *));
	if (fresh == NULL)
		return -ENOMEM;
	if (refresh_listed(site, set, fresh, &count) < 0) {
		refresh_undo(site, fresh, count);
		return -ENOMEM;
	}
	listed = count;
	refresh_rest(site, fresh, &count, now_ms);
	for (i = 0; i < listed; i++)
		fresh[i]->listed = true;
	free(site->addrs);
	/* Most sites have a few: do not keep room for the largest. */
	site->addrs = realloc(fresh, (count + 1) * sizeof(*fresh));
	if (site->addrs == NULL)
		site->addrs = fresh;
	site->addr_count = count;
	site->refresh_ms = set->expires_ms;
	return 0;
}

/* --- for people ---------------------------------------------------------- */

uint32_t site_window(const struct site *site)
{
	const struct limits *l = site->limits;
	uint32_t i, window = 0;

	for (i = 0; i < site->addr_count && site->addrs[i]->listed; i++)
		window += site->addrs[i]->window.size;
	return window < l->window.size ? window : l->window.size;
}

void site_describe(const struct site *site, uint64_t now_ms,
		   struct site_info *info_r)
{
	const struct limits *l = site->limits;
	uint32_t i, bad = 0, listed = 0;
	uint32_t messages = site_limits_messages(l, &site->table->set);
	uint64_t until = SITE_NEVER;

	*info_r = (struct site_info){ .name = site->name,
				      .connecting = site->connecting,
				      .sessions = site->sessions,
				      .busy = site->busy,
				      .paused = site->paused,
				      .per_second =
					      (l->pace.limit_m + 999) / 1000,
				      .messages = messages };
	for (i = 0; i < site->addr_count && site->addrs[i]->listed; i++) {
		const struct site_addr *a = site->addrs[i];
		uint32_t n = site_addr_messages(a, messages, now_ms);

		listed++;
		if (n < info_r->messages)
			info_r->messages = n;
		if (a->health->state != HEALTH_BAD)
			continue;
		bad++;
		if (a->health->until_ms < until)
			until = a->health->until_ms;
	}
	info_r->addresses = listed;
	info_r->addresses_bad = bad;
	info_r->window = site_window(site);
	info_r->dead = listed == bad;
	if (info_r->dead && until != SITE_NEVER)
		info_r->until_ms = until;
	else if (l->pause_ms > now_ms)
		info_r->until_ms = l->pause_ms;
	memcpy(info_r->why, l->why, sizeof(info_r->why));
}
