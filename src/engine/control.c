/*
 * engine/control.c - the control thread
 *
 *	SIGTERM, SIGINT, a failure ─► end
 *	SIGHUP              ─► the event log is opened anew
 *	the control socket  ─► a request ─► other threads are asked ─► answer
 *
 * One request at a time.  While another thread is asked, signals and failures
 * are still minded: then the request is given up, and the daemon ends.  Who
 * asks for the pulse, which needs no other thread, has it meanwhile: a disk
 * that does not answer can be told of.
 *
 *	request	  fields
 *	status	  (none)
 *	pauses	  (none)
 *	decide	  verb tenant campaign domain ids
 *	list	  tenant campaign domain site rcpt state older_s; stage queue
 *		  slot id next: where the last answer ended
 *	show	  id
 *	pulse	  (none)
 *	site	  verb name dry which
 *	explain	  domain id
 *	trace	  site domain id for_ms max: rows come as things happen
 *	sum	  tenant campaign domain by tasks_max: then only one piece, and
 *		  its "ok" says whether there are more
 */
#include "engine/control_private.h"

#include "base/bug.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

#define RECALL_WAIT_MS 5000
#define TRACE_TURN_MS  100 /* a trace's end is this late at most */

static const struct {
	const char *verb;
	int (*answer)(struct control *c, const struct admin_request *req);
} requests[] = {
	{ "decide", control_decide }, { "explain", control_explain },
	{ "list", control_list },     { "pauses", control_pauses },
	{ "pulse", control_pulse },   { "show", control_show },
	{ "site", control_site },     { "status", control_status },
	{ "sum", control_sum },       { "trace", control_trace },
};

int control_open(struct engine *e, char *words, size_t words_size,
		 struct control **control_r)
{
	struct control *c = calloc(1, sizeof(*c));
	char path[256];
	int err;

	if (c == NULL)
		return -ENOMEM;
	c->e = e;
	c->signals = -1;
	c->started_ms = clock_now_ms();
	snprintf(path, sizeof(path), "%s/control.sock", e->set->runtime);
	err = admin_server_open(path, words, words_size, &c->server);
	if (err < 0) {
		free(c);
		return err;
	}
	*control_r = c;
	return 0;
}

void control_close(struct control **control)
{
	struct control *c = *control;

	*control = NULL;
	if (c == NULL)
		return;
	admin_server_close(&c->server);
	free(c);
}

/* Signals that came are obeyed; those that end us set ending. */
static void obey(struct control *c)
{
	struct signalfd_siginfo s;

	while (read(c->signals, &s, sizeof(s)) == (ssize_t)sizeof(s)) {
		if (s.ssi_signo == SIGHUP)
			reporter_reopen(&c->e->reporter);
		else
			c->ending = true;
	}
}

/* --- asking other threads -------------------------------------------------- */

/* Others, while a request waits for another thread. */
static void serve_aside(struct control *c)
{
	struct admin_request *req;

	admin_server_turn(c->server, clock_now_ms());
	while ((req = admin_server_aside(c->server, SPAN("pulse"))) != NULL) {
		(void)control_pulse(c, req);
		admin_server_answered(c->server, clock_now_ms());
	}
}

/* Between bell_doze() and here all was looked at: wait. */
static int wait_for_bell(struct control *c)
{
	struct pollfd p[3] = {
		{ .fd = c->signals, .events = POLLIN },
		{ .fd = c->e->bell.fd, .events = POLLIN },
		{ .fd = admin_server_fd(c->server), .events = POLLIN },
	};
	char words[256] = "";

	if (engine_failure(c->e, words, sizeof(words)) < 0) {
		c->ending = true;
		return -ECANCELED;
	}
	poll(p, 3, 1000);
	bell_wait(&c->e->bell, 0);
	obey(c);
	pulse_beat(&c->pulse, c->e, clock_now_ms());
	if (!c->ending)
		serve_aside(c);
	return c->ending ? -ECANCELED : 0;
}

int control_take(struct control *c, struct lane *lane, void *to, size_t size)
{
	const void *p;
	size_t len;
	int err;

	c->asked_ms = clock_now_ms();
	for (;;) {
		bell_doze(&c->e->bell);
		p = lane_peek(lane, &len);
		if (p != NULL)
			break;
		err = wait_for_bell(c);
		if (err < 0)
			return err;
	}
	bell_awake(&c->e->bell);
	c->asked_ms = 0;
	BUG_ON(len != size);
	memcpy(to, p, size);
	lane_consume(lane);
	return 0;
}

static bool all_obeyed(struct engine *e, uint64_t number)
{
	unsigned i;

	for (i = 0; i < e->workers_started; i++)
		if (atomic_load(&e->workers[i].recalls) < number)
			return false;
	return true;
}

int control_recalled(struct control *c, uint64_t number)
{
	uint64_t end = clock_now_ms() + RECALL_WAIT_MS;
	int err;

	for (;;) {
		bell_doze(&c->e->bell);
		if (all_obeyed(c->e, number) || clock_now_ms() >= end)
			break;
		err = wait_for_bell(c);
		if (err < 0)
			return err;
	}
	bell_awake(&c->e->bell);
	return 0;
}

int control_job(struct control *c, void (*fn)(struct queue *q, void *arg),
		void *arg)
{
	struct storer *st = &c->e->storer;
	struct storer_job *job = lane_reserve(&st->jobs, sizeof(*job));
	char done;

	BUG_ON(job == NULL); /* one is out at a time */
	*job = (struct storer_job){ .run = fn, .arg = arg };
	lane_publish(&st->jobs);
	return control_take(c, &st->jobs_done, &done, 1);
}

/* --- the loop -------------------------------------------------------------- */

static int answer(struct control *c, const struct admin_request *req)
{
	size_t i;

	for (i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		if (span_eq(req->rec.verb, span_str(requests[i].verb)))
			return requests[i].answer(c, req);
	admin_error(req->out, EX_USAGE, "the daemon does not know this");
	return 0;
}

/* When the daemon ends with a request under way, that stays in hand until the
 * threads that may be at it have ended; then its peer sees the end. */
static void serve(struct control *c)
{
	struct admin_request *req;

	admin_server_turn(c->server, clock_now_ms());
	while (!c->ending && (req = admin_server_next(c->server)) != NULL)
		if (answer(c, req) == 0)
			admin_server_answered(c->server, clock_now_ms());
	if (!c->ending)
		(void)control_trace_turn(c); /* fails with the daemon */
}

int control_run(struct control *c, int signals, char *words, size_t words_size)
{
	struct pollfd p[3] = {
		{ .fd = signals, .events = POLLIN },
		{ .fd = c->e->bell.fd, .events = POLLIN },
		{ .fd = admin_server_fd(c->server), .events = POLLIN },
	};
	int err;

	c->signals = signals;
	for (;;) {
		pulse_beat(&c->pulse, c->e, clock_now_ms());
		bell_doze(&c->e->bell);
		err = engine_failure(c->e, words, words_size);
		if (err < 0)
			return err;
		poll(p, 3, control_traces(c) > 0 ? TRACE_TURN_MS : 1000);
		bell_wait(&c->e->bell, 0);
		obey(c);
		if (!c->ending)
			serve(c);
		if (c->ending) /* a signal, or what failed is found here */
			return engine_failure(c->e, words, words_size);
	}
}
