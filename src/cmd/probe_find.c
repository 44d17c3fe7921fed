/*
 * cmd/probe_find.c - where the mail goes
 *
 *	--host ─► routes: ─► MX, or the domain itself
 *
 * A host that is no address is looked up as mtaq looks up a route's: where
 * that host's mail goes, on the given port.
 */
#include "cmd/probe.h"

#include "dns/dns.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>

#define TRIES 2 /* a server; a person is waiting */

/* Which name, which port. */
struct target {
	struct span name;
	uint16_t port;
	bool fixed; /* an address: nothing to look up */
	struct io_addr addr;
};

static int target_of_host(const struct probe *p, struct target *t)
{
	struct span host = span_str(p->args->host), digits;
	ptrdiff_t colon = span_find(host, ':');
	uint64_t port;

	if (io_addr_parse(host, t->port, &t->addr) == 0 &&
	    t->addr.u.sa.sa_family != AF_UNIX) {
		t->fixed = true;
		t->name = host;
		return 0;
	}
	if (colon >= 0) {
		digits = span_of(host.p + colon + 1,
				 host.len - (size_t)colon - 1);
		if (!span_u64(digits, 65535, &port))
			return -EINVAL;
		t->port = (uint16_t)port;
		host.len = (size_t)colon;
	}
	t->name = host;
	return 0;
}

static int target_of(const struct probe *p, const char **how, struct target *t)
{
	struct span domain = address_domain_lower(&p->to.parts);
	const struct settings_endpoint *route =
		settings_route(&p->set, domain.p, domain.len);

	t->port = p->args->port != 0 ? p->args->port : p->set.smtp.port;
	*how = "mx";
	t->name = domain;
	if (p->args->host != NULL) {
		*how = "host";
		return target_of_host(p, t);
	}
	if (route == NULL)
		return 0;
	*how = "route";
	t->name = span_str(route->host);
	if (p->args->port == 0)
		t->port = route->port;
	t->fixed = io_addr_parse(t->name, t->port, &t->addr) == 0;
	return 0;
}

/* The one host that is an address. */
static struct mxset *fixed_set(const struct target *t)
{
	struct mxset *set = mxset_new(1);
	struct mx_addr *a;

	if (set == NULL)
		return NULL;
	a = &set->hosts[0].addrs[0];
	set->status = MX_OK;
	set->hosts[0].addr_count = 1;
	if (t->addr.u.sa.sa_family == AF_INET) {
		a->family = 4;
		a->port = ntohs(t->addr.u.in.sin_port);
		memcpy(a->ip, &t->addr.u.in.sin_addr, 4);
	} else {
		a->family = 6;
		a->port = ntohs(t->addr.u.in6.sin6_port);
		memcpy(a->ip, &t->addr.u.in6.sin6_addr, 16);
	}
	if (mxset_name(set, 0, t->name) < 0)
		mxset_unref(&set);
	return set;
}

static struct mxset *failed_set(enum mx_status status, const char *why)
{
	struct mxset *set = mxset_new(0);

	if (set == NULL)
		return NULL;
	set->status = status;
	snprintf(set->why, sizeof(set->why), "%s", why);
	return set;
}

static struct mxset *wait_answer(const struct probe *p, struct dns *dns)
{
	uint64_t end = probe_deadline_ms(p, p->args->timeout_ms), now, until;
	struct pollfd fd = { .fd = dns_fd(dns), .events = POLLIN };
	struct dns_answer answer;

	for (;;) {
		now = probe_now_us() / 1000;
		dns_process(dns, now);
		if (dns_answer(dns, &answer) == 1)
			return answer.set;
		if (now >= end)
			return failed_set(MX_TEMPFAIL,
					  "no answer from the resolver");
		until = dns_deadline(dns);
		until = until < end ? until : end;
		/* One ms at least: a deadline that has come is acted on by
		 * dns_process(), not by asking again and again. */
		until = until > now ? until - now : 1;
		(void)poll(&fd, 1, until > 1000 ? 1000 : (int)until);
	}
}

static int make_dns(const struct probe *p, uint16_t port, struct dns **dns_r)
{
	const char *servers[DNS_SERVERS_MAX];
	char text[DNS_SERVERS_MAX][80];
	uint64_t timeout_ms = p->set.dns.timeout_ms;
	struct dns_settings dns = {
		.servers = servers,
		.hostname = span_str(p->set.hostname),
		.own_ips = (const char *const *)p->set.own_addresses.items,
		.own_ip_count = p->set.own_addresses.count,
		.smtp_port = port,
		.no_ipv6 = p->args->ipv4,
		.tries = TRIES,
		.seed = probe_now_us(),
	};
	const struct settings_endpoint *at;
	uint32_t i;

	if (timeout_ms > p->args->timeout_ms)
		timeout_ms = p->args->timeout_ms;
	dns.timeout_ms = (unsigned)timeout_ms;
	for (i = 0; i < p->set.dns.servers.count && i < DNS_SERVERS_MAX; i++) {
		at = &p->set.dns.servers.items[i];
		snprintf(text[i], sizeof(text[i]),
			 strchr(at->host, ':') == NULL ? "%s:%u" : "[%s]:%u",
			 at->host, at->port);
		servers[dns.server_count++] = text[i];
	}
	if (p->args->dns != NULL) {
		servers[0] = p->args->dns;
		dns.server_count = 1;
	}
	return dns_new(&dns, dns_r);
}

static int ask(const struct probe *p, const struct target *t,
	       struct mxset **set_r)
{
	struct dns *dns;
	int r = make_dns(p, t->port, &dns);

	if (r < 0)
		return r;
	r = dns_ask(dns, t->name, 0, probe_now_us() / 1000);
	if (r == -EINVAL)
		*set_r = failed_set(MX_NXDOMAIN, "this is no domain name");
	else if (r == 0)
		*set_r = wait_answer(p, dns);
	else
		*set_r = failed_set(MX_TEMPFAIL, "the resolver is out of "
						 "memory");
	dns_free(&dns);
	return *set_r == NULL ? -ENOMEM : 0;
}

static enum local_rule rule_of(const struct mxset *set)
{
	static const enum local_rule rules[] = {
		[MX_OK] = LOCAL_NONE,      [MX_NXDOMAIN] = LOCAL_NXDOMAIN,
		[MX_NULL] = LOCAL_NULL_MX, [MX_NO_ADDRESS] = LOCAL_NO_ADDRESS,
		[MX_LOOP] = LOCAL_LOOP,    [MX_TEMPFAIL] = LOCAL_DNS,
	};

	return rules[set->status];
}

int probe_find(struct probe *p, struct probe_found *found_r)
{
	uint64_t begin = probe_now_us(), now_ms;
	struct probe_found f = { .how = "mx" };
	struct target t = { .fixed = false };
	int r = target_of(p, &f.how, &t);

	if (r == 0 && t.fixed) {
		f.set = fixed_set(&t);
		r = f.set == NULL ? -ENOMEM : 0;
	} else if (r == 0) {
		r = ask(p, &t, &f.set);
	}
	if (r < 0) {
		fprintf(stderr, "mtaq probe: the lookup could not begin: %s\n",
			strerrordesc_np(-r));
		return r;
	}
	f.name = t.name;
	f.us = probe_now_us() - begin;
	now_ms = probe_now_us() / 1000;
	if (!t.fixed && f.set->expires_ms > now_ms)
		f.ttl_s = (f.set->expires_ms - now_ms + 500) / 1000;
	if (!t.fixed && f.set->implicit && p->args->host == NULL &&
	    strcmp(f.how, "mx") == 0)
		f.how = "implicit";
	f.rule = rule_of(f.set);
	*found_r = f;
	return 0;
}
