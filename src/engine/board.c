/*
 * engine/board.c - figures of sites, by name
 *
 * The turn counter makes name and counters one: a reader that finds it odd,
 * or changed after it has read, reads again.  All that board_give() and
 * board_read() touch is sequentially consistent, so that no fence is needed.
 */
#include "engine/board.h"

#include <errno.h>
#include <stdlib.h>

#define TRIES 100

int board_init(struct board *b, unsigned count)
{
	b->cells = calloc(count > 0 ? count : 1, sizeof(*b->cells));
	if (b->cells == NULL)
		return -ENOMEM;
	b->count = count;
	return 0;
}

void board_free(struct board *b)
{
	free(b->cells);
	b->cells = NULL;
	b->count = 0;
}

void board_give(struct board_cell *cell, struct span name)
{
	char text[BOARD_NAME_MAX + 1] = "";
	uint64_t word;
	unsigned i;

	if (name.len > 0)
		memcpy(text, name.p,
		       name.len < BOARD_NAME_MAX ? name.len : BOARD_NAME_MAX);
	atomic_fetch_add(&cell->turn, 1);
	for (i = 0; i < BOARD_NAME_WORDS; i++) {
		memcpy(&word, text + 8 * i, 8);
		atomic_store(&cell->name[i], word);
	}
	for (i = 0; i < BOARD_COUNTERS; i++)
		atomic_store(&cell->counters[i], 0);
	for (i = 0; i < BOARD_GAUGES; i++)
		atomic_store(&cell->gauges[i], 0);
	atomic_fetch_add(&cell->turn, 1);
}

bool board_read(const struct board_cell *cell, struct board_view *view_r)
{
	struct board_view v;
	uint64_t turn, word;
	unsigned i, tries;

	for (tries = 0; tries < TRIES; tries++) {
		turn = atomic_load(&cell->turn);
		for (i = 0; i < BOARD_NAME_WORDS; i++) {
			word = atomic_load(&cell->name[i]);
			memcpy(v.name + 8 * i, &word, 8);
		}
		for (i = 0; i < BOARD_COUNTERS; i++)
			v.counters[i] = atomic_load(&cell->counters[i]);
		for (i = 0; i < BOARD_GAUGES; i++)
			v.gauges[i] = atomic_load(&cell->gauges[i]);
		if (turn % 2 != 0 || atomic_load(&cell->turn) != turn)
			continue;
		v.name[BOARD_NAME_MAX] = '\0';
		*view_r = v;
		return true;
	}
	return false;
}
