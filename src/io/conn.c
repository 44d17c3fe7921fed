/*
 * io/conn.c - the table of handles and what may happen to one
 */
#include "io/io_private.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#define INDEX_BITS      20
#define INDEX_MASK      ((1u << INDEX_BITS) - 1)
#define HANDLE_GEN_MASK 0x7ffu
#define GEN_MASK        0xffffffu

int conns_init(struct conns *c, unsigned max, struct io_counters *counters)
{
	uint32_t i;

	if (max == 0)
		max = 1024;
	if (max > IO_CONNS_MAX)
		return -EINVAL;
	c->tab = calloc(max, sizeof(*c->tab));
	if (c->tab == NULL)
		return -ENOMEM;
	c->max = max;
	c->counters = counters;
	for (i = 0; i < max; i++) {
		c->tab[i].fd = -1;
		c->tab[i].next = i + 1 < max ? i + 1 : CONN_NONE;
	}
	c->free_head = 0;
	return 0;
}

void conns_fini(struct conns *c)
{
	free(c->tab);
	c->tab = NULL;
}

int conns_take(struct conns *c, int fd)
{
	struct conn *conn;
	uint32_t gen;

	BUG_ON(fd < 0);
	if (conns_full(c))
		return -EMFILE;
	conn = &c->tab[c->free_head];
	BUG_ON(conn->state != CONN_FREE);
	c->free_head = conn->next;
	gen = conn->gen;
	*conn = (struct conn){
		.fd = fd, .gen = gen, .state = CONN_OPEN, .next = CONN_NONE
	};
	c->counters->conns_opened++;
	if (++c->counters->conns_open > c->counters->conns_peak)
		c->counters->conns_peak = c->counters->conns_open;
	return conns_handle(c, conn);
}

void conns_release(struct conns *c, struct conn *conn)
{
	BUG_ON(conn->state == CONN_FREE || conn->tx || conn->rx);
	BUG_ON(conn->queued);
	conn->state = CONN_FREE;
	conn->fd = -1;
	conn->gen = (conn->gen + 1) & GEN_MASK;
	conn->next = c->free_head;
	c->free_head = conns_index(c, conn);
	c->counters->conns_open--;
}

int conns_handle(const struct conns *c, const struct conn *conn)
{
	return (int)((conn->gen & HANDLE_GEN_MASK) << INDEX_BITS |
		     conns_index(c, conn));
}

struct conn *conns_at(struct conns *c, int handle)
{
	uint32_t index = (uint32_t)handle & INDEX_MASK;

	BUG_ON(handle < 0 || index >= c->max);
	BUG_ON(c->tab[index].state == CONN_FREE);
	BUG_ON(conns_handle(c, &c->tab[index]) != handle);
	return &c->tab[index];
}

struct conn *conns_of_data(struct conns *c, uint64_t data)
{
	uint32_t index = (uint32_t)data;

	BUG_ON(index >= c->max);
	if (c->tab[index].state == CONN_FREE ||
	    c->tab[index].gen != (data >> 32 & GEN_MASK))
		return NULL;
	return &c->tab[index];
}

void conn_begin_tx(struct conn *conn, enum io_op op, struct io_token token)
{
	BUG_ON(conn->state != CONN_OPEN || conn->tx != 0);
	conn->tx = (uint8_t)op;
	conn->tx_token = token;
}

void conn_begin_rx(struct conn *conn, enum io_op op, struct io_token token)
{
	BUG_ON(conn->state != CONN_OPEN || conn->rx != 0);
	conn->rx = (uint8_t)op;
	conn->rx_token = token;
}

void conn_begin_close(struct conn *conn, bool abort, struct io_token token)
{
	BUG_ON(conn->state != CONN_OPEN);
	conn->state = CONN_CLOSING;
	conn->abort = abort;
	conn->close_token = token;
	if (abort)
		sock_linger_none(conn->fd);
}

struct io_done conns_end_tx(struct conns *c, struct conn *conn, int result)
{
	struct io_done done = { conn->tx, conns_handle(c, conn), conn->tx_token,
				result };

	BUG_ON(conn->tx == 0);
	if (conn->tx == IO_SEND)
		c->counters->sent_octets += conn->sent;
	conn->tx = 0;
	return done;
}

struct io_done conns_end_rx(struct conns *c, struct conn *conn, int result)
{
	struct io_done done = { conn->rx, conns_handle(c, conn), conn->rx_token,
				result };

	BUG_ON(conn->rx == 0);
	if (conn->rx == IO_RECV && result > 0)
		c->counters->received_octets += (uint64_t)result;
	conn->rx = 0;
	return done;
}

struct io_done conns_end_close(struct conns *c, struct conn *conn)
{
	struct io_done done = { IO_CLOSE, conns_handle(c, conn),
				conn->close_token, 0 };

	conns_release(c, conn);
	return done;
}

bool conn_sent(struct conn *conn, size_t n)
{
	struct msghdr *m = &conn->u.msg;

	conn->sent += n;
	while (m->msg_iovlen > 0 && n >= m->msg_iov->iov_len) {
		n -= m->msg_iov->iov_len;
		m->msg_iov++;
		m->msg_iovlen--;
	}
	if (m->msg_iovlen == 0)
		return true;
	m->msg_iov->iov_base = (char *)m->msg_iov->iov_base + n;
	m->msg_iov->iov_len -= n;
	return false;
}

int conn_send_result(const struct conn *conn)
{
	return conn->sent > INT_MAX ? INT_MAX : (int)conn->sent;
}
