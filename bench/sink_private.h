#ifndef MTAQ_BENCH_SINK_PRIVATE_H
#define MTAQ_BENCH_SINK_PRIVATE_H

/*
 * The parts of a running sink.  sink_loop.c moves octets, sink_out.c holds
 * replies back until they are due, sink_smtp.c and sink_mail.c decide what
 * is said, sink_dns.c answers for names.
 */
#include "base/buf.h"
#include "base/heap.h"
#include "base/list.h"
#include "bench/sink_config.h"
#include "bench/sink_content.h"
#include "bench/sink_fault.h"
#include "bench/sink_ledger.h"
#include "bench/sink_stats.h"

#define SINK_LINE_MAX    4096u      /* a command line; 512 by RFC 5321 */
#define SINK_OUT_MAX     (1u << 20) /* replies that nobody fetches */
#define SINK_SENDER_MAX  320u       /* local part, @, domain */
#define SINK_RCPTS_BYTES (1u << 20) /* recipients of one transaction */

/* What the next octets of a session are. */
enum sink_phase {
	SINK_PHASE_COMMAND, /* a command line */
	SINK_PHASE_SKIP,    /* the rest of a line that was too long */
	SINK_PHASE_DATA,    /* content up to the final dot */
	SINK_PHASE_BDAT,    /* bdat_left octets */
	SINK_PHASE_DEAF,    /* thrown away: hung, or about to close */
};

/* The mail transaction, RFC 5321 section 3.3. */
enum sink_mail {
	SINK_MAIL_NONE,
	SINK_MAIL_REFUSED, /* MAIL was; what follows is refused with it */
	SINK_MAIL_OPEN,    /* MAIL was accepted */
	SINK_MAIL_CHUNKS,  /* BDAT has begun */
	SINK_MAIL_BROKEN,  /* a chunk was refused; only RSET helps */
};

struct sink_loop;

/* Replies that wait together for their time. */
struct sink_due {
	uint64_t at_us;
	size_t octets;
};

struct sink_out {
	struct buf octets;
	size_t sent;          /* of octets, at their front */
	struct sink_due *due; /* own; a queue of what is not yet ready */
	size_t due_first, due_count, due_size;
	size_t ready; /* octets behind `sent` that may leave */
};

struct sink_session {
	int kind; /* SINK_SOURCE_SESSION; first, for epoll */
	int fd;
	struct sink_loop *loop;
	struct sink_address *address;
	struct list open, dirty;
	struct heap_node timer;
	uint64_t id, seen_us, tick_us, commands, messages;

	struct sink_out out;
	bool close_wanted; /* when all is sent */
	bool finished;     /* our side is shut; waiting for theirs */
	bool reset;        /* end it with RST */
	bool tarpit, hello, esmtp, greeted_badly;
	bool want_write; /* epoll watches for room */
	uint32_t delay_ms;

	enum sink_phase phase;
	struct buf line; /* a command that has not come whole */

	enum sink_mail mail;
	uint64_t transaction;
	int mail_class; /* 4 or 5 when MAIL was refused */
	bool smtputf8;
	const char *mail_code;
	char sender[SINK_SENDER_MAX];
	uint16_t sender_len;
	uint32_t rcpt_count;
	struct buf rcpts; /* each: 2 octets of length, then the address */
	uint64_t bdat_left;
	int bdat_class; /* 4 or 5: the chunk is refused; see sink_body.c */
	bool bdat_last, body_begun;
	struct sink_content content;
};

enum sink_source {
	SINK_SOURCE_LISTENER,
	SINK_SOURCE_SESSION,
	SINK_SOURCE_STOP,
};

/* What all threads share. */
struct sink {
	struct sink_config config;
	struct sink_memory *memory;
	int ledger_fd, stop_fd;
	_Atomic uint64_t sessions, transactions; /* the last number given */
	_Atomic uint64_t open, peak;
};

struct sink_loop {
	struct sink *sink;
	const struct sink_config *config;
	struct sink_stats stats;
	struct sink_ledger ledger;
	struct list open, dirty;
	struct heap timers;
	struct sink_listener *listeners;
	int epoll_fd, spare_fd;
	uint64_t now_us;
	char *inbox; /* what one recv() brought */
};

uint64_t sink_now_us(void);

/* sink_loop.c: create (listening sockets included), run until stop_fd is
 * readable, free.  0 or a negative errno after saying what failed. */
int sink_loop_open(struct sink_loop *l, struct sink *s);
int sink_loop_run(struct sink_loop *l);
void sink_loop_close(struct sink_loop *l);

/* sink_out.c: replies on their way. */
void sink_out_init(struct sink_out *o);
void sink_out_free(struct sink_out *o);
/* Behind all others, not before at_us (0: at once).  0 or negative errno. */
int sink_out_add(struct sink_out *o, struct span text, uint64_t at_us);
/* Move what is due by now to `ready`; when the next is due, or 0. */
uint64_t sink_out_ripen(struct sink_out *o, uint64_t now_us);
void sink_out_sent(struct sink_out *o, size_t n);
static inline bool sink_out_empty(const struct sink_out *o)
{
	return o->sent == o->octets.len;
}

/* sink_smtp.c: a connection has come; octets have come. */
void sink_smtp_greet(struct sink_session *s);
void sink_smtp_feed(struct sink_session *s, const char *p, size_t n);
/* Say a reply.  False when a trick kept it from being said. */
bool sink_say(struct sink_session *s, enum sink_stage stage,
	      struct sink_words words);
void sink_say_plain(struct sink_session *s, const char *code,
		    const char *enhanced, const char *text);
bool sink_say_refusal(struct sink_session *s, enum sink_stage stage, int class,
		      struct sink_words words);
bool sink_say_text(struct sink_session *s, enum sink_stage stage,
		   struct span text);
/* Does this trick happen now?  Counts it. */
bool sink_trick_now(struct sink_session *s, enum sink_trick trick,
		    enum sink_stage stage);
/* Say nothing more; close when what was said has left. */
void sink_end(struct sink_session *s);
/* The same without a word, as --drop and --reset have it. */
void sink_drop(struct sink_session *s);
/* As sink_say_plain, and counted as the client's mistake. */
void sink_say_bad(struct sink_session *s, const char *code,
		  const char *enhanced, const char *text);

/* sink_mail.c: the commands of a transaction; arg is behind the verb. */
void sink_mail_from(struct sink_session *s, struct span arg);
void sink_rcpt_to(struct sink_session *s, struct span arg);
void sink_mail_reset(struct sink_session *s);

/* sink_body.c: the content and its end. */
void sink_data(struct sink_session *s, struct span arg);
void sink_bdat(struct sink_session *s, struct span arg);
size_t sink_body_feed(struct sink_session *s, const char *p, size_t n);
/* A line of the ledger for each recipient of the transaction. */
void sink_record_all(struct sink_session *s, enum sink_kind kind,
		     const char *stage, const char *code);
void sink_record(struct sink_session *s, enum sink_kind kind,
		 struct span recipient, const char *stage, const char *code);

/* sink_dns.c: the answer to a query, of at most SINK_DNS_ROOM octets and by
 * UDP no more than the query allows.  0: say nothing. */
#define SINK_DNS_ROOM 65535u
size_t sink_dns_answer(const struct sink_config *c, const uint8_t *query,
		       size_t len, bool tcp, uint8_t *answer);
/* sink_dnsd.c: bind (the port may be 0 and is then filled in), and a
 * thread's main that serves until stop_fd is readable. */
struct sink_dnsd {
	struct sink *sink;
	struct sink_stats stats;
	int udp_fd, tcp_fd;
};
int sink_dnsd_open(struct sink_dnsd *d, struct sink *s);
void sink_dnsd_run(struct sink_dnsd *d);
void sink_dnsd_close(struct sink_dnsd *d);

#endif
