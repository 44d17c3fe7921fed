/*
 * options/load.c - a configuration file becomes struct settings
 *
 *	text -> tree (tree.c) -> each name looked up in the table (table.c)
 *	     -> each value set (set.c) -> rules between options
 *
 * All errors are told, not only the first, as
 *
 *	FILE:12:3: unknown option 'limits.conections'; did you mean
 *	'connections'?
 *	   12 |   conections: 20000
 *	      |   ^
 */
#include "base/bug.h"
#include "base/near.h"
#include "options/option.h"
#include "options/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ERRORS_MAX 20u
#define NAME_BYTES 200u
#define WHY_MAX    300u

struct load {
	const char *name; /* of the file */
	struct span text;
	struct settings set;
	struct buf words;
	unsigned errors;
	int failed; /* -ENOMEM */
};

/* --- telling ------------------------------------------------------------ */

static struct span line_of(struct span text, int line)
{
	ptrdiff_t end;

	for (; line > 1; line--) {
		end = span_find(text, '\n');
		if (end < 0)
			return span_of(NULL, 0);
		text = span_of(text.p + end + 1, text.len - (size_t)end - 1);
	}
	end = span_find(text, '\n');
	if (end >= 0)
		text.len = (size_t)end;
	if (text.len > 0 && text.p[text.len - 1] == '\r')
		text.len--;
	return text;
}

/* The line and a caret under the column.  Controls become blanks, so that a
 * file cannot write to the terminal; UTF-8 octets count once a character. */
static void show_line(struct load *l, int line, int column)
{
	struct span text = line_of(l->text, line);
	int at = 1;
	size_t i;

	if (text.len > 120)
		text.len = 120;
	(void)buf_printf(&l->words, "%5d | ", line);
	for (i = 0; i < text.len; i++)
		(void)buf_add_char(&l->words, (unsigned char)text.p[i] < 32 ||
							      text.p[i] == 127
						      ? ' '
						      : text.p[i]);
	(void)buf_add_span(&l->words, SPAN("\n      | "));
	for (; at < column && at < 120; at++)
		(void)buf_add_char(&l->words, ' ');
	(void)buf_add_span(&l->words, SPAN("^\n"));
}

static void complain(struct load *l, int line, int column, const char *words)
{
	if (++l->errors > ERRORS_MAX)
		return;
	if (line == 0) {
		(void)buf_printf(&l->words, "%s: %s\n", l->name, words);
		return;
	}
	(void)buf_printf(&l->words, "%s:%d:%d: %s\n", l->name, line, column,
			 words);
	show_line(l, line, column);
}

static void __attribute__((format(printf, 3, 4)))
complain_at(struct load *l, const struct node *n, const char *fmt, ...)
{
	char words[1000], *p;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	for (p = words; *p != '\0'; p++) /* names and values are quoted */
		if ((unsigned char)*p < 32 || *p == 127)
			*p = '?';
	complain(l, n == NULL ? 0 : n->line, n == NULL ? 0 : n->column, words);
}

/* --- names ---------------------------------------------------------------- */

static struct span last_part(const char *name)
{
	const char *dot = strrchr(name, '.');

	return span_str(dot == NULL ? name : dot + 1);
}

/* The option meant by a wrong name: the same word elsewhere, or one that is
 * nearly the same, here rather than elsewhere. */
static const struct option_row *meant(const char *name)
{
	struct span word = last_part(name), other;
	const struct option_row *best = NULL;
	unsigned cost, least = NEAR_FAR;
	size_t i, here = (size_t)(word.p - name);

	for (i = 0; i < option_count; i++) {
		other = last_part(option_table[i].name);
		cost = 2 * near_slips(word, other);
		if ((size_t)(other.p - option_table[i].name) != here ||
		    memcmp(option_table[i].name, name, here) != 0)
			cost++;
		if (cost < least) {
			least = cost;
			best = &option_table[i];
		}
	}
	return near_enough(word, least / 2) ? best : NULL;
}

static const struct option_row *find(const char *name)
{
	size_t i;

	for (i = 0; i < option_count; i++)
		if (strcmp(option_table[i].name, name) == 0)
			return &option_table[i];
	return NULL;
}

static void unknown(struct load *l, const struct node *key, const char *name)
{
	const struct option_row *o = meant(name);

	if (o == NULL)
		complain_at(l, key,
			    "unknown option '%s'; `mtaq check --defaults` "
			    "shows all there are",
			    name);
	else
		complain_at(l, key, "unknown option '%s'; did you mean '%s'?",
			    name, o->name);
}

/* --- values --------------------------------------------------------------- */

static void apply(struct load *l, const struct option_row *o,
		  const struct node *n)
{
	char why[WHY_MAX] = "";
	int r;

	if (n->kind != NODE_SCALAR) {
		complain_at(l, n, "%s: one value is wanted here, not a %s",
			    o->name, n->kind == NODE_LIST ? "list" : "map");
		return;
	}
	r = option_set(o, node_span(n), &l->set, why, sizeof(why));
	if (r == -ENOMEM)
		l->failed = r;
	else if (r < 0)
		complain_at(l, n, "%s: '%.100s' %s", o->name, n->text, why);
}

static void apply_list(struct load *l, const struct option_row *o,
		       const struct node *n)
{
	const struct node *item;
	struct buf range;

	if (n->kind == NODE_MAP || (n->kind == NODE_SCALAR && n->len == 0)) {
		buf_init(&range, 256);
		option_print_range(o, &range);
		complain_at(l, n, "%s: must be %.*s", o->name, (int)range.len,
			    range.p == NULL ? "" : range.p);
		buf_free(&range);
		return;
	}
	option_clear(o, &l->set);
	if (n->kind == NODE_SCALAR) {
		apply(l, o, n); /* one item may stand without brackets */
		return;
	}
	for (item = n->first; item != NULL; item = item->next)
		apply(l, o, item);
	if (n->first == NULL && o->min > 0)
		complain_at(l, n, "%s: at least one item is needed", o->name);
}

static int route_order(const void *a, const void *b)
{
	const struct settings_route *x = a, *y = b;

	return strcmp(x->domain, y->domain);
}

static void apply_routes(struct load *l, const struct node *n)
{
	const struct node *item;
	char why[WHY_MAX];
	int r;

	if (n->kind == NODE_SCALAR && n->len == 0)
		return;
	if (n->kind != NODE_MAP) {
		complain_at(l, n,
			    "routes: must be a map of domain to "
			    "host:port, as { \"*\": \"127.0.0.1:2525\" }");
		return;
	}
	for (item = n->first; item != NULL; item = item->next) {
		if (item->kind != NODE_SCALAR) {
			complain_at(l, item,
				    "routes: host:port is wanted here");
			continue;
		}
		r = option_add_route(&l->set, node_span(item->key),
				     node_span(item), why, sizeof(why));
		if (r == -ENOMEM)
			l->failed = r;
		else if (r < 0)
			complain_at(l, item->key, "routes: '%.100s: %.100s' %s",
				    item->key->text, item->text, why);
	}
}

/* Keys that stand twice in one map, without regard to case. */
static int key_order(const void *a, const void *b)
{
	const struct node *x = *(struct node *const *)a;
	const struct node *y = *(struct node *const *)b;
	int r = strcasecmp(x->key->text, y->key->text);

	return r != 0                         ? r
	       : x->key->line != y->key->line ? x->key->line - y->key->line
					      : x->key->column - y->key->column;
}

static void find_doubles(struct load *l, const struct node *map)
{
	const struct node *n;
	const struct node **all;
	size_t count = 0, i;

	for (n = map->first; n != NULL; n = n->next)
		count++;
	all = calloc(count + 1, sizeof(const struct node *));
	if (all == NULL) {
		l->failed = -ENOMEM;
		return;
	}
	for (i = 0, n = map->first; n != NULL; n = n->next)
		all[i++] = n;
	qsort(all, count, sizeof(all[0]), key_order);
	for (i = 1; i < count; i++)
		if (strcasecmp(all[i - 1]->key->text, all[i]->key->text) == 0)
			complain_at(l, all[i]->key,
				    "'%.100s' stands here twice, first in "
				    "line %d",
				    all[i]->key->text, all[i - 1]->key->line);
	free(all);
}

static void apply_map(struct load *l, const char *prefix,
		      const struct node *map)
{
	const struct option_row *o;
	const struct node *n;
	char name[NAME_BYTES];

	find_doubles(l, map);
	for (n = map->first; n != NULL; n = n->next) {
		(void)snprintf(name, sizeof(name), "%s%s%.60s", prefix,
			       *prefix == '\0' ? "" : ".", n->key->text);
		o = find(name);
		if (o == NULL) {
			unknown(l, n->key, name);
		} else if (o->type == OPTION_ROUTES) {
			if (n->kind == NODE_MAP)
				find_doubles(l, n);
			apply_routes(l, n);
		} else if (option_is_list(o->type)) {
			apply_list(l, o, n);
		} else if (o->type != OPTION_SECTION) {
			apply(l, o, n);
		} else if (n->kind == NODE_MAP) {
			apply_map(l, name, n); /* as deep as the table */
		} else if (n->kind != NODE_SCALAR || n->len > 0) {
			complain_at(l, n,
				    "%s: options are wanted here, as "
				    "{ name: value }",
				    name);
		}
	}
}

/* --- the whole ------------------------------------------------------------ */

static int standards(struct settings *set)
{
	const struct option_row *o;
	struct span text, item;
	char why[WHY_MAX];
	ptrdiff_t comma;
	size_t i;
	int r = 0;

	for (i = 0; i < option_count && r == 0; i++) {
		o = &option_table[i];
		if (o->type == OPTION_SECTION || o->type == OPTION_ROUTES)
			continue;
		text = span_str(o->standard);
		if (!option_is_list(o->type)) {
			r = option_set(o, text, set, why, sizeof(why));
			BUG_ON(r == -EINVAL && text.len > 0);
			r = r == -EINVAL ? 0 : r;
			continue;
		}
		text = span_of(text.p + 1, text.len - 2);
		while (text.len > 0 && r == 0) {
			comma = span_find(text, ',');
			item = comma < 0 ? text
					 : span_of(text.p, (size_t)comma);
			text = comma < 0
				       ? span_of(NULL, 0)
				       : span_of(text.p + comma + 1,
						 text.len - (size_t)comma - 1);
			r = option_set(o, span_trim(item), set, why,
				       sizeof(why));
			BUG_ON(r == -EINVAL);
		}
	}
	return r;
}

static void check_together(struct load *l)
{
	const struct settings *s = &l->set;

	if (s->hostname == NULL || *s->hostname == '\0')
		complain_at(l, NULL,
			    "hostname is not set; write the full name of this "
			    "machine, as hostname: mail.example.net");
	if (s->host.bad_first_ms > s->host.bad_max_ms)
		complain_at(l, NULL,
			    "host.bad_first is more than "
			    "host.bad_max");
	if (s->limits.queue_tasks > s->limits.tasks)
		complain_at(l, NULL,
			    "limits.queue_tasks is more than "
			    "limits.tasks");
	if (s->checkpoint.age_s > s->checkpoint.interval_s)
		complain_at(l, NULL,
			    "checkpoint.age is more than "
			    "checkpoint.interval: nothing would ever "
			    "be folded in time");
}

static void read_tree(struct load *l)
{
	struct tree_error error;
	struct node *root = NULL;
	int r = tree_parse(l->text.p, l->text.len, &root, &error);

	if (r == -EINVAL) {
		complain(l, error.line, error.column, error.words);
		return;
	}
	if (r < 0) {
		l->failed = r;
		return;
	}
	if (root != NULL && root->kind == NODE_MAP)
		apply_map(l, "", root);
	else if (root != NULL && (root->kind != NODE_SCALAR || root->len > 0))
		complain_at(l, root,
			    "options are wanted here, as "
			    "hostname: mail.example.net");
	tree_free(&root);
	if (l->errors == 0)
		check_together(l);
}

static void tell(const struct load *l, char *words, size_t size)
{
	if (size == 0)
		return;
	(void)snprintf(words, size, "%.*s", (int)l->words.len,
		       l->words.p == NULL ? "" : l->words.p);
}

int settings_parse(const char *name, const char *text, size_t len,
		   struct settings *set_r, char *words, size_t words_size)
{
	struct load l = { .name = name, .text = span_of(text, len) };
	int r;

	buf_init(&l.words, 64 << 10);
	r = standards(&l.set);
	if (r == 0 && memchr(text, '\0', len) != NULL)
		complain(&l, 0, 0, "has a NUL octet in it: this is no text");
	else if (r == 0)
		read_tree(&l);
	if (l.errors > ERRORS_MAX)
		(void)buf_printf(&l.words, "%s: %u more errors\n", name,
				 l.errors - ERRORS_MAX);
	r = r < 0 ? r : l.failed < 0 ? l.failed : l.errors > 0 ? -EINVAL : 0;
	if (r == -ENOMEM)
		(void)buf_printf(&l.words, "%s: out of memory\n", name);
	tell(&l, words, words_size);
	buf_free(&l.words);
	if (r < 0) {
		settings_free(&l.set);
		return r;
	}
	if (l.set.routes.count > 0)
		qsort(l.set.routes.items, l.set.routes.count,
		      sizeof(l.set.routes.items[0]), route_order);
	*set_r = l.set;
	return 0;
}

static int read_all(int fd, char **text_r, size_t *len_r)
{
	size_t len = 0, size = 64 << 10;
	char *text = NULL, *more;
	ssize_t got = 1;
	int r = 0;

	while (r == 0 && got > 0) {
		if (text == NULL || len == size) {
			size = text == NULL ? size : 2 * size;
			more = realloc(text, size);
			if (more == NULL) {
				r = -ENOMEM;
				break;
			}
			text = more;
		}
		got = read(fd, text + len, size - len);
		if (got < 0)
			r = -errno;
		else
			len += (size_t)got;
		if (len > SETTINGS_FILE_MAX)
			r = -EFBIG;
	}
	if (r < 0) {
		free(text);
		return r;
	}
	*text_r = text;
	*len_r = len;
	return 0;
}

int settings_load(const char *path, struct settings *set_r, char *words,
		  size_t words_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), r;
	char *text = NULL;
	size_t len = 0;

	if (fd < 0) {
		r = -errno;
	} else {
		r = read_all(fd, &text, &len);
		close(fd);
	}
	if (r < 0) {
		if (words_size > 0)
			(void)snprintf(words, words_size,
				       "%s: cannot be read: %s\n", path,
				       strerrordesc_np(-r));
		return r;
	}
	r = settings_parse(path, text, len, set_r, words, words_size);
	free(text);
	return r;
}

void settings_free(struct settings *set)
{
	size_t i;

	for (i = 0; i < option_count; i++)
		option_clear(&option_table[i], set);
	memset(set, 0, sizeof(*set));
}

const char *settings_path(const char *option)
{
	const char *env = getenv(SETTINGS_FILE_ENV);

	if (option != NULL)
		return option;
	return env != NULL && *env != '\0' ? env : SETTINGS_FILE;
}

static const struct settings_endpoint *route_of(const struct settings *set,
						const char *domain, size_t len)
{
	uint32_t low = 0, high = set->routes.count, mid;
	const char *at;
	int r;

	while (low < high) {
		mid = low + (high - low) / 2;
		at = set->routes.items[mid].domain;
		r = strncmp(at, domain, len);
		if (r == 0 && at[len] == '\0')
			return &set->routes.items[mid].to;
		if (r < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

const struct settings_endpoint *settings_route(const struct settings *set,
					       const char *domain, size_t len)
{
	const struct settings_endpoint *to = route_of(set, domain, len);

	return to != NULL ? to : route_of(set, "*", 1);
}
