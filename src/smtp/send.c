/*
 * smtp/send.c - the sender: what goes out next, and when
 *
 * A batch is made when the caller asks for it.  It is one of
 *
 *	a command outside of mails
 *	MAIL RCPT... DATA, as far as they fit (one of them without PIPELINING)
 *	content, and the dot, and behind it the next mail's MAIL RCPT... DATA
 *	RSET MAIL RCPT BDAT and content, of as many mails as may fly
 *
 * The content is lent as it is, in pieces.  A dot at the head of a line is
 * doubled by a piece of its own (RFC 5321 section 4.5.2, rule 23), found by
 * looking for LF dot: canonical content has no LF without CR.
 */
#include "smtp/session_private.h"

#include <string.h>

#define DOT_CRLF ".\r\n"
#define DOT_LEN  3u

struct batch {
	struct smtp_session *s;
	struct iovec *iov;
	int n;
	size_t room;      /* octets of content left */
	char *cmd;        /* the session's */
	uint32_t cmd_len; /* octets in it */
	uint32_t cmd_at;  /* of them those that stand in iov already */
};

static void add_piece(struct batch *b, const void *p, size_t len)
{
	BUG_ON(b->n >= SMTP_IOV_MAX);
	b->iov[b->n++] = (struct iovec){ (void *)(uintptr_t)p, len };
}

/* --- commands --------------------------------------------------------- */

/* Inline: most of what is put are a few letters, known here. */
static inline void put(struct batch *b, struct span text)
{
	BUG_ON(b->cmd_len + text.len > CMD_BUF);
	if (text.len > 0)
		memcpy(b->cmd + b->cmd_len, text.p, text.len);
	b->cmd_len += (uint32_t)text.len;
}

/* Where they are to stand: a copy would wait for each digit's way to memory. */
static void put_number(struct batch *b, uint64_t value)
{
	uint32_t at = b->cmd_len + 1;
	uint64_t v;

	for (v = value / 10; v > 0; v /= 10)
		at++;
	BUG_ON(at > CMD_BUF);
	b->cmd_len = at;
	do {
		b->cmd[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
}

static void put_mail(struct batch *b, const struct smtp_mail *m)
{
	uint32_t caps = b->s->ehlo.caps;

	put(b, SPAN("MAIL FROM:<"));
	put(b, m->sender);
	put(b, SPAN(">"));
	if (caps & SMTP_CAP_SIZE) {
		put(b, SPAN(" SIZE="));
		put_number(b, m->content_bytes);
	}
	if ((m->flags & SMTP_MAIL_8BIT) && (caps & SMTP_CAP_8BITMIME))
		put(b, SPAN(" BODY=8BITMIME"));
	if (m->flags & SMTP_MAIL_UTF8)
		put(b, SPAN(" SMTPUTF8"));
	if (caps & SMTP_CAP_DSN)
		put(b, m->params);
	put(b, SPAN("\r\n"));
}

static void put_rcpt(struct batch *b, const struct smtp_rcpt *r)
{
	put(b, SPAN("RCPT TO:<"));
	put(b, r->address);
	put(b, SPAN(">"));
	if (b->s->ehlo.caps & SMTP_CAP_DSN)
		put(b, r->params);
	put(b, SPAN("\r\n"));
}

static void put_item(struct batch *b, struct smtp_tx *tx)
{
	uint32_t item = tx->sent++;

	if (item == 0)
		put_mail(b, &tx->mail);
	else if (item <= tx->mail.rcpt_count)
		put_rcpt(b, &tx->mail.rcpts[item - 1]);
	else
		put(b, SPAN("DATA\r\n"));
}

/* Octets that an item takes at most; _mail() keeps it under COMMAND_MAX. */
static size_t item_bytes(const struct smtp_tx *tx, uint32_t item)
{
	const struct smtp_mail *m = &tx->mail;

	if (item == 0)
		return SEND_COMMAND_REST + m->sender.len + m->params.len;
	if (item <= m->rcpt_count)
		return SEND_COMMAND_REST + m->rcpts[item - 1].address.len +
		       m->rcpts[item - 1].params.len;
	return SEND_COMMAND_REST;
}

static bool fits(const struct batch *b, const struct smtp_tx *tx)
{
	return b->cmd_len + item_bytes(tx, tx->sent) <= CMD_BUF;
}

/* Is there an item before the content that may go now? */
static bool envelope_waits(const struct smtp_session *s,
			   const struct smtp_tx *tx)
{
	uint32_t data = tx->mail.rcpt_count + 1;

	if (tx->sent > data || tx->refused || (tx->bdat && tx->sent == data))
		return false;
	/* When all were answered and nobody was taken, the mail is over. */
	return tx->sent == tx->got || is_pipelining(s);
}

static void put_envelope(struct batch *b, struct smtp_tx *tx)
{
	while (envelope_waits(b->s, tx) && fits(b, tx))
		put_item(b, tx);
}

static void put_solo(struct batch *b)
{
	struct smtp_session *s = b->s;

	switch (s->solo) {
	case SMTP_STAGE_EHLO:
		put(b, s->helo ? SPAN("HELO ") : SPAN("EHLO "));
		put(b, s->set->hostname);
		put(b, SPAN("\r\n"));
		break;
	case SMTP_STAGE_STARTTLS:
		put(b, SPAN("STARTTLS\r\n"));
		break;
	case SMTP_STAGE_RSET:
		/* chunk.c: a chunk out of order, or one more command. */
		put(b, s->proving ? SPAN("BDAT 6 LAST\r\nMTAQ\r\nRSET\r\n")
				  : SPAN("RSET\r\n"));
		break;
	default:
		BUG_ON(s->solo != SMTP_STAGE_QUIT);
		put(b, SPAN("QUIT\r\n"));
	}
	s->solo_sent = true;
}

/* --- content ---------------------------------------------------------- */

/* How much of p can go before a dot must be doubled. */
static size_t until_dot_line(const char *p, size_t len)
{
	const char *at = p, *end = p + len;

	/* Most octets are no dots: memchr() runs through them. */
	while (end - at > 1 &&
	       (at = memchr(at + 1, '.', (size_t)(end - at) - 1)) != NULL)
		if (at[-1] == '\n')
			return (size_t)(at - p);
	return len;
}

static void put_piece(struct batch *b, struct smtp_tx *tx)
{
	const struct iovec *v = &tx->mail.content[tx->piece];
	const char *p = (const char *)v->iov_base + tx->piece_at;
	size_t len = v->iov_len - tx->piece_at;

	if (len == 0) {
		tx->piece++;
		tx->piece_at = 0;
		return;
	}
	if ((tx->mail.flags & SMTP_MAIL_DOTS) && !tx->bdat) {
		if (tx->bol && p[0] == '.') {
			add_piece(b, DOT_CRLF, 1);
			tx->bol = false; /* its double is out */
			b->room--;
			return;
		}
		len = until_dot_line(p, len);
	}
	if (len > b->room)
		len = b->room;
	add_piece(b, p, len);
	b->room -= len;
	/* Asked for where there are dots alone: the octets are far away. */
	if (tx->mail.flags & SMTP_MAIL_DOTS)
		tx->bol = p[len - 1] == '\n';
	tx->piece_at += len;
}

static void put_pieces(struct batch *b, struct smtp_tx *tx)
{
	/* Two places stay free, for the dot and for commands. */
	while (tx->piece < tx->mail.content_count && b->room > 0 &&
	       b->n < SMTP_IOV_MAX - 2)
		put_piece(b, tx);
	/* With its last octet all of it is out, not with the next batch. */
	while (tx->piece < tx->mail.content_count &&
	       tx->piece_at == tx->mail.content[tx->piece].iov_len) {
		tx->piece++;
		tx->piece_at = 0;
	}
}

static void put_content(struct batch *b, struct smtp_tx *tx, bool hold_dot)
{
	if (tx->taken == 0) /* rule 12: the lone dot */
		tx->piece = tx->mail.content_count;
	put_pieces(b, tx);
	if (tx->piece < tx->mail.content_count || hold_dot)
		return;
	add_piece(b, DOT_CRLF, DOT_LEN);
	tx->sent++;
	BUG_ON(!tx_dot_sent(tx));
}

/* --- chunks (rule 20) ------------------------------------------------- */

static void put_bdat(struct batch *b, struct smtp_tx *tx)
{
	put(b, SPAN("BDAT "));
	put_number(b, tx->mail.content_bytes);
	put(b, SPAN(" LAST\r\n"));
	tx->head = true;
}

/* Commands stand in front of the content. */
static void place_commands(struct batch *b)
{
	if (b->cmd_len > b->cmd_at)
		add_piece(b, b->cmd + b->cmd_at, b->cmd_len - b->cmd_at);
	b->cmd_at = b->cmd_len;
}

/* Has all of it been put? */
static bool put_chunk(struct batch *b, struct smtp_tx *tx)
{
	put_pieces(b, tx);
	if (tx->piece < tx->mail.content_count)
		return false;
	tx->sent++;
	BUG_ON(!tx_dot_sent(tx));
	return true;
}

/* No part of the content goes before what the peer has said was heard. */
static void put_careful(struct batch *b, struct smtp_tx *tx, bool hold)
{
	if (!tx->go) {
		put_envelope(b, tx);
		return;
	}
	if (tx_dot_sent(tx) || hold)
		return;
	if (!tx->head)
		put_bdat(b, tx);
	place_commands(b);
	put_chunk(b, tx);
}

/* RSET, MAIL, RCPT, BDAT; and one piece of content at least. */
static bool flight_fits(const struct batch *b, const struct smtp_tx *tx)
{
	return b->cmd_len + item_bytes(tx, 0) + item_bytes(tx, 1) +
			       item_bytes(tx, 2) <=
		       CMD_BUF &&
	       b->n < SMTP_IOV_MAX - 3 && b->room > 0;
}

static bool begin_flight(struct batch *b, struct smtp_tx *tx)
{
	tx->answers = pool_group(b->s->pool);
	if (tx->answers == NULL)
		return false;
	group_init(tx->answers);
	tx->flight = tx->answers->flight = true;
	tx->led = tx != b->s->cur;
	if (tx->led)
		put(b, SPAN("RSET\r\n"));
	put_item(b, tx);
	put_item(b, tx);
	tx->sent++;
	tx->go = true;
	put_bdat(b, tx);
	place_commands(b);
	return true;
}

static void put_stream(struct batch *b)
{
	struct smtp_tx *tx;

	while ((tx = b->s->fly) != NULL && flight_fits(b, tx)) {
		if (!tx->flight && !begin_flight(b, tx))
			return;
		if (!put_chunk(b, tx))
			return;
		b->s->fly = tx->next;
	}
}

/*
 * Rule 19: the whole envelope of the next mail behind a dot that has not
 * been answered.  What does not fit into one flight waits for the answer.
 */
static void put_group(struct batch *b)
{
	struct smtp_session *s = b->s;
	struct smtp_tx *tx = s->cur->next;
	size_t bytes = 0;
	uint32_t i;

	if (tx == NULL || tx->sent > 0 || !s->grouping || s->cur->taken == 0)
		return;
	for (i = 0; i < tx->mail.rcpt_count + 2; i++)
		bytes += item_bytes(tx, i);
	if (bytes > CMD_BUF)
		return;
	s->group = pool_group(s->pool);
	if (s->group == NULL)
		return;
	group_init(s->group);
	BUG_ON(!is_pipelining(s));
	while (tx->sent < tx->mail.rcpt_count + 2)
		put_item(b, tx);
}

static void put_tx(struct batch *b, bool hold_dot)
{
	struct smtp_tx *tx = b->s->cur;

	if (stream_is_on(b->s)) {
		if (!hold_dot)
			put_stream(b);
		return;
	}
	if (tx->bdat) {
		put_careful(b, tx, hold_dot);
		return;
	}
	if (!tx->go)
		put_envelope(b, tx);
	else if (!tx_dot_sent(tx))
		put_content(b, tx, hold_dot);
	if (tx_dot_sent(tx))
		put_group(b);
}

static bool has_output(const struct smtp_session *s)
{
	const struct smtp_tx *tx = s->cur;

	if (s->solo != SMTP_STAGE_NONE)
		return !s->solo_sent;
	if (s->state != ST_MAIL)
		return false;
	if (stream_is_on(s))
		return s->fly != NULL;
	if (tx_dot_sent(tx))
		return tx->next != NULL && tx->next->sent == 0;
	return tx->go || envelope_waits(s, tx);
}

bool smtp_session_asks(const struct smtp_session *s)
{
	if (s->lent || !has_output(s))
		return false;
	return s->solo != SMTP_STAGE_NONE ||
	       (!s->cur->go && s->cur->sent == s->cur->got);
}

bool smtp_session_dot_next(const struct smtp_session *s)
{
	if (s->state != ST_MAIL || s->solo != SMTP_STAGE_NONE || s->lent)
		return false;
	return stream_is_on(s) ? s->fly != NULL
			       : !tx_dot_sent(s->cur) && s->cur->go;
}

bool smtp_session_more_answers(const struct smtp_session *s)
{
	if (s->proving)
		return s->refused_it;
	if (s->state != ST_MAIL || s->solo != SMTP_STAGE_NONE)
		return false;
	if (group_is_open(s))
		return s->group->count > 0;
	if (stream_hears(s) != NULL)
		return stream_hears(s)->answers->count > 0;
	return is_pipelining(s) && s->cur->got > 0 &&
	       s->cur->got < s->cur->sent && !tx_dot_sent(s->cur);
}

bool smtp_session_gathers(const struct smtp_session *s)
{
	if (s->state != ST_MAIL || s->solo != SMTP_STAGE_NONE)
		return false;
	/* It opens when no event waits, and while it is open nobody is told
	 * anything; smtp_session_input() asserts that. */
	return group_is_open(s) && s->group->count > 0;
}

int smtp_session_output(struct smtp_session *s, struct iovec *iov, size_t limit,
			bool pending_input, uint64_t now_ms)
{
	struct batch b = { .s = s, .iov = iov };

	BUG_ON(limit < SMTP_OUT_MIN);
	if (s->lent || session_event_due(s) || !has_output(s))
		return 0;
	s->cmd = pool_cmd(s->pool);
	if (s->cmd == NULL)
		return 0;
	b.cmd = s->cmd;
	b.room = limit - CMD_BUF - DOT_LEN;
	if (s->solo != SMTP_STAGE_NONE)
		put_solo(&b);
	else
		put_tx(&b, pending_input || s->reply.bytes > 0);
	place_commands(&b);
	if (b.cmd_len == 0)
		pool_cmd_free(s->pool, &s->cmd);
	if (b.n == 0)
		return 0;
	s->lent = true;
	s->progress_ms = now_ms;
	return b.n;
}

void smtp_session_sent(struct smtp_session *s, uint64_t now_ms)
{
	BUG_ON(!s->lent);
	s->lent = false;
	s->progress_ms = now_ms;
	pool_cmd_free(s->pool, &s->cmd);
}
