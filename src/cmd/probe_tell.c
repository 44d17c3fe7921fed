/*
 * cmd/probe_tell.c - what was seen, for people
 *
 * A line as soon as it is known.  What servers and resolvers say is printed
 * with everything but printable ASCII as \xNN, the backslash too: a banner
 * must not move the cursor.  Colours are for terminals only.
 */
#include "cmd/probe.h"

#include "mtaq/smtp.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#define TEXT_SHOWN 1000u /* octets of one line of a server */

static void paint(const struct probe *p, enum colour colour)
{
	fputs(screen_paint(&p->screen, colour), stdout);
}

static void put_untrusted(struct span s)
{
	size_t i;

	for (i = 0; i < s.len && i < TEXT_SHOWN; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < 32 || c > 126 || c == '\\')
			printf("\\x%02x", c);
		else
			putchar(c);
	}
	if (s.len > TEXT_SHOWN)
		fputs(" ...", stdout);
}

static void put_ms(uint64_t us)
{
	printf("%llu.%02llu ms", (unsigned long long)(us / 1000),
	       (unsigned long long)(us % 1000 / 10));
}

static void put_addr(const struct mx_addr *a)
{
	char text[IO_ADDR_TEXT_MAX];
	struct io_addr addr;

	io_addr_from_mx(a, &addr);
	io_addr_text(&addr, text);
	fputs(text, stdout);
}

void probe_tell_begin(struct probe *p)
{
	screen_init(&p->screen, !p->args->json);
	if (p->args->json) {
		probe_json_begin(p);
		return;
	}
	paint(p, BOLD);
	printf("%s", p->args->to);
	paint(p, PLAIN);
	printf("\n  from <%s>, as %s%s\n\n", p->args->from, p->helo,
	       p->message.bytes > 0 ? ", with a message to deliver"
				    : ", stopping before DATA");
	(void)fflush(stdout);
}

static void put_hosts(const struct mxset *set, bool ranked)
{
	uint16_t i, j;

	for (i = 0; i < set->host_count; i++) {
		const struct mx_host *h = &set->hosts[i];

		if (ranked)
			printf("  %5u  ", h->preference);
		else
			fputs("      -  ", stdout);
		put_untrusted(span_str(h->name));
		fputs(h->addr_count == 0 ? "  (no address)" : "  ", stdout);
		for (j = 0; j < h->addr_count; j++) {
			fputs(j > 0 ? ", " : "", stdout);
			put_addr(&h->addrs[j]);
		}
		putchar('\n');
	}
}

static const char *words_of_found(const struct probe_found *f)
{
	if (strcmp(f->how, "route") == 0)
		return "the configuration routes this domain to ";
	if (strcmp(f->how, "host") == 0)
		return "as told by --host: ";
	if (strcmp(f->how, "implicit") == 0)
		return "no MX record: the domain's own address counts, ";
	return f->rule == LOCAL_NONE ? "MX hosts of " : "lookup of ";
}

void probe_tell_found(struct probe *p, const struct probe_found *f)
{
	const struct mxset *set = f->set;

	if (p->args->json) {
		probe_json_found(p, f);
		return;
	}
	fputs(words_of_found(f), stdout);
	put_untrusted(f->name);
	fputs(" (", stdout);
	put_ms(f->us);
	if (f->ttl_s > 0)
		printf(", good for %llu s", (unsigned long long)f->ttl_s);
	fputs(set->authenticated ? ", signed by DNSSEC)\n" : ")\n", stdout);
	if (f->rule != LOCAL_NONE) {
		paint(p, f->rule == LOCAL_DNS ? YELLOW : RED);
		printf("  %s", plan_local_words(f->rule));
		paint(p, PLAIN);
		if (strcmp(set->why, plan_local_words(f->rule)) != 0) {
			fputs(": ", stdout);
			put_untrusted(span_str(set->why));
		}
		putchar('\n');
	}
	put_hosts(set, strcmp(f->how, "mx") == 0);
	(void)fflush(stdout);
}

void probe_tell_host(struct probe *p, const struct probe_host *host)
{
	if (p->args->json) {
		probe_json_host(p, host);
		return;
	}
	putchar('\n');
	paint(p, BOLD);
	put_untrusted(span_str(host->mx->name));
	paint(p, PLAIN);
	printf(" at %s\n", host->text);
	(void)fflush(stdout);
}

static enum colour colour_of(const struct probe_step *s)
{
	if (s->error < 0 || s->code / 100 == 5)
		return RED;
	return s->code / 100 == 4 ? YELLOW : GREEN;
}

static void put_reply(const struct probe *p, const struct probe_step *s)
{
	struct span text = s->text, line;
	char words[96];
	bool first = true;

	/* Of an answer to EHLO the rest is told line by line. */
	while (probe_next_line(&text, &line) &&
	       (first || s->stage != SMTP_STAGE_EHLO)) {
		fputs(first ? " " : "                            ", stdout);
		put_untrusted(line);
		if (first && s->code / 100 != 2)
			paint(p, PLAIN);
		putchar('\n');
		first = false;
	}
	if (first)
		putchar('\n');
	probe_words_enhanced(s->enhanced, words, sizeof(words));
	if (words[0] != '\0' && s->code / 100 > 3)
		printf("  %22s  %u.%u.%u: %s\n", "", s->enhanced.cls,
		       s->enhanced.subject, s->enhanced.detail, words);
}

void probe_tell_command(struct probe *p, struct span command)
{
	if (p->args->json)
		return; /* it is the step's */
	paint(p, DIM);
	/* Ours: checked before it is sent, UTF-8 addresses too. */
	printf("  > %.*s\n", (int)command.len, command.p);
	paint(p, PLAIN);
	(void)fflush(stdout);
}

void probe_tell_step(struct probe *p, const struct probe_step *step)
{
	char words[128];

	if (p->args->json) {
		probe_json_step(p, step);
		return;
	}
	printf("  %-9s %8llu.%02llu ms  ", step->name,
	       (unsigned long long)(step->us / 1000),
	       (unsigned long long)(step->us % 1000 / 10));
	paint(p, colour_of(step));
	if (step->error < 0) {
		probe_words_error(step, words, sizeof(words));
		printf("%s\n", words);
	} else if (step->code == 0) {
		puts("connected");
	} else {
		printf("%u", step->code);
		if (step->enhanced.cls != 0)
			printf(" %u.%u.%u", step->enhanced.cls,
			       step->enhanced.subject, step->enhanced.detail);
		if (step->code / 100 == 2)
			paint(p, PLAIN);
		put_reply(p, step);
	}
	paint(p, PLAIN);
	(void)fflush(stdout);
}

void probe_tell_ehlo(struct probe *p, struct span text)
{
	struct span line;
	char words[160];

	if (p->args->json) {
		probe_json_ehlo(p, text);
		return;
	}
	(void)probe_next_line(&text, &line); /* the greeting */
	while (probe_next_line(&text, &line)) {
		size_t i = line.len;

		probe_words_ehlo(line, words, sizeof(words));
		fputs("      ", stdout);
		put_untrusted(line);
		for (; i < 24; i++)
			putchar(' ');
		paint(p, DIM);
		printf("  %s\n",
		       words[0] != '\0' ? words : "(unknown to mtaq)");
		paint(p, PLAIN);
	}
	(void)fflush(stdout);
}

void probe_tell_outcome(struct probe *p, const struct probe_outcome *o)
{
	char words[160];

	if (p->args->json) {
		probe_json_outcome(p, o);
		return;
	}
	probe_words_plan(p, o, words, sizeof(words));
	printf("  mtaq would %s\n", words);
	if (o->verdict.result == SMTP_ACCEPTED)
		return;
	printf("  it sees: %s; this is about the %s\n",
	       reply_kind_name(o->class.kind),
	       reply_scope_name(o->class.scope));
	if (o->class.pause_s > 0)
		printf("  and would pause that %s for %u s\n",
		       reply_scope_name(o->class.scope), o->class.pause_s);
	if (o->class.halve)
		puts("  and would halve its rate");
	if (o->class.alert)
		puts("  an operator should look at this");
	(void)fflush(stdout);
}

int probe_tell_end(struct probe *p, int code, const char *words)
{
	if (p->args->json) {
		probe_json_end(p, code, words);
	} else {
		putchar('\n');
		paint(p, code == EX_OK        ? GREEN
			 : code == EX_DATAERR ? RED
					      : YELLOW);
		fputs(probe_result_name(code), stdout);
		paint(p, PLAIN);
		fputs(": ", stdout);
		put_untrusted(span_str(words));
		putchar('\n');
	}
	if (fflush(stdout) == 0 && !ferror(stdout) && p->out.failed == 0)
		return code;
	fputs("mtaq probe: the output could not be written\n", stderr);
	return EX_IOERR;
}
