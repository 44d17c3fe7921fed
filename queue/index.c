/*
 * queue/index.c - the LMDB environment, its transactions, and task rows
 *
 *	value of a task row, little-endian:
 *	u8 attempts, u8 unsure, u8 flags, u8 moved, u16 segments, u16 0,
 *	u32 expires, u32 share, when moved u64 place, then the open
 *	recipients, a bit each
 *
 * One writer, one thread.  Reading goes through a read transaction that ends
 * with each commit and is renewed by whoever reads next: it never sees less
 * than what is committed, and never keeps old pages from being reused.  A new
 * one for each read would have LMDB look for the tables again each time.
 */
#include "queue/index_private.h"

#include "queue/bits.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define FORMAT 2u /* 1 has no moved row, and is raised when it is opened */

static const char *const table_names[TABLES] = {
	"meta",   "task", "queue",    "qname", "segstat",
	"expire", "idem", "decision", "moved", "place",
};

struct meta_disk { /* little-endian */
	uint32_t format, queue_next;
	uint64_t checkpoint_lsn, cursor_lsn;
	uint64_t waiting, held;
	uint64_t reached_lsn;
	uint32_t saved_s, names_whole; /* 0 of an earlier program: not known */
};

int index_error(int rc)
{
	if (rc == 0)
		return 0;
	if (rc == MDB_MAP_FULL)
		return -ENOSPC;
	if (rc == MDB_NOTFOUND)
		return -ENOENT;
	if (rc > 0)
		return -rc;
	return -EUCLEAN;
}

int index_key_cmp(const struct index_key *a, const struct index_key *b)
{
	if (a->queue != b->queue)
		return a->queue < b->queue ? -1 : 1;
	if (a->slot != b->slot)
		return a->slot < b->slot ? -1 : 1;
	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	return (a->group > b->group) - (a->group < b->group);
}

static void pack_key(const struct index_key *key, uint8_t p[INDEX_KEY_BYTES])
{
	uint32_t queue = htobe32(key->queue), slot = htobe32(key->slot);
	uint64_t id = htobe64(key->id);
	uint16_t group = htobe16(key->group);

	memcpy(p, &queue, 4);
	memcpy(p + 4, &slot, 4);
	memcpy(p + 8, &id, 8);
	memcpy(p + 16, &group, 2);
}

static int parse_key(const MDB_val *v, struct index_key *key_r)
{
	const uint8_t *p = v->mv_data;
	struct index_key key;

	if (v->mv_size != INDEX_KEY_BYTES)
		return -EUCLEAN;
	memcpy(&key.queue, p, 4);
	memcpy(&key.slot, p + 4, 4);
	memcpy(&key.id, p + 8, 8);
	memcpy(&key.group, p + 16, 2);
	key.queue = be32toh(key.queue);
	key.slot = be32toh(key.slot);
	key.id = be64toh(key.id);
	key.group = be16toh(key.group);
	*key_r = key;
	return 0;
}

static size_t pack_row(const struct index_row *row,
		       uint8_t p[INDEX_VALUE_BYTES])
{
	uint32_t expires = htole32(row->expires_s), share = htole32(row->share);
	uint16_t segments = htole16(row->segments);
	uint32_t i, end = bits_end(row->open, QUEUE_OPEN_WORDS);
	uint64_t word, place = htole64(row->place);
	size_t at = 16;

	memset(p, 0, 24);
	p[0] = row->attempts;
	p[1] = row->unsure;
	p[2] = row->flags;
	memcpy(p + 4, &segments, 2);
	memcpy(p + 8, &expires, 4);
	memcpy(p + 12, &share, 4);
	if (row->place != 0 && row->place != row->key.id) {
		p[3] = 1;
		memcpy(p + at, &place, 8);
		at += 8;
	}
	for (i = 0; i * 64 < end; i++) {
		word = htole64(row->open[i]);
		memcpy(p + at + 8 * i, &word, 8);
	}
	return at + (end + 7) / 8;
}

static uint64_t place_of(const struct index_key *key, const uint8_t *p)
{
	uint64_t place;

	if (p[3] == 0)
		return key->id;
	memcpy(&place, p + 16, 8);
	return le64toh(place);
}

static int parse_row(const MDB_val *k, const MDB_val *v,
		     struct index_row *row_r)
{
	const uint8_t *p = v->mv_data;
	size_t head = v->mv_size < 4 || p[3] == 0 ? 16 : 24;
	uint32_t i;

	if (v->mv_size <= head ||
	    v->mv_size - head > QUEUE_OPEN_WORDS * sizeof(uint64_t) ||
	    parse_key(k, &row_r->key) < 0)
		return -EUCLEAN;
	row_r->place = place_of(&row_r->key, p);
	row_r->attempts = p[0];
	row_r->unsure = p[1];
	row_r->flags = p[2];
	memcpy(&row_r->segments, p + 4, 2);
	memcpy(&row_r->expires_s, p + 8, 4);
	memcpy(&row_r->share, p + 12, 4);
	memset(row_r->open, 0, sizeof(row_r->open));
	memcpy(row_r->open, p + head, v->mv_size - head);
	row_r->segments = le16toh(row_r->segments);
	row_r->expires_s = le32toh(row_r->expires_s);
	row_r->share = le32toh(row_r->share);
	for (i = 0; i < QUEUE_OPEN_WORDS; i++)
		row_r->open[i] = le64toh(row_r->open[i]);
	if (!bits_has(row_r->open, 0) ||
	    row_r->key.group + bits_end(row_r->open, QUEUE_OPEN_WORDS) >
		    QUEUE_RCPTS_MAX)
		return -EUCLEAN;
	return 0;
}

/* --- opening --------------------------------------------------------------- */

static int save_meta(const struct index *x, MDB_txn *txn,
		     const struct index_meta *n)
{
	struct meta_disk m = {
		.format = htole32(FORMAT),
		.queue_next = htole32(n->queue_next),
		.checkpoint_lsn = htole64(n->checkpoint_lsn),
		.cursor_lsn = htole64(n->cursor_lsn),
		.waiting = htole64(n->totals.waiting),
		.held = htole64(n->totals.held),
		.saved_s = htole32(n->saved_s),
		.reached_lsn = htole64(n->reached_lsn),
		.names_whole = htole32(n->names_whole),
	};
	MDB_val k = { 4, (void *)(uintptr_t) "meta" }, v = { sizeof(m), &m };

	return index_error(mdb_put(txn, x->table[TABLE_META], &k, &v, 0));
}

static int load_meta(struct index *x, MDB_txn *txn)
{
	MDB_val k = { 4, (void *)(uintptr_t) "meta" }, v;
	struct meta_disk m;
	int rc = mdb_get(txn, x->table[TABLE_META], &k, &v);

	if (rc == MDB_NOTFOUND) {
		x->meta = (struct index_meta){ .cursor_lsn = UINT64_MAX,
					       .queue_next = 1,
					       .names_whole = true };
		return x->make ? save_meta(x, txn, &x->meta) : -ENODATA;
	}
	if (rc != 0)
		return index_error(rc);
	if (v.mv_size < sizeof(m))
		return -EUCLEAN;
	memcpy(&m, v.mv_data, sizeof(m));
	if (le32toh(m.format) < 1 || le32toh(m.format) > FORMAT)
		return -EPROTO;
	x->meta = (struct index_meta){
		.checkpoint_lsn = le64toh(m.checkpoint_lsn),
		.cursor_lsn = le64toh(m.cursor_lsn),
		.saved_s = le32toh(m.saved_s),
		.queue_next = le32toh(m.queue_next),
		.totals = { le64toh(m.waiting), le64toh(m.held) },
		.reached_lsn = le64toh(m.reached_lsn),
		.names_whole = le32toh(m.names_whole) == 1,
	};
	/* An earlier program must not meet what it does not know. */
	return le32toh(m.format) == FORMAT ? 0 : save_meta(x, txn, &x->meta);
}

/*
 * The order that LMDB has by itself: octet by octet, the shorter one first.
 * It calls this for each step of each search, mostly with keys of 8 and 18
 * octets, for which memcmp() takes longer to be called than to compare.
 */
static int key_order(const MDB_val *a, const MDB_val *b)
{
	const uint8_t *p = a->mv_data, *q = b->mv_data;
	size_t len = a->mv_size < b->mv_size ? a->mv_size : b->mv_size, at;
	uint64_t m, n;
	int diff;

	for (at = 0; at + 8 <= len; at += 8) {
		memcpy(&m, p + at, 8);
		memcpy(&n, q + at, 8);
		if (m != n)
			return be64toh(m) < be64toh(n) ? -1 : 1;
	}
	for (; at < len; at++) {
		diff = p[at] - q[at];
		if (diff != 0)
			return diff;
	}
	return (a->mv_size > b->mv_size) - (a->mv_size < b->mv_size);
}

static int open_tables(struct index *x)
{
	MDB_txn *txn = NULL; /* LMDB leaves it when beginning fails */
	int i, rc, err;

	rc = mdb_txn_begin(x->env, NULL, 0, &txn);
	for (i = 0; rc == 0 && i < TABLES; i++) {
		rc = mdb_dbi_open(txn, table_names[i], MDB_CREATE,
				  &x->table[i]);
		if (rc == 0)
			rc = mdb_set_compare(txn, x->table[i], key_order);
	}
	if (rc != 0) {
		if (txn != NULL)
			mdb_txn_abort(txn);
		return index_error(rc);
	}
	err = load_meta(x, txn);
	if (err < 0) {
		mdb_txn_abort(txn);
		return err;
	}
	return index_error(mdb_txn_commit(txn));
}

/* LMDB would make a new one of nothing. */
static bool is_missing(const struct index *x)
{
	struct stat st;

	if (stat(x->path, &st) < 0)
		return errno == ENOENT;
	return st.st_size == 0;
}

static int open_env(struct index *x)
{
	int rc, err;

	if (!x->make && is_missing(x))
		return -ENODATA;
	rc = mdb_env_create(&x->env);
	if (rc != 0)
		return index_error(rc);
	mdb_env_set_maxdbs(x->env, TABLES);
	rc = mdb_env_set_mapsize(x->env, x->bytes_max);
	if (rc == 0)
		rc = mdb_env_open(x->env, x->path,
				  MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD,
				  0600);
	err = rc == 0 ? open_tables(x) : index_error(rc);
	if (err == 0)
		err = index_error(
			mdb_txn_begin(x->env, NULL, MDB_RDONLY, &x->read));
	if (err < 0) {
		mdb_env_close(x->env);
		x->env = NULL;
		return err;
	}
	mdb_txn_reset(x->read);
	x->reading = false;
	return 0;
}

static void close_env(struct index *x)
{
	if (x->env == NULL)
		return;
	index_abort(x);
	mdb_txn_abort(x->read);
	mdb_env_close(x->env);
	x->env = NULL;
}

int index_open(const char *dir, const char *name, uint64_t bytes_max,
	       uint32_t segment_bytes, bool make, struct index **index_r)
{
	struct index *x = calloc(1, sizeof(*x));
	int err;

	if (x == NULL)
		return -ENOMEM;
	x->bytes_max = bytes_max;
	x->segment_bytes = segment_bytes;
	x->make = make;
	map_init(&x->changes);
	if (asprintf(&x->path, "%s/%s", dir, name) < 0) {
		free(x);
		return -ENOMEM;
	}
	err = open_env(x);
	if (err < 0) {
		index_close(&x);
		return err;
	}
	x->make = false; /* it never becomes a new one under our hands */
	*index_r = x;
	return 0;
}

void index_close(struct index **index)
{
	struct index *x = *index;

	*index = NULL;
	if (x == NULL)
		return;
	close_env(x);
	map_free(&x->changes);
	free(x->path);
	free(x);
}

const struct index_meta *index_meta(const struct index *x)
{
	return &x->meta;
}

/* --- transactions ----------------------------------------------------------- */

int index_read(struct index *x, MDB_txn **txn_r)
{
	int rc;

	if (x->env == NULL)
		return -EIO;
	rc = x->reading ? 0 : mdb_txn_renew(x->read);
	if (rc != 0)
		return index_error(rc);
	x->reading = true;
	*txn_r = x->read;
	return 0;
}

/* Somebody has committed: whoever reads next is to see it. */
static void end_reading(struct index *x)
{
	if (x->reading)
		mdb_txn_reset(x->read);
	x->reading = false;
}

int index_begin(struct index *x, uint64_t lsn)
{
	int err;

	BUG_ON(x->write != NULL);
	if (x->env == NULL) {
		err = open_env(x);
		if (err < 0)
			return err;
	}
	x->next = x->meta;
	if (lsn > x->next.reached_lsn)
		x->next.reached_lsn = lsn;
	x->writer = pthread_self();
	return index_error(mdb_txn_begin(x->env, NULL, 0, &x->write));
}

bool index_writing(const struct index *x)
{
	return x->write != NULL;
}

static void forget_changes(struct index *x)
{
	struct index_change *c;
	size_t at = 0;

	while ((c = map_walk(&x->changes, &at)) != NULL)
		free(c);
	map_free(&x->changes);
}

int index_commit(struct index *x, bool *unsure_r)
{
	int rc, err;

	BUG_ON(!pthread_equal(x->writer, pthread_self()));
	err = index_flush(x);
	*unsure_r = false;
	if (err == 0)
		err = save_meta(x, x->write, &x->next);
	if (err < 0) {
		index_abort(x);
		return err;
	}
	rc = mdb_txn_commit(x->write);
	end_reading(x);
	x->write = NULL;
	x->at = NULL; /* it went with its transaction */
	forget_changes(x);
	if (rc == 0) {
		x->meta = x->next;
		return 0;
	}
	/* The pages may be there and the answer not: look at what is. */
	*unsure_r = true;
	close_env(x);
	err = open_env(x);
	return err < 0 ? err : index_error(rc);
}

void index_abort(struct index *x)
{
	if (x->write == NULL)
		return;
	BUG_ON(!pthread_equal(x->writer, pthread_self()));
	mdb_txn_abort(x->write);
	x->write = NULL;
	x->at = NULL;
	forget_changes(x);
}

void index_whole(struct index *x, uint64_t checkpoint_lsn, uint64_t cursor_lsn,
		 uint32_t now_s)
{
	BUG_ON(x->write == NULL || checkpoint_lsn < x->next.checkpoint_lsn);
	x->next.checkpoint_lsn = checkpoint_lsn;
	x->next.cursor_lsn = cursor_lsn;
	x->next.saved_s = now_s;
}

/* --- task rows --------------------------------------------------------------- */

int index_scan(struct index *x, const struct index_key *from,
	       struct index_row *rows_r, uint32_t room, uint32_t *count_r)
{
	uint8_t key[INDEX_KEY_BYTES];
	MDB_val k = { sizeof(key), key }, v;
	MDB_cursor *cursor;
	uint32_t n = 0;
	MDB_txn *txn;
	int rc, err;

	err = index_read(x, &txn);
	if (err < 0)
		return err;
	pack_key(from, key);
	rc = mdb_cursor_open(txn, x->table[TABLE_TASK], &cursor);
	if (rc != 0)
		return index_error(rc);
	rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
	while (rc == 0 && n < room) {
		err = parse_row(&k, &v, &rows_r[n]);
		if (err < 0)
			break;
		if (++n < room)
			rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	if (err == 0 && rc != MDB_NOTFOUND)
		err = index_error(rc);
	if (err == 0)
		*count_r = n;
	return err;
}

static bool lies_in(const struct index *x, const struct index_segments *in,
		    uint64_t place)
{
	uint64_t sequence = place / x->segment_bytes;
	uint32_t low = 0, high = in->count, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (in->sequences[mid] < sequence)
			low = mid + 1;
		else
			high = mid;
	}
	return low < in->count && in->sequences[low] == sequence;
}

/* One row of the walk; its key and place alone. */
static int look_at(const struct index *x, const MDB_val *k, const MDB_val *v,
		   const struct index_segments *in, struct index_living *r)
{
	const uint8_t *p = v->mv_data;

	if (v->mv_size < 4 || (p[3] != 0 && v->mv_size < 24) ||
	    parse_key(k, &r->key) < 0)
		return -EUCLEAN;
	r->place = place_of(&r->key, p);
	return lies_in(x, in, r->place);
}

int index_scan_places(struct index *x, struct index_key *at, uint32_t rows,
		      const struct index_segments *in,
		      struct index_living *found_r, uint32_t *count_r)
{
	uint8_t key[INDEX_KEY_BYTES];
	MDB_val k = { sizeof(key), key }, v;
	MDB_cursor *cursor;
	uint32_t n = 0;
	MDB_txn *txn;
	int rc, found = 0, err = index_read(x, &txn);

	if (err < 0)
		return err;
	pack_key(at, key);
	rc = mdb_cursor_open(txn, x->table[TABLE_TASK], &cursor);
	if (rc != 0)
		return index_error(rc);
	rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
	for (; rc == 0 && rows > 0 && found >= 0; rows--) {
		found = look_at(x, &k, &v, in, &found_r[n]);
		n += found > 0;
		rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
	}
	if (rc == 0 && found >= 0 && parse_key(&k, at) < 0)
		found = -EUCLEAN;
	mdb_cursor_close(cursor);
	*count_r = n;
	if (found < 0)
		return found;
	return rc == MDB_NOTFOUND ? 0 : rc == 0 ? 1 : index_error(rc);
}

int index_find(struct index *x, const struct index_key *prefix, uint16_t rcpt,
	       struct index_row *row_r)
{
	struct index_key at = *prefix;
	struct index_row row;
	uint32_t count;
	int err;

	for (at.group = 0;; at.group = (uint16_t)(row.key.group + 1)) {
		err = index_scan(x, &at, &row, 1, &count);
		if (err < 0)
			return err;
		if (count == 0 || row.key.queue != at.queue ||
		    row.key.slot != at.slot || row.key.id != at.id ||
		    row.key.group > rcpt)
			return -ENOENT;
		if (bits_has(row.open, (uint32_t)(rcpt - row.key.group)))
			break;
	}
	*row_r = row;
	return 0;
}

int index_row_open(struct index *x, const struct index_key *key,
		   uint32_t *open_r)
{
	struct index_row row;
	uint32_t count;
	int err = index_scan(x, key, &row, 1, &count);

	if (err < 0)
		return err;
	*open_r = count == 1 && index_key_cmp(&row.key, key) == 0
			  ? bits_count(row.open, QUEUE_OPEN_WORDS)
			  : 0;
	return 0;
}

/* Count a row in (sign 1) or out (-1). */
static int count_row(struct index *x, const struct index_row *row, int sign)
{
	int64_t open = sign * (int64_t)bits_count(row->open, QUEUE_OPEN_WORDS);
	uint64_t place = row->place == 0 ? row->key.id : row->place;
	uint64_t segment = place / x->segment_bytes, i;
	uint64_t hour = row->expires_s / 3600;
	uint64_t *total = row->key.slot >= QUEUE_SLOT_DAMAGED
				  ? &x->next.totals.held
				  : &x->next.totals.waiting;
	int err;

	*total += (uint64_t)open;
	err = index_change(x, (struct index_change){
				      TABLE_EXPIRE, hour << 32 | row->key.queue,
				      open, 0 });
	for (i = 0; err == 0 && i <= row->segments; i++)
		err = index_change(
			x, (struct index_change){
				   TABLE_SEGSTAT, segment + i, open,
				   open * (row->share / (row->segments + 1)) });
	return err;
}

/* Count out what stands there. */
static int count_old(struct index *x, const MDB_val *k, const MDB_val *v)
{
	struct index_row old;
	int err = parse_row(k, v, &old);

	return err < 0 ? err : count_row(x, &old, -1);
}

static int task_cursor(struct index *x)
{
	BUG_ON(x->write == NULL);
	if (x->at != NULL)
		return 0;
	return index_error(
		mdb_cursor_open(x->write, x->table[TABLE_TASK], &x->at));
}

int index_put(struct index *x, const struct index_row *row)
{
	uint8_t key[INDEX_KEY_BYTES], value[INDEX_VALUE_BYTES];
	MDB_val k = { sizeof(key), key }, v, old;
	int rc, err = task_cursor(x);

	if (err < 0)
		return err;
	BUG_ON(row->key.queue == 0 || !bits_has(row->open, 0));
	pack_key(&row->key, key);
	old = v = (MDB_val){ pack_row(row, value), value };
	rc = mdb_cursor_put(x->at, &k, &old, MDB_NOOVERWRITE);
	if (rc == MDB_KEYEXIST) {
		err = count_old(x, &k, &old);
		if (err < 0)
			return err;
		rc = mdb_cursor_put(x->at, &k, &v, MDB_CURRENT);
	}
	return rc != 0 ? index_error(rc) : count_row(x, row, 1);
}

int index_del(struct index *x, const struct index_key *key)
{
	uint8_t packed[INDEX_KEY_BYTES];
	MDB_val k = { sizeof(packed), packed }, v;
	int rc, err = task_cursor(x);

	if (err < 0)
		return err;
	pack_key(key, packed);
	rc = mdb_cursor_get(x->at, &k, &v, MDB_SET_KEY);
	if (rc != 0)
		return rc == MDB_NOTFOUND ? 0 : index_error(rc);
	err = count_old(x, &k, &v);
	return err < 0 ? err : index_error(mdb_cursor_del(x->at, 0));
}
