/*
 * cmd/operator.c - what the operator's commands do alike
 *
 * Rows for people on a terminal, TAB-separated values in a pipe, one JSON
 * object a line with --json.  What the daemon passes on from messages and
 * servers is printed with its controls as '?'.
 */
#include "cmd/operator.h"

#include "base/json.h"

#include <errno.h>
#include <stdio.h>
#include <sysexits.h>

#define COUNT_TASKS_MAX 20000 /* some milliseconds of the store's time */

static int take_age(struct operator* o, const char *value)
{
	uint64_t ms;

	if (!command_time(value, &ms) || ms / 1000 > UINT32_MAX)
		return command_wrong(&o->args,
				     "--older-than is a time like 90s, 15m, 2h "
				     "or 3d, not '%s'",
				     value);
	o->filter.older_s = ms / 1000;
	return EX_OK;
}

static int take_filter(struct operator* o, int id, const char *value)
{
	struct operator_filter *f = &o->filter;
	const char **const texts[] = {
		&f->tenant, &f->campaign, &f->domain,
		&f->site,   &f->rcpt,     &f->state,
	};

	o->filtered = true;
	if (id == OPERATOR_OLDER_ID)
		return take_age(o, value);
	*texts[id - OPERATOR_TENANT_ID] = value;
	if (value[0] == '\0')
		return command_wrong(&o->args, "--%s needs a value",
				     o->args.option->name);
	return EX_OK;
}

static int take_option(struct operator* o, int id, const char *value)
{
	switch (id) {
	case 'c':
		o->config = value;
		return EX_OK;
	case 'j':
		o->json = true;
		return EX_OK;
	case 'n':
		o->dry = true;
		return EX_OK;
	case OPERATOR_ALL_ID:
		o->all = true;
		return EX_OK;
	default:
		return id < OPERATOR_OWN_ID ? take_filter(o, id, value)
					    : o->own(o, id, value);
	}
}

int operator_options(struct operator* o, const struct args_command *command,
		     int argc, char **argv)
{
	int id, code = EX_OK, ended = EX_OK;

	o->name = command->name;
	args_begin(&o->args, command, argc, argv);
	while (code == EX_OK && (id = command_option(&o->args, &ended)) > 0)
		code = take_option(o, id, o->args.value);
	if (code != EX_OK || ended != EX_OK)
		return code != EX_OK ? code : ended;
	o->words = o->args.words;
	o->word_count = o->args.word_count;
	screen_init(&o->screen, !o->json);
	buf_init(&o->line, 1u << 20);
	return EX_OK;
}

/* --- the way to the daemon ------------------------------------------------- */

static int open_client(struct operator* o)
{
	char path[256];
	int err;

	snprintf(path, sizeof(path), "%s/control.sock", o->set.runtime);
	err = admin_client_open(&o->client, path);
	if (err == 0)
		return EX_OK;
	if (err == -EACCES) {
		fprintf(stderr,
			"%s: you may not use %s: its owner and group may; "
			"join that group, or use sudo\n",
			o->name, path);
		return EX_NOPERM;
	}
	fprintf(stderr,
		"%s: no daemon answers on %s: %s\nStart it with `mtaq run`, "
		"or name its configuration with -c; nothing was changed.\n",
		o->name, path, strerrordesc_np(-err));
	return EX_UNAVAILABLE;
}

int operator_open(struct operator* o)
{
	int code = command_settings(o->config, &o->set);

	if (code != EX_OK)
		return code;
	code = open_client(o);
	if (code != EX_OK)
		settings_free(&o->set);
	return code;
}

int operator_again(struct operator* o)
{
	admin_client_close(&o->client);
	return open_client(o);
}

void operator_close(struct operator* o)
{
	operator_table_end(o);
	admin_client_close(&o->client);
	settings_free(&o->set);
	buf_free(&o->line);
}

struct buf *operator_request(struct operator* o, const char *verb)
{
	admin_begin(&o->client.out, verb);
	return &o->client.out;
}

void operator_words(struct operator* o, struct buf *out)
{
	if (o->filter.tenant != NULL)
		admin_text(out, "tenant", span_str(o->filter.tenant));
	if (o->filter.campaign != NULL)
		admin_text(out, "campaign", span_str(o->filter.campaign));
	if (o->filter.domain != NULL)
		admin_text(out, "domain", span_str(o->filter.domain));
}

static void tell_broken(struct operator* o, int err)
{
	o->code = EX_UNAVAILABLE;
	fprintf(stderr,
		"%s: the daemon's answer broke off: %s\nWhether it was "
		"carried out is not known: look with `list` and ask again.\n",
		o->name, strerrordesc_np(-err));
}

int operator_ask(struct operator* o)
{
	int err;

	admin_end(&o->client.out);
	o->code = EX_OK;
	if (o->wait_ms > 0)
		o->client.wait_ms = o->wait_ms;
	err = admin_client_ask(&o->client);
	if (err < 0)
		tell_broken(o, err);
	return o->code;
}

bool operator_next(struct operator* o)
{
	const struct admin_record *rec = &o->client.rec;
	struct span words;
	int rc;

	if (o->code != EX_OK)
		return false;
	rc = admin_client_next(&o->client);
	if (rc == 1)
		return true;
	if (rc == -ECANCELED) {
		words = admin_text_of(rec, "words");
		o->code = (int)admin_number_of(rec, "code") & 127;
		if (o->code == EX_OK)
			o->code = EX_PROTOCOL;
		fprintf(stderr, "%s: %.*s\n", o->name, (int)words.len, words.p);
	} else if (rc == -ETIMEDOUT && o->wait_ms > 0) {
		o->code = EX_TEMPFAIL;
	} else if (rc < 0 && rc != -EINTR) {
		tell_broken(o, rc);
	}
	return false;
}

int operator_decide(struct operator* o)
{
	operator_ask(o);
	while (operator_next(o))
		continue;
	return o->code;
}

int operator_count(struct operator* o, struct operator_sum *sum_r)
{
	const struct admin_record *rec = &o->client.rec;
	struct buf *out = operator_request(o, "sum");
	struct operator_sum sum = { .rcpts = 0 };

	operator_words(o, out);
	/* The decision itself takes no longer for a long queue. */
	if (!o->dry)
		admin_number(out, "tasks_max", COUNT_TASKS_MAX);
	operator_ask(o);
	while (operator_next(o))
		sum.rcpts += admin_number_of(rec, "waiting") +
			     admin_number_of(rec, "held");
	if (o->code == EX_OK)
		sum.more = admin_number_of(rec, "more") != 0;
	*sum_r = sum;
	return o->code;
}

/* --- output ---------------------------------------------------------------- */

void operator_json(struct buf *out, const struct admin_record *rec)
{
	char key[ADMIN_WORD_MAX + 1];
	uint32_t i;

	buf_add_char(out, '{');
	for (i = 0; i < rec->count; i++) {
		const struct admin_field *f = &rec->fields[i];

		memcpy(key, f->key.p, f->key.len);
		key[f->key.len] = '\0';
		if (f->is_number)
			json_member_u64(out, key, f->number);
		else
			json_member(out, key, f->text);
	}
	buf_add_char(out, '}');
}

const struct table_column operator_hosts[] = {
	{ "preference", "PREF", 4 },
	{ "host", "HOST", -20 },
	{ "address", "ADDRESS", -16 },
	{ "health", "HEALTH", -7 },
	{ "sessions", "SESS", 4 },
	{ "window", "WINDOW", 6 },
	{ "grouping", "GROUPING", -11 },
	{ "chunking", "CHUNKING", -11 },
	{ "again_in_s", "AGAIN", 5 },
	{ "reply", "LAST REPLY", -1 },
	{ NULL, NULL, 0 },
};

static void put_object(struct operator* o, const struct admin_record *rec)
{
	buf_clear(&o->line);
	operator_json(&o->line, rec);
	printf("%.*s\n", (int)o->line.len, o->line.p);
}

void operator_table(struct operator* o, const struct table_column *columns)
{
	if (o->json)
		return;
	table_begin(&o->table, &o->screen, columns);
	o->in_table = true;
}

void operator_row(struct operator* o, const struct table_column *columns,
		  const struct admin_record *rec)
{
	size_t i;

	if (o->json) {
		put_object(o, rec);
		return;
	}
	for (i = 0; columns[i].key != NULL; i++)
		table_cell(&o->table, admin_text_of(rec, columns[i].key));
	table_row(&o->table);
}

void operator_table_end(struct operator* o)
{
	if (o->in_table)
		table_end(&o->table);
	o->in_table = false;
}

void operator_fields(struct operator* o, const struct admin_record *rec)
{
	struct buf *b = &o->line;
	uint32_t i;

	if (o->json) {
		put_object(o, rec);
		return;
	}
	buf_clear(b);
	for (i = 0; i < rec->count; i++) {
		buf_printf(b, "%-20.*s ", (int)rec->fields[i].key.len,
			   rec->fields[i].key.p);
		screen_add(b, rec->fields[i].text);
		buf_add_char(b, '\n');
	}
	printf("%.*s", (int)b->len, b->p);
}

void operator_done(const struct operator* o, const char *verb,
		   const struct operator_sum *sum)
{
	unsigned long long n = sum->rcpts;

	if (o->json)
		printf("{\"verb\":\"%s\",\"recipients\":%llu,\"more\":%s,"
		       "\"dry_run\":%s}\n",
		       verb, n, sum->more ? "true" : "false",
		       o->dry ? "true" : "false");
	else
		printf("%s%s: %s%llu queued recipients\n",
		       o->dry ? "would " : "", verb,
		       sum->more ? "at least " : "", n);
}

int operator_decide_words(struct operator* o, const char *verb)
{
	struct buf *out;
	struct operator_sum sum;
	int code = operator_count(o, &sum);

	if (code == EX_OK && !o->dry) {
		out = operator_request(o, "decide");
		admin_text(out, "verb", span_str(verb));
		operator_words(o, out);
		code = operator_decide(o);
	}
	if (code == EX_OK)
		operator_done(o, verb, &sum);
	return code;
}
