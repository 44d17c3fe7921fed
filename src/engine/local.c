/*
 * engine/local.c - tasks that end or wait without a session
 *
 * The store thread writes their OUT records itself: for what the resolver
 * said, for damaged messages, and for operators' decisions.
 */
#include "engine/storer_private.h"

#include "base/bug.h"
#include "base/hash.h"
#include "engine/logger.h"
#include "engine/wire.h"
#include "report/note.h"
#include "site/plan.h"
#include "smtp/dsn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Messages that are kept open while decisions about them come: by queue, and
 * in each queue there is one recipient of each of a campaign's messages. */
#define VIEWS 256u

struct local {
	struct storer_state *s;
	struct queue_view views[VIEWS]; /* by the hash of their id */
	const struct queue_task *task;
	struct queue_out out;
	struct queue_out_rcpt rcpts[QUEUE_RCPTS_MAX];
	char notes[LOGGER_OUT_MAX - 8192];
	size_t len;
	char common[4096];
};

int local_init(struct storer_state *s)
{
	s->local = calloc(1, sizeof(*s->local));
	return s->local == NULL ? -ENOMEM : 0;
}

void local_let_go(struct storer_state *s)
{
	struct queue_view *view = s->local->views;

	for (; view < s->local->views + VIEWS; view++)
		if (view->pin != NULL)
			queue_message_close(s->st->set.queue, view);
}

void local_free(struct storer_state *s)
{
	if (s->local != NULL)
		local_let_go(s);
	free(s->local);
}

static uint8_t state_of(enum plan_act act)
{
	return act == PLAN_RETRY    ? QUEUE_WAITING
	       : act == PLAN_EXPIRE ? QUEUE_EXPIRED
				    : QUEUE_BOUNCED;
}

static bool put(struct storer_state *s, const struct queue_out *out,
		enum sched_class class, unsigned rule)
{
	struct lane *lane = &s->st->set.log->lane;
	void *p = lane_reserve_or_wait(lane, out_wire_size(out));
	enum queue_state state;
	uint32_t i;

	if (p == NULL)
		return false;
	out_wire_put(out, p);
	lane_publish(lane);
	for (i = 0; i < out->rcpt_count; i++) {
		state = (enum queue_state)out->rcpts[i].state;
		meter_outcome(&s->st->outcomes, class,
			      event_type_of(state, false, rule));
	}
	return true;
}

static bool is_open(const struct queue_task *t, uint32_t at)
{
	return (t->open[at / 64] >> (at % 64) & 1) != 0;
}

static void common_note(struct local *l, const struct queue_view *view)
{
	struct note_common n = {
		.time_ms = clock_wall_ms(),
		.size = view->size,
		.from = view->sender,
	};

	BUG_ON(note_common_size(&n) > sizeof(l->common));
	l->out.note = span_of(l->common, note_common_put(&n, l->common));
}

static void add_rcpt(struct local *l, const struct queue_view *view,
		     uint32_t index, const struct note_rcpt *like,
		     struct queue_out_rcpt rcpt)
{
	struct note_rcpt note = *like;
	struct queue_rcpt r;
	size_t size;

	queue_view_rcpt(view, index, &r);
	note.to = r.address;
	note.notify = (uint8_t)dsn_notify(r.params);
	note.queued_s = clock_since_s(l->s->now_s, view->arrived_s);
	size = note_rcpt_size(&note);
	BUG_ON(note_rcpt_put(&note, l->notes + l->len) != size);
	rcpt.rcpt = (uint16_t)index;
	rcpt.note = span_of(l->notes + l->len, size);
	l->rcpts[l->out.rcpt_count++] = rcpt;
	l->len += size;
}

/* One OUT holds what fits; the rest of a large task comes in further ones. */
static bool put_all(struct local *l, const struct queue_view *view,
		    const struct note_rcpt *like, struct queue_out_rcpt rcpt)
{
	const struct queue_task *t = l->task;
	uint32_t at;

	for (at = 0; at < t->span; at++) {
		if (!is_open(t, at))
			continue;
		add_rcpt(l, view, t->first + at, like, rcpt);
		if (l->len + 2048 < sizeof(l->notes) && l->out.rcpt_count < 64)
			continue;
		if (!put(l->s, &l->out, meter_class(t->flags), like->rule))
			return false;
		l->len = 0;
		l->out.rcpt_count = 0;
	}
	return l->out.rcpt_count == 0 ||
	       put(l->s, &l->out, meter_class(t->flags), like->rule);
}

/* Its addresses cannot be read either: the event names the message alone. */
static bool hold_damaged(struct storer_state *s, const struct queue_task *t)
{
	struct note_rcpt note = {
		.verdict = { .result = SMTP_DEFERRED,
			     .text = SPAN("the stored message fails its "
					  "check; it is held") },
	};
	struct local *l = s->local;
	struct note_common common = { .time_ms = clock_wall_ms() };
	size_t note_size;
	uint32_t at;

	l->out = (struct queue_out){ .id = t->id,
				     .slot = t->slot,
				     .rcpts = l->rcpts };
	queue_handle_name(s->st->set.queue, t->queue, &l->out.tenant,
			  &l->out.campaign, &l->out.domain);
	l->out.note = span_of(l->common, note_common_put(&common, l->common));
	note_size = note_rcpt_put(&note, l->notes);
	for (at = 0; at < t->span; at++)
		if (is_open(t, at))
			l->rcpts[l->out.rcpt_count++] = (struct queue_out_rcpt){
				.rcpt = (uint16_t)(t->first + at),
				.state = QUEUE_DAMAGED,
				.attempts = t->attempts,
				.unsure = t->unsure,
			};
	/* One note for all: it has no address to tell them apart. */
	l->rcpts[0].note = span_of(l->notes, note_size);
	return put(s, &l->out, meter_class(t->flags), LOCAL_NONE);
}

/* It may have moved since the task was given. */
static int open_wherever(struct storer_state *s, const struct queue_task *t,
			 struct queue_view *view)
{
	struct queue *q = s->st->set.queue;
	int err = queue_message_open_at(q, t->id, t->place, view);

	if (err != -ENOENT)
		return err;
	return queue_message_open_at(q, t->id, queue_store_place(q, t->id),
				     view);
}

static bool settle_with(struct storer_state *s, const struct queue_task *t,
			const struct note_rcpt *like,
			struct queue_out_rcpt rcpt)
{
	struct local *l = s->local;
	struct queue_view view;
	bool done = false;
	int err;

	l->s = s;
	l->len = 0;
	l->task = t;
	l->out = (struct queue_out){ .id = t->id,
				     .slot = t->slot,
				     .rcpts = l->rcpts };
	queue_handle_name(s->st->set.queue, t->queue, &l->out.tenant,
			  &l->out.campaign, &l->out.domain);
	err = open_wherever(s, t, &view);
	if (err == 0) {
		common_note(l, &view);
		/* All or nothing: room for the largest task is asked for
		 * first, so that no part is written twice. */
		if (mring_fill(s->st->set.log->lane.ring) == 0 || t->span <= 64)
			done = put_all(l, &view, like, rcpt);
		else
			lane_reserve_or_wait(&s->st->set.log->lane, 1);
		queue_message_close(s->st->set.queue, &view);
		return done;
	}
	if (!queue_is_short(err))
		return hold_damaged(s, t);
	queue_store_return(s->st->set.queue, t->id, t->first, s->now_s + 60);
	return true;
}

bool local_settle(struct storer_state *s, const struct queue_task *t, int rule,
		  const char *why)
{
	struct plan_ask ask = {
		.attempts = t->attempts,
		.unsure = t->unsure,
		.slot = t->slot,
		.expires_s = t->expires_s,
		.now_s = s->now_s,
	};
	struct note_rcpt note = { .rule = (uint8_t)rule };
	struct queue_out_rcpt rcpt = { .rcpt = 0 };
	char words[512];
	struct plan plan;

	plan_local(&s->backoff, &ask, (enum local_rule)rule, &plan);
	snprintf(words, sizeof(words), "%s%s%s",
		 plan_local_words((enum local_rule)rule),
		 why[0] == '\0' ? "" : ": ", why);
	note.verdict = (struct smtp_verdict){
		.result = SMTP_REJECTED,
		.stage = SMTP_STAGE_NONE,
		.enhanced = plan_local_enhanced((enum local_rule)rule),
		.text = span_str(words),
	};
	rcpt.state = state_of(plan.act);
	rcpt.attempts = plan.attempts;
	rcpt.unsure = plan.unsure;
	rcpt.due_s = plan.act == PLAN_RETRY ? plan.slot : 0;
	return settle_with(s, t, &note, rcpt);
}

/* --- damaged messages ------------------------------------------------------ */

bool local_damaged(struct storer_state *s, const struct to_store *m)
{
	struct queue *q = s->st->set.queue;
	struct queue_task task;

	if (queue_store_loaded(q, m->id, m->first, &task) == 0)
		return true;          /* a decision or an outcome was faster */
	if (task.place != m->place) { /* it has moved: give it again */
		queue_store_return(q, m->id, m->first, s->now_s);
		return true;
	}
	return hold_damaged(s, &task);
}

/* --- decisions ------------------------------------------------------------- */

static const char *verb_words(enum queue_verb verb)
{
	switch (verb) {
	case QUEUE_VERB_HOLD:
		return "held by an operator";
	case QUEUE_VERB_RELEASE:
		return plan_local_words(LOCAL_RELEASED);
	case QUEUE_VERB_CANCEL:
		return "cancelled by an operator";
	case QUEUE_VERB_RETRY:
		return plan_local_words(LOCAL_RETRIED);
	default:
		return "decided by an operator";
	}
}

/* To read a message of 1,000 recipients once for each of them would be most of
 * what a decision costs.  NULL: it cannot be read. */
static const struct queue_view *view_of(struct storer_state *s, uint64_t id)
{
	struct queue *q = s->st->set.queue;
	struct queue_view *view = &s->local->views[hash_u64(id) % VIEWS];

	if (view->pin != NULL && view->id == id)
		return view;
	if (view->pin != NULL)
		queue_message_close(q, view);
	if (queue_message_open_at(q, id, queue_store_place(q, id), view) < 0)
		return NULL;
	return view;
}

void local_decided(struct storer_state *s, enum queue_verb verb,
		   const struct queue_out *out)
{
	struct note_rcpt note = {
		.verdict = { .result = SMTP_DEFERRED,
			     .text = span_str(verb_words(verb)) },
		.rule = verb == QUEUE_VERB_RELEASE ? LOCAL_RELEASED
			: verb == QUEUE_VERB_RETRY ? LOCAL_RETRIED
						   : LOCAL_NONE,
	};
	const struct queue_view *view = view_of(s, out->id);
	struct local *l = s->local;
	uint32_t i;

	l->s = s;
	l->len = 0;
	l->out = *out;
	l->out.rcpts = l->rcpts;
	l->out.rcpt_count = 0;
	if (view != NULL) {
		common_note(l, view);
		for (i = 0; i < out->rcpt_count; i++)
			add_rcpt(l, view, out->rcpts[i].rcpt, &note,
				 out->rcpts[i]);
		BUG_ON(!put(s, &l->out, meter_class(view->flags), note.rule));
		return;
	}
	/* Damaged: without words, and nobody knows its class. */
	BUG_ON(!put(s, out, SCHED_BULK, note.rule));
}
