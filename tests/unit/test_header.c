/*
 * tests/unit/test_header.c - header sections, address lists, parts, dates,
 * mbox files
 */
#include "mail/date.h"
#include "mail/header.h"
#include "mail/mbox.h"
#include "mail/mime.h"

#include "base/buf.h"
#include "base/hash.h"

#include <check.h>
#include <stdlib.h>

/* The section as "name=value|", then "#" and the body; CR and LF as "/". */
static struct buf show_section(struct span message)
{
	struct header_scan s;
	struct header_field f;
	struct buf b;
	size_t i, total = 0;

	buf_init(&b, 65536);
	header_scan_init(&s, message);
	while (header_scan_next(&s, &f)) {
		buf_add_span(&b, f.name);
		buf_add_char(&b, '=');
		buf_add_span(&b, f.value);
		buf_add_char(&b, '|');
		ck_assert_ptr_eq(f.whole.p, message.p + total);
		total += f.whole.len;
	}
	ck_assert_uint_eq(header_scan_section(&s).len, total);
	ck_assert(!header_scan_next(&s, &f));
	buf_add_char(&b, '#');
	buf_add_span(&b, header_scan_body(&s));
	for (i = 0; i < b.len; i++)
		if (b.p[i] == '\r' || b.p[i] == '\n')
			b.p[i] = '/';
	return b;
}

START_TEST(header_sections)
{
	const struct {
		struct span message;
		const char *want;
	} rows[] = {
		{ SPAN("A: b\r\nC:d\r\n\r\nbody\r\n"), "A= b|C=d|#body//" },
		{ SPAN("A: b\nC:d\n\nbody"), "A= b|C=d|#body" },
		{ SPAN("A: b\rC:d\r\rbody"), "A= b|C=d|#body" },
		{ SPAN("A: b\r\n c\r\n\td\r\nE: f\r\n\r\n"),
		  "A= b// c//\td|E= f|#" },
		{ SPAN("A \t: b\n\n"), "A= b|#" },
		{ SPAN("A: b"), "A= b|#" },
		{ SPAN("A:\n\n\nx"), "A=|#/x" },
		/* a broken fold belongs to the field before it */
		{ SPAN("A: b\nrest\nC: d\n\nx"), "A= b/rest|C= d|#x" },
		{ SPAN("A: b\nno field: x\n\nx"), "A= b/no field: x|#x" },
		{ SPAN("A: b\n: x\n\nx"), "A= b/: x|#x" },
		/* no header section */
		{ SPAN("hello\nA: b\n\nx"), "#hello/A: b//x" },
		{ SPAN(" A: b\n\nx"), "# A: b//x" },
		{ SPAN("\nA: b\n"), "#A: b/" },
		{ SPAN("\r\n\r\nx"), "#//x" },
		{ SPAN(""), "#" },
		{ { NULL, 0 }, "#" },
		{ SPAN("\xc3\xa4: b\n\n"), "\xc3\xa4= b|#" },
		{ SPAN("a:b:c\n\n"), "a=b:c|#" },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf b = show_section(rows[i].message);

		ck_assert_msg(span_eq(buf_span(&b), span_str(rows[i].want)),
			      "%s: %.*s", rows[i].want, (int)b.len, b.p);
		buf_free(&b);
	}
}
END_TEST

START_TEST(header_find_first)
{
	struct header_field f;
	struct span m = SPAN("to: a\nTo: b\n\nCc: body\n");

	ck_assert(header_find(m, SPAN("TO"), &f));
	ck_assert(span_eq(f.value, SPAN(" a")));
	ck_assert(!header_find(m, SPAN("Cc"), &f));
	ck_assert(!header_find(m, SPAN("T"), &f));
}
END_TEST

START_TEST(address_lists)
{
	const struct {
		const char *value, *want; /* "!" is an item without address */
	} rows[] = {
		{ " a@b", "a@b " },
		{ "a@b, c@d", "a@b c@d " },
		{ ",, a@b,,c@d,", "a@b c@d " },
		{ "Joe Q. Public <john.q@example.com>", "john.q@example.com " },
		{ "\"Joe, Q.\" <a@b>, c@d", "a@b c@d " },
		{ "\"a \\\" <x@y>\" <a@b>", "a@b " },
		{ "=?utf-8?q?J=C3=B6,?= <a@b>", "! a@b " },
		{ "Who? <one@y.test>,\r\n\t<two@z>", "one@y.test two@z " },
		{ "A Group:Ed Jones <joe@where.test>,j@one.test;, x@y",
		  "joe@where.test j@one.test x@y " },
		{ "Undisclosed recipients:;", "" },
		{ "G: ;, a@b", "a@b " },
		{ "Pete(A wonderful \\) chap) <pete(his account)@silly.test(h)>",
		  "pete@silly.test " },
		{ "(nested (comment) here) a@b (c, d@e)", "a@b " },
		{ "<@node.test,@b.test:mary@example.net>",
		  "mary@example.net " },
		{ "John Doe <jdoe@machine(comment).  example>",
		  "jdoe@machine.example " },
		{ "john . doe @ example . net", "john.doe@example.net " },
		{ "\"quoted local\"@b", "\"quoted local\"@b " },
		{ "\"a,b;c:d<e\"@b, f@g", "\"a,b;c:d<e\"@b f@g " },
		{ "joe@[127.0.0.1]", "joe@[127.0.0.1] " },
		{ "<joe@[IPv6:::1]>, a@b", "joe@[IPv6:::1] a@b " },
		{ "Mary Smith\r\n__\r\n  <mary@example.net>",
		  "mary@example.net " },
		{ "no address here, a@b", "! a@b " },
		{ "Joe Public a@b", "! " },
		{ "Broken <a@b, c@d", "! c@d " },
		{ "<>", "! " },
		{ "\"never closed <a@b>, c@d", "! " },
		{ "(never closed a@b", "" },
		{ "a@b; c@d", "a@b c@d " },
		{ "mailto@x <y@z> trailing", "y@z " },
		{ "a@b:c@d", "a@b:c@d " },
		{ "", "" },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct header_addrs a;
		struct buf b;
		int got;

		buf_init(&b, 4096);
		header_addrs_init(&a, span_str(rows[i].value));
		while ((got = header_addrs_next(&a)) != 0) {
			if (got > 0)
				buf_add(&b, a.text, a.len);
			else
				buf_add_char(&b, '!');
			buf_add_char(&b, ' ');
		}
		ck_assert_msg(span_eq(buf_span(&b), span_str(rows[i].want)),
			      "%s: %.*s", rows[i].value, (int)b.len, b.p);
		buf_free(&b);
	}
}
END_TEST

START_TEST(address_list_limits)
{
	static char value[1 << 20];
	static const char odd[] = "<[(\":@,;";
	struct header_addrs a;
	size_t i, n;

	memset(value, 'x', sizeof(value));
	value[HEADER_ADDR_MAX - 2] = '@';
	header_addrs_init(&a, span_of(value, HEADER_ADDR_MAX));
	ck_assert_int_eq(header_addrs_next(&a), 1);
	ck_assert_uint_eq(a.len, HEADER_ADDR_MAX);
	header_addrs_init(&a, span_of(value, HEADER_ADDR_MAX + 1));
	ck_assert_int_eq(header_addrs_next(&a), -1);
	ck_assert_int_eq(header_addrs_next(&a), 0);
	/* A megabyte of anything ends soon (the test has a time limit). */
	for (i = 0; i < sizeof(odd) - 1; i++) {
		memset(value, odd[i], sizeof(value));
		header_addrs_init(&a, span_of(value, sizeof(value)));
		for (n = 0; header_addrs_next(&a) != 0; n++)
			ck_assert_uint_le(n, sizeof(value));
	}
}
END_TEST

/* Parts as "kind encoding sealed [delimiter|section|gap|body]". */
static struct buf show_parts(struct span message)
{
	static struct mime_walk w;
	struct mime_part p;
	struct buf b;
	size_t i;

	buf_init(&b, 65536);
	mime_walk_init(&w, message);
	while (mime_walk_next(&w, &p)) {
		buf_printf(&b, "%c%c%s[", p.kind == MIME_LEAF ? 'L' : 'O',
			   "i6q?"[p.encoding], p.sealed ? "s" : "");
		buf_add_span(&b, p.delimiter);
		buf_add_char(&b, '|');
		buf_add_span(&b, p.section);
		buf_add_char(&b, '|');
		buf_add_span(&b, p.gap);
		buf_add_char(&b, '|');
		buf_add_span(&b, p.body);
		buf_add_char(&b, ']');
	}
	for (i = 0; i < b.len; i++)
		if (b.p[i] == '\n')
			b.p[i] = '/';
	return b;
}

#define MULTI(sub, b) "Content-Type: multipart/" sub "; boundary=" b "\n"
#define SHOWN(sub, b) "Content-Type: multipart/" sub "; boundary=" b "/"

START_TEST(mime_parts)
{
	const struct {
		struct span message;
		const char *want;
	} rows[] = {
		{ SPAN("A: b\n\nbody\n"), "Li[|A: b/|/|body/]" },
		{ SPAN("body"), "Li[|||body]" },
		{ SPAN("Content-Transfer-Encoding: BASE64 (x)\n\nb"),
		  "L6[|Content-Transfer-Encoding: BASE64 (x)/|/|b]" },
		{ SPAN(MULTI("mixed", "b") "\npre\n--b\n\none\n--b\n"
					   "X: y\n\ntwo\n--b--\npost\n"),
		  "Oi[|" SHOWN("mixed", "b") "|/|pre]Li[--b/||/|one]"
					     "Li[--b/|X: y/|/|two]"
					     "Oi[--b--/|||post/]" },
		/* quotes, comments; blanks behind; no line before */
		{ SPAN(MULTI("mixed", "\"b \\\"c\" (x)") "\n--b \"c \t\n\n1\n"),
		  "Oi[|" SHOWN("mixed",
			       "\"b \\\"c\" (x)") "|/|]"
						  "Li[--b \"c \t/||/|1/]" },
		/* similar boundaries are others */
		{ SPAN(MULTI("mixed", "b") "\n--bb\n--b-\n--b\n\n--b--x\n"),
		  "Oi[|" SHOWN("mixed", "b") "|/|--bb/--b-]"
					     "Li[--b/||/|--b--x/]" },
		/* the outer delimiter closes the inner multipart */
		{ SPAN(MULTI("mixed", "a") "\n--a\n" MULTI(
			  "x", "b") "\n--b\n\n1\n--a\n\n2\n--a--\n"),
		  "Oi[|" SHOWN("mixed", "a") "|/|]Oi[--a/|" SHOWN(
			  "x",
			  "b") "|/|]Li[--b/||/|1]Li[--a/||/|2]Oi[--a--/|||]" },
		/* sealed: within signed, of type message, in a digest */
		{ SPAN(MULTI("signed", "a") "\n--a\n\n1\n--a--\n"),
		  "Ois[|" SHOWN("signed", "a") "|/|]Lis[--a/||/|1]"
					       "Oi[--a--/|||]" },
		{ SPAN("Content-Type: Message/RFC822\n\nA: b\n"),
		  "Lis[|Content-Type: Message/RFC822/|/|A: b/]" },
		{ SPAN(MULTI("digest", "a") "\n--a\n\nA: b\n"),
		  "Oi[|" SHOWN("digest", "a") "|/|]Lis[--a/||/|A: b/]" },
		/* no boundary, or none that is usable */
		{ SPAN("Content-Type: multipart/mixed\n\n--\n"),
		  "Oi[|Content-Type: multipart/mixed/|/|--/]" },
		/* a delimiter ends a header section */
		{ SPAN(MULTI("mixed", "b") "--b\nX: y\n--b--\n"),
		  "Oi[|" SHOWN("mixed", "b") "--b/X: y/--b--/||]" },
		{ SPAN(MULTI("mixed", "b") "\n--b\nX: y\n--b\nz\n"),
		  "Oi[|" SHOWN("mixed", "b") "|/|]Li[--b/|X: y/||]"
					     "Li[--b/|||z/]" },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf b = show_parts(rows[i].message);

		ck_assert_msg(span_eq(buf_span(&b), span_str(rows[i].want)),
			      "expected %s\n     got %.*s", rows[i].want,
			      (int)b.len, b.p);
		buf_free(&b);
	}
}
END_TEST

START_TEST(mime_depth_is_capped)
{
	static struct mime_walk w;
	struct mime_part p;
	struct buf b;
	int i, deepest = 0, others = 0;

	buf_init(&b, 1 << 20);
	for (i = 0; i < 1000; i++)
		buf_printf(&b, MULTI("mixed", "b%d") "\n--b%d\n", i, i);
	mime_walk_init(&w, buf_span(&b));
	while (mime_walk_next(&w, &p)) {
		deepest = w.depth > deepest ? w.depth : deepest;
		others += p.kind == MIME_OTHER;
	}
	ck_assert_int_eq(deepest, MIME_DEPTH_MAX);
	ck_assert_int_eq(others, MIME_DEPTH_MAX + 1);
	buf_free(&b);
}
END_TEST

START_TEST(dates)
{
	const struct {
		int64_t unix_s;
		const char *want;
	} rows[] = {
		{ 0, "Thu, 01 Jan 1970 00:00:00 +0000" },
		{ -5, "Thu, 01 Jan 1970 00:00:00 +0000" },
		{ 951782399, "Mon, 28 Feb 2000 23:59:59 +0000" },
		{ 951782400, "Tue, 29 Feb 2000 00:00:00 +0000" },
		{ 951868800, "Wed, 01 Mar 2000 00:00:00 +0000" },
		{ 1795364840, "Sun, 22 Nov 2026 16:27:20 +0000" },
		{ 4107542399, "Sun, 28 Feb 2100 23:59:59 +0000" },
		{ 4107542400, "Mon, 01 Mar 2100 00:00:00 +0000" },
		{ INT64_C(253402300799), "Fri, 31 Dec 9999 23:59:59 +0000" },
		{ INT64_MAX, "Fri, 31 Dec 9999 23:59:59 +0000" },
	};
	char text[DATE_OCTETS];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		date_print(rows[i].unix_s, text);
		ck_assert_str_eq(text, rows[i].want);
	}
}
END_TEST

#define FL "From a Mon Jan  1 00:00:00 2001\n"

/* "{" message "}" ..., "!" broken; fed in pieces of at most step octets. */
static struct buf show_mbox(struct span file, bool unescape, size_t step,
			    uint64_t *doubtful_r)
{
	enum mbox_event what;
	struct span input = span_of(file.p, 0), s;
	const char *end = file.p + file.len;
	struct mbox m;
	struct buf b;
	size_t fed = 0;
	bool last = false, over = false;

	buf_init(&b, 65536);
	mbox_init(&m, unescape);
	while (!over) {
		what = mbox_next(&m, &input, last, &s);
		if (what == MBOX_BEGIN)
			buf_add_char(&b, '{');
		else if (what == MBOX_TEXT)
			buf_add_span(&b, s);
		else if (what == MBOX_END)
			buf_add_char(&b, '}');
		else if (what == MBOX_BROKEN)
			buf_add_char(&b, '!');
		over = what == MBOX_BROKEN || (what == MBOX_MORE && last);
		ck_assert_msg(b.failed == 0, "endless");
		if (what != MBOX_MORE)
			continue;
		ck_assert_uint_lt(input.len, MBOX_LOOK);
		fed += file.len - fed < step ? file.len - fed : step;
		input.len = (size_t)(file.p + fed - input.p);
		last = file.p + fed == end;
	}
	*doubtful_r = m.doubtful;
	return b;
}

START_TEST(mbox_files)
{
	const struct {
		struct span file;
		const char *want;
		bool unescape;
		uint64_t doubtful;
	} rows[] = {
		{ SPAN(FL "A: b\n\nx\n\n" FL "C: d\n\ny\n\n"),
		  "{A: b\n\nx\n}{C: d\n\ny\n}", false, 0 },
		{ SPAN("From x\nA: b\n\nx"), "{A: b\n\nx}", false, 0 },
		{ SPAN("From x\r\nA: b\r\n\r\nx\r\n\r\nFrom y 1:23 1999\r\nC"),
		  "{A: b\r\n\r\nx\r\n}{C}", false, 0 },
		{ SPAN("A: b\n\nx\n"), "!", false, 0 },
		{ SPAN("Fro"), "!", false, 0 },
		{ SPAN(""), "", false, 0 },
		{ SPAN(FL), "{}", false, 0 },
		{ SPAN(FL "\n" FL "\n"), "{}{}", false, 0 },
		{ SPAN(FL "x\n\nFrom here on\ny\n"), "{x\n\nFrom here on\ny\n}",
		  false, 1 },
		{ SPAN(FL "x\n" FL "y\n"), "{x\n" FL "y\n}", false, 1 },
		{ SPAN(FL "x\n\n\n\n" FL "y\n"), "{x\n\n\n}{y\n}", false, 0 },
		{ SPAN(FL ">From a\n>>From b\n>x\n\n>From c"),
		  "{From a\n>From b\n>x\n\nFrom c}", true, 0 },
		{ SPAN(FL ">From a\n>>From b\n"), "{>From a\n>>From b\n}",
		  false, 0 },
		{ SPAN(FL "x\n\n\r"), "{x\n\n\r}", false, 0 },
		{ SPAN(FL "x\n\nFrom"), "{x\n\nFrom}", false, 0 },
	};
	size_t i, step;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (step = 1; step < 200; step += step < 40 ? 1 : 100) {
			uint64_t doubtful;
			struct buf b = show_mbox(rows[i].file, rows[i].unescape,
						 step, &doubtful);

			ck_assert_msg(
				span_eq(buf_span(&b), span_str(rows[i].want)),
				"step %zu: expected %s, got %.*s", step,
				rows[i].want, (int)b.len, b.p);
			ck_assert_uint_eq(doubtful, rows[i].doubtful);
			buf_free(&b);
		}
	}
}
END_TEST

START_TEST(mbox_long_from_line_is_text)
{
	static char file[8192];
	uint64_t doubtful;
	struct buf b;

	memset(file, 'x', sizeof(file));
	memcpy(file, FL "\n\nFrom 1:23 1999", sizeof(FL) - 1 + 16);
	b = show_mbox(span_of(file, sizeof(file)), false, 500, &doubtful);
	ck_assert_uint_eq(b.len, sizeof(file) - sizeof(FL) + 1 + 2);
	ck_assert_uint_eq(doubtful, 1);
	buf_free(&b);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("header");
	TCase *tc = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tc, 20);
	tcase_add_test(tc, header_sections);
	tcase_add_test(tc, header_find_first);
	tcase_add_test(tc, address_lists);
	tcase_add_test(tc, address_list_limits);
	tcase_add_test(tc, mime_parts);
	tcase_add_test(tc, mime_depth_is_capped);
	tcase_add_test(tc, dates);
	tcase_add_test(tc, mbox_files);
	tcase_add_test(tc, mbox_long_from_line_is_text);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
