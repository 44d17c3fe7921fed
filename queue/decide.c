/*
 * queue/decide.c - operator's decisions in force
 */
#include "queue/decide_private.h"

#include "queue/bits.h"
#include "queue/decision.h"

#include <errno.h>
#include <stdlib.h>

#define PACKED_MAX (8 + LINE_WORDS_MAX + QUEUE_DECISION_IDS_MAX * 8)

/* --- the lists ----------------------------------------------------------------------- */

static void decision_free(struct decision *dec)
{
	list_del(&dec->link);
	free(dec->packed);
	free(dec->ids);
	free(dec);
}

static void free_all(struct list *list)
{
	while (!list_empty(list))
		decision_free(CONTAINER_OF(list->next, struct decision, link));
}

/* Off its list; the index forgets it with the next checkpoint. */
static void retire(struct queue_store *s, struct decision *dec)
{
	list_del(&dec->link);
	if (dec->indexed || dec->written)
		list_add_tail(&s->deciding->gone, &dec->link);
	else
		decision_free(dec);
}

static int decision_new(uint64_t lsn, struct span packed,
			struct decision **dec_r)
{
	struct decision *dec = calloc(1, sizeof(*dec));
	int err = -ENOMEM;

	if (dec == NULL)
		return -ENOMEM;
	list_init(&dec->link);
	dec->lsn = dec->place = dec->place_in = lsn;
	dec->packed = malloc(packed.len);
	dec->ids = malloc(QUEUE_DECISION_IDS_MAX * sizeof(uint64_t));
	if (dec->packed != NULL && dec->ids != NULL) {
		memcpy(dec->packed, packed.p, packed.len);
		dec->packed_len = packed.len;
		err = queue_decision_parse(span_of(dec->packed, packed.len),
					   dec->ids, &dec->is);
	}
	if (err < 0) {
		decision_free(dec);
		return err;
	}
	if (dec->is.id_count == 0) { /* rules stay for long */
		free(dec->ids);
		dec->is.ids = dec->ids = NULL;
	}
	*dec_r = dec;
	return 0;
}

void decision_filter(const struct decision *dec, struct queue_filter *filter_r)
{
	*filter_r = (struct queue_filter){ .tenant = dec->is.tenant,
					   .campaign = dec->is.campaign,
					   .domain = dec->is.domain };
}

bool decision_covers(const struct decision *dec, const struct line *line)
{
	struct queue_filter filter;

	decision_filter(dec, &filter);
	return line_wanted(&filter, line);
}

static bool word_covers(struct span rule, struct span word)
{
	return rule.len == 0 || span_eq(rule, word);
}

/* --- pauses ---------------------------------------------------------------------------- */

bool decide_paused(const struct queue_store *s, const struct line *line)
{
	LIST_FOR_EACH (at, &s->deciding->rules) {
		if (decision_covers(CONTAINER_OF(at, struct decision, link),
				    line))
			return true;
	}
	return false;
}

static int rules_changed(struct queue_store *s)
{
	struct delta *d = &s->delta;
	uint32_t i;
	int err = 0;

	for (i = 0; err == 0 && i < d->handles; i++) {
		if (d->by_handle[i] == NULL)
			continue;
		d->by_handle[i]->paused = decide_paused(s, d->by_handle[i]);
		err = delta_line_ready(d, d->by_handle[i]);
	}
	return err;
}

static void resume(struct queue_store *s, const struct decision *by)
{
	struct decision *rule;

	LIST_FOR_EACH_SAFE (at, tmp, &s->deciding->rules) {
		rule = CONTAINER_OF(at, struct decision, link);
		if (word_covers(by->is.tenant, rule->is.tenant) &&
		    word_covers(by->is.campaign, rule->is.campaign) &&
		    word_covers(by->is.domain, rule->is.domain))
			retire(s, rule);
	}
}

static struct decision *site_rule(const struct queue_store *s, struct span site)
{
	struct decision *rule;

	LIST_FOR_EACH (at, &s->deciding->sites) {
		rule = CONTAINER_OF(at, struct decision, link);
		if (span_eq_nocase(rule->is.site, site))
			return rule;
	}
	return NULL;
}

bool decide_site_paused(const struct queue_store *s, struct span site)
{
	return site_rule(s, site) != NULL;
}

/* A pause of what is paused already says nothing new. */
static void enter_site(struct queue_store *s, struct decision *dec)
{
	struct decision *rule = site_rule(s, dec->is.site);

	if (dec->is.verb == QUEUE_VERB_SITE_PAUSE && rule == NULL) {
		list_add_tail(&s->deciding->sites, &dec->link);
		return;
	}
	if (dec->is.verb == QUEUE_VERB_SITE_RESUME && rule != NULL)
		retire(s, rule);
	decision_free(dec);
}

/* Put a decision where it belongs; it may be gone afterwards. */
static int enter(struct queue_store *s, struct decision *dec)
{
	switch (dec->is.verb) {
	case QUEUE_VERB_PAUSE:
		list_add_tail(&s->deciding->rules, &dec->link);
		return rules_changed(s);
	case QUEUE_VERB_RESUME:
		resume(s, dec);
		decision_free(dec);
		return rules_changed(s);
	case QUEUE_VERB_SITE_PAUSE:
	case QUEUE_VERB_SITE_RESUME:
		enter_site(s, dec);
		break;
	case QUEUE_VERB_HOLD:
	case QUEUE_VERB_RELEASE:
	case QUEUE_VERB_CANCEL:
	case QUEUE_VERB_RETRY:
		list_add_tail(&s->deciding->acts, &dec->link);
		break;
	}
	return 0;
}

int decide_note(struct queue_store *s, uint64_t lsn,
		const struct queue_decision *is)
{
	struct decision *dec;
	struct buf packed;
	int err;

	buf_init(&packed, PACKED_MAX);
	err = queue_decision_pack(is, &packed);
	if (err == 0)
		err = decision_new(lsn, buf_span(&packed), &dec);
	buf_free(&packed);
	return err < 0 ? err : enter(s, dec);
}

/* How far the log was followed says nothing of a decision: it covers what is
 * below its own LSN, met before or after it (decide_arrived()). */
int queue_store_decide(struct queue *q, uint64_t lsn,
		       const struct queue_decision *dec)
{
	struct queue_store *s = q->store;
	int err = s->failed;

	if (err < 0 || lsn < queue_walk_lsn(s->walk))
		return err;
	BUG_ON(lsn <= s->deciding->early_lsn);
	s->deciding->early_lsn = lsn;
	return s->failed = decide_note(s, lsn, dec);
}

bool decide_is_known(const struct queue_store *s, uint64_t lsn)
{
	return lsn <= s->deciding->early_lsn;
}

/* --- compaction -------------------------------------------------------------------------- */

/* In force: pauses first. */
static struct decision *decision_nth(const struct deciding *d, uint32_t nth)
{
	const struct list *lists[] = { &d->rules, &d->sites, &d->acts };
	size_t i;

	for (i = 0; i < 3; i++)
		LIST_FOR_EACH (at, lists[i])
			if (nth-- == 0)
				return CONTAINER_OF(at, struct decision, link);
	return NULL;
}

static struct decision *decision_find(const struct deciding *d, uint64_t lsn)
{
	const struct list *lists[] = { &d->rules, &d->sites, &d->acts };
	struct decision *dec;
	size_t i;

	for (i = 0; i < 3; i++)
		LIST_FOR_EACH (at, lists[i]) {
			dec = CONTAINER_OF(at, struct decision, link);
			if (dec->lsn == lsn)
				return dec;
		}
	return NULL;
}

bool decide_moved(struct queue_store *s, uint64_t lsn, uint64_t place)
{
	struct decision *dec = decision_find(s->deciding, lsn);

	if (dec != NULL && dec->place < place)
		dec->place = place;
	return dec != NULL;
}

uint64_t decide_place(const struct queue_store *s, uint64_t lsn)
{
	const struct decision *dec = decision_find(s->deciding, lsn);

	return dec == NULL ? lsn : dec->place;
}

bool decide_nth(const struct queue_store *s, uint32_t nth, uint64_t *lsn_r,
		uint64_t *place_r)
{
	const struct decision *dec = decision_nth(s->deciding, nth);

	if (dec == NULL)
		return false;
	*lsn_r = dec->lsn;
	*place_r = dec->place;
	return true;
}

int decide_open(struct queue_store *s)
{
	struct decision *dec;
	char row[PACKED_MAX];
	uint64_t lsn = 0, place;
	size_t len;
	int err;

	s->deciding = calloc(1, sizeof(*s->deciding));
	if (s->deciding == NULL)
		return -ENOMEM;
	list_init(&s->deciding->rules);
	list_init(&s->deciding->sites);
	list_init(&s->deciding->acts);
	list_init(&s->deciding->gone);
	list_init(&s->deciding->todo);
	for (;; lsn++) {
		err = index_decision_next(s->index, &lsn, row, sizeof(row),
					  &len, &place);
		if (err == 0)
			err = decision_new(lsn, span_of(row, len), &dec);
		if (err < 0)
			return err == -ENOENT ? 0 : err;
		dec->indexed = true;
		dec->place = dec->place_in = place;
		err = enter(s, dec);
		if (err < 0)
			return err;
	}
}

void decide_close(struct queue_store *s)
{
	if (s->deciding == NULL)
		return;
	free_all(&s->deciding->rules);
	free_all(&s->deciding->sites);
	free_all(&s->deciding->acts);
	free_all(&s->deciding->gone);
	free(s->deciding);
	s->deciding = NULL;
}

/* --- tasks ------------------------------------------------------------------------------- */

static void unmark(struct task *t)
{
	if (t->dec == NULL)
		return;
	t->dec->marked--;
	t->dec = NULL;
	t->pulled = false;
}

static void set_mark(struct task *t, struct decision *dec)
{
	unmark(t);
	t->dec = dec;
	dec->marked++;
}

bool decision_applies(const struct decision *dec, uint32_t slot)
{
	switch (dec->is.verb) {
	case QUEUE_VERB_HOLD:
		return slot < QUEUE_SLOT_DAMAGED;
	case QUEUE_VERB_RELEASE:
		return slot >= QUEUE_SLOT_DAMAGED;
	case QUEUE_VERB_RETRY:
		return slot < QUEUE_SLOT_DAMAGED && slot > dec->is.made_s;
	case QUEUE_VERB_CANCEL:
		return true;
	case QUEUE_VERB_PAUSE:
	case QUEUE_VERB_RESUME:
	case QUEUE_VERB_SITE_PAUSE:
	case QUEUE_VERB_SITE_RESUME:
		break;
	}
	return false;
}

int decision_take(struct queue_store *s, struct decision *dec, struct task *t)
{
	if (t->dec == dec || t->id >= dec->lsn || t->state == TASK_COMING)
		return 0;
	/* A cancel that waits for its task is not taken back. */
	if (t->dec != NULL && t->dec->is.verb == QUEUE_VERB_CANCEL)
		return 0;
	/* A task at work is looked at again when it comes back. */
	if (t->state == TASK_LOADED || t->state == TASK_DECIDING) {
		set_mark(t, dec);
		return 0;
	}
	set_mark(t, dec);
	return decide_back(s, t);
}

int decide_back(struct queue_store *s, struct task *t)
{
	if (!decision_applies(t->dec, t->slot)) {
		unmark(t);
		return 0;
	}
	delta_task_deciding(&s->delta, t);
	list_add_tail(&s->deciding->todo, &t->in_early);
	return delta_line_ready(&s->delta, t->line);
}

static bool covers_task(const struct decision *dec, const struct task *t)
{
	uint32_t i;

	if (dec->lsn < t->id || !decision_covers(dec, t->line))
		return false;
	if (dec->is.id_count == 0)
		return true;
	for (i = 0; i < dec->is.id_count; i++)
		if (dec->is.ids[i] == t->id)
			return true;
	return false;
}

int decide_arrived(struct queue_store *s, struct task *t)
{
	struct decision *dec;
	int err = 0;

	LIST_FOR_EACH (at, &s->deciding->acts) {
		dec = CONTAINER_OF(at, struct decision, link);
		if (err == 0 && covers_task(dec, t))
			err = decision_take(s, dec, t);
	}
	return err;
}

int decide_give(struct queue_store *s, struct task *t)
{
	struct decision *dec;
	int err = 0;

	LIST_FOR_EACH (at, &s->deciding->acts) {
		dec = CONTAINER_OF(at, struct decision, link);
		/* Who has looked already has said what it had to say. */
		if (err == 0 && dec->scan != SCAN_DONE && covers_task(dec, t))
			err = decision_take(s, dec, t);
	}
	return err < 0 ? err : t->state != TASK_IDLE;
}

int queue_store_decision(const struct queue *q, uint32_t nth, uint64_t *lsn_r,
			 struct queue_decision *dec_r)
{
	const struct decision *dec = decision_nth(q->store->deciding, nth);

	if (dec == NULL)
		return -ENOENT;
	*lsn_r = dec->lsn;
	*dec_r = dec->is;
	return 0;
}

int decide_move(struct queue_store *s, struct task *t, const struct move *move,
		bool final)
{
	struct decision *dec = t->dec;
	bool whole = bits_count(move->gone, QUEUE_OPEN_WORDS) == task_count(t);
	bool was_given = t->state == TASK_DECIDING && t->given;
	bool resolved = t->pulled;
	struct task *to;
	int err;

	if (whole && was_given)
		s->deciding->given--;
	if (whole)
		unmark(t);
	err = delta_move(&s->delta, t, move, final, &to);
	if (err == 0 && !whole)
		err = store_entered(s, t);
	if (err == 0 && to != NULL)
		err = store_entered(s, to);
	if (err < 0 || to == NULL || dec == NULL || resolved)
		return err;
	set_mark(to, dec);
	return decide_back(s, to);
}

/* --- handing out --------------------------------------------------------------------------- */

static uint8_t state_after(enum queue_verb verb)
{
	if (verb == QUEUE_VERB_HOLD)
		return QUEUE_HELD;
	return verb == QUEUE_VERB_CANCEL ? QUEUE_CANCELLED : QUEUE_WAITING;
}

static void hand_out(struct deciding *d, struct task *t, uint32_t now_s)
{
	const struct queue_decision *is = &t->dec->is;
	uint32_t due_s = is->verb == QUEUE_VERB_RETRY ? is->made_s : now_s;
	uint32_t i, end = t->base + t->words * 64u;

	d->out = (struct queue_out){ .id = t->id,
				     .slot = t->slot,
				     .rcpts = d->rcpts };
	line_unpack(t->line, &d->out.tenant, &d->out.campaign, &d->out.domain);
	for (i = t->base; i < end; i++)
		if (task_has(t, i))
			d->rcpts[d->out.rcpt_count++] = (struct queue_out_rcpt){
				.rcpt = (uint16_t)i,
				.state = state_after(is->verb),
				.attempts = t->attempts,
				.unsure = t->unsure,
				.due_s = due_s
			};
	t->pulled = t->given = true;
	d->given++;
}

/* Is it over: all looked at, all applied, nothing still to come? */
static bool is_over(const struct queue_store *s, const struct decision *dec)
{
	const struct partial *first;

	if (dec->scan != SCAN_DONE || dec->marked > 0 ||
	    queue_walk_lsn(s->walk) <= dec->lsn)
		return false;
	if (list_empty(&s->partials))
		return true;
	first = CONTAINER_OF(s->partials.next, struct partial, link);
	return first->id > dec->lsn;
}

/* One piece of looking, by the first decision that has not looked at all. */
static int look(struct queue *q)
{
	struct deciding *d = q->store->deciding;
	struct decision *dec;
	int rc;

	LIST_FOR_EACH_SAFE (at, tmp, &d->acts) {
		dec = CONTAINER_OF(at, struct decision, link);
		if (dec->scan == SCAN_DONE) {
			if (is_over(q->store, dec))
				retire(q->store, dec);
			continue;
		}
		rc = decision_scan(q, dec);
		if (rc == 0)
			dec->scan = SCAN_DONE;
		return rc < 0 ? rc : 1;
	}
	return 0;
}

int decide_work(struct queue *q)
{
	struct deciding *d = q->store->deciding;

	/* What was found goes out first: memory stays small. */
	if (!list_empty(&d->todo) || d->given >= DECIDING_MAX)
		return 0;
	return look(q);
}

int queue_store_decided(struct queue *q, uint32_t now_s,
			enum queue_verb *verb_r, struct queue_out *out_r)
{
	struct queue_store *s = q->store;
	struct deciding *d = s->deciding;
	struct task *t;
	if (s->failed < 0)
		return s->failed;
	if (d->given >= DECIDING_MAX || list_empty(&d->todo))
		return 0;
	t = CONTAINER_OF(list_pop(&d->todo), struct task, in_early);
	*verb_r = t->dec->is.verb;
	hand_out(d, t, now_s);
	*out_r = d->out;
	return 1;
}

/* --- checkpoint ------------------------------------------------------------------------------ */

static int write_list(struct queue_store *s, struct list *list, uint64_t lsn)
{
	struct decision *dec;
	int err = 0;

	LIST_FOR_EACH (at, list) {
		dec = CONTAINER_OF(at, struct decision, link);
		if (err < 0 || dec->lsn >= lsn ||
		    (dec->indexed && dec->place == dec->place_in))
			continue;
		err = index_decision_put(s->index, dec->lsn, dec->place,
					 span_of(dec->packed, dec->packed_len));
		dec->written = err == 0;
		dec->place_put = dec->place;
	}
	return err;
}

int decide_checkpoint(struct queue_store *s, uint64_t lsn)
{
	struct deciding *d = s->deciding;
	struct decision *dec;
	int err;

	err = write_list(s, &d->rules, lsn);
	if (err == 0)
		err = write_list(s, &d->sites, lsn);
	if (err == 0)
		err = write_list(s, &d->acts, lsn);
	LIST_FOR_EACH (at, &d->gone) {
		dec = CONTAINER_OF(at, struct decision, link);
		if (err == 0)
			err = index_decision_del(s->index, dec->lsn);
		dec->written = false; /* its deletion is what was written */
	}
	return err;
}

static void settle_list(struct list *list, bool committed)
{
	struct decision *dec;

	LIST_FOR_EACH (at, list) {
		dec = CONTAINER_OF(at, struct decision, link);
		/* Of unknown fate counts as there: deleting twice is fine. */
		dec->indexed = dec->indexed || (dec->written && committed);
		if (dec->written && committed)
			dec->place_in = dec->place_put;
		dec->written = dec->written && !committed;
	}
}

void decide_settle(struct queue_store *s, bool committed)
{
	settle_list(&s->deciding->rules, committed);
	settle_list(&s->deciding->sites, committed);
	settle_list(&s->deciding->acts, committed);
	if (committed)
		free_all(&s->deciding->gone);
}
