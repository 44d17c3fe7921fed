/*
 * base/buf.c - a growable buffer with a cap
 */
#include "base/buf.h"

#include "base/bug.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

void buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){ .max = max };
}

void buf_free(struct buf *b)
{
	free(b->p);
	*b = (struct buf){ .max = b->max };
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	b->failed = 0;
}

static int fail(struct buf *b, int err)
{
	if (b->failed == 0)
		b->failed = err;
	return err;
}

int buf_grow(struct buf *b, size_t more)
{
	size_t size = b->size == 0 ? 64 : b->size;
	char *p;

	BUG_ON(b->len > b->size);
	if (more <= b->size - b->len)
		return 0;
	if (more > b->max || b->len > b->max - more)
		return fail(b, -EMSGSIZE);
	while (size < b->len + more)
		size *= 2;
	if (size > b->max)
		size = b->max;
	p = realloc(b->p, size);
	if (p == NULL)
		return fail(b, -ENOMEM);
	b->p = p;
	b->size = size;
	return 0;
}

/* Into the room that there is; only what is longer is printed twice. */
int buf_printf(struct buf *b, const char *fmt, ...)
{
	size_t room = b->size - b->len;
	va_list ap;
	int n, err;

	va_start(ap, fmt);
	n = vsnprintf(b->p == NULL ? NULL : b->p + b->len, room, fmt, ap);
	va_end(ap);
	BUG_ON(n < 0);
	if ((size_t)n >= room) {
		err = buf_reserve(b, (size_t)n + 1);
		if (err < 0)
			return err;
		va_start(ap, fmt);
		vsnprintf(b->p + b->len, (size_t)n + 1, fmt, ap);
		va_end(ap);
	}
	b->len += (size_t)n;
	return 0;
}

void buf_cut(struct buf *b, size_t len)
{
	BUG_ON(len > b->len);
	b->len = len;
}

void buf_shift(struct buf *b, size_t n)
{
	BUG_ON(n > b->len);
	if (n == 0) /* p may be NULL */
		return;
	memmove(b->p, b->p + n, b->len - n);
	b->len -= n;
}
