/*
 * cmd/queue.c - mtaq queue list|show|hold|release|cancel|retry
 *
 * Whom a decision is for:
 *	ids                          these messages
 *	tenant, campaign, domain     the daemon knows what they cover
 *	site, rcpt, state, age       listed first; then by domain and id
 */
#include "cmd/operator.h"
#include "cmd/queue_pick.h"
#include "mtaq/queue.h"

#include <stdio.h>
#include <sysexits.h>

static const struct args_verb verbs[] = {
	{ "list", "a row for each recipient that waits: id, state, age (s), "
		  "due in (s), tries, size, recipient, sender" },
	{ "show", "messages by their ids, with a row for each recipient" },
	{ "hold", "keep it, do not try it, until released" },
	{ "release", "try held mail again, now" },
	{ "cancel", "it ends as cancelled, never delivered" },
	{ "retry", "what waits for its next attempt is due now" },
	{ NULL, NULL },
};

/* clang-format off */
static const struct args_option options[] = {
	OPTION_CONFIG,
	{ "domain", 0, "D", "filter: recipients in this domain", OPERATOR_DOMAIN_ID },
	{ "tenant", 0, "T", "filter: mail of this tenant", OPERATOR_TENANT_ID },
	{ "campaign", 0, "C", "filter: mail of this campaign", OPERATOR_CAMPAIGN_ID },
	{ "site", 0, "S", "filter: what goes to this site", OPERATOR_SITE_ID },
	{ "rcpt", 0, "ADDRESS", "filter: this recipient", OPERATOR_RCPT_ID },
	{ "older-than", 0, "T", "filter: accepted so long ago: 90s, 15m, 2h, 3d", OPERATOR_OLDER_ID },
	{ "state", 0, "queued|deferred|paused|held|damaged", "filter: what is in this state", OPERATOR_STATE_ID },
	{ "all", 0, NULL, "list: more than 1000 rows; else: the whole queue", OPERATOR_ALL_ID },
	OPERATOR_DRY("say how many it would touch, change nothing"),
	OPERATOR_JSON,
	OPTION_END,
};
/* clang-format on */

static const struct args_command command = {
	.name = "mtaq queue",
	.usage = "mtaq queue list [FILTER...] [--all] [--json]\n"
		 "mtaq queue show ID... [--json]\n"
		 "mtaq queue hold|release|cancel|retry ID... [-n] [--json]\n"
		 "mtaq queue hold|release|cancel|retry FILTER...|--all [-n] "
		 "[--json]",
	.about = "Looks at queued mail, and decides about it.",
	.verbs = verbs,
	.options = options,
	.more = "What is being sent while a decision is made ends as it would "
		"have. --site, --rcpt, --state and --older-than pick from what "
		"is queued now; the others cover all that was accepted until "
		"now.\n\n"
		"Exit codes: 0 done (and durable), 64 wrong usage, 65 no such "
		"message, 69 no daemon answers, 74 the decision or the output "
		"could not be written, 77 no permission, 78 the configuration "
		"is wrong.",
};

#define ROWS 1000 /* unless --all */

static const struct table_column columns[] = {
	{ "id", "ID", -14 },        { "state", "STATE", -8 },
	{ "age_s", "AGE", 7 },      { "due_in_s", "DUE", 6 },
	{ "attempts", "TRIES", 5 }, { "size", "SIZE", 8 },
	{ "to", "TO", -32 },        { "from", "FROM", 0 },
	{ NULL, NULL, 0 },
};

static int list(struct operator* o)
{
	/* The first rows of millions are to come at once. */
	struct pick_place at = { .more = true,
				 .stage = o->all ? 0 : QUEUE_LIST_LOADED };
	uint64_t rows = 0;

	operator_table(o, columns);
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

	if (!span_eq(rec->verb, SPAN("row"))) {
		operator_table_end(o);
		operator_fields(o, rec);
		operator_table(o, columns);
		return;
	}
	if (!o->json && !o->in_table) /* its message is unreadable */
		operator_table(o, columns);
	operator_row(o, columns, rec);
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
		operator_table_end(o);
		if (o->code != EX_OK)
			code = o->code;
	}
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
		operator_done(o, verb,
			      &(struct operator_sum){ .rcpts = p.rcpts });
	pick_free(&p);
	return code == EX_OK ? found : code;
}

static int decide(struct operator* o, const char *verb)
{
	const struct operator_filter *f = &o->filter;

	if (o->word_count == 1 && f->site == NULL && f->rcpt == NULL &&
	    f->state == NULL && f->older_s == 0)
		return operator_decide_words(o, verb);
	return decide_picked(o, verb);
}

/* EX_OK, or told. */
static int check_usage(struct operator* o, const char *verb)
{
	bool list = strcmp(verb, "list") == 0, show = strcmp(verb, "show") == 0;

	if (o->dry && (list || show))
		return command_wrong(&o->args, "%s changes nothing: no -n",
				     verb);
	if (list && o->word_count > 1)
		return command_wrong(&o->args, "list takes filters, no ids: "
					       "`show` does");
	if (show && (o->filtered || o->all || o->word_count == 1))
		return command_wrong(&o->args, "show which messages? ids only");
	if (!list && !show && (o->word_count > 1) + o->filtered + o->all != 1)
		return command_wrong(&o->args,
				     "%s which mail? ids, or filters, or "
				     "--all, and one of these only",
				     verb);
	return EX_OK;
}

int queue_main(int argc, char **argv)
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
	if (strcmp(verb, "list") == 0)
		code = list(&o);
	else if (strcmp(verb, "show") == 0)
		code = show(&o);
	else
		code = decide(&o, verb);
	operator_close(&o);
	return code;
}
