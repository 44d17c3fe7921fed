/*
 * tests/unit/test_base.c - tables, heaps, rings and hashes against models
 */
#include "base/buf.h"
#include "base/hash.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mring.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

START_TEST(hash_is_stable)
{
	/* On disk: a change here needs a new format version. */
	ck_assert_uint_eq(hash_bytes("", 0, 0), hash_pair(0, 0));
	ck_assert_uint_ne(hash_bytes("a", 1, 0), hash_bytes("a\0", 2, 0));
	ck_assert_uint_eq(hash_bytes("example.com", 11, 0),
			  12963624142917082558ull);
}
END_TEST

START_TEST(map_against_array)
{
	struct map m;
	int items[512];
	bool in[512] = { false };
	size_t step, i, at, n;

	map_init(&m);
	for (step = 0; step < 20000; step++) {
		uint64_t hash;

		i = hash_u64(step) % 512;
		hash = hash_u64(i) & 0xff; /* many collisions */
		if (in[i])
			ck_assert(map_del(&m, hash, &items[i]));
		else
			ck_assert_int_eq(map_put(&m, hash, &items[i]), 0);
		in[i] = !in[i];
		i = hash_u64(step * 7 + 1) % 512;
		hash = hash_u64(i) & 0xff;
		ck_assert_int_eq(map_del(&m, hash, &items[i]), in[i]);
		if (in[i])
			ck_assert_int_eq(map_put(&m, hash, &items[i]), 0);
	}
	for (i = n = 0; i < 512; i++)
		n += in[i];
	ck_assert_uint_eq(m.count, n);
	for (at = 0; map_walk(&m, &at) != NULL; n--)
		;
	ck_assert_uint_eq(n, 0);
	map_free(&m);
}
END_TEST

START_TEST(heap_against_scan)
{
	struct heap h;
	struct heap_node nodes[100];
	size_t step, i;

	heap_init(&h);
	for (i = 0; i < 100; i++)
		heap_node_init(&nodes[i]);
	for (step = 0; step < 20000; step++) {
		uint64_t least = UINT64_MAX;

		i = hash_u64(step) % 100;
		if (step % 3 == 0)
			heap_del(&h, &nodes[i]);
		else
			ck_assert_int_eq(heap_put(&h, &nodes[i],
						  hash_u64(step * 3) % 50),
					 0);
		for (i = 0; i < 100; i++)
			if (heap_has(&nodes[i]) && nodes[i].key < least)
				least = nodes[i].key;
		if (h.count == 0)
			ck_assert_ptr_null(heap_min(&h));
		else
			ck_assert_uint_eq(heap_min(&h)->key, least);
	}
	heap_free(&h);
}
END_TEST

START_TEST(buf_respects_its_cap)
{
	struct buf b;

	buf_init(&b, 10);
	ck_assert_int_eq(buf_add(&b, "12345", 5), 0);
	ck_assert_int_eq(buf_add(&b, "678901", 6), -EMSGSIZE);
	ck_assert_uint_eq(b.len, 5);
	ck_assert_int_eq(b.failed, -EMSGSIZE);
	ck_assert_int_eq(buf_add(&b, "67890", 5), 0);
	buf_shift(&b, 4);
	ck_assert(span_eq(buf_span(&b), SPAN("567890")));
	buf_free(&b);
}
END_TEST

START_TEST(span_questions)
{
	uint64_t v = 7;

	ck_assert(span_eq_nocase(SPAN("aBc"), SPAN("AbC")));
	ck_assert(!span_eq_nocase(SPAN("abc"), SPAN("ab")));
	ck_assert(span_ends_nocase(SPAN("mx.Google.COM"), SPAN(".google.com")));
	ck_assert(!span_ends_nocase(SPAN("com"), SPAN(".google.com")));
	ck_assert(span_eq(span_trim(SPAN(" \ta b ")), SPAN("a b")));
	ck_assert_int_eq(span_find(SPAN("ab@c"), '@'), 2);
	ck_assert_int_eq(span_find(SPAN(""), '@'), -1);
	ck_assert(span_u64(SPAN("18446744073709551615"), UINT64_MAX, &v));
	ck_assert_uint_eq(v, UINT64_MAX);
	ck_assert(!span_u64(SPAN("18446744073709551616"), UINT64_MAX, &v));
	ck_assert(!span_u64(SPAN(""), 9, &v));
	ck_assert(!span_u64(SPAN("-1"), 9, &v));
	ck_assert(!span_u64(SPAN("10"), 9, &v));
	ck_assert_uint_eq(v, UINT64_MAX);
}
END_TEST

/* What goes through one ring. A full or empty ring costs a wait for the other
 * thread, milliseconds where others want the core too: the small ring, which
 * has one every few messages, gets few of them. */
static const struct flow {
	size_t ring;
	size_t largest; /* octets of a message */
	unsigned messages;
} flows[] = {
	{ 1024, 240, 3000 },
	{ 64 << 10, 128, 200000 },
};

struct flowing {
	const struct flow *flow;
	struct mring *ring;
};

static size_t flow_len(const struct flow *flow, unsigned i)
{
	return 1 + hash_u64(i) % flow->largest;
}

static void *ring_writer(void *arg)
{
	const struct flowing *f = arg;
	unsigned i;

	for (i = 0; i < f->flow->messages; i++) {
		size_t len = flow_len(f->flow, i), j;
		unsigned char *p;

		while ((p = mring_reserve(f->ring, len)) == NULL)
			sched_yield();
		for (j = 0; j < len; j++)
			p[j] = (unsigned char)(i + j);
		mring_publish(f->ring);
	}
	return NULL;
}

START_TEST(mring_between_threads)
{
	struct flowing f = { .flow = &flows[_i] };
	const unsigned char *p;
	pthread_t writer;
	unsigned i;
	size_t len, j;

	f.ring = mring_new(f.flow->ring);
	ck_assert_ptr_nonnull(f.ring);
	ck_assert_uint_le(f.flow->largest, mring_message_max(f.ring));
	ck_assert_int_eq(pthread_create(&writer, NULL, ring_writer, &f), 0);
	for (i = 0; i < f.flow->messages; i++) {
		while ((p = mring_peek(f.ring, &len)) == NULL)
			sched_yield();
		ck_assert_uint_eq(len, flow_len(f.flow, i));
		for (j = 0; j < len; j++)
			if (p[j] != (unsigned char)(i + j))
				ck_abort_msg("message %u octet %zu", i, j);
		mring_consume(f.ring);
	}
	pthread_join(writer, NULL);
	ck_assert_uint_eq(mring_fill(f.ring), 0);
	mring_free(&f.ring);
	ck_assert_ptr_null(f.ring);
}
END_TEST

START_TEST(mring_full)
{
	struct mring *r = mring_new(64);
	size_t len;
	int n = 0;

	while (mring_reserve(r, 8) != NULL) {
		mring_publish(r);
		n++;
	}
	ck_assert_int_eq(n, 4);
	while (mring_peek(r, &len) != NULL) {
		ck_assert_uint_eq(len, 8);
		mring_consume(r);
		n--;
	}
	ck_assert_int_eq(n, 0);
	mring_free(&r);
}
END_TEST

START_TEST(mring_staged)
{
	struct mring *r = mring_new(64);
	size_t len;
	int n, turn;

	for (turn = 0; turn < 3; turn++) {
		for (n = 0; mring_reserve(r, 8) != NULL; n++)
			mring_stage(r);
		ck_assert_int_eq(n, 4);
		ck_assert_ptr_null(mring_peek(r, &len));
		ck_assert_uint_eq(mring_fill(r), 0);
		ck_assert(mring_show(r));
		ck_assert(!mring_show(r));
		for (; mring_peek(r, &len) != NULL; n--)
			mring_consume(r);
		ck_assert_int_eq(n, 0);
	}
	mring_free(&r);
}
END_TEST

START_TEST(list_order)
{
	struct list head, a, b, c;

	list_init(&head);
	list_init(&a);
	list_init(&b);
	list_init(&c);
	list_add_tail(&head, &b);
	list_add_tail(&head, &c);
	list_add_head(&head, &a);
	list_del(&b);
	list_del(&b);
	ck_assert_ptr_eq(list_pop(&head), &a);
	ck_assert_ptr_eq(list_pop(&head), &c);
	ck_assert_ptr_null(list_pop(&head));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("base");
	TCase *tc = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, hash_is_stable);
	tcase_add_test(tc, map_against_array);
	tcase_add_test(tc, heap_against_scan);
	tcase_add_test(tc, buf_respects_its_cap);
	tcase_add_test(tc, span_questions);
	tcase_add_loop_test(tc, mring_between_threads, 0,
			    (int)(sizeof(flows) / sizeof(flows[0])));
	tcase_add_test(tc, mring_full);
	tcase_add_test(tc, mring_staged);
	tcase_add_test(tc, list_order);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
