#ifndef MTAQ_OPTIONS_TREE_H
#define MTAQ_OPTIONS_TREE_H

/*
 * A YAML text as a small tree that knows where everything stood.  Only what a
 * configuration needs: maps, lists, scalars; no tags, anchors or aliases; at
 * most TREE_DEPTH_MAX levels and TREE_NODES_MAX nodes.
 */
#include "base/span.h"

#define TREE_DEPTH_MAX 8u
#define TREE_NODES_MAX 100000u

enum node_kind {
	NODE_SCALAR,
	NODE_LIST,
	NODE_MAP
};

struct node {
	enum node_kind kind;
	char *text; /* of a scalar, ended by a NUL that len does not count */
	size_t len;
	int line, column;    /* from 1; column counts characters */
	struct node *key;    /* in a map: its key, a scalar */
	struct node *first;  /* of a map or list */
	struct node *last;   /* where the next child goes */
	struct node *next;   /* in the same map or list */
	struct node *parent; /* NULL at the root */
};

struct tree_error {
	int line, column; /* 0: not known */
	char words[200];
};

/* 0 with the root, NULL when the text is empty; -EINVAL with *error_r;
 * -ENOMEM. */
int tree_parse(const char *text, size_t len, struct node **root_r,
	       struct tree_error *error_r);
void tree_free(struct node **root);

static inline struct span node_span(const struct node *n)
{
	return span_of(n->text, n->len);
}

#endif
