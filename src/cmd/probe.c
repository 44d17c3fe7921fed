/*
 * cmd/probe.c - mtaq probe: what a mail server says to an address
 *
 * Looks up the hosts, connects, and talks as far as RCPT, a command at a time,
 * with what mtaq would make of each answer.  Needs no daemon.
 */
#include "cmd/probe.h"

#include "cmd/commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#define TIMEOUT_MS  60000u
#define MAX_MS      900000u
#define TIME_MS_MAX 86400000u
#define JSON_MAX    (16u << 20)

enum {
	O_HELO = 256,
	O_HOST,
	O_PORT,
	O_DNS,
	O_IPV4,
	O_IPV6,
	O_SEND,
	O_TIMEOUT,
	O_MAX_TIME
};

/* clang-format off */
static const struct args_option options[] = {
	{ "config", 'c', "FILE", "the configuration [$MTAQ_CONFIG or " SETTINGS_FILE "; without that file the defaults]", 'c' },
	{ "from", 'f', "A", "envelope sender [the null sender, <>]", 'f' },
	{ "helo", 0, "NAME", "who we say we are [hostname]", O_HELO },
	{ "host", 0, "H[:P]", "this host instead of the domain's MX: an address or a name, which is looked up as a route's is", O_HOST },
	{ "port", 0, "P", "the hosts' port [the route's, or smtp.port]", O_PORT },
	{ "dns", 0, "A[:P]", "ask this resolver [dns.servers]", O_DNS },
	{ "ipv4", 0, NULL, "only hosts' IPv4 addresses", O_IPV4 },
	{ "ipv6", 0, NULL, "only hosts' IPv6 addresses", O_IPV6 },
	{ "all", 'a', NULL, "ask every host, not only until one has judged", 'a' },
	{ "send", 0, "FILE", "really deliver the message in FILE (- is stdin)", O_SEND },
	{ "timeout", 0, "T", "no step waits longer, nor longer than the configuration says: 500ms, 20 or 20s, 2m [60s; for the answer to the end of a message as the configuration says]", O_TIMEOUT },
	{ "max-time", 0, "T", "the whole probe [15m]", O_MAX_TIME },
	OPTION_JSON("one JSON object"),
	OPTION_END,
};
/* clang-format on */

static const struct args_command command = {
	.name = "mtaq probe",
	.usage = "mtaq probe [OPTION...] USER@DOMAIN",
	.about = "Asks the mail hosts of an address whether they would take "
		 "mail for it, and shows each step: lookup, connection, "
		 "greeting, EHLO, MAIL, RCPT, with times, the meaning of what "
		 "is said, and what mtaq would do about it. Stops before DATA: "
		 "nothing is delivered unless --send is given. Needs no "
		 "daemon.",
	.options = options,
	.more = "Exit codes: 0 accepted, 64 wrong usage, 65 refused (5yz, no "
		"such domain, null MX, FILE is no message), 66 FILE cannot be "
		"read, 69 no host answers, 71 the system refuses, 74 the output "
		"cannot be written, 75 deferred (4yz, the resolver fails, the "
		"answer did not come), 78 the configuration is wrong.",
};

/* More than nothing, a day at most. */
static bool read_time(const char *text, uint64_t *ms_r)
{
	return command_time(text, ms_r) && *ms_r > 0 && *ms_r <= TIME_MS_MAX;
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

static int one_checked(struct probe_args *a, int id, const char *value)
{
	uint64_t port;

	switch (id) {
	case O_PORT:
		if (!span_u64(span_str(value), 65535, &port) || port == 0)
			return wrong("--port", value, "1 to 65535");
		a->port = (uint16_t)port;
		return EX_OK;
	case O_HOST:
		a->host = value;
		return is_host(value) ? EX_OK
				      : wrong("--host", value,
					      "no address and no host name");
	case O_DNS:
		a->dns = value;
		return is_dns(value)
			       ? EX_OK
			       : wrong("--dns", value, "not like 192.0.2.1:53");
	case O_TIMEOUT:
		a->timeout_given = true;
		return read_time(value, &a->timeout_ms)
			       ? EX_OK
			       : wrong("--timeout", value, "not like 20s");
	default:
		return read_time(value, &a->max_ms)
			       ? EX_OK
			       : wrong("--max-time", value, "not like 5m");
	}
}

static int one_option(struct probe_args *a, int id, const char *value)
{
	switch (id) {
	case 'c':
		a->config = value;
		return EX_OK;
	case 'f':
		a->from = value;
		return EX_OK;
	case O_HELO:
		a->helo = value;
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
		a->send = value;
		return EX_OK;
	case 'j':
		a->json = true;
		return EX_OK;
	default:
		return one_checked(a, id, value);
	}
}

/* Both addresses and the name go into commands: no CR, LF or blank. */
static int check_words(struct probe *p)
{
	const struct probe_args *a = p->args;
	char text[ADDRESS_OCTETS_MAX + 1];
	struct address helo;
	enum address_error e;

	e = idn_address(span_str(a->to), 0, &p->to);
	if (e != ADDRESS_OK)
		return wrong("the address", a->to, address_error_words(e));
	e = idn_address(span_str(a->from), ADDRESS_NULL_OK, &p->from);
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

static int check_args(struct probe *p, struct probe_args *a,
		      const struct args *args)
{
	int code;

	if (args->word_count != 1)
		return command_wrong(args, args->word_count > 1
						   ? "one address at a time"
						   : "which address?");
	a->to = args->words[0];
	if (a->ipv4 && a->ipv6)
		return command_wrong(args, "--ipv4 and --ipv6 leave nothing");
	if (a->all && a->send != NULL)
		return command_wrong(args, "--all with --send would deliver "
					   "the message several times");
	code = check_words(p);
	if (code == EX_OK) { /* domains as A-labels from here on */
		a->to = p->to.text.p;
		a->from = p->from.text.p;
	}
	return code;
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
	struct args args;
	int id, code = EX_OK, ended = EX_OK;

	p.args = &a;
	args_begin(&args, &command, argc, argv);
	while (code == EX_OK && (id = command_option(&args, &ended)) > 0)
		code = one_option(&a, id, args.value);
	if (code == EX_OK)
		code = ended;
	if (code == EX_OK)
		code = check_args(&p, &a, &args);
	if (code == EX_OK)
		code = probe_all(&p);
	p.args = NULL;
	return code < 0 ? EX_OK : code;
}
