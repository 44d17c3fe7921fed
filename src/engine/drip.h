#ifndef MTAQ_ENGINE_DRIP_H
#define MTAQ_ENGINE_DRIP_H

/*
 * Who says an octet at a time would have us wake for each.  From the fourth
 * small piece of a line on they are left to gather: eight times as long as they
 * have been apart, and never so long that it matters.
 */
#include <stddef.h>
#include <stdint.h>

#define DRIP_PIECE_MAX   16u /* octets, and no end of a line */
#define DRIP_PIECES_FREE 4u
#define DRIP_PIECES_EACH 8u
#define DRIP_MS_MAX      4000u

/* All zeros: nothing came yet. */
struct drip {
	uint64_t first_ms; /* the first piece of a line that is not whole */
	uint32_t pieces;   /* ... that came so far */
};

/* These octets came.  How long to wait before more are asked for. */
uint64_t drip_wait_ms(struct drip *drip, const char *p, size_t len,
		      uint64_t now_ms);

#endif
