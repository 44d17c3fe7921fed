/*
 * bench/limit.c - what the machine can do: precomposed flights to a sink
 *
 * A client without an engine: each session sends the same octets again and
 * again, waits for as many replies as the flight asks for, and looks at their
 * first digit alone.  What it reaches is the ceiling for any client here.
 *
 *	--trips 4   MAIL | RCPT | DATA | content .
 *	--trips 2   MAIL RCPT DATA | content .
 *	--trips 1   content . MAIL RCPT DATA | content . MAIL RCPT DATA | ...
 *	--bdat      MAIL RCPT BDAT LAST | MAIL RCPT BDAT LAST | ...
 */
#include "bench/yard.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#define FLIGHTS_MAX  5
#define SESSIONS_MAX 4096u
#define REPLIES_SIZE 65536u
#define HELLO        "EHLO limit.test\r\n"
#define MAIL         "MAIL FROM:<sender@limit.test>\r\n"
#define RCPT         "RCPT TO:<recipient@limit.test>\r\n"

struct flight {
	struct buf octets;
	uint32_t replies; /* to wait for */
	bool message;     /* its replies end a message */
};

/* The flights of a mode: the first once, then the others round and round. */
struct plan {
	struct flight flights[FLIGHTS_MAX];
	size_t count;
};

struct session {
	int fd;
	size_t flight, sent;
	uint32_t left;   /* replies still to come */
	uint32_t column; /* of the reply line */
	bool writing;
};

struct run {
	struct sink_address server;
	uint64_t sessions, messages, size, trips, bdat, rate;
	struct plan plan;
	int epoll_fd;
	uint64_t done; /* messages answered */
	double start_s, message_s;
	struct yard_pace pace;
	struct yard_times times; /* of one message; with a pace only */
};

/* --- what is sent ------------------------------------------------------- */

static struct flight *flight_add(struct plan *p, const char *text,
				 uint32_t replies, bool message)
{
	struct flight *f = &p->flights[p->count++];

	buf_init(&f->octets, 64u << 20);
	buf_add_span(&f->octets, span_str(text));
	f->replies = replies;
	f->message = message;
	return f;
}

static void plan_make(struct run *r)
{
	struct plan *p = &r->plan;
	struct flight *f;

	if (r->bdat) {
		flight_add(p, HELLO, 1, false);
		f = flight_add(p, MAIL RCPT, 3, true);
		buf_printf(&f->octets, "BDAT %llu LAST\r\n",
			   (unsigned long long)r->size);
		yard_content(&f->octets, r->size);
	} else if (r->trips == 1) {
		flight_add(p, HELLO MAIL RCPT "DATA\r\n", 4, false);
		f = flight_add(p, "", 4, true);
		yard_content(&f->octets, r->size);
		buf_add_span(&f->octets, SPAN(".\r\n" MAIL RCPT "DATA\r\n"));
	} else {
		flight_add(p, HELLO, 1, false);
		if (r->trips == 2) {
			flight_add(p, MAIL RCPT "DATA\r\n", 3, false);
		} else {
			flight_add(p, MAIL, 1, false);
			flight_add(p, RCPT, 1, false);
			flight_add(p, "DATA\r\n", 1, false);
		}
		f = flight_add(p, "", 1, true);
		yard_content(&f->octets, r->size);
		buf_add_span(&f->octets, SPAN(".\r\n"));
	}
}

/* --- sessions ----------------------------------------------------------- */

static int session_watch(struct run *r, struct session *s, int op)
{
	return yard_watch(r->epoll_fd, op, s->fd, s->writing, s);
}

static int session_open(struct run *r, struct session *s)
{
	s->fd = yard_connect(&r->server);
	if (s->fd < 0)
		return s->fd;
	s->left = 1; /* the greeting */
	s->sent = r->plan.flights[0].octets.len;
	s->flight = SIZE_MAX;
	return session_watch(r, s, EPOLL_CTL_ADD);
}

/* Send what is left of the flight. */
static int session_send(struct run *r, struct session *s)
{
	const struct buf *b = &r->plan.flights[s->flight].octets;
	bool blocked;

	while (s->sent < b->len) {
		ssize_t n = send(s->fd, b->p + s->sent, b->len - s->sent,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			return -errno;
		s->sent += (size_t)n;
	}
	blocked = s->sent < b->len;
	if (blocked == s->writing)
		return 0;
	s->writing = blocked;
	return session_watch(r, s, EPOLL_CTL_MOD);
}

/* All replies to a flight are there: send the next one. */
static int session_next(struct run *r, struct session *s)
{
	if (s->flight != SIZE_MAX && r->plan.flights[s->flight].message) {
		r->done++;
		if (r->rate > 0)
			yard_times_add(&r->times, yard_now_s() - r->message_s);
	}
	if (s->flight == SIZE_MAX)
		s->flight = 0;
	else if (++s->flight == r->plan.count)
		s->flight = 1;
	if (r->rate > 0 && s->flight == 1) {
		yard_pace_wait(&r->pace);
		r->message_s = yard_now_s();
	}
	s->sent = 0;
	s->left = r->plan.flights[s->flight].replies;
	return session_send(r, s);
}

/* Count replies: a line of "ddd " ends one; "ddd-" goes on. */
static int session_read(struct run *r, struct session *s)
{
	char in[REPLIES_SIZE];
	ssize_t i, n = recv(s->fd, in, sizeof(in), MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		return n == 0 ? -ECONNRESET : -errno;
	for (i = 0; i < n; i++) {
		if (s->column == 0 && in[i] != '2' && in[i] != '3') {
			fprintf(stderr, "limit: refused: %.*s\n", (int)(n - i),
				in + i);
			return -EPROTO;
		}
		if (s->column == 3 && in[i] == ' ')
			s->left--;
		s->column = in[i] == '\n' ? 0 : s->column + 1;
		if (s->left == 0 && s->column == 0 && i + 1 < n)
			return -EPROTO; /* more than was asked for */
	}
	return s->left == 0 && s->column == 0 ? session_next(r, s) : 0;
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
		for (i = 0; i < n && err == 0; i++) {
			struct session *s = events[i].data.ptr;

			if (events[i].events & EPOLLOUT)
				err = session_send(r, s);
			if (err == 0 &&
			    (events[i].events & ~(uint32_t)EPOLLOUT))
				err = session_read(r, s);
		}
	}
	return err;
}

/* --- together ----------------------------------------------------------- */

static void report(struct run *r)
{
	double wall_s = yard_now_s() - r->start_s;

	printf("{\"bench\": \"limit\", \"trips\": %llu, \"bdat\": %s, "
	       "\"sessions\": %llu, \"size\": %llu, \"messages\": %llu, "
	       "\"seconds\": %.3f, \"cpu_s\": %.3f, \"messages_s\": %.0f, "
	       "\"p50_us\": %.0f, \"p99_us\": %.0f}\n",
	       (unsigned long long)r->trips, r->bdat ? "true" : "false",
	       (unsigned long long)r->sessions, (unsigned long long)r->size,
	       (unsigned long long)r->done, wall_s, yard_cpu_s(),
	       (double)r->done / wall_s, yard_times_us(&r->times, 50),
	       yard_times_us(&r->times, 99));
}

static int usage(void)
{
	fputs("usage: bench_limit ADDRESS:PORT [--trips 4|2|1] [--bdat 1]\n"
	      "       [--sessions N] [--messages N] [--size OCTETS]\n"
	      "       [--rate N]: so many a second, over one session\n",
	      stderr);
	return EX_USAGE;
}

static bool options(struct run *r, int argc, char **argv)
{
	const struct yard_option known[] = {
		{ "--trips", &r->trips, 1, 4 },
		{ "--bdat", &r->bdat, 0, 1 },
		{ "--sessions", &r->sessions, 1, SESSIONS_MAX },
		{ "--messages", &r->messages, 1, UINT32_MAX },
		{ "--size", &r->size, 64, 16u << 20 },
		{ "--rate", &r->rate, 0, 1000000 },
		{ NULL, NULL, 0, 0 },
	};

	if (argc < 2 || !yard_options(known, argc - 2, argv + 2))
		return false;
	if (r->rate > 0)
		r->sessions = 1;
	r->pace.rate = r->rate;
	return (r->trips == 1 || r->trips == 2 || r->trips == 4) &&
	       sink_address_parse(&r->server, argv[1], 25);
}

int main(int argc, char **argv)
{
	struct run r = {
		.sessions = 16, .messages = 500000, .size = 4096, .trips = 1
	};
	struct session *sessions;
	uint64_t i, opened = 0;
	size_t k;
	int err = 0;

	if (!options(&r, argc, argv))
		return usage();
	plan_make(&r);
	sessions = calloc(r.sessions, sizeof(*sessions));
	r.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (sessions == NULL || r.epoll_fd < 0 || yard_times_init(&r.times) < 0)
		return EX_OSERR;
	for (i = 0; i < r.sessions && err == 0; i++, opened++)
		err = session_open(&r, &sessions[i]);
	if (err == 0)
		err = drive(&r);
	if (err == 0)
		report(&r);
	else
		fprintf(stderr, "limit: %s\n", strerrordesc_np(-err));
	for (i = 0; i < opened; i++)
		close(sessions[i].fd);
	for (k = 0; k < r.plan.count; k++)
		buf_free(&r.plan.flights[k].octets);
	close(r.epoll_fd);
	yard_times_free(&r.times);
	free(sessions);
	return err == 0 ? EX_OK : EX_UNAVAILABLE;
}
