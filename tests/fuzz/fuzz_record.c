/*
 * tests/fuzz/fuzz_record.c - any octets as a record
 *
 * The CRC is not asked: the decoder must be safe behind it too.  What it
 * accepts is touched from end to end; a message, an outcome and a decision are
 * written again and must come back the same.
 */
#include "base/bug.h"
#include "queue/record.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile unsigned sink;

static void touch(struct span s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		sink += (unsigned char)s.p[i];
}

/* A record of this type with room for an envelope. */
static char *new_record(uint8_t type, size_t envelope, struct record_head *h)
{
	char *p = calloc(1, (size_t)record_room(RECORD_HEAD + envelope));

	BUG_ON(p == NULL);
	*h = (struct record_head){ .type = type, .lsn = 8 };
	h->envelope = (uint32_t)envelope;
	h->length = (uint32_t)(RECORD_HEAD + envelope);
	return p;
}

static void read_again(char *p, struct record_head h,
		       struct queue_out_rcpt *rcpts, struct queue_record *again)
{
	record_seal(p, h);
	BUG_ON(!record_head_read(p, record_room(h.length), 8, &h) ||
	       !record_envelope_ok(p, &h) || !record_content_ok(p, &h) ||
	       !record_decode(p, &h, rcpts, again));
}

static void write_message(const struct queue_record *rec,
			  const struct queue_rcpt *rcpts)
{
	struct queue_message msg = {
		.tenant = rec->msg.tenant,
		.campaign = rec->msg.campaign,
		.sender = rec->msg.sender,
		.params = rec->msg.params,
		.rcpts = rcpts,
		.rcpt_count = rec->msg.rcpt_count,
		.size = rec->msg.size,
		.adopted_s = rec->msg.adopted_s,
	};
	static struct queue_stand stands[QUEUE_RCPTS_MAX];
	struct queue_record again;
	struct queue_stand stand;
	struct record_head h;
	struct queue_rcpt r;
	size_t envelope, content;
	char *p;
	uint32_t i;

	for (i = 0; i < msg.rcpt_count; i++)
		if (queue_view_stand(&rec->msg, i, &stands[i]))
			msg.stands = stands;
	if (record_message_size(&msg, &envelope, &content) < 0)
		return; /* longer words than may be written */
	p = new_record(QUEUE_REC_MSG, envelope, &h);
	record_message_write(&msg, p + RECORD_HEAD);
	read_again(p, h, NULL, &again);
	BUG_ON(!span_eq(again.msg.sender, msg.sender));
	for (i = 0; i < msg.rcpt_count; i++) {
		queue_view_rcpt(&again.msg, i, &r);
		BUG_ON(!span_eq(r.address, rcpts[i].address) ||
		       !span_eq(r.domain, rcpts[i].domain) ||
		       !span_eq(r.params, rcpts[i].params));
		BUG_ON(queue_view_stand(&again.msg, i, &stand) !=
		       (msg.stands != NULL));
		BUG_ON(msg.stands != NULL &&
		       (stand.slot != stands[i].slot ||
			stand.attempts != stands[i].attempts ||
			stand.unsure != stands[i].unsure));
	}
	free(p);
}

static void write_out(const struct queue_out *out)
{
	static struct queue_out_rcpt rcpts[QUEUE_RCPTS_MAX];
	struct queue_record again;
	struct record_head h;
	size_t envelope;
	char *p;
	uint32_t i;

	if (record_out_size(out, &envelope) < 0)
		return; /* recipients out of order */
	p = new_record(QUEUE_REC_OUT, envelope, &h);
	record_out_write(out, p + RECORD_HEAD);
	read_again(p, h, rcpts, &again);
	BUG_ON(again.out.id != out->id || again.out.slot != out->slot ||
	       again.out.rcpt_count != out->rcpt_count ||
	       !span_eq(again.out.tenant, out->tenant) ||
	       !span_eq(again.out.campaign, out->campaign) ||
	       !span_eq(again.out.domain, out->domain) ||
	       !span_eq(again.out.note, out->note));
	for (i = 0; i < out->rcpt_count; i++)
		BUG_ON(rcpts[i].rcpt != out->rcpts[i].rcpt ||
		       rcpts[i].state != out->rcpts[i].state ||
		       rcpts[i].due_s != out->rcpts[i].due_s ||
		       !span_eq(rcpts[i].note, out->rcpts[i].note));
	free(p);
}

static void write_decision(const struct queue_decision *dec)
{
	struct queue_record again;
	struct record_head h;
	size_t envelope;
	char *p;

	BUG_ON(record_decision_size(dec, &envelope) < 0);
	p = new_record(QUEUE_REC_DEC, envelope, &h);
	record_decision_write(dec, p + RECORD_HEAD);
	read_again(p, h, NULL, &again);
	BUG_ON(again.dec.verb != dec->verb || again.dec.made_s != dec->made_s ||
	       again.dec.id_count != dec->id_count ||
	       memcmp(again.dec.ids, dec->ids, 8 * (size_t)dec->id_count) !=
		       0 ||
	       !span_eq(again.dec.tenant, dec->tenant) ||
	       !span_eq(again.dec.campaign, dec->campaign) ||
	       !span_eq(again.dec.domain, dec->domain) ||
	       !span_eq(again.dec.site, dec->site) ||
	       !span_eq(again.dec.note, dec->note));
	free(p);
}

/* Of a message these are not set. */
static void touch_other(const struct queue_record *rec)
{
	uint32_t i;

	touch(rec->out.tenant);
	touch(rec->out.note);
	touch(rec->dec.note);
	for (i = 0; i < rec->dec.id_count; i++)
		sink += (unsigned)rec->dec.ids[i];
	for (i = 0; i < rec->out.rcpt_count; i++)
		touch(rec->out.rcpts[i].note);
}

static void touch_record(const struct queue_record *rec)
{
	static struct queue_rcpt rcpts[QUEUE_RCPTS_MAX];
	uint32_t i;

	touch(rec->raw);
	if (rec->type != QUEUE_REC_MSG)
		touch_other(rec);
	for (i = 0; i < rec->msg.rcpt_count; i++) {
		queue_view_rcpt(&rec->msg, i, &rcpts[i]);
		touch(rcpts[i].address);
		touch(rcpts[i].domain);
		touch(rcpts[i].params);
	}
	if (rec->type == QUEUE_REC_MSG)
		write_message(rec, rcpts);
	else if (rec->type == QUEUE_REC_OUT)
		write_out(&rec->out);
	else if (rec->type == QUEUE_REC_DEC)
		write_decision(&rec->dec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct queue_out_rcpt rcpts[QUEUE_RCPTS_MAX];
	struct record_head h = { .magic = RECORD_MAGIC, .lsn = 4096 };
	struct queue_record rec;
	char *p;

	if (size < 1 || size > RECORD_ENVELOPE_MAX)
		return 0;
	/* the first octet is the type, the rest is the envelope */
	h.type = (uint8_t)(1 + data[0] % QUEUE_REC_CKPT);
	h.envelope = (uint32_t)(size - 1);
	h.length = RECORD_HEAD + h.envelope;
	p = malloc(h.length); /* its exact size: the sanitizer sees one more */
	BUG_ON(p == NULL);
	memcpy(p + RECORD_HEAD, data + 1, size - 1);
	memcpy(p, &h, sizeof(h));
	if (record_head_read(p, record_room(h.length), h.lsn, &h) &&
	    record_decode(p, &h, rcpts, &rec))
		touch_record(&rec);
	/* and as it comes, head included */
	if (size - 1 >= RECORD_HEAD) {
		memcpy(p, data + 1, size - 1);
		if (record_head_read(p, size - 1, h.lsn, &h))
			(void)(record_envelope_ok(p, &h) &&
			       record_content_ok(p, &h));
	}
	free(p);
	return 0;
}
