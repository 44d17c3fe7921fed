/*
 * ingress/server.c - the daemon's side of a submission
 *
 *	octets -> hello, heads, payloads -> jobs (a frame each, oldest first)
 *	       -> messages -> items out -> accepted or refused -> answers
 *
 * Input:
 *	HELLO -> HEAD <-> PAYLOAD
 *	          |  \-> SIZE -> LINE -> PAYLOAD (of a large message)
 *	          \-> OVER (end mark, or a breach of the protocol)
 *
 * Invariants: a job leaves only from the front, when every message of it has
 * its result; answers therefore go out in the order of frames.  Items of one
 * connection come out with rising numbers.  What an item points to lies in
 * its job and stays until the job leaves.
 */
#include "ingress/server_private.h"

#include "base/bug.h"
#include "base/crc32c.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#define OUT_MAX        (64u << 20)
#define JOBS_BYTES_MAX (64u << 20)

/* --- life ------------------------------------------------------------------ */

static void expect(struct ingress_conn *c, enum input input, char *to,
		   size_t want)
{
	c->input = input;
	c->to = to;
	c->have = 0;
	c->want = want;
	c->crc = 0;
}

int ingress_conn_new(const struct settings *set, struct ingress_seen *seen,
		     struct ingress_large *large, uint32_t uid,
		     struct ingress_conn **conn_r)
{
	struct ingress_conn *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return -ENOMEM;
	c->set = set;
	c->seen = seen;
	c->large = large;
	large_place_init(&c->place, 0);
	c->intake = intake_new(set, uid);
	if (c->intake == NULL) {
		free(c);
		return -ENOMEM;
	}
	list_init(&c->jobs);
	buf_init(&c->answers, OUT_MAX);
	expect(c, IN_HELLO, c->small, FRAME_HELLO_SIZE);
	*conn_r = c;
	return 0;
}

void ingress_conn_tally(struct ingress_conn *c, _Atomic uint64_t *refusals)
{
	c->tally = refusals;
}

void ingress_conn_may_repeat(struct ingress_conn *c)
{
	c->may_repeat = true;
}

static void job_free(struct job *j)
{
	BUG_ON(j->out > 0);
	if (j->conn->at == j)
		j->conn->at = NULL;
	j->conn->bytes -= j->bytes;
	large_place_leave(j->conn->large, &j->place);
	arena_free(&j->arena);
	free(j->payload);
	free(j->large);
	free(j->slots);
	free(j);
}

void ingress_conn_free(struct ingress_conn **conn)
{
	struct ingress_conn *c = *conn;
	struct list *l;

	*conn = NULL;
	if (c == NULL)
		return;
	BUG_ON(c->out > 0);
	large_place_leave(c->large, &c->place);
	while ((l = list_pop(&c->jobs)) != NULL)
		job_free(CONTAINER_OF(l, struct job, link));
	if (c->filling != NULL)
		job_free(c->filling);
	if (c->held)
		ingress_seen_release(c->seen, c->hello.id);
	intake_free(&c->intake);
	buf_free(&c->answers);
	free(c->part);
	free(c);
}

void ingress_breach(struct ingress_conn *c, int code, const char *words)
{
	c->input = IN_OVER;
	if (c->error != 0)
		return;
	c->error = code;
	(void)snprintf(c->words, sizeof(c->words), "%s", words);
}

/* --- answers --------------------------------------------------------------- */

static void answer_frame(struct ingress_conn *c, enum frame_type type,
			 const struct frame_head *of, const struct slot *slots)
{
	static const char head[FRAME_HEAD_SIZE];
	size_t at = c->answers.len;
	uint16_t i;

	(void)buf_add(&c->answers, head, sizeof(head));
	for (i = 0; i < of->count; i++)
		(void)frame_answer_put(&c->answers, &slots[i].answer);
	if (c->answers.failed == 0) {
		frame_seal(&c->answers, at, type, of->count, of->number);
		return;
	}
	/* A piece of a frame would be read as nonsense: the peer is to come
	 * again with what was not answered. */
	buf_cut(&c->answers, at);
	ingress_breach(c, EX_TEMPFAIL, "too many answers wait to be read");
}

static void say_error(struct ingress_conn *c)
{
	static const char head[FRAME_HEAD_SIZE];
	struct frame_answer a = { .code = (uint8_t)c->error,
				  .enhanced_class =
					  c->error == EX_TEMPFAIL ? 4 : 5,
				  .enhanced_subject = 5,
				  .words = span_str(c->words) };
	size_t at = c->answers.len;

	c->error_said = true;
	(void)buf_add(&c->answers, head, sizeof(head));
	(void)frame_answer_put(&c->answers, &a);
	if (c->answers.failed == 0)
		frame_seal(&c->answers, at, FRAME_ERROR, 0, 0);
	else
		buf_cut(&c->answers, at);
}

static bool job_done(const struct job *j)
{
	uint16_t i;

	if (j->parsed < j->head.count || j->next < j->shares)
		return false;
	for (i = 0; i < j->head.count; i++)
		if (j->slots[i].waiting > 0)
			return false;
	return true;
}

/* What was coming never will: others may have its place and its memory. */
static void let_places_go(struct ingress_conn *c)
{
	large_place_leave(c->large, &c->place);
	if (c->filling != NULL)
		job_free(c->filling);
	c->filling = NULL;
}

void ingress_settle(struct ingress_conn *c)
{
	struct job *j;

	if (c->error != 0)
		let_places_go(c);
	while (!list_empty(&c->jobs)) {
		j = CONTAINER_OF(c->jobs.next, struct job, link);
		if (j->out > 0)
			return;
		if (job_done(j))
			answer_frame(c, FRAME_ANSWER, &j->head, j->slots);
		else if (c->error == 0)
			return;
		list_del(&j->link);
		c->jobs_count--;
		job_free(j);
	}
	if (c->error != 0 && !c->error_said && c->answers.failed == 0)
		say_error(c);
}

struct span ingress_answer(struct ingress_conn *c)
{
	return buf_span(&c->answers);
}

void ingress_sent(struct ingress_conn *c, size_t len)
{
	buf_shift(&c->answers, len);
}

/* --- octets in ------------------------------------------------------------- */

static struct job *new_job(struct ingress_conn *c);

/* A payload's sum is made while its octets come: the client may still be
 * sending the rest, and what has just been read is in the cache. */
static void note_come(struct ingress_conn *c, size_t len)
{
	if (c->input == IN_PAYLOAD)
		c->crc = crc32c(c->crc, c->to + c->have, len);
	c->have += len;
}

/* Go on, when the place may be taken: what was read belongs to the payload. */
static void leave_line(struct ingress_conn *c)
{
	struct job *j;

	if (!large_place_take(c->large, &c->place))
		return;
	j = new_job(c);
	if (j == NULL) {
		large_place_leave(c->large, &c->place);
		return;
	}
	j->place = c->place;
	list_init(&j->place.link);
	large_place_init(&c->place, 0);
	memcpy(j->payload, c->small, FRAME_SIZE_SIZE);
	note_come(c, FRAME_SIZE_SIZE);
}

void *ingress_room(struct ingress_conn *c, size_t *len_r)
{
	bool full = c->jobs_count >= SUBMIT_FRAMES_OPEN ||
		    c->bytes > JOBS_BYTES_MAX;

	*len_r = 0;
	if (c->input == IN_LINE)
		leave_line(c);
	if (c->input == IN_OVER || c->input == IN_LINE ||
	    (full && c->input == IN_HEAD && c->have == 0 && c->filling == NULL))
		return NULL;
	*len_r = c->want - c->have;
	return c->to + c->have;
}

static void take_hello(struct ingress_conn *c)
{
	char welcome[FRAME_WELCOME_SIZE];
	static const char head[FRAME_HEAD_SIZE];

	if (frame_hello_get(c->small, &c->hello) < 0) {
		ingress_breach(
			c, EX_PROTOCOL,
			"this is no submission, or one of another version");
		return;
	}
	if ((c->hello.flags & FRAME_RESUME) != 0)
		c->may_repeat = true;
	frame_welcome_put(&(struct frame_welcome){ FRAME_TAKES_MORE,
						   c->set->message_bytes_max },
			  welcome);
	(void)buf_add(&c->answers, head, sizeof(head));
	(void)buf_add(&c->answers, welcome, sizeof(welcome));
	if (c->answers.failed < 0) {
		buf_cut(&c->answers, 0);
		ingress_breach(c, EX_TEMPFAIL, "out of memory");
		return;
	}
	frame_seal(&c->answers, 0, FRAME_WELCOME, 0, 0);
	expect(c, IN_HEAD, c->small, FRAME_HEAD_SIZE);
}

static struct job *new_job(struct ingress_conn *c)
{
	struct job *j = calloc(1, sizeof(*j));

	if (j != NULL) {
		j->conn = c;
		j->head = c->head;
		list_init(&j->link);
		large_place_init(&j->place, 0);
		j->payload = malloc(c->head.length);
		j->slots = calloc(c->head.count, sizeof(struct slot));
	}
	if (j == NULL || j->payload == NULL || j->slots == NULL) {
		if (j != NULL)
			job_free(j);
		ingress_breach(c, EX_TEMPFAIL, "out of memory");
		return NULL;
	}
	j->bytes = c->head.length;
	c->bytes += j->bytes;
	c->filling = j;
	c->last_number = c->head.number;
	expect(c, IN_PAYLOAD, j->payload, c->head.length);
	return j;
}

/* A large message's size is known: it wants its place.  One that is too large
 * is not kept. */
static void take_size(struct ingress_conn *c)
{
	uint64_t size = frame_get64(c->small);

	large_place_init(&c->place,
			 size <= c->set->message_bytes_max ? size : 0);
	c->input = IN_LINE;
	leave_line(c);
}

static void take_part_head(struct ingress_conn *c)
{
	struct job *j = c->filling;
	uint64_t left = j == NULL ? 0 : j->large_size - j->large_have;

	if (j == NULL || c->head.number != j->head.number ||
	    c->head.length > left) {
		ingress_breach(c, EX_PROTOCOL, "a part belongs to no message");
		return;
	}
	if (j->large == NULL && c->part == NULL)
		c->part = malloc(FRAME_PART_BYTES);
	if (j->large == NULL && c->part == NULL) {
		ingress_breach(c, EX_TEMPFAIL, "out of memory");
		return;
	}
	expect(c, IN_PAYLOAD,
	       j->large == NULL ? c->part : j->large + j->large_have,
	       c->head.length);
}

static void take_head(struct ingress_conn *c)
{
	if (frame_head_get(c->small, true, &c->head) < 0) {
		ingress_breach(c, EX_PROTOCOL, "a frame's head is not right");
	} else if (c->head.type == FRAME_PART) {
		take_part_head(c);
	} else if (c->filling != NULL) {
		ingress_breach(c, EX_PROTOCOL, "a large message is not whole");
	} else if (c->head.type == FRAME_END) {
		c->input = IN_OVER;
		c->ended = true;
		if (list_empty(&c->jobs))
			ingress_seen_end(c->seen, c->hello.id);
	} else if (c->last_number != 0 &&
		   c->head.number != c->last_number + 1) {
		ingress_breach(c, EX_PROTOCOL,
			       "a frame's number is not the next");
	} else if (c->head.type == FRAME_LARGE) {
		if (c->head.length <= FRAME_SIZE_SIZE)
			ingress_breach(c, EX_PROTOCOL,
				       "a frame's content is not right");
		else
			expect(c, IN_SIZE, c->small, FRAME_SIZE_SIZE);
	} else {
		(void)new_job(c);
	}
}

static void job_whole(struct ingress_conn *c)
{
	list_add_tail(&c->jobs, &c->filling->link);
	c->jobs_count++;
	c->filling = NULL;
}

/* The first frame of a large message came: make room for the rest.  One that
 * is too large is read to its end and refused. */
static void begin_large(struct ingress_conn *c)
{
	struct job *j = c->filling;

	j->rest = span_of(j->payload, j->head.length);
	if (frame_message_get(&j->rest, false, &j->m) != 1) {
		ingress_breach(c, EX_PROTOCOL,
			       "a frame's content is not right");
		return;
	}
	BUG_ON(!j->place.taken);
	j->large_size = j->m.size;
	j->large_have = j->m.content.len;
	if (j->m.size <= c->set->message_bytes_max) {
		j->large = malloc(j->m.size + 1);
		if (j->large == NULL) {
			ingress_breach(c, EX_TEMPFAIL, "out of memory");
			return;
		}
		if (j->m.content.len > 0)
			memcpy(j->large, j->m.content.p, j->m.content.len);
		j->m.content = span_of(j->large, j->m.size);
		j->bytes += j->m.size;
		c->bytes += j->m.size;
	}
	if (j->large_have == j->large_size)
		job_whole(c);
}

static void take_payload(struct ingress_conn *c)
{
	struct job *j = c->filling;

	if (c->crc != c->head.crc) {
		ingress_breach(c, EX_PROTOCOL, "a frame is damaged");
		return;
	}
	c->more = (c->head.flags & FRAME_MORE) != 0 ? c->head.number : 0;
	if (c->head.type == FRAME_MESSAGES) {
		j->rest = span_of(j->payload, j->head.length);
		job_whole(c);
	} else if (c->head.type == FRAME_LARGE) {
		begin_large(c);
	} else {
		j->large_have += c->head.length;
		if (j->large_have == j->large_size)
			job_whole(c);
	}
	if (c->input != IN_OVER)
		expect(c, IN_HEAD, c->small, FRAME_HEAD_SIZE);
}

void ingress_fed(struct ingress_conn *c, size_t len)
{
	BUG_ON(len > c->want - c->have);
	note_come(c, len);
	c->fed += len;
	if (c->have < c->want || c->input == IN_OVER)
		return;
	if (c->input == IN_HELLO)
		take_hello(c);
	else if (c->input == IN_HEAD)
		take_head(c);
	else if (c->input == IN_SIZE)
		take_size(c);
	else
		take_payload(c);
	if (c->input == IN_OVER)
		ingress_settle(c);
}

/* --- messages out ---------------------------------------------------------- */

void ingress_slot_refuse(struct ingress_conn *c, struct slot *s,
			 const struct frame_answer *why)
{
	if (s->answer.code != 0)
		return;
	s->answer = *why;
	c->refusals++;
	if (c->tally != NULL)
		tally_add(&c->tally[ingress_reason_of(why)], 1);
	(void)snprintf(c->words, sizeof(c->words), "%.*s", (int)why->words.len,
		       why->words.p);
}

/* With other line ends the canonical form is a copy as a whole: then the
 * octets that came are not needed beside it. */
static void let_go(struct job *j)
{
	const struct queue_message *m = &j->at.msg;
	uintptr_t from = (uintptr_t)j->large, p;
	int i;

	for (i = 0; i < m->content_count; i++) {
		p = (uintptr_t)m->content[i].iov_base;
		if (p >= from && p < from + j->large_size)
			return;
	}
	free(j->large);
	j->large = NULL;
}

/* Look at the job's next message.  0; -ENOMEM; -EPROTO: the frame is not what
 * its head says. */
static int look(struct ingress_conn *c, struct job *j, uint32_t now_s,
		uint64_t utc_s)
{
	struct intake_place at = { c->hello.id, j->head.number, j->parsed,
				   now_s, utc_s };
	struct slot *s = &j->slots[j->parsed];
	int r = j->head.type == FRAME_LARGE
			? 1
			: frame_message_get(&j->rest, true, &j->m);

	if (r != 1 || (j->parsed + 1 == j->head.count && j->rest.len > 0))
		return -EPROTO;
	r = intake_make(c->intake, &j->arena, &j->m, &at, &j->at);
	if (r == -ENOMEM)
		return r;
	j->parsed++;
	j->shares = j->next = 0;
	if (r == -EBADMSG) {
		ingress_slot_refuse(c, s, &j->at.refusal);
		return 0;
	}
	if (j->large != NULL)
		let_go(j);
	j->shares =
		(j->at.msg.rcpt_count + QUEUE_RCPTS_MAX - 1) / QUEUE_RCPTS_MAX;
	s->ids = arena_get(&j->arena, 8 * (size_t)j->shares);
	if (s->ids == NULL)
		return -ENOMEM;
	s->waiting = j->shares;
	s->answer.ids = span_of(s->ids, 8 * (size_t)j->shares);
	s->answer.id_count = j->shares;
	return 0;
}

/* The next share as an item; NULL: no memory. */
static struct item *share_item(struct job *j)
{
	struct item *it = arena_get(&j->arena, sizeof(*it));
	uint32_t first = j->next * QUEUE_RCPTS_MAX;
	struct queue_message *m;

	if (it == NULL)
		return NULL;
	memset(it, 0, sizeof(*it));
	it->job = j;
	it->place = (uint16_t)(j->parsed - 1);
	it->share = j->next++;
	it->pub.conn = j->conn;
	it->pub.may_repeat = j->conn->may_repeat;
	m = &it->pub.msg;
	*m = j->at.msg;
	m->number |= it->share;
	m->rcpts += first;
	m->rcpt_count -= first;
	if (m->rcpt_count > QUEUE_RCPTS_MAX)
		m->rcpt_count = QUEUE_RCPTS_MAX;
	return it;
}

void ingress_slot_accept(struct slot *s, uint32_t share, uint64_t id)
{
	BUG_ON(s->waiting == 0);
	s->waiting--;
	frame_put64(s->ids + 8 * (size_t)share, id);
}

/* The first job that has something to give, or NULL.  Those before c->at have
 * given all. */
static struct job *job_to_do(struct ingress_conn *c)
{
	struct list *l = c->at != NULL ? &c->at->link : c->jobs.next;
	struct job *j;

	for (; l != &c->jobs; l = l->next) {
		j = CONTAINER_OF(l, struct job, link);
		c->at = j;
		if (j->parsed < j->head.count || j->next < j->shares)
			return j;
	}
	return NULL;
}

static bool hold(struct ingress_conn *c, uint32_t now_s)
{
	if (c->input == IN_HELLO || c->error != 0)
		return false;
	if (!c->greeted) {
		c->greeted = true;
		c->held = ingress_seen_hold(c->seen, c->hello.id, now_s);
		if (!c->held)
			ingress_breach(
				c, EX_TEMPFAIL,
				"another connection brings this submission");
	}
	return c->held;
}

static int give(struct ingress_conn *c, struct job *j, uint32_t now_s,
		struct ingress_item **item_r)
{
	struct item *it = share_item(j);
	uint64_t id;

	if (it == NULL)
		return -ENOMEM;
	if (ingress_seen_find(c->seen, c->hello.id, it->pub.msg.number, &id)) {
		ingress_slot_accept(&j->slots[it->place], it->share, id);
		return 0;
	}
	if (j->head.number < c->closed_until) {
		BUG_ON(j->slots[it->place].waiting == 0);
		j->slots[it->place].waiting--;
		ingress_slot_refuse(c, &j->slots[it->place], &c->closed_why);
		return 0;
	}
	it->now_s = now_s;
	j->out++;
	c->out++;
	*item_r = &it->pub;
	return 1;
}

int ingress_next(struct ingress_conn *c, uint32_t now_s, uint64_t utc_s,
		 struct ingress_item **item_r)
{
	struct job *j;
	int r = 0;

	while (r == 0 && hold(c, now_s) && (j = job_to_do(c)) != NULL) {
		if (j->next < j->shares)
			r = give(c, j, now_s, item_r);
		else
			r = look(c, j, now_s, utc_s);
		if (r == -EPROTO)
			ingress_breach(c, EX_PROTOCOL,
				       "a frame's content is not right");
		else if (r < 0)
			ingress_breach(c, EX_TEMPFAIL, "out of memory");
	}
	if (r == 1)
		return 1;
	ingress_settle(c);
	return 0;
}
