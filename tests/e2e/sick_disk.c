/*
 * tests/e2e/sick_disk.c - a disk that takes nothing into the log any more
 *
 * Preloaded: while the file that SICK_DISK names is there, what is written to
 * or synced of a segment fails with EIO.  While the one that SLOW_DISK names is
 * there, a sync by the thread that writes the log does not end; while that of
 * SLOW_STORE is, none by the thread that keeps the index.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int is_there(const char *name)
{
	const char *flag = getenv(name);

	return flag != NULL && access(flag, F_OK) == 0;
}

static int is_sick(int fd)
{
	char link[64], path[4096];
	ssize_t n;

	if (!is_there("SICK_DISK"))
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return 0;
	path[n] = '\0';
	if (strstr(path, "/log/seg-") == NULL)
		return 0;
	errno = EIO;
	return 1;
}

ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
	if (is_sick(fd))
		return -1;
	return syscall(SYS_pwritev, fd, iov, count, (long)offset, 0l);
}

ssize_t pwritev64(int fd, const struct iovec *iov, int count, off_t offset)
{
	return pwritev(fd, iov, count, offset);
}

static int is_thread(const char *wanted)
{
	char name[16] = "";

	prctl(PR_GET_NAME, name);
	return strcmp(name, wanted) == 0;
}

int fdatasync(int fd)
{
	while ((is_thread("log") && is_there("SLOW_DISK")) ||
	       (is_thread("store") && is_there("SLOW_STORE")))
		usleep(20000);
	return is_sick(fd) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
	return is_sick(fd) ? -1 : (int)syscall(SYS_fsync, fd);
}
