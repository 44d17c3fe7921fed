/*
 * options/man.c - the option table as the source of mtaq.yaml(5)
 *
 * scdoc(5) reads '_', '*' and '\' as marks, and a few more at the beginning
 * of a line: everything that is not a letter or digit gets a backslash.
 */
#include "options/print.h"

static const char head[] =
	"mtaq.yaml(5)\n\n"
	"# NAME\n\n"
	"mtaq.yaml - the configuration of mtaq\n\n"
	"# DESCRIPTION\n\n"
	"*mtaq*(1) reads its configuration from the file that *-c* names, else "
	"the one in\n*MTAQ_CONFIG*, else _/etc/mtaq/mtaq.yaml_. The file is "
	"YAML: names and values,\nnested as the dots below say. Every option "
	"but *hostname* has a default. Unknown\nand doubled names are refused, "
	"with the place and the nearest name that exists;\n*mtaq check* tells "
	"before the daemon does. A change is in force after the daemon\nwas "
	"started again.\n\n"
	"# UNITS\n\n"
	"Durations have a unit: *ms*, *s*, *m* (minutes), *h*, *d*, *w*, "
	"together too, as\n*1h30m*.\n\n"
	"Sizes are octets, or have one: *KiB*, *MiB*, *GiB*, *TiB* (powers of "
	"1024), *kB*,\n*MB*, *GB*, *TB* (powers of 1000).\n\n"
	"# OPTIONS\n\n";

static const char tail[] =
	"# PROMISES\n\n"
	"Whatever the options say, mail that was accepted is on disk before "
	"the submitter\nhears so, and survives *kill -9*, a kernel crash and a "
	"power cut.\n\n"
	"What a server answered to the final dot is written down too, but the "
	"dots of other\nsessions do not wait for it: after a power cut at most "
	"*max_unsynced_outcomes*\nmessages a worker may be sent twice. "
	"Smaller is safer, larger is faster.\n\n"
	"*unsure* and *smtp.timeout.dot* also decide between late and "
	"doubled: a connection\nthat broke before the dot was answered may "
	"have delivered the mail.\n\n"
	"# EXAMPLES\n\n"
	"All that must be set:\n\n"
	"```\n"
	"hostname: mail.example.net\n"
	"```\n\n"
	"Two resolvers, two addresses to send from, one domain by a relay of "
	"its own, and\nfewer attempts:\n\n"
	"```\n"
	"hostname: mail.example.net\n"
	"dns:\n"
	"  servers: [127.0.0.1:53, \"[::1]:53\"]\n"
	"smtp:\n"
	"  sources: [192.0.2.10, 192.0.2.11]\n"
	"routes:\n"
	"  example.org: relay.example.org:587\n"
	"retry: [10m, 30m, 2h]\n"
	"age_limit: 2d\n"
	"```\n\n"
	"# FILES\n\n"
	"_/etc/mtaq/mtaq.yaml_\n"
	"\tThe configuration.\n\n"
	"# SEE ALSO\n\n"
	"*mtaq*(1), *mtaq-check*(1), *mtaq-run*(1)\n";

static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == ' ' || c == ',';
}

static void add_text(struct buf *out, struct span text)
{
	size_t i;

	for (i = 0; i < text.len; i++) {
		if (!is_plain(text.p[i]))
			(void)buf_add_char(out, '\\');
		(void)buf_add_char(out, text.p[i]);
	}
}

static void add_option(struct buf *out, const struct option_row *o)
{
	struct buf range;

	(void)buf_add_char(out, '*');
	add_text(out, span_str(o->name));
	(void)buf_add_span(out, SPAN("*\n\t"));
	add_text(out, span_str(o->help));
	(void)buf_add_span(out, SPAN("\n\n\tTakes "));
	buf_init(&range, 4096);
	option_print_range(o, &range);
	add_text(out, span_of(range.p, range.len));
	if (range.failed < 0)
		out->failed = range.failed;
	buf_free(&range);
	if (*o->standard == '\0') {
		(void)buf_add_span(out, SPAN("; empty by default.\n\n"));
		return;
	}
	(void)buf_add_span(out, SPAN("; default *"));
	add_text(out, span_str(o->standard));
	(void)buf_add_span(out, SPAN("*.\n\n"));
}

void options_print_man(struct buf *out)
{
	const struct option_row *o;
	size_t i;

	(void)buf_add_span(out, span_str(head));
	for (i = 0; i < option_count; i++) {
		o = &option_table[i];
		if (o->type != OPTION_SECTION) {
			add_option(out, o);
			continue;
		}
		(void)buf_add_span(out, SPAN("## "));
		(void)buf_add_span(out, span_str(o->name));
		(void)buf_add_span(out, SPAN("\n\n"));
		add_text(out, span_str(o->help));
		(void)buf_add_span(out, SPAN("\n\n"));
	}
	(void)buf_add_span(out, span_str(tail));
}
