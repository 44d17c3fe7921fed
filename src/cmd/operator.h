#ifndef MTAQ_CMD_OPERATOR_H
#define MTAQ_CMD_OPERATOR_H

/*
 * What the operator's commands (queue, site, campaign, status) do alike:
 * options, the way to the daemon, tables and JSON.
 *
 *	operator_options()  options in, the words that are left
 *	operator_open()     connect
 *	operator_ask()      send o->client.out; then operator_next() per row
 *	operator_close()
 */
#include "admin/client.h"
#include "mtaq/settings.h"

#include <stdint.h>

struct operator_filter {
	const char *tenant, *campaign, *domain, *site, *rcpt, *state;
	uint64_t older_s;
};

struct operator
{
	const char *name; /* "mtaq queue", for messages */
	const char *help; /* printed by -h and after a wrong option */
	/* Options, as single letters: c j n h always; of a (--all), f
	 * (filters), t (--tenant) those in `takes`. */
	const char *takes;
	const char *config;
	bool json, dry, all, terminal, filtered;
	struct operator_filter filter;
	char **words; /* what is no option */
	int word_count;
	struct settings set;
	struct admin_client client;
	struct buf line; /* for output */
	int code;        /* of the last answer, when it was no "ok" */
};

/* EX_OK; EX_USAGE, told; or -1: help was asked for and printed. */
int operator_options(struct operator* o, int argc, char **argv);
/* The words are not those that the command takes: say so.  verbs: what the
 * first may be, NULL ends them.  Returns EX_USAGE. */
int operator_usage(const struct operator* o, const char *const *verbs);
/* EX_OK, or what was wrong (69: no daemon answers), told. */
int operator_open(struct operator* o);
void operator_close(struct operator* o);

/* Begin a request in o->client.out. */
struct buf *operator_request(struct operator* o, const char *verb);
/* The filter's tenant, campaign and domain, as fields of a request. */
void operator_words(struct operator* o, struct buf *out);
/* EX_OK, or told. */
int operator_ask(struct operator* o);
/* The next row in o->client.rec: true.  At the end false, and o->code is
 * EX_OK or what was told. */
bool operator_next(struct operator* o);

/* Send the decision whose fields stand in o->client.out, and wait until it is
 * durable.  EX_OK, or told. */
int operator_decide(struct operator* o);
/* How many open recipients the filter's tenant, campaign and domain cover. */
int operator_count(struct operator* o, uint64_t *n_r);
/* Say what was done (or would be, with -n). */
void operator_done(const struct operator* o, const char *verb, uint64_t n);

/* The record as one JSON object. */
void operator_json(struct buf *out, const struct admin_record *rec);

/* A column of a table.  width 0: as it comes (the last one). */
struct operator_column {
	const char *key, *title;
	int width; /* negative: to the left */
};
/* On a terminal aligned with a heading, else values with a TAB between. */
void operator_heading(struct operator* o, const struct operator_column *cols);
void operator_row(struct operator* o, const struct operator_column *cols,
		  const struct admin_record *rec);

#endif
