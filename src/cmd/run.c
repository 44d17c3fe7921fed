/*
 * cmd/run.c - mtaq run: the daemon
 *
 * Stays in the foreground (systemd and test scripts want that), says "ready"
 * on standard error when mail can be submitted, and ends on SIGTERM.
 */
#include "cmd/commands.h"
#include "engine/engine.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static const struct option longs[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static void help(FILE *to)
{
	fputs("usage: mtaq run [-c FILE]\n\n"
	      "Runs the daemon in the foreground: takes mail from `mtaq "
	      "submit` and delivers it.\nSIGTERM ends it in good order; "
	      "SIGKILL is as safe, only less polite.\n\n"
	      "  -c, --config FILE  the configuration [$MTAQ_CONFIG or "
	      "/etc/mtaq/mtaq.yaml]\n\n"
	      "Exit codes: 0 stopped by a signal, 64 usage, 71 and 74 "
	      "something broke,\n75 another mtaq owns the spool or the "
	      "socket, 78 the configuration is wrong.\n",
	      to);
}

static int exit_of(int err)
{
	switch (err) {
	case 0:
		return EX_OK;
	case -EBUSY:
	case -EADDRINUSE:
	case -EUCLEAN:
	case -EAGAIN:
		return EX_TEMPFAIL;
	case -EIO:
	case -ENOSPC:
		return EX_IOERR;
	case -EPROTO:
	case -EINVAL:
	case -EACCES:
	case -EPERM:
		return EX_CONFIG;
	default:
		return EX_OSERR;
	}
}

int run_main(int argc, char **argv)
{
	const char *file = NULL;
	struct settings set;
	struct engine *engine;
	char words[1024];
	int c, err;

	while ((c = command_option(argc, argv, ":c:h", longs, NULL)) != -1) {
		if (c == 'h') {
			help(stdout);
			return EX_OK;
		}
		if (c != 'c')
			return EX_USAGE;
		file = optarg;
	}
	if (optind < argc) {
		fprintf(stderr,
			"mtaq run: '%s' is one argument too many; see `mtaq "
			"run --help`\n",
			argv[optind]);
		return EX_USAGE;
	}
	err = command_settings(file, &set);
	if (err != EX_OK)
		return err;
	err = engine_open(&set, &engine, words, sizeof(words));
	if (err == 0) {
		err = engine_run(engine, words, sizeof(words));
		engine_close(&engine);
	}
	if (err < 0)
		fprintf(stderr, "mtaq run: %s\n", words);
	settings_free(&set);
	return exit_of(err);
}
