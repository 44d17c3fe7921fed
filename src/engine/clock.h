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
 *
 * A start with a wrong clock, or after a long pause, must not end mail that
 * nobody could be asked about yet: what no attempt can be made for (a dead
 * site, DNS that fails) does not expire before the grace after the start is
 * over.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLOCK_GRACE_S 3600u  /* or the age limit, when that is less */
#define CLOCK_JUMP_S  86400u /* from here on a difference is told of */

struct clock {
	uint64_t start_mail_ms, start_boot_ms;
	uint32_t grace_s;
	int64_t jump_s; /* of the wall clock against the saved time at start */
};

/* saved_s: mail time as the last life left it; 0: there was none. */
void clock_start(struct clock *c, uint32_t saved_s, uint32_t age_limit_s);
uint32_t clock_mail_s(const struct clock *c);
/* May mail end now that no attempt can be made for? */
bool clock_expired(const struct clock *c, uint32_t now_s, uint32_t expires_s);
/* What of the clocks an operator should know: "ok", or words. */
void clock_words(const struct clock *c, char *words, size_t size);
/* How long ago: another thread, or another node, may be seconds ahead. */
static inline uint32_t clock_since_s(uint32_t now_s, uint32_t then_s)
{
	return now_s > then_s ? now_s - then_s : 0;
}
uint64_t clock_now_ms(void);
uint64_t clock_wall_ms(void);

#endif
