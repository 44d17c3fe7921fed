#ifndef MTAQ_BENCH_LOAD_OPTIONS_H
#define MTAQ_BENCH_LOAD_OPTIONS_H

/* The command line of `mtaq load`. */
#include <stdbool.h>
#include <stdint.h>

struct load_config {
	const char *socket, *from, *zone, *tag, *tenant, *campaign, *accepted,
		*times;
	uint64_t messages, size, domains, start, batch, rate;
	uint32_t rcpts, clients, reconnects;
	bool spread, dots, transactional, help;
};

/* EX_OK or EX_USAGE (told). */
int load_options(int argc, char **argv, struct load_config *cfg_r);

#endif
