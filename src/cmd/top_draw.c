/*
 * cmd/top_draw.c - the screen
 *
 *	mtaq top  mail.example.net  up 3h 12m              12:03:44  every 2s
 *	in     812/s   deferred   12/s   queue  46.0k      sync p99   4.2 ms
 *	out    790/s   bounced     3/s   open     210      memory     41 MiB
 *
 *	 Sites 12   Campaigns 3                  sorted by QUEUED, filter /goo
 *	SITE          STATE  LIMIT     WIN OPEN IDLE QUEUED OUT/s DEF/s LAST ...
 *	...
 *	the selected row in words
 *	keys, or what the last one did
 *
 * Words of servers are printed with controls as '?', and no wider than their
 * place, whatever they are.
 */
#include "cmd/screen.h"
#include "cmd/top.h"

#include <curses.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <wchar.h>

enum { /* colour pairs */
	COLOUR_GOOD = 1,
	COLOUR_CARE,
	COLOUR_BAD,
	COLOUR_QUIET,
	COLOUR_BAR
};

#define TABLE_TOP  6
#define TABLE_ENDS 2 /* lines below it */

static bool utf8;

/* --- pieces ---------------------------------------------------------------- */

void top_screen_open(void)
{
	const char *none = getenv("NO_COLOR");

	setlocale(LC_CTYPE, "");
	utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	initscr();
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	set_escdelay(25);
	curs_set(0);
	if ((none != NULL && none[0] != '\0') || !has_colors())
		return;
	start_color();
	use_default_colors();
	init_pair(COLOUR_GOOD, COLOR_GREEN, -1);
	init_pair(COLOUR_CARE, COLOR_YELLOW, -1);
	init_pair(COLOUR_BAD, COLOR_RED, -1);
	init_pair(COLOUR_QUIET, COLOR_CYAN, -1);
	init_pair(COLOUR_BAR, COLOR_BLACK, COLOR_GREEN);
}

void top_screen_close(void)
{
	endwin();
}

static attr_t paint(int pair)
{
	return (attr_t)COLOR_PAIR(pair);
}

static void paint_on(int pair)
{
	if (pair != 0 && has_colors())
		attron(paint(pair));
}

static void paint_off(int pair)
{
	if (pair != 0 && has_colors())
		attroff(paint(pair));
}

/* One character of text at *p, '?' for what cannot be shown. */
static wchar_t next_char(const char **p, mbstate_t *state)
{
	wchar_t c;
	size_t n = mbrtowc(&c, *p, MB_CUR_MAX, state);

	if (n == 0 || n > MB_CUR_MAX) {
		memset(state, 0, sizeof(*state));
		n = 1;
		c = L'?';
	}
	*p += n;
	return wcwidth(c) < 0 ? L'?' : c;
}

/* At most width columns of text, then blanks up to width.  right: the blanks
 * come first. */
static void put(int y, int x, int width, bool right, const char *text)
{
	wchar_t line[512];
	mbstate_t state = { 0 };
	int used = 0, n = 0, wide;

	while (*text != '\0' && n < 500) {
		wchar_t c = next_char(&text, &state);

		wide = wcwidth(c);
		if (used + wide > width)
			break;
		line[n++] = c;
		used += wide;
	}
	line[n] = L'\0';
	mvhline(y, x, ' ', width);
	mvaddwstr(y, right ? x + width - used : x, line);
}

/* --- the head -------------------------------------------------------------- */

static void draw_bar(const struct top *t, int width)
{
	struct span host = top_text(t, "hostname");
	char left[300], right[60], clock[16] = "";
	time_t now = time(NULL);
	struct tm tm;

	if (localtime_r(&now, &tm) != NULL)
		strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	snprintf(left, sizeof(left), " mtaq top  %.*s  up %s", (int)host.len,
		 host.p == NULL ? "" : host.p,
		 human_time(top_number(t, "uptime_s")).text);
	snprintf(right, sizeof(right), "%s  every %s%s ", clock,
		 t->interval_ms % 1000 == 0
			 ? human_time(t->interval_ms / 1000).text
			 : human_us(t->interval_ms * 1000).text,
		 t->connected ? "" : "  NO DAEMON");
	if (has_colors())
		attron(paint(t->connected ? COLOUR_BAR : COLOUR_BAD));
	attron(t->connected && has_colors() ? A_NORMAL : A_REVERSE);
	put(0, 0, width, false, left);
	put(0, width - (int)strlen(right), (int)strlen(right), true, right);
	attrset(A_NORMAL);
}

static void figure(int y, int x, const char *label, int width, int pair,
		   const char *value)
{
	put(y, x, (int)strlen(label), false, label);
	attron(A_BOLD);
	paint_on(pair);
	put(y, x + (int)strlen(label) + 1, width, true, value);
	attrset(A_NORMAL);
}

static void rate(int y, int x, const char *label, uint64_t tenths, int pair)
{
	char text[HUMAN_MAX + 4];

	snprintf(text, sizeof(text), "%s/s", human_rate(tenths, 10000).text);
	figure(y, x, label, 9, tenths > 0 ? pair : 0, text);
}

static void draw_figures(const struct top *t)
{
	uint64_t sync = top_number(t, "sync_p99_us");
	uint64_t held = top_number(t, "held");
	char text[80];

	rate(1, 1, "in ", t->rates.in, 0);
	rate(2, 1, "out", t->rates.out, COLOUR_GOOD);
	rate(1, 17, "deferred", t->rates.deferred, COLOUR_CARE);
	rate(2, 17, "bounced ", t->rates.bounced, COLOUR_BAD);
	snprintf(text, sizeof(text), "%s%s%s%s",
		 human_short(top_number(t, "waiting")).text,
		 held > 0 ? ", " : "", held > 0 ? human_short(held).text : "",
		 held > 0 ? " held" : "");
	figure(1, 38, "queue", 16, held > 0 ? COLOUR_CARE : 0, text);
	snprintf(text, sizeof(text), "%s, %s idle",
		 human_short(top_number(t, "sessions_open")).text,
		 human_short(top_number(t, "sessions_idle")).text);
	figure(2, 38, "conns", 16, 0, text);
	figure(1, 62, "sync p99", 8,
	       sync > 100000  ? COLOUR_BAD
	       : sync > 20000 ? COLOUR_CARE
			      : 0,
	       human_us(sync).text);
	figure(2, 62, "memory  ", 8, 0,
	       human_bytes(top_number(t, "memory")).text);
}

/* The newest at the right, as high as the most of them. */
static void draw_history(const struct top *t, int x, int width)
{
	static const wchar_t steps[] = L" \u2581\u2582\u2583\u2584\u2585"
				       L"\u2586\u2587\u2588";
	unsigned count = t->history_count, i;
	wchar_t c[2] = L"";
	uint64_t most = 1;
	char text[80];

	if (!utf8 || width < 12)
		return;
	if (count > (unsigned)width)
		count = (unsigned)width;
	for (i = t->history_count - count; i < t->history_count; i++)
		if (t->history[i] > most)
			most = t->history[i];
	snprintf(text, sizeof(text), "out/s, at most %s",
		 human_rate(most, 10000).text);
	put(1, x, width, false, text);
	paint_on(COLOUR_GOOD);
	for (i = 0; i < count; i++) {
		c[0] = steps[(t->history[t->history_count - count + i] * 8 +
			      most - 1) /
			     most];
		mvaddwstr(2, x + width - (int)count + (int)i, c);
	}
	attrset(A_NORMAL);
}

static void draw_trouble(const struct top *t, int width)
{
	static const char *const flags[][2] = {
		{ "out_of_room", "DISK FULL: no delivery begins" },
		{ "events_failing", "THE EVENT LOG CANNOT BE WRITTEN" },
		{ "index_failing", "THE INDEX CANNOT BE WRITTEN" },
		{ "damaged", "THE LOG IS DAMAGED" },
	};
	char text[400] = "";
	size_t i, at = 0;

	if (!t->connected) {
		snprintf(text, sizeof(text),
			 "The daemon does not answer: %s. Trying again; "
			 "figures are old.",
			 t->trouble);
	} else {
		for (i = 0; i < 3; i++)
			if (top_number(t, flags[i][0]) != 0)
				at += (size_t)snprintf(
					text + at, sizeof(text) - at, "%s%s",
					at > 0 ? "; " : "", flags[i][1]);
		if (at > 0)
			snprintf(text + at, sizeof(text) - at,
				 ". See mtaq status.");
	}
	attron(A_BOLD);
	paint_on(COLOUR_BAD);
	put(3, 1, width - 2, false, text);
	attrset(A_NORMAL);
}

static void draw_tabs(const struct top *t, int width)
{
	static const char *const names[] = { "Sites", "Campaigns" };
	unsigned count;
	const struct top_column *c = top_columns(t->view, &count);
	char text[200];
	int x = 0;
	enum top_view v;

	for (v = 0; v < TOP_VIEWS; v++) {
		if (v == t->view)
			snprintf(text, sizeof(text), " %s %zu ", names[v],
				 t->shown_count[v]);
		else
			snprintf(text, sizeof(text), " %s ", names[v]);
		attron(v == t->view ? A_REVERSE : A_DIM);
		put(4, x, (int)strlen(text), false, text);
		attrset(A_NORMAL);
		x += (int)strlen(text) + 1;
	}
	snprintf(text, sizeof(text), "sorted by %s%s ",
		 c[t->sort[t->view]].title,
		 t->upward[t->view] ? ", upward" : "");
	if (t->filter[0] != '\0')
		snprintf(text, sizeof(text), "filter /%s, sorted by %s%s ",
			 t->filter, c[t->sort[t->view]].title,
			 t->upward[t->view] ? ", upward" : "");
	put(4, x, width - x, true, text);
}

/* --- the table ------------------------------------------------------------- */

/* The width of each column for this screen; 0: it is not shown. */
static void measure(enum top_view view, int width, int *widths)
{
	unsigned count, i;
	const struct top_column *c = top_columns(view, &count);
	int left = width;

	for (i = 0; i < count; i++) {
		widths[i] = abs(c[i].width);
		left -= widths[i] + 1;
	}
	if (left < 0) { /* the name gives way */
		widths[0] += left;
		if (widths[0] < 8)
			widths[0] = 8;
		left = 0;
	}
	for (i = 0; i < count; i++)
		if (c[i].width == 0)
			widths[i] = left >= 24 ? left : 0;
	if (left >= 48 && c[count - 1].width == 0) {
		widths[0] += left / 3;
		widths[count - 1] = left - left / 3;
	}
}

static int state_colour(const char *state)
{
	if (strcmp(state, "dead") == 0)
		return COLOUR_BAD;
	if (strcmp(state, "slowed") == 0 || strcmp(state, "paused") == 0)
		return COLOUR_CARE;
	return strcmp(state, "open") == 0 ? COLOUR_GOOD : 0;
}

static void draw_heading(const struct top *t, const int *widths, int width)
{
	unsigned count, i;
	const struct top_column *c = top_columns(t->view, &count);
	int x = 0;

	mvhline(TABLE_TOP - 1, 0, ' ', width);
	for (i = 0; i < count && x < width; i++) {
		if (widths[i] == 0)
			continue;
		attron(A_BOLD);
		if (i == t->sort[t->view])
			attron(A_UNDERLINE);
		paint_on(COLOUR_QUIET);
		put(TABLE_TOP - 1, x, widths[i], c[i].number, c[i].title);
		attrset(A_NORMAL);
		x += widths[i] + 1;
	}
}

static void draw_row(const struct top *t, const struct top_row *row, int y,
		     const int *widths, int width)
{
	bool selected = row == top_selected(t);
	unsigned count, i;
	const struct top_column *c = top_columns(t->view, &count);
	char text[TOP_TEXT_MAX];
	int x = 0;

	if (selected)
		attron(A_REVERSE);
	mvhline(y, 0, ' ', width);
	for (i = 0; i < count && x < width; i++) {
		int pair = c[i].field == TOP_STATE && !c[i].number
				   ? state_colour(row->text[TOP_STATE])
				   : 0;

		if (widths[i] == 0)
			continue;
		top_cell(row, &c[i], text, sizeof(text));
		if (!selected)
			paint_on(pair);
		put(y, x, widths[i] < width - x ? widths[i] : width - x,
		    c[i].number, text);
		if (!selected)
			paint_off(pair);
		x += widths[i] + 1;
	}
	attrset(A_NORMAL);
}

static void draw_table(const struct top *t, int width, int height)
{
	int room = height - TABLE_TOP - TABLE_ENDS, y, widths[16] = { 0 };
	size_t at = t->at[t->view], first = 0;

	if (room < 1)
		return;
	measure(t->view, width, widths);
	draw_heading(t, widths, width);
	if (at >= (size_t)room)
		first = at - (size_t)room + 1;
	for (y = 0; y < room && first + (size_t)y < t->shown_count[t->view];
	     y++)
		draw_row(t,
			 &t->all[t->view]
				  .rows[t->shown[t->view][first + (size_t)y]],
			 TABLE_TOP + y, widths, width);
	if (t->shown_count[t->view] == 0 && t->connected)
		put(TABLE_TOP, 1, width - 2, false,
		    t->filter[0] != '\0'   ? "Nothing matches the filter."
		    : t->view == TOP_SITES ? "No site has mail or connections."
					   : "No mail is queued.");
}

/* --- the foot -------------------------------------------------------------- */

static void draw_selected(const struct top *t, int y, int width)
{
	const struct top_row *row = top_selected(t);
	char text[600] = "";
	int n;

	if (row == NULL)
		return;
	n = snprintf(text, sizeof(text), "%s is %s",
		     row->text[TOP_NAME][0] == '\0' ? "mail without a campaign"
						    : row->text[TOP_NAME],
		     row->text[TOP_STATE]);
	if (row->n[TOP_AGAIN_S] > 0 && strcmp(row->text[TOP_STATE], "paused"))
		n += snprintf(text + n, sizeof(text) - (size_t)n,
			      ", again in %s",
			      human_time(row->n[TOP_AGAIN_S]).text);
	if (row->text[TOP_LAST][0] != '\0')
		snprintf(text + n, sizeof(text) - (size_t)n, ": %s (%s ago)",
			 row->text[TOP_LAST],
			 human_time(row->n[TOP_LAST_AGO_S]).text);
	attron(A_DIM);
	put(y, 1, width - 2, false, text);
	attrset(A_NORMAL);
}

static void draw_foot(const struct top *t, int y, int width)
{
	char text[300];

	if (t->typing) {
		snprintf(text, sizeof(text),
			 "/%s_   (Enter keeps it, Esc "
			 "ends it)",
			 t->filter);
		put(y, 0, width, false, text);
		return;
	}
	if (t->message[0] != '\0') {
		attron(A_BOLD);
		put(y, 1, width - 2, false, t->message);
		attrset(A_NORMAL);
		return;
	}
	put(y, 1, width - 2, false,
	    "Up/Dn  p pause  u resume  r retry  s sort  / filter  Tab view  "
	    "? help  q quit");
}

static void draw_help(int width, int height)
{
	static const char *const lines[] = {
		"Up, Down, j, k    select a row; PgUp, PgDn, Home, End",
		"Tab               sites, campaigns",
		"p                 pause: no mail of it is begun",
		"u                 resume: end the pause",
		"r                 retry now: probe a dead or slowed site,",
		"                  make a campaign's mail due that was put off",
		"s, S              sort by the next column; turn the order",
		"/                 filter by what a row says; Esc ends it",
		"+, -              look more, less often",
		"q                 quit",
		"",
		"WIN   connections allowed now, OPEN of them there, IDLE no mail",
		"LIMIT what keeps the site from one more (mtaq explain tells)",
		"OUT/s delivered, DEF/s put off, recipients a second",
	};
	int i, n = (int)(sizeof(lines) / sizeof(lines[0]));

	for (i = 0; i < n && TABLE_TOP - 1 + i < height - 1; i++) {
		mvhline(TABLE_TOP - 1 + i, 0, ' ', width);
		put(TABLE_TOP - 1 + i, 2, width - 4, false, lines[i]);
	}
	for (; TABLE_TOP - 1 + i < height - 1; i++)
		mvhline(TABLE_TOP - 1 + i, 0, ' ', width);
	put(height - 1, 1, width - 2, false, "any key goes back");
}

void top_draw(const struct top *t)
{
	int width, height;

	getmaxyx(stdscr, height, width);
	erase();
	if (width < 40 || height < TABLE_TOP + TABLE_ENDS + 1) {
		put(0, 0, width, false, "mtaq top needs 40 x 9");
		refresh();
		return;
	}
	draw_bar(t, width);
	draw_figures(t);
	draw_history(t, 84, width - 85);
	draw_trouble(t, width);
	draw_tabs(t, width);
	if (t->help) {
		draw_help(width, height);
	} else {
		draw_table(t, width, height);
		draw_selected(t, height - 2, width);
		draw_foot(t, height - 1, width);
	}
	refresh();
}
