/*
 * engine/listener_io.c - octets of one source, in and out
 *
 *	socket ─┬► the place that ingress has for what is coming
 *	        └► spill ─► its next places
 *	               └──► ahead: it has none for now
 *
 * One readv() takes what is there: a small frame costs one call where its
 * head, its payload and "nothing more" were three, and of a large payload
 * only the end is copied.
 *
 * Edge triggered: less than was asked for means that the socket is empty, and
 * that it rings when it is not.  The end of the stream rings too, but only
 * once: after that ring a source is read until the end is met.  Room to write
 * is asked for only when there was none, since every answer that a client
 * reads makes room.
 */
#include "engine/listener_private.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define EVENTS_ALWAYS (EPOLLIN | EPOLLRDHUP | EPOLLET)

static void broken(struct source *s)
{
	s->gone = true;
	s->deaf = true;
}

static bool watch(struct listener *in, struct source *s, int op, bool room)
{
	struct epoll_event ev = { .events =
					  EVENTS_ALWAYS | (room ? EPOLLOUT : 0),
				  .data.ptr = s };

	return epoll_ctl(in->epoll, op, s->fd, &ev) == 0;
}

void source_watch(struct listener *in, struct source *s)
{
	if (!watch(in, s, EPOLL_CTL_ADD, false))
		broken(s);
}

void source_event(struct listener *in, struct source *s, uint32_t events)
{
	if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
		s->ending = true;
	if ((events & EPOLLIN) != 0 || s->ending)
		s->readable = true;
	if (s->writable || (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) == 0)
		return;
	s->writable = true;
	if (!watch(in, s, EPOLL_CTL_MOD, false))
		broken(s);
}

/* As much as ingress has places for; what is left. */
static struct span feed(struct source *s, struct span octets)
{
	size_t room;
	void *p;

	while (octets.len > 0) {
		p = ingress_room(s->conn, &room);
		if (p == NULL || room == 0)
			break;
		if (room > octets.len)
			room = octets.len;
		memcpy(p, octets.p, room);
		ingress_fed(s->conn, room);
		octets = span_of(octets.p + room, octets.len - room);
	}
	return octets;
}

/* Without memory the client has to come again. */
static void keep(struct source *s, struct span octets)
{
	if (!ingress_over(s->conn) && buf_add_span(&s->ahead, octets) < 0)
		broken(s);
}

static bool feed_ahead(struct source *s)
{
	size_t left = feed(s, buf_span(&s->ahead)).len;
	bool moved = left < s->ahead.len;

	buf_shift(&s->ahead, s->ahead.len - left);
	if (left == 0 || ingress_over(s->conn))
		buf_free(&s->ahead);
	return moved;
}

static void take(struct listener *in, struct source *s, size_t n, size_t room)
{
	size_t first = n < room ? n : room;

	s->heard = true;
	ingress_fed(s->conn, first);
	if (n > first)
		keep(s, feed(s, span_of(in->spill, n - first)));
}

bool source_read(struct listener *in, struct source *s)
{
	struct iovec iov[2] = { [1] = { in->spill, sizeof(in->spill) } };
	ssize_t n;

	if (s->ahead.len > 0)
		return feed_ahead(s);
	iov[0].iov_base = ingress_room(s->conn, &iov[0].iov_len);
	if (!s->readable || s->gone || iov[0].iov_base == NULL ||
	    iov[0].iov_len == 0)
		return false;
	n = readv(s->fd, iov, 2);
	if (n > 0) {
		take(in, s, (size_t)n, iov[0].iov_len);
		if (s->file == NULL && !s->ending &&
		    (size_t)n < iov[0].iov_len + sizeof(in->spill))
			s->readable = false;
		return true;
	}
	if (n < 0 && errno == EINTR)
		return true;
	s->readable = false;
	if (n == 0 || errno != EAGAIN)
		s->gone = true; /* a file: all of it has been read */
	return false;
}

bool source_write(struct listener *in, struct source *s)
{
	struct span answer = ingress_answer(s->conn);
	ssize_t n;

	if (answer.len == 0)
		return false;
	if (s->file != NULL) { /* nobody listens */
		ingress_sent(s->conn, answer.len);
		return true;
	}
	if (!s->writable)
		return false;
	n = send(s->fd, answer.p, answer.len, MSG_NOSIGNAL);
	if (n > 0) {
		ingress_sent(s->conn, (size_t)n);
		return true;
	}
	if (n < 0 && errno == EINTR)
		return true;
	s->writable = false;
	if (errno != EAGAIN || !watch(in, s, EPOLL_CTL_MOD, true))
		broken(s);
	return false;
}
