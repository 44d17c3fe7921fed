/*
 * bench/sink_ledger.c - lines of the ledger (bench/README.md has the columns)
 *
 * Made by hand, not by printf: 120,000 of them a second.
 */
#include "bench/sink_ledger.h"

#include <errno.h>
#include <unistd.h>

#define LINES_MAX (256u << 20)

static const char *const kind_names[] = { "ok", "withheld", "rej4", "rej5" };

void sink_ledger_init(struct sink_ledger *l, int fd, bool ok_only)
{
	buf_init(&l->lines, LINES_MAX);
	l->fd = fd;
	l->ok_only = ok_only;
	l->unit_us = 1000;
}

void sink_ledger_free(struct sink_ledger *l)
{
	buf_free(&l->lines);
}

static char *put_number(char *at, uint64_t n)
{
	char digits[20];
	size_t len = 0;

	do
		digits[len++] = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	while (len > 0)
		*at++ = digits[--len];
	*at++ = '\t';
	return at;
}

static char *put_hex32(char *at, uint32_t n)
{
	int shift;

	for (shift = 28; shift >= 0; shift -= 4)
		*at++ = "0123456789abcdef"[n >> shift & 15];
	return at;
}

/* Words of a client: controls would break the columns. */
static char *put_words(char *at, struct span s)
{
	size_t i;

	if (s.len == 0)
		*at++ = '-';
	for (i = 0; i < s.len; i++)
		*at++ = (unsigned char)s.p[i] <= ' ' || s.p[i] == 127 ? '?'
								      : s.p[i];
	*at++ = '\t';
	return at;
}

void sink_ledger_add(struct sink_ledger *l, const struct sink_entry *e)
{
	struct span server = span_str(e->server), stage = span_str(e->stage);
	struct span token = { NULL, 0 };
	char *at;

	if (l->fd < 0 || (l->ok_only && e->kind > SINK_WITHHELD))
		return;
	if (e->content != NULL)
		token = span_of(e->content->token, e->content->token_len);
	if (buf_reserve(&l->lines, 200 + token.len + e->recipient.len +
					   e->sender.len + server.len) < 0)
		return; /* lines.failed says so to sink_ledger_write() */
	at = l->lines.p + l->lines.len;
	at = put_number(at, e->now_us / l->unit_us);
	at = put_words(at, span_str(kind_names[e->kind]));
	at = put_words(at, token);
	at = put_words(at, e->recipient);
	if (e->content != NULL) {
		at = put_hex32(at, e->content->crc);
		*at++ = '.';
		at = put_number(at, e->content->len);
	} else {
		at = put_words(at, token);
	}
	at = put_number(at, e->transaction);
	at = put_number(at, e->session);
	at = put_words(at, server);
	at = put_words(at, stage);
	at = put_words(at, span_str(e->code));
	at = put_words(at, e->sender);
	at[-1] = '\n';
	l->lines.len = (size_t)(at - l->lines.p);
}

int sink_ledger_write(struct sink_ledger *l)
{
	size_t done = 0;
	int failed = l->lines.failed;

	while (failed == 0 && done < l->lines.len) {
		ssize_t n =
			write(l->fd, l->lines.p + done, l->lines.len - done);

		if (n > 0)
			done += (size_t)n;
		else if (n == 0 || errno != EINTR)
			failed = n == 0 ? -EIO : -errno;
	}
	buf_clear(&l->lines);
	return failed;
}
