/*
 * queue/segments.c - the set of segment files: who is who, who is free
 *
 * Pins and freeing: a reader raises pins from n >= 0 and then looks at the
 * sequence number; the store role frees by moving pins from 0 to -1, looks
 * once more whether a cursor wants the segment, and only then takes it out of
 * the table.  pins is 0 again when the segment is published anew.
 */
#include "queue/segment_head.h"

#include "base/bug.h"
#include "queue/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENT_BYTES_DEFAULT (64u << 20)

/* --- making the set ------------------------------------------------------ */

static struct segment *add(struct segments *set, uint32_t number)
{
	struct segment *seg = calloc(1, sizeof(*seg));
	struct segment *first = atomic_load(&set->all);

	if (seg == NULL)
		return NULL;
	seg->number = number;
	atomic_init(&seg->pins, -1);
	do
		seg->all = first;
	while (!atomic_compare_exchange_weak(&set->all, &first, seg));
	atomic_fetch_add(&set->count, 1);
	return seg;
}

struct listing {
	struct segments *set;
	int err;
};

static void each_name(void *to, const char *name)
{
	struct listing *l = to;
	unsigned number;
	char again[32];

	if (sscanf(name, "seg-%8x", &number) != 1)
		return;
	(void)snprintf(again, sizeof(again), "seg-%08x", number);
	if (strcmp(name, again) != 0)
		return;
	if (add(l->set, number) == NULL)
		l->err = -ENOMEM;
	if (number >= atomic_load(&l->set->next_number))
		atomic_store(&l->set->next_number, number + 1);
}

static bool all_zero(const char *p, size_t len)
{
	while (len > 0 && *p == 0) {
		p++;
		len--;
	}
	return len == 0;
}

/* Neither copy is whole: was it never written, or is it damaged? */
static enum segment_kind headless(const char *page, uint64_t size,
				  uint32_t bytes)
{
	if (bytes != 0 && size < bytes)
		return SEGMENT_UNFINISHED;
	return all_zero(page, SEGMENT_HEAD + RECORD_HEAD) ? SEGMENT_UNFINISHED
							  : SEGMENT_BROKEN;
}

/* Of its last page there is all: the kernel gives zeros for the rest. */
static void cut_off(struct segment *seg, uint64_t size)
{
	seg->cut = (size + SEGMENT_HEAD - 1) / SEGMENT_HEAD * SEGMENT_HEAD;
	atomic_store(&seg->damaged, true);
	atomic_store(&seg->unreadable, true);
}

static int take_head(struct segments *set, struct segment *seg,
		     const struct segment_head *h, uint64_t size)
{
	if (h->version < 1 || h->version > SEGMENT_VERSION)
		return -EPROTO;
	if (set->bytes == 0)
		set->bytes = h->bytes;
	if (h->bytes != set->bytes || h->bytes % SEGMENT_HEAD != 0 ||
	    h->bytes < 2 * SEGMENT_HEAD)
		return -EINVAL;
	seg->kind = h->sequence == 0 ? SEGMENT_FREE : SEGMENT_LIVE;
	atomic_store(&seg->sequence, h->sequence);
	seg->prev_sequence = h->prev_sequence;
	seg->prev_end = h->prev_end;
	if (size < h->bytes) { /* cut off: what is left may still be read */
		if (seg->kind == SEGMENT_FREE)
			seg->kind = SEGMENT_UNFINISHED;
		else
			cut_off(seg, size);
	}
	return 0;
}

/* A file that cannot be read at all is broken; whether that is a reason to
 * stop is the caller's to say. */
static int read_head(struct segments *set, struct segment *seg)
{
	const struct queue_file_ops *file = set->file;
	char page[SEGMENT_HEAD + RECORD_HEAD] = { 0 };
	struct segment_head one, two;
	int fd = segment_file_open(set, seg, O_RDONLY);
	uint64_t size = 0;
	const char *map;
	int64_t n;
	int err;

	if (fd < 0)
		return fd;
	err = file->size(file->arg, fd, &size);
	n = file->pread(file->arg, fd, page, sizeof(page), 0);
	memcpy(&one, page, sizeof(one));
	memcpy(&two, page + SEGMENT_HEAD_COPY, sizeof(two));
	seg->kind = SEGMENT_BROKEN;
	if (err == 0 && n >= 0)
		seg->kind = headless(page, size, set->bytes);
	seg->unread = n < 0 ? (int)n : err;
	if (seg->unread < 0)
		err = 0;
	else if (segment_head_ok(&one))
		err = take_head(set, seg, &one, size);
	else if (segment_head_ok(&two))
		err = take_head(set, seg, &two, size);
	if (err == 0 && seg->kind == SEGMENT_LIVE)
		(void)segment_map(set, seg, fd, &map);
	file->close(file->arg, fd);
	return err;
}

/* Give each live segment its place, and the end that its successor names. */
static void place(struct segments *set)
{
	struct segment *seg, *prev;
	uint64_t sequence;

	for (seg = atomic_load(&set->all); seg != NULL; seg = seg->all) {
		sequence = atomic_load(&seg->sequence);
		if (seg->kind != SEGMENT_LIVE)
			continue;
		if (atomic_load(&set->table[sequence % SEGMENT_TABLE])) {
			seg->kind = SEGMENT_BROKEN; /* there twice */
			atomic_store(&seg->sequence, 0);
			continue;
		}
		atomic_store(&seg->end, (sequence + 1) * set->bytes);
		segment_publish(set, seg, sequence);
	}
	for (seg = atomic_load(&set->all); seg != NULL; seg = seg->all) {
		if (seg->kind != SEGMENT_LIVE)
			continue;
		prev = segments_find(set, seg->prev_sequence);
		if (prev == NULL ||
		    seg->prev_end / set->bytes > seg->prev_sequence + 1 ||
		    seg->prev_end < segment_first(set, seg->prev_sequence))
			continue;
		atomic_store(&prev->end, seg->prev_end);
		atomic_store(&prev->end_known, true);
	}
}

int segments_open(const struct queue_file_ops *file, const char *dir,
		  uint32_t bytes, struct segments **set_r)
{
	struct segments *set = calloc(1, sizeof(*set));
	struct listing l = { set, 0 };
	struct segment *seg;
	int err;

	if (set == NULL)
		return -ENOMEM;
	set->file = file;
	set->bytes = bytes;
	if (asprintf(&set->dir, "%s/log", dir) < 0) {
		free(set);
		return -ENOMEM;
	}
	err = file->list(file->arg, set->dir, each_name, &l);
	if (err == 0)
		err = l.err;
	for (seg = atomic_load(&set->all); seg != NULL && err == 0;
	     seg = seg->all)
		err = read_head(set, seg);
	if (err < 0) {
		segments_close(&set);
		return err;
	}
	if (set->bytes == 0)
		set->bytes = SEGMENT_BYTES_DEFAULT;
	place(set);
	segments_look(set);
	*set_r = set;
	return 0;
}

const struct segment *segments_unread(const struct segments *set)
{
	const struct segment *seg = atomic_load(&set->all);

	while (seg != NULL && seg->unread == 0)
		seg = seg->all;
	return seg;
}

static void end_making(struct segments *set, int err);

void segments_close(struct segments **set)
{
	struct segments *s = *set;
	struct segment *seg = atomic_load(&s->all), *next;

	if (s->making != NULL)
		end_making(s, -ECANCELED);

	for (; seg != NULL; seg = next) {
		const char *map = atomic_load(&seg->map);

		BUG_ON(atomic_load(&seg->pins) > 0);
		next = seg->all;
		if (map != NULL)
			s->file->unmap(s->file->arg, map, s->bytes);
		free(seg);
	}
	free(s->dir);
	free(s);
	*set = NULL;
}

/* --- the ready ring and the idle list ------------------------------------ */

uint32_t segments_ready(const struct segments *set)
{
	return atomic_load(&set->ready_to) - atomic_load(&set->ready_from);
}

void segments_look(struct segments *set)
{
	uint64_t space;

	/* When it cannot be told, what was known last stays. */
	if (set->file->space(set->file->arg, set->dir, &space) == 0)
		atomic_store(&set->space, space);
}

int segment_create(struct segments *set, struct segment **seg_r)
{
	struct segment *seg = atomic_exchange(&set->unfinished, NULL);
	int err;

	if (seg == NULL)
		seg = add(set, atomic_fetch_add(&set->next_number, 1));
	if (seg == NULL)
		return -ENOMEM;
	err = segment_make(set, seg);
	if (err < 0) { /* a second one left over waits for the next start */
		seg->kind = SEGMENT_UNFINISHED;
		atomic_store(&set->unfinished, seg);
		return err;
	}
	seg->kind = SEGMENT_FREE;
	*seg_r = seg;
	return 0;
}

#define PIECE (4u << 20)

static int begin_making(struct segments *set)
{
	struct segment *seg = atomic_exchange(&set->unfinished, NULL);
	int fd;

	if (seg == NULL)
		seg = add(set, atomic_fetch_add(&set->next_number, 1));
	if (seg == NULL)
		return -ENOMEM;
	seg->kind = SEGMENT_UNFINISHED;
	fd = segment_file_open(set, seg, O_RDWR | O_CREAT);
	if (fd < 0) {
		atomic_store(&set->unfinished, seg);
		return fd;
	}
	set->making = seg;
	set->making_fd = fd;
	set->made = 0;
	return 0;
}

static void end_making(struct segments *set, int err)
{
	struct segment *seg = set->making;

	set->file->close(set->file->arg, set->making_fd);
	set->making = NULL;
	if (err < 0) { /* a second one left over waits for the next start */
		atomic_store(&set->unfinished, seg);
		return;
	}
	seg->kind = SEGMENT_FREE;
	segments_give(set, seg);
}

int segment_create_some(struct segments *set)
{
	uint64_t to;
	int err = set->making == NULL ? begin_making(set) : 0;

	if (err < 0)
		return err;
	to = set->bytes - set->made < PIECE ? set->bytes : set->made + PIECE;
	err = segment_make_some(set, set->making_fd, set->made, to);
	set->made = to;
	if (err == 0 && to < set->bytes)
		return 1;
	if (err == 0)
		err = segment_make_end(set, set->making_fd);
	end_making(set, err);
	return err;
}

void segments_fill(struct segments *set)
{
	while (set->idle != NULL && segments_ready(set) < SEGMENT_READY) {
		struct segment *seg = set->idle;
		uint32_t to = atomic_load(&set->ready_to);

		set->idle = seg->idle;
		seg->idle = NULL;
		atomic_fetch_sub(&set->idle_count, 1);
		set->ready[to % SEGMENT_READY] = seg;
		atomic_store(&set->ready_to, to + 1);
	}
}

void segments_give(struct segments *set, struct segment *seg)
{
	BUG_ON(atomic_load(&seg->pins) != -1 || seg->idle != NULL);
	seg->idle = set->idle;
	set->idle = seg;
	atomic_fetch_add(&set->idle_count, 1);
	segments_fill(set);
}

struct segment *segments_take(struct segments *set, uint32_t keep)
{
	uint32_t from = atomic_load(&set->ready_from);
	struct segment *seg;

	if (segments_ready(set) <= keep)
		return NULL;
	seg = set->ready[from % SEGMENT_READY];
	atomic_store(&set->ready_from, from + 1);
	return seg;
}

int segments_free(struct segments *set, struct segment *seg,
		  bool (*keep)(const void *arg, uint64_t end), const void *arg)
{
	uint64_t sequence = atomic_load(&seg->sequence);
	uint64_t end = atomic_load(&seg->end), first;
	int32_t none = 0;

	if (!atomic_compare_exchange_strong(&seg->pins, &none, -1))
		return -EBUSY;
	if (keep(arg, end)) {
		atomic_store(&seg->pins, 0);
		return -EBUSY;
	}
	atomic_store(&set->table[sequence % SEGMENT_TABLE], NULL);
	atomic_store(&seg->sequence, 0);
	first = atomic_load(&set->first);
	if (sequence == first) { /* the next lowest */
		while (first < atomic_load(&set->last) &&
		       segments_find(set, first) == NULL)
			first++;
		atomic_store(&set->first, first);
	}
	segments_give(set, seg);
	return 0;
}

/* --- the table ----------------------------------------------------------- */

uint64_t segments_next_sequence(const struct segments *set, uint64_t after)
{
	uint32_t i;

	/* An old segment that lives on may still hold its place. */
	for (i = 1; i <= SEGMENT_TABLE; i++) {
		if (!atomic_load(&set->table[(after + i) % SEGMENT_TABLE]))
			return after + i;
	}
	return 0;
}

void segment_publish(struct segments *set, struct segment *seg,
		     uint64_t sequence)
{
	uint64_t first = atomic_load(&set->first);

	BUG_ON(atomic_load(&seg->pins) != -1);
	atomic_store(&seg->sequence, sequence);
	atomic_store(&seg->pins, 0);
	atomic_store(&set->table[sequence % SEGMENT_TABLE], seg);
	if (sequence > atomic_load(&set->last))
		atomic_store(&set->last, sequence);
	if (first == 0 || sequence < first)
		atomic_store(&set->first, sequence);
}

struct segment *segments_find(const struct segments *set, uint64_t sequence)
{
	struct segment *seg =
		atomic_load(&set->table[sequence % SEGMENT_TABLE]);

	if (seg == NULL || atomic_load(&seg->sequence) != sequence)
		return NULL;
	return seg;
}

int segment_pin(const struct segments *set, uint64_t sequence,
		struct segment **seg_r)
{
	struct segment *seg = segments_find(set, sequence);
	int32_t pins;

	if (seg == NULL)
		return -ENOENT;
	pins = atomic_load(&seg->pins);
	do {
		if (pins < 0)
			return -EAGAIN;
	} while (!atomic_compare_exchange_weak(&seg->pins, &pins, pins + 1));
	if (atomic_load(&seg->sequence) != sequence) { /* it was reborn */
		segment_unpin(seg);
		return -ENOENT;
	}
	*seg_r = seg;
	return 0;
}

void segment_unpin(struct segment *seg)
{
	BUG_ON(atomic_fetch_sub(&seg->pins, 1) <= 0);
}

/*
 * Each taking and each giving back is one of the counts here or one of the
 * segment's.  Whose place another has does without, and since a count here
 * goes to 0 with the one pin that stands behind it, the sums stay right
 * whichever of the two is given back first.
 */
int segment_pin_shared(const struct segments *set, struct queue_pins *pins,
		       uint64_t sequence, struct segment **seg_r)
{
	struct segment *seg = segments_find(set, sequence);
	size_t at;
	int err;

	if (pins == NULL || seg == NULL)
		return segment_pin(set, sequence, seg_r);
	at = seg->number % QUEUE_PINS;
	if (pins->held[at].count > 0 && pins->held[at].segment == seg) {
		pins->held[at].count++;
		*seg_r = seg;
		return 0;
	}
	err = segment_pin(set, sequence, seg_r);
	if (err == 0 && pins->held[at].count == 0 && *seg_r == seg) {
		pins->held[at].segment = seg;
		pins->held[at].count = 1;
	}
	return err;
}

void segment_unpin_shared(struct queue_pins *pins, struct segment *seg)
{
	size_t at = seg->number % QUEUE_PINS;

	if (pins == NULL || pins->held[at].count == 0 ||
	    pins->held[at].segment != seg || --pins->held[at].count == 0)
		segment_unpin(seg);
}
