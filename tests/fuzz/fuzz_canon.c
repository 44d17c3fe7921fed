/*
 * tests/fuzz/fuzz_canon.c - the canonical form of anything
 *
 * The first octet chooses settings, the rest is the message.  What comes out
 * must be canonical, and its own canonical form.
 */
#include "base/bug.h"
#include "base/buf.h"
#include "mail/canon.h"

static struct canon *canon;

static bool make(const struct canon_settings *set, struct span in,
		 struct buf *out)
{
	struct canon_result res;
	int i;

	if (canon_make(canon, set, in, &res) != CANON_OK)
		return false;
	BUG_ON(res.count > CANON_PIECES_MAX);
	for (i = 0; i < res.count; i++)
		buf_add(out, res.pieces[i].iov_base, res.pieces[i].iov_len);
	BUG_ON(out->failed != 0 || out->len != res.size);
	return true;
}

static void check(struct span s)
{
	size_t i, width = 0;

	BUG_ON(s.len < 2 || s.p[s.len - 1] != '\n' || s.p[0] == '\n');
	for (i = 0; i < s.len; i++) {
		BUG_ON(s.p[i] == '\0');
		BUG_ON(i > 0 && (s.p[i - 1] == '\r') != (s.p[i] == '\n'));
		width = s.p[i] == '\n' ? 0 : width + 1;
		BUG_ON(width > CANON_LINE_MAX + 1); /* and the CR */
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct canon_settings set = { .unique = SPAN("u"),
				      .id_domain = SPAN("x") };
	struct buf one, two;

	if (canon == NULL)
		canon = canon_new();
	if (canon == NULL || size == 0)
		return 0;
	set.from_add = data[0] & 1;
	set.sender = data[0] & 2 ? SPAN("s@example.net") : SPAN("");
	set.newlines = data[0] & 4 ? CANON_NEWLINES_REFUSE : CANON_NEWLINES_FIX;
	buf_init(&one, 1 << 28);
	buf_init(&two, 1 << 28);
	if (make(&set, span_of(data + 1, size - 1), &one)) {
		check(buf_span(&one));
		set.newlines = CANON_NEWLINES_REFUSE;
		BUG_ON(!make(&set, buf_span(&one), &two));
		BUG_ON(!span_eq(buf_span(&one), buf_span(&two)));
	}
	buf_free(&one);
	buf_free(&two);
	return 0;
}
