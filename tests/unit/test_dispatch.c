/*
 * tests/unit/test_dispatch.c - domains that the store knows, and forgets
 */
#include "engine/storer_private.h"

#include "qmodel.h"

#include <check.h>
#include <stdio.h>
#include <sys/uio.h>

#define DOMAINS 40u

static const char text[] = "hostname: mail.test\n"
			   "routes: { \"*\": \"127.0.0.1:25\" }\n"
			   "session: { idle: 5s }\n";

static struct qmodel m;
static struct settings set;
static struct clock mail_clock;
static struct bell worker, control;
static struct storer storer;
static struct storer_state *s;

static void setup(void)
{
	static const struct queue_settings queue = {
		.segment_bytes = 256u << 10,
		.segments_ahead = 2,
		.free_bytes_min = 1 << 20,
		.index_bytes_max = 64u << 20,
		.tasks_max = 1000,
		.queue_tasks_max = 9,
		.checkpoint_s = 600,
		.checkpoint_age_s = 1,
	};
	struct storer_settings st = { .set = &set,
				      .clock = &mail_clock,
				      .workers = 1 };
	char words[200];

	ck_assert_int_eq(settings_parse("test", text, sizeof(text) - 1, &set,
					words, sizeof(words)),
			 0);
	m = (struct qmodel){ .lines_max = 0 };
	qmodel_open(&m, &queue, 1);
	st.queue = m.q;
	ck_assert_int_eq(storer_init(&storer, &st), 0);
	ck_assert_int_eq(bell_init(&worker), 0);
	ck_assert_int_eq(bell_init(&control), 0);
	ck_assert_int_eq(storer_connect(&storer, 0, &worker, &control), 0);
	s = storer.state;
	s->now_ms = 1000000;
}

static void teardown(void)
{
	/* With all that the worker was told and never took. */
	storer_free(&storer);
	bell_free(&worker);
	bell_free(&control);
	qmodel_close(&m);
	settings_free(&set);
}

/* A message to a recipient in each of the domains, and its tasks on their
 * way. */
static void send_to_all(void)
{
	static char words[] = "Subject: x\r\n\r\nx\r\n";
	struct iovec iov = { words, sizeof(words) - 1 };
	struct queue_rcpt rcpts[DOMAINS];
	char names[DOMAINS][32];
	struct queue_task task;
	uint64_t id;
	uint32_t i;

	for (i = 0; i < DOMAINS; i++) {
		snprintf(names[i], sizeof(names[i]), "x@d%u.test", i);
		rcpts[i] =
			(struct queue_rcpt){ .address = span_str(names[i]),
					     .domain = span_str(names[i] + 2) };
	}
	ck_assert_int_eq(queue_put_message(m.q,
					   &(struct queue_message){
						   .submission = { 8 },
						   .number = 1,
						   .rcpts = rcpts,
						   .rcpt_count = DOMAINS,
						   .arrived_s = m.now_s,
						   .due_s = m.now_s,
						   .expires_s = m.now_s + 90000,
						   .content = &iov,
						   .content_count = 1,
						   .size = iov.iov_len },
					   &id),
			 0);
	qmodel_commit(&m);
	qmodel_apply(&m);
	for (i = 0; i < DOMAINS; i++) {
		ck_assert_int_eq(queue_store_next(m.q, m.now_s, &task), 1);
		ck_assert(dispatch_task(s, &task));
	}
	ck_assert_uint_eq(s->dest_map.count, DOMAINS);
}

/* So many milliseconds, as often as the store looks. */
static void pass(uint32_t ms)
{
	uint64_t end = s->now_ms + ms;

	for (; s->now_ms < end; s->now_ms += 200)
		dispatch_sweep(s);
}

START_TEST(a_domain_is_kept_for_ten_minutes)
{
	send_to_all();
	pass(599 * 1000);
	ck_assert_uint_eq(s->dest_map.count, DOMAINS);
	pass(10 * 1000);
	ck_assert_uint_eq(s->dest_map.count, 0);
}
END_TEST

START_TEST(of_too_many_those_go_that_had_no_mail_just_now)
{
	send_to_all();
	s->dests_max = 10;
	pass(14 * 1000);
	ck_assert_uint_eq(s->dest_map.count, DOMAINS);
	pass(10 * 1000);
	ck_assert_uint_eq(s->dest_map.count, 10);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("dispatch");
	TCase *t = tcase_create("forgetting");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_domain_is_kept_for_ten_minutes);
	tcase_add_test(t, of_too_many_those_go_that_had_no_mail_just_now);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
