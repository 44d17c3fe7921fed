#ifndef MTAQ_REPORT_NOTE_H
#define MTAQ_REPORT_NOTE_H

/*
 * What an OUT record carries for its events.  The queue keeps these octets
 * without looking inside; an event is printed from its record alone, long
 * after the session, the site and maybe the message are gone.
 *
 * The first octet is the version.  A reader refuses what it does not know or
 * what is cut.
 */
#include "mtaq/outcome.h"

#define NOTE_TEXT_MAX 512u /* of a reply; what is longer is cut */

/* The most octets of a note_common. */
#define NOTE_COMMON_MAX 5200u

struct note_common {      /* one attempt; spans borrow */
	uint64_t time_ms; /* wall clock when the last answer came */
	uint64_t session; /* number within this run; 0: none */
	uint64_t size;    /* of the content */
	struct span from;
	struct span site; /* its name for people */
	struct span host; /* MX name and address: "mx.example[192.0.2.1]:25" */
	struct span source;
	struct span tls; /* "" in clear */
	/* Only to put: host, site and source as note_peer_put() wrote them,
	 * which are not looked at then; "": it was not asked. */
	struct span peer;
};

struct note_rcpt {
	struct smtp_verdict verdict;
	uint8_t kind, scope; /* src/site/classify.h */
	uint8_t rule;        /* enum local_rule */
	uint8_t notify;      /* DSN_...; 0: not said (RFC 3461) */
	uint32_t queued_s;   /* since the message was accepted */
	struct span to;
};

/* The octets that _put() will write. */
size_t note_common_size(const struct note_common *n);
size_t note_peer_size(const struct note_common *n);
size_t note_rcpt_size(const struct note_rcpt *n);
/* Write exactly _size() octets, and say how many that was. */
size_t note_common_put(const struct note_common *n, void *to);
/* What is the same for all mail of a session: to be kept with it. */
size_t note_peer_put(const struct note_common *n, void *to);
size_t note_rcpt_put(const struct note_rcpt *n, void *to);
/* 0, or -EINVAL for what is no such note.  The result borrows from s. */
int note_common_get(struct span s, struct note_common *n_r);
int note_rcpt_get(struct span s, struct note_rcpt *n_r);

#endif
