/*
 * tests/unit/test_io.c - octets to and fro, and every way to end, on both
 * back ends
 */
#include "tests/unit/io_rig.h"
#include "tests/unit/tmpdir.h"

#include <poll.h>

START_TEST(echo)
{
	char path[TMPDIR_BYTES], at[108];

	if (!rig_up(_i))
		return;
	echo_once();
	shut_listener();
	rig_listen("[::1]:0");
	io_accept(rig.io, rig.listener, token());
	echo_once();
	shut_listener();
	tmpdir_make(path, "io", TMPDIR_DISK);
	snprintf(at, sizeof(at), "%s/s", path);
	rig_listen(at);
	io_accept(rig.io, rig.listener, token());
	echo_once();
	shut_listener();
	tmpdir_remove(path);
	ck_assert_uint_eq(rig.io->counters.conns_open, 0);
	ck_assert_uint_eq(rig.io->counters.sent_octets, 24);
	ck_assert_uint_eq(rig.io->counters.received_octets, 24);
	rig_down();
}
END_TEST

#define MANY 300

/* More submissions in one turn than the ring has entries, and completions
 * taken one by one: nothing is lost. */
START_TEST(many_connections)
{
	static int client[MANY], server[MANY];
	static char in[MANY], out[MANY];
	static struct iovec iov[MANY];
	int i, at;

	if (!rig_io(_i, 8, 2 * MANY + 1))
		return;
	rig.batch = 3;
	rig_listen("127.0.0.1:0");
	io_accept(rig.io, rig.listener, token());
	for (i = 0; i < MANY; i++)
		client[i] = io_connect(rig.io, NULL, &rig.at,
				       (struct io_token){ (uint32_t)i, 0 });
	for (i = 0; i < MANY; i++) {
		ck_assert_int_eq(expect(IO_CONNECT, -1).result, 0);
		server[i] = expect(IO_ACCEPT, -1).result;
		ck_assert_int_ge(server[i], 0);
	}
	for (i = 0; i < MANY; i++) {
		io_recv(rig.io, server[i], &in[i], 1,
			(struct io_token){ (uint32_t)i, 1 });
		out[i] = (char)(i % 100);
		iov[i] = (struct iovec){ &out[i], 1 };
		io_send(rig.io, client[i], &iov[i], 1, token());
	}
	for (at = i = 0; i < MANY; i++) {
		struct io_done d = expect(IO_RECV, -1);

		ck_assert_int_eq(d.result, 1);
		ck_assert_int_eq(d.conn, server[d.token.slot]);
		at += in[d.token.slot];
		ck_assert_int_eq(expect(IO_SEND, -1).result, 1);
	}
	ck_assert_int_eq(at, MANY / 100 * (99 * 100 / 2));
	for (i = 0; i < MANY; i++) {
		io_close(rig.io, client[i], token());
		io_recv(rig.io, server[i], &in[i], 1, token());
		io_close(rig.io, server[i], token());
	}
	for (i = 0; i < MANY; i++) {
		ck_assert_int_le(expect(IO_RECV, -1).result, 0);
		expect(IO_CLOSE, -1);
		expect(IO_CLOSE, -1);
	}
	shut_listener();
	ck_assert_uint_eq(rig.io->counters.conns_open, 0);
	ck_assert_uint_eq(rig.io->counters.conns_peak, 2 * MANY + 1);
	rig_down();
}
END_TEST

#define BIG ((size_t)8 << 20)

static char *big_new(void)
{
	char *p = malloc(BIG);
	size_t i;

	ck_assert_ptr_nonnull(p);
	for (i = 0; i < BIG; i++)
		p[i] = (char)(i * 31 + (i >> 13));
	return p;
}

/* Read until the end of the stream and compare; the octets read. */
static size_t read_big(int conn, const char *want)
{
	static char part[50000];
	size_t at = 0;
	int n;

	while ((n = hear(conn, part, sizeof(part))) > 0) {
		ck_assert_uint_le(at + (size_t)n, BIG);
		ck_assert_mem_eq(part, want + at, (size_t)n);
		at += (size_t)n;
	}
	ck_assert_int_eq(n, 0);
	return at;
}

START_TEST(big_send_slow_reader)
{
	char *p = big_new();
	struct iovec iov[4] = { { p, 1 },
				{ p + 1, 0 },
				{ p + 1, BIG / 2 },
				{ p + 1 + BIG / 2, BIG / 2 - 1 } };
	int client, server;

	if (!rig_up(_i))
		return;
	pair(&client, &server);
	io_send(rig.io, client, iov, 4, token());
	/* No reader yet: it must not be complete. */
	ck_assert(!pump(100));
	/* The close comes when the send is complete: all must arrive. */
	io_recv(rig.io, server, p, 1, token());
	ck_assert_int_eq(expect(IO_RECV, server).result, 1);
	while (rig.kept_count == 0) {
		static char part[65536];
		static size_t at = 1;
		ssize_t n = recv(io_fd(rig.io, server), part, sizeof(part),
				 MSG_DONTWAIT);

		if (n > 0) {
			ck_assert_mem_eq(part, p + at, (size_t)n);
			at += (size_t)n;
		}
		pump(1);
	}
	ck_assert_int_eq(expect(IO_SEND, client).result, (int)BIG);
	io_close(rig.io, client, token());
	expect(IO_CLOSE, client);
	shut(server);
	shut_listener();
	rig_down();
	free(p);
}
END_TEST

/* What IO_SEND has reported reaches the peer although we close at once. */
START_TEST(close_in_good_order)
{
	char *p = big_new();
	struct iovec iov = { p, 100000 };
	int client, server;

	if (!rig_up(_i))
		return;
	pair(&client, &server);
	io_send(rig.io, client, &iov, 1, token());
	ck_assert_int_eq(expect(IO_SEND, client).result, 100000);
	shut(client);
	ck_assert_uint_eq(read_big(server, p), 100000);
	shut(server);
	shut_listener();
	rig_down();
	free(p);
}
END_TEST

/* Octets and the end came together: both are told, one after the other. */
START_TEST(end_behind_octets)
{
	char text[] = "421 bye\r\n", in[64];
	int client, server;
	struct pollfd p = { .events = POLLRDHUP };

	if (!rig_up(_i))
		return;
	pair(&client, &server);
	say(server, text, 9);
	shut(server);
	p.fd = io_fd(rig.io, client);
	ck_assert_int_eq(poll(&p, 1, WAIT_MS), 1);
	ck_assert(!pump(0));
	ck_assert_int_eq(hear(client, in, sizeof(in)), 9);
	ck_assert_int_eq(hear(client, in, sizeof(in)), 0);
	ck_assert_int_eq(hear(client, in, sizeof(in)), 0);
	shut(client);
	shut_listener();
	rig_down();
}
END_TEST

START_TEST(peer_resets_in_mid_send)
{
	char *p = big_new(), c;
	struct iovec iov = { p, BIG };
	int client, server;
	struct io_done d;

	if (!rig_up(_i))
		return;
	pair(&client, &server);
	io_send(rig.io, client, &iov, 1, token());
	ck_assert_int_eq(hear(server, &c, 1), 1);
	io_abort(rig.io, server, token());
	expect(IO_CLOSE, server);
	d = expect(IO_SEND, client);
	ck_assert_msg(d.result == -ECONNRESET || d.result == -EPIPE, "%d",
		      d.result);
	io_recv(rig.io, client, &c, 1, token());
	ck_assert_int_le(expect(IO_RECV, client).result, 0);
	shut(client);
	shut_listener();
	rig_down();
	free(p);
}
END_TEST

/* Order: what was in flight, then IO_CLOSE, and nothing afterwards. */
START_TEST(close_with_all_in_flight)
{
	char *p = big_new(), c;
	struct iovec iov = { p, BIG };
	int client, server, abort;

	if (!rig_up(_i))
		return;
	for (abort = 0; abort < 2; abort++) {
		pair(&client, &server);
		io_send(rig.io, client, &iov, 1, token());
		io_recv(rig.io, client, &c, 1, token());
		pump(50);
		iov = (struct iovec){ p, BIG };
		if (abort)
			io_abort(rig.io, client, token());
		else
			io_close(rig.io, client, token());
		while (rig.kept_count < 3)
			pump(1000);
		ck_assert_int_eq(rig.kept[2].op, IO_CLOSE);
		ck_assert_int_lt(expect(IO_SEND, client).result, 0);
		ck_assert_int_le(expect(IO_RECV, client).result, 0);
		expect(IO_CLOSE, client);
		shut(server);
	}
	shut_listener();
	ck_assert(!pump(0));
	rig_down();
	free(p);
}
END_TEST

START_TEST(abort_resets_the_peer)
{
	int client, server;
	char c;

	if (!rig_up(_i))
		return;
	pair(&client, &server);
	io_recv(rig.io, server, &c, 1, token());
	io_abort(rig.io, client, token());
	expect(IO_CLOSE, client);
	ck_assert_int_eq(expect(IO_RECV, server).result, -ECONNRESET);
	shut(server);
	shut_listener();
	rig_down();
}
END_TEST

START_TEST(connect_refused)
{
	struct io_addr at;
	int conn;

	if (!rig_up(_i))
		return;
	shut_listener(); /* its port is free now */
	conn = io_connect(rig.io, NULL, &rig.at, token());
	ck_assert_int_ge(conn, 0);
	ck_assert_int_eq(expect(IO_CONNECT, conn).result, -ECONNREFUSED);
	shut(conn);
	ck_assert_int_eq(io_addr_parse(SPAN("/nonexistent/x"), 0, &at), 0);
	conn = io_connect(rig.io, NULL, &at, token());
	ck_assert_int_ge(conn, 0);
	ck_assert_int_eq(expect(IO_CONNECT, conn).result, -ENOENT);
	shut(conn);
	rig_down();
}
END_TEST

/* A listener whose queue is full answers no SYN. */
START_TEST(connect_to_blackhole_is_given_up)
{
	int fill[8], conn, i, hole;

	if (!rig_io(_i, 0, 0))
		return;
	rig_listen("127.0.0.1:0");
	hole = io_fd(rig.io, rig.listener);
	ck_assert_int_eq(listen(hole, 0), 0);
	for (i = 0; i < 8; i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(fill[i], &rig.at.u.sa, rig.at.len);
	}
	for (i = 0; i < 2; i++) {
		conn = io_connect(rig.io, NULL, &rig.at, token());
		ck_assert_int_ge(conn, 0);
		ck_assert(!pump(100));
		if (i == 0)
			io_abort(rig.io, conn, token());
		else
			io_close(rig.io, conn, token());
		ck_assert_int_eq(expect(IO_CONNECT, conn).result, -ECANCELED);
		expect(IO_CLOSE, conn);
	}
	for (i = 0; i < 8; i++)
		close(fill[i]);
	shut(rig.listener);
	rig_down();
}
END_TEST

/* io_free() takes back what is lent: ASan sees it when it does not. */
START_TEST(free_with_all_in_flight)
{
	char *p = big_new(), *in = malloc(100);
	struct iovec iov = { p, BIG };
	int client, server;

	if (!rig_up(_i))
		return;
	pair(&client, &server);
	io_recv(rig.io, client, in, 100, token());
	io_send(rig.io, client, &iov, 1, token());
	ck_assert(!pump(20));
	rig_down();
	free(in);
	free(p);
}
END_TEST

static void add(TCase *tc)
{
	add_both(tc, echo);
	add_both(tc, free_with_all_in_flight);
	add_both(tc, many_connections);
	add_both(tc, big_send_slow_reader);
	add_both(tc, close_in_good_order);
	add_both(tc, end_behind_octets);
	add_both(tc, peer_resets_in_mid_send);
	add_both(tc, close_with_all_in_flight);
	add_both(tc, abort_resets_the_peer);
	add_both(tc, connect_refused);
	add_both(tc, connect_to_blackhole_is_given_up);
}

int main(void)
{
	return rig_main("io", add);
}
