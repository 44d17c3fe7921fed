/*
 * tests/fuzz/fuzz_session.c - arbitrary octets from the server
 *
 * First octet: bit 0 holds back send completions now and then, bit 1 allows
 * grouping, bit 2 says that input is pending, bits 4 to 6 are the size of a
 * piece.  Bit 3 puts a good greeting and a first mail in front; with bit 7 they
 * offer CHUNKING and pass the proof, and mails of one recipient follow each
 * other.  The rest is what the server says.  Whatever it is, each recipient of each mail taken is
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
	bool accepted[MAILS], lent, quit, chunks;
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

static unsigned rcpts_of(const struct tally *t, unsigned mail)
{
	return t->chunks ? 1 : 1 + mail % RCPTS;
}

static void give_mails(struct tally *t)
{
	while (t->mails < MAILS &&
	       smtp_session_room(t->s) >= (t->chunks ? 1 : RCPTS)) {
		struct smtp_mail m = { .tag = t->mails,
				       .sender = SPAN("s@y"),
				       .rcpts = rcpts,
				       .rcpt_count = rcpts_of(t, t->mails),
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

/* The dot, or a chunk's command: its content stands behind it. */
static bool is_end(const struct iovec *v)
{
	static const char bdat[] = "BDAT 8 LAST\r\n";
	size_t len = sizeof(bdat) - 1;

	if (v->iov_len == 3)
		return memcmp(v->iov_base, ".\r\n", 3) == 0;
	return v->iov_len >= len &&
	       memcmp((const char *)v->iov_base + v->iov_len - len, bdat,
		      len) == 0;
}

static void output(struct tally *t, bool pending)
{
	struct iovec iov[SMTP_IOV_MAX];
	int i, n;

	if (t->lent || t->closed)
		return;
	n = smtp_session_output(t->s, iov, SMTP_OUT_MIN, pending, 0);
	for (i = 0; i < n; i++)
		t->dots += is_end(&iov[i]);
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

static void hear(struct tally *t, const char *const *says, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		output(t, false);
		sent(t);
		feed(t, says[i], strlen(says[i]));
	}
}

static void good_start(struct tally *t)
{
	static const char *const chunks[] = {
		"220 mx\r\n",
		("250-mx\r\n250-PIPELINING\r\n250-CHUNKING\r\n"
		 "250 ENHANCEDSTATUSCODES\r\n"),
		"503 5.5.1 no\r\n250 2.0.0 ok\r\n",
		"250 2.1.0 ok\r\n250 2.1.5 ok\r\n250 2.0.0 queued\r\n",
	};
	static const char *const says[] = {
		"220 mx\r\n",
		"250-mx\r\n250 PIPELINING\r\n",
		"250 ok\r\n250 ok\r\n354 go\r\n",
		"250 ok\r\n",
		"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n",
	};

	if (t->chunks)
		hear(t, chunks, sizeof(chunks) / sizeof(chunks[0]));
	else
		hear(t, says, sizeof(says) / sizeof(says[0]));
}

static void check_end(const struct tally *t)
{
	unsigned m, i;

	must(t->closed == 1);
	for (m = 0; m < t->mails; m++) {
		must(t->done[m] == 1);
		for (i = 0; i < rcpts_of(t, m); i++)
			must(t->settled[m][i] == 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t how = size > 0 ? data[0] : 0;
	const struct smtp_settings set = { .hostname = SPAN("f"),
					   .tls = SMTP_TLS_MAY,
					   .pipelining = true,
					   .grouping = how & 2,
					   .chunking = how & 0x80 };
	struct smtp_pool *pool = smtp_pool_new(RCPTS);
	struct tally t = { .s = smtp_session_new(&set, pool, 0),
			   .chunks = how & 0x80 };
	size_t at = 1, piece;

	must(t.s != NULL);
	if (t.chunks)
		smtp_session_set_ahead(t.s, 4);
	if (how & 8)
		good_start(&t);
	while (at < size && !t.closed) {
		if (!(how & 1) || (data[at] & 1))
			sent(&t);
		output(&t, how & 4);
		piece = 1 + (size_t)(how >> 4 & 7) * 6;
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
