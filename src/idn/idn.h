#ifndef MTAQ_IDN_IDN_H
#define MTAQ_IDN_IDN_H

/*
 * An address as it stands in an envelope (docs/SMTP.md 24, 26; RFC 5891,
 * UTS 46 without transitional processing).
 *
 * A domain with letters beyond ASCII becomes A-labels ("xn--..."), here and
 * once: every host takes those, and DNS, queues and events know one form.
 * A local part with such letters stays and needs SMTPUTF8 (RFC 6531).
 */
#include "smtp/address.h"

struct idn_address {
	struct address parts; /* idna is never set */
	struct span text;     /* the whole, without <> */
	/* Where text points when the domain had to be written anew; with a
	 * NUL behind it. */
	char ascii[ADDRESS_OCTETS_MAX + 1];
};

/*
 * Check text, as address_parse() with ADDRESS_UTF8_OK and these flags.
 * ADDRESS_OK: *a_r borrows from text, or from itself: do not copy it.  Else
 * why not, for address_error_words(); *a_r is then not to be read.
 */
enum address_error idn_address(struct span text, unsigned flags,
			       struct idn_address *a_r);

#endif
