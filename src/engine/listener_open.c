/*
 * engine/listener_open.c - the submission socket and the drop folder, opened
 *
 * The spool's lock has been taken before: nobody else serves this spool.  A
 * socket file that nobody answers on is left from a killed process and goes;
 * one that somebody answers on belongs to another spool's daemon.
 */
#include "engine/listener_private.h"

#include "io/unix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(char *words, size_t size, int err, const char *what,
		const char *path)
{
	snprintf(words, size, "%s %s: %s%s", what, path, strerrordesc_np(-err),
		 err == -EADDRINUSE ? "; stop it, or give this one a runtime "
				      "folder of its own"
				    : "");
	return err;
}

static int open_socket(struct listener *in, char *words, size_t size)
{
	int err;

	snprintf(in->socket_path, sizeof(in->socket_path), "%s/submit.sock",
		 in->set.set->runtime);
	err = io_unix_listen(in->socket_path, 0660, 1024, &in->listen);
	if (err < 0)
		return fail(words, size, err,
			    err == -EADDRINUSE ? "another mtaq serves"
					       : "cannot listen on",
			    in->socket_path);
	return 0;
}

static int open_folder(const char *path, int *fd_r)
{
	/* For the group too, whatever the umask says. */
	if (mkdir(path, 0770) == 0 ? chmod(path, 0770) < 0 : errno != EEXIST)
		return -errno;
	*fd_r = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *fd_r < 0 ? -errno : 0;
}

static int open_drop(struct listener *in, char *words, size_t size)
{
	static const char *const names[] = { "", "/tmp", "/new", "/rejected" };
	char path[4096];
	int fds[4] = { -1, -1, -1, -1 }, err = 0, i;

	for (i = 0; i < 4 && err == 0; i++) {
		snprintf(path, sizeof(path), "%s/incoming%s",
			 in->set.set->spool, names[i]);
		err = open_folder(path, &fds[i]);
	}
	if (fds[0] >= 0)
		close(fds[0]);
	if (fds[1] >= 0)
		close(fds[1]);
	in->drop_new = fds[2];
	in->drop_rejected = fds[3];
	if (err < 0)
		return fail(words, size, err, "cannot open", path);
	return 0;
}

/* Edge triggered: each ring wakes, and nobody has to read it. */
static int watch_bell(struct listener *in)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET,
				  .data.ptr = &in->bell };

	return epoll_ctl(in->epoll, EPOLL_CTL_ADD, in->bell->fd, &ev) < 0
		       ? -errno
		       : 0;
}

void listener_close_socket(struct listener *in)
{
	if (in->listen >= 0) {
		unlink(in->socket_path);
		close(in->listen);
	}
	if (in->epoll >= 0)
		close(in->epoll);
	if (in->drop_new >= 0)
		close(in->drop_new);
	if (in->drop_rejected >= 0)
		close(in->drop_rejected);
}

int listener_new(const struct listener_settings *set, struct bell *bell,
		 char *words, size_t words_size, struct listener **listener_r)
{
	struct listener *in = calloc(1, sizeof(*in));
	int err;

	if (in == NULL)
		return -ENOMEM;
	in->set = *set;
	in->bell = bell;
	in->listen = in->drop_new = in->drop_rejected = -1;
	list_init(&in->sources);
	list_init(&in->busy);
	ingress_large_init(&in->large);
	in->epoll = epoll_create1(EPOLL_CLOEXEC);
	/* The socket first: who finds nobody there uses the folder, and who
	 * uses the folder is found by the scan that comes after. */
	err = open_socket(in, words, words_size);
	if (err == 0)
		err = open_drop(in, words, words_size);
	if (err == 0)
		err = watch_bell(in);
	if (err < 0) {
		listener_free(&in);
		return err;
	}
	*listener_r = in;
	return 0;
}
