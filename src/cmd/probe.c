/*
 * cmd/probe.c - mtaq probe: what a mail server says to an address
 *
 * Looks up the hosts, connects, and talks as far as RCPT, a command at a time,
 * with what mtaq would make of each answer.  Needs no daemon.
 */
#include "cmd/probe.h"

#include "cmd/commands.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#define TIMEOUT_MS  60000u
#define MAX_MS      900000u
#define TIME_MS_MAX 86400000u
#define JSON_MAX    (16u << 20)

/* clang-format off */
static const char help_text[] =
	"usage: mtaq probe [OPTION...] USER@DOMAIN\n\n"
	"Asks the mail hosts of an address whether they would take mail for it, and\n"
	"shows each step: lookup, connection, greeting, EHLO, MAIL, RCPT, with times,\n"
	"the meaning of what is said, and what mtaq would do about it. Stops before\n"
	"DATA: nothing is delivered unless --send is given. Needs no daemon.\n\n"
	"  -c, --config FILE   the configuration\n"
	"                      [$MTAQ_CONFIG or " SETTINGS_FILE ";\n"
	"                      without that file the defaults]\n"
	"  -f, --from A        envelope sender [the null sender, <>]\n"
	"      --helo NAME     who we say we are [hostname]\n"
	"      --host H[:P]    this host instead of the domain's MX: an address, [v6],\n"
	"                      or a name, which is looked up as a route's is\n"
	"      --port P        the hosts' port [the route's, or smtp.port]\n"
	"      --dns A[:P]     ask this resolver [dns.servers]\n"
	"      --ipv4          only hosts' IPv4 addresses\n"
	"      --ipv6          only hosts' IPv6 addresses\n"
	"  -a, --all           ask every host, not only until one has judged\n"
	"      --send FILE     really deliver the message in FILE (- is stdin)\n"
	"      --timeout T     no step waits longer, nor longer than the configuration\n"
	"                      says: 500ms, 20 or 20s, 2m [60s; for the answer to the\n"
	"                      end of a message as the configuration says]\n"
	"      --max-time T    the whole probe [15m]\n"
	"      --json          one JSON object\n"
	"  -h, --help          this\n\n"
	"Exit codes: 0 accepted, 64 wrong usage, 65 refused (5yz, no such domain, null\n"
	"MX, FILE is no message), 66 FILE cannot be read, 69 no host answers, 71 the\n"
	"system refuses, 74 the output cannot be written, 75 deferred (4yz, the resolver\n"
	"fails, the answer did not come), 78 the configuration is wrong.\n";
/* clang-format on */

static void probe_help(FILE *to)
{
	fputs(help_text, to);
}

enum {
	O_HELO = 256,
	O_HOST,
	O_PORT,
	O_DNS,
	O_IPV4,
	O_IPV6,
	O_SEND,
	O_TIMEOUT,
	O_MAX_TIME,
	O_JSON
};

static const struct option longs[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "from", required_argument, NULL, 'f' },
	{ "helo", required_argument, NULL, O_HELO },
	{ "host", required_argument, NULL, O_HOST },
	{ "port", required_argument, NULL, O_PORT },
	{ "dns", required_argument, NULL, O_DNS },
	{ "ipv4", no_argument, NULL, O_IPV4 },
	{ "ipv6", no_argument, NULL, O_IPV6 },
	{ "all", no_argument, NULL, 'a' },
	{ "send", required_argument, NULL, O_SEND },
	{ "timeout", required_argument, NULL, O_TIMEOUT },
	{ "max-time", required_argument, NULL, O_MAX_TIME },
	{ "json", no_argument, NULL, O_JSON },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 }
};

/* "500ms", "20", "20s", "2m"; more than nothing, a day at most. */
static bool read_time(const char *text, uint64_t *ms_r)
{
	struct span t = span_str(text);
	uint64_t unit = 1000, n;

	if (span_ends_nocase(t, SPAN("ms"))) {
		unit = 1;
		t.len -= 2;
	} else if (span_ends_nocase(t, SPAN("s"))) {
		t.len--;
	} else if (span_ends_nocase(t, SPAN("m"))) {
		unit = 60000;
		t.len--;
	}
	if (!span_u64(t, TIME_MS_MAX / unit, &n) || n == 0)
		return false;
	*ms_r = n * unit;
	return true;
}

static bool is_dns(const char *text)
{
	struct io_addr addr;

	return io_addr_parse(span_str(text), 53, &addr) == 0 &&
	       addr.u.sa.sa_family != AF_UNIX;
}

/* An address or a name, perhaps with a port. */
static bool is_host(const char *text)
{
	struct span host = span_str(text), name = host;
	ptrdiff_t colon = span_find(host, ':');
	struct address a;
	struct io_addr addr;
	char domain[ADDRESS_OCTETS_MAX + 1];
	uint64_t port;
	int n;

	if (io_addr_parse(host, 25, &addr) == 0)
		return addr.u.sa.sa_family != AF_UNIX;
	if (colon >= 0) {
		name.len = (size_t)colon;
		if (!span_u64(span_of(host.p + colon + 1,
				      host.len - name.len - 1),
			      65535, &port) ||
		    port == 0)
			return false;
	}
	n = snprintf(domain, sizeof(domain), "x@%.*s",
		     name.len < 260 ? (int)name.len : 260, name.p);
	return (size_t)n < sizeof(domain) &&
	       address_parse(span_str(domain), 0, &a) == ADDRESS_OK &&
	       !a.literal;
}

static int wrong(const char *option, const char *value, const char *what)
{
	size_t i;

	fprintf(stderr, "mtaq probe: %s '", option);
	for (i = 0; value[i] != '\0' && i < 300; i++)
		fputc((unsigned char)value[i] < 32 || value[i] == 127
			      ? '?'
			      : value[i],
		      stderr);
	fprintf(stderr, "': %s\n", what);
	return EX_USAGE;
}

static int one_checked(struct probe_args *a, int c)
{
	uint64_t port;

	switch (c) {
	case O_PORT:
		if (!span_u64(span_str(optarg), 65535, &port) || port == 0)
			return wrong("--port", optarg, "1 to 65535");
		a->port = (uint16_t)port;
		return EX_OK;
	case O_HOST:
		a->host = optarg;
		return is_host(optarg) ? EX_OK
				       : wrong("--host", optarg,
					       "no address and no host name");
	case O_DNS:
		a->dns = optarg;
		return is_dns(optarg) ? EX_OK
				      : wrong("--dns", optarg,
					      "not like 192.0.2.1:53");
	case O_TIMEOUT:
		a->timeout_given = true;
		return read_time(optarg, &a->timeout_ms)
			       ? EX_OK
			       : wrong("--timeout", optarg, "not like 20s");
	case O_MAX_TIME:
		return read_time(optarg, &a->max_ms)
			       ? EX_OK
			       : wrong("--max-time", optarg, "not like 5m");
	default:
		return EX_USAGE;
	}
}

static int one_option(struct probe_args *a, int c)
{
	switch (c) {
	case 'c':
		a->config = optarg;
		return EX_OK;
	case 'f':
		a->from = optarg;
		return EX_OK;
	case O_HELO:
		a->helo = optarg;
		return EX_OK;
	case O_IPV4:
		a->ipv4 = true;
		return EX_OK;
	case O_IPV6:
		a->ipv6 = true;
		return EX_OK;
	case 'a':
		a->all = true;
		return EX_OK;
	case O_SEND:
		a->send = optarg;
		return EX_OK;
	case O_JSON:
		a->json = true;
		return EX_OK;
	default:
		return one_checked(a, c);
	}
}

/* Both addresses and the name go into commands: no CR, LF or blank. */
static int check_words(struct probe *p)
{
	const struct probe_args *a = p->args;
	char text[ADDRESS_OCTETS_MAX + 1];
	struct address helo;
	enum address_error e;

	e = address_parse(span_str(a->to), ADDRESS_UTF8_OK, &p->to);
	if (e == ADDRESS_OK && p->to.idna)
		e = ADDRESS_NEEDS_IDNA;
	if (e != ADDRESS_OK)
		return wrong("the address", a->to, address_error_words(e));
	e = address_parse(span_str(a->from), ADDRESS_UTF8_OK | ADDRESS_NULL_OK,
			  &p->from);
	if (e == ADDRESS_OK && p->from.idna)
		e = ADDRESS_NEEDS_IDNA;
	if (e != ADDRESS_OK)
		return wrong("--from", a->from, address_error_words(e));
	if (a->helo == NULL)
		return EX_OK;
	if ((size_t)snprintf(text, sizeof(text), "x@%s", a->helo) >=
		    sizeof(text) ||
	    address_parse(span_str(text), 0, &helo) != ADDRESS_OK)
		return wrong("--helo", a->helo, "no name of a host");
	return EX_OK;
}

static int check_args(struct probe *p, struct probe_args *a, int argc,
		      char **argv)
{
	if (optind + 1 != argc) {
		fputs(optind < argc ? "mtaq probe: one address at a time\n"
				    : "mtaq probe: which address?\n",
		      stderr);
		return EX_USAGE;
	}
	a->to = argv[optind];
	if (a->ipv4 && a->ipv6) {
		fputs("mtaq probe: --ipv4 and --ipv6 leave nothing\n", stderr);
		return EX_USAGE;
	}
	if (a->all && a->send != NULL) {
		fputs("mtaq probe: --all with --send would deliver the message "
		      "several times\n",
		      stderr);
		return EX_USAGE;
	}
	return check_words(p);
}

/* Without any configuration the defaults do; the name is the machine's when
 * that is a full one. */
static int default_settings(const struct probe_args *a, struct settings *set)
{
	static const char local[] = "hostname: localhost.localdomain\n";
	char name[256] = "", text[300], words[1024];
	int n, r;

	(void)gethostname(name, sizeof(name) - 1);
	n = snprintf(text, sizeof(text), "hostname: \"%s\"\n", name);
	r = settings_parse("defaults", text, (size_t)n, set, words,
			   sizeof(words));
	if (r == -EINVAL) {
		r = settings_parse("defaults", local, sizeof(local) - 1, set,
				   words, sizeof(words));
		if (r == 0 && a->helo == NULL)
			fputs("mtaq probe: there is no configuration, and this "
			      "machine has no full name; --helo gives one\n",
			      stderr);
	}
	if (r < 0)
		fprintf(stderr, "mtaq probe: %s\n", strerrordesc_np(-r));
	return r < 0 ? EX_OSERR : EX_OK;
}

static int load_settings(const struct probe_args *a, struct settings *set)
{
	const char *env = getenv(SETTINGS_FILE_ENV);

	if (a->config == NULL && (env == NULL || env[0] == '\0') &&
	    access(SETTINGS_FILE, F_OK) < 0 && errno == ENOENT)
		return default_settings(a, set);
	return command_settings(a->config, set);
}

static int probe_all(struct probe *p)
{
	const struct probe_args *a = p->args;
	int code = load_settings(a, &p->set);

	if (code != EX_OK)
		return code;
	p->helo = a->helo != NULL ? a->helo : p->set.hostname;
	buf_init(&p->out, JSON_MAX);
	if (a->send != NULL)
		code = probe_body_read(p);
	p->end_ms = probe_now_us() / 1000 + a->max_ms;
	if (code == EX_OK)
		code = probe_run(p);
	buf_free(&p->message.wire);
	buf_free(&p->out);
	settings_free(&p->set);
	return code;
}

int probe_main(int argc, char **argv)
{
	struct probe_args a = { .from = "",
				.timeout_ms = TIMEOUT_MS,
				.max_ms = MAX_MS };
	static struct probe p;
	int c, code = EX_OK;

	p.args = &a;
	while (code == EX_OK &&
	       (c = command_option(argc, argv, ":c:f:ah", longs, NULL)) != -1) {
		if (c == 'h') {
			probe_help(stdout);
			return EX_OK;
		}
		code = one_option(&a, c);
	}
	if (code == EX_OK)
		code = check_args(&p, &a, argc, argv);
	if (code == EX_OK)
		code = probe_all(&p);
	p.args = NULL;
	return code;
}
