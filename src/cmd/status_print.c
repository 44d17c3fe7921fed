/*
 * cmd/status_print.c - the daemon's state, for people and for programs
 *
 * For people each line begins with what it is about; colours only on a
 * terminal.  What servers and operators said is printed with its controls as
 * '?'.
 */
#include "base/json.h"
#include "cmd/human.h"
#include "cmd/status.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define LABEL "%-9s "

static void label(const struct status *s, const char *name)
{
	printf("%s" LABEL "%s", screen_paint(&s->o->screen, BOLD), name,
	       screen_paint(&s->o->screen, PLAIN));
}

static void text(const char *words)
{
	struct buf b;

	buf_init(&b, 4096);
	screen_add(&b, span_str(words));
	if (b.len > 0)
		printf("%.*s", (int)b.len, b.p);
	buf_free(&b);
}

static void figure(const struct status *s, const char *key,
		   struct human (*human)(uint64_t), enum colour colour,
		   const char *unit)
{
	uint64_t n = status_number(s, key);

	printf("%s%s%s%s", n > 0 ? screen_paint(&s->o->screen, colour) : "",
	       human(n).text, n > 0 ? screen_paint(&s->o->screen, PLAIN) : "",
	       unit);
}

static void print_daemon(const struct status *s)
{
	struct span host = status_text(s, "hostname");
	struct span version = status_text(s, "version");
	struct span io = status_text(s, "io");

	label(s, "mtaq");
	printf("%.*s, up %s, pid %llu, version %.*s", (int)host.len, host.p,
	       human_time(status_number(s, "uptime_s")).text,
	       (unsigned long long)status_number(s, "pid"), (int)version.len,
	       version.p);
	if (io.len > 0)
		printf(", %llu workers over %.*s",
		       (unsigned long long)status_number(s, "workers"),
		       (int)io.len, io.p);
	putchar('\n');
}

static void print_health(const struct status *s)
{
	static const enum colour colours[] = { [SEVERITY_NOTE] = PLAIN,
					       [SEVERITY_WARNING] = YELLOW,
					       [SEVERITY_ALARM] = RED };
	const struct screen *screen = &s->o->screen;
	bool well = s->problem_count == 0 ||
		    s->problems[0].severity == SEVERITY_NOTE;
	size_t i;

	label(s, "health");
	printf("%s%s%s\n",
	       screen_paint(screen,
			    well ? GREEN : colours[s->problems[0].severity]),
	       well ? "all is well" : "not all is well",
	       screen_paint(screen, PLAIN));
	for (i = 0; i < s->problem_count; i++) {
		const struct problem *p = &s->problems[i];

		printf(LABEL "%s%-7s%s ", "",
		       screen_paint(screen, colours[p->severity]),
		       severity_name(p->severity), screen_paint(screen, PLAIN));
		text(p->what);
		if (p->todo[0] != '\0') {
			printf("\n" LABEL "        %s-> ", "",
			       screen_paint(screen, DIM));
			text(p->todo);
			printf("%s", screen_paint(screen, PLAIN));
		}
		putchar('\n');
	}
}

static void rate(const struct status *s, const char *name, const char *key,
		 enum colour colour)
{
	uint64_t n = status_number(s, key);
	const struct screen *screen = &s->o->screen;

	printf("%s %s%s%s/s", name, n > 0 ? screen_paint(screen, colour) : "",
	       human_rate(n, status_number(s, "minute_ms")).text,
	       n > 0 ? screen_paint(screen, PLAIN) : "");
}

static void print_mail(const struct status *s)
{
	label(s, "rates");
	rate(s, "in", "minute_accepted", BOLD);
	rate(s, "  out", "minute_delivered", GREEN);
	rate(s, "  deferred", "minute_deferred", YELLOW);
	rate(s, "  bounced", "minute_bounced", RED);
	printf("  (last %s)\n",
	       human_time(status_number(s, "minute_ms") / 1000).text);
	label(s, "so far");
	figure(s, "accepted", human_count, BOLD,
	       " messages accepted; recipients: ");
	figure(s, "delivered", human_count, GREEN, " delivered, ");
	figure(s, "deferred", human_count, YELLOW, " deferred (");
	figure(s, "unsure", human_count, YELLOW, " unsure), ");
	figure(s, "bounced", human_count, RED, " bounced, ");
	figure(s, "refused", human_count, RED, " refused\n");
}

static void print_queue(const struct status *s)
{
	uint64_t expires = status_number(s, "expires_in_s");
	uint64_t limit = status_number(s, "age_limit_s");

	label(s, "queue");
	figure(s, "waiting", human_count, BOLD, " recipients wait, ");
	figure(s, "held", human_count, YELLOW, " held");
	if (expires > 0 && expires < limit && limit - expires > 3600)
		printf("; the oldest about %s",
		       human_time((limit - expires) / 3600 * 3600).text);
	printf("\n" LABEL, "");
	figure(s, "ready_transactional", human_count, BOLD,
	       " transactional and ");
	figure(s, "ready_bulk", human_count, BOLD, " bulk tasks are ready, ");
	figure(s, "sending", human_count, GREEN, " being sent, ");
	figure(s, "loaded_tasks", human_count, PLAIN, " in memory\n");
}

static void print_sessions(const struct status *s)
{
	label(s, "sessions");
	figure(s, "sessions_open", human_count, BOLD, " open (");
	figure(s, "sessions_idle", human_count, PLAIN, " idle), ");
	figure(s, "connecting", human_count, PLAIN, " connecting; ");
	figure(s, "sites_active", human_count, PLAIN, " sites active, ");
	figure(s, "sites_parked", human_count, RED, " dead, ");
	figure(s, "sites_paused", human_count, YELLOW, " paused; ");
	figure(s, "dns_asking", human_count, PLAIN, " domains asked for\n");
}

static void print_disk(const struct status *s)
{
	struct span events = status_text(s, "events");

	label(s, "disk");
	printf("%s free (min_free %s), spool %s; sync p50 %s, p99 %s\n",
	       human_bytes(status_number(s, "disk_free")).text,
	       human_bytes(status_number(s, "disk_min_free")).text,
	       human_bytes(status_number(s, "spool_bytes")).text,
	       human_us(status_number(s, "sync_p50_us")).text,
	       human_us(status_number(s, "sync_p99_us")).text);
	if (kept_find(&s->rows, "status") == NULL)
		return;
	printf(LABEL "log %s since the last checkpoint, %llu of %llu segments "
		     "free; event log %.*s; memory %s\n",
	       "", human_bytes(status_number(s, "log_bytes")).text,
	       (unsigned long long)status_number(s, "segments_free"),
	       (unsigned long long)status_number(s, "segments"),
	       (int)events.len, events.p,
	       human_bytes(status_number(s, "memory")).text);
	if (status_number(s, "messages_moved") > 0)
		printf(LABEL "compacted %llu segments since the start: %llu "
			     "messages, %s moved\n",
		       "",
		       (unsigned long long)status_number(s,
							 "segments_compacted"),
		       (unsigned long long)status_number(s, "messages_moved"),
		       human_bytes(status_number(s, "bytes_moved")).text);
}

static int by_count(const void *a, const void *b)
{
	const struct admin_record *const *x = a, *const *y = b;
	uint64_t m = admin_number_of(*x, "deferred");
	uint64_t n = admin_number_of(*y, "deferred");

	return (m < n) - (m > n);
}

static void print_reasons(const struct status *s)
{
	const struct admin_record *rows[32];
	size_t i, n = 0;

	for (i = 0; i < s->rows.count && n < 32; i++)
		if (span_eq(s->rows.rows[i].verb, SPAN("reason")))
			rows[n++] = &s->rows.rows[i];
	if (n == 0)
		return;
	qsort(rows, n, sizeof(rows[0]), by_count);
	label(s, "put off");
	printf("%-16s %12s %12s\n", "because of", "last minute", "so far");
	for (i = 0; i < n && i < 5; i++) {
		struct span why = admin_text_of(rows[i], "reason");

		printf(LABEL "%-16.*s %12s %12s\n", "", (int)why.len, why.p,
		       human_count(admin_number_of(rows[i], "minute_deferred"))
			       .text,
		       human_count(admin_number_of(rows[i], "deferred")).text);
	}
}

int status_print(struct status *s)
{
	print_daemon(s);
	print_health(s);
	print_mail(s);
	print_queue(s);
	print_sessions(s);
	print_disk(s);
	print_reasons(s);
	return 0;
}

/* --- JSON ------------------------------------------------------------------ */

static void add_fields(struct buf *b, const struct status *s, const char *verb,
		       const struct admin_record *but)
{
	const struct admin_record *rec = kept_find(&s->rows, verb);
	char key[ADMIN_WORD_MAX + 1];
	uint32_t i;

	for (i = 0; rec != NULL && i < rec->count; i++) {
		const struct admin_field *f = &rec->fields[i];

		memcpy(key, f->key.p, f->key.len);
		key[f->key.len] = '\0';
		if (but != NULL && admin_find(but, key) != NULL)
			continue;
		if (f->is_number)
			json_member_u64(b, key, f->number);
		else
			json_member(b, key, f->text);
	}
}

static void add_rows(struct buf *b, const struct status *s, const char *key,
		     const char *verb)
{
	size_t i, n = 0;

	json_key(b, key);
	buf_add_char(b, '[');
	for (i = 0; i < s->rows.count; i++) {
		if (!span_eq(s->rows.rows[i].verb, span_str(verb)))
			continue;
		if (n++ > 0)
			buf_add_char(b, ',');
		operator_json(b, &s->rows.rows[i]);
	}
	buf_add_char(b, ']');
}

static void add_problems(struct buf *b, const struct status *s)
{
	size_t i;

	json_key(b, "problems");
	buf_add_char(b, '[');
	for (i = 0; i < s->problem_count; i++) {
		const struct problem *p = &s->problems[i];

		buf_add_span(b, i > 0 ? SPAN(",{") : SPAN("{"));
		json_member(b, "severity",
			    span_str(severity_name(p->severity)));
		json_member(b, "what", span_str(p->what));
		json_member(b, "do", span_str(p->todo));
		buf_add_char(b, '}');
	}
	buf_add_char(b, ']');
}

int status_print_json(struct status *s)
{
	struct buf b;
	int err;

	buf_init(&b, 32u << 20);
	buf_add_char(&b, '{');
	add_fields(&b, s, "status", NULL);
	add_fields(&b, s, "pulse", kept_find(&s->rows, "status"));
	add_problems(&b, s);
	add_rows(&b, s, "reasons", "reason");
	add_rows(&b, s, "pauses_in_force", "pause");
	buf_add_span(&b, SPAN("}\n"));
	err = b.failed;
	if (err == 0)
		printf("%.*s", (int)b.len, b.p);
	buf_free(&b);
	return err;
}
