/*
 * tests/unit/test_transfer.c - the octets of an export
 */
#include "transfer/frame.h"
#include "transfer/item.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

static struct buf b;

static void setup(void)
{
	buf_init(&b, TRANSFER_FRAME_MAX);
}

static void teardown(void)
{
	buf_free(&b);
}

static void add_frame(struct buf *to, enum transfer_type type, uint64_t number,
		      struct span payload)
{
	char head[TRANSFER_HEAD_SIZE];

	transfer_head_put(type, number, payload, head);
	buf_add(to, head, sizeof(head));
	buf_add_span(to, payload);
}

START_TEST(a_frame_is_whole_or_not_there)
{
	struct transfer_frame f;
	size_t used, len;

	add_frame(&b, TRANSFER_CONTENT, 5, SPAN("hello"));
	ck_assert_int_eq(transfer_frame_parse(buf_span(&b), 5, &f, &used), 1);
	ck_assert_uint_eq(used, b.len);
	ck_assert_int_eq(f.type, TRANSFER_CONTENT);
	ck_assert(span_eq(f.payload, SPAN("hello")));
	for (len = 0; len < b.len; len++) {
		ck_assert_int_eq(
			transfer_frame_parse(span_of(b.p, len), 5, &f, &used),
			0);
		ck_assert_uint_eq(used, len < TRANSFER_HEAD_SIZE
						? TRANSFER_HEAD_SIZE
						: b.len);
	}
}
END_TEST

START_TEST(a_changed_bit_or_another_place_is_seen)
{
	struct transfer_frame f;
	size_t used, i;

	add_frame(&b, TRANSFER_CONTENT, 5, SPAN("hello"));
	ck_assert_int_eq(transfer_frame_parse(buf_span(&b), 6, &f, &used), -1);
	for (i = 0; i < 8 * b.len; i++) {
		b.p[i / 8] = (char)(b.p[i / 8] ^ 1 << i % 8);
		ck_assert_int_eq(
			transfer_frame_parse(buf_span(&b), 5, &f, &used), -1);
		b.p[i / 8] = (char)(b.p[i / 8] ^ 1 << i % 8);
	}
}
END_TEST

START_TEST(the_first_octets_say_what_it_is)
{
	char magic[TRANSFER_MAGIC_SIZE];

	transfer_magic_put(magic);
	ck_assert_int_eq(transfer_magic_check(magic), 0);
	magic[12] = '2';
	ck_assert_int_eq(transfer_magic_check(magic), -EPROTO);
	magic[0] = 'M';
	ck_assert_int_eq(transfer_magic_check(magic), -EINVAL);
}
END_TEST

#define TEXT(lit)                                                              \
	{                                                                      \
		(lit), sizeof(lit) - 1                                         \
	} /* of what is static */
static const struct transfer_message message = { .id = 77,
						 .size = 12,
						 .arrived_s = 1,
						 .expires_s = 2,
						 .flags = QUEUE_MSG_8BIT,
						 .rcpt_count = 2,
						 .tenant = TEXT("t"),
						 .campaign = TEXT("c"),
						 .sender = TEXT("s@x"),
						 .params = TEXT("RET=HDRS") };

static void put_message(const struct transfer_message *m, uint32_t rcpts,
			struct span address)
{
	struct transfer_rcpt r = { .rcpt = { .address = address,
					     .domain = SPAN("x.example"),
					     .params = SPAN("p") },
				   .stand = { QUEUE_SLOT_HELD, 3, 4 } };

	buf_clear(&b);
	transfer_message_put(m, &b);
	while (rcpts-- > 0)
		transfer_rcpt_put(&r, &b);
}

START_TEST(a_message_comes_back_as_it_was)
{
	struct transfer_message m;
	struct transfer_rcpt r;
	struct span rest;
	size_t len;
	int i;

	put_message(&message, 2, SPAN("a@x.example"));
	ck_assert_int_eq(transfer_message_get(buf_span(&b), &m), 0);
	ck_assert_uint_eq(m.id, 77);
	ck_assert_uint_eq(m.size, 12);
	ck_assert_uint_eq(m.arrived_s, 1);
	ck_assert_uint_eq(m.expires_s, 2);
	ck_assert_uint_eq(m.flags, QUEUE_MSG_8BIT);
	ck_assert(span_eq(m.tenant, message.tenant));
	ck_assert(span_eq(m.campaign, message.campaign));
	ck_assert(span_eq(m.sender, message.sender));
	ck_assert(span_eq(m.params, message.params));
	rest = m.rcpts;
	for (i = 0; i < 2; i++) {
		transfer_rcpt_get(&rest, &r);
		ck_assert(span_eq(r.rcpt.address, SPAN("a@x.example")));
		ck_assert(span_eq(r.rcpt.domain, SPAN("x.example")));
		ck_assert(span_eq(r.rcpt.params, SPAN("p")));
		ck_assert_uint_eq(r.stand.slot, QUEUE_SLOT_HELD);
		ck_assert_uint_eq(r.stand.attempts, 3);
		ck_assert_uint_eq(r.stand.unsure, 4);
	}
	ck_assert_uint_eq(rest.len, 0);
	for (len = 0; len < b.len; len++)
		ck_assert_int_eq(transfer_message_get(span_of(b.p, len), &m),
				 -EINVAL);
}
END_TEST

static void refused(struct transfer_message m, struct span address)
{
	struct transfer_message got;

	put_message(&m, m.rcpt_count > 2 ? 2 : m.rcpt_count, address);
	ck_assert_int_eq(transfer_message_get(buf_span(&b), &got), -EINVAL);
}

START_TEST(what_no_queue_would_take_is_refused)
{
	const struct span fine = SPAN("a@x.example");
	struct transfer_message m = message;

	refused(m, SPAN(""));
	refused(m, SPAN("a@x\r\nDATA"));
	refused(m, SPAN("a\0@x"));
	m.sender = SPAN("s@x\nQUIT");
	refused(m, fine);
	m = message;
	m.rcpt_count = 0;
	refused(m, fine);
	m.rcpt_count = 3; /* one is missing */
	refused(m, fine);
	m = message;
	m.size = QUEUE_CONTENT_MAX + 1;
	refused(m, fine);
	m = message;
	m.flags = 0x80000000u;
	refused(m, fine);
	m = message;
	m.id = 0;
	refused(m, fine);
}
END_TEST

START_TEST(the_other_items_come_back)
{
	struct transfer_begin begin = { .uuid = { 1, 2, 3 },
					.wall_s = 4,
					.mail_s = 5,
					.messages = 6,
					.hostname = SPAN("h"),
					.spool = SPAN("/s"),
					.version = SPAN("v") },
			      begin2;
	struct queue_decision dec = { .verb = QUEUE_VERB_SITE_PAUSE,
				      .made_s = 9,
				      .site = SPAN("mx") },
			      dec2;
	struct transfer_left left = { 8, 9, SPAN("why") }, left2;
	struct transfer_end end = { 1, 2, 3, 4 }, end2;

	transfer_begin_put(&begin, &b);
	ck_assert_int_eq(transfer_begin_get(buf_span(&b), &begin2), 0);
	ck_assert_mem_eq(begin2.uuid, begin.uuid, 16);
	ck_assert_uint_eq(begin2.messages, 6);
	ck_assert(span_eq(begin2.spool, begin.spool));
	buf_clear(&b);
	transfer_decision_put(&dec, &b);
	ck_assert_int_eq(transfer_decision_get(buf_span(&b), &dec2), 0);
	ck_assert(span_eq(dec2.site, dec.site) && dec2.made_s == 9);
	b.p[0] = QUEUE_VERB_CANCEL; /* done before; never taken along */
	ck_assert_int_eq(transfer_decision_get(buf_span(&b), &dec2), -EINVAL);
	buf_clear(&b);
	transfer_left_put(&left, &b);
	ck_assert_int_eq(transfer_left_get(buf_span(&b), &left2), 0);
	ck_assert(left2.id == 8 && left2.rcpt_count == 9 &&
		  span_eq(left2.why, left.why));
	buf_clear(&b);
	transfer_end_put(&end, &b);
	ck_assert_int_eq(transfer_end_get(buf_span(&b), &end2), 0);
	ck_assert_mem_eq(&end, &end2, sizeof(end));
	ck_assert_int_eq(transfer_end_get(span_of(b.p, b.len - 1), &end2),
			 -EINVAL);
}
END_TEST

/* A lone LF would end a line for some servers and none for others. */
START_TEST(content_is_canonical)
{
	static const struct {
		struct span a, b;
		bool ok;
	} rows[] = {
		{ TEXT("a\r\nb"), TEXT("c\r\n"), true },
		{ TEXT("a\r"), TEXT("\nc\r\n"), true },
		{ TEXT("a\n"), TEXT(""), false },
		{ TEXT("a\r"), TEXT("b"), false },
		{ TEXT("a"), TEXT("\n"), false },
		{ TEXT("a\0b"), TEXT(""), false },
		{ TEXT("\n"), TEXT(""), false },
		{ TEXT("a\r\r\n"), TEXT(""), false },
	};
	char last = '\0';
	bool ok = transfer_content_ok(rows[_i].a, &last) &&
		  transfer_content_ok(rows[_i].b, &last);

	ck_assert(ok == rows[_i].ok);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("transfer");
	TCase *tc = tcase_create("all");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_frame_is_whole_or_not_there);
	tcase_add_test(tc, a_changed_bit_or_another_place_is_seen);
	tcase_add_test(tc, the_first_octets_say_what_it_is);
	tcase_add_test(tc, a_message_comes_back_as_it_was);
	tcase_add_test(tc, what_no_queue_would_take_is_refused);
	tcase_add_test(tc, the_other_items_come_back);
	tcase_add_loop_test(tc, content_is_canonical, 0, 8);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
