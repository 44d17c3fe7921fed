/*
 * tests/unit/qmodel.c - a queue beside a plain table of what must be in it
 */
#include "qmodel.h"

#include "base/hash.h"
#include "queue/bits.h"
#include "queue/compact.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *const domains[QMODEL_DOMAINS] = { "a.example", "b.example",
						     "c.example", "d.example",
						     "e.example", "f.example" };
static const char *const campaigns[2] = { "spring", "autumn" };

const char *qmodel_domain(uint32_t i)
{
	return domains[i];
}

uint32_t qmodel_random(struct qmodel *m, uint32_t below)
{
	m->seed = hash_u64(m->seed + 0x9e3779b97f4a7c15ull);
	return (uint32_t)((m->seed >> 16) % below);
}

static void open_queue(struct qmodel *m)
{
	struct queue_report report;
	int err;

	m->set.queues_max = m->lines_max;
	err = queue_open(&m->set, m->now_s, &m->q, &report);

	ck_assert_msg(err == 0, "open: %d %s", err, report.words);
	if (m->run_rows > 0) {
		m->q->store->checkpoint.run_rows = m->run_rows;
		m->q->store->checkpoint.step_rows = m->step_rows;
	}
	if (m->live_percent > 0)
		m->q->store->compact->percent = m->live_percent;
}

void qmodel_open(struct qmodel *m, const struct queue_settings *set,
		 uint64_t seed)
{
	m->seed = seed;
	m->now_s = 1000000;
	tmpdir_make(m->dir, "model", TMPDIR_MEMORY);
	m->set = *set;
	m->set.dir = m->dir;
	m->messages = calloc(QMODEL_MESSAGES, sizeof(*m->messages));
	m->loaded = calloc(QMODEL_LOADED, sizeof(*m->loaded));
	ck_assert(m->messages != NULL && m->loaded != NULL);
	open_queue(m);
}

void qmodel_close(struct qmodel *m)
{
	queue_close(&m->q);
	tmpdir_remove(m->dir);
	free(m->messages);
	free(m->loaded);
}

/* --- mail in ------------------------------------------------------------------------ */

static void make_rcpts(struct qmodel *m, struct qmodel_message *msg)
{
	uint32_t i, domain = qmodel_random(m, QMODEL_DOMAINS);

	msg->rcpt_count = 1 + qmodel_random(m, QMODEL_RCPTS);
	for (i = 0; i < msg->rcpt_count; i++) {
		if (qmodel_random(m, 3) == 0)
			domain = qmodel_random(m, QMODEL_DOMAINS);
		msg->rcpts[i] =
			(struct qmodel_rcpt){ .domain = (uint8_t)domain };
	}
}

static void arrive(struct qmodel_message *msg, uint32_t due_s)
{
	uint32_t i;

	for (i = 0; i < msg->rcpt_count; i++) {
		msg->rcpts[i].open = true;
		if (due_s != 0)
			msg->rcpts[i].slot = due_s;
	}
	msg->exists = true;
	msg->coming = false;
}

/* The content of message n, from an offset on. */
static char octet(uint32_t n, uint64_t at)
{
	return (char)('a' + hash_pair(n, at / 8) % 26);
}

static void fill(char *text, uint32_t n, uint64_t at, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		text[i] = octet(n, at + i);
}

void qmodel_message(struct qmodel *m)
{
	static char text[2000];
	struct qmodel_message *msg = &m->messages[m->message_count];
	struct queue_rcpt rcpts[QMODEL_RCPTS];
	struct iovec iov = { text, 1 + qmodel_random(m, sizeof(text) - 1) };
	uint32_t due_s = m->now_s + qmodel_random(m, 4) * qmodel_random(m, 9);
	uint32_t i;

	ck_assert_uint_lt(m->message_count, QMODEL_MESSAGES);
	qmodel_commit(m); /* a group of its own, with room */
	*msg = (struct qmodel_message){ .sent = iov.iov_len };
	fill(text, m->message_count, 0, iov.iov_len);
	make_rcpts(m, msg);
	msg->campaign = (uint8_t)qmodel_random(m, 2);
	msg->coming = qmodel_random(m, 10) == 0;
	msg->size = (uint32_t)iov.iov_len * (msg->coming ? 3 : 1);
	msg->expires_s = m->now_s + 100000;
	for (i = 0; i < msg->rcpt_count; i++) {
		rcpts[i] = (struct queue_rcpt){
			.address = SPAN("someone@a.example"),
			.domain = span_str(domains[msg->rcpts[i].domain]),
		};
		msg->rcpts[i].slot = due_s;
	}
	ck_assert_int_eq(
		queue_put_message(
			m->q,
			&(struct queue_message){
				.submission = { 7 },
				.number = m->message_count + 1,
				.tenant = SPAN("t"),
				.campaign = span_str(campaigns[msg->campaign]),
				.rcpts = rcpts,
				.rcpt_count = msg->rcpt_count,
				.arrived_s = m->now_s,
				.due_s = due_s,
				.expires_s = msg->expires_s,
				.content = &iov,
				.content_count = 1,
				.size = msg->size },
			&msg->id),
		0);
	m->message_count++;
	qmodel_commit(m);
	msg->id = queue_lsn_final(&m->done, msg->id);
	if (!msg->coming)
		arrive(msg, 0);
}

void qmodel_part(struct qmodel *m)
{
	static char text[2000];
	struct qmodel_message *msg = NULL;
	struct iovec iov = { text, 0 };
	uint32_t i;

	for (i = 0; i < m->message_count && msg == NULL; i++)
		if (m->messages[i].coming)
			msg = &m->messages[i];
	if (msg == NULL)
		return;
	qmodel_commit(m);
	if (qmodel_random(m, 6) == 0) {
		ck_assert_int_eq(queue_put_abandon(m->q, msg->id), 0);
		msg->coming = false;
		return;
	}
	iov.iov_len = msg->size / 3;
	fill(text, (uint32_t)(msg - m->messages), msg->sent, iov.iov_len);
	ck_assert_int_eq(queue_put_part(m->q, msg->id, msg->sent, &iov, 1), 0);
	msg->sent += iov.iov_len;
	if (msg->sent == msg->size)
		arrive(msg, 0);
}

void qmodel_commit(struct qmodel *m)
{
	ck_assert_int_eq(queue_commit(m->q, &m->done), 0);
}

void qmodel_apply(struct qmodel *m)
{
	int rc;

	while ((rc = queue_store_apply(m->q, m->now_s)) > 0)
		;
	ck_assert_int_eq(rc, 0);
}

/* --- tasks out ------------------------------------------------------------------------ */

static uint32_t message_of(const struct qmodel *m, uint64_t id)
{
	uint32_t i;

	for (i = 0; i < m->message_count; i++)
		if (m->messages[i].id == id)
			return i;
	ck_abort_msg("an id that was never given");
}

static void check_words(struct qmodel *m, const struct queue_task *t,
			const struct qmodel_message *msg, uint32_t rcpt)
{
	struct span tenant, campaign, domain;

	queue_handle_name(m->q, t->queue, &tenant, &campaign, &domain);
	ck_assert(span_eq(tenant, SPAN("t")));
	ck_assert(span_eq(campaign, span_str(campaigns[msg->campaign])));
	ck_assert(span_eq(domain, span_str(domains[msg->rcpts[rcpt].domain])));
}

bool qmodel_next(struct qmodel *m)
{
	struct qmodel_loaded *l = &m->loaded[m->loaded_count];
	struct qmodel_message *msg;
	struct qmodel_rcpt *r;
	struct queue_task t;
	uint32_t i;
	int rc = queue_store_next(m->q, m->now_s, &t);

	ck_assert_int_ge(rc, 0);
	if (rc == 0)
		return false;
	ck_assert_uint_lt(m->loaded_count, QMODEL_LOADED);
	*l = (struct qmodel_loaded){ .message = message_of(m, t.id),
				     .first = t.first,
				     .slot = t.slot };
	msg = &m->messages[l->message];
	ck_assert(msg->exists);
	ck_assert(t.open[0] & 1);
	for (i = 0; i < m->loaded_count; i++)
		ck_assert(m->loaded[i].message != l->message ||
			  m->loaded[i].first != t.first);
	for (i = 0; i < 64; i++) {
		if (!((t.open[0] >> i) & 1))
			continue;
		ck_assert_uint_lt(t.first + i, msg->rcpt_count);
		r = &msg->rcpts[t.first + i];
		ck_assert(r->open && !r->loaded);
		ck_assert_uint_eq(r->slot, t.slot);
		ck_assert(t.slot <= m->now_s || t.expires_s <= m->now_s);
		ck_assert_uint_eq(r->attempts, t.attempts);
		ck_assert_uint_eq(r->unsure, t.unsure);
		check_words(m, &t, msg, t.first + i);
		r->loaded = true;
		l->bits |= (uint16_t)(1u << (t.first + i));
	}
	m->loaded_count++;
	ck_assert_uint_le(m->loaded_count, m->set.tasks_max);
	return true;
}

static void put_out(struct qmodel *m, struct qmodel_message *msg, uint32_t slot,
		    const struct queue_out_rcpt *rcpts, uint32_t count)
{
	struct qmodel_rcpt *r = &msg->rcpts[rcpts[0].rcpt];
	struct queue_out out = { .id = msg->id,
				 .slot = slot,
				 .tenant = SPAN("t"),
				 .campaign = span_str(campaigns[msg->campaign]),
				 .domain = span_str(domains[r->domain]),
				 .rcpts = rcpts,
				 .rcpt_count = count };
	uint32_t i;
	int err = queue_put_out(m->q, &out);

	if (err == -EAGAIN) {
		qmodel_commit(m);
		err = queue_put_out(m->q, &out);
	}
	ck_assert_int_eq(err, 0);
	for (i = 0; i < count; i++) {
		r = &msg->rcpts[rcpts[i].rcpt];
		ck_assert(r->open && r->slot == slot);
		r->loaded = false;
		r->open = rcpts[i].state < QUEUE_DELIVERED;
		r->attempts = rcpts[i].attempts;
		r->unsure = rcpts[i].unsure;
		r->slot = rcpts[i].due_s;
		if (rcpts[i].state == QUEUE_HELD)
			r->slot = QUEUE_SLOT_HELD;
		if (rcpts[i].state == QUEUE_DAMAGED)
			r->slot = QUEUE_SLOT_DAMAGED;
	}
}

static void unload(struct qmodel *m, uint32_t i)
{
	m->loaded[i] = m->loaded[--m->loaded_count];
}

void qmodel_answer(struct qmodel *m, uint32_t at, bool final)
{
	struct qmodel_loaded *l = &m->loaded[at];
	struct qmodel_message *msg = &m->messages[l->message];
	struct queue_out_rcpt rcpts[QMODEL_RCPTS];
	uint32_t i, dice, count = 0;

	for (i = 0; i < msg->rcpt_count; i++) {
		if (!((l->bits >> i) & 1) ||
		    (!final && qmodel_random(m, 5) == 0))
			continue;
		dice = final ? 0 : qmodel_random(m, 12);
		rcpts[count++] = (struct queue_out_rcpt){
			.rcpt = (uint16_t)i,
			.state = dice < 6     ? QUEUE_DELIVERED
				 : dice < 10  ? QUEUE_WAITING
				 : dice == 10 ? QUEUE_HELD
					      : QUEUE_DAMAGED,
			.attempts = (uint8_t)(msg->rcpts[i].attempts + 1),
			.unsure = dice == 7,
			.due_s = m->now_s + dice * 5,
		};
		l->bits &= (uint16_t) ~(1u << i);
	}
	if (count > 0)
		put_out(m, msg, l->slot, rcpts, count);
	if (l->bits == 0)
		unload(m, at);
}

void qmodel_return(struct qmodel *m, uint32_t at)
{
	struct qmodel_loaded *l = &m->loaded[at];
	struct qmodel_message *msg = &m->messages[l->message];
	uint32_t i;

	/* What was answered must be known before the rest comes back. */
	qmodel_commit(m);
	qmodel_apply(m);
	queue_store_return(m->q, msg->id, l->first,
			   m->now_s + qmodel_random(m, 10));
	for (i = 0; i < msg->rcpt_count; i++)
		if ((l->bits >> i) & 1)
			msg->rcpts[i].loaded = false;
	unload(m, at);
}

void qmodel_work(struct qmodel *m, int calls)
{
	int rc = 1;

	while (rc > 0 && calls-- > 0)
		rc = queue_store_work(m->q, m->now_s);
	ck_assert_int_ge(rc, 0);
}

void qmodel_moves(struct qmodel *m, uint32_t max)
{
	struct queue_move move;
	int rc = 1, err;

	for (; max > 0; max--) {
		rc = queue_store_move(m->q, m->now_s, &move);
		ck_assert_int_ge(rc, 0);
		if (rc == 0)
			return;
		while ((err = queue_put_move(m->q, &move)) == -EAGAIN)
			qmodel_commit(m);
		ck_assert_int_eq(err, 0);
		m->moves++;
	}
}

/* Every decision comes to its end. */
static void decide_all(struct qmodel *m, uint32_t moves)
{
	struct queue_counts counts;
	uint32_t made;

	qmodel_commit(m);
	qmodel_apply(m);
	do {
		while (m->loaded_count > 0)
			qmodel_return(m, 0);
		qmodel_work(m, 100000);
		qmodel_moves(m, moves);
		for (made = 0; qmodel_decided(m); made++)
			;
		qmodel_commit(m);
		qmodel_apply(m);
	} while (made > 0);
	queue_store_counts(m->q, &counts);
	ck_assert_uint_eq(counts.loaded, 0);
}

void qmodel_deliver(struct qmodel *m, uint32_t moves)
{
	uint32_t rounds, i;

	for (i = 0; i < m->message_count; i++)
		while (m->messages[i].coming)
			qmodel_part(m);
	qmodel_decide(m, QUEUE_VERB_RESUME, "", 0);
	qmodel_decide(m, QUEUE_VERB_RELEASE, "", 0);
	decide_all(m, moves);
	for (rounds = 0; qmodel_open_rcpts(m) > 0; rounds++) {
		ck_assert_uint_lt(rounds, 10000);
		m->now_s += 20;
		qmodel_work(m, 100000);
		qmodel_moves(m, moves);
		while (qmodel_next(m))
			;
		while (m->loaded_count > 0)
			qmodel_answer(m, 0, true);
		qmodel_commit(m);
		qmodel_apply(m);
	}
}

void qmodel_start(struct qmodel *m)
{
	open_queue(m);
}

void qmodel_reopen(struct qmodel *m)
{
	queue_close(&m->q);
	open_queue(m);
}

void qmodel_crash(struct qmodel *m)
{
	struct queue_counts counts;
	uint32_t i, j;

	/* What was not committed never was. */
	qmodel_commit(m);
	queue_close(&m->q);
	for (i = 0; i < m->message_count; i++) {
		m->messages[i].coming = false;
		for (j = 0; j < QMODEL_RCPTS; j++)
			m->messages[i].rcpts[j].loaded = false;
	}
	m->loaded_count = 0;
	open_queue(m);
	queue_store_counts(m->q, &counts);
	ck_assert_uint_eq(counts.waiting + counts.held, qmodel_open_rcpts(m));
}

/* --- decisions ------------------------------------------------------------------------ */

uint64_t qmodel_decide(struct qmodel *m, enum queue_verb verb,
		       const char *domain, uint64_t id)
{
	struct queue_decision dec = { .verb = verb,
				      .made_s = m->now_s,
				      .domain = span_str(domain),
				      .ids = id != 0 ? &id : NULL,
				      .id_count = id != 0 };
	uint64_t lsn;

	qmodel_commit(m);
	ck_assert_int_eq(queue_put_decision(m->q, &dec, &lsn), 0);
	m->decided_lsn[verb] = lsn;
	if (m->decides_early) {
		qmodel_commit(m);
		ck_assert_int_eq(queue_store_decide(m->q, lsn, &dec), 0);
	}
	return lsn;
}

bool qmodel_decided(struct qmodel *m)
{
	struct qmodel_message *msg;
	enum queue_verb verb;
	struct queue_out out;
	uint32_t i;
	int rc = queue_store_decided(m->q, m->now_s, &verb, &out);

	ck_assert_int_ge(rc, 0);
	if (rc == 0)
		return false;
	/* Later mail is none of its business. */
	ck_assert_uint_lt(out.id, m->decided_lsn[verb]);
	msg = &m->messages[message_of(m, out.id)];
	ck_assert(msg->exists);
	for (i = 0; i < out.rcpt_count; i++)
		ck_assert(!msg->rcpts[out.rcpts[i].rcpt].loaded);
	put_out(m, msg, out.slot, out.rcpts, out.rcpt_count);
	return true;
}

/* --- comparing ------------------------------------------------------------------------- */

uint64_t qmodel_open_rcpts(const struct qmodel *m)
{
	uint64_t n = 0;
	uint32_t i, j;

	for (i = 0; i < m->message_count; i++)
		for (j = 0; j < m->messages[i].rcpt_count; j++)
			n += m->messages[i].rcpts[j].open;
	return n;
}

static uint32_t check_task(struct qmodel *m, const struct queue_task *t,
			   uint16_t *seen)
{
	uint32_t i, n = 0, at = message_of(m, t->id);
	struct qmodel_message *msg = &m->messages[at];
	struct qmodel_rcpt *r;

	for (i = 0; i < t->span; i++) {
		if (!((t->open[0] >> i) & 1))
			continue;
		ck_assert_uint_lt(t->first + i, msg->rcpt_count);
		r = &msg->rcpts[t->first + i];
		ck_assert_msg(r->open, "a recipient that is done is queued");
		ck_assert(!((seen[at] >> (t->first + i)) & 1));
		seen[at] |= (uint16_t)(1u << (t->first + i));
		ck_assert_uint_eq(r->slot, t->slot);
		ck_assert_uint_eq(r->attempts, t->attempts);
		ck_assert_uint_eq(r->unsure, t->unsure);
		ck_assert_uint_eq(msg->expires_s, t->expires_s);
		check_words(m, t, msg, t->first + i);
		n++;
	}
	return n;
}

static void check_content(const struct queue_view *view, uint32_t n)
{
	uint64_t at = 0, wrong = 0;
	size_t k;
	int i;

	for (i = 0; i < view->content_count; i++) {
		const char *p = view->content[i].iov_base;

		for (k = 0; k < view->content[i].iov_len; k++, at++)
			wrong += p[k] != octet(n, at);
	}
	ck_assert_uint_eq(wrong, 0);
	ck_assert_uint_eq(at, view->size);
}

/* A row, and a decision, count where they say that they lie. */
static uint64_t rows_in(struct qmodel *m, uint64_t sequence)
{
	struct queue_store *s = m->q->store;
	static struct index_row rows[64];
	struct index_key at = { .queue = 0 };
	uint64_t n = 0, first;
	uint32_t i, count = 64;

	while (count == 64) {
		ck_assert_int_eq(index_scan(s->index, &at, rows, 64, &count),
				 0);
		for (i = 0; i < count; i++) {
			at = rows[i].key;
			at.group++;
			first = queue_segment_of(m->q, rows[i].place);
			if (first <= sequence &&
			    sequence <= first + rows[i].segments)
				n += bits_count(rows[i].open, QUEUE_OPEN_WORDS);
		}
	}
	return n;
}

static uint64_t decisions_in(struct qmodel *m, uint64_t sequence)
{
	char row[16384];
	uint64_t lsn, place, n = 0;
	size_t len;

	for (lsn = 0; index_decision_next(m->q->store->index, &lsn, row,
					  sizeof(row), &len, &place) == 0;
	     lsn++)
		n += queue_segment_of(m->q, place) == sequence;
	return n;
}

void qmodel_check_index(struct qmodel *m)
{
	struct queue_segment seg = { .sequence = 0 };
	uint64_t open, next = 0;

	for (; queue_segment_next(m->q, next, &seg); next = seg.sequence + 1) {
		ck_assert_int_eq(index_segment_open(m->q->store->index,
						    seg.sequence, &open),
				 0);
		ck_assert_uint_eq(open, rows_in(m, seg.sequence) +
						decisions_in(m, seg.sequence));
	}
}

/* What is open can be sent: its segment was not written over. */
static void check_octets(struct qmodel *m)
{
	struct queue_view view;
	uint32_t i, j;
	bool open;
	int err;

	for (i = 0; i < m->message_count; i++) {
		const struct qmodel_message *msg = &m->messages[i];

		for (open = false, j = 0; j < msg->rcpt_count; j++)
			open |= msg->rcpts[j].open;
		if (!open)
			continue;
		err = queue_message_open_at(
			m->q, msg->id, queue_store_place(m->q, msg->id), &view);
		ck_assert_msg(err == 0, "message %u: %d", i, err);
		ck_assert_uint_eq(view.id, msg->id);
		ck_assert_uint_eq(view.size, msg->size);
		ck_assert_uint_eq(view.rcpt_count, msg->rcpt_count);
		check_content(&view, i);
		queue_message_close(m->q, &view);
	}
}

void qmodel_check(struct qmodel *m)
{
	static struct queue_task tasks[50];
	struct queue_list_cursor at = { .stage = 0 };
	struct queue_filter any = { .domain = SPAN("") };
	uint16_t *seen = calloc(QMODEL_MESSAGES, sizeof(*seen));
	struct queue_counts counts;
	uint64_t total = 0;
	uint32_t i, count;
	int rc = 1;

	qmodel_commit(m);
	qmodel_apply(m);
	while (rc > 0) {
		rc = queue_list(m->q, &any, &at, tasks, 50, &count);
		ck_assert_int_ge(rc, 0);
		for (i = 0; i < count; i++)
			total += check_task(m, &tasks[i], seen);
	}
	free(seen);
	ck_assert_uint_eq(total, qmodel_open_rcpts(m));
	queue_store_counts(m->q, &counts);
	ck_assert_uint_eq(counts.waiting + counts.held, total);
	ck_assert_uint_eq(counts.loaded, m->loaded_count);
	check_octets(m);
}
