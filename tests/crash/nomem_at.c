/*
 * tests/crash/nomem_at.c - the kth allocation of a daemon fails
 *
 * Preloaded, with NOMEM_AT=K:COUNT: allocations K to K + COUNT - 1 give NULL,
 * whoever makes them: mtaq, its libraries, libc.  Counted from about main() on:
 * what libraries allocate while they are loaded is not.  NOMEM_TOLD names a
 * file that is made when the first has failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

static atomic_bool counts;
static atomic_long seen;
static long from, to;
static const char *told;

/* Loaded first, this is made ready last. */
static void __attribute__((constructor)) begin(void)
{
	const char *at = getenv("NOMEM_AT");
	long count;

	told = getenv("NOMEM_TOLD");
	if (at == NULL || sscanf(at, "%ld:%ld", &from, &count) != 2)
		return;
	to = from + count;
	atomic_store(&counts, true);
}

static bool fails(void)
{
	long now;

	if (!atomic_load_explicit(&counts, memory_order_relaxed))
		return false;
	now = atomic_fetch_add(&seen, 1) + 1;
	if (now < from || now >= to)
		return false;
	if (now == from && told != NULL)
		close((int)syscall(SYS_openat, AT_FDCWD, told,
				   O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	errno = ENOMEM;
	return true;
}

void *malloc(size_t n)
{
	return fails() ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t each)
{
	return fails() ? NULL : __libc_calloc(n, each);
}

void *realloc(void *p, size_t n)
{
	return n > 0 && fails() ? NULL : __libc_realloc(p, n);
}

void *memalign(size_t align, size_t n)
{
	return fails() ? NULL : __libc_memalign(align, n);
}

void *aligned_alloc(size_t align, size_t n)
{
	return memalign(align, n);
}

int posix_memalign(void **p, size_t align, size_t n)
{
	void *got = fails() ? NULL : __libc_memalign(align, n);

	if (got == NULL)
		return ENOMEM;
	*p = got;
	return 0;
}
