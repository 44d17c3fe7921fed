/*
 * report/event.c - a log record in words
 */
#include "report/event.h"

#include "base/bug.h"
#include "base/json.h"
#include "base/msgid.h"
#include "mtaq/smtp.h"
#include "report/note.h"
#include "site/classify.h"
#include "smtp/dsn.h"

#include <errno.h>

static char *digits(char *p, unsigned v, unsigned count)
{
	unsigned i;

	for (i = count; i-- > 0; v /= 10)
		p[i] = (char)('0' + v % 10);
	return p + count;
}

/* Years are counted from March here, for then the leap day is the last: from
 * 1 March 0000, 719468 days before 1970, in eras of 400 years. */
static char *date(char *p, uint64_t days)
{
	uint64_t since = days + 719468;
	unsigned era = (unsigned)(since / 146097);
	unsigned day = (unsigned)(since % 146097);
	unsigned year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	unsigned month;

	day -= 365 * year + year / 4 - year / 100;
	month = (5 * day + 2) / 153; /* 31, 30, 31, 30, 31 days, and again */
	day -= (153 * month + 2) / 5;
	year += 400 * era + (month >= 10);
	p = digits(p, year, 4);
	*p++ = '-';
	p = digits(p, month < 10 ? month + 3 : month - 9, 2);
	*p++ = '-';
	return digits(p, day + 1, 2);
}

/* 2026-11-22T16:08:00.123Z */
static void add_time(struct buf *out, uint64_t ms)
{
	uint64_t s = ms / 1000;
	char text[32], *p = text;

	*p++ = '"';
	p = date(p, s / 86400);
	*p++ = 'T';
	p = digits(p, (unsigned)(s / 3600 % 24), 2);
	*p++ = ':';
	p = digits(p, (unsigned)(s / 60 % 60), 2);
	*p++ = ':';
	p = digits(p, (unsigned)(s % 60), 2);
	*p++ = '.';
	p = digits(p, (unsigned)(ms % 1000), 3);
	*p++ = 'Z';
	*p++ = '"';
	json_key(out, "time");
	buf_add(out, text, (size_t)(p - text));
}

static void add_text(struct buf *out, const char *key, struct span s)
{
	if (s.len > 0)
		json_member(out, key, s);
}

static void begin_line(struct buf *out, const char *type, uint64_t lsn,
		       uint32_t n)
{
	/* lsn and n first: event_key() reads them from there. */
	buf_add_char(out, '{');
	json_member_u64(out, "lsn", lsn);
	json_member_u64(out, "n", n);
	json_member(out, "type", span_str(type));
}

static void add_id(struct buf *out, const char *key, uint64_t id)
{
	char text[MSGID_LEN];

	msgid_format(id, text);
	json_member(out, key, span_of(text, MSGID_LEN));
}

static void add_hex(struct buf *out, const char *key, const uint8_t p[16])
{
	unsigned i;

	json_key(out, key);
	buf_add_char(out, '"');
	for (i = 0; i < 16; i++)
		buf_printf(out, "%02x", p[i]);
	buf_add_char(out, '"');
}

enum event_type event_type_of(enum queue_state state, bool unsure,
			      unsigned rule)
{
	switch (state) {
	case QUEUE_DELIVERED:
		return EVENT_DELIVERED;
	case QUEUE_BOUNCED:
		return EVENT_BOUNCED;
	case QUEUE_EXPIRED:
		return EVENT_EXPIRED;
	case QUEUE_CANCELLED:
		return EVENT_CANCELLED;
	case QUEUE_HELD:
		return EVENT_HELD;
	case QUEUE_DAMAGED:
		return EVENT_DAMAGED;
	case QUEUE_WAITING:
		break;
	}
	if (rule == LOCAL_RELEASED)
		return EVENT_RELEASED;
	if (rule == LOCAL_RETRIED)
		return EVENT_RETRIED;
	return unsure ? EVENT_UNSURE : EVENT_DEFERRED;
}

const char *event_type_name(enum event_type type)
{
	static const char *const names[] = {
		[EVENT_ACCEPTED] = "accepted",
		[EVENT_DELIVERED] = "delivered",
		[EVENT_DEFERRED] = "deferred",
		[EVENT_UNSURE] = "unsure",
		[EVENT_BOUNCED] = "bounced",
		[EVENT_EXPIRED] = "expired",
		[EVENT_CANCELLED] = "cancelled",
		[EVENT_HELD] = "held",
		[EVENT_DAMAGED] = "damaged",
		[EVENT_RELEASED] = "released",
		[EVENT_RETRIED] = "retried",
	};

	BUG_ON((unsigned)type >= EVENT_TYPE_COUNT);
	return names[type];
}

static const char *type_of(uint8_t state, const struct note_rcpt *note)
{
	return event_type_name(
		event_type_of((enum queue_state)state,
			      note->verdict.result == SMTP_UNSURE, note->rule));
}

static void add_reply(struct buf *out, const struct note_rcpt *note)
{
	const struct smtp_verdict *v = &note->verdict;

	if (v->code != 0)
		json_member_u64(out, "code", v->code);
	if (v->enhanced.cls != 0) {
		json_key(out, "enhanced");
		buf_add_char(out, '"');
		json_u64(out, v->enhanced.cls);
		buf_add_char(out, '.');
		json_u64(out, v->enhanced.subject);
		buf_add_char(out, '.');
		json_u64(out, v->enhanced.detail);
		buf_add_char(out, '"');
	}
	add_text(out, "reply", v->text);
	if (v->stage != SMTP_STAGE_NONE) {
		json_member(out, "stage", span_str(smtp_stage_name(v->stage)));
		json_member(
			out, "class",
			span_str(reply_kind_name((enum reply_kind)note->kind)));
		json_member(out, "scope",
			    span_str(reply_scope_name(
				    (enum reply_scope)note->scope)));
	}
}

/* Rule 25: whoever makes bounces of these lines must know. */
static void add_notify(struct buf *out, struct span from, unsigned notify)
{
	json_key(out, "notify_sender");
	buf_add_span(out, dsn_wants_failure(from, notify) ? SPAN("true")
							  : SPAN("false"));
}

static void out_line(const struct queue_record *rec, uint32_t n,
		     const struct note_common *c, struct buf *out)
{
	const struct queue_out *o = &rec->out;
	const struct queue_out_rcpt *r = &o->rcpts[n];
	struct note_rcpt note = { .rule = LOCAL_NONE };

	if (note_rcpt_get(r->note, &note) < 0)
		note = (struct note_rcpt){ .rule = LOCAL_NONE };
	begin_line(out, type_of(r->state, &note), rec->lsn, n);
	add_time(out, c->time_ms);
	add_id(out, "id", o->id);
	json_member_u64(out, "rcpt", r->rcpt);
	json_member(out, "from", c->from);
	add_text(out, "to", note.to);
	json_member(out, "domain", o->domain);
	add_text(out, "site", c->site);
	add_text(out, "host", c->host);
	add_text(out, "source", c->source);
	add_reply(out, &note);
	if (r->state == QUEUE_BOUNCED || r->state == QUEUE_EXPIRED)
		add_notify(out, c->from, note.notify);
	json_member_u64(out, "attempt", r->attempts);
	json_member_u64(out, "queued_ms", note.queued_s * UINT64_C(1000));
	json_member_u64(out, "size", c->size);
	add_text(out, "tenant", o->tenant);
	add_text(out, "campaign", o->campaign);
	if (c->session != 0)
		json_member_u64(out, "session", c->session);
	add_text(out, "tls", c->tls);
	buf_add(out, "}\n", 2);
}

static void msg_line(const struct queue_view *v, uint64_t lsn, uint32_t n,
		     struct buf *out)
{
	struct queue_rcpt r;

	queue_view_rcpt(v, n, &r);
	begin_line(out, event_type_name(EVENT_ACCEPTED), lsn, n);
	add_time(out, (v->adopted_s != 0 ? v->adopted_s : v->arrived_s) *
			      UINT64_C(1000));
	add_id(out, "id", v->id);
	json_member_u64(out, "rcpt", n);
	json_member(out, "from", v->sender);
	json_member(out, "to", r.address);
	json_member(out, "domain", r.domain);
	json_member_u64(out, "size", v->size);
	add_text(out, "tenant", v->tenant);
	add_text(out, "campaign", v->campaign);
	if (v->adopted_s != 0) {
		add_hex(out, "origin_spool", v->origin_spool);
		add_id(out, "origin_id", v->origin_id);
	}
	buf_add(out, "}\n", 2);
}

void event_exported(const struct event_exported *e, struct buf *out)
{
	const struct queue_view *v = e->msg;
	struct queue_rcpt r;

	queue_view_rcpt(v, e->rcpt, &r);
	begin_line(out, "exported", e->lsn, e->n);
	add_time(out, e->wall_ms);
	add_id(out, "id", v->id);
	json_member_u64(out, "rcpt", e->rcpt);
	json_member(out, "from", v->sender);
	json_member(out, "to", r.address);
	json_member(out, "domain", r.domain);
	json_member_u64(out, "attempt", e->attempts);
	json_member_u64(out, "size", v->size);
	add_text(out, "tenant", v->tenant);
	add_text(out, "campaign", v->campaign);
	add_hex(out, "spool", e->spool);
	buf_add(out, "}\n", 2);
}

int event_accepted(const struct queue_view *msg, uint64_t lsn, uint32_t from_n,
		   struct buf *out)
{
	uint32_t n;

	for (n = from_n; n < msg->rcpt_count; n++)
		msg_line(msg, lsn, n, out);
	return out->failed < 0 ? out->failed : (int)msg->rcpt_count;
}

int event_lines(const struct queue_record *rec, uint32_t from_n,
		struct buf *out)
{
	struct note_common common = { .time_ms = 0 };
	uint32_t n;

	if (rec->type == QUEUE_REC_MSG)
		return rec->content_bytes < rec->msg.size
			       ? 0
			       : event_accepted(&rec->msg, rec->lsn, from_n,
						out);
	if (rec->type != QUEUE_REC_OUT)
		return 0;
	note_common_get(rec->out.note, &common);
	for (n = from_n; n < rec->out.rcpt_count; n++)
		out_line(rec, n, &common, out);
	return out->failed < 0 ? out->failed : (int)rec->out.rcpt_count;
}

/* Cut `lit` and the digits behind it off the front of line. */
static bool cut_number(struct span *line, struct span lit, uint64_t *v_r)
{
	size_t n = 0;

	if (line->len < lit.len || memcmp(line->p, lit.p, lit.len) != 0)
		return false;
	*line = span_of(line->p + lit.len, line->len - lit.len);
	while (n < line->len && line->p[n] >= '0' && line->p[n] <= '9')
		n++;
	if (!span_u64(span_of(line->p, n), UINT64_MAX, v_r))
		return false;
	*line = span_of(line->p + n, line->len - n);
	return true;
}

int event_key(struct span line, uint64_t *lsn_r, uint32_t *n_r)
{
	uint64_t lsn, n;

	if (!cut_number(&line, SPAN("{\"lsn\":"), &lsn) ||
	    !cut_number(&line, SPAN(",\"n\":"), &n) || n > UINT32_MAX)
		return -EINVAL;
	*lsn_r = lsn;
	*n_r = (uint32_t)n;
	return 0;
}
