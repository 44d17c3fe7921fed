/*
 * transfer/frame.c - frames: a head of 16 octets, a payload
 *
 * The number of a frame is in its check and not in its octets: frames that are
 * missing, doubled or in another order do not fit.
 */
#include "transfer/frame.h"

#include "base/bug.h"
#include "base/crc32c.h"

#include <errno.h>

static const char magic[TRANSFER_MAGIC_SIZE] = "mtaq-export 1\n";
#define MAGIC_NAME 12u /* "mtaq-export " */

struct head { /* little-endian, as it lies there */
	uint32_t length;
	uint8_t type, zero[3];
	uint32_t payload_crc, crc;
};
_Static_assert(sizeof(struct head) == TRANSFER_HEAD_SIZE, "in the file");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "in the file");

void transfer_magic_put(char to[TRANSFER_MAGIC_SIZE])
{
	memcpy(to, magic, TRANSFER_MAGIC_SIZE);
}

int transfer_magic_check(const char from[TRANSFER_MAGIC_SIZE])
{
	if (memcmp(from, magic, TRANSFER_MAGIC_SIZE) == 0)
		return 0;
	return memcmp(from, magic, MAGIC_NAME) == 0 ? -EPROTO : -EINVAL;
}

static uint32_t head_crc(const struct head *h, uint64_t number)
{
	uint32_t crc = crc32c(0, h, offsetof(struct head, crc));

	return crc32c(crc, &number, sizeof(number));
}

void transfer_head_put(enum transfer_type type, uint64_t number,
		       struct span payload, char to[TRANSFER_HEAD_SIZE])
{
	struct head h = { .length = (uint32_t)payload.len,
			  .type = (uint8_t)type };

	BUG_ON(payload.len > TRANSFER_FRAME_MAX);
	if (payload.len > 0)
		h.payload_crc = crc32c(0, payload.p, payload.len);
	h.crc = head_crc(&h, number);
	memcpy(to, &h, sizeof(h));
}

int transfer_frame_parse(struct span in, uint64_t number,
			 struct transfer_frame *frame_r, size_t *used_r)
{
	struct head h;
	size_t used;

	if (in.len < sizeof(h)) {
		*used_r = sizeof(h);
		return 0;
	}
	memcpy(&h, in.p, sizeof(h));
	if (h.crc != head_crc(&h, number) || h.length > TRANSFER_FRAME_MAX ||
	    h.type < TRANSFER_BEGIN || h.type >= TRANSFER_TYPES)
		return -1;
	used = sizeof(h) + h.length;
	*used_r = used;
	if (in.len < used)
		return 0;
	if (h.length > 0 &&
	    crc32c(0, in.p + sizeof(h), h.length) != h.payload_crc)
		return -1;
	*frame_r = (struct transfer_frame){
		.type = (enum transfer_type)h.type,
		.payload = span_of(in.p + sizeof(h), h.length),
	};
	return 1;
}
