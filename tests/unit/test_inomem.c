/*
 * tests/unit/test_inomem.c - configuration and submissions when memory runs out
 *
 * Argument 1 is the project's folder: conf/mtaq.yaml is what is read.
 */
#include "base/bug.h"
#include "ingress/server.h"
#include "ingress/pack.h"
#include "nomem.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *root;

/* --- configuration ----------------------------------------------------------- */

/* Every option at its default, and lists. */
static void configuration(struct buf *b)
{
	char path[1000], text[4096], *unset;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/conf/mtaq.yaml", root);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	buf_init(b, 1 << 20);
	while ((n = fread(text, 1, sizeof(text), f)) > 0)
		(void)buf_add(b, text, n);
	(void)fclose(f);
	/* The one option without a default: its line becomes a comment. */
	unset = memmem(b->p, b->len, "hostname: \"\"", 12);
	ck_assert_ptr_nonnull(unset);
	*unset = '#';
	(void)buf_add_span(b, SPAN("\nhostname: mail.example.net\n"));
	ck_assert_int_eq(b->failed, 0);
}

START_TEST(settings_are_whole_or_not_there)
{
	struct settings set, untouched;
	char words[500];
	struct nomem n;
	struct buf b;
	int rc;

	configuration(&b);
	memset(&untouched, 0x5a, sizeof(untouched));
	for (nomem_begin(&n); nomem_again(&n);) {
		memcpy(&set, &untouched, sizeof(set));
		rc = settings_parse("t", b.p, b.len, &set, words,
				    sizeof(words));
		if (rc == 0) {
			ck_assert_ptr_nonnull(set.hostname);
			settings_free(&set);
			continue;
		}
		ck_assert_msg(nomem_hit() && rc == -ENOMEM, "%d: %s", rc,
			      words);
		ck_assert_int_eq(memcmp(&set, &untouched, sizeof(set)), 0);
	}
	ck_assert_uint_gt(n.total, 50);
	buf_free(&b);
}
END_TEST

/* --- submissions ------------------------------------------------------------- */

#define MAILS 3

static const uint8_t sub[16] = "0123456789abcde";
static struct settings settings;
static char file[8192];
static size_t file_len;

static void submission(void)
{
	static const struct span rcpts[] = { { "a@x.example", 11 },
					     { "b@y.example", 11 } };
	struct submit_message m = { .sender = SPAN("s@s.example"),
				    .rcpts = rcpts,
				    .rcpt_count = 2,
				    .content = SPAN("Subject: x\n\nhello\n") };
	char words[500];
	struct submit_file *f;
	int i, fd = memfd_create("inomem", 0);
	ssize_t n;

	ck_assert_int_eq(settings_parse("t", "hostname: a.example", 19,
					&settings, words, sizeof(words)),
			 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(submit_file_new(fd, sub, &f), 0);
	for (i = 0; i < MAILS; i++)
		ck_assert_int_eq(submit_file_put(f, &m), 0);
	ck_assert_int_eq(submit_file_end(f), 0);
	submit_file_free(&f);
	n = pread(fd, file, sizeof(file), 0);
	close(fd);
	ck_assert_int_gt(n, 0);
	file_len = (size_t)n;
}

/* Give it the file; what comes out is accepted, and noted as the queue does.
 * What the queue has already is known by its id: that is no mail more. */
static unsigned play(struct ingress_conn *c, uint64_t taken[MAILS])
{
	struct ingress_item *it;
	unsigned i, accepted = 0;
	size_t at = 0, room;
	void *p;

	while (at < file_len && !ingress_over(c)) {
		p = ingress_room(c, &room);
		if (room == 0)
			break;
		if (room > file_len - at)
			room = file_len - at;
		memcpy(p, file + at, room);
		at += room;
		ingress_fed(c, room);
	}
	while (ingress_next(c, 5, 6, &it) == 1) {
		for (i = 0; i < MAILS && taken[i] != 0; i++)
			if (it->may_repeat && taken[i] == it->msg.number)
				break;
		ck_assert_uint_lt(i, MAILS); /* else it is doubled */
		accepted += taken[i] == 0;
		taken[i] = it->msg.number;
		ingress_accepted(it, 1000 + i);
	}
	return accepted;
}

/* Count what a submitter is told: ids, or "try later". */
static void told(struct span s, unsigned *accepted_r, unsigned *later_r)
{
	struct frame_answer a;
	struct frame_head h;
	struct span payload;

	while (s.len >= FRAME_HEAD_SIZE &&
	       frame_head_get(s.p, false, &h) == 0) {
		payload = span_of(s.p + FRAME_HEAD_SIZE, h.length);
		s = span_of(payload.p + h.length,
			    s.len - FRAME_HEAD_SIZE - h.length);
		while (h.type == FRAME_ANSWER &&
		       frame_answer_get(&payload, &a) == 1) {
			ck_assert(a.code == 0 || a.code == 75);
			*accepted_r += a.code == 0 && a.id_count == 1;
			*later_r += a.code != 0;
		}
	}
	ck_assert_uint_eq(s.len, 0);
}

/* Nothing is told as accepted that the queue did not take, and every mail is
 * answered, or the conversation ends and the submitter comes again. */
static void turn(struct ingress_seen *seen)
{
	uint64_t numbers[MAILS] = { 0 };
	unsigned taken, accepted = 0, later = 0;
	struct ingress_conn *c = NULL;
	struct ingress_large large;
	int rc;

	ingress_large_init(&large);
	rc = ingress_conn_new(&settings, seen, &large, 7, &c);
	if (rc < 0) {
		ck_assert_int_eq(rc, -ENOMEM);
		ck_assert(nomem_hit());
		return;
	}
	taken = play(c, numbers);
	nomem_stop();
	ck_assert(taken == MAILS || nomem_hit());
	told(ingress_answer(c), &accepted, &later);
	ck_assert_uint_le(accepted, taken);
	ck_assert(accepted + later == MAILS || !ingress_complete(c));
	ck_assert(!ingress_complete(c) || later == 0 ||
		  ingress_refusals(c) == later);
	ingress_conn_free(&c);
	/* The same again, with memory: the rest is taken, nothing twice. */
	ck_assert_int_eq(ingress_conn_new(&settings, seen, &large, 7, &c), 0);
	ingress_conn_may_repeat(c);
	ck_assert_uint_eq(taken + play(c, numbers), MAILS);
	ck_assert(ingress_complete(c));
	ingress_conn_free(&c);
}

START_TEST(a_submission_is_answered_or_comes_again)
{
	struct ingress_seen *seen;
	struct nomem n;

	submission();
	for (nomem_begin(&n); nomem_again(&n);) {
		seen = ingress_seen_new(50);
		ck_assert(seen != NULL || nomem_hit());
		if (seen != NULL)
			turn(seen);
		ingress_seen_free(&seen);
	}
	ck_assert_uint_gt(n.total, 5);
	settings_free(&settings);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite = suite_create("inomem");
	TCase *tc = tcase_create("all");
	SRunner *runner;
	int failed;

	BUG_ON(argc != 2);
	root = argv[1];
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, settings_are_whole_or_not_there);
	tcase_add_test(tc, a_submission_is_answered_or_comes_again);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
