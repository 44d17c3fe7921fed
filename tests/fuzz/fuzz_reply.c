/*
 * tests/fuzz/fuzz_reply.c - arbitrary octets as a reply
 *
 * Whole and octet by octet must agree on the result, the code, the enhanced
 * code and the text, and keep to the caps.
 */
#include "smtp/ehlo.h"
#include "smtp/reply.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

static int read_octets(struct smtp_reply *r, const uint8_t *data, size_t size,
		       size_t *used_r)
{
	size_t at = 0, used;
	int done = 0;

	while (at < size && done == 0) {
		done = smtp_reply_input(r, data + at, 1, &used);
		at++;
	}
	*used_r = at;
	return done;
}

static void check_whole(const struct smtp_reply *r)
{
	struct span text = smtp_reply_text(r);
	struct smtp_ehlo ehlo;

	must(r->code >= 200 && r->code <= 599);
	must(r->lines >= 1 && r->lines <= SMTP_REPLY_LINES_MAX);
	must(r->bytes <= SMTP_REPLY_BYTES_MAX && text.len < r->bytes);
	must(r->enhanced.cls == 0 || r->enhanced.cls == r->code / 100);
	must(r->enhanced.cls != 3);
	must(r->enhanced.subject <= 999 && r->enhanced.detail <= 999);
	smtp_ehlo_parse(text, &ehlo);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *buf[2] = { malloc(SMTP_REPLY_BUF), malloc(SMTP_REPLY_BUF) };
	struct smtp_reply a, b;
	size_t used_a = 0, used_b = 0;
	int done_a, done_b;

	must(buf[0] != NULL && buf[1] != NULL);
	smtp_reply_init(&a, buf[0]);
	smtp_reply_init(&b, buf[1]);
	done_a = smtp_reply_input(&a, data, size, &used_a);
	done_b = read_octets(&b, data, size, &used_b);
	must(done_a == done_b);
	if (done_a > 0) {
		must(used_a == used_b && a.code == b.code);
		must(a.codes_differ == b.codes_differ);
		must(span_eq(smtp_reply_text(&a), smtp_reply_text(&b)));
		must(a.enhanced.cls == b.enhanced.cls &&
		     a.enhanced.subject == b.enhanced.subject &&
		     a.enhanced.detail == b.enhanced.detail);
		check_whole(&a);
	} else if (done_a == 0) {
		must(used_a == size);
	}
	free(buf[0]);
	free(buf[1]);
	return 0;
}
