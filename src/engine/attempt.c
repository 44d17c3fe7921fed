/*
 * engine/attempt.c - one mail in flight, and what came of it
 *
 *	task ─► open the message ─► its open recipients ─► smtp_session_mail()
 *	   verdict per recipient ─► plan ─► note
 *	   MAIL_DONE ─► OUT records to the log ─► what is left of the task
 *
 * A recipient of the mail either gets a place in an OUT record, and its bit
 * of the task is cleared, or stays open in the task (PUT_BACK, AGAIN), which
 * then goes back to the front of its queue.
 *
 * An outcome that finds its lane full waits in `stuck`; no mail begins
 * meanwhile (worker_may_begin), so that list is as long as there are sessions
 * at most.
 */
#include "engine/worker_private.h"

#include "engine/logger.h"
#include "engine/wire.h"
#include "report/note.h"
#include "site/plan.h"
#include "smtp/dsn.h"

#include <errno.h>
#include <stdlib.h>

#define NOTES_MAX  (QUEUE_RCPTS_MAX * 2048u)
#define KEEP_RCPTS 64u /* arrays up to here stay with a free attempt */

/* --- memory ---------------------------------------------------------------- */

static void many_free(struct attempt *a)
{
	free(a->many);
	a->many = NULL;
	a->many_size = 0;
}

static int many_make(struct attempt *a, uint32_t count)
{
	uint32_t size = count < 8 ? 8 : count;

	if (a->many_size >= count)
		return 0;
	many_free(a);
	a->many = calloc(size, sizeof(*a->outs) + sizeof(*a->rcpts) +
				       sizeof(*a->index));
	if (a->many == NULL)
		return -ENOMEM;
	a->many_size = size;
	return 0;
}

static int arrays_make(struct attempt *a, uint32_t count)
{
	if (count <= 1) {
		a->outs = &a->one.out;
		a->rcpts = &a->one.rcpt;
		a->index = &a->one.index;
		return 0;
	}
	if (many_make(a, count) < 0)
		return -ENOMEM;
	a->outs = a->many; /* the most strictly aligned first */
	a->rcpts = (struct smtp_rcpt *)(a->outs + a->many_size);
	a->index = (uint16_t *)(a->rcpts + a->many_size);
	return 0;
}

static struct attempt *attempt_new(struct worker_state *s, uint32_t count)
{
	struct list *l = list_pop(&s->attempts_free);
	struct attempt *a = l == NULL ? calloc(1, sizeof(*a))
				      : CONTAINER_OF(l, struct attempt, link);

	if (a == NULL)
		return NULL;
	if (l == NULL) {
		buf_init(&a->notes, NOTES_MAX);
		buf_init(&a->common, LOGGER_OUT_MAX / 2);
		list_init(&a->link);
	}
	if (arrays_make(a, count) < 0) {
		list_add_head(&s->attempts_free, &a->link);
		return NULL;
	}
	a->count = a->out_count = a->out_sent = 0;
	a->any_accepted = a->judged = a->utf8 = a->behind = false;
	a->again = 0;
	buf_clear(&a->notes);
	buf_clear(&a->common);
	return a;
}

static void attempt_free(struct worker_state *s, struct attempt *a)
{
	if (a->many_size > KEEP_RCPTS) {
		many_free(a);
		buf_free(&a->notes);
	}
	list_del(&a->link);
	list_add_head(&s->attempts_free, &a->link);
}

void attempt_free_all(struct worker_state *s)
{
	struct list *l;

	while ((l = list_pop(&s->attempts_free)) != NULL) {
		struct attempt *a = CONTAINER_OF(l, struct attempt, link);

		many_free(a);
		buf_free(&a->notes);
		buf_free(&a->common);
		free(a);
	}
	while ((l = list_pop(&s->iovs_free)) != NULL)
		free(l);
}

/* --- beginning ------------------------------------------------------------- */

static void bit_clear(struct sched_task *task, uint32_t at)
{
	sched_task_open(task)[at / 64] &= ~(UINT64_C(1) << (at % 64));
}

static uint32_t open_count(struct sched_task *task)
{
	uint32_t at, n = 0;

	for (at = task_next_open(task, 0); at < task->span;
	     at = task_next_open(task, at + 1))
		n++;
	return n;
}

static uint32_t mail_flags(const struct attempt *a)
{
	uint32_t flags = a->view.flags;

	return (flags & QUEUE_MSG_8BIT ? SMTP_MAIL_8BIT : 0) |
	       (flags & QUEUE_MSG_DOTS ? SMTP_MAIL_DOTS : 0) |
	       (a->utf8 ? SMTP_MAIL_UTF8 : 0);
}

static int give_mail(struct worker_state *s, struct conn *c, struct attempt *a)
{
	struct smtp_mail mail = {
		.tag = (uint64_t)(uintptr_t)a,
		.sender = a->view.sender,
		.params = a->view.params,
		.rcpts = a->rcpts,
		.rcpt_count = a->count,
		.flags = mail_flags(a),
		.content = a->view.content,
		.content_count = (uint32_t)a->view.content_count,
		.content_bytes = a->view.size,
	};

	if (s->smtp.chunking && list_empty(&c->attempts))
		deliver_ask_chunks(s, c);
	return smtp_session_mail(c->smtp, &mail, s->now_ms);
}

static struct site_need need_of(const struct attempt *a)
{
	return (struct site_need){
		.bytes = a->view.size,
		.bits = (a->utf8 ? SITE_NEED_UTF8 : 0) |
			(a->view.flags & QUEUE_MSG_8BIT ? SITE_NEED_8BIT : 0),
	};
}

/* The message cannot be opened, or no command can be made of it: the store
 * holds what is left of the task. */
static int give_up_damaged(struct worker_state *s, struct sched_task *task,
			   struct wsite *ws)
{
	if (!worker_tell_store(s, TO_STORE_DAMAGED, task, ws->number, 0))
		return -EAGAIN;
	worker_task_end(s, task);
	return 0;
}

int attempt_begin(struct worker_state *s, struct conn *c,
		  struct sched_task *task, bool *settled_r)
{
	uint32_t room = share_room(s, c), open = open_count(task);
	struct attempt *a;
	int err;

	if (room == 0)
		return -EAGAIN;
	/* Alone it goes to all of them in one transaction. */
	if (!list_empty(&c->attempts) && open > room &&
	    (room == SMTP_GROUP_RCPTS_MAX || smtp_session_ahead(c->smtp) > 0))
		return -E2BIG;
	a = attempt_new(s, open < room ? open : room);
	if (a == NULL)
		return -ENOMEM;
	a->task = task;
	a->conn = c;
	a->wsite = c->site;
	a->moves = task->moves;
	err = queue_message_open_shared(s->w->set.queue, &s->pins, task->id,
					task->place, &a->view);
	if (err < 0) {
		attempt_free(s, a);
		if (queue_is_short(err))
			ours_short(s, OURS_READING, err);
		else
			*settled_r = give_up_damaged(s, task, c->site) == 0;
		return err;
	}
	share_fill(a, open < room ? open : room);
	err = give_mail(s, c, a);
	if (err < 0) {
		struct site_need need = need_of(a);

		queue_message_close(s->w->set.queue, &a->view);
		attempt_free(s, a);
		if (smtp_mail_unfit(err) != LOCAL_NONE)
			*settled_r = picky_refused(s, c, task, &need,
						   smtp_mail_unfit(err));
		else if (err == -EINVAL) /* no session would ever take it */
			*settled_r = give_up_damaged(s, task, c->site) == 0;
		return err;
	}
	if (is_traced(s))
		trace_mail(s, c, task);
	a->behind = !list_empty(&c->attempts);
	s->behind += a->behind;
	list_add_tail(&c->attempts, &a->link);
	c->idle = false;
	site_conn_begin(c->sc, s->now_ms);
	a->begun_ms = s->now_ms;
	tally_add(&s->w->counts.transactions, 1);
	return 0;
}

/* --- verdicts -------------------------------------------------------------- */

static uint8_t state_of(enum plan_act act)
{
	switch (act) {
	case PLAN_DELIVERED:
		return QUEUE_DELIVERED;
	case PLAN_RETRY:
		return QUEUE_WAITING;
	case PLAN_BOUNCE:
		return QUEUE_BOUNCED;
	case PLAN_EXPIRE:
		return QUEUE_EXPIRED;
	case PLAN_HOLD:
		return QUEUE_HELD;
	default:
		return 0; /* stays open in the task */
	}
}

static void count_outcome(struct worker_state *s, const struct attempt *a,
			  uint8_t state, const struct note_rcpt *note)
{
	struct worker_counts *c = &s->w->counts;
	_Atomic uint64_t *site = a->wsite->cell->counters;
	enum event_type type =
		event_type_of((enum queue_state)state,
			      note->verdict.result == SMTP_UNSURE, note->rule);

	meter_outcome(&c->outcomes, a->task->class, type);
	a->wsite->settled++;
	if (state == QUEUE_DELIVERED) {
		a->wsite->delivered++;
		tally_add(&site[BOARD_DELIVERED], 1);
		histo_observe(&c->queued_s, note->queued_s);
	} else if (state == QUEUE_WAITING) {
		a->wsite->deferred++;
		tally_add(&site[BOARD_DEFERRED], 1);
		tally_add(&c->reasons[note->kind], 1);
	} else if (state == QUEUE_BOUNCED || state == QUEUE_EXPIRED) {
		a->wsite->bounced++;
		tally_add(&site[BOARD_BOUNCED], 1);
	}
}

static void add_out(struct worker_state *s, struct attempt *a,
		    const struct plan *p, const struct note_rcpt *note,
		    uint16_t index)
{
	size_t size = note_rcpt_size(note);

	/* NOTES_MAX holds QUEUE_RCPTS_MAX notes of the largest size; memory
	 * that is not there leaves the recipient in the task, to be tried
	 * again: a second copy rather than none. */
	if (buf_reserve(&a->notes, size) < 0)
		return;
	BUG_ON(note_rcpt_put(note, a->notes.p + a->notes.len) != size);
	a->outs[a->out_count++] = (struct queue_out_rcpt){
		.rcpt = index,
		.state = state_of(p->act),
		.attempts = p->attempts,
		.unsure = p->unsure,
		.due_s = p->act == PLAN_RETRY ? p->slot : 0,
		/* by offset: the buffer may move */
		.note = span_of(NULL, size),
	};
	a->notes.len += size;
	bit_clear(a->task, index - (uint32_t)a->task->first);
	count_outcome(s, a, state_of(p->act), note);
}

static void judge(struct worker_state *s, struct attempt *a,
		  const struct smtp_verdict *v, struct reply_class *class)
{
	/* One answer to MAIL, DATA or the dot is one thing that the site did,
	 * for however many recipients it is. */
	if (v->stage != SMTP_STAGE_RCPT && a->judged &&
	    a->judged_stage == v->stage) {
		*class = a->class;
		return;
	}
	site_conn_verdict(a->conn->sc, v, s->now_ms, class);
	if (v->stage == SMTP_STAGE_RCPT)
		return;
	a->judged = true;
	a->judged_stage = v->stage;
	a->class = *class;
	if (class->scope == SCOPE_TENANT && class->pause_s > 0) {
		sched_flow_park(&wqueue_of(a->task)->q,
				s->now_ms + class->pause_s * UINT64_C(1000));
		worker_kick(s, a->wsite); /* its timer is for the end of that */
	}
}

void attempt_verdict(struct worker_state *s, struct attempt *a, uint32_t rcpt,
		     const struct smtp_verdict *v)
{
	struct sched_task *task = a->task;
	struct reply_class class;
	struct plan plan;
	struct note_rcpt note = { .verdict = *v, .to = a->rcpts[rcpt].address };
	struct plan_ask ask = {
		.verdict = v,
		.class = &class,
		.attempts = task->attempts,
		.unsure = task->unsure,
		.moves = task->moves,
		.again = (uint8_t)(task->mark + 1),
		.any_accepted = a->any_accepted,
		.session_carried = site_conn_carried(a->conn->sc),
		.queue_hash = wqueue_of(task)->q.hash,
		.slot = task->slot,
		.epoch = atomic_load(s->w->set.epoch),
		.expires_s = task->expires_s,
		.now_s = s->now_s,
	};

	judge(s, a, v, &class);
	if (v->result == SMTP_ACCEPTED)
		a->any_accepted = true;
	plan_recipient(&s->backoff, &ask, &plan);
	if (plan.act == PLAN_PUT_BACK) {
		a->moves = plan.moves;
		return;
	}
	if (plan.act == PLAN_AGAIN) {
		a->again++;
		return;
	}
	note.notify = (uint8_t)dsn_notify(a->rcpts[rcpt].params);
	note.kind = (uint8_t) class.kind;
	note.scope = (uint8_t) class.scope;
	note.queued_s = clock_since_s(s->now_s, a->view.arrived_s);
	add_out(s, a, &plan, &note, a->index[rcpt]);
}

/* --- outcomes to the log --------------------------------------------------- */

static struct span make_common(const struct worker_state *s,
			       const struct attempt *a,
			       char octets[NOTE_COMMON_MAX])
{
	struct note_common n = {
		.time_ms = s->wall_ms,
		.size = a->view.size,
		.from = a->view.sender,
	};

	if (a->conn != NULL) {
		n.session = a->conn->number;
		n.peer = whost_note(a->conn->host);
	} else {
		n.site = span_str(site_name(a->wsite->site));
	}
	return span_of(octets, note_common_put(&n, octets));
}

/* As many recipients from out_sent on as fit in one record. */
static uint32_t chunk(const struct attempt *a, struct span common)
{
	size_t size = common.len + 4 * QUEUE_WORD_MAX;
	uint32_t n = 0;

	while (a->out_sent + n < a->out_count) {
		size += a->outs[a->out_sent + n].note.len + 32;
		if (size > LOGGER_OUT_MAX && n > 0)
			break;
		n++;
	}
	return n;
}

/* False: no room in the lane. */
static bool put_outs(struct worker_state *s, struct attempt *a,
		     struct span common)
{
	struct lane *lane = &s->w->set.log->lane;
	void *p;

	while (a->out_sent < a->out_count) {
		struct queue_out out = {
			.id = a->task->id,
			.slot = a->task->slot,
			.tenant = a->view.tenant,
			.campaign = a->view.campaign,
			.domain = a->domain,
			.note = common,
			.rcpts = &a->outs[a->out_sent],
			.rcpt_count = chunk(a, common),
		};

		p = lane_reserve_or_wait(lane, out_wire_size(&out));
		if (p == NULL)
			return false;
		out_wire_put(&out, p);
		lane_stage(lane); /* worker.c flushes */
		a->out_sent += out.rcpt_count;
		s->outs_sent++;
	}
	return true;
}

static int by_index(const void *a, const void *b)
{
	const struct queue_out_rcpt *x = a, *y = b;

	return (x->rcpt > y->rcpt) - (x->rcpt < y->rcpt);
}

/* The octets of the notes stand one after the other in a->notes, in the order
 * of the verdicts: a refused RCPT comes before an accepted one that waits for
 * the dot.  A record wants them by recipient. */
static void place_notes(struct attempt *a)
{
	bool rising = true;
	size_t at = 0;
	uint32_t i;

	for (i = 0; i < a->out_count; i++) {
		a->outs[i].note.p = a->notes.p + at;
		at += a->outs[i].note.len;
		rising = rising &&
			 (i == 0 || a->outs[i].rcpt > a->outs[i - 1].rcpt);
	}
	if (!rising)
		qsort(a->outs, a->out_count, sizeof(*a->outs), by_index);
}

/* What is left of the task goes back, or the task ends.  A task that a local
 * rule ended may have come from sched_drain(): it is idle then. */
static void settle_task(struct worker_state *s, struct attempt *a)
{
	struct sched_task *task = a->task;

	if (task_next_open(task, 0) == task->span) {
		worker_task_end(s, task);
		return;
	}
	task->moves = a->moves;
	/* Rule 14: as long as each transaction gets some through, the rest
	 * goes in the next one. */
	task->mark = a->again > 0 && !a->any_accepted
			     ? (uint8_t)(task->mark + 1)
			     : 0;
	worker_task_back(s, task);
	worker_kick(s, a->wsite);
}

static void finish(struct worker_state *s, struct attempt *a)
{
	queue_message_close(s->w->set.queue, &a->view);
	settle_task(s, a);
	attempt_free(s, a);
}

static void hand_over(struct worker_state *s, struct attempt *a)
{
	char octets[NOTE_COMMON_MAX];
	struct span common = make_common(s, a, octets);

	place_notes(a);
	list_del(&a->link);
	if (list_empty(&s->stuck) && put_outs(s, a, common)) {
		finish(s, a);
		return;
	}
	/* Without memory for it the event says less. */
	(void)buf_add_span(&a->common, common);
	list_add_tail(&s->stuck, &a->link);
}

/* The next one of the connection is its first now. */
static void step_up(struct worker_state *s, struct conn *c)
{
	struct attempt *a =
		CONTAINER_OF(c->attempts.next, struct attempt, link);

	if (list_empty(&c->attempts) || !a->behind)
		return;
	a->behind = false;
	BUG_ON(s->behind == 0);
	s->behind--;
}

void attempt_done(struct worker_state *s, struct attempt *a)
{
	struct conn *c = a->conn;

	histo_observe(&s->w->counts.transaction_ms, s->now_ms - a->begun_ms);
	site_conn_end(a->conn->sc, a->any_accepted, s->now_ms);
	share_learn(s, a);
	if (is_traced(s))
		trace_mail_done(s, a->conn);
	hand_over(s, a);
	step_up(s, c);
}

void attempt_unstick(struct worker_state *s)
{
	while (!list_empty(&s->stuck)) {
		struct attempt *a =
			CONTAINER_OF(s->stuck.next, struct attempt, link);

		if (!put_outs(s, a, buf_span(&a->common)))
			return;
		list_del(&a->link);
		finish(s, a);
	}
}

/* --- ended by a rule of our own -------------------------------------------- */

/* Rule 24: who needs no SMTPUTF8 can go to a host without it. */
static bool is_touched(const struct attempt *a, int cause, uint32_t index)
{
	struct queue_rcpt r;

	queue_view_rcpt(&a->view, index, &r);
	return cause != LOCAL_UTF8 || share_needs_utf8(&a->view, r.address);
}

static void local_rcpt(struct worker_state *s, struct attempt *a, int rule,
		       uint32_t index)
{
	struct plan_ask ask = {
		.attempts = a->task->attempts,
		.unsure = a->task->unsure,
		.queue_hash = wqueue_of(a->task)->q.hash,
		.slot = a->task->slot,
		.epoch = atomic_load(s->w->set.epoch),
		.expires_s = a->task->expires_s,
		.now_s = s->now_s,
	};
	struct note_rcpt note = {
		.verdict = { .result = SMTP_REJECTED,
			     .stage = SMTP_STAGE_NONE,
			     .enhanced =
				     plan_local_enhanced((enum local_rule)rule),
			     .text = span_str(
				     plan_local_words((enum local_rule)rule)) },
		.rule = (uint8_t)rule,
		.queued_s = clock_since_s(s->now_s, a->view.arrived_s),
	};
	struct queue_rcpt r;
	struct plan plan;

	queue_view_rcpt(&a->view, index, &r);
	a->domain = r.domain;
	note.to = r.address;
	note.notify = (uint8_t)dsn_notify(r.params);
	plan_local(&s->backoff, &ask, (enum local_rule)rule, &plan);
	add_out(s, a, &plan, &note, (uint16_t)index);
}

static bool return_task(struct worker_state *s, struct sched_task *task,
			uint32_t site)
{
	if (!worker_tell_store(s, TO_STORE_RETURN, task, site, s->now_s + 60))
		return false;
	worker_task_end(s, task);
	return true;
}

static bool end_local(struct worker_state *s, struct sched_task *task, int rule,
		      int cause)
{
	struct attempt *a = attempt_new(s, open_count(task));
	struct wqueue *q = wqueue_of(task);
	uint32_t at;

	if (a == NULL || queue_message_open_at(s->w->set.queue, task->id,
					       task->place, &a->view) < 0) {
		if (a != NULL)
			attempt_free(s, a);
		return return_task(s, task, q->site->number);
	}
	a->task = task;
	a->conn = NULL;
	a->wsite = q->site;
	a->moves = task->moves;
	for (at = task_next_open(task, 0); at < task->span;
	     at = task_next_open(task, at + 1))
		if (is_touched(a, cause, task->first + at))
			local_rcpt(s, a, rule, task->first + at);
	hand_over(s, a);
	return true;
}

bool attempt_local(struct worker_state *s, struct sched_task *task, int rule)
{
	return end_local(s, task, rule, rule);
}

bool attempt_untried(struct worker_state *s, struct sched_task *task, int cause)
{
	return end_local(s, task, LOCAL_UNTRIED, cause);
}
