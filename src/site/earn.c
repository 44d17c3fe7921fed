/*
 * site/earn.c - which hosts are sent groups (rule 19) and chunks (rule 20)
 *
 *	UNKNOWN --a session asks--> TRIED --EARNED_AT whole groups--> EARNED
 *	   ^                         | |
 *	   +--- it ends in peace ----+ +--- it ends within its first group
 *	                                          |
 *	trust.c: 24 h without groups <------------+---- spoke out of turn
 *
 * One session tries, and the others of that address go on with a transaction
 * at a time: what a server makes of a group shows within its first few, and if
 * that is nonsense, one mail is unsure and not one of every session.
 *
 * A server that hangs up on its first group is not asked again for a day, and
 * its end of that session says nothing about messages per session (rule 5):
 * else a host that dislikes groups would be taught to us as one that takes a
 * single message a session.
 *
 * Chunks (rule 20) are earned likewise, message by message; and how many follow
 * each other without waiting, window by window, all sessions together: what is
 * at risk when a connection breaks was taken as often before.
 */
#include "site/site_private.h"

#define EARNED_AT    3u /* whole groups; messages taken as chunks */
#define NO_CHUNKS_MS 86400000u

static bool is_earned(const struct earning *e)
{
	return e->good >= EARNED_AT;
}

/* May conn, which is the one that tries when there is none? */
static bool may_try(struct earning *e, struct site_conn *conn)
{
	if (is_earned(e))
		return true;
	if (e->trier == NULL)
		e->trier = conn;
	return e->trier == conn;
}

static void count_good(struct earning *e, uint32_t *seen, uint32_t now)
{
	BUG_ON(now < *seen);
	e->good += now - *seen;
	*seen = now;
	if (is_earned(e)) {
		e->good = EARNED_AT;
		e->trier = NULL;
	}
}

void site_conn_offers(struct site_conn *conn, bool pipelining, bool chunking)
{
	struct site_health *h = conn->addr->health;

	h->group.offer = pipelining ? OFFER_YES : OFFER_NO;
	h->chunk.offer = chunking ? OFFER_YES : OFFER_NO;
	conn->pipelining = pipelining;
	conn->chunking = chunking;
}

bool site_conn_may_group(struct site_conn *conn, uint64_t now_ms)
{
	const struct site_settings *set = &conn->site->table->set;

	if (set->grouping == SITE_GROUPING_OFF || !conn->pipelining ||
	    conn->carried == 0 || !site_conn_trusted(conn, now_ms))
		return false;
	if (set->grouping == SITE_GROUPING_ON)
		return true;
	return may_try(&conn->addr->health->group, conn);
}

void site_conn_grouped(struct site_conn *conn, uint32_t groups)
{
	count_good(&conn->addr->health->group, &conn->groups, groups);
}

void site_conn_group_broke(struct site_conn *conn, uint64_t now_ms)
{
	if (conn->addr->health->group.good > 0)
		return; /* it takes them: this end has other causes */
	conn->disliked = true;
	site_conn_distrust(conn, now_ms);
}

/* --- chunks (rule 20) ------------------------------------------------------ */

bool site_conn_may_chunk(struct site_conn *conn, uint64_t now_ms)
{
	const struct site_settings *set = &conn->site->table->set;
	struct site_health *h = conn->addr->health;

	if (set->chunking == SITE_CHUNKING_OFF || !conn->chunking ||
	    now_ms < h->no_chunks_ms || !site_conn_trusted(conn, now_ms))
		return false;
	if (set->chunking == SITE_CHUNKING_ON)
		return true;
	return may_try(&h->chunk, conn);
}

void site_conn_chunked(struct site_conn *conn, uint32_t chunks)
{
	count_good(&conn->addr->health->chunk, &conn->chunks, chunks);
}

void site_conn_no_chunks(struct site_conn *conn, uint64_t now_ms)
{
	conn->addr->health->no_chunks_ms = now_ms + NO_CHUNKS_MS;
	site_earn_anew(conn->addr->health);
}

uint32_t site_conn_ahead(const struct site_conn *conn, uint64_t now_ms)
{
	const struct site_health *h = conn->addr->health;

	return conn->chunking && now_ms >= h->no_chunks_ms &&
			       site_conn_trusted(conn, now_ms)
		       ? h->deeper + 1
		       : 1;
}

void site_conn_flew(struct site_conn *conn, uint32_t flights)
{
	struct site_health *h = conn->addr->health;
	uint32_t most = h->table->set.chunks_ahead;

	BUG_ON(flights < conn->flights);
	h->flown += flights - conn->flights;
	conn->flights = flights;
	while (h->flown > h->deeper && h->deeper + 1 < most)
		h->flown -= ++h->deeper;
	if (h->deeper + 1 == most)
		h->flown = 0;
}

void site_earn_anew(struct site_health *h)
{
	h->chunk.good = h->deeper = h->flown = 0;
}

/* --- both ------------------------------------------------------------------ */

void site_earn_leave(struct site_conn *conn)
{
	struct site_health *h = conn->addr->health;

	if (h->group.trier == conn)
		h->group.trier = NULL;
	if (h->chunk.trier == conn)
		h->chunk.trier = NULL;
}

static const char *state(const struct earning *e, bool on, const char *good)
{
	if (e->offer == OFFER_UNKNOWN)
		return "unknown";
	if (e->offer == OFFER_NO)
		return "not-offered";
	if (on || is_earned(e))
		return good;
	return e->trier != NULL ? "trying" : "unknown";
}

void site_earn_describe(const struct site_health *h, uint64_t now_ms,
			struct site_host_info *info)
{
	const struct site_settings *set = &h->table->set;
	uint64_t until = site_distrusted_until(h, now_ms);

	info->ahead = until > 0 ? 1 : h->deeper + 1;
	info->grouping = "off";
	info->chunking = "off";
	if (set->grouping != SITE_GROUPING_OFF) {
		info->grouping_ms = until;
		info->grouping =
			until > 0 ? "distrusted"
				  : state(&h->group,
					  set->grouping == SITE_GROUPING_ON,
					  "grouped");
	}
	if (h->no_chunks_ms > now_ms && h->no_chunks_ms > until)
		until = h->no_chunks_ms;
	if (set->chunking != SITE_CHUNKING_OFF) {
		info->chunking_ms = until;
		info->chunking =
			until > 0 ? "distrusted"
				  : state(&h->chunk,
					  set->chunking == SITE_CHUNKING_ON,
					  "chunked");
	}
}
