#ifndef MTAQ_CMD_HUMAN_H
#define MTAQ_CMD_HUMAN_H

/* Figures as people read them at a glance. */
#include "base/buf.h"

#include <stdint.h>

#define HUMAN_MAX 32u
struct human { /* a C string, by value */
	char text[HUMAN_MAX];
};

struct human human_count(uint64_t n); /* 1,234,567 */
struct human human_short(uint64_t n); /* 999, 12.3k, 4.5M: at most 5 */
struct human human_bytes(uint64_t n); /* 512 B, 77.3 GiB */
struct human human_time(uint64_t s);  /* 42s, 3m 07s, 3h 12m, 2d 04h */
struct human human_us(uint64_t us);   /* 850 us, 4.2 ms, 1.3 s */
/* n in ms, a second: 0, 0.3, 12, 1,234; "-" when ms is 0. */
struct human human_rate(uint64_t n, uint64_t ms);

#endif
