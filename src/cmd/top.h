#ifndef MTAQ_CMD_TOP_H
#define MTAQ_CMD_TOP_H

/*
 * The parts of `mtaq top`:
 *
 *	top.c       the command and its loop
 *	top_ask.c   asks the daemon; rates from two looks
 *	top_rows.c  which rows, in which order; cells as text
 *	top_draw.c  the screen (the only user of ncurses, with top_keys.c)
 *	top_keys.c  keys, and what they do to the daemon
 *	top_once.c  one look, as text or JSON
 */
#include "admin/client.h"
#include "cmd/human.h"
#include "cmd/kept.h"
#include "mtaq/settings.h"

enum top_view {
	TOP_SITES,
	TOP_CAMPAIGNS,
	TOP_VIEWS
};

enum top_number { /* of a row */
	TOP_WINDOW,
	TOP_OPEN,
	TOP_IDLE,
	TOP_QUEUED,
	TOP_OUT, /* a second, in tenths; so is the next */
	TOP_PUT_OFF,
	TOP_AGAIN_S,
	TOP_LAST_AGO_S,
	TOP_DEFERRED, /* recipients, of a campaign; so are the next */
	TOP_HELD,
	/* Counters, for the rates. */
	TOP_DELIVERED_SUM,
	TOP_DEFERRED_SUM,
	TOP_NUMBERS
};

enum top_text { /* of a row */
	TOP_NAME,
	TOP_TENANT,
	TOP_STATE,
	TOP_LIMIT,
	TOP_LAST,
	TOP_TEXTS
};

#define TOP_TEXT_MAX 200u
struct top_row {
	char text[TOP_TEXTS][TOP_TEXT_MAX];
	uint64_t n[TOP_NUMBERS];
};

struct top_rows {
	struct top_row *rows;
	size_t count, size;
};

struct top_column {
	const char *title;
	int width;   /* negative: to the left; 0: what is left over */
	bool number; /* n[field], else text[field] */
	unsigned field;
};

struct top_rates { /* a second, in tenths */
	uint64_t in, out, deferred, bounced;
};

#define TOP_HISTORY 240u

struct top {
	const char *config;
	uint64_t interval_ms;
	bool once, json;
	struct settings set;
	char socket[256];
	/* The daemon. */
	struct admin_client client;
	bool connected, seen; /* now; ever */
	char trouble[200];    /* why not */
	struct kept pulse;    /* one row */
	uint64_t looked_ms, campaigns_ms, campaigns_took_ms;
	struct top_rates rates;
	uint64_t history[TOP_HISTORY]; /* .out, the newest last */
	unsigned history_count;
	struct top_rows all[TOP_VIEWS];
	/* The screen. */
	enum top_view view;
	size_t *shown[TOP_VIEWS]; /* indexes into all: filtered, sorted */
	size_t shown_count[TOP_VIEWS];
	unsigned sort[TOP_VIEWS]; /* a column */
	bool upward[TOP_VIEWS];
	size_t at[TOP_VIEWS];    /* selected */
	bool follows[TOP_VIEWS]; /* its row was chosen: the selection stays
				  * on it, wherever it goes */
	char selected[TOP_VIEWS][TOP_TEXT_MAX];
	char filter[64];
	bool typing, help, quit;
	char message[200]; /* of the last key */
	uint64_t message_ms;
};

uint64_t top_now_ms(void);

/* top_ask.c: a look at everything that the view shows.  On failure
 * t->connected is false and t->trouble says why; it tries again next time. */
void top_look(struct top *t);
/* Ask for a change: EX_OK, or t->message says what the daemon said. */
int top_change(struct top *t, struct buf *request);
void top_close(struct top *t);
uint64_t top_number(const struct top *t, const char *key);
struct span top_text(const struct top *t, const char *key);

/* top_rows.c */
const struct top_column *top_columns(enum top_view view, unsigned *count_r);
/* Make shown[] anew, and keep the selection on its row. */
void top_arrange(struct top *t);
/* NULL: there is none. */
const struct top_row *top_selected(const struct top *t);
void top_select(struct top *t, size_t at);
/* The cell as a C string. */
void top_cell(const struct top_row *row, const struct top_column *column,
	      char *text, size_t size);
/* The next column to sort by. */
void top_sort_next(struct top *t);

/* top_draw.c */
void top_screen_open(void);
void top_screen_close(void);
void top_draw(const struct top *t);

/* top_keys.c: wait for a key until then, and obey it. */
void top_key(struct top *t, uint64_t until_ms);

/* top_once.c: 0 or -ENOMEM. */
int top_print(struct top *t);
int top_print_json(struct top *t);

#endif
