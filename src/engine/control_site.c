/*
 * engine/control_site.c - what sites do, their pauses, and why mail waits
 *
 * "site": each worker is asked in turn, and again while it has more sites.  A
 * site's pause is the worker's memory: it ends with the daemon.
 *
 * "explain": the store says where a domain's mail goes, the worker of that
 * site what binds there, and all workers which sessions carry a message.
 */
#include "engine/control_private.h"

#include "base/msgid.h"

#include <errno.h>
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

int control_site(struct control *c, const struct admin_request *req)
{
	unsigned i;
	int err;

	if (!read_ask(c, req)) {
		admin_error(req->out, EX_USAGE,
			    "ask to list, show, pause, resume or retry, by "
			    "a name");
		return 0;
	}
	for (i = 0; i < c->e->workers_started; i++) {
		c->ask.at = 0;
		do {
			err = control_ask(c, i);
			if (err < 0)
				return err;
		} while (c->ask.more);
	}
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
