/*
 * engine/trace.c - conversations, as they happen, for who wants to see them
 *
 *	SITE_ASK_TRACE ─► slot on ─► connections that match get a conn_trace
 *	octets ─► transcript (src/smtp) ─► trace_line in the lane to control
 *
 * Nobody waits for a reader: a line that finds no room is counted and lost.
 * While no slot is on, state->tracing is NULL, and that is all that a
 * connection looks at.
 *
 * By site, a connection is traced whole; by domain or id from the MAIL of a
 * mail that matches until it is done.
 */
#include "engine/worker_private.h"

#include "base/bug.h"
#include "smtp/transcript.h"

#include <stdlib.h>

struct slot {
	bool on, by_mail;
	char site[256];      /* "": any */
	uint64_t id, domain; /* 0: any */
	uint32_t lost;
};

struct tracing {
	struct slot slots[TRACE_SLOTS];
	unsigned on;
};

struct conn_trace {
	uint32_t slots; /* bits */
	struct transcript talk;
};

/* --- lines ----------------------------------------------------------------- */

static void count_lost(struct tracing *t, uint32_t slots)
{
	unsigned i;

	for (i = 0; i < TRACE_SLOTS; i++)
		if ((slots >> i & 1) != 0)
			t->slots[i].lost++;
}

static void copy_lost(struct tracing *t, uint32_t slots,
		      uint32_t lost[TRACE_SLOTS])
{
	unsigned i;

	for (i = 0; i < TRACE_SLOTS; i++) {
		lost[i] = (slots >> i & 1) != 0 ? t->slots[i].lost : 0;
		if (lost[i] > 0)
			t->slots[i].lost = 0;
	}
}

static uint16_t put(char **at, struct span s)
{
	if (s.len > 0)
		memcpy(*at, s.p, s.len);
	*at += s.len;
	return (uint16_t)s.len;
}

static void put_line(struct worker_state *s, const struct conn *c,
		     uint32_t slots, enum trace_kind kind, struct span text)
{
	struct span site = span_str(site_name(c->site->site));
	struct trace_line *line;
	char host[256], *at;

	whost_text(c->host, host, sizeof(host));
	line = lane_reserve(s->w->set.to_trace,
			    sizeof(*line) + site.len + strlen(host) + text.len);
	if (line == NULL) {
		count_lost(s->tracing, slots);
		return;
	}
	at = line->text;
	line->time_ms = clock_wall_ms();
	line->session = c->state == CONN_CONNECTING ? 0 : c->number;
	line->slots = slots;
	line->kind = kind;
	copy_lost(s->tracing, slots, line->lost);
	line->site_len = put(&at, site);
	line->host_len = put(&at, span_str(host));
	line->text_len = put(&at, text);
	lane_publish(s->w->set.to_trace);
}

/* --- who is traced --------------------------------------------------------- */

static bool names_site(const struct slot *slot, const struct conn *c)
{
	return slot->site[0] == '\0' ||
	       span_eq_nocase(span_str(slot->site),
			      span_str(site_name(c->site->site)));
}

static void forget(struct conn *c)
{
	free(c->trace);
	c->trace = NULL;
}

/* Trace c for these slots too.  Without memory it is not traced. */
static void follow(struct conn *c, uint32_t slots)
{
	bool ready = c->state == CONN_CONNECTING || list_empty(&c->attempts);

	if (slots == 0)
		return;
	if (c->trace == NULL) {
		c->trace = malloc(sizeof(*c->trace));
		if (c->trace == NULL)
			return;
		c->trace->slots = 0;
		transcript_begin(&c->trace->talk, ready);
	}
	c->trace->slots |= slots;
}

static void unfollow(struct conn *c, uint32_t slots)
{
	if (c->trace == NULL)
		return;
	c->trace->slots &= ~slots;
	if (c->trace->slots == 0)
		forget(c);
}

static bool names_mail(const struct slot *slot, const struct sched_task *task)
{
	return (slot->id == 0 || slot->id == task->id) &&
	       (slot->domain == 0 ||
		slot->domain == wqueue_of(task)->words.domain);
}

/* Slots that want this mail on c. */
static uint32_t slots_of_mail(const struct tracing *t, const struct conn *c,
			      const struct sched_task *task)
{
	uint32_t bits = 0;
	unsigned i;

	for (i = 0; i < TRACE_SLOTS; i++)
		if (t->slots[i].on && t->slots[i].by_mail &&
		    names_site(&t->slots[i], c) &&
		    names_mail(&t->slots[i], task))
			bits |= 1u << i;
	return bits;
}

static void find_flights(struct worker_state *s, unsigned number)
{
	const struct slot *slot = &s->tracing->slots[number];
	uint32_t i;

	for (i = 0; i < s->conns_max; i++) {
		struct conn *c = &s->conns[i];

		if (c->state != CONN_CONNECTING && c->state != CONN_OPEN)
			continue;
		if (!slot->by_mail && names_site(slot, c))
			follow(c, 1u << number);
		LIST_FOR_EACH (l, &c->attempts)
			follow(c, slots_of_mail(
					  s->tracing, c,
					  CONTAINER_OF(l, struct attempt, link)
						  ->task) &
					  1u << number);
	}
}

/* --- on and off ------------------------------------------------------------ */

static void begin(struct worker_state *s, const struct site_ask *ask)
{
	struct slot *slot;

	BUG_ON(ask->slot >= TRACE_SLOTS);
	if (s->tracing == NULL)
		s->tracing = calloc(1, sizeof(*s->tracing));
	if (s->tracing == NULL)
		return; /* this worker's sessions are not seen */
	slot = &s->tracing->slots[ask->slot];
	BUG_ON(slot->on);
	*slot = (struct slot){ .on = true,
			       .by_mail = ask->id != 0 || ask->domain != 0,
			       .id = ask->id,
			       .domain = ask->domain };
	memcpy(slot->site, ask->name, sizeof(slot->site));
	s->tracing->on++;
	find_flights(s, ask->slot);
}

static void end(struct worker_state *s, unsigned number)
{
	uint32_t i;

	if (s->tracing == NULL || !s->tracing->slots[number].on)
		return;
	for (i = 0; i < s->conns_max; i++)
		unfollow(&s->conns[i], 1u << number);
	s->tracing->slots[number].on = false;
	if (--s->tracing->on > 0)
		return;
	free(s->tracing);
	s->tracing = NULL;
}

void trace_switch(struct worker_state *s, const struct site_ask *ask)
{
	if (ask->verb == SITE_ASK_TRACE)
		begin(s, ask);
	else
		end(s, ask->slot);
}

void trace_free(struct worker_state *s)
{
	uint32_t i;

	for (i = 0; s->conns != NULL && i < s->conns_max; i++)
		forget(&s->conns[i]);
	free(s->tracing);
	s->tracing = NULL;
}

/* --- what happens ---------------------------------------------------------- */

void trace_open(struct worker_state *s, struct conn *c)
{
	uint32_t bits = 0;
	unsigned i;

	for (i = 0; i < TRACE_SLOTS; i++)
		if (s->tracing->slots[i].on && !s->tracing->slots[i].by_mail &&
		    names_site(&s->tracing->slots[i], c))
			bits |= 1u << i;
	follow(c, bits);
	trace_note(s, c, "connecting");
}

void trace_note(struct worker_state *s, struct conn *c, const char *words)
{
	if (c->trace != NULL)
		put_line(s, c, c->trace->slots, TRACE_NOTE, span_str(words));
}

void trace_octets(struct worker_state *s, struct conn *c, bool ours,
		  struct span octets)
{
	struct span line;

	if (c->trace == NULL)
		return;
	while (transcript_take(&c->trace->talk,
			       ours ? TRANSCRIPT_OURS : TRANSCRIPT_THEIRS,
			       &octets, &line))
		put_line(s, c, c->trace->slots,
			 ours ? TRACE_OURS : TRACE_THEIRS, line);
}

void trace_sending(struct worker_state *s, struct conn *c, int pieces)
{
	int i;

	for (i = 0; i < pieces && c->trace != NULL; i++)
		trace_octets(s, c, true,
			     span_of(c->iov[i].iov_base, c->iov[i].iov_len));
}

void trace_mail(struct worker_state *s, struct conn *c,
		const struct sched_task *task)
{
	follow(c, slots_of_mail(s->tracing, c, task));
}

void trace_mail_done(struct worker_state *s, struct conn *c)
{
	uint32_t bits = 0;
	unsigned i;

	for (i = 0; i < TRACE_SLOTS; i++)
		if (s->tracing->slots[i].by_mail)
			bits |= 1u << i;
	/* The oldest is done; who wants one behind it goes on. */
	LIST_FOR_EACH (l, &c->attempts)
		if (l != c->attempts.next)
			bits &= ~slots_of_mail(
				s->tracing, c,
				CONTAINER_OF(l, struct attempt, link)->task);
	unfollow(c, bits);
}

void trace_close(struct worker_state *s, struct conn *c)
{
	trace_note(s, c, "closed");
	forget(c);
}
