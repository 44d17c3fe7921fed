/*
 * engine/cap.c - how many outcomes of a worker may be without a place on disk
 *
 * A kill repeats what was answered and is not durable, and what had its dot
 * sent: one a session.  So a mail begins only below max_unsynced_outcomes.
 *
 * One that begins behind another's dot (rule 19) is counted from then on:
 * when the first is answered its outcome takes that place, and the session has
 * one dot out as before.  The bound stays sessions + max_unsynced_outcomes.  So
 * does each but the first of those that follow each other as chunks (rule 20);
 * these take half of the places at most, so that a host that answers slowly
 * does not stop the others.
 */
#include "engine/worker_private.h"

#include "engine/logger.h"

bool worker_below_cap(struct worker_state *s)
{
	uint64_t open = s->outs_sent - atomic_load(&s->w->set.log->durable);

	/* A mail behind another has its place before its dot may go: else each
	 * session could add two to what a kill doubles. */
	return open + s->behind < s->set->max_unsynced_outcomes &&
	       list_empty(&s->stuck);
}

bool worker_may_stream(struct worker_state *s)
{
	uint64_t open = s->outs_sent - atomic_load(&s->w->set.log->durable);

	return open + s->behind < s->set->max_unsynced_outcomes / 2;
}

bool worker_may_begin(struct worker_state *s, struct wsite *ws)
{
	if (s->stopping)
		return false;
	if (worker_below_cap(s) && queue_out_room(s->w->set.queue))
		return true;
	/* Ask the log thread to ring, and look again: it may have made them
	 * durable before it could see the wish. */
	atomic_store(&s->w->set.log->waits, true);
	if (worker_below_cap(s) && queue_out_room(s->w->set.queue))
		return true;
	if (list_empty(&ws->capped))
		list_add_tail(&s->capped, &ws->capped);
	return false;
}

void worker_uncap(struct worker_state *s)
{
	struct list *l;

	if (list_empty(&s->capped))
		return;
	/* The ring that woke us may have come for fewer than are needed. */
	if (!worker_below_cap(s))
		atomic_store(&s->w->set.log->waits, true);
	if (!worker_below_cap(s))
		return;
	while ((l = list_pop(&s->capped)) != NULL)
		worker_kick(s, CONTAINER_OF(l, struct wsite, capped));
}
