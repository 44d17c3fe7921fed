/*
 * queue/log.c - records in: a group is staged, written once and synced once
 *
 *	stage      [head envelope small][head envelope ....][pad]...
 *	pieces      stage ───┐ caller's content ─┐ stage ─┐ ...      (pwritev)
 *
 * Heads and envelopes are copied into the stage, large content is written
 * from where the caller has it.  All records of a group lie in one segment.
 *
 *	            put                    commit
 *	  EMPTY ───────────► STAGED ─────────────────► EMPTY, durable
 *	    ▲ (may begin a      │ write or sync failed
 *	    │  new segment)     ▼
 *	    └──── durable ◄── MOVED to a new segment ──► FAILED for good
 *
 * Moving shifts every LSN of the group by the same amount: the heads lie in
 * the stage and are sealed anew, the contents are still lent.
 */
#include "queue/log.h"

#include "base/bug.h"
#include "base/crc32c.h"
#include "queue/record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int log_new(struct segments *set, struct queue_log **log_r)
{
	struct queue_log *log = calloc(1, sizeof(*log));
	unsigned i;

	if (log == NULL)
		return -ENOMEM;
	log->stage = malloc(LOG_STAGE_BYTES);
	if (log->stage == NULL) {
		free(log);
		return -ENOMEM;
	}
	log->set = set;
	log->fd = log->lock_fd = -1;
	for (i = 0; i < QUEUE_CURSORS_MAX; i++)
		atomic_init(&log->cursors[i], UINT64_MAX);
	atomic_init(&log->cursor_floor, UINT64_MAX);
	*log_r = log;
	return 0;
}

void log_free(struct queue_log **log)
{
	struct queue_log *l = *log;

	log_mover_drop(l);
	if (l->fd >= 0)
		l->set->file->close(l->set->file->arg, l->fd);
	free(l->stage);
	free(l);
	*log = NULL;
}

void log_set_end(struct queue_log *log, uint64_t last_sequence,
		 uint64_t prev_sequence, uint64_t end)
{
	log->last_sequence = last_sequence;
	log->prev_sequence = prev_sequence;
	log->prev_end = prev_sequence == 0 ? 0 : end;
	atomic_store(&log->durable, end);
}

/* --- segments ------------------------------------------------------------ */

static bool disk_has(const struct queue *q, uint64_t bytes)
{
	return atomic_load(&q->log->set->space) >=
	       q->set.free_bytes_min + bytes;
}

/* Ready segments that each leaves alone. */
static const uint32_t kept_for
	[] = { [ROOM_MAIL] = SEGMENT_RESERVE, [ROOM_MOVE] = 1, [ROOM_OUT] = 0 };

/* A segment to write over; made on the spot when nobody did so ahead. */
static int take_segment(struct queue *q, enum log_room room,
			struct segment **seg_r)
{
	struct segments *set = q->log->set;
	uint32_t keep = kept_for[room];
	struct segment *seg = q->log->spare;
	int err;

	if (seg == NULL)
		seg = segments_take(set, keep);
	q->log->spare = NULL;
	if (seg != NULL) {
		*seg_r = seg;
		return 0;
	}
	segments_look(set);
	if (room != ROOM_OUT && !disk_has(q, set->bytes))
		return -ENOSPC;
	err = segment_create(set, seg_r);
	return err == -EDQUOT ? -ENOSPC : err;
}

/* Something is short that has nothing to do with the disk's health. */
static bool is_short(int err)
{
	return queue_is_short(err) || err == -ENOSPC;
}

static void leave_segment(struct queue_log *log)
{
	if (log->active == NULL)
		return;
	log->prev_sequence = atomic_load(&log->active->sequence);
	log->prev_end = atomic_load(&log->active->end);
	log->active = NULL;
	log->set->file->close(log->set->file->arg, log->fd);
	log->fd = -1;
}

/*
 * Begin a new segment; nothing of the old one is un-synced (or it has failed
 * and ends where it was last durable).
 */
static int turn(struct queue *q, enum log_room room)
{
	struct queue_log *log = q->log;
	uint64_t sequence =
		segments_next_sequence(log->set, log->last_sequence);
	struct segment *seg;
	int err;

	if (sequence == 0)
		return -ENOSPC;
	err = take_segment(q, room, &seg);
	if (err < 0)
		return err;
	leave_segment(log);
	log->last_sequence = sequence; /* used up, even if the header fails */
	seg->prev_sequence = log->prev_sequence;
	seg->prev_end = log->prev_end;
	err = segment_begin(log->set, seg, sequence, &log->fd);
	if (err < 0) {
		/* Else nobody knows what its header says now: leave it. */
		if (is_short(err))
			log->spare = seg;
		return err;
	}
	atomic_store(&seg->end, segment_first(log->set, sequence));
	atomic_store(&seg->end_known, true);
	segment_publish(log->set, seg, sequence);
	log->active = seg;
	log->group = log->at = segment_first(log->set, sequence);
	log->written = log->group;
	log->early = 0;
	return 0;
}

/* A header that cannot be written is tried in one more segment. */
static int turn_twice(struct queue *q, enum log_room room)
{
	int err = turn(q, room);

	if (err == 0 || is_short(err))
		return err;
	return turn(q, room);
}

static uint64_t segment_limit(const struct queue_log *log)
{
	if (log->active == NULL)
		return 0;
	return (atomic_load(&log->active->sequence) + 1) * log->set->bytes;
}

/* --- staging ------------------------------------------------------------- */

static int disk_allows(struct queue *q)
{
	struct queue_log *log = q->log;

	if (log->unlooked >= LOG_LOOK_BYTES) {
		segments_look(log->set);
		log->unlooked = 0;
	}
	if (!disk_has(q, 0)) {
		segments_look(log->set);
		if (!disk_has(q, 0))
			return -ENOSPC;
	}
	return 0;
}

/* Room for one more record in the group and in its segment. */
static int make_room(struct queue *q, enum log_room room, uint64_t bytes)
{
	struct queue_log *log = q->log;
	int err;

	if (log->failed < 0)
		return log->failed;
	if (bytes > log->set->bytes - SEGMENT_HEAD)
		return -EMSGSIZE;
	err = room == ROOM_MAIL ? disk_allows(q) : 0;
	if (err < 0)
		return err;
	if (log->head_count > 0) {
		if (log->at + bytes > segment_limit(log) ||
		    log->piece_count + 8 > (int)LOG_PIECES ||
		    log->head_count == LOG_HEADS ||
		    log->at - log->group + bytes > LOG_GROUP_BYTES ||
		    log->stage_bytes + bytes > LOG_STAGE_BYTES)
			return -EAGAIN;
		return 0;
	}
	if (log->at + bytes <= segment_limit(log))
		return 0;
	err = turn_twice(q, room);
	if (err < 0 && !is_short(err))
		log->failed = err;
	return err;
}

/* The next octets of the group, in the stage or where the caller has them. */
static void add_piece(struct queue_log *log, const void *p, size_t len)
{
	struct iovec *last;

	if (len == 0)
		return;
	if (log->piece_count > 0) {
		last = &log->pieces[log->piece_count - 1];
		if ((const char *)last->iov_base + last->iov_len == p) {
			last->iov_len += len;
			return;
		}
	}
	BUG_ON(log->piece_count == LOG_PIECES);
	log->pieces[log->piece_count].iov_base = (void *)(uintptr_t)p;
	log->pieces[log->piece_count++].iov_len = len;
}

static char *stage(struct queue_log *log, size_t len)
{
	char *p = log->stage + log->stage_bytes;

	BUG_ON(len > LOG_STAGE_BYTES - log->stage_bytes);
	log->stage_bytes += len;
	add_piece(log, p, len);
	return p;
}

int log_draft_begin(struct queue *q, enum log_room room, size_t envelope,
		    size_t content, struct log_draft *d_r)
{
	struct queue_log *log = q->log;
	int err = make_room(q, room,
			    record_room(RECORD_HEAD + envelope + content));

	if (err < 0)
		return err;
	BUG_ON(log->stage_bytes % 8 != 0);
	log->heads[log->head_count++] = (uint32_t)log->stage_bytes;
	d_r->rec = stage(log, RECORD_HEAD + envelope);
	d_r->envelope = (uint32_t)envelope;
	d_r->content_bytes = (uint32_t)content;
	d_r->crc = 0;
	return 0;
}

void log_draft_content(struct queue_log *log, struct log_draft *d,
		       const struct iovec *iov, int count)
{
	int i;

	for (i = 0; i < count; i++) {
		const void *p = iov[i].iov_base;
		size_t len = iov[i].iov_len;

		d->crc = crc32c(d->crc, p, len);
		/* Beside this one: a copy, the padding, the next record. */
		if (len < LOG_COPY_BYTES ||
		    log->piece_count + 4 > (int)LOG_PIECES) {
			if (len > 0)
				memcpy(stage(log, len), p, len);
		} else {
			add_piece(log, p, len);
		}
	}
}

void log_draft_copy(struct queue_log *log, struct log_draft *d, const void *p,
		    size_t len)
{
	char *to;

	if (len == 0)
		return;
	to = stage(log, len);
	memcpy(to, p, len);
	d->crc = crc32c(d->crc, to, len);
}

void log_draft_drop(struct queue_log *log, const struct log_draft *d)
{
	struct iovec *last = &log->pieces[log->piece_count - 1];
	size_t at = (size_t)(d->rec - log->stage), len;

	/* All of it is the end of the stage and of the last piece. */
	len = log->stage_bytes - at;
	BUG_ON(log->heads[log->head_count - 1] != at || last->iov_len < len);
	log->head_count--;
	log->stage_bytes = at;
	last->iov_len -= len;
	if (last->iov_len == 0)
		log->piece_count--;
}

/* Pad and seal; gives the record's LSN. */
uint64_t log_draft_end(struct queue_log *log, const struct log_draft *d,
		       enum queue_record_type type, uint8_t flags)
{
	struct record_head h = {
		.type = (uint8_t)type,
		.flags = flags,
		.group = (uint32_t)(log->group % log->set->bytes),
		.lsn = log->at,
		.length = RECORD_HEAD + d->envelope + d->content_bytes,
		.envelope = d->envelope,
		.content_crc = d->crc,
	};
	size_t pad = (size_t)(record_room(h.length) - h.length);

	/* Heads lie on eights in the stage too: a gap that is not written
	 * goes before the padding, which then joins the next record. */
	log->stage_bytes = (size_t)record_room(log->stage_bytes + pad) - pad;
	if (pad > 0)
		memset(stage(log, pad), 0, pad);
	record_seal(d->rec, h);
	log->at = record_end(&h);
	return h.lsn;
}

/* --- the public puts ----------------------------------------------------- */

int queue_put_message(struct queue *q, const struct queue_message *msg,
		      uint64_t *id_r)
{
	size_t envelope, content;
	struct log_draft d;
	int err = record_message_size(msg, &envelope, &content);

	if (err == 0)
		err = log_draft_begin(q, ROOM_MAIL, envelope, content, &d);
	if (err < 0)
		return err;
	record_message_write(msg, d.rec + RECORD_HEAD);
	log_draft_content(q->log, &d, msg->content, msg->content_count);
	*id_r = log_draft_end(q->log, &d, QUEUE_REC_MSG, 0);
	return 0;
}

int queue_put_part(struct queue *q, uint64_t id, uint64_t offset,
		   const struct iovec *content, int content_count)
{
	struct log_draft d;
	size_t bytes;
	int err = record_content_size(content, content_count, QUEUE_PART_MAX,
				      &bytes);

	if (err == 0 && (bytes == 0 || offset > QUEUE_CONTENT_MAX - bytes))
		err = bytes == 0 ? -EINVAL : -EMSGSIZE;
	if (err == 0)
		err = log_draft_begin(q, ROOM_MAIL, RECORD_PART_SIZE, bytes,
				      &d);
	if (err < 0)
		return err;
	record_part_write(id, offset, d.rec + RECORD_HEAD);
	log_draft_content(q->log, &d, content, content_count);
	log_draft_end(q->log, &d, QUEUE_REC_PART, 0);
	return 0;
}

int queue_put_abandon(struct queue *q, uint64_t id)
{
	struct log_draft d;
	int err = log_draft_begin(q, ROOM_OUT, RECORD_PART_SIZE, 0, &d);

	if (err < 0)
		return err;
	record_part_write(id, 0, d.rec + RECORD_HEAD);
	log_draft_end(q->log, &d, QUEUE_REC_PART, RECORD_FLAG_ABANDONED);
	return 0;
}

int queue_put_out(struct queue *q, const struct queue_out *out)
{
	struct log_draft d;
	size_t envelope;
	int err = record_out_size(out, &envelope);

	if (err == 0)
		err = log_draft_begin(q, ROOM_OUT, envelope, 0, &d);
	if (err < 0)
		return err;
	record_out_write(out, d.rec + RECORD_HEAD);
	log_draft_end(q->log, &d, QUEUE_REC_OUT, 0);
	return 0;
}

int queue_put_decision(struct queue *q, const struct queue_decision *dec,
		       uint64_t *lsn_r)
{
	struct log_draft d;
	size_t envelope;
	int err = record_decision_size(dec, &envelope);

	if (err == 0)
		err = log_draft_begin(q, ROOM_OUT, envelope, 0, &d);
	if (err < 0)
		return err;
	record_decision_write(dec, d.rec + RECORD_HEAD);
	*lsn_r = log_draft_end(q->log, &d, QUEUE_REC_DEC, 0);
	return 0;
}

int queue_put_checkpoint(struct queue *q, uint64_t lsn, uint32_t now_s)
{
	struct queue_ckpt ckpt = { lsn, now_s };
	struct log_draft d;
	int err = log_draft_begin(q, ROOM_OUT, RECORD_CKPT_SIZE, 0, &d);

	if (err < 0)
		return err;
	record_ckpt_write(&ckpt, d.rec + RECORD_HEAD);
	log_draft_end(q->log, &d, QUEUE_REC_CKPT, 0);
	return 0;
}

bool queue_out_room(const struct queue *q)
{
	/* One ready segment beside the active one takes the outcomes of all
	 * that is in flight; neither mail nor moves take it. */
	return segments_ready(q->log->set) >= 1 || disk_has(q, 0);
}

size_t queue_staged(const struct queue *q)
{
	return q->log->head_count > 0 ? (size_t)(q->log->at - q->log->group)
				      : 0;
}

/* --- commit -------------------------------------------------------------- */

/* What of the group lies from LSN `from` up to `to`; how many pieces of it are
 * in log->spent. */
static int cut_pieces(struct queue_log *log, uint64_t from, uint64_t to)
{
	size_t skip = (size_t)(from - log->group), left = (size_t)(to - from);
	int i, n = 0;

	for (i = 0; i < log->piece_count && left > 0; i++) {
		struct iovec v = log->pieces[i];

		if (skip >= v.iov_len) {
			skip -= v.iov_len;
			continue;
		}
		v.iov_base = (char *)v.iov_base + skip;
		v.iov_len -= skip;
		skip = 0;
		if (v.iov_len > left)
			v.iov_len = left;
		left -= v.iov_len;
		log->spent[n++] = v;
	}
	BUG_ON(left > 0);
	return n;
}

void queue_write_early(struct queue *q)
{
	struct queue_log *log = q->log;
	const struct queue_file_ops *file = log->set->file;
	uint64_t from = log->written, to = log->at - log->at % LOG_PAGE;

	if (log->failed < 0 || log->early < 0 || log->head_count == 0 ||
	    to < from + LOG_EARLY_BYTES)
		return;
	log->early = queue_file_write(file, log->fd, log->spent,
				      cut_pieces(log, from, to),
				      from % log->set->bytes);
	if (log->early < 0)
		return;
	log->written = to;
	/* The disk works while the rest of the group is being made. */
	if (file->begin_sync != NULL)
		file->begin_sync(file->arg, log->fd, from % log->set->bytes,
				 to - from);
}

/*
 * Zeros follow up to the end of the page: of a recycled segment that is in no
 * cache the kernel would have to read a page that is written in part.
 */
static int write_group(struct queue_log *log)
{
	static const char zeros[LOG_PAGE];
	const struct queue_file_ops *file = log->set->file;
	size_t over = (size_t)(log->at % LOG_PAGE);
	int count, err = log->early;

	if (err < 0)
		return err;
	count = cut_pieces(log, log->written, log->at);
	if (over > 0) {
		log->spent[count].iov_base = (char *)(uintptr_t)zeros;
		log->spent[count++].iov_len = LOG_PAGE - over;
	}
	err = queue_file_write(file, log->fd, log->spent, count,
			       log->written % log->set->bytes);
	if (err < 0)
		return err;
	return file->sync_data(file->arg, log->fd);
}

/* The group goes to a new segment: nothing tells what the disk holds of it
 * where it was, and an fdatasync that failed must not be asked again. */
static int move_group(struct queue *q, struct queue_committed *done)
{
	struct queue_log *log = q->log;
	uint64_t from = log->group, size = log->at - log->group, by;
	uint32_t i;
	int err = turn_twice(q, ROOM_OUT);

	if (err < 0)
		return err;
	by = log->group - from;
	for (i = 0; i < log->head_count; i++)
		record_move(log->stage + log->heads[i], from, by,
			    (uint32_t)(log->group % log->set->bytes));
	log->at = log->group + size;
	done->moved_from = from;
	done->moved_by = by;
	log->mover.place = queue_lsn_final(done, log->mover.place);
	return write_group(log);
}

static void empty_stage(struct queue_log *log)
{
	log->head_count = 0;
	log->piece_count = 0;
	log->stage_bytes = 0;
	log->group = log->written = log->at;
	log->early = 0;
}

int queue_commit(struct queue *q, struct queue_committed *done_r)
{
	struct queue_log *log = q->log;
	struct queue_committed done = { .moved_from = UINT64_MAX };
	int err = 0;

	if (log->failed < 0)
		return log->failed;
	if (log->head_count > 0) {
		err = write_group(log);
		if (err < 0) {
			done.moved_why = err;
			err = move_group(q, &done);
		}
		log->unlooked += log->at - log->group;
	}
	if (err < 0) {
		log->failed = err;
		empty_stage(log);
		return err;
	}
	if (log->head_count > 0) {
		/* First the end, then durable: who sees the second sees the
		 * first (queue_log_next). */
		atomic_store(&log->active->end, log->at);
		atomic_store(&log->durable, log->at);
		empty_stage(log);
	}
	done.durable = atomic_load(&log->durable);
	*done_r = done;
	return 0;
}
