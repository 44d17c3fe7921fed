/*
 * tests/unit/gen_run.c - network and clock between a session and a server
 *
 * Time jumps to whatever comes next: octets of the server or the session's
 * deadline.  All that happens is told to the oracle as well, and each event
 * is compared with what the oracle says at once.  A session that waits must
 * wait for somebody, and exactly as long as rule 10 allows.
 *
 * With `out` the dialogue is written in the words of tests/transcripts/, so
 * that a case can become a file there.
 */
#include "gen.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define STEPS_MAX 60000
#define AGED_MS   3590000u /* of the hour that a session may last */

struct run {
	const struct gen_case *c;
	struct smtp_settings set;
	struct smtp_session *s;
	struct gen_server server;
	struct judge judge;
	struct gen_tally *tally;
	uint64_t now_ms;
	struct iovec iov[SMTP_IOV_MAX];
	int iov_count;
	char batch[SMTP_OUT_MIN];
	size_t batch_len;
	bool lent, stuck, tls, ready, closed, quit_said, pending, aged;
	unsigned given, told[GEN_MAILS][GEN_RCPTS], done[GEN_MAILS];
	struct smtp_verdict verdict[GEN_MAILS][GEN_RCPTS]; /* no text */
	FILE *out;
	char line[65536]; /* of ours, for out */
	size_t line_len;
};

#define wrong(r, ...) judge_wrong(&(r)->judge, __VA_ARGS__)

/* --- the dialogue ----------------------------------------------------- */

static void note(struct run *r, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void note(struct run *r, const char *format, ...)
{
	va_list ap;

	if (r->out == NULL)
		return;
	va_start(ap, format);
	vfprintf(r->out, format, ap);
	va_end(ap);
	fputc('\n', r->out);
	fflush(r->out);
}

static void put_escaped(FILE *out, const char *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		unsigned char ch = (unsigned char)p[i];

		if (ch == '\r')
			fputs("\\r", out);
		else if (ch == '\n')
			fputs("\\n", out);
		else if (ch == '\\')
			fputs("\\\\", out);
		else if (ch < 0x20 || ch > 0x7e)
			fprintf(out, "\\x%02x", ch);
		else
			fputc(ch, out);
	}
	fputc('\n', out);
}

static void note_server(struct run *r, const char *p, size_t len)
{
	while (r->out != NULL && len > 0) {
		const char *lf = memchr(p, '\n', len);
		size_t n = lf == NULL ? len : (size_t)(lf - p) + 1;
		bool line = n > 1 && p[n - 1] == '\n' && p[n - 2] == '\r';

		if (!line)
			n = len;
		fputs(!line ? "S- " : n < len ? "S+ " : "S: ", r->out);
		put_escaped(r->out, p, line ? n - 2 : n);
		p += n;
		len -= n;
	}
}

static void note_batch(struct run *r)
{
	size_t i;

	for (i = 0; r->out != NULL && i < r->batch_len; i++) {
		if (r->line_len < sizeof(r->line))
			r->line[r->line_len++] = r->batch[i];
		if (r->batch[i] != '\n')
			continue;
		fputs("C: ", r->out);
		put_escaped(r->out, r->line, r->line_len - 2);
		r->line_len = 0;
	}
}

/* Shall the dialogue say when a batch has left? */
static bool holds(const struct gen_case *c)
{
	return c->late || c->body == BODY_LARGE;
}

static void note_begin(struct run *r)
{
	note(r, "! whole");
	if (r->c->mode == MODE_FORBIDDEN)
		note(r, "! no-pipelining");
	if (r->set.grouping)
		note(r, "! grouping");
	if (r->set.chunking)
		note(r, "! chunking");
	if (r->c->ahead > 1)
		note(r, "! ahead %u", r->c->ahead);
	if (r->set.tls != SMTP_TLS_MAY)
		note(r, "! tls %s",
		     r->set.tls == SMTP_TLS_OFF ? "off" : "must");
	if (r->c->body != BODY_SHORT)
		note(r, "! dots");
	if (holds(r->c))
		note(r, "! hold");
}

static void note_content(struct run *r)
{
	const struct gen_content *c = gen_content(r->c->body, r->given);
	uint32_t i;

	if (r->out == NULL)
		return;
	fputs("! content ", r->out);
	for (i = 0; i < c->pieces; i++) {
		const char *p = c->piece[i].iov_base;
		size_t n;

		for (n = 0; n < c->piece[i].iov_len; n++)
			fputs(p[n] == '\r'   ? "\\r"
			      : p[n] == '\n' ? "\\n"
					     : (char[]){ p[n], 0 },
			      r->out);
		fputc(i + 1 < c->pieces ? '|' : '\n', r->out);
	}
}

static void note_event(struct run *r, const struct smtp_event *ev)
{
	const struct smtp_verdict *v = &ev->verdict;
	const char *res = smtp_result_name(v->result);
	const char *stage = smtp_stage_name(v->stage);

	if (ev->type == SMTP_EV_RCPT)
		note(r, "= rcpt %u/%u %s %u %s %u.%u.%u", (unsigned)ev->tag,
		     ev->rcpt, res, v->code, stage, v->enhanced.cls,
		     v->enhanced.subject, v->enhanced.detail);
	else if (ev->type == SMTP_EV_CLOSE)
		note(r, "= close %s %u %s carried %u %s %s%s", res, v->code,
		     stage, ev->carried, ev->idle ? "idle" : "busy",
		     ev->distrust ? "distrust" : "trust",
		     ev->no_chunks ? " no-chunks" : "");
	else if (ev->type == SMTP_EV_MAIL_DONE)
		note(r, "= done %u", (unsigned)ev->tag);
	else
		note(r, "= %s", ev->type == SMTP_EV_TLS ? "tls" : "ready");
}

/* --- events ----------------------------------------------------------- */

static void on_rcpt(struct run *r, const struct smtp_event *ev)
{
	const struct smtp_verdict *v = &ev->verdict;
	unsigned m = (unsigned)ev->tag - 1, i = ev->rcpt;
	struct judge_verdict want;
	const char *plan;

	if (m >= r->given || i >= r->c->rcpts[m] || r->told[m][i]++ > 0 ||
	    r->done[m] > 0) {
		wrong(r, "a verdict too many: rcpt %u/%u", m + 1, i);
		return;
	}
	r->verdict[m][i] = *v;
	r->verdict[m][i].text = (struct span){ 0 };
	r->tally->results[v->result]++;
	if (!judge_settled(&r->judge, m, i, &want))
		wrong(r, "rcpt %u/%u is not settled yet", m + 1, i);
	else if (want.result != v->result || want.stage != v->stage ||
		 want.code != v->code || want.enhanced.cls != v->enhanced.cls ||
		 want.enhanced.subject != v->enhanced.subject ||
		 want.enhanced.detail != v->enhanced.detail)
		wrong(r, "wanted rcpt %u/%u %s %u %s %u.%u.%u", m + 1, i,
		      smtp_result_name(want.result), want.code,
		      smtp_stage_name(want.stage), want.enhanced.cls,
		      want.enhanced.subject, want.enhanced.detail);
	plan = gen_plan_wrong(v, smtp_session_info(r->s).carried > 0);
	if (plan != NULL)
		wrong(r, "rcpt %u/%u: %s", m + 1, i, plan);
}

static void on_done(struct run *r, const struct smtp_event *ev)
{
	unsigned m = (unsigned)ev->tag - 1, i;

	if (m >= r->given || r->done[m]++ > 0) {
		wrong(r, "done %u too often", m + 1);
		return;
	}
	if (m > 0 && r->done[m - 1] == 0)
		wrong(r, "done %u before the mail in front of it", m + 1);
	for (i = 0; i < r->c->rcpts[m]; i++)
		if (r->told[m][i] != 1)
			wrong(r, "done %u without a verdict for %u", m + 1, i);
}

static void on_close(struct run *r, const struct smtp_event *ev)
{
	struct judge_close want = judge_close(&r->judge);

	r->closed = true;
	r->tally->ends[r->judge.end]++;
	if (r->judge.end == END_NOT)
		wrong(r, "closed without a reason");
	else if (want.result != ev->verdict.result ||
		 want.code != ev->verdict.code || want.idle != ev->idle ||
		 want.distrust != ev->distrust ||
		 want.no_chunks != ev->no_chunks ||
		 r->judge.carried != ev->carried)
		wrong(r, "wanted close %s %u carried %u %s %s%s",
		      smtp_result_name(want.result), want.code,
		      r->judge.carried, want.idle ? "idle" : "busy",
		      want.distrust ? "distrust" : "trust",
		      want.no_chunks ? " no-chunks" : "");
}

static void drain(struct run *r)
{
	struct smtp_event ev;

	while (smtp_session_event(r->s, &ev)) {
		r->tally->events++;
		note_event(r, &ev);
		if (r->closed)
			wrong(r, "an event behind the close");
		if (r->lent && ev.type != SMTP_EV_RCPT)
			wrong(r, "told while a batch is lent");
		if (ev.type == SMTP_EV_RCPT)
			on_rcpt(r, &ev);
		else if (ev.type == SMTP_EV_MAIL_DONE)
			on_done(r, &ev);
		else if (ev.type == SMTP_EV_CLOSE)
			on_close(r, &ev);
		else if (ev.type == SMTP_EV_TLS)
			r->tls = true;
		else if (r->judge.end == END_NOT && !judge_is_ready(&r->judge))
			wrong(r, "ready too early");
		else
			r->ready = true;
	}
}

/* --- what we do ------------------------------------------------------- */

static bool is_quiet(const struct run *r)
{
	return r->server.head == r->server.tail;
}

static bool is_due(const struct run *r)
{
	return !is_quiet(r) &&
	       r->server.push[r->server.head % GEN_PUSHES].at_ms <= r->now_ms;
}

/* False: so much content may not be on its way (rule 20). */
static bool give_mail(struct run *r)
{
	static const struct smtp_rcpt rcpts[GEN_RCPTS] = {
		{ { "r0@x", 4 }, { NULL, 0 } },
		{ { "r1@x", 4 }, { NULL, 0 } },
		{ { "r2@x", 4 }, { NULL, 0 } },
	};
	const struct gen_content *c = gen_content(r->c->body, r->given);
	struct smtp_mail m = {
		.tag = r->given + 1,
		.sender = SPAN("s@y"),
		.rcpts = rcpts,
		.rcpt_count = r->c->rcpts[r->given],
		.flags = r->c->body == BODY_SHORT ? 0 : SMTP_MAIL_DOTS,
		.content = c->piece,
		.content_count = c->pieces,
		.content_bytes = c->bytes,
	};

	int rc = smtp_session_mail(r->s, &m, r->now_ms);

	if (rc == -EAGAIN && !judge_is_ready(&r->judge) &&
	    !judge_may_follow(&r->judge, r->given))
		return false;
	note_content(r);
	note(r, "! mail %u", m.rcpt_count);
	if (rc < 0)
		wrong(r, "the mail was not taken");
	r->given++;
	r->ready = false;
	judge_given(&r->judge, r->now_ms);
	return true;
}

/* A long time in which nothing is asked of the server. */
static void grow_old(struct run *r)
{
	r->aged = true;
	note(r, "! wait %u", (unsigned)((AGED_MS - r->now_ms) / 1000));
	r->now_ms = AGED_MS;
	smtp_session_tick(r->s, r->now_ms);
	drain(r);
}

static bool act(struct run *r)
{
	bool may = r->judge.end == END_NOT && (!r->c->lazy || is_quiet(r));

	if (!may)
		return false;
	if (r->c->aged && !r->aged && r->ready && is_quiet(r) && !r->lent &&
	    r->now_ms < AGED_MS) {
		grow_old(r);
		return true;
	}
	if (r->given < r->c->mails &&
	    smtp_session_room(r->s) >= r->c->rcpts[r->given] && give_mail(r))
		return true;
	if (!r->c->lazy && r->given < r->c->mails && r->judge.stream >= 0 &&
	    judge_may_follow(&r->judge, r->given))
		wrong(r, "another flight may follow, and no room");
	if (r->ready && r->given < r->c->mails && !r->lent)
		wrong(r, "ready, and no room");
	if (r->ready && r->given == r->c->mails && r->c->quit &&
	    !r->quit_said && smtp_session_quit(r->s, r->now_ms) == 0) {
		note(r, "! quit");
		r->quit_said = true;
		judge_quit(&r->judge, r->now_ms);
		return true;
	}
	return false;
}

static void complete(struct run *r)
{
	size_t at = 0;
	int i;

	for (i = 0; i < r->iov_count; i++) {
		if (memcmp(r->batch + at, r->iov[i].iov_base,
			   r->iov[i].iov_len) != 0)
			wrong(r, "a lent batch has changed");
		at += r->iov[i].iov_len;
	}
	if (holds(r->c))
		note(r, "! release\n! hold");
	r->lent = r->stuck = false;
	smtp_session_sent(r->s, r->now_ms);
	judge_flushed(&r->judge, r->now_ms);
	drain(r);
}

static bool speak(struct run *r)
{
	bool pending =
		is_due(r) &&
		r->server.push[r->server.head % GEN_PUSHES].type == PUSH_OCTETS;
	int i, before = r->judge.sent;
	unsigned m;

	if (r->lent)
		return false;
	if (pending != r->pending && judge_content_due(&r->judge, &m)) {
		note(r, pending ? "! pending" : "! not-pending");
		r->pending = pending;
	}
	r->iov_count = smtp_session_output(r->s, r->iov, SMTP_OUT_MIN, pending,
					   r->now_ms);
	if (r->iov_count == 0)
		return false;
	for (r->batch_len = 0, i = 0; i < r->iov_count; i++) {
		if (r->batch_len + r->iov[i].iov_len > sizeof(r->batch)) {
			wrong(r, "a batch over the limit");
			return true;
		}
		memcpy(r->batch + r->batch_len, r->iov[i].iov_base,
		       r->iov[i].iov_len);
		r->batch_len += r->iov[i].iov_len;
	}
	r->tally->batches++;
	r->lent = true;
	note_batch(r);
	judge_batch(&r->judge, r->batch, r->batch_len, pending, r->now_ms);
	if (r->c->stuck && r->judge.sent > before &&
	    r->judge.items[before].slot == AT_DOT) {
		r->stuck = true;
		return true;
	}
	gen_server_read(&r->server, r->batch, r->batch_len, r->now_ms);
	if (!r->c->late)
		complete(r);
	return true;
}

static bool shake_hands(struct run *r)
{
	const struct gen_fault *f = gen_fault_at(r->c, AT_HANDSHAKE, 0);

	if (!r->tls || r->judge.end != END_NOT || is_due(r))
		return false;
	if (f != NULL && f->kind == 1 && f->close == CLOSE_NO)
		return false; /* it never ends */
	r->tls = false;
	r->server.hits += f != NULL;
	if (f != NULL && f->close != CLOSE_NO) {
		note(r, "! hang-up");
		judge_broke(&r->judge);
		smtp_session_eof(r->s);
	} else {
		note(r, f == NULL ? "! tls-ok" : "! tls-failed");
		judge_tls_done(&r->judge, f == NULL, r->now_ms);
		gen_server_tls(&r->server);
		smtp_session_tls_done(r->s, f == NULL, r->now_ms);
	}
	drain(r);
	return true;
}

/* --- what the server does --------------------------------------------- */

static void hang_up(struct run *r)
{
	note(r, "! hang-up");
	r->server.head = r->server.tail;
	r->server.mute = true;
	judge_broke(&r->judge);
	smtp_session_eof(r->s);
	drain(r);
}

/* Has a reset come, although there are octets in front of it? */
static bool is_reset(const struct run *r)
{
	unsigned i;

	for (i = r->server.head; i != r->server.tail; i++) {
		const struct gen_push *p = &r->server.push[i % GEN_PUSHES];

		if (p->at_ms > r->now_ms)
			return false;
		if (p->type == PUSH_RESET)
			return true;
	}
	return false;
}

static void feed(struct run *r, const char *p, size_t len)
{
	size_t at = 0;

	note_server(r, p, len);
	r->tally->replies += memchr(p, '\n', len) != NULL;
	judge_octets(&r->judge, p, len, r->now_ms);
	while (at < len && !r->closed) {
		at += smtp_session_input(r->s, p + at, len - at, r->now_ms);
		drain(r);
	}
}

static bool arrive(struct run *r)
{
	struct gen_push *p = &r->server.push[r->server.head % GEN_PUSHES];
	uint32_t at, n;

	if (!is_due(r))
		return false;
	if (p->type != PUSH_OCTETS || is_reset(r)) {
		hang_up(r);
		return true;
	}
	at = p->at;
	n = p->step < p->len ? p->step : p->len;
	p->at += n;
	p->len -= n;
	p->at_ms += p->gap_ms;
	if (p->len == 0)
		r->server.head++;
	feed(r, r->server.said + at, n);
	if (r->lent && !r->stuck)
		complete(r);
	return true;
}

/* Nothing can happen now: go on to where something does. */
static void pass_time(struct run *r)
{
	uint64_t deadline = smtp_session_deadline(r->s), next = deadline;
	bool idle = judge_is_ready(&r->judge) && is_quiet(r);

	r->tally->waits++;
	if (!judge_may_wait(&r->judge))
		wrong(r, "silent in state %s where it is our turn",
		      smtp_session_state_name(r->s));
	if (deadline != judge_deadline(&r->judge))
		wrong(r, "waits until %llu s, should until %llu s",
		      (unsigned long long)deadline / 1000,
		      (unsigned long long)judge_deadline(&r->judge) / 1000);
	if (idle && !r->c->late && r->judge.end == END_NOT) {
		hang_up(r);
		return;
	}
	if (!is_quiet(r) &&
	    r->server.push[r->server.head % GEN_PUSHES].at_ms < deadline)
		next = r->server.push[r->server.head % GEN_PUSHES].at_ms;
	if (next == SMTP_NEVER) {
		wrong(r, "waits for ever in state %s",
		      smtp_session_state_name(r->s));
		return;
	}
	note(r, "! wait %u", (unsigned)((next - r->now_ms) / 1000));
	r->now_ms = next;
	if (next == deadline)
		judge_broke(&r->judge);
	smtp_session_tick(r->s, r->now_ms);
	drain(r);
	if (r->lent && r->judge.end != END_NOT)
		complete(r);
	if (next == deadline && !r->closed)
		wrong(r, "goes on after its deadline");
}

/* --- a case ----------------------------------------------------------- */

/* Who has what, if the server meant what it said. */
static void check_truth(struct run *r)
{
	unsigned m, i;

	for (m = 0; m < r->given; m++) {
		if (r->done[m] != 1)
			wrong(r, "mail %u was never done", m + 1);
		for (i = 0; i < r->c->rcpts[m]; i++) {
			enum smtp_result res = r->verdict[m][i].result;

			if (r->told[m][i] != 1)
				wrong(r, "no verdict for %u/%u", m + 1, i);
			if (!r->server.honest || res == SMTP_UNSURE ||
			    (res == SMTP_ACCEPTED) == r->server.has[m][i])
				continue;
			wrong(r, "%u/%u is %s, and the server %s it", m + 1, i,
			      smtp_result_name(res),
			      r->server.has[m][i] ? "has" : "does not have");
		}
	}
}

static void play(struct run *r)
{
	unsigned steps = 0;

	drain(r);
	while (!r->closed && r->judge.wrong[0] == '\0') {
		if (++steps > STEPS_MAX)
			wrong(r, "does not end");
		else if (act(r) || shake_hands(r) || speak(r))
			continue;
		else if (arrive(r))
			continue;
		else if (r->lent && (!r->stuck || r->judge.end != END_NOT))
			complete(r);
		else
			pass_time(r);
	}
	if (r->server.ran && !r->server.strays)
		wrong(r, "lines of a message were run as commands");
	if (r->judge.wrong[0] == '\0')
		check_truth(r);
}

static void count(struct run *r)
{
	const struct gen_case *c = r->c;
	struct gen_tally *t = r->tally;
	unsigned i;

	t->cases++;
	t->by_mode[c->mode]++;
	t->hits += r->server.hits;
	t->flights += r->judge.flights;
	t->by_ahead[r->judge.most_ahead]++;
	for (i = 0; i < c->fault_count; i++) {
		t->by_slot[c->fault[i].slot]++;
		t->by_kind[c->fault[i].kind]++;
		t->by_cut[c->fault[i].cut]++;
		t->by_close[c->fault[i].close]++;
		t->by_delay[c->fault[i].delay]++;
	}
}

const char *gen_run(const struct gen_case *c, struct smtp_pool *pool,
		    struct gen_tally *tally, struct gen_outcome *came_r,
		    FILE *out)
{
	static struct run run;
	struct run *r = &run;

	memset(r, 0, offsetof(struct run, server));
	memset(&r->tally, 0,
	       offsetof(struct run, line) - offsetof(struct run, tally));
	r->c = c;
	r->tally = tally;
	r->out = out;
	r->line_len = 0;
	r->set = (struct smtp_settings){
		.hostname = SPAN("test"),
		.tls = c->tls == TLS_OFF    ? SMTP_TLS_OFF
		       : c->tls == TLS_MUST ? SMTP_TLS_MUST
					    : SMTP_TLS_MAY,
		.pipelining = c->mode != MODE_FORBIDDEN,
		.grouping = c->mode >= MODE_GROUPED,
		.chunking = c->mode == MODE_CHUNKED,
	};
	note_begin(r);
	judge_begin(&r->judge, c, 0);
	gen_server_start(&r->server, c, 0);
	r->s = smtp_session_new(&r->set, pool, 0);
	smtp_session_set_ahead(r->s, c->ahead);
	play(r);
	count(r);
	if (r->judge.wrong[0] != '\0')
		return r->judge.wrong; /* the session is left as it is */
	came_r->given = r->given;
	came_r->honest = r->server.honest;
	came_r->distrust = judge_close(&r->judge).distrust;
	memcpy(came_r->has, r->server.has, sizeof(came_r->has));
	memcpy(came_r->verdict, r->verdict, sizeof(came_r->verdict));
	smtp_session_free(&r->s);
	return NULL;
}
