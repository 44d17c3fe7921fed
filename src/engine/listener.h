#ifndef MTAQ_ENGINE_LISTENER_H
#define MTAQ_ENGINE_LISTENER_H

/*
 * The ingress thread: the submission socket and the drop folder.  It reads,
 * lets src/ingress make messages of the octets, lends each to the log thread,
 * and answers when the log says that it is durable.
 */
#include "engine/clock.h"
#include "engine/lane.h"
#include "ingress/server.h"
#include "sched/sched.h"

#include <pthread.h>

struct logger;
struct storer;

struct listener_settings {
	const struct settings *set; /* borrowed for life */
	const struct clock *clock;  /* the same */
	struct logger *logger;      /* the same */
	struct storer *storer;      /* the same */
	struct ingress_seen *seen;  /* the same; this thread's alone */
	uint32_t submitters;        /* connections at once */
};

struct listener;

/* Opens runtime/submit.sock (mode 0660) and the folders of the drop folder.
 * -EADDRINUSE: another process answers on that socket.  words says what
 * failed and why. */
int listener_new(const struct listener_settings *set, struct bell *bell,
		 char *words, size_t words_size, struct listener **listener_r);
int listener_start(struct listener *in);
/* Take no more, wait for the log's answers, end. The log still runs. */
void listener_stop(struct listener *in);
void listener_free(struct listener **in);

/* From any thread, a moment old. */
struct listener_counts {
	uint64_t connections, bytes; /* bytes: of content */
	uint64_t accepted[SCHED_CLASS_COUNT], rcpts[SCHED_CLASS_COUNT];
	uint64_t refused[INGRESS_REASON_COUNT];
};
void listener_count(const struct listener *in,
		    struct listener_counts *counts_r);

#endif
