/*
 * queue/recover.c - where the log ends, and what is damaged before that
 *
 * A segment ends where its successor's header says.  The last one has no
 * successor: there a record that fails may be the torn tail of a group that
 * nobody was told of, or damage to what had been durable.  They are told
 * apart by the groups: each record says where its group begins, and a group
 * is written only after the one before is durable.  So
 *
 *	[good][good][FAILS][....][good, of a group that begins behind FAILS]
 *
 * proves that FAILS was durable once: damage, stepped over and named.  With no
 * such record behind it, FAILS is the tail, and the log ends there.  What the
 * disk cannot read is always damage: it may have been acknowledged.  It may
 * also be read an hour later, so opening the queue stops there instead
 * (log_check.stop): behind a checkpoint nobody would look at it again.
 */
#include "queue/recover.h"

#include "base/bug.h"
#include "queue/record.h"

#include <errno.h>
#include <stdio.h>

#define SHOW_MANY (256u << 10)

enum found {
	FOUND_WHOLE,
	FOUND_CONTENT_BAD,
	FOUND_NOTHING
};

/* A segment while it is checked. */
struct place {
	struct segments *set;
	struct segment *seg;
	uint64_t sequence, to;
	/* LSNs: the pages from..to are in; below alone each record is asked
	 * for by itself. */
	uint64_t shown_from, shown_to, alone;
	bool unreadable; /* what look() failed at: no tail, a bad disk */
	int err;         /* the first read that failed */
};

void log_check_init(struct log_check *c, size_t words_max)
{
	*c = (struct log_check){ .bytes = 0 };
	buf_init(&c->words, words_max);
}

void log_check_free(struct log_check *c)
{
	buf_free(&c->words);
}

/*
 * The next octets, and many more while at it: three calls for each record
 * would cost more than its CRC.  Where one of many pages cannot be read it is
 * asked exactly.
 */
static int show_many(struct place *w, uint64_t at, uint64_t len,
		     const char **p_r)
{
	uint64_t many = w->to - at < SHOW_MANY ? w->to - at : SHOW_MANY;
	int err;

	if (at >= w->shown_from && at + len <= w->shown_to) {
		*p_r = atomic_load(&w->seg->map) + at % w->set->bytes;
		return 0;
	}
	if (many > len && at >= w->alone) {
		err = segment_show(w->set, w->seg, at % w->set->bytes, many,
				   p_r);
		if (err == 0) {
			w->shown_from = at;
			w->shown_to = at + many;
			return 0;
		}
		w->alone = at + many;
	}
	return segment_show(w->set, w->seg, at % w->set->bytes, len, p_r);
}

static bool show(struct place *w, uint64_t at, uint64_t len, const char **p_r)
{
	int err = show_many(w, at, len, p_r);

	if (err == 0)
		return true;
	if (err != -EUCLEAN && w->err == 0) /* not just cut off */
		w->err = err;
	w->unreadable = true;
	return false;
}

static uint64_t resync(struct place *w, uint64_t from)
{
	return segment_resync(w->set, w->seg, from, w->to, &w->err);
}

static enum found look(struct place *w, uint64_t at, struct record_head *h_r)
{
	struct queue_out_rcpt rcpts[QUEUE_RCPTS_MAX];
	struct queue_record rec;
	const char *p;

	w->unreadable = false;
	if (w->to - at < RECORD_HEAD || !show(w, at, RECORD_HEAD, &p) ||
	    !record_head_read(p, w->to - at, at, h_r) ||
	    !show(w, at, RECORD_HEAD + h_r->envelope, &p) ||
	    !record_envelope_ok(p, h_r) || !record_decode(p, h_r, rcpts, &rec))
		return FOUND_NOTHING;
	if (!show(w, at, h_r->length, &p) || !record_content_ok(p, h_r))
		return FOUND_CONTENT_BAD;
	return FOUND_WHOLE;
}

/*
 * Is what fails at `at` the torn tail?  Gives where the torn octets end: at
 * the last thing that still looks like a record of this group.
 */
static bool is_tail(struct place *w, uint64_t at, uint64_t *torn_end_r)
{
	uint64_t base = w->sequence * w->set->bytes, torn = at, next;
	struct record_head h;
	const char *p;

	if (show(w, at, RECORD_HEAD, &p) &&
	    record_head_read(p, w->to - at, at, &h))
		torn = record_end(&h);
	for (next = resync(w, at + 8); next < w->to;
	     next = resync(w, record_end(&h))) {
		if (!show(w, next, RECORD_HEAD, &p) ||
		    !record_head_read(p, w->to - next, next, &h))
			break;
		if (base + h.group > at)
			return false;
		if (record_end(&h) > torn)
			torn = record_end(&h);
	}
	*torn_end_r = torn;
	return true;
}

static void say_damage(struct log_check *c, const struct place *w,
		       uint64_t from, uint64_t to, const char *what)
{
	uint64_t base = w->sequence * w->set->bytes;

	atomic_store(&w->seg->damaged, true);
	if (w->unreadable)
		atomic_store(&w->seg->unreadable, true);
	(void)buf_printf(&c->words,
			 "log/seg-%08x: octets %llu to %llu (LSN %llu): %s\n",
			 w->seg->number, (unsigned long long)(from - base),
			 (unsigned long long)(to - base),
			 (unsigned long long)from, what);
}

static void check_segment(struct place *w, uint64_t at, struct log_check *c)
{
	bool known = atomic_load(&w->seg->end_known);
	struct record_head h;
	uint64_t torn_end, next;

	while (at < w->to && !(c->stop && w->err < 0)) {
		enum found found = look(w, at, &h);

		if (found != FOUND_WHOLE && !known && !w->unreadable &&
		    w->to - at >= RECORD_HEAD && is_tail(w, at, &torn_end)) {
			c->torn_bytes += torn_end - at;
			break;
		}
		if (found == FOUND_NOTHING) {
			next = resync(w, at + 8);
			if (next == w->to && !known && !w->unreadable)
				break;
			if (next == w->to && !known) /* up to the next page */
				next = at - at % SEGMENT_HEAD + SEGMENT_HEAD;
			c->damaged++;
			say_damage(c, w, at, next,
				   "no record can be read here; skipped");
			at = next;
			continue;
		}
		if (found == FOUND_CONTENT_BAD) {
			c->content_damaged++;
			say_damage(c, w, at, record_end(&h),
				   "the content of this message is damaged");
		}
		c->last_group = w->sequence * w->set->bytes + h.group;
		c->types[h.type]++;
		c->bytes += record_end(&h) - at;
		at = record_end(&h);
	}
	atomic_store(&w->seg->end, at < w->to ? at : w->to);
	atomic_store(&w->seg->end_known, true);
}

/* What ends where the checkpoint does is covered whole: it may be recycled
 * though the checkpoint's LSN lies in it. */
static void check_missing(const struct segments *set, const struct segment *seg,
			  uint64_t from_lsn, struct log_check *c)
{
	if (seg->prev_sequence == 0 || seg->prev_end <= from_lsn ||
	    segments_find(set, seg->prev_sequence) != NULL)
		return;
	c->damaged++;
	(void)buf_printf(&c->words,
			 "the segment before log/seg-%08x (sequence %llu) is "
			 "missing\n",
			 seg->number, (unsigned long long)seg->prev_sequence);
}

static void say_broken(const struct segments *set, struct log_check *c)
{
	const struct segment *seg = atomic_load(&set->all);

	for (; seg != NULL; seg = seg->all) {
		if (seg->kind != SEGMENT_BROKEN)
			continue;
		c->damaged++;
		(void)buf_printf(&c->words,
				 "log/seg-%08x: its header is damaged; what it "
				 "holds is not read and not written over\n",
				 seg->number);
	}
}

static void note_failed(const struct place *w, struct log_check *c)
{
	if (c->failed == 0 && w->err < 0) {
		c->failed = w->err;
		c->unread = w->seg;
	}
}

/* This segment and the next are on their way while the CPU is busy: where the
 * page cache is empty the disk sets the pace. */
static void read_ahead(const struct place *w, uint64_t at)
{
	const struct segments *set = w->set;
	const struct segment *next = segments_find(set, w->sequence + 1);

	segment_ahead(set, w->seg, at % set->bytes);
	if (next != NULL)
		segment_ahead(set, next, 0);
}

uint64_t log_check_run(struct segments *set, uint64_t from_lsn, bool all,
		       struct log_check *c)
{
	uint64_t from_sequence = from_lsn / set->bytes, end = 0;
	uint64_t s = atomic_load(&set->first), last = atomic_load(&set->last);

	say_broken(set, c);
	if (s < from_sequence)
		s = from_sequence;
	for (; s != 0 && s <= last; s++) {
		struct segment *seg = segments_find(set, s);
		uint64_t at = segment_first(set, s);
		struct place w = { .set = set, .seg = seg, .sequence = s };

		if (seg == NULL)
			continue;
		w.to = atomic_load(&seg->end);
		if (all && s > from_sequence)
			check_missing(set, seg, from_lsn, c);
		if (from_lsn > at)
			at = from_lsn;
		read_ahead(&w, at);
		check_segment(&w, at, c);
		end = atomic_load(&seg->end);
		note_failed(&w, c);
		if (c->stop && c->failed < 0)
			break;
	}
	return end;
}
