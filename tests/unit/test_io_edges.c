/*
 * tests/unit/test_io_edges.c - other threads, limits, what is pending, and
 * the choice of the back end
 */
#include "tests/unit/io_rig.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define WAKES 20000

static _Atomic unsigned posted;

static void *waker(void *io)
{
	int i;

	for (i = 0; i < WAKES; i++) {
		atomic_fetch_add_explicit(&posted, 1, memory_order_relaxed);
		io_wake(io);
	}
	return NULL;
}

/* Never lost: after the last IO_WAKE everything that was posted is seen. */
START_TEST(wake_from_another_thread)
{
	pthread_t th[2];
	unsigned wakes = 0, seen = 0;
	int i;

	if (!rig_io(_i, 0, 0))
		return;
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&th[i], NULL, waker, rig.io),
				 0);
	while (seen < 2 * WAKES) {
		struct io_done d = expect(IO_WAKE, -1);

		ck_assert_int_eq(d.conn, -1);
		seen = atomic_load_explicit(&posted, memory_order_relaxed);
		wakes++;
	}
	for (i = 0; i < 2; i++)
		pthread_join(th[i], NULL);
	ck_assert_uint_le(wakes, 2 * WAKES);
	while (pump(0))
		rig.kept_count = 0;
	/* Several calls melt into one. */
	io_wake(rig.io);
	io_wake(rig.io);
	expect(IO_WAKE, -1);
	ck_assert(!pump(20));
	rig_down();
}
END_TEST

START_TEST(stale_generations_are_dropped)
{
	struct io_counters counters = { 0 };
	struct conns c;
	struct conn *conn;
	uint64_t data;
	int a, b, i;

	ck_assert_int_eq(conns_init(&c, 1, &counters), 0);
	a = conns_take(&c, 77);
	ck_assert_int_ge(a, 0);
	ck_assert_int_eq(conns_take(&c, 78), -EMFILE);
	conn = conns_at(&c, a);
	data = io_pack(IO_RECV, conn->gen, conns_index(&c, conn));
	ck_assert_ptr_eq(conns_of_data(&c, data), conn);
	for (i = 0; i < 5000; i++) { /* more than a handle's generations */
		conns_release(&c, conn);
		ck_assert_ptr_null(conns_of_data(&c, data));
		b = conns_take(&c, 77);
		ck_assert_int_ge(b, 0);
		if (i == 0)
			ck_assert_int_ne(a, b);
		ck_assert_ptr_null(conns_of_data(&c, data));
	}
	conns_release(&c, conn);
	conns_fini(&c);
}
END_TEST

START_TEST(dead_handle_is_a_bug)
{
	struct io_settings s = { .backend = IO_BACKEND_EPOLL };
	char why[IO_WHY_MAX], c;
	int fd = eventfd(0, EFD_CLOEXEC);

	ck_assert_int_eq(io_new(&s, why, &rig.io), 0);
	fd = io_adopt(rig.io, fd);
	shut(fd);
	ck_assert_int_ge(io_adopt(rig.io, eventfd(0, EFD_CLOEXEC)),
			 0); /* same slot */
	io_recv(rig.io, fd, &c, 1, token());
}
END_TEST

/* Takes all descriptors but `left`; they come back with the process. */
static void leave_descriptors(int left)
{
	int fd, last[8];

	while ((fd = dup(0)) >= 0)
		last[fd % 8] = fd;
	ck_assert_int_eq(errno, EMFILE);
	for (fd = 63; left-- > 0; fd--)
		close(last[fd % 8]);
}

START_TEST(descriptors_exhausted)
{
	struct rlimit lim = { 64, 64 };
	int client[2], server, i;

	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &lim), 0);
	if (!rig_up(_i))
		return;
	pair(&client[0], &server);
	leave_descriptors(1);
	/* It connects, and there is none to accept it with. */
	client[1] = io_connect(rig.io, NULL, &rig.at, token());
	ck_assert_int_ge(client[1], 0);
	ck_assert_int_eq(io_connect(rig.io, NULL, &rig.at, token()), -EMFILE);
	ck_assert_int_eq(expect(IO_CONNECT, client[1]).result, 0);
	ck_assert_int_eq(expect(IO_ACCEPT, rig.listener).result, -EMFILE);
	shut(server);
	io_accept(rig.io, rig.listener, token());
	server = expect(IO_ACCEPT, rig.listener).result;
	ck_assert_int_ge(server, 0);
	for (i = 0; i < 2; i++)
		shut(client[i]);
	shut(server);
	shut_listener();
	rig_down();
}
END_TEST

START_TEST(handles_exhausted)
{
	int client, server, fd;

	if (!rig_io(_i, 0, 3))
		return;
	rig_listen("127.0.0.1:0");
	io_accept(rig.io, rig.listener, token());
	pair(&client, &server);
	ck_assert_int_eq(io_connect(rig.io, NULL, &rig.at, token()), -EMFILE);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(fd, &rig.at.u.sa, rig.at.len), 0);
	ck_assert_int_eq(expect(IO_ACCEPT, rig.listener).result, -EMFILE);
	shut(client);
	shut(server);
	io_accept(rig.io, rig.listener, token());
	pair(&client, &server);
	close(fd);
	rig_down();
}
END_TEST

static void wait_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	ck_assert_int_eq(poll(&p, 1, WAIT_MS), 1);
}

/* SMTP.md 19: what came is seen, whoever holds it. */
START_TEST(pending_octets)
{
	char text[] = "250 stray\r\n", in[64];
	int client, server;

	if (!rig_up(_i))
		return;
	pair(&client, &server);
	ck_assert_int_eq(io_pending(rig.io, client), 0);
	say(server, text, 11);
	wait_readable(io_fd(rig.io, client));
	ck_assert_int_eq(io_pending(rig.io, client), 11);
	ck_assert_int_eq(hear(client, in, 4), 4);
	io_ack_now(rig.io, client); /* takes nothing away */
	ck_assert_int_eq(io_pending(rig.io, client), 7);
	/* A recv in flight, complete or not, not given out yet. */
	io_recv(rig.io, client, in, sizeof(in), token());
	ck_assert_int_eq(io_pending(rig.io, client), 7);
	ck_assert_int_eq(expect(IO_RECV, client).result, 7);
	ck_assert_int_eq(io_pending(rig.io, client), 0);
	/* The end is something, too. */
	io_close(rig.io, server, token());
	expect(IO_CLOSE, server);
	wait_readable(io_fd(rig.io, client));
	ck_assert_int_eq(io_pending(rig.io, client), 1);
	rig_down();
}
END_TEST

/* The same while the octets lie in a completion that was not given out. */
START_TEST(pending_in_a_completion)
{
	char text[] = "x", in[2];
	int a[2], b[2];

	if (!rig_up(_i))
		return;
	pair(&a[0], &b[0]);
	pair(&a[1], &b[1]);
	say(b[0], text, 1);
	say(b[1], text, 1);
	wait_readable(io_fd(rig.io, a[0]));
	wait_readable(io_fd(rig.io, a[1]));
	io_recv(rig.io, a[0], &in[0], 1, token());
	io_recv(rig.io, a[1], &in[1], 1, token());
	rig.batch = 1;
	ck_assert(pump(1000));
	ck_assert_uint_eq(rig.kept_count, 1);
	ck_assert_int_eq(io_pending(rig.io, a[rig.kept[0].conn == a[0]]), 1);
	expect(IO_RECV, a[0]);
	expect(IO_RECV, a[1]);
	rig_down();
}
END_TEST

START_TEST(poll_tells_readable)
{
	int fd[2], conn;

	if (!rig_io(_i, 0, 0))
		return;
	ck_assert_int_eq(pipe(fd), 0);
	conn = io_adopt(rig.io, fd[0]);
	ck_assert_int_ge(conn, 0);
	io_poll(rig.io, conn, token());
	ck_assert(!pump(20));
	ck_assert_int_eq(write(fd[1], "x", 1), 1);
	ck_assert_int_eq(expect(IO_POLL, conn).result, 0);
	io_poll(rig.io, conn, token()); /* still readable */
	ck_assert_int_eq(expect(IO_POLL, conn).result, 0);
	ck_assert_int_eq(io_pending(rig.io, conn), 1);
	ck_assert_int_eq(read(fd[0], fd, 1), 1);
	io_poll(rig.io, conn, token());
	ck_assert(!pump(20));
	io_close(rig.io, conn, token());
	ck_assert_int_eq(expect(IO_POLL, conn).result, -ECANCELED);
	expect(IO_CLOSE, conn);
	rig_down();
}
END_TEST

START_TEST(source_address)
{
	struct io_addr src, got = { .len = sizeof(got.u) };
	char text[IO_ADDR_TEXT_MAX];
	int conn, server, one = 0;
	socklen_t len = sizeof(one);

	if (!rig_up(_i))
		return;
	ck_assert_int_eq(io_addr_parse(SPAN("127.9.8.7"), 0, &src), 0);
	conn = io_connect(rig.io, &src, &rig.at, token());
	ck_assert_int_eq(expect(IO_CONNECT, conn).result, 0);
	server = expect(IO_ACCEPT, rig.listener).result;
	ck_assert_int_eq(
		getpeername(io_fd(rig.io, server), &got.u.sa, &got.len), 0);
	io_addr_text(&got, text);
	ck_assert_msg(strncmp(text, "127.9.8.7:", 10) == 0, "%s", text);
	ck_assert_int_eq(
		getsockopt(io_fd(rig.io, conn), IPPROTO_TCP, 1, &one, &len), 0);
	ck_assert_int_ne(one, 0); /* TCP_NODELAY */
	one = 0;
	ck_assert_int_eq(getsockopt(io_fd(rig.io, conn), IPPROTO_IP,
				    IP_BIND_ADDRESS_NO_PORT, &one, &len),
			 0);
	ck_assert_int_ne(one, 0);
	ck_assert_int_eq(io_addr_parse(SPAN("192.0.2.1"), 0, &src), 0);
	ck_assert_int_eq(io_connect(rig.io, &src, &rig.at, token()),
			 -EADDRNOTAVAIL);
	rig_down();
}
END_TEST

START_TEST(wait_ends_in_time)
{
	uint64_t began;

	if (!rig_up(_i))
		return;
	began = io_now_ms(rig.io);
	ck_assert(!pump(150));
	ck_assert_uint_ge(io_now_ms(rig.io) - began, 149);
	ck_assert(!pump(0));
	rig_down();
}
END_TEST

/* The kernel is short of something: whatever is submitted in mid-turn is
 * refused.  What has no room in the ring then waits in the backlog. */
static void refuse_submit(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_enter, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, args[3])),
		/* 1: IORING_ENTER_GETEVENTS */
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 1, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { ARRAY_LEN(code), code };

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog), 0);
}

START_TEST(backlog_when_the_kernel_refuses)
{
	int conn[100], i, good = 0;

	if (!rig_io(_i, 8, 256))
		return;
	rig_listen("127.0.0.1:0");
	refuse_submit();
	io_accept(rig.io, rig.listener, token());
	for (i = 0; i < 100; i++) {
		conn[i] = io_connect(rig.io, NULL, &rig.at, token());
		ck_assert_int_ge(conn[i], 0);
		if (i % 4 == 0) /* before it was even begun */
			io_close(rig.io, conn[i], token());
	}
	for (i = 0; i < 100; i++) {
		good += expect(IO_CONNECT, conn[i]).result == 0;
		if (i % 4 == 0)
			expect(IO_CLOSE, conn[i]);
	}
	ck_assert_int_ge(good, 75);
	for (i = 0; i < good; i++)
		ck_assert_int_ge(expect(IO_ACCEPT, -1).result, 0);
	rig.kept_count = 0; /* what was given up may have been accepted */
	rig_down();
}
END_TEST

/* A filter as containers have it: io_uring_setup says err. */
static void forbid_io_uring(int err)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K,
			 SECCOMP_RET_ERRNO | ((unsigned)err & 0xffffu)),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { ARRAY_LEN(code), code };

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog), 0);
}

START_TEST(auto_falls_back_and_says_why)
{
	static const int refusals[] = { ENOSYS, EPERM, EINVAL, ENOMEM, EMFILE };
	struct io_settings s = { .backend = IO_BACKEND_AUTO };
	int err = refusals[_i];
	char why[IO_WHY_MAX];

	forbid_io_uring(err); /* each test is a process of its own */
	if (err == EMFILE) {  /* no reason to think that epoll would do */
		ck_assert_int_eq(io_new(&s, why, &rig.io), -EMFILE);
		return;
	}
	ck_assert_int_eq(io_new(&s, why, &rig.io), 0);
	ck_assert_str_eq(io_backend_name(rig.io), "epoll");
	ck_assert_ptr_nonnull(strstr(why, strerrordesc_np(err)));
	ck_assert_ptr_nonnull(strstr(why, "io_uring"));
	ck_assert_ptr_null(strchr(why, '\n'));
	rig_listen("127.0.0.1:0");
	io_accept(rig.io, rig.listener, token());
	echo_once();
	io_free(&rig.io);
	s.backend = IO_BACKEND_IO_URING;
	ck_assert_int_eq(io_new(&s, why, &rig.io), -err);
	ck_assert_ptr_nonnull(strstr(why, strerrordesc_np(err)));
}
END_TEST

START_TEST(auto_prefers_io_uring)
{
	struct io_settings s = { .backend = IO_BACKEND_AUTO };
	char why[IO_WHY_MAX];

	ck_assert_int_eq(io_new(&s, why, &rig.io), 0);
	if (strcmp(io_backend_name(rig.io), "io_uring") != 0)
		printf("skipped: io_uring: %s\n", why);
	else
		ck_assert_str_eq(why, "");
	io_free(&rig.io);
}
END_TEST

START_TEST(addresses_in_words)
{
	static const struct {
		const char *in, *out; /* NULL: refused */
	} t[] = {
		{ "192.0.2.1:26", "192.0.2.1:26" },
		{ "192.0.2.1", "192.0.2.1:25" },
		{ "255.100.10.9:65535", "255.100.10.9:65535" },
		{ "0.0.0.0:0", "0.0.0.0:0" },
		{ "[2001:db8::1]:2525", "[2001:db8::1]:2525" },
		{ "[2001:db8::1]", "[2001:db8::1]:25" },
		{ "2001:db8::1", "[2001:db8::1]:25" },
		{ "/run/mtaq/s", "/run/mtaq/s" },
		{ "", NULL },
		{ "192.0.2.1:", NULL },
		{ "192.0.2.1:65536", NULL },
		{ "192.0.2.256", NULL },
		{ "[2001:db8::1", NULL },
		{ "[2001:db8::1]x", NULL },
		{ "[]:25", NULL },
		{ "mx.example.net:25", NULL },
	};
	struct io_addr a;
	char text[IO_ADDR_TEXT_MAX];
	size_t i;

	for (i = 0; i < ARRAY_LEN(t); i++) {
		int err = io_addr_parse(span_str(t[i].in), 25, &a);

		ck_assert_msg((err == 0) == (t[i].out != NULL), "%s", t[i].in);
		if (err < 0)
			continue;
		io_addr_text(&a, text);
		ck_assert_str_eq(text, t[i].out);
	}
}
END_TEST

static void add(TCase *tc)
{
	add_both(tc, wake_from_another_thread);
	add_both(tc, descriptors_exhausted);
	add_both(tc, handles_exhausted);
	add_both(tc, pending_octets);
	add_both(tc, pending_in_a_completion);
	add_both(tc, poll_tells_readable);
	add_both(tc, source_address);
	add_both(tc, wait_ends_in_time);
	add_both(tc, backlog_when_the_kernel_refuses);
	tcase_add_test(tc, stale_generations_are_dropped);
	tcase_add_test_raise_signal(tc, dead_handle_is_a_bug, SIGABRT);
	tcase_add_loop_test(tc, auto_falls_back_and_says_why, 0, 5);
	tcase_add_test(tc, auto_prefers_io_uring);
	tcase_add_test(tc, addresses_in_words);
}

int main(void)
{
	return rig_main("io_edges", add);
}
