/*
 * cmd/table.c - rows in columns
 *
 * The rows that wait lie one behind the other as cells, each ended by NUL:
 * screen_add() lets none into a cell.
 */
#include "cmd/table.h"

#include <stdio.h>
#include <stdlib.h>

void table_begin(struct table *t, const struct screen *screen,
		 const struct table_column *columns)
{
	size_t len;

	*t = (struct table){ .screen = screen, .columns = columns };
	buf_init(&t->cells, 16u << 20);
	for (; columns[t->count].key != NULL; t->count++) {
		len = strlen(columns[t->count].title);
		t->width[t->count] = (size_t)abs(columns[t->count].width);
		if (len > t->width[t->count])
			t->width[t->count] = len;
	}
}

void table_cell(struct table *t, struct span text)
{
	if (text.len == 0)
		text = SPAN("-");
	screen_add(&t->cells, text);
	buf_add_char(&t->cells, '\0');
}

static void put_cell(const struct table *t, unsigned i, const char *text)
{
	size_t wide = screen_width(span_str(text));
	int pad = wide < t->width[i] ? (int)(t->width[i] - wide) : 0;
	bool last = i + 1 == t->count;

	if (i > 0)
		fputs("  ", stdout);
	if (t->columns[i].width > 0)
		printf("%*s%s", pad, "", text);
	else
		printf("%s%*s", text, last ? 0 : pad, "");
}

static void put_heading(struct table *t)
{
	unsigned i;

	t->begun = true;
	fputs(screen_paint(t->screen, BOLD), stdout);
	for (i = 0; i < t->count; i++)
		put_cell(t, i, t->columns[i].title);
	printf("%s\n", screen_paint(t->screen, PLAIN));
}

static const char *next_cell(const char *text)
{
	return text + strlen(text) + 1;
}

static void widen(struct table *t)
{
	const char *text = t->cells.p;
	unsigned row, i;
	size_t wide;

	for (row = 0; row < t->rows; row++)
		for (i = 0; i < t->count; i++, text = next_cell(text)) {
			wide = screen_width(span_str(text));
			if (wide > t->width[i])
				t->width[i] = wide;
		}
}

static void put_rows(struct table *t)
{
	const char *text = t->cells.p;
	unsigned row, i;

	for (row = 0; row < t->rows; row++) {
		for (i = 0; i < t->count; i++, text = next_cell(text)) {
			if (t->screen->terminal)
				put_cell(t, i, text);
			else
				printf("%s%s", i > 0 ? "\t" : "", text);
		}
		putchar('\n');
	}
	buf_clear(&t->cells);
	t->rows = 0;
}

static void flush(struct table *t)
{
	if (t->screen->terminal && !t->begun) {
		widen(t);
		put_heading(t);
	}
	put_rows(t);
}

void table_row(struct table *t)
{
	if (t->cells.failed != 0) { /* no memory for it: the row is lost */
		buf_clear(&t->cells);
		t->rows = 0;
		fputs("mtaq: out of memory: rows are missing\n", stderr);
		return;
	}
	t->rows++;
	if (t->begun || !t->screen->terminal || t->rows == TABLE_ROWS)
		flush(t);
}

void table_end(struct table *t)
{
	flush(t);
	buf_free(&t->cells);
}
