#ifndef MTAQ_ENGINE_FIGURES_H
#define MTAQ_ENGINE_FIGURES_H

/*
 * All that the threads count, put together: plain numbers, a moment old, read
 * without asking any thread, so that they are there when one hangs.
 */
#include "dns/dns.h"
#include "engine/listener.h"
#include "engine/meter.h"
#include "site/classify.h"

struct engine;

struct figures {
	/* Recipients; ACCEPTED are those of messages made durable. */
	uint64_t outcomes[SCHED_CLASS_COUNT][EVENT_TYPE_COUNT];
	uint64_t reasons[REPLY_KIND_COUNT]; /* of deferrals */
	struct listener_counts in;
	struct dns_counters dns;

	/* Since the start. */
	uint64_t sessions, connects_failed, transactions, octets;
	/* Now. */
	uint64_t sessions_open, sessions_busy, sessions_idle, connecting;
	uint64_t tasks_waiting[SCHED_CLASS_COUNT], tasks_running;
	uint64_t sites, sites_active, sites_parked, sites_paused;
	uint64_t waiting, held, loaded, queues, domains, asking;
	uint64_t changes, log_bytes, segments_used, segments_free;
	/* How long the log's fdatasync under way and the store's present turn
	 * take so far, ms: seconds, where the disk does not answer. */
	uint64_t sync_waits_ms, store_waits_ms;
	/* By compaction, since the start. */
	uint64_t moved, moved_bytes, compacted;

	struct histo_view queued_s, transaction_ms, connect_ms, window;
	struct histo_view dns_ms, sync_us, group_records, group_bytes;
	struct histo_view checkpoint_us;
};

/* Of a running engine. */
void figures_read(struct engine *e, struct figures *f_r);

struct figures_disk {
	uint64_t free, spool; /* octets */
};
/* Asks the file system.  What cannot be known is 0. */
void figures_disk(const struct engine *e, struct figures_disk *d_r);

/* Resident memory of this process, octets; 0: not known. */
uint64_t figures_memory(void);

/* Of all classes; of all reasons. */
uint64_t figures_outcome(const struct figures *f, enum event_type type);
uint64_t figures_refused(const struct figures *f);

#endif
