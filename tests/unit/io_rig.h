#ifndef MTAQ_TESTS_IO_RIG_H
#define MTAQ_TESTS_IO_RIG_H

/*
 * tests/unit/io_rig.h - what the tests of io share
 *
 * Loop tests: _i is the back end.  Where the kernel refuses io_uring the test
 * says "skipped: io_uring: REASON" and passes; where it is to be had it must
 * work.
 */
#include "io/io_private.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define WAIT_MS 10000

/* An io with a listener, and completions that nobody has asked for yet. */
struct rig {
	struct io *io;
	struct io_addr at;
	int listener;
	struct io_done kept[8192];
	size_t kept_count;
	size_t batch; /* the max of io_wait(); 0: 64 */
};

static struct rig rig;
static uint32_t next_slot = 100;

static inline struct io_token token(void)
{
	return (struct io_token){ ++next_slot, 7 };
}

static inline bool rig_io(int backend, unsigned entries, unsigned conns_max)
{
	struct io_settings s = { (enum io_backend)backend, entries, conns_max,
				 .gathers = true };
	char why[IO_WHY_MAX];
	int err = io_new(&s, why, &rig.io);

	if (backend == IO_BACKEND_IO_URING &&
	    (err == -ENOSYS || err == -EPERM)) {
		printf("skipped: io_uring: %s\n", why);
		fflush(stdout);
		return false;
	}
	ck_assert_msg(err == 0, "io_new: %d %s", err, why);
	ck_assert_str_eq(why, "");
	ck_assert_str_eq(io_backend_name(rig.io),
			 backend == IO_BACKEND_EPOLL ? "epoll" : "io_uring");
	return true;
}

static inline void rig_listen(const char *where)
{
	ck_assert_int_eq(io_addr_parse(span_str(where), 0, &rig.at), 0);
	rig.listener = io_listen(rig.io, &rig.at);
	ck_assert_int_ge(rig.listener, 0);
	rig.at.len = sizeof(rig.at.u);
	ck_assert_int_eq(getsockname(io_fd(rig.io, rig.listener), &rig.at.u.sa,
				     &rig.at.len),
			 0);
}

static inline bool rig_up(int backend)
{
	if (!rig_io(backend, 0, 0))
		return false;
	rig_listen("127.0.0.1:0");
	io_accept(rig.io, rig.listener, token());
	return true;
}

static inline void rig_down(void)
{
	struct io_counters *c = &rig.io->counters;

	ck_assert_uint_eq(rig.kept_count, 0);
	ck_assert_uint_gt(c->turns, 0);
	ck_assert_uint_gt(c->syscalls, 0);
	ck_assert_uint_ge(c->conns_peak, c->conns_open);
	io_free(&rig.io);
	ck_assert_ptr_null(rig.io);
}

static inline bool matches(const struct io_done *d, enum io_op op, int conn)
{
	return d->op == op && (conn < 0 || d->conn == conn);
}

/* Turn once; false: nothing came within ms. */
static inline bool pump(int ms)
{
	size_t room = rig.batch ? rig.batch : 64;
	int n;

	ck_assert_uint_lt(rig.kept_count + room, ARRAY_LEN(rig.kept));
	n = io_wait(rig.io, ms, rig.kept + rig.kept_count, room);
	ck_assert_int_ge(n, 0);
	ck_assert_uint_le((size_t)n, room);
	rig.kept_count += (size_t)n;
	return n > 0;
}

/* The next completion of that kind (conn -1: of any handle). */
static inline struct io_done expect(enum io_op op, int conn)
{
	uint64_t end = io_now_ms(rig.io) + WAIT_MS;
	size_t i, seen = 0;

	for (;;) {
		for (i = seen; i < rig.kept_count; i++) {
			struct io_done d = rig.kept[i];

			if (!matches(&d, op, conn))
				continue;
			memmove(&rig.kept[i], &rig.kept[i + 1],
				(--rig.kept_count - i) * sizeof(d));
			return d;
		}
		seen = rig.kept_count;
		ck_assert_msg(io_now_ms(rig.io) < end,
			      "no completion of op %d, handle %d", op, conn);
		pump(1000);
	}
}

/* Two connected handles. */
static inline void pair(int *client_r, int *server_r)
{
	struct io_token t = token();
	struct io_done d;

	*client_r = io_connect(rig.io, NULL, &rig.at, t);
	ck_assert_int_ge(*client_r, 0);
	d = expect(IO_CONNECT, *client_r);
	ck_assert_int_eq(d.result, 0);
	ck_assert_uint_eq(d.token.slot, t.slot);
	ck_assert_uint_eq(d.token.gen, t.gen);
	*server_r = expect(IO_ACCEPT, rig.listener).result;
	ck_assert_int_ge(*server_r, 0);
}

static inline void shut(int conn)
{
	struct io_token t = token();
	struct io_done d;

	io_close(rig.io, conn, t);
	d = expect(IO_CLOSE, conn);
	ck_assert_int_eq(d.result, 0);
	ck_assert_uint_eq(d.token.slot, t.slot);
}

static inline void shut_listener(void)
{
	io_close(rig.io, rig.listener, token());
	ck_assert_int_lt(expect(IO_ACCEPT, rig.listener).result, 0);
	expect(IO_CLOSE, rig.listener);
}

static inline void say(int conn, char *p, size_t len)
{
	struct iovec iov = { p, len };

	io_send(rig.io, conn, &iov, 1, token());
	ck_assert_int_eq(expect(IO_SEND, conn).result, (int)len);
}

static inline int hear(int conn, char *p, size_t len)
{
	io_recv(rig.io, conn, p, len, token());
	return expect(IO_RECV, conn).result;
}

static inline void echo_once(void)
{
	char ping[] = "ping", pong[16];
	int client, server;

	pair(&client, &server);
	say(client, ping, 4);
	ck_assert_int_eq(hear(server, pong, sizeof(pong)), 4);
	say(server, pong, 4);
	memset(pong, 0, sizeof(pong));
	ck_assert_int_eq(hear(client, pong, sizeof(pong)), 4);
	ck_assert_str_eq(pong, "ping");
	shut(client);
	ck_assert_int_eq(hear(server, pong, sizeof(pong)), 0);
	shut(server);
}

/* Run a test once with each back end. */
static inline void add_both(TCase *tc, const TTest *test)
{
	tcase_add_loop_test(tc, test, IO_BACKEND_IO_URING,
			    IO_BACKEND_EPOLL + 1);
}

static inline int rig_main(const char *name, void (*add)(TCase *))
{
	Suite *s = suite_create(name);
	TCase *tc = tcase_create(name);
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, 60);
	add(tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}

#endif
