/*
 * engine/route.c - the hosts that an entry of routes: leads to
 */
#include "engine/route.h"

#include "base/bug.h"

#include <arpa/inet.h>

#define FOREVER UINT64_MAX

bool route_is_address(const char *host)
{
	uint8_t ip[16];

	return inet_pton(AF_INET, host, ip) == 1 ||
	       inet_pton(AF_INET6, host, ip) == 1;
}

struct mxset *route_set(const struct settings_endpoint *to)
{
	struct mxset *set = mxset_new(1);
	struct mx_addr *a;

	if (set == NULL)
		return NULL;
	a = &set->hosts[0].addrs[0];
	set->status = MX_OK;
	set->expires_ms = FOREVER;
	set->hosts[0].addr_count = 1;
	a->port = to->port;
	if (inet_pton(AF_INET, to->host, a->ip) == 1) {
		a->family = 4;
	} else {
		BUG_ON(inet_pton(AF_INET6, to->host, a->ip) != 1);
		a->family = 6;
	}
	if (mxset_name(set, 0, span_str(to->host)) < 0)
		mxset_unref(&set);
	return set;
}

struct mxset *route_with_port(const struct mxset *from, uint16_t port)
{
	struct mxset *set = mxset_new(from->host_count);
	uint16_t i, j;

	if (set == NULL)
		return NULL;
	set->status = from->status;
	set->expires_ms = from->expires_ms;
	set->implicit = from->implicit;
	memcpy(set->why, from->why, sizeof(set->why));
	for (i = 0; i < from->host_count; i++) {
		struct mx_host *h = &set->hosts[i];

		*h = from->hosts[i];
		h->name = NULL;
		for (j = 0; j < h->addr_count; j++)
			h->addrs[j].port = port;
		if (mxset_name(set, i, span_str(from->hosts[i].name)) < 0) {
			mxset_unref(&set);
			return NULL;
		}
	}
	return set;
}
