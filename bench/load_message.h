#ifndef MTAQ_BENCH_LOAD_MESSAGE_H
#define MTAQ_BENCH_LOAD_MESSAGE_H

/*
 * The made-up messages of `mtaq load` and of bench_inject: message i is a
 * function of the settings and i alone.  The content is canonical (CRLF, all
 * headers there, the last line ended), so that nobody has to change an octet.
 */
#include "base/buf.h"
#include "bench/load_options.h"

#define LOAD_RCPTS_MAX 1000u

/* Own: load_message_init() ... load_message_free(). */
struct load_message {
	struct buf content, rcpt_text;
	struct span rcpts[LOAD_RCPTS_MAX]; /* into rcpt_text; cfg->rcpts */
	struct buf token;                  /* value of X-Mtaq-Token */
	struct buf body; /* of a message without such dots: always the same */
};

void load_message_init(struct load_message *m);
void load_message_free(struct load_message *m);

/*
 * Message i.  Of cfg it needs from, zone, tag, size (octets, about), domains,
 * rcpts, spread, dots.  What was in m before is gone.
 */
void load_message_make(struct load_message *m, const struct load_config *cfg,
		       uint64_t i);
/* Its recipients and token only. */
void load_message_name(struct load_message *m, const struct load_config *cfg,
		       uint64_t i);

#endif
