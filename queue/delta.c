/*
 * queue/delta.c - tasks in memory, and the rows of the index they replace
 *
 *	1 A task whose content differs from its row is dirty; the row of a
 *	  key that a task has left is a tomb, unless it never was written.
 *	2 A task that comes to a key with a tomb takes the tomb away and is
 *	  written over the row: a row is never deleted behind its successor.
 *	3 While a checkpoint has taken a task and not yet written it, what
 *	  the task becomes is taken too, and the tombs of what it leaves:
 *	  replay starts from one of the two.
 *	4 A loaded task keeps the first that it was given with, whatever OUTs
 *	  take out of it, and no other task is loaded by the same (id, first).
 */
#include "queue/delta.h"

#include "base/hash.h"
#include "queue/bits.h"

#include <errno.h>
#include <stdlib.h>

#define WINDOW_FIRST 4 /* tasks of a queue; 50,000 queues: 200,000 */

int delta_init(struct delta *d, uint32_t line_tasks_max)
{
	*d = (struct delta){ .line_tasks_max = line_tasks_max,
			     .window_first = WINDOW_FIRST };
	map_init(&d->tasks);
	map_init(&d->loaded);
	map_init(&d->lines);
	map_init(&d->numbers);
	map_init(&d->tombs);
	heap_init(&d->ready);
	list_init(&d->idle);
	list_init(&d->dirty);
	list_init(&d->tomb_list);
	list_init(&d->early);
	return 0;
}

void delta_free(struct delta *d)
{
	struct tomb *tomb;
	struct task *t;
	size_t at = 0;
	uint32_t i;

	while ((t = map_walk(&d->tasks, &at)) != NULL) {
		if (t->words > 1)
			free(t->open.many);
		free(t);
	}
	at = 0;
	while ((tomb = map_walk(&d->tombs, &at)) != NULL)
		free(tomb);
	for (i = 0; i < d->handles; i++) {
		if (d->by_handle[i] != NULL)
			heap_free(&d->by_handle[i]->due);
		free(d->by_handle[i]);
	}
	free(d->by_handle);
	free(d->taken_tasks);
	free(d->taken_tombs);
	map_free(&d->tasks);
	map_free(&d->loaded);
	map_free(&d->lines);
	map_free(&d->numbers);
	map_free(&d->tombs);
	heap_free(&d->ready);
}

/* --- what a task is ------------------------------------------------------------ */

static uint64_t *open_bits(struct task *t)
{
	return t->words == 1 ? &t->open.one : t->open.many;
}

uint32_t task_count(const struct task *t)
{
	return bits_count(task_open(t), t->words);
}

uint16_t task_first(const struct task *t)
{
	return (uint16_t)(t->base + bits_first(task_open(t), t->words));
}

bool task_has(const struct task *t, uint32_t rcpt)
{
	return rcpt >= t->base && rcpt < t->base + t->words * 64u &&
	       bits_has(task_open(t), rcpt - t->base);
}

void task_key(const struct task *t, struct index_key *key_r)
{
	*key_r = (struct index_key){ .id = t->id,
				     .queue = t->line->number,
				     .slot = t->slot,
				     .group = task_first(t) };
}

void task_row(const struct task *t, struct index_row *row_r)
{
	const uint64_t *open = task_open(t);
	uint32_t i, shift, end = bits_end(open, t->words);

	*row_r = (struct index_row){ .place = t->place,
				     .expires_s = t->expires_s,
				     .share = t->share,
				     .segments = t->segments,
				     .attempts = t->attempts,
				     .unsure = t->unsure,
				     .flags = t->flags };
	task_key(t, &row_r->key);
	shift = bits_first(open, t->words);
	for (i = shift; i < end; i++)
		if (bits_has(open, i))
			bits_set(row_r->open, i - shift);
}

/* --- finding ------------------------------------------------------------------- */

struct sought {
	const struct line *line;
	uint64_t id;
	uint32_t rcpt;
	const struct index_row *row;
};

static uint64_t task_hash(uint64_t id, const struct line *line)
{
	return hash_pair(id, line->handle);
}

static bool holds_rcpt(const void *item, const void *key)
{
	const struct task *t = item;
	const struct sought *s = key;

	return t->id == s->id && t->line == s->line && task_has(t, s->rcpt);
}

static bool overlaps_row(const void *item, const void *key)
{
	const struct task *t = item;
	const struct sought *s = key;
	uint32_t i, end;

	if (t->id != s->id || t->line != s->line)
		return false;
	end = bits_end(s->row->open, QUEUE_OPEN_WORDS);
	for (i = 0; i < end; i++)
		if (bits_has(s->row->open, i) &&
		    task_has(t, s->row->key.group + i))
			return true;
	return false;
}

static bool loaded_as(const void *item, const void *key)
{
	const struct task *t = item;
	const struct sought *s = key;

	return t->id == s->id && t->load_first == s->rcpt;
}

struct task *delta_task_find(const struct delta *d, const struct line *line,
			     uint64_t id, uint32_t rcpt)
{
	struct sought s = { .line = line, .id = id, .rcpt = rcpt };

	return map_find(&d->tasks, task_hash(id, line), holds_rcpt, &s);
}

struct task *delta_task_over(const struct delta *d, const struct line *line,
			     const struct index_row *row)
{
	struct sought s = { .line = line, .id = row->key.id, .row = row };

	return map_find(&d->tasks, task_hash(s.id, line), overlaps_row, &s);
}

struct task *delta_task_loaded(const struct delta *d, uint64_t id,
			       uint16_t first)
{
	struct sought s = { .id = id, .rcpt = first };

	return map_find(&d->loaded, hash_pair(id, first), loaded_as, &s);
}

/* --- tombs --------------------------------------------------------------------- */

static uint64_t key_hash(const struct index_key *key)
{
	return hash_pair(
		key->id,
		hash_pair((uint64_t)key->queue << 32 | key->slot, key->group));
}

static bool same_key(const void *item, const void *key)
{
	return index_key_cmp(&((const struct tomb *)item)->key, key) == 0;
}

/* Most keys that are asked for lie behind all tombs of their queue: rows are
 * loaded in order, and tasks put off. */
static struct tomb *tomb_find(const struct delta *d, const struct line *line,
			      const struct index_key *key)
{
	if (index_key_cmp(key, &line->tomb_last) > 0)
		return NULL;
	return map_find(&d->tombs, key_hash(key), same_key, key);
}

bool delta_tomb_has(const struct delta *d, const struct line *line,
		    const struct index_key *key)
{
	return tomb_find(d, line, key) != NULL;
}

void delta_tomb_free(struct delta *d, struct tomb *tomb)
{
	if (tomb->taken != 0)
		d->taken_tombs[tomb->taken - 1] = NULL;
	list_del(&tomb->link);
	map_del(&d->tombs, key_hash(&tomb->key), tomb);
	d->tomb_count--;
	if (d->tomb_count == 0)
		d->tombs_left = false;
	free(tomb);
}

int delta_take_tomb(struct delta *d, struct tomb *tomb)
{
	size_t size = d->taken_tomb_size == 0 ? 1024 : d->taken_tomb_size * 2;
	struct tomb **more;

	if (d->taken_tomb_count == d->taken_tomb_size) {
		more = realloc(d->taken_tombs, size * sizeof(struct tomb *));
		if (more == NULL)
			return -ENOMEM;
		d->taken_tombs = more;
		d->taken_tomb_size = size;
	}
	list_del(&tomb->link);
	d->taken_tombs[d->taken_tomb_count++] = tomb;
	tomb->taken = (uint32_t)d->taken_tomb_count;
	return 0;
}

bool delta_tomb_ripe(const struct delta *d, const struct tomb *tomb)
{
	const struct line *line = delta_line_numbered(d, tomb->key.queue);

	return line == NULL || line->unwritten == 0;
}

/*
 * The row of a key has lost its meaning; of the key of t, which leaves it.
 * When a checkpoint was to write t over the row, the row goes with the same
 * checkpoint: it holds recipients that left before what the checkpoint covers.
 */
static int tomb_add(struct delta *d, const struct task *t,
		    const struct index_key *key)
{
	bool take = t->taken != 0 && t->dirty;
	struct tomb *tomb;

	if (t->row == ROW_NEVER || key->queue == 0 ||
	    delta_tomb_has(d, t->line, key))
		return 0;
	tomb = calloc(1, sizeof(*tomb));
	if (tomb == NULL || map_put(&d->tombs, key_hash(key), tomb) < 0) {
		free(tomb);
		return -ENOMEM;
	}
	tomb->key = *key;
	list_init(&tomb->link);
	list_add_tail(&d->tomb_list, &tomb->link);
	d->tomb_count++;
	if (index_key_cmp(key, &t->line->tomb_last) > 0)
		t->line->tomb_last = *key;
	return take ? delta_take_tomb(d, tomb) : 0;
}

/* A task comes to a key: is there a row that it will be written over? */
static enum task_row take_over(struct delta *d, const struct line *line,
			       const struct index_key *key)
{
	struct tomb *tomb;

	if (key->queue == 0)
		return ROW_NEVER;
	tomb = tomb_find(d, line, key);
	if (tomb != NULL) {
		delta_tomb_free(d, tomb);
		return ROW_IN; /* for all that matters */
	}
	return d->replaying ? ROW_MAYBE : ROW_NEVER;
}

/* --- what is asked for next ----------------------------------------------------- */

#define AHEAD 8 /* entries of a step: about 1 us */

void delta_taken_soon(const struct delta *d, size_t at)
{
	const struct task *t;

	if (at + 3 * AHEAD >= d->taken_count)
		return;
	t = d->taken_tasks[at + 3 * AHEAD];
	if (t != NULL) {
		__builtin_prefetch(t);
		__builtin_prefetch(&t->in_dirty); /* its second line */
	}
	t = d->taken_tasks[at + 2 * AHEAD];
	if (t != NULL)
		__builtin_prefetch(t->line);
	t = d->taken_tasks[at + AHEAD];
	if (t != NULL)
		map_prefetch(&d->tasks, task_hash(t->id, t->line));
}

void delta_taken_tomb_soon(const struct delta *d, size_t at)
{
	const struct tomb *tomb;

	if (at + 2 * AHEAD >= d->taken_tomb_count)
		return;
	__builtin_prefetch(d->taken_tombs[at + 2 * AHEAD]);
	tomb = d->taken_tombs[at + AHEAD];
	if (tomb != NULL)
		map_prefetch(&d->tombs, key_hash(&tomb->key));
}

void delta_outcome_soon(const struct delta *d, const struct line *line,
			const struct index_key *key)
{
	map_prefetch(&d->tasks, task_hash(key->id, line));
	map_prefetch(&d->loaded, hash_pair(key->id, key->group));
	map_prefetch(&d->tombs, key_hash(key));
}

void delta_rows_soon(const struct delta *d, const struct line *line,
		     const struct index_row *rows, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++) {
		map_prefetch(&d->tasks, task_hash(rows[i].key.id, line));
		map_prefetch(&d->loaded,
			     hash_pair(rows[i].key.id, rows[i].key.group));
	}
}

/* --- a task's life ------------------------------------------------------------- */

static void count(struct delta *d, const struct task *t, int sign)
{
	uint64_t *total = t->slot >= QUEUE_SLOT_DAMAGED ? &d->totals.held
							: &d->totals.waiting;

	*total += (uint64_t)(sign * (int64_t)task_count(t));
}

static int open_alloc(struct task *t, const struct index_row *row)
{
	uint32_t end = bits_end(row->open, QUEUE_OPEN_WORDS);

	BUG_ON(end == 0);
	t->words = (uint8_t)((end + 63) / 64);
	if (t->words > 1) {
		t->open.many = malloc(t->words * sizeof(uint64_t));
		if (t->open.many == NULL)
			return -ENOMEM;
	}
	memcpy(open_bits(t), row->open, t->words * sizeof(uint64_t));
	return 0;
}

struct task *delta_task_new(struct delta *d, struct line *line,
			    const struct index_row *row)
{
	struct task *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	*t = (struct task){ .id = row->key.id,
			    .place = row->place != 0 ? row->place : row->key.id,
			    .line = line,
			    .slot = row->key.slot,
			    .base = row->key.group,
			    .expires_s = row->expires_s,
			    .share = row->share,
			    .segments = row->segments,
			    .attempts = row->attempts,
			    .unsure = row->unsure,
			    .flags = row->flags,
			    .state = TASK_COMING };
	heap_node_init(&t->due);
	list_init(&t->in_line);
	list_init(&t->in_dirty);
	list_init(&t->in_early);
	if (open_alloc(t, row) < 0) {
		free(t);
		return NULL;
	}
	if (map_put(&d->tasks, task_hash(t->id, line), t) < 0) {
		if (t->words > 1)
			free(t->open.many);
		free(t);
		return NULL;
	}
	list_del(&line->in_idle);
	list_add_tail(&line->tasks, &t->in_line);
	line->task_count++;
	d->task_count++;
	return t;
}

static void leave_state(struct delta *d, struct task *t)
{
	if (t->state == TASK_LOADED) {
		map_del(&d->loaded, hash_pair(t->id, t->load_first), t);
		d->loaded_count--;
		t->line->loaded--;
	}
	heap_del(&t->line->due, &t->due);
	list_del(&t->in_early);
}

int delta_task_idle(struct delta *d, struct task *t)
{
	uint32_t when = t->slot > t->not_before_s ? t->slot : t->not_before_s;

	leave_state(d, t);
	t->state = TASK_IDLE;
	if (t->slot < QUEUE_SLOT_DAMAGED &&
	    heap_put(&t->line->due, &t->due,
		     (uint64_t)when << 32 | d->sequence++) < 0)
		return -ENOMEM;
	return delta_line_ready(d, t->line);
}

int delta_task_load(struct delta *d, struct task *t)
{
	uint16_t first = task_first(t);

	BUG_ON(t->state != TASK_IDLE);
	BUG_ON(delta_task_loaded(d, t->id, first) != NULL);
	if (map_put(&d->loaded, hash_pair(t->id, first), t) < 0)
		return -ENOMEM;
	leave_state(d, t);
	t->state = TASK_LOADED;
	t->load_first = first;
	t->line->loaded++;
	d->loaded_count++;
	return delta_line_ready(d, t->line);
}

void delta_task_deciding(struct delta *d, struct task *t)
{
	BUG_ON(t->state != TASK_IDLE);
	leave_state(d, t);
	t->state = TASK_DECIDING;
}

int delta_task_arrive(struct delta *d, struct task *t)
{
	struct index_key key;

	BUG_ON(t->state != TASK_COMING);
	task_key(t, &key);
	t->row = (uint8_t)take_over(d, t->line, &key);
	count(d, t, 1);
	delta_task_dirty(d, t);
	return delta_task_idle(d, t);
}

void delta_task_row_is(struct delta *d, struct task *t, uint32_t open)
{
	uint64_t *total = t->slot >= QUEUE_SLOT_DAMAGED ? &d->totals.held
							: &d->totals.waiting;

	BUG_ON(t->row != ROW_MAYBE || !t->dirty);
	t->row = open > 0 ? ROW_IN : ROW_NEVER;
	*total -= open;
}

int delta_task_known(struct delta *d, struct task *t)
{
	BUG_ON(t->state != TASK_COMING);
	t->row = ROW_IN;
	return delta_task_idle(d, t);
}

int delta_take(struct delta *d, struct task *t)
{
	size_t size = d->taken_size == 0 ? 1024 : d->taken_size * 2;
	struct task **more;

	BUG_ON(t->taken != 0 || !t->dirty);
	if (d->taken_count == d->taken_size) {
		more = realloc(d->taken_tasks, size * sizeof(struct task *));
		if (more == NULL)
			return -ENOMEM;
		d->taken_tasks = more;
		d->taken_size = size;
	}
	d->taken_tasks[d->taken_count++] = t;
	t->taken = (uint32_t)d->taken_count;
	t->line->unwritten++;
	return 0;
}

void delta_untake(struct delta *d, struct task *t)
{
	if (t->taken == 0)
		return;
	d->taken_tasks[t->taken - 1] = NULL;
	t->taken = 0;
	t->line->unwritten -= t->dirty;
}

void delta_task_dirty(struct delta *d, struct task *t)
{
	if (t->dirty)
		return;
	delta_untake(d, t); /* as it was written it is no more */
	t->dirty = true;
	list_add_tail(&d->dirty, &t->in_dirty);
	d->dirty_count++;
}

void delta_task_clean(struct delta *d, struct task *t)
{
	if (!t->dirty)
		return;
	t->dirty = false;
	t->line->unwritten -= t->taken != 0;
	list_del(&t->in_dirty);
	d->dirty_count--;
}

void delta_task_free(struct delta *d, struct task *t)
{
	struct line *line = t->line;

	leave_state(d, t);
	delta_task_clean(d, t);
	delta_untake(d, t);
	list_del(&t->in_dirty);
	list_del(&t->in_line);
	map_del(&d->tasks, task_hash(t->id, line), t);
	line->task_count--;
	d->task_count--;
	if (line->task_count == 0)
		list_add_tail(&d->idle, &line->in_idle);
	if (t->words > 1)
		free(t->open.many);
	free(t);
}

/* --- outcomes ------------------------------------------------------------------ */

/* The task that the moved recipients become; not yet counted. */
static struct task *moved_task(struct delta *d, const struct task *t,
			       const struct move *move)
{
	uint32_t i, first = bits_first(move->gone, QUEUE_OPEN_WORDS);
	uint32_t end = bits_end(move->gone, QUEUE_OPEN_WORDS);
	struct index_row row = { .key = { .id = t->id,
					  .slot = move->slot,
					  .group = (uint16_t)first },
				 .place = t->place,
				 .expires_s = t->expires_s,
				 .share = t->share,
				 .segments = t->segments,
				 .attempts = move->attempts,
				 .unsure = move->unsure,
				 .flags = t->flags };

	for (i = first; i < end; i++)
		if (bits_has(move->gone, i))
			bits_set(row.open, i - first);
	return delta_task_new(d, t->line, &row);
}

/* Take the recipients out; the task goes when none is left. */
static int shrink(struct delta *d, struct task *t, const struct move *move)
{
	uint32_t i, end = bits_end(move->gone, QUEUE_OPEN_WORDS);
	struct index_key old, new;
	bool was_loaded = t->state == TASK_LOADED;
	struct line *line = t->line;
	int err = 0;

	task_key(t, &old);
	count(d, t, -1);
	for (i = bits_first(move->gone, QUEUE_OPEN_WORDS); i < end; i++) {
		if (!bits_has(move->gone, i))
			continue;
		BUG_ON(!task_has(t, i));
		bits_clear(open_bits(t), i - t->base);
	}
	count(d, t, 1);
	if (task_count(t) == 0) {
		err = tomb_add(d, t, &old);
		delta_task_free(d, t);
		if (was_loaded)
			delta_line_moves(d, line);
		return err < 0 ? err : delta_line_ready(d, line);
	}
	task_key(t, &new);
	if (new.group != old.group) {
		err = tomb_add(d, t, &old);
		t->row = (uint8_t)take_over(d, line, &new);
	}
	delta_task_dirty(d, t);
	return err;
}

int delta_move(struct delta *d, struct task *t, const struct move *move,
	       bool final, struct task **to_r)
{
	bool heir = t->taken != 0 && t->dirty;
	struct index_key key;
	struct task *to;
	int err;

	*to_r = NULL;
	if (final)
		return shrink(d, t, move);
	to = moved_task(d, t, move);
	if (to == NULL)
		return -ENOMEM;
	err = shrink(d, t, move);
	if (err < 0)
		return err;
	/* After shrink(): the old key's tomb may be the new key's row. */
	task_key(to, &key);
	to->row = (uint8_t)take_over(d, to->line, &key);
	count(d, to, 1);
	delta_task_dirty(d, to);
	/* The checkpoint would have written t, and covers what made it; the
	 * row that this outcome is replayed from would be missing. */
	if (heir && delta_take(d, to) < 0)
		return -ENOMEM;
	/* It would be written over a row that others have left untaken. */
	if (heir && to->row != ROW_NEVER)
		d->spoiled = true;
	*to_r = to;
	return delta_task_idle(d, to);
}
