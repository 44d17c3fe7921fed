#ifndef MTAQ_BASE_MSGID_H
#define MTAQ_BASE_MSGID_H

/*
 * A message id as people see it: 64 bits in 13 letters of base32 (0-9a-z
 * without i, l, o, u; highest first) and a check letter.  The check letter is
 * a weighted sum in GF(32): it finds every single wrong letter and any two
 * letters that changed places.
 */
#include "base/span.h"

#define MSGID_LEN 14u

/* Exactly MSGID_LEN letters, no NUL. */
void msgid_format(uint64_t id, char text_r[MSGID_LEN]);
/* The same with a NUL behind. */
void msgid_print(uint64_t id, char text_r[MSGID_LEN + 1]);
/* Any case; o is read as 0, i and l as 1.  0, or -EINVAL when it is no id. */
int msgid_parse(struct span text, uint64_t *id_r);

#endif
