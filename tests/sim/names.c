/*
 * tests/sim/names.c - the resolver's place
 *
 * Domain d leads to the site that the seed says; some move now and then, some
 * have no answer or a bad one for a while.
 */
#include "sim.h"

#include "base/hash.h"
#include "engine/wire.h"

#include <stdio.h>
#include <stdlib.h>

#define LANE_BYTES (1u << 20)
#define MOVE_US    (900ull * 1000000)
#define SPELL_US   (1200ull * 1000000)

void names_open(void)
{
	struct resolver *r = &life.resolver;

	BUG_ON(lane_init(&r->from_store, LANE_BYTES, &life.storer.bell,
			 &r->bell) < 0);
	BUG_ON(lane_init(&r->to_store, LANE_BYTES, &r->bell,
			 &life.storer.bell) < 0);
}

void names_turn(void)
{
	struct resolver *r = &life.resolver;
	const struct dns_ask_message *a;
	size_t len;

	bell_doze(&r->bell);
	lane_settle(&r->from_store);
	while ((a = lane_peek(&r->from_store, &len)) != NULL) {
		char name[257];

		memcpy(name, a->name, a->len);
		name[a->len] = '\0';
		event_add(some(chance(20) ? 20000000 : 100000), EV_NAME,
			  a->domain, 0, (uint32_t)strtoul(name + 1, NULL, 10));
		lane_consume(&r->from_store);
	}
}

static uint32_t site_of(uint32_t domain)
{
	uint64_t spell = domain % 4 == 0 ? world->now_us / MOVE_US : 0;

	return (uint32_t)(hash_pair(hash_pair(world->seed, domain), spell) %
			  SITES);
}

static enum mx_status status_of(uint32_t domain)
{
	uint64_t h = hash_pair(hash_pair(world->seed + 1, domain),
			       world->now_us / SPELL_US) %
		     1000;

	if (world->calm || h < 950)
		return MX_OK;
	if (h < 985)
		return MX_TEMPFAIL;
	return h < 990 ? MX_NXDOMAIN : h < 995 ? MX_NULL : MX_NO_ADDRESS;
}

static struct mxset *set_of(uint32_t domain)
{
	uint32_t site = site_of(domain), hosts = 1 + site % HOSTS, i;
	enum mx_status status = status_of(domain);
	struct mxset *set = mxset_new(status == MX_OK ? (uint16_t)hosts : 0);
	char name[40];

	BUG_ON(set == NULL);
	set->status = status;
	set->expires_ms = world->now_us / 1000 + 30000 + some(1800000);
	if (status != MX_OK) {
		(void)snprintf(set->why, sizeof(set->why), "simulated");
		if (status != MX_TEMPFAIL)
			world->no_domain[domain] = true;
		return set;
	}
	for (i = 0; i < hosts; i++) {
		struct mx_host *h = &set->hosts[i];

		(void)snprintf(name, sizeof(name), "mx%u.s%u.sim", i, site);
		BUG_ON(mxset_name(set, (uint16_t)i, span_str(name)) < 0);
		h->preference = (uint16_t)(site % 2 == 0 ? 10 : 10 * (i + 1));
		h->addr_count = 1;
		h->addrs[0] = (struct mx_addr){ .family = 4,
						.port = 25,
						.ip = { 10, 0, (uint8_t)site,
							(uint8_t)i } };
	}
	return set;
}

void names_answer(uint32_t number, uint32_t domain)
{
	struct lane *lane = &life.resolver.to_store;
	struct dns_answer_message *m = lane_reserve(lane, sizeof(*m));

	if (m == NULL) {
		event_add(10000, EV_NAME, number, 0, domain);
		return;
	}
	*m = (struct dns_answer_message){ .domain = number,
					  .set = set_of(domain % DOMAINS) };
	lane_publish(lane);
}
