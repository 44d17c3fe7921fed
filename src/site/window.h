#ifndef MTAQ_SITE_WINDOW_H
#define MTAQ_SITE_WINDOW_H

/*
 * Three small regulators, plain data: how many connections (window), how many
 * per second (bucket), and a rate that is found out from refusals (pace).
 */
#include <stdbool.h>
#include <stdint.h>

/*
 * Concurrency by fractional feedback: steps of 1/size, at least 1/8, add up;
 * it shrinks at the start of a bad cycle, grows at the end of a good one, and
 * grows only while it is in use.
 */
struct window {
	uint32_t size, max; /* 1 <= size <= max */
	int32_t good, bad;  /* in 1024ths of a step of one */
};
void window_init(struct window *w, uint32_t size, uint32_t max);
void window_good(struct window *w, bool in_use);
void window_bad(struct window *w);  /* something went wrong */
void window_less(struct window *w); /* one too many, said the server */

/* Tokens: per_second of them, at most burst saved up; 0: no limit. */
struct bucket {
	uint32_t per_second, burst;
	uint64_t tokens_m; /* thousandths */
	uint64_t filled_ms;
};
void bucket_init(struct bucket *b, uint32_t per_second, uint32_t burst,
		 uint64_t now_ms);
/* When the next token is there: now_ms or earlier when it is. */
uint64_t bucket_when(struct bucket *b, uint64_t now_ms);
void bucket_take(struct bucket *b, uint64_t now_ms); /* it must be there */

/*
 * Messages per second.  Without a limit until a server says "slower"; then
 * half of what went out lately, for PACE_HOLD_MS, then an eighth more each
 * minute, until it is back at cap or at four times the rate that was refused.
 */
#define PACE_HOLD_MS 900000u
struct pace {
	uint32_t cap_m;   /* thousandths a second; 0: no limit */
	uint32_t limit_m; /* now; 0: no limit */
	uint32_t free_m;  /* at this limit_m the limit is lifted */
	uint64_t slice_ms, halved_ms, raise_ms;
	uint32_t slice_count, recent_m;
	uint64_t tokens_u; /* millionths of a message */
	uint64_t filled_ms;
};
void pace_init(struct pace *p, uint32_t per_second, uint64_t now_ms);
uint64_t pace_when(struct pace *p, uint64_t now_ms); /* as bucket_when() */
void pace_take(struct pace *p, uint64_t now_ms);     /* a message begins */
void pace_halve(struct pace *p, uint64_t now_ms);

#endif
