/*
 * cmd/probe_words.c - what servers say, in words
 */
#include "cmd/probe.h"

#include "base/bug.h"
#include "mtaq/smtp.h"

#include <errno.h>
#include <stdio.h>
#include <sysexits.h>

struct keyword {
	const char *word, *words;
};

/* clang-format off */
static const struct keyword keywords[] = {
	{ "PIPELINING", "several commands may travel at once (RFC 2920)" },
	{ "SIZE", "the size of a message may be told (RFC 1870)" },
	{ "STARTTLS", "encryption on request (RFC 3207); the probe stays in clear" },
	{ "8BITMIME", "8-bit content may be declared (RFC 6152)" },
	{ "SMTPUTF8", "addresses in UTF-8 (RFC 6531)" },
	{ "DSN", "delivery notices may be asked for (RFC 3461)" },
	{ "ENHANCEDSTATUSCODES", "replies carry codes like 5.1.1 (RFC 2034)" },
	{ "CHUNKING", "content in counted pieces, BDAT (RFC 3030)" },
	{ "BINARYMIME", "content of any octets (RFC 3030)" },
	{ "LIMITS", "limits are told (RFC 9422)" },
	{ "AUTH", "logging in (RFC 4954); not used between mail servers" },
	{ "AUTH=LOGIN", "logging in, an old spelling" },
	{ "VRFY", "an address may be asked about (RFC 5321)" },
	{ "EXPN", "a list may be asked about (RFC 5321)" },
	{ "ETRN", "a queue may be called for (RFC 1985)" },
	{ "TURN", "roles may be exchanged (RFC 821)" },
	{ "HELP", "HELP is answered (RFC 5321)" },
	{ "DELIVERBY", "a latest time may be set (RFC 2852)" },
	{ "FUTURERELEASE", "mail may be held back (RFC 4865)" },
	{ "MT-PRIORITY", "priorities (RFC 6710)" },
	{ "NO-SOLICITING", "unsolicited mail is not wanted (RFC 3865)" },
	{ "REQUIRETLS", "encryption may be demanded all the way (RFC 8689)" },
	{ "RRVS", "the age of a mailbox may be asked about (RFC 7293)" },
	{ "XCLIENT", "a proxy may speak for its client (Postfix)" },
	{ "XFORWARD", "a filter may name the client (Postfix)" },
};

/* RFC 3463, 5248, 7372, 7505: subject, detail, words. */
static const struct {
	uint16_t subject, detail;
	const char *words;
} details[] = {
	{ 0, 0, "nothing more is said" },
	{ 1, 0, "something about the address" },
	{ 1, 1, "no such mailbox" },
	{ 1, 2, "no such mail system" },
	{ 1, 3, "the address is written wrongly" },
	{ 1, 4, "the address has several meanings" },
	{ 1, 5, "the address is valid" },
	{ 1, 6, "the mailbox has moved" },
	{ 1, 7, "the sender's address is written wrongly" },
	{ 1, 8, "the sender's system is bad" },
	{ 1, 10, "the recipient's domain accepts no mail" },
	{ 2, 0, "something about the mailbox" },
	{ 2, 1, "the mailbox is disabled" },
	{ 2, 2, "the mailbox is full" },
	{ 2, 3, "the message is longer than this mailbox takes" },
	{ 2, 4, "the mailing list cannot be expanded" },
	{ 3, 0, "something about their mail system" },
	{ 3, 1, "their mail system is full" },
	{ 3, 2, "their system accepts nothing now" },
	{ 3, 3, "their system cannot do this" },
	{ 3, 4, "the message is too large for their system" },
	{ 3, 5, "their system is set up wrongly" },
	{ 4, 0, "something about the network or the route" },
	{ 4, 1, "no answer from the next host" },
	{ 4, 2, "a bad connection" },
	{ 4, 3, "a directory server failed" },
	{ 4, 4, "there is no route" },
	{ 4, 5, "their system is congested" },
	{ 4, 6, "a mail loop" },
	{ 4, 7, "delivery took too long" },
	{ 5, 0, "something about the protocol" },
	{ 5, 1, "this command may not stand here" },
	{ 5, 2, "a syntax error" },
	{ 5, 3, "too many recipients" },
	{ 5, 4, "wrong command arguments" },
	{ 5, 5, "wrong protocol version" },
	{ 6, 0, "something about the content" },
	{ 6, 1, "this kind of content is not supported" },
	{ 6, 7, "UTF-8 addresses are not supported" },
	{ 7, 0, "something about security or policy" },
	{ 7, 1, "not allowed: refused by policy" },
	{ 7, 2, "not allowed to send to this list" },
	{ 7, 20, "no passing DKIM signature" },
	{ 7, 23, "SPF validation failed" },
	{ 7, 24, "SPF validation could not be done" },
	{ 7, 25, "the sending address has no right reverse DNS" },
	{ 7, 26, "several authentication checks failed" },
	{ 7, 27, "the sender's domain accepts no mail" },
};
/* clang-format on */

bool probe_next_line(struct span *text, struct span *line_r)
{
	ptrdiff_t at = span_find(*text, '\n');
	size_t len = at < 0 ? text->len : (size_t)at;

	if (text->p == NULL || (text->len == 0 && at < 0))
		return false;
	*line_r = span_of(text->p, len);
	len += at >= 0;
	*text = span_of(text->p + len, text->len - len);
	return true;
}

static struct span first_word(struct span line)
{
	ptrdiff_t at = span_find(line, ' ');

	return at < 0 ? line : span_of(line.p, (size_t)at);
}

/* SIZE and LIMITS have numbers that can be told. */
static void words_of_numbers(struct span line, const char *known, char *words,
			     size_t size)
{
	struct smtp_ehlo e;
	char text[256];
	int n = snprintf(text, sizeof(text), "x\n%.*s",
			 line.len < 200 ? (int)line.len : 200, line.p);

	smtp_ehlo_parse(span_of(text, (size_t)n), &e);
	if (e.size_max > 0 && e.size_max < 1000000)
		snprintf(words, size, "messages up to %llu octets (RFC 1870)",
			 (unsigned long long)e.size_max);
	else if (e.size_max > 0)
		snprintf(words, size, "messages up to %.1f MB (RFC 1870)",
			 (double)e.size_max / 1e6);
	else if (e.rcpts_max > 0 && e.mails_max > 0)
		snprintf(words, size,
			 "at most %u recipients a message, %u messages a "
			 "session (RFC 9422)",
			 e.rcpts_max, e.mails_max);
	else if (e.rcpts_max > 0)
		snprintf(words, size,
			 "at most %u recipients a message (RFC 9422)",
			 e.rcpts_max);
	else if (e.mails_max > 0)
		snprintf(words, size,
			 "at most %u messages a session (RFC 9422)",
			 e.mails_max);
	else
		snprintf(words, size, "%s", known);
}

void probe_words_ehlo(struct span line, char *words, size_t size)
{
	struct span word;
	size_t i;

	line = span_trim(line);
	word = first_word(line);
	words[0] = '\0';
	for (i = 0; i < ARRAY_LEN(keywords) && words[0] == '\0'; i++)
		if (span_eq_nocase(word, span_str(keywords[i].word)))
			words_of_numbers(line, keywords[i].words, words, size);
}

void probe_words_enhanced(struct smtp_enhanced code, char *words, size_t size)
{
	size_t i;

	words[0] = '\0';
	for (i = 0; i < ARRAY_LEN(details) && code.cls != 0; i++)
		if (details[i].subject == code.subject &&
		    details[i].detail == code.detail) {
			snprintf(words, size, "%s", details[i].words);
			return;
		}
}

void probe_words_error(const struct probe_step *step, char *words, size_t size)
{
	uint64_t ms = step->limit_ms;

	if (step->error == -ETIMEDOUT)
		snprintf(words, size, "no answer within %llu.%llu s",
			 (unsigned long long)(ms / 1000),
			 (unsigned long long)(ms % 1000 / 100));
	else if (step->error == -ENODATA)
		snprintf(words, size, "the server closed without an answer");
	else if (step->error == -EPROTO)
		snprintf(words, size, "what came is no answer of SMTP");
	else if (step->error == -EALREADY)
		snprintf(words, size, "the server spoke before it was asked");
	else
		snprintf(words, size, "%s", strerrordesc_np(-step->error));
}

static void words_of_time(uint32_t s, char *words, size_t size)
{
	if (s < 120)
		snprintf(words, size, "%u s", s);
	else if (s < 7200)
		snprintf(words, size, "%u min", (s + 30) / 60);
	else
		snprintf(words, size, "%u h", (s + 1800) / 3600);
}

void probe_words_plan(const struct probe *p, const struct probe_outcome *o,
		      char *words, size_t size)
{
	static const char *const whys[BACKOFF_KIND_COUNT] = {
		[BACKOFF_RETRY] = "the usual schedule",
		[BACKOFF_GREYLIST] = "greylisting",
		[BACKOFF_MAILBOX_FULL] = "a full mailbox",
		[BACKOFF_UNSURE] = "the server may have the mail",
	};
	char when[32];

	words_of_time(o->retry_s, when, sizeof(when));
	switch (o->plan.act) {
	case PLAN_DELIVERED:
		snprintf(words, size, "%s",
			 p->message.bytes > 0 ? "take the message as delivered"
					      : "send the message now");
		return;
	case PLAN_RETRY:
		snprintf(words, size, "try again in about %s (%s)", when,
			 whys[o->plan.backoff]);
		return;
	case PLAN_AGAIN:
		snprintf(words, size,
			 "put the recipient into the next transaction, at "
			 "once");
		return;
	case PLAN_PUT_BACK:
		snprintf(words, size,
			 "try the next host; no attempt is charged to the "
			 "message");
		return;
	case PLAN_BOUNCE:
		snprintf(words, size, "give up at once: a bounce");
		return;
	case PLAN_EXPIRE:
		snprintf(words, size, "give up: the age limit is reached");
		return;
	case PLAN_HOLD:
		snprintf(words, size, "hold the message for the operator");
		return;
	case PLAN_ACT_COUNT:
		break;
	}
	BUG_ON(true);
}

const char *probe_result_name(int code)
{
	if (code == EX_OK)
		return "accepted";
	if (code == EX_TEMPFAIL)
		return "deferred";
	return code == EX_DATAERR ? "refused" : "unavailable";
}
