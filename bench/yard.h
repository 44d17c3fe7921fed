#ifndef MTAQ_BENCH_YARD_H
#define MTAQ_BENCH_YARD_H

/*
 * What the yardsticks share (bench_limit, bench_session, bench_wal), and with
 * them `mtaq load`: options, a content of known size, times, a pace, and the line of JSON at the end.
 */
#include "base/buf.h"
#include "bench/sink_config.h"

#define YARD_TIMES_MAX (1u << 20) /* what is kept for the percentiles */

struct yard_option {
	const char *name; /* "--trips" */
	uint64_t *value;
	uint64_t min, max;
};

/* Read pairs of option and number; the table ends with a NULL name.  False
 * for a name that is not there, or a number out of its range. */
bool yard_options(const struct yard_option *known, int argc, char **argv);

/* Append `size` octets of header and lines; no line begins with a dot. */
void yard_content(struct buf *b, uint64_t size);

double yard_now_s(void);
double yard_cpu_s(void); /* of this process */

/* How long each of many took, as microseconds. */
struct yard_times {
	uint32_t *us; /* own */
	size_t count;
};
/* 0 or -ENOMEM. */
int yard_times_init(struct yard_times *t);
void yard_times_free(struct yard_times *t);
/* What is beyond YARD_TIMES_MAX is not kept. */
void yard_times_add(struct yard_times *t, double seconds);
/* The value below which so many of a hundred are; 0 without any.  Sorts. */
double yard_times_us(struct yard_times *t, double percent);

/* Sleep until it is time for the next of `rate` a second; 0: no sleep.
 * Whoever is late catches up. */
struct yard_pace {
	uint64_t rate;
	double next_s;
};
void yard_pace_wait(struct yard_pace *p);

/* One connection to the sink; blocking connect, no delay by Nagle.  A
 * descriptor or a negative errno value. */
int yard_connect(const struct sink_address *to);
/* epoll_ctl(op): for input, and for room when `writing`. */
int yard_watch(int epoll_fd, int op, int fd, bool writing, void *arg);

#endif
