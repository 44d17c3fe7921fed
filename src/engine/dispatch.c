/*
 * engine/dispatch.c - where a task goes
 *
 *	domain ─► routes: or resolver ─► set of hosts ─► site ─► worker
 *
 * What a domain's answer means for its tasks:
 *
 *	none yet    they wait here, asked for once; a full domain's further
 *	            tasks are handed back to the queue
 *	MX_OK       to the worker that owns the site; an expired set goes on
 *	            being used while a new one is asked for
 *	MX_TEMPFAIL handed back until the answer expires: nothing is written,
 *	            no attempt is charged (an outage is one record, rule 32);
 *	            only what is past its age limit ends (5.4.7 by 4.4.3)
 *	the rest    bounce (rule 7)
 */
#include "engine/storer_private.h"

#include "base/bug.h"
#include "base/hash.h"
#include "engine/resolver.h"
#include "engine/route.h"
#include "engine/wire.h"
#include "mtaq/outcome.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define PARKED_MAX    1000  /* tasks of one domain that wait for its hosts */
#define KEEP_IDLES    120   /* times session.idle (5 s): 10 minutes */
#define SWEEP_PARTS   25    /* of all domains, five of them a second */
#define SWEEP_SITES   10000 /* at most, as often */
#define DESTS_KEEP_MS 15000 /* ... of too many; workers ask within 10 s */
#define ASK_AGAIN_S   5

/* --- tables ---------------------------------------------------------------- */

static int grow(void **items, size_t item, uint32_t count, uint32_t *size)
{
	uint32_t more = *size == 0 ? 256 : *size * 2;
	void *p;

	if (count < *size)
		return 0;
	p = realloc(*items, more * item);
	if (p == NULL)
		return -ENOMEM;
	*items = p;
	*size = more;
	return 0;
}

static bool dest_is(const void *item, const void *key)
{
	const struct dest *d = item;
	const struct span *name = key;

	return span_eq(span_of(d->name, d->name_len), *name);
}

/* A place in s->dests. */
static int take_number(struct storer_state *s, uint32_t *number_r)
{
	if (s->spare_count > 0) {
		*number_r = s->spare[--s->spare_count];
		return 0;
	}
	if (grow((void **)&s->dests, sizeof(*s->dests), s->dest_count,
		 &s->dest_size) < 0)
		return -ENOMEM;
	*number_r = s->dest_count++;
	s->dests[*number_r] = NULL;
	return 0;
}

static void give_number(struct storer_state *s, uint32_t number)
{
	s->dests[number] = NULL;
	/* Without memory the place stays unused: no harm. */
	if (grow((void **)&s->spare, sizeof(*s->spare), s->spare_count,
		 &s->spare_size) == 0)
		s->spare[s->spare_count++] = number;
}

static struct dest *dest_new(struct storer_state *s, struct span name,
			     uint64_t hash)
{
	const struct settings_endpoint *route =
		settings_route(s->st->set.set, name.p, name.len);
	struct dest *d = calloc(1, sizeof(*d) + name.len + 1);

	if (d == NULL)
		return NULL;
	d->hash = hash;
	d->name_len = (uint16_t)name.len;
	memcpy(d->name, name.p, name.len);
	list_init(&d->parked);
	list_init(&d->answered);
	d->route = route;
	if (route == NULL || !route_is_address(route->host))
		return d;
	d->fixed = true;
	d->set = route_set(route);
	if (d->set != NULL)
		return d;
	free(d);
	return NULL;
}

static struct dest *dest_make(struct storer_state *s, struct span name,
			      uint64_t hash)
{
	struct dest *d = dest_new(s, name, hash);

	if (d == NULL)
		return NULL;
	if (take_number(s, &d->number) < 0) {
		mxset_unref(&d->set);
		free(d);
		return NULL;
	}
	if (map_put(&s->dest_map, hash, d) < 0) {
		give_number(s, d->number);
		mxset_unref(&d->set);
		free(d);
		return NULL;
	}
	s->dests[d->number] = d;
	return d;
}

static struct dest *dest_get(struct storer_state *s, struct span name)
{
	uint64_t hash = hash_bytes(name.p, name.len, 0);
	struct dest *d = map_find(&s->dest_map, hash, dest_is, &name);

	return d != NULL ? d : dest_make(s, name, hash);
}

const struct dest *dispatch_find(const struct storer_state *s,
				 struct span domain)
{
	uint64_t hash = hash_bytes(domain.p, domain.len, 0);

	return map_find(&s->dest_map, hash, dest_is, &domain);
}

const char *storer_site_name(struct storer *st, struct span domain)
{
	const struct dest *d = dispatch_find(st->state, domain);

	return d == NULL || d->target == NULL ? "" : d->target->name;
}

static void target_unused(struct storer_state *s, struct target *t)
{
	t->unused_ms = s->now_ms;
	list_add_tail(&s->unused, &t->unused);
}

static struct target *target_get(struct storer_state *s,
				 const struct mxset *set)
{
	struct site_key key;
	struct target *t;

	site_key(set, s->st->set.presets, s->st->set.preset_count, 0, 0, &key);
	t = map_find(&s->target_map, key.hash, NULL, NULL);
	if (t != NULL)
		return t;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return NULL;
	t->hash = key.hash;
	list_init(&t->unused);
	snprintf(t->name, sizeof(t->name), "%s", site_key_name(&key, set));
	t->number = s->targets_made++;
	t->worker = (unsigned)(key.owner % s->st->set.workers);
	if (map_put(&s->target_map, key.hash, t) < 0) {
		free(t);
		return NULL;
	}
	target_unused(s, t);
	return t;
}

static void set_target(struct storer_state *s, struct dest *d, struct target *t)
{
	if (d->target != NULL && --d->target->users == 0)
		target_unused(s, d->target);
	d->target = t;
	if (t != NULL && t->users++ == 0)
		list_del(&t->unused);
}

static void dest_free(struct dest *d)
{
	struct list *l;

	while ((l = list_pop(&d->parked)) != NULL)
		free(CONTAINER_OF(l, struct parked, link));
	mxset_unref(&d->set);
	free(d);
}

void dispatch_free(struct storer_state *s)
{
	struct target *t;
	uint32_t i;
	size_t at = 0;

	for (i = 0; i < s->dest_count; i++)
		if (s->dests[i] != NULL)
			dest_free(s->dests[i]);
	while ((t = map_walk(&s->target_map, &at)) != NULL) {
		mxset_unref(&t->told);
		free(t);
	}
	free(s->dests);
	free(s->spare);
	map_free(&s->dest_map);
	map_free(&s->target_map);
}

/* --- to a worker ----------------------------------------------------------- */

static bool is_paused(const struct storer_state *s, const struct target *t)
{
	return queue_site_paused(s->st->set.queue, span_str(t->name));
}

static bool tell_pause(struct storer_state *s, const struct target *t)
{
	struct to_worker_paused *m =
		lane_reserve_or_wait(&s->st->to_worker[t->worker], sizeof(*m));

	if (m == NULL)
		return false;
	*m = (struct to_worker_paused){ .type = TO_WORKER_PAUSED,
					.site = t->number,
					.paused = is_paused(s, t) };
	lane_publish(&s->st->to_worker[t->worker]);
	return true;
}

/* The lane keeps its order: what a site was told before comes before this,
 * and what it is told later says the same. */
bool storer_site_rule(struct storer *st, struct span site)
{
	const struct target *t;
	size_t at = 0;

	while ((t = map_walk(&st->state->target_map, &at)) != NULL)
		if (t->told != NULL &&
		    span_eq_nocase(span_str(t->name), site) &&
		    !tell_pause(st->state, t))
			return false;
	return true;
}

static bool tell_site(struct storer_state *s, struct target *t,
		      struct mxset *set)
{
	struct to_worker_site *m;

	if (t->told == set)
		return true;
	m = lane_reserve_or_wait(&s->st->to_worker[t->worker], sizeof(*m));
	if (m == NULL)
		return false;
	*m = (struct to_worker_site){ .type = TO_WORKER_SITE,
				      .site = t->number,
				      .paused = is_paused(s, t),
				      .set = mxset_ref(set) };
	lane_publish(&s->st->to_worker[t->worker]);
	mxset_unref(&t->told);
	t->told = mxset_ref(set);
	return true;
}

static uint64_t hash_flow(struct span tenant, struct span campaign)
{
	return hash_bytes(campaign.p, campaign.len,
			  hash_bytes(tenant.p, tenant.len, 0));
}

static bool to_worker(struct storer_state *s, struct dest *d,
		      const struct queue_task *t)
{
	size_t words = (t->span + 63u) / 64;
	struct span tenant, campaign, domain;
	struct to_worker_task *m;
	struct lane *lane;

	if (d->target == NULL)
		set_target(s, d, target_get(s, d->set));
	/* Another domain of the site may have brought a newer set; the
	 * worker gets whichever came last. */
	if (d->target == NULL ||
	    (d->target->told == NULL && !tell_site(s, d->target, d->set)))
		return false;
	lane = &s->st->to_worker[d->target->worker];
	m = lane_reserve_or_wait(lane, sizeof(*m) + words * 8);
	if (m == NULL)
		return false;
	queue_handle_name(s->st->set.queue, t->queue, &tenant, &campaign,
			  &domain);
	*m = (struct to_worker_task){
		.type = TO_WORKER_TASK,
		.site = d->target->number,
		.id = t->id,
		.place = t->place,
		.queue = t->queue,
		.slot = t->slot,
		.expires_s = t->expires_s,
		.flags = t->flags,
		.first = t->first,
		.span = t->span,
		.attempts = t->attempts,
		.unsure = t->unsure,
	};
	callback_words(tenant, campaign, domain, &m->words);
	m->flow_hash = hash_flow(tenant, campaign);
	m->queue_hash = hash_pair(m->flow_hash, d->hash);
	memcpy(m->open, t->open, words * 8);
	lane_publish(lane);
	return true;
}

/* --- by the domain's answer ------------------------------------------------ */

static bool ask(struct storer_state *s, struct dest *d)
{
	struct dns_ask_message *m;

	if (d->asking || d->fixed)
		return true;
	m = lane_reserve_or_wait(&s->st->set.resolver->from_store, sizeof(*m));
	if (m == NULL)
		return false;
	m->domain = d->number;
	if (d->route == NULL) {
		m->len = d->name_len;
		memcpy(m->name, d->name, d->name_len);
	} else { /* settings_load() holds host names to 253 octets */
		m->len = (uint16_t)strlen(d->route->host);
		BUG_ON(m->len >= sizeof(m->name));
		memcpy(m->name, d->route->host, m->len);
	}
	lane_publish(&s->st->set.resolver->from_store);
	d->asking = true;
	atomic_fetch_add(&s->st->asking, 1);
	return true;
}

static void hand_back(struct storer_state *s, const struct queue_task *t,
		      uint32_t due_s)
{
	queue_store_return(s->st->set.queue, t->id, t->first, due_s);
}

static bool park(struct storer_state *s, struct dest *d,
		 const struct queue_task *t)
{
	struct parked *p = NULL;

	if (!ask(s, d))
		return false;
	if (d->parked_count < PARKED_MAX)
		p = malloc(sizeof(*p));
	if (p == NULL) {
		hand_back(s, t, s->now_s + ASK_AGAIN_S);
		return true;
	}
	p->task = *t;
	list_init(&p->link);
	list_add_tail(&d->parked, &p->link);
	d->parked_count++;
	return true;
}

static bool temp_failed(struct storer_state *s, struct dest *d,
			const struct queue_task *t)
{
	uint64_t left_ms = d->set->expires_ms > s->now_ms
				   ? d->set->expires_ms - s->now_ms
				   : 0;

	if (left_ms == 0)
		return park(s, d, t);
	if (clock_expired(s->st->set.clock, s->now_s, t->expires_s))
		return local_settle(s, t, LOCAL_EXPIRED, d->set->why);
	hand_back(s, t, s->now_s + 1 + (uint32_t)(left_ms / 1000));
	return true;
}

static bool by_answer(struct storer_state *s, struct dest *d,
		      const struct queue_task *t)
{
	switch (d->set->status) {
	case MX_OK:
		if (d->set->expires_ms <= s->now_ms && !ask(s, d))
			return false;
		return to_worker(s, d, t);
	case MX_TEMPFAIL:
		return temp_failed(s, d, t);
	case MX_NXDOMAIN:
		return local_settle(s, t, LOCAL_NXDOMAIN, d->set->why);
	case MX_NULL:
		return local_settle(s, t, LOCAL_NULL_MX, d->set->why);
	case MX_NO_ADDRESS:
		return local_settle(s, t, LOCAL_NO_ADDRESS, d->set->why);
	case MX_LOOP:
		return local_settle(s, t, LOCAL_LOOP, d->set->why);
	}
	BUG_ON(true);
}

bool dispatch_task(struct storer_state *s, const struct queue_task *t)
{
	struct span tenant, campaign, domain;
	struct dest *d;

	queue_handle_name(s->st->set.queue, t->queue, &tenant, &campaign,
			  &domain);
	d = dest_get(s, domain);
	if (d == NULL)
		return false;
	d->used_ms = s->now_ms;
	/* A permanent no is asked for again when it has expired. */
	if (d->set == NULL || (d->set->status != MX_OK && !d->fixed &&
			       d->set->expires_ms <= s->now_ms))
		return park(s, d, t);
	/* Order: what came earlier and could not be placed goes first. */
	if (d->parked_count > 0)
		return park(s, d, t);
	return by_answer(s, d, t);
}

static bool unpark(struct storer_state *s, struct dest *d)
{
	/* A no that is out of date already: its tasks wait for the next. */
	if (d->set->status != MX_OK && !d->fixed &&
	    d->set->expires_ms <= s->now_ms)
		return list_empty(&d->parked) || ask(s, d);
	while (!list_empty(&d->parked)) {
		struct parked *p =
			CONTAINER_OF(d->parked.next, struct parked, link);

		if (!by_answer(s, d, &p->task))
			return false;
		list_del(&p->link);
		d->parked_count--;
		free(p);
	}
	return true;
}

/* Take the answer's set over.  False: no memory, nothing has changed. */
static bool take_set(struct storer_state *s, struct dest *d, struct mxset *set)
{
	struct mxset *mine = set;

	if (d->route != NULL) {
		mine = route_with_port(set, d->route->port);
		if (mine == NULL)
			return false;
		mxset_unref(&set);
	}
	mxset_unref(&d->set);
	d->set = mine;
	set_target(s, d, NULL);
	d->asking = false;
	return true;
}

bool dispatch_answer(struct storer_state *s, uint32_t number, struct mxset *set)
{
	struct dest *d = s->dests[number];

	BUG_ON(number >= s->dest_count || !d->asking);
	if (!take_set(s, d, set))
		return false;
	atomic_fetch_sub(&s->st->asking, 1);
	if (list_empty(&d->answered))
		list_add_tail(&s->answered, &d->answered);
	return true;
}

/* The worker learns the site, the tasks that waited go where they belong. */
static bool follow_answer(struct storer_state *s, struct dest *d)
{
	if (d->set->status == MX_OK) {
		set_target(s, d, target_get(s, d->set));
		if (d->target == NULL || !tell_site(s, d->target, d->set))
			return false;
	}
	return unpark(s, d);
}

void dispatch_recall(struct storer_state *s, const struct to_worker_recall *m)
{
	uint32_t i;

	for (i = 0; i < s->dest_count; i++) {
		if (s->dests[i] == NULL)
			continue;
		LIST_FOR_EACH_SAFE (at, next, &s->dests[i]->parked) {
			struct parked *p =
				CONTAINER_OF(at, struct parked, link);

			if (!callback_covers(s, m, &p->task))
				continue;
			hand_back(s, &p->task, s->now_s);
			list_del(&p->link);
			s->dests[i]->parked_count--;
			free(p);
		}
	}
}

void dispatch_answered(struct storer_state *s)
{
	while (!list_empty(&s->answered)) {
		struct dest *d =
			CONTAINER_OF(s->answered.next, struct dest, answered);

		if (!follow_answer(s, d))
			return; /* its lane is full: it will ring */
		list_del(&d->answered);
	}
}

/* --- domains that move ----------------------------------------------------- */

/*
 * Tasks wait in a worker for hours when their site is dead or slow; meanwhile
 * the domain may have got other hosts, which is how its postmaster helps.  So
 * workers ask about each queue that waits, every few seconds, and a domain
 * that leads elsewhere now, or nowhere, has its tasks called back from there,
 * one queue after the other: thousands of domains may move on one day.
 */
static bool leads_to(const struct dest *d, uint32_t site)
{
	return d->set->status == MX_OK && d->target != NULL &&
	       d->target->number == site;
}

static bool tell_moved(struct storer_state *s, unsigned worker, uint32_t site,
		       uint64_t queue_hash)
{
	struct lane *lane = &s->st->to_worker[worker];
	struct to_worker_moved *m = lane_reserve_or_wait(lane, sizeof(*m));

	if (m == NULL)
		return false;
	*m = (struct to_worker_moved){ .type = TO_WORKER_MOVED,
				       .site = site,
				       .queue_hash = queue_hash };
	lane_publish(lane);
	return true;
}

bool dispatch_refresh(struct storer_state *s, unsigned worker,
		      const struct to_store *m)
{
	struct span tenant, campaign, domain;
	struct queue_task task;
	struct dest *d;

	if (queue_store_loaded(s->st->set.queue, m->id, m->first, &task) == 0)
		return true; /* it has ended meanwhile */
	queue_handle_name(s->st->set.queue, task.queue, &tenant, &campaign,
			  &domain);
	d = dest_get(s, domain);
	if (d == NULL)
		return true; /* no memory: it will ask again */
	d->used_ms = s->now_ms;
	if (d->fixed || d->asking || !list_empty(&d->answered))
		return true;
	if (d->set == NULL || d->set->expires_ms <= s->now_ms)
		return ask(s, d);
	/* For now nobody knows: the old hosts are as good as any. */
	if (d->set->status == MX_TEMPFAIL || leads_to(d, m->site))
		return true;
	return tell_moved(s, worker, m->site,
			  hash_pair(hash_flow(tenant, campaign), d->hash));
}

/* --- forgetting ------------------------------------------------------------ */

/* A domain without mail for so long is forgotten; then its site, when for so
 * long no domain has led there: its last was forgotten, or has moved. */
static uint64_t keep_ms(const struct storer_state *s, const struct map *m)
{
	return m->count > s->dests_max
		       ? DESTS_KEEP_MS
		       : s->st->set.set->session.idle_ms * KEEP_IDLES;
}

static bool dest_unused(const struct storer_state *s, const struct dest *d)
{
	return d != NULL && !d->asking && d->parked_count == 0 &&
	       list_empty(&d->answered) &&
	       d->used_ms + keep_ms(s, &s->dest_map) < s->now_ms;
}

/* Its worker keeps it until it is idle there.  False: the lane is full. */
static bool target_forget(struct storer_state *s, struct target *t)
{
	struct lane *lane = &s->st->to_worker[t->worker];
	struct to_worker_forget *m;

	if (t->told != NULL) {
		m = lane_reserve(lane, sizeof(*m));
		if (m == NULL)
			return false;
		*m = (struct to_worker_forget){ .type = TO_WORKER_FORGET,
						.site = t->number };
		lane_publish(lane);
	}
	mxset_unref(&t->told);
	list_del(&t->unused);
	map_del(&s->target_map, t->hash, t);
	free(t);
	return true;
}

/* One whose lane is full has those behind it wait for the next sweep. */
static void sweep_targets(struct storer_state *s)
{
	uint32_t n;

	for (n = 0; n < SWEEP_SITES && !list_empty(&s->unused); n++) {
		struct target *t =
			CONTAINER_OF(s->unused.next, struct target, unused);

		if (t->unused_ms + keep_ms(s, &s->target_map) >= s->now_ms ||
		    !target_forget(s, t))
			return;
	}
}

void dispatch_sweep(struct storer_state *s)
{
	uint32_t n;

	sweep_targets(s);
	for (n = 0; n <= s->dest_count / SWEEP_PARTS && s->dest_count > 0;
	     n++) {
		struct dest *d;

		s->sweep_at = (s->sweep_at + 1) % s->dest_count;
		d = s->dests[s->sweep_at];
		if (!dest_unused(s, d))
			continue;
		set_target(s, d, NULL);
		map_del(&s->dest_map, d->hash, d);
		give_number(s, d->number);
		dest_free(d);
	}
}
