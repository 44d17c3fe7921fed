/*
 * engine/ahead.c - what the next completions of a turn will touch
 *
 * A turn of a busy worker takes some dozens of completions, each of another
 * session, whose state was last touched a thousand others ago; a reply then
 * opens a message that nobody has looked at since it was written.  Who waits
 * for memory at each of these in turn waits half of the time.  So while one
 * completion is taken, those behind it are looked at, in steps, since each
 * step reads what the one before has had fetched:
 *
 *	6 ahead	connection
 *	5 ahead	session, mails in flight, site, host
 *	4 ahead	the session's mails and their answers, the task of the mail,
 *		the site's tasks, the host's address
 *	3 ahead	the site's next task, the queue of the mail, its recipient,
 *		the host's health
 *	2 ahead	the next task's message
 *
 * All of it is guesses: nothing here may change anything.
 */
#include "engine/worker_private.h"

#include "base/fetch.h"
#include "site/site.h"

#define CONN_OCTETS offsetof(struct conn, in)
#define SITE_OCTETS (offsetof(struct wsite, timer))

static const struct conn *conn_of(const struct worker_state *s,
				  const struct io_done *done)
{
	if (done->op != IO_RECV || done->token.slot >= s->conns_max)
		return NULL;
	return &s->conns[done->token.slot];
}

/* Two are in flight where the next mail goes with the last one's dot: the
 * reply ends the first and begins the second. */
static const struct attempt *attempt_at(const struct conn *c,
					const struct list *at)
{
	return at == &c->attempts ? NULL
				  : CONTAINER_OF(at, struct attempt, link);
}

static const struct attempt *attempt_of(const struct conn *c)
{
	return attempt_at(c, c->attempts.next);
}

static void look_5(const struct conn *c)
{
	const struct attempt *first = attempt_of(c);
	const struct attempt *last = attempt_at(c, c->attempts.prev);

	smtp_session_expect(c->smtp);
	if (first != NULL)
		fetch_ahead(first, sizeof(*first));
	if (last != first)
		fetch_ahead(last, sizeof(*last));
	fetch_ahead(c->site, SITE_OCTETS);
	fetch_ahead(c->host, sizeof(*c->host));
	site_conn_expect(c->sc);
}

static void look_4(const struct conn *c)
{
	const struct attempt *a = attempt_of(c);

	smtp_session_expect_more(c->smtp);
	if (a != NULL)
		fetch_ahead(a->task, sizeof(*a->task));
	sched_expect(c->site->rq);
	site_conn_expect_addr(c->sc);
}

static void look_3(const struct conn *c)
{
	const struct attempt *a = attempt_of(c);
	const struct sched_task *next = sched_guess(c->site->rq);

	if (next != NULL)
		fetch_ahead(next, sizeof(*next));
	if (a != NULL) {
		fetch_ahead(a->task->queue, sizeof(*a->task->queue));
		fetch_ahead(a->rcpts[0].address.p, 1);
	}
	site_conn_expect_health(c->sc);
}

static void look_2(const struct worker_state *s, const struct conn *c)
{
	const struct sched_task *next = sched_guess(c->site->rq);

	if (next != NULL)
		queue_message_expect(s->w->set.queue, next->place);
}

static void look(const struct worker_state *s, const struct io_done *done,
		 int steps)
{
	const struct conn *c = conn_of(s, done);

	if (c == NULL)
		return;
	if (steps == AHEAD_FIRST)
		fetch_ahead(c, CONN_OCTETS + 64);
	else if (c->smtp == NULL)
		return;
	else if (steps == 5)
		look_5(c);
	else if (steps == 4)
		look_4(c);
	else if (steps == 3)
		look_3(c);
	else
		look_2(s, c);
}

void ahead_look(struct worker_state *s, const struct io_done *done, int at,
		int count)
{
	int steps;

	for (steps = AHEAD_FIRST; steps >= 2; steps--)
		if (at + steps >= 0 && at + steps < count)
			look(s, &done[at + steps], steps);
}
