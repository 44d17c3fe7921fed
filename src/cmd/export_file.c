/*
 * cmd/export_file.c - frames into a file, or standard output
 *
 * Written as FILE.part, synced, and renamed with its END frame in it: what has
 * the name FILE is whole.
 */
#include "cmd/export.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BUFFER (1u << 20)

struct export_file {
	int fd;
	char *path, *part; /* NULL: standard output */
	uint64_t number;   /* of the next frame */
	struct buf out;
};

static int flush(struct export_file *f)
{
	size_t at = 0;
	ssize_t n;

	while (at < f->out.len) {
		n = write(f->fd, f->out.p + at, f->out.len - at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += (size_t)n;
	}
	buf_clear(&f->out);
	return 0;
}

static int open_part(struct export_file *f, const char *path)
{
	struct stat st;

	f->path = strdup(path);
	if (f->path == NULL || asprintf(&f->part, "%s.part", path) < 0)
		return -ENOMEM;
	if (lstat(path, &st) == 0)
		return -EEXIST;
	/* It holds people's mail. */
	f->fd = open(f->part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	return f->fd < 0 ? -errno : 0;
}

int export_file_open(const char *path, struct export_file **file_r)
{
	struct export_file *f = calloc(1, sizeof(*f));
	char magic[TRANSFER_MAGIC_SIZE];
	int err = 0;

	if (f == NULL)
		return -ENOMEM;
	f->fd = STDOUT_FILENO;
	buf_init(&f->out, 2 * FILE_BUFFER + TRANSFER_FRAME_MAX);
	if (strcmp(path, "-") != 0)
		err = open_part(f, path);
	transfer_magic_put(magic);
	if (err == 0)
		err = buf_add(&f->out, magic, sizeof(magic));
	if (err < 0) {
		export_file_close(&f);
		return err;
	}
	*file_r = f;
	return 0;
}

int export_file_put(void *file, const struct transfer_frame *frame)
{
	struct export_file *f = file;
	char head[TRANSFER_HEAD_SIZE];

	transfer_head_put(frame->type, f->number++, frame->payload, head);
	buf_add(&f->out, head, sizeof(head));
	buf_add_span(&f->out, frame->payload);
	if (f->out.failed < 0)
		return f->out.failed;
	return f->out.len < FILE_BUFFER ? 0 : flush(f);
}

static int sync_folder_of(const char *path)
{
	char *copy = strdup(path);
	int fd, err = 0;

	if (copy == NULL)
		return -ENOMEM;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(copy);
	if (fd < 0)
		return -errno;
	if (fsync(fd) < 0)
		err = -errno;
	close(fd);
	return err;
}

int export_file_finish(struct export_file *f)
{
	int err = flush(f);

	if (err < 0)
		return err;
	if (f->path == NULL) /* a pipe cannot be synced; a file can */
		return fsync(f->fd) < 0 && errno != EINVAL && errno != EROFS
			       ? -errno
			       : 0;
	if (fsync(f->fd) < 0 || rename(f->part, f->path) < 0)
		return -errno;
	free(f->part);
	f->part = NULL;
	return sync_folder_of(f->path);
}

void export_file_close(struct export_file **file)
{
	struct export_file *f = *file;

	*file = NULL;
	if (f == NULL)
		return;
	if (f->path != NULL && f->fd >= 0 && f->fd != STDOUT_FILENO)
		close(f->fd);
	if (f->part != NULL && f->fd >= 0 && f->fd != STDOUT_FILENO)
		(void)unlink(f->part);
	free(f->path);
	free(f->part);
	buf_free(&f->out);
	free(f);
}
