/*
 * tests/unit/test_qindex.c - the LMDB tables and their counts
 */
#include "queue/delta.h"
#include "queue/index.h"

#include "base/hash.h"
#include "tests/unit/tmpdir.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEG 65536u

static char dir[TMPDIR_BYTES], path[128];
static struct index *x;
static bool unsure;

static void open_with(uint64_t bytes)
{
	ck_assert_int_eq(index_open(dir, INDEX_NAME, bytes, SEG, true, &x), 0);
}

static void setup(void)
{
	tmpdir_make(dir, "index", TMPDIR_DISK);
	snprintf(path, sizeof(path), "%s/index", dir);
	open_with(64u << 20);
}

static void teardown(void)
{
	index_close(&x);
	tmpdir_remove(dir);
}

static struct index_row row_of(uint32_t queue, uint32_t slot, uint64_t id,
			       uint64_t open)
{
	return (struct index_row){
		.key = { .id = id, .queue = queue, .slot = slot, .group = 3 },
		.expires_s = 7200,
		.share = 100,
		.attempts = 4,
		.unsure = 1,
		.flags = 8,
		.open = { open }
	};
}

static void put(struct index_row row)
{
	ck_assert_int_eq(index_begin(x, 1), 0);
	ck_assert_int_eq(index_put(x, &row), 0);
	ck_assert_int_eq(index_commit(x, &unsure), 0);
}

START_TEST(a_row_comes_back_as_it_was_put)
{
	struct index_row row = row_of(7, 5, SEG + 1, 5), got;
	struct index_key from = { .queue = 7 };
	uint32_t count;

	row.open[QUEUE_OPEN_WORDS - 1] = 1ull << 32;
	put(row);
	ck_assert_int_eq(index_scan(x, &from, &got, 1, &count), 0);
	ck_assert_uint_eq(count, 1);
	ck_assert_int_eq(index_key_cmp(&row.key, &got.key), 0);
	ck_assert_mem_eq(row.open, got.open, sizeof(row.open));
	ck_assert_uint_eq(got.expires_s, 7200);
	ck_assert_uint_eq(got.share, 100);
	ck_assert_uint_eq(got.attempts, 4);
	ck_assert_uint_eq(got.unsure, 1);
	ck_assert_uint_eq(got.flags, 8);
	ck_assert_int_eq(index_find(x, &row.key, 5, &got), 0);
	ck_assert_int_eq(index_find(x, &row.key, 4, &got), -ENOENT);
	ck_assert_int_eq(index_find(x, &row.key, 2, &got), -ENOENT);
}
END_TEST

START_TEST(counts_change_by_what_was_found)
{
	struct index_row row = row_of(7, 5, 2 * SEG + 9, 7);
	uint32_t hour = 0, queue = 0;
	uint64_t open;
	int i;

	row.segments = 1;
	for (i = 0; i < 2; i++) { /* twice is once */
		put(row);
		ck_assert_int_eq(index_segment_open(x, 2, &open), 0);
		ck_assert_uint_eq(open, 3);
		ck_assert_int_eq(index_segment_open(x, 3, &open), 0);
		ck_assert_uint_eq(open, 3);
		ck_assert_uint_eq(index_meta(x)->totals.waiting, 3);
	}
	ck_assert_int_eq(index_expire_next(x, &hour, &queue), 0);
	ck_assert_uint_eq(hour, 2);
	ck_assert_uint_eq(queue, 7);
	row.open[0] = 1;
	put(row);
	ck_assert_uint_eq(index_meta(x)->totals.waiting, 1);
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(index_begin(x, 1), 0);
		ck_assert_int_eq(index_del(x, &row.key), 0);
		ck_assert_int_eq(index_commit(x, &unsure), 0);
		ck_assert_int_eq(index_segment_open(x, 2, &open), 0);
		ck_assert_uint_eq(open, 0);
	}
	ck_assert_int_eq(index_expire_next(x, &hour, &queue), -ENOENT);
	ck_assert_uint_eq(index_meta(x)->totals.waiting, 0);
}
END_TEST

/* The packed words of (tenant, campaign, domain). */
static struct span words_of(const char *tenant, const char *campaign,
			    const char *domain, char words[LINE_WORDS_MAX])
{
	return span_of(words, line_pack(words, span_str(tenant),
					span_str(campaign), span_str(domain)));
}

static uint32_t name_queue(const char *tenant, const char *campaign,
			   const char *domain)
{
	char words[LINE_WORDS_MAX];
	uint32_t number;

	ck_assert_int_eq(
		index_queue_put(x, words_of(tenant, campaign, domain, words),
				&number),
		0);
	return number;
}

static int next_of(const char *tenant, const char *campaign, const char *domain,
		   uint32_t looks, uint32_t *number_r)
{
	const struct queue_filter filter = { .tenant = span_str(tenant),
					     .campaign = span_str(campaign),
					     .domain = span_str(domain) };

	return index_queue_next(x, &filter, looks, number_r);
}

/* q0.test ... of a campaign. */
static void name_queues(const char *campaign, uint32_t count)
{
	char name[32];
	uint32_t i;

	for (i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "q%u.test", i);
		(void)name_queue("", campaign, name);
	}
}

START_TEST(one_domain_among_many_is_found_by_its_words)
{
	uint32_t number, first, second, third;

	ck_assert_int_eq(index_begin(x, 1), 0);
	name_queues("a", 900);
	first = name_queue("", "a", "far.test");
	name_queues("b", 900);
	second = name_queue("", "b", "far.test");
	third = name_queue("them", "a", "far.test");
	name_queues("c", 900);
	ck_assert_int_eq(index_commit(x, &unsure), 0);
	number = 1;
	ck_assert_int_eq(next_of("", "", "far.test", 9, &number), 1);
	ck_assert_uint_eq(number, first);
	number = first + 1;
	ck_assert_int_eq(next_of("", "", "far.test", 9, &number), 1);
	ck_assert_uint_eq(number, second);
	number = second + 1;
	ck_assert_int_eq(next_of("", "", "far.test", 9, &number), 1);
	ck_assert_uint_eq(number, third);
	number = third + 1;
	ck_assert_int_eq(next_of("", "", "far.test", 9, &number), -ENOENT);
	number = 1;
	ck_assert_int_eq(next_of("", "b", "far.test", 9, &number), 1);
	ck_assert_uint_eq(number, second);
	number = 1;
	ck_assert_int_eq(next_of("them", "", "far.test", 9, &number), 1);
	ck_assert_uint_eq(number, third);
	number = 1;
	ck_assert_int_eq(next_of("", "", "nobody.test", 9, &number), -ENOENT);
	/* The same by another life of the program. */
	index_close(&x);
	open_with(64u << 20);
	number = 1;
	ck_assert_int_eq(next_of("", "", "far.test", 9, &number), 1);
	ck_assert_uint_eq(number, first);
}
END_TEST

START_TEST(beside_words_too_long_for_a_key_each_queue_is_looked_at)
{
	char tenant[QUEUE_WORD_MAX + 1], campaign[QUEUE_WORD_MAX + 1];
	uint32_t number = 1, wanted;
	int rc;

	memset(tenant, 't', sizeof(tenant));
	tenant[QUEUE_WORD_MAX] = '\0';
	memset(campaign, 'c', sizeof(campaign));
	campaign[QUEUE_WORD_MAX] = '\0';
	ck_assert_int_eq(index_begin(x, 1), 0);
	name_queues("a", 900);
	wanted = name_queue(tenant, campaign, "far.test");
	name_queues("b", 900);
	ck_assert_int_eq(index_commit(x, &unsure), 0);
	ck_assert_int_eq(next_of("", "", "far.test", 9, &number), 0);
	while ((rc = next_of("", "", "far.test", 9, &number)) == 0)
		;
	ck_assert_int_eq(rc, 1);
	ck_assert_uint_eq(number, wanted);
}
END_TEST

START_TEST(an_aborted_transaction_leaves_nothing)
{
	struct index_row row = row_of(7, QUEUE_SLOT_HELD, 9, 1);
	uint32_t number, count;
	char words[600];

	ck_assert_int_eq(index_begin(x, 1), 0);
	ck_assert_int_eq(index_put(x, &row), 0);
	ck_assert_int_eq(index_queue_put(x, SPAN("abc"), &number), 0);
	index_abort(x);
	ck_assert_uint_eq(index_meta(x)->totals.held, 0);
	ck_assert_int_eq(index_scan(x, &row.key, &row, 1, &count), 0);
	ck_assert_uint_eq(count, 0);
	ck_assert_int_eq(index_queue_find(x, SPAN("abc"), &number), -ENOENT);
	/* Words longer than a key of LMDB, alike in their first part. */
	memset(words, 'x', sizeof(words));
	ck_assert_int_eq(index_begin(x, 1), 0);
	ck_assert_int_eq(index_queue_put(x, span_of(words, 600), &number), 0);
	ck_assert_uint_eq(number, 1);
	ck_assert_int_eq(index_queue_put(x, span_of(words, 599), &number), 0);
	ck_assert_uint_eq(number, 2);
	ck_assert_int_eq(index_queue_put(x, span_of(words, 600), &number), 0);
	ck_assert_uint_eq(number, 1);
	ck_assert_int_eq(index_commit(x, &unsure), 0);
}
END_TEST

/* Octets of few values: keys that are alike for long, and parts of others. */
static size_t some_octets(uint64_t *rng, char *p, size_t max)
{
	static const char of[] = { 0, 1, 0x7f, (char)0x80, (char)0xff };
	size_t len, i;

	*rng = hash_u64(*rng + 1);
	len = 1 + *rng % max;
	for (i = 0; i < len; i++)
		p[i] = of[(*rng >> (i % 60)) % sizeof(of)];
	return len;
}

/* As LMDB reads it that nobody has told of another order. */
static void walk_as_others_would(const char *name, unsigned least)
{
	MDB_val k, v, last = { 0, NULL }, again;
	unsigned count = 0;
	MDB_cursor *at;
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;

	ck_assert_int_eq(mdb_env_create(&env), 0);
	ck_assert_int_eq(mdb_env_set_maxdbs(env, 16), 0);
	ck_assert_int_eq(
		mdb_env_open(env, path, MDB_NOSUBDIR | MDB_RDONLY, 0600), 0);
	ck_assert_int_eq(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), 0);
	ck_assert_int_eq(mdb_dbi_open(txn, name, 0, &dbi), 0);
	ck_assert_int_eq(mdb_cursor_open(txn, dbi, &at), 0);
	while (mdb_cursor_get(at, &k, &v, MDB_NEXT) == 0) {
		ck_assert_int_lt(
			count++ == 0 ? -1 : mdb_cmp(txn, dbi, &last, &k), 0);
		ck_assert_int_eq(mdb_get(txn, dbi, &k, &again), 0);
		ck_assert_ptr_eq(again.mv_data, v.mv_data);
		last = k;
	}
	ck_assert_uint_ge(count, least);
	mdb_cursor_close(at);
	mdb_txn_abort(txn);
	mdb_env_close(env);
}

#define MANY 3000u

static struct words {
	char p[300];
	size_t len;
	uint32_t number;
} many[MANY];

/* The number that these words have had before, or the next one. */
static uint32_t number_of(const struct words *w, uint32_t *next)
{
	const struct words *of;

	for (of = many; of < w; of++)
		if (of->len == w->len && memcmp(of->p, w->p, w->len) == 0)
			return of->number;
	return (*next)++;
}

START_TEST(the_order_of_keys_is_that_of_lmdb)
{
	struct index_row row = row_of(0, 0, 0, 1);
	uint32_t number, i, next = 1;
	uint64_t rng = 1;

	ck_assert_int_eq(index_begin(x, 1), 0);
	for (i = 0; i < MANY; i++) {
		struct words *w = &many[i];

		w->len = some_octets(&rng, w->p, i % 3 == 0 ? 300 : 5);
		w->number = number_of(w, &next);
		ck_assert_int_eq(
			index_queue_put(x, span_of(w->p, w->len), &number), 0);
		ck_assert_uint_eq(number, w->number);
		row.key.queue = 1 + (uint32_t)(rng % 3) * 0x7fffffff;
		row.key.slot = (uint32_t)(hash_u64(rng) % 300);
		row.key.id = hash_u64(rng + 1) >> (rng % 60);
		row.key.group = (uint16_t)hash_u64(rng + 2);
		ck_assert_int_eq(index_put(x, &row), 0);
	}
	ck_assert_int_eq(index_commit(x, &unsure), 0);
	index_close(&x);
	walk_as_others_would("task", 2900);
	walk_as_others_would("qname", next - 1);
	walk_as_others_would("segstat", 1000);
	open_with(64u << 20);
}
END_TEST

START_TEST(a_full_map_is_enospc_and_the_index_lives_on)
{
	struct index_row row = row_of(1, 5, 1, 1);
	int err = 0;

	index_close(&x);
	open_with(256u << 10);
	ck_assert_int_eq(index_begin(x, 1), 0);
	while (err == 0 && row.key.id < 100000) {
		row.key.id++;
		err = index_put(x, &row);
	}
	ck_assert_int_eq(err, -ENOSPC);
	index_abort(x);
	put(row);
	ck_assert_uint_eq(index_meta(x)->totals.waiting, 1);
}
END_TEST

START_TEST(an_unreadable_index_is_euclean)
{
	static char noise[65536];
	int fd;

	put(row_of(1, 2, 3, 1));
	index_close(&x);
	memset(noise, 0x5a, sizeof(noise));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, noise, sizeof(noise), 0), sizeof(noise));
	close(fd);
	ck_assert_int_eq(index_open(dir, INDEX_NAME, 64u << 20, SEG, true, &x),
			 -EUCLEAN);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("qindex");
	TCase *tc = tcase_create("index");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_row_comes_back_as_it_was_put);
	tcase_add_test(tc, counts_change_by_what_was_found);
	tcase_add_test(tc, one_domain_among_many_is_found_by_its_words);
	tcase_add_test(tc,
		       beside_words_too_long_for_a_key_each_queue_is_looked_at);
	tcase_add_test(tc, an_aborted_transaction_leaves_nothing);
	tcase_add_test(tc, the_order_of_keys_is_that_of_lmdb);
	tcase_add_test(tc, a_full_map_is_enospc_and_the_index_lives_on);
	tcase_add_test(tc, an_unreadable_index_is_euclean);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
