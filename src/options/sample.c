/*
 * options/sample.c - the sample file, the manual and the settings in force
 *
 * All three walk the rows of the table in order; a name with dots stands
 * under its section, indented by two blanks a dot.
 */
#include "options/print.h"

#define WIDTH 79u

static unsigned depth_of(const char *name)
{
	unsigned n = 0;

	for (; *name != '\0'; name++)
		n += *name == '.';
	return n;
}

static const char *last_of(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot == NULL ? name : dot + 1;
}

static void indent(struct buf *out, unsigned depth)
{
	(void)buf_printf(out, "%*s", (int)(2 * depth), "");
}

/* Text in lines of at most WIDTH, each behind the indent and "# ". */
static void print_comment(struct buf *out, unsigned depth, const char *text)
{
	size_t room = WIDTH - 2 * depth - 2, len;

	while (*text != '\0') {
		len = strlen(text);
		if (len > room)
			for (len = room; len > 0 && text[len] != ' ';)
				len--;
		if (len == 0)
			len = strcspn(text, " ");
		indent(out, depth);
		(void)buf_printf(out, "# %.*s\n", (int)len, text);
		text += len;
		text += strspn(text, " ");
	}
}

static void print_help(struct buf *out, const struct option_row *o)
{
	struct buf text;

	buf_init(&text, 4096);
	(void)buf_add_span(&text, span_str(o->help));
	if (o->type != OPTION_SECTION) {
		(void)buf_add_span(&text, SPAN(" ("));
		option_print_range(o, &text);
		(void)buf_add_char(&text, ')');
	}
	if (buf_add_char(&text, '\0') == 0)
		print_comment(out, depth_of(o->name), text.p);
	else
		out->failed = text.failed;
	buf_free(&text);
}

void options_print_sample(struct buf *out)
{
	const struct option_row *o;
	size_t i;

	(void)buf_add_span(out, SPAN("# mtaq.yaml - the configuration of mtaq, "
				     "every option at its default.\n"
				     "# Only hostname must be set. "
				     "`mtaq check` tells whether all is "
				     "well.\n"));
	for (i = 0; i < option_count; i++) {
		o = &option_table[i];
		if (depth_of(o->name) == 0 || o->type == OPTION_SECTION)
			(void)buf_add_char(out, '\n');
		print_help(out, o);
		indent(out, depth_of(o->name));
		if (o->type == OPTION_SECTION)
			(void)buf_printf(out, "%s:\n", last_of(o->name));
		else
			(void)buf_printf(out, "%s: %s\n", last_of(o->name),
					 *o->standard == '\0' ? "\"\""
							      : o->standard);
	}
}

void options_print_manual(struct buf *out)
{
	const struct option_row *o;
	size_t i;

	(void)buf_add_span(
		out,
		SPAN("# mtaq.yaml\n\n"
		     "The configuration, read from the file that `-c` or "
		     "`MTAQ_CONFIG` names, else from\n"
		     "`/etc/mtaq/mtaq.yaml`. Unknown and doubled names are "
		     "refused; `mtaq check` says where and why.\n"
		     "Durations have a unit (`250ms`, `30s`, `6m`, `1h30m`, "
		     "`5d`), sizes may (`50MiB`, `1GB`, octets without).\n"));
	for (i = 0; i < option_count; i++) {
		o = &option_table[i];
		if (o->type == OPTION_SECTION) {
			(void)buf_printf(out, "\n## %s\n%s\n", o->name,
					 o->help);
			continue;
		}
		(void)buf_printf(out, "\n### %s\n%s\n\nTakes ", o->name,
				 o->help);
		option_print_range(o, out);
		if (*o->standard == '\0')
			(void)buf_add_span(out, SPAN("; empty by default.\n"));
		else
			(void)buf_printf(out, "; default `%s`.\n", o->standard);
	}
}

static void print_yaml(const struct settings *set, struct buf *out)
{
	const struct option_row *o;
	size_t i;

	for (i = 0; i < option_count; i++) {
		o = &option_table[i];
		indent(out, depth_of(o->name));
		(void)buf_printf(out, "%s:", last_of(o->name));
		if (o->type != OPTION_SECTION) {
			(void)buf_add_char(out, ' ');
			option_print(o, set, false, out);
		}
		(void)buf_add_char(out, '\n');
	}
}

static void print_json(const struct settings *set, struct buf *out)
{
	const struct option_row *o;
	unsigned depth = 0, want;
	bool first = true;
	size_t i;

	(void)buf_add_char(out, '{');
	for (i = 0; i < option_count; i++) {
		o = &option_table[i];
		want = depth_of(o->name);
		for (; depth > want; depth--)
			(void)buf_add_char(out, '}');
		(void)buf_printf(out, "%s\"%s\":", first ? "" : ",",
				 last_of(o->name));
		first = o->type == OPTION_SECTION;
		if (first) {
			(void)buf_add_char(out, '{');
			depth++;
		} else {
			option_print(o, set, true, out);
		}
	}
	for (; depth > 0; depth--)
		(void)buf_add_char(out, '}');
	(void)buf_add_span(out, SPAN("}\n"));
}

void options_print_settings(const struct settings *set, bool json,
			    struct buf *out)
{
	if (json)
		print_json(set, out);
	else
		print_yaml(set, out);
}
