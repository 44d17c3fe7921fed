/*
 * bench/arguments.c - what the commands of this folder say of their arguments
 */
#include "bench/arguments.h"

#include <stdio.h>
#include <sysexits.h>

int bench_option(struct args *a, int *code_r)
{
	int id = args_next(a);
	struct buf out;

	if (id > 0)
		return id;
	*code_r = EX_OK;
	if (id == ARGS_HELP) {
		*code_r = -1;
		buf_init(&out, 64u << 10);
		args_help(a->command, &out);
		(void)fwrite(out.p, 1, out.len, stdout);
		buf_free(&out);
	} else if (id == ARGS_WRONG) {
		*code_r = EX_USAGE;
		fprintf(stderr, "%s: %s (`%s --help` tells all)\n",
			a->command->name, a->wrong, a->command->name);
	}
	return 0;
}
