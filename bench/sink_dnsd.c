/*
 * bench/sink_dnsd.c - the DNS server's sockets: UDP and TCP, one thread
 *
 * poll(2) over the UDP socket, the TCP listener and at most CLIENTS_MAX TCP
 * clients; each client has room for one query and gets its answers in order.
 * A client that does not fetch its answer is dropped: this is loopback.
 */
#include "bench/sink_private.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS_MAX 64
#define QUERY_MAX   1024u
#define BURST       64 /* datagrams a turn */
#define PORTS_TRIED 20 /* for one that is free in UDP and TCP */
#define SOURCES     3  /* stop, UDP, listener; clients follow */

struct client {
	uint8_t query[2 + QUERY_MAX]; /* length, message */
	size_t len;
};

struct serving {
	struct sink_dnsd *d;
	struct pollfd fds[SOURCES + CLIENTS_MAX];
	struct client clients[CLIENTS_MAX];
	size_t count; /* clients */
	uint8_t answer[2 + SINK_DNS_ROOM];
};

static int bind_one(struct sink_address *a, int type, int *fd_r)
{
	socklen_t len = sizeof(a->sa);
	int one = 1, size = 4 << 20, fd;

	fd = socket(a->sa.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	*fd_r = fd;
	if (type == SOCK_STREAM)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	else
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(fd, (struct sockaddr *)&a->sa, a->sa_len) < 0)
		return -errno;
	if (type == SOCK_STREAM && listen(fd, CLIENTS_MAX) < 0)
		return -errno;
	getsockname(fd, (struct sockaddr *)&a->sa, &len);
	return 0;
}

static int bind_both(struct sink_dnsd *d, struct sink_address *a)
{
	int err = bind_one(a, SOCK_STREAM, &d->tcp_fd);

	return err == 0 ? bind_one(a, SOCK_DGRAM, &d->udp_fd) : err;
}

int sink_dnsd_open(struct sink_dnsd *d, struct sink *s)
{
	struct sink_address *a = &s->config.dns;
	const struct sink_address asked = *a;
	int err, left = PORTS_TRIED;

	d->sink = s;
	d->udp_fd = d->tcp_fd = -1;
	if (a->sa_len == 0)
		return 0;
	/* The port that TCP gets of port 0 may be another's in UDP. */
	while ((err = bind_both(d, a)) == -EADDRINUSE && --left > 0 &&
	       sink_address_port(&asked) == 0) {
		sink_dnsd_close(d);
		d->udp_fd = d->tcp_fd = -1;
		*a = asked;
	}
	if (err < 0)
		fprintf(stderr, "mtaq sink: DNS on %s port %u: %s\n", a->text,
			sink_address_port(a), strerrordesc_np(-err));
	return err;
}

void sink_dnsd_close(struct sink_dnsd *d)
{
	if (d->udp_fd >= 0)
		close(d->udp_fd);
	if (d->tcp_fd >= 0)
		close(d->tcp_fd);
}

static void serve_udp(struct serving *v)
{
	struct sink_dnsd *d = v->d;
	struct sockaddr_storage from;
	uint8_t query[QUERY_MAX];
	int i;

	for (i = 0; i < BURST; i++) {
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(d->udp_fd, query, sizeof(query), 0,
				     (struct sockaddr *)&from, &from_len);
		size_t len;

		if (n < 0)
			return;
		sink_count(&d->stats.n[SINK_N_DNS_QUERIES]);
		len = sink_dns_answer(&d->sink->config, query, (size_t)n, false,
				      v->answer);
		if (len > 0)
			sendto(d->udp_fd, v->answer, len, MSG_NOSIGNAL,
			       (struct sockaddr *)&from, from_len);
	}
}

static void client_add(struct serving *v)
{
	int fd =
		accept4(v->d->tcp_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if (v->count == CLIENTS_MAX) {
		close(fd);
		return;
	}
	v->fds[SOURCES + v->count] =
		(struct pollfd){ .fd = fd, .events = POLLIN };
	v->clients[v->count++].len = 0;
}

static void client_del(struct serving *v, size_t i)
{
	BUG_ON(i >= v->count);
	close(v->fds[SOURCES + i].fd);
	v->count--;
	v->fds[SOURCES + i] = v->fds[SOURCES + v->count];
	v->clients[i] = v->clients[v->count];
}

/* Answer the whole queries of a client.  False: be rid of it. */
static bool client_answer(struct serving *v, struct client *c, int fd)
{
	while (c->len >= 2) {
		size_t want = (size_t)c->query[0] << 8 | c->query[1], len;

		if (want > QUERY_MAX)
			return false;
		if (c->len < 2 + want)
			return true;
		sink_count(&v->d->stats.n[SINK_N_DNS_QUERIES]);
		sink_count(&v->d->stats.n[SINK_N_DNS_TCP]);
		len = sink_dns_answer(&v->d->sink->config, c->query + 2, want,
				      true, v->answer + 2);
		v->answer[0] = (uint8_t)(len >> 8);
		v->answer[1] = (uint8_t)len;
		if (len > 0 && send(fd, v->answer, 2 + len, MSG_NOSIGNAL) !=
				       (ssize_t)(2 + len))
			return false;
		c->len -= 2 + want;
		memmove(c->query, c->query + 2 + want, c->len);
	}
	return true;
}

static bool client_serve(struct serving *v, size_t i)
{
	struct client *c = &v->clients[i];
	int fd = v->fds[SOURCES + i].fd;
	ssize_t n = recv(fd, c->query + c->len, sizeof(c->query) - c->len, 0);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	c->len += (size_t)n;
	return n > 0 && client_answer(v, c, fd);
}

void sink_dnsd_run(struct sink_dnsd *d)
{
	struct serving *v = calloc(1, sizeof(*v));
	size_t i;

	if (v == NULL || d->udp_fd < 0) {
		free(v);
		return;
	}
	v->d = d;
	v->fds[0] = (struct pollfd){ d->sink->stop_fd, POLLIN, 0 };
	v->fds[1] = (struct pollfd){ d->udp_fd, POLLIN, 0 };
	v->fds[2] = (struct pollfd){ d->tcp_fd, POLLIN, 0 };
	while (poll(v->fds, SOURCES + v->count, -1) >= 0 || errno == EINTR) {
		if (v->fds[0].revents != 0)
			break;
		if (v->fds[1].revents != 0)
			serve_udp(v);
		for (i = v->count; i-- > 0;)
			if (v->fds[SOURCES + i].revents != 0 &&
			    !client_serve(v, i))
				client_del(v, i);
		if (v->fds[2].revents != 0)
			client_add(v);
	}
	while (v->count > 0)
		client_del(v, 0);
	free(v);
}
