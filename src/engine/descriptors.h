#ifndef MTAQ_ENGINE_DESCRIPTORS_H
#define MTAQ_ENGINE_DESCRIPTORS_H

/*
 * How many descriptors each part may use, so that none is left without: a
 * connection too many would keep the index or the event log from opening a
 * file.
 */
#include "mtaq/settings.h"

#include <stddef.h>

/* The daemon's own: sockets, bells, index, segments, event log, resolver,
 * drop files, operators; and for each worker. */
#define DESCRIPTORS_OWN    64u
#define DESCRIPTORS_WORKER 4u
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
