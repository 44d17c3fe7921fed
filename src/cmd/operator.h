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
#include "cmd/commands.h"
#include "cmd/table.h"

#include <stdint.h>

struct operator_filter {
	const char *tenant, *campaign, *domain, *site, *rcpt, *state;
	uint64_t older_s;
};

/* The rows of a command's table that operator_options() reads. */
#define OPERATOR_JSON OPTION_JSON("one JSON object a line")
#define OPERATOR_DRY(what)                                                     \
	{                                                                      \
		"dry-run", 'n', NULL, (what), 'n'                              \
	}
#define OPERATOR_TENANT                                                        \
	{                                                                      \
		"tenant", 0, "T", "only this tenant's", OPERATOR_TENANT_ID     \
	}
enum {
	OPERATOR_ALL_ID = 256,
	OPERATOR_TENANT_ID,
	OPERATOR_CAMPAIGN_ID,
	OPERATOR_DOMAIN_ID,
	OPERATOR_SITE_ID,
	OPERATOR_RCPT_ID,
	OPERATOR_STATE_ID,
	OPERATOR_OLDER_ID,
	OPERATOR_OWN_ID /* and above: the command's own options */
};

struct operator
{
	const char *name; /* "mtaq queue", for messages */
	const char *config;
	bool json, dry, all, filtered;
	struct operator_filter filter;
	struct args args;
	char **words; /* what is no option */
	int word_count;
	struct settings set;
	struct admin_client client;
	struct screen screen;
	struct table table;
	bool in_table;
	struct buf line; /* for output */
	int code;        /* of the last answer, when it was no "ok" */
	/* For the next octets of an answer; then operator_next() says nothing
	 * and code is EX_TEMPFAIL.  0: the client's own, and that is told. */
	int wait_ms;
	/* Takes the command's own options: EX_OK, or EX_USAGE, told. */
	int (*own)(struct operator*, int id, const char *value);
	void *arg; /* for own() */
};

/* EX_OK; EX_USAGE, told; or -1: help was asked for and printed. */
int operator_options(struct operator* o, const struct args_command *command,
		     int argc, char **argv);
/* EX_OK, or what was wrong (69: no daemon answers), told. */
int operator_open(struct operator* o);
/* The connection anew, since an answer did not come: as operator_open(). */
int operator_again(struct operator* o);
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
struct operator_sum {
	uint64_t rcpts; /* open recipients */
	bool more;      /* at least so many */
};
/* How many the filter's tenant, campaign and domain cover.  Only -n counts
 * them all: a decision does not wait for that. */
int operator_count(struct operator* o, struct operator_sum *sum_r);
/* Say what was done (or would be, with -n). */
void operator_done(const struct operator* o, const char *verb,
		   const struct operator_sum *sum);

/* Decide about all that these words cover, unless -n, and say so. */
int operator_decide_words(struct operator* o, const char *verb);

/* The record as one JSON object. */
void operator_json(struct buf *out, const struct admin_record *rec);

/* Rows of a table follow; with --json, objects. */
void operator_table(struct operator* o, const struct table_column *columns);
void operator_row(struct operator* o, const struct table_column *columns,
		  const struct admin_record *rec);
extern const struct table_column operator_hosts[]; /* of rows "host" */
/* The table is over: what it holds back is printed. */
void operator_table_end(struct operator* o);
/* A record as a line for each field; with --json, an object. */
void operator_fields(struct operator* o, const struct admin_record *rec);

#endif
