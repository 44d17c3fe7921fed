/*
 * cmd/site.c - mtaq site list|show|pause|resume
 *
 * A site is a set of MX hosts; all domains behind it share sessions and
 * limits.  Its name is the provider's or that of the first MX host.
 */
#include "cmd/commands.h"
#include "cmd/operator.h"

#include <stdio.h>
#include <sysexits.h>

static const char help[] =
	"usage: mtaq site list [--json]\n"
	"       mtaq site show NAME [--json]\n"
	"       mtaq site pause|resume NAME [-n] [--json]\n\n"
	"A site is a set of MX hosts; all domains behind it share sessions and "
	"limits. It is\nnamed after its provider or its first MX host.\n\n"
	"list    sites with mail, or that had some of late: tasks waiting, "
	"sessions (busy),\n        the window of sessions allowed now, hosts "
	"(bad), why it is slowed or dead\n"
	"pause   open no session and begin no mail there; kept until resumed "
	"or until the\n        daemon ends\n\n"
	"  -c, --config FILE  the daemon's configuration\n"
	"  -n, --dry-run      say which, change nothing\n"
	"      --json         one JSON object a line\n\n"
	"Exit codes: 0, 64 usage, 65 no such site, 69 no daemon answers, 77 "
	"no permission,\n78 configuration.\n";

static const struct operator_column columns[] = {
	{ "site", "SITE", -32 },       { "state", "STATE", -7 },
	{ "tasks", "TASKS", 8 },       { "running", "RUNNING", 7 },
	{ "sessions", "SESSIONS", 8 }, { "busy", "BUSY", 5 },
	{ "window", "WINDOW", 6 },     { "hosts", "HOSTS", 5 },
	{ "hosts_bad", "BAD", 3 },     { "again_in_s", "AGAIN", 6 },
	{ "why", "WHY", 0 },           { NULL, NULL, 0 },
};

static void show_row(const struct operator* o)
{
	const struct admin_record *rec = &o->client.rec;
	uint32_t i;

	for (i = 0; i < rec->count; i++) {
		const struct admin_field *f = &rec->fields[i];

		printf("%-20.*s %.*s\n", (int)f->key.len, f->key.p,
		       (int)f->text.len, f->text.p);
	}
}

static int run(struct operator* o, const char *verb, const char *name)
{
	bool show = strcmp(verb, "show") == 0;
	struct buf *out = operator_request(o, "site");

	admin_text(out, "verb", show ? SPAN("list") : span_str(verb));
	admin_text(out, "name", span_str(name));
	admin_number(out, "dry", o->dry);
	operator_ask(o);
	if (o->code == EX_OK && !show)
		operator_heading(o, columns);
	while (operator_next(o)) {
		if (show && !o->json)
			show_row(o);
		else
			operator_row(o, columns, &o->client.rec);
	}
	return o->code;
}

static bool is_usage(const struct operator* o, const char *verb)
{
	if (strcmp(verb, "list") == 0)
		return o->word_count == 1 && !o->dry;
	if (o->word_count != 2 || o->words[1][0] == '\0')
		return false;
	if (strcmp(verb, "show") == 0)
		return !o->dry;
	return strcmp(verb, "pause") == 0 || strcmp(verb, "resume") == 0;
}

static const char *const verbs[] = { "list", "show", "pause", "resume", NULL };

int site_main(int argc, char **argv)
{
	struct operator o = { .name = "mtaq site", .help = help, .takes = "n" };
	int code = operator_options(&o, argc, argv);

	if (code != EX_OK)
		return code < 0 ? EX_OK : code;
	if (o.word_count == 0 || !is_usage(&o, o.words[0]))
		return operator_usage(&o, verbs);
	code = operator_open(&o);
	if (code != EX_OK)
		return code;
	code = run(&o, o.words[0], o.word_count == 2 ? o.words[1] : "");
	operator_close(&o);
	return code;
}
