/*
 * cmd/status.c - mtaq status: the daemon at a glance
 *
 * Health first: what is wrong, to what, and what to do about it; then rates,
 * the queue, sessions, the disk.
 */
#include "cmd/status.h"

#include <stdio.h>
#include <sysexits.h>

#define REST_WAIT_MS (KEPT_STANDS_MS + 2000)

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
		"answers, 74 the output cannot be written, 77 no permission, "
		"78 the configuration is wrong.",
};

uint64_t status_number(const struct status *s, const char *key)
{
	static const char *const verbs[] = { "status", "pulse" };
	const struct admin_record *rec;
	const struct admin_field *f;
	size_t i;

	for (i = 0; i < 2; i++) {
		rec = kept_find(&s->rows, verbs[i]);
		f = rec == NULL ? NULL : admin_find(rec, key);
		if (f != NULL)
			return f->is_number ? f->number : 0;
	}
	return 0;
}

struct span status_text(const struct status *s, const char *key)
{
	const struct admin_record *rec = kept_find(&s->rows, "status");

	if (rec == NULL)
		rec = kept_find(&s->rows, "pulse");
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

static int look_at_pulse(struct status *s)
{
	operator_request(s->o, "pulse");
	return ask(s, &s->rows);
}

/* What threads know that the disk may hold up. */
static int look_at_rest(struct status *s)
{
	static const char *const requests[] = { "status", "pauses" };
	struct buf *out;
	int code = EX_OK;
	size_t i;

	for (i = 0; i < 2 && code == EX_OK; i++) {
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

/* The pulse always comes.  Where the rest does not, it says why. */
static int look(struct status *s)
{
	int code = look_at_pulse(s);

	if (code != EX_OK || kept_stands_ms(&s->rows) > 0)
		return code;
	s->o->wait_ms = REST_WAIT_MS;
	code = look_at_rest(s);
	s->o->wait_ms = 0;
	if (code != EX_TEMPFAIL)
		return code;
	kept_clear(&s->rows);
	kept_clear(&s->trouble);
	code = operator_again(s->o);
	return code == EX_OK ? look_at_pulse(s) : code;
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
