#ifndef MTAQ_ENGINE_LANE_H
#define MTAQ_ENGINE_LANE_H

/*
 * Hand-offs between threads: a lane is a ring of messages from one thread to
 * one other; a bell is how a thread is woken, whichever of its lanes fills.
 *
 *	sender:    p = lane_reserve(l, len); fill p; lane_publish(l);
 *	receiver:  p = lane_peek(l, &len);   read p; lane_consume(l);
 *
 * A thread that has nothing to do says bell_doze(), looks at all its lanes
 * once more, and then waits on the bell; whoever publishes meanwhile sees the
 * sign and rings.  Ringing a bell that nobody waits on costs one load.
 */
#include "base/mring.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct io;

struct bell {
	atomic_bool dozing;
	atomic_bool rests; /* its thread looks again by itself, soon */
	int fd;            /* eventfd; -1 when io is used */
	struct io *io;     /* rung by io_wake(); NULL when fd is used */
};

int bell_init(struct bell *b);
void bell_init_io(struct bell *b, struct io *io);
void bell_free(struct bell *b);
void bell_ring(struct bell *b);
/* The same, unless its thread rests: for what can wait until it looks again.
 * Each ring takes a thread from its work, and a core from another. */
void bell_remind(struct bell *b);
/* This thread will look at its lanes soon, whoever rings.  Said before
 * bell_doze(), taken back before it looks again. */
void bell_rest(struct bell *b, bool rests);
/* Say that this thread is about to wait.  Look at the lanes after it. */
void bell_doze(struct bell *b);
void bell_awake(struct bell *b);
/* Wait until the bell rings or timeout_ms (-1: for ever) have passed, and be
 * awake.  Only for a bell with an fd. */
void bell_wait(struct bell *b, int timeout_ms);

struct lane {
	struct mring *ring;
	struct bell *to;
	struct bell *from;      /* the sender's, or NULL */
	atomic_bool wants_room; /* the sender waits for room */
};

int lane_init(struct lane *l, size_t size, struct bell *from, struct bell *to);
void lane_free(struct lane *l);

static inline void *lane_reserve(struct lane *l, size_t len)
{
	return mring_reserve(l->ring, len);
}

static inline void lane_publish(struct lane *l)
{
	mring_publish(l->ring);
	bell_ring(l->to);
}

/* For several at once: stage each, then flush.  What is staged is flushed
 * before its sender waits for anything. */
static inline void lane_stage(struct lane *l)
{
	mring_stage(l->ring);
}

static inline void lane_flush(struct lane *l)
{
	if (mring_show(l->ring))
		bell_ring(l->to);
}

void lane_give_room(struct lane *l);

/* The receiver calls this between bell_doze() and its wait: a wish for room
 * that lane_consume() could not see yet is seen here. */
static inline void lane_settle(struct lane *l)
{
	if (atomic_load(&l->wants_room))
		lane_give_room(l);
}

static inline const void *lane_peek(struct lane *l, size_t *len_r)
{
	return mring_peek(l->ring, len_r);
}

static inline void lane_consume(struct lane *l)
{
	mring_consume(l->ring);
	if (atomic_load_explicit(&l->wants_room, memory_order_relaxed))
		lane_give_room(l);
}

/* As lane_reserve(); when it gives NULL, the sender's bell will ring after
 * the receiver has taken something. */
void *lane_reserve_or_wait(struct lane *l, size_t len);

#endif
