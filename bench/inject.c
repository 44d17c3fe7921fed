/*
 * bench/inject.c - the messages of `mtaq load`, handed over by SMTP
 *
 * The one client for all servers of bench/compare.sh that take mail by SMTP.
 * Each session takes the next message, sends MAIL, RCPT and DATA in one flight
 * where PIPELINING is offered and one after the other where not, and waits for
 * the answer to the dot.  A session that is refused or loses its connection
 * comes back after RETRY_MS with the same message; after --per-session messages
 * it says QUIT and opens a new connection.
 *
 *	CLOSED -> GREETING -> EHLO -> ENVELOPE -> CONTENT -+-> QUIT -> CLOSED
 *	                                 ^                 |
 *	                                 +-----------------+
 *
 * What was acknowledged is written as --accepted does for `mtaq load`, with
 * "-" for the id and the hash: the server's Received line changes it.
 */
#include "bench/load_message.h"
#include "bench/sink_config.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define SESSIONS_MAX 1024u
#define RETRY_MS     100
#define SILENCE_MS   60000 /* nobody answers anything: given up */
#define EVENTS       256

enum state {
	CLOSED,
	GREETING,
	EHLO,
	ENVELOPE,
	CONTENT,
	QUIT
};

struct session {
	enum state state;
	int fd;
	bool writing, pipelining, has_message;
	uint32_t replies;      /* to the envelope, so far */
	uint64_t carried;      /* messages over this connection */
	int64_t not_before_ms; /* CLOSED */
	struct load_message msg;
	struct buf out;
	size_t sent;
	char line[512];
	size_t line_len;
};

struct run {
	struct sink_address server;
	struct load_config cfg;
	uint64_t sessions, per_session;
	struct session *all;
	int epoll_fd;
	FILE *accepted_file;
	uint64_t next; /* message to be taken */
	uint64_t accepted, refused, broken, unsure;
	char words[256]; /* of the last refusal */
};

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int64_t now_ms(void)
{
	return (int64_t)(now_s() * 1000);
}

/* --- connections -------------------------------------------------------- */

static void session_close(struct session *s)
{
	if (s->state == CLOSED)
		return;
	close(s->fd);
	s->state = CLOSED;
	s->not_before_ms = now_ms() + (s->has_message ? RETRY_MS : 0);
}

static int session_watch(struct run *r, struct session *s, int op)
{
	struct epoll_event ev = { .data.ptr = s };

	ev.events = s->writing ? EPOLLIN | EPOLLOUT : EPOLLIN;
	return epoll_ctl(r->epoll_fd, op, s->fd, &ev) < 0 ? -errno : 0;
}

static int session_open(struct run *r, struct session *s)
{
	int one = 1, fd;

	fd = socket(r->server.sa.ss_family,
		    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (struct sockaddr *)&r->server.sa, r->server.sa_len) <
		    0 &&
	    errno != EINPROGRESS) {
		int err = -errno;

		close(fd);
		return err;
	}
	s->fd = fd;
	s->state = GREETING;
	s->writing = s->pipelining = false;
	s->carried = 0;
	s->line_len = s->sent = 0;
	buf_clear(&s->out);
	return session_watch(r, s, EPOLL_CTL_ADD);
}

/* What is left of s->out.  A connection that breaks is seen when it is read. */
static void session_send(struct run *r, struct session *s)
{
	bool blocked;
	ssize_t n = 0;

	while (s->sent < s->out.len) {
		n = send(s->fd, s->out.p + s->sent, s->out.len - s->sent,
			 MSG_NOSIGNAL);
		if (n < 0)
			break;
		s->sent += (size_t)n;
	}
	blocked = n < 0 && errno == EAGAIN;
	if (blocked != s->writing) {
		s->writing = blocked;
		(void)session_watch(r, s, EPOLL_CTL_MOD);
	}
}

static void say(struct run *r, struct session *s, const char *text)
{
	buf_clear(&s->out);
	s->sent = 0;
	buf_add_span(&s->out, span_str(text));
	session_send(r, s);
}

/* --- the dialogue ------------------------------------------------------- */

static void say_envelope(struct run *r, struct session *s)
{
	buf_clear(&s->out);
	s->sent = 0;
	if (s->pipelining || s->replies == 0)
		buf_printf(&s->out, "MAIL FROM:<%s>\r\n", r->cfg.from);
	if (s->pipelining || s->replies == 1)
		buf_printf(&s->out, "RCPT TO:<%.*s>\r\n",
			   (int)s->msg.rcpts[0].len, s->msg.rcpts[0].p);
	if (s->pipelining || s->replies == 2)
		buf_printf(&s->out, "DATA\r\n");
	session_send(r, s);
}

/* The next message over this connection, or its end. */
static void go_on(struct run *r, struct session *s)
{
	if (!s->has_message && r->next < r->cfg.messages &&
	    s->carried < r->per_session) {
		load_message_make(&s->msg, &r->cfg, r->cfg.start + r->next++);
		s->has_message = true;
	}
	if (s->has_message) {
		s->state = ENVELOPE;
		s->replies = 0;
		say_envelope(r, s);
	} else {
		s->state = QUIT;
		say(r, s, "QUIT\r\n");
	}
}

static void say_content(struct run *r, struct session *s)
{
	s->state = CONTENT;
	buf_clear(&s->out);
	s->sent = 0;
	/* No line of these messages begins with a dot (cfg.dots). */
	buf_add_span(&s->out, buf_span(&s->msg.content));
	buf_add_span(&s->out, SPAN(".\r\n"));
	session_send(r, s);
}

static void acknowledged(struct run *r, struct session *s)
{
	r->accepted++;
	s->carried++;
	s->has_message = false;
	if (r->accepted_file != NULL)
		fprintf(r->accepted_file, "-\t%.*s\t%.*s\t-\n",
			(int)s->msg.token.len, s->msg.token.p,
			(int)s->msg.rcpts[0].len, s->msg.rcpts[0].p);
	go_on(r, s);
}

/* One line that ends a reply; the lines before it matter in EHLO only. */
static void take_reply(struct run *r, struct session *s)
{
	if (s->state == QUIT) {
		session_close(s);
	} else if (s->line[0] != '2' && s->line[0] != '3') {
		r->refused++;
		snprintf(r->words, sizeof(r->words), "%.*s", (int)s->line_len,
			 s->line);
		session_close(s);
	} else if (s->state == GREETING) {
		s->state = EHLO;
		say(r, s, "EHLO inject.test\r\n");
	} else if (s->state == EHLO) {
		go_on(r, s);
	} else if (s->state == CONTENT) {
		acknowledged(r, s);
	} else if (++s->replies == 3) {
		say_content(r, s);
	} else if (!s->pipelining) {
		say_envelope(r, s);
	}
}

static void take_line(struct run *r, struct session *s)
{
	if (s->line_len < 4)
		return;
	if (s->state == EHLO &&
	    span_eq_nocase(span_of(s->line + 4, s->line_len - 4),
			   SPAN("PIPELINING")))
		s->pipelining = true;
	if (s->line[3] != '-')
		take_reply(r, s);
}

static void broken(struct run *r, struct session *s)
{
	if (s->state == CONTENT)
		r->unsure++;
	if (s->state != QUIT)
		r->broken++;
	session_close(s);
}

static void session_read(struct run *r, struct session *s)
{
	char in[16384];
	ssize_t i, n = recv(s->fd, in, sizeof(in), 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		broken(r, s);
		return;
	}
	for (i = 0; i < n && s->state != CLOSED; i++) {
		if (in[i] == '\n') {
			take_line(r, s);
			s->line_len = 0;
		} else if (in[i] != '\r' && s->line_len < sizeof(s->line)) {
			s->line[s->line_len++] = in[i];
		}
	}
}

/* --- all of them -------------------------------------------------------- */

/* Open what is closed and has something to do. */
static void open_sessions(struct run *r)
{
	uint64_t i;

	for (i = 0; i < r->sessions; i++) {
		struct session *s = &r->all[i];
		bool wanted = s->has_message || r->next < r->cfg.messages;

		if (s->state == CLOSED && wanted &&
		    now_ms() >= s->not_before_ms && session_open(r, s) < 0) {
			r->broken++;
			s->not_before_ms = now_ms() + RETRY_MS;
		}
	}
}

static int drive(struct run *r)
{
	struct epoll_event events[EVENTS];
	int64_t heard_ms = now_ms();
	int i, n;

	/* Not until all sessions are closed: a server may never have come to
	 * the greeting of some. */
	while (r->accepted < r->cfg.messages) {
		open_sessions(r);
		n = epoll_wait(r->epoll_fd, events, EVENTS, RETRY_MS);
		if (n > 0)
			heard_ms = now_ms();
		else if (now_ms() - heard_ms > SILENCE_MS)
			return -ETIMEDOUT;
		for (i = 0; i < n; i++) {
			struct session *s = events[i].data.ptr;

			if (events[i].events & EPOLLOUT)
				session_send(r, s);
			if (events[i].events & ~(uint32_t)EPOLLOUT)
				session_read(r, s);
		}
	}
	return 0;
}

static void report(const struct run *r, double seconds)
{
	printf("{\"messages\":%llu,\"accepted\":%llu,\"refused\":%llu,"
	       "\"broken\":%llu,\"unsure\":%llu,\"seconds\":%.3f,"
	       "\"rate\":%.0f}\n",
	       (unsigned long long)r->cfg.messages,
	       (unsigned long long)r->accepted, (unsigned long long)r->refused,
	       (unsigned long long)r->broken, (unsigned long long)r->unsure,
	       seconds, seconds > 0 ? (double)r->accepted / seconds : 0.0);
	if (r->refused > 0)
		fprintf(stderr, "inject: refused %llu times, last: %s\n",
			(unsigned long long)r->refused, r->words);
}

/* --- the command line --------------------------------------------------- */

static int usage(void)
{
	fputs("usage: bench_inject ADDRESS:PORT [--messages N] [--sessions N]\n"
	      "       [--per-session N] [--size OCTETS] [--domains N]\n"
	      "       [--start N] [--tag WORD] [--accepted FILE]\n",
	      stderr);
	return EX_USAGE;
}

static bool option(struct run *r, const char *name, const char *value)
{
	const struct {
		const char *name;
		uint64_t *value, max;
	} numbers[] = {
		{ "--messages", &r->cfg.messages, UINT32_MAX },
		{ "--sessions", &r->sessions, SESSIONS_MAX },
		{ "--per-session", &r->per_session, UINT32_MAX },
		{ "--size", &r->cfg.size, 16u << 20 },
		{ "--domains", &r->cfg.domains, UINT32_MAX },
		{ "--start", &r->cfg.start, UINT32_MAX },
	};
	size_t k;

	for (k = 0; k < sizeof(numbers) / sizeof(numbers[0]); k++)
		if (strcmp(name, numbers[k].name) == 0)
			return span_u64(span_str(value), numbers[k].max,
					numbers[k].value) &&
			       (*numbers[k].value > 0 || k == 5);
	if (strcmp(name, "--tag") == 0)
		r->cfg.tag = value;
	else if (strcmp(name, "--accepted") == 0)
		r->cfg.accepted = value;
	else
		return false;
	return true;
}

static bool options(struct run *r, int argc, char **argv)
{
	int i;

	for (i = 2; i + 1 < argc; i += 2)
		if (!option(r, argv[i], argv[i + 1]))
			return false;
	return argc >= 2 && i == argc &&
	       sink_address_parse(&r->server, argv[1], 25);
}

static bool start(struct run *r)
{
	uint64_t i;

	r->all = calloc(r->sessions, sizeof(*r->all));
	r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (r->cfg.accepted != NULL)
		r->accepted_file = fopen(r->cfg.accepted, "a");
	/* Whoever ends this client counts the lines. */
	if (r->accepted_file != NULL)
		setvbuf(r->accepted_file, NULL, _IOLBF, BUFSIZ);
	if (r->all == NULL || r->epoll_fd < 0 ||
	    (r->cfg.accepted != NULL && r->accepted_file == NULL))
		return false;
	for (i = 0; i < r->sessions; i++) {
		load_message_init(&r->all[i].msg);
		buf_init(&r->all[i].out, 64u << 20);
	}
	return true;
}

static void end(struct run *r)
{
	uint64_t i;

	for (i = 0; i < r->sessions; i++) {
		session_close(&r->all[i]);
		load_message_free(&r->all[i].msg);
		buf_free(&r->all[i].out);
	}
	free(r->all);
	close(r->epoll_fd);
	if (r->accepted_file != NULL)
		fclose(r->accepted_file);
}

int main(int argc, char **argv)
{
	struct run r = { .cfg = { .from = "news@sender.test",
				  .zone = "test",
				  .tag = "load",
				  .messages = 1000,
				  .size = 4096,
				  .domains = 100,
				  .rcpts = 1 },
			 .sessions = 20,
			 .per_session = 100 };
	double begin_s;
	int err;

	if (!options(&r, argc, argv))
		return usage();
	if (!start(&r)) {
		fprintf(stderr, "inject: cannot start: %s\n",
			strerrordesc_np(errno));
		return EX_OSERR;
	}
	begin_s = now_s();
	err = drive(&r);
	report(&r, now_s() - begin_s);
	end(&r);
	if (err < 0)
		fprintf(stderr, "inject: %s\n", strerrordesc_np(-err));
	return err == 0 ? EX_OK : EX_TEMPFAIL;
}
