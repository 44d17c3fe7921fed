/*
 * tests/unit/test_gather.c - waiting for some completions instead of one
 */
#include "io/gather.h"
#include "tests/unit/io_rig.h"

#include <sys/socket.h>

#define PAIRS 80

START_TEST(numbers_raise_the_goal_and_gaps_lower_it)
{
	struct gather g = { 1 };
	unsigned i;

	for (i = 0; i < 5; i++)
		gather_learn(&g, 9, 1000, false);
	ck_assert_uint_eq(g.goal, 6);
	gather_learn(&g, 6, 1000, true);
	ck_assert_uint_eq(g.goal, 6);
	gather_learn(&g, 2, 1000, false); /* nobody waited for more */
	ck_assert_uint_eq(g.goal, 6);
	gather_learn(&g, 2, 1000, true);
	ck_assert_uint_eq(g.goal, 2);
	gather_learn(&g, 0, 1000, true);
	ck_assert_uint_eq(g.goal, 1);
	for (i = 0; i < 100; i++)
		gather_learn(&g, 256, 1000, true);
	ck_assert_uint_eq(g.goal, GATHER_MAX);
}
END_TEST

START_TEST(a_few_connections_never_wait_for_one_another)
{
	struct gather g = { 1 };
	unsigned i;

	for (i = 0; i < 100; i++)
		gather_learn(&g, 40, 2 * GATHER_ONE_OF - 1, true);
	ck_assert_uint_eq(g.goal, 1);
	for (i = 0; i < 100; i++)
		gather_learn(&g, 80, 5 * GATHER_ONE_OF, true);
	ck_assert_uint_eq(g.goal, 5);
	gather_learn(&g, 10, 2 * GATHER_ONE_OF, true); /* most have gone */
	ck_assert_uint_eq(g.goal, 2);
}
END_TEST

static void take(int n)
{
	struct io_done done[PAIRS];
	int got;

	for (; n > 0; n -= got) {
		got = io_wait(rig.io, WAIT_MS, done, PAIRS);
		ck_assert_int_gt(got, 0);
	}
	ck_assert_int_eq(n, 0);
}

/* Many rounds in which all have something to say, so that some are awaited;
 * then one alone has, and is heard all the same, long before the time given. */
START_TEST(one_alone_is_heard_soon)
{
	static char in[PAIRS];
	int fd[PAIRS][2], conn[PAIRS], i, round;
	uint64_t before;

	if (!rig_io(_i, 0, PAIRS))
		return;
	for (i = 0; i < PAIRS; i++) {
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd[i]), 0);
		conn[i] = io_adopt(rig.io, fd[i][0]);
		ck_assert_int_ge(conn[i], 0);
	}
	for (round = 0; round < 20; round++) {
		for (i = 0; i < PAIRS; i++)
			io_recv(rig.io, conn[i], &in[i], 1, token());
		for (i = 0; i < PAIRS; i++)
			ck_assert_int_eq(write(fd[i][1], "x", 1), 1);
		take(PAIRS);
	}
	for (i = 0; i < PAIRS; i++)
		io_recv(rig.io, conn[i], &in[i], 1, token());
	for (i = 0; i < 3; i++) {
		before = io_now_ms(rig.io);
		ck_assert_int_eq(write(fd[0][1], "y", 1), 1);
		take(1);
		ck_assert_uint_lt(io_now_ms(rig.io) - before, WAIT_MS / 2);
		ck_assert_int_eq(in[0], 'y');
		io_recv(rig.io, conn[0], &in[0], 1, token());
	}
	for (i = 0; i < PAIRS; i++)
		close(fd[i][1]);
	take(PAIRS);
	for (i = 0; i < PAIRS; i++)
		io_close(rig.io, conn[i], token());
	take(PAIRS);
	rig_down();
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, numbers_raise_the_goal_and_gaps_lower_it);
	tcase_add_test(tc, a_few_connections_never_wait_for_one_another);
	add_both(tc, one_alone_is_heard_soon);
}

int main(void)
{
	return rig_main("gather", add);
}
