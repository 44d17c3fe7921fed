/*
 * options/set.c - a text becomes the field of an option
 *
 * One small function for each kind of value; each says why when it refuses.
 */
#include "base/bug.h"
#include "options/option.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct why {
	char *p;
	size_t size;
};

static int refuse(struct why why, const char *words)
{
	if (why.size > 0)
		(void)snprintf(why.p, why.size, "%s", words);
	return -EINVAL;
}

static int refuse_range(struct why why, const struct option_row *o)
{
	struct buf range;

	buf_init(&range, 256);
	option_print_range(o, &range);
	if (why.size > 0)
		(void)snprintf(why.p, why.size, "must be %.*s", (int)range.len,
			       range.p == NULL ? "" : range.p);
	buf_free(&range);
	return -EINVAL;
}

static void *field(const struct option_row *o, struct settings *set)
{
	return (char *)set + o->offset;
}

static char *copy_of(struct span text)
{
	char *p = malloc(text.len + 1);

	if (p == NULL)
		return NULL;
	if (text.len > 0)
		memcpy(p, text.p, text.len);
	p[text.len] = '\0';
	return p;
}

static int set_string(struct settings *set, const struct option_row *o,
		      struct span text)
{
	char **at = field(o, set);
	char *copy = copy_of(text);

	if (copy == NULL)
		return -ENOMEM;
	free(*at);
	*at = copy;
	return 0;
}

static bool has_control(struct span text)
{
	size_t i;

	for (i = 0; i < text.len; i++)
		if ((unsigned char)text.p[i] < 32 || text.p[i] == 127)
			return true;
	return false;
}

static bool is_literal(struct span t)
{
	if (t.len < 3 || t.p[0] != '[' || t.p[t.len - 1] != ']')
		return false;
	t = span_of(t.p + 1, t.len - 2);
	if (span_starts_nocase(t, SPAN("IPv6:")))
		t = span_of(t.p + 5, t.len - 5);
	return option_is_ip(t);
}

/* 127.0.0.0/8 or ::1, and a port. */
static bool is_loopback(struct span text)
{
	struct settings_endpoint to = { NULL, 0 };
	bool is = option_endpoint(text, 0, &to) == 0 &&
		  option_is_ip(span_str(to.host)) &&
		  (strncmp(to.host, "127.", 4) == 0 ||
		   strcmp(to.host, "::1") == 0);

	free(to.host);
	return is;
}

static int set_text(struct settings *set, const struct option_row *o,
		    struct span text, struct why why)
{
	if (text.len > o->max || text.len < o->min)
		return refuse(why, text.len == 0 ? "must not be empty"
						 : "is too long");
	if (has_control(text))
		return refuse(why, "has a control character in it");
	if (o->type == OPTION_PATH && text.len > 0 && text.p[0] != '/')
		return refuse(why, "must be an absolute path, from / on");
	if (o->type == OPTION_LOCAL && text.len > 0 && text.p[0] != '/' &&
	    !is_loopback(text))
		return refuse(why, "must be an absolute path, or a loopback "
				   "address with its port, as 127.0.0.1:9525 "
				   "or [::1]:9525");
	if (o->type == OPTION_HOSTNAME && text.len > 0 && !is_literal(text) &&
	    (!option_is_name(text) || span_find(text, '.') < 0 ||
	     option_is_ip(text)))
		return refuse(why, "must be a full host name, as "
				   "mail.example.net, or an address in "
				   "brackets, as [192.0.2.1]");
	return set_string(set, o, text);
}

static int set_number(struct settings *set, const struct option_row *o,
		      struct span text, struct why why)
{
	uint64_t n;

	if (o->type == OPTION_AUTO && span_eq(text, SPAN("auto"))) {
		*(uint32_t *)field(o, set) = 0;
		return 0;
	}
	if (!span_u64(text, UINT64_MAX, &n) || n < o->min || n > o->max)
		return refuse_range(why, o);
	if (o->type == OPTION_PORT)
		*(uint16_t *)field(o, set) = (uint16_t)n;
	else
		*(uint32_t *)field(o, set) = (uint32_t)n;
	return 0;
}

static int parse_seconds(const struct option_row *o, struct span text,
			 uint64_t *s_r, struct why why)
{
	uint64_t ms;

	if (option_duration(text, &ms) < 0)
		return refuse(why, "must be a duration with a unit, as 30s, "
				   "6m, 2h or 5d");
	if (ms % 1000 != 0)
		return refuse(why, "must be whole seconds");
	if (ms / 1000 < o->min || ms / 1000 > o->max)
		return refuse_range(why, o);
	*s_r = ms / 1000;
	return 0;
}

static int set_duration(struct settings *set, const struct option_row *o,
			struct span text, struct why why)
{
	uint64_t n;
	int r;

	if (o->type == OPTION_SECONDS) {
		r = parse_seconds(o, text, &n, why);
		if (r == 0)
			*(uint32_t *)field(o, set) = (uint32_t)n;
		return r;
	}
	if (option_duration(text, &n) < 0)
		return refuse(why, "must be a duration with a unit, as 250ms, "
				   "30s, 6m, 2h or 5d");
	if (n < o->min || n > o->max)
		return refuse_range(why, o);
	*(uint64_t *)field(o, set) = n;
	return 0;
}

static int set_size(struct settings *set, const struct option_row *o,
		    struct span text, struct why why)
{
	uint64_t n;

	if (option_size(text, &n) < 0)
		return refuse(why, "must be a size, as 50MiB (B, KiB, MiB, "
				   "GiB, TiB, kB, MB, GB, TB)");
	if (n < o->min || n > o->max)
		return refuse_range(why, o);
	if (o->type == OPTION_BYTES32)
		*(uint32_t *)field(o, set) = (uint32_t)n;
	else
		*(uint64_t *)field(o, set) = n;
	return 0;
}

static int set_bool(struct settings *set, const struct option_row *o,
		    struct span text, struct why why)
{
	bool yes = span_eq_nocase(text, SPAN("yes")) ||
		   span_eq_nocase(text, SPAN("true")) ||
		   span_eq_nocase(text, SPAN("on"));
	bool no = span_eq_nocase(text, SPAN("no")) ||
		  span_eq_nocase(text, SPAN("false")) ||
		  span_eq_nocase(text, SPAN("off"));

	if (!yes && !no)
		return refuse_range(why, o);
	*(bool *)field(o, set) = yes;
	return 0;
}

static int set_choice(struct settings *set, const struct option_row *o,
		      struct span text, struct why why)
{
	unsigned i;

	for (i = 0; o->choices[i] != NULL; i++)
		if (span_eq(text, span_str(o->choices[i]))) {
			memcpy(field(o, set), &i, sizeof(i));
			return 0;
		}
	return refuse_range(why, o);
}

/* Room for one more item of size bytes; *items moves. */
static int grow(void **items, uint32_t count, size_t size, uint32_t max,
		struct why why)
{
	void *p;

	if (count >= max)
		return refuse(why, "has too many items");
	if ((count & (count - 1)) != 0) /* room up to the next power of two */
		return 0;
	p = realloc(*items, (count == 0 ? 1 : 2 * (size_t)count) * size);
	if (p == NULL)
		return -ENOMEM;
	*items = p;
	return 0;
}

static int add_time(struct settings *set, const struct option_row *o,
		    struct span text, struct why why)
{
	struct settings_times *t = field(o, set);
	void *items = t->items_s;
	uint64_t s;
	int r = parse_seconds(o, text, &s, why);

	if (r == 0)
		r = grow(&items, t->count, sizeof(t->items_s[0]),
			 SETTINGS_TIMES_MAX, why);
	if (r < 0)
		return r;
	t->items_s = items;
	t->items_s[t->count++] = (uint32_t)s;
	return 0;
}

static int add_address(struct settings *set, const struct option_row *o,
		       struct span text, struct why why)
{
	struct settings_words *w = field(o, set);
	void *items = w->items;
	char *copy;
	int r;

	if (!option_is_ip(text))
		return refuse(why, "must be an IP address, as 192.0.2.1 or "
				   "2001:db8::1");
	r = grow(&items, w->count, sizeof(w->items[0]), SETTINGS_LIST_MAX, why);
	if (r < 0)
		return r;
	w->items = items;
	copy = copy_of(text);
	if (copy == NULL)
		return -ENOMEM;
	w->items[w->count++] = copy;
	return 0;
}

static int add_server(struct settings *set, const struct option_row *o,
		      struct span text, struct why why)
{
	struct settings_endpoints *list = field(o, set);
	struct settings_endpoint to = { NULL, 0 };
	void *items = list->items;
	int r = option_endpoint(text, (uint16_t)o->max, &to);

	if (r == -EINVAL || (r == 0 && !option_is_ip(span_str(to.host)))) {
		free(to.host);
		return refuse(why, "must be an IP address and a port, as "
				   "127.0.0.1:53 or [::1]:53");
	}
	if (r == 0)
		r = grow(&items, list->count, sizeof(list->items[0]),
			 SETTINGS_SERVERS_MAX, why);
	if (r < 0) {
		free(to.host);
		return r;
	}
	list->items = items;
	list->items[list->count++] = to;
	return 0;
}

int option_set(const struct option_row *o, struct span text,
	       struct settings *set, char *why_p, size_t why_size)
{
	struct why why = { why_p, why_size };

	switch (o->type) {
	case OPTION_HOSTNAME:
	case OPTION_WORD:
	case OPTION_PATH:
	case OPTION_LOCAL:
		return set_text(set, o, text, why);
	case OPTION_NUMBER:
	case OPTION_AUTO:
	case OPTION_PORT:
		return set_number(set, o, text, why);
	case OPTION_MS:
	case OPTION_SECONDS:
		return set_duration(set, o, text, why);
	case OPTION_BYTES:
	case OPTION_BYTES32:
		return set_size(set, o, text, why);
	case OPTION_BOOL:
		return set_bool(set, o, text, why);
	case OPTION_CHOICE:
		return set_choice(set, o, text, why);
	case OPTION_TIMES:
		return add_time(set, o, text, why);
	case OPTION_ADDRESSES:
		return add_address(set, o, text, why);
	case OPTION_SERVERS:
		return add_server(set, o, text, why);
	case OPTION_SECTION:
	case OPTION_ROUTES:
		break;
	}
	BUG_ON(true);
}

int option_add_route(struct settings *set, struct span domain, struct span to,
		     char *why_p, size_t why_size)
{
	struct why why = { why_p, why_size };
	struct settings_routes *list = &set->routes;
	struct settings_route route = { NULL, { NULL, 0 } };
	void *items = list->items;
	size_t i;
	int r;

	if (!span_eq(domain, SPAN("*")) && !option_is_name(domain))
		return refuse(why, "is neither a domain nor \"*\"");
	r = option_endpoint(to, 0, &route.to);
	if (r == -EINVAL)
		return refuse(why, "must lead to a host and a port, as "
				   "192.0.2.1:25, [2001:db8::1]:25 or "
				   "relay.example.net:25");
	if (r == 0)
		r = grow(&items, list->count, sizeof(list->items[0]),
			 SETTINGS_ROUTES_MAX, why);
	if (r == 0) {
		list->items = items;
		route.domain = copy_of(domain);
		r = route.domain == NULL ? -ENOMEM : 0;
	}
	if (r < 0) {
		free(route.to.host);
		return r;
	}
	for (i = 0; i < domain.len; i++)
		if (route.domain[i] >= 'A' && route.domain[i] <= 'Z')
			route.domain[i] = (char)(route.domain[i] - 'A' + 'a');
	list->items[list->count++] = route;
	return 0;
}

static void clear_endpoints(struct settings_endpoints *e)
{
	while (e->count > 0)
		free(e->items[--e->count].host);
	free(e->items);
	e->items = NULL;
}

static void clear_words(struct settings_words *w)
{
	while (w->count > 0)
		free(w->items[--w->count]);
	free(w->items);
	w->items = NULL;
}

static void clear_routes(struct settings_routes *list)
{
	while (list->count > 0) {
		list->count--;
		free(list->items[list->count].domain);
		free(list->items[list->count].to.host);
	}
	free(list->items);
	list->items = NULL;
}

static void clear_times(struct settings_times *t)
{
	free(t->items_s);
	t->items_s = NULL;
	t->count = 0;
}

void option_clear(const struct option_row *o, struct settings *set)
{
	char **text = field(o, set);

	switch (o->type) {
	case OPTION_HOSTNAME:
	case OPTION_WORD:
	case OPTION_PATH:
	case OPTION_LOCAL:
		free(*text);
		*text = NULL;
		return;
	case OPTION_TIMES:
		clear_times(field(o, set));
		return;
	case OPTION_ADDRESSES:
		clear_words(field(o, set));
		return;
	case OPTION_SERVERS:
		clear_endpoints(field(o, set));
		return;
	case OPTION_ROUTES:
		clear_routes(field(o, set));
		return;
	default:
		return;
	}
}

bool option_is_list(enum option_type type)
{
	return type == OPTION_TIMES || type == OPTION_ADDRESSES ||
	       type == OPTION_SERVERS;
}
