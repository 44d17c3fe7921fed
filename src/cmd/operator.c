/*
 * cmd/operator.c - what the operator's commands do alike
 *
 * Rows for people on a terminal, TAB-separated values in a pipe, one JSON
 * object a line with --json.  What the daemon passes on from messages and
 * servers is printed with its controls as '?'.
 */
#include "cmd/operator.h"

#include "base/json.h"
#include "cmd/commands.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

enum { /* options without a letter */
	OPT_JSON = 256,
	OPT_ALL,
	OPT_TENANT,
	OPT_CAMPAIGN,
	OPT_DOMAIN,
	OPT_SITE,
	OPT_RCPT,
	OPT_STATE,
	OPT_OLDER
};

static const struct option longs[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "dry-run", no_argument, NULL, 'n' },
	{ "help", no_argument, NULL, 'h' },
	{ "all", no_argument, NULL, OPT_ALL },
	{ "tenant", required_argument, NULL, OPT_TENANT },
	{ "campaign", required_argument, NULL, OPT_CAMPAIGN },
	{ "domain", required_argument, NULL, OPT_DOMAIN },
	{ "site", required_argument, NULL, OPT_SITE },
	{ "rcpt", required_argument, NULL, OPT_RCPT },
	{ "state", required_argument, NULL, OPT_STATE },
	{ "older-than", required_argument, NULL, OPT_OLDER },
	{ NULL, 0, NULL, 0 },
};

/* "90", "90s", "15m", "2h", "3d": seconds. */
static bool read_age(const char *text, uint64_t *age_r)
{
	static const struct {
		char unit;
		uint64_t s;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	struct span t = span_str(text);
	uint64_t factor = 1;
	size_t i;

	for (i = 0; t.len > 0 && i < 4; i++)
		if (t.p[t.len - 1] == units[i].unit) {
			factor = units[i].s;
			t.len--;
			break;
		}
	if (!span_u64(t, UINT32_MAX, age_r))
		return false;
	*age_r *= factor;
	return true;
}

static bool takes(const struct operator* o, char what)
{
	return strchr(o->takes, what) != NULL;
}

static bool take_filter(struct operator* o, int c)
{
	struct operator_filter *f = &o->filter;
	const char **text = c == OPT_TENANT     ? &f->tenant
			    : c == OPT_CAMPAIGN ? &f->campaign
			    : c == OPT_DOMAIN   ? &f->domain
			    : c == OPT_SITE     ? &f->site
			    : c == OPT_RCPT     ? &f->rcpt
			    : c == OPT_STATE    ? &f->state
						: NULL;

	if (!takes(o, 'f') && (c != OPT_TENANT || !takes(o, 't')))
		return false;
	o->filtered = true;
	if (text != NULL) {
		*text = optarg;
		return optarg[0] != '\0';
	}
	return c == OPT_OLDER && read_age(optarg, &f->older_s);
}

static bool take_option(struct operator* o, int c)
{
	switch (c) {
	case 'c':
		o->config = optarg;
		return true;
	case OPT_JSON:
		o->json = true;
		return true;
	case 'n':
		o->dry = true;
		return takes(o, 'n');
	case OPT_ALL:
		o->all = true;
		return takes(o, 'a');
	default:
		return take_filter(o, c);
	}
}

int operator_options(struct operator* o, int argc, char **argv)
{
	int c, at = -1;

	while ((c = command_option(argc, argv, ":c:nh", longs, &at)) != -1) {
		if (c == 'h') {
			fputs(o->help, stdout);
			return -1;
		}
		if (c == '?')
			return EX_USAGE;
		if (!take_option(o, c)) {
			fprintf(stderr,
				"%s: --%s is not for this, or not with this "
				"value\n",
				o->name, c == 'n' ? "dry-run" : longs[at].name);
			fputs(o->help, stderr);
			return EX_USAGE;
		}
	}
	o->words = argv + optind;
	o->word_count = argc - optind;
	o->terminal = !o->json && isatty(STDOUT_FILENO) == 1;
	buf_init(&o->line, 1u << 20);
	return EX_OK;
}

int operator_usage(const struct operator* o, const char *const *verbs)
{
	const char *const *v = verbs;

	while (o->word_count > 0 && *v != NULL && strcmp(*v, o->words[0]) != 0)
		v++;
	if (o->word_count > 0 && *v == NULL)
		return command_no_such(o->name, "command", o->words[0], verbs);
	fputs(o->help, stderr);
	return EX_USAGE;
}

/* --- the way to the daemon ------------------------------------------------- */

int operator_open(struct operator* o)
{
	char path[256];
	int err = command_settings(o->config, &o->set);

	if (err != EX_OK)
		return err;
	snprintf(path, sizeof(path), "%s/control.sock", o->set.runtime);
	err = admin_client_open(&o->client, path);
	if (err == 0)
		return EX_OK;
	settings_free(&o->set);
	if (err == -EACCES) {
		fprintf(stderr,
			"%s: you may not use %s: its owner and group may\n",
			o->name, path);
		return EX_NOPERM;
	}
	fprintf(stderr,
		"%s: no daemon answers on %s: %s\nStart it with `mtaq run`, "
		"or name its configuration with -c; nothing was changed.\n",
		o->name, path, strerrordesc_np(-err));
	return EX_UNAVAILABLE;
}

void operator_close(struct operator* o)
{
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
	} else if (rc < 0) {
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

int operator_count(struct operator* o, uint64_t *n_r)
{
	const struct admin_record *rec = &o->client.rec;
	struct buf *out = operator_request(o, "sum");
	uint64_t n = 0;

	operator_words(o, out);
	operator_ask(o);
	while (operator_next(o))
		n += admin_number_of(rec, "waiting") +
		     admin_number_of(rec, "held");
	*n_r = n;
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

void operator_heading(struct operator* o, const struct operator_column *cols)
{
	size_t i;

	if (!o->terminal)
		return;
	fputs("\033[1m", stdout);
	for (i = 0; cols[i].key != NULL; i++)
		printf("%s%*s", i > 0 ? "  " : "", cols[i].width,
		       cols[i].title);
	fputs("\033[0m\n", stdout);
}

static void add_cell(struct buf *out, struct span text)
{
	size_t i;

	if (text.len == 0)
		buf_add_char(out, '-');
	for (i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.p[i];

		buf_add_char(out, c < 32 || c == 127 ? '?' : (char)c);
	}
}

void operator_row(struct operator* o, const struct operator_column *cols,
		  const struct admin_record *rec)
{
	struct buf *b = &o->line;
	size_t i, from, wide;

	buf_clear(b);
	if (o->json) {
		operator_json(b, rec);
		printf("%.*s\n", (int)b->len, b->p);
		return;
	}
	for (i = 0; cols[i].key != NULL; i++) {
		if (i > 0)
			buf_add_span(b, o->terminal ? SPAN("  ") : SPAN("\t"));
		from = b->len;
		add_cell(b, admin_text_of(rec, cols[i].key));
		if (!o->terminal)
			continue;
		wide = (size_t)abs(cols[i].width);
		while (b->len - from < wide && b->failed == 0) {
			buf_add_char(b, ' ');
			if (cols[i].width > 0) {
				memmove(b->p + from + 1, b->p + from,
					b->len - from - 1);
				b->p[from] = ' ';
			}
		}
	}
	printf("%.*s\n", (int)b->len, b->p);
}

void operator_done(const struct operator* o, const char *verb, uint64_t n)
{
	if (o->json)
		printf("{\"verb\":\"%s\",\"recipients\":%llu,\"dry_run\":%s}\n",
		       verb, (unsigned long long)n, o->dry ? "true" : "false");
	else
		printf("%s%s: %llu queued recipients\n", o->dry ? "would " : "",
		       verb, (unsigned long long)n);
}
