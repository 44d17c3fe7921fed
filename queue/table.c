/*
 * queue/table.c - the index's tables beside `task`
 *
 * Counts (segstat, expire) are gathered in memory while a transaction runs
 * and written when it commits, each once: a transaction touches thousands of
 * rows and few counts.
 */
#include "queue/index_private.h"

#include "base/hash.h"
#include "queue/delta.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>

/* Copy the value of a key, or of the first at or behind it. */
static int get(struct index *x, enum index_table table, MDB_val *k, void *p,
	       size_t *len)
{
	MDB_txn *txn;
	MDB_val v;
	int rc, err = index_read(x, &txn);

	if (err < 0)
		return err;
	rc = mdb_get(txn, x->table[table], k, &v);
	err = index_error(rc);
	if (rc == 0 && v.mv_size > *len)
		err = -EUCLEAN;
	if (err == 0) {
		memcpy(p, v.mv_data, v.mv_size);
		*len = v.mv_size;
	}
	return err;
}

/* The first entry at or behind key, which it becomes. */
static int next(struct index *x, enum index_table table, struct span key,
		void *p, size_t *len)
{
	MDB_val k = { key.len, (void *)(uintptr_t)key.p }, v;
	MDB_cursor *cursor;
	MDB_txn *txn;
	int rc, err = index_read(x, &txn);

	if (err < 0)
		return err;
	rc = mdb_cursor_open(txn, x->table[table], &cursor);
	if (rc == 0) {
		rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
		mdb_cursor_close(cursor);
	}
	err = index_error(rc);
	if (rc == 0 && (k.mv_size != key.len || v.mv_size > *len))
		err = -EUCLEAN;
	if (err == 0) {
		memcpy((void *)(uintptr_t)key.p, k.mv_data, key.len);
		memcpy(p, v.mv_data, v.mv_size);
		*len = v.mv_size;
	}
	return err;
}

static int put(struct index *x, enum index_table table, struct span key,
	       struct span value)
{
	MDB_val k = { key.len, (void *)(uintptr_t)key.p };
	MDB_val v = { value.len, (void *)(uintptr_t)value.p };

	BUG_ON(x->write == NULL);
	return index_error(mdb_put(x->write, x->table[table], &k, &v, 0));
}

/* Nothing there is no failure. */
static int del(struct index *x, enum index_table table, struct span key)
{
	MDB_val k = { key.len, (void *)(uintptr_t)key.p };
	int rc;

	BUG_ON(x->write == NULL);
	rc = mdb_del(x->write, x->table[table], &k, NULL);
	return rc == MDB_NOTFOUND ? 0 : index_error(rc);
}

/* --- counts ------------------------------------------------------------------ */

static bool same_count(const void *item, const void *key)
{
	const struct index_change *a = item, *b = key;

	return a->table == b->table && a->key == b->key;
}

int index_change(struct index *x, struct index_change by)
{
	uint64_t hash = hash_pair(by.key, by.table);
	struct index_change *c;

	c = map_find(&x->changes, hash, same_count, &by);
	if (c == NULL) {
		c = calloc(1, sizeof(*c));
		if (c == NULL || map_put(&x->changes, hash, c) < 0) {
			free(c);
			return -ENOMEM;
		}
		c->table = by.table;
		c->key = by.key;
	}
	c->open += by.open;
	c->octets += by.octets;
	return 0;
}

static int flush_one(MDB_cursor *at, const struct index_change *c)
{
	uint64_t key = htobe64(c->key), count[2] = { 0, 0 };
	MDB_val k = { sizeof(key), &key }, v;
	int rc = mdb_cursor_get(at, &k, &v, MDB_SET);
	bool stands = rc == 0;

	if (stands && v.mv_size == sizeof(count))
		memcpy(count, v.mv_data, sizeof(count));
	else if (rc != MDB_NOTFOUND)
		return stands ? -EUCLEAN : index_error(rc);
	count[0] = htole64(le64toh(count[0]) + (uint64_t)c->open);
	count[1] = htole64(le64toh(count[1]) + (uint64_t)c->octets);
	if (count[0] == 0)
		return stands ? index_error(mdb_cursor_del(at, 0)) : 0;
	v = (MDB_val){ sizeof(count), count };
	return index_error(
		mdb_cursor_put(at, &k, &v, stands ? MDB_CURRENT : 0));
}

static int flush_table(struct index *x, enum index_table table)
{
	const struct index_change *c;
	MDB_cursor *cursor;
	size_t at = 0;
	int err = index_error(
		mdb_cursor_open(x->write, x->table[table], &cursor));

	if (err < 0)
		return err;
	while (err == 0 && (c = map_walk(&x->changes, &at)) != NULL)
		if (c->table == table && (c->open != 0 || c->octets != 0))
			err = flush_one(cursor, c);
	mdb_cursor_close(cursor);
	return err;
}

int index_flush(struct index *x)
{
	int err;

	if (x->changes.count == 0)
		return 0;
	err = flush_table(x, TABLE_SEGSTAT);
	return err < 0 ? err : flush_table(x, TABLE_EXPIRE);
}

int index_segment_open(struct index *x, uint64_t segment, uint64_t *open_r)
{
	uint64_t octets;

	return index_segment_stat(x, segment, open_r, &octets);
}

int index_segment_stat(struct index *x, uint64_t segment, uint64_t *open_r,
		       uint64_t *octets_r)
{
	uint64_t key = htobe64(segment), count[2];
	MDB_val k = { sizeof(key), &key };
	size_t len = sizeof(count);
	int err = get(x, TABLE_SEGSTAT, &k, count, &len);

	if (err < 0 && err != -ENOENT)
		return err;
	*open_r = err == 0 ? le64toh(count[0]) : 0;
	*octets_r = err == 0 ? le64toh(count[1]) : 0;
	return 0;
}

int index_expire_next(struct index *x, uint32_t *hour, uint32_t *queue)
{
	uint64_t key = htobe64((uint64_t)*hour << 32 | *queue), count[2];
	size_t len = sizeof(count);
	int err =
		next(x, TABLE_EXPIRE, span_of(&key, sizeof(key)), count, &len);

	if (err < 0)
		return err;
	*hour = (uint32_t)(be64toh(key) >> 32);
	*queue = (uint32_t)be64toh(key);
	return 0;
}

/* --- queues ------------------------------------------------------------------ */

/* LMDB's keys end at 511 octets; longer words are found by 128 bits of hash. */
#define QNAME_MAX 500

static struct span qname_key(struct span words, uint64_t hashed[2])
{
	if (words.len <= QNAME_MAX)
		return words;
	hashed[0] = hash_bytes(words.p, words.len, 1);
	hashed[1] = hash_bytes(words.p, words.len, 2);
	return span_of(hashed, 16);
}

int index_queue_find(struct index *x, struct span words, uint32_t *number_r)
{
	uint64_t hashed[2];
	struct span key = qname_key(words, hashed);
	MDB_val k = { key.len, (void *)(uintptr_t)key.p };
	uint32_t number;
	size_t len = sizeof(number);
	int err = get(x, TABLE_QNAME, &k, &number, &len);

	if (err < 0)
		return err;
	*number_r = le32toh(number);
	return 0;
}

int index_queue_words(struct index *x, uint32_t number, char *words,
		      size_t room, size_t *len_r)
{
	uint32_t key = htobe32(number);
	MDB_val k = { sizeof(key), &key };
	size_t len = room;
	int err = get(x, TABLE_QUEUE, &k, words, &len);

	if (err < 0)
		return err == -ENOENT ? -EUCLEAN : err;
	*len_r = len;
	return 0;
}

static int parse_queue(const MDB_val *k, const MDB_val *v, uint32_t *number_r)
{
	uint32_t number;

	if (k->mv_size != sizeof(number) || v->mv_size < 3)
		return -EUCLEAN;
	memcpy(&number, k->mv_data, sizeof(number));
	*number_r = be32toh(number);
	return 0;
}

/* Number by number. */
static int next_number(struct index *x, MDB_txn *txn,
		       const struct queue_filter *filter, uint32_t looks_max,
		       uint32_t *number_r)
{
	uint32_t key = htobe32(*number_r), looks = 0;
	MDB_val k = { sizeof(key), &key }, v;
	MDB_cursor *cursor;
	bool found = false;
	int rc, err = 0;

	rc = mdb_cursor_open(txn, x->table[TABLE_QUEUE], &cursor);
	if (rc != 0)
		return index_error(rc);
	rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
	while (rc == 0 && looks++ < looks_max) {
		err = parse_queue(&k, &v, number_r);
		found = err == 0 && line_words_wanted(filter, v.mv_data);
		if (err < 0 || found)
			break;
		++*number_r;
		rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	if (err < 0 || rc != 0)
		return err < 0 ? err : index_error(rc);
	return found;
}

/*
 * The same by words: qname stands in the order of tenant, campaign, domain,
 * so a domain is looked up once in each pair of the former two, of which
 * there are few.
 */
struct pairs {
	MDB_cursor *cursor;
	const struct queue_filter *filter;
	char key[LINE_WORDS_MAX + 2];
	uint32_t from, found; /* 0: none yet */
};

/* A key's tenant and campaign, as octets from its beginning; 0: it is none. */
static size_t pair_len(const char *p, size_t len)
{
	size_t tenant = 1 + (size_t)(unsigned char)p[0];
	size_t both = len <= tenant ? 0 : tenant + 1 + (unsigned char)p[tenant];

	return both < len ? both : 0;
}

static bool key_is_wanted(const struct pairs *w, const MDB_val *k)
{
	return line_words_wanted(w->filter, k->mv_data);
}

/* Is the domain in this pair?  And to the next pair, whose first key k is. */
static int look_in_pair(struct pairs *w, MDB_val *k)
{
	const struct span domain = w->filter->domain;
	size_t pair = pair_len(k->mv_data, k->mv_size);
	MDB_val v;
	uint32_t number;
	int rc;

	if (pair == 0 || pair + 1 + domain.len > QNAME_MAX)
		return MDB_BAD_VALSIZE;
	memcpy(w->key, k->mv_data, pair);
	w->key[pair] = (char)(unsigned char)domain.len;
	memcpy(w->key + pair + 1, domain.p, domain.len);
	*k = (MDB_val){ pair + 1 + domain.len, w->key };
	rc = mdb_cursor_get(w->cursor, k, &v, MDB_SET);
	if (rc == 0 && v.mv_size == sizeof(number) && key_is_wanted(w, k)) {
		memcpy(&number, v.mv_data, sizeof(number));
		number = le32toh(number);
		if (number >= w->from && (w->found == 0 || number < w->found))
			w->found = number;
	}
	if (rc != 0 && rc != MDB_NOTFOUND)
		return rc;
	/* Behind all domains: none begins with this octet. */
	memset(w->key + pair, 0xff, 2);
	*k = (MDB_val){ pair + 2, w->key };
	return mdb_cursor_get(w->cursor, k, &v, MDB_SET_RANGE);
}

static int next_by_words(struct index *x, MDB_txn *txn,
			 const struct queue_filter *filter, uint32_t looks_max,
			 uint32_t *number_r)
{
	struct pairs w = { .filter = filter, .from = *number_r };
	MDB_val k, v;
	int rc;

	rc = mdb_cursor_open(txn, x->table[TABLE_QNAME], &w.cursor);
	if (rc != 0)
		return index_error(rc);
	rc = mdb_cursor_get(w.cursor, &k, &v, MDB_FIRST);
	while (rc == 0 && looks_max-- > 0)
		rc = look_in_pair(&w, &k);
	mdb_cursor_close(w.cursor);
	if (rc == 0 || rc == MDB_BAD_VALSIZE)
		return 0; /* too many pairs, or too long: number by number */
	if (rc != MDB_NOTFOUND || w.found == 0)
		return index_error(rc);
	*number_r = w.found;
	return 1;
}

int index_queue_next(struct index *x, const struct queue_filter *filter,
		     uint32_t looks_max, uint32_t *number_r)
{
	MDB_txn *txn;
	int rc = index_read(x, &txn);

	if (rc < 0)
		return rc;
	rc = next_number(x, txn, filter, looks_max, number_r);
	if (rc == 0 && filter->domain.len > 0 && x->meta.names_whole)
		rc = next_by_words(x, txn, filter, looks_max, number_r);
	return rc;
}

int index_queue_put(struct index *x, struct span words, uint32_t *number_r)
{
	uint64_t hashed[2];
	struct span key = qname_key(words, hashed);
	MDB_val k = { key.len, (void *)(uintptr_t)key.p }, v;
	uint32_t number, packed;
	int rc, err;

	BUG_ON(x->write == NULL);
	rc = mdb_get(x->write, x->table[TABLE_QNAME], &k, &v);
	if (rc == 0 && v.mv_size == sizeof(packed)) {
		memcpy(&packed, v.mv_data, sizeof(packed));
		*number_r = le32toh(packed);
		return 0;
	}
	if (rc != MDB_NOTFOUND)
		return rc == 0 ? -EUCLEAN : index_error(rc);
	if (words.len > QNAME_MAX)
		x->next.names_whole = false;
	number = x->next.queue_next;
	packed = htole32(number);
	err = put(x, TABLE_QNAME, key, span_of(&packed, sizeof(packed)));
	if (err < 0)
		return err;
	packed = htobe32(number);
	err = put(x, TABLE_QUEUE, span_of(&packed, sizeof(packed)), words);
	if (err < 0)
		return err;
	x->next.queue_next++;
	*number_r = number;
	return 0;
}

/* --- submissions and decisions ------------------------------------------------ */

int index_idem_get(struct index *x, const uint8_t submission[16], void *p,
		   size_t room, size_t *len_r)
{
	MDB_val k = { 16, (void *)(uintptr_t)submission };
	size_t len = room;
	int err = get(x, TABLE_IDEM, &k, p, &len);

	if (err == 0)
		*len_r = len;
	return err;
}

int index_idem_next(struct index *x, uint8_t at[16], void *p, size_t room,
		    size_t *len_r)
{
	size_t len = room;
	int err = next(x, TABLE_IDEM, span_of(at, 16), p, &len);

	if (err == 0)
		*len_r = len;
	return err;
}

int index_idem_put(struct index *x, const uint8_t submission[16], const void *p,
		   size_t len)
{
	return put(x, TABLE_IDEM, span_of(submission, 16), span_of(p, len));
}

int index_idem_del(struct index *x, const uint8_t submission[16])
{
	return del(x, TABLE_IDEM, span_of(submission, 16));
}

/*
 * A decision's row is what decision.c packs.  Of one that was moved the first
 * octet is 2 and its place follows.
 */
#define DECISION_MOVED 2

static uint64_t decision_place(const char *p, size_t *len, uint64_t lsn)
{
	uint64_t place = htobe64(lsn);

	if (*len > 8 && p[0] == DECISION_MOVED) {
		*len -= 8;
		memcpy(&place, p + *len, 8);
	}
	return be64toh(place);
}

int index_decision_next(struct index *x, uint64_t *lsn, void *p, size_t room,
			size_t *len_r, uint64_t *place_r)
{
	uint64_t key = htobe64(*lsn);
	size_t len = room;
	int err = next(x, TABLE_DECISION, span_of(&key, sizeof(key)), p, &len);

	if (err < 0)
		return err;
	*lsn = be64toh(key);
	*place_r = decision_place(p, &len, *lsn);
	if (*place_r != *lsn)
		*(char *)p = 1;
	*len_r = len;
	return 0;
}

/* A decision in force lives in its segment as a recipient does. */
static int count_decision(struct index *x, uint64_t place, int open)
{
	return index_change(x, (struct index_change){ TABLE_SEGSTAT,
						      place / x->segment_bytes,
						      open, 0 });
}

/* Count out what stands at a key; -ENOENT: nothing. */
static int count_old_decision(struct index *x, uint64_t lsn)
{
	uint64_t key = htobe64(lsn);
	MDB_val k = { sizeof(key), &key }, v;
	int err = index_error(
		mdb_get(x->write, x->table[TABLE_DECISION], &k, &v));
	size_t len;

	if (err < 0)
		return err;
	len = v.mv_size;
	return count_decision(x, decision_place(v.mv_data, &len, lsn), -1);
}

int index_decision_put(struct index *x, uint64_t lsn, uint64_t place,
		       struct span packed)
{
	uint64_t key = htobe64(lsn), at = htobe64(place);
	MDB_val k = { sizeof(key), &key }, v = { packed.len, NULL };
	int err;

	BUG_ON(x->write == NULL || packed.len == 0);
	err = count_old_decision(x, lsn);
	if (err < 0 && err != -ENOENT)
		return err;
	v.mv_size += place != lsn ? sizeof(at) : 0;
	err = index_error(mdb_put(x->write, x->table[TABLE_DECISION], &k, &v,
				  MDB_RESERVE));
	if (err < 0)
		return err;
	memcpy(v.mv_data, packed.p, packed.len);
	if (place != lsn) {
		*(char *)v.mv_data = DECISION_MOVED;
		memcpy((char *)v.mv_data + packed.len, &at, sizeof(at));
	}
	return count_decision(x, place, 1);
}

int index_decision_del(struct index *x, uint64_t lsn)
{
	uint64_t key = htobe64(lsn);
	int err = count_old_decision(x, lsn);

	if (err < 0)
		return err == -ENOENT ? 0 : err;
	return del(x, TABLE_DECISION, span_of(&key, sizeof(key)));
}

/* --- what compaction has moved -------------------------------------------------- */

int index_moved(struct index *x, uint64_t id, uint64_t *place_r)
{
	uint64_t key = htobe64(id), place;
	MDB_val k = { sizeof(key), &key };
	size_t len = sizeof(place);
	int err = get(x, TABLE_MOVED, &k, &place, &len);

	if (err == 0)
		*place_r = be64toh(place);
	return err;
}

int index_place_next(struct index *x, uint64_t *place, uint64_t *id_r)
{
	uint64_t key = htobe64(*place), id;
	size_t len = sizeof(id);
	int err = next(x, TABLE_PLACE, span_of(&key, sizeof(key)), &id, &len);

	if (err < 0)
		return err;
	*place = be64toh(key);
	*id_r = be64toh(id);
	return 0;
}

int index_moved_put(struct index *x, uint64_t id, uint64_t place)
{
	uint64_t key = htobe64(id), at = htobe64(place);
	int err = put(x, TABLE_MOVED, span_of(&key, sizeof(key)),
		      span_of(&at, sizeof(at)));

	return err < 0 ? err
		       : put(x, TABLE_PLACE, span_of(&at, sizeof(at)),
			     span_of(&key, sizeof(key)));
}

int index_moved_del(struct index *x, uint64_t id, uint64_t place)
{
	uint64_t key = htobe64(id), at = htobe64(place);
	MDB_val k = { sizeof(key), &key }, v;
	int err = index_error(mdb_get(x->write, x->table[TABLE_MOVED], &k, &v));

	/* Unless it has moved on. */
	if (err == 0 && v.mv_size == sizeof(at) &&
	    memcmp(v.mv_data, &at, sizeof(at)) == 0)
		err = del(x, TABLE_MOVED, span_of(&key, sizeof(key)));
	if (err < 0 && err != -ENOENT)
		return err;
	return del(x, TABLE_PLACE, span_of(&at, sizeof(at)));
}
