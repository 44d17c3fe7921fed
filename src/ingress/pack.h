#ifndef MTAQ_INGRESS_PACK_H
#define MTAQ_INGRESS_PACK_H

/*
 * Messages gathered into frames, for the socket and for the drop folder.
 *
 * A frame is open while messages may still be added, then sealed: octets
 * ready to be written, whatever becomes of them.
 */
#include "ingress/frame.h"

struct pack {
	struct buf b;    /* the frame being filled, its head first */
	uint16_t count;  /* messages in it */
	uint32_t number; /* of the frame; the first is 1 */
	bool sealed;
};

#define PACK_BYTES_MAX (128u << 20) /* of one frame with its parts */

/* Octets of payload so far. */
static inline size_t pack_payload(const struct pack *p)
{
	return p->b.len - FRAME_HEAD_SIZE;
}

void pack_init(struct pack *p);
void pack_free(struct pack *p);
/*
 * Add a message.  0; -EAGAIN: the frame is full: seal it, take b, call
 * pack_next(), add again; -EINVAL, -EMSGSIZE: never; -ENOMEM.  A large message
 * seals its frame itself.
 */
int pack_add(struct pack *p, const struct submit_message *msg);
/* Needs count > 0.  more: the next frame follows at once. */
void pack_seal(struct pack *p, bool more);
/* Begin the next frame in an empty buffer; the caller has taken or cleared
 * b. */
int pack_next(struct pack *p);

#endif
