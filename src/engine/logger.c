/*
 * engine/logger.c - the log thread
 *
 *	gather: outcomes of every source, then messages, then what compaction
 *	        moves, until the lanes are empty or the group is full; of moves
 *	        1 MiB a group.  In the middle of a frame, or of frames that were
 *	        said to follow at once, a small group waits for the rest, and is
 *	        written meanwhile: a sync costs more than to stage that
 *	commit: write the rest, one fdatasync
 *	tell:   answers to ingress and control, counts to the sources, bells to followers
 *
 * Invariant: an answer or a count is published only after the commit that
 * made its record durable returned 0.  Outcomes go before messages, since
 * they give room back.
 */
#include "engine/logger.h"

#include "base/bug.h"
#include "engine/clock.h"
#include "engine/disk.h"
#include "engine/thread.h"
#include "engine/wire.h"

#include <errno.h>
#include <stdlib.h>

/* An answer and its length are 32 octets. */
#define ANSWER_BYTES      (LOGGER_REQUESTS_MAX * 64u)
#define GROUP_ANSWERS_MAX 8192u
#define GROUP_BYTES_MAX   (8u << 20)
#define GROUP_MOVES_MAX   (1u << 20) /* octets, or one record */
#define GROUP_WAITS_MAX   (1u << 20) /* octets that may wait for a frame's end */
#define MOVES_BYTES       (128u << 10)
/* Pieces of canonical content: mail/canon.h promises at most 600. */
#define LARGE_PIECES_MAX 640

struct logger_group {
	struct put_answer answers[GROUP_ANSWERS_MAX];
	unsigned answer_count, out_count;
	uint64_t waits_since_ms; /* for what was promised; 0: it does not */
	struct queue_out_rcpt rcpts[QUEUE_RCPTS_MAX];
	/* A message over QUEUE_PART_MAX that is being put part by part. */
	struct put_request large; /* .msg is NULL: none */
	uint64_t large_id, large_at;
	bool decided; /* a decision is in the group, or was refused */
	struct decided_answer decision;
};

int logger_init(struct logger *l, struct queue *queue, struct bell *ingress,
		unsigned sources)
{
	unsigned i;
	int err;

	BUG_ON(sources > LOGGER_SOURCES_MAX);
	*l = (struct logger){ .queue = queue, .source_count = sources };
	l->bell.fd = -1;
	histo_init(&l->sync_us, &meter_sync_us);
	histo_init(&l->group_records, &meter_count);
	histo_init(&l->group_bytes, &meter_bytes);
	l->group = calloc(1, sizeof(*l->group));
	if (l->group == NULL)
		return -ENOMEM;
	err = bell_init(&l->bell);
	if (err == 0)
		err = lane_init(&l->from_ingress, 4u << 20, ingress, &l->bell);
	if (err == 0) /* room for an answer to every request */
		err = lane_init(&l->to_ingress, ANSWER_BYTES, &l->bell,
				ingress);
	if (err == 0)
		err = lane_init(&l->moves, MOVES_BYTES, NULL, &l->bell);
	for (i = 0; i < sources && err == 0; i++)
		err = lane_init(&l->sources[i].lane, 8 * LOGGER_OUT_MAX, NULL,
				&l->bell);
	return err;
}

int logger_connect_control(struct logger *l, struct bell *control)
{
	int err = lane_init(&l->from_control, 1024, control, &l->bell);

	if (err < 0)
		return err;
	return lane_init(&l->to_control, 1024, &l->bell, control);
}

void logger_free(struct logger *l)
{
	unsigned i;

	lane_free(&l->from_control);
	lane_free(&l->to_control);
	lane_free(&l->from_ingress);
	lane_free(&l->to_ingress);
	for (i = 0; i < l->source_count; i++)
		lane_free(&l->sources[i].lane);
	lane_free(&l->moves);
	bell_free(&l->bell);
	free(l->group);
	l->group = NULL;
}

static bool group_full(const struct logger *l)
{
	return l->group->answer_count == GROUP_ANSWERS_MAX ||
	       queue_staged(l->queue) >= GROUP_BYTES_MAX;
}

/* False: the group is full. */
static bool gather_source(struct logger *l, struct logger_source *s)
{
	struct queue_out out;
	const void *p;
	size_t len;
	int err;

	while ((p = lane_peek(&s->lane, &len)) != NULL) {
		out_wire_get(p, l->group->rcpts, QUEUE_RCPTS_MAX, &out);
		err = queue_put_out(l->queue, &out);
		if (err == -EAGAIN)
			return false;
		BUG_ON(err == -EINVAL || err == -EMSGSIZE);
		if (err < 0) {
			atomic_store(&l->failed, err);
			return true;
		}
		lane_consume(&s->lane);
		s->staged++;
		l->group->out_count++;
	}
	return true;
}

/* Every request is answered here, once. */
static void answer(struct logger *l, const struct put_request *req, uint64_t id,
		   int err)
{
	struct logger_group *g = l->group;

	BUG_ON(g->answer_count == GROUP_ANSWERS_MAX);
	g->answers[g->answer_count++] = (struct put_answer){
		.cookie = req->cookie, .id = err < 0 ? 0 : id, .err = err
	};
	if (err < 0 && err != -EMSGSIZE && err != -EINVAL)
		req->gate->shut = err;
}

/* At most QUEUE_PART_MAX octets of the content from `at` on.  Returns how
 * many; *count_r pieces of them are in iov, which has room for all. */
static size_t slice(const struct queue_message *msg, uint64_t at,
		    struct iovec *iov, int *count_r)
{
	size_t left = QUEUE_PART_MAX, len;
	int i, n = 0;

	for (i = 0; i < msg->content_count && left > 0; i++) {
		struct iovec v = msg->content[i];

		if (at >= v.iov_len) {
			at -= v.iov_len;
			continue;
		}
		len = v.iov_len - at < left ? v.iov_len - at : left;
		if (n == LARGE_PIECES_MAX)
			break;
		iov[n++] = (struct iovec){ (char *)v.iov_base + at, len };
		left -= len;
		at = 0;
	}
	*count_r = n;
	return QUEUE_PART_MAX - left;
}

/* Put parts of the large message; 0 when it is whole or was refused, -EAGAIN
 * when the group is full. */
static int put_parts(struct logger *l)
{
	struct logger_group *g = l->group;
	const struct queue_message *msg = g->large.msg;
	struct iovec iov[LARGE_PIECES_MAX];
	size_t len;
	int n, err = 0;

	if (group_full(l))
		return -EAGAIN;
	while (err == 0 && g->large_at < msg->size) {
		if (group_full(l))
			return -EAGAIN;
		len = slice(msg, g->large_at, iov, &n);
		BUG_ON(len == 0);
		err = queue_put_part(l->queue, g->large_id, g->large_at, iov,
				     n);
		if (err == 0)
			g->large_at += len;
	}
	if (err == -EAGAIN)
		return err;
	if (err < 0 && queue_put_abandon(l->queue, g->large_id) == -EAGAIN)
		return -EAGAIN; /* the part is tried again first: as it was */
	answer(l, &g->large, g->large_id, err);
	g->large.msg = NULL;
	return 0;
}

static int put_large(struct logger *l, const struct put_request *req)
{
	struct logger_group *g = l->group;
	struct queue_message first = *req->msg;
	struct iovec iov[LARGE_PIECES_MAX];
	size_t len = slice(req->msg, 0, iov, &first.content_count);
	int err;

	first.content = iov;
	err = queue_put_message(l->queue, &first, &g->large_id);
	if (err < 0)
		return err;
	g->large = *req;
	g->large_at = len;
	return 0;
}

/* One request: 0 when it was taken out of its lane. */
static int put_request(struct logger *l, const struct put_request *req)
{
	uint64_t id = 0;
	int err;

	if (req->gate->shut < 0) {
		answer(l, req, 0, req->gate->shut);
		return 0;
	}
	if (req->msg->size > QUEUE_PART_MAX) {
		err = put_large(l, req);
		if (err == 0)
			return 0;
	} else {
		err = queue_put_message(l->queue, req->msg, &id);
	}
	if (err == -EAGAIN)
		return err;
	answer(l, req, id, err);
	return 0;
}

/* False: the group is full. */
static bool gather_messages(struct logger *l)
{
	const struct put_request *req;
	size_t len;

	for (;;) {
		if (l->group->large.msg != NULL && put_parts(l) < 0)
			return false;
		req = lane_peek(&l->from_ingress, &len);
		if (req == NULL)
			return true;
		if (group_full(l) || put_request(l, req) < 0)
			return false;
		lane_consume(&l->from_ingress);
	}
}

/* False: the group is full. */
static bool gather_decision(struct logger *l)
{
	const struct queue_decision *const *dec;
	struct logger_group *g = l->group;
	size_t len;
	int err;

	if (l->from_control.ring == NULL || g->decided)
		return true;
	dec = lane_peek(&l->from_control, &len);
	if (dec == NULL)
		return true;
	g->decision.lsn = 0;
	err = queue_put_decision(l->queue, *dec, &g->decision.lsn);
	if (err == -EAGAIN)
		return false;
	g->decision.err = err;
	g->decided = true;
	lane_consume(&l->from_control);
	return true;
}

/* Behind the mail, and little of it: a group is not to take much longer. */
static void gather_moves(struct logger *l)
{
	size_t before = queue_staged(l->queue), len;
	const struct move_wire *m;
	struct queue_move move;
	int err = 0;

	while (err == 0 && queue_staged(l->queue) - before < GROUP_MOVES_MAX &&
	       !group_full(l) && (m = lane_peek(&l->moves, &len)) != NULL) {
		move = m->move;
		move.tasks.p = m->tasks;
		err = queue_put_move(l->queue, &move);
		if (err == 0)
			lane_consume(&l->moves);
	}
	if (err < 0 && err != -EAGAIN)
		atomic_store(&l->failed, err);
}

/* False: the group is full. */
static bool gather(struct logger *l)
{
	bool room;
	unsigned i;

	if (!gather_decision(l))
		return false;
	for (i = 0; i < l->source_count; i++)
		if (!gather_source(l, &l->sources[i]))
			return false;
	room = gather_messages(l);
	gather_moves(l);
	return room;
}

static void tell_answers(struct logger *l, const struct queue_committed *done,
			 int err)
{
	struct logger_group *g = l->group;
	struct put_answer *to;
	unsigned i;

	for (i = 0; i < g->answer_count; i++) {
		to = mring_reserve(l->to_ingress.ring, sizeof(*to));
		/* ingress keeps to LOGGER_REQUESTS_MAX */
		BUG_ON(to == NULL);
		*to = g->answers[i];
		if (err < 0 && to->err == 0)
			*to = (struct put_answer){ to->cookie, 0, err };
		if (to->err == 0)
			to->id = queue_lsn_final(done, to->id);
		mring_publish(l->to_ingress.ring);
	}
	if (g->answer_count > 0)
		bell_ring(l->to_ingress.to);
	g->answer_count = 0;
}

static void tell_control(struct logger *l, const struct queue_committed *done,
			 int err)
{
	struct logger_group *g = l->group;
	struct decided_answer *to;

	if (!g->decided)
		return;
	g->decided = false;
	to = lane_reserve(&l->to_control, sizeof(*to));
	BUG_ON(to == NULL); /* control has one decision out at a time */
	*to = g->decision;
	if (err < 0 && to->err == 0)
		to->err = err;
	if (to->err == 0)
		to->lsn = queue_lsn_final(done, to->lsn);
	lane_publish(&l->to_control);
}

static void tell_sources(struct logger *l)
{
	unsigned i;

	for (i = 0; i < l->source_count; i++) {
		struct logger_source *s = &l->sources[i];

		if (s->staged ==
		    atomic_load_explicit(&s->durable, memory_order_relaxed))
			continue;
		atomic_store(&s->durable, s->staged);
		if (atomic_exchange(&s->waits, false))
			bell_ring(s->owner);
	}
}

static void count_group(struct logger *l, size_t bytes)
{
	struct logger_group *g = l->group;

	if (bytes > 0) {
		histo_observe(&l->group_records,
			      g->out_count + g->answer_count + g->decided);
		histo_observe(&l->group_bytes, bytes);
	}
	g->out_count = 0;
}

/* Is more coming for this group?  Asked before the lanes are looked at: what
 * came until then has been seen.  Whoever promises it again and again holds a
 * group no longer than LOGGER_PROMISE_MS. */
static bool more_comes(struct logger *l)
{
	struct logger_group *g = l->group;
	uint64_t until, now;

	if (atomic_load(&l->coming))
		return true;
	until = atomic_load(&l->promised_until_ms);
	if (until == 0)
		return false;
	now = clock_now_ms();
	if (g->waits_since_ms == 0)
		g->waits_since_ms = now;
	return now < until && now - g->waits_since_ms < LOGGER_PROMISE_MS;
}

/* Does a small group wait for it? */
static bool group_waits(struct logger *l, bool more, bool room)
{
	return more && room && queue_staged(l->queue) < GROUP_WAITS_MAX &&
	       atomic_load(&l->failed) == 0;
}

/* Returns whether anything was done. */
static bool turn(struct logger *l)
{
	struct queue_committed done = { .durable = 0 };
	bool more = more_comes(l);
	size_t bytes;
	int err = 0;

	if (group_waits(l, more, gather(l))) {
		queue_write_early(l->queue);
		return false;
	}
	l->group->waits_since_ms = 0;
	if (queue_staged(l->queue) == 0 && l->group->answer_count == 0 &&
	    !l->group->decided)
		return false;
	bytes = queue_staged(l->queue);
	if (bytes > 0)
		err = queue_commit(l->queue, &done);
	count_group(l, bytes);
	if (err < 0)
		atomic_store(&l->failed, err);
	tell_answers(l, &done, err);
	tell_control(l, &done, err);
	if (l->group->large.msg != NULL)
		l->group->large_id = queue_lsn_final(&done, l->group->large_id);
	if (err < 0)
		return false;
	tell_sources(l);
	bell_remind(l->followers[0]);
	bell_remind(l->followers[1]);
	return true;
}

static void settle(struct logger *l)
{
	unsigned i;

	lane_settle(&l->from_ingress);
	lane_settle(&l->moves);
	for (i = 0; i < l->source_count; i++)
		lane_settle(&l->sources[i].lane);
}

/* --- when the queue has failed for good ------------------------------------ */

/* Nobody may wait for an answer that cannot come: what is asked for is
 * refused.  Outcomes are let go; the next life repeats their mails. */
static bool refuse_turn(struct logger *l, int err)
{
	struct queue_committed none = { .durable = 0 };
	const struct put_request *req;
	struct logger_group *g = l->group;
	bool any = false;
	unsigned i;
	size_t len;

	for (i = 0; i < l->source_count; i++)
		for (; lane_peek(&l->sources[i].lane, &len) != NULL; any = true)
			lane_consume(&l->sources[i].lane);
	for (; lane_peek(&l->moves, &len) != NULL; any = true)
		lane_consume(&l->moves);
	if (g->large.msg != NULL)
		answer(l, &g->large, 0, err);
	g->large.msg = NULL;
	while (g->answer_count < GROUP_ANSWERS_MAX &&
	       (req = lane_peek(&l->from_ingress, &len)) != NULL) {
		answer(l, req, 0, err);
		lane_consume(&l->from_ingress);
	}
	if (l->from_control.ring != NULL &&
	    lane_peek(&l->from_control, &len) != NULL) {
		lane_consume(&l->from_control);
		g->decision = (struct decided_answer){ .err = err };
		g->decided = true;
	}
	any = any || g->answer_count > 0 || g->decided;
	tell_answers(l, &none, err);
	tell_control(l, &none, err);
	return any;
}

static void refuse_until_stopped(struct logger *l)
{
	int err = atomic_load(&l->failed);

	bell_ring(l->control);
	while (!atomic_load(&l->stop)) {
		if (refuse_turn(l, err))
			continue;
		bell_doze(&l->bell);
		settle(l);
		if (refuse_turn(l, err))
			bell_awake(&l->bell);
		else
			bell_wait(&l->bell, 1000);
	}
	refuse_turn(l, err);
}

int logger_turn(struct logger *l)
{
	if (turn(l) || atomic_load(&l->failed) != 0)
		return 0;
	bell_doze(&l->bell);
	settle(l);
	if (!turn(l))
		return queue_staged(l->queue) > 0 ? 1 : 1000;
	bell_awake(&l->bell);
	return 0;
}

static void *logger_main(void *arg)
{
	struct logger *l = arg;
	bool stop = false;
	int wait = 0;

	disk_time_here(&l->sync_us, &l->sync_since_us);
	while (atomic_load(&l->failed) == 0) {
		/* Asked first: what the senders left came before it. */
		stop = atomic_load(&l->stop);
		wait = logger_turn(l);
		if (wait > 0 && stop)
			break;
		if (wait > 0 && atomic_load(&l->failed) == 0)
			bell_wait(&l->bell, wait);
	}
	if (atomic_load(&l->failed) != 0)
		refuse_until_stopped(l);
	return NULL;
}

int logger_start(struct logger *l)
{
	return thread_start(&l->thread, "log", logger_main, l);
}

void logger_stop(struct logger *l)
{
	atomic_store(&l->stop, true);
	bell_ring(&l->bell);
	pthread_join(l->thread, NULL);
}
