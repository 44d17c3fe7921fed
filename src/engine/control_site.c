/*
 * engine/control_site.c - what sites do, and their pauses
 *
 * Each worker is asked in turn, and again while it has more sites.  A site's
 * pause is the worker's memory: it ends with the daemon.
 */
#include "engine/control_private.h"

#include <errno.h>
#include <stdio.h>
#include <sysexits.h>

/* One question to one worker: it comes back with rows added to out. */
static int ask(struct control *c, unsigned worker)
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
		[SITE_ASK_LIST] = "list",
		[SITE_ASK_PAUSE] = "pause",
		[SITE_ASK_RESUME] = "resume",
	};
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
			    "ask to list, pause or resume, by a name");
		return 0;
	}
	for (i = 0; i < c->e->workers_started; i++) {
		c->ask.at = 0;
		do {
			err = ask(c, i);
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
