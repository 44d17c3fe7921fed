#ifndef MTAQ_CMD_KEPT_H
#define MTAQ_CMD_KEPT_H

/* Rows of the daemon's answers, kept for later looks. */
#include "admin/record.h"

struct kept {
	struct admin_record *rows;
	char **mem; /* of each row: what its fields point to */
	size_t count, size;
};

/* A copy of rec at the end.  0 or -ENOMEM. */
int kept_add(struct kept *k, const struct admin_record *rec);
/* No rows; the memory is given back. */
void kept_clear(struct kept *k);
/* The first row of this verb; NULL. */
const struct admin_record *kept_find(const struct kept *k, const char *verb);

/* Among rows with a pulse: so long, in ms, have the daemon's store or a command
 * waited that what is not in a pulse would not come; else 0. */
#define KEPT_STANDS_MS 5000
uint64_t kept_stands_ms(const struct kept *k);

#endif
