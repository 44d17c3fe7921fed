/*
 * engine/clock.c - mail time, monotonic time, wall time
 */
#include "engine/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t read_ms(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void clock_start(struct clock *c, uint32_t saved_s, uint32_t age_limit_s)
{
	uint64_t wall = read_ms(CLOCK_REALTIME);
	uint64_t saved = (uint64_t)saved_s * 1000;

	c->start_mail_ms = wall > saved ? wall : saved;
	c->start_boot_ms = read_ms(CLOCK_BOOTTIME);
	c->grace_s = age_limit_s < CLOCK_GRACE_S ? age_limit_s : CLOCK_GRACE_S;
	c->jump_s = saved_s == 0 ? 0 : (int64_t)(wall / 1000) - saved_s;
}

bool clock_expired(const struct clock *c, uint32_t now_s, uint32_t expires_s)
{
	return now_s >= expires_s &&
	       now_s - c->start_mail_ms / 1000 >= c->grace_s;
}

static bool is_jump(int64_t s)
{
	return s > (int64_t)CLOCK_JUMP_S || s < -(int64_t)CLOCK_JUMP_S;
}

void clock_words(const struct clock *c, char *words, size_t size)
{
	int64_t ahead = (int64_t)(clock_wall_ms() / 1000) - clock_mail_s(c);

	if (is_jump(ahead))
		(void)snprintf(words, size,
			       "the wall clock is %lld days %s mail time, "
			       "which goes on evenly; mail is not moved by it",
			       (long long)llabs(ahead) / 86400,
			       ahead > 0 ? "ahead of" : "behind");
	else if (is_jump(c->jump_s))
		(void)snprintf(words, size,
			       "at the start %lld days had passed since mtaq "
			       "last ran, or the clock was set; nothing "
			       "expires untried",
			       (long long)llabs(c->jump_s) / 86400);
	else
		(void)snprintf(words, size, "ok");
}

uint32_t clock_mail_s(const struct clock *c)
{
	uint64_t run = read_ms(CLOCK_BOOTTIME) - c->start_boot_ms;

	return (uint32_t)((c->start_mail_ms + run) / 1000);
}

uint64_t clock_now_ms(void)
{
	return read_ms(CLOCK_MONOTONIC);
}

uint64_t clock_wall_ms(void)
{
	return read_ms(CLOCK_REALTIME);
}
