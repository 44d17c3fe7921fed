/*
 * smtp/report.c - events: telling the caller what happened
 *
 * Order: recipients, then mails that are done, then the answers of a judged
 * group one by one, then TLS, READY, CLOSE.  All but the recipients wait
 * while a batch is lent: under io_uring a reply can overtake the completion of
 * the send that it answers, and the kernel may still be reading the mail.
 */
#include "smtp/session_private.h"

static struct smtp_tx *first_to_tell(const struct smtp_session *s)
{
	struct smtp_tx *tx;

	for (tx = s->done; tx != NULL; tx = tx->next)
		if (tx->tell_count > 0)
			return tx;
	/* Behind a dot nothing is told before the group is judged. */
	return s->cur != NULL && s->cur->tell_count > 0 ? s->cur : NULL;
}

bool report_end_due(const struct smtp_session *s)
{
	if (first_to_tell(s) != NULL || group_due(s))
		return true;
	return !s->lent && (s->done != NULL || s->tell != 0);
}

static void tell_rcpt(struct smtp_session *s, struct smtp_tx *tx,
		      struct smtp_event *ev)
{
	uint32_t i = tx->tell_from;

	while (tx->rcpt[i] != RCPT_TELL)
		i++;
	BUG_ON(i >= tx->mail.rcpt_count);
	tx->rcpt[i] = RCPT_TOLD;
	tx->tell_from = i + 1;
	tx->tell_count--;
	*ev = (struct smtp_event){ .type = SMTP_EV_RCPT,
				   .tag = tx->mail.tag,
				   .rcpt = i,
				   .verdict = s->verdict };
	if (tx->broke)
		ev->verdict = (struct smtp_verdict){
			.result = tx->broke_result,
			.stage = tx->broke_stage,
			.text = span_str(s->why),
		};
}

static void tell_done(struct smtp_session *s, struct smtp_event *ev)
{
	struct smtp_tx *tx = s->done;

	*ev = (struct smtp_event){ .type = SMTP_EV_MAIL_DONE,
				   .tag = tx->mail.tag };
	s->done = tx->next;
	if (s->done == NULL)
		s->tail = &s->done;
	pool_tx_free(s->pool, &tx);
}

static void tell_close(struct smtp_session *s, struct smtp_event *ev)
{
	*ev = (struct smtp_event){
		.type = SMTP_EV_CLOSE,
		.verdict = s->verdict,
		.carried = s->carried,
		.idle = s->idle,
		.distrust = s->distrust,
		.in_group = s->in_group,
		.no_chunks = s->no_chunks,
	};
	if (s->unsure) { /* s->verdict is the last answer's, for its mail */
		ev->verdict.result = SMTP_UNSURE;
		ev->verdict.stage = SMTP_STAGE_EOD;
	}
}

static bool tell_session(struct smtp_session *s, struct smtp_event *ev)
{
	if (s->tell & TELL_CLOSE)
		tell_close(s, ev);
	else if (s->tell & TELL_TLS)
		*ev = (struct smtp_event){ .type = SMTP_EV_TLS };
	else if (s->tell & TELL_READY)
		*ev = (struct smtp_event){ .type = SMTP_EV_READY };
	else
		return false;
	s->tell = 0; /* one at a time: see session_set_state() */
	return true;
}

/* The last answer's words are read: give its buffer back. */
static void drop_reply(struct smtp_session *s)
{
	if (s->reply.buf != NULL && s->reply.bytes == 0 &&
	    s->state != ST_CLOSED)
		pool_reply_free(s->pool, &s->reply.buf);
}

bool smtp_session_event(struct smtp_session *s, struct smtp_event *event_r)
{
	struct smtp_tx *tx;

	for (;;) {
		tx = first_to_tell(s);
		if (tx != NULL) {
			tell_rcpt(s, tx, event_r);
			return true;
		}
		if (s->done != NULL && !s->lent) {
			tell_done(s, event_r);
			return true;
		}
		if (!group_due(s))
			break;
		group_apply(s);
	}
	if (!s->lent && tell_session(s, event_r))
		return true;
	drop_reply(s);
	return false;
}
