/*
 * ingress/result.c - what became of the items, and of their connection
 *
 * An item comes back once, accepted or refused; its frame is answered when
 * all of its messages have their results.
 */
#include "ingress/server_private.h"

#include "base/bug.h"

#include <errno.h>
#include <sysexits.h>

/* --- results --------------------------------------------------------------- */

static void back(struct item *it)
{
	struct ingress_conn *c = it->pub.conn;

	BUG_ON(it->job->out == 0 || c->out == 0);
	it->job->out--;
	c->out--;
	ingress_settle(c);
}

void ingress_accepted(struct ingress_item *item, uint64_t id)
{
	struct item *it = CONTAINER_OF(item, struct item, pub);
	struct ingress_conn *c = item->conn;

	(void)ingress_seen_add(c->seen, c->hello.id, item->msg.number, id,
			       it->now_s);
	ingress_slot_accept(&it->job->slots[it->place], it->share, id);
	back(it);
}

void ingress_refused(struct ingress_item *item, int error)
{
	struct item *it = CONTAINER_OF(item, struct item, pub);
	struct slot *s = &it->job->slots[it->place];
	bool never = error == -EMSGSIZE || error == -EINVAL;
	struct frame_answer a = { .code = never ? EX_DATAERR : EX_TEMPFAIL,
				  .enhanced_class = never ? 5 : 4,
				  .enhanced_subject = 3,
				  .enhanced_detail = never ? 4 : 1 };

	if (error == -ENOSPC)
		a.words = SPAN("the spool has less free space than min_free "
			       "asks for; try later");
	else if (never)
		a.words = SPAN("the message is too large for the queue");
	else
		a.words = SPAN("the queue could not write; try later");
	/*
	 * The queue tells a repetition by its number against the highest it
	 * took, so nothing with a higher number may be taken while a client
	 * may still repeat this one: it sends the 16th frame after this only
	 * when it has read this answer.
	 */
	if (!never) {
		item->conn->closed_until =
			(uint64_t)it->job->head.number + SUBMIT_FRAMES_OPEN;
		item->conn->closed_why = a;
	}
	BUG_ON(s->waiting == 0);
	s->waiting--;
	ingress_slot_refuse(item->conn, s, &a);
	back(it);
}

uint32_t ingress_items_out(const struct ingress_conn *c)
{
	return c->out;
}

uint32_t ingress_more(const struct ingress_conn *c)
{
	return c->input != IN_OVER ? c->more : 0;
}

size_t ingress_bytes(const struct ingress_conn *c)
{
	return c->bytes;
}

bool ingress_over(const struct ingress_conn *c)
{
	return c->input == IN_OVER;
}

bool ingress_complete(const struct ingress_conn *c)
{
	return c->ended && c->error == 0 && list_empty(&c->jobs);
}

bool ingress_for_now(const struct ingress_conn *c)
{
	return c->error == EX_TEMPFAIL;
}

uint64_t ingress_refusals(const struct ingress_conn *c)
{
	return c->refusals;
}

const char *ingress_words(const struct ingress_conn *c)
{
	return c->words;
}

bool ingress_waits(const struct ingress_conn *c)
{
	return c->input == IN_LINE;
}

void ingress_conn_tick(struct ingress_conn *c)
{
	bool stalls = c->filling != NULL && c->filling->place.taken &&
		      c->fed == c->fed_at_tick && !list_empty(&c->large->line);

	c->fed_at_tick = c->fed;
	c->idle_ticks = stalls ? c->idle_ticks + 1 : 0;
	if (c->idle_ticks < INGRESS_LARGE_TICKS || c->input == IN_OVER)
		return;
	ingress_breach(c, EX_TEMPFAIL,
		       "a large message did not come on while others "
		       "waited for its place");
	ingress_settle(c);
}
