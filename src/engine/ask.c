/*
 * engine/ask.c - questions to a worker: what its sites do, and their pauses
 *
 *	site_ask ─► a row for each site (and host, and session) ─► back
 *
 * Rows go into the asker's buffer; the worker keeps nothing.
 */
#include "engine/worker_private.h"

#include "admin/record.h"
#include "base/msgid.h"
#include "engine/site_row.h"

static const char *state_words(const struct site_info *i)
{
	if (i->paused)
		return "paused";
	if (i->dead)
		return "dead";
	if (i->until_ms != 0)
		return "slowed";
	return i->sessions + i->connecting > 0 ? "open" : "idle";
}

static uint64_t left_s(const struct worker_state *s, uint64_t until_ms)
{
	if (until_ms == SITE_NEVER || until_ms <= s->now_ms)
		return 0;
	return (until_ms - s->now_ms + 999) / 1000;
}

/* --- what binds ------------------------------------------------------------ */

struct binding {
	const char *name, *words;
	uint64_t until_ms;
};

/* Limits of the worker come before those of the site.  False: none binds. */
static bool worker_binds(struct worker_state *s, const struct sched_counts *c,
			 struct binding *b)
{
	if (s->stopping)
		*b = (struct binding){ "stopping", "the daemon is ending", 0 };
	else if (!queue_out_room(s->w->set.queue))
		*b = (struct binding){ "disk",
				       "the disk has no room for outcomes: no "
				       "delivery begins",
				       0 };
	else if (!worker_below_cap(s))
		*b = (struct binding){ "outcomes",
				       "outcomes wait to become durable "
				       "(max_unsynced_outcomes)",
				       0 };
	else if (s->no_connect_until_ms > s->now_ms)
		*b = (struct binding){ "descriptors",
				       "descriptors or memory ran out: no "
				       "connection opens for a second",
				       s->no_connect_until_ms };
	else if (c->parked > 0 && c->parked == c->waiting[0] + c->waiting[1])
		*b = (struct binding){ "tenant",
				       "the site has refused these senders: "
				       "they wait, others go on",
				       0 };
	else
		return false;
	return true;
}

static void find_binding(struct worker_state *s, struct wsite *ws,
			 struct binding *b)
{
	enum site_limit limit;
	struct sched_counts c;
	struct site_load load;

	sched_rq_counts(ws->rq, &c);
	if (worker_binds(s, &c, b))
		return;
	deliver_load(ws, &load);
	limit = site_limit(ws->site, &load, s->now_ms, &b->until_ms);
	if (limit == SITE_LIMIT_NONE && list_empty(&s->conns_free))
		limit = SITE_LIMIT_TABLE;
	b->name = site_limit_name(limit);
	b->words = site_limit_words(limit);
}

/* --- rows ------------------------------------------------------------------ */

static bool is_wanted(const struct site_ask *ask, const struct wsite *ws,
		      const struct site_info *i, const struct sched_counts *c)
{
	switch (ask->which) {
	case SITE_WHICH_ALL:
		break;
	case SITE_WHICH_BUSY:
		return i->paused || ws->conns > 0 ||
		       c->waiting[0] + c->waiting[1] + c->running > 0;
	case SITE_WHICH_TROUBLE:
		return i->paused || i->dead || i->until_ms != 0;
	}
	return true;
}

/* What one of its hosts last refused or failed with; h_r is its place. */
static void find_last(struct worker_state *s, const struct wsite *ws,
		      struct site_host_info *h_r, struct site_row *row)
{
	struct site_host_info h;
	uint32_t n;

	*h_r = (struct site_host_info){ .why = "" };
	for (n = 0; site_host(ws->site, n, s->now_ms, &h); n++)
		if (h.why[0] != '\0' && h.why_ms >= h_r->why_ms)
			*h_r = h;
	row->last = h_r->why;
	if (h_r->why[0] != '\0')
		row->last_s_ago = (s->now_ms - h_r->why_ms) / 1000;
}

static void add_site(struct worker_state *s, struct wsite *ws,
		     const struct site_ask *ask)
{
	struct binding b = { .until_ms = 0 };
	struct site_host_info last;
	struct sched_counts c;
	struct site_info i;
	struct site_row row;

	sched_rq_counts(ws->rq, &c);
	site_describe(ws->site, s->now_ms, &i);
	if (ask->paused != NULL)
		site_pauses_see(ask->paused, span_str(i.name));
	if (!is_wanted(ask, ws, &i, &c))
		return;
	find_binding(s, ws, &b);
	row = (struct site_row){
		.name = i.name,
		.state = state_words(&i),
		.tasks = (uint64_t)c.waiting[0] + c.waiting[1],
		.running = c.running,
		.sessions = i.sessions,
		.busy = i.busy,
		.connecting = i.connecting,
		.window = i.window,
		.delivered = ws->delivered,
		.deferred = ws->deferred,
		.bounced = ws->bounced,
		.per_second = i.per_second,
		.messages = i.messages,
		.hosts = i.addresses,
		.hosts_bad = i.addresses_bad,
		.again_in_s = left_s(s, i.until_ms),
		.worker = s->w->set.number,
		.preset = site_provider(ws->site),
		.limit = b.name,
		.limit_words = b.words,
		.limit_in_s = left_s(s, b.until_ms),
		.why = i.why,
	};
	find_last(s, ws, &last, &row);
	site_row_add(&row, ask->out);
}

static void add_hosts(struct worker_state *s, struct wsite *ws, struct buf *out)
{
	char text[IO_ADDR_TEXT_MAX];
	struct site_host_info h;
	struct io_addr addr;
	uint32_t n;

	for (n = 0; site_host(ws->site, n, s->now_ms, &h); n++) {
		io_addr_from_mx(&h.addr, &addr);
		io_addr_text(&addr, text);
		admin_begin(out, "host");
		admin_text(out, "host", span_str(h.host));
		admin_number(out, "preference", h.preference);
		admin_text(out, "address", span_str(text));
		admin_text(out, "health", span_str(h.health));
		admin_number(out, "sessions", h.sessions);
		admin_number(out, "connections", h.conns);
		admin_number(out, "window", h.window);
		admin_number(out, "messages_per_session", h.messages);
		admin_text(out, "grouping", span_str(h.grouping));
		admin_number(out, "grouping_in_s", left_s(s, h.grouping_ms));
		admin_text(out, "chunking", span_str(h.chunking));
		admin_number(out, "chunking_in_s", left_s(s, h.chunking_ms));
		admin_number(out, "chunks_ahead", h.ahead);
		admin_number(out, "again_in_s", left_s(s, h.until_ms));
		admin_number(out, "hold_in_s", left_s(s, h.hold_ms));
		admin_number(out, "listed", h.listed);
		admin_text(out, "reply", span_str(h.why));
		admin_number(out, "reply_age_s",
			     h.why[0] == '\0' ? 0
					      : (s->now_ms - h.why_ms) / 1000);
		admin_end(out);
	}
}

static void add_flight(const struct conn *c, const struct attempt *a,
		       struct buf *out)
{
	char text[256];

	whost_text(c->host, text, sizeof(text));
	admin_begin(out, "flight");
	admin_number(out, "session", c->number);
	admin_text(out, "host", span_str(text));
	admin_text(out, "site", span_str(site_name(c->site->site)));
	admin_number(out, "recipients", a->count);
	admin_text(out, "stage", span_str(smtp_session_state_name(c->smtp)));
	admin_end(out);
}

static void add_flights(struct worker_state *s, const struct site_ask *ask)
{
	uint32_t i;

	for (i = 0; i < s->conns_max; i++) {
		struct conn *c = &s->conns[i];

		if (c->state != CONN_OPEN || c->smtp == NULL)
			continue;
		LIST_FOR_EACH (l, &c->attempts) {
			struct attempt *a =
				CONTAINER_OF(l, struct attempt, link);

			if (a->task != NULL && a->task->id == ask->id)
				add_flight(c, a, ask->out);
		}
	}
}

/* --- answers --------------------------------------------------------------- */

static void act(struct worker_state *s, struct wsite *ws,
		const struct site_ask *ask)
{
	bool pauses =
		ask->verb == SITE_ASK_PAUSE || ask->verb == SITE_ASK_RESUME;

	if (pauses && !ask->dry)
		site_pause(ws->site, ask->verb == SITE_ASK_PAUSE);
	if (ask->verb == SITE_ASK_RETRY && !ask->dry) {
		site_retry(ws->site, s->now_ms);
		(void)sched_rq_wake(ws->rq, UINT64_MAX);
	}
	if ((pauses || ask->verb == SITE_ASK_RETRY) && !ask->dry)
		worker_kick(s, ws);
	add_site(s, ws, ask);
	if (ask->verb == SITE_ASK_SHOW)
		add_hosts(s, ws, ask->out);
}

void ask_pause(struct worker_state *s, const struct to_worker_paused *m)
{
	struct wsite *ws = worker_site(s, m->site);

	if (ws == NULL)
		return;
	site_pause(ws->site, m->paused);
	worker_kick(s, ws);
}

static void walk(struct worker_state *s, struct site_ask *ask)
{
	struct wsite *ws = NULL;
	unsigned n;

	for (n = 0; n < SITE_ASK_ROWS; n++) {
		ws = map_walk(&s->site_map, &ask->at);
		if (ws == NULL)
			break;
		if (ask->name[0] == '\0' ||
		    span_eq_nocase(span_str(ask->name),
				   span_str(site_name(ws->site))))
			act(s, ws, ask);
	}
	ask->more = ws != NULL;
}

static void answer(struct worker_state *s, struct site_ask *ask)
{
	struct wsite *ws;

	ask->more = false;
	if (ask->verb == SITE_ASK_TRACE || ask->verb == SITE_ASK_UNTRACE) {
		trace_switch(s, ask);
	} else if (ask->verb == SITE_ASK_FLIGHTS) {
		add_flights(s, ask);
	} else if (ask->by_number) {
		ws = worker_site(s, ask->number);
		if (ws != NULL)
			act(s, ws, ask);
	} else {
		walk(s, ask);
	}
}

void ask_turn(struct worker_state *s)
{
	struct lane *lane = s->w->set.from_control;
	struct site_ask *const *ask;
	struct site_ask **back;
	size_t len;

	while ((ask = lane_peek(lane, &len)) != NULL) {
		back = lane_reserve_or_wait(s->w->set.to_control,
					    sizeof(*back));
		if (back == NULL)
			return;
		answer(s, *ask);
		*back = *ask;
		lane_publish(s->w->set.to_control);
		lane_consume(lane);
	}
}
