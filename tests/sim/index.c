/*
 * tests/sim/index.c - the index's file, without system calls
 *
 * LMDB writes it a page or a few at a time, two or three times a commit.  The
 * file lies in memory, so what it would give to the kernel is copied into a
 * mapping of the file: the same octets are in the same place, and its own
 * mapping shows them.  What it asks of another file goes to the kernel.
 */
#include "sim.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS        64u
#define STEP_BYTES (1u << 20) /* by which the file grows */

static struct index_file {
	bool known, own; /* own: has a mapping of its own, to be given back */
	ino_t ino;
	char *map; /* NULL: none could be had */
	off_t size, at;
} files[FDS];

static void make_map(struct index_file *f, int fd)
{
	struct stat st;
	unsigned i;
	void *p;

	*f = (struct index_file){ .known = true, .at = -1 };
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	f->ino = st.st_ino;
	f->size = st.st_size;
	p = mmap(NULL, life.set.queue.index_bytes_max, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (p != MAP_FAILED) {
		f->map = p;
		f->own = true;
		return;
	}
	/* LMDB opens it twice, once only to write the meta page. */
	for (i = 0; i < FDS; i++)
		if (files[i].own && files[i].ino == f->ino)
			f->map = files[i].map;
}

/* The place to copy to; NULL: let the kernel do it. */
static char *place(int fd, off_t at, size_t len)
{
	struct index_file *f = &files[fd];
	off_t end = at + (off_t)len;

	if (fd < 0 || fd >= (int)FDS || at < 0)
		return NULL;
	if (!f->known)
		make_map(f, fd);
	if (f->map == NULL || (uint64_t)end > life.set.queue.index_bytes_max)
		return NULL;
	if (end > f->size) {
		end += STEP_BYTES - end % STEP_BYTES;
		if (ftruncate(fd, end) < 0)
			return NULL;
		f->size = end;
	}
	return f->map + at;
}

ssize_t pwrite(int fd, const void *p, size_t len, off_t at)
{
	char *to = place(fd, at, len);

	if (to == NULL)
		return syscall(SYS_pwrite64, fd, p, len, at);
	memcpy(to, p, len);
	return (ssize_t)len;
}

/* Before a writev() comes one of these. */
off_t lseek(int fd, off_t at, int whence)
{
	if (whence != SEEK_SET || place(fd, at, 0) == NULL)
		return syscall(SYS_lseek, fd, at, whence);
	files[fd].at = at;
	return at;
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
	size_t len = 0;
	char *to;
	int i;

	for (i = 0; i < count; i++)
		len += iov[i].iov_len;
	to = fd >= 0 && fd < (int)FDS && files[fd].known
		     ? place(fd, files[fd].at, len)
		     : NULL;
	if (to == NULL)
		return syscall(SYS_writev, fd, iov, count);
	for (i = 0; i < count; i++) {
		memcpy(to, iov[i].iov_base, iov[i].iov_len);
		to += iov[i].iov_len;
	}
	files[fd].at = -1;
	return (ssize_t)len;
}

static void forget(struct index_file *f)
{
	unsigned i;

	for (i = 0; f->own && i < FDS; i++)
		if (files[i].map == f->map && !files[i].own)
			files[i].known = false; /* asked for again */
	if (f->own)
		(void)munmap(f->map, life.set.queue.index_bytes_max);
	*f = (struct index_file){ .known = false };
}

int close(int fd)
{
	if (fd >= 0 && fd < (int)FDS && files[fd].known)
		forget(&files[fd]);
	return (int)syscall(SYS_close, fd);
}

/* A crash between the pages and the meta page. */
int fdatasync(int fd)
{
	(void)fd;
	life_point();
	world->count.syncs++;
	return 0;
}
