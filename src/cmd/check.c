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
#include <getopt.h>
#include <stdio.h>
#include <sysexits.h>

#define OUT_MAX (4u << 20)

enum check_what {
	CHECK,
	PRINT,
	DEFAULTS,
	MANUAL,
	MAN,
	HELP
};

struct check_args {
	const char *file;
	bool json;
	enum check_what what;
};

static void check_help(FILE *to)
{
	fputs("usage: mtaq check [-c FILE] [--json] "
	      "[--print | --defaults | --manual | --man]\n\n"
	      "Reads the configuration and says whether it is right.\n\n"
	      "  -c, --config FILE  the file [$MTAQ_CONFIG or " SETTINGS_FILE
	      "]\n"
	      "      --print        what is in force, defaults filled in\n"
	      "      --defaults     a sample file with every option\n"
	      "      --manual       every option explained\n"
	      "      --man          likewise, as the source of mtaq.yaml(5) for scdoc\n"
	      "      --json         for programs\n\n"
	      "Exit codes: 0 all is well, 78 the configuration is wrong, "
	      "64 wrong usage.\n",
	      to);
}

static const struct option longs[] = { { "config", required_argument, NULL,
					 'c' },
				       { "json", no_argument, NULL, 'j' },
				       { "print", no_argument, NULL, 'p' },
				       { "defaults", no_argument, NULL, 'd' },
				       { "manual", no_argument, NULL, 'm' },
				       { "man", no_argument, NULL, 'M' },
				       { "help", no_argument, NULL, 'h' },
				       { NULL, 0, NULL, 0 } };

/* false: wrong usage, told. */
static bool check_read_args(int argc, char **argv, struct check_args *a)
{
	int c;

	while ((c = command_option(argc, argv, ":c:h", longs, NULL)) != -1) {
		if (c == 'c')
			a->file = optarg;
		else if (c == 'j')
			a->json = true;
		else if (c == 'p')
			a->what = PRINT;
		else if (c == 'd')
			a->what = DEFAULTS;
		else if (c == 'm')
			a->what = MANUAL;
		else if (c == 'M')
			a->what = MAN;
		else if (c == 'h')
			a->what = HELP;
		else
			return false;
	}
	if (optind < argc)
		fprintf(stderr, "mtaq check: '%s' is one argument too many\n",
			argv[optind]);
	return optind == argc;
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

	if (!check_read_args(argc, argv, &a))
		return EX_USAGE;
	if (a.what == HELP) {
		check_help(stdout);
		return EX_OK;
	}
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
