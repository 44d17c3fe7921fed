/*
 * engine/deliver.c - a site's turn: who sends next, who connects
 *
 * A site is kicked when something that it waits for may have changed: a task
 * came, a session became ready or closed, its timer passed, outcomes became
 * durable.  Its ready sessions then take tasks, and site_want() says whether
 * to connect; when neither can be done, a timer is set for when time alone
 * would change that.
 */
#include "engine/worker_private.h"

#include <errno.h>
#include <stdio.h>

/* Between two looks for expired tasks at a dead site: an eighth of the age
 * limit, within these. */
#define SCAN_MS_MIN 1000u
#define SCAN_MS_MAX 60000u
#define HUNGER_MS   1000 /* until a site without a connection asks once more */

void deliver_load(const struct wsite *ws, struct site_load *load_r)
{
	struct sched_counts c;

	sched_rq_counts(ws->rq, &c);
	load_r->urgent = c.waiting[SCHED_TRANSACTIONAL];
	load_r->waiting = c.waiting[SCHED_TRANSACTIONAL] +
			  c.waiting[SCHED_BULK] - c.parked;
	if (load_r->urgent > load_r->waiting)
		load_r->urgent = load_r->waiting;
}

static void set_timer(struct worker_state *s, struct wsite *ws, uint64_t when)
{
	if (when == SITE_NEVER)
		return;
	/* An earlier one stays: a kick too many costs little. */
	if (!wheel_has(&ws->timer) || when < ws->timer_ms) {
		wheel_add(&s->wheel, &ws->timer, when);
		ws->timer_ms = when;
	}
}

/* A task for c: true when a mail has begun or c may try again.  What other
 * hosts did not take goes first: it has waited for this one. */
static bool take_task(struct worker_state *s, struct conn *c)
{
	struct wsite *ws = c->site;
	struct sched_task *task;
	uint64_t when = SITE_NEVER;
	bool settled = false;
	int err;

	if (!worker_may_begin(s, ws))
		return false;
	task = picky_take(s, c);
	if (task == NULL)
		task = sched_next(ws->rq, s->now_ms, &when);
	if (task == NULL) {
		set_timer(s, ws, when);
		return false;
	}
	err = attempt_begin(s, c, task, &settled);
	if (err < 0 && !settled)
		worker_task_back(s, task);
	return err == 0 || settled;
}

bool deliver_next(struct worker_state *s, struct conn *c)
{
	struct site_load load;
	uint64_t when = SITE_NEVER;

	if (s->stopping) {
		conn_quit(s, c);
		return false;
	}
	while (c->state == CONN_OPEN && list_empty(&c->attempts)) {
		bool picky = picky_waits(s, c);

		/* Rule 14: it has had all the mails that it says it takes; or
		 * what it was opened for is done. */
		if (smtp_session_room(c->smtp) == 0 || (c->picky && !picky)) {
			conn_quit(s, c);
			return false;
		}
		deliver_load(c->site, &load);
		load.waiting += picky;
		switch (site_conn_next(c->sc, &load, s->now_ms, &when)) {
		case SITE_TAKE:
			if (take_task(s, c))
				break; /* begun, or one task fewer */
			c->keep_ms = s->now_ms + s->set->session.idle_ms;
			return true;
		case SITE_KEEP:
			/* Others need the connection more. */
			if (!list_empty(&s->starved)) {
				conn_quit(s, c);
				return false;
			}
			c->keep_ms = when;
			return true;
		case SITE_CLOSE:
			conn_quit(s, c);
			return false;
		}
	}
	return false;
}

void deliver_group(struct worker_state *s, struct conn *c)
{
	const struct attempt *first =
		CONTAINER_OF(c->attempts.next, struct attempt, link);
	bool may = site_conn_may_group(c->sc, s->now_ms);
	struct site_load load;
	uint64_t when;

	site_conn_grouped(c->sc, smtp_session_info(c->smtp).groups);
	/* Chunks begin when the groups before them have ended. */
	may = may &&
	      !(s->smtp.chunking && site_conn_may_chunk(c->sc, s->now_ms));
	smtp_session_set_grouping(c->smtp, may);
	/* Behind a large one it would wait while other sessions are free. */
	if (!may || s->stopping || c->picky || list_empty(&c->attempts) ||
	    first->view.size > SEND_MAX / 2 || smtp_session_room(c->smtp) == 0)
		return;
	deliver_load(c->site, &load);
	if (site_conn_next(c->sc, &load, s->now_ms, &when) == SITE_TAKE)
		(void)take_task(s, c);
}

void deliver_ask_chunks(struct worker_state *s, struct conn *c)
{
	struct smtp_info info = smtp_session_info(c->smtp);

	site_conn_chunked(c->sc, info.chunks);
	site_conn_flew(c->sc, info.flights);
	smtp_session_set_chunking(c->smtp,
				  site_conn_may_chunk(c->sc, s->now_ms));
	smtp_session_set_ahead(c->smtp, site_conn_ahead(c->sc, s->now_ms));
}

/* A server takes a session's mails one after the other: where it is that and
 * not the way that takes time, they are sooner done over several. */
static bool is_share_full(const struct wsite *ws, uint32_t ahead,
			  const struct site_load *load)
{
	return (uint64_t)ahead * site_window(ws->site) > load->waiting;
}

void deliver_stream(struct worker_state *s, struct conn *c)
{
	struct site_load load;
	uint64_t when;

	if (s->stopping || c->picky)
		return;
	deliver_ask_chunks(s, c);
	while (smtp_session_room(c->smtp) > 0 && worker_may_stream(s)) {
		deliver_load(c->site, &load);
		if (is_share_full(c->site, smtp_session_ahead(c->smtp),
				  &load) ||
		    site_conn_next(c->sc, &load, s->now_ms, &when) !=
			    SITE_TAKE ||
		    !take_task(s, c))
			return;
	}
}

static void feed_ready(struct worker_state *s, struct wsite *ws)
{
	struct list round, *l;

	list_init(&round);
	while ((l = list_pop(&ws->ready)) != NULL)
		list_add_tail(&round, l);
	while ((l = list_pop(&round)) != NULL) {
		struct conn *c = CONTAINER_OF(l, struct conn, ready);

		conn_turn(s, c, false);
	}
}

static uint64_t scan_every_ms(const struct settings *set)
{
	uint64_t every = set->age_limit_s * UINT64_C(1000) / 8;

	if (every < SCAN_MS_MIN)
		return SCAN_MS_MIN;
	return every < SCAN_MS_MAX ? every : SCAN_MS_MAX;
}

/* Tasks whose age limit has passed while their site was dead, paused, slowed
 * or full, or some of them parked. */
static void scan_expired(struct worker_state *s, struct wsite *ws)
{
	struct list tasks, *l;

	if (s->now_ms < ws->scan_ms) {
		set_timer(s, ws, ws->scan_ms);
		return;
	}
	ws->scan_ms = s->now_ms + scan_every_ms(s->set);
	set_timer(s, ws, ws->scan_ms);
	LIST_FOR_EACH_SAFE (at, next, &ws->queues) {
		struct wqueue *q = CONTAINER_OF(at, struct wqueue, link);

		list_init(&tasks);
		sched_drain(&q->q, &tasks);
		while ((l = list_pop(&tasks)) != NULL) {
			struct sched_task *t =
				CONTAINER_OF(l, struct sched_task, link);

			if (!clock_expired(s->w->set.clock, s->now_s,
					   t->expires_s) ||
			    !attempt_local(s, t, LOCAL_EXPIRED))
				sched_add(&q->q, t);
		}
	}
}

/* All connections of this worker are in use: wait for the next free one. */
static void starve(struct worker_state *s, struct wsite *ws)
{
	struct site_load load;

	deliver_load(ws, &load);
	if (load.waiting + ws->picky_count > 0 && list_empty(&ws->starved) &&
	    list_empty(&ws->ready))
		list_add_tail(&s->starved, &ws->starved);
}

/* Once when a site is parked, once when it answers again. */
static void tell_dead(struct worker_state *s, struct wsite *ws)
{
	struct site_info i;

	if (ws->dead_told || s->set->log.level < SETTINGS_LEVEL_INFO)
		return;
	ws->dead_told = true;
	site_describe(ws->site, s->now_ms, &i);
	fprintf(stderr,
		"mtaq: site %s is parked: none of its %u addresses takes "
		"mail (%s); probed again in %llu s, its mail waits\n",
		i.name, i.addresses, i.why,
		(unsigned long long)(i.until_ms > s->now_ms
					     ? (i.until_ms - s->now_ms) / 1000
					     : 0));
}

void deliver_site_answers(struct worker_state *s, struct wsite *ws)
{
	if (!ws->dead_told)
		return;
	ws->dead_told = false;
	if (s->set->log.level >= SETTINGS_LEVEL_INFO)
		fprintf(stderr, "mtaq: site %s answers again\n",
			site_name(ws->site));
}

static void open_more(struct worker_state *s, struct wsite *ws)
{
	struct site_target target;
	struct site_load load;
	enum site_answer answer;
	uint64_t when;

	while (!s->stopping && s->no_connect_until_ms == 0) {
		if (list_empty(&s->conns_free)) {
			starve(s, ws);
			return;
		}
		deliver_load(ws, &load);
		when = SITE_NEVER;
		answer = site_want(ws->site, &load, s->now_ms, &target, &when);
		if (answer == SITE_OPEN) {
			if (conn_open(s, ws, &target, false) < 0)
				return;
			continue;
		}
		/* What it waits for may be another site's: of its provider.
		 * And nobody kicks it when a probe has proved its host. */
		if ((answer == SITE_FULL || answer == SITE_PROBING) &&
		    when == SITE_NEVER)
			when = s->now_ms + HUNGER_MS;
		set_timer(s, ws, when);
		if (answer == SITE_DEAD)
			tell_dead(s, ws);
		if (answer != SITE_ENOUGH) /* its mail may wait for long */
			scan_expired(s, ws);
		return;
	}
}

/* Parked tasks are no load: nothing else here asks when they go on, or looks
 * for those that are too old by then. */
static void mind_parked(struct worker_state *s, struct wsite *ws)
{
	struct sched_counts c;

	set_timer(s, ws, sched_rq_wake(ws->rq, s->now_ms));
	sched_rq_counts(ws->rq, &c);
	if (c.parked > 0 && !s->stopping)
		scan_expired(s, ws);
}

void deliver_turn(struct worker_state *s, struct wsite *ws)
{
	mind_parked(s, ws);
	feed_ready(s, ws);
	set_timer(s, ws, picky_turn(s, ws));
	open_more(s, ws);
	worker_feed_starved(s);
}
