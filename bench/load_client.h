#ifndef MTAQ_BENCH_LOAD_CLIENT_H
#define MTAQ_BENCH_LOAD_CLIENT_H

/*
 * One of the clients of `mtaq load`: its share of the messages, a submission,
 * and what is written down of the results.
 */
#include "bench/load_message.h"
#include "bench/yard.h"
#include "mtaq/submit.h"

#include <stdio.h>

/* What its line will say of the content. */
struct made {
	uint32_t crc, len;
};

/* Where all clients write: NULL, or open. */
struct load_files {
	FILE *accepted, *times;
};

/* Own: load_client_init() ... load_client_free(). */
struct client {
	const struct load_config *cfg;
	struct submit *submit;
	uint64_t next;         /* message, from 0; below count */
	uint32_t connects;     /* its connection that the loop watches ... */
	uint32_t events;       /* ... for this */
	uint64_t first, count; /* messages first .. first + count - 1 */
	uint64_t accepted, refused;
	FILE *out, *times;
	struct yard_pace pace;
	double begun_s; /* the last message, when there is a pace */
	struct load_message msg;
	struct made *made; /* own: message i of it at i modulo MADE_MAX */
	struct buf line;
	int exit_code;
	char words[256];
};

/* Messages first .. first + count - 1 of cfg, which is borrowed. */
void load_client_init(struct client *c, const struct load_config *cfg,
		      uint64_t first, uint64_t count,
		      const struct load_files *files);
void load_client_free(struct client *c);
/* 0, or as submit_new(). */
int load_client_open(struct client *c);
/* err < 0: why it ends early; it is in c->words and c->exit_code then. */
void load_client_close(struct client *c, int err);
/* Make the next message and put it.  As submit_put(). */
int load_client_put(struct client *c);
/* Write down what has been answered. */
void load_client_results(struct client *c);

#endif
