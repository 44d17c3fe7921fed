/*
 * cmd/kept.c - rows of answers, kept
 */
#include "cmd/kept.h"

#include <errno.h>
#include <stdlib.h>

static struct span copy(char **at, struct span s)
{
	struct span to = span_of(*at, s.len);

	if (s.len > 0)
		memcpy(*at, s.p, s.len);
	*at += s.len;
	return to;
}

static int make_room(struct kept *k)
{
	size_t more = k->size == 0 ? 16 : k->size * 2;
	void *p;

	if (k->count < k->size)
		return 0;
	p = realloc(k->rows, more * sizeof(*k->rows));
	if (p == NULL)
		return -ENOMEM;
	k->rows = p;
	p = realloc(k->mem, more * sizeof(*k->mem));
	if (p == NULL)
		return -ENOMEM;
	k->mem = p;
	k->size = more;
	return 0;
}

int kept_add(struct kept *k, const struct admin_record *rec)
{
	struct admin_record *row;
	size_t len = rec->verb.len;
	uint32_t i;
	char *at;

	for (i = 0; i < rec->count; i++)
		len += rec->fields[i].key.len + rec->fields[i].text.len;
	if (make_room(k) < 0)
		return -ENOMEM;
	at = malloc(len + 1);
	if (at == NULL)
		return -ENOMEM;
	k->mem[k->count] = at;
	row = &k->rows[k->count++];
	row->verb = copy(&at, rec->verb);
	row->count = rec->count;
	for (i = 0; i < rec->count; i++) {
		row->fields[i] = rec->fields[i];
		row->fields[i].key = copy(&at, rec->fields[i].key);
		row->fields[i].text = copy(&at, rec->fields[i].text);
	}
	return 0;
}

void kept_clear(struct kept *k)
{
	while (k->count > 0)
		free(k->mem[--k->count]);
	free(k->mem);
	free(k->rows);
	*k = (struct kept){ .count = 0 };
}

const struct admin_record *kept_find(const struct kept *k, const char *verb)
{
	size_t i;

	for (i = 0; i < k->count; i++)
		if (span_eq(k->rows[i].verb, span_str(verb)))
			return &k->rows[i];
	return NULL;
}

uint64_t kept_stands_ms(const struct kept *k)
{
	const struct admin_record *pulse = kept_find(k, "pulse");
	uint64_t store, control, ms;

	if (pulse == NULL)
		return 0;
	store = admin_number_of(pulse, "store_waits_ms");
	control = admin_number_of(pulse, "control_waits_ms");
	ms = store > control ? store : control;
	return ms >= KEPT_STANDS_MS ? ms : 0;
}
