/*
 * ingress/server.c - the daemon's side of a submission
 *
 *	octets -> hello, heads, payloads -> jobs (a frame each, oldest first)
 *	       -> messages -> items out -> accepted or refused -> answers
 *
 * Input:
 *	HELLO -> HEAD <-> PAYLOAD
 *	           \-> OVER (end mark, or a breach of the protocol)
 *
 * Invariants: a job leaves only from the front, when every message of it has
 * its result; answers therefore go out in the order of frames.  Items of one
 * connection come out with rising numbers.  What an item points to lies in
 * its job and stays until the job leaves.
 */
#include "ingress/server.h"

#include "base/bug.h"
#include "base/crc32c.h"
#include "base/list.h"
#include "ingress/intake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#define OUT_MAX        (64u << 20)
#define JOBS_BYTES_MAX (64u << 20)

enum input {
	IN_HELLO,
	IN_HEAD,
	IN_PAYLOAD,
	IN_OVER
};

struct slot {             /* the result of one message */
	uint32_t waiting; /* shares that are out or not made yet */
	struct frame_answer answer;
	char *ids; /* 8 octets a share */
};

struct job { /* one frame */
	struct list link;
	struct ingress_conn *conn;
	struct frame_head head;
	char *payload;
	char *large; /* the content of a large message, or NULL */
	uint64_t large_size, large_have; /* 0 when it is no large message */
	struct span rest;                /* of the payload, not looked at yet */
	struct frame_message m;
	uint16_t parsed; /* messages looked at */
	struct slot *slots;
	uint32_t out; /* items */
	size_t bytes;
	struct arena arena;
	/* The message whose shares are being given out. */
	struct intake_message at;
	uint32_t shares, next;
};

struct item {
	struct ingress_item pub;
	struct job *job;
	uint16_t place;
	uint32_t share;
	uint32_t now_s;
};

struct ingress_conn {
	const struct settings *set;
	struct ingress_seen *seen;
	struct intake *intake;
	enum input input;
	char small[FRAME_HELLO_SIZE]; /* hello or head */
	char *to;                     /* where octets go */
	size_t have, want;
	struct frame_hello hello;
	struct frame_head head;
	bool greeted, held, may_repeat, ended;
	struct list jobs;
	struct job *filling; /* its payload or its parts are coming */
	char *part;          /* of a message that is too large: dropped */
	uint32_t last_number;
	/* Frames below are refused for now: see ingress_refused(). */
	uint64_t closed_until;
	struct frame_answer closed_why; /* words are literals */
	uint32_t jobs_count, out;
	size_t bytes;
	struct buf answers;
	int error; /* sysexits code of a breach, 0: none */
	bool error_said;
	uint64_t refusals;
	_Atomic uint64_t *tally; /* by reason; NULL: nobody counts */
	char words[FRAME_WORDS_MAX + 1];
};

/* --- life ------------------------------------------------------------------ */

static void expect(struct ingress_conn *c, enum input input, char *to,
		   size_t want)
{
	c->input = input;
	c->to = to;
	c->have = 0;
	c->want = want;
}

int ingress_conn_new(const struct settings *set, struct ingress_seen *seen,
		     uint32_t uid, struct ingress_conn **conn_r)
{
	struct ingress_conn *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return -ENOMEM;
	c->set = set;
	c->seen = seen;
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
	j->conn->bytes -= j->bytes;
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

/* The conversation is over; said when all jobs before have been answered. */
static void breach(struct ingress_conn *c, int code, const char *words)
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
	breach(c, EX_TEMPFAIL, "too many answers wait to be read");
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

/* Answer the jobs in front that are done; when the conversation broke, let go
 * of those that never will be. */
static void settle(struct ingress_conn *c)
{
	struct job *j;

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

void *ingress_room(struct ingress_conn *c, size_t *len_r)
{
	bool full = c->jobs_count >= SUBMIT_FRAMES_OPEN ||
		    c->bytes > JOBS_BYTES_MAX;

	*len_r = 0;
	if (c->input == IN_OVER ||
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
		breach(c, EX_PROTOCOL,
		       "this is no submission, or one of another version");
		return;
	}
	if ((c->hello.flags & FRAME_RESUME) != 0)
		c->may_repeat = true;
	frame_welcome_put(c->set->message_bytes_max, welcome);
	(void)buf_add(&c->answers, head, sizeof(head));
	(void)buf_add(&c->answers, welcome, sizeof(welcome));
	if (c->answers.failed < 0) {
		buf_cut(&c->answers, 0);
		breach(c, EX_TEMPFAIL, "out of memory");
		return;
	}
	frame_seal(&c->answers, 0, FRAME_WELCOME, 0, 0);
	expect(c, IN_HEAD, c->small, FRAME_HEAD_SIZE);
}

static void new_job(struct ingress_conn *c)
{
	struct job *j = calloc(1, sizeof(*j));

	if (j != NULL) {
		j->conn = c;
		j->head = c->head;
		list_init(&j->link);
		j->payload = malloc(c->head.length);
		j->slots = calloc(c->head.count, sizeof(struct slot));
	}
	if (j == NULL || j->payload == NULL || j->slots == NULL) {
		if (j != NULL)
			job_free(j);
		breach(c, EX_TEMPFAIL, "out of memory");
		return;
	}
	j->bytes = c->head.length;
	c->bytes += j->bytes;
	c->filling = j;
	c->last_number = c->head.number;
	expect(c, IN_PAYLOAD, j->payload, c->head.length);
}

static void take_part_head(struct ingress_conn *c)
{
	struct job *j = c->filling;
	uint64_t left = j == NULL ? 0 : j->large_size - j->large_have;

	if (j == NULL || c->head.number != j->head.number ||
	    c->head.length > left) {
		breach(c, EX_PROTOCOL, "a part belongs to no message");
		return;
	}
	if (j->large == NULL && c->part == NULL)
		c->part = malloc(FRAME_PART_BYTES);
	if (j->large == NULL && c->part == NULL) {
		breach(c, EX_TEMPFAIL, "out of memory");
		return;
	}
	expect(c, IN_PAYLOAD,
	       j->large == NULL ? c->part : j->large + j->large_have,
	       c->head.length);
}

static void take_head(struct ingress_conn *c)
{
	if (frame_head_get(c->small, true, &c->head) < 0) {
		breach(c, EX_PROTOCOL, "a frame's head is not right");
	} else if (c->head.type == FRAME_PART) {
		take_part_head(c);
	} else if (c->filling != NULL) {
		breach(c, EX_PROTOCOL, "a large message is not whole");
	} else if (c->head.type == FRAME_END) {
		c->input = IN_OVER;
		c->ended = true;
		if (list_empty(&c->jobs))
			ingress_seen_end(c->seen, c->hello.id);
	} else if (c->last_number != 0 &&
		   c->head.number != c->last_number + 1) {
		breach(c, EX_PROTOCOL, "a frame's number is not the next");
	} else {
		new_job(c);
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
		breach(c, EX_PROTOCOL, "a frame's content is not right");
		return;
	}
	j->large_size = j->m.size;
	j->large_have = j->m.content.len;
	if (j->m.size <= c->set->message_bytes_max) {
		j->large = malloc(j->m.size + 1);
		if (j->large == NULL) {
			breach(c, EX_TEMPFAIL, "out of memory");
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

	if (crc32c(0, c->to, c->want) != c->head.crc) {
		breach(c, EX_PROTOCOL, "a frame is damaged");
		return;
	}
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
	c->have += len;
	if (c->have < c->want || c->input == IN_OVER)
		return;
	if (c->input == IN_HELLO)
		take_hello(c);
	else if (c->input == IN_HEAD)
		take_head(c);
	else
		take_payload(c);
	if (c->input == IN_OVER)
		settle(c);
}

/* --- messages out ---------------------------------------------------------- */

static void slot_refuse(struct ingress_conn *c, struct slot *s,
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
		slot_refuse(c, s, &j->at.refusal);
		return 0;
	}
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

static void slot_accept(struct slot *s, uint32_t share, uint64_t id)
{
	BUG_ON(s->waiting == 0);
	s->waiting--;
	frame_put64(s->ids + 8 * (size_t)share, id);
}

/* The first job that has something to give, or NULL. */
static struct job *job_to_do(struct ingress_conn *c)
{
	struct job *j;

	LIST_FOR_EACH (l, &c->jobs) {
		j = CONTAINER_OF(l, struct job, link);
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
			breach(c, EX_TEMPFAIL,
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
		slot_accept(&j->slots[it->place], it->share, id);
		return 0;
	}
	if (j->head.number < c->closed_until) {
		BUG_ON(j->slots[it->place].waiting == 0);
		j->slots[it->place].waiting--;
		slot_refuse(c, &j->slots[it->place], &c->closed_why);
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
			breach(c, EX_PROTOCOL,
			       "a frame's content is not right");
		else if (r < 0)
			breach(c, EX_TEMPFAIL, "out of memory");
	}
	if (r == 1)
		return 1;
	settle(c);
	return 0;
}

/* --- results --------------------------------------------------------------- */

static void back(struct item *it)
{
	struct ingress_conn *c = it->pub.conn;

	BUG_ON(it->job->out == 0 || c->out == 0);
	it->job->out--;
	c->out--;
	settle(c);
}

void ingress_accepted(struct ingress_item *item, uint64_t id)
{
	struct item *it = CONTAINER_OF(item, struct item, pub);
	struct ingress_conn *c = item->conn;

	(void)ingress_seen_add(c->seen, c->hello.id, item->msg.number, id,
			       it->now_s);
	slot_accept(&it->job->slots[it->place], it->share, id);
	back(it);
}

void ingress_refused(struct ingress_item *item, int error)
{
	struct item *it = CONTAINER_OF(item, struct item, pub);
	struct slot *s = &it->job->slots[it->place];
	bool never = error == -EMSGSIZE || error == -EINVAL;
	struct frame_answer a = { .code = never ? EX_DATAERR : EX_TEMPFAIL,
				  .enhanced_class = never ? 5 : 4,
				  .enhanced_subject = 3,
				  .enhanced_detail = never ? 4 : 1 };

	if (error == -ENOSPC)
		a.words = SPAN("the spool has less free space than min_free "
			       "asks for; try later");
	else if (never)
		a.words = SPAN("the message is too large for the queue");
	else
		a.words = SPAN("the queue could not write; try later");
	/*
	 * The queue tells a repetition by its number against the highest it
	 * took, so nothing with a higher number may be taken while a client
	 * may still repeat this one: it sends the 16th frame after this only
	 * when it has read this answer.
	 */
	if (!never) {
		item->conn->closed_until =
			(uint64_t)it->job->head.number + SUBMIT_FRAMES_OPEN;
		item->conn->closed_why = a;
	}
	BUG_ON(s->waiting == 0);
	s->waiting--;
	slot_refuse(item->conn, s, &a);
	back(it);
}

uint32_t ingress_items_out(const struct ingress_conn *c)
{
	return c->out;
}

size_t ingress_bytes(const struct ingress_conn *c)
{
	return c->bytes;
}

bool ingress_over(const struct ingress_conn *c)
{
	return c->input == IN_OVER;
}

bool ingress_complete(const struct ingress_conn *c)
{
	return c->ended && c->error == 0 && list_empty(&c->jobs);
}

uint64_t ingress_refusals(const struct ingress_conn *c)
{
	return c->refusals;
}

const char *ingress_words(const struct ingress_conn *c)
{
	return c->words;
}
