/*
 * tests/fuzz/fuzz_ehlo.c - arbitrary text as what a server offers
 *
 * The greeting line says nothing; case, blanks around a line and lines that
 * nobody knows change nothing; what two texts offer, they offer together.
 */
#include "base/bug.h"
#include "base/buf.h"
#include "smtp/ehlo.h"

#include <ctype.h>
#include <stdlib.h>

#define CAPS_ALL 0x1ffu

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct smtp_ehlo parse(const struct buf *b)
{
	struct smtp_ehlo e;

	BUG_ON(b->failed < 0);
	smtp_ehlo_parse(buf_span(b), &e);
	return e;
}

static bool same(const struct smtp_ehlo *a, const struct smtp_ehlo *b)
{
	return a->caps == b->caps && a->rcpts_max == b->rcpts_max &&
	       a->mails_max == b->mails_max && a->size_max == b->size_max;
}

static struct span next_line(struct span *rest)
{
	ptrdiff_t at = span_find(*rest, '\n');
	size_t len = at < 0 ? rest->len : (size_t)at;
	struct span line = span_of(rest->p, len);

	len += at >= 0;
	*rest = span_of(rest->p + len, rest->len - len);
	return line;
}

/* The lines behind the greeting in other letters, with blanks and strangers
 * between them. */
static void dress(struct span rest, struct buf *out)
{
	size_t i;

	(void)buf_add(out, "PIPELINING DSN", 14);
	while (rest.len > 0) {
		struct span line = next_line(&rest);

		(void)buf_add(out, "\n \t", 3);
		for (i = 0; i < line.len; i++) {
			int c = (unsigned char)line.p[i];

			c = c >= 'a' && c <= 'z' ? toupper(c) : tolower(c);
			(void)buf_add_char(out,
					   (char)(c < 128 ? c : line.p[i]));
		}
		(void)buf_add(out, " \nX-UNKNOWN SIZE 7 LIMITS MAILMAX=3", 36);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = span_of(data, size);
	struct buf b;
	struct smtp_ehlo one, other;

	if (size == 0)
		return 0;
	buf_init(&b, 1 << 28);
	(void)buf_add_span(&b, rest);
	one = parse(&b);
	BUG_ON((one.caps & ~CAPS_ALL) != 0);
	BUG_ON(one.size_max != 0 && (one.caps & SMTP_CAP_SIZE) == 0);
	BUG_ON((one.rcpts_max != 0 || one.mails_max != 0) &&
	       (one.caps & SMTP_CAP_LIMITS) == 0);

	(void)next_line(&rest);
	buf_clear(&b);
	dress(rest, &b);
	other = parse(&b);
	BUG_ON(!same(&one, &other));

	buf_clear(&b);
	(void)buf_add(&b, "x\nDSN\n", 6);
	(void)buf_add_span(&b, rest);
	other = parse(&b);
	BUG_ON(other.caps != (one.caps | SMTP_CAP_DSN));
	buf_free(&b);
	return 0;
}
