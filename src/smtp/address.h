#ifndef MTAQ_SMTP_ADDRESS_H
#define MTAQ_SMTP_ADDRESS_H

/*
 * One check for the addresses of envelopes, used at every entrance
 * (docs/SMTP.md 26; RFC 5321 section 4.1.2, 4.1.3, 4.5.3.1; RFC 6531).
 *
 *	address    = local "@" ( domain / literal )       ; at most 254 octets
 *	local      = dot-string / quoted                  ; at most 64
 *	dot-string = atom *( "." atom )
 *	quoted     = DQUOTE *( %d32-33 / %d35-91 / %d93-126 / "\" %d32-126 ) DQUOTE
 *	domain     = label *( "." label )                 ; at most 255, label 63
 *	label      = letters, digits, "_" and, inside, "-"
 *	literal    = "[" ( IPv4 / "IPv6:" IPv6 ) "]"
 *
 * UTF-8 (RFC 3629, no surrogates, no C1 controls) may stand for letters in
 * atoms, quoted strings and labels, when asked for.  There are no brackets
 * around the address, no routes, no comments, no blanks outside quotes.
 */
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

#define ADDRESS_OCTETS_MAX 254u /* RFC 5321 errata 1690 */
#define ADDRESS_LOCAL_MAX  64u
#define ADDRESS_DOMAIN_MAX 255u
#define ADDRESS_LABEL_MAX  63u

#define ADDRESS_NULL_OK 0x01u /* "" is allowed: the null reverse-path */
#define ADDRESS_UTF8_OK 0x02u /* octets over 127 are allowed and flagged */

enum address_error {
	ADDRESS_OK,
	ADDRESS_EMPTY,    /* "" where it is not allowed */
	ADDRESS_TOO_LONG, /* over 254 octets */
	ADDRESS_CONTROL,  /* CR, LF, NUL or another control */
	ADDRESS_NO_AT,    /* no "@" behind the local part */
	ADDRESS_LOCAL_EMPTY,
	ADDRESS_LOCAL_LONG, /* over 64 octets */
	ADDRESS_LOCAL_SYNTAX,
	ADDRESS_DOMAIN_EMPTY,
	ADDRESS_DOMAIN_LONG, /* over 255 octets, or a label over 63 */
	ADDRESS_DOMAIN_SYNTAX,
	ADDRESS_LITERAL_SYNTAX,
	ADDRESS_BAD_UTF8,   /* octets over 127 that are no UTF-8 */
	ADDRESS_NEEDS_UTF8, /* the local part, and ADDRESS_UTF8_OK not given */
	ADDRESS_NEEDS_IDNA, /* the domain alone, and ADDRESS_UTF8_OK not given */
	ADDRESS_IDNA_SYNTAX, /* the domain has no A-labels (src/idn) */
	ADDRESS_ERROR_COUNT
};

struct address {
	struct span local, domain; /* as written; borrowed from the text */
	bool null;                 /* "" */
	bool literal;              /* domain is "[...]" */
	bool utf8; /* the local part needs SMTPUTF8 (RFC 6531) */
	bool idna; /* the domain has to become A-labels, or needs SMTPUTF8 */
	/* The domain with ASCII letters in lower case: the name of its queue
	 * (unless idna). */
	char domain_lower[ADDRESS_DOMAIN_MAX + 1];
};

/* address_r is only written on ADDRESS_OK. */
enum address_error address_parse(struct span text, unsigned flags,
				 struct address *address_r);
static inline struct span address_domain_lower(const struct address *a)
{
	return span_of(a->domain_lower, a->domain.len);
}

/* For people: "the part before the @ is longer than 64 octets". */
const char *address_error_words(enum address_error error);

#endif
