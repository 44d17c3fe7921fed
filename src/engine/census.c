/*
 * engine/census.c - what a worker's sites do, counted once a second
 *
 * The busiest sites have a cell of the board each.  A new site gets a free
 * one; when there is none it takes that of the least busy site, but only when
 * that has had it for a while and has much less to do: names that come and go
 * make figures that nobody can read.
 */
#include "engine/worker_private.h"

#define HOLD_MS 60000u /* a cell stays with its site so long */
#define MUCH    4u     /* times as busy */

struct sums {
	struct worker_state *s;
	struct board_view other; /* gauges only */
	uint64_t sessions, busy, connecting, running;
	uint64_t waiting[SCHED_CLASS_COUNT];
	uint64_t sites, active, parked, paused;
	struct wsite *best, *least; /* without a cell; with one */
	uint64_t best_rank, least_rank;
};

static bool has_cell(const struct worker_state *s, const struct wsite *ws)
{
	return ws->cell != &s->w->counts.board.other;
}

static struct board_cell *free_cell(struct worker_state *s)
{
	struct board *b = &s->w->counts.board;
	unsigned i;

	for (i = 0; i < b->count; i++)
		if (atomic_load_explicit(&b->cells[i].name[0],
					 memory_order_relaxed) == 0)
			return &b->cells[i];
	return NULL;
}

static void give(struct worker_state *s, struct wsite *ws,
		 struct board_cell *cell)
{
	board_give(cell, span_str(site_name(ws->site)));
	ws->cell = cell;
	ws->given_ms = s->now_ms;
}

void census_join(struct worker_state *s, struct wsite *ws)
{
	struct board_cell *cell = free_cell(s);

	ws->cell = &s->w->counts.board.other;
	if (cell != NULL)
		give(s, ws, cell);
}

void census_leave(struct worker_state *s, struct wsite *ws)
{
	if (has_cell(s, ws))
		board_give(ws->cell, SPAN(""));
	ws->cell = &s->w->counts.board.other;
}

static void add_gauges(uint64_t *to, const struct site_info *i, uint64_t queued)
{
	to[BOARD_WINDOW] += i->window;
	to[BOARD_CONNECTIONS] += i->sessions + i->connecting;
	to[BOARD_IDLE] += i->sessions - i->busy;
	to[BOARD_QUEUED] += queued;
	to[BOARD_PARKED] += i->dead;
}

static void tell_gauges(struct board_cell *cell, const uint64_t *from)
{
	unsigned i;

	for (i = 0; i < BOARD_GAUGES; i++)
		tally_set(&cell->gauges[i], from[i]);
}

static void rank(struct sums *sums, struct wsite *ws, uint64_t queued)
{
	struct board_cell *cell;
	uint64_t points;

	ws->busy = ws->busy - ws->busy / 8 + ws->settled;
	ws->settled = 0;
	points = ws->busy + queued;
	if (!has_cell(sums->s, ws) && points > 0) {
		cell = free_cell(sums->s);
		if (cell != NULL)
			give(sums->s, ws, cell);
	}
	if (!has_cell(sums->s, ws) && points > sums->best_rank) {
		sums->best = ws;
		sums->best_rank = points;
	}
	if (has_cell(sums->s, ws) &&
	    (sums->least == NULL || points < sums->least_rank)) {
		sums->least = ws;
		sums->least_rank = points;
	}
}

static void count_site(struct sums *sums, struct wsite *ws)
{
	uint64_t gauges[BOARD_GAUGES] = { 0 }, queued;
	struct site_info i;
	struct sched_counts c;

	sched_rq_counts(ws->rq, &c);
	queued = (uint64_t)c.waiting[0] + c.waiting[1];
	sums->sites++;
	rank(sums, ws, queued + c.running);
	if (queued + c.running + ws->conns > 0) {
		sums->active++;
		site_describe(ws->site, sums->s->now_ms, &i);
		sums->sessions += i.sessions;
		sums->busy += i.busy;
		sums->connecting += i.connecting;
		sums->running += c.running;
		sums->waiting[0] += c.waiting[0];
		sums->waiting[1] += c.waiting[1];
		sums->parked += i.dead;
		sums->paused += i.paused;
		add_gauges(gauges, &i, queued);
	}
	if (has_cell(sums->s, ws))
		tell_gauges(ws->cell, gauges);
	else
		for (unsigned n = 0; n < BOARD_GAUGES; n++)
			sums->other.gauges[n] += gauges[n];
}

static void swap_cells(struct sums *sums)
{
	struct board_cell *cell;

	if (sums->best == NULL || sums->least == NULL ||
	    sums->best_rank <= MUCH * sums->least_rank ||
	    sums->s->now_ms < sums->least->given_ms + HOLD_MS)
		return;
	cell = sums->least->cell;
	sums->least->cell = &sums->s->w->counts.board.other;
	give(sums->s, sums->best, cell);
}

void census_take(struct worker_state *s)
{
	struct worker_counts *c = &s->w->counts;
	struct sums sums = { .s = s };
	struct wsite *ws;
	size_t at = 0;

	while ((ws = map_walk(&s->site_map, &at)) != NULL)
		count_site(&sums, ws);
	tell_gauges(&c->board.other, sums.other.gauges);
	swap_cells(&sums);
	tally_set(&c->sessions_busy, sums.busy);
	tally_set(&c->sessions_idle, sums.sessions - sums.busy);
	tally_set(&c->connecting, sums.connecting);
	tally_set(&c->running, sums.running);
	tally_set(&c->waiting[0], sums.waiting[0]);
	tally_set(&c->waiting[1], sums.waiting[1]);
	tally_set(&c->sites, sums.sites);
	tally_set(&c->sites_active, sums.active);
	tally_set(&c->sites_parked, sums.parked);
	tally_set(&c->sites_paused, sums.paused);
}

int census_init(struct worker *w)
{
	struct worker_counts *c = &w->counts;

	histo_init(&c->queued_s, &meter_queued_s);
	histo_init(&c->transaction_ms, &meter_answer_ms);
	histo_init(&c->connect_ms, &meter_answer_ms);
	histo_init(&c->window, &meter_count);
	return board_init(&c->board, w->set.board_cells);
}
