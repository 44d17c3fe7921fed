/*
 * bench/sink_smtp.c - the server's side of a session: lines in, replies out
 *
 *	octets --> COMMAND --DATA--> DATA --final dot--> COMMAND
 *	              |  +---BDAT--> BDAT --n octets---> COMMAND
 *	              |  +--too long-> SKIP --line feed-> COMMAND
 *	              +--QUIT, 421, drop, hang--> DEAF
 *
 * Every reply passes sink_say_text(), where the tricks are played and the
 * delay is set.  RFC 5321; grouped commands as in RFC 2920.
 */
#include "bench/sink_private.h"

#include "base/hash.h"

#include <stdio.h>

#define REPLY_MAX 512u
#define STRAY     "250 2.0.0 stray\r\n"

void sink_end(struct sink_session *s)
{
	s->phase = SINK_PHASE_DEAF;
	s->close_wanted = true;
}

void sink_drop(struct sink_session *s)
{
	s->reset = s->loop->config->reset;
	sink_end(s);
}

bool sink_trick_now(struct sink_session *s, enum sink_trick trick,
		    enum sink_stage stage)
{
	const struct sink_config *c = s->loop->config;
	double share = c->trick[trick][stage];

	if (share <= 0 || sink_draw(c->seed, 300 + trick * SINK_STAGES + stage,
				    hash_pair(s->id, s->commands)) >= share)
		return false;
	sink_count(&s->loop->stats.tricks[trick][stage]);
	return true;
}

static void put(struct sink_session *s, struct span text)
{
	uint64_t at_us = 0;

	if (s->delay_ms > 0)
		at_us = s->loop->now_us + (uint64_t)s->delay_ms * 1000;
	if (sink_out_add(&s->out, text, at_us) < 0) {
		s->reset = true;
		sink_end(s);
	}
}

bool sink_say_text(struct sink_session *s, enum sink_stage stage,
		   struct span text)
{
	if (s->phase == SINK_PHASE_DEAF)
		return false;
	if (stage < SINK_STAGES) {
		if (sink_trick_now(s, SINK_DROP, stage)) {
			sink_drop(s);
			return false;
		}
		if (sink_trick_now(s, SINK_HANG, stage)) {
			s->phase = SINK_PHASE_DEAF;
			return false;
		}
		if (sink_trick_now(s, SINK_MISS, stage))
			return false;
		if (sink_trick_now(s, SINK_STRAY, stage))
			put(s, SPAN(STRAY));
		if (sink_trick_now(s, SINK_DUP, stage))
			put(s, text);
	}
	put(s, text);
	return s->phase != SINK_PHASE_DEAF;
}

static char *piece(char *at, const char *text)
{
	size_t len = strlen(text);

	memcpy(at, text, len);
	at[len] = ' ';
	return at + len + 1;
}

bool sink_say(struct sink_session *s, enum sink_stage stage,
	      struct sink_words w)
{
	char line[REPLY_MAX], *at = line;

	BUG_ON(strlen(w.code) + strlen(w.enhanced) + strlen(w.text) + 8 >
	       sizeof(line));
	at = piece(at, w.code);
	if (w.enhanced[0] != '\0' && !s->loop->config->no_enhanced)
		at = piece(at, w.enhanced);
	at = piece(at, w.text);
	at[-1] = '\r';
	*at++ = '\n';
	return sink_say_text(s, stage, span_of(line, (size_t)(at - line)));
}

void sink_say_plain(struct sink_session *s, const char *code,
		    const char *enhanced, const char *text)
{
	sink_say(s, SINK_STAGES, (struct sink_words){ code, enhanced, text });
}

void sink_say_bad(struct sink_session *s, const char *code,
		  const char *enhanced, const char *text)
{
	sink_count(&s->loop->stats.n[SINK_N_BAD_COMMANDS]);
	sink_say_plain(s, code, enhanced, text);
}

bool sink_say_refusal(struct sink_session *s, enum sink_stage stage, int class,
		      struct sink_words w)
{
	bool said;

	sink_count(&s->loop->stats.refused[stage][class - 4]);
	said = sink_say(s, stage, w);
	if (said && strcmp(w.code, "421") == 0)
		sink_end(s);
	return said;
}

/* --- greeting and EHLO -------------------------------------------------- */

/* A refusal with no recipient to name. */
static bool refused_early(struct sink_session *s, enum sink_stage stage)
{
	const struct sink_config *c = s->loop->config;
	int class = sink_verdict(c, s->loop->sink->memory, stage, s->id);
	struct sink_words w;

	if (class == 0)
		return false;
	w = sink_refusal(c, stage, class, s->id);
	if (sink_say_refusal(s, stage, class, w))
		sink_record(s, class == 4 ? SINK_REJ4 : SINK_REJ5,
			    span_of(NULL, 0), sink_stage_names[stage], w.code);
	return true;
}

/* Nothing is said yet, and perhaps nothing will be. */
static bool refused_at_connect(struct sink_session *s)
{
	struct sink_loop *l = s->loop;
	int class =
		sink_verdict(l->config, l->sink->memory, SINK_CONNECT, s->id);

	if (class != 0) {
		sink_count(&l->stats.refused[SINK_CONNECT][class - 4]);
		s->reset = true;
		sink_end(s);
	} else if (sink_trick_now(s, SINK_DROP, SINK_CONNECT)) {
		sink_drop(s);
	} else if (sink_trick_now(s, SINK_HANG, SINK_CONNECT)) {
		s->phase = SINK_PHASE_DEAF;
	}
	return s->phase == SINK_PHASE_DEAF;
}

void sink_smtp_greet(struct sink_session *s)
{
	const struct sink_config *c = s->loop->config;
	uint32_t cap = c->connections_max;
	char text[REPLY_MAX];
	int len;

	if (refused_at_connect(s))
		return;
	if (cap > 0 && atomic_load(&s->address->open) > cap) {
		sink_count(&s->loop->stats.n[SINK_N_CAPPED]);
		sink_say_plain(s, "421", "4.7.0", "too many connections");
		sink_end(s);
		return;
	}
	if (refused_early(s, SINK_GREETING)) {
		s->greeted_badly = true;
		return;
	}
	len = snprintf(text, sizeof(text), "220 %.255s ESMTP mtaq sink\r\n",
		       c->hostname);
	sink_say_text(s, SINK_GREETING, span_of(text, (size_t)len));
}

static void say_ehlo(struct sink_session *s)
{
	const struct sink_config *c = s->loop->config;
	struct buf b;
	char *last;

	buf_init(&b, 4096);
	buf_printf(&b, "250-%.255s\r\n", c->hostname);
	if (!c->no_pipelining)
		buf_add_span(&b, SPAN("250-PIPELINING\r\n"));
	if (c->size_max > 0)
		buf_printf(&b, "250-SIZE %llu\r\n",
			   (unsigned long long)c->size_max);
	if (!c->no_enhanced)
		buf_add_span(&b, SPAN("250-ENHANCEDSTATUSCODES\r\n"));
	if (!c->no_8bitmime)
		buf_add_span(&b, SPAN("250-8BITMIME\r\n"));
	if (!c->no_dsn)
		buf_add_span(&b, SPAN("250-DSN\r\n"));
	if (!c->no_smtputf8)
		buf_add_span(&b, SPAN("250-SMTPUTF8\r\n"));
	if (!c->no_chunking)
		buf_add_span(&b, SPAN("250-CHUNKING\r\n"));
	if (b.failed == 0) {
		last = memrchr(b.p, '\n', b.len - 1);
		last = last == NULL ? b.p : last + 1;
		last[3] = ' ';
		sink_say_text(s, SINK_EHLO, buf_span(&b));
	}
	buf_free(&b);
}

static void hello(struct sink_session *s, struct span arg, bool extended)
{
	if (span_trim(arg).len == 0) {
		sink_say_bad(s, "501", "5.5.4", "say your name");
		return;
	}
	if (extended && refused_early(s, SINK_EHLO))
		return;
	s->hello = true;
	s->esmtp = extended;
	sink_mail_reset(s);
	if (extended)
		say_ehlo(s);
	else
		sink_say(s, SINK_EHLO,
			 (struct sink_words){ "250", "",
					      s->loop->config->hostname });
}

/* --- commands ----------------------------------------------------------- */

static void do_ehlo(struct sink_session *s, struct span arg)
{
	hello(s, arg, true);
}

static void do_helo(struct sink_session *s, struct span arg)
{
	hello(s, arg, false);
}

static void do_rset(struct sink_session *s, struct span arg)
{
	(void)arg;
	sink_mail_reset(s);
	sink_say_plain(s, "250", "2.0.0", "Ok");
}

static void do_noop(struct sink_session *s, struct span arg)
{
	(void)arg;
	sink_say_plain(s, "250", "2.0.0", "Ok");
}

static void do_vrfy(struct sink_session *s, struct span arg)
{
	(void)arg;
	sink_say_plain(s, "252", "2.5.2", "send some mail, I'll try my best");
}

static void do_quit(struct sink_session *s, struct span arg)
{
	(void)arg;
	sink_say_plain(s, "221", "2.0.0", "Bye");
	sink_end(s);
}

static const struct verb {
	char name[5];
	bool early; /* allowed before EHLO and after a bad greeting */
	void (*run)(struct sink_session *s, struct span arg);
} verbs[] = {
	{ "RCPT", false, sink_rcpt_to }, { "MAIL", false, sink_mail_from },
	{ "DATA", false, sink_data },    { "BDAT", false, sink_bdat },
	{ "RSET", true, do_rset },       { "EHLO", true, do_ehlo },
	{ "HELO", true, do_helo },       { "NOOP", true, do_noop },
	{ "QUIT", true, do_quit },       { "VRFY", false, do_vrfy },
};

static void run_command(struct sink_session *s, struct span line)
{
	const struct verb *v = verbs, *end = verbs + ARRAY_LEN(verbs);
	struct span verb = line;

	s->commands++;
	sink_count(&s->loop->stats.n[SINK_N_COMMANDS]);
	if (verb.len > 4)
		verb.len = 4;
	while (v < end && !span_eq_nocase(verb, span_of(v->name, 4)))
		v++;
	if (v == end || (line.len > 4 && line.p[4] != ' ')) {
		sink_say_bad(s, "500", "5.5.2", "what was that?");
	} else if (s->greeted_badly && v->run != do_quit) {
		sink_say_plain(s, "503", "5.5.1", "no service, as I said");
	} else if (!s->hello && !v->early) {
		sink_say_bad(s, "503", "5.5.1", "say EHLO first");
	} else {
		v->run(s, span_of(line.p + verb.len, line.len - verb.len));
	}
}

/* --- octets ------------------------------------------------------------- */

/* A part of a line, perhaps with its end.  Gives the octets used. */
static size_t feed_line(struct sink_session *s, const char *p, size_t n)
{
	const char *nl = memchr(p, '\n', n);
	size_t used = nl == NULL ? n : (size_t)(nl - p) + 1;
	struct span line = span_of(p, used);

	if (nl == NULL || s->line.len > 0) {
		if (buf_add(&s->line, p, used) < 0)
			line.len = SINK_LINE_MAX + 1;
		else
			line = buf_span(&s->line);
	}
	if (line.len > SINK_LINE_MAX) {
		buf_clear(&s->line);
		sink_say_bad(s, "500", "5.5.2", "line too long");
		if (nl == NULL && s->phase == SINK_PHASE_COMMAND)
			s->phase = SINK_PHASE_SKIP;
		return used;
	}
	if (nl == NULL)
		return used;
	line.len--;
	if (line.len > 0 && line.p[line.len - 1] == '\r')
		line.len--;
	run_command(s, line);
	buf_clear(&s->line);
	return used;
}

static size_t skip_rest(struct sink_session *s, const char *p, size_t n)
{
	const char *nl = memchr(p, '\n', n);

	if (nl == NULL)
		return n;
	s->phase = SINK_PHASE_COMMAND;
	return (size_t)(nl - p) + 1;
}

void sink_smtp_feed(struct sink_session *s, const char *p, size_t n)
{
	bool alone = s->loop->config->no_pipelining || !s->esmtp;

	while (n > 0) {
		size_t used = n;

		switch (s->phase) {
		case SINK_PHASE_COMMAND:
			used = feed_line(s, p, n);
			if (used < n &&
			    (s->phase == SINK_PHASE_DATA ||
			     (alone && s->phase == SINK_PHASE_COMMAND)))
				sink_count(&s->loop->stats.n[SINK_N_TOO_EARLY]);
			break;
		case SINK_PHASE_SKIP:
			used = skip_rest(s, p, n);
			break;
		case SINK_PHASE_DATA:
		case SINK_PHASE_BDAT:
			used = sink_body_feed(s, p, n);
			break;
		case SINK_PHASE_DEAF:
			break;
		}
		BUG_ON(used > n);
		p += used;
		n -= used;
	}
}
