/*
 * cmd/probe_json.c - what was seen, as one JSON object
 *
 *	{"to", "from", "helo", "lookup": {...},
 *	 "hosts": [{"name", "address", "steps": [...], "ehlo": [...], ...}],
 *	 "result", "exit", "words"}
 *
 * Keys are stable: programs may count on them.  Written once, at the end.
 */
#include "cmd/probe.h"

#include "base/json.h"
#include "mtaq/smtp.h"

#include <stdio.h>

/* A comma between the items of an array. */
static void next_item(struct buf *b)
{
	if (b->len > 0 && b->p[b->len - 1] != '[')
		(void)buf_add_char(b, ',');
}

static void member_raw(struct buf *b, const char *key, const char *value)
{
	json_key(b, key);
	(void)buf_add_span(b, span_str(value));
}

static void member_ms(struct buf *b, uint64_t us)
{
	json_key(b, "ms");
	(void)buf_printf(b, "%llu.%03llu", (unsigned long long)(us / 1000),
			 (unsigned long long)(us % 1000));
}

static void member_enhanced(struct buf *b, struct smtp_enhanced e)
{
	char words[96];

	json_key(b, "enhanced");
	if (e.cls == 0)
		(void)buf_add_span(b, SPAN("null"));
	else
		(void)buf_printf(b, "\"%u.%u.%u\"", e.cls, e.subject, e.detail);
	probe_words_enhanced(e, words, sizeof(words));
	json_member(b, "enhanced_words", span_str(words));
}

void probe_json_begin(struct probe *p)
{
	struct buf *b = &p->out;

	(void)buf_add_char(b, '{');
	json_member(b, "to", span_str(p->args->to));
	json_member(b, "from", span_str(p->args->from));
	json_member(b, "helo", span_str(p->helo));
	member_raw(b, "send", p->message.bytes > 0 ? "true" : "false");
}

static void put_host(struct buf *b, const struct mx_host *h, bool ranked)
{
	char text[IO_ADDR_TEXT_MAX];
	struct io_addr addr;
	uint16_t i;

	next_item(b);
	(void)buf_add_char(b, '{');
	json_member(b, "name", span_str(h->name));
	if (ranked)
		json_member_u64(b, "preference", h->preference);
	else
		member_raw(b, "preference", "null");
	member_raw(b, "addresses", "[");
	for (i = 0; i < h->addr_count; i++) {
		io_addr_from_mx(&h->addrs[i], &addr);
		io_addr_text(&addr, text);
		next_item(b);
		json_string(b, span_str(text));
	}
	(void)buf_add_span(b, SPAN("]}"));
}

void probe_json_found(struct probe *p, const struct probe_found *f)
{
	static const char *const names[] = {
		[MX_OK] = "ok",        [MX_NXDOMAIN] = "nxdomain",
		[MX_NULL] = "null-mx", [MX_NO_ADDRESS] = "no-address",
		[MX_LOOP] = "loop",    [MX_TEMPFAIL] = "tempfail",
	};
	struct buf *b = &p->out;
	uint16_t i;

	member_raw(b, "lookup", "{");
	json_member(b, "how", span_str(f->how));
	json_member(b, "name", f->name);
	json_member(b, "status", span_str(names[f->set->status]));
	json_member(b, "why", span_str(f->set->why));
	member_raw(b, "authenticated",
		   f->set->authenticated ? "true" : "false");
	json_member_u64(b, "ttl_s", f->ttl_s);
	member_ms(b, f->us);
	member_raw(b, "hosts", "[");
	for (i = 0; i < f->set->host_count; i++)
		put_host(b, &f->set->hosts[i], strcmp(f->how, "mx") == 0);
	(void)buf_add_span(b, SPAN("]}"));
	member_raw(b, "hosts", "[");
}

void probe_json_host(struct probe *p, const struct probe_host *host)
{
	struct buf *b = &p->out;

	next_item(b);
	(void)buf_add_char(b, '{');
	json_member(b, "name", span_str(host->mx->name));
	if (host->ranked)
		json_member_u64(b, "preference", host->mx->preference);
	else
		member_raw(b, "preference", "null");
	json_member(b, "address", span_str(host->text));
	member_raw(b, "steps", "[");
}

void probe_json_step(struct probe *p, const struct probe_step *s)
{
	struct buf *b = &p->out;
	char words[128] = "";

	next_item(b);
	(void)buf_add_char(b, '{');
	json_member(b, "step", span_str(s->name));
	json_member(b, "command", s->command);
	member_ms(b, s->us);
	json_member_u64(b, "code", s->error < 0 ? 0 : s->code);
	member_enhanced(b, s->error < 0 ? (struct smtp_enhanced){ 0, 0, 0 }
					: s->enhanced);
	json_member(b, "text", s->error < 0 ? span_of(NULL, 0) : s->text);
	if (s->error < 0)
		probe_words_error(s, words, sizeof(words));
	json_key(b, "error");
	if (s->error < 0)
		json_string(b, span_str(words));
	else
		(void)buf_add_span(b, SPAN("null"));
	(void)buf_add_char(b, '}');
}

/* The lines belong to the step before, the answer to EHLO. */
void probe_json_ehlo(struct probe *p, struct span text)
{
	struct buf *b = &p->out;
	struct span line;
	char words[160];

	if (b->failed < 0)
		return;
	b->len--; /* the step is open again */
	member_raw(b, "offers", "[");
	(void)probe_next_line(&text, &line);
	while (probe_next_line(&text, &line)) {
		probe_words_ehlo(line, words, sizeof(words));
		next_item(b);
		(void)buf_add_char(b, '{');
		json_member(b, "line", line);
		member_raw(b, "known", words[0] != '\0' ? "true" : "false");
		json_member(b, "words", span_str(words));
		(void)buf_add_char(b, '}');
	}
	(void)buf_add_span(b, SPAN("]}"));
}

void probe_json_outcome(struct probe *p, const struct probe_outcome *o)
{
	struct buf *b = &p->out;
	char words[160];

	(void)buf_add_char(b, ']'); /* steps */
	json_member(b, "result", span_str(smtp_result_name(o->verdict.result)));
	json_member(b, "stage", span_str(smtp_stage_name(o->verdict.stage)));
	json_member_u64(b, "code", o->verdict.code);
	member_enhanced(b, o->verdict.enhanced);
	json_member(b, "text", o->verdict.text);
	json_member(b, "kind", span_str(reply_kind_name(o->class.kind)));
	json_member(b, "scope", span_str(reply_scope_name(o->class.scope)));
	json_member_u64(b, "pause_s", o->class.pause_s);
	json_member(b, "plan", span_str(plan_act_name(o->plan.act)));
	json_member_u64(b, "retry_s", o->retry_s);
	probe_words_plan(p, o, words, sizeof(words));
	json_member(b, "words", span_str(words));
	(void)buf_add_char(b, '}');
}

void probe_json_end(struct probe *p, int code, const char *words)
{
	struct buf *b = &p->out;

	(void)buf_add_char(b, ']'); /* hosts */
	json_member(b, "result", span_str(probe_result_name(code)));
	json_member_u64(b, "exit", (uint64_t)code);
	json_member(b, "words", span_str(words));
	(void)buf_add_span(b, SPAN("}\n"));
	if (b->failed == 0)
		(void)fwrite(b->p, 1, b->len, stdout);
}
