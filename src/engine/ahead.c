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
 *	3 ahead	connection
 *	2 ahead	session, mail in flight, the site's next task
 *	1 ahead	the session's mails and their answers, the task of the mail,
 *		and the next task's message
 *
 * All of it is guesses: nothing here may change anything.
 */
#include "engine/worker_private.h"

#include "base/fetch.h"

#define CONN_OCTETS offsetof(struct conn, in)

static const struct conn *conn_of(const struct worker_state *s,
				  const struct io_done *done)
{
	if (done->op != IO_RECV || done->token.slot >= s->conns_max)
		return NULL;
	return &s->conns[done->token.slot];
}

static const struct attempt *attempt_of(const struct conn *c)
{
	return list_empty(&c->attempts)
		       ? NULL
		       : CONTAINER_OF(c->attempts.next, struct attempt, link);
}

static void look_2(const struct conn *c)
{
	const struct attempt *a = attempt_of(c);
	const struct sched_task *next;

	if (c->smtp == NULL)
		return;
	smtp_session_expect(c->smtp);
	if (a != NULL)
		fetch_ahead(a, sizeof(*a));
	next = sched_guess(c->site->rq);
	if (next != NULL)
		fetch_ahead(next, sizeof(*next));
}

static void look_1(const struct worker_state *s, const struct conn *c)
{
	const struct attempt *a = attempt_of(c);
	const struct sched_task *next;

	if (c->smtp == NULL)
		return;
	smtp_session_expect_more(c->smtp);
	if (a != NULL)
		fetch_ahead(a->task, sizeof(*a->task));
	next = sched_guess(c->site->rq);
	if (next != NULL)
		queue_message_expect(s->w->set.queue, next->place);
}

void ahead_look(struct worker_state *s, const struct io_done *next, int count)
{
	const struct conn *c;

	if (count >= 3 && (c = conn_of(s, &next[2])) != NULL)
		fetch_ahead(c, CONN_OCTETS + 64);
	if (count >= 2 && (c = conn_of(s, &next[1])) != NULL)
		look_2(c);
	if (count >= 1 && (c = conn_of(s, &next[0])) != NULL)
		look_1(s, c);
}
