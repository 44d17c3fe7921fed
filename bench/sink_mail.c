/*
 * bench/sink_mail.c - MAIL, RCPT: the envelope
 *
 * Strict where it helps to find a client's mistakes: parameters that EHLO did
 * not offer are 555, a second MAIL is 503 until the first transaction has
 * ended.  A MAIL that was refused is remembered, so that the recipients
 * grouped behind it get their line in the ledger: it was MAIL's reply that
 * decided over them.
 */
#include "bench/sink_private.h"

#include "base/hash.h"

void sink_mail_reset(struct sink_session *s)
{
	s->mail = SINK_MAIL_NONE;
	s->rcpt_count = 0;
	s->sender_len = 0;
	s->smtputf8 = false;
	buf_clear(&s->rcpts);
}

void sink_record(struct sink_session *s, enum sink_kind kind,
		 struct span recipient, const char *stage, const char *code)
{
	bool decided = kind <= SINK_WITHHELD || s->body_begun;
	struct sink_entry e = {
		.kind = kind,
		.now_us = s->loop->now_us,
		.transaction = s->transaction,
		.session = s->id,
		.content = decided ? &s->content : NULL,
		.recipient = recipient,
		.sender = span_of(s->sender, s->sender_len),
		.server = s->address->text,
		.stage = stage,
		.code = code,
	};

	sink_ledger_add(&s->loop->ledger, &e);
}

/* Take "<path>" off the front of *arg.  Quoted parts may hold a '>'. */
static bool take_path(struct span *arg, struct span *path_r)
{
	struct span a = span_trim(*arg);
	bool quoted = false;
	size_t i;

	if (a.len < 2 || a.p[0] != '<')
		return false;
	for (i = 1; i < a.len && (quoted || a.p[i] != '>'); i++) {
		if (a.p[i] == '\0')
			return false;
		if (a.p[i] == '\\' && quoted)
			i++;
		else if (a.p[i] == '"')
			quoted = !quoted;
	}
	if (i >= a.len || i > SINK_SENDER_MAX)
		return false;
	*path_r = span_of(a.p + 1, i - 1);
	*arg = span_of(a.p + i + 1, a.len - i - 1);
	return arg->len == 0 || arg->p[0] == ' ';
}

/* The next blank-separated word of *arg, or an empty one. */
static struct span take_word(struct span *arg)
{
	struct span a = span_trim(*arg), word = a;
	ptrdiff_t end = span_find(a, ' ');

	if (end >= 0)
		word.len = (size_t)end;
	*arg = span_of(a.p + word.len, a.len - word.len);
	return word;
}

static bool non_ascii(struct span s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] > 127)
			return true;
	return false;
}

/* --- MAIL --------------------------------------------------------------- */

/* One parameter; NULL, or the code that refuses it. */
static const char *mail_param(struct sink_session *s, struct span word)
{
	const struct sink_config *c = s->loop->config;
	uint64_t size;

	if (!s->esmtp)
		return "555";
	if (c->size_max > 0 && span_starts_nocase(word, SPAN("SIZE="))) {
		if (!span_u64(span_of(word.p + 5, word.len - 5), UINT64_MAX,
			      &size))
			return "501";
		return size > c->size_max ? "552" : NULL;
	}
	if (!c->no_8bitmime && (span_eq_nocase(word, SPAN("BODY=8BITMIME")) ||
				span_eq_nocase(word, SPAN("BODY=7BIT"))))
		return NULL;
	if (!c->no_smtputf8 && span_eq_nocase(word, SPAN("SMTPUTF8"))) {
		s->smtputf8 = true;
		return NULL;
	}
	if (!c->no_dsn && (span_eq_nocase(word, SPAN("RET=FULL")) ||
			   span_eq_nocase(word, SPAN("RET=HDRS")) ||
			   span_starts_nocase(word, SPAN("ENVID="))))
		return NULL;
	return "555";
}

static const char *mail_params(struct sink_session *s, struct span arg)
{
	const char *code = NULL;
	struct span word;

	s->smtputf8 = false;
	while (code == NULL && (word = take_word(&arg)).len > 0)
		code = mail_param(s, word);
	return code;
}

static void refuse_mail(struct sink_session *s, int class, struct sink_words w)
{
	bool said = sink_say_refusal(s, SINK_MAIL, class, w);

	s->mail = SINK_MAIL_REFUSED;
	s->mail_class = class;
	s->mail_code = w.code;
	if (said)
		sink_record(s, class == 4 ? SINK_REJ4 : SINK_REJ5,
			    span_of(NULL, 0), "mail", w.code);
}

static void mail_open(struct sink_session *s)
{
	const struct sink_config *c = s->loop->config;
	uint64_t key = hash_pair(s->id, s->commands);
	int class = sink_verdict(c, s->loop->sink->memory, SINK_MAIL, key);

	s->transaction = atomic_fetch_add(&s->loop->sink->transactions, 1) + 1;
	if (class != 0) {
		refuse_mail(s, class, sink_refusal(c, SINK_MAIL, class, key));
		return;
	}
	s->mail = SINK_MAIL_OPEN;
	sink_say(s, SINK_MAIL, (struct sink_words){ "250", "2.1.0", "Ok" });
}

/* Has this session carried all it may? */
static bool quota_reached(struct sink_session *s)
{
	const struct sink_config *c = s->loop->config;

	if (c->messages_max == 0 || s->messages < c->messages_max)
		return false;
	sink_count(&s->loop->stats.n[SINK_N_QUOTA]);
	if (!c->messages_silent)
		sink_say_plain(s, "421", "4.7.0",
			       "max messages per connection reached");
	sink_end(s);
	return true;
}

void sink_mail_from(struct sink_session *s, struct span arg)
{
	const char *code;
	struct span path;

	if (quota_reached(s))
		return;
	if (s->mail != SINK_MAIL_NONE && s->mail != SINK_MAIL_REFUSED) {
		sink_say_bad(s, "503", "5.5.1", "nested MAIL command");
		return;
	}
	sink_mail_reset(s);
	s->body_begun = false;
	if (!span_starts_nocase(arg, SPAN(" FROM:"))) {
		sink_say_bad(s, "501", "5.5.4", "MAIL FROM:<address>");
		return;
	}
	arg = span_of(arg.p + 6, arg.len - 6);
	if (!take_path(&arg, &path)) {
		sink_say_bad(s, "501", "5.1.7", "bad sender address");
		return;
	}
	memcpy(s->sender, path.p, path.len);
	s->sender_len = (uint16_t)path.len;
	code = mail_params(s, arg);
	if (code == NULL && non_ascii(path) && !s->smtputf8)
		code = "553";
	if (code == NULL)
		mail_open(s);
	else if (strcmp(code, "552") == 0)
		refuse_mail(s, 5,
			    (struct sink_words){ code, "5.3.4", "too large" });
	else
		sink_say_bad(s, code, "5.5.4", "bad or unknown parameter");
}

/* --- RCPT --------------------------------------------------------------- */

static bool rcpt_params_ok(struct sink_session *s, struct span arg)
{
	bool dsn = s->esmtp && !s->loop->config->no_dsn;
	struct span word;

	while ((word = take_word(&arg)).len > 0)
		if (!dsn || (!span_starts_nocase(word, SPAN("NOTIFY=")) &&
			     !span_starts_nocase(word, SPAN("ORCPT="))))
			return false;
	return true;
}

/* One key an address, whatever its case. */
static uint64_t address_key(struct span address)
{
	char low[SINK_SENDER_MAX];
	size_t i;

	BUG_ON(address.len > sizeof(low));
	for (i = 0; i < address.len; i++)
		low[i] = (char)(address.p[i] >= 'A' && address.p[i] <= 'Z'
					? address.p[i] | 0x20
					: address.p[i]);
	return hash_bytes(low, address.len, 0);
}

static void refuse_rcpt(struct sink_session *s, struct span rcpt, int class,
			struct sink_words w)
{
	if (sink_say_refusal(s, SINK_RCPT, class, w))
		sink_record(s, class == 4 ? SINK_REJ4 : SINK_REJ5, rcpt, "rcpt",
			    w.code);
}

static void judge_rcpt(struct sink_session *s, struct span rcpt)
{
	struct sink_loop *l = s->loop;
	const struct sink_config *c = l->config;
	uint64_t key = address_key(rcpt);
	uint64_t pair = hash_bytes(s->sender, s->sender_len, key);
	char head[2] = { (char)(rcpt.len >> 8), (char)(rcpt.len & 255) };
	int class;

	if (c->rcpts_max > 0 && s->rcpt_count >= c->rcpts_max) {
		sink_count(&l->stats.n[SINK_N_RCPTS_OVER]);
		refuse_rcpt(s, rcpt, 4,
			    (struct sink_words){ "452", "4.5.3",
						 "too many recipients" });
		return;
	}
	if (c->greylist_s > 0 &&
	    sink_greylisted(c, l->sink->memory, pair, l->now_us)) {
		sink_count(&l->stats.n[SINK_N_GREYLISTED]);
		refuse_rcpt(s, rcpt, 4,
			    (struct sink_words){ "451", "4.7.1",
						 "greylisted, come again" });
		return;
	}
	class = sink_verdict(c, l->sink->memory, SINK_RCPT, key);
	if (class != 0) {
		refuse_rcpt(s, rcpt, class,
			    sink_refusal(c, SINK_RCPT, class, key));
		return;
	}
	if (buf_reserve(&s->rcpts, 2 + rcpt.len) < 0) {
		refuse_rcpt(s, rcpt, 4,
			    (struct sink_words){ "452", "4.5.3", "no room" });
		return;
	}
	buf_add(&s->rcpts, head, 2);
	buf_add_span(&s->rcpts, rcpt);
	s->rcpt_count++;
	sink_say(s, SINK_RCPT, (struct sink_words){ "250", "2.1.5", "Ok" });
}

void sink_rcpt_to(struct sink_session *s, struct span arg)
{
	struct span path;

	if (!span_starts_nocase(arg, SPAN(" TO:"))) {
		sink_say_bad(s, "501", "5.5.4", "RCPT TO:<address>");
		return;
	}
	arg = span_of(arg.p + 4, arg.len - 4);
	if (!take_path(&arg, &path) || path.len == 0) {
		sink_say_bad(s, "501", "5.1.3", "bad recipient address");
		return;
	}
	if (s->mail == SINK_MAIL_REFUSED) {
		sink_say_plain(s, "503", "5.5.1", "MAIL was refused");
		sink_record(s, s->mail_class == 4 ? SINK_REJ4 : SINK_REJ5, path,
			    "mail", s->mail_code);
	} else if (s->mail != SINK_MAIL_OPEN) {
		sink_say_bad(s, "503", "5.5.1", "MAIL first");
	} else if (non_ascii(path) && !s->smtputf8) {
		refuse_rcpt(s, path, 5,
			    (struct sink_words){ "553", "5.6.7",
						 "needs SMTPUTF8" });
	} else if (!rcpt_params_ok(s, arg)) {
		sink_say_bad(s, "555", "5.5.4", "unknown parameter");
	} else {
		judge_rcpt(s, path);
	}
}
