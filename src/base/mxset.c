/*
 * base/mxset.c - a shared, immutable set of mail exchangers
 */
#include "base/mxset.h"

#include "base/bug.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

struct mxset *mxset_new(uint16_t host_count)
{
	struct mxset *set;

	BUG_ON(host_count > MX_HOSTS_MAX);
	set = calloc(1, sizeof(*set) + host_count * sizeof(set->hosts[0]));
	if (set == NULL)
		return NULL;
	atomic_init(&set->refs, 1);
	set->host_count = host_count;
	return set;
}

struct mxset *mxset_ref(struct mxset *set)
{
	atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
	return set;
}

void mxset_unref(struct mxset **set)
{
	struct mxset *s = *set;
	uint16_t i;

	*set = NULL;
	if (s == NULL ||
	    atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) > 1)
		return;
	for (i = 0; i < s->host_count; i++)
		free(s->hosts[i].name);
	free(s);
}

int mxset_name(struct mxset *set, uint16_t i, struct span name)
{
	char *copy;
	size_t at;

	BUG_ON(i >= set->host_count || set->hosts[i].name != NULL);
	if (name.len > 0 && name.p[name.len - 1] == '.')
		name.len--;
	copy = malloc(name.len + 1);
	if (copy == NULL)
		return -ENOMEM;
	for (at = 0; at < name.len; at++)
		copy[at] = (char)tolower((unsigned char)name.p[at]);
	copy[name.len] = '\0';
	set->hosts[i].name = copy;
	return 0;
}
