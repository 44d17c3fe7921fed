/*
 * Message ids in letters: the way there and back, and every single error and
 * every swap found.
 */
#include "base/msgid.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

static const uint64_t ids[] = {
	0,         1, 31, 32, 0x0123456789abcdef, 64u << 20, 0x8000000000000000,
	UINT64_MAX
};

START_TEST(there_and_back)
{
	char text[MSGID_LEN + 1];
	uint64_t back;

	msgid_print(ids[_i], text);
	ck_assert_uint_eq(strlen(text), MSGID_LEN);
	ck_assert_int_eq(msgid_parse(span_str(text), &back), 0);
	ck_assert_uint_eq(back, ids[_i]);
	for (char *p = text; *p != '\0'; p++)
		if (*p >= 'a' && *p <= 'z')
			*p = (char)(*p - 'a' + 'A');
	ck_assert_int_eq(msgid_parse(span_str(text), &back), 0);
	ck_assert_uint_eq(back, ids[_i]);
}
END_TEST

START_TEST(one_wrong_letter_is_found)
{
	static const char letters[] = "0123456789abcdefghjkmnpqrstvwxyz";
	char text[MSGID_LEN + 1], was;
	uint64_t back;

	msgid_print(ids[_i], text);
	for (unsigned i = 0; i < MSGID_LEN; i++) {
		was = text[i];
		for (unsigned k = 0; k < 32; k++) {
			text[i] = letters[k];
			ck_assert_int_eq(msgid_parse(span_str(text), &back),
					 letters[k] == was ? 0 : -EINVAL);
		}
		text[i] = was;
	}
}
END_TEST

START_TEST(two_swapped_letters_are_found)
{
	char text[MSGID_LEN + 1], was;
	uint64_t back;

	msgid_print(ids[_i], text);
	for (unsigned i = 0; i < MSGID_LEN; i++)
		for (unsigned k = i + 1; k < MSGID_LEN; k++) {
			if (text[i] == text[k])
				continue;
			was = text[i];
			text[i] = text[k];
			text[k] = was;
			ck_assert_int_eq(msgid_parse(span_str(text), &back),
					 -EINVAL);
			text[k] = text[i];
			text[i] = was;
		}
}
END_TEST

START_TEST(what_is_no_id)
{
	static const char *const bad[] = { "",
					   "0",
					   "0000000000000",
					   "000000000000000",
					   "u0000000000000",
					   "g0000000000000",
					   "0000000000000!" };
	uint64_t back = 7;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(msgid_parse(span_str(bad[i]), &back), -EINVAL);
	ck_assert_int_eq(msgid_parse(span_of("0\0", 2), &back), -EINVAL);
	ck_assert_uint_eq(back, 7);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("msgid");
	TCase *t = tcase_create("msgid");
	SRunner *r;
	int failed, n = (int)(sizeof(ids) / sizeof(ids[0]));

	tcase_add_loop_test(t, there_and_back, 0, n);
	tcase_add_loop_test(t, one_wrong_letter_is_found, 0, n);
	tcase_add_loop_test(t, two_swapped_letters_are_found, 0, n);
	tcase_add_test(t, what_is_no_id);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
