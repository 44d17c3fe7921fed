/*
 * tests/unit/canon_tool.c - the canonical form of messages from a pipe
 *
 *	in	"LENGTH FROM_ADD REFUSE RECEIVED SENDER\n" and LENGTH octets
 *	out	"ERROR LINE FLAGS PIECES LENGTH\n" and LENGTH octets
 *
 * SENDER "-" is the null sender.  For tests/e2e/canonical_agrees.py.
 */
#include "mail/canon.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const names[CANON_ERROR_COUNT] = {
	[CANON_OK] = "ok",
	[CANON_EMPTY] = "empty",
	[CANON_NUL] = "nul",
	[CANON_BARE_NEWLINE] = "bare-newline",
	[CANON_LOOP] = "loop",
	[CANON_FROM_MISSING] = "from-missing",
	[CANON_FROM_TWICE] = "from-twice",
	[CANON_LONG_SIGNED] = "long-signed",
	[CANON_LONG_HEADER] = "long-header",
	[CANON_LONG_ENCODED] = "long-encoded",
	[CANON_LONG_OUTSIDE] = "long-outside",
	[CANON_NO_MEMORY] = "no-memory",
};

static void answer(struct canon *c, const struct canon_settings *set,
		   struct span message)
{
	struct canon_result res;
	int i;

	(void)canon_make(c, set, message, &res);
	printf("%s %llu %u %d %llu\n", names[res.error],
	       (unsigned long long)res.line, res.flags, res.count,
	       (unsigned long long)res.size);
	for (i = 0; i < res.count; i++)
		fwrite(res.pieces[i].iov_base, 1, res.pieces[i].iov_len,
		       stdout);
	fflush(stdout);
}

int main(void)
{
	struct canon *c = canon_new();
	char sender[256];
	unsigned add, refuse, received;
	size_t len;

	while (c != NULL && scanf("%zu %u %u %u %255s", &len, &add, &refuse,
				  &received, sender) == 5) {
		/* No more than the message: a sanitizer sees a read behind. */
		char *p = malloc(len == 0 ? 1 : len);
		struct canon_settings set = {
			.received = received ? SPAN("by mail.example (mtaq)")
					     : span_of(NULL, 0),
			.unique = SPAN("unique.1"),
			.id_domain = SPAN("mail.example"),
			.sender = span_str(sender[0] == '-' ? "" : sender),
			.from_add = add,
			.now_s = 1795364840,
			.newlines = refuse ? CANON_NEWLINES_REFUSE
					   : CANON_NEWLINES_FIX,
		};

		if (p == NULL || getchar() != '\n' ||
		    fread(p, 1, len, stdin) != len)
			return EXIT_FAILURE;
		answer(c, &set, span_of(p, len));
		free(p);
	}
	canon_free(&c);
	return EXIT_SUCCESS;
}
