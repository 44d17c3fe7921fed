/*
 * site/window.c - connections at once, and things per second
 */
#include "site/window.h"

#include "base/bug.h"

#define ONE 1024

/* --- window -------------------------------------------------------------- */

void window_init(struct window *w, uint32_t size, uint32_t max)
{
	BUG_ON(size == 0 || max < size);
	*w = (struct window){ .size = size, .max = max };
}

static int32_t window_step(const struct window *w)
{
	int32_t step = (int32_t)(ONE / w->size);

	return step > ONE / 8 ? step : ONE / 8;
}

void window_good(struct window *w, bool in_use)
{
	if (!in_use || w->size >= w->max)
		return;
	w->good += window_step(w);
	if (w->good < ONE)
		return;
	w->size++;
	w->good = 0;
	w->bad = 0;
}

void window_bad(struct window *w)
{
	w->good = 0;
	w->bad -= window_step(w);
	if (w->bad >= 0)
		return;
	w->bad += ONE;
	if (w->size > 1)
		w->size--;
}

void window_less(struct window *w)
{
	w->good = 0;
	if (w->size > 1)
		w->size--;
}

/* --- bucket -------------------------------------------------------------- */

void bucket_init(struct bucket *b, uint32_t per_second, uint32_t burst,
		 uint64_t now_ms)
{
	*b = (struct bucket){ .per_second = per_second,
			      .burst = burst > 0 ? burst : 1,
			      .filled_ms = now_ms };
	b->tokens_m = b->burst * 1000ull;
}

static void bucket_fill(struct bucket *b, uint64_t now_ms)
{
	uint64_t full = b->burst * 1000ull;
	uint64_t past = now_ms > b->filled_ms ? now_ms - b->filled_ms : 0;

	if (past >= full / b->per_second + 1)
		b->tokens_m = full;
	else
		b->tokens_m += past * b->per_second;
	if (b->tokens_m > full)
		b->tokens_m = full;
	b->filled_ms = now_ms;
}

uint64_t bucket_when(struct bucket *b, uint64_t now_ms)
{
	if (b->per_second == 0)
		return now_ms;
	bucket_fill(b, now_ms);
	if (b->tokens_m >= 1000)
		return now_ms;
	return now_ms +
	       (1000 - b->tokens_m + b->per_second - 1) / b->per_second;
}

void bucket_take(struct bucket *b, uint64_t now_ms)
{
	if (b->per_second == 0)
		return;
	bucket_fill(b, now_ms);
	BUG_ON(b->tokens_m < 1000);
	b->tokens_m -= 1000;
}

/* --- pace ---------------------------------------------------------------- */

#define SLICE_MS       8000u
#define HALVE_AGAIN_MS 30000u /* answers still on their way count once */
#define RAISE_MS       60000u
#define PACE_MIN_M     100u /* one message in ten seconds */
#define MESSAGE_U      1000000ull

void pace_init(struct pace *p, uint32_t per_second, uint64_t now_ms)
{
	*p = (struct pace){ .cap_m = per_second * 1000,
			    .limit_m = per_second * 1000,
			    .slice_ms = now_ms,
			    .filled_ms = now_ms,
			    .tokens_u = MESSAGE_U };
}

/* An eighth more for each minute that went well. */
static void pace_raise(struct pace *p, uint64_t now_ms)
{
	if (p->raise_ms == 0 || now_ms < p->raise_ms)
		return;
	while (p->raise_ms <= now_ms && p->limit_m < p->free_m) {
		p->limit_m += p->limit_m / 8 + 1;
		p->raise_ms += RAISE_MS;
	}
	if (p->limit_m < p->free_m)
		return;
	p->limit_m = p->cap_m;
	p->raise_ms = 0;
}

/* A second's worth may be saved up, one message at least. */
static void pace_fill(struct pace *p, uint64_t now_ms)
{
	uint64_t full = p->limit_m * 1000ull;
	uint64_t past = now_ms > p->filled_ms ? now_ms - p->filled_ms : 0;

	if (full < MESSAGE_U)
		full = MESSAGE_U;
	if (past > 20000)
		p->tokens_u = full;
	else
		p->tokens_u += past * p->limit_m;
	if (p->tokens_u > full)
		p->tokens_u = full;
	p->filled_ms = now_ms;
}

uint64_t pace_when(struct pace *p, uint64_t now_ms)
{
	pace_raise(p, now_ms);
	if (p->limit_m == 0)
		return now_ms;
	pace_fill(p, now_ms);
	if (p->tokens_u >= MESSAGE_U)
		return now_ms;
	return now_ms + (MESSAGE_U - p->tokens_u + p->limit_m - 1) / p->limit_m;
}

static uint32_t pace_recent(const struct pace *p, uint64_t now_ms)
{
	uint64_t past = now_ms - p->slice_ms;
	uint64_t rate;

	if (past < 1000 && p->recent_m > 0)
		return p->recent_m;
	rate = p->slice_count * 1000000ull / (past < 1000 ? 1000 : past);
	return rate > UINT32_MAX ? UINT32_MAX : (uint32_t)rate;
}

void pace_take(struct pace *p, uint64_t now_ms)
{
	if (now_ms - p->slice_ms >= SLICE_MS) {
		p->recent_m = pace_recent(p, now_ms);
		p->slice_ms = now_ms;
		p->slice_count = 0;
	}
	p->slice_count++;
	if (p->limit_m == 0)
		return;
	pace_fill(p, now_ms);
	/* A caller that groups may be a message ahead: then it waits more. */
	p->tokens_u -= p->tokens_u < MESSAGE_U ? p->tokens_u : MESSAGE_U;
}

void pace_halve(struct pace *p, uint64_t now_ms)
{
	uint32_t refused = pace_recent(p, now_ms);

	if (p->raise_ms != 0 && now_ms < p->halved_ms + HALVE_AGAIN_MS)
		return;
	if (p->limit_m != 0 && p->limit_m < refused)
		refused = p->limit_m;
	if (refused < 2 * PACE_MIN_M)
		refused = 2 * PACE_MIN_M;
	if (p->raise_ms == 0)
		p->free_m = refused > UINT32_MAX / 4 ? UINT32_MAX : refused * 4;
	if (p->cap_m != 0 && p->free_m > p->cap_m)
		p->free_m = p->cap_m;
	p->limit_m = refused / 2;
	p->halved_ms = now_ms;
	p->raise_ms = now_ms + PACE_HOLD_MS;
	p->filled_ms = now_ms;
}
