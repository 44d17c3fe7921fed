/*
 * cmd/submit_tell.c - ids, refusals and progress for people and programs
 *
 * Ids go to standard output, all else to standard error, so that a script
 * reads ids only.  With --json every message is one object on standard
 * output.  What came from a file or the daemon is escaped.
 */
#include "base/json.h"
#include "base/msgid.h"
#include "cmd/commands.h"
#include "cmd/submit.h"

#include <stdarg.h>
#include <stdio.h>
#include <sysexits.h>
#include <time.h>

#define BAR_WIDTH    30
#define BAR_EVERY_MS 100

uint64_t submit_now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void wipe(struct submit_tell *t)
{
	if (t->drawn)
		fputs("\r\033[K", stderr);
	t->drawn = false;
}

void submit_tell_line(struct submit_tell *t, const char *fmt, ...)
{
	char line[2000], *p;
	va_list ap;

	wipe(t);
	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	for (p = line; *p != '\0'; p++)
		if (((unsigned char)*p < 32 && *p != '\n') || *p == 127)
			*p = '?';
	fprintf(stderr, "mtaq submit: %s\n", line);
}

static void json_result(const struct submit_tell *t,
			const struct submit_label *l,
			const struct submit_result *r)
{
	char id[MSGID_LEN + 1];
	struct buf b;
	uint32_t i;

	buf_init(&b, 8u << 20);
	(void)buf_add_span(&b, SPAN("{\"file\":"));
	json_string(&b, span_str(l->name));
	(void)buf_printf(&b, ",\"n\":%llu", (unsigned long long)l->n);
	if (l->rcpt.len > 0) {
		(void)buf_add_span(&b, SPAN(",\"to\":"));
		json_string(&b, l->rcpt);
	}
	if (l->token > 0)
		(void)buf_printf(&b, ",\"token\":\"%s.%010llu\"", t->token,
				 (unsigned long long)l->token);
	(void)buf_printf(&b, ",\"code\":%d", r->code);
	if (r->code != EX_OK) {
		(void)buf_printf(&b, ",\"enhanced\":\"%u.%u.%u\",\"words\":",
				 r->enhanced_class, r->enhanced_subject,
				 r->enhanced_detail);
		json_string(&b, r->words);
	}
	(void)buf_add_span(&b, SPAN(",\"ids\":["));
	for (i = 0; i < r->id_count; i++) {
		msgid_print(r->ids[i], id);
		(void)buf_printf(&b, "%s\"%s\"", i > 0 ? "," : "",
				 r->ids[i] == 0 ? "" : id);
	}
	(void)buf_add_span(&b, SPAN("]}\n"));
	(void)fwrite(b.p, 1, b.len, stdout);
	buf_free(&b);
}

static void print_ids(const struct submit_result *r)
{
	char line[MSGID_LEN + 1];
	uint32_t i;

	for (i = 0; i < r->id_count; i++) {
		msgid_format(r->ids[i], line);
		line[MSGID_LEN] = '\n';
		if (r->ids[i] == 0) /* accepted before; not known any more */
			fputs("-\n", stdout);
		else
			(void)fwrite(line, 1, sizeof(line), stdout);
	}
}

void submit_tell_result(struct submit_tell *t, const struct submit_label *l,
			const struct submit_result *r)
{
	char n[32] = "";

	if (r->code == EX_OK)
		t->accepted++;
	else
		t->refused++;
	if (t->out_tty)
		wipe(t);
	if (t->json) {
		json_result(t, l, r);
		return;
	}
	if (r->code == EX_OK) {
		if (!t->quiet)
			print_ids(r);
		return;
	}
	if (l->n > 0)
		(void)snprintf(n, sizeof(n), " (message %llu)",
			       (unsigned long long)l->n);
	submit_tell_line(t, "%s%s%s%.*s%s: %.*s (%u.%u.%u); %s", l->name, n,
			 l->rcpt.len > 0 ? " for <" : "", (int)l->rcpt.len,
			 l->rcpt.len > 0 ? l->rcpt.p : "",
			 l->rcpt.len > 0 ? "> was refused" : " was refused",
			 (int)r->words.len, r->words.len > 0 ? r->words.p : "",
			 r->enhanced_class, r->enhanced_subject,
			 r->enhanced_detail,
			 r->code == EX_DATAERR
				 ? "nothing was sent; correct it and submit it "
				   "again"
				 : "nothing was sent; submit it again later");
}

void submit_tell_progress(struct submit_tell *t, bool last)
{
	uint64_t now = submit_now_ms(), done = t->accepted + t->refused;
	uint64_t ms = now - t->begun_ms;
	char bar[BAR_WIDTH + 1];
	int filled;

	if (!t->bar || (!last && now - t->drawn_ms < BAR_EVERY_MS))
		return;
	t->drawn_ms = now;
	wipe(t);
	if (last)
		return;
	if (t->total > 0) {
		filled = (int)(done * BAR_WIDTH / t->total);
		memset(bar, '.', BAR_WIDTH);
		memset(bar, '#',
		       (size_t)(filled > BAR_WIDTH ? BAR_WIDTH : filled));
		bar[BAR_WIDTH] = '\0';
		fprintf(stderr, "[%s] %llu of %llu", bar,
			(unsigned long long)done, (unsigned long long)t->total);
	} else {
		fprintf(stderr, "%llu messages", (unsigned long long)done);
	}
	fprintf(stderr, ", %llu/s",
		(unsigned long long)(ms == 0 ? 0 : done * 1000 / ms));
	t->drawn = true;
}
