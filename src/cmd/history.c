/*
 * cmd/history.c - a message in the event log
 *
 * Lines are one flat JSON object each (src/report/event.h).  Most are passed
 * over by a look for the id's octets; the rest are read key by key.
 */
#include "cmd/history.h"

#include "base/span.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* --- one line -------------------------------------------------------------- */

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One octet of a string behind a backslash; what is no ASCII becomes '?'.
 * Returns how many octets it took. */
static size_t escaped(struct span s, char *c_r)
{
	size_t i;
	int v = 0;

	*c_r = s.len > 0 ? s.p[0] : '?';
	if (s.len < 5 || s.p[0] != 'u')
		return 1;
	for (i = 1; i < 5; i++)
		v = v * 16 + (hex(s.p[i]) < 0 ? 0 : hex(s.p[i]));
	*c_r = v < 128 ? (char)v : '?';
	return 5;
}

/* The string that s begins with, behind its quote; cut when it is too long. */
static void take_string(struct span s, char *to, size_t size)
{
	size_t at = 0, n = 0;
	char c;

	while (at < s.len && s.p[at] != '"' && n + 1 < size) {
		c = s.p[at++];
		if (c == '\\')
			at += escaped(span_of(s.p + at, s.len - at), &c);
		to[n++] = c;
	}
	to[n] = '\0';
}

/* The value of a key: what stands behind its colon.  A key's quotes cannot
 * stand within a string: there they are escaped. */
static bool find_value(struct span line, const char *key, struct span *value_r)
{
	char want[40];
	size_t len = (size_t)snprintf(want, sizeof(want), "\"%s\":", key);
	const char *p = memmem(line.p, line.len, want, len);

	if (p == NULL)
		return false;
	p += len;
	*value_r = span_of(p, line.len - (size_t)(p - line.p));
	return true;
}

static void get_text(struct span line, const char *key, char *to, size_t size)
{
	struct span v;

	to[0] = '\0';
	if (find_value(line, key, &v) && v.len > 0 && v.p[0] == '"')
		take_string(span_of(v.p + 1, v.len - 1), to, size);
}

static uint64_t get_number(struct span line, const char *key)
{
	struct span v;
	uint64_t n = 0;
	size_t len = 0;

	if (!find_value(line, key, &v))
		return 0;
	while (len < v.len && v.p[len] >= '0' && v.p[len] <= '9')
		len++;
	return span_u64(span_of(v.p, len), UINT64_MAX, &n) ? n : 0;
}

/* --- what it says ---------------------------------------------------------- */

static struct history_rcpt *rcpt_get(struct history *h, uint32_t rcpt)
{
	struct history_rcpt *r;
	uint32_t i;

	for (i = 0; i < h->count; i++)
		if (h->rcpts[i].rcpt == rcpt)
			return &h->rcpts[i];
	if (h->count == HISTORY_RCPTS)
		return NULL;
	r = realloc(h->rcpts, (h->count + 1) * sizeof(*r));
	if (r == NULL)
		return NULL;
	h->rcpts = r;
	r = &h->rcpts[h->count++];
	*r = (struct history_rcpt){ .rcpt = rcpt };
	return r;
}

static bool is_final(const char *type)
{
	static const char *const names[] = { "delivered", "bounced", "expired",
					     "cancelled" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(type, names[i]) == 0)
			return true;
	return false;
}

static void take_line(struct history *h, struct span line)
{
	struct history_rcpt *r =
		rcpt_get(h, (uint32_t)get_number(line, "rcpt"));

	if (r == NULL)
		return;
	r->events++;
	r->attempt = (uint32_t)get_number(line, "attempt");
	r->code = (uint32_t)get_number(line, "code");
	get_text(line, "type", r->type, sizeof(r->type));
	get_text(line, "time", r->time, sizeof(r->time));
	get_text(line, "to", r->to, sizeof(r->to));
	get_text(line, "domain", r->domain, sizeof(r->domain));
	get_text(line, "host", r->host, sizeof(r->host));
	get_text(line, "stage", r->stage, sizeof(r->stage));
	get_text(line, "class", r->class, sizeof(r->class));
	get_text(line, "enhanced", r->enhanced, sizeof(r->enhanced));
	get_text(line, "reply", r->reply, sizeof(r->reply));
	r->final = is_final(r->type);
	h->size = get_number(line, "size");
	get_text(line, "from", h->from, sizeof(h->from));
	get_text(line, "tenant", h->tenant, sizeof(h->tenant));
	get_text(line, "campaign", h->campaign, sizeof(h->campaign));
	if (strcmp(r->type, "accepted") == 0)
		snprintf(h->accepted, sizeof(h->accepted), "%s", r->time);
}

/* The newest part of a file.  False: something was left out. */
static bool read_file(struct history *h, FILE *f, const char *mark)
{
	char *line = NULL;
	size_t size = 0;
	bool whole = true;
	struct stat st;
	ssize_t n;

	if (fstat(fileno(f), &st) == 0 &&
	    (uint64_t)st.st_size > HISTORY_BYTES) {
		whole = fseeko(f, st.st_size - (off_t)HISTORY_BYTES, SEEK_SET) <
			0;
		/* The rest of a line; a file that ends here ends below too. */
		if (!whole && getline(&line, &size, f) < 0)
			clearerr(f);
	}
	while ((n = getline(&line, &size, f)) > 0) {
		h->bytes += (uint64_t)n;
		if (memmem(line, (size_t)n, mark, strlen(mark)) != NULL)
			take_line(h, span_of(line, (size_t)n));
	}
	free(line);
	return whole;
}

static int by_place(const void *a, const void *b)
{
	const struct history_rcpt *x = a, *y = b;

	return x->rcpt < y->rcpt ? -1 : x->rcpt > y->rcpt;
}

void history_read(struct history *h, const char *path, const char *id)
{
	char before[4096], mark[40];
	FILE *f;

	*h = (struct history){ .whole = true };
	snprintf(mark, sizeof(mark), "\"id\":\"%s\"", id);
	snprintf(before, sizeof(before), "%s.1", path);
	f = path[0] == '\0' ? NULL : fopen(before, "re");
	if (f != NULL) {
		(void)read_file(h, f, mark);
		fclose(f);
	}
	f = path[0] == '\0' ? NULL : fopen(path, "re");
	if (f == NULL) {
		h->err = path[0] == '\0' ? -ENOENT : -errno;
		return;
	}
	h->whole = read_file(h, f, mark);
	fclose(f);
	if (h->count > 0)
		qsort(h->rcpts, h->count, sizeof(*h->rcpts), by_place);
}

void history_free(struct history *h)
{
	free(h->rcpts);
	h->rcpts = NULL;
	h->count = 0;
}

const struct history_rcpt *history_find(const struct history *h, uint32_t rcpt)
{
	uint32_t i;

	for (i = 0; i < h->count; i++)
		if (h->rcpts[i].rcpt == rcpt)
			return &h->rcpts[i];
	return NULL;
}
