/*
 * bench/sink_body.c - DATA, BDAT: the content and its verdict
 *
 * The verdict at the end is keyed by the message's token, or its hash when it
 * has none, so that a message refused for good stays refused.  A refused BDAT
 * still takes its octets (RFC 3030 section 2), unless --bdat-spill makes it
 * one of the servers that run them as commands.
 */
#include "bench/sink_private.h"

#include "base/hash.h"

#include <stdio.h>

#define OUT_OF_ORDER 9 /* bdat_class: there is nothing to add a chunk to */

void sink_record_all(struct sink_session *s, enum sink_kind kind,
		     const char *stage, const char *code)
{
	const unsigned char *p = (const unsigned char *)s->rcpts.p;
	size_t at = 0, len;

	if (s->loop->ledger.fd < 0)
		return;
	while (at < s->rcpts.len) {
		len = (size_t)p[at] << 8 | p[at + 1];
		BUG_ON(at + 2 + len > s->rcpts.len);
		sink_record(s, kind, span_of(p + at + 2, len), stage, code);
		at += 2 + len;
	}
}

static void refuse_all(struct sink_session *s, enum sink_stage stage, int class,
		       struct sink_words w)
{
	if (sink_say_refusal(s, stage, class, w))
		sink_record_all(s, class == 4 ? SINK_REJ4 : SINK_REJ5,
				sink_stage_names[stage], w.code);
}

/* The whole envelope decides over DATA: the same one, the same verdict. */
static uint64_t envelope_key(const struct sink_session *s)
{
	return hash_bytes(s->rcpts.p, s->rcpts.len, 0);
}

static uint64_t message_key(const struct sink_session *s)
{
	const struct sink_content *c = &s->content;

	return c->token_len > 0 ? hash_bytes(c->token, c->token_len, 0)
				: hash_pair(c->crc, c->len);
}

/* --- the end ------------------------------------------------------------ */

static void take_message(struct sink_session *s)
{
	struct sink_stats *n = &s->loop->stats;
	char text[64];
	bool said;

	snprintf(text, sizeof(text), "Ok: queued as %llu",
		 (unsigned long long)s->transaction);
	said = sink_say(s, SINK_EOD,
			(struct sink_words){ "250", "2.0.0", text });
	sink_record_all(s, said ? SINK_OK : SINK_WITHHELD, "eod",
			said ? "250" : "-");
	s->messages++;
	sink_count(&n->n[SINK_N_MESSAGES]);
	sink_count_by(&n->n[SINK_N_RECIPIENTS], s->rcpt_count);
	sink_count_by(&n->n[SINK_N_OCTETS], s->content.len);
	if (!said)
		sink_count(&n->n[SINK_N_WITHHELD]);
}

static void end_message(struct sink_session *s)
{
	const struct sink_config *c = s->loop->config;
	uint64_t key = message_key(s);
	int class;

	s->phase = SINK_PHASE_COMMAND;
	s->body_begun = true;
	sink_count(&s->loop->stats.n[SINK_N_TRANSACTIONS]);
	sink_count_by(&s->loop->stats.n[SINK_N_BARE_LF], s->content.bare_lf);
	if (s->rcpt_count == 0) {
		sink_say_plain(s, "554", "5.5.1", "no valid recipients");
	} else if (c->size_max > 0 && s->content.len > c->size_max) {
		refuse_all(s, SINK_EOD, 5,
			   (struct sink_words){ "552", "5.3.4", "too large" });
	} else {
		class = sink_verdict(c, s->loop->sink->memory, SINK_EOD, key);
		if (class == 0)
			take_message(s);
		else
			refuse_all(s, SINK_EOD, class,
				   sink_refusal(c, SINK_EOD, class, key));
	}
	sink_mail_reset(s);
}

/* The first octets of the content are there: does it end here? */
static bool cut_short(struct sink_session *s)
{
	const struct sink_config *c = s->loop->config;
	uint64_t key = envelope_key(s);
	int class = sink_verdict(c, s->loop->sink->memory, SINK_CONTENT, key);

	if (class != 0) {
		refuse_all(s, SINK_CONTENT, class,
			   sink_refusal(c, SINK_CONTENT, class, key));
		sink_end(s);
	} else if (sink_trick_now(s, SINK_DROP, SINK_CONTENT)) {
		sink_drop(s);
	} else if (sink_trick_now(s, SINK_HANG, SINK_CONTENT)) {
		s->phase = SINK_PHASE_DEAF;
	}
	return s->phase == SINK_PHASE_DEAF;
}

/* --- DATA --------------------------------------------------------------- */

void sink_data(struct sink_session *s, struct span arg)
{
	const struct sink_config *c = s->loop->config;
	uint64_t key = envelope_key(s);
	int class;

	if (arg.len > 0) {
		sink_say_bad(s, "501", "5.5.4", "DATA alone");
		return;
	}
	if (s->mail != SINK_MAIL_OPEN) {
		sink_say_plain(s, "503", "5.5.1", "MAIL first");
		return;
	}
	if (s->rcpt_count == 0 && !c->data_always) {
		sink_say_plain(s, "554", "5.5.1", "no valid recipients");
		return;
	}
	class = sink_verdict(c, s->loop->sink->memory, SINK_DATA, key);
	if (class != 0 && s->rcpt_count > 0) {
		refuse_all(s, SINK_DATA, class,
			   sink_refusal(c, SINK_DATA, class, key));
		return;
	}
	sink_content_begin(&s->content);
	sink_say(s, SINK_DATA,
		 (struct sink_words){ "354", "", "end with CRLF.CRLF" });
	if (s->phase == SINK_PHASE_COMMAND)
		s->phase = SINK_PHASE_DATA;
}

/* --- BDAT (RFC 3030) ---------------------------------------------------- */

static bool bdat_parse(struct sink_session *s, struct span arg)
{
	struct span a = span_trim(arg), size = a;
	ptrdiff_t end = span_find(a, ' ');

	s->bdat_last = false;
	if (end >= 0) {
		size.len = (size_t)end;
		a = span_trim(span_of(a.p + end, a.len - (size_t)end));
		if (!span_eq_nocase(a, SPAN("LAST")))
			return false;
		s->bdat_last = true;
	}
	return span_u64(size, UINT32_MAX, &s->bdat_left);
}

/* What becomes of a chunk; 0: it is taken. */
static int bdat_judge(struct sink_session *s)
{
	struct sink_loop *l = s->loop;
	uint64_t key = envelope_key(s);

	if (s->mail == SINK_MAIL_CHUNKS)
		return 0;
	if (s->mail != SINK_MAIL_OPEN || s->rcpt_count == 0)
		return OUT_OF_ORDER;
	sink_content_begin(&s->content);
	return sink_verdict(l->config, l->sink->memory, SINK_DATA, key);
}

static void bdat_end(struct sink_session *s)
{
	int class = s->bdat_class;

	s->phase = SINK_PHASE_COMMAND;
	if (class == OUT_OF_ORDER) {
		sink_say_plain(s, "503", "5.5.1", "no valid transaction");
		return;
	}
	if (class != 0) {
		refuse_all(s, SINK_DATA, class,
			   sink_refusal(s->loop->config, SINK_DATA, class,
					envelope_key(s)));
		s->mail = SINK_MAIL_BROKEN;
	} else if (s->bdat_last) {
		end_message(s);
	} else {
		s->mail = SINK_MAIL_CHUNKS;
		sink_say(s, SINK_DATA,
			 (struct sink_words){ "250", "2.0.0", "Ok, go on" });
	}
}

void sink_bdat(struct sink_session *s, struct span arg)
{
	if (s->loop->config->no_chunking || !s->esmtp) {
		sink_say_bad(s, "502", "5.5.1", "no CHUNKING here");
		return;
	}
	if (!bdat_parse(s, arg)) {
		sink_say_bad(s, "501", "5.5.4", "BDAT size [LAST]");
		return;
	}
	s->bdat_class = bdat_judge(s);
	if (s->bdat_class != 0 && s->loop->config->bdat_spill)
		s->bdat_left = 0;
	s->phase = SINK_PHASE_BDAT;
	if (s->bdat_left == 0)
		bdat_end(s);
}

/* --- octets ------------------------------------------------------------- */

static size_t bdat_feed(struct sink_session *s, const char *p, size_t n)
{
	if (n > s->bdat_left)
		n = (size_t)s->bdat_left;
	if (s->bdat_class == 0)
		sink_content_raw(&s->content, p, n);
	s->bdat_left -= n;
	if (s->bdat_left == 0)
		bdat_end(s);
	return n;
}

size_t sink_body_feed(struct sink_session *s, const char *p, size_t n)
{
	bool done;
	size_t used;

	if (!s->body_begun && s->rcpt_count > 0 &&
	    (s->phase == SINK_PHASE_DATA || s->bdat_class == 0)) {
		if (cut_short(s))
			return n;
		s->body_begun = true;
	}
	if (s->phase == SINK_PHASE_BDAT)
		return bdat_feed(s, p, n);
	used = sink_content_data(&s->content, p, n, &done);
	if (done)
		end_message(s);
	return used;
}
