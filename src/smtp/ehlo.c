/*
 * smtp/ehlo.c - what a server offers
 *
 *	line = keyword *( SP parameter ), letters without their case
 *
 * Unknown keywords and parameters are skipped; a number that cannot be read
 * counts as not told.
 */
#include "smtp/ehlo.h"

#include "base/bug.h"

static const struct {
	struct span word;
	uint32_t cap;
} keywords[] = {
	{ { "PIPELINING", 10 }, SMTP_CAP_PIPELINING },
	{ { "STARTTLS", 8 }, SMTP_CAP_STARTTLS },
	{ { "8BITMIME", 8 }, SMTP_CAP_8BITMIME },
	{ { "SMTPUTF8", 8 }, SMTP_CAP_SMTPUTF8 },
	{ { "SIZE", 4 }, SMTP_CAP_SIZE },
	{ { "DSN", 3 }, SMTP_CAP_DSN },
	{ { "CHUNKING", 8 }, SMTP_CAP_CHUNKING },
	{ { "LIMITS", 6 }, SMTP_CAP_LIMITS },
	{ { "ENHANCEDSTATUSCODES", 19 }, SMTP_CAP_ENHANCED },
};

/* Cut off what stands before the first c, and c. */
static struct span cut(struct span *rest, char c)
{
	ptrdiff_t at = span_find(*rest, c);
	struct span head = *rest;

	if (at < 0) {
		*rest = (struct span){ rest->p + rest->len, 0 };
		return head;
	}
	head.len = (size_t)at;
	rest->p += at + 1;
	rest->len -= (size_t)at + 1;
	return head;
}

static void read_limit(struct span word, struct smtp_ehlo *e)
{
	struct span name = cut(&word, '=');
	uint64_t value;

	if (!span_u64(word, UINT32_MAX, &value))
		return;
	if (span_eq_nocase(name, SPAN("RCPTMAX")))
		e->rcpts_max = (uint32_t)value;
	else if (span_eq_nocase(name, SPAN("MAILMAX")))
		e->mails_max = (uint32_t)value;
}

static void read_line(struct span line, struct smtp_ehlo *e)
{
	struct span rest = span_trim(line), word = cut(&rest, ' ');
	uint32_t cap = 0;
	uint64_t size;
	size_t i;

	for (i = 0; i < ARRAY_LEN(keywords) && cap == 0; i++)
		if (span_eq_nocase(word, keywords[i].word))
			cap = keywords[i].cap;
	e->caps |= cap;
	if (cap == SMTP_CAP_SIZE && span_u64(rest, UINT64_MAX, &size))
		e->size_max = size;
	while (cap == SMTP_CAP_LIMITS && rest.len > 0)
		read_limit(cut(&rest, ' '), e);
}

void smtp_ehlo_parse(struct span text, struct smtp_ehlo *ehlo_r)
{
	struct smtp_ehlo e = { 0 };

	cut(&text, '\n');
	while (text.len > 0)
		read_line(cut(&text, '\n'), &e);
	*ehlo_r = e;
}
