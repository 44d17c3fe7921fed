/*
 * tests/unit/test_qstore.c - the store half against a plain model
 *
 * Random mail, outcomes, decisions and crashes; the pieces of a checkpoint
 * are made so small that crashes fall between all of its transactions.
 */
#include "qmodel.h"

#include "queue/store.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>

static const struct queue_settings small = {
	.segment_bytes = 256u << 10,
	.segments_ahead = 2,
	.free_bytes_min = 1 << 20,
	.index_bytes_max = 256u << 20,
	.tasks_max = 60,
	.queue_tasks_max = 9,
	.checkpoint_s = 3,
	.checkpoint_age_s = 1,
};

static void step(struct qmodel *m, bool decisions)
{
	uint32_t dice = qmodel_random(m, 100);

	if (dice < 12)
		qmodel_message(m);
	else if (dice < 15)
		qmodel_part(m);
	else if (dice < 35)
		qmodel_next(m);
	else if (dice < 55 && m->loaded_count > 0)
		qmodel_answer(m, qmodel_random(m, m->loaded_count), false);
	else if (dice < 58 && m->loaded_count > 0)
		qmodel_return(m, qmodel_random(m, m->loaded_count));
	else if (dice < 80)
		qmodel_work(m, 1 + (int)qmodel_random(m, 4));
	else if (dice < 81)
		queue_store_leave(m->q);
	else if (dice < 84)
		m->now_s += qmodel_random(m, 4);
	else if (dice < 85)
		qmodel_check(m);
	else if (dice < 86)
		qmodel_crash(m);
	else if (dice < 87 && decisions)
		qmodel_decide(m, QUEUE_VERB_HOLD + qmodel_random(m, 6),
			      qmodel_random(m, 3) == 0
				      ? ""
				      : qmodel_domain(qmodel_random(m, 6)),
			      0);
	else if (dice < 88 && decisions && m->message_count > 0)
		qmodel_decide(
			m, QUEUE_VERB_HOLD + qmodel_random(m, 4), "",
			m->messages[qmodel_random(m, m->message_count)].id);
	else if (dice < 95) {
		qmodel_commit(m);
		qmodel_apply(m);
	} else if (decisions)
		qmodel_decided(m);
}

/* Everything can be delivered, and then nothing is left anywhere. */
static void deliver_all(struct qmodel *m)
{
	struct queue_counts counts;

	qmodel_deliver(m, 0);
	qmodel_check(m);
	ck_assert_int_eq(queue_store_checkpoint(m->q, m->now_s), 0);
	m->now_s += 5;
	qmodel_work(m, 100000);
	qmodel_crash(m);
	qmodel_check(m);
	qmodel_work(m, 100000);
	queue_store_counts(m->q, &counts);
	ck_assert_uint_eq(counts.waiting + counts.held, 0);
	/* The segment written to, and the one that recovery sealed. */
	ck_assert_uint_le(counts.segments - counts.segments_free, 2);
	ck_assert_uint_eq(index_meta(m->q->store->index)->totals.waiting, 0);
	ck_assert_uint_eq(index_meta(m->q->store->index)->totals.held, 0);
}

static void play(uint64_t seed, int steps, bool decisions)
{
	struct qmodel m = { .run_rows = (uint32_t)(1 + seed % 7),
			    .step_rows = (uint32_t)(1 + seed % 3),
			    .lines_max = seed % 2 == 0 ? 3 : 0 };
	int i;

	m.decides_early = seed % 4 < 2;
	qmodel_open(&m, &small, seed);
	for (i = 0; i < steps; i++)
		step(&m, decisions);
	qmodel_check(&m);
	qmodel_crash(&m);
	qmodel_check(&m);
	deliver_all(&m);
	qmodel_close(&m);
}

static int times(int normal)
{
	const char *more = getenv("MTAQ_TEST_TIMES");

	return more == NULL ? normal : normal * (int)strtol(more, NULL, 10);
}

START_TEST(random_mail_and_crashes_agree_with_the_model)
{
	int i;

	for (i = 0; i < times(12); i++)
		play(1000 + (uint64_t)i, 4000, false);
}
END_TEST

START_TEST(decisions_agree_with_the_model)
{
	int i;

	for (i = 0; i < times(12); i++)
		play(5000 + (uint64_t)i, 4000, true);
}
END_TEST

/* --- promises of the header, one by one ------------------------------------- */

/* Durable, and the store has not followed the log to it. */
static void put_unmet(struct qmodel *m, uint32_t expires_s, uint32_t count)
{
	static char text[] = "Subject: x\r\n\r\nx\r\n";
	struct iovec iov = { text, sizeof(text) - 1 };
	static struct queue_rcpt rcpts[QUEUE_RCPTS_MAX];
	uint64_t id;
	uint32_t i;

	for (i = 0; i < count; i++)
		rcpts[i] = (struct queue_rcpt){ .address = SPAN("x@a.example"),
						.domain = SPAN("a.example") };

	ck_assert_int_eq(queue_put_message(m->q,
					   &(struct queue_message){
						   .submission = { 9 },
						   .number = ++m->message_count,
						   .tenant = SPAN("t"),
						   .campaign = SPAN("spring"),
						   .rcpts = rcpts,
						   .rcpt_count = count,
						   .arrived_s = m->now_s,
						   .due_s = m->now_s,
						   .expires_s = expires_s,
						   .content = &iov,
						   .content_count = 1,
						   .size = iov.iov_len },
					   &id),
			 0);
	qmodel_commit(m);
}

static void put_many(struct qmodel *m, uint32_t expires_s, uint32_t count)
{
	put_unmet(m, expires_s, count);
	qmodel_apply(m);
}

static void quiet_message(struct qmodel *m, uint32_t expires_s)
{
	put_many(m, expires_s, 1);
}

/* Recipient i of a message with three in one queue. */
static void out_of(struct qmodel *m, const struct queue_task *t, uint16_t i,
		   enum queue_state state)
{
	struct queue_out_rcpt rcpt = { .rcpt = i,
				       .state = (uint8_t)state,
				       .attempts = 1,
				       .due_s = m->now_s + 1000 };

	ck_assert_int_eq(
		queue_put_out(m->q,
			      &(struct queue_out){ .id = t->id,
						   .slot = t->slot,
						   .tenant = SPAN("t"),
						   .campaign = SPAN("spring"),
						   .domain = SPAN("a.example"),
						   .rcpts = &rcpt,
						   .rcpt_count = 1 }),
		0);
	qmodel_commit(m);
	qmodel_apply(m);
}

static void work_until(struct qmodel *m, enum checkpoint_stage stage)
{
	int calls;

	for (calls = 0; m->q->store->checkpoint.stage != stage; calls++) {
		ck_assert_int_lt(calls, 1000);
		ck_assert_int_ge(queue_store_work(m->q, m->now_s), 0);
	}
}

/* A checkpoint is about to write a row smaller, and covers why.  Who leaves the
 * task now gets a row of its own first: a replay looks for them in the old one. */
START_TEST(who_leaves_a_row_while_it_is_written_is_not_lost)
{
	struct qmodel m = { .run_rows = 50, .step_rows = 10 };
	struct queue_counts counts;
	struct queue_task t;

	qmodel_open(&m, &small, 1);
	put_many(&m, m.now_s + 90000, 3);
	ck_assert_int_eq(queue_store_checkpoint(m.q, m.now_s), 0);
	ck_assert_int_eq(queue_store_next(m.q, m.now_s, &t), 1);
	ck_assert_uint_eq(t.first, 0);
	out_of(&m, &t, 2, QUEUE_DELIVERED);
	m.q->store->checkpoint.all = true; /* however young */
	work_until(&m, CHECKPOINT_SHRINK);
	out_of(&m, &t, 1, QUEUE_WAITING);
	work_until(&m, CHECKPOINT_NONE);
	qmodel_reopen(&m);
	queue_store_counts(m.q, &counts);
	ck_assert_uint_eq(counts.waiting, 2);
	ck_assert_int_eq(queue_store_next(m.q, m.now_s, &t), 1);
	ck_assert_uint_eq(t.first, 0);
	ck_assert_int_eq(queue_store_next(m.q, m.now_s, &t), 0);
	m.now_s += 1001;
	qmodel_work(&m, 1000);
	ck_assert_int_eq(queue_store_next(m.q, m.now_s, &t), 1);
	ck_assert_uint_eq(t.first, 1);
	ck_assert_uint_eq(t.attempts, 1);
	qmodel_close(&m);
}
END_TEST

static void *work_and_leave(void *arg)
{
	struct qmodel *m = arg;

	m->q->store->checkpoint.all = true; /* however young */
	work_until(m, CHECKPOINT_PUT);
	while (!index_writing(m->q->store->index))
		ck_assert_int_eq(queue_store_work(m->q, m->now_s), 1);
	queue_store_leave(m->q);
	return NULL;
}

/* A stop in the middle of a checkpoint: another thread makes the last one, and
 * may not end a transaction that is not its own. */
START_TEST(a_checkpoint_is_left_by_one_thread_and_made_by_another)
{
	struct qmodel m = { .run_rows = 3, .step_rows = 1 };
	struct queue_counts counts;
	pthread_t other;
	int i;

	qmodel_open(&m, &small, 1);
	for (i = 0; i < 10; i++)
		quiet_message(&m, m.now_s);
	ck_assert_int_eq(pthread_create(&other, NULL, work_and_leave, &m), 0);
	ck_assert_int_eq(pthread_join(other, NULL), 0);
	ck_assert_int_eq(queue_store_checkpoint(m.q, m.now_s), 0);
	qmodel_reopen(&m);
	queue_store_counts(m.q, &counts);
	ck_assert_uint_eq(counts.waiting, 10);
	qmodel_close(&m);
}
END_TEST

/* One transaction writes what has moved and takes out where it stood: the page
 * of both is written once. */
START_TEST(a_row_that_moves_goes_when_its_queue_is_written)
{
	struct qmodel m = { .run_rows = 3, .step_rows = 1 };
	const struct delta *d;
	struct queue_counts counts;
	struct queue_task t;
	int i;

	qmodel_open(&m, &small, 1);
	for (i = 0; i < 4; i++)
		quiet_message(&m, m.now_s + 90000);
	ck_assert_int_eq(queue_store_checkpoint(m.q, m.now_s), 0);
	d = &m.q->store->delta;
	for (i = 0; i < 3; i++) {
		ck_assert_int_eq(queue_store_next(m.q, m.now_s, &t), 1);
		out_of(&m, &t, 0, QUEUE_WAITING);
	}
	ck_assert_uint_eq(d->tomb_count, 3);
	m.q->store->checkpoint.all = true; /* however young */
	work_until(&m, CHECKPOINT_SHRINK);
	ck_assert_uint_eq(d->tomb_count, 0);
	ck_assert_uint_eq(index_meta(m.q->store->index)->totals.waiting, 4);
	qmodel_reopen(&m);
	queue_store_counts(m.q, &counts);
	ck_assert_uint_eq(counts.waiting, 4);
	qmodel_close(&m);
}
END_TEST

START_TEST(a_paused_queue_gives_only_what_has_expired)
{
	struct qmodel m = { .run_rows = 2, .step_rows = 1 };
	struct queue_task t;

	qmodel_open(&m, &small, 1);
	qmodel_decide(&m, QUEUE_VERB_PAUSE, "a.example", 0);
	quiet_message(&m, m.now_s + 4000);
	quiet_message(&m, m.now_s + 90000);
	ck_assert_int_eq(queue_store_next(m.q, m.now_s, &t), 0);
	ck_assert_int_eq(queue_store_checkpoint(m.q, m.now_s), 0);
	queue_close(&m.q);
	m.now_s += 8000;
	ck_assert_int_eq(queue_open(&m.set, m.now_s, &m.q,
				    &(struct queue_report){ .records = 0 }),
			 0);
	m.now_s += 61;
	qmodel_work(&m, 1000);
	ck_assert_int_eq(queue_store_next(m.q, m.now_s, &t), 1);
	ck_assert_uint_le(t.expires_s, m.now_s);
	ck_assert(queue_paused(m.q, t.queue));
	ck_assert_int_eq(queue_store_next(m.q, m.now_s, &t), 0);
	qmodel_decide(&m, QUEUE_VERB_RESUME, "", 0);
	qmodel_commit(&m);
	qmodel_apply(&m);
	ck_assert_int_eq(queue_store_next(m.q, m.now_s, &t), 1);
	qmodel_close(&m);
}
END_TEST

static void decide_site(struct qmodel *m, enum queue_verb verb,
			const char *site)
{
	uint64_t lsn;

	ck_assert_int_eq(queue_put_decision(m->q,
					    &(struct queue_decision){
						    .verb = verb,
						    .made_s = m->now_s,
						    .site = span_str(site) },
					    &lsn),
			 0);
	qmodel_commit(m);
	qmodel_apply(m);
}

static void open_again(struct qmodel *m)
{
	queue_close(&m->q);
	ck_assert_int_eq(queue_open(&m->set, m->now_s, &m->q,
				    &(struct queue_report){ .records = 0 }),
			 0);
}

/* With the log alone, with the index, with both. */
START_TEST(a_pause_of_a_site_is_a_rule_that_lives_on)
{
	struct qmodel m = { .run_rows = 2, .step_rows = 1 };
	struct queue_decision dec;
	struct queue_task t;
	uint64_t lsn;

	qmodel_open(&m, &small, 1);
	decide_site(&m, QUEUE_VERB_SITE_PAUSE, "mx.example");
	decide_site(&m, QUEUE_VERB_SITE_PAUSE, "MX.example"); /* the same */
	open_again(&m);
	ck_assert(queue_site_paused(m.q, SPAN("Mx.Example")));
	ck_assert(!queue_site_paused(m.q, SPAN("mx2.example")));
	ck_assert_int_eq(queue_store_checkpoint(m.q, m.now_s), 0);
	open_again(&m);
	ck_assert_int_eq(queue_store_decision(m.q, 0, &lsn, &dec), 0);
	ck_assert_int_eq(dec.verb, QUEUE_VERB_SITE_PAUSE);
	ck_assert(span_eq(dec.site, SPAN("mx.example")));
	ck_assert_uint_eq(dec.domain.len, 0);
	ck_assert_int_eq(queue_store_decision(m.q, 1, &lsn, &dec), -ENOENT);
	/* Queues are none of its business, nor it theirs. */
	quiet_message(&m, m.now_s + 90000);
	ck_assert_int_eq(queue_store_next(m.q, m.now_s, &t), 1);
	ck_assert(!queue_paused(m.q, t.queue));
	qmodel_decide(&m, QUEUE_VERB_RESUME, "", 0);
	qmodel_commit(&m);
	qmodel_apply(&m);
	ck_assert(queue_site_paused(m.q, SPAN("mx.example")));
	decide_site(&m, QUEUE_VERB_SITE_RESUME, "MX.EXAMPLE");
	ck_assert(!queue_site_paused(m.q, SPAN("mx.example")));
	open_again(&m);
	ck_assert(!queue_site_paused(m.q, SPAN("mx.example")));
	ck_assert_int_eq(queue_store_checkpoint(m.q, m.now_s), 0);
	open_again(&m);
	ck_assert(!queue_site_paused(m.q, SPAN("mx.example")));
	qmodel_close(&m);
}
END_TEST

START_TEST(a_decision_acts_before_it_has_looked_at_all)
{
	struct qmodel m = { .run_rows = 2, .step_rows = 1 };
	struct queue_decision dec;
	enum queue_verb verb;
	struct queue_out out;
	struct queue_task t;
	uint64_t lsn, put;

	qmodel_open(&m, &small, 1);
	quiet_message(&m, m.now_s + 90000);
	put = qmodel_decide(&m, QUEUE_VERB_HOLD, "", 0);
	qmodel_commit(&m);
	qmodel_apply(&m);
	ck_assert_int_eq(queue_store_decision(m.q, 0, &lsn, &dec), 0);
	ck_assert_uint_eq(lsn, put);
	ck_assert_int_eq(dec.verb, QUEUE_VERB_HOLD);
	ck_assert_int_eq(queue_store_decision(m.q, 1, &lsn, &dec), -ENOENT);
	/* no queue_store_work() yet */
	ck_assert_int_eq(queue_store_next(m.q, m.now_s, &t), 0);
	ck_assert_int_eq(queue_store_decided(m.q, m.now_s, &verb, &out), 1);
	ck_assert_int_eq(verb, QUEUE_VERB_HOLD);
	qmodel_close(&m);
}
END_TEST

/* Mail that the log has and the store has not met, before and behind a decision
 * that is in force at once. */
START_TEST(a_decision_is_in_force_before_the_log_is_followed)
{
	struct qmodel m = { .decides_early = true };
	struct queue_decision dec;
	struct queue_counts counts;
	enum queue_verb verb;
	struct queue_out out;
	struct queue_task t;
	uint64_t lsn, put;
	uint32_t i;

	qmodel_open(&m, &small, 1);
	if (_i == 1) { /* met, and in the index */
		quiet_message(&m, m.now_s + 90000);
		ck_assert_int_eq(queue_store_checkpoint(m.q, m.now_s), 0);
	}
	for (i = 0; i < 3; i++)
		put_unmet(&m, m.now_s + 90000, 1);
	put = qmodel_decide(&m, QUEUE_VERB_CANCEL, "", 0);
	for (i = 0; i < 2; i++)
		put_unmet(&m, m.now_s + 90000, 1);
	ck_assert_int_eq(queue_store_decision(m.q, 0, &lsn, &dec), 0);
	ck_assert_uint_eq(lsn, put);
	ck_assert_int_eq(queue_store_next(m.q, m.now_s, &t), 0);
	/* All that is known is applied: more of it is to come. */
	qmodel_work(&m, 1000);
	for (i = 0; queue_store_decided(m.q, m.now_s, &verb, &out) == 1; i++)
		ck_assert_int_eq(queue_put_out(m.q, &out), 0);
	ck_assert_int_eq((int)i, _i);
	qmodel_work(&m, 1000);
	ck_assert_int_eq(queue_store_decision(m.q, 0, &lsn, &dec), 0);
	qmodel_commit(&m);
	qmodel_apply(&m);
	for (i = 0; queue_store_decided(m.q, m.now_s, &verb, &out) == 1; i++)
		ck_assert_int_eq(queue_put_out(m.q, &out), 0);
	ck_assert_uint_eq(i, 3);
	for (i = 0; queue_store_next(m.q, m.now_s, &t) == 1; i++)
		ck_assert_uint_gt(t.id, put);
	ck_assert_uint_eq(i, 2);
	qmodel_commit(&m);
	qmodel_apply(&m);
	qmodel_work(&m, 1000);
	ck_assert_int_eq(queue_store_decision(m.q, 0, &lsn, &dec), -ENOENT);
	queue_store_counts(m.q, &counts);
	ck_assert_uint_eq(counts.waiting, 2);
	qmodel_close(&m);
}
END_TEST

/* A pause and its end, both in force before the log is followed to either. */
START_TEST(a_rule_that_is_over_does_not_come_back)
{
	struct qmodel m = { .decides_early = true };
	struct queue_decision dec;
	struct queue_task t;
	uint64_t lsn;
	int i;

	qmodel_open(&m, &small, 1);
	qmodel_decide(&m, QUEUE_VERB_PAUSE, "", 0);
	ck_assert_int_eq(queue_store_decision(m.q, 0, &lsn, &dec), 0);
	for (i = 0; i < 10; i++) /* more than is followed at once */
		put_unmet(&m, m.now_s + 90000, QUEUE_RCPTS_MAX);
	qmodel_decide(&m, QUEUE_VERB_RESUME, "", 0);
	ck_assert_int_eq(queue_store_decision(m.q, 0, &lsn, &dec), -ENOENT);
	ck_assert_int_eq(queue_store_apply(m.q, m.now_s), 1);
	ck_assert_int_eq(queue_store_decision(m.q, 0, &lsn, &dec), -ENOENT);
	ck_assert_int_eq(queue_store_next(m.q, m.now_s, &t), 1);
	qmodel_close(&m);
}
END_TEST

START_TEST(a_decision_with_ids_keeps_to_its_queues)
{
	static const char *const domains[] = { "z.example", "a.example" };
	struct qmodel m = { .run_rows = 2, .step_rows = 1 };
	enum queue_verb verb;
	struct queue_out out;
	struct queue_task t;
	uint64_t lsn;
	int i;

	qmodel_open(&m, &small, 1);
	quiet_message(&m, m.now_s + 90000); /* to a.example */
	ck_assert_int_eq(queue_store_next(m.q, m.now_s, &t), 1);
	queue_store_return(m.q, t.id, t.first, m.now_s);
	for (i = 0; i < 2; i++) {
		struct queue_decision dec = { .verb = QUEUE_VERB_CANCEL,
					      .made_s = m.now_s,
					      .domain = span_str(domains[i]),
					      .ids = &t.id,
					      .id_count = 1 };

		ck_assert_int_eq(queue_put_decision(m.q, &dec, &lsn), 0);
		qmodel_commit(&m);
		qmodel_apply(&m);
		qmodel_work(&m, 1000);
		ck_assert_int_eq(queue_store_decided(m.q, m.now_s, &verb, &out),
				 i);
	}
	qmodel_close(&m);
}
END_TEST

/* With something to write. */
static void checkpoint_at(struct qmodel *m, uint32_t now_s)
{
	m->now_s = now_s;
	qmodel_decide(m, QUEUE_VERB_PAUSE, "z.example", 0);
	qmodel_commit(m);
	qmodel_apply(m);
	ck_assert_int_eq(queue_store_checkpoint(m->q, m->now_s), 0);
}

START_TEST(a_submission_is_known_after_a_crash_and_forgotten_in_time)
{
	struct qmodel m = { .run_rows = 2, .step_rows = 1 };
	const uint8_t name[16] = { 9 };
	uint64_t id;
	int i;

	qmodel_open(&m, &small, 1);
	for (i = 0; i < 20; i++)
		quiet_message(&m, m.now_s + 90000);
	ck_assert_int_eq(queue_store_checkpoint(m.q, m.now_s), 0);
	quiet_message(&m, m.now_s + 90000);
	queue_close(&m.q);
	ck_assert_int_eq(queue_open(&m.set, m.now_s, &m.q,
				    &(struct queue_report){ .records = 0 }),
			 0);
	ck_assert_int_eq(queue_store_submitted(m.q, name, 22, &id), 0);
	ck_assert_int_eq(queue_store_submitted(m.q, name, 21, &id), 1);
	ck_assert_uint_ne(id, 0);
	ck_assert_int_eq(queue_store_submitted(m.q, name, 5, &id), 1);
	ck_assert_uint_eq(id, 0);
	ck_assert_int_eq(queue_store_checkpoint(m.q, m.now_s), 0);
	ck_assert_int_eq(queue_store_submitted(m.q, name, 21, &id), 1);
	checkpoint_at(&m, m.now_s + 3 * 86400 - 30);
	ck_assert_int_eq(queue_store_submitted(m.q, name, 21, &id), 1);
	/* It is old, and all were looked at less than a minute ago. */
	checkpoint_at(&m, m.now_s + 35);
	ck_assert_int_eq(queue_store_submitted(m.q, name, 21, &id), 1);
	checkpoint_at(&m, m.now_s + 35);
	ck_assert_int_eq(queue_store_submitted(m.q, name, 21, &id), 0);
	qmodel_close(&m);
}
END_TEST

START_TEST(memory_does_not_grow_with_the_queue)
{
	struct qmodel m = { .run_rows = 50, .step_rows = 10 };
	struct queue_settings set = small;
	struct queue_counts counts;
	struct queue_task t;
	uint32_t i;

	qmodel_open(&m, &set, 1);
	for (i = 0; i < 3000; i++)
		quiet_message(&m, m.now_s + 90000);
	ck_assert_int_eq(queue_store_checkpoint(m.q, m.now_s), 0);
	ck_assert_uint_eq(m.q->store->delta.task_count, 0);
	for (i = 0; queue_store_next(m.q, m.now_s, &t) == 1; i++)
		;
	ck_assert_uint_eq(i, m.q->store->delta.window_first);
	ck_assert_uint_le(m.q->store->delta.task_count, 200);
	queue_store_counts(m.q, &counts);
	ck_assert_uint_eq(counts.waiting, 3000);
	qmodel_close(&m);
}
END_TEST

/* Two messages of two parts; the second's second part comes never (0: the
 * process dies, 1: the disk is full) or late (2). */
START_TEST(a_submission_does_not_know_half_a_message)
{
	static char text[] = "Subject: x\r\n\r\nhi\r\n";
	struct iovec iov = { text, sizeof(text) - 1 };
	struct queue_rcpt rcpt = { .address = SPAN("r@x"),
				   .domain = SPAN("x") };
	struct queue_message msg = { .submission = { 7 },
				     .sender = SPAN("s@y"),
				     .rcpts = &rcpt,
				     .rcpt_count = 1,
				     .content = &iov,
				     .content_count = 1,
				     .size = 2 * iov.iov_len };
	struct qmodel m = { .run_rows = 2, .step_rows = 1 };
	uint64_t id, known;
	uint32_t n;

	qmodel_open(&m, &small, 1);
	msg.arrived_s = msg.due_s = m.now_s;
	msg.expires_s = m.now_s + 90000;
	for (n = 1; n <= 2; n++) {
		msg.number = n;
		ck_assert_int_eq(queue_put_message(m.q, &msg, &id), 0);
		qmodel_commit(&m);
		qmodel_apply(&m);
		ck_assert_int_eq(
			queue_store_submitted(m.q, msg.submission, n, &known),
			0);
		if (n == 2 && _i == 0)
			break;
		if (n == 2 && _i == 1)
			ck_assert_int_eq(queue_put_abandon(m.q, id), 0);
		else
			ck_assert_int_eq(
				queue_put_part(m.q, id, iov.iov_len, &iov, 1),
				0);
		qmodel_commit(&m);
		qmodel_apply(&m);
	}
	if (_i == 1)
		ck_assert_int_eq(queue_store_checkpoint(m.q, m.now_s), 0);
	queue_close(&m.q);
	ck_assert_int_eq(queue_open(&m.set, m.now_s, &m.q,
				    &(struct queue_report){ .records = 0 }),
			 0);
	ck_assert_int_eq(queue_store_submitted(m.q, msg.submission, 1, &known),
			 1);
	ck_assert_int_eq(queue_store_submitted(m.q, msg.submission, 2, &known),
			 _i == 2);
	if (_i == 2)
		ck_assert_uint_eq(known, id);
	qmodel_close(&m);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("qstore");
	TCase *tc = tcase_create("model");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 250);
	tcase_add_test(tc, random_mail_and_crashes_agree_with_the_model);
	tcase_add_test(tc, decisions_agree_with_the_model);
	tcase_add_test(tc, a_paused_queue_gives_only_what_has_expired);
	tcase_add_test(tc, who_leaves_a_row_while_it_is_written_is_not_lost);
	tcase_add_test(tc,
		       a_checkpoint_is_left_by_one_thread_and_made_by_another);
	tcase_add_test(tc, a_row_that_moves_goes_when_its_queue_is_written);
	tcase_add_test(tc, a_decision_acts_before_it_has_looked_at_all);
	tcase_add_test(tc, a_pause_of_a_site_is_a_rule_that_lives_on);
	tcase_add_loop_test(
		tc, a_decision_is_in_force_before_the_log_is_followed, 0, 2);
	tcase_add_test(tc, a_rule_that_is_over_does_not_come_back);
	tcase_add_test(tc, a_decision_with_ids_keeps_to_its_queues);
	tcase_add_test(
		tc, a_submission_is_known_after_a_crash_and_forgotten_in_time);
	tcase_add_loop_test(tc, a_submission_does_not_know_half_a_message, 0,
			    3);
	tcase_add_test(tc, memory_does_not_grow_with_the_queue);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
