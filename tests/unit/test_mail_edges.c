/*
 * tests/unit/test_mail_edges.c - rare spellings in headers, parts and mboxes
 */
#include "base/bug.h"
#include "mail/header.h"
#include "mail/mbox.h"
#include "mail/mime.h"

#include <check.h>
#include <stdio.h>

START_TEST(addresses_with_routes)
{
	static const struct {
		const char *in, *out;
		int what;
	} cases[] = {
		{ "<@a,@b:x@y>", "x@y", 1 },
		{ "x < @a,@\"b:c\" : x@y>", "x@y", 1 },
		{ "<\t @a:x@y>", "x@y", 1 },
	};
	struct header_addrs a;
	size_t i;

	for (i = 0; i < ARRAY_LEN(cases); i++) {
		header_addrs_init(&a, span_str(cases[i].in));
		ck_assert_int_eq(header_addrs_next(&a), cases[i].what);
		ck_assert_msg(
			span_eq(span_of(a.text, a.len), span_str(cases[i].out)),
			"%s: %.*s", cases[i].in, (int)a.len, a.text);
		ck_assert_int_eq(header_addrs_next(&a), 0);
	}
	/* A route that leads nowhere stays as it is: no address is valid that
	 * begins with "@". */
	header_addrs_init(&a, SPAN("<@a>"));
	ck_assert_int_eq(header_addrs_next(&a), 1);
	ck_assert(span_eq(span_of(a.text, a.len), SPAN("@a")));
}
END_TEST

static unsigned leaves(const char *type)
{
	static struct mime_walk w;
	struct mime_part p;
	char mail[500];
	unsigned n = 0;
	int len;

	len = snprintf(mail, sizeof(mail),
		       "Content-Type: %s\r\n\r\npre\r\n--b;\"\r\n\r\n1\r\n"
		       "--b;\"\r\n\r\n2\r\n--b;\"--\r\n",
		       type);
	ck_assert_int_lt(len, (int)sizeof(mail));
	mime_walk_init(&w, span_of(mail, (size_t)len));
	while (mime_walk_next(&w, &p))
		n += p.kind == MIME_LEAF;
	return n;
}

/* Comments, and backslashes in comments and quotes, hide what they hold. */
START_TEST(content_types_with_comments)
{
	static const struct {
		const char *type;
		unsigned leaves;
	} cases[] = {
		{ "multipart/mixed; boundary=\"b;\\\"\"", 2 },
		{ "(c\\)) multipart/mixed; boundary=\"b;\\\"\"", 2 },
		{ "multipart/mixed (\\); boundary=no); boundary=\"b;\\\"\"",
		  2 },
		{ "multipart/mixed; x=\"\\\"; boundary=no\"; "
		  "boundary=\"b;\\\"\"",
		  2 },
		{ "multipart/mixed (; boundary=\"b;\\\"\"", 0 },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(cases); i++)
		ck_assert_msg(leaves(cases[i].type) == cases[i].leaves,
			      "%s: %u leaves", cases[i].type,
			      leaves(cases[i].type));
}
END_TEST

START_TEST(a_broken_mbox_stays_broken)
{
	struct span in = SPAN("no mbox\n"), s;
	struct mbox m;

	mbox_init(&m, false);
	ck_assert_int_eq(mbox_next(&m, &in, true, &s), MBOX_BROKEN);
	in = span_str("From a Mon Jan  1 00:00:00 2001\n");
	ck_assert_int_eq(mbox_next(&m, &in, true, &s), MBOX_BROKEN);
	ck_assert_uint_eq(m.messages, 0);
	/* One that has ended stays so. */
	mbox_init(&m, false);
	ck_assert_int_eq(mbox_next(&m, &in, true, &s), MBOX_BEGIN);
	ck_assert_int_eq(mbox_next(&m, &in, true, &s), MBOX_END);
	ck_assert_int_eq(mbox_next(&m, &in, true, &s), MBOX_MORE);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mail_edges");
	TCase *tc = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, addresses_with_routes);
	tcase_add_test(tc, content_types_with_comments);
	tcase_add_test(tc, a_broken_mbox_stays_broken);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
