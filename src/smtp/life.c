/*
 * smtp/life.c - what the caller asks of a session: life, mails, time
 */
#include "smtp/session_private.h"

#include "base/fetch.h"

#include <errno.h>
#include <string.h>

struct smtp_session *smtp_session_new(const struct smtp_settings *set,
				      struct smtp_pool *pool, uint64_t now_ms)
{
	struct smtp_session *s = pool_session(pool);

	BUG_ON(set->hostname.len == 0 ||
	       set->hostname.len + SEND_COMMAND_REST > SMTP_COMMAND_MAX);
	if (s == NULL)
		return NULL;
	*s = (struct smtp_session){ .set = set,
				    .pool = pool,
				    .born_ms = now_ms,
				    .progress_ms = now_ms,
				    .state = ST_GREETING,
				    .solo = SMTP_STAGE_GREETING,
				    .solo_sent = true,
				    .grouping = set->grouping,
				    .chunking = set->chunking,
				    .ahead_max = 1 };
	s->tail = &s->done;
	return s;
}

void smtp_session_free(struct smtp_session **session)
{
	struct smtp_session *s = *session;

	*session = NULL;
	if (s == NULL)
		return;
	BUG_ON(s->lent);
	while (s->done != NULL) {
		struct smtp_tx *tx = s->done;

		s->done = tx->next;
		pool_tx_free(s->pool, &tx);
	}
	while (s->cur != NULL) {
		struct smtp_tx *tx = s->cur;

		s->cur = tx->next;
		pool_tx_free(s->pool, &tx);
	}
	pool_cmd_free(s->pool, &s->cmd);
	pool_reply_free(s->pool, &s->reply.buf);
	pool_group_free(s->pool, &s->group);
	pool_session_free(s->pool, &s);
}

void smtp_session_eof(struct smtp_session *s)
{
	BUG_ON(session_event_due(s) && s->state != ST_CLOSED);
	session_break(s, "the connection broke");
}

void smtp_session_tls_done(struct smtp_session *s, bool established,
			   uint64_t now_ms)
{
	if (s->state == ST_CLOSED)
		return; /* clear text came behind the 220 */
	BUG_ON(s->state != ST_TLS || s->tell != 0);
	s->progress_ms = now_ms;
	if (!established) {
		session_break(s, "the TLS handshake failed");
		return;
	}
	/* RFC 3207 section 4.2: forget what was said before. */
	s->tls_on = true;
	s->helo = false;
	s->ehlo = (struct smtp_ehlo){ 0 };
	session_solo(s, ST_HELLO, SMTP_STAGE_EHLO);
}

/* --- mails ------------------------------------------------------------ */

static bool may_group(const struct smtp_session *s)
{
	return s->state == ST_MAIL && s->cur->next == NULL && s->grouping &&
	       !s->cur->bdat && s->carried > 0 && is_pipelining(s);
}

uint32_t smtp_session_room(const struct smtp_session *s)
{
	uint32_t max = pool_rcpts_max(s->pool);

	if (session_event_due(s) ||
	    (s->ehlo.mails_max > 0 && s->mails >= s->ehlo.mails_max))
		return 0;
	if (s->ehlo.rcpts_max > 0 && s->ehlo.rcpts_max < max)
		max = s->ehlo.rcpts_max;
	if (s->state == ST_READY)
		return s->tell == 0 ? max : 0;
	if (stream_has_room(s))
		return 1;
	if (!may_group(s))
		return 0;
	return max < SMTP_GROUP_RCPTS_MAX ? max : SMTP_GROUP_RCPTS_MAX;
}

#define WORD           sizeof(uint64_t)
#define EACH_OCTET(is) (UINT64_C(0x0101010101010101) * (is))

/* Not 0 when an octet of these is below 0x20, or 0x7f: subtracted from, only
 * such a one gets a high bit that it had not. */
static uint64_t controls(const char *p)
{
	uint64_t w, del;

	memcpy(&w, p, WORD);
	del = w ^ EACH_OCTET(0x7f);
	return (((w - EACH_OCTET(0x20)) & ~w) |
		((del - EACH_OCTET(0x01)) & ~del)) &
	       EACH_OCTET(0x80);
}

/* No CR, LF, NUL or other control may get into a command. */
static bool is_clean(struct span text)
{
	char few[WORD];
	uint64_t bad = 0;
	size_t at;

	if (text.len == 0)
		return true;
	if (text.len < WORD) {
		memset(few, ' ', sizeof(few));
		memcpy(few, text.p, text.len);
		return controls(few) == 0;
	}
	for (at = 0; at < text.len - WORD; at += WORD)
		bad |= controls(text.p + at);
	return (bad | controls(text.p + text.len - WORD)) == 0;
}

static bool is_command(struct span address, struct span params)
{
	return address.len + params.len + SEND_COMMAND_REST <=
		       SMTP_COMMAND_MAX &&
	       is_clean(address) && is_clean(params) &&
	       (params.len == 0 || params.p[0] == ' ');
}

static bool is_content(const struct smtp_mail *m)
{
	char end[2] = { '\r', '\n' };
	uint64_t bytes = 0;
	uint32_t i;

	for (i = 0; i < m->content_count; i++) {
		const struct iovec *v = &m->content[i];
		const char *p = v->iov_base;

		bytes += v->iov_len;
		if (v->iov_len == 0)
			continue;
		end[0] = v->iov_len > 1 ? p[v->iov_len - 2] : end[1];
		end[1] = p[v->iov_len - 1];
	}
	return bytes == m->content_bytes && end[0] == '\r' && end[1] == '\n';
}

static int check_mail(const struct smtp_session *s, const struct smtp_mail *m)
{
	uint32_t caps = s->ehlo.caps, i;

	if (m->rcpt_count == 0 || !is_command(m->sender, m->params))
		return -EINVAL;
	for (i = 0; i < m->rcpt_count; i++)
		if (m->rcpts[i].address.len == 0 ||
		    !is_command(m->rcpts[i].address, m->rcpts[i].params))
			return -EINVAL;
	if (!is_content(m))
		return -EINVAL;
	if (s->ehlo.size_max > 0 && m->content_bytes > s->ehlo.size_max)
		return -EMSGSIZE;
	if ((m->flags & SMTP_MAIL_UTF8) && !(caps & SMTP_CAP_SMTPUTF8))
		return -EOPNOTSUPP;
	if ((m->flags & SMTP_MAIL_8BIT) && !(caps & SMTP_CAP_8BITMIME) &&
	    s->set->eightbit == SMTP_EIGHTBIT_BOUNCE)
		return -EILSEQ;
	return 0;
}

/* Behind less the end of a session is no end of patience. */
#define PROMPT_MS 1000u

int smtp_session_mail(struct smtp_session *s, const struct smtp_mail *mail,
		      uint64_t now_ms)
{
	uint32_t room = smtp_session_room(s);
	struct smtp_tx *tx;
	int rc;

	if (room == 0)
		return -EAGAIN;
	if (mail->rcpt_count > room)
		return -E2BIG;
	if (s->cur != NULL && s->cur->bdat &&
	    !stream_fits(s, mail->content_bytes))
		return -EAGAIN;
	rc = check_mail(s, mail);
	if (rc < 0)
		return rc;
	tx = pool_tx(s->pool);
	if (tx == NULL)
		return -ENOMEM;
	memset(tx, 0, sizeof(*tx) + mail->rcpt_count);
	tx->mail = *mail;
	tx->bol = true;
	s->mails++;
	s->ahead++;
	s->ahead_bytes += mail->content_bytes;
	if (s->fly == NULL)
		s->fly = tx;
	if (s->cur != NULL) {
		tx->bdat = s->cur->bdat;
		s->last = s->last->next = tx;
		return 0;
	}
	s->cur = s->last = tx;
	tx->bdat = chunk_may(s);
	s->prompt = now_ms - s->progress_ms < PROMPT_MS;
	s->progress_ms = now_ms;
	session_set_state(s, ST_MAIL);
	if (chunk_must_prove(s)) {
		session_solo(s, ST_RESET, SMTP_STAGE_RSET);
		s->proving = true;
	}
	return 0;
}

enum local_rule smtp_mail_unfit(int err)
{
	switch (err) {
	case -EMSGSIZE:
		return LOCAL_SIZE;
	case -EOPNOTSUPP:
		return LOCAL_UTF8;
	case -EILSEQ:
		return LOCAL_EIGHTBIT;
	default:
		return LOCAL_NONE;
	}
}

int smtp_session_quit(struct smtp_session *s, uint64_t now_ms)
{
	if (s->state != ST_READY || session_event_due(s) || s->tell != 0)
		return -EAGAIN;
	s->progress_ms = now_ms;
	session_solo(s, ST_QUIT, SMTP_STAGE_QUIT);
	return 0;
}

void smtp_session_set_grouping(struct smtp_session *s, bool allowed)
{
	s->grouping = allowed;
}

void smtp_session_set_chunking(struct smtp_session *s, bool allowed)
{
	s->chunking = allowed;
}

void smtp_session_set_ahead(struct smtp_session *s, uint32_t mails)
{
	BUG_ON(mails == 0);
	s->ahead_max = mails < SMTP_AHEAD_MAX ? mails : SMTP_AHEAD_MAX;
}

uint32_t smtp_session_ahead(const struct smtp_session *s)
{
	return s->state == ST_MAIL && stream_is_on(s) ? s->ahead : 0;
}

struct smtp_info smtp_session_info(const struct smtp_session *s)
{
	return (struct smtp_info){
		.caps = s->ehlo.caps,
		.size_max = s->ehlo.size_max,
		.rcpts_max = s->ehlo.rcpts_max,
		.mails_max = s->ehlo.mails_max,
		.carried = s->carried,
		.groups = s->groups,
		.chunks = s->chunks,
		.flights = s->flights,
		.odd_replies = s->odd_replies,
		.tls = s->tls_on,
	};
}

void smtp_session_expect(const struct smtp_session *s)
{
	fetch_ahead(s, sizeof(*s));
}

/* The answers to a flight are kept with their head, and the words of the first
 * of them where words begin. */
#define GROUP_HEAD  128u
#define GROUP_WORDS 64u
#define TX_HEAD     (offsetof(struct smtp_tx, rcpt) + 1)

void smtp_session_expect_more(const struct smtp_session *s)
{
	if (s->cur == NULL)
		return;
	fetch_ahead(s->cur, TX_HEAD);
	if (s->last != s->cur)
		fetch_ahead(s->last, TX_HEAD);
	if (s->group != NULL) {
		fetch_ahead(s->group, GROUP_HEAD);
		fetch_ahead(s->group->text, GROUP_WORDS);
	}
}

/* --- time ------------------------------------------------------------- */

#define SECONDS 1000u

static uint32_t or_default(uint32_t ms, uint32_t seconds)
{
	return ms > 0 ? ms : seconds * SECONDS;
}

/* Rule 10. */
static uint32_t stage_ms(const struct smtp_timeouts *t, enum smtp_stage stage)
{
	switch (stage) {
	case SMTP_STAGE_GREETING:
		return or_default(t->greeting_ms, 300);
	case SMTP_STAGE_EHLO:
		return or_default(t->ehlo_ms, 300);
	case SMTP_STAGE_STARTTLS:
		return or_default(t->starttls_ms, 120);
	case SMTP_STAGE_MAIL:
		return or_default(t->mail_ms, 300);
	case SMTP_STAGE_RCPT:
		return or_default(t->rcpt_ms, 300);
	case SMTP_STAGE_DATA:
		return or_default(t->data_ms, 120);
	case SMTP_STAGE_EOD:
		return or_default(t->eod_ms, 600);
	case SMTP_STAGE_RSET:
		return or_default(t->rset_ms, 60);
	default:
		BUG_ON(stage != SMTP_STAGE_QUIT);
		return or_default(t->quit_ms, 10);
	}
}

static uint64_t step_deadline(const struct smtp_session *s)
{
	const struct smtp_timeouts *t = &s->set->timeouts;
	bool content =
		s->state == ST_MAIL && s->cur->go && !tx_dot_sent(s->cur);

	if (s->lent || content)
		return s->progress_ms + or_default(t->flush_ms, 180);
	if (s->state == ST_READY)
		return SMTP_NEVER;
	if (s->state == ST_TLS)
		return s->progress_ms + or_default(t->handshake_ms, 60);
	return s->progress_ms + stage_ms(t, session_stage(s));
}

uint64_t smtp_session_deadline(const struct smtp_session *s)
{
	const struct smtp_timeouts *t = &s->set->timeouts;
	uint64_t step, all = s->born_ms + or_default(t->session_ms, 3600);

	if (s->state == ST_CLOSED)
		return SMTP_NEVER;
	step = step_deadline(s);
	/* Giving up on a dot early makes second copies. */
	if (s->cur != NULL && tx_dot_sent(s->cur))
		return step;
	return step < all ? step : all;
}

void smtp_session_tick(struct smtp_session *s, uint64_t now_ms)
{
	BUG_ON(session_event_due(s) && s->state != ST_CLOSED);
	if (now_ms >= smtp_session_deadline(s))
		session_break(s, "no answer in time");
}
