/*
 * tests/crash/die_at.c - the daemon dies at a certain moment of a submission
 *
 * Preloaded, with DIE_AT=MOMENT:N: kill -9 of itself at the Nth
 *
 *	synced    sync of a segment, when it is done
 *	answer    answer at the submission socket, before any of it is sent
 *	half      ... when half of it is
 *	remove    removal of a file of the drop folder, before
 *	removed   ... after
 *
 * Syncs count from the first octet at the socket on, if DIE_AFTER_HELLO is
 * set: those of the start-up are not part of a submission.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static atomic_int seen, hello;

/* Is this the moment?  Counts it if it is one of its kind. */
static int is_now(const char *moment)
{
	const char *at = getenv("DIE_AT");
	size_t len = strlen(moment);

	if (at == NULL || strncmp(at, moment, len) != 0 || at[len] != ':')
		return 0;
	return atomic_fetch_add(&seen, 1) + 1 == strtol(at + len + 1, NULL, 10);
}

static void die(void)
{
	(void)kill(getpid(), SIGKILL);
}

static int is_segment(int fd)
{
	char link[64], path[4096];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return 0;
	path[n] = '\0';
	return strstr(path, "/log/seg-") != NULL;
}

int fdatasync(int fd)
{
	int r = (int)syscall(SYS_fdatasync, fd);

	if (is_segment(fd) &&
	    (getenv("DIE_AFTER_HELLO") == NULL || atomic_load(&hello)) &&
	    is_now("synced"))
		die();
	return r;
}

static int is_submission(int fd)
{
	struct sockaddr_un name = { 0 };
	socklen_t len = sizeof(name) - 1;

	return getsockname(fd, (struct sockaddr *)&name, &len) == 0 &&
	       name.sun_family == AF_UNIX &&
	       strstr(name.sun_path, "/submit.sock") != NULL;
}

ssize_t send(int fd, const void *p, size_t len, int flags)
{
	if (is_submission(fd)) {
		atomic_store(&hello, 1);
		if (is_now("answer"))
			die();
		if (is_now("half")) {
			(void)sendto(fd, p, len / 2, flags, NULL, 0);
			die();
		}
	}
	return sendto(fd, p, len, flags, NULL, 0);
}

int unlinkat(int at, const char *name, int flags)
{
	int r;

	if (is_now("remove"))
		die();
	r = (int)syscall(SYS_unlinkat, at, name, flags);
	if (is_now("removed"))
		die();
	return r;
}
