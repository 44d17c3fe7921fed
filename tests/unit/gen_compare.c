/*
 * tests/unit/gen_compare.c - plain, grouped and in chunks: the same verdicts
 *
 * A server that answers each command once, and means it, gets the same mails
 * once more, plain and grouped.  Then a recipient who has a final verdict both
 * ways has the same one, and its words: chunks may only leave more open, as
 * rule 20 says where (a code that does not fit, no BDAT after all, the end).
 * The fault is DATA's: then there is nothing to compare.
 *
 * Extra copies: what the server has and will be sent again.  A session leaves
 * at most one; one whose mails fly as many as may be under way, and where it is
 * more than one the host gets no more chunks for a day.
 */
#include "gen.h"

#include <string.h>

/* 421 is about the session, and RSET's may be the only one to have it. */
static bool is_final(const struct smtp_verdict *v)
{
	return v->code != 421 && v->result != SMTP_LOST &&
	       v->result != SMTP_UNSURE;
}

static unsigned copies(const struct gen_case *c, const struct gen_outcome *o)
{
	unsigned m, i, n = 0, mails = 0;

	for (m = 0; m < o->given; m++) {
		for (i = 0, n = 0; i < c->rcpts[m]; i++)
			n += o->has[m][i] && !is_final(&o->verdict[m][i]);
		mails += n > 0;
	}
	return mails;
}

static bool is_same(const struct smtp_verdict *a, const struct smtp_verdict *b)
{
	return a->result == b->result && a->code == b->code &&
	       a->stage == b->stage && a->enhanced.cls == b->enhanced.cls &&
	       a->enhanced.subject == b->enhanced.subject &&
	       a->enhanced.detail == b->enhanced.detail;
}

static bool has_fault_at_data(const struct gen_case *c)
{
	unsigned i;

	for (i = 0; i < c->fault_count; i++)
		if (c->fault[i].slot == AT_DATA)
			return true;
	return false;
}

const char *gen_compare(const struct gen_case *c,
			const struct gen_outcome *chunked,
			const struct gen_outcome *twin, struct gen_tally *t)
{
	unsigned m, i, more = copies(c, chunked), few = copies(c, twin);

	if (!chunked->honest || !twin->honest)
		return NULL;
	t->compared++;
	t->copies += more;
	t->twin_copies += few;
	if (few > 1)
		return "more than one extra copy without chunks";
	if (more > c->ahead)
		return "more extra copies than mails may be under way";
	if (more > 1 && !chunked->distrust)
		return "several extra copies, and chunks go on";
	for (m = 0; m < chunked->given && m < twin->given; m++) {
		for (i = 0; i < c->rcpts[m] && !has_fault_at_data(c); i++) {
			const struct smtp_verdict *a = &chunked->verdict[m][i];
			const struct smtp_verdict *b = &twin->verdict[m][i];

			if (!is_final(a) || !is_final(b))
				continue;
			if (!is_same(a, b))
				return "another verdict than without chunks";
			t->same++;
		}
	}
	return NULL;
}
