/*
 * tests/unit/qday.c - a day in the life of a spool, and the morning after
 */
#include "qday.h"

#include "tests/unit/tmpdir.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define EARLY  6 /* mails; a large one comes later */
#define MAILS  7
#define FILLER (246u << 10) /* its content: it begins a segment */
#define LARGE  200 /* recipients of the first; more than one word of bits */
#define SMALL  4   /* of the others: two at each domain */

enum fate {
	OPEN,
	GONE,  /* its final outcome is durable */
	UNSURE /* its outcome was staged, and the commit failed */
};

struct mail {
	bool acked;
	uint64_t id;
	uint16_t count;
	enum fate fate[LARGE];
};

bool (*qday_excuse)(int error);
bool qday_ends_early;
uint64_t qday_moved;
const struct queue_file_ops *qday_file;

static char dir[TMPDIR_BYTES];
static struct mail mails[MAILS];
struct queue_settings qday_settings = {
	.dir = dir,
	.segment_bytes = 256u << 10,
	.segments_ahead = 1,
	.free_bytes_min = 1 << 20,
	.index_bytes_max = 64u << 20,
	.checkpoint_s = 3,
	.checkpoint_age_s = 1,
};

void qday_begin(void)
{
	tmpdir_make(dir, "qday", TMPDIR_MEMORY);
}

void qday_end(void)
{
	tmpdir_remove(dir);
}

/* --- a day; each step is false when it failed, and had an excuse --- */

static bool fine(int rc)
{
	ck_assert_msg(rc >= 0 || qday_excuse(rc), "it said %d", rc);
	return rc >= 0;
}

static bool put(struct queue *q, uint32_t n)
{
	static char text[FILLER] = "Subject: x\r\n\r\nhi\r\n";
	struct iovec iov = { text, n < EARLY ? strlen(text) : FILLER };
	struct queue_rcpt rcpts[LARGE];
	struct queue_committed done;
	struct queue_message msg = { .submission = { 9 },
				     .number = n + 1,
				     .tenant = SPAN("t"),
				     .sender = SPAN("s@y"),
				     .rcpts = rcpts,
				     .arrived_s = 1000,
				     .due_s = 1000,
				     .expires_s = 9000,
				     .content = &iov,
				     .content_count = 1,
				     .size = iov.iov_len };
	struct mail *m = &mails[n];
	uint16_t i;

	m->count = n == 0 ? LARGE : SMALL;
	for (i = 0; i < m->count; i++)
		rcpts[i] = (struct queue_rcpt){
			.address = SPAN("r@x"),
			.domain = n == 0 || i < 2 ? span_str("a.example")
						  : span_str("b.example"),
		};
	msg.rcpt_count = m->count;
	if (!fine(queue_put_message(q, &msg, &m->id)) ||
	    !fine(queue_commit(q, &done)))
		return false;
	m->id = queue_lsn_final(&done, m->id);
	m->acked = true;
	return true;
}

static bool apply(struct queue *q)
{
	int rc;

	while ((rc = queue_store_apply(q, 1001)) > 0)
		;
	return fine(rc);
}

static struct mail *mail_of(uint64_t id)
{
	int i;

	for (i = 0; i < MAILS; i++)
		if (mails[i].acked && mails[i].id == id)
			return &mails[i];
	ck_abort_msg("an id that was never given");
}

static bool is_open(const struct queue_task *t, uint16_t rcpt)
{
	return rcpt >= t->first && rcpt < t->first + t->span &&
	       (t->open[(rcpt - t->first) / 64] >> ((rcpt - t->first) % 64) &
		1) != 0;
}

/* The task's recipients are delivered; its commit makes it so. */
static bool deliver(struct queue *q, const struct queue_task *t)
{
	struct queue_out_rcpt rcpts[LARGE];
	struct queue_out out = { .id = t->id, .slot = t->slot, .rcpts = rcpts };
	struct queue_committed done;
	struct mail *m = mail_of(t->id);
	uint16_t i;
	bool ok;

	queue_handle_name(q, t->queue, &out.tenant, &out.campaign, &out.domain);
	for (i = 0; i < m->count; i++)
		if (is_open(t, i)) {
			rcpts[out.rcpt_count++] = (struct queue_out_rcpt){
				.rcpt = i, .state = QUEUE_DELIVERED
			};
			m->fate[i] = UNSURE;
		}
	if (!fine(queue_put_out(q, &out))) {
		for (i = 0; i < m->count; i++)
			m->fate[i] = is_open(t, i) ? OPEN : m->fate[i];
		return false;
	}
	ok = fine(queue_commit(q, &done));
	for (i = 0; ok && i < m->count; i++)
		m->fate[i] = is_open(t, i) ? GONE : m->fate[i];
	return ok;
}

/* Take all tasks; deliver every other one, hand back the rest. */
static bool tasks(struct queue *q)
{
	struct queue_task t;
	int rc, n;

	for (n = 0; (rc = queue_store_next(q, 1001, &t)) > 0; n++) {
		if (n % 2 == 0 && !deliver(q, &t))
			return false;
		if (n % 2 != 0)
			queue_store_return(q, t.id, t.first, 1005);
	}
	return fine(rc) && apply(q);
}

static bool decide(struct queue *q)
{
	const struct queue_decision dec = { .verb = QUEUE_VERB_HOLD,
					    .made_s = 1001,
					    .domain = SPAN("b.example") };
	struct queue_committed done;
	struct queue_out out;
	enum queue_verb verb;
	uint64_t lsn;
	int rc;

	if (!fine(queue_put_decision(q, &dec, &lsn)) ||
	    !fine(queue_commit(q, &done)) || !apply(q))
		return false;
	while ((rc = queue_store_work(q, 1001)) > 0)
		;
	if (!fine(rc))
		return false;
	while ((rc = queue_store_decided(q, 1001, &verb, &out)) > 0)
		if (!fine(queue_put_out(q, &out)))
			return false;
	return fine(rc) && fine(queue_commit(q, &done)) && apply(q);
}

static bool read_mail(struct queue *q)
{
	struct queue_view view;
	int i, rc;

	for (i = 0; i < EARLY; i++) {
		rc = queue_message_open(q, mails[i].id, &view);
		if (!fine(rc))
			return false;
		ck_assert_uint_eq(view.rcpt_count, mails[i].count);
		queue_message_close(q, &view);
	}
	return true;
}

static bool follow(struct queue *q)
{
	struct queue_cursor *c;
	struct queue_record rec;
	unsigned messages = 0;
	uint64_t seen = 0;
	int rc;

	if (!fine(queue_cursor_open(q, 0, &c)))
		return false;
	while ((rc = queue_cursor_next(c, &rec)) > 0) {
		ck_assert_uint_ge(rec.lsn, seen);
		seen = rec.end;
		messages += rec.type == QUEUE_REC_MSG;
	}
	queue_cursor_close(&c);
	ck_assert(!fine(rc) || messages == EARLY);
	return rc == 0;
}

static bool store(struct queue *q, uint32_t now_s)
{
	int rc;

	if (!fine(queue_store_checkpoint(q, now_s)))
		return false;
	while ((rc = queue_store_work(q, now_s + 18)) > 0)
		;
	return fine(rc);
}

/* The first segment is left with little: that is moved, and it is freed. */
static bool compact(struct queue *q)
{
	struct queue_committed done;
	struct queue_counts counts;
	struct queue_move move;
	int rc, err;

	if (!put(q, EARLY) || !apply(q) || !store(q, 1040))
		return false;
	while ((rc = queue_store_move(q, 1060, &move)) > 0)
		while ((err = queue_put_move(q, &move)) != 0)
			if (!fine(err == -EAGAIN ? queue_commit(q, &done)
						 : err))
				return false;
	if (!fine(rc) || !fine(queue_commit(q, &done)) || !apply(q) ||
	    !store(q, 1070))
		return false;
	queue_store_counts(q, &counts);
	qday_moved += counts.moved;
	return true;
}

bool qday_run(void)
{
	struct queue_report report;
	struct queue *q = NULL;
	uint32_t n = 0;
	bool ok;

	memset(mails, 0, sizeof(mails));
	qday_settings.file = qday_file;
	if (!fine(queue_open(&qday_settings, 1000, &q, &report)))
		return false;
	while (n < EARLY && put(q, n))
		n++;
	ok = n == EARLY && apply(q) && tasks(q) && decide(q) &&
	     (qday_ends_early ||
	      (store(q, 1002) && tasks(q) && store(q, 1002) && read_mail(q) &&
	       follow(q) && compact(q)));
	queue_close(&q);
	ck_assert_ptr_null(q);
	return ok;
}

/* --- and the morning after --------------------------------------------------- */

static void check_mail(struct queue *q, const struct mail *m)
{
	struct queue_task t[8];
	uint32_t count, k;
	uint16_t i;

	ck_assert_int_eq(queue_show(q, m->id, t, 8, &count), 0);
	for (i = 0; i < m->count; i++) {
		unsigned found = 0;

		for (k = 0; k < count; k++)
			found += is_open(&t[k], i);
		ck_assert_msg(m->fate[i] == UNSURE
				      ? found <= 1
				      : found == (m->fate[i] == OPEN),
			      "recipient %u: fate %d, found %u times", i,
			      (int)m->fate[i], found);
	}
}

void qday_morning(void)
{
	struct queue_verify_report verified;
	struct queue_report report;
	struct queue *q;
	int i;

	qday_settings.file = NULL;
	if (access(dir, F_OK) == 0 && !mails[0].acked)
		return;
	ck_assert_int_eq(queue_verify(dir, &verified), 0);
	ck_assert_int_eq(queue_open(&qday_settings, 1100, &q, &report), 0);
	ck_assert(apply(q));
	for (i = 0; i < MAILS; i++)
		if (mails[i].acked)
			check_mail(q, &mails[i]);
	queue_close(&q);
}

void qday_clean(void)
{
	tmpdir_remove(dir);
	ck_assert_int_eq(mkdir(dir, 0700), 0);
}
