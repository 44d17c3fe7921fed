#ifndef MTAQ_BASE_JSON_H
#define MTAQ_BASE_JSON_H

/*
 * Emit JSON into a buffer (RFC 8259).  Octets that are no UTF-8 become
 * U+FFFD, controls are escaped: whatever a server or a message says, a line
 * stays one line.  Errors are the buffer's (`failed`).
 */
#include "base/buf.h"

/* A string with its quotes. */
void json_string(struct buf *out, struct span s);
void json_u64(struct buf *out, uint64_t v);

/* Members: "key": value, with a comma in front unless the buffer ends in '{'.
 * key is ours and needs no escaping. */
void json_key(struct buf *out, const char *key);
void json_member(struct buf *out, const char *key, struct span value);
void json_member_u64(struct buf *out, const char *key, uint64_t value);

#endif
