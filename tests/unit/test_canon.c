/*
 * tests/unit/test_canon.c - rules 22, 24 and 26: the canonical form
 */
#include "mail/canon.h"
#include "mail/qp.h"

#include "base/buf.h"
#include "base/hash.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define NOW  "Sun, 22 Nov 2026 16:27:20 +0000"
#define TOP  "Date: " NOW "\r\nMessage-ID: <u.1@mail.example>\r\n"
#define DONE "Date: x\r\nMessage-ID: <y>\r\nFrom: a@b\r\n"

static struct canon *canon;
static const char *mail_folder = "tests/mail";

static struct canon_settings settings(void)
{
	return (struct canon_settings){ .unique = SPAN("u.1"),
					.id_domain = SPAN("mail.example"),
					.sender = SPAN("s@example.net"),
					.now_s = 1795364840 };
}

/* The octets that come out, in one piece. */
static struct buf make(const struct canon_settings *set, struct span in,
		       struct canon_result *res_r)
{
	struct buf out;
	int i;

	buf_init(&out, 1 << 28);
	(void)canon_make(canon, set, in, res_r);
	for (i = 0; i < res_r->count; i++)
		buf_add(&out, res_r->pieces[i].iov_base,
			res_r->pieces[i].iov_len);
	ck_assert_uint_eq(out.len, res_r->size);
	ck_assert_int_eq(out.failed, 0);
	return out;
}

static void expect(const struct canon_settings *set, struct span in,
		   struct span want)
{
	struct canon_result res;
	struct buf out = make(set, in, &res);

	ck_assert_msg(span_eq(buf_span(&out), want),
		      "%.*s\n gives (%s)\n%.*s\n instead of\n%.*s", (int)in.len,
		      in.p, canon_error_words(res.error), (int)out.len, out.p,
		      (int)want.len, want.p);
	buf_free(&out);
}

/* Is every CR before a LF and every LF behind a CR?  (An assertion for each
 * octet would cost seconds.) */
static bool only_crlf(struct span s)
{
	size_t i;
	bool ok = s.len >= 2 && s.p[0] != '\n' && s.p[s.len - 1] == '\n';

	for (i = 1; i < s.len; i++)
		ok = ok && (s.p[i - 1] == '\r') == (s.p[i] == '\n');
	return ok;
}

static void refused(const struct canon_settings *set, struct span in,
		    enum canon_error error, uint64_t line)
{
	struct canon_result res = { .error = CANON_OK };

	ck_assert_int_eq(canon_make(canon, set, in, &res), error);
	ck_assert_int_eq(res.error, error);
	ck_assert_uint_eq(res.line, line);
	ck_assert_int_eq(res.count, 0);
}

START_TEST(rule_22_line_ends)
{
	struct canon_settings set = settings();
	const struct {
		struct span in, want;
	} rows[] = {
		/* bare LF, bare CR, a missing last line end */
		{ SPAN(DONE "\r\na\nb\n"), SPAN(DONE "\r\na\r\nb\r\n") },
		{ SPAN(DONE "\r\na\rb\r"), SPAN(DONE "\r\na\r\nb\r\n") },
		{ SPAN(DONE "\r\na\r\r\nb"), SPAN(DONE "\r\na\r\n\r\nb\r\n") },
		{ SPAN(DONE "\r\na\n\rb"), SPAN(DONE "\r\na\r\n\r\nb\r\n") },
		{ SPAN(DONE "\r\n\n\r\n\r"), SPAN(DONE "\r\n\r\n\r\n\r\n") },
		{ SPAN("Date: x\nMessage-ID: <y>\nFrom: a@b\n c\n\nd"),
		  SPAN("Date: x\r\nMessage-ID: <y>\r\nFrom: a@b\r\n c\r\n"
		       "\r\nd\r\n") },
		{ SPAN("Date: x\rMessage-ID: <y>\rFrom: a@b"), SPAN(DONE) },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(&set, rows[i].in, rows[i].want);
	set.newlines = CANON_NEWLINES_REFUSE;
	refused(&set, SPAN(DONE "\r\na\nb\r\n"), CANON_BARE_NEWLINE, 5);
	refused(&set, SPAN(DONE "\r\na\r\nb\rc\r\n"), CANON_BARE_NEWLINE, 6);
	expect(&set, SPAN(DONE "\r\na"), SPAN(DONE "\r\na\r\n"));
}
END_TEST

/* CVE-2023-51764 and its like: no dot stands between line ends that are not
 * both CRLF, whatever stood there. */
START_TEST(rule_22_no_smuggling)
{
	static const char *const ends[] = { "\n",     "\r",   "\r\n",
					    "\r\r\n", "\n\r", "" };
	struct canon_settings set = settings();
	struct canon_result res;
	size_t i, k;

	for (i = 0; i < 6; i++) {
		for (k = 0; k < 6; k++) {
			char in[200];
			int n = snprintf(in, sizeof(in), DONE "\r\nx%s.%sQUIT",
					 ends[i], ends[k]);
			struct buf out =
				make(&set, span_of(in, (size_t)n), &res);

			ck_assert(only_crlf(buf_span(&out)));
			ck_assert_int_eq((res.flags & CANON_DOTS) != 0, i < 5);
			buf_free(&out);
		}
	}
}
END_TEST

START_TEST(rule_22_nul_and_nothing_refused)
{
	struct canon_settings set = settings();

	refused(&set, SPAN(DONE "\r\na\r\nb\0c\r\n"), CANON_NUL, 6);
	refused(&set, SPAN("\0"), CANON_NUL, 1);
	refused(&set, SPAN(""), CANON_EMPTY, 0);
	refused(&set, SPAN("From x\r\n"), CANON_EMPTY, 0);
}
END_TEST

START_TEST(rule_22_mbox_line_dropped)
{
	struct canon_settings set = settings();

	expect(&set, SPAN("From x Mon Jan 1\n" DONE "\nb\n"),
	       SPAN(DONE "\r\nb\r\n"));
	/* An obsolete field is no mbox line. */
	expect(&set, SPAN("From : a@b\r\nDate: x\r\nMessage-ID: <y>\r\n"),
	       SPAN("From : a@b\r\nDate: x\r\nMessage-ID: <y>\r\n"));
	/* Only in front. */
	expect(&set, SPAN(DONE "\nFrom x\n"), SPAN(DONE "\r\nFrom x\r\n"));
}
END_TEST

START_TEST(rule_22_received_line)
{
	struct canon_settings set = settings();
	char in[4096];
	size_t n = 0;
	int i;

	set.received = SPAN("by mx (mtaq)\r\nEvil: x\xff");
	expect(&set, SPAN(DONE "\r\n"),
	       SPAN("Received: by mx (mtaq)??Evil: x?;\r\n\t" NOW "\r\n" DONE
		    "\r\n"));
	for (i = 0; i < 50; i++)
		n += (size_t)snprintf(in + n, sizeof(in) - n,
				      "received : by h%d\r\n", i);
	n += (size_t)snprintf(in + n, sizeof(in) - n, DONE "\r\n");
	ck_assert_int_eq(canon_make(canon, &set, span_of(in, n),
				    &(struct canon_result){ 0 }),
			 CANON_OK);
	memmove(in + 17, in, n);
	memcpy(in, "Received: by xyz\n", 17);
	refused(&set, span_of(in, n + 17), CANON_LOOP, 51);
	ck_assert_str_eq(canon_error_enhanced(CANON_LOOP), "5.4.6");
}
END_TEST

START_TEST(rule_26_one_from)
{
	struct canon_settings set = settings();

	refused(&set, SPAN("To: a@b\r\n\r\nFrom: x\r\n"), CANON_FROM_MISSING,
		0);
	refused(&set, SPAN(DONE "Subject: x\r\nFROM : c@d\r\n\r\n"),
		CANON_FROM_TWICE, 5);
	set.from_add = true;
	expect(&set, SPAN("To: a@b\r\n\r\nx\r\n"),
	       SPAN("From: s@example.net\r\n" TOP "To: a@b\r\n\r\nx\r\n"));
	set.sender = SPAN("");
	refused(&set, SPAN("To: a@b\r\n\r\n"), CANON_FROM_MISSING, 0);
}
END_TEST

START_TEST(rule_26_date_and_message_id_added)
{
	struct canon_settings set = settings();

	expect(&set, SPAN("From: a@b\r\n\r\n"), SPAN(TOP "From: a@b\r\n\r\n"));
	expect(&set, SPAN("From: a@b\r\nmessage-id:\r\n\r\n"),
	       SPAN("Date: " NOW "\r\nFrom: a@b\r\nmessage-id:\r\n\r\n"));
	expect(&set, SPAN("From: a@b\r\ndate : \r\n\r\nMessage-ID: x\r\n"),
	       SPAN("Message-ID: <u.1@mail.example>\r\nFrom: a@b\r\ndate : \r\n"
		    "\r\nMessage-ID: x\r\n"));
	set.unique = SPAN("a b>\r\n");
	expect(&set, SPAN("From: a@b\r\nDate: x\r\n"),
	       SPAN("Message-ID: <a-b---@mail.example>\r\nFrom: a@b\r\n"
		    "Date: x\r\n"));
}
END_TEST

START_TEST(rule_26_bcc_and_return_path_removed)
{
	struct canon_settings set = settings();
	char in[2000];

	expect(&set,
	       SPAN("Bcc: a@b,\n c@d\n" DONE "BCC : e@f,\ng@h\nX: y\n"
		    "return-path: <z>\nResent-Bcc: i@j"),
	       SPAN(DONE "X: y\r\n"));
	expect(&set, SPAN(DONE "\nBcc: in the body\n"),
	       SPAN(DONE "\r\nBcc: in the body\r\n"));
	/* Who goes need not be short, not even in signed mail. */
	memset(in, 'x', sizeof(in));
	memcpy(in, "DKIM-Signature: x\r\n" DONE "Bcc: ", 19 + sizeof(DONE) + 4);
	expect(&set, span_of(in, sizeof(in)),
	       SPAN("DKIM-Signature: x\r\n" DONE));
}
END_TEST

START_TEST(header_section_made_where_none_is)
{
	struct canon_settings set = settings();

	set.from_add = true;
	expect(&set, SPAN("hello\nTo: x\n"),
	       SPAN("From: s@example.net\r\n" TOP "\r\nhello\r\nTo: x\r\n"));
	expect(&set, SPAN("\nhello"),
	       SPAN("From: s@example.net\r\n" TOP "\r\nhello\r\n"));
	expect(&set, SPAN("\n"), SPAN("From: s@example.net\r\n" TOP "\r\n"));
}
END_TEST

/* head, then count times fill, then tail */
static struct span long_line(const char *head, char fill, size_t count,
			     const char *tail)
{
	static char text[8192];
	size_t h = strlen(head), t = strlen(tail);

	memcpy(text, head, h);
	memset(text + h, fill, count);
	memcpy(text + h + count, tail, t);
	return span_of(text, h + count + t);
}

static size_t widest(struct span s)
{
	size_t width = 0, max = 0, i;

	for (i = 0; i < s.len; i++) {
		width = s.p[i] == '\n' ? 0 : width + 1;
		max = width > max ? width : max;
	}
	return max;
}

static struct buf wide(struct span in, const char *has)
{
	struct canon_settings set = settings();
	struct canon_result res;
	struct buf out = make(&set, in, &res);

	ck_assert_msg(res.error == CANON_OK, "%s",
		      canon_error_words(res.error));
	ck_assert_uint_le(widest(buf_span(&out)), 999);
	ck_assert_msg(memmem(out.p, out.len, has, strlen(has)) != NULL,
		      "no %s in %.*s", has, (int)out.len, out.p);
	return out;
}

START_TEST(rule_22_long_lines_become_qp)
{
	const char *multi = DONE "Content-Type: multipart/mixed; boundary=b\n\n"
				 "--b\n\n=\n--b\nX: y\n\n=";
	struct buf out;

	out = wide(long_line(DONE "\n", 'x', 999, "\n= \n"),
		   DONE "MIME-Version: 1.0\r\n"
			"Content-Transfer-Encoding: quoted-printable\r\n\r\nx");
	ck_assert(span_ends_nocase(buf_span(&out), SPAN("\r\n=3D=20\r\n")));
	ck_assert_uint_eq(widest(buf_span(&out)), 77);
	buf_free(&out);
	out = wide(long_line(DONE "\n", 'x', 998, "\n=\n"), "x\r\n=\r\n");
	buf_free(&out);
	out = wide(long_line(DONE
			     "Content-Transfer-Encoding: 8bit\nMIME-Version: "
			     "1.0\ncontent-transfer-encoding: 7bit\n\n",
			     '\xff', 1200, ""),
		   "a@b\r\nContent-Transfer-Encoding: quoted-printable\r\n"
		   "MIME-Version: 1.0\r\n\r\n=FF");
	buf_free(&out);
	/* only the leaf with the long line */
	out = wide(long_line(multi, 'x', 1200, "\n--b--\n"),
		   "\r\n\r\n=\r\n--b\r\nX: y\r\nContent-Transfer-Encoding: "
		   "quoted-printable\r\n\r\n=3Dxx");
	ck_assert(span_ends_nocase(buf_span(&out), SPAN("x\r\n--b--\r\n")));
	buf_free(&out);
	out = wide(long_line(DONE "Content-Transfer-Encoding: base64\n\nQQ\n",
			     'A', 1200, "\n"),
		   "base64\r\n\r\nQQ\r\nAAA");
	ck_assert_uint_eq(widest(buf_span(&out)), 77);
	buf_free(&out);
	out = wide(long_line(DONE "Content-Transfer-Encoding: "
				  "quoted-printable\n\n=3D\n",
			     'A', 1200, "=3D=\nB"),
		   "printable\r\n\r\n=3D\r\nAAA");
	buf_free(&out);
	/* a header line is folded */
	out = wide(long_line(DONE "X: a b ", 'x', 995, " c\n\n"),
		   "X: a b\r\n xxx");
	buf_free(&out);
}
END_TEST

START_TEST(rule_22_long_lines_in_signed_mail_refused)
{
	struct canon_settings set = settings();
	const struct {
		const char *head;
		enum canon_error error;
		uint64_t line;
	} rows[] = {
		{ DONE "DKIM-Signature: v=1\n\nx\n", CANON_LONG_SIGNED, 7 },
		{ DONE "DKIM-Signature: v=1\nX: y ", CANON_LONG_SIGNED, 5 },
		{ DONE "Content-Type: multipart/signed; boundary=b\n\n--b\n\n",
		  CANON_LONG_SIGNED, 8 },
		{ DONE "Content-Type: message/rfc822\n\nA: b\n\n",
		  CANON_LONG_SIGNED, 8 },
		{ DONE "Content-Transfer-Encoding: x-uuencode\n\n",
		  CANON_LONG_ENCODED, 6 },
		{ DONE "Content-Transfer-Encoding: base64\n\n-",
		  CANON_LONG_ENCODED, 6 },
		{ DONE "Content-Type: multipart/mixed; boundary=b\n\n",
		  CANON_LONG_OUTSIDE, 6 },
		{ DONE "Content-Type: multipart/mixed; boundary=b\n\n--b\n"
		       "--b--\n",
		  CANON_LONG_OUTSIDE, 8 },
		{ DONE "X: ", CANON_LONG_HEADER, 4 },
		{ DONE "X: y\nbroken", CANON_LONG_HEADER, 5 },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		refused(&set, long_line(rows[i].head, 'x', 999, "\n"),
			rows[i].error, rows[i].line);
}
END_TEST

START_TEST(rule_24_flags)
{
	struct canon_settings set = settings();
	const struct {
		struct span in;
		uint32_t flags;
	} rows[] = {
		{ SPAN(DONE "\r\nplain text. no dot first\r\n"), 0 },
		{ SPAN(DONE "\r\n.\r\n"), CANON_DOTS },
		{ SPAN(DONE "\r\nx\r.y\r\n"), CANON_DOTS },
		{ SPAN(DONE "\r\n\xe4\r\n"), CANON_8BIT },
		{ SPAN(DONE "Subject: \xe4\r\n\r\n"),
		  CANON_8BIT | CANON_HEADER8 },
		{ SPAN(DONE "Bcc: \xe4\r\n\r\n"), 0 },
		{ SPAN(DONE "Bcc: \xe4\r\n\r\n.\r\n"), CANON_DOTS },
		{ SPAN("From \xe4\r\n" DONE), 0 },
	};
	struct canon_result res;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_int_eq(canon_make(canon, &set, rows[i].in, &res), 0);
		ck_assert_uint_eq(res.flags, rows[i].flags);
	}
	/* What becomes quoted-printable has no 8-bit octets any more. */
	ck_assert_int_eq(canon_make(canon, &set,
				    long_line(DONE "\n", '\xe4', 999, ""),
				    &res),
			 0);
	ck_assert_uint_eq(res.flags, 0);
	set.from_add = true;
	set.sender = SPAN("j\xc3\xb6@example.net");
	ck_assert_int_eq(canon_make(canon, &set, SPAN("X: y\r\n"), &res), 0);
	ck_assert_uint_eq(res.flags, CANON_8BIT | CANON_HEADER8);
}
END_TEST

START_TEST(canonical_input_is_borrowed)
{
	struct canon_settings set = settings();
	struct canon_result res;
	struct span in = long_line(DONE "\r\n", 'x', 998, "\r\nend\r\n");

	ck_assert_int_eq(canon_make(canon, &set, in, &res), CANON_OK);
	ck_assert_int_eq(res.count, 1);
	ck_assert_ptr_eq(res.pieces[0].iov_base, in.p);
	set.received = SPAN("by x");
	ck_assert_int_eq(canon_make(canon, &set, in, &res), CANON_OK);
	ck_assert_int_eq(res.count, 2);
	ck_assert_ptr_eq(res.pieces[1].iov_base, in.p);
	ck_assert_uint_eq(res.pieces[1].iov_len, in.len);
}
END_TEST

START_TEST(pieces_are_bounded)
{
	struct canon_settings set = settings();
	struct canon_result res;
	size_t width, len = 4 << 20, i;
	char *in = malloc(len);

	ck_assert_ptr_nonnull(in);
	for (width = 1; width < 900; width = width * 3 + 1) {
		memset(in, 'x', len);
		memcpy(in, DONE "\n", sizeof(DONE));
		for (i = sizeof(DONE); i < len; i += width)
			in[i] = i % 2 ? '\r' : '\n';
		ck_assert_int_eq(
			canon_make(canon, &set, span_of(in, len), &res),
			CANON_OK);
		ck_assert_int_le(res.count, CANON_PIECES_MAX);
	}
	free(in);
}
END_TEST

/* What holds of every canonical form. */
static void check_form(struct canon_settings *set, struct span in)
{
	struct canon_result res;
	struct buf out = make(set, in, &res), again;

	if (res.error == CANON_OK) {
		ck_assert(only_crlf(buf_span(&out)));
		ck_assert_ptr_null(memchr(out.p, '\0', out.len));
		ck_assert_uint_le(widest(buf_span(&out)), 999);
		set->newlines = CANON_NEWLINES_REFUSE;
		again = make(set, buf_span(&out), &res);
		set->newlines = CANON_NEWLINES_FIX;
		ck_assert_int_eq(res.error, CANON_OK);
		ck_assert(span_eq(buf_span(&again), buf_span(&out)));
		buf_free(&again);
	}
	buf_free(&out);
}

static struct buf read_file(const char *name)
{
	char path[1024], block[4096];
	struct buf b;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", mail_folder, name);
	buf_init(&b, 1 << 22);
	f = fopen(path, "rb");
	ck_assert_msg(f != NULL, "cannot open %s", path);
	while ((n = fread(block, 1, sizeof(block), f)) > 0)
		buf_add(&b, block, n);
	fclose(f);
	return b;
}

/* A copy with a few octets changed, and a few runs put in. */
static struct buf mutate(const struct buf *b, uint64_t seed)
{
	static const char *const odd[] = { "\r",       "\n",   "\n.\n",
					   "\r\n\r\n", "\xff", "\nBcc",
					   ":",        "--",   "From ",
					   " " };
	struct buf out;
	size_t at = 0, i, k, n;

	buf_init(&out, 1 << 23);
	for (i = 0; i < 6; i++) {
		uint64_t r = hash_pair(seed, i);
		size_t left = b->len - at;

		n = left == 0 ? 0 : r % left;
		buf_add(&out, b->p + at, n);
		at += n;
		for (k = (r >> 40) % 16 == 0 ? 1000 : 1; k > 0; k--)
			buf_add_span(&out, span_str(odd[(r >> 32) % 10]));
		if (at < b->len && (r >> 48) % 2)
			at++;
	}
	buf_add(&out, b->p + at, b->len - at);
	return out;
}

START_TEST(the_form_of_the_form_is_the_form)
{
	struct canon_settings set = settings();
	DIR *dir = opendir(mail_folder);
	struct dirent *entry;
	uint64_t seed;
	int files = 0;

	ck_assert_msg(dir != NULL, "no folder %s", mail_folder);
	set.from_add = true;
	while ((entry = readdir(dir)) != NULL) {
		struct buf b;

		if (strstr(entry->d_name, ".eml") == NULL)
			continue;
		files++;
		b = read_file(entry->d_name);
		check_form(&set, buf_span(&b));
		for (seed = 0; seed < 100; seed++) {
			struct buf odd = mutate(&b, seed);

			check_form(&set, buf_span(&odd));
			buf_free(&odd);
		}
		buf_free(&b);
	}
	closedir(dir);
	ck_assert_int_eq(files, 78);
}
END_TEST

START_TEST(qp_lines)
{
	const struct {
		struct span in;
		const char *want, *soft;
	} rows[] = {
		{ SPAN(""), "", "" },
		{ SPAN("a=b~\x7f\xff\x01"), "a=3Db~=7F=FF=01", NULL },
		{ SPAN(" a\tb \t"), " a\tb=20=09", NULL },
		{ SPAN(" \t"), "=20=09", NULL },
		{ SPAN("-- x-y"), "=2D- x-y", "=2D- x-y" },
		{ SPAN("1234567890123456789012345678901234567890123456789012345"
		       "67890123456789012345-234=3D"),
		  "123456789012345678901234567890123456789012345678901234567890"
		  "123456789012345=\r\n=2D234=3D3D",
		  NULL },
		{ SPAN("1234567890123456789012345678901234567890123456789012345"
		       "6789012345678901234=3D=4"),
		  NULL,
		  "123456789012345678901234567890123456789012345678901234567890"
		  "12345678901234=\r\n=3D=4" },
	};
	struct buf b;
	size_t i;

	buf_init(&b, 4096);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		buf_clear(&b);
		qp_put_line(&b, rows[i].in);
		if (rows[i].want != NULL)
			ck_assert_msg(
				span_eq(buf_span(&b), span_str(rows[i].want)),
				"%.*s", (int)b.len, b.p);
		buf_clear(&b);
		qp_put_soft(&b, rows[i].in);
		if (rows[i].soft != NULL)
			ck_assert_msg(
				span_eq(buf_span(&b), span_str(rows[i].soft)),
				"%.*s", (int)b.len, b.p);
	}
	buf_free(&b);
}
END_TEST

START_TEST(every_refusal_has_words)
{
	int i;

	for (i = 0; i < CANON_ERROR_COUNT; i++) {
		enum canon_error e = (enum canon_error)i;

		ck_assert_uint_gt(strlen(canon_error_words(e)), 10);
		ck_assert_uint_eq(strlen(canon_error_enhanced(e)), 5);
	}
}
END_TEST

static Suite *suite_of_rules(void)
{
	Suite *suite = suite_create("canon");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, rule_22_line_ends);
	tcase_add_test(tc, rule_22_no_smuggling);
	tcase_add_test(tc, rule_22_nul_and_nothing_refused);
	tcase_add_test(tc, rule_22_mbox_line_dropped);
	tcase_add_test(tc, rule_22_received_line);
	tcase_add_test(tc, rule_26_one_from);
	tcase_add_test(tc, rule_26_date_and_message_id_added);
	tcase_add_test(tc, rule_26_bcc_and_return_path_removed);
	tcase_add_test(tc, header_section_made_where_none_is);
	tcase_add_test(tc, rule_22_long_lines_become_qp);
	tcase_add_test(tc, rule_22_long_lines_in_signed_mail_refused);
	tcase_add_test(tc, rule_24_flags);
	tcase_add_test(tc, canonical_input_is_borrowed);
	tcase_add_test(tc, pieces_are_bounded);
	tcase_add_test(tc, the_form_of_the_form_is_the_form);
	tcase_add_test(tc, qp_lines);
	tcase_add_test(tc, every_refusal_has_words);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(int argc, char **argv)
{
	SRunner *runner = srunner_create(suite_of_rules());
	int failed;

	if (argc > 1)
		mail_folder = argv[1];
	canon = canon_new();
	if (canon == NULL)
		return EXIT_FAILURE;
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	canon_free(&canon);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
