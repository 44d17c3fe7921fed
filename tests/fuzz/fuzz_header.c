/*
 * tests/fuzz/fuzz_header.c - header sections, address lists, parts, mboxes
 *
 * Spans must lie in the input and cover it; all walks must end.
 */
#include "base/bug.h"
#include "mail/header.h"
#include "mail/mbox.h"
#include "mail/mime.h"

static void fuzz_fields(struct span in)
{
	struct header_scan s;
	struct header_field f;
	struct header_addrs a;
	const char *at = in.p;
	size_t items = 0;

	header_scan_init(&s, in);
	while (header_scan_next(&s, &f)) {
		BUG_ON(f.whole.p != at || f.name.len == 0);
		BUG_ON(f.value.p + f.value.len > f.whole.p + f.whole.len);
		at = f.whole.p + f.whole.len;
		header_addrs_init(&a, f.value);
		while (header_addrs_next(&a) != 0) {
			BUG_ON(a.len > HEADER_ADDR_MAX);
			BUG_ON(++items > in.len);
		}
	}
	BUG_ON(at != header_scan_section(&s).p + header_scan_section(&s).len);
	BUG_ON(header_scan_body(&s).p + header_scan_body(&s).len !=
	       in.p + in.len);
}

static void fuzz_parts(struct span in)
{
	static struct mime_walk w;
	struct mime_part p;
	const char *at = in.p;

	mime_walk_init(&w, in);
	while (mime_walk_next(&w, &p)) {
		if (p.delimiter.len > 0) {
			/* At most a line end before it. */
			BUG_ON(p.delimiter.p < at || p.delimiter.p > at + 2);
			at = p.delimiter.p + p.delimiter.len;
		}
		BUG_ON(p.section.p != at);
		at += p.section.len + p.gap.len;
		BUG_ON(p.body.p != at);
		at += p.body.len;
	}
	BUG_ON(at > in.p + in.len || at + 2 < in.p + in.len);
}

static void fuzz_mbox(struct span in)
{
	struct mbox m;
	struct span rest = in, s;
	enum mbox_event what;
	size_t begun = 0, ended = 0, events = 0;

	mbox_init(&m, in.len % 2 == 0);
	while ((what = mbox_next(&m, &rest, true, &s)) != MBOX_MORE) {
		BUG_ON(++events > 2 * in.len + 2);
		if (what == MBOX_BROKEN)
			return;
		begun += what == MBOX_BEGIN;
		ended += what == MBOX_END;
	}
	BUG_ON(begun != ended || begun != m.messages || rest.len != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);

	if (size == 0)
		return 0;
	fuzz_fields(in);
	fuzz_parts(in);
	fuzz_mbox(in);
	return 0;
}
