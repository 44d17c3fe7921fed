/*
 * io/poll.c - the epoll back end
 *
 *	io_send() ... ─► list of handles to try ◄─ events (edge-triggered)
 *	wait(): try them, ask epoll once, try again
 *
 * A descriptor is registered once, for all events, edge-triggered.
 * can_read and can_write say that nothing has answered EAGAIN since the last
 * event; an operation is tried while its flag stands, so a socket that is
 * never full costs no event at all.  Closing needs no kernel's consent here:
 * what is in flight is only noted, and is ended in the next turn.
 */
#include "io/io_private.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EVENTS_MAX 256
#define WAKE_DATA  UINT64_MAX

struct poll {
	struct io io;
	struct conns conns;
	int ep, wake_fd;
	uint32_t try_head, try_tail;
	bool wake_due;
	_Atomic bool woken;
};

static struct poll *poll_of(struct io *io)
{
	return CONTAINER_OF(io, struct poll, io);
}

/* The list of handles to try */

static void queue_try(struct poll *p, struct conn *conn)
{
	uint32_t index = conns_index(&p->conns, conn);

	if (conn->queued)
		return;
	conn->queued = true;
	conn->next = CONN_NONE;
	if (p->try_tail == CONN_NONE)
		p->try_head = index;
	else
		p->conns.tab[p->try_tail].next = index;
	p->try_tail = index;
}

static struct conn *pop_try(struct poll *p)
{
	struct conn *conn;

	if (p->try_head == CONN_NONE)
		return NULL;
	conn = &p->conns.tab[p->try_head];
	p->try_head = conn->next;
	if (p->try_head == CONN_NONE)
		p->try_tail = CONN_NONE;
	conn->queued = false;
	return conn;
}

/* Trying: true when *done_r was filled */

static bool try_connect(struct poll *p, struct conn *conn,
			struct io_done *done_r)
{
	int err = conn->connect_result;
	socklen_t len = sizeof(err);

	if (!conn->can_write)
		return false;
	if (err == 0 &&
	    getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		err = errno;
	p->io.counters.syscalls++;
	*done_r = conns_end_tx(&p->conns, conn, err > 0 ? -err : err);
	return true;
}

static bool try_send(struct poll *p, struct conn *conn, struct io_done *done_r)
{
	while (conn->can_write) {
		ssize_t n = sendmsg(conn->fd, &conn->u.msg,
				    MSG_NOSIGNAL | MSG_DONTWAIT);

		p->io.counters.syscalls++;
		if (n >= 0 && conn_sent(conn, (size_t)n)) {
			*done_r = conns_end_tx(&p->conns, conn,
					       conn_send_result(conn));
			return true;
		}
		if (n >= 0) {
			p->io.counters.sends_short++;
		} else if (errno == EAGAIN) {
			conn->can_write = false;
		} else if (errno != EINTR) {
			*done_r = conns_end_tx(&p->conns, conn, -errno);
			return true;
		}
	}
	return false;
}

static int own(struct poll *p, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP |
					    EPOLLET };
	struct conn *conn;
	int err, handle = conns_take(&p->conns, fd);

	if (handle < 0)
		return handle;
	conn = conns_at(&p->conns, handle);
	ev.data.u64 = io_pack(0, conn->gen, conns_index(&p->conns, conn));
	p->io.counters.syscalls++;
	if (epoll_ctl(p->ep, EPOLL_CTL_ADD, fd, &ev) == 0)
		return handle;
	err = -errno;
	conns_release(&p->conns, conn);
	return err;
}

static bool accept_transient(int err)
{
	return err == ECONNABORTED || err == EPROTO || err == EINTR ||
	       err == ENETDOWN || err == EHOSTUNREACH || err == ENETUNREACH;
}

static bool try_accept(struct poll *p, struct conn *conn,
		       struct io_done *done_r)
{
	while (conn->can_read) {
		int handle, fd;

		fd = accept4(conn->fd, NULL, NULL,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
		p->io.counters.syscalls++;
		if (fd < 0 && errno == EAGAIN) {
			conn->can_read = false;
			continue;
		}
		if (fd < 0 && accept_transient(errno))
			continue;
		handle = fd < 0 ? -errno : own(p, fd);
		if (handle >= 0) {
			*done_r =
				(struct io_done){ IO_ACCEPT,
						  conns_handle(&p->conns, conn),
						  conn->tx_token, handle };
			return true;
		}
		if (fd >= 0)
			close(fd);
		*done_r = conns_end_tx(&p->conns, conn, handle);
		return true;
	}
	return false;
}

static bool try_tx(struct poll *p, struct conn *conn, struct io_done *done_r)
{
	switch (conn->tx) {
	case IO_CONNECT:
		return try_connect(p, conn, done_r);
	case IO_SEND:
		return try_send(p, conn, done_r);
	case IO_ACCEPT:
		return try_accept(p, conn, done_r);
	default:
		return false;
	}
}

static bool try_poll(struct poll *p, struct conn *conn, struct io_done *done_r)
{
	struct pollfd pfd = { .fd = conn->fd, .events = POLLIN };

	p->io.counters.syscalls++;
	/* Asked anew: the caller reads such a descriptor behind our back. */
	if (poll(&pfd, 1, 0) <= 0)
		return false;
	*done_r = conns_end_rx(&p->conns, conn, 0);
	return true;
}

static bool try_recv(struct poll *p, struct conn *conn, struct io_done *done_r)
{
	while (conn->can_read) {
		ssize_t n =
			recv(conn->fd, conn->rx_p, conn->rx_len, MSG_DONTWAIT);

		p->io.counters.syscalls++;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			conn->can_read = false;
			return false;
		}
		/* Less than asked for: it is empty, more makes an event.  An
		 * end or error that has made its event already does not. */
		if (n >= 0 && (size_t)n < conn->rx_len && !conn->hung_up)
			conn->can_read = false;
		*done_r =
			conns_end_rx(&p->conns, conn, n < 0 ? -errno : (int)n);
		return true;
	}
	return false;
}

static bool end_next(struct poll *p, struct conn *conn, struct io_done *done_r)
{
	if (conn->tx) {
		*done_r = conns_end_tx(&p->conns, conn, -ECANCELED);
	} else if (conn->rx) {
		*done_r = conns_end_rx(&p->conns, conn, -ECANCELED);
	} else {
		close(conn->fd);
		p->io.counters.syscalls++;
		*done_r = conns_end_close(&p->conns, conn);
	}
	return true;
}

static bool try_next(struct poll *p, struct conn *conn, struct io_done *done_r)
{
	if (conn->state == CONN_FREE)
		return false;
	if (conn->state == CONN_CLOSING)
		return end_next(p, conn, done_r);
	if (conn->rx == IO_RECV && try_recv(p, conn, done_r))
		return true;
	if (conn->rx == IO_POLL && try_poll(p, conn, done_r))
		return true;
	return try_tx(p, conn, done_r);
}

static size_t try_all(struct poll *p, struct io_done *done, size_t max)
{
	struct conn *conn;
	size_t n = 0;

	if (p->wake_due && n < max) {
		p->wake_due = false;
		done[n++] = (struct io_done){ .op = IO_WAKE, .conn = -1 };
	}
	while (n < max && (conn = pop_try(p)) != NULL) {
		while (n < max && try_next(p, conn, &done[n]))
			n++;
		/* No room left: there may be more to try. */
		if (n == max && conn->state != CONN_FREE)
			queue_try(p, conn);
	}
	return n;
}

/* Events */

static void take_wake(struct poll *p)
{
	eventfd_t count;

	p->io.counters.syscalls++;
	(void)eventfd_read(p->wake_fd, &count);
	/* Before the caller looks at what it was woken for. */
	atomic_exchange(&p->woken, false);
	p->wake_due = true;
}

static void take_event(struct poll *p, const struct epoll_event *ev)
{
	struct conn *conn;

	if (ev->data.u64 == WAKE_DATA) {
		take_wake(p);
		return;
	}
	conn = conns_of_data(&p->conns, ev->data.u64);
	if (conn == NULL) {
		p->io.counters.stale++;
		return;
	}
	if (ev->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		conn->hung_up = true;
	if (ev->events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		conn->can_read = true;
	if (ev->events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		conn->can_write = true;
	queue_try(p, conn);
}

static int ask_epoll(struct poll *p, uint64_t wait_ms)
{
	struct epoll_event ev[EVENTS_MAX];
	int i, n;

	p->io.counters.syscalls++;
	n = epoll_wait(p->ep, ev, EVENTS_MAX, (int)wait_ms);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (i = 0; i < n; i++)
		take_event(p, &ev[i]);
	return 0;
}

static int poll_wait(struct io *io, int timeout_ms, struct io_done *done,
		     size_t max)
{
	struct poll *p = poll_of(io);
	uint64_t now, end;
	size_t n;

	BUG_ON(timeout_ms < 0 || max == 0);
	io->counters.turns++;
	now = timeout_ms > 0 ? io_clock_ms() : 0;
	end = now + (uint64_t)timeout_ms;
	n = try_all(p, done, max);
	while (n < max) {
		int err = ask_epoll(p, n > 0 ? 0 : end - now);

		n += try_all(p, done + n, max - n);
		if (err < 0 && n == 0)
			return err;
		if (timeout_ms > 0)
			now = io_clock_ms();
		if (n > 0 || now >= end)
			break;
	}
	io->counters.completions += n;
	return (int)n;
}

/* Operations */

static int own_new(struct poll *p, int fd)
{
	int handle;

	if (fd < 0)
		return fd;
	p->io.counters.syscalls += 2; /* roughly: socket and its options */
	handle = own(p, fd);
	if (handle < 0)
		close(fd);
	return handle;
}

static int poll_connect(struct io *io, const struct io_addr *src,
			const struct io_addr *dst, struct io_token token)
{
	struct poll *p = poll_of(io);
	int handle, fd, err = 0;
	struct conn *conn;

	/* Before the peer hears of us. */
	if (conns_full(&p->conns))
		return -EMFILE;
	fd = sock_connecting(src, dst, SOCK_NONBLOCK);
	if (fd < 0)
		return fd;
	/* First: a socket that has not begun to connect says EPOLLHUP. */
	if (connect(fd, &dst->u.sa, dst->len) < 0 && errno != EINPROGRESS &&
	    errno != EINTR)
		err = -errno;
	handle = own_new(p, fd);
	if (handle < 0)
		return handle;
	conn = conns_at(&p->conns, handle);
	conn_begin_tx(conn, IO_CONNECT, token);
	conn->connect_result = err;
	if (err < 0) {
		conn->can_write = true;
		queue_try(p, conn);
	}
	return handle;
}

static int poll_listen(struct io *io, const struct io_addr *at)
{
	return own_new(poll_of(io), sock_listening(at, SOCK_NONBLOCK));
}

static int poll_adopt(struct io *io, int fd)
{
	int err = sock_set_nonblock(fd, true);

	return err < 0 ? err : own(poll_of(io), fd);
}

static void poll_accept(struct io *io, int handle, struct io_token token)
{
	struct poll *p = poll_of(io);
	struct conn *conn = conns_at(&p->conns, handle);

	conn_begin_tx(conn, IO_ACCEPT, token);
	queue_try(p, conn);
}

static void poll_send(struct io *io, int handle, struct iovec *iov,
		      size_t count, struct io_token token)
{
	struct poll *p = poll_of(io);
	struct conn *conn = conns_at(&p->conns, handle);

	conn_begin_tx(conn, IO_SEND, token);
	conn->sent = 0;
	conn->u.msg = (struct msghdr){ .msg_iov = iov, .msg_iovlen = count };
	queue_try(p, conn);
}

static void poll_recv(struct io *io, int handle, void *buf, size_t len,
		      struct io_token token)
{
	struct poll *p = poll_of(io);
	struct conn *conn = conns_at(&p->conns, handle);

	BUG_ON(len == 0);
	conn_begin_rx(conn, IO_RECV, token);
	conn->rx_p = buf;
	conn->rx_len = len;
	queue_try(p, conn);
}

static void poll_poll(struct io *io, int handle, struct io_token token)
{
	struct poll *p = poll_of(io);
	struct conn *conn = conns_at(&p->conns, handle);

	conn_begin_rx(conn, IO_POLL, token);
	queue_try(p, conn);
}

static void poll_close(struct io *io, int handle, bool abort,
		       struct io_token token)
{
	struct poll *p = poll_of(io);
	struct conn *conn = conns_at(&p->conns, handle);

	conn_begin_close(conn, abort, token);
	queue_try(p, conn);
}

static int poll_pending(struct io *io, int handle)
{
	io->counters.syscalls++;
	return sock_pending(conns_at(&poll_of(io)->conns, handle)->fd);
}

static int poll_fd(struct io *io, int handle)
{
	return conns_at(&poll_of(io)->conns, handle)->fd;
}

static void poll_wake(struct io *io)
{
	struct poll *p = poll_of(io);

	if (!atomic_exchange(&p->woken, true))
		BUG_ON(eventfd_write(p->wake_fd, 1) < 0);
}

static uint64_t poll_now_ms(struct io *io)
{
	(void)io;
	return io_clock_ms();
}

/* Birth and death */

static void poll_free(struct io *io)
{
	struct poll *p = poll_of(io);
	uint32_t i;

	for (i = 0; p->conns.tab != NULL && i < p->conns.max; i++) {
		struct conn *conn = &p->conns.tab[i];

		if (conn->state == CONN_OPEN)
			sock_linger_none(conn->fd);
		if (conn->state != CONN_FREE)
			close(conn->fd);
	}
	if (p->wake_fd >= 0)
		close(p->wake_fd);
	if (p->ep >= 0)
		close(p->ep);
	conns_fini(&p->conns);
	free(p);
}

static const struct io_ops poll_ops = {
	.name = "epoll",
	.free = poll_free,
	.connect = poll_connect,
	.listen = poll_listen,
	.adopt = poll_adopt,
	.accept = poll_accept,
	.send = poll_send,
	.recv = poll_recv,
	.poll = poll_poll,
	.close = poll_close,
	.pending = poll_pending,
	.fd = poll_fd,
	.wake = poll_wake,
	.now_ms = poll_now_ms,
	.wait = poll_wait,
};

static int poll_init(struct poll *p, const struct io_settings *settings)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET,
				  .data.u64 = WAKE_DATA };
	int err = conns_init(&p->conns, settings->conns_max, &p->io.counters);

	if (err < 0)
		return err;
	p->ep = epoll_create1(EPOLL_CLOEXEC);
	p->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->ep < 0 || p->wake_fd < 0)
		return -errno;
	if (epoll_ctl(p->ep, EPOLL_CTL_ADD, p->wake_fd, &ev) < 0)
		return -errno;
	return 0;
}

int poll_new(const struct io_settings *settings, char why[IO_WHY_MAX],
	     struct io **io_r)
{
	struct poll *p = calloc(1, sizeof(*p));
	int err = p == NULL ? -ENOMEM : 0;

	if (p != NULL) {
		p->io.ops = &poll_ops;
		p->ep = p->wake_fd = -1;
		p->try_head = p->try_tail = CONN_NONE;
		err = poll_init(p, settings);
	}
	if (err < 0) {
		io_why(why, "epoll", err);
		if (p != NULL)
			poll_free(&p->io);
		return err;
	}
	*io_r = &p->io;
	return 0;
}
