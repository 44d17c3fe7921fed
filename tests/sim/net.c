/*
 * tests/sim/net.c - a back end of io.h: connections to servers in memory
 *
 * All that takes time is an event: a connect that is answered, a send whose
 * memory is looked at (so late that freed or recycled memory would show),
 * octets that come, an end.  Octets keep their order.
 */
#include "sim.h"

#include <errno.h>
#include <stdlib.h>

#define CONNS  4096u
#define EVENTS (1u << 18)
#define NEAR   4096u /* grains of time */
#define DONES  8192u

enum stage {          /* of a connection, for its site's limit */
	STAGE_SILENT, /* nobody answers the connect */
	STAGE_SETUP,
	STAGE_USED, /* a MAIL has come */
	STAGES
};

struct conn_sim { /* the client's side */
	bool used, connecting, sending, receiving, closed, ended, reset;
	enum stage stage;
	uint32_t gen;
	unsigned worker;
	struct io_token token, send_token, recv_token;
	struct iovec *iov;
	size_t iov_count;
	char *in;
	size_t in_len;
	struct server *server;
	uint32_t site, host;
	/* What the server has said: all, come, and read by the client. */
	char *out;
	size_t out_size;
	uint64_t said, came, read, out_from;
	uint64_t last_us; /* when the last of it comes */
};

struct net { /* an io */
	struct io io;
	unsigned worker;
	bool woken;
	struct io_done done[DONES];
	uint32_t first, count, open;
};

static struct conn_sim conns[CONNS];
static struct net nets[WORKERS];
static uint32_t open_count, spare[CONNS], spare_count;
static uint32_t at_host[SITES][HOSTS][STAGES];

/* --- events ---------------------------------------------------------------- */

/*
 * Events happen at whole grains of time, those of one grain in the order in
 * which they were added.  The next NEAR grains have a list each; what comes
 * later waits in a heap until its grain is one of them: before anything is
 * added to its list, so the order stays.
 */
struct node {
	struct sim_event e;
	uint32_t next; /* 0: none */
};
static struct {
	struct node nodes[EVENTS];
	uint32_t made, spare, count;
	uint64_t from; /* all before this grain has happened */
	uint32_t first[NEAR], last[NEAR];
	uint64_t busy[NEAR / 64]; /* which lists are not empty */
	struct {
		uint64_t grain, seq;
		uint32_t node;
	} heap[EVENTS];
	uint32_t late;
	uint64_t seq;
} events;

static bool before(uint32_t a, uint64_t grain, uint64_t seq)
{
	return events.heap[a].grain != grain ? events.heap[a].grain < grain
					     : events.heap[a].seq < seq;
}

static void wait_late(uint64_t grain, uint32_t node)
{
	uint32_t at = events.late++, up;
	uint64_t seq = events.seq++;

	for (; at > 0; at = up) {
		up = (at - 1) / 2;
		if (before(up, grain, seq))
			break;
		events.heap[at] = events.heap[up];
	}
	events.heap[at].grain = grain;
	events.heap[at].seq = seq;
	events.heap[at].node = node;
}

static uint32_t take_late(void)
{
	uint32_t node = events.heap[0].node, last = --events.late, at = 0, down;

	while ((down = 2 * at + 1) < last) {
		if (down + 1 < last && before(down + 1, events.heap[down].grain,
					      events.heap[down].seq))
			down++;
		if (!before(down, events.heap[last].grain,
			    events.heap[last].seq))
			break;
		events.heap[at] = events.heap[down];
		at = down;
	}
	events.heap[at] = events.heap[last];
	return node;
}

static void wait_near(uint64_t grain, uint32_t node)
{
	uint32_t at = (uint32_t)(grain % NEAR);

	if (events.first[at] == 0)
		events.first[at] = node;
	else
		events.nodes[events.last[at]].next = node;
	events.last[at] = node;
	events.busy[at / 64] |= UINT64_C(1) << (at % 64);
}

void event_add(uint64_t in_us, enum sim_event_type type, uint32_t conn,
	       uint32_t gen, uint32_t value)
{
	/* Things happen at once now and then: that makes turns with work. */
	uint64_t grain = (world->now_us + in_us) / world->plan.grain_us + 1;
	uint32_t node = events.spare;

	if (node != 0)
		events.spare = events.nodes[node].next;
	else
		node = ++events.made;
	BUG_ON(node == EVENTS || grain < events.from);
	events.nodes[node] = (struct node){ { type, conn, gen, value }, 0 };
	events.count++;
	if (grain < events.from + NEAR)
		wait_near(grain, node);
	else
		wait_late(grain, node);
}

/* The first grain with an event; UINT64_MAX: there is none. */
static uint64_t next_grain(void)
{
	uint32_t from = (uint32_t)(events.from % NEAR), at = from, step;
	uint64_t word;

	if (events.count == events.late)
		return events.late > 0 ? events.heap[0].grain : UINT64_MAX;
	for (;; at += step) {
		step = 64 - at % 64;
		word = events.busy[at % NEAR / 64] >> (at % 64);
		if (word != 0)
			return events.from + (at - from) +
			       (uint64_t)__builtin_ctzll(word);
	}
}

bool event_next_us(uint64_t *at_us_r)
{
	uint64_t grain = next_grain();

	if (grain != UINT64_MAX)
		*at_us_r = grain * world->plan.grain_us;
	return grain != UINT64_MAX;
}

static void go_to(uint64_t grain)
{
	events.from = grain;
	while (events.late > 0 && events.heap[0].grain < grain + NEAR) {
		uint64_t of = events.heap[0].grain;

		wait_near(of, take_late());
	}
}

/* --- completions ------------------------------------------------------------ */

static void complete(struct conn_sim *c, enum io_op op, struct io_token token,
		     int result)
{
	struct net *n = &nets[c->worker];

	BUG_ON(n->count == DONES);
	n->done[(n->first + n->count++) % DONES] =
		(struct io_done){ op, (int)(c - conns), token, result };
}

bool net_ready(unsigned worker)
{
	return nets[worker].count > 0 || nets[worker].woken;
}

uint32_t net_open_of(unsigned worker)
{
	return nets[worker].open;
}

unsigned net_worker(uint32_t conn)
{
	return conns[conn].worker;
}

/* A receive in flight takes what has come. */
static void give(struct conn_sim *c)
{
	size_t n = c->came - c->read;

	if (!c->receiving)
		return;
	if (n > c->in_len)
		n = c->in_len;
	if (n == 0 && !c->ended)
		return;
	c->receiving = false;
	if (n > 0)
		memcpy(c->in, c->out + (c->read - c->out_from), n);
	c->read += n;
	complete(c, IO_RECV, c->recv_token,
		 n > 0 || !c->reset ? (int)n : -ECONNRESET);
	if (n > 0 && c->server != NULL)
		server_read(c->server, c->read);
}

static void send_ends(struct conn_sim *c, int result)
{
	c->sending = false;
	complete(c, IO_SEND, c->send_token, result);
}

/* --- the server's side ------------------------------------------------------ */

static void out_room(struct conn_sim *c, size_t len)
{
	size_t held = c->said - c->read;

	if (c->read > c->out_from) {
		memmove(c->out, c->out + (c->read - c->out_from), held);
		c->out_from = c->read;
	}
	if (held + len <= c->out_size)
		return;
	c->out_size = (held + len) * 2;
	c->out = realloc(c->out, c->out_size);
	BUG_ON(c->out == NULL);
}

static uint64_t comes_in(struct conn_sim *c, uint64_t delay_us)
{
	uint64_t at = world->now_us + delay_us + 100 + below(20000);

	if (at < c->last_us)
		at = c->last_us;
	c->last_us = at;
	return at - world->now_us;
}

void net_reply(uint32_t conn, const char *p, size_t len, uint64_t delay_us)
{
	struct conn_sim *c = &conns[conn];

	out_room(c, len);
	memcpy(c->out + (c->said - c->out_from), p, len);
	c->said += len;
	event_add(comes_in(c, delay_us), EV_DELIVER, conn, c->gen,
		  (uint32_t)len);
}

void net_end(uint32_t conn, bool reset, uint64_t delay_us)
{
	struct conn_sim *c = &conns[conn];

	event_add(comes_in(c, delay_us), EV_END, conn, c->gen, reset);
}

bool net_alive(uint32_t conn)
{
	const struct conn_sim *c = &conns[conn];

	return c->used && !c->closed && !c->ended;
}

uint64_t net_said(uint32_t conn)
{
	return conns[conn].said;
}

void net_sees(uint32_t conn)
{
	struct conn_sim *c = &conns[conn];

	if (c->sending && c->server != NULL)
		server_sees(c->server, c->iov, c->iov_count);
}

static void take_send(struct conn_sim *c, size_t most)
{
	size_t i, len;

	for (i = 0; i < c->iov_count && c->server != NULL && most > 0; i++) {
		len = c->iov[i].iov_len < most ? c->iov[i].iov_len : most;
		server_input(c->server, c->iov[i].iov_base, len);
		most -= len;
	}
}

static size_t send_len(const struct conn_sim *c)
{
	size_t i, len = 0;

	for (i = 0; i < c->iov_count; i++)
		len += c->iov[i].iov_len;
	return len;
}

static void event_do(const struct sim_event *e)
{
	struct conn_sim *c = &conns[e->conn];
	size_t len;

	if (c->gen != e->gen || !c->used || c->closed)
		return;
	switch ((enum sim_event_type)e->type) {
	case EV_CONNECT:
		c->connecting = false;
		if (e->value == CONNECT_OK)
			c->server = server_new(e->conn, c->site);
		complete(c, IO_CONNECT, c->token,
			 e->value == CONNECT_OK ? 0 : -ECONNREFUSED);
		break;
	case EV_SEND:
		len = send_len(c);
		if (!server_reads(c->server) && !c->ended) {
			event_add(1000000, EV_SEND, e->conn, e->gen, 0);
			break;
		}
		if (!c->ended)
			take_send(c, len);
		send_ends(c, c->ended ? -EPIPE : (int)len);
		break;
	case EV_DELIVER:
		c->came += e->value;
		give(c);
		break;
	case EV_END:
		c->ended = true;
		c->reset = e->value != 0;
		if (c->reset && chance(500)) /* what came is lost */
			c->came = c->read;
		give(c);
		break;
	default:
		break;
	}
}

static void list_do(uint32_t at)
{
	uint32_t node;

	while ((node = events.first[at]) != 0) {
		struct sim_event e = events.nodes[node].e;

		events.first[at] = events.nodes[node].next;
		events.nodes[node].next = events.spare;
		events.spare = node;
		events.count--;
		world->count.events++;
		if (e.type == EV_NAME)
			names_answer(e.conn, e.value);
		else
			event_do(&e);
	}
	events.busy[at / 64] &= ~(UINT64_C(1) << (at % 64));
}

void events_do(void)
{
	uint64_t end = world->now_us / world->plan.grain_us + 1, grain;

	while (events.from < end) {
		grain = next_grain();
		go_to(grain < end ? grain : end);
		if (grain >= end)
			break;
		list_do((uint32_t)(grain % NEAR));
		go_to(grain + 1);
	}
}

/* --- the io ------------------------------------------------------------------- */

static void set_stage(struct conn_sim *c, enum stage stage)
{
	at_host[c->site][c->host][c->stage]--;
	at_host[c->site][c->host][stage]++;
	c->stage = stage;
}

void net_used(uint32_t conn)
{
	set_stage(&conns[conn], STAGE_USED);
}

/* Where a host does not answer, none counts that it has not served yet. */
static void limits(const struct conn_sim *c)
{
	const struct plan *p = &world->plan;
	uint32_t n = 0, i;

	for (i = 0; i < HOSTS; i++) {
		const uint32_t *of = at_host[c->site][i];

		n += of[STAGE_USED];
		if (of[STAGE_SILENT] == 0)
			n += of[STAGE_SETUP];
	}
	if (n > p->site_conns)
		sim_fail("limits never exceeded",
			 "%u connections to site %u, site.connections is %u", n,
			 c->site, p->site_conns);
	if (open_count > p->connections)
		sim_fail("limits never exceeded",
			 "%u connections, limits.connections is %u", open_count,
			 p->connections);
}

static int n_connect(struct io *io, const struct io_addr *src,
		     const struct io_addr *dst, struct io_token token)
{
	struct net *n = CONTAINER_OF(io, struct net, io);
	uint32_t ip = ntohl(dst->u.in.sin_addr.s_addr), at;
	enum connect_answer answer;
	struct conn_sim *c;

	(void)src;
	BUG_ON(spare_count == 0);
	at = spare[--spare_count];
	c = &conns[at];
	*c = (struct conn_sim){ .used = true,
				.gen = c->gen + 1,
				.worker = n->worker,
				.connecting = true,
				.token = token,
				.site = (ip >> 8) & 0xff,
				.host = ip & 0xff,
				.out = c->out,
				.out_size = c->out_size };
	answer = server_connect(c->site, c->host);
	c->stage = answer == CONNECT_SILENT ? STAGE_SILENT : STAGE_SETUP;
	at_host[c->site][c->host][c->stage]++;
	open_count++;
	ledger_sessions(n->worker, ++n->open);
	world->count.connections++;
	limits(c);
	if (answer != CONNECT_SILENT)
		event_add(200 + below(30000), EV_CONNECT, at, c->gen, answer);
	return (int)at;
}

static int n_none(struct io *io, int conn)
{
	(void)io;
	(void)conn;
	return -EOPNOTSUPP;
}

static int n_listen(struct io *io, const struct io_addr *at)
{
	(void)io;
	(void)at;
	return -EOPNOTSUPP;
}

static void n_accept(struct io *io, int conn, struct io_token token)
{
	(void)io;
	(void)conn;
	(void)token;
	BUG_ON(true);
}

static void n_send(struct io *io, int conn, struct iovec *iov, size_t count,
		   struct io_token token)
{
	struct conn_sim *c = &conns[conn];

	(void)io;
	BUG_ON(!c->used || c->closed || c->sending || c->connecting);
	c->sending = true;
	c->send_token = token;
	c->iov = iov;
	c->iov_count = count;
	net_sees((uint32_t)conn);
	event_add(50 + below(20000), EV_SEND, (uint32_t)conn, c->gen, 0);
}

static void n_recv(struct io *io, int conn, void *p, size_t len,
		   struct io_token token)
{
	struct conn_sim *c = &conns[conn];

	(void)io;
	BUG_ON(!c->used || c->closed || c->receiving || c->connecting);
	c->receiving = true;
	c->recv_token = token;
	c->in = p;
	c->in_len = len;
	give(c);
}

/* Of a send in flight the server gets some, or all, or nothing. */
static void n_close(struct io *io, int conn, bool abort, struct io_token token)
{
	struct conn_sim *c = &conns[conn];

	(void)io;
	BUG_ON(!c->used || c->closed);
	if (c->sending && !c->ended && !abort && chance(500))
		take_send(c, chance(500) ? send_len(c) : some(send_len(c)));
	c->closed = true;
	if (c->connecting)
		complete(c, IO_CONNECT, c->token, -ECANCELED);
	if (c->sending)
		send_ends(c, -ECANCELED);
	if (c->receiving)
		complete(c, IO_RECV, c->recv_token, 0);
	c->receiving = false;
	if (c->server != NULL)
		server_gone(c->server);
	server_free(&c->server);
	complete(c, IO_CLOSE, token, 0);
	open_count--;
	nets[c->worker].open--;
	if (c->stage !=
	    STAGE_SILENT) /* that one is waited for until IO_CLOSE */
		at_host[c->site][c->host][c->stage]--;
}

static int n_pending(struct io *io, int conn)
{
	const struct conn_sim *c = &conns[conn];

	(void)io;
	return (int)(c->came - c->read) + c->ended;
}

static void n_wake(struct io *io)
{
	CONTAINER_OF(io, struct net, io)->woken = true;
}

static uint64_t n_now_ms(struct io *io)
{
	(void)io;
	return world->now_us / 1000;
}

static int n_wait(struct io *io, int timeout_ms, struct io_done *done,
		  size_t max)
{
	struct net *n = CONTAINER_OF(io, struct net, io);
	size_t i = 0;

	(void)timeout_ms;
	if (n->woken)
		done[i++] = (struct io_done){ IO_WAKE, -1, { 0, 0 }, 0 };
	n->woken = false;
	for (; i < max && n->count > 0; i++) {
		done[i] = n->done[n->first];
		n->first = (n->first + 1) % DONES;
		n->count--;
		if (done[i].op == IO_CLOSE) {
			struct conn_sim *c = &conns[done[i].conn];

			c->used = false;
			if (c->stage == STAGE_SILENT)
				at_host[c->site][c->host][STAGE_SILENT]--;
			spare[spare_count++] = (uint32_t)done[i].conn;
		}
	}
	return (int)i;
}

static void n_free(struct io *io)
{
	(void)io;
}

/* In the place of io_new() (the linker's --wrap). */
int __wrap_io_new(const struct io_settings *settings, char why[IO_WHY_MAX],
		  struct io **io_r);
int __wrap_io_new(const struct io_settings *settings, char why[IO_WHY_MAX],
		  struct io **io_r)
{
	static const struct io_ops ops = {
		.name = "simulator",
		.free = n_free,
		.connect = n_connect,
		.listen = n_listen,
		.accept = n_accept,
		.send = n_send,
		.recv = n_recv,
		.close = n_close,
		.pending = n_pending,
		.fd = n_none,
		.wake = n_wake,
		.now_ms = n_now_ms,
		.wait = n_wait,
	};
	static unsigned made;
	uint32_t i;

	(void)settings;
	BUG_ON(made == WORKERS);
	for (i = 0; made == 0 && i < CONNS; i++)
		spare[spare_count++] = CONNS - 1 - i;
	nets[made].worker = made;
	nets[made].io.ops = &ops;
	why[0] = '\0';
	*io_r = &nets[made++].io;
	return 0;
}
