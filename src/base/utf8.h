#ifndef MTAQ_BASE_UTF8_H
#define MTAQ_BASE_UTF8_H

/*
 * UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing over U+10FFFF.
 */
#include <stddef.h>

/* How many octets at p, of len > 0, are one character; 0: they are none. */
size_t utf8_len(const unsigned char *p, size_t len);

#endif
