/*
 * site/plan.c - what becomes of a recipient
 *
 *	verdict                     stage            plan
 *	ACCEPTED                    any              delivered
 *	UNSURE                      dot              later, alone; held at 5
 *	AGAIN                       RCPT             next transaction, twice
 *	any                         before MAIL      put back: the host's affair
 *	no answer, 421              MAIL             put back (rules 5, 9)
 *	about the session           MAIL, not first  put back (rule 5)
 *	4yz, no answer              MAIL and later   the schedule
 *	5yz                         MAIL and later   bounce
 */
#include "site/plan.h"

#include "base/bug.h"

static uint8_t plus_one(uint8_t n)
{
	return n < UINT8_MAX ? (uint8_t)(n + 1) : n;
}

/* An attempt was made: later, unless its time is over. */
static void plan_later(const struct backoff_settings *set,
		       const struct plan_ask *ask, enum backoff_kind kind,
		       uint32_t least_s, struct plan *plan)
{
	struct backoff_ask when = {
		.kind = kind,
		.attempt = plan->attempts,
		.unsure = plan->unsure,
		.least_s = least_s,
		.queue_hash = ask->queue_hash,
		.epoch = ask->epoch,
		.old_slot = ask->slot,
		.now_s = ask->now_s,
	};

	plan->backoff = kind;
	if (ask->now_s >= ask->expires_s) {
		plan->act = PLAN_EXPIRE;
		return;
	}
	plan->act = PLAN_RETRY;
	plan->slot = backoff_slot(set, &when);
}

static void plan_scheduled(const struct backoff_settings *set,
			   const struct plan_ask *ask, struct plan *plan)
{
	enum backoff_kind kind = BACKOFF_RETRY;

	if (ask->class->kind == REPLY_GREYLIST)
		kind = BACKOFF_GREYLIST;
	else if (ask->class->kind == REPLY_MAILBOX_FULL)
		kind = BACKOFF_MAILBOX_FULL;
	plan_later(set, ask, kind, ask->class->retry_s, plan);
}

/* Rule 17: the server may have the mail. */
static void plan_unsure(const struct backoff_settings *set,
			const struct plan_ask *ask, struct plan *plan)
{
	plan->unsure = plus_one(plan->unsure);
	if (backoff_unsure_spent(set, plan->unsure))
		plan->act = PLAN_HOLD;
	else
		plan_later(set, ask, BACKOFF_UNSURE, 0, plan);
}

static void plan_put_back(const struct plan_ask *ask, struct plan *plan)
{
	plan->act = PLAN_PUT_BACK;
	plan->attempts = ask->attempts;
}

/* Did the server end the session, or say that it had its share, before it
 * judged this mail? */
static bool ended_at_mail(const struct plan_ask *ask)
{
	const struct smtp_verdict *v = ask->verdict;

	if (v->stage != SMTP_STAGE_MAIL)
		return false;
	return v->result == SMTP_LOST || v->code == 0 || v->code == 421 ||
	       (ask->class->scope == SCOPE_SESSION && ask->session_carried);
}

/* Rule 5 charges nothing.  On a fresh session it is the host's failure, but
 * a mail that makes hosts hang up must not stop its site for ever. */
static void plan_ended_at_mail(const struct backoff_settings *set,
			       const struct plan_ask *ask, struct plan *plan)
{
	if (ask->session_carried) {
		plan_put_back(ask, plan);
	} else if (ask->moves < PLAN_MOVES_MAX) {
		plan_put_back(ask, plan);
		plan->moves = plus_one(ask->moves);
	} else {
		plan_scheduled(set, ask, plan);
	}
}

void plan_recipient(const struct backoff_settings *set,
		    const struct plan_ask *ask, struct plan *plan_r)
{
	const struct smtp_verdict *v = ask->verdict;
	struct plan plan = { .attempts = plus_one(ask->attempts),
			     .unsure = ask->unsure,
			     .moves = ask->moves };

	BUG_ON((unsigned)v->result >= SMTP_RESULT_COUNT);
	if (v->result == SMTP_ACCEPTED)
		plan.act = PLAN_DELIVERED;
	else if (v->result == SMTP_UNSURE)
		plan_unsure(set, ask, &plan);
	else if (v->stage < SMTP_STAGE_MAIL)
		plan_put_back(ask, &plan);
	else if (ended_at_mail(ask))
		plan_ended_at_mail(set, ask, &plan);
	else if (v->result == SMTP_AGAIN &&
		 (ask->any_accepted || ask->again < PLAN_AGAIN_MAX)) {
		plan_put_back(ask, &plan);
		plan.act = PLAN_AGAIN;
	} else if (v->result == SMTP_REJECTED)
		plan.act = PLAN_BOUNCE;
	else
		plan_scheduled(set, ask, &plan);
	*plan_r = plan;
}

void plan_local(const struct backoff_settings *set, const struct plan_ask *ask,
		enum local_rule rule, struct plan *plan_r)
{
	struct plan plan = { .attempts = ask->attempts,
			     .unsure = ask->unsure,
			     .moves = ask->moves };

	BUG_ON(rule == LOCAL_NONE || (unsigned)rule >= LOCAL_RELEASED);
	if (rule == LOCAL_DNS || rule == LOCAL_UNTRIED) {
		plan.attempts = plus_one(ask->attempts);
		plan_later(set, ask, BACKOFF_RETRY, 0, &plan);
	} else {
		plan.act = rule == LOCAL_EXPIRED ? PLAN_EXPIRE : PLAN_BOUNCE;
	}
	*plan_r = plan;
}

static const struct local {
	struct smtp_enhanced enhanced;
	const char *words;
} locals[LOCAL_RULE_COUNT] = {
	[LOCAL_NONE] = { { 0, 0, 0 }, "" },
	[LOCAL_NXDOMAIN] = { { 5, 1, 2 }, "the domain does not exist" },
	[LOCAL_NULL_MX] = { { 5, 1, 10 }, "the domain accepts no mail" },
	[LOCAL_NO_ADDRESS] = { { 5, 4, 4 },
			       "no mail host of the domain has an address" },
	[LOCAL_LOOP] = { { 5, 4, 6 },
			 "the mail hosts of the domain lead back to us" },
	[LOCAL_SIZE] = { { 5, 3, 4 },
			 "the message is larger than any host takes" },
	[LOCAL_UTF8] = { { 5, 6, 7 }, "the host takes no UTF-8 addresses" },
	[LOCAL_EXPIRED] = { { 4, 4, 7 }, "the age limit is reached" },
	[LOCAL_DNS] = { { 4, 4, 3 }, "the resolver gave no answer" },
	[LOCAL_EIGHTBIT] = { { 5, 6, 3 },
			     "the content is 8-bit and the host takes 7-bit "
			     "only" },
	[LOCAL_UNTRIED] = { { 4, 4, 1 },
			    "no host that may take this message can be tried "
			    "now" },
	[LOCAL_RELEASED] = { { 0, 0, 0 }, "released by an operator" },
	[LOCAL_RETRIED] = { { 0, 0, 0 },
			    "to be tried at once, by an operator" },
};

struct smtp_enhanced plan_local_enhanced(enum local_rule rule)
{
	BUG_ON((unsigned)rule >= LOCAL_RULE_COUNT);
	return locals[rule].enhanced;
}

const char *plan_local_words(enum local_rule rule)
{
	BUG_ON((unsigned)rule >= LOCAL_RULE_COUNT);
	return locals[rule].words;
}

const char *plan_act_name(enum plan_act act)
{
	static const char *const names[PLAN_ACT_COUNT] = {
		[PLAN_DELIVERED] = "delivered", [PLAN_RETRY] = "retry",
		[PLAN_AGAIN] = "again",         [PLAN_PUT_BACK] = "put-back",
		[PLAN_BOUNCE] = "bounce",       [PLAN_EXPIRE] = "expire",
		[PLAN_HOLD] = "hold",
	};

	BUG_ON((unsigned)act >= PLAN_ACT_COUNT);
	return names[act];
}
