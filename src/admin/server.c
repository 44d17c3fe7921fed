/*
 * admin/server.c - the daemon's end of the control socket
 *
 *	READING  a line is coming           EPOLLIN
 *	ASKED    it is whole, or in hand    nothing: hanging up is seen later
 *	WRITING  its answer is going out    EPOLLOUT
 *	STREAM   rows go as they come       EPOLLIN (it hangs up; it may say
 *	                                    nothing else), EPOLLOUT with rows
 */
#include "admin/server.h"

#include "base/bug.h"
#include "base/list.h"
#include "io/unix.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

enum peer_state {
	PEER_READING,
	PEER_ASKED,
	PEER_WRITING,
	PEER_STREAM
};

struct peer {
	struct list link; /* in admin_server.peers */
	enum peer_state state;
	int fd;
	bool bad;  /* it sent no line: close after the answer */
	bool gone; /* hung up, but in hand, or a stream that is to be ended */
	uint64_t seen_ms;
	struct ucred who;
	struct buf in, out;
	size_t line, written; /* length of the first line in `in` */
};

struct admin_server {
	int listen, epoll;
	char path[108];
	struct list peers; /* who asked longest ago first */
	uint32_t count;
	uint64_t now_ms;
	struct peer *in_hand, *aside;
	struct admin_request request, aside_request;
};

/* --- opening --------------------------------------------------------------- */

static int fail(char *words, size_t size, const char *what, const char *path)
{
	int err = -errno;

	snprintf(words, size, "%s %s: %s", what, path, strerrordesc_np(-err));
	return err;
}

static int listen_on(struct admin_server *s, const char *path, char *words,
		     size_t size)
{
	int err = io_unix_listen(path, 0660, 64, &s->listen);

	if (err == 0) {
		memcpy(s->path, path, strlen(path) + 1); /* ours to remove */
		return 0;
	}
	errno = -err;
	return fail(words, size,
		    err == -EADDRINUSE ? "another mtaq serves"
				       : "cannot listen on",
		    path);
}

int admin_server_open(const char *path, char *words, size_t words_size,
		      struct admin_server **server_r)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct admin_server *s = calloc(1, sizeof(*s));
	int err;

	if (s == NULL)
		return -ENOMEM;
	list_init(&s->peers);
	s->listen = -1;
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	err = s->epoll < 0 ? fail(words, words_size, "cannot watch", path)
			   : listen_on(s, path, words, words_size);
	if (err == 0 && epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->listen, &ev) < 0)
		err = fail(words, words_size, "cannot watch", path);
	if (err < 0) {
		admin_server_close(&s);
		return err;
	}
	*server_r = s;
	return 0;
}

static void drop(struct admin_server *s, struct peer *p)
{
	if (s->in_hand == p)
		s->in_hand = NULL;
	if (s->aside == p)
		s->aside = NULL;
	list_del(&p->link);
	s->count--;
	close(p->fd);
	buf_free(&p->in);
	buf_free(&p->out);
	free(p);
}

void admin_server_close(struct admin_server **server)
{
	struct admin_server *s = *server;

	*server = NULL;
	if (s == NULL)
		return;
	while (!list_empty(&s->peers))
		drop(s, CONTAINER_OF(s->peers.next, struct peer, link));
	if (s->path[0] != '\0')
		unlink(s->path);
	if (s->listen >= 0)
		close(s->listen);
	if (s->epoll >= 0)
		close(s->epoll);
	free(s);
}

int admin_server_fd(const struct admin_server *server)
{
	return server->epoll;
}

/* --- peers ----------------------------------------------------------------- */

static void set_state(struct admin_server *s, struct peer *p,
		      enum peer_state state)
{
	struct epoll_event ev = { .data.ptr = p };

	p->state = state;
	p->seen_ms = s->now_ms;
	ev.events = state == PEER_READING   ? EPOLLIN
		    : state == PEER_WRITING ? EPOLLOUT
		    : state == PEER_STREAM
			    ? EPOLLIN | (p->out.len > p->written ? EPOLLOUT : 0)
			    : 0;
	BUG_ON(epoll_ctl(s->epoll, EPOLL_CTL_MOD, p->fd, &ev) < 0);
}

static void take_peer(struct admin_server *s, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct peer *p = calloc(1, sizeof(*p));
	socklen_t len = sizeof(p->who);

	ev.data.ptr = p;
	if (p == NULL ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &p->who, &len) < 0 ||
	    epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) < 0) {
		free(p);
		close(fd);
		return;
	}
	p->fd = fd;
	p->seen_ms = s->now_ms;
	buf_init(&p->in, ADMIN_LINE_MAX);
	buf_init(&p->out, ADMIN_ANSWER_MAX);
	list_init(&p->link);
	list_add_tail(&s->peers, &p->link);
	s->count++;
}

/* A newcomer beyond the limit takes the place of nobody: it is closed, and
 * the command says that it could not be answered. */
static void accept_all(struct admin_server *s)
{
	int fd;

	while ((fd = accept4(s->listen, NULL, NULL,
			     SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		if (s->count >= ADMIN_CONNS_MAX)
			close(fd);
		else
			take_peer(s, fd);
	}
}

/* Is a line whole (or too long to be one)? */
static void look_for_line(struct admin_server *s, struct peer *p)
{
	ptrdiff_t lf = span_find(buf_span(&p->in), '\n');

	p->bad = lf < 0;
	if (lf >= 0)
		p->line = (size_t)lf;
	if (lf >= 0 || p->in.len == ADMIN_LINE_MAX)
		set_state(s, p, PEER_ASKED);
}

/* False: the peer is gone. */
static bool read_some(struct admin_server *s, struct peer *p)
{
	size_t room = ADMIN_LINE_MAX - p->in.len;
	ssize_t n;

	if (room > 4096)
		room = 4096;
	if (buf_reserve(&p->in, room) < 0)
		return false;
	n = read(p->fd, p->in.p + p->in.len, room);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	p->in.len += (size_t)n;
	p->seen_ms = s->now_ms;
	look_for_line(s, p);
	return true;
}

static bool write_some(struct admin_server *s, struct peer *p)
{
	ssize_t n = send(p->fd, p->out.p + p->written, p->out.len - p->written,
			 MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	p->written += (size_t)n;
	p->seen_ms = s->now_ms;
	if (p->written < p->out.len)
		return true;
	buf_free(&p->out);
	p->written = 0;
	if (p->bad)
		return false;
	set_state(s, p, PEER_READING);
	look_for_line(s, p); /* it may have asked twice at once */
	return true;
}

/* False: the peer of a stream is gone, or says what nobody asked for. */
static bool stream_turn(struct admin_server *s, struct peer *p, uint32_t events)
{
	ssize_t n = 0;

	if ((events & ~(uint32_t)EPOLLOUT) != 0)
		return false;
	if (p->out.len > p->written)
		n = send(p->fd, p->out.p + p->written, p->out.len - p->written,
			 MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	p->written += (size_t)n;
	if (p->written < p->out.len && n == 0)
		return true;
	buf_shift(&p->out, p->written);
	p->written = 0;
	set_state(s, p, PEER_STREAM);
	return true;
}

static void unwatch(struct admin_server *s, struct peer *p)
{
	if (!p->gone)
		(void)epoll_ctl(s->epoll, EPOLL_CTL_DEL, p->fd, NULL);
	p->gone = true;
}

/* It stays for its owner, without a descriptor to watch. */
static void lose_stream(struct admin_server *s, struct peer *p)
{
	unwatch(s, p);
	buf_clear(&p->out);
	p->written = 0;
}

static void drop_idle(struct admin_server *s)
{
	struct peer *p;

	LIST_FOR_EACH_SAFE (at, next, &s->peers) {
		p = CONTAINER_OF(at, struct peer, link);
		if (p->state == PEER_ASKED ||
		    p->seen_ms + ADMIN_IDLE_MS > s->now_ms)
			continue;
		if (p->state != PEER_STREAM)
			drop(s, p);
		else if (p->out.len > p->written)
			lose_stream(s, p);
	}
}

/* False: the peer is to be dropped. */
static bool peer_turn(struct admin_server *s, struct peer *p, uint32_t events)
{
	switch (p->state) {
	case PEER_STREAM:
		if (!stream_turn(s, p, events))
			lose_stream(s, p);
		return true;
	case PEER_ASKED:
		/* Hanging up while its request is under way: the answer
		 * finds out.  Once in hand it must stay. */
		if (p == s->in_hand)
			unwatch(s, p);
		return p == s->in_hand;
	case PEER_READING:
		return read_some(s, p);
	case PEER_WRITING:
		return write_some(s, p);
	}
	BUG_ON(true);
}

void admin_server_turn(struct admin_server *s, uint64_t now_ms)
{
	struct epoll_event evs[ADMIN_CONNS_MAX + 1];
	int i, n = epoll_wait(s->epoll, evs, ADMIN_CONNS_MAX + 1, 0);

	s->now_ms = now_ms;
	for (i = 0; i < n; i++) {
		struct peer *p = evs[i].data.ptr;
		bool stays;

		if (p == NULL) {
			accept_all(s);
			continue;
		}
		stays = peer_turn(s, p, evs[i].events);
		if (!stays)
			drop(s, p);
	}
	drop_idle(s);
}

/* --- requests -------------------------------------------------------------- */

static struct peer *who_asked(const struct admin_server *s)
{
	LIST_FOR_EACH (at, &s->peers) {
		struct peer *p = CONTAINER_OF(at, struct peer, link);

		if (p->state == PEER_ASKED)
			return p;
	}
	return NULL;
}

/* False: that is no request. */
static bool take_request(struct admin_server *s, struct peer *p,
			 struct admin_request *req)
{
	list_del(&p->link); /* its turn is over */
	list_add_tail(&s->peers, &p->link);
	req->uid = p->who.uid;
	req->pid = p->who.pid;
	req->out = &p->out;
	return !p->bad && admin_parse(p->in.p, p->line, &req->rec) == 0;
}

static void answer_bad(struct admin_server *s, struct peer *p)
{
	p->bad = true;
	admin_error(&p->out, EX_USAGE, "this is no request");
	admin_server_answered(s, s->now_ms);
}

struct admin_request *admin_server_next(struct admin_server *s)
{
	struct admin_request *req = &s->request;
	struct peer *p;

	BUG_ON(s->in_hand != NULL);
	while ((p = who_asked(s)) != NULL) {
		s->in_hand = p;
		if (take_request(s, p, req))
			return req;
		answer_bad(s, p);
	}
	return NULL;
}

static bool asks_for(const struct peer *p, struct span verb)
{
	struct span line = span_of(p->in.p, p->line);
	ptrdiff_t tab = span_find(line, '\t');

	if (tab >= 0)
		line.len = (size_t)tab;
	return !p->bad && span_eq(line, verb);
}

static struct peer *who_asked_for(const struct admin_server *s,
				  struct span verb)
{
	LIST_FOR_EACH (at, &s->peers) {
		struct peer *p = CONTAINER_OF(at, struct peer, link);

		if (p->state == PEER_ASKED && p != s->in_hand &&
		    asks_for(p, verb))
			return p;
	}
	return NULL;
}

struct admin_request *admin_server_aside(struct admin_server *s,
					 struct span verb)
{
	struct admin_request *req = &s->aside_request;
	struct peer *p;

	BUG_ON(s->aside != NULL);
	while ((p = who_asked_for(s, verb)) != NULL) {
		s->aside = p;
		if (take_request(s, p, req))
			return req;
		answer_bad(s, p);
	}
	return NULL;
}

void admin_server_answered(struct admin_server *s, uint64_t now_ms)
{
	struct peer *p = s->aside != NULL ? s->aside : s->in_hand;

	BUG_ON(p == NULL);
	s->now_ms = now_ms;
	if (p == s->aside)
		s->aside = NULL;
	else
		s->in_hand = NULL;
	if (p->gone) {
		drop(s, p);
		return;
	}
	if (p->out.failed < 0)
		admin_error(&p->out, EX_OSERR, "the answer is too large");
	if (p->bad)
		buf_clear(&p->in);
	else
		buf_shift(&p->in, p->line + 1);
	set_state(s, p, PEER_WRITING);
	if (!write_some(s, p))
		drop(s, p);
}

/* --- streams --------------------------------------------------------------- */

static struct peer *peer_of(const struct admin_stream *stream)
{
	return (struct peer *)(uintptr_t)stream;
}

struct admin_stream *admin_server_stream(struct admin_server *s,
					 uint64_t now_ms)
{
	struct peer *p = s->in_hand;

	BUG_ON(p == NULL);
	s->now_ms = now_ms;
	s->in_hand = NULL;
	buf_shift(&p->in, p->line + 1);
	p->state = PEER_STREAM;
	if (!p->gone)
		set_state(s, p, PEER_STREAM);
	return (struct admin_stream *)(void *)p;
}

bool admin_stream_gone(const struct admin_stream *stream)
{
	return peer_of(stream)->gone;
}

struct buf *admin_stream_out(struct admin_stream *stream)
{
	return &peer_of(stream)->out;
}

void admin_stream_send(struct admin_server *s, struct admin_stream *stream,
		       uint64_t now_ms)
{
	struct peer *p = peer_of(stream);

	s->now_ms = now_ms;
	if (!p->gone && !stream_turn(s, p, EPOLLOUT))
		lose_stream(s, p);
}

void admin_stream_end(struct admin_server *s, struct admin_stream **stream,
		      uint64_t now_ms)
{
	struct peer *p = peer_of(*stream);

	*stream = NULL;
	s->now_ms = now_ms;
	if (p->gone) {
		drop(s, p);
		return;
	}
	set_state(s, p, PEER_WRITING);
	if (!write_some(s, p))
		drop(s, p);
}

void admin_ok(struct buf *out)
{
	admin_begin(out, "ok");
	admin_end(out);
}

void admin_error(struct buf *out, int code, const char *words)
{
	buf_clear(out);
	admin_begin(out, "error");
	admin_number(out, "code", (uint64_t)code);
	admin_text(out, "words", span_str(words));
	admin_end(out);
}
