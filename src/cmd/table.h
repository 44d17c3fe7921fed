#ifndef MTAQ_CMD_TABLE_H
#define MTAQ_CMD_TABLE_H

/*
 * Rows in columns, for all commands that print any.  On a terminal they are aligned, with a heading, each
 * column as wide as it needs; in a pipe values have a TAB between and no
 * heading, so that cut(1) and awk(1) read them.
 *
 *	table_begin(&t, &screen, columns);
 *	  table_cell() for each column of a row, then table_row()
 *	table_end(&t);
 *
 * A terminal's rows wait until TABLE_ROWS of them tell the widths.
 */
#include "cmd/screen.h"

#define TABLE_COLUMNS_MAX 16u
#define TABLE_ROWS        200u

struct table_column {
	const char *key, *title; /* key NULL ends a list */
	int width;               /* at least; negative: to the left; the last
	                            column is as wide as it comes */
};

struct table {
	const struct screen *screen;
	const struct table_column *columns;
	struct buf cells; /* each ended by NUL */
	size_t width[TABLE_COLUMNS_MAX];
	unsigned count, rows; /* columns; rows in cells */
	bool begun;           /* the heading was printed */
};

void table_begin(struct table *t, const struct screen *screen,
		 const struct table_column *columns);
void table_cell(struct table *t, struct span text);
void table_row(struct table *t);
/* What waits is printed, and the memory is given back. */
void table_end(struct table *t);

#endif
