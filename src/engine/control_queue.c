/*
 * engine/control_queue.c - looking at what is queued
 *
 *	the store gives a page of tasks ─► control opens their messages
 *	─► a row for each open recipient that the filter wants
 *
 * The answer to "list" is one page of at least ROWS rows unless the queue has
 * ended before; its "ok" says where to go on.  The daemon keeps nothing.
 */
#include "engine/control_private.h"

#include "base/msgid.h"

#include <errno.h>
#include <stdio.h>
#include <sysexits.h>

#define ROWS      1000 /* then the page is over */
#define PAGES_MAX 256  /* of the store's, looked at for one answer */

struct wish { /* what of a row is left to control to look at */
	struct span rcpt, state, site;
	uint64_t older_s;
};

/* --- in the store's thread ------------------------------------------------- */

static void copy_word(char to[QUEUE_WORD_MAX + 1], struct span word)
{
	if (word.len > 0)
		memcpy(to, word.p, word.len);
	to[word.len] = '\0';
}

static void copy_tasks(struct control *c, struct queue *q, uint32_t count)
{
	struct span words[3];
	uint32_t i, n;

	c->task_count = count;
	for (i = 0; i < count; i++) {
		struct control_task *t = &c->tasks[i];

		t->task = c->raw[i];
		t->paused = queue_paused(q, t->task.queue);
		queue_handle_name(q, t->task.queue, &words[0], &words[1],
				  &words[2]);
		for (n = 0; n < 3; n++)
			copy_word(t->words[n], words[n]);
		snprintf(t->site, sizeof(t->site), "%s",
			 storer_site_name(&c->e->storer, words[2]));
	}
}

static void list_page(struct queue *q, void *arg)
{
	struct control *c = arg;
	uint32_t n = 0;

	c->result = queue_list(q, &c->filter, &c->cursor, c->raw, CONTROL_TASKS,
			       &n);
	copy_tasks(c, q, c->result < 0 ? 0 : n);
}

static void show_message(struct queue *q, void *arg)
{
	struct control *c = arg;
	uint32_t n = 0;

	c->place = queue_store_place(q, c->id);
	c->result = queue_show(q, c->id, c->raw, QUEUE_RCPTS_MAX, &n);
	copy_tasks(c, q, c->result < 0 ? 0 : n);
}

/* --- rows ------------------------------------------------------------------ */

static const char *state_of(const struct control_task *t, uint32_t now_s)
{
	if (t->task.slot == QUEUE_SLOT_DAMAGED)
		return "damaged";
	if (t->task.slot == QUEUE_SLOT_HELD)
		return "held";
	if (t->paused)
		return "paused";
	return t->task.attempts > 0 && t->task.slot > now_s ? "deferred"
							    : "queued";
}

/* What rows of a message and of its recipients alike say of it. */
static void begin_row(struct buf *out, const char *verb,
		      const struct queue_view *view, uint32_t now_s)
{
	char id[MSGID_LEN + 1];

	msgid_print(view->id, id);
	admin_begin(out, verb);
	admin_text(out, "id", span_str(id));
	admin_text(out, "from", view->sender);
	admin_text(out, "tenant", view->tenant);
	admin_text(out, "campaign", view->campaign);
	admin_text(out, "class",
		   view->flags & QUEUE_MSG_TRANSACTIONAL ? SPAN("transactional")
							 : SPAN("bulk"));
	admin_number(out, "size", view->size);
	admin_number(out, "recipients", view->rcpt_count);
	admin_number(out, "arrived", view->arrived_s);
	admin_number(out, "age_s", clock_since_s(now_s, view->arrived_s));
}

static void add_row(struct buf *out, const struct control_task *t,
		    const struct queue_view *view, struct span rcpt,
		    uint32_t now_s)
{
	const struct queue_task *k = &t->task;
	bool timed = k->slot < QUEUE_SLOT_DAMAGED;

	begin_row(out, "row", view, now_s);
	admin_text(out, "state", span_str(state_of(t, now_s)));
	admin_text(out, "to", rcpt);
	admin_text(out, "domain", span_str(t->words[2]));
	admin_text(out, "site", span_str(t->site));
	admin_number(out, "due_in_s",
		     timed && k->slot > now_s ? k->slot - now_s : 0);
	admin_number(out, "attempts", k->attempts);
	admin_number(out, "unsure", k->unsure);
}

static bool wants_rcpt(const struct wish *w, struct span rcpt)
{
	return w->rcpt.len == 0 || span_eq_nocase(w->rcpt, rcpt);
}

static bool wants_task(const struct wish *w, const struct control_task *t,
		       uint32_t now_s)
{
	if (w->state.len > 0 &&
	    !span_eq(w->state, span_str(state_of(t, now_s))))
		return false;
	return w->site.len == 0 || span_eq_nocase(w->site, span_str(t->site));
}

static bool is_open(const struct queue_task *t, uint32_t at)
{
	return (t->open[at / 64] >> (at % 64) & 1) != 0;
}

/* Open recipients of the task that the wish does not name. */
static uint32_t count_others(const struct wish *w, const struct queue_task *t,
			     const struct queue_view *view)
{
	struct queue_rcpt r;
	uint32_t at, n = 0;

	for (at = 0; w->rcpt.len > 0 && at < t->span; at++) {
		if (!is_open(t, at))
			continue;
		queue_view_rcpt(view, t->first + at, &r);
		n += !wants_rcpt(w, r.address);
	}
	return n;
}

/* To tell of it: its envelope does where the content is damaged. */
static int open_to_tell(struct queue *q, uint64_t id, uint64_t place,
			struct queue_view *view_r)
{
	int err = queue_message_open_at(q, id, place, view_r);

	return err == -EUCLEAN ? queue_envelope_open_at(q, id, place, view_r)
			       : err;
}

/* A message that cannot be opened has no words: its row says what is known. */
static struct queue_view unread(const struct control_task *t, uint32_t now_s)
{
	return (struct queue_view){
		.id = t->task.id,
		.tenant = span_str(t->words[0]),
		.campaign = span_str(t->words[1]),
		.flags = t->task.flags,
		.arrived_s = now_s,
	};
}

static uint32_t add_task(struct control *c, struct buf *out,
			 const struct wish *w, const struct control_task *t)
{
	uint32_t now_s = clock_mail_s(&c->e->clock), at, n = 0, others;
	struct queue_view view;
	struct queue_rcpt r = { .address = SPAN("") };
	int err;

	if (!wants_task(w, t, now_s))
		return 0;
	err = open_to_tell(c->e->queue, t->task.id, t->task.place, &view);
	if (err == -ENOENT)
		return 0; /* it has come to its end meanwhile */
	if (err < 0)
		view = unread(t, now_s);
	if (clock_since_s(now_s, view.arrived_s) < w->older_s) {
		if (err == 0)
			queue_message_close(c->e->queue, &view);
		return 0;
	}
	others = err < 0 ? 0 : count_others(w, &t->task, &view);
	for (at = 0; at < t->task.span; at++) {
		if (!is_open(&t->task, at))
			continue;
		if (err == 0)
			queue_view_rcpt(&view, t->task.first + at, &r);
		if (!wants_rcpt(w, r.address))
			continue;
		add_row(out, t, &view, r.address, now_s);
		admin_number(out, "rcpt", t->task.first + at);
		admin_number(out, "others", others);
		admin_end(out);
		n++;
	}
	if (err == 0)
		queue_message_close(c->e->queue, &view);
	return n;
}

static uint32_t add_tasks(struct control *c, struct buf *out,
			  const struct wish *w)
{
	uint32_t i, n = 0;

	for (i = 0; i < c->task_count; i++)
		n += add_task(c, out, w, &c->tasks[i]);
	return n;
}

/* --- requests -------------------------------------------------------------- */

static bool read_list(struct control *c, const struct admin_record *rec,
		      struct wish *w)
{
	*w = (struct wish){
		.rcpt = admin_text_of(rec, "rcpt"),
		.state = admin_text_of(rec, "state"),
		.site = admin_text_of(rec, "site"),
		.older_s = admin_number_of(rec, "older_s"),
	};
	c->filter = (struct queue_filter){
		.tenant = admin_text_of(rec, "tenant"),
		.campaign = admin_text_of(rec, "campaign"),
		.domain = admin_text_of(rec, "domain"),
	};
	c->cursor = (struct queue_list_cursor){
		.stage = (uint32_t)admin_number_of(rec, "stage"),
		.queue = (uint32_t)admin_number_of(rec, "queue"),
		.slot = (uint32_t)admin_number_of(rec, "slot"),
		.id = admin_number_of(rec, "id"),
		.next = (uint32_t)admin_number_of(rec, "next"),
	};
	return c->cursor.stage <= QUEUE_LIST_LOADED + 1 &&
	       c->cursor.next <= UINT16_MAX;
}

static void end_list(const struct control *c, struct buf *out)
{
	admin_begin(out, "ok");
	admin_number(out, "more", c->result > 0);
	admin_number(out, "stage", c->cursor.stage);
	admin_number(out, "queue", c->cursor.queue);
	admin_number(out, "slot", c->cursor.slot);
	admin_number(out, "id", c->cursor.id);
	admin_number(out, "next", c->cursor.next);
	admin_end(out);
}

int control_list(struct control *c, const struct admin_request *req)
{
	uint32_t rows = 0, pages = 0;
	struct wish w;
	int err;

	if (!read_list(c, &req->rec, &w)) {
		admin_error(req->out, EX_USAGE,
			    "this is no place in the queue");
		return 0;
	}
	do {
		err = control_job(c, list_page, c);
		if (err < 0)
			return err;
		rows += add_tasks(c, req->out, &w);
	} while (c->result > 0 && rows < ROWS && ++pages < PAGES_MAX);
	if (c->result < 0)
		admin_error(req->out, EX_IOERR, strerrordesc_np(-c->result));
	else
		end_list(c, req->out);
	return 0;
}

static void add_message(struct control *c, struct buf *out)
{
	uint32_t now_s = clock_mail_s(&c->e->clock);
	struct queue_view view;

	if (open_to_tell(c->e->queue, c->id, c->place, &view) < 0)
		return;
	begin_row(out, "message", &view, now_s);
	admin_number(out, "expires", view.expires_s);
	admin_number(out, "expires_in_s",
		     view.expires_s > now_s ? view.expires_s - now_s : 0);
	admin_end(out);
	queue_message_close(c->e->queue, &view);
}

int control_show(struct control *c, const struct admin_request *req)
{
	struct wish all = { .older_s = 0 };
	int err;

	if (msgid_parse(admin_text_of(&req->rec, "id"), &c->id) < 0) {
		admin_error(req->out, EX_DATAERR, "this is no id: 14 letters");
		return 0;
	}
	err = control_job(c, show_message, c);
	if (err < 0)
		return err;
	if (c->result == -ENOENT) {
		admin_error(req->out, EX_DATAERR,
			    "no message of this id is queued");
		return 0;
	}
	if (c->result < 0 && c->result != -EUCLEAN) {
		admin_error(req->out, EX_IOERR, strerrordesc_np(-c->result));
		return 0;
	}
	add_message(c, req->out);
	add_tasks(c, req->out, &all);
	admin_ok(req->out);
	return 0;
}
