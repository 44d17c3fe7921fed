#ifndef MTAQ_CMD_STATUS_H
#define MTAQ_CMD_STATUS_H

/*
 * The parts of `mtaq status`: status.c asks the daemon, status_health.c says
 * what is wrong, status_print.c prints.
 */
#include "cmd/kept.h"
#include "cmd/operator.h"

#define STATUS_PROBLEMS_MAX 40u

enum severity {           /* names are in the JSON */
	SEVERITY_NOTE,    /* somebody wanted it so */
	SEVERITY_WARNING, /* mail goes slower or elsewhere than it should */
	SEVERITY_ALARM,   /* mail does not go, or may be lost from sight */
};
const char *severity_name(enum severity severity);

struct problem {
	enum severity severity;
	char what[400]; /* to what, and why */
	char todo[300]; /* what you can do */
};

struct status {
	struct operator* o;
	struct kept rows;    /* status, pulse, reason..., pause... */
	struct kept trouble; /* sites that are dead, slowed or paused */
	struct problem problems[STATUS_PROBLEMS_MAX];
	size_t problem_count, problems_more;
};

/* A figure of the daemon, by its key; 0 when it is not told. */
uint64_t status_number(const struct status *s, const char *key);
struct span status_text(const struct status *s, const char *key);

/* Fills in the problems, the worst first. */
void status_examine(struct status *s);

/* 0 or -ENOMEM. */
int status_print(struct status *s);
int status_print_json(struct status *s);

#endif
