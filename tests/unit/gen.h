#ifndef MTAQ_TESTS_GEN_H
#define MTAQ_TESTS_GEN_H

/*
 * Generated servers: what the parts of test_generated.c share.
 *
 *	gen_case.c    which cases there are: exhaustive ones, then by seed
 *	gen_reply.c   the kinds of replies, and their octets
 *	gen_server.c  a server that reads what it is sent and answers as the
 *	              case says; it knows what it truly took
 *	gen_judge.c   the oracle: what docs/SMTP.md says must come of it
 *	gen_wire.c    the oracle's other half: what we may say, and when
 *	gen_stream.c  of both what rule 20 says
 *	gen_run.c     network and clock between session and server
 *	gen_compare.c plain, grouped and in chunks: do the verdicts agree?
 *	test_generated.c  options, counts, and what is printed of a failure
 */
#include "mtaq/smtp.h"

#include <stdio.h>

#define GEN_MAILS  SMTP_AHEAD_MAX
#define GEN_PLACES 3 /* mails at which the exhaustive cases have faults */
#define GEN_RCPTS  3
#define GEN_FAULTS 3

/* Where a server can misbehave. */
enum gen_slot {
	AT_GREETING,
	AT_EHLO,
	AT_HELO,
	AT_STARTTLS,
	AT_HANDSHAKE,
	AT_EHLO_TLS,
	AT_MAIL,
	AT_RCPT_1,
	AT_RCPT_2,
	AT_RCPT_3,
	AT_DATA,
	AT_CONTENT, /* unasked, once content has begun to come */
	AT_DOT,     /* and BDAT, which always is the last */
	AT_RSET,
	AT_QUIT,
	AT_IDLE,  /* unasked, behind the answer to a dot */
	AT_PROOF, /* the chunk out of order, and the RSET behind it */
	AT_PROOF_RSET,
	SLOT_COUNT
};

enum gen_cut {
	CUT_NONE,
	CUT_OCTETS, /* octet by octet */
	CUT_AT,     /* in two, at octet cut_at of the reply (modulo) */
	CUT_CRLF,   /* between the last CR and its LF */
	CUT_COUNT
};

enum gen_close {
	CLOSE_NO,
	CLOSE_AFTER,  /* behind the reply */
	CLOSE_MIDDLE, /* behind half of it */
	CLOSE_RESET,  /* RST: what was not read is lost, so is our batch */
	CLOSE_COUNT
};

enum gen_delay {
	DELAY_NO,
	DELAY_JUST,    /* a second before the deadline */
	DELAY_BEYOND,  /* a second too late */
	DELAY_DRIP,    /* an octet a second */
	DELAY_TRICKLE, /* an octet each third of the limit */
	DELAY_COUNT
};

struct gen_fault {
	enum gen_slot slot;
	unsigned mail; /* from 0; slots of a mail only */
	unsigned kind; /* gen_kinds[] */
	enum gen_cut cut;
	unsigned cut_at;
	enum gen_close close;
	enum gen_delay delay;
};

enum gen_mode {
	MODE_SINGLE,    /* PIPELINING is not offered */
	MODE_FORBIDDEN, /* offered, and not allowed by the settings */
	MODE_PIPELINED,
	MODE_GROUPED, /* rule 19 */
	MODE_CHUNKED, /* rule 20 */
	MODE_COUNT
};

/* MODE_CHUNKED: what the server does not offer. */
enum gen_without {
	WITHOUT_NONE,
	WITHOUT_CHUNKING, /* then mails are grouped */
	WITHOUT_CODES,
	WITHOUT_PIPELINING,
	WITHOUT_COUNT
};

enum gen_tls {
	TLS_OFF,   /* offered, not wanted */
	TLS_MAY,   /* wanted, not offered */
	TLS_TAKEN, /* offered and used */
	TLS_MUST,  /* as before, and nothing goes without */
	TLS_COUNT
};

enum gen_body {
	BODY_SHORT,
	BODY_DOTS,
	BODY_LARGE, /* more than one batch */
	BODY_COUNT
};

struct gen_case {
	enum gen_mode mode;
	enum gen_tls tls;
	enum gen_body body;
	unsigned mails, rcpts[GEN_MAILS];
	bool late;      /* replies overtake the completion of sends */
	bool lazy;      /* a mail is given when nothing is on the wire */
	bool quit;      /* at the end, instead of staying idle */
	bool aged;      /* the session's hour is nearly over */
	bool stuck;     /* the batch with the dot never leaves */
	unsigned ahead; /* MODE_CHUNKED: mails under way at once */
	enum gen_without without;
	bool runs;         /* what is in a refused chunk is run as commands */
	bool address_like; /* RSET is answered as RCPT is (Gmail) */
	unsigned fault_count;
	struct gen_fault fault[GEN_FAULTS];
};

/* --- gen_reply.c ------------------------------------------------------ */

struct gen_kind {
	const char *name, *group; /* group: for the counts */
	const char *text;         /* '@': the right reply, '#': its code */
};
extern const struct gen_kind gen_kinds[];
extern const unsigned gen_kind_count;
#define GEN_REPLY_MAX 16384u

/* The reply's octets; returns how many.  right: as the server would say. */
size_t gen_reply(unsigned kind, const char *right, char *out_r);
/* The code by which the server itself means this reply; 0 when none. */
unsigned gen_reply_means(const char *reply, size_t len);

/* One whole reply at the head of text?  Its octets; 0: more must come; -1:
 * this is no reply.  Written after rules 1, 2 and 6, octet by octet never. */
struct gen_said {
	unsigned code;
	struct smtp_enhanced enhanced;
	bool pipelining, starttls, chunking, codes; /* offered in it */
};
int gen_parse(const char *text, size_t len, struct gen_said *said_r);

/* --- content ---------------------------------------------------------- */

struct gen_content {
	struct iovec piece[8];
	uint32_t pieces;
	size_t bytes;
	const char *text; /* the pieces are of this */
	char *wire;       /* dots doubled, with the last dot */
	size_t wire_len;
};
void gen_contents_make(void);
/* Mail m's content of this sort. */
const struct gen_content *gen_content(enum gen_body body, unsigned mail);
void gen_contents_free(void);

/* --- gen_server.c ----------------------------------------------------- */

enum gen_push_type {
	PUSH_OCTETS,
	PUSH_CLOSE,
	PUSH_RESET
};

/* Something on its way from the server. */
struct gen_push {
	enum gen_push_type type;
	uint64_t at_ms;
	uint32_t at, len, step; /* octets in said[]; so many at a time */
	uint32_t gap_ms;        /* between them */
};

#define GEN_PUSHES 256u

struct gen_server {
	const struct gen_case *c;
	bool tls, mute, content, open, idle_said;
	bool taken[GEN_RCPTS];
	unsigned errors;
	unsigned mail, mails; /* of which this one is the number */
	bool has[GEN_MAILS][GEN_RCPTS];
	bool honest; /* one reply a command, as it means it */
	bool strays; /* a reply too many, or none, by a fault */
	char line[4096];
	size_t line_len;
	size_t body_at; /* octets of the present content that came */
	size_t chunk_left;
	bool proof, runs, bye, ran; /* ran: lines of a mail as commands */
	bool body_bad;
	uint64_t last_ms; /* of the last push */
	struct gen_push push[GEN_PUSHES];
	unsigned head, tail;
	char said[GEN_REPLY_MAX * 6];
	uint32_t said_len;
	unsigned hits; /* faults that happened */
};

void gen_server_start(struct gen_server *v, const struct gen_case *c,
		      uint64_t now_ms);
/* Octets of ours arrive. */
void gen_server_read(struct gen_server *v, const char *p, size_t len,
		     uint64_t now_ms);
void gen_server_tls(struct gen_server *v);
/* The case's fault at this place, or NULL. */
const struct gen_fault *gen_fault_at(const struct gen_case *c,
				     enum gen_slot slot, unsigned mail);
/* Rule 10, as the server knows it: how long it may take here. */
uint32_t gen_limit_ms(enum gen_slot slot);

/* --- gen_judge.c, gen_wire.c ------------------------------------------ */

enum judge_end {
	END_NOT,      /* the session goes on */
	END_SAID,     /* the server's words end it */
	END_NONSENSE, /* out of turn, or no SMTP */
	END_BROKE     /* closed, or no answer in time */
};

struct judge_item {
	enum gen_slot slot; /* AT_DOT for the lone one as well */
	unsigned mail;
	unsigned code; /* 0: not answered, or the answer does not count */
	struct smtp_enhanced enhanced;
};

struct judge_mail {
	int item[AT_DOT + 1]; /* where in items[], by slot; -1: not sent */
	unsigned rcpts;
	bool rset;               /* what was left open was taken back */
	bool bdat, flight, head; /* rule 20; head: the command is out */
	size_t content_sent;     /* octets of the wire form, or of the text */
	struct judge_item early; /* refused unasked; code 0: not */
};

/* RSET, MAIL, RCPTs, BDAT or DATA and dot of each; the proof, TLS, ... */
#define JUDGE_ITEMS (GEN_MAILS * (GEN_RCPTS + 4) + 16)

struct judge {
	const struct gen_case *c;
	uint64_t born_ms, progress_ms;
	struct judge_item items[JUDGE_ITEMS];
	int sent, heard;
	int group; /* items[] where the open group begins; -1: none */
	bool group_rset;
	int stream; /* items[] where the first flight that is not final begins */
	struct judge_mail mail[GEN_MAILS];
	unsigned given, carried, flights, most_ahead;
	bool chunking, codes; /* offered */
	bool proven, sole, led, no_chunks;
	bool prompt, proof_sent; /* nothing was idle before the mail */
	unsigned chunks;
	bool pipelining, starttls, tls_due, tls_on, helo_due, ehlo_due;
	bool quit_asked, was_ready, lent;
	enum judge_end end;
	struct judge_item last; /* END_SAID: these words */
	bool no_tls;            /* ended because TLS is not offered */
	bool distrust, unsure_group;
	size_t in_len, in_line_at, in_lines;
	bool in_early;
	char wrong[256]; /* what we did wrong; empty: nothing */
	char in[GEN_REPLY_MAX];
};

void judge_begin(struct judge *j, const struct gen_case *c, uint64_t now_ms);
void judge_given(struct judge *j, uint64_t now_ms);
void judge_quit(struct judge *j, uint64_t now_ms);
/* One batch of ours; pending: octets of the server wait unread. */
void judge_batch(struct judge *j, const char *p, size_t len, bool pending,
		 uint64_t now_ms);
void judge_flushed(struct judge *j, uint64_t now_ms);
/* A piece of the server's octets, as it is given to the session. */
void judge_octets(struct judge *j, const char *p, size_t len, uint64_t now_ms);
void judge_tls_done(struct judge *j, bool ok, uint64_t now_ms);
void judge_broke(struct judge *j);

struct judge_verdict {
	enum smtp_result result;
	enum smtp_stage stage;
	unsigned code;
	struct smtp_enhanced enhanced;
};
/* Is this recipient settled by now, and how? */
bool judge_settled(const struct judge *j, unsigned mail, unsigned rcpt,
		   struct judge_verdict *verdict_r);
struct judge_close {
	enum smtp_result result;
	unsigned code;
	bool idle, distrust, no_chunks;
};
struct judge_close judge_close(const struct judge *j);
uint64_t judge_deadline(const struct judge *j);
/* May we be silent now: is it the server's turn, or the caller's? */
bool judge_may_wait(const struct judge *j);
bool judge_is_ready(const struct judge *j);
/* Rule 20: may content go as chunks?  Is the proof due before the next mail?
 * Has all of this mail's content left?  May this mail follow others? */
bool judge_chunks(const struct judge *j);
bool judge_proof_due(const struct judge *j);
bool judge_has_left(const struct judge *j, unsigned mail);
bool judge_may_follow(const struct judge *j, unsigned mail);
void judge_wrong(struct judge *j, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* between the two halves */
void judge_command(struct judge *j, const char *line, bool last);
bool judge_taken_any(const struct judge *j, unsigned mail);
bool judge_over(const struct judge *j, unsigned mail);
bool judge_rset_due(const struct judge *j);
bool judge_content_due(const struct judge *j, unsigned *mail_r);
const struct judge_item *judge_heard(const struct judge *j, unsigned mail,
				     enum gen_slot slot);

/* --- gen_stream.c, for the two --- */
void judge_nonsense(struct judge *j);
void judge_flight_begins(struct judge *j, unsigned mail);
bool judge_is_unknown(unsigned code); /* BDAT is, to who says this */
bool judge_is_taken(const struct gen_said *said);
void judge_proof(struct judge *j, const struct gen_said *said, bool left_over);
void judge_stream(struct judge *j, const struct gen_said *said, bool left_over);
void judge_stream_broke(struct judge *j);
struct judge_verdict judge_flight_ended(const struct judge *j, unsigned mail);
/* RSET in front of a flight behind others?  False: it is another RSET. */
bool judge_reset_ahead(struct judge *j, bool last);
void judge_bdat(struct judge *j, const char *line);
size_t judge_chunk(struct judge *j, unsigned mail, const char *p, size_t len,
		   bool hold);

/* --- gen_run.c -------------------------------------------------------- */

struct gen_tally {
	unsigned long cases, hits, replies, events, batches, waits;
	unsigned long results[SMTP_RESULT_COUNT], ends[4];
	unsigned long by_slot[SLOT_COUNT], by_cut[CUT_COUNT],
		by_close[CLOSE_COUNT], by_delay[DELAY_COUNT],
		by_mode[MODE_COUNT];
	unsigned long by_kind[128];
	unsigned long flights, by_ahead[GEN_MAILS + 1];
	unsigned long compared, same, copies, twin_copies; /* gen_compare() */
};

/* What came of a case, for comparing. */
struct gen_outcome {
	unsigned given;
	bool honest, distrust, has[GEN_MAILS][GEN_RCPTS];
	struct smtp_verdict verdict[GEN_MAILS][GEN_RCPTS]; /* no text */
};

/*
 * Play one case.  NULL when all is as it must be, else what is not (lives
 * until the next call).  out: the dialogue goes there, or NULL.
 */
const char *gen_run(const struct gen_case *c, struct smtp_pool *pool,
		    struct gen_tally *tally, struct gen_outcome *came_r,
		    FILE *out);
/*
 * The same server, and the same mails, plain or grouped: does what came of the
 * chunks agree?  NULL: it does.
 */
const char *gen_compare(const struct gen_case *c,
			const struct gen_outcome *chunked,
			const struct gen_outcome *twin,
			struct gen_tally *tally);
/* Does the engine's plan follow the verdict?  NULL: it does. */
const char *gen_plan_wrong(const struct smtp_verdict *v, bool carried);

/* --- gen_case.c ------------------------------------------------------- */

/* How many cases are tried whatever the seed. */
unsigned long gen_case_fixed(void);
/* Case number n; from gen_case_fixed() on it depends on the seed. */
void gen_case_make(unsigned long n, uint64_t seed, struct gen_case *c_r);
void gen_case_print(const struct gen_case *c, FILE *out);
extern const char *const gen_slot_names[SLOT_COUNT];
extern const char *const gen_cut_names[CUT_COUNT];
extern const char *const gen_close_names[CLOSE_COUNT];
extern const char *const gen_delay_names[DELAY_COUNT];
extern const char *const gen_mode_names[MODE_COUNT];

#endif
