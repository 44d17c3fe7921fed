/*
 * site/host.c - one address of a site, and what it has taught us
 */
#include "site/site_private.h"

#include <stdlib.h>

#define HOLD_FIRST_MS   1000u
#define HOLD_MAX_MS     60000u
#define OURS_FIRST_MS   1000u
#define OURS_MAX_MS     60000u
#define REFUSED_KEEP_MS 600000u
#define LEARNED_GROW    64u /* sessions in peace before a message more */

struct site_addr *site_addr_new(const struct site *site,
				const struct mx_host *host,
				const struct mx_addr *addr)
{
	const struct window *w = &site->limits->window;
	struct site_addr *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->host = strdup(host->name == NULL ? "" : host->name);
	a->health = site_health_get(site->table, addr);
	if (a->host == NULL || a->health == NULL) {
		site_health_put(&a->health);
		free(a->host);
		free(a);
		return NULL;
	}
	a->addr = *addr;
	a->preference = host->preference;
	list_init(&a->connecting);
	window_init(&a->window, w->size, w->max);
	return a;
}

void site_addr_free(struct site_addr **addr)
{
	struct site_addr *a = *addr;

	*addr = NULL;
	if (a == NULL)
		return;
	BUG_ON(a->conns != 0);
	site_health_put(&a->health);
	free(a->host);
	free(a);
}

void site_addr_why(struct site_addr *addr, const struct smtp_verdict *verdict,
		   uint64_t now_ms)
{
	if (addr->health->why == NULL)
		addr->health->why = malloc(SITE_WHY_MAX);
	if (addr->health->why == NULL)
		return; /* nothing but words for people */
	site_reply_line(addr->health->why, verdict);
	addr->health->why_ms = now_ms;
}

uint64_t site_addr_ours(struct site_addr *addr, uint64_t now_ms)
{
	uint32_t pause =
		addr->ours_for_ms == 0 ? OURS_FIRST_MS : 2 * addr->ours_for_ms;

	/* Connections that were already out count as one failure. */
	if (addr->ours_ms > now_ms)
		return addr->ours_ms;
	addr->ours_for_ms = pause > OURS_MAX_MS ? OURS_MAX_MS : pause;
	addr->ours_ms = now_ms + addr->ours_for_ms;
	return addr->ours_ms;
}

bool site_host(const struct site *site, uint32_t n, uint64_t now_ms,
	       struct site_host_info *info_r)
{
	static const char *const names[HEALTH_COUNT] = {
		[HEALTH_UNKNOWN] = "unknown",
		[HEALTH_WELL] = "well",
		[HEALTH_BAD] = "bad",
	};
	const struct site_addr *a;

	if (n >= site->addr_count)
		return false;
	a = site->addrs[n];
	*info_r = (struct site_host_info){
		.host = a->host,
		.addr = a->addr,
		.preference = a->preference,
		.listed = a->listed,
		.health = names[a->health->state],
		.until_ms = a->health->state == HEALTH_BAD ? a->health->until_ms
							   : 0,
		.hold_ms = a->hold_ms > now_ms ? a->hold_ms : 0,
		.conns = a->conns,
		.sessions = a->sessions,
		.window = a->window.size,
		.messages = now_ms < a->learned_until_ms ? a->learned : 0,
		.why = a->health->why == NULL ? "" : a->health->why,
		.why_ms = a->health->why_ms,
	};
	site_earn_describe(a->health, now_ms, info_r);
	return true;
}

void site_addr_crowded(struct site_addr *addr, uint32_t pause_ms,
		       uint64_t now_ms)
{
	uint32_t hold = addr->hold_for_ms * 2;

	window_less(&addr->window);
	if (now_ms < addr->hold_ms)
		return;
	/* What ends meanwhile may be replaced: the server took that many. */
	addr->hold_size = addr->sessions;
	/* Refusals in a row wait longer; a quiet time forgets. */
	if (now_ms > addr->hold_ms + HOLD_MAX_MS || hold < HOLD_FIRST_MS)
		hold = HOLD_FIRST_MS;
	if (hold > HOLD_MAX_MS)
		hold = HOLD_MAX_MS;
	addr->hold_for_ms = hold;
	addr->hold_ms = now_ms + (hold > pause_ms ? hold : pause_ms);
}

void site_addr_learn(struct site_addr *addr, const struct site_settings *set,
		     uint32_t carried, uint64_t now_ms)
{
	BUG_ON(carried == 0);
	addr->learned = carried;
	addr->learned_full = 0;
	addr->learned_until_ms = now_ms + set->learned_ms;
}

void site_addr_full(struct site_addr *addr, uint32_t messages_max)
{
	if (addr->learned == 0 || ++addr->learned_full < LEARNED_GROW)
		return;
	addr->learned_full = 0;
	addr->learned += addr->learned / 4 + 1;
	if (addr->learned >= messages_max)
		addr->learned = 0;
}

uint32_t site_addr_messages(const struct site_addr *addr, uint32_t messages_max,
			    uint64_t now_ms)
{
	if (addr->learned == 0 || now_ms >= addr->learned_until_ms ||
	    addr->learned > messages_max)
		return messages_max;
	return addr->learned;
}

static bool refuses(const struct site_addr *a, const struct site_need *need,
		    uint64_t now_ms)
{
	if (now_ms >= a->refused_until_ms)
		return false;
	return (a->refused.bytes != 0 && need->bytes >= a->refused.bytes) ||
	       (a->refused.bits & need->bits) != 0;
}

void site_conn_refuses(struct site_conn *conn, const struct site_need *need,
		       uint64_t now_ms)
{
	struct site_addr *a = conn->addr;

	if (now_ms >= a->refused_until_ms)
		a->refused = (struct site_need){ 0 };
	if (need->bytes != 0 &&
	    (a->refused.bytes == 0 || need->bytes < a->refused.bytes))
		a->refused.bytes = need->bytes;
	a->refused.bits |= need->bits;
	a->refused_until_ms = now_ms + REFUSED_KEEP_MS;
}

bool site_conn_fits(const struct site_conn *conn, const struct site_need *need,
		    uint64_t now_ms)
{
	return !refuses(conn->addr, need, now_ms);
}

static bool same_host(const struct site *site, uint32_t a, uint32_t b)
{
	return site->addrs[b]->listed &&
	       strcmp(site->addrs[a]->host, site->addrs[b]->host) == 0;
}

bool site_addr_unfit(const struct site *site, uint32_t at,
		     const struct site_need *need, uint64_t now_ms)
{
	uint32_t i = at;

	while (i > 0 && same_host(site, at, i - 1))
		i--;
	for (; i < site->addr_count && same_host(site, at, i); i++)
		if (refuses(site->addrs[i], need, now_ms))
			return true;
	return false;
}

bool site_addr_slow(const struct site_addr *addr, uint32_t stagger_ms,
		    uint64_t now_ms)
{
	const struct site_conn *oldest;

	if (list_empty(&addr->connecting))
		return false;
	oldest = CONTAINER_OF(addr->connecting.next, struct site_conn, link);
	return now_ms >= oldest->opened_ms + stagger_ms;
}
