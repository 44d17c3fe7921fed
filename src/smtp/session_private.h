#ifndef MTAQ_SMTP_SESSION_PRIVATE_H
#define MTAQ_SMTP_SESSION_PRIVATE_H

/*
 * The inside of a session, shared by session.c (receiver), send.c (sender),
 * group.c (rule 19), chunk.c and stream.c (rule 20), report.c (events) and
 * pool.c (memory).
 *
 * The sender counts what it lent (tx.sent), the receiver what was answered
 * (tx.got); both count the same items of a mail of n recipients:
 *
 *	item	0	1 .. n	n+1	n+2
 *	is	MAIL	RCPT	DATA	content and dot
 *
 * With BDAT (rule 20, chunk.c) item n+1 is nothing and counted by both when the
 * last RCPT is, and item n+2 is BDAT and content.
 */
#include "base/bug.h"
#include "mtaq/smtp.h"
#include "smtp/ehlo.h"
#include "smtp/reply.h"

#define CMD_BUF           8192u /* commands of one batch */
#define SEND_COMMAND_REST 96u   /* a command without what the mail brings */
#define GROUP_TEXT        4096u /* words kept of the answers of one group */
#define GROUP_MAX         (SMTP_GROUP_RCPTS_MAX + 3) /* dot, MAIL, RCPTs, DATA */

enum rcpt_state {
	RCPT_OPEN,  /* no answer yet */
	RCPT_TAKEN, /* 2yz to RCPT; waits for the dot */
	RCPT_TELL,  /* settled; an event is due */
	RCPT_TOLD
};

/* One mail in progress.  What each answer asks stands in front. */
struct smtp_tx {
	struct smtp_tx *next; /* behind this one, or in the list of done ones */
	struct smtp_group *answers; /* of a flight, until they are judged */
	uint32_t sent, got;         /* items, see above */
	uint32_t taken;             /* RCPTs answered 2yz */
	uint32_t settled;           /* recipients in RCPT_TELL or RCPT_TOLD */
	uint32_t tell_from;         /* no RCPT_TELL before this one */
	uint32_t tell_count;
	bool bdat;    /* content goes as a chunk */
	bool flight;  /* ... without waiting for the answers to RCPT */
	bool led;     /* RSET goes in front: it flies behind another */
	bool heard;   /* a flight: all its answers have come, or the end has */
	bool head;    /* the BDAT command is out */
	bool refused; /* MAIL was */
	bool go;      /* 354 */
	bool over;    /* no more commands: DATA refused */
	bool bol;     /* the next content octet begins a line, whose dot
		       * has not been doubled yet */
	/* The connection broke under it: what its recipients are told
	 * instead of the session's verdict. */
	bool broke;
	enum smtp_result broke_result;
	enum smtp_stage broke_stage;
	uint32_t piece; /* content: piece and octet to send next */
	size_t piece_at;
	struct smtp_mail mail;
	uint8_t rcpt[]; /* enum rcpt_state */
};

/* The answers of one group, kept until they can be judged as a whole. */
struct smtp_group {
	uint32_t count;   /* answers taken */
	uint32_t limit;   /* judged: how many of them count */
	uint32_t applied; /* of those */
	uint32_t text_len;
	bool was_reset;  /* case (b): the lone RSET was answered well */
	bool flight;     /* of one mail: stream.c */
	const char *why; /* then break the connection, if not NULL */
	struct smtp_group_answer {
		struct smtp_enhanced enhanced;
		uint16_t code;
		uint16_t text_len;
		uint32_t text_at;
	} answer[GROUP_MAX];
	char text[GROUP_TEXT];
};

enum session_state {
	ST_GREETING, /* the server speaks first */
	ST_HELLO,    /* EHLO, HELO or STARTTLS is due or unanswered */
	ST_TLS,      /* the handshake is the caller's */
	ST_READY,    /* between mails */
	ST_MAIL,     /* s->cur is under way */
	ST_RESET,    /* RSET is due or unanswered */
	ST_QUIT,
	ST_CLOSED
};

#define TELL_TLS   0x01u
#define TELL_READY 0x02u
#define TELL_CLOSE 0x04u

struct smtp_session {
	const struct smtp_settings *set;
	struct smtp_pool *pool;
	uint64_t born_ms, progress_ms;
	struct smtp_ehlo ehlo;

	enum session_state state;
	/* A command outside of mails; SMTP_STAGE_NONE is none. */
	enum smtp_stage solo;
	bool solo_sent;
	unsigned tell;
	bool helo; /* EHLO was not understood */
	bool tls_on, grouping, lent;
	bool was_ready, distrust, idle;
	bool early;    /* the reply began when no answer was owed */
	bool in_group; /* it ended within a group, well: case (c) */
	bool gone;     /* it said 421 */
	bool unsure;   /* some mail is, by the end */

	char *cmd;                    /* commands on loan */
	struct smtp_reply reply;      /* its buffer is held while in use */
	struct smtp_tx *cur, *last;   /* under way, those behind it by .next */
	struct smtp_tx *done, **tail; /* waiting for SMTP_EV_MAIL_DONE */
	struct smtp_group *group;
	/* chunk.c, stream.c */
	bool chunking, proving, refused_it, proven;
	bool prompt;               /* the proof went right behind an answer */
	bool sole;                 /* no second flight behind one */
	bool no_chunks;            /* it does not know BDAT */
	uint32_t chunks;           /* messages taken as one */
	struct smtp_tx *fly;       /* the first that has not wholly left */
	uint32_t ahead, ahead_max; /* mails under way; how many may be */
	uint64_t ahead_bytes;      /* their content */
	uint32_t flights;          /* that came out whole */

	uint32_t carried, groups, mails, odd_replies;
	struct smtp_verdict verdict; /* of the last answer, or of the end */
	uint16_t cls;                /* first digit of the last answer */
	const char *why;             /* our words for the end */
};

static inline uint32_t tx_items(const struct smtp_tx *tx)
{
	return tx->mail.rcpt_count + 3;
}

/* The dot has been lent: from here on the server may have the mail. */
static inline bool tx_dot_sent(const struct smtp_tx *tx)
{
	return tx->sent == tx_items(tx);
}

static inline bool is_pipelining(const struct smtp_session *s)
{
	return s->set->pipelining && (s->ehlo.caps & SMTP_CAP_PIPELINING) != 0;
}

/* Which answer comes next. */
enum smtp_stage session_stage(const struct smtp_session *s);

/* Take the answer in s->verdict and s->cls. */
void session_answer(struct smtp_session *s);
/* The conversation broke: settle everybody, close.  why is ours, static. */
void session_break(struct smtp_session *s, const char *why);
/* As session_break(), and the server is not to be trusted (rule 3). */
void session_nonsense(struct smtp_session *s, const char *why);
/* Make s->verdict of what the server said. */
void session_verdict(struct smtp_session *s, uint16_t code,
		     const struct smtp_enhanced *enhanced, struct span text);
/* Begin the command stage outside of mails, in this state. */
void session_solo(struct smtp_session *s, enum session_state state,
		  enum smtp_stage stage);
void session_set_state(struct smtp_session *s, enum session_state next);

void group_init(struct smtp_group *g);
/* Are the answers that come now those of a group? */
static inline bool group_is_open(const struct smtp_session *s)
{
	return s->group != NULL && s->group->limit == 0;
}
/* Keep the answer in s->reply; judge when the last one came. */
void group_answer(struct smtp_session *s, bool left_over);
/* RSET was answered, in s->reply: case (b). */
void group_reset(struct smtp_session *s, bool left_over);
/* The connection ended: case (c).  False when it is none of a group's. */
bool group_ended(struct smtp_session *s, const char *why);
/* Hand one judged answer to session_answer(). */
void group_apply(struct smtp_session *s);

/* Keep an answer, to the content or to a command. */
void group_keep(struct smtp_group *g, const struct smtp_reply *r, bool content);

/* chunk.c: may mails go as chunks? */
bool chunk_may(const struct smtp_session *s);
/* Is this code one about addresses: MAIL's, RCPT's? */
bool chunk_is_of_address(struct smtp_enhanced enhanced);
/* Is a 2yz with this code one to content? */
bool chunk_is_taken(struct smtp_enhanced enhanced);
/* Is the proof that comes before flights due? */
bool chunk_must_prove(const struct smtp_session *s);
/* One of its two answers. */
void chunk_proof(struct smtp_session *s, bool left_over);
/* A chunk was refused: what that says, in s->verdict. */
void chunk_verdict(struct smtp_session *s, const struct smtp_tx *tx);

/* stream.c: may the present mail fly, as the first? */
bool stream_may_begin(const struct smtp_session *s);
/* Do mails go in flights now, the present one too? */
static inline bool stream_is_on(const struct smtp_session *s)
{
	return s->cur->flight || (s->cur->bdat && stream_may_begin(s));
}
/* May another mail follow, as far as is known before it is? */
bool stream_has_room(const struct smtp_session *s);
/* ... with so much content? */
bool stream_fits(const struct smtp_session *s, uint64_t content_bytes);
/* The flight whose answers come next, or NULL; and as much when the present
 * mail is one. */
struct smtp_tx *stream_first_unheard(const struct smtp_session *s);
static inline struct smtp_tx *stream_hears(const struct smtp_session *s)
{
	return s->cur != NULL && s->cur->flight ? stream_first_unheard(s)
						: NULL;
}
/* Which answer that is. */
enum smtp_stage stream_stage(const struct smtp_tx *tx);
/* As group_answer(), group_ended(): for the flights that are out. */
void stream_answer(struct smtp_session *s, bool left_over);
bool stream_ended(struct smtp_session *s, const char *why);
/* A flight was judged whose answers are not yet handed on. */
static inline bool stream_due(const struct smtp_session *s)
{
	return s->cur != NULL && s->cur->answers != NULL &&
	       s->cur->answers->limit > 0;
}

/* Is there a judged answer to hand to session_answer()? */
static inline bool group_due(const struct smtp_session *s)
{
	return (s->group != NULL && s->group->limit > 0) || stream_due(s);
}

/* report.c: as session_event_due(), when a mail or the session is over. */
bool report_end_due(const struct smtp_session *s);
/* Something waits for smtp_session_event(), now. */
static inline bool session_event_due(const struct smtp_session *s)
{
	if (s->done != NULL || s->tell != 0)
		return report_end_due(s);
	return (s->cur != NULL && s->cur->tell_count > 0) || group_due(s);
}

/* NULL when out of memory. */
struct smtp_tx *pool_tx(struct smtp_pool *pool);
char *pool_cmd(struct smtp_pool *pool);
char *pool_reply(struct smtp_pool *pool);
struct smtp_group *pool_group(struct smtp_pool *pool);
struct smtp_session *pool_session(struct smtp_pool *pool);
/* Each clears the caller's pointer; NULL is allowed. */
void pool_tx_free(struct smtp_pool *pool, struct smtp_tx **tx);
void pool_cmd_free(struct smtp_pool *pool, char **cmd);
void pool_reply_free(struct smtp_pool *pool, char **reply);
void pool_group_free(struct smtp_pool *pool, struct smtp_group **group);
void pool_session_free(struct smtp_pool *pool, struct smtp_session **session);
uint32_t pool_rcpts_max(const struct smtp_pool *pool);

#endif
