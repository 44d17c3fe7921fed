/*
 * cmd/submit.c - mtaq submit: hand over mail
 *
 * EX_OK: everything was accepted and is durable (or lies in the drop folder).
 */
#include "cmd/submit.h"

#include "cmd/commands.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#define TO_MAX 10000000u /* addresses in all */

int submit_list_add(struct submit_list *list, struct span text)
{
	uint32_t size = list->size == 0 ? 16 : 2 * list->size;
	struct span *items;
	char *copy;

	if (list->count == TO_MAX)
		return -E2BIG;
	if (list->count == list->size) {
		items = realloc(list->items, size * sizeof(*items));
		if (items == NULL)
			return -ENOMEM;
		list->items = items;
		list->size = size;
	}
	copy = malloc(text.len + 1);
	if (copy == NULL)
		return -ENOMEM;
	memcpy(copy, text.p, text.len);
	list->items[list->count++] = span_of(copy, text.len);
	return 0;
}

void submit_list_free(struct submit_list *list)
{
	while (list->count > 0)
		free((char *)(uintptr_t)list->items[--list->count].p);
	free(list->items);
	memset(list, 0, sizeof(*list));
}

/* Addresses may stand in <>. */
static struct span bare(struct span s)
{
	s = span_trim(s);
	if (s.len >= 2 && s.p[0] == '<' && s.p[s.len - 1] == '>')
		s = span_of(s.p + 1, s.len - 2);
	return s;
}

static int read_to_file(struct submit_args *a, const char *path)
{
	bool in = strcmp(path, "-") == 0;
	FILE *f = in ? stdin : fopen(path, "re");
	char *line = NULL;
	size_t size = 0;
	struct span s;
	ssize_t n;
	int r = 0;

	if (f == NULL) {
		fprintf(stderr,
			"mtaq submit: the list of recipients %s cannot be "
			"read: %s\n",
			path, strerrordesc_np(errno));
		return EX_NOINPUT;
	}
	while (r == 0 && (n = getline(&line, &size, f)) > 0) {
		while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
			n--;
		s = bare(span_of(line, (size_t)n));
		if (s.len > 0 && s.p[0] != '#')
			r = submit_list_add(&a->to, s);
	}
	if (r == 0 && ferror(f))
		r = -EIO;
	free(line);
	if (!in)
		fclose(f);
	if (r < 0)
		fprintf(stderr, "mtaq submit: %s: %s\n", path,
			strerrordesc_np(-r));
	return r < 0 ? EX_NOINPUT : EX_OK;
}

enum {
	O_TO_FILE = 256,
	O_EACH,
	O_TENANT,
	O_CAMPAIGN,
	O_CLASS,
	O_TOKEN,
	O_ORCPT
};

/* clang-format off */
static const struct args_option options[] = {
	OPTION_CONFIG,
	{ "from", 'f', "A", "envelope sender; '' is the null sender [From]", 'f' },
	{ "to", 't', "A", "a recipient; may be repeated [To, Cc, Bcc]", 't' },
	{ "to-file", 0, "FILE", "recipients, one a line ('#' begins a comment; - is stdin)", O_TO_FILE },
	{ "each", 0, NULL, "a message of its own for each recipient", O_EACH },
	{ "tenant", 0, "T", "for fairness, limits and reports", O_TENANT },
	{ "campaign", 0, "C", "likewise", O_CAMPAIGN },
	{ "class", 0, "transactional|bulk", "transactional goes first [bulk]", O_CLASS },
	{ "notify", 'N', "WHEN", "report success,failure,delay (some of them) or never", 'N' },
	{ "ret", 'R', "full|hdrs", "such a report brings the message or its header", 'R' },
	{ "envid", 'V', "ID", "such a report names the envelope so", 'V' },
	{ "orcpt", 0, "A", "the recipient as the writer knew it; with one --to", O_ORCPT },
	{ "token-header", 0, "N", "adds a header N with a number unlike any other", O_TOKEN },
	{ "dry-run", 'n', NULL, "check all, hand over nothing", 'n' },
	{ "quiet", 'q', NULL, "no ids", 'q' },
	OPTION_JSON("one JSON object a message"),
	OPTION_END,
};
/* clang-format on */

static const struct args_command command = {
	.name = "mtaq submit",
	.usage = "mtaq submit [OPTION...] [FILE.eml | FOLDER | FILE.mbox | "
		 "-]...",
	.about = "Hands mail over; what it accepts is on disk. Prints one id a "
		 "message. Without a file it reads standard input.",
	.options = options,
	.more = "Exit codes: 0 all accepted, 64 wrong usage, 65 refused for "
		"good, 66 not readable, 69 the daemon cannot be used, 74 the "
		"ids could not be written, 75 try later, 78 the configuration is wrong.",
};

/* Letters, digits and hyphens: what a header's name is made of here. */
static int set_token(struct submit_args *a, const char *name)
{
	size_t len = strlen(name);

	a->token_header = name;
	if (len > 0 && len <= 70 &&
	    name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUV"
			      "WXYZ0123456789-")] == '\0')
		return EX_OK;
	fprintf(stderr, "mtaq submit: '%s' cannot name a header\n", name);
	return EX_USAGE;
}

static int one_option(struct submit_args *a, int id, const char *value)
{
	switch (id) {
	case 'c':
		a->config = value;
		return EX_OK;
	case 'f':
		a->from = value;
		return EX_OK;
	case 't':
		a->to_given = true;
		return submit_list_add(&a->to, bare(span_str(value))) < 0
			       ? EX_OSERR
			       : EX_OK;
	case O_TO_FILE:
		a->to_given = true;
		return read_to_file(a, value);
	case O_EACH:
		a->each = true;
		return EX_OK;
	case O_TENANT:
		a->tenant = value;
		return EX_OK;
	case O_CAMPAIGN:
		a->campaign = value;
		return EX_OK;
	case O_CLASS:
		a->class = value[0] == 't' ? SUBMIT_TRANSACTIONAL : SUBMIT_BULK;
		return EX_OK;
	case O_TOKEN:
		return set_token(a, value);
	case 'N':
		a->notify = value;
		return EX_OK;
	case 'R':
		a->ret = value;
		return EX_OK;
	case 'V':
		a->envid = value;
		return EX_OK;
	case O_ORCPT:
		a->orcpt = value;
		return EX_OK;
	case 'n':
		a->dry_run = true;
		return EX_OK;
	case 'q':
		a->quiet = true;
		return EX_OK;
	default:
		a->json = true;
		return EX_OK;
	}
}

static int submit_all(const struct submit_args *a)
{
	static const char *const input = "-";
	struct settings set;
	struct submit_run *run;
	int code = command_settings(a->config, &set), i, last;

	if (code != EX_OK)
		return code;
	code = submit_run_open(a, &set, &run);
	if (code == EX_OK) {
		if (a->path_count == 0)
			code = submit_source(run, input);
		for (i = 0; i < a->path_count && code == EX_OK; i++)
			code = submit_source(run, a->paths[i]);
		last = submit_run_close(&run);
		code = code == EX_OK ? last : code;
	}
	settings_free(&set);
	if (fflush(stdout) != 0 && code == EX_OK) {
		fputs("mtaq submit: the ids could not be written; all was "
		      "accepted\n",
		      stderr);
		code = EX_IOERR;
	}
	return code;
}

int submit_main(int argc, char **argv)
{
	struct submit_args a = { .class = SUBMIT_BULK };
	struct args args;
	int id, code = EX_OK, ended = EX_OK;

	args_begin(&args, &command, argc, argv);
	while (code == EX_OK && (id = command_option(&args, &ended)) > 0)
		code = one_option(&a, id, args.value);
	if (code == EX_OK)
		code = ended;
	/* A reader of the ids that goes away does not stop the mail. */
	(void)signal(SIGPIPE, SIG_IGN);
	a.path_count = args.word_count;
	a.paths = args.words;
	if (code == EX_OK)
		code = submit_all(&a);
	submit_list_free(&a.to);
	return code < 0 ? EX_OK : code;
}
