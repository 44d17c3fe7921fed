/*
 * bench/load_options.c - the command line of `mtaq load`
 */
#include "bench/load_options.h"

#include "base/bug.h"
#include "base/span.h"

#include <getopt.h>
#include <stdio.h>
#include <sysexits.h>

static const struct option longs[] = {
	{ "socket", required_argument, NULL, 's' },
	{ "messages", required_argument, NULL, 'n' },
	{ "size", required_argument, NULL, 'z' },
	{ "domains", required_argument, NULL, 'd' },
	{ "rcpts", required_argument, NULL, 'r' },
	{ "spread", no_argument, NULL, 'p' },
	{ "dots", no_argument, NULL, 'o' },
	{ "clients", required_argument, NULL, 'c' },
	{ "batch", required_argument, NULL, 'b' },
	{ "start", required_argument, NULL, 'S' },
	{ "from", required_argument, NULL, 'f' },
	{ "zone", required_argument, NULL, 'Z' },
	{ "tag", required_argument, NULL, 't' },
	{ "tenant", required_argument, NULL, 'T' },
	{ "campaign", required_argument, NULL, 'C' },
	{ "class", required_argument, NULL, 'k' },
	{ "accepted", required_argument, NULL, 'a' },
	{ "reconnects", required_argument, NULL, 'R' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static void help(FILE *to)
{
	fputs("usage: mtaq load --socket PATH [OPTION...]\n\n"
	      "Submits made-up messages, for tests and measurements.\n\n"
	      "  --messages N    how many (1000)\n"
	      "  --size OCTETS   of each (4096)\n"
	      "  --domains N     d0.ZONE ... in turn (100)\n"
	      "  --zone NAME     (test)\n"
	      "  --rcpts N       of each message (1), in one domain\n"
	      "  --spread        ... in as many domains\n"
	      "  --dots          some lines begin with a dot\n"
	      "  --clients N     connections at once (1)\n"
	      "  --batch N       wait for the answers after so many (0: "
	      "never)\n"
	      "  --start N       number of the first message (0)\n"
	      "  --tag WORD      first part of the tokens (load)\n"
	      "  --from ADDRESS  --tenant NAME  --campaign NAME  "
	      "--class bulk|transactional\n"
	      "  --reconnects N  attempts in a row without an answer (5)\n"
	      "  --accepted FILE append id, token, recipient, hash of what "
	      "was acknowledged\n",
	      to);
}

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

static bool take_number(struct load_config *cfg, int c)
{
	switch (c) {
	case 'n':
		return number(optarg, UINT32_MAX, &cfg->messages);
	case 'z':
		return number(optarg, 50u << 20, &cfg->size);
	case 'd':
		return number(optarg, UINT32_MAX, &cfg->domains) &&
		       cfg->domains > 0;
	case 'r':
		return small(optarg, 1000, &cfg->rcpts) && cfg->rcpts > 0;
	case 'c':
		return small(optarg, 1024, &cfg->clients) && cfg->clients > 0;
	case 'b':
		return number(optarg, UINT32_MAX, &cfg->batch);
	case 'S':
		return number(optarg, UINT32_MAX, &cfg->start);
	case 'R':
		return small(optarg, 1000000, &cfg->reconnects);
	default:
		return false;
	}
}

static bool take(struct load_config *cfg, int c)
{
	switch (c) {
	case 's':
		cfg->socket = optarg;
		return true;
	case 'p':
		return cfg->spread = true;
	case 'o':
		return cfg->dots = true;
	case 'f':
		cfg->from = optarg;
		return true;
	case 'Z':
		cfg->zone = optarg;
		return true;
	case 't':
		cfg->tag = optarg;
		return true;
	case 'T':
		cfg->tenant = optarg;
		return true;
	case 'C':
		cfg->campaign = optarg;
		return true;
	case 'k':
		cfg->transactional = optarg[0] == 't';
		return optarg[0] == 't' || optarg[0] == 'b';
	case 'a':
		cfg->accepted = optarg;
		return true;
	case 'h':
		return cfg->help = true;
	default:
		return take_number(cfg, c);
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
	int c;

	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1)
		if (!take(&cfg, c))
			goto usage;
	if (cfg.help)
		help(stdout);
	else if (cfg.socket == NULL || optind < argc)
		goto usage;
	*cfg_r = cfg;
	return EX_OK;
usage:
	help(stderr);
	return EX_USAGE;
}
