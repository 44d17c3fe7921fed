#ifndef MTAQ_QUEUE_RECORD_DISK_H
#define MTAQ_QUEUE_RECORD_DISK_H

/*
 * Records as they are on disk, for record.c and record_write.c only.
 *
 *	head (32)    struct record_head
 *	envelope     one of the structs disk_* below, its table, its strings
 *	content      MSG and PART only
 *
 *	MSG   disk_msg, rcpt_count x disk_rcpt, of adopted mail disk_adopted and
 *	      rcpt_count x disk_stand, tenant campaign sender params, then each
 *	      recipient's address domain params.  A domain that the address
 *	      ends with is not stored again.
 *	PART  disk_part
 *	OUT   disk_out, rcpt_count x disk_out_rcpt, tenant campaign domain note,
 *	      then each recipient's note
 *	DEC   disk_dec, id_count x u64, tenant campaign domain note; of a site
 *	      its name stands for the domain
 *	CKPT  disk_ckpt
 *	MOVE  disk_move, its tasks (each disk_task, then the open recipients, a
 *	      bit each), then the envelope of the MSG or DEC that it moves, and
 *	      the content of the MSG; abandoned: disk_move alone.  Further
 *	      content follows in PARTs whose id is the LSN of the MOVE.
 */
#include "queue/record.h"

#include <assert.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "records are read in place and are little-endian");
_Static_assert(sizeof(struct record_head) == RECORD_HEAD, "on disk");

#define DOMAIN_IN_ADDRESS 0x01u

struct disk_msg {
	uint8_t submission[16];
	uint64_t number, size;
	uint32_t arrived_s, due_s, expires_s, flags;
	uint16_t rcpt_count;
	uint8_t tenant, campaign; /* lengths */
	uint16_t sender, params;
};
_Static_assert(sizeof(struct disk_msg) == 56, "on disk");

struct disk_rcpt {
	uint32_t at; /* from the table's begin */
	uint16_t address, domain, params, flags;
};
_Static_assert(sizeof(struct disk_rcpt) == 12, "on disk");

#define ADOPTED 0x80000000u /* among the flags of disk_msg */

struct disk_adopted {
	uint32_t at_s, zero;
};
_Static_assert(sizeof(struct disk_adopted) == 8, "on disk");

struct disk_stand {
	uint32_t slot;
	uint8_t attempts, unsure;
	uint16_t zero;
};
_Static_assert(sizeof(struct disk_stand) == 8, "on disk");
_Static_assert(RECORD_ADOPTED_MAX ==
		       sizeof(struct disk_adopted) +
			       QUEUE_RCPTS_MAX * sizeof(struct disk_stand),
	       "on disk");

struct disk_part {
	uint64_t id, offset;
};
_Static_assert(sizeof(struct disk_part) == RECORD_PART_SIZE, "on disk");

struct disk_out {
	uint64_t id;
	uint32_t slot;
	uint16_t rcpt_count, note;
	uint8_t tenant, campaign, domain, zero[5];
};
_Static_assert(sizeof(struct disk_out) == 24, "on disk");

struct disk_out_rcpt {
	uint16_t rcpt;
	uint8_t state, attempts, unsure, zero;
	uint16_t note;
	uint32_t due_s;
};
_Static_assert(sizeof(struct disk_out_rcpt) == 12, "on disk");

struct disk_dec {
	uint8_t verb, tenant, campaign, domain;
	uint32_t made_s;
	uint16_t id_count, note;
	uint32_t zero;
};
_Static_assert(sizeof(struct disk_dec) == 16, "on disk");

struct disk_ckpt {
	uint64_t lsn;
	uint32_t made_s, zero;
};
_Static_assert(sizeof(struct disk_ckpt) == RECORD_CKPT_SIZE, "on disk");

struct disk_move {
	uint64_t id, from;
	uint32_t tasks; /* octets */
	uint8_t type, why, zero[2];
};
_Static_assert(sizeof(struct disk_move) == RECORD_MOVE_SIZE, "on disk");

struct disk_task {
	uint32_t slot;
	uint16_t first;
	uint8_t attempts, unsure;
	uint16_t open, zero; /* octets */
};
_Static_assert(sizeof(struct disk_task) + QUEUE_OPEN_WORDS * 8 ==
		       RECORD_TASK_MAX,
	       "on disk");

#endif
