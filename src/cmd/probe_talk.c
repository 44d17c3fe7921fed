/*
 * cmd/probe_talk.c - the conversation with one host, a command at a time
 *
 *	connect ─► greeting ─► EHLO ─► MAIL ─► RCPT ─┬─► RSET ─► QUIT
 *	             (500, 502, 504: HELO)           └─► DATA ─► content ─► QUIT
 *
 * Never pipelined, so that each answer has its own time.  The first answer
 * that is no yes is the outcome; after it comes only QUIT.  Without --send
 * the outcome is RCPT's.
 */
#include "cmd/probe.h"

#include "base/bug.h"
#include "mtaq/smtp.h"

#include <errno.h>
#include <stdio.h>

#define CHUNK (64u << 10) /* octets of content that share one timeout */

struct talk {
	struct probe *p;
	const struct probe_host *host;
	struct probe_wire *wire;
	struct probe_step step;
	struct probe_outcome *out;
	struct smtp_ehlo offers;
	char line[SMTP_COMMAND_MAX]; /* the present command, and its CRLF */
};

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* ms, but not beyond the end of the probe. */
static uint64_t until_end(const struct talk *t, uint64_t ms)
{
	uint64_t now_ms = probe_now_us() / 1000, end_ms = t->p->end_ms;

	return least(ms, now_ms < end_ms ? end_ms - now_ms : 0);
}

static uint64_t limit(const struct talk *t, uint64_t ms)
{
	return until_end(t, least(ms, t->p->args->timeout_ms));
}

/* A step that only listens. */
static void listen_for(struct talk *t, const char *name, enum smtp_stage stage)
{
	t->step = (struct probe_step){ .name = name, .stage = stage };
}

/* A step that says something; addresses and names were checked. */
__attribute__((format(printf, 4, 5))) static void say(struct talk *t,
						      const char *name,
						      enum smtp_stage stage,
						      const char *fmt, ...)
{
	va_list ap;
	int n;

	listen_for(t, name, stage);
	va_start(ap, fmt);
	n = vsnprintf(t->line, sizeof(t->line), fmt, ap);
	va_end(ap);
	BUG_ON(n < 0 || (size_t)n + 2 >= sizeof(t->line));
	memcpy(t->line + n, "\r\n", 2);
	t->step.command = span_of(t->line, (size_t)n);
}

/* Say t->step.command and take the answer: its first digit, 0 when there is
 * none. */
static unsigned exchange(struct talk *t, uint64_t timeout_ms)
{
	struct probe_step *s = &t->step;
	uint64_t start = probe_now_us();
	int r = 0, sent = 0;
	bool early = false;

	s->limit_ms = limit(t, timeout_ms);
	if (s->command.len > 0) {
		/* Rule 5: a server may say 421 and close while we think;
		 * anything else out of turn ends the conversation. */
		probe_tell_command(t->p, s->command);
		early = probe_wire_early(t->wire);
		if (!early)
			sent = probe_wire_send(
				t->wire, span_of(t->line, s->command.len + 2),
				probe_deadline_ms(t->p, s->limit_ms));
	}
	if (sent != -ETIMEDOUT)
		r = probe_wire_reply(t->wire, s,
				     probe_deadline_ms(t->p, s->limit_ms));
	if (sent == -ETIMEDOUT || (r == -ENODATA && sent < 0))
		r = sent;
	if (r == 0 && early && s->code != 421)
		r = -EALREADY;
	s->error = r;
	s->us = probe_now_us() - start;
	probe_tell_step(t->p, s);
	return r < 0 ? 0 : s->code / 100u;
}

/* RFC 5321 4.5.3.1.10, rule 14. */
static bool too_many(const struct probe_step *s)
{
	if (s->stage != SMTP_STAGE_RCPT)
		return false;
	if (s->enhanced.cls != 0)
		return (s->code == 452 || s->code == 552) &&
		       s->enhanced.subject == 5 && s->enhanced.detail == 3;
	return s->code == 552;
}

static enum smtp_result result_of(const struct probe_step *s)
{
	if (s->error < 0)
		return SMTP_LOST;
	if (too_many(s))
		return SMTP_AGAIN;
	if (s->code / 100 == 2)
		return SMTP_ACCEPTED;
	if (s->code / 100 == 4)
		return SMTP_DEFERRED;
	return s->code / 100 == 5 ? SMTP_REJECTED : SMTP_LOST;
}

/* The present step is the outcome. */
static void conclude(struct talk *t)
{
	const struct probe_step *s = &t->step;
	struct probe_outcome *o = t->out;
	size_t len =
		s->text.len < sizeof(o->text) ? s->text.len : sizeof(o->text);

	o->verdict = (struct smtp_verdict){ .result = result_of(s),
					    .stage = s->stage };
	if (s->error < 0) {
		probe_words_error(s, o->text, sizeof(o->text));
		o->verdict.text = span_str(o->text);
		return;
	}
	if (len > 0)
		memcpy(o->text, s->text.p, len);
	o->verdict.code = s->code;
	o->verdict.enhanced = s->enhanced;
	o->verdict.text = span_of(o->text, len);
}

/* The outcome is a rule of ours. */
static void refuse(struct talk *t, enum local_rule rule)
{
	struct smtp_enhanced code = plan_local_enhanced(rule);

	t->out->rule = rule;
	t->out->verdict = (struct smtp_verdict){
		.result = SMTP_REJECTED,
		.stage = SMTP_STAGE_MAIL,
		.enhanced = code,
		.text = span_str(plan_local_words(rule)),
	};
}

static bool connect_host(struct talk *t)
{
	const struct settings *set = &t->p->set;
	struct io_addr source;
	const struct io_addr *from = NULL;
	uint64_t start;
	uint32_t i;

	listen_for(t, "connect", SMTP_STAGE_CONNECT);
	for (i = 0; i < set->smtp.sources.count && from == NULL; i++)
		if (io_addr_parse(span_str(set->smtp.sources.items[i]), 0,
				  &source) == 0 &&
		    source.u.sa.sa_family == t->host->addr.u.sa.sa_family)
			from = &source;
	t->step.limit_ms = limit(t, set->smtp.timeout.connect_ms);
	start = probe_now_us();
	t->step.error =
		probe_wire_connect(t->wire, from, &t->host->addr,
				   probe_deadline_ms(t->p, t->step.limit_ms));
	t->step.us = probe_now_us() - start;
	probe_tell_step(t->p, &t->step);
	return t->step.error == 0;
}

static bool hello(struct talk *t)
{
	uint64_t ms = t->p->set.smtp.timeout.ehlo_ms;
	unsigned cls;

	say(t, "ehlo", SMTP_STAGE_EHLO, "EHLO %s", t->p->helo);
	cls = exchange(t, ms);
	if (cls == 2) {
		smtp_ehlo_parse(t->step.text, &t->offers);
		probe_tell_ehlo(t->p, t->step.text);
	}
	if (t->step.error < 0 ||
	    (t->step.code != 500 && t->step.code != 502 && t->step.code != 504))
		return cls == 2;
	say(t, "helo", SMTP_STAGE_EHLO, "HELO %s", t->p->helo);
	return exchange(t, ms) == 2;
}

static bool greet(struct talk *t)
{
	if (!connect_host(t))
		return false;
	listen_for(t, "greeting", SMTP_STAGE_GREETING);
	return exchange(t, t->p->set.smtp.timeout.greeting_ms) == 2 && hello(t);
}

/* What the server's offers forbid (rule 24). */
static enum local_rule forbidden(const struct talk *t)
{
	const struct probe *p = t->p;

	if ((p->to.parts.utf8 || p->from.parts.utf8) &&
	    (t->offers.caps & SMTP_CAP_SMTPUTF8) == 0)
		return LOCAL_UTF8;
	if (t->offers.size_max != 0 && p->message.bytes > t->offers.size_max)
		return LOCAL_SIZE;
	return LOCAL_NONE;
}

static bool mail(struct talk *t)
{
	const struct probe *p = t->p;
	uint32_t caps = t->offers.caps;
	char size[32] = "";
	bool eightbit = p->message.eightbit && (caps & SMTP_CAP_8BITMIME) != 0;

	if (p->message.bytes > 0 && (caps & SMTP_CAP_SIZE) != 0)
		snprintf(size, sizeof(size), " SIZE=%llu",
			 (unsigned long long)p->message.bytes);
	say(t, "mail", SMTP_STAGE_MAIL, "MAIL FROM:<%s>%s%s%s", p->args->from,
	    size, eightbit ? " BODY=8BITMIME" : "",
	    p->to.parts.utf8 || p->from.parts.utf8 ? " SMTPUTF8" : "");
	return exchange(t, p->set.smtp.timeout.mail_ms) == 2;
}

static bool rcpt(struct talk *t)
{
	say(t, "rcpt", SMTP_STAGE_RCPT, "RCPT TO:<%s>", t->p->args->to);
	return exchange(t, t->p->set.smtp.timeout.rcpt_ms) == 2;
}

/* The octets of the message; what stopped them, or 0. */
static int put_content(struct talk *t)
{
	uint64_t block_ms = limit(t, t->p->set.smtp.timeout.block_ms);
	struct span rest = buf_span(&t->p->message.wire);
	size_t n;
	int r = 0;

	while (r == 0 && rest.len > 0) {
		n = rest.len < CHUNK ? rest.len : CHUNK;
		r = probe_wire_send(t->wire, span_of(rest.p, n),
				    probe_deadline_ms(t->p, block_ms));
		rest = span_of(rest.p + n, rest.len - n);
	}
	return r;
}

/* After the 354.  The dot's answer is the outcome; rule 18: a server that
 * refuses halfway and closes has still said why. */
static void content(struct talk *t)
{
	const struct probe_args *args = t->p->args;
	struct probe_step *s = &t->step;
	uint64_t start = probe_now_us(), dot_ms = t->p->set.smtp.timeout.dot_ms;
	int sent, r = 0;

	listen_for(t, "content", SMTP_STAGE_EOD);
	/* A shorter wait than a real delivery's only when asked for. */
	sent = put_content(t);
	s->limit_ms =
		args->timeout_given ? limit(t, dot_ms) : until_end(t, dot_ms);
	if (sent != -ETIMEDOUT)
		r = probe_wire_reply(t->wire, s,
				     probe_deadline_ms(t->p, s->limit_ms));
	if (sent == -ETIMEDOUT || (r < 0 && sent < 0))
		r = sent;
	s->error = r;
	s->us = probe_now_us() - start;
	probe_tell_step(t->p, s);
	conclude(t);
	if (t->out->verdict.result == SMTP_LOST)
		t->out->verdict.result = sent < 0 ? SMTP_LOST : SMTP_UNSURE;
}

static void data(struct talk *t)
{
	say(t, "data", SMTP_STAGE_DATA, "DATA");
	if (exchange(t, t->p->set.smtp.timeout.data_ms) == 3) {
		content(t);
		return;
	}
	/* Rule 16: a 2yz here is no answer at all. */
	if (t->step.error == 0 && t->step.code / 100 == 2)
		t->step.error = -EPROTO;
	conclude(t);
}

static void leave(struct talk *t, bool in_mail)
{
	if (t->step.error < 0 || t->step.code == 421)
		return;
	if (in_mail) {
		say(t, "rset", SMTP_STAGE_RSET, "RSET");
		(void)exchange(t, t->p->set.smtp.timeout.rset_ms);
		if (t->step.error < 0 || t->step.code == 421)
			return;
	}
	say(t, "quit", SMTP_STAGE_QUIT, "QUIT");
	(void)exchange(t, t->p->set.smtp.timeout.quit_ms);
}

static void converse(struct talk *t)
{
	enum local_rule rule;
	bool taken = false;

	if (!greet(t)) {
		conclude(t);
		leave(t, false);
		return;
	}
	rule = forbidden(t);
	if (rule != LOCAL_NONE) {
		refuse(t, rule);
		leave(t, false);
		return;
	}
	if (mail(t))
		taken = rcpt(t);
	if (taken && t->p->message.bytes > 0)
		data(t);
	else
		conclude(t);
	leave(t, t->step.stage == SMTP_STAGE_RCPT);
}

void probe_talk(struct probe *p, const struct probe_host *host, struct io *io,
		struct probe_outcome *out)
{
	struct talk t = { .p = p, .host = host, .out = out };

	t.wire = probe_wire_new(io);
	if (t.wire == NULL) {
		listen_for(&t, "connect", SMTP_STAGE_CONNECT);
		t.step.error = -ENOMEM;
		probe_tell_step(p, &t.step);
		conclude(&t);
		return;
	}
	converse(&t);
	probe_wire_free(&t.wire);
}
