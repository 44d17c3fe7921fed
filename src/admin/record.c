/*
 * admin/record.c - one line of the control socket (grammar: record.h)
 */
#include "admin/record.h"

#include <errno.h>

static bool is_word(struct span s, bool is_key)
{
	size_t i;

	if (s.len == 0 || s.len > ADMIN_WORD_MAX)
		return false;
	for (i = 0; i < s.len; i++) {
		char c = s.p[i];

		if ((c >= 'a' && c <= 'z') || c == '_')
			continue;
		if (is_key ? c >= '0' && c <= '9' : c == '.')
			continue;
		return false;
	}
	return true;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool must_escape(unsigned char c)
{
	return c < 32 || c == '%' || c == 127;
}

/* In place; false: it is no text. */
static bool decode(char *p, size_t len, struct span *text_r)
{
	size_t from, to = 0;
	int high, low;

	for (from = 0; from < len; from++) {
		unsigned char c = (unsigned char)p[from];

		if (c == '%') {
			if (len - from < 3)
				return false;
			high = hex(p[from + 1]);
			low = hex(p[from + 2]);
			if (high < 0 || low < 0)
				return false;
			p[to++] = (char)(high << 4 | low);
			from += 2;
		} else if (must_escape(c)) {
			return false;
		} else {
			p[to++] = (char)c;
		}
	}
	*text_r = span_of(p, to);
	return true;
}

static int parse_field(char *p, size_t len, struct admin_field *f)
{
	size_t at = 0;

	while (at < len && p[at] != '=' && p[at] != ':')
		at++;
	f->key = span_of(p, at);
	if (at == len || !is_word(f->key, true))
		return -EINVAL;
	f->is_number = p[at] == ':';
	f->number = 0;
	if (!f->is_number)
		return decode(p + at + 1, len - at - 1, &f->text) ? 0 : -EINVAL;
	f->text = span_of(p + at + 1, len - at - 1);
	if (f->text.len > 20 || !span_u64(f->text, UINT64_MAX, &f->number))
		return -EINVAL;
	return 0;
}

int admin_parse(char *line, size_t len, struct admin_record *rec_r)
{
	struct span rest = span_of(line, len);
	ptrdiff_t tab = span_find(rest, '\t');
	size_t at = tab < 0 ? len : (size_t)tab, end;
	int err = 0;

	rec_r->verb = span_of(line, at);
	rec_r->count = 0;
	if (!is_word(rec_r->verb, false))
		return -EINVAL;
	while (err == 0 && at < len) {
		at++; /* the TAB */
		tab = span_find(span_of(line + at, len - at), '\t');
		end = tab < 0 ? len : at + (size_t)tab;
		if (rec_r->count == ADMIN_FIELDS_MAX)
			return -EINVAL;
		err = parse_field(line + at, end - at,
				  &rec_r->fields[rec_r->count]);
		rec_r->count += err == 0;
		at = end;
	}
	return err;
}

const struct admin_field *admin_find(const struct admin_record *rec,
				     const char *key)
{
	uint32_t i;

	for (i = 0; i < rec->count; i++)
		if (span_eq(rec->fields[i].key, span_str(key)))
			return &rec->fields[i];
	return NULL;
}

struct span admin_text_of(const struct admin_record *rec, const char *key)
{
	const struct admin_field *f = admin_find(rec, key);

	return f == NULL ? SPAN("") : f->text;
}

uint64_t admin_number_of(const struct admin_record *rec, const char *key)
{
	const struct admin_field *f = admin_find(rec, key);

	return f == NULL ? 0 : f->number;
}

void admin_begin(struct buf *out, const char *verb)
{
	(void)buf_add_span(out, span_str(verb));
}

void admin_text(struct buf *out, const char *key, struct span text)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t i, from = 0;

	(void)buf_printf(out, "\t%s=", key);
	for (i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.p[i];
		char code[3] = { '%', digits[c >> 4], digits[c & 15] };

		if (!must_escape(c))
			continue;
		(void)buf_add(out, text.p + from, i - from);
		(void)buf_add(out, code, sizeof(code));
		from = i + 1;
	}
	(void)buf_add(out, text.p + from, text.len - from);
}

void admin_number(struct buf *out, const char *key, uint64_t number)
{
	(void)buf_printf(out, "\t%s:%llu", key, (unsigned long long)number);
}

void admin_end(struct buf *out)
{
	(void)buf_add_char(out, '\n');
}
