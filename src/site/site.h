#ifndef MTAQ_SITE_SITE_H
#define MTAQ_SITE_SITE_H

/*
 * Where mail goes and how much at once.
 *
 * A site is one set of MX hosts after rollup x TLS policy x source address:
 * all domains behind it share sessions, health and limits.  This module knows
 * the state of every address of the site and answers two questions:
 *
 *	site_want()       open another session now?  to which address?
 *	site_conn_next()  this session is ready: take a task, keep, or close?
 *
 * and is told what happened.  The life of a connection:
 *
 *	site_want() == SITE_OPEN
 *	     |  connecting                    site_conn_close(&c, verdict)
 *	site_conn_connected()                            |
 *	     |  greeting, EHLO, STARTTLS ----------------+
 *	site_conn_ready()                                |
 *	     |  idle  <------------------+---------------+
 *	site_conn_next() == SITE_TAKE    |               |
 *	site_conn_begin()                |               |
 *	     |  busy;  site_conn_verdict() per verdict --+
 *	site_conn_end() -----------------+
 *
 * The worker's loop, for a site that has tasks waiting or a session ready:
 *
 *	for each ready session, when it becomes ready and when its when passes:
 *		TAKE:  sched_next() -> site_conn_begin() -> MAIL ...
 *		       (nothing from sched_next(): as KEEP)
 *		KEEP:  ask again at when, or when a task arrives
 *		CLOSE: QUIT, then site_conn_close(&conn, NULL, now)
 *	while site_want() == SITE_OPEN: connect
 *	ask site_want() again at when, when a task arrives, and after each
 *	site_conn_ready(), site_conn_end() and site_conn_close() of the site
 *
 * A dead site costs nothing: site_want() says SITE_DEAD until T, then opens
 * one probe (half-open).  Its tasks stay where they are, uncharged.
 *
 * Pure: no system call, no clock.  One thread (a worker) owns a table and
 * everything in it.  now_ms is monotonic and never goes back.
 */
#include "base/mxset.h"
#include "mtaq/outcome.h"
#include "site/classify.h"

#define SITE_WHY_MAX 120 /* octets of a reply that are kept, for people */
#define SITE_NEVER   UINT64_MAX /* a "when" that only an event can bring */

/* --- settings -------------------------------------------------------------- */

/* SMTP.md 19: transactions grouped behind each other's dot. */
enum site_grouping {
	SITE_GROUPING_AUTO, /* where a host has earned it */
	SITE_GROUPING_OFF,
	SITE_GROUPING_ON /* no session waits for another to try first */
};

#define SITE_AHEAD_MAX 20u

/* SMTP.md 20: content as a chunk, BDAT. */
enum site_chunking {
	SITE_CHUNKING_OFF,
	SITE_CHUNKING_AUTO, /* as for groups */
	SITE_CHUNKING_ON
};

struct site_settings {
	/* site: */
	uint32_t connections;         /* [10] a site */
	uint32_t connects_per_second; /* [10] a site, after a first burst */
	uint32_t connects_burst;      /* [10] at once to a fresh site */
	uint32_t backlog;             /* [4] waiting tasks that justify one
				       * session more (transactional: 1) */
	/* session: */
	uint32_t idle_ms;  /* [5s] */
	uint32_t messages; /* [100] */
	uint32_t age_ms;   /* [10m] */
	/* host: */
	uint32_t bad_first_ms; /* [1m] doubling ... */
	uint32_t bad_max_ms;   /* [1h] ... up to */
	uint32_t stagger_ms;   /* [2s] a connect unanswered for so long lets
				* another one start (SMTP.md 8) */
	uint32_t learned_ms;   /* [24h] how long messages per session and
				* recipients per transaction, as a server
				* taught them, are remembered */
	enum site_grouping grouping; /* [AUTO] */
	enum site_chunking chunking; /* [OFF] */
	uint32_t chunks_ahead;       /* [1] at most SITE_AHEAD_MAX */
};
/* Fill in the defaults in brackets. */
void site_settings_default(struct site_settings *set);

#define SITE_SUFFIXES_MAX 4

/* Limits for a receiver known by the names of its MX hosts. */
struct site_preset {
	const char *name; /* "google" */
	/* All MX hosts of a set must end in one of these, at a dot. */
	const char *suffixes[SITE_SUFFIXES_MAX];
	uint32_t connections;     /* at first */
	uint32_t connections_max; /* the window may grow up to here */
	uint32_t messages;        /* a session */
	uint32_t per_second;      /* messages; 0: no limit */
	/* Any of its hosts takes mail for any of its domains: all are one
	 * site.  Otherwise each MX set is a site and they share the limits. */
	bool one_set;
};
/* The built-in table (what operators start from). */
const struct site_preset *site_presets_builtin(size_t *count_r);

/* --- rollup ---------------------------------------------------------------- */

struct site_key {
	uint64_t hash;  /* the site; equal keys are one site */
	uint64_t owner; /* which worker: sites that share limits share it */
	const struct site_preset *preset; /* or NULL */
};

/*
 * The site of a set of hosts (status MX_OK; also the one host of a `routes:`
 * entry).  Equal for domains whose sets hold the same hosts in the same order
 * of preference, whatever the numbers and the order of equals.  policy and
 * source are any numbers that tell TLS policies and source addresses apart.
 */
void site_key(const struct mxset *set, const struct site_preset *presets,
	      size_t preset_count, uint32_t policy, uint32_t source,
	      struct site_key *key_r);

/* What a site of this key, made of this set, is called: preset or first MX. */
const char *site_key_name(const struct site_key *key, const struct mxset *set);

/* --- the table ------------------------------------------------------------- */

struct site;
struct site_conn;
struct site_table;

/* NULL when out of memory.  set is copied; conns_max bounds the connections
 * of all sites of this table (limits: connections, this worker's share). */
struct site_table *site_table_new(const struct site_settings *set,
				  uint32_t conns_max);
/* Every connection must be closed, every site put.  NULL allowed. */
void site_table_free(struct site_table **table);
uint32_t site_table_conns(const struct site_table *table);

/*
 * Sessions cost both sides memory and cache; one that is opened while the
 * worker has no time left brings nothing.  So bulk mail gets its sessions in
 * steps: a site's first at once, then at each step twice as many as the step
 * before, and none more while the worker is saturated, but one where those
 * there are have said nothing for SITE_STALL_MS.  Transactional mail opens what
 * it needs at any time.  To be called every SITE_STEP_MS; a table for which it
 * never is opens what the load justifies.
 */
#define SITE_STEP_MS  100u
#define SITE_STALL_MS 5000u
void site_table_step(struct site_table *table, bool saturated);

/*
 * Find or make the site of a key, with one reference more; hosts come from
 * set (refreshed as by site_refresh() when the site is there already and its
 * set has expired).  NULL when out of memory.
 */
struct site *site_get(struct site_table *table, const struct site_key *key,
		      const struct mxset *set, uint64_t now_ms);
/* Give back a reference and clear the pointer; NULL allowed.  A site without
 * references keeps its health until site_table_reap(). */
void site_put(struct site **site);
/* Free sites that nobody has referenced for an hour; a bounded piece of work,
 * call it every second or so. */
void site_table_reap(struct site_table *table, uint64_t now_ms);

/* New hosts for the same key.  Addresses keep their health and windows;
 * sessions to addresses no longer listed close when idle.  0 or -ENOMEM. */
int site_refresh(struct site *site, const struct mxset *set, uint64_t now_ms);
/* When the hosts should be resolved again (mxset.expires_ms). */
uint64_t site_refresh_ms(const struct site *site);

const char *site_name(const struct site *site);     /* preset or first MX */
const char *site_provider(const struct site *site); /* preset's, or NULL */
uint64_t site_hash(const struct site *site);

/* An operator's word that it may be well again: a bad host is probed at once,
 * pauses that replies asked for end. */
void site_retry(struct site *site, uint64_t now_ms);

/*
 * Rule 14: after a transaction of which the server took carried recipients and
 * put the rest over, the others there are not larger, for learned_ms; the site
 * is kept so long, used or not (at most 10,000 for this reason alone).
 */
void site_rcpts_learn(struct site *site, uint32_t carried, uint64_t now_ms);
/* 0: none is known. */
uint32_t site_rcpts_max(const struct site *site, uint64_t now_ms);

/* An operator's pause: nothing opens, sessions close when idle. */
void site_pause(struct site *site, bool paused);

/* --- opening --------------------------------------------------------------- */

struct site_load {        /* of the site's run queue, without parked flows */
	uint32_t waiting; /* tasks, all classes */
	uint32_t urgent;  /* of them transactional */
};

enum site_answer {
	SITE_OPEN,    /* connect to .target */
	SITE_ENOUGH,  /* the sessions there are suffice for the load, or no
		       * more would help now */
	SITE_FULL,    /* the window or the table is full */
	SITE_SLOWLY,  /* connects per second, or a pause after a reply */
	SITE_DEAD,    /* every host is bad: parked until *when_r */
	SITE_PROBING, /* dead, and the one probe is out */
	SITE_PAUSED,  /* by an operator */
	SITE_OURS,    /* we cannot connect to any host: see *when_r */
	SITE_ANSWER_COUNT
};
const char *site_answer_words(enum site_answer answer); /* for people */

struct site_target { /* valid until site_conn_close() */
	struct site_conn *conn;
	const char *host; /* for SNI and logs */
	struct mx_addr addr;
	uint16_t preference;
	bool probe; /* half-open: one connection to a host known bad */
};

/*
 * Another session?  SITE_OPEN: a connection is counted, *target_r is filled
 * in, and the caller must connect and finally site_conn_close() it.  Any other
 * answer: *when_r is when time alone may change it, or SITE_NEVER.
 * O(1) for every answer but SITE_OPEN and a changed health (O(addresses)).
 */
enum site_answer site_want(struct site *site, const struct site_load *load,
			   uint64_t now_ms, struct site_target *target_r,
			   uint64_t *when_r);

/* --- mail that not every host takes (SMTP.md 24) --------------------------- */

#define SITE_NEED_UTF8 0x1u /* SMTPUTF8 */
#define SITE_NEED_8BIT 0x2u /* 8BITMIME, where the operator wants it so */

struct site_need { /* of one mail */
	uint64_t bytes;
	uint32_t bits;
};

enum site_fit {
	SITE_FIT_PERHAPS, /* some host that can be tried may take it */
	SITE_FIT_LATER,   /* one may, but none of those can be tried now */
	SITE_FIT_NEVER    /* every host has said that it does not */
};
/*
 * What the hosts have said is remembered for ten minutes, and holds for all
 * addresses of a host.  It leaves a host out for such mail only: nothing is
 * wrong with it.
 */
enum site_fit site_fit(const struct site *site, const struct site_need *need,
		       uint64_t now_ms);
/*
 * As site_want(), for one mail that found no host so far: a connection to a
 * host that may take it, the lowest preference first.  SITE_ENOUGH: one is on
 * its way; SITE_DEAD also when nobody is left.
 */
enum site_answer site_want_for(struct site *site, const struct site_need *need,
			       uint64_t now_ms, struct site_target *target_r,
			       uint64_t *when_r);

/* --- a connection ---------------------------------------------------------- */

struct site *site_conn_site(const struct site_conn *conn);

/* The transport is there (TCP). */
void site_conn_connected(struct site_conn *conn, uint64_t now_ms);
/* The session is ready for its first transaction: the host is well. */
void site_conn_ready(struct site_conn *conn, uint64_t now_ms);

enum site_next {
	SITE_TAKE, /* begin a transaction, if sched_next() has one */
	SITE_KEEP, /* stay; ask again at *when_r or when a task comes */
	SITE_CLOSE /* say QUIT and close */
};
/*
 * What may this session do next?  Ready sessions only.  load->waiting == 0
 * never gives TAKE.  May be asked while a transaction is in flight, to group
 * one more behind it; CLOSE then means: not after this one.
 */
enum site_next site_conn_next(struct site_conn *conn,
			      const struct site_load *load, uint64_t now_ms,
			      uint64_t *when_r);
/* How many transactions may still begin on it (messages per session). */
uint32_t site_conn_left(const struct site_conn *conn);
/* Has it carried a message (for plan_ask.session_carried)? */
bool site_conn_carried(const struct site_conn *conn);
/* It is used soon: have the processor fetch it; then what it leads to, each
 * step reading what the one before has had fetched. */
void site_conn_expect(const struct site_conn *conn);
void site_conn_expect_addr(const struct site_conn *conn);
void site_conn_expect_health(const struct site_conn *conn);

/* Its host does not take such mail: what of it is too much, the rest 0. */
void site_conn_refuses(struct site_conn *conn, const struct site_need *need,
		       uint64_t now_ms);
/* Might this session take it, as far as is known? */
bool site_conn_fits(const struct site_conn *conn, const struct site_need *need,
		    uint64_t now_ms);

/*
 * The host spoke out of turn, or nonsense (SMTP.md 3, 19): no grouping towards
 * its address for 24 h from now, by any session of any site of this table.
 */
void site_conn_distrust(struct site_conn *conn, uint64_t now_ms);
bool site_conn_trusted(const struct site_conn *conn, uint64_t now_ms);

/*
 * Rule 19: what the server offers; tell it when the session is ready, and again
 * after each EHLO.
 */
void site_conn_offers(struct site_conn *conn, bool pipelining, bool chunking);
/*
 * May a transaction be grouped behind the one in flight?  Only where
 * PIPELINING is offered, a message was carried, the address is trusted, and it
 * has earned it by whole groups of one session: the first that asks.
 */
bool site_conn_may_group(struct site_conn *conn, uint64_t now_ms);
/* So many groups of this session have come out whole by now. */
void site_conn_grouped(struct site_conn *conn, uint32_t groups);
/*
 * The connection has ended within a group, in a way that rule 19 (c) can read.
 * When no group to this address has ever come out whole: no grouping for 24 h,
 * and site_conn_close() learns no messages per session from it.
 */
void site_conn_group_broke(struct site_conn *conn, uint64_t now_ms);

/*
 * Rule 20: may the next mail go by BDAT?  Only where CHUNKING is offered and
 * the address is trusted; by AUTO one session tries first.
 */
bool site_conn_may_chunk(struct site_conn *conn, uint64_t now_ms);
/* So many messages of this session were taken as chunks by now. */
void site_conn_chunked(struct site_conn *conn, uint32_t chunks);
/*
 * Rule 20: how many messages may be on their way at once in a session with this
 * host: 1, and one more for each time that as many came out whole, over all
 * its sessions; chunks_ahead at most.  Nonsense begins anew.
 */
uint32_t site_conn_ahead(const struct site_conn *conn, uint64_t now_ms);
/* So many of this session came out whole by now (smtp_info.flights). */
void site_conn_flew(struct site_conn *conn, uint32_t flights);
/* It offers CHUNKING and does not know BDAT: no chunks for 24 h. */
void site_conn_no_chunks(struct site_conn *conn, uint64_t now_ms);

/* A transaction begins (MAIL goes out); several may be in flight. */
void site_conn_begin(struct site_conn *conn, uint64_t now_ms);
/* The oldest one has ended.  carried: its dot was answered 2yz. */
void site_conn_end(struct site_conn *conn, bool carried, uint64_t now_ms);

/*
 * A verdict within a transaction: classify it and let it act on what its
 * scope names (window, rate, pause; nothing for recipient and message).
 * SCOPE_TENANT is the caller's: sched_flow_park() for class_r->pause_s.
 * SCOPE_SESSION at MAIL, when transactions were carried: learned as by
 * site_conn_close(), and nothing is left to this connection.
 * Cheap for SMTP_ACCEPTED.  Verdicts of one connection may be told before or
 * after site_conn_end(), but before site_conn_close().
 */
void site_conn_verdict(struct site_conn *conn,
		       const struct smtp_verdict *verdict, uint64_t now_ms,
		       struct reply_class *class_r);

/*
 * The connection is gone; clears the pointer.  verdict says why, NULL that we
 * ended it (QUIT, stop).  Its stage decides:
 *	CONNECT..STARTTLS  the host's failure (rule 9), unless the reply is
 *	                   about connections or rate: then the window's
 *	MAIL, code 0 or 421, transactions carried: the server's limit of
 *	                   messages per session (rule 5): learned, no penalty
 *	MAIL, nothing carried, a transaction refused: nobody's failure; some
 *	                   servers hang up after a refusal
 *	MAIL, nothing carried: the host's failure
 *	NONE, QUIT, RSET   nobody's failure (give NULL for a session that the
 *	                   server ended while it was idle)
 *	RCPT and later     its class's scope
 * class_r (NULL allowed) gets the class, for the events.
 */
void site_conn_close(struct site_conn **conn,
		     const struct smtp_verdict *verdict, uint64_t now_ms,
		     struct reply_class *class_r);

/*
 * The connection could not be tried for a reason of our own (no way out to
 * this address, no local port): nobody is blamed, and its health stays what it
 * is.  This address is left alone for a second, twice as long after each such
 * failure in a row, a minute at most; meanwhile the site uses its others.
 * Clears the pointer; says when the address may be tried again.
 */
uint64_t site_conn_unmade(struct site_conn **conn, uint64_t now_ms);

/* --- for people ------------------------------------------------------------ */

/* What keeps a site from opening one more session. */
enum site_limit {
	SITE_LIMIT_NONE,     /* nothing */
	SITE_LIMIT_LOAD,     /* no task waits, or the sessions suffice */
	SITE_LIMIT_OPERATOR, /* an operator's pause */
	SITE_LIMIT_TABLE,    /* connections of all sites of the table */
	SITE_LIMIT_CROWDED,  /* no more than now, after "too many" */
	SITE_LIMIT_REPLY,    /* a pause that a reply asked for */
	SITE_LIMIT_RATE,     /* messages per second */
	SITE_LIMIT_DEAD,     /* every host is bad: parked */
	SITE_LIMIT_PROBE,    /* ... and the one probe is out */
	SITE_LIMIT_WINDOW,   /* connections to the site */
	SITE_LIMIT_HOST,     /* connections to each of its hosts */
	SITE_LIMIT_CONNECTS, /* connects per second */
	SITE_LIMIT_OURS,     /* site_conn_unmade() of every host */
	SITE_LIMIT_STEP,     /* more at the next step: site_table_step() */
	SITE_LIMIT_WORKER,   /* the worker is saturated */
	SITE_LIMIT_COUNT
};
/* As site_want(), which it changes nothing for.  *until_ms_r is when time
 * alone may end it, or SITE_NEVER. */
enum site_limit site_limit(struct site *site, const struct site_load *load,
			   uint64_t now_ms, uint64_t *until_ms_r);
/* "window": stable; and a phrase for people. */
const char *site_limit_name(enum site_limit limit);
const char *site_limit_words(enum site_limit limit);

struct site_info {
	const char *name;
	uint32_t addresses, addresses_bad;
	uint32_t connecting, sessions; /* not yet ready; ready */
	uint32_t busy;                 /* of the sessions, in a transaction */
	uint32_t window;               /* connections allowed now */
	uint32_t per_second;           /* messages; 0: no limit */
	uint32_t messages;             /* a session, learned or set (least) */
	bool dead, paused;
	uint64_t until_ms;      /* dead or slowed until; 0 */
	char why[SITE_WHY_MAX]; /* the last reply that slowed or parked it; "" */
};
void site_describe(const struct site *site, uint64_t now_ms,
		   struct site_info *info_r);

struct site_host_info {
	const char *host; /* borrowed, as why, until the site changes */
	struct mx_addr addr;
	uint16_t preference;
	bool listed;              /* in the newest set of MX hosts */
	const char *health;       /* "unknown", "well", "bad": stable */
	uint64_t until_ms;        /* bad: the next probe; else 0 */
	uint64_t hold_ms;         /* no more connections before; 0 */
	uint32_t conns, sessions; /* all; of them ready */
	uint32_t window;          /* connections allowed */
	uint32_t messages;        /* a session, as learned; 0: not learned */
	/* Rule 19: "off", "unknown", "not-offered", "trying", "grouped",
	 * "distrusted": stable; and until when distrusted, else 0. */
	const char *grouping;
	uint64_t grouping_ms;
	/* Rule 20: likewise; "chunked" instead of "grouped". */
	const char *chunking;
	uint64_t chunking_ms;
	uint32_t ahead;  /* site_conn_ahead(), were it asked */
	const char *why; /* its last refusal or failure; "" */
	uint64_t why_ms; /* when that was */
};
/* The n-th address of the site; false: it has no more. */
bool site_host(const struct site *site, uint32_t n, uint64_t now_ms,
	       struct site_host_info *info_r);
/* Connections allowed now. */
uint32_t site_window(const struct site *site);
/* Walk the table: *at starts at 0; NULL at the end; no changes meanwhile. */
struct site *site_table_walk(const struct site_table *table, size_t *at);

#endif
