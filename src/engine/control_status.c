/*
 * engine/control_status.c - the daemon at a glance
 */
#include "engine/control_private.h"
#include "engine/figures.h"

#include <errno.h>
#include <stdio.h>
#include <sys/statvfs.h>

/* --- what the store knows -------------------------------------------------- */

struct store_view {
	struct queue_counts counts;
	uint32_t pauses, decisions, now_s, expires_s;
	struct buf *rows; /* NULL, or a row for each pause */
};

static void add_pause(const struct store_view *v, uint64_t lsn,
		      const struct queue_decision *dec)
{
	struct buf *out = v->rows;

	admin_begin(out, "pause");
	admin_text(out, "tenant", dec->tenant);
	admin_text(out, "campaign", dec->campaign);
	admin_text(out, "domain", dec->domain);
	admin_text(out, "site", dec->site);
	admin_number(out, "since", dec->made_s);
	admin_number(out, "age_s",
		     v->now_s > dec->made_s ? v->now_s - dec->made_s : 0);
	admin_number(out, "lsn", lsn);
	admin_end(out);
}

static bool is_pause(const struct queue_decision *dec)
{
	return dec->verb == QUEUE_VERB_PAUSE ||
	       dec->verb == QUEUE_VERB_SITE_PAUSE;
}

static void look(struct queue *q, void *arg)
{
	struct store_view *v = arg;
	struct queue_decision dec;
	uint64_t lsn;
	uint32_t i;

	queue_store_counts(q, &v->counts);
	v->expires_s = queue_store_expires_s(q);
	for (i = 0; queue_store_decision(q, i, &lsn, &dec) == 0; i++) {
		v->pauses += is_pause(&dec);
		v->decisions += !is_pause(&dec);
		if (v->rows != NULL && is_pause(&dec))
			add_pause(v, lsn, &dec);
	}
}

int control_pauses(struct control *c, const struct admin_request *req)
{
	static struct store_view view; /* outlives a wait that is given up */
	int err;

	view = (struct store_view){ .rows = req->out,
				    .now_s = clock_mail_s(&c->e->clock) };
	err = control_job(c, look, &view);
	if (err == 0)
		admin_ok(req->out);
	return err;
}

/* --- figures --------------------------------------------------------------- */

static void add_queue(struct buf *out, const struct store_view *v)
{
	admin_number(out, "waiting", v->counts.waiting);
	admin_number(out, "held", v->counts.held);
	admin_number(out, "loaded_tasks", v->counts.loaded);
	admin_number(out, "queues", v->counts.queues);
	admin_number(out, "expires_in_s",
		     v->expires_s > v->now_s ? v->expires_s - v->now_s : 0);
	admin_number(out, "pauses", v->pauses);
	admin_number(out, "decisions_under_way", v->decisions);
	admin_number(out, "segments", v->counts.segments);
	admin_number(out, "segments_free", v->counts.segments_free);
	admin_number(out, "segments_compacted", v->counts.compacted);
	admin_number(out, "messages_moved", v->counts.moved);
	admin_number(out, "bytes_moved", v->counts.moved_bytes);
	admin_number(out, "durable_lsn", v->counts.durable_lsn);
	admin_number(out, "checkpoint_lsn", v->counts.checkpoint_lsn);
	admin_number(out, "log_bytes", v->counts.log_bytes);
	admin_number(out, "index_changes", v->counts.deltas);
}

static void add_mail(struct buf *out, const struct figures *f)
{
	admin_number(out, "delivered", figures_outcome(f, EVENT_DELIVERED));
	admin_number(out, "deferred",
		     figures_outcome(f, EVENT_DEFERRED) +
			     figures_outcome(f, EVENT_UNSURE));
	admin_number(out, "bounced",
		     figures_outcome(f, EVENT_BOUNCED) +
			     figures_outcome(f, EVENT_EXPIRED));
	admin_number(out, "unsure", figures_outcome(f, EVENT_UNSURE));
	admin_number(out, "sessions", f->sessions);
	admin_number(out, "sessions_open", f->sessions_open);
	admin_number(out, "transactions", f->transactions);
	admin_number(out, "accepted", f->in.accepted[0] + f->in.accepted[1]);
	admin_number(out, "refused", figures_refused(f));
	admin_number(out, "submitters", f->in.connections);
	admin_number(out, "domains", f->domains);
	admin_number(out, "dns_asking", f->asking);
}

static void add_disk(struct buf *out, const struct engine *e)
{
	struct statvfs fs;
	int failing = atomic_load(&e->reporter.failing);
	char clock[200];

	if (statvfs(e->set->spool, &fs) == 0)
		admin_number(out, "disk_free",
			     (uint64_t)fs.f_bavail * fs.f_frsize);
	admin_number(out, "disk_min_free", e->set->min_free_bytes);
	admin_text(out, "room",
		   span_str(queue_out_room(e->queue) ? "ok"
						     : "no new deliveries"));
	admin_text(out, "events",
		   span_str(e->reporter.log == NULL ? "off"
			    : failing == 0          ? "ok"
					   : strerrordesc_np(-failing)));
	admin_text(out, "index",
		   atomic_load(&e->storer.index_waits)
			   ? span_str(strerrordesc_np(ENOSPC))
			   : SPAN("ok"));
	clock_words(&e->clock, clock, sizeof(clock));
	admin_text(out, "clock", span_str(clock));
	admin_number(out, "damaged", e->report.damaged);
	admin_text(out, "damage", span_str(e->report.words));
}

int control_status(struct control *c, const struct admin_request *req)
{
	static struct store_view view; /* outlives a wait that is given up */
	struct engine *e = c->e;
	struct buf *out = req->out;
	struct figures f;
	char ours[600];
	int err;

	view = (struct store_view){ .now_s = clock_mail_s(&c->e->clock) };
	err = control_job(c, look, &view);
	if (err < 0)
		return err;
	figures_read(e, &f);
	admin_begin(out, "status");
	admin_text(out, "version", SPAN(MTAQ_VERSION));
	admin_text(out, "hostname", span_str(e->set->hostname));
	admin_text(out, "spool", span_str(e->set->spool));
	admin_number(out, "pid", (uint64_t)getpid());
	admin_number(out, "uptime_s", (clock_now_ms() - c->started_ms) / 1000);
	admin_number(out, "workers", e->workers_started);
	admin_text(out, "io", span_str(e->workers[0].backend));
	admin_text(out, "io_why", span_str(e->workers[0].why));
	admin_number(out, "age_limit_s", e->set->age_limit_s);
	add_queue(out, &view);
	add_mail(out, &f);
	add_disk(out, e);
	ours_words(&e->ours, clock_now_ms(), ours, sizeof(ours));
	admin_text(out, "own_trouble", span_str(ours));
	admin_number(out, "traces", control_traces(c));
	admin_end(out);
	admin_ok(out);
	return 0;
}
