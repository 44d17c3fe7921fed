#ifndef MTAQ_CMD_SUBMIT_H
#define MTAQ_CMD_SUBMIT_H

/*
 * The parts of `mtaq submit`: arguments (submit.c, submit_dsn.c), where messages come from
 * (submit_source.c), what becomes of them (submit_run.c), words for people
 * (submit_tell.c).
 */
#include "base/buf.h"
#include "mtaq/settings.h"
#include "mtaq/submit.h"

#include <stdbool.h>
#include <stdint.h>

#define SUBMIT_SPLIT 20000u /* recipients a message, without --each */

struct submit_list { /* addresses, in one block of text each */
	struct span *items;
	uint32_t count, size;
};

struct submit_args {
	const char *config;
	const char *from; /* NULL: the From of the mail */
	struct submit_list to;
	const char *tenant, *campaign, *token_header;
	/* RFC 3461; NULL: not asked for */
	const char *notify, *ret, *envid, *orcpt;
	enum submit_class class;
	bool each, json, dry_run, quiet;
	bool to_given; /* --to or --to-file, even when it names nobody */
	int path_count;
	char **paths;
};

struct submit_dsn {
	struct buf mail, rcpt; /* parameters; empty: none */
	/* rcpt for SUBMIT_SPLIT recipients at once; NULL: none */
	struct span *rcpts;
};

/* EX_OK; EX_USAGE, told; EX_OSERR.  To be freed in any case; a zeroed one may
 * be freed too. */
int submit_dsn_make(const struct submit_args *a, struct submit_dsn *d);
void submit_dsn_free(struct submit_dsn *d);

struct submit_run;

/* EX_OK or a sysexits code, told. */
int submit_run_open(const struct submit_args *a, const struct settings *set,
		    struct submit_run **run_r);
/* A message from `name`, the n-th in it (0: it is alone).  EX_OK: go on. */
int submit_run_message(struct submit_run *run, const char *name, uint64_t n,
		       struct span content);
/* What could not even be read counts as refused. */
void submit_run_unreadable(struct submit_run *run, const char *name, int error);
/* A message over submit_run_size_max(): refused here, so that it need not be
 * read to its end.  size: all its octets, 0: not known. */
void submit_run_too_large(struct submit_run *run, const char *name, uint64_t n,
			  uint64_t size);
uint64_t submit_run_size_max(const struct submit_run *run);
/* A folder without a message. */
void submit_run_nothing_in(struct submit_run *run, const char *name);
/* Wait for all answers, tell the sum.  The exit code of the command. */
int submit_run_close(struct submit_run **run);

/* Every message of a file, a folder, an mbox or "-".  EX_OK: go on. */
int submit_source(struct submit_run *run, const char *path);

int submit_list_add(struct submit_list *list, struct span text); /* copies */
void submit_list_free(struct submit_list *list);

/* --- telling --- */

struct submit_tell {
	bool json, quiet, bar; /* bar: standard error is a terminal */
	bool out_tty, drawn;
	uint64_t total; /* messages to come, 0: not known */
	uint64_t accepted, refused;
	uint64_t begun_ms, drawn_ms;
	char token[33]; /* what all tokens begin with */
};

struct submit_label { /* which message a result is for */
	const char *name;
	uint64_t n;
	struct span rcpt; /* with --each */
	uint64_t token;   /* 0: none */
};

void submit_tell_result(struct submit_tell *t, const struct submit_label *l,
			const struct submit_result *r);
void submit_tell_progress(struct submit_tell *t, bool last);
/* One line on standard error, the bar out of the way. */
void submit_tell_line(struct submit_tell *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
uint64_t submit_now_ms(void);

#endif
