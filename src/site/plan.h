#ifndef MTAQ_SITE_PLAN_H
#define MTAQ_SITE_PLAN_H

/*
 * What becomes of a recipient after a verdict: a pure function of the
 * verdict, its class and what is known of the recipient (SMTP.md 5, 9, 14,
 * 17, 31, 32).
 */
#include "mtaq/outcome.h"
#include "sched/backoff.h"
#include "site/classify.h"

#define PLAN_MOVES_MAX 3 /* then a put-back becomes a charged retry */
#define PLAN_AGAIN_MAX 2 /* transactions without any acceptance (rule 14) */

enum plan_act {
	PLAN_DELIVERED, /* final */
	PLAN_RETRY,     /* at .slot, .attempts and .unsure as given */
	PLAN_AGAIN,     /* now, next transaction of the same session */
	PLAN_PUT_BACK,  /* now or when the site wakes: sched_put_back(); the
			 * site's health decides on the host.  No attempt is
			 * charged, nothing is written to the log.  The
			 * worker sets task->moves to .moves. */
	PLAN_BOUNCE,    /* final */
	PLAN_EXPIRE,    /* final: the age limit is reached */
	PLAN_HOLD,      /* until an operator releases it */
	PLAN_ACT_COUNT
};

struct plan_ask {
	const struct smtp_verdict *verdict;
	const struct reply_class *class; /* of that verdict */
	uint8_t attempts, unsure, moves; /* as in the task, before */
	uint8_t again;        /* transactions in a row of this session that
				* put it over, this one included (AGAIN) */
	bool any_accepted;    /* this transaction accepted some recipient */
	bool session_carried; /* the session had carried a message before */
	uint64_t queue_hash;  /* sched_queue.hash */
	uint32_t slot, epoch; /* old slot; epoch of the store */
	uint32_t expires_s, now_s;
};

struct plan {
	enum plan_act act;
	uint32_t slot;                   /* PLAN_RETRY */
	uint8_t attempts, unsure, moves; /* after */
	enum backoff_kind backoff;       /* PLAN_RETRY: which schedule */
};

void plan_recipient(const struct backoff_settings *set,
		    const struct plan_ask *ask, struct plan *plan_r);

/*
 * A local rule (mtaq/outcome.h) ends or defers a recipient.  ask->verdict and
 * ask->class are not used.  LOCAL_DNS, LOCAL_UNTRIED: retry; LOCAL_EXPIRED:
 * expire; the others: bounce.
 */
void plan_local(const struct backoff_settings *set, const struct plan_ask *ask,
		enum local_rule rule, struct plan *plan_r);
/* "5.1.2" and what to tell people, for the event and the bounce. */
struct smtp_enhanced plan_local_enhanced(enum local_rule rule);
const char *plan_local_words(enum local_rule rule);

/* "delivered", "retry", ...: for logs. */
const char *plan_act_name(enum plan_act act);

#endif
