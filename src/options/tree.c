/*
 * options/tree.c - libfyaml's events made into a tree
 *
 * The library's own document tree finds duplicate keys, but tells of the
 * second place only and stops there; its events carry a mark each, so that
 * every later check can point at a line and a column.
 *
 *	event		what grows
 *	mapping start	a NODE_MAP, which becomes the place
 *	scalar		in a map without a waiting key: the waiting key;
 *			else a child of the place
 *	mapping end	the parent becomes the place again
 */
#include "options/tree.h"

#include "base/utf8.h"

#include <errno.h>
#include <libfyaml.h>
#include <stdio.h>
#include <stdlib.h>

struct builder {
	struct node *root, *at; /* at: the open map or list, or NULL */
	struct node *key;       /* waits for its value */
	unsigned depth, nodes;
	bool second; /* one document is finished */
	struct tree_error *error;
};

static void node_free(struct node *n)
{
	if (n != NULL)
		free(n->text);
	free(n);
}

/* Iterative: down to a leaf, free it, go on with its sibling or parent. */
void tree_free(struct node **root)
{
	struct node *n = *root, *up;

	*root = NULL;
	while (n != NULL) {
		if (n->first != NULL) {
			up = n->first;
			n->first = NULL;
			n = up;
			continue;
		}
		up = n->next != NULL ? n->next : n->parent;
		node_free(n->key);
		node_free(n);
		n = up;
	}
}

static int fail(struct builder *b, const struct fy_mark *m, const char *words)
{
	b->error->line = m == NULL ? 0 : m->line + 1;
	b->error->column = m == NULL ? 0 : m->column + 1;
	(void)snprintf(b->error->words, sizeof(b->error->words), "%s", words);
	return -EINVAL;
}

static struct node *node_new(enum node_kind kind, struct fy_token *token)
{
	const struct fy_mark *m = fy_token_start_mark(token);
	struct node *n = calloc(1, sizeof(*n));
	const char *text;
	size_t len = 0;

	if (n == NULL)
		return NULL;
	n->kind = kind;
	n->line = m == NULL ? 1 : m->line + 1;
	n->column = m == NULL ? 1 : m->column + 1;
	if (kind != NODE_SCALAR)
		return n;
	text = fy_token_get_text(token, &len);
	n->text = malloc(len + 1);
	if (n->text == NULL) {
		free(n);
		return NULL;
	}
	if (text != NULL && len > 0)
		memcpy(n->text, text, len);
	n->text[len] = '\0';
	n->len = len;
	return n;
}

/* Put a new node where the next one belongs; it is the tree's from then on. */
static int place(struct builder *b, struct node *n)
{
	if (b->at == NULL) {
		b->root = n;
		return 0;
	}
	if (b->at->kind == NODE_MAP && b->key == NULL) {
		b->key = n;
		return 0;
	}
	n->key = b->key;
	b->key = NULL;
	n->parent = b->at;
	if (b->at->last == NULL)
		b->at->first = n;
	else
		b->at->last->next = n;
	b->at->last = n;
	return 0;
}

static int add(struct builder *b, enum node_kind kind, struct fy_token *token,
	       const struct fy_token *anchor, const struct fy_token *tag)
{
	struct node *n;

	if (anchor != NULL || tag != NULL)
		return fail(b, fy_token_start_mark(token),
			    "anchors (&) and tags (!) have no meaning here");
	if (kind != NODE_SCALAR && b->at != NULL && b->at->kind == NODE_MAP &&
	    b->key == NULL)
		return fail(b, fy_token_start_mark(token),
			    "the name of an option must be a word");
	if (++b->nodes > TREE_NODES_MAX)
		return fail(b, fy_token_start_mark(token),
			    "too many entries in this file");
	if (kind != NODE_SCALAR && b->depth == TREE_DEPTH_MAX)
		return fail(b, fy_token_start_mark(token), "nested too deeply");
	n = node_new(kind, token);
	if (n == NULL)
		return -ENOMEM;
	(void)place(b, n);
	if (kind != NODE_SCALAR) {
		b->at = n;
		b->depth++;
	}
	return 0;
}

static int close_node(struct builder *b)
{
	b->at = b->at->parent;
	b->depth--;
	return 0;
}

static int take(struct builder *b, struct fy_event *e)
{
	switch (e->type) {
	case FYET_DOCUMENT_START:
		if (b->second)
			return fail(b, NULL, "more than one YAML document");
		b->second = true;
		return 0;
	case FYET_SCALAR:
		return add(b, NODE_SCALAR, e->scalar.value, e->scalar.anchor,
			   e->scalar.tag);
	case FYET_MAPPING_START:
		return add(b, NODE_MAP, e->mapping_start.mapping_start,
			   e->mapping_start.anchor, e->mapping_start.tag);
	case FYET_SEQUENCE_START:
		return add(b, NODE_LIST, e->sequence_start.sequence_start,
			   e->sequence_start.anchor, e->sequence_start.tag);
	case FYET_MAPPING_END:
	case FYET_SEQUENCE_END:
		return close_node(b);
	case FYET_ALIAS:
		return fail(b, fy_token_start_mark(e->alias.anchor),
			    "a word that begins with * must stand in quotes: "
			    "\"*\"");
	default:
		return 0;
	}
}

static void say_syntax(struct builder *b, struct fy_diag *diag)
{
	void *at = NULL;
	struct fy_diag_error *e = fy_diag_errors_iterate(diag, &at);

	if (e == NULL) {
		(void)fail(b, NULL, "this is not YAML");
		return;
	}
	(void)fail(b, NULL, e->msg);
	b->error->line = e->line;
	b->error->column = e->column;
}

static int run(struct builder *b, struct fy_parser *parser,
	       struct fy_diag *diag)
{
	struct fy_event *e;
	bool end = false;
	int r = 0;

	errno = 0;
	while (r == 0 && !end) {
		e = fy_parser_parse(parser);
		if (e == NULL)
			break;
		end = e->type == FYET_STREAM_END;
		r = take(b, e);
		fy_parser_event_free(parser, e);
	}
	/* Where it has no memory libfyaml says that the document is wrong, or
	 * that a word is empty.  malloc() alone says why. */
	if (errno == ENOMEM)
		return -ENOMEM;
	if (r == 0 && !end) {
		say_syntax(b, diag);
		return -EINVAL;
	}
	return r;
}

/* libfyaml 0.7.12 never ends on octets that are no UTF-8: they must not reach
 * it.  Found by fuzz_options. */
static int check_utf8(const char *text, size_t len, struct tree_error *error)
{
	size_t at = 0, n;

	error->line = error->column = 1;
	for (; at < len; at += n) {
		n = utf8_len((const unsigned char *)text + at, len - at);
		if (n == 0) {
			(void)snprintf(error->words, sizeof(error->words),
				       "octet 0x%02x is no UTF-8 text",
				       (unsigned char)text[at]);
			return -EINVAL;
		}
		error->column++;
		if (text[at] == '\n') {
			error->line++;
			error->column = 1;
		}
	}
	error->line = error->column = 0;
	return 0;
}

int tree_parse(const char *text, size_t len, struct node **root_r,
	       struct tree_error *error_r)
{
	struct fy_diag_cfg diag_cfg;
	struct fy_parse_cfg cfg = { .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG |
					     FYPCF_JSON_NONE };
	struct builder b = { .error = error_r };
	struct fy_parser *parser;
	int r = -ENOMEM;

	memset(error_r, 0, sizeof(*error_r));
	if (check_utf8(text, len, error_r) < 0)
		return -EINVAL;
	fy_diag_cfg_default(&diag_cfg);
	cfg.diag = fy_diag_create(&diag_cfg);
	if (cfg.diag == NULL)
		return -ENOMEM;
	fy_diag_set_collect_errors(cfg.diag, true);
	parser = fy_parser_create(&cfg);
	if (parser != NULL && fy_parser_set_string(parser, text, len) == 0)
		r = run(&b, parser, cfg.diag);
	if (parser != NULL)
		fy_parser_destroy(parser);
	fy_diag_destroy(cfg.diag);
	if (r < 0) {
		node_free(b.key);
		tree_free(&b.root);
		return r;
	}
	*root_r = b.root;
	return 0;
}
