#ifndef MTAQ_QUEUE_FILE_H
#define MTAQ_QUEUE_FILE_H

/*
 * The seam between the log and the disk.
 *
 * The log reaches files only through this table, so that a test can lose
 * power, tear and reorder what was not synced, and fail the Nth call.  LMDB
 * keeps its own way to the disk; it is not behind this seam.
 *
 * All functions return 0 (or what is named) or a negative errno value.  Paths
 * are whole paths.  arg is the table's own.  Called from several threads.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct queue_file_ops {
	void *arg;

	/* A descriptor.  flags as open(2); O_CLOEXEC is added. */
	int (*open)(void *arg, const char *path, int flags);
	void (*close)(void *arg, int fd);
	int (*mkdir)(void *arg, const char *path);
	/* Make the names in a directory durable. */
	int (*sync_dir)(void *arg, const char *path);
	/* Call each(to, name) for every name but "." and ".."; in no order. */
	int (*list)(void *arg, const char *path,
		    void (*each)(void *to, const char *name), void *to);

	/* Octets written or read, maybe fewer than asked for. */
	int64_t (*pwritev)(void *arg, int fd, const struct iovec *iov,
			   int count, uint64_t offset);
	int64_t (*pread)(void *arg, int fd, void *p, size_t len,
			 uint64_t offset);
	/* A hint: what was written there is going to be synced soon, and may be
	 * sent to the disk already.  What fails is told by the sync.  May be
	 * NULL. */
	void (*begin_sync)(void *arg, int fd, uint64_t offset, uint64_t len);
	int (*sync_data)(void *arg, int fd); /* fdatasync */
	int (*sync_file)(void *arg, int fd); /* fsync */
	int (*size)(void *arg, int fd, uint64_t *bytes_r);
	/* Octets that may still be written to the file system. */
	int (*space)(void *arg, const char *path, uint64_t *bytes_r);
	/* A write lock for the life of the descriptor: -EBUSY when another
	 * descriptor holds it. */
	int (*lock)(void *arg, int fd);

	/* A read-only mapping that shows what pwritev() writes. */
	int (*map)(void *arg, int fd, size_t len, const void **p_r);
	void (*unmap)(void *arg, const void *p, size_t len);
	/* Bring in the pages of a part of a mapping, whatever its ends, so
	 * that touching them next finds no bad disk.  -EIO: there is one. */
	int (*populate)(void *arg, const void *p, size_t len);
	/* A hint: a part of a mapping is needed soon.  May be NULL. */
	void (*ahead)(void *arg, const void *p, size_t len);
};

/* The system's own. */
extern const struct queue_file_ops queue_file_system;

/*
 * Write all of iov, going on after short writes.  The array is used up: its
 * entries change.  -EIO when the disk takes nothing.
 */
int queue_file_write(const struct queue_file_ops *file, int fd,
		     struct iovec *iov, int count, uint64_t offset);
/* Read exactly len octets; -EIO when the file ends before. */
int queue_file_read(const struct queue_file_ops *file, int fd, void *p,
		    size_t len, uint64_t offset);

#endif
