/*
 * tests/fuzz/fuzz_control.c - any octets as a line of the control socket
 *
 * What is accepted is written again and must come back the same.
 */
#include "admin/record.h"
#include "base/bug.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void word(char to[ADMIN_WORD_MAX + 1], struct span s)
{
	memcpy(to, s.p, s.len);
	to[s.len] = '\0';
}

static void write_again(const struct admin_record *rec)
{
	static struct admin_record again;
	char text[ADMIN_WORD_MAX + 1];
	struct buf b;
	uint32_t i;

	buf_init(&b, 4 * ADMIN_LINE_MAX);
	word(text, rec->verb);
	admin_begin(&b, text);
	for (i = 0; i < rec->count; i++) {
		word(text, rec->fields[i].key);
		if (rec->fields[i].is_number)
			admin_number(&b, text, rec->fields[i].number);
		else
			admin_text(&b, text, rec->fields[i].text);
	}
	BUG_ON(b.failed < 0);
	BUG_ON(span_find(buf_span(&b), '\n') >= 0);
	BUG_ON(admin_parse(b.p, b.len, &again) < 0);
	BUG_ON(again.count != rec->count || !span_eq(again.verb, rec->verb));
	for (i = 0; i < rec->count; i++) {
		BUG_ON(again.fields[i].is_number != rec->fields[i].is_number);
		BUG_ON(again.fields[i].number != rec->fields[i].number);
		BUG_ON(!span_eq(again.fields[i].key, rec->fields[i].key));
		BUG_ON(!rec->fields[i].is_number &&
		       !span_eq(again.fields[i].text, rec->fields[i].text));
	}
	buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct admin_record rec;
	char *line;

	if (size == 0 || size > ADMIN_LINE_MAX)
		return 0;
	line = malloc(size); /* its exact size: the sanitizer sees one more */
	BUG_ON(line == NULL);
	memcpy(line, data, size);
	if (admin_parse(line, size, &rec) == 0)
		write_again(&rec);
	free(line);
	return 0;
}
