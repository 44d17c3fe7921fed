/*
 * bench/storm.c - everybody says "later" at once, without network and threads
 *
 *	tasks out of the queue ─► an OUT for each at its next slot ─► commit
 *	─► taken in ─► a piece of checkpoint and refill
 *
 * bench_storm SPOOL --outcomes N [--group N] [--segment-bytes N]: the spool is
 * changed; pauses in it end first.
 */
#include "base/hash.h"
#include "bench/yard.h"
#include "mtaq/queue.h"
#include "sched/backoff.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#define NOTE_BYTES 160 /* as the engine's: address, reply, host */

struct storm {
	struct queue *q;
	struct backoff_settings backoff;
	uint64_t outcomes, group, segment_bytes, done;
	uint32_t began_s;
	double start_s;
	char note[NOTE_BYTES];
};

static uint32_t now_s(const struct storm *s)
{
	return s->began_s + (uint32_t)(yard_now_s() - s->start_s);
}

static int take_in(struct storm *s)
{
	struct queue_committed done;
	int rc = queue_commit(s->q, &done);

	while (rc == 0 && (rc = queue_store_apply(s->q, now_s(s))) == 1)
		rc = 0;
	return rc;
}

static int resume(struct storm *s)
{
	struct queue_decision dec = { .verb = QUEUE_VERB_RESUME,
				      .made_s = now_s(s) };
	uint64_t lsn;
	int err = queue_put_decision(s->q, &dec, &lsn);

	return err < 0 ? err : take_in(s);
}

static uint32_t next_slot(const struct storm *s, const struct queue_task *t,
			  struct span domain)
{
	struct queue_counts counts;

	queue_store_counts(s->q, &counts);
	return backoff_slot(
		&s->backoff,
		&(struct backoff_ask){
			.attempt = t->attempts + 1u,
			.queue_hash = hash_bytes(domain.p, domain.len, 0),
			.epoch = (uint32_t)counts.checkpoints,
			.old_slot = t->slot,
			.now_s = now_s(s),
		});
}

static int put_off(struct storm *s, const struct queue_task *t)
{
	struct queue_out_rcpt rcpts[QUEUE_RCPTS_MAX];
	struct queue_out out = { .id = t->id, .slot = t->slot, .rcpts = rcpts };
	uint32_t i, slot;
	int err;

	queue_handle_name(s->q, t->queue, &out.tenant, &out.campaign,
			  &out.domain);
	slot = next_slot(s, t, out.domain);
	for (i = 0; i < t->span; i++)
		if (t->open[i / 64] >> (i % 64) & 1)
			rcpts[out.rcpt_count++] = (struct queue_out_rcpt){
				.rcpt = (uint16_t)(t->first + i),
				.state = QUEUE_WAITING,
				.attempts = (uint8_t)(t->attempts + 1),
				.due_s = slot,
				.note = span_of(s->note, sizeof(s->note)),
			};
	err = queue_put_out(s->q, &out);
	if (err == -EAGAIN) {
		err = take_in(s);
		err = err < 0 ? err : queue_put_out(s->q, &out);
	}
	s->done += out.rcpt_count;
	return err;
}

/* 1: go on; 0: nobody is left who waits for nothing. */
static int turn(struct storm *s)
{
	struct queue_task task;
	uint64_t n;
	int got = 1, more, err = 0;

	for (n = 0; n < s->group && err == 0; n++) {
		got = queue_store_next(s->q, now_s(s), &task);
		if (got <= 0)
			break;
		err = put_off(s, &task);
	}
	if (err == 0)
		err = got < 0 ? got : take_in(s);
	more = err < 0 ? err : queue_store_work(s->q, now_s(s));
	if (more < 0)
		return more;
	return n > 0 || more == 1;
}

static int drive(struct storm *s)
{
	int rc = resume(s);
	double start_s = yard_now_s(), seconds;

	rc = rc < 0 ? rc : 1;
	while (rc == 1 && s->done < s->outcomes)
		rc = turn(s);
	/* Until the index has it all. */
	if (rc >= 0)
		rc = queue_store_checkpoint(s->q, now_s(s));
	seconds = yard_now_s() - start_s;
	printf("{\"outcomes\":%llu,\"seconds\":%.3f,\"outcomes_s\":%.0f,"
	       "\"cpu_s\":%.3f}\n",
	       (unsigned long long)s->done, seconds, (double)s->done / seconds,
	       yard_cpu_s());
	return rc;
}

int main(int argc, char **argv)
{
	struct storm s = { .outcomes = 1000000, .group = 1000 };
	const struct yard_option known[] = {
		{ "--outcomes", &s.outcomes, 1, UINT32_MAX },
		{ "--group", &s.group, 1, 100000 },
		{ "--segment-bytes", &s.segment_bytes, 1 << 20, 1u << 30 },
		{ NULL, NULL, 0, 0 },
	};
	struct queue_settings set = { .dir = argc > 1 ? argv[1] : "" };
	struct queue_report report = { .records = 0 };
	int err;

	if (argc < 2 || argv[1][0] == '-' ||
	    !yard_options(known, argc - 2, argv + 2)) {
		fputs("usage: bench_storm SPOOL [--outcomes N] [--group N] "
		      "[--segment-bytes N]\n",
		      stderr);
		return EX_USAGE;
	}
	set.segment_bytes = (uint32_t)s.segment_bytes;
	backoff_settings_default(&s.backoff);
	memset(s.note, 'n', sizeof(s.note));
	s.start_s = yard_now_s();
	err = queue_open(&set, 1, &s.q, &report);
	s.began_s = report.saved_s + 1;
	if (err == 0)
		err = drive(&s);
	if (err < 0)
		fprintf(stderr, "bench_storm: %s: %s %s\n", argv[1],
			strerrordesc_np(-err), report.words);
	if (s.q != NULL)
		queue_close(&s.q);
	return err < 0 ? EX_IOERR : EX_OK;
}
