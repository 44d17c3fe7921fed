/*
 * queue/segment.c - one segment file: header, making, mapping, searching
 *
 * The header stands twice in the first page, in sectors far apart, and is
 * written by one write: a torn write leaves one of them whole, old or new.
 * A file that never got so far as a header is unfinished and is made again;
 * a header that is neither whole nor empty is damage: such a file is left
 * alone, because what it held may be the only copy of somebody's mail.
 *
 * What is in the log is mapped while a descriptor of it is open anyway, so that
 * reading never needs one.
 */
#include "queue/segment.h"

#include "base/bug.h"
#include "base/crc32c.h"
#include "queue/record.h"
#include "queue/segment_head.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define SCAN_STEP 4096u /* a page: what an unreadable disk costs at once */
#define ZEROS     (64u << 10)
#define AT_ONCE   8 /* of them in one write: 512 KiB, see write_zeros() */

static const char zeros[ZEROS];

bool segment_path(const struct segments *set, const struct segment *seg,
		  char *path, size_t size)
{
	int n = snprintf(path, size, "%s/seg-%08x", set->dir, seg->number);

	return n > 0 && (size_t)n < size;
}

int segment_file_open(const struct segments *set, const struct segment *seg,
		      int flags)
{
	char path[4096];

	if (!segment_path(set, seg, path, sizeof(path)))
		return -ENAMETOOLONG;
	return set->file->open(set->file->arg, path, flags);
}

static uint32_t head_crc(const struct segment_head *h)
{
	return crc32c(0, h, offsetof(struct segment_head, crc));
}

/* Both copies, in the one page that they share. */
static int write_head(struct segments *set, int fd, struct segment_head h)
{
	char page[SEGMENT_HEAD] = { 0 };
	struct iovec iov = { page, sizeof(page) };
	int err;

	memcpy(h.magic, SEGMENT_MAGIC, sizeof(h.magic));
	h.version = SEGMENT_VERSION;
	h.bytes = set->bytes;
	h.crc = head_crc(&h);
	memcpy(page, &h, sizeof(h));
	memcpy(page + SEGMENT_HEAD_COPY, &h, sizeof(h));
	err = queue_file_write(set->file, fd, &iov, 1, 0);
	if (err < 0)
		return err;
	return set->file->sync_data(set->file->arg, fd);
}

bool segment_head_ok(const struct segment_head *h)
{
	return memcmp(h->magic, SEGMENT_MAGIC, sizeof(h->magic)) == 0 &&
	       h->crc == head_crc(h);
}

/*
 * A kernel that keeps a file in large folios (ext4: Linux 6.16) makes one of each
 * write.  Later each write into a folio, and each time it goes to the disk,
 * walks through all of its buffers; and what is written while it is on its way
 * there waits for it, also what was written early of a group.  Of 2 MiB that
 * was a quarter of the log's time.
 */
static int write_zeros(struct segments *set, int fd, uint64_t at, uint64_t to)
{
	struct iovec iov[AT_ONCE];
	int err = 0;

	while (at < to && err == 0) {
		uint64_t left = to - at, n = 0;
		int i;

		for (i = 0; i < AT_ONCE && left > 0; i++) {
			size_t len = left < ZEROS ? (size_t)left : ZEROS;

			iov[i].iov_base = (char *)(uintptr_t)zeros;
			iov[i].iov_len = len;
			left -= len;
			n += len;
		}
		err = queue_file_write(set->file, fd, iov, i, at);
		at += n;
	}
	return err;
}

int segment_make_some(struct segments *set, int fd, uint64_t from, uint64_t to)
{
	int err = write_zeros(set, fd, from, to);

	return err < 0 ? err : set->file->sync_data(set->file->arg, fd);
}

/*
 * Full and synced first, then the header: one that says "free" vouches for a
 * file whose every block exists.
 */
int segment_make_end(struct segments *set, int fd)
{
	const struct queue_file_ops *file = set->file;
	struct segment_head h = { .sequence = 0 };
	int err = file->sync_file(file->arg, fd);

	if (err == 0)
		err = write_head(set, fd, h);
	if (err == 0)
		err = file->sync_dir(file->arg, set->dir);
	return err;
}

int segment_make(struct segments *set, struct segment *seg)
{
	int fd = segment_file_open(set, seg, O_RDWR | O_CREAT), err;

	if (fd < 0)
		return fd;
	err = write_zeros(set, fd, 0, set->bytes);
	if (err == 0)
		err = segment_make_end(set, fd);
	set->file->close(set->file->arg, fd);
	return err;
}

int segment_map(struct segments *set, struct segment *seg, int fd,
		const char **map_r)
{
	const char *none = NULL;
	const void *p;
	int err = set->file->map(set->file->arg, fd, set->bytes, &p);

	if (err < 0)
		return err;
	if (!atomic_compare_exchange_strong(&seg->map, &none, p)) {
		set->file->unmap(set->file->arg, p, set->bytes);
		p = none; /* another thread was first */
	}
	*map_r = p;
	return 0;
}

static int map_once(struct segments *set, struct segment *seg,
		    const char **map_r)
{
	int fd = segment_file_open(set, seg, O_RDONLY), err;

	if (fd < 0)
		return fd;
	err = segment_map(set, seg, fd, map_r);
	set->file->close(set->file->arg, fd);
	return err;
}

int segment_begin(struct segments *set, struct segment *seg, uint64_t sequence,
		  int *fd_r)
{
	struct segment_head h = {
		.sequence = sequence,
		.first = segment_first(set, sequence),
		.prev_sequence = seg->prev_sequence,
		.prev_end = seg->prev_end,
	};
	int fd = segment_file_open(set, seg, O_RDWR), err;
	const char *map = atomic_load(&seg->map);

	BUG_ON(sequence == 0);
	if (fd < 0)
		return fd;
	err = write_head(set, fd, h);
	if (err < 0) {
		set->file->close(set->file->arg, fd);
		return err;
	}
	/* Whoever reads it then needs no descriptor, of which there may be
	 * none by then.  Without memory now: once more when it is read. */
	if (map == NULL)
		(void)segment_map(set, seg, fd, &map);
	*fd_r = fd;
	return 0;
}

int segment_show(struct segments *set, struct segment *seg, uint64_t offset,
		 uint64_t len, const char **p_r)
{
	const char *map = atomic_load_explicit(&seg->map, memory_order_acquire);
	int err = 0;

	BUG_ON(len > set->bytes || offset > set->bytes - len);
	if (seg->cut > 0 && offset + len > seg->cut)
		return -EUCLEAN;
	if (map == NULL)
		err = map_once(set, seg, &map);
	if (err == 0)
		err = set->file->populate(set->file->arg, map + offset, len);
	if (err < 0)
		return err;
	*p_r = map + offset;
	return 0;
}

void segment_ahead(const struct segments *set, const struct segment *seg,
		   uint64_t offset)
{
	const char *map = atomic_load_explicit(&seg->map, memory_order_acquire);
	uint64_t end = seg->cut > 0 ? seg->cut : set->bytes;

	if (map != NULL && set->file->ahead != NULL && offset < end)
		set->file->ahead(set->file->arg, map + offset, end - offset);
}

static bool try_show(struct segments *set, struct segment *seg, uint64_t offset,
		     uint64_t len, const char **p_r, int *err)
{
	int rc = segment_show(set, seg, offset, len, p_r);

	if (rc < 0 && rc != -EUCLEAN && *err == 0)
		*err = rc;
	return rc == 0;
}

/* Is there a record at lsn, its envelope right?  The page of lsn is in. */
static bool record_at(struct segments *set, struct segment *seg, uint64_t lsn,
		      uint64_t to, int *err)
{
	uint64_t offset = lsn % set->bytes;
	struct record_head h;
	const char *p;

	return try_show(set, seg, offset, RECORD_HEAD, &p, err) &&
	       record_head_read(p, to - lsn, lsn, &h) &&
	       try_show(set, seg, offset, RECORD_HEAD + h.envelope, &p, err) &&
	       record_envelope_ok(p, &h);
}

uint64_t segment_resync(struct segments *set, struct segment *seg,
			uint64_t from, uint64_t to, int *err)
{
	const uint16_t magic = RECORD_MAGIC;
	uint64_t at = record_room(from);

	while (at + RECORD_HEAD <= to) {
		uint64_t offset = at % set->bytes;
		uint64_t step = SCAN_STEP - offset % SCAN_STEP, i;
		const char *p;

		if (step > to - at)
			step = to - at;
		if (try_show(set, seg, offset, step, &p, err)) {
			for (i = 0; i + sizeof(magic) <= step; i += 8) {
				if (memcmp(p + i, &magic, sizeof(magic)) == 0 &&
				    record_at(set, seg, at + i, to, err))
					return at + i;
			}
		}
		at += step;
	}
	return to;
}
