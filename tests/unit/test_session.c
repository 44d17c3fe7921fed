/*
 * tests/unit/test_session.c - the session against a model server, no sockets
 *
 * The server reads what the session wrote, remembers what it truly took, and
 * queues its replies.  The network between them cuts the octets wherever the
 * seed says, delays send completions and hangs up after `cut` octets.  What
 * the session reports is then compared with what the server has:
 *
 *	ACCEPTED: it has the mail for this recipient
 *	any other, UNSURE excepted: it has not
 */
#include "mtaq/smtp.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define RCPTS 5
#define MAILS 4
#define BUF   8192

struct server {
	bool pipelining, starttls, tls, in_content;
	unsigned seed; /* decides which answers are bad */
	unsigned bad_of_8;
	bool mail_open, taken[RCPTS];
	unsigned tag; /* of the content being read */
	bool has[MAILS][RCPTS];
	char in[BUF];
	size_t in_len;
	char out[BUF];
	size_t out_len, out_pos;
};

struct run {
	struct server srv;
	struct smtp_settings set;
	struct smtp_pool *pool;
	struct smtp_session *s;
	unsigned seed; /* decides where the network cuts */
	bool late_sends, lent, cut_done, ready, quit, closed;
	size_t cut, delivered, chunk_max;
	unsigned mails, groups;
	int settled[MAILS][RCPTS], done[MAILS];
	enum smtp_result result[MAILS][RCPTS];
	uint16_t code[MAILS][RCPTS];
	char content[MAILS][64];
	struct iovec iov[MAILS];
};

static unsigned rnd(unsigned *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* --- the server ------------------------------------------------------- */

static void say(struct server *v, const char *line)
{
	size_t n = strlen(line);

	ck_assert_uint_le(v->out_len + n, BUF);
	memcpy(v->out + v->out_len, line, n);
	v->out_len += n;
}

static bool bad(struct server *v)
{
	return rnd(&v->seed) % 8 < v->bad_of_8;
}

static bool any_taken(const struct server *v)
{
	int i, n = 0;

	for (i = 0; i < RCPTS; i++)
		n += v->taken[i];
	return n > 0;
}

static void server_ehlo(struct server *v)
{
	say(v, "250-mx.example greets you\r\n");
	if (v->pipelining)
		say(v, "250-PIPELINING\r\n");
	if (v->starttls && !v->tls)
		say(v, "250-STARTTLS\r\n");
	say(v, "250-SIZE 1000\r\n250 8BITMIME\r\n");
}

static void server_mail(struct server *v)
{
	ck_assert(!v->mail_open); /* rule 21 */
	memset(v->taken, 0, sizeof(v->taken));
	v->mail_open = !bad(v);
	say(v, v->mail_open ? "250 2.1.0 ok\r\n" : "550 5.7.1 not you\r\n");
}

static void server_rcpt(struct server *v, const char *line)
{
	int i = line[9] - '0';

	ck_assert(i >= 0 && i < RCPTS);
	if (!v->mail_open) {
		say(v, "503 5.5.1 MAIL first\r\n");
	} else if (bad(v)) {
		say(v, rnd(&v->seed) % 2
			       ? "450 4.2.1 later\r\n"
			       : "550-5.1.1 no\r\n550 5.1.1 such\r\n");
	} else {
		v->taken[i] = true;
		say(v, "250 2.1.5 ok\r\n");
	}
}

static void server_data(struct server *v)
{
	if (!v->mail_open || (!any_taken(v) && rnd(&v->seed) % 2)) {
		say(v, "503 5.5.1 no valid recipients\r\n");
	} else if (bad(v)) {
		say(v, "451 4.3.0 not now\r\n");
	} else {
		v->in_content = true;
		v->tag = MAILS;
		say(v, "354 go\r\n");
	}
}

static void server_command(struct server *v, const char *line)
{
	if (strncmp(line, "EHLO", 4) == 0) {
		server_ehlo(v);
	} else if (strncmp(line, "STARTTLS", 8) == 0) {
		say(v, "220 go\r\n");
	} else if (strncmp(line, "MAIL", 4) == 0) {
		server_mail(v);
	} else if (strncmp(line, "RCPT", 4) == 0) {
		server_rcpt(v, line);
	} else if (strncmp(line, "DATA", 4) == 0) {
		server_data(v);
	} else if (strncmp(line, "RSET", 4) == 0) {
		v->mail_open = false;
		say(v, "250 ok\r\n");
	} else {
		ck_assert_str_eq(line, "QUIT\r\n");
		say(v, "221 bye\r\n");
	}
}

static void server_dot(struct server *v)
{
	int i;

	v->in_content = v->mail_open = false;
	if (!any_taken(v)) {
		ck_assert_uint_eq(v->tag, MAILS); /* the lone dot, alone */
		say(v, "250 2.0.0 nothing queued\r\n");
	} else if (bad(v)) {
		say(v, "452 4.3.1 full\r\n");
	} else {
		ck_assert_uint_lt(v->tag, MAILS);
		for (i = 0; i < RCPTS; i++)
			v->has[v->tag][i] |= v->taken[i];
		say(v, "250 2.0.0 queued\r\n");
	}
}

static void server_line(struct server *v, const char *line)
{
	if (!v->in_content)
		server_command(v, line);
	else if (strcmp(line, ".\r\n") == 0)
		server_dot(v);
	else if (strncmp(line, "Tag: ", 5) == 0)
		v->tag = (unsigned)(line[5] - '0');
	else
		ck_assert_msg(line[0] != '.' || line[1] == '.', "%s", line);
}

static void server_read(struct server *v, const void *data, size_t len)
{
	char line[2048];
	char *nl;

	ck_assert_uint_lt(v->in_len + len, BUF);
	memcpy(v->in + v->in_len, data, len);
	v->in_len += len;
	while ((nl = memchr(v->in, '\n', v->in_len)) != NULL) {
		size_t n = (size_t)(nl - v->in) + 1;

		ck_assert_uint_lt(n, sizeof(line));
		memcpy(line, v->in, n);
		line[n] = '\0';
		v->in_len -= n;
		memmove(v->in, v->in + n, v->in_len);
		server_line(v, line);
	}
}

/* --- the caller ------------------------------------------------------- */

static const struct smtp_rcpt rcpts[RCPTS] = {
	{ { "0@x", 3 }, { NULL, 0 } }, { { "1@x", 3 }, { NULL, 0 } },
	{ { "2@x", 3 }, { NULL, 0 } }, { { "3@x", 3 }, { NULL, 0 } },
	{ { "4@x", 3 }, { NULL, 0 } },
};

static void give_mails(struct run *r)
{
	while (r->mails < MAILS && smtp_session_room(r->s) > 0) {
		unsigned i = r->mails++;
		struct smtp_mail m = { .tag = i,
				       .sender = SPAN("me@y"),
				       .rcpts = rcpts,
				       .rcpt_count = 1 + i % RCPTS,
				       .flags = SMTP_MAIL_DOTS,
				       .content = &r->iov[i],
				       .content_count = 1 };
		int n = snprintf(r->content[i], sizeof(r->content[i]),
				 "Tag: %u\r\n\r\n.dot\r\n.\r\n", i);

		r->iov[i] = (struct iovec){ r->content[i], (size_t)n };
		m.content_bytes = (uint64_t)n;
		ck_assert_int_eq(smtp_session_mail(r->s, &m, 0), 0);
		r->ready = false;
	}
	if (r->ready && r->mails == MAILS && !r->quit) {
		ck_assert_int_eq(smtp_session_quit(r->s, 0), 0);
		r->quit = true;
	}
}

static void on_rcpt(struct run *r, const struct smtp_event *ev)
{
	ck_assert(r->done[ev->tag] == 0);
	r->settled[ev->tag][ev->rcpt]++;
	r->result[ev->tag][ev->rcpt] = ev->verdict.result;
	r->code[ev->tag][ev->rcpt] = ev->verdict.code;
}

static void drain_events(struct run *r)
{
	struct smtp_event ev;

	while (smtp_session_event(r->s, &ev)) {
		ck_assert(!r->closed);
		if (ev.type == SMTP_EV_RCPT)
			on_rcpt(r, &ev);
		else
			ck_assert(!r->lent); /* the rest waits for it */
		if (ev.type == SMTP_EV_MAIL_DONE) {
			r->done[ev.tag]++;
			/* No longer lent: whoever reads it now is wrong. */
			memset(r->content[ev.tag], '!', 64);
		} else if (ev.type == SMTP_EV_TLS) {
			r->srv.tls = true;
			smtp_session_tls_done(r->s, true, 0);
		} else if (ev.type == SMTP_EV_READY) {
			r->ready = true;
		} else if (ev.type == SMTP_EV_CLOSE) {
			r->closed = true;
		}
	}
	r->groups = smtp_session_info(r->s).groups;
	if (!r->closed)
		give_mails(r);
}

static void sent(struct run *r)
{
	r->lent = false;
	smtp_session_sent(r->s, 0);
	drain_events(r);
}

static void hang_up(struct run *r)
{
	r->cut_done = true;
	smtp_session_eof(r->s);
	drain_events(r);
	if (r->lent)
		sent(r);
}

static void read_some(struct run *r)
{
	struct server *v = &r->srv;
	size_t n = v->out_len - v->out_pos, used;

	if (r->delivered >= r->cut && !r->cut_done) {
		hang_up(r);
		return;
	}
	if (n > r->cut - r->delivered)
		n = r->cut - r->delivered;
	if (n > r->chunk_max)
		n = 1 + rnd(&r->seed) % r->chunk_max;
	r->delivered += n;
	while (n > 0 && !r->closed) {
		used = smtp_session_input(r->s, v->out + v->out_pos, n, 0);
		ck_assert_uint_gt(used, 0);
		v->out_pos += used;
		n -= used;
		drain_events(r);
	}
}

static void write_some(struct run *r)
{
	struct iovec iov[SMTP_IOV_MAX];
	bool pending = r->srv.out_pos < r->srv.out_len;
	int i, n;

	if (!r->lent) {
		n = smtp_session_output(r->s, iov, SMTP_OUT_MIN, pending, 0);
		r->lent = n > 0;
		for (i = 0; i < n; i++)
			server_read(&r->srv, iov[i].iov_base, iov[i].iov_len);
		drain_events(r);
	}
	if (r->lent && (!r->late_sends || rnd(&r->seed) % 3 == 0))
		sent(r);
}

static struct run *run_new(unsigned seed, unsigned bad_of_8)
{
	struct run *r = calloc(1, sizeof(*r));

	ck_assert_ptr_nonnull(r);
	r->seed = seed;
	r->cut = SIZE_MAX;
	r->chunk_max = BUF;
	r->set = (struct smtp_settings){ .hostname = SPAN("test"),
					 .tls = SMTP_TLS_MAY,
					 .pipelining = true,
					 .grouping = seed & 4 };
	r->srv.seed = seed / 8;
	r->srv.bad_of_8 = bad_of_8;
	r->srv.pipelining = seed & 1;
	r->srv.starttls = seed & 2;
	return r;
}

static void run_all(struct run *r)
{
	int steps = 0;

	r->pool = smtp_pool_new(RCPTS);
	r->s = smtp_session_new(&r->set, r->pool, 0);
	if (r->srv.out_len == 0)
		say(&r->srv, "220 mx.example ESMTP\r\n");
	while (!r->closed && steps++ < 50000) {
		write_some(r);
		if (!r->closed)
			read_some(r);
	}
	ck_assert_msg(r->closed, "stuck in %s", smtp_session_state_name(r->s));
	if (r->lent)
		smtp_session_sent(r->s, 0);
	smtp_session_free(&r->s);
	ck_assert_ptr_null(r->s);
	smtp_pool_free(&r->pool);
}

/* What must hold however the conversation went. */
static void check_promises(const struct run *r)
{
	unsigned m, i;

	for (m = 0; m < r->mails; m++) {
		ck_assert_int_eq(r->done[m], 1);
		for (i = 0; i < 1 + m % RCPTS; i++) {
			enum smtp_result res = r->result[m][i];

			ck_assert_int_eq(r->settled[m][i], 1);
			if (res == SMTP_ACCEPTED)
				ck_assert(r->srv.has[m][i]);
			else if (res != SMTP_UNSURE)
				ck_assert(!r->srv.has[m][i]);
		}
	}
}

/* --- properties ------------------------------------------------------- */

START_TEST(cuts_do_not_matter)
{
	unsigned seed, groups = 0;

	for (seed = 0; seed < 4000; seed++) {
		struct run *a = run_new(seed, seed % 4);
		struct run *b = run_new(seed, seed % 4);

		run_all(a);
		b->seed = seed * 7 + 1;
		b->late_sends = true;
		b->chunk_max = 1 + seed % 9;
		run_all(b);
		check_promises(a);
		check_promises(b);
		ck_assert_mem_eq(a->result, b->result, sizeof(a->result));
		ck_assert_mem_eq(a->code, b->code, sizeof(a->code));
		ck_assert_uint_eq(a->mails, MAILS);
		groups += a->groups;
		free(a);
		free(b);
	}
	ck_assert_uint_gt(groups, 100);
}
END_TEST

START_TEST(hang_up_anywhere)
{
	unsigned seed, tally[SMTP_RESULT_COUNT] = { 0 }, m, i;
	size_t cut;

	for (seed = 0; seed < 48; seed++) {
		for (cut = 0; cut < 900; cut++) {
			struct run *r = run_new(seed, seed % 3);

			r->cut = cut;
			r->late_sends = seed & 8;
			r->chunk_max = 1 + seed % 50;
			run_all(r);
			check_promises(r);
			for (m = 0; m < r->mails; m++)
				for (i = 0; i < 1 + m % RCPTS; i++)
					tally[r->result[m][i]]++;
			free(r);
		}
	}
	ck_assert_uint_gt(tally[SMTP_UNSURE], 0);
	ck_assert_uint_gt(tally[SMTP_LOST], 0);
	ck_assert_uint_gt(tally[SMTP_ACCEPTED], 0);
}
END_TEST

START_TEST(noise)
{
	static const char *const words[] = {
		"220 ",
		"250-",
		"250 ",
		"354 ",
		"421 x\r\n",
		"550 5.1.1\r\n",
		"\r\n",
		"\n",
		"2",
		"250 ok\r\n",
		"250-PIPELINING\r\n",
		"STARTTLS\r\n",
		"354 go\r\n",
		"\x01x",
	};
	const unsigned count = sizeof(words) / sizeof(words[0]);
	unsigned seed, w, m, i;

	for (seed = 0; seed < 20000; seed++) {
		struct run *r = run_new(seed, 0);

		w = seed;
		if (seed % 2)
			say(&r->srv, "220 x\r\n250-x\r\n250 PIPELINING\r\n");
		while (r->srv.out_len < 400)
			say(&r->srv, words[rnd(&w) % count]);
		r->cut = r->srv.out_len;
		r->chunk_max = 1 + seed % 80;
		run_all(r);
		for (m = 0; m < r->mails; m++)
			for (i = 0; i < 1 + m % RCPTS; i++)
				ck_assert_int_eq(r->settled[m][i], 1);
		free(r);
	}
}
END_TEST

/* Everything goes well: TLS, groups, every recipient accepted. */
START_TEST(all_good)
{
	struct run *r = run_new(7, 0);
	unsigned m, i;

	r->set.tls = SMTP_TLS_MUST;
	run_all(r);
	check_promises(r);
	ck_assert(r->srv.tls);
	ck_assert_uint_eq(r->groups, MAILS - 2); /* the first goes alone */
	for (m = 0; m < MAILS; m++)
		for (i = 0; i < 1 + m % RCPTS; i++)
			ck_assert_int_eq(r->result[m][i], SMTP_ACCEPTED);
	free(r);
}
END_TEST

START_TEST(words_for_everything)
{
	int i;

	for (i = 0; i < SMTP_RESULT_COUNT; i++) {
		ck_assert_ptr_nonnull(smtp_result_name((enum smtp_result)i));
		ck_assert_ptr_nonnull(smtp_result_words((enum smtp_result)i));
	}
	for (i = 0; i < SMTP_STAGE_COUNT; i++) {
		ck_assert_ptr_nonnull(smtp_stage_name((enum smtp_stage)i));
		ck_assert_ptr_nonnull(smtp_stage_words((enum smtp_stage)i));
	}
	ck_assert_str_eq(smtp_result_words(SMTP_UNSURE),
			 "the server may have the mail");
}
END_TEST

/* What a host cannot take is told from what nobody can: only the former may
 * go to the next host. */
/* --- a group, answer by answer -------------------------------------------- */

static void hear(struct smtp_session *s, const char *text)
{
	struct smtp_event ev;
	size_t at = 0, len = strlen(text);

	while (at < len) {
		at += smtp_session_input(s, text + at, len - at, 0);
		while (smtp_session_event(s, &ev))
			ck_assert_int_ne(ev.type, SMTP_EV_CLOSE);
	}
}

static void speak(struct smtp_session *s)
{
	struct iovec iov[SMTP_IOV_MAX];

	while (smtp_session_output(s, iov, SMTP_OUT_MIN, false, 0) > 0)
		smtp_session_sent(s, 0);
}

/* Only while part of a group's answers is there: before and behind it our own
 * octets acknowledge. */
START_TEST(more_answers_of_a_group)
{
	static const struct {
		const char *said;
		bool more;
	} steps[] = { { "250 ok\r\n", true },  { "250 ok\r\n", true },
		      { "25", true },          { "0 ok\r\n", true },
		      { "354 go\r\n", false }, { "250 ok\r\n", false } };
	struct iovec content = { (void *)(uintptr_t) "a: b\r\n", 6 };
	struct smtp_settings set = { .hostname = SPAN("a.test"),
				     .pipelining = true };
	struct smtp_mail mail = { .sender = SPAN("s@y"),
				  .rcpts = rcpts,
				  .rcpt_count = 2,
				  .content = &content,
				  .content_count = 1,
				  .content_bytes = content.iov_len };
	struct smtp_pool *pool = smtp_pool_new(RCPTS);
	struct smtp_session *s = smtp_session_new(&set, pool, 0);
	bool offered = _i == 1;
	size_t i;

	hear(s, "220 mx\r\n");
	speak(s);
	hear(s, offered ? "250-mx\r\n250 PIPELINING\r\n" : "250 mx\r\n");
	ck_assert_int_eq(smtp_session_mail(s, &mail, 0), 0);
	speak(s);
	ck_assert(!smtp_session_more_answers(s));
	for (i = 0; i < 6; i++) {
		hear(s, steps[i].said);
		speak(s);
		ck_assert_msg(smtp_session_more_answers(s) ==
				      (offered && steps[i].more),
			      "step %zu", i);
	}
	smtp_session_free(&s);
	smtp_pool_free(&pool);
}
END_TEST

START_TEST(rule_24_what_only_this_host_cannot_take)
{
	static const struct {
		int err;
		enum local_rule rule;
	} cases[] = {
		{ -EMSGSIZE, LOCAL_SIZE },   { -EOPNOTSUPP, LOCAL_UTF8 },
		{ -EILSEQ, LOCAL_EIGHTBIT }, { -EINVAL, LOCAL_NONE },
		{ -E2BIG, LOCAL_NONE },      { -EAGAIN, LOCAL_NONE },
		{ -ENOMEM, LOCAL_NONE },     { 0, LOCAL_NONE },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_int_eq(smtp_mail_unfit(cases[i].err), cases[i].rule);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session");
	TCase *tc = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tc, 240);
	tcase_add_test(tc, all_good);
	tcase_add_test(tc, words_for_everything);
	tcase_add_test(tc, rule_24_what_only_this_host_cannot_take);
	tcase_add_test(tc, cuts_do_not_matter);
	tcase_add_loop_test(tc, more_answers_of_a_group, 0, 2);
	tcase_add_test(tc, hang_up_anywhere);
	tcase_add_test(tc, noise);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
