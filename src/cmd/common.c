/*
 * cmd/common.c - what several commands do alike
 */
#include "base/buf.h"
#include "cmd/commands.h"

#include <errno.h>
#include <stdio.h>
#include <sysexits.h>

int command_settings(const char *option, struct settings *set_r)
{
	static char words[64 << 10];
	const char *path = settings_path(option);
	int r = settings_load(path, set_r, words, sizeof(words));

	if (r == 0)
		return EX_OK;
	fprintf(stderr, "mtaq: the configuration cannot be used\n%s", words);
	if (r == -EINVAL)
		return EX_CONFIG;
	if (r == -ENOENT)
		fputs("Name another file with -c or MTAQ_CONFIG; `mtaq check "
		      "--defaults` prints one to start from.\n",
		      stderr);
	return r == -ENOMEM ? EX_OSERR : EX_CONFIG;
}

/* How many octets at p are one character of UTF-8; 0: none. */
static size_t utf8_len(const unsigned char *p, size_t len)
{
	uint32_t c;
	size_t n, i;

	if (p[0] < 0x80)
		return 1;
	n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4 || n > len)
		return 0;
	c = p[0] & (0x7fu >> n);
	for (i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3fu);
	}
	if ((n == 3 && (c < 0x800 || (c >= 0xd800 && c < 0xe000))) ||
	    (n == 4 && (c < 0x10000 || c > 0x10ffff)))
		return 0;
	return n;
}

void command_json(struct buf *out, const char *p, size_t len)
{
	const unsigned char *u = (const unsigned char *)p;
	size_t n;

	(void)buf_add_char(out, '"');
	for (; len > 0; u += n, len -= n) {
		n = utf8_len(u, len);
		if (n == 0) {
			(void)buf_add_span(out, SPAN("\\ufffd"));
			n = 1;
		} else if (*u == '"' || *u == '\\') {
			(void)buf_printf(out, "\\%c", *u);
		} else if (*u < 32 || *u == 127) {
			(void)buf_printf(out, "\\u%04x", *u);
		} else {
			(void)buf_add(out, u, n);
		}
	}
	(void)buf_add_char(out, '"');
}
