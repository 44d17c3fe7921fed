#ifndef MTAQ_ENGINE_BOARD_H
#define MTAQ_ENGINE_BOARD_H

/*
 * Figures of a worker's busiest sites, by name, for metrics: the worker
 * writes, one other thread or more read, a moment old.
 *
 *	cells[0..count-1]  a site each
 *	other              all sites that have no cell
 *
 * What a site does is counted in its cell alone, or in `other` while it has
 * none: no counter ever goes back, but a cell that is given to another site
 * begins at nothing, under the other's name.
 */
#include "base/span.h"
#include "base/tally.h"

#include <stdbool.h>

#define BOARD_NAME_WORDS 16u /* of 8 octets; a longer name is cut */
#define BOARD_NAME_MAX   (BOARD_NAME_WORDS * 8 - 1)

enum board_counter {
	BOARD_DELIVERED,
	BOARD_DEFERRED, /* unsure ones as well */
	BOARD_BOUNCED,  /* expired ones as well */
	BOARD_OPENED,
	BOARD_CONNECT_FAILED,
	BOARD_COUNTERS
};

enum board_gauge {
	BOARD_WINDOW,
	BOARD_CONNECTIONS, /* connecting ones as well */
	BOARD_IDLE,
	BOARD_QUEUED, /* tasks in memory */
	BOARD_PARKED, /* 1: none of its hosts takes mail */
	BOARD_GAUGES
};

struct board_cell {
	/* Odd while the cell is being given to another site. */
	_Atomic uint64_t turn;
	_Atomic uint64_t name[BOARD_NAME_WORDS];
	_Atomic uint64_t counters[BOARD_COUNTERS];
	_Atomic uint64_t gauges[BOARD_GAUGES];
};

struct board {
	struct board_cell *cells;
	unsigned count;
	struct board_cell other;
};

/* 0 or -ENOMEM. */
int board_init(struct board *b, unsigned count);
void board_free(struct board *b);

/* By the owner: from now on the cell is this site's; "": nobody's. */
void board_give(struct board_cell *cell, struct span name);

struct board_view {
	char name[BOARD_NAME_MAX + 1]; /* "": the cell is nobody's */
	uint64_t counters[BOARD_COUNTERS], gauges[BOARD_GAUGES];
};
/* By anybody: name and figures that belong together.  False: it is being
 * given away right now, again and again. */
bool board_read(const struct board_cell *cell, struct board_view *view_r);

#endif
