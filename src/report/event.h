#ifndef MTAQ_REPORT_EVENT_H
#define MTAQ_REPORT_EVENT_H

/*
 * Events: one JSON line for each thing that happened to a recipient, made
 * from a log record alone.  Keys are stable; scripts rely on them
 * (docs/man/mtaq-events.5.scd):
 *
 *	type      accepted delivered deferred bounced expired cancelled
 *	          unsure held damaged; an operator's: released retried;
 *	          exported (to another node, `mtaq export`)
 *	lsn, n    the record and the place in it: rising, a consumer's cursor
 *	time      UTC, RFC 3339 with milliseconds
 *	id rcpt from to domain tenant campaign size
 *	site host source session tls        where it was tried
 *	code enhanced reply class scope stage    what was said
 *	attempt queued_ms                   which try, how long it waited
 *	origin_spool origin_id              accepted: adopted from that spool,
 *	                                    where it was exported under this id
 *	spool                               exported: the origin_spool there
 *	notify_sender                       bounced, expired: true when `from` is
 *	                                    to be told (not the null sender, and
 *	                                    NOTIFY allows it, RFC 3461)
 *
 * A key without a value is left out.
 */
#include "base/buf.h"
#include "mtaq/queue.h"

enum event_type { /* names are in the event log and in metrics */
	EVENT_ACCEPTED,
	EVENT_DELIVERED,
	EVENT_DEFERRED,
	EVENT_UNSURE, /* waits too, but the server may have the mail */
	EVENT_BOUNCED,
	EVENT_EXPIRED,
	EVENT_CANCELLED,
	EVENT_HELD,
	EVENT_DAMAGED,
	EVENT_RELEASED, /* waits again, by an operator */
	EVENT_RETRIED,  /* is due now, by an operator */
	EVENT_TYPE_COUNT
};
/* Of a recipient that an outcome has put into this state; unsure: nothing
 * answered its dot; rule: of its note (enum local_rule). */
enum event_type event_type_of(enum queue_state state, bool unsure,
			      unsigned rule);
const char *event_type_name(enum event_type type);

/* Append the lines of a record from place from_n on; wall_ms is the time of
 * an MSG record (its own is in whole seconds of mail time).  Returns how many
 * places the record has (0: it makes no events; so does an MSG whose content
 * follows in parts: it is accepted with its last one), or -EMSGSIZE,
 * -ENOMEM. */
int event_lines(const struct queue_record *rec, uint32_t from_n,
		struct buf *out);

/* The "accepted" lines of a message, as if of the record at lsn: what
 * event_lines() does with an MSG record that holds all of its content. */
int event_accepted(const struct queue_view *msg, uint64_t lsn, uint32_t from_n,
		   struct buf *out);

/* The "exported" line of a recipient, which makes its own keys: the end of the
 * log, and a number that rises over all that is exported. */
struct event_exported {
	const struct queue_view *msg;
	uint32_t rcpt;
	uint8_t attempts;
	const uint8_t *spool; /* 16 octets */
	uint64_t lsn, wall_ms;
	uint32_t n;
};
void event_exported(const struct event_exported *e, struct buf *out);

/* Read lsn and n from the start of a line that event_lines() made.  0, or
 * -EINVAL. */
int event_key(struct span line, uint64_t *lsn_r, uint32_t *n_r);

#endif
