/*
 * tests/unit/test_rollup.c - which domains share a site
 */
#include "site_rig.h"

START_TEST(same_hosts_same_site)
{
	const struct rig_host ab[] = { { "a.x", 10, 1 },
				       { "b.x", 10, 2 },
				       { "c.x", 20, 3 } };
	const struct rig_host ba[] = { { "b.x", 0, 2 },
				       { "a.x", 0, 1 },
				       { "c.x", 5, 3 } };
	const struct rig_host ranks[] = { { "a.x", 10, 1 },
					  { "b.x", 20, 2 },
					  { "c.x", 20, 3 } };
	const struct rig_host fewer[] = { { "a.x", 10, 1 }, { "b.x", 10, 2 } };
	struct mxset *set = rig_set(ab, 3);
	struct site_key k = rig_key(ab, 3), other;

	ck_assert_uint_eq(k.hash, rig_key(ba, 3).hash);
	ck_assert_uint_ne(k.hash, rig_key(ranks, 3).hash);
	ck_assert_uint_ne(k.hash, rig_key(fewer, 2).hash);
	ck_assert_ptr_null(k.preset);
	site_key(set, NULL, 0, 1, 0, &other);
	ck_assert_uint_ne(k.hash, other.hash);
	site_key(set, NULL, 0, 0, 1, &other);
	ck_assert_uint_ne(k.hash, other.hash);
	set->hosts[0].addrs[0].port = 2525;
	site_key(set, NULL, 0, 0, 0, &other);
	ck_assert_uint_ne(k.hash, other.hash);
	mxset_unref(&set);
}
END_TEST

START_TEST(presets_match_whole_sets_at_a_dot)
{
	const struct rig_host g1[] = { { "aspmx.l.google.com", 1, 1 },
				       { "aspmx2.googlemail.com", 5, 2 } };
	const struct rig_host g2[] = { { "gmail-smtp-in.l.google.com", 5, 3 } };
	const struct rig_host mixed[] = { { "aspmx.l.google.com", 1, 1 },
					  { "mx.evil.example", 9, 9 } };
	const struct rig_host tail[] = { { "mx.evil-l.google.com", 1, 1 } };
	const struct rig_host o1[] = { { "a-com.mail.protection.outlook.com", 0,
					 1 } };
	const struct rig_host o2[] = { { "b-com.mail.protection.outlook.com", 0,
					 2 } };

	ck_assert_str_eq(rig_key(g1, 2).preset->name, "google");
	ck_assert_uint_eq(rig_key(g1, 2).hash, rig_key(g2, 1).hash);
	ck_assert_ptr_null(rig_key(mixed, 2).preset);
	ck_assert_ptr_null(rig_key(tail, 1).preset);
	/* Another tenant's host takes no mail for us: two sites, one owner. */
	ck_assert_uint_ne(rig_key(o1, 1).hash, rig_key(o2, 1).hash);
	ck_assert_uint_eq(rig_key(o1, 1).owner, rig_key(o2, 1).owner);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rollup");
	TCase *t = tcase_create("keys");
	SRunner *r;
	int failed;

	tcase_add_test(t, same_hosts_same_site);
	tcase_add_test(t, presets_match_whole_sets_at_a_dot);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
