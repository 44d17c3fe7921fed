/*
 * engine/drip.c - how long the octets of who drips are left to gather
 */
#include "engine/drip.h"

#include <string.h>

uint64_t drip_wait_ms(struct drip *d, const char *p, size_t len,
		      uint64_t now_ms)
{
	uint64_t wait;

	if (len > DRIP_PIECE_MAX || memchr(p, '\n', len) != NULL) {
		d->pieces = 0;
		return 0;
	}
	if (d->pieces++ == 0)
		d->first_ms = now_ms;
	if (d->pieces < DRIP_PIECES_FREE)
		return 0;
	wait = (now_ms - d->first_ms) / (d->pieces - 1) * DRIP_PIECES_EACH;
	return wait < DRIP_MS_MAX ? wait : DRIP_MS_MAX;
}
