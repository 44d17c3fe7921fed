/*
 * queue/compact.c - what lives in nearly empty segments is moved out of them
 *
 *	CHOOSE  segments by their counts: under 10 % alive, or under 50 % when
 *		the disk has less than twice free_bytes_min
 *	SCAN    one walk over the rows of the index, a piece a call, for what
 *		lives in all of them; then it is sorted by place
 *	MOVE    message by message: check, ask for the move, see it in the log
 *
 * Then a checkpoint writes where things lie, and the segments are freed like
 * all others, when nothing is counted in them any more.  What the scan did not
 * meet (it moved behind it) keeps its segment for another round.
 *
 * Bounds: a round is 64 segments; 1,024 rows a call, 100,000 a second on
 * average; of moves 64 and 1 MiB (or one message) are on their way at once;
 * 4 MiB a second and a quarter of what else the log takes in, unless the disk
 * is low.
 *
 * A segment from which mail is being sent may be chosen: with mail that is
 * tried often there is always some.  Moving does not disturb a transaction,
 * and the segment is freed when its last one has ended.  A loaded task keeps
 * the place it was given with; when that is gone it comes back and is given
 * again.
 */
#include "queue/compact.h"
#include "queue/decide.h"

#include "queue/bits.h"
#include "queue/record.h"

#include <errno.h>
#include <stdlib.h>

#define LIVE_PERCENT     10u
#define LIVE_PERCENT_LOW 50u
#define RCPTS_MAX        200000u /* open in the victims of one round */
#define CHOOSE_STEP      32      /* segments a call */
#define SCAN_STEP        1024u   /* rows a call */
#define SCAN_ROWS_S      100000u
#define CREDIT_MAX       (8u << 20)
#define LOOK_S           60u /* the disk may be low now */
#define RETRY_S          10u /* after a round that found no room */
#define DECISION_BYTES   1024u

int compact_open(struct queue_store *s)
{
	s->compact = calloc(1, sizeof(*s->compact));
	if (s->compact == NULL)
		return -ENOMEM;
	s->compact->credit = CREDIT_MAX;
	s->compact->percent = LIVE_PERCENT;
	return 0;
}

void compact_close(struct queue_store *s)
{
	if (s->compact == NULL)
		return;
	free(s->compact->found);
	free(s->compact);
	s->compact = NULL;
}

/* --- choosing -------------------------------------------------------------------------- */

static int choose_one(struct queue *q, const struct queue_segment *seg)
{
	struct compact *c = q->store->compact;
	uint32_t percent = c->percent;
	uint64_t open, octets;
	int err;

	if (queue_log_is_low(q) && percent < LIVE_PERCENT_LOW)
		percent = LIVE_PERCENT_LOW;
	/* Before an event consumer is past it there is nothing to gain. */
	if (seg->active || seg->damaged ||
	    seg->end > index_meta(q->store->index)->checkpoint_lsn ||
	    queue_cursor_lowest(q) < seg->end)
		return 0;
	err = index_segment_stat(q->store->index, seg->sequence, &open,
				 &octets);
	if (err < 0 || open == 0 ||
	    octets >= (uint64_t)q->set.segment_bytes / 100 * percent ||
	    (c->victims.count > 0 && c->rcpts + open > RCPTS_MAX))
		return err;
	c->given_up[c->victims.count] = false;
	c->victims.sequences[c->victims.count++] = seg->sequence;
	c->rcpts += open;
	return 0;
}

static int room_for(struct compact *c, size_t more)
{
	size_t size = c->size == 0 ? 4096 : c->size * 2;
	struct index_living *found;

	if (c->size - c->count >= more)
		return 0;
	found = realloc(c->found, size * sizeof(*found));
	if (found == NULL)
		return -ENOMEM;
	c->found = found;
	c->size = size;
	return 0;
}

static bool is_victim(const struct queue *q, uint64_t place)
{
	const struct compact *c = q->store->compact;
	uint32_t i;

	for (i = 0; i < c->victims.count; i++)
		if (c->victims.sequences[i] == queue_segment_of(q, place))
			return true;
	return false;
}

static int find_decisions(struct queue *q)
{
	struct compact *c = q->store->compact;
	uint64_t lsn, place;
	uint32_t nth;
	int err = 0;

	for (nth = 0; err == 0 && decide_nth(q->store, nth, &lsn, &place);
	     nth++) {
		if (!is_victim(q, place))
			continue;
		err = room_for(c, 1);
		if (err == 0)
			c->found[c->count++] =
				(struct index_living){ .place = place,
						       .key = { .id = lsn } };
	}
	return err;
}

static void rest(struct compact *c, uint32_t until_s)
{
	uint32_t i;

	for (i = 0; i < c->victims.count; i++)
		c->past[c->past_at++ % COMPACT_PAST_MAX] =
			c->victims.sequences[i];
	c->victims.count = 0;
	c->stage = COMPACT_REST;
	if (c->not_before_s < until_s)
		c->not_before_s = until_s;
	free(c->found);
	c->found = NULL;
	c->size = c->count = c->next = 0;
}

static int choose(struct queue *q, uint32_t now_s)
{
	struct compact *c = q->store->compact;
	struct queue_segment seg;
	int i, err;

	for (i = 0; i < CHOOSE_STEP; i++) {
		if (c->victims.count == ARRAY_LEN(c->victims.sequences) ||
		    queue_segment_next(q, c->choose_at, &seg) == 0) {
			if (c->victims.count == 0) {
				c->look = false;
				rest(c, now_s + 1);
				return 0;
			}
			c->stage = COMPACT_SCAN;
			c->scan_at = (struct index_key){ .queue = 0 };
			c->scanned = 0;
			err = find_decisions(q);
			return err < 0 ? err : 1;
		}
		c->choose_at = seg.sequence + 1;
		err = choose_one(q, &seg);
		if (err < 0)
			return err;
	}
	return 1;
}

/* --- who lives there ---------------------------------------------------------------------- */

static int cmp_u64(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int cmp_living(const void *pa, const void *pb)
{
	const struct index_living *a = pa, *b = pb;
	int by = cmp_u64(a->place, b->place);

	if (by == 0)
		by = cmp_u64(a->key.id, b->key.id);
	return by != 0 ? by : index_key_cmp(&a->key, &b->key);
}

static int scan(struct queue *q, uint32_t now_s)
{
	struct compact *c = q->store->compact;
	uint32_t count;
	int rc = room_for(c, SCAN_STEP);

	if (rc == 0)
		rc = index_scan_places(q->store->index, &c->scan_at, SCAN_STEP,
				       &c->victims, c->found + c->count,
				       &count);
	if (rc < 0)
		return rc;
	c->count += count;
	c->scanned += SCAN_STEP;
	if (rc > 0)
		return 1;
	c->not_before_s = now_s + 1 + (uint32_t)(c->scanned / SCAN_ROWS_S);
	if (c->count > 0)
		qsort(c->found, c->count, sizeof(*c->found), cmp_living);
	c->stage = COMPACT_MOVE;
	return 1;
}

static uint32_t rest_until_s(const struct compact *c)
{
	return c->look || c->not_before_s > c->look_s ? c->not_before_s
						      : c->look_s;
}

int compact_work(struct queue *q, uint32_t now_s)
{
	struct compact *c = q->store->compact;
	int rc = 0;

	switch (c->stage) {
	case COMPACT_REST:
		if (now_s < rest_until_s(c))
			return 0;
		c->look_s = now_s + LOOK_S;
		c->choose_at = c->rcpts = 0;
		c->stage = COMPACT_CHOOSE;
		return 1;
	case COMPACT_CHOOSE:
		rc = choose(q, now_s);
		break;
	case COMPACT_SCAN:
		rc = scan(q, now_s);
		break;
	case COMPACT_MOVE:
		break; /* queue_store_move() */
	}
	if (queue_is_short(rc)) { /* nothing was begun that must go on */
		rest(c, now_s + RETRY_S);
		return 0;
	}
	return rc;
}

void compact_look(struct queue_store *s)
{
	s->compact->look = true;
}

uint32_t compact_wake_s(const struct queue_store *s)
{
	const struct compact *c = s->compact;

	if (c->stage == COMPACT_REST)
		return rest_until_s(c);
	return c->given_count == 0 ? c->credit_s + 1 : UINT32_MAX;
}

void compact_freed(struct queue_store *s, uint64_t sequence)
{
	struct compact *c = s->compact;
	uint32_t i;

	for (i = 0; i < COMPACT_PAST_MAX; i++) {
		if (c->past[i] != sequence)
			continue;
		c->past[i] = 0;
		c->compacted++;
		return;
	}
}

/* --- asking for moves ----------------------------------------------------------------------- */

static void give_up(struct queue *q, uint64_t place)
{
	struct compact *c = q->store->compact;
	uint32_t i;

	for (i = 0; i < c->victims.count; i++)
		if (c->victims.sequences[i] == queue_segment_of(q, place))
			c->given_up[i] = true;
}

static bool is_given_up(const struct queue *q, uint64_t place)
{
	const struct compact *c = q->store->compact;
	uint32_t i;

	for (i = 0; i < c->victims.count; i++)
		if (c->victims.sequences[i] == queue_segment_of(q, place))
			return c->given_up[i];
	return true;
}

/* Its octets are not what they were, or cannot be read now: it stays where it
 * is, and so does its segment. */
static void give_up_for(struct queue *q, uint64_t place, int why)
{
	if (why == -EUCLEAN)
		queue_segment_damage(q, queue_segment_of(q, place));
	give_up(q, place);
}

void compact_answered(struct queue *q, uint64_t id, uint64_t bytes, int why)
{
	struct compact *c = q->store->compact;
	uint32_t i;

	if (c == NULL)
		return;
	c->own_bytes += bytes;
	c->moved_bytes += bytes;
	c->moved += why == 0;
	for (i = 0; i < c->given_count; i++)
		if (c->given[i].id == id)
			break;
	if (i == c->given_count)
		return; /* of an earlier life */
	if (why == -ENOSPC)
		c->next = c->count; /* the round is over */
	else if (why < 0)
		give_up_for(q, c->given[i].from, why);
	c->given_bytes -= c->given[i].bytes;
	c->given[i] = c->given[--c->given_count];
}

static void earn(struct queue *q, uint32_t now_s)
{
	struct compact *c = q->store->compact;
	uint64_t lsn = queue_walk_lsn(q->store->walk), others;

	if (c->credit_lsn == 0) {
		c->credit_lsn = lsn;
		c->credit_s = now_s;
	}
	others = lsn - c->credit_lsn;
	others -= c->own_bytes < others ? c->own_bytes : others;
	c->credit += others / COMPACT_SHARE;
	if (now_s > c->credit_s)
		c->credit += (uint64_t)(now_s - c->credit_s) * COMPACT_BYTES_S;
	if (c->credit > CREDIT_MAX || queue_log_is_low(q))
		c->credit = CREDIT_MAX;
	c->credit_lsn = lsn;
	c->credit_s = now_s;
	c->own_bytes = 0;
}

/* The packed tasks; one recipient each when many lie far apart. */
static size_t pack(struct queue *q, const struct queue_view *msg,
		   uint64_t place, bool single)
{
	struct rcpt_lines w = { .q = q, .msg = msg };
	struct compact *c = q->store->compact;
	struct record_task task;
	struct index_row row;
	const struct task *t;
	size_t len = 0;
	uint32_t i;

	for (i = 0; i < msg->rcpt_count; i++) {
		if (rcpt_line(&w, i) < 0 || w.line == NULL)
			continue;
		t = delta_task_find(&q->store->delta, w.line, msg->id, i);
		if (t == NULL || t->state == TASK_COMING || t->place != place ||
		    (!single && task_first(t) != i))
			continue;
		task_row(t, &row);
		task = (struct record_task){ .slot = t->slot,
					     .first = (uint16_t)i,
					     .attempts = t->attempts,
					     .unsure = t->unsure,
					     .open = { 1 } };
		if (!single)
			memcpy(task.open, row.open, sizeof(task.open));
		if (sizeof(c->tasks) - len < RECORD_TASK_MAX)
			return single ? len : pack(q, msg, place, true);
		len += record_task_write(&task, c->tasks + len);
	}
	return len;
}

static int bring_found(struct queue_store *s, const struct index_living *l,
		       size_t n)
{
	struct line *line;
	int err = 0;

	for (; err == 0 && n > 0; n--, l++) {
		err = store_line_numbered(s, l->key.queue, &line);
		if (err == 0)
			err = moved_bring(s, line, &l->key);
	}
	return err;
}

/* 1: *move_r is to be asked for; 0: there is nothing to move. */
static int prepare_message(struct queue *q, const struct index_living *l,
			   size_t n, struct queue_move *move_r)
{
	struct compact *c = q->store->compact;
	uint64_t all[QUEUE_OPEN_WORDS];
	struct queue_view msg;
	int i, err = queue_message_open_at(q, l->key.id, l->place, &msg);

	if (queue_is_short(err))
		return err;
	if (err < 0) { /* -ENOENT: it came to its end, or has moved on */
		if (err != -ENOENT)
			give_up_for(q, l->place, err);
		return 0;
	}
	memset(all, 0xff, sizeof(all));
	err = bring_found(q->store, l, n);
	if (err == 0)
		err = moved_gather(q, &msg, all);
	c->given[c->given_count].bytes = RECORD_HEAD + msg.size;
	for (i = 0; i < msg.content_count; i++)
		c->given[c->given_count].bytes += RECORD_HEAD;
	*move_r = (struct queue_move){ .id = msg.id,
				       .from = l->place,
				       .type = QUEUE_REC_MSG };
	if (err == 0)
		move_r->tasks =
			span_of(c->tasks, pack(q, &msg, l->place, false));
	queue_message_close(q, &msg);
	return err < 0 ? err : move_r->tasks.len > 0;
}

static int prepare_decision(struct queue *q, const struct index_living *l,
			    struct queue_move *move_r)
{
	struct compact *c = q->store->compact;

	*move_r = (struct queue_move){ .id = l->key.id,
				       .from = l->place,
				       .type = QUEUE_REC_DEC };
	c->given[c->given_count].bytes = DECISION_BYTES;
	return decide_place(q->store, l->key.id) == l->place;
}

/* The next of what was found; all its tasks at once. */
static int prepare_next(struct queue *q, struct queue_move *move_r)
{
	struct compact *c = q->store->compact;
	const struct index_living *l = &c->found[c->next];
	size_t n = 1;
	int rc;

	while (c->next + n < c->count && l[n].key.id == l->key.id &&
	       l[n].place == l->place)
		n++;
	if (is_given_up(q, l->place))
		rc = 0;
	else if (l->key.queue == 0)
		rc = prepare_decision(q, l, move_r);
	else
		rc = prepare_message(q, l, n, move_r);
	c->next += n;
	return rc;
}

int queue_store_move(struct queue *q, uint32_t now_s, struct queue_move *move_r)
{
	struct queue_store *s = q->store;
	struct compact *c = s->compact;
	uint64_t bytes;
	uint32_t i;
	int rc = 0;

	if (s->failed < 0)
		return s->failed;
	if (c->stage != COMPACT_MOVE)
		return 0;
	earn(q, now_s);
	if (c->given_count == COMPACT_GIVEN_MAX || c->credit == 0 ||
	    c->given_bytes >= COMPACT_GIVEN_BYTES)
		return 0;
	for (i = 0; i < COMPACT_GIVEN_MAX && rc == 0; i++) {
		if (c->next == c->count) {
			if (c->given_count == 0)
				rest(c, now_s + 1);
			return 0;
		}
		rc = prepare_next(q, move_r);
	}
	if (queue_is_short(rc)) {
		c->next = c->count;
		c->not_before_s = now_s + RETRY_S;
		return 0;
	}
	if (rc <= 0)
		return rc;
	bytes = c->given[c->given_count].bytes;
	c->given[c->given_count].id = move_r->id;
	c->given[c->given_count++].from = move_r->from;
	c->given_bytes += bytes;
	c->credit -= bytes < c->credit ? bytes : c->credit;
	return 1;
}
