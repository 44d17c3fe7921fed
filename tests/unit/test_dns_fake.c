/*
 * tests/unit/test_dns_fake.c - what a real name server would not do for us:
 * say AD, forge, babble, refer, be silent, fall ill and recover
 */
#include "tests/unit/dns_rig.h"

#include "dns/answer.h"

#include <errno.h>

enum mood {
	GOOD,        /* MX 10 mx.DOMAIN, A 192.0.2.1; no AAAA */
	GOOD_AD,     /* the same, validated */
	HALF_AD,     /* AD on MX alone */
	SICK,        /* SERVFAIL */
	REFUSES,     /* REFUSED */
	SILENT,      /* no answer */
	BABBLE,      /* a header and noise */
	FORGED,      /* records of another owner */
	LAME,        /* a referral: no answer, neither AA nor RA */
	LOOPING,     /* CNAME to itself */
	SHORT_RDATA, /* MX and A records with too few octets */
	NXDOMAIN,    /* with an SOA: TTL 7200, MINIMUM 40 */
	MOODS
};

static enum mood mood;
static int server;
static int first = -1; /* another one, asked before it */
static enum mood first_mood;
static unsigned served;

struct packet {
	unsigned char p[512];
	size_t len;
};

static void put(struct packet *k, const void *p, size_t len)
{
	ck_assert_uint_le(k->len + len, sizeof(k->p));
	memcpy(k->p + k->len, p, len);
	k->len += len;
}

static void put16(struct packet *k, unsigned v)
{
	unsigned char p[2] = { (unsigned char)(v >> 8), (unsigned char)v };

	put(k, p, 2);
}

static void record(struct packet *k, const char *owner, size_t owner_len,
		   unsigned type, unsigned ttl, const void *rdata, size_t len)
{
	put(k, owner, owner_len);
	put16(k, type);
	put16(k, 1);
	put16(k, ttl >> 16);
	put16(k, ttl & 0xffff);
	put16(k, (unsigned)len);
	put(k, rdata, len);
}

#define QNAME  "\300\014", 2 /* a pointer to the question's name */
#define OTHER  "\005other\000", 7
#define TARGET "\000\012\002mx\300\014", 7 /* 10 mx.<question> */

static const char soa[] = "\000\000" /* two names */
			  "\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\050";

static unsigned flags_of(unsigned type)
{
	switch (mood) {
	case GOOD_AD:
		return 0x81a0;
	case HALF_AD:
		return type == DNS_MX ? 0x81a0 : 0x8180;
	case SICK:
		return 0x8182;
	case REFUSES:
		return 0x8185;
	case LAME:
		return 0x8100;
	case NXDOMAIN:
		return 0x8183;
	default:
		return 0x8180;
	}
}

/* The answer records; their count. */
static unsigned put_answers(struct packet *k, unsigned type)
{
	switch (mood) {
	case GOOD:
	case GOOD_AD:
	case HALF_AD:
		if (type == DNS_MX)
			record(k, QNAME, type, 60, TARGET);
		else if (type == DNS_A)
			record(k, QNAME, type, 60, "\300\0\2\1", 4);
		return type != DNS_AAAA;
	case FORGED:
		if (type == DNS_MX)
			record(k, OTHER, type, 60, TARGET);
		else
			record(k, OTHER, type, 60, "\300\0\2\1", 4);
		return 1;
	case LOOPING:
		record(k, QNAME, 5, 60, "\300\014", 2);
		return 1;
	case SHORT_RDATA:
		record(k, QNAME, type, 60, "\0", 1);
		return 1;
	default:
		return 0;
	}
}

static void reply(int fd, const unsigned char *q, size_t len,
		  const struct sockaddr_in *to)
{
	struct packet k = { .len = 0 };
	size_t end = 12 + strlen((const char *)q + 12) + 5;
	unsigned type = (unsigned)q[end - 4] << 8 | q[end - 3], count;

	ck_assert_uint_le(end, len);
	put(&k, q, 2);
	put16(&k, flags_of(type));
	put16(&k, 1);
	put(&k, "\0\0\0\0\0\0", 6);
	put(&k, q + 12, end - 12);
	count = put_answers(&k, type);
	k.p[7] = (unsigned char)count;
	if (mood == NXDOMAIN) {
		record(&k, QNAME, 6, 7200, soa, sizeof(soa) - 1);
		k.p[9] = 1;
	}
	if (mood == BABBLE)
		memset(k.p + end, 0xc3, sizeof(k.p) - (k.len = 200) - end);
	if (mood == BABBLE)
		k.p[7] = 9;
	sendto(fd, k.p, k.len, 0, (const struct sockaddr *)to, sizeof(*to));
}

static void serve_at(int fd)
{
	unsigned char q[1024];
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	ssize_t n;

	while ((n = recvfrom(fd, q, sizeof(q) - 1, MSG_DONTWAIT,
			     (struct sockaddr *)&from, &from_len)) > 17) {
		q[n] = 0;
		served++;
		/* RD and AD asked for; OPT with DO at the end. */
		ck_assert_int_eq(q[2] << 8 | q[3], 0x0120);
		ck_assert_int_eq(q[n - 4] << 8 | q[n - 3], 0x8000);
		if (mood != SILENT)
			reply(fd, q, (size_t)n, &from);
	}
}

static void serve(void)
{
	enum mood of_second = mood;

	if (first >= 0) {
		mood = first_mood;
		serve_at(first);
		mood = of_second;
	}
	serve_at(server);
}

static struct mxset *ask(const char *domain)
{
	struct dns_answer a;
	int turn;

	ck_assert_int_eq(dns_ask(dns, span_str(domain), 1, now_ms), 0);
	for (turn = 0; turn < 1000; turn++) {
		struct pollfd p[2] = { { dns_fd(dns), POLLIN, 0 },
				       { server, POLLIN, 0 } };

		if (dns_answer(dns, &a))
			return a.set;
		poll(p, 2, 20);
		serve();
		dns_process(dns, dns_deadline(dns) == UINT64_MAX
					 ? now_ms
					 : dns_deadline(dns));
	}
	ck_abort_msg("no answer");
	return NULL;
}

static void up(enum mood m)
{
	const char *servers[] = { nsd_at };
	struct dns_settings s = { .servers = servers,
				  .server_count = 1,
				  .hostname = SPAN("our.test"),
				  .timeout_ms = 250,
				  .tries = 2 };
	uint16_t port;

	server = rig_udp(&port);
	snprintf(nsd_at, sizeof(nsd_at), "127.0.0.1:%u", port);
	rig_new(&s);
	mood = m;
}

static const struct {
	enum mood mood;
	enum mx_status status;
	bool authenticated;
	uint64_t good_for_s;
} table[] = {
	{ GOOD, MX_OK, false, 60 },
	{ GOOD_AD, MX_OK, true, 60 },
	{ HALF_AD, MX_OK, false, 60 },
	{ SICK, MX_TEMPFAIL, false, 5 },
	{ REFUSES, MX_TEMPFAIL, false, 5 },
	{ SILENT, MX_TEMPFAIL, false, 0 }, /* time goes on meanwhile */
	{ BABBLE, MX_TEMPFAIL, false, 5 },
	{ FORGED, MX_TEMPFAIL, false, 5 },
	{ LAME, MX_TEMPFAIL, false, 5 },
	{ LOOPING, MX_TEMPFAIL, false, 5 },
	{ SHORT_RDATA, MX_TEMPFAIL, false, 5 },
	{ NXDOMAIN, MX_NXDOMAIN, false, 40 },
};

START_TEST(rule_07_moods)
{
	struct mxset *set;

	ck_assert_uint_eq(ARRAY_LEN(table), MOODS);
	up(table[_i].mood);
	set = ask("some.test");
	ck_assert_int_eq(set->status, table[_i].status);
	ck_assert_int_eq(set->authenticated, table[_i].authenticated);
	if (table[_i].good_for_s > 0)
		ck_assert_uint_eq((set->expires_ms - now_ms + 500) / 1000,
				  table[_i].good_for_s);
	ck_assert_uint_eq(set->host_count, set->status == MX_OK);
	mxset_unref(&set);
	dns_free(&dns);
}
END_TEST

/* 5, 10, 20, 30, 30 s; one good answer, and it begins anew. */
START_TEST(rule_07_temporary_failures_double)
{
	static const uint64_t want[] = { 5, 10, 20, 30, 30 };
	struct mxset *set;
	size_t i;

	up(SICK);
	for (i = 0; i <= ARRAY_LEN(want); i++) {
		mood = i < ARRAY_LEN(want) ? SICK : GOOD;
		set = ask("some.test");
		ck_assert_uint_eq((set->expires_ms - now_ms + 500) / 1000,
				  i < ARRAY_LEN(want) ? want[i] : 60);
		now_ms = set->expires_ms;
		mxset_unref(&set);
	}
	/* An hour later nothing stale is left. */
	now_ms += 3600 * 1000;
	mood = SICK;
	set = ask("some.test");
	ck_assert_int_eq(set->status, MX_TEMPFAIL);
	ck_assert_uint_eq((set->expires_ms - now_ms + 500) / 1000, 5);
	mxset_unref(&set);
	dns_free(&dns);
}
END_TEST

/* While the server is ill an old answer serves, an hour at most. */
START_TEST(stale_answers)
{
	struct dns_counters c;
	struct mxset *set;
	uint64_t expired;
	unsigned before;

	up(GOOD_AD);
	set = ask("some.test");
	expired = now_ms = set->expires_ms;
	mxset_unref(&set);
	mood = SICK;
	set = ask("some.test");
	ck_assert_int_eq(set->status, MX_OK);
	ck_assert_str_eq(set->hosts[0].name, "mx.some.test");
	ck_assert_uint_eq(set->hosts[0].addr_count, 1);
	ck_assert(!set->authenticated);
	ck_assert_uint_eq((set->expires_ms - now_ms + 500) / 1000, 30);
	mxset_unref(&set);
	before = served;
	set = ask("some.test"); /* from the cache */
	mxset_unref(&set);
	ck_assert_uint_eq(served, before);
	now_ms = expired + 3599 * 1000;
	set = ask("some.test");
	ck_assert_int_eq(set->status, MX_OK);
	ck_assert_uint_gt(served, before);
	mxset_unref(&set);
	now_ms = expired + 3700 * 1000;
	set = ask("some.test");
	ck_assert_int_eq(set->status, MX_TEMPFAIL);
	mxset_unref(&set);
	dns_count(dns, &c);
	ck_assert_uint_eq(c.stale, 2);
	dns_free(&dns);
}
END_TEST

/* A stale NXDOMAIN would bounce mail for nothing. */
START_TEST(rule_07_no_stale_refusals)
{
	struct mxset *set;

	up(NXDOMAIN);
	set = ask("some.test");
	now_ms = set->expires_ms;
	mxset_unref(&set);
	mood = SICK;
	set = ask("some.test");
	ck_assert_int_eq(set->status, MX_TEMPFAIL);
	mxset_unref(&set);
	dns_free(&dns);
}
END_TEST

/* The first server does this: the second is asked; and when both do, that is
 * said in words. */
static const struct {
	enum mood mood;
	const char *why;
} firsts[] = {
	{ SILENT, "no name server answered in time" },
	{ SICK, "none of the name servers gives an answer" },
	{ REFUSES, "none of the name servers gives an answer" },
};

START_TEST(rule_07_second_server)
{
	const char *servers[2];
	struct dns_settings s = { .servers = servers,
				  .server_count = 2,
				  .timeout_ms = 250,
				  .tries = 1 };
	char first_at[32];
	struct mxset *set;
	uint16_t port;

	first = rig_udp(&port);
	first_mood = firsts[_i].mood;
	snprintf(first_at, sizeof(first_at), "127.0.0.1:%u", port);
	server = rig_udp(&port);
	snprintf(nsd_at, sizeof(nsd_at), "127.0.0.1:%u", port);
	servers[0] = first_at;
	servers[1] = nsd_at;
	rig_new(&s);
	mood = GOOD;
	set = ask("some.test");
	ck_assert_int_eq(set->status, MX_OK);
	mxset_unref(&set);
	mood = first_mood;
	set = ask("other.test");
	ck_assert_int_eq(set->status, MX_TEMPFAIL);
	ck_assert_str_eq(set->why, firsts[_i].why);
	mxset_unref(&set);
	dns_free(&dns);
	close(first);
	first = -1;
}
END_TEST

/* Nobody listens: many questions fail at once, without a deep recursion. */
START_TEST(no_server_at_all)
{
	struct dns_answer a;
	char name[32];
	int i, n = 0;

	up(SILENT);
	close(server);
	for (i = 0; i < 900; i++) {
		snprintf(name, sizeof(name), "d%d.test", i);
		ck_assert_int_eq(dns_ask(dns, span_str(name), 1, now_ms), 0);
	}
	for (i = 0; i < 400 && n < 900; i++) {
		struct pollfd p = { .fd = dns_fd(dns), .events = POLLIN };

		poll(&p, 1, 20);
		dns_process(dns, now_ms += 100);
		while (dns_answer(dns, &a)) {
			ck_assert_int_eq(a.set->status, MX_TEMPFAIL);
			mxset_unref(&a.set);
			n++;
		}
	}
	ck_assert_int_eq(n, 900);
	dns_free(&dns);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dns_fake");
	TCase *tc = tcase_create("dns_fake");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, rule_07_moods, 0, (int)ARRAY_LEN(table));
	tcase_add_test(tc, rule_07_temporary_failures_double);
	tcase_add_test(tc, stale_answers);
	tcase_add_test(tc, rule_07_no_stale_refusals);
	tcase_add_loop_test(tc, rule_07_second_server, 0,
			    (int)ARRAY_LEN(firsts));
	tcase_add_test(tc, no_server_at_all);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
