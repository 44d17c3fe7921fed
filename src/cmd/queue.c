/*
 * cmd/queue.c - mtaq queue list|show|hold|release|cancel|retry
 *
 * Whom a decision is for:
 *	ids                          these messages
 *	tenant, campaign, domain     the daemon knows what they cover
 *	site, rcpt, state, age       listed first; then by domain and id
 */
#include "cmd/commands.h"
#include "cmd/operator.h"
#include "cmd/queue_pick.h"

#include <stdio.h>
#include <sysexits.h>

static const char help[] =
	"usage: mtaq queue list [FILTER...] [--all] [--json]\n"
	"       mtaq queue show ID... [--json]\n"
	"       mtaq queue hold|release|cancel|retry ID... | FILTER... | --all "
	"[-n]\n\n"
	"list     a row for each recipient that waits: id, state, age (s), "
	"due in (s), tries,\n         size, recipient, sender\n"
	"hold     keep it, do not try it, until released\n"
	"release  try held mail again, now\n"
	"cancel   it ends as cancelled, never delivered\n"
	"retry    what waits for its next attempt is due now\n\n"
	"filters: --domain D  --tenant T  --campaign C  --site S  --rcpt "
	"ADDRESS\n         --older-than 90s|15m|2h|3d  --state "
	"queued|deferred|paused|held|damaged\n\n"
	"  -c, --config FILE  the daemon's configuration\n"
	"      --all          list: more than 1000 rows; else: the whole "
	"queue\n"
	"  -n, --dry-run      say how many it would touch, change nothing\n"
	"      --json         one JSON object a line\n\n"
	"What is being sent while a decision is made ends as it would have. "
	"--site, --rcpt,\n--state and --older-than pick from what is queued "
	"now; the others cover all that was\naccepted until now.\n\n"
	"Exit codes: 0 done (and durable), 64 usage, 65 no such message, 69 no "
	"daemon answers,\n77 no permission, 78 configuration.\n";

#define ROWS 1000 /* unless --all */

static const struct operator_column columns[] = {
	{ "id", "ID", -14 },        { "state", "STATE", -8 },
	{ "age_s", "AGE", 7 },      { "due_in_s", "DUE", 6 },
	{ "attempts", "TRIES", 5 }, { "size", "SIZE", 8 },
	{ "to", "TO", -32 },        { "from", "FROM", 0 },
	{ NULL, NULL, 0 },
};

static int list(struct operator* o)
{
	struct pick_place at = { .more = true };
	uint64_t rows = 0;

	operator_heading(o, columns);
	while (at.more && (o->all || rows < ROWS)) {
		pick_ask(o, &at);
		while (operator_next(o))
			if (rows++ < ROWS || o->all)
				operator_row(o, columns, &o->client.rec);
		if (!pick_place_next(o, &at))
			return o->code;
	}
	if (!o->all && (at.more || rows > ROWS))
		fprintf(stderr,
			"mtaq queue: the first %d rows; more with --all or a "
			"filter\n",
			ROWS);
	return EX_OK;
}

static void show_row(struct operator* o)
{
	const struct admin_record *rec = &o->client.rec;
	uint32_t i;

	if (o->json || span_eq(rec->verb, SPAN("row"))) {
		operator_row(o, columns, rec);
		return;
	}
	for (i = 0; i < rec->count; i++)
		printf("%-12.*s %.*s\n", (int)rec->fields[i].key.len,
		       rec->fields[i].key.p, (int)rec->fields[i].text.len,
		       rec->fields[i].text.p);
}

static int show(struct operator* o)
{
	struct buf *out;
	int i, code = EX_OK;

	for (i = 1; i < o->word_count; i++) {
		out = operator_request(o, "show");
		admin_text(out, "id", span_str(o->words[i]));
		operator_ask(o);
		while (operator_next(o))
			show_row(o);
		if (o->code != EX_OK)
			code = o->code;
	}
	return code;
}

static int decide_words(struct operator* o, const char *verb)
{
	struct buf *out;
	uint64_t n;
	int code = operator_count(o, &n);

	if (code == EX_OK && !o->dry) {
		out = operator_request(o, "decide");
		admin_text(out, "verb", span_str(verb));
		operator_words(o, out);
		code = operator_decide(o);
	}
	if (code == EX_OK)
		operator_done(o, verb, n);
	return code;
}

static int decide_picked(struct operator* o, const char *verb)
{
	struct pick p;
	int code, found;

	pick_init(&p);
	found = o->word_count > 1 ? pick_ids(o, &p) : pick_filter(o, &p);
	code = found == EX_OK || found == EX_DATAERR ? EX_OK : found;
	if (code == EX_OK && !o->dry)
		code = pick_decide(o, &p, verb);
	if (code == EX_OK)
		operator_done(o, verb, p.rcpts);
	pick_free(&p);
	return code == EX_OK ? found : code;
}

static int decide(struct operator* o, const char *verb)
{
	const struct operator_filter *f = &o->filter;

	if (o->word_count == 1 && f->site == NULL && f->rcpt == NULL &&
	    f->state == NULL && f->older_s == 0)
		return decide_words(o, verb);
	return decide_picked(o, verb);
}

/* Ids or a filter or --all, and one of them only. */
static bool names_mail(const struct operator* o)
{
	return (o->word_count > 1) + o->filtered + o->all == 1;
}

static const char *const verbs[] = { "list",   "show",  "hold", "release",
				     "cancel", "retry", NULL };

static bool is_usage(const struct operator* o)
{
	size_t i;

	if (o->word_count == 0)
		return false;
	if (strcmp(o->words[0], "list") == 0)
		return o->word_count == 1 && !o->dry;
	if (strcmp(o->words[0], "show") == 0)
		return o->word_count > 1 && !o->dry && !o->filtered;
	for (i = 0; verbs[i] != NULL; i++)
		if (strcmp(o->words[0], verbs[i]) == 0)
			return names_mail(o);
	return false;
}

int queue_main(int argc, char **argv)
{
	struct operator o = { .name = "mtaq queue",
			      .help = help,
			      .takes = "nfa" };
	int code = operator_options(&o, argc, argv);

	if (code != EX_OK)
		return code < 0 ? EX_OK : code;
	if (!is_usage(&o))
		return operator_usage(&o, verbs);
	code = operator_open(&o);
	if (code != EX_OK)
		return code;
	if (strcmp(o.words[0], "list") == 0)
		code = list(&o);
	else if (strcmp(o.words[0], "show") == 0)
		code = show(&o);
	else
		code = decide(&o, o.words[0]);
	operator_close(&o);
	return code;
}
