/*
 * queue/table.c - the index's tables beside `task`
 *
 * Counts (segstat, expire) are gathered in memory while a transaction runs
 * and written when it commits, each once: a transaction touches thousands of
 * rows and few counts.
 */
#include "queue/index_private.h"

#include "base/hash.h"

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
	index_read_end(x);
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
	index_read_end(x);
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

static int flush_one(struct index *x, const struct index_change *c)
{
	uint64_t key = htobe64(c->key), count[2] = { 0, 0 };
	MDB_val k = { sizeof(key), &key }, v;
	int rc = mdb_get(x->write, x->table[c->table], &k, &v);

	if (rc == 0 && v.mv_size == sizeof(count))
		memcpy(count, v.mv_data, sizeof(count));
	else if (rc != MDB_NOTFOUND)
		return rc == 0 ? -EUCLEAN : index_error(rc);
	count[0] = htole64(le64toh(count[0]) + (uint64_t)c->open);
	count[1] = htole64(le64toh(count[1]) + (uint64_t)c->octets);
	if (count[0] == 0)
		return del(x, c->table, span_of(&key, sizeof(key)));
	return put(x, c->table, span_of(&key, sizeof(key)),
		   span_of(count, sizeof(count)));
}

int index_flush(struct index *x)
{
	const struct index_change *c;
	size_t at = 0;
	int err = 0;

	while (err == 0 && (c = map_walk(&x->changes, &at)) != NULL)
		if (c->open != 0 || c->octets != 0)
			err = flush_one(x, c);
	return err;
}

int index_segment_open(struct index *x, uint64_t segment, uint64_t *open_r)
{
	uint64_t key = htobe64(segment), count[2];
	MDB_val k = { sizeof(key), &key };
	size_t len = sizeof(count);
	int err = get(x, TABLE_SEGSTAT, &k, count, &len);

	if (err < 0 && err != -ENOENT)
		return err;
	*open_r = err == 0 ? le64toh(count[0]) : 0;
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

int index_decision_next(struct index *x, uint64_t *lsn, void *p, size_t room,
			size_t *len_r)
{
	uint64_t key = htobe64(*lsn);
	size_t len = room;
	int err = next(x, TABLE_DECISION, span_of(&key, sizeof(key)), p, &len);

	if (err < 0)
		return err;
	*lsn = be64toh(key);
	*len_r = len;
	return 0;
}

/* A decision in force lives in its segment as a recipient does. */
static int count_decision(struct index *x, uint64_t lsn, int open)
{
	return index_change(x, (struct index_change){ TABLE_SEGSTAT,
						      lsn / x->segment_bytes,
						      open, 0 });
}

static bool has_decision(struct index *x, uint64_t key)
{
	MDB_val k = { sizeof(key), &key }, v;

	return mdb_get(x->write, x->table[TABLE_DECISION], &k, &v) == 0;
}

int index_decision_put(struct index *x, uint64_t lsn, const void *p, size_t len)
{
	uint64_t key = htobe64(lsn);
	int err = has_decision(x, key) ? 0 : count_decision(x, lsn, 1);

	if (err < 0)
		return err;
	return put(x, TABLE_DECISION, span_of(&key, sizeof(key)),
		   span_of(p, len));
}

int index_decision_del(struct index *x, uint64_t lsn)
{
	uint64_t key = htobe64(lsn);
	int err;

	if (!has_decision(x, key))
		return 0;
	err = count_decision(x, lsn, -1);
	return err < 0 ? err
		       : del(x, TABLE_DECISION, span_of(&key, sizeof(key)));
}
