#ifndef MTAQ_SUBMIT_H
#define MTAQ_SUBMIT_H

/*
 * Hand mail to a running mtaq over its Unix socket.
 *
 *	submit_new() -> submit_put() ... -> submit_flush()
 *	             \-> submit_next() ... as answers come
 *
 * Messages are gathered into frames of up to SUBMIT_FRAME_MESSAGES or
 * SUBMIT_FRAME_BYTES; at most SUBMIT_FRAMES_OPEN frames wait for their
 * answer.  A daemon with little to do gets what is there (64 KiB) while more
 * is being put, and waits with its sync for the rest of the batch.
 *
 * A message is accepted when its result says so: it is durable then.  When the
 * connection breaks, submit_put() and submit_flush() connect again
 * and repeat, under the same submission id and frame numbers, what was not
 * answered; the daemon takes each message once.  Ids are printed with
 * base/msgid.h.
 *
 * One thread at a time.  Calls block, each at most timeout_ms.  The wire
 * format is in docs/SUBMISSION.md.
 */
#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SUBMIT_SOCKET         "submit.sock" /* in the runtime folder */
#define SUBMIT_ID_SIZE        16u
#define SUBMIT_FRAME_MESSAGES 1000u
#define SUBMIT_FRAME_BYTES    (4u << 20) /* payload; larger mail is streamed */
#define SUBMIT_FRAMES_OPEN    16u
#define SUBMIT_RCPTS_MAX      100000u /* recipients of one message */

enum submit_class {
	SUBMIT_BULK,
	SUBMIT_TRANSACTIONAL
};

/* All borrowed for the call. */
struct submit_message {
	struct span sender;       /* without <>; "" is the null reverse-path */
	const struct span *rcpts; /* without <> */
	/* NULL, or for each recipient "", or NOTIFY= and ORCPT= as in RCPT
	 * (RFC 3461), ORCPT's address in xtext. */
	const struct span *rcpt_params;
	uint32_t rcpt_count;
	struct span tenant, campaign; /* at most 255 octets each */
	enum submit_class class;
	uint32_t age_s;      /* give up after this long; 0: age_limit */
	struct span params;  /* RET=, ENVID= as in MAIL (RFC 3461) */
	struct span content; /* any line ends; made canonical by the daemon */
};

/* What came of one message.  Borrowed until the next call. */
struct submit_result {
	uint64_t index; /* it was the index-th submit_put(), from 0 */
	int code;       /* EX_OK: durable.  EX_DATAERR: refused for good.
			   EX_TEMPFAIL, EX_UNAVAILABLE: not now */
	uint8_t enhanced_class;
	uint16_t enhanced_subject, enhanced_detail; /* RFC 3463 */
	const uint64_t *ids; /* over 1000 recipients are several messages */
	uint32_t id_count;   /* 0 when refused */
	struct span words;   /* why; empty when accepted */
};

struct submit;

struct submit_options {
	const char *path;   /* of the socket */
	const uint8_t *id;  /* 16 octets; NULL: a random one */
	int timeout_ms;     /* for each call; 0: 60,000 */
	int reconnects_max; /* in a row without any answer; 0: 5 */
};

/*
 * Prepare and connect.  0 or a negative errno value: -ENOENT and
 * -ECONNREFUSED: no daemon; -EACCES: no right to the socket; -EPROTO: it
 * speaks another version; -ETIMEDOUT.
 */
int submit_new(const struct submit_options *opt, struct submit **submit_r);
/* Does not wait: what was not answered may or may not be accepted. */
void submit_free(struct submit **submit);
const uint8_t *submit_id(const struct submit *s);

/*
 * Take a message (copied).  Sends what fills a frame, or is enough to begin
 * with, and waits while too many are open.  0, or
 *	-EINVAL, -EMSGSIZE: cannot be put in a frame (no or too many
 *		recipients, a field too long); nothing was taken
 *	-EPROTO, -ETIMEDOUT, -ENOMEM, or what the socket said in the end: the
 *		submission is over; submit_words() says why.
 */
int submit_put(struct submit *s, const struct submit_message *msg);
/* Send all and wait until everything is answered.  0, or as submit_put(). */
int submit_flush(struct submit *s);
/* The next result, in the order of submit_put().  1, or 0: none has come. */
int submit_next(struct submit *s, struct submit_result *result_r);

/*
 * For a program that waits for many things at once.  Neither waits for an
 * answer: it watches submit_fd() for input (while submit_unsent(), also for
 * room) and looks then.  They do wait where the connection has to be made
 * again, and submit_start() for a place while SUBMIT_FRAMES_OPEN are open.
 * Both give 0, or what submit_put() gives when it is over.
 */
int submit_start(struct submit *s); /* send what was put */
int submit_look(struct submit *s);  /* send the rest, take what has come */
bool submit_unsent(struct submit *s);
int submit_fd(const struct submit *s);
/* How often it has connected: each time with another descriptor, whose number
 * may be the same. */
uint32_t submit_connects(const struct submit *s);

uint64_t submit_unanswered(const struct submit *s); /* messages */
const char *submit_words(const struct submit *s);   /* why it is over; "" */

/*
 * The same frames into a file, for the drop folder: whoever finds it, feeds
 * it to the daemon as if from the socket.  Results never come.
 */
struct submit_file;
int submit_file_new(int fd, const uint8_t *id, struct submit_file **file_r);
int submit_file_put(struct submit_file *f, const struct submit_message *msg);
/* Write what is left and the end mark; fsync is the caller's. */
int submit_file_end(struct submit_file *f);
void submit_file_free(struct submit_file **file);

#endif
