/*
 * tests/fuzz/fuzz_sink.c - the sink's SMTP: whole or octet by octet, the
 * replies are the same
 *
 * The first octet chooses what is offered and refused.
 */
#include "bench/sink_private.h"

#include <stdlib.h>

struct world {
	struct sink sink;
	struct sink_address address;
	struct sink_loop loop;
	struct sink_session session;
};

static void world_open(struct world *w, uint8_t knobs)
{
	struct sink_config *c = &w->sink.config;
	struct sink_session *s = &w->session;

	memset(w, 0, sizeof(*w));
	c->hostname = "sink.test";
	c->seed = 1;
	c->size_max = knobs & 1 ? 0 : 100;
	c->no_enhanced = knobs & 2;
	c->data_always = knobs & 4;
	c->bdat_spill = knobs & 8;
	c->rcpts_max = knobs & 16 ? 1 : 0;
	c->fail[SINK_RCPT][0] = c->fail[SINK_EOD][1] = knobs & 32 ? 0.5 : 0;
	c->fail[SINK_CONTENT][0] = knobs & 64 ? 0.5 : 0;
	c->providers = knobs & 128;
	w->sink.memory = sink_memory_new();
	if (w->sink.memory == NULL)
		abort();
	w->loop.sink = &w->sink;
	w->loop.config = c;
	sink_ledger_init(&w->loop.ledger, 2, false);
	s->loop = &w->loop;
	s->address = &w->address;
	sink_out_init(&s->out);
	buf_init(&s->line, SINK_LINE_MAX);
	buf_init(&s->rcpts, SINK_RCPTS_BYTES);
	sink_smtp_greet(s);
}

static void world_close(struct world *w)
{
	sink_out_free(&w->session.out);
	buf_free(&w->session.line);
	buf_free(&w->session.rcpts);
	sink_ledger_free(&w->loop.ledger);
	sink_memory_free(&w->sink.memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world whole, parts;
	const char *p = (const char *)data;
	size_t i;

	if (size == 0)
		return 0;
	world_open(&whole, data[0]);
	world_open(&parts, data[0]);
	sink_smtp_feed(&whole.session, p + 1, size - 1);
	for (i = 1; i < size; i++)
		sink_smtp_feed(&parts.session, p + i, 1);
	if (!span_eq(buf_span(&whole.session.out.octets),
		     buf_span(&parts.session.out.octets)))
		abort();
	if (!span_eq(buf_span(&whole.loop.ledger.lines),
		     buf_span(&parts.loop.ledger.lines)))
		abort();
	if (whole.session.phase != parts.session.phase)
		abort();
	world_close(&whole);
	world_close(&parts);
	return 0;
}
