/*
 * cmd/progress.c - how far a long command is, on a terminal
 */
#include "cmd/export.h"

#include "cmd/human.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BAR_WIDTH 24

void progress_begin(struct progress_bar *bar, const char *what)
{
	*bar = (struct progress_bar){ .on = isatty(STDERR_FILENO) == 1,
				      .drawn = -1,
				      .what = what };
}

void progress_draw(void *to, uint64_t done, uint64_t all)
{
	struct progress_bar *bar = to;
	char text[BAR_WIDTH + 1];
	int permille =
		all == 0 ? 1000 : (int)((double)done / (double)all * 1000);
	int filled = permille > 1000 ? BAR_WIDTH : permille * BAR_WIDTH / 1000;

	if (!bar->on || permille == bar->drawn)
		return;
	bar->drawn = permille;
	memset(text, '.', BAR_WIDTH);
	memset(text, '#', (size_t)filled);
	text[BAR_WIDTH] = '\0';
	fprintf(stderr, "\r[%s] %d %% of %s %s\033[K", text, permille / 10,
		human_count(all).text, bar->what);
}

void progress_end(struct progress_bar *bar)
{
	if (bar->on && bar->drawn >= 0)
		fputs("\r\033[K", stderr);
}
