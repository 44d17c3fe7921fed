/*
 * cmd/status.c - mtaq status: the daemon at a glance
 *
 * Health first: what is wrong, to what, and what to do about it; then rates,
 * the queue, sessions, the disk.
 */
#include "cmd/status.h"

#include <stdio.h>
#include <sysexits.h>

static const struct args_option options[] = {
	OPTION_CONFIG,
	OPTION_JSON("one JSON object"),
	OPTION_END,
};

static const struct args_command command = {
	.name = "mtaq status",
	.usage = "mtaq status [-c FILE] [--json]",
	.about = "Is all well?  If not: what is wrong, and what to do.  Then "
		 "the rates of the last minute, the queue, sessions, the disk, "
		 "and why mail is put off.",
	.options = options,
	.more = "Exit codes: 0 it answered, 64 wrong usage, 69 no daemon "
		"answers, 77 no permission, 78 the configuration is wrong.",
};

uint64_t status_number(const struct status *s, const char *key)
{
	const struct admin_field *f;
	size_t i;

	for (i = 0; i < s->rows.count; i++) {
		if (!span_eq(s->rows.rows[i].verb, SPAN("status")) &&
		    !span_eq(s->rows.rows[i].verb, SPAN("pulse")))
			continue;
		f = admin_find(&s->rows.rows[i], key);
		if (f != NULL)
			return f->is_number ? f->number : 0;
	}
	return 0;
}

struct span status_text(const struct status *s, const char *key)
{
	const struct admin_record *rec = kept_find(&s->rows, "status");

	return rec == NULL ? SPAN("") : admin_text_of(rec, key);
}

/* Keep all rows of an answer. */
static int ask(struct status *s, struct kept *to)
{
	struct operator* o = s->o;

	operator_ask(o);
	while (operator_next(o))
		if (kept_add(to, &o->client.rec) < 0) {
			fprintf(stderr, "mtaq status: out of memory\n");
			return EX_OSERR;
		}
	return o->code;
}

static int look(struct status *s)
{
	static const char *const requests[] = { "status", "pulse", "pauses" };
	struct buf *out;
	int code = EX_OK;
	size_t i;

	for (i = 0; i < 3 && code == EX_OK; i++) {
		operator_request(s->o, requests[i]);
		code = ask(s, &s->rows);
	}
	if (code != EX_OK)
		return code;
	out = operator_request(s->o, "site");
	admin_text(out, "verb", SPAN("list"));
	admin_text(out, "which", SPAN("trouble"));
	return ask(s, &s->trouble);
}

int status_main(int argc, char **argv)
{
	struct operator o = { .code = EX_OK };
	static struct status s;
	int code = operator_options(&o, &command, argc, argv);

	if (code != EX_OK)
		return code < 0 ? EX_OK : code;
	if (o.word_count > 0)
		return command_wrong(&o.args, "'%s' is one argument too many",
				     o.words[0]);
	code = operator_open(&o);
	if (code != EX_OK)
		return code;
	s = (struct status){ .o = &o };
	code = look(&s);
	if (code == EX_OK) {
		status_examine(&s);
		if ((o.json ? status_print_json(&s) : status_print(&s)) < 0)
			code = EX_OSERR;
	}
	kept_clear(&s.rows);
	kept_clear(&s.trouble);
	operator_close(&o);
	return code;
}
