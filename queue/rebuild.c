/*
 * queue/rebuild.c - an unreadable index is made anew from the log alone
 *
 *	index.new   made beside, from the first record of the log to its last,
 *		    by the code that follows the log; checkpoints keep memory
 *		    small
 *	the end     the log's last group is made durable, the old index gets a
 *		    second name, index.new takes the first
 *
 * What a crash leaves: before the last rename the old index as it was (and
 * index.new, which the next try throws away); after it the new one.
 *
 * 1. Every task stands in slot HELD.  An outcome finds its recipient there
 *    whatever slot it names: the outcome that moved it to that slot may be
 *    in a segment that was written over.
 * 2. A segment is written over only when no open recipient's message lies in
 *    it, so every open recipient's message is in the log: nothing is lost.
 * 3. The other way it does not hold: an outcome may be gone while its message
 *    is still there.  Only segments behind the message can have held it, so a
 *    message behind the last gap and the last damage is surely open.
 */
#include "queue/bits.h"
#include "queue/decide_private.h"
#include "queue/log.h"
#include "queue/recover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP_RECORDS 8192
#define KEPT_MAX     100000u
#define PATH_ROOM    4096u

struct queue_rebuild {
	struct queue *q;
	uint64_t first, end;   /* LSNs of the log */
	uint64_t last_group;   /* where its last whole group begins */
	uint64_t unsure_below; /* outcomes of these ids may be gone */
	uint32_t now_s;        /* raised to what the log has seen */
};

static bool path_of(const struct queue *q, const char *name,
		    char path[PATH_ROOM])
{
	int n = snprintf(path, PATH_ROOM, "%s/%s", q->set.dir, name);

	return n > 0 && (size_t)n < PATH_ROOM;
}

static void say(struct queue_rebuild_report *r, struct span words)
{
	size_t len = strlen(r->words), room = sizeof(r->words) - 1 - len;

	if (words.len < room)
		room = words.len;
	if (room > 0)
		memcpy(r->words + len, words.p, room);
	r->words[len + room] = '\0';
}

/* --- beginning -------------------------------------------------------------- */

static void ignore_name(void *to, const char *name)
{
	(void)to;
	(void)name;
}

/* A folder that is no spool gets no lock file. */
static int look_for_log(struct queue *q)
{
	char path[PATH_ROOM];

	if (!path_of(q, "log", path))
		return -ENAMETOOLONG;
	return q->file->list(q->file->arg, path, ignore_name, NULL);
}

static int open_log(struct queue *q, struct queue_rebuild_report *r)
{
	struct queue_report holder = { .records = 0 };
	struct segments *set;
	int fd, err = look_for_log(q);

	if (err == 0)
		err = queue_lock_take(q, &holder, &fd);
	say(r, span_str(holder.words));
	if (err < 0)
		return err;
	holder.words[0] = '\0';
	err = queue_refuse_exported(q, &holder);
	say(r, span_str(holder.words));
	if (err == 0)
		err = segments_open(q->file, q->set.dir, 0, &set);
	if (err == 0) {
		err = log_new(set, &q->log);
		if (err < 0)
			segments_close(&set);
	}
	if (err < 0) {
		q->file->close(q->file->arg, fd);
		return err;
	}
	q->log->lock_fd = fd;
	q->set.segment_bytes = set->bytes;
	return 0;
}

/* Can the daemon open the index?  1, 0, or a negative errno value. */
static int can_open(struct queue *q, uint32_t now_s)
{
	struct queue_report ignored = { .records = 0 };
	uint64_t checkpoint_lsn, cursor_lsn;
	char path[PATH_ROOM];
	struct stat st;
	int err;

	if (!path_of(q, INDEX_NAME, path))
		return -ENAMETOOLONG;
	/* Beside a log never used it would be made of nothing. */
	if (stat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (st.st_size == 0)
		return 0;
	err = queue_store_open(q, now_s, &ignored, &checkpoint_lsn,
			       &cursor_lsn);
	queue_store_close(q);
	if (err == -EUCLEAN || err == -EIO)
		return 0;
	return err < 0 ? err : 1;
}

/* Behind what could outcomes be gone? */
static void find_gaps(struct queue_rebuild *rb, struct queue_rebuild_report *r)
{
	const struct segments *set = rb->q->log->set;
	uint64_t s = atomic_load(&set->first), last = atomic_load(&set->last);
	const struct segment *seg;
	bool oldest = true;

	for (; s != 0 && s <= last; s++) {
		seg = segments_find(set, s);
		if (seg == NULL)
			continue;
		if (!oldest && seg->prev_sequence != 0 &&
		    segments_find(set, seg->prev_sequence) == NULL) {
			r->gaps++;
			rb->unsure_below = segment_first(set, s);
		}
		if (atomic_load(&seg->damaged))
			rb->unsure_below = atomic_load(&seg->end);
		oldest = false;
	}
	/* Its place is not known. */
	for (seg = atomic_load(&set->all); seg != NULL; seg = seg->all)
		if (seg->kind == SEGMENT_BROKEN)
			rb->unsure_below = UINT64_MAX;
}

static void say_unread(const struct segments *set, const struct segment *seg,
		       struct queue_rebuild_report *r)
{
	char path[PATH_ROOM];

	if (segment_path(set, seg, path, sizeof(path))) {
		say(r, span_str(path));
		say(r, SPAN(" cannot be read now: "));
	}
}

/*
 * A segment that cannot be opened or mapped now may be readable an hour later,
 * and what is left out of the new index is not looked at again.  Damage inside
 * is another matter: that is named and stepped over.  (The check of the log
 * stops at what cannot be read in their midst.)
 */
static int try_segments(struct segments *set, struct queue_rebuild_report *r)
{
	uint64_t s = atomic_load(&set->first), last = atomic_load(&set->last);
	const struct segment *unread = segments_unread(set);
	struct segment *seg;
	const char *p;
	int err = 0;

	if (unread != NULL) {
		say_unread(set, unread, r);
		return unread->unread;
	}
	for (; err == 0 && s != 0 && s <= last; s++) {
		seg = segments_find(set, s);
		if (seg == NULL)
			continue;
		err = segment_show(set, seg, 0, SEGMENT_HEAD, &p);
		if (err == -EUCLEAN) /* cut off */
			err = 0;
		if (err < 0)
			say_unread(set, seg, r);
	}
	return err;
}

static int check_log(struct queue_rebuild *rb, bool force,
		     struct queue_rebuild_report *r)
{
	struct queue_log *log = rb->q->log;
	uint64_t last = atomic_load(&log->set->last);
	struct log_check check;

	log_check_init(&check, sizeof(r->words) - 1);
	check.stop = !force;
	rb->end = log_check_run(log->set, 0, false, &check);
	if (!force && check.failed < 0) {
		say_unread(log->set, check.unread, r);
		log_check_free(&check);
		return check.failed;
	}
	rb->first = atomic_load(&log->set->first) * log->set->bytes;
	rb->last_group = check.last_group;
	r->torn_bytes = check.torn_bytes;
	r->damaged = check.damaged;
	r->content_damaged = check.content_damaged;
	r->log_bytes = rb->end - rb->first;
	say(r, buf_span(&check.words));
	log_check_free(&check);
	log_set_end(log, last, last, rb->end);
	/* Events that were not told yet are kept: until a cursor is opened. */
	atomic_store(&log->cursor_floor, 0);
	find_gaps(rb, r);
	return 0;
}

static void remove_new(struct queue *q)
{
	char path[PATH_ROOM];

	if (path_of(q, INDEX_NEW, path))
		(void)unlink(path);
	if (path_of(q, INDEX_NEW "-lock", path))
		(void)unlink(path);
}

static int open_new(struct queue_rebuild *rb)
{
	struct queue_report ignored = { .records = 0 };
	uint64_t checkpoint_lsn, cursor_lsn;
	struct queue *q = rb->q;
	int err;

	remove_new(q);
	q->rebuilding = true;
	err = queue_store_open(q, rb->now_s, &ignored, &checkpoint_lsn,
			       &cursor_lsn);
	if (err == 0)
		err = queue_walk_open(q, 0, &q->store->walk);
	return err;
}

static int begin(struct queue_rebuild *rb, const struct queue_settings *set,
		 bool force, struct queue_rebuild_report *r)
{
	int rc = queue_settings_take(rb->q, set);

	if (rc == 0)
		rc = open_log(rb->q, r);
	if (rc == 0 && !force)
		rc = can_open(rb->q, rb->now_s);
	if (rc > 0)
		return -EEXIST;
	if (rc == 0 && !force)
		rc = try_segments(rb->q->log->set, r);
	if (rc < 0)
		return rc;
	rc = check_log(rb, force, r);
	return rc < 0 ? rc : open_new(rb);
}

int queue_rebuild_begin(const struct queue_settings *set, uint32_t now_s,
			bool force, struct queue_rebuild **rebuild_r,
			struct queue_rebuild_report *report_r)
{
	struct queue_rebuild *rb = calloc(1, sizeof(*rb));
	int err;

	*report_r = (struct queue_rebuild_report){ .held = 0 };
	if (rb == NULL)
		return -ENOMEM;
	rb->now_s = now_s;
	rb->q = calloc(1, sizeof(*rb->q));
	if (rb->q == NULL) {
		free(rb);
		return -ENOMEM;
	}
	err = begin(rb, set, force, report_r);
	if (err < 0) {
		queue_rebuild_drop(&rb);
		return err;
	}
	*rebuild_r = rb;
	return 0;
}

void queue_rebuild_drop(struct queue_rebuild **rebuild)
{
	struct queue_rebuild *rb = *rebuild;
	bool made = rb->q->rebuilding;

	queue_store_close(rb->q);
	if (made)
		remove_new(rb->q);
	queue_close(&rb->q);
	free(rb);
	*rebuild = NULL;
}

/* --- following -------------------------------------------------------------- */

static void count(struct queue_rebuild *rb, const struct queue_record *rec,
		  struct queue_rebuild_report *r)
{
	uint32_t at_s = rec->type == QUEUE_REC_MSG   ? rec->msg.arrived_s
			: rec->type == QUEUE_REC_DEC ? rec->dec.made_s
						     : 0;

	r->records++;
	r->messages += rec->type == QUEUE_REC_MSG;
	r->outs += rec->type == QUEUE_REC_OUT;
	r->decisions += rec->type == QUEUE_REC_DEC;
	r->moves += rec->type == QUEUE_REC_MOVE;
	if (at_s > rb->now_s) /* mail time does not go back */
		rb->now_s = at_s;
}

/* Of a message whose copy alone is left: what came to an end between the
 * asking for the move and the move is not known. */
static bool is_copy_alone(const struct queue_rebuild *rb,
			  const struct index_row *row)
{
	const struct segments *set = rb->q->log->set;

	return row->place != row->key.id &&
	       segments_find(set, row->key.id / set->bytes) == NULL;
}

/* What may have been delivered, of all that is held. */
static int count_held(struct queue_rebuild *rb, struct queue_rebuild_report *r)
{
	struct queue_store *s = rb->q->store;
	struct index_key at = { .queue = 0 };
	uint32_t room = sizeof(s->rows) / sizeof(s->rows[0]), n = room, i, open;
	int err = 0;

	while (err == 0 && n == room) {
		err = index_scan(s->index, &at, s->rows, room, &n);
		for (i = 0; err == 0 && i < n; i++) {
			open = bits_count(s->rows[i].open, QUEUE_OPEN_WORDS);
			r->held += open;
			if (s->rows[i].key.id < rb->unsure_below ||
			    s->rows[i].unsure > 0 ||
			    is_copy_alone(rb, &s->rows[i]))
				r->second_max += open;
			at = s->rows[i].key;
			at.group++;
		}
	}
	return err;
}

static void count_decisions(const struct deciding *d,
			    struct queue_rebuild_report *r)
{
	LIST_FOR_EACH (at, &d->rules)
		r->pauses++;
	LIST_FOR_EACH (at, &d->acts)
		r->cancels++;
}

static int end_of_log(struct queue_rebuild *rb, struct queue_rebuild_report *r)
{
	struct queue_store *s = rb->q->store;
	int err;

	r->incomplete = store_drop_partials(s);
	err = queue_store_checkpoint(rb->q, rb->now_s);
	if (err < 0)
		return err;
	count_decisions(s->deciding, r);
	r->log_done = r->log_bytes;
	return count_held(rb, r);
}

int queue_rebuild_step(struct queue_rebuild *rebuild,
		       struct queue_rebuild_report *report)
{
	struct queue *q = rebuild->q;
	struct delta *d = &q->store->delta;
	struct queue_record rec;
	int i, rc, err;

	for (i = 0; i < STEP_RECORDS; i++) {
		rc = queue_log_next(q->store->walk, &rec);
		if (rc == 0)
			return end_of_log(rebuild, report);
		err = rc < 0 ? rc : store_apply(q, &rec);
		if (err < 0)
			return err;
		count(rebuild, &rec, report);
		report->log_done = rec.end - rebuild->first;
		if (d->dirty_count + d->tomb_count < q->set.checkpoint_deltas)
			continue;
		err = queue_store_checkpoint(q, rebuild->now_s);
		if (err < 0)
			return err;
	}
	return 1;
}

/* --- the names change --------------------------------------------------------- */

/* The old index's second name; a try before may have given it one. */
static int keep_old(struct queue *q, struct queue_rebuild_report *r)
{
	char old[PATH_ROOM], kept[PATH_ROOM];
	struct stat is, other;
	uint32_t i;

	if (!path_of(q, INDEX_NAME, old))
		return -ENAMETOOLONG;
	if (stat(old, &is) < 0)
		return errno == ENOENT ? 0 : -errno;
	for (i = 1; i <= KEPT_MAX; i++) {
		(void)snprintf(r->kept, sizeof(r->kept),
			       INDEX_NAME ".unreadable-%u", i);
		if (!path_of(q, r->kept, kept))
			return -ENAMETOOLONG;
		if (link(old, kept) == 0)
			return 0;
		if (errno != EEXIST)
			return -errno;
		if (stat(kept, &other) == 0 && other.st_ino == is.st_ino &&
		    other.st_dev == is.st_dev)
			return 0;
	}
	return -EEXIST;
}

static int take_name(struct queue *q)
{
	char new[PATH_ROOM], name[PATH_ROOM];
	int fd, err;

	if (!path_of(q, INDEX_NEW, new) || !path_of(q, INDEX_NAME, name))
		return -ENAMETOOLONG;
	fd = q->file->open(q->file->arg, new, O_RDWR);
	if (fd < 0)
		return fd;
	err = q->file->sync_file(q->file->arg, fd);
	q->file->close(q->file->arg, fd);
	/* The second name first: never is there none. */
	if (err == 0)
		err = q->file->sync_dir(q->file->arg, q->set.dir);
	if (err == 0 && rename(new, name) < 0)
		err = -errno;
	return err < 0 ? err : q->file->sync_dir(q->file->arg, q->set.dir);
}

int queue_rebuild_finish(struct queue_rebuild **rebuild,
			 struct queue_rebuild_report *report)
{
	struct queue_rebuild *rb = *rebuild;
	struct queue *q = rb->q;
	int err;

	/* The index will say that the log needs no second look. */
	err = queue_log_settle(q->log->set, rb->last_group, rb->end);
	if (err < 0)
		return err;
	queue_store_close(q);
	err = keep_old(q, report);
	if (err == 0)
		err = take_name(q);
	if (err < 0)
		return err;
	queue_rebuild_drop(rebuild); /* of index.new only its lock is left */
	return 0;
}
