/*
 * queue/scan.c - whom a decision covers
 *
 * First every task in memory, then the rows of the index: with a filter in
 * the order of queues, with ids message by message.  What loads or moves
 * meanwhile is met in the index as a row that a task overlaps, or lies ahead.
 */
#include "queue/decide_private.h"

#include <errno.h>

#define LINES 16384u /* looked at in one piece */
#define TASKS 4096u
#define PAGE  ((uint32_t)ARRAY_LEN(((struct queue_store *)0)->rows))

static int take_line(struct queue_store *s, struct decision *dec,
		     struct line *line)
{
	int err = 0;

	LIST_FOR_EACH (at, &line->tasks) {
		if (err == 0)
			err = decision_take(
				s, dec, CONTAINER_OF(at, struct task, in_line));
	}
	return err;
}

/*
 * Line by line.  A line that comes to a handle behind us has its tasks from
 * the index, where they are met, or is given none that is not looked at first
 * (decide_give()).
 */
static int scan_memory(struct queue_store *s, struct decision *dec)
{
	const struct delta *d = &s->delta;
	uint32_t seen = 0, end = d->handles;
	struct line *line;
	int err = 0;

	if (end - dec->at > LINES)
		end = dec->at + LINES;
	for (; err == 0 && dec->at < end && seen < TASKS; dec->at++) {
		line = d->by_handle[dec->at];
		if (line == NULL || !decision_covers(dec, line))
			continue;
		seen += line->task_count;
		err = take_line(s, dec, line);
	}
	if (dec->at < d->handles)
		return err < 0 ? err : 1;
	dec->scan = SCAN_INDEX;
	dec->key = (struct index_key){ .queue = 1 };
	return err < 0 ? err : 1;
}

static int take_row(struct queue_store *s, struct decision *dec,
		    struct line *line, const struct index_row *row)
{
	struct task *t;
	int rc;

	if (row->key.id >= dec->lsn ||
	    delta_tomb_has(&s->delta, line, &row->key))
		return 0;
	t = delta_task_over(&s->delta, line, row);
	if (t == NULL) {
		if (!decision_applies(dec, row->key.slot))
			return 0;
		rc = store_take_row(s, line, row, &t);
		if (rc <= 0)
			return rc;
	}
	return decision_take(s, dec, t);
}

/* To the next queue that is covered.  1: there; 0: further yet; -ENOENT. */
static int scan_queue(struct queue_store *s, struct decision *dec)
{
	struct queue_filter filter;

	if (dec->key.id != 0)
		return 1;
	decision_filter(dec, &filter);
	return index_queue_next(s->index, &filter, LINES, &dec->key.queue);
}

/* A page of rows of one queue. */
static int scan_index(struct queue_store *s, struct decision *dec)
{
	struct line *line;
	uint32_t i, count, number;
	int err;

	err = scan_queue(s, dec);
	if (err <= 0)
		return err == -ENOENT ? 0 : err < 0 ? err : 1;
	err = index_scan(s->index, &dec->key, s->rows, PAGE, &count);
	if (err < 0 || count == 0)
		return err;
	number = s->rows[0].key.queue;
	if (number != dec->key.queue) {
		dec->key = (struct index_key){ .queue = dec->key.queue + 1 };
		return 1;
	}
	line = delta_line_numbered(&s->delta, number);
	if (line == NULL) {
		err = store_line_numbered(s, number, &line);
		if (err < 0)
			return err;
		dec->key = (struct index_key){ .queue = number };
		return 1; /* the page was used to look at the line */
	}
	for (i = 0; i < count && s->rows[i].key.queue == number; i++) {
		dec->key = s->rows[i].key;
		dec->key.group++;
		err = take_row(s, dec, line, &s->rows[i]);
		if (err < 0)
			return err;
	}
	return 1;
}

static int take_message(struct queue *q, struct decision *dec,
			const struct queue_view *msg)
{
	struct line *line;
	struct task *t;
	uint32_t i;
	int err;

	err = store_message(q, msg);
	for (i = 0; err == 0 && i < msg->rcpt_count; i++) {
		err = store_rcpt_line(q, msg, i, &line);
		if (err < 0 || line == NULL || !decision_covers(dec, line))
			continue;
		t = delta_task_find(&q->store->delta, line, msg->id, i);
		if (t != NULL)
			err = decision_take(q->store, dec, t);
	}
	return err;
}

static int scan_ids(struct queue *q, struct decision *dec)
{
	struct queue_view msg;
	int err;

	if (dec->at == dec->is.id_count)
		return 0;
	err = store_message_open(q, dec->is.ids[dec->at], &msg);
	if (queue_is_short(err))
		return err;
	dec->at++;
	if (err < 0) /* gone, or damaged: there is nothing to decide */
		return 1;
	err = take_message(q, dec, &msg);
	queue_message_close(q, &msg);
	return err < 0 ? err : 1;
}

int decision_scan(struct queue *q, struct decision *dec)
{
	if (dec->is.id_count > 0)
		return scan_ids(q, dec);
	if (dec->scan == SCAN_MEMORY)
		return scan_memory(q->store, dec);
	return scan_index(q->store, dec);
}
