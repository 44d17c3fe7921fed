/*
 * io/sock.c - how sockets are made
 */
#include "io/io_private.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define BACKLOG     4096 /* the kernel cuts it to net.core.somaxconn */
#define PENDING_MAX 256  /* octets that a look counts: one would do */

static bool is_tcp(const struct io_addr *addr)
{
	return addr->u.sa.sa_family == AF_INET ||
	       addr->u.sa.sa_family == AF_INET6;
}

static int set_on(int fd, int level, int name)
{
	int one = 1;

	return setsockopt(fd, level, name, &one, sizeof(one)) < 0 ? -errno : 0;
}

static int bind_to(int fd, const struct io_addr *addr)
{
	return bind(fd, &addr->u.sa, addr->len) < 0 ? -errno : 0;
}

static int prepare(int fd, const struct io_addr *src, const struct io_addr *dst)
{
	int err = is_tcp(dst) ? set_on(fd, IPPROTO_TCP, TCP_NODELAY) : 0;

	if (err < 0 || src == NULL || src->len == 0)
		return err;
	/* The port is chosen at connect, by the whole 4-tuple: otherwise one
	 * source address is spent after 28,000 connections. */
	if (is_tcp(src))
		err = set_on(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT);
	return err < 0 ? err : bind_to(fd, src);
}

int sock_connecting(const struct io_addr *src, const struct io_addr *dst,
		    int flags)
{
	int err, fd;

	fd = socket(dst->u.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	if (fd < 0)
		return -errno;
	err = prepare(fd, src, dst);
	if (err == 0)
		return fd;
	close(fd);
	return err;
}

int io_way_out(const struct io_addr *src, const struct io_addr *dst)
{
	int err = 0, fd;

	fd = socket(dst->u.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (src != NULL && src->len > 0)
		err = bind_to(fd, src);
	/* Of a datagram socket this only looks the way up. */
	if (err == 0 && connect(fd, &dst->u.sa, dst->len) < 0)
		err = -errno;
	close(fd);
	return err;
}

static int prepare_listening(int fd, const struct io_addr *at)
{
	int err = 0;

	if (is_tcp(at)) {
		err = set_on(fd, SOL_SOCKET, SO_REUSEADDR);
		/* Accepted sockets inherit it. */
		if (err == 0)
			err = set_on(fd, IPPROTO_TCP, TCP_NODELAY);
	}
	if (err == 0 && at->u.sa.sa_family == AF_INET6)
		err = set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY);
	if (err == 0)
		err = bind_to(fd, at);
	if (err == 0 && listen(fd, BACKLOG) < 0)
		err = -errno;
	return err;
}

int sock_listening(const struct io_addr *at, int flags)
{
	int err, fd;

	fd = socket(at->u.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	if (fd < 0)
		return -errno;
	err = prepare_listening(fd, at);
	if (err == 0)
		return fd;
	close(fd);
	return err;
}

int sock_set_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

int sock_pending(int fd)
{
	char some[PENDING_MAX];
	ssize_t got = recv(fd, some, sizeof(some), MSG_PEEK | MSG_DONTWAIT);
	int n;

	if (got >= 0) /* FIONREAD would not tell the end */
		return got == 0 ? 1 : (int)got;
	if (errno == EAGAIN)
		return 0;
	if (errno != ENOTSOCK)
		return 1; /* the receive will say so too */
	return ioctl(fd, FIONREAD, &n) < 0 ? -errno : n;
}

void io_ack_now(struct io *io, int conn)
{
	int fd = io_fd(io, conn);

	if (fd >= 0)
		(void)set_on(fd, IPPROTO_TCP, TCP_QUICKACK);
}

void sock_linger_none(int fd)
{
	struct linger none = { .l_onoff = 1, .l_linger = 0 };

	/* Fails on what is no socket, and there nothing is to be reset. */
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
}

uint64_t io_clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}
