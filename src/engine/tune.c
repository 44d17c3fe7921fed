/*
 * engine/tune.c - the configuration as each pure layer wants it
 */
#include "engine/tune.h"

#include "engine/disk.h"

void tune_backoff(const struct settings *set, struct backoff_settings *b)
{
	uint32_t i;

	_Static_assert(BACKOFF_STEPS_MAX == SETTINGS_TIMES_MAX, "retry");
	backoff_settings_default(b);
	b->retry_count = set->retry.count;
	for (i = 0; i < b->retry_count; i++)
		b->retry_s[i] = set->retry.items_s[i];
	b->greylist_s = set->greylist_s;
	b->mailbox_full_s = set->mailbox_full_s;
	b->unsure_first_s = set->unsure.first_s;
	b->unsure_max = set->unsure.max;
}

void tune_site(const struct settings *set, struct site_settings *s)
{
	static const enum site_grouping grouping[] = {
		[SETTINGS_AUTO] = SITE_GROUPING_AUTO,
		[SETTINGS_OFF] = SITE_GROUPING_OFF,
		[SETTINGS_ON] = SITE_GROUPING_ON,
	};
	static const enum site_chunking chunking[] = {
		[SETTINGS_AUTO] = SITE_CHUNKING_AUTO,
		[SETTINGS_OFF] = SITE_CHUNKING_OFF,
		[SETTINGS_ON] = SITE_CHUNKING_ON,
	};

	site_settings_default(s);
	s->connections = set->site.connections;
	s->connects_per_second = set->site.connects_per_second;
	s->idle_ms = (uint32_t)set->session.idle_ms;
	s->age_ms = (uint32_t)set->session.age_ms;
	s->messages = set->session.messages;
	s->grouping = grouping[set->session.grouping];
	s->chunking = chunking[set->smtp.chunking];
	s->chunks_ahead = set->smtp.chunks_ahead;
	s->bad_first_ms = (uint32_t)set->host.bad_first_ms;
	s->bad_max_ms = (uint32_t)set->host.bad_max_ms;
}

void tune_smtp(const struct settings *set, struct smtp_settings *s)
{
	*s = (struct smtp_settings){
		.hostname = span_str(set->hostname),
		.tls = SMTP_TLS_OFF,
		.eightbit = set->eightbit == SETTINGS_EIGHTBIT_BOUNCE
				    ? SMTP_EIGHTBIT_BOUNCE
				    : SMTP_EIGHTBIT_SEND,
		.pipelining = true,
		.grouping = set->session.grouping != SETTINGS_OFF,
		.chunking = set->smtp.chunking != SETTINGS_OFF,
		.timeouts = {
			.greeting_ms = (uint32_t)set->smtp.timeout.greeting_ms,
			.ehlo_ms = (uint32_t)set->smtp.timeout.ehlo_ms,
			.mail_ms = (uint32_t)set->smtp.timeout.mail_ms,
			.rcpt_ms = (uint32_t)set->smtp.timeout.rcpt_ms,
			.data_ms = (uint32_t)set->smtp.timeout.data_ms,
			.flush_ms = (uint32_t)set->smtp.timeout.block_ms,
			.eod_ms = (uint32_t)set->smtp.timeout.dot_ms,
			.rset_ms = (uint32_t)set->smtp.timeout.rset_ms,
			.quit_ms = (uint32_t)set->smtp.timeout.quit_ms,
			.session_ms = (uint32_t)set->smtp.timeout.session_ms,
		},
	};
}

void tune_queue(const struct settings *set, struct queue_settings *q)
{
	*q = (struct queue_settings){
		.dir = set->spool,
		.file = disk_ops(),
		.index_bytes_max = set->queue.index_bytes_max,
		.free_bytes_min = set->min_free_bytes,
		.segment_bytes = set->queue.segment_bytes,
		.segments_ahead = set->queue.segments_ahead,
		.tasks_max = set->limits.tasks,
		.queue_tasks_max = set->limits.queue_tasks,
		.queues_max = set->limits.queues,
		.checkpoint_s = set->checkpoint.interval_s,
		.checkpoint_age_s = set->checkpoint.age_s,
		.checkpoint_log_bytes = set->checkpoint.log_bytes,
		.checkpoint_deltas = set->checkpoint.deltas,
	};
}
