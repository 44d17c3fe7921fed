/*
 * options/print.c - values, and the option table, as text
 */
#include "options/print.h"

#include "base/bug.h"

static const void *field(const struct option_row *o, const struct settings *set)
{
	return (const char *)set + o->offset;
}

/* A word in double quotes, as both YAML and JSON read it. */
static void print_quoted(const char *s, struct buf *out)
{
	(void)buf_add_char(out, '"');
	for (; *s != '\0'; s++) {
		if ((unsigned char)*s < 32) {
			(void)buf_printf(out, "\\u%04x",
					 (unsigned)(unsigned char)*s);
			continue;
		}
		if (*s == '"' || *s == '\\')
			(void)buf_add_char(out, '\\');
		(void)buf_add_char(out, *s);
	}
	(void)buf_add_char(out, '"');
}

/* May it stand in YAML without quotes?  Only what cannot be taken for
 * anything else. */
static bool is_plain(const char *s)
{
	static const char ok[] = "abcdefghijklmnopqrstuvwxyz"
				 "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "0123456789/._-";

	return *s != '\0' && *s != '-' && s[strspn(s, ok)] == '\0';
}

static void print_word(const char *s, bool json, struct buf *out)
{
	if (!json && is_plain(s))
		(void)buf_add_span(out, span_str(s));
	else
		print_quoted(s, out);
}

static void print_endpoint(const struct settings_endpoint *e, struct buf *out)
{
	(void)buf_printf(
		out, strchr(e->host, ':') != NULL ? "\"[%s]:%u\"" : "\"%s:%u\"",
		e->host, (unsigned)e->port);
}

static void print_list(const struct option_row *o, const struct settings *set,
		       bool json, struct buf *out)
{
	const struct settings_times *t = field(o, set);
	const struct settings_words *w = field(o, set);
	const struct settings_endpoints *e = field(o, set);
	uint32_t i, n = o->type == OPTION_TIMES       ? t->count
			: o->type == OPTION_ADDRESSES ? w->count
						      : e->count;

	(void)buf_add_char(out, '[');
	for (i = 0; i < n; i++) {
		if (i > 0)
			(void)buf_add_span(out, SPAN(", "));
		if (o->type == OPTION_ADDRESSES) {
			print_quoted(w->items[i], out);
		} else if (o->type == OPTION_SERVERS) {
			print_endpoint(&e->items[i], out);
		} else {
			if (json)
				(void)buf_add_char(out, '"');
			option_print_duration(t->items_s[i] * 1000ull, out);
			if (json)
				(void)buf_add_char(out, '"');
		}
	}
	(void)buf_add_char(out, ']');
}

static void print_routes(const struct settings_routes *r, struct buf *out)
{
	uint32_t i;

	(void)buf_add_char(out, '{');
	for (i = 0; i < r->count; i++) {
		(void)buf_add_span(out, i > 0 ? SPAN(", ") : SPAN(" "));
		print_quoted(r->items[i].domain, out);
		(void)buf_add_span(out, SPAN(": "));
		print_endpoint(&r->items[i].to, out);
	}
	(void)buf_add_span(out, r->count > 0 ? SPAN(" }") : SPAN("}"));
}

static void print_quantity(const struct option_row *o, uint64_t n, bool json,
			   struct buf *out)
{
	if (json)
		(void)buf_add_char(out, '"');
	if (o->type == OPTION_MS || o->type == OPTION_SECONDS)
		option_print_duration(o->type == OPTION_MS ? n : n * 1000, out);
	else
		option_print_size(n, out);
	if (json)
		(void)buf_add_char(out, '"');
}

static void print_number(const struct option_row *o, const void *at, bool json,
			 struct buf *out)
{
	uint32_t n = o->type == OPTION_PORT ? *(const uint16_t *)at
					    : *(const uint32_t *)at;

	if (o->type == OPTION_AUTO && n == 0)
		print_word("auto", json, out);
	else
		(void)buf_printf(out, "%u", n);
}

void option_print(const struct option_row *o, const struct settings *set,
		  bool json, struct buf *out)
{
	const void *at = field(o, set);
	unsigned choice;
	const char *text;

	switch (o->type) {
	case OPTION_SECTION:
		BUG_ON(true);
	case OPTION_HOSTNAME:
	case OPTION_WORD:
	case OPTION_PATH:
	case OPTION_LOCAL:
		text = *(char *const *)at;
		print_word(text == NULL ? "" : text, json, out);
		return;
	case OPTION_NUMBER:
	case OPTION_AUTO:
	case OPTION_PORT:
		print_number(o, at, json, out);
		return;
	case OPTION_MS:
	case OPTION_BYTES:
		print_quantity(o, *(const uint64_t *)at, json, out);
		return;
	case OPTION_SECONDS:
	case OPTION_BYTES32:
		print_quantity(o, *(const uint32_t *)at, json, out);
		return;
	case OPTION_BOOL:
		text = *(const bool *)at ? "yes" : "no";
		if (json)
			text = *(const bool *)at ? "true" : "false";
		(void)buf_add_span(out, span_str(text));
		return;
	case OPTION_CHOICE:
		memcpy(&choice, at, sizeof(choice));
		print_word(o->choices[choice], json, out);
		return;
	case OPTION_TIMES:
	case OPTION_ADDRESSES:
	case OPTION_SERVERS:
		print_list(o, set, json, out);
		return;
	case OPTION_ROUTES:
		print_routes(field(o, set), out);
		return;
	}
}

static void print_bounds(const struct option_row *o, struct buf *out)
{
	struct option_row item = *o;

	if (o->type == OPTION_TIMES)
		item.type = OPTION_SECONDS;
	print_quantity(&item, o->min, false, out);
	(void)buf_add_span(out, SPAN(" to "));
	print_quantity(&item, o->max, false, out);
}

static void print_choices(const struct option_row *o, struct buf *out)
{
	size_t i;

	for (i = 0; o->choices[i] != NULL; i++)
		(void)buf_printf(out, "%s%s",
				 i == 0                      ? ""
				 : o->choices[i + 1] == NULL ? " or "
							     : ", ",
				 o->choices[i]);
}

void option_print_range(const struct option_row *o, struct buf *out)
{
	const char *text = "";

	switch (o->type) {
	case OPTION_NUMBER:
	case OPTION_PORT:
	case OPTION_AUTO:
		(void)buf_printf(out, "%s%llu to %llu",
				 o->type == OPTION_AUTO ? "auto or " : "",
				 (unsigned long long)o->min,
				 (unsigned long long)o->max);
		return;
	case OPTION_MS:
	case OPTION_SECONDS:
	case OPTION_BYTES:
	case OPTION_BYTES32:
		print_bounds(o, out);
		return;
	case OPTION_TIMES:
		(void)buf_add_span(out, SPAN("a list of durations, each "));
		print_bounds(o, out);
		return;
	case OPTION_CHOICE:
		print_choices(o, out);
		return;
	case OPTION_BOOL:
		text = "yes or no";
		break;
	case OPTION_HOSTNAME:
		text = "a host name or [address]";
		break;
	case OPTION_PATH:
		text = o->min > 0 ? "an absolute path"
				  : "an absolute path or nothing";
		break;
	case OPTION_LOCAL:
		text = "a loopback address:port, an absolute path or nothing";
		break;
	case OPTION_WORD:
		text = "a word or nothing";
		break;
	case OPTION_ADDRESSES:
		text = "a list of IP addresses";
		break;
	case OPTION_SERVERS:
		text = "a list of IP address:port";
		break;
	case OPTION_ROUTES:
		text = "a map of domain to host:port";
		break;
	case OPTION_SECTION:
		BUG_ON(true);
	}
	(void)buf_add_span(out, span_str(text));
}
