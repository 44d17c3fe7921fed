/*
 * io/ring.c - the io_uring back end
 *
 *	begin() ─► SQE, or the backlog while the ring is full
 *	wait()  ─► backlog, submit and wait (one system call), reap
 *	reap()  ─► complete() turns a CQE into none or one struct io_done
 *
 * The ring is made in its thread: SINGLE_ISSUER | DEFER_TASKRUN let the
 * kernel complete things only inside our own system call.
 *
 * Closing: shutdown wakes what is in flight on a socket (cancellation what
 * has no shutdown: connect, accept, poll, and everything when aborting); when
 * both places are free the descriptor is closed through the ring, and the
 * slot is freed with that completion.  So nothing is ever in flight on a free
 * slot, and lent memory comes back first.
 *
 * Descriptors are blocking here: on a nonblocking one io_uring would answer
 * EAGAIN instead of waiting.
 */
#include "io/gather.h"
#include "io/io_private.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define RING_CANCEL_TX  16
#define RING_CANCEL_RX  17
#define ENTRIES_DEFAULT 1024
/* connect or send or accept, recv or poll, their cancellations, close */
#define BACKLOG_PER_CONN 5
#define FREE_WAIT_MS     5000

struct ring {
	struct io io;
	struct conns conns;
	struct io_uring ring;
	uint64_t *backlog; /* io_pack(op, gen, index), a FIFO */
	size_t back_head, back_count, back_size;
	int wake_fd;
	struct gather gather;
	bool gathers, wake_armed, stopping;
	uint64_t wake_count; /* lent to the read of wake_fd */
	_Atomic bool woken;
};

static struct ring *ring_of(struct io *io)
{
	return CONTAINER_OF(io, struct ring, io);
}

/* Submissions */

static void prepare_cancel(struct io_uring_sqe *sqe, const struct conn *conn,
			   uint32_t index, uint8_t victim)
{
	io_uring_prep_cancel64(sqe, io_pack(victim, conn->gen, index), 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

static void prepare(struct ring *r, struct io_uring_sqe *sqe, unsigned op,
		    uint32_t index)
{
	struct conn *c = &r->conns.tab[index];

	switch (op) {
	case IO_CONNECT:
		io_uring_prep_connect(sqe, c->fd, &c->u.dst.u.sa, c->u.dst.len);
		break;
	case IO_SEND:
		io_uring_prep_sendmsg(sqe, c->fd, &c->u.msg,
				      MSG_WAITALL | MSG_NOSIGNAL);
		break;
	case IO_RECV:
		io_uring_prep_recv(sqe, c->fd, c->rx_p, c->rx_len, 0);
		sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
		break;
	case IO_POLL:
		io_uring_prep_poll_add(sqe, c->fd, POLLIN);
		break;
	case IO_ACCEPT:
		io_uring_prep_multishot_accept(sqe, c->fd, NULL, NULL,
					       SOCK_CLOEXEC);
		break;
	case IO_CLOSE:
		io_uring_prep_close(sqe, c->fd);
		break;
	case RING_CANCEL_TX:
		prepare_cancel(sqe, c, index, c->tx);
		break;
	case RING_CANCEL_RX:
		prepare_cancel(sqe, c, index, c->rx);
		break;
	default:
		BUG_ON(op != IO_WAKE);
		io_uring_prep_read(sqe, r->wake_fd, &r->wake_count,
				   sizeof(r->wake_count), 0);
	}
	io_uring_sqe_set_data64(sqe,
				io_pack(op, op == IO_WAKE ? 0 : c->gen, index));
}

static struct io_uring_sqe *take_sqe(struct ring *r)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&r->ring);

	if (sqe != NULL)
		return sqe;
	r->io.counters.syscalls++;
	/* Whatever it says: the next line sees whether there is room. */
	(void)io_uring_submit(&r->ring);
	return io_uring_get_sqe(&r->ring);
}

static void begin(struct ring *r, unsigned op, uint32_t index)
{
	struct io_uring_sqe *sqe = NULL;
	uint32_t gen = r->conns.tab[index].gen;
	size_t at;

	/* Behind what waits already: a cancellation must not overtake. */
	if (r->back_count == 0)
		sqe = take_sqe(r);
	if (sqe != NULL) {
		prepare(r, sqe, op, index);
		return;
	}
	BUG_ON(r->back_count == r->back_size);
	at = (r->back_head + r->back_count++) % r->back_size;
	r->backlog[at] = io_pack(op, gen, index);
}

static void begin_conn(struct ring *r, unsigned op, const struct conn *conn)
{
	begin(r, op, conns_index(&r->conns, conn));
}

/* Is there still something to cancel? */
static bool backlog_live(struct ring *r, uint64_t data)
{
	unsigned op = (unsigned)(data >> 56);
	struct conn *conn;

	if (op != RING_CANCEL_TX && op != RING_CANCEL_RX)
		return true;
	conn = conns_of_data(&r->conns, data);
	return conn != NULL && (op == RING_CANCEL_TX ? conn->tx : conn->rx);
}

static void drain_backlog(struct ring *r)
{
	while (r->back_count > 0) {
		uint64_t data = r->backlog[r->back_head];
		struct io_uring_sqe *sqe;

		if (backlog_live(r, data)) {
			sqe = take_sqe(r);
			if (sqe == NULL)
				return;
			prepare(r, sqe, (unsigned)(data >> 56), (uint32_t)data);
		}
		r->back_head = (r->back_head + 1) % r->back_size;
		r->back_count--;
	}
}

/* Completions */

static void close_if_idle(struct ring *r, struct conn *conn)
{
	if (conn->state != CONN_CLOSING || conn->tx || conn->rx)
		return;
	conn->state = CONN_CLOSED;
	begin_conn(r, IO_CLOSE, conn);
}

static bool complete_send(struct ring *r, struct conn *conn, int res,
			  struct io_done *done_r)
{
	if (res > 0 && !conn_sent(conn, (size_t)res)) {
		r->io.counters.sends_short++;
		res = -EINTR;
	} else if (res == 0 && !conn_sent(conn, 0)) {
		res = -EPIPE;
	} else if (res >= 0) {
		res = conn_send_result(conn);
	}
	if ((res == -EINTR || res == -EAGAIN) && conn->state == CONN_OPEN) {
		begin_conn(r, IO_SEND, conn);
		return false;
	}
	*done_r = conns_end_tx(&r->conns, conn, res);
	return true;
}

static bool accept_transient(int res)
{
	return res == -ECONNABORTED || res == -EPROTO || res == -EINTR ||
	       res == -EAGAIN || res == -ENETDOWN || res == -EHOSTUNREACH ||
	       res == -ENETUNREACH;
}

/* The accept is being ended: nothing of it is given out but its end. */
static bool complete_accept_end(struct ring *r, struct conn *conn, int res,
				bool more, struct io_done *done_r)
{
	int why = conn->state == CONN_OPEN ? -EMFILE : -ECANCELED;

	if (res >= 0)
		close(res);
	if (more)
		return false;
	conn->accept_ends = false;
	*done_r = conns_end_tx(&r->conns, conn, why);
	return true;
}

static bool complete_accept(struct ring *r, struct conn *conn, int res,
			    bool more, struct io_done *done_r)
{
	int handle;

	if (conn->state != CONN_OPEN || conn->accept_ends)
		return complete_accept_end(r, conn, res, more, done_r);
	if (res < 0 && !accept_transient(res)) {
		*done_r = conns_end_tx(&r->conns, conn, res);
		return true;
	}
	if (res >= 0) {
		handle = conns_take(&r->conns, res);
		if (handle < 0) {
			conn->accept_ends = true;
			if (more)
				begin_conn(r, RING_CANCEL_TX, conn);
			return complete_accept_end(r, conn, res, more, done_r);
		}
		*done_r = (struct io_done){ IO_ACCEPT,
					    conns_handle(&r->conns, conn),
					    conn->tx_token, handle };
	}
	if (!more)
		begin_conn(r, IO_ACCEPT, conn);
	return res >= 0;
}

static bool complete_wake(struct ring *r, struct io_done *done_r)
{
	r->wake_armed = !r->stopping;
	/* Before the caller looks at what it was woken for. */
	atomic_exchange(&r->woken, false);
	/* Who frees the ring is woken too: it may have waited for this alone. */
	if (!r->stopping)
		begin(r, IO_WAKE, 0);
	*done_r = (struct io_done){ .op = IO_WAKE, .conn = -1 };
	return true;
}

/* Turn one completion into *done_r (true), or into nothing (false). */
static bool complete(struct ring *r, const struct io_uring_cqe *cqe,
		     struct io_done *done_r)
{
	uint64_t data = cqe->user_data;
	unsigned op = (unsigned)(data >> 56);
	int res = cqe->res;
	struct conn *conn;
	bool gives = true;

	if (op == IO_WAKE)
		return complete_wake(r, done_r);
	conn = conns_of_data(&r->conns, data);
	if (conn == NULL) {
		r->io.counters.stale++;
		return false;
	}
	if (op == RING_CANCEL_TX || op == RING_CANCEL_RX)
		return false;
	if (op == IO_CLOSE) {
		BUG_ON(conn->state != CONN_CLOSED);
		*done_r = conns_end_close(&r->conns, conn);
		return true;
	}
	BUG_ON(op != conn->tx && op != conn->rx);
	if (op == IO_SEND)
		gives = complete_send(r, conn, res, done_r);
	else if (op == IO_ACCEPT)
		gives = complete_accept(r, conn, res,
					cqe->flags & IORING_CQE_F_MORE, done_r);
	else if (op == IO_CONNECT)
		*done_r = conns_end_tx(&r->conns, conn, res);
	else
		*done_r = conns_end_rx(&r->conns, conn,
				       op == IO_POLL && res > 0 ? 0 : res);
	close_if_idle(r, conn);
	return gives;
}

static int reap(struct ring *r, struct io_done *done, size_t max)
{
	struct io_uring_cqe *cqe;
	unsigned head, seen = 0;
	size_t n = 0;

	io_uring_for_each_cqe(&r->ring, head, cqe)
	{
		if (n == max)
			break;
		seen++;
		if (complete(r, cqe, &done[n]))
			n++;
	}
	io_uring_cq_advance(&r->ring, seen);
	r->io.counters.completions += n;
	return (int)n;
}

/* Hand over what is prepared and wait, wait_ms at most, for a completion, or
 * for some where they come in numbers. */
static int enter(struct ring *r, uint64_t wait_ms, bool *waited_r)
{
	struct __kernel_timespec ts = {
		.tv_sec = (long long)(wait_ms / 1000),
		.tv_nsec = (long long)(wait_ms % 1000) * 1000000,
	};
	struct io_uring_cqe *cqe;
	int err;

	r->io.counters.syscalls++;
	*waited_r = wait_ms > 0 && r->back_count == 0 &&
		    io_uring_cq_ready(&r->ring) == 0;
	if (r->gather.goal > 1)
		ts = (struct __kernel_timespec){ .tv_nsec = GATHER_NS };
	if (*waited_r)
		err = io_uring_submit_and_wait_timeout(
			&r->ring, &cqe, r->gather.goal, &ts, NULL);
	else
		err = io_uring_submit_and_get_events(&r->ring);
	/* EAGAIN, EBUSY: the kernel is short of something for now. */
	if (err == -ETIME || err == -EINTR || err == -EAGAIN || err == -EBUSY)
		err = 0;
	return err < 0 ? err : 0;
}

static int ring_wait(struct io *io, int timeout_ms, struct io_done *done,
		     size_t max)
{
	struct ring *r = ring_of(io);
	uint64_t now, end;

	BUG_ON(timeout_ms < 0 || max == 0);
	io->counters.turns++;
	now = timeout_ms > 0 ? io_clock_ms() : 0;
	end = now + (uint64_t)timeout_ms;
	for (;;) {
		int n, err;
		bool waited;

		drain_backlog(r);
		err = enter(r, end - now, &waited);
		n = reap(r, done, max);
		if (r->gathers)
			gather_learn(&r->gather, (unsigned)n,
				     io->counters.conns_open, waited);
		if (n > 0 || err < 0)
			return n > 0 ? n : err;
		if (timeout_ms > 0)
			now = io_clock_ms();
		if (now >= end)
			return 0;
	}
}

/* Operations */

static int own(struct ring *r, int fd)
{
	int handle;

	if (fd < 0)
		return fd;
	r->io.counters.syscalls += 2; /* roughly: socket and its options */
	handle = conns_take(&r->conns, fd);
	if (handle < 0)
		close(fd);
	return handle;
}

static int ring_connect(struct io *io, const struct io_addr *src,
			const struct io_addr *dst, struct io_token token)
{
	struct ring *r = ring_of(io);
	int handle = own(r, sock_connecting(src, dst, 0));
	struct conn *conn;

	if (handle < 0)
		return handle;
	conn = conns_at(&r->conns, handle);
	conn_begin_tx(conn, IO_CONNECT, token);
	conn->u.dst = *dst;
	begin_conn(r, IO_CONNECT, conn);
	return handle;
}

static int ring_listen(struct io *io, const struct io_addr *at)
{
	return own(ring_of(io), sock_listening(at, 0));
}

static int ring_adopt(struct io *io, int fd)
{
	int err = sock_set_nonblock(fd, false);

	return err < 0 ? err : conns_take(&ring_of(io)->conns, fd);
}

static void ring_accept(struct io *io, int handle, struct io_token token)
{
	struct ring *r = ring_of(io);
	struct conn *conn = conns_at(&r->conns, handle);

	conn_begin_tx(conn, IO_ACCEPT, token);
	begin_conn(r, IO_ACCEPT, conn);
}

static void ring_send(struct io *io, int handle, struct iovec *iov,
		      size_t count, struct io_token token)
{
	struct ring *r = ring_of(io);
	struct conn *conn = conns_at(&r->conns, handle);

	conn_begin_tx(conn, IO_SEND, token);
	conn->sent = 0;
	conn->u.msg = (struct msghdr){ .msg_iov = iov, .msg_iovlen = count };
	begin_conn(r, IO_SEND, conn);
}

static void ring_recv(struct io *io, int handle, void *p, size_t len,
		      struct io_token token)
{
	struct ring *r = ring_of(io);
	struct conn *conn = conns_at(&r->conns, handle);

	BUG_ON(len == 0);
	conn_begin_rx(conn, IO_RECV, token);
	conn->rx_p = p;
	conn->rx_len = len;
	begin_conn(r, IO_RECV, conn);
}

static void ring_poll(struct io *io, int handle, struct io_token token)
{
	struct ring *r = ring_of(io);
	struct conn *conn = conns_at(&r->conns, handle);

	conn_begin_rx(conn, IO_POLL, token);
	begin_conn(r, IO_POLL, conn);
}

static void ring_close(struct io *io, int handle, bool abort,
		       struct io_token token)
{
	struct ring *r = ring_of(io);
	struct conn *conn = conns_at(&r->conns, handle);
	bool shut = false;

	conn_begin_close(conn, abort, token);
	if (!abort && (conn->tx == IO_SEND || conn->rx == IO_RECV)) {
		shut = shutdown(conn->fd, SHUT_RDWR) == 0;
		io->counters.syscalls++;
	}
	if (conn->tx && !(shut && conn->tx == IO_SEND))
		begin_conn(r, RING_CANCEL_TX, conn);
	if (conn->rx && !(shut && conn->rx == IO_RECV))
		begin_conn(r, RING_CANCEL_RX, conn);
	close_if_idle(r, conn);
}

static int ring_pending(struct io *io, int handle)
{
	struct ring *r = ring_of(io);
	struct conn *conn = conns_at(&r->conns, handle);
	uint64_t data =
		io_pack(IO_RECV, conn->gen, conns_index(&r->conns, conn));
	int n = sock_pending(conn->fd);
	struct io_uring_cqe *cqe;
	unsigned head;

	io->counters.syscalls++;
	if (n < 0)
		return n;
	/* The kernel may have taken some for us that nobody has seen yet. */
	io_uring_for_each_cqe(&r->ring, head, cqe)
	{
		if (cqe->user_data == data)
			n += cqe->res > 0 ? cqe->res : 1;
	}
	return n;
}

static int ring_fd(struct io *io, int handle)
{
	return conns_at(&ring_of(io)->conns, handle)->fd;
}

static void ring_wake(struct io *io)
{
	struct ring *r = ring_of(io);

	if (!atomic_exchange(&r->woken, true))
		BUG_ON(eventfd_write(r->wake_fd, 1) < 0);
}

static uint64_t ring_now_ms(struct io *io)
{
	(void)io;
	return io_clock_ms();
}

/* Birth and death */

static void ring_fini(struct ring *r)
{
	if (r->wake_fd >= 0)
		close(r->wake_fd);
	conns_fini(&r->conns);
	free(r->backlog);
	free(r);
}

static void ring_free(struct io *io)
{
	struct ring *r = ring_of(io);
	struct io_done done[64];
	uint64_t end = io_clock_ms() + FREE_WAIT_MS;
	uint32_t i;

	r->stopping = true;
	for (i = 0; i < r->conns.max; i++)
		if (r->conns.tab[i].state == CONN_OPEN)
			ring_close(io,
				   conns_handle(&r->conns, &r->conns.tab[i]),
				   true, (struct io_token){ 0, 0 });
	ring_wake(io);
	/* Memory that is lent must come back before its owner frees it. */
	while (io->counters.conns_open > 0 || r->wake_armed) {
		BUG_ON(ring_wait(io, 100, done, ARRAY_LEN(done)) < 0);
		BUG_ON(io_clock_ms() > end);
	}
	io_uring_queue_exit(&r->ring);
	ring_fini(r);
}

static const struct io_ops ring_ops = {
	.name = "io_uring",
	.free = ring_free,
	.connect = ring_connect,
	.listen = ring_listen,
	.adopt = ring_adopt,
	.accept = ring_accept,
	.send = ring_send,
	.recv = ring_recv,
	.poll = ring_poll,
	.close = ring_close,
	.pending = ring_pending,
	.fd = ring_fd,
	.wake = ring_wake,
	.now_ms = ring_now_ms,
	.wait = ring_wait,
};

/* Each flag that this kernel may not know is dropped on EINVAL. */
static int make_ring(struct ring *r, unsigned entries, unsigned conns_max)
{
	static const unsigned drop[] = { 0,
					 IORING_SETUP_DEFER_TASKRUN,
					 IORING_SETUP_SINGLE_ISSUER,
					 IORING_SETUP_SUBMIT_ALL,
					 IORING_SETUP_CQSIZE,
					 IORING_SETUP_CLAMP };
	unsigned flags = IORING_SETUP_SINGLE_ISSUER |
			 IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL |
			 IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
	size_t i;
	int err = -EINVAL;

	for (i = 0; i < ARRAY_LEN(drop) && err == -EINVAL; i++) {
		struct io_uring_params p;

		flags &= ~drop[i];
		memset(&p, 0, sizeof(p));
		p.flags = flags;
		if (flags & IORING_SETUP_CQSIZE)
			p.cq_entries = entries * 2 + conns_max * 2;
		err = io_uring_queue_init_params(entries, &r->ring, &p);
	}
	if (err == 0)
		(void)io_uring_register_ring_fd(&r->ring); /* only speed */
	return err;
}

static int probe(struct ring *r, char why[IO_WHY_MAX])
{
	static const struct {
		int op;
		const char *name;
	} used[] = {
		{ IORING_OP_CONNECT, "CONNECT" },
		{ IORING_OP_SENDMSG, "SENDMSG" },
		{ IORING_OP_RECV, "RECV" },
		{ IORING_OP_POLL_ADD, "POLL_ADD" },
		{ IORING_OP_ACCEPT, "ACCEPT" },
		{ IORING_OP_CLOSE, "CLOSE" },
		{ IORING_OP_ASYNC_CANCEL, "ASYNC_CANCEL" },
		{ IORING_OP_READ, "READ" },
	};
	struct io_uring_probe *p = io_uring_get_probe_ring(&r->ring);
	size_t i;
	int err = 0;

	if (p == NULL) {
		io_why(why, "io_uring: no probe", -EINVAL);
		return -EINVAL;
	}
	for (i = 0; i < ARRAY_LEN(used) && err == 0; i++) {
		if (io_uring_opcode_supported(p, used[i].op))
			continue;
		err = -EINVAL;
		io_why(why, used[i].name, err);
	}
	io_uring_free_probe(p);
	if (err == 0) { /* a filter may forbid this call alone */
		err = io_uring_get_events(&r->ring);
		if (err < 0)
			io_why(why, "io_uring_enter", err);
	}
	return err < 0 ? err : 0;
}

static int ring_init(struct ring *r, const struct io_settings *settings,
		     char why[IO_WHY_MAX])
{
	unsigned entries = settings->entries;
	int err = conns_init(&r->conns, settings->conns_max, &r->io.counters);

	if (err == 0) {
		r->back_size = (size_t)r->conns.max * BACKLOG_PER_CONN + 1;
		r->backlog = calloc(r->back_size, sizeof(*r->backlog));
		if (r->backlog == NULL)
			err = -ENOMEM;
	}
	if (err < 0) {
		io_why(why, "table of connections", err);
		return err;
	}
	r->wake_fd = eventfd(0, EFD_CLOEXEC); /* blocking, as all others */
	if (r->wake_fd < 0) {
		err = -errno;
		io_why(why, "eventfd", err);
		return err;
	}
	err = make_ring(r, entries ? entries : ENTRIES_DEFAULT, r->conns.max);
	if (err < 0) {
		io_why(why, "io_uring_setup", err);
		return err;
	}
	err = probe(r, why);
	if (err < 0)
		io_uring_queue_exit(&r->ring);
	return err;
}

int ring_new(const struct io_settings *settings, char why[IO_WHY_MAX],
	     struct io **io_r)
{
	struct ring *r = calloc(1, sizeof(*r));
	int err;

	if (r == NULL) {
		io_why(why, "io", -ENOMEM);
		return -ENOMEM;
	}
	r->io.ops = &ring_ops;
	r->wake_fd = -1;
	r->gathers = settings->gathers;
	r->gather.goal = 1;
	err = ring_init(r, settings, why);
	if (err < 0) {
		ring_fini(r);
		return err;
	}
	r->wake_armed = true;
	begin(r, IO_WAKE, 0);
	*io_r = &r->io;
	return 0;
}
