/*
 * tests/crash/cut_at.c - the power goes at a certain moment of a command
 *
 * Preloaded, with CUT_AT=N and CUT_DISKS=FOLDER[:FOLDER...]: before the Nth
 * call that puts something on disk or gives it another name, the file systems
 * of these folders are shut down without a flush.  The command goes on over
 * them.  How many such calls there were stands in the file CUT_TOLD.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define GOING_DOWN 0x8004587Du
#define NO_FLUSH   2u

static atomic_long seen;

static void tell(long n)
{
	const char *path = getenv("CUT_TOLD");
	char text[24];
	int fd, len = snprintf(text, sizeof(text), "%ld\n", n);

	fd = path == NULL ? -1 : open(path, O_WRONLY | O_CREAT, 0600);
	if (fd < 0 || write(fd, text, (size_t)len) != len)
		_exit(99);
	close(fd);
}

static void power_off(const char *folder)
{
	uint32_t how = NO_FLUSH;
	int fd = open(folder, O_RDONLY);

	if (fd < 0 || ioctl(fd, GOING_DOWN, &how) < 0)
		_exit(98);
	close(fd);
}

/* Before each such call. */
static void count(void)
{
	const char *at = getenv("CUT_AT"), *disks = getenv("CUT_DISKS");
	long n = atomic_fetch_add(&seen, 1) + 1;
	char folders[4096], *folder, *rest = folders;

	if (at == NULL || disks == NULL)
		return;
	tell(n);
	if (n != strtol(at, NULL, 10))
		return;
	snprintf(folders, sizeof(folders), "%s", disks);
	while ((folder = strsep(&rest, ":")) != NULL)
		power_off(folder);
}

int fdatasync(int fd)
{
	count();
	return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
	count();
	return (int)syscall(SYS_fsync, fd);
}

int rename(const char *from, const char *to)
{
	count();
	return (int)syscall(SYS_rename, from, to);
}

int unlink(const char *path)
{
	count();
	return (int)syscall(SYS_unlink, path);
}
