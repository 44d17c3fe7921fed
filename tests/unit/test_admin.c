/*
 * tests/unit/test_admin.c - the control socket: lines, server, client
 */
#include "admin/client.h"
#include "admin/server.h"

#include "tests/unit/tmpdir.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* --- lines ----------------------------------------------------------------- */

static const struct line_case {
	const char *line;
	int want;
	const char *again; /* written from what was read; NULL: as line */
} line_cases[] = {
	{ "status", 0, NULL },
	{ "queue.list\tdomain=a.example", 0, NULL },
	{ "x\ta:0\tb:18446744073709551615", 0, NULL },
	{ "x\ta:007", 0, "x\ta:7" },
	{ "x\ta=", 0, NULL },
	{ "x\ta=%09%0A%25%00", 0, NULL },
	{ "x\ta=b=c:d", 0, NULL },
	{ "x\ta=%41", 0, "x\ta=A" },
	{ "x\ta=gr\xc3\xbc\xc3\x9f", 0, NULL },
	{ "", -EINVAL, NULL },
	{ "X", -EINVAL, NULL },
	{ "x y", -EINVAL, NULL },
	{ "x\t", -EINVAL, NULL },
	{ "x\ta", -EINVAL, NULL },
	{ "x\t=1", -EINVAL, NULL },
	{ "x\tA=1", -EINVAL, NULL },
	{ "x\ta=1\t", -EINVAL, NULL },
	{ "x\ta:", -EINVAL, NULL },
	{ "x\ta:-1", -EINVAL, NULL },
	{ "x\ta:18446744073709551616", -EINVAL, NULL },
	{ "x\ta:000000000000000000001", -EINVAL, NULL },
	{ "x\ta=%", -EINVAL, NULL },
	{ "x\ta=%4", -EINVAL, NULL },
	{ "x\ta=%4g", -EINVAL, NULL },
	{ "x\ta=%0a", -EINVAL, NULL },
	{ "x\ta=\r", -EINVAL, NULL },
	{ "x\ta=\x7f", -EINVAL, NULL },
	{ "abcdefghijklmnopqrstuvwxyz.abcde", 0, NULL },
	{ "abcdefghijklmnopqrstuvwxyz.abcdef", -EINVAL, NULL },
};

static void write_record(struct buf *out, const struct admin_record *rec)
{
	char word[ADMIN_WORD_MAX + 1];
	uint32_t i;

	snprintf(word, sizeof(word), "%.*s", (int)rec->verb.len, rec->verb.p);
	admin_begin(out, word);
	for (i = 0; i < rec->count; i++) {
		const struct admin_field *f = &rec->fields[i];

		snprintf(word, sizeof(word), "%.*s", (int)f->key.len, f->key.p);
		if (f->is_number)
			admin_number(out, word, f->number);
		else
			admin_text(out, word, f->text);
	}
}

START_TEST(lines)
{
	const struct line_case *c = &line_cases[_i];
	const char *want = c->again == NULL ? c->line : c->again;
	struct admin_record rec;
	char line[200];
	struct buf b;

	snprintf(line, sizeof(line), "%s", c->line);
	ck_assert_msg(admin_parse(line, strlen(line), &rec) == c->want,
		      "case %d: %s", _i, c->line);
	if (c->want < 0)
		return;
	buf_init(&b, 1000);
	write_record(&b, &rec);
	ck_assert_msg(span_eq(buf_span(&b), span_str(want)), "case %d: %.*s",
		      _i, (int)b.len, b.p);
	buf_free(&b);
}
END_TEST

START_TEST(no_more_fields_than_fit)
{
	struct admin_record rec;
	struct buf b;
	unsigned i;

	buf_init(&b, 10000);
	admin_begin(&b, "x");
	for (i = 0; i < ADMIN_FIELDS_MAX; i++)
		admin_number(&b, "n", i);
	ck_assert_int_eq(admin_parse(b.p, b.len, &rec), 0);
	ck_assert_uint_eq(rec.count, ADMIN_FIELDS_MAX);
	admin_number(&b, "n", i);
	ck_assert_int_eq(admin_parse(b.p, b.len, &rec), -EINVAL);
	buf_free(&b);
}
END_TEST

START_TEST(fields_are_found_by_name)
{
	char line[] = "x\ta=1\tb:2\ta=3";
	struct admin_record rec;

	ck_assert_int_eq(admin_parse(line, strlen(line), &rec), 0);
	ck_assert(span_eq(admin_text_of(&rec, "a"), SPAN("1")));
	ck_assert_uint_eq(admin_number_of(&rec, "a"), 0);
	ck_assert_uint_eq(admin_number_of(&rec, "b"), 2);
	ck_assert_uint_eq(admin_text_of(&rec, "c").len, 0);
	ck_assert_ptr_null(admin_find(&rec, "c"));
}
END_TEST

/* --- server and client ----------------------------------------------------- */

static char dir[TMPDIR_BYTES], path[108];
static struct admin_server *server;
static uint64_t now_ms;

static void setup(void)
{
	char words[200] = "";

	tmpdir_make(dir, "admin", TMPDIR_DISK);
	snprintf(path, sizeof(path), "%s/s", dir);
	now_ms = 1000;
	ck_assert_msg(admin_server_open(path, words, sizeof(words), &server) ==
			      0,
		      "%s", words);
}

static void teardown(void)
{
	admin_server_close(&server);
	ck_assert_int_eq(access(path, F_OK), -1);
	tmpdir_remove(dir);
}

static struct admin_request *next_request(void)
{
	admin_server_turn(server, now_ms);
	admin_server_turn(server, now_ms); /* accepted before, read now */
	return admin_server_next(server);
}

START_TEST(the_socket_is_for_owner_and_group)
{
	char words[200] = "";
	struct admin_server *other;
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0660);
	ck_assert_int_eq(admin_server_open(path, words, sizeof(words), &other),
			 -EADDRINUSE);
	ck_assert(strstr(words, path) != NULL);
}
END_TEST

START_TEST(rows_and_ok)
{
	struct admin_client c;
	struct admin_request *req;

	ck_assert_int_eq(admin_client_open(&c, path), 0);
	admin_begin(&c.out, "ask");
	admin_text(&c.out, "what", SPAN("a\tb\n%"));
	admin_end(&c.out);
	ck_assert_int_eq(admin_client_ask(&c), 0);
	req = next_request();
	ck_assert_ptr_nonnull(req);
	ck_assert_uint_eq(req->uid, getuid());
	ck_assert_int_eq(req->pid, getpid());
	ck_assert(span_eq(admin_text_of(&req->rec, "what"), SPAN("a\tb\n%")));
	admin_begin(req->out, "row");
	admin_number(req->out, "n", 7);
	admin_end(req->out);
	admin_ok(req->out);
	admin_server_answered(server, now_ms);
	ck_assert_int_eq(admin_client_next(&c), 1);
	ck_assert_uint_eq(admin_number_of(&c.rec, "n"), 7);
	ck_assert_int_eq(admin_client_next(&c), 0);
	admin_client_close(&c);
}
END_TEST

START_TEST(an_error_replaces_what_was_written)
{
	struct admin_client c;
	struct admin_request *req;

	ck_assert_int_eq(admin_client_open(&c, path), 0);
	admin_begin(&c.out, "ask");
	admin_end(&c.out);
	ck_assert_int_eq(admin_client_ask(&c), 0);
	req = next_request();
	ck_assert_ptr_nonnull(req);
	admin_begin(req->out, "row");
	admin_end(req->out);
	admin_error(req->out, 75, "not now");
	admin_server_answered(server, now_ms);
	ck_assert_int_eq(admin_client_next(&c), -ECANCELED);
	ck_assert_uint_eq(admin_number_of(&c.rec, "code"), 75);
	ck_assert(span_eq(admin_text_of(&c.rec, "words"), SPAN("not now")));
	admin_client_close(&c);
}
END_TEST

static int raw_open(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

START_TEST(requests_of_one_peer_come_one_by_one)
{
	struct admin_request *req;
	char in[100];
	int fd = raw_open(), i;

	/* the second comes with the first, a part of the third too */
	ck_assert_int_eq(send(fd, "a\nb\nc", 5, 0), 5);
	for (i = 0; i < 2; i++) {
		req = next_request();
		ck_assert_ptr_nonnull(req);
		ck_assert(span_eq(req->rec.verb, span_of(&"ab"[i], 1)));
		admin_ok(req->out);
		admin_server_answered(server, now_ms);
		ck_assert_int_eq(recv(fd, in, sizeof(in), 0), 3);
	}
	ck_assert_ptr_null(next_request());
	close(fd);
}
END_TEST

START_TEST(what_is_no_line_is_answered_and_closed)
{
	char in[200];
	int fd = raw_open();

	ck_assert_int_eq(send(fd, "No Line\n", 8, 0), 8);
	ck_assert_ptr_null(next_request());
	ck_assert_int_gt(recv(fd, in, sizeof(in), 0), 10);
	ck_assert_int_eq(strncmp(in, "error\tcode:64", 13), 0);
	ck_assert_int_eq(recv(fd, in, sizeof(in), 0), 0);
	close(fd);
}
END_TEST

START_TEST(a_line_has_an_end)
{
	static char much[ADMIN_LINE_MAX];
	char in[200];
	int fd = raw_open(), turns;
	size_t at = 0;

	memset(much, 'a', sizeof(much));
	for (turns = 0; turns < 200 && at < sizeof(much); turns++) {
		ssize_t n = send(fd, much + at, sizeof(much) - at, 0);

		at += n > 0 ? (size_t)n : 0;
		ck_assert_ptr_null(next_request());
	}
	ck_assert_uint_eq(at, sizeof(much));
	for (turns = 0; turns < 200; turns++)
		ck_assert_ptr_null(next_request());
	ck_assert_int_gt(recv(fd, in, sizeof(in), 0), 10);
	ck_assert_int_eq(recv(fd, in, sizeof(in), 0), 0);
	close(fd);
}
END_TEST

START_TEST(who_is_silent_goes)
{
	char in[10];
	int fd = raw_open();

	ck_assert_ptr_null(next_request());
	now_ms += ADMIN_IDLE_MS - 1;
	ck_assert_ptr_null(next_request());
	ck_assert_int_eq(recv(fd, in, sizeof(in), 0), -1);
	now_ms += 1;
	ck_assert_ptr_null(next_request());
	ck_assert_int_eq(recv(fd, in, sizeof(in), 0), 0);
	close(fd);
}
END_TEST

START_TEST(no_more_peers_than_allowed)
{
	int fds[ADMIN_CONNS_MAX + 1];
	char in[10];
	unsigned i;

	for (i = 0; i <= ADMIN_CONNS_MAX; i++) {
		fds[i] = raw_open();
		ck_assert_ptr_null(next_request());
	}
	ck_assert_int_eq(recv(fds[ADMIN_CONNS_MAX], in, sizeof(in), 0), 0);
	ck_assert_int_eq(recv(fds[0], in, sizeof(in), 0), -1);
	for (i = 0; i <= ADMIN_CONNS_MAX; i++)
		close(fds[i]);
}
END_TEST

START_TEST(a_peer_that_hangs_up_costs_nothing)
{
	struct admin_request *req;
	int fd = raw_open(), other = raw_open();

	ck_assert_int_eq(send(fd, "a\n", 2, 0), 2);
	req = next_request();
	ck_assert_ptr_nonnull(req);
	close(fd); /* with its request in hand */
	admin_server_turn(server, now_ms);
	admin_ok(req->out);
	admin_server_answered(server, now_ms);
	ck_assert_int_eq(send(other, "b\n", 2, 0), 2);
	req = next_request();
	ck_assert_ptr_nonnull(req);
	ck_assert(span_eq(req->rec.verb, SPAN("b")));
	admin_ok(req->out);
	admin_server_answered(server, now_ms);
	close(other);
}
END_TEST

static void must_say(int fd, const char *words)
{
	char in[100] = "";

	ck_assert_int_eq(recv(fd, in, sizeof(in) - 1, 0),
			 (ssize_t)strlen(words));
	ck_assert_str_eq(in, words);
}

static void answer_aside(const char *verb, const char *key)
{
	struct admin_request *req = admin_server_aside(server, span_str(verb));

	ck_assert_ptr_nonnull(req);
	ck_assert(span_eq(req->rec.verb, span_str(verb)));
	ck_assert(span_eq(admin_text_of(&req->rec, "a"), span_str(key)));
	admin_ok(req->out);
	admin_server_answered(server, now_ms);
}

START_TEST(a_request_aside_leaves_the_one_in_hand)
{
	struct admin_request *req;
	int fd = raw_open(), other = raw_open(), third = raw_open();

	ck_assert_int_eq(send(fd, "slow\ta=%25\n", 11, 0), 11);
	req = next_request();
	ck_assert_ptr_nonnull(req);
	ck_assert_int_eq(send(other, "slow\n", 5, 0), 5);
	ck_assert_int_eq(send(third, "now\ta=%2541\n", 12, 0), 12);
	admin_server_turn(server, now_ms);
	ck_assert_ptr_null(admin_server_aside(server, SPAN("no")));
	answer_aside("now", "%41");
	must_say(third, "ok\n");
	ck_assert_ptr_null(admin_server_aside(server, SPAN("now")));
	/* no request, though it begins like one */
	ck_assert_int_eq(send(third, "now\tb\n", 6, 0), 6);
	admin_server_turn(server, now_ms);
	ck_assert_ptr_null(admin_server_aside(server, SPAN("now")));
	must_say(third, "error\tcode:64\twords=this is no request\n");
	ck_assert_int_eq(send(other, "now\n", 4, 0), 4); /* behind "slow" */
	admin_server_turn(server, now_ms);
	ck_assert_ptr_null(admin_server_aside(server, SPAN("now")));
	/* The first is what it was. */
	ck_assert(span_eq(req->rec.verb, SPAN("slow")));
	ck_assert(span_eq(admin_text_of(&req->rec, "a"), SPAN("%")));
	admin_ok(req->out);
	admin_server_answered(server, now_ms);
	must_say(fd, "ok\n");
	req = next_request();
	ck_assert_ptr_nonnull(req);
	admin_ok(req->out);
	admin_server_answered(server, now_ms);
	must_say(other, "ok\n");
	admin_server_turn(server, now_ms);
	answer_aside("now", ""); /* also while none is in hand */
	must_say(other, "ok\n");
	ck_assert_ptr_null(next_request());
	close(fd);
	close(other);
	close(third);
}
END_TEST

START_TEST(who_hangs_up_in_hand_wakes_nobody)
{
	struct admin_request *req;
	struct pollfd p = { .events = POLLIN };
	int fd = raw_open();

	ck_assert_int_eq(send(fd, "a\n", 2, 0), 2);
	req = next_request();
	ck_assert_ptr_nonnull(req);
	close(fd);
	p.fd = admin_server_fd(server);
	ck_assert_int_eq(poll(&p, 1, 0), 1);
	admin_server_turn(server, now_ms);
	ck_assert_int_eq(poll(&p, 1, 0), 0);
	if (_i == 0) {
		admin_ok(req->out);
		admin_server_answered(server, now_ms);
	} else {
		struct admin_stream *s = admin_server_stream(server, now_ms);

		ck_assert(admin_stream_gone(s));
		admin_stream_end(server, &s, now_ms);
		ck_assert_ptr_null(s);
	}
	ck_assert_ptr_null(next_request());
}
END_TEST

START_TEST(a_large_answer_goes_in_pieces)
{
	struct admin_request *req;
	static char in[100000];
	int fd = raw_open(), turns;
	size_t got = 0, want;
	ssize_t n;

	ck_assert_int_eq(send(fd, "a\n", 2, 0), 2);
	req = next_request();
	ck_assert_ptr_nonnull(req);
	while (req->out->len < 4u << 20)
		admin_number(req->out, "n", 123456789);
	admin_end(req->out);
	admin_ok(req->out);
	want = req->out->len;
	admin_server_answered(server, now_ms);
	for (turns = 0; turns < 10000 && got < want; turns++) {
		n = recv(fd, in, sizeof(in), 0);
		got += n > 0 ? (size_t)n : 0;
		admin_server_turn(server, now_ms);
	}
	ck_assert_uint_eq(got, want);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("admin");
	TCase *l = tcase_create("lines"), *t = tcase_create("socket");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_loop_test(l, lines, 0,
			    sizeof(line_cases) / sizeof(line_cases[0]));
	tcase_add_test(l, no_more_fields_than_fit);
	tcase_add_test(l, fields_are_found_by_name);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, the_socket_is_for_owner_and_group);
	tcase_add_test(t, rows_and_ok);
	tcase_add_test(t, an_error_replaces_what_was_written);
	tcase_add_test(t, requests_of_one_peer_come_one_by_one);
	tcase_add_test(t, what_is_no_line_is_answered_and_closed);
	tcase_add_test(t, a_line_has_an_end);
	tcase_add_test(t, who_is_silent_goes);
	tcase_add_test(t, no_more_peers_than_allowed);
	tcase_add_test(t, a_peer_that_hangs_up_costs_nothing);
	tcase_add_test(t, a_request_aside_leaves_the_one_in_hand);
	tcase_add_loop_test(t, who_hangs_up_in_hand_wakes_nobody, 0, 2);
	tcase_add_test(t, a_large_answer_goes_in_pieces);
	suite_add_tcase(s, l);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
