/*
 * smtp/chunk.c - content as one chunk (RFC 3030, rule 20)
 *
 *	careful	MAIL RCPT... | BDAT n LAST content |		(| we wait)
 *	flight	MAIL RCPT BDAT n LAST content			stream.c
 *
 * A flight sends content to who may refuse it.  A server that then does not
 * take the octets off would run the lines of a message, which others have
 * written, as commands.  So a session first proves that it does, by a chunk
 * out of order that is harmless as a command, and none that anybody knows:
 *
 *	BDAT 6 LAST "MTAQ" RSET		one refusal, then RSET's 250
 *
 * Who runs the octets answers them as well, by a refusal where RSET's 250 is
 * due.  This goes in front of a session's second message, or of its first
 * where other sessions have shown that this host knows chunks.
 *
 * No answer to BDAT is like 354 to DATA: nothing in a row of 250s says which
 * is which, and a stray one in front makes a refused message look delivered.
 * What does say it is the enhanced code (RFC 3463, 5248): x.1.x is about
 * addresses, so it belongs to MAIL and RCPT and never to content.  Therefore
 * chunks go only where ENHANCEDSTATUSCODES is offered (RFC 2034), and the 2yz
 * to one must have such a code, and none about addresses.
 */
#include "smtp/session_private.h"

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

bool chunk_must_prove(const struct smtp_session *s)
{
	return chunk_may(s) && !s->proven &&
	       (s->chunks > 0 || s->ahead_max > 1);
}

/* Does it not know the command at all?  503 is what who knows it may say. */
static bool is_unheard_of(uint16_t code)
{
	return code == 500 || code == 502 || code == 504;
}

void chunk_proof(struct smtp_session *s, bool left_over)
{
	bool refused = s->cls >= 4;

	if (!s->refused_it && refused && is_unheard_of(s->verdict.code)) {
		/* Nothing of the mail that waits was sent. */
		s->no_chunks = true;
		session_break(s, "the server does not know BDAT");
	} else if (!s->refused_it && refused) {
		s->refused_it = true; /* RSET's answer is to come */
	} else if (!s->refused_it || s->verdict.code != 250 || left_over) {
		session_nonsense(s, "a refused chunk was run as commands");
	} else {
		s->proven = true;
		s->sole = chunk_is_of_address(s->verdict.enhanced);
		session_answer(s);
	}
}

bool chunk_is_of_address(struct smtp_enhanced enhanced)
{
	return enhanced.cls != 0 && enhanced.subject == 1;
}

bool chunk_is_taken(struct smtp_enhanced enhanced)
{
	return enhanced.cls != 0 && enhanced.subject != 1;
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
