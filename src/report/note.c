/*
 * report/note.c - the octets of an OUT record that only events read
 *
 *	common:  2 | time | session | size | from | host | site | source | tls
 *	rcpt:    2 | result | stage | kind | scope | rule | enh.cls | notify |
 *	         code | enh.subject | enh.detail | queued | to | text
 *
 * The octets of a version, words of an octet each, then numbers (seven bits an
 * octet, the low ones first, 128: more follow) and strings, a number of octets
 * in front.  That of a site is doubled; odd: it is the front of the host.
 *
 * Version 1, which is read too: fixed numbers of 8, 8, 8 and 2, 2, 2, 2 (zero),
 * 4 octets, a u16 before each string, the site before the host.
 */
#include "report/note.h"

#include "base/bug.h"
#include "site/classify.h"
#include "smtp/dsn.h"

#include <errno.h>

#define VERSION      2u
#define COMMON_FIXED 25u   /* version 1 */
#define RCPT_FIXED   20u   /* version 1 */
#define RCPT_WORDS   8u    /* the version too */
#define SPAN_MAX     1024u /* names; longer ones are cut */

static size_t cut(struct span s, size_t max)
{
	return s.len < max ? s.len : max;
}

static size_t number_size(uint64_t v)
{
	size_t n = 1;

	for (; v > 127; v >>= 7)
		n++;
	return n;
}

static uint8_t *put_number(uint8_t *at, uint64_t v)
{
	for (; v > 127; v >>= 7)
		*at++ = (uint8_t)(v | 128);
	*at++ = (uint8_t)v;
	return at;
}

static bool get_number(struct span *rest, uint64_t max, uint64_t *v_r)
{
	uint64_t v = 0;
	size_t i;

	for (i = 0; i < rest->len && i < 10; i++) {
		uint8_t octet = (uint8_t)rest->p[i];

		if (i == 9 && octet > 1)
			return false;
		v |= (uint64_t)(octet & 127) << 7 * i;
		if (octet > 127)
			continue;
		*rest = span_of(rest->p + i + 1, rest->len - i - 1);
		*v_r = v;
		return v <= max;
	}
	return false;
}

static size_t span_size(struct span s, size_t max)
{
	return number_size(cut(s, max)) + cut(s, max);
}

static uint8_t *put_octets(uint8_t *at, const char *p, size_t len)
{
	if (len > 0)
		memcpy(at, p, len);
	return at + len;
}

static uint8_t *put_span(uint8_t *at, struct span s, size_t max)
{
	size_t len = cut(s, max);

	return put_octets(put_number(at, len), s.p, len);
}

static bool take(struct span *rest, size_t len, struct span *s_r)
{
	if (rest->len < len)
		return false;
	*s_r = span_of(rest->p, len);
	*rest = span_of(rest->p + len, rest->len - len);
	return true;
}

/* Cut one string off the front of rest. */
static bool get_span(struct span *rest, struct span *s_r)
{
	uint64_t len;

	return get_number(rest, UINT16_MAX, &len) &&
	       take(rest, (size_t)len, s_r);
}

/* --- version 1 ----------------------------------------------------------- */

static uint64_t get_uint(const uint8_t *at, unsigned octets)
{
	uint64_t v = 0;

	while (octets-- > 0)
		v = v << 8 | at[octets];
	return v;
}

static bool get_old_span(struct span *rest, struct span *s_r)
{
	struct span len;

	return take(rest, 2, &len) &&
	       take(rest, (size_t)get_uint((const uint8_t *)len.p, 2), s_r);
}

static bool get_old_common(struct span s, struct note_common *n)
{
	const uint8_t *p = (const uint8_t *)s.p;
	struct span rest;

	if (s.len < COMMON_FIXED)
		return false;
	n->time_ms = get_uint(p + 1, 8);
	n->session = get_uint(p + 9, 8);
	n->size = get_uint(p + 17, 8);
	rest = span_of(s.p + COMMON_FIXED, s.len - COMMON_FIXED);
	return get_old_span(&rest, &n->from) && get_old_span(&rest, &n->site) &&
	       get_old_span(&rest, &n->host) &&
	       get_old_span(&rest, &n->source) &&
	       get_old_span(&rest, &n->tls) && rest.len == 0;
}

static bool get_old_rcpt(struct span s, struct note_rcpt *n)
{
	const uint8_t *p = (const uint8_t *)s.p;
	struct span rest;

	if (s.len < RCPT_FIXED)
		return false;
	n->verdict.code = (uint16_t)get_uint(p + 8, 2);
	n->verdict.enhanced.subject = (uint16_t)get_uint(p + 10, 2);
	n->verdict.enhanced.detail = (uint16_t)get_uint(p + 12, 2);
	n->queued_s = (uint32_t)get_uint(p + 16, 4);
	rest = span_of(s.p + RCPT_FIXED, s.len - RCPT_FIXED);
	return get_old_span(&rest, &n->to) &&
	       get_old_span(&rest, &n->verdict.text) && rest.len == 0;
}

/* --- an attempt ---------------------------------------------------------- */

/* The number before the site. */
static size_t site_number(const struct note_common *n)
{
	size_t len = cut(n->site, SPAN_MAX);

	if (len > 0 && len <= cut(n->host, SPAN_MAX) &&
	    memcmp(n->site.p, n->host.p, len) == 0)
		return 2 * len + 1;
	return 2 * len;
}

static bool get_site(struct span *rest, struct span host, struct span *s_r)
{
	uint64_t number;

	if (!get_number(rest, 2 * UINT16_MAX + 1, &number))
		return false;
	if (number % 2 == 0)
		return take(rest, (size_t)(number / 2), s_r);
	return take(&host, (size_t)(number / 2), s_r);
}

size_t note_peer_size(const struct note_common *n)
{
	size_t site = site_number(n);

	return span_size(n->host, SPAN_MAX) + number_size(site) +
	       (site % 2 == 0 ? site / 2 : 0) + span_size(n->source, SPAN_MAX);
}

size_t note_common_size(const struct note_common *n)
{
	return 1 + number_size(n->time_ms) + number_size(n->session) +
	       number_size(n->size) + span_size(n->from, SPAN_MAX) +
	       (n->peer.len > 0 ? n->peer.len : note_peer_size(n)) +
	       span_size(n->tls, SPAN_MAX);
}

size_t note_peer_put(const struct note_common *n, void *to)
{
	size_t site = site_number(n);
	uint8_t *at = to;

	at = put_span(at, n->host, SPAN_MAX);
	at = put_number(at, site);
	if (site % 2 == 0)
		at = put_octets(at, n->site.p, site / 2);
	at = put_span(at, n->source, SPAN_MAX);
	return (size_t)(at - (uint8_t *)to);
}

size_t note_common_put(const struct note_common *n, void *to)
{
	uint8_t *at = to;

	*at++ = VERSION;
	at = put_number(at, n->time_ms);
	at = put_number(at, n->session);
	at = put_number(at, n->size);
	at = put_span(at, n->from, SPAN_MAX);
	if (n->peer.len > 0)
		at = put_octets(at, n->peer.p, n->peer.len);
	else
		at += note_peer_put(n, at);
	at = put_span(at, n->tls, SPAN_MAX);
	return (size_t)(at - (uint8_t *)to);
}

static bool get_common(struct span s, struct note_common *n)
{
	struct span rest = span_of(s.p + 1, s.len - 1);

	return get_number(&rest, UINT64_MAX, &n->time_ms) &&
	       get_number(&rest, UINT64_MAX, &n->session) &&
	       get_number(&rest, UINT64_MAX, &n->size) &&
	       get_span(&rest, &n->from) && get_span(&rest, &n->host) &&
	       get_site(&rest, n->host, &n->site) &&
	       get_span(&rest, &n->source) && get_span(&rest, &n->tls) &&
	       rest.len == 0;
}

int note_common_get(struct span s, struct note_common *n_r)
{
	struct note_common n = { .time_ms = 0 };
	bool ok = false;

	if (s.len > 0 && s.p[0] == 1)
		ok = get_old_common(s, &n);
	else if (s.len > 0 && s.p[0] == VERSION)
		ok = get_common(s, &n);
	if (!ok)
		return -EINVAL;
	*n_r = n;
	return 0;
}

/* --- a recipient --------------------------------------------------------- */

size_t note_rcpt_size(const struct note_rcpt *n)
{
	const struct smtp_verdict *v = &n->verdict;

	return RCPT_WORDS + number_size(v->code) +
	       number_size(v->enhanced.subject) +
	       number_size(v->enhanced.detail) + number_size(n->queued_s) +
	       span_size(n->to, SPAN_MAX) + span_size(v->text, NOTE_TEXT_MAX);
}

size_t note_rcpt_put(const struct note_rcpt *n, void *to)
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
	at = put_number(at, v->code);
	at = put_number(at, v->enhanced.subject);
	at = put_number(at, v->enhanced.detail);
	at = put_number(at, n->queued_s);
	at = put_span(at, n->to, SPAN_MAX);
	at = put_span(at, v->text, NOTE_TEXT_MAX);
	return (size_t)(at - (uint8_t *)to);
}

static bool get_rcpt(struct span s, struct note_rcpt *n)
{
	struct span rest = span_of(s.p + RCPT_WORDS, s.len - RCPT_WORDS);
	uint64_t code, subject, detail, queued_s;

	if (!get_number(&rest, UINT16_MAX, &code) ||
	    !get_number(&rest, UINT16_MAX, &subject) ||
	    !get_number(&rest, UINT16_MAX, &detail) ||
	    !get_number(&rest, UINT32_MAX, &queued_s))
		return false;
	n->verdict.code = (uint16_t)code;
	n->verdict.enhanced.subject = (uint16_t)subject;
	n->verdict.enhanced.detail = (uint16_t)detail;
	n->queued_s = (uint32_t)queued_s;
	return get_span(&rest, &n->to) && get_span(&rest, &n->verdict.text) &&
	       rest.len == 0;
}

int note_rcpt_get(struct span s, struct note_rcpt *n_r)
{
	const uint8_t *p = (const uint8_t *)s.p;
	struct note_rcpt n = { .rule = LOCAL_NONE };

	if (s.len < RCPT_WORDS || p[0] < 1 || p[0] > VERSION ||
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
	if (!(p[0] == 1 ? get_old_rcpt(s, &n) : get_rcpt(s, &n)))
		return -EINVAL;
	*n_r = n;
	return 0;
}
