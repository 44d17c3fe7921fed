/*
 * cmd/run.c - mtaq run: the daemon
 *
 * Stays in the foreground (systemd and test scripts want that), says "ready"
 * on standard error when mail can be submitted, and ends on SIGTERM.
 */
#include "cmd/commands.h"
#include "engine/engine.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static const struct args_option options[] = { OPTION_CONFIG, OPTION_END };

static const struct args_command command = {
	.name = "mtaq run",
	.usage = "mtaq run [-c FILE]",
	.about = "Runs the daemon in the foreground: takes mail from `mtaq "
		 "submit` and delivers it. SIGTERM ends it in good order; "
		 "SIGKILL is as safe, only less polite.",
	.options = options,
	.more = "Exit codes: 0 stopped by a signal, 64 wrong usage, 71 and 74 "
		"something broke, 75 another mtaq owns the spool or the "
		"socket, or memory or descriptors ran out, 78 the configuration is "
		"wrong, or the spool was exported.",
};

static int exit_of(int err)
{
	switch (err) {
	case 0:
		return EX_OK;
	case -EBUSY:
	case -EADDRINUSE:
	case -EUCLEAN:
	case -EAGAIN:
	case -EMFILE:
	case -ENFILE:
	case -ENOMEM:
		return EX_TEMPFAIL;
	case -EIO:
	case -ENOSPC:
		return EX_IOERR;
	case -EPROTO:
	case -EINVAL:
	case -EACCES:
	case -EPERM:
	case -EROFS:
		return EX_CONFIG;
	default:
		return EX_OSERR;
	}
}

/*
 * Large messages go back to the system when they are freed.  Left alone,
 * malloc() learns from the first one to keep as much for the next, and the
 * bound on what they hold would not be one on memory.  Frames (4 MiB) are
 * below: theirs is used again at once.
 */
static void tune_memory(void)
{
	(void)mallopt(M_MMAP_THRESHOLD, 8 << 20);
	(void)mallopt(M_TRIM_THRESHOLD, 16 << 20);
}

int run_main(int argc, char **argv)
{
	const char *file = NULL;
	struct settings set;
	struct engine *engine;
	struct args args;
	char words[1024];
	int code, err;

	args_begin(&args, &command, argc, argv);
	while (command_option(&args, &code) > 0)
		file = args.value;
	if (code != EX_OK)
		return code < 0 ? EX_OK : code;
	if (args.word_count > 0)
		return command_wrong(&args, "'%s' is one argument too many",
				     args.words[0]);
	tune_memory();
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
