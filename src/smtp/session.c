/*
 * smtp/session.c - the receiver: what an answer means
 *
 *	GREETING -> HELLO -> READY -> MAIL -> READY ... -> QUIT -> CLOSED
 *	            HELLO -> TLS -> HELLO                (RFC 3207)
 *	            MAIL -> MAIL                   (others stand behind it)
 *	            MAIL -> RESET -> READY, MAIL         (transaction left open)
 *	            any -> CLOSED                        (eof, timeout, nonsense)
 *
 * Sender and receiver keep their own place in a mail (session_private.h), so
 * commands can be pipelined: an answer belongs to the oldest item that has
 * none.  An answer that began when none was owed belongs to no command: it is
 * a goodbye (421), an early refusal of the content (rule 18), or nonsense.
 *
 * Invariants, asserted:
 *	- every recipient of a mail is settled exactly once;
 *	- nothing is SMTP_ACCEPTED before the dot was answered;
 *	- there is a mail in MAIL, and none between mails.
 */
#include "smtp/session_private.h"

#include <string.h>

static const char *const state_names[] = {
	[ST_GREETING] = "greeting", [ST_HELLO] = "hello",
	[ST_TLS] = "tls",           [ST_READY] = "ready",
	[ST_MAIL] = "mail",         [ST_RESET] = "reset",
	[ST_QUIT] = "quit",         [ST_CLOSED] = "closed",
};

#define BIT(state) (1u << (state))

/* From where one may come to each state. */
static const unsigned from[] = {
	[ST_GREETING] = 0,
	[ST_HELLO] = BIT(ST_GREETING) | BIT(ST_HELLO) | BIT(ST_TLS),
	[ST_TLS] = BIT(ST_HELLO),
	[ST_READY] = BIT(ST_HELLO) | BIT(ST_MAIL) | BIT(ST_RESET),
	[ST_MAIL] = BIT(ST_READY) | BIT(ST_MAIL) | BIT(ST_RESET),
	[ST_RESET] = BIT(ST_MAIL),
	[ST_QUIT] = BIT(ST_READY),
	[ST_CLOSED] = ~BIT(ST_CLOSED),
};

void session_set_state(struct smtp_session *s, enum session_state next)
{
	BUG_ON((from[next] & BIT(s->state)) == 0);
	BUG_ON((next == ST_MAIL) != (s->cur != NULL) && next != ST_RESET);
	s->state = next;
}

const char *smtp_session_state_name(const struct smtp_session *s)
{
	return state_names[s->state];
}

void session_solo(struct smtp_session *s, enum session_state state,
		  enum smtp_stage stage)
{
	session_set_state(s, state);
	s->solo = stage;
	s->solo_sent = false;
}

static enum smtp_stage stage_of(const struct smtp_tx *tx, uint32_t item)
{
	if (item == 0)
		return SMTP_STAGE_MAIL;
	if (item <= tx->mail.rcpt_count)
		return SMTP_STAGE_RCPT;
	return item == tx->mail.rcpt_count + 1 ? SMTP_STAGE_DATA
					       : SMTP_STAGE_EOD;
}

enum smtp_stage session_stage(const struct smtp_session *s)
{
	const struct smtp_tx *tx;

	if (s->solo != SMTP_STAGE_NONE)
		return s->solo;
	if (s->state == ST_TLS)
		return SMTP_STAGE_STARTTLS;
	if (s->cur == NULL)
		return SMTP_STAGE_MAIL; /* what would come next */
	if (group_is_open(s) && s->group->count > 0)
		return stage_of(s->cur->next, s->group->count - 1);
	tx = s->group == NULL ? stream_hears(s) : NULL;
	if (tx != NULL && !stream_due(s))
		return stream_stage(tx);
	return stage_of(s->cur, s->cur->got);
}

/* Does the server owe us an answer? */
static bool is_owed(const struct smtp_session *s)
{
	if (s->solo != SMTP_STAGE_NONE)
		return s->solo_sent;
	return s->cur != NULL && s->cur->got < s->cur->sent;
}

/* --- recipients and mails --------------------------------------------- */

static void settle(struct smtp_tx *tx, uint32_t i)
{
	BUG_ON(tx->rcpt[i] >= RCPT_TELL);
	tx->rcpt[i] = RCPT_TELL;
	tx->settled++;
	if (tx->tell_count++ == 0 || i < tx->tell_from)
		tx->tell_from = i;
}

/* Settle every recipient that has no final answer yet. */
static void settle_rest(struct smtp_tx *tx)
{
	uint32_t i, n = tx->mail.rcpt_count;

	for (i = 0; i < n && tx->settled < n; i++)
		if (tx->rcpt[i] < RCPT_TELL)
			settle(tx, i);
	BUG_ON(tx->settled != n);
}

/* The oldest mail is over: it waits for SMTP_EV_MAIL_DONE. */
static void retire(struct smtp_session *s)
{
	struct smtp_tx *tx = s->cur;

	BUG_ON(tx->settled != tx->mail.rcpt_count);
	s->cur = tx->next;
	if (s->fly == tx)
		s->fly = s->cur;
	s->ahead--;
	s->ahead_bytes -= tx->mail.content_bytes;
	tx->next = NULL;
	*s->tail = tx;
	s->tail = &tx->next;
}

static void become_ready(struct smtp_session *s)
{
	session_set_state(s, ST_READY);
	s->was_ready = true;
	s->tell |= TELL_READY;
}

/* Go on with the mail that waits, or tell that there is room. */
static void next_mail(struct smtp_session *s)
{
	if (s->cur != NULL)
		session_set_state(s, ST_MAIL);
	else
		become_ready(s);
}

/* open: the server still has the transaction open (rule 21). */
static void finish(struct smtp_session *s, bool open)
{
	retire(s);
	open = open && !(s->group != NULL && s->group->was_reset) &&
	       !(s->cur != NULL && s->cur->led);
	if (open)
		session_solo(s, ST_RESET, SMTP_STAGE_RSET);
	else
		next_mail(s);
}

/* --- the end ---------------------------------------------------------- */

static void break_mail(struct smtp_session *s, enum smtp_result result,
		       enum smtp_stage stage)
{
	struct smtp_tx *tx = s->cur;

	if (tx->sent == 0)
		stage = SMTP_STAGE_MAIL; /* it had not begun */
	if (tx->settled < tx->mail.rcpt_count) {
		tx->broke = true;
		tx->broke_result = result;
		tx->broke_stage = stage;
		settle_rest(tx);
	}
	retire(s);
}

/* Rule 17: it has left and has no answer that counts. */
static bool tx_may_be_there(const struct smtp_tx *tx)
{
	return tx_dot_sent(tx) && tx->settled < tx->mail.rcpt_count &&
	       (tx->taken > 0 ||
		(tx->flight && !tx->refused && tx->settled == 0));
}

/* Close; s->verdict and s->why say why.  Mails that were not yet retired
 * never got their answer. */
static void shut(struct smtp_session *s, enum smtp_result result,
		 enum smtp_stage stage)
{
	s->idle = s->was_ready && s->cur == NULL;
	/* The proof is what it ended at; the next one would be, too. */
	if (s->proving && s->prompt && !s->distrust)
		s->no_chunks = true;
	while (s->cur != NULL) {
		if (!s->gone && tx_may_be_there(s->cur)) {
			s->distrust = s->distrust || s->cur->flight;
			s->unsure = true;
			result = SMTP_UNSURE;
			stage = SMTP_STAGE_EOD;
		}
		break_mail(s, result, stage);
		result = SMTP_LOST;
		stage = SMTP_STAGE_MAIL;
	}
	s->solo = SMTP_STAGE_NONE;
	session_set_state(s, ST_CLOSED);
	s->tell = TELL_CLOSE;
}

void session_break(struct smtp_session *s, const char *why)
{
	enum smtp_stage stage = session_stage(s);

	if (s->state == ST_CLOSED)
		return;
	if (group_is_open(s)) {
		if (group_ended(s, why))
			return;
		s->distrust = true;
	} else if (!s->distrust && stream_hears(s) != NULL &&
		   stream_ended(s, why)) {
		return;
	}
	s->why = why;
	s->verdict = (struct smtp_verdict){ .result = SMTP_LOST,
					    .stage = stage,
					    .text = span_str(why) };
	shut(s, SMTP_LOST, stage);
}

void session_nonsense(struct smtp_session *s, const char *why)
{
	s->distrust = true;
	pool_group_free(s->pool, &s->group);
	session_break(s, why);
}

/* The server ends the session with the words in s->verdict. */
static void shut_refused(struct smtp_session *s)
{
	s->why = "the server ended the session";
	shut(s, SMTP_LOST, session_stage(s));
}

/* Rule 5: 421 is the answer to whatever was asked, and the end. */
static void goodbye(struct smtp_session *s)
{
	if (s->cur != NULL && s->solo == SMTP_STAGE_NONE)
		settle_rest(s->cur);
	s->gone = true; /* it has not looked at what flies behind */
	shut_refused(s);
}

/* --- answers outside of mails ----------------------------------------- */

static void on_greeting(struct smtp_session *s)
{
	if (s->cls != 2)
		shut_refused(s);
	else
		session_solo(s, ST_HELLO, SMTP_STAGE_EHLO);
}

static void on_ehlo(struct smtp_session *s)
{
	const struct smtp_settings *set = s->set;
	uint16_t code = s->verdict.code;

	if (s->cls != 2 && !s->helo &&
	    (code == 500 || code == 502 || code == 504)) {
		s->helo = true; /* rule 9: a server of the old kind */
		session_solo(s, ST_HELLO, SMTP_STAGE_EHLO);
		return;
	}
	if (s->cls != 2) {
		shut_refused(s);
		return;
	}
	if (!s->helo)
		smtp_ehlo_parse(s->verdict.text, &s->ehlo);
	s->solo = SMTP_STAGE_NONE;
	if (s->tls_on || set->tls == SMTP_TLS_OFF) {
		become_ready(s);
	} else if (s->ehlo.caps & SMTP_CAP_STARTTLS) {
		session_solo(s, ST_HELLO, SMTP_STAGE_STARTTLS);
	} else if (set->tls == SMTP_TLS_MUST) {
		s->verdict = (struct smtp_verdict){
			.result = SMTP_DEFERRED,
			.stage = SMTP_STAGE_STARTTLS,
			.text = SPAN("the server does not offer TLS"),
		};
		shut_refused(s);
	} else {
		become_ready(s);
	}
}

static void on_starttls(struct smtp_session *s)
{
	s->solo = SMTP_STAGE_NONE;
	if (s->verdict.code == 220) {
		session_set_state(s, ST_TLS);
		s->tell |= TELL_TLS;
	} else if (s->cls == 2) {
		s->solo = SMTP_STAGE_STARTTLS;
		session_nonsense(s, "STARTTLS was not answered by 220");
	} else if (s->set->tls == SMTP_TLS_MUST) {
		s->verdict.result = SMTP_DEFERRED; /* the host's fault only */
		shut_refused(s);
	} else {
		become_ready(s);
	}
}

static void on_rset(struct smtp_session *s)
{
	if (s->cls != 2) {
		shut_refused(s);
		return;
	}
	s->proving = s->refused_it = false;
	s->solo = SMTP_STAGE_NONE;
	next_mail(s);
}

static void on_solo(struct smtp_session *s)
{
	if (s->cls == 3) {
		session_nonsense(s, "the server said 3yz where it may not");
		return;
	}
	switch (s->solo) {
	case SMTP_STAGE_GREETING:
		on_greeting(s);
		break;
	case SMTP_STAGE_EHLO:
		on_ehlo(s);
		break;
	case SMTP_STAGE_STARTTLS:
		on_starttls(s);
		break;
	case SMTP_STAGE_RSET:
		on_rset(s);
		break;
	default:
		BUG_ON(s->solo != SMTP_STAGE_QUIT);
		s->verdict.result = SMTP_ACCEPTED;
		shut_refused(s);
	}
}

/* --- answers inside a mail -------------------------------------------- */

static void on_mail(struct smtp_session *s, struct smtp_tx *tx)
{
	tx->got++;
	if (s->cls == 2)
		return;
	tx->refused = true; /* rule 12: what follows is counted, not heard */
	settle_rest(tx);
}

/* Rule 14.  The enhanced code says it whatever the basic one is: OpenSMTPD's is
 * 451, Haraka's 450.  Exim says a bare 452, RFC 5321 section 4.5.3.1.10; before
 * any recipient was taken that is about something else. */
static bool is_too_many(const struct smtp_verdict *v, bool any_taken)
{
	if (v->enhanced.cls != 0)
		return v->enhanced.subject == 5 && v->enhanced.detail == 3 &&
		       (v->code < 500 || v->code == 552);
	return v->code == 552 || (v->code == 452 && any_taken);
}

/* Item n+1 of a mail that goes as a chunk: the content may follow. */
static void skip_data(struct smtp_tx *tx)
{
	if (!tx->flight && (tx->refused || tx->taken == 0))
		return;
	if (!tx->flight)
		tx->sent++;
	tx->got++;
	tx->go = true;
}

static void on_rcpt(struct smtp_session *s, struct smtp_tx *tx, uint32_t i)
{
	if (s->cls == 2 && tx->refused) {
		/* Nobody takes it into a transaction that there is not.  In a
		 * row that is out of step this was MAIL's answer, and a later
		 * 354 would let content follow to another mail's recipients. */
		session_nonsense(s, "RCPT was accepted behind a refused MAIL");
		return;
	}
	tx->got++;
	if (s->cls == 2)
		tx->taken++;
	if (tx->bdat && i + 1 == tx->mail.rcpt_count)
		skip_data(tx);
	if (tx->refused)
		return; /* settled by on_mail() */
	if (s->cls == 2) {
		tx->rcpt[i] = RCPT_TAKEN;
		return;
	}
	if (is_too_many(&s->verdict, tx->taken > 0))
		s->verdict.result = SMTP_AGAIN;
	settle(tx, i);
}

static void on_data(struct smtp_session *s, struct smtp_tx *tx)
{
	if (s->cls == 2) { /* rule 16 */
		session_nonsense(s, "DATA was answered by 2yz");
		return;
	}
	tx->got++;
	if (s->cls == 3) {
		tx->go = true;
		return;
	}
	tx->over = true;
	settle_rest(tx);
}

static void on_eod(struct smtp_session *s, struct smtp_tx *tx)
{
	if (tx->bdat && s->cls != 2)
		chunk_verdict(s, tx);
	if (!tx_dot_sent(tx)) {
		if (s->cls == 2) {
			session_nonsense(s, "2yz before the dot");
			return;
		}
		/* Rule 18: refused halfway; DATA cannot be taken back. */
		settle_rest(tx);
		shut_refused(s);
		return;
	}
	if (tx->bdat && s->cls == 2 && !chunk_is_taken(s->verdict.enhanced)) {
		session_nonsense(s, "the answers do not fit the commands");
		return;
	}
	if (tx->taken > 0) { /* else the lone dot of rule 12 */
		settle_rest(tx);
		s->carried += s->cls == 2;
		s->chunks += s->cls == 2 && tx->bdat;
	}
	tx->got++;
	if (!tx->bdat || s->cls == 2) {
		finish(s, false);
	} else if (s->proven && !s->no_chunks) {
		finish(s, !tx->refused);
	} else { /* who knows whether it took the octets off */
		retire(s);
		shut_refused(s);
	}
}

/* Every item was answered and the dot will not come: is the mail over? */
static void give_up(struct smtp_session *s)
{
	struct smtp_tx *tx = s->cur;

	if (tx->got < tx->sent || tx->go)
		return;
	if (tx->refused || tx->over ||
	    (tx->sent == tx->mail.rcpt_count + 1 && tx->taken == 0))
		finish(s, !tx->refused);
}

static void on_item(struct smtp_session *s)
{
	struct smtp_tx *tx = s->cur;
	enum smtp_stage stage = stage_of(tx, tx->got);

	if (s->cls == 3 && stage != SMTP_STAGE_DATA) { /* rule 16 */
		session_nonsense(s, "the server said 3yz where it may not");
		return;
	}
	switch (stage) {
	case SMTP_STAGE_MAIL:
		on_mail(s, tx);
		break;
	case SMTP_STAGE_RCPT:
		on_rcpt(s, tx, tx->got - 1);
		break;
	case SMTP_STAGE_DATA:
		on_data(s, tx);
		break;
	default:
		on_eod(s, tx);
	}
	if (s->state == ST_MAIL && s->cur == tx)
		give_up(s);
}

void session_answer(struct smtp_session *s)
{
	if (s->verdict.code == 421)
		goodbye(s);
	else if (s->solo != SMTP_STAGE_NONE)
		on_solo(s);
	else
		on_item(s);
}

/* --- input ------------------------------------------------------------ */

static enum smtp_result result_of(uint16_t cls)
{
	if (cls < 4)
		return SMTP_ACCEPTED;
	return cls == 4 ? SMTP_DEFERRED : SMTP_REJECTED;
}

void session_verdict(struct smtp_session *s, uint16_t code,
		     const struct smtp_enhanced *enhanced, struct span text)
{
	s->cls = code / 100;
	BUG_ON(s->cls < 2 || s->cls > 5);
	s->verdict = (struct smtp_verdict){ .result = result_of(s->cls),
					    .stage = session_stage(s),
					    .code = code,
					    .enhanced = *enhanced,
					    .text = text };
}

/* May an answer come although none is owed? */
static bool may_be_early(const struct smtp_session *s)
{
	if (group_is_open(s))
		return false;
	return s->reply.code == 421 ||
	       (s->state == ST_MAIL && s->cur->go && !tx_dot_sent(s->cur));
}

/* An answer that says something now, or as one of a flight. */
static void take_answer(struct smtp_session *s, bool left_over)
{
	session_verdict(s, s->reply.code, &s->reply.enhanced,
			smtp_reply_text(&s->reply));
	if (stream_hears(s) != NULL)
		stream_answer(s, left_over);
	else if (s->proving && s->verdict.code != 421)
		chunk_proof(s, left_over);
	else if (s->solo == SMTP_STAGE_STARTTLS && left_over &&
		 s->cls == 2) /* rule 27 */
		session_nonsense(s, "clear text after STARTTLS");
	else
		session_answer(s);
}

static void take_reply(struct smtp_session *s, bool left_over)
{
	s->reply.bytes = 0;
	s->odd_replies += s->reply.codes_differ;
	if (s->early && !may_be_early(s))
		session_nonsense(s, "the server spoke out of turn");
	else if (!group_is_open(s))
		take_answer(s, left_over);
	else if (s->solo != SMTP_STAGE_NONE)
		group_reset(s, left_over);
	else
		group_answer(s, left_over);
}

size_t smtp_session_input(struct smtp_session *s, const void *data, size_t len,
			  uint64_t now_ms)
{
	size_t used = len;
	int done;

	BUG_ON(session_event_due(s) && s->state != ST_CLOSED);
	if (s->state == ST_CLOSED || len == 0)
		return len;
	if (s->state == ST_TLS) { /* rule 27 */
		session_nonsense(s, "clear text after STARTTLS");
		return len;
	}
	if (s->reply.buf == NULL)
		s->reply.buf = pool_reply(s->pool);
	if (s->reply.buf == NULL) {
		session_break(s, "out of memory");
		return len;
	}
	if (s->reply.bytes == 0) {
		smtp_reply_init(&s->reply, s->reply.buf);
		s->early = !is_owed(s);
	}
	done = smtp_reply_input(&s->reply, data, len, &used);
	if (done < 0) {
		session_nonsense(s, "this is no SMTP reply");
		return len;
	}
	if (done > 0) {
		s->progress_ms = now_ms;
		take_reply(s, used < len);
	}
	return used;
}
