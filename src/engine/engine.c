/*
 * engine/engine.c - the threads and their wiring
 *
 *	 control asks and tells log, store and workers (control.c)
 *
 *	 ingress ──► log ──► (durable) ──► store ──► workers
 *	    ▲         │ ▲                   │ ▲         │
 *	    └─────────┘ └───────────────────┼─┴─────────┘ outcomes
 *	                                    ▼
 *	                                 resolver
 *
 * Stopping goes along the flow: ingress first, then the store (no new tasks),
 * then the workers (no new mails; they wait for what is under way), then the
 * log commits what they wrote; the store's thread has ended by then, and a
 * last checkpoint makes the next start quick.  A SIGKILL at any moment is as
 * safe as this.
 */
#include "engine/engine_private.h"

#include "engine/metrics.h"
#include "engine/tune.h"
#include "engine/user.h"
#include "engine/wire.h"
#include "io/io.h"
#include "report/exporter.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>

#define SEEN_IDS_MAX (1u << 20)

static void say(char *words, size_t size, int err, const char *what)
{
	if (words[0] == '\0')
		snprintf(words, size, "%s: %s", what, strerrordesc_np(-err));
}

static unsigned worker_count(const struct settings *set)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (set->workers > 0)
		return set->workers < STORER_WORKERS_MAX ? set->workers
							 : STORER_WORKERS_MAX;
	if (cores <= 4)
		return 2;
	return cores - 2 < STORER_WORKERS_MAX ? (unsigned)cores - 2
					      : STORER_WORKERS_MAX;
}

/* --- the parts ------------------------------------------------------------- */

static void tell_clock(int err, const struct clock *clock)
{
	char words[200];

	clock_words(clock, words, sizeof(words));
	if (err == 0 && strcmp(words, "ok") != 0)
		fprintf(stderr, "mtaq: %s\n", words);
}

static int open_queue(struct engine *e, char *words, size_t size)
{
	struct queue_settings q;
	struct queue_report *report = &e->report;
	int err;

	tune_queue(e->set, &q);
	err = queue_open(&q, clock_mail_s(&e->clock), &e->queue, report);
	if (err == -EACCES || err == -EPERM)
		user_words(e->set->spool, err, words, size);
	else if (err == -EROFS && report->words[0] != '\0')
		snprintf(words, size, "%s", report->words);
	else if (err < 0)
		snprintf(words, size, "cannot open the spool %s: %s%s%s",
			 e->set->spool, strerrordesc_np(-err),
			 report->words[0] == '\0' ? "" : ": ", report->words);
	else
		clock_start(&e->clock, report->saved_s, e->set->age_limit_s);
	tell_clock(err, &e->clock);
	if (err == 0 && report->words[0] != '\0')
		fprintf(stderr, "mtaq: spool: %s\n", report->words);
	return err;
}

static int make_resolver(struct engine *e, char *words, size_t size)
{
	const char *servers[DNS_SERVERS_MAX];
	char text[DNS_SERVERS_MAX][80];
	struct dns_settings dns = {
		.servers = servers,
		.hostname = span_str(e->set->hostname),
		.own_ips = (const char *const *)e->set->own_addresses.items,
		.own_ip_count = e->set->own_addresses.count,
		.smtp_port = e->set->smtp.port,
		.timeout_ms = (unsigned)e->set->dns.timeout_ms,
		.outstanding_max = e->set->dns.outstanding_max,
		.seed = clock_wall_ms(),
	};
	uint32_t i;
	int err;

	_Static_assert(DNS_SERVERS_MAX == SETTINGS_SERVERS_MAX, "dns.servers");
	for (i = 0; i < e->set->dns.servers.count; i++) {
		const struct settings_endpoint *at =
			&e->set->dns.servers.items[i];

		snprintf(text[i], sizeof(text[i]),
			 strchr(at->host, ':') == NULL ? "%s:%u" : "[%s]:%u",
			 at->host, at->port);
		servers[dns.server_count++] = text[i];
	}
	err = resolver_init(&e->resolver, &dns, &e->storer.bell);
	if (err < 0)
		say(words, size, err, "cannot set up the resolver");
	return err;
}

static int no_worker(const struct worker *w, int err, char *words, size_t size)
{
	char advice[IO_ADVICE_MAX];

	io_ring_advice(advice, sizeof(advice));
	if (w->why[0] == '\0' || advice[0] == '\0') {
		snprintf(words, size, "cannot start a worker: %s%s%s",
			 strerrordesc_np(-err), w->why[0] == '\0' ? "" : ": ",
			 w->why);
		return err;
	}
	snprintf(words, size,
		 "cannot start a worker: %s: %s; `io_backend: auto` runs on "
		 "epoll instead",
		 w->why, advice);
	return -EPERM; /* the configuration asks for what is forbidden */
}

static void tell_back_end(const struct worker *w)
{
	char advice[IO_ADVICE_MAX];

	if (w->why[0] == '\0')
		return;
	io_ring_advice(advice, sizeof(advice));
	fprintf(stderr, "mtaq: %s%s%s\n", w->why, advice[0] == '\0' ? "" : ": ",
		advice);
}

static int start_workers(struct engine *e, char *words, size_t size)
{
	struct worker_settings ws = {
		.set = e->set,
		.clock = &e->clock,
		.queue = e->queue,
		.presets = e->presets,
		.preset_count = e->preset_count,
		.ours = &e->ours,
		.epoch = &e->storer.epoch,
		.count = e->worker_count,
		.board_cells =
			(e->set->metrics.top_sites + e->worker_count - 1) /
			e->worker_count,
		.connections = e->share.connections,
	};
	unsigned i;
	int err;

	for (i = 0; i < e->worker_count; i++) {
		struct worker *w = &e->workers[i];

		ws.number = i;
		ws.log = &e->logger.sources[i];
		ws.from_store = &e->storer.to_worker[i];
		ws.to_store = &e->storer.from_worker[i];
		ws.from_control = &e->asks[i];
		ws.to_control = &e->asks_back[i];
		ws.to_trace = &e->traces[i];
		err = storer_connect(&e->storer, i, &w->bell, &e->bell);
		if (err == 0)
			err = lane_init(ws.from_control, 1024, &e->bell,
					&w->bell);
		if (err == 0)
			err = lane_init(ws.to_trace, TRACE_LANE_BYTES, NULL,
					&e->bell);
		if (err == 0)
			err = lane_init(ws.to_control, 1024, &w->bell,
					&e->bell);
		if (err == 0)
			err = worker_start(w, &ws);
		if (err < 0)
			return no_worker(w, err, words, size);
		e->workers_started++;
		e->logger.sources[i].owner = &w->bell;
		e->logger.sources[i].lane.from = &w->bell;
	}
	tell_back_end(&e->workers[0]);
	return 0;
}

static int make_store(struct engine *e)
{
	struct storer_settings st = {
		.set = e->set,
		.clock = &e->clock,
		.queue = e->queue,
		.resolver = &e->resolver,
		.log = &e->logger.sources[e->worker_count],
		.moves = &e->logger.moves,
		.worker_logs = e->logger.sources,
		.presets = e->presets,
		.preset_count = e->preset_count,
		.workers = e->worker_count,
	};
	int err = storer_init(&e->storer, &st);

	e->logger.sources[e->worker_count].owner = &e->storer.bell;
	e->logger.sources[e->worker_count].lane.from = &e->storer.bell;
	e->logger.moves.from = &e->storer.bell;
	return err;
}

static int make_listener(struct engine *e, char *words, size_t size)
{
	struct listener_settings in = { .set = e->set,
					.clock = &e->clock,
					.logger = &e->logger,
					.storer = &e->storer,
					.submitters = e->share.submitters };

	e->seen = ingress_seen_new(SEEN_IDS_MAX);
	if (e->seen == NULL)
		return -ENOMEM;
	in.seen = e->seen;
	return listener_new(&in, &e->ingress_bell, words, size, &e->listener);
}

static int open_exporter(struct engine *e, char *words, size_t size)
{
	struct exporter_settings x = { .listen = e->set->metrics.listen,
				       .page = metrics_page,
				       .arg = e };
	int err;

	if (x.listen[0] == '\0')
		return 0;
	err = exporter_open(&x, &e->exporter);
	if (err < 0)
		snprintf(words, size,
			 "cannot listen on %s (metrics.listen): %s; name an "
			 "address that is free, or none",
			 x.listen, strerrordesc_np(-err));
	return err;
}

static int open_parts(struct engine *e, char *words, size_t size)
{
	int err = user_become(e->set, words, size);

	if (err == 0)
		err = open_queue(e, words, size);
	if (err < 0)
		return err;
	err = bell_init(&e->bell);
	if (err == 0)
		err = bell_init(&e->ingress_bell);
	if (err == 0)
		err = logger_init(&e->logger, e->queue, &e->ingress_bell,
				  e->worker_count + 1);
	if (err == 0)
		err = logger_connect_control(&e->logger, &e->bell);
	if (err == 0)
		err = make_store(e);
	if (err == 0)
		err = make_resolver(e, words, size);
	if (err == 0)
		err = storer_connect_ingress(&e->storer, &e->ingress_bell);
	if (err == 0)
		err = make_listener(e, words, size);
	if (err < 0)
		return err;
	e->logger.followers[0] = &e->storer.bell;
	e->logger.followers[1] = &e->report_bell;
	e->logger.control = &e->bell;
	err = bell_init(&e->report_bell);
	if (err < 0)
		return err;
	err = reporter_init(&e->reporter, e->queue, e->set->log.events,
			    &e->report_bell);
	if (err < 0)
		snprintf(words, size,
			 "cannot open the event log %s: %s; log.events must "
			 "name a file in a folder that mtaq's user may write "
			 "to, or nothing",
			 e->set->log.events, strerrordesc_np(-err));
	if (err == 0)
		err = open_exporter(e, words, size);
	return err < 0 ? err : control_open(e, words, size, &e->control);
}

int engine_open(const struct settings *set, struct engine **engine_r,
		char *words, size_t words_size)
{
	struct engine *e = calloc(1, sizeof(*e));
	int err;

	words[0] = '\0';
	if (e == NULL)
		return -ENOMEM;
	e->set = set;
	e->bell.fd = e->ingress_bell.fd = e->report_bell.fd = -1;
	e->worker_count = worker_count(set);
	e->presets = site_presets_builtin(&e->preset_count);
	e->workers = calloc(e->worker_count, sizeof(*e->workers));
	e->asks = calloc(e->worker_count, sizeof(*e->asks));
	e->asks_back = calloc(e->worker_count, sizeof(*e->asks_back));
	e->traces = calloc(e->worker_count, sizeof(*e->traces));
	e->started_wall_s = clock_wall_ms() / 1000;
	clock_start(&e->clock, 0, set->age_limit_s);
	err = -ENOMEM;
	if (e->workers != NULL && e->asks != NULL && e->asks_back != NULL &&
	    e->traces != NULL)
		err = descriptors_take(set, e->worker_count, &e->share, words,
				       words_size);
	if (err == 0)
		err = open_parts(e, words, words_size);
	if (err < 0) {
		say(words, words_size, err, "cannot start");
		engine_close(&e);
		return err;
	}
	*engine_r = e;
	return 0;
}

/* --- running --------------------------------------------------------------- */

static int block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	signal(SIGPIPE, SIG_IGN);
	if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
		return -EINVAL;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int start_all(struct engine *e, char *words, size_t size)
{
	int err = start_workers(e, words, size);

	if (err == 0)
		err = logger_start(&e->logger);
	if (err < 0)
		return err;
	e->logger_runs = true;
	err = reporter_start(&e->reporter);
	if (err < 0)
		return err;
	e->reporter_runs = true;
	err = resolver_start(&e->resolver);
	if (err < 0)
		return err;
	e->resolver_runs = true;
	err = storer_start(&e->storer);
	if (err < 0)
		return err;
	e->storer_runs = true;
	err = listener_start(e->listener);
	e->listener_runs = err == 0;
	if (err == 0 && e->exporter != NULL) {
		err = exporter_start(e->exporter);
		if (err < 0)
			say(words, size, err, "cannot answer for metrics");
	}
	return err;
}

static int last_words(const struct engine *e, int err, const char *what,
		      const char *remedy, char *words, size_t size)
{
	if (words[0] != '\0')
		return err;
	snprintf(words, size,
		 "%s: %s; mtaq ends, and what it acknowledged stays in %s: "
		 "%s, and start it again",
		 what, strerrordesc_np(-err), e->set->spool, remedy);
	return err;
}

int engine_failure(struct engine *e, char *words, size_t size)
{
	static const char disk[] = "see to the disk (dmesg, mtaq verify)";
	unsigned i;
	int err = atomic_load(&e->logger.failed);

	if (err < 0)
		return last_words(e, err, "the spool cannot be written", disk,
				  words, size);
	err = atomic_load(&e->storer.failed);
	if (err < 0)
		return last_words(e, err, "the index cannot be kept", disk,
				  words, size);
	for (i = 0; i < e->workers_started; i++) {
		err = atomic_load(&e->workers[i].failed);
		if (err < 0)
			return last_words(e, err, "a worker's io failed",
					  "try io_backend: epoll", words, size);
	}
	return 0;
}

static void stop_all(struct engine *e)
{
	unsigned i;

	if (e->exporter != NULL)
		exporter_stop(e->exporter);
	if (e->listener_runs)
		listener_stop(e->listener);
	if (e->storer_runs)
		storer_stop(&e->storer);
	if (e->resolver_runs)
		resolver_stop(&e->resolver);
	for (i = 0; i < e->workers_started; i++)
		worker_ask_stop(&e->workers[i]);
	for (i = 0; i < e->workers_started; i++)
		worker_wait(&e->workers[i]);
	if (e->logger_runs)
		logger_stop(&e->logger);
	if (e->reporter_runs)
		reporter_stop(&e->reporter);
	for (i = 0; i < e->workers_started; i++)
		worker_join(&e->workers[i]);
	e->listener_runs = e->storer_runs = e->resolver_runs = false;
	e->logger_runs = e->reporter_runs = false;
	e->workers_started = 0;
}

static void last_checkpoint(struct engine *e)
{
	uint32_t now = clock_mail_s(&e->clock);

	int more;

	do
		more = queue_store_apply(e->queue, now);
	while (more == 1);
	if (more == 0)
		queue_store_checkpoint(e->queue, now);
}

int engine_run(struct engine *e, char *words, size_t words_size)
{
	int signals = block_signals(), err;

	words[0] = '\0';
	if (signals < 0)
		return signals;
	err = start_all(e, words, words_size);
	if (err == 0) {
		fprintf(stderr, "mtaq: ready: %u workers over %s, spool %s\n",
			e->worker_count, e->workers[0].backend, e->set->spool);
		err = control_run(e->control, signals, words, words_size);
	}
	stop_all(e);
	close(signals);
	if (err == 0)
		last_checkpoint(e);
	say(words, words_size, err, "stopped");
	return err;
}

void engine_close(struct engine **engine)
{
	struct engine *e = *engine;
	unsigned i;

	*engine = NULL;
	if (e == NULL)
		return;
	control_close(&e->control);
	exporter_close(&e->exporter);
	listener_free(&e->listener);
	ingress_seen_free(&e->seen);
	reporter_free(&e->reporter);
	resolver_free(&e->resolver);
	storer_free(&e->storer);
	logger_free(&e->logger);
	bell_free(&e->bell);
	bell_free(&e->ingress_bell);
	bell_free(&e->report_bell);
	if (e->queue != NULL)
		queue_close(&e->queue);
	for (i = 0; i < e->worker_count; i++) {
		if (e->asks != NULL)
			lane_free(&e->asks[i]);
		if (e->asks_back != NULL)
			lane_free(&e->asks_back[i]);
		if (e->traces != NULL)
			lane_free(&e->traces[i]);
	}
	free(e->asks);
	free(e->asks_back);
	free(e->traces);
	free(e->workers);
	free(e);
}
