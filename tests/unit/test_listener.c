/*
 * tests/unit/test_listener.c - what clients say will follow at once; the stop
 *
 * The real ingress thread with its socket and its drop folder; the test is the
 * log: it sees what was lent and what the log is told to wait for, and answers.
 */
#include "engine/listener_private.h"

#include "engine/logger.h"
#include "engine/storer.h"
#include "ingress/pack.h"
#include "tests/unit/tmpdir.h"

#include <check.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define WAIT_MS 20000 /* a hang is a failure, nothing else waits */

static struct {
	char dir[TMPDIR_BYTES];
	struct settings set;
	struct clock clock;
	struct logger log;
	struct storer store;
	struct bell bell;
	struct ingress_seen *seen;
	struct listener *in;
	uint64_t id;
} rig;

void __real_bell_doze(struct bell *b);
void __wrap_bell_doze(struct bell *b);
int __real_epoll_wait(int fd, struct epoll_event *evs, int max, int timeout);
int __wrap_epoll_wait(int fd, struct epoll_event *evs, int max, int timeout);

/* Set by a test: when the listener has nothing more to do it is told to stop,
 * once, in the moment before it says that it wants to be rung for; then, how
 * long it would wait. */
static atomic_bool stop_it;
static atomic_int waits_ms = -1;

void __wrap_bell_doze(struct bell *b)
{
	if (b == &rig.bell && list_empty(&rig.in->busy) &&
	    rig.in->next_scan_ms > clock_now_ms() &&
	    atomic_exchange(&stop_it, false)) {
		atomic_store(&rig.in->stop, true); /* as listener_stop() */
		bell_ring(b);
		atomic_store(&waits_ms, -2);
	}
	__real_bell_doze(b);
}

int __wrap_epoll_wait(int fd, struct epoll_event *evs, int max, int timeout)
{
	int was = -2;

	atomic_compare_exchange_strong(&waits_ms, &was, timeout);
	return __real_epoll_wait(fd, evs, max, timeout);
}

struct client {
	int fd;
	uint32_t number;
};

static void setup(void)
{
	static char words[4096];
	char text[1024];
	int n;

	memset(&rig, 0, sizeof(rig));
	tmpdir_make(rig.dir, "listener", TMPDIR_DISK);
	n = snprintf(text, sizeof(text),
		     "hostname: a.example\nspool: %s\nruntime: %s\n", rig.dir,
		     rig.dir);
	ck_assert_int_eq(settings_parse("t", text, (size_t)n, &rig.set, words,
					sizeof(words)),
			 0);
	clock_start(&rig.clock, 0, 3600);
	ck_assert_int_eq(bell_init(&rig.bell), 0);
	ck_assert_int_eq(logger_init(&rig.log, NULL, &rig.bell, 1), 0);
	ck_assert_int_eq(
		lane_init(&rig.store.asks, 4096, &rig.bell, &rig.log.bell), 0);
	ck_assert_int_eq(
		lane_init(&rig.store.answers, 4096, &rig.log.bell, &rig.bell),
		0);
	rig.seen = ingress_seen_new(1000);
	ck_assert_ptr_nonnull(rig.seen);
}

static void start(void)
{
	struct listener_settings set = { .set = &rig.set,
					 .clock = &rig.clock,
					 .logger = &rig.log,
					 .storer = &rig.store,
					 .seen = rig.seen,
					 .submitters = 10 };
	char words[200] = "";

	ck_assert_msg(listener_new(&set, &rig.bell, words, sizeof(words),
				   &rig.in) == 0,
		      "%s", words);
	ck_assert_int_eq(listener_start(rig.in), 0);
}

static void teardown(void)
{
	listener_stop(rig.in);
	listener_free(&rig.in);
	lane_free(&rig.store.asks);
	lane_free(&rig.store.answers);
	logger_free(&rig.log);
	bell_free(&rig.bell);
	ingress_seen_free(&rig.seen);
	settings_free(&rig.set);
	tmpdir_remove(rig.dir);
}

/* --- the log's side --------------------------------------------------------- */

static uint64_t promised(void)
{
	return atomic_load(&rig.log.promised_until_ms);
}

static const struct put_request *lent(void)
{
	size_t len;

	return lane_peek(&rig.log.from_ingress, &len);
}

static bool is_lent(void)
{
	return lent() != NULL;
}

static bool nothing_promised(void)
{
	return promised() == 0;
}

/* As the store: no earlier life has taken it. */
static void know_nothing(void)
{
	const struct seen_ask *ask;
	struct seen_answer *a;
	size_t len;

	while ((ask = lane_peek(&rig.store.asks, &len)) != NULL) {
		a = lane_reserve(&rig.store.answers, sizeof(*a));
		ck_assert_ptr_nonnull(a);
		*a = (struct seen_answer){ .cookie = ask->cookie };
		lane_consume(&rig.store.asks);
		lane_publish(&rig.store.answers);
	}
}

static bool is_asked(void)
{
	size_t len;

	return lane_peek(&rig.store.asks, &len) != NULL;
}

/* Each change that matters here is rung for. */
static void wait_until(bool (*is)(void))
{
	uint64_t end = clock_now_ms() + WAIT_MS;

	while (!is()) {
		know_nothing();
		bell_doze(&rig.log.bell);
		if (is() || is_asked())
			bell_awake(&rig.log.bell);
		else
			bell_wait(&rig.log.bell, WAIT_MS);
		ck_assert_uint_lt(clock_now_ms(), end); /* it has rung */
	}
}

/* A message was lent: it is durable. */
static void take_one(void)
{
	struct put_answer *a;

	wait_until(is_lent);
	a = lane_reserve(&rig.log.to_ingress, sizeof(*a));
	ck_assert_ptr_nonnull(a);
	*a = (struct put_answer){ lent()->cookie, ++rig.id, 0 };
	lane_consume(&rig.log.from_ingress);
	lane_publish(&rig.log.to_ingress);
}

/* --- the client's side ------------------------------------------------------ */

static size_t put_hello(uint8_t who, char *to)
{
	struct frame_hello h = { FRAME_VERSION, 0, { who } };

	frame_hello_put(&h, to);
	return FRAME_HELLO_SIZE;
}

/* A frame of one message, as octets in p. */
static void put_frame(struct pack *p, uint32_t number, bool more)
{
	static const struct span rcpt = { "b@x.example", 11 };
	struct submit_message m = { .sender = SPAN("a@a.example"),
				    .rcpts = &rcpt,
				    .rcpt_count = 1,
				    .content = SPAN("Subject: x\n\nhello\n") };

	pack_init(p);
	p->number = number - 1;
	ck_assert_int_eq(pack_next(p), 0);
	ck_assert_int_eq(pack_add(p, &m), 0);
	pack_seal(p, more);
}

static struct client come(uint8_t who)
{
	struct client c = { socket(AF_UNIX, SOCK_STREAM, 0), 0 };
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char hello[FRAME_HELLO_SIZE];
	ssize_t len = (ssize_t)put_hello(who, hello);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s/submit.sock", rig.dir);
	ck_assert_int_eq(connect(c.fd, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(send(c.fd, hello, (size_t)len, 0), len);
	return c;
}

static void say(struct client *c, bool more)
{
	struct pack p;

	put_frame(&p, ++c->number, more);
	ck_assert_int_eq(send(c->fd, p.b.p, p.b.len, 0), (ssize_t)p.b.len);
	pack_free(&p);
}

/* Its next frame from the daemon. */
static void hear(const struct client *c, enum frame_type type)
{
	char head[FRAME_HEAD_SIZE], payload[4096];
	struct frame_head h;

	ck_assert_int_eq(recv(c->fd, head, sizeof(head), MSG_WAITALL),
			 sizeof(head));
	ck_assert_int_eq(frame_head_get(head, false, &h), 0);
	ck_assert_int_eq(h.type, type);
	ck_assert_uint_le(h.length, sizeof(payload));
	ck_assert_int_eq(recv(c->fd, payload, h.length, MSG_WAITALL),
			 (ssize_t)h.length);
}

/* --- */

START_TEST(the_log_is_told_before_it_has_the_frame)
{
	struct client c;
	uint64_t until;

	start();
	c = come(1);
	say(&c, true);
	wait_until(is_lent);
	until = promised();
	ck_assert_uint_ne(until, 0);
	while (clock_now_ms() <= until) /* a second promise would differ */
		bell_wait(&rig.log.bell, 1);
	take_one();
	hear(&c, FRAME_WELCOME);
	hear(&c, FRAME_ANSWER);
	/* Said once, it counts once, whatever else moves the client on. */
	ck_assert_uint_eq(promised(), until);
	say(&c, false);
	wait_until(nothing_promised);
	ck_assert(is_lent());
	take_one();
	close(c.fd);
}
END_TEST

START_TEST(one_client_does_not_answer_for_another)
{
	struct client a, b;

	start();
	a = come(1);
	b = come(2);
	say(&a, true);
	take_one();
	say(&b, true);
	take_one();
	say(&b, false);
	take_one();
	say(&b, false);
	wait_until(is_lent); /* so it is through with the frame before */
	ck_assert_uint_ne(promised(), 0);
	take_one();
	say(&a, false);
	take_one();
	wait_until(nothing_promised);
	close(a.fd);
	close(b.fd);
}
END_TEST

static void one_promises_and_goes(void)
{
	struct client c = come(1);

	say(&c, true);
	take_one();
	ck_assert_uint_ne(promised(), 0);
	close(c.fd);
	wait_until(nothing_promised);
}

START_TEST(who_goes_promises_no_more)
{
	start();
	one_promises_and_goes();
}
END_TEST

/* What is lent and comes back is no reason either: it is all there. */
START_TEST(a_file_promises_nothing)
{
	char path[TMPDIR_BYTES + 100], hello[FRAME_HELLO_SIZE];
	const char *const folders[] = { "/incoming", "/incoming/new" };
	struct pack p;
	int fd, i;

	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s%s", rig.dir, folders[i]);
		ck_assert_int_eq(mkdir(path, 0770), 0);
	}
	snprintf(path, sizeof(path), "%s/incoming/new/02%030d", rig.dir, 0);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	put_frame(&p, 1, true);
	ck_assert_int_eq(write(fd, hello, put_hello(2, hello)), sizeof(hello));
	ck_assert_int_eq(write(fd, p.b.p, p.b.len), (ssize_t)p.b.len);
	close(fd);
	pack_free(&p);
	start();
	wait_until(is_lent);
	ck_assert_uint_eq(promised(), 0);
	take_one();
	/* Nor has it taken anybody's promise back. */
	one_promises_and_goes();
}
END_TEST

START_TEST(stopped_in_the_wrong_moment_it_does_not_wait)
{
	atomic_store(&stop_it, true);
	start();
	pthread_join(rig.in->thread, NULL);
	ck_assert_int_eq(atomic_load(&waits_ms), 0);
	/* For the teardown, which stops it. */
	atomic_store(&rig.in->stop, false);
	rig.in->stopping = false;
	ck_assert_int_eq(listener_start(rig.in), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("listener");
	TCase *tc = tcase_create("promises");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tc, 2 * WAIT_MS / 1000);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, the_log_is_told_before_it_has_the_frame);
	tcase_add_test(tc, one_client_does_not_answer_for_another);
	tcase_add_test(tc, who_goes_promises_no_more);
	tcase_add_test(tc, a_file_promises_nothing);
	tcase_add_test(tc, stopped_in_the_wrong_moment_it_does_not_wait);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
