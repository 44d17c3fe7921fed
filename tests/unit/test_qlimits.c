/*
 * tests/unit/test_qlimits.c - outcomes and decisions at their limits
 *
 * What queue.h does not allow is refused with its errno and nothing is
 * staged; what just fits is taken and comes back whole.
 */
#include "mtaq/queue.h"

#include "tests/unit/tmpdir.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char dir[TMPDIR_BYTES], text[70000];
static struct queue *q;
static struct queue_out_rcpt rcpts[QUEUE_RCPTS_MAX + 1];
static uint64_t ids[QUEUE_DECISION_IDS_MAX + 1];

static void setup(void)
{
	struct queue_settings set = { .dir = dir,
				      .segment_bytes = 4u << 20,
				      .segments_ahead = 1,
				      .free_bytes_min = 1 << 20,
				      .index_bytes_max = 64u << 20 };
	struct queue_report report;
	uint16_t i;

	tmpdir_make(dir, "qlimits", TMPDIR_DISK);
	ck_assert_int_eq(queue_open(&set, 1000, &q, &report), 0);
	memset(text, 'x', sizeof(text));
	for (i = 0; i <= QUEUE_RCPTS_MAX; i++)
		rcpts[i] = (struct queue_out_rcpt){ .rcpt = i,
						    .state = QUEUE_DELIVERED };
}

static void teardown(void)
{
	queue_close(&q);
	tmpdir_remove(dir);
}

static struct queue_out good_out(void)
{
	return (struct queue_out){ .id = 8,
				   .slot = 1000,
				   .tenant = SPAN("t"),
				   .domain = SPAN("a.example"),
				   .rcpts = rcpts,
				   .rcpt_count = 1 };
}

static void refuses_out(const struct queue_out *out, int error)
{
	ck_assert_int_eq(queue_put_out(q, out), error);
	ck_assert_uint_eq(queue_staged(q), 0);
}

START_TEST(outcomes_that_are_none)
{
	struct queue_out out = good_out();

	out.rcpt_count = 0;
	refuses_out(&out, -EINVAL);
	out.rcpt_count = QUEUE_RCPTS_MAX + 1;
	refuses_out(&out, -EMSGSIZE);
	out = good_out();
	rcpts[0].state = 0;
	refuses_out(&out, -EINVAL);
	rcpts[0].state = QUEUE_CANCELLED + 1;
	refuses_out(&out, -EINVAL);
	rcpts[0].state = QUEUE_DELIVERED;
	rcpts[0].rcpt = QUEUE_RCPTS_MAX;
	refuses_out(&out, -EINVAL);
	rcpts[0].rcpt = 1; /* twice the same */
	out.rcpt_count = 2;
	refuses_out(&out, -EINVAL);
}
END_TEST

START_TEST(outcomes_that_are_too_large)
{
	struct queue_out out = good_out();
	uint32_t i;

	out.tenant = span_of(text, QUEUE_WORD_MAX + 1);
	refuses_out(&out, -EMSGSIZE);
	out = good_out();
	out.campaign = span_of(text, QUEUE_WORD_MAX + 1);
	refuses_out(&out, -EMSGSIZE);
	out = good_out();
	out.domain = span_of(text, QUEUE_WORD_MAX + 1);
	refuses_out(&out, -EMSGSIZE);
	out = good_out();
	out.note = span_of(text, UINT16_MAX + 1);
	refuses_out(&out, -EMSGSIZE);
	out = good_out();
	rcpts[0].note = span_of(text, UINT16_MAX + 1);
	refuses_out(&out, -EMSGSIZE);
	/* Each note fits, and all together are too many. */
	for (i = 0; i < QUEUE_RCPTS_MAX; i++)
		rcpts[i].note = span_of(text, 2000);
	out.rcpt_count = QUEUE_RCPTS_MAX;
	refuses_out(&out, -EMSGSIZE);
}
END_TEST

static void comes_back(enum queue_record_type type)
{
	struct queue_cursor *c;
	struct queue_record rec;
	int rc;

	ck_assert_int_eq(queue_cursor_open(q, 0, &c), 0);
	while ((rc = queue_cursor_next(c, &rec)) > 0 && rec.type != type)
		;
	ck_assert_int_eq(rc, 1);
	if (type == QUEUE_REC_OUT) {
		ck_assert_uint_eq(rec.out.rcpt_count, QUEUE_RCPTS_MAX);
		ck_assert_uint_eq(rec.out.domain.len, QUEUE_WORD_MAX);
		ck_assert_uint_eq(rec.out.note.len, UINT16_MAX);
		ck_assert_uint_eq(rec.out.rcpts[999].rcpt, 999);
		ck_assert_uint_eq(rec.out.rcpts[999].note.len, 900);
	} else {
		ck_assert_uint_eq(rec.dec.id_count, QUEUE_DECISION_IDS_MAX);
		ck_assert_uint_eq(rec.dec.ids[999], 999 * 8);
		ck_assert_uint_eq(rec.dec.note.len, UINT16_MAX);
		ck_assert_uint_eq(rec.dec.campaign.len, QUEUE_WORD_MAX);
	}
	queue_cursor_close(&c);
}

START_TEST(the_largest_outcome_comes_back)
{
	struct queue_committed done;
	struct queue_out out = good_out();
	uint32_t i;

	for (i = 0; i < QUEUE_RCPTS_MAX; i++)
		rcpts[i].note = span_of(text, 900);
	out.rcpt_count = QUEUE_RCPTS_MAX;
	out.domain = span_of(text, QUEUE_WORD_MAX);
	out.note = span_of(text, UINT16_MAX);
	ck_assert_int_eq(queue_put_out(q, &out), 0);
	ck_assert_int_eq(queue_commit(q, &done), 0);
	comes_back(QUEUE_REC_OUT);
}
END_TEST

START_TEST(decisions_at_their_limits)
{
	struct queue_decision dec = { .verb = QUEUE_VERB_HOLD, .ids = ids };
	struct queue_committed done;
	uint64_t lsn = 7;
	uint32_t i;

	for (i = 0; i <= QUEUE_DECISION_IDS_MAX; i++)
		ids[i] = i * 8;
	dec.verb = 0;
	ck_assert_int_eq(queue_put_decision(q, &dec, &lsn), -EINVAL);
	dec.verb = QUEUE_VERB_SITE_RESUME + 1;
	ck_assert_int_eq(queue_put_decision(q, &dec, &lsn), -EINVAL);
	/* A site's has its name and no words else; the others have no site. */
	dec.verb = QUEUE_VERB_SITE_PAUSE;
	ck_assert_int_eq(queue_put_decision(q, &dec, &lsn), -EINVAL);
	dec.site = SPAN("mx.example");
	dec.domain = SPAN("d.example");
	ck_assert_int_eq(queue_put_decision(q, &dec, &lsn), -EINVAL);
	dec.domain = SPAN("");
	dec.id_count = 1;
	ck_assert_int_eq(queue_put_decision(q, &dec, &lsn), -EINVAL);
	dec.id_count = 0;
	dec.site = span_of(text, QUEUE_WORD_MAX + 1);
	ck_assert_int_eq(queue_put_decision(q, &dec, &lsn), -EMSGSIZE);
	dec.verb = QUEUE_VERB_PAUSE;
	ck_assert_int_eq(queue_put_decision(q, &dec, &lsn), -EINVAL);
	dec.site = SPAN("");
	dec.verb = QUEUE_VERB_HOLD;
	dec.id_count = QUEUE_DECISION_IDS_MAX + 1;
	ck_assert_int_eq(queue_put_decision(q, &dec, &lsn), -EMSGSIZE);
	dec.id_count = QUEUE_DECISION_IDS_MAX;
	dec.note = span_of(text, UINT16_MAX + 1);
	ck_assert_int_eq(queue_put_decision(q, &dec, &lsn), -EMSGSIZE);
	dec.note = span_of(text, UINT16_MAX);
	dec.campaign = span_of(text, QUEUE_WORD_MAX + 1);
	ck_assert_int_eq(queue_put_decision(q, &dec, &lsn), -EMSGSIZE);
	ck_assert_uint_eq(queue_staged(q), 0);
	ck_assert_uint_eq(lsn, 7);
	dec.campaign = span_of(text, QUEUE_WORD_MAX);
	ck_assert_int_eq(queue_put_decision(q, &dec, &lsn), 0);
	ck_assert_int_eq(queue_commit(q, &done), 0);
	comes_back(QUEUE_REC_DEC);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("qlimits");
	TCase *tc = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, outcomes_that_are_none);
	tcase_add_test(tc, outcomes_that_are_too_large);
	tcase_add_test(tc, the_largest_outcome_comes_back);
	tcase_add_test(tc, decisions_at_their_limits);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
