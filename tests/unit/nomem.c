/*
 * tests/unit/nomem.c - memory that runs out on request, by the linker's --wrap
 */
#include "nomem.h"

#include "base/bug.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_aligned_alloc(size_t to, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_aligned_alloc(size_t to, size_t size);
void *__wrap_emalloc(size_t size);
void *__wrap_erealloc(void *p, size_t size);
char *__wrap_strdup(const char *s);
int __wrap_asprintf(char **text_r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static _Atomic uint32_t calls, fail_at; /* fail_at 0: never */
static _Atomic bool fail_rest, hit, stopped;

static bool fails(void)
{
	uint32_t n, at = fail_at;
	bool yes;

	if (stopped)
		return false;
	n = atomic_fetch_add(&calls, 1) + 1;
	yes = at != 0 && (n == at || (fail_rest && n > at));

	if (yes) {
		hit = true;
		errno = ENOMEM;
	}
	return yes;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return fails() ? NULL : __real_realloc(p, size);
}

void *__wrap_aligned_alloc(size_t to, size_t size)
{
	return fails() ? NULL : __real_aligned_alloc(to, size);
}

/* libcheck's own memory never runs out. */
void *__wrap_emalloc(size_t size)
{
	return __real_malloc(size);
}

void *__wrap_erealloc(void *p, size_t size)
{
	return __real_realloc(p, size);
}

char *__wrap_strdup(const char *s)
{
	size_t len = strlen(s) + 1;
	char *copy = fails() ? NULL : __real_malloc(len);

	return copy == NULL ? NULL : memcpy(copy, s, len);
}

int __wrap_asprintf(char **text_r, const char *fmt, ...)
{
	va_list args;
	int len;

	if (fails())
		return -1;
	va_start(args, fmt);
	len = vasprintf(text_r, fmt, args);
	va_end(args);
	return len;
}

void nomem_fail(uint32_t nth, bool rest)
{
	calls = 0;
	hit = false;
	fail_rest = rest;
	fail_at = nth;
	stopped = false;
}

bool nomem_hit(void)
{
	return hit;
}

void nomem_stop(void)
{
	stopped = true;
}

void nomem_begin(struct nomem *n)
{
	*n = (struct nomem){ .total = UINT32_MAX };
}

bool nomem_again(struct nomem *n)
{
	if (n->total == UINT32_MAX && n->turn == 0) {
		n->turn = 1; /* the turn without a failure */
		nomem_fail(0, false);
		return true;
	}
	if (n->total == UINT32_MAX) {
		n->total = calls;
		n->turn = 0;
		n->rest = true;
		BUG_ON(n->total == 0); /* a loop that shows nothing */
	} else {
		/* A turn that failed nothing has left the path. */
		BUG_ON(!hit);
	}
	n->rest = !n->rest;
	n->turn += !n->rest;
	if (n->turn > n->total) {
		nomem_stop();
		return false;
	}
	nomem_fail(n->turn, n->rest);
	return true;
}
