/*
 * engine/listener.c - the ingress thread
 *
 *	NEW ─► reading ─► over ─► (items come back) ─► answered ─► closed
 *	          └─► gone (peer hung up) ─► (items come back) ─► closed
 *
 * A source is a connection or a file of the drop folder.  It remembers that it
 * may read or write (listener_io.c) and stands in the list `busy` while a turn
 * could move it.  While the log is behind
 * (`lent` messages or octets at their limits), or the store is, sources stand
 * in `busy` and are looked at again when answers come or the store rings.
 *
 * Invariant: a source is freed only when none of its items is lent.
 */
#include "engine/listener_private.h"

#include "base/bug.h"
#include "engine/logger.h"
#include "engine/storer.h"
#include "engine/thread.h"
#include "engine/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READS_PER_TURN 4
#define RING_BYTES     (128u << 10) /* the log stages and writes as much */
#define QUIET_MS       1 /* what was lent without a ring waits no longer */
#define EVENTS_MAX     256
#define SCAN_MS        10000
#define TICK_MS        10000

static bool may_lend(const struct listener *in)
{
	return in->lent < LOGGER_REQUESTS_MAX &&
	       in->lent_bytes < in->set.set->limits.unsynced_bytes &&
	       !atomic_load(&in->set.storer->behind);
}

static void make_busy(struct listener *in, struct source *s)
{
	if (list_empty(&s->link))
		list_add_tail(&in->busy, &s->link);
}

/* --- what comes back from the log ----------------------------------------- */

/* What no lane has taken yet is not accepted: its client comes back. */
static void refuse_held(struct source *s)
{
	if (s->held == NULL || s->asking)
		return;
	s->later = true;
	ingress_refused(s->held, -EAGAIN);
	s->held = NULL;
}

/* One was refused for now: so is what is lent (by the gate) and what is held
 * behind it.  A higher number that is taken hides that one for ever. */
static void refuse_rest(struct source *s)
{
	s->later = true;
	s->unwanted = s->asking;
	refuse_held(s);
}

static void count_accepted(struct listener *in, const struct queue_message *m)
{
	enum sched_class class = meter_class(m->flags);

	tally_add(&in->accepted[class], 1);
	tally_add(&in->rcpts[class], m->rcpt_count);
	tally_add(&in->bytes, m->size);
}

static void take_answer(struct listener *in, const struct put_answer *a)
{
	struct ingress_item *item = a->cookie;
	struct source *s = item->user;

	BUG_ON(in->lent == 0 || in->lent_bytes < item->msg.size);
	in->lent--;
	in->lent_bytes -= item->msg.size;
	if (a->err < 0) {
		ingress_refused(item, a->err);
		if (a->err != -EMSGSIZE && a->err != -EINVAL)
			refuse_rest(s);
	} else {
		count_accepted(in, &item->msg);
		ingress_accepted(item, a->id);
	}
	s->lent--;
	if (s->lent == 0)
		s->gate.shut = 0;
	make_busy(in, s);
}

static void take_seen(struct listener *in, const struct seen_answer *a)
{
	struct ingress_item *item = a->cookie;
	struct source *s = item->user;

	BUG_ON(!s->asking || s->held != item);
	s->asking = false;
	in->asking--;
	item->may_repeat = false; /* asked: to be lent, unless it was found */
	if (a->found) {
		s->held = NULL;
		ingress_accepted(item, a->id);
	} else if (s->unwanted) {
		refuse_held(s);
	}
	s->unwanted = false;
	make_busy(in, s);
}

static bool take_answers(struct listener *in)
{
	struct lane *lane = &in->set.logger->to_ingress;
	const struct put_answer *a;
	const struct seen_answer *seen;
	bool any = false;
	size_t len;

	while ((a = lane_peek(lane, &len)) != NULL) {
		take_answer(in, a);
		lane_consume(lane);
		any = true;
	}
	lane = &in->set.storer->answers;
	while ((seen = lane_peek(lane, &len)) != NULL) {
		take_seen(in, seen);
		lane_consume(lane);
		any = true;
	}
	return any;
}

/* --- one source ------------------------------------------------------------ */

static void lend(struct listener *in, struct put_request *req,
		 struct ingress_item *item)
{
	struct source *s = item->user;

	*req = (struct put_request){ .msg = &item->msg,
				     .cookie = item,
				     .gate = &s->gate };
	mring_publish(in->set.logger->from_ingress.ring);
	s->lent++;
	in->lent++;
	in->lent_bytes += item->msg.size;
	in->quiet += item->msg.size + 1; /* never none */
}

/* Items of one source must become durable in their order: while the store is
 * asked about one, no other is lent. */
static bool ask_store(struct listener *in, struct source *s,
		      struct ingress_item *item)
{
	struct lane *lane = &in->set.storer->asks;
	struct seen_ask *ask = lane_reserve_or_wait(lane, sizeof(*ask));

	if (ask == NULL)
		return false;
	*ask = (struct seen_ask){ .cookie = item, .number = item->msg.number };
	memcpy(ask->submission, item->msg.submission, sizeof(ask->submission));
	lane_publish(lane);
	s->asking = true;
	in->asking++;
	return true;
}

/* The item that waits first, else the next one; NULL: none now. */
static struct ingress_item *next_item(struct listener *in, struct source *s)
{
	struct ingress_item *item = s->held;

	if (s->asking)
		return NULL;
	if (item == NULL &&
	    ingress_next(s->conn, in->mail_s, in->wall_s, &item) != 1)
		return NULL;
	item->user = s;
	s->held = item;
	if (!item->may_repeat)
		return item;
	ask_store(in, s, item);
	return NULL;
}

/* --- the log's bell --------------------------------------------------------- */

static void ring(struct listener *in)
{
	in->quiet = in->quiet_until_ms = 0;
	bell_ring(in->set.logger->from_ingress.to);
}

/* Each ring costs the log a turn, and this thread its core where both share
 * one: for little while more is promised it is put off. */
static void ring_for(struct listener *in, const struct source *s)
{
	if (in->quiet >= RING_BYTES || (in->quiet > 0 && s->promise == 0))
		ring(in);
	else if (in->quiet > 0 && in->quiet_until_ms == 0)
		in->quiet_until_ms = clock_now_ms() + QUIET_MS;
}

/* --- what a client says will follow at once ------------------------------- */

/* Each frame that says so counts once: a client that then is silent holds
 * nobody's group for long. */
static void promise_more(struct listener *in, struct source *s)
{
	uint32_t more = s->file == NULL ? ingress_more(s->conn) : 0;

	if (more == 0 || more == s->promise)
		return;
	atomic_store(&in->set.logger->promised_until_ms,
		     clock_now_ms() + LOGGER_PROMISE_MS);
	in->promising += s->promise == 0;
	s->promise = more;
}

/* It came, or never will. */
static void promise_over(struct listener *in, struct source *s)
{
	if (s->promise == 0)
		return;
	s->promise = 0;
	in->promising--;
	if (in->promising > 0)
		return;
	atomic_store(&in->set.logger->promised_until_ms, 0);
	ring(in);
}

/* Lend what is ready to the log.  It begins while a frame of many messages is
 * still looked at, and knows by `coming` that their group is not whole. */
static bool lend_items(struct listener *in, struct source *s)
{
	struct lane *lane = &in->set.logger->from_ingress;
	atomic_bool *coming = &in->set.logger->coming;
	struct ingress_item *item;
	struct put_request *req;
	uint32_t n = 0;

	promise_more(in, s);
	while (may_lend(in)) {
		req = lane_reserve_or_wait(lane, sizeof(*req));
		if (req == NULL)
			break;
		item = next_item(in, s);
		if (item == NULL)
			break;
		if (n == 1)
			atomic_store(coming, true);
		lend(in, req, item);
		s->held = NULL;
		n++;
		if (in->quiet >= RING_BYTES)
			ring(in);
	}
	if (n > 1)
		atomic_store(coming, false);
	if (ingress_more(s->conn) == 0)
		promise_over(in, s);
	ring_for(in, s);
	return n > 0;
}

static bool source_done(struct source *s)
{
	if (ingress_items_out(s->conn) > 0)
		return false;
	if (s->deaf || (s->gone && s->file != NULL))
		return true;
	return (s->gone || ingress_over(s->conn)) &&
	       ingress_answer(s->conn).len == 0;
}

static void source_free(struct listener *in, struct source *s)
{
	promise_over(in, s);
	list_del(&s->link);
	list_del(&s->all);
	if (s->file != NULL) {
		drop_finish(in, s);
	} else {
		atomic_fetch_sub(&in->connections, 1);
		if (!s->heard) /* a knock: look into the folder */
			in->next_scan_ms = 0;
		in->accept_again = true;
	}
	close(s->fd);
	ingress_conn_free(&s->conn);
	buf_free(&s->ahead);
	free(s);
}

/* Move one source as far as a turn may; true: there is more to do now. */
static bool pump(struct listener *in, struct source *s)
{
	bool moved = false;
	int i;

	for (i = 0; i < READS_PER_TURN && !in->stopping && may_lend(in); i++) {
		if (!source_read(in, s))
			break;
		moved = true;
		lend_items(in, s);
	}
	if (in->stopping)
		refuse_held(s);
	else if (lend_items(in, s))
		moved = true;
	while (source_write(in, s))
		moved = true;
	return moved;
}

static void pump_all(struct listener *in)
{
	struct list round;
	struct list *l;

	/* Each busy source once: what moved goes to the end for later. */
	list_init(&round);
	while ((l = list_pop(&in->busy)) != NULL)
		list_add_tail(&round, l);
	while ((l = list_pop(&round)) != NULL) {
		struct source *s = CONTAINER_OF(l, struct source, link);

		if (pump(in, s) || !may_lend(in))
			make_busy(in, s);
		/* While nothing may be lent, frames may still wait in s. */
		if (source_done(s) && (s->deaf || may_lend(in)))
			source_free(in, s);
	}
}

struct source *listener_add(struct listener *in, int fd, uint32_t uid)
{
	struct source *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->fd = fd;
	s->readable = s->writable = true;
	list_init(&s->link);
	list_init(&s->all);
	buf_init(&s->ahead, LISTENER_SPILL);
	if (ingress_conn_new(in->set.set, in->set.seen, &in->large, uid,
			     &s->conn) < 0) {
		free(s);
		return NULL;
	}
	ingress_conn_tally(s->conn, in->refused);
	list_add_tail(&in->sources, &s->all);
	make_busy(in, s);
	return s;
}

/* --- the socket ------------------------------------------------------------ */

static void accept_one(struct listener *in, int fd)
{
	struct ucred peer = { .uid = UINT32_MAX };
	socklen_t len = sizeof(peer);
	struct source *s;

	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len);
	s = listener_add(in, fd, peer.uid);
	if (s == NULL) {
		close(fd);
		return;
	}
	atomic_fetch_add(&in->connections, 1);
	source_watch(in, s);
}

/* A socket that is ready and not accepted from would wake every turn: while
 * no more connections are wanted it is not watched. */
static void listen_on(struct listener *in, bool on)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = in };

	if (in->listening == on)
		return;
	if (epoll_ctl(in->epoll, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, in->listen,
		      &ev) == 0)
		in->listening = on;
}

static bool wants_more(const struct listener *in)
{
	return atomic_load(&in->connections) < in->set.submitters;
}

static void accept_all(struct listener *in)
{
	int fd = 0;

	while (wants_more(in) &&
	       (fd = accept4(in->listen, NULL, NULL,
			     SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
		accept_one(in, fd);
	/* Out of descriptors: again when one is closed, or at the scan. */
	listen_on(in,
		  wants_more(in) && (fd >= 0 || errno == EAGAIN ||
				     errno == ECONNABORTED || errno == EINTR));
}

static void take_event(struct listener *in, const struct epoll_event *ev)
{
	struct source *s = ev->data.ptr;

	if (ev->data.ptr == in) {
		accept_all(in);
		return;
	}
	if (ev->data.ptr == &in->bell)
		return; /* the lanes are looked at every turn */
	source_event(in, s, ev->events);
	make_busy(in, s);
}

static bool has_more(const struct listener *in)
{
	return !list_empty(&in->busy) && may_lend(in) && !in->stopping;
}

static void wait_events(struct listener *in)
{
	struct epoll_event evs[EVENTS_MAX];
	uint64_t now = clock_now_ms();
	int timeout =
		in->next_scan_ms > now ? (int)(in->next_scan_ms - now) : 0;
	int i, n;

	if (in->quiet > 0 && now >= in->quiet_until_ms)
		ring(in);
	if (in->quiet > 0 && timeout > QUIET_MS)
		timeout = QUIET_MS;
	bell_doze(in->bell);
	lane_settle(&in->set.logger->to_ingress);
	lane_settle(&in->set.storer->answers);
	/* Behind bell_doze(): the store may just have caught up, and who stops
	 * this thread rings for it once. */
	if (has_more(in) || take_answers(in) ||
	    (atomic_load(&in->stop) && !in->stopping))
		timeout = 0;
	n = epoll_wait(in->epoll, evs, EVENTS_MAX, timeout);
	/* The bell is edge triggered: nobody has to empty it. */
	bell_awake(in->bell);
	for (i = 0; i < n; i++)
		take_event(in, &evs[i]);
}

/* Those whose large message waits for its place. */
static void wake_line(struct listener *in)
{
	LIST_FOR_EACH (l, &in->sources) {
		struct source *s = CONTAINER_OF(l, struct source, all);

		if (ingress_waits(s->conn))
			make_busy(in, s);
	}
}

/* Scans of the folder come whenever somebody knocks, ticks only in their time:
 * they count how long a client is silent.  While the log is behind nobody is
 * read, and silence says nothing. */
static void tick(struct listener *in)
{
	uint64_t now = clock_now_ms();

	if (now < in->next_tick_ms)
		return;
	in->next_tick_ms = now + TICK_MS;
	if (!may_lend(in))
		return;
	LIST_FOR_EACH (l, &in->sources) {
		struct source *s = CONTAINER_OF(l, struct source, all);

		ingress_conn_tick(s->conn);
		if (ingress_over(s->conn))
			make_busy(in, s);
	}
}

/* Its thread has ended: what it was asked stays open. */
static bool store_ended(const struct listener *in)
{
	return atomic_load(&in->set.storer->failed) != 0;
}

static void *listener_main(void *arg)
{
	struct listener *in = arg;
	accept_all(in);
	while (!in->stopping || in->lent > 0 ||
	       (in->asking > 0 && !store_ended(in))) {
		wait_events(in);
		in->stopping = atomic_load(&in->stop);
		in->mail_s = clock_mail_s(in->set.clock);
		in->wall_s = clock_wall_ms() / 1000;
		take_answers(in);
		if (clock_now_ms() >= in->next_scan_ms && !in->stopping) {
			tick(in);
			drop_scan(in);
			/* Also for those that were over the limit before. */
			accept_all(in);
			ingress_seen_expire(in->set.seen,
					    clock_mail_s(in->set.clock));
			in->next_scan_ms = clock_now_ms() + SCAN_MS;
		}
		pump_all(in);
		if (ingress_large_moved(&in->large))
			wake_line(in);
		if (in->accept_again && !in->stopping)
			accept_all(in);
		in->accept_again = false;
	}
	return NULL;
}

int listener_start(struct listener *in)
{
	return thread_start(&in->thread, "ingress", listener_main, in);
}

void listener_stop(struct listener *in)
{
	atomic_store(&in->stop, true);
	bell_ring(in->bell);
	pthread_join(in->thread, NULL);
}

void listener_free(struct listener **listener)
{
	struct listener *in = *listener;

	*listener = NULL;
	if (in == NULL)
		return;
	LIST_FOR_EACH_SAFE (l, next, &in->sources) {
		struct source *s = CONTAINER_OF(l, struct source, all);

		s->asking = false;
		refuse_held(s);
		BUG_ON(ingress_items_out(s->conn) > 0);
		source_free(in, s);
	}
	listener_close_socket(in);
	free(in);
}

void listener_count(const struct listener *in, struct listener_counts *counts_r)
{
	struct listener_counts c = { .connections =
					     atomic_load(&in->connections),
				     .bytes = tally_read(&in->bytes) };
	unsigned i;

	for (i = 0; i < SCHED_CLASS_COUNT; i++) {
		c.accepted[i] = tally_read(&in->accepted[i]);
		c.rcpts[i] = tally_read(&in->rcpts[i]);
	}
	for (i = 0; i < INGRESS_REASON_COUNT; i++)
		c.refused[i] = tally_read(&in->refused[i]);
	*counts_r = c;
}
