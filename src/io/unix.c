/*
 * io/unix.c - a listening Unix socket
 *
 * Who wants the path must hold a lock that keeps others of its kind away (the
 * spool's): between looking and binding nothing else does.
 */
#include "io/unix.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Is there somebody?  -EADDRINUSE, or 0 with the old file gone. */
static int clear_path(const struct sockaddr_un *at)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), err = 0;

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)at, sizeof(*at)) == 0)
		err = -EADDRINUSE;
	else if (errno == ECONNREFUSED)
		unlink(at->sun_path);
	close(fd);
	return err;
}

int io_unix_listen(const char *path, mode_t mode, int backlog, int *fd_r)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	size_t len = strlen(path) + 1;
	int fd, err;

	if (len > sizeof(at.sun_path))
		return -ENAMETOOLONG;
	memcpy(at.sun_path, path, len);
	err = clear_path(&at);
	if (err < 0)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    chmod(path, mode) < 0 || listen(fd, backlog) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	*fd_r = fd;
	return 0;
}
