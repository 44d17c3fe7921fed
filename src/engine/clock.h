#ifndef MTAQ_ENGINE_CLOCK_H
#define MTAQ_ENGINE_CLOCK_H

/*
 * The times of mtaq.
 *
 *	mail time   seconds since 1970 that never go back and survive a
 *	            reboot: slots, ages and expiry are counted in it
 *	now         monotonic milliseconds: deadlines within one run
 *	wall        UTC, for people
 *
 * Mail time is the larger of the wall clock and the last saved mail time at
 * start, and goes on by CLOCK_BOOTTIME from there: a wall clock that jumps
 * moves no mail.
 */
#include <stdint.h>

struct clock {
	uint64_t start_mail_ms, start_boot_ms;
};

void clock_start(struct clock *c, uint32_t saved_s);
uint32_t clock_mail_s(const struct clock *c);
uint64_t clock_now_ms(void);
uint64_t clock_wall_ms(void);

#endif
