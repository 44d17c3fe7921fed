/*
 * engine/picky.c - mail that the host at hand does not take (docs/SMTP.md 24)
 *
 *	attempt_begin() ─ too large, no SMTPUTF8 ─► the host refuses such mail
 *	     ▲                                          │
 *	     │ a session that may take it               ▼
 *	     └───────────────────────────── waits in its site's list
 *	                                        │
 *	        every host refuses: bounce ◄────┼────► none can be tried: later
 *
 * Such a task is RUNNING: its queue goes on without it.  It waits for at most
 * WAIT_MS, in which a connection to each host that may take it is made; what
 * the hosts refuse is the site's to remember (site_fit()), so that the next
 * such mail finds its host at once.  Nothing is wrong with a host that refuses.
 */
#include "engine/worker_private.h"

#include <stdlib.h>

#define PICKY_MAX 256u    /* at a site; what is more is tried later */
#define WAIT_MS   300000u /* a greeting may take so long */
#define AGAIN_MS  1000u

struct picky {
	struct list link; /* in wsite.picky */
	struct sched_task *task;
	struct site_need need;
	enum local_rule rule; /* when every host refuses */
	uint64_t until_ms;
};

static void drop(struct wsite *ws, struct picky *p)
{
	list_del(&p->link);
	ws->picky_count--;
	free(p);
}

bool picky_refused(struct worker_state *s, struct conn *c,
		   struct sched_task *task, const struct site_need *need,
		   enum local_rule rule)
{
	struct site_need refused = {
		.bytes = rule == LOCAL_SIZE ? need->bytes : 0,
		.bits = rule == LOCAL_UTF8       ? SITE_NEED_UTF8
			: rule == LOCAL_EIGHTBIT ? SITE_NEED_8BIT
						 : 0,
	};
	struct wsite *ws = c->site;
	struct picky *p;

	site_conn_refuses(c->sc, &refused, s->now_ms);
	switch (site_fit(ws->site, need, s->now_ms)) {
	case SITE_FIT_NEVER:
		return attempt_local(s, task, (int)rule);
	case SITE_FIT_LATER:
		return attempt_untried(s, task, (int)rule);
	case SITE_FIT_PERHAPS:
		break;
	}
	p = ws->picky_count < PICKY_MAX ? malloc(sizeof(*p)) : NULL;
	if (p == NULL)
		return attempt_untried(s, task, (int)rule);
	*p = (struct picky){ .task = task,
			     .need = *need,
			     .rule = rule,
			     .until_ms = s->now_ms + WAIT_MS };
	list_init(&p->link);
	list_add_tail(&ws->picky, &p->link);
	ws->picky_count++;
	worker_kick(s, ws);
	return true;
}

static struct picky *find(const struct worker_state *s, const struct conn *c)
{
	LIST_FOR_EACH (at, &c->site->picky) {
		struct picky *p = CONTAINER_OF(at, struct picky, link);

		if (site_conn_fits(c->sc, &p->need, s->now_ms))
			return p;
	}
	return NULL;
}

bool picky_waits(const struct worker_state *s, const struct conn *c)
{
	return find(s, c) != NULL;
}

struct sched_task *picky_take(struct worker_state *s, struct conn *c)
{
	struct picky *p = find(s, c);
	struct sched_task *task = p == NULL ? NULL : p->task;

	if (p != NULL)
		drop(c->site, p);
	return task;
}

/* False: it goes on waiting. */
static bool settle(struct worker_state *s, struct picky *p, enum site_fit fit)
{
	if (fit == SITE_FIT_NEVER)
		return attempt_local(s, p->task, (int)p->rule);
	if (fit == SITE_FIT_LATER || s->now_ms >= p->until_ms)
		return attempt_untried(s, p->task, (int)p->rule);
	return false;
}

/* Connect for one; false: nothing more can be done for it now. */
static bool connect_for(struct worker_state *s, struct wsite *ws,
			struct picky *p)
{
	struct site_target target;
	enum site_answer answer;
	uint64_t when;

	if (s->no_connect_until_ms != 0 || list_empty(&s->conns_free))
		return false;
	answer = site_want_for(ws->site, &p->need, s->now_ms, &target, &when);
	if (answer == SITE_PAUSED) { /* not its fault: as if never begun */
		worker_task_back(s, p->task);
		drop(ws, p);
		return true;
	}
	if (answer == SITE_OPEN)
		(void)conn_open(s, ws, &target, true);
	return false;
}

void picky_recall(struct worker_state *s, struct wsite *ws,
		  const struct to_worker_recall *m)
{
	LIST_FOR_EACH_SAFE (at, next, &ws->picky) {
		struct picky *p = CONTAINER_OF(at, struct picky, link);

		if (!recall_wants(m, p->task))
			continue;
		p->task->recalled = true;
		worker_task_back(s, p->task);
		drop(ws, p);
	}
}

/* One that waits lets the next one have its turn. */
uint64_t picky_turn(struct worker_state *s, struct wsite *ws)
{
	/* A stop breaks the connection that one waits for: that is no answer,
	 * and the queue has it still. */
	while (!s->stopping && !list_empty(&ws->picky)) {
		struct picky *p =
			CONTAINER_OF(ws->picky.next, struct picky, link);

		if (settle(s, p, site_fit(ws->site, &p->need, s->now_ms))) {
			drop(ws, p);
			continue;
		}
		if (connect_for(s, ws, p))
			continue;
		list_del(&p->link);
		list_add_tail(&ws->picky, &p->link);
		return s->now_ms + AGAIN_MS;
	}
	return SITE_NEVER;
}

void picky_free(struct worker_state *s, struct wsite *ws)
{
	while (!list_empty(&ws->picky)) {
		struct picky *p =
			CONTAINER_OF(ws->picky.next, struct picky, link);
		struct sched_task *task = p->task;

		drop(ws, p);
		sched_done(task);
		sched_task_free(s->pool, &task);
	}
}
