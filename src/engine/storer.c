/*
 * engine/storer.c - the store thread
 *
 *	take in what became durable
 *	answers of the resolver, tasks that workers hand back, jobs
 *	due tasks out, until a lane is full or there are none
 *	outcomes of decisions, moves of compaction
 *	a piece of checkpoint, refill, freeing
 *
 * A task that cannot be placed stays in s->task, and nothing is pulled until
 * it can: the full lane rings when it has room.
 */
#include "engine/storer_private.h"

#include "base/bug.h"
#include "engine/logger.h"
#include "engine/meter.h"
#include "engine/resolver.h"
#include "engine/tune.h"
#include "engine/thread.h"
#include "engine/wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define TASKS_PER_TURN 4096
#define REST_MS        1
#define LANE_BYTES     (1u << 20)
#define DESTS_MAX      100000 /* domains of millions; each is half a KiB */
/* New mail waits while there are so many times checkpoint.deltas changes, or
 * so many octets of the log have not been looked at; and until it is less. */
#define BEHIND_SET   UINT64_C(3)
#define BEHIND_CLEAR UINT64_C(2)
#define BEHIND_LAG   (UINT64_C(16) << 20)

int storer_init(struct storer *st, const struct storer_settings *set)
{
	int err;

	*st = (struct storer){ .set = *set };
	BUG_ON(set->workers > STORER_WORKERS_MAX);
	err = bell_init(&st->bell);
	if (err < 0)
		return err;
	st->state = calloc(1, sizeof(*st->state));
	if (st->state == NULL)
		return -ENOMEM;
	st->state->st = st;
	st->state->dests_max = DESTS_MAX;
	list_init(&st->state->answered);
	list_init(&st->state->unused);
	map_init(&st->state->dest_map);
	map_init(&st->state->target_map);
	tune_backoff(set->set, &st->state->backoff);
	histo_init(&st->checkpoint_us, &meter_work_us);
	err = callback_init(st->state);
	return err < 0 ? err : local_init(st->state);
}

int storer_connect(struct storer *st, unsigned worker, struct bell *bell,
		   struct bell *control)
{
	int err =
		lane_init(&st->to_worker[worker], LANE_BYTES, &st->bell, bell);

	if (err == 0)
		err = lane_init(&st->from_worker[worker], LANE_BYTES, bell,
				&st->bell);
	if (err == 0 && st->jobs.ring == NULL)
		err = lane_init(&st->jobs, 4096, control, &st->bell);
	if (err == 0 && st->jobs_done.ring == NULL)
		err = lane_init(&st->jobs_done, 4096, &st->bell, control);
	st->control = control;
	return err;
}

int storer_connect_ingress(struct storer *st, struct bell *ingress)
{
	int err = lane_init(&st->asks, 64u << 10, ingress, &st->bell);

	if (err < 0)
		return err;
	st->ingress = ingress;
	return lane_init(&st->answers, 64u << 10, &st->bell, ingress);
}

/* What a worker was told and has not taken before it ended. */
static void forget_told(struct lane *lane)
{
	const struct to_worker_site *m; /* if its type says so */
	size_t len;

	while (lane->ring != NULL && (m = lane_peek(lane, &len)) != NULL) {
		if (m->type == TO_WORKER_SITE) {
			struct mxset *set = m->set;

			mxset_unref(&set);
		}
		lane_consume(lane);
	}
}

void storer_free(struct storer *st)
{
	unsigned i;

	if (st->state != NULL)
		dispatch_free(st->state);
	if (st->state != NULL)
		local_free(st->state);
	if (st->state != NULL)
		callback_free(st->state);
	for (i = 0; i < st->set.workers; i++) {
		forget_told(&st->to_worker[i]);
		lane_free(&st->to_worker[i]);
		lane_free(&st->from_worker[i]);
	}
	lane_free(&st->asks);
	lane_free(&st->answers);
	lane_free(&st->jobs);
	lane_free(&st->jobs_done);
	bell_free(&st->bell);
	free(st->state);
	st->state = NULL;
}

/* --- what comes in --------------------------------------------------------- */

static void take_answers(struct storer_state *s)
{
	struct lane *lane = &s->st->set.resolver->to_store;
	const struct dns_answer_message *m;
	size_t len;

	while ((m = lane_peek(lane, &len)) != NULL) {
		if (!dispatch_answer(s, m->domain, m->set))
			break;
		lane_consume(lane);
	}
	dispatch_answered(s);
}

static bool take_one(struct storer_state *s, unsigned worker,
		     const struct to_store *m)
{
	switch ((enum to_store_type)m->type) {
	case TO_STORE_RETURN:
		queue_store_return(s->st->set.queue, m->id, m->first, m->due_s);
		return true;
	case TO_STORE_DAMAGED:
		return local_damaged(s, m);
	case TO_STORE_REFRESH:
		return dispatch_refresh(s, worker, m);
	}
	BUG_ON(true);
}

static void take_from_workers(struct storer_state *s)
{
	const struct to_store *m;
	size_t len;
	unsigned i;

	for (i = 0; i < s->st->set.workers; i++) {
		struct lane *lane = &s->st->from_worker[i];

		while ((m = lane_peek(lane, &len)) != NULL &&
		       m->after <= s->taken[i] && take_one(s, i, m))
			lane_consume(lane);
	}
}

static void take_asks(struct storer_state *s)
{
	struct storer *st = s->st;
	const struct seen_ask *ask;
	struct seen_answer *answer;
	uint64_t id = 0;
	size_t len;
	bool found;

	while ((ask = lane_peek(&st->asks, &len)) != NULL) {
		answer = lane_reserve_or_wait(&st->answers, sizeof(*answer));
		if (answer == NULL)
			return;
		found = queue_store_submitted(st->set.queue, ask->submission,
					      ask->number, &id) == 1;
		*answer = (struct seen_answer){ .cookie = ask->cookie,
						.id = id,
						.found = found };
		lane_publish(&st->answers);
		lane_consume(&st->asks);
	}
}

static void take_jobs(struct storer_state *s)
{
	const struct storer_job *job;
	size_t len;

	while ((job = lane_peek(&s->st->jobs, &len)) != NULL) {
		job->run(s->st->set.queue, job->arg);
		lane_consume(&s->st->jobs);
		/* Control has one job out at a time. */
		*(char *)lane_reserve(&s->st->jobs_done, 1) = 1;
		lane_publish(&s->st->jobs_done);
	}
}

/* --- what goes out --------------------------------------------------------- */

/* 1: a task was placed; 0: there is none, or no room. */
static int place_next(struct storer_state *s)
{
	int got;

	if (!s->have_task) {
		got = queue_store_next(s->st->set.queue, s->now_s, &s->task);
		if (got <= 0)
			return got;
	}
	s->have_task = !dispatch_task(s, &s->task);
	return s->have_task ? 0 : 1;
}

static int place_tasks(struct storer_state *s, bool *more_r)
{
	int n, got = 1;

	for (n = 0; n < TASKS_PER_TURN && got == 1; n++)
		got = place_next(s);
	*more_r = got == 1;
	return got < 0 ? got : 0;
}

static int place_decided(struct storer_state *s)
{
	struct queue_out out;
	enum queue_verb verb;
	int got;

	/* An outcome is borrowed until the next call: room is asked for
	 * before one is taken. */
	for (;;) {
		if (lane_reserve_or_wait(&s->st->set.log->lane,
					 LOGGER_OUT_MAX) == NULL)
			return 0;
		got = queue_store_decided(s->st->set.queue, s->now_s, &verb,
					  &out);
		if (got <= 0)
			return got;
		local_decided(s, verb, &out);
	}
}

/* What compaction wants moved; the log has the last word of its pace. */
static int place_moves(struct storer_state *s)
{
	struct lane *lane = s->st->set.moves;
	struct queue_move move;
	struct move_wire *m;
	int got;

	for (;;) {
		if (lane_reserve_or_wait(
			    lane, sizeof(*m) + QUEUE_MOVE_TASKS_MAX) == NULL)
			return 0;
		got = queue_store_move(s->st->set.queue, s->now_s, &move);
		if (got <= 0)
			return got;
		m = lane_reserve(lane, sizeof(*m) + move.tasks.len);
		m->move = move;
		if (move.tasks.len > 0)
			memcpy(m->tasks, move.tasks.p, move.tasks.len);
		lane_publish(lane);
	}
}

/* What the index costs this thread, from one checkpoint to the next. */
static int work(struct storer_state *s)
{
	uint64_t begin_us = meter_now_us();
	int more = queue_store_work(s->st->set.queue, s->now_s);

	s->work_us += meter_now_us() - begin_us;
	return more;
}

/* A full disk passes, and the log has what the index lacks: the checkpoint is
 * tried again.  False: that error is for good. */
static bool index_waits_out(struct storer_state *s, int err)
{
	if (err >= 0)
		return true;
	if (err != -ENOSPC || queue_store_failed(s->st->set.queue) < 0)
		return false;
	if (!atomic_load(&s->st->index_waits))
		fputs("mtaq: the index cannot be written: No space left on "
		      "device; nothing is lost, the log keeps what it lacks; "
		      "it is tried again every 10 s; make room in the spool, "
		      "or raise queue.index_bytes_max if that is reached\n",
		      stderr);
	atomic_store(&s->st->index_waits, true);
	return true;
}

static void tell_checkpoint(struct storer_state *s, uint64_t checkpoints)
{
	if (checkpoints == s->checkpoints)
		return;
	s->checkpoints = checkpoints;
	if (atomic_exchange(&s->st->index_waits, false))
		fputs("mtaq: the index is written again\n", stderr);
	histo_observe(&s->st->checkpoint_us, s->work_us);
	s->work_us = 0;
}

static void tell_counts(struct storer_state *s)
{
	struct queue_counts c;

	if (s->now_ms < s->counts_ms)
		return;
	s->counts_ms = s->now_ms + 200;
	dispatch_sweep(s);
	local_let_go(s);
	queue_store_counts(s->st->set.queue, &c);
	atomic_store(&s->st->waiting, c.waiting);
	atomic_store(&s->st->held, c.held);
	atomic_store(&s->st->loaded, c.loaded);
	atomic_store(&s->st->domains, s->dest_map.count);
	atomic_store(&s->st->queues, c.queues);
	atomic_store(&s->st->changes, c.deltas);
	atomic_store(&s->st->log_bytes, c.log_bytes);
	atomic_store(&s->st->segments_used, c.segments - c.segments_free);
	atomic_store(&s->st->segments_free, c.segments_free);
	atomic_store(&s->st->moved, c.moved);
	atomic_store(&s->st->moved_bytes, c.moved_bytes);
	atomic_store(&s->st->compacted, c.compacted);
	tell_checkpoint(s, c.checkpoints);
}

/*
 * Mail can be accepted ten times as fast as the index takes it in, and what
 * the index does not have costs memory, and time at the next start.  unread:
 * there is more of the log (what is unread at its end may be a gap).
 */
static void tell_behind(struct storer_state *s, const struct queue_counts *c,
			bool unread)
{
	const struct settings *set = s->st->set.set;
	bool was = atomic_load(&s->st->behind), is;
	uint64_t lag;

	lag = c->durable_lsn - c->checkpoint_lsn - c->log_bytes;
	is = unread && lag > (was ? BEHIND_LAG / 2 : BEHIND_LAG);
	/* What is coming must come, or no checkpoint ever gets on. */
	if (!c->coming)
		is = is || c->log_bytes > 2 * set->checkpoint.log_bytes ||
		     c->deltas > (was ? BEHIND_CLEAR : BEHIND_SET) *
					 set->checkpoint.deltas;
	if (is == was)
		return;
	atomic_store(&s->st->behind, is);
	if (!is && s->st->ingress != NULL)
		bell_ring(s->st->ingress);
}

/* For the rest behind it: storer_turn(). */
static void note_log(struct storer_state *s, uint64_t durable)
{
	s->log_came = s->log_came || durable != s->seen_lsn;
	s->seen_lsn = durable;
}

/* Take in the log.  1: there is more of it. */
static int take_log(struct storer_state *s)
{
	struct storer_settings *set = &s->st->set;
	uint64_t durable[STORER_WORKERS_MAX];
	unsigned i;
	int err;

	/* Counted before: what is counted lies in the log by now. */
	for (i = 0; i < set->workers; i++)
		durable[i] = atomic_load(&set->worker_logs[i].durable);
	err = queue_store_apply(set->queue, s->now_s);
	if (err == 0)
		memcpy(s->taken, durable, set->workers * sizeof(durable[0]));
	return err;
}

/* Nothing is lost by waiting: the log has it all, and what was taken in is
 * whole.  False: that error is for good. */
static bool waits_out(struct storer_state *s, int err)
{
	if (err >= 0 && s->log_waits)
		fputs("mtaq: the store reads the log again\n", stderr);
	if (err < 0 &&
	    (!queue_is_short(err) || queue_store_failed(s->st->set.queue) < 0))
		return false;
	if (err < 0 && !s->log_waits)
		fprintf(stderr,
			"mtaq: the store cannot read the log: %s; it waits and "
			"tries again, nothing is lost; raise the limits of "
			"the system or the unit\n",
			strerrordesc_np(-err));
	s->log_waits = err < 0;
	return true;
}

/* Negative: the store cannot go on.  Otherwise *more_r: turn again at once. */
static int turn(struct storer_state *s, bool *more_r)
{
	bool more = false, behind;
	struct queue_counts c;
	int err, left;

	s->now_ms = clock_now_ms();
	s->now_s = clock_mail_s(s->st->set.clock);
	err = take_log(s);
	if (!waits_out(s, err))
		return err;
	behind = err == 1;
	take_answers(s);
	take_from_workers(s);
	take_asks(s);
	take_jobs(s);
	callback_turn(s);
	err = place_tasks(s, &more);
	if (err == 0)
		err = place_decided(s);
	if (err == 0)
		err = place_moves(s);
	if (err < 0)
		return err;
	left = work(s);
	if (!index_waits_out(s, left))
		return left;
	queue_store_counts(s->st->set.queue, &c);
	note_log(s, c.durable_lsn);
	tell_behind(s, &c, behind);
	tell_counts(s);
	*more_r = more || behind || left == 1;
	return 0;
}

static void settle(struct storer_state *s)
{
	unsigned i;

	lane_settle(&s->st->set.resolver->to_store);
	lane_settle(&s->st->jobs);
	lane_settle(&s->st->asks);
	for (i = 0; i < s->st->set.workers; i++)
		lane_settle(&s->st->from_worker[i]);
}

static int wait_ms(struct storer_state *s)
{
	uint32_t wake = queue_store_wake_s(s->st->set.queue);

	if (wake <= s->now_s)
		return 100;
	return wake - s->now_s > 1 ? 1000 : 250;
}

/*
 * While mail comes, a group follows the other within less than a millisecond,
 * and a wake for each would take from those who make them: behind what the log
 * brought this thread rests, and the log does not ring.  All others do.
 */
int storer_turn(struct storer *st)
{
	struct storer_state *s = st->state;
	bool more = false, rests;
	int err;

	bell_rest(&st->bell, false);
	err = turn(s, &more);
	if (more || err < 0)
		return err < 0 ? err : 0;
	rests = s->log_came;
	s->log_came = false;
	bell_rest(&st->bell, rests);
	bell_doze(&st->bell);
	settle(s);
	err = turn(s, &more);
	if (err >= 0 && !more)
		return rests ? REST_MS : wait_ms(s);
	bell_awake(&st->bell);
	return err < 0 ? err : 0;
}

static void *storer_main(void *arg)
{
	struct storer *st = arg;
	int wait = 0;

	while (!atomic_load(&st->stop) && wait >= 0) {
		atomic_store(&st->turn_since_us, meter_now_us());
		wait = storer_turn(st);
		atomic_store(&st->turn_since_us, 0);
		if (wait > 0)
			bell_wait(&st->bell, wait);
	}
	if (wait < 0) {
		atomic_store(&st->failed, wait);
		bell_ring(st->control);
	}
	queue_store_leave(st->set.queue); /* the last checkpoint is another's */
	return NULL;
}

int storer_start(struct storer *st)
{
	return thread_start(&st->thread, "store", storer_main, st);
}

void storer_stop(struct storer *st)
{
	atomic_store(&st->stop, true);
	bell_ring(&st->bell);
	pthread_join(st->thread, NULL);
}
