#ifndef MTAQ_SMTP_TRANSCRIPT_H
#define MTAQ_SMTP_TRANSCRIPT_H

/*
 * A conversation as lines for people, from the octets that went both ways.
 *
 * Content is not shown, only how much it was; nor are secrets (the words of
 * AUTH, RFC 4954).  What cannot be told from content counts as content: a
 * transcript that begins in the middle of a session shows none of our octets
 * before the next end of a message.
 *
 *	ours:  COMMAND --DATA, 3yz--> CONTENT --CRLF . CRLF--> COMMAND
 *	          |  ^---- n octets ---- CHUNK <--BDAT n--|
 *	          +--AUTH--> (3yz: the next line is SECRET) --other reply--> ...
 */
#include "base/span.h"

#define TRANSCRIPT_LINE_MAX 1000u /* what is longer is cut, and says so */

enum transcript_side {
	TRANSCRIPT_OURS,
	TRANSCRIPT_THEIRS
};

struct transcript {
	enum {
		TRANSCRIPT_COMMAND,
		TRANSCRIPT_CONTENT,
		TRANSCRIPT_CHUNK
	} ours;
	bool midway;    /* it began there: the content may be none */
	bool data_sent; /* DATA is out, its 3yz has not come */
	bool auth;      /* until a reply that is no 3yz */
	bool secret;    /* the next line of ours */
	uint64_t bytes; /* of content; of a chunk: to come */
	uint64_t chunk; /* its size */
	unsigned tail;  /* octets of the mark that were seen: 0..5 */
	struct transcript_line {
		char text[TRANSCRIPT_LINE_MAX + 4]; /* " ..." */
		uint32_t len;
		bool cut;
	} lines[2];
};

/* ready: the session has just begun, or no mail is under way. */
void transcript_begin(struct transcript *t, bool ready);
/*
 * Take octets of one side, off the front of *octets.  True: a line is whole;
 * *line_r is without its end and borrowed until the next call.  False: all
 * were taken.
 */
bool transcript_take(struct transcript *t, enum transcript_side side,
		     struct span *octets, struct span *line_r);

#endif
