/*
 * engine/recall.c - an operator's words to a worker
 *
 * Recall: tasks that wait go back to the store unattempted; those that are
 * being sent end as they would have (their own outcome wins).  Of a domain
 * that has moved away, what is left of those goes back as well.
 *
 * Questions: what the sites of this worker do, and pauses of sites.
 */
#include "engine/worker_private.h"

#include "admin/record.h"

/* --- recall ---------------------------------------------------------------- */

static void recall_queue(struct worker_state *s, struct wqueue *q,
			 const struct to_worker_recall *m)
{
	struct list tasks, *l;
	struct sched_task *t;

	if (q->q.waiting == 0 || !recall_covers(m, &q->words))
		return;
	list_init(&tasks);
	sched_drain(&q->q, &tasks);
	while ((l = list_pop(&tasks)) != NULL) {
		t = CONTAINER_OF(l, struct sched_task, link);
		if (recall_names(m, t->id))
			list_add_tail(&s->recalled, l);
		else
			sched_add(&q->q, t);
	}
}

void recall_take(struct worker_state *s, const struct to_worker_recall *m)
{
	struct wqueue *q;
	size_t at = 0;

	while ((q = map_walk(&s->queue_map, &at)) != NULL)
		recall_queue(s, q, m);
}

void recall_task(struct worker_state *s, struct sched_task *task)
{
	BUG_ON(task->state != SCHED_TASK_IDLE);
	list_add_tail(&s->recalled, &task->link);
}

void recall_moved(struct worker_state *s, const struct to_worker_moved *m)
{
	struct wsite *ws = worker_site(s, m->site);

	if (ws == NULL)
		return;
	LIST_FOR_EACH (at, &ws->queues) {
		struct wqueue *q = CONTAINER_OF(at, struct wqueue, link);

		if (q->words.domain != m->domain)
			continue;
		q->moved = true;
		sched_drain(&q->q, &s->recalled);
	}
}

void recall_turn(struct worker_state *s)
{
	struct list *l;

	while (!list_empty(&s->recalled)) {
		struct sched_task *t =
			CONTAINER_OF(s->recalled.next, struct sched_task, link);

		if (!worker_tell_store(s, TO_STORE_RETURN, t, 0, s->now_s))
			return;
		l = list_pop(&s->recalled);
		worker_task_end(s, CONTAINER_OF(l, struct sched_task, link));
	}
}

void recall_free(struct worker_state *s)
{
	struct list *l;

	while ((l = list_pop(&s->recalled)) != NULL) {
		struct sched_task *t = CONTAINER_OF(l, struct sched_task, link);

		sched_task_free(s->pool, &t);
	}
}

/* --- questions ------------------------------------------------------------- */

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

static void add_row(struct worker_state *s, const struct wsite *ws,
		    struct buf *out)
{
	struct sched_counts c;
	struct site_info i;
	uint64_t left_ms;

	sched_rq_counts(ws->rq, &c);
	site_describe(ws->site, s->now_ms, &i);
	left_ms = i.until_ms > s->now_ms ? i.until_ms - s->now_ms : 0;
	admin_begin(out, "site");
	admin_text(out, "site", span_str(i.name));
	admin_text(out, "state", span_str(state_words(&i)));
	admin_number(out, "tasks", (uint64_t)c.waiting[0] + c.waiting[1]);
	admin_number(out, "running", c.running);
	admin_number(out, "sessions", i.sessions);
	admin_number(out, "busy", i.busy);
	admin_number(out, "connecting", i.connecting);
	admin_number(out, "window", i.window);
	admin_number(out, "per_second", i.per_second);
	admin_number(out, "messages_per_session", i.messages);
	admin_number(out, "hosts", i.addresses);
	admin_number(out, "hosts_bad", i.addresses_bad);
	admin_number(out, "again_in_s", (left_ms + 999) / 1000);
	admin_number(out, "worker", s->w->set.number);
	admin_text(out, "why", span_str(i.why));
	admin_end(out);
}

static void act(struct worker_state *s, struct wsite *ws,
		const struct site_ask *ask)
{
	if (ask->verb != SITE_ASK_LIST && !ask->dry) {
		site_pause(ws->site, ask->verb == SITE_ASK_PAUSE);
		worker_kick(s, ws);
	}
	add_row(s, ws, ask->out);
}

static void answer(struct worker_state *s, struct site_ask *ask)
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
