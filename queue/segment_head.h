#ifndef MTAQ_QUEUE_SEGMENT_HEAD_H
#define MTAQ_QUEUE_SEGMENT_HEAD_H

/*
 * The header of a segment as it is on disk (little-endian), and what the set
 * of segments needs of a single file.  For segment.c and segments.c only.
 */
#include "queue/segment.h"

#define SEGMENT_MAGIC "mtaqseg" /* eight octets with its NUL */
#define SEGMENT_VERSION                                                        \
	2u /* 1 has no MOVE and no adopted mail; it is read as well */
#define SEGMENT_HEAD_COPY 2048u /* where it stands again */

struct segment_head {
	char magic[8];
	uint32_t version;
	uint32_t bytes;                   /* of the whole file */
	uint64_t sequence;                /* 0: free */
	uint64_t first;                   /* LSN of the first record */
	uint64_t prev_sequence, prev_end; /* 0: there was none */
	uint32_t zero;
	uint32_t crc; /* CRC32C of the above */
};
_Static_assert(sizeof(struct segment_head) == 56, "on disk");

bool segment_head_ok(const struct segment_head *h);
int segment_file_open(const struct segments *set, const struct segment *seg,
		      int flags);
/* Write the file full, from the beginning, and a header that says free. */
int segment_make(struct segments *set, struct segment *seg);
/* The same in pieces: octets from..to, in order, then the end. */
int segment_make_some(struct segments *set, int fd, uint64_t from, uint64_t to);
int segment_make_end(struct segments *set, int fd);

#endif
