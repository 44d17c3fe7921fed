/*
 * base/args_help.c - what --help says
 *
 *	usage: mtaq queue list ...
 *	       mtaq queue show ...
 *
 *	Paragraphs about it.
 *
 *	  list    verbs
 *
 *	  -c, --config FILE  options, in two columns
 *
 *	Paragraphs behind them.
 *
 * No line is longer than WIDTH, but for words that are.
 * tools/make_completion.py reads it.
 */
#include "base/args.h"

#include "base/bug.h"

#include <stdio.h>

#define WIDTH    79u
#define LEFT_MAX 26u /* of the left column; what is wider has its own line */

/* text, begun at column indent; what does not fit goes on there. */
static void wrap(struct buf *out, size_t indent, struct span text)
{
	size_t column = indent, len;
	ptrdiff_t blank;
	bool first = true;

	while (text.len > 0) {
		blank = span_find(text, ' ');
		len = blank < 0 ? text.len : (size_t)blank;
		if (!first && column + 1 + len > WIDTH) {
			buf_printf(out, "\n%*s", (int)indent, "");
			column = indent;
		} else if (!first) {
			buf_add_char(out, ' ');
			column++;
		}
		buf_add(out, text.p, len);
		column += len;
		first = false;
		len += blank >= 0;
		text = span_of(text.p + len, text.len - len);
	}
	buf_add_char(out, '\n');
}

/* Cut the text in front of the mark off; false: there is none left. */
static bool cut(struct span *rest, const char *mark, struct span *part_r)
{
	size_t len = strlen(mark), i;

	if (rest->len == 0)
		return false;
	for (i = 0; i + len <= rest->len; i++)
		if (memcmp(rest->p + i, mark, len) == 0)
			break;
	if (i + len > rest->len)
		i = rest->len;
	*part_r = span_of(rest->p, i);
	len = i == rest->len ? 0 : len;
	*rest = span_of(rest->p + i + len, rest->len - i - len);
	return true;
}

static void add_paragraphs(struct buf *out, const char *text)
{
	struct span rest = span_str(text), part;

	while (cut(&rest, "\n\n", &part)) {
		buf_add_char(out, '\n');
		wrap(out, 0, part);
	}
}

static void add_usage(struct buf *out, const char *usage)
{
	struct span rest = span_str(usage), line;
	const char *before = "usage: ";

	while (cut(&rest, "\n", &line)) {
		buf_printf(out, "%s%.*s\n", before, (int)line.len, line.p);
		before = "       ";
	}
}

static int left(char *text, size_t size, const struct args_option *o)
{
	char letter[5] = "    ";

	if (o->letter != 0)
		(void)snprintf(letter, sizeof(letter), "-%c, ", o->letter);
	return snprintf(text, size, "  %s--%s%s%s", letter, o->name,
			o->value == NULL ? "" : " ",
			o->value == NULL ? "" : o->value);
}

static void add_pair(struct buf *out, const char *text, size_t width,
		     const char *help)
{
	size_t len = strlen(text);

	buf_printf(out, "%s", text);
	if (len + 2 > width) {
		buf_add_char(out, '\n');
		len = 0;
	}
	buf_printf(out, "%*s", (int)(width - len), "");
	wrap(out, width, span_str(help));
}

static void add_options(struct buf *out, const struct args_option *options)
{
	static const struct args_option help = { "help", 'h', NULL,
						 "what the command does", 0 };
	const struct args_option *o;
	char text[128];
	size_t width = 0, len;

	for (o = options; o->name != NULL; o++) {
		len = (size_t)left(text, sizeof(text), o) + 2;
		BUG_ON(len > sizeof(text));
		if (len > width && len <= LEFT_MAX)
			width = len;
	}
	buf_add_char(out, '\n');
	for (o = options; o->name != NULL; o++) {
		(void)left(text, sizeof(text), o);
		add_pair(out, text, width, o->help);
	}
	(void)left(text, sizeof(text), &help);
	add_pair(out, text, width, help.help);
}

static void add_verbs(struct buf *out, const struct args_verb *verbs)
{
	const struct args_verb *v;
	char text[64];
	size_t width = 0, len;

	for (v = verbs; v->name != NULL; v++) {
		len = strlen(v->name) + 4;
		width = len > width ? len : width;
	}
	buf_add_char(out, '\n');
	for (v = verbs; v->name != NULL; v++) {
		(void)snprintf(text, sizeof(text), "  %s", v->name);
		add_pair(out, text, width, v->help);
	}
}

void args_refuse(const struct args_command *command, const char *words,
		 struct buf *out)
{
	size_t at = out->len + strlen(command->name);

	buf_printf(out, "%s: %s%s Nothing was done; see `%s --help`\n",
		   command->name, words,
		   words[0] != '\0' && words[strlen(words) - 1] == '?' ? ""
								       : ".",
		   command->name);
	for (; !out->failed && at + 1 < out->len; at++)
		if ((unsigned char)out->p[at] < 32 || out->p[at] == 127)
			out->p[at] = '?';
}

void args_help(const struct args_command *command, struct buf *out)
{
	add_usage(out, command->usage);
	add_paragraphs(out, command->about);
	if (command->verbs != NULL)
		add_verbs(out, command->verbs);
	add_options(out, command->options);
	add_paragraphs(out, command->more);
}
