#ifndef MTAQ_BASE_MRING_H
#define MTAQ_BASE_MRING_H

/*
 * A bounded ring of messages of varying length between one writing and one
 * reading thread, without a lock.
 *
 *	writer:  p = mring_reserve(r, len);  fill p;  mring_publish(r);
 *	reader:  p = mring_peek(r, &len);    read p;  mring_consume(r);
 *
 * A writer with many messages stages each and shows them together: an order of
 * stores that others rely on makes the processor wait for all stores before.
 *
 * A message lies in one piece and is aligned to 8.  Waking the other side is
 * the caller's affair (engine/lane.h); mring_show() and _publish() are sequentially
 * consistent, so that a sign of sleep checked after it is seen.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mring;

/* size: a power of two, at least 64; one message may take a quarter of it.
 * NULL when out of memory. */
struct mring *mring_new(size_t size);
void mring_free(struct mring **r);
size_t mring_message_max(const struct mring *r);

/* Room for len octets, or NULL while the ring is too full.  len must not
 * pass mring_message_max().  Until mring_publish() or mring_stage() a second
 * call replaces the first. */
void *mring_reserve(struct mring *r, size_t len);
void mring_publish(struct mring *r);
/* It is whole, but not yet for the reader. */
void mring_stage(struct mring *r);
/* What was staged is for the reader; false: nothing was. */
bool mring_show(struct mring *r);

/* The oldest message, borrowed until mring_consume(); NULL when empty. */
const void *mring_peek(struct mring *r, size_t *len_r);
void mring_consume(struct mring *r);
/* Octets written and not yet consumed; from any thread, a moment old. */
size_t mring_fill(const struct mring *r);

#endif
