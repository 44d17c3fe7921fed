/*
 * cmd/probe_wire.c - octets with deadlines, one operation at a time
 *
 *	new ─► connect ─► (send ─► reply)... ─► free
 *
 * An operation that is late ends the connection: its memory is lent until
 * io has given it back, so free aborts and waits for IO_CLOSE, which always
 * comes (io.h, rule 6).
 */
#include "cmd/probe.h"

#include "base/bug.h"
#include "smtp/reply.h"

#include <errno.h>
#include <stdlib.h>

struct probe_wire {
	struct io *io;
	int conn;    /* -1: none */
	bool broken; /* something is in flight, or failed */
	struct smtp_reply reply;
	char text[SMTP_REPLY_BUF];
	char in[4096]; /* in[at..len) came and was not read yet */
	size_t at, len;
};

static const struct io_token token = { 0, 1 };

struct probe_wire *probe_wire_new(struct io *io)
{
	struct probe_wire *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->io = io;
	w->conn = -1;
	return w;
}

/* The result of op, which is in flight. */
static int wait_for(struct probe_wire *w, enum io_op op, uint64_t deadline_ms)
{
	uint64_t now, left;
	struct io_done done;
	int n;

	for (;;) {
		now = io_now_ms(w->io);
		left = now < deadline_ms ? deadline_ms - now : 0;
		n = io_wait(w->io, left > 60000 ? 60000 : (int)left, &done, 1);
		if (n < 0)
			return n;
		if (n == 1 && done.op == op)
			return done.result;
		if (n == 0 && left == 0)
			return -ETIMEDOUT;
	}
}

static int broken(struct probe_wire *w, int result)
{
	w->broken = true;
	return result;
}

void probe_wire_free(struct probe_wire **wire)
{
	struct probe_wire *w = *wire;

	*wire = NULL;
	if (w == NULL)
		return;
	if (w->conn >= 0) {
		if (w->broken)
			io_abort(w->io, w->conn, token);
		else
			io_close(w->io, w->conn, token);
		(void)wait_for(w, IO_CLOSE, UINT64_MAX);
	}
	free(w);
}

int probe_wire_connect(struct probe_wire *w, const struct io_addr *src,
		       const struct io_addr *dst, uint64_t deadline_ms)
{
	int r;

	BUG_ON(w->conn >= 0);
	r = io_connect(w->io, src, dst, token);
	if (r < 0)
		return r;
	w->conn = r;
	r = wait_for(w, IO_CONNECT, deadline_ms);
	return r < 0 ? broken(w, r) : 0;
}

int probe_wire_send(struct probe_wire *w, struct span octets,
		    uint64_t deadline_ms)
{
	struct iovec iov = { (void *)(uintptr_t)octets.p, octets.len };
	int r;

	io_send(w->io, w->conn, &iov, 1, token);
	r = wait_for(w, IO_SEND, deadline_ms);
	/* What the server said before it closed may still be read. */
	return r < 0 ? broken(w, r) : 0;
}

bool probe_wire_early(const struct probe_wire *w)
{
	return w->at < w->len || io_pending(w->io, w->conn) > 0;
}

static int more(struct probe_wire *w, uint64_t deadline_ms)
{
	int r;

	io_recv(w->io, w->conn, w->in, sizeof(w->in), token);
	r = wait_for(w, IO_RECV, deadline_ms);
	if (r <= 0)
		return broken(w, r == 0 ? -ENODATA : r);
	w->at = 0;
	w->len = (size_t)r;
	return 0;
}

int probe_wire_reply(struct probe_wire *w, struct probe_step *step,
		     uint64_t deadline_ms)
{
	size_t used;
	int r = 0, got = 0;

	smtp_reply_init(&w->reply, w->text);
	while (r == 0 && got == 0) {
		if (w->at == w->len)
			r = more(w, deadline_ms);
		if (r < 0)
			return r;
		got = smtp_reply_input(&w->reply, w->in + w->at, w->len - w->at,
				       &used);
		if (got >= 0)
			w->at += used;
	}
	if (got < 0)
		return broken(w, -EPROTO);
	step->code = w->reply.code;
	step->enhanced = w->reply.enhanced;
	step->text = smtp_reply_text(&w->reply);
	return 0;
}
