#ifndef MTAQ_CMD_ROWS_H
#define MTAQ_CMD_ROWS_H

/*
 * Rows of the daemon's answers that are kept: a record borrows from the line
 * that it came in, and the next line takes its place.
 */
#include "admin/record.h"

struct row {
	struct row *next;
	struct admin_record rec; /* its texts lie in text[] */
	char text[];
};

struct rows {
	struct row *first, **last; /* last NULL: never used */
};

/* 0 or -ENOMEM. */
int rows_add(struct rows *rows, const struct admin_record *rec);
void rows_free(struct rows *rows);
/* The first row of this verb; NULL: none. */
const struct admin_record *rows_find(const struct rows *rows, const char *verb);

#endif
