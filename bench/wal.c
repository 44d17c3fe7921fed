/*
 * bench/wal.c - what the disk can do: append a group, fdatasync, again
 *
 * The file has been written full before and is written over from its front
 * when its end is reached, as the queue's segments are: a file that grows
 * would pay for its metadata at each sync.  Nothing is checked, framed or
 * followed.
 */
#include "bench/yard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#define FILE_BYTES (64u << 20) /* at most; less when less is written */

struct run {
	uint64_t messages, size, group, rate, file_bytes;
	int fd;
	char *octets; /* own: one group */
	struct yard_times sync;
	double seconds;
};

static int write_all(int fd, const char *p, size_t n, uint64_t at)
{
	while (n > 0) {
		ssize_t done = pwrite(fd, p, n, (off_t)at);

		if (done <= 0)
			return done == 0 ? -EIO : -errno;
		p += done;
		n -= (size_t)done;
		at += (uint64_t)done;
	}
	return 0;
}

/* The whole file, synced, before the clock runs. */
static int prepare(struct run *r, const char *path)
{
	size_t bytes = r->group * r->size, piece = 1u << 20;
	char *zeros = calloc(1, piece);
	uint64_t at;
	int err = 0;

	r->file_bytes = r->messages * r->size + bytes;
	if (r->file_bytes > FILE_BYTES)
		r->file_bytes = FILE_BYTES;
	r->octets = malloc(bytes);
	if (zeros == NULL || r->octets == NULL) {
		free(zeros);
		return -ENOMEM;
	}
	memset(r->octets, 'm', bytes);
	r->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (r->fd < 0)
		err = -errno;
	for (at = 0; err == 0 && at < r->file_bytes; at += piece)
		err = write_all(r->fd, zeros, piece, at);
	free(zeros);
	if (err == 0 && fsync(r->fd) < 0)
		err = -errno;
	return err == 0 ? yard_times_init(&r->sync) : err;
}

static int drive(struct run *r)
{
	size_t bytes = r->group * r->size;
	struct yard_pace pace = { .rate = r->rate };
	double start_s = yard_now_s();
	uint64_t done, at = 0;
	int err;

	for (done = 0; done < r->messages; done += r->group) {
		double begin_s;

		yard_pace_wait(&pace);
		begin_s = yard_now_s();
		if (at + bytes > r->file_bytes)
			at = 0;
		err = write_all(r->fd, r->octets, bytes, at);
		if (err < 0)
			return err;
		if (fdatasync(r->fd) < 0)
			return -errno;
		at += bytes;
		yard_times_add(&r->sync, yard_now_s() - begin_s);
	}
	r->messages = done;
	r->seconds = yard_now_s() - start_s;
	return 0;
}

int main(int argc, char **argv)
{
	struct run r = {
		.messages = 100000, .size = 4096, .group = 100, .fd = -1
	};
	const struct yard_option known[] = {
		{ "--messages", &r.messages, 1, UINT32_MAX },
		{ "--size", &r.size, 1, 1u << 20 },
		{ "--group", &r.group, 1, 10000 },
		{ "--rate", &r.rate, 0, 1000000 },
		{ NULL, NULL, 0, 0 },
	};
	int err;

	if (argc < 2 || argv[1][0] == '-' ||
	    !yard_options(known, argc - 2, argv + 2) ||
	    r.group * r.size > FILE_BYTES) {
		fputs("usage: bench_wal FILE [--messages N] [--size OCTETS]\n"
		      "       [--group N] [--rate GROUPS-A-SECOND]\n",
		      stderr);
		return EX_USAGE;
	}
	err = prepare(&r, argv[1]);
	if (err == 0)
		err = drive(&r);
	if (err == 0)
		printf("{\"bench\": \"wal\", \"group\": %llu, \"size\": %llu, "
		       "\"messages\": %llu, \"seconds\": %.3f, "
		       "\"messages_s\": %.0f, \"p50_us\": %.0f, "
		       "\"p99_us\": %.0f}\n",
		       (unsigned long long)r.group, (unsigned long long)r.size,
		       (unsigned long long)r.messages, r.seconds,
		       (double)r.messages / r.seconds,
		       yard_times_us(&r.sync, 50), yard_times_us(&r.sync, 99));
	else
		fprintf(stderr, "wal: %s: %s\n", argv[1],
			strerrordesc_np(-err));
	if (r.fd >= 0)
		close(r.fd);
	free(r.octets);
	yard_times_free(&r.sync);
	return err == 0 ? EX_OK : EX_IOERR;
}
