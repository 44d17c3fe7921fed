/*
 * queue/refill.c - rows of the index become tasks when they are due
 *
 *	line   its rows from line->at on are unknown to memory, the earliest
 *	       of them is at line->next_slot: refill_line() takes a page
 *	sweep  looks once for the queues that have rows, and again when
 *	       the earliest slot of a queue outside memory has come
 *	expire every minute, what has expired and waits for another time
 *
 * A row that a tomb names or that a task of the delta overlaps is stepped
 * over: the delta knows better.
 */
#include "queue/store.h"

#include <errno.h>

#define PAGE       ((uint32_t)ARRAY_LEN(((struct queue_store *)0)->rows))
#define SWEEP_STEP 256    /* queues a call */
#define SWEEP_REST 200000 /* for so many, a second until the next sweep */
#define EXPIRE_S   60

/* The key behind a row's. */
static struct index_key behind(const struct index_key *key)
{
	struct index_key next = *key;

	next.group++; /* at most QUEUE_RCPTS_MAX */
	return next;
}

int refill_line(struct queue_store *s, struct line *line, uint32_t now_s)
{
	uint32_t max = s->delta.line_tasks_max, i, count, room, want;
	struct task *t;
	int rc;

	BUG_ON(line->number == 0 || !line_has_window(&s->delta, line));
	room = (line->window < max ? line->window : max) - line->loaded;
	/* One row more, to know when the next one is due. */
	want = room < PAGE ? room + 1 : PAGE;
	rc = index_scan(s->index, &line->at, s->rows, want, &count);
	if (rc < 0)
		return rc;
	delta_rows_soon(&s->delta, line, s->rows, count < room ? count : room);
	for (i = 0; i < count && room > 0; i++) {
		if (s->rows[i].key.queue != line->number ||
		    s->rows[i].key.slot > now_s)
			break;
		line->at = behind(&s->rows[i].key);
		rc = store_take_row(s, line, &s->rows[i], &t);
		if (rc < 0)
			return rc;
		room -= (uint32_t)rc;
	}
	if (i == count)
		line->next_slot =
			count < want ? UINT32_MAX : s->rows[i - 1].key.slot;
	else if (s->rows[i].key.queue != line->number)
		line->next_slot = UINT32_MAX;
	else
		line->next_slot = s->rows[i].key.slot;
	return delta_line_ready(&s->delta, line);
}

/* --- the sweep -------------------------------------------------------------------- */

/* Look at the queue that is next; 0: there is none. */
static int sweep_one(struct queue_store *s, uint32_t now_s)
{
	struct index_key from = { .queue = s->sweep };
	struct line *line;
	uint32_t count;
	int err;

	err = index_scan(s->index, &from, s->rows, 1, &count);
	if (err < 0 || count == 0)
		return err;
	from = s->rows[0].key;
	s->sweep = from.queue + 1;
	s->sweep_seen++;
	line = delta_line_numbered(&s->delta, from.queue);
	if (line != NULL)
		return 1;
	if (s->delta.line_count >= s->lines_max && from.slot > now_s) {
		if (from.slot < s->outside_slot)
			s->outside_slot = from.slot;
		return 1;
	}
	err = store_line_numbered(s, from.queue, &line);
	return err < 0 ? err : 1;
}

/* Is there no room for one more?  With millions of queues due, looking at the
 * rest again and again would be all that is done. */
static bool sweep_waits(const struct queue_store *s)
{
	return s->delta.line_count >= s->lines_max &&
	       list_empty(&s->delta.idle);
}

static int sweep_work(struct queue_store *s, uint32_t now_s)
{
	int i, rc;

	if (s->sweep == 0) {
		if (s->outside_slot > now_s || now_s < s->sweep_s)
			return 0;
		s->outside_slot = UINT32_MAX;
		s->sweep = 1;
		s->sweep_seen = 0;
	}
	for (i = 0; i < SWEEP_STEP && !sweep_waits(s); i++) {
		rc = sweep_one(s, now_s);
		if (rc < 0)
			return rc;
		if (rc == 0) {
			s->sweep = 0;
			s->sweep_s = now_s + 1 + s->sweep_seen / SWEEP_REST;
			return 0;
		}
	}
	return !sweep_waits(s);
}

/* --- expiry ------------------------------------------------------------------------ */

static void give_early(struct queue_store *s, struct task *t, uint32_t now_s)
{
	if (t->state == TASK_IDLE && t->expires_s <= now_s &&
	    list_empty(&t->in_early))
		list_add_tail(&s->delta.early, &t->in_early);
}

/* A page of the queue's rows; 0: its end was reached. */
static int expire_page(struct queue_store *s, uint32_t now_s)
{
	const struct index_row *row;
	uint32_t i, count;
	struct line *line;
	struct task *t;
	int rc;

	rc = index_scan(s->index, &s->expire_at, s->rows, PAGE, &count);
	if (rc == 0)
		rc = store_line_numbered(s, s->expire_at.queue, &line);
	if (rc < 0)
		return rc;
	for (i = 0; i < count; i++) {
		row = &s->rows[i];
		if (row->key.queue != line->number)
			return 0;
		s->expire_at = behind(&row->key);
		if (row->expires_s > now_s)
			continue;
		rc = store_take_row(s, line, row, &t);
		if (rc == 0 && !delta_tomb_has(&s->delta, line, &row->key))
			t = delta_task_over(&s->delta, line, row);
		else if (rc == 0)
			continue;
		if (rc < 0)
			return rc;
		give_early(s, t, now_s);
	}
	return count == PAGE;
}

/* The next queue with mail that expires by this hour; 0: none. */
static int expire_queue(struct queue_store *s, uint32_t now_s)
{
	uint32_t queue = s->expire_at.queue + 1;
	int err = index_expire_next(s->index, &s->expire_hour, &queue);

	if (err == -ENOENT || (err == 0 && s->expire_hour > now_s / 3600)) {
		s->expiring = false;
		s->expire_s = now_s + EXPIRE_S;
		return 0;
	}
	s->expire_at = (struct index_key){ .queue = queue };
	return err < 0 ? err : 1;
}

static int expire_work(struct queue_store *s, uint32_t now_s, uint64_t max)
{
	int rc;

	/* Not more than may be loaded: the rest waits for the next minute. */
	if (s->delta.task_count >= max + s->delta.dirty_count)
		return 0;
	if (!s->expiring) {
		if (now_s < s->expire_s)
			return 0;
		s->expiring = true;
		s->expire_hour = 0;
		s->expire_at = (struct index_key){ .queue = 0 };
		return expire_queue(s, now_s);
	}
	rc = expire_page(s, now_s);
	return rc == 0 ? expire_queue(s, now_s) : rc;
}

int refill_work(struct queue_store *s, uint32_t now_s, uint64_t tasks_max)
{
	int rc = sweep_work(s, now_s);

	return rc == 0 ? expire_work(s, now_s, tasks_max) : rc;
}

uint32_t refill_wake_s(const struct queue_store *s)
{
	uint32_t sweep_s =
		s->outside_slot > s->sweep_s ? s->outside_slot : s->sweep_s;

	return s->expire_s < sweep_s ? s->expire_s : sweep_s;
}
