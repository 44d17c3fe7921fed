/*
 * engine/control_pulse.c - the daemon's figures, for `mtaq top` and `status`
 *
 * From figures.h and the last minute alone: no thread is asked, so the answer
 * comes whatever the others do.
 */
#include "engine/control_private.h"

#include "engine/figures.h"

static void add_now(struct buf *out, const struct figures *f)
{
	admin_number(out, "waiting", f->waiting);
	admin_number(out, "held", f->held);
	admin_number(out, "loaded_tasks", f->loaded);
	admin_number(out, "ready_transactional",
		     f->tasks_waiting[SCHED_TRANSACTIONAL]);
	admin_number(out, "ready_bulk", f->tasks_waiting[SCHED_BULK]);
	admin_number(out, "sending", f->tasks_running);
	admin_number(out, "sessions_open", f->sessions_open);
	admin_number(out, "sessions_idle", f->sessions_idle);
	admin_number(out, "connecting", f->connecting);
	admin_number(out, "sites", f->sites);
	admin_number(out, "sites_active", f->sites_active);
	admin_number(out, "sites_parked", f->sites_parked);
	admin_number(out, "sites_paused", f->sites_paused);
	admin_number(out, "submitters", f->in.connections);
	admin_number(out, "dns_asking", f->asking);
	admin_number(out, "dns_failures", f->dns.failures);
	admin_number(out, "dns_timeouts", f->dns.timeouts);
	admin_number(out, "log_bytes", f->log_bytes);
	admin_number(out, "sync_waits_ms", f->sync_waits_ms);
	admin_number(out, "store_waits_ms", f->store_waits_ms);
}

static void add_total(struct buf *out, const struct figures *f)
{
	admin_number(out, "accepted", figures_outcome(f, EVENT_ACCEPTED));
	admin_number(out, "delivered", figures_outcome(f, EVENT_DELIVERED));
	admin_number(out, "deferred",
		     figures_outcome(f, EVENT_DEFERRED) +
			     figures_outcome(f, EVENT_UNSURE));
	admin_number(out, "bounced",
		     figures_outcome(f, EVENT_BOUNCED) +
			     figures_outcome(f, EVENT_EXPIRED));
	admin_number(out, "refused", figures_refused(f));
	admin_number(out, "connects_failed", f->connects_failed);
	admin_number(out, "sessions", f->sessions);
}

static void add_minute(struct buf *out, const struct pulse_sample *m)
{
	bool any = m->at_ms > 0;

	admin_number(out, "minute_ms", m->at_ms);
	admin_number(out, "minute_accepted", m->accepted);
	admin_number(out, "minute_delivered", m->delivered);
	admin_number(out, "minute_deferred", m->deferred);
	admin_number(out, "minute_bounced", m->bounced);
	admin_number(out, "minute_refused", m->refused);
	admin_number(out, "minute_syncs", m->sync_us.count);
	admin_number(out, "sync_p50_us",
		     any ? histo_quantile(&m->sync_us, 500) : 0);
	admin_number(out, "sync_p99_us",
		     any ? histo_quantile(&m->sync_us, 990) : 0);
}

static void add_disk(struct buf *out, const struct engine *e)
{
	int failing = atomic_load(&e->reporter.failing);
	struct figures_disk disk;

	figures_disk(e, &disk);
	admin_number(out, "memory", figures_memory());
	admin_number(out, "disk_free", disk.free);
	admin_number(out, "disk_min_free", e->set->min_free_bytes);
	admin_number(out, "spool_bytes", disk.spool);
	admin_number(out, "out_of_room", !queue_out_room(e->queue));
	admin_number(out, "events_failing", failing != 0);
	admin_number(out, "index_failing", atomic_load(&e->storer.index_waits));
	admin_number(out, "damaged", e->report.damaged);
}

int control_pulse(struct control *c, const struct admin_request *req)
{
	uint64_t now_ms = clock_now_ms();
	struct buf *out = req->out;
	struct pulse_sample minute;
	struct figures f;
	unsigned i;

	figures_read(c->e, &f);
	pulse_since(&c->pulse, &f, now_ms, &minute);
	admin_begin(out, "pulse");
	admin_text(out, "hostname", span_str(c->e->set->hostname));
	admin_text(out, "version", SPAN(MTAQ_VERSION));
	admin_number(out, "pid", (uint64_t)getpid());
	admin_number(out, "at_ms", now_ms);
	admin_number(out, "uptime_s", (now_ms - c->started_ms) / 1000);
	add_now(out, &f);
	add_total(out, &f);
	add_minute(out, &minute);
	add_disk(out, c->e);
	admin_number(out, "control_waits_ms",
		     c->asked_ms > 0 ? now_ms - c->asked_ms : 0);
	admin_end(out);
	for (i = REPLY_ACCEPTED + 1; i < REPLY_KIND_COUNT; i++) {
		if (f.reasons[i] == 0)
			continue;
		admin_begin(out, "reason");
		admin_text(out, "reason", span_str(reply_kind_name(i)));
		admin_number(out, "deferred", f.reasons[i]);
		admin_number(out, "minute_deferred", minute.reasons[i]);
		admin_end(out);
	}
	admin_ok(out);
	return 0;
}
