/*
 * tests/unit/test_meter.c - figures: histograms, boards of sites, their text
 */
#include "engine/board.h"
#include "engine/meter.h"
#include "report/metric.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static const struct histo_bounds tens = { { 10, 20, 40 }, 3 };

/* --- histograms ------------------------------------------------------------ */

START_TEST(a_value_falls_below_its_bound)
{
	static const struct {
		uint64_t value;
		unsigned bucket;
	} cases[] = {
		{ 0, 0 },  { 10, 0 }, { 11, 1 },         { 20, 1 },
		{ 40, 2 }, { 41, 3 }, { UINT64_MAX, 3 },
	};
	struct histo_view v;
	struct histo h;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		histo_init(&h, &tens);
		histo_observe(&h, cases[i].value);
		memset(&v, 0, sizeof(v));
		histo_read(&h, &v);
		ck_assert_uint_eq(v.buckets[cases[i].bucket], 1);
		ck_assert_uint_eq(v.count, 1);
		ck_assert_uint_eq(v.sum, cases[i].value);
	}
}
END_TEST

START_TEST(views_add_up_and_subtract)
{
	struct histo_view both, one, rest;
	struct histo a, b;

	histo_init(&a, &tens);
	histo_init(&b, &tens);
	histo_observe(&a, 5);
	histo_observe(&a, 30);
	histo_observe(&b, 30);
	memset(&both, 0, sizeof(both));
	memset(&one, 0, sizeof(one));
	histo_read(&a, &both);
	histo_read(&b, &both);
	histo_read(&a, &one);
	ck_assert_uint_eq(both.count, 3);
	ck_assert_uint_eq(both.buckets[2], 2);
	histo_since(&one, &both, &rest);
	ck_assert_uint_eq(rest.count, 1);
	ck_assert_uint_eq(rest.sum, 30);
	ck_assert_uint_eq(rest.buckets[0], 0);
	ck_assert_uint_eq(rest.buckets[2], 1);
}
END_TEST

/* What Prometheus' histogram_quantile() gives for the same buckets. */
START_TEST(quantiles_are_those_of_prometheus)
{
	struct histo_view v = { .bounds = &tens };

	ck_assert_uint_eq(histo_quantile(&v, 990), 0);
	v.buckets[0] = 50;
	v.buckets[1] = 50;
	v.count = 100;
	ck_assert_uint_eq(histo_quantile(&v, 500), 10);
	ck_assert_uint_eq(histo_quantile(&v, 750), 15);
	ck_assert_uint_eq(histo_quantile(&v, 100), 2);
	ck_assert_uint_eq(histo_quantile(&v, 1000), 20);
	v.buckets[3] = 1; /* beyond the last bound: that bound */
	v.count = 101;
	ck_assert_uint_eq(histo_quantile(&v, 1000), 40);
}
END_TEST

START_TEST(bounds_rise)
{
	static const struct histo_bounds *const all[] = {
		&meter_queued_s, &meter_answer_ms, &meter_sync_us,
		&meter_work_us,  &meter_count,     &meter_bytes
	};
	size_t i;
	unsigned n;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		for (n = 1; n < all[i]->count; n++)
			ck_assert_uint_lt(all[i]->at[n - 1], all[i]->at[n]);
}
END_TEST

/* --- boards ---------------------------------------------------------------- */

#define ROUNDS 20000

struct giver {
	struct board board;
	atomic_bool done;
};

/* Site i counts to i and no further. */
static void *give_away(void *arg)
{
	struct giver *g = arg;
	struct board_cell *cell = &g->board.cells[0];
	char name[64];
	unsigned i, n;

	for (i = 1; i <= ROUNDS; i++) {
		snprintf(name, sizeof(name), "%u", i);
		board_give(cell, span_str(name));
		for (n = 0; n < i % 50; n++)
			tally_add(&cell->counters[BOARD_DELIVERED], 1);
	}
	atomic_store(&g->done, true);
	return NULL;
}

START_TEST(name_and_counters_belong_together)
{
	struct giver g;
	struct board_view v;
	pthread_t thread;
	uint64_t site;

	atomic_init(&g.done, false);
	ck_assert_int_eq(board_init(&g.board, 1), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, give_away, &g), 0);
	while (!atomic_load(&g.done)) {
		if (!board_read(&g.board.cells[0], &v) || v.name[0] == '\0')
			continue;
		ck_assert(span_u64(span_str(v.name), ROUNDS, &site));
		ck_assert_uint_le(v.counters[BOARD_DELIVERED], site % 50);
	}
	pthread_join(thread, NULL);
	ck_assert(board_read(&g.board.cells[0], &v));
	ck_assert_str_eq(v.name, "20000");
	board_free(&g.board);
}
END_TEST

START_TEST(a_long_name_is_cut)
{
	char name[300];
	struct board b;
	struct board_view v;

	memset(name, 'x', sizeof(name));
	ck_assert_int_eq(board_init(&b, 1), 0);
	board_give(&b.cells[0], span_of(name, sizeof(name)));
	ck_assert(board_read(&b.cells[0], &v));
	ck_assert_uint_eq(strlen(v.name), BOARD_NAME_MAX);
	board_give(&b.cells[0], SPAN(""));
	ck_assert(board_read(&b.cells[0], &v));
	ck_assert_str_eq(v.name, "");
	board_free(&b);
}
END_TEST

/* --- text ------------------------------------------------------------------ */

static const char as_text[] =
	"# HELP a_total words\n# TYPE a_total counter\n"
	"a_total{site=\"q\\\"b\\\\s\\nn?\xc3\xa4\",x=\"1\"} 7\n"
	"# HELP h_seconds h\n# TYPE h_seconds histogram\n"
	"h_seconds_bucket{le=\"0.01\"} 1\nh_seconds_bucket{le=\"0.02\"} 1\n"
	"h_seconds_bucket{le=\"0.04\"} 2\nh_seconds_bucket{le=\"+Inf\"} 3\n"
	"h_seconds_sum 1.036\nh_seconds_count 3\n";
static const char as_open[] =
	"# HELP a words\n# TYPE a counter\n"
	"a_total{site=\"q\\\"b\\\\s\\nn?\xc3\xa4\",x=\"1\"} 7\n";

static void write_page(struct metric_out *out)
{
	struct metric_label labels[METRIC_LABELS] = {
		{ "site", SPAN("q\"b\\s\nn\xff\xc3\xa4") },
		{ "x", SPAN("1") },
	};
	struct histo_view v = { .bounds = &tens };
	struct histo h;

	histo_init(&h, &tens);
	histo_observe(&h, 5);
	histo_observe(&h, 31);
	histo_observe(&h, 1000);
	memset(&v, 0, sizeof(v));
	histo_read(&h, &v);
	metric_family(out, "a_total", METRIC_COUNTER, "words");
	metric_number(out, "a_total", labels, 7);
	metric_family(out, "h_seconds", METRIC_HISTOGRAM, "h");
	metric_histogram(out, "h_seconds", &v, 1000);
	metric_end(out);
}

START_TEST(text_is_prometheus_and_openmetrics)
{
	struct buf b;
	struct metric_out out = { .buf = &b };

	buf_init(&b, 4096);
	write_page(&out);
	ck_assert_int_eq(b.failed, 0);
	buf_add_char(&b, '\0');
	ck_assert_str_eq(b.p, as_text);
	buf_clear(&b);
	out.open = true;
	write_page(&out);
	ck_assert_int_eq(memcmp(b.p, as_open, sizeof(as_open) - 1), 0);
	ck_assert_int_eq(memcmp(b.p + b.len - 6, "# EOF\n", 6), 0);
	buf_free(&b);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("meter");
	TCase *tc = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, a_value_falls_below_its_bound);
	tcase_add_test(tc, views_add_up_and_subtract);
	tcase_add_test(tc, quantiles_are_those_of_prometheus);
	tcase_add_test(tc, bounds_rise);
	tcase_add_test(tc, name_and_counters_belong_together);
	tcase_add_test(tc, a_long_name_is_cut);
	tcase_add_test(tc, text_is_prometheus_and_openmetrics);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
