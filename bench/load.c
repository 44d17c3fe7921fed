/*
 * bench/load.c - a load maker: messages with known content, submitted
 *
 *	client threads ─► submit_put() ... ─► results ─► accepted file
 *
 * A client that sends on without waiting, or at a pace, has a thread of its
 * own.  Those that wait after each batch share one, LOOP_CLIENTS each: it
 * waits for all of them at once (epoll), since on the machine that is measured
 * a thread for each would cost more to wake than its mail to take in.
 *
 * Message i is a function of i alone (load_message.h), so a result needs only
 * its index to name token, recipients and hash.
 */
#include "bench/load.h"

#include "bench/load_client.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sysexits.h>
#include <unistd.h>

#define LOOP_CLIENTS    64u
#define LOOP_TIMEOUT_MS 60000

/* --- a thread for many clients --------------------------------------------- */

struct loop {
	pthread_t thread;
	struct client *clients; /* borrow */
	uint32_t count, left;   /* left: not at their end */
	int epoll;
};

/* 1: all of it was answered. */
static int batch_next(struct client *c)
{
	uint64_t n;
	int err = 0;

	if (c->next == c->count)
		return 1;
	for (n = 0; err == 0 && n < c->cfg->batch && c->next < c->count; n++)
		err = load_client_put(c);
	return err == 0 ? submit_start(c->submit) : err;
}

static int watch(struct loop *l, struct client *c)
{
	uint32_t connects = submit_connects(c->submit);
	struct epoll_event ev = {
		.events = EPOLLIN | (submit_unsent(c->submit) ? EPOLLOUT : 0u),
		.data.ptr = c
	};
	int op = connects == c->connects ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (connects == c->connects && ev.events == c->events)
		return 0;
	c->connects = connects;
	c->events = ev.events;
	return epoll_ctl(l->epoll, op, submit_fd(c->submit), &ev) < 0 ? -errno
								      : 0;
}

/* Take what came for it; when that was all, the next batch. */
static void move_on(struct loop *l, struct client *c)
{
	int err = submit_look(c->submit);

	if (err == 0)
		load_client_results(c);
	if (err == 0 && submit_unanswered(c->submit) == 0)
		err = batch_next(c);
	if (err == 0)
		err = watch(l, c);
	if (err == 0)
		return;
	load_client_close(c, err < 0 ? err : 0);
	l->left--;
}

static void loop_over(struct loop *l, int err)
{
	uint32_t i;

	for (i = 0; i < l->count; i++)
		if (l->clients[i].submit != NULL)
			load_client_close(&l->clients[i], err);
	l->left = 0;
}

static void loop_wait(struct loop *l)
{
	struct epoll_event ev[LOOP_CLIENTS];
	int i, n = epoll_wait(l->epoll, ev, LOOP_CLIENTS, LOOP_TIMEOUT_MS);

	if (n == 0 || (n < 0 && errno != EINTR))
		loop_over(l, n == 0 ? -ETIMEDOUT : -errno);
	for (i = 0; i < n; i++)
		move_on(l, ev[i].data.ptr);
}

static void *loop_main(void *arg)
{
	struct loop *l = arg;
	uint32_t i;
	int err;

	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->left = l->count;
	for (i = 0; i < l->count; i++) {
		err = l->epoll < 0 ? -errno : load_client_open(&l->clients[i]);
		if (err == 0) {
			move_on(l, &l->clients[i]);
			continue;
		}
		load_client_close(&l->clients[i], err);
		l->left--;
	}
	while (l->left > 0)
		loop_wait(l);
	if (l->epoll >= 0)
		close(l->epoll);
	return NULL;
}

/* Without waiting for answers, but for those of a whole window. */
static int stream(struct client *c)
{
	int err = 0;

	while (err == 0 && c->next < c->count) {
		err = load_client_put(c);
		if (err == 0 && c->cfg->rate > 0)
			err = submit_flush(c->submit);
		if (err == 0)
			load_client_results(c);
	}
	if (err == 0)
		err = submit_flush(c->submit);
	load_client_results(c);
	return err;
}

static void *stream_main(void *arg)
{
	struct loop *l = arg;
	int err = load_client_open(l->clients);

	load_client_close(l->clients, err == 0 ? stream(l->clients) : err);
	return NULL;
}

/* --- all of them ------------------------------------------------------------ */

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

static int files_open(struct load_files *f, const struct load_config *cfg)
{
	int code = file_open(cfg->accepted, &f->accepted);

	return code == EX_OK ? file_open(cfg->times, &f->times) : code;
}

static void files_close(struct load_files *f)
{
	if (f->accepted != NULL)
		fclose(f->accepted);
	if (f->times != NULL)
		fclose(f->times);
}

static void share_out(struct client *c, const struct load_config *cfg,
		      const struct load_files *files)
{
	uint64_t share = (cfg->messages + cfg->clients - 1) / cfg->clients;
	uint64_t first = 0;
	uint32_t i;

	for (i = 0; i < cfg->clients; i++) {
		uint64_t left = cfg->messages - first;

		load_client_init(&c[i], cfg, cfg->start + first,
				 left < share ? left : share, files);
		first += c[i].count;
	}
}

static int run_clients(struct client *c, const struct load_config *cfg,
		       const struct load_files *files)
{
	bool waits = cfg->batch > 0 && cfg->rate == 0;
	uint32_t each = waits ? LOOP_CLIENTS : 1, i, n;
	struct loop *loops = calloc(cfg->clients, sizeof(*loops));
	double begin = yard_now_s();
	int code;

	if (loops == NULL)
		return EX_OSERR;
	share_out(c, cfg, files);
	for (i = n = 0; i < cfg->clients; i += loops[n++].count) {
		loops[n].clients = &c[i];
		loops[n].count =
			cfg->clients - i < each ? cfg->clients - i : each;
		pthread_create(&loops[n].thread, NULL,
			       waits ? loop_main : stream_main, &loops[n]);
	}
	while (n > 0)
		pthread_join(loops[--n].thread, NULL);
	code = report(cfg, c, yard_now_s() - begin);
	for (i = 0; i < cfg->clients; i++)
		load_client_free(&c[i]);
	free(loops);
	return code;
}

int load_main(int argc, char **argv)
{
	struct load_config cfg;
	struct load_files files = { NULL, NULL };
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
