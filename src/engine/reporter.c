/*
 * engine/reporter.c - the report thread
 *
 * What is written is followed by a rest: events of one group after the other
 * would wake the thread, and take a core from them, thousands of times a
 * second.  The file is synced once a second and at the end.  A file that cannot be
 * written loses nothing: its events stay in the log, whose segments are kept
 * until the cursor has passed them.
 */
#include "engine/reporter.h"

#include "engine/clock.h"
#include "engine/thread.h"
#include "report/eventlog.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#define SYNC_MS  1000
#define RETRY_MS 1000
#define REST_MS  10

int reporter_init(struct reporter *r, struct queue *q, const char *path,
		  struct bell *bell)
{
	*r = (struct reporter){ .bell = bell };
	if (path == NULL || path[0] == '\0')
		return 0;
	return eventlog_open(q, path, &r->log);
}

void reporter_free(struct reporter *r)
{
	eventlog_close(&r->log);
}

/* A sync may succeed while no write does: each has an error of its own, and
 * the file works when neither has one. */
static void note_error(struct reporter *r, int *own, int err)
{
	int now, before;

	*own = err < 0 ? err : 0;
	now = r->write_error < 0 ? r->write_error : r->sync_error;
	before = atomic_exchange(&r->failing, now);
	if (now < 0 && before != now)
		fprintf(stderr,
			"mtaq: the event log cannot be written: %s; events "
			"are kept in the spool until it can\n",
			strerrordesc_np(-now));
	if (now == 0 && before < 0)
		fputs("mtaq: the event log is written again\n", stderr);
}

/* SIGHUP comes once: what fails is tried again until it succeeds, else a
 * rotated file would be written to for ever. */
static void reopen(struct reporter *r)
{
	int err = eventlog_reopen(r->log), before = r->reopen_error;

	r->reopen_error = err;
	if (err < 0 && err != before)
		fprintf(stderr,
			"mtaq: the event log cannot be opened anew: %s; "
			"events go to the old file, and this is tried again "
			"each second\n",
			strerrordesc_np(-err));
	if (err == 0 && before < 0)
		fputs("mtaq: the event log has been opened anew\n", stderr);
}

/* Something was written: go on.  All of it was: rest, and do not hear the
 * bell.  Nothing was: wait for it. */
static void pause_after(struct reporter *r, int got, bool *wrote)
{
	if (got < 0 || (got == 0 && !*wrote))
		bell_wait(r->bell, RETRY_MS);
	bell_awake(r->bell);
	if (got == 0 && *wrote)
		(void)poll(NULL, 0, REST_MS);
	*wrote = got == 1;
}

static void *reporter_main(void *arg)
{
	struct reporter *r = arg;
	uint64_t sync_at = clock_now_ms() + SYNC_MS;
	bool wrote = false;
	int got;

	while (!atomic_load(&r->stop)) {
		if (atomic_exchange(&r->reopen, false) || r->reopen_error < 0)
			reopen(r);
		bell_doze(r->bell);
		got = eventlog_write(r->log);
		note_error(r, &r->write_error, got);
		if (clock_now_ms() >= sync_at) {
			note_error(r, &r->sync_error, eventlog_sync(r->log));
			sync_at = clock_now_ms() + SYNC_MS;
		}
		pause_after(r, got, &wrote);
	}
	while (eventlog_write(r->log) == 1)
		;
	note_error(r, &r->sync_error, eventlog_sync(r->log));
	return NULL;
}

int reporter_start(struct reporter *r)
{
	if (r->log == NULL)
		return 0;
	return thread_start(&r->thread, "report", reporter_main, r);
}

void reporter_reopen(struct reporter *r)
{
	if (r->log == NULL)
		return;
	atomic_store(&r->reopen, true);
	atomic_store(&r->bell->dozing, true);
	bell_ring(r->bell);
}

void reporter_stop(struct reporter *r)
{
	if (r->log == NULL)
		return;
	atomic_store(&r->stop, true);
	atomic_store(&r->bell->dozing, true);
	bell_ring(r->bell);
	pthread_join(r->thread, NULL);
}
