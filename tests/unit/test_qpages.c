/*
 * tests/unit/test_qpages.c - recovery reads many records with one call
 *
 * Records of some pages each, in a segment of four such calls: those across
 * the border of two calls, a page that the disk does not give, at every place,
 * and a file that ends too early.  What was not asked for cannot be read
 * (qfile.h), and each page costs exactly the records that it holds.
 */
#include "qfile.h"
#include "qhelp.h"
#include "queue/queue_private.h"
#include "queue/recover.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEG      (1u << 20)
#define MANY     (256u << 10) /* at once */
#define MESSAGES 115
#define PAGE     4096u

static char *dir, path[4096];
static struct qfile *disk;
static uint64_t ids[MESSAGES + 1]; /* and where the last one ends */

static void open_queue(struct queue **q_r, struct queue_report *report_r)
{
	ck_assert_int_eq(qhelp_open(dir, qfile_ops(disk), SEG, q_r, report_r),
			 0);
}

static void setup(void)
{
	struct queue_report report;
	struct queue *q;
	uint64_t i;

	qhelp_begin(&dir, &disk);
	open_queue(&q, &report);
	for (i = 0; i < MESSAGES; i++)
		ck_assert_int_eq(
			qhelp_add(q, i, 6000 + i * 977 % 4000, &ids[i]), 0);
	ids[MESSAGES] = queue_durable_lsn(q);
	ck_assert_uint_eq(ids[0] / SEG, ids[MESSAGES] / SEG);
	ck_assert_uint_gt(ids[MESSAGES] - ids[0], 3 * MANY + MANY / 2);
	queue_close(&q);
	(void)snprintf(path, sizeof(path), "%s/log/seg-00000000", dir);
}

static void teardown(void)
{
	qhelp_end(&dir, &disk);
}

/* What a look from outside finds. */
static void look(struct log_check *c)
{
	struct segments *set;

	ck_assert_int_eq(segments_open(qfile_ops(disk), dir, 0, &set), 0);
	log_check_init(c, 4096);
	log_check_run(set, 0, false, c);
	segments_close(&set);
}

START_TEST(records_across_the_border_are_whole)
{
	struct queue_report report;
	struct log_check c;
	struct queue *q;
	uint64_t calls = qfile_calls(disk, QFILE_POPULATE);
	int i;

	look(&c);
	ck_assert_uint_eq(c.types[QUEUE_REC_MSG], MESSAGES);
	ck_assert_uint_eq(c.damaged + c.content_damaged, 0);
	log_check_free(&c);
	/* Four, what is across a border again; page by page behind the end. */
	ck_assert_uint_le(qfile_calls(disk, QFILE_POPULATE) - calls,
			  10 + (SEG - ids[MESSAGES] % SEG) / PAGE);
	open_queue(&q, &report);
	ck_assert_uint_eq(report.messages, MESSAGES);
	for (i = 0; i < MESSAGES; i++)
		ck_assert_int_eq(qhelp_check(q, ids[i], (uint64_t)i), 0);
	queue_close(&q);
}
END_TEST

/* Who follows the log reads it the same way; a message says all of itself,
 * whatever the record was before. */
START_TEST(a_walk_meets_each_record)
{
	struct queue_report report;
	struct queue_record rec;
	struct queue_stand stand;
	struct queue_walk *w;
	struct queue *q;
	int i;

	qdouble_checkpoint_lsn = ids[MESSAGES - 1]; /* no other has read it */
	open_queue(&q, &report);
	ck_assert_int_eq(queue_walk_open(q, 0, &w), 0);
	for (i = 0; i < MESSAGES; i++) {
		memset(&rec, 0xff, sizeof(rec));
		ck_assert_int_eq(queue_log_next(w, &rec), 1);
		ck_assert_uint_eq(rec.lsn, ids[i]);
		ck_assert_uint_eq(rec.msg.id, ids[i]);
		ck_assert_uint_eq(rec.msg.adopted_s, 0);
		ck_assert(!queue_view_stand(&rec.msg, 0, &stand));
		ck_assert(rec.msg.content == NULL && rec.msg.pin == NULL &&
			  rec.msg.pins == NULL);
		ck_assert_int_eq(rec.msg.content_count, 0);
	}
	ck_assert_int_eq(queue_log_next(w, &rec), 0);
	queue_walk_close(&w);
	queue_close(&q);
}
END_TEST

/* Of the record at this LSN: what must be read before the rest is. */
static uint64_t head_bytes(uint64_t lsn)
{
	FILE *f = fopen(path, "r");
	uint32_t envelope = 0;

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fseek(f, (long)(lsn % SEG) + 20, SEEK_SET), 0);
	ck_assert_uint_eq(fread(&envelope, sizeof(envelope), 1, f), 1);
	fclose(f);
	return 32 + envelope;
}

START_TEST(a_page_costs_the_records_that_it_holds)
{
	uint64_t page = ids[0] % SEG, heads[MESSAGES], i;

	for (i = 0; i < MESSAGES; i++)
		heads[i] = ids[i] % SEG + head_bytes(ids[i]);
	for (; page + PAGE <= ids[MESSAGES - 1] % SEG; page += PAGE) {
		uint64_t lost = 0, spoilt = 0;
		struct log_check c;

		for (i = 0; i < MESSAGES; i++) {
			uint64_t at = ids[i] % SEG, end = ids[i + 1] % SEG;

			if (at < page + PAGE && heads[i] > page)
				lost++;
			else if (at < page && end > page)
				spoilt++;
		}
		qfile_spoil(disk, path, page);
		look(&c);
		ck_assert_int_eq(c.failed, -EIO);
		ck_assert_msg(
			c.damaged == lost && c.content_damaged == spoilt,
			"page %llu: %llu and %llu, not %llu and %llu",
			(unsigned long long)page, (unsigned long long)c.damaged,
			(unsigned long long)c.content_damaged,
			(unsigned long long)lost, (unsigned long long)spoilt);
		ck_assert_uint_eq(c.types[QUEUE_REC_MSG], MESSAGES - lost);
		log_check_free(&c);
	}
}
END_TEST

START_TEST(of_a_file_cut_short_all_is_read_that_is_there)
{
	uint64_t i;

	for (i = MESSAGES; i-- > 1;) {
		uint64_t cut = ids[i] % SEG + 3000, page_end;
		bool torn; /* its last page is there, with zeros behind */
		struct log_check c;

		page_end = (cut + PAGE - 1) / PAGE * PAGE;
		torn = ids[i + 1] % SEG <= page_end;
		ck_assert_int_eq(truncate(path, (off_t)cut), 0);
		look(&c);
		ck_assert_uint_eq(c.types[QUEUE_REC_MSG], i + !torn);
		ck_assert_uint_eq(c.content_damaged, !torn);
		ck_assert_int_eq(c.torn_bytes > 0, torn);
		log_check_free(&c);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("qpages");
	TCase *t = tcase_create("pages");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 240);
	tcase_add_test(t, records_across_the_border_are_whole);
	tcase_add_test(t, a_walk_meets_each_record);
	tcase_add_test(t, a_page_costs_the_records_that_it_holds);
	tcase_add_test(t, of_a_file_cut_short_all_is_read_that_is_there);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
