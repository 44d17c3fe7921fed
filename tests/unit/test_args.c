/*
 * A command line by one table: each form of an option, each mistake and its
 * words, and what --help prints.
 */
#include "base/args.h"
#include "base/near.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static const struct args_option options[] = {
	{ "config", 'c', "FILE", "a file [the usual one]", 'c' },
	{ "dry-run", 'n', NULL, "change nothing", 'n' },
	{ "class", 0, "bulk|fast|slowly", "which", 'k' },
	{ "quiet", 'q', NULL,
	  "a long explanation that does not fit into the rest of its line and "
	  "goes on below it",
	  'q' },
	{ NULL, 0, NULL, NULL, 0 },
};
static const struct args_verb verbs[] = {
	{ "list", "all" },
	{ "show", "one" },
	{ NULL, NULL },
};
static const struct args_command command = {
	.name = "mtaq test",
	.usage = "mtaq test list\nmtaq test show ID",
	.about = "About it.\n\nMore.",
	.verbs = verbs,
	.options = options,
	.more = "Exit codes: 0.",
};

/* What a line gives: "c=x n" and so on, words behind " :", or what is wrong
 * behind "!". */
static void read_line(const char *line, char *got, size_t size)
{
	char copy[200], *argv[32], *p;
	int argc = 1, id, n = 0;
	struct args a;

	argv[0] = copy; /* not looked at */
	snprintf(copy, sizeof(copy), "%s", line);
	for (p = copy; *p != '\0'; argc++) {
		argv[argc] = p;
		for (; *p != ' ' && *p != '\0'; p++)
			if (*p == '_') /* an empty argument, or a blank */
				*p = argv[argc] == p ? '\0' : ' ';
		if (*p != '\0')
			*p++ = '\0';
	}
	args_begin(&a, &command, argc, argv);
	got[0] = '\0';
	while ((id = args_next(&a)) > 0)
		n += snprintf(got + n, size - (size_t)n,
			      a.value == NULL ? "%c " : "%c=%s ", id, a.value);
	if (id == ARGS_HELP)
		snprintf(got + n, size - (size_t)n, "help");
	else if (id == ARGS_WRONG)
		snprintf(got + n, size - (size_t)n, "!%s", a.wrong);
	for (int i = 0; id == ARGS_END && i < a.word_count; i++)
		n += snprintf(got + n, size - (size_t)n, ":%s ", a.words[i]);
}

static const struct {
	const char *line, *got;
} lines[] = {
	{ "", "" },
	{ "--config x", "c=x " },
	{ "--config=x", "c=x " },
	{ "--config=", "c= " },
	{ "--config=a=b", "c=a=b " },
	{ "-c x", "c=x " },
	{ "-cx", "c=x " },
	{ "-c -n", "c=-n " },
	{ "--config --dry-run", "c=--dry-run " },
	{ "-nq", "n q " },
	{ "-nqcx", "n q c=x " },
	{ "-nc x", "n c=x " },
	{ "a -n b", "n :a :b " },
	{ "a -- -n b", ":a :-n :b " },
	{ "- -n", "n :- " },
	{ "--class bulk", "k=bulk " },
	{ "--class=fast", "k=fast " },
	{ "--help", "help" },
	{ "-h", "help" },
	{ "-nh", "n help" },
	{ "a --dry-run --help --nonsense", "n help" },
	{ "--class slow", "!--class is bulk|fast|slowly, not 'slow'" },
	{ "--class bul", "!--class is bulk|fast|slowly, not 'bul'" },
	{ "--config", "!'--config' wants a value" },
	{ "-c", "!'-c' wants a value" },
	{ "-nc", "n !'-nc' wants a value" },
	{ "--dry-run=yes", "!'--dry-run=yes': this option takes no value" },
	{ "--help=x", "!'--help=x': this option takes no value" },
	{ "--dry", "!there is no option '--dry'; did you mean '--dry-run'?" },
	{ "--confg x",
	  "!there is no option '--confg'; did you mean '--config'?" },
	{ "--zebra", "!there is no option '--zebra'" },
	{ "-x", "!there is no option '-x'" },
	{ "-n\x1b", "n !there is no option '-?'" },
};

START_TEST(each_form_is_read)
{
	char got[600];

	read_line(lines[_i].line, got, sizeof(got));
	ck_assert_str_eq(got, lines[_i].got);
}
END_TEST

START_TEST(verbs_are_found_and_meant)
{
	char *argv[] = { "test", NULL };
	struct args a;

	args_begin(&a, &command, 1, argv);
	ck_assert_ptr_eq(args_verb(&a, "show"), &verbs[1]);
	ck_assert_ptr_null(args_verb(&a, "lsit"));
	ck_assert_str_eq(a.wrong,
			 "there is no command 'lsit'; did you mean 'list'?");
	ck_assert_ptr_null(args_verb(&a, "burn"));
	ck_assert_str_eq(a.wrong, "there is no command 'burn'");
}
END_TEST

START_TEST(help_is_the_table)
{
	static const char want[] =
		"usage: mtaq test list\n"
		"       mtaq test show ID\n"
		"\nAbout it.\n\nMore.\n"
		"\n  list  all\n  show  one\n"
		"\n  -c, --config FILE  a file [the usual one]\n"
		"  -n, --dry-run      change nothing\n"
		"      --class bulk|fast|slowly\n"
		"                     which\n"
		"  -q, --quiet        a long explanation that does not fit into "
		"the rest of its\n"
		"                     line and goes on below it\n"
		"  -h, --help         what the command does\n"
		"\nExit codes: 0.\n";
	struct buf out;

	buf_init(&out, 4096);
	args_help(&command, &out);
	buf_add_char(&out, '\0');
	ck_assert_str_eq(out.p, want);
	buf_free(&out);
}
END_TEST

START_TEST(near_words)
{
	static const char *const names[] = { "pause", "resume", "retry" };

	ck_assert_str_eq(near_name(SPAN("pasue"), names, 3), "pause");
	ck_assert_str_eq(near_name(SPAN("res"), names, 3), "resume");
	ck_assert_str_eq(near_name(SPAN("rety"), names, 3), "retry");
	ck_assert_ptr_null(near_name(SPAN(""), names, 3));
	ck_assert_ptr_null(near_name(SPAN("x"), names, 3));
	ck_assert_ptr_null(near_name(SPAN("cancel"), names, 3));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("args");
	TCase *t = tcase_create("args");
	SRunner *r;
	int failed;

	tcase_add_loop_test(t, each_form_is_read, 0,
			    sizeof(lines) / sizeof(lines[0]));
	tcase_add_test(t, verbs_are_found_and_meant);
	tcase_add_test(t, help_is_the_table);
	tcase_add_test(t, near_words);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
