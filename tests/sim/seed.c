/*
 * tests/sim/seed.c - one seed: lives one after the other, crashes between them
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
#include <sys/wait.h>

#define LIFE_SECONDS 300u /* of real time: a hang */

struct world *world;

void *sim_shared(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	BUG_ON(p == MAP_FAILED);
	return p;
}

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
	p->idle_ms = chance(500) ? 5000 : (uint32_t)some(2000);
	p->domains = (uint32_t)(chance(500) ? 2 * DOMAINS : some(DOMAINS));
	make_pace(p);
}

/* --- a folder for the index ----------------------------------------------------- */

static char dir[TMPDIR_BYTES];

/* --- one seed --------------------------------------------------------------------- */

/* Without what no message was ever in. */
static size_t world_used(void)
{
	return offsetof(struct world, msgs) +
	       world->plan.slots * sizeof(world->msgs[0]);
}

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
		/* All at once: a process asks page by page. */
		(void)madvise(world, (world_used() + 4095) & ~(size_t)4095,
			      MADV_POPULATE_READ);
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

static bool play(const struct seed_bounds *b)
{
	int how = 0;

	while (how >= 0 && world->count.accepted < b->messages &&
	       world->life < b->lives && !atomic_load(b->over)) {
		how = live_once();
		if (how >= 0)
			between(how);
	}
	world->calm = true;
	if (how >= 0 && atomic_load(b->over))
		return true;
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

void counts_add(struct counts *sum, const struct counts *c)
{
	const uint64_t *from = (const uint64_t *)(const void *)c;
	uint64_t *to = (uint64_t *)(void *)sum;
	size_t i;

	for (i = 0; i < sizeof(*c) / sizeof(*from); i++)
		to[i] += from[i];
}

bool seed_play(uint64_t seed, const struct seed_bounds *b, struct counts *sum)
{
	bool good;

	if (world == NULL)
		world = sim_shared(sizeof(*world));
	memset(world, 0, world_used());
	world->seed = seed;
	world->rng = hash_u64(seed);
	make_plan(&world->plan);
	disk_new(world->plan.segment_bytes);
	ledger_new();
	tmpdir_make(dir, "sim", TMPDIR_MEMORY);
	good = play(b);
	tmpdir_remove(dir);
	world->count.virtual_us = world->now_us;
	world->count.seeds = 1;
	counts_add(sum, &world->count);
	if (!good)
		fprintf(stderr,
			"sim: seed %lu, life %u, %lu messages: %s\n"
			"sim: again: --seed %lu --one --messages %lu\n",
			(unsigned long)seed, world->life,
			(unsigned long)world->count.accepted, world->words,
			(unsigned long)seed, (unsigned long)b->messages);
	return good;
}
