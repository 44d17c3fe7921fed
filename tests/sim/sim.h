#ifndef MTAQ_TESTS_SIM_H
#define MTAQ_TESTS_SIM_H

/*
 * The simulator: the engine's threads, a turn at a time, in one thread, under
 * a clock, a network, a disk and name servers that a seed decides.
 *
 *	main.c    seeds, as many at once as there are cores
 *	seed.c    one of them: lives one after the other, crashes between them
 *	life.c    one life in a forked child: the engine's parts, who has a turn
 *	disk.c    the disk of segments: what was synced, what was not
 *	index.c   the index's file: what LMDB writes, without the kernel
 *	net.c     a back end of io.h: connections to servers in memory
 *	server.c  a mail server that does what servers do, and worse
 *	client.c  submissions: lend, be answered, come again after a crash
 *	names.c   the resolver's place: answers about domains
 *	ledger.c  the oracle: what was promised, what was taken, what was said
 *
 * What outlives a crash lies in `world`, in memory shared by all lives.
 */
#include "base/bug.h"
#include "engine/engine_private.h"
#include "io/io.h"
#include "queue/file.h"

#include <stdnoreturn.h>

#define SLOTS    (1u << 16) /* messages that the ledger knows at most */
#define RCPTS    8u         /* of one message */
#define SITES    32u
#define HOSTS    3u
#define DOMAINS  256u
#define SUBS     48u /* submissions at once */
#define SUB_OPEN 16u /* unanswered of one */
#define WORKERS  3u
#define LIVES    64u /* lives whose repeats are remembered */
#define FILES    1024u
#define NOBODY   UINT32_MAX

/* --- the world ----------------------------------------------------------- */

enum msg_state {
	MSG_NONE,
	MSG_LENT,
	MSG_ACKED,
	MSG_DONE
};

struct rcpt {
	uint16_t domain;
	uint8_t final;   /* enum queue_state, 0: open */
	bool took, told; /* a server took it and said so; and that was read */
	bool refused;    /* a server said 5yz */
	bool lied;       /* by a server that gave a reply too many */
	uint8_t teller;  /* of its mail's answer, not yet durable: worker + 1 */
	uint32_t life;   /* in which it was told */
	uint32_t conn;   /* that carries it, and in which life */
	uint32_t conn_life;
};

/* What most messages need is in one line of the processor's cache: they are
 * met in no order. */
struct msg {
	uint64_t n, number, id, lsn; /* lsn: of its record, 0: none seen */
	uint32_t sub, expires_s;
	uint8_t state, open, count;
	bool transactional;
	struct rcpt rcpt[RCPTS];
} __attribute__((aligned(64)));
_Static_assert(offsetof(struct msg, rcpt[1]) == 64, "see above");

struct sub { /* a submission */
	uint8_t id[16];
	uint64_t next;
	uint32_t serial, left, count; /* count of open[], oldest first */
	uint32_t open[SUB_OPEN];
};

struct life_sum { /* what a crash may cost */
	uint64_t allowed, repeats;
};

struct plan { /* what the seed says of this run */
	uint32_t workers, segment_bytes, ahead, cap, connections, site_conns;
	uint32_t messages, tasks, age_s, open_max, sync_us, retry_s;
	uint32_t checkpoint_s, points, fault, rate_us, burst;
	uint32_t grain_us, turn_us, late_us, slots;
	uint32_t idle_ms, domains; /* of more the store forgets some soon */
	bool uniform;              /* records of one kind have one length */
};

struct counts {
	uint64_t seeds, accepted, recipients, ended[8], taken, repeats;
	uint64_t crashes[3], lives, syncs, sync_points, turns, events,
		virtual_us, connections;
	uint64_t replayed, said_bad;
};

struct world {
	uint64_t seed, rng, now_us;
	uint32_t life, boot;
	bool calm, failed;
	char words[600];
	struct plan plan;
	struct counts count;
	uint64_t event_lsn, done_lsn, acked_lsn, numbers;
	uint64_t started_us; /* of this life */
	uint32_t open_msgs;
	uint64_t open_rcpts;             /* of messages whose record was seen */
	bool no_domain[DOMAINS];         /* was said to take no mail */
	uint32_t free_first, free_count; /* a ring of slots */
	struct life_sum lives[LIVES];
	struct sub subs[SUBS];
	uint32_t free_slots[SLOTS];
	struct msg msgs[SLOTS];
};
extern struct world *world;

/* --- seed.c --------------------------------------------------------------- */

struct seed_bounds {
	uint64_t messages, lives; /* so many, then calm */
	const atomic_bool *over;  /* stop: it does not matter any more */
};
/* False: an invariant broke, and it was told. */
bool seed_play(uint64_t seed, const struct seed_bounds *b, struct counts *sum);
void counts_add(struct counts *sum, const struct counts *c);
/* Memory of all lives; zeros, and never given back. */
void *sim_shared(size_t len);
uint64_t sim_random(void);
static inline uint64_t below(uint64_t n)
{
	return sim_random() % n;
}
/* n in so many digits, and what is behind them. */
static inline char *digits(char *p, uint64_t n, unsigned count)
{
	unsigned i;

	for (i = count; i-- > 0; n /= 10)
		p[i] = (char)('0' + n % 10);
	return p + count;
}
/* Of a thousand. */
static inline bool chance(uint32_t n)
{
	return sim_random() % 1000 < n;
}
/* 1..max, small ones as often as large ones. */
uint64_t some(uint64_t max);
noreturn void sim_fail(const char *invariant, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* --- disk.c --------------------------------------------------------------- */

void disk_new(uint32_t segment_bytes);
const struct queue_file_ops *disk_sim(void);
/* The power goes (or only the process: keep). */
void disk_crash(bool keep);

/* --- life.c --------------------------------------------------------------- */

void life_new(void); /* once, for all lives */
/* Run until the crash; never returns. */
noreturn void life_run(const char *dir);
/* A moment at which a crash is interesting. */
void life_point(void);
void life_head_point(void); /* a segment's header is being synced */
/* Give the ledger all that is durable. */
void life_follow(void);
/* us pass, in which the other threads have turns. */
void life_pass(uint64_t us);
#define LIFE_ENDED 40 /* exit code of who ended so; a sanitizer's is 1 */
noreturn void life_end(int how); /* 0 stopped, 1 killed, 2 power cut */

struct sim_thread {
	struct io io; /* so that a bell can ring it */
	bool woken, busy;
	uint64_t due_us;
	unsigned kind, number;
};

struct life {
	struct settings set;
	struct clock clock;
	struct queue *queue;
	struct logger logger;
	struct storer storer;
	struct resolver resolver;
	struct worker workers[WORKERS];
	struct lane asks[WORKERS], asks_back[WORKERS], traces[WORKERS];
	struct ours ours;
	struct bell control, ingress, report;
	struct sim_thread threads[5 + WORKERS];
	unsigned thread_count;
	uint64_t points, end_point, end_turn, heads, end_head;
	struct queue_cursor *cursor;
	bool stopping, quiet;
	uint32_t stopped;
};
extern struct life life;

/* --- net.c ----------------------------------------------------------------- */

enum sim_event_type {
	EV_CONNECT, /* is answered */
	EV_SEND,    /* what was lent is taken */
	EV_DELIVER, /* octets of the server come */
	EV_END,     /* the server closes */
	EV_NAME     /* an answer of the resolver */
};

struct sim_event {
	uint32_t type, conn, gen, value;
};
void event_add(uint64_t in_us, enum sim_event_type type, uint32_t conn,
	       uint32_t gen, uint32_t value);
bool event_next_us(uint64_t *at_us_r);
/* Do what is due. */
void events_do(void);

/* The server's side. */
void net_reply(uint32_t conn, const char *p, size_t len, uint64_t delay_us);
/* The mails taken so far are told when all said so far has been read. */
void net_end(uint32_t conn, bool reset, uint64_t delay_us);
bool net_ready(unsigned worker);
void net_used(uint32_t conn); /* a MAIL has come */
uint32_t net_open_of(unsigned worker);
unsigned net_worker(uint32_t conn);
void net_sees(uint32_t conn); /* server_sees() what is being sent */
/* Is the client's side open, with nothing said that it has not read? */
bool net_alive(uint32_t conn);
uint64_t net_said(uint32_t conn); /* octets so far */

/* --- server.c --------------------------------------------------------------- */

enum connect_answer {
	CONNECT_OK,
	CONNECT_REFUSED,
	CONNECT_SILENT
};
enum connect_answer server_connect(uint32_t site, uint32_t host);
struct server;
struct server *server_new(uint32_t conn, uint32_t site);
void server_free(struct server **s);
void server_input(struct server *s, const char *p, size_t len);
void server_sees(struct server *s, const struct iovec *iov, size_t count);
/* The client has read so many octets, or has gone. */
void server_read(struct server *s, uint64_t octets);
void server_gone(struct server *s);
bool server_reads(const struct server *s);

/* --- client.c --------------------------------------------------------------- */

void client_new(void); /* once, for all lives */
void client_open(void);
void client_turn(void);
/* The content of message n: a line of its own and a piece of the common text. */
#define CONTENT_HEAD 31u /* "Subject: ", 20 digits, CR LF */
struct content {
	char head[CONTENT_HEAD];
	size_t head_len, len;
	const char *rest;
};
void content_of(uint64_t n, struct content *c_r);

/* --- names.c ---------------------------------------------------------------- */

void names_open(void);
void names_turn(void);
void names_answer(uint32_t number, uint32_t domain);

/* --- ledger.c --------------------------------------------------------------- */

void ledger_new(void);
uint32_t ledger_take_slot(void);
void ledger_answer(uint32_t slot, uint64_t id);
/* "s12n345k0" of an address: NULL when it is no message of ours. */
struct rcpt *ledger_rcpt(struct span address, uint32_t *slot_r);
void ledger_carry(struct span address, uint32_t conn, uint32_t *slot_r,
		  uint32_t *k_r);
void ledger_leave(uint32_t slot, uint32_t k, uint32_t conn);
/* A server took it.  NOBODY, or the life whose crash explains that it came
 * once more; say that once a mail with ledger_repeat(). */
uint32_t ledger_took(uint32_t slot, uint32_t k);
void ledger_repeat(uint32_t in_life);
void ledger_told(uint32_t slot, uint32_t k);
/* So was the answer to the mail that this was the first recipient of. */
void ledger_told_mail(uint32_t slot, uint32_t k, unsigned worker);
/* So many sessions has a worker now. */
void ledger_sessions(unsigned worker, uint32_t count);
/* Mails that a crash now may repeat although they were answered. */
uint64_t ledger_allowed(void);
void ledger_record(const struct queue_record *rec);
/* Behind a start: what was promised is durable; then, when all records have
 * been read: is in the queue exactly once (if not whole, only counted, unless
 * the counts differ). */
void ledger_opened(struct queue *q);
void ledger_compare(struct queue *q, bool whole);
/* Nothing is queued past its age limit. */
void ledger_ages(void);

#endif
