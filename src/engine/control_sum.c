/*
 * engine/control_sum.c - open recipients by campaign or by domain
 *
 * The store's thread counts some pages of tasks a job; the groups are
 * control's.
 * Figures are a moment old: a task that moves meanwhile may be counted twice
 * or not at all.
 */
#include "engine/control_private.h"

#include "base/hash.h"
#include "base/map.h"

#include <errno.h>
#include <stdlib.h>
#include <sysexits.h>

#define PAGE       256
#define GROUPS_MAX 100000
#define JOB_TASKS  4096 /* where all are counted */
#define JOB_PAGES  256

struct group {
	uint64_t waiting, held, tasks, deferred;
	bool paused;
	uint16_t len[3];
	char words[]; /* tenant campaign domain */
};

struct sum {
	struct control *c;
	struct queue_filter filter;
	struct queue_list_cursor at;
	struct queue_task tasks[PAGE];
	struct map groups;
	uint32_t now_s;
	bool by_domain;
	/* Not more tasks than these, and only one piece of work: who asks is
	 * about to decide, and would not wait.  0: all. */
	uint64_t tasks_max, seen;
	bool more;  /* there are more tasks, or may be */
	int result; /* of queue_list(), or what failed */
};

static struct span word_of(const struct group *g, int i)
{
	size_t at = 0;
	int n;

	for (n = 0; n < i; n++)
		at += g->len[n];
	return span_of(g->words + at, g->len[i]);
}

static bool group_is(const void *item, const void *key)
{
	const struct span *words = key;
	int i;

	for (i = 0; i < 3; i++)
		if (!span_eq(word_of(item, i), words[i]))
			return false;
	return true;
}

static struct group *group_get(struct sum *sum, const struct span words[3])
{
	uint64_t hash = 0;
	struct group *g;
	size_t len = 0;
	int i;

	for (i = 0; i < 3; i++) {
		hash = hash_bytes(words[i].p, words[i].len, hash + 1);
		len += words[i].len;
	}
	g = map_find(&sum->groups, hash, group_is, words);
	if (g != NULL || sum->groups.count == GROUPS_MAX)
		return g;
	g = calloc(1, sizeof(*g) + len + 1);
	if (g == NULL)
		return NULL;
	for (i = 0, len = 0; i < 3; i++) {
		g->len[i] = (uint16_t)words[i].len;
		if (words[i].len > 0)
			memcpy(g->words + len, words[i].p, words[i].len);
		len += words[i].len;
	}
	if (map_put(&sum->groups, hash, g) < 0) {
		free(g);
		return NULL;
	}
	return g;
}

static uint32_t open_count(const struct queue_task *t)
{
	uint32_t i, n = 0;

	for (i = 0; i < (t->span + 63u) / 64; i++)
		n += (uint32_t)__builtin_popcountll(t->open[i]);
	return n;
}

static int count_task(struct sum *sum, struct queue *q,
		      const struct queue_task *t)
{
	uint32_t open = open_count(t);
	struct span words[3];
	struct group *g;

	queue_handle_name(q, t->queue, &words[0], &words[1], &words[2]);
	if (sum->by_domain)
		words[0] = words[1] = SPAN("");
	else
		words[2] = SPAN("");
	g = group_get(sum, words);
	if (g == NULL)
		return sum->groups.count == GROUPS_MAX ? -E2BIG : -ENOMEM;
	g->tasks++;
	if (t->slot >= QUEUE_SLOT_DAMAGED)
		g->held += open;
	else
		g->waiting += open;
	if (t->slot < QUEUE_SLOT_DAMAGED && t->attempts > 0 &&
	    t->slot > sum->now_s)
		g->deferred += open;
	g->paused = g->paused || queue_paused(q, t->queue);
	return 0;
}

static bool is_listed(const struct sum *sum, const struct queue_decision *rule)
{
	const struct group *g;
	size_t at = 0;

	while ((g = map_walk(&sum->groups, &at)) != NULL)
		if (span_eq(word_of(g, 1), rule->campaign) &&
		    (rule->tenant.len == 0 ||
		     span_eq(word_of(g, 0), rule->tenant)))
			return true;
	return false;
}

/* A paused campaign without mail is a row too: else nobody would find it. */
static int add_pauses(struct sum *sum, struct queue *q)
{
	const struct queue_filter *f = &sum->filter;
	struct queue_decision rule;
	struct group *g;
	uint64_t lsn;
	uint32_t i;

	for (i = 0; queue_store_decision(q, i, &lsn, &rule) == 0; i++) {
		struct span words[3] = { rule.tenant, rule.campaign, SPAN("") };

		if (rule.verb != QUEUE_VERB_PAUSE || rule.campaign.len == 0 ||
		    (f->tenant.len > 0 && !span_eq(f->tenant, rule.tenant)) ||
		    (f->campaign.len > 0 &&
		     !span_eq(f->campaign, rule.campaign)) ||
		    is_listed(sum, &rule))
			continue;
		g = group_get(sum, words);
		if (g == NULL)
			return -ENOMEM;
		g->paused = true;
	}
	return 0;
}

static int count_page(struct sum *sum, struct queue *q)
{
	uint32_t i, n = 0;
	int err = 0;

	sum->result =
		queue_list(q, &sum->filter, &sum->at, sum->tasks, PAGE, &n);
	for (i = 0; i < n && err == 0 && sum->result >= 0; i++)
		err = count_task(sum, q, &sum->tasks[i]);
	sum->seen += n;
	return err;
}

/* In the store's thread. */
static void count_some(struct queue *q, void *arg)
{
	struct sum *sum = arg;
	uint64_t end =
		sum->seen + (sum->tasks_max > 0 ? sum->tasks_max : JOB_TASKS);
	int err = 0, pages = 0;

	do {
		err = count_page(sum, q);
	} while (err == 0 && sum->result > 0 && sum->seen < end &&
		 ++pages < JOB_PAGES);
	if (err == 0 && sum->result == 0 && !sum->by_domain)
		err = add_pauses(sum, q);
	sum->more = sum->result > 0;
	if (err < 0)
		sum->result = err;
}

static void add_rows(const struct sum *sum, struct buf *out)
{
	const struct group *g;
	size_t at = 0;

	while ((g = map_walk(&sum->groups, &at)) != NULL) {
		admin_begin(out, "sum");
		if (sum->by_domain) {
			admin_text(out, "domain", word_of(g, 2));
		} else {
			admin_text(out, "tenant", word_of(g, 0));
			admin_text(out, "campaign", word_of(g, 1));
		}
		admin_number(out, "waiting", g->waiting);
		admin_number(out, "deferred", g->deferred);
		admin_number(out, "held", g->held);
		admin_number(out, "tasks", g->tasks);
		admin_number(out, "paused", g->paused);
		admin_end(out);
	}
}

static void end_sum(const struct sum *sum, struct buf *out)
{
	admin_begin(out, "ok");
	admin_number(out, "more", sum->more);
	admin_end(out);
}

static void sum_free(struct sum *sum)
{
	struct group *g;
	size_t at = 0;

	while ((g = map_walk(&sum->groups, &at)) != NULL)
		free(g);
	map_free(&sum->groups);
	free(sum);
}

int control_sum(struct control *c, const struct admin_request *req)
{
	struct sum *sum = calloc(1, sizeof(*sum));
	int err = 0;

	if (sum == NULL) {
		admin_error(req->out, EX_OSERR, "out of memory");
		return 0;
	}
	sum->filter = (struct queue_filter){
		.tenant = admin_text_of(&req->rec, "tenant"),
		.campaign = admin_text_of(&req->rec, "campaign"),
		.domain = admin_text_of(&req->rec, "domain"),
	};
	sum->by_domain =
		span_eq(admin_text_of(&req->rec, "by"), SPAN("domain"));
	sum->now_s = clock_mail_s(&c->e->clock);
	map_init(&sum->groups);
	sum->tasks_max = admin_number_of(&req->rec, "tasks_max");
	do {
		err = control_job(c, count_some, sum);
	} while (err == 0 && sum->result > 0 && sum->tasks_max == 0);
	if (err < 0) /* the job may still run: the daemon ends with it */
		return err;
	add_rows(sum, req->out);
	if (sum->result == -E2BIG)
		admin_error(req->out, EX_UNAVAILABLE,
			    "more than 100000 groups: name a tenant");
	else if (sum->result < 0)
		admin_error(req->out, EX_IOERR, strerrordesc_np(-sum->result));
	else
		end_sum(sum, req->out);
	sum_free(sum);
	return 0;
}
