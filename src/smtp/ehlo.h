#ifndef MTAQ_SMTP_EHLO_H
#define MTAQ_SMTP_EHLO_H

/*
 * What a server offers in its answer to EHLO (RFC 5321 section 4.1.1.1).
 */
#include "mtaq/smtp.h"

struct smtp_ehlo {
	uint32_t caps;      /* SMTP_CAP_... */
	uint32_t rcpts_max; /* LIMITS RCPTMAX (RFC 9422), 0 when not told */
	uint32_t mails_max; /* LIMITS MAILMAX */
	uint64_t size_max;  /* SIZE (RFC 1870), 0 when no limit is told */
};

/* text: the reply's text, lines joined by '\n'; the first is the greeting. */
void smtp_ehlo_parse(struct span text, struct smtp_ehlo *ehlo_r);

#endif
