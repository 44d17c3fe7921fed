#ifndef MTAQ_INGRESS_FRAME_H
#define MTAQ_INGRESS_FRAME_H

/*
 * The frames of a submission, as docs/SUBMISSION.md draws them: one encoder
 * and one decoder for the client, the daemon and the drop folder.  Numbers are
 * little endian.  Decoders take any octets and never read past what they are
 * given; spans borrow from the input.
 */
#include "base/buf.h"
#include "mtaq/submit.h"

#define FRAME_HELLO_SIZE 32u
#define FRAME_HEAD_SIZE  16u
#define FRAME_VERSION    1u
#define FRAME_RESUME     0x0001u /* hello: frames are being repeated */
#define FRAME_TAKES_MORE 0x0001u /* welcome: the daemon knows FRAME_MORE */
#define FRAME_MORE       0x01u   /* head of M: the next frame follows at once */
#define FRAME_PART_BYTES (1u << 20)
/* All of a message but its content; fits into one frame. */
#define FRAME_ENVELOPE_MAX (3u << 20)
#define FRAME_ADDRESS_MAX  1000u /* octets; what is valid is much shorter */
#define FRAME_PARAMS_MAX   600u
#define FRAME_WORDS_MAX    500u

enum frame_type {
	FRAME_MESSAGES = 'M', /* client: count whole messages */
	FRAME_LARGE = 'L',    /* client: one message, its first octets */
	FRAME_PART = 'P',     /* client: further octets of it */
	FRAME_END = 'E',      /* client: nothing more comes */
	FRAME_WELCOME = 'W',  /* daemon: to the hello */
	FRAME_ANSWER = 'A',   /* daemon: to M, or to L and its P */
	FRAME_ERROR = 'X'     /* daemon: the conversation is over */
};

struct frame_hello {
	uint16_t version, flags;
	uint8_t id[SUBMIT_ID_SIZE];
};

struct frame_head {
	uint8_t type;  /* enum frame_type */
	uint8_t flags; /* FRAME_MORE, or 0 */
	uint16_t count;
	uint32_t length; /* of the payload */
	uint32_t number; /* of the frame, from 1 */
	uint32_t crc;    /* CRC32C of the payload */
};

struct frame_message {
	struct span sender, tenant, campaign, params;
	struct span rcpts; /* for frame_rcpt_next() */
	uint32_t rcpt_count;
	uint8_t class; /* enum submit_class */
	uint32_t age_s;
	uint64_t size;       /* of the whole content */
	struct span content; /* what of it is here */
};

/* One message's answer. */
struct frame_answer {
	uint8_t code; /* 0, or as sysexits */
	uint8_t enhanced_class;
	uint16_t enhanced_subject, enhanced_detail;
	struct span ids; /* 8 octets each, for frame_id() */
	uint32_t id_count;
	struct span words;
};

void frame_hello_put(const struct frame_hello *h, char out[FRAME_HELLO_SIZE]);
/* 0; -EPROTO: not ours, or a version that we do not speak. */
int frame_hello_get(const char in[FRAME_HELLO_SIZE], struct frame_hello *h_r);

void frame_head_put(const struct frame_head *h, char out[FRAME_HEAD_SIZE]);
/* 0; -EPROTO: no type that `from_client` (or the daemon) sends, a length,
 * count or flags that its type does not allow, number 0. */
int frame_head_get(const char in[FRAME_HEAD_SIZE], bool from_client,
		   struct frame_head *h_r);

/* Octets of msg without its content; 0: not allowed (no or too many
 * recipients, a field too long). */
size_t frame_envelope_size(const struct submit_message *msg);
/* Append the envelope, and of the content its first `now` octets. */
int frame_message_put(struct buf *b, const struct submit_message *msg,
		      size_t now);
/* Take one message off the front of *payload.  When whole, all of its content
 * must be there; else all that is left is content.  1; 0: nothing is left;
 * -EPROTO. */
int frame_message_get(struct span *payload, bool whole,
		      struct frame_message *m_r);
struct frame_rcpt {
	struct span address, params;
};

/* 1; 0: the end.  (frame_message_get() checked that the list is sound.) */
int frame_rcpt_next(struct span *rcpts, struct frame_rcpt *rcpt_r);

int frame_answer_put(struct buf *b, const struct frame_answer *a);
int frame_answer_get(struct span *payload, struct frame_answer *a_r);
uint64_t frame_id(const struct frame_answer *a, uint32_t i);

struct frame_welcome {
	uint16_t flags;             /* FRAME_TAKES_MORE; others are to come */
	uint64_t message_bytes_max; /* the largest message the daemon takes */
};

#define FRAME_WELCOME_SIZE 16u
void frame_welcome_put(const struct frame_welcome *w,
		       char out[FRAME_WELCOME_SIZE]);
/* 0 or -EPROTO. */
int frame_welcome_get(struct span payload, struct frame_welcome *w_r);

/* Put the head of a frame whose payload stands in b from `at` + head on. */
void frame_seal(struct buf *b, size_t at, enum frame_type type, uint16_t count,
		uint32_t number);
/* Say FRAME_MORE in a sealed head, or no longer. */
void frame_set_more(char head[FRAME_HEAD_SIZE], bool more);

/* A message begins with its size (the first octets of an L frame). */
#define FRAME_SIZE_SIZE 8u
static inline uint64_t frame_get64(const char *p)
{
	uint64_t v = 0;
	unsigned i;

	for (i = 8; i-- > 0;)
		v = v << 8 | (unsigned char)p[i];
	return v;
}

static inline void frame_put64(char *p, uint64_t v)
{
	unsigned i;

	for (i = 0; i < 8; i++, v >>= 8)
		p[i] = (char)(unsigned char)v;
}

#endif
