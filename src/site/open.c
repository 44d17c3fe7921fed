/*
 * site/open.c - another session, and to which address?
 *
 * Addresses stand in ranks of equal preference.  In the first rank that has
 * any that is neither bad nor without an answer, the one with the fewest
 * connections is taken; a bad one whose time has come gets its probe first.
 * That a rank is full is no reason to bother the next one.
 *
 * An address that we cannot reach for reasons of our own is left out likewise
 * until its time: neither alive nor dead.
 *
 * For mail that some hosts have refused to take (rule 24) those hosts are left
 * out of the same choice: neither alive nor dead.
 */
#include "site/site_private.h"

#define PROBED_MS    1000u
#define SLOW_FACTOR  4u /* staggered connects: at most so many windows */
#define SATURATED_MS (3 * SITE_STEP_MS) /* between two questions */

/* What a look at all addresses says. */
struct scan {
	const struct site_need *need; /* or NULL; given */
	struct site_addr *best;
	bool probe;        /* best is bad and due */
	bool dead;         /* all are bad */
	bool fits;         /* some listed one is not left out */
	bool ours;         /* every one is out of our own reach */
	bool coming;       /* one that is not: a session is on its way */
	uint32_t slow;     /* connections to addresses that do not answer */
	uint64_t until_ms; /* dead: when the first is due */
	uint64_t again_ms; /* when time may change the choice */
};

/* Why not another session; and until when, if time alone ends that. */
struct no {
	enum site_limit limit;
	uint64_t until_ms;
};

static void sooner(uint64_t *when, uint64_t other)
{
	if (other < *when)
		*when = other;
}

static bool left_out(const struct site *site, uint32_t at,
		     const struct site_need *need, uint64_t now_ms)
{
	return need != NULL && site_addr_unfit(site, at, need, now_ms);
}

static void scan_state(const struct site *site, uint64_t now_ms,
		       struct scan *scan)
{
	uint32_t stagger = site->table->set.stagger_ms, i;
	uint64_t ours_ms = SITE_NEVER;
	bool bad = false;

	scan->dead = true;
	scan->until_ms = scan->again_ms = SITE_NEVER;
	for (i = 0; i < site->addr_count; i++) {
		const struct site_addr *a = site->addrs[i];
		const struct site_conn *oldest;
		bool slow = site_addr_slow(a, stagger, now_ms);

		if (slow) {
			scan->slow += a->conns - a->sessions;
		} else if (!list_empty(&a->connecting)) {
			oldest = CONTAINER_OF(a->connecting.next,
					      struct site_conn, link);
			sooner(&scan->again_ms, oldest->opened_ms + stagger);
		}
		if (!a->listed || left_out(site, i, scan->need, now_ms))
			continue;
		scan->fits = true;
		if (a->conns > a->sessions && !slow)
			scan->coming = true;
		if (a->ours_ms > now_ms) {
			sooner(&ours_ms, a->ours_ms);
			continue;
		}
		bad = bad || a->health->state == HEALTH_BAD;
		if (a->health->state != HEALTH_BAD)
			scan->dead = false;
		else if (!a->health->probing)
			sooner(&scan->until_ms, a->health->until_ms);
		else if (site->probes == 0) /* by another site: ask again */
			sooner(&scan->until_ms, now_ms + PROBED_MS);
		if (a->hold_ms > now_ms)
			sooner(&scan->again_ms, a->hold_ms);
	}
	sooner(&scan->until_ms, ours_ms);
	scan->ours = scan->dead && !bad && ours_ms != SITE_NEVER;
	scan->dead = scan->dead && !scan->ours;
	if (scan->until_ms > now_ms)
		sooner(&scan->again_ms, scan->until_ms);
}

static bool addr_due(const struct site_addr *a, uint64_t now_ms)
{
	const struct site_health *h = a->health;

	return h->state == HEALTH_BAD && !h->probing && now_ms >= h->until_ms;
}

static bool addr_usable(const struct site_addr *a, uint64_t now_ms)
{
	return a->conns < a->window.size &&
	       (now_ms >= a->hold_ms || a->conns < a->hold_size);
}

struct rank {
	const struct site *site;
	uint32_t from, to;
};

/* Look through the rank [from, to).  True: it decides, with or without a
 * choice; false: the next rank may. */
static bool rank_choose(const struct rank *rank, uint64_t now_ms,
			struct scan *scan)
{
	const struct site *site = rank->site;
	uint32_t n = rank->to - rank->from, k;
	bool alive = false;

	for (k = 0; k < n; k++) {
		uint32_t at = rank->from + (site->turn + k) % n;
		struct site_addr *a = site->addrs[at];

		if (a->ours_ms > now_ms ||
		    left_out(site, at, scan->need, now_ms))
			continue;
		if (addr_due(a, now_ms)) {
			scan->best = a;
			scan->probe = true;
			return true;
		}
		if (a->health->state == HEALTH_BAD ||
		    site_addr_slow(a, site->table->set.stagger_ms, now_ms))
			continue;
		alive = true;
		if (addr_usable(a, now_ms) &&
		    (scan->best == NULL || a->conns < scan->best->conns))
			scan->best = a;
	}
	return alive;
}

static void scan_site(const struct site *site, uint64_t now_ms,
		      struct scan *scan)
{
	struct rank r = { .site = site };
	uint32_t listed = 0;

	*scan = (struct scan){ .need = scan->need };
	scan_state(site, now_ms, scan);
	while (listed < site->addr_count && site->addrs[listed]->listed)
		listed++;
	for (; r.from < listed; r.from = r.to) {
		r.to = r.from + 1;
		while (r.to < listed && site->addrs[r.to]->preference ==
						site->addrs[r.from]->preference)
			r.to++;
		if (rank_choose(&r, now_ms, scan))
			return;
	}
}

/* A whole step must have passed since it was doubled. */
static bool ramp_may_double(const struct site *site)
{
	return site->table->step >= site->ramp_step + 2;
}

/* Those it has say nothing: they cost no time, and its mail would wait. */
static bool is_stalled(const struct site *site)
{
	return site->table->now_ms >= site->heard_ms + SITE_STALL_MS;
}

/* Steps: may bulk mail have one session more than these? */
static bool ramp_allows(const struct site *site, uint32_t have)
{
	return site->table->step == 0 || have == 0 || have < site->ramp ||
	       ramp_may_double(site) || is_stalled(site);
}

static void ramp_opens(struct site *site, uint32_t slow)
{
	uint32_t have = site->sessions + site->connecting - slow;

	site->heard_ms = site->table->now_ms;
	if (have == 0)
		site->ramp = 1;
	else if (have >= site->ramp && ramp_may_double(site))
		site->ramp = 2 * have;
	else
		return; /* within the step, or transactional mail's */
	site->ramp_step = site->table->step;
}

enum wants {
	WANTS_NOT,
	WANTS,
	WANTS_LATER /* it does, but a session more would not help now */
};

/* Does the load justify one session more than there are? */
static enum wants load_wants(const struct site *site,
			     const struct site_load *load, uint32_t slow)
{
	uint32_t coming = site->connecting - slow;
	uint32_t idle = site->sessions - site->busy + coming;
	uint32_t patient = load->waiting - load->urgent;

	BUG_ON(load->urgent > load->waiting || slow > site->connecting);
	if (load->urgent > idle)
		return WANTS;
	if (1 + patient / site->table->set.backlog <= site->sessions + coming)
		return WANTS_NOT;
	return ramp_allows(site, site->sessions + coming) ? WANTS : WANTS_LATER;
}

static bool window_full(const struct limits *l, uint32_t slow)
{
	return l->conns - slow >= l->window.size ||
	       l->conns >= SLOW_FACTOR * l->window.size;
}

static enum site_answer say(struct no *no, enum site_answer answer,
			    enum site_limit limit, uint64_t until_ms)
{
	*no = (struct no){ limit, until_ms };
	return answer;
}

/* Does the load want a session, and now?  If not, *no says why. */
static bool wanted(const struct site *site, const struct site_load *load,
		   uint32_t slow, uint64_t now_ms, uint64_t again_ms,
		   struct no *no)
{
	bool saturated = site->table->saturated;

	switch (load_wants(site, load, slow)) {
	case WANTS:
		return true;
	case WANTS_NOT:
		say(no, SITE_ENOUGH, SITE_LIMIT_LOAD, again_ms);
		return false;
	case WANTS_LATER:
	default:
		sooner(&again_ms,
		       now_ms + (saturated ? SATURATED_MS : SITE_STEP_MS));
		say(no, SITE_ENOUGH,
		    saturated ? SITE_LIMIT_WORKER : SITE_LIMIT_STEP, again_ms);
		return false;
	}
}

/* The reasons that need no look at the addresses.  Without a load it is for
 * one mail that the sessions there are do not help. */
static enum site_answer want_quick(struct site *site,
				   const struct site_load *load,
				   uint64_t now_ms, struct no *no)
{
	struct limits *l = site->limits;
	uint64_t until;

	if (site->paused)
		return say(no, SITE_PAUSED, SITE_LIMIT_OPERATOR, SITE_NEVER);
	if (load != NULL && load->waiting == 0)
		return say(no, SITE_ENOUGH, SITE_LIMIT_LOAD, SITE_NEVER);
	if (site->table->conns >= site->table->conns_max)
		return say(no, SITE_FULL, SITE_LIMIT_TABLE, SITE_NEVER);
	if (load != NULL && site->connecting == 0 &&
	    !wanted(site, load, 0, now_ms, SITE_NEVER, no))
		return SITE_ENOUGH;
	if (now_ms < l->hold_ms && l->conns >= l->hold_size)
		return say(no, SITE_SLOWLY, SITE_LIMIT_CROWDED, l->hold_ms);
	if (l->pause_ms > now_ms)
		return say(no, SITE_SLOWLY, SITE_LIMIT_REPLY, l->pause_ms);
	until = pace_when(&l->pace, now_ms);
	if (until > now_ms)
		return say(no, SITE_SLOWLY, SITE_LIMIT_RATE, until);
	return say(no, SITE_OPEN, SITE_LIMIT_NONE, SITE_NEVER);
}

static enum site_answer want_scanned(struct site *site,
				     const struct site_load *load,
				     uint64_t now_ms, const struct scan *scan,
				     struct no *no)
{
	struct limits *l = site->limits;
	uint64_t when;

	if (scan->dead && site->probes > 0)
		return say(no, SITE_PROBING, SITE_LIMIT_PROBE, SITE_NEVER);
	if (scan->dead && scan->best == NULL)
		return say(no, SITE_DEAD, SITE_LIMIT_DEAD, scan->until_ms);
	if (load == NULL && scan->coming)
		return say(no, SITE_ENOUGH, SITE_LIMIT_LOAD, scan->again_ms);
	if (load != NULL &&
	    !wanted(site, load, scan->slow, now_ms, scan->again_ms, no))
		return SITE_ENOUGH;
	if (scan->ours)
		return say(no, SITE_OURS, SITE_LIMIT_OURS, scan->again_ms);
	if (window_full(l, scan->slow))
		return say(no, SITE_FULL, SITE_LIMIT_WINDOW, scan->again_ms);
	if (scan->best == NULL)
		return say(no, SITE_FULL, SITE_LIMIT_HOST, scan->again_ms);
	when = bucket_when(&l->connects, now_ms);
	if (when <= now_ms)
		return say(no, SITE_OPEN, SITE_LIMIT_NONE, scan->again_ms);
	return say(no, SITE_SLOWLY, SITE_LIMIT_CONNECTS, when);
}

/* For a load, or for one mail and its need (scan->need). */
static enum site_answer want(struct site *site, const struct site_load *load,
			     uint64_t now_ms, struct scan *scan, struct no *no)
{
	enum site_answer answer;

	site->table->now_ms = now_ms;
	answer = want_quick(site, load, now_ms, no);
	if (answer != SITE_OPEN)
		return answer;
	scan_site(site, now_ms, scan);
	return want_scanned(site, load, now_ms, scan, no);
}

static enum site_answer open_one(struct site *site,
				 const struct site_load *load,
				 struct scan *scan,
				 struct site_target *target_r, uint64_t *when_r)
{
	uint64_t now_ms = site->table->now_ms;
	enum site_answer answer;
	struct site_conn *conn;
	struct no no;

	answer = want(site, load, now_ms, scan, &no);
	*when_r = no.until_ms;
	if (answer != SITE_OPEN)
		return answer;
	ramp_opens(site, scan->slow);
	conn = site_conn_new(site, scan->best, scan->probe, now_ms);
	if (conn == NULL)
		return SITE_FULL;
	bucket_take(&site->limits->connects, now_ms);
	site->turn++;
	*target_r = (struct site_target){ .conn = conn,
					  .host = scan->best->host,
					  .addr = scan->best->addr,
					  .preference = scan->best->preference,
					  .probe = scan->probe };
	*when_r = now_ms;
	return SITE_OPEN;
}

enum site_answer site_want(struct site *site, const struct site_load *load,
			   uint64_t now_ms, struct site_target *target_r,
			   uint64_t *when_r)
{
	struct scan scan = { .need = NULL };

	site->table->now_ms = now_ms;
	return open_one(site, load, &scan, target_r, when_r);
}

enum site_answer site_want_for(struct site *site, const struct site_need *need,
			       uint64_t now_ms, struct site_target *target_r,
			       uint64_t *when_r)
{
	struct scan scan = { .need = need };

	site->table->now_ms = now_ms;
	return open_one(site, NULL, &scan, target_r, when_r);
}

enum site_fit site_fit(const struct site *site, const struct site_need *need,
		       uint64_t now_ms)
{
	struct scan scan = { .need = need };

	scan_state(site, now_ms, &scan);
	if (!scan.fits)
		return SITE_FIT_NEVER;
	/* A bad one whose time has come, or that is being probed, counts. */
	if (scan.dead && !scan.coming && scan.until_ms > now_ms)
		return SITE_FIT_LATER;
	return SITE_FIT_PERHAPS;
}

enum site_limit site_limit(struct site *site, const struct site_load *load,
			   uint64_t now_ms, uint64_t *until_ms_r)
{
	struct scan scan = { .need = NULL };
	struct no no;

	(void)want(site, load, now_ms, &scan, &no);
	*until_ms_r = no.until_ms;
	return no.limit;
}

/* clang-format off */
static const struct {
	const char *name, *words;
} limit_names[SITE_LIMIT_COUNT] = {
	[SITE_LIMIT_NONE] = { "none", "nothing: another session may open" },
	[SITE_LIMIT_LOAD] = { "load", "the open sessions suffice for what waits" },
	[SITE_LIMIT_OPERATOR] = { "operator", "an operator has paused the site" },
	[SITE_LIMIT_TABLE] = { "connections", "the connections of all sites together (limits.connections) are in use" },
	[SITE_LIMIT_CROWDED] = { "crowded", "the site has said that these are too many connections" },
	[SITE_LIMIT_REPLY] = { "reply", "the site has asked us to slow down" },
	[SITE_LIMIT_RATE] = { "rate", "the messages per second that the site takes" },
	[SITE_LIMIT_DEAD] = { "dead", "no host of the site takes mail" },
	[SITE_LIMIT_PROBE] = { "probe", "no host of the site takes mail; one is being tried" },
	[SITE_LIMIT_WINDOW] = { "window", "the connections that the site takes at once (site.connections) are in use" },
	[SITE_LIMIT_HOST] = { "host", "the connections that its hosts take at once are in use" },
	[SITE_LIMIT_CONNECTS] = { "connects", "the connections per second (site.connects_per_second)" },
	[SITE_LIMIT_STEP] = { "step", "its sessions open step by step; the next ones open at once" },
	[SITE_LIMIT_WORKER] = { "worker", "mtaq has no CPU time left on this thread: more sessions would not be faster" },
	[SITE_LIMIT_OURS] = { "ours", "this machine can connect to none of its hosts; mtaq status and the log say why" },
};
/* clang-format on */

const char *site_limit_name(enum site_limit limit)
{
	BUG_ON((unsigned)limit >= SITE_LIMIT_COUNT);
	return limit_names[limit].name;
}

const char *site_limit_words(enum site_limit limit)
{
	BUG_ON((unsigned)limit >= SITE_LIMIT_COUNT);
	return limit_names[limit].words;
}

const char *site_answer_words(enum site_answer answer)
{
	static const char *const words[SITE_ANSWER_COUNT] = {
		[SITE_OPEN] = "open another session",
		[SITE_ENOUGH] = "the open sessions suffice",
		[SITE_FULL] = "all allowed connections are in use",
		[SITE_SLOWLY] = "the site asked us to slow down",
		[SITE_DEAD] = "no host answers",
		[SITE_PROBING] = "no host answers; one is being tried",
		[SITE_PAUSED] = "paused by the operator",
		[SITE_OURS] = "this machine can connect to none of its hosts",
	};

	BUG_ON((unsigned)answer >= SITE_ANSWER_COUNT);
	return words[answer];
}
