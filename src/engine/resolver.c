/*
 * engine/resolver.c - the resolver thread around src/dns
 *
 * An ask stays in its lane while dns_ask() says EAGAIN: the lane is the
 * bound.  Every ask gives one answer; an answer waits in src/dns while the
 * store's lane is full.
 */
#include "engine/resolver.h"

#include "base/bug.h"
#include "engine/clock.h"
#include "engine/thread.h"
#include "engine/wire.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>

#define LANE_BYTES (1u << 20)
/* So many failures in a row are DNS's, not those of one domain. */
#define FAILED_MIN 5u

int resolver_init(struct resolver *r, const struct dns_settings *set,
		  struct bell *store)
{
	int err;

	*r = (struct resolver){ .dns = NULL };
	err = bell_init(&r->bell);
	if (err == 0)
		err = lane_init(&r->from_store, LANE_BYTES, store, &r->bell);
	if (err == 0)
		err = lane_init(&r->to_store, LANE_BYTES, &r->bell, store);
	if (err == 0)
		err = dns_new(set, &r->dns);
	return err;
}

void resolver_free(struct resolver *r)
{
	const struct dns_answer_message *m;
	struct mxset *set;
	size_t len;

	while (r->to_store.ring != NULL &&
	       (m = lane_peek(&r->to_store, &len)) != NULL) {
		set = m->set;
		mxset_unref(&set);
		lane_consume(&r->to_store);
	}
	lane_free(&r->from_store);
	lane_free(&r->to_store);
	dns_free(&r->dns);
	bell_free(&r->bell);
}

static bool put_answer(struct resolver *r, uint32_t domain, struct mxset *set)
{
	struct dns_answer_message *m;

	m = lane_reserve_or_wait(&r->to_store, sizeof(*m));
	if (m == NULL)
		return false;
	*m = (struct dns_answer_message){ .domain = domain, .set = set };
	lane_publish(&r->to_store);
	return true;
}

/* A name that cannot be asked for at all does not exist either. */
static bool answer_no_name(struct resolver *r, const struct dns_ask_message *a)
{
	struct mxset *set = mxset_new(0);

	if (set == NULL)
		return false;
	set->status = MX_NXDOMAIN;
	set->expires_ms = UINT64_MAX;
	snprintf(set->why, sizeof(set->why), "not a domain name");
	if (put_answer(r, a->domain, set))
		return true;
	mxset_unref(&set);
	return false;
}

static void take_asks(struct resolver *r)
{
	const struct dns_ask_message *a;
	size_t len;
	int err;

	while ((a = lane_peek(&r->from_store, &len)) != NULL) {
		err = dns_ask(r->dns, span_of(a->name, a->len), a->domain,
			      clock_now_ms());
		if (err == -EAGAIN || err == -ENOMEM)
			return;
		if (err < 0 && !answer_no_name(r, a))
			return;
		lane_consume(&r->from_store);
	}
}

/* Once when no domain gets an answer any more, once when one does. */
static void tell(struct resolver *r, const struct mxset *set)
{
	if (set->status == MX_TEMPFAIL) {
		if (++r->failed == FAILED_MIN)
			fprintf(stderr,
				"mtaq: DNS fails: the last %u domains got no "
				"answer that can be used (%s); mail waits and "
				"no attempt is charged; look at dns.servers\n",
				FAILED_MIN, set->why);
		return;
	}
	if (r->failed >= FAILED_MIN)
		fputs("mtaq: DNS answers again\n", stderr);
	r->failed = 0;
}

static void give_answers(struct resolver *r)
{
	struct dns_answer answer;

	/* Ask src/dns only when there is room for what it gives. */
	while (mring_fill(r->to_store.ring) < LANE_BYTES / 2 &&
	       dns_answer(r->dns, &answer) == 1) {
		tell(r, answer.set);
		if (!put_answer(r, (uint32_t)answer.tag, answer.set))
			BUG_ON(true); /* half a lane is free */
	}
}

static int wait_ms(const struct resolver *r)
{
	uint64_t deadline = dns_deadline(r->dns), now = clock_now_ms();

	if (mring_fill(r->to_store.ring) >= LANE_BYTES / 2)
		return 10; /* the store is behind by thousands of answers */
	if (deadline <= now)
		return 0;
	return deadline - now > 1000 ? 1000 : (int)(deadline - now);
}

static void wait_for_work(struct resolver *r)
{
	struct pollfd p[2] = { { .fd = dns_fd(r->dns), .events = POLLIN },
			       { .fd = r->bell.fd, .events = POLLIN } };

	bell_doze(&r->bell);
	lane_settle(&r->from_store);
	take_asks(r);
	give_answers(r);
	poll(p, 2, wait_ms(r));
	bell_wait(&r->bell, 0);
}

static void tell_counts(struct resolver *r)
{
	struct dns_counters c;

	dns_count(r->dns, &c);
	tally_set(&r->asked, c.asked);
	tally_set(&r->hits, c.hits);
	tally_set(&r->joined, c.joined);
	tally_set(&r->stale, c.stale);
	tally_set(&r->queries, c.queries);
	tally_set(&r->timeouts, c.timeouts);
	tally_set(&r->failures, c.failures);
	tally_set(&r->outstanding, c.outstanding);
	tally_set(&r->cached, c.cached);
}

static void *resolver_main(void *arg)
{
	struct resolver *r = arg;

	while (!atomic_load(&r->stop)) {
		wait_for_work(r);
		dns_process(r->dns, clock_now_ms());
		give_answers(r);
		take_asks(r);
		tell_counts(r);
	}
	return NULL;
}

int resolver_start(struct resolver *r)
{
	return thread_start(&r->thread, "resolver", resolver_main, r);
}

void resolver_stop(struct resolver *r)
{
	atomic_store(&r->stop, true);
	bell_ring(&r->bell);
	pthread_join(r->thread, NULL);
}
