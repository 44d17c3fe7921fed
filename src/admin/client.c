/*
 * admin/client.c - a command's end of the control socket
 */
#include "admin/client.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int admin_client_open(struct admin_client *c, const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int err;

	*c = (struct admin_client){ .fd = -1, .wait_ms = ADMIN_ANSWER_WAIT_MS };
	buf_init(&c->in, ADMIN_LINE_MAX * 4);
	buf_init(&c->out, ADMIN_LINE_MAX);
	if (strlen(path) >= sizeof(at.sun_path))
		return -ENAMETOOLONG;
	memcpy(at.sun_path, path, strlen(path) + 1);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return -errno;
	if (connect(c->fd, (struct sockaddr *)&at, sizeof(at)) == 0)
		return 0;
	err = -errno;
	admin_client_close(c);
	return err;
}

void admin_client_close(struct admin_client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	buf_free(&c->in);
	buf_free(&c->out);
}

int admin_client_ask(struct admin_client *c)
{
	size_t at = 0;
	ssize_t n;

	if (c->out.failed < 0)
		return c->out.failed;
	while (at < c->out.len) {
		n = send(c->fd, c->out.p + at, c->out.len - at, MSG_NOSIGNAL);
		if (n < 0 && errno != EINTR)
			return -errno;
		at += n > 0 ? (size_t)n : 0;
	}
	buf_clear(&c->out);
	return 0;
}

static int read_more(struct admin_client *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	ssize_t n;
	int err;

	buf_shift(&c->in, c->at);
	c->at = 0;
	err = buf_reserve(&c->in, 16384);
	if (err < 0)
		return err == -EMSGSIZE ? -EPROTO : err;
	n = poll(&p, 1, c->wait_ms);
	if (n == 0)
		return -ETIMEDOUT;
	n = n < 0 ? -1 : read(c->fd, c->in.p + c->in.len, 16384);
	if (n < 0 && errno == EINTR)
		return c->stop != NULL && *c->stop ? -EINTR : 0;
	if (n < 0)
		return -errno;
	c->in.len += (size_t)n;
	return n == 0 ? -ECONNRESET : 0;
}

int admin_client_next(struct admin_client *c)
{
	struct span left;
	ptrdiff_t lf;
	int err;

	for (;;) {
		left = span_of(c->in.p + c->at, c->in.len - c->at);
		lf = span_find(left, '\n');
		if (lf >= 0)
			break;
		err = read_more(c);
		if (err < 0)
			return err;
	}
	err = admin_parse(c->in.p + c->at, (size_t)lf, &c->rec);
	c->at += (size_t)lf + 1;
	if (err < 0)
		return -EPROTO;
	if (span_eq(c->rec.verb, SPAN("ok")))
		return 0;
	return span_eq(c->rec.verb, SPAN("error")) ? -ECANCELED : 1;
}
