/*
 * cmd/campaign.c - mtaq campaign list|pause|resume
 *
 * A pause is a rule: it holds for mail that comes later too, and over
 * restarts, until it is resumed.
 */
#include "cmd/commands.h"
#include "cmd/operator.h"

#include <stdio.h>
#include <sysexits.h>

static const char help[] =
	"usage: mtaq campaign list [--tenant T] [--json]\n"
	"       mtaq campaign pause|resume NAME [--tenant T] [-n]\n\n"
	"list    campaigns with mail in the queue: recipients waiting "
	"(deferred: after a\n        failed attempt), held, and whether a "
	"pause holds them\n"
	"pause   begin no mail of the campaign, mail that comes later "
	"included; what is\n        being sent ends. Kept over restarts\n"
	"resume  end the pauses that NAME and --tenant cover\n\n"
	"  -c, --config FILE  the daemon's configuration\n"
	"      --tenant T     only this tenant's\n"
	"  -n, --dry-run      say what it would touch, change nothing\n"
	"      --json         one JSON object a line\n\n"
	"Exit codes: 0 done (and durable), 64 usage, 69 no daemon answers, "
	"77 no permission,\n78 configuration.\n";

static const struct operator_column columns[] = {
	{ "tenant", "TENANT", -16 },
	{ "campaign", "CAMPAIGN", -24 },
	{ "waiting", "WAITING", 10 },
	{ "deferred", "DEFERRED", 10 },
	{ "held", "HELD", 10 },
	{ "paused", "PAUSED", 6 },
	{ NULL, NULL, 0 },
};

static int list(struct operator* o)
{
	struct buf *out = operator_request(o, "sum");

	operator_words(o, out);
	admin_text(out, "by", SPAN("campaign"));
	if (operator_ask(o) != EX_OK)
		return o->code;
	operator_heading(o, columns);
	while (operator_next(o))
		operator_row(o, columns, &o->client.rec);
	return o->code;
}

static int decide(struct operator* o, const char *verb)
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

static const char *const verbs[] = { "list", "pause", "resume", NULL };

int campaign_main(int argc, char **argv)
{
	struct operator o = { .name = "mtaq campaign",
			      .help = help,
			      .takes = "nt" };
	const char *verb;
	int code = operator_options(&o, argc, argv);

	if (code != EX_OK)
		return code < 0 ? EX_OK : code;
	verb = o.word_count > 0 ? o.words[0] : "";
	if (strcmp(verb, "list") == 0 ? o.word_count != 1 || o.dry
	    : strcmp(verb, "pause") == 0 || strcmp(verb, "resume") == 0
		    ? o.word_count != 2 || o.words[1][0] == '\0'
		    : true)
		return operator_usage(&o, verbs);
	code = operator_open(&o);
	if (code != EX_OK)
		return code;
	if (o.word_count == 2)
		o.filter.campaign = o.words[1];
	code = o.word_count == 1 ? list(&o) : decide(&o, verb);
	operator_close(&o);
	return code;
}
