#ifndef MTAQ_BASE_ARGS_H
#define MTAQ_BASE_ARGS_H

/*
 * A command's line of arguments, by one table: what is read, what --help says,
 * and with it what the completions offer.
 *
 *	--name=VALUE  --name VALUE  --flag      names are written out
 *	-nVALUE  -n VALUE  -fg                  letters; flags may be joined
 *	--                                      all behind it are words
 *	-                                       a word
 *
 * Options and words may be mixed.  -h and --help belong to every command.
 *
 *	args_begin(&a, &command, argc, argv);
 *	while ((id = args_next(&a)) > 0)
 *		... a.value ...
 *	id is ARGS_END, ARGS_HELP or ARGS_WRONG; then a.words, a.word_count
 */
#include "base/buf.h"

#define ARGS_WRONG_MAX 400u

struct args_option {
	const char *name;  /* "config"; NULL ends a table */
	char letter;       /* 'c', or 0 */
	const char *value; /* NULL: a flag; "FILE", "FOLDER": one of these;
			      "a|b": one of these words; else any */
	const char *help;  /* wrapped; "[x]" at its end: the default */
	int id;            /* > 0 */
};

struct args_verb { /* the first word of commands that have verbs */
	const char *name, *help;
};

struct args_command {
	const char *name;                  /* "mtaq queue" */
	const char *usage;                 /* a form of it a line */
	const char *about;                 /* paragraphs: "\n\n" between */
	const struct args_verb *verbs;     /* ended by NULL; or NULL */
	const struct args_option *options; /* ended by NULL */
	const char *more;                  /* paragraphs after the options */
};

enum {
	ARGS_END = 0,
	ARGS_HELP = -1, /* was asked for */
	ARGS_WRONG = -2 /* a.wrong says what */
};

struct args {
	const struct args_command *command;
	const struct args_option *option; /* the one that was given last */
	const char *value;                /* of it; borrowed from argv */
	char **words;                     /* in their order */
	int word_count;
	char wrong[ARGS_WRONG_MAX];
	/* Its own. */
	char **argv;
	int argc, at;
	const char *letters; /* what is left of "-fg" */
	bool only_words;
};

/* argv[0] is the command's name and is not looked at; argv's pointers are
 * moved so that the words come first. */
void args_begin(struct args *a, const struct args_command *command, int argc,
		char **argv);
/* The next option's id, or ARGS_*. */
int args_next(struct args *a);
/* The verb of this name; NULL, and a->wrong says what was meant. */
const struct args_verb *args_verb(struct args *a, const char *name);
/* What a program says that cannot take its arguments: its name, why, that
 * nothing was done, and where help is.  What was typed and is no text becomes
 * '?'. */
void args_refuse(const struct args_command *command, const char *words,
		 struct buf *out);
/* What --help prints. */
void args_help(const struct args_command *command, struct buf *out);

#endif
