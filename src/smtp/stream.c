/*
 * smtp/stream.c - messages that follow each other without waiting (rule 20)
 *
 *	MAIL RCPT BDAT content_1  RSET MAIL RCPT BDAT content_2  RSET MAIL ...
 *
 * Only on a session that has proved itself (chunk.c), mails of one recipient,
 * as many and as much as the caller and STREAM_BYTES_MAX allow.  RSET in front
 * of each that stands behind another: whatever came of that one, its envelope
 * is gone, and no server can add the next content to it.
 *
 * The answers are kept, those of each flight for itself.  What each may be,
 * A being 2yz x.1.x, C 2yz of any other code, R 4yz or 5yz:
 *
 *	RSET	C
 *	MAIL	A, R
 *	RCPT	A, R; R behind MAIL's R
 *	BDAT	C with a code, R; R behind RCPT's R
 *
 * One answer too many or too few shifts those behind it, and no shifted row
 * fits the next flight: RSET's C stands where MAIL's A or R is due, or the
 * other way round.  (Gmail's answer to RSET is an A; the proof has shown it, and
 * its flights go one by one.)  So a flight is final as soon as the next one's MAIL was
 * answered, or when nothing is owed and nothing left over; and what can be
 * said at the end is what can be said behind a dot (group.c):
 *
 *	421: those in front are final, and nobody has looked at those behind;
 *	the end: a whole flight is final, also one whose MAIL or RCPT was
 *	refused; what else has left is unsure.
 *
 * Anything else: all that has left and is not final is unsure, the session
 * ends, no flights for a day.
 */
#include "smtp/session_private.h"

#define STREAM_BYTES_MAX (256u << 10)
#define ANSWERS          3u /* MAIL, RCPT, BDAT; RSET comes before them */

/* --- may it fly? ----------------------------------------------------------- */

bool stream_may_begin(const struct smtp_session *s)
{
	const struct smtp_tx *tx = s->cur;

	return tx->sent == 0 && s->proven && tx->mail.rcpt_count == 1 &&
	       tx->mail.content_bytes <= STREAM_BYTES_MAX;
}

bool stream_has_room(const struct smtp_session *s)
{
	return s->state == ST_MAIL && s->chunking && !s->sole &&
	       s->ahead < s->ahead_max && s->ahead_bytes < STREAM_BYTES_MAX &&
	       stream_is_on(s);
}

bool stream_fits(const struct smtp_session *s, uint64_t content_bytes)
{
	return content_bytes <= STREAM_BYTES_MAX - s->ahead_bytes;
}

/* --- whose answer ---------------------------------------------------------- */

struct smtp_tx *stream_first_unheard(const struct smtp_session *s)
{
	struct smtp_tx *tx = s->cur;

	while (tx != NULL && tx->heard)
		tx = tx->next;
	return tx != NULL && tx->flight ? tx : NULL;
}

/* Of the answers from MAIL's on; -1 is RSET's. */
static int place(const struct smtp_tx *tx)
{
	return (int)tx->answers->count - tx->led;
}

enum smtp_stage stream_stage(const struct smtp_tx *tx)
{
	int at = place(tx);

	if (at < 1)
		return SMTP_STAGE_MAIL;
	return at == 1 ? SMTP_STAGE_RCPT : SMTP_STAGE_EOD;
}

/* --- what it may be -------------------------------------------------------- */

static bool is_refused(const struct smtp_tx *tx, unsigned at)
{
	return tx->answers->count > at + tx->led &&
	       tx->answers->answer[at + tx->led].code >= 400;
}

/* What the present answer may not be; NULL when it may. */
static const char *out_of_step(const struct smtp_session *s,
			       const struct smtp_tx *tx)
{
	struct smtp_enhanced e = s->verdict.enhanced;
	bool yes = s->cls == 2;
	int at = place(tx);

	if (s->cls == 3)
		return "the server said 3yz where it may not";
	if (at < 0)
		return !yes || chunk_is_of_address(e)
			       ? "an answer to RSET is none"
			       : NULL;
	if (!yes)
		return NULL;
	if (at < 2 && !chunk_is_of_address(e))
		return "an answer to MAIL or RCPT is none";
	if (at == 1 && is_refused(tx, 0))
		return "RCPT was accepted behind a refused MAIL";
	if (at == 2 && (is_refused(tx, 1) || !chunk_is_taken(e)))
		return "the answers do not fit the commands";
	if (at == 2 && !tx_dot_sent(tx))
		return "2yz before the end of the content";
	return NULL;
}

/* --- judging --------------------------------------------------------------- */

/* Its answers are final: group_apply() hands them on, RSET's not. */
static void judge(struct smtp_session *s, struct smtp_tx *tx)
{
	struct smtp_group *g = tx->answers;

	tx->heard = true;
	if (g == NULL || g->limit > 0)
		return;
	s->flights += g->count == ANSWERS + tx->led;
	g->limit = g->count;
	g->applied = tx->led && g->count > 1;
}

/* All before this one; the last of them, or NULL. */
static struct smtp_tx *judge_before(struct smtp_session *s,
				    const struct smtp_tx *end)
{
	struct smtp_tx *tx, *last = NULL;

	for (tx = s->cur; tx != end; tx = tx->next) {
		if (tx->answers == NULL)
			continue;
		judge(s, tx);
		last = tx;
	}
	return last;
}

void stream_answer(struct smtp_session *s, bool left_over)
{
	struct smtp_tx *tx = stream_hears(s);
	bool bye = s->verdict.code == 421, last, more;
	const char *why = bye ? NULL : out_of_step(s, tx);

	last = place(tx) + 1 == ANSWERS;
	more = tx->next != NULL && tx->next->flight;
	if (why == NULL && left_over && !more && last && !bye)
		why = "more answers than commands";
	if (why == NULL && left_over && more && bye)
		why = "the server went on behind its 421";
	if (why != NULL) {
		session_nonsense(s, why);
		return;
	}
	group_keep(tx->answers, &s->reply, last);
	if (bye || place(tx) == 1)
		judge_before(s, tx);
	tx->heard = last;
	/* Refused halfway (rule 18), it is the last one that was sent. */
	if (bye || (last && !more))
		judge(s, tx);
}

bool stream_ended(struct smtp_session *s, const char *why)
{
	struct smtp_tx *tx = stream_hears(s), *last;

	if (s->reply.bytes > 0)
		return false;
	last = judge_before(s, tx);
	if (is_refused(tx, 0) || is_refused(tx, 1)) {
		judge(s, tx);
		last = tx;
	}
	if (last != NULL)
		last->answers->why = why;
	return last != NULL;
}
