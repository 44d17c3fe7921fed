/*
 * tests/unit/gen_reply.c - the kinds of replies that a generated server gives
 *
 * In a text '@' is the right reply of the place, '#' its code, '\x01' begins
 * one that is made by rule (the caps of rule 2).
 */
#include "gen.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define LINES_99   "\x01"
#define LINES_101  "\x02"
#define BYTES_8192 "\x03"
#define BYTES_8193 "\x04"
#define LINE_2000  "\x05"

// clang-format off
const struct gen_kind gen_kinds[] = {
	{ "right", "right", "@" },
	{ "none", "none", "" },
	{ "ok-bare", "2yz", "#\r\n" },
	{ "ok-bare-lf", "2yz", "#\n" },
	{ "ok-empty", "2yz", "# \r\n" },
	{ "220", "2yz", "220 hello\r\n" },
	{ "250", "2yz", "250 ok\r\n" },
	{ "250-2.1.5", "2yz", "250 2.1.5 fine\r\n" },
	{ "251", "2yz", "251 2.1.5 forwards\r\n" },
	{ "252", "2yz", "252 2.1.5 will see\r\n" },
	{ "299", "2yz", "299 what a code\r\n" },
	{ "354", "3yz", "354 go\r\n" },
	{ "334", "3yz", "334 go\r\n" },
	{ "399-enhanced", "3yz", "399 3.0.0 go\r\n" },
	{ "450", "4yz", "450 not now\r\n" },
	{ "450-greylist", "4yz", "450 4.7.1 greylisted\r\n" },
	{ "451-enhanced", "4yz", "451 4.3.0 not now\r\n" },
	{ "452", "4yz", "452 no room\r\n" },
	{ "452-mailbox", "4yz", "452 4.2.2 mailbox full\r\n" },
	{ "452-too-many", "4yz", "452 4.5.3 too many\r\n" },
	{ "499", "4yz", "499 what a code\r\n" },
	{ "500", "5yz", "500 what?\r\n" },
	{ "502", "5yz", "502 5.5.1 not here\r\n" },
	{ "503", "5yz", "503 5.5.1 order\r\n" },
	{ "504", "5yz", "504 no such parameter\r\n" },
	{ "550", "5yz", "550 no\r\n" },
	{ "550-unknown", "5yz", "550 5.1.1 who is it\r\n" },
	{ "552", "5yz", "552 too much\r\n" },
	{ "552-too-many", "5yz", "552 5.5.3 too many\r\n" },
	{ "552-mailbox", "5yz", "552 5.2.2 full\r\n" },
	{ "554", "5yz", "554 5.7.1 spam\r\n" },
	{ "599", "5yz", "599 what a code\r\n" },
	{ "250-wrong-class", "wrong enhanced", "250 5.1.1 fine\r\n" },
	{ "450-wrong-class", "wrong enhanced", "450 5.1.1 not now\r\n" },
	{ "550-wrong-class", "wrong enhanced", "550 2.1.5 no\r\n" },
	{ "550-odd-enhanced", "wrong enhanced", "550 5.1 no\r\n" },
	{ "452-long-enhanced", "wrong enhanced", "452 4.5.3333 no\r\n" },
	{ "421", "421", "421 bye\r\n" },
	{ "421-enhanced", "421", "421 4.3.2 closing\r\n" },
	{ "421-multi", "421", "421-4.7.0 slow\r\n421 4.7.0 down\r\n" },
	{ "multi-right", "multi-line", "#-one\r\n#-two\r\n# three\r\n" },
	{ "multi-bare", "multi-line", "#-\r\n#\r\n" },
	{ "multi-550", "multi-line", "550-5.1.1 one\r\n550 5.1.1 two\r\n" },
	{ "multi-450", "multi-line", "450-one\r\n450-4.2.2 two\r\n450 3\r\n" },
	{ "differ-250-550", "codes differ", "250-ok\r\n550 5.1.1 no\r\n" },
	{ "differ-550-250", "codes differ", "550-5.1.1 no\r\n250 ok\r\n" },
	{ "differ-354-450", "codes differ", "354-go\r\n450 4.3.0 no\r\n" },
	{ "differ-450-right", "codes differ", "450-4.3.0 no\r\n@" },
	{ "differ-250-421", "codes differ", "250-ok\r\n421 bye\r\n" },
	{ "hundred-lines", "caps", LINES_99 },
	{ "too-many-lines", "caps", LINES_101 },
	{ "8192-octets", "caps", BYTES_8192 },
	{ "8193-octets", "caps", BYTES_8193 },
	{ "long-line", "caps", LINE_2000 },
	{ "garbage", "garbage", "hello world\r\n" },
	{ "empty-line", "garbage", "\r\n" },
	{ "100", "garbage", "100 wait\r\n" },
	{ "600", "garbage", "600 far\r\n" },
	{ "two-digits", "garbage", "25 ok\r\n" },
	{ "four-digits", "garbage", "2500 ok\r\n" },
	{ "glued", "garbage", "250ok\r\n" },
	{ "http", "garbage", "HTTP/1.1 400 Bad Request\r\n\r\n" },
	{ "half-garbage", "garbage", "250-ok\r\nwhat\r\n" },
	{ "eight-bit", "8-bit, NUL", "# \xff\xfe\x80 caf\xc3\xa9\r\n" },
	{ "nul", "8-bit, NUL", "#-a%0b\r\n# %0%0\r\n" },
	{ "eight-bit-550", "8-bit, NUL", "550 5.7.1 \xff%0\r\n" },
	{ "nul-first", "8-bit, NUL", "%0#\r\n" },
	{ "then-250", "two at once", "@250 2.0.0 stray\r\n" },
	{ "then-354", "two at once", "@354 stray\r\n" },
	{ "then-421", "two at once", "@421 4.3.2 stray\r\n" },
	{ "then-451", "two at once", "@451 4.3.0 stray\r\n" },
	{ "then-550", "two at once", "@550 5.1.1 stray\r\n" },
	{ "then-garbage", "two at once", "@oops\r\n" },
	{ "550-then-250", "two at once", "550 5.1.1 no\r\n250 stray\r\n" },
	{ "450-then-450", "two at once", "450 no\r\n450 no\r\n" },
	{ "then-half", "two at once", "@25" },
};
// clang-format on
const unsigned gen_kind_count = sizeof(gen_kinds) / sizeof(gen_kinds[0]);

static size_t many_lines(const char *code, int lines, char *out_r)
{
	size_t n = 0;
	int i;

	for (i = 1; i <= lines; i++) {
		memcpy(out_r + n, code, 3);
		memcpy(out_r + n + 3, i == lines ? " line\r\n" : "-line\r\n",
		       7);
		n += 10;
	}
	return n;
}

/* Lines of 100 octets, the last one as long as is left. */
static size_t many_bytes(const char *code, size_t bytes, char *out_r)
{
	char line[128];
	size_t n = 0, len;

	while (n < bytes) {
		bool last = bytes - n <= 128;

		len = last ? bytes - n : 100;
		memset(line, 'x', sizeof(line));
		memcpy(line, code, 3);
		line[3] = last ? ' ' : '-';
		memcpy(line + len - 2, "\r\n", 2);
		memcpy(out_r + n, line, len);
		n += len;
	}
	return n;
}

static size_t long_line(const char *code, char *out_r)
{
	memset(out_r, 'x', 2000);
	memcpy(out_r, code, 3);
	out_r[3] = ' ';
	memcpy(out_r + 1998, "\r\n", 2);
	return 2000;
}

size_t gen_reply(unsigned kind, const char *right, char *out_r)
{
	const char *t = gen_kinds[kind].text;
	size_t n = 0;

	switch (*t) {
	case 1:
		return many_lines(right, 100, out_r);
	case 2:
		return many_lines(right, 101, out_r);
	case 3:
		return many_bytes(right, 8192, out_r);
	case 4:
		return many_bytes(right, 8193, out_r);
	case 5:
		return long_line(right, out_r);
	default:
		break;
	}
	for (; *t != '\0'; t++) {
		if (*t == '@') {
			memcpy(out_r + n, right, strlen(right));
			n += strlen(right);
		} else if (*t == '#') {
			memcpy(out_r + n, right, 3);
			n += 3;
		} else if (*t == '%' && t[1] == '0') {
			out_r[n++] = '\0';
			t++;
		} else {
			out_r[n++] = *t;
		}
	}
	return n;
}

unsigned gen_reply_means(const char *reply, size_t len)
{
	struct gen_said said;

	return gen_parse(reply, len, &said) > 0 ? said.code : 0;
}

/* --- the oracle's parser ---------------------------------------------- */

/* As much of a line's head as is there: is it one? */
static bool head_fits(const char *line, size_t len)
{
	size_t i;

	for (i = 0; i < 3 && i < len; i++)
		if (!isdigit((unsigned char)line[i]) ||
		    (i == 0 && (line[0] < '2' || line[0] > '5')))
			return false;
	if (len < 4)
		return true;
	if (line[3] == '\r')
		return len == 4 || line[4] == '\n';
	return line[3] == ' ' || line[3] == '-' || line[3] == '\n';
}

/* One to three digits at text[*at]; more, or none, are no number. */
static bool read_number(const char *t, size_t len, size_t *at, uint16_t *n_r)
{
	unsigned n = 0, digits = 0;

	while (*at < len && isdigit((unsigned char)t[*at]) && digits++ < 4)
		n = n * 10 + (unsigned)(t[(*at)++] - '0');
	*n_r = (uint16_t)n;
	return digits >= 1 && digits <= 3;
}

/* d.ddd.ddd and then a blank or the end, of this class. */
static bool read_enhanced(const char *t, size_t len, unsigned code,
			  struct smtp_enhanced *e_r)
{
	struct smtp_enhanced e = { 0 };
	size_t at = 2;

	if (len < 5 || t[1] != '.' || code / 100 == 3 ||
	    t[0] != (char)('0' + code / 100))
		return false;
	e.cls = (uint8_t)(code / 100);
	if (!read_number(t, len, &at, &e.subject) || at == len ||
	    t[at++] != '.' || !read_number(t, len, &at, &e.detail) ||
	    (at < len && t[at] != ' '))
		return false;
	*e_r = e;
	return true;
}

static void read_line(const char *line, size_t len, bool first,
		      struct gen_said *said)
{
	size_t end = len - 1;

	if (end > 0 && line[end - 1] == '\r')
		end--;
	said->code = (unsigned)(line[0] - '0') * 100 +
		     (unsigned)(line[1] - '0') * 10 + (unsigned)(line[2] - '0');
	if (end <= 4)
		return;
	read_enhanced(line + 4, end - 4, said->code, &said->enhanced);
	if (first)
		return;
	said->pipelining |=
		end - 4 == 10 && !memcmp(line + 4, "PIPELINING", 10);
	said->chunking |= end - 4 == 8 && !memcmp(line + 4, "CHUNKING", 8);
	said->codes |=
		end - 4 == 19 && !memcmp(line + 4, "ENHANCEDSTATUSCODES", 19);
	said->starttls |= end - 4 == 8 && !memcmp(line + 4, "STARTTLS", 8);
}

int gen_parse(const char *text, size_t len, struct gen_said *said_r)
{
	struct gen_said said = { 0 };
	size_t at = 0;
	int lines = 0;

	for (;;) {
		const char *line = text + at, *lf;
		size_t rest = len - at, n;

		if (!head_fits(line, rest))
			return -1;
		lf = rest < 4 ? NULL : memchr(line + 3, '\n', rest - 3);
		if (lf == NULL)
			return len > 8192 ? -1 : 0;
		n = (size_t)(lf - line) + 1;
		at += n;
		lines++;
		if (at > 8192)
			return -1;
		read_line(line, n, lines == 1, &said);
		if (line[3] == '-' && lines == 100)
			return -1;
		if (line[3] != '-')
			break;
	}
	if (said.enhanced.cls != said.code / 100)
		said.enhanced = (struct smtp_enhanced){ 0 };
	*said_r = said;
	return (int)at;
}

/* --- content ---------------------------------------------------------- */

static struct gen_content *made[BODY_COUNT][GEN_MAILS];

static void stuff(struct gen_content *c, const char *text, size_t len)
{
	size_t i;

	c->wire = malloc(len * 2 + 3);
	for (i = 0; i < len; i++) {
		if (text[i] == '.' && (i == 0 || text[i - 1] == '\n'))
			c->wire[c->wire_len++] = '.';
		c->wire[c->wire_len++] = text[i];
	}
	memcpy(c->wire + c->wire_len, ".\r\n", 3);
	c->wire_len += 3;
}

/* "m1", then lines that begin with dots, and others. */
static size_t write_text(enum gen_body body, unsigned mail, char *t)
{
	static const char *const odd[] = { "..", ".", "text", ".x", "", "a.b" };
	static const char sixty[] =
		"This line has sixty octets, and nothing in "
		"it is of interest";
	int i, lines = body == BODY_SHORT ? 0 : body == BODY_DOTS ? 6 : 400;
	size_t n = (size_t)snprintf(t, 16, "m%u\r\n", mail + 1);

	for (i = 0; i < lines; i++)
		n += (size_t)snprintf(t + n, 80, "%s\r\n",
				      lines > 6 && i % 40 != 0 ? sixty
							       : odd[i % 6]);
	return n;
}

static struct gen_content *make(enum gen_body body, unsigned mail)
{
	struct gen_content *c = calloc(1, sizeof(*c));
	char *text = malloc(65536);
	uint32_t i, cuts = body == BODY_SHORT ? 1 : 8;
	size_t at = 0;

	if (c == NULL || text == NULL)
		abort();
	c->bytes = write_text(body, mail, text);
	c->text = text;
	stuff(c, text, c->bytes);
	c->pieces = cuts;
	for (i = 0; i < cuts; i++) {
		size_t end = c->bytes * (i + 1) / cuts;

		c->piece[i] = (struct iovec){ text + at, end - at };
		at = end;
	}
	return c;
}

void gen_contents_make(void)
{
	int b;
	unsigned m;

	for (b = 0; b < BODY_COUNT; b++)
		for (m = 0; m < GEN_MAILS; m++)
			made[b][m] = make((enum gen_body)b, m);
}

const struct gen_content *gen_content(enum gen_body body, unsigned mail)
{
	return made[body][mail];
}

void gen_contents_free(void)
{
	unsigned b, m;

	for (b = 0; b < BODY_COUNT; b++) {
		for (m = 0; m < GEN_MAILS; m++) {
			free(made[b][m]->piece[0].iov_base);
			free(made[b][m]->wire);
			free(made[b][m]);
		}
	}
}
