/*
 * bench/load_options.c - the command line of `mtaq load`
 */
#include "bench/load_options.h"

#include "bench/arguments.h"

#include <stdio.h>
#include <sysexits.h>

/* clang-format off */
static const struct args_option options[] = {
	{ "socket", 0, "FILE", "the daemon's submission socket", 's' },
	{ "messages", 0, "N", "how many [1000]", 'n' },
	{ "size", 0, "OCTETS", "of each [4096]", 'z' },
	{ "domains", 0, "N", "d0.ZONE ... in turn [100]", 'd' },
	{ "zone", 0, "NAME", "the domains' end [test]", 'Z' },
	{ "rcpts", 0, "N", "of each message, in one domain [1]", 'r' },
	{ "spread", 0, NULL, "... in as many domains", 'p' },
	{ "dots", 0, NULL, "some lines begin with a dot", 'o' },
	{ "clients", 0, "N", "connections at once [1]", 'c' },
	{ "batch", 0, "N", "wait for the answers after so many; 0: never [0]", 'b' },
	{ "rate", 0, "N", "messages a second and connection, each waited for; 0: no pace [0]", 'P' },
	{ "start", 0, "N", "number of the first message [0]", 'S' },
	{ "tag", 0, "WORD", "first part of the tokens [load]", 't' },
	{ "from", 0, "ADDRESS", "envelope sender [news@sender.test]", 'f' },
	{ "tenant", 0, "NAME", "of all messages", 'T' },
	{ "campaign", 0, "NAME", "of all messages", 'C' },
	{ "class", 0, "transactional|bulk", "of all messages [bulk]", 'k' },
	{ "reconnects", 0, "N", "attempts in a row without an answer [5]", 'R' },
	{ "accepted", 0, "FILE", "append id, token, recipient, hash of what was acknowledged", 'a' },
	{ "times", 0, "FILE", "append token, begun, acknowledged (CLOCK_MONOTONIC, us)", 'm' },
	{ NULL, 0, NULL, NULL, 0 },
};
/* clang-format on */

static const struct args_command command = {
	.name = "mtaq load",
	.usage = "mtaq load --socket FILE [OPTION...]",
	.about = "Submits made-up messages, for tests and measurements.",
	.options = options,
	.more = "Exit codes: 0 all was accepted, 64 wrong usage, 65 something "
		"was refused for good, 71 out of memory, 73 the file of "
		"--accepted cannot be made, 75 not all was acknowledged.",
};

static bool number(const char *text, uint64_t max, uint64_t *value_r)
{
	if (span_u64(span_str(text), max, value_r))
		return true;
	fprintf(stderr, "mtaq load: '%s' is no number up to %llu\n", text,
		(unsigned long long)max);
	return false;
}

static bool small(const char *text, uint64_t max, uint32_t *value_r)
{
	uint64_t v;

	if (!number(text, max, &v))
		return false;
	*value_r = (uint32_t)v;
	return true;
}

static bool take_number(struct load_config *cfg, int id, const char *value)
{
	switch (id) {
	case 'n':
		return number(value, UINT32_MAX, &cfg->messages);
	case 'z':
		return number(value, 50u << 20, &cfg->size);
	case 'd':
		return number(value, UINT32_MAX, &cfg->domains) &&
		       cfg->domains > 0;
	case 'r':
		return small(value, 1000, &cfg->rcpts) && cfg->rcpts > 0;
	case 'c':
		return small(value, 1024, &cfg->clients) && cfg->clients > 0;
	case 'b':
		return number(value, UINT32_MAX, &cfg->batch);
	case 'P':
		return number(value, 1000000, &cfg->rate);
	case 'S':
		return number(value, UINT32_MAX, &cfg->start);
	case 'R':
		return small(value, 1000000, &cfg->reconnects);
	default:
		return false;
	}
}

static bool take(struct load_config *cfg, int id, const char *value)
{
	switch (id) {
	case 's':
		cfg->socket = value;
		return true;
	case 'p':
		return cfg->spread = true;
	case 'o':
		return cfg->dots = true;
	case 'f':
		cfg->from = value;
		return true;
	case 'Z':
		cfg->zone = value;
		return true;
	case 't':
		cfg->tag = value;
		return true;
	case 'T':
		cfg->tenant = value;
		return true;
	case 'C':
		cfg->campaign = value;
		return true;
	case 'k':
		cfg->transactional = value[0] == 't';
		return true;
	case 'a':
		cfg->accepted = value;
		return true;
	case 'm':
		cfg->times = value;
		return true;
	default:
		return take_number(cfg, id, value);
	}
}

int load_options(int argc, char **argv, struct load_config *cfg_r)
{
	struct load_config cfg = { .from = "news@sender.test",
				   .zone = "test",
				   .tag = "load",
				   .tenant = "",
				   .campaign = "",
				   .messages = 1000,
				   .size = 4096,
				   .domains = 100,
				   .rcpts = 1,
				   .clients = 1,
				   .reconnects = 5 };
	struct args args;
	int id, code = EX_OK;
	char text[64];

	args_begin(&args, &command, argc, argv);
	while ((id = bench_option(&args, &code)) > 0)
		if (!take(&cfg, id, args.value)) {
			(void)snprintf(text, sizeof(text), "--%s",
				       args.option->name);
			return bench_wrong(&command, text,
					   "the value is out of range");
		}
	cfg.help = code < 0;
	if (code > 0)
		return code;
	if (!cfg.help && cfg.socket == NULL)
		return bench_wrong(&command, "--socket", "it is missing");
	if (!cfg.help && args.word_count > 0)
		return bench_wrong(&command, args.words[0], "a word too many");
	*cfg_r = cfg;
	return EX_OK;
}
