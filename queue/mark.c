/*
 * queue/mark.c - the mark of a spool that was exported: DIR/exported
 *
 *	mtaq-exported 1
 *	uuid 32 hexadecimal digits
 *	made S
 *	whole S		0: no whole export was written yet
 *	adopting S	0: nobody began to adopt from the folder
 *
 * Written beside as exported.new, synced, renamed, and the folder synced.  That
 * it is there is what counts: one that cannot be made out still shuts the
 * spool.
 */
#include "mtaq/export.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define PATH_ROOM 4096u
#define TEXT_MAX  256u

static int path_of(const char *dir, const char *name, char path[PATH_ROOM])
{
	int n = snprintf(path, PATH_ROOM, "%s/%s", dir, name);

	return n > 0 && (size_t)n < PATH_ROOM ? 0 : -ENAMETOOLONG;
}

int queue_marked(const char *dir)
{
	char path[PATH_ROOM];
	int err = path_of(dir, QUEUE_MARK_NAME, path);

	if (err < 0)
		return err;
	if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	return errno == ENOENT ? 0 : -errno;
}

static bool parse(const char *text, struct queue_mark *mark)
{
	char hex[33], rest;
	unsigned i;

	if (sscanf(text,
		   "mtaq-exported 1\nuuid %32[0-9a-f]\nmade %" SCNu64
		   "\nwhole %" SCNu64 "\nadopting %" SCNu64 "%c",
		   hex, &mark->made_s, &mark->whole_s, &mark->adopting_s,
		   &rest) != 5 ||
	    rest != '\n' || strlen(hex) != 32)
		return false;
	for (i = 0; i < 16; i++)
		if (sscanf(hex + 2 * i, "%2hhx", &mark->uuid[i]) != 1)
			return false;
	return true;
}

int queue_mark_read(const char *dir, struct queue_mark *mark_r)
{
	char path[PATH_ROOM], text[TEXT_MAX + 1];
	struct queue_mark mark = { .made_s = 0 };
	int fd, err = path_of(dir, QUEUE_MARK_NAME, path);
	ssize_t n;

	if (err < 0)
		return err;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, TEXT_MAX);
	err = n < 0 ? -errno : 0;
	close(fd);
	if (err < 0)
		return err;
	text[n] = '\0';
	if (!parse(text, &mark))
		return -EUCLEAN;
	*mark_r = mark;
	return 0;
}

static int sync_folder(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (fsync(fd) < 0)
		err = -errno;
	close(fd);
	return err;
}

static int write_new(const char *path, const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	int err = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, len);
	if (n < 0)
		err = -errno;
	else if ((size_t)n < len)
		err = -ENOSPC;
	else if (fsync(fd) < 0)
		err = -errno;
	close(fd);
	return err;
}

int queue_mark_write(const char *dir, const struct queue_mark *mark)
{
	char path[PATH_ROOM], new[PATH_ROOM], text[TEXT_MAX], hex[33];
	int n, err = path_of(dir, QUEUE_MARK_NAME, path);
	unsigned i;

	if (err == 0)
		err = path_of(dir, QUEUE_MARK_NAME ".new", new);
	if (err < 0)
		return err;
	for (i = 0; i < 16; i++)
		snprintf(hex + 2 * i, 3, "%02x", mark->uuid[i]);
	n = snprintf(text, sizeof(text),
		     "mtaq-exported 1\nuuid %s\nmade %" PRIu64
		     "\nwhole %" PRIu64 "\nadopting %" PRIu64 "\n",
		     hex, mark->made_s, mark->whole_s, mark->adopting_s);
	err = write_new(new, text, (size_t)n);
	if (err == 0 && rename(new, path) < 0)
		err = -errno;
	return err < 0 ? err : sync_folder(dir);
}

int queue_mark_remove(const char *dir)
{
	char path[PATH_ROOM];
	int err = path_of(dir, QUEUE_MARK_NAME, path);

	if (err == 0 && unlink(path) < 0 && errno != ENOENT)
		err = -errno;
	return err < 0 ? err : sync_folder(dir);
}
