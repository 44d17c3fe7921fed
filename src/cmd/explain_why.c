/*
 * cmd/explain_why.c - one sentence: why does it wait?
 *
 * The first reason that fits is the answer; they stand in the order in which
 * they keep mail from going: no way there, an operator, nothing queued, a
 * time that has not come, a limit.
 */
#include "cmd/explain.h"

#include "site/site.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

void explain_when(uint64_t in_s, char *words, size_t size)
{
	time_t now = time(NULL), at = now + (time_t)in_s;
	char clock[40];
	struct tm tm;

	(void)localtime_r(&at, &tm);
	(void)strftime(clock, sizeof(clock),
		       in_s < 43200 ? "%H:%M:%S" : "%Y-%m-%d %H:%M", &tm);
	snprintf(words, size, "%s (in %s)", clock, human_time(in_s).text);
}

static void __attribute__((format(printf, 3, 4)))
answer(struct explain_domain *d, const char *reason, const char *fmt, ...)
{
	va_list ap;

	d->reason = reason;
	va_start(ap, fmt);
	(void)vsnprintf(d->answer, sizeof(d->answer), fmt, ap);
	va_end(ap);
}

/* A text of a row as a C string: rows hold what servers say. */
static const char *text(const struct admin_record *rec, const char *key,
			char *to, size_t size)
{
	struct span s = rec == NULL ? SPAN("") : admin_text_of(rec, key);

	snprintf(to, size, "%.*s", (int)s.len, s.len > 0 ? s.p : "");
	return to;
}

static uint64_t number(const struct admin_record *rec, const char *key)
{
	return rec == NULL ? 0 : admin_number_of(rec, key);
}

static bool is(const struct admin_record *rec, const char *key,
	       const char *value)
{
	return rec != NULL && span_eq(admin_text_of(rec, key), span_str(value));
}

/* --- a domain -------------------------------------------------------------- */

/* What is known of the way, from the daemon or else from the resolver. */
static bool no_way(struct explain_domain *d, const struct admin_record *route)
{
	char why[200], when[80];

	if (number(route, "known") == 0) {
		if (number(route, "asking") == 0)
			return false;
		answer(d, "dns",
		       "Waiting: the resolver has been asked for the mail "
		       "hosts of %s and has not answered yet; %llu messages "
		       "stand by",
		       d->name, (unsigned long long)number(route, "parked"));
		return true;
	}
	text(route, "why", why, sizeof(why));
	if (is(route, "status", "ok"))
		return false;
	if (is(route, "status", "tempfail")) {
		explain_when(number(route, "expires_in_s"), when, sizeof(when));
		answer(d, "dns",
		       "Waiting: the resolver cannot say where mail for %s "
		       "goes (%s); asked again at %s, no attempt is charged",
		       d->name, why, when);
		return true;
	}
	answer(d, "no-route", "Bouncing: mail for %s cannot be delivered: %s",
	       d->name, why);
	return true;
}

/* An operator's pause of the whole domain, or of where its mail goes. */
static bool is_paused(const struct explain *x, struct explain_domain *d,
		      struct span site)
{
	const struct admin_record *rule;
	struct span name;
	size_t at;

	for (at = 0; at < x->rows.count; at++) {
		rule = &x->rows.rows[at];
		if (!span_eq(rule->verb, SPAN("pause")))
			continue;
		name = admin_text_of(rule, "site");
		if (name.len > 0 && span_eq_nocase(name, site)) {
			answer(d, "operator",
			       "Paused: an operator paused the site %.*s %s "
			       "ago (`mtaq site resume`)",
			       (int)name.len, name.p,
			       human_time(number(rule, "age_s")).text);
			return true;
		}
		if (!is(rule, "domain", d->name) ||
		    admin_text_of(rule, "tenant").len > 0 ||
		    admin_text_of(rule, "campaign").len > 0)
			continue;
		answer(d, "operator",
		       "Paused: an operator paused the domain %s %s ago",
		       d->name, human_time(number(rule, "age_s")).text);
		return true;
	}
	return false;
}

static const char *last_words(const struct explain_domain *d, char *to,
			      size_t size)
{
	size_t at;
	uint64_t age, least = UINT64_MAX;

	to[0] = '\0';
	for (at = 0; at < d->rows.count; at++) {
		if (!span_eq(d->rows.rows[at].verb, SPAN("host")))
			continue;
		age = number(&d->rows.rows[at], "reply_age_s");
		if (admin_text_of(&d->rows.rows[at], "reply").len > 0 &&
		    age < least) {
			least = age;
			text(&d->rows.rows[at], "reply", to, size);
		}
	}
	return to;
}

static void dead(struct explain_domain *d, const struct admin_record *site)
{
	char name[256], why[200], when[80];

	text(site, "site", name, sizeof(name));
	explain_when(number(site, "again_in_s"), when, sizeof(when));
	answer(d, "dead",
	       "Waiting: the site %s is parked until %s, because no host of it "
	       "takes mail (last: %s); then one is probed, and no attempt is "
	       "charged meanwhile",
	       name, when, last_words(d, why, sizeof(why)));
}

/* The daemon's word for a limit, as one that stays. */
static const char *limit_reason(const char *name)
{
	static const char *const others[] = { "stopping", "disk", "outcomes",
					      "descriptors", "tenant" };
	size_t i;

	for (i = 0; i < SITE_LIMIT_COUNT; i++)
		if (strcmp(name, site_limit_name((enum site_limit)i)) == 0)
			return site_limit_name((enum site_limit)i);
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strcmp(name, others[i]) == 0)
			return others[i];
	return "other";
}

/* A limit that keeps new sessions from opening; mail may be flowing over
 * those that are open. */
static void limited(struct explain_domain *d, const struct admin_record *site)
{
	char name[256], words[200], why[200], when[80] = "", limit[32];
	uint64_t until = number(site, "limit_in_s");
	uint64_t busy = number(site, "busy");
	bool said;

	text(site, "site", name, sizeof(name));
	text(site, "limit_words", words, sizeof(words));
	text(site, "limit", limit, sizeof(limit));
	text(site, "why", why, sizeof(why));
	if (until > 0)
		explain_when(until, when, sizeof(when));
	said = strcmp(limit, "reply") == 0 || strcmp(limit, "crowded") == 0;
	answer(d, limit_reason(limit),
	       "%s: at the site %s, messages waiting: %llu, sessions busy: %llu "
	       "of %llu; what binds is: %s%s%s%s%s%s",
	       busy > 0 ? "Being delivered" : "Waiting", name,
	       (unsigned long long)number(site, "tasks"),
	       (unsigned long long)busy,
	       (unsigned long long)number(site, "sessions"), words,
	       said ? " (it said: " : "", said ? why : "", said ? ")" : "",
	       until > 0 ? ", until " : "", when);
}

static void not_due(struct explain_domain *d)
{
	char when[80];

	explain_when(d->due_in_s, when, sizeof(when));
	answer(d, "deferred",
	       "Waiting for the next attempt (recipients: %llu), the first at "
	       "%s",
	       (unsigned long long)d->deferred, when);
}

static void nothing_queued(struct explain_domain *d)
{
	if (d->held > 0)
		answer(d, "held",
		       "Held until released or cancelled: %llu of its recipients (`mtaq queue release --domain %s`)",
		       (unsigned long long)d->held, d->name);
	else
		answer(d, "idle", "Nothing is queued for %s", d->name);
}

static void without_daemon(struct explain_domain *d)
{
	const struct mxset *set = d->found.set;

	if (set == NULL)
		answer(d, "no-daemon",
		       "No daemon answers: what is queued for %s is not known",
		       d->name);
	else if (set->status == MX_OK)
		answer(d, "no-daemon",
		       "No daemon answers, so nothing is delivered; mail for "
		       "%s would go to %u host%s",
		       d->name, set->host_count,
		       set->host_count == 1 ? "" : "s");
	else
		answer(d, "no-daemon",
		       "No daemon answers; mail for %s could not go anywhere: "
		       "%s",
		       d->name, set->why);
}

void explain_why_domain(const struct explain *x, struct explain_domain *d)
{
	const struct admin_record *route = kept_find(&d->rows, "route");
	const struct admin_record *site = kept_find(&d->rows, "site");

	if (!x->daemon)
		without_daemon(d);
	else if (no_way(d, route) ||
		 is_paused(x, d, admin_text_of(route, "site")))
		return;
	else if (d->waiting == 0)
		nothing_queued(d);
	else if (is(site, "limit", "dead"))
		dead(d, site);
	else if (number(site, "tasks") + number(site, "running") == 0 && d->due)
		not_due(d);
	else if (site != NULL)
		limited(d, site);
	else
		answer(d, "queued",
		       "Queued, not yet with a site (recipients: %llu)",
		       (unsigned long long)d->waiting);
}

/* --- a message ------------------------------------------------------------- */

static void __attribute__((format(printf, 3, 4)))
say(struct explain *x, const char *reason, const char *fmt, ...)
{
	va_list ap;

	x->reason = reason;
	va_start(ap, fmt);
	(void)vsnprintf(x->answer, sizeof(x->answer), fmt, ap);
	va_end(ap);
}

static void schedule(const struct explain *x, uint64_t attempts, char *words,
		     size_t size)
{
	const struct settings_times *retry = &x->o->set.retry;
	uint64_t at = attempts == 0 ? 0 : attempts - 1;

	if (at >= retry->count)
		at = retry->count - 1;
	snprintf(words, size,
		 "the schedule: %s \302\261 20 %% after attempt %llu (rule 31)",
		 human_time(retry->items_s[at]).text,
		 (unsigned long long)attempts);
}

void explain_rule(const struct explain *x, const struct admin_record *row,
		  const struct history_rcpt *last, char *words, size_t size)
{
	const struct settings *set = &x->o->set;

	words[0] = '\0';
	if (!is(row, "state", "deferred"))
		return;
	if (last != NULL && strcmp(last->type, "unsure") == 0) {
		snprintf(words, size,
			 "the server may have the mail: alone, not before %s, "
			 "doubling (rule 17)",
			 human_time(set->unsure.first_s).text);
	} else if (last != NULL && strcmp(last->class, "greylist") == 0) {
		snprintf(words, size,
			 "greylisting: %s + jitter at least (rule 31)",
			 human_time(set->greylist_s).text);
	} else if (last != NULL && strcmp(last->class, "mailbox-full") == 0) {
		snprintf(words, size,
			 "the mailbox is full: not before %s (rule 31)",
			 human_time(set->mailbox_full_s).text);
	} else {
		schedule(x, number(row, "attempts"), words, size);
	}
}

static void finished(struct explain *x)
{
	const struct history *h = &x->history;
	const struct history_rcpt *r = h->rcpts;
	uint32_t i, final = 0;

	for (i = 0; i < h->count; i++)
		final += h->rcpts[i].final;
	if (h->count == 0 && kept_find(&x->rows, "message") != NULL)
		say(x, "finished",
		    "Finished: none of its recipients is queued any more; how "
		    "it ended does not stand in the newest %llu MiB of the "
		    "event log",
		    (unsigned long long)(h->bytes >> 20));
	else if (h->count == 0)
		say(x, x->daemon ? "unknown" : "no-daemon",
		    "%s: no message of this id %s; %s%s has nothing of it in "
		    "the %llu MiB that were searched",
		    x->id, x->daemon ? "is queued" : "can be asked for",
		    h->err < 0 ? "the event log cannot be read, " : "",
		    x->o->set.log.events[0] == '\0' ? "no event log"
						    : x->o->set.log.events,
		    (unsigned long long)(h->bytes >> 20));
	else if (!x->daemon && final < h->count)
		say(x, "no-daemon",
		    "No daemon answers: by the event log %u of %u recipients "
		    "are not settled",
		    h->count - final, h->count);
	else if (h->count == 1)
		say(x, r->final ? "finished" : "unknown",
		    "%s: %s to %s at %s%s%s",
		    r->final ? "Finished" : "Not queued; last", r->type, r->to,
		    r->time, r->host[0] == '\0' ? "" : " by ", r->host);
	else
		say(x, "finished", "Finished, all of its recipients: %u",
		    final);
}

static void in_flight(struct explain *x, const struct admin_record *flight)
{
	char host[256], stage[40];

	say(x, "sending",
	    "Being sent: session %llu with %s, recipients: %llu, %s",
	    (unsigned long long)number(flight, "session"),
	    text(flight, "host", host, sizeof(host)),
	    (unsigned long long)number(flight, "recipients"),
	    text(flight, "stage", stage, sizeof(stage)));
}

/* The row that is tried first; NULL: all are held. */
static const struct admin_record *first_due(const struct explain *x)
{
	const struct admin_record *best = NULL;
	size_t at;

	for (at = 0; at < x->rows.count; at++) {
		if (!span_eq(x->rows.rows[at].verb, SPAN("row")) ||
		    is(&x->rows.rows[at], "state", "held") ||
		    is(&x->rows.rows[at], "state", "damaged"))
			continue;
		if (best == NULL || number(&x->rows.rows[at], "due_in_s") <
					    number(best, "due_in_s"))
			best = &x->rows.rows[at];
	}
	return best;
}

static void waiting(struct explain *x, const struct admin_record *row)
{
	const struct history_rcpt *last =
		history_find(&x->history, (uint32_t)number(row, "rcpt"));
	char when[80], rule[200], campaign[256];
	uint32_t i;

	if (is(row, "state", "paused")) {
		say(x, "operator",
		    "Paused: an operator's pause holds it (campaign %s); "
		    "`mtaq campaign resume` ends it",
		    text(row, "campaign", campaign, sizeof(campaign)));
		return;
	}
	if (is(row, "state", "deferred")) {
		explain_when(number(row, "due_in_s"), when, sizeof(when));
		explain_rule(x, row, last, rule, sizeof(rule));
		say(x, "deferred", "Waiting for attempt %llu at %s: %s",
		    (unsigned long long)number(row, "attempts") + 1, when,
		    rule);
		return;
	}
	for (i = 0; i < x->domain_count; i++)
		if (is(row, "domain", x->domains[i].name)) {
			say(x, x->domains[i].reason, "%s",
			    x->domains[i].answer);
			return;
		}
	say(x, "queued", "Queued, not yet tried");
}

void explain_why_message(struct explain *x)
{
	const struct admin_record *flight = kept_find(&x->rows, "flight");
	const struct admin_record *row = first_due(x);

	if (kept_find(&x->rows, "row") == NULL)
		finished(x);
	else if (flight != NULL)
		in_flight(x, flight);
	else if (row != NULL)
		waiting(x, row);
	else
		say(x, "held",
		    "Held: it waits until it is released or cancelled (`mtaq "
		    "queue release %s`)",
		    x->id);
}
