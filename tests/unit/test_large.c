/*
 * unit/test_large.c - large messages have places, and wait in a line for them
 */
#include "ingress/server.h"

#include "base/bug.h"
#include "ingress/frame.h"

#include <check.h>
#include <stdlib.h>
#include <sysexits.h>

#define CONNS 20

static struct settings set;
static struct ingress_seen *seen;
static struct ingress_large large;
static struct ingress_conn *conns[CONNS];

static void start(void)
{
	static char words[1000];
	unsigned i;

	ck_assert_int_eq(settings_parse("t", "hostname: a.example", 19, &set,
					words, sizeof(words)),
			 0);
	seen = ingress_seen_new(1000);
	ck_assert_ptr_nonnull(seen);
	ingress_large_init(&large);
	for (i = 0; i < CONNS; i++)
		ck_assert_int_eq(
			ingress_conn_new(&set, seen, &large, 7, &conns[i]), 0);
}

static void finish(void)
{
	unsigned i;

	for (i = 0; i < CONNS; i++)
		ingress_conn_free(&conns[i]);
	ck_assert_uint_eq(large.count, 0);
	ck_assert_uint_eq(large.bytes, 0);
	ck_assert(list_empty(&large.line));
	ingress_seen_free(&seen);
	settings_free(&set);
}

/* As far as the connection reads; how much it took. */
static size_t feed(struct ingress_conn *c, struct span s)
{
	size_t room, taken = 0;
	void *to;

	while (s.len > 0 && (to = ingress_room(c, &room)) != NULL && room > 0) {
		if (room > s.len)
			room = s.len;
		memcpy(to, s.p, room);
		ingress_fed(c, room);
		s = span_of(s.p + room, s.len - room);
		taken += room;
	}
	return taken;
}

/* Hello and the first frame of a message of `size` octets, of which one is
 * there; how much was read of what came. */
static size_t begin(unsigned i, uint64_t size)
{
	static const char zero[FRAME_HEAD_SIZE];
	char head[FRAME_HELLO_SIZE];
	struct frame_hello hello = { .version = FRAME_VERSION,
				     .id = { (uint8_t)(i + 1) } };
	struct span rcpt = SPAN("x@d.example");
	struct submit_message m = { .sender = SPAN("a@b.example"),
				    .rcpts = &rcpt,
				    .rcpt_count = 1,
				    .content = span_of("F", (size_t)size) };
	struct buf b;
	size_t taken;

	frame_hello_put(&hello, head);
	ck_assert_uint_eq(feed(conns[i], span_of(head, sizeof(head))),
			  sizeof(head));
	buf_init(&b, 1u << 20);
	ck_assert_int_eq(buf_add(&b, zero, sizeof(zero)), 0);
	ck_assert_int_eq(frame_message_put(&b, &m, 1), 0);
	frame_seal(&b, 0, FRAME_LARGE, 1, 1);
	taken = feed(conns[i], buf_span(&b));
	ck_assert(taken == b.len || taken == FRAME_HEAD_SIZE + FRAME_SIZE_SIZE);
	buf_free(&b);
	return taken;
}

/* Does the connection read now? */
static bool reads(unsigned i)
{
	size_t room;

	return ingress_room(conns[i], &room) != NULL && room > 0;
}

START_TEST(the_ninth_waits_and_is_next)
{
	unsigned i;

	for (i = 0; i < INGRESS_LARGE_MAX; i++) {
		begin(i, 2 << 20);
		ck_assert(!ingress_waits(conns[i]));
	}
	begin(8, 2 << 20);
	begin(9, 2 << 20);
	ck_assert(ingress_waits(conns[8]) && !reads(8));
	ck_assert(ingress_waits(conns[9]) && !reads(9));
	/* Who waits holds next to nothing. */
	ck_assert_uint_eq(ingress_bytes(conns[8]), 0);
	(void)ingress_large_moved(&large);
	ck_assert(!ingress_large_moved(&large));
	ingress_conn_free(&conns[3]);
	ck_assert(ingress_large_moved(&large));
	ck_assert(!reads(9)); /* not before the one in front */
	ck_assert(reads(8) && !ingress_waits(conns[8]));
	ck_assert(!reads(9));
	ck_assert_uint_eq(large.count, INGRESS_LARGE_MAX);
}
END_TEST

START_TEST(octets_are_bounded_too)
{
	uint64_t most = INGRESS_LARGE_BYTES_MAX;
	uint64_t size = set.message_bytes_max;
	unsigned i, fit = (unsigned)(most / size);

	ck_assert_uint_lt(fit, INGRESS_LARGE_MAX);
	for (i = 0; i <= fit; i++)
		begin(i, size);
	ck_assert(!ingress_waits(conns[fit - 1]));
	ck_assert(ingress_waits(conns[fit]));
	/* A small one would have room, and does not overtake. */
	begin(fit + 1, 2 << 20);
	ck_assert(ingress_waits(conns[fit + 1]));
	/* Who leaves the line lets the next one go on. */
	ingress_conn_free(&conns[fit]);
	ck_assert(ingress_large_moved(&large));
	ck_assert(reads(fit + 1));
	ck_assert_uint_le(large.bytes, most);
}
END_TEST

START_TEST(more_than_is_taken_holds_no_octets)
{
	begin(0, set.message_bytes_max + 1);
	ck_assert(!ingress_waits(conns[0]));
	ck_assert_uint_eq(large.bytes, 0);
	ck_assert_uint_eq(large.count, 1);
}
END_TEST

START_TEST(who_sends_nothing_loses_its_place_when_others_wait)
{
	unsigned i, tick;
	char octet = 'x';

	for (i = 0; i < INGRESS_LARGE_MAX; i++)
		begin(i, 2 << 20);
	for (tick = 0; tick < 2 * INGRESS_LARGE_TICKS; tick++)
		ingress_conn_tick(conns[0]);
	ck_assert(!ingress_over(conns[0])); /* nobody waits */
	begin(8, 2 << 20);
	for (tick = 0; tick < 2 * INGRESS_LARGE_TICKS; tick++) {
		/* 0 sends nothing, 1 does (a part's head, octet by octet) */
		ck_assert_uint_eq(feed(conns[1], span_of(&octet, 1)), 1);
		ingress_conn_tick(conns[0]);
		ingress_conn_tick(conns[1]);
		ingress_conn_tick(conns[8]);
		ck_assert(ingress_over(conns[0]) ==
			  (tick + 1 >= INGRESS_LARGE_TICKS));
	}
	ck_assert(!ingress_over(conns[1]) && !ingress_over(conns[8]));
	ck_assert(strstr(ingress_words(conns[0]), "others waited") != NULL);
	/* The place is free, whether or not its client reads that. */
	ck_assert_uint_gt(ingress_answer(conns[0]).len, 0);
	ck_assert_uint_eq(ingress_bytes(conns[0]), 0);
	ck_assert(reads(8));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("large");
	TCase *tc = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tc, start, finish);
	tcase_add_test(tc, the_ninth_waits_and_is_next);
	tcase_add_test(tc, octets_are_bounded_too);
	tcase_add_test(tc, more_than_is_taken_holds_no_octets);
	tcase_add_test(tc, who_sends_nothing_loses_its_place_when_others_wait);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
