/*
 * tests/fuzz/fuzz_transfer.c - any octets as an export
 *
 * The checksums are made to fit, so that the items behind them are reached;
 * what is accepted is touched from end to end and written again.
 */
#include "base/bug.h"
#include "transfer/frame.h"
#include "transfer/item.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile unsigned sink;

static void touch(struct span s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		sink += (unsigned char)s.p[i];
}

static void message(struct span payload)
{
	struct buf again;
	struct transfer_message m;
	struct transfer_rcpt r;
	struct span rest;
	uint32_t i;

	if (transfer_message_get(payload, &m) < 0)
		return;
	buf_init(&again, 2 * TRANSFER_FRAME_MAX);
	transfer_message_put(&m, &again);
	rest = m.rcpts;
	for (i = 0; i < m.rcpt_count; i++) {
		transfer_rcpt_get(&rest, &r);
		touch(r.rcpt.address);
		touch(r.rcpt.domain);
		touch(r.rcpt.params);
		transfer_rcpt_put(&r, &again);
	}
	BUG_ON(!span_eq(buf_span(&again), payload));
	buf_free(&again);
}

static void item(const struct transfer_frame *f)
{
	struct transfer_begin b;
	struct transfer_left l;
	struct transfer_end e;
	struct queue_decision d;
	char last = '\0';

	switch (f->type) {
	case TRANSFER_BEGIN:
		if (transfer_begin_get(f->payload, &b) == 0)
			touch(b.spool);
		break;
	case TRANSFER_DECISION:
		if (transfer_decision_get(f->payload, &d) == 0)
			touch(d.site);
		break;
	case TRANSFER_MESSAGE:
		message(f->payload);
		break;
	case TRANSFER_CONTENT:
		sink += transfer_content_ok(f->payload, &last);
		break;
	case TRANSFER_LEFT:
		if (transfer_left_get(f->payload, &l) == 0)
			touch(l.why);
		break;
	case TRANSFER_END:
		sink += transfer_end_get(f->payload, &e) == 0;
		break;
	case TRANSFER_TYPES:
		break;
	}
}

/* A frame of the octets behind the first, and the first says of which type;
 * then all of it as frames that somebody sent. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	struct transfer_frame f;
	uint64_t number;
	size_t used;

	if (size == 0 || size > TRANSFER_FRAME_MAX)
		return 0;
	f.type = (enum transfer_type)(1 + data[0] % (TRANSFER_TYPES - 1));
	f.payload = span_of(data + 1, size - 1);
	item(&f);
	for (number = 0; transfer_frame_parse(in, number, &f, &used) == 1;
	     number++) {
		item(&f);
		in = span_of(in.p + used, in.len - used);
	}
	return 0;
}
