/*
 * bench/session.c - what our SMTP session costs: bench_limit's mail by it
 *
 * The same sessions, octets and epoll as bench/limit.c, but what is sent and
 * how an answer is read is src/smtp's affair.  Nothing else of mtaq is here:
 * no queue, no site, no io layer.
 *
 *	--trips 4   no pipelining
 *	--trips 2   pipelining
 *	--trips 1   grouping (docs/SMTP.md 19)
 *	--bdat 1    grouping, and content by BDAT (docs/SMTP.md 20)
 *
 * What is read is read dry before the session is asked for output, so that no
 * answer waits unseen when a dot leaves: the engine asks the socket.
 */
#include "bench/yard.h"
#include "mtaq/smtp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#define SESSIONS_MAX 4096u
#define REPLIES_SIZE 65536u
#define BATCH_MAX    (4u << 20) /* octets of one sendmsg() */

struct talk {
	int fd;
	struct smtp_session *smtp;
	struct iovec iov[SMTP_IOV_MAX];
	int iov_at, iov_count; /* of the batch that is being sent */
	bool writing;
};

struct run {
	struct sink_address server;
	uint64_t sessions, messages, size, trips, bdat;
	struct buf content;
	struct iovec piece;
	struct smtp_settings set;
	struct smtp_pool *pool;
	int epoll_fd;
	uint64_t begun, done;
	uint64_t now_ms;
	double start_s;
};

static const struct smtp_rcpt recipient = {
	.address = { .p = "recipient@limit.test", .len = 20 },
};

static int talk_watch(struct run *r, struct talk *t, int op)
{
	return yard_watch(r->epoll_fd, op, t->fd, t->writing, t);
}

static int talk_open(struct run *r, struct talk *t)
{
	t->fd = yard_connect(&r->server);
	if (t->fd < 0)
		return t->fd;
	t->smtp = smtp_session_new(&r->set, r->pool, r->now_ms);
	return t->smtp == NULL ? -ENOMEM : talk_watch(r, t, EPOLL_CTL_ADD);
}

/* --- a turn of one session -------------------------------------------------- */

static int take_events(struct run *r, struct talk *t)
{
	struct smtp_event e;

	while (smtp_session_event(t->smtp, &e)) {
		if (e.type == SMTP_EV_CLOSE)
			return -ECONNRESET;
		if (e.type != SMTP_EV_RCPT)
			continue;
		if (e.verdict.result != SMTP_ACCEPTED) {
			fprintf(stderr, "session: %s: %.*s\n",
				smtp_result_words(e.verdict.result),
				(int)e.verdict.text.len, e.verdict.text.p);
			return -EPROTO;
		}
		r->done++;
	}
	return 0;
}

static int give_mail(struct run *r, struct talk *t)
{
	struct smtp_mail mail = {
		.sender = SPAN("sender@limit.test"),
		.rcpts = &recipient,
		.rcpt_count = 1,
		.content = &r->piece,
		.content_count = 1,
		.content_bytes = r->piece.iov_len,
	};
	int err;

	while (smtp_session_room(t->smtp) > 0) {
		err = smtp_session_mail(t->smtp, &mail, r->now_ms);
		if (err < 0)
			return err;
		r->begun++;
	}
	return 0;
}

static void batch_sent(struct talk *t, size_t n)
{
	while (n > 0 && n >= t->iov[t->iov_at].iov_len)
		n -= t->iov[t->iov_at++].iov_len;
	if (n > 0) {
		struct iovec *v = &t->iov[t->iov_at];

		v->iov_base = (char *)v->iov_base + n;
		v->iov_len -= n;
	}
}

/* 1: all of the batch has left; 0: the socket is full. */
static int send_batch(struct talk *t)
{
	while (t->iov_at < t->iov_count) {
		struct msghdr m = {
			.msg_iov = t->iov + t->iov_at,
			.msg_iovlen = (size_t)(t->iov_count - t->iov_at),
		};
		ssize_t n = sendmsg(t->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0)
			return -errno;
		batch_sent(t, (size_t)n);
	}
	return 1;
}

static int settle(struct run *r, struct talk *t)
{
	bool blocked = false;
	int err;

	for (;;) {
		err = take_events(r, t);
		if (err == 0)
			err = give_mail(r, t);
		if (err < 0)
			return err;
		if (t->iov_count == 0) {
			t->iov_at = 0;
			t->iov_count = smtp_session_output(
				t->smtp, t->iov, BATCH_MAX, false, r->now_ms);
		}
		if (t->iov_count == 0)
			break;
		err = send_batch(t);
		if (err < 0)
			return err;
		blocked = err == 0;
		if (blocked)
			break;
		t->iov_count = 0;
		smtp_session_sent(t->smtp, r->now_ms);
	}
	if (blocked == t->writing)
		return 0;
	t->writing = blocked;
	return talk_watch(r, t, EPOLL_CTL_MOD);
}

static int talk_read(struct run *r, struct talk *t)
{
	char in[REPLIES_SIZE];
	ssize_t n = recv(t->fd, in, sizeof(in), MSG_DONTWAIT);
	size_t used = 0;
	int err = 0;

	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		return n == 0 ? -ECONNRESET : -errno;
	while (err == 0 && used < (size_t)n) {
		used += smtp_session_input(t->smtp, in + used, (size_t)n - used,
					   r->now_ms);
		err = take_events(r, t);
	}
	return err;
}

static int drive(struct run *r)
{
	struct epoll_event events[256];
	int i, n, err = 0;

	r->start_s = yard_now_s();
	while (r->done < r->messages && err == 0) {
		n = epoll_wait(r->epoll_fd, events, 256, 10000);
		if (n == 0)
			return -ETIMEDOUT;
		r->now_ms = (uint64_t)(yard_now_s() * 1000);
		for (i = 0; i < n && err == 0; i++) {
			struct talk *t = events[i].data.ptr;

			if (events[i].events & ~(uint32_t)EPOLLOUT)
				err = talk_read(r, t);
			if (err == 0)
				err = settle(r, t);
		}
	}
	return err;
}

/* --- together ----------------------------------------------------------- */

static void report(const struct run *r)
{
	double wall_s = yard_now_s() - r->start_s;

	printf("{\"bench\": \"session\", \"trips\": %llu, \"bdat\": %s, "
	       "\"sessions\": %llu, "
	       "\"size\": %llu, \"messages\": %llu, \"seconds\": %.3f, "
	       "\"cpu_s\": %.3f, \"messages_s\": %.0f}\n",
	       (unsigned long long)r->trips, r->bdat ? "true" : "false",
	       (unsigned long long)r->sessions, (unsigned long long)r->size,
	       (unsigned long long)r->done, wall_s, yard_cpu_s(),
	       (double)r->done / wall_s);
}

static bool options(struct run *r, int argc, char **argv)
{
	const struct yard_option known[] = {
		{ "--trips", &r->trips, 1, 4 },
		{ "--bdat", &r->bdat, 0, 1 },
		{ "--sessions", &r->sessions, 1, SESSIONS_MAX },
		{ "--messages", &r->messages, 1, UINT32_MAX },
		{ "--size", &r->size, 64, 16u << 20 },
		{ NULL, NULL, 0, 0 },
	};

	return argc >= 2 && yard_options(known, argc - 2, argv + 2) &&
	       (r->trips == 1 || r->trips == 2 || r->trips == 4) &&
	       sink_address_parse(&r->server, argv[1], 25);
}

static int prepare(struct run *r)
{
	r->now_ms = (uint64_t)(yard_now_s() * 1000);
	buf_init(&r->content, 64u << 20);
	yard_content(&r->content, r->size);
	r->piece.iov_base = r->content.p;
	r->piece.iov_len = r->content.len;
	r->set.hostname = SPAN("session.test");
	r->set.pipelining = r->trips < 4;
	r->set.grouping = r->trips == 1;
	r->set.chunking = r->bdat == 1;
	r->pool = smtp_pool_new(100);
	r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return r->content.failed != 0 || r->pool == NULL || r->epoll_fd < 0
		       ? -ENOMEM
		       : 0;
}

int main(int argc, char **argv)
{
	struct run r = {
		.sessions = 16, .messages = 500000, .size = 4096, .trips = 1
	};
	struct talk *talks;
	uint64_t i, opened = 0;
	int err;

	if (!options(&r, argc, argv)) {
		fputs("usage: bench_session ADDRESS:PORT [--trips 4|2|1] [--bdat 1]\n"
		      "       [--sessions N] [--messages N] [--size OCTETS]\n",
		      stderr);
		return EX_USAGE;
	}
	talks = calloc(r.sessions, sizeof(*talks));
	err = talks == NULL ? -ENOMEM : prepare(&r);
	for (i = 0; i < r.sessions && err == 0; i++, opened++)
		err = talk_open(&r, &talks[i]);
	if (err == 0)
		err = drive(&r);
	if (err == 0)
		report(&r);
	else
		fprintf(stderr, "session: %s\n", strerrordesc_np(-err));
	for (i = 0; i < opened; i++) {
		close(talks[i].fd);
		smtp_session_free(&talks[i].smtp);
	}
	smtp_pool_free(&r.pool);
	buf_free(&r.content);
	free(talks);
	return err == 0 ? EX_OK : EX_UNAVAILABLE;
}
