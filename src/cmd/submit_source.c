/*
 * cmd/submit_source.c - where messages come from
 *
 *	folder	its files *.eml by name; when there are none, every file in
 *		it, those with a leading dot left out
 *	mbox	a file or stream that begins with "From " (a file *.eml is one
 *		message whatever its first line), read piece by piece
 *	else	one message
 */
#include "cmd/submit.h"
#include "mail/mbox.h"
#include "mtaq/queue.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#define STEP    (256u << 10)
#define ONE_MAX (QUEUE_CONTENT_MAX + (1u << 20)) /* never more in memory */

struct reader {
	struct submit_run *run;
	const char *name;
	int fd;
	uint64_t size; /* of a regular file; 0: not known */
	struct buf in; /* read, not used up */
	bool end;
	struct buf message; /* of an mbox */
	uint64_t n;
};

/* One more piece; 0 or a negative errno. */
static int more(struct reader *r)
{
	int e = buf_reserve(&r->in, STEP);
	ssize_t n;

	if (e < 0)
		return e;
	do {
		n = read(r->fd, r->in.p + r->in.len, STEP);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	r->in.len += (size_t)n;
	r->end = n == 0;
	return 0;
}

static int take_event(struct reader *r, enum mbox_event what, struct span s)
{
	if (what == MBOX_BEGIN) {
		buf_clear(&r->message);
		r->n++;
		return EX_OK;
	}
	if (what == MBOX_TEXT) {
		(void)buf_add_span(&r->message, s);
		return EX_OK;
	}
	if (r->message.failed == -EMSGSIZE) {
		submit_run_too_large(r->run, r->name, r->n, 0);
		return EX_OK;
	}
	if (r->message.failed < 0) {
		submit_run_unreadable(r->run, r->name, r->message.failed);
		return EX_OK;
	}
	return submit_run_message(r->run, r->name, r->n, buf_span(&r->message));
}

static int read_mbox(struct reader *r)
{
	enum mbox_event what;
	struct span input, s;
	struct mbox m;
	int e = 0, code = EX_OK;

	mbox_init(&m, true);
	buf_init(&r->message, ONE_MAX);
	while (e == 0 && code == EX_OK) {
		input = buf_span(&r->in);
		while (code == EX_OK &&
		       (what = mbox_next(&m, &input, r->end, &s)) !=
			       MBOX_MORE &&
		       what != MBOX_BROKEN)
			code = take_event(r, what, s);
		if (r->end || code != EX_OK)
			break;
		buf_shift(&r->in, r->in.len - input.len);
		e = more(r);
	}
	buf_free(&r->message);
	if (e < 0)
		submit_run_unreadable(r->run, r->name, e);
	return code;
}

static int read_one(struct reader *r)
{
	uint64_t most = submit_run_size_max(r->run);
	int e = 0;

	if (r->size > most) {
		submit_run_too_large(r->run, r->name, 0, r->size);
		return EX_OK;
	}
	while (e == 0 && !r->end && r->in.len <= most)
		e = more(r);
	if (r->in.len > most) {
		submit_run_too_large(r->run, r->name, 0, 0);
		return EX_OK;
	}
	if (e < 0) {
		submit_run_unreadable(r->run, r->name, e);
		return EX_OK;
	}
	return submit_run_message(r->run, r->name, 0, buf_span(&r->in));
}

static int read_fd(struct submit_run *run, const char *name, int fd, bool eml)
{
	struct reader r = { .run = run, .name = name, .fd = fd };
	int e = 0, code = EX_OK;
	struct stat st;

	if (fd != STDIN_FILENO && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		r.size = (uint64_t)st.st_size;

	buf_init(&r.in, ONE_MAX);
	while (e == 0 && !r.end && r.in.len < 5)
		e = more(&r);
	if (e < 0)
		submit_run_unreadable(run, name, e);
	else if (!eml && r.in.len >= 5 && memcmp(r.in.p, "From ", 5) == 0)
		code = read_mbox(&r);
	else
		code = read_one(&r);
	buf_free(&r.in);
	return code;
}

static int visible(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static int is_eml(const struct dirent *d)
{
	return visible(d) &&
	       span_ends_nocase(span_str(d->d_name), SPAN(".eml"));
}

static int read_folder(struct submit_run *run, const char *path)
{
	struct dirent **all = NULL;
	int n = scandir(path, &all, is_eml, alphasort), i, code = EX_OK;
	bool any = false;
	struct stat st;
	char *name;

	if (n == 0) {
		free(all);
		n = scandir(path, &all, visible, alphasort);
	}
	if (n < 0)
		submit_run_unreadable(run, path, -errno);
	for (i = 0; i < n; i++) {
		if (code == EX_OK &&
		    asprintf(&name, "%s/%s", path, all[i]->d_name) > 0) {
			/* What cannot be looked at is told of by its open. */
			if (stat(name, &st) < 0 || S_ISREG(st.st_mode)) {
				code = submit_source(run, name);
				any = true;
			}
			free(name);
		}
		free(all[i]);
	}
	free(all);
	if (n >= 0 && !any)
		submit_run_nothing_in(run, path);
	return code;
}

int submit_source(struct submit_run *run, const char *path)
{
	struct stat st;
	int fd, code;

	if (strcmp(path, "-") == 0)
		return read_fd(run, "standard input", STDIN_FILENO, false);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		submit_run_unreadable(run, path, -errno);
		if (fd >= 0)
			close(fd);
		return EX_OK;
	}
	if (S_ISDIR(st.st_mode))
		code = read_folder(run, path);
	else
		code = read_fd(run, path, fd,
			       span_ends_nocase(span_str(path), SPAN(".eml")));
	close(fd);
	return code;
}
