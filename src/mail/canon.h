#ifndef MTAQ_MAIL_CANON_H
#define MTAQ_MAIL_CANON_H

/*
 * The canonical form of a message, made once at submission, so that delivery
 * rewrites nothing (docs/SMTP.md 22, 24, 26).
 *
 * In this order; the first rule that refuses names the line:
 *
 *  1. A leading mbox line ("From " and no field) is dropped.
 *  2. An empty message and NUL are refused.
 *  3. CRLF, bare LF and bare CR end a line and become CRLF; a missing final
 *     CRLF is added.  With CANON_NEWLINES_REFUSE a bare one is refused.
 *  4. The header section is what header.h says.  When the first line is no
 *     field there is none: it is made, and all the input is body.
 *  5. More than 50 Received fields are a mail loop (5.4.6).
 *  6. Two From fields are refused.  None: "From: <sender>" is added when
 *     from_add is set and the sender is not null, else refused.
 *  7. Bcc, Resent-Bcc and Return-Path go, with all their lines.
 *  8. On top come, in this order and each only when asked for or missing:
 *     Received, From, Date, Message-ID.
 *  9. Lines over 998 octets (CRLF not counted).  In mail with a DKIM-Signature,
 *     and inside multipart/signed and message/... parts: refused.
 *     In a header section (of the message or a part): folded before the last
 *     blank that leaves at most 998 octets and text on both sides; refused
 *     where there is none, and in garbage lines.
 *     In a leaf part: the whole leaf becomes quoted-printable when it was
 *     7bit, 8bit, binary or said nothing; the long lines of a base64 part are
 *     cut every 76 octets (refused with "-" in them), those of a
 *     quoted-printable part get soft line breaks; any other encoding, and a long line outside all parts, is
 *     refused.  The part's Content-Transfer-Encoding is replaced where it
 *     first stands, later ones go; where there is none it is put last in its
 *     header section, for the message itself behind a MIME-Version if that
 *     is missing too.
 */
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#define CANON_LINE_MAX     998u /* RFC 5322 section 2.1.1 */
#define CANON_RECEIVED_MAX 50u
#define CANON_PIECES_MAX   600 /* whatever the message is like */

enum canon_newlines {
	CANON_NEWLINES_FIX,
	CANON_NEWLINES_REFUSE
};

/* All borrowed for the call. */
struct canon_settings {
	/* What stands in the Received line before its date, e.g.
	 * "by mail.example.net (mtaq) with local id 5J3K"; empty: none is
	 * added.  Controls become "?", at most 800 octets are taken. */
	struct span received;
	/* Message-ID: <unique@id_domain>.  unique must differ for every
	 * message this machine ever makes, and both are atext and dots. */
	struct span unique, id_domain;
	struct span
		sender; /* validated; empty is the null sender.  Never CR or LF */
	bool from_add; /* complete a missing From from the sender */
	int64_t now_s; /* unix time; printed as UTC (+0000) */
	enum canon_newlines newlines;
};

enum canon_error {
	CANON_OK,
	CANON_EMPTY,        /* no octets */
	CANON_NUL,          /* RFC 5321 2.3.8 has no place for it */
	CANON_BARE_NEWLINE, /* and CANON_NEWLINES_REFUSE */
	CANON_LOOP,         /* more than 50 Received; 5.4.6 */
	CANON_FROM_MISSING,
	CANON_FROM_TWICE,
	CANON_LONG_SIGNED,  /* a long line where a signature covers it */
	CANON_LONG_HEADER,  /* a long header line with no place to fold */
	CANON_LONG_ENCODED, /* a long line in an encoding we do not know */
	CANON_LONG_OUTSIDE, /* a long line before or after the parts */
	CANON_NO_MEMORY,    /* try later */
	CANON_ERROR_COUNT
};

#define CANON_8BIT    0x01u /* octets over 127: BODY=8BITMIME */
#define CANON_DOTS    0x02u /* some line begins with a dot */
#define CANON_HEADER8 0x04u /* ... of the octets over 127, some in the header */

struct canon_result {
	enum canon_error error;
	uint64_t line; /* of the input, from 1; 0 when no line is meant */
	/* Input ranges (borrowed from the input) and small pieces owned by the
	 * struct canon, until its next use. */
	const struct iovec *pieces;
	int count;     /* at most CANON_PIECES_MAX */
	uint64_t size; /* their sum */
	uint32_t flags;
};

struct canon;

struct canon *canon_new(void); /* NULL: no memory */
void canon_free(struct canon **c);
/* Make the canonical form.  Returns result_r->error; on an error only error
 * and line are set. */
enum canon_error canon_make(struct canon *c, const struct canon_settings *set,
			    struct span message, struct canon_result *result_r);

/* The last result is not used any more: let go of much memory. */
void canon_trim(struct canon *c);

/* For people: "the message has a NUL octet". */
const char *canon_error_words(enum canon_error error);
/* The enhanced status code of a refusal, e.g. "5.6.0" (RFC 3463). */
const char *canon_error_enhanced(enum canon_error error);

#endif
