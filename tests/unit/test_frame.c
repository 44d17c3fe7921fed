/*
 * Frames to octets and back, what is not believed of them, what the daemon's
 * side does with broken ones, and the memory of what was taken.
 */
#include "ingress/server.h"
#include "ingress/pack.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sysexits.h>
#include <unistd.h>

static const struct span two[] = { { "a@x.example", 11 },
				   { "b@y.example", 11 } };
static const struct span two_params[] = { { "", 0 }, { "NOTIFY=NEVER", 12 } };
static const uint8_t sub[16] = "0123456789abcde";

static struct submit_message message(void)
{
	return (struct submit_message){
		.sender = SPAN("s@s.example"),
		.rcpts = two,
		.rcpt_count = 2,
		.rcpt_params = two_params,
		.tenant = SPAN("ten"),
		.campaign = SPAN("camp"),
		.class = SUBMIT_TRANSACTIONAL,
		.age_s = 77,
		.params = SPAN("RET=FULL"),
		.content = SPAN("Subject: x\n\nhello\n"),
	};
}

START_TEST(message_there_and_back)
{
	struct submit_message m = message();
	struct frame_message f;
	struct frame_rcpt r;
	struct span payload;
	struct buf b;

	buf_init(&b, 1 << 20);
	ck_assert_int_eq(frame_message_put(&b, &m, m.content.len), 0);
	ck_assert_int_eq(frame_message_put(&b, &m, m.content.len), 0);
	payload = buf_span(&b);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(frame_message_get(&payload, true, &f), 1);
		ck_assert(span_eq(f.sender, m.sender));
		ck_assert(span_eq(f.tenant, m.tenant));
		ck_assert(span_eq(f.campaign, m.campaign));
		ck_assert(span_eq(f.params, m.params));
		ck_assert(span_eq(f.content, m.content));
		ck_assert_uint_eq(f.size, m.content.len);
		ck_assert_uint_eq(f.age_s, 77);
		ck_assert_int_eq(f.class, SUBMIT_TRANSACTIONAL);
		for (int k = 0; k < 2; k++) {
			ck_assert_int_eq(frame_rcpt_next(&f.rcpts, &r), 1);
			ck_assert(span_eq(r.address, two[k]));
			ck_assert(span_eq(r.params, two_params[k]));
		}
		ck_assert_int_eq(frame_rcpt_next(&f.rcpts, &r), 0);
	}
	ck_assert_int_eq(frame_message_get(&payload, true, &f), 0);
	buf_free(&b);
}
END_TEST

/* Cut anywhere a message is no message, and no octet behind is read. */
START_TEST(message_cut_anywhere)
{
	struct submit_message m = message();
	struct frame_message f;
	struct span payload;
	struct buf b;
	char *copy;

	buf_init(&b, 1 << 20);
	ck_assert_int_eq(frame_message_put(&b, &m, m.content.len), 0);
	for (size_t n = 1; n < b.len; n++) {
		copy = malloc(n);
		memcpy(copy, b.p, n);
		payload = span_of(copy, n);
		ck_assert_int_eq(frame_message_get(&payload, true, &f),
				 -EPROTO);
		free(copy);
	}
	buf_free(&b);
}
END_TEST

/* One octet of the fixed part changed: refused, or still within bounds. */
START_TEST(message_lengths_are_not_believed)
{
	static const size_t must_fail[] = { 8, 12, 20, 26, 27 };
	struct submit_message m = message();
	struct frame_message f;
	struct frame_rcpt r;
	struct span payload;
	struct buf b;
	char was;

	buf_init(&b, 1 << 20);
	ck_assert_int_eq(frame_message_put(&b, &m, m.content.len), 0);
	for (size_t at = 0; at < b.len - m.content.len; at++)
		for (int v = 0; v < 256; v++) {
			was = b.p[at];
			b.p[at] = (char)v;
			payload = buf_span(&b);
			if (frame_message_get(&payload, true, &f) == 1)
				while (frame_rcpt_next(&f.rcpts, &r) == 1)
					ck_assert(r.address.p + r.address.len +
							  r.params.len <=
						  b.p + b.len);
			b.p[at] = was;
		}
	for (size_t i = 0; i < sizeof(must_fail) / sizeof(must_fail[0]); i++) {
		b.p[must_fail[i]] = (char)(b.p[must_fail[i]] + 2);
		payload = buf_span(&b);
		ck_assert_int_eq(frame_message_get(&payload, true, &f),
				 -EPROTO);
		b.p[must_fail[i]] = (char)(b.p[must_fail[i]] - 2);
	}
	buf_free(&b);
}
END_TEST

START_TEST(heads_that_are_not_right)
{
	static const struct {
		struct frame_head h;
		bool client;
		int r;
	} table[] = {
		{ { 'M', 0, 1, 10, 1, 0 }, true, 0 },
		{ { 'M', 0, 1000, 4u << 20, UINT32_MAX, 0 }, true, 0 },
		{ { 'M', 0, 0, 10, 1, 0 }, true, -EPROTO },
		{ { 'M', 0, 1001, 10, 1, 0 }, true, -EPROTO },
		{ { 'M', 0, 1, 0, 1, 0 }, true, -EPROTO },
		{ { 'M', 0, 1, (4u << 20) + 1, 1, 0 }, true, -EPROTO },
		{ { 'M', 0, 1, 10, 0, 0 }, true, -EPROTO },
		{ { 'M', 0, 1, 10, 1, 0 }, false, -EPROTO },
		{ { 'L', 0, 2, 10, 1, 0 }, true, -EPROTO },
		{ { 'P', 0, 0, 1u << 20, 1, 0 }, true, 0 },
		{ { 'P', 0, 0, (1u << 20) + 1, 1, 0 }, true, -EPROTO },
		{ { 'E', 0, 0, 0, 0, 0 }, true, 0 },
		{ { 'E', 0, 0, 1, 0, 0 }, true, -EPROTO },
		{ { 'A', 0, 1, 12, 1, 0 }, false, 0 },
		{ { 'A', 0, 1, 12, 1, 0 }, true, -EPROTO },
		{ { 'Z', 0, 1, 12, 1, 0 }, true, -EPROTO },
		{ { 'M', FRAME_MORE, 1, 10, 1, 0 }, true, 0 },
		{ { 'M', 2, 1, 10, 1, 0 }, true, -EPROTO },
		{ { 'L', FRAME_MORE, 1, 10, 1, 0 }, true, -EPROTO },
		{ { 'P', FRAME_MORE, 0, 10, 1, 0 }, true, -EPROTO },
		{ { 'A', FRAME_MORE, 1, 12, 1, 0 }, false, -EPROTO },
	};
	char octets[FRAME_HEAD_SIZE];
	struct frame_head h;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		frame_head_put(&table[i].h, octets);
		ck_assert_msg(frame_head_get(octets, table[i].client, &h) ==
				      table[i].r,
			      "row %zu", i);
		if (table[i].r < 0)
			continue;
		ck_assert_uint_eq(h.length, table[i].h.length);
		ck_assert_uint_eq(h.flags, table[i].h.flags);
	}
}
END_TEST

START_TEST(answers_there_and_back)
{
	char ids[16];
	struct frame_answer a = { .code = 65,
				  .enhanced_class = 5,
				  .enhanced_subject = 1,
				  .enhanced_detail = 3,
				  .ids = { ids, 16 },
				  .id_count = 2,
				  .words = SPAN("why") },
			    back;
	struct span payload;
	struct buf b;

	frame_put64(ids, 0x1122334455667788);
	frame_put64(ids + 8, 7);
	buf_init(&b, 1000);
	ck_assert_int_eq(frame_answer_put(&b, &a), 0);
	for (size_t n = 1; n < b.len; n++) {
		payload = span_of(b.p, n);
		ck_assert_int_eq(frame_answer_get(&payload, &back), -EPROTO);
	}
	payload = buf_span(&b);
	ck_assert_int_eq(frame_answer_get(&payload, &back), 1);
	ck_assert_int_eq(back.code, 65);
	ck_assert_int_eq(back.enhanced_detail, 3);
	ck_assert_uint_eq(frame_id(&back, 0), 0x1122334455667788);
	ck_assert_uint_eq(frame_id(&back, 1), 7);
	ck_assert(span_eq(back.words, SPAN("why")));
	ck_assert_int_eq(frame_answer_get(&payload, &back), 0);
	buf_free(&b);
}
END_TEST

/* --- the daemon's side ------------------------------------------------------ */

static struct settings set;
static struct ingress_seen *seen;
static struct ingress_large large;

static struct ingress_conn *conn(void)
{
	static char words[1000];
	struct ingress_conn *c;

	if (set.hostname == NULL)
		ck_assert_int_eq(settings_parse("t", "hostname: a.example", 19,
						&set, words, sizeof(words)),
				 0);
	if (seen == NULL)
		seen = ingress_seen_new(1000);
	ingress_large_init(&large);
	ck_assert_int_eq(ingress_conn_new(&set, seen, &large, 7, &c), 0);
	return c;
}

/* Give octets in steps; true when all were taken. */
static bool feed(struct ingress_conn *c, const char *p, size_t len, size_t step)
{
	size_t room, n;
	void *at;

	while (len > 0) {
		at = ingress_room(c, &room);
		if (room == 0)
			return false;
		n = len < step ? len : step;
		n = n < room ? n : room;
		memcpy(at, p, n);
		ingress_fed(c, n);
		p += n;
		len -= n;
	}
	return true;
}

/* A submission as a file: hello, a frame of two messages, the end. */
static size_t make_file(char *out, size_t size)
{
	struct submit_message m = message();
	struct submit_file *f;
	int fd = memfd_create("frame", 0);
	ssize_t n;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(submit_file_new(fd, sub, &f), 0);
	ck_assert_int_eq(submit_file_put(f, &m), 0);
	ck_assert_int_eq(submit_file_put(f, &m), 0);
	ck_assert_int_eq(submit_file_end(f), 0);
	submit_file_free(&f);
	n = pread(fd, out, size, 0);
	close(fd);
	ck_assert_int_gt(n, 0);
	return (size_t)n;
}

START_TEST(drop_file_octet_by_octet)
{
	struct ingress_item *it, *second;
	char file[4096];
	size_t len = make_file(file, sizeof(file));

	for (size_t step = 1; step < len + 1; step = 2 * step + 1) {
		struct ingress_conn *c = conn();

		ck_assert(feed(c, file, len, step));
		ck_assert(ingress_over(c));
		ck_assert(!ingress_complete(c));
		ck_assert_int_eq(ingress_next(c, 5, 6, &it), 1);
		ck_assert_uint_eq(it->msg.number, 1ull << 32);
		ck_assert_uint_eq(it->msg.rcpt_count, 2);
		ck_assert_uint_eq(it->msg.expires_s, 82);
		ck_assert_uint_eq(it->msg.flags & QUEUE_MSG_TRANSACTIONAL,
				  QUEUE_MSG_TRANSACTIONAL);
		ck_assert(span_eq(it->msg.rcpts[1].domain, SPAN("y.example")));
		ck_assert_int_eq(ingress_next(c, 5, 6, &second), 1);
		ck_assert_uint_eq(second->msg.number, (1ull << 32) + 65536);
		ck_assert_int_eq(ingress_next(c, 5, 6, &second), 0);
		ck_assert_uint_eq(ingress_items_out(c), 2);
		/* Back in the wrong order, one refused. */
		ingress_refused(second, -ENOSPC);
		ck_assert(!ingress_complete(c));
		ingress_refused(it, -EIO);
		ck_assert(ingress_complete(c));
		ck_assert_uint_eq(ingress_refusals(c), 2);
		ingress_conn_free(&c);
	}
	ingress_seen_free(&seen);
	settings_free(&set);
}
END_TEST

/* The same file twice: the second time nothing comes out. */
START_TEST(a_repetition_gives_the_same_ids)
{
	struct ingress_conn *c;
	struct ingress_item *it;
	char file[4096], first[4096];
	size_t len = make_file(file, sizeof(file));
	struct span answer;

	c = conn();
	ck_assert(feed(c, file, len, len));
	for (uint64_t id = 100; ingress_next(c, 5, 6, &it) == 1; id++)
		ingress_accepted(it, id);
	answer = ingress_answer(c);
	ck_assert_uint_le(answer.len, sizeof(first));
	memcpy(first, answer.p, answer.len);
	ingress_conn_free(&c);
	c = conn();
	ck_assert(feed(c, file, len, len));
	ck_assert_int_eq(ingress_next(c, 9, 9, &it), 0);
	ck_assert(span_eq(ingress_answer(c), span_of(first, answer.len)));
	ingress_conn_free(&c);
	ingress_seen_free(&seen);
	settings_free(&set);
}
END_TEST

START_TEST(one_connection_holds_a_submission)
{
	struct ingress_conn *a = conn(), *b = conn();
	struct ingress_item *it, *none;
	char file[4096];
	size_t len = make_file(file, sizeof(file));

	ck_assert(feed(a, file, len, len));
	ck_assert_int_eq(ingress_next(a, 5, 6, &it), 1);
	ck_assert(feed(b, file, len, len));
	ck_assert_int_eq(ingress_next(b, 5, 6, &none), 0);
	ck_assert(ingress_over(b));
	ck_assert(!ingress_complete(b));
	ck_assert_ptr_nonnull(strstr(ingress_words(b), "another connection"));
	ingress_accepted(it, 1);
	ingress_conn_free(&a);
	ingress_conn_free(&b);
	ingress_seen_free(&seen);
	settings_free(&set);
}
END_TEST

/* Any octet changed is found by a CRC, a length or a rule of the frames. */
START_TEST(a_damaged_file_is_never_complete)
{
	struct ingress_conn *c;
	struct ingress_item *it;
	char file[4096], was;
	size_t len = make_file(file, sizeof(file));

	for (size_t at = 0; at < len; at++) {
		/* The id and the frame's number are not covered: another id
		 * or number is another submission. */
		if ((at >= 16 && at < 32) || (at >= 40 && at < 44) ||
		    (at >= len - 8))
			continue;
		was = file[at];
		file[at] = (char)(was ^ 0x20);
		c = conn();
		(void)feed(c, file, len, len);
		while (ingress_next(c, 5, 6, &it) == 1)
			ingress_refused(it, -EIO);
		ck_assert_msg(!ingress_complete(c), "octet %zu", at);
		ingress_conn_free(&c);
		file[at] = was;
	}
	ingress_seen_free(&seen);
	settings_free(&set);
}
END_TEST

START_TEST(a_peer_that_only_sends_is_stopped)
{
	struct submit_message m = message();
	struct ingress_conn *c = conn();
	struct frame_hello h = { FRAME_VERSION, 0, { 1 } };
	char hello[FRAME_HELLO_SIZE];
	struct ingress_item *it;
	struct pack p;
	unsigned n = 0;

	frame_hello_put(&h, hello);
	ck_assert(feed(c, hello, sizeof(hello), 100));
	pack_init(&p);
	for (; n < 100; n++) {
		ck_assert_int_eq(pack_next(&p), 0);
		ck_assert_int_eq(pack_add(&p, &m), 0);
		pack_seal(&p, false);
		if (!feed(c, p.b.p, p.b.len, 1000))
			break;
	}
	ck_assert_uint_eq(n, SUBMIT_FRAMES_OPEN);
	ck_assert_int_eq(ingress_next(c, 5, 6, &it), 1);
	ingress_accepted(it, 5);
	ck_assert(feed(c, p.b.p, p.b.len, 1000));
	pack_free(&p);
	ingress_conn_free(&c);
	ingress_seen_free(&seen);
	settings_free(&set);
}
END_TEST

/* Of the last frame that is whole, whatever kind it is. */
START_TEST(a_frame_says_that_more_follow)
{
	static const bool says[] = { true, false, true, true };
	struct submit_message m = message();
	struct ingress_conn *c = conn();
	struct frame_hello h = { FRAME_VERSION, 0, { 3 } };
	char octets[FRAME_HELLO_SIZE];
	struct ingress_item *it;
	struct pack p;
	uint32_t i;

	frame_hello_put(&h, octets);
	ck_assert(feed(c, octets, sizeof(octets), 100));
	ck_assert_uint_eq(ingress_more(c), 0);
	pack_init(&p);
	for (i = 1; i <= 4; i++) {
		ck_assert_int_eq(pack_next(&p), 0);
		ck_assert_int_eq(pack_add(&p, &m), 0);
		pack_seal(&p, says[i - 1]);
		ck_assert(feed(c, p.b.p, p.b.len - 1, 1000));
		ck_assert_uint_eq(ingress_more(c),
				  i > 1 && says[i - 2] ? i - 1 : 0);
		ck_assert(feed(c, p.b.p + p.b.len - 1, 1, 1));
		ck_assert_uint_eq(ingress_more(c), says[i - 1] ? i : 0);
	}
	ck_assert_int_eq(pack_next(&p), 0);
	ck_assert_int_eq(pack_add(&p, &m), 0);
	pack_seal(&p, false);
	frame_seal(&p.b, 0, FRAME_LARGE, 1, i);
	ck_assert(feed(c, p.b.p, p.b.len, 1000));
	ck_assert_uint_eq(ingress_more(c), 0);
	frame_head_put(&(struct frame_head){ .type = FRAME_END }, octets);
	ck_assert(feed(c, octets, FRAME_HEAD_SIZE, 100));
	ck_assert_uint_eq(ingress_more(c), 0);
	for (i = 1; ingress_next(c, 5, 6, &it) == 1; i++)
		ingress_accepted(it, i);
	pack_free(&p);
	ingress_conn_free(&c);
	ingress_seen_free(&seen);
	settings_free(&set);
}
END_TEST

/* After "try later" nothing with a higher number is taken until the client
 * must have read that answer: 16 frames on. */
START_TEST(numbers_that_are_taken_rise)
{
	struct submit_message m = message();
	struct ingress_conn *c = conn();
	struct frame_hello h = { FRAME_VERSION, 0, { 2 } };
	char hello[FRAME_HELLO_SIZE];
	struct ingress_item *it;
	struct pack p;

	frame_hello_put(&h, hello);
	ck_assert(feed(c, hello, sizeof(hello), 100));
	pack_init(&p);
	for (unsigned n = 1; n <= 18; n++) {
		ck_assert_int_eq(pack_next(&p), 0);
		ck_assert_int_eq(pack_add(&p, &m), 0);
		pack_seal(&p, false);
		ck_assert(feed(c, p.b.p, p.b.len, 1000));
		if (n > 1 && n < 17) {
			ck_assert_int_eq(ingress_next(c, 5, 6, &it), 0);
			ck_assert_uint_eq(ingress_refusals(c), n);
			continue;
		}
		ck_assert_int_eq(ingress_next(c, 5, 6, &it), 1);
		if (n == 1)
			ingress_refused(it, -ENOSPC);
		else
			ingress_accepted(it, n);
	}
	ck_assert_uint_eq(ingress_refusals(c), 16);
	pack_free(&p);
	ingress_conn_free(&c);
	ingress_seen_free(&seen);
	settings_free(&set);
}
END_TEST

/* --- what was taken ---------------------------------------------------------- */

#define NUMBER(frame, place) ((uint64_t)(frame) << 32 | (uint64_t)(place) << 16)

START_TEST(seen_keeps_the_last_frames)
{
	struct ingress_seen *s = ingress_seen_new(1000000);
	uint64_t id;

	for (unsigned f = 1; f <= 200; f++)
		for (unsigned p = 0; p < 50; p++) {
			unsigned old = f > 15 ? f - 15 : 1;

			ck_assert_int_eq(ingress_seen_add(s, sub, NUMBER(f, p),
							  f * 1000 + p, 10),
					 0);
			/* At any moment: a client can come back then. */
			ck_assert_int_eq(
				ingress_seen_find(s, sub, NUMBER(old, 0), &id),
				1);
		}
	for (unsigned f = 185; f <= 200; f++)
		for (unsigned p = 0; p < 50; p++) {
			ck_assert_int_eq(
				ingress_seen_find(s, sub, NUMBER(f, p), &id),
				1);
			ck_assert_uint_eq(id, f * 1000 + p);
		}
	ck_assert_int_eq(ingress_seen_find(s, sub, NUMBER(200, 50), &id), 0);
	ck_assert_uint_le(ingress_seen_ids(s), 50 * 64);
	/* Out of order and twice. */
	ck_assert_int_eq(ingress_seen_add(s, sub, NUMBER(203, 0), 3, 10), 0);
	ck_assert_int_eq(ingress_seen_add(s, sub, NUMBER(202, 0), 2, 10), 0);
	ck_assert_int_eq(ingress_seen_add(s, sub, NUMBER(202, 0), 9, 10), 0);
	ck_assert_int_eq(ingress_seen_find(s, sub, NUMBER(202, 0), &id), 1);
	ck_assert_uint_eq(id, 2);
	ck_assert_int_eq(ingress_seen_find(s, sub, NUMBER(203, 0), &id), 1);
	ingress_seen_free(&s);
}
END_TEST

START_TEST(seen_is_bounded_and_forgets)
{
	struct ingress_seen *s = ingress_seen_new(100);
	uint8_t id[16] = { 0 };
	uint64_t out;

	for (unsigned i = 0; i < 1000; i++) {
		id[0] = (uint8_t)i;
		id[1] = (uint8_t)(i >> 8);
		ck_assert_int_eq(ingress_seen_add(s, id, NUMBER(1, 0), i, i),
				 0);
		ck_assert_uint_le(ingress_seen_ids(s), 100);
	}
	ck_assert_int_eq(ingress_seen_find(s, id, NUMBER(1, 0), &out), 1);
	ck_assert(ingress_seen_hold(s, id, 1000));
	ck_assert(!ingress_seen_hold(s, id, 1000));
	ingress_seen_expire(s, 1000 + INGRESS_SEEN_S);
	ck_assert_uint_eq(ingress_seen_ids(s), 1);
	ingress_seen_end(s, id);
	ck_assert_int_eq(ingress_seen_find(s, id, NUMBER(1, 0), &out), 0);
	ingress_seen_release(s, id);
	ck_assert(ingress_seen_hold(s, id, 1000));
	ingress_seen_free(&s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("frame");
	TCase *t = tcase_create("frame");
	SRunner *r;
	int failed;

	tcase_add_test(t, message_there_and_back);
	tcase_add_test(t, message_cut_anywhere);
	tcase_add_test(t, message_lengths_are_not_believed);
	tcase_add_test(t, heads_that_are_not_right);
	tcase_add_test(t, answers_there_and_back);
	tcase_add_test(t, drop_file_octet_by_octet);
	tcase_add_test(t, a_repetition_gives_the_same_ids);
	tcase_add_test(t, one_connection_holds_a_submission);
	tcase_add_test(t, a_damaged_file_is_never_complete);
	tcase_add_test(t, a_peer_that_only_sends_is_stopped);
	tcase_add_test(t, a_frame_says_that_more_follow);
	tcase_add_test(t, numbers_that_are_taken_rise);
	tcase_add_test(t, seen_keeps_the_last_frames);
	tcase_add_test(t, seen_is_bounded_and_forgets);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
