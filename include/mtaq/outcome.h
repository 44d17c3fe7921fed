#ifndef MTAQ_OUTCOME_H
#define MTAQ_OUTCOME_H

/*
 * What came of one attempt for one recipient, in plain data.  Made by the
 * SMTP session (src/smtp) or by a local rule (src/engine), judged by the site
 * (src/site), kept in the log (queue/, which does not look inside), printed
 * as an event (src/report).
 *
 * The numbers are on disk: add at the end, never renumber.
 */
#include "base/span.h"

#include <stdint.h>

/* Which step the answer is for. */
enum smtp_stage {
	SMTP_STAGE_NONE, /* before any connection: DNS, local rules */
	SMTP_STAGE_CONNECT,
	SMTP_STAGE_GREETING,
	SMTP_STAGE_EHLO,     /* HELO as well */
	SMTP_STAGE_STARTTLS, /* the command and the handshake */
	SMTP_STAGE_MAIL,
	SMTP_STAGE_RCPT,
	SMTP_STAGE_DATA,
	SMTP_STAGE_EOD, /* the dot, or BDAT LAST */
	SMTP_STAGE_RSET,
	SMTP_STAGE_QUIT,
	SMTP_STAGE_COUNT
};

enum smtp_result {
	SMTP_ACCEPTED, /* final 2yz: the server has taken charge of it */
	SMTP_DEFERRED, /* 4yz: try again later */
	SMTP_REJECTED, /* 5yz: final */
	SMTP_AGAIN,    /* too many recipients: at once, next transaction */
	SMTP_LOST,     /* no answer; the server cannot have the mail */
	SMTP_UNSURE,   /* no answer to the dot: the server may have the mail */
	SMTP_RESULT_COUNT
};

/* RFC 3463; cls 0 means that there was none, or that its class disagreed
 * with the reply's first digit (then it is not trusted, RFC 2034). */
struct smtp_enhanced {
	uint8_t cls;
	uint16_t subject, detail;
};

struct smtp_verdict {
	enum smtp_result result;
	enum smtp_stage stage;
	uint16_t code; /* 0 when the server did not speak */
	struct smtp_enhanced enhanced;
	/* What the server said without codes, lines joined by '\n', or our
	 * own words when code is 0.  Raw octets: escape before printing. */
	struct span text;
};

/* Rules of our own that end a recipient without a server's word.  Each has
 * the enhanced code that its event prints (RFC 3463).  SIZE, UTF8 and EIGHTBIT
 * are what a mail needs and a host does not offer: they end a recipient only
 * when no host is left (docs/SMTP.md 24, smtp_mail_unfit()). */
enum local_rule {
	LOCAL_NONE,
	LOCAL_NXDOMAIN,   /* 5.1.2 the domain does not exist */
	LOCAL_NULL_MX,    /* 5.1.10 RFC 7505 */
	LOCAL_NO_ADDRESS, /* 5.4.4 no MX leads to an address */
	LOCAL_LOOP,       /* 5.4.6 the MX set leads back to ourselves */
	LOCAL_SIZE,       /* 5.3.4 larger than every host takes */
	LOCAL_UTF8,       /* 5.6.7 an address needs SMTPUTF8 */
	LOCAL_EXPIRED,    /* 4.4.7 the age limit is reached */
	LOCAL_DNS,        /* 4.4.3 the resolver failed; a deferral */
	LOCAL_EIGHTBIT,   /* 5.6.3 8-bit content, and eightbit: bounce */
	LOCAL_UNTRIED,    /* 4.4.1 SIZE, UTF8, EIGHTBIT: the hosts that may
			   * take it could not be tried; a deferral */
	/* An operator's word, for the event only: no code, the recipient goes
	 * on waiting. */
	LOCAL_RELEASED, /* was held */
	LOCAL_RETRIED,  /* is due now */
	LOCAL_RULE_COUNT
};

#endif
