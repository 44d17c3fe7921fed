#ifndef MTAQ_BASE_LIST_H
#define MTAQ_BASE_LIST_H

/*
 * An intrusive, circular, doubly linked list.  A struct list is either the
 * head or a link inside an element; a link in no list points to itself.
 */
#include "base/bug.h"

#include <stdbool.h>

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_add_tail(struct list *head, struct list *link)
{
	BUG_ON(!list_empty(link));
	link->prev = head->prev;
	link->next = head;
	head->prev->next = link;
	head->prev = link;
}

static inline void list_add_head(struct list *head, struct list *link)
{
	list_add_tail(head->next, link);
}

/* Allowed on a link that is in no list. */
static inline void list_del(struct list *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	list_init(link);
}

/* The first link taken out, or NULL. */
static inline struct list *list_pop(struct list *head)
{
	struct list *first = head->next;

	if (first == head)
		return NULL;
	list_del(first);
	return first;
}

#define LIST_FOR_EACH(at, head)                                                \
	for (struct list *at = (head)->next; at != (head); at = at->next)

/* As LIST_FOR_EACH; the element at hand may be taken out. */
#define LIST_FOR_EACH_SAFE(at, tmp, head)                                      \
	for (struct list *at = (head)->next, *tmp = at->next; at != (head);    \
	     at = tmp, tmp = at->next)

#endif
