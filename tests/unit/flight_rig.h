#ifndef MTAQ_TESTS_FLIGHT_RIG_H
#define MTAQ_TESTS_FLIGHT_RIG_H

/* A session with a flight under way, and a server whose replies to it are
 * known beforehand: for the tests that play every order of them. */
#include "mtaq/smtp.h"

#include <check.h>
#include <string.h>

#define FLIGHT_MAILS   3 /* of tag 1 on; tag 0 is not looked at */
#define FLIGHT_RCPTS   3
#define FLIGHT_REPLIES (4 * FLIGHT_MAILS)

enum flight_how {
	FLIGHT_PACKET,
	FLIGHT_LINES,
	FLIGHT_OCTETS,
	FLIGHT_HOW_COUNT
};

struct flight {
	const char *reply[FLIGHT_REPLIES];
	int replies, close_after; /* -1: it does not close */
	enum flight_how how;
	struct smtp_pool *pool;
	struct smtp_session *s;
	uint64_t now_ms;
	bool gone, closed, distrust;
	char todo[4096]; /* the server's octets that were not yet read */
	size_t todo_len;
	char said[4096]; /* ours */
	size_t said_len;
	int settled[FLIGHT_MAILS][FLIGHT_RCPTS], done[FLIGHT_MAILS];
	enum smtp_result result[FLIGHT_MAILS][FLIGHT_RCPTS];
};

/* --- the replies ------------------------------------------------------- */

static inline void flight_insert(struct flight *f, int at, const char *reply)
{
	memmove(&f->reply[at + 1], &f->reply[at],
		(size_t)(f->replies - at) * sizeof(f->reply[0]));
	f->reply[at] = reply;
	f->replies++;
}

static inline void flight_leave_out(struct flight *f, int at)
{
	f->replies--;
	memmove(&f->reply[at], &f->reply[at + 1],
		(size_t)(f->replies - at) * sizeof(f->reply[0]));
}

/* How many come before a close. */
static inline int flight_seen(const struct flight *f)
{
	return f->close_after >= 0 && f->close_after < f->replies
		       ? f->close_after
		       : f->replies;
}

static inline void flight_say(struct flight *f, const char *text)
{
	size_t n = strlen(text);

	ck_assert_uint_le(f->todo_len + n + 2, sizeof(f->todo));
	memcpy(f->todo + f->todo_len, text, n);
	memcpy(f->todo + f->todo_len + n, "\r\n", 2);
	f->todo_len += n + 2;
}

/* --- the caller -------------------------------------------------------- */

static inline void flight_drain(struct flight *f)
{
	struct smtp_event ev;

	while (smtp_session_event(f->s, &ev)) {
		unsigned m = (unsigned)ev.tag - 1;

		if (ev.type == SMTP_EV_RCPT && ev.tag > 0) {
			ck_assert_int_eq(f->done[m], 0);
			f->settled[m][ev.rcpt]++;
			f->result[m][ev.rcpt] = ev.verdict.result;
		} else if (ev.type == SMTP_EV_MAIL_DONE && ev.tag > 0) {
			f->done[m]++;
		} else if (ev.type == SMTP_EV_CLOSE) {
			f->closed = true;
			f->distrust = ev.distrust;
		}
	}
}

static inline void flight_write(struct flight *f)
{
	struct iovec v[SMTP_IOV_MAX];
	int i, n;

	flight_drain(f);
	while ((n = smtp_session_output(f->s, v, SMTP_OUT_MIN, f->todo_len > 0,
					f->now_ms)) > 0) {
		for (i = 0; i < n; i++) {
			memcpy(f->said + f->said_len, v[i].iov_base,
			       v[i].iov_len);
			f->said_len += v[i].iov_len;
		}
		smtp_session_sent(f->s, f->now_ms);
		flight_drain(f);
	}
}

static inline void flight_input(struct flight *f, const char *text, size_t len)
{
	size_t at = 0;

	while (at < len && !f->closed) {
		at += smtp_session_input(f->s, text + at, len - at, f->now_ms);
		if (at < len && smtp_session_gathers(f->s))
			continue; /* as the engine does */
		flight_drain(f);
	}
}

static inline void flight_hear(struct flight *f, const char *text)
{
	flight_input(f, text, strlen(text));
	flight_write(f);
}

/* A mail of four octets to the first `n` recipients. */
static inline void flight_give(struct flight *f, uint64_t tag, uint32_t n)
{
	static const struct smtp_rcpt rcpts[FLIGHT_RCPTS] = {
		{ { "a@x", 3 }, { NULL, 0 } },
		{ { "b@x", 3 }, { NULL, 0 } },
		{ { "c@x", 3 }, { NULL, 0 } },
	};
	static const struct iovec content = { (void *)(uintptr_t) "hi\r\n", 4 };
	struct smtp_mail m = { .tag = tag,
			       .sender = SPAN("s@y"),
			       .rcpts = rcpts,
			       .rcpt_count = n,
			       .content = &content,
			       .content_count = 1,
			       .content_bytes = 4 };

	ck_assert_int_eq(smtp_session_mail(f->s, &m, f->now_ms), 0);
}

/* One packet, line or octet of what the server has said. */
static inline void flight_read(struct flight *f)
{
	char some[sizeof(f->todo)];
	size_t n = f->todo_len;

	if (f->how == FLIGHT_LINES)
		n = (size_t)((char *)memchr(f->todo, '\n', n) - f->todo) + 1;
	else if (f->how == FLIGHT_OCTETS)
		n = 1;
	memcpy(some, f->todo, n);
	f->todo_len -= n;
	memmove(f->todo, f->todo + n, f->todo_len);
	flight_input(f, some, n);
}

/* What was said behind the flight, a line a call; false: no whole one. */
static inline bool flight_line(struct flight *f, char line[4096], size_t *len_r)
{
	char *nl = memchr(f->said, '\n', f->said_len);

	if (f->gone || nl == NULL)
		return false;
	*len_r = (size_t)(nl - f->said) + 1;
	memcpy(line, f->said, *len_r);
	f->said_len -= *len_r;
	memmove(f->said, f->said + *len_r, f->said_len);
	return true;
}

/* One step of the session: octets, the end, or the time until its deadline
 * (when `ticks`).  False: it waits for nothing. */
static inline bool flight_step(struct flight *f, bool ticks)
{
	if (f->todo_len > 0) {
		flight_read(f);
	} else if (f->gone) {
		smtp_session_eof(f->s);
	} else if (ticks && smtp_session_deadline(f->s) != SMTP_NEVER) {
		f->now_ms = smtp_session_deadline(f->s);
		smtp_session_tick(f->s, f->now_ms);
	} else {
		return false;
	}
	return true;
}

static inline void flight_free(struct flight *f)
{
	smtp_session_free(&f->s);
	smtp_pool_free(&f->pool);
}

/* What comes behind chunks is a command: RSET. */
static inline void flight_read_reset(struct flight *f)
{
	char line[4096];
	size_t len;

	while (flight_line(f, line, &len)) {
		ck_assert_mem_eq(line, "RSET\r\n", 6);
		flight_say(f, "250 2.0.0 ok");
	}
}

#endif
