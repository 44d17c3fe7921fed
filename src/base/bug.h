#ifndef MTAQ_BASE_BUG_H
#define MTAQ_BASE_BUG_H

/*
 * Bugs are asserted, the world is handled.  BUG_ON() is for what our own code
 * guarantees and stays on in release; what a server, a disk or a file may do
 * never reaches it.  A hit prints where and what, then aborts: a SIGKILL at
 * any moment is safe, and so is this.
 */
#include <stddef.h>

_Noreturn void bug_hit(const char *file, int line, const char *what);

#define BUG_ON(cond)                                                           \
	do {                                                                   \
		if (__builtin_expect(!!(cond), 0))                             \
			bug_hit(__FILE__, __LINE__, #cond);                    \
	} while (0)

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The struct that holds *ptr as its member. */
#define CONTAINER_OF(ptr, type, member)                                        \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
