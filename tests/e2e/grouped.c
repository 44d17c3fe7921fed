/*
 * tests/e2e/grouped.c - the client session on a real socket, grouping or not
 *
 *	grouped ADDRESS PORT RECIPIENT MESSAGES yes|no
 *
 * Sends so many small messages over as many sessions as the server wants, one
 * after the other, and prints one JSON object: what became of them, and how
 * many went behind another's dot (rule 19): what servers make of it, without
 * the engine's rules of who earns it.  A message that a session could not
 * begin is given to the next one.
 */
#include "base/bug.h"
#include "mtaq/smtp.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define SESSIONS_MAX 1000
#define OUT_LIMIT    65536u

struct run {
	struct sockaddr_in to;
	struct smtp_settings set;
	struct smtp_pool *pool;
	struct smtp_rcpt rcpt;
	struct iovec content;
	unsigned wanted, given, sessions, groups;
	unsigned results[SMTP_RESULT_COUNT];
	unsigned again; /* not begun, or the session's end: given once more */
	/* the present session */
	int fd;
	struct smtp_session *session;
	bool ready, closed, full;
};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

static bool has_input(int fd)
{
	int n = 0;

	return ioctl(fd, FIONREAD, &n) == 0 && n > 0;
}

/* Rule 5: nothing came of it, whatever the session's end was. */
static bool goes_again(const struct smtp_verdict *v)
{
	return v->stage <= SMTP_STAGE_MAIL &&
	       (v->result == SMTP_LOST || v->code == 421 || v->code == 452);
}

static void take_events(struct run *r)
{
	struct smtp_event e;

	while (smtp_session_event(r->session, &e)) {
		if (e.type == SMTP_EV_READY) {
			r->ready = true;
		} else if (e.type == SMTP_EV_CLOSE) {
			r->closed = true;
		} else if (e.type == SMTP_EV_RCPT && goes_again(&e.verdict)) {
			r->again++;
			r->given--;
			r->full = true;
		} else if (e.type == SMTP_EV_RCPT) {
			r->results[e.verdict.result]++;
		}
	}
}

static void give_mails(struct run *r)
{
	struct smtp_mail mail = { .sender = SPAN("sender@from.test"),
				  .rcpts = &r->rcpt,
				  .rcpt_count = 1,
				  .content = &r->content,
				  .content_count = 1,
				  .content_bytes = r->content.iov_len };

	while (!r->closed && !r->full && r->given < r->wanted &&
	       smtp_session_room(r->session) > 0) {
		mail.tag = r->given;
		BUG_ON(smtp_session_mail(r->session, &mail, now_ms()) != 0);
		r->given++;
		r->ready = false;
	}
	if (r->ready && !r->closed) {
		smtp_session_quit(r->session, now_ms());
		r->ready = false;
	}
}

static bool send_batch(struct run *r)
{
	struct iovec iov[SMTP_IOV_MAX];
	struct msghdr m = { .msg_iov = iov };
	int n = smtp_session_output(r->session, iov, OUT_LIMIT,
				    has_input(r->fd), now_ms());
	size_t all = 0;
	ssize_t sent;
	int i;

	if (n == 0)
		return false;
	for (i = 0; i < n; i++)
		all += iov[i].iov_len;
	m.msg_iovlen = (size_t)n;
	sent = sendmsg(r->fd, &m, MSG_NOSIGNAL);
	/* A blocking socket sends all or breaks. */
	if (sent < 0 || (size_t)sent != all)
		smtp_session_eof(r->session);
	smtp_session_sent(r->session, now_ms());
	return true;
}

static void take_input(struct run *r)
{
	char buf[16384];
	uint64_t until = smtp_session_deadline(r->session), now = now_ms();
	struct pollfd p = { .fd = r->fd, .events = POLLIN };
	int wait = until == SMTP_NEVER ? 60000
		   : until > now       ? (int)(until - now)
				       : 0;
	size_t used, at = 0;
	ssize_t n;

	if (poll(&p, 1, wait) <= 0) {
		smtp_session_tick(r->session, now_ms());
		return;
	}
	n = recv(r->fd, buf, sizeof(buf), 0);
	if (n <= 0)
		smtp_session_eof(r->session);
	while (n > 0 && at < (size_t)n) {
		used = smtp_session_input(r->session, buf + at, (size_t)n - at,
					  now_ms());
		at += used;
		take_events(r);
	}
}

static int run_session(struct run *r)
{
	int one = 1;

	r->ready = r->closed = r->full = false;
	r->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (r->fd < 0 ||
	    connect(r->fd, (struct sockaddr *)&r->to, sizeof(r->to)) < 0)
		return -1;
	setsockopt(r->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	r->session = smtp_session_new(&r->set, r->pool, now_ms());
	BUG_ON(r->session == NULL);
	while (!r->closed) {
		take_events(r);
		give_mails(r);
		if (!r->closed && !send_batch(r))
			take_input(r);
		take_events(r);
	}
	r->sessions++;
	r->groups += smtp_session_info(r->session).groups;
	smtp_session_free(&r->session);
	close(r->fd);
	return 0;
}

static void tell(const struct run *r, uint64_t took_ms)
{
	enum smtp_result i;

	printf("{\"messages\": %u, \"sessions\": %u, \"groups\": %u, "
	       "\"again\": %u, \"ms\": %llu",
	       r->wanted, r->sessions, r->groups, r->again,
	       (unsigned long long)took_ms);
	for (i = 0; i < SMTP_RESULT_COUNT; i++)
		printf(", \"%s\": %u", smtp_result_name(i), r->results[i]);
	printf("}\n");
}

int main(int argc, char **argv)
{
	static char text[] = "From: sender@from.test\r\nSubject: grouped\r\n"
			     "\r\nOne of many.\r\n";
	struct run r = { .set = { .hostname = SPAN("mail.test"),
				  .pipelining = true },
			 .content = { text, sizeof(text) - 1 } };
	uint64_t start = now_ms();

	if (argc != 6)
		return 64;
	r.to.sin_family = AF_INET;
	r.to.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
	if (inet_pton(AF_INET, argv[1], &r.to.sin_addr) != 1)
		return 64;
	r.rcpt.address = span_str(argv[3]);
	r.wanted = (unsigned)strtoul(argv[4], NULL, 10);
	r.set.grouping = strcmp(argv[5], "yes") == 0;
	r.pool = smtp_pool_new(1);
	BUG_ON(r.pool == NULL);
	while (r.given < r.wanted && r.sessions < SESSIONS_MAX)
		if (run_session(&r) < 0)
			return 69;
	tell(&r, now_ms() - start);
	smtp_pool_free(&r.pool);
	return 0;
}
