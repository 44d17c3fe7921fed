/*
 * ingress/seen.c - messages taken, by submission and number
 *
 * A submission's (number, id) pairs lie in one array, rising by number, since
 * numbers rise in the order in which messages become durable; a pair out of
 * order is moved to its place.  Pairs of frames that no client repeats any
 * more fall off the front when the array would grow.
 *
 * Invariants: ids is the sum of all counts; every submission is in the map
 * and in the list by age, the quietest first.
 */
#include "ingress/seen.h"

#include "base/bug.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/map.h"
#include "mtaq/submit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct pair {
	uint64_t number, id;
};

struct submission {
	struct list by_age;
	uint8_t id[SUBMIT_ID_SIZE];
	uint32_t last_s;
	bool held;
	uint32_t count, size;
	struct pair *pairs;
};

struct ingress_seen {
	struct map map;
	struct list by_age;
	size_t ids, ids_max;
};

static uint64_t hash_of(const uint8_t id[SUBMIT_ID_SIZE])
{
	return hash_bytes(id, SUBMIT_ID_SIZE, 0);
}

static bool is_it(const void *item, const void *key)
{
	const struct submission *s = item;

	return memcmp(s->id, key, SUBMIT_ID_SIZE) == 0;
}

struct ingress_seen *ingress_seen_new(size_t ids_max)
{
	struct ingress_seen *seen = calloc(1, sizeof(*seen));

	if (seen == NULL)
		return NULL;
	map_init(&seen->map);
	list_init(&seen->by_age);
	seen->ids_max = ids_max;
	return seen;
}

static void forget(struct ingress_seen *seen, struct submission *s)
{
	BUG_ON(!map_del(&seen->map, hash_of(s->id), s));
	BUG_ON(seen->ids < s->count);
	seen->ids -= s->count;
	list_del(&s->by_age);
	free(s->pairs);
	free(s);
}

void ingress_seen_free(struct ingress_seen **seen)
{
	struct list *l;

	if (*seen == NULL)
		return;
	while (!list_empty(&(*seen)->by_age)) {
		l = (*seen)->by_age.next;
		forget(*seen, CONTAINER_OF(l, struct submission, by_age));
	}
	map_free(&(*seen)->map);
	free(*seen);
	*seen = NULL;
}

/* Most are asked for several times in a row. */
static struct submission *find(const struct ingress_seen *seen,
			       const uint8_t id[SUBMIT_ID_SIZE])
{
	struct submission *last =
		CONTAINER_OF(seen->by_age.prev, struct submission, by_age);

	if (!list_empty(&seen->by_age) && is_it(last, id))
		return last;
	return map_find(&seen->map, hash_of(id), is_it, id);
}

static struct submission *obtain(struct ingress_seen *seen,
				 const uint8_t id[SUBMIT_ID_SIZE],
				 uint32_t now_s)
{
	struct submission *s = find(seen, id);

	if (s == NULL) {
		s = calloc(1, sizeof(*s));
		if (s == NULL)
			return NULL;
		memcpy(s->id, id, sizeof(s->id));
		list_init(&s->by_age);
		if (map_put(&seen->map, hash_of(id), s) < 0) {
			free(s);
			return NULL;
		}
	}
	s->last_s = now_s;
	list_del(&s->by_age);
	list_add_tail(&seen->by_age, &s->by_age);
	return s;
}

/* Where number stands or would stand. */
static uint32_t place_of(const struct submission *s, uint64_t number)
{
	uint32_t low = 0, high = s->count, mid;

	if (s->count > 0 && s->pairs[s->count - 1].number < number)
		return s->count; /* nearly always */
	while (low < high) {
		mid = low + (high - low) / 2;
		if (s->pairs[mid].number < number)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Drop the pairs of frames that are answered for sure. */
static void drop_old(struct ingress_seen *seen, struct submission *s,
		     uint64_t number)
{
	uint64_t frame = number >> 32, least;
	uint32_t n;

	if (frame <= SUBMIT_FRAMES_OPEN)
		return;
	least = (frame - SUBMIT_FRAMES_OPEN) << 32;
	n = place_of(s, least);
	memmove(s->pairs, s->pairs + n, (s->count - n) * sizeof(s->pairs[0]));
	s->count -= n;
	seen->ids -= n;
}

static int make_room(struct ingress_seen *seen, struct submission *s,
		     uint64_t number)
{
	struct pair *p;
	uint32_t size;

	if (s->count < s->size)
		return 0;
	if (s->count > 0)
		drop_old(seen, s, number);
	if (s->count <= s->size / 2 && s->size > 0)
		return 0;
	size = s->size == 0 ? 1 : 2 * s->size;
	p = realloc(s->pairs, size * sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	s->pairs = p;
	s->size = size;
	return 0;
}

/* The quietest go first; one that is being brought stays. */
static void bound(struct ingress_seen *seen, const struct submission *keep)
{
	struct submission *s;

	LIST_FOR_EACH_SAFE (l, tmp, &seen->by_age) {
		if (seen->ids <= seen->ids_max)
			return;
		s = CONTAINER_OF(l, struct submission, by_age);
		if (s != keep && !s->held)
			forget(seen, s);
	}
}

int ingress_seen_add(struct ingress_seen *seen,
		     const uint8_t submission[SUBMIT_ID_SIZE], uint64_t number,
		     uint64_t id, uint32_t now_s)
{
	struct submission *s = obtain(seen, submission, now_s);
	uint32_t at;

	if (s == NULL || make_room(seen, s, number) < 0)
		return -ENOMEM;
	at = place_of(s, number);
	if (at < s->count && s->pairs[at].number == number)
		return 0;
	memmove(s->pairs + at + 1, s->pairs + at,
		(s->count - at) * sizeof(s->pairs[0]));
	s->pairs[at] = (struct pair){ number, id };
	s->count++;
	seen->ids++;
	bound(seen, s);
	return 0;
}

int ingress_seen_find(const struct ingress_seen *seen,
		      const uint8_t submission[SUBMIT_ID_SIZE], uint64_t number,
		      uint64_t *id_r)
{
	const struct submission *s = find(seen, submission);
	uint32_t at;

	if (s == NULL)
		return 0;
	at = place_of(s, number);
	if (at == s->count || s->pairs[at].number != number)
		return 0;
	*id_r = s->pairs[at].id;
	return 1;
}

void ingress_seen_end(struct ingress_seen *seen,
		      const uint8_t submission[SUBMIT_ID_SIZE])
{
	struct submission *s = find(seen, submission);

	if (s == NULL)
		return;
	BUG_ON(seen->ids < s->count);
	seen->ids -= s->count;
	free(s->pairs);
	s->pairs = NULL;
	s->count = s->size = 0;
	if (!s->held)
		forget(seen, s);
}

void ingress_seen_expire(struct ingress_seen *seen, uint32_t now_s)
{
	struct submission *s;

	LIST_FOR_EACH_SAFE (l, tmp, &seen->by_age) {
		s = CONTAINER_OF(l, struct submission, by_age);
		if (now_s < s->last_s || now_s - s->last_s < INGRESS_SEEN_S)
			return;
		if (!s->held)
			forget(seen, s);
	}
}

size_t ingress_seen_ids(const struct ingress_seen *seen)
{
	return seen->ids;
}

bool ingress_seen_hold(struct ingress_seen *seen,
		       const uint8_t submission[SUBMIT_ID_SIZE], uint32_t now_s)
{
	struct submission *s = obtain(seen, submission, now_s);

	if (s == NULL || s->held)
		return false;
	s->held = true;
	return true;
}

void ingress_seen_release(struct ingress_seen *seen,
			  const uint8_t submission[SUBMIT_ID_SIZE])
{
	struct submission *s = find(seen, submission);

	if (s == NULL)
		return;
	s->held = false;
	if (s->count == 0)
		forget(seen, s);
}
