/*
 * engine/worker_open.c - a worker's memory: its tables, its io
 */
#include "engine/worker_private.h"

#include "engine/tune.h"

#include <stdlib.h>

static int make_tables(struct worker_state *s)
{
	const struct settings *set = s->set;
	struct site_settings site;
	struct sched_settings sched;
	uint32_t i;

	tune_site(set, &site);
	tune_backoff(set, &s->backoff);
	tune_smtp(set, &s->smtp);
	sched_settings_default(&sched);
	s->conns_max = s->w->set.connections / s->w->set.count;
	if (s->conns_max == 0)
		s->conns_max = 1;
	s->sites = site_table_new(&site, s->conns_max);
	s->pool = sched_pool_new(&sched, set->limits.tasks);
	s->smtp_pool = smtp_pool_new(QUEUE_RCPTS_MAX);
	s->conns = calloc(s->conns_max, sizeof(*s->conns));
	if (s->sites == NULL || s->pool == NULL || s->smtp_pool == NULL ||
	    s->conns == NULL)
		return -ENOMEM;
	for (i = 0; i < s->conns_max; i++) {
		s->conns[i].slot = i;
		wheel_node_init(&s->conns[i].timer);
		list_init(&s->conns[i].ready);
		list_init(&s->conns[i].attempts);
		list_add_tail(&s->conns_free, &s->conns[i].ready);
	}
	return source_init(s);
}

static int make_io(struct worker_state *s)
{
	static const enum io_backend backends[] = {
		[SETTINGS_IO_AUTO] = IO_BACKEND_AUTO,
		[SETTINGS_IO_URING] = IO_BACKEND_IO_URING,
		[SETTINGS_IO_EPOLL] = IO_BACKEND_EPOLL,
	};
	struct io_settings io = { .backend = backends[s->set->io_backend],
				  .conns_max = s->conns_max + 1,
				  .gathers = true };
	int err = io_new(&io, s->w->why, &s->io);

	if (err == 0)
		s->w->backend = io_backend_name(s->io);
	return err;
}

static void state_free(struct worker_state *s)
{
	struct wqueue *q;
	struct wsite *ws;
	size_t at = 0;

	busy_close(&s->busy);
	io_free(&s->io);
	attempt_free_all(s);
	recall_free(s);
	while ((ws = map_walk(&s->site_map, &at)) != NULL)
		picky_free(s, ws);
	at = 0;
	trace_free(s);
	while ((q = map_walk(&s->queue_map, &at)) != NULL) {
		struct list tasks, *l;

		list_init(&tasks);
		sched_drain(&q->q, &tasks);
		while ((l = list_pop(&tasks)) != NULL) {
			struct sched_task *t =
				CONTAINER_OF(l, struct sched_task, link);

			sched_task_free(s->pool, &t);
		}
		sched_queue_detach(&q->q);
		free(q);
	}
	for (at = 0; (ws = map_walk(&s->site_map, &at)) != NULL;) {
		sched_rq_free(&ws->rq);
		site_put(&ws->site);
		free(ws);
	}
	map_free(&s->queue_map);
	map_free(&s->site_map);
	site_table_free(&s->sites);
	sched_pool_free(&s->pool);
	smtp_pool_free(&s->smtp_pool);
	free(s->conns);
	source_free(s);
	free(s);
}

static struct worker_state *state_new(struct worker *w)
{
	struct worker_state *s = calloc(1, sizeof(*s));
	int err;

	if (s == NULL) {
		atomic_store(&w->failed, -ENOMEM);
		return NULL;
	}
	s->w = w;
	s->set = w->set.set;
	list_init(&s->kicked);
	list_init(&s->capped);
	list_init(&s->starved);
	list_init(&s->leaving);
	list_init(&s->empty);
	list_init(&s->conns_free);
	list_init(&s->attempts_free);
	list_init(&s->iovs_free);
	list_init(&s->stuck);
	list_init(&s->recalled);
	map_init(&s->site_map);
	map_init(&s->queue_map);
	wheel_node_init(&s->second);
	err = make_tables(s);
	if (err == 0)
		err = make_io(s);
	if (err < 0) {
		atomic_store(&w->failed, err);
		state_free(s);
		return NULL;
	}
	worker_read_clocks(s);
	wheel_init(&s->wheel, s->now_ms);
	wheel_add(&s->wheel, &s->second, s->now_ms + 1000);
	return s;
}

int worker_open(struct worker *w)
{
	w->state = state_new(w);
	if (w->state == NULL)
		return atomic_load(&w->failed);
	bell_init_io(&w->bell, w->state->io);
	return 0;
}

void worker_close(struct worker *w)
{
	state_free(w->state);
	w->state = NULL;
}
