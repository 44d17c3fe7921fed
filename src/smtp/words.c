/*
 * smtp/words.c - names and phrases of stages and results
 *
 * One table each: the log, the command line and the manual print these.
 */
#include "mtaq/smtp.h"

#include "base/bug.h"

struct words {
	const char *name;   /* stable, for machines */
	const char *phrase; /* for people */
};

static const struct words results[SMTP_RESULT_COUNT] = {
	[SMTP_ACCEPTED] = { "accepted", "the server has taken the mail" },
	[SMTP_DEFERRED] = { "deferred", "the server asks to try later" },
	[SMTP_REJECTED] = { "rejected", "the server has refused the mail" },
	[SMTP_AGAIN] = { "again", "too many recipients in one transaction" },
	[SMTP_LOST] = { "lost", "the server does not have the mail" },
	[SMTP_UNSURE] = { "unsure", "the server may have the mail" },
};

static const struct words stages[SMTP_STAGE_COUNT] = {
	[SMTP_STAGE_NONE] = { "none", "before any connection" },
	[SMTP_STAGE_CONNECT] = { "connect", "while connecting" },
	[SMTP_STAGE_GREETING] = { "greeting", "at the greeting" },
	[SMTP_STAGE_EHLO] = { "ehlo", "after EHLO" },
	[SMTP_STAGE_STARTTLS] = { "starttls", "while starting TLS" },
	[SMTP_STAGE_MAIL] = { "mail", "after MAIL FROM" },
	[SMTP_STAGE_RCPT] = { "rcpt", "after RCPT TO" },
	[SMTP_STAGE_DATA] = { "data", "after DATA" },
	[SMTP_STAGE_EOD] = { "eod", "after the message was sent" },
	[SMTP_STAGE_RSET] = { "rset", "after RSET" },
	[SMTP_STAGE_QUIT] = { "quit", "after QUIT" },
};

const char *smtp_result_name(enum smtp_result result)
{
	BUG_ON(result >= SMTP_RESULT_COUNT);
	return results[result].name;
}

const char *smtp_result_words(enum smtp_result result)
{
	BUG_ON(result >= SMTP_RESULT_COUNT);
	return results[result].phrase;
}

const char *smtp_stage_name(enum smtp_stage stage)
{
	BUG_ON(stage >= SMTP_STAGE_COUNT);
	return stages[stage].name;
}

const char *smtp_stage_words(enum smtp_stage stage)
{
	BUG_ON(stage >= SMTP_STAGE_COUNT);
	return stages[stage].phrase;
}
