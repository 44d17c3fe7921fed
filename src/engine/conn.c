/*
 * engine/conn.c - a connection and the session that it carries
 *
 *	FREE ─► CONNECTING ─► OPEN ─► CLOSING ─► FREE
 *	             └──────────────────┘
 *
 * io completions go in, the session says what to send, its events go to
 * attempts and to the site.  In flight at most: one send, one receive.
 *
 * Closing: the session's last event is CLOSE, and it comes only when no send
 * is lent.  A peer that does not read would hold that send for ever, so the
 * descriptor is closed as soon as the session has ended inside (it has no
 * deadline any more) while a send is out; the send then completes early.
 */
#include "engine/worker_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct io_token token_of(const struct conn *c)
{
	return (struct io_token){ .slot = c->slot, .gen = c->gen };
}

/* When it has something to do although nothing came. */
static uint64_t due_ms(const struct conn *c)
{
	uint64_t at = smtp_session_deadline(c->smtp);

	if (c->idle && !c->quitting && c->keep_ms < at)
		at = c->keep_ms;
	if (c->read_ms != 0 && c->read_ms < at)
		at = c->read_ms;
	return at;
}

/* With each answer the deadline moves away, minutes ahead, and a timer that is
 * moved touches those before and behind it.  So it stays where it is when it
 * comes early: conn_timer() then sees that nothing is due. */
static void set_timer(struct worker_state *s, struct conn *c)
{
	uint64_t at = due_ms(c);

	if (at == SMTP_NEVER) {
		wheel_del(&s->wheel, &c->timer);
		return;
	}
	if (at <= s->now_ms)
		at = s->now_ms + 1; /* the turn that is being taken is its */
	if (wheel_has(&c->timer) && c->timer_ms <= at)
		return;
	wheel_add(&s->wheel, &c->timer, at);
	c->timer_ms = at;
}

/* --- opening --------------------------------------------------------------- */

static void conn_release(struct worker_state *s, struct conn *c)
{
	BUG_ON(c->smtp != NULL || c->sc != NULL || c->iov != NULL);
	if (is_traced(s))
		trace_close(s, c);
	wheel_del(&s->wheel, &c->timer);
	list_del(&c->ready);
	whost_put(&c->host);
	c->state = CONN_FREE;
	c->gen++;
	s->conns_used--;
	c->site->conns--;
	list_add_tail(&s->conns_free, &c->ready);
	worker_feed_starved(s);
}

static void close_io(struct worker_state *s, struct conn *c)
{
	if (c->asked_close)
		return;
	c->asked_close = true;
	io_close(s->io, c->io, token_of(c));
}

/* The site's view of the connection ends, for the reason in v. */
static void leave_site(struct worker_state *s, struct conn *c,
		       const struct smtp_verdict *v)
{
	if (c->sc == NULL)
		return;
	site_conn_close(&c->sc, v, s->now_ms, NULL);
	list_del(&c->ready);
	worker_kick(s, c->site);
}

static void connect_failed(struct worker_state *s, struct conn *c, int err)
{
	const char *words = strerrordesc_np(-err);
	struct smtp_verdict v = { .result = SMTP_LOST,
				  .stage = SMTP_STAGE_CONNECT };

	if (is_traced(s) && !c->timed_out)
		trace_note(s, c, words);
	if (!c->timed_out && !s->stopping && ours_took(s, c, err)) {
		c->state = CONN_CLOSING;
		return;
	}
	tally_add(&s->w->counts.connects_failed, 1);
	tally_add(&c->site->cell->counters[BOARD_CONNECT_FAILED], 1);
	if (c->timed_out)
		words = "connect: no answer in time";
	v.text = span_str(words);
	if (is_traced(s) && c->timed_out)
		trace_note(s, c, words);
	leave_site(s, c, s->stopping ? NULL : &v);
	c->state = CONN_CLOSING;
}

int conn_open(struct worker_state *s, struct wsite *ws,
	      const struct site_target *target, bool picky)
{
	const struct source_addr *source = NULL;
	int handle = source_of(s, ws, &target->addr, &source);
	struct whost *host = whost_get(ws, target, source);
	struct list *l = host == NULL ? NULL : list_pop(&s->conns_free);
	struct site_conn *sc = target->conn;
	struct io_addr to;
	struct conn *c;

	if (l == NULL) {
		handle = host == NULL ? -ENOMEM : -EMFILE;
		whost_put(&host);
		site_conn_close(&sc, NULL, s->now_ms, NULL);
		s->no_connect_until_ms = s->now_ms + OURS_PAUSE_MS;
		ours_short(s, OURS_RESOURCES, handle);
		return handle;
	}
	c = CONTAINER_OF(l, struct conn, ready);
	io_addr_from_mx(&target->addr, &to);
	if (handle == 0)
		handle =
			io_connect(s->io, source != NULL ? &source->addr : NULL,
				   &to, token_of(c));
	s->conns_used++;
	ws->conns++;
	c->state = CONN_CONNECTING;
	c->begun_ms = s->now_ms;
	c->number = 0;
	c->io = handle;
	c->site = ws;
	c->sc = sc;
	c->host = host;
	c->keep_ms = SITE_NEVER;
	c->read_ms = 0;
	c->drip = (struct drip){ 0 };
	c->received_waits = c->send_failed = false;
	c->receiving = c->sending = c->asked_close = c->timed_out = false;
	c->quitting = c->ready_told = c->idle = false;
	histo_observe(&s->w->counts.window, site_window(ws->site));
	c->picky = picky;
	if (is_traced(s))
		trace_open(s, c);
	if (handle >= 0) {
		c->timer_ms = s->now_ms + s->set->smtp.timeout.connect_ms;
		wheel_add(&s->wheel, &c->timer, c->timer_ms);
		return 0;
	}
	connect_failed(s, c, handle);
	conn_release(s, c);
	return handle;
}

static void receive(struct worker_state *s, struct conn *c)
{
	if (c->receiving || c->asked_close)
		return;
	c->receiving = true;
	c->read_ms = 0;
	io_recv(s->io, c->io, c->in, sizeof(c->in), token_of(c));
}

static void receive_on(struct worker_state *s, struct conn *c, size_t len)
{
	uint64_t wait = drip_wait_ms(&c->drip, c->in, len, s->now_ms);

	if (wait == 0) {
		receive(s, c);
		return;
	}
	c->read_ms = s->now_ms + wait;
	set_timer(s, c);
}

static void connected(struct worker_state *s, struct conn *c, int result)
{
	if (result == 0 && !s->stopping)
		c->smtp = smtp_session_new(&s->smtp, s->smtp_pool, s->now_ms);
	if (c->smtp == NULL) {
		connect_failed(s, c, result < 0 ? result : -ENOMEM);
		close_io(s, c);
		return;
	}
	c->state = CONN_OPEN;
	c->number = ++s->sessions * s->w->set.count + s->w->set.number;
	tally_add(&s->w->counts.sessions, 1);
	tally_add(&c->site->cell->counters[BOARD_OPENED], 1);
	histo_observe(&s->w->counts.connect_ms, s->now_ms - c->begun_ms);
	site_conn_connected(c->sc, s->now_ms);
	if (is_traced(s))
		trace_note(s, c, "connected");
	receive(s, c);
	conn_turn(s, c, false);
}

/* --- the session's turn ---------------------------------------------------- */

/* Rule 1: acted upon, but somebody should know. */
static void tell_odd(const struct worker_state *s, const struct conn *c)
{
	uint32_t odd = smtp_session_info(c->smtp).odd_replies;
	char text[300];

	if (odd == 0 || s->set->log.level < SETTINGS_LEVEL_INFO)
		return;
	whost_text(c->host, text, sizeof(text));
	fprintf(stderr,
		"mtaq: %s gave %u repl%s with several codes; the last code of "
		"each counted\n",
		text, odd, odd == 1 ? "y" : "ies");
}

static void session_closed(struct worker_state *s, struct conn *c,
			   const struct smtp_event *ev)
{
	const struct smtp_verdict *v = &ev->verdict;
	bool ours = v->stage == SMTP_STAGE_QUIT || c->quitting;

	tell_odd(s, c);
	if (ev->distrust && c->sc != NULL)
		site_conn_distrust(c->sc, s->now_ms);
	if (ev->no_chunks && c->sc != NULL)
		site_conn_no_chunks(c->sc, s->now_ms);
	if (ev->in_group && c->sc != NULL)
		site_conn_group_broke(c->sc, s->now_ms);
	leave_site(s, c, ours || ev->idle ? NULL : v);
	c->state = CONN_CLOSING;
	close_io(s, c);
}

static void tell_ready(struct worker_state *s, struct conn *c)
{
	uint32_t caps = smtp_session_info(c->smtp).caps;

	site_conn_ready(c->sc, s->now_ms);
	site_conn_offers(c->sc, (caps & SMTP_CAP_PIPELINING) != 0,
			 smtp_chunk_caps(caps));
	deliver_site_answers(s, c->site);
}

/* True: the session has ended and is freed. */
static bool take_events(struct worker_state *s, struct conn *c)
{
	struct smtp_event ev;

	while (smtp_session_event(c->smtp, &ev)) {
		struct attempt *a = (struct attempt *)(uintptr_t)ev.tag;

		switch (ev.type) {
		case SMTP_EV_RCPT:
			attempt_verdict(s, a, ev.rcpt, &ev.verdict);
			break;
		case SMTP_EV_MAIL_DONE:
			attempt_done(s, a);
			break;
		case SMTP_EV_READY:
			if (!c->ready_told)
				tell_ready(s, c);
			c->ready_told = true;
			c->idle = true;
			break;
		case SMTP_EV_TLS:
			smtp_session_tls_done(c->smtp, false, s->now_ms);
			break;
		case SMTP_EV_CLOSE:
			session_closed(s, c, &ev);
			smtp_session_free(&c->smtp);
			return true;
		}
	}
	return false;
}

static struct iovec *take_iov(struct worker_state *s)
{
	struct list *l = list_pop(&s->iovs_free);

	if (l != NULL)
		return (struct iovec *)(void *)l;
	return malloc(SMTP_IOV_MAX * sizeof(struct iovec));
}

static void give_iov(struct worker_state *s, struct conn *c)
{
	struct list *l = (struct list *)(void *)c->iov;

	c->iov = NULL;
	list_init(l);
	list_add_head(&s->iovs_free, l);
}

/* Rules 18, 19: is there anything from the peer that the session has not seen?
 * It lies in the rest of what was received, in a completion of this turn, or
 * with the kernel. */
static bool has_pending(struct worker_state *s, const struct conn *c)
{
	return c->received_waits || io_pending(s->io, c->io) > 0;
}

static void send_some(struct worker_state *s, struct conn *c, bool pending)
{
	int n;

	if (c->sending || c->asked_close || c->send_failed)
		return;
	/* received() comes again when all was heard. */
	if ((pending || c->received_waits) && smtp_session_asks(c->smtp))
		return;
	if (c->iov == NULL)
		c->iov = take_iov(s);
	if (c->iov == NULL)
		return; /* the deadline ends it if memory stays away */
	if (!pending && smtp_session_dot_next(c->smtp))
		pending = has_pending(s, c);
	n = smtp_session_output(c->smtp, c->iov, SEND_MAX, pending, s->now_ms);
	if (n == 0) {
		give_iov(s, c);
		return;
	}
	if (is_traced(s))
		trace_sending(s, c, n);
	c->sending = true;
	io_send(s->io, c->io, c->iov, (size_t)n, token_of(c));
}

void conn_turn(struct worker_state *s, struct conn *c, bool pending)
{
	list_del(&c->ready);
	if (take_events(s, c))
		return;
	/* Not before all that came was heard: an answer too many is known for
	 * one only while none is owed. */
	if (c->idle && list_empty(&c->attempts) && !c->quitting &&
	    !c->send_failed && !pending && !c->received_waits) {
		if (deliver_next(s, c))
			list_add_tail(&c->site->ready, &c->ready);
		else if (c->state != CONN_OPEN || take_events(s, c))
			return;
	}
	if (s->smtp.chunking && smtp_session_ahead(c->smtp) > 0 &&
	    !c->sending && !pending)
		deliver_stream(s, c);
	else if (s->smtp.grouping && smtp_session_dot_next(c->smtp))
		deliver_group(s, c);
	send_some(s, c, pending);
	if (c->sending && smtp_session_deadline(c->smtp) == SMTP_NEVER)
		close_io(s, c);
	set_timer(s, c);
}

void conn_quit(struct worker_state *s, struct conn *c)
{
	if (c->quitting || smtp_session_quit(c->smtp, s->now_ms) < 0)
		return;
	c->quitting = true;
	list_del(&c->ready);
	send_some(s, c, false);
	set_timer(s, c);
}

void conn_abort(struct worker_state *s, struct conn *c)
{
	close_io(s, c);
}

void conn_timer(struct worker_state *s, struct conn *c)
{
	if (c->state == CONN_CONNECTING) {
		c->timed_out = true;
		close_io(s, c);
		return;
	}
	if (c->state != CONN_OPEN)
		return;
	if (due_ms(c) > s->now_ms) {
		set_timer(s, c);
		return;
	}
	if (c->read_ms != 0 && c->read_ms <= s->now_ms)
		receive(s, c);
	if (smtp_session_deadline(c->smtp) <= s->now_ms)
		smtp_session_tick(c->smtp, s->now_ms);
	conn_turn(s, c, false);
}

/* --- completions ----------------------------------------------------------- */

/* All that was received has been taken, but the memory for it was full: what is
 * behind that was not seen.  The next receive brings it, and comes again. */
static bool is_cut(struct worker_state *s, const struct conn *c, size_t len)
{
	return len == sizeof(c->in) && io_pending(s->io, c->io) > 0;
}

static void received(struct worker_state *s, struct conn *c, int result)
{
	size_t at = 0, len = result > 0 ? (size_t)result : 0, used;

	c->receiving = c->received_waits = false;
	if (c->smtp == NULL)
		return;
	if (len == 0)
		smtp_session_eof(c->smtp);
	while (at < len) {
		used = smtp_session_input(c->smtp, c->in + at, len - at,
					  s->now_ms);
		if (is_traced(s))
			trace_octets(s, c, false, span_of(c->in + at, used));
		at += used;
		if (at < len && smtp_session_gathers(c->smtp))
			continue;
		conn_turn(s, c, at < len || is_cut(s, c, len));
		if (c->smtp == NULL)
			return;
	}
	if (len > 0) {
		if (smtp_session_more_answers(c->smtp))
			io_ack_now(s->io, c->io);
		receive_on(s, c, len);
		return;
	}
	conn_turn(s, c, false);
	if (c->smtp != NULL && c->sending)
		close_io(s, c);
}

static void sent(struct worker_state *s, struct conn *c, int result)
{
	c->sending = false;
	give_iov(s, c);
	if (c->smtp == NULL)
		return;
	if (result > 0)
		tally_add(&s->w->counts.octets, (uint64_t)result);
	smtp_session_sent(c->smtp, s->now_ms);
	/*
	 * A send that failed says only that the peer is gone; what it said
	 * before that (rule 18) is in the receive that follows, whose end
	 * then ends the session.  Until then nothing more goes out: a mail
	 * that began now would be lost to a host that looks ill.
	 */
	c->send_failed = c->send_failed || result < 0;
	if (result < 0 && c->read_ms != 0)
		receive(s, c);
	conn_turn(s, c, false);
}

static void closed(struct worker_state *s, struct conn *c)
{
	struct smtp_verdict v = { .result = SMTP_LOST,
				  .stage = SMTP_STAGE_NONE };

	if (c->smtp != NULL) {
		/* Closed under a session that still waited for its send. */
		smtp_session_eof(c->smtp);
		BUG_ON(!take_events(s, c));
	}
	BUG_ON(!list_empty(&c->attempts));
	leave_site(s, c, &v);
	conn_release(s, c);
}

void conn_batch(struct worker_state *s, const struct io_done *done, int count)
{
	struct conn *c;
	int i;

	for (i = 0; i < count; i++) {
		if (done[i].op != IO_RECV)
			continue;
		BUG_ON(done[i].token.slot >= s->conns_max);
		c = &s->conns[done[i].token.slot];
		if (c->gen == done[i].token.gen)
			c->received_waits = true;
	}
}

void conn_done(struct worker_state *s, const struct io_done *done)
{
	struct conn *c;

	if (done->op == IO_WAKE)
		return;
	BUG_ON(done->token.slot >= s->conns_max);
	c = &s->conns[done->token.slot];
	if (c->gen != done->token.gen)
		return;
	switch (done->op) {
	case IO_CONNECT:
		if (c->state == CONN_CONNECTING)
			wheel_del(&s->wheel, &c->timer);
		connected(s, c, done->result);
		break;
	case IO_RECV:
		received(s, c, done->result);
		break;
	case IO_SEND:
		sent(s, c, done->result);
		break;
	case IO_CLOSE:
		closed(s, c);
		break;
	default:
		BUG_ON(true);
	}
}
