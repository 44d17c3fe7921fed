#ifndef MTAQ_TESTS_COMPACT_RIG_H
#define MTAQ_TESTS_COMPACT_RIG_H

/* Small segments, filled with messages of one recipient and emptied again, for
 * the tests of compaction. */
#include "qmodel.h"

#include "queue/compact.h"
#include "queue/log.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define BYTES 1000u /* of a message; some 110 of them fill a segment */

static const struct queue_settings small = {
	.segment_bytes = QUEUE_SEGMENT_MIN,
	.segments_ahead = 2,
	.free_bytes_min = 1 << 20,
	.index_bytes_max = 256u << 20,
	.tasks_max = 200,
	.queue_tasks_max = 60,
	.checkpoint_s = 3,
	.checkpoint_age_s = 1,
};

static inline struct queue_counts counts_of(struct qmodel *m)
{
	struct queue_counts counts;

	queue_store_counts(m->q, &counts);
	return counts;
}

static inline void commit_apply(struct qmodel *m)
{
	qmodel_commit(m);
	qmodel_apply(m);
}

/* Checkpoints, moves and freeing until nothing is left to gain. */
static inline void settle(struct qmodel *m)
{
	int i;

	for (i = 0; i < 6; i++) {
		commit_apply(m);
		ck_assert_int_eq(queue_store_checkpoint(m->q, m->now_s), 0);
		m->now_s += 3;
		do {
			qmodel_work(m, 100000);
			qmodel_moves(m, 1000);
			commit_apply(m);
			m->now_s++;
		} while (m->q->store->compact->stage != COMPACT_REST);
		m->now_s += 60; /* it looks again in any case */
	}
}

static inline uint64_t used(struct qmodel *m)
{
	struct queue_counts counts = counts_of(m);

	return counts.segments - counts.segments_free;
}

static inline bool is_there(struct qmodel *m, uint64_t sequence)
{
	struct queue_segment seg;

	return queue_segment_next(m->q, sequence, &seg) == 1 &&
	       seg.sequence == sequence;
}

/* One message of one recipient; what lies at `content` is its first record's. */
static inline struct queue_message message_of(struct qmodel *m,
					      const char *campaign,
					      const struct iovec *content,
					      uint64_t size)
{
	static const struct queue_rcpt rcpt = {
		.address = { "x@a.example", 11 }, .domain = { "a.example", 9 }
	};

	return (struct queue_message){ .submission = { 9 },
				       .number = ++m->message_count,
				       .tenant = SPAN("t"),
				       .campaign = span_str(campaign),
				       .rcpts = &rcpt,
				       .rcpt_count = 1,
				       .arrived_s = m->now_s,
				       .due_s = m->now_s,
				       .expires_s = m->now_s + 1000000,
				       .content = content,
				       .content_count = 1,
				       .size = size };
}

/* ... content as message n has it. */
static inline uint64_t put_one(struct qmodel *m, const char *campaign,
			       uint32_t size)
{
	static char text[3 * BYTES];
	struct iovec iov = { text, size };
	struct queue_message msg = message_of(m, campaign, &iov, size);
	uint64_t id;
	int err;

	memset(text, 'a' + (int)(m->message_count % 26), size);
	while ((err = queue_put_message(m->q, &msg, &id)) == -EAGAIN)
		qmodel_commit(m);
	ck_assert_int_eq(err, 0);
	qmodel_commit(m); /* (its content is lent) */
	return queue_lsn_final(&m->done, id);
}

static inline uint64_t sequence_of(const struct qmodel *m, uint64_t lsn)
{
	return lsn / m->set.segment_bytes;
}

static inline void put_outcome(struct qmodel *m, const struct queue_task *t,
			       enum queue_state state, uint32_t due_s)
{
	struct queue_out_rcpt rcpt = { .rcpt = t->first,
				       .state = (uint8_t)state,
				       .due_s = due_s };
	struct queue_out out = {
		.id = t->id, .slot = t->slot, .rcpts = &rcpt, .rcpt_count = 1
	};
	int err;

	queue_handle_name(m->q, t->queue, &out.tenant, &out.campaign,
			  &out.domain);
	while ((err = queue_put_out(m->q, &out)) == -EAGAIN)
		qmodel_commit(m);
	ck_assert_int_eq(err, 0);
}

/* Everything due is delivered, but of every segment the first keep[sequence],
 * which are deferred for long. */
static inline void deliver_but(struct qmodel *m, const uint32_t *keep,
			       uint32_t count)
{
	uint32_t kept[64] = { 0 };
	struct queue_task t;
	uint64_t s;
	uint32_t n;
	int rc;

	do {
		commit_apply(m);
		for (n = 0; (rc = queue_store_next(m->q, m->now_s, &t)) > 0;
		     n++) {
			s = sequence_of(m, t.place);
			ck_assert_uint_lt(s, 64);
			if (s < count && kept[s]++ < keep[s])
				put_outcome(m, &t, QUEUE_WAITING,
					    m->now_s + 50000);
			else
				put_outcome(m, &t, QUEUE_DELIVERED, 0);
		}
		ck_assert_int_eq(rc, 0);
	} while (n > 0);
}

/* Messages until some segments are full; gives the first one's sequence. */
static inline uint64_t fill_segments(struct qmodel *m, uint64_t segments)
{
	uint64_t first = sequence_of(m, put_one(m, "spring", BYTES)), id;

	do
		id = put_one(m, "spring", BYTES);
	while (sequence_of(m, id) < first + segments);
	return first;
}

static inline void begin(struct qmodel *m)
{
	struct queue_settings set = small;

	set.tasks_max = set.queue_tasks_max = 4000;
	*m = (struct qmodel){ .run_rows = 500, .step_rows = 100 };
	qmodel_open(m, &set, 1);
}

/* Another octet at an LSN: zero, or with a bit changed. */
static inline void spoil_octet(struct qmodel *m, uint64_t lsn, bool zero)
{
	struct segment *seg =
		segments_find(m->q->log->set, sequence_of(m, lsn));
	char path[256], c;
	int fd;

	snprintf(path, sizeof(path), "%s/log/seg-%08x", m->dir, seg->number);
	fd = open(path, O_RDWR);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pread(fd, &c, 1, (off_t)(lsn % m->set.segment_bytes)),
			 1);
	c = zero ? 0 : (char)(c ^ 1);
	ck_assert_int_eq(pwrite(fd, &c, 1, (off_t)(lsn % m->set.segment_bytes)),
			 1);
	close(fd);
}

static inline void flip(struct qmodel *m, uint64_t lsn)
{
	spoil_octet(m, lsn, false);
}

#endif
