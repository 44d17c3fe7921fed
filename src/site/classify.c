/*
 * site/classify.c - what a reply is about
 *
 * Three tables, the first row that fits wins: replies that large receivers
 * document, or that everybody words alike; enhanced codes (RFC 3463, 7372,
 * 7505); basic codes by stage.  Stages are checked in every row, because a
 * word means something else before there is a recipient.
 */
#include "site/classify.h"

#include "base/bug.h"

#include <ctype.h>

#define EARLY                                                                  \
	(1u << SMTP_STAGE_CONNECT | 1u << SMTP_STAGE_GREETING |                \
	 1u << SMTP_STAGE_EHLO | 1u << SMTP_STAGE_STARTTLS)
#define AT_MAIL (1u << SMTP_STAGE_MAIL)
#define AT_RCPT (1u << SMTP_STAGE_RCPT)
#define AT_BODY (1u << SMTP_STAGE_DATA | 1u << SMTP_STAGE_EOD)
#define MAILING (AT_MAIL | AT_RCPT | AT_BODY)
#define ANY     (EARLY | MAILING)
#define HALVE   1u
#define ALERT   2u
#define NO      UINT16_MAX /* any detail, subject */

struct row {
	const char *provider; /* or NULL */
	unsigned stages;
	uint16_t code; /* 421; 4, 5: the first digit; 0: 4yz and 5yz */
	uint16_t subject, detail, detail_last;
	const char *text; /* must be in it; or NULL */
	enum reply_kind kind;
	enum reply_scope scope;
	uint32_t retry_s, pause_s, pause_max_s;
	unsigned flags;
};

// clang-format off
static const struct row rows[] = {
/* Gmail */
{ "google", ANY, 4, 7, 28, 28, NULL,
	REPLY_RATE, SCOPE_SITE, 0, 0, 0, HALVE },
{ "google", MAILING, 450, 2, 1, 1, NULL,
	REPLY_RATE, SCOPE_RECIPIENT, 600, 0, 0, 0 },
{ "google", ANY, 421, 4, 5, 5, NULL,
	REPLY_CONNECTIONS, SCOPE_SITE, 0, 60, 300, 0 },
{ "google", ANY, 421, 7, 0, 0, NULL,
	REPLY_CONNECTIONS, SCOPE_SITE, 0, 60, 300, 0 },
{ NULL, MAILING, 451, 3, 0, 0, "multiple destination domains",
	REPLY_PROTOCOL, SCOPE_MESSAGE, 0, 0, 0, ALERT },
/* The sender is set up wrongly; never the address's fault. */
{ NULL, ANY, 4, 7, 20, 27, NULL,
	REPLY_AUTHENTICATION, SCOPE_TENANT, 0, 3600, 3600, ALERT },
{ NULL, ANY, 4, 7, 29, 32, NULL,
	REPLY_AUTHENTICATION, SCOPE_TENANT, 0, 3600, 3600, ALERT },
{ NULL, ANY, 4, 7, 40, 40, NULL,
	REPLY_AUTHENTICATION, SCOPE_TENANT, 0, 3600, 3600, ALERT },
{ NULL, MAILING, 5, 7, 20, 32, NULL,
	REPLY_AUTHENTICATION, SCOPE_MESSAGE, 0, 0, 0, ALERT },
{ NULL, MAILING, 5, 7, 515, 515, NULL,
	REPLY_AUTHENTICATION, SCOPE_MESSAGE, 0, 0, 0, ALERT },
/* Yahoo */
{ NULL, ANY, 5, NO, 0, 0, "[TSS09]",
	REPLY_REPUTATION, SCOPE_SITE, 0, 3600, 86400, ALERT },
{ NULL, ANY, 5, NO, 0, 0, "[TSS11]",
	REPLY_REPUTATION, SCOPE_SITE, 0, 3600, 86400, ALERT },
{ NULL, ANY, 421, NO, 0, 0, "[TSS",
	REPLY_RATE, SCOPE_SITE, 0, 900, 14400, HALVE },
{ NULL, ANY, 421, NO, 0, 0, "max messages per connection",
	REPLY_RATE, SCOPE_SESSION, 0, 0, 0, 0 },
{ NULL, ANY, 421, NO, 0, 0, "too many messages",
	REPLY_RATE, SCOPE_SESSION, 0, 0, 0, 0 },
/* Microsoft */
{ NULL, ANY, 4, 7, 650, 650, NULL,
	REPLY_RATE, SCOPE_SITE, 0, 900, 3600, HALVE },
{ NULL, ANY, 421, NO, 0, 0, "RP-00",
	REPLY_RATE, SCOPE_SITE, 0, 900, 3600, HALVE },
{ NULL, ANY, 5, NO, 0, 0, "S3140",
	REPLY_REPUTATION, SCOPE_SITE, 0, 3600, 86400, ALERT },
{ NULL, ANY, 5, NO, 0, 0, "S3150",
	REPLY_REPUTATION, SCOPE_SITE, 0, 3600, 86400, ALERT },
{ NULL, AT_RCPT, 452, NO, 0, 0, "ATTR38",
	REPLY_PROTOCOL, SCOPE_RECIPIENT, 0, 0, 0, 0 },
{ NULL, ANY, 4, 7, 500, 500, NULL,
	REPLY_RATE, SCOPE_SITE, 0, 120, 600, 0 },
/* Comcast, Orange */
{ NULL, ANY, 421, NO, 0, 0, "RL0000",
	REPLY_RATE, SCOPE_SITE, 0, 0, 0, HALVE },
{ NULL, ANY, 421, NO, 0, 0, "OFR004_104",
	REPLY_CONNECTIONS, SCOPE_SITE, 0, 60, 300, 0 },
{ "orange", EARLY, 554, NO, 0, 0, "OFR",
	REPLY_CONNECTIONS, SCOPE_SITE, 0, 60, 300, 0 },
/* Anybody */
{ NULL, ANY, 421, 3, 2, 2, "idle",
	REPLY_OTHER, SCOPE_SESSION, 0, 0, 0, 0 },
{ NULL, ANY, 421, 4, 2, 2, NULL,
	REPLY_OTHER, SCOPE_SESSION, 0, 0, 0, 0 },
{ NULL, MAILING, 4, NO, 0, 0, "greylist",
	REPLY_GREYLIST, SCOPE_RECIPIENT, 0, 0, 0, 0 },
{ NULL, MAILING, 4, NO, 0, 0, "graylist",
	REPLY_GREYLIST, SCOPE_RECIPIENT, 0, 0, 0, 0 },
{ NULL, MAILING, 4, NO, 0, 0, "grey-list",
	REPLY_GREYLIST, SCOPE_RECIPIENT, 0, 0, 0, 0 },
{ NULL, EARLY | AT_MAIL, 0, NO, 0, 0, "too many connections",
	REPLY_CONNECTIONS, SCOPE_HOST, 0, 0, 0, 0 },
{ NULL, EARLY | AT_MAIL, 0, NO, 0, 0, "too many concurrent",
	REPLY_CONNECTIONS, SCOPE_HOST, 0, 0, 0, 0 },
{ NULL, EARLY | AT_MAIL, 0, NO, 0, 0, "connection limit",
	REPLY_CONNECTIONS, SCOPE_HOST, 0, 0, 0, 0 },
{ NULL, EARLY | AT_MAIL, 421, NO, 0, 0, "rate limit",
	REPLY_RATE, SCOPE_SITE, 0, 0, 0, HALVE },
{ NULL, EARLY | AT_MAIL, 421, NO, 0, 0, "throttl",
	REPLY_RATE, SCOPE_SITE, 0, 0, 0, HALVE },
{ NULL, AT_RCPT | AT_BODY, 4, NO, 0, 0, "rate limit",
	REPLY_RATE, SCOPE_RECIPIENT, 600, 0, 0, 0 },
{ NULL, EARLY, 5, NO, 0, 0, "block",
	REPLY_REPUTATION, SCOPE_HOST, 0, 0, 0, ALERT },
};

/* By enhanced code alone; a row's code is the class of it. */
static const struct row enhanced_rows[] = {
{ NULL, MAILING, 0, 2, 2, 2, NULL, REPLY_MAILBOX_FULL, SCOPE_RECIPIENT, 0, 0, 0, 0 },
{ NULL, MAILING, 0, 2, 1, 1, NULL, REPLY_INACTIVE, SCOPE_RECIPIENT, 0, 0, 0, 0 },
{ NULL, MAILING, 0, 2, 3, 3, NULL, REPLY_SIZE, SCOPE_RECIPIENT, 0, 0, 0, 0 },
{ NULL, MAILING, 0, 1, 7, 8, NULL, REPLY_CONTENT, SCOPE_MESSAGE, 0, 0, 0, 0 },
{ NULL, MAILING, 0, 1, 0, 6, NULL, REPLY_UNKNOWN_USER, SCOPE_RECIPIENT, 0, 0, 0, 0 },
{ NULL, MAILING, 0, 1, 10, 10, NULL, REPLY_UNKNOWN_USER, SCOPE_RECIPIENT, 0, 0, 0, 0 },
{ NULL, MAILING, 0, 3, 4, 4, NULL, REPLY_SIZE, SCOPE_MESSAGE, 0, 0, 0, 0 },
{ NULL, MAILING, 0, 4, 3, 3, NULL, REPLY_DNS, SCOPE_MESSAGE, 0, 0, 0, 0 },
{ NULL, MAILING, 0, 4, 4, 6, NULL, REPLY_ROUTING, SCOPE_RECIPIENT, 0, 0, 0, 0 },
/* no recipient was named yet: OpenSMTPD's limit of messages per session */
{ NULL, AT_MAIL, 452, 5, 3, 3, NULL, REPLY_OTHER, SCOPE_SESSION, 0, 0, 0, 0 },
{ NULL, MAILING, 0, 5, 3, 3, NULL, REPLY_PROTOCOL, SCOPE_RECIPIENT, 0, 0, 0, 0 },
{ NULL, MAILING, 0, 5, 0, 6, NULL, REPLY_PROTOCOL, SCOPE_MESSAGE, 0, 0, 0, 0 },
{ NULL, MAILING, 0, 6, 0, 9, NULL, REPLY_CONTENT, SCOPE_MESSAGE, 0, 0, 0, 0 },
/* 450 and 451 only: 421 4.7.1 is about the connection */
{ NULL, AT_MAIL | AT_RCPT | AT_BODY, 450, 7, 1, 1, NULL, REPLY_GREYLIST, SCOPE_RECIPIENT, 0, 0, 0, 0 },
{ NULL, AT_MAIL | AT_RCPT | AT_BODY, 451, 7, 1, 1, NULL, REPLY_GREYLIST, SCOPE_RECIPIENT, 0, 0, 0, 0 },
{ NULL, AT_BODY, 5, 7, 0, 1, NULL, REPLY_CONTENT, SCOPE_MESSAGE, 0, 0, 0, 0 },
{ NULL, AT_MAIL | AT_RCPT, 5, 7, 0, 1, NULL, REPLY_REPUTATION, SCOPE_MESSAGE, 0, 0, 0, 0 },
};

/* By basic code, where no enhanced code is worth a belief. */
static const struct row basic_rows[] = {
{ NULL, EARLY, 0, NO, 0, 0, NULL, REPLY_OTHER, SCOPE_HOST, 0, 0, 0, 0 },
{ NULL, AT_MAIL, 421, NO, 0, 0, NULL, REPLY_OTHER, SCOPE_SESSION, 0, 0, 0, 0 },
{ NULL, AT_RCPT | AT_BODY, 421, NO, 0, 0, NULL, REPLY_OTHER, SCOPE_SESSION, 0, 0, 0, 0 },
{ NULL, AT_RCPT, 550, NO, 0, 0, NULL, REPLY_UNKNOWN_USER, SCOPE_RECIPIENT, 0, 0, 0, 0 },
{ NULL, AT_RCPT, 551, NO, 0, 0, NULL, REPLY_UNKNOWN_USER, SCOPE_RECIPIENT, 0, 0, 0, 0 },
{ NULL, AT_RCPT, 553, NO, 0, 0, NULL, REPLY_UNKNOWN_USER, SCOPE_RECIPIENT, 0, 0, 0, 0 },
{ NULL, AT_RCPT, 552, NO, 0, 0, NULL, REPLY_MAILBOX_FULL, SCOPE_RECIPIENT, 0, 0, 0, 0 },
{ NULL, AT_BODY | AT_MAIL, 552, NO, 0, 0, NULL, REPLY_SIZE, SCOPE_MESSAGE, 0, 0, 0, 0 },
{ NULL, AT_BODY, 554, NO, 0, 0, NULL, REPLY_CONTENT, SCOPE_MESSAGE, 0, 0, 0, 0 },
{ NULL, AT_BODY, 550, NO, 0, 0, NULL, REPLY_CONTENT, SCOPE_MESSAGE, 0, 0, 0, 0 },
{ NULL, MAILING, 500, NO, 0, 0, NULL, REPLY_PROTOCOL, SCOPE_MESSAGE, 0, 0, 0, 0 },
{ NULL, MAILING, 501, NO, 0, 0, NULL, REPLY_PROTOCOL, SCOPE_MESSAGE, 0, 0, 0, 0 },
{ NULL, MAILING, 502, NO, 0, 0, NULL, REPLY_PROTOCOL, SCOPE_MESSAGE, 0, 0, 0, 0 },
{ NULL, MAILING, 503, NO, 0, 0, NULL, REPLY_PROTOCOL, SCOPE_MESSAGE, 0, 0, 0, 0 },
{ NULL, MAILING, 504, NO, 0, 0, NULL, REPLY_PROTOCOL, SCOPE_MESSAGE, 0, 0, 0, 0 },
{ NULL, AT_RCPT, 0, NO, 0, 0, NULL, REPLY_OTHER, SCOPE_RECIPIENT, 0, 0, 0, 0 },
{ NULL, AT_MAIL | AT_BODY, 0, NO, 0, 0, NULL, REPLY_OTHER, SCOPE_MESSAGE, 0, 0, 0, 0 },
};
// clang-format on

static bool span_has(struct span text, const char *needle)
{
	struct span want = span_str(needle);

	for (; text.len >= want.len; text.p++, text.len--)
		if (tolower((unsigned char)*text.p) ==
			    tolower((unsigned char)*needle) &&
		    span_starts_nocase(text, want))
			return true;
	return false;
}

static bool code_fits(const struct row *row, uint16_t code)
{
	if (row->code == 0)
		return true;
	return row->code < 10 ? code / 100 == row->code : code == row->code;
}

static bool row_fits(const struct row *row, const struct smtp_verdict *v,
		     const char *provider)
{
	if ((row->stages >> v->stage & 1) == 0 || !code_fits(row, v->code))
		return false;
	if (row->provider != NULL &&
	    (provider == NULL || strcmp(row->provider, provider) != 0))
		return false;
	if (row->subject != NO &&
	    (v->enhanced.cls == 0 || v->enhanced.subject != row->subject ||
	     v->enhanced.detail < row->detail ||
	     v->enhanced.detail > row->detail_last))
		return false;
	return row->text == NULL || span_has(v->text, row->text);
}

static bool table_judges(const struct row *table, size_t count,
			 const struct smtp_verdict *v, const char *provider,
			 struct reply_class *class_r)
{
	size_t i;

	for (i = 0; i < count; i++) {
		const struct row *r = &table[i];

		if (!row_fits(r, v, provider))
			continue;
		*class_r = (struct reply_class){ .kind = r->kind,
						 .scope = r->scope,
						 .retry_s = r->retry_s,
						 .pause_s = r->pause_s,
						 .pause_max_s = r->pause_max_s,
						 .halve = r->flags & HALVE,
						 .alert = r->flags & ALERT };
		return true;
	}
	return false;
}

/* The server did not speak: it is about the way there, or the connection. */
static void judge_silence(const struct smtp_verdict *v,
			  struct reply_class *class_r)
{
	bool early =
		v->stage != SMTP_STAGE_NONE && (EARLY >> v->stage & 1) != 0;

	*class_r = (struct reply_class){
		.kind = early ? REPLY_ROUTING : REPLY_OTHER,
		.scope = early ? SCOPE_HOST : SCOPE_SESSION,
	};
}

void reply_classify(const struct smtp_verdict *verdict, const char *provider,
		    struct reply_class *class_r)
{
	BUG_ON((unsigned)verdict->stage >= SMTP_STAGE_COUNT);
	if (verdict->result == SMTP_ACCEPTED) {
		*class_r = (struct reply_class){ .kind = REPLY_ACCEPTED,
						 .scope = SCOPE_RECIPIENT };
		return;
	}
	if (verdict->code < 400) {
		/* 0, or 2yz and 3yz where they have no business. */
		judge_silence(verdict, class_r);
		if (verdict->code != 0)
			class_r->kind = REPLY_PROTOCOL;
		return;
	}
	if (table_judges(rows, ARRAY_LEN(rows), verdict, provider, class_r) ||
	    table_judges(enhanced_rows, ARRAY_LEN(enhanced_rows), verdict,
			 provider, class_r) ||
	    table_judges(basic_rows, ARRAY_LEN(basic_rows), verdict, provider,
			 class_r))
		return;
	*class_r = (struct reply_class){ .kind = REPLY_OTHER,
					 .scope = SCOPE_SESSION };
}

const char *reply_kind_name(enum reply_kind kind)
{
	static const char *const names[REPLY_KIND_COUNT] = {
		[REPLY_ACCEPTED] = "accepted",
		[REPLY_GREYLIST] = "greylist",
		[REPLY_RATE] = "rate",
		[REPLY_CONNECTIONS] = "connections",
		[REPLY_REPUTATION] = "reputation",
		[REPLY_AUTHENTICATION] = "authentication",
		[REPLY_MAILBOX_FULL] = "mailbox-full",
		[REPLY_UNKNOWN_USER] = "unknown-user",
		[REPLY_INACTIVE] = "inactive",
		[REPLY_CONTENT] = "content",
		[REPLY_SIZE] = "size",
		[REPLY_PROTOCOL] = "protocol",
		[REPLY_DNS] = "dns",
		[REPLY_ROUTING] = "routing",
		[REPLY_OTHER] = "other",
	};

	BUG_ON((unsigned)kind >= REPLY_KIND_COUNT);
	return names[kind];
}

const char *reply_scope_name(enum reply_scope scope)
{
	static const char *const names[SCOPE_COUNT] = {
		[SCOPE_RECIPIENT] = "recipient", [SCOPE_MESSAGE] = "message",
		[SCOPE_SESSION] = "session",     [SCOPE_HOST] = "host",
		[SCOPE_SITE] = "site",           [SCOPE_TENANT] = "tenant",
	};

	BUG_ON((unsigned)scope >= SCOPE_COUNT);
	return names[scope];
}
