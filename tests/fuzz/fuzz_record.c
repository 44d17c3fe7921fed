/*
 * tests/fuzz/fuzz_record.c - any octets as a record
 *
 * The CRC is not asked: the decoder must be safe behind it too.  What it
 * accepts is touched from end to end, and a message is written again and must
 * come back the same.
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

static void write_again(const struct queue_record *rec,
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
	};
	struct queue_record again;
	struct record_head h = { .type = QUEUE_REC_MSG, .lsn = 8 };
	struct queue_rcpt r;
	size_t envelope, content, room;
	char *p;
	uint32_t i;

	if (record_message_size(&msg, &envelope, &content) < 0)
		return; /* longer words than may be written */
	room = (size_t)record_room(RECORD_HEAD + envelope);
	p = calloc(1, room);
	BUG_ON(p == NULL);
	record_message_write(&msg, p + RECORD_HEAD);
	h.envelope = (uint32_t)envelope;
	h.length = (uint32_t)(RECORD_HEAD + envelope);
	record_seal(p, h);
	BUG_ON(!record_head_read(p, room, 8, &h) ||
	       !record_envelope_ok(p, &h) || !record_content_ok(p, &h) ||
	       !record_decode(p, &h, NULL, &again));
	BUG_ON(!span_eq(again.msg.sender, msg.sender));
	for (i = 0; i < msg.rcpt_count; i++) {
		queue_view_rcpt(&again.msg, i, &r);
		BUG_ON(!span_eq(r.address, rcpts[i].address) ||
		       !span_eq(r.domain, rcpts[i].domain) ||
		       !span_eq(r.params, rcpts[i].params));
	}
	free(p);
}

static void touch_record(const struct queue_record *rec)
{
	static struct queue_rcpt rcpts[QUEUE_RCPTS_MAX];
	uint32_t i;

	touch(rec->raw);
	touch(rec->out.tenant);
	touch(rec->out.note);
	touch(rec->dec.note);
	for (i = 0; i < rec->dec.id_count; i++)
		sink += (unsigned)rec->dec.ids[i];
	for (i = 0; i < rec->out.rcpt_count; i++)
		touch(rec->out.rcpts[i].note);
	for (i = 0; i < rec->msg.rcpt_count; i++) {
		queue_view_rcpt(&rec->msg, i, &rcpts[i]);
		touch(rcpts[i].address);
		touch(rcpts[i].domain);
		touch(rcpts[i].params);
	}
	if (rec->type == QUEUE_REC_MSG)
		write_again(rec, rcpts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct queue_out_rcpt rcpts[QUEUE_RCPTS_MAX];
	struct record_head h = { .magic = RECORD_MAGIC, .lsn = 4096 };
	struct queue_record rec;
	char *p;

	if (size < 1 || size > QUEUE_ENVELOPE_MAX)
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
