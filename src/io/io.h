#ifndef MTAQ_IO_IO_H
#define MTAQ_IO_IO_H

/*
 * io/io.h - the seam between mtaq and sockets
 *
 *	io_connect, io_send, io_recv, io_close ... ──► struct io_ops
 *	                                               ring.c | poll.c | tests
 *	io_wait ◄── struct io_done, one for each operation begun
 *
 * A caller begins operations and pulls their completions.  The rules:
 *
 *  1. Every operation that was begun (its call returned >= 0) completes
 *     exactly once, through io_wait().  Exceptions: io_accept(), which
 *     completes once per connection until it completes with an error, and
 *     io_wake(), whose calls melt into one.
 *  2. A completion brings back the token that its operation was given: the
 *     caller's slot and generation.  A caller that reuses a slot raises the
 *     generation and drops completions with an old one.
 *  3. Memory given to io_send() (the iovec array too, which may be changed)
 *     and io_recv() is lent until that operation's completion.
 *  4. A handle is made by io_connect(), io_listen(), io_adopt(), or comes
 *     from IO_ACCEPT.  It lives until its IO_CLOSE, whatever failed before:
 *     a refused connect still needs its io_close().
 *  5. In flight at once per handle: one of connect, accept or send, and one
 *     of recv or poll.  Breaking this, or using a dead handle, is a BUG_ON.
 *  6. After io_close() or io_abort() what is in flight completes early (with
 *     an error, or 0 for a recv), then comes IO_CLOSE, always the last.
 *  7. One thread: the one that called io_new() (io_uring holds us to it).
 *     Only io_wake() may come from others.
 *  8. Nothing has a timeout: the caller keeps deadlines in a wheel
 *     (base/wheel.h) and closes what is late.
 *
 * Operations may be handed to the kernel only by the next io_wait(): nothing
 * is promised to move before that call.
 */
#include "base/mxset.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#define IO_WHY_MAX       160      /* octets of a reason, its NUL included */
#define IO_CONNS_MAX     0xfffffu /* the most that conns_max may say */
#define IO_ADDR_TEXT_MAX 128      /* octets of an address in words */

enum io_backend {
	IO_BACKEND_AUTO,     /* io_uring, or epoll where the kernel refuses */
	IO_BACKEND_IO_URING, /* or fail */
	IO_BACKEND_EPOLL
};

enum io_op {
	IO_CONNECT = 1, /* result 0 or -errno (-ECANCELED after io_close) */
	IO_SEND,        /* octets: all of them, or -errno */
	IO_RECV,        /* octets > 0, 0 at the end of the stream, -errno */
	IO_POLL,        /* 0: readable (or hung up); -errno */
	IO_ACCEPT,      /* a new handle, or -errno: then io_accept() again */
	IO_CLOSE,       /* 0: the handle is dead */
	IO_WAKE         /* 0; io_wake() was called, perhaps several times */
};

/* The caller's own: told back, never looked at. */
struct io_token {
	uint32_t slot, gen;
};

struct io_done {
	enum io_op op;
	int conn; /* the handle; -1 for IO_WAKE */
	struct io_token token;
	int result;
};

struct io_addr {
	socklen_t len; /* 0: none */
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	} u;
};

struct io_settings {
	enum io_backend backend;
	unsigned entries;   /* submissions a turn; 0: 1024 */
	unsigned conns_max; /* handles alive at once; 0: 1024 */
	/* Where completions come in numbers, io_wait() may stay for half a
	 * millisecond until some more are there (gather.h; io_uring alone). */
	bool gathers;
};

struct io_counters {
	uint64_t turns;       /* calls of io_wait() */
	uint64_t syscalls;    /* as far as io made them */
	uint64_t completions; /* given out by io_wait() */
	uint64_t sent_octets, received_octets;
	uint64_t sends_short;  /* sends that had to be begun again */
	uint64_t stale;        /* completions of an old generation, dropped */
	uint64_t conns_open;   /* handles alive now */
	uint64_t conns_peak;   /* the most there were */
	uint64_t conns_opened; /* connected or accepted or adopted so far */
};

struct io;

/* One function for each wrapper below, with its contract. */
struct io_ops {
	const char *name;
	void (*free)(struct io *io);
	int (*connect)(struct io *io, const struct io_addr *src,
		       const struct io_addr *dst, struct io_token token);
	int (*listen)(struct io *io, const struct io_addr *at);
	int (*adopt)(struct io *io, int fd);
	void (*accept)(struct io *io, int conn, struct io_token token);
	void (*send)(struct io *io, int conn, struct iovec *iov, size_t count,
		     struct io_token token);
	void (*recv)(struct io *io, int conn, void *p, size_t len,
		     struct io_token token);
	void (*poll)(struct io *io, int conn, struct io_token token);
	void (*close)(struct io *io, int conn, bool abort,
		      struct io_token token);
	int (*pending)(struct io *io, int conn);
	int (*fd)(struct io *io, int conn);
	void (*wake)(struct io *io);
	uint64_t (*now_ms)(struct io *io);
	int (*wait)(struct io *io, int timeout_ms, struct io_done *done,
		    size_t max);
};

/* The first member of every back end's own struct. */
struct io {
	const struct io_ops *ops;
	struct io_counters counters;
};

/*
 * Make an io for the calling thread.  io_uring is tried by itself first: a
 * ring is made, every opcode in use is probed, and octets go through a Unix
 * socket from connect to close.  AUTO falls back to epoll when the kernel says ENOSYS, EPERM,
 * EINVAL or ENOMEM; why then names the cause in one line.  why is "" when
 * nothing was wrong and names what failed when the result is negative.
 */
int io_new(const struct io_settings *settings, char why[IO_WHY_MAX],
	   struct io **io_r);

/* Why this process may not use io_uring at all, and what to do about it, for
 * people; "" when it may. */
#define IO_ADVICE_MAX 400
void io_ring_advice(char *words, size_t size);

/* Aborts what is open, waits for memory that is lent, frees; clears *io. */
static inline void io_free(struct io **io)
{
	struct io *old = *io;

	*io = NULL;
	if (old != NULL)
		old->ops->free(old);
}

/* "io_uring", "epoll", ... for people and for tests. */
static inline const char *io_backend_name(const struct io *io)
{
	return io->ops->name;
}

/*
 * Begin to connect a TCP (TCP_NODELAY) or Unix stream socket to dst, from
 * the address src (its port is usually 0) when that is not NULL.  A handle,
 * or at once -EMFILE, -ENFILE (descriptors, or conns_max), -EADDRNOTAVAIL
 * (src is not ours), -EAFNOSUPPORT, -ENOBUFS, -ENOMEM.  Then IO_CONNECT.
 */
static inline int io_connect(struct io *io, const struct io_addr *src,
			     const struct io_addr *dst, struct io_token token)
{
	return io->ops->connect(io, src, dst, token);
}

/*
 * Does this machine know a way to dst, from src when that is not NULL?  0, or
 * -errno: -ENETUNREACH, -EHOSTUNREACH or -EACCES of the routing table,
 * -EADDRNOTAVAIL, -EMFILE ...  Nothing is sent.  Tells a missing way of our
 * own from a router's or a host's "unreachable", which connect() gives alike.
 */
int io_way_out(const struct io_addr *src, const struct io_addr *dst);

/* A listening handle, or -errno of socket, bind or listen.  TCP sockets take
 * SO_REUSEADDR; a Unix path that is there already is -EADDRINUSE. */
static inline int io_listen(struct io *io, const struct io_addr *at)
{
	return io->ops->listen(io, at);
}

/* Own a descriptor from elsewhere; O_NONBLOCK becomes what the back end
 * needs.  A handle, or -errno: then fd is still the caller's.  Pipes, eventfds and epoll fds may
 * be adopted for io_poll() and io_close(); sockets for everything. */
static inline int io_adopt(struct io *io, int fd)
{
	return io->ops->adopt(io, fd);
}

/* Give connections from now on: an IO_ACCEPT for each, until one with a
 * negative result (-EMFILE: no descriptor, or conns_max), which ends it. */
static inline void io_accept(struct io *io, int conn, struct io_token token)
{
	io->ops->accept(io, conn, token);
}

/* Send all octets of iov[0..count), 1 <= count <= IOV_MAX (1024). */
static inline void io_send(struct io *io, int conn, struct iovec *iov,
			   size_t count, struct io_token token)
{
	io->ops->send(io, conn, iov, count, token);
}

/* Receive what there is, at most len > 0 octets. */
static inline void io_recv(struct io *io, int conn, void *p, size_t len,
			   struct io_token token)
{
	io->ops->recv(io, conn, p, len, token);
}

/* Tell once when the descriptor is readable. */
static inline void io_poll(struct io *io, int conn, struct io_token token)
{
	io->ops->poll(io, conn, token);
}

/* Close in good order: what an IO_SEND has reported still reaches the peer.
 * A send in flight is cut short: wait for it where its octets matter.  Octets
 * that came and were not received make TCP send a reset, as always. */
static inline void io_close(struct io *io, int conn, struct io_token token)
{
	io->ops->close(io, conn, false, token);
}

/* Close at once: unsent octets are thrown away and a TCP peer sees a reset.
 * The way to give up a connect in flight too (io_close() does the same). */
static inline void io_abort(struct io *io, int conn, struct io_token token)
{
	io->ops->close(io, conn, true, token);
}

/*
 * For the coherence rule (SMTP.md 19): octets that came and that no IO_RECV
 * has given out yet (of many, some), or -errno.  The end of the connection,
 * and its failure, count as an octet.  What lies in completions that io_wait()
 * has given out is for the caller to count: look through the batch first.
 */
static inline int io_pending(struct io *io, int conn)
{
	return io->ops->pending(io, conn);
}

/* Let the kernel acknowledge at once what came over TCP; it would wait up to
 * 40 ms for octets of ours to go along.  A hint: it cannot fail. */
void io_ack_now(struct io *io, int conn);

/* The descriptor, borrowed for getsockopt() and the like; -1 when the back
 * end has none. */
static inline int io_fd(struct io *io, int conn)
{
	return io->ops->fd(io, conn);
}

/* Make io_wait() return with an IO_WAKE; from any thread. */
static inline void io_wake(struct io *io)
{
	io->ops->wake(io);
}

/* Monotonic milliseconds. */
static inline uint64_t io_now_ms(struct io *io)
{
	return io->ops->now_ms(io);
}

/*
 * Hand over what was begun, wait until something completes or timeout_ms >= 0
 * have passed (0: do not wait), and give out at most max completions.  Their
 * count, or -errno when the back end itself is broken (never -EINTR, -ETIME).
 */
static inline int io_wait(struct io *io, int timeout_ms, struct io_done *done,
			  size_t max)
{
	return io->ops->wait(io, timeout_ms, done, max);
}

/* Addresses. */
void io_addr_from_mx(const struct mx_addr *mx, struct io_addr *addr_r);
/* "192.0.2.1:25", "[2001:db8::1]:25", an address without a port (then port
 * is taken), or a path that begins with a slash.  0 or -EINVAL. */
int io_addr_parse(struct span text, uint16_t port, struct io_addr *addr_r);
/* The same in words, always with a NUL. */
void io_addr_text(const struct io_addr *addr, char text[IO_ADDR_TEXT_MAX]);

#endif
