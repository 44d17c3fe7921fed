/*
 * cmd/trace.c - mtaq trace: SMTP conversations as they happen
 *
 * Ends after --for, after --max lines, or with Ctrl-C.  What servers say is
 * printed with its controls as \\xNN.
 */
#include "cmd/operator.h"

#include "base/json.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>

enum {
	O_SITE = OPERATOR_OWN_ID,
	O_DOMAIN,
	O_ID,
	O_FOR,
	O_MAX
};

static const struct args_option options[] = {
	OPTION_CONFIG,
	{ "site", 0, "NAME", "sessions of this site, whole", O_SITE },
	{ "domain", 0, "D", "mail for this domain", O_DOMAIN },
	{ "id", 0, "ID", "this message", O_ID },
	{ "for", 0, "T", "so long: 30s, 5m; a day at most [1m]", O_FOR },
	{ "max", 0, "N", "end after so many lines", O_MAX },
	OPTION_JSON("one JSON object a line"),
	OPTION_END,
};

static const struct args_command command = {
	.name = "mtaq trace",
	.usage = "mtaq trace --site NAME|--domain D|--id ID [--for T] [--max "
		 "N] [--json]",
	.about = "Shows live SMTP conversations, line by line: when, which "
		 "session, which host, who speaks (> we, < the server, * what "
		 "happens to the connection). Content is not shown, only how "
		 "many octets it has; nor are the words of AUTH. By site, a "
		 "session is shown whole; by domain or id, from the MAIL of "
		 "such a message to the answer to its dot.",
	.options = options,
	.more = "A reader that is too slow loses lines and is told how many; "
		"it never slows a delivery. Four traces run at once.\n\n"
		"Exit codes: 0 its time or its lines are over, or Ctrl-C, 64 "
		"wrong usage, 69 no daemon answers, or it has ended, 74 the "
		"output cannot be written, 75 four "
		"others trace already, 77 no permission, 78 the configuration "
		"is wrong.",
};

struct trace {
	const char *site, *domain, *id;
	uint64_t for_ms, max;
	uint64_t lines, lost;
};

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
	(void)number;
	stopped = 1;
}

static int own_option(struct operator* o, int id, const char *value)
{
	struct trace *t = o->arg;

	if (id == O_SITE)
		t->site = value;
	else if (id == O_DOMAIN)
		t->domain = value;
	else if (id == O_ID)
		t->id = value;
	else if (id == O_FOR && (!command_time(value, &t->for_ms) ||
				 t->for_ms == 0 || t->for_ms > 86400000))
		return command_wrong(&o->args,
				     "--for is a time like 30s or 5m, a day at "
				     "most, not '%s'",
				     value);
	else if (id == O_MAX &&
		 (!span_u64(span_str(value), UINT32_MAX, &t->max) ||
		  t->max == 0))
		return command_wrong(&o->args, "--max is a number, not '%s'",
				     value);
	return EX_OK;
}

/* --- lines ----------------------------------------------------------------- */

static void add_escaped(struct buf *b, struct span s)
{
	size_t i;

	for (i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < 32 || c > 126 || c == '\\')
			buf_printf(b, "\\x%02x", c);
		else
			buf_add_char(b, (char)c);
	}
}

static void add_clock(struct buf *b, uint64_t ms)
{
	time_t s = (time_t)(ms / 1000);
	char text[16];
	struct tm tm;

	(void)localtime_r(&s, &tm);
	(void)strftime(text, sizeof(text), "%H:%M:%S", &tm);
	buf_printf(b, "%s.%03llu", text, (unsigned long long)(ms % 1000));
}

static enum colour colour_of(char mark)
{
	return mark == '>' ? GREEN : mark == '<' ? PLAIN : DIM;
}

static void tell_line(struct operator* o, const struct admin_record *rec)
{
	struct span side = admin_text_of(rec, "side");
	char mark = span_eq(side, SPAN("client"))   ? '>'
		    : span_eq(side, SPAN("server")) ? '<'
						    : '*';
	struct buf *b = &o->line;

	buf_clear(b);
	if (admin_number_of(rec, "lost") > 0)
		buf_printf(b, "... %llu lines lost\n",
			   (unsigned long long)admin_number_of(rec, "lost"));
	add_clock(b, admin_number_of(rec, "time_ms"));
	buf_printf(b, " %llu ",
		   (unsigned long long)admin_number_of(rec, "session"));
	add_escaped(b, admin_text_of(rec, "host"));
	buf_printf(b, " %s%c ", screen_paint(&o->screen, colour_of(mark)),
		   mark);
	add_escaped(b, admin_text_of(rec, "text"));
	buf_printf(b, "%s\n", screen_paint(&o->screen, PLAIN));
	(void)fwrite(b->p, 1, b->len, stdout);
}

static void put_row(struct operator* o, struct trace *t)
{
	const struct admin_record *rec = &o->client.rec;

	if (!span_eq(rec->verb, SPAN("line"))) {
		if (!o->json && t->lines == 0 && o->screen.terminal)
			fputs("mtaq trace: waiting for mail\n", stderr);
		return;
	}
	t->lines++;
	t->lost += admin_number_of(rec, "lost");
	if (o->json) {
		buf_clear(&o->line);
		operator_json(&o->line, rec);
		printf("%.*s\n", (int)o->line.len, o->line.p);
	} else {
		tell_line(o, rec);
	}
}

/* --- the command ----------------------------------------------------------- */

static void ask(struct operator* o, const struct trace *t)
{
	struct buf *out = operator_request(o, "trace");

	if (t->site != NULL)
		admin_text(out, "site", span_str(t->site));
	if (t->domain != NULL)
		admin_text(out, "domain", span_str(t->domain));
	if (t->id != NULL)
		admin_text(out, "id", span_str(t->id));
	admin_number(out, "for_ms", t->for_ms);
	admin_number(out, "max", t->max);
	operator_ask(o);
}

/* A line is flushed as it comes: somebody waits for it. */
static int follow(struct operator* o, struct trace *t)
{
	struct sigaction on = { .sa_handler = on_signal };

	(void)sigaction(SIGINT, &on, NULL);
	(void)sigaction(SIGTERM, &on, NULL);
	o->client.stop = &stopped;
	ask(o, t);
	while (!stopped && operator_next(o)) {
		put_row(o, t);
		if (fflush(stdout) != 0)
			return EX_IOERR;
	}
	if (stopped)
		o->code = EX_OK;
	else if (o->code == EX_OK)
		t->lost = admin_number_of(&o->client.rec, "lost");
	if (o->code == EX_OK && !o->json)
		fprintf(stderr, "mtaq trace: %llu lines, %llu lost\n",
			(unsigned long long)t->lines,
			(unsigned long long)t->lost);
	return o->code;
}

int trace_main(int argc, char **argv)
{
	struct trace t = { .for_ms = 60000 };
	struct operator o = { .own = own_option, .arg = &t };
	int code = operator_options(&o, &command, argc, argv);

	if (code != EX_OK)
		return code < 0 ? EX_OK : code;
	if (o.word_count > 0)
		return command_wrong(&o.args, "'%s' is one argument too many",
				     o.words[0]);
	if ((t.site != NULL) + (t.domain != NULL) + (t.id != NULL) != 1)
		return command_wrong(&o.args,
				     "trace what? --site, --domain or --id, "
				     "and one of these only");
	code = operator_open(&o);
	if (code != EX_OK)
		return code;
	code = follow(&o, &t);
	operator_close(&o);
	return code;
}
