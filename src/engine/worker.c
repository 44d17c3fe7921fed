/*
 * engine/worker.c - a worker's loop
 *
 *	lanes ─► tasks into run queues ─► sites kicked
 *	io completions ─► connections ─► sessions ─► outcomes ─► log lane
 *	timers ─► sites, connections
 *	kicked sites ─► next mails, new connections
 *	then one io_wait(), which hands over all that was begun
 *
 * Nothing here blocks but io_wait().  A task is in exactly one place: its
 * run queue, an attempt, or handed back.
 */
#include "engine/worker_private.h"

#include "base/hash.h"
#include "engine/logger.h"
#include "engine/thread.h"
#include "engine/tune.h"
#include "engine/wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define DONE_MAX         256
#define LANE_TURN        1024 /* messages taken from the store a turn */
#define EMPTY_QUEUES_MAX 10000
#define REFRESH_TURNS    10 /* seconds in which each queue is asked about */

/* --- sites and queues ------------------------------------------------------ */

struct wsite *worker_site(struct worker_state *s, uint32_t number)
{
	return map_find(&s->site_map, hash_u64(number), NULL, NULL);
}

void worker_kick(struct worker_state *s, struct wsite *ws)
{
	if (list_empty(&ws->kicked))
		list_add_tail(&s->kicked, &ws->kicked);
}

void worker_feed_starved(struct worker_state *s)
{
	if (!list_empty(&s->conns_free) && !list_empty(&s->starved))
		worker_kick(s, CONTAINER_OF(list_pop(&s->starved), struct wsite,
					    starved));
}

static struct wsite *site_make(struct worker_state *s, uint32_t number,
			       const struct mxset *set)
{
	struct wsite *ws = calloc(1, sizeof(*ws));
	struct site_key key;

	if (ws == NULL)
		return NULL;
	ws->number = number;
	list_init(&ws->ready);
	list_init(&ws->kicked);
	list_init(&ws->capped);
	list_init(&ws->starved);
	list_init(&ws->leaving);
	list_init(&ws->queues);
	list_init(&ws->hosts);
	list_init(&ws->picky);
	wheel_node_init(&ws->timer);
	site_key(set, s->w->set.presets, s->w->set.preset_count, 0, 0, &key);
	ws->site = site_get(s->sites, &key, set, s->now_ms);
	ws->rq = ws->site == NULL ? NULL : sched_rq_new(s->pool);
	if (ws->rq == NULL || map_put(&s->site_map, hash_u64(number), ws) < 0) {
		sched_rq_free(&ws->rq);
		site_put(&ws->site);
		free(ws);
		return NULL;
	}
	census_join(s, ws);
	return ws;
}

static bool take_site(struct worker_state *s, const struct to_worker_site *m)
{
	struct wsite *ws = worker_site(s, m->site);
	struct mxset *set = m->set;

	if (ws == NULL) {
		ws = site_make(s, m->site, set);
		if (ws == NULL)
			return false; /* again when memory came back */
	} else {
		BUG_ON(!list_empty(&ws->leaving));
		if (site_refresh(ws->site, set, s->now_ms) < 0)
			return false;
	}
	mxset_unref(&set);
	site_pause(ws->site, m->paused);
	worker_kick(s, ws);
	return true;
}

static void queue_drop(struct worker_state *s, struct wqueue *q)
{
	list_del(&q->lru);
	list_del(&q->link);
	map_del(&s->queue_map, q->key, q);
	sched_queue_detach(&q->q);
	free(q);
}

static struct wqueue *first_queue(struct wsite *ws)
{
	return CONTAINER_OF(ws->queues.next, struct wqueue, link);
}

static bool has_work(const struct wsite *ws)
{
	LIST_FOR_EACH (l, &ws->queues)
		if (CONTAINER_OF(l, struct wqueue, link)->tasks > 0)
			return true;
	return ws->conns > 0;
}

static void site_drop(struct worker_state *s, struct wsite *ws)
{
	while (!list_empty(&ws->queues)) {
		s->empty_count--;
		queue_drop(s, first_queue(ws));
	}
	wheel_del(&s->wheel, &ws->timer);
	list_del(&ws->kicked);
	list_del(&ws->capped);
	list_del(&ws->starved);
	list_del(&ws->leaving);
	map_del(&s->site_map, hash_u64(ws->number), ws);
	census_leave(s, ws);
	sched_rq_free(&ws->rq);
	site_put(&ws->site);
	free(ws);
}

/* The store has no domain left that leads there, and never says the number
 * again (wire.h).  What is there ends as it would have, then the site goes. */
static void forget_site(struct worker_state *s, uint32_t number)
{
	struct wsite *ws = worker_site(s, number);

	BUG_ON(ws == NULL);
	list_add_tail(&s->leaving, &ws->leaving);
}

static void drop_leaving(struct worker_state *s)
{
	LIST_FOR_EACH_SAFE (at, next, &s->leaving) {
		struct wsite *ws = CONTAINER_OF(at, struct wsite, leaving);

		if (!has_work(ws))
			site_drop(s, ws);
	}
}

struct wqueue *worker_queue(struct worker_state *s, uint32_t site,
			    uint64_t queue_hash)
{
	return map_find(&s->queue_map, hash_pair(queue_hash, site), NULL, NULL);
}

static struct wqueue *queue_get(struct worker_state *s,
				const struct to_worker_task *m,
				struct wsite *ws)
{
	uint64_t key = hash_pair(m->queue_hash, m->site);
	struct wqueue *q = map_find(&s->queue_map, key, NULL, NULL);

	if (q != NULL)
		return q;
	q = calloc(1, sizeof(*q));
	if (q == NULL)
		return NULL;
	q->key = key;
	q->site = ws;
	q->words = m->words;
	list_init(&q->link);
	list_init(&q->lru);
	sched_queue_init(&q->q, m->queue, m->queue_hash, m->flow_hash);
	if (map_put(&s->queue_map, key, q) < 0) {
		free(q);
		return NULL;
	}
	if (sched_queue_attach(ws->rq, &q->q) < 0) {
		map_del(&s->queue_map, key, q);
		free(q);
		return NULL;
	}
	list_add_tail(&ws->queues, &q->link);
	return q;
}

/* Queues without tasks are kept for a while: more often comes for them. */
static void queue_settle(struct worker_state *s, struct wqueue *q)
{
	if (q->tasks == 0 && list_empty(&q->lru)) {
		list_add_tail(&s->empty, &q->lru);
		s->empty_count++;
	} else if (q->tasks > 0 && !list_empty(&q->lru)) {
		list_del(&q->lru);
		s->empty_count--;
	}
}

static void drop_empty(struct worker_state *s)
{
	while (s->empty_count > EMPTY_QUEUES_MAX) {
		struct list *oldest = list_pop(&s->empty);

		s->empty_count--;
		queue_drop(s, CONTAINER_OF(oldest, struct wqueue, lru));
	}
}

static bool take_task(struct worker_state *s, const struct to_worker_task *m)
{
	struct wsite *ws = worker_site(s, m->site);
	struct sched_task *task;
	struct wqueue *q;

	BUG_ON(ws == NULL || !list_empty(&ws->leaving));
	q = queue_get(s, m, ws);
	task = q == NULL ? NULL : sched_task_new(s->pool, m->span);
	if (task == NULL) {
		if (q != NULL)
			queue_settle(s, q);
		return false;
	}
	q->tasks++;
	q->moved = false;
	task->user = q;
	task->id = m->id;
	task->place = m->place;
	task->slot = m->slot;
	task->expires_s = m->expires_s;
	task->flags = m->flags;
	task->first = m->first;
	task->attempts = m->attempts;
	task->unsure = m->unsure;
	task->loaded_s = s->now_s;
	task->class = m->flags & QUEUE_MSG_TRANSACTIONAL ? SCHED_TRANSACTIONAL
							 : SCHED_BULK;
	memcpy(sched_task_open(task), m->open, (m->span + 63u) / 64 * 8);
	sched_add(&q->q, task);
	queue_settle(s, q);
	worker_kick(s, ws);
	return true;
}

void worker_task_end(struct worker_state *s, struct sched_task *task)
{
	struct wqueue *q = wqueue_of(task);

	if (task->state == SCHED_TASK_RUNNING)
		sched_done(task);
	sched_task_free(s->pool, &task);
	BUG_ON(q->tasks == 0);
	q->tasks--;
	queue_settle(s, q);
}

void worker_task_back(struct worker_state *s, struct sched_task *task)
{
	struct wqueue *q = wqueue_of(task);
	bool running = task->state == SCHED_TASK_RUNNING;

	if (q->moved || task->recalled) {
		if (running)
			sched_done(task);
		recall_task(s, task);
	} else if (running) {
		sched_put_back(task);
	} else {
		sched_add(&q->q, task);
	}
}

bool worker_tell_store(struct worker_state *s, uint32_t type,
		       const struct sched_task *task, uint32_t site,
		       uint32_t due_s)
{
	struct to_store *m =
		lane_reserve_or_wait(s->w->set.to_store, sizeof(*m));

	if (m == NULL)
		return false;
	*m = (struct to_store){ .type = type,
				.site = site,
				.due_s = due_s,
				.after = s->outs_sent };
	if (task != NULL) {
		m->id = task->id;
		m->place = task->place;
		m->first = task->first;
	}
	lane_publish(s->w->set.to_store);
	return true;
}

/* --- the loop -------------------------------------------------------------- */

static bool take_message(struct worker_state *s, const uint32_t *type)
{
	switch ((enum to_worker_type) * type) {
	case TO_WORKER_SITE:
		return take_site(s, (const void *)type);
	case TO_WORKER_TASK:
		return take_task(s, (const void *)type);
	case TO_WORKER_FORGET:
		forget_site(s, type[1]);
		return true;
	case TO_WORKER_RECALL:
		recall_take(s, (const void *)type);
		return true;
	case TO_WORKER_MOVED:
		recall_moved(s, (const void *)type);
		return true;
	case TO_WORKER_PAUSED:
		ask_pause(s, (const void *)type);
		return true;
	}
	BUG_ON(true);
}

static bool take_lane(struct worker_state *s)
{
	struct lane *lane = s->w->set.from_store;
	const uint32_t *type;
	size_t len;
	int n;

	for (n = 0; n < LANE_TURN; n++) {
		type = lane_peek(lane, &len);
		if (type == NULL)
			return false;
		if (!take_message(s, type))
			return false; /* memory: it stays first in its lane */
		lane_consume(lane);
	}
	return true;
}

/* Do the domains of queues that wait still lead to their sites?  The store
 * knows (dispatch.c); a part of them each second. */
static void ask_refresh(struct worker_state *s)
{
	size_t n = s->queue_map.count / REFRESH_TURNS + 1;

	while (n-- > 0) {
		struct wqueue *q = map_walk(&s->queue_map, &s->refresh_at);
		const struct sched_task *t;

		if (q == NULL) {
			s->refresh_at = 0;
			return;
		}
		t = sched_first(&q->q);
		if (t != NULL && !worker_tell_store(s, TO_STORE_REFRESH, t,
						    q->site->number, 0))
			return; /* the next second goes on behind it */
	}
}

static void each_second(struct worker_state *s)
{
	struct wsite *ws;
	size_t at = 0;

	site_table_reap(s->sites, s->now_ms);
	drop_empty(s);
	drop_leaving(s);
	ask_refresh(s);
	census_take(s);
	worker_uncap(s);
	if (s->no_connect_until_ms != 0 &&
	    s->no_connect_until_ms <= s->now_ms) {
		s->no_connect_until_ms = 0;
		while ((ws = map_walk(&s->site_map, &at)) != NULL)
			worker_kick(s, ws);
	}
	wheel_add(&s->wheel, &s->second, s->now_ms + 1000);
}

static void take_timers(struct worker_state *s)
{
	struct wheel_node *n;

	while ((n = wheel_take(&s->wheel, s->now_ms)) != NULL) {
		struct conn *c = CONTAINER_OF(n, struct conn, timer);

		if (n == &s->second)
			each_second(s);
		else if (c >= s->conns && c < s->conns + s->conns_max)
			conn_timer(s, c);
		else
			worker_kick(s, CONTAINER_OF(n, struct wsite, timer));
	}
}

static void take_kicked(struct worker_state *s)
{
	struct list round, *l;

	list_init(&round);
	while ((l = list_pop(&s->kicked)) != NULL)
		list_add_tail(&round, l);
	while ((l = list_pop(&round)) != NULL)
		deliver_turn(s, CONTAINER_OF(l, struct wsite, kicked));
}

static int wait_ms(const struct worker_state *s, bool more)
{
	uint64_t next = wheel_next_ms(&s->wheel);

	if (more || !list_empty(&s->kicked) || next <= s->now_ms)
		return 0;
	return next - s->now_ms > 1000 ? 1000 : (int)(next - s->now_ms);
}

void worker_read_clocks(struct worker_state *s)
{
	s->now_ms = io_now_ms(s->io);
	s->now_s = clock_mail_s(s->w->set.clock);
	s->wall_ms = clock_wall_ms();
}

/* Up to the wait, and how long that may be. */
static int turn_begin(struct worker_state *s)
{
	bool more;

	/* Before anything is looked at: who rings behind that look is heard. */
	bell_doze(&s->w->bell);
	more = take_lane(s);
	ask_turn(s);
	recall_turn(s);
	attempt_unstick(s);
	worker_uncap(s);
	take_kicked(s);
	lane_flush(&s->w->set.log->lane);
	lane_settle(s->w->set.from_store);
	more = more || mring_fill(s->w->set.from_store->ring) > 0 ||
	       mring_fill(s->w->set.from_control->ring) > 0;
	return wait_ms(s, more);
}

/* Are more sessions of use?  A loop that has no time left would only serve
 * each of them more rarely. */
static void take_step(struct worker_state *s)
{
	if (s->now_ms < s->step_ms)
		return;
	s->step_ms = s->now_ms + SITE_STEP_MS;
	site_table_step(s->sites, busy_saturated(&s->busy));
}

/* The wait, and what it gave. */
static void turn_end(struct worker_state *s, int timeout_ms)
{
	struct io_done done[DONE_MAX];
	int i, n = io_wait(s->io, timeout_ms, done, DONE_MAX);

	bell_awake(&s->w->bell);
	if (n < 0) {
		atomic_store(&s->w->failed, n);
		return;
	}
	worker_read_clocks(s);
	take_step(s);
	conn_batch(s, done, n);
	for (i = -AHEAD_FIRST; i < n; i++) {
		ahead_look(s, done, i, n);
		if (i >= 0)
			conn_done(s, &done[i]);
	}
	take_timers(s);
	lane_flush(&s->w->set.log->lane);
}

/* Idle sessions say QUIT; what has no mail yet gets none any more. */
static void begin_stop(struct worker_state *s)
{
	uint32_t i;

	s->stopping = true;
	s->stop_at_ms = s->now_ms + s->set->stop_grace_ms;
	for (i = 0; i < s->conns_max; i++) {
		struct conn *c = &s->conns[i];

		if (c->state == CONN_OPEN)
			conn_quit(s, c);
		if (c->state == CONN_CONNECTING ||
		    (c->state == CONN_OPEN && !c->quitting &&
		     list_empty(&c->attempts)))
			conn_abort(s, c);
	}
}

/* The grace is over: what had its dot sent becomes unsure, and its outcome
 * says so. */
static void abort_all(struct worker_state *s)
{
	uint32_t i;

	s->aborted = true;
	for (i = 0; i < s->conns_max; i++)
		if (s->conns[i].state != CONN_FREE)
			conn_abort(s, &s->conns[i]);
}

/* --- the thread ------------------------------------------------------------ */

int worker_begin_turn(struct worker *w)
{
	struct worker_state *s = w->state;

	if (atomic_load(&w->stop) && !s->stopping)
		begin_stop(s);
	if (s->stopping && s->now_ms >= s->stop_at_ms && !s->aborted)
		abort_all(s);
	if (s->stopping && s->conns_used == 0 && list_empty(&s->stuck))
		return -1;
	return turn_begin(s);
}

void worker_end_turn(struct worker *w, int timeout_ms)
{
	turn_end(w->state, timeout_ms);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	int wait, err = worker_open(w);

	sem_post(&w->started);
	if (err < 0)
		return NULL;
	busy_open(&w->state->busy);
	while (atomic_load(&w->failed) == 0) {
		wait = worker_begin_turn(w);
		if (wait < 0)
			break;
		worker_end_turn(w, wait);
	}
	sem_post(&w->ended);
	while (sem_wait(&w->release) < 0)
		;
	/* An io that broke may still hold lent memory: the process ends. */
	if (atomic_load(&w->failed) == 0)
		worker_close(w);
	return NULL;
}

int worker_init(struct worker *w, const struct worker_settings *set)
{
	*w = (struct worker){ .set = *set };
	return census_init(w);
}

int worker_start(struct worker *w, const struct worker_settings *set)
{
	int err = worker_init(w, set);

	if (err < 0)
		return err;
	sem_init(&w->started, 0, 0);
	sem_init(&w->ended, 0, 0);
	sem_init(&w->release, 0, 0);
	err = thread_start(&w->thread, "worker", worker_main, w);
	if (err < 0)
		return err;
	while (sem_wait(&w->started) < 0)
		;
	err = atomic_load(&w->failed);
	if (err < 0) {
		pthread_join(w->thread, NULL);
		board_free(&w->counts.board);
	}
	return err;
}

void worker_ask_stop(struct worker *w)
{
	atomic_store(&w->stop, true);
	atomic_store(&w->bell.dozing, true); /* ring in any case */
	bell_ring(&w->bell);
}

void worker_wait(struct worker *w)
{
	while (sem_wait(&w->ended) < 0)
		;
}

void worker_join(struct worker *w)
{
	sem_post(&w->release);
	pthread_join(w->thread, NULL);
	sem_destroy(&w->started);
	sem_destroy(&w->ended);
	sem_destroy(&w->release);
	board_free(&w->counts.board);
}
