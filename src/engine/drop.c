/*
 * engine/drop.c - the drop folder: submissions left while no daemon ran
 *
 *	incoming/tmp/ID   being written by mtaq submit
 *	incoming/new/ID   whole (renamed); ID is the submission id
 *	incoming/rejected/ID  something in it was refused: for people
 *
 * A file goes when everything in it is answered, and an answer comes only
 * after durability, so a crash in between reads it again: the submission's
 * numbers keep that from doubling anything.
 */
#include "engine/listener_private.h"

#include "ingress/server.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_AT_ONCE 8

static unsigned files_open(const struct listener *in, const char *name,
			   bool *this_one_r)
{
	unsigned n = 0;

	*this_one_r = false;
	LIST_FOR_EACH (l, &in->sources) {
		struct source *s = CONTAINER_OF(l, struct source, all);

		if (s->file == NULL)
			continue;
		n++;
		if (strcmp(s->file, name) == 0)
			*this_one_r = true;
	}
	return n;
}

static void open_one(struct listener *in, const char *name)
{
	struct stat st;
	struct source *s;
	char *copy;
	int fd = openat(in->drop_new, name,
			O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return;
	copy = strdup(name);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || copy == NULL ||
	    (s = listener_add(in, fd, st.st_uid)) == NULL) {
		free(copy);
		close(fd);
		return;
	}
	s->file = copy;
	ingress_conn_may_repeat(s->conn);
}

void drop_scan(struct listener *in)
{
	int fd = openat(in->drop_new, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	bool open_already;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	in->drop_more = false;
	while ((e = readdir(dir)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		in->drop_more = files_open(in, e->d_name, &open_already) >=
				FILES_AT_ONCE;
		if (in->drop_more)
			break;
		if (!open_already)
			open_one(in, e->d_name);
	}
	closedir(dir);
}

/* A file is out of the way: the next ones need not wait for their time. */
static void go_on(struct listener *in)
{
	if (in->drop_more)
		in->next_scan_ms = 0;
}

void drop_finish(struct listener *in, struct source *s)
{
	bool whole = ingress_complete(s->conn);

	if (s->later || ingress_for_now(s->conn) || (in->stopping && !whole)) {
		/* Left for a later scan or life: what was taken is known by
		 * its number then. */
	} else if (whole && ingress_refusals(s->conn) == 0) {
		unlinkat(in->drop_new, s->file, 0);
		fsync(in->drop_new);
		go_on(in);
	} else if (ingress_over(s->conn) || s->gone) {
		fprintf(stderr,
			"mtaq: incoming/new/%s: %s; moved to "
			"incoming/rejected\n",
			s->file,
			ingress_over(s->conn) ? ingress_words(s->conn)
					      : "it has no end");
		renameat(in->drop_new, s->file, in->drop_rejected, s->file);
		fsync(in->drop_rejected);
		fsync(in->drop_new);
		go_on(in);
	}
	free(s->file);
	s->file = NULL;
}
