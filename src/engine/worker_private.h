#ifndef MTAQ_ENGINE_WORKER_PRIVATE_H
#define MTAQ_ENGINE_WORKER_PRIVATE_H

/*
 * A worker's own: worker.c (the loop and the lanes), deliver.c (a site's
 * turn: who sends next, who connects), conn.c (a connection and its session),
 * whost.c (what connections to one address share), attempt.c (a mail in flight
 * and its outcomes).
 */
#include "base/list.h"
#include "base/map.h"
#include "base/wheel.h"
#include "engine/busy.h"
#include "engine/drip.h"
#include "engine/wire.h"
#include "engine/worker.h"
#include "io/io.h"
#include "mtaq/queue.h"
#include "mtaq/smtp.h"
#include "sched/backoff.h"
#include "sched/sched.h"

#define SEND_MAX (256u << 10) /* octets of one batch */

struct wsite {           /* a site, as this worker sees it */
	uint32_t number; /* the store's name for it */
	struct site *site;
	struct sched_rq *rq;
	struct list ready;       /* connections that could send now */
	struct list kicked;      /* in worker_state.kicked, or alone */
	struct list capped;      /* in worker_state.capped, or alone */
	struct list starved;     /* in worker_state.starved, or alone */
	struct list leaving;     /* in worker_state.leaving, or alone */
	struct wheel_node timer; /* ask site_want() again */
	uint64_t timer_ms;
	struct list queues;
	struct list hosts; /* struct whost, while connections lead there */
	struct list picky; /* tasks that not every host takes: picky.c */
	uint32_t picky_count;
	bool dead_told;   /* people know that it is parked */
	uint32_t conns;   /* in any state but FREE */
	uint64_t scan_ms; /* when expired tasks were last looked for */
	/* census.c */
	struct board_cell *cell; /* its own, or that of all others */
	uint64_t given_ms;       /* when it got its own */
	uint32_t settled, busy;  /* outcomes this second; of late */
	/* Recipients since the site came to this worker. */
	uint64_t delivered, deferred, bounced;
};

struct wqueue { /* a (tenant, campaign, domain) at a site */
	struct sched_queue q;
	uint64_t key;
	struct word_hashes words;
	uint32_t tasks; /* that are in this worker, wherever they stand */
	bool moved;     /* its domain leads elsewhere: tasks go back */
	struct wsite *site;
	struct list link; /* in wsite.queues */
	struct list lru;  /* in worker_state.empty while it has no task */
};

enum conn_state {
	CONN_FREE,
	CONN_CONNECTING,
	CONN_OPEN,    /* has a session */
	CONN_CLOSING, /* io_close() was called */
};

struct conn {
	enum conn_state state;
	uint32_t slot, gen;
	int io;
	bool receiving, sending; /* in flight at the io */
	bool send_failed;    /* only what the peer said is of interest now */
	bool received_waits; /* a receive of this turn is not yet looked at */
	bool asked_close, timed_out, quitting;
	bool ready_told, idle; /* the session was ready once; is now */
	bool picky;            /* see conn_open() */
	struct wsite *site;
	struct site_conn *sc;
	struct smtp_session *smtp;
	struct wheel_node timer;
	uint64_t timer_ms;
	uint64_t keep_ms; /* idle: ask the site again */
	uint64_t read_ms; /* receive no sooner; 0: it receives */
	struct drip drip;
	uint64_t begun_ms; /* when it was opened */
	struct list ready; /* in wsite.ready, or alone; or in the free list */
	struct list attempts;
	struct iovec *iov; /* while sending */
	struct whost *host;
	uint64_t number;          /* of the session, for events */
	struct conn_trace *trace; /* NULL: nobody looks on */
	char in[512];
};

struct attempt {          /* one mail in flight */
	struct list link; /* in conn.attempts, or in a list of worker_state */
	struct sched_task *task;
	struct conn *conn;
	struct queue_view view;
	struct span domain; /* of its recipients; lies in view */
	struct smtp_rcpt *rcpts;
	uint16_t *index; /* of each in the message */
	struct queue_out_rcpt *outs;
	uint32_t count;
	bool any_accepted, judged;
	bool behind;    /* its connection has others in front */
	bool utf8;      /* its recipients, or the sender, need SMTPUTF8 */
	uint32_t again; /* recipients put over (rule 14) */
	uint8_t moves;
	uint64_t begun_ms;
	struct wsite *wsite;
	enum smtp_stage judged_stage;
	struct reply_class class; /* of the verdict on the whole mail */
	uint32_t out_count, out_sent;
	struct buf notes;  /* outs[].note lie in here, by offset in .p */
	struct buf common; /* while it is stuck */
	/* Where rcpts, index and outs lie: here those of a single recipient,
	 * one memory for those of many. */
	struct attempt_one {
		struct queue_out_rcpt out;
		struct smtp_rcpt rcpt;
		uint16_t index;
	} one;
	void *many;
	uint32_t many_size;
};

struct source_addr { /* of ours */
	struct io_addr addr;
	char text[64];
	uint64_t hash;
};

struct whost { /* an address of a site, for all connections to it: whost.c */
	struct list link; /* in wsite.hosts */
	uint32_t conns;
	uint16_t note_at, note_len;       /* in octets */
	const struct source_addr *source; /* NULL: the kernel's choice */
	struct mx_addr addr;
	char octets[];
};

struct worker_state {
	struct worker *w;
	struct tracing *tracing; /* NULL: nobody traces anything */
	const struct settings *set;
	struct io *io;
	struct wheel wheel;
	uint64_t now_ms; /* the three clocks (clock.h), once a turn */
	uint64_t wall_ms;
	uint32_t now_s;
	struct site_table *sites;
	struct sched_pool *pool;
	struct smtp_pool *smtp_pool;
	struct smtp_settings smtp;
	struct backoff_settings backoff;
	struct map site_map, queue_map;
	size_t refresh_at; /* in queue_map */
	struct list kicked, capped, empty;
	struct list starved; /* sites that want a connection; none is free */
	struct list leaving; /* sites that the store has forgotten */
	uint32_t empty_count;
	struct conn *conns;
	uint32_t conns_max, conns_used;
	struct list conns_free;
	struct list attempts_free; /* struct attempt.link */
	struct list iovs_free;
	struct queue_pins pins;
	struct list stuck;    /* attempts whose outcome found no room */
	struct list recalled; /* tasks on their way back to the store */
	uint64_t outs_sent, sessions;
	uint32_t behind;              /* attempts that are */
	uint64_t no_connect_until_ms; /* descriptors were exhausted */
	struct wheel_node second;     /* once a second: reap, counts */
	struct busy busy;             /* opened in a thread of its own only */
	uint64_t step_ms;             /* the next site_table_step() */
	bool stopping, aborted;
	uint64_t stop_at_ms;
	struct source_addr *sources; /* source.c */
	uint32_t source_count;
};

/* worker.c */
void worker_read_clocks(struct worker_state *s);
struct wsite *worker_site(struct worker_state *s, uint32_t number);
/* NULL: it has none of that queue. */
struct wqueue *worker_queue(struct worker_state *s, uint32_t site,
			    uint64_t queue_hash);
void worker_kick(struct worker_state *s, struct wsite *ws);
/* Connections are free and sites wait for one: the first has its turn. */
void worker_feed_starved(struct worker_state *s);
/* The queue of a task (its .user), also while it stands in none. */
static inline struct wqueue *wqueue_of(const struct sched_task *task)
{
	return task->user;
}
/* The task, idle or running, is over here: free it, and mind its queue. */
void worker_task_end(struct worker_state *s, struct sched_task *task);
/* What is left of it, idle or running, waits on: first in its queue, or, when
 * its domain has moved or it is recalled, back in the store. */
void worker_task_back(struct worker_state *s, struct sched_task *task);
/* Tell the store; false: its lane is full, come again. */
bool worker_tell_store(struct worker_state *s, uint32_t type,
		       const struct sched_task *task, uint32_t site,
		       uint32_t due_s);
/* cap.c */
/* May another mail begin (un-synced outcomes, room in the log, stopping)? */
bool worker_may_begin(struct worker_state *s, struct wsite *ws);

/* Is there a place for one more of a stream of chunks? */
bool worker_may_stream(struct worker_state *s);
/* Are there few enough outcomes that are not durable? */
bool worker_below_cap(struct worker_state *s);
/* Sites that waited for that have their turn. */
void worker_uncap(struct worker_state *s);

/* recall.c: operators' words */
void recall_take(struct worker_state *s, const struct to_worker_recall *m);
bool recall_wants(const struct to_worker_recall *m,
		  const struct sched_task *task);
void recall_moved(struct worker_state *s, const struct to_worker_moved *m);
/* One task that is idle. */
void recall_task(struct worker_state *s, struct sched_task *task);
/* Hand back what was recalled, as far as there is room. */
void recall_turn(struct worker_state *s);
void recall_free(struct worker_state *s);
/* ask.c: questions about sites, from control */
void ask_turn(struct worker_state *s);
/* The store says whether an operator's rule pauses a site. */
void ask_pause(struct worker_state *s, const struct to_worker_paused *m);

/* census.c */
int census_init(struct worker *w); /* 0 or -ENOMEM */
/* Counters of a site are in its cell. */
void census_join(struct worker_state *s, struct wsite *ws);
void census_leave(struct worker_state *s, struct wsite *ws);
/* What is there now; call it once a second. */
void census_take(struct worker_state *s);

/* trace.c: only with s->tracing, but for the first two */
void trace_switch(struct worker_state *s, const struct site_ask *ask);
void trace_free(struct worker_state *s);
void trace_open(struct worker_state *s, struct conn *c);
void trace_note(struct worker_state *s, struct conn *c, const char *words);
void trace_octets(struct worker_state *s, struct conn *c, bool ours,
		  struct span octets);
void trace_sending(struct worker_state *s, struct conn *c, int pieces);
void trace_mail(struct worker_state *s, struct conn *c,
		const struct sched_task *task);
void trace_mail_done(struct worker_state *s, struct conn *c);
void trace_close(struct worker_state *s, struct conn *c);
static inline bool is_traced(const struct worker_state *s)
{
	return __builtin_expect(s->tracing != NULL, 0);
}

/* deliver.c */
void deliver_turn(struct worker_state *s, struct wsite *ws);
/* Give the session of c its next mail if there is one; says whether c wants
 * a place in its site's ready list. */
bool deliver_next(struct worker_state *s, struct conn *c);
/* Rule 19: the dot of c's mail goes next; give it the mail whose envelope goes
 * out behind it, if there is one and the host takes that. */
void deliver_group(struct worker_state *s, struct conn *c);
/* Rule 20: tell c's session what its host has earned by now. */
void deliver_ask_chunks(struct worker_state *s, struct conn *c);
/* Rule 20: chunks fly on c; give it those that go out behind them. */
void deliver_stream(struct worker_state *s, struct conn *c);
void deliver_load(const struct wsite *ws, struct site_load *load_r);

void deliver_site_answers(struct worker_state *s, struct wsite *ws);

/* source.c */
int source_init(struct worker_state *s);
void source_free(struct worker_state *s);
/* The one for this site; NULL: the kernel chooses.  -EAFNOSUPPORT: there are
 * sources, and none of the address's family. */
int source_of(const struct worker_state *s, const struct wsite *ws,
	      const struct mx_addr *to, const struct source_addr **from_r);

/* whost.c */
/* Until whost_put() by each who got it.  NULL: out of memory. */
struct whost *whost_get(struct wsite *ws, const struct site_target *target,
			const struct source_addr *source);
void whost_put(struct whost **host);
static inline const char *whost_name(const struct whost *h)
{
	return h->octets;
}
/* As note_peer_put() wrote it. */
static inline struct span whost_note(const struct whost *h)
{
	return span_of(h->octets + h->note_at, h->note_len);
}
/* "mx.example[192.0.2.1:25]"; the name is cut if size is too small. */
void whost_text(const struct whost *h, char *text, size_t size);

/* conn.c */
/* picky: for mail in ws->picky alone; its host is not the one whose turn it
 * would be for other mail. */
int conn_open(struct worker_state *s, struct wsite *ws,
	      const struct site_target *target, bool picky);
/* Once for what io_wait() gave, before conn_done() for each of it. */
void conn_batch(struct worker_state *s, const struct io_done *done, int count);
void conn_done(struct worker_state *s, const struct io_done *done);
void conn_timer(struct worker_state *s, struct conn *c);
/* Events, output, timer: after anything that touched the session. */
void conn_turn(struct worker_state *s, struct conn *c, bool pending);
void conn_quit(struct worker_state *s, struct conn *c);
void conn_abort(struct worker_state *s, struct conn *c);

/* ahead.c */
/* Have the processor fetch what the completions that come next will want. */
#define AHEAD_FIRST 6
/* done[at] of count is taken next; at begins at -AHEAD_FIRST, for the first. */
void ahead_look(struct worker_state *s, const struct io_done *done, int at,
		int count);

/* ours.c */
#define OURS_PAUSE_MS 1000 /* after descriptors or memory ran out */
/* c's connect failed with err.  True: for a reason of ours; c has left its
 * site, which goes on with what it can. */
bool ours_took(struct worker_state *s, struct conn *c, int err);
/* A message could not be opened (queue_is_short(err)), or a connection not be
 * begun: for want of memory or descriptors. */
void ours_short(struct worker_state *s, enum ours_kind kind, int err);

/* share.c */
/* The next open recipient at or behind `at`, or task->span. */
static inline uint32_t task_next_open(struct sched_task *task, uint32_t at)
{
	const uint64_t *open = sched_task_open(task);

	while (at < task->span && (open[at / 64] >> (at % 64) & 1) == 0)
		at++;
	return at;
}

/* How many recipients a mail given to c now may have; 0: no mail now. */
uint32_t share_room(const struct worker_state *s, const struct conn *c);
/* Fill a->rcpts with at most max open recipients of its task. */
void share_fill(struct attempt *a, uint32_t max);
/* The mail is done: how many recipients does the site take? */
void share_learn(struct worker_state *s, const struct attempt *a);
/* Rule 24: does a mail from view's sender to rcpt need SMTPUTF8? */
bool share_needs_utf8(const struct queue_view *view, struct span rcpt);
/* picky.c */
/* c's host does not take this running task.  False: as attempt_local(). */
bool picky_refused(struct worker_state *s, struct conn *c,
		   struct sched_task *task, const struct site_need *need,
		   enum local_rule rule);
/* Is there one that c may take?  Take it: NULL, or a running task. */
bool picky_waits(const struct worker_state *s, const struct conn *c);
struct sched_task *picky_take(struct worker_state *s, struct conn *c);
/* Connect for them, end those that have waited enough; when to come again, or
 * SITE_NEVER. */
uint64_t picky_turn(struct worker_state *s, struct wsite *ws);
/* Those that the recall wants go back to the store. */
void picky_recall(struct worker_state *s, struct wsite *ws,
		  const struct to_worker_recall *m);
void picky_free(struct worker_state *s, struct wsite *ws);

/* attempt.c */
/* Begin a mail of this task on c.  0, or a negative errno value: the task is
 * where sched_next() gave it, or has been dealt with (*settled_r). */
int attempt_begin(struct worker_state *s, struct conn *c,
		  struct sched_task *task, bool *settled_r);
void attempt_verdict(struct worker_state *s, struct attempt *a, uint32_t rcpt,
		     const struct smtp_verdict *v);
void attempt_done(struct worker_state *s, struct attempt *a);
/* End a task by a rule of our own (enum local_rule): nothing was sent.  The
 * task is idle or running.  False: not now, it is as it was. */
bool attempt_local(struct worker_state *s, struct sched_task *task, int rule);
/* Likewise: no host that may take it can be tried now.  Of LOCAL_UTF8 only the
 * recipients that need it. */
bool attempt_untried(struct worker_state *s, struct sched_task *task,
		     int cause);
/* Try again to hand over outcomes that found no room. */
void attempt_unstick(struct worker_state *s);
void attempt_free_all(struct worker_state *s);

#endif
