/*
 * tests/unit/test_report.c - JSON, notes and event lines
 */
#include "base/json.h"
#include "report/event.h"
#include "report/note.h"
#include "site/classify.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const struct json_case {
	struct span in;
	const char *out;
} json_cases[] = {
	/* U+009B, with which a terminal's commands may begin, and U+00A0 */
	{ { "\xc2\x9b"
	    "2J\xc2\xa0",
	    6 },
	  "\"\\u009b2J\xc2\xa0\"" },
	{ { "plain", 5 }, "\"plain\"" },
	{ { "", 0 }, "\"\"" },
	{ { "a\"b\\c", 5 }, "\"a\\\"b\\\\c\"" },
	{ { "line\r\nbreak\0nul", 15 },
	  "\"line\\u000d\\u000abreak\\u0000nul\"" },
	{ { "\x7f\x1b[31m", 6 }, "\"\\u007f\\u001b[31m\"" },
	{ { "gr\xc3\xbc\xc3\x9f", 6 }, "\"gr\xc3\xbc\xc3\x9f\"" },
	{ { "\xff\xc3", 2 }, "\"\\ufffd\\ufffd\"" },
	{ { "\xed\xa0\x80", 3 }, "\"\\ufffd\\ufffd\\ufffd\"" },
	{ { "\xc0\xaf", 2 }, "\"\\ufffd\\ufffd\"" },
	{ { "\xf0\x9f\x93\xa7", 4 }, "\"\xf0\x9f\x93\xa7\"" },
};

START_TEST(rule_02_json_strings)
{
	const struct json_case *c = &json_cases[_i];
	struct buf b;

	buf_init(&b, 1000);
	json_string(&b, c->in);
	ck_assert_msg(span_eq(buf_span(&b), span_str(c->out)), "case %d: %.*s",
		      _i, (int)b.len, b.p);
	buf_free(&b);
}
END_TEST

/* Eight octets are looked at together: each must be found at each place. */
START_TEST(an_octet_is_written_alike_wherever_it_stands)
{
	char text[17], is[64], alone[16];
	unsigned octet, at;
	struct buf b;
	size_t len;
	int n;

	buf_init(&b, 1000);
	for (octet = 0; octet < 256; octet++) {
		buf_clear(&b);
		json_string(&b, span_of(&(char){ (char)octet }, 1));
		len = b.len - 2;
		memcpy(alone, b.p + 1, len);
		for (at = 0; at < sizeof(text); at++) {
			memset(text, '!', sizeof(text));
			text[at] = (char)octet;
			buf_clear(&b);
			json_string(&b, span_of(text, sizeof(text)));
			n = snprintf(is, sizeof(is), "\"%.*s%.*s%.*s\"",
				     (int)at, "!!!!!!!!!!!!!!!!!", (int)len,
				     alone, (int)(sizeof(text) - 1 - at),
				     "!!!!!!!!!!!!!!!!!");
			ck_assert_msg(
				span_eq(buf_span(&b), span_of(is, (size_t)n)),
				"%u at %u: %.*s", octet, at, (int)b.len, b.p);
		}
	}
	buf_free(&b);
}
END_TEST

START_TEST(json_members)
{
	struct buf b;

	buf_init(&b, 1000);
	buf_add_char(&b, '{');
	json_member_u64(&b, "n", UINT64_MAX);
	json_member(&b, "s", SPAN("x"));
	json_member_u64(&b, "z", 0);
	buf_add_char(&b, '}');
	ck_assert(span_eq(buf_span(&b),
			  SPAN("{\"n\":18446744073709551615,\"s\":\"x\","
			       "\"z\":0}")));
	buf_free(&b);
}
END_TEST

static const struct note_common common = {
	.time_ms = 1795363680123u, /* 2026-11-22T16:08:00.123Z */
	.session = 77,
	.size = 4096,
	.from = { "news@s.test", 11 },
	.site = { "mx.d1.test", 10 },
	.host = { "mx.d1.test[127.0.0.1:25]", 24 },
};

static const struct note_rcpt rcpt = {
	.verdict = { .result = SMTP_REJECTED,
		     .stage = SMTP_STAGE_RCPT,
		     .code = 550,
		     .enhanced = { 5, 1, 1 },
		     .text = { "no \"such\" user\nhere", 19 } },
	.kind = 7,
	.scope = 0,
	.queued_s = 12,
	.to = { "u@d1.test", 9 },
};

START_TEST(notes_come_back)
{
	char mem[1024];
	size_t len = note_common_size(&common);
	struct note_common c;
	struct note_rcpt r;

	ck_assert_uint_eq(note_common_put(&common, mem), len);
	ck_assert_int_eq(note_common_get(span_of(mem, len), &c), 0);
	ck_assert_uint_eq(c.time_ms, common.time_ms);
	ck_assert_uint_eq(c.session, 77);
	ck_assert_uint_eq(c.size, 4096);
	ck_assert(span_eq(c.from, common.from));
	ck_assert(span_eq(c.site, common.site));
	ck_assert(span_eq(c.host, common.host));
	ck_assert_uint_eq(c.source.len, 0);
	ck_assert_uint_eq(c.tls.len, 0);
	len = note_rcpt_size(&rcpt);
	ck_assert_uint_eq(note_rcpt_put(&rcpt, mem), len);
	ck_assert_int_eq(note_rcpt_get(span_of(mem, len), &r), 0);
	ck_assert_uint_eq(r.verdict.code, 550);
	ck_assert_uint_eq(r.verdict.enhanced.detail, 1);
	ck_assert_uint_eq(r.queued_s, 12);
	ck_assert(span_eq(r.to, rcpt.to));
	ck_assert(span_eq(r.verdict.text, rcpt.verdict.text));
}
END_TEST

/* What is kept of a session stands in the octets as if it were not. */
static void check_peer(const struct note_common *n, struct span whole)
{
	struct note_common mail = *n;
	char peer[NOTE_COMMON_MAX], mem[NOTE_COMMON_MAX];
	size_t len = note_peer_size(n);

	ck_assert_uint_eq(note_peer_put(n, peer), len);
	mail.host = mail.site = mail.source = SPAN("?");
	mail.peer = span_of(peer, len);
	ck_assert_uint_eq(note_common_size(&mail), whole.len);
	ck_assert_uint_eq(note_common_put(&mail, mem), whole.len);
	ck_assert(span_eq(span_of(mem, whole.len), whole));
}

/* Numbers of every length; a site that is not the front of its host. */
START_TEST(long_and_odd_notes_come_back)
{
	static const struct span sites[] = { { "mx.d1.test[", 11 },
					     { "d1", 2 },
					     { "", 0 },
					     { "mx.d1.test[127.0.0.1:25]x",
					       25 } };
	struct note_common in = common, c;
	struct note_rcpt ri = rcpt, r;
	char mem[2048];
	size_t i, len;

	for (i = 0; i < 4 * 64; i++) {
		in.site = sites[i / 64];
		in.time_ms = UINT64_MAX >> i % 64;
		in.session = in.time_ms ^ 1;
		ri.queued_s = (uint32_t)in.time_ms;
		ri.verdict.enhanced.detail = (uint16_t)in.time_ms;
		len = note_common_size(&in);
		ck_assert_uint_eq(note_common_put(&in, mem), len);
		ck_assert_int_eq(note_common_get(span_of(mem, len), &c), 0);
		ck_assert_uint_eq(c.time_ms, in.time_ms);
		ck_assert_uint_eq(c.session, in.session);
		ck_assert(span_eq(c.site, in.site));
		ck_assert(span_eq(c.host, in.host));
		check_peer(&in, span_of(mem, len));
		len = note_rcpt_size(&ri);
		ck_assert_uint_eq(note_rcpt_put(&ri, mem), len);
		ck_assert_int_eq(note_rcpt_get(span_of(mem, len), &r), 0);
		ck_assert_uint_eq(r.queued_s, ri.queued_s);
		ck_assert_uint_eq(r.verdict.enhanced.detail,
				  ri.verdict.enhanced.detail);
	}
}
END_TEST

/* Who puts a note has this much room. */
START_TEST(no_note_is_longer)
{
	static const char endless[2000] = "x";
	struct span all = span_of(endless, sizeof(endless));
	struct note_common n = {
		.time_ms = UINT64_MAX,
		.session = UINT64_MAX,
		.size = UINT64_MAX,
		.from = all,
		.site = SPAN("y"),
		.host = all,
		.source = all,
		.tls = all,
	};
	char mem[NOTE_COMMON_MAX], site[2000] = "y";

	ck_assert_uint_gt(note_common_size(&n), 4 * 1024);
	n.site = span_of(site, sizeof(site));
	ck_assert_uint_le(note_common_size(&n), NOTE_COMMON_MAX);
	check_peer(&n, span_of(mem, note_common_put(&n, mem)));
}
END_TEST

/* What stands in the record of a delivery has no room to grow. */
START_TEST(notes_are_short)
{
	size_t strings = common.from.len + common.host.len;

	ck_assert_uint_le(note_common_size(&common), strings + 15);
	ck_assert_uint_le(note_rcpt_size(&rcpt),
			  rcpt.to.len + rcpt.verdict.text.len + 15);
}
END_TEST

/* A number that is too large for its place, or has no end. */
START_TEST(numbers_are_bounded)
{
	static const char *const bad[] = {
		/* code, subject, detail, queued, to, text */
		"\xff\xff\x04\1\1\1\0\0",
		"\1\1\1\xff\xff\xff\xff\x1f\0\0",
		"\1\1\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\2\0\0",
		"\1\1\1\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\1\0\0",
	};
	static const size_t sizes[] = { 8, 10, 15, 16 };
	static const char fine[] = "\2\0\0\0\0\0\0\0"
				   "\xff\xff\3\1\1\1\0\0";
	char mem[64];
	struct note_rcpt r;

	ck_assert_int_eq(note_rcpt_get(span_of(fine, 16), &r), 0);
	ck_assert_uint_eq(r.verdict.code, 65535);
	memcpy(mem, fine, 8);
	memcpy(mem + 8, bad[_i], sizes[_i]);
	ck_assert_int_eq(note_rcpt_get(span_of(mem, 8 + sizes[_i]), &r),
			 -EINVAL);
}
END_TEST

/* As version 1 wrote them; and cut. */
START_TEST(old_notes_are_read)
{
	static const char old_common[] =
		"\1\x0b\xca\x60\x08\xa2\1\0\0\x4d\0\0\0\0\0\0\0\0\x10\0\0\0\0\0"
		"\0\x0b\0news@s.test\x07\0d1.test\x18\0mx.d1.test[127.0.0.1:25]"
		"\0\0\3\0TLS";
	static const char old_rcpt[] =
		"\1\0\0\0\0\0\5\0\x26\2\1\0\1\0\0\0\x0c\0\0\0"
		"\x09\0u@d1.test\4\0gone";
	size_t len = sizeof(old_common) - 1, cut;
	struct note_common c;
	struct note_rcpt r;

	ck_assert_int_eq(note_common_get(span_of(old_common, len), &c), 0);
	ck_assert_uint_eq(c.time_ms, 0x1a20860ca0b);
	ck_assert_uint_eq(c.session, 77);
	ck_assert_uint_eq(c.size, 4096);
	ck_assert(span_eq(c.from, SPAN("news@s.test")));
	ck_assert(span_eq(c.site, SPAN("d1.test")));
	ck_assert(span_eq(c.host, SPAN("mx.d1.test[127.0.0.1:25]")));
	ck_assert(span_eq(c.tls, SPAN("TLS")));
	for (cut = 0; cut < len; cut++)
		ck_assert_int_eq(note_common_get(span_of(old_common, cut), &c),
				 -EINVAL);
	len = sizeof(old_rcpt) - 1;
	ck_assert_int_eq(note_rcpt_get(span_of(old_rcpt, len), &r), 0);
	ck_assert_uint_eq(r.verdict.code, 550);
	ck_assert_uint_eq(r.verdict.enhanced.cls, 5);
	ck_assert_uint_eq(r.verdict.enhanced.subject, 1);
	ck_assert_uint_eq(r.queued_s, 12);
	ck_assert(span_eq(r.to, SPAN("u@d1.test")));
	ck_assert(span_eq(r.verdict.text, SPAN("gone")));
	for (cut = 0; cut < len; cut++)
		ck_assert_int_eq(note_rcpt_get(span_of(old_rcpt, cut), &r),
				 -EINVAL);
}
END_TEST

/* Another version's word must not end the thread that prints it. */
START_TEST(notes_with_unknown_words_are_refused)
{
	static const struct {
		size_t at;
		uint8_t first_unknown;
	} words[] = {
		{ 0, 3 }, /* the version */
		{ 1, SMTP_RESULT_COUNT },
		{ 2, SMTP_STAGE_COUNT },
		{ 3, REPLY_KIND_COUNT },
		{ 4, SCOPE_COUNT },
		{ 5, LOCAL_RULE_COUNT },
	};
	char mem[1024];
	size_t len = note_rcpt_size(&rcpt);
	struct note_rcpt r;

	note_rcpt_put(&rcpt, mem);
	mem[words[_i].at] = (char)(words[_i].first_unknown - 1);
	ck_assert_int_eq(note_rcpt_get(span_of(mem, len), &r), 0);
	mem[words[_i].at] = (char)words[_i].first_unknown;
	ck_assert_int_eq(note_rcpt_get(span_of(mem, len), &r), -EINVAL);
}
END_TEST

START_TEST(cut_notes_are_refused)
{
	char mem[1024];
	size_t len = note_rcpt_size(&rcpt), cut;
	struct note_rcpt r;
	struct note_common c;

	note_rcpt_put(&rcpt, mem);
	for (cut = 0; cut < len; cut++)
		ck_assert_int_eq(note_rcpt_get(span_of(mem, cut), &r), -EINVAL);
	mem[1] = 99; /* no such result */
	ck_assert_int_eq(note_rcpt_get(span_of(mem, len), &r), -EINVAL);
	len = note_common_size(&common);
	note_common_put(&common, mem);
	for (cut = 0; cut < len; cut++)
		ck_assert_int_eq(note_common_get(span_of(mem, cut), &c),
				 -EINVAL);
}
END_TEST

static struct span note_bytes(char *mem, bool is_common)
{
	if (is_common) {
		note_common_put(&common, mem);
		return span_of(mem, note_common_size(&common));
	}
	note_rcpt_put(&rcpt, mem);
	return span_of(mem, note_rcpt_size(&rcpt));
}

START_TEST(out_record_makes_a_line_a_recipient)
{
	char mem[2][1024];
	struct queue_out_rcpt rcpts[2] = {
		{ .rcpt = 3, .state = QUEUE_BOUNCED, .attempts = 1 },
		{ .rcpt = 4, .state = QUEUE_WAITING, .attempts = 1 },
	};
	struct queue_record rec = {
		.lsn = 4711,
		.type = QUEUE_REC_OUT,
		.out = { .id = 64,
			 .domain = { "d1.test", 7 },
			 .rcpts = rcpts,
			 .rcpt_count = 2 },
	};
	static const char first[] =
		"{\"lsn\":4711,\"n\":0,\"type\":\"bounced\","
		"\"time\":\"2026-11-22T16:08:00.123Z\",\"id\":\"";
	static const char reply[] =
		"\"reply\":\"no \\\"such\\\" user\\u000ahere\"";
	struct buf b;
	uint64_t lsn;
	uint32_t n;
	size_t len;

	buf_init(&b, 10000);
	rec.out.note = note_bytes(mem[0], true);
	rcpts[0].note = rcpts[1].note = note_bytes(mem[1], false);
	ck_assert_int_eq(event_lines(&rec, 0, &b), 2);
	ck_assert_msg(memcmp(b.p, first, sizeof(first) - 1) == 0, "%.*s",
		      (int)b.len, b.p);
	ck_assert_ptr_nonnull(memmem(b.p, b.len, reply, sizeof(reply) - 1));
	len = (size_t)span_find(buf_span(&b), '\n') + 1;
	ck_assert_int_eq(event_key(span_of(b.p + len, b.len - len), &lsn, &n),
			 0);
	ck_assert_uint_eq(lsn, 4711);
	ck_assert_uint_eq(n, 1);
	/* Resuming behind (4711, 0) gives the second line alone. */
	buf_shift(&b, len);
	len = b.len;
	ck_assert_int_eq(event_lines(&rec, 1, &b), 2);
	ck_assert_uint_eq(b.len, 2 * len);
	ck_assert_int_eq(memcmp(b.p, b.p + len, len), 0);
	buf_free(&b);
}
END_TEST

/* Each day of two hundred years. */
START_TEST(dates_are_those_of_the_library)
{
	struct queue_out_rcpt r = { .state = QUEUE_DELIVERED };
	struct queue_record rec = {
		.type = QUEUE_REC_OUT,
		.out = { .id = 64, .rcpts = &r, .rcpt_count = 1 }
	};
	struct note_common c = { .time_ms = 0 };
	char mem[1024], is[64];
	struct buf b;
	struct tm tm;
	time_t s;
	size_t n;

	buf_init(&b, 10000);
	for (s = 0; s < (time_t)73050 * 86400; s += 86399) {
		c.time_ms = (uint64_t)s * 1000 + (uint64_t)s % 1000;
		note_common_put(&c, mem);
		rec.out.note = span_of(mem, note_common_size(&c));
		buf_clear(&b);
		ck_assert_int_eq(event_lines(&rec, 0, &b), 1);
		gmtime_r(&s, &tm);
		n = strftime(is, sizeof(is), "\"time\":\"%Y-%m-%dT%H:%M:%S.",
			     &tm);
		n += (size_t)snprintf(is + n, sizeof(is) - n, "%03uZ\",",
				      (unsigned)(s % 1000));
		ck_assert_msg(memmem(b.p, b.len, is, n) != NULL, "%s: %.*s", is,
			      (int)b.len, b.p);
	}
	buf_free(&b);
}
END_TEST

START_TEST(event_key_refuses_other_lines)
{
	static const char *const bad[] = { "",
					   "{",
					   "{\"lsn\":",
					   "{\"lsn\":1}",
					   "{\"lsn\":x,\"n\":1,",
					   "{\"lsn\":1,\"n\":99999999999," };
	uint64_t lsn;
	uint32_t n;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(event_key(span_str(bad[i]), &lsn, &n),
				 -EINVAL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("report");
	TCase *tc = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(tc, rule_02_json_strings, 0,
			    sizeof(json_cases) / sizeof(json_cases[0]));
	tcase_add_test(tc, an_octet_is_written_alike_wherever_it_stands);
	tcase_add_test(tc, json_members);
	tcase_add_test(tc, notes_come_back);
	tcase_add_test(tc, long_and_odd_notes_come_back);
	tcase_add_test(tc, no_note_is_longer);
	tcase_add_test(tc, notes_are_short);
	tcase_add_loop_test(tc, numbers_are_bounded, 0, 4);
	tcase_add_test(tc, old_notes_are_read);
	tcase_add_loop_test(tc, notes_with_unknown_words_are_refused, 0, 6);
	tcase_add_test(tc, cut_notes_are_refused);
	tcase_add_test(tc, out_record_makes_a_line_a_recipient);
	tcase_add_test(tc, dates_are_those_of_the_library);
	tcase_add_test(tc, event_key_refuses_other_lines);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
