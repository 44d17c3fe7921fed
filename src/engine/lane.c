/*
 * engine/lane.c - bells and lanes: how threads hand over and wake each other
 *
 * The sign (dozing) and the ring's tail are both stored and loaded with
 * sequential consistency: a receiver stores the sign and then looks at the
 * tail, a sender stores the tail and then looks at the sign, so at least one
 * of them sees the other.  Who clears the sign rings, hence once.
 */
#include "engine/lane.h"

#include "io/io.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

int bell_init(struct bell *b)
{
	*b = (struct bell){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	return b->fd < 0 ? -errno : 0;
}

void bell_init_io(struct bell *b, struct io *io)
{
	*b = (struct bell){ .fd = -1, .io = io };
}

void bell_free(struct bell *b)
{
	if (b->fd >= 0)
		close(b->fd);
	b->fd = -1;
}

void bell_ring(struct bell *b)
{
	static const uint64_t one = 1;
	ssize_t n;

	atomic_thread_fence(memory_order_seq_cst);
	if (!atomic_load_explicit(&b->dozing, memory_order_relaxed) ||
	    !atomic_exchange(&b->dozing, false))
		return;
	if (b->io != NULL) {
		io_wake(b->io);
		return;
	}
	/* EAGAIN: the counter is full of earlier rings; it wakes as well. */
	n = write(b->fd, &one, sizeof(one));
	(void)n;
}

/* Who sent and saw that it rests is seen by its next look: that comes behind
 * the end of the rest. */
void bell_remind(struct bell *b)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (!atomic_load(&b->rests))
		bell_ring(b);
}

void bell_rest(struct bell *b, bool rests)
{
	atomic_store(&b->rests, rests);
	atomic_thread_fence(memory_order_seq_cst);
}

void bell_doze(struct bell *b)
{
	atomic_store(&b->dozing, true);
	atomic_thread_fence(memory_order_seq_cst);
}

void bell_awake(struct bell *b)
{
	atomic_store_explicit(&b->dozing, false, memory_order_relaxed);
}

void bell_wait(struct bell *b, int timeout_ms)
{
	struct pollfd p = { .fd = b->fd, .events = POLLIN };
	uint64_t rings;
	ssize_t n;

	if (poll(&p, 1, timeout_ms) > 0) {
		n = read(b->fd, &rings, sizeof(rings));
		(void)n;
	}
	bell_awake(b);
}

int lane_init(struct lane *l, size_t size, struct bell *from, struct bell *to)
{
	*l = (struct lane){ .ring = mring_new(size), .from = from, .to = to };
	return l->ring == NULL ? -ENOMEM : 0;
}

void lane_give_room(struct lane *l)
{
	if (atomic_exchange(&l->wants_room, false) && l->from != NULL)
		bell_ring(l->from);
}

void *lane_reserve_or_wait(struct lane *l, size_t len)
{
	void *p = mring_reserve(l->ring, len);

	if (p != NULL)
		return p;
	lane_flush(l); /* a receiver that sees nothing gives no room */
	atomic_store(&l->wants_room, true);
	/* It may have been emptied before it could see the wish. */
	return mring_reserve(l->ring, len);
}

void lane_free(struct lane *l)
{
	mring_free(&l->ring);
}
