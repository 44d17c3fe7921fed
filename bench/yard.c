/*
 * bench/yard.c - what the yardsticks share
 */
#include "bench/yard.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

bool yard_options(const struct yard_option *known, int argc, char **argv)
{
	const struct yard_option *o;
	int i;

	for (i = 0; i + 1 < argc; i += 2) {
		for (o = known; o->name != NULL; o++)
			if (strcmp(o->name, argv[i]) == 0)
				break;
		if (o->name == NULL ||
		    !span_u64(span_str(argv[i + 1]), o->max, o->value) ||
		    *o->value < o->min)
			return false;
	}
	return i == argc;
}

void yard_content(struct buf *b, uint64_t size)
{
	static const char line[] = "the quick brown fox jumps over the lazy "
				   "dog, and the dog lets it jump, again.\r\n";
	size_t end = b->len + size, n;

	buf_add_span(b, SPAN("Subject: limit\r\nX-Mtaq-Token: limit\r\n\r\n"));
	while (b->failed == 0 && b->len < end) {
		n = end - b->len < sizeof(line) - 1 ? end - b->len
						    : sizeof(line) - 1;
		buf_add(b, line + sizeof(line) - 1 - n, n);
	}
}

/* --- times ---------------------------------------------------------------- */

double yard_now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double yard_cpu_s(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

int yard_times_init(struct yard_times *t)
{
	t->count = 0;
	t->us = malloc(YARD_TIMES_MAX * sizeof(*t->us));
	return t->us == NULL ? -ENOMEM : 0;
}

void yard_times_free(struct yard_times *t)
{
	free(t->us);
	t->us = NULL;
}

void yard_times_add(struct yard_times *t, double seconds)
{
	if (t->count < YARD_TIMES_MAX)
		t->us[t->count++] = (uint32_t)(seconds * 1e6 + 0.5);
}

static int by_size(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

double yard_times_us(struct yard_times *t, double percent)
{
	size_t at;

	if (t->count == 0)
		return 0;
	qsort(t->us, t->count, sizeof(*t->us), by_size);
	at = (size_t)((double)t->count * percent / 100);
	return t->us[at < t->count ? at : t->count - 1];
}

void yard_pace_wait(struct yard_pace *p)
{
	struct timespec t;

	if (p->rate == 0)
		return;
	if (p->next_s == 0)
		p->next_s = yard_now_s();
	p->next_s += 1.0 / (double)p->rate;
	t.tv_sec = (time_t)p->next_s;
	t.tv_nsec = (long)((p->next_s - (double)t.tv_sec) * 1e9);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) ==
	       EINTR)
		;
}

/* --- the network ----------------------------------------------------------- */

int yard_connect(const struct sink_address *to)
{
	int fd, one = 1, err;

	fd = socket(to->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&to->sa, to->sa_len) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

int yard_watch(int epoll_fd, int op, int fd, bool writing, void *arg)
{
	struct epoll_event ev = { .data.ptr = arg };

	ev.events = writing ? EPOLLIN | EPOLLOUT : EPOLLIN;
	return epoll_ctl(epoll_fd, op, fd, &ev) < 0 ? -errno : 0;
}
