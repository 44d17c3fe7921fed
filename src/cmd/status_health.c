/*
 * cmd/status_health.c - what is wrong, and what to do about it
 */
#include "base/bug.h"
#include "cmd/human.h"
#include "cmd/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define SITES_TOLD   3u /* of a kind; the others are counted */
#define SLOW_SYNC_US 100000u
#define GIB          (UINT64_C(1) << 30)

const char *severity_name(enum severity severity)
{
	static const char *const names[] = { [SEVERITY_NOTE] = "note",
					     [SEVERITY_WARNING] = "warning",
					     [SEVERITY_ALARM] = "alarm" };

	BUG_ON((unsigned)severity > SEVERITY_ALARM);
	return names[severity];
}

/* The next problem; its words are to be printed into it. */
static struct problem *add(struct status *s, enum severity severity,
			   const char *todo)
{
	static struct problem over;
	struct problem *p = &over;

	if (s->problem_count < STATUS_PROBLEMS_MAX)
		p = &s->problems[s->problem_count++];
	else
		s->problems_more++;
	p->severity = severity;
	snprintf(p->todo, sizeof(p->todo), "%s", todo);
	return p;
}

#define SAY(p, ...) snprintf((p)->what, sizeof((p)->what), __VA_ARGS__)

static void check_disk(struct status *s)
{
	uint64_t free_bytes = status_number(s, "disk_free");
	uint64_t min = status_number(s, "disk_min_free");
	struct span spool = status_text(s, "spool");
	struct problem *p;

	if (status_number(s, "out_of_room") != 0) {
		p = add(s, SEVERITY_ALARM,
			"free space there; deliveries go on by themselves");
		SAY(p,
		    "the disk is full: no delivery begins, since its "
		    "outcome would find no room in %.*s",
		    (int)spool.len, spool.p);
	} else if (free_bytes < min) {
		p = add(s, SEVERITY_ALARM,
			"free space there, or set min_free lower; it is taken "
			"again by itself");
		SAY(p,
		    "new mail is put off (452 4.3.1): %.*s has %s free, "
		    "less than min_free (%s)",
		    (int)spool.len, spool.p, human_bytes(free_bytes).text,
		    human_bytes(min).text);
	} else if (free_bytes < 2 * min) {
		p = add(s, SEVERITY_WARNING, "free space there");
		SAY(p, "%.*s has %s free; below %s new mail is put off",
		    (int)spool.len, spool.p, human_bytes(free_bytes).text,
		    human_bytes(min).text);
	}
}

/* Neither thread has anything to wait for but the disk (or a processor). */
static void check_answers(struct status *s)
{
	uint64_t sync = status_number(s, "sync_waits_ms");
	uint64_t store = status_number(s, "store_waits_ms");
	uint64_t control = status_number(s, "control_waits_ms");
	static const char todo[] =
		"look at the disk (dmesg, iostat -x 1); nothing is lost, and "
		"mtaq goes on by itself when it answers";

	if (sync >= KEPT_STANDS_MS)
		SAY(add(s, SEVERITY_ALARM, todo),
		    "the disk does not answer: an fdatasync of the log has "
		    "taken %s so far; new mail and outcomes wait for it",
		    human_time(sync / 1000).text);
	if (store >= KEPT_STANDS_MS)
		SAY(add(s, SEVERITY_ALARM, todo),
		    "the store has been at one step for %s: the disk does not "
		    "answer, or the processors are taken; nothing new is "
		    "handed to the workers",
		    human_time(store / 1000).text);
	if (control >= KEPT_STANDS_MS)
		SAY(add(s, SEVERITY_WARNING,
			"it is answered, or carried out, when that is over"),
		    "another command has waited for %s; until it is over only "
		    "this can be told",
		    human_time(control / 1000).text);
}

static void check_own(struct status *s)
{
	struct span own = status_text(s, "own_trouble");

	if (own.len > 0)
		SAY(add(s, SEVERITY_WARNING,
			"mend it; no host is blamed for it, and mail goes on "
			"by itself"),
		    "this machine: %.*s", (int)own.len, own.p);
}

static void check_clock(struct status *s)
{
	struct span clock = status_text(s, "clock");

	if (clock.len > 0 && !span_eq(clock, SPAN("ok")))
		SAY(add(s, SEVERITY_WARNING,
			"set the machine's clock; mail's ages go by a clock "
			"of mtaq's own"),
		    "the clock: %.*s", (int)clock.len, clock.p);
}

static void check_log(struct status *s)
{
	uint64_t p99 = status_number(s, "sync_p99_us");
	struct span events = status_text(s, "events");
	struct problem *p;

	if (status_number(s, "events_failing") != 0) {
		p = add(s, SEVERITY_ALARM,
			"make it writable; nothing is lost, events wait in "
			"the spool");
		SAY(p, "the event log cannot be written: %.*s", (int)events.len,
		    events.p);
	}
	if (status_number(s, "index_failing") != 0) {
		p = add(s, SEVERITY_ALARM,
			"make room in the spool, or raise "
			"queue.index_bytes_max; nothing is lost, the log "
			"keeps what the index lacks");
		SAY(p, "the index cannot be written: %s",
		    strerrordesc_np(ENOSPC));
	}
	if (status_number(s, "damaged") != 0) {
		struct span damage = status_text(s, "damage");

		p = add(s, SEVERITY_ALARM,
			"mtaq verify tells more; look at the disk");
		SAY(p, "%s places of the log are damaged: %.*s",
		    human_count(status_number(s, "damaged")).text,
		    (int)damage.len, damage.p);
	}
	if (status_number(s, "log_bytes") > 2 * GIB) {
		p = add(s, SEVERITY_WARNING, "a faster disk, or less at once");
		SAY(p,
		    "submissions are slowed: %s of log are not in the "
		    "index yet",
		    human_bytes(status_number(s, "log_bytes")).text);
	}
	if (p99 > SLOW_SYNC_US) {
		p = add(s, SEVERITY_WARNING,
			"a disk with a cache that survives a power cut; see "
			"who else writes (iostat -x 1)");
		SAY(p,
		    "the disk is slow: 1 of 100 fdatasync calls takes over "
		    "%s",
		    human_us(p99).text);
	}
}

/* Of the last minute: that is how it should be. */
static uint64_t greylisted(const struct status *s)
{
	size_t i;

	for (i = 0; i < s->rows.count; i++)
		if (span_eq(admin_text_of(&s->rows.rows[i], "reason"),
			    SPAN("greylist")))
			return admin_number_of(&s->rows.rows[i],
					       "minute_deferred");
	return 0;
}

static void check_mail(struct status *s)
{
	uint64_t delivered = status_number(s, "minute_delivered");
	uint64_t deferred = status_number(s, "minute_deferred") - greylisted(s);
	uint64_t bounced = status_number(s, "minute_bounced");
	struct problem *p;

	if (status_number(s, "dns_timeouts") > 0 &&
	    status_number(s, "dns_asking") > 0 && delivered == 0) {
		p = add(s, SEVERITY_WARNING,
			"dig MX of a domain at the servers of dns.servers");
		SAY(p,
		    "%s domains wait for DNS, and some queries had no "
		    "answer",
		    human_count(status_number(s, "dns_asking")).text);
	}
	if (bounced > 20 && bounced > delivered) {
		p = add(s, SEVERITY_WARNING,
			"look at the replies (event log, type bounced) before "
			"more goes out");
		SAY(p,
		    "more mail bounces than is delivered: %s against %s "
		    "in the last minute",
		    human_count(bounced).text, human_count(delivered).text);
	}
	if (deferred > 100 && deferred > 4 * delivered) {
		p = add(s, SEVERITY_WARNING,
			"see below why, and mtaq site list");
		SAY(p,
		    "most attempts are put off: %s, and %s delivered, in "
		    "the last minute",
		    human_count(deferred).text, human_count(delivered).text);
	}
	if (status_number(s, "held") > 0) {
		p = add(s, SEVERITY_NOTE,
			"mtaq queue list --state held; mtaq queue release");
		SAY(p, "%s recipients are held until somebody decides",
		    human_count(status_number(s, "held")).text);
	}
}

/* --- sites, pauses --------------------------------------------------------- */

static int by_tasks(const void *a, const void *b)
{
	uint64_t x = admin_number_of(a, "tasks"),
		 y = admin_number_of(b, "tasks");

	return (x < y) - (x > y);
}

static void tell_site(struct status *s, const struct admin_record *r)
{
	struct span name = admin_text_of(r, "site");
	struct span why = admin_text_of(r, "why");
	struct span state = admin_text_of(r, "state");
	struct problem *p = add(s, SEVERITY_WARNING, "");

	if (why.len == 0)
		why = admin_text_of(r, "last");
	SAY(p, "site %.*s is %.*s, tasks waiting: %s; tried again in %s%s%.*s",
	    (int)name.len, name.p, (int)state.len, state.p,
	    human_count(admin_number_of(r, "tasks")).text,
	    human_time(admin_number_of(r, "again_in_s")).text,
	    why.len > 0 ? ": " : "", (int)(why.len < 200 ? why.len : 200),
	    why.p == NULL ? "" : why.p);
	snprintf(p->todo, sizeof(p->todo),
		 "mtaq site retry %.*s when it works again", (int)name.len,
		 name.p);
}

static void check_sites(struct status *s, const char *state)
{
	size_t i, n = 0;

	for (i = 0; i < s->trouble.count; i++) {
		const struct admin_record *r = &s->trouble.rows[i];

		if (!span_eq(admin_text_of(r, "state"), span_str(state)) ||
		    admin_number_of(r, "tasks") == 0)
			continue;
		if (n++ < SITES_TOLD)
			tell_site(s, r);
	}
	if (n > SITES_TOLD)
		SAY(add(s, SEVERITY_WARNING, "mtaq site list tells all"),
		    "%s more sites are %s", human_count(n - SITES_TOLD).text,
		    state);
}

static uint64_t tasks_at(const struct status *s, struct span site)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < s->trouble.count; i++)
		if (span_eq_nocase(site,
				   admin_text_of(&s->trouble.rows[i], "site")))
			n += admin_number_of(&s->trouble.rows[i], "tasks");
	return n;
}

static void tell_site_pause(struct status *s, const struct admin_record *r)
{
	struct span name = admin_text_of(r, "site");
	struct problem *p = add(s, SEVERITY_NOTE, "");

	SAY(p, "paused for %s: site %.*s, tasks waiting: %s",
	    human_time(admin_number_of(r, "age_s")).text, (int)name.len, name.p,
	    human_count(tasks_at(s, name)).text);
	snprintf(p->todo, sizeof(p->todo), "mtaq site resume %.*s",
		 (int)name.len, name.p);
}

static void tell_pause(struct status *s, const struct admin_record *r)
{
	static const char *const keys[] = { "tenant", "campaign", "domain" };
	char words[300] = "";
	struct span w;
	size_t i, at = 0;
	struct problem *p;

	for (i = 0; i < 3; i++) {
		w = admin_text_of(r, keys[i]);
		if (w.len > 0 && at < sizeof(words))
			at += (size_t)snprintf(words + at, sizeof(words) - at,
					       "%s%s %.*s", at > 0 ? ", " : "",
					       keys[i], (int)w.len, w.p);
	}
	w = admin_text_of(r, "campaign");
	p = add(s, SEVERITY_NOTE, "");
	SAY(p, "paused for %s: %s",
	    human_time(admin_number_of(r, "age_s")).text,
	    at > 0 ? words : "all mail");
	if (w.len > 0)
		snprintf(p->todo, sizeof(p->todo), "mtaq campaign resume %.*s",
			 (int)w.len, w.p);
}

static void check_pauses(struct status *s)
{
	size_t i, sites = 0;

	for (i = 0; i < s->rows.count; i++) {
		const struct admin_record *r = &s->rows.rows[i];

		if (!span_eq(r->verb, SPAN("pause")))
			continue;
		if (admin_text_of(r, "site").len == 0)
			tell_pause(s, r);
		else if (sites++ < SITES_TOLD)
			tell_site_pause(s, r);
	}
	if (sites > SITES_TOLD)
		SAY(add(s, SEVERITY_NOTE, "mtaq site list tells all"),
		    "%s more sites are paused",
		    human_count(sites - SITES_TOLD).text);
}

static int by_severity(const void *a, const void *b)
{
	const struct problem *x = a, *y = b;

	return (int)y->severity - (int)x->severity;
}

void status_examine(struct status *s)
{
	struct span why = status_text(s, "io_why");

	if (s->trouble.count > 0)
		qsort(s->trouble.rows, s->trouble.count,
		      sizeof(s->trouble.rows[0]), by_tasks);
	check_answers(s);
	check_disk(s);
	check_log(s);
	check_clock(s);
	check_own(s);
	check_mail(s);
	check_sites(s, "dead");
	check_sites(s, "slowed");
	check_pauses(s);
	if (why.len > 0)
		SAY(add(s, SEVERITY_NOTE, ""), "%.*s", (int)why.len, why.p);
	qsort(s->problems, s->problem_count, sizeof(s->problems[0]),
	      by_severity);
}
