#ifndef MTAQ_ENGINE_OURS_H
#define MTAQ_ENGINE_OURS_H

/*
 * Connections that fail for a reason of our own machine.  No host is blamed
 * and no mail charged; the operator is told once, not once a connection.
 * Shared by all threads.
 */
#include "base/tally.h"

#include <stddef.h>

enum ours_kind {
	OURS_RESOURCES, /* no descriptor, no memory: nothing can connect */
	OURS_SOURCE,    /* no local port, or the source is not our address */
	OURS_READING,   /* neither, for a message that is to be sent */
	OURS_IPV4,      /* no way out to such addresses */
	OURS_IPV6,
	OURS_KINDS
};

struct ours {                                  /* zeroed at start */
	_Atomic uint64_t until_ms[OURS_KINDS]; /* taken to last until then */
	_Atomic int error[OURS_KINDS];         /* the latest, negative errno */
};

/* It has happened (again), and is tried again at again_ms.  True: it did not
 * last already, somebody should be told. */
bool ours_note(struct ours *o, enum ours_kind kind, int err, uint64_t now_ms,
	       uint64_t again_ms);
/* What lasts at now_ms, in words; "" when nothing does. */
void ours_words(const struct ours *o, uint64_t now_ms, char *words,
		size_t size);

#endif
