/*
 * tests/unit/test_dispatch.c - domains that the store knows, and forgets
 */
#include "engine/storer_private.h"

#include "engine/resolver.h"
#include "qmodel.h"

#include <check.h>
#include <stdio.h>
#include <sys/uio.h>

#define DOMAINS 40u

static const char fixed[] = "hostname: mail.test\n"
			    "routes: { \"*\": \"127.0.0.1:25\" }\n"
			    "session: { idle: 5s }\n";
static const char by_mx[] = "hostname: mail.test\n"
			    "session: { idle: 5s }\n";

static struct qmodel m;
static struct settings set;
static struct clock mail_clock;
static struct bell worker, control, resolving;
static struct resolver resolver;
static struct storer storer;
static struct storer_state *s;

static void open_store(const char *text)
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
				      .resolver = &resolver,
				      .workers = 1 };
	char words[200];

	ck_assert_int_eq(settings_parse("test", text, strlen(text), &set, words,
					sizeof(words)),
			 0);
	m = (struct qmodel){ .lines_max = 0 };
	qmodel_open(&m, &queue, 1);
	st.queue = m.q;
	ck_assert_int_eq(storer_init(&storer, &st), 0);
	ck_assert_int_eq(bell_init(&worker), 0);
	ck_assert_int_eq(bell_init(&control), 0);
	ck_assert_int_eq(storer_connect(&storer, 0, &worker, &control), 0);
	ck_assert_int_eq(bell_init(&resolving), 0);
	ck_assert_int_eq(lane_init(&resolver.from_store, 65536, &storer.bell,
				   &resolving),
			 0);
	s = storer.state;
	s->now_ms = 1000000;
}

static void setup(void)
{
	open_store(fixed);
}

static void setup_by_mx(void)
{
	open_store(by_mx);
}

static void teardown(void)
{
	/* With all that the worker was told and never took. */
	storer_free(&storer);
	lane_free(&resolver.from_store);
	bell_free(&resolving);
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
	static uint64_t number;
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
						   .number = ++number,
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

/* --- and their sites --------------------------------------------------------- */

/* What the worker was told since; the last number of each kind. */
struct told {
	unsigned sites, tasks, forgets;
	uint32_t site, forget;
};

static struct told listen(void)
{
	struct lane *lane = &storer.to_worker[0];
	const struct to_worker_site *site; /* if its type says so */
	struct told told = { .sites = 0 };
	struct mxset *mx;
	size_t len;

	while ((site = lane_peek(lane, &len)) != NULL) {
		if (site->type == TO_WORKER_SITE) {
			mx = site->set;
			mxset_unref(&mx);
			told.sites++;
			told.site = site->site;
		} else if (site->type == TO_WORKER_FORGET) {
			told.forgets++;
			told.forget = site->site;
		} else {
			told.tasks++;
		}
		lane_consume(lane);
	}
	return told;
}

/* The resolver says of each domain that it was asked for: this host. */
static unsigned answer(const char *host)
{
	const struct dns_ask_message *ask;
	unsigned n = 0;
	size_t len;

	while ((ask = lane_peek(&resolver.from_store, &len)) != NULL) {
		struct mxset *mx = mxset_new(1);

		ck_assert_ptr_nonnull(mx);
		ck_assert_int_eq(mxset_name(mx, 0, span_str(host)), 0);
		mx->expires_ms = s->now_ms + 60000;
		mx->hosts[0].addr_count = 1;
		mx->hosts[0].addrs[0] = (struct mx_addr){
			.family = 4, .port = 25, .ip = { 192, 0, 2, 1 }
		};
		ck_assert(dispatch_answer(s, ask->domain, mx));
		lane_consume(&resolver.from_store);
		n++;
	}
	dispatch_answered(s);
	return n;
}

START_TEST(a_site_goes_when_no_domain_has_led_there_for_as_long)
{
	struct told told;
	uint32_t number;

	send_to_all();
	told = listen();
	ck_assert_uint_eq(told.sites, 1);
	ck_assert_uint_eq(told.tasks, DOMAINS);
	number = told.site;
	pass(609 * 1000);
	ck_assert_uint_eq(s->dest_map.count, 0);
	ck_assert_uint_eq(s->target_map.count, 1);
	pass(600 * 1000);
	ck_assert_uint_eq(s->target_map.count, 0);
	told = listen();
	ck_assert_uint_eq(told.forgets, 1);
	ck_assert_uint_eq(told.forget, number);
}
END_TEST

/* Its worker may have the number for a while yet. */
START_TEST(a_site_that_comes_back_has_another_number)
{
	struct told told;
	uint32_t number;

	send_to_all();
	number = listen().site;
	pass(1210 * 1000);
	ck_assert_uint_eq(listen().forgets, 1);
	send_to_all();
	told = listen();
	ck_assert_uint_eq(told.sites, 1);
	ck_assert_uint_eq(told.tasks, DOMAINS);
	ck_assert_uint_ne(told.site, number);
}
END_TEST

START_TEST(a_site_whose_lane_is_full_goes_when_there_is_room)
{
	struct lane *lane = &storer.to_worker[0];
	uint32_t *type;

	send_to_all();
	(void)listen();
	while ((type = lane_reserve(lane, sizeof(*type))) != NULL) {
		*type = TO_WORKER_MOVED;
		lane_publish(lane);
	}
	pass(1210 * 1000);
	ck_assert_uint_eq(s->dest_map.count, 0);
	ck_assert_uint_eq(s->target_map.count, 1);
	ck_assert_uint_eq(listen().forgets, 0);
	pass(200);
	ck_assert_uint_eq(s->target_map.count, 0);
	ck_assert_uint_eq(listen().forgets, 1);
}
END_TEST

START_TEST(of_too_many_those_go_that_no_domain_leads_to)
{
	send_to_all();
	(void)listen();
	s->dests_max = 0;
	pass(25 * 1000);
	ck_assert_uint_eq(s->dest_map.count, 0);
	pass(10 * 1000);
	ck_assert_uint_eq(s->target_map.count, 0);
	ck_assert_uint_eq(listen().forgets, 1);
}
END_TEST

/* All domains lead to one site, then to another: the first has no mail that
 * could end, no domain that could be forgotten. */
START_TEST(a_site_that_its_domains_have_left_goes)
{
	struct told told;
	uint32_t number;

	send_to_all();
	ck_assert_uint_eq(answer("mx.old.test"), DOMAINS);
	number = listen().site;
	pass(300 * 1000);
	send_to_all(); /* the set has expired: used, and asked for again */
	ck_assert_uint_eq(listen().tasks, DOMAINS);
	ck_assert_uint_eq(answer("mx.new.test"), DOMAINS);
	ck_assert_uint_eq(s->target_map.count, 2);
	pass(590 * 1000);
	ck_assert_uint_eq(s->target_map.count, 2);
	ck_assert_uint_eq(listen().forgets, 0);
	pass(11 * 1000);
	told = listen();
	ck_assert_uint_eq(s->target_map.count, 1);
	ck_assert_uint_eq(told.forgets, 1);
	ck_assert_uint_eq(told.forget, number);
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
	tcase_add_test(t, a_site_goes_when_no_domain_has_led_there_for_as_long);
	tcase_add_test(t, a_site_that_comes_back_has_another_number);
	tcase_add_test(t, a_site_whose_lane_is_full_goes_when_there_is_room);
	tcase_add_test(t, of_too_many_those_go_that_no_domain_leads_to);
	suite_add_tcase(suite, t);
	t = tcase_create("moving");
	tcase_add_checked_fixture(t, setup_by_mx, teardown);
	tcase_add_test(t, a_site_that_its_domains_have_left_goes);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
