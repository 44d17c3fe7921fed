/*
 * io/io.c - which back end, and whether it works
 */
#include "io/io_private.h"

#include <errno.h>
#include <stdio.h>

#define TEST_MS 3000

void io_why(char why[IO_WHY_MAX], const char *what, int err)
{
	const char *words = strerrordesc_np(-err);

	snprintf(why, IO_WHY_MAX, "%s: %s", what,
		 words == NULL ? "unknown error" : words);
}

/* The self-test: everything that the engine does, once, over a Unix socket
 * without a name in any folder. */
struct trial {
	struct io *io;
	int listener, client, server;
	int closed;
	char got[8];
	int failed; /* the first unexpected result */
	const char *what;
};

static const char sent[] = "mtaq\r\n";

static void trial_step(struct trial *t, const struct io_done *d,
		       struct iovec *iov)
{
	const struct io_token none = { 0, 0 };

	switch (d->op) {
	case IO_CONNECT:
		if (d->result == 0)
			io_send(t->io, t->client, iov, 1, none);
		break;
	case IO_ACCEPT:
		if (d->result < 0)
			return; /* ended by the close below */
		t->server = d->result;
		io_recv(t->io, t->server, t->got, sizeof(t->got), none);
		break;
	case IO_RECV:
		if (d->conn != t->server)
			break;
		/* One with a recv in flight, one with an accept, one idle. */
		io_recv(t->io, t->client, t->got + 6, 1, none);
		io_close(t->io, t->client, none);
		io_close(t->io, t->listener, none);
		io_close(t->io, t->server, none);
		if (d->result == (int)sizeof(sent) - 1 &&
		    memcmp(t->got, sent, sizeof(sent) - 1) == 0)
			return;
		t->failed = d->result < 0 ? d->result : -EIO;
		break;
	case IO_CLOSE:
		t->closed++;
		break;
	default:
		break;
	}
	if (d->result < 0 && d->conn != t->client)
		t->failed = d->result;
}

static int trial_begin(struct trial *t)
{
	struct io_addr at;
	const struct io_token none = { 0, 0 };

	memset(&at, 0, sizeof(at));
	at.u.sa.sa_family = AF_UNIX;
	at.len = sizeof(sa_family_t); /* the kernel gives a name */
	t->listener = io_listen(t->io, &at);
	if (t->listener < 0)
		return t->listener;
	at.len = sizeof(at.u);
	if (getsockname(io_fd(t->io, t->listener), &at.u.sa, &at.len) < 0)
		return -errno;
	io_accept(t->io, t->listener, none);
	t->client = io_connect(t->io, NULL, &at, none);
	return t->client < 0 ? t->client : 0;
}

static int trial_run(struct io *io)
{
	struct trial t = { .io = io };
	char octets[sizeof(sent)];
	struct iovec iov = { octets, sizeof(sent) - 1 };
	uint64_t end = io_now_ms(io) + TEST_MS;
	int i, n, err;

	memcpy(octets, sent, sizeof(sent));
	err = trial_begin(&t);
	while (err == 0 && t.failed == 0 && t.closed < 3) {
		struct io_done done[8];

		n = io_wait(io, 100, done, ARRAY_LEN(done));
		if (n < 0)
			return n;
		for (i = 0; i < n; i++)
			trial_step(&t, &done[i], &iov);
		if (io_now_ms(io) > end)
			return -ETIMEDOUT;
	}
	return err < 0 ? err : t.failed;
}

static int try_ring(const struct io_settings *settings, char why[IO_WHY_MAX],
		    struct io **io_r)
{
	struct io_settings small = { .entries = 8, .conns_max = 8 };
	struct io *io;
	int err = ring_new(&small, why, &io);

	if (err < 0)
		return err;
	err = trial_run(io);
	io_free(&io);
	if (err < 0) {
		io_why(why, "io_uring self-test", err);
		return err;
	}
	return ring_new(settings, why, io_r);
}

int io_new(const struct io_settings *settings, char why[IO_WHY_MAX],
	   struct io **io_r)
{
	char cause[IO_WHY_MAX - 40];
	int err;

	why[0] = '\0';
	if (settings->backend == IO_BACKEND_EPOLL)
		return poll_new(settings, why, io_r);
	err = try_ring(settings, why, io_r);
	if (err == 0 || settings->backend == IO_BACKEND_IO_URING)
		return err;
	if (err != -ENOSYS && err != -EPERM && err != -EINVAL && err != -ENOMEM)
		return err;
	memcpy(cause, why, sizeof(cause));
	cause[sizeof(cause) - 1] = '\0';
	err = poll_new(settings, why, io_r);
	if (err == 0)
		snprintf(why, IO_WHY_MAX, "using epoll, not io_uring (%s)",
			 cause);
	return err;
}
