/*
 * tests/fuzz/fuzz_mbox.c - any file as an mbox, whole and in pieces
 *
 * The first octet says how many octets more each look has.  Both ways of
 * reading must give the same from-lines, the same text in the same messages
 * and the same count of doubts; without unescaping nothing is lost: each
 * octet is a from-line's, a message's or the empty line's before a from-line.
 */
#include "base/bug.h"
#include "base/buf.h"
#include "mail/mbox.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	struct buf story;  /* B from-line, T text, E: what a reader is told */
	size_t taken;      /* octets in spans */
	uint64_t messages; /* ended */
	char last;
	bool broken;
};

static void tell(struct seen *to, char what, struct span s)
{
	/* Text may come in any number of spans. */
	if (what != 'T' || to->last != 'T')
		(void)buf_add_char(&to->story, what);
	to->last = what;
	(void)buf_add_span(&to->story, s);
	to->taken += s.len;
	BUG_ON(to->story.failed < 0);
}

/* Events until more is asked for. */
static void take(struct mbox *m, struct span *rest, bool last, struct seen *to)
{
	struct span s;

	while (!to->broken)
		switch (mbox_next(m, rest, last, &s)) {
		case MBOX_MORE:
			return;
		case MBOX_BEGIN:
			tell(to, 'B', s);
			break;
		case MBOX_TEXT:
			BUG_ON(s.len == 0);
			tell(to, 'T', s);
			break;
		case MBOX_END:
			tell(to, 'E', span_of(NULL, 0));
			to->messages++;
			break;
		case MBOX_BROKEN:
			to->broken = true;
			break;
		}
}

static void read_whole(struct mbox *m, struct span in, struct seen *to)
{
	take(m, &in, true, to);
	BUG_ON(!to->broken && (in.len != 0 || to->messages != m->messages));
}

static void read_pieces(struct mbox *m, struct span in, size_t step,
			struct seen *to)
{
	size_t at = 0, end = 0;

	while (end < in.len && !to->broken) {
		struct span rest;

		end = in.len - end < step ? in.len : end + step;
		rest = span_of(in.p + at, end - at);
		take(m, &rest, false, to);
		BUG_ON(!to->broken && rest.len >= MBOX_LOOK);
		at = end - rest.len;
	}
	if (!to->broken)
		read_whole(m, span_of(in.p + at, in.len - at), to);
}

static void both(struct span in, size_t step, bool unescape)
{
	struct mbox a, b;
	struct seen whole = { .last = 0 }, pieces = { .last = 0 };

	buf_init(&whole.story, 1 << 28);
	buf_init(&pieces.story, 1 << 28);
	mbox_init(&a, unescape);
	mbox_init(&b, unescape);
	read_whole(&a, in, &whole);
	read_pieces(&b, in, step, &pieces);
	BUG_ON(whole.broken != pieces.broken);
	BUG_ON(a.messages != b.messages || a.doubtful != b.doubtful);
	BUG_ON(!span_eq(buf_span(&whole.story), buf_span(&pieces.story)));
	BUG_ON(whole.taken > in.len);
	/* An empty line a message, at most two octets. */
	BUG_ON(!unescape && !whole.broken &&
	       in.len - whole.taken > 2 * whole.messages);
	buf_free(&whole.story);
	buf_free(&pieces.story);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	both(span_of(data + 1, size - 1), 1 + data[0], false);
	both(span_of(data + 1, size - 1), 1 + data[0], true);
	return 0;
}
