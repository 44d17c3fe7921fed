/*
 * site/earn.c - which hosts are sent groups of transactions (rule 19)
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
 */
#include "site/site_private.h"

#define EARNED_AT 3u /* whole groups */

static bool is_earned(const struct site_health *h)
{
	return h->groups >= EARNED_AT;
}

void site_conn_offers(struct site_conn *conn, bool pipelining)
{
	conn->addr->health->offer = pipelining ? OFFER_YES : OFFER_NO;
	conn->pipelining = pipelining;
}

bool site_conn_may_group(struct site_conn *conn, uint64_t now_ms)
{
	const struct site_settings *set = &conn->site->table->set;
	struct site_health *h = conn->addr->health;

	if (set->grouping == SITE_GROUPING_OFF || !conn->pipelining ||
	    conn->carried == 0 || !site_conn_trusted(conn, now_ms))
		return false;
	if (set->grouping == SITE_GROUPING_ON || is_earned(h))
		return true;
	if (h->trier == NULL)
		h->trier = conn;
	return h->trier == conn;
}

void site_conn_grouped(struct site_conn *conn, uint32_t groups)
{
	struct site_health *h = conn->addr->health;

	if (groups == conn->groups)
		return;
	BUG_ON(groups < conn->groups);
	h->groups += groups - conn->groups;
	conn->groups = groups;
	if (is_earned(h) && h->trier != NULL) {
		h->groups = EARNED_AT;
		h->trier = NULL;
	}
}

void site_conn_group_broke(struct site_conn *conn, uint64_t now_ms)
{
	if (conn->addr->health->groups > 0)
		return; /* it takes them: this end has other causes */
	conn->disliked = true;
	site_conn_distrust(conn, now_ms);
}

void site_earn_leave(struct site_conn *conn)
{
	if (conn->addr->health->trier == conn)
		conn->addr->health->trier = NULL;
}

const char *site_earn_state(const struct site_table *table,
			    const struct site_health *h, uint64_t now_ms)
{
	if (table->set.grouping == SITE_GROUPING_OFF)
		return "off";
	if (site_distrusted_until(table, &h->addr, now_ms) > now_ms)
		return "distrusted";
	if (h->offer == OFFER_UNKNOWN)
		return "unknown";
	if (h->offer == OFFER_NO)
		return "not-offered";
	if (table->set.grouping == SITE_GROUPING_ON || is_earned(h))
		return "grouped";
	return h->trier != NULL ? "trying" : "unknown";
}
