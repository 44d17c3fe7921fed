/*
 * ingress/link.c - a Unix stream socket for the client
 */
#include "ingress/link.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define RX_MAX      (17u << 20) /* the longest answer and its head */
#define RX_STEP     (64u << 10)
#define SOCKET_ROOM (512 << 10) /* twice that for octets and their heads */

void link_init(struct link *l)
{
	l->fd = -1;
	buf_init(&l->rx, RX_MAX);
}

void link_free(struct link *l)
{
	buf_free(&l->rx);
}

/* A batch of 100 messages goes out in one go: with what sockets have by default
 * its end waits until the daemon has read the front, and the client is woken
 * for it.  The kernel may give less. */
static void set_room(int fd)
{
	int octets = SOCKET_ROOM;

	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &octets, sizeof(octets));
}

int link_open(struct link *l, const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	int fd, r;

	if (len >= sizeof(to.sun_path))
		return -ENAMETOOLONG;
	memcpy(to.sun_path, path, len + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	set_room(fd);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	l->fd = fd;
	buf_clear(&l->rx);
	return 0;
}

void link_close(struct link *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	buf_clear(&l->rx);
}

int link_write(struct link *l, const char *p, size_t len, size_t *done)
{
	ssize_t n;

	while (*done < len) {
		n = send(l->fd, p + *done, len - *done, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		*done += (size_t)n;
	}
	return 0;
}

int link_read(struct link *l)
{
	struct buf *rx = &l->rx;
	size_t room;
	ssize_t n;
	int r;

	for (;;) {
		r = buf_reserve(rx, RX_STEP);
		if (r < 0)
			return r;
		n = recv(l->fd, rx->p + rx->len, rx->size - rx->len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (n == 0)
			return -ECONNRESET;
		room = rx->size - rx->len;
		rx->len += (size_t)n;
		/* Less than asked for: there is no more now. */
		if ((size_t)n < room || rx->len > RX_MAX - RX_STEP)
			return 0;
	}
}

uint64_t link_now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int link_wait(struct link *l, bool write, uint64_t deadline_ms)
{
	struct pollfd p = { .fd = l->fd, .events = POLLIN };
	uint64_t now = link_now_ms();

	if (write)
		p.events |= POLLOUT;
	if (now >= deadline_ms)
		return -ETIMEDOUT;
	(void)poll(&p, 1, (int)(deadline_ms - now));
	return 0;
}

void link_pause(int ms)
{
	(void)poll(NULL, 0, ms);
}
