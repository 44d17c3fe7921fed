/*
 * cmd/adopt_take.c - frames become messages of this spool
 *
 *	BEGIN ──► (DECISION)... ──► (LEFT | MESSAGE CONTENT...)... ──► END
 *
 * A message is put whole, with the state of each recipient in the same record,
 * under (uuid of the exported spool, its id there).  Ids rise, and the queue
 * knows the highest that it took of a submission, for good when it adopted
 * it: so whatever was durable when this process died is skipped the next time,
 * and nothing is doubled.
 */
#include "cmd/adopt.h"

#include "base/msgid.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define GROUP_OCTETS (8u << 20)
#define GROUP_MAX    4096u
#define DELTAS_MAX   200000u
#define SHIFT_LEAST  5 /* seconds that do not count */
#define FIRST_NUMBER 1

struct adopt_take {
	struct queue *q; /* NULL: only check */
	const struct clock *clock;
	uint32_t part_max;
	enum {
		TAKE_BEGIN,   /* BEGIN is to come */
		TAKE_ITEMS,   /* decisions, messages, END */
		TAKE_CONTENT, /* the rest of a message's content */
		TAKE_WHOLE    /* END was there */
	} state;
	struct transfer_begin begin;
	struct buf begin_text; /* what its words lie in */
	struct adopt_totals totals;
	struct transfer_end seen; /* counted, to be compared with END */
	uint64_t last_id;
	bool again; /* some of it was taken before */
	/* The message at hand: its envelope borrows from envelope. */
	struct buf envelope;
	struct transfer_message m;
	bool skip;
	char last; /* octet of its content */
	char *content;
	uint64_t got;
	struct queue_rcpt rcpts[QUEUE_RCPTS_MAX];
	struct queue_stand stands[QUEUE_RCPTS_MAX];
	/* Contents that are lent to the log until the commit. */
	void *lent[GROUP_MAX];
	uint32_t lent_count;
	uint64_t group_octets, group_messages, group_recipients;
	char words[256];
};

int adopt_take_new(struct queue *q, const struct clock *clock,
		   uint32_t segment_bytes, struct adopt_take **take_r)
{
	struct adopt_take *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return -ENOMEM;
	t->q = q;
	t->clock = clock;
	/* Four parts fit into the smallest segment. */
	t->part_max = segment_bytes / 4 < QUEUE_PART_MAX ? segment_bytes / 4
							 : QUEUE_PART_MAX;
	buf_init(&t->begin_text, TRANSFER_FRAME_MAX);
	buf_init(&t->envelope, TRANSFER_FRAME_MAX);
	buf_init(&t->totals.words, 64u << 10);
	buf_init(&t->totals.site_words, 64u << 10);
	*take_r = t;
	return 0;
}

static void give_back(struct adopt_take *t)
{
	while (t->lent_count > 0)
		free(t->lent[--t->lent_count]);
	t->group_octets = t->group_messages = t->group_recipients = 0;
}

void adopt_take_free(struct adopt_take **take)
{
	struct adopt_take *t = *take;

	*take = NULL;
	if (t == NULL)
		return;
	give_back(t);
	free(t->content);
	buf_free(&t->begin_text);
	buf_free(&t->envelope);
	buf_free(&t->totals.words);
	buf_free(&t->totals.site_words);
	free(t);
}

bool adopt_take_whole(const struct adopt_take *t)
{
	return t->state == TAKE_WHOLE;
}

const struct transfer_begin *adopt_take_begin(const struct adopt_take *t)
{
	return &t->begin;
}

struct adopt_totals *adopt_take_totals(struct adopt_take *t)
{
	return &t->totals;
}

const char *adopt_take_words(const struct adopt_take *t)
{
	return t->words;
}

static int bad(struct adopt_take *t, const char *what)
{
	snprintf(t->words, sizeof(t->words), "%s", what);
	return -EBADMSG;
}

/* --- the group ------------------------------------------------------------------ */

/* What was put is durable, and the store has taken it in. */
static int commit(struct adopt_take *t, struct queue_committed *done)
{
	uint32_t now_s = clock_mail_s(t->clock);
	struct queue_counts counts;
	int err = queue_commit(t->q, done), rc;

	if (err < 0)
		return err;
	t->totals.messages += t->group_messages;
	t->totals.recipients += t->group_recipients;
	t->totals.octets += t->group_octets;
	give_back(t);
	while ((rc = queue_store_apply(t->q, now_s)) == 1)
		;
	if (rc < 0)
		return rc;
	queue_store_counts(t->q, &counts);
	if (counts.deltas < DELTAS_MAX)
		return 0;
	return queue_store_checkpoint(t->q, now_s);
}

int adopt_take_end(struct adopt_take *t)
{
	struct queue_committed done;

	return t->q == NULL ? 0 : commit(t, &done);
}

/* --- a message --------------------------------------------------------------------- */

static uint32_t shifted(const struct adopt_take *t, uint32_t at_s)
{
	int64_t s = (int64_t)at_s + t->totals.shift_s;

	return s < 1                     ? 1
	       : s >= QUEUE_SLOT_DAMAGED ? QUEUE_SLOT_DAMAGED - 1
					 : (uint32_t)s;
}

static void fill_rcpts(struct adopt_take *t)
{
	struct span rest = t->m.rcpts;
	struct transfer_rcpt r;
	uint32_t i;

	for (i = 0; i < t->m.rcpt_count; i++) {
		transfer_rcpt_get(&rest, &r);
		t->rcpts[i] = r.rcpt;
		t->stands[i] = r.stand;
		if (r.stand.slot < QUEUE_SLOT_DAMAGED)
			t->stands[i].slot = shifted(t, r.stand.slot);
	}
}

/* What is staged of it points to octets that go with the message. */
static int give_up(struct adopt_take *t, uint64_t id, int err)
{
	struct queue_committed done;

	if (queue_put_abandon(t->q, id) == -EAGAIN && commit(t, &done) == 0)
		(void)queue_put_abandon(t->q, queue_lsn_final(&done, id));
	(void)commit(t, &done);
	return err;
}

/* A large message, part by part. */
static int put_parts(struct adopt_take *t, struct queue_message *msg)
{
	struct iovec v = { t->content, t->part_max };
	uint64_t id, at = t->part_max;
	struct queue_committed done;
	int err = commit(t, &done);

	msg->content = &v;
	if (err == 0)
		err = queue_put_message(t->q, msg, &id);
	if (err < 0)
		return err;
	while (at < msg->size) {
		v.iov_base = t->content + at;
		v.iov_len = msg->size - at < t->part_max
				    ? (size_t)(msg->size - at)
				    : t->part_max;
		err = queue_put_part(t->q, id, at, &v, 1);
		if (err == -EAGAIN) {
			err = commit(t, &done);
			if (err < 0)
				return err;
			id = queue_lsn_final(&done, id);
			continue;
		}
		if (err < 0)
			return give_up(t, id, err);
		at += v.iov_len;
	}
	t->group_messages = 1; /* at once: its octets are not lent longer */
	t->group_recipients = msg->rcpt_count;
	t->group_octets = msg->size;
	return commit(t, &done);
}

static int put_small(struct adopt_take *t, struct queue_message *msg)
{
	struct iovec v = { t->content, (size_t)msg->size };
	struct queue_committed done;
	uint64_t id;
	int err = 0;

	if (t->lent_count == GROUP_MAX || t->group_octets >= GROUP_OCTETS)
		err = commit(t, &done);
	msg->content = &v;
	if (err == 0)
		err = queue_put_message(t->q, msg, &id);
	if (err == -EAGAIN) {
		err = commit(t, &done);
		if (err == 0)
			err = queue_put_message(t->q, msg, &id);
	}
	if (err < 0)
		return err;
	t->lent[t->lent_count++] = t->content;
	t->content = NULL;
	t->group_messages++;
	t->group_recipients += msg->rcpt_count;
	t->group_octets += msg->size;
	return 0;
}

static int put_message(struct adopt_take *t)
{
	const struct transfer_message *m = &t->m;
	struct queue_message msg = {
		.number = m->id,
		.tenant = m->tenant,
		.campaign = m->campaign,
		.sender = m->sender,
		.params = m->params,
		.rcpts = t->rcpts,
		.rcpt_count = m->rcpt_count,
		.arrived_s = shifted(t, m->arrived_s),
		.due_s = clock_mail_s(t->clock),
		.expires_s = shifted(t, m->expires_s),
		.flags = m->flags,
		.content_count = 1,
		.size = m->size,
		.stands = t->stands,
		.adopted_s = clock_mail_s(t->clock),
	};
	int err;

	memcpy(msg.submission, t->begin.uuid, sizeof(msg.submission));
	fill_rcpts(t);
	err = m->size > t->part_max ? put_parts(t, &msg) : put_small(t, &msg);
	if (err == -EMSGSIZE || err == -EINVAL) {
		char id[MSGID_LEN + 1];

		msgid_print(m->id, id);
		snprintf(t->words, sizeof(t->words),
			 "message %s does not fit into this spool "
			 "(queue.segment_bytes)",
			 id);
	}
	return err;
}

/* All octets of the message are there. */
static int message_whole(struct adopt_take *t)
{
	int err = 0;

	if (t->m.size > 0 && t->last != '\n')
		return bad(t, "a message does not end with CRLF");
	t->state = TAKE_ITEMS;
	t->seen.messages++;
	t->seen.recipients += t->m.rcpt_count;
	t->seen.octets += t->m.size;
	if (t->skip)
		t->totals.known++;
	else if (t->q != NULL)
		err = put_message(t);
	free(t->content);
	t->content = NULL;
	return err;
}

static int take_message(struct adopt_take *t, struct span payload)
{
	uint64_t id;
	int rc = 0;

	buf_clear(&t->envelope);
	if (buf_add_span(&t->envelope, payload) < 0)
		return -ENOMEM;
	if (transfer_message_get(buf_span(&t->envelope), &t->m) < 0)
		return bad(t, "a message makes no sense");
	if (t->m.id <= t->last_id)
		return bad(t, "the messages are not in their order");
	t->last_id = t->m.id;
	if (t->q != NULL)
		rc = queue_store_submitted(t->q, t->begin.uuid, t->m.id, &id);
	if (rc < 0)
		return rc;
	t->skip = rc == 1;
	t->last = '\0';
	t->got = 0;
	t->state = TAKE_CONTENT;
	if (t->q != NULL && !t->skip) {
		t->content = malloc(t->m.size > 0 ? (size_t)t->m.size : 1);
		if (t->content == NULL)
			return -ENOMEM;
	}
	return t->m.size > 0 ? 0 : message_whole(t);
}

static int take_content(struct adopt_take *t, struct span payload)
{
	if (payload.len == 0 || payload.len > t->m.size - t->got)
		return bad(t, "a message has more octets than it should");
	if (!transfer_content_ok(payload, &t->last))
		return bad(t, "a message has a line that does not end with "
			      "CRLF, or a NUL");
	if (t->content != NULL)
		memcpy(t->content + t->got, payload.p, payload.len);
	t->got += payload.len;
	return t->got < t->m.size ? 0 : message_whole(t);
}

/* --- the rest ------------------------------------------------------------------------ */

/*
 * The two nodes count mail time from clocks of their own.  What passed between
 * the two moments is taken from the wall clocks, and not less than nothing.
 */
static void find_shift(struct adopt_take *t)
{
	int64_t wall_s = (int64_t)(clock_wall_ms() / 1000);
	int64_t passed = wall_s - (int64_t)t->begin.wall_s;
	int64_t there = (int64_t)t->begin.mail_s + (passed > 0 ? passed : 0);
	int64_t shift = (int64_t)clock_mail_s(t->clock) - there;

	if (shift > SHIFT_LEAST || shift < -SHIFT_LEAST)
		t->totals.shift_s = shift;
}

static int take_begin(struct adopt_take *t, struct span payload)
{
	static const uint8_t none[16];
	uint64_t id;
	int rc = 0;

	if (buf_add_span(&t->begin_text, payload) < 0)
		return -ENOMEM;
	if (transfer_begin_get(buf_span(&t->begin_text), &t->begin) < 0 ||
	    memcmp(t->begin.uuid, none, sizeof(none)) == 0)
		return bad(t, "its beginning makes no sense");
	t->state = TAKE_ITEMS;
	if (t->clock != NULL)
		find_shift(t);
	if (t->q != NULL)
		rc = queue_store_submitted(t->q, t->begin.uuid, FIRST_NUMBER,
					   &id);
	t->again = rc == 1;
	return rc < 0 ? rc : 0;
}

static bool in_force(struct queue *q, const struct queue_decision *d)
{
	struct queue_decision other;
	uint64_t lsn;
	uint32_t n;

	for (n = 0; queue_store_decision(q, n, &lsn, &other) == 0; n++)
		if (other.verb == d->verb && span_eq(other.tenant, d->tenant) &&
		    span_eq(other.campaign, d->campaign) &&
		    span_eq(other.domain, d->domain))
			return true;
	return false;
}

/*
 * A pause of mail holds that mail here too: it is durable with the first
 * message or before.  That of a site is about the other node's addresses, and
 * is only told.  Once some of the mail was taken the operator here may have
 * resumed it.
 */
static int take_decision(struct adopt_take *t, struct span payload)
{
	static const char note[] = "adopted";
	struct queue_decision d;
	uint64_t lsn;

	if (t->last_id != 0 || transfer_decision_get(payload, &d) < 0)
		return bad(t, "a decision makes no sense");
	if (d.verb == QUEUE_VERB_SITE_PAUSE) {
		buf_printf(&t->totals.site_words, "%.*s\n", (int)d.site.len,
			   d.site.p);
		return 0;
	}
	if (t->again || (t->q != NULL && in_force(t->q, &d))) {
		t->totals.pauses_known++;
		return 0;
	}
	t->totals.pauses++;
	buf_printf(&t->totals.words,
		   "paused here too: tenant '%.*s', campaign '%.*s', domain "
		   "'%.*s' (empty: any)\n",
		   (int)d.tenant.len, d.tenant.p, (int)d.campaign.len,
		   d.campaign.p, (int)d.domain.len, d.domain.p);
	if (t->q == NULL)
		return 0;
	d.note = span_str(note);
	d.made_s = clock_mail_s(t->clock);
	return queue_put_decision(t->q, &d, &lsn);
}

static int take_left(struct adopt_take *t, struct span payload)
{
	char id[MSGID_LEN + 1];
	struct transfer_left l;

	if (transfer_left_get(payload, &l) < 0)
		return bad(t, "a note makes no sense");
	msgid_print(l.id, id);
	buf_printf(&t->totals.words,
		   "left at the other node: %s (%u recipients): %.*s\n", id,
		   l.rcpt_count, (int)l.why.len, l.why.p);
	t->seen.left++;
	t->totals.left++;
	return 0;
}

static int take_end(struct adopt_take *t, struct span payload)
{
	struct transfer_end e;

	if (transfer_end_get(payload, &e) < 0 ||
	    e.messages != t->seen.messages ||
	    e.recipients != t->seen.recipients || e.octets != t->seen.octets ||
	    e.left != t->seen.left)
		return bad(t, "it is not whole: its counts do not fit");
	t->state = TAKE_WHOLE;
	if (t->q == NULL) {
		t->totals.messages = e.messages;
		t->totals.recipients = e.recipients;
		t->totals.octets = e.octets;
	}
	return 0;
}

int adopt_take_put(void *take, const struct transfer_frame *frame)
{
	struct adopt_take *t = take;

	if (t->state == TAKE_BEGIN && frame->type == TRANSFER_BEGIN)
		return take_begin(t, frame->payload);
	if (t->state == TAKE_CONTENT && frame->type == TRANSFER_CONTENT)
		return take_content(t, frame->payload);
	if (t->state == TAKE_ITEMS && frame->type == TRANSFER_DECISION)
		return take_decision(t, frame->payload);
	if (t->state == TAKE_ITEMS && frame->type == TRANSFER_MESSAGE)
		return take_message(t, frame->payload);
	if (t->state == TAKE_ITEMS && frame->type == TRANSFER_LEFT)
		return take_left(t, frame->payload);
	if (t->state == TAKE_ITEMS && frame->type == TRANSFER_END)
		return take_end(t, frame->payload);
	return bad(t, "its frames are in an order that no export has");
}
