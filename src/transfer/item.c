/*
 * transfer/item.c - items between structs and octets
 *
 *	numbers are little-endian; text is a u16 length and its octets
 */
#include "transfer/item.h"

#include <errno.h>

#define FLAGS_KNOWN                                                            \
	(QUEUE_MSG_8BIT | QUEUE_MSG_DOTS | QUEUE_MSG_UTF8 |                    \
	 QUEUE_MSG_TRANSACTIONAL)

/* --- pieces ---------------------------------------------------------------- */

static void put8(struct buf *to, uint8_t v)
{
	buf_add(to, &v, sizeof(v));
}

static void put32(struct buf *to, uint32_t v)
{
	buf_add(to, &v, sizeof(v));
}

static void put64(struct buf *to, uint64_t v)
{
	buf_add(to, &v, sizeof(v));
}

static void put_text(struct buf *to, struct span s)
{
	uint16_t len = s.len > UINT16_MAX ? UINT16_MAX : (uint16_t)s.len;

	buf_add(to, &len, sizeof(len));
	buf_add(to, s.p, len);
}

struct rest {
	struct span left;
	bool wrong;
};

static void take(struct rest *r, void *to, size_t len)
{
	if (r->wrong || r->left.len < len) {
		r->wrong = true;
		memset(to, 0, len);
		return;
	}
	memcpy(to, r->left.p, len);
	r->left = span_of(r->left.p + len, r->left.len - len);
}

static uint8_t take8(struct rest *r)
{
	uint8_t v;

	take(r, &v, sizeof(v));
	return v;
}

static uint32_t take32(struct rest *r)
{
	uint32_t v;

	take(r, &v, sizeof(v));
	return v;
}

static uint64_t take64(struct rest *r)
{
	uint64_t v;

	take(r, &v, sizeof(v));
	return v;
}

static struct span take_text(struct rest *r, size_t max)
{
	struct span s;
	uint16_t len;

	take(r, &len, sizeof(len));
	if (r->wrong || len > r->left.len || len > max) {
		r->wrong = true;
		return span_of(NULL, 0);
	}
	s = span_of(r->left.p, len);
	r->left = span_of(s.p + len, r->left.len - len);
	return s;
}

static int end(const struct rest *r)
{
	return r->wrong || r->left.len > 0 ? -EINVAL : 0;
}

/* --- begin, decisions ------------------------------------------------------- */

void transfer_begin_put(const struct transfer_begin *b, struct buf *to)
{
	buf_add(to, b->uuid, sizeof(b->uuid));
	put64(to, b->wall_s);
	put32(to, b->mail_s);
	put64(to, b->messages);
	put_text(to, b->hostname);
	put_text(to, b->spool);
	put_text(to, b->version);
}

int transfer_begin_get(struct span from, struct transfer_begin *b_r)
{
	struct rest r = { from, false };
	struct transfer_begin b;

	take(&r, b.uuid, sizeof(b.uuid));
	b.wall_s = take64(&r);
	b.mail_s = take32(&r);
	b.messages = take64(&r);
	b.hostname = take_text(&r, UINT16_MAX);
	b.spool = take_text(&r, UINT16_MAX);
	b.version = take_text(&r, UINT16_MAX);
	if (end(&r) < 0)
		return -EINVAL;
	*b_r = b;
	return 0;
}

void transfer_decision_put(const struct queue_decision *d, struct buf *to)
{
	put8(to, (uint8_t)d->verb);
	put32(to, d->made_s);
	put_text(to, d->tenant);
	put_text(to, d->campaign);
	put_text(to, d->domain);
	put_text(to, d->site);
}

int transfer_decision_get(struct span from, struct queue_decision *d_r)
{
	struct rest r = { from, false };
	struct queue_decision d = { .verb = (enum queue_verb)take8(&r) };

	d.made_s = take32(&r);
	d.tenant = take_text(&r, QUEUE_WORD_MAX);
	d.campaign = take_text(&r, QUEUE_WORD_MAX);
	d.domain = take_text(&r, QUEUE_WORD_MAX);
	d.site = take_text(&r, QUEUE_WORD_MAX);
	if (end(&r) < 0 ||
	    (d.verb != QUEUE_VERB_PAUSE && d.verb != QUEUE_VERB_SITE_PAUSE))
		return -EINVAL;
	*d_r = d;
	return 0;
}

/* --- messages ---------------------------------------------------------------- */

void transfer_message_put(const struct transfer_message *m, struct buf *to)
{
	put64(to, m->id);
	put64(to, m->size);
	put32(to, m->arrived_s);
	put32(to, m->expires_s);
	put32(to, m->flags);
	put32(to, m->rcpt_count);
	put_text(to, m->tenant);
	put_text(to, m->campaign);
	put_text(to, m->sender);
	put_text(to, m->params);
}

void transfer_rcpt_put(const struct transfer_rcpt *r, struct buf *to)
{
	put32(to, r->stand.slot);
	put8(to, r->stand.attempts);
	put8(to, r->stand.unsure);
	put_text(to, r->rcpt.address);
	put_text(to, r->rcpt.domain);
	put_text(to, r->rcpt.params);
}

static struct transfer_rcpt take_rcpt(struct rest *r)
{
	struct transfer_rcpt rcpt;

	rcpt.stand.slot = take32(r);
	rcpt.stand.attempts = take8(r);
	rcpt.stand.unsure = take8(r);
	rcpt.rcpt.address = take_text(r, UINT16_MAX);
	rcpt.rcpt.domain = take_text(r, QUEUE_WORD_MAX);
	rcpt.rcpt.params = take_text(r, UINT16_MAX);
	return rcpt;
}

/* It will stand in a command of SMTP: no line may end in it. */
static bool is_line(struct span s)
{
	return span_find(s, '\r') < 0 && span_find(s, '\n') < 0 &&
	       span_find(s, '\0') < 0;
}

static bool rcpts_ok(struct rest r, uint32_t count)
{
	struct transfer_rcpt rcpt;
	uint32_t i;

	for (i = 0; i < count; i++) {
		rcpt = take_rcpt(&r);
		if (r.wrong || rcpt.rcpt.address.len == 0 ||
		    rcpt.rcpt.domain.len == 0 || !is_line(rcpt.rcpt.address) ||
		    !is_line(rcpt.rcpt.domain) || !is_line(rcpt.rcpt.params))
			return false;
	}
	return end(&r) == 0;
}

int transfer_message_get(struct span from, struct transfer_message *m_r)
{
	struct rest r = { from, false };
	struct transfer_message m;

	m.id = take64(&r);
	m.size = take64(&r);
	m.arrived_s = take32(&r);
	m.expires_s = take32(&r);
	m.flags = take32(&r);
	m.rcpt_count = take32(&r);
	m.tenant = take_text(&r, QUEUE_WORD_MAX);
	m.campaign = take_text(&r, QUEUE_WORD_MAX);
	m.sender = take_text(&r, UINT16_MAX);
	m.params = take_text(&r, UINT16_MAX);
	m.rcpts = r.left;
	if (r.wrong || m.id == 0 || m.size > QUEUE_CONTENT_MAX ||
	    (m.flags & ~FLAGS_KNOWN) != 0 || m.rcpt_count == 0 ||
	    m.rcpt_count > QUEUE_RCPTS_MAX || !is_line(m.sender) ||
	    !is_line(m.params) || !rcpts_ok(r, m.rcpt_count))
		return -EINVAL;
	*m_r = m;
	return 0;
}

void transfer_rcpt_get(struct span *rcpts, struct transfer_rcpt *r_r)
{
	struct rest r = { *rcpts, false };

	*r_r = take_rcpt(&r);
	*rcpts = r.left;
}

/* --- what was left, and the end ------------------------------------------------ */

void transfer_left_put(const struct transfer_left *l, struct buf *to)
{
	put64(to, l->id);
	put32(to, l->rcpt_count);
	put_text(to, l->why);
}

int transfer_left_get(struct span from, struct transfer_left *l_r)
{
	struct rest r = { from, false };
	struct transfer_left l = { .id = take64(&r) };

	l.rcpt_count = take32(&r);
	l.why = take_text(&r, UINT16_MAX);
	if (end(&r) < 0 || !is_line(l.why))
		return -EINVAL;
	*l_r = l;
	return 0;
}

void transfer_end_put(const struct transfer_end *e, struct buf *to)
{
	put64(to, e->messages);
	put64(to, e->recipients);
	put64(to, e->octets);
	put64(to, e->left);
}

int transfer_end_get(struct span from, struct transfer_end *e_r)
{
	struct rest r = { from, false };
	struct transfer_end e = { .messages = take64(&r) };

	e.recipients = take64(&r);
	e.octets = take64(&r);
	e.left = take64(&r);
	if (end(&r) < 0)
		return -EINVAL;
	*e_r = e;
	return 0;
}

bool transfer_content_ok(struct span content, char *last)
{
	char before = *last;
	size_t i;

	for (i = 0; i < content.len; i++) {
		char c = content.p[i];

		if ((c == '\n') != (before == '\r') || c == '\0')
			return false;
		before = c;
	}
	*last = before;
	return true;
}
