/*
 * report/eventlog.c - the event log file
 *
 * Invariants:
 *	1. every octet up to `written` ends a whole line, save after a crash
 *	2. the cursor never passes what was synced
 */
#include "report/eventlog.h"

#include "report/event.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define BATCH_BYTES (256u << 10)
#define LINES_MAX   (16u << 20) /* of one record: 1000 recipients */
#define TAIL_BYTES  (64u << 10)

struct eventlog {
	struct queue *q;
	struct queue_cursor *cursor;
	char *path;
	int fd;
	uint64_t lsn; /* the last event in the file ... */
	uint32_t n;
	bool any;              /* ... if there is one */
	uint64_t done;         /* all records below are in the file */
	uint64_t pending_done; /* or in lines */
	bool dirty;
	uint64_t exporting; /* the lsn of "exported" lines; 0: none yet */
	uint32_t exported;  /* the n of the next one */
	struct buf lines;
};

/* The last whole line of the file's last octets, its octets behind it cut
 * off; false when there is none in sight. */
static bool read_tail(struct eventlog *log, struct span *line_r, char *tail)
{
	off_t size = lseek(log->fd, 0, SEEK_END);
	off_t from = size > (off_t)TAIL_BYTES ? size - (off_t)TAIL_BYTES : 0;
	ssize_t n = pread(log->fd, tail, (size_t)(size - from), from);
	ssize_t end, begin;

	if (size < 0 || n < 0)
		return false;
	for (end = n; end > 0 && tail[end - 1] != '\n'; end--)
		;
	if (end < n && ftruncate(log->fd, from + end) < 0)
		return false;
	if (end == 0)
		return false;
	for (begin = end - 1; begin > 0 && tail[begin - 1] != '\n'; begin--)
		;
	*line_r = span_of(tail + begin, (size_t)(end - begin));
	return true;
}

static void find_place(struct eventlog *log)
{
	char *tail = malloc(TAIL_BYTES);
	struct span line;

	if (tail != NULL && read_tail(log, &line, tail) &&
	    event_key(line, &log->lsn, &log->n) == 0)
		log->any = true;
	free(tail);
}

static int open_file(struct eventlog *log)
{
	log->fd =
		open(log->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	return log->fd < 0 ? -errno : 0;
}

int eventlog_open(struct queue *q, const char *path, struct eventlog **log_r)
{
	struct eventlog *log = calloc(1, sizeof(*log));
	int err;

	if (log == NULL)
		return -ENOMEM;
	log->q = q;
	log->fd = -1;
	buf_init(&log->lines, LINES_MAX);
	log->path = strdup(path);
	err = log->path == NULL ? -ENOMEM : open_file(log);
	if (err == 0) {
		find_place(log);
		log->done = log->pending_done = log->any ? log->lsn : 0;
		err = queue_cursor_open(q, log->any ? log->lsn : 0,
					&log->cursor);
	}
	if (err < 0) {
		eventlog_close(&log);
		return err;
	}
	*log_r = log;
	return 0;
}

void eventlog_close(struct eventlog **log)
{
	struct eventlog *l = *log;

	*log = NULL;
	if (l == NULL)
		return;
	if (l->cursor != NULL)
		queue_cursor_close(&l->cursor);
	if (l->fd >= 0)
		close(l->fd);
	buf_free(&l->lines);
	free(l->path);
	free(l);
}

static int write_all(struct eventlog *log)
{
	ssize_t n;

	while (log->lines.len > 0) {
		n = write(log->fd, log->lines.p, log->lines.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		buf_shift(&log->lines, (size_t)n);
		log->dirty = true;
	}
	return 0;
}

/* The first place of this record that is not in the file yet. */
static uint32_t first_new(const struct eventlog *log,
			  const struct queue_record *rec)
{
	if (log->any && rec->lsn == log->lsn)
		return log->n + 1;
	return 0;
}

/* The last part of a message makes it one: its envelope is with its id. */
static int part_lines(struct eventlog *log, const struct queue_record *rec)
{
	struct queue_view view;
	int places = 0, err;

	if (rec->part.abandoned)
		return 0;
	err = queue_message_open(log->q, rec->part.id, &view);
	if (err < 0) /* more parts are to come, or it never will be */
		return queue_is_short(err) ? err : 0;
	if (rec->part.offset + rec->part.length == view.size)
		places = event_accepted(&view, rec->lsn, first_new(log, rec),
					&log->lines);
	queue_message_close(log->q, &view);
	return places;
}

static int record_lines(struct eventlog *log, const struct queue_record *rec)
{
	if (rec->type == QUEUE_REC_PART)
		return part_lines(log, rec);
	return event_lines(rec, first_new(log, rec), &log->lines);
}

static int gather(struct eventlog *log)
{
	struct queue_record rec;
	int got = 0, places;
	size_t before;

	while (log->lines.len < BATCH_BYTES &&
	       (got = queue_cursor_next(log->cursor, &rec)) == 1) {
		if (log->any && rec.lsn < log->lsn) {
			log->pending_done = rec.end;
			continue;
		}
		before = log->lines.len;
		places = record_lines(log, &rec);
		if (places < 0) { /* of its lines some may stand there */
			buf_cut(&log->lines, before);
			log->lines.failed = 0;
			queue_cursor_again(log->cursor, rec.lsn);
			return places;
		}
		log->pending_done = rec.end;
		if (places == 0)
			continue;
		log->lsn = rec.lsn;
		log->n = (uint32_t)places - 1;
		log->any = true;
	}
	return got < 0 ? got : 0;
}

int eventlog_write(struct eventlog *log)
{
	bool any;
	int err;

	/* Lines that a full disk left over go first. */
	err = write_all(log);
	if (err < 0)
		return err;
	err = gather(log);
	if (err < 0)
		return err;
	any = log->lines.len > 0;
	err = write_all(log);
	if (err < 0)
		return err;
	log->done = log->pending_done;
	return any ? 1 : 0;
}

int eventlog_exported(struct eventlog *log, struct event_exported *e)
{
	struct queue_counts counts;

	if (log->exporting == 0) {
		queue_store_counts(log->q, &counts);
		log->exporting = counts.durable_lsn;
	}
	e->lsn = log->exporting;
	e->n = log->exported++;
	if (log->any &&
	    (log->lsn > e->lsn || (log->lsn == e->lsn && log->n >= e->n)))
		return 0;
	event_exported(e, &log->lines);
	if (log->lines.failed < 0)
		return log->lines.failed;
	log->lsn = e->lsn;
	log->n = e->n;
	log->any = true;
	return log->lines.len < BATCH_BYTES ? 0 : write_all(log);
}

int eventlog_sync(struct eventlog *log)
{
	if (log->dirty && fdatasync(log->fd) < 0)
		return -errno;
	log->dirty = false;
	queue_cursor_done(log->cursor, log->done);
	return 0;
}

int eventlog_reopen(struct eventlog *log)
{
	int old = log->fd, err = eventlog_sync(log);

	if (err < 0)
		return err;
	err = open_file(log);
	if (err < 0) {
		log->fd = old;
		return err;
	}
	close(old);
	if (lseek(log->fd, 0, SEEK_END) > 0 || !log->any)
		return 0;
	buf_printf(&log->lines, "{\"lsn\":%llu,\"n\":%u,\"type\":\"begin\"}\n",
		   (unsigned long long)log->lsn, log->n);
	/* What fails now is written first by the next eventlog_write(). */
	(void)write_all(log);
	return 0;
}
