/*
 * engine/figures.c - what the threads have counted
 */
#include "engine/figures.h"

#include "engine/engine_private.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

static void add_outcomes(struct figures *f, const struct outcome_counts *o)
{
	unsigned c, t;

	for (c = 0; c < SCHED_CLASS_COUNT; c++)
		for (t = 0; t < EVENT_TYPE_COUNT; t++)
			f->outcomes[c][t] += tally_read(&o->n[c][t]);
}

static void add_worker(struct figures *f, const struct worker_counts *w)
{
	unsigned i;

	add_outcomes(f, &w->outcomes);
	for (i = 0; i < REPLY_KIND_COUNT; i++)
		f->reasons[i] += tally_read(&w->reasons[i]);
	f->sessions += tally_read(&w->sessions);
	f->connects_failed += tally_read(&w->connects_failed);
	f->transactions += tally_read(&w->transactions);
	f->octets += tally_read(&w->octets);
	f->sessions_busy += tally_read(&w->sessions_busy);
	f->sessions_idle += tally_read(&w->sessions_idle);
	f->connecting += tally_read(&w->connecting);
	for (i = 0; i < SCHED_CLASS_COUNT; i++)
		f->tasks_waiting[i] += tally_read(&w->waiting[i]);
	f->tasks_running += tally_read(&w->running);
	f->sites += tally_read(&w->sites);
	f->sites_active += tally_read(&w->sites_active);
	f->sites_parked += tally_read(&w->sites_parked);
	f->sites_paused += tally_read(&w->sites_paused);
	histo_read(&w->queued_s, &f->queued_s);
	histo_read(&w->transaction_ms, &f->transaction_ms);
	histo_read(&w->connect_ms, &f->connect_ms);
	histo_read(&w->window, &f->window);
}

static void add_store(struct figures *f, const struct storer *s)
{
	add_outcomes(f, &s->outcomes);
	f->waiting = tally_read(&s->waiting);
	f->held = tally_read(&s->held);
	f->loaded = tally_read(&s->loaded);
	f->queues = tally_read(&s->queues);
	f->domains = tally_read(&s->domains);
	f->asking = tally_read(&s->asking);
	f->changes = tally_read(&s->changes);
	f->log_bytes = tally_read(&s->log_bytes);
	f->segments_used = tally_read(&s->segments_used);
	f->segments_free = tally_read(&s->segments_free);
	f->moved = tally_read(&s->moved);
	f->moved_bytes = tally_read(&s->moved_bytes);
	f->compacted = tally_read(&s->compacted);
	histo_read(&s->checkpoint_us, &f->checkpoint_us);
}

static void add_resolver(struct figures *f, const struct resolver *r)
{
	f->dns = (struct dns_counters){
		.asked = tally_read(&r->asked),
		.hits = tally_read(&r->hits),
		.joined = tally_read(&r->joined),
		.stale = tally_read(&r->stale),
		.queries = tally_read(&r->queries),
		.timeouts = tally_read(&r->timeouts),
		.failures = tally_read(&r->failures),
		.outstanding = tally_read(&r->outstanding),
		.cached = tally_read(&r->cached),
	};
	histo_read(dns_query_ms(r->dns), &f->dns_ms);
}

static uint64_t ms_since(const _Atomic uint64_t *since_us)
{
	uint64_t since = atomic_load(since_us), now = meter_now_us();

	return since != 0 && now > since ? (now - since) / 1000 : 0;
}

void figures_read(struct engine *e, struct figures *f_r)
{
	unsigned i;

	memset(f_r, 0, sizeof(*f_r));
	for (i = 0; i < e->workers_started; i++)
		add_worker(f_r, &e->workers[i].counts);
	/* A sum of two reads, never a difference: what is read between two
	 * writes would fall below zero. */
	f_r->sessions_open = f_r->sessions_busy + f_r->sessions_idle;
	add_store(f_r, &e->storer);
	add_resolver(f_r, &e->resolver);
	histo_read(&e->logger.sync_us, &f_r->sync_us);
	histo_read(&e->logger.group_records, &f_r->group_records);
	histo_read(&e->logger.group_bytes, &f_r->group_bytes);
	f_r->sync_waits_ms = ms_since(&e->logger.sync_since_us);
	f_r->store_waits_ms = ms_since(&e->storer.turn_since_us);
	listener_count(e->listener, &f_r->in);
	for (i = 0; i < SCHED_CLASS_COUNT; i++)
		f_r->outcomes[i][EVENT_ACCEPTED] = f_r->in.rcpts[i];
}

uint64_t figures_outcome(const struct figures *f, enum event_type type)
{
	return f->outcomes[SCHED_TRANSACTIONAL][type] +
	       f->outcomes[SCHED_BULK][type];
}

uint64_t figures_refused(const struct figures *f)
{
	uint64_t n = 0;
	unsigned i;

	for (i = 0; i < INGRESS_REASON_COUNT; i++)
		n += f->in.refused[i];
	return n;
}

void figures_disk(const struct engine *e, struct figures_disk *d_r)
{
	uint64_t segments = tally_read(&e->storer.segments_used) +
			    tally_read(&e->storer.segments_free);
	struct statvfs fs;
	struct stat st;
	char path[4200];

	*d_r = (struct figures_disk){ .spool = segments *
					       e->set->queue.segment_bytes };
	if (statvfs(e->set->spool, &fs) == 0)
		d_r->free = (uint64_t)fs.f_bavail * fs.f_frsize;
	snprintf(path, sizeof(path), "%s/index", e->set->spool);
	if (stat(path, &st) == 0)
		d_r->spool += (uint64_t)st.st_blocks * 512;
}

uint64_t figures_memory(void)
{
	unsigned long long size, pages;
	FILE *f = fopen("/proc/self/statm", "re");
	int got = f == NULL ? 0 : fscanf(f, "%llu %llu", &size, &pages);

	if (f != NULL)
		fclose(f);
	return got == 2 ? pages * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}
