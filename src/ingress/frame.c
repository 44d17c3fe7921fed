/*
 * ingress/frame.c - frames of a submission, to octets and back
 *
 *	hello	magic[8] version:2 flags:2 0:4 id[16]
 *	head	type:1 flags:1 count:2 length:4 number:4 crc:4
 *	message	size:8 rcpts:4 rcpt_count:4 age_s:4 sender:2 params:2 tenant:1
 *		campaign:1 class:1 0:1 | sender params tenant campaign
 *		*( length:2 recipient [ length:2 params ] ) | content
 *		the length's highest bit says that params follow
 *	answer	code:1 class:1 subject:2 detail:2 words:2 ids:4 | ids words
 *
 * Every length is checked against what is left before it is believed.
 */
#include "ingress/frame.h"

#include "base/bug.h"
#include "base/crc32c.h"

#include <errno.h>

#define MESSAGE_HEAD 28u
#define ANSWER_HEAD  12u
#define WITH_PARAMS  0x8000u /* in the length of a recipient */

static const char magic[8] = { 'M', 'T', 'A', 'Q', 'S', 'U', 'B', '\n' };

static void put16(char *p, uint32_t v)
{
	p[0] = (char)(unsigned char)v;
	p[1] = (char)(unsigned char)(v >> 8);
}

static void put32(char *p, uint32_t v)
{
	put16(p, v & 0xffff);
	put16(p + 2, v >> 16);
}

static uint16_t get16(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (uint16_t)(u[0] | (unsigned)u[1] << 8);
}

static uint32_t get32(const char *p)
{
	return get16(p) | (uint32_t)get16(p + 2) << 16;
}

static struct span take(struct span *s, size_t n)
{
	struct span head = span_of(s->p, n);

	BUG_ON(n > s->len);
	*s = span_of(s->p + n, s->len - n);
	return head;
}

void frame_hello_put(const struct frame_hello *h, char out[FRAME_HELLO_SIZE])
{
	memcpy(out, magic, sizeof(magic));
	put16(out + 8, h->version);
	put16(out + 10, h->flags);
	put32(out + 12, 0);
	memcpy(out + 16, h->id, SUBMIT_ID_SIZE);
}

int frame_hello_get(const char in[FRAME_HELLO_SIZE], struct frame_hello *h_r)
{
	if (memcmp(in, magic, sizeof(magic)) != 0 ||
	    get16(in + 8) != FRAME_VERSION ||
	    (get16(in + 10) & ~FRAME_RESUME) != 0 || get32(in + 12) != 0)
		return -EPROTO;
	h_r->version = get16(in + 8);
	h_r->flags = get16(in + 10);
	memcpy(h_r->id, in + 16, SUBMIT_ID_SIZE);
	return 0;
}

void frame_head_put(const struct frame_head *h, char out[FRAME_HEAD_SIZE])
{
	out[0] = (char)h->type;
	out[1] = (char)h->flags;
	put16(out + 2, h->count);
	put32(out + 4, h->length);
	put32(out + 8, h->number);
	put32(out + 12, h->crc);
}

/* What a type allows: lengths of the payload and counts. */
struct bounds {
	uint32_t length_min, length_max;
	uint16_t count_min, count_max;
	bool client;
	uint8_t flags; /* that it may have */
};

static bool bounds_of(uint8_t type, struct bounds *b_r)
{
	static const struct {
		enum frame_type type;
		struct bounds bounds;
	} table[] = {
		{ FRAME_MESSAGES,
		  { 1, SUBMIT_FRAME_BYTES, 1, SUBMIT_FRAME_MESSAGES, true,
		    FRAME_MORE } },
		{ FRAME_LARGE, { 1, SUBMIT_FRAME_BYTES, 1, 1, true, 0 } },
		{ FRAME_PART, { 1, FRAME_PART_BYTES, 0, 0, true, 0 } },
		{ FRAME_END, { 0, 0, 0, 0, true, 0 } },
		{ FRAME_WELCOME,
		  { FRAME_WELCOME_SIZE, FRAME_WELCOME_SIZE, 0, 0, false, 0 } },
		{ FRAME_ANSWER,
		  { 1, 4 * SUBMIT_FRAME_BYTES, 1, SUBMIT_FRAME_MESSAGES, false,
		    0 } },
		{ FRAME_ERROR, { ANSWER_HEAD, 4096, 0, 0, false, 0 } },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(table); i++)
		if (table[i].type == type) {
			*b_r = table[i].bounds;
			return true;
		}
	return false;
}

int frame_head_get(const char in[FRAME_HEAD_SIZE], bool from_client,
		   struct frame_head *h_r)
{
	struct frame_head h = { .type = (uint8_t)in[0],
				.flags = (uint8_t)in[1],
				.count = get16(in + 2),
				.length = get32(in + 4),
				.number = get32(in + 8),
				.crc = get32(in + 12) };
	struct bounds b;

	if (!bounds_of(h.type, &b) || b.client != from_client ||
	    (h.flags & ~b.flags) != 0 || h.length < b.length_min ||
	    h.length > b.length_max || h.count < b.count_min ||
	    h.count > b.count_max || (h.number == 0 && b.count_max > 0))
		return -EPROTO;
	*h_r = h;
	return 0;
}

/* Of recipient i; "" is none. */
static struct span rcpt_params(const struct submit_message *msg, uint32_t i)
{
	return msg->rcpt_params == NULL ? span_of(NULL, 0)
					: msg->rcpt_params[i];
}

/* Octets of recipient i in the list; 0: not allowed. */
static size_t rcpt_size(const struct submit_message *msg, uint32_t i)
{
	struct span params = rcpt_params(msg, i);

	if (msg->rcpts[i].len > FRAME_ADDRESS_MAX ||
	    params.len > FRAME_PARAMS_MAX)
		return 0;
	return 2 + msg->rcpts[i].len + (params.len > 0 ? 2 + params.len : 0);
}

size_t frame_envelope_size(const struct submit_message *msg)
{
	size_t size = MESSAGE_HEAD + msg->sender.len + msg->params.len +
		      msg->tenant.len + msg->campaign.len,
	       one;
	uint32_t i;

	if (msg->rcpt_count == 0 || msg->rcpt_count > SUBMIT_RCPTS_MAX ||
	    msg->sender.len > FRAME_ADDRESS_MAX ||
	    msg->params.len > FRAME_PARAMS_MAX || msg->tenant.len > 255 ||
	    msg->campaign.len > 255)
		return 0;
	for (i = 0; i < msg->rcpt_count; i++) {
		one = rcpt_size(msg, i);
		if (one == 0)
			return 0;
		size += one;
	}
	return size > FRAME_ENVELOPE_MAX ? 0 : size;
}

static char *put_span(char *p, struct span s)
{
	if (s.len > 0)
		memcpy(p, s.p, s.len);
	return p + s.len;
}

static char *put_rcpt(char *p, struct span address, struct span params)
{
	bool with = params.len > 0;

	put16(p, (uint32_t)address.len | (with ? WITH_PARAMS : 0));
	p = put_span(p + 2, address);
	if (!with)
		return p;
	put16(p, (uint32_t)params.len);
	return put_span(p + 2, params);
}

int frame_message_put(struct buf *b, const struct submit_message *msg,
		      size_t now)
{
	size_t envelope = frame_envelope_size(msg), rcpts;
	uint32_t i;
	char *p;
	int r;

	BUG_ON(envelope == 0 || now > msg->content.len);
	r = buf_reserve(b, envelope + now);
	if (r < 0)
		return r;
	p = b->p + b->len;
	rcpts = envelope - MESSAGE_HEAD - msg->sender.len - msg->params.len -
		msg->tenant.len - msg->campaign.len;
	frame_put64(p, msg->content.len);
	put32(p + 8, (uint32_t)rcpts);
	put32(p + 12, msg->rcpt_count);
	put32(p + 16, msg->age_s);
	put16(p + 20, (uint32_t)msg->sender.len);
	put16(p + 22, (uint32_t)msg->params.len);
	p[24] = (char)(unsigned char)msg->tenant.len;
	p[25] = (char)(unsigned char)msg->campaign.len;
	p[26] = (char)msg->class;
	p[27] = 0;
	p = put_span(p + MESSAGE_HEAD, msg->sender);
	p = put_span(p, msg->params);
	p = put_span(p, msg->tenant);
	p = put_span(p, msg->campaign);
	for (i = 0; i < msg->rcpt_count; i++)
		p = put_rcpt(p, msg->rcpts[i], rcpt_params(msg, i));
	p = put_span(p, span_of(msg->content.p, now));
	b->len = (size_t)(p - b->p);
	return 0;
}

/* A length and so many octets, at most max, off the front of *list. */
static bool take_field(struct span *list, size_t max, bool *with_r,
		       struct span *field_r)
{
	size_t len;

	if (list->len < 2)
		return false;
	len = get16(list->p);
	*with_r = (len & WITH_PARAMS) != 0;
	len &= ~(size_t)WITH_PARAMS;
	if (len > max || len + 2 > list->len)
		return false;
	(void)take(list, 2);
	*field_r = take(list, len);
	return true;
}

static bool take_rcpt(struct span *list, struct frame_rcpt *rcpt_r)
{
	bool with, more = false;

	rcpt_r->params = span_of(NULL, 0);
	if (!take_field(list, FRAME_ADDRESS_MAX, &with, &rcpt_r->address))
		return false;
	return !with ||
	       (take_field(list, FRAME_PARAMS_MAX, &more, &rcpt_r->params) &&
		!more && rcpt_r->params.len > 0);
}

/* Are there exactly count recipients in the list? */
static bool rcpts_sound(struct span list, uint32_t count)
{
	struct frame_rcpt rcpt;
	uint32_t n = 0;

	for (; list.len > 0; n++)
		if (n == count || !take_rcpt(&list, &rcpt))
			return false;
	return n == count;
}

int frame_message_get(struct span *payload, bool whole,
		      struct frame_message *m_r)
{
	struct frame_message m = { .size = 0 };
	struct span s = *payload;
	size_t rcpts, sender, params, tenant, campaign;
	const char *p = s.p;

	if (s.len == 0)
		return 0;
	if (s.len < MESSAGE_HEAD)
		return -EPROTO;
	m.size = frame_get64(p);
	rcpts = get32(p + 8);
	m.rcpt_count = get32(p + 12);
	m.age_s = get32(p + 16);
	sender = get16(p + 20);
	params = get16(p + 22);
	tenant = (unsigned char)p[24];
	campaign = (unsigned char)p[25];
	m.class = (uint8_t)p[26];
	(void)take(&s, MESSAGE_HEAD);
	if (p[27] != 0 || m.class > SUBMIT_TRANSACTIONAL || m.rcpt_count == 0 ||
	    m.rcpt_count > SUBMIT_RCPTS_MAX || sender > FRAME_ADDRESS_MAX ||
	    params > FRAME_PARAMS_MAX ||
	    sender + params + tenant + campaign + rcpts > s.len)
		return -EPROTO;
	m.sender = take(&s, sender);
	m.params = take(&s, params);
	m.tenant = take(&s, tenant);
	m.campaign = take(&s, campaign);
	m.rcpts = take(&s, rcpts);
	if (!rcpts_sound(m.rcpts, m.rcpt_count) ||
	    (whole ? m.size > s.len : m.size < s.len))
		return -EPROTO;
	m.content = take(&s, whole ? (size_t)m.size : s.len);
	*payload = s;
	*m_r = m;
	return 1;
}

int frame_rcpt_next(struct span *rcpts, struct frame_rcpt *rcpt_r)
{
	if (rcpts->len == 0)
		return 0;
	BUG_ON(!take_rcpt(rcpts, rcpt_r));
	return 1;
}

int frame_answer_put(struct buf *b, const struct frame_answer *a)
{
	size_t words = a->words.len;
	char head[ANSWER_HEAD];

	BUG_ON(a->ids.len != 8 * (size_t)a->id_count);
	if (words > FRAME_WORDS_MAX)
		words = FRAME_WORDS_MAX;
	head[0] = (char)a->code;
	head[1] = (char)a->enhanced_class;
	put16(head + 2, a->enhanced_subject);
	put16(head + 4, a->enhanced_detail);
	put16(head + 6, (uint32_t)words);
	put32(head + 8, a->id_count);
	(void)buf_add(b, head, sizeof(head));
	(void)buf_add_span(b, a->ids);
	(void)buf_add(b, a->words.p, words);
	return b->failed;
}

int frame_answer_get(struct span *payload, struct frame_answer *a_r)
{
	struct frame_answer a;
	struct span s = *payload;
	size_t words;

	if (s.len == 0)
		return 0;
	if (s.len < ANSWER_HEAD)
		return -EPROTO;
	a.code = (uint8_t)s.p[0];
	a.enhanced_class = (uint8_t)s.p[1];
	a.enhanced_subject = get16(s.p + 2);
	a.enhanced_detail = get16(s.p + 4);
	words = get16(s.p + 6);
	a.id_count = get32(s.p + 8);
	(void)take(&s, ANSWER_HEAD);
	if (words > FRAME_WORDS_MAX || a.id_count > SUBMIT_RCPTS_MAX ||
	    8 * (size_t)a.id_count + words > s.len)
		return -EPROTO;
	a.ids = take(&s, 8 * (size_t)a.id_count);
	a.words = take(&s, words);
	*payload = s;
	*a_r = a;
	return 1;
}

uint64_t frame_id(const struct frame_answer *a, uint32_t i)
{
	BUG_ON(i >= a->id_count);
	return frame_get64(a->ids.p + 8 * (size_t)i);
}

void frame_welcome_put(const struct frame_welcome *w,
		       char out[FRAME_WELCOME_SIZE])
{
	memset(out, 0, FRAME_WELCOME_SIZE);
	put16(out, FRAME_VERSION);
	put16(out + 2, w->flags);
	frame_put64(out + 8, w->message_bytes_max);
}

int frame_welcome_get(struct span payload, struct frame_welcome *w_r)
{
	if (payload.len != FRAME_WELCOME_SIZE ||
	    get16(payload.p) != FRAME_VERSION)
		return -EPROTO;
	w_r->flags = get16(payload.p + 2);
	w_r->message_bytes_max = frame_get64(payload.p + 8);
	return 0;
}

void frame_set_more(char head[FRAME_HEAD_SIZE], bool more)
{
	head[1] = more ? (char)FRAME_MORE : 0;
}

void frame_seal(struct buf *b, size_t at, enum frame_type type, uint16_t count,
		uint32_t number)
{
	size_t from = at + FRAME_HEAD_SIZE;
	struct frame_head h = { .type = (uint8_t)type,
				.count = count,
				.number = number };

	BUG_ON(b->len < from);
	h.length = (uint32_t)(b->len - from);
	h.crc = crc32c(0, b->p + from, b->len - from);
	frame_head_put(&h, b->p + at);
}
