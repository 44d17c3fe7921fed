/*
 * tests/unit/qfile.c - a disk that loses power and fails on request
 */
#include "qfile.h"

#include "base/bug.h"
#include "base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FDS    1024
#define SECTOR 512u
#define MAPS   FDS
#define PAGE   4096u

struct undo { /* newest first */
	struct undo *next;
	char *path;
	bool made;   /* the file itself is new */
	bool doomed; /* its sync failed: no later one saves it */
	uint64_t offset;
	size_t len;
	char old[];
};

struct qfile {
	struct queue_file_ops ops;
	char *paths[FDS];
	struct undo *undo;
	uint64_t calls[QFILE_OPS], space;
	struct qmap {
		const char *p;
		size_t len;
		char *path;
	} maps[MAPS];
	char *bad_path;
	uint64_t bad_page;
	int fail_in[QFILE_OPS], fail_more[QFILE_OPS], fail_err[QFILE_OPS];
};

#define SYS (&queue_file_system)

/* 0, or what this call is to fail with. */
static int due(struct qfile *f, enum qfile_op op)
{
	f->calls[op]++;
	if (f->fail_in[op] == 0)
		return 0;
	if (f->fail_in[op] > 1) {
		f->fail_in[op]--;
		return 0;
	}
	if (f->fail_more[op]-- == 0)
		f->fail_in[op] = 0;
	return f->fail_err[op];
}

static struct undo *add(struct qfile *f, const char *path, uint64_t offset,
			size_t len)
{
	struct undo *u = calloc(1, sizeof(*u) + len);

	BUG_ON(u == NULL);
	u->path = strdup(path);
	u->offset = offset;
	u->len = len;
	u->next = f->undo;
	f->undo = u;
	return u;
}

static void forget(struct qfile *f, const char *path, bool made)
{
	struct undo **at = &f->undo, *u;

	while ((u = *at) != NULL) {
		if (u->made != made || (u->doomed && path[0] != '\0') ||
		    strncmp(u->path, path, strlen(path)) != 0) {
			at = &u->next;
			continue;
		}
		*at = u->next;
		free(u->path);
		free(u);
	}
}

static int q_open(void *arg, const char *path, int flags)
{
	struct qfile *f = arg;
	bool there = access(path, F_OK) == 0;
	int fd, err = due(f, QFILE_OPEN);

	if (err < 0)
		return err;
	fd = SYS->open(NULL, path, flags);
	if (fd < 0)
		return fd;
	BUG_ON(fd >= FDS);
	f->paths[fd] = strdup(path);
	if (!there)
		add(f, path, 0, 0)->made = true;
	return fd;
}

static void q_close(void *arg, int fd)
{
	struct qfile *f = arg;

	free(f->paths[fd]);
	f->paths[fd] = NULL;
	SYS->close(NULL, fd);
}

static int q_mkdir(void *arg, const char *path)
{
	(void)arg;
	return SYS->mkdir(NULL, path);
}

static int q_sync_dir(void *arg, const char *path)
{
	int err = due(arg, QFILE_SYNC);

	if (err == 0)
		forget(arg, path, true);
	return err;
}

static int q_list(void *arg, const char *path,
		  void (*each)(void *to, const char *name), void *to)
{
	(void)arg;
	return SYS->list(NULL, path, each, to);
}

static int64_t q_pwritev(void *arg, int fd, const struct iovec *iov, int count,
			 uint64_t offset)
{
	struct qfile *f = arg;
	struct undo *u;
	size_t len = 0, half;
	int64_t n;
	int i, err = due(f, QFILE_PWRITEV);

	for (i = 0; i < count; i++)
		len += iov[i].iov_len;
	u = add(f, f->paths[fd], offset, len);
	n = SYS->pread(NULL, fd, u->old, len, offset); /* the rest is zeros */
	BUG_ON(n < 0);
	if (err == 0)
		return SYS->pwritev(NULL, fd, iov, count, offset);
	for (i = 0, half = len / 2; i < count && half > 0; i++) {
		size_t take = iov[i].iov_len < half ? iov[i].iov_len : half;

		BUG_ON(pwrite(fd, iov[i].iov_base, take, (off_t)offset) !=
		       (ssize_t)take);
		offset += take;
		half -= take;
	}
	return err;
}

static int64_t q_pread(void *arg, int fd, void *p, size_t len, uint64_t offset)
{
	(void)arg;
	return SYS->pread(NULL, fd, p, len, offset);
}

/* What a sync has made durable over a doomed write stays there. */
static void redeem(int fd, const struct undo *synced)
{
	struct undo *u = synced->next;

	for (; u != NULL; u = u->next) {
		uint64_t from = u->offset, to = u->offset + u->len;

		if (!u->doomed || strcmp(u->path, synced->path) != 0)
			continue;
		if (from < synced->offset)
			from = synced->offset;
		if (to > synced->offset + synced->len)
			to = synced->offset + synced->len;
		if (from < to)
			BUG_ON(SYS->pread(NULL, fd, u->old + (from - u->offset),
					  to - from, from) < 0);
	}
}

/* After a failed sync what it was to write is neither here nor there: the
 * cache shows it and calls it clean.  It stays for a crash to take, and no
 * later sync saves it unless it is written again. */
static int q_sync(void *arg, int fd)
{
	struct qfile *f = arg;
	int err = due(f, QFILE_SYNC);
	struct undo *u;

	if (err == 0) {
		for (u = f->undo; u != NULL; u = u->next) {
			if (!u->made && !u->doomed &&
			    strcmp(u->path, f->paths[fd]) == 0)
				redeem(fd, u);
		}
		forget(f, f->paths[fd], false);
		return 0;
	}
	for (u = f->undo; u != NULL; u = u->next) {
		if (!u->made && strcmp(u->path, f->paths[fd]) == 0)
			u->doomed = true;
	}
	return err;
}

static int q_size(void *arg, int fd, uint64_t *bytes_r)
{
	(void)arg;
	return SYS->size(NULL, fd, bytes_r);
}

static int q_space(void *arg, const char *path, uint64_t *bytes_r)
{
	struct qfile *f = arg;

	if (f->space == UINT64_MAX)
		return SYS->space(NULL, path, bytes_r);
	*bytes_r = f->space;
	return 0;
}

static int q_lock(void *arg, int fd)
{
	(void)arg;
	return SYS->lock(NULL, fd);
}

static struct qmap *map_of(struct qfile *f, const char *p)
{
	struct qmap *m = f->maps;

	while (m < f->maps + MAPS && (p < m->p || p >= m->p + m->len))
		m++;
	return m < f->maps + MAPS ? m : NULL;
}

static int q_map(void *arg, int fd, size_t len, const void **p_r)
{
	struct qfile *f = arg;
	struct qmap *m = f->maps;
	int err = SYS->map(NULL, fd, len, p_r);

	if (err < 0)
		return err;
	while (m->p != NULL)
		BUG_ON(++m == f->maps + MAPS);
	*m = (struct qmap){ *p_r, len, strdup(f->paths[fd]) };
	BUG_ON(mprotect((void *)(uintptr_t)*p_r, len, PROT_NONE) < 0);
	return 0;
}

static void q_unmap(void *arg, const void *p, size_t len)
{
	struct qmap *m = map_of(arg, p);

	free(m->path);
	*m = (struct qmap){ .p = NULL };
	SYS->unmap(NULL, p, len);
}

static int q_populate(void *arg, const void *p, size_t len)
{
	struct qfile *f = arg;
	struct qmap *m = map_of(f, p);
	uint64_t from = (uint64_t)((const char *)p - m->p) & ~(PAGE - 1ull);
	uint64_t to = (uint64_t)((const char *)p - m->p) + len;
	int err = due(f, QFILE_POPULATE);

	if (err < 0)
		return err;
	if (f->bad_path != NULL && strcmp(f->bad_path, m->path) == 0 &&
	    from <= f->bad_page && f->bad_page < to)
		return -EIO;
	BUG_ON(mprotect((void *)(uintptr_t)(m->p + from), to - from,
			PROT_READ) < 0);
	return SYS->populate(NULL, p, len);
}

struct qfile *qfile_new(void)
{
	struct qfile *f = calloc(1, sizeof(*f));

	BUG_ON(f == NULL);
	f->space = UINT64_MAX;
	f->ops = (struct queue_file_ops){
		.arg = f,
		.open = q_open,
		.close = q_close,
		.mkdir = q_mkdir,
		.sync_dir = q_sync_dir,
		.list = q_list,
		.pwritev = q_pwritev,
		.pread = q_pread,
		.sync_data = q_sync,
		.sync_file = q_sync,
		.size = q_size,
		.space = q_space,
		.lock = q_lock,
		.map = q_map,
		.unmap = q_unmap,
		.populate = q_populate,
	};
	return f;
}

void qfile_free(struct qfile **f)
{
	forget(*f, "", true);
	forget(*f, "", false);
	qfile_spoil(*f, NULL, 0);
	free(*f);
	*f = NULL;
}

const struct queue_file_ops *qfile_ops(struct qfile *f)
{
	return &f->ops;
}

void qfile_fail(struct qfile *f, enum qfile_op op, int nth, int more, int err)
{
	f->fail_in[op] = nth;
	f->fail_more[op] = more;
	f->fail_err[op] = err;
}

void qfile_stop(struct qfile *f, enum qfile_op op, int nth)
{
	qfile_fail(f, op, nth, INT_MAX, -EIO);
}

void qfile_spoil(struct qfile *f, const char *path, uint64_t offset)
{
	free(f->bad_path);
	f->bad_path = path == NULL ? NULL : strdup(path);
	f->bad_page = offset - offset % PAGE;
}

void qfile_set_space(struct qfile *f, uint64_t bytes)
{
	f->space = bytes;
}

uint64_t qfile_calls(const struct qfile *f, enum qfile_op op)
{
	return f->calls[op];
}

/* Take back the sectors of one write that the crash lost. */
static void lose(const struct undo *u, enum qfile_loss loss, uint64_t *seed)
{
	uint64_t at, end = u->offset + u->len, next;
	int fd = open(u->path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return; /* its name is lost already */
	for (at = u->offset; at < end; at = next) {
		next = (at / SECTOR + 1) * SECTOR;
		if (next > end)
			next = end;
		*seed = hash_u64(*seed + 1);
		if (loss == QFILE_LOSE_RANDOM && *seed % 2 == 0)
			continue;
		BUG_ON(pwrite(fd, u->old + (at - u->offset), next - at,
			      (off_t)at) != (ssize_t)(next - at));
	}
	(void)close(fd);
}

void qfile_crash(struct qfile *f, enum qfile_loss loss, uint64_t seed)
{
	struct undo *u;

	memset(f->fail_in, 0, sizeof(f->fail_in));
	for (u = f->undo; u != NULL && loss != QFILE_LOSE_NONE; u = u->next) {
		if (!u->made) {
			lose(u, loss, &seed);
			continue;
		}
		seed = hash_u64(seed + 1);
		if (loss == QFILE_LOSE_ALL || seed % 2 == 0)
			(void)unlink(u->path);
	}
	if (loss == QFILE_LOSE_NONE)
		return; /* still only in the cache */
	forget(f, "", true);
	forget(f, "", false);
}
