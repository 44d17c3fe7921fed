/*
 * tests/unit/test_transcripts.c - play the dialogues in tests/transcripts/
 *
 *	# words        a comment
 *	S: line        the server says it (with CRLF)
 *	S+ line        the same, in one packet with what it says next
 *	S- text        without the CRLF
 *	C: line        we must say exactly this next
 *	= event        this must be reported next (its first words are enough):
 *	               ready, tls, done TAG,
 *	               rcpt TAG/N RESULT CODE STAGE ENHANCED "text",
 *	               close RESULT CODE STAGE carried N idle|busy
 *	               trust|distrust "text"
 *	= nothing      nothing may have happened
 *	! act          we do it, see acts[] below
 *
 * \r \n \\ and \xHH are understood everywhere.  Mails are numbered from 1 by
 * their tag.  Each file is played packet by packet, octet by octet, and once
 * for each octet that the server says with a cut before it ("! whole": only
 * the first; files of more than CUTS_MAX octets are cut at as many places).  What a mail lends is heap memory that goes
 * away at its MAIL_DONE, and each batch must be unchanged when it was sent.
 */
#include "mtaq/smtp.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define OUT_MAX    (1u << 20)
#define PACKET_MAX 65536u
#define EVENTS_MAX 64
#define EVENT_TEXT 1024
#define RCPTS_MAX  64
#define CUTS_MAX   2000u

struct lent {
	struct lent *next;
	uint64_t tag;
	void *p;
};

struct player {
	const char *file;
	int line_no;
	bool octets, whole_only, hold, lent, pending;
	/* Octets said so far; a packet ends behind cut_at of them (0: none). */
	size_t said, cut_at;
	struct smtp_settings set;
	uint32_t rcpts_max;
	struct smtp_pool *pool;
	struct smtp_session *s;
	uint64_t now_ms, tags;
	struct smtp_mail mail; /* options of the next one */
	char content[65536];   /* pieces divided by '|' */
	char params[64], rcpt_params[64], address[256];
	struct lent *lents;
	char *out, *batch;
	size_t out_len, batch_len;
	struct iovec iov[SMTP_IOV_MAX];
	int iov_count;
	char packet[PACKET_MAX];
	size_t packet_len;
	char events[EVENTS_MAX][EVENT_TEXT];
	unsigned head, tail;
};

static void *lend(struct player *p, const void *data, size_t len)
{
	struct lent *l = malloc(sizeof(*l));

	ck_assert_ptr_nonnull(l);
	*l = (struct lent){ p->lents, p->tags, malloc(len + (len == 0)) };
	ck_assert_ptr_nonnull(l->p);
	if (len > 0)
		memcpy(l->p, data, len);
	p->lents = l;
	return l->p;
}

static void give_back(struct player *p, uint64_t tag, bool all)
{
	struct lent **at = &p->lents;

	while (*at != NULL) {
		struct lent *l = *at;

		if (!all && l->tag != tag) {
			at = &l->next;
			continue;
		}
		*at = l->next;
		free(l->p);
		free(l);
	}
}

/* --- what happens ----------------------------------------------------- */

static void describe(const struct smtp_event *ev, char *text, size_t size)
{
	const struct smtp_verdict *v = &ev->verdict;
	const char *res = smtp_result_name(v->result);
	const char *stage = smtp_stage_name(v->stage);

	if (ev->type == SMTP_EV_RCPT)
		snprintf(text, size, "rcpt %u/%u %s %u %s %u.%u.%u \"%.*s\"",
			 (unsigned)ev->tag, ev->rcpt, res, v->code, stage,
			 v->enhanced.cls, v->enhanced.subject,
			 v->enhanced.detail, (int)v->text.len, v->text.p);
	else if (ev->type == SMTP_EV_CLOSE)
		snprintf(text, size,
			 "close %s %u %s carried %u %s %s%s \"%.*s\"", res,
			 v->code, stage, ev->carried,
			 ev->idle ? "idle" : "busy",
			 ev->distrust ? "distrust" : "trust",
			 ev->no_chunks ? " no-chunks" : "", (int)v->text.len,
			 v->text.p);
	else if (ev->type == SMTP_EV_MAIL_DONE)
		snprintf(text, size, "done %u", (unsigned)ev->tag);
	else
		snprintf(text, size, "%s",
			 ev->type == SMTP_EV_TLS ? "tls" : "ready");
}

static void note_events(struct player *p)
{
	struct smtp_event ev;

	while (smtp_session_event(p->s, &ev)) {
		ck_assert_uint_lt(p->tail - p->head, EVENTS_MAX);
		describe(&ev, p->events[p->tail++ % EVENTS_MAX], EVENT_TEXT);
		if (ev.type == SMTP_EV_MAIL_DONE)
			give_back(p, ev.tag, false);
	}
}

/* What smtp_session_gathers() promises to who goes on with more octets. */
static void nothing_due(struct player *p)
{
	struct iovec iov[SMTP_IOV_MAX];
	struct smtp_event ev;

	if (!smtp_session_gathers(p->s))
		return;
	ck_assert(!smtp_session_event(p->s, &ev));
	ck_assert_int_eq(
		smtp_session_output(p->s, iov, SMTP_OUT_MIN, true, p->now_ms),
		0);
}

static void batch_sent(struct player *p)
{
	size_t at = 0;
	int i;

	for (i = 0; i < p->iov_count; i++) {
		ck_assert_mem_eq(p->batch + at, p->iov[i].iov_base,
				 p->iov[i].iov_len);
		at += p->iov[i].iov_len;
	}
	p->lent = false;
	smtp_session_sent(p->s, p->now_ms);
}

static bool take_batch(struct player *p)
{
	int i;

	p->iov_count = smtp_session_output(p->s, p->iov, SMTP_OUT_MIN,
					   p->pending, p->now_ms);
	p->batch_len = 0;
	for (i = 0; i < p->iov_count; i++) {
		size_t n = p->iov[i].iov_len;

		ck_assert_uint_gt(n, 0);
		ck_assert_uint_le(p->out_len + n, OUT_MAX);
		memcpy(p->out + p->out_len, p->iov[i].iov_base, n);
		memcpy(p->batch + p->batch_len, p->iov[i].iov_base, n);
		p->out_len += n;
		p->batch_len += n;
	}
	ck_assert_uint_le(p->batch_len, SMTP_OUT_MIN);
	return p->iov_count > 0;
}

static void begin(struct player *p)
{
	if (p->s != NULL)
		return;
	p->pool = smtp_pool_new(p->rcpts_max);
	ck_assert_ptr_nonnull(p->pool);
	p->s = smtp_session_new(&p->set, p->pool, p->now_ms);
	ck_assert_ptr_nonnull(p->s);
}

/* The caller's turn, as the header describes it. */
static void turn(struct player *p)
{
	begin(p);
	note_events(p);
	while (!p->lent && take_batch(p)) {
		if (p->hold)
			p->lent = true;
		else
			batch_sent(p);
		note_events(p);
	}
	note_events(p);
}

/* --- lines of a dialogue ---------------------------------------------- */

static size_t unescape(const char *text, char *out_r)
{
	size_t n = 0;
	unsigned byte;

	for (; *text != '\0'; text++) {
		if (*text != '\\') {
			out_r[n++] = *text;
		} else if (*++text == 'x') {
			ck_assert_int_eq(sscanf(text + 1, "%2x", &byte), 1);
			out_r[n++] = (char)byte;
			text += 2;
		} else {
			out_r[n++] = *text == 'r'   ? '\r'
				     : *text == 'n' ? '\n'
						    : *text;
		}
	}
	return n;
}

/* How many of the n octets that come next go in at once. */
static size_t until_cut(const struct player *p, size_t n)
{
	if (p->octets)
		return 1;
	if (p->said < p->cut_at && p->cut_at < p->said + n)
		return p->cut_at - p->said;
	return n;
}

static void server_says(struct player *p, const char *text, char how)
{
	size_t at = 0, n;

	ck_assert_uint_le(p->packet_len + strlen(text) + 2, PACKET_MAX);
	p->packet_len += unescape(text, p->packet + p->packet_len);
	if (how != '-') {
		memcpy(p->packet + p->packet_len, "\r\n", 2);
		p->packet_len += 2;
	}
	if (how == '+')
		return;
	turn(p);
	while (at < p->packet_len) {
		n = until_cut(p, p->packet_len - at);
		n = smtp_session_input(p->s, p->packet + at, n, p->now_ms);
		at += n;
		p->said += n;
		nothing_due(p);
		note_events(p);
	}
	p->packet_len = 0;
}

static void we_say(struct player *p, const char *text)
{
	char line[4096];
	size_t len = unescape(text, line);

	memcpy(line + len, "\r\n", 2);
	len += 2;
	turn(p);
	ck_assert_msg(len <= p->out_len && memcmp(line, p->out, len) == 0,
		      "%s:%d: wanted \"%s\", have \"%.*s\"", p->file,
		      p->line_no, text, (int)p->out_len, p->out);
	p->out_len -= len;
	memmove(p->out, p->out + len, p->out_len);
}

static void event_is(struct player *p, const char *text)
{
	const char *have = "nothing";
	size_t len = strlen(text);
	bool same;

	turn(p);
	if (p->head < p->tail)
		have = p->events[p->head++ % EVENTS_MAX];
	same = strncmp(have, text, len) == 0 &&
	       (have[len] == '\0' || have[len] == ' ' || have[len] == '\n');
	ck_assert_msg(same, "%s:%d: wanted %s, have %s", p->file, p->line_no,
		      text, have);
}

/* --- acts ------------------------------------------------------------- */

static void make_content(struct player *p, struct smtp_mail *m)
{
	struct iovec v[64];
	char *at = p->content, *end;
	char piece[65536];

	for (; at != NULL; at = end == NULL ? NULL : end + 1) {
		size_t n;

		end = strchr(at, '|');
		if (end != NULL)
			*end = '\0';
		n = unescape(at, piece);
		ck_assert_uint_lt(m->content_count, 64);
		v[m->content_count++] = (struct iovec){ lend(p, piece, n), n };
		m->content_bytes += n;
		if (end != NULL)
			*end = '|';
	}
	m->content = lend(p, v, m->content_count * sizeof(v[0]));
}

static int give_mail(struct player *p, unsigned rcpts)
{
	struct smtp_rcpt r[RCPTS_MAX];
	struct smtp_mail m = p->mail;
	char text[300];
	uint32_t i;

	turn(p);
	m.tag = ++p->tags;
	m.sender = span_of(lend(p, "s@y", 3), 3);
	m.params = span_of(lend(p, p->params, strlen(p->params)),
			   strlen(p->params));
	for (i = 0; i < rcpts; i++) {
		size_t n = (size_t)snprintf(text, sizeof(text), "r%u@x", i);

		if (p->address[0] != '\0')
			n = unescape(p->address, text);
		r[i].address = span_of(lend(p, text, n), n);
		n = strlen(p->rcpt_params);
		r[i].params = span_of(lend(p, p->rcpt_params, n), n);
	}
	m.rcpts = lend(p, r, rcpts * sizeof(r[0]));
	m.rcpt_count = rcpts;
	make_content(p, &m);
	return smtp_session_mail(p->s, &m, p->now_ms);
}

static void keep_text(const char *text, const char *before, char *out_r,
		      size_t size)
{
	size_t head = strlen(before), len = strlen(text);

	ck_assert_uint_lt(head + len, size);
	memcpy(out_r, before, head);
	memcpy(out_r + head, text, len + 1);
}

static bool act_on_mail(struct player *p, const char *text)
{
	unsigned n;
	char word[32];

	if (sscanf(text, "mail %u", &n) == 1)
		ck_assert_msg(give_mail(p, n) == 0, "%s:%d: mail not taken",
			      p->file, p->line_no);
	else if (sscanf(text, "cannot %31s %u", word, &n) == 2) {
		const char *name = strerrorname_np(-give_mail(p, n));

		ck_assert_msg(name != NULL && strcmp(name, word) == 0,
			      "%s:%d: wanted %s, have %s", p->file, p->line_no,
			      word, name == NULL ? "success" : name);
		give_back(p, p->tags--, false);
	} else if (strcmp(text, "8bit") == 0)
		p->mail.flags |= SMTP_MAIL_8BIT;
	else if (strcmp(text, "utf8") == 0)
		p->mail.flags |= SMTP_MAIL_UTF8;
	else if (strcmp(text, "dots") == 0)
		p->mail.flags |= SMTP_MAIL_DOTS;
	else if (strncmp(text, "content ", 8) == 0)
		keep_text(text + 8, "", p->content, sizeof(p->content));
	else if (strncmp(text, "params ", 7) == 0)
		keep_text(text + 7, " ", p->params, sizeof(p->params));
	else if (strncmp(text, "rcpt-params ", 12) == 0)
		keep_text(text + 12, " ", p->rcpt_params,
			  sizeof(p->rcpt_params));
	else if (strncmp(text, "address ", 8) == 0)
		keep_text(text + 8, "", p->address, sizeof(p->address));
	else
		return false;
	return true;
}

static bool act_on_session(struct player *p, const char *text)
{
	if (strcmp(text, "hold") == 0) {
		p->hold = true;
		return true;
	}
	turn(p);
	if (strcmp(text, "quit") == 0)
		ck_assert_int_eq(smtp_session_quit(p->s, p->now_ms), 0);
	else if (strcmp(text, "tls-ok") == 0)
		smtp_session_tls_done(p->s, true, p->now_ms);
	else if (strcmp(text, "tls-failed") == 0)
		smtp_session_tls_done(p->s, false, p->now_ms);
	else if (strcmp(text, "hang-up") == 0)
		smtp_session_eof(p->s);
	else if (strcmp(text, "pending") == 0)
		p->pending = true;
	else if (strcmp(text, "not-pending") == 0)
		p->pending = false;
	else if (strcmp(text, "silent") == 0)
		ck_assert_msg(p->out_len == 0, "%s:%d: we said \"%.*s\"",
			      p->file, p->line_no, (int)p->out_len, p->out);
	else if (strcmp(text, "release") == 0) {
		p->hold = false;
		batch_sent(p);
	} else
		return false;
	return true;
}

static bool act_with_number(struct player *p, const char *text)
{
	unsigned n;

	if (sscanf(text, "room %u", &n) == 1) {
		turn(p);
		ck_assert_msg(smtp_session_room(p->s) == n,
			      "%s:%d: room for %u", p->file, p->line_no,
			      smtp_session_room(p->s));
	} else if (sscanf(text, "odd %u", &n) == 1) {
		ck_assert_uint_eq(smtp_session_info(p->s).odd_replies, n);
	} else if (sscanf(text, "groups %u", &n) == 1) {
		ck_assert_uint_eq(smtp_session_info(p->s).groups, n);
	} else if (sscanf(text, "ahead %u", &n) == 1) {
		turn(p);
		smtp_session_set_ahead(p->s, n);
	} else if (sscanf(text, "wait %u", &n) == 1) {
		turn(p);
		p->now_ms += n * 1000u;
		smtp_session_tick(p->s, p->now_ms);
	} else {
		return false;
	}
	return true;
}

/* Before the first line that is said. */
static bool act_on_settings(struct player *p, const char *text)
{
	if (strcmp(text, "whole") == 0)
		p->whole_only = true;
	else if (strcmp(text, "tls off") == 0)
		p->set.tls = SMTP_TLS_OFF;
	else if (strcmp(text, "tls must") == 0)
		p->set.tls = SMTP_TLS_MUST;
	else if (strcmp(text, "no-pipelining") == 0)
		p->set.pipelining = false;
	else if (strcmp(text, "grouping") == 0)
		p->set.grouping = true;
	else if (strcmp(text, "chunking") == 0)
		p->set.chunking = true;
	else if (strcmp(text, "eightbit bounce") == 0)
		p->set.eightbit = SMTP_EIGHTBIT_BOUNCE;
	else
		return false;
	ck_assert_msg(p->s == NULL, "%s:%d: too late", p->file, p->line_no);
	return true;
}

static void play_line(struct player *p, const char *line)
{
	if (line[0] == 'S' && line[1] != '\0' && line[2] == ' ')
		server_says(p, line + 3, line[1]);
	else if (strncmp(line, "C: ", 3) == 0)
		we_say(p, line + 3);
	else if (strncmp(line, "= ", 2) == 0)
		event_is(p, line + 2);
	else if (strncmp(line, "! ", 2) == 0)
		ck_assert_msg(act_on_settings(p, line + 2) ||
				      act_on_mail(p, line + 2) ||
				      act_with_number(p, line + 2) ||
				      act_on_session(p, line + 2),
			      "%s:%d: what is this?", p->file, p->line_no);
	else
		ck_assert_msg(line[0] == '#' || line[0] == '\0',
			      "%s:%d: bad line", p->file, p->line_no);
}

static void at_end(struct player *p)
{
	turn(p);
	ck_assert_msg(p->out_len == 0, "%s: left over: %.*s", p->file,
		      (int)p->out_len, p->out);
	ck_assert_msg(p->head == p->tail, "%s: left over: %s", p->file,
		      p->events[p->head % EVENTS_MAX]);
	if (p->lent)
		batch_sent(p);
	smtp_session_free(&p->s);
	smtp_pool_free(&p->pool);
	give_back(p, 0, true);
}

struct way {
	bool octets;
	size_t cut_at;
};

/* How many octets the server said; 0 when it is played whole only. */
static size_t play(const char *file, struct way way)
{
	/* Kept from play to play: memory of this size is slow to come by when
	 * a sanitizer watches, and there are tens of thousands of plays. */
	static struct player player;
	static char out[OUT_MAX], batch[OUT_MAX];
	struct player *p = &player;
	char line[70000];
	FILE *f = fopen(file, "r");
	size_t said;

	ck_assert_msg(f != NULL, "cannot open %s", file);
	memset(p, 0, offsetof(struct player, packet));
	p->packet_len = 0;
	p->head = p->tail = 0;
	p->file = file;
	p->octets = way.octets;
	p->cut_at = way.cut_at;
	p->rcpts_max = RCPTS_MAX;
	p->set = (struct smtp_settings){ .hostname = SPAN("test"),
					 .tls = SMTP_TLS_MAY,
					 .pipelining = true };
	keep_text("hi\\r\\n", "", p->content, sizeof(p->content));
	p->out = out;
	p->batch = batch;
	while (fgets(line, sizeof(line), f) != NULL) {
		p->line_no++;
		line[strcspn(line, "\n")] = '\0';
		play_line(p, line);
		if (p->whole_only && (way.octets || way.cut_at > 0))
			break;
	}
	fclose(f);
	if (!p->whole_only || (!way.octets && way.cut_at == 0))
		at_end(p);
	said = p->whole_only ? 0 : p->said;
	return said;
}

static char **files;

START_TEST(whole)
{
	play(files[_i], (struct way){ .octets = false });
}
END_TEST

START_TEST(rule_04_octet_by_octet)
{
	play(files[_i], (struct way){ .octets = true });
}
END_TEST

START_TEST(rule_04_a_cut_at_every_octet)
{
	size_t said = play(files[_i], (struct way){ .octets = false });
	size_t step = said / CUTS_MAX + 1, at;

	for (at = 1; at < said; at += step)
		play(files[_i], (struct way){ .cut_at = at });
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite = suite_create("transcripts");
	TCase *tc = tcase_create("files");
	SRunner *runner = srunner_create(suite);
	int failed;

	files = argv + 1;
	tcase_add_loop_test(tc, whole, 0, argc - 1);
	tcase_set_timeout(tc, 240);
	tcase_add_loop_test(tc, rule_04_octet_by_octet, 0, argc - 1);
	tcase_add_loop_test(tc, rule_04_a_cut_at_every_octet, 0, argc - 1);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 && argc > 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}
