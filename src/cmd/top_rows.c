/*
 * cmd/top_rows.c - which rows, in which order
 */
#include "cmd/top.h"

#include <stdio.h>
#include <stdlib.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct top_column sites[] = {
	{ "SITE", -26, false, TOP_NAME },
	{ "STATE", -6, false, TOP_STATE },
	{ "LIMIT", -8, false, TOP_LIMIT },
	{ "WIN", 4, true, TOP_WINDOW },
	{ "OPEN", 4, true, TOP_OPEN },
	{ "IDLE", 4, true, TOP_IDLE },
	{ "QUEUED", 6, true, TOP_QUEUED },
	{ "OUT/s", 5, true, TOP_OUT },
	{ "DEF/s", 5, true, TOP_PUT_OFF },
	{ "LAST REFUSAL OR FAILURE", 0, false, TOP_LAST },
};

static const struct top_column campaigns[] = {
	{ "CAMPAIGN", -30, false, TOP_NAME },
	{ "TENANT", -16, false, TOP_TENANT },
	{ "STATE", -6, false, TOP_STATE },
	{ "WAITING", 7, true, TOP_QUEUED },
	{ "DEFERRED", 8, true, TOP_DEFERRED },
	{ "HELD", 5, true, TOP_HELD },
};

const struct top_column *top_columns(enum top_view view, unsigned *count_r)
{
	*count_r = view == TOP_SITES ? COUNT(sites) : COUNT(campaigns);
	return view == TOP_SITES ? sites : campaigns;
}

void top_cell(const struct top_row *row, const struct top_column *column,
	      char *text, size_t size)
{
	uint64_t n = row->n[column->field];

	if (!column->number)
		snprintf(text, size, "%s",
			 row->text[column->field][0] == '\0'
				 ? "-"
				 : row->text[column->field]);
	else if (column->field == TOP_OUT || column->field == TOP_PUT_OFF)
		snprintf(text, size, "%s",
			 n < 100 && n > 0 ? human_rate(n, 10000).text
					  : human_short(n / 10).text);
	else
		snprintf(text, size, "%s", human_short(n).text);
}

/* --- order ----------------------------------------------------------------- */

static const struct top *sorting; /* qsort() hands no context on */

static int by_column(const void *a, const void *b)
{
	const struct top *t = sorting;
	const struct top_row *x = &t->all[t->view].rows[*(const size_t *)a];
	const struct top_row *y = &t->all[t->view].rows[*(const size_t *)b];
	unsigned count;
	const struct top_column *c =
		&top_columns(t->view, &count)[t->sort[t->view]];
	int by;

	if (c->number)
		by = (x->n[c->field] < y->n[c->field]) -
		     (x->n[c->field] > y->n[c->field]);
	else
		by = strcmp(x->text[c->field], y->text[c->field]);
	if (t->upward[t->view])
		by = -by;
	if (by == 0)
		by = (x->n[TOP_OUT] < y->n[TOP_OUT]) -
		     (x->n[TOP_OUT] > y->n[TOP_OUT]);
	return by != 0 ? by : strcmp(x->text[TOP_NAME], y->text[TOP_NAME]);
}

static bool matches(const struct top *t, const struct top_row *row)
{
	unsigned i;

	for (i = 0; i < TOP_TEXTS; i++)
		if (strcasestr(row->text[i], t->filter) != NULL)
			return true;
	return false;
}

static void filter_rows(struct top *t)
{
	const struct top_rows *all = &t->all[t->view];
	size_t i, n = 0;
	size_t *p = realloc(t->shown[t->view], (all->count + 1) * sizeof(*p));

	if (p == NULL) {
		t->shown_count[t->view] = 0;
		return;
	}
	t->shown[t->view] = p;
	for (i = 0; i < all->count; i++)
		if (matches(t, &all->rows[i]))
			p[n++] = i;
	t->shown_count[t->view] = n;
}

void top_select(struct top *t, size_t at)
{
	size_t count = t->shown_count[t->view];
	const struct top_row *row;

	t->at[t->view] = count == 0 ? 0 : at < count ? at : count - 1;
	row = top_selected(t);
	if (row != NULL)
		memcpy(t->selected[t->view], row->text[TOP_NAME], TOP_TEXT_MAX);
}

void top_arrange(struct top *t)
{
	const struct top_rows *all = &t->all[t->view];
	size_t i;

	filter_rows(t);
	sorting = t;
	if (t->shown_count[t->view] > 1)
		qsort(t->shown[t->view], t->shown_count[t->view],
		      sizeof(size_t), by_column);
	for (i = 0; t->follows[t->view] && i < t->shown_count[t->view]; i++)
		if (strcmp(all->rows[t->shown[t->view][i]].text[TOP_NAME],
			   t->selected[t->view]) == 0)
			break;
	top_select(t, t->follows[t->view] && i < t->shown_count[t->view]
			      ? i
			      : t->at[t->view]);
}

const struct top_row *top_selected(const struct top *t)
{
	if (t->shown_count[t->view] == 0)
		return NULL;
	return &t->all[t->view].rows[t->shown[t->view][t->at[t->view]]];
}

void top_sort_next(struct top *t)
{
	unsigned count;

	top_columns(t->view, &count);
	t->sort[t->view] = (t->sort[t->view] + 1) % count;
	top_arrange(t);
}
