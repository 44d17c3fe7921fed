/*
 * tests/sim/disk.c - the disk of the segments, in memory
 *
 * A file is two images: what reads and mappings show, and what is on the
 * platter.  A write dirties sectors, a sync brings them over.  When the power
 * goes each dirty sector by itself is either brought over or lost, or those
 * that were written first are, or those written last, or all but headers: that
 * drops, tears and reorders.  Names without a synced directory may vanish.
 */
#include "sim.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define SECTOR       512u
#define FILE_BYTES   (1u << 20) /* at most */
#define HEAD_SECTORS 8u         /* of a segment: a page */

struct file {
	char path[96];
	bool used, named; /* named: its name is on the platter */
	bool locked;
	uint64_t size, synced_size;
	uint32_t low, high; /* dirty sectors are in here */
	uint32_t writes;    /* since the last sync */
	uint32_t blank;     /* from here on both images are zeros */
};

static struct disk {
	uint32_t bytes; /* of a file at most */
	uint32_t used;
	int top; /* files from here on were never used */
	struct file files[FILES];
} * disk;
static char *shown, *platter;
static uint8_t *dirty; /* a sector each: by which write since the sync */

static size_t sectors(void)
{
	return disk->bytes / SECTOR;
}

static char *image(char *of, int fd)
{
	return of + (size_t)fd * disk->bytes;
}

static void clear(int fd)
{
	memset(image(shown, fd), 0, disk->files[fd].blank);
	memset(image(platter, fd), 0, disk->files[fd].blank);
	disk->files[fd].blank = 0;
}

/* The seeds of a process have the same memory, one after the other: what one
 * has written is cleared, which takes less than memory from the kernel. */
void disk_new(uint32_t segment_bytes)
{
	int i;

	BUG_ON(segment_bytes > FILE_BYTES);
	if (disk == NULL) {
		disk = sim_shared(sizeof(*disk));
		shown = sim_shared((size_t)FILES * FILE_BYTES);
		platter = sim_shared((size_t)FILES * FILE_BYTES);
		dirty = sim_shared(FILES * (FILE_BYTES / SECTOR));
	}
	for (i = 0; i < disk->top; i++)
		clear(i);
	memset(dirty, 0, (size_t)disk->top * sectors());
	memset(disk, 0, sizeof(*disk));
	disk->bytes = segment_bytes;
}

static int d_open(void *arg, const char *path, int flags)
{
	int i, none = -1;

	(void)arg;
	for (i = 0; i < disk->top; i++) {
		if (!disk->files[i].used && none < 0)
			none = i;
		if (disk->files[i].used &&
		    strcmp(disk->files[i].path, path) == 0)
			return i;
	}
	if ((flags & O_CREAT) == 0)
		return -ENOENT;
	if (none < 0 && disk->top < (int)FILES)
		none = disk->top++;
	if (none < 0 || strlen(path) >= sizeof(disk->files[0].path))
		return -ENOSPC;
	disk->files[none] =
		(struct file){ .used = true, .low = (uint32_t)sectors() };
	disk->used++;
	(void)snprintf(disk->files[none].path, sizeof(disk->files[0].path),
		       "%s", path);
	return none;
}

static void d_close(void *arg, int fd)
{
	(void)arg;
	(void)fd;
}

static int d_mkdir(void *arg, const char *path)
{
	(void)arg;
	return mkdir(path, 0700) < 0 ? -errno : 0;
}

static int d_sync_dir(void *arg, const char *path)
{
	int i;

	(void)arg;
	life_point();
	life_pass(below(world->plan.sync_us) + 1);
	life_point(); /* others have had turns, and it is not done */
	world->count.syncs++;
	for (i = 0; i < disk->top; i++)
		if (disk->files[i].used &&
		    strncmp(disk->files[i].path, path, strlen(path)) == 0)
			disk->files[i].named = true;
	life_point();
	return 0;
}

static int d_list(void *arg, const char *path,
		  void (*each)(void *to, const char *name), void *to)
{
	size_t len = strlen(path);
	int i;

	(void)arg;
	for (i = 0; i < disk->top; i++)
		if (disk->files[i].used &&
		    strncmp(disk->files[i].path, path, len) == 0 &&
		    disk->files[i].path[len] == '/' &&
		    strchr(disk->files[i].path + len + 1, '/') == NULL)
			each(to, disk->files[i].path + len + 1);
	return 0;
}

/* A page that is read first comes with fifteen beside it, one that is written
 * first comes alone; and each life has to ask for all of them. */
static char *for_writing(char *p)
{
	(void)*(volatile char *)p;
	return p;
}

static void bring_over(int fd, uint32_t sector)
{
	size_t at = (size_t)sector * SECTOR;

	if (at >= disk->files[fd].blank)
		return;
	memcpy(for_writing(image(platter, fd) + at), image(shown, fd) + at,
	       SECTOR);
}

static bool is_zeros(const char *p, size_t len)
{
	return len == 0 || (*p == '\0' && memcmp(p, p + 1, len - 1) == 0);
}

/* Segments are made of zeros: those are there already, and where nothing else
 * follows they take no memory. */
static void show(int fd, const struct iovec *iov, uint64_t at)
{
	struct file *f = &disk->files[fd];
	uint64_t end = at + iov->iov_len;

	BUG_ON(end > disk->bytes);
	if (at >= f->blank && is_zeros(iov->iov_base, iov->iov_len))
		return;
	memcpy(for_writing(image(shown, fd) + at), iov->iov_base, iov->iov_len);
	f->blank = end > f->blank ? (uint32_t)end : f->blank;
}

static int64_t d_pwritev(void *arg, int fd, const struct iovec *iov, int count,
			 uint64_t offset)
{
	struct file *f = &disk->files[fd];
	uint8_t *d = dirty + (size_t)fd * sectors();
	uint64_t at = offset;
	uint32_t first, last;
	int i;

	(void)arg;
	for (i = 0; i < count; i++) {
		show(fd, &iov[i], at);
		at += iov[i].iov_len;
	}
	if (at == offset)
		return 0;
	first = (uint32_t)(offset / SECTOR);
	last = (uint32_t)((at - 1) / SECTOR);
	f->writes += f->writes < UINT8_MAX;
	memset(d + first, (int)f->writes, last - first + 1);
	f->low = first < f->low ? first : f->low;
	f->high = last + 1 > f->high ? last + 1 : f->high;
	f->size = at > f->size ? at : f->size;
	return (int64_t)(at - offset);
}

static int64_t d_pread(void *arg, int fd, void *p, size_t len, uint64_t offset)
{
	uint64_t size = disk->files[fd].size;

	(void)arg;
	if (offset >= size)
		return 0;
	if (len > size - offset)
		len = size - offset;
	memcpy(p, image(shown, fd) + offset, len);
	return (int64_t)len;
}

static int d_sync(void *arg, int fd)
{
	struct file *f = &disk->files[fd];
	uint8_t *d = dirty + (size_t)fd * sectors();
	uint32_t i;

	(void)arg;
	life_point();
	life_pass(below(world->plan.sync_us) + 1);
	/* A header (not zeros): all that follows hangs on it. */
	if (d[0] != 0 && d[sectors() - 1] == 0)
		life_head_point();
	life_point(); /* others have had turns, and it is not done */
	world->count.syncs++;
	for (i = f->low; i < f->high; i++) {
		if (d[i] == 0)
			continue;
		bring_over(fd, i);
		d[i] = 0;
	}
	f->low = (uint32_t)sectors();
	f->high = f->writes = 0;
	f->synced_size = f->size;
	life_point();
	return 0;
}

static int d_size(void *arg, int fd, uint64_t *bytes_r)
{
	(void)arg;
	*bytes_r = disk->files[fd].size;
	return 0;
}

static int d_space(void *arg, const char *path, uint64_t *bytes_r)
{
	(void)arg;
	(void)path;
	*bytes_r = (uint64_t)(FILES - disk->used) * disk->bytes;
	return 0;
}

static int d_lock(void *arg, int fd)
{
	(void)arg;
	(void)fd;
	return 0;
}

static int d_map(void *arg, int fd, size_t len, const void **p_r)
{
	(void)arg;
	(void)len;
	*p_r = image(shown, fd);
	return 0;
}

static void d_unmap(void *arg, const void *p, size_t len)
{
	(void)arg;
	(void)p;
	(void)len;
}

static int d_populate(void *arg, const void *p, size_t len)
{
	(void)arg;
	(void)p;
	(void)len;
	return 0;
}

const struct queue_file_ops *disk_sim(void)
{
	static const struct queue_file_ops ops = {
		.open = d_open,
		.close = d_close,
		.mkdir = d_mkdir,
		.sync_dir = d_sync_dir,
		.list = d_list,
		.pwritev = d_pwritev,
		.pread = d_pread,
		.sync_data = d_sync,
		.sync_file = d_sync,
		.size = d_size,
		.space = d_space,
		.lock = d_lock,
		.map = d_map,
		.unmap = d_unmap,
		.populate = d_populate,
	};

	return &ops;
}

/* What a disk has written of what nobody waited for. */
struct luck {
	enum {
		LUCK_ANY,
		LUCK_FIRST, /* in order, until the power went */
		LUCK_LAST,  /* the other way round */
		LUCK_BODY   /* all but the headers */
	} order;
	uint32_t kept; /* ANY: of a hundred; else the write at which it ends */
};

static bool is_kept(const struct luck *l, uint32_t sector, uint32_t write)
{
	switch (l->order) {
	case LUCK_FIRST:
		return write <= l->kept;
	case LUCK_LAST:
		return write > l->kept;
	case LUCK_BODY:
		return sector >= HEAD_SECTORS;
	default:
		return below(100) < l->kept;
	}
}

static void lose(int fd, const struct luck *l)
{
	struct file *f = &disk->files[fd];
	uint8_t *d = dirty + (size_t)fd * sectors();
	uint32_t i;

	for (i = f->low; i < f->high; i++) {
		size_t at = (size_t)i * SECTOR;

		if (d[i] == 0)
			continue;
		if (is_kept(l, i, d[i]))
			bring_over(fd, i);
		else if (at < f->blank)
			memcpy(image(shown, fd) + at, image(platter, fd) + at,
			       SECTOR);
		d[i] = 0;
	}
	f->low = (uint32_t)sectors();
	f->high = f->writes = 0;
	if (f->size > f->synced_size && l->kept < 100)
		f->size = f->synced_size +
			  below(f->size - f->synced_size + 1) / SECTOR * SECTOR;
	f->synced_size = f->size;
}

static struct luck luck(void)
{
	static const uint32_t kept[] = { 0, 50, 90, 100 };

	if (chance(150))
		return (struct luck){ LUCK_BODY, 100 };
	if (chance(600))
		return (struct luck){ LUCK_ANY, kept[below(ARRAY_LEN(kept))] };
	return (struct luck){ chance(500) ? LUCK_FIRST : LUCK_LAST,
			      (uint32_t)some(8) };
}

void disk_crash(bool keep)
{
	struct luck l = luck();
	int i;

	if (keep)
		return; /* still in the cache, and not on the platter */
	for (i = 0; i < disk->top; i++) {
		struct file *f = &disk->files[i];

		if (!f->used)
			continue;
		lose(i, &l);
		if (f->named || is_kept(&l, 0, 1)) {
			f->named = true;
			continue;
		}
		clear(i);
		f->used = false;
		disk->used--;
	}
}
