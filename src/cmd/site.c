/*
 * cmd/site.c - mtaq site list|show|pause|resume|retry
 *
 * A site is a set of MX hosts; all domains behind it share sessions and
 * limits.  Its name is the provider's or that of the first MX host.
 */
#include "cmd/operator.h"

#include <stdio.h>
#include <sysexits.h>

static const struct args_verb verbs[] = {
	{ "list", "sites with mail, or that had some of late: tasks waiting, "
		  "sessions (busy), the window of sessions allowed now, hosts "
		  "(bad), why it is slowed or dead" },
	{ "show", "one of them, a figure a line, and its hosts" },
	{ "pause", "open no session and begin no mail there, mail that comes "
		   "later included; kept over restarts until resumed" },
	{ "resume", "end the pause" },
	{ "retry", "whatever its servers said or did: try it now; a dead one "
		   "is probed at once" },
	{ NULL, NULL },
};

static const struct args_option options[] = {
	OPTION_CONFIG,
	OPERATOR_DRY("say which, change nothing"),
	OPERATOR_JSON,
	OPTION_END,
};

static const struct args_command command = {
	.name = "mtaq site",
	.usage = "mtaq site list [--json]\n"
		 "mtaq site show NAME [--json]\n"
		 "mtaq site pause|resume|retry NAME [-n] [--json]",
	.about = "A site is a set of MX hosts; all domains behind it share "
		 "sessions and limits. It is named after its provider or its "
		 "first MX host.",
	.verbs = verbs,
	.options = options,
	.more = "Exit codes: 0 done, 64 wrong usage, 65 no such site, 69 no "
		"daemon answers, 74 the decision or the output could not be "
		"written, 77 no permission, 78 the configuration is wrong.",
};

static const struct table_column columns[] = {
	{ "site", "SITE", -32 },       { "state", "STATE", -7 },
	{ "tasks", "TASKS", 8 },       { "running", "RUNNING", 7 },
	{ "sessions", "SESSIONS", 8 }, { "busy", "BUSY", 5 },
	{ "window", "WINDOW", 6 },     { "hosts", "HOSTS", 5 },
	{ "hosts_bad", "BAD", 3 },     { "again_in_s", "AGAIN", 6 },
	{ "why", "WHY", 0 },           { NULL, NULL, 0 },
};

/* A site's figures, then its hosts. */
static void show_row(struct operator* o, const struct admin_record *rec)
{
	if (!span_eq(rec->verb, SPAN("host"))) {
		operator_table_end(o);
		operator_fields(o, rec);
		return;
	}
	if (!o->in_table && !o->json) {
		putchar('\n');
		operator_table(o, operator_hosts);
	}
	operator_row(o, operator_hosts, rec);
}

static int run(struct operator* o, const char *verb, const char *name)
{
	bool show = strcmp(verb, "show") == 0;
	struct buf *out = operator_request(o, "site");

	admin_text(out, "verb", span_str(verb));
	admin_text(out, "name", span_str(name));
	admin_number(out, "dry", o->dry);
	operator_ask(o);
	if (o->code == EX_OK && !show)
		operator_table(o, columns);
	while (operator_next(o)) {
		if (show)
			show_row(o, &o->client.rec);
		else
			operator_row(o, columns, &o->client.rec);
	}
	return o->code;
}

/* EX_OK, or told. */
static int check_usage(struct operator* o, const char *verb)
{
	bool list = strcmp(verb, "list") == 0;

	if (o->dry && (list || strcmp(verb, "show") == 0))
		return command_wrong(&o->args, "%s changes nothing: no -n",
				     verb);
	if (list && o->word_count > 1)
		return command_wrong(&o->args, "list takes no name");
	if (!list && (o->word_count != 2 || o->words[1][0] == '\0'))
		return command_wrong(&o->args, "%s which site? one name", verb);
	return EX_OK;
}

int site_main(int argc, char **argv)
{
	struct operator o = { .code = EX_OK };
	const char *verb;
	int code = operator_options(&o, &command, argc, argv);

	if (code != EX_OK)
		return code < 0 ? EX_OK : code;
	verb = command_verb(&o.args);
	code = verb == NULL ? EX_USAGE : check_usage(&o, verb);
	if (code == EX_OK)
		code = operator_open(&o);
	if (code != EX_OK)
		return code;
	code = run(&o, verb, o.word_count == 2 ? o.words[1] : "");
	operator_close(&o);
	return code;
}
