/*
 * tests/sim/main.c - many seeds, as many at once as there are cores
 *
 * Seeds have nothing in common, so each job is a process that takes the next
 * one until the time is over or an invariant broke.
 */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define JOBS_MAX 64u

struct options {
	uint64_t seed, messages, lives, jobs;
	double seconds, begin;
	bool json, verbose, one, vary;
};

static struct shared { /* shared by the jobs */
	_Atomic uint64_t seeds;
	atomic_bool over;
	struct counts sums[JOBS_MAX];
} * shared;

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

static void tell(const struct options *o, const struct counts *c, double s,
		 double cpu, bool good)
{
	const char *fmt =
		o->json ? "{\"bench\": \"sim\", \"good\": %s, \"jobs\": %lu, "
			  "\"seeds\": %lu, \"seconds\": %.1f, \"messages\": "
			  "%lu, \"messages_per_second\": %.0f, "
			  "\"messages_per_cpu_second\": %.0f, \"delivered\": "
			  "%lu, \"bounced\": %lu, \"expired\": %lu, "
			  "\"deferred\": %lu, \"held\": %lu, \"stops\": %lu, "
			  "\"kills\": %lu, \"power_cuts\": %lu, "
			  "\"messages_per_crash\": %.0f, \"repeats\": %lu, "
			  "\"syncs\": %lu, \"sync_points\": %lu, \"turns\": "
			  "%lu, \"hours\": %.1f}\n"
			: "good: %s, jobs: %lu, seeds: %lu, seconds: %.1f, "
			  "messages: %lu (%.0f a second, %.0f a second of "
			  "processor time)\nrecipients: %lu delivered, %lu "
			  "bounced, %lu expired; %lu times deferred, %lu "
			  "held\nlives ended: %lu stopped, %lu killed, %lu "
			  "power cuts: one every %.0f messages; %lu mails "
			  "sent again\n%lu syncs, %lu sync points, %lu turns, "
			  "%.1f hours of their time\n";
	uint64_t crashes = c->crashes[1] + c->crashes[2];
	double n = (double)c->accepted;

	printf(fmt, good ? "true" : "false", (unsigned long)o->jobs,
	       (unsigned long)c->seeds, s, (unsigned long)c->accepted, n / s,
	       n / cpu, (unsigned long)c->ended[QUEUE_DELIVERED],
	       (unsigned long)c->ended[QUEUE_BOUNCED],
	       (unsigned long)c->ended[QUEUE_EXPIRED],
	       (unsigned long)c->ended[QUEUE_WAITING],
	       (unsigned long)c->ended[QUEUE_HELD],
	       (unsigned long)c->crashes[0], (unsigned long)c->crashes[1],
	       (unsigned long)c->crashes[2],
	       n / (double)(crashes > 0 ? crashes : 1),
	       (unsigned long)c->repeats, (unsigned long)c->syncs,
	       (unsigned long)c->sync_points, (unsigned long)c->turns,
	       (double)c->virtual_us / 3.6e9);
	(void)fflush(stdout);
}

static void usage(void)
{
	fputs("usage: sim [--seed N] [--one] [--vary] [--seconds S] "
	      "[--jobs N] [--messages N] [--lives N] [--json] "
	      "[--verbose]\n",
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
		else if (strcmp(argv[i], "--jobs") == 0 && ++i < argc)
			o->jobs = strtoull(value, NULL, 10);
		else if (strcmp(argv[i], "--lives") == 0 && ++i < argc)
			o->lives = strtoull(value, NULL, 10);
		else
			usage();
	}
	if (o->jobs < 1 || o->jobs > JOBS_MAX)
		usage();
	if (o->one)
		o->jobs = 1;
}

/* The seed in place i: with --vary the first is the same each time. */
static uint64_t seed_at(const struct options *o, uint64_t i)
{
	return o->vary && i > 0 ? (uint64_t)(o->begin * 1000) + i : o->seed + i;
}

static bool job(const struct options *o, struct counts *sum)
{
	const struct seed_bounds b = { o->messages, o->lives, &shared->over };
	bool good = true;

	do {
		uint64_t seed = seed_at(o, atomic_fetch_add(&shared->seeds, 1));
		struct counts one = { 0 };
		double s = now_s(), cpu = cpu_s();

		if (!o->json)
			printf("seed %lu\n", (unsigned long)seed);
		(void)fflush(stdout);
		good = seed_play(seed, &b, &one);
		if (o->verbose)
			tell(o, &one, now_s() - s, cpu_s() - cpu, good);
		counts_add(sum, &one);
	} while (good && !atomic_load(&shared->over) && !o->one &&
		 now_s() - o->begin < o->seconds);
	if (!good)
		atomic_store(&shared->over, true);
	return good;
}

int main(int argc, char **argv)
{
	struct options o = { .seed = 1,
			     .messages = 50000,
			     .lives = 40,
			     .jobs = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN),
			     .seconds = 10,
			     .begin = now_s() };
	struct counts sum = { 0 };
	bool good = true;
	uint64_t i;
	int status;

	options(argc, argv, &o);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	BUG_ON(shared == MAP_FAILED);
	client_new();
	life_new();
	for (i = 0; i < o.jobs; i++) {
		pid_t pid = fork();

		BUG_ON(pid < 0);
		if (pid == 0)
			return job(&o, &shared->sums[i]) ? 0 : 1;
	}
	for (i = 0; i < o.jobs; i++) {
		BUG_ON(wait(&status) < 0);
		good = good && WIFEXITED(status) && WEXITSTATUS(status) == 0;
	}
	for (i = 0; i < o.jobs; i++)
		counts_add(&sum, &shared->sums[i]);
	tell(&o, &sum, now_s() - o.begin, cpu_s(), good);
	return good ? 0 : 1;
}
