/*
 * engine/clock.c - mail time, monotonic time, wall time
 */
#include "engine/clock.h"

#include <time.h>

static uint64_t read_ms(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void clock_start(struct clock *c, uint32_t saved_s)
{
	uint64_t wall = read_ms(CLOCK_REALTIME);
	uint64_t saved = (uint64_t)saved_s * 1000;

	c->start_mail_ms = wall > saved ? wall : saved;
	c->start_boot_ms = read_ms(CLOCK_BOOTTIME);
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
