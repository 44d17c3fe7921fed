/*
 * base/args.c - a command's arguments by one table
 *
 * Words are moved to the front of argv as they are met: at most `at` of them
 * have been seen, so nothing that is still to be read is written over.
 */
#include "base/args.h"

#include "base/bug.h"
#include "base/near.h"

#include <stdarg.h>
#include <stdio.h>

#define NAMES_MAX 64u /* options or verbs of a command */

/* What is wrong, with what the user typed made harmless for a terminal. */
static int __attribute__((format(printf, 2, 3)))
wrong(struct args *a, const char *fmt, ...)
{
	va_list ap;
	char *p;

	va_start(ap, fmt);
	(void)vsnprintf(a->wrong, sizeof(a->wrong), fmt, ap);
	va_end(ap);
	for (p = a->wrong; *p != '\0'; p++)
		if ((unsigned char)*p < 32 || *p == 127)
			*p = '?';
	return ARGS_WRONG;
}

void args_begin(struct args *a, const struct args_command *command, int argc,
		char **argv)
{
	*a = (struct args){ .command = command,
			    .argc = argc,
			    .argv = argv + (argc > 0),
			    .words = argv + (argc > 0) };
	a->argc -= argc > 0;
}

static const struct args_option *option_named(const struct args *a,
					      struct span name)
{
	const struct args_option *o;

	for (o = a->command->options; o->name != NULL; o++)
		if (span_eq(span_str(o->name), name))
			return o;
	return NULL;
}

static const struct args_option *option_lettered(const struct args *a, char c)
{
	const struct args_option *o;

	for (o = a->command->options; o->name != NULL; o++)
		if (o->letter == c)
			return o;
	return NULL;
}

static int unknown(struct args *a, struct span name)
{
	const char *names[NAMES_MAX] = { "help" }, *meant;
	const struct args_option *o;
	size_t n = 1;

	for (o = a->command->options; o->name != NULL; o++) {
		BUG_ON(n == NAMES_MAX);
		names[n++] = o->name;
	}
	meant = near_name(name, names, n);
	if (meant != NULL)
		return wrong(
			a, "there is no option '--%.*s'; did you mean '--%s'?",
			(int)name.len, name.p, meant);
	return wrong(a, "there is no option '--%.*s'", (int)name.len, name.p);
}

/* "a|b|c": is text one of them? */
static bool is_choice(const char *choices, const char *text)
{
	struct span rest = span_str(choices), word = span_str(text);
	ptrdiff_t bar;

	while ((bar = span_find(rest, '|')) >= 0) {
		if (span_eq(span_of(rest.p, (size_t)bar), word))
			return true;
		rest = span_of(rest.p + bar + 1, rest.len - (size_t)bar - 1);
	}
	return span_eq(rest, word);
}

static int give(struct args *a, const struct args_option *o, const char *value)
{
	a->option = o;
	a->value = value;
	if (o->value != NULL && strchr(o->value, '|') != NULL &&
	    !is_choice(o->value, value))
		return wrong(a, "--%s is %s, not '%s'", o->name, o->value,
			     value);
	return o->id;
}

/* The value of o that is an argument of its own. */
static int give_next(struct args *a, const struct args_option *o)
{
	if (a->at == a->argc)
		return wrong(a, "'%s' wants a value", a->argv[a->at - 1]);
	return give(a, o, a->argv[a->at++]);
}

static int take_name(struct args *a, const char *text)
{
	struct span name = span_str(text);
	ptrdiff_t equals = span_find(name, '=');
	const struct args_option *o;

	if (equals >= 0)
		name.len = (size_t)equals;
	if (span_eq(name, SPAN("help")))
		return equals < 0
			       ? ARGS_HELP
			       : wrong(a, "'--%s': this option takes no value",
				       text);
	o = option_named(a, name);
	if (o == NULL)
		return unknown(a, name);
	if (equals >= 0 && o->value == NULL)
		return wrong(a, "'--%s': this option takes no value", text);
	if (equals >= 0)
		return give(a, o, text + equals + 1);
	return o->value == NULL ? give(a, o, NULL) : give_next(a, o);
}

static int take_letter(struct args *a)
{
	char c = *a->letters++;
	const struct args_option *o = option_lettered(a, c);
	const char *value = a->letters;

	if (c == 'h' && o == NULL)
		return ARGS_HELP;
	if (o == NULL)
		return wrong(a, "there is no option '-%c'", c);
	if (o->value == NULL)
		return give(a, o, NULL);
	a->letters = NULL;
	if (value[0] == '\0')
		return give_next(a, o);
	return give(a, o, value);
}

int args_next(struct args *a)
{
	char *arg;

	if (a->letters != NULL && a->letters[0] != '\0')
		return take_letter(a);
	a->letters = NULL;
	while (a->at < a->argc) {
		arg = a->argv[a->at++];
		if (a->only_words || arg[0] != '-' || arg[1] == '\0') {
			a->words[a->word_count++] = arg;
		} else if (strcmp(arg, "--") == 0) {
			a->only_words = true;
		} else if (arg[1] == '-') {
			return take_name(a, arg + 2);
		} else {
			a->letters = arg + 1;
			return take_letter(a);
		}
	}
	return ARGS_END;
}

const struct args_verb *args_verb(struct args *a, const char *name)
{
	const char *names[NAMES_MAX], *meant;
	const struct args_verb *v;
	size_t n = 0;

	for (v = a->command->verbs; v->name != NULL; v++) {
		if (strcmp(v->name, name) == 0)
			return v;
		BUG_ON(n == NAMES_MAX);
		names[n++] = v->name;
	}
	meant = near_name(span_str(name), names, n);
	if (meant != NULL)
		wrong(a, "there is no command '%s'; did you mean '%s'?", name,
		      meant);
	else
		wrong(a, "there is no command '%s'", name);
	return NULL;
}
