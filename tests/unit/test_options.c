/*
 * The configuration: the table against its three readers, values, errors with
 * their places.  Run with the source folder as the argument.
 */
#include "options/print.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const char *source_dir;
static char words[64 << 10];

static int parse(const char *text, struct settings *set)
{
	return settings_parse("t.yaml", text, strlen(text), set, words,
			      sizeof(words));
}

static void read_file(const char *name, struct buf *out)
{
	char path[4096], block[4096];
	size_t got;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", source_dir, name);
	f = fopen(path, "r");
	ck_assert_msg(f != NULL, "%s", path);
	while ((got = fread(block, 1, sizeof(block), f)) > 0)
		ck_assert_int_eq(buf_add(out, block, got), 0);
	fclose(f);
}

static void same_as_file(const char *name, const struct buf *made)
{
	struct buf file;

	buf_init(&file, 1 << 20);
	read_file(name, &file);
	ck_assert_msg(span_eq(buf_span(&file), buf_span(made)),
		      "%s is not what the option table makes", name);
	buf_free(&file);
}

START_TEST(sample_and_manual_are_the_table)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	options_print_sample(&b);
	ck_assert_int_eq(b.failed, 0);
	same_as_file("conf/mtaq.yaml", &b);
	buf_clear(&b);
	options_print_manual(&b);
	ck_assert_int_eq(b.failed, 0);
	same_as_file("docs/mtaq.yaml.md", &b);
	buf_free(&b);
}
END_TEST

static void printed(const struct settings *set, struct buf *out)
{
	buf_clear(out);
	options_print_settings(set, false, out);
	ck_assert_int_eq(out->failed, 0);
}

/* The sample with a name filled in is the same as a name alone. */
START_TEST(sample_loads_to_the_defaults)
{
	static const char empty[] = "hostname: \"\"";
	struct settings a, b;
	struct buf sample, text, pa, pb;
	const char *at;

	buf_init(&sample, 1 << 20);
	buf_init(&text, 1 << 20);
	buf_init(&pa, 1 << 20);
	buf_init(&pb, 1 << 20);
	options_print_sample(&sample);
	at = memmem(sample.p, sample.len, empty, strlen(empty));
	ck_assert_ptr_nonnull(at);
	(void)buf_add(&text, sample.p, (size_t)(at - sample.p));
	(void)buf_add_span(&text, SPAN("hostname: a.b"));
	at += strlen(empty);
	(void)buf_add(&text, at, (size_t)(sample.p + sample.len - at));
	ck_assert_int_eq(
		settings_parse("s", text.p, text.len, &a, words, sizeof(words)),
		0);
	ck_assert_int_eq(parse("hostname: a.b\n", &b), 0);
	printed(&a, &pa);
	printed(&b, &pb);
	ck_assert(span_eq(buf_span(&pa), buf_span(&pb)));
	settings_free(&a);
	settings_free(&b);
	buf_free(&sample);
	buf_free(&text);
	buf_free(&pa);
	buf_free(&pb);
}
END_TEST

/* docs/SMTP.md 10, 17 and 31: what a configuration that says nothing does. */
START_TEST(rule_10_defaults_are_no_shorter)
{
	struct settings s;
	size_t i;

	ck_assert_int_eq(parse("hostname: a.b\n", &s), 0);
	{
		const struct {
			uint64_t ms, least_s;
		} waits[] = {
			{ s.smtp.timeout.connect_ms, 30 },
			{ s.smtp.timeout.greeting_ms, 300 },
			{ s.smtp.timeout.ehlo_ms, 300 },
			{ s.smtp.timeout.mail_ms, 300 },
			{ s.smtp.timeout.rcpt_ms, 300 },
			{ s.smtp.timeout.data_ms, 120 },
			{ s.smtp.timeout.block_ms, 180 },
			{ s.smtp.timeout.dot_ms, 600 },
			{ s.smtp.timeout.session_ms, 600 },
			{ s.greylist_s * UINT64_C(1000), 300 },
			{ s.mailbox_full_s * UINT64_C(1000), 3600 },
			{ s.age_limit_s * UINT64_C(1000), 5 * 86400 },
			{ s.unsure.first_s * UINT64_C(1000), 900 },
		};

		for (i = 0; i < sizeof(waits) / sizeof(waits[0]); i++)
			ck_assert_msg(waits[i].ms >= waits[i].least_s * 1000,
				      "wait %zu is %llu ms", i,
				      (unsigned long long)waits[i].ms);
	}
	ck_assert_uint_eq(s.unsure.max, 5);
	settings_free(&s);
}
END_TEST

static const char full[] =
	"hostname: \"[IPv6:2001:db8::1]\"\nspool: \"/a b\"\nuser: mail\n"
	"workers: 3\nio_backend: epoll\ndns: { servers: [192.0.2.1, "
	"\"[::1]:5353\"], timeout: 1500ms }\nsmtp:\n  port: 2525\n"
	"  sources: [192.0.2.7, \"2001:db8::7\"]\n"
	"  timeout: { dot: 2s, connect: 300ms }\n"
	"log: { events: \"\", level: debug }\n"
	"routes: { B.example: \"[::1]:25\", \"*\": 127.0.0.1:2525, "
	"a.example: relay.example.net:587 }\n"
	"retry: [1s, 1h30m]\nage_limit: 2d\nmessage_bytes_max: 10MB\n"
	"queue: { segment_bytes: 4MiB }\nreceived: no\n"
	"bare_newlines: refuse\neightbit: bounce\n";

START_TEST(every_kind_of_value)
{
	struct settings s;

	ck_assert_msg(parse(full, &s) == 0, "%s", words);
	ck_assert_str_eq(s.hostname, "[IPv6:2001:db8::1]");
	ck_assert_str_eq(s.spool, "/a b");
	ck_assert_uint_eq(s.workers, 3);
	ck_assert_int_eq(s.io_backend, SETTINGS_IO_EPOLL);
	ck_assert_uint_eq(s.dns.servers.count, 2);
	ck_assert_uint_eq(s.dns.servers.items[0].port, 53);
	ck_assert_str_eq(s.dns.servers.items[1].host, "::1");
	ck_assert_uint_eq(s.dns.servers.items[1].port, 5353);
	ck_assert_uint_eq(s.dns.timeout_ms, 1500);
	ck_assert_uint_eq(s.smtp.port, 2525);
	ck_assert_str_eq(s.smtp.sources.items[1], "2001:db8::7");
	ck_assert_uint_eq(s.smtp.timeout.dot_ms, 2000);
	ck_assert_uint_eq(s.smtp.timeout.mail_ms, 300000);
	ck_assert_str_eq(s.log.events, "");
	ck_assert_int_eq(s.log.level, SETTINGS_LEVEL_DEBUG);
	ck_assert_uint_eq(s.retry.count, 2);
	ck_assert_uint_eq(s.retry.items_s[1], 5400);
	ck_assert_uint_eq(s.age_limit_s, 172800);
	ck_assert_uint_eq(s.message_bytes_max, 10000000);
	ck_assert_uint_eq(s.queue.segment_bytes, 4u << 20);
	ck_assert(!s.received);
	ck_assert_int_eq(s.bare_newlines, SETTINGS_NEWLINES_REFUSE);
	ck_assert_int_eq(s.eightbit, SETTINGS_EIGHTBIT_BOUNCE);
	settings_free(&s);
	ck_assert_ptr_null(s.hostname);
}
END_TEST

START_TEST(what_is_printed_loads_to_the_same)
{
	struct settings a, b;
	struct buf pa, pb;

	buf_init(&pa, 1 << 20);
	buf_init(&pb, 1 << 20);
	ck_assert_int_eq(parse(full, &a), 0);
	printed(&a, &pa);
	ck_assert_msg(settings_parse("p", pa.p, pa.len, &b, words,
				     sizeof(words)) == 0,
		      "%s", words);
	printed(&b, &pb);
	ck_assert(span_eq(buf_span(&pa), buf_span(&pb)));
	settings_free(&a);
	settings_free(&b);
	buf_free(&pa);
	buf_free(&pb);
}
END_TEST

START_TEST(routes_own_entry_before_star)
{
	const struct settings_endpoint *to;
	struct settings s;

	ck_assert_int_eq(parse(full, &s), 0);
	to = settings_route(&s, "b.example", 9);
	ck_assert_str_eq(to->host, "::1");
	to = settings_route(&s, "a.example", 9);
	ck_assert_str_eq(to->host, "relay.example.net");
	ck_assert_uint_eq(to->port, 587);
	to = settings_route(&s, "a.example.org", 13);
	ck_assert_uint_eq(to->port, 2525);
	to = settings_route(&s, "a.exampl", 8);
	ck_assert_uint_eq(to->port, 2525);
	settings_free(&s);
	ck_assert_int_eq(
		parse("hostname: a.b\nroutes: { x.y: \"[::1]:1\" }", &s), 0);
	ck_assert_ptr_null(settings_route(&s, "z.y", 3));
	ck_assert_ptr_nonnull(settings_route(&s, "x.y", 3));
	settings_free(&s);
}
END_TEST

/* clang-format off */
static const struct {
	const char *text, *place, *why;
} bad[] = {
{ "", "t.yaml: ", "hostname is not set" },
{ "spool: /x\n", "t.yaml: ", "hostname is not set" },
{ "hostname: localhost\n", ":1:11: ", "full host name" },
{ "hostname: 192.0.2.1\n", ":1:11: ", "full host name" },
{ "hostname: \"a b.c\"\n", ":1:12: ", "full host name" },
{ "hostnam: a.b\n", ":1:1: ", "did you mean 'hostname'?" },
{ "hostname: a.b\nlimits:\n  conections: 1\n", ":3:3: ",
  "unknown option 'limits.conections'; did you mean 'limits.connections'?" },
{ "hostname: a.b\nidle: 5s\n", ":2:1: ", "did you mean 'session.idle'?" },
{ "hostname: a.b\nqqqqqqqqq: 5s\n", ":2:1: ", "--defaults" },
{ "hostname: a.b\nspool: /a\nspool: /b\n", ":3:1: ",
  "'spool' stands here twice, first in line 2" },
{ "hostname: a.b\nlimits: { tasks: 1000, tasks: 1000 }\n", ":2:24: ", "twice" },
{ "hostname: a.b\nroutes: { A.b: \"x:1\", a.B: \"x:1\" }\n", ":2:23: ", "twice" },
{ "hostname: a.b\nspool: x\n", ":2:8: ", "absolute path" },
{ "hostname: a.b\nspool: \"\"\n", ":2:9: ", "must not be empty" },
{ "hostname: a.b\nspool: \"/a\\nb\"\n", ":2:9: ", "control" },
{ "hostname: a.b\nspool: [/x]\n", ":2:8: ", "one value is wanted here, not a list" },
{ "hostname: a.b\nlimits: { connections: 0 }\n", ":2:24: ", "1 to 1000000" },
{ "hostname: a.b\nlimits: { connections: -1 }\n", ":2:24: ", "1 to 1000000" },
{ "hostname: a.b\nlimits: { connections: 99999999999999999999 }\n", ":2:24: ",
  "1 to 1000000" },
{ "hostname: a.b\nworkers: many\n", ":2:10: ", "auto or 1 to 64" },
{ "hostname: a.b\nsmtp: { port: 70000 }\n", ":2:15: ", "1 to 65535" },
{ "hostname: a.b\nretry: 5\n", ":2:8: ", "with a unit" },
{ "hostname: a.b\nretry: [5s, 1500ms]\n", ":2:13: ", "whole seconds" },
{ "hostname: a.b\nretry: []\n", ":2:8: ", "at least one" },
{ "hostname: a.b\nretry: [1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, "
  "1s, 1s, 1s]\n", ":2:", "too many" },
{ "hostname: a.b\ndns: { servers: [::1, ::1, ::1, ::1, ::1, ::1, ::1, ::1, ::1] }\n",
  ":2:", "too many" },
{ "hostname: a.b\nretry: { a: 5s }\n", ":2:8: ", "a list of durations" },
{ "hostname: a.b\nmin_free: 1ZB\n", ":2:11: ", "must be a size" },
{ "hostname: a.b\nmin_free: 1B\n", ":2:11: ", "1MiB to 1TiB" },
{ "hostname: a.b\nreceived: maybe\n", ":2:11: ", "yes or no" },
{ "hostname: a.b\nio_backend: kqueue\n", ":2:13: ", "auto, io_uring or epoll" },
{ "hostname: a.b\ndns: { servers: [ns.example] }\n", ":2:18: ", "IP address" },
{ "hostname: a.b\ndns: 5\n", ":2:6: ", "options are wanted here" },
{ "hostname: a.b\nsmtp: { sources: [x] }\n", ":2:19: ", "IP address" },
{ "hostname: a.b\nroutes: { a.b: relay }\n", ":2:11: ", "host and a port" },
{ "hostname: a.b\nroutes: { a.b: \"x:0\" }\n", ":2:11: ", "host and a port" },
{ "hostname: a.b\nroutes: { a..b: \"x:1\" }\n", ":2:11: ", "neither a domain" },
{ "hostname: a.b\nroutes: { *: \"x:1\" }\n", ":2:12: ", "in quotes" },
{ "hostname: a.b\nroutes: 5\n", ":2:9: ", "map of domain" },
{ "hostname: a.b\nhost: { bad_first: 2h }\n", "t.yaml: ", "host.bad_max" },
{ "hostname: a.b\nlimits: { tasks: 1000 }\n", "t.yaml: ", "limits.tasks" },
{ "hostname: a.b\ncheckpoint: { interval: 2s }\n", "t.yaml: ", "checkpoint.age" },
{ "hostname: a.b\nmetrics: { listen: \"0.0.0.0:9090\" }\n", ":2:21: ",
  "a loopback address" },
{ "hostname: a.b\nmetrics: { listen: \"[::]:9090\" }\n", ":2:21: ", "loopback" },
{ "hostname: a.b\nmetrics: { listen: \"127.0.0.1\" }\n", ":2:21: ", "port" },
{ "hostname: a.b\nmetrics: { listen: \"127.0.0.1:0\" }\n", ":2:21: ", "port" },
{ "hostname: a.b\nmetrics: { listen: \"localhost:1\" }\n", ":2:21: ", "loopback" },
{ "hostname: a.b\nmetrics: { listen: \"127.evil.test:1\" }\n", ":2:21: ",
  "loopback" },
{ "hostname: a.b\nmetrics: { listen: metrics.sock }\n", ":2:20: ", "absolute" },
{ "hostname: &x a.b\n", ":1:14: ", "anchors" },
{ "hostname: !x a.b\n", ":1:14: ", "tags" },
{ "hostname: \"a.b\n", "t.yaml:", "closing quote" },
{ "- a\n", ":1:1: ", "options are wanted" },
{ "--- {hostname: a.b}\n--- {hostname: a.b}\n", "t.yaml", "one YAML document" },
{ "? [a]\n: b\n", ":1:3: ", "must be a word" },
{ "a: [[[[[[[[[[1]]]]]]]]]]\n", ":1:", "nested too deeply" },
{ "# gr\xc3\xbc\xc3\x9f\nspool: \xf6se\n", ":2:8: ", "0xf6 is no UTF-8" },
};
/* clang-format on */

START_TEST(what_is_refused)
{
	struct settings s;

	memset(&s, 7, sizeof(s));
	ck_assert_msg(parse(bad[_i].text, &s) == -EINVAL, "%s", bad[_i].text);
	ck_assert_msg(strstr(words, bad[_i].place) != NULL, "%s: %s",
		      bad[_i].text, words);
	ck_assert_msg(strstr(words, bad[_i].why) != NULL, "%s: %s",
		      bad[_i].text, words);
	ck_assert_int_eq(((unsigned char *)&s)[0], 7);
}
END_TEST

START_TEST(error_shows_line_and_caret)
{
	struct settings s;

	ck_assert_int_eq(parse("hostname: a.b\nlog: { level: loud }\n", &s),
			 -EINVAL);
	ck_assert_str_eq(words, "t.yaml:2:15: log.level: 'loud' must be "
				"error, warning, info or debug\n"
				"    2 | log: { level: loud }\n"
				"      |               ^\n");
}
END_TEST

START_TEST(all_errors_are_told_but_not_without_end)
{
	struct settings s;
	struct buf b;
	int i, found = 0;
	char *at = words;

	buf_init(&b, 1 << 20);
	for (i = 0; i < 30; i++)
		(void)buf_printf(&b, "zzzzzzzzz%d: 1\n", i);
	ck_assert_int_eq(
		settings_parse("t", b.p, b.len, &s, words, sizeof(words)),
		-EINVAL);
	while ((at = strstr(at, "unknown option")) != NULL) {
		found++;
		at++;
	}
	ck_assert_int_eq(found, 20);
	ck_assert_ptr_nonnull(strstr(words, "10 more errors"));
	/* A short buffer is filled and ended. */
	ck_assert_int_eq(settings_parse("t", b.p, b.len, &s, words, 10),
			 -EINVAL);
	ck_assert_uint_eq(strlen(words), 9);
	buf_free(&b);
}
END_TEST

START_TEST(a_file_cannot_write_to_the_terminal)
{
	struct settings s;

	ck_assert_int_eq(parse("hostname: a.b\nx: \"\x1b[31m\"\n", &s),
			 -EINVAL);
	ck_assert_ptr_null(strchr(words, '\x1b'));
	ck_assert_int_eq(parse("hostname: a.b\n\"\\e[31m\": 1\n", &s), -EINVAL);
	ck_assert_ptr_null(strchr(words, '\x1b'));
	ck_assert_int_eq(
		settings_parse("t", "a\0b", 3, &s, words, sizeof(words)),
		-EINVAL);
	ck_assert_ptr_nonnull(strstr(words, "NUL"));
}
END_TEST

START_TEST(durations)
{
	static const struct {
		const char *text;
		uint64_t ms;
		const char *back;
	} good[] = { { "0", 0, "0" },
		     { "1ms", 1, "1ms" },
		     { "90s", 90000, "90s" },
		     { "1h30m", 5400000, "90m" },
		     { "5d", 432000000, "5d" },
		     { "1w", 604800000, "7d" },
		     { "1m1ms", 60001, "60001ms" } };
	static const char *const wrong[] = { "",
					     "5",
					     "s",
					     "5x",
					     "-5s",
					     "5 s",
					     "1.5s",
					     "5s5",
					     "18446744073709551615s",
					     "99999999999999999999ms" };
	uint64_t ms = 3;
	struct buf b;

	buf_init(&b, 100);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ck_assert_int_eq(option_duration(span_str(good[i].text), &ms),
				 0);
		ck_assert_uint_eq(ms, good[i].ms);
		buf_clear(&b);
		option_print_duration(ms, &b);
		ck_assert(span_eq(buf_span(&b), span_str(good[i].back)));
	}
	ms = 3;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_msg(option_duration(span_str(wrong[i]), &ms) ==
				      -EINVAL,
			      "%s", wrong[i]);
	ck_assert_uint_eq(ms, 3);
	buf_free(&b);
}
END_TEST

START_TEST(sizes)
{
	static const struct {
		const char *text;
		uint64_t bytes;
		const char *back;
	} good[] = { { "0", 0, "0" },
		     { "17", 17, "17" },
		     { "50MiB", 50u << 20, "50MiB" },
		     { "1 GiB", 1u << 30, "1GiB" },
		     { "1kB", 1000, "1000" },
		     { "2TB", 2000000000000, "1953125000KiB" } };
	static const char *const wrong[] = { "",      "x",          "1k",
					     "1mb",   "-1",         "1.5MiB",
					     "1MiB1", "99999999TiB" };
	uint64_t bytes;
	struct buf b;

	buf_init(&b, 100);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ck_assert_int_eq(option_size(span_str(good[i].text), &bytes),
				 0);
		ck_assert_uint_eq(bytes, good[i].bytes);
		buf_clear(&b);
		option_print_size(bytes, &b);
		ck_assert(span_eq(buf_span(&b), span_str(good[i].back)));
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_msg(option_size(span_str(wrong[i]), &bytes) ==
				      -EINVAL,
			      "%s", wrong[i]);
	buf_free(&b);
}
END_TEST

START_TEST(which_file)
{
	struct settings s;

	unsetenv(SETTINGS_FILE_ENV);
	ck_assert_str_eq(settings_path(NULL), SETTINGS_FILE);
	setenv(SETTINGS_FILE_ENV, "/e", 1);
	ck_assert_str_eq(settings_path(NULL), "/e");
	ck_assert_str_eq(settings_path("/c"), "/c");
	setenv(SETTINGS_FILE_ENV, "", 1);
	ck_assert_str_eq(settings_path(NULL), SETTINGS_FILE);
	ck_assert_int_eq(
		settings_load("/nonexistent/x", &s, words, sizeof(words)),
		-ENOENT);
	ck_assert_ptr_nonnull(strstr(words, "/nonexistent/x: cannot be read: "
					    "No such file"));
	ck_assert_int_eq(settings_load("/", &s, words, sizeof(words)), -EISDIR);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *s = suite_create("options");
	TCase *t = tcase_create("options");
	SRunner *r;
	int failed;

	source_dir = argc > 1 ? argv[1] : ".";
	tcase_add_test(t, sample_and_manual_are_the_table);
	tcase_add_test(t, sample_loads_to_the_defaults);
	tcase_add_test(t, rule_10_defaults_are_no_shorter);
	tcase_add_test(t, every_kind_of_value);
	tcase_add_test(t, what_is_printed_loads_to_the_same);
	tcase_add_test(t, routes_own_entry_before_star);
	tcase_add_loop_test(t, what_is_refused, 0,
			    (int)(sizeof(bad) / sizeof(bad[0])));
	tcase_add_test(t, error_shows_line_and_caret);
	tcase_add_test(t, all_errors_are_told_but_not_without_end);
	tcase_add_test(t, a_file_cannot_write_to_the_terminal);
	tcase_add_test(t, durations);
	tcase_add_test(t, sizes);
	tcase_add_test(t, which_file);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
