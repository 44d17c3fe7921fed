/*
 * tests/unit/test_wheel.c - the timer wheel against a plain array
 */
#include "base/hash.h"
#include "base/wheel.h"

#include <check.h>

#define NODES  200
#define DAY_MS 86400000ull

struct model {
	struct wheel w;
	struct wheel_node n[NODES];
	uint64_t at[NODES]; /* 0: not in */
	uint64_t now;
	size_t in, fired;
};

static uint64_t rnd(uint64_t *seed)
{
	return hash_u64(*seed += 0x9e3779b97f4a7c15ull);
}

static void turn(struct model *m, uint64_t now)
{
	struct wheel_node *node;
	uint64_t last = 0;
	size_t i;

	m->now = now;
	while ((node = wheel_take(&m->w, now)) != NULL) {
		i = (size_t)(node - m->n);
		ck_assert_uint_ne(m->at[i], 0);
		ck_assert_uint_le(m->at[i], now);
		ck_assert_uint_ge(node->due_tick, last);
		last = node->due_tick;
		m->at[i] = 0;
		m->in--;
		m->fired++;
	}
	for (i = 0; i < NODES; i++) {
		ck_assert_int_eq(wheel_has(&m->n[i]), m->at[i] != 0);
		if (m->at[i] != 0) /* late by less than a tick */
			ck_assert_uint_gt(m->at[i] + WHEEL_TICK_MS, now);
	}
	ck_assert_uint_eq(m->w.count, m->in);
}

/* wheel_next_ms() is never later than the first deadline's tick. */
static void check_next(const struct model *m)
{
	uint64_t first = UINT64_MAX, next = wheel_next_ms(&m->w);
	size_t i;

	for (i = 0; i < NODES; i++)
		if (m->at[i] != 0 && m->at[i] < first)
			first = m->at[i];
	if (first == UINT64_MAX)
		ck_assert_uint_eq(next, UINT64_MAX);
	else
		ck_assert_uint_lt(next, first + WHEEL_TICK_MS);
}

static void put(struct model *m, size_t i, uint64_t at)
{
	if (m->at[i] == 0)
		m->in++;
	m->at[i] = at;
	wheel_add(&m->w, &m->n[i], at);
}

START_TEST(wheel_against_array)
{
	static const uint64_t far[] = { 5,      100,    1000,       60000,
					DAY_MS, 300000, 3 * DAY_MS, 700 };
	struct model m = { .now = (uint64_t)_i * 123456789 };
	uint64_t seed = (uint64_t)_i;
	size_t i, step;

	wheel_init(&m.w, m.now);
	for (i = 0; i < NODES; i++)
		wheel_node_init(&m.n[i]);
	for (step = 0; step < 3000; step++) {
		i = rnd(&seed) % NODES;
		if (rnd(&seed) % 4 == 0) {
			m.in -= m.at[i] != 0;
			m.at[i] = 0;
			wheel_del(&m.w, &m.n[i]);
		} else {
			put(&m, i,
			    m.now + 1 + rnd(&seed) % far[rnd(&seed) % 8]);
		}
		check_next(&m);
		turn(&m, m.now + rnd(&seed) % far[rnd(&seed) % 5]);
	}
	turn(&m, m.now + 4 * DAY_MS);
	ck_assert_uint_eq(m.in, 0);
	ck_assert_uint_gt(m.fired, 1000);
}
END_TEST

/* The loop of a thread: sleep until wheel_next_ms(), turn, in few turns. */
START_TEST(wheel_next_leads_to_the_deadline)
{
	static const uint64_t at[] = { 1,          10,        11,      640,
				       641,        41000,     2700000, DAY_MS,
				       DAY_MS * 2, DAY_MS * 9 };
	struct wheel w;
	struct wheel_node n;
	size_t i;

	for (i = 0; i < ARRAY_LEN(at); i++) {
		uint64_t now = 7777, due = now + at[i];
		unsigned turns = 0;

		wheel_init(&w, now);
		wheel_node_init(&n);
		wheel_add(&w, &n, due);
		while (wheel_take(&w, now) == NULL) {
			ck_assert_uint_lt(now, due + WHEEL_TICK_MS);
			now = wheel_next_ms(&w);
			ck_assert_uint_lt(turns++, 12);
		}
		ck_assert_uint_ge(now, due);
		ck_assert_uint_lt(now, due + WHEEL_TICK_MS);
		ck_assert_uint_eq(wheel_next_ms(&w), UINT64_MAX);
	}
}
END_TEST

START_TEST(wheel_past_fires_at_once)
{
	struct wheel w;
	struct wheel_node n[2];

	wheel_init(&w, 5000);
	wheel_node_init(&n[0]);
	wheel_node_init(&n[1]);
	wheel_add(&w, &n[0], 0);
	wheel_add(&w, &n[1], 5000);
	wheel_del(&w, &n[1]);
	wheel_del(&w, &n[1]); /* allowed */
	ck_assert_ptr_eq(wheel_take(&w, 5000), &n[0]);
	ck_assert_ptr_null(wheel_take(&w, 6000));
	ck_assert_uint_eq(w.count, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("wheel");
	TCase *tc = tcase_create("wheel");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, wheel_against_array, 0, 8);
	tcase_add_test(tc, wheel_next_leads_to_the_deadline);
	tcase_add_test(tc, wheel_past_fires_at_once);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
