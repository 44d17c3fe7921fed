/*
 * tests/e2e/full_disk.c - a disk on which there is no room any more
 *
 * Preloaded: after the first FULL_DISK_AFTER looks at its room it has none.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

static atomic_long looks;

int statvfs(const char *path, struct statvfs *to)
{
	const char *after = getenv("FULL_DISK_AFTER");
	struct statfs is;

	if (syscall(SYS_statfs, path, &is) < 0)
		return -1;
	*to = (struct statvfs){ .f_bsize = (unsigned long)is.f_bsize,
				.f_frsize = (unsigned long)is.f_frsize,
				.f_blocks = is.f_blocks,
				.f_bfree = is.f_bfree,
				.f_bavail = is.f_bavail };
	if (after != NULL &&
	    atomic_fetch_add(&looks, 1) >= strtol(after, NULL, 10))
		to->f_bavail = to->f_bfree = 0;
	return 0;
}

int statvfs64(const char *path, struct statvfs64 *to)
{
	return statvfs(path, (struct statvfs *)(void *)to);
}
