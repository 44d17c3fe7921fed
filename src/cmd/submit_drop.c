/*
 * cmd/submit_drop.c - mail for a daemon that is not there
 */
#include "cmd/submit_drop.h"

#include "mtaq/export.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct submit_drop {
	int fd, folder; /* the file; spool/incoming */
	struct submit_file *file;
	char tmp[64], new[64];
	bool ended;
};

/*
 * A new folder belongs to whom the spool belongs, and is for the group whatever
 * the umask says: else one that root or a member made shuts the daemon out.
 * By descriptor, since the daemon's user may rename what lies in its spool.
 */
static int share_folder(int at, int folder)
{
	struct stat st;

	if (fchmod(folder, 0770) < 0 || fstat(at, &st) < 0)
		return -errno;
	if (geteuid() == 0 && fchown(folder, st.st_uid, st.st_gid) < 0)
		return -errno;
	return fsync(at) < 0 ? -errno : 0;
}

static int make_folder(int at, const char *name)
{
	int folder, r;

	if (mkdirat(at, name, 0770) < 0)
		return errno == EEXIST ? 0 : -errno;
	folder = openat(at, name,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder < 0)
		return -errno;
	r = share_folder(at, folder);
	close(folder);
	return r;
}

/* spool/incoming with tmp and new in it, made where they are missing. */
static int open_folder(const char *spool, int *fd_r)
{
	int top = open(spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd, r;

	if (top < 0)
		return -errno;
	r = make_folder(top, "incoming");
	fd = openat(top, "incoming", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		r = r < 0 ? r : -errno;
	else
		r = make_folder(fd, "tmp");
	if (r == 0)
		r = make_folder(fd, "new");
	close(top);
	if (r < 0 && fd >= 0)
		close(fd);
	if (r == 0)
		*fd_r = fd;
	return r;
}

/* 0, or -EROFS. */
static int is_exported(const struct submit_drop *d)
{
	if (faccessat(d->folder, "../" QUEUE_MARK_NAME, F_OK,
		      AT_SYMLINK_NOFOLLOW) == 0)
		return -EROFS;
	return errno == ENOENT ? 0 : -errno;
}

int submit_drop_open(const char *spool, const uint8_t *id,
		     struct submit_drop **drop_r)
{
	struct submit_drop *d = calloc(1, sizeof(*d));
	unsigned i;
	int r;

	if (d == NULL)
		return -ENOMEM;
	d->fd = d->folder = -1;
	memcpy(d->tmp, "tmp/", 4);
	memcpy(d->new, "new/", 4);
	for (i = 0; i < SUBMIT_ID_SIZE; i++) {
		(void)snprintf(d->tmp + 4 + 2 * i, 3, "%02x", id[i]);
		(void)snprintf(d->new + 4 + 2 * i, 3, "%02x", id[i]);
	}
	r = open_folder(spool, &d->folder);
	if (r == 0)
		r = is_exported(d);
	if (r == 0) {
		d->fd = openat(d->folder, d->tmp,
			       O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		/* The folder keeps others out; the daemon is another user
		 * and must be able to read, whatever the umask says. */
		r = d->fd < 0 || fchmod(d->fd, 0644) < 0 ? -errno : 0;
	}
	if (r == 0)
		r = submit_file_new(d->fd, id, &d->file);
	if (r < 0) {
		submit_drop_free(&d);
		return r;
	}
	*drop_r = d;
	return 0;
}

int submit_drop_put(struct submit_drop *d, const struct submit_message *msg)
{
	return submit_file_put(d->file, msg);
}

static int sync_folder(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	r = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return r;
}

static void knock(const char *path)
{
	struct submit_options opt = { .path = path, .timeout_ms = 1000 };
	struct submit *s;

	if (submit_new(&opt, &s) == 0)
		submit_free(&s);
}

int submit_drop_end(struct submit_drop *d, const char *socket_path)
{
	int r = submit_file_end(d->file);

	if (r == 0 && fsync(d->fd) < 0)
		r = -errno;
	if (r == 0)
		r = sync_folder(d->folder, ".");
	if (r == 0 && renameat(d->folder, d->tmp, d->folder, d->new) < 0)
		r = -errno;
	if (r < 0)
		return r;
	d->ended = true;
	r = sync_folder(d->folder, "new");
	/* `mtaq export` looks here after it has set its mark, and we look for
	 * the mark now: one of the two sees the other. */
	if (r == 0)
		r = is_exported(d);
	/* Not certain to survive a power cut, or nobody will read it: take it
	 * back, unless the daemon has it already. */
	if (r < 0 && unlinkat(d->folder, d->new, 0) < 0 && errno == ENOENT)
		r = 0;
	if (r == 0)
		knock(socket_path);
	return r;
}

void submit_drop_free(struct submit_drop **drop)
{
	struct submit_drop *d = *drop;

	*drop = NULL;
	if (d == NULL)
		return;
	submit_file_free(&d->file);
	if (d->fd >= 0)
		close(d->fd);
	if (d->fd >= 0 && !d->ended)
		(void)unlinkat(d->folder, d->tmp, 0);
	if (d->folder >= 0)
		close(d->folder);
	free(d);
}
