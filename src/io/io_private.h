#ifndef MTAQ_IO_PRIVATE_H
#define MTAQ_IO_PRIVATE_H

/*
 * What both back ends share: the table of handles, and how sockets are made.
 *
 *	FREE ─ conns_take ─► OPEN ─ close ─► CLOSING ─ nothing in ─► CLOSED
 *	  ▲                                            flight          │
 *	  └───────────────── IO_CLOSE given out, conns_release ────────┘
 *
 * A handle is generation (11 bits) and index (20 bits); the kernel is told
 * operation (8), generation (24) and index (32), so that a completion of an
 * earlier life is known and dropped.
 */
#include "io/io.h"

#include "base/bug.h"

enum conn_state {
	CONN_FREE,
	CONN_OPEN,
	CONN_CLOSING, /* waits for what is in flight */
	CONN_CLOSED   /* the descriptor is being closed */
};

struct conn {
	int fd;
	uint32_t gen;  /* 24 bits */
	uint32_t next; /* in the list of free ones, or of those to try */
	uint8_t state; /* enum conn_state */
	uint8_t tx;    /* IO_CONNECT, IO_ACCEPT, IO_SEND in flight, or 0 */
	uint8_t rx;    /* IO_RECV, IO_POLL in flight, or 0 */
	bool abort;    /* no shutdown: a reset */
	/* ring.c: no slot was free; the multishot accept is being ended. */
	bool accept_ends;
	/* poll.c: */
	bool queued;              /* is in the list of those to try */
	bool can_read, can_write; /* no EAGAIN since the last event */
	bool hung_up;             /* the peer has sent its end, or an error */
	int connect_result;       /* what connect() said at once, or 0 */
	struct io_token tx_token, rx_token, close_token;
	size_t sent; /* octets of the send in flight that have gone */
	void *rx_p;
	size_t rx_len;
	union {
		struct msghdr msg;  /* tx == IO_SEND */
		struct io_addr dst; /* tx == IO_CONNECT */
	} u;
};

#define CONN_NONE UINT32_MAX

struct conns {
	struct conn *tab;
	uint32_t max;
	uint32_t free_head;
	struct io_counters *counters;
};

int conns_init(struct conns *c, unsigned max, struct io_counters *counters);
void conns_fini(struct conns *c);
static inline bool conns_full(const struct conns *c)
{
	return c->free_head == CONN_NONE;
}
/* An OPEN handle that owns fd, or -EMFILE. */
int conns_take(struct conns *c, int fd);
void conns_release(struct conns *c, struct conn *conn);
/* The living conn of a handle; a dead handle is a bug. */
struct conn *conns_at(struct conns *c, int handle);
int conns_handle(const struct conns *c, const struct conn *conn);
static inline uint32_t conns_index(const struct conns *c,
				   const struct conn *conn)
{
	return (uint32_t)(conn - c->tab);
}

/* user_data of a submission. */
static inline uint64_t io_pack(unsigned op, uint32_t gen, uint32_t index)
{
	return (uint64_t)op << 56 | (uint64_t)(gen & 0xffffff) << 32 | index;
}

/* The conn that a user_data names; NULL when it is of an earlier life. */
struct conn *conns_of_data(struct conns *c, uint64_t data);

/* Begin an operation: assert that the place is free, note token. */
void conn_begin_tx(struct conn *conn, enum io_op op, struct io_token token);
void conn_begin_rx(struct conn *conn, enum io_op op, struct io_token token);
void conn_begin_close(struct conn *conn, bool abort, struct io_token token);
/* End one: the place is free again. */
struct io_done conns_end_tx(struct conns *c, struct conn *conn, int result);
struct io_done conns_end_rx(struct conns *c, struct conn *conn, int result);
/* Releases conn. */
struct io_done conns_end_close(struct conns *c, struct conn *conn);

/* n more octets of the send in flight have gone; true when it is complete. */
bool conn_sent(struct conn *conn, size_t n);
/* The result of a complete send. */
int conn_send_result(const struct conn *conn);

/* Sockets.  flags: SOCK_NONBLOCK or 0.  A descriptor or -errno. */
int sock_connecting(const struct io_addr *src, const struct io_addr *dst,
		    int flags);
int sock_listening(const struct io_addr *at, int flags);
int sock_set_nonblock(int fd, bool on);
/* Octets to read now, or -errno. */
int sock_pending(int fd);
/* A later close() sends a reset. */
void sock_linger_none(int fd);

uint64_t io_clock_ms(void);

/* The two back ends: 0, or -errno and why. */
int ring_new(const struct io_settings *settings, char why[IO_WHY_MAX],
	     struct io **io_r);
int poll_new(const struct io_settings *settings, char why[IO_WHY_MAX],
	     struct io **io_r);
/* why = "WHAT: words for -err". */
void io_why(char why[IO_WHY_MAX], const char *what, int err);

#endif
