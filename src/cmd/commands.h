#ifndef MTAQ_CMD_COMMANDS_H
#define MTAQ_CMD_COMMANDS_H

/*
 * The commands that main.c has in its table, one file each.  They get argc
 * and argv from their own name on and return a sysexits(3) code.
 */
#include "mtaq/settings.h"

int campaign_main(int argc, char **argv);
int check_main(int argc, char **argv);
int probe_main(int argc, char **argv);
int queue_main(int argc, char **argv);
int run_main(int argc, char **argv);
int site_main(int argc, char **argv);
int status_main(int argc, char **argv);
int submit_main(int argc, char **argv);
int verify_main(int argc, char **argv);

/* The settings of the file that `-c option` means (NULL: the usual one).
 * EX_OK, or EX_CONFIG (the file is wrong), EX_NOINPUT, EX_OSERR, told on
 * standard error. */
int command_settings(const char *option, struct settings *set_r);

struct option; /* getopt.h */
/*
 * getopt_long(); `letters` begins with a colon.  What is wrong with an option
 * is told on standard error, with the one that may have been meant; then '?'.
 */
int command_option(int argc, char **argv, const char *letters,
		   const struct option *longs, int *at);

/* Say that `word` is none of the words (NULL ends them) that `name` takes as
 * its `what`, and which may have been meant.  Returns EX_USAGE. */
int command_no_such(const char *name, const char *what, const char *word,
		    const char *const *words);

#endif
