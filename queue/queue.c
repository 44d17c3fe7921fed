/*
 * queue/queue.c - opening and closing: lock, segments, index, tail, replay
 */
#include "base/bug.h"
#include "mtaq/export.h"
#include "queue/log.h"
#include "queue/recover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEGMENTS_AHEAD_MAX 64u
#define LOCK_BYTES         16u /* the holder's pid, in words */

void queue_report_say(struct queue_report *report, const char *fmt, ...)
{
	size_t len = strlen(report->words);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(report->words + len, sizeof(report->words) - len, fmt,
			ap);
	va_end(ap);
}

#define DEFAULT(field, value)                                                  \
	do {                                                                   \
		if ((field) == 0)                                              \
			(field) = (value);                                     \
	} while (0)

int queue_settings_take(struct queue *q, const struct queue_settings *set)
{
	struct queue_settings *s = &q->set;

	*s = *set;
	DEFAULT(s->index_bytes_max, 64ull << 30);
	DEFAULT(s->free_bytes_min, 512ull << 20);
	DEFAULT(s->segment_bytes, 64u << 20);
	DEFAULT(s->segments_ahead, 8);
	DEFAULT(s->tasks_max, 1000000);
	DEFAULT(s->queue_tasks_max, 10000);
	DEFAULT(s->queues_max, 200000);
	DEFAULT(s->checkpoint_s, 30);
	DEFAULT(s->checkpoint_age_s, 5);
	DEFAULT(s->checkpoint_log_bytes, 1ull << 30);
	DEFAULT(s->checkpoint_deltas, 200000);
	if (set->dir == NULL)
		return -EINVAL;
	q->file = s->file == NULL ? &queue_file_system : s->file;
	s->dir = strdup(set->dir);
	if (s->dir == NULL)
		return -ENOMEM;
	if (s->segment_bytes % SEGMENT_HEAD != 0 ||
	    s->segment_bytes < QUEUE_SEGMENT_MIN ||
	    s->segments_ahead > SEGMENTS_AHEAD_MAX)
		return -EINVAL;
	return 0;
}

/* The spool and its folder for segments, their names durable. */
static int make_folders(struct queue *q)
{
	const struct queue_file_ops *file = q->file;
	char path[4096];
	int n, err = file->mkdir(file->arg, q->set.dir);

	if (err == 0) {
		n = snprintf(path, sizeof(path), "%s/..", q->set.dir);
		if (n < 0 || (size_t)n >= sizeof(path))
			return -ENAMETOOLONG;
		err = file->sync_dir(file->arg, path);
	}
	if (err < 0 && err != -EEXIST)
		return err;
	n = snprintf(path, sizeof(path), "%s/log", q->set.dir);
	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	err = file->mkdir(file->arg, path);
	if (err < 0 && err != -EEXIST)
		return err;
	return file->sync_dir(file->arg, q->set.dir);
}

static void name_holder(struct queue *q, int fd, struct queue_report *report)
{
	char pid[LOCK_BYTES + 1] = { 0 };

	if (q->file->pread(q->file->arg, fd, pid, LOCK_BYTES, 0) <= 0)
		pid[0] = '\0';
	pid[strspn(pid, "0123456789")] = '\0';
	queue_report_say(report, "the spool %s is in use by process %s; ",
			 q->set.dir, pid[0] == '\0' ? "(unknown)" : pid);
}

int queue_lock_take(struct queue *q, struct queue_report *report, int *fd_r)
{
	const struct queue_file_ops *file = q->file;
	char path[4096], pid[LOCK_BYTES + 1];
	struct iovec iov = { pid, LOCK_BYTES };
	int n = snprintf(path, sizeof(path), "%s/lock", q->set.dir), fd, err;

	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	fd = file->open(file->arg, path, O_RDWR | O_CREAT);
	if (fd < 0)
		return fd;
	err = file->lock(file->arg, fd);
	if (err == -EBUSY)
		name_holder(q, fd, report);
	(void)snprintf(pid, sizeof(pid), "%-15ld\n", (long)getpid());
	if (err == 0)
		err = queue_file_write(file, fd, &iov, 1, 0);
	if (err < 0) {
		file->close(file->arg, fd);
		return err;
	}
	*fd_r = fd;
	return 0;
}

/* The disk may read it an hour later; behind a checkpoint nobody would. */
static int cannot_read(const struct queue *q, const struct segment *seg,
		       int err, struct queue_report *report)
{
	queue_report_say(report,
			 "The segment %s/log/seg-%08x cannot be read now (%s). "
			 "Nothing was changed and nothing was sent. Try "
			 "again; if it stays so, put a copy in its place (dd "
			 "bs=4096 conv=noerror,sync): what is zeros there is "
			 "damage, named and stepped over. ",
			 q->set.dir, seg->number, strerrordesc_np(-err));
	return err;
}

/*
 * What is free becomes ready.  A file that was never finished is finished by
 * whoever needs a segment next: 64 MiB are not written while mail waits for
 * the start.  There is one after a crash; of more, which failures have left,
 * all but one are finished here.
 */
static void sort_segments(struct queue *q)
{
	struct segments *set = q->log->set;
	struct segment *seg = atomic_load(&set->all), *made;

	for (; seg != NULL; seg = seg->all) {
		if (seg->kind == SEGMENT_FREE) {
			segments_give(set, seg);
			continue;
		}
		if (seg->kind != SEGMENT_UNFINISHED)
			continue;
		if (atomic_load(&set->unfinished) != NULL) {
			if (segment_create(set, &made) < 0)
				continue; /* waits for the next start */
			segments_give(set, made);
		}
		atomic_store(&set->unfinished, seg);
	}
}

/*
 * The reserve, and one to begin with, whatever free_bytes_min says.  Where mail
 * waits one is enough to let it leave; the others are owed, and made in pieces
 * meanwhile (queue_log_prepare()).
 */
static void make_reserve(struct queue *q, struct queue_report *report)
{
	struct segments *set = q->log->set;
	uint32_t now = queue_log_is_used(q) ? 1 : SEGMENT_RESERVE + 1;
	struct segment *seg;

	while (segments_ready(set) < now) {
		int err = segment_create(set, &seg);

		if (err < 0) {
			queue_report_say(report,
					 "cannot write a segment ahead (%s): "
					 "no new mail is taken; ",
					 strerrordesc_np(-err));
			return;
		}
		segments_give(set, seg);
	}
	if (segments_ready(set) < SEGMENT_RESERVE + 1)
		set->owed = SEGMENT_RESERVE + 1 - segments_ready(set);
}

static int copy_over(struct segments *set, const struct segment *seg, int fd,
		     uint64_t from, uint64_t to)
{
	char part[SEGMENT_HEAD];
	int err = 0;

	while (from < to && err == 0) {
		size_t len = to - from < sizeof(part) ? (size_t)(to - from)
						      : sizeof(part);
		struct iovec iov = { part, len };

		err = queue_file_read(set->file, fd, part, len, from);
		if (err == 0)
			err = queue_file_write(set->file, fd, &iov, 1, from);
		else if (err == -EIO && atomic_load(&seg->unreadable))
			err = 0;
		from += len;
	}
	return err;
}

/*
 * Make durable what recovery has believed.  After a kill the last group may
 * lie in the page cache alone; after a failed fdatasync it lies there and is
 * called clean, so syncing is not enough: it is written again first, with the
 * header.  All before that group was durable when it was written.
 */
int queue_log_settle(struct segments *set, uint64_t group, uint64_t end)
{
	uint64_t last = atomic_load(&set->last);
	struct segment *seg = segments_find(set, last);
	char path[4096];
	int fd, err;

	if (seg == NULL)
		return 0;
	if (group < segment_first(set, last) || group > end)
		group = end; /* it holds no record */
	if (!segment_path(set, seg, path, sizeof(path)))
		return -ENAMETOOLONG;
	fd = set->file->open(set->file->arg, path, O_RDWR);
	if (fd < 0)
		return fd;
	err = copy_over(set, seg, fd, 0, SEGMENT_HEAD);
	if (err == 0)
		err = copy_over(set, seg, fd, group % set->bytes,
				group % set->bytes + (end - group));
	if (err == 0)
		err = set->file->sync_data(set->file->arg, fd);
	set->file->close(set->file->arg, fd);
	return err;
}

static int recover(struct queue *q, uint64_t checkpoint_lsn,
		   struct queue_report *report)
{
	struct segments *set = q->log->set;
	uint64_t last = atomic_load(&set->last), from = checkpoint_lsn, end;
	struct log_check check;
	int err;

	log_check_init(&check, sizeof(report->words));
	if (from / set->bytes > last) /* the log has lost its end */
		from = last * set->bytes;
	check.stop = true;
	end = log_check_run(set, from, true, &check);
	if (check.failed < 0) {
		err = cannot_read(q, check.unread, check.failed, report);
		log_check_free(&check);
		return err;
	}
	report->torn_bytes = check.torn_bytes;
	report->damaged = check.damaged + check.content_damaged;
	if (check.words.len > 0)
		queue_report_say(report, "%.*s", (int)check.words.len,
				 check.words.p);
	log_check_free(&check);
	err = queue_log_settle(set, check.last_group, end);
	if (err < 0)
		return err;
	if (end < checkpoint_lsn) {
		report->damaged++;
		queue_report_say(report,
				 "the log ends at LSN %llu, before the "
				 "checkpoint at %llu: records are lost; ",
				 (unsigned long long)end,
				 (unsigned long long)checkpoint_lsn);
	}
	log_set_end(q->log,
		    last > checkpoint_lsn / set->bytes
			    ? last
			    : checkpoint_lsn / set->bytes,
		    last, end);
	return 0;
}

int queue_refuse_exported(struct queue *q, struct queue_report *report)
{
	char path[4096];
	int n = snprintf(path, sizeof(path), "%s/" QUEUE_MARK_NAME, q->set.dir),
	    fd;

	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	fd = q->file->open(q->file->arg, path, O_RDONLY);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	q->file->close(q->file->arg, fd);
	queue_report_say(report,
			 "the spool %s was exported: its mail is to be adopted "
			 "by another node, and would be sent twice from here. "
			 "Nothing was sent or changed. When nothing was "
			 "adopted anywhere, `mtaq export --undo` gives it "
			 "back; else use another folder. ",
			 q->set.dir);
	return -EROFS;
}

static int open_log(struct queue *q, struct queue_report *report)
{
	const struct segment *unread;
	struct segments *set;
	int fd, err = make_folders(q);

	if (err == 0)
		err = queue_lock_take(q, report, &fd);
	if (err < 0)
		return err;
	if (!q->set.exported_too)
		err = queue_refuse_exported(q, report);
	if (err == 0)
		err = segments_open(q->file, q->set.dir, q->set.segment_bytes,
				    &set);
	if (err == -EINVAL && q->set.exported_too)
		err = segments_open(q->file, q->set.dir, 0, &set);
	if (err == -EPROTO)
		queue_report_say(report,
				 "A segment in %s/log is of a format that this "
				 "program does not know: a later mtaq wrote "
				 "it. Nothing was sent or changed. Install "
				 "that version again.",
				 q->set.dir);
	if (err == 0) {
		q->set.segment_bytes = set->bytes;
		err = log_new(set, &q->log);
		if (err < 0)
			segments_close(&set);
	}
	if (err < 0) {
		q->file->close(q->file->arg, fd);
		return err;
	}
	q->log->lock_fd = fd;
	unread = segments_unread(set);
	if (unread != NULL)
		return cannot_read(q, unread, unread->unread, report);
	sort_segments(q);
	return 0;
}

int queue_open(const struct queue_settings *set, uint32_t now_s,
	       struct queue **queue_r, struct queue_report *report_r)
{
	struct queue *q = calloc(1, sizeof(*q));
	uint64_t checkpoint_lsn = 0, cursor_lsn = UINT64_MAX;
	int err;

	*report_r = (struct queue_report){ .records = 0 };
	if (q == NULL)
		return -ENOMEM;
	err = queue_settings_take(q, set);
	if (err == 0)
		err = open_log(q, report_r);
	if (err == 0)
		err = queue_store_open(q, now_s, report_r, &checkpoint_lsn,
				       &cursor_lsn);
	if (err == 0) {
		atomic_store(&q->log->cursor_floor, cursor_lsn);
		err = recover(q, checkpoint_lsn, report_r);
	}
	if (err == 0) {
		make_reserve(q, report_r);
		err = queue_store_replay(q, now_s, report_r);
	}
	if (err < 0) {
		queue_close(&q);
		return err;
	}
	*queue_r = q;
	return 0;
}

void queue_close(struct queue **queue)
{
	struct queue *q = *queue;

	queue_store_close(q);
	if (q->log != NULL) {
		struct segments *set = q->log->set;
		int fd = q->log->lock_fd;

		log_free(&q->log);
		segments_close(&set);
		q->file->close(q->file->arg, fd);
	}
	free((void *)(uintptr_t)q->set.dir);
	free(q);
	*queue = NULL;
}

/* --- what the store half asks about segments ----------------------------- */

int queue_segment_next(const struct queue *q, uint64_t sequence,
		       struct queue_segment *seg_r)
{
	const struct segments *set = q->log->set;
	uint64_t last = atomic_load(&set->last), s = atomic_load(&set->first);
	struct segment *seg;

	if (s < sequence)
		s = sequence;
	for (; s != 0 && s <= last; s++) {
		seg = segments_find(set, s);
		if (seg == NULL)
			continue;
		seg_r->sequence = s;
		seg_r->first = segment_first(set, s);
		seg_r->end = atomic_load(&seg->end);
		seg_r->active = s == last;
		seg_r->damaged = atomic_load(&seg->damaged);
		return 1;
	}
	return 0;
}

/* Would a cursor still read below end? */
static bool cursor_needs(const void *arg, uint64_t end)
{
	return queue_cursor_lowest(arg) < end;
}

int queue_segment_free(struct queue *q, uint64_t sequence)
{
	struct segments *set = q->log->set;
	struct segment *seg = segments_find(set, sequence);

	if (seg == NULL)
		return -ENOENT;
	if (atomic_load(&seg->damaged))
		return -EUCLEAN;
	if (sequence == atomic_load(&set->last) ||
	    cursor_needs(q, atomic_load(&seg->end)))
		return -EBUSY;
	return segments_free(set, seg, cursor_needs, q);
}

void queue_segment_damage(struct queue *q, uint64_t sequence)
{
	struct segment *seg = segments_find(q->log->set, sequence);

	if (seg != NULL)
		atomic_store(&seg->damaged, true);
}

bool queue_log_is_low(const struct queue *q)
{
	return atomic_load(&q->log->set->space) < 2 * q->set.free_bytes_min;
}

bool queue_log_is_used(const struct queue *q)
{
	const struct segment *seg = atomic_load(&q->log->set->all);

	while (seg != NULL && seg->kind != SEGMENT_LIVE &&
	       seg->kind != SEGMENT_BROKEN)
		seg = seg->all;
	return seg != NULL;
}

void queue_segment_counts(const struct queue *q, uint64_t *segments_r,
			  uint64_t *free_r)
{
	const struct segments *set = q->log->set;

	*segments_r = atomic_load(&set->count);
	*free_r = segments_ready(set) + atomic_load(&set->idle_count);
}

int queue_log_prepare(struct queue *q)
{
	struct segments *set = q->log->set;
	uint32_t wanted = q->set.segments_ahead + SEGMENT_RESERVE;
	int err;

	segments_look(set);
	segments_fill(set);
	if (segments_ready(set) >= wanted)
		return 0;
	if (set->owed == 0 &&
	    atomic_load(&set->space) < q->set.free_bytes_min + set->bytes)
		return -ENOSPC;
	err = segment_create_some(set);
	if (err != 0)
		return err;
	if (set->owed > 0)
		set->owed--;
	return segments_ready(set) < wanted;
}
