/*
 * bench/load_client.c - messages out, results down
 */
#include "bench/load_client.h"

#include "base/crc32c.h"
#include "base/msgid.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sysexits.h>

/* More than can be unanswered: the window of frames and the open one. */
#define MADE_MAX 32768u
_Static_assert((SUBMIT_FRAMES_OPEN + 1) * SUBMIT_FRAME_MESSAGES <= MADE_MAX,
	       "a message waits for its answer and its place is taken");

static pthread_mutex_t out_lock = PTHREAD_MUTEX_INITIALIZER;

/* --- results --------------------------------------------------------------- */

static void note_made(struct client *c, uint64_t i, struct span content)
{
	if (c->out != NULL)
		c->made[i % MADE_MAX] =
			(struct made){ crc32c(0, content.p, content.len),
				       (uint32_t)content.len };
}

static void add_line(struct client *c, const char id[MSGID_LEN],
		     struct span rcpt, struct made made)
{
	(void)buf_add(&c->line, id, MSGID_LEN);
	(void)buf_add_char(&c->line, '\t');
	(void)buf_add_span(&c->line, buf_span(&c->msg.token));
	(void)buf_add_char(&c->line, '\t');
	(void)buf_add_span(&c->line, rcpt);
	(void)buf_printf(&c->line, "\t%08x.%u\n", made.crc, made.len);
}

static void note_accepted(struct client *c, const struct submit_result *r)
{
	char id[MSGID_LEN];
	uint32_t j;

	c->accepted++;
	if (c->times != NULL)
		fprintf(c->times, "%s-%llu\t%.0f\t%.0f\n", c->cfg->tag,
			(unsigned long long)(c->first + r->index),
			c->begun_s * 1e6, yard_now_s() * 1e6);
	if (c->out == NULL)
		return;
	load_message_name(&c->msg, c->cfg, c->first + r->index);
	msgid_format(r->ids[0], id);
	for (j = 0; j < c->cfg->rcpts; j++)
		add_line(c, id, c->msg.rcpts[j], c->made[r->index % MADE_MAX]);
}

static void write_lines(struct client *c)
{
	if (c->out == NULL || c->line.len == 0)
		return;
	/* Whole lines, in the file before anything else happens: a test may
	 * kill this process too. */
	pthread_mutex_lock(&out_lock);
	fwrite(c->line.p, 1, c->line.len, c->out);
	fflush(c->out);
	pthread_mutex_unlock(&out_lock);
	buf_clear(&c->line);
}

void load_client_results(struct client *c)
{
	struct submit_result r;

	while (submit_next(c->submit, &r) == 1) {
		if (r.code == EX_OK) {
			note_accepted(c, &r);
			continue;
		}
		c->refused++;
		snprintf(c->words, sizeof(c->words), "%.*s", (int)r.words.len,
			 r.words.p);
	}
	write_lines(c);
}

int load_client_put(struct client *c)
{
	const struct load_config *cfg = c->cfg;
	struct submit_message m = {
		.sender = span_str(cfg->from),
		.rcpts = c->msg.rcpts,
		.rcpt_count = cfg->rcpts,
		.tenant = span_str(cfg->tenant),
		.campaign = span_str(cfg->campaign),
		.class =
			cfg->transactional ? SUBMIT_TRANSACTIONAL : SUBMIT_BULK,
	};

	load_message_make(&c->msg, cfg, c->first + c->next);
	m.content = buf_span(&c->msg.content);
	note_made(c, c->next++, m.content);
	yard_pace_wait(&c->pace);
	c->begun_s = yard_now_s();
	return submit_put(c->submit, &m);
}

int load_client_open(struct client *c)
{
	struct submit_options opt = { .path = c->cfg->socket,
				      .reconnects_max =
					      (int)c->cfg->reconnects };

	return c->out != NULL && c->made == NULL ? -ENOMEM
						 : submit_new(&opt, &c->submit);
}

void load_client_close(struct client *c, int err)
{
	if (err < 0) {
		c->exit_code = EX_TEMPFAIL;
		snprintf(c->words, sizeof(c->words), "%s: %s",
			 c->submit == NULL ? c->cfg->socket
					   : submit_words(c->submit),
			 strerrordesc_np(-err));
		if (c->submit != NULL)
			load_client_results(c);
	}
	submit_free(&c->submit);
}

void load_client_init(struct client *c, const struct load_config *cfg,
		      uint64_t first, uint64_t count,
		      const struct load_files *files)
{
	*c = (struct client){ .cfg = cfg,
			      .first = first,
			      .count = count,
			      .out = files->accepted,
			      .times = files->times,
			      .pace.rate = cfg->rate };
	load_message_init(&c->msg);
	buf_init(&c->line, 64u << 20);
	if (c->out != NULL)
		c->made = calloc(MADE_MAX, sizeof(*c->made));
}

void load_client_free(struct client *c)
{
	load_message_free(&c->msg);
	buf_free(&c->line);
	free(c->made);
}
