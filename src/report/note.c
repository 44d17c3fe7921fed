/*
 * report/note.c - the octets of an OUT record that only events read
 *
 *	common:  1 | time u64 | session u64 | size u64 |
 *	         from | site | host | source | tls        (u16 length + octets)
 *	rcpt:    1 | result | stage | kind | scope | rule | enh.cls | notify |
 *	         code u16 | enh.subject u16 | enh.detail u16 | 0 u16 |
 *	         queued u32 | to | text
 */
#include "report/note.h"

#include "base/bug.h"
#include "site/classify.h"
#include "smtp/dsn.h"

#include <errno.h>

#define VERSION      1u
#define COMMON_FIXED 25u
#define RCPT_FIXED   20u
#define SPAN_MAX     1024u /* names; longer ones are cut */

static size_t cut(struct span s, size_t max)
{
	return s.len < max ? s.len : max;
}

static uint8_t *put_uint(uint8_t *at, uint64_t v, unsigned octets)
{
	while (octets-- > 0) {
		*at++ = (uint8_t)v;
		v >>= 8;
	}
	return at;
}

static uint8_t *put_span(uint8_t *at, struct span s, size_t max)
{
	size_t len = cut(s, max);

	at = put_uint(at, len, 2);
	if (len > 0)
		memcpy(at, s.p, len);
	return at + len;
}

static uint64_t get_uint(const uint8_t *at, unsigned octets)
{
	uint64_t v = 0;

	while (octets-- > 0)
		v = v << 8 | at[octets];
	return v;
}

/* Cut one string off the front of rest. */
static bool get_span(struct span *rest, struct span *s_r)
{
	size_t len;

	if (rest->len < 2)
		return false;
	len = (size_t)get_uint((const uint8_t *)rest->p, 2);
	if (rest->len - 2 < len)
		return false;
	*s_r = span_of(rest->p + 2, len);
	*rest = span_of(rest->p + 2 + len, rest->len - 2 - len);
	return true;
}

size_t note_common_size(const struct note_common *n)
{
	return COMMON_FIXED + 10 + cut(n->from, SPAN_MAX) +
	       cut(n->site, SPAN_MAX) + cut(n->host, SPAN_MAX) +
	       cut(n->source, SPAN_MAX) + cut(n->tls, SPAN_MAX);
}

void note_common_put(const struct note_common *n, void *to)
{
	uint8_t *at = to;

	*at++ = VERSION;
	at = put_uint(at, n->time_ms, 8);
	at = put_uint(at, n->session, 8);
	at = put_uint(at, n->size, 8);
	at = put_span(at, n->from, SPAN_MAX);
	at = put_span(at, n->site, SPAN_MAX);
	at = put_span(at, n->host, SPAN_MAX);
	at = put_span(at, n->source, SPAN_MAX);
	at = put_span(at, n->tls, SPAN_MAX);
	BUG_ON((size_t)(at - (uint8_t *)to) != note_common_size(n));
}

int note_common_get(struct span s, struct note_common *n_r)
{
	const uint8_t *p = (const uint8_t *)s.p;
	struct note_common n;
	struct span rest;

	if (s.len < COMMON_FIXED || p[0] != VERSION)
		return -EINVAL;
	n.time_ms = get_uint(p + 1, 8);
	n.session = get_uint(p + 9, 8);
	n.size = get_uint(p + 17, 8);
	rest = span_of(s.p + COMMON_FIXED, s.len - COMMON_FIXED);
	if (!get_span(&rest, &n.from) || !get_span(&rest, &n.site) ||
	    !get_span(&rest, &n.host) || !get_span(&rest, &n.source) ||
	    !get_span(&rest, &n.tls) || rest.len != 0)
		return -EINVAL;
	*n_r = n;
	return 0;
}

size_t note_rcpt_size(const struct note_rcpt *n)
{
	return RCPT_FIXED + 4 + cut(n->to, SPAN_MAX) +
	       cut(n->verdict.text, NOTE_TEXT_MAX);
}

void note_rcpt_put(const struct note_rcpt *n, void *to)
{
	const struct smtp_verdict *v = &n->verdict;
	uint8_t *at = to;

	*at++ = VERSION;
	*at++ = (uint8_t)v->result;
	*at++ = (uint8_t)v->stage;
	*at++ = n->kind;
	*at++ = n->scope;
	*at++ = n->rule;
	*at++ = v->enhanced.cls;
	*at++ = n->notify;
	at = put_uint(at, v->code, 2);
	at = put_uint(at, v->enhanced.subject, 2);
	at = put_uint(at, v->enhanced.detail, 2);
	at = put_uint(at, 0, 2);
	at = put_uint(at, n->queued_s, 4);
	at = put_span(at, n->to, SPAN_MAX);
	at = put_span(at, v->text, NOTE_TEXT_MAX);
	BUG_ON((size_t)(at - (uint8_t *)to) != note_rcpt_size(n));
}

int note_rcpt_get(struct span s, struct note_rcpt *n_r)
{
	const uint8_t *p = (const uint8_t *)s.p;
	struct note_rcpt n = { .rule = LOCAL_NONE };
	struct span rest;

	if (s.len < RCPT_FIXED || p[0] != VERSION ||
	    p[1] >= SMTP_RESULT_COUNT || p[2] >= SMTP_STAGE_COUNT ||
	    p[3] >= REPLY_KIND_COUNT || p[4] >= SCOPE_COUNT ||
	    p[5] >= LOCAL_RULE_COUNT || (p[7] & ~DSN_ALL) != 0)
		return -EINVAL;
	n.verdict.result = (enum smtp_result)p[1];
	n.verdict.stage = (enum smtp_stage)p[2];
	n.kind = p[3];
	n.scope = p[4];
	n.rule = p[5];
	n.verdict.enhanced.cls = p[6];
	n.notify = p[7];
	n.verdict.code = (uint16_t)get_uint(p + 8, 2);
	n.verdict.enhanced.subject = (uint16_t)get_uint(p + 10, 2);
	n.verdict.enhanced.detail = (uint16_t)get_uint(p + 12, 2);
	n.queued_s = (uint32_t)get_uint(p + 16, 4);
	rest = span_of(s.p + RCPT_FIXED, s.len - RCPT_FIXED);
	if (!get_span(&rest, &n.to) || !get_span(&rest, &n.verdict.text) ||
	    rest.len != 0)
		return -EINVAL;
	*n_r = n;
	return 0;
}
