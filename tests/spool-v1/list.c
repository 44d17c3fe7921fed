/*
 * tests/spool-v1/list.c - what a spool holds, a line for each open recipient
 *
 *	list SPOOL [SEGMENT_BYTES [checkpoint]]
 *
 *	id recipient state slot attempts unsure arrived expires flags size
 *	CRC32C-of-the-content sender tenant campaign address domain params
 *	message-params
 *
 * sorted; then a line for each decision in force, and how many of the messages
 * in the log, open or not, their submissions know.  It was built with the
 * program that made spool.tar.xz and its words are kept there; built with the
 * present one it must say the same.  It opens the spool as a daemon does
 * (`checkpoint`: and makes one): give it a copy.
 */
#include "base/crc32c.h"
#include "mtaq/queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TASKS 64

static char *lines[100000];
static size_t line_count;

static void keep(const char *line)
{
	if (line_count == sizeof(lines) / sizeof(lines[0]))
		abort();
	lines[line_count++] = strdup(line);
}

static int by_words(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static const char *state_of(const struct queue_task *t)
{
	if (t->slot == QUEUE_SLOT_HELD)
		return "held";
	return t->slot == QUEUE_SLOT_DAMAGED ? "damaged" : "waiting";
}

#define SPAN_ARG(s) (int)(s).len, (s).len == 0 ? "" : (s).p

static void tell_rcpt(const struct queue_view *v, const struct queue_task *t,
		      uint32_t i, uint32_t crc)
{
	struct queue_rcpt r;
	char line[2048];

	queue_view_rcpt(v, i, &r);
	snprintf(line, sizeof(line),
		 "%llu %u %s %u %u %u %u %u %u %llu %08x <%.*s> '%.*s' '%.*s' "
		 "%.*s %.*s '%.*s' '%.*s'",
		 (unsigned long long)v->id, i, state_of(t), t->slot,
		 t->attempts, t->unsure, v->arrived_s, t->expires_s, v->flags,
		 (unsigned long long)v->size, crc, SPAN_ARG(v->sender),
		 SPAN_ARG(v->tenant), SPAN_ARG(v->campaign),
		 SPAN_ARG(r.address), SPAN_ARG(r.domain), SPAN_ARG(r.params),
		 SPAN_ARG(v->params));
	keep(line);
}

static void tell_task(struct queue *q, const struct queue_task *t)
{
	struct queue_view v;
	char line[128];
	uint32_t crc = 0, i;
	int j, err = queue_message_open(q, t->id, &v);

	if (err < 0) {
		snprintf(line, sizeof(line), "%llu cannot be opened: %d",
			 (unsigned long long)t->id, err);
		keep(line);
		return;
	}
	for (j = 0; j < v.content_count; j++)
		crc = crc32c(crc, v.content[j].iov_base, v.content[j].iov_len);
	for (i = 0; i < t->span; i++)
		if (t->open[i / 64] >> i % 64 & 1)
			tell_rcpt(&v, t, t->first + i, crc);
	queue_message_close(q, &v);
}

static void tell_decisions(struct queue *q)
{
	struct queue_decision d;
	uint32_t n;
	uint64_t lsn;

	for (n = 0; queue_store_decision(q, n, &lsn, &d) == 0; n++)
		printf("decision %llu %d made %u tenant '%.*s' campaign '%.*s' "
		       "domain '%.*s' site '%.*s' ids %u\n",
		       (unsigned long long)lsn, (int)d.verb, d.made_s,
		       SPAN_ARG(d.tenant), SPAN_ARG(d.campaign),
		       SPAN_ARG(d.domain), SPAN_ARG(d.site), d.id_count);
}

static void tell_submissions(struct queue *q)
{
	struct queue_cursor *cursor;
	struct queue_record rec;
	uint64_t id;
	uint32_t whole = 0, known = 0;

	if (queue_cursor_open(q, 0, &cursor) < 0)
		return;
	while (queue_cursor_next(cursor, &rec) == 1) {
		if (rec.type != QUEUE_REC_MSG)
			continue;
		whole++;
		known += queue_store_submitted(q, rec.submission,
					       rec.submission_number, &id) == 1;
	}
	queue_cursor_close(&cursor);
	printf("submissions: %u of %u messages are known\n", known, whole);
}

int main(int argc, char **argv)
{
	static struct queue_task tasks[TASKS];
	struct queue_settings set = { .free_bytes_min = 1 << 20,
				      .segments_ahead = 1,
				      .index_bytes_max = 1u << 30 };
	struct queue_filter all = { .tenant = { 0 } };
	struct queue_list_cursor at = { 0 };
	struct queue_report report;
	struct queue *q;
	uint32_t n, i;
	int rc;

	if (argc < 2)
		return 64;
	set.dir = argv[1];
	if (argc > 2)
		set.segment_bytes = (uint32_t)strtoul(argv[2], NULL, 10);
	rc = queue_open(&set, 1, &q, &report);
	if (rc < 0) {
		fprintf(stderr, "%s: %s (%d)\n", argv[1], report.words, rc);
		return 75;
	}
	if (argc > 3 && strcmp(argv[3], "checkpoint") == 0 &&
	    queue_store_checkpoint(q, report.saved_s + 1) < 0)
		return 74;
	do {
		n = 0;
		rc = queue_list(q, &all, &at, tasks, TASKS, &n);
		for (i = 0; rc >= 0 && i < n; i++)
			tell_task(q, &tasks[i]);
	} while (rc == 1);
	qsort(lines, line_count, sizeof(lines[0]), by_words);
	for (i = 0; i < line_count; i++)
		puts(lines[i]);
	tell_decisions(q);
	tell_submissions(q);
	queue_close(&q);
	return rc == 0 ? 0 : 74;
}
