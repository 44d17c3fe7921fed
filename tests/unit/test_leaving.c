/*
 * tests/unit/test_leaving.c - sites that the store has forgotten leave their
 * worker as soon as they have neither mail nor connections
 */
#include "engine/logger.h"
#include "engine/worker_private.h"

#include <arpa/inet.h>
#include <check.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LANE_BYTES 65536u
#define SITE       7u
#define TASK       3u

static const char text[] = "hostname: mail.test\n";

static struct settings set;
static struct clock mail_clock;
static struct ours ours;
static _Atomic uint32_t epoch;
static struct bell bell;
static struct logger_source outs;
static struct lane from_store, to_store, asks, asks_back, traces;
static struct worker worker;
static struct worker_state *s;

static void lane(struct lane *l, struct bell *from, struct bell *to)
{
	ck_assert_int_eq(lane_init(l, LANE_BYTES, from, to), 0);
}

static void setup(void)
{
	struct worker_settings ws = {
		.set = &set,
		.clock = &mail_clock,
		.log = &outs,
		.from_store = &from_store,
		.to_store = &to_store,
		.from_control = &asks,
		.to_control = &asks_back,
		.to_trace = &traces,
		.ours = &ours,
		.epoch = &epoch,
		.count = 1,
		.board_cells = 4,
		.connections = 10,
	};
	char words[200];

	ck_assert_int_eq(settings_parse("test", text, sizeof(text) - 1, &set,
					words, sizeof(words)),
			 0);
	set.io_backend = SETTINGS_IO_EPOLL;
	clock_start(&mail_clock, 0, set.age_limit_s);
	ck_assert_int_eq(bell_init(&bell), 0);
	lane(&from_store, &bell, &worker.bell);
	lane(&to_store, &worker.bell, &bell);
	lane(&asks, &bell, &worker.bell);
	lane(&asks_back, &worker.bell, &bell);
	lane(&traces, NULL, &bell);
	lane(&outs.lane, &worker.bell, &bell);
	ck_assert_int_eq(worker_init(&worker, &ws), 0);
	ck_assert_int_eq(worker_open(&worker), 0);
	s = worker.state;
}

static void teardown(void)
{
	worker_close(&worker);
	board_free(&worker.counts.board);
	lane_free(&outs.lane);
	lane_free(&traces);
	lane_free(&asks_back);
	lane_free(&asks);
	lane_free(&to_store);
	lane_free(&from_store);
	bell_free(&bell);
	settings_free(&set);
}

static void turn(void)
{
	worker_end_turn(&worker, worker_begin_turn(&worker));
	ck_assert_int_eq(atomic_load(&worker.failed), 0);
}

/* What is done each second has been done once more. */
static void second(void)
{
	uint64_t due = s->second.due_tick;

	while (s->second.due_tick == due)
		turn();
}

/* --- what the store says ----------------------------------------------------- */

static void *tell(size_t size)
{
	void *p = lane_reserve(&from_store, size);

	ck_assert_ptr_nonnull(p);
	return memset(p, 0, size);
}

static void tell_site(uint32_t number, uint16_t port, bool paused)
{
	struct to_worker_site *m = tell(sizeof(*m));
	struct mxset *mx = mxset_new(1);

	ck_assert_ptr_nonnull(mx);
	ck_assert_int_eq(mxset_name(mx, 0, SPAN("mx.test")), 0);
	mx->expires_ms = UINT64_MAX;
	mx->hosts[0].addr_count = 1;
	mx->hosts[0].addrs[0] = (struct mx_addr){ .family = 4,
						  .port = port,
						  .ip = { 127, 0, 0, 1 } };
	m->type = TO_WORKER_SITE;
	m->site = number;
	m->paused = paused;
	m->set = mx;
	lane_publish(&from_store);
}

static void tell_task(uint32_t number)
{
	struct to_worker_task *m = tell(sizeof(*m) + 8);

	m->type = TO_WORKER_TASK;
	m->site = number;
	m->id = TASK;
	m->queue_hash = m->flow_hash = 1;
	m->expires_s = UINT32_MAX;
	m->span = 1;
	m->open[0] = 1;
	lane_publish(&from_store);
}

static void tell_forget(uint32_t number)
{
	struct to_worker_forget *m = tell(sizeof(*m));

	m->type = TO_WORKER_FORGET;
	m->site = number;
	lane_publish(&from_store);
}

/* All tasks that wait; they come. */
static void recall(void)
{
	struct to_worker_recall *m = tell(sizeof(*m));
	const struct to_store *back;
	size_t len;

	m->type = TO_WORKER_RECALL;
	lane_publish(&from_store);
	/* Before it the worker may have asked about the task. */
	do {
		while ((back = lane_peek(&to_store, &len)) == NULL)
			turn();
		ck_assert_uint_eq(back->id, TASK);
		len = back->type;
		lane_consume(&to_store);
	} while (len != TO_STORE_RETURN);
}

/* --- tests ------------------------------------------------------------------- */

START_TEST(idle_sites_go)
{
	uint32_t i;

	for (i = 0; i < 500; i++)
		tell_site(i, 25, false);
	turn();
	ck_assert_uint_eq(s->site_map.count, 500);
	for (i = 0; i < 500; i++)
		tell_forget(i);
	second();
	ck_assert_uint_eq(s->site_map.count, 0);
}
END_TEST

START_TEST(a_site_with_mail_stays_until_it_has_none)
{
	tell_site(SITE, 25, true);
	tell_task(SITE);
	tell_forget(SITE);
	second();
	ck_assert_ptr_nonnull(worker_site(s, SITE));
	recall();
	second();
	ck_assert_ptr_null(worker_site(s, SITE));
	ck_assert_uint_eq(s->queue_map.count, 0);
	ck_assert_uint_eq(s->empty_count, 0);
}
END_TEST

/* A server that takes connections and says nothing. */
static int listening(uint16_t *port_r)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	ck_assert_int_eq(listen(fd, 16), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	*port_r = ntohs(at.sin_port);
	return fd;
}

START_TEST(a_site_with_a_connection_stays_until_it_is_closed)
{
	uint16_t port;
	int fd = listening(&port);

	tell_site(SITE, port, false);
	tell_task(SITE);
	while (s->sessions == 0)
		turn();
	recall();
	tell_forget(SITE);
	second();
	ck_assert_ptr_nonnull(worker_site(s, SITE));
	ck_assert_uint_eq(s->conns_used, 1);
	ck_assert_int_eq(close(fd), 0); /* it was never accepted: reset */
	while (s->conns_used > 0)
		turn();
	second();
	ck_assert_ptr_null(worker_site(s, SITE));
}
END_TEST

/* A domain leads there again while the old number has something to do. */
START_TEST(another_number_of_the_same_site_is_not_touched)
{
	tell_site(SITE, 25, true);
	tell_task(SITE);
	tell_forget(SITE);
	tell_site(SITE + 1, 25, true);
	turn();
	recall();
	second();
	ck_assert_ptr_null(worker_site(s, SITE));
	ck_assert_ptr_nonnull(worker_site(s, SITE + 1));
	tell_task(SITE + 1);
	second();
	recall();
	ck_assert_ptr_nonnull(worker_site(s, SITE + 1));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("leaving");
	TCase *t = tcase_create("leaving");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, idle_sites_go);
	tcase_add_test(t, a_site_with_mail_stays_until_it_has_none);
	tcase_add_test(t, a_site_with_a_connection_stays_until_it_is_closed);
	tcase_add_test(t, another_number_of_the_same_site_is_not_touched);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
