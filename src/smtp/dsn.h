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

/* text as xtext: at most 3 octets for each of its.  Returns how many. */
size_t dsn_xtext(struct span text, char *out_r);

#endif
