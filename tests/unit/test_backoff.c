/*
 * tests/unit/test_backoff.c - slots: schedule, minima, jitter, rounding
 */
#include "base/hash.h"
#include "sched/backoff.h"

#include <check.h>
#include <stdlib.h>

#define NOW 1000003u

struct row {
	enum backoff_kind kind;
	uint32_t attempt, unsure, least_s;
	uint32_t from_s, to_s; /* the delay, before rounding */
};

static const struct row rows[] = {
	/* rule 31: the list, 20 % both ways, the last repeats */
	{ BACKOFF_RETRY, 1, 0, 0, 288, 432 },
	{ BACKOFF_RETRY, 2, 0, 0, 720, 1080 },
	{ BACKOFF_RETRY, 6, 0, 0, 11520, 17280 },
	{ BACKOFF_RETRY, 7, 0, 0, 11520, 17280 },
	{ BACKOFF_RETRY, 255, 0, 0, 11520, 17280 },
	{ BACKOFF_RETRY, 1, 0, 600, 600, 720 },
	{ BACKOFF_RETRY, 2, 0, 600, 720, 1080 },
	/* rule 31: greylisting first at 5 min + 0-20 %, never less */
	{ BACKOFF_GREYLIST, 1, 0, 0, 300, 360 },
	{ BACKOFF_GREYLIST, 2, 0, 0, 720, 1080 },
	/* rule 31: mailbox full not before an hour */
	{ BACKOFF_MAILBOX_FULL, 1, 0, 0, 3600, 4320 },
	{ BACKOFF_MAILBOX_FULL, 4, 0, 0, 3600, 4320 },
	{ BACKOFF_MAILBOX_FULL, 5, 0, 0, 5760, 8640 },
	/* rule 17: not before 15 min, doubling */
	{ BACKOFF_UNSURE, 1, 1, 0, 900, 1080 },
	{ BACKOFF_UNSURE, 2, 2, 0, 1800, 2160 },
	{ BACKOFF_UNSURE, 9, 4, 0, 7200, 8640 },
};

/* Every row over many queues: within bounds, on the grid, well spread. */
START_TEST(rule_31_delays)
{
	const struct row *r = &rows[_i];
	struct backoff_settings set;
	uint32_t q, low = UINT32_MAX, high = 0;

	backoff_settings_default(&set);
	for (q = 0; q < 2000; q++) {
		struct backoff_ask ask = { .kind = r->kind,
					   .attempt = r->attempt,
					   .unsure = r->unsure,
					   .least_s = r->least_s,
					   .queue_hash = hash_u64(q),
					   .epoch = 7,
					   .old_slot = NOW,
					   .now_s = NOW };
		uint32_t slot = backoff_slot(&set, &ask);
		uint32_t grid = slot - NOW < 600 ? 5 : 60;

		/* A delay just below 10 min may be rounded to it. */
		ck_assert_uint_eq(slot % (slot - NOW <= 605 ? 5 : grid), 0);
		ck_assert_uint_ge(slot - NOW, r->from_s);
		ck_assert_uint_le(slot - NOW, r->to_s + 60);
		low = slot < low ? slot : low;
		high = slot > high ? slot : high;
	}
	/* The jitter reaches both ends. */
	ck_assert_uint_le(low - NOW,
			  r->from_s + (r->to_s - r->from_s) / 10 + 60);
	ck_assert_uint_ge(high - NOW, r->to_s - (r->to_s - r->from_s) / 10);
}
END_TEST

START_TEST(same_queue_attempt_epoch_same_slot)
{
	struct backoff_settings set;
	struct backoff_ask ask = { .kind = BACKOFF_RETRY,
				   .attempt = 6,
				   .queue_hash = 42,
				   .epoch = 3,
				   .now_s = NOW };
	uint32_t slot, e, others = 0;

	backoff_settings_default(&set);
	slot = backoff_slot(&set, &ask);
	ck_assert_uint_eq(slot, backoff_slot(&set, &ask));
	for (e = 4; e < 24; e++) {
		ask.epoch = e;
		others += backoff_slot(&set, &ask) != slot;
	}
	ck_assert_uint_gt(others, 15);
}
END_TEST

START_TEST(slot_always_behind_the_old_one)
{
	struct backoff_settings set;
	struct backoff_ask ask = { .kind = BACKOFF_RETRY,
				   .attempt = 1,
				   .now_s = NOW };
	uint32_t old;

	backoff_settings_default(&set);
	for (old = NOW; old < NOW + 5000; old++) {
		ask.old_slot = old;
		ck_assert_uint_gt(backoff_slot(&set, &ask), old);
	}
	ask.old_slot = ask.now_s = UINT32_MAX - 1;
	ck_assert_uint_eq(backoff_slot(&set, &ask), UINT32_MAX);
}
END_TEST

/* Tests of the whole engine run with seconds instead of hours. */
START_TEST(every_delay_is_a_setting)
{
	struct backoff_settings set;
	struct backoff_ask ask = { .attempt = 1, .unsure = 1, .now_s = NOW };
	int kind;

	backoff_settings_default(&set);
	set.retry_s[0] = set.retry_count = 1;
	set.greylist_s = set.mailbox_full_s = set.unsure_first_s = 1;
	set.fine_s = 1;
	for (kind = 0; kind < BACKOFF_KIND_COUNT; kind++) {
		ask.kind = (enum backoff_kind)kind;
		ask.old_slot = NOW;
		/* A minimum counts from the end of the second that runs. */
		ck_assert_uint_eq(backoff_slot(&set, &ask),
				  kind == BACKOFF_RETRY ? NOW + 1 : NOW + 2);
	}
	set.fine_s = 5;
	ck_assert_uint_eq(backoff_slot(&set, &ask), NOW + 2); /* 1000005 */
}
END_TEST

START_TEST(rule_17_held_after_five)
{
	struct backoff_settings set;

	backoff_settings_default(&set);
	ck_assert(!backoff_unsure_spent(&set, 4));
	ck_assert(backoff_unsure_spent(&set, 5));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("backoff");
	TCase *t = tcase_create("slots");
	SRunner *r;
	int failed;

	tcase_add_loop_test(t, rule_31_delays, 0,
			    (int)(sizeof(rows) / sizeof(rows[0])));
	tcase_add_test(t, same_queue_attempt_epoch_same_slot);
	tcase_add_test(t, slot_always_behind_the_old_one);
	tcase_add_test(t, every_delay_is_a_setting);
	tcase_add_test(t, rule_17_held_after_five);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
