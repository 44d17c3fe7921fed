/*
 * tests/unit/test_dns.c - SMTP.md 7 against a real name server
 */
#include "tests/unit/dns_rig.h"

#include <errno.h>

static const char *const servers[] = { nsd_at };
static const struct mx_addr own[] = {
	{ .family = 4, .port = 25, .ip = { 192, 0, 2, 201 } },
	{ .family = 4, .port = 2525, .ip = { 192, 0, 2, 2 } },
	{ .family = 4, .port = 0, .ip = { 192, 0, 2, 202 } },
};

static struct dns_settings plain(void)
{
	return (struct dns_settings){
		.servers = servers,
		.server_count = 1,
		.hostname = SPAN("our.test"),
		.own = own,
		.own_count = ARRAY_LEN(own),
		.timeout_ms = 5000, /* nsd is there: a timeout is a failure */
	};
}

static void write_zones(void)
{
	static const char head[] =
		"$TTL 3600\n"
		"@ SOA ns hostmaster 1 3600 600 86400 %s\n@ NS ns\n"
		"ns A 127.0.0.1\n";
	FILE *f = nsd_file("neg.zone");
	int i;

	fprintf(f, head, "86400");
	fclose(f);
	f = nsd_file("test.zone");
	fprintf(f, head, "120");
	fputs("basic MX 20 mx2.basic\nbasic MX 10 mx1.basic\n"
	      "mx1.basic A 192.0.2.1\nmx1.basic AAAA 2001:db8::1\n"
	      "mx2.basic A 192.0.2.2\n"
	      "implicit A 192.0.2.5\nimplicit AAAA 2001:db8::5\n"
	      "nullmx MX 0 .\nnullmx A 192.0.2.5\n"
	      "halfnull MX 0 .\nhalfnull MX 5 mx2.basic\n"
	      "literal MX 5 192.0.2.9.\nliteral MX 10 mx2.basic\n"
	      "literals MX 5 192.0.2.9.\nliterals A 192.0.2.5\n"
	      "aliased MX 10 alias\nalias CNAME alias2\n"
	      "alias2 CNAME mx1.basic\n"
	      "wasbasic CNAME basic\ndangling CNAME nothing\n"
	      "our A 192.0.2.200\nhidden A 192.0.2.201\nanyport A 192.0.2.202\n"
	      "backup MX 10 mx1.basic\nbackup MX 20 OUR\n"
	      "backup MX 20 mx2.basic\nbackup MX 30 other\n"
	      "other A 192.0.2.7\n"
	      "primary MX 10 our\nprimary MX 20 mx1.basic\n"
	      "byaddr MX 5 mx1.basic\nbyaddr MX 10 hidden\n"
	      "byaddr MX 10 mx2.basic\n"
	      "byany MX 5 anyport\nbyany MX 6 mx1.basic\n"
	      "selfaddr A 192.0.2.201\n"
	      "noaddr MX 10 nothing\nnoaddr MX 20 text\ntext TXT hello\n"
	      "halfaddr MX 10 nothing\nhalfaddr MX 20 mx2.basic\n"
	      "tempaddr MX 10 mail.broken.\n"
	      "halftemp MX 10 mail.broken.\nhalftemp MX 20 mx2.basic\n"
	      "twice MX 20 mx2.basic\ntwice MX 10 MX2.basic\n"
	      "below.ent TXT hello\n"
	      "short 5 MX 10 mx2.basic\nlong 864000 MX 10 faraway\n"
	      "faraway 864000 A 192.0.2.8\n"
	      "addrs MX 10 big\nequal MX 5 first\nfirst A 192.0.2.6\n",
	      f);
	for (i = 1; i <= 40; i++)
		fprintf(f,
			"many MX %d host-with-a-name-long-enough-%02d.many\n"
			"host-with-a-name-long-enough-%02d.many A 198.51.100.%d"
			"\n",
			100 - i, i, i, i);
	for (i = 1; i <= 20; i++)
		fprintf(f, "big A 198.51.100.%d\nbig AAAA 2001:db8:1::%d\n", i,
			i);
	for (i = 1; i <= 6; i++)
		fprintf(f, "equal MX 10 e%d\ne%d A 203.0.113.%d\n", i, i, i);
	fclose(f);
}

#define MX1 "mx1.basic.test[2001:db8::1 192.0.2.1]"
#define MX2 "mx2.basic.test[192.0.2.2]"

static const struct {
	const char *domain;
	enum mx_status status;
	const char *hosts;
	unsigned good_for_s; /* 0: not looked at */
} cases[] = {
	{ "basic.test", MX_OK, "10 " MX1 "; 20 " MX2, 3600 },
	{ "BASIC.Test.", MX_OK, "10 " MX1 "; 20 " MX2, 3600 },
	{ "implicit.test", MX_OK, "0 implicit.test[2001:db8::5 192.0.2.5]",
	  3600 },
	{ "nullmx.test", MX_NULL, "", 3600 },
	{ "halfnull.test", MX_OK, "5 " MX2, 0 },
	{ "literal.test", MX_OK, "10 " MX2, 0 },
	{ "literals.test", MX_NO_ADDRESS, "", 0 }, /* no implicit MX */
	{ "aliased.test", MX_OK, "10 alias.test[2001:db8::1 192.0.2.1]", 0 },
	{ "wasbasic.test", MX_OK, "10 " MX1 "; 20 " MX2, 0 },
	{ "dangling.test", MX_NXDOMAIN, "", 0 },
	{ "backup.test", MX_OK, "10 " MX1, 0 },
	{ "primary.test", MX_LOOP, "", 3600 },
	{ "byaddr.test", MX_OK, "5 " MX1, 0 },
	{ "byany.test", MX_LOOP, "", 0 },
	{ "our.test", MX_LOOP, "", 0 },
	{ "selfaddr.test", MX_LOOP, "", 0 },
	{ "noaddr.test", MX_NO_ADDRESS, "", 120 },
	{ "halfaddr.test", MX_OK, "20 " MX2, 3600 },
	{ "tempaddr.test", MX_TEMPFAIL, "", 5 },
	{ "halftemp.test", MX_OK, "20 " MX2, 30 },
	{ "twice.test", MX_OK, "10 mx2.basic.test[192.0.2.2]", 0 },
	{ "ent.test", MX_NO_ADDRESS, "", 120 },
	{ "short.test", MX_OK, "10 " MX2, 30 },
	{ "long.test", MX_OK, "10 faraway.test[192.0.2.8]", 86400 },
	{ "gone.test", MX_NXDOMAIN, "", 120 },
	{ "gone.neg", MX_NXDOMAIN, "", 900 },
	{ "any.broken", MX_TEMPFAIL, "", 5 },
	{ "elsewhere.invalid", MX_TEMPFAIL, "", 5 }, /* REFUSED */
};

START_TEST(rule_07_mx_table)
{
	struct dns_settings s = plain();
	struct mxset *set;
	char text[2000];

	rig_new(&s);
	set = rig_ask(cases[_i].domain);
	rig_text(set, text, sizeof(text));
	ck_assert_msg(set->status == cases[_i].status, "%s: %d %s %s",
		      cases[_i].domain, set->status, set->why, text);
	ck_assert_msg(strcmp(text, cases[_i].hosts) == 0, "%s: %s",
		      cases[_i].domain, text);
	ck_assert_int_eq(set->why[0] == '\0', set->status == MX_OK);
	ck_assert(!set->authenticated);
	ck_assert_int_eq(set->implicit,
			 strncmp(cases[_i].domain, "implicit", 8) == 0 ||
				 strncmp(cases[_i].domain, "our.", 4) == 0 ||
				 strncmp(cases[_i].domain, "self", 4) == 0 ||
				 strncmp(cases[_i].domain, "ent.", 4) == 0);
	if (cases[_i].good_for_s > 0)
		ck_assert_uint_eq((set->expires_ms - now_ms + 500) / 1000,
				  cases[_i].good_for_s);
	if (set->status == MX_OK)
		ck_assert_uint_eq(set->hosts[0].addrs[0].port, 25);
	mxset_unref(&set);
	dns_free(&dns);
}
END_TEST

/* 40 MX do not fit into a datagram: TCP; the first 32 by preference stay. */
START_TEST(rule_07_at_most_32_mx)
{
	struct dns_settings s = plain();
	struct mxset *set;
	uint16_t i;

	rig_new(&s);
	set = rig_ask("many.test");
	ck_assert_int_eq(set->status, MX_OK);
	ck_assert_uint_eq(set->host_count, MX_HOSTS_MAX);
	for (i = 0; i < MX_HOSTS_MAX; i++)
		ck_assert_uint_eq(set->hosts[i].preference, 60 + i);
	mxset_unref(&set);
	dns_free(&dns);
}
END_TEST

START_TEST(rule_07_at_most_16_addresses)
{
	struct dns_settings s = plain();
	struct mxset *set;
	struct mx_host *h;
	uint16_t i;

	rig_new(&s);
	set = rig_ask("addrs.test");
	ck_assert_uint_eq(set->host_count, 1);
	h = &set->hosts[0];
	ck_assert_uint_eq(h->addr_count, MX_ADDRS_MAX);
	for (i = 0; i < MX_ADDRS_MAX; i++)
		ck_assert_uint_eq(h->addrs[i].family, i % 2 ? 4 : 6);
	mxset_unref(&set);
	dns_free(&dns);
	s.no_ipv6 = true;
	s.smtp_port = 2525;
	rig_new(&s);
	set = rig_ask("addrs.test");
	h = &set->hosts[0];
	ck_assert_uint_eq(h->addr_count, MX_ADDRS_MAX);
	for (i = 0; i < MX_ADDRS_MAX; i++) {
		ck_assert_uint_eq(h->addrs[i].family, 4);
		ck_assert_uint_eq(h->addrs[i].port, 2525);
	}
	mxset_unref(&set);
	dns_free(&dns);
}
END_TEST

/* Equals are shuffled by the seed; the same seed gives the same order. */
START_TEST(rule_07_equals_are_shuffled)
{
	struct dns_settings s = plain();
	char text[2][64][2000];
	unsigned first[6] = { 0 }, i, k;

	for (k = 0; k < 2; k++) {
		for (i = 0; i < 64; i++) {
			struct mxset *set;

			s.seed = i;
			rig_new(&s);
			set = rig_ask("equal.test");
			ck_assert_uint_eq(set->host_count, 7);
			ck_assert_str_eq(set->hosts[0].name, "first.test");
			first[set->hosts[1].name[1] - '1']++;
			rig_text(set, text[k][i], sizeof(text[k][i]));
			mxset_unref(&set);
			dns_free(&dns);
		}
	}
	for (i = 0; i < 64; i++)
		ck_assert_str_eq(text[0][i], text[1][i]);
	for (i = 0; i < 6; i++) /* 128 draws, about 21 each */
		ck_assert_uint_ge(first[i], 6);
}
END_TEST

START_TEST(cache_and_single_flight)
{
	struct dns_settings s = plain();
	struct dns_counters c;
	struct dns_answer a[50];
	struct mxset *set;
	uint64_t queries;
	unsigned i, n;

	rig_new(&s);
	for (i = 0; i < 50; i++)
		ck_assert_int_eq(dns_ask(dns, SPAN("basic.test"), i, now_ms),
				 0);
	ck_assert_uint_ne(dns_deadline(dns), UINT64_MAX);
	for (n = 0; n < 50; n++) {
		a[n].set = rig_answer(n);
		ck_assert_ptr_eq(a[n].set, a[0].set);
	}
	ck_assert_uint_eq(dns_deadline(dns), UINT64_MAX);
	dns_count(dns, &c);
	ck_assert_uint_eq(c.joined, 49);
	ck_assert_uint_eq(c.queries, 5); /* MX, two A, two AAAA */
	ck_assert_uint_eq(c.outstanding, 0);
	queries = c.queries;
	for (n = 0; n < 50; n++)
		mxset_unref(&a[n].set);
	/* Good until it expires, then asked again. */
	set = rig_ask("basic.test");
	now_ms = set->expires_ms - 1;
	mxset_unref(&set);
	ck_assert_int_eq(dns_ask(dns, SPAN("Basic.TEST"), 7, now_ms), 0);
	ck_assert_int_eq(dns_answer(dns, &a[0]), 1); /* at once */
	mxset_unref(&a[0].set);
	dns_count(dns, &c);
	ck_assert_uint_eq(c.queries, queries);
	now_ms++;
	set = rig_ask("basic.test");
	ck_assert_uint_gt(set->expires_ms, now_ms + 3000000);
	mxset_unref(&set);
	dns_count(dns, &c);
	ck_assert_uint_eq(c.queries, 2 * queries);
	ck_assert_uint_eq(c.hits, 2);
	dns_free(&dns);
}
END_TEST

START_TEST(cache_is_bounded)
{
	struct dns_settings s = plain();
	struct dns_counters c;
	char name[40];
	uint64_t queries;
	int i;

	s.cache_max = 10;
	rig_new(&s);
	for (i = 0; i < 30; i++) {
		struct mxset *set;

		snprintf(name, sizeof(name), "gone%d.test", i);
		set = rig_ask(name);
		mxset_unref(&set);
		set = rig_ask("gone0.test"); /* used, so it stays */
		mxset_unref(&set);
	}
	dns_count(dns, &c);
	ck_assert_uint_eq(c.cached, 10);
	queries = c.queries;
	ck_assert_uint_eq(queries, 30);
	dns_free(&dns);
}
END_TEST

START_TEST(questions_are_bounded)
{
	struct dns_settings s = plain();
	struct mxset *set;

	s.outstanding_max = 2;
	rig_new(&s);
	ck_assert_int_eq(dns_ask(dns, SPAN("a.test"), 1, now_ms), 0);
	ck_assert_int_eq(dns_ask(dns, SPAN("b.test"), 2, now_ms), 0);
	ck_assert_int_eq(dns_ask(dns, SPAN("c.test"), 3, now_ms), -EAGAIN);
	/* Joining is no new question. */
	ck_assert_int_eq(dns_ask(dns, SPAN("a.test"), 1, now_ms), 0);
	dns_free(&dns); /* with questions open */
	rig_new(&s);
	set = rig_ask("basic.test");
	mxset_unref(&set);
	dns_free(&dns);
}
END_TEST

/* More questions than c-ares is given queries at once. */
START_TEST(two_thousand_domains)
{
	struct dns_settings s = plain();
	struct dns_counters c;
	struct dns_answer a;
	unsigned got = 0, turns = 0, i;
	char name[40];

	s.outstanding_max = 2000;
	rig_new(&s);
	for (i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "gone-%u.test", i);
		ck_assert_int_eq(dns_ask(dns, span_str(name), i, now_ms), 0);
	}
	dns_count(dns, &c);
	ck_assert_uint_eq(c.outstanding, 2000);
	ck_assert_uint_eq(c.queries, 1500);
	while (got < 2000 && turns++ < 2000) {
		struct pollfd p = { .fd = dns_fd(dns), .events = POLLIN };

		poll(&p, 1, 100);
		dns_process(dns, now_ms += 10);
		while (dns_answer(dns, &a)) {
			ck_assert_int_eq(a.set->status, MX_NXDOMAIN);
			mxset_unref(&a.set);
			got++;
		}
	}
	ck_assert_uint_eq(got, 2000);
	dns_free(&dns);
}
END_TEST

START_TEST(bad_names_and_servers)
{
	static const char *const names[] = {
		"", ".", "a..b", ".a", "a b.test", "m\xc3\xbc.test", "a/b",
	};
	static const char *const wrong[] = {
		"",     "localhost", "127.0.0.1:x", "127.0.0.1:70000",
		"[::1", "[::1]x",    "1.2.3"
	};
	struct dns_settings s = plain();
	char name[300];
	size_t i;

	rig_new(&s);
	for (i = 0; i < ARRAY_LEN(names); i++)
		ck_assert_int_eq(dns_ask(dns, span_str(names[i]), 1, 1),
				 -EINVAL);
	memset(name, 'a', sizeof(name)); /* a label of 64, of 63 */
	ck_assert_int_eq(dns_ask(dns, span_of(name, 64), 1, 1), -EINVAL);
	ck_assert_int_eq(dns_ask(dns, span_of(name, 63), 1, 1), 0);
	for (i = 0; i < sizeof(name); i++)
		name[i] = i % 50 ? 'a' : '.';
	ck_assert_int_eq(dns_ask(dns, span_of(name + 1, 254), 1, 1), -EINVAL);
	ck_assert_int_eq(dns_ask(dns, span_of(name + 1, 253), 1, 1), 0);
	dns_free(&dns);
	for (i = 0; i < ARRAY_LEN(wrong); i++) {
		s.servers = &wrong[i];
		ck_assert_int_eq(dns_new(&s, &dns), -EINVAL);
	}
	s.server_count = 0;
	ck_assert_int_eq(dns_new(&s, &dns), -EINVAL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dns");
	TCase *tc = tcase_create("dns");
	SRunner *sr = srunner_create(s);
	int failed = 1, tries, up = -1;

	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, rule_07_mx_table, 0, (int)ARRAY_LEN(cases));
	tcase_add_test(tc, rule_07_at_most_32_mx);
	tcase_add_test(tc, rule_07_at_most_16_addresses);
	tcase_add_test(tc, rule_07_equals_are_shuffled);
	tcase_add_test(tc, cache_and_single_flight);
	tcase_add_test(tc, cache_is_bounded);
	tcase_add_test(tc, questions_are_bounded);
	tcase_add_test(tc, two_thousand_domains);
	tcase_add_test(tc, bad_names_and_servers);
	tmpdir_make(nsd_dir, "dns", TMPDIR_DISK);
	write_zones();
	/* Again: somebody may have taken the port meanwhile. */
	for (tries = 0; tries < 3 && up < 0; tries++) {
		nsd_kill();
		up = nsd_start();
	}
	if (up == 0) {
		srunner_run_all(sr, CK_ENV);
		failed = srunner_ntests_failed(sr);
	} else {
		fprintf(stderr, "nsd (Debian package nsd) did not start\n");
	}
	nsd_stop();
	srunner_free(sr);
	return failed ? 1 : 0;
}
