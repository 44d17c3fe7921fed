/*
 * tests/fuzz/fuzz_wire.c - from any message to the octets behind DATA
 *
 * The canonical form goes through a session, and a server that reads by the
 * letter of RFC 5321 section 4.5.2 takes the dots off again: it must have
 * what was given, and no octet of the mail may end it early, however loosely
 * lines are told apart (LF, CR or both).
 *
 * First octet: how many octets of content a piece has (0: as they come).
 * Second: how often the message goes into the mail, so that it outgrows one
 * batch.  The rest is the message.
 */
#include "base/bug.h"
#include "base/buf.h"
#include "mail/canon.h"
#include "mtaq/smtp.h"

#include <stdlib.h>

#define PIECES_MAX  20000
#define REPEATS_MAX 8u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct wire {
	struct smtp_session *s;
	struct buf said; /* by us, behind 354 */
	unsigned taken;
};

static struct iovec pieces[PIECES_MAX];

static bool is_end(char c)
{
	return c == '\r' || c == '\n';
}

/* Nothing but the last octets may look like the end. */
static void check_end(struct span w)
{
	size_t i;

	BUG_ON(w.len < 5 || memcmp(w.p + w.len - 5, "\r\n.\r\n", 5) != 0);
	for (i = 0; i + 2 < w.len - 2; i++)
		BUG_ON(w.p[i + 1] == '.' && is_end(w.p[i]) &&
		       is_end(w.p[i + 2]));
	BUG_ON(w.p[0] == '.' && is_end(w.p[1]));
}

/* What a server stores of w, without the dot that ends it. */
static void unstuff(struct span w, struct buf *out)
{
	bool head = true;
	size_t i;

	for (i = 0; i + 3 < w.len; i++) {
		if (!head || w.p[i] != '.')
			BUG_ON(buf_add_char(out, w.p[i]) < 0);
		head = w.p[i] == '\n' && i > 0 && w.p[i - 1] == '\r';
	}
}

static void see_events(struct wire *w)
{
	struct smtp_event ev;

	while (smtp_session_event(w->s, &ev))
		if (ev.type == SMTP_EV_RCPT) {
			BUG_ON(ev.verdict.result != SMTP_ACCEPTED);
			w->taken++;
		}
}

/* Let all out that wants out. */
static void drain(struct wire *w)
{
	struct iovec iov[SMTP_IOV_MAX];
	int i, n;

	see_events(w);
	while ((n = smtp_session_output(w->s, iov, SMTP_OUT_MIN, false, 0)) >
	       0) {
		for (i = 0; i < n; i++)
			BUG_ON(buf_add(&w->said, iov[i].iov_base,
				       iov[i].iov_len) < 0);
		smtp_session_sent(w->s, 0);
		see_events(w);
	}
}

static void answer(struct wire *w, const char *text)
{
	size_t len = strlen(text);

	buf_clear(&w->said);
	BUG_ON(smtp_session_input(w->s, text, len, 0) != len);
	drain(w);
}

static uint32_t cut(const struct canon_result *res, size_t step, unsigned times)
{
	uint32_t n = 0;
	size_t at, len;
	int i;

	while (times-- > 0)
		for (i = 0; i < res->count; i++)
			for (at = 0; at < res->pieces[i].iov_len; at += len) {
				if (n == PIECES_MAX)
					return 0;
				len = res->pieces[i].iov_len - at;
				if (step > 0 && len > step)
					len = step;
				pieces[n].iov_base =
					(char *)res->pieces[i].iov_base + at;
				pieces[n++].iov_len = len;
			}
	return n;
}

static void send(struct wire *w, const struct canon_result *res, uint32_t count,
		 unsigned times)
{
	static const struct smtp_rcpt rcpt = { SPAN("r@x"), SPAN("") };
	struct smtp_mail m = { .sender = SPAN("s@y"),
			       .rcpts = &rcpt,
			       .rcpt_count = 1,
			       .content = pieces,
			       .content_count = count,
			       .content_bytes = res->size * times };

	if ((res->flags & CANON_DOTS) != 0)
		m.flags = SMTP_MAIL_DOTS;
	answer(w, "220 mx\r\n");
	answer(w, "250 mx\r\n");
	BUG_ON(smtp_session_mail(w->s, &m, 0) != 0);
	drain(w);
	answer(w, "250 ok\r\n");
	answer(w, "250 ok\r\n");
	answer(w, "354 go\r\n");
}

static void play(const struct canon_result *res, uint32_t count, unsigned times)
{
	const struct smtp_settings set = { .hostname = SPAN("f") };
	struct smtp_pool *pool = smtp_pool_new(1);
	struct wire w = { .s = smtp_session_new(&set, pool, 0) };
	struct buf got;
	size_t at = 0;
	uint32_t i;

	BUG_ON(pool == NULL || w.s == NULL);
	buf_init(&w.said, 1 << 28);
	buf_init(&got, 1 << 28);
	send(&w, res, count, times);
	check_end(buf_span(&w.said));
	unstuff(buf_span(&w.said), &got);
	BUG_ON(got.len != res->size * times);
	for (i = 0; i < count; at += pieces[i++].iov_len)
		BUG_ON(memcmp(got.p + at, pieces[i].iov_base,
			      pieces[i].iov_len) != 0);
	answer(&w, "250 ok\r\n");
	BUG_ON(w.taken != 1);
	smtp_session_free(&w.s);
	smtp_pool_free(&pool);
	buf_free(&w.said);
	buf_free(&got);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct canon *canon;
	const struct canon_settings set = { .unique = SPAN("u"),
					    .id_domain = SPAN("x"),
					    .sender = SPAN("s@y"),
					    .from_add = true };
	struct canon_result res;
	unsigned times;
	uint32_t count;

	if (canon == NULL)
		canon = canon_new();
	if (canon == NULL || size < 3 ||
	    canon_make(canon, &set, span_of(data + 2, size - 2), &res) !=
		    CANON_OK)
		return 0;
	times = 1 + data[1] % REPEATS_MAX;
	count = cut(&res, data[0], times);
	if (count > 0)
		play(&res, count, times);
	return 0;
}
