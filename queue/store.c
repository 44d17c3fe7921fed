/*
 * queue/store.c - the store half: open, follow the log, give tasks
 *
 * The same code follows the log while mail comes in and replays it after a
 * crash.  Applying a record twice changes nothing: an outcome finds its
 * recipients by the slot they were in, and a recipient that has moved on or
 * is gone is not found there.  (A recipient that comes back to a slot it was
 * in before walks the same way again, to the same end.)
 */
#include "queue/compact.h"
#include "queue/decide.h"

#include "queue/bits.h"
#include "queue/idem.h"

#include <errno.h>
#include <stdlib.h>

#define APPLY_RECORDS 8192 /* a call */

/* --- lines --------------------------------------------------------------------- */

/*
 * A queue that is in the index.  While the log is replayed its rows are not
 * looked at: a page of each of 50,000 queues, read one by one, would keep all
 * mail waiting.  They count as due, and are looked at in their turn.
 */
static int line_known(struct queue_store *s, struct line *line, uint32_t number)
{
	struct index_key from = { .queue = number };
	uint32_t count;
	int err;

	err = delta_line_number(&s->delta, line, number);
	if (err == 0 && s->opening) {
		line->next_slot = s->delta.now_s;
		return delta_line_ready(&s->delta, line);
	}
	if (err == 0)
		err = index_scan(s->index, &from, s->rows, 1, &count);
	if (err < 0 || count == 0 || s->rows[0].key.queue != number)
		return err;
	return delta_line_row(&s->delta, line, &s->rows[0].key);
}

void store_lines_drop(struct queue_store *s)
{
	struct line *line;

	while (!s->keep_lines && s->delta.line_count >= s->lines_max &&
	       !list_empty(&s->delta.idle)) {
		line = CONTAINER_OF(s->delta.idle.next, struct line, in_idle);
		if (line->next_slot < s->outside_slot)
			s->outside_slot = line->next_slot;
		delta_line_free(&s->delta, line);
	}
}

static int line_add(struct queue_store *s, struct span words, uint32_t number,
		    struct line **line_r)
{
	struct line *line;
	int err = 0;

	store_lines_drop(s);
	line = delta_line_add(&s->delta, words);
	if (line == NULL)
		return -ENOMEM;
	line->paused = decide_paused(s, line);
	if (number != 0)
		err = line_known(s, line, number);
	if (err < 0) {
		delta_line_free(&s->delta, line);
		return err;
	}
	*line_r = line;
	return 0;
}

int store_line(struct queue_store *s, struct span words, struct line **line_r)
{
	struct line *line = delta_line_find(&s->delta, words);
	uint32_t number = 0;
	int err;

	if (line == NULL) {
		err = index_queue_find(s->index, words, &number);
		if (err < 0 && err != -ENOENT)
			return err;
		return line_add(s, words, number, line_r);
	}
	*line_r = line;
	return 0;
}

int store_line_numbered(struct queue_store *s, uint32_t number,
			struct line **line_r)
{
	struct line *line = delta_line_numbered(&s->delta, number);
	char words[LINE_WORDS_MAX];
	size_t len;
	int err;

	if (line == NULL) {
		err = index_queue_words(s->index, number, words, sizeof(words),
					&len);
		if (err < 0)
			return err;
		line = delta_line_find(&s->delta, span_of(words, len));
		if (line == NULL)
			return line_add(s, span_of(words, len), number, line_r);
		err = line_known(s, line, number);
		if (err < 0)
			return err;
	}
	*line_r = line;
	return 0;
}

/* --- rows and tasks ------------------------------------------------------------- */

int store_take_row(struct queue_store *s, struct line *line,
		   const struct index_row *row, struct task **task_r)
{
	struct task *t;
	int err;

	if (delta_tomb_has(&s->delta, line, &row->key) ||
	    delta_task_over(&s->delta, line, row) != NULL)
		return 0;
	t = delta_task_new(&s->delta, line, row);
	if (t == NULL)
		return -ENOMEM;
	err = delta_task_known(&s->delta, t);
	if (err < 0)
		return err;
	*task_r = t;
	return 1;
}

int store_find(struct queue_store *s, struct line *line,
	       const struct index_key *key, uint16_t rcpt, struct task **task_r)
{
	struct index_row row;
	struct task *t;
	int err;

	t = delta_task_find(&s->delta, line, key->id, rcpt);
	if (t == NULL && line->number != 0) {
		struct index_key at = { .id = key->id,
					.queue = line->number,
					.slot = key->slot };

		err = index_find(s->index, &at, rcpt, &row);
		if (err == 0)
			err = store_take_row(s, line, &row, &t);
		if (err < 0)
			return err;
	}
	if (t == NULL || t->slot != key->slot || t->state == TASK_COMING)
		return -ENOENT;
	*task_r = t;
	return 0;
}

int store_unload(struct queue_store *s, struct task *t)
{
	int err = delta_task_idle(&s->delta, t);

	return err < 0 || t->dec == NULL ? err : decide_back(s, t);
}

void store_fill(const struct task *t, struct queue_task *task_r)
{
	struct index_row row;

	task_row(t, &row);
	*task_r = (struct queue_task){ .id = t->id,
				       .place = t->place,
				       .queue = t->line->handle,
				       .slot = t->slot,
				       .expires_s = t->expires_s,
				       .flags = t->flags,
				       .first = row.key.group,
				       .span = (uint16_t)bits_end(
					       row.open, QUEUE_OPEN_WORDS),
				       .attempts = t->attempts,
				       .unsure = t->unsure };
	memcpy(task_r->open, row.open, sizeof(row.open));
}

int store_entered(struct queue_store *s, struct task *t)
{
	struct index_key key;
	uint32_t open;
	int err;

	if (!s->delta.replaying || t->row != ROW_MAYBE)
		return 0;
	task_key(t, &key);
	err = index_row_open(s->index, &key, &open);
	if (err == 0)
		delta_task_row_is(&s->delta, t, open);
	return err;
}

/* --- messages ------------------------------------------------------------------- */

int store_arrive(struct queue_store *s, struct list *tasks, uint16_t segments)
{
	struct list *link;
	struct task *t;
	int err = 0;

	while (err == 0 && (link = list_pop(tasks)) != NULL) {
		t = CONTAINER_OF(link, struct task, in_dirty);
		t->segments = segments;
		err = delta_task_arrive(&s->delta, t);
		if (err == 0)
			err = store_entered(s, t);
		if (err == 0)
			err = decide_arrived(s, t);
	}
	return err;
}

static void drop(struct queue_store *s, struct list *tasks)
{
	struct list *link;

	while ((link = list_pop(tasks)) != NULL)
		delta_task_free(&s->delta,
				CONTAINER_OF(link, struct task, in_dirty));
}

int store_make_task(struct rcpt_lines *w, const struct index_row *row,
		    struct list *tasks)
{
	struct queue_store *s = w->q->store;
	char words[LINE_WORDS_MAX];
	struct queue_rcpt rcpt;
	struct line *line;
	struct task *t;
	size_t len;
	int err;

	queue_view_rcpt(w->msg, row->key.group, &rcpt);
	len = line_pack(words, w->msg->tenant, w->msg->campaign, rcpt.domain);
	err = store_line(s, span_of(words, len), &line);
	if (err < 0)
		return err;
	t = delta_task_new(&s->delta, line, row);
	if (t == NULL)
		return -ENOMEM;
	list_add_tail(tasks, &t->in_dirty);
	return 0;
}

/* One task from the recipients first..end-1, all of one domain, and of adopted
 * mail in one state. */
static int make_task(struct queue *q, const struct queue_record *rec,
		     uint32_t first, uint32_t end, struct list *tasks)
{
	const struct queue_view *msg = &rec->msg;
	struct rcpt_lines w = { .q = q, .msg = msg };
	struct index_row row = { .key = { .id = msg->id,
					  .slot = rec->due_s,
					  .group = (uint16_t)first },
				 .expires_s = msg->expires_s,
				 .flags = (uint8_t)msg->flags };
	uint64_t share =
		(rec->end - rec->lsn - rec->content_bytes + msg->size) /
			msg->rcpt_count +
		1;
	struct queue_stand stand;
	uint32_t i;

	if (queue_view_stand(msg, first, &stand)) {
		row.key.slot = stand.slot;
		row.attempts = stand.attempts;
		row.unsure = stand.unsure;
	}
	if (q->store->rebuilding)
		row.key.slot = QUEUE_SLOT_HELD;
	row.share = share > UINT32_MAX ? UINT32_MAX : (uint32_t)share;
	for (i = first; i < end; i++)
		bits_set(row.open, i - first);
	return store_make_task(&w, &row, tasks);
}

/* May both be in one task? */
static bool stand_together(const struct queue_view *msg, uint32_t i, uint32_t j)
{
	struct queue_rcpt a, b;
	struct queue_stand at, bt;

	queue_view_rcpt(msg, i, &a);
	queue_view_rcpt(msg, j, &b);
	if (!span_eq(a.domain, b.domain))
		return false;
	return !queue_view_stand(msg, i, &at) ||
	       !queue_view_stand(msg, j, &bt) ||
	       (at.slot == bt.slot && at.attempts == bt.attempts &&
		at.unsure == bt.unsure);
}

static int make_tasks(struct queue *q, const struct queue_record *rec,
		      struct list *tasks)
{
	uint32_t i, first = 0;
	int err = 0;

	for (i = 1; err == 0 && i <= rec->msg.rcpt_count; i++) {
		if (i < rec->msg.rcpt_count &&
		    stand_together(&rec->msg, first, i))
			continue;
		err = make_task(q, rec, first, i, tasks);
		first = i;
	}
	return err;
}

/*
 * A submission knows a message once it is whole: what a crash or a full disk
 * left in pieces does not exist, and whoever repeats it must not be told that
 * it was taken.
 */
static int apply_message(struct queue *q, const struct queue_record *rec)
{
	struct queue_store *s = q->store;
	struct idem_name name = idem_name_of(rec);
	struct partial *p;
	struct list tasks;
	int err;

	list_init(&tasks);
	err = make_tasks(q, rec, &tasks);
	if (err == 0 && rec->content_bytes >= rec->msg.size) {
		err = idem_note(s, &name, rec->lsn);
		return err < 0 ? err : store_arrive(s, &tasks, 0);
	}
	p = err < 0 ? NULL : calloc(1, sizeof(*p));
	if (p == NULL)
		return err < 0 ? err : -ENOMEM;
	*p = (struct partial){ .id = rec->lsn,
			       .size = rec->msg.size,
			       .got = rec->content_bytes,
			       .segment = queue_segment_of(q, rec->lsn),
			       .name = name };
	list_init(&p->link);
	list_init(&p->tasks);
	while (!list_empty(&tasks))
		list_add_tail(&p->tasks, list_pop(&tasks));
	list_add_tail(&s->partials, &p->link);
	return 0;
}

static void partial_free(struct queue_store *s, struct partial *p)
{
	drop(s, &p->tasks);
	list_del(&p->link);
	free(p->record);
	free(p);
}

uint64_t store_drop_partials(struct queue_store *s)
{
	uint64_t count = 0;

	for (; !list_empty(&s->partials); count++)
		partial_free(s, CONTAINER_OF(s->partials.next, struct partial,
					     link));
	return count;
}

static int apply_part(struct queue *q, const struct queue_record *rec)
{
	struct queue_store *s = q->store;
	struct partial *p = NULL;
	uint64_t segments;
	int err = 0;

	LIST_FOR_EACH (at, &s->partials) {
		p = CONTAINER_OF(at, struct partial, link);
		if (p->id == rec->part.id)
			break;
		p = NULL;
	}
	if (p == NULL)
		return 0; /* its beginning was damaged */
	p->got += rec->part.length;
	p->bytes += rec->end - rec->lsn;
	p->segment = queue_segment_of(q, rec->lsn);
	if (!rec->part.abandoned && p->got < p->size)
		return 0;
	segments = p->segment - queue_segment_of(q, p->id);
	if (p->record != NULL) {
		if (rec->part.abandoned)
			compact_answered(q, p->moved, 0, -EIO);
		else
			err = moved_whole(q, p);
		partial_free(s, p);
		return err;
	}
	if (!rec->part.abandoned)
		err = idem_note(s, &p->name, p->id);
	if (!rec->part.abandoned && err == 0)
		err = store_arrive(s, &p->tasks,
				   segments > UINT16_MAX ? UINT16_MAX
							 : (uint16_t)segments);
	partial_free(s, p);
	return err;
}

/* --- outcomes ------------------------------------------------------------------- */

static bool is_final(uint8_t state)
{
	return state >= QUEUE_DELIVERED;
}

static uint32_t slot_of(const struct queue_store *s,
			const struct queue_out_rcpt *r)
{
	if (s->rebuilding || r->state == QUEUE_HELD)
		return QUEUE_SLOT_HELD;
	return r->state == QUEUE_DAMAGED ? QUEUE_SLOT_DAMAGED : r->due_s;
}

/* Do both go the same way? */
static bool alike(const struct queue_store *s, const struct queue_out_rcpt *a,
		  const struct queue_out_rcpt *b)
{
	if (is_final(a->state) || is_final(b->state))
		return is_final(a->state) && is_final(b->state);
	return slot_of(s, a) == slot_of(s, b) && a->attempts == b->attempts &&
	       a->unsure == b->unsure;
}

/*
 * Move recipient `at` of an outcome, and with it those behind it that are
 * open in the same task and go the same way.
 */
static int move_from(struct queue_store *s, struct line *line,
		     const struct queue_out *out, uint32_t at, uint64_t *done)
{
	const struct queue_out_rcpt *r = &out->rcpts[at];
	struct index_key key = { .id = out->id,
				 .queue = line->number,
				 .slot = out->slot,
				 .group = r->rcpt };
	struct move move = { .slot = slot_of(s, r),
			     .attempts = r->attempts,
			     .unsure = r->unsure };
	struct task *t;
	uint32_t i;
	int err;

	if (s->rebuilding)
		key.slot = QUEUE_SLOT_HELD;
	/* Most tasks have one recipient, and this is its key. */
	delta_outcome_soon(&s->delta, line, &key);
	err = store_find(s, line, &key, r->rcpt, &t);
	if (err < 0)
		return err == -ENOENT ? 0 : err;
	for (i = at; i < out->rcpt_count; i++) {
		if (bits_has(done, i) || !alike(s, r, &out->rcpts[i]) ||
		    !task_has(t, out->rcpts[i].rcpt))
			continue;
		bits_set(done, i);
		bits_set(move.gone, out->rcpts[i].rcpt);
	}
	return decide_move(s, t, &move, is_final(r->state));
}

static int apply_out(struct queue_store *s, const struct queue_out *out)
{
	uint64_t done[QUEUE_OPEN_WORDS] = { 0 };
	char words[LINE_WORDS_MAX];
	struct line *line;
	uint32_t i;
	size_t len;
	int err;

	if (out->rcpt_count > QUEUE_RCPTS_MAX)
		return -EUCLEAN;
	len = line_pack(words, out->tenant, out->campaign, out->domain);
	err = store_line(s, span_of(words, len), &line);
	for (i = 0; err == 0 && i < out->rcpt_count; i++)
		if (!bits_has(done, i) && out->rcpts[i].rcpt < QUEUE_RCPTS_MAX)
			err = move_from(s, line, out, i, done);
	return err;
}

/* --- following the log ------------------------------------------------------------ */

/* Of decisions: what is held anyway, and what would let it go. */
static bool is_undone(enum queue_verb verb)
{
	return verb == QUEUE_VERB_HOLD || verb == QUEUE_VERB_RELEASE ||
	       verb == QUEUE_VERB_RETRY;
}

int store_decision(struct queue_store *s, uint64_t lsn,
		   const struct queue_decision *dec)
{
	if (s->rebuilding && is_undone(dec->verb))
		return 0;
	return decide_note(s, lsn, dec);
}

int store_apply(struct queue *q, const struct queue_record *rec)
{
	switch (rec->type) {
	case QUEUE_REC_MSG:
		return apply_message(q, rec);
	case QUEUE_REC_PART:
		return apply_part(q, rec);
	case QUEUE_REC_OUT:
		return apply_out(q->store, &rec->out);
	case QUEUE_REC_DEC:
		return decide_is_known(q->store, rec->lsn)
			       ? 0
			       : store_decision(q->store, rec->lsn, &rec->dec);
	case QUEUE_REC_MOVE:
		return moved_apply(q, rec);
	case QUEUE_REC_BODY:
	case QUEUE_REC_CKPT:
		break;
	}
	return 0;
}

static void mark(struct queue_store *s, uint32_t now_s)
{
	uint32_t last = (s->mark_first + s->mark_count - 1) % STORE_MARKS;

	if (s->mark_count > 0 && s->marks[last].at_s >= now_s)
		return;
	if (s->mark_count == STORE_MARKS) {
		s->mark_first = (s->mark_first + 1) % STORE_MARKS;
		s->mark_count--;
	}
	last = (s->mark_first + s->mark_count++) % STORE_MARKS;
	s->marks[last].at_s = now_s;
	s->marks[last].lsn = queue_walk_lsn(s->walk);
}

int queue_store_apply(struct queue *q, uint32_t now_s)
{
	struct queue_record rec;
	uint32_t i;
	int rc, err;

	if (q->store->failed < 0)
		return q->store->failed;
	mark(q->store, now_s);
	q->store->delta.now_s = now_s;
	/* A message is as much work as it has recipients. */
	for (i = 0; i < APPLY_RECORDS;
	     i += rec.type == QUEUE_REC_MSG ? rec.msg.rcpt_count : 1) {
		rc = queue_log_next(q->store->walk, &rec);
		if (rc <= 0)
			return rc;
		q->store->applied_s = now_s;
		err = store_apply(q, &rec);
		if (err < 0) /* half applied; the log still has it all */
			return q->store->failed = err;
	}
	return 1;
}

int queue_store_failed(const struct queue *q)
{
	return q->store->failed;
}

/* --- opening and closing ------------------------------------------------------------ */

/*
 * A new index is made only where no mail can be: beside a log in use it would
 * call every message open, and all of it would be sent again.  Its name is
 * durable before there is a record.
 */
static int open_index(struct queue *q, struct queue_report *report)
{
	bool make = q->rebuilding || !queue_log_is_used(q);
	int err = index_open(q->set.dir, q->rebuilding ? INDEX_NEW : INDEX_NAME,
			     q->set.index_bytes_max, q->set.segment_bytes, make,
			     &q->store->index);

	if (err == -EUCLEAN || err == -ENODATA)
		queue_report_say(report,
				 "The index %s/index %s. "
				 "Nothing was sent. Make it anew with "
				 "mtaq verify --rebuild.",
				 q->set.dir,
				 err == -EUCLEAN ? "cannot be read"
						 : "is missing or empty, and "
						   "the log is not");
	if (err == -EPROTO)
		queue_report_say(report,
				 "The index %s/index is of a version that "
				 "this program does not know.",
				 q->set.dir);
	if (err == 0 && make)
		err = q->file->sync_dir(q->file->arg, q->set.dir);
	return err == -ENODATA ? -EUCLEAN : err;
}

int queue_store_open(struct queue *q, uint32_t now_s,
		     struct queue_report *report, uint64_t *checkpoint_lsn_r,
		     uint64_t *cursor_lsn_r)
{
	struct queue_store *s = calloc(1, sizeof(*s));
	int err;

	if (s == NULL)
		return -ENOMEM;
	q->store = s;
	delta_init(&s->delta, q->set.queue_tasks_max);
	list_init(&s->partials);
	s->lines_max = q->set.queues_max;
	s->checkpoint.run_rows = STORE_RUN_ROWS;
	s->checkpoint.step_rows = STORE_STEP_ROWS;
	s->outside_slot = 0; /* nothing was looked at yet */
	s->freeing = true;   /* what was free before a restart is not now */
	s->checkpoint.began_s = s->expire_s = now_s;
	s->rebuilding = q->rebuilding;
	err = open_index(q, report);
	if (err == 0)
		err = idem_open(s);
	if (err == 0)
		err = decide_open(s);
	if (err == 0)
		err = moved_open(s);
	if (err == 0)
		err = compact_open(s);
	if (err < 0) {
		queue_store_close(q);
		return err;
	}
	report->saved_s = index_meta(s->index)->saved_s;
	s->delta.totals = index_meta(s->index)->totals;
	s->checkpoint.done_cursor = index_meta(s->index)->cursor_lsn;
	*checkpoint_lsn_r = index_meta(s->index)->checkpoint_lsn;
	*cursor_lsn_r = s->checkpoint.done_cursor;
	return 0;
}

int queue_store_replay(struct queue *q, uint32_t now_s,
		       struct queue_report *report)
{
	struct queue_store *s = q->store;
	struct queue_record rec;
	int rc;

	rc = queue_walk_open(q, index_meta(s->index)->checkpoint_lsn, &s->walk);
	if (rc < 0)
		return rc;
	s->delta.replaying = index_meta(s->index)->reached_lsn >
			     index_meta(s->index)->checkpoint_lsn;
	s->delta.now_s = now_s;
	s->opening = true;
	while ((rc = queue_log_next(s->walk, &rec)) > 0) {
		rc = store_apply(q, &rec);
		if (rc < 0)
			return rc;
		report->records++;
		report->messages += rec.type == QUEUE_REC_MSG;
	}
	s->delta.replaying = s->opening = false;
	/* Their submitters are gone and no part of them can follow. */
	(void)store_drop_partials(s);
	mark(s, now_s);
	return rc;
}

void queue_store_close(struct queue *q)
{
	struct queue_store *s = q->store;

	if (s == NULL)
		return;
	(void)store_drop_partials(s);
	checkpoint_free(s);
	idem_close(s);
	decide_close(s);
	moved_close(s);
	compact_close(s);
	queue_walk_close(&s->walk);
	delta_free(&s->delta);
	index_close(&s->index);
	free(s);
	q->store = NULL;
}
