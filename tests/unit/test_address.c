/*
 * tests/unit/test_address.c - rule 26: addresses, checked by one function
 */
#include "smtp/address.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

struct row {
	struct span text;
	unsigned flags;
	enum address_error error;
};

#define ROW(text, flags, error)                                                \
	{                                                                      \
		SPAN(text), flags, error                                       \
	}
#define CHECK_ROWS(rows)                                                       \
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)            \
	check_row(&rows[i])

static void check_row(const struct row *row)
{
	struct address a;
	enum address_error err = address_parse(row->text, row->flags, &a);

	ck_assert_msg(err == row->error, "%.*s: %s, expected %s",
		      (int)row->text.len, row->text.p, address_error_words(err),
		      address_error_words(row->error));
	if (err != ADDRESS_OK || a.null)
		return;
	/* The parts are the whole. */
	ck_assert_uint_eq(a.local.len + 1 + a.domain.len, row->text.len);
	ck_assert_ptr_eq(a.local.p, row->text.p);
	ck_assert_ptr_eq(a.domain.p, row->text.p + a.local.len + 1);
}

START_TEST(rule_26_good_addresses)
{
	const struct row rows[] = {
		ROW("a@b", 0, ADDRESS_OK),
		ROW("joe.q+tag@Example.COM", 0, ADDRESS_OK),
		ROW("!#$%&'*+-/=?^_`{|}~@example.net", 0, ADDRESS_OK),
		ROW("\"\"@example.net", 0, ADDRESS_OK),
		ROW("\"a b\"@example.net", 0, ADDRESS_OK),
		ROW("\"a@b\\\"c\\\\\"@example.net", 0, ADDRESS_OK),
		ROW("a@_dmarc.x-y.example", 0, ADDRESS_OK),
		ROW("a@[127.0.0.1]", 0, ADDRESS_OK),
		ROW("a@[255.255.255.255]", 0, ADDRESS_OK),
		ROW("a@[IPv6:::]", 0, ADDRESS_OK),
		ROW("a@[IPv6:::1]", 0, ADDRESS_OK),
		ROW("a@[ipv6:1::]", 0, ADDRESS_OK),
		ROW("a@[IPv6:1:2:3:4:5:6:7:8]", 0, ADDRESS_OK),
		ROW("a@[IPv6:2001:db8::ff00:42:8329]", 0, ADDRESS_OK),
		ROW("a@[IPv6:::ffff:1.2.3.4]", 0, ADDRESS_OK),
		ROW("a@[IPv6:1:2:3:4:5:6:1.2.3.4]", 0, ADDRESS_OK),
		ROW("", ADDRESS_NULL_OK, ADDRESS_OK),
	};

	CHECK_ROWS(rows);
}
END_TEST

START_TEST(rule_26_no_controls)
{
	const struct row rows[] = {
		ROW("a\r\n@example.net", 0, ADDRESS_CONTROL),
		ROW("a@example.net\r\nDATA", 0, ADDRESS_CONTROL),
		ROW("a\n@example.net", 0, ADDRESS_CONTROL),
		ROW("\"a\r\"@example.net", 0, ADDRESS_CONTROL),
		ROW("a\0@example.net", 0, ADDRESS_CONTROL),
		ROW("a@example.net\0", 0, ADDRESS_CONTROL),
		ROW("\"a\tb\"@example.net", 0, ADDRESS_CONTROL),
		ROW("a@example.net\x7f", 0, ADDRESS_CONTROL),
		ROW("\"\\\x01\"@example.net", 0, ADDRESS_CONTROL),
		/* C1 controls are controls in UTF-8 too. */
		ROW("\xc2\x85@example.net", ADDRESS_UTF8_OK, ADDRESS_BAD_UTF8),
	};

	CHECK_ROWS(rows);
}
END_TEST

START_TEST(rule_26_broken_addresses)
{
	const struct row rows[] = {
		ROW("", 0, ADDRESS_EMPTY),
		ROW("joe", 0, ADDRESS_NO_AT),
		ROW("\"joe@x\"", 0, ADDRESS_NO_AT),
		ROW("@example.net", 0, ADDRESS_LOCAL_EMPTY),
		ROW("@a,@b:joe@example.net", 0, ADDRESS_LOCAL_EMPTY),
		ROW("<joe@example.net>", 0, ADDRESS_LOCAL_SYNTAX),
		ROW("joe@example.net>", 0, ADDRESS_DOMAIN_SYNTAX),
		ROW("joe@example.net> SIZE=1", 0, ADDRESS_DOMAIN_SYNTAX),
		ROW("joe q@example.net", 0, ADDRESS_LOCAL_SYNTAX),
		ROW(" joe@example.net", 0, ADDRESS_LOCAL_SYNTAX),
		ROW("joe@example.net ", 0, ADDRESS_DOMAIN_SYNTAX),
		ROW(".joe@example.net", 0, ADDRESS_LOCAL_SYNTAX),
		ROW("joe.@example.net", 0, ADDRESS_LOCAL_SYNTAX),
		ROW("j..oe@example.net", 0, ADDRESS_LOCAL_SYNTAX),
		ROW("\"joe@example.net", 0, ADDRESS_LOCAL_SYNTAX),
		ROW("\"joe\"x@example.net", 0, ADDRESS_LOCAL_SYNTAX),
		ROW("j\"o\"e@example.net", 0, ADDRESS_LOCAL_SYNTAX),
		ROW("\"joe\\\"@example.net", 0, ADDRESS_LOCAL_SYNTAX),
		ROW("joe@", 0, ADDRESS_DOMAIN_EMPTY),
		ROW("a@b@c", 0, ADDRESS_DOMAIN_SYNTAX),
		ROW("a@.example", 0, ADDRESS_DOMAIN_SYNTAX),
		ROW("a@example.", 0, ADDRESS_DOMAIN_SYNTAX),
		ROW("a@exa..mple", 0, ADDRESS_DOMAIN_SYNTAX),
		ROW("a@-x.example", 0, ADDRESS_DOMAIN_SYNTAX),
		ROW("a@x-.example", 0, ADDRESS_DOMAIN_SYNTAX),
		ROW("a@x,y", 0, ADDRESS_DOMAIN_SYNTAX),
	};

	CHECK_ROWS(rows);
}
END_TEST

START_TEST(rule_26_broken_literals)
{
	const struct row rows[] = {
		ROW("a@[]", 0, ADDRESS_LITERAL_SYNTAX),
		ROW("a@[", 0, ADDRESS_LITERAL_SYNTAX),
		ROW("a@[127.0.0.1", 0, ADDRESS_LITERAL_SYNTAX),
		ROW("a@[127.0.0.1]x", 0, ADDRESS_LITERAL_SYNTAX),
		ROW("a@[127.0.0]", 0, ADDRESS_LITERAL_SYNTAX),
		ROW("a@[127.0.0.256]", 0, ADDRESS_LITERAL_SYNTAX),
		ROW("a@[127.0.0.1.1]", 0, ADDRESS_LITERAL_SYNTAX),
		ROW("a@[127.0.0.01]", 0, ADDRESS_LITERAL_SYNTAX),
		ROW("a@[127.0..1]", 0, ADDRESS_LITERAL_SYNTAX),
		ROW("a@[IPv6:]", 0, ADDRESS_LITERAL_SYNTAX),
		ROW("a@[IPv6:1]", 0, ADDRESS_LITERAL_SYNTAX),
		ROW("a@[IPv6:1:]", 0, ADDRESS_LITERAL_SYNTAX),
		ROW("a@[IPv6::1]", 0, ADDRESS_LITERAL_SYNTAX),
		ROW("a@[IPv6:1::2::3]", 0, ADDRESS_LITERAL_SYNTAX),
		ROW("a@[IPv6:1:::2]", 0, ADDRESS_LITERAL_SYNTAX),
		ROW("a@[IPv6:1:2:3:4:5:6:7:8:9]", 0, ADDRESS_LITERAL_SYNTAX),
		ROW("a@[IPv6:1::3:4:5:6:7:8:9]", 0, ADDRESS_LITERAL_SYNTAX),
		ROW("a@[IPv6:12345::]", 0, ADDRESS_LITERAL_SYNTAX),
		ROW("a@[IPv6:1.2.3.4]", 0, ADDRESS_LITERAL_SYNTAX),
		ROW("a@[IPv6:g::]", 0, ADDRESS_LITERAL_SYNTAX),
		ROW("a@[tag:x]", 0, ADDRESS_LITERAL_SYNTAX),
		ROW("a@[2001:db8::1]", 0, ADDRESS_LITERAL_SYNTAX),
	};

	CHECK_ROWS(rows);
}
END_TEST

/* "x...@y.y.y" of the lengths given; labels of 50 octets and a rest. */
static enum address_error parse_sized(size_t local, size_t domain)
{
	char text[1200];
	struct address a;
	size_t i;

	memset(text, 'x', sizeof(text));
	text[local] = '@';
	for (i = 50; i + 1 < domain; i += 51)
		text[local + 1 + i] = '.';
	return address_parse(span_of(text, local + 1 + domain), 0, &a);
}

START_TEST(rule_26_limits)
{
	char label[80];
	struct address a;

	ck_assert_int_eq(parse_sized(64, 100), ADDRESS_OK);
	ck_assert_int_eq(parse_sized(65, 100), ADDRESS_LOCAL_LONG);
	ck_assert_int_eq(parse_sized(64, 189), ADDRESS_OK); /* 254 */
	ck_assert_int_eq(parse_sized(64, 190), ADDRESS_TOO_LONG);
	ck_assert_int_eq(parse_sized(1, 252), ADDRESS_OK);
	ck_assert_int_eq(parse_sized(1, 253), ADDRESS_TOO_LONG);
	ck_assert_int_eq(parse_sized(1, 254), ADDRESS_TOO_LONG);
	ck_assert_int_eq(parse_sized(1, 256), ADDRESS_DOMAIN_LONG);
	ck_assert_int_eq(parse_sized(1, 1000), ADDRESS_DOMAIN_LONG);
	memset(label, 'x', sizeof(label));
	memcpy(label, "a@", 2);
	ck_assert_int_eq(address_parse(span_of(label, 2 + 63), 0, &a),
			 ADDRESS_OK);
	ck_assert_int_eq(address_parse(span_of(label, 2 + 64), 0, &a),
			 ADDRESS_DOMAIN_LONG);
}
END_TEST

START_TEST(rule_24_utf8_is_flagged)
{
	const struct row rows[] = {
		ROW("j\xc3\xb6@example.net", 0, ADDRESS_NEEDS_UTF8),
		ROW("j\xc3\xb6@ex\xc3\xa4mple.net", 0, ADDRESS_NEEDS_UTF8),
		ROW("joe@ex\xc3\xa4mple.net", 0, ADDRESS_NEEDS_IDNA),
		ROW("\"\xf0\x9f\x93\xa7 \"@example.net", ADDRESS_UTF8_OK,
		    ADDRESS_OK),
		ROW("\"\\\xc3\xb6\"@example.net", ADDRESS_UTF8_OK,
		    ADDRESS_LOCAL_SYNTAX),
		ROW("j\xc3@example.net", ADDRESS_UTF8_OK, ADDRESS_BAD_UTF8),
		ROW("j\xb6@example.net", ADDRESS_UTF8_OK, ADDRESS_BAD_UTF8),
		ROW("joe@example.net\xc3", ADDRESS_UTF8_OK, ADDRESS_BAD_UTF8),
		ROW("\xc0\xaf@x", ADDRESS_UTF8_OK, ADDRESS_BAD_UTF8),
		ROW("\xe0\x80\xaf@x", ADDRESS_UTF8_OK, ADDRESS_BAD_UTF8),
		ROW("\xed\xa0\x80@x", ADDRESS_UTF8_OK, ADDRESS_BAD_UTF8),
		ROW("\xf0\x8f\xbf\xbf@x", ADDRESS_UTF8_OK, ADDRESS_BAD_UTF8),
		ROW("\xf4\x90\x80\x80@x", ADDRESS_UTF8_OK, ADDRESS_BAD_UTF8),
		ROW("\xf4\x8f\xbf\xbf@x", ADDRESS_UTF8_OK, ADDRESS_OK),
	};
	struct address a;

	CHECK_ROWS(rows);
	ck_assert_int_eq(address_parse(SPAN("j\xc3\xb6@example.net"),
				       ADDRESS_UTF8_OK, &a),
			 ADDRESS_OK);
	ck_assert(a.utf8 && !a.idna);
	ck_assert_int_eq(address_parse(SPAN("joe@ex\xc3\xa4mple.net"),
				       ADDRESS_UTF8_OK, &a),
			 ADDRESS_OK);
	ck_assert(!a.utf8 && a.idna);
}
END_TEST

START_TEST(rule_26_what_it_gives)
{
	struct address a;

	ck_assert_int_eq(address_parse(SPAN("Joe@EXAMPLE.Net"), 0, &a), 0);
	ck_assert(span_eq(a.local, SPAN("Joe")));
	ck_assert(span_eq(a.domain, SPAN("EXAMPLE.Net")));
	ck_assert(span_eq(address_domain_lower(&a), SPAN("example.net")));
	ck_assert(!a.null && !a.literal && !a.utf8 && !a.idna);
	ck_assert_int_eq(address_parse(SPAN("x@[IPv6:FE80::1]"), 0, &a), 0);
	ck_assert(a.literal);
	ck_assert(span_eq(address_domain_lower(&a), SPAN("[ipv6:fe80::1]")));
	ck_assert_int_eq(address_parse(SPAN(""), ADDRESS_NULL_OK, &a), 0);
	ck_assert(a.null && a.domain.len == 0);
	/* On failure nothing is written. */
	a.local.len = 77;
	ck_assert_int_ne(address_parse(SPAN("nobody"), 0, &a), ADDRESS_OK);
	ck_assert_uint_eq(a.local.len, 77);
}
END_TEST

START_TEST(every_error_has_words)
{
	int i;

	for (i = 0; i < ADDRESS_ERROR_COUNT; i++)
		ck_assert_uint_gt(
			strlen(address_error_words((enum address_error)i)), 10);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("address");
	TCase *tc = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tc, rule_26_good_addresses);
	tcase_add_test(tc, rule_26_no_controls);
	tcase_add_test(tc, rule_26_broken_addresses);
	tcase_add_test(tc, rule_26_broken_literals);
	tcase_add_test(tc, rule_26_limits);
	tcase_add_test(tc, rule_24_utf8_is_flagged);
	tcase_add_test(tc, rule_26_what_it_gives);
	tcase_add_test(tc, every_error_has_words);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
