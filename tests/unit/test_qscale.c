/*
 * tests/unit/test_qscale.c - a long queue costs neither memory nor time
 */
#include "qmodel.h"

#include "queue/order.h"
#include "queue/store.h"

#include <check.h>
#include <errno.h>
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

static void quiet_message(struct qmodel *m, uint32_t expires_s)
{
	static char text[] = "Subject: x\r\n\r\nx\r\n";
	struct iovec iov = { text, sizeof(text) - 1 };
	struct queue_rcpt rcpt = { .address = SPAN("x@a.example"),
				   .domain = SPAN("a.example") };
	uint64_t id;

	ck_assert_int_eq(queue_put_message(m->q,
					   &(struct queue_message){
						   .submission = { 9 },
						   .number = ++m->message_count,
						   .tenant = SPAN("t"),
						   .campaign = SPAN("spring"),
						   .rcpts = &rcpt,
						   .rcpt_count = 1,
						   .arrived_s = m->now_s,
						   .due_s = m->now_s,
						   .expires_s = expires_s,
						   .content = &iov,
						   .content_count = 1,
						   .size = iov.iov_len },
					   &id),
			 0);
	qmodel_commit(m);
	qmodel_apply(m);
}

static void deliver(struct qmodel *m, const struct queue_task *t)
{
	struct queue_out_rcpt rcpt = { .rcpt = t->first,
				       .state = QUEUE_DELIVERED };

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
}

/* Deliver all that is given at once, each `takes_s` after the last; the most
 * that was loaded at a time. */
static uint32_t deliver_paced(struct qmodel *m, uint32_t takes_s)
{
	struct queue_counts counts;
	struct queue_task t;
	uint32_t n, most = 0;

	for (;;) {
		for (n = 0; queue_store_next(m->q, m->now_s, &t) == 1; n++)
			deliver(m, &t);
		if (n == 0)
			break;
		most = n > most ? n : most;
		m->now_s += takes_s;
		qmodel_commit(m);
		qmodel_apply(m);
	}
	queue_store_counts(m->q, &counts);
	ck_assert_uint_eq(counts.waiting, 0);
	return most;
}

START_TEST(a_queue_that_moves_has_a_larger_window)
{
	struct qmodel m = { .run_rows = 50, .step_rows = 10 };
	uint32_t i, takes_s, most;

	qmodel_open(&m, &small, 1);
	for (takes_s = 0; takes_s <= 10; takes_s += 10) {
		for (i = 0; i < 200; i++)
			quiet_message(&m, m.now_s + 90000);
		ck_assert_int_eq(queue_store_checkpoint(m.q, m.now_s), 0);
		most = deliver_paced(&m, takes_s);
		/* The second time it is still as large, and then shrinks. */
		ck_assert_uint_eq(most, small.queue_tasks_max);
	}
	ck_assert_uint_eq(delta_line_numbered(&m.q->store->delta, 1)->window,
			  m.q->store->delta.window_first);
	qmodel_close(&m);
}
END_TEST

START_TEST(a_full_window_does_not_keep_new_mail_back)
{
	struct qmodel m = { .run_rows = 50, .step_rows = 10 };
	struct queue_task t;
	uint64_t row_id;
	uint32_t i;

	qmodel_open(&m, &small, 1);
	for (i = 0; i < 20; i++)
		quiet_message(&m, m.now_s + 90000);
	ck_assert_int_eq(queue_store_checkpoint(m.q, m.now_s), 0);
	for (i = 0; queue_store_next(m.q, m.now_s, &t) == 1; i++)
		row_id = t.id;
	ck_assert_uint_lt(i, small.queue_tasks_max);
	quiet_message(&m, m.now_s + 90000);
	ck_assert_int_eq(queue_store_next(m.q, m.now_s, &t), 1);
	ck_assert_uint_gt(t.id, row_id);
	ck_assert_int_eq(queue_store_next(m.q, m.now_s, &t), 0);
	qmodel_close(&m);
}
END_TEST

START_TEST(a_checkpoint_takes_in_the_order_of_the_index)
{
	struct qmodel m = { .run_rows = 0 };
	const struct delta *d;
	size_t i, lines = 1;

	qmodel_open(&m, &small, 7);
	for (i = 0; i < 60; i++)
		qmodel_message(&m);
	qmodel_commit(&m);
	qmodel_apply(&m);
	d = &m.q->store->delta;
	ck_assert_int_eq(order_take_tasks(&m.q->store->delta, UINT64_MAX), 0);
	ck_assert_uint_eq(d->taken_count, d->dirty_count);
	for (i = 1; i < d->taken_count; i++) {
		const struct task *a = d->taken_tasks[i - 1];
		const struct task *b = d->taken_tasks[i];

		ck_assert_uint_le(order_line(a->line), order_line(b->line));
		if (a->line == b->line)
			ck_assert_uint_le(a->slot, b->slot);
		lines += a->line != b->line;
	}
	ck_assert_uint_gt(lines, 3);
	ck_assert_uint_le(lines, d->line_count);
	qmodel_close(&m);
}
END_TEST

START_TEST(many_changes_are_written_however_young)
{
	struct qmodel m = { .run_rows = 0 };
	struct queue_settings set = small;
	struct queue_counts counts;
	int i;

	set.checkpoint_age_s = 600;
	set.checkpoint_deltas = 5;
	qmodel_open(&m, &set, 1);
	for (i = 0; i < 9; i++)
		quiet_message(&m, m.now_s + 90000);
	qmodel_work(&m, 100);
	queue_store_counts(m.q, &counts);
	ck_assert_uint_eq(counts.deltas, 9);
	quiet_message(&m, m.now_s + 90000);
	m.now_s++;
	qmodel_work(&m, 100);
	queue_store_counts(m.q, &counts);
	ck_assert_uint_eq(counts.deltas, 0);
	qmodel_close(&m);
}
END_TEST

/* What a list of one domain holds, and how many calls it took. */
static uint32_t list_domain(struct qmodel *m, const char *domain, int *calls_r)
{
	struct queue_filter filter = { .domain = span_str(domain) };
	struct queue_list_cursor at = { .stage = 0 };
	struct queue_task tasks[16];
	struct span tenant, campaign, name;
	uint32_t i, n, count = 0;
	int rc;

	*calls_r = 0;
	do {
		rc = queue_list(m->q, &filter, &at, tasks, 16, &n);
		ck_assert_int_ge(rc, 0);
		for (i = 0; i < n; i++) {
			queue_handle_name(m->q, tasks[i].queue, &tenant,
					  &campaign, &name);
			ck_assert(span_eq(name, filter.domain));
		}
		count += n;
		++*calls_r;
	} while (rc > 0);
	return count;
}

START_TEST(a_list_of_one_domain_passes_the_others_by)
{
	struct qmodel m = { .lines_max = 3 };
	uint32_t i, all = 0, open = 0;
	struct queue_counts counts;
	int calls;

	qmodel_open(&m, &small, 3);
	for (i = 0; i < 40; i++)
		qmodel_message(&m);
	for (i = 0; i < 40; i++)
		qmodel_part(&m);
	qmodel_commit(&m);
	qmodel_apply(&m);
	(void)store_drop_partials(m.q->store);
	ck_assert_int_eq(queue_store_checkpoint(m.q, m.now_s), 0);
	ck_assert_uint_eq(m.q->store->delta.task_count, 0);
	for (i = 0; i < QMODEL_DOMAINS; i++) {
		open = list_domain(&m, qmodel_domain(i), &calls);
		ck_assert_uint_gt(open, 0);
		all += open;
	}
	ck_assert_uint_eq(list_domain(&m, "nobody.example", &calls), 0);
	/* No line was made for it, and none driven out. */
	ck_assert_int_le(calls, 3);
	queue_store_counts(m.q, &counts);
	ck_assert_uint_le(all, counts.waiting);
	ck_assert_uint_gt(all, QMODEL_DOMAINS);
	qmodel_close(&m);
}
END_TEST

/* A message in a queue of its own: x@q<n>.example. */
static void message_of(struct qmodel *m, uint32_t n)
{
	static char text[] = "Subject: x\r\n\r\nx\r\n";
	struct iovec iov = { text, sizeof(text) - 1 };
	struct queue_rcpt rcpt;
	char address[32];
	uint64_t id;

	snprintf(address, sizeof(address), "x@q%u.example", n);
	rcpt = (struct queue_rcpt){ .address = span_str(address),
				    .domain = span_str(address + 2) };
	ck_assert_int_eq(
		queue_put_message(
			m->q,
			&(struct queue_message){ .submission = { 8 },
						 .number = ++m->message_count,
						 .rcpts = &rcpt,
						 .rcpt_count = 1,
						 .arrived_s = m->now_s,
						 .due_s = m->now_s,
						 .expires_s = m->now_s + 90000,
						 .content = &iov,
						 .content_count = 1,
						 .size = iov.iov_len },
			&id),
		0);
}

/* A message in each of so many queues, as rows. */
static void rows_of(struct qmodel *m, uint32_t queues)
{
	uint32_t i;

	for (i = 0; i < queues; i++)
		message_of(m, i);
	qmodel_commit(m);
	qmodel_apply(m);
	ck_assert_int_eq(queue_store_checkpoint(m->q, m->now_s), 0);
}

/* So many queues of a message each, in the index and not in memory. */
static void queues_of(struct qmodel *m, uint32_t queues)
{
	qmodel_open(m, &small, 1);
	rows_of(m, queues);
	ck_assert_uint_eq(m->q->store->delta.task_count, 0);
}

START_TEST(a_page_has_rows_of_many_queues_and_can_name_them)
{
	enum {
		QUEUES = 40
	};
	struct qmodel m = { .lines_max = 3 };
	struct queue_filter any = { .domain = SPAN("") };
	struct queue_list_cursor at = { .stage = 0 };
	struct queue_task tasks[QUEUES];
	struct span tenant, campaign, seen[QUEUES];
	uint32_t i, j, n;

	queues_of(&m, QUEUES);
	ck_assert_int_ge(queue_list(m.q, &any, &at, tasks, QUEUES, &n), 0);
	ck_assert_uint_eq(n, QUEUES);
	for (i = 0; i < n; i++) {
		queue_handle_name(m.q, tasks[i].queue, &tenant, &campaign,
				  &seen[i]);
		for (j = 0; j < i; j++)
			ck_assert(!span_eq(seen[i], seen[j]));
	}
	/* And then there are as few of them as there may be. */
	at = (struct queue_list_cursor){ .stage = 1 };
	ck_assert_int_eq(queue_list(m.q, &any, &at, tasks, QUEUES, &n), 0);
	ck_assert_uint_lt(m.q->store->delta.line_count, 3);
	ck_assert_uint_eq(list_domain(&m, "q39.example", &(int){ 0 }), 1);
	qmodel_close(&m);
}
END_TEST

START_TEST(a_look_begins_with_what_is_loaded)
{
	struct qmodel m = { .lines_max = 3 };
	struct queue_filter any = { .domain = SPAN("") };
	struct queue_list_cursor at = { .stage = QUEUE_LIST_LOADED };
	struct queue_task task, tasks[12];
	uint32_t n, all = 0;
	int rc;

	queues_of(&m, 12);
	m.now_s += 2;
	qmodel_work(&m, 50);
	ck_assert_int_eq(queue_store_next(m.q, m.now_s, &task), 1);
	do {
		rc = queue_list(m.q, &any, &at, tasks, 1, &n);
		ck_assert_int_ge(rc, 0);
		if (all == 0 && n > 0)
			ck_assert_uint_eq(tasks[0].id, task.id);
		all += n;
	} while (rc > 0);
	ck_assert_uint_eq(all, 12);
	qmodel_close(&m);
}
END_TEST

static void end_of(struct qmodel *m, const struct queue_task *t)
{
	struct queue_out_rcpt rcpt = { .rcpt = t->first,
				       .state = QUEUE_DELIVERED };
	struct queue_out out = {
		.id = t->id, .slot = t->slot, .rcpts = &rcpt, .rcpt_count = 1
	};

	queue_handle_name(m->q, t->queue, &out.tenant, &out.campaign,
			  &out.domain);
	ck_assert_int_eq(queue_put_out(m->q, &out), 0);
	qmodel_commit(m);
	qmodel_apply(m);
}

START_TEST(the_sweep_waits_for_room_and_goes_on)
{
	enum {
		QUEUES = 12,
		LINES = 3
	};
	struct qmodel m = { .lines_max = LINES };
	struct queue_task tasks[QUEUES];
	uint32_t i, loaded = 0, swept, at;

	qmodel_open(&m, &small, 1);
	rows_of(&m, QUEUES);
	for (i = 0; i < QUEUES;) {
		m.now_s += 2;
		qmodel_work(&m, 50);
		while (queue_store_next(m.q, m.now_s, &tasks[loaded]) == 1)
			loaded++;
		ck_assert_uint_gt(loaded, 0);
		if (m.q->store->delta.line_count >= LINES &&
		    list_empty(&m.q->store->delta.idle)) {
			/* No room: however often it is asked, it stands. */
			qmodel_work(&m, 50);
			at = m.q->store->sweep;
			swept = m.q->store->sweep_seen;
			m.now_s += 2;
			qmodel_work(&m, 50);
			ck_assert_uint_eq(m.q->store->sweep, at);
			ck_assert_uint_eq(m.q->store->sweep_seen, swept);
		}
		for (; loaded > 0; i++)
			end_of(&m, &tasks[--loaded]);
	}
	ck_assert_uint_eq(i, QUEUES);
	qmodel_close(&m);
}
END_TEST

/* All are due in the same second: not every queue is read from the index
 * before the first task is given. */
START_TEST(the_first_task_waits_for_no_other_queue)
{
	enum {
		QUEUES = 30
	};
	struct qmodel m = { .lines_max = QUEUES + 1 };
	struct queue_task t;
	uint32_t i;

	qmodel_open(&m, &small, 1);
	rows_of(&m, QUEUES);
	qmodel_reopen(&m);
	m.now_s += 2;
	qmodel_work(&m, 50); /* the sweep knows them all, no task is read */
	ck_assert_uint_eq(m.q->store->delta.line_count, QUEUES);
	ck_assert_uint_eq(m.q->store->delta.task_count, 0);
	for (i = 1; queue_store_next(m.q, m.now_s, &t) == 1; i++)
		ck_assert_uint_eq(m.q->store->delta.task_count, i);
	ck_assert_uint_eq(i, QUEUES + 1);
	qmodel_close(&m);
}
END_TEST

/* Each has a row that is due later and mail that the log alone has: opening
 * reads no row, and what is due leaves before one is looked at. */
START_TEST(a_start_looks_at_no_row)
{
	enum {
		QUEUES = 30
	};
	struct qmodel m = { .lines_max = QUEUES + 1 };
	uint32_t i, then, known = 0;
	struct queue_task t;
	struct line *line;

	qmodel_open(&m, &small, 1);
	m.now_s += 500; /* due_s of a message is now: this one waits */
	then = m.now_s;
	rows_of(&m, QUEUES);
	m.now_s -= 500;
	for (i = 0; i < QUEUES; i++)
		message_of(&m, i);
	qmodel_commit(&m);
	qmodel_reopen(&m);
	for (i = 0; i < QUEUES; i++) {
		ck_assert_int_eq(queue_store_next(m.q, m.now_s, &t), 1);
		line = m.q->store->delta.by_handle[t.queue];
		ck_assert_uint_eq(line->next_slot, m.now_s);
	}
	ck_assert_int_eq(queue_store_next(m.q, m.now_s, &t), 0);
	for (i = 0; i < m.q->store->delta.handles; i++) {
		line = m.q->store->delta.by_handle[i];
		known += line != NULL && line->next_slot == then;
	}
	ck_assert_uint_eq(known, QUEUES);
	for (i = 0; queue_store_next(m.q, then, &t) == 1; i++)
		ck_assert_uint_eq(t.slot, then);
	ck_assert_uint_eq(i, QUEUES);
	qmodel_close(&m);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("qscale");
	TCase *tc = tcase_create("model");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 250);
	tcase_add_test(tc, a_queue_that_moves_has_a_larger_window);
	tcase_add_test(tc, a_full_window_does_not_keep_new_mail_back);
	tcase_add_test(tc, a_checkpoint_takes_in_the_order_of_the_index);
	tcase_add_test(tc, many_changes_are_written_however_young);
	tcase_add_test(tc, a_list_of_one_domain_passes_the_others_by);
	tcase_add_test(tc, a_page_has_rows_of_many_queues_and_can_name_them);
	tcase_add_test(tc, a_look_begins_with_what_is_loaded);
	tcase_add_test(tc, the_sweep_waits_for_room_and_goes_on);
	tcase_add_test(tc, the_first_task_waits_for_no_other_queue);
	tcase_add_test(tc, a_start_looks_at_no_row);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
