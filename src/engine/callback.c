/*
 * engine/callback.c - tasks called back from where they wait
 *
 * A decision acts on what lies in the queue.  What was loaded before it waits
 * here for its hosts, or in a worker for its turn, and must come back first:
 *
 *	the task that found no room ─┐
 *	those parked at a domain ────┼─► queue_store_return()
 *	those in workers ────────────┘   (worker: recall.c)
 *
 * A lane to a worker keeps its order: tasks that went before the recall are
 * there when it comes, and none that the decision covers follows it, for the
 * queue has taken the decision in before the recall is made.
 */
#include "engine/storer_private.h"

#include "base/bug.h"
#include "base/hash.h"

#include <errno.h>
#include <stdlib.h>

struct recall {
	uint64_t number; /* of the last one */
	bool untold[STORER_WORKERS_MAX];
	unsigned untold_count;
	struct to_worker_recall *m; /* room for QUEUE_DECISION_IDS_MAX */
	size_t size;
};

int callback_init(struct storer_state *s)
{
	struct recall *r = calloc(1, sizeof(*r));

	s->recall = r;
	if (r == NULL)
		return -ENOMEM;
	r->m = calloc(1, sizeof(*r->m) + QUEUE_DECISION_IDS_MAX * 8);
	return r->m == NULL ? -ENOMEM : 0;
}

void callback_free(struct storer_state *s)
{
	if (s->recall != NULL)
		free(s->recall->m);
	free(s->recall);
}

void callback_words(struct span tenant, struct span campaign,
		    struct span domain, struct word_hashes *words_r)
{
	words_r->tenant = wire_word_hash(tenant);
	words_r->campaign = wire_word_hash(campaign);
	words_r->domain = wire_word_hash(domain);
}

bool callback_covers(struct storer_state *s, const struct to_worker_recall *m,
		     const struct queue_task *t)
{
	struct span tenant, campaign, domain;
	struct word_hashes words;

	queue_handle_name(s->st->set.queue, t->queue, &tenant, &campaign,
			  &domain);
	callback_words(tenant, campaign, domain, &words);
	return recall_covers(m, &words) && recall_names(m, t->id);
}

static void call_back_here(struct storer_state *s,
			   const struct to_worker_recall *m)
{
	if (s->have_task && callback_covers(s, m, &s->task)) {
		queue_store_return(s->st->set.queue, s->task.id, s->task.first,
				   s->now_s);
		s->have_task = false;
	}
	dispatch_recall(s, m);
}

void callback_turn(struct storer_state *s)
{
	struct recall *r = s->recall;
	unsigned i;
	void *to;

	for (i = 0; r->untold_count > 0 && i < s->st->set.workers; i++) {
		if (!r->untold[i])
			continue;
		to = lane_reserve_or_wait(&s->st->to_worker[i], r->size);
		if (to == NULL)
			continue;
		memcpy(to, r->m, r->size);
		lane_publish(&s->st->to_worker[i]);
		r->untold[i] = false;
		r->untold_count--;
	}
}

bool storer_recall(struct storer *st, const struct queue_filter *words,
		   const uint64_t *ids, uint32_t id_count, uint64_t *number_r)
{
	struct recall *r = st->state->recall;
	unsigned i;

	BUG_ON(id_count > QUEUE_DECISION_IDS_MAX);
	if (r->untold_count > 0)
		return false;
	*number_r = ++r->number;
	*r->m = (struct to_worker_recall){ .type = TO_WORKER_RECALL,
					   .number = r->number,
					   .id_count = id_count };
	if (words->tenant.len > 0)
		r->m->words.tenant = wire_word_hash(words->tenant);
	if (words->campaign.len > 0)
		r->m->words.campaign = wire_word_hash(words->campaign);
	if (words->domain.len > 0)
		r->m->words.domain = wire_word_hash(words->domain);
	if (id_count > 0)
		memcpy(r->m->ids, ids, id_count * sizeof(*ids));
	r->size = sizeof(*r->m) + id_count * sizeof(*ids);
	call_back_here(st->state, r->m);
	for (i = 0; i < st->set.workers; i++)
		r->untold[i] = true;
	r->untold_count = st->set.workers;
	return true;
}
