#ifndef MTAQ_TRANSFER_FRAME_H
#define MTAQ_TRANSFER_FRAME_H

/*
 * Frames of an export (README.md): octets in and out, no files.
 */
#include "base/buf.h"

#define TRANSFER_MAGIC_SIZE 16u
#define TRANSFER_HEAD_SIZE  16u
#define TRANSFER_FRAME_MAX  (2u << 20) /* payload; QUEUE_ENVELOPE_MAX fits */

enum transfer_type { /* in the file */
	TRANSFER_BEGIN = 1,
	TRANSFER_DECISION,
	TRANSFER_MESSAGE,
	TRANSFER_CONTENT,
	TRANSFER_LEFT,
	TRANSFER_END,
	TRANSFER_TYPES
};

struct transfer_frame {
	enum transfer_type type;
	struct span payload; /* borrowed from what was parsed */
};

void transfer_magic_put(char to[TRANSFER_MAGIC_SIZE]);
/* Is it ours?  0; -EPROTO: of another version; -EINVAL: no such file. */
int transfer_magic_check(const char from[TRANSFER_MAGIC_SIZE]);

/* The head of frame `number` with this payload. */
void transfer_head_put(enum transfer_type type, uint64_t number,
		       struct span payload, char to[TRANSFER_HEAD_SIZE]);
/* The frame `number` at the begin of `in`.  1: it is in *frame_r and takes
 * *used_r octets; 0: more octets are needed, *used_r in all as far as is
 * known; -1: it is damaged. */
int transfer_frame_parse(struct span in, uint64_t number,
			 struct transfer_frame *frame_r, size_t *used_r);

#endif
