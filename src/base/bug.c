/*
 * base/bug.c - the end of a process that has found itself wrong
 */
#include "base/bug.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void bug_hit(const char *file, int line, const char *what)
{
	fprintf(stderr, "mtaq: BUG at %s:%d: %s\n", file, line, what);
	abort();
}
