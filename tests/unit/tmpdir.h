#ifndef MTAQ_TESTS_TMPDIR_H
#define MTAQ_TESTS_TMPDIR_H

/*
 * Where the unit tests keep files: a new folder for each, under TMPDIR (else
 * /tmp); for those that sync a great deal and ask no disk (TMPDIR_MEMORY)
 * under MTAQ_TEST_MEMORY, else /dev/shm where there is one.  A test that
 * fails leaves its folder behind: whoever expects failures (tests/mutants.sh)
 * sets both.
 */
#include "base/bug.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TMPDIR_BYTES 96

enum tmpdir_place {
	TMPDIR_DISK,
	TMPDIR_MEMORY
};

static inline const char *tmpdir_memory(void)
{
	const char *top = getenv("MTAQ_TEST_MEMORY");

	if (top != NULL && top[0] != '\0')
		return top;
	return access("/dev/shm", W_OK) == 0 ? "/dev/shm" : NULL;
}

/* Make one; its path goes to dir.  It cannot fail but by a test's abort. */
static inline void tmpdir_make(char dir[TMPDIR_BYTES], const char *name,
			       enum tmpdir_place place)
{
	const char *top = place == TMPDIR_MEMORY ? tmpdir_memory() : NULL;
	int n;

	if (top == NULL)
		top = getenv("TMPDIR");
	if (top == NULL || top[0] == '\0')
		top = "/tmp";
	n = snprintf(dir, TMPDIR_BYTES, "%s/mtaq-%s-XXXXXX", top, name);
	BUG_ON(n < 0 || n >= TMPDIR_BYTES || mkdtemp(dir) == NULL);
}

static inline int tmpdir_remove_one(const char *path, const struct stat *st,
				    int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

/* Remove it with all that is in it. */
static inline void tmpdir_remove(const char *dir)
{
	BUG_ON(nftw(dir, tmpdir_remove_one, 8, FTW_DEPTH | FTW_PHYS) != 0);
}

#endif
