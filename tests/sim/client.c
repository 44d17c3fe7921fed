/*
 * tests/sim/client.c - submissions
 *
 *	new ─► lent to the log ─► answered
 *	         ▲       └─ crash ─► the store is asked ─► known: answered
 *	         └────────────────────────────────────────┘ not known
 *
 * Numbers rise, at most 16 of a submission are unanswered, and what was not
 * answered before a crash is asked about and sent again under its number.
 */
#include "sim.h"

#include "base/hash.h"
#include "engine/wire.h"

#define TEXT_BYTES (64u << 10)
#define PENDS      (SUBS * SUB_OPEN)

struct pend { /* what is lent; of one slot */
	struct queue_message msg;
	struct queue_rcpt rcpts[RCPTS];
	struct iovec iov[2];
	struct content content;
	char address[RCPTS][64], domain[RCPTS][16], sender[64];
	uint32_t slot, sub;
	bool lent, failed, asked, known;
	uint64_t id;
};

static struct pend pends[PENDS];
static struct put_gate gates[SUBS];
static bool asking[SUBS];
static char text[TEXT_BYTES];
static uint32_t starts[TEXT_BYTES], start_count, bursts;
static bool full;

void client_new(void)
{
	uint32_t at = 0, i, len;

	while (at + 300 < TEXT_BYTES) {
		len = (uint32_t)(hash_u64(at + 1) % 150);
		starts[start_count++] = at;
		for (i = 0; i < len; i++, at++)
			text[at] = i == 0 && len % 5 == 0
					   ? '.'
					   : (char)('a' + (at * 7 + i) % 26);
		memcpy(text + at, "\r\n", 2);
		at += 2;
	}
	starts[start_count] = at;
}

void content_of(uint64_t n, struct content *c_r)
{
	uint64_t h = hash_u64(n + world->seed), lines = h >> 40;
	uint32_t first, last;

	lines = h % 100 < 80   ? lines % 5
		: h % 100 < 98 ? lines % 40
			       : lines % 300;
	if (world->plan.uniform)
		lines = 0;
	first = (uint32_t)(h >> 8) % (start_count - (uint32_t)lines);
	last = first + (uint32_t)lines;
	memcpy(c_r->head, "Subject: ", 9);
	memcpy(digits(c_r->head + 9, n, 20), "\r\n", 2);
	c_r->head_len = CONTENT_HEAD;
	c_r->rest = text + starts[first];
	c_r->len = c_r->head_len + starts[last] - starts[first];
}

/* --- one message -------------------------------------------------------------- */

static struct pend *pend_of(uint32_t sub, uint32_t slot)
{
	struct pend *p = &pends[sub * SUB_OPEN], *none = NULL;
	uint32_t i;

	for (i = 0; i < SUB_OPEN; i++) {
		if (p[i].msg.rcpt_count != 0 && p[i].slot == slot)
			return &p[i];
		if (p[i].msg.rcpt_count == 0)
			none = &p[i];
	}
	BUG_ON(none == NULL);
	return none;
}

/* s00001n0000000002k3@ and a domain. */
static void address(char *p, const struct pend *pend, uint64_t n, uint32_t k,
		    const char *domain)
{
	*p = 's';
	p = digits(p + 1, pend->slot, 5);
	*p = 'n';
	p = digits(p + 1, n, 10);
	*p = 'k';
	p = digits(p + 1, k, 1);
	*p++ = '@';
	memcpy(p, domain, strlen(domain) + 1);
}

static void fill(struct pend *p, uint32_t sub, uint32_t slot)
{
	struct msg *m = &world->msgs[slot];
	uint32_t k;

	*p = (struct pend){ .slot = slot, .sub = sub };
	content_of(m->n, &p->content);
	p->iov[0] = (struct iovec){ p->content.head, p->content.head_len };
	p->iov[1] = (struct iovec){ (char *)(uintptr_t)p->content.rest,
				    p->content.len - p->content.head_len };
	address(p->sender, p, m->n, 0, "from.sim");
	for (k = 0; k < m->count; k++) {
		p->domain[k][0] = 'd';
		memcpy(digits(p->domain[k] + 1, m->rcpt[k].domain, 3), ".sim",
		       5);
		address(p->address[k], p, m->n, k, p->domain[k]);
		p->rcpts[k] = (struct queue_rcpt){ span_str(p->address[k]),
						   span_str(p->domain[k]),
						   span_of("", 0) };
	}
	p->msg = (struct queue_message){
		.number = m->number,
		.tenant = span_str(sub % 3 == 0 ? "one" : "two"),
		.campaign = span_str(sub % 2 == 0 ? "c" : ""),
		.sender = span_str(p->sender),
		.params = span_of("", 0),
		.rcpts = p->rcpts,
		.rcpt_count = m->count,
		.arrived_s = clock_mail_s(&life.clock),
		.due_s = clock_mail_s(&life.clock),
		.flags = QUEUE_MSG_DOTS |
			 (m->transactional ? QUEUE_MSG_TRANSACTIONAL : 0),
		.content = p->iov,
		.content_count = p->iov[1].iov_len == 0 ? 1 : 2,
		.size = p->content.len,
	};
	p->msg.expires_s = p->msg.arrived_s + world->plan.age_s;
	memcpy(p->msg.submission, world->subs[sub].id, 16);
}

/* False: no room in the lane. */
static bool lend(struct pend *p)
{
	struct put_request *req =
		lane_reserve_or_wait(&life.logger.from_ingress, sizeof(*req));

	if (req == NULL)
		return false;
	world->msgs[p->slot].expires_s = p->msg.expires_s;
	*req = (struct put_request){ &p->msg, p, &gates[p->sub] };
	p->lent = true;
	p->failed = false;
	lane_publish(&life.logger.from_ingress);
	return true;
}

static void new_message(uint32_t sub)
{
	struct sub *s = &world->subs[sub];
	uint32_t slot = ledger_take_slot(), k;
	struct msg *m = &world->msgs[slot];
	uint16_t domain = (uint16_t)below(DOMAINS);

	m->sub = sub;
	m->number = s->next++;
	m->transactional = chance(100);
	m->count =
		chance(750) || world->plan.uniform ? 1 : (uint8_t)some(RCPTS);
	m->open = m->count;
	for (k = 0; k < m->count; k++) {
		m->rcpt[k] = (struct rcpt){ .domain = domain, .conn = NOBODY };
		if (chance(400)) /* rising: each domain is one run */
			domain = (uint16_t)(domain + 1) % DOMAINS;
	}
	s->open[s->count++] = slot;
	s->left--;
	fill(pend_of(sub, slot), sub, slot);
	BUG_ON(!lend(pend_of(sub, slot))); /* the lane has room for all */
}

static void new_submission(uint32_t sub)
{
	struct sub *s = &world->subs[sub];
	uint64_t id[2] = { sim_random(), ++world->numbers };

	*s = (struct sub){ .serial = s->serial + 1,
			   .left = (uint32_t)some(5000) };
	memcpy(s->id, id, sizeof(s->id));
}

/* --- answers -------------------------------------------------------------------- */

static void answered(struct pend *p, uint64_t id)
{
	struct sub *s = &world->subs[p->sub];
	uint32_t i;

	for (i = 0; i < s->count && s->open[i] != p->slot; i++)
		;
	BUG_ON(i == s->count);
	memmove(&s->open[i], &s->open[i + 1],
		(s->count - i - 1) * sizeof(s->open[0]));
	s->count--;
	p->msg.rcpt_count = 0;
	ledger_answer(p->slot, id);
}

static void take_answers(void)
{
	const struct put_answer *a;
	size_t len;

	while ((a = lane_peek(&life.logger.to_ingress, &len)) != NULL) {
		struct pend *p = a->cookie;

		p->lent = false;
		p->failed = a->err < 0;
		if (a->err < 0 && a->err != -ENOSPC)
			sim_fail("the disk was well", "a submission got %s",
				 strerrordesc_np(-a->err));
		if (a->err == 0)
			answered(p, a->id);
		lane_consume(&life.logger.to_ingress);
	}
}

static void take_seen(void)
{
	const struct seen_answer *a;
	size_t len;

	while ((a = lane_peek(&life.storer.answers, &len)) != NULL) {
		struct pend *p = a->cookie;

		p->asked = false;
		p->failed = !a->found;
		p->known = a->found;
		p->id = a->id;
		lane_consume(&life.storer.answers);
	}
}

/* Once all of a submission are back: what failed goes again, in order. */
static void go_on(uint32_t sub)
{
	struct sub *s = &world->subs[sub];
	struct pend *p;
	uint32_t i;

	for (i = 0; i < s->count; i++) {
		p = pend_of(sub, s->open[i]);
		if (p->lent || p->asked)
			return;
	}
	for (i = 0; i < s->count;) {
		p = pend_of(sub, s->open[i]);
		if (p->known)
			answered(p, p->id);
		else
			i++;
	}
	gates[sub].shut = 0;
	asking[sub] = false;
	for (i = 0; i < s->count; i++) {
		p = pend_of(sub, s->open[i]);
		fill(p, sub, s->open[i]);
		BUG_ON(!lend(p));
	}
}

static void ask(uint32_t sub)
{
	struct sub *s = &world->subs[sub];
	struct seen_ask *ask;
	uint32_t i;

	for (i = 0; i < s->count; i++) {
		struct pend *p = pend_of(sub, s->open[i]);

		fill(p, sub, s->open[i]);
		ask = lane_reserve(&life.storer.asks, sizeof(*ask));
		BUG_ON(ask == NULL);
		*ask = (struct seen_ask){ .cookie = p,
					  .number = p->msg.number };
		memcpy(ask->submission, s->id, 16);
		p->asked = true;
		lane_publish(&life.storer.asks);
	}
	asking[sub] = s->count > 0;
}

void client_open(void)
{
	uint32_t i;

	for (i = 0; i < SUBS; i++) {
		if (world->subs[i].serial == 0)
			new_submission(i);
		ask(i);
	}
}

/* Mail comes in bursts, between which minutes pass. */
static bool more_comes(void)
{
	struct sim_thread *t = &life.threads[2];

	if (bursts == 0 && world->now_us < t->due_us)
		return false;
	if (bursts == 0)
		bursts = 1 + (uint32_t)some(world->plan.burst);
	/* Full, it waits for room for many. */
	full = world->open_msgs >= world->plan.open_max / 4 * (full ? 3 : 4);
	return !full && !atomic_load(&life.storer.behind);
}

void client_turn(void)
{
	uint32_t n = 1 + (uint32_t)below(256), sub;

	bell_doze(&life.ingress);
	lane_settle(&life.logger.to_ingress);
	lane_settle(&life.storer.answers);
	take_answers();
	take_seen();
	for (sub = 0; sub < SUBS; sub++)
		if (asking[sub] || gates[sub].shut < 0)
			go_on(sub);
	while (!world->calm && !life.stopping && n-- > 0 && more_comes()) {
		sub = (uint32_t)below(SUBS);
		if (world->subs[sub].left == 0 && world->subs[sub].count == 0)
			new_submission(sub);
		if (world->subs[sub].left == 0 || asking[sub] ||
		    gates[sub].shut < 0 || world->subs[sub].count == SUB_OPEN)
			continue;
		new_message(sub);
		if (--bursts == 0)
			life.threads[2].due_us =
				world->now_us + some(world->plan.rate_us);
	}
	if (full)
		life.threads[2].due_us = world->now_us + 1000000;
	else if (bursts > 0)
		life.threads[2].due_us = world->now_us + below(20000);
	else if (life.threads[2].due_us < world->now_us)
		life.threads[2].due_us = world->now_us + 1000000;
}
