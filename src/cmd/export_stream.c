/*
 * cmd/export_stream.c - what is open in a spool, as frames
 *
 *	BEGIN  a DECISION for each pause in force
 *	for each message, ids rising:  MESSAGE CONTENT...  or, when its octets
 *	are damaged and cannot be sent anyway, LEFT
 *	(the mark says that a whole export exists)  END
 */
#include "cmd/export.h"

#include "base/msgid.h"
#include "report/event.h"
#include "report/eventlog.h"

#include <errno.h>
#include <stdio.h>

#define DRAW_EVERY 256u

struct streaming {
	const struct export_stream *x;
	struct export_totals *t;
	struct buf payload;
	struct queue_export *open;
};

static int give(struct streaming *s, enum transfer_type type,
		struct span payload)
{
	struct transfer_frame frame = { type, payload };

	if (s->x->sink.put == NULL)
		return 0;
	return s->x->sink.put(s->x->sink.arg, &frame);
}

static int give_payload(struct streaming *s, enum transfer_type type)
{
	int err = s->payload.failed;

	if (err == 0)
		err = give(s, type, buf_span(&s->payload));
	buf_clear(&s->payload);
	return err;
}

static int begin(struct streaming *s)
{
	const struct export_spool *spool = s->x->spool;
	struct transfer_begin b = {
		.wall_s = clock_wall_ms() / 1000,
		.mail_s = clock_mail_s(&spool->clock),
		.messages = queue_export_count(s->open),
		.hostname = s->x->hostname,
		.spool = span_str(spool->dir),
		.version = SPAN(MTAQ_VERSION),
	};

	memcpy(b.uuid, spool->mark.uuid, sizeof(b.uuid));
	transfer_begin_put(&b, &s->payload);
	return give_payload(s, TRANSFER_BEGIN);
}

static int give_decisions(struct streaming *s)
{
	struct queue_decision d;
	uint64_t lsn;
	uint32_t n;
	int err = 0;

	for (n = 0; err == 0 &&
		    queue_store_decision(s->x->spool->queue, n, &lsn, &d) == 0;
	     n++) {
		if (d.verb != QUEUE_VERB_PAUSE &&
		    d.verb != QUEUE_VERB_SITE_PAUSE)
			continue; /* only when nothing is settled: a dry run */
		s->t->pauses++;
		transfer_decision_put(&d, &s->payload);
		err = give_payload(s, TRANSFER_DECISION);
	}
	return err;
}

/* --- messages ---------------------------------------------------------------- */

static void count_states(struct export_totals *t,
			 const struct queue_exported *item)
{
	uint32_t i;

	for (i = 0; i < item->count; i++) {
		uint32_t slot = item->stands[i].slot;

		t->held += slot == QUEUE_SLOT_HELD;
		t->damaged += slot == QUEUE_SLOT_DAMAGED;
		t->waiting += slot < QUEUE_SLOT_DAMAGED;
	}
	t->recipients += item->count;
}

static int give_content(struct streaming *s, const struct queue_view *view)
{
	const struct iovec *v = view->content;
	int i, err = 0;
	size_t at, len;

	for (i = 0; i < view->content_count; i++)
		for (at = 0; err == 0 && at < v[i].iov_len; at += len) {
			len = v[i].iov_len - at;
			if (len > QUEUE_PART_MAX)
				len = QUEUE_PART_MAX;
			err = give(s, TRANSFER_CONTENT,
				   span_of((char *)v[i].iov_base + at, len));
		}
	return err;
}

static int give_message(struct streaming *s, const struct queue_view *view,
			const struct queue_exported *item)
{
	struct transfer_message m = { .id = view->id,
				      .size = view->size,
				      .arrived_s = view->arrived_s,
				      .expires_s = item->expires_s,
				      .flags = view->flags,
				      .rcpt_count = item->count,
				      .tenant = view->tenant,
				      .campaign = view->campaign,
				      .sender = view->sender,
				      .params = view->params };
	struct transfer_rcpt r;
	uint32_t i;
	int err;

	transfer_message_put(&m, &s->payload);
	for (i = 0; i < item->count; i++) {
		queue_view_rcpt(view, item->rcpts[i], &r.rcpt);
		r.stand = item->stands[i];
		transfer_rcpt_put(&r, &s->payload);
	}
	err = give_payload(s, TRANSFER_MESSAGE);
	if (err == 0)
		err = give_content(s, view);
	s->t->messages++;
	s->t->octets += view->size;
	count_states(s->t, item);
	return err;
}

/* Its octets are wrong; it stays where it is, and is told of. */
static int leave(struct streaming *s, const struct queue_exported *item,
		 int why)
{
	struct transfer_left left = {
		.id = item->id,
		.rcpt_count = item->count,
		.why = span_str(why == -EUCLEAN
					? "its stored octets are damaged"
					: "it is not where it was"),
	};
	char id[MSGID_LEN + 1];

	msgid_print(item->id, id);
	buf_printf(&s->t->left_words, "%s: %.*s, %u recipients\n", id,
		   (int)left.why.len, left.why.p, item->count);
	s->t->left++;
	s->t->left_recipients += item->count;
	transfer_left_put(&left, &s->payload);
	return give_payload(s, TRANSFER_LEFT);
}

static int give_item(struct streaming *s, const struct queue_exported *item)
{
	struct queue *q = s->x->spool->queue;
	struct queue_view view;
	int err = queue_message_open_at(q, item->id, item->place, &view);

	if (err == -EUCLEAN || err == -ENOENT)
		return leave(s, item, err);
	if (err < 0) /* may pass: a disk that cannot be read, memory */
		return err;
	err = give_message(s, &view, item);
	queue_message_close(q, &view);
	return err;
}

static int give_all(struct streaming *s)
{
	const struct export_progress *p = &s->x->progress;
	uint64_t done = 0, all = queue_export_count(s->open);
	struct queue_exported item;
	int rc;

	while ((rc = queue_export_next(s->open, &item)) == 1) {
		rc = give_item(s, &item);
		if (rc < 0)
			break;
		if (p->draw != NULL && ++done % DRAW_EVERY == 0)
			p->draw(p->arg, done, all);
	}
	return rc;
}

static int end(struct streaming *s, char words[EXPORT_WORDS])
{
	const struct export_totals *t = s->t;
	struct transfer_end e = { t->messages, t->recipients, t->octets,
				  t->left };
	int err = 0;

	/* Before the octets that make it whole can reach anybody. */
	if (s->x->whole && s->x->spool->mark.whole_s == 0) {
		s->x->spool->mark.whole_s = clock_wall_ms() / 1000;
		err = export_spool_note(s->x->spool, words);
	}
	if (err < 0)
		return err;
	transfer_end_put(&e, &s->payload);
	return give_payload(s, TRANSFER_END);
}

int export_stream(const struct export_stream *x, struct export_totals *totals_r,
		  char words[EXPORT_WORDS])
{
	struct streaming s = { .x = x, .t = totals_r };
	int err;

	*totals_r = (struct export_totals){ .messages = 0 };
	words[0] = '\0';
	buf_init(&totals_r->left_words, 64u << 10);
	buf_init(&s.payload, TRANSFER_FRAME_MAX);
	err = queue_export_begin(x->spool->queue, QUEUE_EXPORT_TASKS, &s.open);
	if (err == 0) {
		err = begin(&s);
		if (err == 0)
			err = give_decisions(&s);
		if (err == 0)
			err = give_all(&s);
		if (err == 0)
			err = end(&s, words);
		queue_export_end(&s.open);
	}
	buf_free(&s.payload);
	return err;
}

/* --- events -------------------------------------------------------------------- */

static int tell(struct eventlog *log, const struct export_spool *s,
		const struct queue_view *view,
		const struct queue_exported *item)
{
	struct event_exported e = { .msg = view,
				    .spool = s->mark.uuid,
				    .wall_ms = s->mark.made_s * 1000 };
	uint32_t i;
	int err = 0;

	for (i = 0; err == 0 && i < item->count; i++) {
		e.rcpt = item->rcpts[i];
		e.attempts = item->stands[i].attempts;
		err = eventlog_exported(log, &e);
	}
	return err;
}

static int tell_all(struct eventlog *log, struct export_spool *s)
{
	struct queue_export *open;
	struct queue_exported item;
	struct queue_view view;
	int err, rc = queue_export_begin(s->queue, QUEUE_EXPORT_TASKS, &open);

	if (rc < 0)
		return rc;
	while ((rc = queue_export_next(open, &item)) == 1) {
		err = queue_message_open_at(s->queue, item.id, item.place,
					    &view);
		if (err == -EUCLEAN || err == -ENOENT)
			continue; /* it stays here */
		rc = err == 0 ? tell(log, s, &view, &item) : err;
		if (err == 0)
			queue_message_close(s->queue, &view);
		if (rc < 0)
			break;
	}
	queue_export_end(&open);
	return rc;
}

int export_events(struct export_spool *s, const struct settings *set,
		  char words[EXPORT_WORDS])
{
	return export_events_write(s, set, tell_all, words);
}
