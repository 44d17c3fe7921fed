/*
 * engine/busy.c - the share of its time in which a thread has work
 */
#include "engine/busy.h"

#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define FULL     850u /* it hardly sleeps */
#define OCCUPIED 400u /* from here on waiting for a core counts ... */
#define QUEUES   4u   /* ... that takes so many-th of its work's time */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static bool read_stat(const struct busy *b, uint64_t *ran_r, uint64_t *waited_r)
{
	char text[96], *end;
	ssize_t n = pread(b->fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return false;
	text[n] = '\0';
	*ran_r = strtoull(text, &end, 10);
	*waited_r = strtoull(end, NULL, 10);
	return true;
}

void busy_open(struct busy *b)
{
	int fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);

	*b = (struct busy){ .fd = fd > 0 ? fd : 0, .at_ns = now_ns() };
	if (b->fd > 0)
		(void)read_stat(b, &b->ran_ns, &b->waited_ns);
}

void busy_close(struct busy *b)
{
	if (b->fd > 0)
		close(b->fd);
	*b = (struct busy){ 0 };
}

static void mix(uint32_t *share, uint64_t part_ns, uint64_t all_ns)
{
	uint64_t now = part_ns < all_ns ? part_ns * 1000 / all_ns : 1000;

	*share = (uint32_t)((*share + now) / 2);
}

bool busy_saturated(struct busy *b)
{
	uint64_t ran, waited, at;

	if (b->fd <= 0 || !read_stat(b, &ran, &waited))
		return false;
	at = now_ns();
	if (at > b->at_ns) {
		mix(&b->share.ran, ran - b->ran_ns, at - b->at_ns);
		mix(&b->share.waited, waited - b->waited_ns, at - b->at_ns);
	}
	b->ran_ns = ran;
	b->waited_ns = waited;
	b->at_ns = at;
	return busy_is_saturated(b->share);
}

bool busy_is_saturated(struct busy_share share)
{
	uint32_t wants = share.ran + share.waited;

	return wants >= FULL ||
	       (wants >= OCCUPIED && share.waited * QUEUES >= wants);
}
