#ifndef MTAQ_MAIL_QP_H
#define MTAQ_MAIL_QP_H

/*
 * Quoted-printable (RFC 2045 section 6.7), and long lines of encoded parts
 * made shorter.  A line is taken without its line end; line ends inside what
 * is put are CRLF.  What buf.h says of failures holds: look at buf->failed.
 */
#include "base/buf.h"

/* The line encoded: "=" + two capital hex digits for "=", octets under 32 but
 * TAB, octets over 126, blanks at the end of the line, and "-" where a line is
 * begun (or a part of the line could become a delimiter of a multipart); a
 * soft line break before whatever would make a line of more than 75 octets. */
void qp_put_line(struct buf *b, struct span line);
/* A line that is quoted-printable already: soft line breaks before whatever
 * would make more than 75 octets, never inside of "=XX"; "-" where a line is
 * begun becomes "=2D". */
void qp_put_soft(struct buf *b, struct span line);
/* A line of base64: CRLF behind each 76 octets but the last.  It must have no
 * "-" in it, for the same reason. */
void qp_put_base64(struct buf *b, struct span line);

#endif
