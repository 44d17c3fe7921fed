/*
 * tests/crash/fail_at.c - one call to the disk fails, or all from one on
 *
 * Preloaded, with FAIL_AT=FILE:OP:N:ERRNO[:on]: the Nth call fails with the
 * errno of that number, and with "on" so do all that follow.
 *
 *	FILE   log    a segment of it
 *	       index  LMDB's data file
 *	OP     write  into it, LMDB's meta pages too
 *	       sync   fdatasync, fsync
 *	       meta   (index) into one of its first two pages, which say where
 *		      all the others begin
 *
 * FAIL_TOLD names a file that is made when it has failed.  MAP_BYTES: LMDB's
 * map is that large, whatever it is asked for.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define META_BYTES 8192

static atomic_long seen;

static const char *file_of(int fd, char *path, size_t room)
{
	char link[64];
	size_t len;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, room - 1);
	if (n < 0)
		return "";
	path[n] = '\0';
	len = (size_t)n;
	if (strstr(path, "/log/seg-") != NULL)
		return "log";
	return len > 6 && strcmp(path + len - 6, "/index") == 0 ? "index" : "";
}

static void tell(void)
{
	const char *path = getenv("FAIL_TOLD");

	if (path != NULL)
		close((int)syscall(SYS_openat, AT_FDCWD, path,
				   O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

/* Does this call fail?  Counts it if it is one of its kind. */
static int fails(int fd, const char *op, off_t offset)
{
	const char *at = getenv("FAIL_AT");
	char file[16], kind[16], on[4] = "", path[4096];
	long nth, now;
	int err;

	if (at == NULL || sscanf(at, "%15[^:]:%15[^:]:%ld:%d:%3s", file, kind,
				 &nth, &err, on) < 4)
		return 0;
	if (strcmp(kind, "meta") == 0) {
		if (strcmp(op, "write") != 0 || offset >= META_BYTES)
			return 0;
	} else if (strcmp(kind, op) != 0) {
		return 0;
	}
	if (strcmp(file, file_of(fd, path, sizeof(path))) != 0)
		return 0;
	now = atomic_fetch_add(&seen, 1) + 1;
	if (now != nth && !(now > nth && on[0] != '\0'))
		return 0;
	tell();
	errno = err;
	return 1;
}

ssize_t pwrite(int fd, const void *p, size_t len, off_t offset)
{
	return fails(fd, "write", offset)
		       ? -1
		       : syscall(SYS_pwrite64, fd, p, len, (long)offset);
}

ssize_t pwrite64(int fd, const void *p, size_t len, off_t offset)
{
	return pwrite(fd, p, len, offset);
}

ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
	return fails(fd, "write", offset)
		       ? -1
		       : syscall(SYS_pwritev, fd, iov, count, (long)offset, 0l);
}

ssize_t pwritev64(int fd, const struct iovec *iov, int count, off_t offset)
{
	return pwritev(fd, iov, count, offset);
}

/* LMDB seeks and writes what lies together. */
ssize_t writev(int fd, const struct iovec *iov, int count)
{
	return fails(fd, "write", META_BYTES)
		       ? -1
		       : syscall(SYS_writev, fd, iov, count);
}

int fdatasync(int fd)
{
	return fails(fd, "sync", 0) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
	return fails(fd, "sync", 0) ? -1 : (int)syscall(SYS_fsync, fd);
}

/* LMDB's, whose header is not wanted here: its env is a pointer to it. */
int mdb_env_set_mapsize(void *env, size_t bytes);

int mdb_env_set_mapsize(void *env, size_t bytes)
{
	int (*real)(void *, size_t);
	const char *given = getenv("MAP_BYTES");

	*(void **)&real = dlsym(RTLD_NEXT, "mdb_env_set_mapsize");
	return real(env, given == NULL ? bytes : strtoul(given, NULL, 10));
}
