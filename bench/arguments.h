#ifndef MTAQ_BENCH_ARGUMENTS_H
#define MTAQ_BENCH_ARGUMENTS_H

/* The command lines of `mtaq sink` and `mtaq load`: base/args.h, told. */
#include "base/args.h"

/* The next option's id (> 0); or 0, and *code_r says how it ended: EX_OK; -1:
 * help was asked for and printed; EX_USAGE, told. */
int bench_option(struct args *a, int *code_r);
/* Tell what is wrong with a word of the line.  EX_USAGE. */
int bench_wrong(const struct args_command *command, const char *what,
		const char *word);

#endif
