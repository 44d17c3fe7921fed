/*
 * ingress/pack.c - messages into frames
 *
 *	filling --pack_add--> filling --pack_seal--> sealed --pack_next--> filling
 *	    \------ a large message ------------------^
 */
#include "ingress/pack.h"

#include "base/bug.h"

#include <errno.h>

void pack_init(struct pack *p)
{
	memset(p, 0, sizeof(*p));
	buf_init(&p->b, PACK_BYTES_MAX);
	p->sealed = true; /* nothing is open before the first pack_next() */
}

void pack_free(struct pack *p)
{
	buf_free(&p->b);
}

int pack_next(struct pack *p)
{
	static const char head[FRAME_HEAD_SIZE];
	int r;

	BUG_ON(!p->sealed);
	buf_clear(&p->b);
	r = buf_add(&p->b, head, sizeof(head));
	if (r < 0)
		return r;
	p->count = 0;
	p->number++;
	p->sealed = false;
	return 0;
}

void pack_seal(struct pack *p, bool more)
{
	BUG_ON(p->sealed || p->count == 0);
	frame_seal(&p->b, 0, FRAME_MESSAGES, p->count, p->number);
	frame_set_more(p->b.p, more);
	p->sealed = true;
}

/* One message that fills a frame and parts behind it. */
static int add_large(struct pack *p, const struct submit_message *msg,
		     size_t envelope)
{
	static const char head[FRAME_HEAD_SIZE];
	size_t done = SUBMIT_FRAME_BYTES - envelope, n, at;
	int r = buf_reserve(&p->b,
			    envelope + msg->content.len +
				    (msg->content.len / FRAME_PART_BYTES + 1) *
					    FRAME_HEAD_SIZE);

	if (r < 0)
		return r;
	(void)frame_message_put(&p->b, msg, done);
	frame_seal(&p->b, 0, FRAME_LARGE, 1, p->number);
	while (done < msg->content.len) {
		n = msg->content.len - done;
		if (n > FRAME_PART_BYTES)
			n = FRAME_PART_BYTES;
		at = p->b.len;
		(void)buf_add(&p->b, head, sizeof(head));
		(void)buf_add(&p->b, msg->content.p + done, n);
		frame_seal(&p->b, at, FRAME_PART, 0, p->number);
		done += n;
	}
	BUG_ON(p->b.failed < 0);
	p->count = 1;
	p->sealed = true;
	return 0;
}

int pack_add(struct pack *p, const struct submit_message *msg)
{
	size_t envelope = frame_envelope_size(msg), size;
	int r;

	if (envelope == 0)
		return -EINVAL;
	if (msg->content.len > PACK_BYTES_MAX / 2)
		return -EMSGSIZE;
	if (p->sealed || p->count == SUBMIT_FRAME_MESSAGES)
		return -EAGAIN;
	size = envelope + msg->content.len;
	if (size > SUBMIT_FRAME_BYTES)
		return p->count > 0 ? -EAGAIN : add_large(p, msg, envelope);
	if (pack_payload(p) + size > SUBMIT_FRAME_BYTES)
		return -EAGAIN;
	r = frame_message_put(&p->b, msg, msg->content.len);
	if (r == 0)
		p->count++;
	return r;
}
