#ifndef MTAQ_SMTP_DSN_H
#define MTAQ_SMTP_DSN_H

/*
 * The parameters of a delivery status notification (RFC 3461; docs/SMTP.md
 * 25): checked once, at submission, passed on as they are.
 *
 *	mail  = [ ret ] [ envid ]		; each at most once, any order
 *	ret   = "RET=" ( "FULL" / "HDRS" )
 *	envid = "ENVID=" xtext			; 1 to 100 octets
 *	rcpt  = [ notify ] [ orcpt ]		; likewise
 *	notify = "NOTIFY=" ( "NEVER" / word *( "," word ) )
 *	word  = "SUCCESS" / "FAILURE" / "DELAY"	; each at most once
 *	orcpt = "ORCPT=" type ";" xtext		; 500 octets behind the "="
 *	type  = 1*( letter / digit / "-" )
 *	xtext = *( %d33-126 but "+" and "=" / "+" 2HEX )	; capitals
 *
 * Letters of the keywords are taken in either case.
 */
#include "base/span.h"

#define DSN_ENVID_MAX 100u
#define DSN_ORCPT_MAX 500u

/* May this stand behind MAIL's or RCPT's address?  Single blanks between the
 * parameters, none before or behind; "" may. */
bool dsn_is_mail(struct span params);
bool dsn_is_rcpt(struct span params);

/* When somebody is to be told (NOTIFY).  The numbers are on disk. */
#define DSN_NEVER   0x01u
#define DSN_SUCCESS 0x02u
#define DSN_FAILURE 0x04u
#define DSN_DELAY   0x08u
#define DSN_ALL     0x0fu

/* NOTIFY of a recipient's parameters that dsn_is_rcpt() has passed, with or
 * without a blank in front; 0 when they have none. */
unsigned dsn_notify(struct span params);
/* Is sender to be told that the mail has failed for a recipient with this
 * NOTIFY?  Never the null sender: a bounce is not bounced (RFC 5321 section
 * 6.1); without NOTIFY failures are told (RFC 3461 section 4.1). */
bool dsn_wants_failure(struct span sender, unsigned notify);

/* text as xtext: at most 3 octets for each of its.  Returns how many. */
size_t dsn_xtext(struct span text, char *out_r);

#endif
