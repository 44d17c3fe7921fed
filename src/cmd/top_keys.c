/*
 * cmd/top_keys.c - keys, and what they do to the daemon
 */
#include "cmd/top.h"

#include <curses.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sysexits.h>

#define PAGE            10u
#define MESSAGE_MS      4000u
#define INTERVAL_MS_MIN 250u
#define INTERVAL_MS_MAX 60000u

__attribute__((format(printf, 2, 3))) static void say(struct top *t,
						      const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(t->message, sizeof(t->message), fmt, args);
	va_end(args);
	t->message_ms = top_now_ms();
}

/* --- changes --------------------------------------------------------------- */

static bool change_site(struct top *t, const char *verb,
			const struct top_row *row)
{
	struct buf *out = &t->client.out;

	admin_begin(out, "site");
	admin_text(out, "verb", span_str(verb));
	admin_text(out, "name", span_str(row->text[TOP_NAME]));
	return top_change(t, out) == EX_OK;
}

static bool change_campaign(struct top *t, const char *verb,
			    const struct top_row *row)
{
	struct buf *out = &t->client.out;

	admin_begin(out, "decide");
	admin_text(out, "verb", span_str(verb));
	admin_text(out, "tenant", span_str(row->text[TOP_TENANT]));
	admin_text(out, "campaign", span_str(row->text[TOP_NAME]));
	return top_change(t, out) == EX_OK;
}

static void change(struct top *t, const char *verb, const char *done)
{
	const struct top_row *row = top_selected(t);
	bool ok;

	if (row == NULL || !t->connected)
		return;
	/* No word would be any word: all mail. */
	if (t->view == TOP_CAMPAIGNS && row->text[TOP_NAME][0] == '\0') {
		say(t, "That mail has no campaign: use mtaq queue.");
		return;
	}
	t->message[0] = '\0';
	t->follows[t->view] = true;
	ok = t->view == TOP_SITES ? change_site(t, verb, row)
				  : change_campaign(t, verb, row);
	if (ok)
		say(t, "%s: %s", done, row->text[TOP_NAME]);
	else if (t->message[0] == '\0')
		say(t, "The daemon did not answer; nothing is known to have "
		       "changed.");
	t->looked_ms = 0; /* see what it did */
	t->campaigns_ms = 0;
}

/* --- keys ------------------------------------------------------------------ */

static void type(struct top *t, int key)
{
	size_t len = strlen(t->filter);

	if (key == 27) {
		t->filter[0] = '\0';
		t->typing = false;
	} else if (key == '\r' || key == '\n' || key == KEY_ENTER) {
		t->typing = false;
	} else if (key == KEY_BACKSPACE || key == 127 || key == 8) {
		if (len > 0)
			t->filter[len - 1] = '\0';
	} else if (key >= 32 && key < 127 && len + 1 < sizeof(t->filter)) {
		t->filter[len] = (char)key;
		t->filter[len + 1] = '\0';
	}
	top_arrange(t);
}

static bool move_key(struct top *t, int key)
{
	size_t at = t->at[t->view];

	switch (key) {
	case KEY_UP:
	case 'k':
		top_select(t, at > 0 ? at - 1 : 0);
		return true;
	case KEY_DOWN:
	case 'j':
		top_select(t, at + 1);
		return true;
	case KEY_PPAGE:
		top_select(t, at > PAGE ? at - PAGE : 0);
		return true;
	case KEY_NPAGE:
		top_select(t, at + PAGE);
		return true;
	case KEY_HOME:
		top_select(t, 0);
		return true;
	case KEY_END:
		top_select(t, SIZE_MAX);
		return true;
	default:
		return false;
	}
}

static void change_pace(struct top *t, bool slower)
{
	uint64_t ms = slower ? t->interval_ms * 2 : t->interval_ms / 2;

	if (ms >= INTERVAL_MS_MIN && ms <= INTERVAL_MS_MAX)
		t->interval_ms = ms;
}

static void switch_view(struct top *t)
{
	t->view = t->view == TOP_SITES ? TOP_CAMPAIGNS : TOP_SITES;
	t->campaigns_ms = 0;
	t->looked_ms = 0;
	top_arrange(t);
}

static void other_key(struct top *t, int key)
{
	switch (key) {
	case 'p':
		change(t, "pause", "paused");
		break;
	case 'u':
		change(t, "resume", "resumed");
		break;
	case 'r':
		change(t, "retry", "to be tried now");
		break;
	case 's':
		top_sort_next(t);
		break;
	case 'S':
		t->upward[t->view] = !t->upward[t->view];
		top_arrange(t);
		break;
	case '/':
		t->typing = true;
		break;
	case 27:
		t->filter[0] = '\0';
		top_arrange(t);
		break;
	case '\t':
		switch_view(t);
		break;
	case '+':
	case '-':
		change_pace(t, key == '-');
		break;
	case '?':
	case 'h':
		t->help = true;
		break;
	case 'q':
		t->quit = true;
		break;
	}
}

static int wait_ms(const struct top *t, uint64_t until_ms)
{
	uint64_t now = top_now_ms(), at = until_ms;

	if (t->message[0] != '\0' && t->message_ms + MESSAGE_MS < at)
		at = t->message_ms + MESSAGE_MS;
	if (at <= now)
		return 0;
	return at - now > 1000 ? 1000 : (int)(at - now);
}

void top_key(struct top *t, uint64_t until_ms)
{
	int key;

	timeout(wait_ms(t, until_ms));
	key = getch();
	if (t->message[0] != '\0' && top_now_ms() >= t->message_ms + MESSAGE_MS)
		t->message[0] = '\0';
	if (key == ERR || key == KEY_RESIZE)
		return;
	if (t->help)
		t->help = false;
	else if (t->typing)
		type(t, key);
	else if (move_key(t, key))
		t->follows[t->view] = true;
	else
		other_key(t, key);
}
