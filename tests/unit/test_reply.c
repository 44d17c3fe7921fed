/*
 * tests/unit/test_reply.c - a reply is the same wherever it was cut
 *
 * A line that came whole is read in one step, one that came in parts by its
 * octets.  Each reply of the table is read whole, cut once at every place, and
 * octet by octet: all say the same, down to the last field.
 */
#include "smtp/reply.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEPT (SMTP_REPLY_LINE_KEPT - 4) /* of a line's text */

struct reading {
	int done;
	size_t used;
	struct smtp_reply r;
	char buf[SMTP_REPLY_BUF];
};

/* The first `first` octets at once, then step by step; each piece has memory
 * of its own, so that ASan sees who reads beyond it. */
static void read_cut(struct reading *x, struct span in, size_t first,
		     size_t step)
{
	size_t at = 0, n = first, used;

	memset(x, 0, sizeof(*x));
	smtp_reply_init(&x->r, x->buf);
	while (at < in.len && x->done == 0) {
		char *piece;

		n = n < in.len - at ? n : in.len - at;
		piece = malloc(n);
		ck_assert_ptr_nonnull(piece);
		memcpy(piece, in.p + at, n);
		used = 0;
		x->done = smtp_reply_input(&x->r, piece, n, &used);
		memset(piece, 'x', n); /* what it needs of it, it has */
		free(piece);
		ck_assert(x->done != 0 || used == n);
		x->used += used;
		at += n;
		n = step;
	}
}

static void must_agree(const struct reading *a, const struct reading *b,
		       struct span in)
{
	struct span ta = smtp_reply_text(&a->r), tb = smtp_reply_text(&b->r);

	ck_assert_msg(a->done == b->done, "%.*s", (int)in.len, in.p);
	if (a->done < 0)
		return;
	ck_assert_uint_eq(a->used, b->used);
	ck_assert_uint_eq(a->r.bytes, b->r.bytes);
	ck_assert_uint_eq(a->r.lines, b->r.lines);
	ck_assert_uint_eq(a->r.line_len, b->r.line_len);
	ck_assert_uint_eq(a->r.line_text, b->r.line_text);
	ck_assert_uint_eq(a->r.code, b->r.code);
	ck_assert_uint_eq(a->r.code_before, b->r.code_before);
	ck_assert_uint_eq(a->r.more, b->r.more);
	ck_assert_uint_eq(a->r.bare, b->r.bare);
	ck_assert_uint_eq(a->r.codes_differ, b->r.codes_differ);
	ck_assert_uint_eq(a->r.enhanced.cls, b->r.enhanced.cls);
	ck_assert_uint_eq(a->r.enhanced.subject, b->r.enhanced.subject);
	ck_assert_uint_eq(a->r.enhanced.detail, b->r.enhanced.detail);
	ck_assert_msg(span_eq(ta, tb), "%.*s: '%.*s', '%.*s'", (int)in.len,
		      in.p, (int)ta.len, ta.p, (int)tb.len, tb.p);
}

/* Read in every way; whole_r is what it says whole. */
static void read_all_ways(struct span in, struct reading *whole_r)
{
	static struct reading x;
	size_t cut;

	read_cut(whole_r, in, in.len, 1);
	read_cut(&x, in, 1, 1);
	must_agree(whole_r, &x, in);
	for (cut = 1; cut < in.len; cut++) {
		read_cut(&x, in, cut, in.len);
		must_agree(whole_r, &x, in);
	}
}

static struct reading whole;

static const struct {
	const char *in;
	int done;
	unsigned code;
	struct smtp_enhanced enhanced;
	const char *text;
} replies[] = {
	{ "250 2.1.0 Ok\r\n", 1, 250, { 2, 1, 0 }, "Ok" },
	{ "250 2.1.0 Ok\n", 1, 250, { 2, 1, 0 }, "Ok" },
	{ "250 2.1.0 Ok\r\r\n", 1, 250, { 2, 1, 0 }, "Ok\r" },
	{ "250 2.1.0 \r\n", 1, 250, { 2, 1, 0 }, "" },
	{ "250 2.1.0\r\n", 1, 250, { 2, 1, 0 }, "" },
	{ "250 2.1.0\n", 1, 250, { 2, 1, 0 }, "" },
	{ "250 2.1.05 x\r\n", 1, 250, { 2, 1, 5 }, "x" },
	{ "250 2.10.5 x\r\n", 1, 250, { 2, 10, 5 }, "x" },
	{ "250 2.999.999 x\r\n", 1, 250, { 2, 999, 999 }, "x" },
	{ "250 2.1.1000 x\r\n", 1, 250, { 0, 0, 0 }, "2.1.1000 x" },
	{ "250 2.1.0x\r\n", 1, 250, { 0, 0, 0 }, "2.1.0x" },
	{ "250 2.1. x\r\n", 1, 250, { 0, 0, 0 }, "2.1. x" },
	{ "250 2.x.0 x\r\n", 1, 250, { 0, 0, 0 }, "2.x.0 x" },
	{ "250 2.1x0 x\r\n", 1, 250, { 0, 0, 0 }, "2.1x0 x" },
	{ "250 2x1.0 x\r\n", 1, 250, { 0, 0, 0 }, "2x1.0 x" },
	{ "250 x.1.0 x\r\n", 1, 250, { 0, 0, 0 }, "x.1.0 x" },
	{ "250 5.1.0 Ok\r\n", 1, 250, { 0, 0, 0 }, "5.1.0 Ok" },
	{ "354 3.1.0 go\r\n", 1, 354, { 0, 0, 0 }, "3.1.0 go" },
	{ "354 End data with <CR><LF>.<CR><LF>\r\n",
	  1,
	  354,
	  { 0, 0, 0 },
	  "End data with <CR><LF>.<CR><LF>" },
	{ "451 4.7.1 wait 250 2.1.0\r\n",
	  1,
	  451,
	  { 4, 7, 1 },
	  "wait 250 2.1.0" },
	{ "550 \r\n", 1, 550, { 0, 0, 0 }, "" },
	{ "550 \n", 1, 550, { 0, 0, 0 }, "" },
	{ "550\r\n", 1, 550, { 0, 0, 0 }, "" },
	{ "550\n", 1, 550, { 0, 0, 0 }, "" },
	{ "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n", 1, 250, { 2, 1, 0 }, "Ok" },
	{ "250-mx\r\n250-SIZE 1\r\n250 DSN\r\n",
	  1,
	  250,
	  { 0, 0, 0 },
	  "mx\nSIZE 1\nDSN" },
	{ "550-5.1.1 no\r\n550 5.1.1 body\r\n",
	  1,
	  550,
	  { 5, 1, 1 },
	  "no\nbody" },
	{ "550-5.1.1 no\r\n450 4.1.1 body\r\n",
	  1,
	  450,
	  { 4, 1, 1 },
	  "no\nbody" },
	{ "550-5.1.1 no\r\n450 body\r\n", 1, 450, { 0, 0, 0 }, "no\nbody" },
	{ "250-\r\n250-\n250\r\n", 1, 250, { 0, 0, 0 }, "\n\n" },
	{ "250 2.1.0 O", 0, 250, { 0, 0, 0 }, "" },
	{ "250-mx\r\n", 0, 250, { 0, 0, 0 }, "" },
	{ "199 x\r\n", -1, 0, { 0, 0, 0 }, "" },
	{ "600 x\r\n", -1, 0, { 0, 0, 0 }, "" },
	{ "25x x\r\n", -1, 0, { 0, 0, 0 }, "" },
	{ "2x0 x\r\n", -1, 0, { 0, 0, 0 }, "" },
	{ "250x\r\n", -1, 0, { 0, 0, 0 }, "" },
	{ "250\rx\n", -1, 0, { 0, 0, 0 }, "" },
	{ "250-mx\r\n 250 x\r\n", -1, 0, { 0, 0, 0 }, "" },
	{ "\r\n", -1, 0, { 0, 0, 0 }, "" },
};

START_TEST(the_cuts_do_not_matter)
{
	struct span in = span_str(replies[_i].in);

	read_all_ways(in, &whole);
	ck_assert_msg(whole.done == replies[_i].done, "%s", replies[_i].in);
	if (whole.done <= 0)
		return;
	ck_assert_uint_eq(whole.r.code, replies[_i].code);
	ck_assert_uint_eq(whole.r.enhanced.cls, replies[_i].enhanced.cls);
	ck_assert_uint_eq(whole.r.enhanced.subject,
			  replies[_i].enhanced.subject);
	ck_assert_uint_eq(whole.r.enhanced.detail, replies[_i].enhanced.detail);
	ck_assert_msg(
		span_eq(smtp_reply_text(&whole.r), span_str(replies[_i].text)),
		"%s", replies[_i].in);
}
END_TEST

/* Around the octets that are kept of one: CR stands before, at and behind. */
START_TEST(long_lines_lose_the_same)
{
	static char in[SMTP_REPLY_LINE_KEPT * 2 + 16];
	size_t n = KEPT - 4 + (size_t)_i, at, kept;

	at = (size_t)snprintf(in, sizeof(in), "250-");
	memset(in + at, 'a', n);
	at += n;
	at += (size_t)snprintf(in + at, sizeof(in) - at, "\r\n250 ");
	memset(in + at, 'b', n);
	at += n;
	in[at++] = '\r';
	in[at++] = '\n';
	read_all_ways(span_of(in, at), &whole);
	ck_assert_int_eq(whole.done, 1);
	kept = n < KEPT ? n : KEPT;
	ck_assert_uint_eq(whole.r.text_len, 2 * kept + 1);
	ck_assert_int_eq(whole.buf[kept - 1], 'a');
	ck_assert_int_eq(whole.buf[kept], '\n');
	ck_assert_int_eq(whole.buf[2 * kept], 'b');
}
END_TEST

/* Rule 2: the cap is that of octets, whole or not. */
START_TEST(the_longest_reply)
{
	static char in[SMTP_REPLY_BYTES_MAX + 1];
	static struct reading x;
	size_t bytes = SMTP_REPLY_BYTES_MAX - 1 + (size_t)_i;

	memcpy(in, "250 ", 4);
	memset(in + 4, 'a', bytes - 5);
	in[bytes - 1] = '\n';
	read_cut(&whole, span_of(in, bytes), bytes, 1);
	read_cut(&x, span_of(in, bytes), 1, 1);
	must_agree(&whole, &x, span_of("", 0));
	ck_assert_int_eq(whole.done, bytes <= SMTP_REPLY_BYTES_MAX ? 1 : -1);
}
END_TEST

START_TEST(a_copy_takes_what_fits)
{
	char to[8] = "xxxxxxxx";

	read_cut(&whole, SPAN("250 2.0.0 word\r\n"), 16, 1);
	ck_assert_uint_eq(smtp_reply_copy(&whole.r, to, 3), 3);
	ck_assert_mem_eq(to, "worxxxxx", 8);
	ck_assert_uint_eq(smtp_reply_copy(&whole.r, to, 8), 4);
	ck_assert_mem_eq(to, "wordxxxx", 8);
	ck_assert_uint_eq(smtp_reply_copy(&whole.r, to, 0), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reply");
	TCase *tc = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, the_cuts_do_not_matter, 0,
			    (int)(sizeof(replies) / sizeof(replies[0])));
	tcase_add_loop_test(tc, long_lines_lose_the_same, 0, 9);
	tcase_add_loop_test(tc, the_longest_reply, 0, 3);
	tcase_add_test(tc, a_copy_takes_what_fits);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
