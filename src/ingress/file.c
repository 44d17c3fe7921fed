/*
 * ingress/file.c - a submission as a file, for the drop folder
 */
#include "ingress/pack.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct submit_file {
	int fd;
	struct pack pack;
};

static int write_all(int fd, const char *p, size_t len)
{
	ssize_t n;

	while (len > 0) {
		n = write(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int submit_file_new(int fd, const uint8_t *id, struct submit_file **file_r)
{
	struct frame_hello h = { FRAME_VERSION, 0, { 0 } };
	struct submit_file *f = calloc(1, sizeof(*f));
	char hello[FRAME_HELLO_SIZE];
	int r;

	if (f == NULL)
		return -ENOMEM;
	f->fd = fd;
	pack_init(&f->pack);
	memcpy(h.id, id, sizeof(h.id));
	frame_hello_put(&h, hello);
	r = write_all(fd, hello, sizeof(hello));
	if (r < 0) {
		submit_file_free(&f);
		return r;
	}
	*file_r = f;
	return 0;
}

/* Write the frame at hand. */
static int turn(struct submit_file *f)
{
	int r;

	if (f->pack.count == 0)
		return 0;
	if (!f->pack.sealed)
		pack_seal(&f->pack, false);
	r = write_all(f->fd, f->pack.b.p, f->pack.b.len);
	f->pack.count = 0;
	return r;
}

int submit_file_put(struct submit_file *f, const struct submit_message *msg)
{
	int r = pack_add(&f->pack, msg);

	if (r != -EAGAIN)
		return r;
	r = turn(f);
	if (r == 0 && f->pack.sealed)
		r = pack_next(&f->pack);
	return r == 0 ? pack_add(&f->pack, msg) : r;
}

int submit_file_end(struct submit_file *f)
{
	struct frame_head h = { .type = FRAME_END };
	char head[FRAME_HEAD_SIZE];
	int r = turn(f);

	frame_head_put(&h, head);
	return r < 0 ? r : write_all(f->fd, head, sizeof(head));
}

void submit_file_free(struct submit_file **file)
{
	if (*file != NULL)
		pack_free(&(*file)->pack);
	free(*file);
	*file = NULL;
}
