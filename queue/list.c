/*
 * queue/list.c - looking at what is queued
 */
#include "queue/store.h"

#include "queue/bits.h"

#include <errno.h>

#define LOOKS 4096  /* at queues, in search of one that is wanted */
#define WORK  65536 /* for a page: lines looked at */
#define STEPS 1024  /* or pages of rows */
#define PAGE  ((uint32_t)ARRAY_LEN(((struct queue_store *)0)->rows))

/* --- one message ------------------------------------------------------------------- */

int store_rcpt_line(struct queue *q, const struct queue_view *msg, uint32_t i,
		    struct line **line_r)
{
	char words[LINE_WORDS_MAX];
	struct queue_rcpt rcpt;
	uint32_t number;
	size_t len;
	int err;

	queue_view_rcpt(msg, i, &rcpt);
	len = line_pack(words, msg->tenant, msg->campaign, rcpt.domain);
	*line_r = delta_line_find(&q->store->delta, span_of(words, len));
	if (*line_r != NULL)
		return 0;
	err = index_queue_find(q->store->index, span_of(words, len), &number);
	if (err == -ENOENT)
		return 0;
	return err < 0 ? err
		       : store_line(q->store, span_of(words, len), line_r);
}

/* The rows of a message in one queue: look for its id at each slot. */
int store_bring_rows(struct queue_store *s, struct line *line, uint64_t id)
{
	struct index_key at = { .queue = line->number, .id = id };
	const struct index_row *row = &s->rows[0];
	struct index_key key;
	struct task *t;
	uint32_t count;
	int rc;

	for (;;) {
		rc = index_scan(s->index, &at, s->rows, 1, &count);
		if (rc < 0 || count == 0 || row->key.queue != at.queue)
			return rc;
		key = row->key;
		if (key.id == id) {
			rc = store_take_row(s, line, row, &t);
			if (rc < 0)
				return rc;
			at = key;
			at.group++;
		} else if (key.slot > at.slot && key.id < id) {
			at = (struct index_key){ .queue = at.queue,
						 .slot = key.slot,
						 .id = id };
		} else { /* behind the id's place in this slot */
			if (key.slot == UINT32_MAX)
				return 0;
			at = (struct index_key){ .queue = at.queue,
						 .slot = key.slot + 1,
						 .id = id };
		}
	}
}

int store_message(struct queue *q, const struct queue_view *msg)
{
	struct line *line, *last = NULL;
	uint32_t i;
	int err = 0;

	for (i = 0; err == 0 && i < msg->rcpt_count; i++) {
		err = store_rcpt_line(q, msg, i, &line);
		if (err == 0 && line != NULL && line != last &&
		    line->number != 0)
			err = store_bring_rows(q->store, line, msg->id);
		last = line;
	}
	return err;
}

int queue_show(struct queue *q, uint64_t id, struct queue_task *tasks_r,
	       uint32_t room, uint32_t *count_r)
{
	struct queue_view msg;
	struct line *line;
	struct task *t;
	uint32_t i, n = 0;
	int err;

	err = store_message_open(q, id, &msg);
	if (err < 0)
		return err;
	err = store_message(q, &msg);
	for (i = 0; err == 0 && i < msg.rcpt_count && n < room; i++) {
		err = store_rcpt_line(q, &msg, i, &line);
		if (err < 0 || line == NULL)
			continue;
		t = delta_task_find(&q->store->delta, line, id, i);
		if (t != NULL && t->state != TASK_COMING && task_first(t) == i)
			store_fill(t, &tasks_r[n++]);
	}
	queue_message_close(q, &msg);
	if (err == 0)
		*count_r = n;
	return err;
}

/* --- pages --------------------------------------------------------------------------- */

struct list_page { /* in the making: tasks are laid down from the end */
	struct queue_list_cursor *at;
	struct queue_task *tasks;
	uint32_t room;
};

static void fill_row(const struct line *line, const struct index_row *row,
		     struct queue_task *task_r)
{
	*task_r = (struct queue_task){ .id = row->key.id,
				       .place = row->place,
				       .queue = line->handle,
				       .slot = row->key.slot,
				       .expires_s = row->expires_s,
				       .flags = row->flags,
				       .first = row->key.group,
				       .span = (uint16_t)bits_end(
					       row->open, QUEUE_OPEN_WORDS),
				       .attempts = row->attempts,
				       .unsure = row->unsure };
	memcpy(task_r->open, row->open, sizeof(row->open));
}

static bool is_filter(const struct queue_filter *f)
{
	return f->tenant.len + f->campaign.len + f->domain.len > 0;
}

/* To the next queue that is wanted.  1: there; 0: further yet; -ENOENT. */
static int list_queue(struct queue_store *s, const struct queue_filter *filter,
		      struct queue_list_cursor *at)
{
	/* Behind a row of it: it is wanted. */
	if (at->id != 0 || !is_filter(filter))
		return 1;
	return index_queue_next(s->index, filter, LOOKS, &at->queue);
}

/* Rows of one queue that memory has nothing to say of.  1: go on; 0: the end
 * of the index. */
static int list_rows(struct queue_store *s, const struct queue_filter *filter,
		     struct list_page *page)
{
	struct queue_list_cursor *at = page->at;
	struct index_key from = { .id = at->id,
				  .queue = at->queue,
				  .slot = at->slot,
				  .group = (uint16_t)at->next };
	const struct index_row *row;
	struct line *line;
	uint32_t i, count, number, want = page->room + 1;
	int err;

	err = index_scan(s->index, &from, s->rows, 1, &count);
	if (err < 0 || count == 0)
		return err;
	number = s->rows[0].key.queue;
	if (number != at->queue)
		*at = (struct queue_list_cursor){
			.stage = at->stage,
			.queue = is_filter(filter) ? at->queue + 1 : number
		};
	if (is_filter(filter) && number != from.queue)
		return 1;
	err = store_line_numbered(s, number, &line);
	if (err < 0)
		return err;
	from = number == from.queue ? from
				    : (struct index_key){ .queue = number };
	err = index_scan(s->index, &from, s->rows, want < PAGE ? want : PAGE,
			 &count);
	for (i = 0; err == 0 && i < count && page->room > 0; i++) {
		row = &s->rows[i];
		if (row->key.queue != number)
			break;
		*at = (struct queue_list_cursor){ .stage = at->stage,
						  .queue = number,
						  .slot = row->key.slot,
						  .id = row->key.id,
						  .next = row->key.group + 1u };
		if (delta_tomb_has(&s->delta, line, &row->key) ||
		    delta_task_over(&s->delta, line, row) != NULL)
			continue;
		fill_row(line, row, page->tasks + --page->room);
	}
	return err < 0 ? err : 1;
}

/* Tasks of memory, a line a time; the id says behind which task. */
static int list_line(struct queue_store *s, const struct queue_filter *filter,
		     struct list_page *page)
{
	const struct delta *d = &s->delta;
	struct queue_list_cursor *at = page->at;
	struct line *line;
	const struct task *t;
	uint32_t n = 0;

	if (at->queue >= d->handles)
		return 0;
	line = d->by_handle[at->queue];
	if (line != NULL && line_wanted(filter, line)) {
		LIST_FOR_EACH (link, &line->tasks) {
			t = CONTAINER_OF(link, struct task, in_line);
			if (n++ < at->next || t->state == TASK_COMING)
				continue;
			if (page->room == 0)
				return 1;
			at->next = n;
			store_fill(t, page->tasks + --page->room);
		}
	}
	at->queue++;
	at->next = 0;
	return 1;
}

/* A step, and what it counts of WORK. */
static int list_step(struct queue *q, const struct queue_filter *filter,
		     struct list_page *page, uint32_t *work)
{
	uint32_t stage = page->at->stage;
	int rc;

	if (stage == 1 || stage == QUEUE_LIST_LOADED) {
		*work += 1;
		rc = list_line(q->store, filter, page);
		if (rc != 0 || stage == 1)
			return rc;
		*page->at = (struct queue_list_cursor){ .stage = stage + 1 };
		return 1;
	}
	*work += WORK / STEPS;
	rc = list_queue(q->store, filter, page->at);
	if (rc == 0) { /* that was a piece of work */
		*work = WORK;
		return 1;
	}
	if (rc > 0)
		rc = list_rows(q->store, filter, page);
	if (rc != 0 && rc != -ENOENT)
		return rc;
	if (stage > QUEUE_LIST_LOADED)
		return 0;
	*page->at = (struct queue_list_cursor){ .stage = 1 };
	return 1;
}

int queue_list(struct queue *q, const struct queue_filter *filter,
	       struct queue_list_cursor *at, struct queue_task *tasks_r,
	       uint32_t room, uint32_t *count_r)
{
	struct list_page page = { .at = at, .tasks = tasks_r, .room = room };
	uint32_t work = 0;
	int rc = 1;

	/* The queues that this page names stay until the next call. */
	store_lines_drop(q->store);
	q->store->keep_lines = true;
	while (rc > 0 && page.room > 0 && work < WORK)
		rc = list_step(q, filter, &page, &work);
	q->store->keep_lines = false;
	if (rc < 0)
		return rc;
	/* They were laid down from the end. */
	memmove(tasks_r, tasks_r + page.room,
		(room - page.room) * sizeof(*tasks_r));
	*count_r = room - page.room;
	return rc;
}
