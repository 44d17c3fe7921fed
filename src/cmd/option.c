/*
 * cmd/option.c - the words of the command line, and what is wrong with them
 *
 * One line for a wrong word: which one, which was meant, where the right ones
 * stand.  The whole help would hide it.
 */
#include "base/near.h"
#include "cmd/commands.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static const char *nearest(struct span word, const char *best,
			   const char *other, unsigned *least)
{
	unsigned slips = near_slips(word, span_str(other));

	if (slips >= *least)
		return best;
	*least = slips;
	return other;
}

int command_no_such(const char *name, const char *what, const char *word,
		    const char *const *words)
{
	const char *best = NULL;
	unsigned least = NEAR_FAR;

	for (; *words != NULL; words++)
		best = nearest(span_str(word), best, *words, &least);
	if (near_enough(span_str(word), least))
		fprintf(stderr,
			"%s: there is no %s '%s'; did you mean '%s'? Nothing "
			"was done; see `%s --help`\n",
			name, what, word, best, name);
	else
		fprintf(stderr,
			"%s: there is no %s '%s'. Nothing was done; see `%s "
			"--help`\n",
			name, what, word, name);
	return EX_USAGE;
}

static void no_such_option(const char *name, const char *word,
			   const struct option *longs)
{
	struct span text = span_str(word + 2);
	ptrdiff_t end = span_find(text, '=');
	const char *best = NULL;
	unsigned least = NEAR_FAR;

	if (end >= 0)
		text.len = (size_t)end;
	for (; longs->name != NULL; longs++)
		best = nearest(text, best, longs->name, &least);
	fprintf(stderr, "mtaq %s: there is no option '--%.*s'", name,
		(int)text.len, text.p);
	if (near_enough(text, least))
		fprintf(stderr, "; did you mean '--%s'?", best);
	else
		fputc('.', stderr);
}

/* optopt after '?': 0 for a long option that is unknown or could be several, a
 * letter that is unknown, or an option that stands there with "=value". */
static void say_wrong(const char *name, const char *word, int c,
		      const struct option *longs)
{
	if (c == ':' && strncmp(word, "--", 2) == 0)
		fprintf(stderr, "mtaq %s: '%s' wants a value.", name, word);
	else if (c == ':')
		fprintf(stderr, "mtaq %s: '-%c' wants a value.", name, optopt);
	else if (optopt == 0)
		no_such_option(name, word, longs);
	else if (strncmp(word, "--", 2) == 0 && strchr(word, '=') != NULL)
		fprintf(stderr, "mtaq %s: '%s': this option takes no value.",
			name, word);
	else
		fprintf(stderr, "mtaq %s: there is no option '-%c'.", name,
			optopt);
	fprintf(stderr, " Nothing was done; see `mtaq %s --help`\n", name);
}

int command_option(int argc, char **argv, const char *letters,
		   const struct option *longs, int *at)
{
	int c;

	opterr = 0;
	c = getopt_long(argc, argv, letters, longs, at);
	if (c != '?' && c != ':')
		return c;
	say_wrong(argv[0], argv[optind - 1], c, longs);
	return '?';
}
