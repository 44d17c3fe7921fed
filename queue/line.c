/*
 * queue/line.c - queues in memory
 *
 * A line is found by its words, by its number in the index, and by its
 * handle.  Handles are reused only after delta_line_free(); that is after the
 * last task of the line has left memory.
 */
#include "queue/delta.h"

#include "base/hash.h"

#include <errno.h>
#include <stdlib.h>

/* A window that is through in so many seconds is too small, too large. */
#define WINDOW_FAST_S 1
#define WINDOW_SLOW_S 8

static size_t add_word(char *to, struct span word)
{
	BUG_ON(word.len > QUEUE_WORD_MAX);
	*to = (char)(unsigned char)word.len;
	if (word.len > 0)
		memcpy(to + 1, word.p, word.len);
	return 1 + word.len;
}

size_t line_pack(char words[LINE_WORDS_MAX], struct span tenant,
		 struct span campaign, struct span domain)
{
	size_t len = add_word(words, tenant);

	len += add_word(words + len, campaign);
	return len + add_word(words + len, domain);
}

static const char *take_word(const char *p, struct span *word_r)
{
	*word_r = span_of(p + 1, (unsigned char)*p);
	return p + 1 + word_r->len;
}

static void unpack(const char *p, struct span *tenant_r,
		   struct span *campaign_r, struct span *domain_r)
{
	p = take_word(p, tenant_r);
	p = take_word(p, campaign_r);
	take_word(p, domain_r);
}

void line_unpack(const struct line *line, struct span *tenant_r,
		 struct span *campaign_r, struct span *domain_r)
{
	unpack(line->words, tenant_r, campaign_r, domain_r);
}

static bool word_covers(struct span rule, struct span word)
{
	return rule.len == 0 || span_eq(rule, word);
}

bool line_words_wanted(const struct queue_filter *filter, const char *words)
{
	struct span tenant, campaign, domain;

	unpack(words, &tenant, &campaign, &domain);
	return word_covers(filter->tenant, tenant) &&
	       word_covers(filter->campaign, campaign) &&
	       word_covers(filter->domain, domain);
}

static bool same_words(const void *item, const void *key)
{
	const struct line *line = item;
	const struct span *words = key;

	return line->words_len == words->len &&
	       memcmp(line->words, words->p, words->len) == 0;
}

static bool same_number(const void *item, const void *key)
{
	return ((const struct line *)item)->number == *(const uint32_t *)key;
}

struct line *delta_line_find(const struct delta *d, struct span words)
{
	return map_find(&d->lines, hash_bytes(words.p, words.len, 0),
			same_words, &words);
}

struct line *delta_line_numbered(const struct delta *d, uint32_t number)
{
	return map_find(&d->numbers, hash_u64(number), same_number, &number);
}

/* The lowest free handle's place, made when there is none. */
static int take_handle(struct delta *d, struct line *line)
{
	struct line **more;
	uint32_t i, size;

	for (i = d->handle_free; i < d->handles; i++)
		if (d->by_handle[i] == NULL)
			break;
	if (i == d->handles) {
		size = d->handles == 0 ? 64 : d->handles * 2;
		more = realloc(d->by_handle, size * sizeof(struct line *));
		if (more == NULL)
			return -ENOMEM;
		memset(more + d->handles, 0,
		       (size - d->handles) * sizeof(struct line *));
		d->by_handle = more;
		d->handles = size;
	}
	d->by_handle[i] = line;
	d->handle_free = i + 1;
	line->handle = i;
	return 0;
}

struct line *delta_line_add(struct delta *d, struct span words)
{
	struct line *line = calloc(1, sizeof(*line) + words.len);

	if (line == NULL)
		return NULL;
	line->words_len = (uint16_t)words.len;
	memcpy(line->words, words.p, words.len);
	heap_init(&line->due);
	heap_node_init(&line->ready);
	list_init(&line->tasks);
	list_init(&line->in_idle);
	line->next_slot = UINT32_MAX;
	/* It may have been in memory before. */
	if (d->tombs_left)
		line->tomb_last.queue = UINT32_MAX;
	line->window = d->window_first;
	line->window_s = d->now_s;
	if (take_handle(d, line) < 0) {
		free(line);
		return NULL;
	}
	if (map_put(&d->lines, hash_bytes(words.p, words.len, 0), line) < 0) {
		d->by_handle[line->handle] = NULL;
		free(line);
		return NULL;
	}
	list_add_tail(&d->idle, &line->in_idle);
	d->line_count++;
	return line;
}

int delta_line_number(struct delta *d, struct line *line, uint32_t number)
{
	int err;

	BUG_ON(line->number != 0 || number == 0);
	err = map_put(&d->numbers, hash_u64(number), line);
	if (err < 0)
		return err;
	line->number = number;
	line->at = (struct index_key){ .queue = number };
	return 0;
}

void delta_line_free(struct delta *d, struct line *line)
{
	BUG_ON(line->task_count > 0);
	if (line->tomb_last.queue != 0 && d->tomb_count > 0)
		d->tombs_left = true;
	heap_del(&d->ready, &line->ready);
	list_del(&line->in_idle);
	map_del(&d->lines, hash_bytes(line->words, line->words_len, 0), line);
	if (line->number != 0)
		map_del(&d->numbers, hash_u64(line->number), line);
	d->by_handle[line->handle] = NULL;
	if (line->handle < d->handle_free)
		d->handle_free = line->handle;
	d->line_count--;
	heap_free(&line->due);
	free(line);
}

int delta_line_ready(struct delta *d, struct line *line)
{
	struct heap_node *first = heap_min(&line->due);
	uint64_t key = UINT64_MAX;

	/* Of equal slots what is in memory goes first: else every line with
	 * mail of this second would be read from the index before one task
	 * is given. */
	if (line->next_slot < QUEUE_SLOT_DAMAGED && line_has_window(d, line))
		key = (uint64_t)line->next_slot << 32 | UINT32_MAX;
	if (first != NULL && first->key < key)
		key = first->key;
	if (key == UINT64_MAX || line->paused ||
	    line->loaded >= d->line_tasks_max) {
		heap_del(&d->ready, &line->ready);
		return 0;
	}
	return heap_put(&d->ready, &line->ready, key);
}

void delta_line_moves(struct delta *d, struct line *line)
{
	uint32_t took_s = d->now_s - line->window_s;

	if (++line->window_done < line->window)
		return;
	if (took_s <= WINDOW_FAST_S && line->window < d->line_tasks_max)
		line->window *= 2;
	if (took_s >= WINDOW_SLOW_S && line->window > d->window_first)
		line->window /= 2;
	line->window_done = 0;
	line->window_s = d->now_s;
}

int delta_line_row(struct delta *d, struct line *line,
		   const struct index_key *key)
{
	BUG_ON(line->number != key->queue);
	if (index_key_cmp(key, &line->at) < 0)
		line->at = *key;
	if (key->slot < line->next_slot)
		line->next_slot = key->slot;
	return delta_line_ready(d, line);
}

void delta_lines_unnumber(struct delta *d, uint32_t from)
{
	struct line *line;
	uint32_t i;

	for (i = 0; i < d->handles; i++) {
		line = d->by_handle[i];
		if (line == NULL || line->number < from)
			continue;
		map_del(&d->numbers, hash_u64(line->number), line);
		line->number = 0;
		line->next_slot = UINT32_MAX;
	}
}
