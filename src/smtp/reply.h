#ifndef MTAQ_SMTP_REPLY_H
#define MTAQ_SMTP_REPLY_H

/*
 * One SMTP reply, octet by octet (RFC 5321 section 4.2, rules 1, 2 and 6).
 *
 *	reply = *( ddd "-" [text] LF ) ddd [ SP text ] LF	(CR before LF)
 *
 * ddd begins with 2 to 5.  Text may be empty and hold any octet.
 */
#include "mtaq/outcome.h"

#include <stdbool.h>
#include <stddef.h>

#define SMTP_REPLY_LINE_KEPT 512  /* octets of a line kept, code included */
#define SMTP_REPLY_BYTES_MAX 8192 /* octets of a whole reply */
#define SMTP_REPLY_LINES_MAX 100
#define SMTP_REPLY_BUF       SMTP_REPLY_BYTES_MAX

struct smtp_reply {
	char *buf; /* SMTP_REPLY_BUF octets, borrowed: the text goes here */
	uint32_t bytes;       /* octets read so far; 0 before the first */
	uint32_t line_len;    /* octets of the present line */
	uint32_t text_len;    /* octets kept in buf */
	uint32_t line_text;   /* where the present line's text begins in buf */
	uint16_t lines;       /* whole lines so far */
	uint16_t code;        /* of the present, in the end of the last line */
	uint16_t code_before; /* of the line before */
	bool more;            /* the present line is not the last */
	bool bare;            /* the present line is "ddd" CR: LF must follow */
	bool codes_differ;    /* rule 1: worth a line in the log */
	struct smtp_enhanced enhanced;
};

/* Begin a new reply whose text goes to buf. */
void smtp_reply_init(struct smtp_reply *r, char *buf);
/*
 * Read on.  1: a whole reply is in r, *used_r says how many octets it took;
 * 0: more is needed, all octets were used; -1: this is no reply, or it
 * passes a cap (rule 2).  After 1 or -1 begin anew with _init().
 */
int smtp_reply_input(struct smtp_reply *r, const void *data, size_t len,
		     size_t *used_r);
/* The text without codes, lines joined by '\n'; lives in buf. */
struct span smtp_reply_text(const struct smtp_reply *r);
/* Copy the text, or as much of it as there is room for; returns how much. */
size_t smtp_reply_copy(const struct smtp_reply *r, char *to, size_t room);

/*
 * Read an enhanced code (RFC 3463: class "." subject "." detail) at the head
 * of text for a reply with this code.  Returns its octets with the blank
 * behind it, or 0 when there is none that can be trusted (rule 6): then
 * *code_r is untouched.
 */
size_t smtp_enhanced_parse(struct span text, uint16_t code,
			   struct smtp_enhanced *code_r);

#endif
