/*
 * queue/idem.c - what was accepted of each submission
 */
#include "queue/idem.h"

#include "base/hash.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#define ANSWERS 16
#define STEP    512
#define LAP_S   60u /* between the ends of two searches for old ones */
#define ROW_MAX (16 + ANSWERS * 16)

struct answer {
	uint64_t number, id;
};

struct submission {
	uint8_t name[16];
	uint64_t highest;
	uint32_t used_s, count;
	struct answer answers[ANSWERS]; /* rising by number */
	struct list link;
};

struct idem {
	struct map map;
	struct list changed, written;
	uint8_t lap[16];  /* where the search for old ones stands */
	uint32_t lap_s;   /* the next lap begins then */
	uint32_t to_look; /* of this checkpoint */
	bool looking;
};

static uint64_t name_hash(const uint8_t name[16])
{
	return hash_bytes(name, 16, 0);
}

static bool same_name(const void *item, const void *key)
{
	return memcmp(((const struct submission *)item)->name, key, 16) == 0;
}

int idem_open(struct queue_store *s)
{
	s->idem = calloc(1, sizeof(*s->idem));
	if (s->idem == NULL)
		return -ENOMEM;
	map_init(&s->idem->map);
	list_init(&s->idem->changed);
	list_init(&s->idem->written);
	return 0;
}

void idem_close(struct queue_store *s)
{
	struct submission *sub;
	size_t at = 0;

	if (s->idem == NULL)
		return;
	while ((sub = map_walk(&s->idem->map, &at)) != NULL)
		free(sub);
	map_free(&s->idem->map);
	free(s->idem);
	s->idem = NULL;
}

static size_t pack(const struct submission *sub, uint8_t p[ROW_MAX])
{
	uint64_t highest = htole64(sub->highest), pair[2];
	uint32_t used = htole32(sub->used_s), count = htole32(sub->count), i;

	memcpy(p, &highest, 8);
	memcpy(p + 8, &used, 4);
	memcpy(p + 12, &count, 4);
	for (i = 0; i < sub->count; i++) {
		pair[0] = htole64(sub->answers[i].number);
		pair[1] = htole64(sub->answers[i].id);
		memcpy(p + 16 + 16 * i, pair, 16);
	}
	return 16 + 16 * (size_t)sub->count;
}

static int parse(const uint8_t *p, size_t len, struct submission *sub)
{
	uint64_t pair[2];
	uint32_t i;

	if (len < 16)
		return -EUCLEAN;
	memcpy(&sub->highest, p, 8);
	memcpy(&sub->used_s, p + 8, 4);
	memcpy(&sub->count, p + 12, 4);
	sub->highest = le64toh(sub->highest);
	sub->used_s = le32toh(sub->used_s);
	sub->count = le32toh(sub->count);
	if (sub->count > ANSWERS || len != 16 + 16 * (size_t)sub->count)
		return -EUCLEAN;
	for (i = 0; i < sub->count; i++) {
		memcpy(pair, p + 16 + 16 * i, 16);
		sub->answers[i].number = le64toh(pair[0]);
		sub->answers[i].id = le64toh(pair[1]);
	}
	return 0;
}

/* From memory, else a copy of what the index has; -ENOENT. */
static int look_up(struct queue_store *s, const uint8_t name[16],
		   struct submission *copy_r)
{
	struct submission *sub;
	uint8_t row[ROW_MAX];
	size_t len;
	int err;

	sub = map_find(&s->idem->map, name_hash(name), same_name, name);
	if (sub != NULL) {
		*copy_r = *sub;
		return 0;
	}
	err = index_idem_get(s->index, name, row, sizeof(row), &len);
	if (err < 0)
		return err;
	memcpy(copy_r->name, name, 16);
	return parse(row, len, copy_r);
}

static int bring_in(struct queue_store *s, const uint8_t name[16],
		    struct submission **sub_r)
{
	struct submission *sub, copy = { .highest = 0 };
	int err;

	sub = map_find(&s->idem->map, name_hash(name), same_name, name);
	if (sub != NULL) {
		*sub_r = sub;
		return 0;
	}
	memcpy(copy.name, name, 16);
	err = look_up(s, name, &copy);
	if (err < 0 && err != -ENOENT)
		return err;
	sub = malloc(sizeof(*sub));
	if (sub == NULL)
		return -ENOMEM;
	*sub = copy;
	list_init(&sub->link);
	if (map_put(&s->idem->map, name_hash(name), sub) < 0) {
		free(sub);
		return -ENOMEM;
	}
	list_add_tail(&s->idem->changed, &sub->link);
	*sub_r = sub;
	return 0;
}

struct idem_name idem_name_of(const struct queue_record *rec)
{
	struct idem_name name = { .number = rec->submission_number,
				  .used_s = rec->msg.adopted_s != 0
						    ? IDEM_FOR_GOOD_S
						    : rec->msg.arrived_s };

	memcpy(name.submission, rec->submission, sizeof(name.submission));
	return name;
}

int idem_note(struct queue_store *s, const struct idem_name *name, uint64_t id)
{
	static const uint8_t none[16];
	struct submission *sub;
	int err;

	if (memcmp(name->submission, none, 16) == 0)
		return 0;
	err = bring_in(s, name->submission, &sub);
	if (err < 0)
		return err;
	list_del(&sub->link);
	list_add_tail(&s->idem->changed, &sub->link);
	if (name->used_s > sub->used_s)
		sub->used_s = name->used_s;
	if (sub->count > 0 && name->number <= sub->highest)
		return 0; /* a replay of what a checkpoint knew */
	if (sub->count == ANSWERS) {
		memmove(sub->answers, sub->answers + 1,
			(ANSWERS - 1) * sizeof(struct answer));
		sub->count--;
	}
	sub->answers[sub->count++] = (struct answer){ name->number, id };
	sub->highest = name->number;
	return 0;
}

int queue_store_submitted(struct queue *q, const uint8_t submission[16],
			  uint64_t number, uint64_t *id_r)
{
	struct submission sub;
	uint64_t id = 0;
	uint32_t i;
	int err = look_up(q->store, submission, &sub);

	if (err < 0)
		return err == -ENOENT ? 0 : err;
	if (number > sub.highest)
		return 0;
	for (i = 0; i < sub.count; i++)
		if (sub.answers[i].number == number)
			id = sub.answers[i].id;
	*id_r = id;
	return 1;
}

/* --- checkpoint -------------------------------------------------------------------- */

static int write_some(struct queue_store *s)
{
	struct idem *idem = s->idem;
	struct submission *sub;
	uint8_t row[ROW_MAX];
	int i, err = 0;

	for (i = 0; i < STEP && !list_empty(&idem->changed); i++) {
		sub = CONTAINER_OF(idem->changed.next, struct submission, link);
		err = index_idem_put(s->index, sub->name, row, pack(sub, row));
		if (err < 0)
			return err;
		list_del(&sub->link);
		list_add_tail(&idem->written, &sub->link);
		idem->to_look += 2; /* faster than they come */
	}
	return !list_empty(&idem->changed);
}

static void step_lap(uint8_t lap[16])
{
	int i;

	for (i = 15; i >= 0 && ++lap[i] == 0; i--)
		;
}

static int drop_old(struct queue_store *s, uint32_t now_s)
{
	struct idem *idem = s->idem;
	struct submission sub;
	uint8_t row[ROW_MAX];
	size_t len;
	int i, err;

	if (now_s < idem->lap_s)
		idem->to_look = 0;
	for (i = 0; i < STEP && idem->to_look > 0; i++, idem->to_look--) {
		err = index_idem_next(s->index, idem->lap, row, sizeof(row),
				      &len);
		if (err == -ENOENT) {
			memset(idem->lap, 0, 16);
			idem->lap_s = now_s + LAP_S;
			idem->to_look = 0;
			break;
		}
		if (err == 0)
			err = parse(row, len, &sub);
		/* One in memory was used since: it is not old. */
		if (err == 0 && sub.used_s + IDEM_KEEP_S < now_s &&
		    map_find(&idem->map, name_hash(idem->lap), same_name,
			     idem->lap) == NULL)
			err = index_idem_del(s->index, idem->lap);
		if (err < 0)
			return err;
		step_lap(idem->lap);
	}
	return idem->to_look > 0;
}

int idem_checkpoint(struct queue_store *s, uint32_t now_s)
{
	struct idem *idem = s->idem;
	int rc;

	if (!index_writing(s->index)) {
		rc = index_begin(s->index, s->checkpoint.lsn);
		if (rc < 0)
			return rc;
	}
	if (!idem->looking)
		idem->to_look = STEP;
	idem->looking = true;
	rc = write_some(s);
	if (rc == 0)
		rc = drop_old(s, now_s);
	if (rc == 0)
		idem->looking = false;
	return rc;
}

void idem_settle(struct queue_store *s, bool committed)
{
	struct idem *idem = s->idem;
	struct submission *sub;
	struct list *link;

	idem->looking = false;
	while ((link = list_pop(&idem->written)) != NULL) {
		sub = CONTAINER_OF(link, struct submission, link);
		if (!committed) {
			list_add_tail(&idem->changed, link);
			continue;
		}
		map_del(&idem->map, name_hash(sub->name), sub);
		free(sub);
	}
}
