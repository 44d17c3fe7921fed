/*
 * engine/control_site.c - what sites do, their pauses, and why mail waits
 *
 * "site": each worker is asked in turn, and again while it has more sites.  A
 * pause is a rule by the site's name, in the log before any worker hears of
 * it; one whose site has no mail is a row too, else nobody would find it.
 *
 * "explain": the store says where a domain's mail goes, the worker of that
 * site what binds there, and all workers which sessions carry a message.
 */
#include "engine/control_private.h"

#include "base/msgid.h"
#include "engine/site_row.h"
#include "site/site.h"

#include <stdio.h>
#include <sysexits.h>

int control_ask(struct control *c, unsigned worker)
{
	struct site_ask **to = lane_reserve(&c->e->asks[worker], sizeof(*to));
	struct site_ask *back;

	*to = &c->ask;
	lane_publish(&c->e->asks[worker]);
	return control_take(c, &c->e->asks_back[worker], &back, sizeof(back));
}

static bool read_ask(struct control *c, const struct admin_request *req)
{
	static const char *const verbs[] = {
		[SITE_ASK_LIST] = "list",   [SITE_ASK_SHOW] = "show",
		[SITE_ASK_PAUSE] = "pause", [SITE_ASK_RESUME] = "resume",
		[SITE_ASK_RETRY] = "retry",
	};
	static const char *const whiches[] = {
		[SITE_WHICH_ALL] = "",
		[SITE_WHICH_BUSY] = "busy",
		[SITE_WHICH_TROUBLE] = "trouble",
	};
	struct span which = admin_text_of(&req->rec, "which");
	struct span verb = admin_text_of(&req->rec, "verb");
	struct span name = admin_text_of(&req->rec, "name");
	unsigned i;

	c->ask = (struct site_ask){
		.paused = &c->pauses,
		.dry = admin_number_of(&req->rec, "dry") != 0,
		.out = req->out,
	};
	if (name.len >= sizeof(c->ask.name))
		return false;
	snprintf(c->ask.name, sizeof(c->ask.name), "%.*s", (int)name.len,
		 name.p == NULL ? "" : name.p);
	for (i = 0; i < 3; i++)
		if (span_eq(which, span_str(whiches[i])))
			c->ask.which = i;
	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (span_eq(verb, span_str(verbs[i]))) {
			c->ask.verb = i;
			return i == SITE_ASK_LIST || name.len > 0;
		}
	return false;
}

/* --- pauses ---------------------------------------------------------------- */

static void look_at_pauses(struct queue *q, void *arg)
{
	struct site_pauses *p = arg;
	struct queue_decision dec;
	uint64_t lsn;
	uint32_t i;

	p->count = 0;
	for (i = 0; queue_store_decision(q, i, &lsn, &dec) == 0; i++)
		if (dec.verb == QUEUE_VERB_SITE_PAUSE &&
		    p->count < SITE_PAUSES_MAX) {
			struct site_pause_rule *r = &p->rules[p->count++];

			snprintf(r->name, sizeof(r->name), "%.*s",
				 (int)dec.site.len, dec.site.p);
			r->seen = false;
		}
}

static int read_pauses(struct control *c)
{
	return control_job(c, look_at_pauses, &c->pauses);
}

/* The rule is made or ended, if that changes anything. */
static int rule(struct control *c, const struct admin_request *req)
{
	struct span name = span_str(c->ask.name);
	bool pause = c->ask.verb == SITE_ASK_PAUSE;
	bool paused = site_pauses_find(&c->pauses, name) != NULL;
	uint64_t lsn;
	int rc;

	if (c->ask.dry || pause == paused)
		return CONTROL_MADE;
	if (pause && c->pauses.count == SITE_PAUSES_MAX) {
		admin_error(req->out, EX_UNAVAILABLE,
			    "1000 sites are paused, more cannot be: resume "
			    "some; nothing has changed");
		return CONTROL_NOT_MADE;
	}
	snprintf(c->note, sizeof(c->note), "uid=%u pid=%d", req->uid, req->pid);
	c->decision = (struct queue_decision){
		.verb = pause ? QUEUE_VERB_SITE_PAUSE : QUEUE_VERB_SITE_RESUME,
		.made_s = clock_mail_s(&c->e->clock),
		.site = name,
		.note = span_str(c->note),
	};
	rc = control_make(c, CONTROL_SITES, req->out, &lsn);
	return rc == CONTROL_MADE ? read_pauses(c) : rc;
}

static void add_absent(struct control *c, const char *name, const char *state)
{
	struct site_row row = {
		.name = name,
		.state = state,
		.limit = site_limit_name(SITE_LIMIT_OPERATOR),
		.limit_words = site_limit_words(SITE_LIMIT_OPERATOR),
		.why = "it has no mail now; a pause holds when some comes",
	};

	if (strcmp(state, "paused") != 0)
		row.limit = row.limit_words = row.why = NULL;
	site_row_add(&row, c->ask.out);
}

/* What no worker has. */
static void add_absents(struct control *c)
{
	struct span name = span_str(c->ask.name);
	const struct site_pause_rule *r;
	uint32_t i;

	if (c->ask.verb == SITE_ASK_RETRY)
		return;
	for (i = 0; i < c->pauses.count; i++) {
		r = &c->pauses.rules[i];
		if (!r->seen &&
		    (name.len == 0 || span_eq_nocase(name, span_str(r->name))))
			add_absent(c, r->name, "paused");
	}
	/* What would be paused is nowhere to be found yet. */
	if (c->ask.out->len == 0 && c->ask.verb == SITE_ASK_PAUSE)
		add_absent(c, c->ask.name, "idle");
}

/* --- sites ----------------------------------------------------------------- */

static int ask_sites(struct control *c)
{
	unsigned i;
	int err;

	for (i = 0; i < c->e->workers_started; i++) {
		c->ask.at = 0;
		do {
			err = control_ask(c, i);
			if (err < 0)
				return err;
		} while (c->ask.more);
	}
	return 0;
}

int control_site(struct control *c, const struct admin_request *req)
{
	bool ended = false;
	int rc;

	if (!read_ask(c, req)) {
		admin_error(req->out, EX_USAGE,
			    "ask to list, show, pause, resume or retry, by "
			    "a name");
		return 0;
	}
	rc = read_pauses(c);
	if (rc == 0 &&
	    (c->ask.verb == SITE_ASK_PAUSE || c->ask.verb == SITE_ASK_RESUME)) {
		ended = c->ask.verb == SITE_ASK_RESUME &&
			site_pauses_find(&c->pauses, span_str(c->ask.name)) !=
				NULL;
		rc = rule(c, req);
		if (rc == CONTROL_NOT_MADE)
			return 0;
	}
	if (rc == 0)
		rc = ask_sites(c);
	if (rc < 0)
		return rc;
	add_absents(c);
	if (req->out->len == 0 && ended)
		add_absent(c, c->ask.name, "idle");
	if (req->out->len == 0 && c->ask.name[0] != '\0')
		admin_error(req->out, EX_DATAERR,
			    "no site of this name has mail or had some of "
			    "late; `mtaq site list` names them");
	else
		admin_ok(req->out);
	return 0;
}

/* --- explain --------------------------------------------------------------- */

struct explaining {
	struct control *c;
	struct span domain;
	struct buf *out;
	bool has_site;
	unsigned worker;
	uint32_t site;
};

static void look_at_route(struct queue *q, void *arg)
{
	struct explaining *x = arg;

	(void)q;
	x->has_site = storer_explain(&x->c->e->storer, x->domain, x->out,
				     &x->worker, &x->site);
}

static int ask_flights(struct control *c, const struct admin_request *req,
		       uint64_t id)
{
	unsigned i;
	int err = 0;

	c->ask = (struct site_ask){ .verb = SITE_ASK_FLIGHTS,
				    .id = id,
				    .out = req->out };
	for (i = 0; err == 0 && i < c->e->workers_started; i++)
		err = control_ask(c, i);
	return err;
}

int control_explain(struct control *c, const struct admin_request *req)
{
	static struct explaining x; /* outlives a wait that is given up */
	struct span id = admin_text_of(&req->rec, "id");
	uint64_t number = 0;
	int err = 0;

	x = (struct explaining){ .c = c,
				 .domain = admin_text_of(&req->rec, "domain"),
				 .out = req->out };
	if (x.domain.len > 255 ||
	    (id.len > 0 && msgid_parse(id, &number) < 0)) {
		admin_error(req->out, EX_USAGE, "explain a domain, or an id");
		return 0;
	}
	if (x.domain.len > 0)
		err = control_job(c, look_at_route, &x);
	if (err == 0 && x.has_site) {
		c->ask = (struct site_ask){ .verb = SITE_ASK_SHOW,
					    .by_number = true,
					    .number = x.site,
					    .out = req->out };
		err = control_ask(c, x.worker);
	}
	if (err == 0 && id.len > 0)
		err = ask_flights(c, req, number);
	if (err == 0)
		admin_ok(req->out);
	return err;
}
