/*
 * tests/unit/test_sched.c - order and fairness of a site's run queue
 */
#include "base/hash.h"
#include "sched/sched.h"

#include <check.h>
#include <stdlib.h>

static struct sched_pool *pool;
static struct sched_rq *rq;

static void setup(void)
{
	struct sched_settings set;

	sched_settings_default(&set);
	pool = sched_pool_new(&set, 10000);
	ck_assert_ptr_nonnull(pool);
	rq = sched_rq_new(pool);
	ck_assert_ptr_nonnull(rq);
}

static void teardown(void)
{
	sched_rq_free(&rq);
	ck_assert_uint_eq(sched_pool_used(pool), 0);
	sched_pool_free(&pool);
}

static void queue_make(struct sched_queue *q, uint32_t handle, uint64_t flow)
{
	sched_queue_init(q, handle, hash_u64(handle), flow);
	ck_assert_int_eq(sched_queue_attach(rq, q), 0);
}

static struct sched_task *add(struct sched_queue *q, uint64_t id,
			      enum sched_class class, uint16_t rcpts)
{
	struct sched_task *t = sched_task_new(pool, rcpts);
	uint16_t i;

	ck_assert_ptr_nonnull(t);
	for (i = 0; i < rcpts; i++)
		sched_task_open(t)[i / 64] |= 1ull << (i % 64);
	t->id = id;
	t->class = class;
	sched_add(q, t);
	return t;
}

static struct sched_task *next(void)
{
	uint64_t when;

	return sched_next(rq, 0, &when);
}

/* Whoever waits and is not parked: is one of them guessed? */
static void guess_is_right(void)
{
	const struct sched_task *guess = sched_guess(rq);
	struct sched_counts c;

	sched_rq_counts(rq, &c);
	if (c.waiting[SCHED_TRANSACTIONAL] + c.waiting[SCHED_BULK] ==
	    c.parked) {
		ck_assert_ptr_null(guess);
		return;
	}
	ck_assert_ptr_nonnull(guess);
	ck_assert_int_eq(guess->state, SCHED_TASK_WAITING);
	ck_assert_ptr_eq(guess->queue->rq, rq);
}

static void finish(struct sched_task *t)
{
	sched_done(t);
	sched_task_free(pool, &t);
}

static void queue_end(struct sched_queue *q)
{
	struct list out;
	struct list *link;

	list_init(&out);
	sched_drain(q, &out);
	guess_is_right();
	while ((link = list_pop(&out)) != NULL) {
		struct sched_task *t =
			CONTAINER_OF(link, struct sched_task, link);

		sched_task_free(pool, &t);
	}
	sched_queue_detach(q);
}

START_TEST(a_task_is_small)
{
	ck_assert_uint_le(sizeof(struct sched_task), 160);
	ck_assert_uint_le(sizeof(struct sched_queue), 256);
}
END_TEST

START_TEST(fifo_in_a_queue)
{
	struct sched_queue q;
	uint64_t i;

	queue_make(&q, 1, 1);
	for (i = 0; i < 100; i++)
		add(&q, i, SCHED_BULK, 1);
	for (i = 0; i < 100; i++) {
		struct sched_task *t = next();

		ck_assert_uint_eq(t->id, i);
		finish(t);
	}
	ck_assert_ptr_null(next());
	queue_end(&q);
}
END_TEST

START_TEST(round_robin_over_queues)
{
	struct sched_queue q[3];
	uint64_t i;

	for (i = 0; i < 3; i++)
		queue_make(&q[i], (uint32_t)i, 1);
	for (i = 0; i < 30; i++)
		add(&q[i / 10], i, SCHED_BULK, 1);
	for (i = 0; i < 30; i++) {
		const struct sched_task *guess = sched_guess(rq);
		struct sched_task *t = next();

		ck_assert_uint_eq(t->id, i % 3 * 10 + i / 3);
		ck_assert_ptr_eq(guess, t);
		finish(t);
	}
	ck_assert_ptr_null(sched_guess(rq));
	for (i = 0; i < 3; i++)
		queue_end(&q[i]);
}
END_TEST

/* A campaign of large tasks and one of small ones get equal shares of
 * recipients, and a thousand queues weigh no more than one. */
START_TEST(flows_share_recipients)
{
	static struct sched_queue q[101];
	uint64_t sent[2] = { 0, 0 };
	uint64_t i;

	queue_make(&q[0], 0, 77);
	for (i = 1; i <= 100; i++)
		queue_make(&q[i], (uint32_t)i, 88);
	for (i = 0; i < 1000; i++)
		add(&q[0], 0, SCHED_BULK, 1);
	for (i = 0; i < 1000; i++)
		add(&q[1 + i % 100], 1, SCHED_BULK, 20);
	while (sent[0] < 800) {
		struct sched_task *t = next();

		sent[t->id] += t->span;
		finish(t);
	}
	ck_assert_uint_ge(sent[1], 700);
	ck_assert_uint_le(sent[1], 900);
	for (i = 0; i <= 100; i++)
		queue_end(&q[i]);
}
END_TEST

/* A campaign that has one large task at a time goes away with its debt and
 * comes back with it: it gets its share, not a task a turn. */
START_TEST(debts_stay_when_a_flow_runs_dry)
{
	struct sched_queue large, small;
	uint64_t sent[2] = { 0, 0 }, i;

	queue_make(&large, 1, 77);
	queue_make(&small, 2, 88);
	for (i = 0; i < 2000; i++)
		add(&small, 0, SCHED_BULK, 1);
	add(&large, 1, SCHED_BULK, 64);
	while (sent[0] < 1500) {
		struct sched_task *t = next();

		sent[t->id] += t->span;
		if (t->id == 1)
			add(&large, 1, SCHED_BULK, 64);
		finish(t);
	}
	ck_assert_uint_ge(sent[1], 1000);
	ck_assert_uint_le(sent[1], 2000);
	queue_end(&large);
	queue_end(&small);
}
END_TEST

START_TEST(a_late_flow_does_not_wait_long)
{
	struct sched_queue a, b;
	uint64_t i, waited = 0;
	struct sched_task *t;

	queue_make(&a, 1, 1);
	queue_make(&b, 2, 2);
	for (i = 0; i < 500; i++)
		add(&a, 1, SCHED_BULK, 1);
	for (i = 0; i < 100; i++)
		finish(next());
	add(&b, 2, SCHED_BULK, 1);
	for (;;) {
		t = next();
		i = t->id;
		finish(t);
		if (i == 2)
			break;
		waited++;
	}
	ck_assert_uint_le(waited, 16); /* one quantum */
	queue_end(&a);
	queue_end(&b);
}
END_TEST

START_TEST(transactional_first_bulk_never_starves)
{
	struct sched_queue q, other;
	uint64_t i, bulk = 0, gap = 0;

	queue_make(&q, 1, 1);
	queue_make(&other, 2, 2);
	for (i = 0; i < 400; i++) {
		add(&q, 0, SCHED_TRANSACTIONAL, 1);
		add(i % 2 ? &q : &other, 1, SCHED_BULK, 1);
	}
	for (i = 0; i < 400; i++) {
		struct sched_task *t = next();

		gap = t->class == SCHED_BULK ? 0 : gap + 1;
		bulk += t->class == SCHED_BULK;
		ck_assert_uint_lt(gap, 8);
		finish(t);
	}
	ck_assert_uint_eq(bulk, 50);
	queue_end(&q);
	queue_end(&other);
}
END_TEST

START_TEST(put_back_goes_to_the_front)
{
	struct sched_queue q;
	struct sched_task *t;
	struct sched_counts c;

	queue_make(&q, 1, 1);
	add(&q, 1, SCHED_BULK, 1);
	add(&q, 2, SCHED_BULK, 1);
	t = next();
	ck_assert_uint_eq(t->id, 1);
	ck_assert_uint_eq(q.running, 1);
	sched_put_back(t);
	ck_assert_ptr_eq(sched_guess(rq), t);
	ck_assert_uint_eq(q.running, 0);
	sched_rq_counts(rq, &c);
	ck_assert_uint_eq(c.waiting[SCHED_BULK], 2);
	t = next();
	ck_assert_uint_eq(t->id, 1);
	finish(t);
	/* The last one, too: its queue comes to life again. */
	t = next();
	ck_assert_ptr_null(next());
	sched_put_back(t);
	ck_assert_ptr_eq(next(), t);
	finish(t);
	queue_end(&q);
}
END_TEST

START_TEST(drain_takes_the_waiting_only)
{
	struct sched_queue q;
	struct sched_task *running, *t;
	struct list out, *link;
	uint32_t n = 0;

	list_init(&out);
	queue_make(&q, 1, 1);
	ck_assert_ptr_null(sched_first(&q));
	add(&q, 1, SCHED_BULK, 1);
	add(&q, 2, SCHED_BULK, 1);
	add(&q, 3, SCHED_TRANSACTIONAL, 200);
	running = next();
	ck_assert_uint_eq(running->id, 3);
	ck_assert_uint_eq(sched_first(&q)->id, 1);
	ck_assert_uint_eq(sched_guess(rq)->id, 1);
	ck_assert_uint_eq(sched_drain(&q, &out), 2);
	ck_assert_ptr_null(next());
	while ((link = list_pop(&out)) != NULL) {
		t = CONTAINER_OF(link, struct sched_task, link);
		ck_assert_int_eq(t->state, SCHED_TASK_IDLE);
		sched_task_free(pool, &t);
		n++;
	}
	ck_assert_uint_eq(n, 2);
	finish(running);
	queue_end(&q);
}
END_TEST

START_TEST(a_queue_moves_with_its_tasks)
{
	struct sched_rq *rq2 = sched_rq_new(pool);
	struct sched_queue q;
	struct sched_counts c;
	uint64_t when;
	struct sched_task *t;

	queue_make(&q, 1, 1);
	add(&q, 1, SCHED_BULK, 1);
	ck_assert_uint_eq(sched_guess(rq)->id, 1);
	add(&q, 2, SCHED_TRANSACTIONAL, 1);
	ck_assert_uint_eq(sched_guess(rq)->id, 2);
	sched_queue_detach(&q);
	ck_assert_ptr_null(next());
	ck_assert(!sched_rq_ready(rq, 0));
	ck_assert_int_eq(sched_queue_attach(rq2, &q), 0);
	ck_assert(sched_rq_ready(rq2, 0));
	ck_assert_uint_eq(sched_guess(rq2)->id, 2);
	sched_rq_counts(rq2, &c);
	ck_assert_uint_eq(c.waiting[0] + c.waiting[1], 2);
	t = sched_next(rq2, 0, &when);
	ck_assert_uint_eq(t->id, 2);
	finish(t);
	queue_end(&q);
	sched_rq_free(&rq2);
}
END_TEST

START_TEST(a_parked_flow_waits_others_do_not)
{
	struct sched_queue a, b;
	struct sched_counts c;
	struct sched_task *t;
	uint64_t when;

	queue_make(&a, 1, 1);
	queue_make(&b, 2, 2);
	add(&a, 1, SCHED_BULK, 1);
	add(&b, 2, SCHED_BULK, 1);
	ck_assert_uint_eq(sched_guess(rq)->id, 1);
	ck_assert_int_eq(sched_flow_park(&a, 1000), 0);
	add(&a, 3, SCHED_TRANSACTIONAL, 1);
	ck_assert_uint_eq(sched_guess(rq)->id, 2);
	sched_rq_counts(rq, &c);
	ck_assert_uint_eq(c.parked, 2);
	t = sched_next(rq, 999, &when);
	ck_assert_uint_eq(t->id, 2);
	finish(t);
	ck_assert_ptr_null(sched_next(rq, 999, &when));
	ck_assert_uint_eq(when, 1000);
	ck_assert(!sched_rq_ready(rq, 999));
	ck_assert(sched_rq_ready(rq, 1000));
	t = sched_next(rq, 1000, &when);
	ck_assert_ptr_nonnull(t); /* not a millisecond later */
	ck_assert_uint_eq(t->id, 3);
	finish(t);
	sched_rq_counts(rq, &c);
	ck_assert_uint_eq(c.parked, 0);
	queue_end(&a);
	queue_end(&b);
}
END_TEST

/* Nobody asks for a task while none is to be had: the clock alone. */
START_TEST(parked_flows_wake_unasked)
{
	struct sched_queue a, b;
	struct sched_counts c;

	queue_make(&a, 1, 1);
	queue_make(&b, 2, 2);
	add(&a, 1, SCHED_BULK, 1);
	add(&b, 2, SCHED_BULK, 1);
	ck_assert_uint_eq(sched_rq_wake(rq, 0), UINT64_MAX);
	ck_assert_int_eq(sched_flow_park(&a, 1000), 0);
	ck_assert_int_eq(sched_flow_park(&b, 2000), 0);
	ck_assert_uint_eq(sched_rq_wake(rq, 999), 1000);
	guess_is_right();
	ck_assert_uint_eq(sched_rq_wake(rq, 1000), 2000);
	guess_is_right();
	sched_rq_counts(rq, &c);
	ck_assert_uint_eq(c.parked, 1);
	ck_assert_uint_eq(sched_guess(rq)->id, 1);
	ck_assert_int_eq(sched_flow_park(&a, 3000), 0);
	ck_assert_uint_eq(sched_rq_wake(rq, UINT64_MAX), UINT64_MAX);
	sched_rq_counts(rq, &c);
	ck_assert_uint_eq(c.parked, 0);
	ck_assert(sched_rq_ready(rq, 0));
	queue_end(&a);
	queue_end(&b);
}
END_TEST

START_TEST(the_pool_has_an_end)
{
	struct sched_task *all[10000], *t;
	uint32_t i;

	for (i = 0; i < 10000; i++) {
		all[i] = sched_task_new(pool, i % 2 ? 1000 : 1);
		ck_assert_ptr_nonnull(all[i]);
	}
	ck_assert_ptr_null(sched_task_new(pool, 1));
	t = all[0];
	sched_task_free(pool, &all[0]);
	ck_assert_ptr_eq(sched_task_new(pool, 1), t);
	for (i = 1; i < 10000; i++)
		sched_task_free(pool, &all[i]);
	sched_task_free(pool, &t);
}
END_TEST

/* Its waiting tasks are gone, then the queue, which comes back. */
static uint64_t move_away(struct sched_queue *q)
{
	uint64_t waiting = q->waiting;

	if (q->running > 0)
		return 0;
	queue_end(q);
	guess_is_right();
	ck_assert_int_eq(sched_queue_attach(rq, q), 0);
	return waiting;
}

/* Random steps: nothing is lost, nothing given twice, counts agree. */
START_TEST(against_a_model)
{
	static struct sched_queue q[16];
	static struct sched_task *running[64];
	uint64_t step, id = 0, waiting = 0, n = 0, when;
	struct sched_counts c;

	for (step = 0; step < 16; step++)
		queue_make(&q[step], (uint32_t)step, step % 5);
	for (step = 0; step < 200000; step++) {
		uint64_t r = hash_u64(step);
		uint64_t at = n > 0 ? r / 8 % n : 0;

		if (r % 8 < 3 && waiting < 500) {
			add(&q[r / 8 % 16], ++id,
			    r / 256 % 3 ? SCHED_BULK : SCHED_TRANSACTIONAL,
			    (uint16_t)(1 + r / 4096 % 100));
			waiting++;
		} else if (r % 8 < 5 && n < 64) {
			struct sched_task *t = sched_next(rq, step, &when);

			if (t == NULL)
				continue;
			running[n++] = t;
			waiting--;
		} else if (r % 8 == 5 && n > 0) {
			sched_put_back(running[at]);
			running[at] = running[--n];
			waiting++;
		} else if (r % 8 == 6 && r % 64 == 14) {
			waiting -= move_away(&q[r / 64 % 16]);
		} else if (r % 8 == 6 && r % 64 == 6) {
			ck_assert_int_eq(
				sched_flow_park(&q[r / 64 % 16], step + 50), 0);
		} else if (n > 0) {
			finish(running[at]);
			running[at] = running[--n];
		}
		guess_is_right();
		sched_rq_counts(rq, &c);
		ck_assert_uint_eq(c.waiting[0] + c.waiting[1], waiting);
		ck_assert_uint_eq(c.running, n);
		ck_assert_uint_eq(sched_pool_used(pool), waiting + n);
	}
	while (n > 0)
		finish(running[--n]);
	while (waiting-- > 0)
		finish(sched_next(rq, UINT64_MAX, &when));
	ck_assert_ptr_null(sched_next(rq, UINT64_MAX, &when));
	for (step = 0; step < 16; step++)
		queue_end(&q[step]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sched");
	TCase *t = tcase_create("order");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_task_is_small);
	tcase_add_test(t, fifo_in_a_queue);
	tcase_add_test(t, round_robin_over_queues);
	tcase_add_test(t, flows_share_recipients);
	tcase_add_test(t, debts_stay_when_a_flow_runs_dry);
	tcase_add_test(t, a_late_flow_does_not_wait_long);
	tcase_add_test(t, transactional_first_bulk_never_starves);
	tcase_add_test(t, put_back_goes_to_the_front);
	tcase_add_test(t, drain_takes_the_waiting_only);
	tcase_add_test(t, a_queue_moves_with_its_tasks);
	tcase_add_test(t, a_parked_flow_waits_others_do_not);
	tcase_add_test(t, parked_flows_wake_unasked);
	tcase_add_test(t, the_pool_has_an_end);
	tcase_add_test(t, against_a_model);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
