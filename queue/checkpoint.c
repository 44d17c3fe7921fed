/*
 * queue/checkpoint.c - the index is told what has changed
 *
 *	TAKE      tasks that are dirty and old enough; all tombs
 *	MOVED     where messages lie that compaction has moved
 *	PUT       their rows where there is none, in bounded transactions,
 *		  each in key order; with the last of a queue's its tombs' rows
 *		  out, for the most part out of the same pages
 *	SHRINK    their rows where there is one, which held more recipients
 *	DELETE    the tombs' rows that are left
 *	SUBMISSIONS, DECISIONS
 *	WHOLE     checkpoint_lsn moves
 *
 * A recipient leaves a row, and a row goes, only in or after the transaction
 * that wrote the recipient's next row: a crash in between leaves both,
 * checkpoint_lsn is the old one, and replay walks from the old row to the new.
 * Who leaves a row stays in its queue: when nothing of a queue is left to be
 * written (line->unwritten), its tombs' rows can go.  What is written is the
 * task as it is now, later outcomes included: replaying those finds nothing to
 * do.
 *
 * Mail keeps moving meanwhile.  A task that changes after its row was put is
 * dirty again with a row of unknown fate; the next checkpoint sees to it.
 */
#include "queue/decide.h"
#include "queue/idem.h"
#include "queue/order.h"
#include "queue/store.h"

#include <errno.h>
#include <stdlib.h>

#define RETRY_S 10 /* after a failure */

/* --- when, and up to where --------------------------------------------------------- */

static uint64_t changes(const struct queue_store *s)
{
	return s->delta.dirty_count + s->delta.tomb_count;
}

/* What may be covered: nothing younger than age_s, no message whose parts are
 * still coming.  Young mail is left out because most of it will have gone
 * before it must be written; with so many changes it costs memory instead. */
static uint64_t cover(struct queue *q, uint32_t now_s)
{
	struct queue_store *s = q->store;
	uint64_t lsn = index_meta(s->index)->checkpoint_lsn;
	const struct partial *first;
	uint32_t i;

	for (i = 0; i < s->mark_count; i++) {
		const struct store_mark *m =
			&s->marks[(s->mark_first + i) % STORE_MARKS];

		if (m->at_s + q->set.checkpoint_age_s <= now_s && m->lsn > lsn)
			lsn = m->lsn;
	}
	if ((s->checkpoint.all ||
	     changes(s) >= UINT64_C(2) * q->set.checkpoint_deltas) &&
	    queue_walk_lsn(s->walk) > lsn)
		lsn = queue_walk_lsn(s->walk);
	/* (What is made anew is never replayed upon.) */
	if (!s->rebuilding && !list_empty(&s->partials)) {
		first = CONTAINER_OF(s->partials.next, struct partial, link);
		if (first->id < lsn)
			lsn = first->id;
	}
	return lsn;
}

static bool wanted(const struct queue *q, uint32_t now_s)
{
	const struct queue_store *s = q->store;
	uint64_t bytes =
		queue_walk_lsn(s->walk) - index_meta(s->index)->checkpoint_lsn;

	if (s->checkpoint.all)
		return true;
	if (now_s < s->checkpoint.not_before_s)
		return false;
	return now_s >= s->checkpoint.began_s + q->set.checkpoint_s ||
	       bytes >= q->set.checkpoint_log_bytes ||
	       changes(s) >= q->set.checkpoint_deltas;
}

uint32_t checkpoint_wake_s(const struct queue *q)
{
	const struct checkpoint *c = &q->store->checkpoint;
	uint32_t wake_s = c->began_s + q->set.checkpoint_s;

	if (q->store->freeing_busy && q->store->free_s < wake_s)
		wake_s = q->store->free_s;
	return wake_s > c->not_before_s ? wake_s : c->not_before_s;
}

/* --- in order ----------------------------------------------------------------------- */

static int cmp_u64(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

/* By line, so that rows of one queue come together; gaps last. */
static int cmp_tasks(const void *pa, const void *pb)
{
	const struct task *a = *(struct task *const *)pa;
	const struct task *b = *(struct task *const *)pb;
	int by;

	if (a == NULL || b == NULL)
		return (a == NULL) - (b == NULL);
	by = cmp_u64(order_line(a->line), order_line(b->line));
	if (by == 0)
		by = cmp_u64(a->slot, b->slot);
	return by != 0 ? by : cmp_u64(a->id, b->id);
}

static int cmp_tombs(const void *pa, const void *pb)
{
	const struct tomb *a = *(struct tomb *const *)pa;
	const struct tomb *b = *(struct tomb *const *)pb;

	if (a == NULL || b == NULL)
		return (a == NULL) - (b == NULL);
	return index_key_cmp(&a->key, &b->key);
}

/* Whoever goes early leaves a gap. */
static void skip_gaps(struct queue_store *s, size_t count)
{
	struct checkpoint *c = &s->checkpoint;

	if (c->stage == CHECKPOINT_DELETE)
		while (c->at < count && s->delta.taken_tombs[c->at] == NULL)
			c->at++;
	else
		while (c->at < count && s->delta.taken_tasks[c->at] == NULL)
			c->at++;
	c->from = c->sorted = c->at;
}

static void sort_run(struct queue_store *s, size_t count)
{
	struct checkpoint *c = &s->checkpoint;
	bool puts = c->stage != CHECKPOINT_DELETE;
	struct task **tasks = s->delta.taken_tasks;
	size_t i,
		end = c->at + c->run_rows < count ? c->at + c->run_rows : count;

	c->from = c->at;
	c->sorted = end;
	if (end <= (puts ? c->tasks : c->tombs))
		return; /* as order.c left them */
	if (puts)
		qsort(tasks + c->at, end - c->at, sizeof(struct task *),
		      cmp_tasks);
	else
		qsort(s->delta.taken_tombs + c->at, end - c->at,
		      sizeof(struct tomb *), cmp_tombs);
	for (i = c->at; i < end; i++) {
		if (puts && tasks[i] != NULL)
			tasks[i]->taken = (uint32_t)(i + 1);
		if (!puts && s->delta.taken_tombs[i] != NULL)
			s->delta.taken_tombs[i]->taken = (uint32_t)(i + 1);
	}
}

/* --- what became of a transaction ------------------------------------------------------ */

/* The row is there: memory can forget what nobody works on. */
static int settle_task(struct queue_store *s, struct task *t)
{
	struct line *line = t->line;
	struct index_key key;

	t->taken = 0;
	t->row = ROW_IN;
	if (t->state != TASK_IDLE || t->dec != NULL ||
	    !list_empty(&t->in_early))
		return 0;
	task_key(t, &key);
	delta_task_free(&s->delta, t);
	return delta_line_row(&s->delta, line, &key);
}

static int settle_tasks(struct queue_store *s, size_t from, size_t to)
{
	struct task *t;
	int err = 0;

	for (; err == 0 && from < to; from++) {
		delta_taken_soon(&s->delta, from);
		t = s->delta.taken_tasks[from];
		if (t == NULL || t->dirty)
			continue;
		s->delta.taken_tasks[from] = NULL;
		err = settle_task(s, t);
	}
	return err;
}

static void settle_tombs(struct queue_store *s)
{
	struct checkpoint *c = &s->checkpoint;
	struct tomb *tomb;

	for (; c->tomb_from < c->tomb_at; c->tomb_from++) {
		delta_taken_tomb_soon(&s->delta, c->tomb_from);
		tomb = s->delta.taken_tombs[c->tomb_from];
		if (tomb != NULL && tomb->gone)
			delta_tomb_free(&s->delta, tomb);
	}
}

static int settle(struct queue_store *s)
{
	struct checkpoint *c = &s->checkpoint;
	size_t from = c->from;
	int err = 0;

	c->from = c->at;
	if (c->stage != CHECKPOINT_DELETE) {
		settle_tombs(s);
		err = settle_tasks(s, from, c->at);
		if (err == 0 && c->stage == CHECKPOINT_SHRINK)
			err = settle_tasks(s, c->limit, c->heirs);
		return err;
	}
	for (; from < c->at; from++) {
		delta_taken_tomb_soon(&s->delta, from);
		if (s->delta.taken_tombs[from] != NULL)
			delta_tomb_free(&s->delta, s->delta.taken_tombs[from]);
	}
	return 0;
}

void checkpoint_free(struct queue_store *s)
{
	s->delta.taken_tomb_count = s->delta.taken_count = 0;
	s->checkpoint.at = s->checkpoint.from = s->checkpoint.sorted = 0;
	s->checkpoint.tasks = s->checkpoint.tombs = 0;
	s->checkpoint.tomb_at = s->checkpoint.tomb_from = 0;
	s->checkpoint.stage = CHECKPOINT_NONE;
	s->delta.spoiled = false;
}

/* Everything that no transaction has settled is as before. */
static void let_go(struct queue_store *s)
{
	struct tomb *tomb;
	struct task *t;
	size_t i;

	for (i = 0; i < s->delta.taken_count; i++) {
		t = s->delta.taken_tasks[i];
		if (t == NULL || t->taken == 0)
			continue;
		delta_untake(&s->delta, t);
		delta_task_dirty(&s->delta, t);
	}
	for (i = 0; i < s->delta.taken_tomb_count; i++) {
		tomb = s->delta.taken_tombs[i];
		if (tomb == NULL)
			continue;
		tomb->taken = 0;
		tomb->gone = false;
		list_add_tail(&s->delta.tomb_list, &tomb->link);
	}
	idem_settle(s, false);
	decide_settle(s, false);
	moved_settle(s, false);
	checkpoint_free(s);
}

static void abandon(struct queue_store *s)
{
	index_abort(s->index);
	let_go(s);
	delta_lines_unnumber(&s->delta, index_meta(s->index)->queue_next);
	s->checkpoint.all = false;
}

/* The index said no.  The log has it all; try again in a while. */
static int fail(struct queue_store *s, uint32_t now_s, int err)
{
	abandon(s);
	s->checkpoint.not_before_s = now_s + RETRY_S;
	return err;
}

static int commit(struct queue_store *s)
{
	bool unsure;
	int err = 0;

	if (index_writing(s->index))
		err = index_commit(s->index, &unsure);
	/* When unsure the rows put keep ROW_MAYBE, and tombs stay. */
	return err < 0 ? err : settle(s);
}

/* --- the stages ----------------------------------------------------------------------- */

static int put_task(struct queue_store *s, struct task *t)
{
	struct index_row row;
	uint32_t number;
	int err;

	if (t->line->number == 0) {
		err = index_queue_put(
			s->index, span_of(t->line->words, t->line->words_len),
			&number);
		if (err == 0)
			err = delta_line_number(&s->delta, t->line, number);
		if (err < 0)
			return err;
	}
	task_row(t, &row);
	err = index_put(s->index, &row);
	if (err < 0)
		return err;
	t->row = ROW_MAYBE; /* until it is committed */
	s->checkpoint.queue = row.key.queue;
	delta_task_clean(&s->delta, t);
	return 0;
}

/*
 * Behind a run of PUT: the rows of tombs up to the queue that it came to.  A
 * page whose rows move to later slots is written once so and not twice.  1:
 * there is more for this transaction; 0: no more.
 */
static int tombs_step(struct queue_store *s, size_t tasks)
{
	struct checkpoint *c = &s->checkpoint;
	size_t i, end = c->tomb_from + c->run_rows;
	struct tomb *tomb;
	bool ripe;
	int err = 0;

	if (c->stage != CHECKPOINT_PUT || c->at == c->from)
		return 0;
	end = end < c->tombs ? end : c->tombs;
	for (i = 0; err == 0 && i < c->step_rows; i++, c->tomb_at++) {
		if (c->tomb_at == end)
			return 0;
		tomb = s->delta.taken_tombs[c->tomb_at];
		if (tomb == NULL)
			continue;
		ripe = delta_tomb_ripe(&s->delta, tomb);
		if (c->at < tasks && (tomb->key.queue > c->queue ||
				      (tomb->key.queue == c->queue && !ripe)))
			return 0;
		if (!ripe)
			continue; /* DELETE sees to it */
		tomb->gone = true;
		err = index_del(s->index, &tomb->key);
	}
	return err < 0 ? err : 1;
}

/* One entry of this stage. */
static int row_step(struct queue_store *s, size_t at)
{
	struct checkpoint *c = &s->checkpoint;
	struct task *t;

	if (c->stage == CHECKPOINT_DELETE)
		return s->delta.taken_tombs[at] == NULL
			       ? 0
			       : index_del(s->index,
					   &s->delta.taken_tombs[at]->key);
	delta_taken_soon(&s->delta, at);
	t = s->delta.taken_tasks[at];
	if (t == NULL || !t->dirty ||
	    (c->stage == CHECKPOINT_PUT && t->row != ROW_NEVER))
		return 0;
	return put_task(s, t);
}

static size_t stage_rows(const struct queue_store *s)
{
	const struct checkpoint *c = &s->checkpoint;

	if (c->stage == CHECKPOINT_PUT)
		return s->delta.taken_count; /* heirs join at the end */
	return c->stage == CHECKPOINT_SHRINK ? c->limit
					     : s->delta.taken_tomb_count;
}

/* Of the last that SHRINK was to write, perhaps. */
static bool heirs_wait(const struct queue_store *s)
{
	return s->checkpoint.stage == CHECKPOINT_SHRINK &&
	       s->checkpoint.heirs < s->delta.taken_count;
}

static int rows_step(struct queue_store *s)
{
	struct checkpoint *c = &s->checkpoint;
	size_t end, count = stage_rows(s);
	int err = 0;

	if (c->at == c->sorted) {
		err = tombs_step(s, count);
		if (err != 0)
			return err;
		err = commit(s);
		skip_gaps(s, count);
		if (err < 0 || (c->at == count && !heirs_wait(s)))
			return err;
		sort_run(s, count);
		err = index_begin(s->index, c->lsn);
	}
	/* What has left a row goes in before the row is written over. */
	while (err == 0 && heirs_wait(s))
		err = row_step(s, c->heirs++);
	end = c->at + c->step_rows < c->sorted ? c->at + c->step_rows
					       : c->sorted;
	for (; err == 0 && c->at < end; c->at++)
		err = row_step(s, c->at);
	return err < 0 ? err : 1;
}

static int whole(struct queue *q, uint32_t now_s)
{
	struct queue_store *s = q->store;
	uint64_t cursor = queue_cursor_lowest(q);
	int err = 0;
	bool unsure;

	if (!index_writing(s->index))
		err = index_begin(s->index, s->checkpoint.lsn);
	if (err < 0)
		return err;
	index_whole(s->index, s->checkpoint.lsn, cursor, now_s);
	err = index_commit(s->index, &unsure);
	if (err < 0)
		return err;
	idem_settle(s, true);
	decide_settle(s, true);
	moved_settle(s, true);
	compact_look(s);
	s->checkpoint.done_cursor = cursor;
	s->checkpoint.whole++;
	s->checkpoint.all = false;
	checkpoint_free(s);
	s->freeing = true;
	s->free_at = 0;
	return 0;
}

static int begin(struct queue *q, uint32_t now_s)
{
	struct queue_store *s = q->store;
	struct checkpoint *c = &s->checkpoint;
	int err;

	c->lsn = cover(q, now_s);
	c->began_s = now_s;
	if (c->lsn == index_meta(s->index)->checkpoint_lsn) {
		/* Nothing old enough: soon again when there is much.  Rows put
		 * now would be unknown to a replay (reached_lsn). */
		c->not_before_s = now_s + 1;
		c->all = false;
		if (queue_cursor_lowest(q) == c->done_cursor)
			return 0;
		c->stage = CHECKPOINT_SUBMISSIONS;
		return 1;
	}
	c->stage = CHECKPOINT_TAKE;
	err = order_take_tasks(&s->delta, c->lsn);
	if (err == 0)
		err = order_take_tombs(&s->delta);
	if (err < 0)
		return err;
	c->tasks = s->delta.taken_count;
	c->tombs = s->delta.taken_tomb_count;
	c->queue = 0;
	c->stage = CHECKPOINT_MOVED;
	return 1;
}

/* 0: this stage is done. */
static int stage_step(struct queue *q, uint32_t now_s)
{
	struct queue_store *s = q->store;

	switch (s->checkpoint.stage) {
	case CHECKPOINT_MOVED:
		return moved_checkpoint(s);
	case CHECKPOINT_PUT:
	case CHECKPOINT_SHRINK:
	case CHECKPOINT_DELETE:
		return rows_step(s);
	case CHECKPOINT_SUBMISSIONS:
		return idem_checkpoint(s, now_s);
	case CHECKPOINT_DECISIONS:
		return decide_checkpoint(s, s->checkpoint.lsn);
	case CHECKPOINT_WHOLE:
		return whole(q, now_s);
	case CHECKPOINT_NONE:
	case CHECKPOINT_TAKE:
		break;
	}
	BUG_ON(true);
}

int checkpoint_work(struct queue *q, uint32_t now_s)
{
	struct checkpoint *c = &q->store->checkpoint;
	enum checkpoint_stage stage;
	int rc;

	if (c->stage == CHECKPOINT_NONE) {
		if (!wanted(q, now_s))
			return 0;
		rc = begin(q, now_s);
		return rc < 0 ? fail(q->store, now_s, rc) : rc;
	}
	if (q->store->delta.spoiled) {
		fail(q->store, now_s, 0);
		return 1;
	}
	stage = c->stage;
	rc = stage_step(q, now_s);
	if (rc < 0)
		return fail(q->store, now_s, rc);
	if (rc == 0 && stage != CHECKPOINT_WHOLE) {
		c->stage = stage + 1;
		c->at = c->from = c->sorted = 0;
		c->limit = c->heirs = q->store->delta.taken_count;
	}
	return 1;
}

int queue_store_checkpoint(struct queue *q, uint32_t now_s)
{
	struct checkpoint *c = &q->store->checkpoint;
	int rc = 1;

	while (rc > 0 && c->stage != CHECKPOINT_NONE)
		rc = checkpoint_work(q, now_s); /* the one under way */
	c->all = true;
	while (rc >= 0 && (c->all || c->stage != CHECKPOINT_NONE))
		rc = checkpoint_work(q, now_s);
	return rc < 0 ? rc : 0;
}

/* --- freeing --------------------------------------------------------------------------- */

/* Could the segment be let go of?  1: it is to be asked again. */
static int free_one(struct queue *q, const struct queue_segment *seg)
{
	struct queue_store *s = q->store;
	uint64_t open;
	int err;

	if (seg->active || seg->damaged ||
	    seg->end > index_meta(s->index)->checkpoint_lsn)
		return 0;
	err = index_segment_open(s->index, seg->sequence, &open);
	if (err < 0 || open > 0)
		return err;
	/* Who moved into it is over or has moved on. */
	err = moved_forget(s, seg->first, seg->end);
	if (err > 0)
		return 1;
	if (err == 0)
		err = queue_segment_free(q, seg->sequence);
	if (err == -EBUSY)
		s->freeing_busy = true;
	if (err == 0)
		compact_freed(s, seg->sequence);
	return err == -EBUSY || err == -EUCLEAN || err == -ENOENT ? 0 : err;
}

int freeing_work(struct queue *q, uint32_t now_s)
{
	struct queue_store *s = q->store;
	struct queue_segment seg;
	int i, err;

	if (s->freeing_busy && !s->freeing && now_s >= s->free_s) {
		s->freeing = true;
		s->free_at = 0;
	}
	if (!s->freeing)
		return 0;
	if (s->free_at == 0)
		s->freeing_busy = false;
	for (i = 0; i < 32; i++) {
		if (queue_segment_next(q, s->free_at, &seg) == 0) {
			s->freeing = false;
			s->free_s = now_s + 1;
			return 0;
		}
		err = free_one(q, &seg);
		if (err != 0)
			return err;
		s->free_at = seg.sequence + 1;
	}
	return 1;
}

void queue_store_leave(struct queue *q)
{
	if (index_writing(q->store->index))
		abandon(q->store);
}
