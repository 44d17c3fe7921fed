/*
 * queue/reader.c - messages and records out, from the segments' own pages
 *
 * A walk stands at an LSN and pins the segment it reads.  It trusts a record
 * after the CRC of its envelope; content is checked only where it is handed
 * out.  What fails below durable is damage: the walk goes on at the next
 * record that is right.
 */
#include "base/bug.h"
#include "base/fetch.h"
#include "queue/log.h"
#include "queue/record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SHOW_AHEAD (256u << 10) /* brought in at once while walking */
#define PIECES_MAX 4096         /* parts of one message */
#define FETCH_HEAD 512u         /* of a page: what comes at once */
#define PAGE       4096u

struct queue_walk {
	struct queue *q;
	uint64_t lsn, skipped;
	struct segment *seg;      /* pinned, or NULL */
	uint64_t sequence, shown; /* LSN below which its pages are in */
	struct queue_out_rcpt rcpts[QUEUE_RCPTS_MAX];
};

uint64_t queue_durable_lsn(const struct queue *q)
{
	return atomic_load(&q->log->durable);
}

int queue_walk_open(struct queue *q, uint64_t from_lsn,
		    struct queue_walk **walk_r)
{
	struct queue_walk *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return -ENOMEM;
	w->q = q;
	w->lsn = from_lsn;
	*walk_r = w;
	return 0;
}

void queue_walk_seek(struct queue_walk *w, uint64_t lsn)
{
	if (w->seg != NULL)
		segment_unpin(w->seg);
	w->seg = NULL;
	w->lsn = lsn;
}

void queue_walk_close(struct queue_walk **walk)
{
	if (*walk == NULL)
		return;
	queue_walk_seek(*walk, 0);
	free(*walk);
	*walk = NULL;
}

uint64_t queue_walk_lsn(const struct queue_walk *w)
{
	return w->lsn;
}

uint64_t queue_walk_skipped(const struct queue_walk *w)
{
	return w->skipped;
}

/* Into the segment that lsn lies in, or the next one there is. */
static int enter(struct queue_walk *w, uint64_t durable)
{
	struct segments *set = w->q->log->set;
	uint64_t s = w->lsn / set->bytes, first = atomic_load(&set->first);
	int err = -ENOENT;

	if (s < first)
		s = first;
	for (; s <= durable / set->bytes; s++) {
		err = segment_pin(set, s, &w->seg);
		if (err != -ENOENT)
			break;
	}
	if (err < 0) /* none yet, or one that may yet be kept: later */
		return 0;
	w->sequence = s;
	w->shown = 0;
	if (w->lsn < segment_first(set, s))
		w->lsn = segment_first(set, s);
	return 1;
}

/* The next len octets at the walk, and some more while at it. */
static int show(struct queue_walk *w, uint64_t len, uint64_t end,
		const char **p_r)
{
	struct segments *set = w->q->log->set;
	uint64_t offset = w->lsn % set->bytes;
	uint64_t ahead = end - w->lsn < SHOW_AHEAD ? end - w->lsn : SHOW_AHEAD;
	int err;

	if (w->lsn + len <= w->shown) {
		*p_r = atomic_load(&w->seg->map) + offset;
		return 0;
	}
	if (ahead > len && segment_show(set, w->seg, offset, ahead, p_r) == 0) {
		w->shown = w->lsn + ahead;
		return 0;
	}
	err = segment_show(set, w->seg, offset, len, p_r);
	if (err == 0)
		w->shown = w->lsn + len;
	return err;
}

/* 1: a record; 0: none is right here; or a negative errno value. */
static int read_record(struct queue_walk *w, uint64_t end,
		       struct queue_record *rec_r)
{
	struct record_head h;
	const char *p;
	int err;

	if (end - w->lsn < RECORD_HEAD)
		return 0;
	err = show(w, RECORD_HEAD, end, &p);
	if (err < 0)
		return err;
	if (!record_head_read(p, end - w->lsn, w->lsn, &h))
		return 0;
	err = show(w, RECORD_HEAD + h.envelope, end, &p);
	if (err < 0)
		return err;
	return record_envelope_ok(p, &h) &&
	       record_decode(p, &h, w->rcpts, rec_r);
}

/* What cannot be read now is not stepped over, unless it was named. */
static int step_over(struct queue_walk *w, uint64_t end)
{
	int err = 0;
	uint64_t next =
		segment_resync(w->q->log->set, w->seg, w->lsn + 8, end, &err);

	if (err < 0 && !atomic_load(&w->seg->unreadable))
		return err;
	/* Where nobody knows the end, the rest may never have been. */
	if (next < end || atomic_load(&w->seg->end_known)) {
		atomic_store(&w->seg->damaged, true);
		w->skipped += next - w->lsn;
	}
	w->lsn = next;
	return 0;
}

int queue_log_next(struct queue_walk *w, struct queue_record *rec_r)
{
	for (;;) {
		uint64_t durable = queue_durable_lsn(w->q), end;
		int done;

		if (w->lsn >= durable) {
			queue_walk_seek(w, w->lsn);
			return 0;
		}
		if (w->seg == NULL) {
			if (enter(w, durable) == 0)
				return 0;
			continue; /* it may be empty, and end at durable */
		}
		end = atomic_load(&w->seg->end);
		if (w->lsn >= end) {
			/* durable lies behind it: it is full */
			queue_walk_seek(w, (w->sequence + 1) *
						   w->q->log->set->bytes);
			continue;
		}
		done = read_record(w, end, rec_r);
		if (queue_is_short(done) ||
		    (done < 0 && !atomic_load(&w->seg->unreadable)))
			return done;
		if (done > 0) {
			w->lsn = rec_r->end;
			return 1;
		}
		done = step_over(w, end);
		if (done < 0)
			return done;
	}
}

/* --- cursors ------------------------------------------------------------- */

struct queue_cursor {
	struct queue_walk *walk;
	_Atomic uint64_t *done;
};

int queue_cursor_open(struct queue *q, uint64_t from_lsn,
		      struct queue_cursor **cursor_r)
{
	struct queue_log *log = q->log;
	struct queue_cursor *c = calloc(1, sizeof(*c));
	unsigned i;
	int err;

	if (c == NULL)
		return -ENOMEM;
	err = queue_walk_open(q, from_lsn, &c->walk);
	if (err < 0) {
		free(c);
		return err;
	}
	for (i = 0; i < QUEUE_CURSORS_MAX; i++) {
		uint64_t none = UINT64_MAX;

		if (!atomic_compare_exchange_strong(&log->cursors[i], &none,
						    from_lsn))
			continue;
		atomic_store(&log->cursor_floor, UINT64_MAX);
		c->done = &log->cursors[i];
		*cursor_r = c;
		return 0;
	}
	queue_walk_close(&c->walk);
	free(c);
	return -EMFILE;
}

void queue_cursor_close(struct queue_cursor **cursor)
{
	struct queue_cursor *c = *cursor;

	queue_walk_close(&c->walk);
	atomic_store(c->done, UINT64_MAX);
	free(c);
	*cursor = NULL;
}

int queue_cursor_next(struct queue_cursor *cursor, struct queue_record *rec_r)
{
	return queue_log_next(cursor->walk, rec_r);
}

void queue_cursor_again(struct queue_cursor *cursor, uint64_t lsn)
{
	queue_walk_seek(cursor->walk, lsn);
}

void queue_cursor_done(struct queue_cursor *cursor, uint64_t lsn)
{
	BUG_ON(lsn < atomic_load(cursor->done));
	BUG_ON(lsn == UINT64_MAX);
	atomic_store(cursor->done, lsn);
}

uint64_t queue_cursor_lowest(const struct queue *q)
{
	uint64_t low = atomic_load(&q->log->cursor_floor);
	unsigned i;

	for (i = 0; i < QUEUE_CURSORS_MAX; i++) {
		uint64_t done = atomic_load(&q->log->cursors[i]);

		if (done < low)
			low = done;
	}
	return low;
}

/* --- messages ------------------------------------------------------------ */

/* What an open message holds on to. */
struct pieces {
	int count, size;
	struct iovec *iov;
	struct segment **pins;
	uint32_t *crcs; /* of each, as its record says */
};

static void pieces_free(struct pieces *s)
{
	int i;

	for (i = 0; i < s->count; i++)
		segment_unpin(s->pins[i]);
	free(s->iov);
	free(s->pins);
	free(s->crcs);
	free(s);
}

static int pieces_grow(struct pieces *s)
{
	int size = s->size == 0 ? 16 : 2 * s->size;
	struct iovec *iov;
	struct segment **pins;
	uint32_t *crcs;

	if (s->count < s->size)
		return 0;
	if (size > PIECES_MAX)
		return -EUCLEAN;
	iov = realloc(s->iov, (size_t)size * sizeof(*iov));
	if (iov == NULL)
		return -ENOMEM;
	s->iov = iov;
	pins = realloc(s->pins, (size_t)size * sizeof(struct segment *));
	if (pins == NULL)
		return -ENOMEM;
	s->pins = pins;
	crcs = realloc(s->crcs, (size_t)size * sizeof(*crcs));
	if (crcs == NULL)
		return -ENOMEM;
	s->crcs = crcs;
	s->size = size;
	return 0;
}

/*
 * The head's page and the next one at once, where a record as a rule ends:
 * each bringing in costs more than a page.  If that fails it may be for what
 * is behind the record: then the head alone.
 */
static int show_head(struct segments *set, struct segment *seg, uint64_t offset,
		     uint64_t room, uint64_t *shown_r, const char **p_r)
{
	uint64_t both = (offset / PAGE + 2) * PAGE - offset;

	*shown_r = room < both ? room : both;
	if (segment_show(set, seg, offset, *shown_r, p_r) == 0)
		return 0;
	*shown_r = RECORD_HEAD;
	return segment_show(set, seg, offset, RECORD_HEAD, p_r);
}

/* The record at lsn in a pinned segment, brought in whole and checked. */
static int whole_record(struct segments *set, struct segment *seg, uint64_t lsn,
			struct record_head *h_r, const char **p_r)
{
	uint64_t end = atomic_load(&seg->end), offset = lsn % set->bytes, shown;
	int err;

	if (lsn >= end || lsn % 8 != 0 || offset < SEGMENT_HEAD)
		return -ENOENT;
	if (end - lsn < RECORD_HEAD)
		return -EUCLEAN;
	err = show_head(set, seg, offset, end - lsn, &shown, p_r);
	if (err < 0)
		return err;
	if (!record_head_read(*p_r, end - lsn, lsn, h_r))
		return -EUCLEAN;
	if (h_r->length > shown)
		err = segment_show(set, seg, offset, h_r->length, p_r);
	if (err < 0)
		return err;
	if (!record_envelope_ok(*p_r, h_r) || !record_content_ok(*p_r, h_r))
		return -EUCLEAN;
	return 0;
}

static struct iovec content_of(const char *p, const struct record_head *h)
{
	return (struct iovec){
		.iov_base = (void *)(uintptr_t)(p + RECORD_HEAD + h->envelope),
		.iov_len = record_content_bytes(h),
	};
}

/* Add one part to what is open; its own pin beside the walk's. */
static int add_part(struct queue *q, struct pieces *s, uint64_t lsn)
{
	struct segments *set = q->log->set;
	struct record_head h;
	struct segment *seg;
	const char *p;
	int err = pieces_grow(s);

	if (err == 0)
		err = segment_pin(set, lsn / set->bytes, &seg);
	if (err < 0)
		return err;
	err = whole_record(set, seg, lsn, &h, &p);
	if (err < 0) {
		segment_unpin(seg);
		return err;
	}
	s->pins[s->count] = seg;
	s->crcs[s->count] = h.content_crc;
	s->iov[s->count++] = content_of(p, &h);
	return 0;
}

/* Follow the log from the message on until all its octets have come. */
static int add_parts(struct queue *q, struct pieces *s,
		     const struct queue_record *msg)
{
	uint64_t have = msg->content_bytes;
	struct queue_record rec;
	struct queue_walk *walk;
	int err = queue_walk_open(q, msg->end, &walk);

	if (err < 0)
		return err;
	while (err == 0 && have < msg->msg.size) {
		err = queue_log_next(walk, &rec);
		if (err <= 0) {
			err = err == 0 ? -ENOENT : err;
			break;
		}
		err = 0;
		if (rec.type != QUEUE_REC_PART || rec.part.id != msg->lsn)
			continue;
		if (rec.part.abandoned)
			err = -ENOENT;
		else if (rec.part.offset != have ||
			 rec.part.length > msg->msg.size - have)
			err = -EUCLEAN; /* one between is lost */
		else
			err = add_part(q, s, rec.lsn);
		have += rec.part.length;
	}
	queue_walk_close(&walk);
	return err;
}

/* A message of several records: the first one's pin is handed over. */
static int open_parts(struct queue *q, const struct queue_record *rec,
		      const struct record_head *h, struct segment *seg,
		      struct pieces **pieces_r)
{
	struct pieces *s = calloc(1, sizeof(*s));
	int err;

	if (s == NULL)
		return -ENOMEM;
	err = pieces_grow(s);
	if (err == 0)
		err = add_parts(q, s, rec);
	if (err == 0)
		err = pieces_grow(s);
	if (err < 0) {
		pieces_free(s);
		return err;
	}
	memmove(s->iov + 1, s->iov, (size_t)s->count * sizeof(s->iov[0]));
	memmove(s->crcs + 1, s->crcs, (size_t)s->count * sizeof(s->crcs[0]));
	s->iov[0] = content_of(rec->envelope - RECORD_HEAD, h);
	s->crcs[0] = h->content_crc;
	s->pins[s->count++] = seg;
	*pieces_r = s;
	return 0;
}

/* Is this record the one that is looked for, where it is looked for? */
static bool is_it(const struct queue_record *rec, const struct queue_move *at)
{
	if (at->id == at->from)
		return (uint8_t)rec->type == at->type;
	return rec->type == QUEUE_REC_MOVE && rec->move.why == 0 &&
	       rec->move.type == at->type && rec->move.id == at->id;
}

/* Decode into the view; the segment stays pinned on success. */
static int open_pinned(struct queue *q, const struct queue_move *at,
		       struct segment *seg, struct queue_view *view,
		       struct log_source *to)
{
	struct pieces *pieces = NULL;
	struct record_head h;
	struct queue_record rec;
	const char *p;
	int err = whole_record(q->log->set, seg, at->from, &h, &p);

	if (err < 0)
		return err;
	if (h.type != at->type && h.type != QUEUE_REC_MOVE)
		return -ENOENT;
	if (!record_decode(p, &h, NULL, &rec))
		return -EUCLEAN;
	if (!is_it(&rec, at))
		return -ENOENT;
	if (rec.content_bytes < rec.msg.size)
		err = open_parts(q, &rec, &h, seg, &pieces);
	if (err < 0)
		return err;
	*view = rec.msg;
	view->one = content_of(p, &h);
	view->content = pieces == NULL ? &view->one : pieces->iov;
	view->content_count = pieces == NULL ? 1 : pieces->count;
	view->pin = pieces == NULL ? (void *)seg : pieces;
	to->raw = rec.raw;
	to->crc = h.content_crc;
	to->crcs = pieces == NULL ? &to->crc : pieces->crcs;
	return 0;
}

/* Parts lie in several segments: each has a pin of its own. */
static void unshare(struct queue_pins *pins, const struct segments *set,
		    uint64_t place, struct segment *seg)
{
	struct segment *again;

	BUG_ON(segment_pin(set, place / set->bytes, &again) < 0);
	BUG_ON(again != seg);
	segment_unpin_shared(pins, seg);
}

static int source_open(struct queue *q, struct queue_pins *pins,
		       const struct queue_move *at, struct queue_view *view,
		       struct log_source *to)
{
	struct segments *set = q->log->set;
	struct segment *seg;
	int err = segment_pin_shared(set, pins, at->from / set->bytes, &seg);

	if (err < 0) /* one that is being freed holds nothing that lives */
		return -ENOENT;
	err = open_pinned(q, at, seg, view, to);
	if (err < 0) {
		segment_unpin_shared(pins, seg);
		return err;
	}
	if (pins != NULL && view->content != &view->one)
		unshare(pins, set, at->from, seg);
	view->pins = pins;
	return 0;
}

int log_source_open(struct queue *q, const struct queue_move *at,
		    struct queue_view *view_r, struct log_source *source_r)
{
	return source_open(q, NULL, at, view_r, source_r);
}

int queue_message_open_shared(struct queue *q, struct queue_pins *pins,
			      uint64_t id, uint64_t place,
			      struct queue_view *view_r)
{
	struct queue_move at = { .id = id,
				 .from = place,
				 .type = QUEUE_REC_MSG };
	struct log_source source;

	return source_open(q, pins, &at, view_r, &source);
}

int queue_message_open_at(struct queue *q, uint64_t id, uint64_t place,
			  struct queue_view *view_r)
{
	return queue_message_open_shared(q, NULL, id, place, view_r);
}

int queue_message_open(struct queue *q, uint64_t id, struct queue_view *view_r)
{
	return queue_message_open_at(q, id, id, view_r);
}

/* As a walk reads it, which follows envelopes alone. */
static int read_envelope(struct queue *q, const struct queue_move *at,
			 struct queue_view *view)
{
	struct queue_record rec;
	struct queue_walk *walk;
	int err = queue_walk_open(q, at->from, &walk);

	if (err < 0)
		return err;
	err = queue_log_next(walk, &rec);
	queue_walk_close(&walk);
	if (err < 0)
		return err;
	if (err == 0 || rec.lsn != at->from)
		return -EUCLEAN;
	if (!is_it(&rec, at))
		return -ENOENT;
	*view = rec.msg;
	return 0;
}

int queue_envelope_open_at(struct queue *q, uint64_t id, uint64_t place,
			   struct queue_view *view_r)
{
	struct queue_move at = { .id = id,
				 .from = place,
				 .type = QUEUE_REC_MSG };
	struct segments *set = q->log->set;
	struct segment *seg;
	int err;

	/* Pinned before and after the walk, whose pin is its own. */
	if (segment_pin(set, place / set->bytes, &seg) < 0)
		return -ENOENT;
	err = read_envelope(q, &at, view_r);
	if (err < 0) {
		segment_unpin(seg);
		return err;
	}
	view_r->content = &view_r->one;
	view_r->content_count = 0;
	view_r->pin = seg;
	view_r->pins = NULL;
	return 0;
}

/* The places of its pages are what is far away: two walks through the tables,
 * the machine's and its host's. */
void queue_message_expect(const struct queue *q, uint64_t place)
{
	const struct segments *set = q->log->set;
	struct segment *seg = segments_find(set, place / set->bytes);
	const char *map = seg == NULL ? NULL : atomic_load(&seg->map);
	uint64_t at;

	if (map == NULL)
		return;
	at = place % set->bytes;
	fetch_ahead(map + at, FETCH_HEAD);
	fetch_ahead(map + (at / PAGE + 1) * PAGE, FETCH_HEAD);
}

void queue_message_close(struct queue *q, struct queue_view *view)
{
	(void)q;
	BUG_ON(view->pin == NULL);
	if (view->content == &view->one)
		segment_unpin_shared(view->pins, view->pin);
	else
		pieces_free(view->pin);
	view->pin = NULL;
	view->content = NULL;
}
