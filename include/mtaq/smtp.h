#ifndef MTAQ_SMTP_H
#define MTAQ_SMTP_H

/*
 * The SMTP client protocol, without I/O.
 *
 * An smtp_session is one conversation with one mail server.  It owns no
 * socket, reads no clock, starts no thread and logs nothing.  The caller
 * carries octets both ways, tells it the time, and takes what happened as
 * events:
 *
 *	peer's octets -> smtp_session_input()  -> smtp_session_event()
 *	our octets    <- smtp_session_output() <- smtp_session_mail()
 *
 * The caller's turn, after anything happened: pull events until there are
 * none; give the next mail if smtp_session_room() has room; take output until
 * it gives none; arm a timer for smtp_session_deadline().
 *
 * Two promises, both tested: the same calls give the same answers, and the
 * places where the network cut the peer's octets never change the outcome
 * (except that what stands behind an answer which must be the last one, as
 * after STARTTLS, is seen at once or at the next call).
 *
 * A session and its pool belong to one thread.  An idle session holds no
 * buffers: those are taken from the pool while a mail, a batch or a reply is
 * under way.  After the pool has warmed up nothing is allocated.
 *
 * RFC 5321 (SMTP), 2920 (PIPELINING), 3207 (STARTTLS), 1870 (SIZE), 6152
 * (8BITMIME), 6531 (SMTPUTF8), 3461 (DSN), 3463 and 2034 (enhanced codes),
 * 9422 (LIMITS).  Rule numbers are those of docs/SMTP.md.
 */
#include "base/span.h"
#include "mtaq/outcome.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct smtp_session;
struct smtp_pool;

#define SMTP_NEVER           UINT64_MAX /* "no deadline" */
#define SMTP_IOV_MAX         32    /* most pieces that one batch can have */
#define SMTP_OUT_MIN         16384 /* smallest limit for one batch, octets */
#define SMTP_COMMAND_MAX     2048  /* longest command we write, with CRLF */
#define SMTP_GROUP_RCPTS_MAX 32    /* recipients of a mail behind a dot */
#define SMTP_AHEAD_MAX       20    /* mails on their way in one session */

enum smtp_tls_mode {
	SMTP_TLS_OFF, /* never ask for STARTTLS */
	SMTP_TLS_MAY, /* use it when the server offers it */
	SMTP_TLS_MUST /* without it give up this host */
};

/* Rule 24: what to do with 8-bit content when 8BITMIME is not offered. */
enum smtp_eightbit {
	SMTP_EIGHTBIT_SEND,  /* send the octets as they are, without BODY= */
	SMTP_EIGHTBIT_BOUNCE /* smtp_session_mail() says -EILSEQ */
};

/* Rule 10.  0 means the default. */
struct smtp_timeouts {
	uint32_t greeting_ms;  /* 300 s */
	uint32_t ehlo_ms;      /* 300 s */
	uint32_t starttls_ms;  /* 120 s, for the answer to the command */
	uint32_t handshake_ms; /* 60 s */
	uint32_t mail_ms;      /* 300 s */
	uint32_t rcpt_ms;      /* 300 s */
	uint32_t data_ms;      /* 120 s */
	uint32_t flush_ms;     /* 180 s for each batch to leave */
	uint32_t eod_ms;       /* 600 s; shorter ones make duplicates */
	uint32_t rset_ms;      /* 60 s */
	uint32_t quit_ms;      /* 10 s */
	uint32_t session_ms;   /* 1 h for the whole session; never cuts the
				* wait for the answer to a dot */
};

/* Borrowed for the session's life; many sessions may share one. */
struct smtp_settings {
	struct span hostname; /* EHLO name: FQDN or address literal */
	enum smtp_tls_mode tls;
	enum smtp_eightbit eightbit;
	bool pipelining; /* false: one command at a time, whatever is offered */
	bool grouping;   /* rule 19; see _room(), _set_grouping() */
	bool chunking;   /* rule 20; see _set_chunking() */
	struct smtp_timeouts timeouts;
};

/* Mail flags. */
#define SMTP_MAIL_8BIT 0x01u /* content has octets over 127 */
#define SMTP_MAIL_UTF8 0x02u /* an address needs SMTPUTF8 (RFC 6531) */
#define SMTP_MAIL_DOTS 0x04u /* a line of the content may begin with a dot */

struct smtp_rcpt {
	struct span address; /* without <> */
	/* Wire words, each with a blank before it (" NOTIFY=NEVER"), or
	 * empty.  Sent only when DSN is offered. */
	struct span params;
};

/*
 * One mail.  The struct itself is copied; everything it points to is lent
 * from smtp_session_mail() until SMTP_EV_MAIL_DONE.
 */
struct smtp_mail {
	uint64_t tag;       /* the caller's; comes back in events */
	struct span sender; /* without <>; empty is the null sender */
	struct span params; /* " RET=HDRS ENVID=x" or empty; as above */
	const struct smtp_rcpt *rcpts;
	uint32_t rcpt_count; /* at least 1 */
	uint32_t flags;
	/* Canonical octets: CRLF lines, the last one ended, dots not doubled
	 * (that happens on the way out).  Pieces may be cut anywhere. */
	const struct iovec *content;
	uint32_t content_count;
	uint64_t content_bytes; /* the sum of the pieces; SIZE= says this */
};

enum smtp_event_type {
	SMTP_EV_RCPT,      /* one recipient is settled: .tag .rcpt .verdict */
	SMTP_EV_MAIL_DONE, /* .tag: nothing of this mail is lent any more */
	SMTP_EV_TLS,       /* run a TLS handshake, then _tls_done() */
	SMTP_EV_READY,     /* no mail is in progress: _mail() or _quit() */
	SMTP_EV_CLOSE      /* close the connection: .verdict says why */
};

/*
 * Every recipient of a mail that was taken gets exactly one SMTP_EV_RCPT,
 * then the mail one SMTP_EV_MAIL_DONE.  Results:
 *
 *	ACCEPTED  the dot's answer was 2yz and is final (rules 17, 19)
 *	DEFERRED  4yz; with code 421 the session closes as well: at stage MAIL
 *	          that is the host's or the session's affair (rules 5, 9)
 *	REJECTED  5yz
 *	AGAIN     rule 14, too many recipients: next transaction, same
 *	          session; how often in a row is for the caller to count
 *	LOST      no usable answer; the server cannot have the mail.  At stage
 *	          MAIL nothing came of the transaction at all
 *	UNSURE    the dot had been lent and its answer did not come or cannot
 *	          be trusted
 *
 * SMTP_EV_CLOSE is the last event.  Its verdict: stage says where, result
 * ACCEPTED after QUIT's answer, DEFERRED or REJECTED with the server's words,
 * LOST when the connection broke, UNSURE when a mail became unsure.
 */
struct smtp_event {
	enum smtp_event_type type;
	uint64_t tag;
	uint32_t rcpt; /* index into smtp_mail.rcpts */
	/* Its text lives until the next call on this session. */
	struct smtp_verdict verdict;

	/* SMTP_EV_CLOSE only */
	uint32_t carried; /* mails whose dot was answered 2yz (rules 5, 9) */
	bool idle;        /* no mail in progress: nobody's failure (rule 5) */
	bool distrust;    /* rules 3, 19: it spoke out of turn or nonsense; no
			   * grouping towards this host for 24 h */
	bool in_group;    /* within a group, whose first mail is final by
			   * rule 19 (c): perhaps it dislikes groups */
	bool no_chunks;   /* rule 20: it offers CHUNKING and does not know
			   * BDAT; the mail was LOST at stage MAIL */
};

/* What the server offers and the session has done; for logs and sites. */
#define SMTP_CAP_PIPELINING 0x001u
#define SMTP_CAP_STARTTLS   0x002u
#define SMTP_CAP_8BITMIME   0x004u
#define SMTP_CAP_SMTPUTF8   0x008u
#define SMTP_CAP_SIZE       0x010u
#define SMTP_CAP_DSN        0x020u
#define SMTP_CAP_CHUNKING   0x040u
#define SMTP_CAP_LIMITS     0x080u
#define SMTP_CAP_ENHANCED   0x100u

struct smtp_info {
	uint32_t caps;        /* of the last EHLO; 0 after HELO */
	uint64_t size_max;    /* SIZE; 0 is no limit told */
	uint32_t rcpts_max;   /* LIMITS RCPTMAX; 0 is none told */
	uint32_t mails_max;   /* LIMITS MAILMAX; 0 is none told */
	uint32_t carried;     /* mails whose dot was answered 2yz */
	uint32_t groups;      /* groups (rule 19) that came out whole */
	uint32_t chunks;      /* messages taken as a chunk (rule 20) */
	uint32_t flights;     /* mails that flew, whose answers came whole */
	uint32_t odd_replies; /* replies with several codes (rule 1) */
	bool tls;
};

/*
 * Memory that the sessions of one thread share.  rcpts_max is the most
 * recipients that one mail can have.  NULL when out of memory.
 */
struct smtp_pool *smtp_pool_new(uint32_t rcpts_max);
/* Frees *pool and sets it to NULL; all its sessions are gone by then. */
void smtp_pool_free(struct smtp_pool **pool);

/*
 * A session on a connection that was just made: the server speaks first.
 * Borrows set and pool for its life.  NULL when out of memory.
 */
struct smtp_session *smtp_session_new(const struct smtp_settings *set,
				      struct smtp_pool *pool, uint64_t now_ms);
/*
 * Frees *session and sets it to NULL; NULL is allowed.  No batch may be lent
 * (the kernel could still be reading it).  Mails in progress are forgotten
 * without events: read SMTP_EV_CLOSE first.
 */
void smtp_session_free(struct smtp_session **session);

/*
 * Take octets from the peer.  Stops behind one whole reply, so that its
 * events can be read; returns how many octets were used (all of them once
 * the session is closed).  Read all events before the next call.
 */
size_t smtp_session_input(struct smtp_session *session, const void *data,
			  size_t len, uint64_t now_ms);
/* The peer closed, or the transport failed. */
void smtp_session_eof(struct smtp_session *session);
/* Time has passed.  Call at or after smtp_session_deadline(). */
void smtp_session_tick(struct smtp_session *session, uint64_t now_ms);
/*
 * The handshake asked for by SMTP_EV_TLS has ended.  When it failed, the
 * session closes (verdict LOST, stage STARTTLS).  Clear octets that came
 * behind the 220 must go to smtp_session_input(), which then closes (rule 27).
 */
void smtp_session_tls_done(struct smtp_session *session, bool established,
			   uint64_t now_ms);

/*
 * Take the next batch to send: at most limit octets (limit is at least
 * SMTP_OUT_MIN) in up to SMTP_IOV_MAX pieces; returns how many pieces, 0 when
 * there is nothing to send now, events wait, or memory is out (ask again; the
 * deadline ends the session if it stays away).  The batch is lent to the
 * transport until smtp_session_sent(); before that there is no other batch.
 * Short writes are the transport's affair.
 *
 * pending_input: the caller knows of octets from the peer that it has not yet
 * given to smtp_session_input().  Then the dot stays back (the rest goes):
 * give them first and ask again.  What was said before our dot left cannot be
 * the answer to it (rules 18 and 19).
 */
int smtp_session_output(struct smtp_session *session, struct iovec *iov,
			size_t limit, bool pending_input, uint64_t now_ms);
/* May the next batch hold a dot?  Then it is worth asking what has come from
 * the peer, for pending_input. */
bool smtp_session_dot_next(const struct smtp_session *session);
/* Does the next batch ask something while no answer is owed?  Then not before
 * all that came was given: it would be taken for the answer (rule 3). */
bool smtp_session_asks(const struct smtp_session *session);
/*
 * Have some answers of a group come and not all, or of a flight or the proof
 * that comes before?  Then the rest may wait, by
 * Nagle's rule on the server's side, until our TCP has acknowledged the first:
 * worth doing now.  (With the whole group there, our next octets do it.)
 */
bool smtp_session_more_answers(const struct smtp_session *session);
/*
 * Is what came so far only kept, until it can be judged with the answers that
 * follow?  Then there is nothing to be told and nothing to be sent: a caller
 * that has more of the peer's octets may go on with those.
 */
bool smtp_session_gathers(const struct smtp_session *session);
/*
 * The whole batch has left, or will never be read again (cancelled, socket
 * closed).  A reply can overtake this; SMTP_EV_MAIL_DONE, _READY, _TLS and
 * _CLOSE wait for it.
 */
void smtp_session_sent(struct smtp_session *session, uint64_t now_ms);

/* Returns false when nothing (more) has happened. */
bool smtp_session_event(struct smtp_session *session,
			struct smtp_event *event_r);

/*
 * How many recipients a mail given now may have; 0: no mail now.
 *
 * Ready: the pool's rcpts_max or the server's RCPTMAX.  (0 when the server's
 * MAILMAX is used up: quit.)  While one mail is in progress: 0, unless
 * grouping is allowed and PIPELINING offered and this session has carried a
 * message; then up to SMTP_GROUP_RCPTS_MAX.  That mail's MAIL, RCPT and DATA
 * leave in one flight behind the first one's dot (rule 19), or follow later
 * if the first one never gets to its dot.  Or, while fewer mails fly than
 * _set_ahead() allows, 1: it flies behind them.
 */
uint32_t smtp_session_room(const struct smtp_session *session);

/*
 * Begin a mail.  On failure nothing is taken and the session is as before:
 *	-EAGAIN      no room now, or not for so much content behind others
 *	-E2BIG       more recipients than smtp_session_room()
 *	-EINVAL      control octets in an address or parameter, a command over
 *	             SMTP_COMMAND_MAX, pieces that do not make content_bytes,
 *	             content whose last line has no CRLF, no recipient
 *	-EMSGSIZE    over the server's SIZE
 *	-EOPNOTSUPP  SMTPUTF8 not offered
 *	-EILSEQ      8-bit, 8BITMIME not offered, SMTP_EIGHTBIT_BOUNCE
 *	-ENOMEM
 */
int smtp_session_mail(struct smtp_session *session,
		      const struct smtp_mail *mail, uint64_t now_ms);
/*
 * Rule 24: does this error of smtp_session_mail() mean that this host cannot
 * take this mail, although another one may?  Then the rule by which its
 * recipients bounce when no host is left (LOCAL_SIZE 5.3.4, LOCAL_UTF8 5.6.7,
 * LOCAL_EIGHTBIT 5.6.3); nothing is wrong with the host or the session, and
 * other mails go on.  LOCAL_NONE for every other error, and for 0.
 */
enum local_rule smtp_mail_unfit(int err);
/* End politely.  0, or -EAGAIN when a mail is in progress or not ready. */
int smtp_session_quit(struct smtp_session *session, uint64_t now_ms);
/* Allow or forbid grouping from now on; begins as settings.grouping. */
void smtp_session_set_grouping(struct smtp_session *session, bool allowed);

/* Do these (smtp_info.caps) allow BDAT?  CHUNKING alone does not: see
 * smtp/chunk.c. */
bool smtp_chunk_caps(uint32_t caps);
/*
 * Rule 20: may mails from now on go by BDAT where smtp_chunk_caps()?  Begins as
 * settings.chunking.  The first goes behind its envelope's answers; then the
 * session proves that it takes off the octets of a refused chunk, and mails of
 * one recipient go in one flight with their envelope.  No mail is grouped
 * behind a chunk.
 */
void smtp_session_set_chunking(struct smtp_session *session, bool allowed);
/*
 * Rule 20: how many such mails may be on their way at once; at least 1, as it
 * begins, and never more than SMTP_AHEAD_MAX.  Over 1 says that this host has
 * taken chunks from other sessions: the proof goes in front of the first mail,
 * which then flies.  All that have left and were not answered are unsure when
 * the connection breaks, and so the caller's risk.
 */
void smtp_session_set_ahead(struct smtp_session *session, uint32_t mails);
/* How many fly or wait to: 0 when mails do not fly. */
uint32_t smtp_session_ahead(const struct smtp_session *session);

/* It is called soon: have the processor fetch it. */
void smtp_session_expect(const struct smtp_session *session);
/* ... and what it points to: reads the session, which has come by then. */
void smtp_session_expect_more(const struct smtp_session *session);
/* When to call _tick() at the latest; SMTP_NEVER when nothing is awaited. */
uint64_t smtp_session_deadline(const struct smtp_session *session);
/* What the session knows. */
struct smtp_info smtp_session_info(const struct smtp_session *session);
/* For logs: "ready", "mail", ... */
const char *smtp_session_state_name(const struct smtp_session *session);

/* "accepted", "deferred", ...: the stable word for logs and --json. */
const char *smtp_result_name(enum smtp_result result);
/* A phrase for people: "the server may have the mail". */
const char *smtp_result_words(enum smtp_result result);
/* "greeting", "ehlo", "mail", "rcpt", "data", "eod", ... */
const char *smtp_stage_name(enum smtp_stage stage);
/* A phrase for people: "after the message was sent". */
const char *smtp_stage_words(enum smtp_stage stage);

#endif
