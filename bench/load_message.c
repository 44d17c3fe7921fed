/*
 * bench/load_message.c - message number i of a load
 */
#include "bench/load_message.h"

static void add_number(struct buf *b, uint64_t v)
{
	char text[20];
	size_t at = sizeof(text);

	do {
		text[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	(void)buf_add(b, text + at, sizeof(text) - at);
}

static void make_rcpts(struct load_message *m, const struct load_config *cfg,
		       uint64_t i)
{
	uint64_t at[LOAD_RCPTS_MAX + 1];
	struct buf *b = &m->rcpt_text;
	uint32_t j;

	buf_clear(b);
	for (j = 0; j < cfg->rcpts; j++) {
		uint64_t domain = cfg->spread ? i * cfg->rcpts + j : i;

		at[j] = b->len;
		(void)buf_add_char(b, 'u');
		add_number(b, i);
		(void)buf_add_char(b, '-');
		add_number(b, j);
		(void)buf_add_span(b, SPAN("@d"));
		add_number(b, domain % cfg->domains);
		(void)buf_add_char(b, '.');
		(void)buf_add_span(b, span_str(cfg->zone));
	}
	at[j] = b->len;
	for (j = 0; j < cfg->rcpts; j++)
		m->rcpts[j] =
			span_of(b->p + at[j], (size_t)(at[j + 1] - at[j]));
}

/* Lines of up to 78 octets; some begin with a dot, so that stuffing is exercised. */
static const char line[] =
	"-mtaq load: the quick brown fox jumps over the lazy dog "
	"0123456789 ABCDEFGH\r\n";
#define LINE (sizeof(line) - 1)

static void fill_dotted(struct buf *content, const struct load_config *cfg,
			uint64_t i)
{
	uint64_t n;

	for (n = 0; content->len + 80 < cfg->size; n++) {
		if ((i + n) % 16 == 0) {
			(void)buf_add_char(content, '.');
			(void)buf_add(content, line + 1, LINE - 3 - n % 3);
			(void)buf_add_span(content, SPAN("\r\n"));
		} else {
			(void)buf_add(content, line, LINE);
		}
	}
}

/* As many lines as fill_dotted() would take, in one piece. */
static void fill_plain(struct load_message *m, const struct load_config *cfg)
{
	size_t from = m->content.len + 80, want;

	if (from >= cfg->size)
		return;
	want = (cfg->size - from + LINE - 1) / LINE * LINE;
	while (m->body.len < want && m->body.failed == 0)
		(void)buf_add(&m->body, line, LINE);
	(void)buf_add(&m->content, m->body.p, want);
}

void load_message_name(struct load_message *m, const struct load_config *cfg,
		       uint64_t i)
{
	make_rcpts(m, cfg, i);
	buf_clear(&m->token);
	(void)buf_add_span(&m->token, span_str(cfg->tag));
	(void)buf_add_char(&m->token, '-');
	add_number(&m->token, i);
}

void load_message_make(struct load_message *m, const struct load_config *cfg,
		       uint64_t i)
{
	struct buf *b = &m->content;
	struct span token;

	load_message_name(m, cfg, i);
	token = buf_span(&m->token);
	buf_clear(b);
	(void)buf_add_span(b, SPAN("From: News <"));
	(void)buf_add_span(b, span_str(cfg->from));
	(void)buf_add_span(b, SPAN(">\r\nTo: <"));
	(void)buf_add_span(b, m->rcpts[0]);
	(void)buf_add_span(b, SPAN(">\r\nSubject: load "));
	(void)buf_add_span(b, token);
	(void)buf_add_span(b, SPAN("\r\n"
				   "Date: Sun, 22 Nov 2026 12:00:00 +0000\r\n"
				   "Message-ID: <"));
	(void)buf_add_span(b, token);
	(void)buf_add_span(b, SPAN("@load.test>\r\nX-Mtaq-Token: "));
	(void)buf_add_span(b, token);
	(void)buf_add_span(b, SPAN("\r\n\r\n"));
	if (cfg->dots)
		fill_dotted(b, cfg, i);
	else
		fill_plain(m, cfg);
	(void)buf_add_span(b, SPAN("end\r\n"));
}

void load_message_init(struct load_message *m)
{
	*m = (struct load_message){ .rcpts[0] = { NULL, 0 } };
	buf_init(&m->content, 64u << 20);
	buf_init(&m->token, 4096);
	buf_init(&m->body, 64u << 20);
	buf_init(&m->rcpt_text, 1u << 20);
}

void load_message_free(struct load_message *m)
{
	buf_free(&m->content);
	buf_free(&m->token);
	buf_free(&m->body);
	buf_free(&m->rcpt_text);
}
