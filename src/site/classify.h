#ifndef MTAQ_SITE_CLASSIFY_H
#define MTAQ_SITE_CLASSIFY_H

/*
 * What a reply is about: its kind, its scope, and what follows from it.
 *
 * First a table of the large receivers' replies (code, enhanced code, a few
 * words), then RFC 3463, then the first digit.  The scope decides what slows
 * down: a recipient-level reply never slows a site; a reputation reply never
 * says anything about an address.
 */
#include "mtaq/outcome.h"

enum reply_kind { /* names are in the event log: add at the end */
	REPLY_ACCEPTED,
	REPLY_GREYLIST,
	REPLY_RATE,
	REPLY_CONNECTIONS,
	REPLY_REPUTATION,
	REPLY_AUTHENTICATION,
	REPLY_MAILBOX_FULL,
	REPLY_UNKNOWN_USER,
	REPLY_INACTIVE,
	REPLY_CONTENT,
	REPLY_SIZE,
	REPLY_PROTOCOL,
	REPLY_DNS,
	REPLY_ROUTING,
	REPLY_OTHER,
	REPLY_KIND_COUNT
};

enum reply_scope {
	SCOPE_RECIPIENT,
	SCOPE_MESSAGE,
	SCOPE_SESSION, /* this connection only: it closes, nobody's fault */
	SCOPE_HOST,    /* this MX address: its health */
	SCOPE_SITE,    /* site x source: window, rate, pause */
	SCOPE_TENANT,  /* tenant at this site */
	SCOPE_COUNT
};

struct reply_class {
	enum reply_kind kind;
	enum reply_scope scope;
	uint32_t retry_s;     /* recipient: not before (0: the schedule) */
	uint32_t pause_s;     /* scope pauses so long; doubles on repeats */
	uint32_t pause_max_s; /* up to here */
	bool halve;           /* the rate of the scope is halved */
	bool alert;           /* an operator should look */
};

/* Judge one verdict.  provider: the preset's name (site_provider()) or NULL.
 * Never fails: what nobody knows is REPLY_OTHER. */
void reply_classify(const struct smtp_verdict *verdict, const char *provider,
		    struct reply_class *class_r);

/* "mailbox-full", "site": for event log, command line and manual alike. */
const char *reply_kind_name(enum reply_kind kind);
const char *reply_scope_name(enum reply_scope scope);

#endif
