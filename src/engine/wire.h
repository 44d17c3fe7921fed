#ifndef MTAQ_ENGINE_WIRE_H
#define MTAQ_ENGINE_WIRE_H

/*
 * The messages that travel in lanes.
 *
 *	ingress -> log      put_request       a message to make durable
 *	log     -> ingress  put_answer        after the commit
 *	worker  -> log      a struct queue_out, flattened (out_wire_*)
 *	ingress -> store    seen_ask, and back: seen_answer
 *	store   -> log      the same, for tasks that need no session; and in a
 *			    lane of its own move_wire
 *	store   -> worker   to_worker_*
 *	worker  -> store    to_store_*
 *	store  <-> resolver ask, answer
 *	control -> log      a struct queue_decision *, and back: decided_answer
 *	control -> worker   a struct site_ask *, and back: the same
 *	worker  -> control  a struct trace_line, in a lane of its own
 *	control -> store    a struct storer_job (storer.h)
 *
 * All are plain data within one process; nothing here goes to disk.
 */
#include "base/buf.h"
#include "mtaq/queue.h"

struct mxset;

/*
 * Of one submission's messages.  Numbers that become durable must rise, since
 * recovery takes all below the highest for known: once one is refused, those
 * that were lent behind it must be refused too.  The log thread shuts the
 * gate; ingress opens it when it has all of them back.
 */
struct put_gate {
	int shut; /* 0, or the negative errno value of the refusal */
};

struct put_request {
	/* Lent, with all it points to, until its answer. */
	const struct queue_message *msg;
	void *cookie;
	struct put_gate *gate;
};

struct put_answer {
	void *cookie;
	uint64_t id;
	int err; /* 0, or a negative errno value and no id */
};

/* ingress -> store: did an earlier life take this message? */
struct seen_ask {
	void *cookie;
	uint64_t number;
	uint8_t submission[16];
};

/* store -> ingress */
struct seen_answer {
	void *cookie;
	uint64_t id; /* when found */
	bool found;
};

/* log -> control, after the commit */
struct decided_answer {
	uint64_t lsn; /* of the decision */
	int err;      /* 0, or a negative errno value and no decision */
};

/* store -> log: compaction wants this moved.  Its answer is in the log. */
struct move_wire {
	struct queue_move move; /* tasks points to what follows, once read */
	char tasks[];
};

enum to_worker_type {
	TO_WORKER_SITE, /* a site, or what is new about it */
	TO_WORKER_TASK,
	TO_WORKER_FORGET, /* a site, as soon as it has nothing to do */
	TO_WORKER_RECALL,
	TO_WORKER_MOVED, /* a domain does not lead to the site any more */
	TO_WORKER_PAUSED /* an operator paused or resumed a site */
};

/* The last SITE, TASK or PAUSED of this number went before; a domain that leads
 * there again makes it a site with another number. */
struct to_worker_forget {
	uint32_t type, site;
};

/* The words of a queue as hashes: enough to find it, no more than that. */
uint64_t wire_word_hash(struct span word);
struct word_hashes {
	uint64_t tenant, campaign, domain; /* in a recall 0: any */
};

/* Hand back what waits of these queues: a decision or a pause covers it.  A
 * task too many costs its way back and forth, nothing else. */
struct to_worker_recall {
	uint32_t type, id_count; /* 0: any id */
	uint64_t number;         /* rising: worker.recalls says it when done */
	struct word_hashes words;
	uint64_t ids[]; /* rising */
};

/* Hand back what waits in the queue at this site, and what comes back. */
struct to_worker_moved {
	uint32_t type, site;
	uint64_t queue_hash;
};

struct to_worker_site {
	uint32_t type, site; /* number given by the store, never reused */
	bool paused;         /* by an operator, when this was written */
	struct mxset *set;   /* one reference, given away */
};

/* Of the store's rules, which is where pauses live. */
struct to_worker_paused {
	uint32_t type, site;
	bool paused;
};

/* open[] has as many words as (span + 63) / 64. */
struct to_worker_task {
	uint32_t type, site;
	uint64_t id, place, queue_hash, flow_hash;
	struct word_hashes words;
	uint32_t queue, slot, expires_s, flags;
	uint16_t first, span;
	uint8_t attempts, unsure;
	uint64_t open[];
};

enum to_store_type {
	TO_STORE_RETURN,  /* a task, unattempted */
	TO_STORE_DAMAGED, /* a task whose message fails its check */
	TO_STORE_REFRESH  /* does the domain of this waiting task still lead to
			   * the site? */
};

struct to_store {
	uint32_t type, site;
	uint64_t id;    /* of the message */
	uint64_t place; /* where the worker looked for it */
	/* Outcomes that this worker had written before: the store must have
	 * taken them in first, or it would give again what was delivered. */
	uint64_t after;
	uint32_t due_s;
	uint16_t first;
};

struct dns_ask_message {
	uint32_t domain; /* the store's number for it */
	uint16_t len;
	char name[256];
};

struct dns_answer_message {
	uint32_t domain;
	struct mxset *set; /* one reference, given away */
};

/* Is a queue of these words recalled?  And this message? */
bool recall_covers(const struct to_worker_recall *m,
		   const struct word_hashes *words);
bool recall_names(const struct to_worker_recall *m, uint64_t id);

/* Sites that operators have paused: a name of more is refused, so that what
 * every answer about sites looks through stays small. */
#define SITE_PAUSES_MAX 1000u
struct site_pauses {
	uint32_t count;
	struct site_pause_rule {
		char name[256];
		bool seen; /* a worker has such a site */
	} rules[SITE_PAUSES_MAX];
};
/* NULL: no such rule. */
const struct site_pause_rule *site_pauses_find(const struct site_pauses *p,
					       struct span name);
void site_pauses_see(struct site_pauses *p, struct span name);

#define SITE_ASK_ROWS 200 /* sites looked at in one turn of a worker */

/* control -> worker: lent, with out, until it comes back. */
struct site_ask {
	enum {
		SITE_ASK_LIST,
		SITE_ASK_SHOW, /* with a row for each host */
		SITE_ASK_PAUSE,
		SITE_ASK_RESUME,
		SITE_ASK_RETRY,   /* what failed or was slowed may be tried */
		SITE_ASK_FLIGHTS, /* sessions that carry the message .id */
		SITE_ASK_TRACE,   /* .slot from now on: .name, .id, .domain */
		SITE_ASK_UNTRACE  /* .slot no more */
	} verb;
	enum {
		SITE_WHICH_ALL,
		SITE_WHICH_BUSY,   /* with mail, connections or trouble */
		SITE_WHICH_TROUBLE /* dead, slowed or paused */
	} which;
	bool dry;        /* say which, change nothing */
	size_t at;       /* where the walk goes on; 0: from the start */
	bool more;       /* answer: there are more sites */
	char name[256];  /* these only; "" is all */
	bool by_number;  /* the one site of the store's number */
	uint32_t number; /* ... this one */
	uint64_t id;     /* 0: any */
	uint64_t domain; /* TRACE: hash of the domain's name; 0: any */
	unsigned slot;   /* TRACE, UNTRACE: below TRACE_SLOTS */
	struct buf *out; /* a row for each is appended */
	struct site_pauses *paused; /* NULL, or: mark what has a row */
};

/* worker -> control: a line of a conversation that is traced, or where one
 * begins and ends.  What finds no room is lost, and counted. */
#define TRACE_SLOTS      4u
#define TRACE_LANE_BYTES (512u << 10)

enum trace_kind {
	TRACE_NOTE,   /* our words about the connection */
	TRACE_OURS,   /* what we said */
	TRACE_THEIRS, /* what the server said */
};

struct trace_line {
	uint64_t time_ms; /* wall clock */
	uint64_t session; /* 0: not yet connected */
	uint32_t slots;   /* bits: whom it is for */
	uint32_t kind;
	uint32_t lost[TRACE_SLOTS]; /* lines of each before this one */
	uint16_t site_len, host_len, text_len;
	char text[]; /* site, host, text */
};

/* A queue_out in one piece. */
size_t out_wire_size(const struct queue_out *out);
void out_wire_put(const struct queue_out *out, void *to);
/* The result borrows from `from` and from rcpts (room for rcpts_max). */
void out_wire_get(const void *from, struct queue_out_rcpt *rcpts,
		  size_t rcpts_max, struct queue_out *out_r);

#endif
