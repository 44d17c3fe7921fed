/*
 * ingress/intake.c - a submitted message becomes a message for the queue
 *
 * All or nothing: one bad recipient refuses the message and is named, so that
 * a sender never has to find out which part of a list was taken.
 */
#include "ingress/intake.h"

#include "idn/idn.h"
#include "mail/canon.h"
#include "smtp/dsn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#define AGE_MAX_S (90u * 86400u)

struct intake {
	const struct settings *set;
	struct canon *canon;
	uint32_t uid;
	char id_domain[256]; /* atext and dots, also for address literals */
};

struct refused {
	struct arena *arena;
	struct frame_answer *to;
};

struct intake *intake_new(const struct settings *set, uint32_t uid)
{
	struct intake *in = calloc(1, sizeof(*in));
	const char *from = set->hostname;
	size_t n = 0;

	if (in == NULL)
		return NULL;
	in->set = set;
	in->uid = uid;
	in->canon = canon_new();
	if (in->canon == NULL) {
		free(in);
		return NULL;
	}
	for (; *from != '\0' && n < sizeof(in->id_domain) - 1; from++)
		if (*from != '[' && *from != ']')
			in->id_domain[n++] = *from == ':' ? '-' : *from;
	return in;
}

void intake_free(struct intake **in)
{
	if (*in != NULL)
		canon_free(&(*in)->canon);
	free(*in);
	*in = NULL;
}

/* Refuse with a code, "5.1.3" or the like, and words.  Controls in the words
 * (they quote what came) become '?'. */
static int __attribute__((format(printf, 4, 5)))
refuse(struct refused r, int code, const char *enhanced, const char *fmt, ...)
{
	unsigned cls = 0, subject = 0, detail = 0;
	char *words = arena_get(r.arena, FRAME_WORDS_MAX + 1), *p;
	va_list ap;

	if (words == NULL)
		return -ENOMEM;
	va_start(ap, fmt);
	(void)vsnprintf(words, FRAME_WORDS_MAX + 1, fmt, ap);
	va_end(ap);
	for (p = words; *p != '\0'; p++)
		if ((unsigned char)*p < 32 || *p == 127)
			*p = '?';
	(void)sscanf(enhanced, "%1u.%3u.%3u", &cls, &subject, &detail);
	*r.to = (struct frame_answer){
		.code = (uint8_t)code,
		.enhanced_class = (uint8_t)cls,
		.enhanced_subject = (uint16_t)subject,
		.enhanced_detail = (uint16_t)detail,
		.words = span_str(words),
	};
	return -EBADMSG;
}

/* What came, for a refusal's %s: also a NUL in it becomes '?'. */
static const char *quote(struct refused r, struct span text)
{
	char *p = arena_get(r.arena, text.len + 1);
	size_t i;

	if (p == NULL)
		return "?";
	for (i = 0; i < text.len; i++)
		p[i] = text.p[i] == '\0' ? '?' : text.p[i];
	p[i] = '\0';
	return p;
}

/* A word of ours (tenant, campaign): no controls, so that it can be printed
 * and named. */
static bool is_word(struct span s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] < 32 || s.p[i] == 127)
			return false;
	return true;
}

static int check_words(const struct frame_message *m, struct refused r)
{
	if (!is_word(m->tenant) || !is_word(m->campaign))
		return refuse(r, EX_DATAERR, "5.5.4",
			      "the %s has a control character in it",
			      is_word(m->tenant) ? "campaign" : "tenant");
	if (!dsn_is_mail(m->params))
		return refuse(r, EX_DATAERR, "5.5.4",
			      "the options of the envelope are not RET= and "
			      "ENVID= as RFC 3461 has them");
	return 0;
}

/* As the session sends them: a blank in front.  -ENOMEM. */
static int keep_params(struct arena *arena, struct span params,
		       struct span *kept_r)
{
	char *p;

	if (params.len == 0)
		return 0;
	p = arena_get(arena, params.len + 1);
	if (p == NULL)
		return -ENOMEM;
	p[0] = ' ';
	memcpy(p + 1, params.p, params.len);
	*kept_r = span_of(p, params.len + 1);
	return 0;
}

/* The address as it will stand in the envelope: text itself, or a copy. */
static int keep_address(struct arena *arena, struct span text,
			struct idn_address *a)
{
	char *p;

	if (a->text.p == text.p)
		return 0;
	p = arena_get(arena, a->text.len);
	if (p == NULL)
		return -ENOMEM;
	memcpy(p, a->text.p, a->text.len);
	a->parts.local.p = p;
	a->parts.domain.p = p + (a->parts.domain.p - a->text.p);
	a->text.p = p;
	return 0;
}

static int check_sender(const struct frame_message *m, struct arena *arena,
			struct queue_message *to, struct refused r)
{
	struct idn_address a;
	enum address_error e = idn_address(m->sender, ADDRESS_NULL_OK, &a);

	if (e != ADDRESS_OK)
		return refuse(r, EX_DATAERR, "5.1.7",
			      "the sender <%s> is no address: %s",
			      quote(r, m->sender), address_error_words(e));
	if (keep_address(arena, m->sender, &a) < 0)
		return -ENOMEM;
	if (a.parts.utf8)
		to->flags |= QUEUE_MSG_UTF8;
	to->sender = a.text;
	return keep_params(arena, m->params, &to->params);
}

/* The domain in lower case: the name of its queue. */
static int keep_domain(struct arena *arena, const struct address *a,
		       struct span *domain_r)
{
	char *lower;

	*domain_r = a->domain;
	if (span_eq(a->domain, address_domain_lower(a)))
		return 0;
	lower = arena_get(arena, a->domain.len);
	if (lower == NULL)
		return -ENOMEM;
	memcpy(lower, a->domain_lower, a->domain.len);
	domain_r->p = lower;
	return 0;
}

static int check_rcpt(const struct frame_rcpt *from, struct arena *arena,
		      struct queue_message *to, struct queue_rcpt *rcpt,
		      struct refused r)
{
	struct span text = from->address;
	struct idn_address a;
	enum address_error e = idn_address(text, 0, &a);

	if (e != ADDRESS_OK)
		return refuse(r, EX_DATAERR, "5.1.3",
			      "the recipient <%s> is no address: %s",
			      quote(r, text), address_error_words(e));
	if (!dsn_is_rcpt(from->params))
		return refuse(r, EX_DATAERR, "5.5.4",
			      "the options of the recipient <%s> are not "
			      "NOTIFY= and ORCPT= as RFC 3461 has them",
			      quote(r, text));
	if (a.parts.utf8)
		to->flags |= QUEUE_MSG_UTF8;
	if (keep_address(arena, text, &a) < 0 ||
	    keep_domain(arena, &a.parts, &rcpt->domain) < 0)
		return -ENOMEM;
	rcpt->address = a.text;
	return keep_params(arena, from->params, &rcpt->params);
}

static int span_order(struct span a, struct span b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int r = len == 0 ? 0 : memcmp(a.p, b.p, len);

	return r != 0 ? r : a.len < b.len ? -1 : a.len > b.len;
}

/* By domain, then by the local part; the case of the domain as written does
 * not count. */
static int rcpt_order(const void *x, const void *y)
{
	const struct queue_rcpt *a = x, *b = y;
	int r = span_order(a->domain, b->domain);

	return r != 0 ? r
		      : span_order(span_of(a->address.p,
					   a->address.len - a->domain.len),
				   span_of(b->address.p,
					   b->address.len - b->domain.len));
}

/* As above, and one order for those that are the same recipient. */
static int rcpt_sort(const void *x, const void *y)
{
	const struct queue_rcpt *a = x, *b = y;
	int r = rcpt_order(a, b);

	return r != 0 ? r : span_order(a->params, b->params);
}

static int check_rcpts(const struct frame_message *m, struct arena *arena,
		       struct queue_message *to, struct refused r)
{
	struct queue_rcpt *all = arena_get(arena, m->rcpt_count * sizeof(*all));
	struct span list = m->rcpts;
	struct frame_rcpt rcpt;
	uint32_t n = 0, kept = 1, i;
	int err;

	if (all == NULL)
		return -ENOMEM;
	while (frame_rcpt_next(&list, &rcpt) == 1) {
		all[n] = (struct queue_rcpt){ .params = span_of(NULL, 0) };
		err = check_rcpt(&rcpt, arena, to, &all[n++], r);
		if (err < 0)
			return err;
	}
	if (n > 1)
		qsort(all, n, sizeof(*all), rcpt_sort);
	for (i = 1; i < n; i++)
		if (rcpt_order(&all[i], &all[kept - 1]) != 0)
			all[kept++] = all[i];
	to->rcpts = all;
	to->rcpt_count = kept;
	return 0;
}

static const char hex[] = "0123456789abcdef";

/* v in hex without zeros in front; the place behind it. */
static char *put_hex(char *p, uint32_t v)
{
	unsigned shift = 0;

	while (shift < 28 && v >> (shift + 4) != 0)
		shift += 4;
	for (; shift > 0; shift -= 4)
		*p++ = hex[v >> shift & 15];
	*p++ = hex[v & 15];
	return p;
}

#define UNIQUE_MAX (2 * SUBMIT_ID_SIZE + 2 * (1 + 8))

/* "<submission>.<frame>.<place>" in hex: no other message has it. */
static struct span unique_of(const struct intake_place *at, char p[UNIQUE_MAX])
{
	char *end = p;
	size_t i;

	for (i = 0; i < SUBMIT_ID_SIZE; i++) {
		*end++ = hex[at->submission[i] >> 4];
		*end++ = hex[at->submission[i] & 15u];
	}
	*end++ = '.';
	end = put_hex(end, at->frame);
	*end++ = '.';
	end = put_hex(end, (uint32_t)at->place);
	return span_of(p, (size_t)(end - p));
}

/* Local submission has no registered WITH word (RFC 5321 section 4.4), so the
 * clause is left out. */
static struct span received_of(const struct intake *in, struct span unique,
			       char *p, size_t size)
{
	int n = snprintf(p, size, "by %s (mtaq, from userid %u) id %.*s",
			 in->set->hostname, in->uid, (int)unique.len, unique.p);

	return span_of(p, (size_t)n);
}

/* The pieces as the queue takes them; what the canon owns is copied. */
static int keep_content(const struct canon_result *c, struct span input,
			struct arena *arena, struct queue_message *to)
{
	struct iovec *iov = arena_get(arena, (size_t)c->count * sizeof(*iov));
	uintptr_t from = (uintptr_t)input.p, end = from + input.len, p;
	void *copy;
	int i;

	if (iov == NULL)
		return -ENOMEM;
	for (i = 0; i < c->count; i++) {
		iov[i] = c->pieces[i];
		p = (uintptr_t)iov[i].iov_base;
		if (p >= from && p < end)
			continue;
		copy = arena_get(arena, iov[i].iov_len);
		if (copy == NULL)
			return -ENOMEM;
		memcpy(copy, iov[i].iov_base, iov[i].iov_len);
		iov[i].iov_base = copy;
	}
	to->content = iov;
	to->content_count = c->count;
	to->size = c->size;
	if ((c->flags & CANON_8BIT) != 0)
		to->flags |= QUEUE_MSG_8BIT;
	if ((c->flags & CANON_DOTS) != 0)
		to->flags |= QUEUE_MSG_DOTS;
	return 0;
}

static int refuse_content(const struct canon_result *c, struct refused r)
{
	if (c->error == CANON_NO_MEMORY)
		return -ENOMEM;
	if (c->line > 0)
		return refuse(r, EX_DATAERR, canon_error_enhanced(c->error),
			      "line %llu: %s", (unsigned long long)c->line,
			      canon_error_words(c->error));
	return refuse(r, EX_DATAERR, canon_error_enhanced(c->error), "%s",
		      canon_error_words(c->error));
}

static int make_content(struct intake *in, struct arena *arena,
			const struct frame_message *m,
			const struct intake_place *at, struct queue_message *to,
			struct refused r)
{
	char unique[UNIQUE_MAX], received[400];
	struct canon_settings set = {
		.unique = unique_of(at, unique),
		.id_domain = span_str(in->id_domain),
		.sender = to->sender,
		.from_add = true,
		.now_s = (int64_t)at->utc_s,
		.newlines = in->set->bare_newlines == SETTINGS_NEWLINES_REFUSE
				    ? CANON_NEWLINES_REFUSE
				    : CANON_NEWLINES_FIX,
	};
	struct canon_result result;
	int err;

	if (in->set->received)
		set.received =
			received_of(in, set.unique, received, sizeof(received));
	if (canon_make(in->canon, &set, m->content, &result) != CANON_OK)
		return refuse_content(&result, r);
	if (result.size > QUEUE_CONTENT_MAX)
		return refuse(r, EX_DATAERR, "5.3.4",
			      "the message is larger than %u octets",
			      QUEUE_CONTENT_MAX);
	err = keep_content(&result, m->content, arena, to);
	canon_trim(in->canon); /* a connection may be quiet for hours */
	return err;
}

int intake_make(struct intake *in, struct arena *arena,
		const struct frame_message *m, const struct intake_place *at,
		struct intake_message *out_r)
{
	struct refused r = { arena, &out_r->refusal };
	uint32_t age = m->age_s == 0 ? in->set->age_limit_s : m->age_s;
	struct queue_message *to = &out_r->msg;
	int err;

	memset(out_r, 0, sizeof(*out_r));
	if (m->size > in->set->message_bytes_max)
		return refuse(r, EX_DATAERR, "5.3.4",
			      "the message has %llu octets; message_bytes_max "
			      "is %llu",
			      (unsigned long long)m->size,
			      (unsigned long long)in->set->message_bytes_max);
	memcpy(to->submission, at->submission, SUBMIT_ID_SIZE);
	to->number = (uint64_t)at->frame << 32 | (uint64_t)at->place << 16;
	to->tenant = m->tenant;
	to->campaign = m->campaign;
	to->arrived_s = to->due_s = at->now_s;
	to->expires_s = at->now_s + (age > AGE_MAX_S ? AGE_MAX_S : age);
	if (m->class == SUBMIT_TRANSACTIONAL)
		to->flags |= QUEUE_MSG_TRANSACTIONAL;
	err = check_words(m, r);
	if (err == 0)
		err = check_sender(m, arena, to, r);
	if (err == 0)
		err = check_rcpts(m, arena, to, r);
	if (err == 0)
		err = make_content(in, arena, m, at, to, r);
	return err;
}
