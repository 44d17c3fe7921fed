/*
 * tests/unit/test_whost.c - what the connections to a host have in common
 */
#include "engine/worker_private.h"

#include "report/note.h"

#include "site_rig.h"

static const struct rig_host hosts[] = { { "mx.example", 10, 1 } };

static struct source_addr sources[2] = { { .text = "192.0.2.7" },
					 { .text = "192.0.2.8" } };

static struct site_target target_of(const char *host, uint8_t ip, uint16_t port)
{
	return (struct site_target){
		.host = host,
		.addr = { .family = 4, .port = port, .ip = { 192, 0, 2, ip } },
	};
}

static void start(struct rig *rig, struct wsite *ws)
{
	struct mxset *set = rig_set(hosts, 1);

	rig_start(rig, NULL, set);
	mxset_unref(&set);
	*ws = (struct wsite){ .site = rig->site };
	list_init(&ws->hosts);
}

/* What an event would print. */
static void check_note(const struct whost *h, const char *host,
		       const char *source)
{
	struct note_common n = { .peer = whost_note(h) }, got;
	char mem[NOTE_COMMON_MAX];
	size_t len = note_common_put(&n, mem);

	ck_assert_int_eq(note_common_get(span_of(mem, len), &got), 0);
	ck_assert(span_eq(got.host, span_str(host)));
	ck_assert(span_eq(got.site, SPAN("mx.example")));
	ck_assert(span_eq(got.source, span_str(source)));
}

START_TEST(one_for_all_connections_alike)
{
	const struct others {
		struct site_target target;
		const struct source_addr *source;
		const char *host;
	} others[] = {
		{ target_of("mx.example", 2, 25), &sources[0],
		  "mx.example[192.0.2.2:25]" },
		{ target_of("mx.example", 1, 26), &sources[0],
		  "mx.example[192.0.2.1:26]" },
		{ target_of("mx2.example", 1, 25), &sources[0],
		  "mx2.example[192.0.2.1:25]" },
		{ target_of("mx.example", 1, 25), &sources[1],
		  "mx.example[192.0.2.1:25]" },
		{ target_of("mx.example", 1, 25), NULL,
		  "mx.example[192.0.2.1:25]" },
	};
	struct site_target target = target_of("mx.example", 1, 25);
	struct whost *first, *second, *other;
	struct wsite ws;
	struct rig rig;
	size_t i;

	start(&rig, &ws);
	first = whost_get(&ws, &target, &sources[0]);
	check_note(first, "mx.example[192.0.2.1:25]", "192.0.2.7");
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		const struct others *o = &others[i];

		other = whost_get(&ws, &o->target, o->source);
		ck_assert_ptr_ne(other, first);
		check_note(other, o->host,
			   o->source == NULL ? "" : o->source->text);
		whost_put(&other);
	}
	second = whost_get(&ws, &target, &sources[0]);
	ck_assert_ptr_eq(second, first);
	whost_put(&first);
	ck_assert_ptr_null(first);
	ck_assert(!list_empty(&ws.hosts));
	whost_put(&second);
	ck_assert(list_empty(&ws.hosts));
	whost_put(&second); /* none */
	rig_stop(&rig);
}
END_TEST

/* The site may forget the name that it lent. */
START_TEST(the_name_is_its_own)
{
	char name[200] = "mx.example", text[300], want[300];
	struct site_target target = target_of(name, 1, 25);
	struct whost *h;
	struct wsite ws;
	struct rig rig;

	start(&rig, &ws);
	h = whost_get(&ws, &target, NULL);
	memset(name, 'x', sizeof(name) - 1);
	ck_assert_str_eq(whost_name(h), "mx.example");
	whost_text(h, text, sizeof(text));
	ck_assert_str_eq(text, "mx.example[192.0.2.1:25]");
	whost_put(&h);
	/* An event has 159 octets for it, others what they give. */
	h = whost_get(&ws, &target, NULL);
	snprintf(want, sizeof(want), "%.*s[192.0.2.1:25]", 159 - 14, name);
	check_note(h, want, "");
	whost_text(h, text, sizeof(text));
	snprintf(want, sizeof(want), "%s[192.0.2.1:25]", name);
	ck_assert_str_eq(text, want);
	whost_put(&h);
	rig_stop(&rig);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("whost");
	TCase *t = tcase_create("whost");
	SRunner *r;
	int failed;

	tcase_add_test(t, one_for_all_connections_alike);
	tcase_add_test(t, the_name_is_its_own);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
