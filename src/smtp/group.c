/*
 * smtp/group.c - one flight for two mails, and when its answers are final
 *
 *	body_k . MAIL_{k+1} RCPT_{k+1}... DATA_{k+1}	(RFC 2920 section 3.1)
 *
 * A server that answers once too often or too seldom shifts every answer
 * behind it, and "250" for the next MAIL looks like "250" for the dot.  So
 * the answers are kept until they can be judged together (rule 19):
 *
 *	(a) all came, nothing behind them, MAIL accepted, 354 at DATA only;
 *	(b) all came, no 354, they agree (MAIL refused: no RCPT accepted), and
 *	    a lone RSET is then answered by exactly one 250;
 *	(c) behind the dot's answer came nothing, or a 421 alone, until the
 *	    connection ended or MAIL's timeout ran out, and the dot's enhanced
 *	    code is not one of MAIL's or RCPT's (2.1.x).
 *
 * Judged well, they are handed to the receiver one by one as if they came
 * now.  Anything else: mail k is unsure, the session ends, the host is not to
 * be trusted with groups.
 */
#include "smtp/session_private.h"

void group_init(struct smtp_group *g)
{
	g->count = g->limit = g->applied = g->text_len = 0;
	g->was_reset = g->flight = false;
	g->why = NULL;
}

static unsigned cls(const struct smtp_group *g, uint32_t i)
{
	return g->answer[i].code / 100u;
}

/* Its words as well where somebody may be told: of a refusal, or what was said
 * to the content.  Nobody hears how a command was accepted. */
void group_keep(struct smtp_group *g, const struct smtp_reply *r, bool content)
{
	struct smtp_group_answer *a = &g->answer[g->count++];
	size_t len = 0, room = GROUP_TEXT - g->text_len;

	BUG_ON(g->count > GROUP_MAX);
	if (content || r->code >= 400)
		len = smtp_reply_copy(r, g->text + g->text_len,
				      room < SMTP_REPLY_LINE_KEPT
					      ? room
					      : SMTP_REPLY_LINE_KEPT);
	*a = (struct smtp_group_answer){ .enhanced = r->enhanced,
					 .code = r->code,
					 .text_len = (uint16_t)len,
					 .text_at = g->text_len };
	g->text_len += (uint32_t)len;
}

static void out_of_step(struct smtp_session *s)
{
	session_nonsense(s, "the answers do not fit the commands");
}

/* Do the answers of a whole group without a 354 agree with each other? */
static bool agree(const struct smtp_group *g)
{
	uint32_t i, accepted = 0;

	for (i = 2; i + 1 < g->count; i++)
		accepted += cls(g, i) == 2;
	return cls(g, 1) == 2 || accepted == 0;
}

void group_answer(struct smtp_session *s, bool left_over)
{
	struct smtp_group *g = s->group;
	uint32_t all = tx_items(s->cur->next);
	unsigned last = s->reply.code / 100u;

	BUG_ON(g->count >= all);
	group_keep(g, &s->reply, g->count == 0);
	if (g->count < all) {
		if (last == 3)
			out_of_step(s); /* 354 elsewhere than at DATA */
		return;
	}
	if (left_over || last == 2) {
		out_of_step(s);
	} else if (last == 3) {
		if (cls(g, 1) != 2)
			out_of_step(s);
		else
			g->limit = all; /* (a) */
	} else if (agree(g)) {
		session_solo(s, ST_RESET, SMTP_STAGE_RSET);
	} else {
		out_of_step(s);
	}
}

void group_reset(struct smtp_session *s, bool left_over)
{
	struct smtp_group *g = s->group;

	if (s->reply.code != 250 || left_over) {
		out_of_step(s);
		return;
	}
	s->solo = SMTP_STAGE_NONE;
	session_set_state(s, ST_MAIL);
	g->was_reset = true;
	g->limit = g->count; /* (b) */
}

bool group_ended(struct smtp_session *s, const char *why)
{
	struct smtp_group *g = s->group;
	const struct smtp_enhanced *e = &g->answer[0].enhanced;

	BUG_ON(!group_is_open(s));
	if (g->count == 0 || g->count > 2 || s->reply.bytes > 0)
		return false;
	if (g->count == 2 && g->answer[1].code != 421)
		return false;
	if (e->cls == 2 && e->subject == 1)
		return false;
	g->limit = g->count; /* (c) */
	s->in_group = true;
	g->why = why;
	return true;
}

void group_apply(struct smtp_session *s)
{
	struct smtp_group *g = s->group;
	const struct smtp_group_answer *a;
	const char *why;

	if (g == NULL) { /* a flight's turn */
		g = s->group = s->cur->answers;
		s->cur->answers = NULL;
	}
	why = g->why;
	if (g->applied < g->limit && s->state != ST_CLOSED) {
		a = &g->answer[g->applied++];
		session_verdict(s, a->code, &a->enhanced,
				span_of(g->text + a->text_at, a->text_len));
		session_answer(s);
		return;
	}
	if (s->state != ST_CLOSED && why == NULL && !g->flight)
		s->groups++;
	if (s->state == ST_CLOSED) {
		/* Its text may be the verdict's until the session goes. */
		g->limit = 0;
		return;
	}
	pool_group_free(s->pool, &s->group);
	if (why != NULL)
		session_break(s, why);
}
