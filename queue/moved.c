/*
 * queue/moved.c - what the log says was moved
 *
 * The place of a message stands in each of its tasks and rows, so that a count
 * of a segment follows its rows like every other count.  The tables `moved`
 * and `place` are for who has an id and no task (`queue show`, decisions by
 * id); they are written before the rows, and what lies in a segment is taken
 * out of them when the segment is freed.
 *
 * 1. A MOVE changes where a known task lies, never whether it is open; an
 *    unknown id is ignored.  A place only grows, so that replaying it again,
 *    or behind a later one, changes nothing.
 * 2. Who was open when the move was asked for stands in the MOVE: whoever is
 *    not named there had come to an end.  That finds the rows at once, and a
 *    rebuild knows whom to hold.
 * 3. A copy is believed when it was read back whole; a large message has moved
 *    when the last of its parts has.  Until then it lies where it lay.
 */
#include "queue/compact.h"
#include "queue/decide.h"
#include "queue/idem.h"

#include "base/hash.h"
#include "queue/bits.h"
#include "queue/record.h"

#include <errno.h>
#include <stdlib.h>

struct mover { /* moved since the last checkpoint */
	struct list link;
	uint64_t id, place;
};

struct moved {
	struct map map;               /* by id */
	struct list changed, written; /* written: in the open checkpoint */
};

int moved_open(struct queue_store *s)
{
	s->moved = calloc(1, sizeof(*s->moved));
	if (s->moved == NULL)
		return -ENOMEM;
	map_init(&s->moved->map);
	list_init(&s->moved->changed);
	list_init(&s->moved->written);
	return 0;
}

void moved_close(struct queue_store *s)
{
	struct mover *m;
	size_t at = 0;

	if (s->moved == NULL)
		return;
	while ((m = map_walk(&s->moved->map, &at)) != NULL)
		free(m);
	map_free(&s->moved->map);
	free(s->moved);
	s->moved = NULL;
}

/* --- where a message lies ---------------------------------------------------------- */

static bool same_id(const void *item, const void *key)
{
	return ((const struct mover *)item)->id == *(const uint64_t *)key;
}

static struct mover *find(const struct queue_store *s, uint64_t id)
{
	return map_find(&s->moved->map, hash_u64(id), same_id, &id);
}

uint64_t queue_store_place(struct queue *q, uint64_t id)
{
	const struct mover *m = find(q->store, id);
	uint64_t place;

	if (m != NULL)
		return m->place;
	if (index_moved(q->store->index, id, &place) == 0)
		return place;
	return decide_place(q->store, id);
}

int store_message_open(struct queue *q, uint64_t id, struct queue_view *view_r)
{
	return queue_message_open_at(q, id, queue_store_place(q, id), view_r);
}

static int note(struct queue_store *s, uint64_t id, uint64_t place)
{
	struct mover *m = find(s, id);

	if (m == NULL) {
		m = calloc(1, sizeof(*m));
		if (m == NULL || map_put(&s->moved->map, hash_u64(id), m) < 0) {
			free(m);
			return -ENOMEM;
		}
		m->id = id;
		list_init(&m->link);
	}
	if (m->place >= place)
		return 0;
	m->place = place;
	list_del(&m->link);
	list_add_tail(&s->moved->changed, &m->link);
	return 0;
}

/* --- checkpoint --------------------------------------------------------------------- */

int moved_checkpoint(struct queue_store *s)
{
	struct moved *v = s->moved;
	struct mover *m;
	size_t i;
	int err = 0;

	if (list_empty(&v->changed))
		return 0;
	if (!index_writing(s->index))
		err = index_begin(s->index, s->checkpoint.lsn);
	for (i = 0; err == 0 && i < s->checkpoint.step_rows; i++) {
		if (list_empty(&v->changed))
			return 0;
		m = CONTAINER_OF(v->changed.next, struct mover, link);
		err = index_moved_put(s->index, m->id, m->place);
		if (err == 0) {
			list_del(&m->link);
			list_add_tail(&v->written, &m->link);
		}
	}
	return err < 0 ? err : 1;
}

void moved_settle(struct queue_store *s, bool committed)
{
	struct list *link;
	struct mover *m;

	while ((link = list_pop(&s->moved->written)) != NULL) {
		m = CONTAINER_OF(link, struct mover, link);
		if (!committed) {
			list_add_tail(&s->moved->changed, link);
			continue;
		}
		map_del(&s->moved->map, hash_u64(m->id), m);
		free(m);
	}
}

int moved_forget(struct queue_store *s, uint64_t first, uint64_t end)
{
	uint64_t place = first, id;
	size_t i;
	bool unsure;
	int err = index_place_next(s->index, &place, &id);

	if (err < 0 || place >= end)
		return err == -ENOENT ? 0 : err < 0 ? err : 0;
	err = index_begin(s->index, 0);
	/* (Reading sees what was committed last: each entry once.) */
	for (i = 0; err == 0 && i < s->checkpoint.step_rows; i++) {
		err = index_moved_del(s->index, id, place);
		place++;
		if (err == 0)
			err = index_place_next(s->index, &place, &id);
		if (err == 0 && place >= end)
			err = -ENOENT;
	}
	if (err < 0 && err != -ENOENT) {
		index_abort(s->index);
		return err;
	}
	i = err == 0; /* there is more */
	err = index_commit(s->index, &unsure);
	return err < 0 ? err : (int)i;
}

/* --- finding tasks -------------------------------------------------------------------- */

int rcpt_line(struct rcpt_lines *w, uint32_t i)
{
	struct queue_rcpt rcpt;

	queue_view_rcpt(w->msg, i, &rcpt);
	if (w->begun && span_eq(rcpt.domain, w->domain))
		return 0;
	w->domain = rcpt.domain;
	w->begun = true;
	w->brought = false;
	return store_rcpt_line(w->q, w->msg, i, &w->line);
}

int moved_bring(struct queue_store *s, struct line *line,
		const struct index_key *key)
{
	struct index_key at = *key;
	struct task *t;
	uint32_t count;
	int err;

	if (line == NULL || line->number == 0)
		return 0;
	at.queue = line->number;
	err = index_scan(s->index, &at, s->rows, 1, &count);
	if (err < 0 || count == 0 || index_key_cmp(&s->rows[0].key, &at) != 0)
		return err;
	err = store_take_row(s, line, &s->rows[0], &t);
	return err < 0 ? err : 0;
}

int moved_gather(struct queue *q, const struct queue_view *msg,
		 const uint64_t *wanted)
{
	struct rcpt_lines w = { .q = q, .msg = msg };
	uint32_t i;
	int err = 0;

	for (i = 0; err == 0 && i < msg->rcpt_count; i++) {
		if (!bits_has(wanted, i))
			continue;
		err = rcpt_line(&w, i);
		if (err < 0 || w.line == NULL || w.brought ||
		    w.line->number == 0 ||
		    delta_task_find(&q->store->delta, w.line, msg->id, i) !=
			    NULL)
			continue;
		err = store_bring_rows(q->store, w.line, msg->id);
		w.brought = true;
	}
	return err;
}

/* --- taking it in ------------------------------------------------------------------------ */

struct arrival { /* a message that lies whole at a new place */
	const struct queue_record *rec;
	uint64_t place, bytes;
	uint16_t segments;
	uint64_t open[QUEUE_OPEN_WORDS];
	uint32_t share;
};

/* Who was open, and the tasks that still stand where they stood then. */
static int take_hints(struct queue *q, struct arrival *a)
{
	struct rcpt_lines w = { .q = q, .msg = &a->rec->msg };
	struct span tasks = a->rec->move.tasks;
	struct record_task task;
	struct index_key key;
	uint32_t i, count;
	int err = 0;

	while (err == 0 && record_task_next(&tasks, &task)) {
		for (i = 0; i + task.first < w.msg->rcpt_count; i++)
			if (bits_has(task.open, i))
				bits_set(a->open, task.first + i);
		if (task.first >= w.msg->rcpt_count)
			continue;
		key = (struct index_key){ .id = w.msg->id,
					  .slot = task.slot,
					  .group = task.first };
		if (q->store->rebuilding)
			key.slot = QUEUE_SLOT_HELD;
		err = rcpt_line(&w, task.first);
		if (err == 0)
			err = moved_bring(q->store, w.line, &key);
	}
	count = bits_count(a->open, QUEUE_OPEN_WORDS);
	a->share = (uint32_t)(a->bytes / (count == 0 ? 1 : count) + 1);
	return err;
}

static void set_place(struct queue_store *s, struct task *t,
		      const struct arrival *a)
{
	if (t->place >= a->place)
		return;
	t->place = a->place;
	t->segments = a->segments;
	t->share = a->share;
	delta_task_dirty(&s->delta, t);
}

/* Every task of the message that memory has, and, if so, its new place.
 * *known_r: there is one. */
static int find_tasks(struct queue *q, const struct arrival *a, bool set,
		      bool *known_r)
{
	struct rcpt_lines w = { .q = q, .msg = &a->rec->msg };
	struct task *t;
	uint32_t i;
	int err;

	for (i = 0; i < w.msg->rcpt_count; i++) {
		err = rcpt_line(&w, i);
		if (err < 0)
			return err;
		t = w.line == NULL ? NULL
				   : delta_task_find(&q->store->delta, w.line,
						     w.msg->id, i);
		if (t == NULL || t->state == TASK_COMING)
			continue;
		*known_r = true;
		if (set)
			set_place(q->store, t, a);
	}
	return 0;
}

/* --- ... into an index that is made anew ---------------------------------------------------- */

static bool readable(struct queue *q, const struct queue_move *at,
		     uint64_t place)
{
	struct queue_move where = *at;

	where.from = place;
	return queue_place_ok(q, &where);
}

/* Did the rebuild come upon it before?  Then it knows of its end, too. */
static bool was_seen(struct queue *q, const struct queue_move *move)
{
	return readable(q, move, move->id) || readable(q, move, move->from);
}

/* Whoever is not named had come to an end, in what was written over. */
static int end_unnamed(struct queue *q, const struct arrival *a)
{
	struct rcpt_lines w = { .q = q, .msg = &a->rec->msg };
	struct move gone;
	struct task *t;
	uint32_t i;
	int err = 0;

	for (i = 0; err == 0 && i < w.msg->rcpt_count; i++) {
		err = rcpt_line(&w, i);
		if (err < 0 || w.line == NULL || bits_has(a->open, i))
			continue;
		t = delta_task_find(&q->store->delta, w.line, w.msg->id, i);
		if (t == NULL || t->state == TASK_COMING)
			continue;
		gone = (struct move){ .slot = t->slot };
		bits_set(gone.gone, i);
		err = decide_move(q->store, t, &gone, true);
	}
	return err;
}

static int make_anew(struct queue *q, const struct arrival *a)
{
	const struct queue_view *msg = &a->rec->msg;
	struct rcpt_lines w = { .q = q, .msg = msg };
	struct span tasks = a->rec->move.tasks;
	struct record_task task;
	struct index_row row;
	struct list made;
	int err = 0;

	list_init(&made);
	while (err == 0 && record_task_next(&tasks, &task)) {
		if (task.first + bits_end(task.open, QUEUE_OPEN_WORDS) >
		    msg->rcpt_count)
			continue;
		row = (struct index_row){ .key = { .id = msg->id,
						   .slot = QUEUE_SLOT_HELD,
						   .group = task.first },
					  .place = a->place,
					  .expires_s = msg->expires_s,
					  .share = a->share,
					  .attempts = task.attempts,
					  .unsure = task.unsure,
					  .flags = (uint8_t)msg->flags };
		memcpy(row.open, task.open, sizeof(row.open));
		err = store_make_task(&w, &row, &made);
	}
	return err < 0 ? err : store_arrive(q->store, &made, a->segments);
}

static int rebuilt(struct queue *q, struct arrival *a, bool whole)
{
	const struct idem_name name = idem_name_of(a->rec);
	uint64_t all[QUEUE_OPEN_WORDS];
	bool known = false, made = false;
	int err;

	/* Its own record may have been written over, and who brought it may
	 * bring it again. */
	err = idem_note(q->store, &name, a->rec->msg.id);
	memset(all, 0xff, sizeof(all));
	if (err == 0)
		err = moved_gather(q, &a->rec->msg, all);
	if (err == 0)
		err = find_tasks(q, a, whole, &known);
	if (err == 0 && known)
		err = end_unnamed(q, a);
	if (err < 0)
		return err;
	if (!known && !was_seen(q, &a->rec->move)) {
		known = made = true;
		err = make_anew(q, a);
	}
	/* (A bad copy is better than none: it is named.) */
	return err < 0 || !known || (!whole && !made)
		       ? err
		       : note(q->store, a->rec->msg.id, a->place);
}

/*
 * A copy is believed when it has been read back whole.  Until a checkpoint
 * covers it, what it is a copy of is still there.
 */
static int take(struct queue *q, struct arrival *a)
{
	struct queue_store *s = q->store;
	bool known = false, whole = readable(q, &a->rec->move, a->place);
	int err;

	compact_answered(q, a->rec->move.id, a->bytes, whole ? 0 : -EIO);
	if (!whole && !s->rebuilding)
		return 0;
	err = take_hints(q, a);
	if (err == 0 && s->rebuilding)
		return rebuilt(q, a, whole);
	if (err == 0)
		err = moved_gather(q, &a->rec->msg, a->open);
	if (err == 0)
		err = find_tasks(q, a, true, &known);
	return err < 0 || !known ? err : note(s, a->rec->msg.id, a->place);
}

static int take_decision(struct queue *q, const struct queue_record *rec)
{
	struct queue_store *s = q->store;
	int err;

	if (decide_moved(s, rec->move.id, rec->lsn) || !s->rebuilding ||
	    was_seen(q, &rec->move))
		return 0;
	err = store_decision(s, rec->move.id, &rec->dec);
	if (err == 0)
		(void)decide_moved(s, rec->move.id, rec->lsn);
	return err;
}

/* --- records ------------------------------------------------------------------------------------ */

/* Head and envelope, to be decoded again when the last part has come. */
static int keep(struct queue *q, const struct queue_record *rec)
{
	struct partial *p = calloc(1, sizeof(*p));
	size_t len = (size_t)(rec->raw.p + rec->raw.len - rec->envelope);

	if (p == NULL)
		return -ENOMEM;
	*p = (struct partial){ .id = rec->lsn,
			       .size = rec->msg.size,
			       .got = rec->content_bytes,
			       .bytes = rec->end - rec->lsn,
			       .segment = queue_segment_of(q, rec->lsn),
			       .moved = rec->move.id,
			       .envelope_bytes = (uint32_t)len };
	list_init(&p->link);
	list_init(&p->tasks);
	p->record = malloc(RECORD_HEAD + len);
	if (p->record == NULL) {
		free(p);
		return -ENOMEM;
	}
	memcpy(p->record + RECORD_HEAD, rec->envelope, len);
	list_add_tail(&q->store->partials, &p->link);
	return 0;
}

int moved_apply(struct queue *q, const struct queue_record *rec)
{
	struct arrival a = { .rec = rec,
			     .place = rec->lsn,
			     .bytes = rec->end - rec->lsn };

	if (rec->move.why != 0) {
		compact_answered(q, rec->move.id, 0, -(int)rec->move.why);
		return 0;
	}
	if (rec->move.type == QUEUE_REC_MSG &&
	    rec->content_bytes < rec->msg.size)
		return keep(q, rec);
	if (rec->move.type == QUEUE_REC_MSG)
		return take(q, &a);
	compact_answered(q, rec->move.id, a.bytes, 0);
	return take_decision(q, rec);
}

int moved_whole(struct queue *q, const struct partial *p)
{
	struct record_head h = { .type = QUEUE_REC_MOVE,
				 .lsn = p->id,
				 .length = RECORD_HEAD + p->envelope_bytes,
				 .envelope = p->envelope_bytes };
	struct queue_record rec;
	uint64_t segments = p->segment - queue_segment_of(q, p->id);
	struct arrival a = { .rec = &rec,
			     .place = p->id,
			     .bytes = p->bytes,
			     .segments = segments > UINT16_MAX
						 ? UINT16_MAX
						 : (uint16_t)segments };

	if (!record_decode(p->record, &h, NULL, &rec))
		return -EUCLEAN; /* it was, once */
	return take(q, &a);
}
