/*
 * cmd/rows.c - rows that are kept
 */
#include "cmd/rows.h"

#include <errno.h>
#include <stdlib.h>

static size_t text_size(const struct admin_record *rec)
{
	size_t n = rec->verb.len;
	uint32_t i;

	for (i = 0; i < rec->count; i++)
		n += rec->fields[i].key.len + rec->fields[i].text.len;
	return n;
}

static struct span keep(char **at, struct span s)
{
	struct span kept = span_of(*at, s.len);

	if (s.len > 0)
		memcpy(*at, s.p, s.len);
	*at += s.len;
	return kept;
}

int rows_add(struct rows *rows, const struct admin_record *rec)
{
	struct row *row = malloc(sizeof(*row) + text_size(rec));
	char *at;
	uint32_t i;

	if (row == NULL)
		return -ENOMEM;
	at = row->text;
	row->next = NULL;
	row->rec = *rec;
	row->rec.verb = keep(&at, rec->verb);
	for (i = 0; i < rec->count; i++) {
		row->rec.fields[i].key = keep(&at, rec->fields[i].key);
		row->rec.fields[i].text = keep(&at, rec->fields[i].text);
	}
	if (rows->last == NULL)
		rows->last = &rows->first;
	*rows->last = row;
	rows->last = &row->next;
	return 0;
}

void rows_free(struct rows *rows)
{
	struct row *row, *next;

	for (row = rows->first; row != NULL; row = next) {
		next = row->next;
		free(row);
	}
	*rows = (struct rows){ NULL, NULL };
}

const struct admin_record *rows_find(const struct rows *rows, const char *verb)
{
	const struct row *row;

	for (row = rows->first; row != NULL; row = row->next)
		if (span_eq(row->rec.verb, span_str(verb)))
			return &row->rec;
	return NULL;
}
