/*
 * cmd/probe_run.c - lookup, host after host, verdict
 *
 * Rule 9 decides as in a delivery: the next host only while nobody has
 * judged the mail (the plan says "put back").  With --all every host is
 * asked, and the first that judges still is the verdict.
 */
#include "cmd/probe.h"

#include "engine/tune.h"
#include "mtaq/smtp.h"
#include "site/site.h"

#include <stdio.h>
#include <sysexits.h>
#include <time.h>

#define NOW_S 1000000u /* plans are told as a distance from now */

/* What is known so far. */
struct so_far {
	bool decided; /* a host has judged; code and words are final */
	bool spoke;   /* some host greeted, or said why not */
	bool late;    /* --max-time ended it */
	enum local_rule rule;
	int code;
	char words[400];
};

uint64_t probe_now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

uint64_t probe_deadline_ms(const struct probe *p, uint64_t ms)
{
	uint64_t at = probe_now_us() / 1000 + ms;

	return at < p->end_ms ? at : p->end_ms;
}

static void judge(const struct probe *p, struct probe_outcome *o)
{
	struct backoff_settings backoff;
	struct plan_ask ask = {
		.verdict = &o->verdict,
		.class = &o->class,
		.now_s = NOW_S,
		.expires_s = NOW_S + p->set.age_limit_s,
		.any_accepted = false,
		.again = 1,
	};

	tune_backoff(&p->set, &backoff);
	reply_classify(&o->verdict, p->provider, &o->class);
	if (o->rule != LOCAL_NONE)
		plan_local(&backoff, &ask, o->rule, &o->plan);
	else
		plan_recipient(&backoff, &ask, &o->plan);
	if (o->plan.act == PLAN_RETRY)
		o->retry_s = o->plan.slot - NOW_S;
}

static int code_of(const struct probe_outcome *o)
{
	if (o->plan.act == PLAN_DELIVERED)
		return EX_OK;
	return o->plan.act == PLAN_BOUNCE ? EX_DATAERR : EX_TEMPFAIL;
}

static void decide(const struct probe *p, const struct probe_host *host,
		   const struct probe_outcome *o, struct so_far *s)
{
	struct span text = o->verdict.text, line = span_of(NULL, 0);
	char code[8] = "";

	s->decided = true;
	s->code = code_of(o);
	if (s->code == EX_OK) {
		snprintf(s->words, sizeof(s->words), "%s %s %s", host->mx->name,
			 p->message.bytes > 0 ? "has taken the message for"
					      : "takes mail for",
			 p->args->to);
		return;
	}
	(void)probe_next_line(&text, &line);
	if (o->verdict.code != 0)
		snprintf(code, sizeof(code), "%u ", o->verdict.code);
	snprintf(s->words, sizeof(s->words), "%s %s: %s%.*s", host->mx->name,
		 smtp_stage_words(o->verdict.stage), code,
		 line.len < 200 ? (int)line.len : 200,
		 line.p == NULL ? "" : line.p);
}

/* One conversation.  false: that is enough. */
static bool try_host(struct probe *p, const struct probe_host *host,
		     struct io *io, struct so_far *s)
{
	struct probe_outcome o = { .rule = LOCAL_NONE };

	if (probe_now_us() / 1000 >= p->end_ms) {
		s->late = true;
		return false;
	}
	probe_tell_host(p, host);
	probe_talk(p, host, io, &o);
	judge(p, &o);
	probe_tell_outcome(p, &o);
	p->hosts++;
	p->accepted += o.plan.act == PLAN_DELIVERED;
	s->spoke = s->spoke || o.verdict.code != 0 ||
		   o.verdict.stage > SMTP_STAGE_GREETING;
	if (o.rule != LOCAL_NONE)
		s->rule = o.rule; /* rule 24: the next host may do it */
	else if (o.plan.act != PLAN_PUT_BACK && !s->decided)
		decide(p, host, &o, s);
	return p->args->all || !s->decided;
}

static bool wanted(const struct probe *p, const struct mx_addr *a)
{
	if (p->args->ipv4)
		return a->family == 4;
	return !p->args->ipv6 || a->family == 6;
}

static void try_hosts(struct probe *p, const struct probe_found *f,
		      struct io *io, struct so_far *s)
{
	bool go = true;
	uint16_t i, j;

	for (i = 0; i < f->set->host_count && go; i++) {
		struct probe_host host = { .mx = &f->set->hosts[i],
					   .ranked =
						   strcmp(f->how, "mx") == 0 };

		for (j = 0; j < host.mx->addr_count && go; j++) {
			if (!wanted(p, &host.mx->addrs[j]))
				continue;
			io_addr_from_mx(&host.mx->addrs[j], &host.addr);
			io_addr_text(&host.addr, host.text);
			go = try_host(p, &host, io, s);
		}
	}
}

/* Nobody judged. */
static void conclude(const struct probe *p, struct so_far *s)
{
	const char *words;

	if (s->rule != LOCAL_NONE) {
		s->code = EX_DATAERR;
		words = plan_local_words(s->rule);
	} else if (s->spoke) {
		s->code = EX_TEMPFAIL;
		words = "no host came as far as judging the mail; mtaq would "
			"try again when a host is back";
	} else {
		s->code = EX_UNAVAILABLE;
		words = p->hosts == 0 ? "no host has an address that may be "
					"tried"
				      : "no host answers";
	}
	if (s->late)
		words = "the time of --max-time is over";
	snprintf(s->words, sizeof(s->words), "%s", words);
}

static void find_provider(struct probe *p, const struct mxset *set)
{
	const struct site_preset *presets;
	struct site_key key;
	size_t count;

	presets = site_presets_builtin(&count);
	site_key(set, presets, count, 0, 0, &key);
	p->provider = key.preset == NULL ? NULL : key.preset->name;
}

static int run_hosts(struct probe *p, const struct probe_found *f)
{
	struct io_settings io_set = { .backend = IO_BACKEND_EPOLL,
				      .entries = 16,
				      .conns_max = 4 };
	struct so_far s = { .rule = LOCAL_NONE };
	char why[IO_WHY_MAX];
	struct io *io;
	size_t used;

	if (io_new(&io_set, why, &io) < 0) {
		fprintf(stderr, "mtaq probe: %s\n", why);
		return EX_OSERR;
	}
	find_provider(p, f->set);
	try_hosts(p, f, io, &s);
	io_free(&io);
	if (!s.decided)
		conclude(p, &s);
	used = strlen(s.words);
	if (p->args->all && p->hosts > 1)
		snprintf(s.words + used, sizeof(s.words) - used,
			 " (%u of %u hosts accept)", p->accepted, p->hosts);
	return probe_tell_end(p, s.code, s.words);
}

int probe_run(struct probe *p)
{
	struct probe_found f;
	int code;

	probe_tell_begin(p);
	if (probe_find(p, &f) < 0)
		return EX_OSERR;
	probe_tell_found(p, &f);
	if (f.rule == LOCAL_NONE)
		code = run_hosts(p, &f);
	else
		code = probe_tell_end(
			p, f.rule == LOCAL_DNS ? EX_TEMPFAIL : EX_DATAERR,
			plan_local_words(f.rule));
	mxset_unref(&f.set);
	return code;
}
