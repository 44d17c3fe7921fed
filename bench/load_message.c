/*
 * bench/load_message.c - message number i of a load
 */
#include "bench/load_message.h"

#include <stdio.h>

static void make_rcpts(struct load_message *m, const struct load_config *cfg,
		       uint64_t i)
{
	uint64_t at[LOAD_RCPTS_MAX + 1];
	uint32_t j;

	buf_clear(&m->rcpt_text);
	for (j = 0; j < cfg->rcpts; j++) {
		uint64_t domain = cfg->spread ? i * cfg->rcpts + j : i;

		at[j] = m->rcpt_text.len;
		buf_printf(&m->rcpt_text, "u%llu-%u@d%llu.%s",
			   (unsigned long long)i, j,
			   (unsigned long long)(domain % cfg->domains),
			   cfg->zone);
	}
	at[j] = m->rcpt_text.len;
	for (j = 0; j < cfg->rcpts; j++)
		m->rcpts[j] = span_of(m->rcpt_text.p + at[j],
				      (size_t)(at[j + 1] - at[j]));
}

/* Lines of up to 78 octets; some begin with a dot, so that stuffing is exercised. */
static void fill_body(struct buf *content, const struct load_config *cfg,
		      uint64_t i)
{
	static const char letters[] =
		"mtaq load: the quick brown fox jumps over the lazy dog "
		"0123456789 ABCDEFGH";
	uint64_t n = 0;

	while (content->len + 80 < cfg->size) {
		bool dot = cfg->dots && (i + n) % 16 == 0;

		buf_add(content, dot ? "." : "-", 1);
		buf_add(content, letters,
			sizeof(letters) - 1 - (dot ? n % 3 : 0));
		buf_add(content, "\r\n", 2);
		n++;
	}
}

void load_message_make(struct load_message *m, const struct load_config *cfg,
		       uint64_t i)
{
	make_rcpts(m, cfg, i);
	snprintf(m->token, sizeof(m->token), "%s-%llu", cfg->tag,
		 (unsigned long long)i);
	buf_clear(&m->content);
	buf_printf(&m->content,
		   "From: News <%s>\r\nTo: <%.*s>\r\n"
		   "Subject: load %s\r\n"
		   "Date: Sun, 22 Nov 2026 12:00:00 +0000\r\n"
		   "Message-ID: <%s@load.test>\r\n"
		   "X-Mtaq-Token: %s\r\n\r\n",
		   cfg->from, (int)m->rcpts[0].len, m->rcpts[0].p, m->token,
		   m->token, m->token);
	fill_body(&m->content, cfg, i);
	buf_printf(&m->content, "end\r\n");
}

void load_message_init(struct load_message *m)
{
	*m = (struct load_message){ .token = "" };
	buf_init(&m->content, 64u << 20);
	buf_init(&m->rcpt_text, 1u << 20);
}

void load_message_free(struct load_message *m)
{
	buf_free(&m->content);
	buf_free(&m->rcpt_text);
}
