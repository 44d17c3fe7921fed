/*
 * tests/fuzz/fuzz_session.c - arbitrary octets from the server
 *
 * First octet: bit 0 holds back send completions now and then, bit 1 allows
 * grouping, bit 2 says that input is pending, bits 4 to 7 are the size of a
 * piece.  Bit 3 puts a good greeting and a first mail in front.  The rest is
 * what the server says.  Whatever it is, each recipient of each mail taken is
 * settled once, each mail done once, the close comes once and last, and
 * nothing is accepted whose dot was not lent.
 */
#include "mtaq/smtp.h"

#include <stdlib.h>

#define RCPTS 3
#define MAILS 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

struct tally {
	struct smtp_session *s;
	unsigned mails, dots, accepted_mails;
	int settled[MAILS][RCPTS], done[MAILS], closed;
	bool accepted[MAILS], lent, quit;
};

static const struct smtp_rcpt rcpts[RCPTS] = {
	{ { "a@x", 3 }, { NULL, 0 } },
	{ { "b@x", 3 }, { " NOTIFY=NEVER", 13 } },
	{ { "c@x", 3 }, { NULL, 0 } },
};
static const struct iovec content[2] = {
	{ (void *)(uintptr_t) "hi\r\n", 4 },
	{ (void *)(uintptr_t) ".x\r\n", 4 },
};

static void give_mails(struct tally *t)
{
	while (t->mails < MAILS && smtp_session_room(t->s) >= RCPTS) {
		struct smtp_mail m = { .tag = t->mails,
				       .sender = SPAN("s@y"),
				       .rcpts = rcpts,
				       .rcpt_count = 1 + t->mails % RCPTS,
				       .flags = SMTP_MAIL_DOTS,
				       .content = content,
				       .content_count = 2,
				       .content_bytes = 8 };

		if (smtp_session_mail(t->s, &m, 0) < 0)
			return; /* SIZE */
		t->mails++;
	}
	if (t->mails == MAILS && !t->quit)
		t->quit = smtp_session_quit(t->s, 0) == 0;
}

static void on_rcpt(struct tally *t, const struct smtp_event *ev)
{
	must(t->done[ev->tag] == 0 && ev->rcpt < RCPTS);
	must(t->settled[ev->tag][ev->rcpt]++ == 0);
	if (ev->verdict.result == SMTP_ACCEPTED && !t->accepted[ev->tag]) {
		t->accepted[ev->tag] = true;
		must(++t->accepted_mails <= t->dots);
	}
}

static void events(struct tally *t)
{
	struct smtp_event ev;

	while (smtp_session_event(t->s, &ev)) {
		must(!t->closed);
		must(ev.type == SMTP_EV_RCPT || !t->lent);
		if (ev.type == SMTP_EV_RCPT)
			on_rcpt(t, &ev);
		else if (ev.type == SMTP_EV_MAIL_DONE)
			must(t->done[ev.tag]++ == 0);
		else if (ev.type == SMTP_EV_TLS)
			smtp_session_tls_done(t->s, true, 0);
		else if (ev.type == SMTP_EV_CLOSE)
			t->closed++;
	}
	if (!t->closed)
		give_mails(t);
}

static void output(struct tally *t, bool pending)
{
	struct iovec iov[SMTP_IOV_MAX];
	int i, n;

	if (t->lent || t->closed)
		return;
	n = smtp_session_output(t->s, iov, SMTP_OUT_MIN, pending, 0);
	for (i = 0; i < n; i++)
		if (iov[i].iov_len == 3 &&
		    memcmp(iov[i].iov_base, ".\r\n", 3) == 0)
			t->dots++;
	t->lent = n > 0;
	events(t);
}

static void sent(struct tally *t)
{
	if (!t->lent)
		return;
	t->lent = false;
	smtp_session_sent(t->s, 0);
	events(t);
}

static void feed(struct tally *t, const void *data, size_t size)
{
	const char *p = data;

	while (size > 0 && !t->closed) {
		size_t used = smtp_session_input(t->s, p, size, 0);

		p += used;
		size -= used;
		events(t);
	}
}

static void good_start(struct tally *t)
{
	static const char *const says[] = {
		"220 mx\r\n",
		"250-mx\r\n250 PIPELINING\r\n",
		"250 ok\r\n250 ok\r\n354 go\r\n",
		"250 ok\r\n",
		"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n",
	};
	size_t i;

	for (i = 0; i < sizeof(says) / sizeof(says[0]); i++) {
		output(t, false);
		sent(t);
		feed(t, says[i], strlen(says[i]));
	}
}

static void check_end(const struct tally *t)
{
	unsigned m, i;

	must(t->closed == 1);
	for (m = 0; m < t->mails; m++) {
		must(t->done[m] == 1);
		for (i = 0; i < 1 + m % RCPTS; i++)
			must(t->settled[m][i] == 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t how = size > 0 ? data[0] : 0;
	const struct smtp_settings set = { .hostname = SPAN("f"),
					   .tls = SMTP_TLS_MAY,
					   .pipelining = true,
					   .grouping = how & 2 };
	struct smtp_pool *pool = smtp_pool_new(RCPTS);
	struct tally t = { .s = smtp_session_new(&set, pool, 0) };
	size_t at = 1, piece;

	must(t.s != NULL);
	if (how & 8)
		good_start(&t);
	while (at < size && !t.closed) {
		if (!(how & 1) || (data[at] & 1))
			sent(&t);
		output(&t, how & 4);
		piece = 1 + (size_t)(how >> 4) * 3;
		if (piece > size - at)
			piece = size - at;
		feed(&t, data + at, piece);
		at += piece;
	}
	smtp_session_eof(t.s);
	events(&t);
	sent(&t);
	check_end(&t);
	smtp_session_free(&t.s);
	smtp_pool_free(&pool);
	return 0;
}
