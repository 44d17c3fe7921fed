/*
 * smtp/chunk.c - content as one chunk (RFC 3030, rule 20)
 *
 *	careful	MAIL RCPT... | BDAT n LAST content |
 *	flight	MAIL RCPT BDAT n LAST content |		(| we wait)
 *
 * A flight is one round trip, and sends content to who may refuse it.  A
 * server that then does not take the octets off would run the lines of a
 * message, which others have written, as commands.  So a session first proves
 * that it does, by a chunk out of order that is harmless as a command:
 *
 *	BDAT 6 LAST RSET		one refusal, or one and RSET's 250
 *
 * No answer to BDAT is like 354 to DATA: nothing in a row of 250s says which
 * is which, and a stray one in front makes a refused message look delivered.
 * What does say it is the enhanced code (RFC 3463, 5248): x.1.x is about
 * addresses, so it belongs to MAIL and RCPT and never to content.  Therefore
 * chunks go only where ENHANCEDSTATUSCODES is offered (RFC 2034), the 2yz to
 * one must have such a code, and none about addresses; and the answers to a
 * flight are kept until all are there:
 *
 *	whole: nothing left over, no 3yz, MAIL's and RCPT's 2yz are x.1.x, the
 *	chunk's 2yz is not and stands only behind an accepted RCPT;
 *	cut: 421, or MAIL or RCPT refused and then the end.
 *
 * Anything else: the mail is unsure, the session ends, no flights for a day.
 */
#include "smtp/session_private.h"

#define FLIGHT_BYTES_MAX (256u << 10)

bool smtp_chunk_caps(uint32_t caps)
{
	uint32_t all =
		SMTP_CAP_CHUNKING | SMTP_CAP_PIPELINING | SMTP_CAP_ENHANCED;

	return (caps & all) == all;
}

bool chunk_may(const struct smtp_session *s)
{
	return s->chunking && s->set->pipelining &&
	       smtp_chunk_caps(s->ehlo.caps);
}

bool chunk_may_fly(const struct smtp_session *s, const struct smtp_tx *tx)
{
	return tx->bdat && tx->sent == 0 && s->proven &&
	       tx->mail.rcpt_count == 1 &&
	       tx->mail.content_bytes <= FLIGHT_BYTES_MAX;
}

bool chunk_must_prove(const struct smtp_session *s)
{
	return chunk_may(s) && !s->proven && s->chunks > 0;
}

bool chunk_proof(struct smtp_session *s, bool left_over)
{
	if (left_over || s->cls < 4) {
		session_nonsense(s, "a refused chunk was run as commands");
		return false;
	}
	s->proven = true;
	return true;
}

/* --- the answers of a flight: MAIL, RCPT, BDAT ----------------------------- */

static bool is_of_address(const struct smtp_group_answer *a)
{
	return a->enhanced.cls != 0 && a->enhanced.subject == 1;
}

bool chunk_is_taken(struct smtp_enhanced enhanced)
{
	return enhanced.cls != 0 && enhanced.subject != 1;
}

static bool refused(const struct smtp_group_answer *a)
{
	return a->code >= 400;
}

/* What a whole flight may not be; NULL when it may. */
static const char *out_of_step(const struct smtp_group *g)
{
	const struct smtp_group_answer *mail = &g->answer[0],
				       *rcpt = &g->answer[1],
				       *chunk = &g->answer[2];

	if ((!refused(mail) && !is_of_address(mail)) ||
	    (!refused(rcpt) && !is_of_address(rcpt)))
		return "an answer to MAIL or RCPT is none";
	if (refused(mail) && !refused(rcpt))
		return "RCPT was accepted behind a refused MAIL";
	if (!refused(chunk) &&
	    (refused(rcpt) || !chunk_is_taken(chunk->enhanced)))
		return "the answers do not fit the commands";
	return NULL;
}

void chunk_answer(struct smtp_session *s, bool left_over)
{
	struct smtp_group *g = s->group;
	const char *why = NULL;

	group_keep(g, &s->verdict);
	if (s->verdict.code == 421) {
		g->limit = g->count;
		return;
	}
	if (s->cls == 3)
		why = "the server said 3yz where it may not";
	else if (g->count == 3)
		why = left_over ? "more answers than commands" : out_of_step(g);
	if (why != NULL)
		session_nonsense(s, why);
	else if (g->count == 3)
		g->limit = g->count;
}

bool chunk_ended(struct smtp_session *s, const char *why)
{
	struct smtp_group *g = s->group;
	bool no = (g->count > 0 && refused(&g->answer[0])) ||
		  (g->count > 1 && refused(&g->answer[1]));

	if (!no || s->reply.bytes > 0)
		return false;
	g->limit = g->count;
	g->why = why;
	return true;
}

/* --- a refused chunk ------------------------------------------------------- */

static bool is_unknown(uint16_t code)
{
	return code == 500 || code == 502 || code == 503 || code == 504;
}

void chunk_verdict(struct smtp_session *s, const struct smtp_tx *tx)
{
	if (tx->taken == 0 || !is_unknown(s->verdict.code))
		return;
	/* It offers what it does not know: that is no answer to this mail, of
	 * which nothing came. */
	s->no_chunks = true;
	s->verdict.result = SMTP_LOST;
	s->verdict.stage = SMTP_STAGE_MAIL;
}
