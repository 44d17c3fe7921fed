#ifndef MTAQ_BASE_BUF_H
#define MTAQ_BASE_BUF_H

/*
 * A growable buffer with a cap.  Appends that would pass the cap or find no
 * memory fail with -EMSGSIZE or -ENOMEM, change nothing, and leave `failed`
 * set, so that a writer may check once at its end.
 */
#include "base/span.h"

#include <stdarg.h>

struct buf {
	char *p;
	size_t len, size, max;
	int failed; /* 0 or the first negative errno */
};

void buf_init(struct buf *b, size_t max);
/* Frees the memory; the buffer is empty and may be used again. */
void buf_free(struct buf *b);
void buf_clear(struct buf *b); /* keeps the memory, forgets `failed` */

int buf_grow(struct buf *b, size_t more); /* buf_reserve()'s slow half */

/* Room for so many more octets at p + len. */
static inline int buf_reserve(struct buf *b, size_t more)
{
	return more <= b->size - b->len ? 0 : buf_grow(b, more);
}

static inline int buf_add(struct buf *b, const void *p, size_t len)
{
	int err = buf_reserve(b, len);

	if (err < 0)
		return err;
	if (len > 0) /* p may be NULL */
		memcpy(b->p + b->len, p, len);
	b->len += len;
	return 0;
}

static inline int buf_add_span(struct buf *b, struct span s)
{
	return buf_add(b, s.p, s.len);
}

static inline int buf_add_char(struct buf *b, char c)
{
	return buf_add(b, &c, 1);
}

int buf_printf(struct buf *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Drop what is behind the first len octets; len is at most what there is. */
void buf_cut(struct buf *b, size_t len);
/* Drop n octets at the front. */
void buf_shift(struct buf *b, size_t n);

static inline struct span buf_span(const struct buf *b)
{
	return span_of(b->p, b->len);
}

#endif
