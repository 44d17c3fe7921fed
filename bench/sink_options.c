/*
 * bench/sink_options.c - the command line of `mtaq sink`
 *
 * One table: name, kind, place in struct sink_config, help.  Shares are
 * numbers from 0 to 1.  Lists of stages are "STAGE=SHARE,..."; for --fail
 * "STAGE=CLASS:SHARE,..." with the class 4 or 5.
 */
#include "bench/sink_config.h"

#include "base/bug.h"
#include "bench/arguments.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum kind {
	FLAG,
	NUMBER,
	SHARE,
	SECONDS,
	TEXT,
	SEED,
	LISTEN,
	FAIL,
	TRICK,
	DNS,
	PATH
};

static const char *const value_names[] = {
	[FLAG] = NULL,    [NUMBER] = "N",    [SHARE] = "SHARE", [SECONDS] = "S",
	[TEXT] = "TEXT",  [SEED] = "N",      [LISTEN] = "A",    [FAIL] = "LIST",
	[TRICK] = "LIST", [DNS] = "ADDRESS", [PATH] = "FILE"
};

struct option {
	const char *name;
	enum kind kind;
	size_t at; /* in struct sink_config; of TRICK: which */
	const char *help;
};

/* clang-format off */
#define AT(member) offsetof(struct sink_config, member)
static const struct option options[] = {
	{ "listen", LISTEN, 0, "A[-B][:PORT]: SMTP on these addresses; repeatable (127.0.0.1)" },
	{ "port", NUMBER, AT(port), "port where --listen has none; 0: any free one (2525)" },
	{ "threads", NUMBER, AT(threads), "event loops (1)" },
	{ "seed", SEED, AT(seed), "of all decisions (1)" },
	{ "hostname", TEXT, AT(hostname), "name in greeting and EHLO" },
	{ "size", SEED, AT(size_max), "SIZE offered and enforced; 0: neither (52428800)" },
	{ "no-pipelining", FLAG, AT(no_pipelining), "do not offer PIPELINING" },
	{ "no-chunking", FLAG, AT(no_chunking), "do not offer CHUNKING" },
	{ "no-8bitmime", FLAG, AT(no_8bitmime), "do not offer 8BITMIME" },
	{ "no-smtputf8", FLAG, AT(no_smtputf8), "do not offer SMTPUTF8" },
	{ "no-dsn", FLAG, AT(no_dsn), "do not offer DSN" },
	{ "no-enhanced", FLAG, AT(no_enhanced), "do not offer ENHANCEDSTATUSCODES" },
	{ "delay", NUMBER, AT(delay_ms), "each reply leaves MS after its command came" },
	{ "delay-at", TEXT, AT(delay_at), "ADDRESS=MS,...: another --delay for one address" },
	{ "fail", FAIL, 0, "STAGE=4:SHARE,STAGE=5:SHARE,...: refuse" },
	{ "stubborn", FLAG, AT(stubborn), "who got a 4yz gets it at each attempt" },
	{ "providers", FLAG, AT(providers), "refuse in the words of large receivers" },
	{ "drop", TRICK, SINK_DROP, "STAGE=SHARE,...: close instead of the reply" },
	{ "hang", TRICK, SINK_HANG, "STAGE=SHARE,...: say nothing any more" },
	{ "miss", TRICK, SINK_MISS, "STAGE=SHARE,...: leave the reply out" },
	{ "dup", TRICK, SINK_DUP, "STAGE=SHARE,...: say the reply twice" },
	{ "stray", TRICK, SINK_STRAY, "STAGE=SHARE,...: a 250 too many before it" },
	{ "reset", FLAG, AT(reset), "--drop ends with RST, not FIN" },
	{ "greylist", SECONDS, AT(greylist_s), "451 4.7.1 for so many seconds after the first try" },
	{ "tarpit", SHARE, AT(tarpit), "sessions that get one octet a time" },
	{ "tarpit-ms", NUMBER, AT(tarpit_ms), "that time (1000)" },
	{ "split", FLAG, AT(split), "each octet of a reply in its own packet" },
	{ "messages-max", NUMBER, AT(messages_max), "messages a session, then 421" },
	{ "messages-silent", FLAG, AT(messages_silent), "close without that 421" },
	{ "connections-max", NUMBER, AT(connections_max), "connections an address, then 421 4.7.0" },
	{ "rcpt-max", NUMBER, AT(rcpts_max), "recipients a transaction, then 452 4.5.3" },
	{ "idle-ms", NUMBER, AT(idle_ms), "421 4.3.2 to a session that says nothing so long" },
	{ "data-always", FLAG, AT(data_always), "354 to DATA with no recipient accepted" },
	{ "bdat-spill", FLAG, AT(bdat_spill), "run the octets of a refused BDAT as commands" },
	{ "dns", DNS, 0, "ADDRESS:PORT: answer DNS there; port 0: any free one" },
	{ "zone", TEXT, AT(zone), "the made-up domains are d0.ZONE ... (test)" },
	{ "domains", NUMBER, AT(domains), "how many (1000)" },
	{ "mx", NUMBER, AT(mx), "MX hosts a domain (1)" },
	{ "sites", NUMBER, AT(sites), "MX sets that the domains share; 0: each its own" },
	{ "ttl", NUMBER, AT(ttl), "of all records (300)" },
	{ "mx-equal", FLAG, AT(mx_equal), "all MX with one preference" },
	{ "dns-truncate", FLAG, AT(dns_truncate), "all UDP answers say TC: ask by TCP" },
	{ "dead-first", SHARE, AT(dead_first), "MX sets whose first host is --dead-address" },
	{ "dead-address", TEXT, AT(dead_address), "where nothing listens (127.255.255.254)" },
	{ "nxdomain", SHARE, AT(nxdomain), "domains that do not exist" },
	{ "null-mx", SHARE, AT(null_mx), "domains with MX 0 . (RFC 7505)" },
	{ "servfail", SHARE, AT(servfail), "domains answered SERVFAIL" },
	{ "timeout", SHARE, AT(timeout), "domains never answered" },
	{ "no-mx", SHARE, AT(no_mx), "domains with an address and no MX" },
	{ "ledger", PATH, AT(ledger), "a line for each recipient, appended" },
	{ "ledger-ok-only", FLAG, AT(ledger_ok_only), "no lines for refusals" },
	{ "ledger-us", FLAG, AT(ledger_us), "its first column in microseconds" },
	{ "stats", PATH, AT(stats), "the summary at the end" },
	{ "stats-every", NUMBER, AT(stats_every_s), "and a line of it each so many seconds" },
	{ "json", FLAG, AT(json), "the summary at the end on standard output" },
	{ "ready-fd", NUMBER, AT(ready_fd), "the ready line goes there (1)" },
};
/* clang-format on */

/* --- addresses ---------------------------------------------------------- */

uint32_t sink_address_port(const struct sink_address *a)
{
	const struct sockaddr_in *v4 = (const void *)&a->sa;
	const struct sockaddr_in6 *v6 = (const void *)&a->sa;

	return ntohs(a->sa.ss_family == AF_INET ? v4->sin_port : v6->sin6_port);
}

void sink_address_set_port(struct sink_address *a, uint32_t port)
{
	struct sockaddr_in *v4 = (void *)&a->sa;
	struct sockaddr_in6 *v6 = (void *)&a->sa;

	if (a->sa.ss_family == AF_INET)
		v4->sin_port = htons((uint16_t)port);
	else
		v6->sin6_port = htons((uint16_t)port);
}

static bool number(const char *text, uint64_t max, uint64_t *n_r)
{
	char *end;
	unsigned long long n;

	if (text[0] < '0' || text[0] > '9')
		return false;
	n = strtoull(text, &end, 10);
	if (*end != '\0' || n > max)
		return false;
	*n_r = n;
	return true;
}

/* Cut ":PORT" off the end of a copy of the text, and brackets. */
static bool split_port(char *text, char **host_r, uint32_t *port)
{
	char *colon = strrchr(text, ':'), *close = strchr(text, ']');
	uint64_t n;

	*host_r = text;
	if (text[0] == '[') {
		if (close == NULL)
			return false;
		*close = '\0';
		*host_r = text + 1;
		if (close[1] == '\0')
			return true;
		colon = close + 1;
	} else if (colon == NULL || strchr(text, ':') != colon) {
		return true;
	}
	if (*colon != ':' || !number(colon + 1, 65535, &n))
		return false;
	*colon = '\0';
	*port = (uint32_t)n;
	return true;
}

bool sink_address_parse(struct sink_address *a, const char *text, uint32_t port)
{
	struct sockaddr_in *v4 = (void *)&a->sa;
	struct sockaddr_in6 *v6 = (void *)&a->sa;
	char copy[SINK_ADDRESS_TEXT], *host;

	if (strlen(text) >= sizeof(copy))
		return false;
	memset(a, 0, sizeof(*a));
	memcpy(copy, text, strlen(text) + 1);
	if (!split_port(copy, &host, &port))
		return false;
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		a->sa.ss_family = AF_INET;
		a->sa_len = sizeof(*v4);
	} else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
		a->sa.ss_family = AF_INET6;
		a->sa_len = sizeof(*v6);
	} else {
		return false;
	}
	sink_address_set_port(a, port);
	memcpy(a->text, host, strlen(host) + 1);
	return true;
}

static bool address_add(struct sink_config *c, const struct sink_address *a)
{
	struct sink_address *more;

	if (c->address_count == SINK_ADDRESSES_MAX)
		return false;
	more = realloc(c->addresses, (c->address_count + 1) * sizeof(*more));
	if (more == NULL)
		return false;
	c->addresses = more;
	more[c->address_count++] = *a;
	return true;
}

/* "127.0.0.2-127.0.0.50:2525" or "127.0.0.2-50:2525". */
static bool listen_range(struct sink_config *c, const char *text)
{
	char first[SINK_ADDRESS_TEXT], last[2 * SINK_ADDRESS_TEXT];
	const char *dash = strchr(text, '-'), *dot;
	struct sink_address a, b;
	struct sockaddr_in *at = (void *)&a.sa, *end = (void *)&b.sa;
	uint32_t ip, stop;

	if (dash == NULL)
		return sink_address_parse(&a, text, 0) && address_add(c, &a);
	if ((size_t)(dash - text) >= sizeof(first) || strlen(dash) > 60)
		return false;
	snprintf(first, sizeof(first), "%.*s", (int)(dash - text), text);
	dot = strrchr(first, '.');
	if (dot != NULL && strchr(dash, '.') == NULL)
		snprintf(last, sizeof(last), "%.*s.%s", (int)(dot - first),
			 first, dash + 1);
	else
		snprintf(last, sizeof(last), "%s", dash + 1);
	if (!sink_address_parse(&b, last, 0) ||
	    !sink_address_parse(&a, first, sink_address_port(&b)) ||
	    a.sa.ss_family != AF_INET || b.sa.ss_family != AF_INET)
		return false;
	stop = ntohl(end->sin_addr.s_addr);
	for (ip = ntohl(at->sin_addr.s_addr); ip <= stop; ip++) {
		at->sin_addr.s_addr = htonl(ip);
		inet_ntop(AF_INET, &at->sin_addr, a.text, sizeof(a.text));
		if (!address_add(c, &a))
			return false;
	}
	return c->address_count > 0;
}

/* --- values ------------------------------------------------------------- */

static bool share(const char *text, double max, double *share_r)
{
	char *end;
	double d = strtod(text, &end);

	if (end == text || *end != '\0' || !(d >= 0 && d <= max))
		return false;
	*share_r = d;
	return true;
}

static bool stage_named(const char *name, size_t len, size_t *stage_r)
{
	size_t i;

	for (i = 0; i < SINK_STAGES; i++)
		if (strlen(sink_stage_names[i]) == len &&
		    memcmp(sink_stage_names[i], name, len) == 0) {
			*stage_r = i;
			return true;
		}
	return false;
}

/* One "STAGE=SHARE" or, when fails is given, "STAGE=CLASS:SHARE". */
static bool stage_share(const char *item, double fails[][2], double *tricks)
{
	const char *value = strpbrk(item, "=:");
	size_t stage;

	if (value == NULL || !stage_named(item, (size_t)(value - item), &stage))
		return false;
	value++;
	if (fails == NULL)
		return share(value, 1, &tricks[stage]);
	if ((value[0] != '4' && value[0] != '5') || value[1] != ':')
		return false;
	return share(value + 2, 1, &fails[stage][value[0] - '4']);
}

static bool stage_list(const char *list, double fails[][2], double *tricks)
{
	char item[64];
	size_t len;

	do {
		len = strcspn(list, ",");
		if (len >= sizeof(item))
			return false;
		memcpy(item, list, len);
		item[len] = '\0';
		if (!stage_share(item, fails, tricks))
			return false;
		list += len;
	} while (*list++ == ',');
	return true;
}

static bool set_value(struct sink_config *c, const struct option *o,
		      const char *text)
{
	void *at = (char *)c + o->at;
	uint64_t n;

	switch (o->kind) {
	case FLAG:
		*(bool *)at = true;
		return true;
	case NUMBER:
		if (!number(text, INT32_MAX, &n))
			return false;
		*(uint32_t *)at = (uint32_t)n;
		return true;
	case SEED:
		return number(text, UINT64_MAX, at);
	case SHARE:
		return share(text, 1, at);
	case SECONDS:
		return share(text, 1e6, at);
	case TEXT:
	case PATH:
		*(const char **)at = text;
		return true;
	case LISTEN:
		return listen_range(c, text);
	case FAIL:
		return stage_list(text, c->fail, NULL);
	case TRICK:
		return stage_list(text, NULL, c->trick[o->at]);
	case DNS:
		return sink_address_parse(&c->dns, text, 53);
	}
	return false;
}

/* --- the whole line ----------------------------------------------------- */

static struct args_option table[ARRAY_LEN(options) + 1];
static const struct args_command command = {
	.name = "mtaq sink",
	.usage = "mtaq sink [OPTION...]",
	.about = "The pretend internet: SMTP servers and a DNS server. "
		 "Stages: connect greeting ehlo mail rcpt data content eod.",
	.options = table,
	.more = "Exit codes: 0 stopped by a signal, 64 wrong usage, 71 it "
		"cannot listen, 74 the ledger or the statistics cannot be "
		"written.",
};

static int wrong(const char *what, const char *word)
{
	return bench_wrong(&command, what, word);
}

/* All options as base/args.h wants them; an id is the place + 1. */
static void make_table(void)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(options); i++)
		table[i] = (struct args_option){
			.name = options[i].name,
			.value = value_names[options[i].kind],
			.help = options[i].help,
			.id = (int)i + 1,
		};
	table[i] = (struct args_option){ .name = NULL };
}

/* 0; -1: help was printed; EX_USAGE, told. */
static int take_options(struct sink_config *c, int argc, char **argv)
{
	struct args args;
	int id, code = 0;

	make_table();
	args_begin(&args, &command, argc, argv);
	while ((id = bench_option(&args, &code)) > 0)
		if (!set_value(c, &options[id - 1], args.value))
			return wrong("bad value of", args.option->name);
	if (code == 0 && args.word_count > 0)
		return wrong("a word too many", args.words[0]);
	return code;
}

static int delays_at(struct sink_config *c)
{
	const char *list = c->delay_at;
	size_t i, len, eq;
	uint64_t ms;

	for (i = 0; i < c->address_count; i++)
		c->addresses[i].delay_ms = c->delay_ms;
	while (list != NULL && *list != '\0') {
		char item[SINK_ADDRESS_TEXT + 16];
		bool found = false;

		len = strcspn(list, ",");
		snprintf(item, sizeof(item), "%.*s", (int)len, list);
		eq = strcspn(item, "=");
		if (item[eq] == '\0' || !number(item + eq + 1, INT32_MAX, &ms))
			return wrong("bad value of --delay-at", item);
		item[eq] = '\0';
		for (i = 0; i < c->address_count; i++)
			if (strcmp(c->addresses[i].text, item) == 0) {
				c->addresses[i].delay_ms = (uint32_t)ms;
				found = true;
			}
		if (!found)
			return wrong("--delay-at names no --listen", item);
		list += len + (list[len] == ',');
	}
	return 0;
}

static void defaults(struct sink_config *c)
{
	memset(c, 0, sizeof(*c));
	c->port = 2525;
	c->threads = 1;
	c->seed = 1;
	c->size_max = 50u << 20;
	c->hostname = "sink.test";
	c->tarpit_ms = 1000;
	c->zone = "test";
	c->domains = 1000;
	c->mx = 1;
	c->ttl = 300;
	c->dead_address = "127.255.255.254";
	c->ready_fd = 1;
}

int sink_options(struct sink_config *c, int argc, char **argv)
{
	struct sink_address dead;
	int err;

	defaults(c);
	err = take_options(c, argc, argv);
	if (err == 0 && c->address_count == 0)
		listen_range(c, "127.0.0.1");
	if (err == 0 && (c->threads < 1 || c->threads > 64 || c->mx < 1 ||
			 c->mx > 200 || c->domains < 1 || c->port > 65535))
		err = wrong("out of range",
			    "--threads, --mx, --domains, --port");
	if (err == 0 && (strlen(c->zone) > 60 || strlen(c->zone) < 1))
		err = wrong("bad value of", "--zone");
	if (err == 0 && !sink_address_parse(&dead, c->dead_address, 0))
		err = wrong("bad value of", "--dead-address");
	return err == 0 ? delays_at(c) : err;
}

void sink_config_free(struct sink_config *c)
{
	free(c->addresses);
	c->addresses = NULL;
}
