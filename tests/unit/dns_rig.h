#ifndef MTAQ_TESTS_DNS_RIG_H
#define MTAQ_TESTS_DNS_RIG_H

/*
 * tests/unit/dns_rig.h - a resolver under test and a real name server (nsd)
 * with zones of its own on a port of the loopback
 */
#include "base/bug.h"
#include "dns/dns.h"
#include "tests/unit/tmpdir.h"

#include <arpa/inet.h>
#include <check.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define RIG_WAIT_TURNS 400 /* of at most 50 ms */

static struct dns *dns;
static uint64_t now_ms = 1000000; /* the tests' own time */

/* Turn until an answer comes; false: none came. */
static inline bool rig_pull(struct dns_answer *answer_r)
{
	int turn;

	for (turn = 0; turn < RIG_WAIT_TURNS; turn++) {
		struct pollfd p = { .fd = dns_fd(dns), .events = POLLIN };

		if (dns_answer(dns, answer_r))
			return true;
		poll(&p, 1, 50);
		/* c-ares has its own clock: past the tick, whatever we say. */
		dns_process(dns, now_ms + 100);
	}
	return false;
}

static inline struct mxset *rig_answer(uint64_t tag)
{
	struct dns_answer a = { 0, NULL };

	ck_assert(rig_pull(&a));
	ck_assert_uint_eq(a.tag, tag);
	ck_assert_ptr_nonnull(a.set);
	return a.set;
}

static inline struct mxset *rig_ask(const char *domain)
{
	static uint64_t tag;

	ck_assert_int_eq(dns_ask(dns, span_str(domain), ++tag, now_ms), 0);
	return rig_answer(tag);
}

static inline void rig_new(const struct dns_settings *s)
{
	ck_assert_int_eq(dns_new(s, &dns), 0);
}

/* "10 mx.test[2001:db8::1 192.0.2.1]; ..." */
static inline void rig_text(const struct mxset *set, char *text, size_t size)
{
	char ip[INET6_ADDRSTRLEN];
	size_t at = 0;
	uint16_t i, k;

	text[0] = '\0';
	for (i = 0; i < set->host_count; i++) {
		const struct mx_host *h = &set->hosts[i];

		at += (size_t)snprintf(text + at, size - at, "%s%u %s[",
				       i ? "; " : "", h->preference, h->name);
		for (k = 0; k < h->addr_count; k++) {
			const struct mx_addr *a = &h->addrs[k];

			inet_ntop(a->family == 4 ? AF_INET : AF_INET6, a->ip,
				  ip, sizeof(ip));
			at += (size_t)snprintf(text + at, size - at, "%s%s",
					       k ? " " : "", ip);
		}
		at += (size_t)snprintf(text + at, size - at, "]");
		ck_assert_uint_lt(at, size);
	}
}

/* A UDP socket on the loopback; *port_r is its port. */
static inline int rig_udp(uint16_t *port_r)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	BUG_ON(fd < 0);
	BUG_ON(bind(fd, (struct sockaddr *)&in, len) < 0);
	BUG_ON(getsockname(fd, (struct sockaddr *)&in, &len) < 0);
	*port_r = ntohs(in.sin_port);
	return fd;
}

/* nsd */

static char nsd_dir[TMPDIR_BYTES];
static char nsd_at[32];
static pid_t nsd_pid;

static inline FILE *nsd_file(const char *name)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", nsd_dir, name);
	f = fopen(path, "w");
	if (f == NULL)
		abort();
	return f;
}

static inline void nsd_config(uint16_t port)
{
	FILE *f = nsd_file("nsd.conf");

	fprintf(f, "server:\n\tip-address: 127.0.0.1\n\tport: %u\n", port);
	fprintf(f, "\tusername: \"\"\n\tdatabase: \"\"\n\tserver-count: 1\n");
	fprintf(f, "\thide-version: yes\n\tzonesdir: \"%s\"\n", nsd_dir);
	fprintf(f, "\tpidfile: \"%s/pid\"\n\tlogfile: \"%s/log\"\n", nsd_dir,
		nsd_dir);
	fprintf(f, "\txfrdfile: \"%s/xfrd\"\n\tzonelistfile: \"%s/list\"\n",
		nsd_dir, nsd_dir);
	fprintf(f, "\trrl-ratelimit: 0\n");
	fprintf(f, "\txfrdir: \"%s\"\n", nsd_dir);
	fprintf(f, "remote-control:\n\tcontrol-enable: no\n");
	fprintf(f, "zone:\n\tname: test\n\tzonefile: test.zone\n");
	fprintf(f, "zone:\n\tname: neg\n\tzonefile: neg.zone\n");
	fprintf(f, "zone:\n\tname: broken\n\tzonefile: none.zone\n");
	fclose(f);
}

/* Start nsd on a free port and wait until it answers. */
static inline int nsd_start(void)
{
	char conf[128];
	const char *servers[] = { nsd_at };
	struct dns_settings s = { .servers = servers,
				  .server_count = 1,
				  .timeout_ms = 250,
				  .tries = 1 };
	uint16_t port;
	int turn, up = 0;

	close(rig_udp(&port));
	nsd_config(port);
	snprintf(nsd_at, sizeof(nsd_at), "127.0.0.1:%u", port);
	snprintf(conf, sizeof(conf), "%s/nsd.conf", nsd_dir);
	nsd_pid = fork();
	if (nsd_pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		execlp("nsd", "nsd", "-d", "-c", conf, (char *)NULL);
		execl("/usr/sbin/nsd", "nsd", "-d", "-c", conf, (char *)NULL);
		_exit(127);
	}
	for (turn = 0; turn < 100 && !up; turn++) {
		struct dns_answer a;

		if (waitpid(nsd_pid, NULL, WNOHANG) == nsd_pid) {
			nsd_pid = 0;
			return -1;
		}
		BUG_ON(dns_new(&s, &dns) < 0);
		BUG_ON(dns_ask(dns, SPAN("basic.test"), 0, now_ms) < 0);
		if (rig_pull(&a)) {
			up = a.set->status == MX_OK;
			mxset_unref(&a.set);
		}
		dns_free(&dns);
		if (!up) /* refused at once: give it a moment */
			poll(NULL, 0, 50);
	}
	return up ? 0 : -1;
}

static inline void nsd_kill(void)
{
	if (nsd_pid > 0) {
		kill(nsd_pid, SIGTERM);
		waitpid(nsd_pid, NULL, 0);
	}
	nsd_pid = 0;
}

static inline void nsd_stop(void)
{
	nsd_kill();
	tmpdir_remove(nsd_dir);
}

#endif
