/*
 * queue/verify.c - read a whole spool and say what is wrong with it
 */
#include "queue/recover.h"

#include <errno.h>
#include <string.h>

static void count_segments(const struct segments *set,
			   struct queue_verify_report *r)
{
	const struct segment *seg = atomic_load(&set->all);

	for (; seg != NULL; seg = seg->all) {
		r->segments++;
		if (seg->kind == SEGMENT_FREE ||
		    seg->kind == SEGMENT_UNFINISHED)
			r->segments_free++;
	}
}

static void count_records(const struct log_check *c,
			  struct queue_verify_report *r)
{
	size_t len = c->words.len, i;

	for (i = 0; i <= QUEUE_REC_CKPT; i++)
		r->records += c->types[i];
	r->messages = c->types[QUEUE_REC_MSG];
	r->parts = c->types[QUEUE_REC_PART];
	r->outs = c->types[QUEUE_REC_OUT];
	r->decisions = c->types[QUEUE_REC_DEC];
	r->moves = c->types[QUEUE_REC_MOVE];
	r->log_bytes = c->bytes;
	r->torn_bytes = c->torn_bytes;
	r->damaged = c->damaged;
	r->content_damaged = c->content_damaged;
	if (len >= sizeof(r->words))
		len = sizeof(r->words) - 1;
	if (len > 0)
		memcpy(r->words, c->words.p, len);
	r->words[len] = '\0';
}

int queue_verify(const char *dir, struct queue_verify_report *report_r)
{
	struct segments *set;
	struct log_check check;
	int err;

	*report_r = (struct queue_verify_report){ .segments = 0 };
	err = segments_open(&queue_file_system, dir, 0, &set);
	if (err < 0)
		return err;
	log_check_init(&check, sizeof(report_r->words));
	(void)log_check_run(set, 0, false, &check);
	count_segments(set, report_r);
	count_records(&check, report_r);
	log_check_free(&check);
	segments_close(&set);
	return report_r->damaged + report_r->content_damaged > 0 ? -EUCLEAN : 0;
}
