/*
 * tests/sim/life.c - one life of the engine: its parts, and who has a turn
 *
 *	while (no crash)	the clock goes to what is next,
 *				events happen, one thread that may has a turn
 *
 * A sync takes time, in which the other threads have turns: so they see the
 * log written and not yet durable, and a crash may fall there.
 */
#include "sim.h"

#include "engine/storer_private.h"
#include "engine/tune.h"
#include "engine/worker_private.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define WALL_S     1800000000ull
#define AGES_TURNS 20000u
#define HEAP_MAX   (96u << 20)
#define FORGET_US  (7200ull * 1000000) /* the longest idle, and late turns */

enum {
	T_LOG,
	T_STORE,
	T_INGRESS,
	T_REPORT,
	T_NAMES,
	T_WORKER
};

struct life life;
static bool ready;
static uint64_t live_turns;

/* --- time -------------------------------------------------------------------- */

int __wrap_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
	uint64_t us = world->now_us;

	t->tv_sec = (time_t)(us / 1000000);
	t->tv_nsec = (long)(us % 1000000) * 1000;
	if (id == CLOCK_REALTIME)
		t->tv_sec += (time_t)WALL_S;
	return 0;
}

/* --- the end ----------------------------------------------------------------- */

void life_end(int how)
{
	struct life_sum *sum = &world->lives[world->life % LIVES];

	sum->allowed = how == 0 ? 0 : ledger_allowed();
	world->count.turns += live_turns;
	world->count.sync_points += life.points;
	(void)fflush(stderr);
	_exit(LIFE_ENDED + how);
}

void life_point(void)
{
	if (++life.points == life.end_point && !life.quiet)
		life_end(chance(300) ? 1 : 2);
}

void life_head_point(void)
{
	if (++life.heads == life.end_head && !life.quiet)
		life_end(2);
}

/* --- turns ------------------------------------------------------------------- */

static void sleep_ms(struct sim_thread *t, int wait_ms)
{
	t->due_us = world->now_us + (uint64_t)wait_ms * 1000;
}

static void wake(struct io *io)
{
	CONTAINER_OF(io, struct sim_thread, io)->woken = true;
}

static void report_turn(struct sim_thread *t)
{
	struct queue_record rec;
	uint64_t n = some(2000);
	int got = 1;

	bell_doze(&life.report);
	while (n-- > 0 && (got = queue_cursor_next(life.cursor, &rec)) == 1)
		ledger_record(&rec);
	if (got < 0)
		sim_fail("events", "the log cannot be followed: %s",
			 strerrordesc_np(-got));
	if (chance(300)) {
		queue_cursor_done(life.cursor, world->event_lsn);
		world->done_lsn = world->event_lsn;
	}
	sleep_ms(t, got == 1 ? 0 : 1000);
}

static void worker_turn(struct sim_thread *t)
{
	struct worker *w = &life.workers[t->number];
	int wait;

	worker_end_turn(w, 0);
	wait = worker_begin_turn(w);
	if (atomic_load(&w->failed) < 0)
		sim_fail("workers go on", "a worker has failed");
	if (wait < 0) {
		t->busy = true;
		life.stopped++;
		return;
	}
	sleep_ms(t, wait);
}

static void thread_turn(struct sim_thread *t)
{
	int wait = 0;

	t->woken = false;
	t->busy = true;
	switch (t->kind) {
	case T_LOG:
		bell_awake(&life.logger.bell);
		wait = logger_turn(&life.logger);
		if (atomic_load(&life.logger.failed) < 0)
			sim_fail("the disk was well", "the log has failed");
		sleep_ms(t, wait);
		break;
	case T_STORE:
		bell_awake(&life.storer.bell);
		wait = storer_turn(&life.storer);
		if (wait < 0)
			sim_fail("the disk was well",
				 "the store has failed: %s",
				 strerrordesc_np(-wait));
		if (wait > 1 && atomic_load(&life.storer.bell.rests))
			sim_fail("who waits for long hears the log",
				 "the store rests for %d ms", wait);
		sleep_ms(t, wait);
		break;
	case T_INGRESS:
		client_turn();
		break;
	case T_REPORT:
		report_turn(t);
		break;
	case T_NAMES:
		names_turn();
		sleep_ms(t, 1000);
		break;
	default:
		t->busy = false;
		worker_turn(t);
		return;
	}
	t->busy = false;
}

static bool may(const struct sim_thread *t)
{
	if (t->busy)
		return false;
	return t->woken || t->due_us <= world->now_us ||
	       (t->kind == T_WORKER && net_ready(t->number));
}

static void memory(void)
{
	size_t used = mallinfo2().uordblks;

	if (used > HEAP_MAX)
		sim_fail("memory bounded", "%zu octets are in use", used);
}

/* One turn, not behind until_us.  False: nothing is to be done before it. */
static bool step(uint64_t until_us)
{
	struct sim_thread *able[ARRAY_LEN(life.threads)];
	unsigned i, n = 0;
	uint64_t next = UINT64_MAX, event;

	events_do();
	for (i = 0; i < life.thread_count; i++)
		if (may(&life.threads[i]))
			able[n++] = &life.threads[i];
	if (n > 0) {
		world->now_us += below(world->plan.turn_us);
		thread_turn(able[below(n)]);
		live_turns++;
		return world->now_us < until_us;
	}
	for (i = 0; i < life.thread_count; i++)
		if (!life.threads[i].busy && life.threads[i].due_us < next)
			next = life.threads[i].due_us;
	/* Who only waits may well be late: hours without anything else would
	 * be a million turns in which nothing happens. */
	if (next != UINT64_MAX)
		next += world->plan.late_us;
	if (event_next_us(&event) && event < next)
		next = event;
	if (next >= until_us)
		return false;
	world->now_us = next;
	return true;
}

void life_pass(uint64_t us)
{
	uint64_t end = world->now_us + us;

	while (ready && step(end))
		;
	if (world->now_us < end)
		world->now_us = end;
}

/* --- beginning ---------------------------------------------------------------- */

void life_new(void)
{
	static const char text[] = "hostname: mail.sim\nworkers: 2\n"
				   "log: { level: error }\n";
	char words[500];

	if (settings_parse("sim", text, sizeof(text) - 1, &life.set, words,
			   sizeof(words)) < 0) {
		fprintf(stderr, "sim: %s\n", words);
		exit(64);
	}
}

static void settings(const char *dir)
{
	const struct plan *p = &world->plan;
	struct settings *s = &life.set;
	uint32_t i;

	free(s->spool);
	s->spool = strdup(dir);
	s->workers = p->workers;
	s->age_limit_s = p->age_s;
	s->limits.connections = p->connections;
	s->limits.tasks = p->tasks;
	s->limits.queue_tasks = p->tasks / 4;
	s->session.messages = p->messages;
	s->session.idle_ms = p->idle_ms;
	s->site.connections = p->site_conns;
	s->max_unsynced_outcomes = p->cap;
	s->min_free_bytes = 16ull * p->segment_bytes;
	s->checkpoint.interval_s = p->checkpoint_s;
	s->checkpoint.age_s = 1;
	s->checkpoint.log_bytes = 64ull * p->segment_bytes;
	s->queue.segment_bytes = p->segment_bytes;
	s->queue.segments_ahead = p->ahead;
	s->queue.index_bytes_max = 1ull << 30;
	for (i = 0; i < s->retry.count; i++)
		s->retry.items_s[i] = p->retry_s * (i + 1);
}

static void open_queue(void)
{
	struct queue_report report;
	struct queue_settings q;
	int err;

	clock_start(&life.clock, 0, life.set.age_limit_s);
	tune_queue(&life.set, &q);
	q.file = disk_sim();
	err = queue_open(&q, clock_mail_s(&life.clock), &life.queue, &report);
	if (err < 0 || report.damaged > 0)
		sim_fail("a crash damages nothing", "opening gave %s: %s",
			 err < 0 ? strerrordesc_np(-err) : "damage",
			 report.words);
	clock_start(&life.clock, report.saved_s, life.set.age_limit_s);
	world->count.replayed += report.records;
}

static struct sim_thread *thread(unsigned kind, unsigned number)
{
	static const struct io_ops ops = { .name = "bell", .wake = wake };
	struct sim_thread *t = &life.threads[life.thread_count++];

	t->io.ops = &ops;
	t->kind = kind;
	t->number = number;
	return t;
}

static void bell(struct bell *b, struct sim_thread *t)
{
	bell_free(b);
	bell_init_io(b, &t->io);
}

static void open_parts(void)
{
	struct storer_settings st = {
		.set = &life.set,
		.clock = &life.clock,
		.queue = life.queue,
		.resolver = &life.resolver,
		.log = &life.logger.sources[world->plan.workers],
		.worker_logs = life.logger.sources,
		.moves = &life.logger.moves,
		.workers = world->plan.workers,
	};
	struct logger *l = &life.logger;

	BUG_ON(logger_init(l, life.queue, &life.ingress,
			   world->plan.workers + 1) < 0);
	BUG_ON(logger_connect_control(l, &life.control) < 0);
	bell(&l->bell, thread(T_LOG, 0));
	st.presets = site_presets_builtin(&st.preset_count);
	BUG_ON(storer_init(&life.storer, &st) < 0);
	life.storer.state->dests_max = world->plan.domains;
	bell(&life.storer.bell, thread(T_STORE, 0));
	life.ingress.fd = life.report.fd = life.resolver.bell.fd = -1;
	bell(&life.ingress, thread(T_INGRESS, 0));
	bell(&life.report, thread(T_REPORT, 0));
	bell(&life.resolver.bell, thread(T_NAMES, 0));
	names_open();
	BUG_ON(storer_connect_ingress(&life.storer, &life.ingress) < 0);
	l->sources[world->plan.workers].owner = &life.storer.bell;
	l->sources[world->plan.workers].lane.from = &life.storer.bell;
	l->moves.from = &life.storer.bell;
	l->followers[0] = &life.storer.bell;
	l->followers[1] = &life.report;
	l->control = &life.control;
}

static void open_worker(unsigned i)
{
	struct worker *w = &life.workers[i];
	struct worker_settings ws = {
		.set = &life.set,
		.clock = &life.clock,
		.queue = life.queue,
		.ours = &life.ours,
		.epoch = &life.storer.epoch,
		.number = i,
		.count = world->plan.workers,
		.board_cells = 4,
		.connections = world->plan.connections,
		.log = &life.logger.sources[i],
		.from_store = &life.storer.to_worker[i],
		.to_store = &life.storer.from_worker[i],
		.from_control = &life.asks[i],
		.to_control = &life.asks_back[i],
		.to_trace = &life.traces[i],
	};

	ws.presets = site_presets_builtin(&ws.preset_count);
	BUG_ON(storer_connect(&life.storer, i, &w->bell, &life.control) < 0);
	BUG_ON(lane_init(ws.from_control, 1024, &life.control, &w->bell) < 0);
	BUG_ON(lane_init(ws.to_control, 1024, &w->bell, &life.control) < 0);
	BUG_ON(lane_init(ws.to_trace, 4096, NULL, &life.control) < 0);
	BUG_ON(worker_init(w, &ws) < 0);
	BUG_ON(worker_open(w) < 0);
	life.logger.sources[i].owner = &w->bell;
	life.logger.sources[i].lane.from = &w->bell;
	(void)thread(T_WORKER, i);
	(void)worker_begin_turn(w);
}

/* --- a life ------------------------------------------------------------------- */

void life_follow(void)
{
	struct queue_record rec;
	int got;

	while ((got = queue_cursor_next(life.cursor, &rec)) == 1)
		ledger_record(&rec);
	BUG_ON(got < 0);
}

/* All that is durable is in the ledger; then it and the queue say the same. */
static void compare(bool whole)
{
	life_follow();
	ledger_compare(life.queue, whole);
}

static void stop(void)
{
	uint32_t now_s;
	unsigned i;
	int more;

	life.stopping = true;
	life.threads[T_STORE].busy = true;
	for (i = 0; i < world->plan.workers; i++)
		worker_ask_stop(&life.workers[i]);
	while (life.stopped < world->plan.workers)
		(void)step(UINT64_MAX);
	ready = false; /* from here on nobody else has a turn */
	while (logger_turn(&life.logger) == 0)
		;
	now_s = clock_mail_s(&life.clock);
	do
		more = queue_store_apply(life.queue, now_s);
	while (more == 1);
	if (more < 0 || queue_store_checkpoint(life.queue, now_s) < 0)
		sim_fail("the disk was well", "no last checkpoint");
	compare(true);
	life_end(0);
}

static void choose_end(void)
{
	/* Some die while they are still recovering. */
	life.end_point = chance(150) ? some(40) : 1 + below(world->plan.points);
	life.end_turn = chance(150) ? below(200000) : UINT64_MAX;
	/* Segments that have never been written are rare later on. */
	life.end_head =
		chance(world->life < 2 ? 500 : 150) ? some(32) : UINT64_MAX;
	if (world->calm)
		life.end_point = life.end_turn = life.end_head = UINT64_MAX;
}

static size_t worker_sites(void)
{
	size_t n = 0;
	unsigned i;

	for (i = 0; i < world->plan.workers; i++)
		n += life.workers[i].state->site_map.count;
	return n;
}

/* Nothing is queued any more: what was known of domains and sites goes. */
static void forget(void)
{
	const struct storer_state *s = life.storer.state;
	uint64_t until_us = world->now_us + FORGET_US;
	size_t sites;

	while (s->dest_map.count + s->target_map.count + worker_sites() > 0 &&
	       step(until_us))
		;
	sites = worker_sites();
	if (s->dest_map.count + s->target_map.count + sites > 0)
		sim_fail("sites without mail are forgotten",
			 "%zu domains, %zu sites of the store, %zu of workers",
			 s->dest_map.count, s->target_map.count, sites);
}

static void live(void)
{
	uint64_t calm_us =
		((uint64_t)world->plan.age_s + 14400) * 1000000 + world->now_us;

	ready = true;
	while (!world->calm ||
	       (world->open_msgs > 0 && world->now_us < calm_us)) {
		(void)step(UINT64_MAX);
		if (live_turns % AGES_TURNS == AGES_TURNS - 1) {
			ledger_ages();
			memory();
		}
		if (live_turns >= life.end_turn) {
			if (chance(500))
				break;
			life_end(1);
		}
	}
	if (world->calm && world->open_msgs == 0)
		forget();
	stop();
}

void life_run(const char *dir)
{
	unsigned i;

	life.control.fd = -1;
	world->started_us = world->now_us;
	choose_end();
	settings(dir);
	open_queue();
	ledger_opened(life.queue);
	BUG_ON(queue_cursor_open(life.queue, world->event_lsn, &life.cursor) <
	       0);
	compare(world->calm || chance(250));
	open_parts();
	for (i = 0; i < world->plan.workers; i++)
		open_worker(i);
	client_open();
	live();
	life_end(0);
}
