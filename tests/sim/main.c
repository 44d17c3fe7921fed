/*
 * tests/sim/main.c - a run: lives one after the other, crashes between them
 *
 * Each seed is a world of its own: its plan, so many messages with crashes,
 * then calm until every message has its end.  The same seed plays the same.
 */
#include "sim.h"

#include "base/hash.h"
#include "tests/unit/tmpdir.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#define LIFE_SECONDS 300u /* of real time: a hang */

struct world *world;

struct options {
	uint64_t seed, messages, lives;
	double seconds;
	bool json, verbose, one, vary;
};

uint64_t sim_random(void)
{
	world->rng += 0x9e3779b97f4a7c15ull;
	return hash_u64(world->rng);
}

uint64_t some(uint64_t max)
{
	unsigned bits = 0;

	if (max <= 1)
		return 1;
	while (max >> bits > 1)
		bits++;
	max = below(bits + 1) == bits ? max : (UINT64_C(2) << below(bits)) - 1;
	return 1 + below(max);
}

void sim_fail(const char *invariant, const char *fmt, ...)
{
	char words[400];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	(void)snprintf(world->words, sizeof(world->words), "%s: %s", invariant,
		       words);
	world->failed = true;
	_exit(3);
}

/* Long lives with much mail in each turn, or short ones of little. */
static void make_pace(struct plan *p)
{
	bool dense = chance(600);

	p->grain_us = dense ? 10000 + (uint32_t)below(60000)
			    : 1000 + (uint32_t)below(30000);
	p->turn_us = 100 + (uint32_t)below(dense ? 1000 : 4000);
	p->late_us = 50000 + (uint32_t)some(30000000);
	p->points = dense ? 3000 + (uint32_t)below(20000)
			  : 200 + (uint32_t)below(3000);
	p->burst = dense ? 5000 + (uint32_t)below(60000)
			 : 1000 + (uint32_t)some(20000);
	p->rate_us = (uint32_t)some(dense ? 10000000 : 600000000);
	p->open_max = dense ? 6000 + (uint32_t)below(10000)
			    : 500 + (uint32_t)some(6000);
	p->connections = (dense ? 100 : 8) + (uint32_t)below(300);
	p->site_conns = (dense ? 5 : 1) + (uint32_t)below(16);
	p->fault = (uint32_t)below(dense ? 8 : 30);
	p->slots = 2 * p->open_max + 4096;
}

static void make_plan(struct plan *p)
{
	p->workers = 1 + (uint32_t)below(WORKERS);
	p->segment_bytes = (uint32_t)(128u << 10) << below(4);
	p->ahead = 3 + (uint32_t)below(6);
	p->cap = (uint32_t)some(256);
	p->messages = (uint32_t)some(200);
	p->tasks = 2000 + (uint32_t)some(20000);
	p->age_s = 3600 + (uint32_t)below(6 * 3600);
	p->sync_us = chance(250) ? 1000000 : 500 + (uint32_t)below(20000);
	p->retry_s = chance(250) ? 20000 : 60 + (uint32_t)some(1200);
	p->checkpoint_s = 1 + (uint32_t)some(30);
	p->uniform = chance(200);
	make_pace(p);
}

/* --- a folder for the index ----------------------------------------------------- */

static char dir[TMPDIR_BYTES];

/* --- one seed --------------------------------------------------------------------- */

/* How it ended: 0, 1, 2 as life_end(), or -1: badly. */
static int live_once(void)
{
	int status;
	pid_t pid;

	(void)fflush(NULL);
	pid = fork();
	if (pid == 0) {
		char spool[TMPDIR_BYTES + 8];

		(void)alarm(LIFE_SECONDS);
		(void)snprintf(spool, sizeof(spool), "%s/spool", dir);
		life_run(spool);
	}
	BUG_ON(pid < 0 || waitpid(pid, &status, 0) != pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) >= LIFE_ENDED)
		return WEXITSTATUS(status) - LIFE_ENDED;
	if (!world->failed && WIFSIGNALED(status))
		(void)snprintf(world->words, sizeof(world->words),
			       "%s: the process died of signal %d (%s)",
			       WTERMSIG(status) == SIGALRM ? "it goes on"
							   : "no assertion "
							     "fails",
			       WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (!world->failed)
		(void)snprintf(world->words, sizeof(world->words),
			       "no assertion fails: exit code %d",
			       WEXITSTATUS(status));
	world->failed = true;
	return -1;
}

/* Kept by a life that did not end by itself: the time that passed. */
static void between(int how)
{
	world->count.crashes[how]++;
	disk_crash(how != 2);
	world->life++;
	world->count.lives++;
	world->now_us += some(chance(100) ? 7200 : 30) * 1000000;
}

static bool play(const struct options *o)
{
	int how = 0;

	while (how >= 0 && world->count.accepted < o->messages &&
	       world->life < o->lives) {
		how = live_once();
		if (how >= 0)
			between(how);
	}
	world->calm = true;
	if (how >= 0)
		how = live_once();
	if (how >= 0 && world->open_msgs > 0) {
		(void)snprintf(world->words, sizeof(world->words),
			       "nothing queued past its age limit: %u messages "
			       "are left at the end",
			       world->open_msgs);
		return false;
	}
	return how >= 0;
}

static void add(struct counts *sum, const struct counts *c)
{
	const uint64_t *from = (const uint64_t *)(const void *)c;
	uint64_t *to = (uint64_t *)(void *)sum;
	size_t i;

	for (i = 0; i < sizeof(*c) / sizeof(*from); i++)
		to[i] += from[i];
}

static bool play_seed(const struct options *o, uint64_t seed,
		      struct counts *sum)
{
	bool good;

	world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	BUG_ON(world == MAP_FAILED);
	world->seed = seed;
	world->rng = hash_u64(seed);
	make_plan(&world->plan);
	disk_new(world->plan.segment_bytes);
	ledger_new();
	tmpdir_make(dir, "sim", TMPDIR_MEMORY);
	good = play(o);
	tmpdir_remove(dir);
	disk_free();
	world->count.virtual_us = world->now_us;
	add(sum, &world->count);
	if (!good)
		fprintf(stderr,
			"sim: seed %lu, life %u, %lu messages: %s\n"
			"sim: again: --seed %lu --one --messages %lu\n",
			(unsigned long)seed, world->life,
			(unsigned long)world->count.accepted, world->words,
			(unsigned long)seed, (unsigned long)o->messages);
	(void)munmap(world, sizeof(*world));
	return good;
}

/* --- the whole ---------------------------------------------------------------------- */

static double now_s(void)
{
	struct timespec t;

	(void)timespec_get(&t, TIME_UTC);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Of this process and its lives: others may keep the machine busy. */
static double cpu_s(void)
{
	struct rusage self, lives;

	(void)getrusage(RUSAGE_SELF, &self);
	(void)getrusage(RUSAGE_CHILDREN, &lives);
	return (double)(self.ru_utime.tv_sec + self.ru_stime.tv_sec +
			lives.ru_utime.tv_sec + lives.ru_stime.tv_sec) +
	       (double)(self.ru_utime.tv_usec + self.ru_stime.tv_usec +
			lives.ru_utime.tv_usec + lives.ru_stime.tv_usec) /
		       1e6;
}

static void tell(const struct options *o, const struct counts *c,
		 uint64_t seeds, double s, bool good)
{
	const char *fmt =
		o->json ? "{\"bench\": \"sim\", \"good\": %s, \"seeds\": %lu, "
			  "\"seconds\": %.1f, \"messages\": %lu, "
			  "\"messages_per_cpu_second\": %.0f, \"delivered\": %lu, "
			  "\"bounced\": %lu, \"expired\": %lu, \"deferred\": "
			  "%lu, \"held\": %lu, \"stops\": %lu, \"kills\": %lu, "
			  "\"power_cuts\": %lu, \"repeats\": %lu, "
			  "\"sync_points\": %lu, \"turns\": %lu, "
			  "\"hours\": %.1f}\n"
			: "good: %s, seeds: %lu, seconds: %.1f, messages: %lu "
			  "(%.0f a second of processor time)\nrecipients: %lu delivered, %lu "
			  "bounced, %lu expired; %lu times deferred, %lu held\n"
			  "lives ended: %lu stopped, %lu killed, %lu power "
			  "cuts; %lu mails sent again\n%lu sync points, %lu "
			  "turns, %.1f hours of their time\n";

	printf(fmt, good ? "true" : "false", (unsigned long)seeds, s,
	       (unsigned long)c->accepted, (double)c->accepted / cpu_s(),
	       (unsigned long)c->ended[QUEUE_DELIVERED],
	       (unsigned long)c->ended[QUEUE_BOUNCED],
	       (unsigned long)c->ended[QUEUE_EXPIRED],
	       (unsigned long)c->ended[QUEUE_WAITING],
	       (unsigned long)c->ended[QUEUE_HELD],
	       (unsigned long)c->crashes[0], (unsigned long)c->crashes[1],
	       (unsigned long)c->crashes[2], (unsigned long)c->repeats,
	       (unsigned long)c->sync_points, (unsigned long)c->turns,
	       (double)c->virtual_us / 3.6e9);
}

static void usage(void)
{
	fputs("usage: sim [--seed N] [--one] [--vary] [--seconds S] "
	      "[--messages N] [--lives N] [--json] [--verbose]\n",
	      stderr);
	exit(64);
}

static void options(int argc, char **argv, struct options *o)
{
	int i;

	for (i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";

		if (strcmp(argv[i], "--json") == 0)
			o->json = true;
		else if (strcmp(argv[i], "--one") == 0)
			o->one = true;
		else if (strcmp(argv[i], "--verbose") == 0)
			o->verbose = true;
		else if (strcmp(argv[i], "--vary") == 0)
			o->vary = true;
		else if (strcmp(argv[i], "--seed") == 0 && ++i < argc)
			o->seed = strtoull(value, NULL, 10);
		else if (strcmp(argv[i], "--seconds") == 0 && ++i < argc)
			o->seconds = strtod(value, NULL);
		else if (strcmp(argv[i], "--messages") == 0 && ++i < argc)
			o->messages = strtoull(value, NULL, 10);
		else if (strcmp(argv[i], "--lives") == 0 && ++i < argc)
			o->lives = strtoull(value, NULL, 10);
		else
			usage();
	}
}

int main(int argc, char **argv)
{
	struct options o = {
		.seed = 1, .messages = 50000, .lives = 40, .seconds = 10
	};
	struct counts sum = { 0 };
	double begin = now_s();
	uint64_t seeds = 0;
	bool good = true;

	options(argc, argv, &o);
	client_new();
	do {
		struct counts one = { 0 };
		double s = now_s();
		uint64_t seed = o.seed + seeds++;

		if (o.vary && seeds == 2) /* the first is always the same */
			seed = (uint64_t)(s * 1000);
		good = play_seed(&o, seed, &one);
		add(&sum, &one);
		if (!o.json)
			printf("seed %lu\n", (unsigned long)seed);
		if (o.verbose)
			tell(&o, &one, 1, now_s() - s, good);
	} while (good && !o.one && now_s() - begin < o.seconds);
	tell(&o, &sum, seeds, now_s() - begin, good);
	return good ? 0 : 1;
}
