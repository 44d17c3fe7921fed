#ifndef MTAQ_ENGINE_DESCRIPTORS_H
#define MTAQ_ENGINE_DESCRIPTORS_H

/*
 * How many descriptors each part may use, so that none is left without: a
 * connection too many would keep the index or the event log from opening a
 * file.
 */
#include "admin/server.h"
#include "dns/dns.h"
#include "mtaq/settings.h"
#include "report/exporter.h"

#include <stddef.h>

/* At most, by thread; +1 where one too many is taken to be sent away. */
enum {
	/* standard input, output, error; the spool's lock */
	DESCRIPTORS_PROCESS = 3 + 1,
	/* bell, signals, epoll, socket; operators; /proc/self/statm */
	DESCRIPTORS_CONTROL = 4 + ADMIN_CONNS_MAX + 1 + 1,
	/* bell, epoll, socket; drop folders, their listing, a file; submitters
	 * are shared out */
	DESCRIPTORS_INGRESS = 3 + 2 + 1 + 1 + 1,
	/* bell; the segment written, the one made, a folder to sync */
	DESCRIPTORS_LOG = 1 + 3,
	/* bell; LMDB: data, meta pages, lock */
	DESCRIPTORS_STORE = 1 + 3,
	/* bell, epoll; each server by UDP and TCP */
	DESCRIPTORS_RESOLVER = 2 + 2 * DNS_SERVERS_MAX,
	/* bell; the event log, and the next one */
	DESCRIPTORS_REPORT = 1 + 2,
	/* socket, epoll, wake-up pipe; scrapers */
	DESCRIPTORS_METRICS = 1 + 1 + 2 + EXPORTER_CLIENTS_MAX + 1,

	DESCRIPTORS_OWN = DESCRIPTORS_PROCESS + DESCRIPTORS_CONTROL +
			  DESCRIPTORS_INGRESS + DESCRIPTORS_LOG +
			  DESCRIPTORS_STORE + DESCRIPTORS_RESOLVER +
			  DESCRIPTORS_REPORT + DESCRIPTORS_METRICS,
	/* bell; ring or epoll, its wake-up; a spool file or a look at a way */
	DESCRIPTORS_WORKER = 4
};
/* With fewer for connections and submitters there is no point in starting. */
#define DESCRIPTORS_LEFT_MIN 16u

struct descriptors {
	uint32_t connections, submitters;
};

/* Share out `most`: what is left of it beside the daemon's own goes to
 * submitters, at most a quarter, and to connections, each no more than its
 * limit.  0; -EMFILE: too few. */
int descriptors_share(const struct settings *set, unsigned workers,
		      uint64_t most, struct descriptors *share_r);

/* Raise the soft limit to the hard one and share that out.  Says on standard
 * error when it is less than the limits ask for.  -EMFILE: too few; words says
 * so. */
int descriptors_take(const struct settings *set, unsigned workers,
		     struct descriptors *share_r, char *words, size_t size);

#endif
