#ifndef MTAQ_CMD_COMMANDS_H
#define MTAQ_CMD_COMMANDS_H

/*
 * The commands that main.c has in its table, one file each.  They get argc
 * and argv from their own name on and return a sysexits(3) code.
 */
#include "base/args.h"
#include "mtaq/settings.h"

int adopt_main(int argc, char **argv);
int campaign_main(int argc, char **argv);
int check_main(int argc, char **argv);
int explain_main(int argc, char **argv);
int export_main(int argc, char **argv);
int probe_main(int argc, char **argv);
int queue_main(int argc, char **argv);
int run_main(int argc, char **argv);
int site_main(int argc, char **argv);
int status_main(int argc, char **argv);
int submit_main(int argc, char **argv);
int top_main(int argc, char **argv);
int trace_main(int argc, char **argv);
int verify_main(int argc, char **argv);

/* Rows that many commands' tables have. */
#define OPTION_CONFIG                                                          \
	{                                                                      \
		"config", 'c', "FILE",                                         \
			"the configuration [$MTAQ_CONFIG or " SETTINGS_FILE    \
			"]",                                                   \
			'c'                                                    \
	}
#define OPTION_JSON(what)                                                      \
	{                                                                      \
		"json", 0, NULL, (what), 'j'                                   \
	}
#define OPTION_END                                                             \
	{                                                                      \
		NULL, 0, NULL, NULL, 0                                         \
	}

/* The next option's id (> 0); or 0, and *code_r says how it ended: EX_OK; -1:
 * help was asked for and printed; EX_USAGE, told. */
int command_option(struct args *a, int *code_r);
/* Tell wrong usage, and where to look.  EX_USAGE. */
int command_wrong(const struct args *a, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* The first word, a verb of the command; NULL: told. */
const char *command_verb(struct args *a);

/* A time that was typed: "90" (seconds), "500ms", "15m", "1h30m", "3d". */
bool command_time(const char *text, uint64_t *ms_r);

/* The settings of the file that `-c option` means (NULL: the usual one).
 * EX_OK, or EX_CONFIG (the file is wrong), EX_NOINPUT, EX_OSERR, told on
 * standard error. */
int command_settings(const char *option, struct settings *set_r);

#endif
