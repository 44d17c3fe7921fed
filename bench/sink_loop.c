/*
 * bench/sink_loop.c - the sink's own event loop, one a thread
 *
 * A turn: wait; accept, receive and decide for every session that has
 * something; write the ledger; send what was decided.  One recv() into a
 * large buffer and one send() for all replies of a session: the kernel's TCP
 * path is most of the cost, so its calls are counted and few.
 *
 * Closing: our side is shut first, then what the client still sends is read
 * and thrown away for LINGER_US, and only then the socket is closed.  A close
 * with octets unread would send RST and might destroy replies on their way,
 * a 250 that the ledger calls sent among them.
 */
#include "bench/sink_private.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_MAX  256
#define ACCEPTS_MAX 64 /* a turn and listener: others want their turn too */
#define INBOX_SIZE  (256u << 10)
#define LINGER_US   2000000u
#define BACKLOG     4096

struct sink_listener {
	int kind; /* SINK_SOURCE_LISTENER; first, for epoll */
	int fd;
	struct sink_address *address;
};

static int stop_source = SINK_SOURCE_STOP;

uint64_t sink_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int watch(struct sink_loop *l, int op, int fd, uint32_t events,
		 void *source)
{
	struct epoll_event ev = { .events = events, .data.ptr = source };

	return epoll_ctl(l->epoll_fd, op, fd, &ev) < 0 ? -errno : 0;
}

/* --- sessions ----------------------------------------------------------- */

static void make_dirty(struct sink_session *s)
{
	if (list_empty(&s->dirty))
		list_add_tail(&s->loop->dirty, &s->dirty);
}

static void session_free(struct sink_session *s)
{
	struct sink_loop *l = s->loop;
	struct linger hard = { 1, 0 };

	if (s->phase == SINK_PHASE_DATA || s->phase == SINK_PHASE_BDAT)
		sink_count(&l->stats.n[SINK_N_ABORTED]);
	if (s->reset)
		setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(s->fd);
	atomic_fetch_sub(&s->address->open, 1);
	atomic_fetch_sub(&l->sink->open, 1);
	sink_stats_session(&l->stats, s->messages);
	list_del(&s->open);
	list_del(&s->dirty);
	heap_del(&l->timers, &s->timer);
	sink_out_free(&s->out);
	buf_free(&s->line);
	buf_free(&s->rcpts);
	free(s);
}

/* No memory for its timer ends a session like no memory for its replies. */
static void timer_at(struct sink_session *s, uint64_t at_us)
{
	if (heap_put(&s->loop->timers, &s->timer, at_us) < 0) {
		s->reset = s->close_wanted = true;
		make_dirty(s);
	}
}

/* When to look at the session again, without anything coming from it. */
static void timer_set(struct sink_session *s, uint64_t due_us)
{
	uint64_t idle_ms = s->loop->config->idle_ms, idle_us = 0;

	if (s->finished)
		idle_us = s->seen_us + LINGER_US;
	else if (idle_ms > 0)
		idle_us = s->seen_us + idle_ms * 1000;
	if (due_us == 0 || (idle_us > 0 && idle_us < due_us))
		due_us = idle_us;
	if (due_us > 0)
		timer_at(s, due_us);
	else
		heap_del(&s->loop->timers, &s->timer);
}

/* How much may go in one send() now. */
static size_t portion(const struct sink_session *s)
{
	size_t ready = s->out.ready;

	if (ready == 0)
		return 0;
	if (s->tarpit)
		return s->loop->now_us >= s->tick_us ? 1 : 0;
	return s->loop->config->split ? 1 : ready;
}

/* Send what is ready.  False: the connection is dead. */
static bool send_ready(struct sink_session *s)
{
	struct sink_loop *l = s->loop;
	size_t n;

	while ((n = portion(s)) > 0) {
		ssize_t done = send(s->fd, s->out.octets.p + s->out.sent, n,
				    MSG_NOSIGNAL);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0 && errno == EAGAIN)
			return true;
		if (done < 0)
			return false;
		sink_count(&l->stats.n[SINK_N_WRITES]);
		sink_out_sent(&s->out, (size_t)done);
		if (s->tarpit)
			s->tick_us = l->now_us +
				     (uint64_t)l->config->tarpit_ms * 1000;
		if (!s->tarpit && (size_t)done < n)
			return true;
	}
	return true;
}

static void session_finish(struct sink_session *s)
{
	s->finished = true;
	s->seen_us = s->loop->now_us;
	shutdown(s->fd, SHUT_WR);
}

/* Bring a session's socket and timer to where its replies want them. */
static void session_settle(struct sink_session *s)
{
	struct sink_loop *l = s->loop;
	uint64_t due_us = sink_out_ripen(&s->out, l->now_us);
	bool blocked;

	/* A client that fetches no replies is not waited for. */
	if (!send_ready(s) || s->out.octets.failed != 0) {
		session_free(s);
		return;
	}
	if (s->close_wanted && !s->finished && sink_out_empty(&s->out)) {
		if (s->reset) {
			session_free(s);
			return;
		}
		session_finish(s);
	}
	blocked = portion(s) > 0;
	if (blocked != s->want_write) {
		s->want_write = blocked;
		watch(l, EPOLL_CTL_MOD, s->fd,
		      blocked ? EPOLLIN | EPOLLOUT : EPOLLIN, s);
	}
	if (s->tarpit && s->out.ready > 0 && !blocked)
		due_us = s->tick_us;
	if (due_us > 0 || s->finished || l->config->idle_ms > 0 ||
	    heap_has(&s->timer))
		timer_set(s, due_us);
}

static void session_timer(struct sink_session *s)
{
	struct sink_loop *l = s->loop;
	uint64_t idle_us = (uint64_t)l->config->idle_ms * 1000;

	if (s->finished && l->now_us >= s->seen_us + LINGER_US) {
		session_free(s);
		return;
	}
	if (!s->close_wanted && idle_us > 0 &&
	    l->now_us >= s->seen_us + idle_us && sink_out_empty(&s->out)) {
		sink_say_plain(s, "421", "4.3.2", "idle too long");
		sink_end(s);
	}
	make_dirty(s);
}

static void session_read(struct sink_session *s)
{
	struct sink_loop *l = s->loop;
	ssize_t n;

	do
		n = recv(s->fd, l->inbox, INBOX_SIZE, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		session_free(s);
		return;
	}
	sink_count(&l->stats.n[SINK_N_READS]);
	l->now_us = sink_now_us();
	if (!s->finished)
		s->seen_us = l->now_us;
	sink_smtp_feed(s, l->inbox, (size_t)n);
	make_dirty(s);
}

static struct sink_session *session_new(struct sink_loop *l,
					struct sink_address *a, int fd)
{
	const struct sink_config *c = l->config;
	struct sink_session *s = calloc(1, sizeof(*s));
	uint64_t open;

	if (s == NULL)
		return NULL;
	s->kind = SINK_SOURCE_SESSION;
	s->fd = fd;
	s->loop = l;
	s->address = a;
	s->id = atomic_fetch_add(&l->sink->sessions, 1) + 1;
	s->seen_us = l->now_us;
	s->delay_ms = a->delay_ms;
	s->tarpit = c->tarpit > 0 && sink_draw(c->seed, 1, s->id) < c->tarpit;
	list_init(&s->open);
	list_init(&s->dirty);
	list_add_tail(&l->open, &s->open);
	heap_node_init(&s->timer);
	sink_out_init(&s->out);
	buf_init(&s->line, SINK_LINE_MAX);
	buf_init(&s->rcpts, SINK_RCPTS_BYTES);
	sink_count(&l->stats.n[SINK_N_SESSIONS]);
	atomic_fetch_add(&a->open, 1);
	open = atomic_fetch_add(&l->sink->open, 1) + 1;
	if (open > atomic_load(&l->sink->peak))
		atomic_store(&l->sink->peak, open);
	return s;
}

/* --- listening ---------------------------------------------------------- */

/* Out of descriptors: turn the caller away, or epoll would spin. */
static void turn_away(struct sink_loop *l, int listen_fd)
{
	int fd;

	close(l->spare_fd);
	fd = accept(listen_fd, NULL, NULL);
	if (fd >= 0)
		close(fd);
	l->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void accept_some(struct sink_loop *l, struct sink_listener *from)
{
	int i, one = 1, fd;

	for (i = 0; i < ACCEPTS_MAX; i++) {
		struct sink_session *s;

		fd = accept4(from->fd, NULL, NULL,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0 && (errno == EMFILE || errno == ENFILE))
			turn_away(l, from->fd);
		if (fd < 0)
			return;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		s = session_new(l, from->address, fd);
		if (s == NULL || watch(l, EPOLL_CTL_ADD, fd, EPOLLIN, s) < 0) {
			if (s == NULL)
				close(fd);
			else
				session_free(s);
			return;
		}
		sink_smtp_greet(s);
		make_dirty(s);
	}
}

static int listener_open(struct sink_loop *l, struct sink_listener *n,
			 struct sink_address *a)
{
	int one = 1, err = 0;

	n->kind = SINK_SOURCE_LISTENER;
	n->address = a;
	n->fd = socket(a->sa.ss_family,
		       SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (n->fd < 0)
		return -errno;
	setsockopt(n->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (l->config->threads > 1)
		setsockopt(n->fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	if (bind(n->fd, (struct sockaddr *)&a->sa, a->sa_len) < 0 ||
	    listen(n->fd, BACKLOG) < 0)
		err = -errno;
	if (err == 0 && sink_address_port(a) == 0) {
		socklen_t len = sizeof(a->sa);

		getsockname(n->fd, (struct sockaddr *)&a->sa, &len);
	}
	return err == 0 ? watch(l, EPOLL_CTL_ADD, n->fd, EPOLLIN, n) : err;
}

/* Addresses without a port have --port; where that is 0 as well, the port
 * that the kernel gave to the first of them. */
static int listeners_open(struct sink_loop *l)
{
	struct sink_config *c = &l->sink->config;
	size_t i;

	for (i = 0; i < c->address_count; i++) {
		struct sink_address *a = &c->addresses[i];
		int err;

		if (sink_address_port(a) == 0)
			sink_address_set_port(a, c->port);
		err = listener_open(l, &l->listeners[i], a);
		if (err < 0) {
			fprintf(stderr, "mtaq sink: listen on %s port %u: %s\n",
				a->text, sink_address_port(a),
				strerrordesc_np(-err));
			return err;
		}
		if (c->port == 0)
			c->port = sink_address_port(a);
	}
	return 0;
}

int sink_loop_open(struct sink_loop *l, struct sink *s)
{
	size_t i, count = s->config.address_count;
	int err;

	l->sink = s;
	l->config = &s->config;
	l->now_us = sink_now_us();
	list_init(&l->open);
	list_init(&l->dirty);
	heap_init(&l->timers);
	sink_ledger_init(&l->ledger, s->ledger_fd, s->config.ledger_ok_only);
	if (s->config.ledger_us)
		l->ledger.unit_us = 1;
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	l->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	l->inbox = malloc(INBOX_SIZE);
	l->listeners = calloc(count, sizeof(*l->listeners));
	for (i = 0; l->listeners != NULL && i < count; i++)
		l->listeners[i].fd = -1;
	if (l->epoll_fd < 0 || l->inbox == NULL || l->listeners == NULL)
		return -ENOMEM;
	err = watch(l, EPOLL_CTL_ADD, s->stop_fd, EPOLLIN, &stop_source);
	return err == 0 ? listeners_open(l) : err;
}

void sink_loop_close(struct sink_loop *l)
{
	size_t i;

	while (!list_empty(&l->open))
		session_free(
			CONTAINER_OF(l->open.next, struct sink_session, open));
	for (i = 0; l->listeners != NULL && i < l->config->address_count; i++)
		if (l->listeners[i].fd >= 0)
			close(l->listeners[i].fd);
	free(l->listeners);
	free(l->inbox);
	heap_free(&l->timers);
	sink_ledger_free(&l->ledger);
	close(l->spare_fd);
	close(l->epoll_fd);
}

/* --- turns -------------------------------------------------------------- */

static int wait_for(struct sink_loop *l, struct epoll_event *events)
{
	struct heap_node *first = heap_min(&l->timers);
	struct timespec t, *limit = NULL;
	uint64_t wait_us;
	int n;

	if (first != NULL) {
		l->now_us = sink_now_us();
		wait_us = first->key > l->now_us ? first->key - l->now_us : 0;
		t.tv_sec = (time_t)(wait_us / 1000000);
		t.tv_nsec = (long)(wait_us % 1000000 * 1000);
		limit = &t;
	}
	n = epoll_pwait2(l->epoll_fd, events, EVENTS_MAX, limit, NULL);
	l->now_us = sink_now_us();
	return n >= 0 ? n : errno == EINTR ? 0 : -errno;
}

static void run_timers(struct sink_loop *l)
{
	struct heap_node *n;

	while ((n = heap_min(&l->timers)) != NULL && n->key <= l->now_us) {
		heap_del(&l->timers, n);
		session_timer(CONTAINER_OF(n, struct sink_session, timer));
	}
}

/* False: it is time to stop. */
static bool serve(struct sink_loop *l, const struct epoll_event *ev)
{
	int *kind = ev->data.ptr;
	struct sink_session *s;

	switch (*kind) {
	case SINK_SOURCE_STOP:
		return false;
	case SINK_SOURCE_LISTENER:
		accept_some(l, (struct sink_listener *)(void *)kind);
		return true;
	default:
		s = (struct sink_session *)(void *)kind;
		if (ev->events & EPOLLOUT)
			make_dirty(s);
		if (ev->events & (EPOLLIN | EPOLLERR | EPOLLHUP))
			session_read(s);
		return true;
	}
}

int sink_loop_run(struct sink_loop *l)
{
	struct epoll_event events[EVENTS_MAX];
	bool on = true;

	while (on) {
		struct list *d;
		int i, err, n = wait_for(l, events);

		if (n < 0)
			return n;
		for (i = 0; i < n; i++)
			on = serve(l, &events[i]) && on;
		run_timers(l);
		err = sink_ledger_write(&l->ledger);
		if (err < 0) {
			fprintf(stderr, "mtaq sink: the ledger: %s\n",
				strerrordesc_np(-err));
			return err;
		}
		while ((d = list_pop(&l->dirty)) != NULL)
			session_settle(
				CONTAINER_OF(d, struct sink_session, dirty));
	}
	return 0;
}
