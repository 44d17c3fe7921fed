/*
 * cmd/adopt_read.c - the frames of an export file
 */
#include "cmd/adopt.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BYTES (1u << 20)
#define DRAW_EVERY 64u

struct reading {
	int fd;
	struct buf in;
	size_t pos;                /* in it: what is before was taken */
	uint64_t number, at, size; /* next frame; octets of the file */
	bool end, ended;           /* of the file; its END frame was read */
};

static struct span rest(const struct reading *r)
{
	return span_of(r->in.p + r->pos, r->in.len - r->pos);
}

static void taken(struct reading *r, size_t len)
{
	r->pos += len;
	r->at += len;
}

/* Until there are `want` octets, or the file ends. */
static int fill(struct reading *r, size_t want)
{
	ssize_t n;

	while (rest(r).len < want && !r->end) {
		buf_shift(&r->in, r->pos);
		r->pos = 0;
		if (buf_reserve(&r->in, READ_BYTES) < 0)
			return -ENOMEM;
		n = read(r->fd, r->in.p + r->in.len, READ_BYTES);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		r->in.len += (size_t)n;
		r->end = n == 0;
	}
	return 0;
}

static int bad(const struct reading *r, const char *what,
	       char words[EXPORT_WORDS])
{
	snprintf(words, EXPORT_WORDS, "%s (frame %llu, octet %llu)", what,
		 (unsigned long long)r->number, (unsigned long long)r->at);
	return -EBADMSG;
}

static int read_magic(struct reading *r, char words[EXPORT_WORDS])
{
	int err = fill(r, TRANSFER_MAGIC_SIZE);

	if (err < 0)
		return err;
	if (rest(r).len < TRANSFER_MAGIC_SIZE)
		return bad(r, "it is no export, or was cut off", words);
	err = transfer_magic_check(rest(r).p);
	if (err == -EPROTO)
		return bad(r,
			   "it is of a version that this program does not "
			   "know",
			   words);
	if (err < 0)
		return bad(r, "it is no export of mtaq", words);
	taken(r, TRANSFER_MAGIC_SIZE);
	return 0;
}

/* 1: a frame; 0: the end; or a negative errno value. */
static int next(struct reading *r, struct transfer_frame *frame, size_t *used,
		char words[EXPORT_WORDS])
{
	int err = fill(r, TRANSFER_HEAD_SIZE), rc;

	if (err < 0)
		return err;
	if (rest(r).len == 0)
		return r->ended ? 0
				: bad(r, "it was cut off: its end is missing",
				      words);
	if (r->ended)
		return bad(r, "there are octets behind its end", words);
	rc = transfer_frame_parse(rest(r), r->number, frame, used);
	if (rc == 0) {
		err = fill(r, *used);
		if (err < 0)
			return err;
		rc = transfer_frame_parse(rest(r), r->number, frame, used);
	}
	if (rc == 0)
		return bad(r, "it was cut off in a frame", words);
	if (rc < 0)
		return bad(r, "it is damaged: a checksum does not fit", words);
	return 1;
}

static int read_all(struct reading *r, const struct export_sink *sink,
		    const struct export_progress *progress,
		    char words[EXPORT_WORDS])
{
	struct transfer_frame frame;
	size_t used = 0;
	int rc = read_magic(r, words);

	if (rc < 0)
		return rc;
	while ((rc = next(r, &frame, &used, words)) == 1) {
		rc = sink->put(sink->arg, &frame);
		if (rc < 0)
			return rc;
		r->ended = frame.type == TRANSFER_END;
		taken(r, used);
		r->number++;
		if (progress->draw != NULL && r->number % DRAW_EVERY == 0)
			progress->draw(progress->arg, r->at, r->size);
	}
	return rc;
}

int adopt_read(int fd, const struct export_sink *sink,
	       const struct export_progress *progress, char words[EXPORT_WORDS])
{
	struct reading r = { .fd = fd };
	struct stat st;
	int err;

	words[0] = '\0';
	if (lseek(fd, 0, SEEK_SET) < 0) {
		err = -errno;
		snprintf(words, EXPORT_WORDS,
			 "it is read twice, and cannot be: %s",
			 strerrordesc_np(-err));
		return err;
	}
	if (fstat(r.fd, &st) == 0)
		r.size = (uint64_t)st.st_size;
	buf_init(&r.in,
		 2 * READ_BYTES + TRANSFER_FRAME_MAX + TRANSFER_HEAD_SIZE);
	err = read_all(&r, sink, progress, words);
	buf_free(&r.in);
	return err;
}
