/*
 * bench/load.c - a load maker: messages with known content, submitted
 *
 *	client threads ─► submit_put() ... ─► results ─► accepted file
 *
 * Message i is a function of i alone (load_message.h), so a result needs only
 * its index to name token, recipients and hash.
 */
#include "bench/load.h"

#include "base/crc32c.h"
#include "base/msgid.h"
#include "bench/load_message.h"
#include "bench/yard.h"
#include "mtaq/submit.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

/* What its line will say of the content. */
struct made {
	uint32_t crc, len;
};

struct client {
	const struct load_config *cfg;
	pthread_t thread;
	uint64_t first, count; /* messages first .. first + count - 1 */
	uint64_t accepted, refused;
	FILE *out, *times;
	struct yard_pace pace;
	double begun_s; /* the last message, when there is a pace */
	struct load_message msg;
	struct made *made; /* own: message i of it at i modulo MADE_MAX */
	struct buf line;
	int exit_code;
	char words[256];
};

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

static void take_results(struct client *c, struct submit *s)
{
	struct submit_result r;

	while (submit_next(s, &r) == 1) {
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

/* --- a client -------------------------------------------------------------- */

static int submit_all(struct client *c, struct submit *s)
{
	const struct load_config *cfg = c->cfg;
	uint64_t i;
	int err;

	for (i = 0; i < c->count; i++) {
		struct submit_message m = {
			.sender = span_str(cfg->from),
			.rcpts = c->msg.rcpts,
			.rcpt_count = cfg->rcpts,
			.tenant = span_str(cfg->tenant),
			.campaign = span_str(cfg->campaign),
			.class = cfg->transactional ? SUBMIT_TRANSACTIONAL
						    : SUBMIT_BULK,
		};

		load_message_make(&c->msg, cfg, c->first + i);
		m.content = buf_span(&c->msg.content);
		note_made(c, i, m.content);
		yard_pace_wait(&c->pace);
		c->begun_s = yard_now_s();
		err = submit_put(s, &m);
		if (err == 0 && cfg->rate > 0)
			err = submit_flush(s);
		else if (err == 0 && cfg->batch > 0 &&
			 (i + 1) % cfg->batch == 0)
			err = submit_flush(s);
		if (err < 0)
			return err;
		take_results(c, s);
	}
	err = submit_flush(s);
	take_results(c, s);
	return err;
}

static void *client_main(void *arg)
{
	struct client *c = arg;
	struct submit_options opt = { .path = c->cfg->socket,
				      .reconnects_max =
					      (int)c->cfg->reconnects };
	struct submit *s = NULL;
	int err = c->out != NULL && c->made == NULL ? -ENOMEM
						    : submit_new(&opt, &s);

	if (err == 0)
		err = submit_all(c, s);
	if (err < 0) {
		c->exit_code = EX_TEMPFAIL;
		snprintf(c->words, sizeof(c->words), "%s: %s",
			 s == NULL ? c->cfg->socket : submit_words(s),
			 strerrordesc_np(-err));
		if (s != NULL)
			take_results(c, s);
	}
	submit_free(&s);
	return NULL;
}

/* What all clients write. */
struct files {
	FILE *accepted, *times;
};

static void client_init(struct client *c, const struct load_config *cfg,
			uint64_t first, uint64_t count,
			const struct files *files)
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

static void client_free(struct client *c)
{
	load_message_free(&c->msg);
	buf_free(&c->line);
	free(c->made);
}

static int report(const struct load_config *cfg, const struct client *c,
		  double seconds)
{
	uint64_t accepted = 0, refused = 0;
	int code = EX_OK;
	uint32_t i;

	for (i = 0; i < cfg->clients; i++) {
		accepted += c[i].accepted;
		refused += c[i].refused;
		if (c[i].exit_code != EX_OK)
			code = c[i].exit_code;
		if (c[i].words[0] != '\0')
			fprintf(stderr, "mtaq load: %s\n", c[i].words);
	}
	if (refused > 0 && code == EX_OK)
		code = EX_DATAERR;
	printf("{\"messages\":%llu,\"accepted\":%llu,\"refused\":%llu,"
	       "\"recipients\":%llu,\"seconds\":%.3f,\"rate\":%.0f}\n",
	       (unsigned long long)cfg->messages, (unsigned long long)accepted,
	       (unsigned long long)refused,
	       (unsigned long long)(accepted * cfg->rcpts), seconds,
	       seconds > 0 ? (double)accepted / seconds : 0.0);
	return code;
}

static int file_open(const char *name, FILE **file_r)
{
	if (name == NULL)
		return EX_OK;
	*file_r = fopen(name, "a");
	if (*file_r != NULL)
		return EX_OK;
	fprintf(stderr, "mtaq load: cannot open %s: %s\n", name,
		strerrordesc_np(errno));
	return EX_CANTCREAT;
}

static int files_open(struct files *f, const struct load_config *cfg)
{
	int code = file_open(cfg->accepted, &f->accepted);

	return code == EX_OK ? file_open(cfg->times, &f->times) : code;
}

static void files_close(struct files *f)
{
	if (f->accepted != NULL)
		fclose(f->accepted);
	if (f->times != NULL)
		fclose(f->times);
}

static int run_clients(struct client *c, const struct load_config *cfg,
		       const struct files *files)
{
	uint64_t share = (cfg->messages + cfg->clients - 1) / cfg->clients;
	double begin = yard_now_s();
	uint64_t first = 0;
	uint32_t i;
	int code;

	for (i = 0; i < cfg->clients; i++) {
		uint64_t left = cfg->messages - first;

		client_init(&c[i], cfg, cfg->start + first,
			    left < share ? left : share, files);
		first += c[i].count;
		pthread_create(&c[i].thread, NULL, client_main, &c[i]);
	}
	for (i = 0; i < cfg->clients; i++)
		pthread_join(c[i].thread, NULL);
	code = report(cfg, c, yard_now_s() - begin);
	for (i = 0; i < cfg->clients; i++)
		client_free(&c[i]);
	return code;
}

int load_main(int argc, char **argv)
{
	struct load_config cfg;
	struct files files = { NULL, NULL };
	struct client *c;
	int code = load_options(argc, argv, &cfg);

	if (code != EX_OK || cfg.help)
		return code;
	c = calloc(cfg.clients, sizeof(*c));
	if (c == NULL)
		return EX_OSERR;
	code = files_open(&files, &cfg);
	if (code == EX_OK)
		code = run_clients(c, &cfg, &files);
	files_close(&files);
	free(c);
	return code;
}
