/*
 * cmd/check.c - mtaq check: is the configuration right?
 *
 *	mtaq check [-c FILE] [--json] [--print | --defaults | --manual | --man]
 *
 * EX_OK and one line, or EX_CONFIG and every error with its place.
 */
#include "base/json.h"
#include "cmd/commands.h"
#include "options/print.h"

#include <errno.h>
#include <stdio.h>
#include <sysexits.h>

#define OUT_MAX (4u << 20)

enum check_what {
	CHECK,
	PRINT,
	DEFAULTS,
	MANUAL,
	MAN
};

struct check_args {
	const char *file;
	bool json;
	enum check_what what;
};

static const struct args_option options[] = {
	OPTION_CONFIG,
	{ "print", 0, NULL, "what is in force, defaults filled in", PRINT },
	{ "defaults", 0, NULL, "a sample file with every option", DEFAULTS },
	{ "manual", 0, NULL, "every option explained", MANUAL },
	{ "man", 0, NULL, "likewise, as the source of mtaq.yaml(5) for scdoc",
	  MAN },
	OPTION_JSON("for programs"),
	OPTION_END,
};

static const struct args_command command = {
	.name = "mtaq check",
	.usage = "mtaq check [-c FILE] [--json] "
		 "[--print | --defaults | --manual | --man]",
	.about = "Reads the configuration and says whether it is right.",
	.options = options,
	.more = "Exit codes: 0 all is well, 64 wrong usage, 74 the output "
		"cannot be written, 78 the configuration is wrong.",
};

/* EX_OK; -1: help was printed; EX_USAGE, told. */
static int check_read_args(int argc, char **argv, struct check_args *a)
{
	struct args args;
	int id, code;

	args_begin(&args, &command, argc, argv);
	while ((id = command_option(&args, &code)) > 0) {
		if (id == 'c')
			a->file = args.value;
		else if (id == 'j')
			a->json = true;
		else
			a->what = (enum check_what)id;
	}
	if (code == EX_OK && args.word_count > 0)
		code = command_wrong(&args, "'%s' is one argument too many",
				     args.words[0]);
	return code;
}

static int check_put(struct buf *out)
{
	int r = EX_OK;

	if (out->failed < 0 ||
	    fwrite(out->p, 1, out->len, stdout) != out->len ||
	    fflush(stdout) != 0) {
		fputs("mtaq check: the output could not be written\n", stderr);
		r = EX_IOERR;
	}
	buf_free(out);
	return r;
}

/* One object: whether it is right, and the errors as people see them. */
static int check_put_json(const char *path, const char *words, int code)
{
	struct buf out;
	int r;

	buf_init(&out, OUT_MAX);
	(void)buf_printf(
		&out, "{\"ok\":%s,\"file\":", code == EX_OK ? "true" : "false");
	json_string(&out, span_str(path));
	(void)buf_add_span(&out, SPAN(",\"errors\":"));
	json_string(&out, span_str(words));
	(void)buf_add_span(&out, SPAN("}\n"));
	r = check_put(&out);
	return r == EX_OK ? code : r;
}

static int check_file(const struct check_args *a)
{
	static char words[64 << 10];
	const char *path = settings_path(a->file);
	struct settings set;
	struct buf out;
	int r = settings_load(path, &set, words, sizeof(words));

	if (r < 0) {
		if (a->json)
			return check_put_json(path, words, EX_CONFIG);
		fputs(words, stderr);
		fputs("mtaq check: `mtaq run` would not start with this\n",
		      stderr);
		return EX_CONFIG;
	}
	buf_init(&out, OUT_MAX);
	if (a->what == PRINT)
		options_print_settings(&set, a->json, &out);
	else if (!a->json)
		(void)buf_printf(&out, "%s: all is well\n", path);
	settings_free(&set);
	if (a->what != PRINT && a->json) {
		buf_free(&out);
		return check_put_json(path, "", EX_OK);
	}
	return check_put(&out);
}

int check_main(int argc, char **argv)
{
	struct check_args a = { .what = CHECK };
	struct buf out;

	int code = check_read_args(argc, argv, &a);

	if (code != EX_OK)
		return code < 0 ? EX_OK : code;
	if (a.what == CHECK || a.what == PRINT)
		return check_file(&a);
	buf_init(&out, OUT_MAX);
	if (a.what == DEFAULTS)
		options_print_sample(&out);
	else if (a.what == MAN)
		options_print_man(&out);
	else
		options_print_manual(&out);
	return check_put(&out);
}
