/*
 * Conversations as lines: what is shown, what is not, however the octets are
 * cut.
 */
#include "smtp/transcript.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
	const char *name;
	bool ready;
	const char *talk; /* '>' ours, '<' theirs; one piece a line, '|' CRLF */
	const char *lines;
} talks[] = {
	{ "a message", true,
	  "<220 hi|\n>EHLO me|\n<250-a|250 SIZE|\n>MAIL FROM:<a>|RCPT "
	  "TO:<b>|DATA|\n<250 ok|250 ok|354 go|\n>Subject: secret||body|..|.|\n"
	  "<250 done|\n>QUIT|\n<221 bye|\n",
	  "<220 hi\n>EHLO me\n<250-a\n<250 SIZE\n>MAIL FROM:<a>\n>RCPT TO:<b>\n"
	  ">DATA\n<250 ok\n<250 ok\n<354 go\n"
	  "><29 octets of content, and the dot>\n<250 done\n>QUIT\n<221 bye\n" },
	{ "an empty message", true, ">DATA|\n<354 go|\n>.|RSET|\n",
	  ">DATA\n<354 go\n><0 octets of content, and the dot>\n>RSET\n" },
	{ "DATA refused", true, ">MAIL x|DATA|\n<250 a|503 b|\n>RSET|\n",
	  ">MAIL x\n>DATA\n<250 a\n<503 b\n>RSET\n" },
	{ "the next mail behind the dot (rule 19)", true,
	  ">DATA|\n<354 go|\n>text|.|MAIL FROM:<a>|DATA|\n<250 one|250 "
	  "two|354 go|\n>more|.|\n",
	  ">DATA\n<354 go\n><6 octets of content, and the dot>\n>MAIL "
	  "FROM:<a>\n>DATA\n<250 one\n<250 two\n<354 go\n"
	  "><6 octets of content, and the dot>\n" },
	{ "a stray 354", true, ">RSET|\n<354 what|\n>NOOP|\n",
	  ">RSET\n<354 what\n>NOOP\n" },
	{ "BDAT", true, ">BDAT 4 LAST|\n>ab|RSET|\n",
	  ">BDAT 4 LAST\n><4 octets of content>\n>RSET\n" },
	{ "AUTH with its words", true,
	  ">AUTH PLAIN AGEAYg==|\n<235 in|\n>NOOP|\n",
	  ">AUTH PLAIN ***\n<235 in\n>NOOP\n" },
	{ "AUTH asked word by word", true,
	  ">auth LOGIN|\n<334 VXNlcg==|\n>dXNlcg==|\n<334 "
	  "UGFzcw==|\n>c2VjcmV0|\n<235 in|\n>NOOP|\n",
	  ">auth LOGIN\n<334 VXNlcg==\n>***\n<334 UGFzcw==\n>***\n<235 in\n"
	  ">NOOP\n" },
	{ "begun in the middle", false,
	  ">secret words|more|\n<250 x|\n>.|MAIL FROM:<a>|\n",
	  "<250 x\n><20 octets, not shown: the session was under way>\n"
	  ">MAIL FROM:<a>\n" },
	{ "a dot that ends nothing", true,
	  ">DATA|\n<354 go|\n>a|.b|.|\n>NOOP|\n",
	  ">DATA\n<354 go\n><7 octets of content, and the dot>\n>NOOP\n" },
};

/* Play a talk; pieces of at most `step` octets. */
static void play(size_t i, size_t step, char *got, size_t size)
{
	static struct transcript t;
	const char *p = talks[i].talk;
	char octets[500];
	size_t len, at, n = 0;

	transcript_begin(&t, talks[i].ready);
	got[0] = '\0';
	while (*p != '\0') {
		enum transcript_side side =
			*p++ == '>' ? TRANSCRIPT_OURS : TRANSCRIPT_THEIRS;

		for (len = 0; *p != '\n'; p++) {
			if (*p == '|')
				octets[len++] = '\r';
			octets[len++] = *p == '|' ? '\n' : *p;
		}
		p++;
		for (at = 0; at < len;) {
			size_t part = len - at < step ? len - at : step;
			struct span s = span_of(octets + at, part), line;

			at += part;
			while (transcript_take(&t, side, &s, &line))
				n += (size_t)snprintf(
					got + n, size - n, "%c%.*s\n",
					side == TRANSCRIPT_OURS ? '>' : '<',
					(int)line.len, line.p);
			ck_assert_uint_eq(s.len, 0);
		}
	}
}

START_TEST(lines_are_these_however_cut)
{
	char got[2000];
	size_t step;

	for (step = 1; step < 12; step++) {
		play((size_t)_i, step, got, sizeof(got));
		ck_assert_msg(strcmp(got, talks[_i].lines) == 0,
			      "%s, by %zu:\n%s", talks[_i].name, step, got);
	}
	play((size_t)_i, 500, got, sizeof(got));
	ck_assert_str_eq(got, talks[_i].lines);
}
END_TEST

START_TEST(a_long_line_is_cut_and_says_so)
{
	static struct transcript t;
	static char octets[5000];
	struct span s = span_of(octets, sizeof(octets)), line;

	memset(octets, 'x', sizeof(octets));
	memcpy(octets + 4990, "\r\n250 y\r\n", 9);
	transcript_begin(&t, true);
	ck_assert(transcript_take(&t, TRANSCRIPT_THEIRS, &s, &line));
	ck_assert_uint_eq(line.len, TRANSCRIPT_LINE_MAX + 4);
	ck_assert_mem_eq(line.p + TRANSCRIPT_LINE_MAX, " ...", 4);
	ck_assert(transcript_take(&t, TRANSCRIPT_THEIRS, &s, &line));
	ck_assert(span_eq(line, SPAN("250 y")));
	ck_assert(!transcript_take(&t, TRANSCRIPT_THEIRS, &s, &line));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("transcript");
	TCase *t = tcase_create("transcript");
	SRunner *r;
	int failed;

	tcase_add_loop_test(t, lines_are_these_however_cut, 0,
			    sizeof(talks) / sizeof(talks[0]));
	tcase_add_test(t, a_long_line_is_cut_and_says_so);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
