/*
 * engine/metrics.c - the page of metrics
 *
 * Made from figures.h alone, on the exporter's thread: no other thread is
 * asked or held up.  Labels are bounded: classes, outcomes, reasons, states,
 * and the sites that have a cell of a board.
 */
#include "engine/metrics.h"

#include "engine/engine_private.h"
#include "engine/figures.h"

#include <stdlib.h>
#include <sys/resource.h>

static const char *const class_names
	[] = { [SCHED_TRANSACTIONAL] = "transactional", [SCHED_BULK] = "bulk" };

struct row { /* a figure without labels */
	const char *name;
	enum metric_type type;
	uint64_t value;
	const char *help;
};

static void add_rows(struct metric_out *out, const struct row *rows, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		metric_family(out, rows[i].name, rows[i].type, rows[i].help);
		metric_number(out, rows[i].name, NULL, rows[i].value);
	}
}

#define ADD_ROWS(out, rows)                                                    \
	add_rows(out, rows, sizeof(rows) / sizeof((rows)[0]))

static void number(struct metric_out *out, const char *name, const char *key,
		   const char *value, uint64_t n)
{
	const struct metric_label labels[METRIC_LABELS] = {
		{ key, span_str(value) }
	};

	metric_number(out, name, labels, n);
}

/* --- mail ------------------------------------------------------------------ */

static void by_class(struct metric_out *out, const char *name, const char *help,
		     const uint64_t n[SCHED_CLASS_COUNT])
{
	unsigned c;

	metric_family(out, name, METRIC_COUNTER, help);
	for (c = 0; c < SCHED_CLASS_COUNT; c++)
		number(out, name, "class", class_names[c], n[c]);
}

static void add_outcomes(struct metric_out *out, const struct figures *f)
{
	static const char name[] = "mtaq_outcomes_total";
	unsigned c, t;

	metric_family(out, name, METRIC_COUNTER,
		      "What came of recipients, one for each event of the "
		      "event log but accepted.");
	for (t = EVENT_ACCEPTED + 1; t < EVENT_TYPE_COUNT; t++)
		for (c = 0; c < SCHED_CLASS_COUNT; c++) {
			struct metric_label labels[METRIC_LABELS] = {
				{ "outcome", span_str(event_type_name(t)) },
				{ "class", span_str(class_names[c]) },
			};

			metric_number(out, name, labels, f->outcomes[c][t]);
		}
}

static void add_reasons(struct metric_out *out, const struct figures *f)
{
	unsigned i;

	metric_family(out, "mtaq_deferrals_total", METRIC_COUNTER,
		      "Recipients that were put off, by what the reply was "
		      "about; outcomes deferred and unsure.");
	for (i = REPLY_ACCEPTED + 1; i < REPLY_KIND_COUNT; i++)
		number(out, "mtaq_deferrals_total", "reason",
		       reply_kind_name(i), f->reasons[i]);
	metric_family(out, "mtaq_messages_refused_total", METRIC_COUNTER,
		      "Submitted messages that were not taken, by reason.");
	for (i = 0; i < INGRESS_REASON_COUNT; i++)
		number(out, "mtaq_messages_refused_total", "reason",
		       ingress_reason_name(i), f->in.refused[i]);
}

static void add_mail(struct metric_out *out, const struct figures *f)
{
	const struct row rows[] = {
		{ "mtaq_content_accepted_bytes_total", METRIC_COUNTER,
		  f->in.bytes, "Content of accepted messages." },
		{ "mtaq_transactions_total", METRIC_COUNTER, f->transactions,
		  "Mail transactions begun (MAIL commands)." },
		{ "mtaq_sent_bytes_total", METRIC_COUNTER, f->octets,
		  "Octets sent to other servers." },
	};

	by_class(out, "mtaq_messages_accepted_total",
		 "Messages that were made durable and acknowledged.",
		 f->in.accepted);
	by_class(out, "mtaq_recipients_accepted_total",
		 "Recipients of these messages.", f->in.rcpts);
	add_outcomes(out, f);
	add_reasons(out, f);
	ADD_ROWS(out, rows);
	metric_family(out, "mtaq_delivery_latency_seconds", METRIC_HISTOGRAM,
		      "From accepted to delivered, in whole seconds.");
	metric_histogram(out, "mtaq_delivery_latency_seconds", &f->queued_s, 1);
	metric_family(out, "mtaq_transaction_seconds", METRIC_HISTOGRAM,
		      "From MAIL to the last answer of a transaction.");
	metric_histogram(out, "mtaq_transaction_seconds", &f->transaction_ms,
			 1000);
}

/* --- queue, connections ---------------------------------------------------- */

static void add_queue(struct metric_out *out, const struct figures *f)
{
	const struct row rows[] = {
		{ "mtaq_tasks_sending", METRIC_GAUGE, f->tasks_running,
		  "Tasks in a transaction." },
		{ "mtaq_tasks_loaded", METRIC_GAUGE, f->loaded,
		  "Tasks in memory." },
		{ "mtaq_queues", METRIC_GAUGE, f->queues,
		  "Queues (tenant, campaign, domain) in memory." },
		{ "mtaq_domains", METRIC_GAUGE, f->domains,
		  "Domains whose mail exchangers are known or asked for." },
		{ "mtaq_submitters", METRIC_GAUGE, f->in.connections,
		  "Connections to the submission socket." },
	};
	unsigned c;

	metric_family(out, "mtaq_queue_recipients", METRIC_GAUGE,
		      "Open recipients, on disk and in memory.");
	number(out, "mtaq_queue_recipients", "state", "waiting", f->waiting);
	number(out, "mtaq_queue_recipients", "state", "held", f->held);
	metric_family(out, "mtaq_tasks_waiting", METRIC_GAUGE,
		      "Tasks that wait for their turn at a site.");
	for (c = 0; c < SCHED_CLASS_COUNT; c++)
		number(out, "mtaq_tasks_waiting", "class", class_names[c],
		       f->tasks_waiting[c]);
	ADD_ROWS(out, rows);
}

static void add_connections(struct metric_out *out, const struct figures *f)
{
	const struct row rows[] = {
		{ "mtaq_connections_opened_total", METRIC_COUNTER, f->sessions,
		  "Connections to other servers that were made." },
		{ "mtaq_connections_failed_total", METRIC_COUNTER,
		  f->connects_failed, "Connections that could not be made." },
	};
	static const char name[] = "mtaq_connections";

	ADD_ROWS(out, rows);
	metric_family(out, name, METRIC_GAUGE, "Connections to other servers.");
	number(out, name, "state", "busy", f->sessions_busy);
	number(out, name, "state", "idle", f->sessions_idle);
	number(out, name, "state", "connecting", f->connecting);
	metric_family(out, "mtaq_sites", METRIC_GAUGE,
		      "Sites by state: active ones have mail or connections; "
		      "of these, parked ones take no mail.");
	number(out, "mtaq_sites", "state", "known", f->sites);
	number(out, "mtaq_sites", "state", "active", f->sites_active);
	number(out, "mtaq_sites", "state", "parked", f->sites_parked);
	number(out, "mtaq_sites", "state", "paused", f->sites_paused);
	metric_family(out, "mtaq_connect_seconds", METRIC_HISTOGRAM,
		      "From connect to established.");
	metric_histogram(out, "mtaq_connect_seconds", &f->connect_ms, 1000);
	metric_family(out, "mtaq_site_window_connections", METRIC_HISTOGRAM,
		      "Connections that a site was allowed when one was "
		      "opened to it.");
	metric_histogram(out, "mtaq_site_window_connections", &f->window, 1);
}

/* --- disk, DNS, process ---------------------------------------------------- */

static void add_log(struct metric_out *out, const struct figures *f)
{
	metric_family(out, "mtaq_log_segments", METRIC_GAUGE,
		      "Segment files of the log.");
	number(out, "mtaq_log_segments", "state", "used", f->segments_used);
	number(out, "mtaq_log_segments", "state", "free", f->segments_free);
	metric_family(out, "mtaq_log_sync_seconds", METRIC_HISTOGRAM,
		      "fdatasync of the log.");
	metric_histogram(out, "mtaq_log_sync_seconds", &f->sync_us, 1000000);
	metric_family(
		out, "mtaq_disk_waits_seconds", METRIC_GAUGE,
		"So long, in whole seconds, the log's fdatasync under way "
		"and the store's present turn have taken: of a disk that "
		"answers, 0.");
	number(out, "mtaq_disk_waits_seconds", "thread", "log",
	       f->sync_waits_ms / 1000);
	number(out, "mtaq_disk_waits_seconds", "thread", "store",
	       f->store_waits_ms / 1000);
	metric_family(out, "mtaq_log_group_records", METRIC_HISTOGRAM,
		      "Records that one fdatasync made durable.");
	metric_histogram(out, "mtaq_log_group_records", &f->group_records, 1);
	metric_family(out, "mtaq_log_group_bytes", METRIC_HISTOGRAM,
		      "Octets that one fdatasync made durable.");
	metric_histogram(out, "mtaq_log_group_bytes", &f->group_bytes, 1);
	metric_family(out, "mtaq_checkpoint_seconds", METRIC_HISTOGRAM,
		      "Work on the index from one checkpoint to the next.");
	metric_histogram(out, "mtaq_checkpoint_seconds", &f->checkpoint_us,
			 1000000);
}

static void add_disk(struct metric_out *out, const struct engine *e,
		     const struct figures *f)
{
	struct figures_disk disk;
	int failing = atomic_load(&e->reporter.failing);

	figures_disk(e, &disk);
	const struct row rows[] = {
		{ "mtaq_log_uncheckpointed_bytes", METRIC_GAUGE, f->log_bytes,
		  "Log since the last checkpoint." },
		{ "mtaq_index_changes", METRIC_GAUGE, f->changes,
		  "Changes that the next checkpoint writes." },
		{ "mtaq_segments_compacted_total", METRIC_COUNTER, f->compacted,
		  "Segments freed after what lived in them was moved." },
		{ "mtaq_messages_moved_total", METRIC_COUNTER, f->moved,
		  "Messages and decisions that compaction has moved." },
		{ "mtaq_moved_bytes_total", METRIC_COUNTER, f->moved_bytes,
		  "Octets that compaction has moved." },
		{ "mtaq_disk_free_bytes", METRIC_GAUGE, disk.free,
		  "Free space of the spool's file system." },
		{ "mtaq_disk_min_free_bytes", METRIC_GAUGE,
		  e->set->min_free_bytes,
		  "With less free space new mail is put off." },
		{ "mtaq_spool_bytes", METRIC_GAUGE, disk.spool,
		  "Segments and index." },
		{ "mtaq_spool_out_of_room", METRIC_GAUGE,
		  !queue_out_room(e->queue),
		  "1: deliveries stopped, their outcomes find no room." },
		{ "mtaq_event_log_failing", METRIC_GAUGE, failing != 0,
		  "1: the event log cannot be written; events are kept in the "
		  "spool." },
		{ "mtaq_damaged_places", METRIC_GAUGE, e->report.damaged,
		  "Places of the log that were found damaged at start." },
	};

	ADD_ROWS(out, rows);
}

static void add_dns(struct metric_out *out, const struct figures *f)
{
	const struct dns_counters *d = &f->dns;
	const struct row rows[] = {
		{ "mtaq_dns_lookups_total", METRIC_COUNTER, d->asked,
		  "Domains whose mail exchangers were asked for." },
		{ "mtaq_dns_cache_hits_total", METRIC_COUNTER, d->hits,
		  "Lookups that the cache answered." },
		{ "mtaq_dns_joined_total", METRIC_COUNTER, d->joined,
		  "Lookups that joined one under way." },
		{ "mtaq_dns_stale_total", METRIC_COUNTER, d->stale,
		  "Expired answers that were used since no new one came." },
		{ "mtaq_dns_queries_total", METRIC_COUNTER, d->queries,
		  "Queries sent to resolvers." },
		{ "mtaq_dns_timeouts_total", METRIC_COUNTER, d->timeouts,
		  "Tries without an answer." },
		{ "mtaq_dns_failures_total", METRIC_COUNTER, d->failures,
		  "Answers that say SERVFAIL or make no sense." },
		{ "mtaq_dns_lookups_open", METRIC_GAUGE, d->outstanding,
		  "Lookups under way." },
		{ "mtaq_dns_cached_domains", METRIC_GAUGE, d->cached,
		  "Domains in the cache." },
	};

	ADD_ROWS(out, rows);
	metric_family(out, "mtaq_dns_query_seconds", METRIC_HISTOGRAM,
		      "From a query to its answer.");
	metric_histogram(out, "mtaq_dns_query_seconds", &f->dns_ms, 1000);
}

static void add_process(struct metric_out *out, const struct engine *e)
{
	const struct row rows[] = {
		{ "process_resident_memory_bytes", METRIC_GAUGE,
		  figures_memory(), "Resident memory." },
		{ "process_start_time_seconds", METRIC_GAUGE, e->started_wall_s,
		  "Start, seconds since 1970." },
		{ "mtaq_workers", METRIC_GAUGE, e->workers_started,
		  "Threads that deliver." },
	};
	struct rusage u;

	metric_family(out, "mtaq_build_info", METRIC_GAUGE, "1.");
	number(out, "mtaq_build_info", "version", MTAQ_VERSION, 1);
	ADD_ROWS(out, rows);
	if (getrusage(RUSAGE_SELF, &u) < 0)
		return;
	metric_family(out, "process_cpu_seconds_total", METRIC_COUNTER,
		      "User and system time.");
	metric_ratio(
		out, "process_cpu_seconds_total",
		(uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 +
			(uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec),
		1000000);
}

/* --- sites ----------------------------------------------------------------- */

struct sites {
	struct board_view *views;
	size_t count;
};

/* Sites of one provider may bear one name: they are one row. */
static void add_view(struct sites *s, const struct board_view *v)
{
	size_t i;
	unsigned n;

	for (i = 0; i < s->count; i++)
		if (strcmp(s->views[i].name, v->name) == 0)
			break;
	if (i == s->count) {
		s->views[s->count++] = *v;
		return;
	}
	for (n = 0; n < BOARD_COUNTERS; n++)
		s->views[i].counters[n] += v->counters[n];
	for (n = 0; n < BOARD_GAUGES; n++)
		s->views[i].gauges[n] += v->gauges[n];
}

static int collect(const struct engine *e, struct sites *s)
{
	struct board_view v;
	size_t room = 1;
	unsigned i, n;

	for (i = 0; i < e->workers_started; i++)
		room += e->workers[i].counts.board.count;
	s->views = calloc(room, sizeof(*s->views));
	if (s->views == NULL)
		return -1;
	for (i = 0; i < e->workers_started; i++) {
		const struct board *b = &e->workers[i].counts.board;

		if (!board_read(&b->other, &v))
			continue;
		memcpy(v.name, "other", sizeof("other"));
		add_view(s, &v);
		for (n = 0; n < b->count; n++)
			if (board_read(&b->cells[n], &v) && v.name[0] != '\0')
				add_view(s, &v);
	}
	return 0;
}

static void add_family(struct metric_out *out, const struct sites *s,
		       const struct row *row, bool gauge)
{
	size_t i;

	metric_family(out, row->name, row->type, row->help);
	for (i = 0; i < s->count; i++)
		number(out, row->name, "site", s->views[i].name,
		       gauge ? s->views[i].gauges[row->value]
			     : s->views[i].counters[row->value]);
}

/* .value is the index in the board. */
static const struct row site_counters[] = {
	{ "mtaq_site_delivered_total", METRIC_COUNTER, BOARD_DELIVERED,
	  "Recipients delivered, by site." },
	{ "mtaq_site_deferred_total", METRIC_COUNTER, BOARD_DEFERRED,
	  "Recipients put off, by site." },
	{ "mtaq_site_bounced_total", METRIC_COUNTER, BOARD_BOUNCED,
	  "Recipients bounced or expired, by site." },
	{ "mtaq_site_connections_opened_total", METRIC_COUNTER, BOARD_OPENED,
	  "Connections made, by site." },
	{ "mtaq_site_connections_failed_total", METRIC_COUNTER,
	  BOARD_CONNECT_FAILED, "Connections that failed, by site." },
};
static const struct row site_gauges[] = {
	{ "mtaq_site_window", METRIC_GAUGE, BOARD_WINDOW,
	  "Connections allowed now, by site." },
	{ "mtaq_site_connections", METRIC_GAUGE, BOARD_CONNECTIONS,
	  "Connections, by site." },
	{ "mtaq_site_connections_idle", METRIC_GAUGE, BOARD_IDLE,
	  "Of these idle, by site." },
	{ "mtaq_site_tasks_waiting", METRIC_GAUGE, BOARD_QUEUED,
	  "Tasks that wait for their turn, by site." },
	{ "mtaq_site_parked", METRIC_GAUGE, BOARD_PARKED,
	  "Sites of this name none of whose hosts takes mail." },
};

static void add_sites(struct metric_out *out, const struct engine *e)
{
	struct sites s = { .count = 0 };
	size_t i;

	if (collect(e, &s) == 0) {
		for (i = 0; i < sizeof(site_counters) / sizeof(struct row); i++)
			add_family(out, &s, &site_counters[i], false);
		for (i = 0; i < sizeof(site_gauges) / sizeof(struct row); i++)
			add_family(out, &s, &site_gauges[i], true);
	}
	free(s.views);
}

void metrics_page(struct metric_out *out, void *arg)
{
	struct engine *e = arg;
	struct figures f;

	figures_read(e, &f);
	add_mail(out, &f);
	add_queue(out, &f);
	add_connections(out, &f);
	add_log(out, &f);
	add_disk(out, e, &f);
	add_dns(out, &f);
	add_sites(out, e);
	add_process(out, e);
	metric_end(out);
}
