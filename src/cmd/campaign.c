/*
 * cmd/campaign.c - mtaq campaign list|pause|resume
 *
 * A pause is a rule: it holds for mail that comes later too, and over
 * restarts, until it is resumed.
 */
#include "cmd/operator.h"

#include <stdio.h>
#include <sysexits.h>

static const struct args_verb verbs[] = {
	{ "list", "campaigns with mail in the queue: recipients waiting "
		  "(deferred: after a failed attempt), held, and whether a "
		  "pause holds them" },
	{ "pause", "begin no mail of the campaign, mail that comes later "
		   "included; what is being sent ends; kept over restarts" },
	{ "resume", "end the pauses that NAME and --tenant cover" },
	{ NULL, NULL },
};

static const struct args_option options[] = {
	OPTION_CONFIG,
	OPERATOR_TENANT,
	OPERATOR_DRY("say what it would touch, change nothing"),
	OPERATOR_JSON,
	OPTION_END,
};

static const struct args_command command = {
	.name = "mtaq campaign",
	.usage = "mtaq campaign list [--tenant T] [--json]\n"
		 "mtaq campaign pause|resume NAME [--tenant T] [-n] [--json]",
	.about = "A campaign is a word given with `mtaq submit --campaign`.",
	.verbs = verbs,
	.options = options,
	.more = "Exit codes: 0 done (and durable), 64 wrong usage, 69 no "
		"daemon answers, 74 the decision or the output could not be "
		"written, 77 no permission, 78 the configuration is wrong.",
};

static const struct table_column columns[] = {
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
	operator_table(o, columns);
	while (operator_next(o))
		operator_row(o, columns, &o->client.rec);
	return o->code;
}

/* EX_OK, or told. */
static int check_usage(struct operator* o, const char *verb)
{
	if (strcmp(verb, "list") == 0) {
		if (o->word_count == 1 && !o->dry)
			return EX_OK;
		return command_wrong(&o->args,
				     "list takes no name, and changes nothing");
	}
	if (o->word_count == 2 && o->words[1][0] != '\0')
		return EX_OK;
	return command_wrong(&o->args, "%s which campaign? one name", verb);
}

int campaign_main(int argc, char **argv)
{
	struct operator o = { .code = EX_OK };
	const char *verb;
	int code = operator_options(&o, &command, argc, argv);

	if (code != EX_OK)
		return code < 0 ? EX_OK : code;
	verb = command_verb(&o.args);
	code = verb == NULL ? EX_USAGE : check_usage(&o, verb);
	if (code == EX_OK)
		code = operator_open(&o);
	if (code != EX_OK)
		return code;
	if (o.word_count == 2)
		o.filter.campaign = o.words[1];
	code = o.word_count == 1 ? list(&o) : operator_decide_words(&o, verb);
	operator_close(&o);
	return code;
}
