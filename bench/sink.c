/*
 * bench/sink.c - `mtaq sink`: threads, the ready line, the summary
 *
 * The main thread sets everything up, starts one thread for each event loop
 * and one for DNS, and then waits for SIGTERM or SIGINT.  All threads leave
 * when stop_fd becomes readable.
 */
#include "bench/sink.h"

#include "bench/sink_private.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 64u

struct running {
	struct sink sink;
	struct sink_loop loops[THREADS_MAX];
	struct sink_dnsd dns;
	pthread_t threads[THREADS_MAX], dns_thread;
	uint32_t loops_open, started;
	bool dns_started;
	uint64_t start_us;
};

static void *loop_thread(void *arg)
{
	int err = sink_loop_run(arg);

	/* Without this loop all measurements would lie: end the process. */
	if (err < 0)
		kill(getpid(), SIGTERM);
	return (void *)(intptr_t)err;
}

static void *dns_thread(void *arg)
{
	sink_dnsd_run(arg);
	return NULL;
}

/* As many connections as the machine lets us have. */
static void raise_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

static int open_all(struct running *r)
{
	struct sink *s = &r->sink;
	uint32_t i;
	int err;

	s->ledger_fd = -1;
	s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->memory = sink_memory_new();
	if (s->stop_fd < 0 || s->memory == NULL)
		return -ENOMEM;
	if (s->config.ledger != NULL) {
		s->ledger_fd =
			open(s->config.ledger,
			     O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
		if (s->ledger_fd < 0) {
			err = -errno;
			fprintf(stderr, "mtaq sink: %s: %s\n", s->config.ledger,
				strerrordesc_np(-err));
			return err;
		}
	}
	err = sink_dnsd_open(&r->dns, s);
	for (i = 0; err == 0 && i < s->config.threads; i++) {
		r->loops_open++;
		err = sink_loop_open(&r->loops[i], s);
	}
	return err;
}

static int start_all(struct running *r)
{
	uint32_t i;

	r->start_us = sink_now_us();
	for (i = 0; i < r->sink.config.threads; i++) {
		if (pthread_create(&r->threads[i], NULL, loop_thread,
				   &r->loops[i]) != 0)
			return -EAGAIN;
		r->started++;
	}
	if (r->dns.udp_fd >= 0) {
		if (pthread_create(&r->dns_thread, NULL, dns_thread, &r->dns) !=
		    0)
			return -EAGAIN;
		r->dns_started = true;
	}
	return 0;
}

static void say_ready(struct running *r)
{
	const struct sink_config *c = &r->sink.config;

	dprintf(c->ready_fd, "ready smtp=%s:%u", c->addresses[0].text,
		sink_address_port(&c->addresses[0]));
	if (r->dns.udp_fd >= 0)
		dprintf(c->ready_fd, " dns=%s:%u", c->dns.text,
			sink_address_port(&c->dns));
	dprintf(c->ready_fd, "\n");
}

static void print_stats(struct running *r, FILE *to)
{
	struct sink_stats *all = calloc(1, sizeof(*all));
	uint32_t i;

	if (all == NULL)
		return;
	for (i = 0; i < r->loops_open; i++)
		sink_stats_add(all, &r->loops[i].stats);
	sink_stats_add(all, &r->dns.stats);
	sink_stats_print(all, atomic_load(&r->sink.peak),
			 (double)(sink_now_us() - r->start_us) / 1e6, to);
	free(all);
}

static void wait_for_signal(struct running *r)
{
	uint32_t every_s = r->sink.config.stats_every_s;
	struct timespec t = { every_s == 0 ? 3600 : every_s, 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	while (sigtimedwait(&set, NULL, &t) < 0)
		if (errno == EAGAIN && every_s > 0)
			print_stats(r, stdout);
}

/* Everything ends; 0, or what a thread died of. */
static int stop_all(struct running *r)
{
	void *err = NULL;
	uint32_t i;
	int worst = 0;

	if (r->sink.stop_fd >= 0)
		eventfd_write(r->sink.stop_fd, 1);
	for (i = 0; i < r->started; i++) {
		pthread_join(r->threads[i], &err);
		if ((intptr_t)err < 0)
			worst = (int)(intptr_t)err;
	}
	if (r->dns_started)
		pthread_join(r->dns_thread, NULL);
	for (i = 0; i < r->loops_open; i++)
		sink_loop_close(&r->loops[i]);
	return worst;
}

static void write_summary(struct running *r)
{
	const struct sink_config *c = &r->sink.config;
	FILE *to;

	if (c->json)
		print_stats(r, stdout);
	if (c->stats == NULL)
		return;
	to = fopen(c->stats, "we");
	if (to == NULL) {
		fprintf(stderr, "mtaq sink: %s: %s\n", c->stats,
			strerrordesc_np(errno));
		return;
	}
	print_stats(r, to);
	fclose(to);
}

static int run(struct running *r)
{
	int err, died;

	r->sink.stop_fd = r->sink.ledger_fd = -1;
	r->dns.udp_fd = r->dns.tcp_fd = -1;
	err = open_all(r);
	if (err == 0)
		err = start_all(r);
	if (err == 0) {
		say_ready(r);
		wait_for_signal(r);
	}
	died = stop_all(r);
	if (err == 0)
		write_summary(r);
	sink_dnsd_close(&r->dns);
	sink_memory_free(&r->sink.memory);
	if (r->sink.ledger_fd >= 0)
		close(r->sink.ledger_fd);
	if (r->sink.stop_fd >= 0)
		close(r->sink.stop_fd);
	if (died < 0)
		return EX_IOERR;
	return err == 0 ? EX_OK : EX_OSERR;
}

int sink_main(int argc, char **argv)
{
	struct running *r = calloc(1, sizeof(*r));
	sigset_t set;
	int code;

	if (r == NULL)
		return EX_OSERR;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	raise_limit();
	code = sink_options(&r->sink.config, argc, argv);
	if (code == 0)
		code = run(r);
	sink_config_free(&r->sink.config);
	free(r);
	return code < 0 ? EX_OK : code;
}
