/*
 * Submission end to end without a daemon: the client over a real Unix socket
 * against the daemon's side, with a list of what was taken for a queue.
 * The little daemon can hang up after so many items, to see the repetition.
 */
#include "base/crc32c.h"
#include "ingress/frame.h"
#include "ingress/server.h"
#include "tests/unit/tmpdir.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>

struct daemon_state {
	struct settings set;
	struct ingress_seen *seen;
	struct ingress_large large;
	int listener, stop[2];
	char dir[TMPDIR_BYTES], path[108];
	pthread_t thread;
	/* hang up after this many items of a connection; 0: never */
	unsigned hang_up_after;
	int hang_ups_left;
	bool deaf;      /* takes octets and never answers */
	bool old;       /* knows nothing of frames that follow at once */
	bool ages;      /* is old after it has hung up */
	bool more;      /* the last frame said that one follows */
	unsigned mores; /* frames that said so */
	int refuse;     /* the queue's word for every message, 0: taken */
	uint64_t taken; /* messages; the next id */
	uint64_t rcpts, octets, doubled;
	uint64_t last_number;
	bool disorder;
	char last_domain[64];
};

static struct daemon_state d;

static void take(struct daemon_state *s, struct ingress_item *it)
{
	uint64_t id;
	int i;

	if (s->refuse < 0) {
		ingress_refused(it, s->refuse);
		return;
	}
	if (ingress_seen_find(s->seen, it->msg.submission, it->msg.number, &id))
		s->doubled++;
	if (it->msg.number <= s->last_number)
		s->disorder = true;
	s->last_number = it->msg.number;
	s->rcpts += it->msg.rcpt_count;
	for (i = 0; i < it->msg.content_count; i++)
		s->octets += it->msg.content[i].iov_len;
	ingress_accepted(it, ++s->taken);
}

/* As a daemon welcomes that knows no flags. */
static void forget_flags(char *welcome)
{
	struct frame_head h;

	ck_assert_int_eq(frame_head_get(welcome, false, &h), 0);
	memset(welcome + FRAME_HEAD_SIZE + 2, 0, 2);
	h.crc = crc32c(0, welcome + FRAME_HEAD_SIZE, h.length);
	frame_head_put(&h, welcome);
}

static void note_more(struct daemon_state *s, const struct ingress_conn *c,
		      uint32_t *last)
{
	uint32_t more = ingress_more(c);

	s->more = more != 0;
	if (more == 0 || more == *last)
		return;
	*last = more;
	s->mores++;
	s->disorder |= s->old;
}

/* One connection to its end. */
static void serve(struct daemon_state *s, int fd)
{
	struct ingress_conn *c;
	struct ingress_item *it;
	struct pollfd p[2] = { { .fd = fd }, { s->stop[0], POLLIN, 0 } };
	unsigned items = 0;
	bool welcomed = false;
	uint32_t more = 0;
	struct span out;
	size_t room;
	ssize_t n;
	void *at;

	ck_assert_int_eq(ingress_conn_new(&s->set, s->seen, &s->large, 7, &c),
			 0);
	for (;;) {
		while (!s->deaf &&
		       ingress_next(c, 1000, 1700000000, &it) == 1) {
			take(s, it);
			if (s->hang_up_after > 0 && s->hang_ups_left > 0 &&
			    ++items >= s->hang_up_after) {
				s->hang_ups_left--;
				s->old |= s->ages;
				goto out;
			}
		}
		at = ingress_room(c, &room);
		out = s->deaf ? span_of(NULL, 0) : ingress_answer(c);
		if (ingress_over(c) && out.len == 0)
			break;
		if (s->old && !welcomed && out.len > 0)
			forget_flags((char *)(uintptr_t)out.p);
		welcomed |= out.len > 0;
		p[0].events = (short)((room > 0 ? POLLIN : 0) |
				      (out.len > 0 ? POLLOUT : 0));
		poll(p, 2, -1);
		if (p[1].revents != 0)
			break;
		if ((p[0].revents & POLLOUT) != 0) {
			n = send(fd, out.p, out.len,
				 MSG_NOSIGNAL | MSG_DONTWAIT);
			if (n < 0 && errno != EAGAIN)
				break;
			ingress_sent(c, n > 0 ? (size_t)n : 0);
		}
		if ((p[0].revents & ~POLLOUT) != 0) {
			n = recv(fd, at, room, MSG_DONTWAIT);
			if (n == 0 || (n < 0 && errno != EAGAIN))
				break;
			if (n > 0)
				ingress_fed(c, (size_t)n);
			note_more(s, c, &more);
		}
	}
out:
	ingress_conn_free(&c);
	close(fd);
}

static void *daemon_main(void *arg)
{
	struct daemon_state *s = arg;
	struct pollfd p[2] = { { s->listener, POLLIN, 0 },
			       { s->stop[0], POLLIN, 0 } };

	for (;;) {
		poll(p, 2, -1);
		if (p[1].revents != 0)
			return NULL;
		serve(s, accept(s->listener, NULL, NULL));
	}
}

static void start(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	static char words[4096];

	memset(&d, 0, sizeof(d));
	ck_assert_int_eq(settings_parse("t", "hostname: a.example", 19, &d.set,
					words, sizeof(words)),
			 0);
	d.seen = ingress_seen_new(1000000);
	ingress_large_init(&d.large);
	tmpdir_make(d.dir, "submit", TMPDIR_DISK);
	snprintf(d.path, sizeof(d.path), "%s/s", d.dir);
	memcpy(a.sun_path, d.path, strlen(d.path) + 1);
	d.listener = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(d.listener, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(listen(d.listener, 10), 0);
	ck_assert_int_eq(pipe(d.stop), 0);
}

static void go(void)
{
	ck_assert_int_eq(pthread_create(&d.thread, NULL, daemon_main, &d), 0);
}

static void finish(void)
{
	ck_assert_int_eq((int)write(d.stop[1], "x", 1), 1);
	pthread_join(d.thread, NULL);
	close(d.listener);
	close(d.stop[0]);
	close(d.stop[1]);
	tmpdir_remove(d.dir);
	settings_free(&d.set);
	ingress_seen_free(&d.seen);
}

static const struct span one[] = { { "b@x.example", 11 } };

static struct submit_message message(void)
{
	return (struct submit_message){
		.sender = SPAN("a@a.example"),
		.rcpts = one,
		.rcpt_count = 1,
		.tenant = SPAN("t"),
		.campaign = SPAN("c"),
		.content = SPAN("Subject: x\n\nhello\n"),
	};
}

static struct submit *open_one(int timeout_ms)
{
	struct submit_options o = { .path = d.path, .timeout_ms = timeout_ms };
	struct submit *s;

	ck_assert_int_eq(submit_new(&o, &s), 0);
	return s;
}

/* All results: codes are all `code`; each taken once, ids rising. */
static void results(struct submit *s, uint64_t count, int code)
{
	struct submit_result r;
	uint64_t n = 0, last = 0;
	uint32_t i;

	while (submit_next(s, &r) == 1) {
		ck_assert_uint_eq(r.index, n++);
		ck_assert_int_eq(r.code, code);
		ck_assert_int_eq(r.id_count > 0, code == 0);
		for (i = 0; i < r.id_count; i++) {
			ck_assert_uint_gt(r.ids[i], last);
			last = r.ids[i];
		}
	}
	ck_assert_uint_eq(n, count);
	ck_assert_uint_eq(submit_unanswered(s), 0);
}

START_TEST(many_messages_are_each_taken_once)
{
	struct submit_message m = message();
	struct submit *s;
	int i;

	go();
	s = open_one(5000);
	for (i = 0; i < 25000; i++)
		ck_assert_int_eq(submit_put(s, &m), 0);
	ck_assert_int_eq(submit_flush(s), 0);
	results(s, 25000, 0);
	m.content = SPAN("Subject: y\n\nmore\n");
	ck_assert_int_eq(submit_put(s, &m), 0);
	ck_assert_int_eq(submit_flush(s), 0);
	submit_free(&s);
	finish();
	ck_assert_uint_eq(d.taken, 25001);
	ck_assert_uint_eq(d.rcpts, 25001);
	ck_assert(!d.disorder);
}
END_TEST

START_TEST(a_broken_connection_is_repeated_without_doubles)
{
	struct submit_message m = message();
	struct submit *s;
	int i;

	d.hang_up_after = 2500;
	d.hang_ups_left = 3;
	go();
	s = open_one(5000);
	for (i = 0; i < 20000; i++)
		ck_assert_int_eq(submit_put(s, &m), 0);
	ck_assert_int_eq(submit_flush(s), 0);
	results(s, 20000, 0);
	submit_free(&s);
	finish();
	ck_assert_int_eq(d.hang_ups_left, 0);
	ck_assert_uint_eq(d.taken, 20000);
	ck_assert_uint_eq(d.doubled, 0);
	ck_assert(!d.disorder);
}
END_TEST

/* Wait as a loop of many things would, and look; how often it had to wait for
 * room. */
static unsigned wait_and_look(struct submit *s)
{
	bool room = submit_unsent(s);
	struct pollfd p = { submit_fd(s),
			    (short)(POLLIN | (room ? POLLOUT : 0)), 0 };

	ck_assert_int_eq(poll(&p, 1, 5000), 1);
	ck_assert_int_eq(submit_look(s), 0);
	return room;
}

static void finish_with(struct submit *s)
{
	ck_assert_int_eq(submit_flush(s), 0);
	submit_free(&s);
	finish();
}

/* Half a MiB, in messages of 4 KiB. */
static void put_half_a_mib(struct submit *s)
{
	static char text[4096];
	struct submit_message m = message();
	int i;

	memset(text, 'a', sizeof(text));
	memcpy(text, "Subject: x\n\n", 12);
	for (i = 77; i < (int)sizeof(text); i += 77)
		text[i] = '\n';
	m.content = span_of(text, sizeof(text));
	for (i = 0; i < 128; i++)
		ck_assert_int_eq(submit_put(s, &m), 0);
}

static struct submit *go_and_be_welcomed(void)
{
	struct submit_message m = message();
	struct submit *s;

	go();
	s = open_one(5000);
	ck_assert_int_eq(submit_put(s, &m), 0);
	ck_assert_int_eq(submit_flush(s), 0);
	results(s, 1, 0);
	return s;
}

/* What waits for the rest of its batch is with the daemon already, and the
 * batch's last frame says that it is the last. */
START_TEST(a_batch_is_looked_at_while_it_is_put)
{
	struct submit_result r;
	struct submit *s;

	s = go_and_be_welcomed();
	put_half_a_mib(s);
	wait_and_look(s);
	ck_assert_int_eq(submit_next(s, &r), 1);
	ck_assert_int_eq(r.code, 0);
	ck_assert_uint_eq(r.index, 1);
	finish_with(s);
	ck_assert_uint_eq(d.taken, 129);
	ck_assert_uint_ge(d.mores, 1);
	ck_assert(!d.more);
	ck_assert(!d.disorder);
}
END_TEST

START_TEST(an_old_daemon_is_told_of_no_more)
{
	struct submit *s;

	d.old = true;
	s = go_and_be_welcomed();
	put_half_a_mib(s);
	finish_with(s);
	ck_assert_uint_eq(d.taken, 129);
	ck_assert_uint_eq(d.mores, 0);
}
END_TEST

/* The daemon that comes back may be an older one. */
START_TEST(what_is_repeated_tells_of_no_more)
{
	struct submit *s;

	d.ages = true;
	d.hang_up_after = 60;
	d.hang_ups_left = 1;
	s = go_and_be_welcomed();
	put_half_a_mib(s);
	put_half_a_mib(s);
	ck_assert_int_eq(submit_flush(s), 0);
	ck_assert_uint_eq(submit_connects(s), 2);
	submit_free(&s);
	finish();
	ck_assert_uint_eq(d.taken, 257);
	ck_assert_uint_ge(d.mores, 1);
	ck_assert(!d.disorder);
}
END_TEST

/* Nor is the one that came back told of more before it has said what it
 * knows. */
START_TEST(nobody_is_told_of_more_before_the_welcome)
{
	struct submit_message m = message();
	struct submit *s;

	d.ages = true;
	d.hang_up_after = 2;
	d.hang_ups_left = 1;
	s = go_and_be_welcomed();
	ck_assert_int_eq(submit_put(s, &m), 0);
	ck_assert_int_eq(submit_start(s), 0);
	wait_and_look(s);
	ck_assert_uint_eq(submit_connects(s), 2);
	ck_assert_int_eq(submit_start(s), 0); /* sends, and reads nothing */
	put_half_a_mib(s);
	finish_with(s);
	ck_assert_uint_eq(d.taken, 130);
	ck_assert_uint_eq(d.mores, 0);
}
END_TEST

START_TEST(a_loop_of_its_own_waits_for_room_and_answers)
{
	static char text[3u << 20] = "Subject: x\n\n";
	struct submit_message m = message();
	unsigned frames, room = 0;
	struct submit *s;

	memset(text + 12, 'a', sizeof(text) - 12);
	for (frames = 11; frames < sizeof(text); frames += 77)
		text[frames] = '\n';
	d.hang_up_after = 7;
	d.hang_ups_left = 2;
	go();
	s = open_one(5000);
	ck_assert_uint_eq(submit_connects(s), 1);
	m.content = span_of(text, sizeof(text));
	for (frames = 0; frames < 10; frames++) {
		ck_assert_int_eq(submit_put(s, &m), 0);
		ck_assert_int_eq(submit_start(s), 0);
	}
	/* 30 MiB are more than a socket takes. */
	ck_assert(submit_unsent(s));
	while (submit_unanswered(s) > 0)
		room += wait_and_look(s);
	ck_assert_uint_gt(room, 0);
	/* More than may be open at once. */
	m.content = SPAN("Subject: y\n\nmore\n");
	for (frames = 0; frames < 3 * SUBMIT_FRAMES_OPEN; frames++) {
		ck_assert_int_eq(submit_put(s, &m), 0);
		ck_assert_int_eq(submit_start(s), 0);
	}
	while (submit_unanswered(s) > 0)
		wait_and_look(s);
	results(s, 10 + frames, 0);
	ck_assert_uint_eq(submit_connects(s), 3);
	submit_free(&s);
	finish();
	ck_assert_uint_eq(d.taken, 10 + frames);
	ck_assert_uint_eq(d.doubled, 0);
	ck_assert(!d.disorder);
}
END_TEST

START_TEST(large_messages_come_in_parts)
{
	static const size_t sizes[] = { 3u << 20,        (4u << 20) - 100,
					(4u << 20) - 66, 4u << 20,
					5000001,         20u << 20 };
	struct submit_message m = message();
	char *p = malloc(20u << 20);
	struct submit *s;
	size_t i;

	memset(p, 'x', 20u << 20);
	memcpy(p, "Subject: x\r\n\r\n", 14);
	for (i = 14 + 70; i < 20u << 20; i += 72)
		memcpy(p + i, "\r\n", 2);
	go();
	s = open_one(20000);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		d.octets = 0;
		m.content = span_of(p, sizes[i]);
		ck_assert_int_eq(submit_put(s, &m), 0);
		ck_assert_int_eq(submit_flush(s), 0);
		/* The header lines that were missing, and no octet less. */
		ck_assert_uint_ge(d.octets, sizes[i]);
		ck_assert_uint_le(d.octets, sizes[i] + 600);
	}
	results(s, i, 0);
	submit_free(&s);
	finish();
	free(p);
}
END_TEST

START_TEST(too_large_is_refused_and_the_rest_goes_on)
{
	struct submit_message m = message();
	size_t size = 6u << 20;
	char *p = calloc(1, size);
	struct submit_result r;
	struct submit *s;

	d.set.message_bytes_max = 5u << 20;
	go();
	s = open_one(5000);
	ck_assert_int_eq(submit_put(s, &m), 0);
	m.content = span_of(p, size);
	ck_assert_int_eq(submit_put(s, &m), 0);
	m = message();
	ck_assert_int_eq(submit_put(s, &m), 0);
	ck_assert_int_eq(submit_flush(s), 0);
	ck_assert_int_eq(submit_next(s, &r), 1);
	ck_assert_int_eq(r.code, 0);
	ck_assert_int_eq(submit_next(s, &r), 1);
	ck_assert_int_eq(r.code, EX_DATAERR);
	ck_assert_int_eq(r.enhanced_subject, 3);
	ck_assert_int_eq(r.enhanced_detail, 4);
	ck_assert_int_eq(submit_next(s, &r), 1);
	ck_assert_int_eq(r.code, 0);
	submit_free(&s);
	finish();
	free(p);
}
END_TEST

START_TEST(a_long_list_is_split_and_doubles_are_dropped)
{
	struct submit_message m = message();
	struct span *rcpts = calloc(2501, sizeof(*rcpts));
	char(*text)[40] = calloc(2501, sizeof(*text));
	struct submit_result r;
	struct submit *s;
	int i;

	for (i = 0; i < 2501; i++) {
		snprintf(text[i], sizeof(text[i]), "u%d@%s.example", i / 2,
			 i % 2 == 0 ? "d" : "D");
		rcpts[i] = span_str(text[i]);
	}
	m.rcpts = rcpts;
	m.rcpt_count = 2501;
	go();
	s = open_one(5000);
	ck_assert_int_eq(submit_put(s, &m), 0);
	ck_assert_int_eq(submit_flush(s), 0);
	ck_assert_int_eq(submit_next(s, &r), 1);
	ck_assert_int_eq(r.code, 0);
	ck_assert_uint_eq(r.id_count, 2);
	ck_assert_uint_eq(d.rcpts, 1251);
	submit_free(&s);
	finish();
	free(rcpts);
	free(text);
}
END_TEST

START_TEST(refusals_name_the_rule)
{
	const struct {
		struct span rcpt, sender, content, tenant, params;
		const char *words;
	} bad[] = {
		{ SPAN("nobody"), SPAN(""), SPAN("A: b\n\nx"), SPAN(""),
		  SPAN(""), "recipient <nobody>" },
		{ SPAN("a@b"), SPAN("x y"), SPAN("A: b\n\nx"), SPAN(""),
		  SPAN(""), "sender <x y>" },
		{ SPAN("a@b"), SPAN("a@b"), SPAN("A: b\n\nx\0y"), SPAN(""),
		  SPAN(""), "line 3" },
		{ SPAN("a@b"), SPAN("a@b"), SPAN(""), SPAN(""), SPAN(""), "" },
		{ SPAN("a@b"), SPAN("a@b"), SPAN("A: b\n\nx"), SPAN("t\n"),
		  SPAN(""), "tenant" },
		{ SPAN("a@b"), SPAN("a@b"), SPAN("A: b\n\nx"), SPAN(""),
		  SPAN("RET=FULL\r\nDATA"), "RET=" },
		{ SPAN("a@b\r\n"), SPAN("a@b"), SPAN("A: b\n\nx"), SPAN(""),
		  SPAN(""),
		  "recipient <a@b?"
		  "?>" },
	};
	struct submit_message m = message();
	struct submit_result r;
	struct submit *s;
	char words[600];
	size_t i;

	go();
	s = open_one(5000);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		m.rcpts = &bad[i].rcpt;
		m.sender = bad[i].sender;
		m.content = bad[i].content;
		m.tenant = bad[i].tenant;
		m.params = bad[i].params;
		ck_assert_int_eq(submit_put(s, &m), 0);
		ck_assert_int_eq(submit_flush(s), 0);
		ck_assert_int_eq(submit_next(s, &r), 1);
		ck_assert_int_eq(r.code, EX_DATAERR);
		ck_assert_uint_eq(r.id_count, 0);
		ck_assert_uint_eq(r.enhanced_class, 5);
		snprintf(words, sizeof(words), "%.*s", (int)r.words.len,
			 r.words.p);
		ck_assert_msg(strstr(words, bad[i].words) != NULL, "%s", words);
	}
	submit_free(&s);
	finish();
	ck_assert_uint_eq(d.taken, 0);
}
END_TEST

START_TEST(a_full_disk_is_try_later)
{
	struct submit_message m = message();
	struct submit *s;

	d.refuse = -ENOSPC;
	go();
	s = open_one(5000);
	ck_assert_int_eq(submit_put(s, &m), 0);
	ck_assert_int_eq(submit_flush(s), 0);
	results(s, 1, EX_TEMPFAIL);
	submit_free(&s);
	finish();
}
END_TEST

START_TEST(a_daemon_that_does_not_answer_is_no_success)
{
	struct submit_message m = message();
	struct submit_result r;
	struct submit *s;

	d.deaf = true;
	go();
	s = open_one(100);
	ck_assert_int_eq(submit_put(s, &m), 0);
	ck_assert_int_eq(submit_flush(s), -ETIMEDOUT);
	ck_assert_int_eq(submit_next(s, &r), 0);
	ck_assert_uint_eq(submit_unanswered(s), 1);
	ck_assert_int_eq(submit_put(s, &m), -ETIMEDOUT);
	ck_assert_str_ne(submit_words(s), "");
	submit_free(&s);
	finish();
}
END_TEST

START_TEST(what_cannot_be_put)
{
	struct submit_message m = message();
	struct submit_options o = { .path = "/nonexistent/s" };
	static char huge[2000];
	struct submit *s;

	ck_assert_int_eq(submit_new(&o, &s), -ENOENT);
	go();
	s = open_one(5000);
	m.rcpt_count = 0;
	ck_assert_int_eq(submit_put(s, &m), -EINVAL);
	m = message();
	m.tenant = span_of(huge, 256);
	ck_assert_int_eq(submit_put(s, &m), -EINVAL);
	m = message();
	m.sender = span_of(huge, sizeof(huge));
	ck_assert_int_eq(submit_put(s, &m), -EINVAL);
	m = message();
	m.content = span_of(huge, (size_t)100 << 20);
	ck_assert_int_eq(submit_put(s, &m), -EMSGSIZE);
	m = message();
	ck_assert_int_eq(submit_put(s, &m), 0);
	ck_assert_int_eq(submit_flush(s), 0);
	results(s, 1, 0);
	submit_free(&s);
	finish();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("submit");
	TCase *t = tcase_create("submit");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, start, NULL);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, many_messages_are_each_taken_once);
	tcase_add_test(t, a_broken_connection_is_repeated_without_doubles);
	tcase_add_test(t, a_batch_is_looked_at_while_it_is_put);
	tcase_add_test(t, an_old_daemon_is_told_of_no_more);
	tcase_add_test(t, what_is_repeated_tells_of_no_more);
	tcase_add_test(t, nobody_is_told_of_more_before_the_welcome);
	tcase_add_test(t, a_loop_of_its_own_waits_for_room_and_answers);
	tcase_add_test(t, large_messages_come_in_parts);
	tcase_add_test(t, too_large_is_refused_and_the_rest_goes_on);
	tcase_add_test(t, a_long_list_is_split_and_doubles_are_dropped);
	tcase_add_test(t, refusals_name_the_rule);
	tcase_add_test(t, a_full_disk_is_try_later);
	tcase_add_test(t, a_daemon_that_does_not_answer_is_no_success);
	tcase_add_test(t, what_cannot_be_put);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
