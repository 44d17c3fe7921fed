#ifndef MTAQ_ENGINE_ENGINE_PRIVATE_H
#define MTAQ_ENGINE_ENGINE_PRIVATE_H

/* The engine's own: engine.c wires, admin reads its parts. */
#include "engine/control.h"
#include "engine/descriptors.h"
#include "engine/engine.h"
#include "engine/listener.h"
#include "engine/logger.h"
#include "engine/reporter.h"
#include "engine/resolver.h"
#include "engine/storer.h"
#include "engine/worker.h"
#include "mtaq/queue.h"

#include <poll.h>
#include <unistd.h>

struct engine {
	const struct settings *set;
	struct clock clock;
	struct queue *queue;
	const struct site_preset *presets;
	size_t preset_count;
	unsigned worker_count, workers_started;
	struct descriptors share;
	struct ours ours;
	struct bell bell; /* control's */
	struct bell ingress_bell, report_bell;
	struct logger logger;
	struct storer storer;
	struct resolver resolver;
	struct reporter reporter;
	struct ingress_seen *seen;
	struct listener *listener;
	struct worker *workers;
	struct lane *asks, *asks_back; /* one a worker: control's questions */
	struct lane *traces;           /* one a worker: conversations */
	struct control *control;
	struct exporter *exporter; /* NULL: no metrics are asked for */
	uint64_t started_wall_s;
	struct queue_report report; /* of opening the spool */
	bool logger_runs, resolver_runs, storer_runs, listener_runs,
		reporter_runs;
};

/* Has a thread failed?  Its error, and words unless there are some. */
int engine_failure(struct engine *e, char *words, size_t size);

#endif
