#ifndef MTAQ_ENGINE_RESOLVER_H
#define MTAQ_ENGINE_RESOLVER_H

/*
 * The resolver thread: one c-ares channel, one cache, one single flight.
 * The store asks for domains by its own numbers and gets sets of hosts.
 */
#include "dns/dns.h"
#include "engine/lane.h"

#include <pthread.h>

struct resolver {
	struct dns *dns;
	struct bell bell;
	struct lane from_store, to_store;
	atomic_bool stop;
	unsigned failed; /* answers in a row that could not be used */
	pthread_t thread;
	/* As struct dns_counters, from any thread, a moment old. */
	_Atomic uint64_t asked, hits, joined, stale, queries, timeouts,
		failures, outstanding, cached;
};

int resolver_init(struct resolver *r, const struct dns_settings *set,
		  struct bell *store);
int resolver_start(struct resolver *r);
void resolver_stop(struct resolver *r);
void resolver_free(struct resolver *r);

#endif
