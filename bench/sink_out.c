/*
 * bench/sink_out.c - replies that wait for their time
 *
 *	octets:  | sent | ready | due[0] | due[1] | ... |
 *
 * Each reply has its own time, counted from the last octet of its command;
 * times never go back, so a queue is enough.
 */
#include "bench/sink_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void sink_out_init(struct sink_out *o)
{
	*o = (struct sink_out){ .sent = 0 };
	buf_init(&o->octets, SINK_OUT_MAX);
}

void sink_out_free(struct sink_out *o)
{
	buf_free(&o->octets);
	free(o->due);
	o->due = NULL;
}

static int due_add(struct sink_out *o, uint64_t at_us, size_t octets)
{
	struct sink_due *last, *more;
	size_t size;

	last = o->due_count == 0 ? NULL
				 : &o->due[o->due_first + o->due_count - 1];
	if (last != NULL && last->at_us >= at_us) {
		last->octets += octets;
		return 0;
	}
	if (o->due_first > 0 && o->due_first + o->due_count == o->due_size) {
		memmove(o->due, o->due + o->due_first,
			o->due_count * sizeof(*o->due));
		o->due_first = 0;
	}
	if (o->due_count == o->due_size) {
		size = o->due_size == 0 ? 8 : o->due_size * 2;
		more = realloc(o->due, size * sizeof(*more));
		if (more == NULL)
			return -ENOMEM;
		o->due = more;
		o->due_size = size;
	}
	o->due[o->due_first + o->due_count++] =
		(struct sink_due){ at_us, octets };
	return 0;
}

int sink_out_add(struct sink_out *o, struct span text, uint64_t at_us)
{
	int err;

	if (o->sent > 0 && o->sent == o->octets.len) {
		buf_clear(&o->octets);
		o->sent = 0;
	}
	err = buf_reserve(&o->octets, text.len);
	if (err == 0 && (at_us > 0 || o->due_count > 0))
		err = due_add(o, at_us, text.len);
	else if (err == 0)
		o->ready += text.len;
	return err == 0 ? buf_add_span(&o->octets, text) : err;
}

uint64_t sink_out_ripen(struct sink_out *o, uint64_t now_us)
{
	while (o->due_count > 0) {
		struct sink_due *d = &o->due[o->due_first];

		if (d->at_us > now_us)
			return d->at_us;
		o->ready += d->octets;
		o->due_first++;
		o->due_count--;
	}
	o->due_first = 0;
	return 0;
}

void sink_out_sent(struct sink_out *o, size_t n)
{
	BUG_ON(n > o->ready);
	o->ready -= n;
	o->sent += n;
	BUG_ON(o->sent > o->octets.len);
	if (o->sent >= SINK_OUT_MAX / 2) {
		buf_shift(&o->octets, o->sent);
		o->sent = 0;
	}
}
