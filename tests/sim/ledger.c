/*
 * tests/sim/ledger.c - the oracle
 *
 * It believes nothing that mtaq says: what was acknowledged is known from the
 * client, what was taken from the servers, and the records of the log are
 * held against both.
 */
#include "sim.h"

#include "base/hash.h"
#include "base/map.h"
#include "report/note.h"

#include <stdio.h>
#include <stdlib.h>

#define LATE_S 7200u /* the search for expired rows goes by hours */

void ledger_new(void)
{
	uint32_t i;

	BUG_ON(world->plan.slots > SLOTS);
	for (i = 0; i < world->plan.slots; i++)
		world->free_slots[i] = i;
	world->free_count = world->plan.slots;
}

uint32_t ledger_take_slot(void)
{
	uint32_t slot = world->free_slots[world->free_first];

	BUG_ON(world->free_count == 0);
	world->free_first = (world->free_first + 1) % world->plan.slots;
	world->free_count--;
	world->open_msgs++;
	world->msgs[slot] =
		(struct msg){ .n = ++world->numbers, .state = MSG_LENT };
	return slot;
}

/* Remembered until its slot is taken again, long after. */
static void settle(uint32_t slot)
{
	struct msg *m = &world->msgs[slot];

	if (m->state != MSG_ACKED || m->open > 0)
		return;
	m->state = MSG_DONE;
	world->open_msgs--;
	world->free_slots[(world->free_first + world->free_count++) %
			  world->plan.slots] = slot;
}

/* An id of 0: known, and too long ago for its id. */
void ledger_answer(uint32_t slot, uint64_t id)
{
	struct msg *m = &world->msgs[slot];

	BUG_ON(m->state != MSG_LENT);
	m->state = MSG_ACKED;
	if (id != 0 && m->lsn != 0 && m->lsn != id)
		sim_fail("nothing lost",
			 "message %lu was answered with the id %lx, its record "
			 "is %lx",
			 (unsigned long)m->n, (unsigned long)id,
			 (unsigned long)m->lsn);
	m->id = id;
	if (id > world->acked_lsn)
		world->acked_lsn = id;
	world->count.accepted++;
	world->count.recipients += m->count;
	settle(slot);
}

/* --- servers ------------------------------------------------------------------- */

static bool number(const char **p, const char *end, char mark, uint64_t *n_r)
{
	uint64_t n = 0;

	if (*p == end || **p != mark)
		return false;
	for ((*p)++; *p < end && **p >= '0' && **p <= '9'; (*p)++)
		n = n * 10 + (uint64_t)(**p - '0');
	*n_r = n;
	return true;
}

struct rcpt *ledger_rcpt(struct span address, uint32_t *slot_r)
{
	const char *p = address.p, *end = address.p + address.len;
	uint64_t slot, n, k;

	if (!number(&p, end, 's', &slot) || !number(&p, end, 'n', &n) ||
	    !number(&p, end, 'k', &k) || slot >= world->plan.slots)
		sim_fail("no octets of another",
			 "\"%.*s\" is no address of ours", (int)address.len,
			 address.p);
	if (world->msgs[slot].n != n || k >= world->msgs[slot].count)
		sim_fail("nothing doubled",
			 "message %lu has ended long ago and is there again",
			 (unsigned long)n);
	*slot_r = (uint32_t)slot;
	return &world->msgs[slot].rcpt[k];
}

void ledger_carry(struct span address, uint32_t conn, uint32_t *slot_r,
		  uint32_t *k_r)
{
	struct rcpt *r = ledger_rcpt(address, slot_r);
	struct msg *m = &world->msgs[*slot_r];

	*k_r = (uint32_t)(r - m->rcpt);
	if (r->final != 0)
		sim_fail("nothing doubled",
			 "recipient %u of message %lu has ended (%u) and is "
			 "sent again",
			 *k_r, (unsigned long)m->n, r->final);
	if (r->conn != NOBODY && r->conn != conn && !r->lied &&
	    r->conn_life == world->life && net_alive(r->conn))
		sim_fail("no task loaded twice",
			 "recipient %u of message %lu is on two connections",
			 *k_r, (unsigned long)m->n);
	r->conn = conn;
	r->conn_life = world->life;
}

void ledger_leave(uint32_t slot, uint32_t k, uint32_t conn)
{
	struct rcpt *r = &world->msgs[slot].rcpt[k];

	if (r->conn == conn)
		r->conn = NOBODY;
}

uint32_t ledger_took(uint32_t slot, uint32_t k)
{
	struct msg *m = &world->msgs[slot];
	struct rcpt *r = &m->rcpt[k];
	uint32_t in_life = NOBODY;

	if (r->told && r->life == world->life)
		sim_fail("nothing doubled",
			 "recipient %u of message %lu was sent again though "
			 "the answer had been read",
			 k, (unsigned long)m->n);
	if (r->told)
		in_life = r->life;
	r->told = false;
	r->took = true;
	return in_life;
}

void ledger_repeat(uint32_t in_life)
{
	struct life_sum *sum = &world->lives[in_life % LIVES];

	world->count.repeats++;
	if (in_life + LIVES > world->life && ++sum->repeats > sum->allowed)
		sim_fail("extra copies bounded",
			 "%lu mails that life %u had an answer for were sent "
			 "again; %lu are allowed",
			 (unsigned long)sum->repeats, in_life,
			 (unsigned long)sum->allowed);
}

/* Answers of this life whose outcomes are not durable; and the most sessions
 * that there were at once meanwhile: at the cap each may have a dot out. */
static struct unsynced {
	uint32_t answers, sessions;
} unsynced[WORKERS];

void ledger_told_mail(uint32_t slot, uint32_t k, unsigned worker)
{
	struct unsynced *u = &unsynced[worker];
	struct rcpt *r = &world->msgs[slot].rcpt[k];

	if (r->final != 0) /* known to be the end before we could be sure */
		return;
	r->teller = (uint8_t)(worker + 1);
	if (u->answers++ == 0)
		u->sessions = net_open_of(worker);
	if (u->answers > world->plan.cap + u->sessions)
		life_follow();
	if (u->answers > world->plan.cap + u->sessions)
		sim_fail("limits never exceeded",
			 "%u mails are answered and not durable, "
			 "max_unsynced_outcomes is %u beside %u sessions",
			 u->answers, world->plan.cap, u->sessions);
}

void ledger_sessions(unsigned worker, uint32_t count)
{
	if (unsynced[worker].sessions < count)
		unsynced[worker].sessions = count;
}

uint64_t ledger_allowed(void)
{
	uint64_t sum = 0;
	unsigned w;

	for (w = 0; w < world->plan.workers; w++) {
		const struct unsynced *u = &unsynced[w];

		/* One that has closed since may have had a dot out as well. */
		sum += world->plan.cap +
		       (u->answers > 0 ? u->sessions : net_open_of(w));
	}
	return sum;
}

static void durable(struct rcpt *r)
{
	if (r->teller != 0 && r->life == world->life)
		unsynced[r->teller - 1].answers--;
	r->teller = 0;
}

void ledger_told(uint32_t slot, uint32_t k)
{
	struct rcpt *r = &world->msgs[slot].rcpt[k];

	durable(r); /* if read and then not believed, of a mail sent again */
	r->told = true;
	r->life = world->life;
	r->conn = NOBODY;
}

/* --- records -------------------------------------------------------------------- */

static void record_msg(const struct queue_record *rec)
{
	struct queue_rcpt q;
	struct msg *m;
	uint32_t slot;

	queue_view_rcpt(&rec->msg, 0, &q);
	ledger_rcpt(q.address, &slot);
	m = &world->msgs[slot];
	if (m->lsn != 0 ||
	    (m->state == MSG_ACKED && m->id != 0 && m->id != rec->lsn))
		sim_fail("nothing doubled",
			 "message %lu is in the log twice, at %lx and %lx",
			 (unsigned long)m->n,
			 (unsigned long)(m->lsn != 0 ? m->lsn : m->id),
			 (unsigned long)rec->lsn);
	if (rec->msg.rcpt_count != m->count)
		sim_fail("nothing lost", "message %lu has %u recipients of %u",
			 (unsigned long)m->n, rec->msg.rcpt_count, m->count);
	m->lsn = rec->lsn;
	world->open_rcpts += m->open;
}

static void ended(const struct msg *m, const struct rcpt *r,
		  const struct queue_out_rcpt *o)
{
	unsigned long n = (unsigned long)m->n;
	uint32_t now_s = clock_mail_s(&life.clock);
	struct note_rcpt note;

	if (note_rcpt_get(o->note, &note) < 0)
		sim_fail("events", "the outcome of message %lu has no note", n);
	if (o->state == QUEUE_DELIVERED && !r->took && !r->lied)
		sim_fail("never delivered without a final 2yz",
			 "recipient %u of message %lu is delivered: %.*s",
			 o->rcpt, n, (int)note.verdict.text.len,
			 note.verdict.text.p);
	if (o->state == QUEUE_BOUNCED && !r->refused && !r->lied &&
	    !(note.rule != LOCAL_NONE && world->no_domain[r->domain]))
		sim_fail("never bounced without a 5yz",
			 "recipient %u of message %lu is bounced: %u %.*s",
			 o->rcpt, n, note.verdict.code,
			 (int)note.verdict.text.len, note.verdict.text.p);
	if (o->state == QUEUE_EXPIRED && now_s < m->expires_s)
		sim_fail("nothing expires early",
			 "message %lu expired %u s before its time", n,
			 m->expires_s - now_s);
	if (o->state == QUEUE_CANCELLED || o->state == QUEUE_DAMAGED)
		sim_fail("nothing lost",
			 "recipient %u of message %lu is in state %u", o->rcpt,
			 n, o->state);
}

static struct msg *msg_of(uint64_t id, const struct queue_out_rcpt *o,
			  uint32_t *slot_r)
{
	struct note_rcpt note;

	if (note_rcpt_get(o->note, &note) < 0 || note.to.len == 0)
		sim_fail("events", "an outcome of %lx names nobody",
			 (unsigned long)id);
	ledger_rcpt(note.to, slot_r);
	return &world->msgs[*slot_r];
}

static void record_out(const struct queue_out *out)
{
	uint32_t i, slot;

	if (out->rcpt_count > 0 && out->rcpts[0].state == QUEUE_DAMAGED)
		sim_fail("nothing lost", "message %lx is held as damaged",
			 (unsigned long)out->id);
	for (i = 0; i < out->rcpt_count; i++) {
		const struct queue_out_rcpt *o = &out->rcpts[i];
		struct msg *m = msg_of(out->id, o, &slot);
		struct rcpt *r = &m->rcpt[o->rcpt];

		if (m->lsn != out->id || o->rcpt >= m->count)
			sim_fail("nothing lost",
				 "an outcome of %lx is for message %lu of %lx",
				 (unsigned long)out->id, (unsigned long)m->n,
				 (unsigned long)m->lsn);
		if (r->final != 0)
			sim_fail("one end each",
				 "recipient %u of message %lu has ended (%u), "
				 "and has an outcome once more (%u)",
				 o->rcpt, (unsigned long)m->n, r->final,
				 o->state);
		if (o->state >= QUEUE_DAMAGED || o->state == QUEUE_HELD)
			ended(m, r, o);
		durable(r);
		world->count.ended[o->state]++;
		if (o->state < QUEUE_DELIVERED)
			continue;
		r->final = o->state;
		m->open--;
		world->open_rcpts--;
		settle(slot);
	}
}

void ledger_record(const struct queue_record *rec)
{
	if (rec->lsn < world->event_lsn)
		sim_fail("events", "record %lx came behind %lx",
			 (unsigned long)rec->lsn,
			 (unsigned long)world->event_lsn);
	if (rec->type == QUEUE_REC_MSG)
		record_msg(rec);
	else if (rec->type == QUEUE_REC_OUT)
		record_out(&rec->out);
	world->event_lsn = rec->end;
}

/* --- behind a start --------------------------------------------------------------- */

void ledger_opened(struct queue *q)
{
	struct queue_counts c;

	queue_store_counts(q, &c);
	if (c.durable_lsn < world->event_lsn)
		sim_fail("nothing lost",
			 "the log ends at %lx; what came to %lx was durable",
			 (unsigned long)c.durable_lsn,
			 (unsigned long)world->event_lsn);
	if (c.durable_lsn <= world->acked_lsn && world->acked_lsn != 0)
		sim_fail("nothing lost",
			 "the log ends at %lx; %lx was acknowledged",
			 (unsigned long)c.durable_lsn,
			 (unsigned long)world->acked_lsn);
}

static void listed(const struct queue *q, const struct queue_task *t,
		   uint8_t *seen, const struct map *by_id)
{
	const struct msg *m = map_find(by_id, hash_u64(t->id), NULL, NULL);
	uint32_t i, k;

	(void)q;
	for (i = 0; i < t->span; i++) {
		if ((t->open[i / 64] >> (i % 64) & 1) == 0)
			continue;
		k = t->first + i;
		if (m == NULL || m->lsn != t->id || k >= m->count ||
		    m->rcpt[k].final != 0)
			sim_fail("nothing doubled",
				 "recipient %u of %lx has ended and is queued",
				 k, (unsigned long)t->id);
		if ((seen[m - world->msgs] >> k & 1) != 0)
			sim_fail("no task twice",
				 "recipient %u of %lx is queued twice", k,
				 (unsigned long)t->id);
		seen[m - world->msgs] |= (uint8_t)(1u << k);
	}
}

static void all_seen(const uint8_t *seen)
{
	uint32_t i, k;

	for (i = 0; i < world->plan.slots; i++) {
		const struct msg *m = &world->msgs[i];

		if (m->state == MSG_NONE || m->state == MSG_DONE ||
		    (m->state == MSG_LENT && m->lsn == 0))
			continue;
		if (m->lsn == 0)
			sim_fail("nothing lost",
				 "message %lu (%lx) was acknowledged and is "
				 "not in the log",
				 (unsigned long)m->n, (unsigned long)m->id);
		for (k = 0; k < m->count; k++)
			if (m->rcpt[k].final == 0 && (seen[i] >> k & 1) == 0)
				sim_fail("nothing lost",
					 "recipient %u of message %lu (%lx) is "
					 "open and not in the queue",
					 k, (unsigned long)m->n,
					 (unsigned long)m->lsn);
	}
}

static void compare_all(struct queue *q)
{
	static struct queue_task tasks[64];
	struct queue_filter any = { 0 };
	struct queue_list_cursor at = { 0 };
	uint8_t *seen = calloc(world->plan.slots, 1);
	uint64_t open = 0;
	uint32_t count, i;
	struct map by_id;
	int more;

	map_init(&by_id);
	BUG_ON(seen == NULL);
	for (i = 0; i < world->plan.slots; i++) {
		struct msg *m = &world->msgs[i];

		if (m->lsn != 0 && m->state != MSG_DONE)
			BUG_ON(map_put(&by_id, hash_u64(m->lsn), m) < 0);
		if (m->lsn != 0)
			open += m->open;
	}
	BUG_ON(open != world->open_rcpts);
	do {
		more = queue_list(q, &any, &at, tasks, ARRAY_LEN(tasks),
				  &count);
		if (more < 0)
			sim_fail("nothing lost", "the queue cannot be listed");
		for (i = 0; i < count; i++)
			listed(q, &tasks[i], seen, &by_id);
	} while (more == 1);
	all_seen(seen);
	map_free(&by_id);
	free(seen);
}

static bool counts_fit(const struct queue *q)
{
	struct queue_counts c;

	queue_store_counts(q, &c);
	return c.waiting + c.held == world->open_rcpts;
}

void ledger_compare(struct queue *q, bool whole)
{
	bool fit = counts_fit(q);

	if (whole || !fit)
		compare_all(q);
	if (!fit)
		sim_fail("nothing lost", "the queue counts another number of "
					 "open recipients than there are");
}

void ledger_ages(void)
{
	uint32_t now_s = clock_mail_s(&life.clock), i, from;

	from = (uint32_t)(life.clock.start_mail_ms / 1000) + life.clock.grace_s;
	if (now_s < from + LATE_S)
		return;
	for (i = 0; i < world->plan.slots; i++) {
		const struct msg *m = &world->msgs[i];

		if (m->state == MSG_ACKED && m->expires_s + LATE_S < now_s)
			sim_fail("nothing queued past its age limit",
				 "message %lu (%lx) is %u s past it",
				 (unsigned long)m->n, (unsigned long)m->lsn,
				 now_s - m->expires_s);
	}
}
