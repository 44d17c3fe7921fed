/*
 * engine/control_decide.c - an operator's decision
 *
 *	request ─► log (durable) ─► the store has it in force, ahead of the log
 *	that it has not followed yet ─► what waits outside the queue is called
 *	back ─► "ok"
 *
 * The command's exit code 0 says: it holds from now on, whatever happens.  It
 * covers what was accepted before it is in the log, and nothing accepted after.
 */
#include "engine/control_private.h"

#include "base/msgid.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

static const struct {
	const char *word;
	enum queue_verb verb;
	bool call_back; /* what is loaded must come back for it */
} verbs[] = {
	{ "hold", QUEUE_VERB_HOLD, true },
	{ "release", QUEUE_VERB_RELEASE, false },
	{ "cancel", QUEUE_VERB_CANCEL, true },
	{ "retry", QUEUE_VERB_RETRY, false },
	{ "pause", QUEUE_VERB_PAUSE, true },
	{ "resume", QUEUE_VERB_RESUME, false },
};

static int by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* "id,id,id" in rising order; false: it is no such list. */
static bool read_ids(struct control *c, struct span text)
{
	struct queue_decision *dec = &c->decision;
	size_t len;
	ptrdiff_t comma;

	while (text.len > 0) {
		comma = span_find(text, ',');
		len = comma < 0 ? text.len : (size_t)comma;
		if (dec->id_count == QUEUE_DECISION_IDS_MAX ||
		    msgid_parse(span_of(text.p, len), &c->ids[dec->id_count]) <
			    0)
			return false;
		dec->id_count++;
		len += comma >= 0;
		text = span_of(text.p + len, text.len - len);
	}
	qsort(c->ids, dec->id_count, sizeof(c->ids[0]), by_number);
	dec->ids = c->ids;
	return true;
}

/* What is wrong with it; NULL: nothing. */
static const char *read_decision(struct control *c,
				 const struct admin_request *req,
				 bool *call_back_r)
{
	struct queue_decision *dec = &c->decision;
	struct span word = admin_text_of(&req->rec, "verb");
	size_t i;

	*dec = (struct queue_decision){
		.made_s = clock_mail_s(&c->e->clock),
		.tenant = admin_text_of(&req->rec, "tenant"),
		.campaign = admin_text_of(&req->rec, "campaign"),
		.domain = admin_text_of(&req->rec, "domain"),
	};
	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (span_eq(word, span_str(verbs[i].word))) {
			dec->verb = verbs[i].verb;
			*call_back_r = verbs[i].call_back;
		}
	if (dec->verb == 0)
		return "a decision is hold, release, cancel, retry, pause or "
		       "resume";
	if (dec->tenant.len > QUEUE_WORD_MAX ||
	    dec->campaign.len > QUEUE_WORD_MAX ||
	    dec->domain.len > QUEUE_WORD_MAX)
		return "a tenant, campaign or domain has at most 255 octets";
	if (!read_ids(c, admin_text_of(&req->rec, "ids")))
		return "the ids are not ids, or more than 1000";
	if (dec->id_count > 0 && dec->verb >= QUEUE_VERB_PAUSE)
		return "a pause is for queues, not for messages";
	snprintf(c->note, sizeof(c->note), "uid=%u pid=%d", req->uid, req->pid);
	dec->note = span_str(c->note);
	return NULL;
}

struct entering { /* the store takes the decision in */
	struct control *c;
	uint64_t lsn, recall;
	enum control_after after;
	bool in_force, done;
};

static void enter(struct queue *q, void *arg)
{
	struct entering *in = arg;
	struct storer *st = &in->c->e->storer;
	struct queue_decision *dec = &in->c->decision;
	struct queue_filter words = { dec->tenant, dec->campaign, dec->domain };

	/* Not after all of the log before it: that may be seconds of work. */
	if (!in->in_force && queue_store_decide(q, in->lsn, dec) < 0)
		return; /* the store ends, and the daemon with it */
	in->in_force = true;
	switch (in->after) {
	case CONTROL_NOTHING:
		in->done = true;
		break;
	case CONTROL_RECALL:
		in->done = storer_recall(st, &words, dec->ids, dec->id_count,
					 &in->recall);
		break;
	case CONTROL_SITES:
		in->done = storer_site_rule(st, dec->site);
		break;
	}
}

/* Durable: answer_r->lsn is its place in the log. */
static int write_down(struct control *c, struct decided_answer *answer_r)
{
	const struct queue_decision **out =
		lane_reserve(&c->e->logger.from_control, sizeof(*out));

	*out = &c->decision;
	lane_publish(&c->e->logger.from_control);
	return control_take(c, &c->e->logger.to_control, answer_r,
			    sizeof(*answer_r));
}

int control_make(struct control *c, enum control_after after, struct buf *out,
		 uint64_t *lsn_r)
{
	static struct entering in; /* outlives a wait that is given up */
	struct decided_answer made;
	char words[200];
	int err = write_down(c, &made);

	if (err < 0)
		return err;
	if (made.err < 0) {
		snprintf(words, sizeof(words),
			 "the decision could not be written: %s; nothing has "
			 "changed",
			 strerrordesc_np(-made.err));
		admin_error(out, EX_IOERR, words);
		return CONTROL_NOT_MADE;
	}
	in = (struct entering){ .c = c, .lsn = made.lsn, .after = after };
	while (err == 0 && !in.done)
		err = control_job(c, enter, &in);
	if (err == 0 && after == CONTROL_RECALL)
		err = control_recalled(c, in.recall);
	*lsn_r = made.lsn;
	return err;
}

int control_decide(struct control *c, const struct admin_request *req)
{
	const char *wrong;
	bool call_back = false;
	uint64_t lsn = 0;
	int rc;

	wrong = read_decision(c, req, &call_back);
	if (wrong != NULL) {
		admin_error(req->out, EX_USAGE, wrong);
		return 0;
	}
	rc = control_make(c, call_back ? CONTROL_RECALL : CONTROL_NOTHING,
			  req->out, &lsn);
	if (rc == CONTROL_NOT_MADE)
		return 0;
	admin_begin(req->out, "ok");
	admin_number(req->out, "lsn", lsn);
	admin_end(req->out);
	return rc;
}
