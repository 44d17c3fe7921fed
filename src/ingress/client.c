/*
 * ingress/client.c - hand mail to a running mtaq
 *
 * Frames go through a window of SUBMIT_FRAMES_OPEN places, oldest first:
 *
 *	pack (being filled) -> sealed into the window -> sent -> answered, out
 *
 * The daemon answers frames in their order.  When the connection breaks, the
 * whole window is sent again on the next one under the same submission id;
 * what was accepted already is only answered again.
 */
#include "mtaq/submit.h"

#include "base/bug.h"
#include "base/crc32c.h"
#include "base/list.h"
#include "ingress/link.h"
#include "ingress/pack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sysexits.h>

#define TIMEOUT_MS       60000
#define RECONNECTS_MAX   5
#define WINDOW_BYTES_MAX (64u << 20) /* or a single frame */
/* What is sent while more is being put: enough to be worth a call, and few
 * enough frames that a long stream comes to full ones. */
#define AHEAD_BYTES  (64u << 10)
#define AHEAD_FRAMES (SUBMIT_FRAMES_OPEN / 2)

struct sent { /* a place of the window */
	struct buf b;
	uint32_t number;
	uint16_t count;
	size_t done; /* octets written on this connection */
};

struct answered { /* a frame's answer, until submit_next() is through it */
	struct list link;
	struct span rest;
	char payload[];
};

struct submit {
	struct link link;
	struct submit_options opt;
	char *path;
	uint8_t id[SUBMIT_ID_SIZE];
	struct pack pack;
	struct sent window[SUBMIT_FRAMES_OPEN];
	unsigned first, open;
	size_t bytes; /* in the window */
	char hello[FRAME_HELLO_SIZE];
	size_t hello_done;
	bool takes_more;   /* the daemon knows FRAME_MORE */
	int reconnects;    /* since the last answer */
	uint32_t connects; /* ever */
	struct list answers;
	struct answered *at; /* the one submit_next() is in */
	uint64_t put, given; /* messages */
	uint64_t unanswered;
	uint64_t *ids;
	int over; /* 0 or why nothing more can be done */
	char words[600];
};

static struct sent *place(struct submit *s, unsigned i)
{
	BUG_ON(i >= SUBMIT_FRAMES_OPEN);
	return &s->window[(s->first + i) % SUBMIT_FRAMES_OPEN];
}

static int over(struct submit *s, int error, const char *what, struct span more)
{
	s->over = error;
	(void)snprintf(s->words, sizeof(s->words), "%s%s%.*s", what,
		       more.len > 0 ? ": " : "", (int)more.len,
		       more.len > 0 ? more.p : "");
	link_close(&s->link);
	return error;
}

static int over_errno(struct submit *s, int error, const char *what)
{
	return over(s, error, what, span_str(strerrordesc_np(-error)));
}

/* --- sending -------------------------------------------------------------- */

static bool unsent(struct submit *s)
{
	unsigned i;

	for (i = s->open; i-- > 0;)
		if (place(s, i)->done < place(s, i)->b.len)
			return true;
	return s->hello_done < sizeof(s->hello);
}

/* Write what the socket takes.  0 or a negative errno. */
static int send_some(struct submit *s)
{
	struct sent *f;
	unsigned i;
	int r = link_write(&s->link, s->hello, sizeof(s->hello),
			   &s->hello_done);

	for (i = 0; r == 0 && i < s->open; i++) {
		f = place(s, i);
		if (f->done < f->b.len)
			r = link_write(&s->link, f->b.p, f->b.len, &f->done);
		if (f->done < f->b.len)
			break;
	}
	return r;
}

static void repeat_all(struct submit *s)
{
	struct frame_hello h = { FRAME_VERSION, FRAME_RESUME, { 0 } };
	unsigned i;

	memcpy(h.id, s->id, sizeof(h.id));
	frame_hello_put(&h, s->hello);
	s->hello_done = 0;
	s->takes_more = false; /* this daemon may be another */
	for (i = 0; i < s->open; i++) {
		place(s, i)->done = 0;
		frame_set_more(place(s, i)->b.p, false);
	}
}

/* --- answers -------------------------------------------------------------- */

static bool sound(struct span payload, uint16_t count)
{
	struct frame_answer a;
	uint16_t n = 0;

	while (frame_answer_get(&payload, &a) == 1)
		n++;
	return payload.len == 0 && n == count;
}

static int take_answer(struct submit *s, const struct frame_head *h,
		       struct span payload)
{
	struct sent *f = place(s, 0);
	struct answered *a;

	if (s->open == 0 || h->number != f->number || h->count != f->count ||
	    !sound(payload, h->count))
		return over(s, -EPROTO, "the daemon's answer does not fit",
			    span_of(NULL, 0));
	a = malloc(sizeof(*a) + payload.len);
	if (a == NULL)
		return over_errno(s, -ENOMEM, "an answer was lost");
	memcpy(a->payload, payload.p, payload.len);
	a->rest = span_of(a->payload, payload.len);
	list_init(&a->link);
	list_add_tail(&s->answers, &a->link);
	s->bytes -= f->b.len;
	if (f->b.size > 2 * SUBMIT_FRAME_BYTES)
		buf_free(&f->b); /* a large message's: not to be kept */
	buf_clear(&f->b);
	s->open--;
	/* Who waits for each batch uses the same few places again: what was
	 * written there last is still in the processor's cache. */
	s->first = s->open == 0 ? 0 : (s->first + 1) % SUBMIT_FRAMES_OPEN;
	s->unanswered -= h->count;
	s->reconnects = 0;
	return 0;
}

/* -ECONNRESET: come again; what else is the end. */
static int take_error(struct submit *s, struct span payload)
{
	struct frame_answer a;

	if (frame_answer_get(&payload, &a) != 1)
		return over(s, -EPROTO, "the daemon's answer does not fit",
			    span_of(NULL, 0));
	if (a.code == EX_TEMPFAIL)
		return -ECONNRESET;
	return over(s, -EPROTO, "the daemon ended the submission", a.words);
}

static int take_frame(struct submit *s, const struct frame_head *h,
		      struct span payload)
{
	struct frame_welcome welcome;

	if (crc32c(0, payload.p, payload.len) != h->crc)
		return over(s, -EPROTO, "the daemon's answer is damaged",
			    span_of(NULL, 0));
	if (h->type == FRAME_ANSWER)
		return take_answer(s, h, payload);
	if (h->type == FRAME_ERROR)
		return take_error(s, payload);
	if (frame_welcome_get(payload, &welcome) < 0)
		return over(s, -EPROTO, "the daemon speaks another version",
			    span_of(NULL, 0));
	s->takes_more = (welcome.flags & FRAME_TAKES_MORE) != 0;
	return 0;
}

/* Read what is there.  0 or a negative errno; s->over tells them apart. */
static int receive_some(struct submit *s)
{
	struct buf *rx = &s->link.rx;
	struct frame_head h;
	size_t used = 0;
	int r = 0, end = link_read(&s->link);

	while (r == 0 && rx->len - used >= FRAME_HEAD_SIZE) {
		if (frame_head_get(rx->p + used, false, &h) < 0) {
			r = over(s, -EPROTO, "this is no mtaq at the socket",
				 span_of(NULL, 0));
			break;
		}
		if (rx->len - used - FRAME_HEAD_SIZE < h.length)
			break;
		used += FRAME_HEAD_SIZE;
		r = take_frame(s, &h, span_of(rx->p + used, h.length));
		used += h.length;
	}
	if (s->over == 0)
		buf_shift(rx, used);
	return r < 0 ? r : end;
}

/* --- the connection ------------------------------------------------------- */

/* Connect again after error.  0, or over. */
static int again(struct submit *s, int error)
{
	int r = error;

	if (s->over < 0)
		return s->over;
	while (s->reconnects < s->opt.reconnects_max) {
		link_close(&s->link);
		link_pause(100 << (s->reconnects < 4 ? s->reconnects : 4));
		s->reconnects++;
		r = link_open(&s->link, s->path);
		if (r == 0) {
			s->connects++;
			repeat_all(s);
			return 0;
		}
	}
	return over_errno(s, r,
			  "the connection to the daemon broke and did "
			  "not come back");
}

/* Nothing can have been answered yet when all was only just sent. */
static int pump(struct submit *s, bool look)
{
	int r = send_some(s);

	/* An answer may stand behind a failed write. */
	if (r < 0)
		(void)receive_some(s);
	else if (look || unsent(s))
		r = receive_some(s);
	return r;
}

/* Without waiting, unless the connection breaks.  0, or over. */
static int step(struct submit *s, bool look)
{
	int r = pump(s, look);

	return r < 0 ? again(s, r) : 0;
}

/* Go on until at most open_max frames are unanswered. */
static int run(struct submit *s, unsigned open_max)
{
	uint64_t deadline = link_now_ms() + (uint64_t)s->opt.timeout_ms;
	bool look = open_max > 0; /* at what has come, without waiting */
	unsigned before;
	int r;

	for (;; look = true) {
		before = s->open;
		r = pump(s, look);
		if (r < 0) {
			r = again(s, r);
			if (r < 0)
				return r;
			continue;
		}
		if (s->open <= open_max)
			return 0;
		if (s->open < before)
			deadline = link_now_ms() + (uint64_t)s->opt.timeout_ms;
		r = link_wait(&s->link, unsent(s), deadline);
		if (r == -ETIMEDOUT)
			return over_errno(s, r,
					  "the daemon did not answer in time");
	}
}

/* --- the surface ---------------------------------------------------------- */

static struct submit *make(const struct submit_options *opt)
{
	struct submit *s = calloc(1, sizeof(*s));
	unsigned i;

	if (s == NULL)
		return NULL;
	s->opt = *opt;
	if (s->opt.timeout_ms <= 0)
		s->opt.timeout_ms = TIMEOUT_MS;
	if (s->opt.reconnects_max <= 0)
		s->opt.reconnects_max = RECONNECTS_MAX;
	link_init(&s->link);
	pack_init(&s->pack);
	list_init(&s->answers);
	for (i = 0; i < SUBMIT_FRAMES_OPEN; i++)
		buf_init(&s->window[i].b, PACK_BYTES_MAX);
	s->path = strdup(opt->path);
	s->ids = calloc(SUBMIT_RCPTS_MAX, sizeof(uint64_t));
	return s;
}

/* A daemon with a full queue of connections is worth waiting for. */
static int first_open(struct submit *s)
{
	uint64_t deadline = link_now_ms() + (uint64_t)s->opt.timeout_ms;
	int r;

	while ((r = link_open(&s->link, s->path)) == -EAGAIN &&
	       link_now_ms() < deadline)
		link_pause(10);
	return r;
}

int submit_new(const struct submit_options *opt, struct submit **submit_r)
{
	struct frame_hello h = { FRAME_VERSION, 0, { 0 } };
	struct submit *s = make(opt);
	int r = s == NULL || s->path == NULL || s->ids == NULL ? -ENOMEM : 0;

	if (r == 0 && opt->id != NULL)
		memcpy(s->id, opt->id, sizeof(s->id));
	else if (r == 0 &&
		 getrandom(s->id, sizeof(s->id), 0) != (ssize_t)sizeof(s->id))
		r = -EIO;
	if (r == 0)
		r = first_open(s);
	if (r < 0) {
		submit_free(&s);
		return r;
	}
	s->connects = 1;
	memcpy(h.id, s->id, sizeof(h.id));
	frame_hello_put(&h, s->hello);
	*submit_r = s;
	return 0;
}

/* Tell the daemon that all answers came: it need not keep them. */
static void say_end(struct submit *s)
{
	struct frame_head h = { .type = FRAME_END };
	char head[FRAME_HEAD_SIZE];
	size_t done = 0;

	frame_head_put(&h, head);
	(void)link_write(&s->link, head, sizeof(head), &done);
}

void submit_free(struct submit **submit)
{
	struct submit *s = *submit;
	struct list *l;
	unsigned i;

	*submit = NULL;
	if (s == NULL)
		return;
	if (s->over == 0 && s->put > 0 && s->unanswered == 0)
		say_end(s);
	link_close(&s->link);
	link_free(&s->link);
	pack_free(&s->pack);
	for (i = 0; i < SUBMIT_FRAMES_OPEN; i++)
		buf_free(&s->window[i].b);
	while ((l = list_pop(&s->answers)) != NULL)
		free(CONTAINER_OF(l, struct answered, link));
	free(s->at);
	free(s->path);
	free(s->ids);
	free(s);
}

/* Seal what is open and move it into the window, which has room. */
static void seal(struct submit *s, bool more)
{
	struct sent *f = place(s, s->open);
	struct buf spare = f->b;

	if (!s->pack.sealed)
		pack_seal(&s->pack, more);
	f->b = s->pack.b;
	f->number = s->pack.number;
	f->count = s->pack.count;
	f->done = 0;
	s->pack.b = spare;
	s->pack.count = 0;
	s->bytes += f->b.len;
	s->open++;
}

/* A frame that is not full, when the daemon has little to do: it looks at
 * those messages while the caller makes the next ones.  Asked for when another
 * message is being put, so that the last frame of a batch never says that more
 * follow. */
static bool may_send_ahead(struct submit *s)
{
	return s->takes_more && !s->pack.sealed && s->pack.count > 0 &&
	       pack_payload(&s->pack) >= AHEAD_BYTES &&
	       s->open < AHEAD_FRAMES && !unsent(s);
}

static int send_ahead(struct submit *s)
{
	int r;

	seal(s, true);
	r = step(s, false);
	if (r == 0 && pack_next(&s->pack) < 0)
		r = over_errno(s, -ENOMEM, "no room for a frame");
	return r;
}

/* Send the frame and begin the next one. */
static int turn(struct submit *s)
{
	int r = 0;

	if (s->pack.count > 0) {
		seal(s, s->takes_more);
		r = run(s, SUBMIT_FRAMES_OPEN - 1);
	}
	while (r == 0 && s->bytes > WINDOW_BYTES_MAX)
		r = run(s, s->open - 1);
	if (r == 0 && s->pack.sealed && pack_next(&s->pack) < 0)
		r = over_errno(s, -ENOMEM, "no room for a frame");
	return r;
}

int submit_put(struct submit *s, const struct submit_message *msg)
{
	int r = s->over;

	if (r == 0 && may_send_ahead(s))
		r = send_ahead(s);
	if (r < 0)
		return r;
	r = pack_add(&s->pack, msg);
	if (r == -EAGAIN) {
		r = turn(s);
		if (r == 0)
			r = pack_add(&s->pack, msg);
	}
	if (r == -ENOMEM)
		return over_errno(s, r, "no room for a message");
	if (r < 0)
		return r;
	s->put++;
	s->unanswered++;
	return 0;
}

int submit_flush(struct submit *s)
{
	if (s->over < 0)
		return s->over;
	if (s->pack.count > 0)
		seal(s, false);
	return s->open > 0 ? run(s, 0) : 0;
}

int submit_start(struct submit *s)
{
	if (s->over < 0)
		return s->over;
	if (s->pack.count > 0)
		seal(s, false);
	/* The next seal needs a place. */
	if (s->open == SUBMIT_FRAMES_OPEN)
		return run(s, SUBMIT_FRAMES_OPEN - 1);
	return step(s, false);
}

int submit_look(struct submit *s)
{
	return s->over < 0 ? s->over : step(s, true);
}

bool submit_unsent(struct submit *s)
{
	return unsent(s);
}

int submit_fd(const struct submit *s)
{
	return s->link.fd;
}

uint32_t submit_connects(const struct submit *s)
{
	return s->connects;
}

int submit_next(struct submit *s, struct submit_result *result_r)
{
	struct frame_answer a;
	struct list *l;
	uint32_t i;

	while (s->at == NULL || s->at->rest.len == 0) {
		free(s->at);
		s->at = NULL;
		l = list_pop(&s->answers);
		if (l == NULL)
			return 0;
		s->at = CONTAINER_OF(l, struct answered, link);
	}
	BUG_ON(frame_answer_get(&s->at->rest, &a) != 1);
	for (i = 0; i < a.id_count; i++)
		s->ids[i] = frame_id(&a, i);
	*result_r = (struct submit_result){
		.index = s->given++,
		.code = a.code,
		.enhanced_class = a.enhanced_class,
		.enhanced_subject = a.enhanced_subject,
		.enhanced_detail = a.enhanced_detail,
		.ids = s->ids,
		.id_count = a.id_count,
		.words = a.words,
	};
	return 1;
}

const uint8_t *submit_id(const struct submit *s)
{
	return s->id;
}

uint64_t submit_unanswered(const struct submit *s)
{
	return s->unanswered;
}

const char *submit_words(const struct submit *s)
{
	return s->words;
}
