/*
 * cmd/probe_body.c - the message of --send
 *
 *	file ─► canonical form (as at submission) ─► dots doubled, lone dot
 */
#include "cmd/probe.h"

#include "mail/canon.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>

static int told(const struct probe *p, int code, const char *words)
{
	fprintf(stderr, "mtaq probe: %s: %s\n", p->args->send, words);
	return code;
}

static int read_file(const struct probe *p, struct buf *b)
{
	bool in = strcmp(p->args->send, "-") == 0;
	FILE *f = in ? stdin : fopen(p->args->send, "re");
	char chunk[16384];
	size_t n;
	int err;

	if (f == NULL)
		return -errno;
	while (b->failed == 0 && (n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		(void)buf_add(b, chunk, n);
	err = ferror(f) ? -EIO : b->failed;
	if (!in)
		(void)fclose(f);
	return err;
}

/* Rule 23.  *start: a line begins here; kept between pieces. */
static void put_stuffed(struct buf *b, struct span piece, bool *start)
{
	const char *lf;
	size_t n;

	while (piece.len > 0) {
		if (*start && piece.p[0] == '.')
			(void)buf_add_char(b, '.');
		lf = memchr(piece.p, '\n', piece.len);
		n = lf == NULL ? piece.len : (size_t)(lf - piece.p) + 1;
		*start = lf != NULL;
		(void)buf_add(b, piece.p, n);
		piece = span_of(piece.p + n, piece.len - n);
	}
}

static int make_wire(struct probe *p, struct canon *c, struct span file)
{
	char unique[64], words[160];
	struct timespec now;
	struct canon_settings set = {
		.id_domain = span_str(p->set.hostname),
		.sender = span_str(p->args->from),
		.from_add = true,
		.newlines = p->set.bare_newlines == SETTINGS_NEWLINES_REFUSE
				    ? CANON_NEWLINES_REFUSE
				    : CANON_NEWLINES_FIX,
	};
	struct canon_result r;
	bool start = true;
	int i;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	set.now_s = now.tv_sec;
	snprintf(unique, sizeof(unique), "probe.%llx.%lx",
		 (unsigned long long)now.tv_sec, (unsigned long)now.tv_nsec);
	set.unique = span_str(unique);
	if (canon_make(c, &set, file, &r) != CANON_OK) {
		if (r.line > 0)
			snprintf(words, sizeof(words), "line %llu: %s",
				 (unsigned long long)r.line,
				 canon_error_words(r.error));
		else
			snprintf(words, sizeof(words), "%s",
				 canon_error_words(r.error));
		return told(p, EX_DATAERR, words);
	}
	for (i = 0; i < r.count; i++)
		put_stuffed(&p->message.wire,
			    span_of(r.pieces[i].iov_base, r.pieces[i].iov_len),
			    &start);
	(void)buf_add_span(&p->message.wire, SPAN(".\r\n"));
	p->message.bytes = r.size;
	p->message.eightbit = (r.flags & CANON_8BIT) != 0;
	return p->message.wire.failed < 0 ? told(p, EX_OSERR, "out of memory")
					  : EX_OK;
}

int probe_body_read(struct probe *p)
{
	size_t max = (size_t)p->set.message_bytes_max;
	struct canon *c = canon_new();
	struct buf file;
	int r, code;

	buf_init(&file, max);
	buf_init(&p->message.wire, 2 * max + 4096);
	r = c == NULL ? -ENOMEM : read_file(p, &file);
	if (r == -EMSGSIZE)
		code = told(p, EX_DATAERR,
			    "the message is larger than message_bytes_max");
	else if (r < 0)
		code = told(p, EX_NOINPUT, strerrordesc_np(-r));
	else
		code = make_wire(p, c, buf_span(&file));
	buf_free(&file);
	canon_free(&c);
	return code;
}
