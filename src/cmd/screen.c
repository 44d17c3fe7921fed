/*
 * cmd/screen.c - standard output for people
 */
#include "cmd/screen.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

static unsigned columns_of_terminal(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
		return 0;
	return size.ws_col;
}

void screen_init(struct screen *s, bool for_people)
{
	const char *term = getenv("TERM"), *none = getenv("NO_COLOR");

	*s = (struct screen){ .terminal = for_people &&
					  isatty(STDOUT_FILENO) == 1 };
	if (!s->terminal)
		return;
	s->columns = columns_of_terminal();
	s->colour = (none == NULL || none[0] == '\0') && term != NULL &&
		    strcmp(term, "dumb") != 0;
}

const char *screen_paint(const struct screen *s, enum colour colour)
{
	static const char *const codes[] = {
		[PLAIN] = "\033[0m",  [BOLD] = "\033[1m",    [DIM] = "\033[2m",
		[GREEN] = "\033[32m", [YELLOW] = "\033[33m", [RED] = "\033[31m",
	};

	return s->colour ? codes[colour] : "";
}

void screen_add(struct buf *out, struct span text)
{
	size_t i;

	for (i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.p[i];

		buf_add_char(out, c < 32 || c == 127 ? '?' : (char)c);
	}
}

size_t screen_width(struct span text)
{
	size_t i, n = 0;

	for (i = 0; i < text.len; i++)
		n += ((unsigned char)text.p[i] & 0xc0) != 0x80;
	return n;
}
