/*
 * tests/unit/test_lane.c - hand-offs between threads
 *
 * The lane is so small that sender and receiver wait for each other all the
 * time, and both wait without a limit: a wake-up that is lost once hangs the
 * test.
 */
#include "base/hash.h"
#include "engine/lane.h"
#include "engine/wire.h"

#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#define MESSAGES 100000u

struct pair {
	struct bell sender, receiver;
	struct lane lane;
	uint32_t at_once; /* messages between two flushes */
};

static void *send_all(void *arg)
{
	struct pair *p = arg;
	uint32_t i, *m;

	for (i = 0; i < MESSAGES; i++) {
		size_t len = 4 + hash_u64(i) % 40;

		while ((m = lane_reserve_or_wait(&p->lane, len)) == NULL) {
			bell_doze(&p->sender);
			m = lane_reserve_or_wait(&p->lane, len);
			if (m != NULL) {
				bell_awake(&p->sender);
				break;
			}
			bell_wait(&p->sender, -1);
		}
		*m = i;
		lane_stage(&p->lane);
		if (i % p->at_once == 0)
			lane_flush(&p->lane);
	}
	lane_flush(&p->lane);
	return NULL;
}

/* One by one; some at once; so many that room must run out before. */
START_TEST(no_wake_up_is_lost)
{
	static const uint32_t at_once[] = { 1, 3, MESSAGES };
	struct pair p = { .at_once = at_once[_i] };
	pthread_t sender;
	const uint32_t *m;
	uint32_t i = 0;
	size_t len;

	ck_assert_int_eq(bell_init(&p.sender), 0);
	ck_assert_int_eq(bell_init(&p.receiver), 0);
	ck_assert_int_eq(lane_init(&p.lane, 256, &p.sender, &p.receiver), 0);
	ck_assert_int_eq(pthread_create(&sender, NULL, send_all, &p), 0);
	while (i < MESSAGES) {
		m = lane_peek(&p.lane, &len);
		if (m != NULL) {
			ck_assert_uint_eq(*m, i);
			ck_assert_uint_eq(len, 4 + hash_u64(i) % 40);
			i++;
			lane_consume(&p.lane);
			continue;
		}
		bell_doze(&p.receiver);
		lane_settle(&p.lane);
		if (lane_peek(&p.lane, &len) != NULL)
			bell_awake(&p.receiver);
		else
			bell_wait(&p.receiver, -1);
	}
	pthread_join(sender, NULL);
	lane_free(&p.lane);
	bell_free(&p.sender);
	bell_free(&p.receiver);
}
END_TEST

static void *remind_all(void *arg)
{
	struct pair *p = arg;
	uint32_t i, *m;

	for (i = 0; i < MESSAGES; i++) {
		while ((m = lane_reserve(&p->lane, sizeof(*m))) == NULL)
			sched_yield();
		*m = i;
		mring_publish(p->lane.ring);
		bell_remind(&p->receiver);
	}
	return NULL;
}

/* Every other time that there is nothing it rests, and then nobody need ring;
 * else it waits without a limit. */
START_TEST(who_rests_misses_nothing)
{
	struct pair p;
	pthread_t sender;
	const uint32_t *m;
	bool rests = false;
	uint32_t i = 0;
	size_t len;

	ck_assert_int_eq(bell_init(&p.receiver), 0);
	ck_assert_int_eq(lane_init(&p.lane, 256, NULL, &p.receiver), 0);
	ck_assert_int_eq(pthread_create(&sender, NULL, remind_all, &p), 0);
	while (i < MESSAGES) {
		m = lane_peek(&p.lane, &len);
		if (m != NULL) {
			ck_assert_uint_eq(*m, i++);
			lane_consume(&p.lane);
			continue;
		}
		rests = !rests;
		bell_rest(&p.receiver, rests);
		bell_doze(&p.receiver);
		if (lane_peek(&p.lane, &len) != NULL)
			bell_awake(&p.receiver);
		else
			bell_wait(&p.receiver, rests ? 1 : -1);
		bell_rest(&p.receiver, false);
	}
	pthread_join(sender, NULL);
	lane_free(&p.lane);
	bell_free(&p.receiver);
}
END_TEST

static bool rung(struct bell *b)
{
	struct pollfd p = { .fd = b->fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

START_TEST(who_rests_is_not_reminded)
{
	struct bell b;

	ck_assert_int_eq(bell_init(&b), 0);
	bell_rest(&b, true);
	bell_doze(&b);
	bell_remind(&b);
	ck_assert(!rung(&b));
	bell_ring(&b);
	ck_assert(rung(&b));
	bell_wait(&b, 0);
	bell_rest(&b, false);
	bell_doze(&b);
	bell_remind(&b);
	ck_assert(rung(&b));
	bell_free(&b);
}
END_TEST

START_TEST(an_outcome_comes_out_as_it_went_in)
{
	struct queue_out_rcpt in[3], got[3];
	struct queue_out out = { .id = 4096,
				 .slot = 77,
				 .tenant = SPAN("acme"),
				 .campaign = SPAN(""),
				 .domain = SPAN("d1.test"),
				 .note = SPAN("\0common"),
				 .rcpts = in,
				 .rcpt_count = 3 },
			 back;
	char *mem;
	int i;

	for (i = 0; i < 3; i++)
		in[i] = (struct queue_out_rcpt){
			.rcpt = (uint16_t)(5 * i),
			.state = QUEUE_WAITING,
			.attempts = (uint8_t)i,
			.unsure = 1,
			.due_s = 1000u + (uint32_t)i,
			.note = span_of("notes", (size_t)i),
		};
	mem = malloc(out_wire_size(&out));
	ck_assert_ptr_nonnull(mem);
	out_wire_put(&out, mem);
	out_wire_get(mem, got, 3, &back);
	ck_assert_uint_eq(back.id, 4096);
	ck_assert_uint_eq(back.slot, 77);
	ck_assert(span_eq(back.tenant, out.tenant));
	ck_assert(span_eq(back.campaign, out.campaign));
	ck_assert(span_eq(back.domain, out.domain));
	ck_assert(span_eq(back.note, out.note));
	ck_assert_uint_eq(back.rcpt_count, 3);
	for (i = 0; i < 3; i++) {
		ck_assert_uint_eq(got[i].rcpt, in[i].rcpt);
		ck_assert_uint_eq(got[i].due_s, in[i].due_s);
		ck_assert_uint_eq(got[i].attempts, in[i].attempts);
		ck_assert(span_eq(got[i].note, in[i].note));
	}
	free(mem);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lane");
	TCase *tc = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, no_wake_up_is_lost, 0, 3);
	tcase_add_test(tc, who_rests_misses_nothing);
	tcase_add_test(tc, who_rests_is_not_reminded);
	tcase_add_test(tc, an_outcome_comes_out_as_it_went_in);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
