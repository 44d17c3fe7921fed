/*
 * queue/file.c - the system's way to the disk
 */
#include "queue/file.h"

#include "base/bug.h"
#include "queue/touch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PAGE       ((uintptr_t)4096)
#define AHEAD_STEP ((uintptr_t)128 << 10) /* what many a disk reads ahead */
#define TOUCH_MAX  (64u << 10)            /* by more the kernel walks faster */

static int sys_open(void *arg, const char *path, int flags)
{
	int fd;

	(void)arg;
	do
		fd = open(path, flags | O_CLOEXEC, 0600);
	while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : fd;
}

static void sys_close(void *arg, int fd)
{
	(void)arg;
	(void)close(fd);
}

static int sys_mkdir(void *arg, const char *path)
{
	(void)arg;
	return mkdir(path, 0700) < 0 ? -errno : 0;
}

static int sys_sync_dir(void *arg, const char *path)
{
	int fd = sys_open(arg, path, O_RDONLY | O_DIRECTORY), err = 0;

	if (fd < 0)
		return fd;
	if (fsync(fd) < 0)
		err = -errno;
	(void)close(fd);
	return err;
}

static int sys_list(void *arg, const char *path,
		    void (*each)(void *to, const char *name), void *to)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	int err;

	(void)arg;
	if (dir == NULL)
		return -errno;
	for (errno = 0; (e = readdir(dir)) != NULL; errno = 0) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			each(to, e->d_name);
	}
	err = -errno;
	(void)closedir(dir);
	return err;
}

static int64_t sys_pwritev(void *arg, int fd, const struct iovec *iov,
			   int count, uint64_t offset)
{
	ssize_t n;

	(void)arg;
	do
		n = pwritev(fd, iov, count, (off_t)offset);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static int64_t sys_pread(void *arg, int fd, void *p, size_t len,
			 uint64_t offset)
{
	ssize_t n;

	(void)arg;
	do
		n = pread(fd, p, len, (off_t)offset);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* It does not say that anything is durable, nor does it take an error away from
 * the fdatasync that follows. */
static void sys_begin_sync(void *arg, int fd, uint64_t offset, uint64_t len)
{
	(void)arg;
	(void)sync_file_range(fd, (off_t)offset, (off_t)len,
			      SYNC_FILE_RANGE_WRITE);
}

static int sys_sync_data(void *arg, int fd)
{
	(void)arg;
	return fdatasync(fd) < 0 ? -errno : 0;
}

static int sys_sync_file(void *arg, int fd)
{
	(void)arg;
	return fsync(fd) < 0 ? -errno : 0;
}

static int sys_size(void *arg, int fd, uint64_t *bytes_r)
{
	struct stat st;

	(void)arg;
	if (fstat(fd, &st) < 0)
		return -errno;
	*bytes_r = (uint64_t)st.st_size;
	return 0;
}

static int sys_space(void *arg, const char *path, uint64_t *bytes_r)
{
	struct statvfs st;

	(void)arg;
	if (statvfs(path, &st) < 0)
		return -errno;
	*bytes_r = (uint64_t)st.f_bavail * st.f_frsize;
	return 0;
}

static int sys_lock(void *arg, int fd)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	(void)arg;
	if (fcntl(fd, F_OFD_SETLK, &fl) == 0)
		return 0;
	return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

static int sys_map(void *arg, int fd, size_t len, const void **p_r)
{
	void *p = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);

	(void)arg;
	if (p == MAP_FAILED)
		return -errno;
	*p_r = p;
	return 0;
}

static void sys_unmap(void *arg, const void *p, size_t len)
{
	(void)arg;
	(void)munmap((void *)(uintptr_t)p, len);
}

/* Of many pages at once the kernel says EFAULT where a touch would have been a
 * SIGBUS. */
static int sys_populate(void *arg, const void *p, size_t len)
{
	uintptr_t from = (uintptr_t)p & ~(PAGE - 1);
	uintptr_t to = ((uintptr_t)p + len + PAGE - 1) & ~(PAGE - 1);
	int done;

	(void)arg;
	if (len <= TOUCH_MAX)
		return touch_pages(p, len);
	do
		done = madvise((void *)from, to - from, MADV_POPULATE_READ);
	while (done < 0 && errno == EINTR);
	if (done == 0)
		return 0;
	return errno == EFAULT || errno == EHWPOISON ? -EIO : -errno;
}

/* The kernel takes as much of one call as it reads ahead at once, and forgets
 * the rest. */
static void sys_ahead(void *arg, const void *p, size_t len)
{
	uintptr_t from = (uintptr_t)p & ~(PAGE - 1), to = (uintptr_t)p + len;

	(void)arg;
	for (; from < to; from += AHEAD_STEP)
		(void)madvise((void *)from,
			      to - from < AHEAD_STEP ? to - from : AHEAD_STEP,
			      MADV_WILLNEED);
}

const struct queue_file_ops queue_file_system = {
	.open = sys_open,
	.close = sys_close,
	.mkdir = sys_mkdir,
	.sync_dir = sys_sync_dir,
	.list = sys_list,
	.pwritev = sys_pwritev,
	.pread = sys_pread,
	.begin_sync = sys_begin_sync,
	.sync_data = sys_sync_data,
	.sync_file = sys_sync_file,
	.size = sys_size,
	.space = sys_space,
	.lock = sys_lock,
	.map = sys_map,
	.unmap = sys_unmap,
	.populate = sys_populate,
	.ahead = sys_ahead,
};

int queue_file_write(const struct queue_file_ops *file, int fd,
		     struct iovec *iov, int count, uint64_t offset)
{
	while (count > 0) {
		int take = count < IOV_MAX ? count : IOV_MAX;
		int64_t n = file->pwritev(file->arg, fd, iov, take, offset);

		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		offset += (uint64_t)n;
		while (count > 0 && (uint64_t)n >= iov->iov_len) {
			n -= (int64_t)iov->iov_len;
			iov++;
			count--;
		}
		BUG_ON(count == 0 && n != 0);
		if (count > 0) {
			iov->iov_base = (char *)iov->iov_base + n;
			iov->iov_len -= (size_t)n;
		}
	}
	return 0;
}

int queue_file_read(const struct queue_file_ops *file, int fd, void *p,
		    size_t len, uint64_t offset)
{
	while (len > 0) {
		int64_t n = file->pread(file->arg, fd, p, len, offset);

		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		p = (char *)p + n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}
