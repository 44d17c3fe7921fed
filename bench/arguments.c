/*
 * bench/arguments.c - what the commands of this folder say of their arguments
 */
#include "bench/arguments.h"

#include <stdio.h>
#include <sysexits.h>

static void say(struct buf *words, FILE *to)
{
	if (words->len > 0) /* else p may be NULL */
		(void)fwrite(words->p, 1, words->len, to);
	buf_free(words);
}

int bench_wrong(const struct args_command *command, const char *what,
		const char *word)
{
	char words[ARGS_WRONG_MAX];
	struct buf out;

	(void)snprintf(words, sizeof(words), "%s: %s", what, word);
	buf_init(&out, 4096);
	args_refuse(command, words, &out);
	say(&out, stderr);
	return EX_USAGE;
}

int bench_option(struct args *a, int *code_r)
{
	int id = args_next(a);
	struct buf out;

	if (id > 0)
		return id;
	buf_init(&out, 64u << 10);
	*code_r = id == ARGS_HELP ? -1 : id == ARGS_WRONG ? EX_USAGE : EX_OK;
	if (id == ARGS_HELP)
		args_help(a->command, &out);
	else if (id == ARGS_WRONG)
		args_refuse(a->command, a->wrong, &out);
	say(&out, id == ARGS_HELP ? stdout : stderr);
	return 0;
}
